-- What a customer bought before, and what sells: joins, aggregates, windows, on quiet data.
\set customer random(1, 1200)
SELECT o.id, o.placed, o.delivery, sum(i.quantity * i.unit_price) AS total FROM orders o JOIN order_items i ON i.order_id = o.id WHERE o.customer_id = :customer AND o.id <= 4000 GROUP BY o.id ORDER BY o.id;
SELECT product_id, sum(quantity) AS sold, rank() OVER (ORDER BY sum(quantity) DESC) FROM order_items WHERE order_id <= :customer GROUP BY product_id ORDER BY sold DESC, product_id LIMIT 10;

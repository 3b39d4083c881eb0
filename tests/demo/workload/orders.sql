-- An order is placed, paid, and read back: inside the transaction (skipped: it has written), and
-- right after it, when the candidate may not have it yet.
\set customer random(1, 1200)
\set product random(1, 400)
\set quantity random(1, 3)
BEGIN;
INSERT INTO orders (customer_id, note) VALUES (:customer, 'demo') RETURNING id AS order_id \gset
INSERT INTO order_items VALUES (:order_id, 1, :product, :quantity, 9.99);
SELECT count(*) FROM order_items WHERE order_id = :order_id;
UPDATE orders SET status = 'paid' WHERE id = :order_id;
COMMIT;
SELECT o.id, o.status, o.placed, i.quantity, i.unit_price FROM orders o JOIN order_items i ON i.order_id = o.id WHERE o.id = :order_id ORDER BY i.line;

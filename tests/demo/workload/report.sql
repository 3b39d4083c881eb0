-- A person with psql: the day's odd questions.
SELECT status, count(*) FROM orders WHERE id <= 4000 GROUP BY status;
SELECT category, count(*), avg(price)::numeric(12,4) FROM products WHERE id > 50 GROUP BY category ORDER BY category;
SELECT public_id, preferences -> 'sizes' AS sizes FROM customers WHERE preferences @> '{"newsletter": true}' AND id < 60;
SET timezone = 'Europe/Amsterdam';
SELECT id, placed, lower(delivery) FROM orders WHERE placed < '2024-03-01 04:00+01' ORDER BY id;
RESET timezone;
WITH best AS (SELECT product_id, avg(stars) AS stars FROM reviews WHERE id <= 1000 GROUP BY product_id)
	SELECT p.name, round(b.stars, 2) FROM best b JOIN products p ON p.id = b.product_id ORDER BY b.stars DESC, p.id LIMIT 5;
SELECT now();
SELECT id FROM orders WHERE id = 1 FOR UPDATE;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM customers;
SELECT max(registered) FROM customers;
COMMIT;

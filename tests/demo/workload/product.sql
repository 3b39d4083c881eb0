-- A product's page. Product 42 costs a cent more on the candidate: defect 1.
\set id random(1, 50)
SELECT id, name, price FROM products WHERE id = :id;
SELECT id, name, tags, attributes ->> 'colour' AS colour FROM products WHERE id = :id;

-- What parcels weigh. The column is of another type on the candidate: defect 3.
\set id random(1, 400)
SELECT name, weight_kg FROM products WHERE id = :id;

-- The reviews of a product. One of product 218 is missing on the candidate: defect 2.
\set product random(201, 240)
SELECT id, stars, body, written FROM reviews WHERE product_id = :product ORDER BY id;

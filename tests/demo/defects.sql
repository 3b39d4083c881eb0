-- Two of the four planted defects, on the candidate, once the copy is complete. (The other two are
-- in the schema: a column of another numeric type, and another collation.)

-- 1. A changed value: one price is one cent off.
UPDATE products SET price = price + 0.01 WHERE id = 42;

-- 2. A missing row: one review was never copied.
DELETE FROM reviews WHERE id = 1017;

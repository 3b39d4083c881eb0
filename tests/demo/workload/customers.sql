-- The customers of a country by name. Names sort otherwise on the candidate: defect 4.
\set n random(1, 6)
SELECT id, last_name FROM customers WHERE country = (ARRAY['NL', 'DE', 'FR', 'CZ', 'TR', 'SE'])[:n] ORDER BY last_name, id;
SELECT id, first_name, email, preferences, registered FROM customers WHERE id = :n * 100;

-- The shop's data, on the primary; the candidate gets it by logical replication. Nothing in it is
-- left to chance, so that every run is the same.
INSERT INTO customers
SELECT g, md5('customer ' || g)::uuid,
	(ARRAY['Ada', 'Bram', 'Chloé', 'Dmitri', 'Eva', 'Femke', 'Gül', 'Hana'])[1 + g % 8],
	(ARRAY['de Vries', 'Müller', 'van Dyck', 'Novák', 'Özil', 'smith', 'Smith', 'O''Brien',
		'Zola', 'de la Cruz', 'Ångström'])[1 + g % 11] || ' ' || g % 97,
	'customer' || g || '@example.com',
	(ARRAY['NL', 'DE', 'FR', 'CZ', 'TR', 'SE'])[1 + g % 6],
	jsonb_build_object('newsletter', g % 3 = 0, 'language', (ARRAY['nl', 'de', 'fr'])[1 + g % 3],
		'sizes', jsonb_build_array(g % 7, g % 5)),
	timestamptz '2023-01-01 08:00:00+00' + g * interval '97 minutes'
FROM generate_series(1, 1200) g;

INSERT INTO products
SELECT g, 'product ' || g, (ARRAY['garden', 'kitchen', 'office', 'outdoor', 'toys'])[1 + g % 5],
	round((g * 37 % 9900 + 99) / 100.0, 2), round((g * 13 % 4000 + 50) / 1000.0, 3),
	ARRAY['tag' || g % 9, CASE WHEN g % 4 = 0 THEN 'sale' ELSE 'regular' END],
	jsonb_build_object('colour', (ARRAY['red', 'green', 'blue'])[1 + g % 3], 'rank', g % 11)
FROM generate_series(1, 400) g;

INSERT INTO orders (id, customer_id, status, placed, delivery, note)
SELECT g, 1 + g * 7 % 1200, (enum_range(NULL::order_status))[1 + g % 4],
	timestamptz '2024-03-01 00:00:00+00' + g * interval '11 minutes',
	daterange('2024-03-01'::date + g % 200, '2024-03-03'::date + g % 200),
	CASE WHEN g % 5 = 0 THEN 'leave at the door' END
FROM generate_series(1, 4000) g;
SELECT setval('orders_id_seq', 1000000);

INSERT INTO order_items
SELECT o, l, 1 + (o * 3 + l * 17) % 400, 1 + (o + l) % 3, round((o * l * 31 % 9900 + 99) / 100.0, 2)
FROM generate_series(1, 4000) o, generate_series(1, 3) l;

INSERT INTO reviews
SELECT g, 1 + g % 400, 1 + g * 11 % 1200, 1 + g % 5, 'review ' || g, '2024-01-01'::date + g % 365
FROM generate_series(1, 2000) g;
ANALYZE;

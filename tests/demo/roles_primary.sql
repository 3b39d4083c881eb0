-- The application's role, the replication's role and pgumbra's control role.
CREATE ROLE shop_app LOGIN PASSWORD 'shop_app';
GRANT USAGE ON SCHEMA public TO shop_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO shop_app;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO shop_app;

CREATE ROLE replicator LOGIN REPLICATION PASSWORD 'replicator';
GRANT USAGE ON SCHEMA public TO replicator;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO replicator;
CREATE PUBLICATION shop FOR ALL TABLES;

-- Extensions of PostgreSQL's own source that act; which of them a server has differs.
\set ON_ERROR_STOP off
\set QUIET on
set client_min_messages = error;
create extension dblink;
create extension tablefunc;
create extension postgres_fdw;
create extension file_fdw;
create extension xml2;
create extension adminpack;
create extension pgcrypto;
create extension "uuid-ossp";
create extension pg_prewarm;
create extension tsm_system_rows;
create server self foreign data wrapper postgres_fdw options (host :'address', port :'port', dbname :'database');
create user mapping for public server self options (user 'boss', password 'boss');
create foreign table far_acts (id int) server self options (table_name 'v_acts');
create foreign table far_cage (id int, name text) server self options (table_name 'cage');
create table parted (id int, name text) partition by range (id);
create table parted_near partition of parted for values from (1) to (10);
create foreign table parted_far partition of parted for values from (10) to (100) server self
	options (table_name 'v_acts');
create server files foreign data wrapper file_fdw;
create foreign table from_program (line text) server files options (program 'touch from_program; echo line');
create view v_far as select id from far_acts;
grant select on far_acts, far_cage, parted, from_program, v_far to public;

-- Everything of a server that a dark read must leave as it was: one line each, to be compared before
-- and after. Works on PostgreSQL 15 and 18. Run by a superuser.
\pset tuples_only on
\pset format unaligned
select 'data of ' || c.oid::regclass || ': ' || md5(query_to_xml('select * from ' || c.oid::regclass ||
	' t order by t::text', true, true, '')::text)
from pg_class c where c.relkind in ('r', 'm') and c.oid >= 16384
	and c.relnamespace in (select oid from pg_namespace where nspname !~ '^pg_') order by 1;
select 'sequence ' || schemaname || '.' || sequencename || ': ' || coalesce(last_value::text, '-')
from pg_sequences order by 1;
select 'relations: ' || md5(string_agg(concat_ws(',', oid, relname, relnamespace, relkind, relowner,
	relacl, relpersistence, relnatts, relrowsecurity, relhasrules, reloptions, relfilenode), ';' order by oid))
from pg_class where relnamespace <> 'pg_toast'::regnamespace;
select 'columns: ' || md5(string_agg(concat_ws(',', attrelid, attnum, attname, atttypid, attacl), ';'
	order by attrelid, attnum)) from pg_attribute where attrelid >= 16384;
select 'functions: ' || md5(string_agg(concat_ws(',', oid, proname, proowner, provolatile, prosrc, proacl,
	proconfig), ';' order by oid)) from pg_proc;
select 'types: ' || md5(string_agg(concat_ws(',', oid, typname, typowner, typtype), ';' order by oid)) from pg_type;
select 'operators and casts: ' || (select count(*) from pg_operator) || ' ' || (select count(*) from pg_cast);
select 'schemas: ' || string_agg(concat_ws(',', nspname, nspowner, nspacl), ';' order by oid) from pg_namespace
	where nspname !~ '^pg_(toast_)?temp_';
select 'roles: ' || md5(string_agg(a::text, ';' order by a.oid)) from pg_authid a;
select 'members: ' || coalesce(string_agg(roleid || '<' || member, ';' order by roleid, member), '') from pg_auth_members;
select 'settings of roles: ' || coalesce(string_agg(s::text, ';' order by s::text), '') from pg_db_role_setting s;
select 'databases: ' || string_agg(concat_ws(',', datname, datdba, datacl, datallowconn), ';' order by oid) from pg_database;
select 'settings: ' || md5(string_agg(name || '=' || reset_val, ';' order by name)) from pg_settings
	where name not in ('transaction_read_only', 'in_hot_standby');
select 'settings in files: ' || md5(string_agg(concat_ws(',', name, setting, sourcefile), ';' order by seqno)) from pg_file_settings;
select 'settings read at: ' || pg_conf_load_time();
select 'rules, triggers, policies: ' || (select count(*) from pg_rewrite) || ' ' || (select count(*) from pg_trigger)
	|| ' ' || (select count(*) from pg_policy) || ' ' || (select count(*) from pg_event_trigger);
select 'publications, subscriptions: ' || (select count(*) from pg_publication) || ' ' || (select count(*) from pg_subscription);
select 'extensions, languages: ' || (select count(*) from pg_extension) || ' ' || (select count(*) from pg_language);
select 'collations, configurations: ' || (select count(*) from pg_collation) || ' ' || (select count(*) from pg_ts_config);
select 'comments: ' || md5(string_agg(d::text, ';' order by d::text)) from pg_description d where objoid >= 16384;
select 'origins: ' || coalesce(string_agg(roname, ','), '') from pg_replication_origin;
select 'slots: ' || coalesce(string_agg(slot_name, ','), '') from pg_replication_slots;
select 'large objects: ' || coalesce(string_agg(oid || '=' || md5(lo_get(oid)), ',' order by oid), '') from pg_largeobject_metadata;
select 'prepared transactions: ' || count(*) from pg_prepared_xacts;
select 'advisory locks: ' || count(*) from pg_locks where locktype = 'advisory';
select 'temporary schemas: ' || count(*) from pg_class where relpersistence = 't';
select 'statistics reset at: ' || coalesce(string_agg(stats_reset::text, ','), 'never') from pg_stat_database;
select 'writers'' statistics reset at: ' || stats_reset from pg_stat_bgwriter;
select 'rows written: ' || coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0) from pg_stat_user_tables;
select 'in recovery: ' || pg_is_in_recovery();

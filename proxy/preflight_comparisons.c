#include "proxy/preflight_compare.h"

/* Functions and operators need no schema: only pg_catalog is searched. Relations have one, because
 * temporary ones would win. */

#define OF_USERS "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"
/* What an extension brought is seen by the extension's version. */
#define OF_NO_EXTENSION(catalogue, oid)                                      \
	"NOT EXISTS (SELECT FROM pg_catalog.pg_depend e WHERE e.classid = "  \
	"'pg_catalog." catalogue "'::pg_catalog.regclass AND e.objid = " oid \
	" AND e.deptype = 'e')"
/* Marks for what belongs to tables and views. */
#define RELATION_MARKS                                                                         \
	" UNION ALL SELECT format('%I.%I', n.nspname, c.relname), "                            \
	"format('%I.%I', n.nspname, c.relname), '', '', '', '', '' "                           \
	"FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace " \
	"WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND " OF_USERS
#define RESULT_SETTINGS                                                                      \
	"'TimeZone', 'DateStyle', 'IntervalStyle', 'extra_float_digits', 'bytea_output', "   \
	"'lc_monetary', 'lc_numeric', 'lc_time', 'lc_messages', "                            \
	"'standard_conforming_strings', 'backslash_quote', 'default_text_search_config', "   \
	"'xmlbinary', 'xmloption', 'array_nulls', 'transform_null_equals', "                 \
	"'timezone_abbreviations', 'search_path', 'row_security', 'quote_all_identifiers', " \
	"'lo_compat_privileges', 'restrict_nonsystem_relation_kind', "                       \
	"'integer_datetimes', 'max_identifier_length', 'role', 'session_authorization', "    \
	"'client_encoding', 'plpgsql.variable_conflict'"
#define LIST_SETTINGS                                                                   \
	"'search_path', 'DateStyle', 'temp_tablespaces', 'session_preload_libraries', " \
	"'local_preload_libraries'"

static const char version_sql[] =
	"SELECT '' AS key, current_setting('server_version_num') AS value, "
	"current_setting('server_version') AS shown";

static const char databases_sql[] =
	"SELECT datname AS key, '' AS value, format('CREATE DATABASE %I', datname) AS add "
	"FROM pg_catalog.pg_database WHERE datallowconn AND NOT datistemplate";

static const char settings_sql[] =
	"SELECT name AS key, setting AS value, setting || CASE WHEN source IN ('database', 'user', "
	"'database user') THEN format(' (set for the %s)', source) ELSE '' END AS shown, "
	"CASE WHEN context = 'internal' THEN 'a server built or made with the same' "
	"ELSE format('ALTER SYSTEM SET %s = %s on the candidate', name, CASE WHEN name IN "
	"(" LIST_SETTINGS ") THEN setting ELSE quote_literal(setting) END) END AS set "
	"FROM pg_catalog.pg_settings WHERE name IN (" RESULT_SETTINGS
	") AND name NOT IN ('role', 'session_authorization', 'client_encoding')";

static const char planner_sql[] =
	"SELECT name AS key, setting AS value, setting || coalesce(unit, '') AS shown, "
	"format('ALTER SYSTEM SET %s = %L on the candidate', name, setting || coalesce(CASE WHEN "
	"unit IN ('kB', 'MB', 'ms', 's', 'min') THEN unit END, '')) AS set "
	"FROM pg_catalog.pg_settings WHERE name LIKE 'enable\\_%' OR name IN ('work_mem', "
	"'hash_mem_multiplier', 'max_parallel_workers_per_gather', 'jit', 'geqo', "
	"'geqo_threshold', 'join_collapse_limit', 'from_collapse_limit', 'plan_cache_mode', "
	"'synchronize_seqscans', 'statement_timeout', 'lock_timeout', 'random_page_cost', "
	"'effective_cache_size', 'default_statistics_target', 'default_transaction_isolation')";

static const char time_zones_sql[] =
	"SELECT format('%s at %s UTC', z, t) AS key, "
	"to_char(t::timestamp AT TIME ZONE 'UTC' AT TIME ZONE z, 'YYYY-MM-DD HH24:MI') AS value "
	"FROM (VALUES ('America/Mexico_City', '2023-07-01 12:00'), "
	"('Asia/Amman', '2023-01-01 12:00'), ('Asia/Damascus', '2023-01-01 12:00'), "
	"('Africa/Cairo', '2023-07-01 12:00'), ('America/Godthab', '2024-01-01 12:00'), "
	"('Asia/Almaty', '2024-07-01 12:00'), ('America/Asuncion', '2025-07-01 12:00'), "
	"('Europe/Volgograd', '2021-07-01 12:00'), ('Asia/Manila', '1899-09-06 04:00')) "
	"AS v (z, t)";

static const char encoding_sql[] =
	"SELECT k AS key, v AS value FROM pg_catalog.pg_database d, LATERAL (VALUES "
	"('encoding', pg_encoding_to_char(d.encoding)::text), ('collation', d.datcollate::text), "
	"('character type', d.datctype::text), ('locale provider', "
	"CASE to_jsonb(d)->>'datlocprovider' WHEN 'i' THEN 'icu' WHEN 'b' THEN 'builtin' "
	"ELSE 'libc' END), ('locale', coalesce(to_jsonb(d)->>'datlocale', "
	"to_jsonb(d)->>'daticulocale', '')), ('ICU rules', "
	"coalesce(to_jsonb(d)->>'daticurules', ''))) AS x (k, v) "
	"WHERE d.datname = current_database()";

static const char collation_library_sql[] =
	"SELECT '' AS key, coalesce(pg_database_collation_actual_version(oid), '') AS value "
	"FROM pg_catalog.pg_database WHERE datname = current_database()";

#define COLLATIONS                                                                                 \
	"SELECT format('%I.%I', n.nspname, c.collname) AS key, "                                   \
	"format('%s %s%s, version %s', CASE c.collprovider WHEN 'i' THEN 'icu' WHEN 'b' THEN "     \
	"'builtin' ELSE 'libc' END, coalesce(to_jsonb(c)->>'colllocale', "                         \
	"to_jsonb(c)->>'colliculocale', c.collcollate::text), "                                    \
	"CASE WHEN to_jsonb(c)->>'collisdeterministic' = 'false' THEN ', not deterministic' "      \
	"ELSE '' END, coalesce(pg_collation_actual_version(c.oid), '-')) AS value, "               \
	"format('CREATE COLLATION %I.%I (provider = %s, locale = %L%s)', n.nspname, "              \
	"c.collname, CASE c.collprovider WHEN 'i' THEN 'icu' WHEN 'b' THEN 'builtin' "             \
	"ELSE 'libc' END, coalesce(to_jsonb(c)->>'colllocale', "                                   \
	"to_jsonb(c)->>'colliculocale', c.collcollate::text), CASE WHEN "                          \
	"to_jsonb(c)->>'collisdeterministic' = 'false' THEN ', deterministic = false' "            \
	"ELSE '' END) AS add, 'the same library on both machines, or expect other orders' AS set " \
	"FROM pg_catalog.pg_collation c JOIN pg_catalog.pg_namespace n ON n.oid = "                \
	"c.collnamespace "                                                                         \
	"WHERE c.collprovider <> 'd' AND c.collencoding IN (-1, (SELECT d.encoding "               \
	"FROM pg_catalog.pg_database d WHERE d.datname = current_database()))"

static const char control_collations_sql[] = COLLATIONS
	" AND (" OF_USERS " OR c.oid IN (SELECT a.attcollation FROM pg_catalog.pg_attribute a "
	"JOIN pg_catalog.pg_class r ON r.oid = a.attrelid JOIN pg_catalog.pg_namespace n "
	"ON n.oid = r.relnamespace WHERE a.attnum > 0 AND NOT a.attisdropped AND " OF_USERS "))";
static const char candidate_collations_sql[] = COLLATIONS;

static const char extensions_sql[] =
	"SELECT extname AS key, extversion AS value, "
	"format('CREATE EXTENSION %I VERSION %L', extname, extversion) AS add, "
	"format('ALTER EXTENSION %I UPDATE TO %L', extname, extversion) AS set, "
	"format('DROP EXTENSION %I', extname) AS remove FROM pg_catalog.pg_extension";

static const char schemas_sql[] =
	"SELECT quote_ident(n.nspname) AS key, '' AS value, format('CREATE SCHEMA %I', n.nspname) "
	"AS add FROM pg_catalog.pg_namespace n WHERE " OF_USERS;

static const char relations_sql[] =
	"SELECT format('%I.%I', n.nspname, c.relname) AS key, CASE c.relkind WHEN 'r' THEN 'table' "
	"WHEN 'p' THEN 'partitioned table' WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' "
	"ELSE 'foreign table' END || CASE WHEN c.relrowsecurity THEN ' with row security' "
	"ELSE '' END || CASE WHEN c.relforcerowsecurity THEN ', forced on its owner' ELSE '' END "
	"|| CASE WHEN c.relpersistence = 'u' THEN ', unlogged' ELSE '' END || "
	"CASE WHEN NOT c.relispopulated THEN ', not populated' ELSE '' END AS value, "
	"format('pg_dump --schema-only --table=''%I.%I'' of the primary', n.nspname, c.relname) "
	"AS add, CASE WHEN c.relkind IN ('r', 'p') THEN format('ALTER TABLE %I.%I %s ROW LEVEL "
	"SECURITY, %s ROW LEVEL SECURITY', n.nspname, c.relname, CASE WHEN c.relrowsecurity THEN "
	"'ENABLE' ELSE 'DISABLE' END, CASE WHEN c.relforcerowsecurity THEN 'FORCE' ELSE 'NO FORCE' "
	"END) ELSE '' END AS set "
	"FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
	"WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relpersistence <> 't' AND " OF_USERS
	" AND " OF_NO_EXTENSION("pg_class", "c.oid");

static const char columns_sql[] =
	"SELECT format('%I.%I', n.nspname, c.relname) AS parent, "
	"format('%I.%I.%I', n.nspname, c.relname, a.attname) AS key, "
	"format_type(a.atttypid, a.atttypmod) || coalesce((SELECT format(' COLLATE %I.%I', "
	"cn.nspname, l.collname) FROM pg_catalog.pg_collation l JOIN pg_catalog.pg_namespace cn "
	"ON cn.oid = l.collnamespace JOIN pg_catalog.pg_type t ON t.oid = a.atttypid "
	"WHERE l.oid = a.attcollation AND a.attcollation <> t.typcollation), '') AS value, "
	"NULL AS shown_, "
	"CASE WHEN c.relkind IN ('r', 'p', 'f') THEN format('ALTER TABLE %I.%I ADD COLUMN %I %s', "
	"n.nspname, c.relname, a.attname, format_type(a.atttypid, a.atttypmod)) ELSE '' END AS "
	"add, "
	"CASE WHEN c.relkind IN ('r', 'p', 'f') THEN format('ALTER TABLE %I.%I ALTER COLUMN %I "
	"TYPE %s', n.nspname, c.relname, a.attname, format_type(a.atttypid, a.atttypmod)) "
	"ELSE '' END AS set, '' AS remove "
	"FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid "
	"JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
	"WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v', 'm', 'f') "
	"AND c.relpersistence <> 't' AND " OF_USERS " AND " OF_NO_EXTENSION("pg_class", "c.oid")
		RELATION_MARKS;

static const char column_order_sql[] =
	"SELECT format('%I.%I', n.nspname, c.relname) AS key, "
	"string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) AS value, "
	"'a view over the table, or columns named in the statements' AS set "
	"FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid "
	"JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
	"WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v', 'm', 'f') "
	"AND c.relpersistence <> 't' AND " OF_USERS
	" AND " OF_NO_EXTENSION("pg_class", "c.oid") " GROUP BY n.nspname, c.relname";

/* Deparsed texts are comparable within one major version only. */
static const char views_sql[] =
	"SELECT format('%I.%I', n.nspname, c.relname) AS key, md5(pg_get_viewdef(c.oid)) AS value, "
	"'md5 ' || left(md5(pg_get_viewdef(c.oid)), 8) AS shown, "
	"'CREATE OR REPLACE VIEW as on the primary' AS set "
	"FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
	"WHERE c.relkind IN ('v', 'm') AND " OF_USERS " AND " OF_NO_EXTENSION("pg_class", "c.oid");

static const char types_sql[] =
	"SELECT format('%I.%I', n.nspname, t.typname) AS key, CASE t.typtype "
	"WHEN 'e' THEN 'enum (' || coalesce((SELECT string_agg(quote_literal(l.enumlabel), ', ' "
	"ORDER BY l.enumsortorder) FROM pg_catalog.pg_enum l WHERE l.enumtypid = t.oid), '') || "
	"')' "
	"WHEN 'd' THEN 'domain over ' || format_type(t.typbasetype, t.typtypmod) || "
	"CASE WHEN t.typnotnull THEN ' not null' ELSE '' END "
	"WHEN 'c' THEN 'composite (' || coalesce((SELECT string_agg(quote_ident(a.attname) || ' ' "
	"|| "
	"format_type(a.atttypid, a.atttypmod), ', ' ORDER BY a.attnum) "
	"FROM pg_catalog.pg_attribute a WHERE a.attrelid = t.typrelid AND a.attnum > 0 "
	"AND NOT a.attisdropped), '') || ')' "
	"WHEN 'r' THEN 'range of ' || (SELECT format_type(r.rngsubtype, NULL) "
	"FROM pg_catalog.pg_range r WHERE r.rngtypid = t.oid) ELSE 'base type' END AS value, "
	"'CREATE TYPE or CREATE DOMAIN as on the primary' AS add, "
	"CASE t.typtype WHEN 'e' THEN format('ALTER TYPE %I.%I ADD VALUE ..., or made anew with "
	"the "
	"primary''s labels in their order', n.nspname, t.typname) "
	"ELSE 'made anew as on the primary' END AS set "
	"FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace "
	"LEFT JOIN pg_catalog.pg_class k ON k.oid = t.typrelid "
	"WHERE (t.typtype IN ('e', 'd', 'r') OR (t.typtype = 'c' AND k.relkind = 'c') "
	"OR (t.typtype = 'b' AND t.typelem = 0)) AND t.typisdefined AND " OF_USERS
	" AND " OF_NO_EXTENSION("pg_type", "t.oid");

static const char functions_sql[] =
	"SELECT format('%I.%I(%s)', n.nspname, p.proname, "
	"pg_get_function_identity_arguments(p.oid)) "
	"AS key, concat_ws(' ', p.prokind, p.provolatile, p.proisstrict, p.prosecdef, l.lanname, "
	"pg_get_function_result(p.oid), md5(p.prosrc)) AS value, concat_ws(', ', "
	"CASE p.provolatile WHEN 'i' THEN 'immutable' WHEN 's' THEN 'stable' ELSE 'volatile' END, "
	"l.lanname, CASE WHEN p.proisstrict THEN 'strict' END, "
	"CASE WHEN p.prosecdef THEN 'security definer' END, "
	"'returns ' || pg_get_function_result(p.oid), 'body md5 ' || left(md5(p.prosrc), 8)) AS "
	"shown, "
	"'CREATE FUNCTION as on the primary' AS add, "
	"'CREATE OR REPLACE FUNCTION as on the primary' AS set "
	"FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace "
	"JOIN pg_catalog.pg_language l ON l.oid = p.prolang "
	"WHERE " OF_USERS " AND " OF_NO_EXTENSION("pg_proc", "p.oid");

static const char policies_sql[] =
	"SELECT format('%I.%I', n.nspname, c.relname) AS parent, "
	"format('%I on %I.%I', o.polname, n.nspname, c.relname) AS key, "
	"concat_ws(', ', CASE o.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN "
	"'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END, "
	"CASE WHEN o.polpermissive THEN 'permissive' ELSE 'restrictive' END, 'to ' || "
	"coalesce((SELECT string_agg(quote_ident(r.rolname), ' ' ORDER BY r.rolname) "
	"FROM pg_catalog.pg_roles r WHERE r.oid = ANY (o.polroles)), 'PUBLIC'), 'condition md5 ' "
	"|| "
	"left(md5(coalesce(pg_get_expr(o.polqual, o.polrelid), '')), 8)) AS value, '' AS shown_, "
	"'CREATE POLICY as on the primary' AS add, 'ALTER POLICY as on the primary' AS set, "
	"format('DROP POLICY %I ON %I.%I', o.polname, n.nspname, c.relname) AS remove "
	"FROM pg_catalog.pg_policy o JOIN pg_catalog.pg_class c ON c.oid = o.polrelid "
	"JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
	"WHERE o.polcmd IN ('r', '*', 'w', 'd', 'a') AND " OF_USERS RELATION_MARKS;

static const char sequences_sql[] =
	"SELECT format('%I.%I', n.nspname, c.relname) AS key, format('%s, start %s, increment %s, "
	"%s to %s%s', format_type(s.seqtypid, NULL), s.seqstart, s.seqincrement, s.seqmin, "
	"s.seqmax, "
	"CASE WHEN s.seqcycle THEN ', cycles' ELSE '' END) AS value, "
	"format('CREATE SEQUENCE %I.%I AS %s START %s INCREMENT %s', n.nspname, c.relname, "
	"format_type(s.seqtypid, NULL), s.seqstart, s.seqincrement) AS add, "
	"format('ALTER SEQUENCE %I.%I AS %s START %s INCREMENT %s MINVALUE %s MAXVALUE %s%s', "
	"n.nspname, c.relname, format_type(s.seqtypid, NULL), s.seqstart, s.seqincrement, "
	"s.seqmin, "
	"s.seqmax, CASE WHEN s.seqcycle THEN ' CYCLE' ELSE ' NO CYCLE' END) AS set "
	"FROM pg_catalog.pg_sequence s JOIN pg_catalog.pg_class c ON c.oid = s.seqrelid "
	"JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
	"WHERE c.relpersistence <> 't' AND " OF_USERS " AND " OF_NO_EXTENSION("pg_class", "c.oid");

/* One that was never used has no last value, which is as good as one before its start. */
static const char sequence_values_sql[] =
	"SELECT format('%I.%I', schemaname, sequencename) AS key, "
	"coalesce(last_value, start_value - 1) AS value, "
	"format('SELECT setval(''%I.%I'', %s) on the candidate before the cut-over', schemaname, "
	"sequencename, last_value) AS set FROM pg_catalog.pg_sequences WHERE increment_by > 0 "
	"AND start_value > -9223372036854775807 "
	"AND has_sequence_privilege(format('%I.%I', schemaname, sequencename), 'SELECT, USAGE')";

static const char large_objects_sql[] =
	"SELECT '' AS key, count(*) AS value FROM pg_catalog.pg_largeobject_metadata";

/* The two superusers of initdb and pgumbra's own roles are nobody's application. */
#define APPLICATION_ROLE(role) \
	role ".rolname !~ '^pg_' AND " role ".oid <> 10 AND " role ".rolname NOT IN ($1, $2)"

static const char roles_sql[] =
	"SELECT quote_ident(r.rolname) AS key, concat_ws(', ', CASE WHEN r.rolsuper THEN "
	"'superuser' "
	"END, CASE WHEN r.rolbypassrls THEN 'bypassrls' END, CASE WHEN NOT r.rolinherit THEN "
	"'noinherit' END, 'ordinary') AS value, concat('CREATE ROLE ', quote_ident(r.rolname), "
	"CASE WHEN r.rolcanlogin THEN ' LOGIN' END, CASE WHEN r.rolbypassrls THEN ' BYPASSRLS' "
	"END, "
	"CASE WHEN NOT r.rolinherit THEN ' NOINHERIT' END) AS add, "
	"concat('ALTER ROLE ', quote_ident(r.rolname), CASE WHEN r.rolsuper THEN ' SUPERUSER' ELSE "
	"' NOSUPERUSER' END, CASE WHEN r.rolbypassrls THEN ' BYPASSRLS' ELSE ' NOBYPASSRLS' END, "
	"CASE WHEN r.rolinherit THEN ' INHERIT' ELSE ' NOINHERIT' END) AS set "
	"FROM pg_catalog.pg_roles r WHERE " APPLICATION_ROLE("r");

static const char memberships_sql[] =
	"SELECT quote_ident(m.rolname) AS parent, format('%I in %I', m.rolname, g.rolname) AS key, "
	"'' AS value, format('GRANT %I TO %I', g.rolname, m.rolname) AS add, "
	"format('REVOKE %I FROM %I', g.rolname, m.rolname) AS remove "
	"FROM pg_catalog.pg_auth_members a JOIN pg_catalog.pg_roles m ON m.oid = a.member "
	"JOIN pg_catalog.pg_roles g ON g.oid = a.roleid WHERE " APPLICATION_ROLE(
		"m") " AND g.rolname NOT IN ($1, $2) UNION SELECT quote_ident(r.rolname), "
		     "quote_ident(r.rolname), "
		     "'', '', '' FROM pg_catalog.pg_roles r WHERE " APPLICATION_ROLE("r");

/* Owners' own rights are among the default ones. */
#define GRANTS(what, object, parent, acl, from)                                           \
	"SELECT " parent " AS parent, format('%s on %s to %s', " what ", " object ", "    \
	"coalesce(quote_ident(r.rolname), 'PUBLIC')) AS key, '' AS value, '' AS shown_, " \
	"format('GRANT %s ON %s TO %s', " what ", " object ", "                           \
	"coalesce(quote_ident(r.rolname), 'PUBLIC')) AS add, '' AS set, "                 \
	"format('REVOKE %s ON %s FROM %s', " what ", " object ", "                        \
	"coalesce(quote_ident(r.rolname), 'PUBLIC')) AS remove "                          \
	"FROM " from " CROSS JOIN LATERAL aclexplode(" acl ") g "                         \
	"LEFT JOIN pg_catalog.pg_roles r ON r.oid = g.grantee WHERE " OF_USERS            \
	" AND (g.grantee = 0 OR (" APPLICATION_ROLE("r") " AND NOT r.rolsuper)) "

#define CLASSES "pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"

static const char grants_sql[] = GRANTS("'SELECT'", "format('%I.%I', n.nspname, c.relname)",
	"format('%I.%I', n.nspname, c.relname)", "coalesce(c.relacl, acldefault('r', c.relowner))",
	CLASSES) "AND g.privilege_type = 'SELECT' AND c.relkind IN ('r', 'p', 'v', 'm', 'f') "
		 "UNION " GRANTS("format('SELECT (%I)', a.attname)",
			 "format('%I.%I', n.nspname, c.relname)",
			 "format('%I.%I', n.nspname, c.relname)", "a.attacl",
			 CLASSES
			 " JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid "
			 "AND a.attnum > 0 AND NOT a.attisdropped") "AND "
								    "g.privilege_type "
								    "= 'SELECT' "
								    "UNION " GRANTS("'USAGE'",
									    "format('SCHEMA %I', "
									    "n.nspname)",
									    "format('schema %I', "
									    "n.nspname)",
									    "coalesce(n.nspacl, "
									    "acldefault('n', "
									    "n.nspowner))",
									    "pg_catalog.pg_"
									    "namespace n") "AND "
											   "g."
											   "privile"
											   "ge_"
											   "type = "
											   "'USAGE'"
											   " "
											   "UNION "
											   "SELECT "
											   "format("
											   "'schema"
											   " %I', "
											   "n."
											   "nspname"
											   "), "
											   "format("
											   "'schema"
											   " %I', "
											   "n."
											   "nspname"
											   "), "
											   "'', "
											   "'', "
											   "'', "
											   "'', '' "
											   "FROM "
											   "pg_"
											   "catalog"
											   ".pg_"
											   "namespa"
											   "ce n "
											   "WHERE"
											   " " OF_USERS
												   RELATION_MARKS;

/* Values of custom settings are the application's and may be secret. */
static const char role_settings_sql[] =
	"WITH s AS (SELECT r.rolname, d.datname, split_part(c, '=', 1) AS name, "
	"substr(c, strpos(c, '=') + 1) AS value, CASE WHEN r.rolname IS NOT NULL THEN "
	"format('ALTER ROLE %I%s', r.rolname, ' IN DATABASE ' || quote_ident(d.datname)) "
	"WHEN d.datname IS NOT NULL THEN format('ALTER DATABASE %I', d.datname) "
	"ELSE 'ALTER ROLE ALL' END AS alter FROM pg_catalog.pg_db_role_setting p "
	"LEFT JOIN pg_catalog.pg_database d ON d.oid = p.setdatabase "
	"LEFT JOIN pg_catalog.pg_roles r ON r.oid = p.setrole, unnest(p.setconfig) AS c "
	"WHERE r.rolname IS NULL OR r.rolname NOT IN ($1, $2)) "
	"SELECT concat_ws(' ', 'role ' || quote_ident(rolname), 'database ' || "
	"quote_ident(datname), "
	"CASE WHEN rolname IS NULL AND datname IS NULL THEN 'every role' END) || ': ' || name AS "
	"key, "
	"value, CASE WHEN name LIKE '%.%' THEN '(not shown)' ELSE value END AS shown, "
	"CASE WHEN name LIKE '%.%' OR name IN (" RESULT_SETTINGS ") THEN 'warning' "
	"ELSE 'information' END AS level, "
	"format('%s SET %s TO %s', alter, name, CASE WHEN name LIKE '%.%' THEN '...' WHEN name IN "
	"(" LIST_SETTINGS ") THEN value ELSE quote_literal(value) END) AS add, "
	"format('%s SET %s TO %s', alter, name, CASE WHEN name LIKE '%.%' THEN '...' WHEN name IN "
	"(" LIST_SETTINGS ") THEN value ELSE quote_literal(value) END) AS set, "
	"format('%s RESET %s', alter, name) AS remove FROM s";

enum { I = PREFLIGHT_INFORMATION, W = PREFLIGHT_WARNING, NO = COMPARE_SILENT };

const struct comparison comparisons[] = {
	{"version", "server version", SCOPE_SERVER, NO, NO, I,
		"plans, error texts and some functions' results may differ between versions",
		.control_sql = version_sql},
	{"database", "database", SCOPE_DATABASES, W, NO, NO,
		"its reads fail on the candidate: they are candidate_failed",
		.control_sql = databases_sql},
	{"setting", "", SCOPE_SERVER, I, NO, W,
		"the same rows may be shown or meant differently where sessions don't set it",
		.control_sql = settings_sql},
	{"planner", "", SCOPE_SERVER, NO, NO, I,
		"times and the order of unordered rows, not the rows", .control_sql = planner_sql},
	{"time_zone", "time zone rules:", SCOPE_SERVER, NO, NO, W,
		"times with time zone are computed by other rules: mend the older tzdata",
		.control_sql = time_zones_sql},
	{"role", "role", SCOPE_SERVER, W, NO, W,
		"grants and row security go by the role: its reads may see other rows or fail",
		.control_sql = roles_sql},
	{"membership", "membership of", SCOPE_SERVER, W, W, NO,
		"grants and row security reach the role through it",
		.control_sql = memberships_sql},
	{"role_setting", "setting of", SCOPE_SERVER, W, W, W,
		"sessions of the role or the database begin with another value",
		.control_sql = role_settings_sql},
	{"encoding", "database", SCOPE_DATABASE, NO, NO, W,
		"texts may be ordered, compared and upper-cased differently; ones that the "
		"encoding "
		"lacks fail; mended only by making the database anew",
		.control_sql = encoding_sql},
	{"collation", "default collation's library version", SCOPE_DATABASE, NO, NO, W,
		"ORDER BY, min, max and ranges of texts may differ; the same operating system or "
		"ICU "
		"mends it",
		.control_sql = collation_library_sql, .min_version = 150000},
	{"collation", "collation", SCOPE_DATABASE, W, NO, W,
		"ORDER BY, min, max and ranges of texts under it may differ",
		.control_sql = control_collations_sql, .candidate_sql = candidate_collations_sql},
	{"extension", "extension", SCOPE_DATABASE, W, I, W,
		"its functions and types may be missing or give other results",
		.control_sql = extensions_sql},
	{"schema", "schema", SCOPE_DATABASE, W, NO, NO, "reads of what is in it fail",
		.control_sql = schemas_sql},
	{"relation", "", SCOPE_DATABASE, W, I, W,
		"reads of it fail, or see other rows where its kind or row security differs",
		.control_sql = relations_sql},
	{"column", "column", SCOPE_DATABASE, W, W, W,
		"reads that name it fail or give another type; SELECT * has other columns",
		.control_sql = columns_sql},
	{"column_order", "columns of", SCOPE_DATABASE, NO, NO, W,
		"SELECT * and UNION by position give the columns in another order",
		.control_sql = column_order_sql},
	{"view", "text of view", SCOPE_DATABASE, NO, NO, W, "its rows may differ",
		.control_sql = views_sql, .same_major = true},
	{"type", "type", SCOPE_DATABASE, W, I, W,
		"values may be refused, shown or ordered differently", .control_sql = types_sql},
	{"function", "function", SCOPE_DATABASE, W, I, W, "its results may differ, or reads fail",
		.control_sql = functions_sql, .min_version = 110000},
	{"policy", "row security policy", SCOPE_DATABASE, W, W, W, "roles under it see other rows",
		.control_sql = policies_sql},
	{"grant", "", SCOPE_DATABASE, W, I, NO,
		"the role's reads may fail with 42501, or not fail any more",
		.control_sql = grants_sql},
	{"sequence", "sequence", SCOPE_DATABASE, W, I, W,
		"after the cut-over it gives other numbers; its own row reads differently",
		.control_sql = sequences_sql, .min_version = 100000},
	{"sequence_value", "last value of sequence", SCOPE_DATABASE, NO, NO, I,
		"after the cut-over numbers would be given again: logical replication leaves "
		"sequences behind",
		.control_sql = sequence_values_sql, .min_version = 100000, .behind = true},
	{"large_object", "number of large objects", SCOPE_DATABASE, NO, NO, W,
		"reads of large objects differ: logical replication leaves them out",
		.control_sql = large_objects_sql},
};

const size_t comparison_count = sizeof comparisons / sizeof *comparisons;

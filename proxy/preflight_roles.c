/* The applications' roles: attributes, memberships, settings, grants. */
#include "proxy/preflight_compare.h"

#include "proxy/preflight_sql.h"

/* clang-format off */

/* The two superusers of initdb and pgumbra's own roles are nobody's application. */
#define APPLICATION_ROLE(role) \
	role ".rolname !~ '^pg_' AND " role ".oid <> 10 AND " role ".rolname NOT IN ($1, $2)"

static const char roles_sql[] =
	"SELECT quote_ident(r.rolname) AS key, concat_ws(', ', CASE WHEN r.rolsuper THEN "
	"'superuser' END, CASE WHEN r.rolbypassrls THEN 'bypassrls' END, CASE WHEN NOT "
	"r.rolinherit THEN 'noinherit' END, CASE WHEN r.rolcanlogin THEN 'login' ELSE 'nologin' "
	"END, CASE WHEN r.rolconnlimit >= 0 THEN 'connection limit ' || r.rolconnlimit END, CASE "
	"WHEN r.rolvaliduntil < now() THEN 'password expired' END) AS value, concat('CREATE ROLE "
	"', quote_ident(r.rolname), CASE WHEN r.rolcanlogin THEN ' LOGIN' END, CASE WHEN "
	"r.rolbypassrls THEN ' BYPASSRLS' END, CASE WHEN NOT r.rolinherit THEN ' NOINHERIT' END) "
	"AS add, concat('ALTER ROLE ', quote_ident(r.rolname), CASE WHEN r.rolsuper THEN ' "
	"SUPERUSER' ELSE ' NOSUPERUSER' END, CASE WHEN r.rolbypassrls THEN ' BYPASSRLS' ELSE ' "
	"NOBYPASSRLS' END, CASE WHEN r.rolinherit THEN ' INHERIT' ELSE ' NOINHERIT' END, CASE "
	"WHEN r.rolcanlogin THEN ' LOGIN' ELSE ' NOLOGIN' END, ' CONNECTION LIMIT ' || "
	"r.rolconnlimit) AS set, format('DROP ROLE %I', r.rolname) AS remove "
	"FROM pg_catalog.pg_roles r WHERE " APPLICATION_ROLE("r");

/* Since 16 a membership says itself whether it is inherited, and one by neither way is only the
 * right to administer the role. */
static const char memberships_sql[] =
	"SELECT quote_ident(m.rolname) AS parent, format('%I in %I', m.rolname, g.rolname) AS "
	"key, CASE WHEN bool_or(inherits) THEN 'inherited' ELSE 'by SET ROLE only' END AS value, "
	"NULL AS shown_, format('GRANT %I TO %I', g.rolname, m.rolname) AS add, format('GRANT %I "
	"TO %I WITH INHERIT %s; before PostgreSQL 16 ALTER ROLE %I %s', g.rolname, m.rolname, "
	"upper(bool_or(inherits)::text), m.rolname, CASE WHEN bool_or(inherits) THEN 'INHERIT' "
	"ELSE 'NOINHERIT' END) AS set, format('REVOKE %I FROM %I', g.rolname, m.rolname) AS "
	"remove FROM pg_catalog.pg_auth_members a JOIN pg_catalog.pg_roles m ON m.oid = a.member "
	"JOIN pg_catalog.pg_roles g ON g.oid = a.roleid, LATERAL (SELECT "
	"coalesce((to_jsonb(a)->>'inherit_option')::bool, m.rolinherit), "
	"coalesce((to_jsonb(a)->>'set_option')::bool, true)) AS o (inherits, sets) "
	"WHERE (inherits OR sets) AND " APPLICATION_ROLE("m") " AND g.rolname NOT IN ($1, $2) "
	"GROUP BY m.rolname, g.rolname UNION ALL SELECT quote_ident(r.rolname), "
	"quote_ident(r.rolname), '', '', '', '', '' FROM pg_catalog.pg_roles r "
	"WHERE " APPLICATION_ROLE("r");

/* Values of custom settings are the application's and may be secret. */
static const char role_settings_sql[] =
	"WITH s AS (SELECT r.rolname, d.datname, split_part(c, '=', 1) AS name, substr(c, "
	"strpos(c, '=') + 1) AS value, CASE WHEN r.rolname IS NOT NULL THEN format('ALTER ROLE "
	"%I%s', r.rolname, ' IN DATABASE ' || quote_ident(d.datname)) WHEN d.datname IS NOT NULL "
	"THEN format('ALTER DATABASE %I', d.datname) ELSE 'ALTER ROLE ALL' END AS alter "
	"FROM pg_catalog.pg_db_role_setting p LEFT JOIN pg_catalog.pg_database d ON d.oid = "
	"p.setdatabase LEFT JOIN pg_catalog.pg_roles r ON r.oid = p.setrole, unnest(p.setconfig) "
	"AS c WHERE r.rolname IS NULL OR r.rolname NOT IN ($1, $2)) SELECT concat_ws(' ', 'role ' "
	"|| quote_ident(rolname), 'database ' || quote_ident(datname), CASE WHEN rolname IS NULL "
	"AND datname IS NULL THEN 'every role' END) || ': ' || name AS key, value, CASE WHEN name "
	"LIKE '%.%' THEN '(not shown)' ELSE value END AS shown, CASE WHEN name LIKE '%.%' OR name "
	"IN (" RESULT_SETTINGS ") THEN 'warning' ELSE 'information' END AS level, format('%s SET "
	"%s TO %s', alter, name, CASE WHEN name LIKE '%.%' THEN '...' WHEN name IN (" LIST_SETTINGS
	") THEN value ELSE quote_literal(value) END) AS add, format('%s SET %s TO %s', alter, "
	"name, CASE WHEN name LIKE '%.%' THEN '...' WHEN name IN (" LIST_SETTINGS ") THEN value "
	"ELSE quote_literal(value) END) AS set, format('%s RESET %s', alter, name) AS remove "
	"FROM s";

/* --- grants --- */

#define GRANTEE "coalesce(quote_ident(r.rolname), 'PUBLIC')"
/* Of (parent, object, column, acl, wanted) what is granted to applications' roles and PUBLIC, whom
 * the default grants name, too. Superusers need none. */
#define EXPLODED \
	" CROSS JOIN LATERAL aclexplode(x.acl) AS g LEFT JOIN pg_catalog.pg_roles r ON r.oid = " \
	"g.grantee WHERE g.privilege_type = ANY (x.wanted) AND (g.grantee = 0 OR (" \
	APPLICATION_ROLE("r") " AND NOT r.rolsuper))"

#define ROUTINE_NAME \
	"format('ROUTINE %I.%I(%s)', n.nspname, p.proname, " \
	"pg_get_function_identity_arguments(p.oid))"
#define ROUTINES \
	"pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace " \
	"WHERE " OF_USERS " AND " OF_NOTHING_ELSE("pg_proc", "p.oid")
#define TYPES \
	"pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace " \
	"WHERE t.typtype IN ('e', 'd', 'r') AND " OF_USERS " AND " \
	OF_NO_EXTENSION("pg_type", "t.oid")

static const char grants_sql[] =
	"SELECT DISTINCT x.parent AS parent, format('%s on %s to %s', g.privilege_type || x.col, "
	"x.object, " GRANTEE ") AS key, '' AS value, '' AS shown_, format('GRANT %s ON %s TO %s', "
	"g.privilege_type || x.col, x.object, " GRANTEE ") AS add, '' AS set, format('REVOKE %s "
	"ON %s FROM %s', g.privilege_type || x.col, x.object, " GRANTEE ") AS remove "
	"FROM (SELECT " CLASS_NAME " AS parent, " CLASS_NAME " AS object, '' AS col, "
	"coalesce(c.relacl, acldefault('r', c.relowner)) AS acl, '{SELECT}'::text[] AS wanted "
	"FROM " CLASSES " WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') "
	"AND " USERS_CLASSES " UNION ALL SELECT " CLASS_NAME ", " CLASS_NAME ", format(' (%I)', "
	"a.attname), a.attacl, '{SELECT}' FROM pg_catalog.pg_attribute a "
	"JOIN " CLASSES " ON c.oid = a.attrelid WHERE a.attacl IS NOT NULL "
	"AND a.attnum > 0 AND NOT a.attisdropped AND " USERS_CLASSES " "
	"UNION ALL SELECT format('SCHEMA %I', n.nspname), format('SCHEMA %I', n.nspname), '', "
	"coalesce(n.nspacl, acldefault('n', n.nspowner)), '{USAGE}' FROM pg_catalog.pg_namespace "
	"n WHERE " OF_USERS " UNION ALL SELECT " ROUTINE_NAME ", " ROUTINE_NAME ", '', "
	"coalesce(p.proacl, acldefault('f', p.proowner)), '{EXECUTE}' "
	"FROM " ROUTINES " UNION ALL SELECT format('TYPE %I.%I', n.nspname, t.typname), "
	"format('TYPE %I.%I', n.nspname, t.typname), '', coalesce(t.typacl, acldefault('T', "
	"t.typowner)), '{USAGE}' FROM " TYPES " UNION ALL SELECT format('FOREIGN SERVER %I', "
	"s.srvname), format('FOREIGN SERVER %I', s.srvname), '', coalesce(s.srvacl, "
	"acldefault('S', s.srvowner)), '{USAGE}' FROM pg_catalog.pg_foreign_server s) AS x"
	EXPLODED RELATION_MARKS " UNION ALL SELECT format('SCHEMA %I', n.nspname), format('SCHEMA "
	"%I', n.nspname), '', '', '', '', '' FROM pg_catalog.pg_namespace n "
	"WHERE " OF_USERS " UNION ALL SELECT " ROUTINE_NAME ", " ROUTINE_NAME ", '', '', '', '', "
	"'' FROM " ROUTINES " UNION ALL SELECT format('TYPE %I.%I', n.nspname, t.typname), "
	"format('TYPE %I.%I', n.nspname, t.typname), '', '', '', '', '' "
	"FROM " TYPES " UNION ALL SELECT format('FOREIGN SERVER %I', s.srvname), format('FOREIGN "
	"SERVER %I', s.srvname), '', '', '', '', '' FROM pg_catalog.pg_foreign_server s";

#define TABLE_WRITES "INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER"

static const char write_grants_sql[] =
	"SELECT x.parent AS parent, format('%s to %s', x.object, " GRANTEE ") AS key, "
	"string_agg(DISTINCT g.privilege_type || x.col, ', ' ORDER BY g.privilege_type || x.col) "
	"AS value, NULL AS shown_, format('GRANT %s ON %s TO %s', string_agg(DISTINCT "
	"g.privilege_type || x.col, ', ' ORDER BY g.privilege_type || x.col), x.object, " GRANTEE
	") AS add, format('REVOKE what is too much, GRANT %s ON %s TO %s', string_agg(DISTINCT "
	"g.privilege_type || x.col, ', ' ORDER BY g.privilege_type || x.col), x.object, " GRANTEE
	") AS set, format('REVOKE %s ON %s FROM %s', string_agg(DISTINCT g.privilege_type || "
	"x.col, ', ' ORDER BY g.privilege_type || x.col), x.object, " GRANTEE ") AS remove "
	"FROM (SELECT " CLASS_NAME " AS parent, " CLASS_NAME " AS object, '' AS col, "
	"coalesce(c.relacl, acldefault('r', c.relowner)) AS acl, '{" TABLE_WRITES "}'::text[] AS "
	"wanted FROM " CLASSES " WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') "
	"AND " USERS_CLASSES " UNION ALL SELECT " CLASS_NAME ", " CLASS_NAME ", format(' (%I)', "
	"a.attname), a.attacl, '{" TABLE_WRITES "}' FROM pg_catalog.pg_attribute a "
	"JOIN " CLASSES " ON c.oid = a.attrelid WHERE a.attacl IS NOT NULL "
	"AND a.attnum > 0 AND NOT a.attisdropped AND " USERS_CLASSES " "
	"UNION ALL SELECT format('SEQUENCE %I.%I', n.nspname, c.relname), format('SEQUENCE "
	"%I.%I', n.nspname, c.relname), '', coalesce(c.relacl, acldefault('s', c.relowner)), "
	"'{USAGE,UPDATE,SELECT}' FROM " CLASSES " WHERE c.relkind = 'S' "
	"AND " USERS_CLASSES " UNION ALL SELECT format('SCHEMA %I', n.nspname), format('SCHEMA "
	"%I', n.nspname), '', coalesce(n.nspacl, acldefault('n', n.nspowner)), '{CREATE}' "
	"FROM pg_catalog.pg_namespace n WHERE " OF_USERS ") AS x" EXPLODED " "
	"GROUP BY x.parent, x.object, r.rolname" RELATION_MARKS " UNION ALL SELECT format('SCHEMA "
	"%I', n.nspname), format('SCHEMA %I', n.nspname), '', '', '', '', '' "
	"FROM pg_catalog.pg_namespace n WHERE " OF_USERS " UNION ALL SELECT format('SEQUENCE "
	"%I.%I', n.nspname, c.relname), format('SEQUENCE %I.%I', n.nspname, c.relname), '', '', "
	"'', '', '' FROM " CLASSES " WHERE c.relkind = 'S' AND " OF_USERS;

static const char default_grants_sql[] =
	"SELECT quote_ident(o.rolname) AS parent, concat_ws(' ', 'of ' || quote_ident(o.rolname), "
	"'in ' || quote_ident(n.nspname), 'on ' || kind, 'to ' || " GRANTEE ") AS key, "
	"string_agg(DISTINCT g.privilege_type, ', ' ORDER BY g.privilege_type) AS value, NULL AS "
	"shown_, concat_ws(' ', 'ALTER DEFAULT PRIVILEGES FOR ROLE', quote_ident(o.rolname), 'IN "
	"SCHEMA ' || quote_ident(n.nspname), 'GRANT', string_agg(DISTINCT g.privilege_type, ', ' "
	"ORDER BY g.privilege_type), 'ON', kind, 'TO', " GRANTEE ") AS add, concat_ws(' ', 'ALTER "
	"DEFAULT PRIVILEGES FOR ROLE', quote_ident(o.rolname), 'IN SCHEMA ' || "
	"quote_ident(n.nspname), 'GRANT', string_agg(DISTINCT g.privilege_type, ', ' ORDER BY "
	"g.privilege_type), 'ON', kind, 'TO', " GRANTEE ") AS set, concat_ws(' ', 'ALTER DEFAULT "
	"PRIVILEGES FOR ROLE', quote_ident(o.rolname), 'IN SCHEMA ' || quote_ident(n.nspname), "
	"'REVOKE ALL ON', kind, 'FROM', " GRANTEE ") AS remove FROM pg_catalog.pg_default_acl a "
	"JOIN pg_catalog.pg_roles o ON o.oid = a.defaclrole LEFT JOIN pg_catalog.pg_namespace n "
	"ON n.oid = a.defaclnamespace CROSS JOIN LATERAL aclexplode(a.defaclacl) AS g "
	"LEFT JOIN pg_catalog.pg_roles r ON r.oid = g.grantee, LATERAL (SELECT CASE "
	"a.defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES' WHEN 'f' THEN "
	"'FUNCTIONS' WHEN 'T' THEN 'TYPES' WHEN 'n' THEN 'SCHEMAS' ELSE 'LARGE OBJECTS' END) AS k "
	"(kind) WHERE g.privilege_type <> 'MAINTAIN' AND (g.grantee = 0 OR (" APPLICATION_ROLE("r")
	" AND NOT r.rolsuper)) GROUP BY o.rolname, n.nspname, kind, r.rolname "
	"UNION ALL SELECT quote_ident(r.rolname), quote_ident(r.rolname), '', '', '', '', '' "
	"FROM pg_catalog.pg_roles r";

static const char connect_sql[] =
	"SELECT quote_ident(r.rolname) AS parent, format('role %I', r.rolname) AS key, CASE WHEN "
	"has_database_privilege(r.oid, d.oid, 'CONNECT') THEN 'may connect' ELSE 'may not "
	"connect' END AS value, NULL AS shown_, '' AS add, format('%s CONNECT ON DATABASE %I %s "
	"%I', CASE WHEN has_database_privilege(r.oid, d.oid, 'CONNECT') THEN 'GRANT' ELSE "
	"'REVOKE' END, d.datname, CASE WHEN has_database_privilege(r.oid, d.oid, 'CONNECT') THEN "
	"'TO' ELSE 'FROM' END, r.rolname) AS set, '' AS remove FROM pg_catalog.pg_roles r, "
	"pg_catalog.pg_database d WHERE d.datname = current_database() "
	"AND r.rolcanlogin AND " APPLICATION_ROLE("r");

/* clang-format on */

enum { I = PREFLIGHT_INFORMATION, W = PREFLIGHT_WARNING, NO = COMPARE_SILENT };

const struct comparison role_comparisons[] = {
	{"role", "role", SCOPE_SERVER, W, I, W,
		"grants and row security go by the role: its reads may see other rows or fail",
		.control_sql = roles_sql},
	{"membership", "membership of", SCOPE_SERVER, W, W, W,
		"grants and row security reach the role through it", .control_sql = memberships_sql,
		.has_parents = true},
	{"role_setting", "setting of", SCOPE_SERVER, W, W, W,
		"sessions of the role or the database begin with another value",
		.control_sql = role_settings_sql},
	{"connect", "", SCOPE_DATABASE, NO, NO, W,
		"after the cut-over the role is refused, or let in", .control_sql = connect_sql,
		.has_parents = true},
	{"grant", "", SCOPE_DATABASE, W, I, NO,
		"the role's reads may fail with 42501, or not fail any more",
		.control_sql = grants_sql, .has_parents = true},
	{"write_grant", "rights to write on", SCOPE_DATABASE, I, I, I,
		"after the cut-over the role's writes are refused, or let through",
		.control_sql = write_grants_sql, .has_parents = true},
	{"default_grant", "default rights", SCOPE_DATABASE, I, I, I,
		"after the cut-over new tables and functions are granted differently",
		.control_sql = default_grants_sql, .has_parents = true},
};

const size_t role_comparison_count = sizeof role_comparisons / sizeof *role_comparisons;

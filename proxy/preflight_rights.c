#include "proxy/preflight_rights.h"

/* clang-format off */
const struct object_check object_checks[] = {
	{"ownership of relations", PREFLIGHT_FORBIDS, "owns tables, views or sequences",
		"ALTER TABLE {names} OWNER TO another role",
		.items =
		"SELECT r.role, pg_catalog.format('%I.%I', n.nspname, c.relname), '' FROM "
		"pg_catalog.pg_class c JOIN reach r ON r.oid = c.relowner JOIN "
		"pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', "
		"'p', 'v', 'm', 'f', 'S') AND c.relpersistence <> 't' AND n.nspname <> 'pg_toast'"},
	{"ownership of functions", PREFLIGHT_FORBIDS, "owns functions",
		"ALTER ROUTINE {names} OWNER TO another role",
		.items =
		"SELECT r.role, p.oid::pg_catalog.regprocedure::pg_catalog.text, '' FROM "
		"pg_catalog.pg_proc p JOIN reach r ON r.oid = p.proowner"},
	{"ownership of schemas", PREFLIGHT_FORBIDS, "owns schemas",
		"ALTER SCHEMA {names} OWNER TO another role",
		.items =
		"SELECT r.role, pg_catalog.quote_ident(n.nspname), '' FROM "
		"pg_catalog.pg_namespace n JOIN reach r ON r.oid = n.nspowner WHERE n.nspname !~ "
		"'^pg_(toast_)?temp_'"},
	{"ownership of the database", PREFLIGHT_FORBIDS, "owns the database",
		"ALTER DATABASE {names} OWNER TO another role",
		.items =
		"SELECT r.role, pg_catalog.quote_ident(d.datname), '' FROM "
		"pg_catalog.pg_database d JOIN reach r ON r.oid = d.datdba WHERE d.datname = "
		"pg_catalog.current_database()"},
	{"privileges on tables", PREFLIGHT_FORBIDS, "may write tables or views ({privileges})",
		"REVOKE {privileges} ON {names} FROM {holder}",
		.items =
		"SELECT coalesce(r.role, 'PUBLIC'), pg_catalog.format('%I.%I', n.nspname, "
		"c.relname), a.privilege_type FROM pg_catalog.pg_class c JOIN "
		"pg_catalog.pg_namespace n ON n.oid = c.relnamespace CROSS JOIN LATERAL "
		"pg_catalog.aclexplode(c.relacl) a LEFT JOIN reach r ON r.oid = a.grantee WHERE "
		"c.relkind IN ('r', 'p', 'v', 'm', 'f') AND (a.grantee = 0 OR r.oid IS NOT NULL) "
		"AND a.privilege_type IN ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'TRIGGER', "
		"'MAINTAIN') AND c.relowner NOT IN (SELECT oid FROM reach) AND NOT (n.nspname = "
		"'pg_catalog' AND c.relname = 'pg_settings')"},
	{"privileges on columns", PREFLIGHT_FORBIDS, "may write columns ({privileges})",
		"REVOKE {privileges} on these columns FROM {holder}",
		.items =
		"SELECT coalesce(r.role, 'PUBLIC'), pg_catalog.format('%I.%I (%I)', n.nspname, "
		"c.relname, t.attname), a.privilege_type FROM pg_catalog.pg_attribute t JOIN "
		"pg_catalog.pg_class c ON c.oid = t.attrelid JOIN pg_catalog.pg_namespace n ON "
		"n.oid = c.relnamespace CROSS JOIN LATERAL pg_catalog.aclexplode(t.attacl) a "
		"LEFT JOIN reach r ON r.oid = a.grantee WHERE t.attnum > 0 AND NOT "
		"t.attisdropped AND (a.grantee = 0 OR r.oid IS NOT NULL) AND a.privilege_type IN "
		"('INSERT', 'UPDATE') AND c.relowner NOT IN (SELECT oid FROM reach)"},
	{"privileges on sequences", PREFLIGHT_FORBIDS, "may advance sequences ({privileges})",
		"REVOKE {privileges} ON SEQUENCE {names} FROM {holder}",
		.items =
		"SELECT coalesce(r.role, 'PUBLIC'), pg_catalog.format('%I.%I', n.nspname, "
		"c.relname), a.privilege_type FROM pg_catalog.pg_class c JOIN "
		"pg_catalog.pg_namespace n ON n.oid = c.relnamespace CROSS JOIN LATERAL "
		"pg_catalog.aclexplode(c.relacl) a LEFT JOIN reach r ON r.oid = a.grantee WHERE "
		"c.relkind = 'S' AND (a.grantee = 0 OR r.oid IS NOT NULL) AND a.privilege_type "
		"IN ('USAGE', 'UPDATE') AND c.relowner NOT IN (SELECT oid FROM reach)"},
	{"privileges on schemas", PREFLIGHT_FORBIDS, "may create objects in schemas",
		"REVOKE CREATE ON SCHEMA {names} FROM {holder}",
		.items =
		"SELECT coalesce(r.role, 'PUBLIC'), pg_catalog.quote_ident(n.nspname), "
		"a.privilege_type FROM pg_catalog.pg_namespace n CROSS JOIN LATERAL "
		"pg_catalog.aclexplode(n.nspacl) a LEFT JOIN reach r ON r.oid = a.grantee WHERE "
		"(a.grantee = 0 OR r.oid IS NOT NULL) AND a.privilege_type = 'CREATE' AND "
		"n.nspowner NOT IN (SELECT oid FROM reach)"},
	{"privileges on the database", PREFLIGHT_FORBIDS, "may create schemas in the database",
		"REVOKE CREATE ON DATABASE {names} FROM {holder}",
		.items =
		"SELECT coalesce(r.role, 'PUBLIC'), pg_catalog.quote_ident(d.datname), "
		"a.privilege_type FROM pg_catalog.pg_database d CROSS JOIN LATERAL "
		"pg_catalog.aclexplode(coalesce(d.datacl, pg_catalog.acldefault('d', d.datdba))) "
		"a LEFT JOIN reach r ON r.oid = a.grantee WHERE d.datname = "
		"pg_catalog.current_database() AND a.privilege_type = 'CREATE' AND (a.grantee = "
		"0 OR r.oid IS NOT NULL) AND d.datdba NOT IN (SELECT oid FROM reach)"},
	{"temporary tables", PREFLIGHT_WARNING, "may make temporary tables (READ ONLY refuses it)",
		"REVOKE TEMPORARY ON DATABASE {names} FROM {holder}",
		.items =
		"SELECT coalesce(r.role, 'PUBLIC'), pg_catalog.quote_ident(d.datname), "
		"a.privilege_type FROM pg_catalog.pg_database d CROSS JOIN LATERAL "
		"pg_catalog.aclexplode(coalesce(d.datacl, pg_catalog.acldefault('d', d.datdba))) "
		"a LEFT JOIN reach r ON r.oid = a.grantee WHERE d.datname = "
		"pg_catalog.current_database() AND a.privilege_type = 'TEMPORARY' AND (a.grantee "
		"= 0 OR r.oid IS NOT NULL) AND d.datdba NOT IN (SELECT oid FROM reach)",
		.candidate_only = true},
	{"large objects", PREFLIGHT_FORBIDS, "may write large objects",
		"REVOKE UPDATE ON LARGE OBJECT {names} FROM {holder}, or give them another owner",
		.items =
		"SELECT coalesce(r.role, 'PUBLIC'), l.oid::pg_catalog.text, a.privilege_type "
		"FROM pg_catalog.pg_largeobject_metadata l CROSS JOIN LATERAL "
		"pg_catalog.aclexplode(coalesce(l.lomacl, pg_catalog.acldefault('L', "
		"l.lomowner))) a LEFT JOIN reach r ON r.oid = a.grantee WHERE a.privilege_type = "
		"'UPDATE' AND (a.grantee = 0 OR r.oid IS NOT NULL)"},
	{"ownership of other objects", PREFLIGHT_FORBIDS,
		"owns types, servers, publications or the like",
		"REASSIGN OWNED BY {holder} TO another role",
		.items =
		"SELECT r.role, pg_catalog.pg_describe_object(d.classid, d.objid, 0), '' FROM "
		"pg_catalog.pg_shdepend d JOIN reach r ON r.oid = d.refobjid WHERE d.refclassid "
		"= 'pg_catalog.pg_authid'::pg_catalog.regclass AND d.deptype = 'o' AND d.dbid IN "
		"(0, (SELECT oid FROM pg_catalog.pg_database WHERE datname = "
		"pg_catalog.current_database())) AND d.classid NOT IN "
		"('pg_catalog.pg_class'::pg_catalog.regclass, "
		"'pg_catalog.pg_proc'::pg_catalog.regclass, "
		"'pg_catalog.pg_namespace'::pg_catalog.regclass, "
		"'pg_catalog.pg_database'::pg_catalog.regclass, "
		"'pg_catalog.pg_largeobject'::pg_catalog.regclass, "
		"'pg_catalog.pg_default_acl'::pg_catalog.regclass)"},
	{"privileges on settings", PREFLIGHT_FORBIDS,
		"may change settings of the server ({privileges})",
		"REVOKE {privileges} ON PARAMETER {names} FROM {holder}",
		.items =
		"SELECT coalesce(r.role, 'PUBLIC'), p.parname, a.privilege_type FROM "
		"pg_catalog.pg_parameter_acl p CROSS JOIN LATERAL pg_catalog.aclexplode(p.paracl) "
		"a LEFT JOIN reach r ON r.oid = a.grantee WHERE a.grantee = 0 OR r.oid IS NOT NULL",
		.min_version = 150000},
	{"privileges on built-in functions", PREFLIGHT_FORBIDS,
		"may call functions that initdb withholds",
		"REVOKE EXECUTE ON FUNCTION {names} FROM {holder}",
		.items =
		"SELECT coalesce(r.role, 'PUBLIC'), "
		"p.oid::pg_catalog.regprocedure::pg_catalog.text, '' FROM "
		"pg_catalog.pg_init_privs i JOIN pg_catalog.pg_proc p ON p.oid = i.objoid CROSS "
		"JOIN LATERAL pg_catalog.aclexplode(p.proacl) a LEFT JOIN reach r ON r.oid = "
		"a.grantee WHERE i.classoid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND "
		"(a.grantee = 0 OR r.oid IS NOT NULL) AND p.proname <> "
		"'pg_show_replication_origin_status' " /* the fence looks at it */
		"AND NOT EXISTS (SELECT FROM "
		"pg_catalog.aclexplode(i.initprivs) b WHERE b.grantee = a.grantee AND "
		"b.privilege_type = a.privilege_type) AND p.proowner NOT IN (SELECT oid FROM "
		"reach)",
		.beyond_read_only = true},
	{"functions with a superuser's rights", PREFLIGHT_WARNING,
		"may call SECURITY DEFINER functions of superusers (READ ONLY holds what they "
		"write, not what else they do)",
		"REVOKE EXECUTE ON FUNCTION {names} FROM {holder}, and GRANT it to the roles that "
		"need it",
		.items =
		"SELECT coalesce(r.role, 'PUBLIC'), "
		"p.oid::pg_catalog.regprocedure::pg_catalog.text, '' FROM pg_catalog.pg_proc p "
		"JOIN pg_catalog.pg_roles o ON o.oid = p.proowner CROSS JOIN LATERAL "
		"pg_catalog.aclexplode(coalesce(p.proacl, pg_catalog.acldefault('f', "
		"p.proowner))) a LEFT JOIN reach r ON r.oid = a.grantee WHERE p.prosecdef AND "
		"o.rolsuper AND (a.grantee = 0 OR r.oid IS NOT NULL) AND p.oid >= 16384",
		.candidate_only = true},
	{"functions that reach other servers", PREFLIGHT_WARNING,
		"may call functions of dblink, which write outside of the transaction (READ ONLY "
		"does not hold them)",
		"REVOKE EXECUTE ON FUNCTION {names} FROM {holder}",
		.items =
		"SELECT coalesce(r.role, 'PUBLIC'), "
		"p.oid::pg_catalog.regprocedure::pg_catalog.text, '' FROM pg_catalog.pg_extension "
		"x JOIN pg_catalog.pg_depend d ON d.refobjid = x.oid AND d.refclassid = "
		"'pg_catalog.pg_extension'::pg_catalog.regclass AND d.deptype = 'e' AND d.classid "
		"= 'pg_catalog.pg_proc'::pg_catalog.regclass JOIN pg_catalog.pg_proc p ON p.oid = "
		"d.objid CROSS JOIN LATERAL pg_catalog.aclexplode(coalesce(p.proacl, "
		"pg_catalog.acldefault('f', p.proowner))) a LEFT JOIN reach r ON r.oid = "
		"a.grantee WHERE x.extname = 'dblink' AND p.proname IN ('dblink', 'dblink_exec', "
		"'dblink_connect', 'dblink_send_query', 'dblink_open') AND (a.grantee = 0 OR "
		"r.oid IS NOT NULL)",
		.candidate_only = true},
	{"privileges on foreign servers", PREFLIGHT_WARNING,
		"may use foreign servers (what is written there no ROLLBACK here holds)",
		"REVOKE USAGE ON FOREIGN SERVER {names} FROM {holder}",
		.items =
		"SELECT coalesce(r.role, 'PUBLIC'), pg_catalog.quote_ident(s.srvname), '' FROM "
		"pg_catalog.pg_foreign_server s CROSS JOIN LATERAL "
		"pg_catalog.aclexplode(s.srvacl) a LEFT JOIN reach r ON r.oid = a.grantee WHERE "
		"(a.grantee = 0 OR r.oid IS NOT NULL) AND s.srvowner NOT IN (SELECT oid FROM "
		"reach)",
		.candidate_only = true},
	{"privileges on tablespaces", PREFLIGHT_WARNING,
		"may create objects in tablespaces (READ ONLY refuses it)",
		"REVOKE CREATE ON TABLESPACE {names} FROM {holder}",
		.items =
		"SELECT coalesce(r.role, 'PUBLIC'), pg_catalog.quote_ident(t.spcname), '' FROM "
		"pg_catalog.pg_tablespace t CROSS JOIN LATERAL pg_catalog.aclexplode(t.spcacl) a "
		"LEFT JOIN reach r ON r.oid = a.grantee WHERE (a.grantee = 0 OR r.oid IS NOT "
		"NULL) AND a.privilege_type = 'CREATE' AND t.spcowner NOT IN (SELECT oid FROM "
		"reach)"},
	{"default privileges", PREFLIGHT_WARNING,
		"will be allowed to write what is made from now on ({privileges})",
		"ALTER DEFAULT PRIVILEGES {names} FROM {holder}",
		.between = "' FROM ' || holder || '; ALTER DEFAULT PRIVILEGES '",
		.items =
		"SELECT coalesce(r.role, 'PUBLIC'), pg_catalog.concat_ws(' ', 'FOR ROLE', "
		"pg_catalog.quote_ident(o.rolname), 'IN SCHEMA ' || "
		"pg_catalog.quote_ident(n.nspname), 'REVOKE', "
		"pg_catalog.string_agg(a.privilege_type, ', ' ORDER BY a.privilege_type), 'ON', "
		"CASE d.defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES' ELSE "
		"'SCHEMAS' END), pg_catalog.string_agg(a.privilege_type, ', ' ORDER BY "
		"a.privilege_type) FROM pg_catalog.pg_default_acl d JOIN pg_catalog.pg_roles o ON "
		"o.oid = d.defaclrole LEFT JOIN pg_catalog.pg_namespace n ON n.oid = "
		"d.defaclnamespace CROSS JOIN LATERAL pg_catalog.aclexplode(d.defaclacl) a LEFT "
		"JOIN reach r ON r.oid = a.grantee WHERE (a.grantee = 0 OR r.oid IS NOT NULL) AND "
		"o.oid NOT IN (SELECT oid FROM reach) AND a.privilege_type = ANY (CASE "
		"d.defaclobjtype WHEN 'r' THEN '{INSERT,UPDATE,DELETE,TRUNCATE,TRIGGER,MAINTAIN}' "
		"WHEN 'S' THEN '{USAGE,UPDATE}' WHEN 'n' THEN '{CREATE}' ELSE '{}' END::text[]) "
		"GROUP BY r.role, o.rolname, n.nspname, d.defaclobjtype",
		.candidate_only = true},
};
/* clang-format on */

const size_t object_check_count = sizeof object_checks / sizeof *object_checks;

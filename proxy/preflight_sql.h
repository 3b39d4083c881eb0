/* What the queries of preflight have in common. For the files of preflight only.
 *
 * Functions and operators need no schema: only pg_catalog is searched. Relations have one, because
 * temporary ones would win. `n` is always pg_namespace.
 */
#ifndef PGUMBRA_PROXY_PREFLIGHT_SQL_H
#define PGUMBRA_PROXY_PREFLIGHT_SQL_H

/* clang-format off */
#define OF_USERS "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"
/* What an extension brought is seen by the extension's version. */
#define OF_NO_EXTENSION(catalogue, oid) \
	"NOT EXISTS (SELECT FROM pg_catalog.pg_depend e WHERE e.classid = 'pg_catalog." catalogue \
	"'::pg_catalog.regclass AND e.objid = " oid " AND e.deptype = 'e')"
/* The same, and what PostgreSQL made itself as a part of something else. */
#define OF_NOTHING_ELSE(catalogue, oid) \
	"NOT EXISTS (SELECT FROM pg_catalog.pg_depend e WHERE e.classid = 'pg_catalog." catalogue \
	"'::pg_catalog.regclass AND e.objid = " oid " AND e.deptype IN ('e', 'i'))"

#define CLASSES "pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
#define USERS_CLASSES \
	"c.relpersistence <> 't' AND " OF_USERS " AND " OF_NO_EXTENSION("pg_class", "c.oid")
#define CLASS_NAME "format('%I.%I', n.nspname, c.relname)"

/* Marks for what belongs to tables and views; the columns are parent, key, value, shown, add, set,
 * remove. */
#define RELATION_MARKS \
	" UNION ALL SELECT " CLASS_NAME ", " CLASS_NAME ", '', '', '', '', '' " \
	"FROM " CLASSES " WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') " \
	"AND " OF_USERS

/* Marks for what belongs to schemas; the columns are parent, key, value, add, set, remove. */
#define SCHEMA "quote_ident(n.nspname)"
#define SCHEMA_MARKS \
	" UNION ALL SELECT " SCHEMA ", " SCHEMA ", '', '', '', '' FROM pg_catalog.pg_namespace " \
	"n WHERE " OF_USERS

/* A statement that is short enough to be read, or where to find it. */
#define STATEMENT(text) \
	"CASE WHEN length(" text ") <= 600 THEN " text " ELSE 'as pg_dump --schema-only of the " \
	"primary writes it' END"

/* Settings that change what reads give. */
#define RESULT_SETTINGS \
	"'TimeZone', 'DateStyle', 'IntervalStyle', 'extra_float_digits', 'bytea_output', " \
	"'lc_monetary', 'lc_numeric', 'lc_time', 'lc_messages', 'standard_conforming_strings', " \
	"'backslash_quote', 'default_text_search_config', 'xmlbinary', 'xmloption', " \
	"'array_nulls', 'transform_null_equals', 'timezone_abbreviations', 'search_path', " \
	"'row_security', 'quote_all_identifiers', 'lo_compat_privileges', " \
	"'restrict_nonsystem_relation_kind', 'integer_datetimes', 'max_identifier_length', " \
	"'max_index_keys', 'max_function_args', 'gin_fuzzy_search_limit', " \
	"'ignore_invalid_pages', 'zero_damaged_pages', 'session_replication_role', " \
	"'session_preload_libraries', 'local_preload_libraries', 'role', " \
	"'session_authorization', 'client_encoding', 'plpgsql.variable_conflict'"
#define LIST_SETTINGS \
	"'search_path', 'DateStyle', 'temp_tablespaces', 'session_preload_libraries', " \
	"'local_preload_libraries'"
/* clang-format on */

#endif

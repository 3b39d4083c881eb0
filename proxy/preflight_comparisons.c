#include "proxy/preflight_compare.h"

#include "proxy/preflight_deparsed.h"
#include "proxy/preflight_sql.h"
#include <string.h>

/* clang-format off */

static const char version_sql[] =
	"SELECT '' AS key, current_setting('server_version_num') AS value, "
	"current_setting('server_version') AS shown";

static const char databases_sql[] =
	"SELECT datname AS key, '' AS value, format('CREATE DATABASE %I', datname) AS add "
	"FROM pg_catalog.pg_database WHERE datallowconn AND NOT datistemplate";

/* What sessions begin with: reset_val. A database's own are told with its settings. */
static const char settings_sql[] =
	"SELECT name AS key, reset_val AS value, concat(CASE WHEN reset_val = '' THEN "
	"quote_literal('') ELSE reset_val END, CASE WHEN source IN ('user', 'database user') THEN "
	"format(' (set for the %s)', source) END) AS shown, (reset_val IS NOT DISTINCT "
	"FROM boot_val) AS usual, CASE WHEN context = 'internal' THEN 'a server built or made "
	"with the same' ELSE format('ALTER SYSTEM SET %s = %s on the candidate', name, CASE WHEN "
	"name IN (" LIST_SETTINGS ") AND reset_val <> '' THEN reset_val ELSE "
	"quote_literal(reset_val) END) END AS set FROM pg_catalog.pg_settings "
	"WHERE name IN (" RESULT_SETTINGS ") AND source <> 'database' AND name NOT IN ('role', "
	"'session_authorization', 'client_encoding')";

static const char planner_sql[] =
	"SELECT name AS key, reset_val AS value, reset_val || coalesce(unit, '') AS shown, "
	"format('ALTER SYSTEM SET %s = %L on the candidate', name, reset_val || coalesce(CASE "
	"WHEN unit IN ('kB', 'MB', 'ms', 's', 'min') THEN unit END, '')) AS set "
	"FROM pg_catalog.pg_settings WHERE name LIKE 'enable\\_%' OR name IN ('work_mem', "
	"'hash_mem_multiplier', 'max_parallel_workers_per_gather', 'jit', 'geqo', "
	"'geqo_threshold', 'join_collapse_limit', 'from_collapse_limit', 'plan_cache_mode', "
	"'synchronize_seqscans', 'statement_timeout', 'lock_timeout', 'random_page_cost', "
	"'effective_cache_size', 'default_statistics_target', 'default_transaction_isolation')";

static const char time_zones_sql[] =
	"SELECT format('%s at %s UTC', z, t) AS key, to_char(t::timestamp AT TIME ZONE 'UTC' AT "
	"TIME ZONE z, 'YYYY-MM-DD HH24:MI') AS value FROM (VALUES ('America/Mexico_City', "
	"'2023-07-01 12:00'), ('Asia/Amman', '2023-01-01 12:00'), ('Asia/Damascus', '2023-01-01 "
	"12:00'), ('Africa/Cairo', '2023-07-01 12:00'), ('America/Godthab', '2024-01-01 12:00'), "
	"('Asia/Almaty', '2024-07-01 12:00'), ('America/Asuncion', '2025-07-01 12:00'), "
	"('Europe/Volgograd', '2021-07-01 12:00'), ('Asia/Manila', '1899-09-06 04:00')) AS v (z, "
	"t)";

static const char encoding_sql[] =
	"SELECT k AS key, v AS value FROM pg_catalog.pg_database d, LATERAL (VALUES ('encoding', "
	"pg_encoding_to_char(d.encoding)::text), ('collation', d.datcollate::text), ('character "
	"type', d.datctype::text), ('locale provider', CASE to_jsonb(d)->>'datlocprovider' WHEN "
	"'i' THEN 'icu' WHEN 'b' THEN 'builtin' ELSE 'libc' END), ('locale', "
	"coalesce(to_jsonb(d)->>'datlocale', to_jsonb(d)->>'daticulocale', '')), ('ICU rules', "
	"coalesce(to_jsonb(d)->>'daticurules', ''))) AS x (k, v) WHERE d.datname = "
	"current_database()";

static const char collation_library_sql[] =
	"SELECT '' AS key, coalesce(pg_database_collation_actual_version(oid), '') AS value "
	"FROM pg_catalog.pg_database WHERE datname = current_database()";

#define COLLATIONS \
	"SELECT format('%I.%I', n.nspname, c.collname) AS key, format('%s %s%s, version %s', " \
	"CASE c.collprovider WHEN 'i' THEN 'icu' WHEN 'b' THEN 'builtin' ELSE 'libc' END, " \
	"coalesce(to_jsonb(c)->>'colllocale', to_jsonb(c)->>'colliculocale', " \
	"c.collcollate::text), CASE WHEN to_jsonb(c)->>'collisdeterministic' = 'false' THEN ', " \
	"not deterministic' ELSE '' END, coalesce(pg_collation_actual_version(c.oid), '-')) AS " \
	"value, format('CREATE COLLATION %I.%I (provider = %s, locale = %L%s)', n.nspname, " \
	"c.collname, CASE c.collprovider WHEN 'i' THEN 'icu' WHEN 'b' THEN 'builtin' ELSE " \
	"'libc' END, coalesce(to_jsonb(c)->>'colllocale', to_jsonb(c)->>'colliculocale', " \
	"c.collcollate::text), CASE WHEN to_jsonb(c)->>'collisdeterministic' = 'false' THEN ', " \
	"deterministic = false' ELSE '' END) AS add, 'the same library on both machines, or " \
	"expect other orders' AS set FROM pg_catalog.pg_collation c JOIN " \
	"pg_catalog.pg_namespace n ON n.oid = c.collnamespace WHERE c.collprovider <> 'd' " \
	"AND c.collencoding IN (-1, (SELECT d.encoding FROM pg_catalog.pg_database d " \
	"WHERE d.datname = current_database()))"

static const char control_collations_sql[] =
	COLLATIONS " AND (" OF_USERS " OR c.oid IN (SELECT a.attcollation "
	"FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class r ON r.oid = a.attrelid "
	"JOIN pg_catalog.pg_namespace n ON n.oid = r.relnamespace WHERE a.attnum > 0 "
	"AND NOT a.attisdropped AND " OF_USERS "))";
static const char candidate_collations_sql[] =
	COLLATIONS;

static const char extensions_sql[] =
	"SELECT extname AS key, extversion AS value, format('CREATE EXTENSION %I VERSION %L', "
	"extname, extversion) AS add, format('ALTER EXTENSION %I UPDATE TO %L', extname, "
	"extversion) AS set, format('DROP EXTENSION %I', extname) AS remove "
	"FROM pg_catalog.pg_extension";

static const char schemas_sql[] =
	"SELECT quote_ident(n.nspname) AS key, '' AS value, format('CREATE SCHEMA %I', n.nspname) "
	"AS add, format('DROP SCHEMA %I', n.nspname) AS remove FROM pg_catalog.pg_namespace n "
	"WHERE " OF_USERS;

static const char relations_sql[] =
	"SELECT " SCHEMA " AS parent, " CLASS_NAME " AS key, CASE c.relkind WHEN 'r' THEN 'table' "
	"WHEN 'p' THEN 'partitioned table' WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' "
	"ELSE 'foreign table' END || CASE WHEN c.relrowsecurity THEN ' with row security' ELSE '' "
	"END || CASE WHEN c.relforcerowsecurity THEN ', forced on its owner' ELSE '' END || CASE "
	"WHEN c.relpersistence = 'u' THEN ', unlogged' ELSE '' END || CASE WHEN NOT "
	"c.relispopulated THEN ', not populated' ELSE '' END AS value, format('pg_dump "
	"--schema-only --table=''%I.%I'' of the primary', n.nspname, c.relname) AS add, CASE WHEN "
	"c.relkind IN ('r', 'p') THEN format('ALTER TABLE %I.%I %s ROW LEVEL SECURITY, %s ROW "
	"LEVEL SECURITY', n.nspname, c.relname, CASE WHEN c.relrowsecurity THEN 'ENABLE' ELSE "
	"'DISABLE' END, CASE WHEN c.relforcerowsecurity THEN 'FORCE' ELSE 'NO FORCE' END) || '; ' "
	"|| format('ALTER TABLE %I.%I SET %s', n.nspname, c.relname, CASE WHEN c.relpersistence = "
	"'u' THEN 'UNLOGGED' ELSE 'LOGGED' END) WHEN c.relkind = 'm' THEN format('REFRESH "
	"MATERIALIZED VIEW %I.%I%s where it is one; or made anew as on the primary', n.nspname, "
	"c.relname, CASE WHEN c.relispopulated THEN '' ELSE ' WITH NO DATA' END) ELSE 'made anew "
	"as on the primary' END AS set, format('DROP %s %I.%I', CASE c.relkind WHEN 'v' THEN "
	"'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'f' THEN 'FOREIGN TABLE' ELSE 'TABLE' END, "
	"n.nspname, c.relname) AS remove FROM " CLASSES " WHERE c.relkind IN ('r', 'p', 'v', 'm', "
	"'f') AND " USERS_CLASSES SCHEMA_MARKS;

static const char columns_sql[] =
	"SELECT " CLASS_NAME " AS parent, format('%I.%I.%I', n.nspname, c.relname, a.attname) AS "
	"key, type AS value, NULL AS shown_, CASE WHEN altered THEN format('ALTER TABLE %I.%I ADD "
	"COLUMN %I %s', n.nspname, c.relname, a.attname, type) ELSE 'the view made anew as on the "
	"primary' END AS add, CASE WHEN altered THEN format('ALTER TABLE %I.%I ALTER COLUMN %I "
	"TYPE %s', n.nspname, c.relname, a.attname, type) ELSE 'the view made anew as on the "
	"primary' END AS set, CASE WHEN altered THEN format('ALTER TABLE %I.%I DROP COLUMN %I', "
	"n.nspname, c.relname, a.attname) ELSE 'the view made anew as on the primary' END AS "
	"remove FROM pg_catalog.pg_attribute a JOIN " CLASSES " ON c.oid = a.attrelid, "
	"LATERAL (SELECT c.relkind IN ('r', 'p', 'f'), format_type(a.atttypid, a.atttypmod) || "
	"coalesce((SELECT format(' COLLATE %I.%I', cn.nspname, l.collname) "
	"FROM pg_catalog.pg_collation l JOIN pg_catalog.pg_namespace cn ON cn.oid = "
	"l.collnamespace JOIN pg_catalog.pg_type t ON t.oid = a.atttypid "
	"WHERE l.oid = a.attcollation AND a.attcollation <> t.typcollation), '')) AS x (altered, "
	"type) WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v', 'm', "
	"'f') AND " USERS_CLASSES RELATION_MARKS;

static const char column_order_sql[] =
	"SELECT format('%I.%I', n.nspname, c.relname) AS key, string_agg(quote_ident(a.attname), "
	"', ' ORDER BY a.attnum) AS value, 'a view over the table, or columns named in the "
	"statements' AS set FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = "
	"a.attrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
	"WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v', 'm', 'f') "
	"AND c.relpersistence <> 't' AND " OF_USERS " AND " OF_NO_EXTENSION("pg_class", "c.oid")
	" GROUP BY n.nspname, c.relname";

static const char policies_sql[] =
	"SELECT " CLASS_NAME " AS parent, format('%I on %I.%I', o.polname, n.nspname, c.relname) "
	"AS key, value, NULL AS shown_, format('CREATE POLICY %I ON %I.%I %s', o.polname, "
	"n.nspname, c.relname, value) AS add, format('DROP POLICY %I ON %I.%I; CREATE POLICY %I "
	"ON %I.%I %s', o.polname, n.nspname, c.relname, o.polname, n.nspname, c.relname, value) "
	"AS set, format('DROP POLICY %I ON %I.%I', o.polname, n.nspname, c.relname) AS remove "
	"FROM pg_catalog.pg_policy o JOIN " CLASSES " ON c.oid = o.polrelid, "
	"LATERAL (SELECT concat_ws(' ', CASE WHEN NOT o.polpermissive THEN 'AS RESTRICTIVE' END, "
	"'FOR ' || CASE o.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN "
	"'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END, 'TO ' || coalesce((SELECT "
	"string_agg(quote_ident(r.rolname), ', ' ORDER BY r.rolname) FROM pg_catalog.pg_roles r "
	"WHERE r.oid = ANY (o.polroles)), 'PUBLIC'), 'USING (' || pg_get_expr(o.polqual, "
	"o.polrelid) || ')', 'WITH CHECK (' || pg_get_expr(o.polwithcheck, o.polrelid) || ')')) "
	"AS v (value) WHERE " OF_USERS RELATION_MARKS;

/* That of an identity column belongs to its table. */
#define SEQUENCE_SHAPE \
	"format('AS %s START %s INCREMENT %s MINVALUE %s MAXVALUE %s%s', " \
	"format_type(s.seqtypid, NULL), s.seqstart, s.seqincrement, s.seqmin, s.seqmax, CASE " \
	"WHEN s.seqcycle THEN ' CYCLE' ELSE ' NO CYCLE' END)"
static const char sequences_sql[] =
	"SELECT coalesce(owner, " SCHEMA ") AS parent, " CLASS_NAME " AS key, format('%s, start "
	"%s, increment %s, %s to %s%s', format_type(s.seqtypid, NULL), s.seqstart, "
	"s.seqincrement, s.seqmin, s.seqmax, CASE WHEN s.seqcycle THEN ', cycles' ELSE '' END) AS "
	"value, NULL AS shown_, format('CREATE SEQUENCE %I.%I %s', n.nspname, c.relname, "
	SEQUENCE_SHAPE ") AS add, format('ALTER SEQUENCE %I.%I %s', n.nspname, c.relname, "
	SEQUENCE_SHAPE ") AS set, format('DROP SEQUENCE %I.%I', n.nspname, c.relname) AS remove "
	"FROM pg_catalog.pg_sequence s JOIN " CLASSES " ON c.oid = s.seqrelid "
	"LEFT JOIN LATERAL (SELECT format('%I.%I', o.nspname, t.relname) AS owner "
	"FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_class t ON t.oid = d.refobjid "
	"JOIN pg_catalog.pg_namespace o ON o.oid = t.relnamespace WHERE d.objid = c.oid "
	"AND d.classid = 'pg_catalog.pg_class'::regclass AND d.refclassid = d.classid "
	"AND d.deptype = 'i') AS t ON true WHERE " USERS_CLASSES RELATION_MARKS " "
	"UNION ALL SELECT " SCHEMA ", " SCHEMA ", '', '', '', '', '' FROM pg_catalog.pg_namespace "
	"n WHERE " OF_USERS;

/* One that was never used has no last value, which is as good as one before its start. */
static const char sequence_values_sql[] =
	"SELECT format('%I.%I', schemaname, sequencename) AS key, CASE WHEN increment_by > 0 THEN "
	"coalesce(last_value, start_value - 1) ELSE -coalesce(last_value, start_value + 1) END AS "
	"value, coalesce(last_value::text, 'never used') AS shown, format('SELECT "
	"setval(''%I.%I'', %s) on the candidate before the cut-over', schemaname, sequencename, "
	"last_value) AS set FROM pg_catalog.pg_sequences WHERE abs(start_value::numeric) < "
	"9223372036854775807 AND has_sequence_privilege(format('%I.%I', schemaname, "
	"sequencename), 'SELECT, USAGE')";

static const char large_objects_sql[] =
	"SELECT '' AS key, count(*) AS value, 'lo_export, lo_import or pg_dump --large-objects of "
	"the primary' AS set FROM pg_catalog.pg_largeobject_metadata";

/* clang-format on */

struct name {
	const char *begin;
	size_t length;
};

/* The next one of a list that begins at *p; empty at the end. */
static struct name next_name(const char **p)
{
	const char *begin = *p, *end = begin;
	bool quoted = false;

	for (; *end && (quoted || *end != ','); end++)
		quoted ^= *end == '"';
	*p = *end ? end + 2 : end;

	return (struct name){begin, (size_t)(end - begin)};
}

static bool has_name(const char *list, struct name wanted)
{
	struct name other;

	while (other = next_name(&list), other.length > 0)
		if (other.length == wanted.length &&
			memcmp(other.begin, wanted.begin, wanted.length) == 0)
			return true;

	return false;
}

static struct name next_common(const char **p, const char *other)
{
	struct name wanted;

	do
		wanted = next_name(p);
	while (wanted.length > 0 && !has_name(other, wanted));

	return wanted;
}

/* Of the columns that both have; the others are told by themselves. */
static bool same_order(const char *control, const char *candidate, size_t at[2])
{
	const char *p = control, *q = candidate;
	struct name a, b;

	do {
		a = next_common(&p, candidate);
		b = next_common(&q, control);
		if (a.length != b.length || memcmp(a.begin, b.begin, a.length) != 0) {
			at[0] = (size_t)(a.begin - control);
			at[1] = (size_t)(b.begin - candidate);
			return false;
		}
	} while (a.length > 0);

	return true;
}

enum { I = PREFLIGHT_INFORMATION, W = PREFLIGHT_WARNING, NO = COMPARE_SILENT };

const struct comparison comparisons[] = {
	{"version", "server version", SCOPE_SERVER, NO, NO, I,
		"plans, error texts and some functions' results may differ between versions",
		.control_sql = version_sql},
	{"database", "database", SCOPE_DATABASES, W, NO, NO,
		"its reads fail on the candidate: they are candidate_failed",
		.control_sql = databases_sql},
	{"setting", "", SCOPE_SERVER, NO, NO, W,
		"the same rows may be shown or meant differently where sessions don't set it",
		.control_sql = settings_sql},
	{"planner", "", SCOPE_SERVER, NO, NO, I,
		"times and the order of unordered rows, not the rows", .control_sql = planner_sql},
	{"time_zone", "time zone rules:", SCOPE_SERVER, NO, NO, W,
		"times with time zone are computed by other rules: mend the older tzdata",
		.control_sql = time_zones_sql},
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
	{"schema", "schema", SCOPE_DATABASE, W, I, NO, "reads of what is in it fail",
		.control_sql = schemas_sql},
	{"relation", "", SCOPE_DATABASE, W, I, W,
		"reads of it fail, or see other rows where its kind or row security differs",
		.control_sql = relations_sql, .has_parents = true},
	{"column", "column", SCOPE_DATABASE, W, W, W,
		"reads that name it fail or give another type; SELECT * has other columns",
		.control_sql = columns_sql, .has_parents = true},
	{"column_order", "columns of", SCOPE_DATABASE, NO, NO, W,
		"SELECT * and UNION by position give the columns in another order",
		.control_sql = column_order_sql, .same = same_order},
	{"policy", "row security policy", SCOPE_DATABASE, W, W, W, "roles under it see other rows",
		.control_sql = policies_sql, .has_parents = true, .same = deparsed_same},
	{"sequence", "sequence", SCOPE_DATABASE, W, I, W,
		"after the cut-over it gives other numbers; its own row reads differently",
		.control_sql = sequences_sql, .has_parents = true, .min_version = 100000},
	{"sequence_value", "last value of sequence", SCOPE_DATABASE, NO, NO, I,
		"after the cut-over numbers would be given again: logical replication leaves "
		"sequences behind",
		.control_sql = sequence_values_sql, .min_version = 100000, .behind = true},
	{"large_object", "number of large objects", SCOPE_DATABASE, NO, NO, W,
		"reads of large objects differ: logical replication leaves them out",
		.control_sql = large_objects_sql},
};

const size_t comparison_count = sizeof comparisons / sizeof *comparisons;

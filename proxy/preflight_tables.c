/* What belongs to tables and views: columns' properties, indexes, constraints, triggers, rules,
 * partitions, definitions. */
#include "proxy/preflight_compare.h"

#include "proxy/preflight_deparsed.h"
#include "proxy/preflight_sql.h"

/* clang-format off */

static const char not_null_sql[] =
	"SELECT " CLASS_NAME " AS parent, format('%I.%I.%I', n.nspname, c.relname, a.attname) AS "
	"key, CASE WHEN a.attnotnull THEN 'NOT NULL' ELSE 'nullable' END AS value, NULL AS "
	"shown_, '' AS add, format('ALTER TABLE %I.%I ALTER COLUMN %I %s NOT NULL', n.nspname, "
	"c.relname, a.attname, CASE WHEN a.attnotnull THEN 'SET' ELSE 'DROP' END) AS set, '' AS "
	"remove FROM pg_catalog.pg_attribute a JOIN " CLASSES " ON c.oid = a.attrelid "
	"WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'f') "
	"AND " USERS_CLASSES;

/* 'stored' and 'virtual' are told apart, as what 18 makes by default isn't what 15 has. OFFSET 0: the
 * text is made once. */
static const char defaults_sql[] =
	"SELECT parent, key, value, value AS shown, '' AS add, CASE WHEN value LIKE 'generated%' "
	"OR value LIKE 'identity%' THEN 'the column made anew as on the primary' WHEN value = '' "
	"THEN format('ALTER TABLE %s ALTER COLUMN %s DROP DEFAULT', parent, col) ELSE "
	"format('ALTER TABLE %s ALTER COLUMN %s SET DEFAULT %s', parent, col, value) END AS set, "
	"'' AS remove FROM (SELECT " CLASS_NAME " AS parent, quote_ident(a.attname) AS col, "
	"format('%I.%I.%I', n.nspname, c.relname, a.attname) AS key, CASE WHEN a.attidentity = "
	"'a' THEN 'identity, generated always' WHEN a.attidentity = 'd' THEN 'identity, generated "
	"by default' WHEN a.attgenerated = 's' THEN 'generated, stored: ' WHEN a.attgenerated = "
	"'v' THEN 'generated, virtual: ' ELSE '' END || coalesce(pg_get_expr(d.adbin, d.adrelid), "
	"'') AS value FROM pg_catalog.pg_attribute a JOIN " CLASSES " ON c.oid = a.attrelid "
	"LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum "
	"WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'f') "
	"AND " USERS_CLASSES " OFFSET 0) AS q";

/* An index behind a constraint is told with it, one of a partition with its root. */
static const char indexes_sql[] =
	"SELECT " CLASS_NAME " AS parent, format('%I.%I', n.nspname, x.relname) AS key, CASE WHEN "
	"i.indisunique THEN 'unique' ELSE '' END || substr(def, strpos(def, ' USING ')) AS value, "
	"NULL AS shown_, def AS add, format('DROP INDEX %I.%I; %s', n.nspname, x.relname, def) AS "
	"set, format('DROP INDEX %I.%I', n.nspname, x.relname) AS remove "
	"FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid "
	"JOIN " CLASSES " ON c.oid = i.indrelid, LATERAL pg_get_indexdef(i.indexrelid) AS def "
	"WHERE c.relkind IN ('r', 'p', 'm') AND NOT x.relispartition AND " USERS_CLASSES " "
	"AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.conindid = i.indexrelid "
	"AND k.contype IN ('p', 'u', 'x'))" RELATION_MARKS;

/* NOT NULL is told with the column: before 18 it is no constraint. What partitions inherit is told
 * with its root. */
static const char constraints_sql[] =
	"SELECT " CLASS_NAME " AS parent, format('%I on %I.%I', k.conname, n.nspname, c.relname) "
	"AS key, def AS value, def AS shown, format('ALTER TABLE %I.%I ADD CONSTRAINT %I %s', "
	"n.nspname, c.relname, k.conname, def) AS add, CASE WHEN k.convalidated THEN "
	"format('ALTER TABLE %I.%I VALIDATE CONSTRAINT %I where that is all; or ', n.nspname, "
	"c.relname, k.conname) ELSE '' END || format('ALTER TABLE %I.%I DROP CONSTRAINT %I, ADD "
	"CONSTRAINT %I %s', n.nspname, c.relname, k.conname, k.conname, def) AS set, "
	"format('ALTER TABLE %I.%I DROP CONSTRAINT %I', n.nspname, c.relname, k.conname) AS "
	"remove FROM pg_catalog.pg_constraint k JOIN " CLASSES " ON c.oid = k.conrelid, "
	"LATERAL pg_get_constraintdef(k.oid) AS def WHERE k.contype IN ('p', 'u', 'x', 'f', 'c') "
	"AND k.conparentid = 0 AND NOT (k.contype = 'c' AND NOT k.conislocal) "
	"AND " USERS_CLASSES RELATION_MARKS;

/* Clones on partitions are told with their root. */
static const char triggers_sql[] =
	"SELECT " CLASS_NAME " AS parent, format('%I on %I.%I', t.tgname, n.nspname, c.relname) "
	"AS key, CASE t.tgenabled WHEN 'D' THEN 'disabled: ' WHEN 'A' THEN 'enabled always: ' "
	"WHEN 'R' THEN 'enabled for replication: ' ELSE '' END || def AS value, NULL AS shown_, "
	"def AS add, format('ALTER TABLE %I.%I %s TRIGGER %I where that is all; or DROP TRIGGER "
	"%I ON %I.%I; %s', n.nspname, c.relname, CASE t.tgenabled WHEN 'D' THEN 'DISABLE' WHEN "
	"'A' THEN 'ENABLE ALWAYS' WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'ENABLE' END, t.tgname, "
	"t.tgname, n.nspname, c.relname, def) AS set, format('DROP TRIGGER %I ON %I.%I', "
	"t.tgname, n.nspname, c.relname) AS remove FROM pg_catalog.pg_trigger t "
	"JOIN " CLASSES " ON c.oid = t.tgrelid, LATERAL pg_get_triggerdef(t.oid) AS def "
	"WHERE NOT t.tgisinternal AND coalesce(to_jsonb(t)->>'tgparentid', '0') = '0' "
	"AND " USERS_CLASSES RELATION_MARKS;

static const char rules_sql[] =
	"SELECT " CLASS_NAME " AS parent, format('%I on %I.%I', r.rulename, n.nspname, c.relname) "
	"AS key, CASE r.ev_enabled WHEN 'D' THEN 'disabled: ' WHEN 'A' THEN 'enabled always: ' "
	"WHEN 'R' THEN 'enabled for replication: ' ELSE '' END || def AS value, NULL AS shown_, "
	STATEMENT("def") " AS add, " STATEMENT("def") " AS set, format('DROP RULE %I ON %I.%I', "
	"r.rulename, n.nspname, c.relname) AS remove FROM pg_catalog.pg_rewrite r "
	"JOIN " CLASSES " ON c.oid = r.ev_class, LATERAL pg_get_ruledef(r.oid) AS def "
	"WHERE r.rulename <> '_RETURN' AND " USERS_CLASSES RELATION_MARKS;

static const char partition_keys_sql[] =
	"SELECT " CLASS_NAME " AS key, pg_get_partkeydef(c.oid) AS value, 'the table made anew as "
	"on the primary' AS set FROM " CLASSES " WHERE c.relkind = 'p' "
	"AND " USERS_CLASSES;

/* Partitions and inheritance. */
static const char parents_sql[] =
	"SELECT " CLASS_NAME " AS parent, format('%I.%I of %s', n.nspname, c.relname, above) AS "
	"key, coalesce(bound, 'by inheritance') AS value, coalesce(bound, 'by inheritance') AS "
	"shown, CASE WHEN bound IS NULL THEN format('ALTER TABLE %I.%I INHERIT %s', n.nspname, "
	"c.relname, above) ELSE format('ALTER TABLE %s ATTACH PARTITION %I.%I %s', above, "
	"n.nspname, c.relname, bound) END AS add, format('ALTER TABLE %s DETACH PARTITION %I.%I; "
	"ALTER TABLE %s ATTACH PARTITION %I.%I %s', above, n.nspname, c.relname, above, "
	"n.nspname, c.relname, bound) AS set, CASE WHEN bound IS NULL THEN format('ALTER TABLE "
	"%I.%I NO INHERIT %s', n.nspname, c.relname, above) ELSE format('ALTER TABLE %s DETACH "
	"PARTITION %I.%I', above, n.nspname, c.relname) END AS remove "
	"FROM pg_catalog.pg_inherits h JOIN " CLASSES " ON c.oid = h.inhrelid, "
	"LATERAL (SELECT h.inhparent::regclass::text, pg_get_expr(c.relpartbound, c.oid)) AS p "
	"(above, bound) WHERE c.relkind IN ('r', 'p', 'f') AND " USERS_CLASSES RELATION_MARKS;

/* A view in place of a materialized one is told with the relation. */
static const char views_sql[] =
	"SELECT format('%s %I.%I', CASE c.relkind WHEN 'v' THEN 'view' ELSE 'materialized view' "
	"END, n.nspname, c.relname) AS key, def AS value, CASE WHEN length(def) > 600 THEN 'as "
	"pg_dump --schema-only of the primary writes it' WHEN c.relkind = 'v' THEN format('CREATE "
	"OR REPLACE VIEW %I.%I AS %s', n.nspname, c.relname, def) ELSE format('DROP MATERIALIZED "
	"VIEW %I.%I; CREATE MATERIALIZED VIEW %I.%I AS %s', n.nspname, c.relname, n.nspname, "
	"c.relname, def) END AS set FROM " CLASSES ", LATERAL pg_get_viewdef(c.oid) AS def "
	"WHERE c.relkind IN ('v', 'm') AND " USERS_CLASSES;

static const char view_options_sql[] =
	"SELECT " CLASS_NAME " AS key, coalesce((SELECT string_agg(o, ', ' ORDER BY o) "
	"FROM unnest(c.reloptions) AS o), 'none') AS value, coalesce((SELECT format('ALTER VIEW "
	"%I.%I SET (%s)', n.nspname, c.relname, string_agg(o, ', ' ORDER BY o)) "
	"FROM unnest(c.reloptions) AS o HAVING count(*) > 0), format('ALTER VIEW %I.%I RESET "
	"(security_invoker, security_barrier, check_option)', n.nspname, c.relname)) AS set "
	"FROM " CLASSES " WHERE c.relkind = 'v' AND " USERS_CLASSES;

static const char statistics_sql[] =
	"SELECT " CLASS_NAME " AS parent, format('%I.%I', sn.nspname, s.stxname) AS key, "
	"substr(def, strpos(def, s.stxname::text) + length(s.stxname)) AS value, NULL AS shown_, "
	"def AS add, format('DROP STATISTICS %I.%I; %s', sn.nspname, s.stxname, def) AS set, "
	"format('DROP STATISTICS %I.%I', sn.nspname, s.stxname) AS remove "
	"FROM pg_catalog.pg_statistic_ext s JOIN pg_catalog.pg_namespace sn ON sn.oid = "
	"s.stxnamespace JOIN " CLASSES " ON c.oid = s.stxrelid, LATERAL "
	"pg_get_statisticsobjdef(s.oid) AS def WHERE " USERS_CLASSES RELATION_MARKS;

/* clang-format on */

enum { I = PREFLIGHT_INFORMATION, W = PREFLIGHT_WARNING, NO = COMPARE_SILENT };

const struct comparison table_comparisons[] = {
	{"not_null", "column", SCOPE_DATABASE, NO, NO, W,
		"after the cut-over NULLs are taken or refused that are not today",
		.control_sql = not_null_sql, .has_parents = true},
	{"default", "default of column", SCOPE_DATABASE, NO, NO, W,
		"generated columns read differently; after the cut-over new rows get other values",
		.control_sql = defaults_sql, .has_parents = true, .min_version = 120000,
		.same = deparsed_same},
	{"index", "index", SCOPE_DATABASE, W, I, W,
		"reads take longer and may time out; a unique one keeps no promise",
		.control_sql = indexes_sql, .has_parents = true, .min_version = 120000,
		.same = deparsed_same},
	{"constraint", "constraint", SCOPE_DATABASE, W, I, W,
		"after the cut-over rows are taken or refused that are not today; GROUP BY of a "
		"primary key needs it",
		.control_sql = constraints_sql, .has_parents = true, .min_version = 120000,
		.same = deparsed_same},
	{"trigger", "trigger", SCOPE_DATABASE, W, W, W,
		"after the cut-over (with ENABLE REPLICA or ALWAYS: already now) writes do "
		"something else",
		.control_sql = triggers_sql, .has_parents = true, .same = deparsed_same},
	{"rule", "rule", SCOPE_DATABASE, W, W, W, "after the cut-over writes do something else",
		.control_sql = rules_sql, .has_parents = true, .same = deparsed_same},
	{"partition_key", "partition key of", SCOPE_DATABASE, NO, NO, W,
		"reads take longer; after the cut-over rows go to other partitions",
		.control_sql = partition_keys_sql, .min_version = 100000, .same = deparsed_same},
	{"partition", "partition", SCOPE_DATABASE, W, W, W, "reads of the parent see other rows",
		.control_sql = parents_sql, .has_parents = true, .min_version = 100000},
	{"view", "text of", SCOPE_DATABASE, NO, NO, W, "its rows may differ",
		.control_sql = views_sql, .same = deparsed_same},
	{"view_options", "options of view", SCOPE_DATABASE, NO, NO, W,
		"grants and row security are asked of another role: its rows may differ",
		.control_sql = view_options_sql},
	{"statistics", "statistics", SCOPE_DATABASE, I, I, I, "plans and times, not the rows",
		.control_sql = statistics_sql, .has_parents = true, .min_version = 120000},
};

const size_t table_comparison_count = sizeof table_comparisons / sizeof *table_comparisons;

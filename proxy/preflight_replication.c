#include "proxy/preflight_compare.h"

#include "proxy/preflight_sql.h"

/* clang-format off */

/* --- both sides --- */

/* LSNs as bytes, so that a distance can be told. */
static const char position_sql[] =
	"SELECT '' AS key, trunc(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE "
	"pg_current_wal_insert_lsn() END - '0/0'::pg_lsn) AS value, (CASE WHEN "
	"pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() "
	"END)::text AS shown, 'look at the network and at long reads on the standby' AS set";
static const char standby_position_sql[] =
	"SELECT '' AS key, trunc(pg_last_wal_replay_lsn() - '0/0'::pg_lsn) AS value, "
	"pg_last_wal_replay_lsn()::text AS shown WHERE pg_is_in_recovery()";

static const char system_sql[] =
	"SELECT '' AS key, system_identifier AS value FROM pg_control_system()";
static const char standby_system_sql[] =
	"SELECT '' AS key, system_identifier AS value FROM pg_control_system() "
	"WHERE pg_is_in_recovery()";

#define SUBSCRIPTIONS \
	"pg_catalog.pg_subscription s JOIN pg_catalog.pg_database d ON d.oid = s.subdbid " \
	"AND d.datname = current_database()"

/* The candidate's subscriptions say which slots and publications ours are. */
static const char slots_sql[] =
	"SELECT slot_name AS key, CASE WHEN NOT active THEN 'inactive' WHEN "
	"to_jsonb(l)->>'wal_status' IN ('lost', 'unreserved') THEN 'without its WAL' WHEN behind "
	"> 67108864 THEN 'behind by ' || pg_size_pretty(behind) ELSE 'active' END AS value, 'look "
	"at the subscriber''s log; a lost slot needs the tables copied anew' AS set "
	"FROM pg_catalog.pg_replication_slots l, LATERAL (SELECT CASE WHEN pg_is_in_recovery() "
	"THEN 0 ELSE pg_current_wal_insert_lsn() - confirmed_flush_lsn END) AS d (behind) "
	"WHERE slot_type = 'logical'";
static const char wanted_slots_sql[] =
	"SELECT s.subslotname AS key, 'active' AS value, 'wanted active' AS shown, 'DROP "
	"SUBSCRIPTION and CREATE SUBSCRIPTION anew' AS remove FROM " SUBSCRIPTIONS " "
	"WHERE s.subenabled AND s.subslotname IS NOT NULL";

static const char publications_sql[] =
	"SELECT pubname AS key, concat_ws(', ', CASE WHEN pubinsert THEN 'insert' END, CASE WHEN "
	"pubupdate THEN 'update' END, CASE WHEN pubdelete THEN 'delete' END, CASE WHEN "
	"pubtruncate THEN 'truncate' END) AS value, format('ALTER PUBLICATION %I SET (publish = "
	"''insert, update, delete, truncate'')', pubname) AS set FROM pg_catalog.pg_publication";
static const char wanted_publications_sql[] =
	"SELECT DISTINCT p AS key, 'insert, update, delete, truncate' AS value, 'wanted for "
	"insert, update, delete, truncate' AS shown, format('CREATE PUBLICATION %I on the "
	"primary', p) AS remove FROM " SUBSCRIPTIONS ", unnest(s.subpublications) AS p";

static const char filters_sql[] =
	"SELECT pubname AS key, coalesce((SELECT string_agg(r.prrelid::regclass::text, ', ' ORDER "
	"BY r.prrelid::regclass::text) FROM pg_catalog.pg_publication_rel r "
	"WHERE r.prpubid = p.oid AND (r.prqual IS NOT NULL OR r.prattrs IS NOT NULL)), 'none') AS "
	"value, 'only reads inside of the filter can match' AS set FROM pg_catalog.pg_publication "
	"p";
static const char wanted_filters_sql[] =
	"SELECT DISTINCT p AS key, 'none' AS value, 'wanted none' AS shown "
	"FROM " SUBSCRIPTIONS ", unnest(s.subpublications) AS p";

/* What the candidate must publish in the primary's place; not what it subscribes to. */
static const char published_sql[] =
	"SELECT pubname AS key, '' AS value, 'CREATE PUBLICATION as pg_dump --schema-only of the "
	"primary writes it' AS add FROM pg_catalog.pg_publication";
static const char publishing_sql[] =
	"SELECT pubname AS key, '' AS value FROM pg_catalog.pg_publication "
	"UNION SELECT p, '' FROM " SUBSCRIPTIONS ", unnest(s.subpublications) AS p";
static const char publication_shape_sql[] =
	"SELECT pubname AS key, concat_ws(', ', CASE WHEN puballtables THEN 'all tables' END, "
	"CASE WHEN pubinsert THEN 'insert' END, CASE WHEN pubupdate THEN 'update' END, CASE WHEN "
	"pubdelete THEN 'delete' END, CASE WHEN pubtruncate THEN 'truncate' END, CASE WHEN "
	"to_jsonb(p)->>'pubviaroot' = 'true' THEN 'via root' END, 'of ' || (SELECT "
	"string_agg(format('%I.%I', t.schemaname, t.tablename), ' ' ORDER BY t.schemaname, "
	"t.tablename) FROM pg_catalog.pg_publication_tables t WHERE t.pubname = p.pubname)) AS "
	"value, 'ALTER PUBLICATION as on the primary' AS set FROM pg_catalog.pg_publication p";

/* Partitions count as replicated with their root. */
static const char tables_sql[] =
	"SELECT format('%I.%I', n.nspname, c.relname) AS key, 'replicated' AS value, "
	"format('ALTER PUBLICATION ... ADD TABLE %I.%I on the primary, then ALTER SUBSCRIPTION "
	"... REFRESH PUBLICATION', n.nspname, c.relname) AS set FROM pg_catalog.pg_class c "
	"JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r' "
	"AND c.relpersistence <> 't' AND " OF_USERS;
static const char replicated_tables_sql[] =
	"SELECT format('%I.%I', n.nspname, c.relname) AS key, CASE WHEN EXISTS (SELECT "
	"FROM pg_catalog.pg_subscription_rel r WHERE r.srrelid = c.oid OR r.srrelid IN (SELECT "
	"relid FROM pg_partition_ancestors(c.oid) AS a (relid))) THEN 'replicated' ELSE 'in no "
	"subscription' END AS value FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON "
	"n.oid = c.relnamespace WHERE c.relkind = 'r' AND c.relpersistence <> 't' "
	"AND " OF_USERS " AND EXISTS (SELECT FROM " SUBSCRIPTIONS ")";

/* clang-format on */

enum { I = PREFLIGHT_INFORMATION, W = PREFLIGHT_WARNING, NO = COMPARE_SILENT };

const struct comparison replication_comparisons[] = {
	{"replication", "replay position", SCOPE_SERVER, NO, NO, W,
		"reads see old rows: they match late or wait for the fence in vain",
		.control_sql = position_sql, .candidate_sql = standby_position_sql,
		.min_version = 100000, .behind = true, .tolerance = 16 << 20},
	{"replication", "the standby's system identifier", SCOPE_SERVER, NO, NO, W,
		"it is a standby of another cluster: its rows are other rows",
		.control_sql = system_sql, .candidate_sql = standby_system_sql},
	{"replication", "replication slot", SCOPE_DATABASE, NO, W, W,
		"changes don't arrive: what was written since is missing", .control_sql = slots_sql,
		.candidate_sql = wanted_slots_sql},
	{"replication", "publication", SCOPE_DATABASE, NO, W, W,
		"changes that are not published never arrive", .control_sql = publications_sql,
		.candidate_sql = wanted_publications_sql, .min_version = 110000},
	{"replication", "filtered tables of publication", SCOPE_DATABASE, NO, NO, W,
		"rows and columns outside of the filter are missing", .control_sql = filters_sql,
		.candidate_sql = wanted_filters_sql, .min_version = 150000},
	{"publication", "publication", SCOPE_DATABASE, I, NO, NO,
		"after the cut-over its subscribers get nothing", .control_sql = published_sql,
		.candidate_sql = publishing_sql, .min_version = 110000},
	{"publication", "publication", SCOPE_DATABASE, NO, NO, I,
		"after the cut-over its subscribers get other changes",
		.control_sql = publication_shape_sql, .min_version = 110000},
	{"replication", "table", SCOPE_DATABASE, NO, NO, W,
		"its rows are not replicated: reads of it differ as the primary is written to",
		.control_sql = tables_sql, .candidate_sql = replicated_tables_sql,
		.min_version = 120000},
};

const size_t replication_comparison_count =
	sizeof replication_comparisons / sizeof *replication_comparisons;

/* --- one side --- */

/* Up to five names are shown; more are granted by schema. */
#define NAMES "array_to_string((array_agg(name ORDER BY name))[1:5], ', ')"
#define SCHEMAS "string_agg(DISTINCT schema, ', ')"
#define UNREADABLE(things, grant, keyword, privileges)                                             \
	"SELECT format('role %I may not read %s " things ": %s%s', session_user, count(*), " NAMES \
	", CASE WHEN count(*) > 5 THEN ', ...' ELSE '' END), format('GRANT USAGE ON "              \
	"SCHEMA %s TO %I; ', " SCHEMAS ", session_user) || CASE WHEN count(*) > 5 THEN "           \
	"format('GRANT SELECT ON ALL " grant " IN SCHEMA %s TO %I', " SCHEMAS ", session_user) "   \
	"ELSE format('GRANT SELECT ON " keyword "%s TO %I', " NAMES ", session_user) END "         \
	"FROM (SELECT " CLASS_NAME " AS name, quote_ident(n.nspname) AS schema "                   \
	"FROM " CLASSES " WHERE c.relpersistence <> 't' AND " OF_USERS " "                         \
	"AND " privileges ") AS x HAVING count(*) > 0"

const struct observation observations[] = {
	{"readable", W, "reads of them fail with 42501 and are not compared",
		.sql = UNREADABLE("tables or views", "TABLES", "",
			"c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT (has_schema_privilege("
			"session_user, n.oid, 'USAGE') AND (has_table_privilege(session_user, "
			"c.oid, "
			"'SELECT') OR has_any_column_privilege(session_user, c.oid, 'SELECT')))"),
		.of_control = true},
	{"sequence_value", I, "how far they are is not known",
		.sql = UNREADABLE("sequences", "SEQUENCES", "SEQUENCE ",
			"c.relkind = 'S' AND NOT has_sequence_privilege(session_user, c.oid, "
			"'SELECT, USAGE')"),
		.of_control = true, .needs_control = true},
	{"collation", W,
		"indexes of texts were built under another order: rows may be missed, on this side",
		.sql = "SELECT format('database %I was made with collation version %s, the library "
		       "has "
		       "%s', "
		       "datname, datcollversion, pg_database_collation_actual_version(oid)), "
		       "format('REINDEX DATABASE %I; ALTER DATABASE %I REFRESH COLLATION VERSION', "
		       "datname, "
		       "datname) FROM pg_catalog.pg_database WHERE datname = current_database() "
		       "AND datcollversion <> pg_database_collation_actual_version(oid)",
		.min_version = 150000, .of_control = true},
	{"index", W, "reads are slower; a unique one does not keep its promise",
		.sql = "SELECT format('index %s is invalid', i.indexrelid::regclass), "
		       "format('REINDEX INDEX %s', i.indexrelid::regclass) FROM "
		       "pg_catalog.pg_index i "
		       "JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid JOIN "
		       "pg_catalog.pg_namespace n "
		       "ON n.oid = c.relnamespace WHERE NOT i.indisvalid AND c.relkind IN ('i', "
		       "'I') "
		       "AND " OF_USERS},
	{"replication", W, "changes don't arrive: what was written since is missing",
		.sql = "SELECT format('subscription %I is disabled', s.subname), "
		       "format('ALTER SUBSCRIPTION %I ENABLE', s.subname) FROM " SUBSCRIPTIONS
		       " WHERE NOT s.subenabled"},
	{"replication", W, "changes don't arrive: what was written since is missing",
		.sql = "SELECT format('subscription %I is enabled but no worker runs', s.subname), "
		       "'look at the candidate''s log: the connection or a conflict' "
		       "FROM " SUBSCRIPTIONS " WHERE s.subenabled AND NOT EXISTS (SELECT FROM "
		       "pg_catalog.pg_stat_subscription t "
		       "WHERE t.subid = s.oid AND t.pid IS NOT NULL)"},
	{"replication", W, "changes may be stuck behind a conflict",
		.sql = "SELECT format('subscription %I had %s errors when applying, %s when "
		       "copying', "
		       "t.subname, "
		       "t.apply_error_count, t.sync_error_count), 'look at the candidate''s log; "
		       "once "
		       "mended: "
		       "SELECT pg_stat_reset_subscription_stats(NULL)' "
		       "FROM pg_catalog.pg_stat_subscription_stats t JOIN " SUBSCRIPTIONS
		       " ON s.oid = t.subid WHERE t.apply_error_count + t.sync_error_count > 0",
		.min_version = 150000},
	{"replication", W, "its rows are not all there yet: reads of it differ",
		.sql = "SELECT format('table %s is not in step with subscription %I (srsubstate "
		       "%s)', "
		       "r.srrelid::regclass, s.subname, r.srsubstate), 'wait for the copy, or look "
		       "at the "
		       "candidate''s log' FROM pg_catalog.pg_subscription_rel r JOIN " SUBSCRIPTIONS
		       " ON s.oid = r.srsubid WHERE r.srsubstate <> 'r'"},
	{"replication", W, "reads see older and older rows",
		.sql = "SELECT 'replay on the standby is paused', 'SELECT pg_wal_replay_resume()' "
		       "WHERE CASE WHEN pg_is_in_recovery() THEN pg_is_wal_replay_paused() ELSE "
		       "false END",
		.min_version = 100000},
	{"replication", W, "reads see rows that are this old",
		.sql = "SELECT format('the standby replays %s ms late', setting), "
		       "'ALTER SYSTEM SET recovery_min_apply_delay = 0' FROM "
		       "pg_catalog.pg_settings "
		       "WHERE pg_is_in_recovery() AND name = 'recovery_min_apply_delay' AND "
		       "setting <> "
		       "'0'"},
	{"replication", I, "long reads on the standby may be cancelled by replay (40001)",
		.sql = "SELECT 'hot_standby_feedback is off', 'ALTER SYSTEM SET "
		       "hot_standby_feedback = "
		       "on' "
		       "FROM pg_catalog.pg_settings WHERE pg_is_in_recovery() "
		       "AND name = 'hot_standby_feedback' AND setting = 'off'"},
};

const size_t observation_count = sizeof observations / sizeof *observations;

#include "proxy/shadow/classify_parts.h"

#include <ctype.h>
#include <fnmatch.h>
#include <strings.h>

struct name_rule {
	const char *pattern; /* as of fnmatch(3) */
	enum name_kind kind;
};

/* Functions of PostgreSQL and of widespread extensions. The first match counts. */
static const struct name_rule rules[] = {
	/* sequences, large objects, locks, transaction ids */
	{"nextval", NAME_ACTS},
	{"setval", NAME_ACTS},
	{"lo_*", NAME_ACTS},
	{"loread", NAME_ACTS},
	{"lowrite", NAME_ACTS},
	{"pg_advisory_*", NAME_ACTS},
	{"pg_try_advisory_*", NAME_ACTS},
	{"txid_current", NAME_ACTS},
	{"pg_current_xact_id", NAME_ACTS},
	{"currval", NAME_SESSION},
	{"lastval", NAME_SESSION},
	/* settings and time */
	{"set_config", NAME_IS_SETTER},
	{"current_setting", NAME_IS_GETTER},
	{"age", NAME_IS_AGE},
	{"now", NAME_TIME},
	{"transaction_timestamp", NAME_TIME},
	{"statement_timestamp", NAME_TIME},
	/* another value each time */
	{"random", NAME_VOLATILE},
	{"random_normal", NAME_VOLATILE},
	{"setseed", NAME_VOLATILE},
	{"normal_rand", NAME_GENERATOR},
	{"gen_random_uuid", NAME_VOLATILE},
	{"uuidv4", NAME_VOLATILE},
	{"uuidv7", NAME_VOLATILE},
	{"uuid_generate_v1", NAME_GENERATOR},
	{"uuid_generate_v1mc", NAME_GENERATOR},
	{"uuid_generate_v4", NAME_GENERATOR},
	{"gen_random_bytes", NAME_GENERATOR},
	{"gen_salt", NAME_GENERATOR},
	{"pgp_sym_encrypt*", NAME_GENERATOR},
	{"pgp_pub_encrypt*", NAME_GENERATOR},
	{"clock_timestamp", NAME_VOLATILE},
	{"timeofday", NAME_VOLATILE},
	{"array_shuffle", NAME_VOLATILE},
	{"array_sample", NAME_VOLATILE},
	{"bernoulli", NAME_VOLATILE},
	{"system", NAME_VOLATILE},
	{"pg_sleep*", NAME_VOLATILE},
	{"pg_notify", NAME_VOLATILE},
	/* run SQL text that no tree shows */
	{"dblink*", NAME_ACTS},
	{"query_to_xml*", NAME_TEXT},
	{"cursor_to_xml*", NAME_TEXT},
	{"table_to_xml*", NAME_TEXT},
	{"schema_to_xml*", NAME_TEXT},
	{"database_to_xml*", NAME_TEXT},
	{"ts_stat", NAME_TEXT},
	{"ts_rewrite", NAME_TEXT},
	{"xpath_table", NAME_TEXT},
	{"crosstab*", NAME_TEXT},
	{"connectby", NAME_TEXT},
	/* administration */
	{"brin_desummarize_range", NAME_ACTS},
	{"brin_summarize_*", NAME_ACTS},
	{"gin_clean_pending_list", NAME_ACTS},
	{"pg_terminate_backend", NAME_ACTS},
	{"pg_cancel_backend", NAME_ACTS},
	{"pg_reload_conf", NAME_ACTS},
	{"pg_rotate_logfile*", NAME_ACTS},
	{"pg_logdir_ls", NAME_SERVER},
	{"pg_promote", NAME_ACTS},
	{"pg_switch_*", NAME_ACTS},
	{"pg_create_*", NAME_ACTS},
	{"pg_drop_*", NAME_ACTS},
	{"pg_copy_*", NAME_ACTS},
	{"pg_backup_*", NAME_ACTS},
	{"pg_start_backup", NAME_ACTS},
	{"pg_stop_backup", NAME_ACTS},
	{"pg_logical_*", NAME_ACTS},
	{"pg_sync_replication_slots", NAME_ACTS},
	{"pg_replication_*", NAME_ACTS},
	{"pg_stat_*reset*", NAME_ACTS},
	{"pg_stat_force_next_flush", NAME_ACTS},
	{"pg_stat_clear_snapshot", NAME_ACTS},
	{"pg_export_snapshot", NAME_ACTS},
	{"pg_wal_replay_pause", NAME_ACTS},
	{"pg_wal_replay_resume", NAME_ACTS},
	{"pg_import_system_collations", NAME_ACTS},
	{"pg_restore_*", NAME_ACTS},
	{"pg_clear_*", NAME_ACTS},
	{"pg_log_*", NAME_ACTS},
	{"pg_nextoid", NAME_ACTS},
	{"pg_stop_making_pinned_objects", NAME_ACTS},
	{"pg_extension_config_dump", NAME_ACTS},
	{"binary_upgrade_*", NAME_ACTS},
	{"pg_file_*", NAME_ACTS},
	{"pg_prewarm", NAME_ACTS},
	{"autoprewarm_*", NAME_ACTS},
	{"pg_buffercache_evict*", NAME_ACTS},
	{"pg_truncate_*", NAME_ACTS},
	{"heap_force_*", NAME_ACTS},
	{"postgres_fdw_*", NAME_ACTS},
	{"pg_stop_*", NAME_ACTS},
	/* pure functions that only look like administration */
	{"pg_size_pretty", NAME_ORDINARY},
	{"pg_size_bytes", NAME_ORDINARY},
	{"pg_wal_lsn_diff", NAME_ORDINARY},
	{"pg_input_is_valid", NAME_ORDINARY},
	{"pg_input_error_info", NAME_ORDINARY},
	{"pg_collation_for", NAME_ORDINARY},
	{"pg_client_encoding", NAME_ORDINARY},
	/* belong to one server, one connection or one role */
	{"pg_*", NAME_SERVER},
	{"txid_*", NAME_SERVER},
	{"inet_client_*", NAME_SERVER},
	{"inet_server_*", NAME_SERVER},
	{"has_*_privilege", NAME_SERVER},
	{"row_security_active", NAME_SERVER},
	{"version", NAME_SERVER},
	{"current_database", NAME_SERVER},
	{"current_query", NAME_SERVER},
	{"current_schemas", NAME_SERVER},
	{"currtid*", NAME_SERVER},
	{"current_user", NAME_SERVER},
	{"session_user", NAME_SERVER},
	{"current_role", NAME_SERVER},
	{"getpgusername", NAME_SERVER},
	{"icu_unicode_version", NAME_SERVER},
	{"unicode_version", NAME_SERVER},
	{"system_user", NAME_SERVER},
	{"to_reg*", NAME_SERVER},
	{"regclass", NAME_SERVER},
	{"regproc", NAME_SERVER},
	{"regprocedure", NAME_SERVER},
	{"regoper", NAME_SERVER},
	{"regoperator", NAME_SERVER},
	{"regtype", NAME_SERVER},
	{"regrole", NAME_SERVER},
	{"regnamespace", NAME_SERVER},
	{"regconfig", NAME_SERVER},
	{"regdictionary", NAME_SERVER},
	{"regcollation", NAME_SERVER},
	{"col_description", NAME_SERVER},
	{"obj_description", NAME_SERVER},
	{"shobj_description", NAME_SERVER},
	{"format_type", NAME_SERVER},
	{"makeaclitem", NAME_SERVER},
	{"aclexplode", NAME_SERVER},
	{"acldefault", NAME_SERVER},
	{"mxid_age", NAME_SERVER},
};

enum name_kind function_kind(const char *name, bool builtin)
{
	for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
		bool open = rules[i].kind >= NAME_VOLATILE; /* another function may bear the name */

		if ((builtin || !open) && fnmatch(rules[i].pattern, name, 0) == 0)
			return rules[i].kind;
	}
	return NAME_ORDINARY;
}

static bool listed(const char *name, const char *const *list)
{
	for (; *list; list++)
		if (strcmp(*list, name) == 0)
			return true;
	return false;
}

/* Common functions whose every overload in pg_catalog is stable or immutable. */
bool function_well_known(const char *name)
{
	static const char *const names[] = {"count", "sum", "min", "max", "avg", "lower", "upper",
		"length", "char_length", "octet_length", "substring", "substr", "position",
		"strpos", "btrim", "ltrim", "rtrim", "trim", "replace", "translate", "concat",
		"concat_ws", "left", "right", "lpad", "rpad", "repeat", "reverse", "split_part",
		"initcap", "md5", "sha256", "encode", "decode", "ascii", "chr", "format",
		"quote_ident", "quote_literal", "abs", "ceil", "ceiling", "floor", "round", "trunc",
		"sign", "mod", "div", "power", "sqrt", "exp", "ln", "log", "greatest", "least",
		"array_agg", "string_agg", "json_agg", "jsonb_agg", "json_object_agg",
		"jsonb_object_agg", "json_build_object", "jsonb_build_object", "json_build_array",
		"jsonb_build_array", "to_json", "to_jsonb", "row_to_json", "json_array_elements",
		"jsonb_array_elements", "json_each", "jsonb_each", "jsonb_set", "array_length",
		"cardinality", "unnest", "array_to_string", "string_to_array", "array_append",
		"array_cat", "array_position", "generate_series", "date_trunc", "date_part",
		"extract", "to_char", "to_date", "to_timestamp", "to_number", "make_date",
		"make_interval", "timezone", "row_number", "rank", "dense_rank", "percent_rank",
		"cume_dist", "ntile", "lag", "lead", "first_value", "last_value", "nth_value",
		"bool_and", "bool_or", "every", "stddev", "variance", "percentile_cont",
		"percentile_disc", "mode", "overlay", "like_escape", "similar_to_escape",
		"regexp_replace", "regexp_matches", "regexp_match", "to_tsvector", "to_tsquery",
		"plainto_tsquery", "ts_rank", "coalesce", "nullif", "overlaps", NULL};

	return listed(name, names);
}

bool aggregate_leaks(const char *name)
{
	static const char *const names[] = {"array_agg", "string_agg", "json_agg", "jsonb_agg",
		"json_agg_strict", "jsonb_agg_strict", "json_object_agg", "jsonb_object_agg",
		"json_object_agg_strict", "json_object_agg_unique", "json_object_agg_unique_strict",
		"jsonb_object_agg_strict", "jsonb_object_agg_unique",
		"jsonb_object_agg_unique_strict", "xmlagg", "any_value", "mode", "first", "last",
		"array_cat_agg", "array_concat_agg", "hstore_agg", "st_makeline", "st_collect",
		NULL};

	return listed(name, names);
}

bool function_aggregates(const char *name)
{
	static const char *const names[] = {"count", "sum", "avg", "min", "max", "bool_and",
		"bool_or", "every", "stddev", "variance", "array_agg", "string_agg", "json_agg",
		"jsonb_agg", NULL};

	return listed(name, names);
}

bool window_leaks(const char *name)
{
	static const char *const names[] = {"row_number", "ntile", "lag", "lead", "first_value",
		"last_value", "nth_value", NULL};

	return listed(name, names);
}

bool column_is_system(const char *name)
{
	static const char *const names[] = {
		"ctid", "xmin", "xmax", "cmin", "cmax", "tableoid", NULL};

	return listed(name, names);
}

bool schema_is_system(const char *name)
{
	return strcmp(name, "pg_catalog") == 0 || strcmp(name, "information_schema") == 0 ||
	       strncmp(name, "pg_toast", 8) == 0;
}

bool schema_is_temporary(const char *name)
{
	return strcmp(name, "pg_temp") == 0 || strncmp(name, "pg_temp_", 8) == 0;
}

bool type_is_reg(const char *name)
{
	static const char *const names[] = {"regclass", "regproc", "regprocedure", "regoper",
		"regoperator", "regtype", "regrole", "regnamespace", "regconfig", "regdictionary",
		"regcollation", "regdatabase", NULL};

	return listed(name, names);
}

bool type_is_time(const char *name)
{
	static const char *const names[] = {"date", "time", "timetz", "timestamp", "timestamptz",
		"daterange", "tsrange", "tstzrange", "datemultirange", "tsmultirange",
		"tstzmultirange", "abstime", NULL};

	return listed(name, names);
}

bool text_is_time_word(const char *text)
{
	size_t len;

	while (isspace((unsigned char)*text))
		text++;
	len = strlen(text);
	while (len > 0 && isspace((unsigned char)text[len - 1]))
		len--;
	return is_time_word(text, len);
}

static bool entry_names(const char *entry, size_t len, const char *schema, const char *name)
{
	size_t prefix = schema ? strlen(schema) : 0;

	if (strlen(name) == len && memcmp(entry, name, len) == 0)
		return true;
	return schema && len == prefix + 1 + strlen(name) && entry[prefix] == '.' &&
	       memcmp(entry, schema, prefix) == 0 &&
	       memcmp(entry + prefix + 1, name, strlen(name)) == 0;
}

bool name_allowed(const char *list, const char *schema, const char *name)
{
	while (list && *list) {
		size_t len;

		list += strspn(list, " \t,");
		len = strcspn(list, " \t,");
		if (len > 0 && entry_names(list, len, schema, name))
			return true;
		list += len;
	}
	return false;
}

#include "proxy/shadow/mirror_settings.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

static const char READ_ONLY[] = "would free the candidate from read-only transactions";
static const char TIME_LIMIT[] = "would free the candidate from its time limits";
static const char IDENTITY[] = "would change role or rights";
static const char OURS[] = "names pgumbra's connections";
static const char PLANNER[] = "changes plans and resources, not answers";
static const char SERVER[] = "acts on the server or its log, not on answers";
static const char FIXED[] = "is reported by the server and cannot be set";

/* A name that ends in '*' stands for all names that begin so. */
static const struct {
	const char *name, *reason;
} REFUSED[] = {
	{"transaction_read_only", READ_ONLY},
	{"default_transaction_read_only", READ_ONLY},
	{"transaction_isolation", READ_ONLY},
	{"default_transaction_isolation", READ_ONLY},
	{"transaction_deferrable", READ_ONLY},
	{"default_transaction_deferrable", READ_ONLY},

	{"statement_timeout", TIME_LIMIT},
	{"lock_timeout", TIME_LIMIT},
	{"transaction_timeout", TIME_LIMIT},
	{"idle_in_transaction_session_timeout", TIME_LIMIT},
	{"idle_session_timeout", TIME_LIMIT},
	{"deadlock_timeout", TIME_LIMIT},
	{"client_connection_check_interval", TIME_LIMIT},
	{"tcp_*", TIME_LIMIT},
	{"temp_file_limit", TIME_LIMIT},

	{"role", IDENTITY},
	{"session_authorization", IDENTITY},
	{"session_replication_role", IDENTITY},
	{"lo_compat_privileges", IDENTITY},
	{"createrole_self_grant", IDENTITY},
	{"allow_system_table_mods", IDENTITY},
	{"allow_in_place_tablespaces", IDENTITY},
	{"password_encryption", IDENTITY},

	{"application_name", OURS},

	{"enable_*", PLANNER},
	{"geqo*", PLANNER},
	{"jit*", PLANNER},
	{"cpu_*", PLANNER},
	{"parallel_*", PLANNER},
	{"max_parallel_*", PLANNER},
	{"min_parallel_*", PLANNER},
	{"force_parallel_mode", PLANNER},
	{"debug_parallel_query", PLANNER},
	{"seq_page_cost", PLANNER},
	{"random_page_cost", PLANNER},
	{"recursive_worktable_factor", PLANNER},
	{"cursor_tuple_fraction", PLANNER},
	{"constraint_exclusion", PLANNER},
	{"default_statistics_target", PLANNER},
	{"from_collapse_limit", PLANNER},
	{"join_collapse_limit", PLANNER},
	{"plan_cache_mode", PLANNER},
	{"synchronize_seqscans", PLANNER},
	{"work_mem", PLANNER},
	{"hash_mem_multiplier", PLANNER},
	{"maintenance_work_mem", PLANNER},
	{"logical_decoding_work_mem", PLANNER},
	{"autovacuum_work_mem", PLANNER},
	{"temp_buffers", PLANNER},
	{"max_stack_depth", PLANNER},
	{"effective_*", PLANNER},
	{"maintenance_io_concurrency", PLANNER},
	{"io_*", PLANNER},
	{"vacuum_*", PLANNER},
	{"backend_flush_after", PLANNER},

	{"log_*", SERVER},
	{"debug_*", SERVER},
	{"trace_*", SERVER},
	{"track_*", SERVER},
	{"stats_*", SERVER},
	{"compute_query_id", SERVER},
	{"client_min_messages", SERVER},
	{"update_process_title", SERVER},
	{"exit_on_error", SERVER},
	{"local_preload_libraries", SERVER},
	{"session_preload_libraries", SERVER},
	{"dynamic_library_path", SERVER},
	{"extension_control_path", SERVER},
	{"jit_provider", SERVER},
	{"synchronous_commit", SERVER},
	{"commit_delay", SERVER},
	{"commit_siblings", SERVER},
	{"wal_*", SERVER},
	{"zero_damaged_pages", SERVER},
	{"ignore_checksum_failure", SERVER},
	{"ignore_system_indexes", SERVER},
	{"ignore_invalid_pages", SERVER},
	{"default_tablespace", SERVER},
	{"temp_tablespaces", SERVER},
	{"default_table_access_method", SERVER},
	{"default_toast_compression", SERVER},
	{"event_triggers", SERVER},
	{"seed", SERVER},
	{"auto_explain.*", SERVER},
	{"pg_stat_statements.*", SERVER},
	{"pgaudit.*", SERVER},
	{"pg_hint_plan.*", PLANNER},

	{"server_version*", FIXED},
	{"server_encoding", FIXED},
	{"integer_datetimes", FIXED},
	{"in_hot_standby", FIXED},
	{"is_superuser", FIXED},
	{"scram_iterations", FIXED},
};

static bool name_matches(const char *pattern, const char *name)
{
	size_t n;

	if ((name[0] | 0x20) != pattern[0]) /* patterns begin with a small letter */
		return false;
	n = strlen(pattern);
	if (pattern[n - 1] == '*')
		return strncasecmp(pattern, name, n - 1) == 0;
	return strcasecmp(pattern, name) == 0;
}

const char *setting_refusal(const char *name)
{
	for (size_t i = 0; i < sizeof REFUSED / sizeof *REFUSED; i++)
		if (name_matches(REFUSED[i].name, name))
			return REFUSED[i].reason;

	return NULL;
}

bool setting_is_custom(const char *name)
{
	return strchr(name, '.') != NULL;
}

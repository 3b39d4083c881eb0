/* The one table of settings. Parser, defaults, checks, manual and INI form come from it. */
#include "conf/settings.h"

#define KB 1024.0
#define MB (1024.0 * 1024)
#define GB (1024.0 * 1024 * 1024)
#define MS 1e3
#define SEC 1e6
#define DAY 86400e6
#define LIVE RELOAD_LIVE
#define RESTART RELOAD_RESTART

/* clang-format off */
static const struct setting_definition table[] = {
	/* section, key, type, default, minimum, maximum, allowed, reload, reserved, unit, help, built */
	{"pgumbra", "listen", SETTING_LIST, "127.0.0.1:6432", 0, 0, "", RESTART, false, "addresses",
		"where clients connect: host:port, [v6]:port, /dir:port (unix socket), comma-separated", NULL},
	{"pgumbra", "relay_threads", SETTING_INTEGER, "1", 1, 64, "", RESTART, false, "threads",
		"threads that relay sessions, each with a listener and a tape of its own", NULL},
	{"pgumbra", "max_sessions", SETTING_INTEGER, "5000", 1, 1e6, "", RESTART, false, "sessions",
		"sessions at one time; further ones are refused with 53300", NULL},
	{"pgumbra", "log_level", SETTING_ENUM, "info", 0, 0, "error|warning|info|debug", LIVE, false, "",
		"what the operator's log on stderr says", NULL},
	{"pgumbra", "listen_backlog", SETTING_INTEGER, "1024", 1, 65535, "", RESTART, false, "connections",
		"that may wait to be accepted, for each socket; the kernel's net.core.somaxconn caps it", NULL},
	{"pgumbra", "runtime_dir", SETTING_STRING, "", 0, 0, "", RESTART, false, "directory",
		"where run-time files are kept: the socket `takeover`, at which `pgumbra run --take-over` gets the listening "
		"sockets; empty: no hand-over", NULL},
	{"pgumbra", "core_dumps", SETTING_BOOL, "off", 0, 0, "", RESTART, false, "",
		"off: no core is dumped and no other process of the same user may look into the memory, which holds "
		"clients' traffic and keys", NULL},
	{"pgumbra", "drain_timeout", SETTING_DURATION, "60s", 0, DAY, "", LIVE, false, "",
		"how long SIGTERM waits for sessions to end", NULL},
	{"pgumbra", "login_timeout", SETTING_DURATION, "60s", SEC, 3600 * SEC, "", LIVE, false, "",
		"how long a client may take from connecting until it is authenticated", NULL},

	{"pgumbra", "startup_timeout", SETTING_DURATION, "15s", SEC, 3600 * SEC, "", LIVE, false, "",
		"how long of that a client may take until its startup packet is complete: with PROXY header and TLS handshake",
		NULL},
	{"pgumbra", "max_logins", SETTING_INTEGER, "1024", 1, 1e6, "", RESTART, false, "connections",
		"connections at one time that are not authenticated yet, cancel requests among them; further ones are closed "
		"at once", NULL},
	{"pgumbra", "proxy_protocol_from", SETTING_LIST, "", 0, 0, "", RESTART, false, "networks",
		"load balancers: who connects from these addresses or networks (`10.0.0.0/8`; `unix`: by a unix socket) must "
		"begin with a PROXY header, version 1 or 2, that says who the client is; nobody else may", NULL},
	{"pgumbra", "tcp_keepalives_idle", SETTING_DURATION, "0", 0, DAY, "", RESTART, false, "",
		"silence of a client after which TCP looks whether it is still there, in whole seconds; 0: the system's", NULL},
	{"pgumbra", "tcp_keepalives_interval", SETTING_DURATION, "0", 0, DAY, "", RESTART, false, "",
		"time between such looks; 0: the system's", NULL},
	{"pgumbra", "tcp_keepalives_count", SETTING_INTEGER, "0", 0, 127, "", RESTART, false, "looks",
		"unanswered looks after which a client is gone; 0: the system's", NULL},
	{"pgumbra", "tcp_user_timeout", SETTING_DURATION, "0", 0, DAY, "", RESTART, false, "",
		"how long what was sent to a client may stay unacknowledged; 0: the system's. To the primary: keepalives* and "
		"tcp_user_timeout of its conninfo", NULL},

	{"client_tls", "sslmode", SETTING_ENUM, "disable", 0, 0, "disable|allow|require|verify-ca|verify-full",
		RESTART, false, "", "TLS between clients and pgumbra. allow: offered; require: asked for; verify-ca: with a "
		"certificate of ca_file's authorities; verify-full: its common name is the user. Unix sockets need none", NULL},
	{"client_tls", "cert_file", SETTING_STRING, "", 0, 0, "", LIVE, false, "file",
		"pgumbra's certificate and those between it and its authority, PEM. The primary's own, with its key, lets "
		"SCRAM pass with TLS on both legs", NULL},
	{"client_tls", "key_file", SETTING_STRING, "", 0, 0, "", LIVE, false, "file",
		"the certificate's key, PEM, without a passphrase, readable by its owner only", NULL},
	{"client_tls", "ca_file", SETTING_STRING, "", 0, 0, "", LIVE, false, "file",
		"authorities of client certificates, PEM, for verify-ca and verify-full", NULL},
	{"client_tls", "min_protocol_version", SETTING_ENUM, "TLSv1.2", 0, 0, "TLSv1.2|TLSv1.3",
		RESTART, false, "", "oldest TLS version accepted", NULL},

	{"primary", "conninfo", SETTING_CONNINFO, "", 0, 0, "", LIVE, false, "connection string",
		"the primary: host, hostaddr, port, sslmode, sslrootcert, sslcert, sslkey, connect_timeout, "
		"keepalives*, tcp_user_timeout, target_session_attrs; several hosts are tried in order, those that did not "
		"answer lately last. sslmode is libpq's, prefer when not given: TLS if the primary has it, otherwise none. "
		"host, hostaddr, port and target_session_attrs may change live (not with auth_query), for new sessions",
		NULL},
	{"primary", "resolve_interval", SETTING_DURATION, "10s", SEC, DAY, "", LIVE, false, "",
		"how often names in conninfo are resolved again, for new sessions; sooner after a failed connection", NULL},
	{"primary", "monitor", SETTING_CONNINFO, "", 0, 0, "", LIVE, false, "connection string",
		"user, password or passfile, dbname (postgres when not given) with which each host of conninfo is asked "
		"whether it is what target_session_attrs wants; empty: those of control.conninfo", NULL},
	{"primary", "monitor_interval", SETTING_DURATION, "1s", 100 * MS, 3600 * SEC, "", LIVE, false, "",
		"how often it is asked", NULL},
	{"primary", "auth", SETTING_ENUM, "relay", 0, 0, "relay|scram", RESTART, false, "",
		"relay: authentication passes to the primary untouched; scram: clients prove their password here by "
		"SCRAM-SHA-256, and pgumbra with their key to the primary; needs auth_file or auth_query", NULL},
	{"primary", "auth_file", SETTING_STRING, "", 0, 0, "", LIVE, false, "file",
		"SCRAM secrets of roles in PgBouncer's format, the same as on the primary (pg_authid.rolpassword): "
		"\"role\" \"SCRAM-SHA-256$...\"; readable by its owner only", NULL},
	{"primary", "auth_query", SETTING_STRING, "", 0, 0, "", RESTART, false, "SQL",
		"query at the primary that gives the SCRAM secret of role $1 in its only or second column; "
		"schema-qualified, since search_path is empty", NULL},
	{"primary", "auth_user", SETTING_STRING, "", 0, 0, "", RESTART, false, "role",
		"role that runs auth_query; its password comes from a passfile", NULL},
	{"primary", "auth_dbname", SETTING_STRING, "postgres", 0, 0, "", RESTART, false, "name",
		"database that auth_query runs in", NULL},
	{"primary", "allow_trust", SETTING_BOOL, "off", 0, 0, "", RESTART, false, "",
		"run although the primary lets pgumbra's host in without a challenge and others can reach "
		"the listen addresses", NULL},

	{"candidate", "conninfo", SETTING_CONNINFO, "", 0, 0, "", RESTART, false, "connection string",
		"the candidate, with a role that can only read; without dbname: the client's database", NULL},
	{"candidate", "databases", SETTING_LIST, "", 0, 0, "", RESTART, false, "client=candidate",
		"database names of clients and the candidate's names for them; reads of others are "
		"skipped(other_database)", NULL},
	{"candidate", "pool_size", SETTING_INTEGER, "4", 1, 1000, "", RESTART, false, "connections",
		"connections that dark reads share", NULL},
	{"candidate", "statement_timeout", SETTING_DURATION, "30s", MS, DAY, "", RESTART, false, "",
		"the longest that one dark read may take", NULL},
	{"candidate", "queue_bytes", SETTING_SIZE, "64MB", 64 * KB, 64 * GB, "", RESTART, false, "",
		"bytes of dark reads that may wait; further ones are dropped(queue_full)", NULL},
	{"candidate", "queue_reads", SETTING_INTEGER, "10000", 1, 1e7, "", RESTART, false, "reads",
		"dark reads that may wait; further ones are dropped(queue_full). Past half of it the "
		"shapes of statements have equal shares, so that rare ones find room", NULL},
	{"candidate", "max_rate", SETTING_INTEGER, "0", 0, 1e7, "", RESTART, false, "reads/s",
		"dark reads started a second, 0: no limit; further ones are dropped(rate)", NULL},
	{"candidate", "breaker_failures", SETTING_INTEGER, "10", 1, 1e6, "", RESTART, false, "failures",
		"failures in a row after which the candidate is left alone for breaker_open_time", NULL},
	{"candidate", "breaker_open_time", SETTING_DURATION, "10s", 10 * MS, DAY, "", RESTART, false, "",
		"how long, before one read tries again", NULL},
	{"candidate", "allow_unsafe_role", SETTING_BOOL, "off", 0, 0, "", RESTART, false, "",
		"run although the role on the candidate could write there, or the candidate is the primary "
		"itself (--allow-unsafe-role)", NULL},
	{"candidate", "impersonate", SETTING_ENUM, "none", 0, 0, "none|set_role", RESTART, false, "",
		"set_role: each dark read runs as the role that the client had, so that row security can be "
		"compared; conninfo's role must be a member of the applications' roles without inheriting "
		"from them", NULL},
	{"candidate", "fence", SETTING_ENUM, "auto", 0, 0, "auto|none|physical|logical|slot|heartbeat",
		RESTART, false, "", "how a re-check knows that the candidate has caught up; auto: physical for a standby, logical "
		"for a subscriber, else none (back-off only); heartbeat: a row that moves, for what feeds the candidate in "
		"any other way", NULL},
	{"candidate", "fence_slot", SETTING_STRING, "", 0, 0, "", RESTART, false, "slot",
		"replication slot on the primary that feeds the candidate", NULL},
	{"candidate", "fence_table", SETTING_STRING, "", 0, 0, "", RESTART, false, "[schema.]table",
		"table of one row whose column beat (bigint) grows on the primary and reaches the candidate in the order of "
		"commits; where the control's role may UPDATE it pgumbra adds one itself, else another job must keep it moving", NULL},
	{"candidate", "fence_timeout", SETTING_DURATION, "10s", MS, DAY, "", RESTART, false, "",
		"longest wait for the fence", NULL},

	{"control", "conninfo", SETTING_CONNINFO, "", 0, 0, "", RESTART, false, "connection string",
		"the primary again with a role that can only read, or a standby of it; without it no "
		"difference can be verified", NULL},
	{"control", "impersonate", SETTING_ENUM, "none", 0, 0, "none|set_role", RESTART, false, "",
		"the same for the control; needed as soon as a candidate does so", NULL},

	{"shadow", "enabled", SETTING_BOOL, "on", 0, 0, "", RESTART, false, "",
		"off: relay only, nothing is observed", NULL},
	{"shadow", "sample", SETTING_REAL, "1", 0, 1, "", RESTART, false, "share",
		"share of executions that become dark reads", NULL},
	{"shadow", "shape_rate", SETTING_INTEGER, "0", 0, 1e7, "", LIVE, true, "reads/s",
		"dark reads a second of one shape, 0: no limit", NULL},
	{"shadow", "include", SETTING_STRING, "", 0, 0, "", LIVE, true, "regular expression",
		"only statements whose normalised text matches", NULL},
	{"shadow", "exclude", SETTING_STRING, "", 0, 0, "", LIVE, true, "regular expression",
		"no statements whose normalised text matches", NULL},
	{"shadow", "allow_functions", SETTING_LIST, "", 0, 0, "", RESTART, false, "names",
		"volatile functions that reads may call all the same, plain or schema-qualified", NULL},
	{"shadow", "tape_size", SETTING_SIZE, "64MB", 64 * KB, 16 * GB, "", RESTART, false, "",
		"shared memory between relay and shadow, for each relay thread", NULL},
	{"shadow", "max_message_bytes", SETTING_SIZE, "1MB", 1 * KB, 1 * GB, "", RESTART, false, "",
		"messages over it are not taken", NULL},
	{"shadow", "max_result_bytes", SETTING_SIZE, "8MB", 1 * KB, 16 * GB, "", RESTART, false, "",
		"rows of one result taken; past it the result is dropped(tape_rows)", NULL},
	{"shadow", "max_sql_bytes", SETTING_SIZE, "64kB", 1 * KB, 1 * MB, "", RESTART, false, "",
		"longer statements are skipped(too_long)", NULL},
	{"shadow", "latency_budget", SETTING_DURATION, "5ms", 0, SEC, "", LIVE, false, "",
		"copying in one turn of a relay thread (99%), or its mean wait for a core: past it "
		"shadowing is shed until it is well again; 0: never", NULL},
	{"shadow", "nice", SETTING_INTEGER, "10", 0, 19, "", RESTART, false, "niceness",
		"of parsing, mirroring and comparing", NULL},

	{"verify", "attempts", SETTING_INTEGER, "3", 1, 100, "", RESTART, false, "times",
		"agreeing re-checks that make a difference a mismatch; three times as many where the data was seen to move", NULL},
	{"verify", "backoff", SETTING_DURATION, "200ms", MS, 3600 * SEC, "", RESTART, false, "",
		"first wait between re-checks; doubles, jittered", NULL},
	{"verify", "max_rate", SETTING_INTEGER, "100", 1, 1e6, "", RESTART, false, "re-checks/s",
		"re-checks a second, so that a wrong candidate can't load the primary; further ones are "
		"unverifiable(rate)", NULL},
	{"verify", "queue_reads", SETTING_INTEGER, "10000", 1, 1e7, "", RESTART, false, "reads",
		"differences that may wait for a re-check", NULL},
	{"verify", "quiet_wait", SETTING_DURATION, "60s", 0, DAY, "", RESTART, false, "",
		"how long a difference may wait for a moment in which its data does not change; then it is "
		"unverifiable(moving)", NULL},
	{"verify", "quiet_reads", SETTING_INTEGER, "1000", 0, 1e7, "", RESTART, false, "reads",
		"differences that may wait so; further ones are unverifiable(quiet_queue)", NULL},
	{"verify", "noise_sample", SETTING_REAL, "0.001", 0, 1, "", RESTART, false, "share",
		"share of matched reads that the control is asked too, within max_rate: how often it differs is the noise of "
		"the shape, in which a difference of the candidate must be seen", NULL},

	{"compare", "float_tolerance", SETTING_REAL, "0", 0, 1, "", RESTART, false, "relative",
		"difference of floating-point values that is still equal", NULL},
	{"compare", "float_ulp", SETTING_INTEGER, "0", 0, 1e6, "", RESTART, false, "units",
		"difference that is still equal, in units in the last place", NULL},
	{"compare", "float_aggregates", SETTING_ENUM, "summation", 0, 0, "summation|exact", RESTART, false, "",
		"sum, avg, stddev and their like over floats, as far as the statement shows them. summation: equal if "
		"the order in which rows were added explains the difference (2^-33 of a float8, 2^-16 of a float4); "
		"exact: like other floats", NULL},
	{"compare", "numeric_scale", SETTING_ENUM, "exact", 0, 0, "exact|ignore_trailing_zeros", RESTART, false, "",
		"whether 1.0 and 1.00 differ, as numeric(p,s) of another scale does", NULL},
	{"compare", "timestamp_precision", SETTING_INTEGER, "6", 0, 6, "", RESTART, false, "digits",
		"digits of the second that count in timestamp, timestamptz and time: values that are less than one unit "
		"of the last one apart are equal. Text only in DateStyle ISO", NULL},
	{"compare", "timestamptz", SETTING_ENUM, "text", 0, 0, "text|instant", RESTART, false, "",
		"whether an instant written in another time zone differs. Text only in DateStyle ISO", NULL},
	{"compare", "interval", SETTING_ENUM, "exact", 0, 0, "exact|value", RESTART, false, "",
		"value: as interval's = has it, 1 mon is 30 days and 1 day 24:00:00. Text only in IntervalStyle postgres",
		NULL},
	{"compare", "json", SETTING_ENUM, "text", 0, 0, "text|value", RESTART, false, "",
		"compare json by its text or by its value, as = of jsonb has it", NULL},
	{"compare", "bpchar", SETTING_ENUM, "exact", 0, 0, "exact|ignore_padding", RESTART, false, "",
		"whether char(n) values differ in blanks at the end, or in n", NULL},
	{"compare", "bytea", SETTING_ENUM, "text", 0, 0, "text|value", RESTART, false, "",
		"value: the same bytes as hex and as escapes are equal", NULL},
	{"compare", "uuid", SETTING_ENUM, "text", 0, 0, "text|value", RESTART, false, "",
		"value: capitals, braces and hyphens don't count", NULL},
	{"compare", "inet", SETTING_ENUM, "text", 0, 0, "text|value", RESTART, false, "",
		"value: inet and cidr of a single address are equal with and without /32 or /128", NULL},

	{"waiver", "match", SETTING_STRING, "", 0, 0, "", RESTART, false, "normalised text",
		"statements that it is for, as the report gives their normalised text (white space apart); * is any", NULL},
	{"waiver", "candidate", SETTING_STRING, "", 0, 0, "", RESTART, false, "name",
		"only this candidate; empty: all", NULL},
	{"waiver", "columns", SETTING_LIST, "", 0, 0, "", RESTART, false, "names",
		"only differences within these output columns; empty: anywhere", NULL},
	{"waiver", "accept", SETTING_LIST, "", 0, 0, "", RESTART, false, "classes, hints, SQLSTATEs",
		"differences accepted: a class (values, missing_rows, order, error, ...), a hint (numeric_scale, "
		"float_ulp, collation, ...: then every cell that differs must have one of them), or an SQLSTATE", NULL},
	{"waiver", "reason", SETTING_STRING, "", 0, 0, "", RESTART, false, "text", "why it is accepted", NULL},
	{"waiver", "owner", SETTING_STRING, "", 0, 0, "", RESTART, false, "text", "who answers for it", NULL},
	{"waiver", "expires", SETTING_STRING, "", 0, 0, "", RESTART, false, "YYYY-MM-DD",
		"the last day (UTC) on which it waives", NULL},

	{"rewrite", "match", SETTING_STRING, "", 0, 0, "", LIVE, true, "normalised text",
		"statements that it is for", NULL},
	{"rewrite", "candidate", SETTING_STRING, "", 0, 0, "", LIVE, true, "name", "only this candidate", NULL},
	{"rewrite", "sql", SETTING_STRING, "", 0, 0, "", LIVE, true, "SQL",
		"run on the candidate in its place; $n is the n-th placeholder of the normalised text", NULL},

	{"discrepancies", "path", SETTING_STRING, "", 0, 0, "", RESTART, false, "file",
		"the discrepancy log, JSON Lines; empty: none is written", NULL},
	{"discrepancies", "values", SETTING_ENUM, "hashed", 0, 0, "hashed|full|none", RESTART, false, "",
		"how parameters, cells and literals stand in it", NULL},
	{"discrepancies", "key_file", SETTING_STRING, "", 0, 0, "", RESTART, false, "file",
		"key of the hashes, made at first start; empty: path with .key appended", NULL},
	{"discrepancies", "examples_per_shape", SETTING_INTEGER, "10", 0, 1e6, "", RESTART, false, "records",
		"full records for each shape, candidate, outcome and class; further ones only count", NULL},
	{"discrepancies", "max_bytes", SETTING_SIZE, "1GB", 1 * MB, 16384 * GB, "", RESTART, false, "",
		"size of the log past which discrepancies only count", NULL},
	{"discrepancies", "books_interval", SETTING_DURATION, "10s", 100 * MS, 3600 * SEC, "", RESTART, false, "",
		"how often the books are written", NULL},

	{"admin", "database", SETTING_STRING, "pgumbra", 0, 0, "", RESTART, true, "name",
		"database name of the admin console", NULL},
	{"admin", "admin_users", SETTING_LIST, "", 0, 0, "", LIVE, true, "roles",
		"who may run every admin command", NULL},
	{"admin", "stats_users", SETTING_LIST, "", 0, 0, "", LIVE, true, "roles",
		"who may run SHOW in the admin console", NULL},
	{"admin", "auth_file", SETTING_STRING, "", 0, 0, "", LIVE, true, "file",
		"SCRAM secrets of the admin console", NULL},
	{"admin", "http_listen", SETTING_STRING, "", 0, 0, "", RESTART, true, "address",
		"metrics, API and dashboard; empty: off", NULL},
	{"admin", "http_token_file", SETTING_STRING, "", 0, 0, "", LIVE, true, "file",
		"token that the API asks for", NULL},
};
/* clang-format on */

const struct setting_definition *settings_table(size_t *count)
{
	*count = sizeof table / sizeof *table;
	return table;
}

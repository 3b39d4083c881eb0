#define _GNU_SOURCE 1 /* strchrnul, strcasestr */
/* What can be checked without connecting, beyond single values. */
#include "conf/config.h"
#include "conf/listen.h"
#include "conf/network.h"

#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>

/* --- connection strings --- */

/* Could the text hold a password, so that libpq's words about it must not be repeated? */
static bool may_hold_secret(const char *conninfo)
{
	return strcasestr(conninfo, "pass") || strstr(conninfo, "://") ||
	       strcasestr(conninfo, "secret") || strcasestr(conninfo, "key");
}

/* Copies libpq's message in one line; what stands between double quotes comes from the string. */
static void copy_message(const char *from, bool redact, char *out, size_t size)
{
	bool quoted = false;
	size_t used = 0;

	for (; *from && *from != '\n' && used + 8 < size; from++) {
		if (*from == '"') {
			quoted = !quoted;
			if (quoted && redact)
				used += (size_t)snprintf(out + used, size - used, "\"...");
		}
		if (!quoted || !redact)
			out[used++] = *from;
	}
	out[used] = '\0';
}

bool conninfo_mistake(const char *conninfo, char *why, size_t size)
{
	char *error = NULL;
	PQconninfoOption *options = PQconninfoParse(conninfo, &error);

	if (options) {
		PQconninfoFree(options);
		return false;
	}
	copy_message(error ? error : "out of memory", may_hold_secret(conninfo), why, size);
	PQfreemem(error);

	return true;
}

static bool is_secret(const PQconninfoOption *o)
{
	return o->dispchar[0] == '*' || strstr(o->keyword, "password") ||
	       strstr(o->keyword, "secret") || strcmp(o->keyword, "scram_client_key") == 0 ||
	       strcmp(o->keyword, "scram_server_key") == 0;
}

static void print_option(FILE *out, const PQconninfoOption *o, bool first)
{
	fprintf(out, "%s%s=", first ? "" : " ", o->keyword);
	if (is_secret(o)) {
		fputs("***", out);
		return;
	}
	if (*o->val && !strpbrk(o->val, " '\\\t")) {
		fputs(o->val, out);
		return;
	}
	fputc('\'', out);
	for (const char *p = o->val; *p; p++) {
		if (*p == '\'' || *p == '\\')
			fputc('\\', out);
		fputc(*p, out);
	}
	fputc('\'', out);
}

char *conninfo_redacted(const char *conninfo)
{
	PQconninfoOption *options = PQconninfoParse(conninfo, NULL);
	char *text = NULL;
	size_t size;
	FILE *out;
	bool first = true;

	if (!options)
		return strdup("***");
	out = open_memstream(&text, &size);
	for (PQconninfoOption *o = options; out && o->keyword; o++) {
		if (!o->val)
			continue;
		print_option(out, o, first);
		first = false;
	}
	PQconninfoFree(options);
	if (!out || fclose(out) != 0) {
		free(text);
		return NULL;
	}

	return text;
}

/* --- the primary --- */

static const char *const primary_keys[] = {"host", "hostaddr", "port", "sslmode", "sslrootcert",
	"sslcert", "sslkey", "connect_timeout", "keepalives", "keepalives_idle",
	"keepalives_interval", "keepalives_count", "tcp_user_timeout", "target_session_attrs"};

static const char session_attrs[] = "any|read-write|read-only|primary|standby|prefer-standby";

static bool primary_key_allowed(const char *key)
{
	for (size_t i = 0; i < sizeof primary_keys / sizeof *primary_keys; i++)
		if (strcmp(primary_keys[i], key) == 0)
			return true;

	return false;
}

static void check_primary_option(
	const struct config *c, const PQconninfoOption *o, struct conf_messages *m)
{
	if (!primary_key_allowed(o->keyword))
		config_mistake(c, "primary", NULL, "conninfo", m,
			": %s is not allowed, who connects to the primary is each client's own; "
			"allowed: host, hostaddr, port, sslmode, sslrootcert, sslcert, sslkey, "
			"connect_timeout, keepalives*, tcp_user_timeout, target_session_attrs",
			o->keyword);
	else if (strcmp(o->keyword, "sslmode") == 0 &&
		 !word_allowed("disable|allow|prefer|require|verify-ca|verify-full", o->val,
			 strlen(o->val)))
		config_mistake(c, "primary", NULL, "conninfo", m,
			": sslmode=%.20s: allowed: disable, allow, prefer, "
			"require, verify-ca, verify-full",
			o->val);
	else if (strcmp(o->keyword, "target_session_attrs") == 0 &&
		 !word_allowed(session_attrs, o->val, strlen(o->val)))
		config_mistake(c, "primary", NULL, "conninfo", m,
			": target_session_attrs=%.20s: allowed: %s", o->val, session_attrs);
}

static size_t list_length(const char *list)
{
	size_t length = 1;

	for (; *list; list++)
		length += *list == ',';

	return length;
}

static bool ports_valid(const char *ports)
{
	while (*ports) {
		char *end;
		long port = strtol(ports, &end, 10);

		if (*ports == ',') { /* empty: the default port */
			ports++;
			continue;
		}
		if (end == ports || (*end && *end != ',') || port < 1 || port > 65535)
			return false;
		ports = *end ? end + 1 : end;
	}

	return true;
}

static const char *option_value(const PQconninfoOption *options, const char *keyword)
{
	for (; options->keyword; options++)
		if (strcmp(options->keyword, keyword) == 0)
			return options->val ? options->val : "";

	return "";
}

/* libpq finds these when it connects; the primary is connected to without it. */
static void check_hosts(const struct config *c, const char *section, const char *name,
	const PQconninfoOption *options, struct conf_messages *m)
{
	const char *host = option_value(options, "host"), *port = option_value(options, "port");
	const char *hostaddr = option_value(options, "hostaddr");
	size_t hosts = list_length(*hostaddr ? hostaddr : host);

	if (*host && *hostaddr && list_length(host) != list_length(hostaddr))
		config_mistake(c, section, name, "conninfo", m,
			": host names %zu hosts, hostaddr %zu", list_length(host),
			list_length(hostaddr));
	if (!ports_valid(port))
		config_mistake(c, section, name, "conninfo", m,
			": port: allowed: 1 to 65535, comma-separated");
	else if (list_length(port) != 1 && list_length(port) != hosts)
		config_mistake(c, section, name, "conninfo", m, ": %zu ports for %zu hosts",
			list_length(port), hosts);
}

static void check_primary_tls(
	const struct config *c, const PQconninfoOption *options, struct conf_messages *m)
{
	const char *mode = option_value(options, "sslmode");
	const bool system = strcmp(option_value(options, "sslrootcert"), "system") == 0;

	if (system && *mode && strcmp(mode, "verify-full") != 0)
		config_mistake(c, "primary", NULL, "conninfo", m,
			": sslrootcert=system needs sslmode=verify-full");
	if (*option_value(options, "sslcert") && !*option_value(options, "sslkey"))
		config_mistake(c, "primary", NULL, "conninfo", m, ": sslcert needs sslkey");
}

/* Only somebody who can log in can tell what a host is. */
static void check_monitor(
	const struct config *c, const PQconninfoOption *primary, struct conf_messages *m)
{
	const char *attrs = option_value(primary, "target_session_attrs");
	const char *text = config_text(c, "primary", NULL, "monitor");
	PQconninfoOption *options = PQconninfoParse(text, NULL);

	if (options && (*option_value(options, "host") || *option_value(options, "hostaddr") ||
			       *option_value(options, "port")))
		config_mistake(c, "primary", NULL, "monitor", m,
			": host, hostaddr and port are conninfo's");
	if (*attrs && strcmp(attrs, "any") != 0 && !*text &&
		!*config_text(c, "control", NULL, "conninfo"))
		config_mistake(c, "primary", NULL, "conninfo", m,
			": target_session_attrs=%.20s needs a role that can log "
			"in at each host: [primary] monitor, or [control] conninfo",
			attrs);
	PQconninfoFree(options);
}

static void check_primary(const struct config *c, struct conf_messages *m)
{
	const char *conninfo = config_text(c, "primary", NULL, "conninfo");
	PQconninfoOption *options;

	if (config_lacks(c, "primary", NULL, "conninfo"))
		config_mistake(c, "primary", NULL, "conninfo", m,
			" is not set: where clients' sessions go, for example host=db.example.com "
			"port=5432 (or --primary)");
	if (!*conninfo)
		return;
	options = PQconninfoParse(conninfo, NULL);
	if (!options) {
		config_mistake(c, "primary", NULL, "conninfo", m, ": not a connection string");
		return;
	}
	for (PQconninfoOption *o = options; o->keyword; o++)
		if (o->val)
			check_primary_option(c, o, m);
	check_primary_tls(c, options, m);
	check_monitor(c, options, m);
	check_hosts(c, "primary", NULL, options, m);
	PQconninfoFree(options);
}

/* --- the rest --- */

/* Each entry is client=candidate, each client's name stands there once. */
static void check_databases(const struct config *c, const char *name, struct conf_messages *m)
{
	const char *list = config_text(c, "candidate", name, "databases");

	for (int entry = 1; *list; entry++) {
		size_t length = strcspn(list, ",");
		const char *equals = memchr(list, '=', length);
		const char *end = list + length;

		if (!equals || strspn(list, " \t") == (size_t)(equals - list) ||
			equals + 1 + strspn(equals + 1, " \t") >= end)
			config_mistake(c, "candidate", name, "databases", m,
				", entry %d: allowed: client=candidate, comma-separated", entry);
		list = *end ? end + 1 : end;
	}
}

static bool takes_roles(const struct config *c, const char *section, const char *name)
{
	return strcmp(config_text(c, section, name, "impersonate"), "set_role") == 0;
}

static void check_candidate(const struct config *c, const char *name, struct conf_messages *m)
{
	const char *conninfo = config_text(c, "candidate", name, "conninfo");
	PQconninfoOption *options = PQconninfoParse(conninfo, NULL);

	if (config_lacks(c, "candidate", name, "conninfo"))
		config_mistake(c, "candidate", name, "conninfo", m,
			" is not set: a libpq connection string with a role that can only read");
	else if (options && *option_value(options, "replication"))
		config_mistake(c, "candidate", name, "conninfo", m, ": replication is not allowed");
	else if (options)
		check_hosts(c, "candidate", name, options, m);
	PQconninfoFree(options);
	check_databases(c, name, m);
	if (takes_roles(c, "candidate", name) && !takes_roles(c, "control", NULL) &&
		*config_text(c, "control", NULL, "conninfo"))
		config_mistake(c, "candidate", name, "impersonate", m,
			" is set_role: [control] impersonate must be set_role too, else the "
			"control sees other rows than the clients did");
}

static void check_fence(const struct config *c, const char *name, struct conf_messages *m)
{
	const char *fence = config_text(c, "candidate", name, "fence");

	if (strcmp(fence, "slot") == 0 && !*config_text(c, "candidate", name, "fence_slot"))
		config_mistake(c, "candidate", name, "fence", m, " = slot needs fence_slot");
	if (strcmp(fence, "heartbeat") == 0 && !*config_text(c, "candidate", name, "fence_table"))
		config_mistake(c, "candidate", name, "fence", m, " = heartbeat needs fence_table");
}

static void check_client_tls(const struct config *c, struct conf_messages *m)
{
	const char *mode = config_text(c, "client_tls", NULL, "sslmode");

	if (strcmp(mode, "disable") == 0)
		return;
	if (!*config_text(c, "client_tls", NULL, "cert_file") ||
		!*config_text(c, "client_tls", NULL, "key_file"))
		config_mistake(c, "client_tls", NULL, "sslmode", m,
			" = %s needs cert_file and key_file", mode);
	if (strncmp(mode, "verify", 6) == 0 && !*config_text(c, "client_tls", NULL, "ca_file"))
		config_mistake(c, "client_tls", NULL, "sslmode", m, " = %s needs ca_file", mode);
}

static void check_auth(const struct config *c, struct conf_messages *m)
{
	const bool file = *config_text(c, "primary", NULL, "auth_file") != '\0';
	const bool query = *config_text(c, "primary", NULL, "auth_query") != '\0';

	if (strcmp(config_text(c, "primary", NULL, "auth"), "scram") != 0) {
		if (file || query)
			config_mistake(c, "primary", NULL, file ? "auth_file" : "auth_query", m,
				" is for auth = scram only");
		return;
	}
	/* both: how long a login takes would tell who is in the file */
	if (file == query)
		config_mistake(c, "primary", NULL, "auth", m,
			" = scram needs auth_file or auth_query%s", file ? ", not both" : "");
	if (query && !*config_text(c, "primary", NULL, "auth_user"))
		config_mistake(c, "primary", NULL, "auth_query", m,
			" needs auth_user, the role that runs it");
}

static void check_listen(const struct config *c, struct conf_messages *m)
{
	const char *list = config_text(c, "pgumbra", NULL, "listen"), *why;
	struct listen_address address;
	int entry = 0;

	if (!*list)
		config_mistake(c, "pgumbra", NULL, "listen", m,
			" is empty, allowed: host:port, [v6]:port, /dir:port");
	while (*list) {
		entry++;
		if (!listen_next(&list, &address, &why))
			config_mistake(
				c, "pgumbra", NULL, "listen", m, ", entry %d: %s", entry, why);
	}
}

static void check_networks(const struct config *c, struct conf_messages *m)
{
	struct networks networks;
	size_t entry;

	if (!networks_parse(
		    config_text(c, "pgumbra", NULL, "proxy_protocol_from"), &networks, &entry))
		config_mistake(c, "pgumbra", NULL, "proxy_protocol_from", m,
			", entry %zu: allowed: addresses, address/bits, unix; at most %d", entry,
			NETWORKS_MAX);
}

static void check_sizes(const struct config *c, struct conf_messages *m)
{
	int64_t message = config_integer(c, "shadow", NULL, "max_message_bytes");
	int64_t tape = config_integer(c, "shadow", NULL, "tape_size");
	int64_t sql = config_integer(c, "shadow", NULL, "max_sql_bytes");

	if (message > tape / 8)
		config_mistake(c, "shadow", NULL, "max_message_bytes", m,
			" is over an eighth of tape_size, which is what one session may hold");
	if (sql > message)
		config_mistake(c, "shadow", NULL, "max_sql_bytes", m,
			" is over max_message_bytes: such statements are never taken");
}

bool config_check(const struct config *c, struct conf_messages *m)
{
	const char *names[CONF_MAX_CANDIDATES];
	size_t count = config_names(c, "candidate", names, CONF_MAX_CANDIDATES);
	size_t before = m->count;

	check_primary(c, m);
	if (count == 0 && !c->doubtful && config_bool(c, "shadow", NULL, "enabled"))
		conf_message(m, "no candidate: give [candidate NAME] conninfo or --candidate, or "
				"shadow.enabled=off to relay only");
	for (size_t i = 0; i < count; i++)
		check_candidate(c, names[i], m);
	for (size_t i = 0; i < count; i++)
		check_fence(c, names[i], m);
	check_client_tls(c, m);
	check_auth(c, m);
	check_listen(c, m);
	check_networks(c, m);
	check_sizes(c, m);

	return m->count == before;
}

#include "proxy/preflight_connect.h"

#include <stdio.h>
#include <string.h>

enum { KEYWORDS_MAX = 100 };

/* --- what is wrong --- */

/* Words of libpq and of the server in English; others get no advice. {user}, {db} and {host} are
 * filled in. The first row that fits counts. */
static const struct {
	const char *says;
	const char *and_says; /* NULL: nothing else */
	const char *mend;
} advices[] = {
	{"Connection refused", NULL,
		"start the server there, or mend host and port (its listen_addresses, a firewall)"},
	{"No such file or directory", NULL,
		"start the server on this machine, or mend host (the socket's directory) and port"},
	{"translate host name", NULL, "mend host, or how this machine resolves names"},
	{"timeout expired", NULL,
		"look at the network and firewalls on the way there; connect_timeout gives more "
		"time"},
	{"timed out", NULL, "look at the network and firewalls on the way there"},
	{"No route to host", NULL, "look at the network and firewalls on the way there"},
	{"Network is unreachable", NULL, "look at the network and firewalls on the way there"},
	{"password authentication failed", NULL,
		"give the right password (passfile or ~/.pgpass), or there: ALTER ROLE {user} "
		"PASSWORD "
		"'...'; without that role CREATE ROLE {user} LOGIN PASSWORD '...'"},
	{"no password supplied", NULL,
		"give the password of {user}: passfile=... in conninfo, or ~/.pgpass"},
	{"no pg_hba.conf entry", NULL,
		"there in pg_hba.conf: host {db} {user} ADDRESS-OF-THIS-MACHINE/32 scram-sha-256; "
		"then SELECT pg_reload_conf()"},
	{"pg_hba.conf rejects", NULL,
		"there in pg_hba.conf, before what rejects: host {db} {user} "
		"ADDRESS-OF-THIS-MACHINE/32 scram-sha-256; then SELECT pg_reload_conf()"},
	{"database", "does not exist", "CREATE DATABASE {db} there, or mend dbname"},
	{"role", "does not exist", "CREATE ROLE {user} LOGIN PASSWORD '...' there, or mend user"},
	{"permission denied for database", NULL, "GRANT CONNECT ON DATABASE {db} TO {user} there"},
	{"is not permitted to log in", NULL, "ALTER ROLE {user} LOGIN there"},
	{"not currently accepting connections", NULL,
		"ALTER DATABASE {db} ALLOW_CONNECTIONS true there, or mend dbname"},
	{"too many connections for role", NULL,
		"ALTER ROLE {user} CONNECTION LIMIT -1 there, or fewer in pool_size"},
	{"too many connections for database", NULL,
		"ALTER DATABASE {db} CONNECTION LIMIT -1 there, or fewer in pool_size"},
	{"too many clients", NULL, "more max_connections there, or fewer in pool_size"},
	{"connection slots are reserved", NULL,
		"more max_connections there, or fewer in pool_size"},
	{"starting up", NULL, "wait until it has started"},
	{"shutting down", NULL, "start it again"},
	{"in recovery mode", NULL, "wait until it has recovered"},
	{"not accepting connections", NULL,
		"wait until it has recovered; hot_standby = on on a standby"},
	{"does not support SSL", NULL, "ssl = on there, or sslmode=prefer where the way is safe"},
	{"certificate", NULL, "mend sslmode, sslrootcert, sslcert or sslkey"},
	{"SSL", NULL, "mend sslmode, sslrootcert, sslcert or sslkey"},
};

static const char *advice(const char *why)
{
	for (size_t i = 0; i < sizeof advices / sizeof *advices; i++) {
		const char *at = strstr(why, advices[i].says);

		if (at && (!advices[i].and_says || strstr(at, advices[i].and_says)))
			return advices[i].mend;
	}

	return "look at that server's log";
}

static void put(struct refusal *no, size_t *used, const char *text, size_t length)
{
	if (length > sizeof no->mend - 1 - *used)
		length = sizeof no->mend - 1 - *used;
	memcpy(no->mend + *used, text, length);
	*used += length;
	no->mend[*used] = '\0';
}

static void fill_in(struct refusal *no, const char *template, const char *user, const char *db)
{
	size_t used = 0;

	while (*template) {
		if (strncmp(template, "{user}", 6) == 0) {
			put(no, &used, user, strlen(user));
			template += 6;
		} else if (strncmp(template, "{db}", 4) == 0) {
			put(no, &used, db, strlen(db));
			template += 4;
		} else {
			put(no, &used, template ++, 1);
		}
	}
}

static void refuse(PGconn *conn, struct refusal *no)
{
	const char *message = conn ? PQerrorMessage(conn) : "out of memory";
	const char *user = conn ? PQuser(conn) : NULL, *db = conn ? PQdb(conn) : NULL;

	snprintf(no->why, sizeof no->why, "%s", message);
	no->why[strcspn(no->why, "\n")] = '\0';
	fill_in(no, advice(message), user && *user ? user : "the role",
		db && *db ? db : "the database");
}

/* --- connecting --- */

static const char *own_value(const PQconninfoOption *options, const char *keyword)
{
	for (; options && options->keyword; options++)
		if (strcmp(options->keyword, keyword) == 0)
			return options->val;

	return NULL;
}

bool conninfo_has_dbname(const char *conninfo)
{
	PQconninfoOption *options = PQconninfoParse(conninfo, NULL);
	const char *dbname = own_value(options, "dbname");
	bool has = dbname && *dbname;

	PQconninfoFree(options);

	return has;
}

static const char *or_else(const char *value, const char *otherwise)
{
	return value && *value ? value : otherwise;
}

bool conninfo_same_address(const char *a, const char *b)
{
	PQconninfoOption *left = PQconninfoParse(a, NULL), *right = PQconninfoParse(b, NULL);
	const char *keywords[] = {"hostaddr", "host"};
	const char *at[2] = {"", ""};
	bool same;

	for (size_t i = 0; i < 2; i++) {
		at[0] = or_else(at[0], or_else(own_value(left, keywords[i]), ""));
		at[1] = or_else(at[1], or_else(own_value(right, keywords[i]), ""));
	}
	same = *at[0] && strcmp(at[0], at[1]) == 0 &&
	       strcmp(or_else(own_value(left, "port"), "5432"),
		       or_else(own_value(right, "port"), "5432")) == 0;
	PQconninfoFree(left);
	PQconninfoFree(right);

	return same;
}

struct parameters {
	const char *keywords[2 * KEYWORDS_MAX + 8], *values[2 * KEYWORDS_MAX + 8];
	size_t count;
};

static void set(struct parameters *p, const char *keyword, const char *value)
{
	p->keywords[p->count] = keyword;
	p->values[p->count++] = value;
}

static bool is_one_of(const char *keyword, const char *const *list)
{
	for (; *list; list++)
		if (strcmp(keyword, *list) == 0)
			return true;

	return false;
}

/* Later ones win in libpq. `but` ends with NULL. */
static void set_all(struct parameters *p, const PQconninfoOption *options, const char *const *but)
{
	for (size_t n = 0; options[n].keyword && n < KEYWORDS_MAX; n++)
		if (options[n].val && !is_one_of(options[n].keyword, but))
			set(p, options[n].keyword, options[n].val);
}

static PGconn *connect_with(struct parameters *p, struct refusal *no)
{
	PGconn *conn;

	set(p, "application_name", "pgumbra");
	set(p, "gssencmode", "disable");
	p->keywords[p->count] = p->values[p->count] = NULL;
	conn = PQconnectdbParams(p->keywords, p->values, 0);
	if (PQstatus(conn) == CONNECTION_OK)
		return conn;
	refuse(conn, no);
	PQfinish(conn);

	return NULL;
}

static PGconn *no_string(struct refusal *no)
{
	snprintf(no->why, sizeof no->why, "not a connection string");
	snprintf(no->mend, sizeof no->mend, "mend conninfo: keyword=value pairs, or postgresql://");

	return NULL;
}

PGconn *preflight_connect(const char *conninfo, const char *dbname, struct refusal *no)
{
	static const char *const not_dbname[] = {"dbname", NULL}, *const all[] = {NULL};
	PQconninfoOption *options = PQconninfoParse(conninfo, NULL);
	struct parameters p = {.count = 0};
	PGconn *conn;

	if (!options)
		return no_string(no);
	set_all(&p, options, dbname ? not_dbname : all);
	if (!own_value(options, "connect_timeout"))
		set(&p, "connect_timeout", "4");
	if (dbname)
		set(&p, "dbname", dbname);
	conn = connect_with(&p, no);
	PQconninfoFree(options);

	return conn;
}

PGconn *preflight_connect_as(const char *who, const char *there, struct refusal *no)
{
	static const char *const of_server[] = {"host", "hostaddr", "port", "sslmode",
		"sslrootcert", "sslcert", "sslkey", "target_session_attrs", NULL};
	PQconninfoOption *role = PQconninfoParse(who, NULL);
	PQconninfoOption *server = PQconninfoParse(there, NULL);
	struct parameters p = {.count = 0};
	PGconn *conn = NULL;

	if (role && server) {
		set(&p, "dbname", "postgres");
		set_all(&p, role, of_server);
		for (size_t i = 0; of_server[i]; i++)
			set(&p, of_server[i], own_value(server, of_server[i]));
		if (!own_value(server, "port"))
			set(&p, "port", "5432");
		set(&p, "connect_timeout", "4");
		conn = connect_with(&p, no);
	} else {
		no_string(no);
	}
	PQconninfoFree(role);
	PQconninfoFree(server);

	return conn;
}

/* A server that does not answer is asked once only, as it may take a whole connect_timeout. */
PGconn *preflight_connect_first(const char *conninfo, struct refusal *no)
{
	static const char *const usual[] = {"postgres", "template1"};
	PGconn *conn;

	if (conninfo_has_dbname(conninfo))
		return preflight_connect(conninfo, NULL, no);
	for (size_t i = 0; i < sizeof usual / sizeof *usual; i++) {
		conn = preflight_connect(conninfo, usual[i], no);
		if (conn || !strstr(no->why, "FATAL"))
			return conn;
	}

	return preflight_connect(conninfo, NULL, no);
}

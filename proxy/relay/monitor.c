#include "proxy/relay/monitor.h"

#include "proxy/log.h"
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum { PARAMETERS_MAX = 64, WHY_MAX = 200 };

/* A setting of the role or the database alone says nothing about the server. */
static const char question[] =
	"select pg_catalog.pg_is_in_recovery(), exists (select from pg_catalog.pg_settings"
	" where name operator(pg_catalog.=) 'default_transaction_read_only'"
	" and setting operator(pg_catalog.=) 'on' and source operator(pg_catalog.<>) all"
	" (array['user', 'database user', 'client', 'session']))";

/* One server. */
struct watch {
	struct endpoint *endpoint; /* a reference */
	PGconn *conn;		   /* owned; NULL: none */
	enum { WATCH_RESTING, WATCH_CONNECTING, WATCH_ASKING } state;
	PostgresPollingStatusType wants; /* while connecting */
	uint64_t due_us;		 /* resting: when to ask; else: when to give up */
	bool complained;
};

struct watches {
	struct monitor *monitor;
	struct watch watch[ENDPOINTS_MAX];
	size_t count;
};

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);

	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* --- what was learnt --- */

static const char *role_name(enum endpoint_role role)
{
	static const char *const names[] = {[ROLE_UNKNOWN] = "not known",
		[ROLE_WRITABLE] = "read-write",
		[ROLE_READ_ONLY] = "read-only",
		[ROLE_STANDBY] = "a standby"};

	return names[role];
}

static void learn(struct watches *ws, struct watch *w, enum endpoint_role role)
{
	const unsigned before = atomic_exchange(&w->endpoint->role, role);
	const uint64_t one = 1;

	if (before == role)
		return;
	log_info("host %s (%s) of the primary is %s now", w->endpoint->host,
		w->endpoint->address.text, role_name(role));
	(void)!write(ws->monitor->answer_fd, &one, sizeof one);
}

static void rest(struct watches *ws, struct watch *w)
{
	w->state = WATCH_RESTING;
	w->due_us = now_us() + (uint64_t)ws->monitor->interval_ms * 1000;
}

/* libpq's text may be several lines; the first says it. */
static void give_up(struct watches *ws, struct watch *w, const char *why)
{
	if (!w->complained)
		log_warning("%.*s: host %s (%s) can't be asked whether it is the primary",
			(int)strcspn(why, "\n"), why, w->endpoint->host, w->endpoint->address.text);
	w->complained = true;
	PQfinish(w->conn);
	w->conn = NULL;
	learn(ws, w, ROLE_UNKNOWN);
	rest(ws, w);
}

static void read_answer(struct watches *ws, struct watch *w)
{
	enum endpoint_role role = ROLE_UNKNOWN;
	PGresult *result;

	while ((result = PQgetResult(w->conn)) != NULL) {
		if (PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) == 1)
			role = *PQgetvalue(result, 0, 0) == 't'	  ? ROLE_STANDBY
			       : *PQgetvalue(result, 0, 1) == 't' ? ROLE_READ_ONLY
								  : ROLE_WRITABLE;
		PQclear(result);
	}
	if (role == ROLE_UNKNOWN) {
		give_up(ws, w, PQerrorMessage(w->conn));
		return;
	}
	w->complained = false;
	learn(ws, w, role);
	rest(ws, w);
}

/* --- the steps --- */

static void set_parameter(
	const char **keys, const char **values, size_t *count, const char *key, const char *value)
{
	if (*count >= PARAMETERS_MAX)
		return;
	keys[*count] = key;
	values[(*count)++] = value;
}

/* libpq resolves nothing when it is given the address. */
static PGconn *begin_connection(const struct monitor *m, const struct endpoint *e)
{
	const char *keys[PARAMETERS_MAX + 1] = {NULL}, *values[PARAMETERS_MAX + 1] = {NULL};
	const struct primary_host *h = &m->primary->host[e->host_index];
	const bool local = h->address[0] == '/';
	char address[HOST_MAX], timeout[16];
	size_t count = 0;

	for (const PQconninfoOption *o = m->options; o->keyword; o++) {
		if (o->val)
			set_parameter(keys, values, &count, o->keyword, o->val);
	}
	snprintf(address, sizeof address, "%.*s",
		(int)(strrchr(e->address.text, ':') - e->address.text), e->address.text);
	if (address[0] == '[') { /* [v6] */
		memmove(address, address + 1, strlen(address));
		address[strlen(address) - 1] = '\0';
	}
	snprintf(timeout, sizeof timeout, "%u", m->primary->connect_timeout_s);
	set_parameter(keys, values, &count, "host", local ? h->address : h->name);
	if (!local)
		set_parameter(keys, values, &count, "hostaddr", address);
	set_parameter(keys, values, &count, "port", h->port);
	set_parameter(keys, values, &count, "connect_timeout", timeout);

	return PQconnectStartParams(keys, values, 0);
}

static void ask(struct watches *ws, struct watch *w)
{
	w->state = WATCH_ASKING;
	w->due_us = now_us() + (uint64_t)ws->monitor->primary->connect_timeout_s * 1000000;
	if (!PQsendQuery(w->conn, question))
		give_up(ws, w, PQerrorMessage(w->conn));
}

static void begin(struct watches *ws, struct watch *w)
{
	if (w->conn) {
		ask(ws, w);
		return;
	}
	w->state = WATCH_CONNECTING;
	w->due_us = now_us() + (uint64_t)ws->monitor->primary->connect_timeout_s * 1000000;
	w->conn = begin_connection(ws->monitor, w->endpoint);
	w->wants = PGRES_POLLING_WRITING;
	if (!w->conn || PQstatus(w->conn) == CONNECTION_BAD)
		give_up(ws, w, w->conn ? PQerrorMessage(w->conn) : "out of memory");
}

static void go_on(struct watches *ws, struct watch *w)
{
	if (w->state == WATCH_CONNECTING) {
		w->wants = PQconnectPoll(w->conn);
		if (w->wants == PGRES_POLLING_OK)
			ask(ws, w);
		else if (w->wants == PGRES_POLLING_FAILED)
			give_up(ws, w, PQerrorMessage(w->conn));
	} else if (!PQconsumeInput(w->conn)) {
		give_up(ws, w, PQerrorMessage(w->conn));
	} else if (w->state == WATCH_ASKING && !PQisBusy(w->conn)) {
		read_answer(ws, w);
	}
}

static void on_due(struct watches *ws, struct watch *w)
{
	if (w->state == WATCH_RESTING)
		begin(ws, w);
	else
		give_up(ws, w, "timed out");
}

/* --- which servers there are --- */

static void forget(struct watch *w)
{
	PQfinish(w->conn);
	endpoint_drop(w->endpoint);
}

static bool is_in(const struct endpoint_list *l, const struct endpoint *e)
{
	for (size_t i = 0; i < l->count; i++) {
		if (l->endpoint[i] == e)
			return true;
	}

	return false;
}

static bool is_watched(const struct watches *ws, const struct endpoint *e)
{
	for (size_t i = 0; i < ws->count; i++) {
		if (ws->watch[i].endpoint == e)
			return true;
	}

	return false;
}

/* Names may have other addresses by now. */
static void follow_addresses(struct watches *ws)
{
	struct endpoint_list *now = primary_addresses(ws->monitor->primary);

	if (!now)
		return;
	for (size_t i = ws->count; i-- > 0;) {
		if (is_in(now, ws->watch[i].endpoint))
			continue;
		forget(&ws->watch[i]);
		ws->watch[i] = ws->watch[--ws->count];
	}
	for (size_t i = 0; i < now->count; i++) {
		if (!is_watched(ws, now->endpoint[i]))
			ws->watch[ws->count++] =
				(struct watch){.endpoint = endpoint_hold(now->endpoint[i])};
	}
	endpoint_list_free(now);
}

/* --- the thread --- */

static short events_of(const struct watch *w)
{
	if (w->state == WATCH_CONNECTING && w->wants == PGRES_POLLING_WRITING)
		return POLLOUT;

	return POLLIN; /* resting, too: a server that goes away says so */
}

/* False: it is to stop. */
static bool turn(struct watches *ws)
{
	struct pollfd fds[ENDPOINTS_MAX + 1];
	uint64_t now = now_us(), first = now + (uint64_t)ws->monitor->interval_ms * 1000;

	for (size_t i = 0; i < ws->count; i++) {
		const struct watch *w = &ws->watch[i];

		fds[i] = (struct pollfd){
			.fd = w->conn ? PQsocket(w->conn) : -1, .events = events_of(w)};
		if (w->due_us < first)
			first = w->due_us;
	}
	fds[ws->count] = (struct pollfd){.fd = ws->monitor->stop_fd, .events = POLLIN};
	if (poll(fds, ws->count + 1, first > now ? (int)((first - now) / 1000) + 1 : 0) < 0)
		return errno == EINTR;
	if (fds[ws->count].revents)
		return false;
	now = now_us();
	for (size_t i = 0; i < ws->count; i++) {
		if (fds[i].revents)
			go_on(ws, &ws->watch[i]);
		else if (ws->watch[i].due_us <= now)
			on_due(ws, &ws->watch[i]);
	}

	return true;
}

static void *run(void *arg)
{
	struct watches ws = {.monitor = arg};

	do
		follow_addresses(&ws);
	while (turn(&ws));
	while (ws.count > 0)
		forget(&ws.watch[--ws.count]);

	return NULL;
}

/* --- life --- */

static PQconninfoOption *option_of(PQconninfoOption *options, const char *keyword)
{
	while (options->keyword && strcmp(options->keyword, keyword) != 0)
		options++;

	return options->keyword ? options : NULL;
}

/* False when out of memory. */
static bool override(PQconninfoOption *options, const char *keyword, const char *value)
{
	PQconninfoOption *o = option_of(options, keyword);

	if (!o)
		return true;
	free(o->val);
	o->val = value ? strdup(value) : NULL;

	return o->val || !value;
}

/* Whatever `login` says, and how the primary is spoken to. */
static PQconninfoOption *merge(const char *conninfo, const char *login)
{
	static const char *const of_primary[] = {"sslmode", "sslrootcert", "sslcert", "sslkey",
		"keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count",
		"tcp_user_timeout"};
	static const char *const dropped[] = {
		"host", "hostaddr", "port", "connect_timeout", "options"};
	PQconninfoOption *primary = PQconninfoParse(conninfo, NULL);
	PQconninfoOption *options = PQconninfoParse(login, NULL);
	bool ok = primary && options;

	for (size_t i = 0; ok && i < sizeof of_primary / sizeof of_primary[0]; i++)
		ok = override(options, of_primary[i], option_of(primary, of_primary[i])->val);
	for (size_t i = 0; ok && i < sizeof dropped / sizeof dropped[0]; i++)
		ok = override(options, dropped[i], NULL);
	if (ok && !option_of(options, "dbname")->val)
		ok = override(options, "dbname", "postgres");
	ok = ok && override(options, "application_name", "pgumbra") &&
	     override(options, "target_session_attrs", "any"); /* or the environment's */
	PQconninfoFree(primary);
	if (ok)
		return options;
	PQconninfoFree(options);

	return NULL;
}

static bool some_server_is_known(struct primary *p)
{
	struct endpoint_list *chosen = primary_choose(p, now_us());
	const bool some = chosen && chosen->count > 0;

	endpoint_list_free(chosen);

	return some;
}

static void wait_for_answer(struct monitor *m, int limit_ms)
{
	struct pollfd fd = {.fd = m->answer_fd, .events = POLLIN};
	const uint64_t deadline = now_us() + (uint64_t)limit_ms * 1000;
	uint64_t now, count;

	while (!some_server_is_known(m->primary) && (now = now_us()) < deadline) {
		if (poll(&fd, 1, (int)((deadline - now) / 1000) + 1) > 0)
			(void)!read(m->answer_fd, &count, sizeof count);
	}
	if (!some_server_is_known(m->primary))
		log_warning("no host of primary.conninfo is known to be %s yet: sessions are "
			    "refused until one is",
			session_attrs_name(m->primary->attrs));
}

bool monitor_start(struct monitor *m, struct primary *p, const char *conninfo, const char *login,
	unsigned interval_ms, int limit_ms, struct error *error)
{
	int rc = ENOMEM;

	*m = (struct monitor){
		.primary = p, .interval_ms = interval_ms, .stop_fd = -1, .answer_fd = -1};
	if (p->attrs == ATTRS_ANY)
		return true;
	m->options = merge(conninfo, login);
	m->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	m->answer_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (m->options && m->stop_fd >= 0 && m->answer_fd >= 0)
		rc = pthread_create(&m->thread, NULL, run, m);
	m->started = rc == 0;
	if (!m->started)
		return error_set(
			error, "%s: could not start the monitor of the primary", strerror(rc));
	wait_for_answer(m, limit_ms);

	return true;
}

void monitor_stop(struct monitor *m)
{
	const uint64_t one = 1;

	if (m->started) {
		(void)!write(m->stop_fd, &one, sizeof one);
		pthread_join(m->thread, NULL);
	}
	if (m->options)
		PQconninfoFree(m->options);
	if (m->stop_fd >= 0)
		close(m->stop_fd);
	if (m->answer_fd >= 0)
		close(m->answer_fd);
	*m = (struct monitor){.stop_fd = -1, .answer_fd = -1};
}

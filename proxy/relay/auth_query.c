#include "proxy/relay/auth_query.h"

#include "proxy/log.h"
#include <errno.h>
#include <libpq-fe.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum {
	ANSWER_WITHIN_MS = 10000, /* connecting and asking, each */
	LOOK_UP_MS = 200,	  /* how often a wait looks whether it is to stop */
	TELL_EVERY_US = 5000000,
};

struct auth_query {
	char *conninfo, *user, *dbname, *query; /* owned */
	unsigned limit;
	void (*on_done)(struct auth_lookup *);
	pthread_t thread;
	int wake_fd; /* owned; -1 */
	atomic_bool stop;
	atomic_uint waiting;
	_Atomic(struct auth_lookup *) asked; /* the last one first */
	PGconn *conn;			     /* the thread's */
	uint64_t told_us;
	unsigned untold;
};

/* --- questions --- */

struct auth_lookup *auth_lookup_new(struct span role)
{
	struct auth_lookup *l = calloc(1, sizeof *l);
	const size_t len = role.len < AUTH_ROLE_BYTES_MAX ? role.len : AUTH_ROLE_BYTES_MAX;

	if (l && len > 0)
		memcpy(l->role, role.data, len);

	return l;
}

void auth_lookup_free(struct auth_lookup *l)
{
	if (l)
		scram_wipe(l, sizeof *l);
	free(l);
}

void auth_lookup_push(_Atomic(struct auth_lookup *) *list, struct auth_lookup *l)
{
	l->next = atomic_load(list);
	while (!atomic_compare_exchange_weak(list, &l->next, l))
		;
}

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);

	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* --- the connection --- */

static void disconnect(struct auth_query *q)
{
	PQfinish(q->conn);
	q->conn = NULL;
}

/* libpq's message, its first line. */
static bool fail(struct auth_query *q, struct error *error, const char *what)
{
	const char *text = q->conn ? PQerrorMessage(q->conn) : "out of memory";
	const int len = (int)strcspn(text, "\n");

	return error_set(error, "%.*s: %s", len > 300 ? 300 : len, text, what);
}

static bool wait_for(struct auth_query *q, short events, uint64_t deadline)
{
	while (!atomic_load(&q->stop)) {
		struct pollfd p = {.fd = PQsocket(q->conn), .events = events};
		const int rc = poll(&p, 1, LOOK_UP_MS);

		if (rc > 0)
			return true;
		if ((rc < 0 && errno != EINTR) || now_us() >= deadline)
			return false;
	}

	return false;
}

/* All results but the last are dropped; NULL with the reason when there is none. */
static PGresult *last_result(struct auth_query *q, struct error *error)
{
	const uint64_t deadline = now_us() + (uint64_t)ANSWER_WITHIN_MS * 1000;
	PGresult *last = NULL;

	for (;;) {
		PGresult *result;

		while (PQisBusy(q->conn)) {
			if (!wait_for(q, POLLIN, deadline)) {
				PQclear(last);
				error_set(error, "no answer in time: auth_query");
				return NULL;
			}
			if (!PQconsumeInput(q->conn)) {
				PQclear(last);
				fail(q, error, "auth_query");
				return NULL;
			}
		}
		result = PQgetResult(q->conn);
		if (!result)
			break;
		PQclear(last);
		last = result;
	}
	if (last && PQresultStatus(last) == PGRES_TUPLES_OK)
		return last;
	fail(q, error, "auth_query");
	PQclear(last);

	return NULL;
}

static PGresult *ask(struct auth_query *q, const char *sql, const char *role, struct error *error)
{
	if (!PQsendQueryParams(q->conn, sql, role ? 1 : 0, NULL, &role, NULL, NULL, 0)) {
		fail(q, error, "auth_query");
		return NULL;
	}

	return last_result(q, error);
}

static bool establish(struct auth_query *q, struct error *error)
{
	/* the first dbname is the whole string, the second its name */
	const char *const keys[] = {
		"dbname", "user", "dbname", "application_name", "client_encoding", NULL};
	const char *const values[] = {
		q->conninfo, q->user, q->dbname, "pgumbra", "SQL_ASCII", NULL};
	const uint64_t deadline = now_us() + (uint64_t)ANSWER_WITHIN_MS * 1000;
	PostgresPollingStatusType step = PGRES_POLLING_WRITING;

	q->conn = PQconnectStartParams(keys, values, 1);
	if (!q->conn || PQstatus(q->conn) == CONNECTION_BAD)
		return fail(q, error, "auth_query could not connect");
	while (step == PGRES_POLLING_READING || step == PGRES_POLLING_WRITING) {
		if (!wait_for(q, step == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline))
			return error_set(error, "timed out: auth_query could not connect");
		step = PQconnectPoll(q->conn);
	}
	if (step != PGRES_POLLING_OK)
		return fail(q, error, "auth_query could not connect");

	return true;
}

/* libpq would print them. */
static void no_notice(void *arg, const char *text)
{
	(void)arg;
	(void)text;
}

static bool connect_now(struct auth_query *q, struct error *error)
{
	PGresult *done;

	if (!establish(q, error)) {
		disconnect(q);
		return false;
	}
	PQsetNoticeProcessor(q->conn, no_notice, NULL);
	done = ask(q, "SELECT pg_catalog.set_config('search_path', '', false)", NULL, error);
	if (!done)
		disconnect(q);
	PQclear(done);

	return done != NULL;
}

static bool read_answer(const PGresult *result, struct auth_lookup *l, struct error *error)
{
	const int column = PQnfields(result) == 1 ? 0 : 1;
	char *value;

	if (PQntuples(result) > 1)
		return error_set(error, "more than one row: auth_query");
	if (PQnfields(result) == 0)
		return error_set(error, "no column: auth_query");
	l->found = AUTH_UNKNOWN;
	if (PQntuples(result) == 0 || PQgetisnull(result, 0, column))
		return true;
	value = PQgetvalue(result, 0, column);
	if (scram_secret_parse(span_of(value, (size_t)PQgetlength(result, 0, column)), &l->secret))
		l->found = AUTH_KNOWN;
	scram_wipe(value, (size_t)PQgetlength(result, 0, column));

	return true;
}

/* A connection that was idle may have died: then once more with a new one. */
static bool look_up(struct auth_query *q, struct auth_lookup *l, struct error *error)
{
	for (bool again = q->conn != NULL;; again = false) {
		PGresult *result;
		bool ok;

		if (!q->conn && !connect_now(q, error))
			return false;
		result = ask(q, q->query, l->role, error);
		ok = result && read_answer(result, l, error);
		PQclear(result);
		if (ok)
			return true;
		if (result || PQstatus(q->conn) == CONNECTION_OK) {
			disconnect(q); /* what is on its way there is nobody's */
			return false;
		}
		disconnect(q);
		if (!again)
			return false;
	}
}

/* --- the thread --- */

static void tell(struct auth_query *q, const char *why)
{
	const uint64_t now = now_us();

	q->untold++;
	if (q->told_us != 0 && now - q->told_us < TELL_EVERY_US)
		return;
	log_warning("%s (%u times since the last such line)", why, q->untold);
	q->told_us = now;
	q->untold = 0;
}

static void answer(struct auth_query *q, struct auth_lookup *l)
{
	struct error error;

	l->found = AUTH_FAILED;
	if (now_us() >= l->deadline_us)
		return;
	if (!look_up(q, l, &error)) {
		l->found = AUTH_FAILED;
		if (!atomic_load(&q->stop))
			tell(q, error.text);
	}
}

/* In the order in which they were asked. */
static struct auth_lookup *take_all(struct auth_query *q)
{
	struct auth_lookup *l = atomic_exchange(&q->asked, NULL), *first = NULL;

	while (l) {
		struct auth_lookup *next = l->next;

		l->next = first;
		first = l;
		l = next;
	}

	return first;
}

static void *run(void *arg)
{
	struct auth_query *q = arg;
	uint64_t count;

	while (!atomic_load(&q->stop)) {
		struct auth_lookup *l = take_all(q);

		if (!l && read(q->wake_fd, &count, sizeof count) < 0 && errno != EINTR)
			break;
		while (l) {
			struct auth_lookup *next = l->next;

			answer(q, l);
			atomic_fetch_sub(&q->waiting, 1);
			q->on_done(l);
			l = next;
		}
	}
	disconnect(q);

	return NULL;
}

static bool copy_settings(struct auth_query *q, const struct auth_query_settings *s)
{
	q->conninfo = strdup(s->conninfo);
	q->user = strdup(s->user);
	q->dbname = strdup(s->dbname);
	q->query = strdup(s->query);

	return q->conninfo && q->user && q->dbname && q->query;
}

static void release_settings(struct auth_query *q)
{
	free(q->conninfo);
	free(q->user);
	free(q->dbname);
	free(q->query);
}

struct auth_query *auth_query_new(const struct auth_query_settings *settings, unsigned limit,
	void (*on_done)(struct auth_lookup *), struct error *error)
{
	struct auth_query *q = calloc(1, sizeof *q);

	if (!q) {
		error_set(error, "out of memory");
		return NULL;
	}
	q->limit = limit;
	q->on_done = on_done;
	q->wake_fd = eventfd(0, EFD_CLOEXEC);
	if (q->wake_fd >= 0 && copy_settings(q, settings) &&
		pthread_create(&q->thread, NULL, run, q) == 0)
		return q;
	error_set(error, "could not start the thread of auth_query");
	if (q->wake_fd >= 0)
		close(q->wake_fd);
	release_settings(q);
	free(q);

	return NULL;
}

static void wake(const struct auth_query *q)
{
	const uint64_t one = 1;

	(void)!write(q->wake_fd, &one, sizeof one);
}

void auth_query_free(struct auth_query *q)
{
	struct auth_lookup *l;

	if (!q)
		return;
	atomic_store(&q->stop, true);
	wake(q);
	pthread_join(q->thread, NULL);
	l = take_all(q);
	while (l) {
		struct auth_lookup *next = l->next;

		auth_lookup_free(l);
		l = next;
	}
	close(q->wake_fd);
	release_settings(q);
	free(q);
}

bool auth_query_ask(struct auth_query *q, struct auth_lookup *l)
{
	if (atomic_fetch_add(&q->waiting, 1) >= q->limit) {
		atomic_fetch_sub(&q->waiting, 1);
		return false;
	}
	auth_lookup_push(&q->asked, l);
	wake(q);

	return true;
}

enum auth_found auth_query_once(
	const struct auth_query_settings *settings, const char *role, struct error *error)
{
	struct auth_query q = {.wake_fd = -1};
	struct auth_lookup *l = auth_lookup_new(span_cstr(role));
	enum auth_found found = AUTH_FAILED;

	if (!l || !copy_settings(&q, settings))
		error_set(error, "out of memory");
	else if (look_up(&q, l, error))
		found = l->found;
	disconnect(&q);
	release_settings(&q);
	auth_lookup_free(l);

	return found;
}

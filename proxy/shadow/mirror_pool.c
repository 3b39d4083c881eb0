#include "proxy/shadow/mirror_pool.h"

#include "proxy/log.h"
#include "proxy/shadow/connector.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

enum { RUNS_PER_TURN = 256, LOG_INTERVAL_US = 10000000, ROLES_NAMED_MAX = 64 };

/* A connection being opened outlives its pool if need be. */
struct opening {
	struct pool *pool; /* NULL: the pool is gone */
	struct connector *connector;
	bool stale; /* the pool was drained meanwhile */
};

struct member {
	TAILQ_ENTRY(member) link;
	struct connection *connection; /* owned */
};
TAILQ_HEAD(members, member);

struct pool {
	struct pool *next;
	struct pool_host *host; /* borrowed from the mirror */
	char *database;		/* owned, may be NULL */
	struct tickets waiting;
	struct ticket *last_urgent; /* of those, which stand in front; NULL: none waits */
	size_t nwaiting, bound;
	struct members members; /* the most recently used first */
	unsigned nmembers, busy;
	struct opening *opening; /* shared with the connector's job; NULL: none */
	struct breaker breaker;
	uint64_t backoff_us, next_connect_us, used_us;
	uint64_t next_log_us;
	unsigned unlogged;
	uint32_t random;
	uint64_t roles_named[ROLES_NAMED_MAX]; /* hashes of what was said about a role */
	unsigned nroles_named;
};

static const struct connection_events EVENTS;

/* --- telling --- */

void ticket_fail(struct pool_host *host, struct ticket *t, enum reason reason, const char *text)
{
	struct mirror_answer answer = {.status = MIRROR_FAILED, .reason = reason};

	result_init(&answer.result, 0);
	snprintf(answer.text, sizeof answer.text, "%s", text);
	host->ended(host->self, t, &answer);
	result_release(&answer.result);
}

static const char *shown_database(const struct pool *p)
{
	return p->database ? p->database : "(of conninfo)";
}

/* Repeated trouble is told once in a while, with a count. */
static void warn(struct pool *p, const char *what, const char *why)
{
	uint64_t now = mirror_clock_us();

	if (now < p->next_log_us) {
		p->unlogged++;
		return;
	}
	if (p->unlogged)
		log_warning("%s, database %s: %s: %s (and %u times since it was last said)",
			p->host->options->name, shown_database(p), what, why, p->unlogged);
	else
		log_warning("%s, database %s: %s: %s", p->host->options->name, shown_database(p),
			what, why);
	p->next_log_us = now + LOG_INTERVAL_US;
	p->unlogged = 0;
}

/* A role that can't be taken on is said once; from the limit on like other trouble. */
static void warn_role(struct pool *p, const char *text)
{
	uint64_t hash = XXH3_64bits(text, strlen(text));

	for (unsigned i = 0; i < p->nroles_named; i++)
		if (p->roles_named[i] == hash)
			return;
	if (p->nroles_named == ROLES_NAMED_MAX) {
		warn(p, "reads fail", text);
		return;
	}
	p->roles_named[p->nroles_named++] = hash;
	log_warning("%s, database %s: reads fail: %s (impersonate = set_role)",
		p->host->options->name, shown_database(p), text);
}

static void tell_opened_breaker(struct pool *p, const char *why)
{
	log_warning("%s, database %s: %s: nothing is sent there for %.1f s (circuit breaker)",
		p->host->options->name, shown_database(p), why,
		(double)p->breaker.open_for_us / 1e6);
}

/* --- connections --- */

static uint32_t jitter(struct pool *p, uint32_t below)
{
	p->random ^= p->random << 13;
	p->random ^= p->random >> 17;
	p->random ^= p->random << 5;

	return p->random % below;
}

static unsigned live_members(const struct pool *p)
{
	unsigned n = 0;
	struct member *m;

	TAILQ_FOREACH (m, &p->members, link)
		n += m->connection->state != CONNECTION_CLOSED;

	return n;
}

/* Failing to grow a pool that has connections is no reason to stop using them. */
static void connecting_failed(struct pool *p, bool refused, const char *why)
{
	uint64_t now = mirror_clock_us();

	p->backoff_us = p->backoff_us ? 2 * p->backoff_us : POOL_BACKOFF_MIN_US;
	if (p->backoff_us > POOL_BACKOFF_MAX_US)
		p->backoff_us = POOL_BACKOFF_MAX_US;
	p->next_connect_us = now + p->backoff_us / 2 + jitter(p, (uint32_t)(p->backoff_us / 2) + 1);
	warn(p, refused ? "refused" : "cannot connect", why);
	if (refused) {
		pool_drain(p); /* the others have the same role */
		breaker_trip(&p->breaker, now);
		tell_opened_breaker(p, why);
	} else if (live_members(p) == 0 && breaker_failed(&p->breaker, now)) {
		tell_opened_breaker(p, "no connection to be had");
	}
	p->host->wake(p->host->self);
}

static bool add_member(struct pool *p, PGconn *pg)
{
	struct member *m = calloc(1, sizeof *m);

	if (!m)
		return false;
	m->connection = connection_new(p->host->base, pg, p->host->timeout_us,
		p->host->options->keep_limit_bytes, &EVENTS, p);
	if (!m->connection) {
		free(m);
		return false;
	}
	m->connection->session.impersonate = p->host->options->impersonate;
	m->connection->session.types = &p->host->options->types;
	TAILQ_INSERT_TAIL(&p->members, m, link);
	p->nmembers++;

	return true;
}

static void remove_member(struct pool *p, struct member *m)
{
	TAILQ_REMOVE(&p->members, m, link);
	p->nmembers--;
	connector_finish(p->host->connector, connection_free(m->connection));
	free(m);
}

static void on_opened(void *self, struct connector_opened *opened)
{
	struct opening *opening = self;
	struct pool *p = opening->pool;
	bool stale = opening->stale;

	if (p)
		p->opening = NULL;
	if (opened->connection && (!p || stale))
		connector_finish(opening->connector, opened->connection);
	free(opening);
	if (p && opened->connection && stale)
		p->host->wake(p->host->self);
	if (!p || (opened->connection && stale))
		return;
	if (!opened->connection) {
		connecting_failed(p, opened->refused, opened->text);
	} else if (!add_member(p, opened->connection)) {
		connector_finish(p->host->connector, opened->connection);
		connecting_failed(p, false, "out of memory");
	}
}

static void open_one(struct pool *p)
{
	const struct mirror_options *o = p->host->options;
	const struct connector_target target = {.conninfo = o->conninfo,
		.database = p->database,
		.statement_timeout_us = p->host->timeout_us,
		.accept = o->accept,
		.accept_self = o->accept_self};
	struct opening *opening = malloc(sizeof *opening);

	if (opening) {
		*opening = (struct opening){.pool = p, .connector = p->host->connector};
		if (connector_open(p->host->connector, &target, on_opened, opening)) {
			p->opening = opening;
			return;
		}
	}
	free(opening);
	connecting_failed(p, false, "out of memory, or too many connections are being opened");
}

/* A server that was a standby may also have been promoted while nothing was connected to it. */
static bool left_standby(struct pool_host *host, const struct connection *c)
{
	const char *value = c->session.base[REPORTED_IN_HOT_STANDBY];

	if (value && strcmp(value, "on") == 0)
		host->standby = true;

	return value && strcmp(value, "off") == 0 && host->standby &&
	       host->options->retire_promoted;
}

static void on_state(void *self, struct connection *c)
{
	struct pool *p = self;

	if (c->state == CONNECTION_IDLE) {
		p->backoff_us = 0;
		p->next_connect_us = 0;
		if (c->draining)
			connection_close(c, "the pool is drained");
	} else if (c->idle_since_us == 0) {
		connecting_failed(p, false, c->trouble);
	} else {
		warn(p, "lost an idle connection", c->trouble);
	}
	if (c->promoted || (c->state == CONNECTION_IDLE && left_standby(p->host, c)))
		p->host->promoted(p->host->self);
	p->host->wake(p->host->self);
}

/* --- reads --- */

static void judge(struct pool *p, const struct mirror_answer *answer)
{
	if (answer->status == MIRROR_FAILED) {
		switch (answer->reason) {
		case REASON_MEMORY: return;
		case REASON_TIMEOUT:
		case REASON_CONNECTION:
			warn(p, "a read failed", answer->text);
			if (breaker_failed(&p->breaker, mirror_clock_us()))
				tell_opened_breaker(p, "too many failures in a row");
			return;
		default:
			if (answer->role_refused)
				warn_role(p, answer->text);
			else
				warn(p, "a read failed", answer->text);
			break;
		}
	}
	if (p->breaker.state == BREAKER_HALF_OPEN)
		log_info("%s, database %s: answers again", p->host->options->name,
			shown_database(p));
	if (p->breaker.state != BREAKER_OPEN)
		breaker_succeeded(&p->breaker);
}

static void on_answer(void *self, struct connection *c, struct mirror_answer *answer, bool again)
{
	struct pool *p = self;
	struct ticket *t = c->ticket;

	c->ticket = NULL;
	p->busy--;
	p->host->busy--;
	p->used_us = mirror_clock_us();
	if (c->promoted)
		p->host->promoted(p->host->self);
	p->host->wake(p->host->self);
	if (again && !t->again) {
		t->again = true;
		TAILQ_INSERT_HEAD(&p->waiting, t, link);
		p->nwaiting++;
		return;
	}
	judge(p, answer);
	p->host->ended(p->host->self, t, answer);
}

static const struct connection_events EVENTS = {on_state, on_answer};

/* An idle connection that may run the read: best one that has carried the same custom settings. */
static struct member *pick(struct pool *p, uint64_t custom)
{
	struct member *m, *best = NULL;

	TAILQ_FOREACH (m, &p->members, link) {
		const struct connection *c = m->connection;

		if (c->state != CONNECTION_IDLE || !session_fits(&c->session, custom))
			continue;
		if (c->session.custom == custom)
			return m;
		if (!best)
			best = m;
	}

	return best;
}

static void close_member(struct pool *p, struct member *m, const char *why)
{
	connection_close(m->connection, why);
	remove_member(p, m);
}

/* All connections exist and none fits: an idle one must go. */
static void make_room(struct pool *p)
{
	struct member *m;

	TAILQ_FOREACH_REVERSE(m, &p->members, members, link)
	{
		if (m->connection->state == CONNECTION_IDLE) {
			close_member(p, m, "it carries other custom settings");
			return;
		}
	}
}

/* Connections in their hand-over: each will take a read that waits. */
static size_t coming(const struct pool *p)
{
	const struct member *m;
	size_t n = 0;

	TAILQ_FOREACH (m, &p->members, link)
		n += !m->connection->draining &&
		     (m->connection->state == CONNECTION_CHECKING ||
			     m->connection->state == CONNECTION_PREPARING);

	return n;
}

static void want_connection(struct pool *p, uint64_t now_us)
{
	if (p->opening || coming(p) >= p->nwaiting)
		return;
	if (p->nmembers >= p->host->options->pool_size)
		make_room(p);
	if (p->nmembers < p->host->options->pool_size && now_us >= p->next_connect_us)
		open_one(p);
}

static void take_waiting(struct pool *p, struct ticket *t)
{
	if (p->last_urgent == t)
		p->last_urgent = TAILQ_PREV(t, tickets, link);
	TAILQ_REMOVE(&p->waiting, t, link);
	p->nwaiting--;
}

static void run(struct pool *p, struct member *m, struct ticket *t)
{
	take_waiting(p, t);
	if (!connection_run(m->connection, t->read)) {
		ticket_fail(p->host, t, REASON_WRAPPER, "more settings than can be applied");
		return;
	}
	m->connection->ticket = t;
	p->busy++;
	p->host->busy++;
	TAILQ_REMOVE(&p->members, m, link);
	TAILQ_INSERT_HEAD(&p->members, m, link);
}

/* False: the head of the queue must wait. */
static bool run_first(struct pool *p, uint64_t now_us)
{
	struct ticket *t = TAILQ_FIRST(&p->waiting);
	struct member *m;

	if (!t || (p->breaker.state == BREAKER_HALF_OPEN && p->busy > 0))
		return false;
	m = pick(p, t->custom);
	if (!m) {
		want_connection(p, now_us);
		return false;
	}
	run(p, m, t);

	return true;
}

static void drop_waiting(struct pool *p, enum reason reason, const char *text)
{
	struct ticket *t;

	while ((t = TAILQ_FIRST(&p->waiting))) {
		take_waiting(p, t);
		ticket_fail(p->host, t, reason, text);
	}
}

static void reap(struct pool *p, uint64_t now_us)
{
	struct member *m, *next;

	for (m = TAILQ_FIRST(&p->members); m; m = next) {
		struct connection *c = m->connection;

		next = TAILQ_NEXT(m, link);
		if (c->state == CONNECTION_IDLE && now_us >= c->idle_since_us + POOL_IDLE_US)
			close_member(p, m, "not used for long");
		else if (c->state == CONNECTION_CLOSED)
			remove_member(p, m);
	}
}

uint64_t pool_turn(struct pool *p, uint64_t now_us)
{
	uint64_t next = p->nmembers ? now_us + POOL_SWEEP_US : UINT64_MAX;
	unsigned runs = 0;

	reap(p, now_us);
	if (p->host->retired)
		drop_waiting(p, REASON_BREAKER, "the server is no longer a standby");
	if (!breaker_allows(&p->breaker, now_us))
		drop_waiting(p, REASON_BREAKER, "the circuit breaker is open");
	while (runs < RUNS_PER_TURN && run_first(p, now_us))
		runs++;
	if (runs == RUNS_PER_TURN)
		return now_us;
	if (p->nwaiting && !p->opening && p->next_connect_us > now_us && p->next_connect_us < next)
		next = p->next_connect_us;

	return next;
}

/* --- life --- */

struct pool *pool_new(struct pool_host *host, const char *database)
{
	struct pool *p = calloc(1, sizeof *p);

	if (!p)
		return NULL;
	p->database = database ? strdup(database) : NULL;
	if (database && !p->database) {
		free(p);
		return NULL;
	}
	p->host = host;
	TAILQ_INIT(&p->waiting);
	TAILQ_INIT(&p->members);
	breaker_init(&p->breaker, host->options->breaker_failures, host->options->breaker_open_us);
	p->used_us = mirror_clock_us();
	p->random = (uint32_t)(p->used_us ^ (uintptr_t)p) | 1;

	return p;
}

void pool_free(struct pool *p, enum reason reason)
{
	struct member *m;

	drop_waiting(p, reason, "pgumbra stops using this server");
	while ((m = TAILQ_FIRST(&p->members))) {
		struct ticket *t = m->connection->ticket;

		remove_member(p, m);
		if (t) {
			p->busy--;
			p->host->busy--;
			ticket_fail(p->host, t, reason, "pgumbra stops using this server");
		}
	}
	if (p->opening)
		p->opening->pool = NULL;
	free(p->database);
	free(p);
}

const char *pool_database(const struct pool *p)
{
	return p->database;
}

void pool_add(struct pool *p, struct ticket *t)
{
	if (!t->urgent)
		TAILQ_INSERT_TAIL(&p->waiting, t, link);
	else if (p->last_urgent)
		TAILQ_INSERT_AFTER(&p->waiting, p->last_urgent, t, link);
	else
		TAILQ_INSERT_HEAD(&p->waiting, t, link);
	if (t->urgent)
		p->last_urgent = t;
	p->nwaiting++;
	p->used_us = mirror_clock_us();
}

bool pool_allows(struct pool *p, uint64_t now_us)
{
	return breaker_allows(&p->breaker, now_us);
}

void pool_drain(struct pool *p)
{
	struct member *m, *next;

	if (p->opening)
		p->opening->stale = true;
	for (m = TAILQ_FIRST(&p->members); m; m = next) {
		struct connection *c = m->connection;

		next = TAILQ_NEXT(m, link);
		if (c->state == CONNECTION_IDLE)
			connection_close(c, "the pool is drained");
		else
			c->draining = true;
	}
}

bool pool_is_unused(const struct pool *p, uint64_t now_us)
{
	return p->nwaiting == 0 && p->bound == 0 && p->nmembers == 0 && !p->opening &&
	       !breaker_is_open(&p->breaker, now_us) && now_us >= p->used_us + POOL_IDLE_US;
}

void pool_state(const struct pool *p, uint64_t now_us, struct mirror_state *add_to)
{
	add_to->connections += live_members(p);
	add_to->busy += p->busy;
	add_to->breaker_open |= breaker_is_open(&p->breaker, now_us);
}

void pool_ticket_bound(struct pool *p, int change)
{
	assert(change > 0 || p->bound > 0);
	p->bound += (size_t)change;
}

struct pool *pool_next(const struct pool *p)
{
	return p->next;
}

void pool_set_next(struct pool *p, struct pool *next)
{
	p->next = next;
}

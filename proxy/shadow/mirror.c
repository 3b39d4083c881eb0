#include "proxy/shadow/mirror.h"

#include "proxy/log.h"
#include "proxy/shadow/connector.h"
#include "proxy/shadow/mirror_pool.h"
#include "proxy/shadow/mirror_shares.h"
#include <assert.h>
#include <stdlib.h>

enum { MAX_POOLS = 256, DEFAULT_TIMEOUT_US = 30000000 };

/* max_rate: a bucket that holds one second's worth. */
struct bucket {
	double tokens, per_second;
	uint64_t filled_us;
};

struct mirror {
	struct event_base *base;       /* borrowed */
	struct mirror_options options; /* its texts are borrowed */
	struct pool_host host;
	bool one_database;  /* conninfo names it */
	struct pool *pools; /* owned list */
	unsigned npools;
	struct delayed delayed;
	size_t accepted, accepted_bytes; /* not yet ended */
	struct shares shares;		 /* the same by shape */
	uint64_t order, reads, failures;
	struct bucket bucket;
	struct event *turn, *timer;
	uint64_t timer_us; /* when `timer` comes; 0: it is not set */
	bool stopping, ending;
};

/* --- what pools call --- */

static void wake(void *self)
{
	struct mirror *m = self;

	if (!m->stopping)
		event_active(m->turn, EV_TIMEOUT, 0);
}

static void ended(void *self, struct ticket *t, struct mirror_answer *answer)
{
	struct mirror *m = self;

	m->accepted--;
	m->accepted_bytes -= t->bytes;
	shares_give_back(&m->shares, t->share);
	if (answer->status == MIRROR_ANSWERED)
		m->reads++;
	else
		m->failures++;
	m->ending = true;
	t->on_done(t->self, answer);
	m->ending = false;
	dark_read_unref(t->read);
	free(t);
}

static void promoted(void *self)
{
	struct mirror *m = self;

	if (!m->options.retire_promoted)
		log_warning("%s: the server is no longer a standby: all connections are closed and "
			    "opened anew",
			m->options.name);
	else if (!m->host.retired)
		log_error("%s: the server is no longer a standby: nothing more is sent there until "
			  "pgumbra is started anew",
			m->options.name);
	m->host.retired = m->options.retire_promoted;
	for (struct pool *p = m->pools; p; p = pool_next(p))
		pool_drain(p);
}

/* --- turns of the loop --- */

static void queue_due(struct mirror *m, uint64_t now_us)
{
	struct ticket *t;

	while ((t = delayed_first(&m->delayed)) && t->not_before_us <= now_us) {
		(void)delayed_take(&m->delayed);
		pool_ticket_bound(t->pool, -1);
		pool_add(t->pool, t);
	}
}

static void free_unused_pools(struct mirror *m, uint64_t now_us)
{
	struct pool *before = NULL, *p, *next;

	for (p = m->pools; p; p = next) {
		next = pool_next(p);
		if (!pool_is_unused(p, now_us)) {
			before = p;
			continue;
		}
		if (before)
			pool_set_next(before, next);
		else
			m->pools = next;
		pool_free(p, REASON_SHUTDOWN);
		m->npools--;
	}
}

/* A timer that comes earlier is left alone: the turn that it brings sets it again. */
static void set_timer(struct mirror *m, uint64_t now_us, uint64_t at_us)
{
	uint64_t in = at_us > now_us ? at_us - now_us : 0;
	const struct timeval tv = {(time_t)(in / 1000000), (suseconds_t)(in % 1000000)};

	if (m->timer_us != 0 && m->timer_us <= at_us)
		return;
	m->timer_us = at_us;
	event_add(m->timer, &tv);
}

static void on_turn(evutil_socket_t fd, short what, void *self)
{
	struct mirror *m = self;
	uint64_t now = mirror_clock_us(), next = now + POOL_SWEEP_US;
	struct ticket *first;

	(void)fd;
	(void)what;
	queue_due(m, now);
	for (struct pool *p = m->pools; p; p = pool_next(p)) {
		uint64_t at = pool_turn(p, now);

		if (at < next)
			next = at;
	}
	free_unused_pools(m, now);
	first = delayed_first(&m->delayed);
	if (first && first->not_before_us < next)
		next = first->not_before_us;
	if (m->npools)
		set_timer(m, now, next);
}

static void on_timer(evutil_socket_t fd, short what, void *self)
{
	struct mirror *m = self;

	m->timer_us = 0;
	on_turn(fd, what, m);
}

/* --- submitting --- */

static struct pool *pool_for(struct mirror *m, const char *database)
{
	struct pool *p;

	if (m->options.database) {
		database = m->options.database(m->options.database_self, database);
		if (!database)
			return NULL;
	} else if (m->one_database) {
		database = NULL;
	}
	for (p = m->pools; p; p = pool_next(p))
		if (!database || strcmp(pool_database(p), database) == 0)
			return p;
	if (m->npools == MAX_POOLS)
		return NULL;
	p = pool_new(&m->host, database);
	if (!p)
		return NULL;
	pool_set_next(p, m->pools);
	m->pools = p;
	m->npools++;

	return p;
}

static bool take_token(struct bucket *b, uint64_t now_us)
{
	double full = b->per_second > 1 ? b->per_second : 1;

	if (b->per_second <= 0)
		return true;
	b->tokens += (double)(now_us - b->filled_us) * b->per_second / 1e6;
	b->filled_us = now_us;
	if (b->tokens > full)
		b->tokens = full;
	if (b->tokens < 1)
		return false;
	b->tokens -= 1;

	return true;
}

static enum reason admit(struct mirror *m, struct pool *p, const struct ticket *t, uint64_t now_us)
{
	if (m->stopping)
		return REASON_SHUTDOWN;
	if (!p)
		return REASON_MEMORY;
	if (m->host.retired || !pool_allows(p, now_us))
		return REASON_BREAKER;
	if (t->urgent)
		return REASON_NONE;
	if (!shares_allow(
		    &m->shares, t->share, m->accepted - m->host.busy, m->options.queue_reads) ||
		m->accepted_bytes + t->bytes > m->options.queue_bytes)
		return REASON_QUEUE_FULL;
	if (!take_token(&m->bucket, now_us))
		return REASON_RATE;

	return REASON_NONE;
}

static bool enqueue(struct mirror *m, struct ticket *t, uint64_t now_us)
{
	if (t->not_before_us <= now_us) {
		pool_add(t->pool, t);
		return true;
	}
	if (!delayed_add(&m->delayed, t))
		return false;
	pool_ticket_bound(t->pool, 1);

	return true;
}

void mirror_renew(struct mirror *m)
{
	for (struct pool *p = m->pools; p; p = pool_next(p))
		pool_drain(p);
	if (m->pools)
		m->host.wake(m->host.self);
}

/* What it is made of is copied from `as`. */
static bool submit(struct mirror *m, struct dark_read *read, struct ticket as, enum reason *reason)
{
	const uint64_t now = mirror_clock_us();
	struct ticket *t;

	as.pool = m->stopping ? NULL : pool_for(m, read->database);
	as.bytes = dark_read_bytes(read);
	as.share = shares_slot(read->statement ? read->statement->fingerprint : "");
	*reason = admit(m, as.pool, &as, now);
	if (*reason != REASON_NONE)
		return false;
	as.order = m->order++;
	as.custom = custom_names(read);
	t = malloc(sizeof *t);
	if (t)
		*t = as;
	if (!t || !enqueue(m, t, now)) {
		free(t);
		*reason = REASON_MEMORY;
		return false;
	}
	t->read = dark_read_ref(read);
	m->accepted++;
	m->accepted_bytes += t->bytes;
	shares_take(&m->shares, t->share);
	wake(m);

	return true;
}

bool mirror_submit(struct mirror *m, struct dark_read *read, uint64_t not_before_us,
	void (*on_done)(void *self, struct mirror_answer *answer), void *self, enum reason *reason)
{
	const struct ticket as = {.not_before_us = not_before_us, .on_done = on_done, .self = self};

	return submit(m, read, as, reason);
}

bool mirror_submit_urgent(struct mirror *m, struct dark_read *read,
	void (*on_done)(void *self, struct mirror_answer *answer), void *self, enum reason *reason)
{
	const struct ticket as = {.urgent = true, .on_done = on_done, .self = self};

	return submit(m, read, as, reason);
}

/* --- state --- */

void mirror_state(const struct mirror *m, struct mirror_state *out)
{
	uint64_t now = mirror_clock_us();

	*out = (struct mirror_state){.queued = m->accepted - m->host.busy,
		.breaker_open = m->host.retired,
		.reads = m->reads,
		.failures = m->failures};
	for (const struct pool *p = m->pools; p; p = pool_next(p))
		pool_state(p, now, out);
}

bool mirror_idle(const struct mirror *m)
{
	return m->accepted == 0;
}

/* --- life --- */

struct mirror *mirror_new(
	struct event_base *base, struct connector *connector, const struct mirror_options *options)
{
	struct mirror *m = calloc(1, sizeof *m);

	if (!m)
		return NULL;
	m->base = base;
	m->options = *options;
	if (m->options.pool_size == 0)
		m->options.pool_size = 1;
	m->one_database = conninfo_has_database(options->conninfo);
	m->bucket = (struct bucket){.tokens = options->max_rate > 1 ? options->max_rate : 1,
		.per_second = options->max_rate,
		.filled_us = mirror_clock_us()};
	m->host = (struct pool_host){.base = base,
		.connector = connector,
		.options = &m->options,
		.timeout_us = options->statement_timeout_us ? options->statement_timeout_us
							    : DEFAULT_TIMEOUT_US,
		.wake = wake,
		.ended = ended,
		.promoted = promoted,
		.self = m};
	m->turn = event_new(base, -1, 0, on_turn, m);
	m->timer = evtimer_new(base, on_timer, m);
	if (!m->turn || !m->timer) {
		mirror_free(m);
		return NULL;
	}

	return m;
}

void mirror_free(struct mirror *m)
{
	struct ticket *t;
	struct pool *p;

	if (!m)
		return;
	assert(!m->ending);
	m->stopping = true;
	while (delayed_first(&m->delayed)) {
		t = delayed_take(&m->delayed);
		pool_ticket_bound(t->pool, -1);
		ticket_fail(&m->host, t, REASON_SHUTDOWN, "pgumbra is stopping");
	}
	while ((p = m->pools)) {
		m->pools = pool_next(p);
		pool_free(p, REASON_SHUTDOWN);
	}
	delayed_release(&m->delayed);
	if (m->turn)
		event_free(m->turn);
	if (m->timer)
		event_free(m->timer);
	free(m);
}

#include "proxy/relay/shedding.h"

#include "proxy/log.h"
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum {
	LOOK_MS = 200,
	FIGURES_OVER = 2, /* in a row, until copying is shed */
	TURNS_MIN = 3,	  /* measured ones, for a percentile of them */
	SLICES_MIN = 20,  /* turns on a core, for a mean of the waits before them */
	SECOND_US = 1000000,
	HOLD_FIRST_US = 2 * SECOND_US,
	HOLD_MOST_US = 300 * SECOND_US,
	WELL_US = 60 * SECOND_US, /* copying that long without shedding forgets the holds before */
};

/* --- the rule --- */

static enum shedding_change begin(struct shedding_rule *r, uint64_t now_us)
{
	const bool again = r->recovered_us != 0 && now_us - r->recovered_us < WELL_US;

	r->hold_us = !again			     ? HOLD_FIRST_US
		     : r->hold_us < HOLD_MOST_US / 2 ? 2 * r->hold_us
						     : HOLD_MOST_US;
	r->shed = true;
	r->copy_over = r->wait_over = 0;
	r->since_us = now_us;

	return SHEDDING_BEGINS;
}

static enum shedding_change end(struct shedding_rule *r, uint64_t now_us)
{
	r->shed = false;
	r->copy_over = r->wait_over = 0;
	r->since_us = r->recovered_us = now_us;

	return SHEDDING_ENDS;
}

static void count(unsigned *over, bool has, uint64_t us, uint64_t budget_us)
{
	if (has)
		*over = us > budget_us ? *over + 1 : 0;
}

enum shedding_change shedding_look(
	struct shedding_rule *r, uint64_t now_us, const struct shedding_figures *f)
{
	if (r->budget_us == 0)
		return r->shed ? end(r, now_us) : SHEDDING_STAYS;
	if (r->shed) {
		const bool calm = !f->has_wait || f->wait_us <= r->budget_us / 2;

		return calm && now_us - r->since_us >= r->hold_us ? end(r, now_us) : SHEDDING_STAYS;
	}
	count(&r->copy_over, f->has_copy, f->copy_us, r->budget_us);
	count(&r->wait_over, f->has_wait, f->wait_us, r->budget_us);

	return r->copy_over >= FIGURES_OVER || r->wait_over >= FIGURES_OVER ? begin(r, now_us)
									    : SHEDDING_STAYS;
}

/* --- the watch --- */

struct watched {
	int fd; /* schedstat; -1: not open yet */
	uint64_t waited_ns, slices;
	struct histogram copied;
};

struct shedding {
	struct shedding_rule rule;
	const struct relay_thread *threads; /* borrowed */
	unsigned count;
	struct watched *watched; /* owned, [count] */
	struct event *tick;
	void (*on_change)(bool shed, void *arg);
	void *arg;
};

static uint64_t monotonic_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);

	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void open_schedstat(struct watched *w, const struct relay_thread *t)
{
	const int tid = atomic_load(&t->tid);
	char path[64];

	if (w->fd >= 0 || tid == 0)
		return;
	snprintf(path, sizeof path, "/proc/self/task/%d/schedstat", tid);
	w->fd = open(path, O_RDONLY | O_CLOEXEC);
}

/* Mean wait for a core. Format: time on a core and time waiting for one, ns, and how often it got
 * one (Documentation/scheduler/sched-stats.rst of Linux). A kernel that doesn't say gives none. */
static void look_at_waits(
	struct watched *w, const struct relay_thread *t, struct shedding_figures *worst)
{
	uint64_t waited, slices, us;
	char text[96];
	ssize_t n;

	open_schedstat(w, t);
	n = w->fd < 0 ? -1 : pread(w->fd, text, sizeof text - 1, 0);
	if (n <= 0)
		return;
	text[n] = 0;
	if (sscanf(text, "%*u %" SCNu64 " %" SCNu64, &waited, &slices) != 2 ||
		slices - w->slices < SLICES_MIN)
		return;
	us = (waited - w->waited_ns) / (slices - w->slices) / 1000;
	w->waited_ns = waited;
	w->slices = slices;
	worst->has_wait = true;
	worst->wait_us = us > worst->wait_us ? us : worst->wait_us;
}

static void look_at_copying(
	struct watched *w, const struct relay_thread *t, struct shedding_figures *worst)
{
	struct histogram now, fresh = {.total = 0};
	uint64_t us;

	tape_costs(t->tape, &now);
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		fresh.count[i] = now.count[i] - w->copied.count[i];
		fresh.total += fresh.count[i];
	}
	if (fresh.total < TURNS_MIN)
		return;
	w->copied = now;
	us = histogram_quantile(&fresh, 0.99) / 1000;
	worst->has_copy = true;
	worst->copy_us = us > worst->copy_us ? us : worst->copy_us;
}

static void tell(
	const struct shedding *s, enum shedding_change change, const struct shedding_figures *f)
{
	if (change == SHEDDING_ENDS)
		log_info("shadowing goes on: sessions are followed again when they stand idle");
	else
		log_warning("shadow.latency_budget = %" PRIu64 " us is passed (copying %" PRIu64
			    " us a turn, waiting for a core %" PRIu64
			    " us): shadowing is shed for %" PRIu64 " s at least; clients go on",
			s->rule.budget_us, f->copy_us, f->wait_us, s->rule.hold_us / SECOND_US);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct shedding *s = arg;
	struct shedding_figures worst = {.has_copy = false};
	enum shedding_change change;

	(void)fd;
	(void)what;
	for (unsigned i = 0; i < s->count; i++) {
		look_at_copying(&s->watched[i], &s->threads[i], &worst);
		look_at_waits(&s->watched[i], &s->threads[i], &worst);
	}
	change = shedding_look(&s->rule, monotonic_us(), &worst);
	if (change == SHEDDING_STAYS)
		return;
	tell(s, change, &worst);
	s->on_change(change == SHEDDING_BEGINS, s->arg);
}

struct shedding *shedding_new(struct event_base *base, const struct relay_thread *threads,
	unsigned count, uint64_t budget_us, void (*on_change)(bool shed, void *arg), void *arg)
{
	const struct timeval every = {.tv_usec = LOOK_MS * 1000};
	struct shedding *s = calloc(1, sizeof *s);

	if (!s)
		return NULL;
	*s = (struct shedding){.rule = {.budget_us = budget_us},
		.threads = threads,
		.count = count,
		.watched = calloc(count, sizeof *s->watched),
		.tick = event_new(base, -1, EV_PERSIST, on_tick, s),
		.on_change = on_change,
		.arg = arg};
	for (unsigned i = 0; s->watched && i < count; i++)
		s->watched[i].fd = -1;
	if (!s->watched || !s->tick || event_add(s->tick, &every) < 0) {
		shedding_free(s);
		return NULL;
	}

	return s;
}

void shedding_set_budget(struct shedding *s, uint64_t budget_us)
{
	s->rule.budget_us = budget_us;
}

void shedding_free(struct shedding *s)
{
	if (!s)
		return;
	for (unsigned i = 0; s->watched && i < s->count; i++)
		if (s->watched[i].fd >= 0)
			close(s->watched[i].fd);
	if (s->tick)
		event_free(s->tick);
	free(s->watched);
	free(s);
}

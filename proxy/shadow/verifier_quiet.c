#include "proxy/shadow/verifier_parts.h"

#include <stdlib.h>

/* Where the data keeps moving, a few trials of each shape try on: the probers. The others wait
 * until one of them finds P1 and P2 equal, or leaves its place, so that a hot shape costs the
 * primary a few re-reads every few seconds and not one for each execution. */

enum { PROBERS = 8 };

static struct quiet *find(struct verifier *v, const struct trial *t)
{
	struct quiet_key key = {.shape = t->shape, .candidate = t->candidate};
	struct quiet *q;

	HASH_FIND(hh, v->quiet, &key, sizeof key, q);
	if (q)
		return q;
	q = calloc(1, sizeof *q);
	if (!q)
		return NULL;
	q->key.shape = key.shape;
	q->key.candidate = key.candidate;
	HASH_ADD(hh, v->quiet, key, sizeof q->key, q);

	return q;
}

static void forget(struct verifier *v, struct quiet *q)
{
	HASH_DEL(v->quiet, q);
	free(q);
}

bool trial_has_probers(const struct trial *t)
{
	struct quiet_key key = {.shape = t->shape, .candidate = t->candidate};
	struct quiet *q;

	HASH_FIND(hh, t->verifier->quiet, &key, sizeof key, q);

	return q && !t->probing && q->probers == PROBERS;
}

static struct trial *take_first(struct verifier *v, struct quiet *q)
{
	struct trial *t = q->first;

	if (!t)
		return NULL;
	q->first = t->next_waiting;
	if (!q->first)
		q->last = NULL;
	t->next_waiting = NULL;
	v->waiting--;

	return t;
}

static bool over(const struct trial *t)
{
	return verifier_clock_us(CLOCK_MONOTONIC) - t->moving_since_us >
	       t->verifier->options.quiet_wait_us;
}

/* They came in this order. */
static void end_those_who_waited_long(struct verifier *v, struct quiet *q)
{
	while (q->first && over(q->first))
		trial_end(take_first(v, q), OUTCOME_UNVERIFIABLE, REASON_MOVING);
}

enum quiet_turn trial_wait_for_quiet(struct trial *t)
{
	struct verifier *v = t->verifier;
	struct quiet *q = t->probing ? t->probing : find(v, t);

	if (!q)
		return QUIET_FULL;
	end_those_who_waited_long(v, q);
	if (!t->probing && q->probers < PROBERS) {
		q->probers++;
		t->probing = q;
	}
	if (over(t))
		return QUIET_OVER;
	if (t->probing)
		return QUIET_TRY;
	if (v->waiting >= v->options.quiet_reads)
		return QUIET_FULL;
	if (q->last)
		q->last->next_waiting = t;
	else
		q->first = t;
	q->last = t;
	v->waiting++;

	return QUIET_WAIT;
}

static void give_up_place(struct trial *t)
{
	struct quiet *q = t->probing;

	t->probing = NULL;
	if (--q->probers == 0)
		forget(t->verifier, q);
}

void trial_is_calm(struct trial *t)
{
	struct trial *other;

	if (!t->probing)
		return;
	while ((other = take_first(t->verifier, t->probing))) {
		other->doublings = 0;
		trial_attempt(other);
	}
	give_up_place(t);
}

void trial_leaves_quiet(struct trial *t)
{
	struct quiet *q = t->probing;
	struct trial *next = q ? take_first(t->verifier, q) : NULL;

	if (!next) {
		if (q)
			give_up_place(t);
		return;
	}
	t->probing = NULL;
	next->probing = q;
	trial_attempt(next);
}

void verifier_quiet_stop(struct verifier *v)
{
	struct quiet *q, *next;
	struct trial *t;

	HASH_ITER (hh, v->quiet, q, next)
		while ((t = take_first(v, q)))
			trial_end(t, OUTCOME_DROPPED, REASON_SHUTDOWN);
}

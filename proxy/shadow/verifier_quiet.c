#include "proxy/shadow/verifier_parts.h"

#include <stdlib.h>

/* Where the data keeps moving, one trial of each shape tries on: the prober. The others wait until
 * it finds P1 and P2 equal, so that a hot shape costs the primary one re-read every few seconds and
 * not one for each execution. */

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

bool trial_has_prober(const struct trial *t)
{
	struct quiet_key key = {.shape = t->shape, .candidate = t->candidate};
	struct quiet *q;

	HASH_FIND(hh, t->verifier->quiet, &key, sizeof key, q);

	return q && q->prober && q->prober != t;
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
	if (!q->prober) {
		q->prober = t;
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

void trial_is_calm(struct trial *t)
{
	struct verifier *v = t->verifier;
	struct quiet *q = t->probing;
	struct trial *other;

	if (!q)
		return;
	t->probing = NULL;
	q->prober = NULL;
	while ((other = take_first(v, q))) {
		other->doublings = 0;
		trial_attempt(other);
	}
	forget(v, q);
}

void trial_leaves_quiet(struct trial *t)
{
	struct verifier *v = t->verifier;
	struct quiet *q = t->probing;

	if (!q)
		return;
	t->probing = NULL;
	q->prober = take_first(v, q);
	if (!q->prober) {
		forget(v, q);
		return;
	}
	q->prober->probing = q;
	trial_attempt(q->prober);
}

void verifier_quiet_stop(struct verifier *v)
{
	struct quiet *q, *next;
	struct trial *t;

	HASH_ITER (hh, v->quiet, q, next)
		while ((t = take_first(v, q)))
			trial_end(t, OUTCOME_DROPPED, REASON_SHUTDOWN);
}

#include "proxy/shadow/verifier_parts.h"

#include "proxy/log.h"
#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

enum { KEPT_BYTES_MAX = 256 << 20 }; /* of rows, over all verifications */
enum { KEPT_SMALL = 64 << 10 };	     /* bytes of rows */
enum { FENCE_TIMEOUTS_MAX = 3 };
enum { ATTEMPTS_MAX = 16 }; /* sandwiches, moving data and failures included */
static const uint64_t backoff_limit_us = 2500000; /* between two attempts */
static const uint64_t rate_horizon_us =
	60000000; /* a verification that would wait longer is not begun */

/* --- ends ------------------------------------------------------------------------------------- */

/* Rows kept by verifications count against one limit: a candidate that floods must not cost memory
 * (L4). */
static void drop_result(struct trial *t, struct result *r)
{
	t->verifier->kept_bytes -= r->kept.cap;
	result_release(r);
}

static void keep_result(struct trial *t, struct result *to, struct result *from)
{
	drop_result(t, to);
	*to = *from;
	result_init(from, 0);
	t->verifier->kept_bytes += to->kept.cap;
}

/* Of the attempt before the digests do, and the rows of a small one: floats that are summed in
 * another order each time have no digest in common. */
static void keep_digest(struct trial *t, struct result *to, struct result *from)
{
	t->verifier->kept_bytes -= from->kept.cap;
	if (from->kept.cap > KEPT_SMALL) {
		buffer_release(&from->kept);
		from->kept_all = false;
	}
	keep_result(t, to, from);
}

static void drop_answers(struct trial *t)
{
	drop_result(t, &t->before);
	drop_result(t, &t->answer);
	drop_result(t, &t->after);
	drop_result(t, &t->last);
	drop_result(t, &t->last_answer);
}

static void trial_free(struct trial *t)
{
	trial_leaves_quiet(t);
	twins_pass_on(t);
	t->verifier->open--;
	if (t->verifying) {
		t->verifier->verifying--;
		shape_verifying(t->shape, false);
	}
	drop_answers(t);
	dark_read_unref(t->inner);
	dark_read_unref(t->read);
	free(t);
}

void trial_book(struct verifier *v, unsigned candidate, const struct dark_read *read,
	struct shape *shape, enum outcome outcome, enum reason reason)
{
	books_end(v->books, candidate, outcome, reason);
	shape_end(shape, candidate, outcome, reason, verifier_clock_us(CLOCK_REALTIME));
	if (v->on_end)
		v->on_end(v->watcher, candidate, read, outcome, reason);
}

/* Verdicts on errors are counted by SQLSTATE; without an error on either side this does nothing. */
static void count_error(const struct trial *t, enum outcome outcome, const struct result *primary,
	const struct result *answer)
{
	struct verifier *v = t->verifier;
	bool ours = primary->end == RESULT_ERROR, theirs = answer->end == RESULT_ERROR;

	if (ours || theirs)
		books_error(v->books, v->options.errors, t->candidate, outcome,
			ours ? primary->sqlstate : "", theirs ? answer->sqlstate : "");
}

void trial_end(struct trial *t, enum outcome outcome, enum reason reason)
{
	trial_book(t->verifier, t->candidate, t->read, t->shape, outcome, reason);
	if (outcome == OUTCOME_DROPPED && t->verifying)
		t->verifier->books->candidate[t->candidate].dropped_undecided++;
	books_widened(t->verifier->books, t->candidate, t->widened);
	shape_widened(t->shape, t->candidate, t->widened);
	trial_free(t);
}

/* Whose answers count for it: its own, or those of the twin that is asked in its place. */
static const struct trial *asked(const struct trial *t)
{
	return t->leader ? t->leader : t;
}

static void rules_of(const struct trial *of, struct compare_rules *rules)
{
	const struct trial *t = asked(of);

	*rules = (struct compare_rules){.order = t->order,
		.primary_types = t->database->primary_types,
		.candidate_types = t->database->candidate[t->candidate].types,
		.values = &t->verifier->options.values,
		.summed = t->summed};
	if (t->read->row_limit > 0 && !t->inner) {
		rules->order.limited = true;
		rules->order.limit_rows = 0;
	}
}

static void compare_same_server(const struct trial *t, const struct result *a,
	const struct result *b, bool candidate, struct comparison *c)
{
	struct compare_rules rules;

	rules_of(t, &rules);
	if (candidate)
		rules.primary_types = rules.candidate_types;
	else
		rules.candidate_types = rules.primary_types;
	compare_results(a, b, &rules, c);
}

static bool same_server(
	const struct trial *t, const struct result *a, const struct result *b, bool candidate)
{
	struct comparison c;

	compare_same_server(t, a, b, candidate, &c);

	return c.equal;
}

static void log_difference(struct trial *t, enum outcome outcome, enum reason reason,
	const struct comparison *c, const struct result *primary, const struct result *answer)
{
	const struct trial *by = asked(t);
	struct compare_rules rules;
	struct diff diff = {0};
	char id[37];
	struct journal_discrepancy d = {
		.candidate = t->verifier->candidates[t->candidate].name,
		.outcome = outcome,
		.reason = reason,
		.class = c->class,
		.hint = c->hint,
		.read = t->read,
		.primary = primary,
		.answer = answer,
		.read_hash = {t->twins_key.high, t->twins_key.low},
		.attempts = by->attempts,
		.fence = by->fence ? by->fence : "none",
		.waiver = t->waiver,
		.inner_rows = by->inner != NULL,
		.stable = by->stable > 0,
		.verified = !t->alone,
	};

	rules_of(t, &rules);
	d.rules = &rules;
	if (diff_results(primary, answer, &rules, t->verifier->options.diff_limit_bytes, &diff))
		d.diff = &diff;
	if (outcome == OUTCOME_MISMATCH)
		t->verifier->books->mismatch_open++;
	if (journal_discrepancy(t->verifier->journal, &d, id) == JOURNAL_UNLOGGED &&
		outcome == OUTCOME_MISMATCH) {
		t->verifier->books->candidate[t->candidate].mismatch_unlogged++;
		shape_mismatch_unlogged(t->shape, t->candidate);
	}
	diff_release(&diff);
}

static void log_failure(struct trial *t, const struct mirror_answer *failure)
{
	struct comparison c = {.class = CLASS_ERROR};
	struct result answer;

	result_init(&answer, 0);
	answer.end = RESULT_ERROR;
	snprintf(answer.sqlstate, sizeof answer.sqlstate, "%s", failure->sqlstate);
	snprintf(answer.message, sizeof answer.message, "%s", failure->text);
	snprintf(c.hint, sizeof c.hint, "%s", reason_name(failure->reason));
	count_error(t, OUTCOME_CANDIDATE_FAILED, &t->read->primary, &answer);
	log_difference(t, reason_outcome(failure->reason), failure->reason, &c, &t->read->primary,
		&answer);
	result_release(&answer);
}

/* Ends the trial as waived when a waiver accepts the difference. */
static bool waived(struct trial *t, const struct comparison *c, const struct result *primary,
	const struct result *answer)
{
	struct verifier *v = t->verifier;
	const struct waivers *w = v->options.waivers;
	struct compare_rules rules;
	int at, expired;

	if (!w || w->count == 0)
		return false;
	rules_of(t, &rules);
	at = waivers_find(w, v->candidates[t->candidate].name, shape_normalized(t->shape), c,
		primary, answer, &rules, verifier_clock_us(CLOCK_REALTIME), &expired);
	if (at < 0)
		return false;
	v->books->waived[at]++;
	t->waiver = w->list[at].name;
	count_error(t, OUTCOME_WAIVED, primary, answer);
	log_difference(t, OUTCOME_WAIVED, REASON_NONE, c, primary, answer);
	trial_end(t, OUTCOME_WAIVED, REASON_NONE);

	return true;
}

/* A mismatch: would a waiver that has expired have accepted it? */
static void note_expired(struct trial *t, const struct comparison *c, const struct result *primary)
{
	struct verifier *v = t->verifier;
	const struct waivers *w = v->options.waivers;
	struct compare_rules rules;
	int expired = -1;

	if (!w || w->count == 0)
		return;
	rules_of(t, &rules);
	(void)waivers_find(w, v->candidates[t->candidate].name, shape_normalized(t->shape), c,
		primary, &asked(t)->answer, &rules, verifier_clock_us(CLOCK_REALTIME), &expired);
	if (expired >= 0)
		v->books->expired[expired]++;
}

static void latency(struct trial *t, const struct mirror_answer *a)
{
	if (t->read->primary.end == RESULT_ERROR || a->result.end == RESULT_ERROR)
		return;
	if (a->cold)
		shape_warmup(t->shape, t->candidate, a->result.elapsed_us);
	else
		shape_latency(
			t->shape, t->candidate, t->read->primary.elapsed_us, a->result.elapsed_us);
}

/* --- attempts --------------------------------------------------------------------------------- */

static void on_answer(void *self, struct mirror_answer *answer);

void trial_ask(struct trial *t, enum step step, uint64_t not_before_us)
{
	struct verifier *v = t->verifier;
	bool control = step != STEP_FIRST && step != STEP_CANDIDATE;
	struct mirror *mirror = control ? v->control : v->candidates[t->candidate].mirror;
	enum reason reason;

	t->step = step;
	t->round += step == STEP_P1;
	if (mirror_submit(
		    mirror, t->inner ? t->inner : t->read, not_before_us, on_answer, t, &reason))
		return;
	if (step == STEP_FIRST)
		trial_end(t, reason_outcome(reason), reason);
	else if (step == STEP_NOISE)
		trial_end(t, OUTCOME_MATCHED, REASON_NONE);
	else
		trial_end(t, OUTCOME_UNVERIFIABLE,
			control ? REASON_CONTROL_FAILED : REASON_VERIFY_RATE);
}

/* Whenever the control is asked for two answers, that takes a slot of the verifier's own rate: the
 * next free one from `earliest` on, or never: UINT64_MAX when it is later than `latest`. */
static uint64_t take_slot(struct verifier *v, uint64_t earliest, uint64_t latest)
{
	uint64_t when = earliest;

	if (v->options.max_rate <= 0)
		return when;
	if (when < v->next_slot_us)
		when = v->next_slot_us;
	if (when > latest)
		return UINT64_MAX;
	v->next_slot_us = when + (uint64_t)(1e6 / v->options.max_rate);

	return when;
}

/* When the next attempt may begin: after the back-off (doubling, jittered), and within the
 * verifier's own rate. False: too far away. */
static bool next_slot(struct trial *t, uint64_t *when)
{
	struct verifier *v = t->verifier;
	uint64_t now = verifier_clock_us(CLOCK_MONOTONIC), wait = v->options.backoff_us;

	for (unsigned i = 0; i < t->doublings && wait < backoff_limit_us; i++)
		wait *= 2;
	if (wait > backoff_limit_us)
		wait = backoff_limit_us;
	wait += wait / 4 * (XXH3_64bits(&t, sizeof t) % 256) / 256;
	*when = take_slot(v, now + wait, now + rate_horizon_us);

	return *when != UINT64_MAX;
}

void trial_attempt(struct trial *t)
{
	struct verifier *v = t->verifier;
	uint64_t when;

	if (v->stopping) {
		trial_end(t, OUTCOME_DROPPED, REASON_SHUTDOWN);
		return;
	}
	if (!next_slot(t, &when)) {
		trial_end(t, OUTCOME_UNVERIFIABLE, REASON_VERIFY_RATE);
		return;
	}
	trial_ask(t, t->alone ? STEP_CANDIDATE : STEP_P1, when);
}

/* The candidate's catalogue let the read pass; the control is asked only if its own does too. */
static bool control_may_be_asked(struct trial *t)
{
	struct text_parts parts;
	bool may;

	if (!t->verifier->control || !t->database->primary ||
		!classify_text(t->database->primary_classifier, span_cstr(t->read->sql), &parts))
		return false;
	may = parts.count == 1 && parts.part[0].statement->skip == REASON_NONE;
	if (may) /* unique keys that count are the primary's */
		trial_set_order(t, &parts.part[0].statement->order);
	text_parts_release(&parts);

	return may;
}

/* The data moves, by this trial's own experience or another's. */
static void wait_for_quiet(struct trial *t)
{
	switch (trial_wait_for_quiet(t)) {
	case QUIET_TRY:
		t->attempts -= t->attempts > 0; /* the time is limited instead */
		trial_attempt(t);
		break;
	case QUIET_WAIT: drop_answers(t); break;
	case QUIET_OVER: trial_end(t, OUTCOME_UNVERIFIABLE, REASON_MOVING); break;
	case QUIET_FULL: trial_end(t, OUTCOME_UNVERIFIABLE, REASON_QUIET_QUEUE); break;
	}
}

/* The data of its read moves under the control, as its leader finds. */
static void follower_moves(struct trial *t)
{
	if (t->moved == 0)
		shape_reread(t->shape, t->candidate, REREAD_MOVED);
	t->moved = 1;
	if (t->moving_since_us == 0)
		t->moving_since_us = verifier_clock_us(CLOCK_MONOTONIC);
}

void trial_inherits(struct trial *t)
{
	if (t->verifier->stopping)
		trial_end(t, OUTCOME_DROPPED, REASON_SHUTDOWN);
	else if (t->moving_since_us != 0)
		wait_for_quiet(t);
	else
		trial_attempt(t);
}

/* A shape that always differs must leave room for the others; those that follow a twin cost no
 * re-reads, and may be more. */
static bool shape_has_its_share(const struct trial *t, const struct trial *twin)
{
	enum { SHARES = 20, SHARES_WITH_TWIN = 4, LEAST = 100 };
	size_t share = t->verifier->options.queue_reads / (twin ? SHARES_WITH_TWIN : SHARES);

	return shape_under_verification(t->shape) >= (share > LEAST ? share : LEAST);
}

static void begin_verifying(struct trial *t)
{
	t->verifying = true;
	t->verifier->verifying++;
	shape_verifying(t->shape, true);
	t->alone = !control_may_be_asked(t);
}

static void verify(struct trial *t)
{
	struct verifier *v = t->verifier;
	struct trial *twin;

	if (!trial_find_twin(t, &twin)) {
		trial_end(t, reason_outcome(REASON_MEMORY), REASON_MEMORY);
		return;
	}
	if (v->verifying >= v->options.queue_reads || v->kept_bytes > KEPT_BYTES_MAX ||
		shape_has_its_share(t, twin)) {
		trial_end(t, OUTCOME_UNVERIFIABLE, REASON_VERIFY_RATE);
		return;
	}
	begin_verifying(t);
	if (!t->alone)
		trial_follow(t, twin);
	if (t->leader) {
		if (t->leader->moving_since_us != 0)
			follower_moves(t);
	} else if (!t->alone && trial_has_probers(t)) {
		t->moving_since_us = verifier_clock_us(CLOCK_MONOTONIC);
		wait_for_quiet(t);
	} else {
		trial_attempt(t);
	}
}

static enum reason undecided_reason(
	const struct trial *t, const struct comparison *c, const struct result *primary)
{
	if (strcmp(c->hint, "type_unknown") == 0)
		return REASON_TYPE_UNKNOWN;

	return primary->kept_all && asked(t)->answer.kept_all ? REASON_UNDECIDABLE
							      : REASON_RESULT_TOO_LARGE;
}

/* Of inner rows: what still is in doubt is explained by order, for the read itself was. */
static bool explained(const struct trial *t, const struct comparison *c)
{
	const struct trial *by = asked(t);

	return by->inner &&
	       (c->order_ambiguous || c->undecidable || by->answer.end == RESULT_ERROR ||
		       by->after.end == RESULT_ERROR);
}

/* A difference that every attempt confirmed. */
static void conclude(struct trial *t, const struct comparison *c, const struct result *primary)
{
	const struct result *answer = &asked(t)->answer;
	enum outcome outcome = OUTCOME_MISMATCH;
	enum reason reason = REASON_NONE;

	if (explained(t, c)) {
		trial_end(t, OUTCOME_AMBIGUOUS_ORDER, REASON_NONE);
		return;
	}
	if (waived(t, c, primary, answer))
		return;
	if (c->undecidable) {
		outcome = OUTCOME_UNVERIFIABLE;
		reason = undecided_reason(t, c, primary);
	} else if (c->order_ambiguous) {
		outcome = OUTCOME_AMBIGUOUS_ORDER;
	}
	if (outcome == OUTCOME_MISMATCH) {
		note_expired(t, c, primary);
		count_error(t, outcome, primary, answer);
	}
	if (outcome != OUTCOME_AMBIGUOUS_ORDER)
		log_difference(t, outcome, reason, c, primary, answer);
	trial_end(t, outcome, reason);
}

static void undecided(struct trial *t, enum outcome outcome, enum reason reason)
{
	if (t->attempts < ATTEMPTS_MAX)
		trial_attempt(t);
	else
		trial_end(t, outcome, reason);
}

/* The free order of the statement may be all there is to the difference: its inner rows tell. */
static bool ask_inner(struct trial *t)
{
	uint64_t when;

	if (!trial_turn_inner(t, &when))
		return false;
	drop_answers(t);
	t->have_last = false;
	t->stable = t->doublings = 0;
	trial_ask(t, STEP_P1, when);

	return true;
}

/* Both sides agree now. Where the control never gives the primary's first answer, that says
 * nothing: it may see other rows than the clients do. */
static void settle_equal(struct trial *t)
{
	const struct trial *by = asked(t);
	bool reproduced = same_server(t, &t->read->primary, &by->after, false);
	bool before = shape_reproducible(t->shape, t->candidate);
	bool heard =
		shape_heard(t->shape, t->candidate, &by->after.digest, &t->read->primary.digest);
	struct compare_rules rules;
	struct comparison c;

	shape_reread(
		t->shape, t->candidate, reproduced || heard ? REREAD_REPRODUCED : REREAD_OTHER);
	if (reproduced || shape_reproducible(t->shape, t->candidate)) {
		trial_end(t, reproduced ? OUTCOME_MATCHED_AFTER_LAG : OUTCOME_MATCHED_AFTER_CHANGE,
			REASON_NONE);
		return;
	}
	t->widened = 0;
	if (before)
		log_warning("the control does not reproduce the primary's answers to: %s; look at "
			    "its role, row "
			    "security and settings",
			shape_normalized(t->shape));
	rules_of(t, &rules);
	compare_results(&t->read->primary, &by->answer, &rules, &c);
	log_difference(
		t, OUTCOME_UNVERIFIABLE, REASON_NOT_REPRODUCED, &c, &t->read->primary, &by->answer);
	trial_end(t, OUTCOME_UNVERIFIABLE, REASON_NOT_REPRODUCED);
}

/* P1 = P2 = C, and the followers' read is the same one. */
static bool follower_is_equal(struct trial *f, const struct comparison *c)
{
	f->widened = c->widened;
	if (f->leader->inner)
		trial_end(f, OUTCOME_AMBIGUOUS_ORDER, REASON_NONE);
	else
		settle_equal(f);

	return true;
}

/* An attempt that says what the one before said is confirmed soon; else the data moves, and a quiet
 * moment may come. */
static void count_agreement(struct trial *t, bool same)
{
	t->stable = same ? t->stable + 1 : 1;
	t->doublings = same ? 0 : t->doublings + t->have_last;
}

/* In one snapshot nothing moves: an answer that differs from itself there is no answer to compare
 * with. False: it can't be asked. */
static bool ask_twice(struct trial *t)
{
	struct dark_read *read = dark_read_twice(t->inner ? t->inner : t->read);
	enum reason reason;
	uint64_t when;
	bool taken;

	if (!read)
		return false;
	t->step = STEP_TWICE;
	when = take_slot(t->verifier, verifier_clock_us(CLOCK_MONOTONIC), UINT64_MAX);
	taken = mirror_submit(t->verifier->control, read, when, on_answer, t, &reason);
	dark_read_unref(read);

	return taken;
}

static bool follower_has_no_answer(struct trial *f, const struct comparison *c)
{
	(void)c;
	trial_end(f, OUTCOME_NONDETERMINISTIC, REASON_NONE);

	return true;
}

/* Of the read, so of all its executions. */
static void end_nondeterministic(struct trial *t)
{
	twins_end(t, 0, follower_has_no_answer, NULL);
	trial_end(t, OUTCOME_NONDETERMINISTIC, REASON_NONE);
}

static bool follower_is_ambiguous(struct trial *f, const struct comparison *c)
{
	(void)c;
	trial_end(f, OUTCOME_AMBIGUOUS_ORDER, REASON_NONE);

	return true;
}

static void end_ambiguous(struct trial *t)
{
	twins_end(t, 1, follower_is_ambiguous, NULL);
	trial_end(t, OUTCOME_AMBIGUOUS_ORDER, REASON_NONE);
}

/* P1 and P2 differ: the data moved, or the statement has no one answer. Where a free order may be
 * all that differs, and its inner rows can't be asked for, no quiet moment would tell more. */
static void moved(struct trial *t, bool order_ambiguous)
{
	enum { FIRST_LOOK = 2, LATER_LOOKS = 6, TRIES = 3 };
	uint64_t now = verifier_clock_us(CLOCK_MONOTONIC);

	shape_reread(t->shape, t->candidate, REREAD_MOVED);
	t->stable = 0;
	t->doublings++;
	t->have_last = false;
	t->moved++;
	if (t->moving_since_us == 0)
		t->moving_since_us = now;
	for (struct trial *f = t->followers; f; f = f->next_follower)
		follower_moves(f);
	if (shape_nondeterministic(t->shape, now))
		end_nondeterministic(t);
	else if ((t->moved == FIRST_LOOK || t->moved % LATER_LOOKS == 0) && ask_twice(t))
		return;
	else if (t->moved >= TRIES && order_ambiguous)
		end_ambiguous(t);
	else if (t->moved < TRIES && !trial_has_probers(t))
		undecided(t, OUTCOME_UNVERIFIABLE, REASON_MOVING);
	else
		wait_for_quiet(t);
}

/* The answer that the candidate's differs from: the client's own, if it still is that. */
static const struct result *primary_of(const struct trial *t)
{
	const struct trial *by = asked(t);

	return !by->inner && same_server(t, &t->read->primary, &by->after, false)
		       ? &t->read->primary
		       : &by->after;
}

/* How many sandwiches in a row must say the same. Where the data moves, a value that toggles
 * between two makes P1 and P2 equal and C different once in four times: there it takes more. */
static unsigned wanted_agreement(const struct trial *t, bool reproduced)
{
	enum { TIMES = 3, MOST = ATTEMPTS_MAX - 4 };
	const struct trial *by = asked(t);
	unsigned attempts = t->verifier->options.attempts, more = attempts * TIMES;

	if (by->moved == 0 && (reproduced || by->inner) && !shape_moves(t->shape, t->candidate))
		return attempts;
	if (more > MOST)
		more = MOST;

	return more > attempts ? more : attempts;
}

/* The leader's difference survived; has the follower seen enough of its sandwiches? */
static bool follower_differs(struct trial *f, const struct comparison *c)
{
	const struct trial *by = f->leader;
	const unsigned seen = by->round - f->round;
	const bool reproduced = same_server(f, &f->read->primary, &by->after, false);

	if ((seen < by->stable ? seen : by->stable) < wanted_agreement(f, reproduced))
		return false;
	conclude(f, c, primary_of(f));

	return true;
}

/* The difference survived all attempts. */
static void believe(struct trial *t)
{
	struct compare_rules rules;
	struct comparison c;

	rules_of(t, &rules);
	compare_results(&t->after, &t->answer, &rules, &c);
	if (!t->asked_twice && !c.order_ambiguous && !c.undecidable) {
		t->asked_twice = t->concluding = true;
		if (ask_twice(t))
			return;
	}
	twins_end(t, 1, follower_differs, &c);
	conclude(t, &c, primary_of(t));
}

static void weigh_twice(struct trial *t, const struct mirror_answer *answer)
{
	struct comparison c;

	compare_same_server(t, &answer->first, &answer->result, false, &c);
	if (answer->first.end != RESULT_OPEN && !c.equal && !c.order_ambiguous && !c.undecidable) {
		shape_differs_from_itself(t->shape, verifier_clock_us(CLOCK_MONOTONIC));
		end_nondeterministic(t);
	} else if (t->concluding) {
		believe(t);
	} else if (t->probing) {
		t->attempts--;
		trial_attempt(t);
	} else {
		undecided(t, OUTCOME_UNVERIFIABLE, REASON_MOVING);
	}
}

/* P1, C and P2 are there. */
static void weigh_sandwich(struct trial *t)
{
	struct compare_rules rules;
	struct comparison c;
	bool reproduced;

	t->attempts++;
	compare_same_server(t, &t->before, &t->after, false, &c);
	if (c.order_ambiguous && ask_inner(t))
		return;
	if (!c.equal) {
		moved(t, c.order_ambiguous);
		return;
	}
	trial_is_calm(t);
	rules_of(t, &rules);
	compare_results(&t->after, &t->answer, &rules, &c);
	if (c.equal) {
		twins_end(t, 1, follower_is_equal, &c);
		t->widened = c.widened;
		if (t->inner)
			trial_end(t, OUTCOME_AMBIGUOUS_ORDER, REASON_NONE);
		else
			settle_equal(t);
		return;
	}
	reproduced = same_server(t, &t->read->primary, &t->after, false);
	if (c.order_ambiguous && ask_inner(t))
		return;
	count_agreement(t, t->have_last && same_server(t, &t->last, &t->after, false) &&
				   same_server(t, &t->last_answer, &t->answer, true));
	if (t->stable >= wanted_agreement(t, reproduced)) {
		believe(t);
		return;
	}
	keep_digest(t, &t->last, &t->after);
	keep_digest(t, &t->last_answer, &t->answer);
	drop_result(t, &t->before);
	t->have_last = true;
	undecided(t, OUTCOME_UNVERIFIABLE, REASON_MOVING);
}

/* Without a control: only the candidate's later answers can tell. */
static void weigh_alone(struct trial *t)
{
	struct compare_rules rules;
	struct comparison c;

	t->attempts++;
	rules_of(t, &rules);
	compare_results(&t->read->primary, &t->answer, &rules, &c);
	if (c.equal) {
		t->widened = c.widened;
		trial_end(t, OUTCOME_MATCHED_AFTER_LAG, REASON_NONE);
		return;
	}
	count_agreement(t, t->have_last && same_server(t, &t->last_answer, &t->answer, true));
	if (t->stable >= t->verifier->options.attempts) {
		conclude(t, &c, &t->read->primary);
		return;
	}
	keep_digest(t, &t->last_answer, &t->answer);
	t->have_last = true;
	undecided(t, OUTCOME_UNVERIFIABLE, REASON_MOVING);
}

/* Is this matched read in the sample, and is there room for it within the rate? */
static bool noise_wanted(struct trial *t)
{
	struct verifier *v = t->verifier;
	const struct verifier_options *o = &v->options;
	uint64_t now = verifier_clock_us(CLOCK_MONOTONIC);

	if (o->noise_sample <= 0 || v->stopping || !v->control)
		return false;
	v->random = v->random * 6364136223846793005u + 1442695040888963407u;
	if ((double)(v->random >> 11) * 0x1p-53 >= o->noise_sample || v->next_slot_us > now)
		return false;
	if (o->max_rate > 0)
		v->next_slot_us = now + (uint64_t)(1e6 / o->max_rate);

	return control_may_be_asked(t);
}

/* The primary asked again, soon after: what differs now differs without any candidate. */
static void weigh_noise(struct trial *t, const struct result *again)
{
	struct comparison c;

	compare_same_server(t, &t->read->primary, again, false, &c);
	if (!c.undecidable)
		shape_noise(t->shape, t->candidate, !c.equal);
	trial_end(t, OUTCOME_MATCHED, REASON_NONE);
}

static void first_look(struct trial *t, struct mirror_answer *answer)
{
	struct compare_rules rules;
	struct comparison c;

	latency(t, answer);
	rules_of(t, &rules);
	compare_results(&t->read->primary, &answer->result, &rules, &c);
	shape_look(t->shape, t->candidate, c.equal);
	t->widened = c.widened;
	if (c.equal) {
		count_error(t, OUTCOME_MATCHED, &t->read->primary, &answer->result);
		if (noise_wanted(t))
			trial_ask(t, STEP_NOISE, 0);
		else
			trial_end(t, OUTCOME_MATCHED, REASON_NONE);
	} else if (!waived(t, &c, &t->read->primary, &answer->result)) {
		verify(t);
	}
}

static void no_answer(struct trial *t, struct mirror_answer *answer)
{
	bool control = t->step != STEP_FIRST && t->step != STEP_CANDIDATE;

	if (t->step == STEP_NOISE) {
		trial_end(t, OUTCOME_MATCHED, REASON_NONE);
		return;
	}
	if (t->concluding) { /* the last look failed: what was seen before stands */
		believe(t);
		return;
	}
	t->attempts++;
	t->doublings++;
	if (t->inner && t->attempts >= ATTEMPTS_MAX) {
		trial_end(t, OUTCOME_AMBIGUOUS_ORDER, REASON_NONE);
		return;
	}
	if (t->step == STEP_FIRST || (!control && t->attempts >= ATTEMPTS_MAX)) {
		if (reason_outcome(answer->reason) == OUTCOME_CANDIDATE_FAILED)
			log_failure(t, answer);
		trial_end(t, reason_outcome(answer->reason), answer->reason);
		return;
	}
	undecided(t, OUTCOME_UNVERIFIABLE, REASON_CONTROL_FAILED);
}

static void on_fence(void *self, enum fence_result result)
{
	struct trial *t = self;

	t->fence = result == FENCE_PASSED
			   ? fence_in_force(t->verifier->candidates[t->candidate].fence)
			   : "none";
	if (t->verifier->stopping) {
		trial_end(t, OUTCOME_DROPPED, REASON_SHUTDOWN);
	} else if (result == FENCE_TIMEOUT) {
		t->stable = 0;
		if (++t->fence_timeouts < FENCE_TIMEOUTS_MAX)
			undecided(t, OUTCOME_UNVERIFIABLE, REASON_FENCE_TIMEOUT);
		else
			trial_end(t, OUTCOME_UNVERIFIABLE, REASON_FENCE_TIMEOUT);
	} else {
		trial_ask(t, STEP_CANDIDATE, 0);
	}
}

/* The candidate is asked once it has seen what the primary had when P1 was answered. */
static void wait_for_candidate(struct trial *t)
{
	struct fence *fence = t->verifier->candidates[t->candidate].fence;

	if (!fence || !fence_wait(fence, on_fence, t)) {
		t->fence = NULL;
		trial_ask(t, STEP_CANDIDATE, 0);
	}
}

static void on_answer(void *self, struct mirror_answer *answer)
{
	struct trial *t = self;

	if (answer->status == MIRROR_FAILED) {
		no_answer(t, answer);
		return;
	}
	switch (t->step) {
	case STEP_FIRST: first_look(t, answer); break;
	case STEP_P1:
		if (t->inner)
			shape_inner_took(t->shape, verifier_clock_us(CLOCK_MONOTONIC),
				answer->result.elapsed_us);
		keep_result(t, &t->before, &answer->result);
		wait_for_candidate(t);
		break;
	case STEP_CANDIDATE:
		keep_result(t, &t->answer, &answer->result);
		if (!t->alone)
			trial_ask(t, STEP_P2, 0);
		else
			weigh_alone(t);
		break;
	case STEP_NOISE: weigh_noise(t, &answer->result); break;
	case STEP_TWICE: weigh_twice(t, answer); break;
	case STEP_P2:
		keep_result(t, &t->after, &answer->result);
		weigh_sandwich(t);
		break;
	}
}

#include "proxy/shadow/verifier_parts.h"

#include <stdio.h>
#include <stdlib.h>

enum { KEPT_SMALL = 64 << 10 }; /* bytes of rows */

/* Rows kept by verifications count against one limit: a candidate that floods must not cost memory
 * (L4). */
void trial_drop_result(struct trial *t, struct result *r)
{
	t->verifier->kept_bytes -= r->kept.cap;
	result_release(r);
}

void trial_keep_result(struct trial *t, struct result *to, struct result *from)
{
	trial_drop_result(t, to);
	*to = *from;
	result_init(from, 0);
	t->verifier->kept_bytes += to->kept.cap;
}

/* Of the attempt before the digests do, and the rows of a small one: floats that are summed in
 * another order each time have no digest in common. */
void trial_keep_digest(struct trial *t, struct result *to, struct result *from)
{
	t->verifier->kept_bytes -= from->kept.cap;
	if (from->kept.cap > KEPT_SMALL) {
		buffer_release(&from->kept);
		from->kept_all = false;
	}
	trial_keep_result(t, to, from);
}

void trial_drop_answers(struct trial *t)
{
	trial_drop_result(t, &t->before);
	trial_drop_result(t, &t->answer);
	trial_drop_result(t, &t->after);
	trial_drop_result(t, &t->last);
	trial_drop_result(t, &t->last_answer);
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
	trial_drop_answers(t);
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
void trial_count_error(const struct trial *t, enum outcome outcome, const struct result *primary,
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
const struct trial *trial_asked(const struct trial *t)
{
	return t->leader ? t->leader : t;
}

void trial_rules(const struct trial *of, struct compare_rules *rules)
{
	const struct trial *t = trial_asked(of);

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

void trial_compare_same_server(const struct trial *t, const struct result *a,
	const struct result *b, bool candidate, struct comparison *c)
{
	struct compare_rules rules;

	trial_rules(t, &rules);
	if (candidate)
		rules.primary_types = rules.candidate_types;
	else
		rules.candidate_types = rules.primary_types;
	compare_results(a, b, &rules, c);
}

bool trial_same_server(
	const struct trial *t, const struct result *a, const struct result *b, bool candidate)
{
	struct comparison c;

	trial_compare_same_server(t, a, b, candidate, &c);

	return c.equal;
}

void trial_log(struct trial *t, enum outcome outcome, enum reason reason,
	const struct comparison *c, const struct result *primary, const struct result *answer)
{
	const struct trial *by = trial_asked(t);
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

	trial_rules(t, &rules);
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

void trial_log_failure(struct trial *t, const struct mirror_answer *failure)
{
	struct comparison c = {.class = CLASS_ERROR};
	struct result answer;

	result_init(&answer, 0);
	answer.end = RESULT_ERROR;
	snprintf(answer.sqlstate, sizeof answer.sqlstate, "%s", failure->sqlstate);
	snprintf(answer.message, sizeof answer.message, "%s", failure->text);
	snprintf(c.hint, sizeof c.hint, "%s", reason_name(failure->reason));
	trial_count_error(t, OUTCOME_CANDIDATE_FAILED, &t->read->primary, &answer);
	trial_log(t, reason_outcome(failure->reason), failure->reason, &c, &t->read->primary,
		&answer);
	result_release(&answer);
}

/* Ends the trial as waived when a waiver accepts the difference. */
bool trial_waived(struct trial *t, const struct comparison *c, const struct result *primary,
	const struct result *answer)
{
	struct verifier *v = t->verifier;
	const struct waivers *w = v->options.waivers;
	struct compare_rules rules;
	int at, expired;

	if (!w || w->count == 0)
		return false;
	trial_rules(t, &rules);
	at = waivers_find(w, v->candidates[t->candidate].name, shape_normalized(t->shape), c,
		primary, answer, &rules, verifier_clock_us(CLOCK_REALTIME), &expired);
	if (at < 0)
		return false;
	v->books->waived[at]++;
	t->waiver = w->list[at].name;
	trial_count_error(t, OUTCOME_WAIVED, primary, answer);
	trial_log(t, OUTCOME_WAIVED, REASON_NONE, c, primary, answer);
	trial_end(t, OUTCOME_WAIVED, REASON_NONE);

	return true;
}

/* A mismatch: would a waiver that has expired have accepted it? */
void trial_note_expired(struct trial *t, const struct comparison *c, const struct result *primary)
{
	struct verifier *v = t->verifier;
	const struct waivers *w = v->options.waivers;
	struct compare_rules rules;
	int expired = -1;

	if (!w || w->count == 0)
		return;
	trial_rules(t, &rules);
	(void)waivers_find(w, v->candidates[t->candidate].name, shape_normalized(t->shape), c,
		primary, &trial_asked(t)->answer, &rules, verifier_clock_us(CLOCK_REALTIME),
		&expired);
	if (expired >= 0)
		v->books->expired[expired]++;
}

#include "proxy/shadow/verifier.h"

#include "proxy/log.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>
#include <xxhash.h>

enum { KEPT_BYTES_MAX = 256 << 20 }; /* of rows, over all verifications */
enum { KEPT_SMALL = 64 << 10 };	     /* bytes of rows */
enum { FENCE_TIMEOUTS_MAX = 3 };
enum { ATTEMPTS_MAX = 16 }; /* sandwiches, moving data and failures included */
static const uint64_t backoff_limit_us = 5000000; /* between two attempts */
static const uint64_t rate_horizon_us =
	60000000; /* a verification that would wait longer is not begun */

struct verifier {
	struct verifier_options options;
	const struct verifier_candidate *candidates;
	struct databases *databases;
	size_t ncandidates;
	struct mirror *control;
	struct books *books;
	struct shapes *shapes;
	struct journal *journal;
	size_t open;	   /* trials */
	size_t kept_bytes; /* of rows in results of trials */
	size_t verifying;  /* of those: past the first look */
	uint64_t next_slot_us;
	struct trial *held; /* list: wait for a catalogue */
	size_t nheld;
	bool stopping;
	void (*on_end)(void *self, unsigned candidate, const struct dark_read *read,
		enum outcome outcome, enum reason reason);
	void *watcher; /* of on_end */
};

/* One read on one candidate.
 *
 *   (held -->) FIRST --differs--> P1 --> CANDIDATE --> P2 --undecided--> P1 ...
 *                      (without a control: CANDIDATE --undecided--> CANDIDATE ...)
 */
enum step { STEP_FIRST, STEP_P1, STEP_CANDIDATE, STEP_P2 };

struct trial {
	struct verifier *verifier;
	unsigned candidate;
	struct dark_read *read;
	struct database *database;
	struct shape *shape;
	struct order_rule order; /* with the catalogue of the control once it is asked */
	enum step step;
	bool verifying;
	uint32_t widened;   /* what the comparison took that ended it as equal */
	bool alone;	    /* without a control, or with one that must not be asked this */
	unsigned attempts;  /* finished ones */
	unsigned doublings; /* of the back-off: while the data moves; two attempts that agree begin
			       anew */
	unsigned stable;    /* equal differing sandwiches in a row */
	struct result before, answer, after; /* P1, C, P2 of this attempt */
	struct result last, last_answer;     /* P2 and C of the attempt before */
	bool have_last;
	unsigned fence_timeouts;
	const char *fence; /* what the last attempt's fence was, for the record */
	const char *waiver;
	struct trial *next_held;
	uint32_t until_load; /* held: of the candidate's catalogue */
};

static uint64_t now_us(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

struct verifier *verifier_new(const struct verifier_options *options,
	const struct verifier_candidate *candidates, size_t ncandidates, struct mirror *control,
	struct databases *databases, struct books *books, struct shapes *shapes,
	struct journal *journal)
{
	struct verifier *v = calloc(1, sizeof *v);

	if (!v)
		return NULL;
	v->options = *options;
	v->candidates = candidates;
	v->databases = databases;
	v->ncandidates = ncandidates;
	v->control = control;
	v->books = books;
	v->shapes = shapes;
	v->journal = journal;

	return v;
}

void verifier_watch(struct verifier *v,
	void (*on_end)(void *self, unsigned candidate, const struct dark_read *read,
		enum outcome outcome, enum reason reason),
	void *self)
{
	v->on_end = on_end;
	v->watcher = self;
}

void verifier_free(struct verifier *v)
{
	assert(!v || v->open == 0);
	free(v);
}

size_t verifier_open(const struct verifier *v)
{
	return v->open;
}

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

static void trial_free(struct trial *t)
{
	t->verifier->open--;
	if (t->verifying)
		t->verifier->verifying--;
	drop_result(t, &t->before);
	drop_result(t, &t->answer);
	drop_result(t, &t->after);
	drop_result(t, &t->last);
	drop_result(t, &t->last_answer);
	dark_read_unref(t->read);
	free(t);
}

static void book(struct verifier *v, unsigned candidate, const struct dark_read *read,
	struct shape *shape, enum outcome outcome, enum reason reason)
{
	books_end(v->books, candidate, outcome, reason);
	shape_end(shape, candidate, outcome, reason, now_us(CLOCK_REALTIME));
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

static void trial_end(struct trial *t, enum outcome outcome, enum reason reason)
{
	book(t->verifier, t->candidate, t->read, t->shape, outcome, reason);
	books_widened(t->verifier->books, t->candidate, t->widened);
	shape_widened(t->shape, t->candidate, t->widened);
	trial_free(t);
}

static void rules_of(const struct trial *t, struct compare_rules *rules)
{
	*rules = (struct compare_rules){.order = t->order,
		.primary_types = t->database->primary_types,
		.candidate_types = t->database->candidate[t->candidate].types,
		.values = &t->verifier->options.values,
		.summed = t->read->statement->summed};
	if (t->read->row_limit > 0) {
		rules->order.limited = true;
		rules->order.limit_rows = 0;
	}
}

static bool same_server(
	const struct trial *t, const struct result *a, const struct result *b, bool candidate)
{
	struct compare_rules rules;
	struct comparison c;

	rules_of(t, &rules);
	if (candidate)
		rules.primary_types = rules.candidate_types;
	else
		rules.candidate_types = rules.primary_types;
	compare_results(a, b, &rules, &c);

	return c.equal;
}

static void log_difference(struct trial *t, enum outcome outcome, enum reason reason,
	const struct comparison *c, const struct result *primary, const struct result *answer)
{
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
		.attempts = t->attempts,
		.fence = t->fence ? t->fence : "none",
		.waiver = t->waiver,
		.stable = t->stable > 0,
		.verified = !t->alone,
	};

	rules_of(t, &rules);
	if (diff_results(primary, answer, &rules, t->verifier->options.diff_limit_bytes, &diff))
		d.diff = &diff;
	if (outcome == OUTCOME_MISMATCH)
		t->verifier->books->mismatch_open++;
	(void)journal_discrepancy(t->verifier->journal, &d, id);
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
		primary, answer, &rules, now_us(CLOCK_REALTIME), &expired);
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
		primary, &t->answer, &rules, now_us(CLOCK_REALTIME), &expired);
	if (expired >= 0)
		v->books->expired[expired]++;
}

static void latency(struct trial *t, const struct mirror_answer *a)
{
	if (!a->cold && t->read->primary.end != RESULT_ERROR)
		shape_latency(
			t->shape, t->candidate, t->read->primary.elapsed_us, a->result.elapsed_us);
}

/* --- attempts --------------------------------------------------------------------------------- */

static void on_answer(void *self, struct mirror_answer *answer);

static void ask(struct trial *t, enum step step, uint64_t not_before_us)
{
	struct verifier *v = t->verifier;
	bool control = step == STEP_P1 || step == STEP_P2;
	struct mirror *mirror = control ? v->control : v->candidates[t->candidate].mirror;
	enum reason reason;

	t->step = step;
	if (mirror_submit(mirror, t->read, not_before_us, on_answer, t, &reason))
		return;
	if (step == STEP_FIRST)
		trial_end(t, reason_outcome(reason), reason);
	else
		trial_end(t, OUTCOME_UNVERIFIABLE,
			control ? REASON_CONTROL_FAILED : REASON_VERIFY_RATE);
}

/* When the next attempt may begin: after the back-off (doubling, jittered), and within the
 * verifier's own rate. False: too far away. */
static bool next_slot(struct trial *t, uint64_t *when)
{
	struct verifier *v = t->verifier;
	uint64_t now = now_us(CLOCK_MONOTONIC), wait = v->options.backoff_us;

	for (unsigned i = 0; i < t->doublings && wait < backoff_limit_us; i++)
		wait *= 2;
	if (wait > backoff_limit_us)
		wait = backoff_limit_us;
	wait += wait / 4 * (XXH3_64bits(&t, sizeof t) % 256) / 256;
	*when = now + wait;
	if (v->options.max_rate <= 0)
		return true;
	if (*when < v->next_slot_us)
		*when = v->next_slot_us;
	if (*when > now + rate_horizon_us)
		return false;
	v->next_slot_us = *when + (uint64_t)(1e6 / v->options.max_rate);

	return true;
}

static void attempt(struct trial *t)
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
	ask(t, t->alone ? STEP_CANDIDATE : STEP_P1, when);
}

/* Of a bigint's text or bytes; 0: none, or more than can matter. */
static int64_t limit_from_text(struct span value)
{
	int64_t limit = 0;

	for (size_t i = 0; i < value.len; i++) {
		if (value.data[i] < '0' || value.data[i] > '9' || i > 17)
			return 0;
		limit = limit * 10 + (value.data[i] - '0');
	}

	return limit;
}

static int64_t limit_from_binary(struct span value)
{
	int64_t limit = 0;

	for (size_t i = 0; i < value.len && value.len == 8; i++)
		limit = (int64_t)((uint64_t)limit << 8 | value.data[i]);

	return limit > 0 ? limit : 0;
}

/* What the statement says about order, with the value of LIMIT $n. */
static void set_order(struct trial *t, const struct order_rule *order)
{
	const struct dark_read *read = t->read;
	unsigned n = order->limit_param;
	uint16_t format = 0;
	struct span value;

	t->order = *order;
	if (n == 0 || n > read->nparams || !read->params[n - 1].data)
		return;
	value = read->params[n - 1];
	if (read->nparam_formats == 1)
		format = read->param_formats[0];
	else if (n <= read->nparam_formats)
		format = read->param_formats[n - 1];
	t->order.limit_rows = format == 0 ? limit_from_text(value) : limit_from_binary(value);
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
		set_order(t, &parts.part[0].statement->order);
	text_parts_release(&parts);

	return may;
}

static void verify(struct trial *t)
{
	struct verifier *v = t->verifier;

	if (v->verifying >= v->options.queue_reads || v->kept_bytes > KEPT_BYTES_MAX) {
		trial_end(t, OUTCOME_UNVERIFIABLE, REASON_VERIFY_RATE);
		return;
	}
	t->verifying = true;
	t->alone = !control_may_be_asked(t);
	v->verifying++;
	attempt(t);
}

static enum reason undecided_reason(
	const struct trial *t, const struct comparison *c, const struct result *primary)
{
	if (strcmp(c->hint, "type_unknown") == 0)
		return REASON_TYPE_UNKNOWN;

	return primary->kept_all && t->answer.kept_all ? REASON_UNDECIDABLE
						       : REASON_RESULT_TOO_LARGE;
}

/* A difference that every attempt confirmed. */
static void conclude(struct trial *t, const struct comparison *c, const struct result *primary)
{
	enum outcome outcome = OUTCOME_MISMATCH;
	enum reason reason = REASON_NONE;

	if (waived(t, c, primary, &t->answer))
		return;
	if (c->undecidable) {
		outcome = OUTCOME_UNVERIFIABLE;
		reason = undecided_reason(t, c, primary);
	} else if (c->order_ambiguous) {
		outcome = OUTCOME_AMBIGUOUS_ORDER;
	}
	if (outcome == OUTCOME_MISMATCH) {
		note_expired(t, c, primary);
		count_error(t, outcome, primary, &t->answer);
	}
	if (outcome != OUTCOME_AMBIGUOUS_ORDER)
		log_difference(t, outcome, reason, c, primary, &t->answer);
	trial_end(t, outcome, reason);
}

static void undecided(struct trial *t, enum outcome outcome, enum reason reason)
{
	if (t->attempts < ATTEMPTS_MAX)
		attempt(t);
	else
		trial_end(t, outcome, reason);
}

/* Both sides agree now. Where the control never gives the primary's first answer, that says
 * nothing: it may see other rows than the clients do. */
static void settle_equal(struct trial *t, bool reproduced)
{
	bool before = shape_reproducible(t->shape, t->candidate);
	bool heard =
		shape_heard(t->shape, t->candidate, &t->after.digest, &t->read->primary.digest);
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
	compare_results(&t->read->primary, &t->answer, &rules, &c);
	log_difference(
		t, OUTCOME_UNVERIFIABLE, REASON_NOT_REPRODUCED, &c, &t->read->primary, &t->answer);
	trial_end(t, OUTCOME_UNVERIFIABLE, REASON_NOT_REPRODUCED);
}

/* An attempt that says what the one before said is confirmed soon; else the data moves, and a quiet
 * moment may come. */
static void count_agreement(struct trial *t, bool same)
{
	t->stable = same ? t->stable + 1 : 1;
	t->doublings = same ? 0 : t->doublings + t->have_last;
}

/* P1, C and P2 are there. */
static void weigh_sandwich(struct trial *t)
{
	struct compare_rules rules;
	struct comparison c;
	bool reproduced;

	t->attempts++;
	if (!same_server(t, &t->before, &t->after, false)) {
		shape_reread(t->shape, t->candidate, REREAD_MOVED);
		t->stable = 0;
		t->doublings++;
		t->have_last = false;
		undecided(t, OUTCOME_UNVERIFIABLE, REASON_MOVING);
		return;
	}
	rules_of(t, &rules);
	compare_results(&t->after, &t->answer, &rules, &c);
	reproduced = same_server(t, &t->read->primary, &t->after, false);
	if (c.equal) {
		t->widened = c.widened;
		settle_equal(t, reproduced);
		return;
	}
	count_agreement(t, t->have_last && same_server(t, &t->last, &t->after, false) &&
				   same_server(t, &t->last_answer, &t->answer, true));
	if (t->stable >= t->verifier->options.attempts) {
		conclude(t, &c, reproduced ? &t->read->primary : &t->after);
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
		trial_end(t, OUTCOME_MATCHED, REASON_NONE);
	} else if (!waived(t, &c, &t->read->primary, &answer->result)) {
		verify(t);
	}
}

static void no_answer(struct trial *t, struct mirror_answer *answer)
{
	bool control = t->step == STEP_P1 || t->step == STEP_P2;

	t->attempts++;
	t->doublings++;
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
		ask(t, STEP_CANDIDATE, 0);
	}
}

/* The candidate is asked once it has seen what the primary had when P1 was answered. */
static void wait_for_candidate(struct trial *t)
{
	struct fence *fence = t->verifier->candidates[t->candidate].fence;

	if (!fence || !fence_wait(fence, on_fence, t)) {
		t->fence = NULL;
		ask(t, STEP_CANDIDATE, 0);
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
		keep_result(t, &t->before, &answer->result);
		wait_for_candidate(t);
		break;
	case STEP_CANDIDATE:
		keep_result(t, &t->answer, &answer->result);
		if (!t->alone)
			ask(t, STEP_P2, 0);
		else
			weigh_alone(t);
		break;
	case STEP_P2:
		keep_result(t, &t->after, &answer->result);
		weigh_sandwich(t);
		break;
	}
}

/* --- beginnings ------------------------------------------------------------------------------- */

static uint64_t parameters_hash(const struct dark_read *read)
{
	XXH64_hash_t h = XXH3_64bits(read->sql, strlen(read->sql));

	for (uint16_t i = 0; i < read->nparams; i++) {
		h = XXH3_64bits_withSeed(read->params[i].data, read->params[i].len, h + 1);
		h ^= read->params[i].data != NULL;
	}

	return h;
}

/* --- held reads --- */

static void hold(struct trial *t)
{
	struct verifier *v = t->verifier;

	if (v->stopping || v->nheld >= v->options.queue_reads) {
		trial_end(t, OUTCOME_SKIPPED, REASON_VOLATILE_FUNCTION);
		return;
	}
	t->until_load = databases_want(t->database, t->candidate);
	t->next_held = v->held;
	v->held = t;
	v->nheld++;
}

/* The observer decided with one candidate's catalogue of that time, which for a prepared
 * statement may be long ago; each other one decides with its own. */
static enum reason own_decision(const struct verifier *v, unsigned candidate,
	const struct database *db, const struct dark_read *read, bool *unknown_function)
{
	const struct database_candidate *c = db ? &db->candidate[candidate] : NULL;
	enum reason reason = REASON_UNPARSED;
	struct text_parts parts;

	*unknown_function = read->statement->unknown_function;
	if (c && !c->name)
		return REASON_OTHER_DATABASE;
	if (!c || !c->ready)
		return REASON_BREAKER;
	if (read->role_changed && !v->candidates[candidate].impersonate)
		return REASON_SESSION_UNKNOWN;
	if (c->classifier == db->view.classifier &&
		read->statement->catalogue_generation == c->generation)
		return REASON_NONE;
	if (!classify_text(c->classifier, span_cstr(read->sql), &parts))
		return REASON_MEMORY;
	if (parts.count == 1) {
		reason = parts.part[0].statement->skip;
		*unknown_function = parts.part[0].statement->unknown_function;
	}
	text_parts_release(&parts);

	return reason;
}

/* With the catalogue as it is now. */
static void release_held(struct trial *t)
{
	bool unknown;
	enum reason reason =
		t->database->candidate[t->candidate].load_failed
			? REASON_BREAKER
			: own_decision(t->verifier, t->candidate, t->database, t->read, &unknown);

	if (reason == REASON_NONE)
		ask(t, STEP_FIRST, 0);
	else
		trial_end(t, reason_outcome(reason), reason);
}

void verifier_catalogue_loaded(struct verifier *v)
{
	struct trial **at = &v->held;

	while (*at) {
		struct trial *t = *at;
		uint32_t ended = t->database->candidate[t->candidate].loads_ended;

		if ((int32_t)(ended - t->until_load) < 0) { /* numbers wrap around */
			at = &t->next_held;
			continue;
		}
		*at = t->next_held;
		v->nheld--;
		release_held(t);
	}
}

void verifier_stop(struct verifier *v)
{
	struct trial *t;

	v->stopping = true;
	while ((t = v->held)) {
		v->held = t->next_held;
		v->nheld--;
		trial_end(t, OUTCOME_DROPPED, REASON_SHUTDOWN);
	}
}

static void begin_trial(
	struct verifier *v, unsigned candidate, struct dark_read *read, struct shape *shape)
{
	struct database *db = databases_find(v->databases, read->database);
	bool unknown;
	enum reason reason = own_decision(v, candidate, db, read, &unknown);
	struct trial *t = reason == REASON_NONE ? calloc(1, sizeof *t) : NULL;

	if (!t) {
		if (reason == REASON_NONE)
			reason = REASON_MEMORY;
		book(v, candidate, read, shape, reason_outcome(reason), reason);
		return;
	}
	t->verifier = v;
	t->candidate = candidate;
	t->database = db;
	t->shape = shape;
	t->read = dark_read_ref(read);
	set_order(t, &read->statement->order);
	result_init(&t->before, 0);
	result_init(&t->answer, 0);
	result_init(&t->after, 0);
	result_init(&t->last, 0);
	result_init(&t->last_answer, 0);
	v->open++;
	if (unknown)
		hold(t);
	else
		ask(t, STEP_FIRST, 0);
}

void verifier_read_on(struct verifier *v, unsigned candidate, struct dark_read *read)
{
	struct shape *shape = shapes_find(v->shapes, read->statement);

	shape_parameters(shape, candidate, parameters_hash(read));
	begin_trial(v, candidate, read, shape);
	dark_read_unref(read);
}

void verifier_read(struct verifier *v, struct dark_read *read)
{
	for (unsigned i = 0; i < v->ncandidates; i++)
		verifier_read_on(v, i, dark_read_ref(read));
	dark_read_unref(read);
}

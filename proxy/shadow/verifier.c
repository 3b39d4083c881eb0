#include "proxy/shadow/verifier.h"

#include "proxy/shadow/verifier_parts.h"
#include <assert.h>
#include <stdlib.h>
#include <xxhash.h>

uint64_t verifier_clock_us(clockid_t clock)
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
	v->random = verifier_clock_us(CLOCK_REALTIME);
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
		trial_ask(t, STEP_FIRST, 0);
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
	verifier_quiet_stop(v);
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
		trial_book(v, candidate, read, shape, reason_outcome(reason), reason);
		return;
	}
	t->verifier = v;
	t->candidate = candidate;
	t->database = db;
	t->shape = shape;
	t->read = dark_read_ref(read);
	trial_set_order(t, &read->statement->order);
	t->summed = read->statement->summed;
	result_init(&t->before, 0);
	result_init(&t->answer, 0);
	result_init(&t->after, 0);
	result_init(&t->last, 0);
	result_init(&t->last_answer, 0);
	v->open++;
	if (unknown)
		hold(t);
	else
		trial_ask(t, STEP_FIRST, 0);
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

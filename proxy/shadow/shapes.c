#include "proxy/shadow/shapes.h"

#include <assert.h>
#include <stdlib.h>
#include <uthash.h>

enum { REREADS_LEAST = 10, HEARD = 64, INNER_PAUSE = 4 };
static const uint64_t nondeterministic_us = 600000000;

struct shape_counts {
	uint64_t executions;
	uint64_t count[OUTCOME_COUNT][REASON_COUNT];
	uint64_t widened[WIDENING_COUNT];
	uint64_t noise_asked, noise_differed;
	uint64_t mismatch_unlogged;
	struct histogram primary_us, candidate_us, warmup_us;
	struct hll params;
	uint64_t first_seen_us, last_seen_us;
	/* Over the life of the process. */
	uint64_t rereads[REREAD_KINDS];
	uint64_t looks, matched;
	uint64_t heard[HEARD][2]; /* multiset digests of the control's latest answers */
	unsigned next_heard;
};

struct shape {
	char *normalized;
	char fingerprint[17];
	uint64_t nondeterministic_until_us;
	size_t verifying;
	uint64_t inner_next_us, inner_took_us;
	struct shape_counts *counts[BOOKS_MAX_CANDIDATES]; /* made at first use */
	UT_hash_handle hh;
};

struct shapes {
	size_t limit;
	const char *const *candidates;
	size_t ncandidates;
	struct shape *table;
	struct shape common;
	struct shape_delta *deltas;
	size_t capacity;
};

struct shapes *shapes_new(size_t limit, const char *const *candidates, size_t ncandidates)
{
	struct shapes *s = calloc(1, sizeof *s);

	if (!s)
		return NULL;
	s->limit = limit;
	s->candidates = candidates;
	s->ncandidates = ncandidates;
	s->common.normalized = "";

	return s;
}

static void free_counts(struct shape *shape)
{
	for (size_t i = 0; i < BOOKS_MAX_CANDIDATES; i++)
		free(shape->counts[i]);
}

void shapes_free(struct shapes *s)
{
	struct shape *shape, *next;

	if (!s)
		return;
	HASH_ITER (hh, s->table, shape, next) {
		HASH_DEL(s->table, shape);
		free_counts(shape);
		free(shape->normalized);
		free(shape);
	}
	free_counts(&s->common);
	free(s->deltas);
	free(s);
}

struct shape *shapes_find(struct shapes *s, const struct statement *statement)
{
	struct shape *shape;
	size_t len;

	if (!statement || !statement->normalized || !statement->normalized[0])
		return &s->common;
	len = strlen(statement->normalized);
	HASH_FIND(hh, s->table, statement->normalized, len, shape);
	if (shape || HASH_COUNT(s->table) >= s->limit)
		return shape ? shape : &s->common;
	shape = calloc(1, sizeof *shape);
	if (shape)
		shape->normalized = strdup(statement->normalized);
	if (!shape || !shape->normalized) {
		free(shape);
		return &s->common;
	}
	memcpy(shape->fingerprint, statement->fingerprint, sizeof shape->fingerprint);
	HASH_ADD_KEYPTR(hh, s->table, shape->normalized, len, shape);

	return shape;
}

static struct shape_counts *counts_of(struct shape *shape, unsigned candidate)
{
	assert(candidate < BOOKS_MAX_CANDIDATES);
	if (!shape->counts[candidate])
		shape->counts[candidate] = calloc(1, sizeof **shape->counts);

	return shape->counts[candidate];
}

void shape_end(struct shape *shape, unsigned candidate, enum outcome outcome, enum reason reason,
	uint64_t wall_us)
{
	struct shape_counts *c = counts_of(shape, candidate);

	if (!c)
		return;
	c->executions++;
	c->count[outcome][reason]++;
	if (c->first_seen_us == 0)
		c->first_seen_us = wall_us;
	c->last_seen_us = wall_us;
}

void shape_mismatch_unlogged(struct shape *shape, unsigned candidate)
{
	struct shape_counts *c = counts_of(shape, candidate);

	if (c)
		c->mismatch_unlogged++;
}

void shape_widened(struct shape *shape, unsigned candidate, uint32_t widened)
{
	struct shape_counts *c = counts_of(shape, candidate);

	for (unsigned i = 0; c && i < WIDENING_COUNT; i++)
		c->widened[i] += widened >> i & 1;
}

void shape_differs_from_itself(struct shape *shape, uint64_t now_us)
{
	shape->nondeterministic_until_us = now_us + nondeterministic_us;
}

bool shape_nondeterministic(const struct shape *shape, uint64_t now_us)
{
	return now_us < shape->nondeterministic_until_us;
}

void shape_noise(struct shape *shape, unsigned candidate, bool differed)
{
	struct shape_counts *c = counts_of(shape, candidate);

	if (!c)
		return;
	c->noise_asked++;
	c->noise_differed += differed;
}

bool shape_moves(const struct shape *shape, unsigned candidate)
{
	const struct shape_counts *c = shape->counts[candidate];

	return c && (c->rereads[REREAD_MOVED] > 0 || c->rereads[REREAD_OTHER] > 0);
}

void shape_verifying(struct shape *shape, bool begins)
{
	shape->verifying += begins ? 1 : (size_t)-1;
}

size_t shape_under_verification(const struct shape *shape)
{
	return shape->verifying;
}

uint64_t shape_inner_turn(struct shape *shape, uint64_t now_us)
{
	uint64_t turn = shape->inner_next_us > now_us ? shape->inner_next_us : now_us;

	shape->inner_next_us = turn + INNER_PAUSE * shape->inner_took_us;

	return turn;
}

void shape_inner_took(struct shape *shape, uint64_t now_us, uint64_t elapsed_us)
{
	shape->inner_took_us = elapsed_us;
	if (shape->inner_next_us < now_us + INNER_PAUSE * elapsed_us)
		shape->inner_next_us = now_us + INNER_PAUSE * elapsed_us;
}

void shape_latency(
	struct shape *shape, unsigned candidate, uint64_t primary_us, uint64_t candidate_us)
{
	struct shape_counts *c = counts_of(shape, candidate);

	if (!c)
		return;
	histogram_add(&c->primary_us, primary_us);
	histogram_add(&c->candidate_us, candidate_us);
}

void shape_warmup(struct shape *shape, unsigned candidate, uint64_t candidate_us)
{
	struct shape_counts *c = counts_of(shape, candidate);

	if (c)
		histogram_add(&c->warmup_us, candidate_us);
}

void shape_parameters(struct shape *shape, unsigned candidate, uint64_t hash)
{
	struct shape_counts *c = counts_of(shape, candidate);

	if (c)
		hll_add(&c->params, hash);
}

void shape_reread(struct shape *shape, unsigned candidate, enum reread kind)
{
	struct shape_counts *c = counts_of(shape, candidate);

	if (c)
		c->rereads[kind]++;
}

void shape_look(struct shape *shape, unsigned candidate, bool matched)
{
	struct shape_counts *c = counts_of(shape, candidate);

	if (!c)
		return;
	c->looks++;
	c->matched += matched;
}

bool shape_heard(struct shape *shape, unsigned candidate, const struct digest *answer,
	const struct digest *original)
{
	struct shape_counts *c = counts_of(shape, candidate);
	bool known = false;

	if (!c)
		return false;
	for (unsigned i = 0; i < HEARD && !known; i++)
		known = c->heard[i][0] == original->multiset[0] &&
			c->heard[i][1] == original->multiset[1];
	memcpy(c->heard[c->next_heard++ % HEARD], answer->multiset, sizeof c->heard[0]);

	return known;
}

bool shape_reproducible(const struct shape *shape, unsigned candidate)
{
	const struct shape_counts *c = shape->counts[candidate];
	uint64_t still;

	if (!c)
		return true;
	still = c->rereads[REREAD_REPRODUCED] + c->rereads[REREAD_OTHER];

	return still < REREADS_LEAST || c->rereads[REREAD_REPRODUCED] * 10 > still ||
	       c->rereads[REREAD_MOVED] * 20 > still || c->matched * 10 > c->looks;
}

const char *shape_normalized(const struct shape *shape)
{
	return shape->normalized;
}

static void add_deltas(struct shapes *s, struct shape *shape, size_t *count)
{
	for (size_t i = 0; i < s->ncandidates; i++) {
		struct shape_counts *c = shape->counts[i];

		if (!c || c->executions == 0)
			continue;
		s->deltas[(*count)++] = (struct shape_delta){
			.shape = shape->fingerprint,
			.normalized = shape->normalized,
			.candidate = s->candidates[i],
			.count = (const uint64_t(*)[REASON_COUNT])c->count,
			.widened = c->widened,
			.noise_asked = c->noise_asked,
			.noise_differed = c->noise_differed,
			.mismatch_unlogged = c->mismatch_unlogged,
			.executions = c->executions,
			.params = &c->params,
			.primary_us = &c->primary_us,
			.candidate_us = &c->candidate_us,
			.warmup_us = &c->warmup_us,
			.first_seen_us = c->first_seen_us,
			.last_seen_us = c->last_seen_us,
		};
	}
}

const struct shape_delta *shapes_deltas(struct shapes *s, size_t *count)
{
	size_t most = (HASH_COUNT(s->table) + 1) * s->ncandidates;
	struct shape *shape, *next;

	*count = 0;
	if (most > s->capacity) {
		struct shape_delta *deltas = realloc(s->deltas, most * sizeof *deltas);

		if (!deltas)
			return NULL; /* the totals are written; the shapes wait for the next record
				      */
		s->deltas = deltas;
		s->capacity = most;
	}
	add_deltas(s, &s->common, count);
	HASH_ITER (hh, s->table, shape, next) {
		add_deltas(s, shape, count);
	}

	return s->deltas;
}

static void settle(struct shape *shape)
{
	for (size_t i = 0; i < BOOKS_MAX_CANDIDATES; i++) {
		struct shape_counts *c = shape->counts[i];

		if (!c || c->executions == 0)
			continue;
		c->executions = 0;
		memset(c->count, 0, sizeof c->count);
		memset(c->widened, 0, sizeof c->widened);
		c->noise_asked = c->noise_differed = c->mismatch_unlogged = 0;
		memset(&c->primary_us, 0, sizeof c->primary_us);
		memset(&c->candidate_us, 0, sizeof c->candidate_us);
		memset(&c->warmup_us, 0, sizeof c->warmup_us);
		c->first_seen_us = c->last_seen_us = 0;
		/* The distinct parameters stay: registers merge by maximum, so each record repeats
		 * what is known. */
	}
}

void shapes_settle(struct shapes *s)
{
	struct shape *shape, *next;

	settle(&s->common);
	HASH_ITER (hh, s->table, shape, next) {
		settle(shape);
	}
}

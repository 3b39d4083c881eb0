#include "compare/books.h"

#include <assert.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* struct books is nothing but 64-bit counters, which books_delta relies on. */
_Static_assert(sizeof(struct books) % sizeof(uint64_t) == 0, "books are counters only");

void books_seen(struct books *b, unsigned candidate)
{
	assert(candidate < BOOKS_MAX_CANDIDATES);
	b->candidate[candidate].seen++;
}

void books_end(struct books *b, unsigned candidate, enum outcome outcome, enum reason reason)
{
	struct books_candidate *c = &b->candidate[candidate];

	assert(candidate < BOOKS_MAX_CANDIDATES);
	assert(outcome < OUTCOME_COUNT && reason < REASON_COUNT);
	assert(reason == REASON_NONE || reason_outcome(reason) == outcome);
	c->count[outcome][reason]++;
	assert(books_pending(c) <= c->seen); /* B2: nothing ends that was not seen */
}

static bool same_kind(const struct error_kind *a, const struct error_kind *b)
{
	return a->candidate == b->candidate && a->outcome == b->outcome &&
	       strcmp(a->primary, b->primary) == 0 && strcmp(a->answer, b->answer) == 0;
}

void books_error(struct books *b, struct error_kinds *kinds, unsigned candidate,
	enum outcome outcome, const char *primary, const char *answer)
{
	struct error_kind kind = {.candidate = (uint8_t)candidate, .outcome = (uint8_t)outcome};
	uint32_t at = 0;

	snprintf(kind.primary, sizeof kind.primary, "%s", primary);
	snprintf(kind.answer, sizeof kind.answer, "%s", answer);
	while (at < kinds->count && !same_kind(&kinds->kind[at], &kind))
		at++;
	if (at == kinds->count && at < BOOKS_MAX_ERRORS - 1) {
		kinds->kind[at] = kind; /* before it counts: the process may die in between */
		kinds->count++;
	}
	b->errors[at]++;
}

void books_widened(struct books *b, unsigned candidate, uint32_t widened)
{
	assert(candidate < BOOKS_MAX_CANDIDATES);
	for (unsigned i = 0; i < WIDENING_COUNT; i++)
		b->candidate[candidate].widened[i] += widened >> i & 1;
}

uint64_t books_outcome(const struct books_candidate *c, enum outcome outcome)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < REASON_COUNT; i++)
		sum += c->count[outcome][i];

	return sum;
}

uint64_t books_pending(const struct books_candidate *c)
{
	uint64_t ended = 0;

	for (unsigned i = 0; i < OUTCOME_COUNT; i++)
		ended += books_outcome(c, (enum outcome)i);

	return c->seen - ended;
}

void books_delta(const struct books *now, const struct books *before, struct books *out)
{
	const uint64_t *n = (const uint64_t *)now, *o = (const uint64_t *)before;
	uint64_t *d = (uint64_t *)out;

	for (size_t i = 0; i < sizeof *out / sizeof *d; i++)
		d[i] = n[i] - o[i];
}

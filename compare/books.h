/* The account of all executions (L5). Plain counters without pointers, so that they can live in
 * memory shared with the process that starts the shadow and survive the shadow's death. One writer
 * thread.
 *
 * B1: observed = frames_execution + frames_continuation + frames_discarded + frames_open.
 * B2: per candidate: seen = sum(outcomes) + pending, pending >= 0.
 * B3: relayed = observed + sum(unobserved) + on_tape, on_tape = 0 at the end.
 * B4: sum over waivers of waived = sum over candidates of the outcome waived.
 */
#ifndef PGUMBRA_COMPARE_BOOKS_H
#define PGUMBRA_COMPARE_BOOKS_H

#include "compare/outcome.h"
#include "compare/values.h"
#include <stdint.h>

enum { BOOKS_MAX_CANDIDATES = 8, BOOKS_MAX_WAIVERS = 64, BOOKS_MAX_ERRORS = 128 };

struct books_candidate {
	uint64_t seen;
	uint64_t count[OUTCOME_COUNT][REASON_COUNT]; /* outcomes without a reason: REASON_NONE */
	uint64_t widened[WIDENING_COUNT]; /* executions equal only by this setting of [compare] */
	uint64_t mismatch_unlogged;	  /* mismatches that no record in the log stands for */
	uint64_t dropped_undecided;	  /* dropped ones that differed and came to no verdict */
};

struct books {
	uint64_t observed; /* Query, Execute and FunctionCall frames read off the tape and followed
			    */
	uint64_t unobserved[UNOBSERVED_COUNT]; /* the shadow's own; the relay's are kept by the
						  relay */
	uint64_t frames_execution;	       /* became one or more executions */
	uint64_t frames_continuation;	       /* fetched more of a portal */
	uint64_t frames_discarded;	       /* skipped by the server until Sync */
	uint64_t events[OBSERVER_EVENT_COUNT]; /* what happened to sessions */
	uint64_t mismatch_open;		       /* discrepancies logged as mismatch */
	/* By the waiver's place in the configuration: differences that it accepted, and mismatches
	 * that it would have accepted, had it not expired. */
	uint64_t waived[BOOKS_MAX_WAIVERS], expired[BOOKS_MAX_WAIVERS];
	uint64_t errors[BOOKS_MAX_ERRORS]; /* executions that met an error, by error_kinds */
	struct books_candidate candidate[BOOKS_MAX_CANDIDATES];
};

/* What the counters of errors are for, beside the books and as long-lived. The last one is for all
 * kinds that found no place. */
struct error_kind {
	uint8_t candidate, outcome;
	char primary[6], answer[6]; /* SQLSTATE; "" without an error, or without a SQLSTATE */
};
struct error_kinds {
	uint32_t count;
	struct error_kind kind[BOOKS_MAX_ERRORS];
};
/* An execution ended so after an error on one side or both. */
void books_error(struct books *b, struct error_kinds *kinds, unsigned candidate,
	enum outcome outcome, const char *primary, const char *answer);

/* One execution came into being, for this candidate. */
void books_seen(struct books *b, unsigned candidate);
/* It ended. reason is REASON_NONE or one that belongs to the outcome (asserted). */
void books_end(struct books *b, unsigned candidate, enum outcome outcome, enum reason reason);
/* It ended as equal by these widenings (WIDENING_BITs; 0: by none). */
void books_widened(struct books *b, unsigned candidate, uint32_t widened);
uint64_t books_outcome(
	const struct books_candidate *c, enum outcome outcome); /* over its reasons */
uint64_t books_pending(const struct books_candidate *c);	/* seen minus all outcomes */
/* out = now - before, member by member. */
void books_delta(const struct books *now, const struct books *before, struct books *out);

#endif

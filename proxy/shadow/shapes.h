/* Evidence per shape and candidate since the last books record: outcomes, latencies, distinct
 * parameters. Bounded: past the limit of shapes further ones are counted together under an empty
 * shape. Worker thread only.
 */
#ifndef PGUMBRA_SHADOW_SHAPES_H
#define PGUMBRA_SHADOW_SHAPES_H

#include "compare/digest.h"
#include "compare/evidence.h"
#include "proxy/shadow/classify.h"
#include "proxy/shadow/journal.h"

struct shapes; /* opaque */
struct shape;  /* opaque: one normalised text */

struct shapes *shapes_new(size_t limit, const char *const *candidates, size_t ncandidates);
void shapes_free(struct shapes *s);
/* Never NULL: past the limit, without memory or without a statement it is the common one. Valid for
 * the life of shapes. */
struct shape *shapes_find(struct shapes *s, const struct statement *statement);
void shape_end(struct shape *shape, unsigned candidate, enum outcome outcome, enum reason reason,
	uint64_t wall_us);
/* A mismatch that no record in the log stands for. */
void shape_mismatch_unlogged(struct shape *shape, unsigned candidate);
/* It was equal by these widenings (WIDENING_BITs). */
void shape_widened(struct shape *shape, unsigned candidate, uint32_t widened);
void shape_latency(
	struct shape *shape, unsigned candidate, uint64_t primary_us, uint64_t candidate_us);
/* A first read on a new connection: kept apart. */
void shape_warmup(struct shape *shape, unsigned candidate, uint64_t candidate_us);
void shape_parameters(struct shape *shape, unsigned candidate, uint64_t hash);
/* A matched read that the control was asked too. */
void shape_noise(struct shape *shape, unsigned candidate, bool differed);
/* The control was asked again: it gave the primary's answer, another one (both its answers being
 * the same), or two different ones because the data moved. */
enum reread { REREAD_REPRODUCED, REREAD_OTHER, REREAD_MOVED, REREAD_KINDS };
void shape_reread(struct shape *shape, unsigned candidate, enum reread kind);
/* Its data was ever seen to move under the control, or to have moved since the client's read. */
bool shape_moves(const struct shape *shape, unsigned candidate);
/* One of its reads is being verified from now on, or no longer. */
void shape_verifying(struct shape *shape, bool begins);
size_t shape_under_verification(const struct shape *shape);
/* A first look, which matched or not. */
void shape_look(struct shape *shape, unsigned candidate, bool matched);
/* The control answered this (digest of the rows as a multiset). True if one of the primary's later
 * answers, `original`, is among what the control said lately: then the control does see what the
 * clients see, only later. */
bool shape_heard(struct shape *shape, unsigned candidate, const struct digest *answer,
	const struct digest *original);
/* False once the control failed to reproduce the primary's answer in nine of ten of at least ten
 * re-reads, of a shape whose data hardly ever moved under the control and that hardly ever matched
 * at the first look: it does not see what the clients see (role, row security, settings), and
 * nothing of this shape can be verified. Re-reads alone would not tell: only what differed at first
 * is read again, and that is mostly what was just changed. */
bool shape_reproducible(const struct shape *shape, unsigned candidate);
/* Re-reads of inner rows may cost the primary much more than the statement does, so each shape may
 * spend a fifth of the time on them: when the next may begin (monotonic), and how long one took. */
uint64_t shape_inner_turn(struct shape *shape, uint64_t now_us);
void shape_inner_took(struct shape *shape, uint64_t now_us, uint64_t elapsed_us);
/* The primary was asked twice in one snapshot and differed from itself. Remembered for ten minutes.
 */
void shape_differs_from_itself(struct shape *shape, uint64_t now_us);
bool shape_nondeterministic(const struct shape *shape, uint64_t now_us);
const char *shape_normalized(const struct shape *shape);
/* What changed since the last call, for the journal: an array owned by shapes, valid until
 * shapes_settle, which forgets the deltas. */
const struct shape_delta *shapes_deltas(struct shapes *s, size_t *count);
void shapes_settle(struct shapes *s);

#endif

/* Keeps the tapes empty: moves records from shared memory into blocks for the worker. Runs on the
 * shadow's main thread at normal priority (a reader niced with the worker starves on busy cores and
 * lets the tape fill); reads frames of the tape only.
 *
 * Polls, every 1 to 8 milliseconds under traffic (the smaller the tape, the oftener) and less often
 * when idle, so that the relay never has to make a system call for it. Bounded: while the worker is
 * a tape's size behind, the pump leaves the rest on the tape, where the relay's own rules apply.
 */
#ifndef PGUMBRA_SHADOW_PUMP_H
#define PGUMBRA_SHADOW_PUMP_H

#include "proxy/tape.h"

struct pump_block {
	struct pump_block *next;
	unsigned tape;
	bool last; /* the relay is gone and every tape is empty */
	size_t len, size;
	uint64_t align; /* what follows is 8-aligned */
	uint8_t data[];
};

struct pump; /* opaque */
/* tapes is borrowed; tape_bytes is the size of each. wake_fd is an eventfd written when blocks are
 * there. */
struct pump *pump_new(struct tape_reader **tapes, unsigned ntapes, size_t tape_bytes, int wake_fd);
void pump_free(struct pump *p);
/* Returns when the lifeline ends and the tapes are empty. */
void pump_run(struct pump *p, int lifeline_fd);
/* Worker: the next block, owned by the caller until pump_recycle; NULL if there is none. */
struct pump_block *pump_take(struct pump *p);
void pump_recycle(struct pump *p, struct pump_block *block);
/* Iterates over a block's records: start with *at = 0. */
bool pump_record(const struct pump_block *block, size_t *at, const struct tape_record **record,
	struct span *payload);
size_t pump_waiting(struct pump *p); /* bytes in blocks not taken yet */

#endif

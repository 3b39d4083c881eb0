/* Who holds how much of a candidate's queue, so that what must be dropped is dropped evenly: the
 * first half of the queue is for whoever comes; of the second half each shape of statement gets an
 * equal share, and a rare one always finds room while the frequent ones wait for theirs.
 *
 * Shapes are told apart by some bits of their fingerprints: two that share them share their part.
 */
#ifndef PGUMBRA_SHADOW_MIRROR_SHARES_H
#define PGUMBRA_SHADOW_MIRROR_SHARES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SHARES_SLOTS = 4096 };

struct shares {
	uint32_t held[SHARES_SLOTS]; /* reads by shape */
	unsigned shapes;	     /* that hold any */
};

/* Of a fingerprint in hex digits; "" for a text that was not parsed. */
unsigned shares_slot(const char *fingerprint);
/* May a read of the shape join a queue of `limit` reads that holds `queued`? */
bool shares_allow(const struct shares *s, unsigned slot, size_t queued, size_t limit);
void shares_take(struct shares *s, unsigned slot);
void shares_give_back(struct shares *s, unsigned slot);

#endif

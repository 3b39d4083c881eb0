/* Digest of a sequence of rows, in order and as a multiset (XXH3-128 per row; in order: folded with
 * a running XXH3-128 state value; multiset: 128-bit sum plus count, never XOR, which cancels
 * pairs).
 *
 * D1: the multiset digest is the same for every permutation; D2: the value NULL and the empty value
 * differ; D3: row boundaries and column boundaries count.
 */
#ifndef PGUMBRA_COMPARE_DIGEST_H
#define PGUMBRA_COMPARE_DIGEST_H

#include "protocol/span.h"

struct digest {
	uint64_t ordered[2];  /* fold of the row hashes in order */
	uint64_t multiset[2]; /* 128-bit sum of the row hashes: low, high */
	uint64_t rows;
};

void digest_init(struct digest *d);
void digest_row(struct digest *d,
	struct span data_row); /* a DataRow body, unparsed: its layout is canonical */
bool digest_equal_ordered(const struct digest *a, const struct digest *b);
bool digest_equal_multiset(const struct digest *a, const struct digest *b);
/* 32 hex digits and NUL: ordered or multiset form. */
void digest_hex(const uint64_t half[2], char out[33]);

#endif

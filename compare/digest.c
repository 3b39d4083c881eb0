#include "compare/digest.h"

#define XXH_INLINE_ALL /* rows are short: the call costs as much as the hash */
#include <stdio.h>
#include <xxhash.h>

void digest_init(struct digest *d)
{
	*d = (struct digest){0};
}

/* The order goes into a second hash over (state so far, row hash); the multiset is a plain sum, in
 * which every permutation comes out the same and no two rows cancel. */
void digest_row(struct digest *d, struct span data_row)
{
	XXH128_hash_t row = XXH3_128bits(data_row.data, data_row.len);
	uint64_t link[4] = {d->ordered[0], d->ordered[1], row.low64, row.high64};
	XXH128_hash_t state = XXH3_128bits(link, sizeof link);

	d->ordered[0] = state.low64;
	d->ordered[1] = state.high64;
	d->multiset[0] += row.low64;
	d->multiset[1] += row.high64 + (d->multiset[0] < row.low64);
	d->rows++;
}

bool digest_equal_ordered(const struct digest *a, const struct digest *b)
{
	return a->rows == b->rows && a->ordered[0] == b->ordered[0] &&
	       a->ordered[1] == b->ordered[1];
}

bool digest_equal_multiset(const struct digest *a, const struct digest *b)
{
	return a->rows == b->rows && a->multiset[0] == b->multiset[0] &&
	       a->multiset[1] == b->multiset[1];
}

void digest_hex(const uint64_t half[2], char out[33])
{
	snprintf(out, 33, "%016llx%016llx", (unsigned long long)half[1],
		(unsigned long long)half[0]);
}

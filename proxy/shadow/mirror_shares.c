#include "proxy/shadow/mirror_shares.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { DIGITS = 3 /* of 4 bits: SHARES_SLOTS */ };

unsigned shares_slot(const char *fingerprint)
{
	const size_t len = strlen(fingerprint);

	return len < DIGITS
		       ? 0
		       : (unsigned)strtoul(fingerprint + len - DIGITS, NULL, 16) % SHARES_SLOTS;
}

bool shares_allow(const struct shares *s, unsigned slot, size_t queued, size_t limit)
{
	const size_t half = limit / 2;
	const size_t sharing = s->shapes + (s->held[slot] == 0);

	return queued < limit && (queued < half || s->held[slot] < half / sharing + 1);
}

void shares_take(struct shares *s, unsigned slot)
{
	if (s->held[slot]++ == 0)
		s->shapes++;
}

void shares_give_back(struct shares *s, unsigned slot)
{
	assert(s->held[slot] > 0);
	if (--s->held[slot] == 0)
		s->shapes--;
}

#include "proxy/shadow/mirror_breaker.h"

void breaker_init(struct breaker *b, unsigned limit, uint64_t open_for_us)
{
	*b = (struct breaker){.limit = limit ? limit : 1, .open_for_us = open_for_us};
}

bool breaker_is_open(const struct breaker *b, uint64_t now_us)
{
	return b->state == BREAKER_OPEN && now_us < b->until_us;
}

bool breaker_allows(struct breaker *b, uint64_t now_us)
{
	if (breaker_is_open(b, now_us))
		return false;
	if (b->state == BREAKER_OPEN)
		b->state = BREAKER_HALF_OPEN;

	return true;
}

void breaker_trip(struct breaker *b, uint64_t now_us)
{
	b->state = BREAKER_OPEN;
	b->until_us = now_us + b->open_for_us;
}

/* What was under way when it opened may still fail: that neither opens it again nor prolongs it. */
bool breaker_failed(struct breaker *b, uint64_t now_us)
{
	if (b->state == BREAKER_OPEN)
		return false;
	b->failures++;
	if (b->state == BREAKER_CLOSED && b->failures < b->limit)
		return false;
	breaker_trip(b, now_us);

	return true;
}

void breaker_succeeded(struct breaker *b)
{
	b->state = BREAKER_CLOSED;
	b->failures = 0;
}

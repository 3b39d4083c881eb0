/* Circuit breaker: after `limit` failures in a row nothing is tried for a while, then one probe
 * decides. Pure; time comes from the caller.
 *
 *   CLOSED --limit failures--> OPEN --time passes--> HALF_OPEN --failure--> OPEN
 *                                                     \--success--> CLOSED
 */
#ifndef PGUMBRA_SHADOW_MIRROR_BREAKER_H
#define PGUMBRA_SHADOW_MIRROR_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

struct breaker {
	enum { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_HALF_OPEN } state;
	unsigned failures, limit;
	uint64_t open_for_us, until_us;
};

void breaker_init(struct breaker *b, unsigned limit, uint64_t open_for_us);
/* May something be tried? With HALF_OPEN one thing at a time. */
bool breaker_allows(struct breaker *b, uint64_t now_us);
bool breaker_is_open(const struct breaker *b, uint64_t now_us);
bool breaker_failed(struct breaker *b, uint64_t now_us); /* true: it opened just now */
void breaker_succeeded(struct breaker *b);
void breaker_trip(struct breaker *b, uint64_t now_us); /* opens it at once */

#endif

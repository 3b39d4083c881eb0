/* Which server a CancelRequest is for: the process number of each session's BackendKeyData, and
 * the address that the session is at. The secret itself is never kept: the server checks it.
 *
 * Shared by the relay threads under a lock that is held for a few loads and stores. Memory: given
 * at the start, for as many sessions as there may be.
 */
#ifndef PGUMBRA_PROXY_RELAY_ROUTES_H
#define PGUMBRA_PROXY_RELAY_ROUTES_H

#include "proxy/relay/endpoint.h"
#include <pthread.h>

enum { NO_ROUTE = 0 };

struct route {
	uint32_t pid, next;	   /* next: of its chain, or of the free ones */
	struct endpoint *endpoint; /* a reference */
};

struct routes {
	pthread_mutex_t lock;
	struct route *route; /* owned, [capacity + 1]; number NO_ROUTE is none */
	uint32_t *chain;     /* owned, [chains]: the first of each */
	uint32_t chains, free;
};

bool routes_init(struct routes *r, uint32_t capacity) __attribute__((warn_unused_result));
void routes_release(struct routes *r);
/* The route's number; NO_ROUTE when none is free. */
uint32_t routes_add(struct routes *r, uint32_t pid, struct endpoint *e);
void routes_remove(struct routes *r, uint32_t number);
/* The addresses of sessions with that number, which may be several servers'; NULL when there is
 * none, or out of memory. Owned by the caller. */
struct endpoint_list *routes_find(struct routes *r, uint32_t pid);

#endif

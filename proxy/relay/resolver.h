/* The thread that resolves the names of primary.conninfo again: now and then, and soon after a
 * connection to one of the addresses failed. Relay threads never wait for it: new sessions take the
 * addresses that were found last.
 *
 * Made and ended by the main thread.
 */
#ifndef PGUMBRA_PROXY_RELAY_RESOLVER_H
#define PGUMBRA_PROXY_RELAY_RESOLVER_H

#include "proxy/relay/primary.h"

struct resolver {
	struct primary *primary; /* borrowed */
	unsigned interval_ms;
	int stop_fd; /* owned eventfd */
	pthread_t thread;
	bool started;
};

/* Starts nothing when no host is a name. */
bool resolver_start(struct resolver *r, struct primary *p, unsigned interval_ms,
	struct error *error) __attribute__((warn_unused_result));
/* False when the thread hangs in the system's resolver: it is left behind, and what it uses must
 * stay. */
bool resolver_stop(struct resolver *r) __attribute__((warn_unused_result));

#endif

/* A dark read that the mirror has accepted, and the heap of those that must wait for their time.
 */
#ifndef PGUMBRA_SHADOW_MIRROR_TICKET_H
#define PGUMBRA_SHADOW_MIRROR_TICKET_H

#include "proxy/shadow/mirror.h"
#include <sys/queue.h>

struct pool;

struct ticket {
	TAILQ_ENTRY(ticket) link;
	struct pool *pool;
	struct dark_read *read; /* owned reference */
	uint64_t not_before_us;
	uint64_t order;	 /* of submission, between equal times */
	size_t bytes;	 /* estimate of what the read holds */
	unsigned share;	 /* of the queue: shares_slot() */
	uint64_t custom; /* custom_names() */
	bool urgent;	 /* before all that are not */
	bool again;	 /* ran once already, on a stale plan */
	void (*on_done)(void *self, struct mirror_answer *answer);
	void *self;
};
TAILQ_HEAD(tickets, ticket);

size_t dark_read_bytes(const struct dark_read *read);

/* Min-heap by not_before_us, then order. Its size is bounded by the mirror's queue_reads. */
struct delayed {
	struct ticket **heap; /* owned array, borrowed tickets */
	size_t n, capacity;
};
void delayed_release(struct delayed *d);
bool delayed_add(struct delayed *d, struct ticket *t) __attribute__((warn_unused_result));
struct ticket *delayed_first(const struct delayed *d); /* NULL: empty */
struct ticket *delayed_take(struct delayed *d);

#endif

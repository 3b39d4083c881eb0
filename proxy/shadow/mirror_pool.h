/* The connections to one database, the reads that wait for them, and its circuit breaker. Worker
 * thread.
 *
 * P1: at most pool_size connections, at most one being opened; P2: reads leave the queue in order;
 * P3: reads end (through pool_host.ended) only from the loop.
 */
#ifndef PGUMBRA_SHADOW_MIRROR_POOL_H
#define PGUMBRA_SHADOW_MIRROR_POOL_H

#include "proxy/shadow/mirror_breaker.h"
#include "proxy/shadow/mirror_connection.h"
#include "proxy/shadow/mirror_ticket.h"

enum {
	POOL_BACKOFF_MIN_US = 100000,
	POOL_BACKOFF_MAX_US = 10000000,
	POOL_IDLE_US = 600000000, /* a connection, or an empty pool, unused so long is given up */
	POOL_SWEEP_US = 60000000,
};

/* What a pool needs of its mirror; shared by all pools. */
struct pool_host {
	struct event_base *base;
	struct connector *connector;
	const struct mirror_options *options;
	uint64_t timeout_us;
	unsigned busy;		  /* reads running now, over all pools */
	bool standby;		  /* a connection has said that the server is one */
	bool retired;		  /* promoted: never to be asked again */
	void (*wake)(void *self); /* pool_turn is wanted soon */
	/* Ends the ticket: calls on_done and frees it. */
	void (*ended)(void *self, struct ticket *t, struct mirror_answer *answer);
	void (*promoted)(void *self); /* the server is no longer a standby: drain all pools */
	void *self;
};

struct pool; /* opaque */
/* database NULL: what the connection string says. NULL: out of memory. */
struct pool *pool_new(struct pool_host *host, const char *database);
/* Ends what waits and runs with the reason, closes everything. */
void pool_free(struct pool *p, enum reason reason);
const char *pool_database(const struct pool *p);
void pool_add(struct pool *p, struct ticket *t);
bool pool_allows(struct pool *p, uint64_t now_us); /* false: the breaker is open */
/* Hands reads to connections, opens and reaps. The time when it must run again, UINT64_MAX: none.
 */
uint64_t pool_turn(struct pool *p, uint64_t now_us);
/* Closes the connections once their reads have ended; one that is being opened is not used. */
void pool_drain(struct pool *p);
/* Nothing waits, runs, or is open or being opened, and that for POOL_IDLE_US. */
bool pool_is_unused(const struct pool *p, uint64_t now_us);
void pool_state(const struct pool *p, uint64_t now_us, struct mirror_state *add_to);
void pool_ticket_bound(struct pool *p, int change); /* reads that wait elsewhere for their time */

/* Next in the mirror's list. */
struct pool *pool_next(const struct pool *p);
void pool_set_next(struct pool *p, struct pool *next);

/* Ends a ticket without an answer. */
void ticket_fail(struct pool_host *host, struct ticket *t, enum reason reason, const char *text);

#endif

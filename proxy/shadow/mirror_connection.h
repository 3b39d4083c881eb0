/* One connection to a candidate after libpq has logged in: hand-over check, our own statements,
 * then one read at a time. Worker thread.
 *
 *   CHECKING -> PREPARING -> IDLE <-> BUSY      any of them -> CLOSED, for good
 *
 * Reports through two callbacks, always from the loop, never from inside connection_run. The
 * callbacks must not free the connection: the owner reaps CLOSED ones later.
 */
#ifndef PGUMBRA_SHADOW_MIRROR_CONNECTION_H
#define PGUMBRA_SHADOW_MIRROR_CONNECTION_H

#include "proxy/shadow/mirror.h"
#include "proxy/shadow/mirror_exchange.h"
#include "proxy/shadow/mirror_wire.h"

enum {
	CONNECTION_MESSAGE_MAX = 64 << 20, /* a longer message ends the connection */
	CONNECTION_SEND_MAX = 256 << 20,   /* one send */
	CONNECTION_SEND_KEPT = 16 << 10,   /* of its memory between reads */
	CONNECTION_CHECK_US = 5000000,	   /* limit of the hand-over */
	CONNECTION_GRACE_US = 1000000,	   /* our deadline behind the server's own */
	CONNECTION_CHECKS = 3,	   /* Syncs of the hand-over; the shortest is the round trip */
	CONNECTION_COLD_READS = 3, /* first reads, marked as such */
	CONNECTION_READ_SIZE = 64 << 10,
};

enum connection_state {
	CONNECTION_CHECKING,
	CONNECTION_PREPARING,
	CONNECTION_IDLE,
	CONNECTION_BUSY,
	CONNECTION_CLOSED,
};

struct connection;
struct ticket;
struct connection_events {
	/* The state changed without a read: IDLE (ready for the first one) or CLOSED. */
	void (*on_state)(void *self, struct connection *c);
	/* The read ended; the state is IDLE or CLOSED now. `again`: better run it once more, the
	 * statement was parsed before the tables changed, or the server's settings changed under
	 * it. The answer's result is released afterwards. */
	void (*on_answer)(
		void *self, struct connection *c, struct mirror_answer *answer, bool again);
};

struct connection {
	enum connection_state state;
	PGconn *pg; /* owned; the owner of the connection hands it to the connector */
	struct wire wire;
	struct event *readable, *writable, *deadline;
	struct assembler in;
	struct buffer out;
	size_t sent;
	struct session session;
	struct exchange exchange;
	unsigned checks;     /* so far */
	bool promoted;	     /* in_hot_standby went from on to off */
	uint64_t timeout_us; /* of a read */
	size_t keep_limit_bytes;
	uint64_t due_us;   /* when what runs must have been answered; 0: nothing runs */
	uint64_t timer_us; /* when `deadline` comes; 0: it is not set */
	uint64_t now_us;   /* when the piece being looked at came */
	uint64_t send_us, round_trip_us, idle_since_us;
	/* The wrapper's own time, the least seen so far, 0: not known. It shows where its answer
	 * came in another piece than the read's. */
	uint64_t wrapper_us;
	uint64_t pieces, wrapper_piece; /* read from the socket; which one held its answer */
	uint64_t reads;
	bool draining;	   /* the owner wants it closed after what it does now */
	bool close_after;  /* the read calls something not known to be harmless */
	char trouble[176]; /* CLOSED: why */
	const struct connection_events *events;
	void *self;	       /* of the callbacks */
	uint8_t *scratch;      /* owned, CONNECTION_READ_SIZE */
	struct ticket *ticket; /* the owner's: what is being run */
};

/* Takes over `pg` only on success. Begins the hand-over. NULL: out of memory. */
struct connection *connection_new(struct event_base *base, PGconn *pg, uint64_t timeout_us,
	size_t keep_limit_bytes, const struct connection_events *events, void *self);
/* Gives back the PGconn for closing. */
PGconn *connection_free(struct connection *c);
/* Sends the read; IDLE becomes BUSY. False, and nothing was sent: too many settings. */
bool connection_run(struct connection *c, const struct dark_read *read)
	__attribute__((warn_unused_result));
/* Closes an idle connection. */
void connection_close(struct connection *c, const char *why);

uint64_t mirror_clock_us(void); /* CLOCK_MONOTONIC */

#endif

/* Which request does a server message answer? The state machine of the extended and simple
 * protocols, with forks for the one ambiguous case (a COPY FROM STDIN that fails with Syncs sent
 * behind it). Pure: requests are numbers, no message bodies are kept.
 *
 * The caller reports each frontend message when it is relayed and each backend message when it
 * arrives, in the order of the wire. The machine reports what became of each request through
 * on_event, in request order. While more than one hypothesis lives, events are held back (up to a
 * limit) and pairing_head() is 0: rows that arrive then belong to nobody; when one hypothesis is
 * left its events are delivered.
 *
 * Invariants: P1 each request gets exactly one final event (DONE, SKIPPED, SUSPENDED, SWALLOWED,
 * and FAILED of P B D E C) unless the session ends or is lost first; P2 after PAIRING_LOST nothing
 * changes any more; P3 memory is bounded by `limit` entries (queued requests and events held back)
 * over all hypotheses, of which there are at most 16; P4 final events come in request order.
 *
 * State of a hypothesis:
 *
 *                      E for P B D E C, queue has no Sync
 *    +-----------+  ---------------------------------------->  +------------+
 *    |  pairing  |                                             |  skipping  |  all but S and X
 *    +-----------+  <----------------------------------------  +------------+  are PAIR_SKIPPED
 *       |     ^        Sync is relayed
 *     G |     | C (takes c), E (forks when Syncs were relayed behind the copy)
 *       v     |
 *    +-----------+
 *    |  copying  |  head is the Execute or Query that copies
 *    +-----------+
 *
 * What a Query or Execute answered with CommandComplete did is provisional until the next
 * ReadyForQuery: the commit can still fail, which is an ErrorResponse for the Sync.
 */
#ifndef PGUMBRA_PROTOCOL_PAIRING_H
#define PGUMBRA_PROTOCOL_PAIRING_H

#include "protocol/span.h"

enum pairing_result {
	PAIRING_OK,
	PAIRING_LOST,	/* the message fits no hypothesis, or a limit was reached: stop observing */
	PAIRING_CLOSED, /* a FATAL or PANIC error: the server ends the session */
};

enum pairing_event_kind {
	PAIR_DONE, /* answered: 1 2 3 T n C I(extended) Z; for Query, Sync, FunctionCall: their Z */
	PAIR_SUSPENDED, /* Execute answered by PortalSuspended */
	PAIR_FAILED,  /* the request that an ErrorResponse answered: P B D E C at once; Q S F: when
			 the error comes (their PAIR_DONE still follows with the Z) */
	PAIR_SKIPPED, /* discarded by the server until Sync, or a stray c/f */
	PAIR_SWALLOWED, /* a Sync eaten by COPY FROM STDIN, or its CopyDone/CopyFail */
};

struct pairing_event {
	enum pairing_event_kind kind;
	uint32_t request; /* as given by pairing_front */
	uint8_t type;	  /* frontend type */
};

struct pairing; /* opaque */

/* limit: queued requests over all hypotheses. NULL when out of memory. on_event may not call back
 * into the pairing, except pairing_head. */
struct pairing *pairing_new(
	size_t limit, void (*on_event)(void *self, const struct pairing_event *event), void *self);
void pairing_free(struct pairing *p);
/* Idle, nothing outstanding (after a gap, or after PAIRING_LOST). Numbers go on where they were. */
void pairing_reset(struct pairing *p);

/* A frontend message was relayed. `sub` is the first body byte of Describe and Close ('S' or 'P'),
 * else 0. *request gets the number given to it (from 1, consecutive over queued and skipped
 * messages; 0 for H and d, which are never queued). A message that is discarded at once (the server
 * skips until Sync; a c or f that nothing stands before) gets its PAIR_SKIPPED event inside this
 * call, after *request is set. */
enum pairing_result pairing_front(struct pairing *p, uint8_t type, uint8_t sub, uint32_t *request);

/* A backend message arrived. For ErrorResponse and NoticeResponse the body is looked at (field V,
 * else S; an absent body is an ordinary error); for ReadyForQuery byte 0, unless absent. Rows,
 * CopyData, RowDescription of a Query, CommandComplete of a Query and asynchronous messages give no
 * event: the caller asks pairing_head() BEFORE passing the message in to learn which request it
 * belongs to. */
enum pairing_result pairing_back(struct pairing *p, uint8_t type, struct span body);

/* The request that the next server message answers (stray c/f passed over); 0 if none or ambiguous.
 * Inside on_event, requests that the same message discards may still be seen. */
uint32_t pairing_head(struct pairing *p, uint8_t *type);
size_t pairing_hypotheses(const struct pairing *p);
size_t pairing_outstanding(const struct pairing *p); /* requests in the (first) queue */
bool pairing_idle(const struct pairing *p); /* one hypothesis, empty queue, not skipping, no copy */

#endif

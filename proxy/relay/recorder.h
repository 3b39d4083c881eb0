/* What of a session's traffic goes to the tape, and the account of its frames (L5).
 *
 * A recorder walks the frames of every chunk after it was sent on, in both directions. It buffers
 * no message: what is taken is copied to the tape chunk by chunk, as few records as possible. What
 * is taken and what never is: DESIGN section 2, "Tape".
 *
 * A session is either taken or not; when not, `why` is the reason its frames are booked under, and
 * `gap` and `unseen` collect what passed unseen. It is taken again when it is quiet: the last
 * ReadyForQuery said I, as many of them came as Sync, Query and FunctionCall were forwarded,
 * nothing extended followed the last Sync, both directions stand between two messages; and the ring
 * is less than half full.
 *
 * R1: relayed = taken + sum(unobserved) after every call. R2: a frame is counted when its last byte
 * is through (taken: on the tape; a message represented by a stub: when the stub is put). R3: one
 * session never holds more than an eighth of the ring. R4: nothing before AuthenticationOk, no
 * PasswordMessage, BackendKeyData or CopyData of the client is ever put.
 *
 * One thread. Memory: the startup packet and the reported parameters of each session; in a gap in
 * which it sends texts, struct unseen.
 */
#ifndef PGUMBRA_PROXY_RELAY_RECORDER_H
#define PGUMBRA_PROXY_RELAY_RECORDER_H

#include "protocol/framer.h"
#include "proxy/tape.h"

struct segment {	   /* bytes to be taken that lie in the chunk at hand */
	uint8_t prefix[5]; /* header bytes that came with the chunk before */
	uint8_t prefix_len;
	struct span bytes;
	uint32_t frames, flags;
	bool from_start; /* it begins with a message's first byte */
};

/* What the sessions of one relay thread share. */
struct recording {
	struct tape *tape; /* borrowed; NULL when shadowing is off for the whole run */
	struct relay_counters counters;
	uint64_t now_us;   /* CLOCK_MONOTONIC of this loop turn */
	uint64_t random;   /* state of the sample coin, not 0 */
	uint64_t sample;   /* threshold of the coin: 0 never, 2^32 always */
	uint32_t epoch;	   /* 0: no shadow process */
	bool switched_off; /* by the operator, while a shadow process may run */
	bool shed;	   /* for a while, by latency_budget */
	size_t max_message_bytes, max_result_bytes;
	struct segment segment; /* of the chunk at hand, whosever it is; empty between chunks */
	size_t used_at_start;	/* of the ring, when the chunk came */
};

struct way { /* one direction */
	struct framer framer;
	bool from_server;
	uint8_t cut;  /* header bytes that came with the chunk before */
	bool middle;  /* of a message */
	bool taken;   /* the current message goes to the tape */
	bool stubbed; /* the current message is represented by a stub and counted */
};

/* The texts that passed in a gap, while they are few. */
struct unseen {
	uint32_t count;
	struct tape_text text[UNSEEN_TEXTS_MAX];
};

enum rows_fate { ROWS_UNDECIDED, ROWS_TAKEN, ROWS_REFUSED };

struct recorder {		     /* every session has one: no byte more than it needs */
	struct recording *recording; /* borrowed */
	struct tape_session id;
	struct way front, back;
	bool taking, announced, authenticated, never;
	bool extended; /* an extended message passed since the last Sync */
	bool early;    /* the client sent messages before it was authenticated */
	bool copy_in, copy_ended;
	uint8_t status;	       /* of the last ReadyForQuery */
	uint8_t rows;	       /* enum rows_fate, of the current result's */
	uint8_t refusal;       /* of these: enum tape_rows_reason */
	enum unobserved why;   /* while not taking */
	uint32_t gap;	       /* enum tape_gap_flags; while not taking */
	uint32_t ever;	       /* the same, of all that passed since the session began */
	struct unseen *unseen; /* owned; NULL: none, or they are told by GAP_TEXT */

	uint32_t outstanding; /* ReadyForQuery owed by the server */
	uint32_t copy_syncs;  /* Syncs that the server ignores if this COPY goes well */
	uint32_t backend_pid; /* of BackendKeyData; 0: none came yet */

	uint32_t share_old, share_new; /* bytes held in the ring, never too few: of 2 GB at most */
	uint64_t share_mark;	       /* all records before it count in share_old */
	uint64_t result_bytes;
	struct tape_rows missed;     /* rows not taken since the last taken byte */
	struct buffer *partial;	     /* owned; NULL unless a small message was cut */
	uint8_t *startup, *reported; /* owned */
	uint16_t startup_len, reported_len;
	uint64_t peer_us;
};

/* startup: the packet behind its length word, copied. False when out of memory. A replication
 * session is never taken. */
bool recorder_init(struct recorder *r, struct recording *recording, struct tape_session id,
	struct span startup, uint64_t peer_us) __attribute__((warn_unused_result));
void recorder_release(struct recorder *r);
/* The session ended: says so on the tape. */
void recorder_close(struct recorder *r);

void recorder_front(struct recorder *r, struct span chunk);
void recorder_back(struct recorder *r, struct span chunk);

/* The shadow process is gone, or shadowing was switched off or shed: recording says which. */
void recorder_stop(struct recorder *r);
/* A new epoch began: the session is announced again. */
void recorder_announce(struct recorder *r);
/* Between two exchanges: nothing is owed by either side. */
bool recorder_quiet(const struct recorder *r);

/* The startup packet (behind its length word) asks for a walsender, or might. */
bool startup_wants_replication(struct span startup);
/* Is it one of pgumbra's own connections (application_name pgumbra)? A candidate or control that
 * leads back to us would otherwise be read in the dark for ever. */
bool startup_is_own(struct span startup);

#endif

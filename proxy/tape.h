/* The tape: a shared-memory ring from one relay thread (producer) to the shadow process (consumer).
 *
 * Two memfds: the ring (a control page, then the data, mapped twice in a row so that every record
 * is contiguous), which the shadow maps read-only (F_SEAL_FUTURE_WRITE after the producer's
 * mapping), and the tail page, which the shadow writes and the producer range-checks. No lock, no
 * system call on either hot path. Pages are populated at creation.
 *
 * Life: each attachment of a shadow process is an epoch. The producer alone changes head. The
 * consumer of epoch e starts at `start` once the control page says epoch == e, stores tail = start,
 * then attached = e; until then the producer takes tail as start.
 *
 * T1 records are 8-aligned and contiguous; T2 the consumer sees records whole and in order; T3
 * tape_put never blocks and never overwrites unread data; T4 a lying tail (outside [head - size,
 * head]) counts as "nothing was read".
 */
#ifndef PGUMBRA_PROXY_TAPE_H
#define PGUMBRA_PROXY_TAPE_H

#include "compare/evidence.h"
#include "compare/outcome.h"
#include "protocol/error.h"
#include "protocol/span.h"
#include "proxy/text_key.h"

enum tape_kind {
	TAPE_OPEN = 1, /* a session, or one announced again after an attachment: struct tape_open
			  and texts */
	TAPE_FRONT,    /* bytes from the client, in stream order */
	TAPE_BACK,     /* bytes from the primary, in stream order */
	TAPE_STUB,     /* one message was too long or is never taken: struct tape_stub stands in its
			  place */
	TAPE_ROWS,   /* rows of the current result were not taken: struct tape_rows stands in their
			place */
	TAPE_RESUME, /* observation goes on at a ReadyForQuery(I) with nothing outstanding: struct
			tape_resume */
	TAPE_CLOSE,  /* the session ended */
};

/* A session is a slot and a generation: a new generation in a slot says that the old session is
 * over, even if its TAPE_CLOSE was lost. */
struct tape_session {
	uint32_t slot, generation;
};

struct tape_record {
	uint32_t size; /* header, payload and padding */
	uint16_t kind;
	uint16_t unused;
	uint32_t payload_len;
	struct tape_session session;
	uint32_t unused2;
	uint64_t time_us; /* CLOCK_MONOTONIC when the bytes were read (cached per loop turn) */
};

/* What passed unseen since the last taken byte of the session; for a session announced again: all
 * that passed since it began, because a new shadow process has seen nothing of it. */
enum tape_gap_flags {
	GAP_PARSE = 1,	       /* a Parse with a name: statements may exist or be replaced */
	GAP_CLOSE = 2,	       /* a Close of a statement */
	GAP_QUERY = 4,	       /* a simple Query, or a FunctionCall */
	GAP_OTHER_COMMAND = 8, /* a CommandComplete other than plain SELECT, INSERT, UPDATE, DELETE,
				  MERGE, BEGIN, COMMIT, ROLLBACK: settings may have changed */
	GAP_UNKNOWN = 16,      /* anything may have happened */
	GAP_UNNAMED = 32,      /* a Parse of the unnamed statement */
	GAP_TEXT = 64, /* a text that no key below tells of: it was cut, they were too many */
};

/* A text of a Query or Parse that passed unseen. Zero keys: it has no blanked one; several passed
 * that are alike but for their literals, so no exact one. */
struct tape_text {
	struct text_key exact, blanked;
};
enum { UNSEEN_TEXTS_MAX = 16 };

struct tape_open {
	uint32_t announced_again; /* 0: from its first ReadyForQuery on; 1: from a TAPE_RESUME on,
				     which tells the gap */
	uint32_t unused;
	uint32_t startup_len;  /* then: startup packet behind its length word */
	uint32_t reported_len; /* then: name\0value\0 ... of reported parameters (only when
				  announced again) */
	uint64_t peer_us;      /* wall clock, us since 1970, when the client connected */
};
struct tape_stub {
	uint8_t type;
	uint8_t from_server;
	uint16_t unused;
	uint32_t length;
};
enum tape_rows_reason {
	ROWS_SAMPLED_OUT = 1,
	ROWS_HALF_FULL,
	ROWS_RESULT_LIMIT,
	ROWS_SESSION_SHARE
};
struct tape_rows {
	uint32_t reason;
	uint32_t unused;
	uint64_t rows, bytes;
};
struct tape_resume {
	uint32_t flags;	       /* enum tape_gap_flags */
	uint32_t texts;	       /* then: so many struct tape_text, UNSEEN_TEXTS_MAX at most */
	uint32_t reported_len; /* then: name\0value\0 ... as now in force */
	uint32_t unused;
};

/* Counters of one relay thread, published for the shadow; a consistent set is read with
 * tape_counters(). */
struct relay_counters {
	uint64_t relayed; /* Query, Execute, FunctionCall frames forwarded to the primary */
	uint64_t taken;	  /* of those: put on the tape of the current epoch or an earlier one */
	uint64_t unobserved[UNOBSERVED_COUNT];
	uint64_t sessions_opened, sessions_closed;
	uint64_t bytes_front, bytes_back; /* relayed */
	uint64_t sheds;			  /* how often latency_budget stopped the copying */
	uint64_t epoch_taken_base; /* `taken` when the current epoch began: what earlier epochs put
				      on the tape */
};

/* What the relay measured of itself. */
struct relay_cost {
	struct histogram copied_ns; /* of a measured turn of a relay thread; its sums are ns, too */
	uint64_t sheds;
};

/* --- producer (relay thread) --- */
struct tape; /* opaque */
/* size_bytes is rounded up to a power of two of pages. Owned. */
struct tape *tape_new(size_t size_bytes, struct error *error);
void tape_free(struct tape *t);
int tape_ring_fd(const struct tape *t);
int tape_tail_fd(const struct tape *t);
/* Begins an epoch (> 0) or detaches (0). Producer thread only. */
void tape_begin_epoch(struct tape *t, uint32_t epoch);
/* Appends a record of up to two parts; false when it does not fit (nothing is written). Not visible
 * before tape_commit. */
bool tape_put(struct tape *t, enum tape_kind kind, struct tape_session session, uint64_t time_us,
	struct span a, struct span b);
/* Makes records and counters visible. */
void tape_commit(struct tape *t, const struct relay_counters *counters);
/* What the producer measured: nanoseconds that it spent on the tape in one turn of its loop. */
void tape_count_cost(struct tape *t, uint64_t ns);
/* Any thread of the producer's process: the histogram of these, in nanoseconds. */
void tape_costs(const struct tape *t, struct histogram *out);
size_t tape_size(const struct tape *t);
uint64_t tape_head(const struct tape *t); /* position of the next record; grows for ever */
/* Looks where the consumer is. tape_put does so when it finds no room; the producer does it once
 * per turn of its loop, because the consumer's page is a cache line that both sides write and read.
 */
void tape_follow(struct tape *t);
/* Range-checked position read by the consumer, and bytes behind it, as of the last look. */
uint64_t tape_tail(const struct tape *t);
size_t tape_used(const struct tape *t);

/* --- consumer (shadow) --- */
struct tape_reader; /* opaque */
struct tape_reader *tape_reader_open(int ring_fd, int tail_fd, uint32_t epoch,
	struct error *error); /* takes over the descriptors */
void tape_reader_free(struct tape_reader *r);
/* The next record, or false when there is none. Borrowed until tape_reader_release. A record whose
 * size makes no sense sets *broken: stop using this tape. */
bool tape_reader_next(struct tape_reader *r, const struct tape_record **record,
	struct span *payload, bool *broken);
/* Has the producer begun this reader's epoch? From then on relay_counters.epoch_taken_base is the
 * epoch's. */
bool tape_reader_attached(struct tape_reader *r);
void tape_reader_release(struct tape_reader *r); /* frees what was read so far for the producer */
void tape_reader_counters(struct tape_reader *r, struct relay_counters *out);
void tape_reader_costs(const struct tape_reader *r, struct histogram *out); /* as tape_costs */
size_t tape_reader_backlog(const struct tape_reader *r);		    /* bytes not yet read */
/* Counters of a dead epoch for a fresh consumer: how many taken frames of the previous epoch it
 * must book is relay_counters.epoch_taken_base minus what the books say was observed. */

#endif

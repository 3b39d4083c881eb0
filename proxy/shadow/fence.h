/* A lag fence: has a candidate seen what the primary had written at a moment? Belongs to one
 * candidate; runs on a thread of its own with blocking libpq connections, one to the control and
 * one to the candidate.
 *
 * The position is pg_current_wal_insert_lsn() on the primary, taken after the control's answer: the
 * written and the flushed position lag behind commits of sessions with synchronous_commit = off.
 * The test that the candidate has passed it is a statement of its own, before the candidate's read
 * takes its snapshot. Reads that wait at the same time share positions and tests.
 *
 *   physical   pg_last_wal_replay_lsn() on the candidate, a standby.
 *   logical    latest_end_lsn of the candidate's apply workers (never received_lsn, which is
 * early), or confirmed_flush_lsn of their slots on the primary, or, where the candidate's role may
 * read pg_replication_origin_status, remote_lsn of the origin as it was before it last moved (the
 * newest can be early by a commit). The last is the soonest: it follows each commit, where the
 * others wait for keepalives and flushes. slot       confirmed_flush_lsn of a named slot on the
 * primary, for whatever feeds the candidate. heartbeat  a table of one row on the primary that
 * reaches the candidate like any other; its column `beat` (bigint) grows. Where the control's role
 * may UPDATE it, each round of waits adds one; else somebody else must, and a beat newer than the
 * one seen is waited for. auto       physical if the candidate is in recovery, else logical if it
 * has an enabled subscription, else none.
 *
 * An idle primary may have inserted WAL that is not flushed yet, or stand behind a page header,
 * which no position of a replica ever reaches. When nothing newer is written, all that was flushed
 * is there, and the WAL writer has had its time to flush commits (F3), there is nothing left to
 * wait for.
 *
 * F1 every wait ends, by timeout_us at the latest; F2 on_done is called exactly once, on the
 * worker's loop; F3 an
 * asynchronous commit is flushed within three times wal_writer_delay: unflushed WAL that is older
 * holds no commit.
 */
#ifndef PGUMBRA_SHADOW_FENCE_H
#define PGUMBRA_SHADOW_FENCE_H

#include "protocol/error.h"
#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

enum fence_kind {
	FENCE_AUTO,
	FENCE_NONE,
	FENCE_PHYSICAL,
	FENCE_LOGICAL,
	FENCE_SLOT,
	FENCE_HEARTBEAT
};

enum fence_result {
	FENCE_PASSED,  /* the candidate has all that was written before the wait */
	FENCE_TIMEOUT, /* not within the limit */
	FENCE_UNKNOWN, /* no fence, or the positions can't be read: nothing is known */
};

struct fence_options {
	const char *name;		/* of the candidate, for messages. All texts are borrowed */
	const char *control_conninfo;	/* with a database */
	const char *candidate_conninfo; /* with a database */
	const char *slot;		/* FENCE_SLOT */
	const char *table;		/* FENCE_HEARTBEAT: [schema.]table */
	enum fence_kind kind;
	uint64_t timeout_us;
};

bool fence_kind_from_name(const char *name, enum fence_kind *out);

struct fence; /* opaque */
struct fence *fence_new(
	struct event_base *base, const struct fence_options *options, struct error *error);
void fence_free(struct fence *f); /* ends all waits as FENCE_UNKNOWN, from inside */
/* False: out of memory or too many wait; on_done is not called then. */
bool fence_wait(struct fence *f, void (*on_done)(void *self, enum fence_result result), void *self)
	__attribute__((warn_unused_result));
/* What is in force: "none", "physical", "logical", "slot" or "heartbeat"; "auto" until the
 * candidate has been asked. Worker thread. */
const char *fence_in_force(struct fence *f);

#endif

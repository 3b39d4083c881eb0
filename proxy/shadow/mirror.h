/* Runs dark reads on one server (a candidate, or the control) over a pool of connections per
 * database, and gives back the answer. Worker thread (its libevent base); opening connections
 * happens on the connector's thread.
 *
 * M1 nothing reaches the server but the one-send wrapper of dark_read and the hand-over's Sync
 * (L3); M2 one read at a time per connection; M3 only ReadyForQuery(I) returns a connection to the
 * pool; M4 on_done is called exactly once per accepted read, never inside mirror_submit; M5 queue
 * bounded in reads and bytes (L4).
 */
#ifndef PGUMBRA_SHADOW_MIRROR_H
#define PGUMBRA_SHADOW_MIRROR_H

#include "proxy/shadow/dark_read.h"
#include "proxy/shadow/mirror_types.h"
#include <event2/event.h>

struct connector; /* the thread that opens and closes libpq connections */
struct connector *connector_new(struct event_base *base, struct error *error);
void connector_free(struct connector *c);
/* Runs `job` on the connector's thread with a fresh blocking connection to conninfo (NULL
 * connection and error text when that failed), then `done` on the worker's loop with what job
 * returned. For the catalogue, preflight and per-role settings. `done` is called exactly once: with
 * NULL, without the job, when it can't be queued, and inside connector_free when the job was still
 * waiting or just done: free what self points to after the connector. */
void connector_run(struct connector *c, const char *conninfo,
	void *(*job)(void *self, PGconn *connection, const char *connect_error),
	void (*done)(void *self, void *result), void *self);

struct mirror_options {
	const char *name;     /* for messages */
	const char *conninfo; /* borrowed for the mirror's life; without dbname: the read's database
				 is added */
	/* The server's name for a client's database, borrowed for the mirror's life; NULL: it has
	 * none (dropped, the caller should have asked). May be NULL: as conninfo says. A name given
	 * here goes over conninfo's dbname. */
	const char *(*database)(void *self, const char *name);
	void *database_self;
	unsigned pool_size;	       /* per database */
	uint64_t statement_timeout_us; /* deadline per read, and statement_timeout on the server */
	size_t queue_reads, queue_bytes;
	double max_rate;	   /* reads a second, 0: no limit */
	unsigned breaker_failures; /* consecutive connection failures or timeouts that open the
				      breaker */
	uint64_t breaker_open_us;  /* how long it stays open */
	size_t keep_limit_bytes;   /* rows kept per result */
	/* A standby that is promoted leaves its cage and its primary: nothing more is sent there
	 * (dropped(breaker)). Without this it is connected to anew. Told by the parameter
	 * in_hot_standby, which servers report since PostgreSQL 14. */
	bool retire_promoted;
	bool impersonate; /* each read runs as its role (set_config('role') in the wrapper), else as
			     the connection's */
	struct type_translation types;
	/* May this server be used (role safety)? Asked on the connector's thread with each new
	 * connection, blocking; false and why: the breaker opens, and the other connections to that
	 * database are closed. May be NULL. accept_self must outlive the connector. */
	bool (*accept)(void *self, PGconn *connection, char *why, size_t size);
	void *accept_self;
};

enum mirror_status {
	MIRROR_ANSWERED, /* result is an answer, RESULT_ERROR by the read itself included */
	MIRROR_FAILED,	 /* no answer: reason says candidate_failed(...) or dropped(...) */
};

struct mirror_answer {
	enum mirror_status status;
	enum reason reason; /* MIRROR_FAILED */
	struct result
		result; /* MIRROR_ANSWERED; on_done may move it out (leave it result_init'ed) */
	struct result first; /* of a read that ran twice: its first answer, else empty */
	char text[176];	     /* MIRROR_FAILED: why, for the operator */
	char sqlstate[6];    /* MIRROR_FAILED: what the server said, or "" */
	bool role_refused;   /* MIRROR_FAILED, wrapper: the read's role can't be taken on there */
	bool cold;	     /* first reads on a new connection */
	uint64_t round_trip_us; /* of the connection, bare Sync */
};

struct mirror; /* opaque */
struct mirror *mirror_new(
	struct event_base *base, struct connector *connector, const struct mirror_options *options);
/* Open reads end with dropped(shutdown), called from inside. Before connector_free; never from an
 * on_done. */
void mirror_free(struct mirror *m);
/* The read is referenced until on_done. False and *reason (queue_full, rate, breaker, memory,
 * shutdown) when it is not taken. not_before_us: monotonic, 0: at once. */
bool mirror_submit(struct mirror *m, struct dark_read *read, uint64_t not_before_us,
	void (*on_done)(void *self, struct mirror_answer *answer), void *self, enum reason *reason);
/* The same for a read that goes on with what others have begun: it runs before all that wait, and
 * always finds room. The caller bounds how many there are. */
bool mirror_submit_urgent(struct mirror *m, struct dark_read *read,
	void (*on_done)(void *self, struct mirror_answer *answer), void *self, enum reason *reason);
/* Closes every connection once its read has ended: what is opened from now on has been accepted
 * from now on. For a role that may have been given rights while connections lived. */
void mirror_renew(struct mirror *m);
struct mirror_state {
	unsigned connections, busy;
	size_t queued;
	bool breaker_open;
	uint64_t reads, failures;
};
void mirror_state(const struct mirror *m, struct mirror_state *out);
/* Has any read been waiting or running? */
bool mirror_idle(const struct mirror *m);

#endif

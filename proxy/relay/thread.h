/* A relay thread: its event loop, its sockets, its tape, its sessions.
 *
 * Threads share nothing but struct relay_shared: what is fixed at start, and flags and counts that
 * are atomic. The main thread changes a flag and wakes the threads; nobody waits for anybody.
 */
#ifndef PGUMBRA_PROXY_RELAY_THREAD_H
#define PGUMBRA_PROXY_RELAY_THREAD_H

#include "conf/network.h"
#include "proxy/relay/auth.h"
#include "proxy/relay/listener.h"
#include "proxy/relay/poller.h"
#include "proxy/relay/primary.h"
#include "proxy/relay/recorder.h"
#include "proxy/relay/routes.h"
#include <pthread.h>

struct session;

enum { CHUNK_BYTES = 64 * 1024 };

enum relay_phase {
	RELAY_RUNNING,
	RELAY_LEAVING,	/* another process has the listeners; sessions go on */
	RELAY_DRAINING, /* no new clients; sessions end when they are quiet */
	RELAY_STOPPING, /* all sessions end now */
};

/* Repeated trouble: one line now and then, with a count. */
struct trouble {
	uint64_t logged_us;
	uint32_t unlogged;
};

struct relay_shared {
	struct primary primary;
	struct routes routes;
	uint32_t max_sessions, max_connections; /* connections: before a session exists, too */
	uint32_t max_logins;
	struct networks proxy_protocol_from;
	int tcp_keepalives_idle_s, tcp_keepalives_interval_s, tcp_keepalives_count; /* of clients;
										       0: the
										       system's */
	int tcp_user_timeout_ms;
	uint64_t sample; /* threshold of the coin */
	size_t max_message_bytes, max_result_bytes;
	enum tls_mode client_tls;
	struct auth *auth; /* owned by the main thread; NULL: auth = relay */
	int done_fd;	   /* eventfd: a thread has ended */

	atomic_uint login_timeout_ms, startup_timeout_ms; /* may change, for new connections */
	atomic_uint phase;				  /* enum relay_phase */
	atomic_uint epoch;				  /* of the shadow process; 0: none */
	atomic_bool switched_off;			  /* shadowing, by the operator */
	atomic_bool shed;				  /* shadowing, by latency_budget */
	atomic_uint sessions, connections;
	atomic_uint logins; /* connections that are not authenticated yet */
};

/* The contexts that new sessions use; NULL: no TLS on that leg. */
struct relay_tls {
	SSL_CTX *client, *primary;
};

struct listening {
	struct poller_watch watch;
	struct relay_thread *thread; /* borrowed */
};

struct relay_thread {
	struct relay_shared *shared; /* borrowed, outlives the thread */
	struct recording recording;
	struct tape *tape; /* owned; NULL when shadowing is off */
	struct poller poller;
	pthread_t thread;
	int wake_fd;
	struct poller_watch wake;
	struct poller_timer accept_again;
	struct listening *listening; /* owned, [listen_count] */
	int *listen_fd;		     /* owned, the same */
	size_t listen_count;
	enum relay_phase phase; /* as last looked at */
	struct relay_tls tls;	/* owned references */
	/* owned until the thread takes it: contexts after a reload */
	_Atomic(struct relay_tls *) next_tls;
	_Atomic(struct auth_lookup *) looked_up; /* owned: answers that wait */
	uint8_t *chunk;				 /* CHUNK_BYTES, for every read */

	atomic_int tid;			 /* of the kernel; 0 before it runs */
	uint32_t turns;			 /* of the loop */
	bool measuring;			 /* what this turn spends on the tape */
	uint64_t copied_ns, measured_us; /* the latter: when the last such turn began */

	struct session **slot; /* owned sessions; NULL where free */
	uint32_t *generation;
	uint32_t slots, used;
	uint32_t *free_slot;  /* [used, slots): the free ones */
	struct session *dead; /* to be freed at the loop's end */
	struct trouble headers, crowds, unreachable, handshakes, logins, unheard, unwatched;
};

/* tape may be NULL; it is owned by the thread from here on, even on failure. */
bool relay_thread_init(struct relay_thread *t, struct relay_shared *shared, struct tape *tape,
	struct error *error) __attribute__((warn_unused_result));
/* It is the thread with this number, of so many. */
bool relay_thread_listen(struct relay_thread *t, const struct listeners *listeners, unsigned number,
	unsigned threads, struct error *error) __attribute__((warn_unused_result));
bool relay_thread_start(struct relay_thread *t, struct error *error)
	__attribute__((warn_unused_result));
/* After the thread was joined, or was never started. */
void relay_thread_release(struct relay_thread *t);
/* Any thread: look at the shared flags again. */
void relay_thread_wake(const struct relay_thread *t);

/* Any thread: new sessions use these contexts from now on (they are referenced, not taken over).
 * False when out of memory: the old ones stay. */
bool relay_thread_give_tls(struct relay_thread *t, const struct relay_tls *tls)
	__attribute__((warn_unused_result));

/* Thread of auth_query: the answer to a session of the thread that asked. */
void relay_thread_looked_up(struct auth_lookup *l);

/* --- for sessions, in this thread --- */
uint64_t relay_thread_look_at_clock(struct relay_thread *t);
/* Microseconds, read once per turn of the loop. */
static inline uint64_t relay_thread_now(struct relay_thread *t)
{
	return t->recording.now_us != 0 ? t->recording.now_us : relay_thread_look_at_clock(t);
}
/* CLOCK_MONOTONIC, nanoseconds: for turns that are measured. */
uint64_t relay_thread_clock_ns(void);
/* A free slot; false when out of memory. */
bool relay_thread_enter(struct relay_thread *t, struct session *s, struct tape_session *id);
void relay_thread_leave(struct relay_thread *t, struct tape_session id);
/* Frees the session when the loop's turn ends. */
void relay_thread_bury(struct relay_thread *t, struct session *s);
/* The primary can't be reached: one line now and then, with a count. */
void relay_thread_tell_unreachable(struct relay_thread *t, const char *why);
/* A peer that must begin with a PROXY header did not: the same. */
void relay_thread_tell_header(struct relay_thread *t, const char *peer);
/* A connection was closed at once, because of the setting: the same. */
void relay_thread_tell_crowd(struct relay_thread *t, const char *setting);
/* A client's TLS handshake failed: the same. */
void relay_thread_tell_handshake(struct relay_thread *t, const char *peer, const char *why);
/* A login could not be brought to its end (auth = scram), not for a wrong password: the same. */
void relay_thread_tell_login(struct relay_thread *t, const char *role, const char *why);

#endif

/* A session: two ends, the client's and the primary's, and what is on its way between them.
 *
 *   STARTUP -> CONNECTING -> RELAYING -> LINGERING -> dead      an ordinary session
 *           -> CANCELLING -> dead                               a CancelRequest
 *           -> LINGERING -> dead                                refused with our own FATAL
 *
 * Any state may go to dead. A dead session has no events and no sockets; its memory is freed at the
 * end of the loop's turn, never inside a callback.
 *
 * Full duplex: each direction has at most one chunk that the other side did not accept yet; while
 * it has one, its source is not read (back-pressure). Idle sessions hold no buffers. One thread.
 */
#ifndef PGUMBRA_PROXY_RELAY_SESSION_H
#define PGUMBRA_PROXY_RELAY_SESSION_H

#include "proxy/relay/thread.h"

enum session_state {
	SESSION_STARTUP,    /* the startup packet is being read */
	SESSION_CONNECTING, /* to the primary */
	SESSION_RELAYING,
	SESSION_CANCELLING, /* the CancelRequest is with the primary, which closes when done */
	SESSION_LINGERING,  /* the client is being told; waits until it closes */
	SESSION_DEAD,
};

enum pause_reason {
	PAUSE_PENDING = 1,    /* the other end has not taken everything yet */
	PAUSE_CONNECTING = 2, /* there is no other end yet */
	PAUSE_NO_TAKER = 4,   /* the other end takes nothing any more */
	PAUSE_EOF = 8,	      /* nothing will come */
};

struct end {
	struct session *session;
	struct end *other;
	int fd; /* owned; -1 when there is none */
	struct event read, write;
	bool has_events;
	unsigned paused;  /* enum pause_reason, for reading from it */
	bool eof;	  /* it will send nothing more */
	bool finish;	  /* shut down for writing once pending is through */
	bool deaf;	  /* can't be written to */
	uint8_t *pending; /* owned: bytes for it that it did not accept yet */
	size_t pending_at, pending_len;
};

struct session {
	struct relay_thread *thread; /* borrowed */
	enum session_state state;
	struct tape_session id;
	struct end client, primary;
	struct event timer;
	uint64_t login_deadline_us;
	uint64_t connected_us; /* wall clock */
	bool counted;	       /* among shared->sessions */
	bool opened;	       /* counted among the sessions opened */
	bool has_recorder, login_timer;
	bool asked_ssl, asked_gss;
	size_t address; /* of the primary, being tried */
	uint8_t length_word[4];
	uint8_t *startup; /* owned until it was sent */
	uint32_t startup_len, startup_have;
	struct recorder recorder;
	struct session *next_dead;
};

/* Takes over the socket. */
void session_accept(struct relay_thread *t, int fd);
/* The thread's phase has changed: ends the session when it is time. */
void session_phase_changed(struct session *s);
void session_end(struct session *s);
/* After session_end. */
void session_free(struct session *s);

#endif

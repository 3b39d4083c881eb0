/* A session: two ends, the client's and the primary's, and what is on its way between them.
 *
 *   STARTUP -> CONNECTING -> RELAYING -> LINGERING -> dead      an ordinary session
 *                         -> AUTHENTICATING -> RELAYING         with auth = scram: session_login.h
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

#include "protocol/proxy_header.h"
#include "proxy/relay/end.h"
#include "proxy/relay/sasl.h"
#include "proxy/relay/thread.h"

enum session_state {
	SESSION_STARTUP,	/* the startup packet is being read */
	SESSION_CONNECTING,	/* to the primary */
	SESSION_AUTHENTICATING, /* the login ends here (auth = scram) */
	SESSION_RELAYING,
	SESSION_CANCELLING, /* the CancelRequest is with the primary, which closes when done */
	SESSION_LINGERING,  /* the client is being told; waits until it closes */
	SESSION_DEAD,
};

/* On the way to the primary (CONNECTING, and CANCELLING until the request was sent):
 *
 *   TCP -> [SSL_ANSWER -> HANDSHAKE ->] startup packet sent [-> FIRST_ANSWER] -> DONE
 *
 * FIRST_ANSWER only with TLS, where sslmode (allow, prefer) leaves another way, and while other
 * addresses are left: when the primary's first word is an error, the way is tried that is left;
 * when it lets nobody in now (57P03), or says nothing within connect_timeout, the next address,
 * which begins at TCP again. */
enum connect_step {
	CONNECT_TCP,
	CONNECT_SSL_ANSWER,
	CONNECT_HANDSHAKE,
	CONNECT_FIRST_ANSWER,
	CONNECT_DONE,
};

struct session {
	struct relay_thread *thread; /* borrowed */
	struct tape_session id;
	struct end client, primary;
	struct recorder recorder;
	struct poller_timer *timer; /* owned; NULL: no time limit at present */
	struct session *next_dead;

	/* an idle session is the size of this and no more: what only some have, or only for a
	 * while, has a place of its own */
	struct proxy_header *announced;	 /* owned; NULL: the client is who connected */
	uint8_t *header;		 /* owned; PROXY_HEADER_MAX, while it comes in parts */
	uint8_t *startup;		 /* owned until it was sent, and no other way is left */
	struct endpoint_list *endpoints; /* owned until it is connected: where it may go, in that
					    order */
	struct endpoint *endpoint;	 /* a reference, while it is connected: where it is */
	struct sasl *sasl;		 /* owned; while the list of mechanisms is still to pass */
	struct login *login;		 /* owned; until AUTHENTICATING is over */
	uint64_t login_deadline_us;
	uint64_t connected_us; /* wall clock */
	uint32_t route;	       /* where CancelRequests for it are to go; NO_ROUTE */
	uint16_t startup_len, startup_have;
	uint16_t header_have;
	uint8_t length_word[4];
	uint8_t at; /* of the endpoints: the one being tried */

	enum session_state state;
	enum connect_step step;
	bool counted; /* among shared->sessions */
	bool opened;  /* counted among the sessions opened */
	bool has_recorder, login_timer;
	bool logging_in; /* counted among shared->logins */
	bool header_due; /* a PROXY header comes first */
	bool asked_ssl, asked_gss;
	bool peeked;	  /* the first byte is not that of a direct TLS connection */
	bool handshaking; /* with the client */
	bool direct_tls;  /* the client began with TLS, without asking */
	bool with_tls;	  /* this attempt; the other one is left when: */
	bool other_way;
};

/* Takes over the socket. */
void session_accept(struct relay_thread *t, int fd);
/* The thread's phase has changed: ends the session when it is time. */
void session_phase_changed(struct session *s);
void session_end(struct session *s);
/* The kernel won't tell of what it waits for: it would wait for ever. */
bool session_unheard(const struct session *s);
/* After session_end. */
void session_free(struct session *s);

#endif

/* One end of a session: a socket, plain or with TLS on it, its events, and the bytes for it that it
 * did not accept yet (at most one chunk, then the other end is not read: back-pressure).
 *
 * Reading and writing never wait. TLS may have to write before it can read on, and the other way
 * round; which events are asked for follows from the fields (end_watch), so that neither direction
 * ever stops because of the other. An idle end holds no buffer.
 *
 * One watch for both directions, because every byte of an idle session counts. Its owner is the
 * session: on_io of session.c.
 */
#ifndef PGUMBRA_PROXY_RELAY_END_H
#define PGUMBRA_PROXY_RELAY_END_H

#include "protocol/span.h"
#include "proxy/relay/poller.h"
#include "proxy/relay/tls.h"
#include <assert.h>
#include <errno.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

struct session;

enum { END_MORE_BYTES = 4096 /* a TLS record of that size hardly comes alone */ };

enum pause_reason {
	PAUSE_PENDING = 1,    /* the other end has not taken everything yet */
	PAUSE_CONNECTING = 2, /* there is no other end yet */
	PAUSE_NO_TAKER = 4,   /* the other end takes nothing any more */
	PAUSE_EOF = 8,	      /* nothing will come */
	PAUSE_KEYS = 16,      /* TLS: an answer to a KeyUpdate waits behind a blocked write */
};

struct end {
	struct session *session; /* borrowed */
	struct end *other;
	SSL *ssl; /* owned; NULL: plain */
	struct poller_watch io;
	struct poller *poller; /* borrowed; NULL while there is no socket */
	uint8_t *pending;      /* owned: bytes for it that it did not accept yet */
	uint32_t pending_at, pending_len;
	int fd;		       /* owned; -1 when there is none */
	uint8_t paused;	       /* enum pause_reason, for reading from it */
	bool wants_write;      /* a connection or a handshake goes on when it can be written */
	bool read_wants_write; /* TLS: reading goes on when it can be written */
	bool write_wants_read; /* TLS: writing goes on when there is something to read */
	bool eof;	       /* it will send nothing more */
	bool finish;	       /* shut down for writing once pending is through */
	bool deaf;	       /* can't be written to */
	bool unheard;	       /* its events can't be asked for: the session has to end */
};

void end_init(struct end *e, struct session *s, struct end *other);
/* Takes over the socket; no event is asked for yet. */
void end_open(struct end *e, int fd, struct poller *poller,
	void (*on_io)(struct poller_watch *w, unsigned ready));
void end_close(struct end *e);
/* Asks for the events that the fields say. Where the kernel refuses (P5 of the poller) the end is
 * `unheard`, and the thread ends the session behind the turn. */
void end_watch(struct end *e);

void end_set_paused(struct end *e, unsigned reasons);
void end_pause(struct end *e, enum pause_reason reason);
void end_unpause(struct end *e, enum pause_reason reason);

/* --- what every chunk comes through, and therefore inline --- */

/* As recv and send, which glibc makes points at which a thread can be cancelled: in a program with
 * threads that takes more instructions, two of them locked, than all that is done here for a chunk.
 * Nobody cancels a relay thread. Sanitizers see what glibc's functions read and write. */
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
enum { END_BY_SYSCALL = 0 };
#else
enum { END_BY_SYSCALL = 1 };
#endif

static inline ssize_t end_receive(int fd, void *into, size_t size, int flags)
{
	ssize_t n;

	do
		n = END_BY_SYSCALL ? syscall(SYS_recvfrom, fd, into, size, flags, NULL, NULL)
				   : recv(fd, into, size, flags);
	while (n < 0 && errno == EINTR);

	return n;
}

static inline ssize_t end_transmit(int fd, struct span bytes)
{
	ssize_t n;

	do
		n = END_BY_SYSCALL
			    ? syscall(SYS_sendto, fd, bytes.data, bytes.len, MSG_NOSIGNAL, NULL, 0)
			    : send(fd, bytes.data, bytes.len, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);

	return n;
}

ssize_t end_read_tls(struct end *e, void *into, size_t size);
ssize_t end_send_tls(struct end *e, struct span bytes);
bool end_keep(struct end *e, struct span rest);

/* As recv on a non-blocking socket. */
static inline ssize_t end_read(struct end *e, void *into, size_t size)
{
	return e->ssl ? end_read_tls(e, into, size) : end_receive(e->fd, into, size, 0);
}

/* How many bytes were taken; 0: it must wait. */
static inline ssize_t end_send_some(struct end *e, struct span bytes)
{
	ssize_t n;

	if (e->ssl)
		return end_send_tls(e, bytes);
	n = end_transmit(e->fd, bytes);

	return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) ? 0 : n;
}

/* Sends what the end takes and keeps the rest, which stops reading from the other end. False when
 * it can't be written to any more, or out of memory. Nothing may be pending. */
__attribute__((warn_unused_result)) static inline bool end_send(struct end *e, struct span bytes)
{
	ssize_t n;

	assert(e->pending_len == 0);
	n = end_send_some(e, bytes);
	if (n < 0)
		return false;

	return (size_t)n == bytes.len ||
	       end_keep(e, span_of(bytes.data + n, bytes.len - (size_t)n));
}

/* Is more likely to be there at once, after a read of n bytes for `size`? */
static inline bool end_has_more(const struct end *e, size_t n, size_t size)
{
	return n == size || (e->ssl && (n >= END_MORE_BYTES || SSL_has_pending(e->ssl)));
}

/* --- the rest --- */

/* The next bytes, at least one, which stay: -1 with errno EAGAIN when there is none yet; `why` is
 * filled when the connection is lost. */
ssize_t end_peek(struct end *e, void *into, size_t size, char why[TLS_WHY_MAX]);
/* False when the end can't be written to any more; what was pending is dropped then. */
bool end_send_pending(struct end *e) __attribute__((warn_unused_result));
/* One attempt, the rest is not kept. */
void end_send_once(struct end *e, struct span bytes);
/* No more bytes will come for this end. */
void end_finish(struct end *e);

#endif

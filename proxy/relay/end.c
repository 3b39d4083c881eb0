#include "proxy/relay/end.h"

#include <assert.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

void end_init(struct end *e, struct session *s, struct end *other)
{
	*e = (struct end){.session = s, .other = other, .fd = -1};
}

void end_open(struct end *e, int fd, struct poller *poller,
	void (*on_io)(struct poller_watch *w, unsigned ready))
{
	assert(e->fd < 0 && !e->ssl);
	e->fd = fd;
	e->eof = e->finish = e->deaf = e->unheard = false;
	e->wants_write = false;
	e->read_wants_write = e->write_wants_read = false;
	e->poller = poller;
	poller_watch_init(&e->io, fd, on_io);
}

static void drop_pending(struct end *e)
{
	if (e->pending) /* it may be of a login */
		OPENSSL_cleanse(e->pending, e->pending_at + e->pending_len);
	free(e->pending);
	e->pending = NULL;
	e->pending_len = e->pending_at = 0;
}

void end_close(struct end *e)
{
	if (e->poller)
		poller_want(e->poller, &e->io, 0);
	e->poller = NULL;
	e->unheard = false;
	if (e->ssl) {
		if (!e->deaf && e->pending_len == 0)
			tls_goodbye(e->ssl);
		SSL_free(e->ssl);
		e->ssl = NULL;
	}
	if (e->fd >= 0)
		close(e->fd);
	e->fd = -1;
	drop_pending(e);
}

/* What TLS has decrypted already, no socket tells of. */
static void wake_for_decrypted(struct end *e)
{
	if (e->poller && e->ssl && SSL_has_pending(e->ssl))
		poller_wake(e->poller, &e->io);
}

void end_watch(struct end *e)
{
	const bool blocked = e->pending_len > 0 && !e->write_wants_read;
	const bool read = e->paused == 0 || e->write_wants_read;
	const bool write = e->wants_write || blocked || (e->read_wants_write && e->paused == 0);
	const unsigned wanted = (read ? POLLER_READ : 0) | (write ? POLLER_WRITE : 0);

	if (!e->poller)
		return;
	if (wanted == e->io.wanted) {
		e->unheard = false;
		return;
	}
	e->unheard = !poller_want(e->poller, &e->io, wanted);
	if (read)
		wake_for_decrypted(e);
}

void end_set_paused(struct end *e, unsigned reasons)
{
	const bool was = e->paused != 0, is = reasons != 0;

	e->paused = (uint8_t)reasons;
	if (was == is)
		return;
	end_watch(e);
	if (!is)
		wake_for_decrypted(e);
}

void end_pause(struct end *e, enum pause_reason reason)
{
	end_set_paused(e, e->paused | reason);
}

void end_unpause(struct end *e, enum pause_reason reason)
{
	end_set_paused(e, e->paused & ~(unsigned)reason);
}

/* --- reading --- */

/* Reading must wait for what `step` says; other failures pass. */
static ssize_t after_read(struct end *e, ssize_t n, enum tls_step step)
{
	const int why = errno;
	const bool wants_write = n < 0 && why == EAGAIN && step == TLS_WANTS_WRITE;

	if (wants_write != e->read_wants_write) {
		e->read_wants_write = wants_write;
		end_watch(e);
	}
	if (e->pending_len > 0 && tls_owes_keys(e->ssl))
		end_pause(e, PAUSE_KEYS);
	errno = why;

	return n;
}

ssize_t end_read_tls(struct end *e, void *into, size_t size)
{
	enum tls_step step = TLS_WANTS_READ;
	const ssize_t n = tls_read(e->ssl, into, size, &step);

	return after_read(e, n, step);
}

ssize_t end_peek(struct end *e, void *into, size_t size, char why[TLS_WHY_MAX])
{
	enum tls_step step = TLS_WANTS_READ;
	ssize_t n;

	if (e->ssl) {
		n = tls_peek(e->ssl, into, size, &step, why);
		return after_read(e, n, step);
	}
	n = end_receive(e->fd, into, size, MSG_PEEK);
	if (n < 0)
		snprintf(why, TLS_WHY_MAX, "%s", strerror(errno));

	return n;
}

/* --- writing --- */

/* Record by record, until all is taken or it must wait. */
ssize_t end_send_tls(struct end *e, struct span bytes)
{
	enum tls_step step = TLS_WANTS_WRITE;
	size_t sent = 0;

	e->write_wants_read = false;
	while (sent < bytes.len) {
		ssize_t n = tls_write(e->ssl, span_of(bytes.data + sent, bytes.len - sent), &step);

		if (n < 0 && errno == EAGAIN) {
			e->write_wants_read = step == TLS_WANTS_READ;
			break;
		}
		if (n <= 0)
			return -1;
		sent += (size_t)n;
	}

	return (ssize_t)sent;
}

void end_send_once(struct end *e, struct span bytes)
{
	(void)!end_send_some(e, bytes);
}

bool end_keep(struct end *e, struct span rest)
{
	assert(rest.len <= UINT32_MAX); /* it is a chunk, or a message of ours */
	e->pending = malloc(rest.len);
	if (!e->pending)
		return false;
	memcpy(e->pending, rest.data, rest.len);
	e->pending_len = (uint32_t)rest.len;
	e->pending_at = 0;
	end_watch(e);
	end_pause(e->other, PAUSE_PENDING);

	return true;
}

static void shut_for_writing(struct end *e)
{
	if (!e->deaf && e->ssl)
		tls_goodbye(e->ssl);
	if (!e->deaf)
		shutdown(e->fd, SHUT_WR);
	e->deaf = true;
}

bool end_send_pending(struct end *e)
{
	ssize_t n = end_send_some(e, span_of(e->pending + e->pending_at, e->pending_len));

	if (n >= 0) {
		e->pending_at += (uint32_t)n;
		e->pending_len -= (uint32_t)n;
	}
	if (n >= 0 && e->pending_len > 0) {
		end_watch(e);
		return true;
	}
	drop_pending(e);
	end_watch(e);
	if (n < 0)
		return false;
	if (e->finish)
		shut_for_writing(e);
	end_unpause(e, PAUSE_KEYS);
	end_unpause(e->other, PAUSE_PENDING);

	return true;
}

void end_finish(struct end *e)
{
	e->finish = true;
	if (e->pending_len == 0)
		shut_for_writing(e);
}

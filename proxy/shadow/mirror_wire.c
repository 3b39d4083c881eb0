#include "proxy/shadow/mirror_wire.h"

#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

static enum wire_result plain(ssize_t n, size_t *done)
{
	*done = n > 0 ? (size_t)n : 0;
	if (n > 0)
		return WIRE_OK;
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
		return WIRE_WAIT;

	return WIRE_LOST;
}

static int tls_size(size_t size)
{
	return size > INT_MAX ? INT_MAX : (int)size;
}

enum wire_result wire_read(struct wire *w, void *into, size_t size, size_t *done)
{
	int n;

	if (!w->ssl)
		return plain(recv(w->fd, into, size, MSG_DONTWAIT), done);

	w->read_wants_write = false;
	ERR_clear_error();
	n = SSL_read(w->ssl, into, tls_size(size));
	*done = n > 0 ? (size_t)n : 0;
	if (n > 0)
		return WIRE_OK;
	switch (SSL_get_error(w->ssl, n)) {
	case SSL_ERROR_WANT_READ: return WIRE_WAIT;
	case SSL_ERROR_WANT_WRITE: w->read_wants_write = true; return WIRE_WAIT;
	default: return WIRE_LOST;
	}
}

enum wire_result wire_write(struct wire *w, const void *from, size_t size, size_t *done)
{
	int n;

	if (!w->ssl)
		return plain(send(w->fd, from, size, MSG_DONTWAIT | MSG_NOSIGNAL), done);

	w->write_wants_read = false;
	ERR_clear_error();
	n = SSL_write(w->ssl, from, tls_size(size));
	*done = n > 0 ? (size_t)n : 0;
	if (n > 0)
		return WIRE_OK;
	switch (SSL_get_error(w->ssl, n)) {
	case SSL_ERROR_WANT_WRITE: return WIRE_WAIT;
	case SSL_ERROR_WANT_READ: w->write_wants_read = true; return WIRE_WAIT;
	default: return WIRE_LOST;
	}
}

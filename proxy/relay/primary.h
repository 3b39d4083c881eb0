/* Where the primary is, and how it is spoken to: the addresses that its connection string names,
 * resolved once at start, tried in order, and its TLS settings, which mean what they mean to libpq.
 *
 * Immutable after primary_init() but for the atomics; shared by all relay threads.
 */
#ifndef PGUMBRA_PROXY_RELAY_PRIMARY_H
#define PGUMBRA_PROXY_RELAY_PRIMARY_H

#include "protocol/error.h"
#include "proxy/relay/tls.h"
#include <stdatomic.h>
#include <stddef.h>
#include <sys/socket.h>

enum { PRIMARY_ADDRESSES_MAX = 32, ADDRESS_TEXT_MAX = 160, HOST_MAX = 256 };

struct address {
	struct sockaddr_storage sockaddr;
	socklen_t len;
	char text[ADDRESS_TEXT_MAX]; /* host:port, [v6]:port or the path of a socket */
};

struct primary {
	struct address address[PRIMARY_ADDRESSES_MAX];
	char host[PRIMARY_ADDRESSES_MAX][HOST_MAX]; /* as it was named: for certificates */
	size_t count;
	enum tls_mode sslmode;
	struct tls_client_files tls;
	unsigned connect_timeout_s;
	bool keepalives;
	int keepalives_idle, keepalives_interval, keepalives_count; /* 0: the system's */
	/* sessions at each address: where a CancelRequest can be meant for */
	atomic_uint sessions[PRIMARY_ADDRESSES_MAX];
};

/* False when the string can't be used: it names the key, or the host that doesn't resolve. */
bool primary_init(struct primary *p, const char *conninfo, struct error *error)
	__attribute__((warn_unused_result));

/* Can TLS be spoken to this address with this sslmode? Never on a unix socket, as libpq. */
bool primary_may_use_tls(const struct primary *p, size_t index);

/* Starts a connection without waiting; -1 and errno when it failed at once. The socket is owned by
 * the caller and becomes writable when the outcome is known. */
int primary_connect(const struct primary *p, size_t index);

/* Appends the addresses of a host (NULL: all of this machine) or a socket directory (host begins
 * with /) to a list; false when it doesn't resolve or the list is full. */
bool resolve_address(const char *host, const char *port, bool passive, struct address *list,
	size_t max, size_t *count, struct error *error) __attribute__((warn_unused_result));

#endif

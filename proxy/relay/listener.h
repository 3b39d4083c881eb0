/* The addresses that clients connect to. Every relay thread gets sockets of its own: TCP ones by
 * SO_REUSEPORT, unix sockets as duplicates of one.
 */
#ifndef PGUMBRA_PROXY_RELAY_LISTENER_H
#define PGUMBRA_PROXY_RELAY_LISTENER_H

#include "proxy/relay/endpoint.h"

enum { LISTEN_ADDRESSES_MAX = 32 };

struct listeners {
	struct address address[LISTEN_ADDRESSES_MAX];
	int unix_fd[LISTEN_ADDRESSES_MAX]; /* owned; -1 for TCP */
	size_t count;
};

/* list: host:port, [v6]:port or /dir:port, comma-separated; host "*" or none is every address.
 * Resolves them, makes the unix sockets, and makes sure that nobody else listens there (with
 * SO_REUSEPORT a second instance would silently take a share of the clients). */
bool listeners_init(struct listeners *l, const char *list, struct error *error)
	__attribute__((warn_unused_result));
void listeners_release(struct listeners *l); /* also removes the unix sockets */

/* One thread's sockets, listening and non-blocking, owned by the caller; as many as addresses. */
bool listeners_open(const struct listeners *l, int *fds, struct error *error)
	__attribute__((warn_unused_result));
/* "127.0.0.1:6432, /tmp:6432" */
void listeners_describe(const struct listeners *l, char *text, size_t size);

/* Splits one entry at its last colon; host gets no brackets. */
bool listen_split(const char *entry, char *host, size_t host_size, char *port, size_t port_size)
	__attribute__((warn_unused_result));

#endif

/* The addresses that clients connect to, and their sockets: own ones (TCP: one for each relay
 * thread, by SO_REUSEPORT; unix: one), or given ones, of a service manager or of the process
 * before. All of them are kept open here, and the threads have duplicates, so that they can be
 * handed on: a socket whose last descriptor is closed takes the clients that wait in its queue with
 * it.
 *
 * Main thread.
 */
#ifndef PGUMBRA_PROXY_RELAY_LISTENER_H
#define PGUMBRA_PROXY_RELAY_LISTENER_H

#include "proxy/relay/endpoint.h"

enum { LISTEN_ADDRESSES_MAX = 32, LISTEN_SOCKETS_MAX = 2048 };

struct listen_socket {
	int fd; /* owned */
	size_t address;
};

struct listeners {
	struct address address[LISTEN_ADDRESSES_MAX];
	size_t count;
	struct listen_socket socket[LISTEN_SOCKETS_MAX];
	size_t sockets;
	bool keep_files; /* the files of unix sockets are somebody else's to remove */
};

/* list: host:port, [v6]:port or /dir:port, comma-separated; host "*" or none is every address.
 * Resolves them and takes over the given sockets that are for one of them (the others are closed);
 * for an address without any it makes them, and makes sure that nobody else listens there (with
 * SO_REUSEPORT a second instance would silently take a share of the clients). The given descriptors
 * are owned from here on, even on failure. Release in any case. */
bool listeners_init(struct listeners *l, const char *list, unsigned threads, int backlog,
	const int *given, size_t count, struct error *error) __attribute__((warn_unused_result));
void listeners_release(struct listeners *l); /* also removes the files of unix sockets */

/* One thread's sockets: duplicates, listening and non-blocking; they and the array are owned by the
 * caller, even on failure. */
bool listeners_open(const struct listeners *l, unsigned thread, unsigned threads, int **fds,
	size_t *count, struct error *error) __attribute__((warn_unused_result));
/* "127.0.0.1:6432, /tmp:6432" */
void listeners_describe(const struct listeners *l, char *text, size_t size);
/* Where a socket listens. */
bool listen_address_of(int fd, struct address *a) __attribute__((warn_unused_result));

/* Splits one entry at its last colon; host gets no brackets. */
bool listen_split(const char *entry, char *host, size_t host_size, char *port, size_t port_size)
	__attribute__((warn_unused_result));

#endif

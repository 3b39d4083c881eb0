/* Addresses of pgumbra.listen: `host:port`, `[v6]:port`, `/dir:port` (a unix socket in that
 * directory, named as PostgreSQL names its own), `*:port` or `:port` for every interface. A list is
 * comma-separated. Resolves no names.
 * Pure.
 */
#ifndef PGUMBRA_CONF_LISTEN_H
#define PGUMBRA_CONF_LISTEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct listen_address {
	char host[256]; /* name, IPv4, IPv6 without brackets, "*", or the directory */
	uint16_t port;	/* 0: any free one */
	bool is_unix;
	bool is_local; /* unix socket, 127.0.0.0/8, ::1 or localhost: this machine only */
};

/* The entry at *list, and *list moved behind it (to the terminating NUL at the end). False: not an
 * address; *list is moved all the same, and why (a static text) says what is allowed. */
bool listen_next(const char **list, struct listen_address *out, const char **why);

#endif

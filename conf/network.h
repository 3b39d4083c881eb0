/* Lists of peers in settings: addresses (192.0.2.1, ::1), networks (10.0.0.0/8, 2001:db8::/32), and
 * the word `unix` for clients of unix sockets, comma-separated. An IPv4 address that comes mapped
 * into IPv6 is that IPv4 address. Pure.
 */
#ifndef PGUMBRA_CONF_NETWORK_H
#define PGUMBRA_CONF_NETWORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum { NETWORKS_MAX = 64 };

struct network {
	int family; /* AF_INET, AF_INET6, AF_UNIX */
	uint8_t address[16];
	unsigned bits;
};

struct networks {
	struct network network[NETWORKS_MAX];
	size_t count;
};

/* False: the entry with this number (from 1) is none, or there are too many. "" is no network. */
bool networks_parse(const char *list, struct networks *out, size_t *entry);
bool networks_have(const struct networks *n, const struct sockaddr *peer);

#endif

/* Addresses of sockets, and the addresses of the primary: what is known of each.
 *
 * An endpoint is immutable but for its atomics and shared by the threads: whoever holds a reference
 * may read it. A list holds a reference on each of its endpoints.
 */
#ifndef PGUMBRA_PROXY_RELAY_ENDPOINT_H
#define PGUMBRA_PROXY_RELAY_ENDPOINT_H

#include "protocol/error.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum { ENDPOINTS_MAX = 32, ADDRESS_TEXT_MAX = 160, HOST_MAX = 256 };

struct address {
	struct sockaddr_storage sockaddr;
	socklen_t len;
	char text[ADDRESS_TEXT_MAX]; /* host:port, [v6]:port or the path of a socket */
};

/* Appends the addresses of a host (NULL: all of this machine) or a socket directory (host begins
 * with /) to a list; false when it doesn't resolve or the list is full. May block: never on a relay
 * thread once clients are there. */
bool resolve_address(const char *host, const char *port, bool passive, struct address *list,
	size_t max, size_t *count, struct error *error) __attribute__((warn_unused_result));
/* Fills a->text from a->sockaddr. */
void address_name(struct address *a);
bool address_equal(const struct address *a, const struct address *b);

/* What a server is, as far as target_session_attrs asks for it. */
enum endpoint_role {
	ROLE_UNKNOWN,	/* never asked, or it does not answer */
	ROLE_WRITABLE,	/* not in recovery, transactions may write */
	ROLE_READ_ONLY, /* not in recovery, default_transaction_read_only */
	ROLE_STANDBY,	/* in recovery */
};

struct endpoint {
	struct address address;
	char host[HOST_MAX]; /* as it was named: for certificates */
	size_t host_index;   /* of the connection string's hosts */
	atomic_uint references;
	atomic_uint role;	    /* enum endpoint_role */
	_Atomic uint64_t failed_us; /* CLOCK_MONOTONIC of the last connection that failed; 0: none
				       since one that went well */
};

/* One reference, the caller's; NULL when out of memory. */
struct endpoint *endpoint_new(const struct address *address, const char *host, size_t host_index);
struct endpoint *endpoint_hold(struct endpoint *e);
void endpoint_drop(struct endpoint *e);

struct endpoint_list {
	size_t count;
	struct endpoint *endpoint[ENDPOINTS_MAX];
};

/* Takes a reference of its own. The list must have room. */
void endpoint_list_add(struct endpoint_list *l, struct endpoint *e);
/* A copy with references of its own; NULL when out of memory. */
struct endpoint_list *endpoint_list_copy(const struct endpoint_list *l);
/* Drops the references; the list stays. */
void endpoint_list_clear(struct endpoint_list *l);
void endpoint_list_free(struct endpoint_list *l); /* what endpoint_list_copy made */

#endif

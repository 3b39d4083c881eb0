/* Where the primary is, and how it is spoken to: the hosts that its connection string names, their
 * addresses as they are known now, and its TLS settings, which mean what they mean to libpq.
 *
 * The settings are immutable after primary_init(). The list of addresses is replaced as a whole
 * (primary_resolve, by the resolver's thread); everybody else takes what stands there at that
 * moment, under a lock that nobody holds while waiting for anything. The hosts are the resolver's
 * and the monitor's: a reload stops both, changes them and target_session_attrs, and starts both.
 */
#ifndef PGUMBRA_PROXY_RELAY_PRIMARY_H
#define PGUMBRA_PROXY_RELAY_PRIMARY_H

#include "proxy/relay/endpoint.h"
#include "proxy/relay/tls.h"
#include <pthread.h>

enum { PRIMARY_HOSTS_MAX = ENDPOINTS_MAX, PORT_MAX = 32 };

/* target_session_attrs, as libpq means them (documentation 15, 34.1.2). */
enum session_attrs {
	ATTRS_ANY,
	ATTRS_READ_WRITE,
	ATTRS_READ_ONLY,
	ATTRS_PRIMARY,
	ATTRS_STANDBY,
	ATTRS_PREFER_STANDBY,
};

struct primary_host {
	char name[HOST_MAX];	/* for certificates and people */
	char address[HOST_MAX]; /* what is resolved: a name, an address, a socket directory */
	char port[PORT_MAX];
};

struct primary {
	struct primary_host host[PRIMARY_HOSTS_MAX];
	size_t hosts;
	bool names;	   /* some host is a name, whose addresses may change */
	atomic_uint attrs; /* enum session_attrs */
	enum tls_mode sslmode;
	struct tls_client_files tls;
	unsigned connect_timeout_s;
	bool keepalives;
	int keepalives_idle, keepalives_interval, keepalives_count; /* 0: the system's */
	int tcp_user_timeout_ms;				    /* 0: the system's */
	int failed_fd; /* owned eventfd: a connection failed, the addresses may have changed */

	pthread_mutex_t lock;
	struct endpoint_list list; /* guarded by lock, never empty after primary_init */
};

/* False when the string can't be used: it names the key, or why no host resolves. */
bool primary_init(struct primary *p, const char *conninfo, struct error *error)
	__attribute__((warn_unused_result));
/* After a primary_init, failed or not. */
void primary_release(struct primary *p);

/* Resolves all names again. A name that doesn't resolve keeps its addresses, and `error` says why
 * (false then). May block for as long as the system's resolver does. */
bool primary_resolve(struct primary *p, struct error *error) __attribute__((warn_unused_result));

/* Do two connection strings differ in nothing but host, hostaddr, port, target_session_attrs? */
bool primary_alike_but_hosts(const struct primary *a, const struct primary *b);
/* Takes these over from `now`, with its addresses; what is known of those that are in both stays
 * known. Sessions stay where they are. Neither resolver nor monitor may run. */
void primary_take_hosts(struct primary *p, struct primary *now);

/* All addresses, in the order of the connection string; NULL when out of memory. Owned by the
 * caller. */
struct endpoint_list *primary_addresses(struct primary *p);
/* Those that a new session may go to, in the order in which they are to be tried: what
 * target_session_attrs asks for, those that did not answer lately last. NULL when out of memory. */
struct endpoint_list *primary_choose(struct primary *p, uint64_t now_us);
/* "read-write", for messages */
const char *session_attrs_name(enum session_attrs attrs);
/* The connection to it failed (or went well) at that moment. */
void primary_tell(struct primary *p, struct endpoint *e, bool well, uint64_t now_us);

/* Can TLS be spoken to this address with this sslmode? Never on a unix socket, as libpq. */
bool primary_may_use_tls(const struct primary *p, const struct endpoint *e);

/* Starts a connection without waiting; -1 and errno when it failed at once. The socket is owned by
 * the caller and becomes writable when the outcome is known. */
int primary_connect(const struct primary *p, const struct endpoint *e);

#endif

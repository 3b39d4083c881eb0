/* The thread that asks each address of the primary what it is (writable, read-only, a standby), for
 * target_session_attrs. It logs in by libpq with a role of its own, keeps the connection and asks
 * again every interval; what doesn't answer is ROLE_UNKNOWN. Relay threads only read the roles.
 *
 * Made and ended by the main thread.
 */
#ifndef PGUMBRA_PROXY_RELAY_MONITOR_H
#define PGUMBRA_PROXY_RELAY_MONITOR_H

#include "proxy/relay/primary.h"
#include <libpq-fe.h>

struct monitor {
	struct primary *primary;   /* borrowed */
	PQconninfoOption *options; /* owned: the servers' TLS and who logs in */
	unsigned interval_ms;
	int stop_fd;   /* owned eventfd */
	int answer_fd; /* owned eventfd: a server has answered */
	pthread_t thread;
	bool started;
};

/* Starts nothing when target_session_attrs is any. `login` is a connection string: user, password,
 * passfile, dbname (postgres when not given); its hosts are passed over. Waits up to limit_ms for a
 * first server that new sessions may go to. */
bool monitor_start(struct monitor *m, struct primary *p, const char *conninfo, const char *login,
	unsigned interval_ms, int limit_ms, struct error *error)
	__attribute__((warn_unused_result));
void monitor_stop(struct monitor *m);

#endif

/* The service manager's side of the process (systemd): sockets that it opened for us,
 * sd_listen_fds(3), and what we tell it, sd_notify(3). Both protocols are a few environment
 * variables and datagrams; without a service manager nothing happens.
 */
#ifndef PGUMBRA_PROXY_RELAY_SERVICE_H
#define PGUMBRA_PROXY_RELAY_SERVICE_H

#include "protocol/error.h"
#include <stddef.h>

/* Takes over the sockets given to this process: copies up to max of them, owned by the caller.
 * False when one of them is not a listening stream socket. Once, early, before anything is started.
 */
bool service_sockets(int *fds, size_t max, size_t *count, struct error *error)
	__attribute__((warn_unused_result));

/* One line or several ("READY=1\nSTATUS=..."). */
void service_notify(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif

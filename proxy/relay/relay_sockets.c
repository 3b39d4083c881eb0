/* Where the listening sockets come from, and whom they go to. */
#include "proxy/relay/relay_internal.h"

#include "proxy/log.h"
#include "proxy/relay/service.h"
#include <unistd.h>

/* We are no longer the one that clients reach. Sessions go on until they end, or until
 * drain_timeout has passed: then as after SIGTERM. */
static void on_taken(pid_t by, void *arg)
{
	struct relay *r = arg;

	log_info("process %ld has taken over the listening sockets; %u sessions go on here",
		(long)by, atomic_load(&r->shared.sessions));
	service_notify("MAINPID=%ld", (long)by);
	r->listeners.keep_files = true;
	listeners_release(&r->listeners);
	takeover_release(&r->takeover, false);
	relay_start_drain_timer(r);
	relay_enter_phase(r, RELAY_LEAVING);
}

static bool ask_for_sockets(struct relay *r, struct error *error)
{
	const char *directory = config_text(r->config, "pgumbra", NULL, "runtime_dir");

	if (!*directory)
		return error_set(error, "--take-over needs pgumbra.runtime_dir");
	if (!takeover_ask(directory, &r->gift, error))
		return false;
	if (r->gift.count == 0)
		log_info("nobody offers sockets in %s: starting with new ones", directory);

	return true;
}

static void close_all(const int *fds, size_t count)
{
	while (count > 0)
		close(fds[--count]);
}

bool relay_open_listeners(struct relay *r, const struct relay_origin *o, struct error *error)
{
	const int backlog = (int)config_integer(r->config, "pgumbra", NULL, "listen_backlog");
	const int *given = o->fds;
	size_t count = o->count;

	if (o->take_over && !ask_for_sockets(r, error)) {
		close_all(given, count);
		return false;
	}
	if (r->gift.count > 0) { /* the service manager's are among them, if there are any */
		close_all(given, count);
		given = r->gift.fd;
		count = r->gift.count;
	}
	if (!listeners_init(&r->listeners, config_text(r->config, "pgumbra", NULL, "listen"),
		    r->threads, backlog, given, count, error))
		return false;
	r->listeners.keep_files = r->gift.keep_files || o->count > 0;

	return true;
}

bool relay_settle(struct relay *r, struct error *error)
{
	if (!takeover_offer(&r->takeover, r->base,
		    config_text(r->config, "pgumbra", NULL, "runtime_dir"), &r->listeners, on_taken,
		    r, error))
		return false;
	takeover_confirm(&r->gift);

	return true;
}

void relay_release_sockets(struct relay *r)
{
	if (r->gift.giver_fd >= 0) { /* we failed: the one before goes on with them */
		r->listeners.keep_files = true;
		close(r->gift.giver_fd);
		r->gift.giver_fd = -1;
	}
	listeners_release(&r->listeners);
	takeover_release(&r->takeover, true);
}

#include "proxy/relay/relay.h"

#include "proxy/relay/relay_internal.h"

#include "proxy/handover.h"
#include "proxy/log.h"
#include "proxy/relay/service.h"
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
	EXIT_GOOD = 0,
	EXIT_CONFIGURATION = 2,
	EXIT_RUNTIME = 3,
	DESCRIPTORS_OF_OURS = 256,
	DRAIN_SHADOW_MS = 30000, /* for the tapes' rest and the last books */
	STOP_SHADOW_MS = 5000,
	FIRST_ROLE_MS = 5000, /* for the first host that target_session_attrs asks for */
};

/* --- what the main thread tells the others --- */

void relay_wake_all(struct relay *r)
{
	for (unsigned i = 0; i < r->made; i++)
		relay_thread_wake(&r->thread[i]);
}

static void on_epoch(uint32_t epoch, void *arg)
{
	struct relay *r = arg;

	atomic_store(&r->shared.epoch, epoch);
	relay_wake_all(r);
}

static void on_shed(bool shed, void *arg)
{
	struct relay *r = arg;

	atomic_store(&r->shared.shed, shed);
	relay_wake_all(r);
}

void relay_enter_phase(struct relay *r, enum relay_phase phase)
{
	atomic_store(&r->shared.phase, phase);
	relay_wake_all(r);
}

void relay_start_drain_timer(struct relay *r)
{
	const struct timeval limit = {.tv_sec = (time_t)(r->drain_us / 1000000),
		.tv_usec = (suseconds_t)(r->drain_us % 1000000)};

	event_add(r->drain_over, &limit);
}

static void drain(struct relay *r, const char *why)
{
	log_info("%s: no new clients; waiting for %u sessions", why,
		atomic_load(&r->shared.sessions));
	service_notify("STOPPING=1\nSTATUS=draining\nEXTEND_TIMEOUT_USEC=%llu",
		(unsigned long long)r->drain_us + 1000 * DRAIN_SHADOW_MS);
	relay_release_sockets(r);
	relay_start_drain_timer(r);
	relay_enter_phase(r, RELAY_DRAINING);
}

static void on_term(evutil_socket_t fd, short what, void *arg)
{
	struct relay *r = arg;
	const unsigned phase = atomic_load(&r->shared.phase);

	(void)fd;
	(void)what;
	if (phase == RELAY_RUNNING || phase == RELAY_LEAVING)
		drain(r, "SIGTERM");
	else
		log_info("SIGTERM again: waiting for %u sessions still (SIGINT stops now)",
			atomic_load(&r->shared.sessions));
}

static void stop_now(struct relay *r, const char *why)
{
	log_info("%s: ending %u sessions", why, atomic_load(&r->shared.sessions));
	relay_release_sockets(r);
	relay_enter_phase(r, RELAY_STOPPING);
}

static void on_int(evutil_socket_t fd, short what, void *arg)
{
	struct relay *r = arg;

	(void)fd;
	(void)what;
	r->in_haste = true;
	stop_now(r, "SIGINT");
}

static void on_drain_over(evutil_socket_t fd, short what, void *arg)
{
	struct relay *r = arg;

	(void)fd;
	(void)what;
	if (atomic_load(&r->shared.phase) == RELAY_LEAVING)
		drain(r, "drain_timeout passed since the hand-over");
	else
		stop_now(r, "drain_timeout passed");
}

/* auth = scram. */
static bool take_auth(struct relay *r, struct error *error)
{
	if (strcmp(config_text(r->config, "primary", NULL, "auth"), "scram") != 0)
		return true;
	r->shared.auth = auth_new(
		r->config, r->tls.client, r->shared.max_connections, relay_thread_looked_up, error);

	return r->shared.auth != NULL;
}

static void on_hup(evutil_socket_t fd, short what, void *arg)
{
	struct relay *r = arg;

	(void)fd;
	(void)what;
	relay_reload(r);
}

static void on_thread_done(evutil_socket_t fd, short what, void *arg)
{
	struct relay *r = arg;
	uint64_t count = 0;

	(void)what;
	if (read(fd, &count, sizeof count) < 0)
		return;
	r->done += (unsigned)count;
	if (r->done >= r->started)
		event_base_loopbreak(r->base);
}

static bool catch_signals(struct relay *r)
{
	r->signal_term = evsignal_new(r->base, SIGTERM, on_term, r);
	r->signal_int = evsignal_new(r->base, SIGINT, on_int, r);
	r->signal_hup = evsignal_new(r->base, SIGHUP, on_hup, r);
	r->drain_over = event_new(r->base, -1, 0, on_drain_over, r);
	r->thread_done =
		event_new(r->base, r->shared.done_fd, EV_READ | EV_PERSIST, on_thread_done, r);

	return r->signal_term && r->signal_int && r->signal_hup && r->drain_over &&
	       r->thread_done && event_add(r->signal_term, NULL) == 0 &&
	       event_add(r->signal_int, NULL) == 0 && event_add(r->signal_hup, NULL) == 0 &&
	       event_add(r->thread_done, NULL) == 0;
}

/* --- making --- */

static void raise_descriptor_limit(const struct relay_shared *shared)
{
	const rlim_t needed = 2 * (rlim_t)shared->max_connections + DESCRIPTORS_OF_OURS;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	if (limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
			getrlimit(RLIMIT_NOFILE, &limit);
	}
	if (limit.rlim_cur < needed)
		log_warning("the limit of %llu open files can't carry max_sessions = %u (needs "
			    "%llu): further clients will wait",
			(unsigned long long)limit.rlim_cur, shared->max_sessions,
			(unsigned long long)needed);
}

/* Whole ones, and not 0 unless the setting is. */
static int seconds_of(const struct config *c, const char *key)
{
	return (int)((config_integer(c, "pgumbra", NULL, key) + 999999) / 1000000);
}

static void read_settings(struct relay *r)
{
	const struct config *c = r->config;
	struct relay_shared *s = &r->shared;
	int64_t threads = config_integer(c, "pgumbra", NULL, "relay_threads");
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	size_t entry;

	/* the table allows no other names */
	(void)tls_mode_from_name(config_text(c, "client_tls", NULL, "sslmode"), &s->client_tls);
	if (threads <= 0) /* one per core */
		threads = cores > 0 ? cores : 1;
	r->threads = threads > HANDOVER_MAX_THREADS ? HANDOVER_MAX_THREADS : (unsigned)threads;
	s->max_sessions = (uint32_t)config_integer(c, "pgumbra", NULL, "max_sessions");
	s->max_logins = (uint32_t)config_integer(c, "pgumbra", NULL, "max_logins");
	s->max_connections = s->max_sessions + s->max_logins;
	s->tcp_keepalives_idle_s = seconds_of(c, "tcp_keepalives_idle");
	s->tcp_keepalives_interval_s = seconds_of(c, "tcp_keepalives_interval");
	s->tcp_keepalives_count = (int)config_integer(c, "pgumbra", NULL, "tcp_keepalives_count");
	s->tcp_user_timeout_ms =
		(int)(config_integer(c, "pgumbra", NULL, "tcp_user_timeout") / 1000);
	(void)networks_parse(config_text(c, "pgumbra", NULL, "proxy_protocol_from"),
		&s->proxy_protocol_from, &entry); /* was checked */
	s->sample = (uint64_t)(config_real(c, "shadow", NULL, "sample") * 4294967296.0);
	s->max_message_bytes = (size_t)config_integer(c, "shadow", NULL, "max_message_bytes");
	s->max_result_bytes = (size_t)config_integer(c, "shadow", NULL, "max_result_bytes");
	relay_read_live(r);
	r->enabled = config_bool(c, "shadow", NULL, "enabled");
	atomic_store(&s->switched_off, false);
	atomic_store(&s->shed, false);
}

static bool make_threads(struct relay *r, struct error *error)
{
	const size_t tape_size = (size_t)config_integer(r->config, "shadow", NULL, "tape_size");

	r->thread = calloc(r->threads, sizeof *r->thread);
	r->tape = calloc(r->threads, sizeof *r->tape);
	if (!r->thread || !r->tape)
		return error_set(error, "out of memory");
	for (unsigned i = 0; i < r->threads; i++) {
		if (r->enabled) {
			r->tape[i] = tape_new(tape_size, error);
			if (!r->tape[i])
				return false;
		}
		if (!relay_thread_init(&r->thread[i], &r->shared, r->tape[i], error))
			return false;
		r->made++;
	}

	return relay_give_tls(r, error);
}

static bool start_threads(struct relay *r, struct error *error)
{
	for (unsigned i = 0; i < r->threads; i++) {
		if (!relay_thread_listen(&r->thread[i], &r->listeners, i, r->threads, error))
			return false;
	}
	for (unsigned i = 0; i < r->threads; i++) {
		if (!relay_thread_start(&r->thread[i], error))
			return false;
		r->started++;
	}

	return true;
}

/* Who asks the primary's hosts what they are; the control's role unless told otherwise. */
static const char *monitor_login(const struct config *c)
{
	const char *own = config_text(c, "primary", NULL, "monitor");

	return *own ? own : config_text(c, "control", NULL, "conninfo");
}

bool relay_start_primary(struct relay *r, int first_ms, struct error *error)
{
	const struct config *c = r->config;
	struct primary *p = &r->shared.primary;

	return resolver_start(&r->resolver, p,
		       (unsigned)(config_integer(c, "primary", NULL, "resolve_interval") / 1000),
		       error) &&
	       monitor_start(&r->monitor, p, config_text(c, "primary", NULL, "conninfo"),
		       monitor_login(c),
		       (unsigned)(config_integer(c, "primary", NULL, "monitor_interval") / 1000),
		       first_ms, error);
}

/* The shadow process first, so that nothing passes unseen from the first client on. */
static bool start_all(struct relay *r, struct error *error)
{
	r->base = event_base_new();
	r->shared.done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (!r->base || r->shared.done_fd < 0 || !catch_signals(r))
		return error_set(error, "%s: could not make the event loop", strerror(errno));
	if (!make_threads(r, error))
		return false;
	if (r->enabled) {
		if (!supervisor_init(&r->supervisor, r->base, r->config, r->tape, r->threads,
			    r->origin->may_shadow, on_epoch, r, error))
			return false;
		r->supervised = true;
		r->shedding = shedding_new(r->base, r->thread, r->threads,
			(uint64_t)config_integer(r->config, "shadow", NULL, "latency_budget"),
			on_shed, r);
		if (!r->shedding)
			return error_set(error, "out of memory");
	}

	return relay_start_primary(r, FIRST_ROLE_MS, error) && start_threads(r, error) &&
	       relay_settle(r, error);
}

static void tell_counters(const struct relay *r)
{
	uint64_t relayed = 0, taken = 0, sessions = 0;

	for (unsigned i = 0; i < r->made; i++) {
		relayed += r->thread[i].recording.counters.relayed;
		taken += r->thread[i].recording.counters.taken;
		sessions += r->thread[i].recording.counters.sessions_opened;
	}
	log_info("ended: %llu sessions, %llu executions relayed, %llu put on the tape",
		(unsigned long long)sessions, (unsigned long long)relayed,
		(unsigned long long)taken);
}

static void stop_all(struct relay *r)
{
	relay_enter_phase(r, RELAY_STOPPING);
	for (unsigned i = 0; i < r->started; i++)
		pthread_join(r->thread[i].thread, NULL);
	if (r->supervised)
		supervisor_release(&r->supervisor, r->in_haste ? STOP_SHADOW_MS : DRAIN_SHADOW_MS);
	shedding_free(r->shedding);
	if (r->started > 0)
		tell_counters(r);
	auth_free(r->shared.auth); /* while the threads can still be given its answers */
	for (unsigned i = 0; i < r->made; i++)
		relay_thread_release(&r->thread[i]);
	relay_release_sockets(r);
	free(r->thread);
	free(r->tape);
	monitor_stop(&r->monitor);
	if (resolver_stop(&r->resolver))
		primary_release(&r->shared.primary);
	routes_release(&r->shared.routes);
	if (r->shared.done_fd >= 0)
		close(r->shared.done_fd);
}

static void release_events(struct relay *r)
{
	struct event *events[] = {
		r->signal_term, r->signal_int, r->signal_hup, r->drain_over, r->thread_done};

	for (unsigned i = 0; i < sizeof events / sizeof events[0]; i++) {
		if (events[i])
			event_free(events[i]);
	}
	if (r->base)
		event_base_free(r->base);
}

static void tell_ready(const struct relay *r)
{
	char where[900];

	listeners_describe(&r->listeners, where, sizeof where);
	log_info("listening on %s", where);
	service_notify("READY=1\nSTATUS=listening on %s", where);
}

int relay_run(struct config *config, const char *config_path, const struct relay_origin *origin)
{
	/* static: a thread that hangs in the system's resolver outlives this function */
	static struct relay r;
	struct error error;
	int code = EXIT_GOOD;

	r = (struct relay){.config = config, .config_path = config_path, .origin = origin};
	r.takeover.fd = r.takeover.asker_fd = r.gift.giver_fd = -1;
	r.shared.done_fd = r.monitor.stop_fd = r.monitor.answer_fd = r.resolver.stop_fd = -1;
	signal(SIGPIPE, SIG_IGN);
	/* What the loop's handlers go back to: a second SIGTERM in the last moment must not cut the
	 * end short. */
	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	read_settings(&r);
	if (!primary_init(
		    &r.shared.primary, config_text(config, "primary", NULL, "conninfo"), &error) ||
		!relay_take_tls(&r, config, &error) || !take_auth(&r, &error)) {
		log_error("%s", error.text);
		primary_release(&r.shared.primary);
		return EXIT_CONFIGURATION;
	}
	if (!routes_init(&r.shared.routes, r.shared.max_sessions)) {
		log_error("out of memory");
		return EXIT_RUNTIME;
	}
	raise_descriptor_limit(&r.shared);
	if (!relay_open_listeners(&r, origin, &error)) {
		log_error("%s", error.text);
		relay_release_sockets(&r);
		auth_free(r.shared.auth);
		relay_tls_release(&r.tls);
		return EXIT_RUNTIME; /* the addresses were read before: the world refused them */
	}
	if (start_all(&r, &error)) {
		tell_ready(&r);
		event_base_dispatch(r.base);
	} else {
		log_error("%s", error.text);
		code = EXIT_RUNTIME;
	}
	stop_all(&r);
	release_events(&r);
	relay_tls_release(&r.tls);

	return code;
}

/* What the files of the relay's main thread share: relay.c (its life), relay_reload.c (SIGHUP, TLS
 * contexts), relay_sockets.c (listening sockets, hand-over). Main thread only.
 */
#ifndef PGUMBRA_PROXY_RELAY_RELAY_INTERNAL_H
#define PGUMBRA_PROXY_RELAY_RELAY_INTERNAL_H

#include "conf/settings.h"
#include "proxy/relay/monitor.h"
#include "proxy/relay/relay.h"
#include "proxy/relay/resolver.h"
#include "proxy/relay/shedding.h"
#include "proxy/relay/supervisor.h"
#include "proxy/relay/takeover.h"
#include "proxy/relay/thread.h"

struct relay {
	struct config *config;		   /* borrowed; live settings follow SIGHUP */
	const char *config_path;	   /* borrowed; NULL: no file */
	const struct relay_origin *origin; /* borrowed */
	struct event_base *base;
	struct relay_shared shared;
	struct listeners listeners;
	struct takeover takeover;
	struct takeover_gift gift;
	struct relay_tls tls;	     /* owned references */
	struct relay_thread *thread; /* owned, [threads] */
	struct tape **tape;	     /* borrowed from the threads, for the supervisor */
	unsigned threads, made, started, done;
	bool enabled, supervised, in_haste;
	struct supervisor supervisor;
	struct shedding *shedding; /* owned; NULL: shadowing is off, or not begun */
	struct resolver resolver;
	bool hosts_stale; /* a reload could not take the new ones over */
	struct monitor monitor;
	struct event *signal_term, *signal_int, *signal_hup, *drain_over, *thread_done;
	uint64_t drain_us;
};

/* --- relay.c --- */
void relay_wake_all(struct relay *r);
void relay_enter_phase(struct relay *r, enum relay_phase phase);
/* What is to happen when drain_timeout has passed from now on. */
void relay_start_drain_timer(struct relay *r);
/* Resolver and monitor, by r->config. first_ms: how long a first host that may be used is waited
 * for. */
bool relay_start_primary(struct relay *r, int first_ms, struct error *error)
	__attribute__((warn_unused_result));

/* --- relay_sockets.c --- */
bool relay_open_listeners(struct relay *r, const struct relay_origin *o, struct error *error)
	__attribute__((warn_unused_result));
/* Clients are served: whoever had the sockets may go, and who wants them next may ask us. */
bool relay_settle(struct relay *r, struct error *error) __attribute__((warn_unused_result));
void relay_release_sockets(struct relay *r);

/* --- relay_reload.c --- */
/* The settings that can change live, from r->config. */
void relay_read_live(struct relay *r);
/* The contexts of both legs from the files that `c` names, given to all threads that are made. */
bool relay_take_tls(struct relay *r, const struct config *c, struct error *error)
	__attribute__((warn_unused_result));
bool relay_give_tls(struct relay *r, struct error *error) __attribute__((warn_unused_result));
void relay_tls_release(struct relay_tls *tls);
/* SIGHUP: all of the configuration, or nothing of it. */
void relay_reload(struct relay *r);

#endif

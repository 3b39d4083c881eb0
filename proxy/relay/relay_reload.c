#include "proxy/relay/relay_internal.h"

#include "proxy/log.h"
#include "proxy/relay/service.h"
#include "proxy/waivers.h"
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* --- TLS --- */

void relay_tls_release(struct relay_tls *tls)
{
	SSL_CTX_free(tls->client);
	SSL_CTX_free(tls->primary);
}

/* The contexts of both legs. The modes are those of the start, the files are `c`'s of now. */
static bool make_tls(
	struct relay *r, const struct config *c, struct relay_tls *tls, struct error *error)
{
	const struct primary *p = &r->shared.primary;
	const struct tls_server_files files = {
		.cert = config_text(c, "client_tls", NULL, "cert_file"),
		.key = config_text(c, "client_tls", NULL, "key_file"),
		.ca = config_text(c, "client_tls", NULL, "ca_file"),
		.min_version = config_text(r->config, "client_tls", NULL, "min_protocol_version")};

	*tls = (struct relay_tls){NULL, NULL};
	if (r->shared.client_tls != TLS_DISABLE) {
		tls->client = tls_server_context(r->shared.client_tls, &files, error);
		if (!tls->client)
			return false;
	}
	if (p->sslmode != TLS_DISABLE) {
		tls->primary = tls_client_context(p->sslmode, &p->tls, error);
		if (!tls->primary) {
			relay_tls_release(tls);
			return false;
		}
	}

	return true;
}

bool relay_give_tls(struct relay *r, struct error *error)
{
	for (unsigned i = 0; i < r->made; i++) {
		if (!relay_thread_give_tls(&r->thread[i], &r->tls))
			return error_set(error, "out of memory");
	}

	return true;
}

bool relay_take_tls(struct relay *r, const struct config *c, struct error *error)
{
	struct relay_tls now;

	if (!make_tls(r, c, &now, error))
		return false;
	relay_tls_release(&r->tls);
	r->tls = now;

	return relay_give_tls(r, error);
}

/* --- the configuration --- */

void relay_read_live(struct relay *r)
{
	const struct config *c = r->config;
	enum log_level level;

	atomic_store(&r->shared.login_timeout_ms,
		(uint32_t)(config_integer(c, "pgumbra", NULL, "login_timeout") / 1000));
	atomic_store(&r->shared.startup_timeout_ms,
		(uint32_t)(config_integer(c, "pgumbra", NULL, "startup_timeout") / 1000));
	r->drain_us = (uint64_t)config_integer(c, "pgumbra", NULL, "drain_timeout");
	if (r->shedding)
		shedding_set_budget(
			r->shedding, (uint64_t)config_integer(c, "shadow", NULL, "latency_budget"));
	if (log_level_from_name(config_text(c, "pgumbra", NULL, "log_level"), &level))
		log_set_level(level);
}

/* "a, b, c"; what doesn't fit is counted. */
static void tell_names(const char *what, const struct conf_messages *names)
{
	char list[1500] = "";
	size_t used = 0, i;

	for (i = 0; i < names->count && used + strlen(names->text[i]) + 40 < sizeof list; i++)
		used += (size_t)snprintf(
			list + used, sizeof list - used, "%s%s", i > 0 ? ", " : "", names->text[i]);
	if (i < names->count)
		snprintf(list + used, sizeof list - used, " and %zu more", names->count - i);
	if (names->count > 0)
		log_line(strstr(what, "restart") ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO,
			"SIGHUP: %s: %s", what, list);
}

/* --- the primary's hosts --- */

enum { FIRST_ROLE_MS = 1000 };

static bool same_text(const struct relay *r, const struct config *now, const char *key)
{
	return strcmp(config_text(r->config, "primary", NULL, key),
		       config_text(now, "primary", NULL, key)) == 0;
}

static bool primary_changes(const struct relay *r, const struct config *now)
{
	return !same_text(r, now, "conninfo") || !same_text(r, now, "monitor") ||
	       !same_text(r, now, "resolve_interval") || !same_text(r, now, "monitor_interval");
}

/* r->config is the new one already. fresh: the hosts, NULL: as they are. */
static void restart_primary(struct relay *r, struct primary *fresh)
{
	struct error error;

	r->hosts_stale = !resolver_stop(&r->resolver);
	if (r->hosts_stale) {
		log_error(
			"the system's resolver hangs: the hosts of the primary stay as they were, "
			"until the next SIGHUP");
		return;
	}
	monitor_stop(&r->monitor);
	if (fresh)
		primary_take_hosts(&r->shared.primary, fresh);
	if (!relay_start_primary(r, FIRST_ROLE_MS, &error))
		log_error("%s; the addresses of the primary stay as they are now", error.text);
}

/* --- all of it --- */

static void take_over(struct relay *r, struct config *now, struct primary *fresh)
{
	struct conf_messages taken = {0}, kept = {0};
	const bool changes = r->hosts_stale || primary_changes(r, now);
	/* auth_query has its connection to the old ones */
	const bool held = !primary_alike_but_hosts(&r->shared.primary, fresh) ||
			  *config_text(r->config, "primary", NULL, "auth_query");

	config_take_live(r->config, now, held ? "primary.conninfo" : NULL, &taken, &kept);
	relay_read_live(r);
	if (changes)
		restart_primary(r, held ? NULL : fresh);
	tell_names("taken over", &taken);
	tell_names("changed, but needs a restart", &kept);
	conf_messages_release(&taken);
	conf_messages_release(&kept);
}

static void log_all(const struct conf_messages *messages)
{
	for (size_t i = 0; i < messages->count; i++)
		log_error("%s", messages->text[i]);
}

/* NULL, and messages, when there is a mistake in it. */
static struct config *read_again(const struct relay *r, struct conf_messages *messages)
{
	struct config *now = config_reload(r->config, r->config_path, messages);
	struct waivers waivers;

	if (now && !waivers_read(now, &waivers, messages)) {
		config_free(now);
		now = NULL;
	}

	return now;
}

/* Certificates are read again although their names are the old ones. */
static void reload_configuration(struct relay *r)
{
	const bool with_tls =
		r->shared.client_tls != TLS_DISABLE || r->shared.primary.sslmode != TLS_DISABLE;
	struct conf_messages messages = {0};
	struct config *now = read_again(r, &messages);
	struct auth_file *secrets = NULL;
	struct primary fresh = {.failed_fd = -1};
	struct error error;
	bool ok = false;

	log_all(&messages);
	if (!now)
		log_error("SIGHUP: the configuration can't be taken over: it and the certificates "
			  "stay as they were");
	else if (!primary_init(&fresh, config_text(now, "primary", NULL, "conninfo"), &error))
		log_error("%s; SIGHUP: the configuration stays as it was", error.text);
	else if (r->shared.auth && !auth_read_again(r->shared.auth, now, &secrets, &error))
		log_error("%s; SIGHUP: the configuration and the SCRAM secrets stay as they were",
			error.text);
	else if (with_tls && !relay_take_tls(r, now, &error))
		log_error("%s; SIGHUP: the configuration and the certificates stay as they were",
			error.text);
	else
		ok = true;
	if (ok) {
		if (r->shared.auth)
			auth_take(r->shared.auth, secrets);
		take_over(r, now, &fresh);
		if (with_tls)
			log_info("SIGHUP: certificates are read again, for new sessions");
	} else {
		auth_file_free(secrets);
	}
	relay_wake_all(r);
	if (now)
		primary_release(&fresh);
	conf_messages_release(&messages);
	config_free(now);
}

void relay_reload(struct relay *r)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	service_notify("RELOADING=1\nMONOTONIC_USEC=%llu",
		(unsigned long long)now.tv_sec * 1000000 + (unsigned long long)now.tv_nsec / 1000);
	reload_configuration(r);
	if (r->supervised) {
		supervisor_set_log_level(&r->supervisor);
		supervisor_signal(&r->supervisor, SIGHUP);
	}
	log_info("SIGHUP: done; the shadow process says when it has opened its log again");
	service_notify("READY=1");
}

#include "proxy/cli.h"

#include "proxy/log.h"
#include "proxy/process.h"
#include "proxy/relay/listener.h"
#include "proxy/relay/relay.h"
#include "proxy/relay/service.h"
#include "proxy/shadow/journal.h"
#include <string.h>

/* A server that doesn't answer delays the start by less than 5 s. */
enum { START_LIMIT_MS = 4500 };

static void start_log(const struct config *c)
{
	enum log_level level = LOG_LEVEL_INFO;

	if (!log_level_from_name(config_text(c, "pgumbra", NULL, "log_level"), &level))
		level = LOG_LEVEL_INFO;
	log_init("relay", level);
}

static void log_findings(const struct preflight_findings *f)
{
	size_t informations = 0;

	for (size_t i = 0; i < f->count; i++) {
		const struct preflight_finding *p = &f->list[i];
		bool forbids = p->level == PREFLIGHT_FORBIDS;

		if (p->level == PREFLIGHT_INFORMATION)
			informations++;
		else
			log_line(forbids ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING, "%s: %s%s%s",
				p->where, p->what, *p->mend ? "; mend: " : "", p->mend);
	}
	if (informations > 0)
		log_info("%zu findings for information: `pgumbra check` shows them", informations);
}

/* Is there one of this kind that forbids? */
static bool forbids(const struct preflight_findings *f, const char *kind)
{
	for (size_t i = 0; i < f->count; i++)
		if (f->list[i].level == PREFLIGHT_FORBIDS && strcmp(f->list[i].kind, kind) == 0)
			return true;

	return false;
}

/* Names the ways around what was found, and no others. */
static void say_not_started(const struct preflight_findings *f)
{
	log_error("not started: `pgumbra check` shows the findings%s%s%s",
		forbids(f, "role") ? "; --allow-unsafe-role runs in spite of a candidate's role"
				   : "",
		forbids(f, "same_server")
			? "; --allow-unsafe-role runs although candidate and primary are one server"
			: "",
		forbids(f, "trust") ? "; primary.allow_trust=on runs although the primary lets "
				      "strangers in"
				    : "");
}

/* Refuses what would be dangerous (trust, a role that can write); the rest is said, handed to the
 * discrepancy log, and left. */
static bool safe_to_run(const struct config *c)
{
	struct preflight_findings findings = {0};
	char lines[RELAY_FINDINGS_BYTES];
	bool safe;

	cli_find(c, false, START_LIMIT_MS, &findings);
	log_findings(&findings);
	preflight_lines(&findings, lines, sizeof lines);
	relay_set_findings(lines);
	safe = !preflight_forbids(&findings);
	if (!safe)
		say_not_started(&findings);
	preflight_release(&findings);

	return safe;
}

static void say_waiting(const char *path)
{
	log_info("waiting for the last run's rest in %s", path);
}

static bool log_is_free(const struct config *c)
{
	const char *path = config_text(c, "discrepancies", NULL, "path");
	struct error error;

	if (!*path || !config_bool(c, "shadow", NULL, "enabled") ||
		journal_wait_for_log(path, say_waiting, &error))
		return true;
	log_error("not started: %s", error.text);

	return false;
}

/* After a hand-over: the process before us has the log until its last session has ended. */
static bool log_is_free_now(const struct config *c)
{
	return journal_log_is_free(config_text(c, "discrepancies", NULL, "path"));
}

/* Has one of the sockets before it the same address? */
static bool seen_before(const int *fds, size_t i, const struct address *a)
{
	struct address other;

	for (size_t k = 0; k < i; k++) {
		if (listen_address_of(fds[k], &other) && address_equal(&other, a))
			return true;
	}

	return false;
}

/* A service manager's sockets are where we listen, whatever pgumbra.listen says: also what is
 * judged by it (cli_listens_locally), and a reload, must see them there. */
static bool listen_on(struct config *c, const int *fds, size_t count)
{
	struct conf_messages messages = {0};
	char text[4096] = "pgumbra.listen=";
	size_t used = strlen(text);
	struct address a;
	bool good;

	if (count == 0)
		return true;
	for (size_t i = 0; i < count; i++) {
		if (!listen_address_of(fds[i], &a) || used + strlen(a.text) + 2 > sizeof text)
			return false;
		if (!seen_before(fds, i, &a))
			used += (size_t)snprintf(
				text + used, sizeof text - used, "%s%s", i > 0 ? "," : "", a.text);
	}
	good = config_set(c, text, &messages) && config_check(c, &messages);
	for (size_t i = 0; i < messages.count; i++)
		log_error("%s (sockets of the service manager; those of unix sockets are named "
			  "DIRECTORY/.s.PGSQL.PORT)",
			messages.text[i]);
	conf_messages_release(&messages);

	return good;
}

static int run(struct cli_settings *s, const int *fds, size_t count)
{
	const struct relay_origin origin = {.fds = fds,
		.count = count,
		.take_over = s->take_over,
		.may_shadow = s->take_over ? log_is_free_now : NULL};

	start_log(s->config);
	if (!config_bool(s->config, "pgumbra", NULL, "core_dumps"))
		process_forbid_dumps();
	if (!listen_on(s->config, fds, count) || !safe_to_run(s->config) ||
		(!s->take_over && !log_is_free(s->config)))
		return EXIT_USAGE;

	return relay_run(s->config, s->config_path, &origin);
}

int cli_run(int argc, char **argv)
{
	struct cli_settings settings;
	int fds[LISTEN_ADDRESSES_MAX];
	size_t count;
	struct error error;
	int code;

	if (!service_sockets(fds, LISTEN_ADDRESSES_MAX, &count, &error)) {
		fprintf(stderr, "pgumbra: %s\n", error.text);
		return EXIT_USAGE;
	}
	if (cli_settings_read(argc, argv, true, &settings, &code))
		code = run(&settings, fds, count);
	cli_settings_release(&settings);

	return code;
}

#include "proxy/cli.h"

#include "proxy/log.h"
#include "proxy/relay/relay.h"
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
		log_error(
			"not started: `pgumbra check` shows the findings; --allow-unsafe-role and "
			"primary.allow_trust run all the same");
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

int cli_run(int argc, char **argv)
{
	struct cli_settings settings;
	int code;

	if (cli_settings_read(argc, argv, true, &settings, &code)) {
		start_log(settings.config);
		code = safe_to_run(settings.config) && log_is_free(settings.config)
			       ? relay_run(settings.config, settings.config_path)
			       : EXIT_USAGE;
	}
	cli_settings_release(&settings);

	return code;
}

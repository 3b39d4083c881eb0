#include "proxy/cli.h"

#include "proxy/log.h"
#include "proxy/relay/relay.h"
#include <string.h>

static void start_log(const struct config *c)
{
	enum log_level level = LOG_LEVEL_INFO;

	if (!log_level_from_name(config_text(c, "pgumbra", NULL, "log_level"), &level))
		level = LOG_LEVEL_INFO;
	log_init("relay", level);
}

static void log_findings(const struct preflight_findings *f)
{
	for (size_t i = 0; i < f->count; i++) {
		const struct preflight_finding *p = &f->list[i];
		bool forbids = p->level == PREFLIGHT_FORBIDS;

		log_line(forbids ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING, "%s: %s%s%s", p->where,
			p->what, *p->mend ? "; mend: " : "", p->mend);
	}
}

/* Refuses what would be dangerous (trust, a role that can write); the rest is said and left. */
static bool safe_to_run(const struct config *c)
{
	struct preflight_findings findings = {0};
	bool shadow = config_bool(c, "shadow", NULL, "enabled"), safe;
	unsigned reached;

	cli_check_primary(c, &findings, &reached);
	if (shadow)
		cli_check_candidates(c, &findings);
	if (shadow && !*config_text(c, "control", NULL, "conninfo"))
		preflight_add(&findings, PREFLIGHT_WARNING, "control", "--control",
			"is not set: no difference can be verified");
	if (shadow && !*config_text(c, "discrepancies", NULL, "path"))
		preflight_add(&findings, PREFLIGHT_WARNING, "discrepancies", "--log FILE",
			"path is not set: no discrepancy log is written");
	log_findings(&findings);
	safe = !preflight_forbids(&findings);
	if (!safe)
		log_error(
			"not started: `pgumbra check` shows the findings; --allow-unsafe-role and "
			"primary.allow_trust run all the same");
	preflight_release(&findings);

	return safe;
}

int cli_run(int argc, char **argv)
{
	struct cli_settings settings;
	int code;

	if (cli_settings_read(argc, argv, true, &settings, &code)) {
		start_log(settings.config);
		code = safe_to_run(settings.config)
			       ? relay_run(settings.config, settings.config_path)
			       : EXIT_USAGE;
	}
	cli_settings_release(&settings);

	return code;
}

#include "proxy/cli.h"

#include <stdio.h>
#include <string.h>

/* --- candidates and control --- */

static void lower_to_warnings(struct preflight_findings *f, size_t from)
{
	for (; from < f->count; from++)
		f->list[from].level = PREFLIGHT_WARNING;
}

/* A database that both may be asked about: a name that one string gives, or the usual one. */
static void compare_with_control(const struct config *c, const char *conninfo, const char *where,
	struct preflight_findings *f)
{
	const char *control = config_text(c, "control", NULL, "conninfo");
	PGconn *a, *b = NULL;
	char why[300];

	a = preflight_connect(
		control, conninfo_has_dbname(control) ? NULL : "postgres", why, sizeof why);
	if (a)
		b = preflight_connect(
			conninfo, conninfo_has_dbname(conninfo) ? NULL : PQdb(a), why, sizeof why);
	if (a && b)
		preflight_compare_settings(a, b, where, f);
	PQfinish(a);
	PQfinish(b);
}

static void check_candidate(const struct config *c, const char *name, struct preflight_findings *f)
{
	const char *conninfo = config_text(c, "candidate", name, "conninfo");
	size_t before = f->count;
	char where[100];

	snprintf(where, sizeof where, "candidate %s", name);
	if (!preflight_server(conninfo, where, f))
		return;
	if (config_bool(c, "candidate", name, "allow_unsafe_role"))
		lower_to_warnings(f, before);
	if (*config_text(c, "control", NULL, "conninfo"))
		compare_with_control(c, conninfo, where, f);
}

void cli_check_candidates(const struct config *c, struct preflight_findings *f)
{
	const char *names[CONF_MAX_CANDIDATES];
	size_t count = config_names(c, "candidate", names, CONF_MAX_CANDIDATES);

	for (size_t i = 0; i < count; i++)
		check_candidate(c, names[i], f);
}

void cli_check_control(const struct config *c, struct preflight_findings *f)
{
	const char *conninfo = config_text(c, "control", NULL, "conninfo");
	size_t before = f->count;

	if (!*conninfo) {
		preflight_add(f, PREFLIGHT_WARNING, "control",
			"--control with a role on the primary that can only read",
			"is not set: no difference can be verified");
		return;
	}
	preflight_server(conninfo, "control", f);
	lower_to_warnings(f, before);
}

/* --- the command --- */

static void print_findings(const struct preflight_findings *f)
{
	for (int level = PREFLIGHT_FORBIDS; level >= PREFLIGHT_WARNING; level--) {
		for (size_t i = 0; i < f->count; i++) {
			const struct preflight_finding *p = &f->list[i];

			if ((int)p->level != level)
				continue;
			printf("%-8s %s: %s\n", level == PREFLIGHT_FORBIDS ? "forbids" : "warning",
				p->where, p->what);
			if (*p->mend)
				printf("         mend: %s\n", p->mend);
		}
	}
}

static int count_level(const struct preflight_findings *f, enum preflight_level level)
{
	int count = 0;

	for (size_t i = 0; i < f->count; i++)
		count += f->list[i].level == level;

	return count;
}

static void find_all(const struct config *c, struct preflight_findings *f)
{
	unsigned reached;

	cli_check_primary(c, f, &reached);
	if (reached == 0)
		preflight_add(f, PREFLIGHT_FORBIDS, "primary", "start it, or mend primary.conninfo",
			"none of its addresses can be reached");
	if (config_bool(c, "shadow", NULL, "enabled")) {
		cli_check_candidates(c, f);
		cli_check_control(c, f);
	}
	if (!*config_text(c, "discrepancies", NULL, "path"))
		preflight_add(f, PREFLIGHT_WARNING, "discrepancies", "--log FILE",
			"path is not set: no discrepancy log is written");
}

int cli_check(int argc, char **argv)
{
	struct preflight_findings findings = {0};
	struct cli_settings settings;
	int code;

	if (cli_settings_read(argc, argv, true, &settings, &code)) {
		find_all(settings.config, &findings);
		print_findings(&findings);
		printf("%d that forbid running, %d warnings\n",
			count_level(&findings, PREFLIGHT_FORBIDS),
			count_level(&findings, PREFLIGHT_WARNING));
		code = preflight_forbids(&findings) ? EXIT_FINDING : EXIT_GOOD;
	}
	preflight_release(&findings);
	cli_settings_release(&settings);

	return code;
}

#include "proxy/cli.h"

#include "protocol/span.h"
#include "proxy/relay/listener.h"
#include "proxy/shadow/journal.h"
#include "proxy/waivers.h"
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* What a job's process looks at. */
struct subject {
	const struct config *config;
	const char *candidate; /* NULL elsewhere */
	bool must_reach;       /* the primary */
};

/* --- what the configuration alone says --- */

/* What lets the log be opened for writing, or made. */
static const char *log_mend(const char *path)
{
	char directory[4096];
	const char *slash = strrchr(path, '/');
	int length = !slash ? 1 : slash == path ? 1 : (int)(slash - path);
	struct stat about;

	if (stat(path, &about) == 0)
		return S_ISDIR(about.st_mode) ? "name a file in it"
					      : "let the user that pgumbra runs as write that file";
	if ((size_t)snprintf(directory, sizeof directory, "%.*s", length, slash ? path : ".") >=
		sizeof directory)
		return "a shorter path";
	if (stat(directory, &about) != 0)
		return errno == ENOENT
			       ? "make the directory, writable for the user that pgumbra runs as"
			       : "another --log";
	if (S_ISDIR(about.st_mode) && access(directory, W_OK | X_OK) != 0 && errno == EACCES)
		return "let the user that pgumbra runs as write and search the directory";

	return "another --log";
}

/* Without a log a run would relay and observe nothing; a file of somebody else must stay as it is.
 */
static void look_at_log(const struct config *c, struct preflight_findings *f)
{
	static const struct preflight_topic no_log = {
		PREFLIGHT_WARNING, "configuration", "no discrepancy log is written", "--log FILE"};
	static const struct preflight_topic other = {PREFLIGHT_FORBIDS, "configuration",
		"nothing would be observed, or the file would be ruined",
		"another --log, or move the file away"};
	const char *values = config_text(c, "discrepancies", NULL, "values");
	const struct journal_options options = {
		.path = config_text(c, "discrepancies", NULL, "path"),
		.key_file = config_text(c, "discrepancies", NULL, "key_file"),
		.values = strcmp(values, "full") == 0 ? VALUES_FULL : VALUES_HASHED,
	};
	const struct preflight_topic unwritable = {PREFLIGHT_FORBIDS, "configuration",
		"nothing would be observed", log_mend(options.path)};
	struct error error;
	bool foreign;

	if (!*options.path)
		preflight_say(f, &no_log, "discrepancies", "path is not set");
	else if (!journal_usable(&options, &foreign, &error))
		preflight_say(f, foreign ? &other : &unwritable, "discrepancies", "%s", error.text);
}

static void look_at_waivers(const struct config *c, struct preflight_findings *f)
{
	static const struct preflight_topic over = {PREFLIGHT_WARNING, "configuration",
		"it waives nothing: what it accepted is a mismatch again",
		"mend the difference, or give the waiver another day after another look"};
	struct conf_messages ignored = {0};
	struct waivers waivers;
	int64_t now_us = (int64_t)time(NULL) * 1000000;

	(void)!waivers_read(c, &waivers, &ignored); /* mistakes were said before */
	conf_messages_release(&ignored);
	for (size_t i = 0; i < waivers.count; i++) {
		char where[100];

		snprintf(where, sizeof where, "waiver %s", waivers.list[i].name);
		if (waivers.list[i].ends_us <= now_us)
			preflight_say(f, &over, where, "expired on %s (owner: %s)",
				waivers.list[i].expires, waivers.list[i].owner);
	}
}

/* run finds out by itself. A pgumbra that runs with this configuration listens there, too. */
static void look_at_listen(const struct config *c, struct preflight_findings *f)
{
	static const struct preflight_topic taken = {PREFLIGHT_WARNING, "configuration",
		"run would not start",
		"stop what listens there (`ss -ltnp` names it; a pgumbra that runs already may "
		"stay), "
		"or another --listen"};
	struct listeners listeners;
	struct error error;

	if (!listeners_init(
		    &listeners, config_text(c, "pgumbra", NULL, "listen"), 1, 1, NULL, 0, &error))
		preflight_say(f, &taken, "listen", "%s", error.text);
	listeners_release(&listeners);
}

static void look_at_configuration(const struct config *c, struct preflight_findings *f)
{
	static const struct preflight_topic no_control = {PREFLIGHT_WARNING, "configuration",
		"no difference can be verified, nothing is compared before the start",
		"--control with a role on the primary that can only read"};

	if (config_bool(c, "shadow", NULL, "enabled") &&
		!*config_text(c, "control", NULL, "conninfo"))
		preflight_say(f, &no_control, "control", "is not set");
	look_at_log(c, f);
	look_at_waivers(c, f);
}

/* --- servers --- */

static void look_at_primary(const struct preflight_job *job, struct preflight_findings *f)
{
	static const struct preflight_topic unreached = {
		PREFLIGHT_FORBIDS, "connection", "", "start it, or mend primary.conninfo"};
	const struct subject *s = job->arg;
	unsigned reached;

	cli_check_primary(s->config, f, &reached);
	if (reached == 0 && s->must_reach)
		preflight_say(f, &unreached, "primary", "none of its addresses can be reached");
}

static bool takes_roles(const struct config *c, const char *section, const char *name)
{
	return strcmp(config_text(c, section, name, "impersonate"), "set_role") == 0;
}

static struct span trimmed(const char *at, const char *end)
{
	while (at < end && isblank((unsigned char)*at))
		at++;
	while (at < end && isblank((unsigned char)end[-1]))
		end--;

	return span_of(at, (size_t)(end - at));
}

/* client=candidate, ...: has none of them one name on both sides? */
static bool renames_all(const char *list)
{
	bool any = false;

	while (*list) {
		const char *end = list + strcspn(list, ",");
		const char *equals = memchr(list, '=', (size_t)(end - list));

		if (!equals || span_equal(trimmed(list, equals), trimmed(equals + 1, end)))
			return false;
		any = true;
		list = *end ? end + 1 : end;
	}

	return any;
}

static void look_at_candidate(const struct preflight_job *job, struct preflight_findings *f)
{
	const struct subject *s = job->arg;
	const char *conninfo = config_text(s->config, "candidate", s->candidate, "conninfo");
	const char *control = config_text(s->config, "control", NULL, "conninfo");

	f->forbids_as_warnings =
		config_bool(s->config, "candidate", s->candidate, "allow_unsafe_role");
	f->renames = renames_all(config_text(s->config, "candidate", s->candidate, "databases"));
	preflight_apart(config_text(s->config, "primary", NULL, "conninfo"), control, conninfo,
		job->name, f);
	f->impersonates = takes_roles(s->config, "candidate", s->candidate);
	if (!preflight_server(conninfo, job->name, f))
		return;
	f->impersonates = false;
	if (*control)
		preflight_compare(control, conninfo, job->name, f);
	else
		preflight_observe(conninfo, job->name, f);
}

static void look_at_control(const struct preflight_job *job, struct preflight_findings *f)
{
	const struct subject *s = job->arg;
	const char *conninfo = config_text(s->config, "control", NULL, "conninfo");

	f->forbids_as_warnings = f->of_primary = true;
	f->impersonates = takes_roles(s->config, "control", NULL);
	if (preflight_server(conninfo, job->name, f))
		preflight_beside_primary(config_text(s->config, "primary", NULL, "conninfo"),
			conninfo, job->name, f);
}

void cli_find(const struct config *c, bool must_reach, int limit_ms, struct preflight_findings *f)
{
	enum { JOBS = 2 + CONF_MAX_CANDIDATES };
	const char *names[CONF_MAX_CANDIDATES];
	char where[CONF_MAX_CANDIDATES][100];
	struct subject subjects[JOBS];
	struct preflight_job jobs[JOBS];
	size_t count = 0, candidates = 0;

	if (config_bool(c, "shadow", NULL, "enabled"))
		candidates = config_names(c, "candidate", names, CONF_MAX_CANDIDATES);
	subjects[0] = (struct subject){.config = c, .must_reach = must_reach};
	jobs[count++] = (struct preflight_job){"primary", look_at_primary, &subjects[0]};
	for (size_t i = 0; i < candidates; i++) {
		snprintf(where[i], sizeof where[i], "candidate %s", names[i]);
		subjects[count] = (struct subject){.config = c, .candidate = names[i]};
		jobs[count] = (struct preflight_job){where[i], look_at_candidate, &subjects[count]};
		count++;
	}
	if (candidates > 0 && *config_text(c, "control", NULL, "conninfo"))
		jobs[count++] = (struct preflight_job){"control", look_at_control, &subjects[0]};
	preflight_gather(jobs, count, limit_ms, f);
	look_at_configuration(c, f);
	if (must_reach)
		look_at_listen(c, f);
}

/* Logged discrepancies run again on both sides; what is mended is closed in the log. */
#include "proxy/cli.h"

#include "proxy/cli_lines.h"
#include "proxy/log.h"
#include "proxy/shadow/journal.h"
#include "proxy/shadow/recheck.h"
#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

struct selection {
	const char *path;
	char **ids; /* borrowed; none: every open mismatch */
	int nids;
	bool *found;
	json_t *records;  /* by id */
	json_t *resolved; /* id -> when */
	json_t *repeated; /* id -> when its read differed last */
};

static const char *text_of(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? text : "";
}

/* --- choosing --- */

/* Whole, or its first or last characters. */
static bool id_fits(const char *id, const char *wanted)
{
	size_t n = strlen(id), m = strlen(wanted);

	return m > 0 && m <= n && (strncmp(id, wanted, m) == 0 || strcmp(id + n - m, wanted) == 0);
}

static bool is_wanted(struct selection *s, const json_t *record, const char *id)
{
	bool wanted = false;

	if (s->nids == 0 || strcmp(s->ids[0], "all") == 0)
		return strcmp(text_of(record, "outcome"), "mismatch") == 0;
	for (int i = 0; i < s->nids; i++) {
		if (!id_fits(id, s->ids[i]))
			continue;
		s->found[i] = wanted = true;
	}

	return wanted;
}

/* The latest; times of the log are texts of one length, in UTC. */
static void note_time(json_t *times, const char *id, const char *when)
{
	if (strcmp(text_of(times, id), when) <= 0)
		json_object_set_new(times, id, json_string(when));
}

static void take_books(struct selection *s, const json_t *record)
{
	json_t *candidate, *value;
	const char *name, *id;

	json_object_foreach (json_object_get(record, "candidates"), name, candidate)
		json_object_foreach (json_object_get(candidate, "mismatch_repeated"), id, value)
			note_time(s->repeated, id, text_of(value, "last"));
}

/* Closed, and not seen to differ since then. */
static bool is_closed(const struct selection *s, const char *id)
{
	return json_object_get(s->resolved, id) &&
	       strcmp(text_of(s->repeated, id), text_of(s->resolved, id)) <= 0;
}

static void take(struct selection *s, json_t *record)
{
	const char *kind = text_of(record, "kind"), *id = text_of(record, "id");

	if (*id && strcmp(kind, "resolved") == 0)
		note_time(s->resolved, id, text_of(record, "ts"));
	else if (strcmp(kind, "books") == 0)
		take_books(s, record);
	else if (*id && strcmp(kind, "discrepancy") == 0 && is_wanted(s, record, id))
		json_object_set(s->records, id, record);
}

/* 0: go on; otherwise the exit code. Lines that are no records are passed over. */
static int read_log(struct selection *s)
{
	enum lines_result result;
	struct error error;
	struct lines lines;
	struct span line;

	if (!lines_open(&lines, s->path, &error)) {
		fprintf(stderr, "pgumbra recheck: %s\n", error.text);
		return EXIT_USAGE;
	}
	do {
		json_t *record = NULL;

		result = lines_next(&lines, &line, &error);
		if (result == LINES_ONE)
			record =
				json_loadb((const char *)line.data, line.len, JSON_ALLOW_NUL, NULL);
		if (record)
			take(s, record);
		json_decref(record);
	} while (result == LINES_ONE || result == LINES_TOO_LONG);
	lines_close(&lines);
	if (result == LINES_FAILED)
		fprintf(stderr, "pgumbra recheck: %s: %s\n", s->path, error.text);

	return result == LINES_FAILED ? EXIT_RUNTIME : 0;
}

static bool all_found(const struct selection *s)
{
	bool all = true;

	for (int i = 0; i < s->nids && strcmp(s->ids[0], "all") != 0; i++) {
		if (!s->found[i])
			fprintf(stderr, "pgumbra recheck: no discrepancy has the id %s\n",
				s->ids[i]);
		all &= s->found[i];
	}

	return all;
}

/* --- running --- */

/* What an earlier re-check closed is left alone. False: out of memory. */
static bool make_items(const struct selection *s, struct recheck *items, size_t *count)
{
	const char *id;
	json_t *record;

	*count = 0;
	json_object_foreach (s->records, id, record) {
		if (is_closed(s, id))
			continue;
		if (!recheck_from_record(&items[*count], record))
			return false;
		++*count;
	}

	return true;
}

static bool close_mended(
	const struct selection *s, const struct recheck *items, size_t count, struct error *error)
{
	char run[37];

	uuid_v7(run);
	for (size_t i = 0; i < count; i++)
		if (items[i].end == RECHECK_CLOSED &&
			!journal_append_resolved(s->path, run, items[i].id, items[i].candidate,
				items[i].outcome, error))
			return false;

	return true;
}

static void print_item(const struct recheck *item)
{
	static const char *const words[] = {[RECHECK_OPEN] = "not run",
		[RECHECK_CLOSED] = "closed",
		[RECHECK_DIFFERS] = "differs",
		[RECHECK_WAIVED] = "differs",
		[RECHECK_UNDECIDED] = "undecided",
		[RECHECK_IMPOSSIBLE] = "cannot be run"};
	bool judged = item->end != RECHECK_IMPOSSIBLE && item->end != RECHECK_OPEN;
	bool reason = judged && item->reason != REASON_NONE;

	printf("%s  %-13s", item->id, words[item->end]);
	if (judged)
		printf("  %s%s%s%s", outcome_name(item->outcome), reason ? "(" : "",
			reason ? reason_name(item->reason) : "", reason ? ")" : "");
	printf("%s%s\n", *item->why ? "  " : "", item->why);
}

static size_t ended(const struct recheck *items, size_t count, enum recheck_end end)
{
	size_t n = 0;

	for (size_t i = 0; i < count; i++)
		n += items[i].end == end;

	return n;
}

static int print_items(const struct recheck *items, size_t count)
{
	size_t closed = ended(items, count, RECHECK_CLOSED),
	       waived = ended(items, count, RECHECK_WAIVED);

	for (size_t i = 0; i < count; i++)
		print_item(&items[i]);
	printf("%zu closed, %zu differ, %zu undecided, %zu cannot be run again\n", closed,
		ended(items, count, RECHECK_DIFFERS) + waived,
		ended(items, count, RECHECK_UNDECIDED) + ended(items, count, RECHECK_OPEN),
		ended(items, count, RECHECK_IMPOSSIBLE));
	if (waived > 0)
		printf("%zu of those that differ %s accepted by a waiver: not closed, for waivers "
		       "end\n",
			waived, waived == 1 ? "is" : "are");
	if (fflush(stdout) != 0)
		return EXIT_RUNTIME;

	return closed == count ? EXIT_GOOD : EXIT_FINDING;
}

static int run(const struct selection *s, const struct config *config)
{
	size_t count = 0;
	struct recheck *items = calloc(json_object_size(s->records) + 1, sizeof *items);
	struct error error = {"out of memory"};
	int code = EXIT_RUNTIME;

	if (!items || !make_items(s, items, &count))
		goto done;
	if (ended(items, count, RECHECK_OPEN) > 0 &&
		(!recheck_run(config, items, count, &error) ||
			!close_mended(s, items, count, &error)))
		goto done;
	code = print_items(items, count);
done:
	if (code == EXIT_RUNTIME)
		fprintf(stderr, "pgumbra recheck: %s\n", error.text);
	for (size_t i = 0; i < count; i++)
		recheck_release(&items[i]);
	free(items);

	return code;
}

static int recheck(struct cli_settings *settings)
{
	struct selection s = {.path = settings->words[0],
		.ids = settings->words + 1,
		.nids = settings->nwords - 1,
		.records = json_object(),
		.resolved = json_object(),
		.repeated = json_object()};
	struct conf_messages messages = {0};
	int code = EXIT_RUNTIME;

	s.found = calloc((size_t)s.nids + 1, sizeof *s.found);
	/* The run that the records are of may be writing them still: this one writes none. */
	if (s.found && s.records && s.resolved && s.repeated &&
		config_set(settings->config, "discrepancies.path=", &messages))
		code = read_log(&s);
	if (code == 0)
		code = all_found(&s) ? run(&s, settings->config) : EXIT_USAGE;
	conf_messages_release(&messages);
	json_decref(s.records);
	json_decref(s.resolved);
	json_decref(s.repeated);
	free(s.found);

	return code;
}

int cli_recheck(int argc, char **argv)
{
	struct cli_settings settings;
	int code;

	if (!cli_settings_read(argc, argv, true, &settings, &code))
		goto done;
	if (settings.nwords == 0 || strcmp(settings.words[0], "-") == 0) {
		code = cli_usage("recheck", "which discrepancy log? (a file: it is written to)");
	} else if (!*config_text(settings.config, "control", NULL, "conninfo")) {
		code = cli_usage("recheck", "both sides are asked again: --control is needed");
	} else {
		signal(SIGPIPE, SIG_IGN);
		log_init("recheck", LOG_LEVEL_WARNING);
		code = recheck(&settings);
	}
done:
	cli_settings_release(&settings);

	return code;
}

/* One record of the discrepancy log, side by side. What stands in it came from databases and
 * clients: control characters are never passed on to the terminal. */
#define _GNU_SOURCE 1
#include "proxy/cli.h"

#include "compare/type_form.h"
#include "proxy/cli_lines.h"
#include <getopt.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMN_WIDTH = 46 };

/* --- finding the record --- */

struct search {
	const char *wanted;
	json_t *found; /* owned; the first one that matches, or the exact one */
	bool exact;
	unsigned matches;
	char resolved[40]; /* when a re-check closed it last; "": never */
	char differed[40]; /* when its read differed last, by the books that came after it */
};

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

/* Whole, or its first or last characters. */
static bool id_matches(const char *id, const char *wanted)
{
	size_t n = strlen(id), m = strlen(wanted);

	return m > 0 && m <= n && (strncmp(id, wanted, m) == 0 || strcmp(id + n - m, wanted) == 0);
}

static void take_discrepancy(struct search *s, json_t *record, const char *id)
{
	bool exact = strcmp(id, s->wanted) == 0;

	if (s->exact || !id_matches(id, s->wanted))
		return;
	s->matches = exact ? 1 : s->matches + 1;
	s->exact = exact;
	if (s->matches > 1)
		return;
	json_decref(s->found);
	s->found = json_incref(record);
	*s->resolved = *s->differed = '\0';
}

/* Times of the log are texts of one length, in UTC. */
static void note_time(char latest[40], const char *when)
{
	if (strcmp(latest, when) < 0)
		snprintf(latest, 40, "%s", when);
}

static void take_books(struct search *s, const json_t *record)
{
	json_t *candidates = json_object_get(record, "candidates"), *candidate;
	const char *name;

	json_object_foreach (candidates, name, candidate) {
		const json_t *repeated = json_object_get(candidate, "mismatch_repeated");

		note_time(s->differed,
			text_of(json_object_get(repeated, text_of(s->found, "id")), "last"));
	}
}

static void take_record(struct search *s, json_t *record)
{
	const char *kind = text_of(record, "kind"), *id = text_of(record, "id");

	if (strcmp(kind, "discrepancy") == 0)
		take_discrepancy(s, record, id);
	else if (s->found && strcmp(kind, "books") == 0)
		take_books(s, record);
	else if (s->found && strcmp(kind, "resolved") == 0 &&
		 strcmp(id, text_of(s->found, "id")) == 0)
		note_time(s->resolved, *text_of(record, "ts") ? text_of(record, "ts") : "-");
}

/* 0: go on; otherwise the exit code. Lines that are no records are passed over. */
static int search_log(struct search *s, const char *path)
{
	enum lines_result result;
	struct error error;
	struct lines lines;
	struct span line;

	if (!lines_open(&lines, path, &error)) {
		fprintf(stderr, "pgumbra show: %s\n", error.text);
		return EXIT_USAGE;
	}
	do {
		json_t *record = NULL;

		result = lines_next(&lines, &line, &error);
		if (result == LINES_ONE)
			record = json_loadb((const char *)line.data, line.len, 0, NULL);
		if (record)
			take_record(s, record);
		json_decref(record);
	} while (result == LINES_ONE || result == LINES_TOO_LONG);
	lines_close(&lines);
	if (result == LINES_FAILED)
		fprintf(stderr, "pgumbra show: %s: %s\n", path, error.text);

	return result == LINES_FAILED ? EXIT_RUNTIME : 0;
}

/* --- values as text --- */

/* Owned; control characters as \n, \t, \x1b, cut at limit bytes (at a character). */
static char *printable(const char *text, size_t limit)
{
	char *out = NULL;
	size_t size, used = 0;
	FILE *stream = open_memstream(&out, &size);

	if (!stream)
		return NULL;
	for (; *text; text++) {
		unsigned char byte = (unsigned char)*text;

		if (used++ >= limit && (byte & 0xc0) != 0x80) {
			fputs("...", stream);
			break;
		}
		if (byte == '\n')
			fputs("\\n", stream);
		else if (byte == '\t')
			fputs("\\t", stream);
		else if (byte < 0x20 || byte == 0x7f)
			fprintf(stream, "\\x%02x", byte);
		else if (byte == 0xc2 && (unsigned char)text[1] >= 0x80 &&
			 (unsigned char)text[1] < 0xa0) /* C1 controls */
			fprintf(stream, "\\x%02x", (unsigned char)*++text);
		else
			fputc(byte, stream);
	}
	if (fclose(stream) != 0) {
		free(out);
		return NULL;
	}

	return out;
}

/* A value of the log: NULL, a string in quotes, a hash, bytes. Owned. */
static char *value_text(const json_t *value)
{
	const char *hex = json_string_value(json_object_get(value, "hex"));
	const char *hmac = json_string_value(json_object_get(value, "hmac"));
	char *text, *quoted = NULL;

	if (!value)
		return strdup("");
	if (json_is_null(value))
		return strdup("NULL");
	if (json_is_real(value))
		return asprintf(&quoted, "%.3f", json_real_value(value)) < 0 ? NULL : quoted;
	if (json_is_string(value)) {
		text = printable(json_string_value(value), 4000);
		if (!text || asprintf(&quoted, "'%s'", text) < 0)
			quoted = NULL;
		free(text);
		return quoted;
	}
	if (hmac)
		return asprintf(&quoted, "hash %.12s", hmac) < 0 ? NULL : quoted;
	if (hex)
		return asprintf(&quoted, "\\x%s (%s)", hex, text_of(value, "type")) < 0 ? NULL
											: quoted;
	text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
	quoted = text ? printable(text, 4000) : NULL;
	free(text);

	return quoted;
}

/* --- printing --- */

static void print_text(const char *label, const char *text)
{
	char *safe = printable(text, 100000);

	if (safe && *safe)
		printf("%-13s %s\n", label, safe);
	free(safe);
}

static void print_value(const char *label, const json_t *value)
{
	char *text = value_text(value);

	if (text && *text)
		printf("%-13s %s\n", label, text);
	free(text);
}

/* Width in characters, not bytes: UTF-8 continuation bytes take no room. */
static int width_of(const char *text)
{
	int width = 0;

	for (; *text; text++)
		width += ((unsigned char)*text & 0xc0) != 0x80;

	return width;
}

/* Two columns; a left side that is too long pushes the right one to a line of its own. */
static void print_sides(const char *label, const char *left, const char *right)
{
	int gap = COLUMN_WIDTH - width_of(left);

	printf("%-13s %s", label, left);
	if (gap < 1) {
		printf("\n%-13s ", "");
		gap = COLUMN_WIDTH;
	}
	printf("%*s %s\n", gap, "", right);
}

static void print_members(const char *label, const json_t *left, const json_t *right)
{
	char *a = value_text(left), *b = value_text(right);

	if (a && b && (*a || *b))
		print_sides(label, a, b);
	free(a);
	free(b);
}

static void print_head(const json_t *record, const char *since)
{
	char outcome[200];

	snprintf(outcome, sizeof outcome, "%.60s%s%.60s%s", text_of(record, "outcome"),
		*text_of(record, "reason") ? " " : "", text_of(record, "reason"), since);
	print_text("id", text_of(record, "id"));
	print_text("outcome", outcome);
	print_text("class", text_of(record, "class"));
	print_text("hint", text_of(record, "hint"));
	print_text("candidate", text_of(record, "candidate"));
	print_text("logged", text_of(record, "ts"));
	print_text("executed", text_of(record, "executed"));
	print_text("session", text_of(record, "session"));
	print_text("database", text_of(record, "database"));
	print_text("user", text_of(record, "user"));
	if (strcmp(text_of(record, "role"), text_of(record, "user")) != 0)
		print_text("role", text_of(record, "role"));
	print_text("application", text_of(record, "application_name"));
	print_text("shape", text_of(record, "shape"));
}

static void print_statement(const json_t *record)
{
	const json_t *params = json_object_get(record, "params"), *value;
	json_t *settings = json_object_get(record, "settings");
	const char *name;
	size_t i;

	printf("\n");
	print_text("normalized", text_of(record, "normalized"));
	print_text("query", text_of(record, "query"));
	if (!*text_of(record, "query"))
		printf("%-13s not logged; discrepancies.values=full logs it, with all values\n",
			"query");
	for (i = 0; i < json_array_size(params); i++) {
		char label[32];

		snprintf(label, sizeof label, "$%zu", i + 1);
		print_value(label, json_array_get(params, i));
	}
	json_object_foreach (settings, name, value) {
		char *text = value_text(value), *key = printable(name, 200);

		if (text && key)
			printf("%-13s %s = %s\n", "setting", key, text);
		free(text);
		free(key);
	}
}

static void print_digests(const json_t *left, const json_t *right)
{
	char *a = printable(text_of(left, "digest"), 64);
	char *b = printable(text_of(right, "digest"), 64);

	if (a && b && (*a || *b))
		print_sides("digest", a, b);
	free(a);
	free(b);
}

static void print_results(const json_t *record)
{
	static const char *const members[] = {"rows", "ms", "sqlstate", "message"};
	const json_t *a = json_object_get(record, "primary_result");
	const json_t *b = json_object_get(record, "candidate_result");

	printf("\n");
	print_sides("", "primary", "candidate");
	print_sides("", "-------", "---------");
	for (size_t i = 0; i < sizeof members / sizeof *members; i++)
		print_members(
			members[i], json_object_get(a, members[i]), json_object_get(b, members[i]));
	print_digests(a, b);
}

static void column_text(const json_t *column, char *out, size_t size)
{
	char type[60];

	type_form(text_of(column, "type"),
		(int32_t)json_integer_value(json_object_get(column, "typmod")), type, sizeof type);
	snprintf(out, size, "%.80s %s%s", text_of(column, "name"), type,
		json_integer_value(json_object_get(column, "format")) == 1 ? ", binary" : "");
}

/* Columns of which name, type, typmod or format differ have a star. */
static void print_columns(const json_t *diff)
{
	const json_t *a = json_object_get(diff, "primary_columns");
	const json_t *b = json_object_get(diff, "candidate_columns");
	size_t na = json_array_size(a), nb = json_array_size(b);

	for (size_t i = 0; i < na || i < nb; i++) {
		const json_t *left = json_array_get(a, i), *right = json_array_get(b, i);
		char x[200] = "", y[200] = "", label[32];

		if (left)
			column_text(left, x, sizeof x);
		if (right)
			column_text(right, y, sizeof y);
		snprintf(label, sizeof label, "column %zu%s", i + 1,
			left && right && json_equal(left, right) ? "" : " *");
		print_sides(label, x, y);
	}
}

static bool has_index(const json_t *list, size_t index)
{
	for (size_t i = 0; i < json_array_size(list); i++)
		if (json_integer_value(json_array_get(list, i)) == (json_int_t)index)
			return true;

	return false;
}

static void print_cells(const json_t *row, const json_t *names)
{
	const json_t *a = json_object_get(row, "primary"), *b = json_object_get(row, "candidate");
	const json_t *changed = json_object_get(row, "columns");
	size_t na = json_array_size(a), nb = json_array_size(b);

	printf("%s\n", text_of(row, "kind"));
	for (size_t i = 0; i < na || i < nb; i++) {
		const char *name = json_string_value(json_array_get(names, i));
		char label[100], *safe = printable(name ? name : "?", 60);

		snprintf(label, sizeof label, "%s%s%s", safe ? safe : "?",
			has_index(changed, i) ? " *" : "",
			has_index(json_object_get(row, "cut"), i) ? " (part)" : "");
		print_members(label, json_array_get(a, i), json_array_get(b, i));
		free(safe);
	}
}

static void print_row(const json_t *row, const json_t *names, size_t number)
{
	printf("\nrow %zu: ", number);
	print_cells(row, names);
}

/* The same rows in another order: which rows stand at the first places that differ. */
static void print_moved(const json_t *diff)
{
	const json_t *moved = json_object_get(diff, "moved"), *row;
	size_t i;

	if (!json_object_get(diff, "moved_places"))
		return;
	printf("%-13s differs at %" JSON_INTEGER_FORMAT " places\n", "order",
		json_integer_value(json_object_get(diff, "moved_places")));
	json_array_foreach (moved, i, row) {
		printf("\nplace %" JSON_INTEGER_FORMAT ": ",
			json_integer_value(json_object_get(row, "position")));
		print_cells(row, json_object_get(diff, "columns"));
	}
}

static void print_diff(const json_t *record)
{
	const json_t *diff = json_object_get(record, "diff");
	const json_t *rows = json_object_get(diff, "rows");

	if (!diff)
		return;
	printf("\n%-13s %" JSON_INTEGER_FORMAT " missing, %" JSON_INTEGER_FORMAT
	       " extra, %" JSON_INTEGER_FORMAT " changed rows%s\n",
		"difference", json_integer_value(json_object_get(diff, "missing")),
		json_integer_value(json_object_get(diff, "extra")),
		json_integer_value(json_object_get(diff, "changed")),
		json_is_true(json_object_get(diff, "truncated")) ? "; not all are listed" : "");
	print_columns(diff);
	for (size_t i = 0; i < json_array_size(rows); i++)
		print_row(json_array_get(rows, i), json_object_get(diff, "columns"), i + 1);
	print_moved(diff);
}

/* Why a difference was believed, or was not. */
static void print_verify(const json_t *record)
{
	const json_t *verify = json_object_get(record, "verify");
	json_int_t attempts = json_integer_value(json_object_get(verify, "attempts"));
	bool stable = json_is_true(json_object_get(verify, "stable"));
	const char *fence = *text_of(verify, "fence") ? text_of(verify, "fence") : "none";

	if (!verify)
		return;
	printf("\n%-13s ", "verified");
	if (attempts == 0)
		printf("not asked again: this was the first look");
	else if (!json_is_true(json_object_get(verify, "verified")))
		printf("no: without a control the candidate alone was asked again");
	else if (stable)
		printf("yes: the control, asked before and after the candidate, gave one answer, "
		       "and the candidate the other");
	else
		printf("no: the answers did not stay the same");
	printf("\n%-13s %" JSON_INTEGER_FORMAT " round%s\n", "rounds", attempts,
		attempts == 1 ? "" : "s");
	print_text("fence", strcmp(fence, "none") == 0
				    ? "none: nothing but time says that the candidate had caught up"
				    : fence);
	if (json_is_true(json_object_get(verify, "inner_rows")))
		print_text("answers",
			"of the statement in a form that no free order can change, so that "
			"only other rows or values make a difference");
}

static int print_found(const struct search *s)
{
	if (s->matches == 0) {
		fprintf(stderr, "pgumbra show: no discrepancy has the id %s\n", s->wanted);
		return EXIT_USAGE;
	}
	if (s->matches > 1) {
		fprintf(stderr,
			"pgumbra show: %u discrepancies have an id like %s, give more of it\n",
			s->matches, s->wanted);
		return EXIT_USAGE;
	}
	print_head(s->found, !*s->resolved ? ""
			     : strcmp(s->differed, s->resolved) > 0
				     ? ", resolved since, and differed again"
				     : ", resolved since");
	print_statement(s->found);
	print_results(s->found);
	print_diff(s->found);
	print_verify(s->found);

	return fflush(stdout) == 0 ? EXIT_GOOD : EXIT_RUNTIME;
}

int cli_show(int argc, char **argv)
{
	static const struct option none[] = {{NULL, 0, NULL, 0}};
	struct search search = {0};
	int code, option;

	opterr = 0;
	option = getopt_long(argc, argv, ":", none, NULL);
	if (option != -1)
		return cli_bad_option("show", option, argv);
	if (argc - optind != 2)
		return cli_usage("show", "a log and an id are needed");
	search.wanted = argv[optind + 1];
	code = search_log(&search, argv[optind]);
	if (code == 0)
		code = print_found(&search);
	json_decref(search.found);

	return code;
}

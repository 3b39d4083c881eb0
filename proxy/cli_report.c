#include "proxy/cli.h"

#include "compare/report.h"
#include "proxy/cli_lines.h"
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

enum { OPTION_GATE = 1000, BROKEN_SHOWN = 10 };

static const size_t output_limit = (size_t)1 << 30;

struct report_options {
	bool (*form)(struct report *r, struct buffer *out);
	const char *output; /* NULL: standard output */
	const char *gate;   /* NULL: none */
};

static const struct {
	const char *name;
	bool (*form)(struct report *r, struct buffer *out);
} forms[] = {{"text", report_text}, {"json", report_json}, {"html", report_html}};

static bool find_form(const char *name, struct report_options *out)
{
	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
		if (strcmp(forms[i].name, name) == 0) {
			out->form = forms[i].form;
			return true;
		}
	}

	return false;
}

/* 0: go on; otherwise the exit code. */
static int parse_options(int argc, char **argv, struct report_options *out)
{
	static const struct option options[] = {{"format", required_argument, NULL, 'f'},
		{"output", required_argument, NULL, 'o'},
		{"gate", required_argument, NULL, OPTION_GATE}, {NULL, 0, NULL, 0}};
	int option;

	*out = (struct report_options){.form = report_text};
	opterr = 0;
	while ((option = getopt_long(argc, argv, ":f:o:", options, NULL)) != -1) {
		switch (option) {
		case 'f':
			if (!find_form(optarg, out))
				return cli_usage(
					"report", "--format %s: allowed: text, json, html", optarg);
			break;
		case 'o': out->output = optarg; break;
		case OPTION_GATE: out->gate = optarg; break;
		default: return cli_bad_option("report", option, argv);
		}
	}
	if (optind == argc)
		return cli_usage("report", "which discrepancy log? (- is standard input)");

	return 0;
}

static void say_broken(const char *path, const struct lines *l, unsigned *broken, const char *why)
{
	if (++*broken <= BROKEN_SHOWN)
		fprintf(stderr, "pgumbra report: %s:%lu: %s\n", path, l->number, why);
}

/* The fold names input and line itself, counted without empty lines: here the file's own count is
 * said. */
static const char *without_place(const char *text)
{
	const char *colon = strstr(text, ": ");

	return colon ? colon + 2 : text;
}

/* Broken lines are named and passed over: the last one of a log whose writer was killed is. */
static bool fold_lines(struct report *r, const char *path, struct lines *l)
{
	struct error error;
	struct span line;
	unsigned broken = 0;

	for (;;) {
		enum lines_result result = lines_next(l, &line, &error);

		if (result == LINES_END)
			break;
		if (result == LINES_FAILED) {
			fprintf(stderr, "pgumbra report: %s: %s\n", path, error.text);
			return false;
		}
		if (result == LINES_TOO_LONG)
			say_broken(path, l, &broken, "longer than 64MB");
		else if (line.len > 0 && !report_add_line(r, line, &error))
			say_broken(path, l, &broken, without_place(error.text));
	}
	if (broken > BROKEN_SHOWN)
		fprintf(stderr, "pgumbra report: %s: %u more broken lines\n", path,
			broken - BROKEN_SHOWN);

	return true;
}

/* 0: go on; otherwise the exit code. */
static int fold(struct report *r, const char *path)
{
	struct error error;
	struct lines lines;
	bool good;

	if (!lines_open(&lines, path, &error)) {
		fprintf(stderr, "pgumbra report: %s\n", error.text);
		return EXIT_USAGE;
	}
	report_begin_input(r, path);
	good = fold_lines(r, path, &lines);
	lines_close(&lines);

	return good ? 0 : EXIT_RUNTIME;
}

static int write_out(const struct buffer *text, const char *path)
{
	/* It may hold values: for its owner alone, as the log is. */
	int fd = path ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;
	FILE *file = !path ? stdout : fd >= 0 ? fdopen(fd, "w") : NULL;
	bool good;

	if (!file) {
		fprintf(stderr, "pgumbra report: %s: cannot be written: %s\n", path,
			strerror(errno));
		return EXIT_USAGE;
	}
	good = fwrite(text->data, 1, text->len, file) == text->len;
	good &= (path ? fclose(file) : fflush(file)) == 0;
	if (!good)
		fprintf(stderr, "pgumbra report: cannot be written: %s\n", strerror(errno));

	return good ? EXIT_GOOD : EXIT_RUNTIME;
}

static int print_report(struct report *r, const struct report_options *options)
{
	struct error error;
	struct buffer text;
	bool passed = true;
	int code;

	if (options->gate && !report_gate(r, options->gate, &passed, &error))
		return cli_usage("report", "--gate: %s", error.text);
	buffer_init(&text, output_limit);
	if (options->form(r, &text) && !text.failed) {
		code = write_out(&text, options->output);
	} else {
		fprintf(stderr, "pgumbra report: out of memory, or a report over 1GB\n");
		code = EXIT_RUNTIME;
	}
	buffer_release(&text);
	if (code == EXIT_GOOD && !passed) {
		fprintf(stderr, "pgumbra report: the gate does not hold: %s\n", options->gate);
		code = EXIT_FINDING;
	}

	return code;
}

int cli_report(int argc, char **argv)
{
	struct report_options options;
	struct report *r;
	int code = parse_options(argc, argv, &options);

	if (code != 0)
		return code;
	r = report_new();
	if (!r)
		return EXIT_RUNTIME;
	for (int i = optind; i < argc && code == 0; i++)
		code = fold(r, argv[i]);
	if (code == 0)
		code = print_report(r, &options);
	report_free(r);

	return code;
}

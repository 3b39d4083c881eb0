#define _GNU_SOURCE 1 /* asprintf */
#include "proxy/cli.h"

#include "proxy/waivers.h"
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	OPTION_SET = 1000,
	OPTION_LISTEN,
	OPTION_UNSAFE,
	OPTION_INI,
	OPTION_FORMAT,
	OPTION_TAKE_OVER,
	OPTION_FIRST_KEY
};

/* Flags that are other names of settings: option OPTION_FIRST_KEY + index. */
static const char *const flag_targets[] = {"primary.conninfo", "candidate.candidate.conninfo",
	"control.conninfo", "discrepancies.path"};

static const struct option options[] = {{"config", required_argument, NULL, 'c'},
	{"set", required_argument, NULL, OPTION_SET},
	{"listen", required_argument, NULL, OPTION_LISTEN},
	{"allow-unsafe-role", no_argument, NULL, OPTION_UNSAFE},
	{"ini", no_argument, NULL, OPTION_INI}, {"format", required_argument, NULL, OPTION_FORMAT},
	{"take-over", no_argument, NULL, OPTION_TAKE_OVER},
	{"primary", required_argument, NULL, OPTION_FIRST_KEY},
	{"candidate", required_argument, NULL, OPTION_FIRST_KEY + 1},
	{"control", required_argument, NULL, OPTION_FIRST_KEY + 2},
	{"log", required_argument, NULL, OPTION_FIRST_KEY + 3}, {NULL, 0, NULL, 0}};

/* What was on the command line, before the file is read. */
struct flags {
	struct cli_settings *settings;
	char **assignments; /* owned; "section.key=value", room for argc of them */
	size_t count;
	char *listen; /* owned; the list so far */
	bool allow_unsafe_role;
};

static void flags_release(struct flags *flags)
{
	for (size_t i = 0; i < flags->count; i++)
		free(flags->assignments[i]);
	free(flags->assignments);
	free(flags->listen);
}

static bool add_assignment(struct flags *flags, const char *target, const char *value)
{
	char *text;

	if (asprintf(&text, "%s%s%s", target, *target ? "=" : "", value) < 0)
		return false;
	flags->assignments[flags->count++] = text;

	return true;
}

static bool add_listen(struct flags *flags, const char *address)
{
	char *longer;

	if (asprintf(&longer, "%s%s%s", flags->listen ? flags->listen : "",
		    flags->listen ? ", " : "", address) < 0)
		return false;
	free(flags->listen);
	flags->listen = longer;

	return true;
}

static bool take_flag(struct flags *flags, int option)
{
	switch (option) {
	case 'c': flags->settings->config_path = optarg; return true;
	case OPTION_SET: return add_assignment(flags, "", optarg);
	case OPTION_LISTEN: return add_listen(flags, optarg);
	case OPTION_UNSAFE: flags->allow_unsafe_role = true; return true;
	case OPTION_TAKE_OVER: flags->settings->take_over = true; return true;
	case OPTION_INI: flags->settings->ini = true; return true;
	case OPTION_FORMAT: flags->settings->json = strcmp(optarg, "json") == 0; return true;
	default: return add_assignment(flags, flag_targets[option - OPTION_FIRST_KEY], optarg);
	}
}

int cli_bad_option(const char *command, int result, char **argv)
{
	const char *word = argv[optind - 1];

	if (result == ':')
		return cli_usage(command, "%s needs a value", word);
	if (optopt && strncmp(word, "--", 2) != 0)
		return cli_usage(command, "there is no option -%c", optopt);

	return cli_usage(command, "there is no option %s, or it takes no value", word);
}

/* Options of one command only. 0: fine. */
static int misplaced(const char *command, int option)
{
	if (option == OPTION_INI && strcmp(command, "config") != 0)
		return cli_usage(command, "--ini belongs to `pgumbra config`");
	if (option == OPTION_TAKE_OVER && strcmp(command, "run") != 0)
		return cli_usage(command, "--take-over belongs to `pgumbra run`");
	if (option == OPTION_FORMAT && strcmp(command, "check") != 0)
		return cli_usage(
			command, "--format belongs to `pgumbra check` and `pgumbra report`");
	if (option == OPTION_FORMAT && strcmp(optarg, "text") != 0 && strcmp(optarg, "json") != 0)
		return cli_usage(command, "--format %s: allowed are text, json", optarg);

	return 0;
}

/* 0: go on; otherwise the exit code. */
static int parse_flags(int argc, char **argv, struct flags *flags)
{
	int option;

	opterr = 0;
	while ((option = getopt_long(argc, argv, ":c:", options, NULL)) != -1) {
		if (option == '?' || option == ':')
			return cli_bad_option(argv[0], option, argv);
		if (misplaced(argv[0], option) != 0)
			return EXIT_USAGE;
		if (!take_flag(flags, option))
			return EXIT_RUNTIME;
	}
	flags->settings->words = argv + optind;
	flags->settings->nwords = argc - optind;
	if (optind != argc && strcmp(argv[0], "recheck") != 0)
		return cli_usage(argv[0], "%s: options only", argv[optind]);

	return 0;
}

static bool allow_unsafe_roles(struct config *c, struct conf_messages *m)
{
	const char *names[CONF_MAX_CANDIDATES];
	size_t count = config_names(c, "candidate", names, CONF_MAX_CANDIDATES);
	bool good = true;
	char text[200];

	for (size_t i = 0; i < count; i++) {
		snprintf(text, sizeof text, "candidate.%s.allow_unsafe_role=on", names[i]);
		good &= config_set(c, text, m);
	}

	return good;
}

/* File first, then flags in their order: later ones win. */
static bool apply(struct flags *flags, struct conf_messages *m)
{
	struct config *c = flags->settings->config;
	bool good = true;
	char *text;

	if (flags->settings->config_path)
		good = config_read_file(c, flags->settings->config_path, m);
	if (flags->listen) {
		if (asprintf(&text, "pgumbra.listen=%s", flags->listen) < 0)
			return false;
		good &= config_set(c, text, m);
		free(text);
	}
	for (size_t i = 0; i < flags->count; i++)
		good &= config_set(c, flags->assignments[i], m);
	if (flags->allow_unsafe_role)
		good &= allow_unsafe_roles(c, m);

	return good;
}

bool cli_settings_read(int argc, char **argv, bool check, struct cli_settings *out, int *code)
{
	struct flags flags = {.settings = out};
	struct conf_messages messages = {0};
	bool good = false;

	*out = (struct cli_settings){.config = config_new()};
	*code = EXIT_RUNTIME;
	flags.assignments = calloc((size_t)argc + 1, sizeof *flags.assignments);
	if (!out->config || !flags.assignments)
		goto done;
	*code = parse_flags(argc, argv, &flags);
	if (*code != 0)
		goto done;
	good = apply(&flags, &messages);
	if (check) {
		struct waivers waivers;

		good &= config_check(out->config, &messages);
		good &= waivers_read(out->config, &waivers, &messages);
	}
	for (size_t i = 0; i < messages.count; i++)
		fprintf(stderr, "pgumbra: %s\n", messages.text[i]);
	*code = good ? EXIT_GOOD : EXIT_USAGE;
done:
	conf_messages_release(&messages);
	flags_release(&flags);

	return good;
}

void cli_settings_release(struct cli_settings *s)
{
	config_free(s->config);
	s->config = NULL;
}

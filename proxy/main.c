/* pgumbra: finds the command and runs it. */
#include "proxy/cli.h"

#include "proxy/handover.h"
#include "proxy/process.h"
#include "version.h"
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

static const struct command {
	const char *name;
	int (*run)(int argc, char **argv);
} commands[] = {
	{"run", cli_run},
	{"check", cli_check},
	{"report", cli_report},
	{"show", cli_show},
	{"recheck", cli_recheck},
	{"replay", cli_replay},
	{"config", cli_config},
	{"outcomes", cli_outcomes},
	{"shadow", cli_shadow},
};

/* "N" up to a limit; false for anything else. */
static bool parse_count(const char *text, unsigned long limit, unsigned long *out)
{
	char *end;

	*out = strtoul(text, &end, 10);

	return end != text && !*end && text[0] != '-' && *out <= limit;
}

int cli_shadow(int argc, char **argv)
{
	static const struct option options[] = {{"threads", required_argument, NULL, 't'},
		{"epoch", required_argument, NULL, 'e'}, {NULL, 0, NULL, 0}};
	unsigned long threads = 0, epoch = 0;
	int option;

	opterr = 0;
	while ((option = getopt_long(argc, argv, ":", options, NULL)) != -1) {
		if (option == 't' && parse_count(optarg, HANDOVER_MAX_THREADS, &threads))
			continue;
		if (option == 'e' && parse_count(optarg, UINT32_MAX, &epoch))
			continue;
		threads = 0;
		break;
	}
	if (threads == 0 || optind != argc)
		return cli_usage("", "`shadow` is started by `pgumbra run`, not by hand");

	process_inherit_dumps();

	return shadow_main((unsigned)threads, (uint32_t)epoch);
}

/* help [COMMAND] */
static int print_help(const char *command)
{
	if (!cli_help(command, stdout))
		return cli_usage("", "there is no command %s", command);

	return EXIT_GOOD;
}

static bool asks_for_help(int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			return true;

	return false;
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : NULL;

	if (!name) {
		cli_help(NULL, stderr);
		return EXIT_USAGE;
	}
	if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) {
		printf("pgumbra %s\n", PGUMBRA_VERSION);
		return EXIT_GOOD;
	}
	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0)
		return print_help(argc > 2 ? argv[2] : NULL);
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
		if (strcmp(commands[i].name, name) != 0)
			continue;
		if (asks_for_help(argc - 1, argv + 1) && cli_help(name, stdout))
			return EXIT_GOOD;
		return commands[i].run(argc - 1, argv + 1);
	}

	return cli_usage("", "there is no command %s", name);
}

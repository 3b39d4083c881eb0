#include "proxy/cli.h"

#include "compare/outcome.h"

#include <stdio.h>
#include <stdlib.h>

static int print_ini(const struct config *c)
{
	char *text = config_to_ini(c, true, false);
	bool good = text && fputs(text, stdout) >= 0;

	free(text);

	return good ? EXIT_GOOD : EXIT_RUNTIME;
}

int cli_config(int argc, char **argv)
{
	struct cli_settings settings;
	int code;

	if (cli_settings_read(argc, argv, false, &settings, &code)) {
		if (settings.ini)
			code = print_ini(settings.config);
		else
			config_print_manual(stdout);
		if (fflush(stdout) != 0)
			code = EXIT_RUNTIME;
	}
	cli_settings_release(&settings);

	return code;
}

int cli_outcomes(int argc, char **argv)
{
	if (argc > 1)
		return cli_usage(argv[0], "takes no arguments");
	printf("Every execution ends, for each candidate, in one of\n\n");
	for (unsigned o = 0; o < OUTCOME_COUNT; o++) {
		printf("%-22s %s\n", outcome_name((enum outcome)o), outcome_help((enum outcome)o));
		for (unsigned r = REASON_NONE + 1; r < REASON_COUNT; r++)
			if (reason_outcome((enum reason)r) == (enum outcome)o)
				printf("  %-22s %s\n", reason_name((enum reason)r),
					reason_help((enum reason)r));
	}
	printf("\nMessages that the relay forwards without their being observed, by reason:\n\n");
	for (unsigned r = 0; r < UNOBSERVED_COUNT; r++)
		printf("%-22s %s\n", unobserved_name((enum unobserved)r),
			unobserved_help((enum unobserved)r));
	printf("\nWhat happened to sessions while they were observed:\n\n");
	for (unsigned e = 0; e < OBSERVER_EVENT_COUNT; e++)
		printf("%-22s %s\n", observer_event_name((enum observer_event)e),
			observer_event_help((enum observer_event)e));

	return fflush(stdout) == 0 ? EXIT_GOOD : EXIT_RUNTIME;
}

int cli_replay(int argc, char **argv)
{
	(void)argc;

	return cli_usage(argv[0], "this version does not have it yet");
}

#include "proxy/cli.h"

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

int cli_recheck(int argc, char **argv)
{
	(void)argc;

	return cli_usage(argv[0], "this version does not have it yet");
}

int cli_replay(int argc, char **argv)
{
	(void)argc;

	return cli_usage(argv[0], "this version does not have it yet");
}

/* The command line: one function a command, shared options, exit codes.
 *
 * Each command gets its arguments without the program's name (argv[0] is the command) and returns
 * the exit code. Results go to stdout, everything else to stderr.
 */
#ifndef PGUMBRA_PROXY_CLI_H
#define PGUMBRA_PROXY_CLI_H

#include "conf/settings.h"
#include "proxy/preflight.h"

enum exit_code {
	EXIT_GOOD = 0,
	EXIT_FINDING = 1, /* a finding that forbids, or a failed gate */
	EXIT_USAGE = 2,	  /* usage or configuration */
	EXIT_RUNTIME = 3  /* could not be done */
};

int cli_run(int argc, char **argv);
int cli_check(int argc, char **argv);
int cli_report(int argc, char **argv);
int cli_show(int argc, char **argv);
int cli_recheck(int argc, char **argv);
int cli_replay(int argc, char **argv);
int cli_config(int argc, char **argv);
int cli_outcomes(int argc, char **argv);
int cli_shadow(int argc, char **argv); /* not for people: what the relay starts */

/* Prints a command's help, or the general one for NULL. False: there is no such command. */
bool cli_help(const char *command, FILE *out);
/* "pgumbra run: <message>" and where help is to be had. Returns EXIT_USAGE. */
int cli_usage(const char *command, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The option that getopt_long stumbled over (opterr off, optstring beginning with ':'). */
int cli_bad_option(const char *command, int result, char **argv);

/* --- the configuration from file and flags (run, check, config, recheck) --- */

struct cli_settings {
	struct config *config;	 /* owned */
	const char *config_path; /* borrowed from argv; NULL: none */
	bool ini;		 /* --ini, `config` only */
	bool json;		 /* --format json, `check` only */
	char **words;		 /* borrowed from argv: what is no option, `recheck` only */
	int nwords;
	bool take_over; /* --take-over, `run` only */
};

/* Reads file and flags and, when `check`, checks them. True: go on. False: return *code. Release in
 * any case. */
bool cli_settings_read(int argc, char **argv, bool check, struct cli_settings *out, int *code);
void cli_settings_release(struct cli_settings *s);

/* --- what run and check find out by connecting --- */

/* Does the primary let a stranger in without a challenge? Asked by a StartupMessage for each
 * address of primary.conninfo, cut off after the first answer. Adds findings: trust forbids unless
 * primary.allow_trust is on or only this machine can reach the listen addresses. `reached` counts
 * the addresses that answered. */
void cli_check_primary(const struct config *c, struct preflight_findings *f, unsigned *reached);
/* All findings: the primary, each candidate (its role, then what differs from the control), the
 * control, what the configuration leaves out. The servers are looked at side by side; limit_ms ends
 * it. must_reach: a primary that can't be reached forbids. */
void cli_find(const struct config *c, bool must_reach, int limit_ms, struct preflight_findings *f);
/* Can every client reach the listen addresses only from this machine? */
bool cli_listens_locally(const struct config *c);

#endif

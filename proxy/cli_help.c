#include "proxy/cli.h"

#include "version.h"
#include <stdarg.h>
#include <string.h>

static const char settings_options[] =
	"  -c, --config FILE          read this configuration (INI; `pgumbra config --ini`)\n"
	"      --listen ADDRESS       pgumbra.listen: host:port, [v6]:port, /dir:port; repeatable\n"
	"      --primary CONNINFO     primary.conninfo: where clients' sessions go\n"
	"      --candidate CONNINFO   makes [candidate candidate] with this conninfo\n"
	"      --control CONNINFO     control.conninfo: the primary again, read-only role\n"
	"      --log FILE             discrepancies.path: the discrepancy log\n"
	"      --set SECTION.KEY=VALUE\n"
	"                             any setting; candidate.NAME.KEY=VALUE; repeatable\n"
	"      --allow-unsafe-role    go on with a candidate role that could write,\n"
	"                             or a candidate that is the primary itself\n"
	"\n"
	"Flags win over the file. Keep passwords out of flags: a passfile or a service file\n"
	"works (~/.pgpass, PGPASSFILE, PGSERVICEFILE).\n";

/* command "" is the general help; with_settings adds the options above. */
static const struct help {
	const char *command;
	bool with_settings;
	const char *text, *examples;
} helps[] = {
	{"", false,
		"pgumbra " PGUMBRA_VERSION " - a dark-read shadowing proxy for PostgreSQL\n"
		"\n"
		"Clients connect to pgumbra instead of to their database. It relays every session "
		"to\n"
		"the primary, runs the reads again on candidates, compares the answers and logs "
		"what\n"
		"stays different.\n"
		"\n"
		"usage: pgumbra COMMAND [OPTIONS]\n"
		"\n"
		"  run       relay and shadow, in the foreground\n"
		"  check     validate the configuration, connect, print findings\n"
		"  report    fold discrepancy logs into one report, test a gate\n"
		"  show      print one discrepancy side by side\n"
		"  recheck   run logged discrepancies again, close what is mended\n"
		"  replay    run recorded reads again (not in this version)\n"
		"  config    print every setting\n"
		"  outcomes  print every outcome and reason of the report\n"
		"  help      print the help of a command; so does COMMAND --help\n"
		"\n"
		"  --version, --help\n"
		"\n"
		"exit codes: 0 good, 1 a finding or a failed gate, 2 usage or configuration,\n"
		"3 runtime failure\n",
		"  pgumbra run --primary host=db1 --candidate 'host=db2 user=shadow' \\\n"
		"      --control 'host=db1 user=shadow' --log discrepancies.jsonl\n"
		"  psql -h 127.0.0.1 -p 6432 shop\n"
		"  pgumbra report discrepancies.jsonl\n"},
	{"run", true,
		"usage: pgumbra run [OPTIONS]\n"
		"\n"
		"Relays and shadows in the foreground until SIGTERM (drains) or SIGINT (stops "
		"now).\n"
		"SIGHUP reopens the discrepancy log and reads the configuration again.\n"
		"Works without a file: --primary and --candidate are enough.\n"
		"\n"
		"Before it starts it asks the primary whether it lets strangers in without a "
		"challenge\n"
		"(then it refuses, see primary.allow_trust) and each candidate whether the role "
		"there\n"
		"can write (then it refuses, see --allow-unsafe-role). What `pgumbra check` finds "
		"stands in\n"
		"the discrepancy log's start record. A server that can't be reached is a warning "
		"only and\n"
		"delays the start by less than 5 s.\n"
		"\n"
		"      --take-over            get the listening sockets from the pgumbra that runs "
		"with "
		"the\n"
		"                             same pgumbra.runtime_dir, which then serves its "
		"sessions "
		"to\n"
		"                             their end; when none runs, start as always\n",
		"  pgumbra run -c pgumbra.conf\n"
		"  pgumbra run --primary host=db1 --candidate 'host=db2 user=shadow' \\\n"
		"      --control 'host=db1 user=shadow' --log discrepancies.jsonl\n"
		"  pgumbra run --primary host=/run/postgresql --set shadow.enabled=off\n"},
	{"check", true,
		"usage: pgumbra check [OPTIONS]\n"
		"\n"
		"Validates the configuration, connects to primary, candidates and control, looks "
		"at the\n"
		"candidate roles' rights, compares each candidate with the control (settings, "
		"roles,\n"
		"schema, replication), and prints findings: level, what differs, the likely effect "
		"on\n"
		"results, what mends it. Exit code 1 when a finding forbids running.\n"
		"\n"
		"      --format FORMAT        text (default), json\n",
		"  pgumbra check -c pgumbra.conf\n"
		"  pgumbra check --primary host=db1 --candidate 'host=db2 user=shadow'\n"
		"  pgumbra check --format json -c pgumbra.conf\n"},
	{"report", false,
		"usage: pgumbra report [OPTIONS] LOG...\n"
		"\n"
		"Folds discrepancy logs of one or many runs and proxies into one report. LOG may "
		"be -\n"
		"for standard input.\n"
		"\n"
		"  -f, --format FORMAT        text (default), json, html\n"
		"  -o, --output FILE          write there instead of to standard output\n"
		"      --gate EXPRESSION      exit code 1 when it does not hold\n"
		"\n"
		"EXPRESSION: criteria joined by `and`, each a name, one of = != < <= > >=, a "
		"number:\n"
		"  open_mismatches        mismatches that no recheck has closed, logged or only "
		"counted\n"
		"  min_compared           executions compared, of the candidate with the fewest;\n"
		"                         = means at least\n"
		"  coverage               0 to 1: compared / (reads + unobserved), of the least "
		"covered\n"
		"                         candidate; what was sampled out or dropped counts "
		"against it\n"
		"  days                   time during which runs wrote their books\n"
		"  max_mismatch_rate      95% upper bound of mismatch / compared; = means at most\n"
		"  unverifiable, candidate_failed, waived\n"
		"                         executions with that outcome\n"
		"  shapes_never_compared  shapes that had reads, none of which was compared\n"
		"  regressions            shapes that are significantly slower on the candidate\n"
		"  expired_waivers        waivers whose last day has passed\n"
		"Where nothing was compared, no gate holds. Exit code 0: it holds, 1: it does "
		"not,\n"
		"2: a mistake in it or no such log.\n",
		"  pgumbra report discrepancies.jsonl\n"
		"  pgumbra report --format html --output report.html proxy1.jsonl proxy2.jsonl\n"
		"  pgumbra report --gate 'open_mismatches=0 and min_compared=1000 and "
		"coverage>=0.99' \\\n      discrepancies.jsonl\n"},
	{"show", false,
		"usage: pgumbra show LOG ID\n"
		"\n"
		"Prints one discrepancy: statement, settings, both results, the rows that differ. "
		"ID may\n"
		"be shortened to its last characters as long as one record matches.\n",
		"  pgumbra show discrepancies.jsonl 0198c0de-7a11-7000-8000-5b1dcafe0042\n"},
	{"recheck", true,
		"usage: pgumbra recheck [OPTIONS] LOG [ID...]\n"
		"\n"
		"Runs logged discrepancies again on the control and on their candidate, as `run` "
		"does,\n"
		"and closes in LOG those on which both sides agree now: reports count them as "
		"open no\n"
		"more. Without ID (or with `all`) every open mismatch; IDs may be shortened. Needs "
		"what was\n"
		"logged in full: of a hashed record only a statement without values can be run "
		"again.\n"
		"Exit code 0 when all are closed, 1 when any is not.\n",
		"  pgumbra recheck -c pgumbra.conf discrepancies.jsonl\n"
		"  pgumbra recheck -c pgumbra.conf discrepancies.jsonl 5b1dcafe0042\n"},
	{"replay", false,
		"usage: pgumbra replay [-c FILE] RECORDING...\n"
		"\n"
		"Runs recorded dark reads against a candidate. NOT IN THIS VERSION.\n",
		NULL},
	{"outcomes", false,
		"usage: pgumbra outcomes\n"
		"\n"
		"Prints every outcome that the report counts, with its reasons, and why messages "
		"go\n"
		"unobserved, and the events of sessions.\n",
		NULL},
	{"config", true,
		"usage: pgumbra config [--ini] [OPTIONS]\n"
		"\n"
		"Prints every setting with type, range, unit, default, reload class and help.\n"
		"\n"
		"      --ini                  as a commented INI file, holding what file and "
		"flags\n"
		"                             give; passwords are left out\n",
		"  pgumbra config\n"
		"  pgumbra config --ini > pgumbra.conf\n"
		"  pgumbra config --ini -c pgumbra.conf --set shadow.sample=0.1\n"},
};

bool cli_help(const char *command, FILE *out)
{
	for (size_t i = 0; i < sizeof helps / sizeof *helps; i++) {
		const struct help *h = &helps[i];

		if (strcmp(h->command, command ? command : "") != 0)
			continue;
		fputs(h->text, out);
		if (h->with_settings)
			fprintf(out, "\n%s", settings_options);
		if (h->examples)
			fprintf(out, "\nexamples:\n%s", h->examples);
		return true;
	}

	return false;
}

int cli_usage(const char *command, const char *format, ...)
{
	va_list args;

	fprintf(stderr, "pgumbra%s%s: ", *command ? " " : "", command);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "\n`pgumbra %s%s--help` says what is allowed\n", command,
		*command ? " " : "");

	return EXIT_USAGE;
}

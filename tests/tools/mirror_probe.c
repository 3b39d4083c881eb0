/* Runs each line of standard input as a dark read on one server and prints the answer: for tests
 * and for trying things by hand.
 *
 *   mirror_probe [-p POOL] [-t TIMEOUT_MS] [-b BREAKER_FAILURES] [-o BREAKER_OPEN_MS] [-d DATABASE]
 *                [-k KEEP_BYTES] [-r MAX_RATE] [-s] CONNINFO
 *
 * -s refuses a superuser. Lines that begin with a backslash set up the reads that follow:
 *   \set NAME=VALUE  \reset            settings of the session
 *   \named on|off  \harmless on|off    how the statement came, and whether its connection is kept
 *   \param VALUE  \null  \noparams     parameters (text)      \types OID,...    \formats 0,1,...
 *   \limit N  \repeat N  \delay MS     row limit, how often at once, not before
 *   \state  \echo TEXT                 prints
 */
#include "proxy/log.h"
#include "proxy/shadow/mirror.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { MAX_ITEMS = 64, MAX_LINE = 1 << 20 };

struct probe {
	struct event_base *base;
	struct mirror *mirror;
	struct event *input;
	char *line; /* MAX_LINE bytes */
	size_t have;
	bool end;
	unsigned outstanding;

	const char *database;
	struct statement statement; /* never freed: references stay above 0 */
	bool named;
	char *names[MAX_ITEMS], *values[MAX_ITEMS], *params[MAX_ITEMS];
	unsigned nsettings, nparams, ntypes, nformats, repeat;
	uint32_t types[MAX_ITEMS], limit;
	uint16_t formats[MAX_ITEMS];
	uint64_t delay_us;

	/* of a repeated read */
	unsigned wanted, answered, failed, different;
	uint64_t first_digest[2];
};

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);

	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void *must(void *p)
{
	if (!p) {
		fprintf(stderr, "mirror_probe: out of memory\n");
		exit(3);
	}

	return p;
}

/* --- answers --- */

static void print_value(struct span value, bool binary)
{
	if (!value.data) {
		printf("NULL");
	} else if (!binary) {
		printf("%.*s", (int)value.len, (const char *)value.data);
	} else {
		printf("\\x");
		for (size_t i = 0; i < value.len; i++)
			printf("%02x", value.data[i]);
	}
}

static void print_rows(const struct result *r)
{
	struct span row;
	size_t at = 0;

	while (result_kept_row(r, &at, &row)) {
		struct reader values;
		uint16_t n;

		if (!parse_data_row(row, &n, &values))
			continue;
		printf("row ");
		for (uint16_t i = 0; i < n; i++) {
			if (i)
				printf("|");
			print_value(
				read_value(&values), i < r->ncolumns && r->columns[i].format == 1);
		}
		printf("\n");
	}
}

static void print_answer(const struct mirror_answer *a)
{
	static const char *const ENDS[] = {"open", "complete", "suspended", "empty", "error"};
	const struct result *r = &a->result;
	char digest[33];

	if (a->status == MIRROR_FAILED) {
		printf("failed %s(%s): %s\n", outcome_name(reason_outcome(a->reason)),
			reason_name(a->reason), a->text);
	} else if (r->end == RESULT_ERROR) {
		printf("error %s %s\n", r->sqlstate, r->message);
	} else {
		digest_hex(r->digest.ordered, digest);
		printf("%s columns=%u rows=%" PRIu64 " bytes=%" PRIu64
		       " kept_all=%d digest=%s cold=%d\n",
			ENDS[r->end], r->ncolumns, r->rows, r->bytes, r->kept_all, digest, a->cold);
		print_rows(r);
	}
}

static void count_answer(struct probe *p, const struct mirror_answer *a)
{
	const struct result *r = &a->result;

	if (a->status == MIRROR_FAILED || r->end == RESULT_ERROR) {
		p->failed++;
	} else {
		if (p->answered++ == 0)
			memcpy(p->first_digest, r->digest.ordered, sizeof p->first_digest);
		else if (memcmp(p->first_digest, r->digest.ordered, sizeof p->first_digest) != 0)
			p->different++;
	}
	if (p->outstanding == 0) {
		printf("repeated answered=%u failed=%u different=%u\n", p->answered, p->failed,
			p->different);
		p->answered = p->failed = p->different = 0;
	}
}

static void on_done(void *self, struct mirror_answer *answer)
{
	struct probe *p = self;

	p->outstanding--;
	if (p->wanted > 1)
		count_answer(p, answer);
	else
		print_answer(answer);
	fflush(stdout);
	if (p->outstanding == 0)
		event_active(p->input, EV_TIMEOUT, 0);
}

/* --- reads --- */

static struct dark_read *make_read(const struct probe *p, const char *sql)
{
	struct dark_read *read = must(dark_read_new());

	read->database = must(strdup(p->database));
	read->user = must(strdup("probe"));
	read->application_name = must(strdup("probe"));
	read->sql = must(strdup(sql));
	read->statement = statement_ref(&p->statement);
	read->named = p->named;
	read->row_limit = p->limit;
	read->settings = must(calloc(MAX_ITEMS, sizeof *read->settings));
	read->nsettings = p->nsettings;
	for (unsigned i = 0; i < p->nsettings; i++) {
		read->settings[i].name = must(strdup(p->names[i]));
		read->settings[i].value = must(strdup(p->values[i]));
		for (const char *c = p->names[i]; *c; c++)
			read->settings_hash = read->settings_hash * 31 + (uint8_t)*c;
		for (const char *c = p->values[i]; *c; c++)
			read->settings_hash = read->settings_hash * 31 + (uint8_t)*c;
	}
	read->params = must(calloc(MAX_ITEMS, sizeof *read->params));
	read->nparams = (uint16_t)p->nparams;
	for (unsigned i = 0; i < p->nparams; i++)
		read->params[i] = span_cstr(p->params[i]);
	read->param_types = must(calloc(MAX_ITEMS, sizeof *read->param_types));
	read->nparam_types = (uint16_t)p->ntypes;
	memcpy(read->param_types, p->types, sizeof p->types);
	read->result_formats = must(calloc(MAX_ITEMS, sizeof *read->result_formats));
	read->nresult_formats = (uint16_t)p->nformats;
	memcpy(read->result_formats, p->formats, sizeof p->formats);

	return read;
}

static void run_read(struct probe *p, const char *sql)
{
	struct dark_read *read = make_read(p, sql);
	uint64_t not_before = p->delay_us ? now_us() + p->delay_us : 0;
	unsigned refused = 0;
	enum reason reason = REASON_NONE;

	p->wanted = p->repeat;
	for (unsigned i = 0; i < p->wanted; i++) {
		p->outstanding++;
		if (mirror_submit(p->mirror, read, not_before, on_done, p, &reason))
			continue;
		p->outstanding--;
		refused++;
	}
	if (refused)
		printf("refused %u %s\n", refused, reason_name(reason));
	dark_read_unref(read);
}

/* --- lines --- */

static unsigned numbers(char *text, uint32_t *out)
{
	unsigned n = 0;

	for (char *save = NULL, *word = strtok_r(text, ",", &save); word && n < MAX_ITEMS;
		word = strtok_r(NULL, ",", &save))
		out[n++] = (uint32_t)strtoul(word, NULL, 10);

	return n;
}

static void set_setting(struct probe *p, char *text)
{
	char *equals = strchr(text, '=');

	if (!equals || p->nsettings == MAX_ITEMS)
		return;
	*equals = '\0';
	p->names[p->nsettings] = must(strdup(text));
	p->values[p->nsettings++] = must(strdup(equals + 1));
}

static void clear_texts(char **texts, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		free(texts[i]);
		texts[i] = NULL;
	}
}

static void print_state(const struct probe *p)
{
	struct mirror_state s;

	mirror_state(p->mirror, &s);
	printf("state connections=%u busy=%u queued=%zu breaker_open=%d reads=%" PRIu64
	       " failures=%" PRIu64 "\n",
		s.connections, s.busy, s.queued, s.breaker_open, s.reads, s.failures);
}

static void run_command(struct probe *p, const char *word, char *rest)
{
	uint32_t list[MAX_ITEMS];

	if (strcmp(word, "set") == 0) {
		set_setting(p, rest);
	} else if (strcmp(word, "reset") == 0) {
		clear_texts(p->names, p->nsettings);
		clear_texts(p->values, p->nsettings);
		p->nsettings = 0;
	} else if (strcmp(word, "named") == 0) {
		p->named = strcmp(rest, "on") == 0;
	} else if (strcmp(word, "harmless") == 0) {
		p->statement.harmless_only = strcmp(rest, "on") == 0;
	} else if (strcmp(word, "param") == 0 && p->nparams < MAX_ITEMS) {
		p->params[p->nparams++] = must(strdup(rest));
	} else if (strcmp(word, "null") == 0 && p->nparams < MAX_ITEMS) {
		p->params[p->nparams++] = NULL;
	} else if (strcmp(word, "noparams") == 0) {
		clear_texts(p->params, p->nparams);
		p->nparams = p->ntypes = 0;
	} else if (strcmp(word, "types") == 0) {
		p->ntypes = numbers(rest, p->types);
	} else if (strcmp(word, "formats") == 0) {
		p->nformats = numbers(rest, list);
		for (unsigned i = 0; i < p->nformats; i++)
			p->formats[i] = (uint16_t)list[i];
	} else if (strcmp(word, "limit") == 0) {
		p->limit = (uint32_t)strtoul(rest, NULL, 10);
	} else if (strcmp(word, "repeat") == 0) {
		p->repeat = (unsigned)strtoul(rest, NULL, 10);
	} else if (strcmp(word, "delay") == 0) {
		p->delay_us = strtoull(rest, NULL, 10) * 1000;
	} else if (strcmp(word, "state") == 0) {
		print_state(p);
	} else if (strcmp(word, "echo") == 0) {
		printf("%s\n", rest);
	} else {
		printf("unknown command %s\n", word);
	}
}

static void run_line(struct probe *p, char *line)
{
	char *rest = line + strcspn(line, " ");

	if (line[0] != '\\') {
		run_read(p, line);
		return;
	}
	if (*rest)
		*rest++ = '\0';
	run_command(p, line + 1, rest);
}

/* Lines run one after the other: the next one when the reads of this one have ended. */
static void next_lines(struct probe *p)
{
	char *newline;

	while (p->outstanding == 0 && (newline = memchr(p->line, '\n', p->have))) {
		size_t len = (size_t)(newline - p->line) + 1;
		char *line = must(strndup(p->line, len - 1));

		memmove(p->line, p->line + len, p->have - len);
		p->have -= len;
		run_line(p, line);
		free(line);
		fflush(stdout);
	}
	if (p->outstanding == 0 && p->end)
		event_base_loopbreak(p->base);
}

static void on_input(evutil_socket_t fd, short what, void *self)
{
	struct probe *p = self;

	if (what & EV_READ) {
		ssize_t n = read(fd, p->line + p->have, MAX_LINE - p->have);

		if (n > 0)
			p->have += (size_t)n;
		else if (n == 0 || errno != EAGAIN)
			p->end = true;
		if (p->end || p->have == MAX_LINE)
			event_del(p->input);
	}
	next_lines(p);
}

/* --- start --- */

static bool refuse_superuser(void *self, PGconn *connection, char *why, size_t size)
{
	const char *value = PQparameterStatus(connection, "is_superuser");

	(void)self;
	if (value && strcmp(value, "on") == 0) {
		snprintf(why, size, "the role is a superuser");
		return false;
	}

	return true;
}

static bool read_arguments(int argc, char **argv, struct probe *p, struct mirror_options *o)
{
	int option;

	while ((option = getopt(argc, argv, "p:t:b:o:d:k:r:s")) >= 0) {
		switch (option) {
		case 'p': o->pool_size = (unsigned)strtoul(optarg, NULL, 10); break;
		case 't': o->statement_timeout_us = strtoull(optarg, NULL, 10) * 1000; break;
		case 'b': o->breaker_failures = (unsigned)strtoul(optarg, NULL, 10); break;
		case 'o': o->breaker_open_us = strtoull(optarg, NULL, 10) * 1000; break;
		case 'd': p->database = optarg; break;
		case 'k': o->keep_limit_bytes = strtoul(optarg, NULL, 10); break;
		case 'r': o->max_rate = strtod(optarg, NULL); break;
		case 's': o->accept = refuse_superuser; break;
		default: return false;
		}
	}
	if (optind != argc - 1)
		return false;
	o->conninfo = argv[optind];

	return true;
}

/* Standard input may be a plain file, which epoll refuses. */
static struct event_base *new_base(void)
{
	struct event_config *config = must(event_config_new());
	struct event_base *base;

	event_config_require_features(config, EV_FEATURE_FDS);
	base = must(event_base_new_with_config(config));
	event_config_free(config);

	return base;
}

static void run(struct probe *p, const struct mirror_options *options)
{
	struct error error = {{0}};
	struct connector *connector;

	p->base = new_base();
	connector = connector_new(p->base, &error);
	if (!connector) {
		fprintf(stderr, "mirror_probe: %s\n", error.text);
		exit(3);
	}
	p->mirror = must(mirror_new(p->base, connector, options));
	p->input = must(event_new(p->base, 0, EV_READ | EV_PERSIST, on_input, p));
	event_add(p->input, NULL);
	event_base_dispatch(p->base);

	mirror_free(p->mirror);
	connector_free(connector);
	event_free(p->input);
	event_base_free(p->base);
}

int main(int argc, char **argv)
{
	struct probe probe = {.database = "postgres",
		.repeat = 1,
		.statement = {.references = 1, .harmless_only = true}};
	struct mirror_options options = {.name = "candidate",
		.pool_size = 1,
		.statement_timeout_us = 5000000,
		.queue_reads = 100000,
		.queue_bytes = 256 << 20,
		.breaker_failures = 5,
		.breaker_open_us = 1000000,
		.keep_limit_bytes = 1 << 20};

	if (!read_arguments(argc, argv, &probe, &options)) {
		fprintf(stderr, "usage: mirror_probe [options] CONNINFO < LINES\n");
		return 2;
	}
	log_init("probe", LOG_LEVEL_INFO);
	probe.line = must(malloc(MAX_LINE));
	run(&probe, &options);
	clear_texts(probe.names, probe.nsettings);
	clear_texts(probe.values, probe.nsettings);
	clear_texts(probe.params, probe.nparams);
	free(probe.line);

	return 0;
}

/* Random sessions against a real server, to test the session model:
 *
 *     model_live HOST PORT DATABASE SEED SESSIONS
 *
 * The server must let postgres, model_app and model_side in without a password; roles, schemas and
 * tables are made anew. Each session runs up to 40 random steps, simple and extended, pipelined, in
 * and out of transactions and savepoints, with errors and failing commits, and an observer follows
 * its bytes. It fails when, after a step,
 *
 * - the settings that a dark read would carry are not those of current_setting,
 * - the named statements and portals are not those of pg_prepared_statements and pg_cursors,
 * - the temporary relations are not those of pg_class,
 * - a dark read, run with nothing but its own settings on another connection of another role, gives
 *   other rows than the session got,
 * - the observer lost the session or its books do not balance.
 *
 * What the model calls unknown is allowed, and counted. Now and then a part of the session is not
 * recorded, as when the tape is full. */
#include "compare/books.h"
#include "protocol/pairing.h"
#include "proxy/relay/recorder_internal.h"
#include "proxy/shadow/observed.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libpq-fe.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { STEPS_MAX = 40, BYTES_MAX = 1 << 20, DEADLINE_MS = 20000, READS_MAX = 256 };

struct totals {
	unsigned long sessions, closed, crashes, steps, compared, settings, unknown, statements,
		statements_unknown, temporaries, temporaries_more, temporaries_unknown;
	unsigned long disagreements, gaps, reads, rows, skipped[REASON_COUNT];
};

struct session {
	int fd;
	struct observer *observer;
	struct books books;
	struct database_view view;
	struct pairing *pairing; /* of our own: tells when the server has answered everything */
	struct assembler assembler;
	struct buffer out, diary;
	uint8_t status;	    /* of the last ReadyForQuery */
	struct buffer row;  /* last DataRow while asking */
	bool closed, fatal; /* closed without a FATAL: the server crashed */
	struct dark_read *reads[READS_MAX];
	size_t nreads;
	/* A gap on the tape: nothing is recorded until the session stands idle again. */
	bool unseen, was_unseen, lose_answers;
	struct recording recording;
	struct recorder recorder; /* keeps what passes unseen, and nothing else */
	struct {
		char name[64], value[128];
	} reported[64];
	size_t nreported;
	char failure[4096];
};

static struct totals totals;
static PGconn *admin, *side;
static struct catalogue *catalogue;
static struct classifier *classifier; /* of all sessions: what one says is known to the others */
static const char *host, *port, *database;

/* Chance: splitmix64, so that a seed means the same everywhere. */

static uint64_t chance_state;

static unsigned below(unsigned n)
{
	uint64_t z = (chance_state += 0x9e3779b97f4a7c15u);

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;

	return (unsigned)((z ^ z >> 31) % n);
}

static bool percent(unsigned n)
{
	return below(100) < n;
}

#define PICK(table) ((table)[below(sizeof(table) / sizeof((table)[0]))])

/* --- what sessions do ------------------------------------------------------------------------- */

static const char *const set_texts[] = {"set extra_float_digits = 0", "set extra_float_digits to 3",
	"set extra_float_digits = -5", "set local extra_float_digits = 2",
	"set bytea_output = 'escape'", "set bytea_output = hex", "set local bytea_output = 'hex'",
	"reset bytea_output", "reset extra_float_digits", "reset all", "discard all",
	"set TimeZone = 'Asia/Tokyo'", "set time zone 'UTC'",
	"set local timezone = 'Europe/Berlin'", "set timezone to default",
	"set local timezone to default", "set local extra_float_digits to default",
	"set datestyle = 'SQL, DMY'", "set datestyle = 'German'", "set datestyle = iso, ymd",
	"set local datestyle = 'sql'", "reset datestyle", "set search_path = s1",
	"set search_path to s2, public", "set local search_path = s2", "reset search_path",
	"set schema 's1'", "set app.tenant = 'a'", "set local app.tenant = 'b'", "reset app.tenant",
	"set app.tenant to default", "select set_config('app.tenant', 'c', false)",
	"select set_config('app.tenant', 'd', true)",
	"select set_config('extra_float_digits', null, false)",
	"select set_config('extra_float_digits', null, true)",
	"select set_config('search_path', 's2, s1', true)",
	"select set_config('app.tenant', 'e', true), set_config('timezone', 'UTC', false)",
	"select set_config('TimeZone', 'UTC', true)", "set work_mem = '4MB'",
	"set local work_mem = '8MB'", "set intervalstyle = 'iso_8601'",
	"set local intervalstyle to 'postgres_verbose'", "set role model_helper", "reset role",
	"set role none", "set local role model_helper",
	"set session characteristics as transaction isolation level repeatable read",
	"set default_transaction_isolation = 'read committed'",
	"reset default_transaction_isolation", "set session authorization default",
	"reset session authorization", "set application_name = 'x'", "set app.region = 'east'",
	"set local app.region = 'west'", "discard plans"};
static const char *const block_texts[] = {"begin", "begin", "begin",
	"begin isolation level repeatable read", "start transaction isolation level serializable",
	"commit", "commit", "end", "rollback", "commit and chain", "rollback and chain",
	"savepoint a", "savepoint a", "savepoint b", "rollback to a", "rollback to b", "release a",
	"release b", "set transaction isolation level repeatable read",
	"set transaction isolation level read committed", "set transaction read only"};
static const char *const read_texts[] = {"select 1", "select a, b from t order by a",
	"select a, b from t order by a limit 3",
	("select timestamptz '2024-01-15 12:00:00+00', interval '1 day 2 hours', "
	 "0.1::float8 + 0.2::float8, '\\x4142ff'::bytea, date '2024-02-03'"),
	"select timestamptz '2024-01-15 12:00:00', 1.1::float4::float8",
	"select b from t where current_setting('app.tenant', true) is null order by a",
	"select coalesce(current_setting('app.tenant', true), 'none')",
	"select current_setting('app.region', true)", "values (1, '2'), (3, '4')"};
static const char *const error_texts[] = {"select 1/0", "bogus", "set extra_float_digits = 99",
	"set nosuch = 1", "set local timezone = 'no such zone'", "select a/0 from t",
	"select b from nosuch", "set role nosuch", "call fail_after_set()",
	"select 1/(a-3) from t order by a"};
static const char *const other_texts[] = {
	"do $$begin perform set_config('bytea_output', 'escape', false); end$$", "call set_some()",
	"call commit_and_fail()", "select set_by_function()", "create temp table t (a int, b text)",
	"discard temp", "drop table if exists pg_temp.t", "insert into w values (1)",
	"insert into dfk values (999)", "prepare s1 as select a from t order by a",
	"prepare s3 as select 1", "prepare s3 as insert into w values (3)", "execute s1",
	"execute s2", "prepare s4 (int) as select a, b from t where a <= $1 order by a",
	"prepare s5 as select a, b from t where b > $1 order by a",
	"prepare s6 (text, \"char\") as select $1, $2", "execute s4(3)", "execute s4('2')",
	"execute s4(2.5)", "execute s4(1 + 1)", "execute s4(null)", "execute s4('x')",
	"execute s5('one 3')", "execute s5('two 5'); execute s4(4)", "execute s6('a', 'b')",
	"deallocate s4", "deallocate s5", "execute s3", "deallocate s1", "deallocate s3",
	"deallocate all", "declare c1 cursor for select a from t order by a",
	"declare c2 cursor with hold for select a, b from t order by a", "fetch 2 from c1",
	"fetch 2 from c1", "fetch 3 c2", "fetch backward 1 from c2",
	"begin; declare c1 cursor for select a, b from t order by a; fetch 4 from c1; fetch 4 c1",
	"declare c2 cursor with hold for select a / (a - 4) from t order by a", "fetch all from c2",
	"move 1 in c1", "close c1", "close c2", "close all", "explain select 1", "show timezone",
	"lock table w in access share mode", "listen x",
	"copy (select a from t order by a) to stdout",
	("copy (select a, b || E'\\t\\\\\\n' || chr(8), nullif(a, 3), '' from t order by a) to "
	 "stdout"),
	"copy (select 1 / (a - 4) from t order by a) to stdout", "vacuum w", "", ";",
	"lock table w in access share mode"};
/* Temporary relations before permanent ones of the same names, and code that makes some or that
 * takes names late. */
static const char *const temporary_texts[] = {"create temp table t (a int, b text)",
	"create temp table u (a int, b text)", "create temp table if not exists t (a int, b text)",
	"create temp table if not exists u (a int, b text) on commit drop",
	"create temp table t on commit drop as select 1 as a, 'temp' as b",
	"select 9 as a, 'nine' as b into temp u",
	"create temp view v as select 7 as a, 'seven' as b",
	"create temp view v as select a, b from u", "create view pg_temp.v as select a, b from t",
	"create temp sequence u", "drop table if exists u", "drop table t", "drop table u",
	"drop table u cascade", "drop table pg_temp.u", "drop view if exists v",
	"drop view pg_temp.v", "drop sequence u", "alter table t rename to u",
	"alter table pg_temp.u rename to t", "insert into pg_temp.t values (3, 'temp')",
	"discard temp", "set search_path = pg_temp, s1, public",
	"set search_path = s1, pg_temp, public", "set local search_path = pg_temp, s2, public",
	"create table u (a int, b text)", "create table t as select 5 as a, 'path' as b",
	"create index u on pg_temp.t (a)", "create type pg_temp.u as enum ('a')", "savepoint a",
	"rollback to a", "rollback", "commit"};
static const char *const code_texts[] = {"call calm()", "call calm(1)", "select calm_function()",
	"do $$begin perform calm_function(); insert into w values (5); end$$",
	"do language sql 'select 1'",
	"do $$declare n int; begin update w set a = a where false; select a into n from t; end$$",
	"call makes_temporary()", "select makes_temporary_by_text()",
	"do $$begin create temp table u (a int, b text); end$$",
	"do $$begin execute 'create temp table if not exists t (a int, b text)'; end$$",
	"do $$begin set local timezone = 'UTC'; end$$", "select over_setting()",
	"call fails_calmly()"};
static const char *const shadowed_texts[] = {"select a, b from u order by a",
	"select a, b from v order by a", "select a, b from s1.u order by a", "select tells()",
	"select n from told", "select n from told_early", "select null::u is null",
	"select count(*) from t join u using (a)"};
static const char *const alone_texts[] = {"select count(*) from w"};
static const char *const statement_names[] = {"", "s1", "s2"};
static const char *const portal_names[] = {"", "", "p1", "p2"};
static const char *const cursor_names[] = {"", "p1", "p2", "c1", "c2"};

static const char *any_text(void)
{
	unsigned r = below(100);

	if (r < 22)
		return PICK(set_texts);
	if (r < 40)
		return PICK(read_texts);
	if (r < 52)
		return PICK(shadowed_texts);
	if (r < 70)
		return PICK(block_texts);
	if (r < 80)
		return PICK(other_texts);
	if (r < 88)
		return PICK(temporary_texts);
	if (r < 93)
		return PICK(code_texts);
	return PICK(error_texts);
}

static void note(struct session *s, const char *what, const char *name, const char *more)
{
	buffer_printf(&s->diary, "  %s %s%s%s\n", what, name, more[0] ? " | " : "", more);
}

static void put_query(struct session *s, const char *text)
{
	build_query(&s->out, text);
	note(s, "Q", text, "");
}

static void put_parse(struct session *s, const char *name, const char *text)
{
	build_parse(&s->out, span_cstr(name), span_cstr(text), 0, NULL);
	note(s, "P", name, text);
}

static void put_bind(struct session *s, const char *portal, const char *name)
{
	build_bind(&s->out, span_cstr(portal), span_cstr(name), 0, NULL, 0, NULL, 0, NULL);
	note(s, "B", portal, name);
}

static void put_execute(struct session *s, const char *portal)
{
	uint32_t max = percent(70) ? 0 : 1 + below(3);

	build_execute(&s->out, span_cstr(portal), max);
	note(s, "E", portal, max ? "limited" : "");
}

static void put_target(struct session *s, bool describe)
{
	bool statement = percent(50);
	const char *name = statement ? PICK(statement_names) : PICK(cursor_names);

	if (describe)
		build_describe(&s->out, statement ? 'S' : 'P', span_cstr(name));
	else
		build_close(&s->out, statement ? 'S' : 'P', span_cstr(name));
	note(s, describe ? "D" : "C", statement ? "S" : "P", name);
}

static void put_config(struct session *s)
{
	struct span values[] = {span_cstr(percent(50) ? "app.tenant" : "bytea_output"),
		span_cstr(percent(50) ? "hex" : "escape"), span_cstr(percent(50) ? "t" : "off")};

	put_parse(s, "", "select set_config($1, $2, $3), set_config('app.region', $2, true)");
	build_bind(&s->out, span_cstr(""), span_cstr(""), 0, NULL, 3, values, 0, NULL);
	note(s, "B", (const char *)values[0].data, (const char *)values[1].data);
	put_execute(s, "");
}

static void put_parameters(struct session *s)
{
	struct span value = span_cstr(percent(50) ? "2" : "4");

	if (percent(40)) {
		put_config(s);
		return;
	}
	put_parse(s, "", "select a, b from t where a <= $1 order by a");
	build_bind(&s->out, span_cstr(""), span_cstr(""), 0, NULL, 1, &value, 0, NULL);
	note(s, "B", "", "with a value");
	put_execute(s, "");
}

static void put_piece(struct session *s)
{
	const char *name = PICK(statement_names), *portal = PICK(portal_names);
	unsigned r = below(100);

	if (r < 60) {
		put_parse(s, name, any_text());
		put_bind(s, portal, name);
		if (percent(50)) {
			build_describe(&s->out, 'P', span_cstr(portal));
			note(s, "D", "P", portal);
		}
		put_execute(s, portal);
	} else if (r < 68) {
		put_bind(s, portal, name);
		put_execute(s, portal);
	} else if (r < 74) {
		put_parameters(s);
	} else if (r < 84) {
		put_execute(s, PICK(cursor_names));
	} else if (r < 92) {
		put_target(s, percent(30));
	} else {
		put_parse(s, name, any_text());
	}
}

static void put_several(struct session *s)
{
	char text[1024] = "";

	for (unsigned n = 2 + below(3); n > 0; n--) {
		strncat(text, any_text(), sizeof text - strlen(text) - 3);
		strncat(text, "; ", sizeof text - strlen(text) - 1);
	}
	put_query(s, text);
}

static void put_step(struct session *s)
{
	unsigned r = below(100);

	if (r < 8) {
		put_query(s, PICK(alone_texts));
	} else if (r < 50) {
		put_query(s, any_text());
	} else if (r < 62) {
		put_several(s);
	} else {
		for (unsigned n = 1 + below(4); n > 0; n--)
			put_piece(s);
		build_simple(&s->out, FRONT_SYNC);
		note(s, "S", "", "");
	}
}

/* --- the wire --------------------------------------------------------------------------------- */

static void fail(struct session *s, const char *what, const char *more)
{
	if (!s->failure[0])
		snprintf(s->failure, sizeof s->failure, "%.80s: %.4000s", what, more);
}

static void record(struct session *s, enum tape_kind kind, const void *data, size_t len)
{
	struct tape_record r = {.kind = (uint16_t)kind,
		.payload_len = (uint32_t)len,
		.session = {1, 1},
		.time_us = 1};

	if (s->unseen && kind != TAPE_RESUME)
		return;
	observer_record(s->observer, 0, &r, span_of(data, len));
}

/* In random pieces, so that the cut never matters. How much the server sends at once is not in the
 * seed, so the pieces must not take from its chances. */
static void record_bytes(struct session *s, enum tape_kind kind, const uint8_t *data, size_t len)
{
	uint64_t chances = chance_state;

	while (len > 0) {
		size_t n = percent(80) ? len : 1 + below((unsigned)len);

		record(s, kind, data, n);
		if (percent(10)) { /* as if it had stood idle: the second time it rests */
			observer_rest(s->observer);
			observer_rest(s->observer);
		}
		data += n;
		len -= n;
	}
	chance_state = chances;
}

static void note_reported(struct session *s, const struct message *m)
{
	struct span name, value;
	size_t i = 0;

	if (!parse_parameter_status(m->body, &name, &value))
		return;
	while (i < s->nreported && !span_is(name, s->reported[i].name))
		i++;
	if (i == sizeof s->reported / sizeof *s->reported)
		return;
	snprintf(s->reported[i].name, 64, "%.*s", (int)name.len, (const char *)name.data);
	snprintf(s->reported[i].value, 128, "%.*s", (int)value.len, (const char *)value.data);
	s->nreported += i == s->nreported;
}

/* What the relay would remember of a message that is not taken. */
static void note_unseen(struct session *s, bool front, const struct message *m)
{
	uint32_t flags = 0;
	struct buffer b;

	if (!s->unseen)
		return;
	if (front && m->type == FRONT_PARSE)
		flags = GAP_PARSE;
	if (front && m->type == FRONT_CLOSE)
		flags = GAP_CLOSE;
	if (front && m->type == FRONT_QUERY)
		flags = GAP_QUERY;
	if (!front && m->type == BACK_COMMAND_COMPLETE &&
		!tag_is_plain(span_cstr((const char *)m->body.data)))
		flags = GAP_OTHER_COMMAND;
	buffer_init(&b, BYTES_MAX);
	buffer_add_u8(&b, m->type);
	buffer_add_u32(&b, (uint32_t)m->body.len + 4);
	buffer_add_span(&b, m->body);
	recorder_pass_unseen(&s->recorder, buffer_span(&b), flags, front && flags && percent(5));
	buffer_release(&b);
}

static void begin_gap(struct session *s)
{
	if (!s->unseen)
		buffer_printf(&s->diary, "  (unseen from here on)\n");
	s->unseen = s->was_unseen = true;
}

static void end_gap(struct session *s)
{
	const struct unseen *unseen = s->recorder.unseen;
	struct tape_resume resume = {.flags = s->recorder.gap, .texts = unseen ? unseen->count : 0};
	struct buffer b;

	buffer_init(&b, BYTES_MAX);
	for (size_t i = 0; i < s->nreported; i++) {
		buffer_add_cstr(&b, s->reported[i].name);
		buffer_add_cstr(&b, s->reported[i].value);
	}
	resume.reported_len = (uint32_t)b.len;
	buffer_clear(&s->row);
	buffer_add(&s->row, &resume, sizeof resume);
	if (unseen)
		buffer_add(&s->row, unseen->text, resume.texts * sizeof *unseen->text);
	buffer_add_span(&s->row, buffer_span(&b));
	record(s, TAPE_RESUME, s->row.data, s->row.len);
	buffer_printf(&s->diary, "  (seen again, flags %u, texts %u)\n", (unsigned)resume.flags,
		(unsigned)resume.texts);
	buffer_clear(&s->row);
	buffer_release(&b);
	s->unseen = false;
	recorder_forget_unseen(&s->recorder);
	totals.gaps++;
}

static void take_message(struct session *s, const struct message *m)
{
	note_unseen(s, false, m);
	if (m->type == BACK_PARAMETER_STATUS)
		note_reported(s, m);
	if (m->type == BACK_READY && m->body.len > 0)
		s->status = m->body.data[0];
	if (m->type == BACK_DATA_ROW) {
		buffer_clear(&s->row);
		buffer_add_span(&s->row, m->body);
	}
	switch (pairing_back(s->pairing, m->type, m->body)) {
	case PAIRING_LOST: fail(s, "the tool's own pairing was lost", ""); break;
	case PAIRING_CLOSED: s->fatal = true; break;
	case PAIRING_OK: break;
	}
}

static void receive(struct session *s)
{
	struct pollfd p = {.fd = s->fd, .events = POLLIN};
	uint8_t bytes[16384];
	struct span rest;
	struct message m;
	ssize_t n;

	if (poll(&p, 1, DEADLINE_MS) <= 0) {
		fail(s, "no answer within the deadline", "");
		return;
	}
	n = recv(s->fd, bytes, sizeof bytes, 0);
	if (n <= 0) {
		s->closed = true; /* a FATAL, or a server that crashed */
		return;
	}
	record_bytes(s, TAPE_BACK, bytes, (size_t)n);
	rest = span_of(bytes, (size_t)n);
	while (assembler_next(&s->assembler, &rest, &m) == ASSEMBLE_MESSAGE)
		take_message(s, &m);
}

/* Tells both pairings of what is sent, sends it and waits for all answers. */
static void converse(struct session *s)
{
	struct span rest = buffer_span(&s->out);
	struct assembler front;
	struct message m;
	uint32_t number;
	size_t sent = 0;

	record_bytes(s, TAPE_FRONT, s->out.data, s->out.len);
	assembler_init(&front, BYTES_MAX);
	while (assembler_next(&front, &rest, &m) == ASSEMBLE_MESSAGE) {
		uint8_t sub =
			m.type == FRONT_DESCRIBE || m.type == FRONT_CLOSE ? m.body.data[0] : 0;

		(void)pairing_front(s->pairing, m.type, sub, &number);
		note_unseen(s, true, &m);
	}
	assembler_release(&front);
	if (s->lose_answers)
		begin_gap(s);
	s->lose_answers = false;
	while (sent < s->out.len && !s->closed) {
		ssize_t n = send(s->fd, s->out.data + sent, s->out.len - sent, MSG_NOSIGNAL);

		s->closed = n < 0;
		sent += n > 0 ? (size_t)n : 0;
	}
	buffer_clear(&s->out);
	while (!s->failure[0] && !s->closed && !pairing_idle(s->pairing))
		receive(s);
}

/* --- checks ----------------------------------------------------------------------------------- */

static const char *const names[] = {"timezone", "datestyle", "intervalstyle", "extra_float_digits",
	"bytea_output", "search_path", "app.tenant", "app.region", "work_mem", "role",
	"default_transaction_isolation", "client_encoding"};

enum { NAMES = sizeof names / sizeof *names };

static char defaults[NAMES][128]; /* of a role without settings of its own; "~": not set */

static struct observed *model(struct session *s)
{
	return s->observer->tables[0].count > 1 ? s->observer->tables[0].slot[1] : NULL;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void join(char *out, size_t size, const char **list, size_t n)
{
	qsort(list, n, sizeof *list, by_text);
	out[0] = '\0';
	for (size_t i = 0; i < n; i++) {
		strncat(out, list[i], size - strlen(out) - 2);
		strncat(out, " ", size - strlen(out) - 1);
	}
}

/* What stands in pg_temp: the model must know all of it by name, unless it says that it doesn't.
 * What goes with a table that is dropped it may still believe in. */
static void compare_temporaries(struct session *s, const struct observed *m, struct span got)
{
	const struct settings_state *state = m->settings.current;
	size_t count = 0;

	if (state->temporary || state->gap) {
		totals.temporaries_unknown++;
		return;
	}
	while (got.len > 0) {
		const uint8_t *space = memchr(got.data, ' ', got.len);
		char name[64];

		snprintf(
			name, sizeof name, "%.*s", (int)(space - got.data), (const char *)got.data);
		if (!session_settings_shadowed(&m->settings, name))
			fail(s, "the model misses a temporary relation", name);
		got = span_of(space + 1, got.len - (size_t)(space + 1 - got.data));
		count++;
	}
	totals.temporaries += count == state->ntemporaries;
	totals.temporaries_more += count != state->ntemporaries;
}

static void expected_names(struct observed *m, char *statements, char *portals, size_t size)
{
	const char *list[64];
	size_t n = 0;

	for (struct prepared *p = m->statements; p && n < 64; p = p->hh.next)
		if (p->name[0])
			list[n++] = p->name;
	join(statements, size, list, n);
	n = 0;
	for (struct portal *p = m->portals; p && n < 64; p = p->hh.next)
		if (p->name[0])
			list[n++] = p->name;
	join(portals, size, list, n);
}

static bool expected_settings(struct observed *m, char values[NAMES][128])
{
	struct dark_read *read = dark_read_new();
	bool known = read != NULL;

	if (read) {
		read->database = strdup(database);
		known = !session_settings_unknown(&m->settings) && observed_settings(m, read);
	}
	for (size_t i = 0; known && i < NAMES; i++) {
		const char *value = defaults[i];

		for (size_t j = 0; j < read->nsettings; j++)
			if (strcmp(read->settings[j].name, names[i]) == 0)
				value = read->settings[j].value;
		snprintf(values[i], 128, "%.127s", value);
	}
	dark_read_unref(read);

	return known;
}

static void question(struct buffer *b)
{
	char text[4096] = "select ";

	for (size_t i = 0; i < NAMES; i++)
		snprintf(text + strlen(text), sizeof text - strlen(text),
			"coalesce(pg_catalog.current_setting('%s', true), '~'), ", names[i]);
	snprintf(text + strlen(text), sizeof text - strlen(text), "%s",
		"(select coalesce(string_agg(name, ' ' order by name collate \"C\") || ' ', '') "
		"from "
		"pg_catalog.pg_prepared_statements), (select coalesce(string_agg(name, ' ' order "
		"by "
		"name collate \"C\") || ' ', '') from pg_catalog.pg_cursors where name <> ''),"
		" (select coalesce(string_agg(name, ' ' order by name collate \"C\") || ' ', '')"
		" from (select relname as name from pg_catalog.pg_class"
		" where relnamespace = pg_catalog.pg_my_temp_schema()"
		" union select typname from pg_catalog.pg_type where typtype = 'e'"
		" and typnamespace = pg_catalog.pg_my_temp_schema()) temporary)");
	build_query(b, text);
}

static void check_value(struct session *s, const char *what, const char *expected, struct span got)
{
	char more[1024];

	if (got.len == strlen(expected) && memcmp(got.data, expected, got.len) == 0)
		return;
	if (s->was_unseen && strncmp(what, "app.", 4) == 0 && (got.len == 0 || span_is(got, "~")) &&
		(expected[0] == '\0' || strcmp(expected, "~") == 0))
		return; /* whether a gap has set it, and nothing since, is not known (S4) */
	snprintf(more, sizeof more, "%s is \"%.*s\", the model says \"%s\"", what, (int)got.len,
		(const char *)got.data, expected);
	fail(s, "the model is wrong", more);
}

static void compare_model(struct session *s)
{
	char values[NAMES][128], statements[1024], portals[1024];
	struct span prepared, cursors;
	bool statements_known;
	struct observed *m = model(s);
	bool known = expected_settings(m, values);
	struct reader r;

	expected_names(m, statements, portals, sizeof statements);
	question(&s->out);
	converse(s);
	if (s->failure[0] || s->closed)
		return;
	totals.compared++;
	r = reader_over(buffer_span(&s->row));
	(void)read_u16(&r);
	for (size_t i = 0; i < NAMES; i++) {
		struct span got = read_value(&r);

		if (known)
			check_value(s, names[i], values[i], got);
		totals.settings += known;
		totals.unknown += !known;
	}
	statements_known = !m->statements_unknown;
	prepared = read_value(&r);
	cursors = read_value(&r);
	if (statements_known) {
		check_value(s, "pg_prepared_statements", statements, prepared);
		if (!s->was_unseen) /* a held cursor is not looked for after a gap */
			check_value(s, "pg_cursors", portals, cursors);
	}
	totals.statements += statements_known;
	totals.statements_unknown += !statements_known;
	compare_temporaries(s, m, read_value(&r));
}

static bool side_command(const char *text)
{
	PGresult *r = PQexec(side, text);
	bool ok = PQresultStatus(r) == PGRES_COMMAND_OK || PQresultStatus(r) == PGRES_TUPLES_OK;

	if (!ok)
		fprintf(stderr, "%s: %s", text, PQerrorMessage(side));
	PQclear(r);

	return ok;
}

static bool side_alive(void)
{
	PGresult *r = PQexec(side, "rollback");
	bool alive = PQresultStatus(r) == PGRES_COMMAND_OK;

	PQclear(r);

	return alive;
}

static bool side_settings(const struct dark_read *read)
{
	bool ok = true;

	for (size_t i = 0; i < read->nsettings && ok; i++) {
		const char *values[] = {read->settings[i].name, read->settings[i].value};
		PGresult *r = PQexecParams(side, "select pg_catalog.set_config($1, $2, true)", 2,
			NULL, values, NULL, NULL, 0);

		ok = PQresultStatus(r) == PGRES_TUPLES_OK;
		if (!ok)
			fprintf(stderr, "set_config(%s, %s): %s", values[0], values[1],
				PQerrorMessage(side));
		PQclear(r);
	}

	return ok;
}

static PGresult *side_read(const struct dark_read *read)
{
	const char *values[8] = {NULL};
	Oid types[8] = {0};
	PGresult *r;

	for (uint16_t i = 0; i < read->nparams && i < 8; i++)
		if (read->params[i].data)
			values[i] =
				strndup((const char *)read->params[i].data, read->params[i].len);
	for (uint16_t i = 0; i < read->nparam_types && i < 8; i++)
		types[i] = read->param_types[i];
	r = PQexecParams(side, read->sql, read->nparams, types, values, NULL, NULL, 0);
	for (size_t i = 0; i < 8; i++)
		free((char *)values[i]);

	return r;
}

static bool same_value(const PGresult *r, int row, int column, struct span value)
{
	const char *text = PQgetvalue(r, row, column);

	if (PQgetisnull(r, row, column) || !value.data)
		return PQgetisnull(r, row, column) && !value.data;
	return strlen(text) == value.len && memcmp(text, value.data, value.len) == 0;
}

static void compare_row(struct session *s, const struct dark_read *read, const PGresult *r, int row,
	struct span bytes)
{
	struct reader values = reader_over(bytes);
	int n = read_u16(&values);

	for (int c = 0; c < n; c++) {
		struct span value = read_value(&values);
		char more[1024];

		if (same_value(r, row, c, value))
			continue;
		snprintf(more, sizeof more, "%s: \"%s\" instead of \"%.*s\"", read->sql,
			PQgetvalue(r, row, c), (int)value.len,
			value.data ? (const char *)value.data : "null");
		fail(s, "a dark read gives other rows", more);
	}
	totals.rows++;
}

static void compare_rows(struct session *s, const struct dark_read *read, const PGresult *r)
{
	uint64_t rows = (uint64_t)PQntuples(r);
	size_t at = 0;
	struct span row;

	if (s->was_unseen && strstr(read->sql, "'app."))
		return; /* whether a gap has set it, and nothing since, is not known (S4) */
	if (read->row_limit && rows > read->row_limit)
		rows = read->row_limit;
	if (rows != read->primary.rows) {
		fail(s, "a dark read gives another number of rows", read->sql);
		return;
	}
	for (int i = 0; result_kept_row(&read->primary, &at, &row); i++)
		compare_row(s, read, r, i, row);
}

static bool has_custom(const struct dark_read *read)
{
	for (size_t i = 0; i < read->nsettings; i++)
		if (strchr(read->settings[i].name, '.'))
			return true;

	return false;
}

/* Runs a dark read as a candidate's connection would. */
static void run_read(struct session *s, const struct dark_read *read)
{
	PGresult *r;
	const char *state;

	if (!side_command("begin read only") || !side_settings(read)) {
		fail(s, "a dark read's settings do not apply", read->sql);
		side_command("rollback");
		return;
	}
	r = side_read(read);
	state = PQresultErrorField(r, PG_DIAG_SQLSTATE);
	if (state && read->primary.end == RESULT_ERROR) {
		if (strcmp(state, read->primary.sqlstate) != 0)
			fail(s, "a dark read fails otherwise", read->sql);
	} else if (state || read->primary.end == RESULT_ERROR) {
		fail(s, "a dark read fails on one side", read->sql);
	} else {
		compare_rows(s, read, r);
	}
	PQclear(r);
	side_command("rollback");
	if (has_custom(read))
		PQreset(side); /* a custom setting leaves '' behind where there was nothing */
	totals.reads++;
}

static void run_reads(struct session *s)
{
	for (size_t i = 0; i < s->nreads; i++) {
		if (!s->failure[0])
			run_read(s, s->reads[i]);
		dark_read_unref(s->reads[i]);
	}
	s->nreads = 0;
}

static const struct database_view *on_database(void *self, const char *name)
{
	(void)name;
	return &((struct session *)self)->view;
}

static void on_begin(void *self)
{
	books_seen(&((struct session *)self)->books, 0);
}

static void on_end(
	void *self, const struct statement *statement, enum outcome outcome, enum reason reason)
{
	struct session *s = self;

	(void)statement;
	books_end(&s->books, 0, outcome, reason);
	totals.skipped[reason]++;
}

static void on_read(void *self, struct dark_read *read)
{
	struct session *s = self;

	books_end(&s->books, 0, OUTCOME_MATCHED, REASON_NONE);
	if (s->nreads < READS_MAX)
		s->reads[s->nreads++] = read;
	else
		dark_read_unref(read);
}

static void check_books(struct session *s)
{
	const struct books *b = &s->books;

	if (books_pending(&b->candidate[0]) != 0 || observer_frames_open(s->observer) != 0 ||
		b->observed != b->frames_execution + b->frames_continuation + b->frames_discarded)
		fail(s, "the books do not balance", "");
	if (observer_desyncs(s->observer) > 0)
		fail(s, "the observer lost the session", "");
}

/* --- a session -------------------------------------------------------------------------------- */

static void connect_to(struct session *s)
{
	struct sockaddr_in address = {.sin_family = AF_INET};

	address.sin_port = htons((uint16_t)strtoul(port, NULL, 10));
	inet_pton(AF_INET, host, &address.sin_addr);
	s->fd = socket(AF_INET, SOCK_STREAM, 0);
	if (s->fd < 0 || connect(s->fd, (struct sockaddr *)&address, sizeof address) != 0)
		fail(s, "cannot connect", strerror(errno));
}

static const struct {
	const char *name, *value;
} startup_settings[] = {{"TimeZone", "America/New_York"}, {"DateStyle", "ISO, DMY"},
	{"extra_float_digits", "2"}, {"search_path", "s2"}, {"app.tenant", "startup"},
	{"options", "-c search_path=s1,\\ public --bytea-output=hex -cTimeZone=Asia/Seoul"},
	{"options", "--app.region=south -c extra_float_digits=1 -c work_mem=2MB"},
	{"role", "model_helper"}, {"client_encoding", "UTF8"}, {"datestyle", "German"},
	{"options", "-c default_transaction_isolation=repeatable\\ read"}};

static void startup_packet(struct buffer *b)
{
	buffer_add_u32(b, PROTOCOL_3_0);
	buffer_add_cstr(b, "user");
	buffer_add_cstr(b, "model_app");
	buffer_add_cstr(b, "database");
	buffer_add_cstr(b, database);
	for (unsigned n = below(4); n > 0; n--) {
		size_t i = below(sizeof startup_settings / sizeof *startup_settings);

		buffer_add_cstr(b, startup_settings[i].name);
		buffer_add_cstr(b, startup_settings[i].value);
	}
	buffer_add_u8(b, 0);
}

/* The tape begins behind authentication: R and K never reach it. */
static void take_start(struct session *s)
{
	uint8_t header[MESSAGE_HEADER], body[8192];

	do {
		uint32_t length;

		if (recv(s->fd, header, sizeof header, MSG_WAITALL) != sizeof header)
			break;
		memcpy(&length, header + 1, 4);
		length = ntohl(length) - 4;
		if (length > sizeof body ||
			recv(s->fd, body, length, MSG_WAITALL) != (ssize_t)length)
			break;
		if (header[0] == BACK_ERROR)
			fail(s, "no session", (const char *)body);
		if (header[0] == BACK_AUTHENTICATION || header[0] == BACK_KEY_DATA)
			continue;
		record(s, TAPE_BACK, header, sizeof header);
		record(s, TAPE_BACK, body, length);
		if (header[0] == BACK_PARAMETER_STATUS)
			note_reported(s, &(struct message){
						 .type = header[0], .body = span_of(body, length)});
		if (header[0] == BACK_READY)
			return;
	} while (!s->failure[0]);
	fail(s, "no session", "the server closed");
}

static void start(struct session *s)
{
	struct tape_open open = {0};
	struct buffer packet, payload;
	uint8_t length[4];

	buffer_init(&packet, STARTUP_LENGTH_MAX);
	buffer_init(&payload, BYTES_MAX);
	startup_packet(&packet);
	open.startup_len = (uint32_t)packet.len;
	buffer_add(&payload, &open, sizeof open);
	buffer_add_span(&payload, buffer_span(&packet));
	record(s, TAPE_OPEN, payload.data, payload.len);
	for (size_t at = 8; at < packet.len; at++)
		buffer_printf(&s->diary, "%c", packet.data[at] ? packet.data[at] : '\n');
	connect_to(s);
	length[0] = length[1] = 0;
	length[2] = (uint8_t)((packet.len + 4) >> 8);
	length[3] = (uint8_t)(packet.len + 4);
	if (!s->failure[0] &&
		(send(s->fd, length, 4, 0) != 4 ||
			send(s->fd, packet.data, packet.len, 0) != (ssize_t)packet.len))
		fail(s, "cannot send", strerror(errno));
	if (!s->failure[0])
		take_start(s);
	buffer_release(&packet);
	buffer_release(&payload);
}

static void ignore_event(void *self, const struct pairing_event *event)
{
	(void)self;
	(void)event;
}

/* What the tables' settings give model_app: as the control's catalogue would say. */
static struct base_setting base[] = {
	{(char *)"model_app", (char *)"bytea_output", (char *)"escape"},
	{(char *)"model_app", (char *)"search_path", (char *)"s1, public"},
	{(char *)"other", (char *)"search_path", (char *)"s2"},
	{(char *)"model_app", (char *)"app.region", (char *)"north"}};

static struct session *session_new(void)
{
	struct session *s = calloc(1, sizeof *s);
	struct observer_options options = {.max_sessions = 10,
		.max_message_bytes = BYTES_MAX,
		.keep_limit_bytes = BYTES_MAX,
		.memory_limit_bytes = 64 << 20,
		.sample = 1};
	struct observer_sink sink = {s, on_database, on_begin, on_end, on_read};

	if (!s)
		exit(3);
	s->recording.epoch = 1;
	s->recorder.recording = &s->recording;
	s->view = (struct database_view){.classifier = classifier,
		.primary = catalogue,
		.generation = 1,
		.base = base,
		.nbase = sizeof base / sizeof *base};
	s->observer = observer_new(&options, &s->books, &sink);
	s->pairing = pairing_new(10000, ignore_event, s);
	if (!s->observer || !s->pairing)
		exit(3);
	assembler_init(&s->assembler, BYTES_MAX);
	buffer_init(&s->out, BYTES_MAX);
	buffer_init(&s->diary, BYTES_MAX);
	buffer_init(&s->row, BYTES_MAX);
	s->fd = -1;
	s->status = 'I';

	return s;
}

static void session_free(struct session *s)
{
	if (s->fd >= 0)
		close(s->fd);
	observer_free(s->observer);
	run_reads(s);
	recorder_forget_unseen(&s->recorder);
	pairing_free(s->pairing);
	assembler_release(&s->assembler);
	buffer_release(&s->out);
	buffer_release(&s->diary);
	buffer_release(&s->row);
	free(s);
}

/* Some sequences crash a server of version 18: then all its connections go, and come back. */
static void revive(void)
{
	while (side_alive())
		poll(NULL, 0, 1);
	for (int tries = 0; tries < DEADLINE_MS / 10 && !side_alive(); tries++) {
		poll(NULL, 0, 10);
		PQreset(side);
	}
	PQreset(admin);
	totals.crashes++;
}

static void step(struct session *s)
{
	put_step(s);
	if (percent(3))
		begin_gap(s);
	s->lose_answers = percent(1);
	converse(s);
	if (s->unseen && s->status == 'I' && !s->closed && percent(60))
		end_gap(s);
	run_reads(s);
	totals.steps++;
	if (!s->failure[0] && !s->closed && !s->unseen &&
		(s->status == 'I' || (s->status == 'T' && percent(50))))
		compare_model(s);
	/* Somebody else writes: an old snapshot must not be compared with the present. */
	if (percent(10))
		side_command("insert into w values (2)");
}

static bool run_session(unsigned long seed)
{
	struct session *s = session_new();
	bool good;

	chance_state = seed;
	start(s);
	for (unsigned n = 1 + below(STEPS_MAX); n > 0 && !s->failure[0] && !s->closed; n--)
		step(s);
	totals.closed += s->closed;
	if (s->closed && !s->fatal)
		revive();
	observer_end(s->observer);
	run_reads(s);
	check_books(s);
	totals.sessions++;
	totals.disagreements += observer_disagreements(s->observer);
	good = !s->failure[0];
	if (!good)
		fprintf(stderr, "seed %lu: %s\n%.*s", seed, s->failure, (int)s->diary.len,
			(const char *)s->diary.data);
	session_free(s);

	return good;
}

/* --- the server ------------------------------------------------------------------------------- */

static PGconn *connection(const char *user)
{
	const char *keys[] = {"host", "port", "dbname", "user", NULL};
	const char *values[] = {host, port, database, user, NULL};
	PGconn *c = PQconnectdbParams(keys, values, 0);

	if (PQstatus(c) != CONNECTION_OK) {
		fprintf(stderr, "model_live: %s", PQerrorMessage(c));
		exit(3);
	}

	return c;
}

static void make_everything(void)
{
	static const char text[] =
		"set client_min_messages = error;"
		"drop schema if exists s1, s2 cascade; drop table if exists w, dfk, dparent "
		"cascade;"
		"drop role if exists model_app, model_side, model_helper;"
		"create role model_app login; create role model_side login;"
		"create role model_helper; grant model_helper to model_app;"
		"create schema s1; create schema s2;"
		"create table s1.t as select a, 'one ' || a as b from generate_series(1, 5) a;"
		"create table s2.t as select a, 'two ' || a as b from generate_series(2, 8) a;"
		"create table s1.u as select a, 'one ' || a as b from generate_series(1, 4) a;"
		"create table s2.u as select a, 'two ' || a as b from generate_series(3, 5) a;"
		"create view s1.v as select a, b || '!' as b from s1.t where a < 4;"
		"create view s2.v as select a, b || '?' as b from s2.t where a > 4;"
		"create table w (a int);"
		"drop view if exists told, told_early;"
		"create or replace function tells() returns bigint language plpgsql stable as "
		"$$begin return (select count(*) from t); end$$;"
		"create view told as select tells() as n;"
		"create view told_early as select count(*) as n from s1.t;"
		"create or replace function calm_function() returns int language sql volatile as "
		"$$insert into w values (4); select 1$$;"
		"create or replace procedure calm(n int default 2) language plpgsql as "
		"$$begin perform calm_function(); if n > 1 then update w set a = a; end if; end$$;"
		"create or replace procedure fails_calmly() language plpgsql as "
		"$$begin insert into w values (8); perform 1 / 0; end$$;"
		"create or replace procedure makes_temporary() language plpgsql as "
		"$$begin create temp table if not exists t (a int, b text); end$$;"
		"create or replace function makes_temporary_by_text() returns int language plpgsql "
		"as "
		"$$begin execute 'create temp table if not exists u (a int, b text)'; return 1; "
		"end$$;"
		"create or replace function over_setting() returns int language plpgsql as "
		"$$begin return set_by_function(); end$$;"
		"create table dparent (id int primary key);"
		"create table dfk (a int references dparent deferrable initially deferred);"
		"create or replace procedure set_some() language plpgsql as "
		"$$begin perform set_config('extra_float_digits', '0', false);"
		" perform set_config('timezone', 'Asia/Tokyo', false); end$$;"
		"create or replace procedure fail_after_set() language plpgsql as "
		"$$begin perform set_config('extra_float_digits', '0', false); "
		"raise exception 'no'; end$$;"
		"create or replace procedure commit_and_fail() language plpgsql as "
		"$$begin perform set_config('extra_float_digits', '0', false); commit; "
		"raise exception 'no'; end$$;"
		"create or replace function set_by_function() returns int language plpgsql "
		"volatile as "
		"$$begin perform set_config('bytea_output', 'hex', false); return 1; end$$;"
		"grant usage on schema s1, s2 to public;"
		"grant all on all tables in schema s1, s2, public to public;"
		"alter role model_app set bytea_output = 'escape';"
		"alter role model_app set search_path = s1, public;"
		"alter role model_app set app.region = 'north'";
	PGresult *r = PQexec(admin, "revoke model_helper from model_app");

	PQclear(r);
	r = PQexec(admin, text);
	if (PQresultStatus(r) != PGRES_COMMAND_OK) {
		fprintf(stderr, "model_live: %s", PQerrorMessage(admin));
		exit(3);
	}
	PQclear(r);
	r = PQexec(
		admin, "select format('grant temp on database %I to public', current_database())");
	PQclear(PQexec(admin, PQgetvalue(r, 0, 0)));
	PQclear(r);
}

static void learn_defaults(void)
{
	for (size_t i = 0; i < NAMES; i++) {
		const char *values[] = {names[i]};
		PGresult *r = PQexecParams(side, "select coalesce(current_setting($1, true), '~')",
			1, NULL, values, NULL, NULL, 0);

		snprintf(defaults[i], sizeof defaults[i], "%s", PQgetvalue(r, 0, 0));
		PQclear(r);
	}
}

static void report(unsigned long seed, unsigned long sessions)
{
	printf("seeds %lu to %lu: %lu sessions (%lu closed by the server, %lu of them by a crash), "
	       "%lu steps, %lu comparisons\n",
		seed, seed + sessions - (sessions > 0), totals.sessions, totals.closed,
		totals.crashes, totals.steps, totals.compared);
	printf("settings: %lu equal, %lu unknown; statements and cursors: %lu tables equal, %lu "
	       "unknown; temporary relations: %lu sets equal, %lu with more, %lu unknown; "
	       "disagreements with "
	       "ParameterStatus: %lu\n",
		totals.settings, totals.unknown, totals.statements, totals.statements_unknown,
		totals.temporaries, totals.temporaries_more, totals.temporaries_unknown,
		totals.disagreements);
	printf("gaps: %lu; dark reads: %lu equal, %lu rows; not read:", totals.gaps, totals.reads,
		totals.rows);
	for (size_t i = 0; i < REASON_COUNT; i++)
		if (totals.skipped[i])
			printf(" %s %lu", reason_name((enum reason)i), totals.skipped[i]);
	printf("\n");
}

int main(int argc, char **argv)
{
	struct error error = {""};
	unsigned long seed, sessions, i;

	if (argc != 6) {
		fprintf(stderr, "usage: model_live HOST PORT DATABASE SEED SESSIONS\n");
		return 2;
	}
	host = argv[1];
	port = argv[2];
	database = argv[3];
	seed = strtoul(argv[4], NULL, 10);
	sessions = strtoul(argv[5], NULL, 10);
	admin = connection("postgres");
	make_everything();
	side = connection("model_side");
	learn_defaults();
	catalogue = catalogue_load(admin, &error);
	if (!catalogue) {
		fprintf(stderr, "model_live: %s\n", error.text);
		return 3;
	}
	classifier = classifier_new(&(struct classifier_options){
		.cache_entries = 1000, .max_sql_bytes = 65536, .allow_functions = ""});
	if (!classifier)
		return 3;
	classifier_set_catalogue(classifier, catalogue, 1);
	for (i = 0; i < sessions; i++)
		if (!run_session(seed + i))
			break;
	report(seed, i);
	classifier_free(classifier);
	catalogue_free(catalogue);
	PQfinish(admin);
	PQfinish(side);

	return i == sessions ? 0 : 1;
}

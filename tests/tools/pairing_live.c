/* Random sessions against a real server, to test the pairing of answers with requests:
 *
 *     pairing_live HOST PORT USER DATABASE SEED SESSIONS
 *
 * The server must let USER in without a password; the tables t, dparent, dfk, tr, cp and ctr of
 * DATABASE are made anew. A session sends up to 25 random steps (extended and simple messages, COPY
 * with Syncs sent too early, errors, stray messages) cut into random pieces, then what ends any
 * copy, two Syncs and a probe. It fails when the pairing is lost, when a fork or a request stays
 * open, when a request has not exactly one end, and when a marker comes back for another request
 * than the one that carried it: some queries select their own number, some Parse texts fail with
 * theirs. */
#include "protocol/error.h"
#include "protocol/framer.h"
#include "protocol/message.h"
#include "protocol/pairing.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	STEPS_MAX = 25,
	MESSAGES_MAX = 1000,
	SCRIPT_BYTES = 256 * 1024,
	MESSAGE_BYTES = 1024 * 1024,
	PAIRING_LIMIT = 10000,
	DEADLINE_MS = 20000,
	VERSION_FUNCTION = 89, /* OID of version() */
};

struct planned {
	size_t offset, len;
	uint8_t type, sub;
};

struct request {
	uint32_t message; /* index into the plan */
	bool ended, failed;
	enum pairing_event_kind end;
	bool row_seen, error_seen; /* its marker came back */
};

struct totals {
	unsigned long sessions, front, back, ready, forks, fatal, rows, errors;
	size_t hypotheses;
};

struct session {
	int fd;
	struct assembler assembler;
	struct pairing *pairing;
	struct buffer script;
	struct planned plan[MESSAGES_MAX];
	size_t planned;
	struct request requests[MESSAGES_MAX + 1]; /* by request number */
	uint32_t relayed;
	enum pairing_result result;
	bool closed; /* end of file */
	struct buffer diary;
	struct error error;
	struct totals *totals;
};

/* Chance: splitmix64, so that a seed means the same everywhere. */

static uint64_t chance_state;

static uint64_t chance(void)
{
	uint64_t z = (chance_state += 0x9e3779b97f4a7c15u);

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;

	return z ^ z >> 31;
}

static unsigned below(unsigned n)
{
	return (unsigned)(chance() % n);
}

static bool percent(unsigned n)
{
	return below(100) < n;
}

#define PICK(table) ((table)[below(sizeof(table) / sizeof((table)[0]))])

/* The plan. */

static const char *const statements[] = {"select 1", "select a from t order by a", "select 1/0",
	"bogus", "", "select g,1/(3-g) from generate_series(1,5) g", "select pg_notify('fz','x')",
	"set timezone='UTC'", "set timezone='Asia/Tokyo'", "insert into dfk values (999)",
	"show timezone", "begin", "commit", "rollback", "savepoint s", "rollback to s",
	"values (1),(2),(3)", "insert into cp values (1) returning a", "copy (select 1) to stdout",
	"copy cp from stdin", "copy ctr from stdin", "copy nope from stdin",
	"do $$begin raise notice 'n'; end$$", "listen fz", "declare c1 cursor for select a from t",
	"fetch 2 from c1", "deallocate all", "discard all", "close all", "vacuum cp",
	"explain select 1", "insert into tr values (1)", "select from t limit 2",
	"prepare s1 as select 1", "execute s1", "deallocate s1"};
static const char *const strings[] = {"select 1; select 2", "select 1; select 1/0; select 2",
	"begin; select 1", "select 1;;select 2", "commit; select 1",
	"select 1; copy cp from stdin; select 2", "copy cp from stdin; copy cp from stdin", ";",
	"insert into tr values (1); select 3"};
static const char *const copies[] = {
	"copy cp from stdin", "copy ctr from stdin", "copy nope from stdin"};
static const char *const names[] = {"", "s1", "s2"};
static const char *const portals[] = {"", "p1", "c1"};
static const char *const lines[] = {"1\n", "x\n", "2\n"};

static void plan_from(struct session *s, size_t offset)
{
	struct planned *message = &s->plan[s->planned++];
	const uint8_t *bytes = s->script.data + offset;

	if (s->script.failed || s->planned == MESSAGES_MAX) {
		fprintf(stderr, "pairing_live: the script is too long\n");
		exit(3);
	}
	*message = (struct planned){.offset = offset, .len = s->script.len - offset};
	message->type = bytes[0];
	if (message->type == FRONT_DESCRIBE || message->type == FRONT_CLOSE)
		message->sub = bytes[MESSAGE_HEADER];
}

static void plan_simple(struct session *s, char type)
{
	size_t offset = s->script.len;

	build_simple(&s->script, type);
	plan_from(s, offset);
}

static void plan_query(struct session *s, const char *sql)
{
	size_t offset = s->script.len;

	build_query(&s->script, sql);
	plan_from(s, offset);
}

static void plan_parse(struct session *s, const char *name, const char *sql)
{
	size_t offset = s->script.len;

	build_parse(&s->script, span_cstr(name), span_cstr(sql), 0, NULL);
	plan_from(s, offset);
}

static void plan_bind(struct session *s, const char *portal, const char *name)
{
	uint16_t format = (uint16_t)below(2);
	size_t offset = s->script.len;

	build_bind(&s->script, span_cstr(portal), span_cstr(name), 0, NULL, 0, NULL,
		(uint16_t)below(2), &format);
	plan_from(s, offset);
}

static void plan_target(struct session *s, bool describe)
{
	bool statement = percent(50);
	struct span name = span_cstr(percent(50) ? PICK(names) : PICK(portals));
	size_t offset = s->script.len;

	if (describe)
		build_describe(&s->script, statement ? 'S' : 'P', name);
	else
		build_close(&s->script, statement ? 'S' : 'P', name);
	plan_from(s, offset);
}

static void plan_execute(struct session *s, const char *portal, uint32_t max_rows)
{
	size_t offset = s->script.len;

	build_execute(&s->script, span_cstr(portal), max_rows);
	plan_from(s, offset);
}

static void plan_copy_text(struct session *s, char type, const char *text)
{
	size_t len = strlen(text) + (type == FRONT_COPY_FAIL); /* CopyFail has a string, with NUL */
	size_t offset = s->script.len;

	buffer_add_u8(&s->script, (uint8_t)type);
	buffer_add_u32(&s->script, (uint32_t)(4 + len));
	buffer_add(&s->script, text, len);
	plan_from(s, offset);
}

static void plan_copy_end(struct session *s)
{
	if (percent(67))
		plan_simple(s, FRONT_COPY_DONE);
	else
		plan_copy_text(s, FRONT_COPY_FAIL, "no");
}

static void plan_function_call(struct session *s)
{
	size_t offset = s->script.len;

	buffer_add_u8(&s->script, FRONT_FUNCTION_CALL);
	buffer_add_u32(&s->script, 4 + 4 + 2 + 2 + 2);
	buffer_add_u32(&s->script, VERSION_FUNCTION);
	buffer_add(&s->script, "\0\0\0\0\0\0", 6); /* no formats, no arguments, text result */
	plan_from(s, offset);
}

static void plan_marked(struct session *s, char type)
{
	char sql[64];

	if (type == FRONT_QUERY) {
		snprintf(sql, sizeof sql, "select 'mark %zu'", s->planned);
		plan_query(s, sql);
	} else {
		snprintf(sql, sizeof sql, "bogus_%zu", s->planned);
		plan_parse(s, PICK(names), sql);
	}
}

static void plan_copy_by_execute(struct session *s)
{
	plan_parse(s, "", PICK(copies));
	plan_bind(s, "", "");
	plan_execute(s, "", 0);
	for (unsigned syncs = percent(60) ? 1 + percent(20) + percent(5) : 0; syncs > 0; syncs--)
		plan_simple(s, FRONT_SYNC);
	for (unsigned n = below(4); n > 0; n--)
		plan_copy_text(s, FRONT_COPY_DATA, PICK(lines));
	plan_copy_end(s);
	if (percent(80))
		plan_simple(s, FRONT_SYNC);
	if (percent(30))
		plan_marked(s, FRONT_QUERY);
}

static void plan_copy_by_query(struct session *s)
{
	plan_query(s, PICK(copies));
	if (percent(20))
		plan_simple(s, FRONT_SYNC);
	for (unsigned n = below(3); n > 0; n--)
		plan_copy_text(s, FRONT_COPY_DATA, PICK(lines));
	plan_copy_end(s);
}

/* The shares are per thousand. */
static void plan_step(struct session *s)
{
	unsigned r = below(1000);

	if (r < 140)
		plan_parse(s, PICK(names), PICK(statements));
	else if (r < 170)
		plan_marked(s, FRONT_PARSE);
	else if (r < 350)
		plan_bind(s, PICK(portals), PICK(names));
	else if (r < 450)
		plan_target(s, true);
	else if (r < 610)
		plan_execute(s, PICK(portals), percent(50) ? 0 : 1 + below(2));
	else if (r < 650)
		plan_target(s, false);
	else if (r < 770)
		plan_simple(s, FRONT_SYNC);
	else if (r < 830)
		plan_query(s, percent(80) ? PICK(statements) : PICK(strings));
	else if (r < 880)
		plan_marked(s, FRONT_QUERY);
	else if (r < 900)
		plan_function_call(s);
	else if (r < 920)
		plan_simple(s, FRONT_FLUSH);
	else if (r < 930)
		plan_copy_text(s, FRONT_COPY_DATA, PICK(lines));
	else if (r < 940)
		plan_copy_end(s);
	else if (r < 980)
		plan_copy_by_execute(s);
	else
		plan_copy_by_query(s);
}

/* Behind the random part: leave any copy, leave any skipping, and ask something that must pair. */
static void plan_tail(struct session *s)
{
	for (int i = 0; i < 3; i++)
		plan_simple(s, FRONT_COPY_DONE);
	plan_simple(s, FRONT_SYNC);
	plan_simple(s, FRONT_SYNC);
	plan_query(s, "rollback");
	plan_marked(s, FRONT_QUERY);
}

/* The session. */

static bool failed(const struct session *s)
{
	return s->error.text[0] != '\0';
}

static void fail(struct session *s, const char *what, uint32_t request)
{
	if (failed(s))
		return;
	error_set(&s->error, "%s, request %u (%c, message %u)", what, request,
		request ? s->plan[s->requests[request].message].type : '-',
		s->requests[request].message);
}

static void on_event(void *self, const struct pairing_event *event)
{
	struct session *s = self;
	struct request *request = &s->requests[event->request];
	bool more = event->type == FRONT_QUERY || event->type == FRONT_SYNC ||
		    event->type == FRONT_FUNCTION_CALL;

	if (event->request == 0 || event->request > s->relayed) {
		fail(s, "an event for a request that was never made", 0);
		return;
	}
	if (request->ended)
		fail(s, "a second end", event->request);
	if (event->kind == PAIR_FAILED)
		request->failed = true;
	if (event->kind == PAIR_FAILED && more)
		return;
	request->ended = true;
	request->end = event->kind;
}

/* The number behind a marker's prefix, or -1. */
static long marker(struct span text, const char *prefix)
{
	size_t n = strlen(prefix);

	for (size_t i = 0; i + n < text.len; i++) {
		long number = 0;

		if (memcmp(text.data + i, prefix, n) != 0)
			continue;
		for (i += n; i < text.len && text.data[i] >= '0' && text.data[i] <= '9'; i++)
			number = number * 10 + (text.data[i] - '0');
		return number;
	}

	return -1;
}

/* A marker names the message that it answers: the pairing must name the same, or, while forked,
 * nothing. The request's end is compared with what was seen when the session is over. */
static void check_marker(struct session *s, const struct message *m)
{
	bool row = m->type == BACK_DATA_ROW;
	long number = row		      ? marker(m->body, "mark ")
		      : m->type == BACK_ERROR ? marker(m->body, "\"bogus_")
					      : -1;
	uint32_t head;
	uint8_t type;

	if (number < 0)
		return;
	head = pairing_head(s->pairing, &type);
	for (uint32_t i = 1; i <= s->relayed; i++) {
		if (s->requests[i].message != (uint32_t)number)
			continue;
		if (row)
			s->requests[i].row_seen = true;
		else
			s->requests[i].error_seen = true;
		if (head != 0 && head != i)
			fail(s, "a marker was paired with another request", i);
		return;
	}
	fail(s, "a marker that nobody sent", 0);
}

static void take_message(struct session *s, const struct message *m)
{
	size_t before = pairing_hypotheses(s->pairing);
	size_t now;

	if (s->result == PAIRING_CLOSED || failed(s))
		return;
	buffer_printf(&s->diary, "<%c ", m->type);
	check_marker(s, m);
	s->result = pairing_back(s->pairing, m->type, m->body);
	if (s->result == PAIRING_LOST)
		fail(s, "the pairing was lost", 0);
	now = pairing_hypotheses(s->pairing);
	s->totals->back++;
	s->totals->ready += m->type == BACK_READY;
	s->totals->forks += before == 1 && now > 1;
	if (now > s->totals->hypotheses)
		s->totals->hypotheses = now;
}

static void take_bytes(struct session *s, struct span bytes)
{
	enum assemble_result result;
	struct message m;

	while ((result = assembler_next(&s->assembler, &bytes, &m)) == ASSEMBLE_MESSAGE)
		take_message(s, &m);
	if (result != ASSEMBLE_MORE)
		fail(s, "the stream was lost", 0);
}

/* Reads what comes within timeout_ms, or at once if that is 0. False when nothing came. */
static bool pump(struct session *s, int timeout_ms)
{
	struct pollfd p = {.fd = s->fd, .events = POLLIN};
	uint8_t bytes[16384];
	ssize_t n;

	if (s->closed || poll(&p, 1, timeout_ms) <= 0)
		return false;
	n = recv(s->fd, bytes, sizeof bytes, 0);
	if (n > 0)
		take_bytes(s, span_of(bytes, (size_t)n));
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		s->closed = true;

	return n > 0;
}

static void send_bytes(struct session *s, struct span bytes)
{
	while (bytes.len > 0 && !s->closed) {
		struct pollfd p = {.fd = s->fd, .events = POLLIN | POLLOUT};
		ssize_t n;

		if (poll(&p, 1, DEADLINE_MS) <= 0) {
			fail(s, "the server takes nothing more", 0);
			return;
		}
		if (p.revents & POLLIN)
			pump(s, 0);
		if (!(p.revents & POLLOUT))
			continue;
		n = send(s->fd, bytes.data, bytes.len, MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return; /* the server has closed; what it said is still to be read */
		if (n > 0)
			bytes = span_of(bytes.data + n, bytes.len - (size_t)n);
	}
}

/* The pairing is told of a message when it is relayed, which is before it is sent. */
static void relay_piece(struct session *s, size_t from, size_t count)
{
	struct planned *last = &s->plan[from + count - 1];
	const uint8_t *start = s->script.data + s->plan[from].offset;
	uint32_t request;

	for (size_t i = from; i < from + count && s->result == PAIRING_OK; i++) {
		s->relayed++;
		s->requests[s->relayed] = (struct request){.message = (uint32_t)i};
		buffer_printf(&s->diary, ">%c ", s->plan[i].type);
		s->result = pairing_front(s->pairing, s->plan[i].type, s->plan[i].sub, &request);
		if (request == 0)
			s->relayed--;
		else if (request != s->relayed)
			fail(s, "a request has a wrong number", request);
		if (s->result == PAIRING_LOST)
			fail(s, "the pairing was lost at a request", request);
		s->totals->front++;
	}
	if (!failed(s))
		send_bytes(s, span_of(start, last->offset + last->len - s->plan[from].offset));
}

static void relay_all(struct session *s)
{
	static const size_t pieces[] = {1, 1, 2, 3, 8, 100};
	static const int pauses_ms[] = {0, 1, 5};
	size_t count;

	for (size_t i = 0; i < s->planned && s->result == PAIRING_OK && !failed(s); i += count) {
		count = PICK(pieces);
		if (count > s->planned - i)
			count = s->planned - i;
		relay_piece(s, i, count);
		if (percent(40))
			pump(s, PICK(pauses_ms));
	}
}

static long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);

	return t.tv_sec * 1000L + t.tv_nsec / 1000000L;
}

static void drain(struct session *s)
{
	long deadline = now_ms() + DEADLINE_MS;

	while (!failed(s) && !s->closed && s->result == PAIRING_OK && !pairing_idle(s->pairing)) {
		if (now_ms() > deadline)
			fail(s,
				pairing_hypotheses(s->pairing) > 1 ? "a fork stays open"
								   : "requests stay open",
				0);
		pump(s, 100);
	}
	if (s->closed && s->result == PAIRING_OK)
		fail(s, "the server closed without a word", 0);
}

/* Each marker came back if and only if the pairing says that its request was answered so. */
static void check_ends(struct session *s)
{
	for (uint32_t i = 1; i <= s->relayed && !failed(s); i++) {
		const struct request *request = &s->requests[i];
		const struct planned *message = &s->plan[request->message];
		struct span bytes = span_of(s->script.data + message->offset, message->len);
		bool done = request->end == PAIR_DONE && !request->failed;

		if (!request->ended && s->result == PAIRING_OK)
			fail(s, "a request without an end", i);
		if (!request->ended)
			continue;
		if (message->type == FRONT_QUERY && marker(bytes, "'mark ") >= 0) {
			s->totals->rows++;
			if (request->row_seen != done)
				fail(s, "a query's end does not agree with its row", i);
		}
		if (message->type == FRONT_PARSE && marker(bytes, "bogus_") >= 0) {
			s->totals->errors++;
			if (request->error_seen != request->failed || done)
				fail(s, "a Parse's end does not agree with its error", i);
		}
	}
}

/* Connecting. */

static int connect_to(const char *host, const char *port, struct error *error)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
	int on = 1, fd = -1;

	if (getaddrinfo(host, port, &hints, &found) != 0) {
		error_set(error, "no such host or port: %s:%s", host, port);
		return -1;
	}
	for (struct addrinfo *at = found; at && fd < 0; at = at->ai_next) {
		fd = socket(at->ai_family, at->ai_socktype, at->ai_protocol);
		if (fd >= 0 && connect(fd, at->ai_addr, at->ai_addrlen) != 0) {
			close(fd);
			fd = -1;
		}
	}
	freeaddrinfo(found);
	if (fd < 0) {
		error_set(error, "%s: %s:%s", strerror(errno), host, port);
		return -1;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	fcntl(fd, F_SETFL, O_NONBLOCK);

	return fd;
}

/* Reads messages until ReadyForQuery, outside the pairing. */
static void wait_for_ready(struct session *s)
{
	long deadline = now_ms() + DEADLINE_MS;
	struct error_fields fields;
	struct message m = {0};

	while (!failed(s) && m.type != BACK_READY) {
		struct pollfd p = {.fd = s->fd, .events = POLLIN};
		uint8_t byte;
		struct span bytes = span_of(&byte, 1); /* one by one: nothing behind is lost */

		if (poll(&p, 1, 100) <= 0 || recv(s->fd, &byte, 1, 0) != 1) {
			if (now_ms() > deadline || p.revents & POLLHUP)
				fail(s, "no ReadyForQuery from the server", 0);
			continue;
		}
		if (assembler_next(&s->assembler, &bytes, &m) != ASSEMBLE_MESSAGE)
			m.type = 0;
		if (m.type == BACK_ERROR && parse_error_fields(m.body, &fields))
			error_set(&s->error, "the server says: %.*s", (int)fields.message.len,
				(const char *)fields.message.data);
	}
}

static void start_up(struct session *s, char **where)
{
	struct buffer b;
	struct buffer body;

	s->fd = connect_to(where[0], where[1], &s->error);
	if (failed(s))
		return;
	buffer_init(&body, STARTUP_LENGTH_MAX);
	buffer_add_u32(&body, PROTOCOL_3_0);
	buffer_add_cstr(&body, "user");
	buffer_add_cstr(&body, where[2]);
	buffer_add_cstr(&body, "database");
	buffer_add_cstr(&body, where[3]);
	buffer_add_u8(&body, 0);
	buffer_init(&b, STARTUP_LENGTH_MAX);
	buffer_add_u32(&b, (uint32_t)body.len + 4);
	buffer_add_span(&b, buffer_span(&body));
	send_bytes(s, buffer_span(&b));
	wait_for_ready(s);
	buffer_release(&body);
	buffer_release(&b);
}

static struct session *session_new(char **where, struct totals *totals)
{
	struct session *s = calloc(1, sizeof *s);

	if (!s)
		exit(3);
	s->fd = -1;
	s->totals = totals;
	s->pairing = pairing_new(PAIRING_LIMIT, on_event, s);
	if (!s->pairing)
		exit(3);
	assembler_init(&s->assembler, MESSAGE_BYTES);
	buffer_init(&s->script, SCRIPT_BYTES);
	buffer_init(&s->diary, SCRIPT_BYTES);
	start_up(s, where);

	return s;
}

static void session_free(struct session *s)
{
	if (s->fd >= 0)
		close(s->fd);
	assembler_release(&s->assembler);
	pairing_free(s->pairing);
	buffer_release(&s->script);
	buffer_release(&s->diary);
	free(s);
}

static bool report_failure(const struct session *s, unsigned long seed)
{
	if (!failed(s))
		return true;
	fprintf(stderr, "seed %lu: %s\n  %.*s\n", seed, s->error.text, (int)s->diary.len,
		(const char *)s->diary.data);

	return false;
}

static bool run_session(char **where, unsigned long seed, struct totals *totals)
{
	struct session *s;
	bool good;

	chance_state = seed;
	s = session_new(where, totals);
	for (unsigned steps = 1 + below(STEPS_MAX); steps > 0; steps--)
		plan_step(s);
	plan_tail(s);
	if (!failed(s))
		relay_all(s);
	drain(s);
	check_ends(s);
	totals->sessions++;
	totals->fatal += s->result == PAIRING_CLOSED;
	good = report_failure(s, seed);
	session_free(s);

	return good;
}

static bool make_tables(char **where, struct totals *totals)
{
	static const char *const texts[] = {
		"set client_min_messages = error",
		"drop table if exists t, dfk, dparent, tr, cp, ctr cascade",
		"create table t as select a from generate_series(1, 5) a",
		"create table dparent (id int primary key)",
		"create table dfk (a int references dparent deferrable initially deferred)",
		"create table tr (a int)",
		"create table cp (a int)",
		"create table ctr (a int)",
		"create or replace function say() returns trigger language plpgsql as "
		"$$begin raise notice 'inserted'; return null; end$$",
		"create or replace function refuse() returns trigger language plpgsql as "
		"$$begin raise exception 'refused'; end$$",
		"create trigger say after insert on tr for each row execute function say()",
		"create trigger refuse before insert on ctr for each statement "
		"execute function refuse()",
	};
	struct session *s = session_new(where, totals);
	bool good;

	for (size_t i = 0; i < sizeof texts / sizeof texts[0] && !failed(s); i++) {
		buffer_clear(&s->script);
		build_query(&s->script, texts[i]);
		send_bytes(s, buffer_span(&s->script));
		wait_for_ready(s);
	}
	good = report_failure(s, 0);
	session_free(s);

	return good;
}

int main(int argc, char **argv)
{
	struct totals totals = {0};
	unsigned long seed, sessions;

	if (argc != 7) {
		fprintf(stderr, "usage: pairing_live HOST PORT USER DATABASE SEED SESSIONS\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	seed = strtoul(argv[5], NULL, 10);
	sessions = strtoul(argv[6], NULL, 10);
	if (!make_tables(argv + 1, &totals))
		return 3;
	for (unsigned long i = 0; i < sessions; i++)
		if (!run_session(argv + 1, seed + i, &totals))
			return 1;
	printf("seeds %lu to %lu: %lu sessions, %lu frontend and %lu backend messages, %lu "
	       "ReadyForQuery, %lu forks (at most %zu hypotheses), %lu ended by FATAL, %lu rows "
	       "and %lu errors checked by marker\n",
		seed, seed + sessions - (sessions > 0), totals.sessions, totals.front, totals.back,
		totals.ready, totals.forks, totals.hypotheses, totals.fatal, totals.rows,
		totals.errors);

	return 0;
}

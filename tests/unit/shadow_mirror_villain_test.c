/* The whole mirror against a server that misbehaves: it refuses, says nothing, dies, lies, floods.
 * The server runs on the same loop, on a loopback port; libpq connects to it from the connector's
 * thread. */
#include "protocol/framer.h"
#include "proxy/log.h"
#include "proxy/shadow/mirror.h"
#include "proxy/shadow/mirror_connection.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

/* The checks of the hand-over and our own statements, before the first read. An even number. */
enum { HAND_OVER_SYNCS = CONNECTION_CHECKS + 1 };

enum villainy {
	GOOD,
	REFUSES,	 /* login ends in FATAL */
	SILENT,		 /* logs in, answers the hand-over, then says nothing to reads */
	MUTE,		 /* logs in, then says nothing at all */
	DIES_MID_ROW,	 /* half a DataRow, then the end */
	DIES_AFTER_ROWS, /* the end in place of the first ReadyForQuery */
	FATAL_MID_READ,
	LIES_LENGTH,	     /* a message length of 2 */
	HUGE_MESSAGE,	     /* announces a row of 900 MB */
	TALKS_TOO_MUCH,	     /* a stray command tag behind the hand-over's Sync */
	ENDS_IN_TRANSACTION, /* ReadyForQuery(T) at the end */
	FLOODS,		     /* 50,000 rows */
	WRITABLE,	     /* reports default_transaction_read_only=off */
	PROMOTED, /* in_hot_standby=off comes with a read's answer, once server.promote is set */
};

struct server;
struct client {
	struct server *server;
	struct bufferevent *stream;
	struct assembler in;
	bool started;
	unsigned syncs, executes; /* in all; since the last Sync */
	bool stopped;		  /* nothing more is said */
	struct client *next;
};

struct server {
	struct event_base *base;
	struct evconnlistener *listener;
	struct client *clients;
	enum villainy villainy;
	unsigned logins, executes;
	unsigned bad_for; /* so many logins misbehave, then GOOD */
	bool promote;
};

struct field {
	struct event_base *base;
	struct server server;
	struct connector *connector;
	struct mirror *mirror;
	struct mirror_options options;
	char conninfo[128];
	unsigned outstanding, answered, failed;
	enum reason last_reason;
	unsigned failed_for[REASON_COUNT];
	uint64_t last_rows;
	bool last_kept_all, inside_submit, called_inside;
};

/* --- the server --- */

static void say(struct client *c, char type, const void *body, size_t len)
{
	struct buffer b;

	buffer_init(&b, 1 << 16);
	buffer_add_u8(&b, (uint8_t)type);
	buffer_add_u32(&b, (uint32_t)len + 4);
	buffer_add(&b, body, len);
	bufferevent_write(c->stream, b.data, b.len);
	buffer_release(&b);
}

static void say_tag(struct client *c, const char *tag)
{
	say(c, 'C', tag, strlen(tag) + 1);
}

static void say_parameter(struct client *c, const char *name, const char *value)
{
	char body[128];
	size_t n = strlen(name) + 1, v = strlen(value) + 1;

	memcpy(body, name, n);
	memcpy(body + n, value, v);
	say(c, 'S', body, n + v);
}

static void say_fatal(struct client *c, const char *sqlstate)
{
	struct buffer b;

	buffer_init(&b, 1 << 16);
	build_error(&b, "FATAL", sqlstate, "the end", NULL, NULL);
	bufferevent_write(c->stream, b.data, b.len);
	buffer_release(&b);
}

static enum villainy villainy_of(const struct client *c)
{
	return c->server->logins <= c->server->bad_for ? c->server->villainy : GOOD;
}

static void on_drained(struct bufferevent *stream, void *self)
{
	(void)self;
	shutdown(bufferevent_getfd(stream), SHUT_RDWR);
}

/* Closes once all that was said is written. */
static void hang_up(struct client *c)
{
	bufferevent_setcb(c->stream, NULL, on_drained, NULL, c);
}

static void log_in(struct client *c)
{
	static const uint8_t ok[4] = {0}, key[8] = {0, 0, 0, 1, 0, 0, 0, 2};
	enum villainy v;

	c->server->logins++;
	v = villainy_of(c);
	if (v == REFUSES) {
		say_fatal(c, "28000");
		return;
	}
	say(c, 'R', ok, sizeof ok);
	say_parameter(c, "client_encoding", "UTF8");
	say_parameter(c, "default_transaction_read_only", v == WRITABLE ? "off" : "on");
	say_parameter(c, "in_hot_standby", v == PROMOTED ? "on" : "off");
	say(c, 'K', key, sizeof key);
	say(c, 'Z', "I", 1);
}

static void say_row(struct client *c)
{
	static const uint8_t row[] = {0, 1, 0, 0, 0, 1, '1'};

	say(c, 'D', row, sizeof row);
}

/* The read's Execute: the second one after BEGIN's. True: nothing more is to be said. */
static bool misbehave(struct client *c)
{
	switch (villainy_of(c)) {
	case DIES_MID_ROW:
		bufferevent_write(c->stream, "D\0\0\0\013\0\1\0", 8);
		hang_up(c);
		return true;
	case DIES_AFTER_ROWS:
		say_row(c);
		say_tag(c, "SELECT 1");
		hang_up(c);
		return true;
	case FATAL_MID_READ:
		say_row(c);
		say_fatal(c, "57P01");
		return true;
	case LIES_LENGTH: bufferevent_write(c->stream, "D\0\0\0\002zzzz", 9); return true;
	case HUGE_MESSAGE: bufferevent_write(c->stream, "D\066\0\0\0some", 9); return true;
	case FLOODS:
		for (int i = 0; i < 50000; i++)
			say_row(c);
		return false;
	default: return false;
	}
}

static const char COLUMNS[] = "\0\1a\0\0\0\0\0\0\0\0\0\0\x17\0\4\xff\xff\xff\xff\0";

/* What a send asks for, by position: the wrapper, the read, the ROLLBACK. */
static void on_execute(struct client *c)
{
	c->server->executes++;
	if (c->syncs >= HAND_OVER_SYNCS && c->syncs % 2 == 1) {
		say_tag(c, "ROLLBACK");
	} else if (c->executes == 0) {
		say_tag(c, "BEGIN");
	} else if (c->executes == 2 && misbehave(c)) {
		c->stopped = true;
	} else {
		say_row(c);
		say_tag(c, "SELECT 1");
	}
	c->executes++;
}

static void on_sync(struct client *c)
{
	enum villainy v = villainy_of(c);
	bool in_read = c->syncs >= HAND_OVER_SYNCS && c->syncs % 2 == 0;

	if (c->syncs == 0 && v == TALKS_TOO_MUCH)
		say_tag(c, "SELECT 1");
	if (v == PROMOTED && c->server->promote && in_read)
		say_parameter(c, "in_hot_standby", "off");
	if (in_read || (v == ENDS_IN_TRANSACTION && c->syncs >= HAND_OVER_SYNCS))
		say(c, 'Z', "T", 1);
	else
		say(c, 'Z', "I", 1);
	c->syncs++;
	c->executes = 0;
}

static void on_message(struct client *c, const struct message *m)
{
	switch (m->type) {
	case FRONT_PARSE: say(c, '1', NULL, 0); break;
	case FRONT_BIND: say(c, '2', NULL, 0); break;
	case FRONT_CLOSE: say(c, '3', NULL, 0); break;
	case FRONT_DESCRIBE: say(c, 'T', COLUMNS, sizeof COLUMNS); break;
	case FRONT_EXECUTE: on_execute(c); break;
	case FRONT_SYNC: on_sync(c); break;
	default: break;
	}
}

static void on_bytes(struct bufferevent *stream, void *self)
{
	struct client *c = self;
	struct evbuffer *in = bufferevent_get_input(stream);
	size_t n = evbuffer_get_length(in);
	struct span input = span_of(evbuffer_pullup(in, -1), n);
	struct message m;

	if (!c->started) {
		if (n < 4 || n < ((size_t)input.data[2] << 8 | input.data[3]))
			return;
		c->started = true;
		log_in(c);
		evbuffer_drain(in, n);
		return;
	}
	if (villainy_of(c) == MUTE || (villainy_of(c) == SILENT && c->syncs >= HAND_OVER_SYNCS)) {
		evbuffer_drain(in, n);
		return;
	}
	while (!c->stopped && assembler_next(&c->in, &input, &m) == ASSEMBLE_MESSAGE)
		on_message(c, &m);
	evbuffer_drain(in, n);
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *peer,
	int len, void *self)
{
	struct server *s = self;
	struct client *c = calloc(1, sizeof *c);

	(void)listener;
	(void)peer;
	(void)len;
	assert_non_null(c);
	c->server = s;
	c->stream = bufferevent_socket_new(s->base, fd, BEV_OPT_CLOSE_ON_FREE);
	assembler_init(&c->in, 1 << 20);
	bufferevent_setcb(c->stream, on_bytes, NULL, NULL, c);
	bufferevent_enable(c->stream, EV_READ | EV_WRITE);
	c->next = s->clients;
	s->clients = c;
}

static unsigned server_start(struct server *s, struct event_base *base)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof address;

	s->base = base;
	s->bad_for = ~0u;
	s->listener = evconnlistener_new_bind(base, on_accept, s, LEV_OPT_CLOSE_ON_FREE, 16,
		(struct sockaddr *)&address, sizeof address);
	assert_non_null(s->listener);
	getsockname(evconnlistener_get_fd(s->listener), (struct sockaddr *)&address, &len);

	return ntohs(address.sin_port);
}

static void server_stop(struct server *s)
{
	struct client *c;

	while ((c = s->clients)) {
		s->clients = c->next;
		bufferevent_free(c->stream);
		assembler_release(&c->in);
		free(c);
	}
	evconnlistener_free(s->listener);
}

/* --- the field --- */

static int set_up(void **state)
{
	struct field *f = calloc(1, sizeof *f);
	struct error error;

	assert_non_null(f);
	f->base = event_base_new();
	snprintf(f->conninfo, sizeof f->conninfo,
		"host=127.0.0.1 port=%u user=u sslmode=disable connect_timeout=60",
		server_start(&f->server, f->base));
	f->connector = connector_new(f->base, &error);
	assert_non_null(f->connector);
	f->options = (struct mirror_options){.name = "villain",
		.conninfo = f->conninfo,
		.pool_size = 2,
		.statement_timeout_us = 60000000,
		.queue_reads = 100,
		.queue_bytes = 1 << 20,
		.breaker_failures = 3,
		.breaker_open_us = 60000000,
		.keep_limit_bytes = 1000};
	*state = f;

	return 0;
}

static int tear_down(void **state)
{
	struct field *f = *state;

	mirror_free(f->mirror);
	assert_int_equal(f->outstanding, 0);
	connector_free(f->connector);
	server_stop(&f->server);
	event_base_free(f->base);
	free(f);

	return 0;
}

static void start(struct field *f, enum villainy villainy)
{
	if (villainy == SILENT)
		f->options.statement_timeout_us = 200000;
	f->server.villainy = villainy;
	f->mirror = mirror_new(f->base, f->connector, &f->options);
	assert_non_null(f->mirror);
}

static void on_done(void *self, struct mirror_answer *answer)
{
	struct field *f = self;

	f->called_inside |= f->inside_submit;
	f->outstanding--;
	f->last_reason = answer->reason;
	if (answer->status == MIRROR_ANSWERED) {
		f->answered++;
		f->last_rows = answer->result.rows;
		f->last_kept_all = answer->result.kept_all;
	} else {
		f->failed++;
		f->failed_for[answer->reason]++;
		assert_int_not_equal(answer->reason, REASON_NONE);
	}
}

static struct dark_read *new_read(const char *database)
{
	struct dark_read *read = dark_read_new();

	assert_non_null(read);
	read->database = strdup(database);
	read->sql = strdup("select 1");

	return read;
}

static bool submit_to(
	struct field *f, const char *database, uint64_t not_before_us, enum reason *reason)
{
	struct dark_read *read = new_read(database);
	bool taken;

	f->inside_submit = true;
	taken = mirror_submit(f->mirror, read, not_before_us, on_done, f, reason);
	f->inside_submit = false;
	f->outstanding += taken;
	dark_read_unref(read);

	return taken;
}

static void submit(struct field *f)
{
	enum reason reason;

	assert_true(submit_to(f, "d", 0, &reason));
}

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);

	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* Runs the loop until all reads have ended; a minute without that is a failure. */
static void run(struct field *f)
{
	uint64_t deadline = now_us() + 60000000;

	while (f->outstanding) {
		assert_true(now_us() < deadline);
		event_base_loop(f->base, EVLOOP_ONCE);
	}
}

static void read_fails_with(struct field *f, enum villainy villainy, enum reason reason)
{
	start(f, villainy);
	submit(f);
	run(f);
	assert_int_equal(f->answered, 0);
	assert_int_equal(f->last_reason, reason);
	assert_false(f->called_inside);
}

static unsigned connections(const struct field *f)
{
	struct mirror_state s;

	mirror_state(f->mirror, &s);

	return s.connections;
}

/* --- tests --- */

static void a_good_server_answers_and_keeps_its_connection(void **state)
{
	struct field *f = *state;

	start(f, GOOD);
	for (int i = 0; i < 5; i++) {
		submit(f);
		run(f);
	}
	assert_int_equal(f->answered, 5);
	assert_int_equal(f->last_rows, 1);
	assert_int_equal(f->server.logins, 1);
	assert_false(f->called_inside);
	assert_true(mirror_idle(f->mirror));
}

static void a_pool_grows_to_its_size_only(void **state)
{
	struct field *f = *state;

	start(f, GOOD);
	for (int i = 0; i < 50; i++)
		submit(f);
	assert_false(mirror_idle(f->mirror));
	run(f);
	assert_int_equal(f->answered, 50);
	assert_in_range(f->server.logins, 1, 2);
	assert_in_range(connections(f), 1, 2);
}

static void a_server_that_refuses_opens_the_breaker(void **state)
{
	struct field *f = *state;
	struct mirror_state s;
	enum reason reason;

	start(f, REFUSES);
	for (int i = 0; i < 10; i++)
		submit(f);
	run(f);
	assert_int_equal(f->failed, 10);
	assert_int_equal(f->last_reason, REASON_BREAKER);
	assert_int_equal(f->server.logins, 3);
	mirror_state(f->mirror, &s);
	assert_true(s.breaker_open);
	assert_false(submit_to(f, "d", 0, &reason));
	assert_int_equal(reason, REASON_BREAKER);
	assert_true(submit_to(f, "other", 0, &reason)); /* each database by itself */
	run(f);
}

static void the_breaker_closes_after_a_good_probe(void **state)
{
	struct field *f = *state;
	enum reason reason;
	uint64_t deadline = now_us() + 60000000;

	f->server.bad_for = 3;
	f->options.breaker_open_us = 1000;
	start(f, REFUSES);
	submit(f);
	run(f);
	assert_int_equal(f->last_reason, REASON_BREAKER);
	while (!submit_to(f, "d", 0, &reason))
		assert_true(now_us() < deadline);
	run(f);
	assert_int_equal(f->answered, 1);
}

static void silence_ends_in_a_timeout(void **state)
{
	read_fails_with(*state, SILENT, REASON_TIMEOUT);
	assert_int_equal(connections(*state), 0);
}

static void silence_after_login_is_no_connection(void **state)
{
	struct field *f = *state;

	f->options.breaker_failures = 1;
	read_fails_with(f, MUTE, REASON_BREAKER);
	assert_int_equal(f->server.executes, 0);
}

static void timeouts_in_a_row_open_the_breaker(void **state)
{
	struct field *f = *state;

	start(f, SILENT);
	for (int i = 0; i < 8; i++)
		submit(f);
	run(f);
	assert_int_equal(f->failed, 8);
	assert_true(f->failed_for[REASON_TIMEOUT] > 0); /* those that had been sent */
	assert_true(f->failed_for[REASON_BREAKER] > 0); /* those that waited */
	assert_int_equal(f->failed_for[REASON_TIMEOUT] + f->failed_for[REASON_BREAKER], 8);
}

static void an_end_in_the_middle_of_a_row_is_a_lost_connection(void **state)
{
	read_fails_with(*state, DIES_MID_ROW, REASON_CONNECTION);
}

static void an_end_before_ready_is_a_lost_connection(void **state)
{
	read_fails_with(*state, DIES_AFTER_ROWS, REASON_CONNECTION);
}

static void a_fatal_error_is_a_lost_connection(void **state)
{
	read_fails_with(*state, FATAL_MID_READ, REASON_CONNECTION);
}

static void a_length_that_lies_is_a_lost_connection(void **state)
{
	read_fails_with(*state, LIES_LENGTH, REASON_CONNECTION);
}

static void a_message_over_the_limit_is_a_lost_connection(void **state)
{
	read_fails_with(*state, HUGE_MESSAGE, REASON_CONNECTION);
}

static void after_a_loss_the_next_read_gets_a_new_connection(void **state)
{
	struct field *f = *state;

	f->server.bad_for = 1;
	start(f, FATAL_MID_READ);
	submit(f);
	run(f);
	assert_int_equal(f->failed, 1);
	submit(f);
	run(f);
	assert_int_equal(f->answered, 1);
	assert_int_equal(f->server.logins, 2);
}

static void a_server_that_talks_too_much_gets_no_read(void **state)
{
	struct field *f = *state;

	read_fails_with(f, TALKS_TOO_MUCH, REASON_BREAKER);
	assert_int_equal(f->server.executes, 0);
}

static void a_server_that_ignores_read_only_gets_no_read(void **state)
{
	struct field *f = *state;

	read_fails_with(f, WRITABLE, REASON_BREAKER);
	assert_int_equal(f->server.executes, 0);
}

static void a_connection_left_in_a_transaction_is_not_used_again(void **state)
{
	struct field *f = *state;

	start(f, ENDS_IN_TRANSACTION);
	submit(f);
	run(f);
	assert_int_equal(f->answered, 1);
	assert_int_equal(connections(f), 0);
	submit(f);
	run(f);
	assert_int_equal(f->server.logins, 2);
}

static void a_flood_is_counted_and_not_kept(void **state)
{
	struct field *f = *state;

	start(f, FLOODS);
	submit(f);
	run(f);
	assert_int_equal(f->answered, 1);
	assert_int_equal(f->last_rows, 50001);
	assert_false(f->last_kept_all);
}

static void a_promoted_standby_loses_all_connections_and_the_read_runs_again(void **state)
{
	struct field *f = *state;
	uint64_t deadline = now_us() + 60000000;
	unsigned before;

	f->server.bad_for = 2;
	start(f, PROMOTED);
	while (connections(f) < 2) { /* two old ones, which will both have to go */
		assert_true(now_us() < deadline);
		submit(f);
		submit(f);
		run(f);
	}
	before = f->answered;
	f->server.promote = true;
	submit(f);
	run(f);
	assert_int_equal(f->answered, before + 1);
	assert_int_equal(f->server.logins, 3);
	assert_int_equal(connections(f), 1);
}

static void a_promoted_standby_may_be_left_for_good(void **state)
{
	struct field *f = *state;

	f->server.bad_for = 1;
	f->options.retire_promoted = true;
	f->options.pool_size = 1;
	start(f, PROMOTED);
	submit(f);
	run(f);
	assert_int_equal(f->answered, 1);
	f->server.promote = true;
	submit(f);
	submit(f);
	run(f); /* the first one's ReadyForQuery tells; none of the answers counts */
	assert_int_equal(f->answered, 1);
	assert_int_equal(f->last_reason, REASON_BREAKER);
	assert_int_equal(f->server.logins, 1);
	assert_int_equal(connections(f), 0);
}

static bool refuse(void *self, PGconn *connection, char *why, size_t size)
{
	(void)self;
	(void)connection;
	snprintf(why, size, "the role may write");

	return false;
}

static void a_role_that_is_refused_opens_the_breaker_at_once(void **state)
{
	struct field *f = *state;

	f->options.accept = refuse;
	start(f, GOOD);
	submit(f);
	run(f);
	assert_int_equal(f->last_reason, REASON_BREAKER);
	assert_int_equal(f->server.logins, 1);
	assert_int_equal(f->server.executes, 0);
}

static void a_read_that_may_leave_traces_costs_its_connection(void **state)
{
	struct field *f = *state;
	struct statement statement = {.references = 1, .harmless_only = false};
	enum reason reason;

	start(f, GOOD);
	for (unsigned i = 1; i <= 2; i++) {
		struct dark_read *read = new_read("d");

		read->statement = statement_ref(&statement);
		assert_true(mirror_submit(f->mirror, read, 0, on_done, f, &reason));
		f->outstanding++;
		dark_read_unref(read);
		run(f);
		assert_int_equal(f->answered, i);
		assert_int_equal(f->server.logins, i);
	}
	assert_int_equal(statement.references, 1);
}

static void queue_and_rate_are_bounded(void **state)
{
	struct field *f = *state;
	enum reason reason;

	f->options.queue_reads = 5; /* of which one shape may have half, and one */
	f->options.max_rate = 5;
	start(f, GOOD);
	for (int i = 0; i < 3; i++)
		submit(f);
	assert_false(submit_to(f, "d", 0, &reason));
	assert_int_equal(reason, REASON_QUEUE_FULL);
	run(f);
	f->options.queue_bytes = 1;
	mirror_free(f->mirror);
	start(f, GOOD);
	assert_false(submit_to(f, "d", 0, &reason));
	assert_int_equal(reason, REASON_QUEUE_FULL);
}

static void a_rate_limit_refuses_what_is_over_it(void **state)
{
	struct field *f = *state;
	enum reason reason = REASON_NONE;

	f->options.max_rate = 0.001;
	start(f, GOOD);
	submit(f);
	assert_false(submit_to(f, "d", 0, &reason));
	assert_int_equal(reason, REASON_RATE);
	run(f);
}

static void a_delayed_read_waits_for_its_time(void **state)
{
	struct field *f = *state;
	uint64_t at = now_us() + 100000;
	enum reason reason;

	start(f, GOOD);
	assert_true(submit_to(f, "d", at, &reason));
	submit(f);
	while (f->answered == 0)
		event_base_loop(f->base, EVLOOP_ONCE);
	if (f->answered == 1)
		assert_int_equal(f->outstanding, 1);
	run(f);
	assert_true(now_us() >= at);
	assert_int_equal(f->answered, 2);
}

static void freeing_ends_what_waits_and_runs(void **state)
{
	struct field *f = *state;
	enum reason reason;

	start(f, SILENT);
	for (int i = 0; i < 5; i++)
		submit(f);
	assert_true(submit_to(f, "d", now_us() + 1000000000, &reason));
	while (f->server.logins == 0)
		event_base_loop(f->base, EVLOOP_ONCE);
	mirror_free(f->mirror);
	f->mirror = NULL;
	assert_int_equal(f->outstanding, 0);
	assert_int_equal(f->failed, 6);
	assert_int_equal(f->last_reason, REASON_SHUTDOWN);
}

static void freeing_while_connecting_leaks_nothing(void **state)
{
	struct field *f = *state;

	start(f, GOOD);
	submit(f);
	event_base_loop(f->base, EVLOOP_ONCE);
	mirror_free(f->mirror);
	f->mirror = NULL;
	assert_int_equal(f->last_reason, REASON_SHUTDOWN);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_good_server_answers_and_keeps_its_connection),
		TEST(a_pool_grows_to_its_size_only),
		TEST(a_server_that_refuses_opens_the_breaker),
		TEST(the_breaker_closes_after_a_good_probe),
		TEST(silence_ends_in_a_timeout),
		TEST(silence_after_login_is_no_connection),
		TEST(timeouts_in_a_row_open_the_breaker),
		TEST(an_end_in_the_middle_of_a_row_is_a_lost_connection),
		TEST(an_end_before_ready_is_a_lost_connection),
		TEST(a_fatal_error_is_a_lost_connection),
		TEST(a_length_that_lies_is_a_lost_connection),
		TEST(a_message_over_the_limit_is_a_lost_connection),
		TEST(after_a_loss_the_next_read_gets_a_new_connection),
		TEST(a_server_that_talks_too_much_gets_no_read),
		TEST(a_server_that_ignores_read_only_gets_no_read),
		TEST(a_connection_left_in_a_transaction_is_not_used_again),
		TEST(a_flood_is_counted_and_not_kept),
		TEST(a_promoted_standby_loses_all_connections_and_the_read_runs_again),
		TEST(a_promoted_standby_may_be_left_for_good),
		TEST(a_role_that_is_refused_opens_the_breaker_at_once),
		TEST(a_read_that_may_leave_traces_costs_its_connection),
		TEST(queue_and_rate_are_bounded),
		TEST(a_rate_limit_refuses_what_is_over_it),
		TEST(a_delayed_read_waits_for_its_time),
		TEST(freeing_ends_what_waits_and_runs),
		TEST(freeing_while_connecting_leaks_nothing),
	};

	log_init("test", LOG_LEVEL_ERROR);

	return cmocka_run_group_tests_name("mirror_villain", tests, NULL, NULL);
}

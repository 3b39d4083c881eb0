#include "proxy/shadow/mirror_connection.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { READS_PER_TURN = 16 };

uint64_t mirror_clock_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);

	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void arm(struct event *timer, uint64_t in_us)
{
	const struct timeval in = {(time_t)(in_us / 1000000), (suseconds_t)(in_us % 1000000)};

	event_add(timer, &in);
}

/* A timer that runs already is left alone unless it would come too late: most deadlines are never
 * met, and when it comes too early it is set again. */
static void set_deadline(struct connection *c, uint64_t now_us, uint64_t limit_us)
{
	c->due_us = now_us + limit_us;
	if (c->timer_us != 0 && c->timer_us <= c->due_us)
		return;
	c->timer_us = c->due_us;
	arm(c->deadline, limit_us);
}

/* --- ends --- */

static void shut(struct connection *c, const char *why)
{
	c->state = CONNECTION_CLOSED;
	snprintf(c->trouble, sizeof c->trouble, "%s", why);
	c->due_us = 0;
	event_del(c->readable);
	event_del(c->writable);
	event_del(c->deadline);
}

/* The connection is lost: with a read on it, the read ends; without, the owner is told. */
static void lose(struct connection *c, enum reason reason, const char *why)
{
	struct mirror_answer answer = {.status = MIRROR_FAILED, .reason = reason};
	bool busy = c->state == CONNECTION_BUSY;

	if (c->exchange.fatal) {
		const char *sqlstate = c->exchange.sqlstate;

		snprintf(answer.text, sizeof answer.text,
			"the server ended the connection with SQLSTATE %s", sqlstate);
		snprintf(answer.sqlstate, sizeof answer.sqlstate, "%s", sqlstate);
		/* a recovery conflict or a time limit may end the whole session */
		if (error_group_reason(error_group_of(sqlstate)) != REASON_NONE)
			answer.reason = error_group_reason(error_group_of(sqlstate));
	} else {
		snprintf(answer.text, sizeof answer.text, "%s", why);
	}
	shut(c, answer.text);
	if (!busy) {
		c->events->on_state(c->self, c);
		return;
	}
	result_init(&answer.result, 0);
	result_init(&answer.first, 0);
	answer.round_trip_us = c->round_trip_us;
	c->events->on_answer(c->self, c, &answer, false);
	result_release(&answer.result);
	result_release(&answer.first);
}

void connection_close(struct connection *c, const char *why)
{
	assert(c->state == CONNECTION_IDLE);
	shut(c, why);
}

/* --- sending --- */

static void begin_exchange(struct connection *c)
{
	exchange_release(&c->exchange);
	exchange_init(&c->exchange, c->keep_limit_bytes);
	buffer_clear(&c->out);
	c->sent = 0;
}

/* Sending starts on the loop, so that no callback comes from inside connection_run; without asking
 * the kernel, since the socket of an idle connection takes what it is given. */
static void start_sending(struct connection *c, uint64_t limit_us)
{
	c->send_us = mirror_clock_us();
	event_active(c->writable, EV_WRITE, 0);
	set_deadline(c, c->send_us, limit_us);
}

static bool send_more(struct connection *c)
{
	enum wire_result result = WIRE_OK;
	size_t n;

	if (c->sent == 0)
		c->send_us = mirror_clock_us(); /* not before the loop came to it */
	while (c->sent < c->out.len && result == WIRE_OK) {
		result = wire_write(&c->wire, c->out.data + c->sent, c->out.len - c->sent, &n);
		c->sent += n;
	}
	if (result == WIRE_WAIT && !c->wire.write_wants_read)
		event_add(c->writable, NULL);

	return result != WIRE_LOST;
}

/* --- hand-over --- */

static bool take_base(struct connection *c)
{
	for (int i = 0; i < REPORTED_COUNT; i++) {
		const char *name = reported_name((enum reported_parameter)i);
		const char *value = PQparameterStatus(c->pg, name);

		if (value && !session_base(&c->session, name, value))
			return false;
	}

	return true;
}

static void send_prepare(struct connection *c)
{
	c->state = CONNECTION_PREPARING;
	begin_exchange(c);
	exchange_prepare(&c->exchange, &c->out);
	start_sending(c, CONNECTION_CHECK_US);
}

/* Without this the server does not hold reads back from writing by itself (L3). */
static bool is_read_only(const struct connection *c)
{
	const char *value = c->session.base[REPORTED_DEFAULT_TRANSACTION_READ_ONLY];

	return !value || strcmp(value, "on") == 0;
}

static void became_idle(struct connection *c)
{
	c->state = CONNECTION_IDLE;
	c->idle_since_us = c->now_us;
	c->due_us = 0;
	if (c->out.cap > CONNECTION_SEND_KEPT)
		buffer_release(&c->out);
	buffer_clear(&c->out);
	c->sent = 0;
}

static void send_check(struct connection *c)
{
	begin_exchange(c);
	exchange_sync(&c->exchange, &c->out);
	start_sending(c, CONNECTION_CHECK_US);
}

static void check_done(struct connection *c)
{
	uint64_t us = c->now_us - c->send_us;

	if (c->checks == 0 || us < c->round_trip_us)
		c->round_trip_us = us;
	if (++c->checks < CONNECTION_CHECKS)
		send_check(c);
	else
		send_prepare(c);
}

static void hand_over_goes_on(struct connection *c)
{
	char why[160];

	if (c->exchange.failed) {
		snprintf(why, sizeof why, "the server refused our own statements: SQLSTATE %s",
			c->exchange.sqlstate);
		lose(c, REASON_CONNECTION, why);
	} else if (!exchange_is_clean(&c->exchange)) {
		lose(c, REASON_CONNECTION, "the server is not idle after login");
	} else if (!is_read_only(c) || !session_is_at_base(&c->session)) {
		lose(c, REASON_CONNECTION,
			"the server did not take default_transaction_read_only=on");
	} else if (c->state == CONNECTION_CHECKING) {
		check_done(c);
	} else {
		became_idle(c);
		c->events->on_state(c->self, c);
	}
}

/* --- reads --- */

bool connection_run(struct connection *c, const struct dark_read *read)
{
	assert(c->state == CONNECTION_IDLE);
	begin_exchange(c);
	if (!exchange_read(&c->exchange, &c->out, &c->session, read))
		return false;
	c->state = CONNECTION_BUSY;
	c->close_after = read->statement && !read->statement->harmless_only;
	start_sending(c, c->timeout_us + CONNECTION_GRACE_US);

	return true;
}

/* The time up to here less what the connection itself needs. */
static uint64_t net_of(uint64_t whole_us, uint64_t overhead_us)
{
	return whole_us > overhead_us ? whole_us - overhead_us : 1;
}

static void note_wrapper_time(struct connection *c)
{
	uint64_t us = net_of(c->exchange.started_us - c->send_us, c->round_trip_us);

	if (c->exchange.started_us > c->send_us && c->wrapper_piece != c->pieces &&
		(c->wrapper_us == 0 || us < c->wrapper_us))
		c->wrapper_us = us;
}

/* When the wrapper's answer and the read's come in one piece, the time between them is nothing:
 * then it is the whole way less the round trip and the wrapper's time. */
static void add_wrapper_time(const struct connection *c, struct mirror_answer *answer)
{
	uint64_t net = net_of(c->exchange.ended_us - c->send_us, c->round_trip_us + c->wrapper_us);

	if (answer->status == MIRROR_ANSWERED && answer->result.elapsed_us < net)
		answer->result.elapsed_us = net;
}

static void finish_read(struct connection *c)
{
	struct mirror_answer answer = {.round_trip_us = c->round_trip_us};
	bool again = exchange_stale_plan(&c->exchange) || !session_is_at_base(&c->session);

	answer.cold = c->reads++ < CONNECTION_COLD_READS;
	result_init(&answer.result, 0);
	result_init(&answer.first, 0);
	note_wrapper_time(c);
	exchange_answer(&c->exchange, &answer);
	add_wrapper_time(c, &answer);
	if (!exchange_is_clean(&c->exchange))
		shut(c, "the server is not idle after ROLLBACK");
	else if (!session_is_at_base(&c->session))
		shut(c, "a reported setting has changed");
	else if (c->draining)
		shut(c, "the pool is drained");
	else if (c->close_after)
		shut(c, "used by a read that may leave traces");
	else
		became_idle(c);
	c->events->on_answer(c->self, c, &answer, again);
	result_release(&answer.result);
	result_release(&answer.first);
}

/* --- receiving --- */

static void on_parameter(struct connection *c, struct span body)
{
	const char *standby = c->session.base[REPORTED_IN_HOT_STANDBY];
	struct span name, value;

	if (!parse_parameter_status(body, &name, &value))
		return;
	session_report(&c->session, name, value);
	if (span_is(name, "in_hot_standby") && standby && strcmp(standby, "on") == 0)
		c->promoted = span_is(value, "off");
}

static void on_message(struct connection *c, const struct message *m)
{
	switch (m->type) {
	case BACK_NOTICE:
	case BACK_NOTIFICATION: return;
	case BACK_PARAMETER_STATUS: on_parameter(c, m->body); return;
	default: break;
	}
	if (c->exchange.started_us == 0)
		c->wrapper_piece = c->pieces;
	switch (exchange_message(&c->exchange, &c->session, m, c->now_us)) {
	case EXCHANGE_GOES_ON: break;
	case EXCHANGE_LOST: lose(c, REASON_CONNECTION, c->exchange.trouble); break;
	case EXCHANGE_DONE:
		if (c->state == CONNECTION_BUSY)
			finish_read(c);
		else
			hand_over_goes_on(c);
		break;
	}
}

static void take_input(struct connection *c, struct span input)
{
	struct message m;

	while (c->state != CONNECTION_CLOSED) {
		switch (assembler_next(&c->in, &input, &m)) {
		case ASSEMBLE_MESSAGE: on_message(c, &m); break;
		case ASSEMBLE_TOO_BIG:
			lose(c, REASON_CONNECTION, "a message from the server is too long");
			return;
		case ASSEMBLE_LOST:
			lose(c, REASON_CONNECTION, "the server sent something other than messages");
			return;
		case ASSEMBLE_MORE:
			if (c->in.over)
				lose(c, REASON_CONNECTION, "a message from the server is too long");
			return;
		}
	}
}

/* On TLS everything must be read before waiting: OpenSSL may hold bytes that the socket no longer
 * shows. A plain socket that gave less than there was room for is empty, or shows what comes next.
 * A long answer gives others a turn and goes on from there. */
static void receive(struct connection *c)
{
	enum wire_result result = WIRE_OK;
	size_t n;

	for (int i = 0; i < READS_PER_TURN; i++) {
		result = wire_read(&c->wire, c->scratch, CONNECTION_READ_SIZE, &n);
		if (result != WIRE_OK)
			break;
		c->pieces++;
		c->now_us = mirror_clock_us();
		take_input(c, span_of(c->scratch, n));
		if (c->state == CONNECTION_CLOSED || (!c->wire.ssl && n < CONNECTION_READ_SIZE))
			return;
	}
	if (result == WIRE_OK)
		event_active(c->readable, EV_READ, 0);
	else if (result == WIRE_LOST)
		lose(c, REASON_CONNECTION, "the server closed the connection");
	else if (c->wire.read_wants_write)
		event_add(c->writable, NULL);
}

static void on_socket(evutil_socket_t fd, short what, void *self)
{
	struct connection *c = self;

	(void)fd;
	if (c->state == CONNECTION_CLOSED)
		return;
	if (c->out.failed)
		lose(c, REASON_MEMORY, "out of memory for the read");
	else if (!send_more(c))
		lose(c, REASON_CONNECTION, "the server closed the connection");
	else if (c->wire.ssl || (what & EV_READ))
		receive(c);
}

static void on_deadline(evutil_socket_t fd, short what, void *self)
{
	struct connection *c = self;

	uint64_t now = mirror_clock_us();

	(void)fd;
	(void)what;
	c->timer_us = 0;
	if (c->state == CONNECTION_CLOSED || c->due_us == 0)
		return;
	if (now < c->due_us)
		set_deadline(c, now, c->due_us - now);
	else
		lose(c, REASON_TIMEOUT, "no answer within the time limit");
}

/* --- life --- */

static bool make_events(struct connection *c, struct event_base *base)
{
	c->readable = event_new(base, c->wire.fd, EV_READ | EV_PERSIST, on_socket, c);
	c->writable = event_new(base, c->wire.fd, EV_WRITE, on_socket, c);
	c->deadline = evtimer_new(base, on_deadline, c);

	return c->readable && c->writable && c->deadline && event_add(c->readable, NULL) == 0;
}

struct connection *connection_new(struct event_base *base, PGconn *pg, uint64_t timeout_us,
	size_t keep_limit_bytes, const struct connection_events *events, void *self)
{
	struct connection *c = calloc(1, sizeof *c);

	if (!c)
		return NULL;
	c->pg = pg;
	c->wire = (struct wire){.fd = PQsocket(pg), .ssl = PQsslStruct(pg, "OpenSSL")};
	c->timeout_us = timeout_us;
	c->keep_limit_bytes = keep_limit_bytes;
	c->events = events;
	c->self = self;
	assembler_init(&c->in, CONNECTION_MESSAGE_MAX);
	buffer_init(&c->out, CONNECTION_SEND_MAX);
	exchange_init(&c->exchange, 0);
	c->scratch = malloc(CONNECTION_READ_SIZE);
	if (!c->scratch || !session_init(&c->session) || !take_base(c) || !make_events(c, base)) {
		c->pg = NULL;
		(void)connection_free(c);
		return NULL;
	}
	c->state = CONNECTION_CHECKING;
	send_check(c);

	return c;
}

PGconn *connection_free(struct connection *c)
{
	PGconn *pg;

	if (!c)
		return NULL;
	pg = c->pg;
	if (c->readable)
		event_free(c->readable);
	if (c->writable)
		event_free(c->writable);
	if (c->deadline)
		event_free(c->deadline);
	exchange_release(&c->exchange);
	session_release(&c->session);
	assembler_release(&c->in);
	buffer_release(&c->out);
	free(c->scratch);
	free(c);

	return pg;
}

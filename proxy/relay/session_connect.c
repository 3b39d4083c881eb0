/* The way to the primary: addresses, TLS, the startup packet. */
#include "proxy/relay/session_internal.h"
#include "proxy/relay/session_login.h"

#include "protocol/message.h"
#include "protocol/reader.h"
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static struct primary *primary_of(const struct session *s)
{
	return &s->thread->shared->primary;
}

/* The address being tried. */
static struct endpoint *endpoint_of(const struct session *s)
{
	return s->endpoints->endpoint[s->at];
}

static bool is_left(const struct session *s)
{
	return s->endpoints && s->at < s->endpoints->count;
}

static bool others_are_left(const struct session *s)
{
	return s->endpoints && s->at + 1U < s->endpoints->count;
}

/* What one server may take of the login's time. */
static uint64_t connect_ms(const struct session *s)
{
	const uint64_t most = (uint64_t)primary_of(s)->connect_timeout_s * 1000;
	const uint64_t left = session_login_ms_left(s);

	return most < left ? most : left;
}

static void try_connect(struct session *s);

/* --- when it goes wrong --- */

void connect_leave(struct session *s)
{
	if (s->route != NO_ROUTE)
		routes_remove(&s->thread->shared->routes, s->route);
	s->route = NO_ROUTE;
	endpoint_list_free(s->endpoints);
	s->endpoints = NULL;
	s->at = 0;
	endpoint_drop(s->endpoint);
	s->endpoint = NULL;
}

static void unreachable(struct session *s, const char *why)
{
	char text[OWN_MESSAGE_MAX / 2];

	relay_thread_tell_unreachable(s->thread, why);
	if (s->state == SESSION_CANCELLING) {
		session_end(s);
		return;
	}
	snprintf(text, sizeof text, "could not connect to the primary: %s", why);
	session_tell_fatal(s, "08006", text);
}

/* How an address is spoken to first, by libpq's meaning of sslmode. */
static void choose_way(struct session *s)
{
	const struct primary *p = primary_of(s);
	const bool may = is_left(s) && primary_may_use_tls(p, endpoint_of(s));

	s->with_tls = may && p->sslmode != TLS_ALLOW;
	s->other_way = may && (p->sslmode == TLS_ALLOW || p->sslmode == TLS_PREFER);
}

static void try_next_address(struct session *s, const char *why)
{
	end_close(&s->primary);
	s->at++;
	choose_way(s);
	if (!is_left(s) || session_login_ms_left(s) == 0)
		unreachable(s, why);
	else
		try_connect(s);
}

/* There is no server at this address now: other sessions try it last. */
static void try_next_server(struct session *s, const char *why)
{
	primary_tell(primary_of(s), endpoint_of(s), false, relay_thread_now(s->thread));
	try_next_address(s, why);
}

/* Of this attempt; with sslmode allow and prefer the other way may be left. */
static void try_otherwise(struct session *s, const char *why)
{
	if (!s->other_way) {
		try_next_address(s, why);
		return;
	}
	end_close(&s->primary);
	s->other_way = false;
	s->with_tls = !s->with_tls;
	try_connect(s);
}

void connect_timed_out(struct session *s)
{
	try_next_server(s, "connection timed out");
}

/* --- the last steps --- */

/* Without TLS a client can't bind a channel to the primary's. False when out of memory. */
static bool begin_editing(struct session *s, bool ends_here)
{
	if (!s->primary.ssl || s->client.ssl || ends_here)
		return true;
	s->sasl = malloc(sizeof *s->sasl);
	if (s->sasl)
		sasl_init(s->sasl, CHUNK_BYTES);

	return s->sasl != NULL;
}

/* No other address will be tried. */
static void settle_at(struct session *s)
{
	s->endpoint = endpoint_hold(endpoint_of(s));
	endpoint_list_free(s->endpoints);
	s->endpoints = NULL;
}

static void finish_connecting(struct session *s)
{
	const bool ends_here = s->thread->shared->auth != NULL;

	if ((ends_here && !login_init(s)) || !begin_editing(s, ends_here)) {
		session_tell_fatal(s, "53200", "out of memory");
		return;
	}
	settle_at(s);
	s->step = CONNECT_DONE;
	free(s->startup);
	s->startup = NULL;
	s->primary.wants_write = false;
	/* so that what TLS holds already is looked at when the pause ends */
	end_pause(&s->primary, PAUSE_CONNECTING);
	end_watch(&s->primary);
	if (s->primary.deaf)
		session_lost(&s->primary);
	if (ends_here)
		login_begin(s);
	else
		session_begin_relaying(s);
}

static void send_startup(struct session *s)
{
	const struct span packet = span_of(s->startup, s->startup_len);

	s->primary.wants_write = false;
	if (s->state == SESSION_CANCELLING) {
		s->step = CONNECT_DONE;
		session_start_timer(s, session_login_ms_left(s));
		if (end_send(&s->primary, packet))
			end_unpause(&s->primary, PAUSE_CONNECTING);
		else
			connect_cancel_done(s);
		end_watch(&s->primary);
		return;
	}
	if (end_send(&s->primary, packet))
		s->thread->recording.counters.bytes_front += packet.len;
	else
		s->primary.deaf = true; /* why, it may have said already */
	if (s->other_way || s->primary.ssl || others_are_left(s)) {
		s->step = CONNECT_FIRST_ANSWER;
		session_start_timer(
			s, others_are_left(s) ? connect_ms(s) : session_login_ms_left(s));
		end_unpause(&s->primary, PAUSE_CONNECTING);
		end_watch(&s->primary);
	} else {
		finish_connecting(s);
	}
}

/* Does the server start or end just now, or is it a standby that lets nobody in? What libpq goes on
 * to the next host for. An error that didn't come in one piece isn't looked at. */
static bool cannot_connect_now(struct span bytes)
{
	struct reader r = reader_over(bytes);
	struct error_fields fields;
	const uint8_t type = read_u8(&r);
	const uint32_t len = read_u32(&r);
	char sqlstate[6];

	return type == BACK_ERROR && len >= 4 && len - 4 <= reader_left(&r) &&
	       parse_error_fields(read_bytes(&r, len - 4), &fields) &&
	       copy_sqlstate(fields.sqlstate, sqlstate) && strcmp(sqlstate, "57P03") == 0;
}

/* The first thing that the primary says decides whether another way is tried, or another server. In
 * TLS 1.3 it may also be only now that the primary refuses our certificate. */
static void await_first_answer(struct session *s)
{
	char why[TLS_WHY_MAX] = "the connection was lost";
	uint8_t first[OWN_MESSAGE_MAX];
	ssize_t n;

	if (s->primary.pending_len > 0 && !end_send_pending(&s->primary)) {
		try_otherwise(s, why);
		return;
	}
	n = end_peek(&s->primary, first, sizeof first, why);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return;
	if (n < 0 || (n == 0 && s->primary.deaf) ||
		(n > 0 && first[0] == BACK_ERROR && s->other_way))
		try_otherwise(s, why);
	else if (others_are_left(s) && cannot_connect_now(span_of(first, (size_t)n)))
		try_next_server(s, "it lets nobody in now");
	else
		finish_connecting(s);
}

/* --- TLS --- */

static void ask_for_tls(struct session *s)
{
	static const uint8_t request[] = {0, 0, 0, 8, 0x04, 0xD2, 0x16, 0x2F};

	s->primary.wants_write = false;
	if (!end_send(&s->primary, span_of(request, sizeof request))) {
		try_next_address(s, "the connection was lost");
		return;
	}
	s->step = CONNECT_SSL_ANSWER;
	end_unpause(&s->primary, PAUSE_CONNECTING);
	end_watch(&s->primary);
}

static void begin_tls(struct session *s)
{
	char why[TLS_WHY_MAX];
	uint8_t more;

	/* nothing may follow the answer before we have said hello: somebody slipped it in */
	if (end_peek(&s->primary, &more, 1, why) > 0) {
		try_next_address(s,
			"bytes behind the answer to the TLS request, which no server sends: "
			"somebody may be in between");
		return;
	}
	s->primary.ssl =
		tls_connect_on(s->thread->tls.primary, s->primary.fd, endpoint_of(s)->host);
	if (!s->primary.ssl) {
		try_next_address(s, "out of memory");
		return;
	}
	s->step = CONNECT_HANDSHAKE;
	connect_continue(s);
}

/* Exactly one byte. Of anything else than S and N not a word reaches the client: nobody vouches for
 * who says it. */
static void await_ssl_answer(struct session *s)
{
	uint8_t answer = 0;
	ssize_t n;

	if (s->primary.pending_len > 0 && !end_send_pending(&s->primary)) {
		try_next_address(s, "the connection was lost");
		return;
	}
	n = end_read(&s->primary, &answer, 1);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return;
	if (n <= 0) {
		try_next_address(
			s, n < 0 ? strerror(errno) : "it closed the connection at the TLS request");
	} else if (answer == 'S') {
		begin_tls(s);
	} else if (answer == 'N' && s->other_way) {
		s->other_way = s->with_tls = false;
		send_startup(s);
	} else if (answer == 'N') {
		try_next_address(s, "it does not speak TLS, which sslmode asks for");
	} else {
		try_next_address(s, "its answer to the TLS request is neither yes nor no");
	}
}

static void continue_handshake(struct session *s)
{
	const struct primary *p = primary_of(s);
	char why[TLS_WHY_MAX];
	const enum tls_step step = tls_handshake(s->primary.ssl, why);

	s->primary.wants_write = step == TLS_WANTS_WRITE;
	if (step == TLS_FAILED)
		try_otherwise(s, why);
	else if (step == TLS_DONE && p->sslmode == TLS_VERIFY_FULL &&
		 !tls_peer_is_host(s->primary.ssl, endpoint_of(s)->host))
		try_next_address(s, "its certificate is for another host");
	else if (step == TLS_DONE)
		send_startup(s);
	else
		end_watch(&s->primary);
}

/* --- TCP --- */

static void on_connect_outcome(struct session *s)
{
	int why = 0;
	socklen_t len = sizeof why;

	if (getsockopt(s->primary.fd, SOL_SOCKET, SO_ERROR, &why, &len) < 0)
		why = errno;
	if (why) {
		try_next_server(s, strerror(why));
		return;
	}
	primary_tell(primary_of(s), endpoint_of(s), true, relay_thread_now(s->thread));
	if (s->with_tls)
		ask_for_tls(s);
	else
		send_startup(s);
}

void connect_continue(struct session *s)
{
	switch (s->step) {
	case CONNECT_TCP: on_connect_outcome(s); break;
	case CONNECT_SSL_ANSWER: await_ssl_answer(s); break;
	case CONNECT_HANDSHAKE: continue_handshake(s); break;
	case CONNECT_FIRST_ANSWER: await_first_answer(s); break;
	case CONNECT_DONE: break;
	}
}

/* Tries the addresses from s->at on. */
static void try_connect(struct session *s)
{
	struct primary *p = primary_of(s);
	const char *why = "no address is left";
	int fd = -1;

	while (is_left(s)) {
		fd = primary_connect(p, endpoint_of(s));
		if (fd >= 0)
			break;
		why = strerror(errno);
		primary_tell(p, endpoint_of(s), false, relay_thread_now(s->thread));
		s->at++;
		choose_way(s);
	}
	if (fd < 0 && s->state == SESSION_CANCELLING) {
		session_end(s);
		return;
	}
	if (fd < 0) {
		unreachable(s, why);
		return;
	}
	s->step = CONNECT_TCP;
	session_open_end(s, &s->primary, fd);
	s->primary.paused = PAUSE_CONNECTING;
	s->primary.wants_write = true;
	end_watch(&s->primary);
	session_start_timer(s, connect_ms(s));
}

/* Code, process number, secret. */
static uint32_t pid_of_request(struct session *s)
{
	struct reader r = reader_over(session_packet(s));

	(void)read_u32(&r);

	return read_u32(&r);
}

/* Where the session is that the key may be of. An unknown one may be another instance's: then every
 * server is asked, one after the other, and to the others the key means nothing. */
static struct endpoint_list *cancel_addresses(struct session *s)
{
	struct endpoint_list *found = routes_find(&s->thread->shared->routes, pid_of_request(s));

	return found ? found : primary_addresses(primary_of(s));
}

void connect_begin(struct session *s)
{
	struct primary *p = primary_of(s);
	char why[OWN_MESSAGE_MAX / 4] = "out of memory";

	if (s->state == SESSION_CANCELLING)
		s->endpoints = cancel_addresses(s);
	else
		s->endpoints = primary_choose(p, relay_thread_now(s->thread));
	if (is_left(s)) {
		choose_way(s);
		try_connect(s);
		return;
	}
	if (s->endpoints)
		snprintf(why, sizeof why, "no host of primary.conninfo is %s now",
			session_attrs_name(p->attrs));
	unreachable(s, why);
}

void connect_cancel_done(struct session *s)
{
	end_close(&s->primary);
	s->at++;
	choose_way(s);
	if (!is_left(s) || session_login_ms_left(s) == 0)
		session_end(s);
	else
		try_connect(s);
}

void connect_note_key(struct session *s)
{
	assert(s->route == NO_ROUTE);
	s->route = routes_add(&s->thread->shared->routes, s->recorder.backend_pid, s->endpoint);
}

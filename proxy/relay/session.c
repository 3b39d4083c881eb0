#define _GNU_SOURCE /* accept4 */
#include "proxy/relay/session.h"

#include "protocol/message.h"
#include "proxy/log.h"
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	READS_PER_TURN = 4, /* of one end, while its chunks come full */
	LINGER_MS = 2000,
	OWN_MESSAGE_MAX = 1024,
	LENGTH_WORD = 4,
};

/* --- ends --- */

static void end_init(struct end *e, struct session *s, struct end *other)
{
	*e = (struct end){.session = s, .other = other, .fd = -1};
}

static void on_readable(evutil_socket_t fd, short what, void *arg);
static void on_writable(evutil_socket_t fd, short what, void *arg);

static void end_open(struct end *e, int fd)
{
	struct event_base *base = e->session->thread->base;

	assert(e->fd < 0);
	e->fd = fd;
	e->eof = e->finish = e->deaf = false;
	event_assign(&e->read, base, fd, EV_READ | EV_PERSIST, on_readable, e);
	event_assign(&e->write, base, fd, EV_WRITE | EV_PERSIST, on_writable, e);
	e->has_events = true;
}

static void end_close(struct end *e)
{
	if (e->has_events) {
		event_del(&e->read);
		event_del(&e->write);
		e->has_events = false;
	}
	if (e->fd >= 0)
		close(e->fd);
	e->fd = -1;
	free(e->pending);
	e->pending = NULL;
	e->pending_len = e->pending_at = 0;
}

static void set_paused(struct end *e, unsigned paused)
{
	const bool was = e->paused != 0, is = paused != 0;

	e->paused = paused;
	if (!e->has_events)
		return;
	if (is && !was)
		event_del(&e->read);
	else if (!is && was)
		event_add(&e->read, NULL);
}

static void pause_end(struct end *e, enum pause_reason reason)
{
	set_paused(e, e->paused | reason);
}

static void unpause_end(struct end *e, enum pause_reason reason)
{
	set_paused(e, e->paused & ~(unsigned)reason);
}

static void shut_for_writing(struct end *e)
{
	if (!e->deaf)
		shutdown(e->fd, SHUT_WR);
	e->deaf = true;
}

static ssize_t send_some(int fd, struct span bytes)
{
	ssize_t n;

	do
		n = send(fd, bytes.data, bytes.len, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		n = 0;

	return n;
}

/* Sends what the socket takes, keeps the rest (at most one chunk) and then stops reading from the
 * other end. False when the end can't be written to any more, or out of memory. */
static bool end_send(struct end *e, struct span bytes)
{
	ssize_t n;

	assert(e->pending_len == 0);
	n = send_some(e->fd, bytes);
	if (n < 0)
		return false;
	if ((size_t)n == bytes.len)
		return true;
	e->pending_len = bytes.len - (size_t)n;
	e->pending_at = 0;
	e->pending = malloc(e->pending_len);
	if (!e->pending) {
		e->pending_len = 0;
		return false;
	}
	memcpy(e->pending, bytes.data + n, e->pending_len);
	event_add(&e->write, NULL);
	pause_end(e->other, PAUSE_PENDING);

	return true;
}

/* False when the end can't be written to any more. */
static bool end_send_pending(struct end *e)
{
	ssize_t n = send_some(e->fd, span_of(e->pending + e->pending_at, e->pending_len));

	if (n < 0)
		return false;
	e->pending_at += (size_t)n;
	e->pending_len -= (size_t)n;
	if (e->pending_len > 0)
		return true;
	free(e->pending);
	e->pending = NULL;
	event_del(&e->write);
	if (e->finish)
		shut_for_writing(e);
	unpause_end(e->other, PAUSE_PENDING);

	return true;
}

/* No more bytes will come for this end. */
static void end_finish(struct end *e)
{
	e->finish = true;
	if (e->pending_len == 0)
		shut_for_writing(e);
}

/* --- the session's life --- */

static void peer_name(const struct session *s, char *text, size_t size)
{
	struct sockaddr_storage a;
	socklen_t len = sizeof a;
	char host[INET6_ADDRSTRLEN] = "?";
	uint16_t port = 0;

	if (getpeername(s->client.fd, (struct sockaddr *)&a, &len) < 0)
		a.ss_family = AF_UNSPEC;
	if (a.ss_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)&a;

		evutil_inet_ntop(AF_INET, &in->sin_addr, host, sizeof host);
		port = ntohs(in->sin_port);
	} else if (a.ss_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&a;

		evutil_inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof host);
		port = ntohs(in6->sin6_port);
	} else {
		snprintf(text, size, "[local]");
		return;
	}
	snprintf(text, size, "%s:%u", host, port);
}

static void start_timer(struct session *s, uint64_t ms)
{
	const struct timeval after = {
		.tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000 * 1000)};

	event_add(&s->timer, &after);
}

static uint64_t login_ms_left(const struct session *s)
{
	const uint64_t now = relay_thread_now(s->thread);

	return s->login_deadline_us > now ? (s->login_deadline_us - now) / 1000 + 1 : 0;
}

/* The session is over for the primary, the books and the limits; the client may linger. */
static void leave_primary(struct session *s)
{
	if (s->has_recorder) {
		recorder_close(&s->recorder);
		recorder_release(&s->recorder);
		s->has_recorder = false;
	}
	s->thread->recording.counters.sessions_closed += s->opened;
	s->opened = false;
	if (s->counted) {
		atomic_fetch_sub(&s->thread->shared->sessions, 1);
		s->counted = false;
	}
	end_close(&s->primary);
	free(s->startup);
	s->startup = NULL;
}

void session_end(struct session *s)
{
	if (s->state == SESSION_DEAD)
		return;
	s->state = SESSION_DEAD;
	leave_primary(s);
	end_close(&s->client);
	event_del(&s->timer);
	atomic_fetch_sub(&s->thread->shared->connections, 1);
	relay_thread_leave(s->thread, s->id);
	relay_thread_bury(s->thread, s);
}

void session_free(struct session *s)
{
	assert(s->state == SESSION_DEAD);
	free(s);
}

/* Everything for the client is sent: closing at once could destroy it with a reset while the client
 * is still sending, so wait until it closes, within a deadline. */
static void linger(struct session *s)
{
	leave_primary(s);
	if (s->client.eof || s->thread->phase == RELAY_STOPPING) {
		session_end(s);
		return;
	}
	s->state = SESSION_LINGERING;
	end_finish(&s->client);
	set_paused(&s->client, 0);
	start_timer(s, LINGER_MS);
}

/* Our own FATAL, when the client stands between two messages. */
static void tell_fatal(struct session *s, const char *sqlstate, const char *message)
{
	struct buffer b;

	buffer_init(&b, OWN_MESSAGE_MAX);
	build_error(&b, "FATAL", sqlstate, message, NULL, NULL);
	if (s->client.pending_len == 0 && !b.failed && !s->client.deaf)
		(void)!end_send(&s->client, buffer_span(&b));
	buffer_release(&b);
	linger(s);
}

/* --- relaying --- */

static bool is_quiet(const struct session *s)
{
	return s->has_recorder && recorder_quiet(&s->recorder) && s->client.pending_len == 0 &&
	       s->primary.pending_len == 0;
}

/* We end the session: the primary gets a Terminate, the client the words that PostgreSQL uses. */
static void shut_down(struct session *s)
{
	static const uint8_t terminate[] = {FRONT_TERMINATE, 0, 0, 0, 4};

	if (!s->primary.deaf && s->primary.pending_len == 0 && !s->recorder.front.middle)
		(void)send_some(s->primary.fd, span_of(terminate, sizeof terminate));
	tell_fatal(s, "57P01", "terminating connection due to administrator command");
}

void session_phase_changed(struct session *s)
{
	const bool stopping = s->thread->phase == RELAY_STOPPING;

	if (s->state != SESSION_RELAYING) {
		/* a login in its middle, a cancel and a lingering client are short: they have
		 * their own deadlines, and the drain's */
		if (stopping || s->state == SESSION_STARTUP)
			session_end(s);
	} else if (is_quiet(s) ||
		   (stopping && s->client.pending_len == 0 && !s->recorder.back.middle)) {
		shut_down(s);
	} else if (stopping) {
		session_end(s);
	}
}

static void record(struct session *s, const struct end *from, struct span bytes)
{
	struct relay_counters *c = &s->thread->recording.counters;

	relay_thread_now(s->thread);
	if (from == &s->client) {
		c->bytes_front += bytes.len;
		recorder_front(&s->recorder, bytes);
		return;
	}
	c->bytes_back += bytes.len;
	recorder_back(&s->recorder, bytes);
	if (s->login_timer && s->recorder.authenticated) {
		event_del(&s->timer);
		s->login_timer = false;
	}
}

/* The primary has gone: once the client has everything, it learns it. */
static void after_primary_eof(struct session *s)
{
	if (s->client.pending_len == 0)
		linger(s);
}

static void on_eof(struct end *from)
{
	struct session *s = from->session;

	from->eof = true;
	pause_end(from, PAUSE_EOF);
	if (from == &s->client)
		end_finish(&s->primary); /* its answers are still relayed */
	else
		after_primary_eof(s);
}

/* Writing to `to` failed, or reading from it with an error. */
static void on_lost(struct end *lost)
{
	struct session *s = lost->session;

	if (lost == &s->client) {
		session_end(s); /* nobody is left to be told */
		return;
	}
	/* what the primary said before it went is still to be read */
	lost->deaf = true;
	pause_end(&s->client, PAUSE_NO_TAKER);
}

/* One chunk; false when there is nothing more to read for now. */
static bool relay_chunk(struct end *from)
{
	struct session *s = from->session;
	struct relay_thread *t = s->thread;
	struct span bytes;
	ssize_t n;

	do
		n = recv(from->fd, t->chunk, CHUNK_BYTES, 0);
	while (n < 0 && errno == EINTR);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return false;
	if (n < 0 && from == &s->client) {
		on_lost(from);
		return false;
	}
	if (n <= 0) {
		on_eof(from);
		return false;
	}
	bytes = span_of(t->chunk, (size_t)n);
	if (from->other->deaf || !end_send(from->other, bytes)) {
		on_lost(from->other);
		return false;
	}
	record(s, from, bytes);

	return (size_t)n == CHUNK_BYTES;
}

static void relay_from(struct end *from)
{
	struct session *s = from->session;
	int turns = 0;

	while (s->state == SESSION_RELAYING && from->paused == 0 && relay_chunk(from) &&
		++turns < READS_PER_TURN)
		;
	if (s->state == SESSION_RELAYING && s->thread->phase == RELAY_DRAINING && is_quiet(s))
		shut_down(s);
}

/* --- to the primary --- */

static bool wants_cancel(const struct session *s)
{
	struct startup_message m;

	return parse_startup(span_of(s->startup + LENGTH_WORD, s->startup_len - LENGTH_WORD), &m) &&
	       m.code == PROTOCOL_CANCEL;
}

static void connected(struct session *s)
{
	atomic_store_explicit(
		&s->thread->shared->primary.last_good, s->address, memory_order_relaxed);
	event_del(&s->primary.write);
	if (end_send(&s->primary, span_of(s->startup, s->startup_len)))
		s->thread->recording.counters.bytes_front += s->startup_len;
	else
		on_lost(&s->primary);
	free(s->startup);
	s->startup = NULL;
	unpause_end(&s->primary, PAUSE_CONNECTING);
	start_timer(s, login_ms_left(s));
	if (s->state == SESSION_CANCELLING)
		return;
	s->state = SESSION_RELAYING;
	s->opened = true;
	s->thread->recording.counters.sessions_opened++;
	unpause_end(&s->client, PAUSE_CONNECTING);
	s->login_timer = true;
}

static bool begin_recording(struct session *s)
{
	const struct span packet = span_of(s->startup + LENGTH_WORD, s->startup_len - LENGTH_WORD);

	s->has_recorder =
		recorder_init(&s->recorder, &s->thread->recording, s->id, packet, s->connected_us);
	if (!s->has_recorder)
		recorder_release(&s->recorder);

	return s->has_recorder;
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
	tell_fatal(s, "08006", text);
}

/* Tries the addresses from s->address on. */
static void try_connect(struct session *s)
{
	const struct primary *p = &s->thread->shared->primary;
	const char *why = "no address is left";
	uint64_t wait_ms;
	int fd = -1;

	for (; s->address < p->count; s->address++) {
		fd = primary_connect(p, s->address);
		if (fd >= 0)
			break;
		why = strerror(errno);
	}
	wait_ms = (uint64_t)p->connect_timeout_s * 1000;
	if (wait_ms > login_ms_left(s))
		wait_ms = login_ms_left(s);
	if (fd < 0) {
		unreachable(s, why);
		return;
	}
	end_open(&s->primary, fd);
	s->primary.paused = PAUSE_CONNECTING;
	event_add(&s->primary.write, NULL);
	start_timer(s, wait_ms);
}

static void try_next_address(struct session *s, const char *why)
{
	end_close(&s->primary);
	s->address++;
	if (s->state == SESSION_CANCELLING || s->address >= s->thread->shared->primary.count ||
		login_ms_left(s) == 0)
		unreachable(s, why);
	else
		try_connect(s);
}

static void on_connect_outcome(struct session *s)
{
	int why = 0;
	socklen_t len = sizeof why;

	if (getsockopt(s->primary.fd, SOL_SOCKET, SO_ERROR, &why, &len) < 0)
		why = errno;
	if (why)
		try_next_address(s, strerror(why));
	else
		connected(s);
}

/* --- the startup packet --- */

/* A place among max_sessions. */
static bool take_place(struct session *s)
{
	struct relay_shared *shared = s->thread->shared;

	if (atomic_fetch_add(&shared->sessions, 1) >= shared->max_sessions) {
		atomic_fetch_sub(&shared->sessions, 1);
		return false;
	}
	s->counted = true;

	return true;
}

static void refuse_encryption(struct session *s, bool *asked)
{
	if (*asked || !end_send(&s->client, span_of("N", 1)) || s->client.pending_len > 0) {
		session_end(s);
		return;
	}
	*asked = true;
	free(s->startup);
	s->startup = NULL;
	s->startup_len = s->startup_have = 0;
}

/* The packet is complete. What is not ours goes to the primary as it is, which judges it. */
static void act_on_startup(struct session *s)
{
	struct startup_message m;
	struct span packet = span_of(s->startup + LENGTH_WORD, s->startup_len - LENGTH_WORD);

	if (parse_startup(packet, &m) && m.code == PROTOCOL_SSL) {
		refuse_encryption(s, &s->asked_ssl);
		return;
	}
	if (parse_startup(packet, &m) && m.code == PROTOCOL_GSSENC) {
		refuse_encryption(s, &s->asked_gss);
		return;
	}
	pause_end(&s->client, PAUSE_CONNECTING);
	if (wants_cancel(s)) {
		s->state = SESSION_CANCELLING;
		s->address = atomic_load_explicit(
			&s->thread->shared->primary.last_good, memory_order_relaxed);
	} else {
		s->state = SESSION_CONNECTING;
		if (!take_place(s)) {
			tell_fatal(s, "53300", "sorry, too many clients already (max_sessions)");
			return;
		}
		if (!begin_recording(s)) {
			tell_fatal(s, "53200", "out of memory");
			return;
		}
	}
	try_connect(s);
}

static bool know_length(struct session *s)
{
	const uint8_t *w = s->length_word;
	const uint32_t len =
		(uint32_t)w[0] << 24 | (uint32_t)w[1] << 16 | (uint32_t)w[2] << 8 | w[3];

	if (len < 8 || len > STARTUP_LENGTH_MAX)
		return false; /* also a TLS ClientHello and HTTP; the server says nothing, too */
	s->startup = malloc(len);
	s->startup_len = len;
	if (s->startup)
		memcpy(s->startup, w, LENGTH_WORD);

	return s->startup != NULL;
}

/* Reads the packet and not a byte more: what follows it stays in the socket. */
static void read_startup(struct session *s)
{
	uint8_t *to;
	size_t want;
	ssize_t n;

	while (s->state == SESSION_STARTUP) {
		want = (s->startup ? s->startup_len : LENGTH_WORD) - s->startup_have;
		to = (s->startup ? s->startup : s->length_word) + s->startup_have;
		n = recv(s->client.fd, to, want, 0);
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
			return;
		if (n <= 0) {
			session_end(s); /* health checks do that */
			return;
		}
		s->startup_have += (uint32_t)n;
		if ((size_t)n < want)
			continue;
		if (s->startup)
			act_on_startup(s);
		else if (!know_length(s))
			session_end(s);
	}
}

/* --- events --- */

static void discard(struct session *s)
{
	ssize_t n = recv(s->client.fd, s->thread->chunk, CHUNK_BYTES, 0);

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR))
		session_end(s);
}

/* The primary says nothing to a CancelRequest: it closes when the signal was sent. */
static void await_cancel(struct session *s)
{
	ssize_t n = recv(s->primary.fd, s->thread->chunk, CHUNK_BYTES, 0);

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR))
		session_end(s);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct end *e = arg;
	struct session *s = e->session;

	(void)fd;
	(void)what;
	switch (s->state) {
	case SESSION_STARTUP: read_startup(s); break;
	case SESSION_RELAYING: relay_from(e); break;
	case SESSION_CANCELLING: await_cancel(s); break;
	case SESSION_LINGERING: discard(s); break;
	case SESSION_CONNECTING:
	case SESSION_DEAD: break;
	}
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct end *e = arg;
	struct session *s = e->session;

	(void)fd;
	(void)what;
	if (e == &s->primary && (e->paused & PAUSE_CONNECTING)) {
		on_connect_outcome(s);
		return;
	}
	if (!end_send_pending(e)) {
		free(e->pending);
		e->pending = NULL;
		e->pending_len = 0;
		event_del(&e->write);
		on_lost(e);
		return;
	}
	if (s->state == SESSION_RELAYING && e == &s->client && s->primary.eof)
		after_primary_eof(s);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct session *s = arg;
	char peer[ADDRESS_TEXT_MAX];

	(void)fd;
	(void)what;
	peer_name(s, peer, sizeof peer);
	switch (s->state) {
	case SESSION_STARTUP:
		log_info("login_timeout passed: closed %s before its startup packet was complete",
			peer);
		session_end(s);
		break;
	case SESSION_CONNECTING: try_next_address(s, "connection timed out"); break;
	case SESSION_RELAYING:
		log_info("login_timeout passed: closed %s before it was authenticated", peer);
		session_end(s);
		break;
	case SESSION_CANCELLING:
	case SESSION_LINGERING: session_end(s); break;
	case SESSION_DEAD: break;
	}
}

static uint64_t wall_clock_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);

	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static struct session *session_new(struct relay_thread *t)
{
	struct session *s = calloc(1, sizeof *s);

	if (!s || !relay_thread_enter(t, s, &s->id)) {
		free(s);
		return NULL;
	}
	s->thread = t;
	end_init(&s->client, s, &s->primary);
	end_init(&s->primary, s, &s->client);
	event_assign(&s->timer, t->base, -1, 0, on_timer, s);
	s->connected_us = wall_clock_us();
	s->login_deadline_us = relay_thread_now(t) + (uint64_t)t->shared->login_timeout_ms * 1000;

	return s;
}

void session_accept(struct relay_thread *t, int fd)
{
	const int on = 1;
	struct session *s = NULL;

	if (atomic_fetch_add(&t->shared->connections, 1) < t->shared->max_connections)
		s = session_new(t);
	if (!s) {
		atomic_fetch_sub(&t->shared->connections, 1);
		close(fd);
		return;
	}
	/* fail on unix sockets, which need neither */
	(void)!setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	(void)!setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
	end_open(&s->client, fd);
	event_add(&s->client.read, NULL);
	start_timer(s, t->shared->login_timeout_ms);
}

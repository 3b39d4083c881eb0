#define _GNU_SOURCE /* accept4 */
#include "proxy/relay/session_internal.h"
#include "proxy/relay/session_login.h"

#include "protocol/message.h"
#include "proxy/log.h"
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* What hardly ever runs stays out of line: the path that every chunk takes saves fewer registers.
 */
#define RARELY __attribute__((cold, noinline))

enum {
	READS_PER_TURN = 4, /* of one end, while its chunks come full */
	LINGER_MS = 2000,
};

static void on_io(struct poller_watch *w, unsigned ready);
static void on_timer(struct poller_timer *t);

void session_open_end(struct session *s, struct end *e, int fd)
{
	end_open(e, fd, &s->thread->poller, on_io);
}

struct span session_packet(const struct session *s)
{
	return span_of(s->startup + LENGTH_WORD, s->startup_len - LENGTH_WORD);
}

/* --- the session's life --- */

void session_peer_name(const struct session *s, char *text, size_t size)
{
	struct sockaddr_storage a;
	socklen_t len = sizeof a;
	char host[INET6_ADDRSTRLEN] = "?";
	uint16_t port = 0;

	if (s->announced) {
		const bool four = s->announced->version == 4;

		inet_ntop(four ? AF_INET : AF_INET6, s->announced->address, host, sizeof host);
		snprintf(text, size, four ? "%s:%u" : "[%s]:%u", host, s->announced->port);
		return;
	}
	if (getpeername(s->client.fd, (struct sockaddr *)&a, &len) < 0)
		a.ss_family = AF_UNSPEC;
	if (a.ss_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)&a;

		inet_ntop(AF_INET, &in->sin_addr, host, sizeof host);
		port = ntohs(in->sin_port);
	} else if (a.ss_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&a;

		inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof host);
		port = ntohs(in6->sin6_port);
	} else {
		snprintf(text, size, "[local]");
		return;
	}
	snprintf(text, size, "%s:%u", host, port);
}

/* Most sessions have none for most of their life: it takes no memory then. */
static void stop_timer(struct session *s)
{
	if (s->timer)
		poller_stop(&s->thread->poller, s->timer);
	free(s->timer);
	s->timer = NULL;
}

void session_start_timer(struct session *s, uint64_t ms)
{
	stop_timer(s);
	s->timer = malloc(sizeof *s->timer);
	if (s->timer)
		*s->timer = (struct poller_timer){.on_due = on_timer, .arg = s};
	if (!s->timer || !poller_start(&s->thread->poller, s->timer, ms))
		session_end(s); /* out of memory: nothing may be without a limit */
}

uint64_t session_login_ms_left(const struct session *s)
{
	const uint64_t now = relay_thread_now(s->thread);

	return s->login_deadline_us > now ? (s->login_deadline_us - now) / 1000 + 1 : 0;
}

/* Or it never will be: it no longer counts among the logins. */
static void session_logged_in(struct session *s)
{
	if (s->logging_in)
		atomic_fetch_sub(&s->thread->shared->logins, 1);
	s->logging_in = false;
}

static void stop_editing(struct session *s)
{
	if (s->sasl)
		sasl_release(s->sasl);
	free(s->sasl);
	s->sasl = NULL;
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
	session_logged_in(s);
	announced_release(s);
	connect_leave(s);
	end_close(&s->primary);
	free(s->startup);
	s->startup = NULL;
	stop_editing(s);
	login_release(s);
}

void session_end(struct session *s)
{
	if (s->state == SESSION_DEAD)
		return;
	s->state = SESSION_DEAD;
	leave_primary(s);
	end_close(&s->client);
	stop_timer(s);
	atomic_fetch_sub(&s->thread->shared->connections, 1);
	relay_thread_leave(s->thread, s->id);
	relay_thread_bury(s->thread, s);
}

bool session_unheard(const struct session *s)
{
	return s->client.unheard || s->primary.unheard;
}

void session_free(struct session *s)
{
	assert(s->state == SESSION_DEAD);
	free(s->announced);
	free(s);
}

/* Everything for the client is sent: closing at once could destroy it with a reset while the client
 * is still sending, so wait until it closes, within a deadline. */
void session_linger(struct session *s)
{
	leave_primary(s);
	if (s->client.eof || s->thread->phase == RELAY_STOPPING) {
		session_end(s);
		return;
	}
	s->state = SESSION_LINGERING;
	end_finish(&s->client);
	end_set_paused(&s->client, 0);
	session_start_timer(s, LINGER_MS);
}

/* Our own FATAL, when the client stands between two messages. */
void session_tell_fatal(struct session *s, const char *sqlstate, const char *message)
{
	struct buffer b;

	buffer_init(&b, OWN_MESSAGE_MAX);
	build_error(&b, "FATAL", sqlstate, message, NULL, NULL);
	if (s->client.pending_len == 0 && !b.failed && !s->client.deaf)
		(void)!end_send(&s->client, buffer_span(&b));
	buffer_release(&b);
	session_linger(s);
}

/* --- relaying --- */

static bool is_quiet(const struct session *s)
{
	return s->has_recorder && recorder_quiet(&s->recorder) && s->client.pending_len == 0 &&
	       s->primary.pending_len == 0;
}

/* We end the session: the primary gets a Terminate, the client the words that PostgreSQL uses. */
RARELY static void shut_down(struct session *s)
{
	static const uint8_t terminate[] = {FRONT_TERMINATE, 0, 0, 0, 4};

	if (!s->primary.deaf && s->primary.pending_len == 0 && !s->recorder.front.middle)
		end_send_once(&s->primary, span_of(terminate, sizeof terminate));
	session_tell_fatal(s, "57P01", "terminating connection due to administrator command");
}

void session_phase_changed(struct session *s)
{
	const bool stopping = s->thread->phase == RELAY_STOPPING;

	if (s->thread->phase == RELAY_LEAVING)
		return;
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

/* What the clients that are served later in this turn wait for because of the tape. */
__attribute__((noinline)) static void walk_measured(
	struct session *s, const struct end *from, struct span bytes)
{
	const uint64_t began_ns = relay_thread_clock_ns();

	if (from == &s->client)
		recorder_front(&s->recorder, bytes);
	else
		recorder_back(&s->recorder, bytes);
	s->thread->copied_ns += relay_thread_clock_ns() - began_ns;
}

static inline void walk(struct session *s, const struct end *from, struct span bytes)
{
	struct relay_thread *t = s->thread;

	if (t->tape)
		relay_thread_now(t); /* for what is put on the tape */
	if (t->measuring)
		walk_measured(s, from, bytes);
	else if (from == &s->client)
		recorder_front(&s->recorder, bytes);
	else
		recorder_back(&s->recorder, bytes);
}

/* The primary has let the client in. */
RARELY static void end_login(struct session *s)
{
	stop_timer(s);
	s->login_timer = false;
	session_logged_in(s);
	if (s->client.ssl)
		tls_end_login(s->client.ssl);
}

static inline void record(struct session *s, const struct end *from, struct span bytes)
{
	struct relay_counters *c = &s->thread->recording.counters;

	walk(s, from, bytes);
	if (from == &s->client) {
		c->bytes_front += bytes.len;
		return;
	}
	c->bytes_back += bytes.len;
	if (s->route == NO_ROUTE && s->recorder.backend_pid != 0)
		connect_note_key(s);
	if (s->login_timer && s->recorder.authenticated)
		end_login(s);
}

RARELY void session_record(struct session *s, const struct end *from, struct span bytes)
{
	record(s, from, bytes);
}

/* The primary has gone: once the client has everything, it learns it. */
static void after_primary_eof(struct session *s)
{
	if (s->client.pending_len == 0)
		session_linger(s);
}

/* The primary went amid a message of the login: what there is of it goes on all the same. */
static void flush_edited(struct session *s)
{
	if (s->sasl->held.len > 0 && s->client.pending_len == 0 && !s->client.deaf)
		(void)!end_send(&s->client, buffer_span(&s->sasl->held));
	stop_editing(s);
}

static void on_eof(struct end *from)
{
	struct session *s = from->session;

	from->eof = true;
	end_pause(from, PAUSE_EOF);
	if (from == &s->primary && s->sasl)
		flush_edited(s);
	if (from == &s->client)
		end_finish(&s->primary); /* its answers are still relayed */
	else
		after_primary_eof(s);
}

/* Writing to `to` failed, or reading from it with an error. */
void session_lost(struct end *lost)
{
	struct session *s = lost->session;

	if (lost == &s->client) {
		session_end(s); /* nobody is left to be told */
		return;
	}
	/* what the primary said before it went is still to be read */
	lost->deaf = true;
	end_pause(&s->client, PAUSE_NO_TAKER);
}

/* The list of mechanisms is taken out of the bytes of a login; false: the session is over. What is
 * held back of them is less than a message. */
static bool relay_edited(struct session *s, struct span bytes)
{
	struct buffer out;
	bool sent;

	buffer_init(&out, 2 * CHUNK_BYTES);
	if (!sasl_pass(s->sasl, bytes, &out)) {
		buffer_release(&out);
		session_end(s);
		return false;
	}
	sent = out.len == 0 || (!s->client.deaf && end_send(&s->client, buffer_span(&out)));
	if (sent)
		session_record(s, &s->primary, buffer_span(&out));
	buffer_release(&out);
	if (s->sasl->done)
		stop_editing(s);
	if (!sent)
		session_lost(&s->client);

	return sent;
}

/* Reading gave no bytes: n is as recv says. */
RARELY static void relay_nothing(struct end *from, ssize_t n)
{
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return;
	if (n < 0 && from == &from->session->client)
		session_lost(from);
	else
		on_eof(from);
}

RARELY static bool relay_lost(struct end *to)
{
	session_lost(to);

	return false;
}

/* What a client says before it is authenticated may be its password: no copy stays. False: nobody
 * takes it any more. */
RARELY static bool relay_login(struct end *from, struct span bytes)
{
	struct session *s = from->session;
	const bool secret = s->login_timer && from == &s->client;
	bool taken;

	if (s->sasl && from == &s->primary)
		return relay_edited(s, bytes);
	taken = !from->other->deaf && end_send(from->other, bytes);
	if (taken)
		record(s, from, bytes);
	else
		session_lost(from->other);
	if (secret)
		OPENSSL_cleanse(s->thread->chunk, bytes.len);

	return taken;
}

/* The same behind the login. */
static inline bool relay_bytes(struct end *from, struct span bytes)
{
	if (from->other->deaf || !end_send(from->other, bytes))
		return relay_lost(from->other);
	record(from->session, from, bytes);

	return true;
}

/* False when there is nothing more to read for now. */
static inline bool relay_chunk(struct end *from)
{
	struct session *s = from->session;
	uint8_t *chunk = s->thread->chunk;
	const ssize_t n = end_read(from, chunk, CHUNK_BYTES);
	bool more;

	if (n <= 0) {
		relay_nothing(from, n);
		return false;
	}
	if (s->login_timer || s->sasl)
		more = relay_login(from, span_of(chunk, (size_t)n));
	else
		more = relay_bytes(from, span_of(chunk, (size_t)n));

	return more && end_has_more(from, (size_t)n, CHUNK_BYTES);
}

/* The session is RELAYING, and may be over afterwards. */
static void relay_from(struct end *from)
{
	struct session *s = from->session;
	int turns = 0;

	while (from->paused == 0 && relay_chunk(from) && ++turns < READS_PER_TURN &&
		s->state == SESSION_RELAYING)
		;
	if (s->thread->phase == RELAY_DRAINING && s->state == SESSION_RELAYING && is_quiet(s))
		shut_down(s);
}

void session_begin_relaying(struct session *s)
{
	s->state = SESSION_RELAYING;
	s->opened = true;
	s->thread->recording.counters.sessions_opened++;
	s->login_timer = true;
	session_start_timer(s, session_login_ms_left(s));
	end_unpause(&s->primary, PAUSE_CONNECTING);
	end_unpause(&s->client, PAUSE_CONNECTING);
}

/* --- events --- */

static bool is_gone(struct end *e)
{
	ssize_t n = end_read(e, e->session->thread->chunk, CHUNK_BYTES);

	return n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

static void read_from(struct end *e)
{
	struct session *s = e->session;

	switch (s->state) {
	case SESSION_STARTUP: startup_continue(s); break;
	case SESSION_AUTHENTICATING: login_continue(s, e); break;
	case SESSION_RELAYING: relay_from(e); break;
	case SESSION_CANCELLING:
		/* it says nothing to a CancelRequest, and closes when the signal was sent */
		if (is_gone(&s->primary))
			connect_cancel_done(s);
		break;
	case SESSION_LINGERING:
		if (is_gone(&s->client))
			session_end(s);
		break;
	case SESSION_CONNECTING:
	case SESSION_DEAD: break;
	}
}

/* What waited for this end to take more. False: nobody must touch the end any more. */
static bool write_to(struct end *e)
{
	struct session *s = e->session;

	if (!end_send_pending(e))
		session_lost(e);
	else if (s->state == SESSION_RELAYING && e == &s->client && s->primary.eof)
		after_primary_eof(s);

	return s->state != SESSION_DEAD && e->fd >= 0;
}

static void on_readable(struct end *e)
{
	struct session *s = e->session;

	if (e == &s->primary && s->step != CONNECT_DONE) {
		connect_continue(s);
		return;
	}
	if (e->write_wants_read && e->pending_len > 0 && !write_to(e))
		return;
	if (e->paused == 0)
		read_from(e);
}

static void on_writable(struct end *e)
{
	struct session *s = e->session;

	if (e == &s->primary && s->step != CONNECT_DONE) {
		connect_continue(s);
		return;
	}
	if (e == &s->client && s->handshaking) {
		startup_continue(s);
		return;
	}
	if (e->pending_len > 0 && !e->write_wants_read && !write_to(e))
		return;
	if (e->read_wants_write && e->paused == 0)
		read_from(e);
}

/* What was written may have ended the session, or stopped the reading. */
static void on_io(struct poller_watch *w, unsigned ready)
{
	struct end *e = POLLER_OWNER(w, struct end, io);
	const int fd = w->fd;

	/* nearly all that happens: the rest would come to the same */
	if (ready == POLLER_READ && e->session->state == SESSION_RELAYING && e->paused == 0 &&
		e->pending_len == 0) {
		relay_from(e);
		return;
	}
	if (ready & POLLER_WRITE)
		on_writable(e);
	if (ready & POLLER_READ && e->session->state != SESSION_DEAD && e->fd == fd &&
		e->io.wanted & POLLER_READ)
		on_readable(e);
}

static void on_timer(struct poller_timer *t)
{
	struct session *s = t->arg;
	char peer[ADDRESS_TEXT_MAX];

	session_peer_name(s, peer, sizeof peer);
	switch (s->state) {
	case SESSION_STARTUP:
		log_info("%s passed: closed %s before its startup packet was complete",
			session_login_ms_left(s) > 0 ? "startup_timeout" : "login_timeout", peer);
		session_end(s);
		break;
	case SESSION_CONNECTING: connect_timed_out(s); break;
	case SESSION_CANCELLING:
		if (s->step == CONNECT_DONE)
			session_end(s);
		else
			connect_timed_out(s);
		break;
	case SESSION_AUTHENTICATING:
	case SESSION_RELAYING:
		log_info("login_timeout passed: closed %s before it was authenticated", peer);
		session_end(s);
		break;
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
	s->connected_us = wall_clock_us();
	s->login_deadline_us =
		relay_thread_now(t) + (uint64_t)atomic_load(&t->shared->login_timeout_ms) * 1000;

	return s;
}

static void set_option(int fd, int level, int name, int value)
{
	/* fails on unix sockets, which need none of them */
	(void)!setsockopt(fd, level, name, &value, sizeof value);
}

static void tune_client(const struct relay_shared *shared, int fd)
{
	set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	if (shared->tcp_keepalives_idle_s > 0)
		set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, shared->tcp_keepalives_idle_s);
	if (shared->tcp_keepalives_interval_s > 0)
		set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, shared->tcp_keepalives_interval_s);
	if (shared->tcp_keepalives_count > 0)
		set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, shared->tcp_keepalives_count);
	if (shared->tcp_user_timeout_ms > 0)
		set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, shared->tcp_user_timeout_ms);
}

/* NULL: there are too many, or no memory. */
static struct session *admit(struct relay_thread *t)
{
	struct relay_shared *shared = t->shared;
	struct session *s;

	if (atomic_fetch_add(&shared->logins, 1) >= shared->max_logins) {
		atomic_fetch_sub(&shared->logins, 1);
		relay_thread_tell_crowd(t, "max_logins");
		return NULL;
	}
	s = session_new(t);
	if (!s) {
		atomic_fetch_sub(&shared->logins, 1);
		return NULL;
	}
	s->logging_in = true;

	return s;
}

/* The first stage: until the startup packet is complete. */
static uint64_t startup_ms(const struct session *s)
{
	const uint64_t startup = atomic_load(&s->thread->shared->startup_timeout_ms);
	const uint64_t login = session_login_ms_left(s);

	return startup < login ? startup : login;
}

void session_accept(struct relay_thread *t, int fd)
{
	struct session *s = NULL;

	if (atomic_fetch_add(&t->shared->connections, 1) < t->shared->max_connections)
		s = admit(t);
	if (!s) {
		atomic_fetch_sub(&t->shared->connections, 1);
		close(fd);
		return;
	}
	tune_client(t->shared, fd);
	session_open_end(s, &s->client, fd);
	announced_init(s);
	end_watch(&s->client);
	session_start_timer(s, startup_ms(s));
}

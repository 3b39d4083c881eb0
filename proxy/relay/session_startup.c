/* The client's first bytes: requests for encryption, TLS, the startup packet. */
#include "proxy/relay/session_internal.h"

#include "protocol/message.h"
#include "proxy/log.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

enum {
	TLS_FIRST_BYTE = 0x16, /* of a ClientHello's record; no startup packet is that long */
	NAME_BYTES_MAX = 63,   /* of a role, at the server */
};

static bool is_local(const struct session *s)
{
	struct sockaddr_storage a = {.ss_family = AF_UNSPEC};
	socklen_t len = sizeof a;

	return getsockname(s->client.fd, (struct sockaddr *)&a, &len) == 0 &&
	       a.ss_family == AF_UNIX;
}

/* --- TLS --- */

static void refuse_client(struct session *s, const char *why)
{
	char peer[ADDRESS_TEXT_MAX];

	session_peer_name(s, peer, sizeof peer);
	relay_thread_tell_handshake(s->thread, peer, why);
	/* what TLS had to say is said; closing at once could destroy it with a reset */
	SSL_free(s->client.ssl);
	s->client.ssl = NULL;
	session_linger(s);
}

/* Whatever the client sent behind its request is in the socket still: it is the handshake's. So
 * plain bytes slipped in there never become a packet. */
static void begin_tls(struct session *s)
{
	s->client.ssl = tls_accept_on(s->thread->tls.client, s->client.fd);
	if (!s->client.ssl) {
		session_end(s);
		return;
	}
	s->handshaking = true;
}

static void continue_handshake(struct session *s)
{
	char why[TLS_WHY_MAX];
	const enum tls_step step = tls_handshake(s->client.ssl, why);

	s->handshaking = step != TLS_DONE;
	s->client.wants_write = step == TLS_WANTS_WRITE;
	if (step == TLS_FAILED)
		refuse_client(s, why);
	else if (step == TLS_DONE && s->direct_tls && !tls_has_alpn(s->client.ssl))
		refuse_client(s, "direct TLS without ALPN \"postgresql\"");
	else
		end_watch(&s->client);
}

/* The first byte tells direct TLS from a packet. False: it is not there yet, or the end. */
static bool know_kind(struct session *s)
{
	char why[TLS_WHY_MAX];
	uint8_t first;
	ssize_t n;

	if (s->peeked || !s->thread->tls.client || is_local(s)) {
		s->peeked = true;
		return true;
	}
	n = end_peek(&s->client, &first, 1, why);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return false;
	if (n <= 0) {
		session_end(s);
		return false;
	}
	s->peeked = true;
	if (first == TLS_FIRST_BYTE) {
		s->direct_tls = true;
		begin_tls(s);
	}

	return s->state == SESSION_STARTUP;
}

/* --- the packet --- */

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

/* The answer to a request for encryption; each request is answered once. */
static void answer_request(struct session *s, bool *asked, const char *answer)
{
	if (*asked || !end_send(&s->client, span_of(answer, 1)) || s->client.pending_len > 0) {
		session_end(s);
		return;
	}
	*asked = true;
	free(s->startup);
	s->startup = NULL;
	s->startup_len = s->startup_have = 0;
}

static void answer_ssl(struct session *s)
{
	const bool yes = s->thread->tls.client && !s->client.ssl && !is_local(s);

	answer_request(s, &s->asked_ssl, yes ? "S" : "N");
	if (yes && s->state == SESSION_STARTUP)
		begin_tls(s);
}

static bool begin_recording(struct session *s)
{
	s->has_recorder = recorder_init(
		&s->recorder, &s->thread->recording, s->id, session_packet(s), s->connected_us);
	if (!s->has_recorder)
		recorder_release(&s->recorder);

	return s->has_recorder;
}

/* The last `user`, as the server takes it. */
static struct span user_of(const struct startup_message *m)
{
	struct span rest = m->parameters, name, value, user = {NULL, 0};

	while (next_parameter(&rest, &name, &value)) {
		if (span_is(name, "user"))
			user = value;
	}

	return user;
}

struct span session_user(const struct session *s)
{
	struct startup_message m;

	if (!parse_startup(session_packet(s), &m))
		return (struct span){NULL, 0};

	return user_of(&m);
}

/* What client_tls.sslmode asks for. A unix socket needs no TLS. */
static bool may_enter(struct session *s, const struct startup_message *m)
{
	const enum tls_mode mode = s->thread->shared->client_tls;
	const struct span user = user_of(m);
	char text[OWN_MESSAGE_MAX / 2];

	if (mode < TLS_REQUIRE || is_local(s))
		return true;
	if (!s->client.ssl) {
		session_tell_fatal(s, "28000", "connections without TLS are not accepted here");
		return false;
	}
	/* the server cuts longer names off, and another name would be what is left */
	if (mode < TLS_VERIFY_FULL ||
		(user.len <= NAME_BYTES_MAX && tls_peer_is_user(s->client.ssl, user)))
		return true;
	snprintf(text, sizeof text, "certificate authentication failed for user \"%.*s\"",
		(int)(user.len < NAME_BYTES_MAX ? user.len : NAME_BYTES_MAX),
		user.data ? (const char *)user.data : "");
	session_tell_fatal(s, "28000", text);

	return false;
}

static void enter(struct session *s)
{
	struct startup_message m;

	s->state = SESSION_CONNECTING;
	/* what is no startup packet at all is for the primary to refuse */
	if (!parse_startup(session_packet(s), &m))
		m = (struct startup_message){0};
	if (!may_enter(s, &m))
		return;
	if (!take_place(s)) {
		session_tell_fatal(s, "53300", "sorry, too many clients already (max_sessions)");
		return;
	}
	if (!begin_recording(s)) {
		session_tell_fatal(s, "53200", "out of memory");
		return;
	}
	connect_begin(s);
}

/* The packet is complete. What is not ours goes to the primary as it is, which judges it. */
static void act_on_startup(struct session *s)
{
	struct startup_message m;

	if (!parse_startup(session_packet(s), &m))
		m.code = 0;
	if (m.code == PROTOCOL_SSL) {
		answer_ssl(s);
		return;
	}
	if (m.code == PROTOCOL_GSSENC) {
		answer_request(s, &s->asked_gss, "N");
		return;
	}
	end_pause(&s->client, PAUSE_CONNECTING);
	if (m.code == PROTOCOL_CANCEL) {
		/* plain ones, too, where TLS is required: libpq before 17 knows no others */
		s->state = SESSION_CANCELLING;
		connect_begin(s);
	} else {
		enter(s);
	}
}

static bool know_length(struct session *s)
{
	const uint8_t *w = s->length_word;
	const uint32_t len =
		(uint32_t)w[0] << 24 | (uint32_t)w[1] << 16 | (uint32_t)w[2] << 8 | w[3];

	if (len < 8 || len > STARTUP_LENGTH_MAX)
		return false; /* also HTTP; the server says nothing, too */
	s->startup = malloc(len);
	s->startup_len = (uint16_t)len;
	if (s->startup)
		memcpy(s->startup, w, LENGTH_WORD);

	return s->startup != NULL;
}

/* Reads the packet and not a byte more: what follows it stays where it is. False: nothing is there
 * for now. */
static bool read_some(struct session *s)
{
	const size_t want = (s->startup ? s->startup_len : LENGTH_WORD) - s->startup_have;
	uint8_t *to = (s->startup ? s->startup : s->length_word) + s->startup_have;
	const ssize_t n = end_read(&s->client, to, want);

	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return false;
	if (n <= 0) {
		session_end(s); /* health checks do that */
		return false;
	}
	s->startup_have += (uint16_t)n;
	if ((size_t)n < want)
		return true;
	if (s->startup)
		act_on_startup(s);
	else if (!know_length(s))
		session_end(s);

	return true;
}

void startup_continue(struct session *s)
{
	while (s->state == SESSION_STARTUP) {
		if (s->header_due) {
			if (!announced_continue(s))
				return;
		} else if (s->handshaking) {
			continue_handshake(s);
			if (s->handshaking)
				return; /* or it failed, and the session is over */
		} else if (!know_kind(s)) {
			return;
		} else if (!s->handshaking && !read_some(s)) {
			return;
		}
	}
}

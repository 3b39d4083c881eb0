#include "proxy/relay/session_login.h"

#include "protocol/message.h"
#include "proxy/relay/session_internal.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	AUTH_OK = 0,
	AUTH_SASL = 10,
	AUTH_SASL_CONTINUE = 11,
	AUTH_SASL_FINAL = 12,
	PRIMARY_MESSAGE_MAX = 65536,		     /* of a login */
	CLIENT_MESSAGE_MAX = SCRAM_MESSAGE_MAX + 64, /* with the mechanism's name and a length */
	ANSWER_MAX = 4 * SCRAM_TEXT_MAX,
};

static const char scram[] = "SCRAM-SHA-256", scram_plus[] = "SCRAM-SHA-256-PLUS";

bool login_init(struct session *s)
{
	const struct span user = session_user(s);

	s->login = calloc(1, sizeof *s->login);
	if (s->login && user.data)
		memcpy(s->login->role, user.data,
			user.len < AUTH_ROLE_BYTES_MAX ? user.len : AUTH_ROLE_BYTES_MAX);

	return s->login != NULL;
}

static void drop_message(struct login_message *m)
{
	if (m->bytes)
		scram_wipe(m->bytes, m->size);
	free(m->bytes);
	*m = (struct login_message){.have = 0};
}

void login_release(struct session *s)
{
	if (!s->login)
		return;
	drop_message(&s->login->client_says);
	drop_message(&s->login->primary_says);
	scram_wipe(s->login, sizeof *s->login);
	free(s->login);
	s->login = NULL;
}

/* --- ends of a login; nothing of it may be touched afterwards --- */

static void wrong_password(struct session *s)
{
	char text[OWN_MESSAGE_MAX / 2];

	snprintf(text, sizeof text, "password authentication failed for user \"%s\"",
		s->login->role);
	session_tell_fatal(s, "28P01", text);
}

/* The operator's trouble, too: one line now and then, with a count. */
static void no_login(struct session *s, const char *sqlstate, const char *why)
{
	relay_thread_tell_login(s->thread, s->login->role, why);
	session_tell_fatal(s, sqlstate, why);
}

static void refuse(struct session *s, enum scram_verdict v)
{
	switch (v) {
	case SCRAM_REFUSED: wrong_password(s); break;
	case SCRAM_BINDING_NEGOTIATION:
		session_tell_fatal(s, "28000", "SCRAM channel binding negotiation error");
		break;
	case SCRAM_BINDING_FAILED:
		session_tell_fatal(s, "28000", "SCRAM channel binding check failed");
		break;
	case SCRAM_BINDING_UNKNOWN:
		session_tell_fatal(s, "08P01", "unsupported SCRAM channel-binding type");
		break;
	case SCRAM_NONCE:
		session_tell_fatal(s, "08P01", "invalid SCRAM response: nonce does not match");
		break;
	case SCRAM_UNSUPPORTED:
		session_tell_fatal(s, "0A000",
			"client uses authorization identity or an extension of SCRAM, which are "
			"not supported");
		break;
	case SCRAM_FAILED: no_login(s, "53200", "out of memory"); break;
	case SCRAM_GOOD:
	case SCRAM_MALFORMED:
	case SCRAM_BINDING_MISSING:
		session_tell_fatal(s, "08P01", "malformed SCRAM message");
		break;
	}
}

/* --- saying --- */

static void say(struct session *s, struct end *to, struct buffer *b)
{
	const bool ours = to == &s->client;

	if (!b->failed && !to->deaf && to->pending_len == 0 && end_send(to, buffer_span(b)))
		;
	else if (ours) /* it talks without listening, or is gone */
		session_end(s);
	else
		session_tell_fatal(s, "08006", "the connection to the primary was lost");
	if (b->data)
		scram_wipe(b->data, b->len);
	buffer_release(b);
}

static void begin_message(struct buffer *b, uint8_t type, size_t body)
{
	buffer_init(b, ANSWER_MAX);
	buffer_add_u8(b, type);
	buffer_add_u32(b, (uint32_t)(4 + body));
}

static void begin_request(struct buffer *b, uint32_t code, size_t body)
{
	begin_message(b, BACK_AUTHENTICATION, 4 + body);
	buffer_add_u32(b, code);
}

static void await(struct session *s, struct end *from, enum login_step step)
{
	s->login->step = step;
	end_pause(from->other, PAUSE_CONNECTING);
	end_unpause(from, PAUSE_CONNECTING);
}

/* --- to the primary --- */

/* AuthenticationSASL: which of the two mechanisms there are. */
static void read_mechanisms(struct reader *list, bool *has_scram, bool *has_plus)
{
	struct span name;

	*has_scram = *has_plus = false;
	for (name = read_cstr(list); !list->bad && name.len > 0; name = read_cstr(list)) {
		*has_scram |= span_is(name, scram);
		*has_plus |= span_is(name, scram_plus);
	}
}

static void look_up(struct session *s);

/* As libpq with channel_binding=prefer: it binds where it can, and says so where it could have. */
static void begin_at_primary(struct session *s, struct reader *list)
{
	struct login *l = s->login;
	uint8_t binding[TLS_END_POINT_MAX];
	const size_t binding_len =
		s->primary.ssl ? tls_end_point(s->primary.ssl, false, binding) : 0;
	enum scram_flag flag = binding_len > 0 ? SCRAM_FLAG_NOT_OFFERED : SCRAM_FLAG_NONE;
	bool has_scram, has_plus;
	struct buffer b;
	size_t first;

	read_mechanisms(list, &has_scram, &has_plus);
	l->plus = has_plus && binding_len > 0;
	if (l->plus)
		flag = SCRAM_FLAG_BOUND;
	if (!l->plus && !has_scram) {
		no_login(s, "28000",
			"the primary asks for another SASL mechanism than SCRAM-SHA-256, which "
			"auth = "
			"scram can't answer");
		return;
	}
	if (!scram_client_begin(&l->client, flag, span_of(binding, binding_len), NULL)) {
		refuse(s, SCRAM_FAILED);
		return;
	}
	first = l->client.header.len + l->client.first_bare.len;
	begin_message(&b, FRONT_PASSWORD, (l->plus ? sizeof scram_plus : sizeof scram) + 4 + first);
	buffer_add_cstr(&b, l->plus ? scram_plus : scram);
	buffer_add_u32(&b, (uint32_t)first);
	buffer_add(&b, l->client.header.data, l->client.header.len);
	buffer_add(&b, l->client.first_bare.data, l->client.first_bare.len);
	await(s, &s->primary, LOGIN_CHALLENGE);
	say(s, &s->primary, &b);
}

static const char *method_of(uint32_t code)
{
	switch (code) {
	case 3:
		return "the primary asks for a password in clear text, which auth = scram can't "
		       "give";
	case 5: return "the primary asks for an md5 password, which auth = scram can't give";
	case 7:
	case 9: return "the primary asks for GSSAPI, which auth = scram can't answer";
	default:
		return "the primary asks for another method than SCRAM-SHA-256, which auth = scram "
		       "can't answer";
	}
}

/* The first request. */
static void take_offer(struct session *s, uint32_t code, struct reader *rest)
{
	if (code == AUTH_SASL) {
		begin_at_primary(s, rest);
	} else if (code == AUTH_OK) {
		s->login->trusted = true;
		look_up(s);
	} else {
		no_login(s, "28000", method_of(code));
	}
}

static void take_challenge(struct session *s, struct span text)
{
	if (scram_client_challenge(&s->login->client, text) == SCRAM_GOOD)
		look_up(s);
	else
		no_login(s, "08P01", "the primary's SCRAM challenge can't be understood");
}

/* The client's proof was good: the same to the primary. */
static void prove(struct session *s)
{
	struct login *l = s->login;
	struct buffer b;

	if (!scram_client_prove(&l->client, &l->server.secret, l->server.client_key)) {
		refuse(s, SCRAM_FAILED);
		return;
	}
	begin_message(&b, FRONT_PASSWORD, l->client.final.len);
	buffer_add(&b, l->client.final.data, l->client.final.len);
	await(s, &s->primary, LOGIN_SIGNATURE);
	say(s, &s->primary, &b);
}

/* Both are through: the client hears it, and what follows is relayed. */
static void finish(struct session *s)
{
	static const uint8_t ok[] = {BACK_AUTHENTICATION, 0, 0, 0, 8, 0, 0, 0, AUTH_OK};
	const struct scram_text final = s->login->server.final;
	struct buffer b;

	begin_request(&b, AUTH_SASL_FINAL, final.len);
	buffer_add(&b, final.data, final.len);
	buffer_add(&b, ok, sizeof ok);
	login_release(s);
	/* so that what TLS holds already is looked at when the pause ends */
	end_pause(&s->primary, PAUSE_CONNECTING);
	end_pause(&s->client, PAUSE_CONNECTING);
	session_begin_relaying(s);
	say(s, &s->client, &b);
	if (s->state == SESSION_RELAYING)
		session_record(s, &s->primary, span_of(ok, sizeof ok));
}

static void take_request(struct session *s, struct span body)
{
	struct reader r = reader_over(body);
	const uint32_t code = read_u32(&r);
	const struct span rest = span_of(r.at, reader_left(&r));

	if (r.bad)
		no_login(s, "08P01", "the primary's request for authentication is cut off");
	else if (s->login->step == LOGIN_OFFER)
		take_offer(s, code, &r);
	else if (s->login->step == LOGIN_CHALLENGE && code == AUTH_SASL_CONTINUE)
		take_challenge(s, rest);
	else if (s->login->step == LOGIN_SIGNATURE && code == AUTH_SASL_FINAL &&
		 scram_client_trusts(&s->login->client, rest))
		s->login->step = LOGIN_READY;
	else if (s->login->step == LOGIN_SIGNATURE && code == AUTH_SASL_FINAL)
		no_login(s, "28000",
			"the primary does not prove that it knows the role's secret: somebody may "
			"be in between");
	else if (s->login->step == LOGIN_READY && code == AUTH_OK)
		finish(s);
	else
		no_login(s, "08P01", "the primary's request for authentication comes out of turn");
}

/* What is no request is the client's, as it is. */
static void pass_on(struct session *s, struct span message)
{
	struct end *to = &s->client;

	if (to->deaf || to->pending_len > 0 || !end_send(to, message)) {
		session_end(s);
		return;
	}
	session_record(s, &s->primary, message);
	if (message.data[0] == BACK_ERROR)
		session_linger(s);
}

/* --- the secret --- */

/* AuthenticationSASL, with what this certificate can be bound to. */
static void offer(struct session *s, const struct scram_secret *secret, bool doomed)
{
	struct login *l = s->login;
	uint8_t binding[TLS_END_POINT_MAX];
	const size_t len = s->client.ssl ? tls_end_point(s->client.ssl, true, binding) : 0;
	struct buffer b;

	scram_server_begin(&l->server, secret, doomed, span_of(binding, len));
	begin_request(&b, AUTH_SASL, (len > 0 ? sizeof scram_plus : 0) + sizeof scram + 1);
	if (len > 0)
		buffer_add_cstr(&b, scram_plus);
	buffer_add_cstr(&b, scram);
	buffer_add_u8(&b, 0);
	await(s, &s->client, LOGIN_CLIENT_FIRST);
	say(s, &s->client, &b);
}

void login_looked_up(struct session *s, const struct auth_lookup *found)
{
	struct login *l = s->login;
	struct scram_secret mock;
	bool doomed = found->found != AUTH_KNOWN;

	if (found->found == AUTH_FAILED) {
		no_login(s, "58000", "the role's SCRAM secret could not be looked up");
		return;
	}
	if (!auth_mock(s->thread->shared->auth, span_cstr(l->role), &mock)) {
		refuse(s, SCRAM_FAILED);
		return;
	}
	if (!l->trusted) {
		mock.iterations = l->client.iterations;
		mock.salt_len = l->client.salt_len;
		memcpy(mock.salt, l->client.salt, mock.salt_len);
		if (!doomed && !scram_client_fits(&l->client, &found->secret)) {
			relay_thread_tell_login(s->thread, l->role,
				"the SCRAM secret is not the one that the primary has: copy it "
				"from "
				"there");
			doomed = true;
		}
	}
	offer(s, doomed ? &mock : &found->secret, doomed);
	scram_wipe(&mock, sizeof mock);
}

static void look_up(struct session *s)
{
	struct login *l = s->login;
	struct auth_lookup *question = auth_lookup_new(span_cstr(l->role));

	if (!question) {
		refuse(s, SCRAM_FAILED);
		return;
	}
	question->asker = s->thread;
	question->id = s->id;
	question->deadline_us = s->login_deadline_us;
	l->step = LOGIN_LOOKUP;
	end_pause(&s->primary, PAUSE_CONNECTING);
	if (auth_look_up(s->thread->shared->auth, question))
		return; /* relay_thread_looked_up() will bring the answer */
	login_looked_up(s, question);
	auth_lookup_free(question);
}

/* --- the client --- */

/* SASLInitialResponse: the mechanism, and the first message with its length. */
static void take_first(struct session *s, struct span body)
{
	struct reader r = reader_over(body);
	struct login *l = s->login;
	const struct span mechanism = read_cstr(&r), text = read_value(&r);
	const bool plus = span_is(mechanism, scram_plus);
	enum scram_verdict v;
	struct buffer b;

	if (!reader_done(&r) || (!plus && !span_is(mechanism, scram)) ||
		(plus && l->server.binding_len == 0)) {
		session_tell_fatal(
			s, "08P01", "client selected an invalid SASL authentication mechanism");
		return;
	}
	v = text.data ? scram_server_first(&l->server, plus, text, NULL) : SCRAM_MALFORMED;
	if (v != SCRAM_GOOD) {
		refuse(s, v);
		return;
	}
	begin_request(&b, AUTH_SASL_CONTINUE, l->server.first.len);
	buffer_add(&b, l->server.first.data, l->server.first.len);
	l->step = LOGIN_CLIENT_FINAL;
	say(s, &s->client, &b);
}

static void take_final(struct session *s, struct span body)
{
	const enum scram_verdict v = scram_server_final(&s->login->server, body);

	if (v != SCRAM_GOOD)
		refuse(s, v);
	else if (s->login->trusted)
		finish(s);
	else
		prove(s);
}

/* --- reading --- */

static void take_message(struct session *s, const struct end *from, struct span message)
{
	const struct span body =
		span_of(message.data + MESSAGE_HEADER, message.len - MESSAGE_HEADER);

	if (from == &s->client && s->login->step == LOGIN_CLIENT_FIRST)
		take_first(s, body);
	else if (from == &s->client)
		take_final(s, body);
	else if (message.data[0] == BACK_AUTHENTICATION)
		take_request(s, body);
	else
		pass_on(s, message);
}

/* The header is there: how much comes, if it may come. False: the session is over. */
static bool know_length(struct session *s, const struct end *from, struct login_message *m)
{
	const uint8_t *h = m->header;
	const uint32_t length =
		(uint32_t)h[1] << 24 | (uint32_t)h[2] << 16 | (uint32_t)h[3] << 8 | h[4];
	const bool is_client = from == &s->client;
	char text[80];

	if (is_client && h[0] != FRONT_PASSWORD) {
		snprintf(text, sizeof text, "expected SASL response, got message type %u", h[0]);
		session_tell_fatal(s, "08P01", text);
		return false;
	}
	if (length < 4 || length > (is_client ? CLIENT_MESSAGE_MAX : PRIMARY_MESSAGE_MAX)) {
		session_tell_fatal(s, "08P01",
			is_client ? "invalid length of a SASL response"
				  : "the primary's message is no part of a login");
		return false;
	}
	m->size = (size_t)length + 1;
	m->bytes = malloc(m->size);
	if (!m->bytes) {
		session_tell_fatal(s, "53200", "out of memory");
		return false;
	}
	memcpy(m->bytes, h, MESSAGE_HEADER);

	return true;
}

static void left(struct session *s, const struct end *from)
{
	if (from == &s->client)
		session_end(s); /* a client that has to ask for its password does that */
	else
		session_tell_fatal(s, "08006", "the primary closed the connection");
}

/* False when nothing is there for now, or the session is over. */
static bool read_some(struct session *s, struct end *from)
{
	struct login_message *m =
		from == &s->client ? &s->login->client_says : &s->login->primary_says;
	const size_t want = (m->bytes ? m->size : MESSAGE_HEADER) - m->have;
	struct login_message whole;
	ssize_t n = 0;

	if (want > 0) {
		n = end_read(from, (m->bytes ? m->bytes : m->header) + m->have, want);
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return false;
		if (n <= 0) {
			left(s, from);
			return false;
		}
		m->have += (size_t)n;
	}
	if (!m->bytes && m->have == MESSAGE_HEADER)
		return know_length(s, from, m);
	if (!m->bytes || m->have < m->size)
		return true;
	/* kept out of the login's memory, which may go with the session */
	whole = *m;
	*m = (struct login_message){.have = 0};
	take_message(s, from, span_of(whole.bytes, whole.size));
	drop_message(&whole);

	return true;
}

void login_continue(struct session *s, struct end *from)
{
	while (s->state == SESSION_AUTHENTICATING && from->paused == 0 && read_some(s, from))
		;
}

void login_begin(struct session *s)
{
	s->state = SESSION_AUTHENTICATING;
	session_start_timer(s, session_login_ms_left(s));
	await(s, &s->primary, LOGIN_OFFER);
}

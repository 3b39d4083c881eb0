/* primary.auth = scram: one session's login, which ends here and begins anew at the primary.
 *
 * The primary has the startup packet. What it says before its first request (negotiation of the
 * protocol, notices, a refusal) goes to the client as it is. Then:
 *
 *   OFFER -> [CHALLENGE ->] LOOKUP -> CLIENT_FIRST -> CLIENT_FINAL [-> SIGNATURE -> READY] ->
 * relaying R(10)    R(11)                    R(10) out, p     R(11) out, p     p out, R(12)  R(0)
 *
 * without CHALLENGE, SIGNATURE and READY when the primary asks for nothing (R(0) for an OFFER). The
 * primary is asked for its challenge first: so the client gets the salt and iterations that the
 * primary has for this role, also where nobody has a secret, and can't tell one from the other.
 * Only then does the client prove that it knows the password, and what that proof yields
 * (ClientKey) proves it to the primary. The client hears of success when the primary has agreed.
 *
 * One of the two is read at a time, message by message and not a byte more. Nothing of it reaches
 * the tape. Memory: one message of each side, bounded; wiped at the end.
 */
#ifndef PGUMBRA_PROXY_RELAY_SESSION_LOGIN_H
#define PGUMBRA_PROXY_RELAY_SESSION_LOGIN_H

#include "proxy/relay/auth.h"
#include "proxy/relay/session.h"

enum login_step {
	LOGIN_OFFER,
	LOGIN_CHALLENGE,
	LOGIN_LOOKUP,
	LOGIN_CLIENT_FIRST,
	LOGIN_CLIENT_FINAL,
	LOGIN_SIGNATURE,
	LOGIN_READY,
};

/* A message that is being read. */
struct login_message {
	uint8_t header[5];
	uint8_t *bytes; /* owned, with its header; NULL until the header is there */
	size_t size, have;
};

struct login {
	enum login_step step;
	char role[AUTH_ROLE_BYTES_MAX + 1];
	bool trusted; /* the primary asked for nothing */
	bool plus;    /* towards the primary */
	struct login_message client_says, primary_says;
	struct scram_server server; /* towards the client */
	struct scram_client client; /* towards the primary */
};

/* Keeps what the startup packet says; false when out of memory. The session isn't AUTHENTICATING
 * yet. */
bool login_init(struct session *s) __attribute__((warn_unused_result));
void login_begin(struct session *s);
/* Something may be read from this end. */
void login_continue(struct session *s, struct end *from);
/* Wipes; a session without a login is fine. */
void login_release(struct session *s);
/* The answer to a lookup, in the session's thread; the lookup stays the caller's. */
void login_looked_up(struct session *s, const struct auth_lookup *l);

#endif

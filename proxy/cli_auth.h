/* What the primary's first answer to a stranger means for logins through pgumbra, and where the
 * secrets of auth = scram come from: findings of `check` and `run`. */
#ifndef PGUMBRA_PROXY_CLI_AUTH_H
#define PGUMBRA_PROXY_CLI_AUTH_H

#include "conf/settings.h"
#include "proxy/preflight.h"
#include <stdint.h>

enum auth_answer { ANSWER_NONE, ANSWER_TRUST, ANSWER_CHALLENGE, ANSWER_REFUSED };

/* One answer to one StartupMessage. */
struct auth_facts {
	enum auth_answer answer;
	uint32_t request;     /* of ANSWER_CHALLENGE: the code of the AuthenticationRequest */
	bool scram, plus;     /* SASL: SCRAM-SHA-256 and -PLUS are offered */
	bool with_tls;	      /* it came over TLS */
	bool is_local;	      /* from this machine */
	bool our_certificate; /* the primary's is the one that clients see of us */
	char why[300];	      /* of ANSWER_NONE and ANSWER_REFUSED */
};

/* What was said already about one host; starts as zeros. */
struct auth_told {
	bool binding, unbound, method, clear, gss;
};

/* Findings about one answer. clients_tls: clients get TLS from us. */
void cli_auth_look(const struct config *c, const char *where, const char *role,
	const struct auth_facts *facts, bool clients_tls, struct auth_told *told,
	struct preflight_findings *f);
/* Every role that was tried was refused. */
void cli_auth_refused(const char *where, const char *why, struct preflight_findings *f);
/* auth = scram: can auth_file be read, does auth_query give what it should? `reached`: the primary
 * can be asked. cert_file: what clients see; NULL without TLS. */
void cli_auth_secrets(
	const struct config *c, bool reached, const char *cert_file, struct preflight_findings *f);

#endif

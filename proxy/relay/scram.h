/* SCRAM-SHA-256 and SCRAM-SHA-256-PLUS from both sides, with the keys of a secret instead of a
 * password: RFC 5802, RFC 7677; channel binding tls-server-end-point by RFC 5929; what PostgreSQL
 * makes of them ("SASL Authentication" in its documentation): the user is the startup packet's, n=
 * is passed over, and no extension is known.
 *
 * As server the proof of a client is checked, which yields the ClientKey; as client that key proves
 * the same role to the primary. A secret of nobody (mock) goes the same way to the same refusal.
 *
 * Pure but for random nonces. Texts are bounded by SCRAM_TEXT_MAX. The structs hold keys: release
 * them with scram_wipe().
 *
 * S1: a proof is good only for the secret's StoredKey and the very bytes of this exchange. S2: a
 * client that bound its channel to another certificate, or that says that this side has no channel
 * binding where it was offered, is refused. S3: the secret of nobody is never good.
 */
#ifndef PGUMBRA_PROXY_RELAY_SCRAM_H
#define PGUMBRA_PROXY_RELAY_SCRAM_H

#include "protocol/buffer.h"

enum {
	SCRAM_KEY_BYTES = 32,
	SCRAM_SALT_MAX = 128,
	SCRAM_NONCE_BYTES = 18,	  /* before base64, as PostgreSQL's */
	SCRAM_MESSAGE_MAX = 1024, /* of the peer: PostgreSQL's PG_MAX_SASL_MESSAGE_LENGTH */
	SCRAM_TEXT_MAX = 2048,	  /* of one message, with our nonce in it */
	SCRAM_BINDING_MAX = 64,	  /* a certificate's digest */
	SCRAM_ITERATIONS_MAX = 100000000,
};

/* What pg_authid.rolpassword holds: SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>. */
struct scram_secret {
	uint32_t iterations;
	uint8_t salt[SCRAM_SALT_MAX];
	size_t salt_len;
	uint8_t stored_key[SCRAM_KEY_BYTES], server_key[SCRAM_KEY_BYTES];
};

/* False: it is no such secret (a password, an md5 hash). */
bool scram_secret_parse(struct span text, struct scram_secret *out);
/* The secret of nobody: the salt of this name, always the same for one key, and keys that no
 * password has. False when OpenSSL fails. */
bool scram_secret_mock(
	struct scram_secret *out, struct span user, const uint8_t key[SCRAM_KEY_BYTES]);

enum scram_verdict {
	SCRAM_GOOD,
	SCRAM_MALFORMED,	   /* no such message */
	SCRAM_UNSUPPORTED,	   /* an authorization identity, an extension */
	SCRAM_BINDING_MISSING,	   /* PLUS was chosen, and nothing is bound */
	SCRAM_BINDING_UNKNOWN,	   /* of another type, or bound without PLUS */
	SCRAM_BINDING_NEGOTIATION, /* the client was told that there is none: somebody in between */
	SCRAM_BINDING_FAILED,	   /* bound to another certificate, or to other words */
	SCRAM_NONCE,		   /* not the one of this exchange */
	SCRAM_REFUSED,		   /* the proof is wrong, or there is no such secret */
	SCRAM_FAILED,		   /* OpenSSL: out of memory, no random bytes */
};

struct scram_text {
	char data[SCRAM_TEXT_MAX];
	size_t len;
};

/* --- the server's side --- */

struct scram_server {
	struct scram_secret secret;
	bool doomed;			     /* the secret is nobody's */
	uint8_t binding[SCRAM_BINDING_MAX];  /* of our certificate */
	size_t binding_len;		     /* 0: no -PLUS */
	struct scram_text header;	     /* gs2: "n,,", "y,,", "p=tls-server-end-point,," */
	struct scram_text first_bare, first; /* client-first-message-bare, server-first-message */
	size_t client_nonce_at, client_nonce_len; /* in first_bare */
	uint8_t client_key[SCRAM_KEY_BYTES];	  /* after a good proof */
	struct scram_text final;		  /* v=... */
};

/* doomed: refuse whatever the proof. binding: absent where there is none. */
void scram_server_begin(struct scram_server *s, const struct scram_secret *secret, bool doomed,
	struct span binding);
/* client-first-message with its header; then s->first is what to answer. plus: the mechanism that
 * the client chose. nonce: ours, NULL for a random one. */
enum scram_verdict scram_server_first(struct scram_server *s, bool plus, struct span message,
	const char *nonce) __attribute__((warn_unused_result));
/* client-final-message; when good, s->client_key and s->final are there. */
enum scram_verdict scram_server_final(struct scram_server *s, struct span message)
	__attribute__((warn_unused_result));

/* --- the client's side --- */

struct scram_client {
	struct scram_text header, first_bare, first;
	uint8_t binding[SCRAM_BINDING_MAX];
	size_t binding_len;
	uint32_t iterations; /* what the server said */
	uint8_t salt[SCRAM_SALT_MAX];
	size_t salt_len;
	struct scram_text final;
	struct scram_text expected; /* v=... of the server that knows the secret */
};

enum scram_flag { SCRAM_FLAG_NONE = 'n', SCRAM_FLAG_NOT_OFFERED = 'y', SCRAM_FLAG_BOUND = 'p' };

/* c->header and c->first_bare are client-first-message then. binding: for SCRAM_FLAG_BOUND. nonce:
 * NULL for a random one. */
bool scram_client_begin(struct scram_client *c, enum scram_flag flag, struct span binding,
	const char *nonce) __attribute__((warn_unused_result));
/* server-first-message: salt and iterations are known then. */
enum scram_verdict scram_client_challenge(struct scram_client *c, struct span message)
	__attribute__((warn_unused_result));
/* Are these the secret's salt and iterations? If not, its keys can't be the server's. */
bool scram_client_fits(const struct scram_client *c, const struct scram_secret *secret);
/* c->final is client-final-message then. */
bool scram_client_prove(struct scram_client *c, const struct scram_secret *secret,
	const uint8_t client_key[SCRAM_KEY_BYTES]) __attribute__((warn_unused_result));
/* server-final-message: does the server know the secret? */
bool scram_client_trusts(const struct scram_client *c, struct span message);

void scram_wipe(void *keys, size_t size);

#endif

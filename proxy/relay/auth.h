/* primary.auth = scram: where the secrets of roles come from (auth_file or auth_query), and what is
 * said to clients whose role has none. How a login goes: session_login.c.
 *
 * Made by the main thread, used by all relay threads. The file's secrets stay in the memory of the
 * relay process, and only there: the shadow process is started with the file's name.
 */
#ifndef PGUMBRA_PROXY_RELAY_AUTH_H
#define PGUMBRA_PROXY_RELAY_AUTH_H

#include "conf/settings.h"
#include "proxy/relay/auth_query.h"
#include <openssl/ssl.h>

struct auth;

/* NULL with the reason. clients: the context of the clients' leg, NULL without TLS: the salts of
 * roles without a secret come from its key, so that they stay the same across restarts; without
 * one they stay the same as long as this lives. on_done, limit: of auth_query. */
struct auth *auth_new(const struct config *c, SSL_CTX *clients, unsigned limit,
	void (*on_done)(struct auth_lookup *), struct error *error);
/* After the relay threads have ended; then on_done is not called any more. NULL is fine. */
void auth_free(struct auth *a);
/* Main thread: reads auth_file again, under its name of now, and hands it over in *file (NULL:
 * there is none to be read). False with the reason. Nothing changes until auth_take(), which owns
 * it then. */
bool auth_read_again(
	const struct auth *a, const struct config *c, struct auth_file **file, struct error *error);
void auth_take(struct auth *a, struct auth_file *file);

/* A question for the secret of l->role. True: l is the queue's, and on_done will be called. False:
 * l->found says it at once. */
bool auth_look_up(struct auth *a, struct auth_lookup *l);
/* A secret of nobody for this role. */
bool auth_mock(const struct auth *a, struct span role, struct scram_secret *out);

/* What [primary] says for auth_query. Borrowed from the configuration. */
struct auth_query_settings auth_query_settings(const struct config *c);

#endif

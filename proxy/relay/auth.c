#include "proxy/relay/auth.h"

#include "proxy/log.h"
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <stdlib.h>

struct auth {
	pthread_rwlock_t lock;	  /* of `file`: held for one search, or to put another there */
	struct auth_file *file;	  /* owned; NULL: there is a query */
	struct auth_query *query; /* owned; NULL: there is a file */
	uint8_t mock_key[SCRAM_KEY_BYTES];
};

/* The digest of the certificate's key: as secret and as lasting. */
static bool key_from_certificate(SSL_CTX *clients, uint8_t key[SCRAM_KEY_BYTES])
{
	static const char purpose[] = "pgumbra: salts of roles without a secret";
	EVP_PKEY *private = clients ? SSL_CTX_get0_privatekey(clients) : NULL;
	unsigned char *der = NULL;
	const int len = private ? i2d_PrivateKey(private, &der) : 0;
	uint8_t digest[2 * SCRAM_KEY_BYTES];
	bool ok = len > 0 && SHA256(der, (size_t)len, digest) &&
		  SHA256((const uint8_t *)purpose, sizeof purpose, digest + SCRAM_KEY_BYTES) &&
		  SHA256(digest, sizeof digest, key);

	if (der)
		OPENSSL_clear_free(der, len > 0 ? (size_t)len : 0);
	scram_wipe(digest, sizeof digest);

	return ok;
}

static struct auth_file *load(const struct config *c, struct error *error)
{
	const char *path = config_text(c, "primary", NULL, "auth_file");
	struct auth_file_account account;
	struct auth_file *f = auth_file_load(path, &account, error);

	if (!f)
		return NULL;
	log_info("auth_file \"%s\": SCRAM secrets of %zu roles", path, account.roles);
	if (account.useless > 0)
		log_warning("auth_file \"%s\": %zu lines without a SCRAM secret, the first is "
			    "line %u: these roles can't log in here",
			path, account.useless, account.first_useless);

	return f;
}

struct auth_query_settings auth_query_settings(const struct config *c)
{
	return (struct auth_query_settings){
		.conninfo = config_text(c, "primary", NULL, "conninfo"),
		.user = config_text(c, "primary", NULL, "auth_user"),
		.dbname = config_text(c, "primary", NULL, "auth_dbname"),
		.query = config_text(c, "primary", NULL, "auth_query"),
	};
}

struct auth *auth_new(const struct config *c, SSL_CTX *clients, unsigned limit,
	void (*on_done)(struct auth_lookup *), struct error *error)
{
	const struct auth_query_settings settings = auth_query_settings(c);
	struct auth *a = calloc(1, sizeof *a);

	if (!a) {
		error_set(error, "out of memory");
		return NULL;
	}
	pthread_rwlock_init(&a->lock, NULL);
	if (!key_from_certificate(clients, a->mock_key) &&
		RAND_bytes(a->mock_key, sizeof a->mock_key) != 1)
		error_set(error, "no random bytes to be had");
	else if (*settings.query)
		a->query = auth_query_new(&settings, limit, on_done, error);
	else
		a->file = load(c, error);
	if (a->query || a->file)
		return a;
	auth_free(a);

	return NULL;
}

void auth_free(struct auth *a)
{
	if (!a)
		return;
	auth_query_free(a->query);
	auth_file_free(a->file);
	pthread_rwlock_destroy(&a->lock);
	scram_wipe(a, sizeof *a);
	free(a);
}

bool auth_read_again(
	const struct auth *a, const struct config *c, struct auth_file **file, struct error *error)
{
	*file = a->file ? load(c, error) : NULL;

	return *file || !a->file;
}

void auth_take(struct auth *a, struct auth_file *file)
{
	struct auth_file *before;

	if (!file)
		return;
	pthread_rwlock_wrlock(&a->lock);
	before = a->file;
	a->file = file;
	pthread_rwlock_unlock(&a->lock);
	auth_file_free(before);
}

bool auth_look_up(struct auth *a, struct auth_lookup *l)
{
	const struct span role = span_cstr(l->role);

	l->found = AUTH_FAILED;
	if (a->query)
		return auth_query_ask(a->query, l);
	pthread_rwlock_rdlock(&a->lock);
	l->found = auth_file_find(a->file, role, &l->secret) ? AUTH_KNOWN : AUTH_UNKNOWN;
	pthread_rwlock_unlock(&a->lock);

	return false;
}

bool auth_mock(const struct auth *a, struct span role, struct scram_secret *out)
{
	return scram_secret_mock(out, role, a->mock_key);
}

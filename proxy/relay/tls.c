#include "proxy/relay/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const unsigned char alpn[] = "\012postgresql"; /* length and name, as on the wire */

enum { ALPN_BYTES = sizeof alpn - 1 };

bool tls_mode_from_name(const char *name, enum tls_mode *mode)
{
	static const char *const names[] = {[TLS_DISABLE] = "disable",
		[TLS_ALLOW] = "allow",
		[TLS_PREFER] = "prefer",
		[TLS_REQUIRE] = "require",
		[TLS_VERIFY_CA] = "verify-ca",
		[TLS_VERIFY_FULL] = "verify-full"};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		if (strcmp(names[i], name) == 0) {
			*mode = (enum tls_mode)i;
			return true;
		}
	}

	return false;
}

/* --- contexts --- */

/* The queue's first error: the cause. Empties the queue. */
static const char *reason(void)
{
	const unsigned long code = ERR_get_error();
	const char *text = ERR_reason_error_string(code);

	ERR_clear_error();
	if (text)
		return text;
	if (ERR_SYSTEM_ERROR(code))
		return strerror(ERR_GET_REASON(code));

	return "unknown cause";
}

static bool fail(struct error *error, const char *what, const char *file)
{
	return error_set(error, "%s: TLS could not use %s \"%s\"", reason(), what, file);
}

/* A key with a passphrase is refused: nobody is there to be asked. */
static int no_passphrase(char *buffer, int size, int writing, void *arg)
{
	(void)buffer;
	(void)size;
	(void)writing;
	(void)arg;

	return 0;
}

static SSL_CTX *new_context(const SSL_METHOD *method, int min_version)
{
	SSL_CTX *c = SSL_CTX_new(method);

	if (!c)
		return NULL;
	SSL_CTX_set_mode(c, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
				    SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_clear_mode(c, SSL_MODE_AUTO_RETRY); /* see tls_owes_keys() */
	/* the protocol on top has an end of its own, so a missing close_notify cuts nothing off */
	SSL_CTX_set_options(c, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION |
				       SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_default_passwd_cb(c, no_passphrase);
	SSL_CTX_set_min_proto_version(c, min_version);

	return c;
}

/* As PostgreSQL: for its owner only, or root's and readable by a group. */
static bool key_is_private(const char *file, struct error *error)
{
	struct stat st;

	if (stat(file, &st) < 0)
		return error_set(error, "%s: could not use key file \"%s\"", strerror(errno), file);
	if (!S_ISREG(st.st_mode))
		return error_set(error, "not a regular file: key file \"%s\"", file);
	if (st.st_mode & (st.st_uid == 0 ? (mode_t)(S_IWGRP | S_IXGRP | S_IRWXO)
					 : (mode_t)(S_IRWXG | S_IRWXO)))
		return error_set(error,
			"others may read it: key file \"%s\" must have mode 0600 or less, or 0640 "
			"when root owns it",
			file);

	return true;
}

static bool use_certificate(SSL_CTX *c, const char *cert, const char *key, struct error *error)
{
	if (SSL_CTX_use_certificate_chain_file(c, cert) != 1)
		return fail(error, "certificate file", cert);
	if (!key_is_private(key, error))
		return false;
	if (SSL_CTX_use_PrivateKey_file(c, key, SSL_FILETYPE_PEM) != 1)
		return fail(error, "key file", key);
	if (SSL_CTX_check_private_key(c) != 1)
		return fail(error, "key, which is not the certificate's:", key);

	return true;
}

static int choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
	const unsigned char *in, unsigned in_len, void *arg)
{
	unsigned char *chosen = NULL;

	(void)ssl;
	(void)arg;
	if (SSL_select_next_proto(&chosen, out_len, alpn, ALPN_BYTES, in, in_len) !=
		OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = chosen;

	return SSL_TLSEXT_ERR_OK;
}

static bool ask_for_certificates(SSL_CTX *c, const char *ca, struct error *error)
{
	STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(ca);

	if (!names || SSL_CTX_load_verify_locations(c, ca, NULL) != 1) {
		sk_X509_NAME_pop_free(names, X509_NAME_free);
		return fail(error, "file of authorities", ca);
	}
	SSL_CTX_set_client_CA_list(c, names);
	SSL_CTX_set_verify(c, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);

	return true;
}

SSL_CTX *tls_server_context(
	enum tls_mode mode, const struct tls_server_files *f, struct error *error)
{
	const bool only_13 = strcmp(f->min_version, "TLSv1.3") == 0;
	SSL_CTX *c = new_context(TLS_server_method(), only_13 ? TLS1_3_VERSION : TLS1_2_VERSION);

	ERR_clear_error();
	if (!c) {
		error_set(error, "out of memory");
		return NULL;
	}
	SSL_CTX_set_options(c, SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_set_num_tickets(c, 0);
	SSL_CTX_set_alpn_select_cb(c, choose_alpn, NULL);
	if (!use_certificate(c, f->cert, f->key, error) ||
		(mode >= TLS_VERIFY_CA && !ask_for_certificates(c, f->ca, error))) {
		SSL_CTX_free(c);
		return NULL;
	}

	return c;
}

static bool trust_authorities(
	SSL_CTX *c, enum tls_mode mode, const struct tls_client_files *f, struct error *error)
{
	if (strcmp(f->root, "system") == 0) {
		if (SSL_CTX_set_default_verify_paths(c) != 1)
			return fail(error, "authorities of the", "system");
	} else if (*f->root) {
		if (SSL_CTX_load_verify_locations(c, f->root, NULL) != 1)
			return fail(error, "sslrootcert", f->root);
	} else if (mode >= TLS_VERIFY_CA) {
		return error_set(error,
			"sslmode=%s needs sslrootcert (~/.postgresql/root.crt is not there): a "
			"file of authorities, or system",
			mode == TLS_VERIFY_CA ? "verify-ca" : "verify-full");
	}
	/* libpq, too, checks the chain whenever it has authorities */
	if (*f->root)
		SSL_CTX_set_verify(c, SSL_VERIFY_PEER, NULL);

	return true;
}

SSL_CTX *tls_client_context(
	enum tls_mode mode, const struct tls_client_files *f, struct error *error)
{
	SSL_CTX *c = new_context(TLS_client_method(), TLS1_2_VERSION);

	ERR_clear_error();
	if (!c || SSL_CTX_set_alpn_protos(c, alpn, ALPN_BYTES) != 0) {
		error_set(error, "out of memory");
		SSL_CTX_free(c);
		return NULL;
	}
	if (!trust_authorities(c, mode, f, error) ||
		(*f->cert && !use_certificate(c, f->cert, f->key, error))) {
		SSL_CTX_free(c);
		return NULL;
	}

	return c;
}

static void default_file(const char *home, const char *name, char file[TLS_PATH_MAX])
{
	int n = snprintf(file, TLS_PATH_MAX, "%s/.postgresql/%s", home, name);

	if (n < 0 || n >= TLS_PATH_MAX || access(file, F_OK) != 0)
		*file = '\0';
}

void tls_default_files(struct tls_client_files *f)
{
	const char *home = getenv("HOME");

	if (!home || !*home)
		return;
	if (!*f->root)
		default_file(home, "root.crt", f->root);
	if (!*f->cert)
		default_file(home, "postgresql.crt", f->cert);
	if (!*f->key)
		default_file(home, "postgresql.key", f->key);
}

/* --- one connection --- */

static bool is_address(const char *host)
{
	struct in6_addr any;

	return inet_pton(AF_INET, host, &any) == 1 || inet_pton(AF_INET6, host, &any) == 1;
}

static SSL *tls_on(SSL_CTX *context, int fd)
{
	SSL *ssl = SSL_new(context);

	if (ssl && SSL_set_fd(ssl, fd) != 1) {
		SSL_free(ssl);
		ssl = NULL;
	}
	ERR_clear_error();

	return ssl;
}

SSL *tls_accept_on(SSL_CTX *context, int fd)
{
	SSL *ssl = tls_on(context, fd);

	if (ssl) {
		SSL_set_accept_state(ssl);
		SSL_set_options(ssl, SSL_OP_CLEANSE_PLAINTEXT);
	}

	return ssl;
}

void tls_end_login(SSL *ssl)
{
	SSL_clear_options(ssl, SSL_OP_CLEANSE_PLAINTEXT);
}

SSL *tls_connect_on(SSL_CTX *context, int fd, const char *host)
{
	SSL *ssl = tls_on(context, fd);

	if (!ssl)
		return NULL;
	SSL_set_connect_state(ssl);
	if (*host && !is_address(host) && SSL_set_tlsext_host_name(ssl, host) != 1) {
		SSL_free(ssl);
		ssl = NULL;
	}

	return ssl;
}

static void say_why(SSL *ssl, int error, char why[TLS_WHY_MAX])
{
	const bool unverified = ERR_GET_REASON(ERR_peek_error()) == SSL_R_CERTIFICATE_VERIFY_FAILED;
	const int number = errno;

	if (error == SSL_ERROR_SSL && unverified)
		snprintf(why, TLS_WHY_MAX, "certificate verify failed: %s",
			X509_verify_cert_error_string(SSL_get_verify_result(ssl)));
	else if (error == SSL_ERROR_SSL)
		snprintf(why, TLS_WHY_MAX, "%s", reason());
	else if (error == SSL_ERROR_SYSCALL && number != 0)
		snprintf(why, TLS_WHY_MAX, "%s", strerror(number));
	else
		snprintf(why, TLS_WHY_MAX, "the peer closed the connection");
	ERR_clear_error();
}

enum tls_step tls_handshake(SSL *ssl, char why[TLS_WHY_MAX])
{
	int rc, error;

	ERR_clear_error();
	errno = 0;
	rc = SSL_do_handshake(ssl);
	if (rc == 1)
		return TLS_DONE;
	error = SSL_get_error(ssl, rc);
	if (error == SSL_ERROR_WANT_READ)
		return TLS_WANTS_READ;
	if (error == SSL_ERROR_WANT_WRITE)
		return TLS_WANTS_WRITE;
	say_why(ssl, error, why);

	return TLS_FAILED;
}

/* What SSL_read_ex and its kin left behind, as recv would say it; why may be NULL. */
static ssize_t outcome(SSL *ssl, int rc, size_t bytes, enum tls_step *step, char *why)
{
	int error;

	if (rc == 1)
		return (ssize_t)bytes;
	error = SSL_get_error(ssl, rc);
	if (error == SSL_ERROR_ZERO_RETURN)
		return 0;
	if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
		*step = error == SSL_ERROR_WANT_READ ? TLS_WANTS_READ : TLS_WANTS_WRITE;
		errno = EAGAIN;
		return -1;
	}
	if (why)
		say_why(ssl, error, why);
	ERR_clear_error();
	*step = TLS_FAILED;
	errno = ECONNRESET;

	return -1;
}

ssize_t tls_read(SSL *ssl, void *into, size_t size, enum tls_step *step)
{
	size_t n = 0;
	int rc;

	ERR_clear_error();
	rc = SSL_read_ex(ssl, into, size, &n);

	return outcome(ssl, rc, n, step, NULL);
}

ssize_t tls_peek(SSL *ssl, void *into, size_t size, enum tls_step *step, char why[TLS_WHY_MAX])
{
	size_t n = 0;
	int rc;

	ERR_clear_error();
	errno = 0;
	rc = SSL_peek_ex(ssl, into, size, &n);

	return outcome(ssl, rc, n, step, why);
}

ssize_t tls_write(SSL *ssl, struct span bytes, enum tls_step *step)
{
	size_t n = 0;
	int rc;

	ERR_clear_error();
	rc = SSL_write_ex(ssl, bytes.data, bytes.len, &n);

	return outcome(ssl, rc, n, step, NULL);
}

bool tls_owes_keys(const SSL *ssl)
{
	return SSL_get_key_update_type(ssl) != SSL_KEY_UPDATE_NONE;
}

void tls_goodbye(SSL *ssl)
{
	if (SSL_in_init(ssl) || (SSL_get_shutdown(ssl) & SSL_SENT_SHUTDOWN))
		return;
	ERR_clear_error();
	(void)SSL_shutdown(ssl);
	ERR_clear_error();
}

/* --- whose certificate --- */

bool tls_has_alpn(const SSL *ssl)
{
	const unsigned char *chosen = NULL;
	unsigned len = 0;

	SSL_get0_alpn_selected(ssl, &chosen, &len);

	return len == ALPN_BYTES - 1 && memcmp(chosen, alpn + 1, len) == 0;
}

bool tls_peer_is_host(const SSL *ssl, const char *host)
{
	X509 *certificate = SSL_get0_peer_certificate(ssl);

	if (!certificate || !*host)
		return false;

	return X509_check_host(certificate, host, 0, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL) ==
		       1 ||
	       (is_address(host) && X509_check_ip_asc(certificate, host, 0) == 1);
}

bool tls_peer_is_user(const SSL *ssl, struct span user)
{
	X509 *certificate = SSL_get0_peer_certificate(ssl);
	const X509_NAME *subject = certificate ? X509_get_subject_name(certificate) : NULL;
	int at = subject ? X509_NAME_get_index_by_NID(subject, NID_commonName, -1) : -1;
	unsigned char *name = NULL;
	bool same = false;
	int len;

	if (at < 0 || !user.data)
		return false;
	len = ASN1_STRING_to_UTF8(
		&name, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
	if (len > 0) /* a NUL inside makes another name, not a shorter one */
		same = (size_t)len == user.len && memcmp(name, user.data, user.len) == 0;
	OPENSSL_free(name);

	return same;
}

static size_t end_point_of(const X509 *certificate, uint8_t out[TLS_END_POINT_MAX])
{
	const EVP_MD *digest = NULL;
	int signed_with = NID_undef;
	unsigned len = 0;

	if (!certificate ||
		X509_get_signature_info((X509 *)certificate, &signed_with, NULL, NULL, NULL) != 1)
		return 0;
	/* the RFC: the signature's own digest, but for those that are weak */
	if (signed_with == NID_md5 || signed_with == NID_sha1)
		digest = EVP_sha256();
	else if (signed_with != NID_undef)
		digest = EVP_get_digestbynid(signed_with);
	if (!digest || EVP_MD_get_size(digest) > TLS_END_POINT_MAX ||
		X509_digest(certificate, digest, out, &len) != 1)
		len = 0;
	ERR_clear_error();

	return len;
}

size_t tls_end_point(const SSL *ssl, bool ours, uint8_t out[TLS_END_POINT_MAX])
{
	return end_point_of(ours ? SSL_get_certificate(ssl) : SSL_get0_peer_certificate(ssl), out);
}

static X509 *read_certificate(const char *file)
{
	X509 *certificate = NULL;
	FILE *in = fopen(file, "re");

	if (in) {
		certificate = PEM_read_X509(in, NULL, no_passphrase, NULL);
		fclose(in);
	}

	return certificate;
}

bool tls_file_has_end_point(const char *file)
{
	uint8_t digest[TLS_END_POINT_MAX];
	X509 *certificate = read_certificate(file);
	const bool has = end_point_of(certificate, digest) > 0;

	X509_free(certificate);

	return has;
}

bool tls_peer_has_certificate(const SSL *ssl, const char *file)
{
	X509 *theirs = SSL_get0_peer_certificate(ssl), *ours = read_certificate(file);
	const bool same = ours && theirs && X509_cmp(ours, theirs) == 0;
	X509_free(ours);
	ERR_clear_error();

	return same;
}

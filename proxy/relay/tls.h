/* TLS of both legs: contexts from the settings, handshakes, bytes. OpenSSL on non-blocking sockets.
 *
 * A context is made by the main thread and shared by reference count: sessions keep the one that
 * they began with, so a reload changes nothing for them. Everything else belongs to the thread of
 * its session. Keys never leave the relay process.
 *
 * Clients: TLS 1.2 at least, no renegotiation, no tickets, no session cache; ALPN is answered with
 * "postgresql" and refused when it offers only others (as PostgreSQL 17 and later do).
 * The primary: libpq's sslmode; ALPN "postgresql" and, for a host that is no address, SNI.
 */
#ifndef PGUMBRA_PROXY_RELAY_TLS_H
#define PGUMBRA_PROXY_RELAY_TLS_H

#include "protocol/error.h"
#include "protocol/span.h"
#include <openssl/ssl.h>
#include <sys/types.h>

enum { TLS_PATH_MAX = 1024, TLS_RECORD_BYTES = 16384, TLS_WHY_MAX = 256, TLS_END_POINT_MAX = 64 };

enum tls_mode { /* in the order of their strength */
	TLS_DISABLE,
	TLS_ALLOW,
	TLS_PREFER,
	TLS_REQUIRE,
	TLS_VERIFY_CA,
	TLS_VERIFY_FULL,
};

enum tls_step { TLS_DONE, TLS_WANTS_READ, TLS_WANTS_WRITE, TLS_FAILED };

/* What the leg to clients needs. Borrowed. */
struct tls_server_files {
	const char *cert, *key, *ca; /* PEM */
	const char *min_version;     /* "TLSv1.2" or "TLSv1.3" */
};

/* What the leg to the primary needs; "" where there is none. */
struct tls_client_files {
	char root[TLS_PATH_MAX]; /* or "system": the system's authorities */
	char cert[TLS_PATH_MAX], key[TLS_PATH_MAX];
};

/* False for a name that no sslmode has. */
bool tls_mode_from_name(const char *name, enum tls_mode *mode);

/* A new context, owned by the caller; NULL with the reason, which names the file. `mode` of clients
 * is not TLS_DISABLE. Key files must not be readable by others (as PostgreSQL's). */
SSL_CTX *tls_server_context(
	enum tls_mode mode, const struct tls_server_files *files, struct error *error);
SSL_CTX *tls_client_context(
	enum tls_mode mode, const struct tls_client_files *files, struct error *error);
/* Fills what libpq would look for when a connection string says nothing: ~/.postgresql/root.crt,
 * postgresql.crt, postgresql.key, as far as they are there. */
void tls_default_files(struct tls_client_files *files);

/* An object over the socket, which stays the caller's; NULL when out of memory. host: of the
 * connection string. */
SSL *tls_accept_on(SSL_CTX *context, int fd);
SSL *tls_connect_on(SSL_CTX *context, int fd, const char *host);
/* Until this is said, what was read from a client is wiped where OpenSSL held it. */
void tls_end_login(SSL *ssl);
/* One step; on TLS_FAILED `why` says it in words of ours and OpenSSL's, none of the peer's. */
enum tls_step tls_handshake(SSL *ssl, char why[TLS_WHY_MAX]);

/* As recv and send on a non-blocking socket: -1 with errno EAGAIN when it must wait, for what says
 * *step (TLS_WANTS_READ or TLS_WANTS_WRITE); 0 of tls_read is the end, with or without
 * close_notify; any other errno: the connection is lost. tls_write takes at most one record. */
ssize_t tls_read(SSL *ssl, void *into, size_t size, enum tls_step *step);
ssize_t tls_write(SSL *ssl, struct span bytes, enum tls_step *step);
/* The next bytes without taking them; otherwise as tls_read. Fills `why` when the connection is
 * lost.
 */
ssize_t tls_peek(SSL *ssl, void *into, size_t size, enum tls_step *step, char why[TLS_WHY_MAX]);
/* Does the peer wait for an answer to its KeyUpdate, which goes out with the next write? While such
 * an answer is owed and a write is blocked, OpenSSL 3.0 can't read another KeyUpdate: nothing must
 * be read then. tls_read comes back (as if nothing had come) after each, so that this can be asked.
 */
bool tls_owes_keys(const SSL *ssl);
/* Says close_notify, if that is still possible; never waits. */
void tls_goodbye(SSL *ssl);

/* Did the client ask for "postgresql" by ALPN? */
bool tls_has_alpn(const SSL *ssl);
/* Is the peer's certificate for this host (name or address)? */
bool tls_peer_is_host(const SSL *ssl, const char *host);
/* Is the common name of the peer's certificate exactly this? */
bool tls_peer_is_user(const SSL *ssl, struct span user);
/* What a channel is bound to, tls-server-end-point of RFC 5929: the digest of the server's
 * certificate, ours or the peer's. 0: there is none (no certificate, or a kind of signature that
 * the RFC doesn't cover). */
size_t tls_end_point(const SSL *ssl, bool ours, uint8_t out[TLS_END_POINT_MAX]);
/* Is there one for the first certificate of the file? */
bool tls_file_has_end_point(const char *file);
/* Is the peer's certificate the first one of the file? */
bool tls_peer_has_certificate(const SSL *ssl, const char *file);

#endif

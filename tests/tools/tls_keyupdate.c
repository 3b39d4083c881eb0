/* HAZARDS case 29: a TLS 1.3 client that asks for new keys again and again while the relay is
 * blocked in writing a large answer to it (its receive buffer is small, and it reads late).
 *
 *   tls_keyupdate PORT     says "ok" when the whole answer came, else what went wrong
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	RECEIVE_BYTES = 8192,
	DEADLINE_S = 60,
	ROWS = 10000,
	ROW_BYTES = 8000,
	EVERY_BYTES = 1 << 18
};

static int fail(const char *what)
{
	printf("failed: %s\n", what);
	ERR_print_errors_fp(stdout);

	return 1;
}

static int dial(uint16_t port)
{
	static const unsigned char request[] = {0, 0, 0, 8, 0x04, 0xD2, 0x16, 0x2F};
	const struct sockaddr_in to = {.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	const struct timeval deadline = {.tv_sec = DEADLINE_S};
	const int size = RECEIVE_BYTES;
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	char answer = 0;

	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof deadline);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &deadline, sizeof deadline);
	if (connect(fd, (const struct sockaddr *)&to, sizeof to) < 0 ||
		send(fd, request, sizeof request, 0) != sizeof request ||
		recv(fd, &answer, 1, 0) != 1 || answer != 'S')
		return -1;

	return fd;
}

static void put_length(unsigned char *at, size_t length)
{
	for (int i = 0; i < 4; i++)
		at[i] = (unsigned char)(length >> (24 - 8 * i));
}

static int send_login(SSL *ssl)
{
	static const char body[] = "\0\3\0\0user\0postgres\0database\0postgres\0";
	unsigned char packet[100];

	put_length(packet, 4 + sizeof body);
	memcpy(packet + 4, body, sizeof body);

	return SSL_write(ssl, packet, 4 + sizeof body);
}

static int send_query(SSL *ssl)
{
	unsigned char packet[200] = "Q";
	int len = snprintf((char *)packet + 5, sizeof packet - 5,
		"select repeat('x', %d) from generate_series(1, %d)", ROW_BYTES, ROWS);

	put_length(packet + 1, 4 + (size_t)len + 1);

	return SSL_write(ssl, packet, 5 + len + 1);
}

static int new_keys(SSL *ssl)
{
	return SSL_key_update(ssl, SSL_KEY_UPDATE_REQUESTED) == 1 && SSL_do_handshake(ssl) == 1;
}

/* Reads messages until ReadyForQuery; the number of rows, or -1. */
static long rows_until_ready(SSL *ssl, int keys_every)
{
	static unsigned char got[65536];
	unsigned char header[5];
	size_t have = 0, body = 0, since = 0;
	long rows = 0;
	int n;

	while ((n = SSL_read(ssl, got, sizeof got)) > 0) {
		for (int i = 0; i < n;) {
			if (body > 0) {
				size_t part = body < (size_t)(n - i) ? body : (size_t)(n - i);

				body -= part;
				i += (int)part;
			} else {
				header[have++] = got[i++];
			}
			if (have == 5) {
				body = (size_t)header[1] << 24 | (size_t)header[2] << 16 |
				       (size_t)header[3] << 8 | header[4];
				body -= 4;
				rows += header[0] == 'D';
				have = 0;
			}
			if (have == 0 && body == 0 && header[0] == 'Z')
				return rows;
		}
		since += (size_t)n;
		if (keys_every > 0 && since >= (size_t)keys_every) {
			since = 0;
			if (!new_keys(ssl))
				return -1;
		}
	}

	return -1;
}

int main(int argc, char **argv)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	SSL *ssl = SSL_new(context);
	const int fd = argc == 2 ? dial((uint16_t)strtoul(argv[1], NULL, 10)) : -1;
	int code = 0;

	signal(SIGPIPE, SIG_IGN);
	if (fd < 0)
		return fail("no TLS on that port");
	SSL_set_fd(ssl, fd);
	SSL_set_min_proto_version(ssl, TLS1_3_VERSION);
	if (SSL_connect(ssl) != 1 || send_login(ssl) <= 0 || rows_until_ready(ssl, 0) < 0)
		code = fail("the login");
	else if (send_query(ssl) <= 0)
		code = fail("the query");
	/* nothing is read yet: the answer fills every buffer on the way */
	for (int i = 0; code == 0 && i < 100; i++) {
		if (!new_keys(ssl))
			code = fail("new keys before reading");
	}
	if (code == 0 && rows_until_ready(ssl, EVERY_BYTES) != ROWS)
		code = fail("the answer is not whole");
	SSL_free(ssl);
	SSL_CTX_free(context);
	close(fd);
	if (code == 0)
		puts("ok");

	return code;
}

/* Looks at the primary as a stranger does: one StartupMessage for each address and name, with TLS
 * as primary.conninfo asks for it, the first answer read, the connection closed. No password is
 * known here and none is sent. */
#define _GNU_SOURCE 1
#include "proxy/cli.h"
#include "proxy/cli_auth.h"

#include "conf/listen.h"
#include "protocol/message.h"
#include "protocol/reader.h"
#include "proxy/relay/primary.h"
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { HOSTS_MAX = 16, PROBE_TIMEOUT_MS = 4000, ANSWER_BYTES = 2048 };

static const char default_socket_directory[] = "/var/run/postgresql";

/* --- addresses of the connection string --- */

struct host {
	char host[256], port[16];
	char name[256]; /* for its certificate */
};

/* The i-th entry of a comma-separated list; the only one of a list of one; "" past the end. */
static void list_entry(const char *list, size_t i, char *out, size_t size)
{
	size_t length;

	if (!strchr(list, ','))
		i = 0;
	for (; i > 0 && *list; i--) {
		list = strchrnul(list, ',');
		list += *list == ',';
	}
	length = strcspn(list, ",");
	snprintf(out, size, "%.*s", (int)(length < size ? length : size - 1), list);
}

static size_t list_count(const char *list)
{
	size_t count = 1;

	for (; *list; list++)
		count += *list == ',';

	return count;
}

static const char *option_text(const PQconninfoOption *options, const char *keyword)
{
	for (; options->keyword; options++)
		if (strcmp(options->keyword, keyword) == 0 && options->val)
			return options->val;

	return "";
}

static size_t primary_hosts(const struct config *c, struct host hosts[HOSTS_MAX])
{
	PQconninfoOption *options =
		PQconninfoParse(config_text(c, "primary", NULL, "conninfo"), NULL);
	const char *list, *ports, *names;
	size_t count;

	if (!options)
		return 0;
	list = option_text(options, "hostaddr");
	if (!*list)
		list = option_text(options, "host");
	names = option_text(options, "host");
	ports = option_text(options, "port");
	count = list_count(list);
	if (count > HOSTS_MAX)
		count = HOSTS_MAX;
	for (size_t i = 0; i < count; i++) {
		list_entry(list, i, hosts[i].host, sizeof hosts[i].host);
		list_entry(ports, i, hosts[i].port, sizeof hosts[i].port);
		if (!*hosts[i].host)
			snprintf(hosts[i].host, sizeof hosts[i].host, "%s",
				access(default_socket_directory, X_OK) == 0
					? default_socket_directory
					: "localhost");
		if (!*hosts[i].port)
			snprintf(hosts[i].port, sizeof hosts[i].port, "5432");
		list_entry(names, i, hosts[i].name, sizeof hosts[i].name);
		if (!*hosts[i].name)
			snprintf(hosts[i].name, sizeof hosts[i].name, "%.255s", hosts[i].host);
	}
	PQconninfoFree(options);

	return count;
}

/* --- one connection with a deadline --- */

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);

	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool wait_for(int fd, short events, int64_t deadline)
{
	struct pollfd p = {.fd = fd, .events = events};
	int64_t left = deadline - now_ms();

	return left > 0 && poll(&p, 1, (int)left) == 1;
}

static int connect_address(
	int family, const struct sockaddr *address, socklen_t length, int64_t deadline)
{
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), error = 0;
	socklen_t size = sizeof error;

	if (fd < 0)
		return -1;
	if (connect(fd, address, length) == 0)
		return fd;
	error = errno;
	if (error == EINPROGRESS) {
		error = ETIMEDOUT;
		if (wait_for(fd, POLLOUT, deadline))
			getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
	}
	if (error == 0)
		return fd;
	close(fd);
	errno = error;

	return -1;
}

static int connect_unix(const struct host *h, int64_t deadline)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int length = snprintf(
		address.sun_path, sizeof address.sun_path, "%s/.s.PGSQL.%s", h->host, h->port);

	if (length < 0 || (size_t)length >= sizeof address.sun_path) {
		errno = ENAMETOOLONG;
		return -1;
	}

	return connect_address(
		AF_UNIX, (const struct sockaddr *)&address, sizeof address, deadline);
}

/* -1 with *why filled. */
static int connect_host(const struct host *h, int64_t deadline, char *why, size_t size)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
	int fd = -1, status;

	if (h->host[0] == '/') {
		fd = connect_unix(h, deadline);
		snprintf(why, size, "%s", fd < 0 ? strerror(errno) : "");
		return fd;
	}
	status = getaddrinfo(h->host, h->port, &hints, &list);
	if (status != 0) {
		snprintf(why, size, "%s", gai_strerror(status));
		return -1;
	}
	for (struct addrinfo *a = list; a && fd < 0; a = a->ai_next)
		fd = connect_address(a->ai_family, a->ai_addr, a->ai_addrlen, deadline);
	snprintf(why, size, "%s", fd < 0 ? strerror(errno) : "");
	freeaddrinfo(list);

	return fd;
}

/* --- startup --- */

static uint32_t get_u32(const unsigned char *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static size_t startup_message(const char *user, unsigned char out[512])
{
	char body[400];
	int length =
		snprintf(body, sizeof body, "user%c%s%cdatabase%cpostgres%c", 0, user, 0, 0, 0);
	size_t total = 8 + (size_t)length + 1;

	memset(out, 0, 512);
	out[2] = (unsigned char)(total >> 8);
	out[3] = (unsigned char)total;
	out[5] = 3; /* protocol 3.0 */
	memcpy(out + 8, body, (size_t)length);

	return total;
}

/* How the primary is spoken to, and what clients see of us. */
struct leg {
	enum tls_mode mode;
	SSL_CTX *context;      /* owned; NULL with TLS_DISABLE */
	const char *cert_file; /* borrowed; ours for clients, NULL when they have no TLS */
};

struct wire {
	int fd;	  /* owned */
	SSL *ssl; /* owned; NULL: plain */
	int64_t deadline;
};

static void wire_close(struct wire *w)
{
	if (w->ssl)
		tls_goodbye(w->ssl);
	SSL_free(w->ssl);
	if (w->fd >= 0)
		close(w->fd);
	*w = (struct wire){.fd = -1};
}

/* Whole or not at all: the messages are small. */
static bool wire_write(struct wire *w, const void *bytes, size_t len)
{
	enum tls_step step;

	if (w->ssl)
		return tls_write(w->ssl, span_of(bytes, len), &step) == (ssize_t)len;

	return send(w->fd, bytes, len, MSG_NOSIGNAL) == (ssize_t)len;
}

/* At least one byte, within the deadline. */
static ssize_t wire_read(struct wire *w, void *into, size_t size)
{
	enum tls_step step = TLS_WANTS_READ;
	ssize_t n;

	for (;;) {
		n = w->ssl ? tls_read(w->ssl, into, size, &step) : read(w->fd, into, size);
		if (n >= 0 || errno != EAGAIN)
			return n;
		if (!wait_for(w->fd, step == TLS_WANTS_WRITE ? POLLOUT : POLLIN, w->deadline))
			return -1;
	}
}

static bool handshake(struct wire *w, const struct leg *leg, const struct host *h, char *why)
{
	enum tls_step step;

	w->ssl = tls_connect_on(leg->context, w->fd, h->name);
	if (!w->ssl) {
		snprintf(why, TLS_WHY_MAX, "out of memory");
		return false;
	}
	while ((step = tls_handshake(w->ssl, why)) != TLS_DONE) {
		if (step == TLS_FAILED)
			return false;
		if (!wait_for(w->fd, step == TLS_WANTS_WRITE ? POLLOUT : POLLIN, w->deadline)) {
			snprintf(why, TLS_WHY_MAX, "timed out in the TLS handshake");
			return false;
		}
	}
	if (leg->mode != TLS_VERIFY_FULL || tls_peer_is_host(w->ssl, h->name))
		return true;
	snprintf(why, TLS_WHY_MAX, "its certificate is for another host");

	return false;
}

/* False with *why when the server has no TLS, or not one that sslmode asks for. */
static bool begin_tls(struct wire *w, const struct leg *leg, const struct host *h, char *why)
{
	static const unsigned char request[] = {0, 0, 0, 8, 0x04, 0xD2, 0x16, 0x2F};
	char answer = 0;

	snprintf(why, TLS_WHY_MAX, "no answer to the TLS request");
	if (!wire_write(w, request, sizeof request) || wire_read(w, &answer, 1) != 1)
		return false;
	if (answer == 'S')
		return handshake(w, leg, h, why);
	snprintf(why, TLS_WHY_MAX, "it does not speak TLS, which sslmode asks for");

	return false;
}

/* The field 'M' of an ErrorResponse body, for a person. */
static void error_text(struct span body, char *out, size_t size)
{
	struct error_fields fields;

	if (parse_error_fields(body, &fields) && fields.message.data)
		snprintf(out, size, "%.*s", (int)fields.message.len,
			(const char *)fields.message.data);
	else
		snprintf(out, size, "refused");
}

/* AuthenticationSASL: which mechanisms are offered. */
static void read_mechanisms(struct reader *list, struct auth_facts *p)
{
	struct span name;

	for (name = read_cstr(list); !list->bad && name.len > 0; name = read_cstr(list)) {
		p->scram |= span_is(name, "SCRAM-SHA-256");
		p->plus |= span_is(name, "SCRAM-SHA-256-PLUS");
	}
}

static void judge(const unsigned char *message, size_t length, struct auth_facts *p)
{
	const struct span body = span_of(message + 5, length - 5);
	struct reader r = reader_over(body);

	if (message[0] == 'E') {
		p->answer = ANSWER_REFUSED;
		error_text(body, p->why, sizeof p->why);
		return;
	}
	p->request = read_u32(&r);
	p->answer = p->request == 0 ? ANSWER_TRUST : ANSWER_CHALLENGE;
	if (p->request == 10)
		read_mechanisms(&r, p);
}

static void read_answer(struct wire *w, struct auth_facts *p)
{
	unsigned char got[ANSWER_BYTES];
	size_t used = 0, wanted = 5;

	snprintf(p->why, sizeof p->why, "no answer that a PostgreSQL server gives");
	while (used < wanted) {
		ssize_t n = wire_read(w, got + used, sizeof got - used);

		if (n <= 0)
			return;
		used += (size_t)n;
		if (used >= 5) {
			uint32_t length = get_u32(got + 1);

			if ((got[0] != 'R' && got[0] != 'E') || length < 8 ||
				length > sizeof got - 1)
				return;
			wanted = 1 + length;
		}
	}
	judge(got, wanted, p);
}

/* Is the other end on this machine? */
static bool is_local(int fd)
{
	struct sockaddr_storage a = {.ss_family = AF_UNSPEC};
	socklen_t len = sizeof a;

	if (getpeername(fd, (struct sockaddr *)&a, &len) < 0)
		return false;
	if (a.ss_family == AF_INET)
		return ntohl(((const struct sockaddr_in *)&a)->sin_addr.s_addr) >> 24 == 127;
	if (a.ss_family == AF_INET6)
		return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)&a)->sin6_addr);

	return a.ss_family == AF_UNIX;
}

/* One connection. ANSWER_NONE with the reason when it failed. */
static struct auth_facts ask(
	const struct host *h, const struct leg *leg, const char *user, bool with_tls)
{
	struct wire w = {.deadline = now_ms() + PROBE_TIMEOUT_MS};
	struct auth_facts p = {.answer = ANSWER_NONE};
	unsigned char message[512];
	const size_t length = startup_message(user, message);
	char why[TLS_WHY_MAX] = "";

	w.fd = connect_host(h, w.deadline, p.why, sizeof p.why);
	if (w.fd < 0)
		return p;
	if (with_tls && !begin_tls(&w, leg, h, why))
		snprintf(p.why, sizeof p.why, "%s", why);
	else if (!wire_write(&w, message, length))
		snprintf(p.why, sizeof p.why, "%s", strerror(errno));
	else
		read_answer(&w, &p);
	p.with_tls = w.ssl != NULL;
	p.is_local = is_local(w.fd);
	p.our_certificate =
		w.ssl && leg->cert_file && tls_peer_has_certificate(w.ssl, leg->cert_file);
	wire_close(&w);

	return p;
}

/* As the relay goes there: with allow and prefer the other way, too, when the first one fails. */
static struct auth_facts probe(const struct host *h, const struct leg *leg, const char *user)
{
	const bool may = leg->mode != TLS_DISABLE && h->host[0] != '/';
	const bool two_ways = may && (leg->mode == TLS_ALLOW || leg->mode == TLS_PREFER);
	const bool with_tls = may && leg->mode != TLS_ALLOW;
	const struct auth_facts first = ask(h, leg, user, with_tls);
	struct auth_facts second;

	if (!two_ways || first.answer == ANSWER_TRUST || first.answer == ANSWER_CHALLENGE)
		return first;
	second = ask(h, leg, user, !with_tls);

	return second.answer == ANSWER_NONE ? first : second;
}

/* --- findings --- */

bool cli_listens_locally(const struct config *c)
{
	const char *list = config_text(c, "pgumbra", NULL, "listen"), *why;
	struct listen_address address;

	while (*list)
		if (!listen_next(&list, &address, &why) || !address.is_local)
			return false;

	return true;
}

/* Names a pg_hba.conf is likely to have lines for; authentication comes before the role is looked
 * up, so a role that nobody has stands for "all". */
static const char *const strangers[] = {"pgumbra_stranger", "postgres"};

static void check_host(const struct config *c, const struct host *h, const struct leg *leg,
	struct preflight_findings *f, unsigned *reached)
{
	static const struct preflight_topic unreached = {PREFLIGHT_WARNING, "connection", "",
		"start it, or mend host and port in primary.conninfo"};
	const size_t count = sizeof strangers / sizeof *strangers;
	struct auth_facts p = {.answer = ANSWER_NONE};
	struct auth_told told = {0};
	bool answered = false;
	size_t refused = 0;
	char where[320];

	snprintf(where, sizeof where, "primary %.250s port %.32s", h->host, h->port);
	for (size_t i = 0; i < count; i++) {
		p = probe(h, leg, strangers[i]);
		answered |= p.answer != ANSWER_NONE;
		refused += p.answer == ANSWER_REFUSED;
		cli_auth_look(c, where, strangers[i], &p, leg->cert_file != NULL, &told, f);
		if (p.answer == ANSWER_TRUST || p.answer == ANSWER_NONE)
			break;
	}
	*reached += answered;
	if (refused == count)
		cli_auth_refused(where, p.why, f);
	if (!answered)
		preflight_say(f, &unreached, where,
			"cannot be reached, so it is not known whether it asks for passwords: %s",
			p.why);
}

/* What clients will be shown; NULL when they get no TLS. */
static const char *check_client_tls(const struct config *c, struct preflight_findings *f)
{
	const struct tls_server_files files = {
		.cert = config_text(c, "client_tls", NULL, "cert_file"),
		.key = config_text(c, "client_tls", NULL, "key_file"),
		.ca = config_text(c, "client_tls", NULL, "ca_file"),
		.min_version = config_text(c, "client_tls", NULL, "min_protocol_version")};
	static const struct preflight_topic unusable = {
		PREFLIGHT_FORBIDS, "configuration", "", "mend [client_tls]"};
	enum tls_mode mode = TLS_DISABLE;
	struct error error;
	SSL_CTX *context;

	(void)tls_mode_from_name(config_text(c, "client_tls", NULL, "sslmode"), &mode);
	if (mode == TLS_DISABLE)
		return NULL;
	context = tls_server_context(mode, &files, &error);
	if (!context) {
		preflight_say(f, &unusable, "client_tls", "%s", error.text);
		return NULL;
	}
	SSL_CTX_free(context);

	return files.cert;
}

/* False with a finding: nobody can be asked. */
static bool leg_init(struct leg *leg, const struct config *c, struct preflight_findings *f)
{
	static const struct preflight_topic unusable = {
		PREFLIGHT_FORBIDS, "configuration", "", "mend primary.conninfo"};
	struct primary *p = calloc(1, sizeof *p);
	struct error error = {"out of memory"};
	bool ok = p && primary_init(p, config_text(c, "primary", NULL, "conninfo"), &error);

	*leg = (struct leg){.mode = ok ? p->sslmode : TLS_DISABLE};
	if (ok && leg->mode != TLS_DISABLE) {
		leg->context = tls_client_context(leg->mode, &p->tls, &error);
		ok = leg->context != NULL;
	}
	if (!ok)
		preflight_say(f, &unusable, "primary", "%s", error.text);
	if (p)
		primary_release(p);
	free(p);

	return ok;
}

void cli_check_primary(const struct config *c, struct preflight_findings *f, unsigned *reached)
{
	struct host hosts[HOSTS_MAX];
	size_t count = primary_hosts(c, hosts);
	struct leg leg;

	*reached = 0;
	signal(SIGPIPE, SIG_IGN); /* OpenSSL writes to sockets that may have closed */
	if (!leg_init(&leg, c, f))
		return;
	leg.cert_file = check_client_tls(c, f);
	for (size_t i = 0; i < count; i++)
		check_host(c, &hosts[i], &leg, f, reached);
	cli_auth_secrets(c, *reached > 0, leg.cert_file, f);
	SSL_CTX_free(leg.context);
}

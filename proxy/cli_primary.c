/* Looks at the primary as a stranger does: one StartupMessage for each address and name, the first
 * answer read, the connection closed. No password is known here and none is sent. */
#define _GNU_SOURCE 1
#include "proxy/cli.h"

#include "conf/listen.h"
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
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
	const char *list, *ports;
	size_t count;

	if (!options)
		return 0;
	list = option_text(options, "hostaddr");
	if (!*list)
		list = option_text(options, "host");
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

enum answer { ANSWER_NONE, ANSWER_TRUST, ANSWER_CHALLENGE, ANSWER_REFUSED };

/* The field 'M' of an ErrorResponse body, for a person. */
static void error_text(const unsigned char *body, size_t length, char *out, size_t size)
{
	const unsigned char *p = body, *end = body + length;

	snprintf(out, size, "refused");
	while (p < end && *p) {
		const unsigned char *stop = memchr(p, 0, (size_t)(end - p));

		if (!stop)
			return;
		if (*p == 'M') {
			snprintf(out, size, "%s", (const char *)p + 1);
			return;
		}
		p = stop + 1;
	}
}

static enum answer read_answer(int fd, int64_t deadline, char *why, size_t size)
{
	unsigned char got[ANSWER_BYTES];
	size_t used = 0, wanted = 5;

	snprintf(why, size, "no answer that a PostgreSQL server gives");
	while (used < wanted) {
		ssize_t n;

		if (!wait_for(fd, POLLIN, deadline))
			return ANSWER_NONE;
		n = read(fd, got + used, sizeof got - used);
		if (n <= 0)
			return ANSWER_NONE;
		used += (size_t)n;
		if (used >= 5) {
			uint32_t length = get_u32(got + 1);

			if ((got[0] != 'R' && got[0] != 'E') || length < 8 ||
				length > sizeof got - 1)
				return ANSWER_NONE;
			wanted = 1 + length;
		}
	}
	if (got[0] == 'R')
		return get_u32(got + 5) == 0 ? ANSWER_TRUST : ANSWER_CHALLENGE;
	error_text(got + 5, wanted - 5, why, size);

	return ANSWER_REFUSED;
}

static enum answer probe(const struct host *h, const char *user, char *why, size_t size)
{
	int64_t deadline = now_ms() + PROBE_TIMEOUT_MS;
	unsigned char message[512];
	size_t length = startup_message(user, message);
	enum answer answer = ANSWER_NONE;
	int fd = connect_host(h, deadline, why, size);

	if (fd < 0)
		return ANSWER_NONE;
	if (send(fd, message, length, MSG_NOSIGNAL) == (ssize_t)length)
		answer = read_answer(fd, deadline, why, size);
	else
		snprintf(why, size, "%s", strerror(errno));
	close(fd);

	return answer;
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

static void add_trust(
	const struct config *c, const char *where, const char *user, struct preflight_findings *f)
{
	bool allowed = config_bool(c, "primary", NULL, "allow_trust") || cli_listens_locally(c);

	const struct preflight_topic topic = {allowed ? PREFLIGHT_WARNING : PREFLIGHT_FORBIDS,
		"trust", "whoever reaches pgumbra is in",
		"ask for a password (scram-sha-256) from pgumbra's host in the primary's "
		"pg_hba.conf; or listen on loopback only; or primary.allow_trust=on"};

	preflight_say(f, &topic, where, "lets role %s in from this host without a challenge", user);
}

/* Names a pg_hba.conf is likely to have lines for; authentication comes before the role is looked
 * up, so a role that nobody has stands for "all". */
static const char *const strangers[] = {"pgumbra_stranger", "postgres"};

static void check_host(const struct config *c, const struct host *h, struct preflight_findings *f,
	unsigned *reached)
{
	static const struct preflight_topic unreached = {PREFLIGHT_WARNING, "connection",
		"it is not known whether it asks for passwords", ""};
	char where[320], why[300] = "";
	bool answered = false;

	snprintf(where, sizeof where, "primary %.255s port %.15s", h->host, h->port);
	for (size_t i = 0; i < sizeof strangers / sizeof *strangers; i++) {
		enum answer answer = probe(h, strangers[i], why, sizeof why);

		answered |= answer != ANSWER_NONE;
		if (answer == ANSWER_TRUST) {
			add_trust(c, where, strangers[i], f);
			break;
		}
		if (answer == ANSWER_NONE)
			break;
	}
	*reached += answered;
	if (!answered)
		preflight_say(f, &unreached, where, "cannot be reached: %s", why);
}

void cli_check_primary(const struct config *c, struct preflight_findings *f, unsigned *reached)
{
	struct host hosts[HOSTS_MAX];
	size_t count = primary_hosts(c, hosts);

	*reached = 0;
	for (size_t i = 0; i < count; i++)
		check_host(c, &hosts[i], f, reached);
}

#define _GNU_SOURCE /* SOCK_NONBLOCK */
#include "proxy/relay/primary.h"

#include <errno.h>
#include <libpq-fe.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { DEFAULT_CONNECT_TIMEOUT_S = 10 };

static const char default_socket_directory[] = "/var/run/postgresql";

static bool add_unix(
	const char *directory, const char *port, struct address *a, struct error *error)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	int n = snprintf(un.sun_path, sizeof un.sun_path, "%s/.s.PGSQL.%s", directory, port);

	if (n < 0 || (size_t)n >= sizeof un.sun_path)
		return error_set(error, "socket path is too long: \"%s\"", directory);
	memcpy(&a->sockaddr, &un, sizeof un);
	a->len = sizeof un;
	snprintf(a->text, sizeof a->text, "%s:%s", directory, port);

	return true;
}

static void name_address(struct address *a)
{
	char host[128], port[16];

	if (getnameinfo((struct sockaddr *)&a->sockaddr, a->len, host, sizeof host, port,
		    sizeof port, NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		snprintf(a->text, sizeof a->text, "unknown address");
	else if (a->sockaddr.ss_family == AF_INET6)
		snprintf(a->text, sizeof a->text, "[%s]:%s", host, port);
	else
		snprintf(a->text, sizeof a->text, "%s:%s", host, port);
}

bool resolve_address(const char *host, const char *port, bool passive, struct address *list,
	size_t max, size_t *count, struct error *error)
{
	const struct addrinfo hints = {
		.ai_socktype = SOCK_STREAM, .ai_flags = passive ? AI_PASSIVE : 0};
	struct addrinfo *found = NULL;
	int rc;

	if (*count == max)
		return error_set(error, "more than %zu addresses", max);
	if (host && host[0] == '/')
		return add_unix(host, port, &list[*count], error) && ++*count;
	rc = getaddrinfo(host, port, &hints, &found);
	if (rc != 0)
		return error_set(error, "%s: could not resolve \"%s\" port \"%s\"",
			gai_strerror(rc), host ? host : "*", port);
	for (struct addrinfo *i = found; i && *count < max; i = i->ai_next) {
		struct address *a = &list[(*count)++];

		memcpy(&a->sockaddr, i->ai_addr, i->ai_addrlen);
		a->len = i->ai_addrlen;
		name_address(a);
	}
	freeaddrinfo(found);

	return true;
}

/* Item n of a comma-separated list; a list of one stands for all, an empty item is absent. */
static const char *list_item(const char *list, size_t n, char *item, size_t size)
{
	const char *at = list, *comma;
	int len;

	if (!list || !*list)
		return NULL;
	if (!strchr(list, ','))
		n = 0;
	for (; n > 0 && at; n--) {
		at = strchr(at, ',');
		at = at ? at + 1 : NULL;
	}
	if (!at)
		return NULL;
	comma = strchr(at, ',');
	len = comma ? (int)(comma - at) : (int)strlen(at);
	snprintf(item, size, "%.*s", len, at);

	return *item ? item : NULL;
}

static size_t list_length(const char *list)
{
	size_t n = 1;

	for (const char *at = list; at && (at = strchr(at, ',')); at++)
		n++;

	return n;
}

static const char *value_of(const PQconninfoOption *options, const char *key)
{
	for (const PQconninfoOption *o = options; o->keyword; o++) {
		if (strcmp(o->keyword, key) == 0)
			return o->val;
	}

	return NULL;
}

static int number_of(const PQconninfoOption *options, const char *key, int otherwise)
{
	const char *value = value_of(options, key);

	return value && *value ? (int)strtol(value, NULL, 10) : otherwise;
}

static bool resolve_all(struct primary *p, const PQconninfoOption *options, struct error *error)
{
	const char *hosts = value_of(options, "host"), *hostaddrs = value_of(options, "hostaddr");
	const char *ports = value_of(options, "port");
	size_t n = list_length(hostaddrs && *hostaddrs ? hostaddrs : hosts);
	struct stat st;

	for (size_t i = 0; i < n; i++) {
		char host_text[HOST_MAX], address_text[HOST_MAX], port_text[32];
		const char *host = list_item(hosts, i, host_text, sizeof host_text);
		const char *address = list_item(hostaddrs, i, address_text, sizeof address_text);
		const char *port = list_item(ports, i, port_text, sizeof port_text);
		const char *name = host ? host : address ? address : "localhost";
		const size_t before = p->count;

		if (address)
			host = address;
		if (!host)
			host = stat(default_socket_directory, &st) == 0 ? default_socket_directory
									: "localhost";
		if (!resolve_address(host, port ? port : "5432", false, p->address,
			    PRIMARY_ADDRESSES_MAX, &p->count, error))
			return false;
		for (size_t k = before; k < p->count; k++)
			snprintf(p->host[k], sizeof p->host[k], "%s", name);
	}

	return true;
}

/* What this version can't do is refused by name, never passed over where it protects. */
static bool check_options(const PQconninfoOption *options, struct error *error)
{
	const char *attrs = value_of(options, "target_session_attrs");

	if (attrs && *attrs && strcmp(attrs, "any") != 0)
		return error_set(error,
			"target_session_attrs=%s: this version does not log in to the primary "
			"itself, so it can't tell (allowed: any)",
			attrs);

	return true;
}

static bool copy_path(
	const PQconninfoOption *options, const char *key, char *path, struct error *error)
{
	const char *value = value_of(options, key);

	if (value && strlen(value) >= TLS_PATH_MAX)
		return error_set(error, "primary.conninfo: %s is too long", key);
	snprintf(path, TLS_PATH_MAX, "%s", value ? value : "");

	return true;
}

/* libpq's meaning: prefer unless said otherwise; sslrootcert=system asks for verify-full. */
static bool read_tls(struct primary *p, const PQconninfoOption *options, struct error *error)
{
	const char *mode = value_of(options, "sslmode");

	if (!copy_path(options, "sslrootcert", p->tls.root, error) ||
		!copy_path(options, "sslcert", p->tls.cert, error) ||
		!copy_path(options, "sslkey", p->tls.key, error))
		return false;
	if (!mode || !*mode)
		mode = strcmp(p->tls.root, "system") == 0 ? "verify-full" : "prefer";
	if (!tls_mode_from_name(mode, &p->sslmode))
		return error_set(error,
			"primary.conninfo: sslmode=%s (allowed: disable, allow, prefer, require, "
			"verify-ca, verify-full)",
			mode);
	if (strcmp(p->tls.root, "system") == 0 && p->sslmode != TLS_VERIFY_FULL)
		return error_set(error,
			"primary.conninfo: sslmode=%s is too weak for sslrootcert=system "
			"(allowed: verify-full)",
			mode);
	if (p->sslmode != TLS_DISABLE)
		tls_default_files(&p->tls);
	if (*p->tls.cert && !*p->tls.key)
		return error_set(error, "primary.conninfo: sslcert without sslkey");

	return true;
}

bool primary_init(struct primary *p, const char *conninfo, struct error *error)
{
	char *why = NULL;
	PQconninfoOption *options = PQconninfoParse(conninfo, &why);
	bool ok;

	*p = (struct primary){0};
	if (!options) {
		/* libpq's text may quote the string, and with it a password */
		error_set(error, "primary.conninfo is not a connection string");
		PQfreemem(why);
		return false;
	}
	p->connect_timeout_s =
		(unsigned)number_of(options, "connect_timeout", DEFAULT_CONNECT_TIMEOUT_S);
	if (p->connect_timeout_s == 0 || p->connect_timeout_s > 3600)
		p->connect_timeout_s = DEFAULT_CONNECT_TIMEOUT_S;
	p->keepalives = number_of(options, "keepalives", 1) != 0;
	p->keepalives_idle = number_of(options, "keepalives_idle", 0);
	p->keepalives_interval = number_of(options, "keepalives_interval", 0);
	p->keepalives_count = number_of(options, "keepalives_count", 0);
	ok = check_options(options, error) && read_tls(p, options, error) &&
	     resolve_all(p, options, error);
	PQconninfoFree(options);

	return ok;
}

bool primary_may_use_tls(const struct primary *p, size_t index)
{
	return p->sslmode != TLS_DISABLE && p->address[index].sockaddr.ss_family != AF_UNIX;
}

static void set_option(int fd, int level, int name, int value)
{
	/* an improvement where it works, not a condition */
	(void)!setsockopt(fd, level, name, &value, sizeof value);
}

static void tune_tcp(const struct primary *p, int fd)
{
	set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	if (!p->keepalives)
		return;
	set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	if (p->keepalives_idle > 0)
		set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, p->keepalives_idle);
	if (p->keepalives_interval > 0)
		set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, p->keepalives_interval);
	if (p->keepalives_count > 0)
		set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, p->keepalives_count);
}

int primary_connect(const struct primary *p, size_t index)
{
	const struct address *a = &p->address[index];
	int fd = socket(a->sockaddr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int why;

	if (fd < 0)
		return -1;
	if (a->sockaddr.ss_family != AF_UNIX)
		tune_tcp(p, fd);
	if (connect(fd, (const struct sockaddr *)&a->sockaddr, a->len) < 0 &&
		errno != EINPROGRESS) {
		why = errno;
		close(fd);
		errno = why;
		return -1;
	}

	return fd;
}

#define _GNU_SOURCE /* SOCK_NONBLOCK, F_DUPFD_CLOEXEC */
#include "proxy/relay/listener.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 1024, ENTRY_MAX = 256, SOCKET_MODE = 0777 /* as PostgreSQL's default */ };

bool listen_split(const char *entry, char *host, size_t host_size, char *port, size_t port_size)
{
	const char *colon = strrchr(entry, ':');
	size_t len = colon ? (size_t)(colon - entry) : 0;
	char *end;
	long number;

	if (!colon)
		return false;
	number = strtol(colon + 1, &end, 10);
	if (!isdigit((unsigned char)colon[1]) || *end || number < 1 || number > 65535)
		return false;
	if (len >= 2 && entry[0] == '[' && entry[len - 1] == ']') {
		entry++;
		len -= 2;
	} else if (memchr(entry, ':', len)) {
		return false; /* an IPv6 address needs brackets */
	}
	if (len >= host_size || strlen(colon + 1) >= port_size)
		return false;
	memcpy(host, entry, len);
	host[len] = '\0';
	snprintf(port, port_size, "%ld", number);

	return true;
}

static bool add_entry(struct listeners *l, const char *entry, struct error *error)
{
	char host[ENTRY_MAX], port[8];
	const char *name;

	if (!listen_split(entry, host, sizeof host, port, sizeof port))
		return error_set(error,
			"pgumbra.listen: \"%s\" is not host:port, [v6]:port or /dir:port", entry);
	name = host[0] == '\0' || strcmp(host, "*") == 0 ? NULL : host;

	return resolve_address(
		name, port, true, l->address, LISTEN_ADDRESSES_MAX, &l->count, error);
}

static bool add_all(struct listeners *l, const char *list, struct error *error)
{
	char entry[ENTRY_MAX];

	while (*list) {
		size_t len = strcspn(list, ",");
		const char *rest = list[len] ? list + len + 1 : list + len;

		while (len > 0 && isspace((unsigned char)*list)) {
			list++;
			len--;
		}
		while (len > 0 && isspace((unsigned char)list[len - 1]))
			len--;
		if (len >= sizeof entry)
			return error_set(error, "pgumbra.listen: an entry is too long");
		memcpy(entry, list, len);
		entry[len] = '\0';
		if (len > 0 && !add_entry(l, entry, error))
			return false;
		list = rest;
	}
	if (l->count == 0)
		return error_set(error, "pgumbra.listen is empty");

	return true;
}

static bool fail(int fd, const char *text, struct error *error)
{
	const int why = errno;

	if (fd >= 0)
		close(fd);

	return error_set(error, "%s: could not listen on %s", strerror(why), text);
}

static int bound_socket(const struct address *a, bool shared)
{
	const int on = 1, family = a->sockaddr.ss_family;
	int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	bool ok = fd >= 0;

	if (ok && family != AF_UNIX)
		ok = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0;
	if (ok && family == AF_INET6)
		ok = setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) == 0;
	if (ok && shared)
		ok = setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) == 0;
	if (ok)
		ok = bind(fd, (const struct sockaddr *)&a->sockaddr, a->len) == 0;
	if (!ok && fd >= 0) {
		int why = errno;

		close(fd);
		errno = why;
		fd = -1;
	}

	return fd;
}

/* Without SO_REUSEPORT the bind fails when anybody listens there. */
static bool claim_tcp(const struct address *a, struct error *error)
{
	int fd = bound_socket(a, false);

	if (fd < 0 || listen(fd, 1) < 0)
		return fail(fd, a->text, error);
	close(fd);

	return true;
}

/* A socket file that nobody listens on is a leftover. */
static bool is_leftover(const struct address *a)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool leftover = fd >= 0 && connect(fd, (const struct sockaddr *)&a->sockaddr, a->len) < 0 &&
			errno == ECONNREFUSED;

	if (fd >= 0)
		close(fd);

	return leftover;
}

static const char *unix_path(const struct address *a)
{
	return ((const struct sockaddr_un *)&a->sockaddr)->sun_path;
}

static int claim_unix(const struct address *a, struct error *error)
{
	const char *path = unix_path(a);
	int fd;

	if (is_leftover(a))
		unlink(path);
	fd = bound_socket(a, false);
	if (fd < 0 || chmod(path, SOCKET_MODE) < 0 || listen(fd, BACKLOG) < 0) {
		fail(fd, a->text, error);
		return -1;
	}

	return fd;
}

bool listeners_init(struct listeners *l, const char *list, struct error *error)
{
	*l = (struct listeners){0};
	for (size_t i = 0; i < LISTEN_ADDRESSES_MAX; i++)
		l->unix_fd[i] = -1;
	if (!add_all(l, list, error))
		return false;
	for (size_t i = 0; i < l->count; i++) {
		const struct address *a = &l->address[i];

		if (a->sockaddr.ss_family == AF_UNIX) {
			l->unix_fd[i] = claim_unix(a, error);
			if (l->unix_fd[i] < 0)
				return false;
		} else if (!claim_tcp(a, error)) {
			return false;
		}
	}

	return true;
}

void listeners_release(struct listeners *l)
{
	for (size_t i = 0; i < l->count; i++) {
		if (l->unix_fd[i] < 0)
			continue;
		unlink(unix_path(&l->address[i]));
		close(l->unix_fd[i]);
		l->unix_fd[i] = -1;
	}
}

bool listeners_open(const struct listeners *l, int *fds, struct error *error)
{
	for (size_t i = 0; i < l->count; i++) {
		const struct address *a = &l->address[i];

		if (l->unix_fd[i] >= 0)
			fds[i] = fcntl(l->unix_fd[i], F_DUPFD_CLOEXEC, 0);
		else
			fds[i] = bound_socket(a, true);
		if (fds[i] < 0 || listen(fds[i], BACKLOG) < 0) {
			fail(fds[i], a->text, error);
			while (i > 0)
				close(fds[--i]);
			return false;
		}
	}

	return true;
}

void listeners_describe(const struct listeners *l, char *text, size_t size)
{
	size_t len = 0;

	text[0] = '\0';
	for (size_t i = 0; i < l->count && len < size; i++) {
		int n = snprintf(
			text + len, size - len, "%s%s", i > 0 ? ", " : "", l->address[i].text);

		len += n > 0 ? (size_t)n : 0;
	}
}

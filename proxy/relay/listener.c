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

enum { ENTRY_MAX = 256, SOCKET_MODE = 0777 /* as PostgreSQL's default */ };

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

/* Bound, listening, and one more of the address's sockets. */
static bool add_socket(
	struct listeners *l, int fd, size_t address, int backlog, struct error *error)
{
	if (l->sockets == LISTEN_SOCKETS_MAX)
		errno = EMFILE;
	if (fd < 0 || l->sockets == LISTEN_SOCKETS_MAX || listen(fd, backlog) < 0)
		return fail(fd, l->address[address].text, error);
	l->socket[l->sockets++] = (struct listen_socket){.fd = fd, .address = address};

	return true;
}

static bool open_unix(struct listeners *l, size_t address, int backlog, struct error *error)
{
	const struct address *a = &l->address[address];
	int fd;

	if (is_leftover(a))
		unlink(unix_path(a));
	fd = bound_socket(a, false);
	if (fd >= 0 && chmod(unix_path(a), SOCKET_MODE) < 0)
		return fail(fd, a->text, error);

	return add_socket(l, fd, address, backlog, error);
}

/* One for each thread: the kernel spreads the clients over them. */
static bool open_tcp(
	struct listeners *l, size_t address, unsigned threads, int backlog, struct error *error)
{
	const struct address *a = &l->address[address];

	if (!claim_tcp(a, error))
		return false;
	for (unsigned i = 0; i < threads; i++) {
		if (!add_socket(l, bound_socket(a, true), address, backlog, error))
			return false;
	}

	return true;
}

static size_t sockets_of(const struct listeners *l, size_t address)
{
	size_t count = 0;

	for (size_t i = 0; i < l->sockets; i++)
		count += l->socket[i].address == address;

	return count;
}

bool listen_address_of(int fd, struct address *a)
{
	memset(a, 0, sizeof *a);
	a->len = sizeof a->sockaddr;
	if (getsockname(fd, (struct sockaddr *)&a->sockaddr, &a->len) < 0)
		return false;
	address_name(a);

	return true;
}

/* Those that are for none of our addresses are closed. */
static bool adopt(struct listeners *l, int fd, int backlog, struct error *error)
{
	struct address a;
	size_t i = l->count;

	if (listen_address_of(fd, &a)) {
		for (i = 0; i < l->count && !address_equal(&a, &l->address[i]); i++)
			;
	}
	if (i == l->count) {
		close(fd);
		return true;
	}
	(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
	if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
		return fail(fd, a.text, error);

	return add_socket(l, fd, i, backlog, error);
}

bool listeners_init(struct listeners *l, const char *list, unsigned threads, int backlog,
	const int *given, size_t count, struct error *error)
{
	bool ok;

	*l = (struct listeners){0};
	ok = add_all(l, list, error);
	for (size_t i = 0; i < count; i++) {
		if (ok)
			ok = adopt(l, given[i], backlog, error);
		else
			close(given[i]);
	}
	for (size_t i = 0; ok && i < l->count; i++) {
		if (sockets_of(l, i) > 0)
			continue;
		if (l->address[i].sockaddr.ss_family == AF_UNIX)
			ok = open_unix(l, i, backlog, error);
		else
			ok = open_tcp(l, i, threads, backlog, error);
	}

	return ok;
}

void listeners_release(struct listeners *l)
{
	for (size_t i = 0; i < l->sockets; i++) {
		const struct listen_socket *s = &l->socket[i];

		if (!l->keep_files && l->address[s->address].sockaddr.ss_family == AF_UNIX)
			unlink(unix_path(&l->address[s->address]));
		close(s->fd);
	}
	l->sockets = 0;
}

/* Of n sockets of an address thread i has those numbered i, i + threads, ...; threads beyond n
 * share one. */
static bool has_socket(size_t number, size_t n, unsigned thread, unsigned threads)
{
	return number % threads == thread || (thread >= n && thread % n == number);
}

bool listeners_open(const struct listeners *l, unsigned thread, unsigned threads, int **fds,
	size_t *count, struct error *error)
{
	size_t number[LISTEN_ADDRESSES_MAX] = {0};

	*count = 0;
	*fds = calloc(l->sockets + 1, sizeof **fds);
	if (!*fds)
		return error_set(error, "out of memory");
	for (size_t i = 0; i < l->sockets; i++) {
		const size_t address = l->socket[i].address;
		int fd;

		if (!has_socket(number[address]++, sockets_of(l, address), thread, threads))
			continue;
		fd = fcntl(l->socket[i].fd, F_DUPFD_CLOEXEC, 0);
		if (fd < 0)
			return fail(fd, l->address[address].text, error);
		(*fds)[(*count)++] = fd;
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

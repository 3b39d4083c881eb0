#include "proxy/relay/endpoint.h"

#include <assert.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

/* --- addresses --- */

static bool add_unix(
	const char *directory, const char *port, struct address *a, struct error *error)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	int n = snprintf(un.sun_path, sizeof un.sun_path, "%s/.s.PGSQL.%s", directory, port);

	if (n < 0 || (size_t)n >= sizeof un.sun_path)
		return error_set(error, "socket path is too long: \"%s\"", directory);
	memset(a, 0, sizeof *a);
	memcpy(&a->sockaddr, &un, sizeof un);
	a->len = sizeof un;
	snprintf(a->text, sizeof a->text, "%s:%s", directory, port);

	return true;
}

static void name_unix(struct address *a)
{
	static const char prefix[] = "/.s.PGSQL.";
	const char *path = ((const struct sockaddr_un *)&a->sockaddr)->sun_path;
	const char *file = strrchr(path, '/');

	if (file && strncmp(file, prefix, sizeof prefix - 1) == 0)
		snprintf(a->text, sizeof a->text, "%.*s:%s", (int)(file - path), path,
			file + sizeof prefix - 1);
	else
		snprintf(a->text, sizeof a->text, "%s", path);
}

void address_name(struct address *a)
{
	char host[128], port[16];

	if (a->sockaddr.ss_family == AF_UNIX)
		name_unix(a);
	else if (getnameinfo((struct sockaddr *)&a->sockaddr, a->len, host, sizeof host, port,
			 sizeof port, NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		snprintf(a->text, sizeof a->text, "unknown address");
	else if (a->sockaddr.ss_family == AF_INET6)
		snprintf(a->text, sizeof a->text, "[%s]:%s", host, port);
	else
		snprintf(a->text, sizeof a->text, "%s:%s", host, port);
}

bool address_equal(const struct address *a, const struct address *b)
{
	return strcmp(a->text, b->text) == 0;
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

		memset(a, 0, sizeof *a);
		memcpy(&a->sockaddr, i->ai_addr, i->ai_addrlen);
		a->len = i->ai_addrlen;
		address_name(a);
	}
	freeaddrinfo(found);

	return true;
}

/* --- endpoints --- */

struct endpoint *endpoint_new(const struct address *address, const char *host, size_t host_index)
{
	struct endpoint *e = calloc(1, sizeof *e);

	if (!e)
		return NULL;
	e->address = *address;
	snprintf(e->host, sizeof e->host, "%s", host);
	e->host_index = host_index;
	atomic_init(&e->references, 1);

	return e;
}

struct endpoint *endpoint_hold(struct endpoint *e)
{
	atomic_fetch_add(&e->references, 1);

	return e;
}

void endpoint_drop(struct endpoint *e)
{
	if (e && atomic_fetch_sub(&e->references, 1) == 1)
		free(e);
}

void endpoint_list_add(struct endpoint_list *l, struct endpoint *e)
{
	assert(l->count < ENDPOINTS_MAX);
	l->endpoint[l->count++] = endpoint_hold(e);
}

struct endpoint_list *endpoint_list_copy(const struct endpoint_list *l)
{
	struct endpoint_list *copy = malloc(sizeof *copy);

	if (!copy)
		return NULL;
	*copy = *l;
	for (size_t i = 0; i < l->count; i++)
		endpoint_hold(copy->endpoint[i]);

	return copy;
}

void endpoint_list_clear(struct endpoint_list *l)
{
	while (l->count > 0)
		endpoint_drop(l->endpoint[--l->count]);
}

void endpoint_list_free(struct endpoint_list *l)
{
	if (l)
		endpoint_list_clear(l);
	free(l);
}

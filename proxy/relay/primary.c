#define _GNU_SOURCE /* SOCK_NONBLOCK */
#include "proxy/relay/primary.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libpq-fe.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DEFAULT_CONNECT_TIMEOUT_S = 10, TRY_LAST_US = 5000000 };

static const char default_socket_directory[] = "/var/run/postgresql";

/* --- the connection string --- */

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

static bool is_name(const char *host)
{
	struct in6_addr out;

	return host[0] != '/' && inet_pton(AF_INET, host, &out) != 1 &&
	       inet_pton(AF_INET6, host, &out) != 1;
}

static bool read_hosts(struct primary *p, const PQconninfoOption *options, struct error *error)
{
	const char *hosts = value_of(options, "host"), *hostaddrs = value_of(options, "hostaddr");
	const char *ports = value_of(options, "port");
	struct stat st;

	p->hosts = list_length(hostaddrs && *hostaddrs ? hostaddrs : hosts);
	if (p->hosts > PRIMARY_HOSTS_MAX)
		return error_set(error, "primary.conninfo: more than %d hosts", PRIMARY_HOSTS_MAX);
	for (size_t i = 0; i < p->hosts; i++) {
		struct primary_host *h = &p->host[i];
		char host_text[HOST_MAX], address_text[HOST_MAX], port_text[PORT_MAX];
		const char *host = list_item(hosts, i, host_text, sizeof host_text);
		const char *address = list_item(hostaddrs, i, address_text, sizeof address_text);
		const char *port = list_item(ports, i, port_text, sizeof port_text);

		snprintf(h->name, sizeof h->name, "%s",
			host	  ? host
			: address ? address
				  : "localhost");
		if (address)
			host = address;
		if (!host)
			host = stat(default_socket_directory, &st) == 0 ? default_socket_directory
									: "localhost";
		snprintf(h->address, sizeof h->address, "%s", host);
		snprintf(h->port, sizeof h->port, "%s", port ? port : "5432");
		p->names |= is_name(h->address);
	}

	return true;
}

static const char *const attrs_names[] = {[ATTRS_ANY] = "any",
	[ATTRS_READ_WRITE] = "read-write",
	[ATTRS_READ_ONLY] = "read-only",
	[ATTRS_PRIMARY] = "primary",
	[ATTRS_STANDBY] = "standby",
	[ATTRS_PREFER_STANDBY] = "prefer-standby"};

const char *session_attrs_name(enum session_attrs attrs)
{
	return attrs_names[attrs];
}

static bool read_attrs(struct primary *p, const PQconninfoOption *options, struct error *error)
{
	const char *attrs = value_of(options, "target_session_attrs");

	if (!attrs || !*attrs)
		return true;
	for (size_t i = 0; i < sizeof attrs_names / sizeof attrs_names[0]; i++) {
		if (strcmp(attrs, attrs_names[i]) == 0) {
			atomic_store(&p->attrs, (unsigned)i);
			return true;
		}
	}

	return error_set(error, "primary.conninfo: target_session_attrs=%.20s is not known", attrs);
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

	*p = (struct primary){.failed_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
	pthread_mutex_init(&p->lock, NULL);
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
	p->tcp_user_timeout_ms = number_of(options, "tcp_user_timeout", 0);
	ok = read_attrs(p, options, error) && read_tls(p, options, error) &&
	     read_hosts(p, options, error);
	PQconninfoFree(options);
	if (!ok)
		return false;
	(void)!primary_resolve(p, error);

	return p->list.count > 0;
}

void primary_release(struct primary *p)
{
	endpoint_list_clear(&p->list);
	if (p->failed_fd >= 0)
		close(p->failed_fd);
	p->failed_fd = -1;
	pthread_mutex_destroy(&p->lock);
}

/* --- addresses --- */

/* The endpoint that is known already, with what is known of it; or a new one. */
static struct endpoint *endpoint_for(
	const struct primary *p, const struct address *a, size_t host_index)
{
	for (size_t i = 0; i < p->list.count; i++) {
		struct endpoint *known = p->list.endpoint[i];

		if (known->host_index == host_index && address_equal(&known->address, a))
			return endpoint_hold(known);
	}

	return endpoint_new(a, p->host[host_index].name, host_index);
}

static void add_known(const struct primary *p, size_t host_index, struct endpoint_list *l)
{
	for (size_t i = 0; i < p->list.count && l->count < ENDPOINTS_MAX; i++) {
		if (p->list.endpoint[i]->host_index == host_index)
			endpoint_list_add(l, p->list.endpoint[i]);
	}
}

static bool add_resolved(
	const struct primary *p, size_t host_index, struct endpoint_list *l, struct error *error)
{
	const struct primary_host *h = &p->host[host_index];
	struct address address[ENDPOINTS_MAX];
	size_t count = 0;

	if (!resolve_address(h->address, h->port, false, address, ENDPOINTS_MAX, &count, error)) {
		add_known(p, host_index, l);
		return false;
	}
	for (size_t i = 0; i < count && l->count < ENDPOINTS_MAX; i++) {
		struct endpoint *e = endpoint_for(p, &address[i], host_index);

		if (!e)
			return error_set(error, "out of memory");
		endpoint_list_add(l, e);
		endpoint_drop(e);
	}

	return true;
}

/* Only this function changes p->list, on one thread at a time: it may read it without the lock. */
bool primary_resolve(struct primary *p, struct error *error)
{
	struct endpoint_list fresh = {0}, old;
	bool ok = true;

	for (size_t i = 0; i < p->hosts; i++)
		ok &= add_resolved(p, i, &fresh, error);
	pthread_mutex_lock(&p->lock);
	old = p->list;
	p->list = fresh;
	pthread_mutex_unlock(&p->lock);
	endpoint_list_clear(&old);

	return ok;
}

bool primary_alike_but_hosts(const struct primary *a, const struct primary *b)
{
	return a->sslmode == b->sslmode && strcmp(a->tls.root, b->tls.root) == 0 &&
	       strcmp(a->tls.cert, b->tls.cert) == 0 && strcmp(a->tls.key, b->tls.key) == 0 &&
	       a->connect_timeout_s == b->connect_timeout_s && a->keepalives == b->keepalives &&
	       a->keepalives_idle == b->keepalives_idle &&
	       a->keepalives_interval == b->keepalives_interval &&
	       a->keepalives_count == b->keepalives_count &&
	       a->tcp_user_timeout_ms == b->tcp_user_timeout_ms;
}

static void copy_knowledge(const struct endpoint_list *from, struct endpoint *to)
{
	for (size_t i = 0; i < from->count; i++) {
		struct endpoint *e = from->endpoint[i];

		if (!address_equal(&e->address, &to->address))
			continue;
		atomic_store(&to->role, atomic_load(&e->role));
		atomic_store(&to->failed_us, atomic_load(&e->failed_us));
	}
}

void primary_take_hosts(struct primary *p, struct primary *now)
{
	struct endpoint_list old;

	for (size_t i = 0; i < now->list.count; i++)
		copy_knowledge(&p->list, now->list.endpoint[i]);
	memcpy(p->host, now->host, sizeof p->host);
	p->hosts = now->hosts;
	p->names = now->names;
	pthread_mutex_lock(&p->lock);
	old = p->list;
	p->list = now->list;
	atomic_store(&p->attrs, atomic_load(&now->attrs));
	pthread_mutex_unlock(&p->lock);
	now->list.count = 0;
	endpoint_list_clear(&old);
}

struct endpoint_list *primary_addresses(struct primary *p)
{
	struct endpoint_list *all;

	pthread_mutex_lock(&p->lock);
	all = endpoint_list_copy(&p->list);
	pthread_mutex_unlock(&p->lock);

	return all;
}

/* 0: never; else the lower, the sooner. */
static unsigned preference(enum session_attrs attrs, enum endpoint_role role)
{
	switch (attrs) {
	case ATTRS_ANY: return 1;
	case ATTRS_READ_WRITE: return role == ROLE_WRITABLE;
	case ATTRS_READ_ONLY: return role == ROLE_READ_ONLY || role == ROLE_STANDBY;
	case ATTRS_PRIMARY: return role == ROLE_WRITABLE || role == ROLE_READ_ONLY;
	case ATTRS_STANDBY: return role == ROLE_STANDBY;
	case ATTRS_PREFER_STANDBY: return role == ROLE_STANDBY ? 1 : 2;
	}

	return 0;
}

static bool failed_lately(const struct endpoint *e, uint64_t now_us)
{
	const uint64_t failed = atomic_load(&e->failed_us);

	return failed != 0 && now_us < failed + TRY_LAST_US;
}

struct endpoint_list *primary_choose(struct primary *p, uint64_t now_us)
{
	struct endpoint_list *all = primary_addresses(p);
	const enum session_attrs attrs = (enum session_attrs)atomic_load(&p->attrs);
	struct endpoint_list order = {0};
	struct endpoint_list *chosen;

	if (!all)
		return NULL;
	for (unsigned place = 0; place < 4; place++) {
		const bool failed = place >= 2;
		const unsigned wanted = place % 2 + 1;

		for (size_t i = 0; i < all->count; i++) {
			struct endpoint *e = all->endpoint[i];

			if (preference(attrs, atomic_load(&e->role)) == wanted &&
				failed_lately(e, now_us) == failed)
				order.endpoint[order.count++] = e; /* held by `all` */
		}
	}
	chosen = endpoint_list_copy(&order);
	endpoint_list_free(all);

	return chosen;
}

void primary_tell(struct primary *p, struct endpoint *e, bool well, uint64_t now_us)
{
	const uint64_t one = 1;

	if (well && atomic_load(&e->failed_us) == 0)
		return;
	atomic_store(&e->failed_us, well ? 0 : now_us);
	if (!well)
		(void)!write(p->failed_fd, &one, sizeof one);
}

/* --- connecting --- */

bool primary_may_use_tls(const struct primary *p, const struct endpoint *e)
{
	return p->sslmode != TLS_DISABLE && e->address.sockaddr.ss_family != AF_UNIX;
}

static void set_option(int fd, int level, int name, int value)
{
	/* an improvement where it works, not a condition */
	(void)!setsockopt(fd, level, name, &value, sizeof value);
}

static void tune_tcp(const struct primary *p, int fd)
{
	set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	if (p->tcp_user_timeout_ms > 0)
		set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, p->tcp_user_timeout_ms);
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

int primary_connect(const struct primary *p, const struct endpoint *e)
{
	const struct address *a = &e->address;
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

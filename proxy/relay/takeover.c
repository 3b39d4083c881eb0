#define _GNU_SOURCE /* struct ucred, accept4 */
#include "proxy/relay/takeover.h"

#include "proxy/log.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

enum {
	FDS_PER_PACKET = 200, /* the kernel takes 253 */
	SEND_MS = 1000,
	ASK_MS = 10000,
};

struct packet {
	char magic[8];
	uint32_t total, count; /* of the sockets: all, in this packet */
	uint32_t keep_files;
};

static const char magic[8] = "pgumbra1"; /* no NUL: eight bytes */

static bool make_path(
	struct sockaddr_un *un, const char *directory, const char *name, struct error *error)
{
	int n;

	*un = (struct sockaddr_un){.sun_family = AF_UNIX};
	n = snprintf(un->sun_path, sizeof un->sun_path, "%s/%s", directory, name);

	return (n >= 0 && (size_t)n < sizeof un->sun_path) ||
	       error_set(error, "pgumbra.runtime_dir is too long: \"%s\"", directory);
}

static void set_limits(int fd, int ms)
{
	const struct timeval limit = {
		.tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000 * 1000)};

	(void)!setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
	(void)!setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
}

/* Room for the descriptors of a packet, aligned. */
union control {
	struct cmsghdr header;
	char bytes[CMSG_SPACE(FDS_PER_PACKET * sizeof(int))];
};

/* --- giving --- */

static bool send_packet(int to, const struct listeners *l, size_t first, size_t count)
{
	struct packet p = {.total = (uint32_t)l->sockets,
		.count = (uint32_t)count,
		.keep_files = l->keep_files};
	struct iovec bytes = {.iov_base = &p, .iov_len = sizeof p};
	union control control = {0};
	struct msghdr m = {.msg_iov = &bytes,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = CMSG_SPACE(count * sizeof(int))};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	memcpy(p.magic, magic, sizeof p.magic);
	*c = (struct cmsghdr){.cmsg_level = SOL_SOCKET,
		.cmsg_type = SCM_RIGHTS,
		.cmsg_len = CMSG_LEN(count * sizeof(int))};
	for (size_t i = 0; i < count; i++)
		memcpy(CMSG_DATA(c) + i * sizeof(int), &l->socket[first + i].fd, sizeof(int));

	return sendmsg(to, &m, MSG_NOSIGNAL) == (ssize_t)sizeof p;
}

static bool give_all(int to, const struct listeners *l)
{
	for (size_t first = 0; first < l->sockets; first += FDS_PER_PACKET) {
		const size_t left = l->sockets - first;

		if (!send_packet(to, l, first, left < FDS_PER_PACKET ? left : FDS_PER_PACKET))
			return false;
	}

	return true;
}

static void drop_asker(struct takeover *t)
{
	if (t->answered)
		event_free(t->answered);
	t->answered = NULL;
	if (t->asker_fd >= 0)
		close(t->asker_fd);
	t->asker_fd = -1;
}

/* One byte: it accepts clients. The end of the connection before that: it has failed. */
static void on_answered(evutil_socket_t fd, short what, void *arg)
{
	struct takeover *t = arg;
	const pid_t by = t->asker;
	char ready = 0;
	ssize_t n = recv(fd, &ready, 1, MSG_DONTWAIT);

	(void)what;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	drop_asker(t);
	if (n == 1)
		t->on_taken(by, t->arg);
	else
		log_warning("process %ld asked for the listening sockets and did not start: they "
			    "stay here",
			(long)by);
}

static bool may_ask(int fd, pid_t *asker)
{
	struct ucred who;
	socklen_t len = sizeof who;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) < 0)
		return false;
	*asker = who.pid;

	return who.uid == geteuid() || who.uid == 0;
}

static void on_asked(evutil_socket_t listener, short what, void *arg)
{
	struct takeover *t = arg;
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	(void)what;
	if (fd < 0)
		return;
	set_limits(fd, SEND_MS);
	if (t->asker_fd >= 0 || !may_ask(fd, &t->asker) || !give_all(fd, t->listeners)) {
		log_warning("somebody asked for the listening sockets and was refused");
		close(fd);
		return;
	}
	t->asker_fd = fd;
	t->answered = event_new(event_get_base(t->asked), fd, EV_READ | EV_PERSIST, on_answered, t);
	if (!t->answered || event_add(t->answered, NULL) < 0)
		drop_asker(t);
}

/* Made beside its place and moved there, so that there is always one to be asked. */
static int bind_at(const struct sockaddr_un *path, struct error *error)
{
	char name[32];
	struct sockaddr_un beside = *path;
	char directory[sizeof path->sun_path];
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mode_t mask;
	bool ok;

	snprintf(directory, sizeof directory, "%.*s",
		(int)(strrchr(path->sun_path, '/') - path->sun_path), path->sun_path);
	snprintf(name, sizeof name, ".takeover.%ld", (long)getpid());
	if (!make_path(&beside, directory, name, error)) {
		close(fd);
		return -1;
	}
	unlink(beside.sun_path);
	mask = umask(0177);
	ok = fd >= 0 && bind(fd, (const struct sockaddr *)&beside, sizeof beside) == 0;
	umask(mask);
	ok = ok && listen(fd, 4) == 0 && rename(beside.sun_path, path->sun_path) == 0;
	if (ok)
		return fd;
	error_set(error, "%s: could not make %s (pgumbra.runtime_dir)", strerror(errno),
		path->sun_path);
	unlink(beside.sun_path);
	if (fd >= 0)
		close(fd);

	return -1;
}

bool takeover_offer(struct takeover *t, struct event_base *base, const char *runtime_dir,
	const struct listeners *l, void (*on_taken)(pid_t by, void *arg), void *arg,
	struct error *error)
{
	*t = (struct takeover){
		.listeners = l, .on_taken = on_taken, .arg = arg, .fd = -1, .asker_fd = -1};
	if (!*runtime_dir)
		return true;
	if (!make_path(&t->path, runtime_dir, "takeover", error))
		return false;
	t->fd = bind_at(&t->path, error);
	if (t->fd < 0)
		return false;
	t->asked = event_new(base, t->fd, EV_READ | EV_PERSIST, on_asked, t);

	return (t->asked && event_add(t->asked, NULL) == 0) || error_set(error, "out of memory");
}

void takeover_release(struct takeover *t, bool remove)
{
	drop_asker(t);
	if (t->asked)
		event_free(t->asked);
	t->asked = NULL;
	if (t->fd >= 0) {
		if (remove)
			unlink(t->path.sun_path);
		close(t->fd);
	}
	t->fd = -1;
}

/* --- asking --- */

/* The number of descriptors that came, -1: not what a pgumbra sends. */
static int take_descriptors(struct msghdr *m, const struct packet *p, int *fds)
{
	int count = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		count = (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(fds, CMSG_DATA(c), (size_t)count * sizeof(int));
		break;
	}
	if (memcmp(p->magic, magic, sizeof magic) == 0 && (uint32_t)count == p->count && count > 0)
		return count;
	while (count > 0)
		close(fds[--count]);

	return -1;
}

static bool receive_packet(struct takeover_gift *g, uint32_t *total)
{
	struct packet p = {0};
	struct iovec bytes = {.iov_base = &p, .iov_len = sizeof p};
	union control control;
	struct msghdr m = {.msg_iov = &bytes,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof control};
	int fds[FDS_PER_PACKET], count;

	if (recvmsg(g->giver_fd, &m, MSG_CMSG_CLOEXEC) != (ssize_t)sizeof p)
		return false;
	count = take_descriptors(&m, &p, fds);
	if (count < 0)
		return false;
	if (p.total > LISTEN_SOCKETS_MAX || g->count + (size_t)count > p.total) {
		while (count > 0)
			close(fds[--count]);
		return false;
	}
	memcpy(g->fd + g->count, fds, (size_t)count * sizeof fds[0]);
	g->count += (size_t)count;
	g->keep_files = p.keep_files != 0;
	*total = p.total;

	return true;
}

static void refuse_gift(struct takeover_gift *g)
{
	while (g->count > 0)
		close(g->fd[--g->count]);
	close(g->giver_fd);
	g->giver_fd = -1;
}

bool takeover_ask(const char *runtime_dir, struct takeover_gift *g, struct error *error)
{
	struct sockaddr_un path;
	uint32_t total = 0;

	g->count = 0;
	g->keep_files = false;
	g->giver_fd = -1;
	if (!make_path(&path, runtime_dir, "takeover", error))
		return false;
	g->giver_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (g->giver_fd < 0 ||
		connect(g->giver_fd, (const struct sockaddr *)&path, sizeof path) < 0) {
		const int why = errno;

		refuse_gift(g);
		return why == ENOENT || why == ECONNREFUSED ||
		       error_set(
			       error, "%s: could not connect to %s", strerror(why), path.sun_path);
	}
	set_limits(g->giver_fd, ASK_MS);
	do {
		if (!receive_packet(g, &total)) {
			refuse_gift(g);
			return error_set(error, "the process at %s did not hand its sockets over",
				path.sun_path);
		}
	} while (g->count < total);

	return true;
}

void takeover_confirm(struct takeover_gift *g)
{
	if (g->giver_fd < 0)
		return;
	if (send(g->giver_fd, "r", 1, MSG_NOSIGNAL) != 1)
		log_warning(
			"%s: the process before could not be told that it may go", strerror(errno));
	close(g->giver_fd);
	g->giver_fd = -1;
}

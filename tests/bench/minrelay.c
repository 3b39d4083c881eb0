/* The least that a TCP relay in one thread can do, as a yardstick for the benchmark:
 * level-triggered epoll, one recv of up to 64 KiB per readiness, one send, nothing else. What
 * pgumbra's relay costs beyond this is what its features cost.
 *
 * usage: minrelay LISTEN:PORT TARGET:PORT     (IPv4 addresses)
 *
 * An end whose peer has bytes pending is not read. End of file is handed on as a half-close. An end
 * that waits for nothing leaves the epoll set, so that a hang-up there can't make the loop spin.
 */
#define _GNU_SOURCE 1 /* accept4 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CHUNK = 65536, EVENTS = 256 };

struct end {
	int fd;
	struct end *peer;
	struct end *next_dead;
	char *pending; /* owned: bytes that this end's socket didn't take yet */
	size_t pending_len, pending_off;
	uint32_t interest;
	bool eof, dead;
};

static int epoll_fd;
static char chunk[CHUNK];
static struct end *dead_ends;

static void set_interest(struct end *end, uint32_t interest)
{
	struct epoll_event event = {.events = interest, .data.ptr = end};
	int op = EPOLL_CTL_MOD;

	if (end->interest == interest)
		return;
	if (!end->interest)
		op = EPOLL_CTL_ADD;
	else if (!interest)
		op = EPOLL_CTL_DEL;
	if (epoll_ctl(epoll_fd, op, end->fd, &event)) {
		perror("epoll_ctl");
		exit(1);
	}
	end->interest = interest;
}

static void update_interest(struct end *end)
{
	uint32_t interest = end->pending ? EPOLLOUT : 0;

	if (!end->eof && !end->peer->pending)
		interest |= EPOLLIN;
	set_interest(end, interest);
}

static void bury(struct end *end)
{
	close(end->fd);
	end->dead = true;
	end->next_dead = dead_ends;
	dead_ends = end;
}

static void close_pair(struct end *end)
{
	if (end->dead)
		return;
	bury(end->peer);
	bury(end);
}

static void free_dead(void)
{
	while (dead_ends) {
		struct end *end = dead_ends;

		dead_ends = end->next_dead;
		free(end->pending);
		free(end);
	}
}

/* Nothing more will come from end's peer: end's socket is told so once all is sent. */
static void hand_on_eof(struct end *end)
{
	if (end->pending)
		return;
	shutdown(end->fd, SHUT_WR);
	if (end->eof && !end->peer->pending)
		close_pair(end);
}

static bool keep_pending(struct end *end, const char *bytes, size_t len)
{
	end->pending = malloc(len);
	if (!end->pending)
		return false;
	memcpy(end->pending, bytes, len);
	end->pending_len = len;
	end->pending_off = 0;
	return true;
}

static void pass_on(struct end *to, const char *bytes, size_t len)
{
	ssize_t sent = send(to->fd, bytes, len, MSG_NOSIGNAL);

	if (sent < 0 && errno != EAGAIN) {
		close_pair(to);
		return;
	}
	if (sent < 0)
		sent = 0;
	if ((size_t)sent == len)
		return;
	if (!keep_pending(to, bytes + sent, len - (size_t)sent)) {
		close_pair(to);
		return;
	}
	update_interest(to);
	update_interest(to->peer);
}

static void on_readable(struct end *end)
{
	ssize_t got = recv(end->fd, chunk, sizeof(chunk), 0);

	if (got > 0) {
		pass_on(end->peer, chunk, (size_t)got);
	} else if (got == 0) {
		end->eof = true;
		update_interest(end);
		hand_on_eof(end->peer);
	} else if (errno != EAGAIN) {
		close_pair(end);
	}
}

static void on_writable(struct end *end)
{
	ssize_t sent = send(end->fd, end->pending + end->pending_off,
		end->pending_len - end->pending_off, MSG_NOSIGNAL);

	if (sent < 0) {
		if (errno != EAGAIN)
			close_pair(end);
		return;
	}
	end->pending_off += (size_t)sent;
	if (end->pending_off < end->pending_len)
		return;
	free(end->pending);
	end->pending = NULL;
	update_interest(end);
	update_interest(end->peer);
	if (end->peer->eof)
		hand_on_eof(end);
}

static void on_ready(struct end *end, uint32_t events)
{
	if (!end->dead && end->pending && (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)))
		on_writable(end);
	if (!end->dead && (end->interest & EPOLLIN) && (events & (EPOLLIN | EPOLLERR | EPOLLHUP)))
		on_readable(end);
}

static struct end *end_new(int fd)
{
	struct end *end = calloc(1, sizeof(*end));
	int one = 1;

	if (!end) {
		perror("calloc");
		exit(1);
	}
	end->fd = fd;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return end;
}

static void accept_one(int client_fd, const struct sockaddr_in *target)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct end *client, *server;

	if (fd < 0 || (connect(fd, (const struct sockaddr *)target, sizeof(*target)) &&
			      errno != EINPROGRESS)) {
		perror("connect");
		close(client_fd);
		if (fd >= 0)
			close(fd);
		return;
	}
	client = end_new(client_fd);
	server = end_new(fd);
	client->peer = server;
	server->peer = client;
	update_interest(client);
	update_interest(server);
}

static void on_connections(int listen_fd, const struct sockaddr_in *target)
{
	for (;;) {
		int fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0 && errno == EAGAIN)
			return;
		if (fd < 0 && errno != ECONNABORTED && errno != EINTR) {
			perror("accept");
			exit(1);
		}
		if (fd >= 0)
			accept_one(fd, target);
	}
}

static bool parse_address(const char *text, struct sockaddr_in *out)
{
	const char *colon = strrchr(text, ':');
	char host[INET_ADDRSTRLEN];
	char *rest;
	unsigned long port;

	if (!colon || (size_t)(colon - text) >= sizeof(host))
		return false;
	memcpy(host, text, (size_t)(colon - text));
	host[colon - text] = '\0';
	port = strtoul(colon + 1, &rest, 10);
	if (rest == colon + 1 || *rest || port == 0 || port > 65535)
		return false;
	*out = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	return inet_pton(AF_INET, host, &out->sin_addr) == 1;
}

static int listen_on(const struct sockaddr_in *address)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int one = 1;

	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (fd < 0 || epoll_fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
		bind(fd, (const struct sockaddr *)address, sizeof(*address)) || listen(fd, 512) ||
		epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event)) {
		perror("listen");
		exit(1);
	}
	return fd;
}

static void loop(int listen_fd, const struct sockaddr_in *target)
{
	struct epoll_event events[EVENTS];

	for (;;) {
		int count = epoll_wait(epoll_fd, events, EVENTS, -1);

		for (int i = 0; i < count; i++) {
			if (events[i].data.ptr)
				on_ready(events[i].data.ptr, events[i].events);
			else
				on_connections(listen_fd, target);
		}
		free_dead();
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_in address, target;

	if (argc != 3 || !parse_address(argv[1], &address) || !parse_address(argv[2], &target)) {
		fprintf(stderr, "usage: minrelay LISTEN:PORT TARGET:PORT (IPv4 addresses)\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	loop(listen_on(&address), &target);
	return 0;
}

#include "proxy/relay/service.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { FIRST_SOCKET = 3 };

static long number_in(const char *name)
{
	const char *text = getenv(name);

	return text ? strtol(text, NULL, 10) : 0;
}

static bool listens(int fd)
{
	int type = 0, listening = 0;
	socklen_t len = sizeof type;

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_STREAM &&
	       getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) == 0 && listening;
}

bool service_sockets(int *fds, size_t max, size_t *count, struct error *error)
{
	const long given = number_in("LISTEN_PID") == (long)getpid() ? number_in("LISTEN_FDS") : 0;

	*count = 0;
	unsetenv("LISTEN_PID"); /* they are not for our children */
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	if (given < 0 || (size_t)given > max)
		return error_set(error, "LISTEN_FDS=%ld: allowed: 0 to %zu", given, max);
	for (int fd = FIRST_SOCKET; fd < FIRST_SOCKET + (int)given; fd++) {
		if (!listens(fd))
			return error_set(error,
				"descriptor %d of the service manager is not a listening stream "
				"socket",
				fd);
		(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
		fds[(*count)++] = fd;
	}

	return true;
}

void service_notify(const char *format, ...)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	char text[1024];
	va_list args;
	socklen_t len;
	int fd, n;

	if (!path || (path[0] != '/' && path[0] != '@') || strlen(path) >= sizeof to.sun_path)
		return;
	va_start(args, format);
	n = vsnprintf(text, sizeof text, format, args);
	va_end(args);
	if (n < 0 || (size_t)n >= sizeof text)
		return;
	memcpy(to.sun_path, path, strlen(path));
	if (path[0] == '@') /* the abstract namespace */
		to.sun_path[0] = '\0';
	len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	(void)!sendto(fd, text, (size_t)n, MSG_NOSIGNAL, (const struct sockaddr *)&to, len);
	close(fd);
}

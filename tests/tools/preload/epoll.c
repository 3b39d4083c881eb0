/* An epoll for tests, preloaded: while the file EPOLL_FULL exists, nothing new is watched and no
 * watch asks for other events, as when fs.epoll.max_user_watches is reached. */
#define _GNU_SOURCE /* RTLD_NEXT */
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

typedef int control(int, int, int, struct epoll_event *);

int epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
	const char *full = getenv("EPOLL_FULL");
	void *symbol = dlsym(RTLD_NEXT, "epoll_ctl");
	control *system = NULL;

	memcpy(&system, &symbol, sizeof system);
	if (op != EPOLL_CTL_DEL && full && access(full, F_OK) == 0) {
		errno = ENOSPC;
		return -1;
	}

	return system(epfd, op, fd, event);
}

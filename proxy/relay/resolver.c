#define _GNU_SOURCE /* pthread_timedjoin_np */
#include "proxy/relay/resolver.h"

#include "proxy/log.h"
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum { SOON_MS = 500 /* between two attempts after failed connections */, STOP_MS = 1000 };

static void drain(int fd)
{
	uint64_t count;

	(void)!read(fd, &count, sizeof count);
}

/* Until the next time; false: it is to stop. */
static bool wait_for_turn(const struct resolver *r)
{
	struct pollfd fds[] = {{.fd = r->stop_fd, .events = POLLIN},
		{.fd = r->primary->failed_fd, .events = POLLIN}};
	int n = poll(fds, 1, SOON_MS);

	if (n == 0)
		n = poll(fds, 2, (int)r->interval_ms);
	if (fds[1].revents)
		drain(r->primary->failed_fd);

	return n < 0 ? errno == EINTR : !fds[0].revents;
}

static void *run(void *arg)
{
	struct resolver *r = arg;
	struct error error;
	bool well = true, now;

	while (wait_for_turn(r)) {
		now = primary_resolve(r->primary, &error);
		if (well && !now)
			log_warning(
				"%s: new sessions go to the addresses known until now", error.text);
		else if (!well && now)
			log_info("all hosts of primary.conninfo resolve again");
		well = now;
	}

	return NULL;
}

bool resolver_start(
	struct resolver *r, struct primary *p, unsigned interval_ms, struct error *error)
{
	int rc;

	*r = (struct resolver){.primary = p, .interval_ms = interval_ms, .stop_fd = -1};
	if (!p->names)
		return true;
	r->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	rc = r->stop_fd < 0 ? errno : pthread_create(&r->thread, NULL, run, r);
	r->started = rc == 0;

	return r->started ||
	       error_set(error, "%s: could not start the resolver's thread", strerror(rc));
}

bool resolver_stop(struct resolver *r)
{
	const uint64_t one = 1;
	struct timespec limit;

	if (r->started) {
		(void)!write(r->stop_fd, &one, sizeof one);
		clock_gettime(CLOCK_REALTIME, &limit);
		limit.tv_sec += STOP_MS / 1000;
		if (pthread_timedjoin_np(r->thread, NULL, &limit) != 0)
			return false;
	}
	r->started = false;
	if (r->stop_fd >= 0)
		close(r->stop_fd);
	r->stop_fd = -1;

	return true;
}

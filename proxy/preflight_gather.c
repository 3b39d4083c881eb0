#define _GNU_SOURCE 1 /* pipe2 */
#include "proxy/preflight.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Twenty databases in which everything differs take some 15 MB. */
enum { JOBS_MAX = 16, JOB_BYTES_MAX = 64 << 20 };

/* Between the processes a finding is its level as a digit and five texts, each with its NUL. */
enum { TEXTS = 5 };

struct running {
	const struct preflight_job *job;
	pid_t pid;   /* 0: it could not be started */
	int fd;	     /* owned; -1: nothing more to come */
	char *bytes; /* owned */
	size_t used;
	bool whole; /* the end was seen */
};

/* --- in the job's process --- */

static bool write_all(int fd, const char *bytes, size_t left)
{
	while (left > 0) {
		ssize_t n = write(fd, bytes, left);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		bytes += n;
		left -= (size_t)n;
	}

	return true;
}

static void on_finding(void *arg, const struct preflight_finding *p)
{
	const char *texts[TEXTS] = {p->kind, p->where, p->what, p->effect, p->mend};
	const char level = (char)('0' + p->level);
	int fd = *(int *)arg;
	bool good = write_all(fd, &level, 1);

	for (int i = 0; good && i < TEXTS; i++)
		good = write_all(fd, texts[i], strlen(texts[i]) + 1);
	if (!good)
		_exit(1);
}

static _Noreturn void do_job(const struct preflight_job *job, int fd, pid_t parent)
{
	struct preflight_findings f = {.on_finding = on_finding, .arg = &fd};

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	job->look(job, &f);
	_exit(f.failed ? 1 : 0);
}

/* --- in ours --- */

static void start(struct running *r)
{
	pid_t parent = getpid();
	int ends[2];

	r->fd = -1;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return;
	fflush(NULL);
	r->pid = fork();
	if (r->pid == 0)
		do_job(r->job, ends[1], parent);
	close(ends[1]);
	r->fd = ends[0];
	if (r->pid < 0) {
		r->pid = 0;
		close(r->fd);
		r->fd = -1;
	}
}

static void stop_reading(struct running *r)
{
	close(r->fd);
	r->fd = -1;
}

static void read_some(struct running *r)
{
	char bytes[16384], *grown;
	ssize_t n = read(r->fd, bytes, sizeof bytes);

	if (n < 0 && errno == EINTR)
		return;
	r->whole = n == 0;
	if (n <= 0 || r->used + (size_t)n > JOB_BYTES_MAX) {
		stop_reading(r);
		return;
	}
	grown = realloc(r->bytes, r->used + (size_t)n);
	if (!grown) {
		stop_reading(r);
		return;
	}
	memcpy(grown + r->used, bytes, (size_t)n);
	r->bytes = grown;
	r->used += (size_t)n;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);

	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void read_all(struct running *running, size_t count, int64_t deadline)
{
	for (;;) {
		struct pollfd polls[JOBS_MAX];
		int64_t left = deadline - now_ms();
		bool any = false;

		for (size_t i = 0; i < count; i++) {
			polls[i] = (struct pollfd){.fd = running[i].fd, .events = POLLIN};
			any |= running[i].fd >= 0;
		}
		if (!any || left <= 0)
			return;
		if (poll(polls, (nfds_t)count, (int)left) <= 0)
			continue;
		for (size_t i = 0; i < count; i++)
			if (running[i].fd >= 0 && polls[i].revents)
				read_some(&running[i]);
	}
}

/* Looks at several candidates may find the same of the control, which is little. */
static bool is_known(const struct preflight_findings *f, const char *where, const char *what)
{
	if (strncmp(where, "control", strlen("control")) != 0)
		return false;
	for (size_t i = 0; i < f->count; i++)
		if (strcmp(f->list[i].where, where) == 0 && strcmp(f->list[i].what, what) == 0)
			return true;

	return false;
}

/* The next finding in [*at, end); false: no whole one is left. */
static bool next_finding(const char **at, const char *end, struct preflight_findings *f)
{
	const char *texts[TEXTS], *p = *at;
	int level;

	if (p == end)
		return false;
	level = *p++ - '0';
	if (level < PREFLIGHT_INFORMATION || level > PREFLIGHT_FORBIDS)
		return false;
	for (int i = 0; i < TEXTS; i++) {
		const char *stop = memchr(p, 0, (size_t)(end - p));

		if (!stop)
			return false;
		texts[i] = p;
		p = stop + 1;
	}
	*at = p;
	if (is_known(f, texts[1], texts[2]))
		return true;
	preflight_say(f,
		&(struct preflight_topic){
			(enum preflight_level)level, texts[0], texts[3], texts[4]},
		texts[1], "%s", texts[2]);

	return true;
}

static void finish(struct running *r, int limit_ms, struct preflight_findings *f)
{
	const struct preflight_topic late = {PREFLIGHT_WARNING, "connection",
		"what was not looked at may differ", "`pgumbra check` takes more time"};
	const struct preflight_topic broken = {PREFLIGHT_FORBIDS, "connection", "", ""};
	const char *at = r->bytes;
	int status = 0;

	if (r->fd >= 0)
		kill(r->pid, SIGKILL);
	if (r->pid > 0)
		waitpid(r->pid, &status, 0);
	while (r->used > 0 && next_finding(&at, r->bytes + r->used, f))
		;
	if (r->fd >= 0)
		preflight_say(f, &late, r->job->name,
			"did not answer everything within %d ms: not wholly looked at", limit_ms);
	else if (!r->whole || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
		preflight_say(
			f, &broken, r->job->name, "could not be looked at: the look broke down");
	if (r->fd >= 0)
		stop_reading(r);
	free(r->bytes);
}

void preflight_gather(
	const struct preflight_job *jobs, size_t count, int limit_ms, struct preflight_findings *f)
{
	struct running running[JOBS_MAX] = {0};
	int64_t deadline = now_ms() + limit_ms;

	assert(count <= JOBS_MAX);
	for (size_t i = 0; i < count; i++) {
		running[i].job = &jobs[i];
		start(&running[i]);
	}
	read_all(running, count, deadline);
	for (size_t i = 0; i < count; i++)
		finish(&running[i], limit_ms, f);
}

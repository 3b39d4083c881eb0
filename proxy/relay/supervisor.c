#define _GNU_SOURCE /* memfd_create, posix_spawn_file_actions_addclosefrom_np */
#include "proxy/relay/supervisor.h"

#include "proxy/handover.h"
#include "proxy/log.h"
#include "proxy/relay/relay.h"
#include "proxy/tape.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

enum {
	BACKOFF_FIRST_MS = 100,
	BACKOFF_MOST_MS = 10000,
	LONG_LIFE_US = 60000000, /* after this long a death is a new trouble */
	TERM_MS = 5000,
	WAIT_MS = 200,
	LOWEST_SOURCE = HANDOVER_TAPES + 2 * HANDOVER_MAX_THREADS, /* above every target */
};

static uint64_t monotonic_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);

	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

void make_uuid7(char out[37])
{
	static const char hex[] = "0123456789abcdef";
	struct timespec now;
	uint8_t b[16];
	uint64_t ms;
	char *at = out;

	if (getrandom(b, sizeof b, 0) != sizeof b)
		memset(b, 0, sizeof b);
	clock_gettime(CLOCK_REALTIME, &now);
	ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
	for (int i = 0; i < 6; i++)
		b[i] = (uint8_t)(ms >> (40 - 8 * i));
	b[6] = (uint8_t)((b[6] & 0x0f) | 0x70);
	b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
	for (int i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*at++ = '-';
		*at++ = hex[b[i] >> 4];
		*at++ = hex[b[i] & 15];
	}
	*at = '\0';
}

/* --- what is handed over --- */

static bool write_all(int fd, const char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, bytes, len);

		if (n < 0)
			return false;
		bytes += n;
		len -= (size_t)n;
	}

	return true;
}

/* The configuration with its secrets, in memory only. */
static int configuration_fd(const struct config *config)
{
	char *ini = config_to_ini(config, false, true);
	int fd = ini ? memfd_create("pgumbra-config", MFD_CLOEXEC) : -1;

	if (fd >= 0 && (!write_all(fd, ini, strlen(ini)) || lseek(fd, 0, SEEK_SET) < 0)) {
		close(fd);
		fd = -1;
	}
	if (ini)
		explicit_bzero(ini, strlen(ini));
	free(ini);

	return fd;
}

static char findings[RELAY_FINDINGS_BYTES]; /* set once, before relay_run */

_Static_assert(sizeof findings == sizeof((struct shadow_page *)0)->findings, "one size");

void relay_set_findings(const char *lines)
{
	size_t used = 0;

	while (lines[used])
		used += strlen(lines + used) + 1;
	assert(used < sizeof findings);
	memcpy(findings, lines, used + 1);
}

static int books_page_fd(void)
{
	int fd = memfd_create("pgumbra-books", MFD_CLOEXEC);
	char run[37];

	make_uuid7(run);
	if (fd >= 0 && (ftruncate(fd, sizeof(struct shadow_page)) < 0 ||
			       pwrite(fd, run, sizeof run, offsetof(struct shadow_page, run)) < 0 ||
			       pwrite(fd, findings, sizeof findings,
				       offsetof(struct shadow_page, findings)) < 0)) {
		close(fd);
		fd = -1;
	}

	return fd;
}

/* A source is first moved above all targets, so that no dup2 overwrites a later source. The moved
 * descriptors are in `moved`, to be closed after the spawn. False with errno EMFILE: the limit of
 * open files leaves no room there. */
static bool hand(posix_spawn_file_actions_t *actions, int fd, int target, int *moved, size_t *count)
{
	int high = fcntl(fd, F_DUPFD_CLOEXEC, LOWEST_SOURCE);

	if (high < 0) {
		if (errno == EINVAL) /* the limit itself is below the number */
			errno = EMFILE;
		return false;
	}
	moved[(*count)++] = high;

	return posix_spawn_file_actions_adddup2(actions, high, target) == 0;
}

static bool hand_all(const struct supervisor *s, int config_fd, posix_spawn_file_actions_t *actions,
	int *moved, size_t *count)
{
	bool ok = hand(actions, config_fd, HANDOVER_CONFIG, moved, count) &&
		  hand(actions, s->books_fd, HANDOVER_BOOKS, moved, count) &&
		  hand(actions, s->lifeline[0], HANDOVER_LIFELINE, moved, count);

	for (unsigned i = 0; ok && i < s->threads; i++) {
		const int target = HANDOVER_TAPES + 2 * (int)i;

		ok = hand(actions, tape_ring_fd(s->tapes[i]), target, moved, count) &&
		     hand(actions, tape_tail_fd(s->tapes[i]), target + 1, moved, count);
	}

	/* whatever the relay's parent left open */
	return ok && posix_spawn_file_actions_addclosefrom_np(
			     actions, HANDOVER_TAPES + 2 * (int)s->threads) == 0;
}

/* Its own process group: a Ctrl-C on the terminal is the relay's, which ends the shadow in order.
 */
static bool set_attributes(posix_spawnattr_t *attributes)
{
	sigset_t none, all;

	sigemptyset(&none);
	sigfillset(&all);
	sigdelset(&all, SIGKILL);
	sigdelset(&all, SIGSTOP);

	return posix_spawnattr_setsigmask(attributes, &none) == 0 &&
	       posix_spawnattr_setsigdefault(attributes, &all) == 0 &&
	       posix_spawnattr_setpgroup(attributes, 0) == 0 &&
	       posix_spawnattr_setflags(attributes,
		       POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP) == 0;
}

/* 0 or an errno. */
static int spawn(struct supervisor *s, int config_fd, uint32_t epoch)
{
	char threads_text[16], epoch_text[16];
	char *argv[] = {
		"pgumbra", "shadow", "--threads", threads_text, "--epoch", epoch_text, NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	int moved[3 + 2 * HANDOVER_MAX_THREADS];
	size_t count = 0;
	int rc = ENOMEM;

	snprintf(threads_text, sizeof threads_text, "%u", s->threads);
	snprintf(epoch_text, sizeof epoch_text, "%u", epoch);
	if (posix_spawn_file_actions_init(&actions) != 0)
		return ENOMEM;
	if (posix_spawnattr_init(&attributes) != 0) {
		posix_spawn_file_actions_destroy(&actions);
		return ENOMEM;
	}
	errno = 0;
	if (hand_all(s, config_fd, &actions, moved, &count) && set_attributes(&attributes))
		rc = posix_spawn(&s->pid, "/proc/self/exe", &actions, &attributes, argv, environ);
	else if (errno == EMFILE)
		rc = EMFILE;
	while (count > 0)
		close(moved[--count]);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attributes);

	return rc;
}

/* --- life and death --- */

static void on_exited(evutil_socket_t fd, short what, void *arg);

static bool start(struct supervisor *s)
{
	int config_fd = configuration_fd(s->config);
	int rc = config_fd >= 0 ? spawn(s, config_fd, s->epoch + 1) : errno ? errno : ENOMEM;

	if (config_fd >= 0)
		close(config_fd);
	if (rc != 0) {
		s->pid = 0;
		log_error("%s: could not start the shadow process%s", strerror(rc),
			rc == EMFILE ? " (ulimit -n or LimitNOFILE is too low)" : "");
		return false;
	}
	s->epoch++;
	s->started_us = monotonic_us();
	s->pidfd = pidfd_open(s->pid, 0);
	s->exited = s->pidfd < 0 ? NULL : event_new(s->base, s->pidfd, EV_READ, on_exited, s);
	if (!s->exited || event_add(s->exited, NULL) < 0) {
		log_error("%s: could not watch the shadow process", strerror(errno));
		kill(s->pid, SIGKILL);
		waitpid(s->pid, NULL, 0);
		s->pid = 0;
		return false;
	}
	log_info("shadow process %ld started (epoch %u)", (long)s->pid, s->epoch);
	s->on_epoch(s->epoch, s->arg);

	return true;
}

static void start_later(struct supervisor *s)
{
	const struct timeval after = {.tv_sec = (time_t)(s->backoff_ms / 1000),
		.tv_usec = (suseconds_t)(s->backoff_ms % 1000 * 1000)};

	log_info("starting the shadow process again in %u ms", s->backoff_ms);
	event_add(s->again, &after);
	s->backoff_ms *= 2;
	if (s->backoff_ms > BACKOFF_MOST_MS)
		s->backoff_ms = BACKOFF_MOST_MS;
}

static void start_when_allowed(struct supervisor *s)
{
	const struct timeval soon = {.tv_usec = WAIT_MS * 1000};

	if (s->may_start && !s->may_start(s->config)) {
		if (!s->waits)
			log_info("the shadow process waits until the process before has written "
				 "its log; sessions go unobserved until then");
		s->waits = true;
		event_add(s->again, &soon);
		return;
	}
	s->waits = false;
	if (!start(s))
		start_later(s);
}

static void on_again(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	start_when_allowed(arg);
}

static void forget_process(struct supervisor *s)
{
	if (s->exited)
		event_free(s->exited);
	s->exited = NULL;
	if (s->pidfd >= 0)
		close(s->pidfd);
	s->pidfd = -1;
	s->pid = 0;
}

static void tell_death(pid_t pid, int status)
{
	if (WIFSIGNALED(status))
		log_warning("killed by signal %d: the shadow process %ld has ended; sessions go "
			    "on unobserved",
			WTERMSIG(status), (long)pid);
	else
		log_warning("exit code %d: the shadow process %ld has ended; sessions go on "
			    "unobserved",
			WEXITSTATUS(status), (long)pid);
}

static void on_exited(evutil_socket_t fd, short what, void *arg)
{
	struct supervisor *s = arg;
	int status = 0;

	(void)fd;
	(void)what;
	if (waitpid(s->pid, &status, WNOHANG) == 0)
		return;
	s->on_epoch(0, s->arg);
	tell_death(s->pid, status);
	forget_process(s);
	if (monotonic_us() - s->started_us > LONG_LIFE_US)
		s->backoff_ms = BACKOFF_FIRST_MS;
	start_later(s);
}

bool supervisor_init(struct supervisor *s, struct event_base *base, const struct config *config,
	struct tape *const *tapes, unsigned threads, bool (*may_start)(const struct config *config),
	void (*on_epoch)(uint32_t epoch, void *arg), void *arg, struct error *error)
{
	assert(threads > 0 && threads <= HANDOVER_MAX_THREADS);
	*s = (struct supervisor){.base = base,
		.config = config,
		.tapes = tapes,
		.threads = threads,
		.may_start = may_start,
		.on_epoch = on_epoch,
		.arg = arg,
		.books_fd = -1,
		.lifeline = {-1, -1},
		.pidfd = -1,
		.backoff_ms = BACKOFF_FIRST_MS};
	s->books_fd = books_page_fd();
	s->again = event_new(base, -1, 0, on_again, s);
	if (s->books_fd < 0 || !s->again || pipe2(s->lifeline, O_CLOEXEC) < 0) {
		supervisor_release(s, 0);
		return error_set(
			error, "%s: could not make the shadow process's books", strerror(errno));
	}
	supervisor_set_log_level(s);
	start_when_allowed(s);

	return true;
}

/* True when the process ended within the time. */
static bool wait_for_end(const struct supervisor *s, int limit_ms)
{
	struct pollfd p = {.fd = s->pidfd, .events = POLLIN};
	const uint64_t deadline = monotonic_us() + (uint64_t)limit_ms * 1000;
	uint64_t now;
	int rc;

	for (;;) {
		now = monotonic_us();
		rc = poll(&p, 1, now < deadline ? (int)((deadline - now) / 1000) + 1 : 0);
		if (rc > 0)
			return true;
		if (rc == 0 && now >= deadline)
			return false;
	}
}

static void end_process(struct supervisor *s, int drain_ms)
{
	int status = 0;
	bool forced = false;

	if (!wait_for_end(s, drain_ms)) {
		log_warning(
			"not done after %d s: ending the shadow process by force", drain_ms / 1000);
		forced = true;
		kill(s->pid, SIGTERM);
		if (!wait_for_end(s, TERM_MS))
			kill(s->pid, SIGKILL);
	}
	waitpid(s->pid, &status, 0);
	if (!forced && (!WIFEXITED(status) || WEXITSTATUS(status) != 0))
		tell_death(s->pid, status);
}

void supervisor_release(struct supervisor *s, int drain_ms)
{
	if (s->lifeline[0] >= 0)
		close(s->lifeline[0]);
	if (s->lifeline[1] >= 0)
		close(s->lifeline[1]); /* the shadow reads end of file and finishes */
	if (s->pid > 0)
		end_process(s, drain_ms);
	forget_process(s);
	if (s->again)
		event_free(s->again);
	if (s->books_fd >= 0)
		close(s->books_fd);
	*s = (struct supervisor){.books_fd = -1, .lifeline = {-1, -1}, .pidfd = -1};
}

void supervisor_set_log_level(const struct supervisor *s)
{
	enum log_level level;
	uint32_t value;

	if (!log_level_from_name(config_text(s->config, "pgumbra", NULL, "log_level"), &level))
		return;
	value = level;
	if (pwrite(s->books_fd, &value, sizeof value, offsetof(struct shadow_page, log_level)) < 0)
		log_warning("%s: the shadow process keeps its log_level", strerror(errno));
}

void supervisor_signal(const struct supervisor *s, int number)
{
	if (s->pid > 0)
		kill(s->pid, number); /* not reaped yet, so the number is still its own */
}

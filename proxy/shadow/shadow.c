/* Entry of the shadow process: takes over what the relay hands it, runs the pump on this thread and
 * the worker on one of its own. */
#include "proxy/handover.h"
#include "proxy/log.h"
#include "proxy/shadow/worker.h"

#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The parser is recursive: a long expression needs a deep stack. Only touched pages cost memory. */
enum { WORKER_STACK_BYTES = 256 << 20, MEMORY_STEP_BYTES = 256 << 10 };

struct shadow {
	struct config *config;
	struct shadow_page *page;
	struct tape_reader *tapes[HANDOVER_MAX_THREADS];
	unsigned ntapes;
	struct pump *pump;
	struct worker *worker;
	int wake_fd;
};

static struct worker *signalled; /* for the handlers */
static struct shadow_page *page_seen;

static void on_hangup(int signal)
{
	(void)signal;
	if (page_seen)
		log_set_level((enum log_level)atomic_load(&page_seen->log_level));
	if (signalled)
		worker_reopen_log(signalled);
}

static void on_terminate(int signal)
{
	(void)signal;
	if (signalled)
		worker_hurry(signalled);
}

/* The shadow ends with the relay's lifeline, when everything has been read: a service manager's
 * SIGTERM to all processes must not cost evidence, so it only asks not to wait long for open
 * verifications then. */
static void set_signals(void)
{
	struct sigaction hangup = {.sa_handler = on_hangup, .sa_flags = SA_RESTART};
	struct sigaction terminate = {.sa_handler = on_terminate, .sa_flags = SA_RESTART};

	signal(SIGINT, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	sigaction(SIGHUP, &hangup, NULL);
	sigaction(SIGTERM, &terminate, NULL);
}

static char *read_descriptor(int fd)
{
	struct stat st;
	char *text;

	if (fstat(fd, &st) != 0 || !(text = calloc(1, (size_t)st.st_size + 1)))
		return NULL;
	if (pread(fd, text, (size_t)st.st_size, 0) != st.st_size) {
		free(text);
		return NULL;
	}

	return text;
}

static bool take_config(struct shadow *s)
{
	struct conf_messages messages = {0};
	char *text = read_descriptor(HANDOVER_CONFIG);
	bool ok;

	s->config = config_new();
	ok = text && s->config &&
	     config_read_text(s->config, "handed-over configuration", text, &messages);
	for (size_t i = 0; i < messages.count; i++)
		log_error("%s", messages.text[i]);
	conf_messages_release(&messages);
	free(text);
	close(HANDOVER_CONFIG);

	return ok;
}

static bool take_page(struct shadow *s)
{
	s->page =
		mmap(NULL, sizeof *s->page, PROT_READ | PROT_WRITE, MAP_SHARED, HANDOVER_BOOKS, 0);
	close(HANDOVER_BOOKS);
	if (s->page == MAP_FAILED)
		s->page = NULL;

	return s->page != NULL;
}

static bool take_tapes(struct shadow *s, uint32_t epoch, struct error *error)
{
	for (unsigned i = 0; i < s->ntapes; i++) {
		int ring = HANDOVER_TAPES + 2 * (int)i;

		s->tapes[i] = tape_reader_open(ring, ring + 1, epoch, error);
		if (!s->tapes[i])
			return false;
	}

	return true;
}

static void close_on_exec(unsigned threads)
{
	for (int fd = HANDOVER_CONFIG; fd < HANDOVER_TAPES + 2 * (int)threads; fd++)
		fcntl(fd, F_SETFD, FD_CLOEXEC);
}

static void *run_worker(void *self)
{
	struct shadow *s = self;
	int nice_by = (int)config_integer(s->config, "shadow", NULL, "nice");

	/* On Linux priorities belong to threads. */
	if (setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), nice_by) != 0)
		log_warning("cannot lower the worker's priority");
	worker_run(s->worker);

	return NULL;
}

static bool start_worker(struct shadow *s, pthread_t *thread)
{
	pthread_attr_t attributes;
	int failed;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, WORKER_STACK_BYTES);
	failed = pthread_create(thread, &attributes, run_worker, s);
	pthread_attr_destroy(&attributes);

	return failed == 0;
}

static void prefer_to_be_killed(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd >= 0) {
		if (write(fd, "500", 3) != 3)
			log_debug("cannot raise the out-of-memory score");
		close(fd);
	}
}

/* The worker's memory grows and shrinks with every batch of reads: it does so in steps that are
 * large beside a batch, and answers of the usual size get no mapping of their own. */
static void calm_memory(void)
{
	mallopt(M_TOP_PAD, MEMORY_STEP_BYTES);
	mallopt(M_TRIM_THRESHOLD, 4 * MEMORY_STEP_BYTES);
	mallopt(M_MMAP_THRESHOLD, 16 * MEMORY_STEP_BYTES);
}

static int run(struct shadow *s, struct error *error)
{
	size_t tape_size = (size_t)config_integer(s->config, "shadow", NULL, "tape_size");
	pthread_t thread;

	s->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	s->pump = s->wake_fd >= 0 ? pump_new(s->tapes, s->ntapes, tape_size, s->wake_fd) : NULL;
	if (!s->pump) {
		error_set(error, "out of memory");
		return 3;
	}
	s->worker = worker_new(s->config, s->page, s->tapes, s->ntapes, s->pump, s->wake_fd, error);
	if (!s->worker)
		return 3;
	page_seen = s->page;
	signalled = s->worker;
	if (!start_worker(s, &thread)) {
		error_set(error, "cannot start the worker thread");
		return 3;
	}
	log_info("shadow process running");
	pump_run(s->pump, HANDOVER_LIFELINE);
	pthread_join(thread, NULL);

	return 0;
}

int shadow_main(unsigned threads, uint32_t epoch)
{
	struct shadow s = {.ntapes = threads, .wake_fd = -1};
	struct error error = {"the hand-over from the relay process is incomplete"};
	enum log_level level;
	int code = 3;

	if (threads == 0 || threads > HANDOVER_MAX_THREADS)
		return 2;
	calm_memory();
	close_on_exec(threads);
	set_signals();
	prefer_to_be_killed();
	if (take_config(&s) && take_page(&s)) {
		if (log_level_from_name(
			    config_text(s.config, "pgumbra", NULL, "log_level"), &level))
			log_init("shadow", level);
		if (take_tapes(&s, epoch, &error))
			code = run(&s, &error);
	}
	if (code != 0)
		log_error("shadow process cannot run: %s", error.text);
	signalled = NULL;
	page_seen = NULL;
	worker_free(s.worker);
	pump_free(s.pump);
	for (unsigned i = 0; i < threads; i++)
		tape_reader_free(s.tapes[i]);
	config_free(s.config);
	if (s.page)
		munmap(s.page, sizeof *s.page);
	if (s.wake_fd >= 0)
		close(s.wake_fd);

	return code;
}

/* Starts the shadow process, watches it, starts it again with back-off when it dies. Main thread
 * only, on the main thread's loop.
 *
 * The page of books outlives every shadow process; the configuration is written afresh for each.
 */
#ifndef PGUMBRA_PROXY_RELAY_SUPERVISOR_H
#define PGUMBRA_PROXY_RELAY_SUPERVISOR_H

#include "conf/settings.h"
#include "protocol/error.h"
#include <event2/event.h>
#include <sys/types.h>

struct tape;

struct supervisor {
	struct event_base *base;     /* borrowed */
	const struct config *config; /* borrowed */
	struct tape *const *tapes;   /* borrowed */
	unsigned threads;
	bool (*may_start)(const struct config *config); /* NULL: always */
	bool waits;					/* until it may start; said */
	void (*on_epoch)(uint32_t epoch, void *arg);	/* 0: there is no shadow process now */
	void *arg;

	int books_fd, lifeline[2];    /* owned */
	pid_t pid;		      /* 0: none */
	int pidfd;		      /* owned; -1 */
	struct event *exited, *again; /* owned */
	uint32_t epoch;
	uint64_t started_us;
	unsigned backoff_ms;
};

/* Starts the first shadow process, too, as soon as may_start says so. */
bool supervisor_init(struct supervisor *s, struct event_base *base, const struct config *config,
	struct tape *const *tapes, unsigned threads, bool (*may_start)(const struct config *config),
	void (*on_epoch)(uint32_t epoch, void *arg), void *arg, struct error *error)
	__attribute__((warn_unused_result));
/* Lets the shadow process drain the tapes and end, within a limit; then by force. */
void supervisor_release(struct supervisor *s, int drain_ms);
/* Tells the shadow process the configuration's log_level: it looks at the next SIGHUP. */
void supervisor_set_log_level(const struct supervisor *s);
void supervisor_signal(const struct supervisor *s, int number);

/* RFC 9562, version 7. */
void make_uuid7(char out[37]);

#endif

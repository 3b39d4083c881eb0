/* The loop of a relay thread: which sockets are ready (epoll, level-triggered), which timers are
 * due.
 *
 * It is what a relay needs of an event library and no more, because what the library does for each
 * event and each turn was more than half of all that a relay did (ARCHITECTURE, "Decisions").
 *
 * A watch and a timer belong to the caller, who embeds them; the poller borrows a watch from the
 * moment that it wants something until it wants nothing, and a timer while it runs. A callback may
 * do anything with any watch and timer, but it may not free what a poller has borrowed.
 *
 * P1: nobody is told what it does not want at that moment: a watch that an earlier callback of the
 * same turn stopped, or gave another descriptor, hears nothing of what was ready before. P2: an
 * error and a hang-up count as ready for all that is wanted. P3: a descriptor from which nothing
 * is wanted is not in the kernel's set, so that no hang-up there can make the loop spin. P4: timers
 * come in the order of their times, never early, after the sockets of the same turn. P5: nothing
 * that the kernel would not watch is forgotten: it is counted, for whoever runs the loop.
 *
 * One thread. Memory: a pointer for each timer that runs.
 */
#ifndef PGUMBRA_PROXY_RELAY_POLLER_H
#define PGUMBRA_PROXY_RELAY_POLLER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>

enum { POLLER_READ = 1, POLLER_WRITE = 2 };
enum { POLLER_READY_MAX = 256 /* of a turn; the others come with the next one */ };

struct poller_watch {
	/* ready: of POLLER_READ and POLLER_WRITE what is wanted, and at least one */
	void (*on_ready)(struct poller_watch *w, unsigned ready);
	struct poller_watch *next_woken;
	int fd; /* borrowed; -1: none */
	uint8_t wanted;
	bool woken;
};

/* What a watch is embedded in. */
#define POLLER_OWNER(watch, type, member) ((type *)(void *)((char *)(watch)-offsetof(type, member)))

struct poller_timer {
	void (*on_due)(struct poller_timer *t);
	void *arg; /* the caller's */
	uint64_t due_us;
	uint32_t place; /* in the heap; 0: it does not run */
};

struct poller {
	int fd;				     /* owned; of the kernel's set */
	struct poller_watch *woken, *waking; /* for the next turn; still to be told in this one */
	struct poller_timer **heap; /* owned, [room + 1]: from 1 on, none is due before its half */
	uint32_t timers, room;
	int ready, next;  /* of the turn at hand: how many, and the next to be told */
	unsigned refused; /* wants; whoever has looked after them sets it to 0 */
	struct epoll_event event[POLLER_READY_MAX];
};

/* False, and errno, when it can't be made. */
bool poller_init(struct poller *p) __attribute__((warn_unused_result));
/* No watch is wanted and no timer runs any more, or none will be looked at again. */
void poller_release(struct poller *p);
/* Waits until something is ready or due, and tells whom it concerns. */
void poller_turn(struct poller *p);

static inline void poller_watch_init(
	struct poller_watch *w, int fd, void (*on_ready)(struct poller_watch *w, unsigned ready))
{
	*w = (struct poller_watch){.on_ready = on_ready, .fd = fd};
}

/* From now on it wants this; 0: nothing, as must be before the descriptor is closed. False, and
 * errno, when the kernel has no memory for it or allows no more (fs.epoll.max_user_watches): then
 * it wants what it did before. */
bool poller_want(struct poller *p, struct poller_watch *w, unsigned wanted);
/* It is told that it can read, in the next turn, whatever the kernel says of its descriptor. */
void poller_wake(struct poller *p, struct poller_watch *w);

/* CLOCK_MONOTONIC. */
uint64_t poller_clock_us(void);
/* Once, after so many milliseconds; if it ran already, anew. False when out of memory. */
bool poller_start(struct poller *p, struct poller_timer *t, uint64_t ms)
	__attribute__((warn_unused_result));
void poller_stop(struct poller *p, struct poller_timer *t);

#endif

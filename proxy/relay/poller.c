#include "proxy/relay/poller.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { ROOM_AT_FIRST = 64 };

uint64_t poller_clock_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);

	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

bool poller_init(struct poller *p)
{
	*p = (struct poller){.fd = epoll_create1(EPOLL_CLOEXEC)};

	return p->fd >= 0;
}

void poller_release(struct poller *p)
{
	if (p->fd >= 0)
		close(p->fd);
	free(p->heap);
	*p = (struct poller){.fd = -1};
}

/* --- watches --- */

static bool take_out(struct poller_watch **at, const struct poller_watch *w)
{
	while (*at && *at != w)
		at = &(*at)->next_woken;
	if (!*at)
		return false;
	*at = w->next_woken;

	return true;
}

static void forget_woken(struct poller *p, struct poller_watch *w)
{
	if (w->woken && !take_out(&p->woken, w))
		(void)take_out(&p->waking, w);
	w->woken = false;
}

/* P1 */
static void forget_ready(struct poller *p, const struct poller_watch *w)
{
	for (int i = p->next; i < p->ready; i++) {
		if (p->event[i].data.ptr == w)
			p->event[i].data.ptr = NULL;
	}
}

bool poller_want(struct poller *p, struct poller_watch *w, unsigned wanted)
{
	struct epoll_event event = {.data.ptr = w,
		.events = (wanted & POLLER_READ ? EPOLLIN : 0) |
			  (wanted & POLLER_WRITE ? EPOLLOUT : 0)};
	int how = EPOLL_CTL_MOD;

	if (wanted == 0)
		forget_woken(p, w);
	if (w->wanted == wanted)
		return true;
	if (w->wanted == 0)
		how = EPOLL_CTL_ADD;
	if (wanted == 0) {
		how = EPOLL_CTL_DEL;
		forget_ready(p, w);
	}
	if (epoll_ctl(p->fd, how, w->fd, &event) < 0 && wanted != 0) {
		p->refused++;
		return false;
	}
	w->wanted = (uint8_t)wanted;

	return true;
}

void poller_wake(struct poller *p, struct poller_watch *w)
{
	if (w->woken)
		return;
	w->woken = true;
	w->next_woken = p->woken;
	p->woken = w;
}

static inline unsigned ready_for(uint32_t events)
{
	if (events & (EPOLLERR | EPOLLHUP)) /* P2 */
		return POLLER_READ | POLLER_WRITE;

	return (events & EPOLLIN ? POLLER_READ : 0) | (events & EPOLLOUT ? POLLER_WRITE : 0);
}

static inline void tell(struct poller_watch *w, unsigned ready)
{
	ready &= w->wanted;
	if (ready)
		w->on_ready(w, ready);
}

static void tell_woken(struct poller *p)
{
	while (p->waking) {
		struct poller_watch *w = p->waking;

		p->waking = w->next_woken;
		w->woken = false;
		tell(w, POLLER_READ);
	}
}

/* --- timers: a binary heap --- */

static inline void put_at(struct poller *p, uint32_t place, struct poller_timer *t)
{
	p->heap[place] = t;
	t->place = place;
}

static void rise(struct poller *p, struct poller_timer *t, uint32_t place)
{
	while (place > 1 && t->due_us < p->heap[place / 2]->due_us) {
		put_at(p, place, p->heap[place / 2]);
		place /= 2;
	}
	put_at(p, place, t);
}

static void sink(struct poller *p, struct poller_timer *t, uint32_t place)
{
	for (;;) {
		uint32_t below = 2 * place;

		if (below > p->timers)
			break;
		if (below < p->timers && p->heap[below + 1]->due_us < p->heap[below]->due_us)
			below++;
		if (t->due_us <= p->heap[below]->due_us)
			break;
		put_at(p, place, p->heap[below]);
		place = below;
	}
	put_at(p, place, t);
}

static bool make_room(struct poller *p)
{
	const uint32_t more = p->room ? 2 * p->room : ROOM_AT_FIRST;
	struct poller_timer **heap;

	if (p->timers < p->room)
		return true;
	heap = realloc(p->heap, (more + 1) * sizeof *heap);
	if (!heap)
		return false;
	p->heap = heap;
	p->room = more;

	return true;
}

bool poller_start(struct poller *p, struct poller_timer *t, uint64_t ms)
{
	poller_stop(p, t);
	if (!make_room(p))
		return false;
	t->due_us = poller_clock_us() + ms * 1000;
	rise(p, t, ++p->timers);

	return true;
}

void poller_stop(struct poller *p, struct poller_timer *t)
{
	const uint32_t place = t->place;
	struct poller_timer *last;

	if (place == 0)
		return;
	assert(place <= p->timers && p->heap[place] == t);
	t->place = 0;
	last = p->heap[p->timers--];
	if (last == t)
		return;
	if (place > 1 && last->due_us < p->heap[place / 2]->due_us)
		rise(p, last, place);
	else
		sink(p, last, place);
}

static void tell_due(struct poller *p)
{
	const uint64_t now = poller_clock_us();

	while (p->timers > 0 && p->heap[1]->due_us <= now) {
		struct poller_timer *t = p->heap[1];

		poller_stop(p, t);
		t->on_due(t);
	}
}

/* Milliseconds, as epoll_wait wants them; -1: no end. */
static int patience(const struct poller *p)
{
	uint64_t now, ms;

	if (p->woken)
		return 0;
	if (p->timers == 0)
		return -1;
	now = poller_clock_us();
	if (p->heap[1]->due_us <= now)
		return 0;
	ms = (p->heap[1]->due_us - now + 999) / 1000;

	return ms < INT_MAX ? (int)ms : INT_MAX;
}

/* --- a turn --- */

void poller_turn(struct poller *p)
{
	p->ready = epoll_wait(p->fd, p->event, POLLER_READY_MAX, patience(p));
	assert(p->ready >= 0 || errno == EINTR);
	p->next = 0;
	p->waking = p->woken;
	p->woken = NULL;
	tell_woken(p);
	while (p->next < p->ready) {
		const struct epoll_event *e = &p->event[p->next++];

		if (e->data.ptr)
			tell(e->data.ptr, ready_for(e->events));
	}
	p->ready = p->next = 0;
	if (p->timers > 0)
		tell_due(p);
}

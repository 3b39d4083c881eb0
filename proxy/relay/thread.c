#define _GNU_SOURCE /* accept4 */
#include "proxy/relay/thread.h"

#include "proxy/log.h"
#include "proxy/relay/session_login.h"
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

enum {
	ACCEPTS_PER_TURN = 64,
	ACCEPT_PAUSE_MS = 100, /* after a lack of descriptors or memory */
	SLOTS_AT_FIRST = 64,
	TELL_EVERY_US = 5000000,
	TURNS_PER_MEASURED = 16, /* two looks at the clock per chunk of these */
	MEASURE_AFTER_US = 50000,
};

uint64_t relay_thread_clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);

	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

uint64_t relay_thread_look_at_clock(struct relay_thread *t)
{
	t->recording.now_us = relay_thread_clock_ns() / 1000;
	if (t->tape)
		tape_follow(t->tape);

	return t->recording.now_us;
}

/* --- slots --- */

static bool grow_slots(struct relay_thread *t)
{
	const uint32_t more = t->slots ? 2 * t->slots : SLOTS_AT_FIRST;
	struct session **slot = realloc(t->slot, more * sizeof *slot);
	uint32_t *generation, *free_slot;

	if (slot)
		t->slot = slot;
	generation = realloc(t->generation, more * sizeof *generation);
	if (generation)
		t->generation = generation;
	free_slot = realloc(t->free_slot, more * sizeof *free_slot);
	if (free_slot)
		t->free_slot = free_slot;
	if (!slot || !generation || !free_slot)
		return false;
	for (uint32_t i = t->slots; i < more; i++) {
		t->slot[i] = NULL;
		t->generation[i] = 0;
	}
	/* free_slot[used] and up are the free ones; until now there was none */
	for (uint32_t i = t->slots; i < more; i++)
		t->free_slot[i] = i;
	t->slots = more;

	return true;
}

bool relay_thread_enter(struct relay_thread *t, struct session *s, struct tape_session *id)
{
	uint32_t slot;

	if (t->used == t->slots && !grow_slots(t))
		return false;
	slot = t->free_slot[t->used++];
	assert(!t->slot[slot]);
	t->slot[slot] = s;
	*id = (struct tape_session){.slot = slot, .generation = ++t->generation[slot]};

	return true;
}

void relay_thread_leave(struct relay_thread *t, struct tape_session id)
{
	assert(t->used > 0 && t->slot[id.slot]);
	t->slot[id.slot] = NULL;
	t->free_slot[--t->used] = id.slot;
}

void relay_thread_bury(struct relay_thread *t, struct session *s)
{
	s->next_dead = t->dead;
	t->dead = s;
}

static void reap(struct relay_thread *t)
{
	while (t->dead) {
		struct session *s = t->dead;

		t->dead = s->next_dead;
		session_free(s);
	}
}

/* How often it happened since the last line; 0: not the time for a line. */
static uint32_t due(struct relay_thread *t, struct trouble *trouble)
{
	const uint64_t now = relay_thread_now(t);
	uint32_t times = ++trouble->unlogged;

	if (trouble->logged_us != 0 && now - trouble->logged_us < TELL_EVERY_US)
		return 0;
	trouble->unlogged = 0;
	trouble->logged_us = now;

	return times;
}

void relay_thread_tell_unreachable(struct relay_thread *t, const char *why)
{
	const uint32_t times = due(t, &t->unreachable);

	if (times > 0)
		log_warning("%s: could not connect to the primary (%u times since the last such "
			    "line)",
			why, times);
}

void relay_thread_tell_handshake(struct relay_thread *t, const char *peer, const char *why)
{
	const uint32_t times = due(t, &t->handshakes);

	if (times > 0)
		log_warning("%s: TLS handshake with %s failed (%u such failures since the last "
			    "line)",
			why, peer, times);
}

void relay_thread_tell_login(struct relay_thread *t, const char *role, const char *why)
{
	const uint32_t times = due(t, &t->logins);

	if (times > 0)
		log_warning("%s: role \"%s\" could not log in (%u such failures since the last "
			    "line)",
			why, role, times);
}

void relay_thread_tell_header(struct relay_thread *t, const char *peer)
{
	const uint32_t times = due(t, &t->headers);

	if (times > 0)
		log_warning("no valid PROXY header from %s, which pgumbra.proxy_protocol_from asks "
			    "for one: closed (%u such since the last line)",
			peer, times);
}

void relay_thread_tell_crowd(struct relay_thread *t, const char *setting)
{
	const uint32_t times = due(t, &t->crowds);

	if (times > 0)
		log_warning("%s is reached: new connections are closed at once (%u since the last "
			    "such line)",
			setting, times);
}

/* --- accepting --- */

static bool watch_listeners(struct relay_thread *t)
{
	bool all = true;

	for (size_t i = 0; i < t->listen_count; i++)
		all = poller_want(&t->poller, &t->listening[i].watch, POLLER_READ) && all;

	return all;
}

static void go_on_accepting(struct relay_thread *t)
{
	if (watch_listeners(t))
		return;
	if (due(t, &t->unwatched) > 0)
		log_warning("%s: could not watch the listening sockets, trying again in %d ms",
			strerror(errno), ACCEPT_PAUSE_MS);
	if (!poller_start(&t->poller, &t->accept_again, ACCEPT_PAUSE_MS))
		log_error("out of memory: a relay thread accepts no connections any more");
}

static void stop_accepting(struct relay_thread *t)
{
	for (size_t i = 0; i < t->listen_count; i++)
		poller_want(&t->poller, &t->listening[i].watch, 0);
}

/* Out of descriptors or memory: a listener left readable would spin. */
static void pause_accepting(struct relay_thread *t)
{
	log_warning("%s: could not accept connections, pausing for %d ms", strerror(errno),
		ACCEPT_PAUSE_MS);
	stop_accepting(t);
	if (!poller_start(&t->poller, &t->accept_again, ACCEPT_PAUSE_MS))
		go_on_accepting(t);
}

static void on_accept_again(struct poller_timer *timer)
{
	go_on_accepting(timer->arg);
}

static void on_accept(struct poller_watch *w, unsigned ready)
{
	struct relay_thread *t = POLLER_OWNER(w, struct listening, watch)->thread;

	(void)ready;
	for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
		int fd = accept4(w->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0)
			session_accept(t, fd);
		else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
			pause_accepting(t);
		if (fd < 0 && errno != ECONNABORTED && errno != EINTR)
			return;
	}
}

static void close_listeners(struct relay_thread *t)
{
	stop_accepting(t);
	poller_stop(&t->poller, &t->accept_again);
	for (size_t i = 0; i < t->listen_count; i++)
		close(t->listen_fd[i]);
	t->listen_count = 0;
	free(t->listen_fd);
	free(t->listening);
	t->listen_fd = NULL;
	t->listening = NULL;
}

/* --- what the main thread wants --- */

static void for_each_session(struct relay_thread *t, void (*act)(struct session *))
{
	for (uint32_t i = 0; i < t->slots; i++) {
		if (t->slot[i])
			act(t->slot[i]);
	}
}

static void stop_recording(struct session *s)
{
	if (s->has_recorder)
		recorder_stop(&s->recorder);
}

static void announce(struct session *s)
{
	if (s->has_recorder)
		recorder_announce(&s->recorder);
}

static void follow_epoch(struct relay_thread *t)
{
	struct recording *r = &t->recording;
	const uint32_t epoch = atomic_load(&t->shared->epoch);

	if (!t->tape || epoch == r->epoch)
		return;
	tape_commit(t->tape, &r->counters);
	r->epoch = 0;
	for_each_session(t, stop_recording);
	r->epoch = epoch;
	if (epoch != 0)
		r->counters.epoch_taken_base = r->counters.taken;
	tape_commit(t->tape, &r->counters); /* the base is there before the epoch */
	tape_begin_epoch(t->tape, epoch);
	if (epoch != 0)
		for_each_session(t, announce);
}

static void follow_switches(struct relay_thread *t)
{
	struct recording *r = &t->recording;
	const bool off = atomic_load(&t->shared->switched_off),
		   shed = atomic_load(&t->shared->shed);

	if (off == r->switched_off && shed == r->shed)
		return;
	r->counters.sheds += shed && !r->shed;
	r->switched_off = off;
	r->shed = shed;
	if (off || shed)
		for_each_session(t, stop_recording);
}

static void tls_release(struct relay_tls *tls)
{
	SSL_CTX_free(tls->client);
	SSL_CTX_free(tls->primary);
	*tls = (struct relay_tls){NULL, NULL};
}

bool relay_thread_give_tls(struct relay_thread *t, const struct relay_tls *tls)
{
	struct relay_tls *given = malloc(sizeof *given);

	if (!given)
		return false;
	*given = *tls;
	if (given->client)
		SSL_CTX_up_ref(given->client);
	if (given->primary)
		SSL_CTX_up_ref(given->primary);
	given = atomic_exchange(&t->next_tls, given);
	if (given) /* the thread never came to take it */
		tls_release(given);
	free(given);

	return true;
}

/* Sessions that are there keep what they began with. */
static void follow_tls(struct relay_thread *t)
{
	struct relay_tls *given = atomic_exchange(&t->next_tls, NULL);

	if (!given)
		return;
	tls_release(&t->tls);
	t->tls = *given;
	free(given);
}

/* --- answers of auth_query --- */

void relay_thread_looked_up(struct auth_lookup *l)
{
	struct relay_thread *t = l->asker;

	auth_lookup_push(&t->looked_up, l);
	relay_thread_wake(t);
}

static void take_answer(struct relay_thread *t, const struct auth_lookup *l)
{
	struct session *s = l->id.slot < t->slots ? t->slot[l->id.slot] : NULL;

	/* the session may have gone meanwhile */
	if (s && s->id.generation == l->id.generation && s->state == SESSION_AUTHENTICATING &&
		s->login->step == LOGIN_LOOKUP)
		login_looked_up(s, l);
}

static void take_answers(struct relay_thread *t, bool use)
{
	struct auth_lookup *l = atomic_exchange(&t->looked_up, NULL);

	while (l) {
		struct auth_lookup *next = l->next;

		if (use)
			take_answer(t, l);
		auth_lookup_free(l);
		l = next;
	}
}

static void follow_phase(struct relay_thread *t)
{
	const enum relay_phase phase = atomic_load(&t->shared->phase);

	if (phase == t->phase)
		return;
	t->phase = phase;
	close_listeners(t);
	for_each_session(t, session_phase_changed);
}

static void on_wake(struct poller_watch *w, unsigned ready)
{
	struct relay_thread *t = POLLER_OWNER(w, struct relay_thread, wake);
	uint64_t count;

	(void)ready;
	if (read(w->fd, &count, sizeof count) < 0 && errno == EAGAIN)
		return;
	relay_thread_now(t);
	follow_tls(t);
	follow_epoch(t);
	follow_switches(t);
	follow_phase(t);
	take_answers(t, true);
}

void relay_thread_wake(const struct relay_thread *t)
{
	const uint64_t one = 1;

	(void)!write(t->wake_fd, &one, sizeof one);
}

/* --- life --- */

/* now_us: of the turn before. Slow turns are few, and are measured all the same. */
static bool is_measured(struct relay_thread *t)
{
	return ++t->turns % TURNS_PER_MEASURED == 0 ||
	       t->recording.now_us - t->measured_us >= MEASURE_AFTER_US;
}

static void end_unheard(struct relay_thread *t)
{
	uint32_t times = 0;

	t->poller.refused = 0;
	for (uint32_t i = 0; i < t->slots; i++) {
		if (!t->slot[i] || !session_unheard(t->slot[i]))
			continue;
		session_end(t->slot[i]);
		times += due(t, &t->unheard);
	}
	if (times > 0)
		log_warning("the kernel does not watch a session's sockets (no memory, or "
			    "fs.epoll.max_user_watches is reached): the session is closed (%u such "
			    "since "
			    "the last line)",
			times);
}

static void *run(void *arg)
{
	struct relay_thread *t = arg;
	const uint64_t one = 1;

	atomic_store(&t->tid, gettid());
	follow_tls(t);
	follow_epoch(t);
	follow_switches(t);
	follow_phase(t);
	while (t->phase == RELAY_RUNNING || t->used > 0) {
		t->measuring = t->tape && is_measured(t);
		t->recording.now_us = 0;
		t->copied_ns = 0;
		poller_turn(&t->poller);
		if (t->poller.refused > 0)
			end_unheard(t);
		if (t->tape)
			tape_commit(t->tape, &t->recording.counters);
		if (t->copied_ns > 0) {
			tape_count_cost(t->tape, t->copied_ns);
			t->measured_us = t->recording.now_us;
		}
		reap(t);
	}
	(void)!write(t->shared->done_fd, &one, sizeof one);

	return NULL;
}

static bool make_loop(struct relay_thread *t)
{
	if (!poller_init(&t->poller))
		return false;
	poller_watch_init(&t->wake, t->wake_fd, on_wake);

	return poller_want(&t->poller, &t->wake, POLLER_READ);
}

bool relay_thread_init(
	struct relay_thread *t, struct relay_shared *shared, struct tape *tape, struct error *error)
{
	*t = (struct relay_thread){.shared = shared,
		.tape = tape,
		.poller = {.fd = -1},
		.accept_again = {.on_due = on_accept_again, .arg = t}};
	t->recording = (struct recording){.tape = tape,
		.sample = shared->sample,
		.max_message_bytes = shared->max_message_bytes,
		.max_result_bytes = shared->max_result_bytes};
	if (getrandom(&t->recording.random, sizeof t->recording.random, 0) < 0 ||
		t->recording.random == 0)
		t->recording.random = (uint64_t)(uintptr_t)t | 1;
	t->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	t->chunk = malloc(CHUNK_BYTES);
	if (t->wake_fd < 0 || !t->chunk || !make_loop(t)) {
		relay_thread_release(t);
		return error_set(error, "%s: could not make a relay thread", strerror(errno));
	}

	return true;
}

bool relay_thread_listen(struct relay_thread *t, const struct listeners *l, unsigned number,
	unsigned threads, struct error *error)
{
	size_t count;

	if (!listeners_open(l, number, threads, &t->listen_fd, &count, error))
		return false;
	t->listening = calloc(count + 1, sizeof *t->listening);
	if (!t->listening)
		return error_set(error, "out of memory");
	for (; t->listen_count < count; t->listen_count++) {
		struct listening *on = &t->listening[t->listen_count];

		on->thread = t;
		poller_watch_init(&on->watch, t->listen_fd[t->listen_count], on_accept);
	}

	return watch_listeners(t) ||
	       error_set(error, "%s: could not watch the listening sockets", strerror(errno));
}

bool relay_thread_start(struct relay_thread *t, struct error *error)
{
	int rc = pthread_create(&t->thread, NULL, run, t);

	return rc == 0 || error_set(error, "%s: could not start a relay thread", strerror(rc));
}

void relay_thread_release(struct relay_thread *t)
{
	if (t->poller.fd >= 0) {
		close_listeners(t);
		for (uint32_t i = 0; i < t->slots; i++) {
			if (t->slot[i])
				session_end(t->slot[i]);
		}
		reap(t);
		poller_release(&t->poller);
	}
	take_answers(t, false);
	follow_tls(t);
	tls_release(&t->tls);
	if (t->wake_fd >= 0)
		close(t->wake_fd);
	tape_free(t->tape);
	free(t->chunk);
	free(t->slot);
	free(t->generation);
	free(t->free_slot);
	*t = (struct relay_thread){.wake_fd = -1, .poller = {.fd = -1}};
}

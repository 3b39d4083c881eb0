/* The relay thread's loop: P1 to P4 of proxy/relay/poller.h. */
#include "proxy/relay/poller.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct peer { /* one end of a pair of sockets that is watched, and what it was told */
	struct poller_watch watch;
	struct poller *poller;
	int other;
	unsigned told, ready;
	struct peer *stops;   /* when it is told */
	struct peer *reopens; /* the same: gets another descriptor, and wants to write */
	bool wakes_itself;
};

static void on_ready(struct poller_watch *w, unsigned ready)
{
	struct peer *p = POLLER_OWNER(w, struct peer, watch);

	p->told++;
	p->ready = ready;
	if (p->stops)
		assert_true(poller_want(p->poller, &p->stops->watch, 0));
	if (p->reopens) {
		assert_true(poller_want(p->poller, &p->reopens->watch, 0));
		poller_watch_init(&p->reopens->watch, p->reopens->watch.fd, on_ready);
		assert_true(poller_want(p->poller, &p->reopens->watch, POLLER_WRITE));
	}
	if (p->wakes_itself)
		poller_wake(p->poller, w);
}

static struct peer peer_in(struct poller *poller, unsigned wanted)
{
	struct peer p = {.poller = poller};
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	poller_watch_init(&p.watch, pair[0], on_ready);
	p.watch.wanted = (uint8_t)wanted; /* until it has its place: begin() */
	p.other = pair[1];

	return p;
}

/* It lies where it stays. */
static void begin(struct peer *p)
{
	const unsigned wanted = p->watch.wanted;

	p->watch.wanted = 0;
	assert_true(poller_want(p->poller, &p->watch, wanted));
}

static void say(const struct peer *p)
{
	assert_int_equal(write(p->other, "x", 1), 1);
}

static void end(struct peer *p)
{
	assert_true(poller_want(p->poller, &p->watch, 0));
	close(p->watch.fd);
	close(p->other);
}

static int set_up(void **state)
{
	struct poller *p = malloc(sizeof *p);

	assert_non_null(p);
	assert_true(poller_init(p));
	*state = p;

	return 0;
}

static int tear_down(void **state)
{
	poller_release(*state);
	free(*state);

	return 0;
}

static void test_who_wants_to_read_is_told_that_it_can(void **state)
{
	struct peer a = peer_in(*state, POLLER_READ), b = peer_in(*state, POLLER_READ);

	begin(&a);
	begin(&b);
	say(&b);
	poller_turn(*state);
	assert_int_equal(a.told, 0);
	assert_int_equal(b.told, 1);
	assert_int_equal(b.ready, POLLER_READ);
	poller_turn(*state); /* nobody has read: it still can */
	assert_int_equal(b.told, 2);
	end(&a);
	end(&b);
}

static void test_only_what_is_wanted_is_told(void **state)
{
	struct peer p = peer_in(*state, POLLER_WRITE);

	begin(&p);
	say(&p);
	poller_turn(*state);
	assert_int_equal(p.ready, POLLER_WRITE);
	assert_true(poller_want(*state, &p.watch, POLLER_READ | POLLER_WRITE));
	poller_turn(*state);
	assert_int_equal(p.ready, POLLER_READ | POLLER_WRITE);
	end(&p);
}

static void test_a_hang_up_is_told_as_all_that_is_wanted(void **state)
{
	struct peer p = peer_in(*state, POLLER_READ);

	begin(&p);
	close(p.other);
	poller_turn(*state);
	assert_int_equal(p.ready, POLLER_READ);
	assert_true(poller_want(*state, &p.watch, POLLER_WRITE));
	poller_turn(*state);
	assert_int_equal(p.ready, POLLER_WRITE);
	p.other = dup(p.watch.fd);
	end(&p);
}

static void test_a_hang_up_wakes_nobody_who_wants_nothing(void **state)
{
	struct peer gone = peer_in(*state, POLLER_READ), p = peer_in(*state, POLLER_READ);

	begin(&gone);
	begin(&p);
	assert_true(poller_want(*state, &gone.watch, 0));
	close(gone.other);
	say(&p);
	poller_turn(*state);
	assert_int_equal(gone.told, 0);
	assert_int_equal(p.told, 1);
	gone.other = dup(gone.watch.fd);
	end(&gone);
	end(&p);
}

/* Both can be read in one turn, and each acts on the other when it is told. */
static void one_of_them_is_told(struct poller *poller, struct peer *a, struct peer *b)
{
	begin(a);
	begin(b);
	say(a);
	say(b);
	poller_turn(poller);
	assert_int_equal(a->told + b->told, 1);
	end(a);
	end(b);
}

static void test_who_was_stopped_in_the_same_turn_is_not_told(void **state)
{
	struct peer a = peer_in(*state, POLLER_READ), b = peer_in(*state, POLLER_READ);

	a.stops = &b;
	b.stops = &a;
	one_of_them_is_told(*state, &a, &b);
}

static void test_what_was_ready_before_says_nothing_of_another_descriptor(void **state)
{
	struct peer a = peer_in(*state, POLLER_READ), b = peer_in(*state, POLLER_READ);

	a.reopens = &b;
	b.reopens = &a;
	one_of_them_is_told(*state, &a, &b);
}

/* P5: a regular file is nothing that epoll watches. */
static void test_what_the_kernel_will_not_watch_is_counted(void **state)
{
	struct poller *poller = *state;
	struct poller_watch watch;
	FILE *file = tmpfile();

	assert_non_null(file);
	poller_watch_init(&watch, fileno(file), NULL);
	assert_false(poller_want(poller, &watch, POLLER_READ));
	assert_int_equal(errno, EPERM);
	assert_int_equal(poller->refused, 1);
	assert_int_equal(watch.wanted, 0);
	poller->refused = 0;
	fclose(file);
}

static void test_who_is_woken_is_told_in_the_next_turn_without_a_wait(void **state)
{
	struct peer p = peer_in(*state, POLLER_READ);

	begin(&p);
	poller_wake(*state, &p.watch);
	poller_wake(*state, &p.watch);
	assert_int_equal(p.told, 0);
	poller_turn(*state);
	assert_int_equal(p.told, 1);
	assert_int_equal(p.ready, POLLER_READ);
	end(&p);
}

static void test_who_wakes_itself_keeps_nobody_from_their_turn(void **state)
{
	struct peer a = peer_in(*state, POLLER_READ), b = peer_in(*state, POLLER_READ);

	a.wakes_itself = b.wakes_itself = true;
	begin(&a);
	begin(&b);
	poller_wake(*state, &a.watch);
	poller_wake(*state, &b.watch);
	for (unsigned turn = 1; turn <= 5; turn++) {
		poller_turn(*state);
		assert_int_equal(a.told, turn);
		assert_int_equal(b.told, turn);
	}
	end(&a);
	end(&b);
}

static void test_who_was_woken_and_stopped_is_not_told(void **state)
{
	struct peer a = peer_in(*state, POLLER_READ), b = peer_in(*state, POLLER_READ),
		    c = peer_in(*state, POLLER_READ);

	a.stops = &b;
	b.stops = &a;
	begin(&a);
	begin(&b);
	begin(&c);
	poller_wake(*state, &a.watch);
	poller_wake(*state, &b.watch);
	poller_wake(*state, &c.watch);
	assert_true(poller_want(*state, &c.watch, 0));
	poller_turn(*state);
	assert_int_equal(a.told + b.told, 1);
	assert_int_equal(c.told, 0);
	end(&a);
	end(&b);
	end(&c);
}

static void test_who_wants_nothing_is_not_told_of_a_wake(void **state)
{
	struct peer p = peer_in(*state, 0), other = peer_in(*state, POLLER_READ);

	begin(&other);
	poller_wake(*state, &p.watch);
	say(&other);
	poller_turn(*state);
	assert_int_equal(p.told, 0);
	assert_int_equal(other.told, 1);
	poller_wake(*state, &p.watch);
	assert_true(poller_want(*state, &p.watch, 0)); /* it may be freed now */
	assert_false(p.watch.woken);
	poller_turn(*state);
	assert_int_equal(p.told, 0);
	end(&p);
	end(&other);
}

/* --- timers --- */

enum { TIMERS = 200 };

struct alarms {
	struct poller *poller;
	struct poller_timer timer[TIMERS];
	uint64_t last_us;
	unsigned told;
};

static void on_due(struct poller_timer *t)
{
	struct alarms *a = t->arg;

	assert_int_equal(t->place, 0);
	assert_true(poller_clock_us() >= t->due_us);
	assert_true(t->due_us >= a->last_us);
	a->last_us = t->due_us;
	a->told++;
}

static struct alarms *alarms_new(struct poller *p)
{
	struct alarms *a = calloc(1, sizeof *a);

	assert_non_null(a);
	a->poller = p;
	for (unsigned i = 0; i < TIMERS; i++)
		a->timer[i] = (struct poller_timer){.on_due = on_due, .arg = a};

	return a;
}

/* Numbers that are as good as random, the same each time. */
static unsigned scatter(unsigned n)
{
	return n * 2654435761u >> 16;
}

static void test_timers_come_in_the_order_of_their_times_and_never_early(void **state)
{
	struct alarms *a = alarms_new(*state);

	for (unsigned i = 0; i < TIMERS; i++)
		assert_true(poller_start(*state, &a->timer[i], scatter(i) % 20));
	while (a->told < TIMERS)
		poller_turn(*state);
	assert_int_equal(a->told, TIMERS);
	free(a);
}

static void test_a_timer_that_was_stopped_says_nothing(void **state)
{
	struct alarms *a = alarms_new(*state);

	for (unsigned i = 0; i < TIMERS; i++)
		assert_true(poller_start(*state, &a->timer[i], scatter(i) % 10));
	for (unsigned i = 0; i < TIMERS; i += 2)
		poller_stop(*state, &a->timer[scatter(i) % TIMERS]);
	for (unsigned i = 0; i < TIMERS; i++) {
		if (a->timer[i].place == 0)
			a->told++;
	}
	while (a->told < TIMERS)
		poller_turn(*state);
	for (unsigned i = 0; i < TIMERS; i++)
		assert_int_equal(a->timer[i].place, 0);
	free(a);
}

static void test_a_timer_that_starts_again_counts_anew(void **state)
{
	struct alarms *a = alarms_new(*state);

	assert_true(poller_start(*state, &a->timer[0], 1000000));
	assert_true(poller_start(*state, &a->timer[0], 1));
	while (a->told < 1)
		poller_turn(*state);
	poller_stop(*state, &a->timer[0]); /* which does nothing */
	assert_int_equal(a->timer[0].place, 0);
	free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(test_who_wants_to_read_is_told_that_it_can),
		TEST(test_only_what_is_wanted_is_told),
		TEST(test_a_hang_up_is_told_as_all_that_is_wanted),
		TEST(test_a_hang_up_wakes_nobody_who_wants_nothing),
		TEST(test_who_was_stopped_in_the_same_turn_is_not_told),
		TEST(test_what_was_ready_before_says_nothing_of_another_descriptor),
		TEST(test_what_the_kernel_will_not_watch_is_counted),
		TEST(test_who_is_woken_is_told_in_the_next_turn_without_a_wait),
		TEST(test_who_wakes_itself_keeps_nobody_from_their_turn),
		TEST(test_who_was_woken_and_stopped_is_not_told),
		TEST(test_who_wants_nothing_is_not_told_of_a_wake),
		TEST(test_timers_come_in_the_order_of_their_times_and_never_early),
		TEST(test_a_timer_that_was_stopped_says_nothing),
		TEST(test_a_timer_that_starts_again_counts_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

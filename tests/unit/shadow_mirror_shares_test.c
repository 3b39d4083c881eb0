/* What a full queue lets in: shapes share what there is, whoever asks more often. */
#include "proxy/shadow/mirror_shares.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { LIMIT = 100, OFTEN = 1, RARE = 2 };

static int new_shares(void **state)
{
	return (*state = calloc(1, sizeof(struct shares))) ? 0 : -1;
}

static int free_shares(void **state)
{
	free(*state);
	return 0;
}

/* Tries so many reads of a shape; how many were let in. */
static size_t offer(struct shares *s, unsigned slot, size_t count, size_t *queued)
{
	size_t taken = 0;

	for (size_t i = 0; i < count; i++) {
		if (!shares_allow(s, slot, *queued, LIMIT))
			continue;
		shares_take(s, slot);
		++*queued;
		taken++;
	}

	return taken;
}

static void one_shape_alone_gets_half_and_a_rare_one_still_finds_room(void **state)
{
	struct shares *s = *state;
	size_t queued = 0;

	assert_int_equal(offer(s, OFTEN, 1000, &queued), LIMIT / 2 + 1);
	assert_int_equal(offer(s, RARE, 3, &queued), 3);
	assert_int_equal(offer(s, OFTEN, 10, &queued), 0);
}

static void the_queue_never_passes_its_limit(void **state)
{
	struct shares *s = *state;
	size_t queued = 0;

	for (unsigned slot = 0; slot < 500; slot++)
		offer(s, slot, 10, &queued);
	assert_int_equal(queued, LIMIT);
}

/* A thousand arrivals for every one that is served: of each shape about as many are let in. */
static void under_overload_all_shapes_are_served(void **state)
{
	struct shares *s = *state;
	size_t queued = 0, often = 0, rare = 0;

	for (int turn = 0; turn < 1000; turn++) {
		often += offer(s, OFTEN, 99, &queued);
		rare += offer(s, RARE, 1, &queued);
		if (s->held[turn % 2 ? OFTEN : RARE] == 0)
			continue;
		shares_give_back(s, turn % 2 ? OFTEN : RARE);
		queued--;
	}
	assert_true(rare > 300);
	assert_true(often > 300);
}

static void what_is_given_back_counts_no_more(void **state)
{
	struct shares *s = *state;
	size_t queued = 0;

	offer(s, OFTEN, 10, &queued);
	for (int i = 0; i < 10; i++)
		shares_give_back(s, OFTEN);
	assert_int_equal(s->shapes, 0);
}

static void slots_come_from_the_end_of_the_fingerprint(void **state)
{
	(void)state;
	assert_int_equal(shares_slot("00000000000000ff"), 0xff);
	assert_int_equal(shares_slot("a1b2c3d4e5f60fff"), 0xfff);
	assert_int_equal(shares_slot(""), 0);
}

int main(void)
{
#define SHARES_TEST(name) cmocka_unit_test_setup_teardown(name, new_shares, free_shares)
	const struct CMUnitTest tests[] = {
		SHARES_TEST(one_shape_alone_gets_half_and_a_rare_one_still_finds_room),
		SHARES_TEST(the_queue_never_passes_its_limit),
		SHARES_TEST(under_overload_all_shapes_are_served),
		SHARES_TEST(what_is_given_back_counts_no_more),
		SHARES_TEST(slots_come_from_the_end_of_the_fingerprint),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

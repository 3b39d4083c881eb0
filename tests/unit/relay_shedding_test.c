/* When shadowing is shed and when it begins again: the rule alone, with times and figures given. */
#include "proxy/relay/shedding.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { BUDGET = 1000, MUCH = 1001, LITTLE = 500, SECOND = 1000000 };

static struct shedding_rule rule_with(uint64_t budget)
{
	return (struct shedding_rule){.budget_us = budget};
}

enum { NONE = -1 };

static enum shedding_change look(
	struct shedding_rule *r, uint64_t now, int64_t copy_us, int64_t wait_us)
{
	const struct shedding_figures f = {.has_copy = copy_us != NONE,
		.has_wait = wait_us != NONE,
		.copy_us = (uint64_t)copy_us,
		.wait_us = (uint64_t)wait_us};

	return shedding_look(r, now, &f);
}

/* Two looks that find too much; the second one's time. */
static uint64_t overload(struct shedding_rule *r, uint64_t now)
{
	assert_int_equal(look(r, now, MUCH, 0), SHEDDING_STAYS);
	assert_int_equal(look(r, now + 1, MUCH, 0), SHEDDING_BEGINS);
	assert_true(r->shed);

	return now + 1;
}

static void what_keeps_to_the_budget_is_never_shed(void **state)
{
	struct shedding_rule r = rule_with(BUDGET);

	(void)state;
	for (uint64_t i = 1; i < 100; i++)
		assert_int_equal(look(&r, i * SECOND, BUDGET, BUDGET), SHEDDING_STAYS);
	assert_false(r.shed);
}

static void one_look_over_the_budget_is_not_enough(void **state)
{
	struct shedding_rule r = rule_with(BUDGET);

	(void)state;
	for (uint64_t i = 1; i < 100; i++)
		assert_int_equal(look(&r, i, i % 2 ? MUCH : 0, 0), SHEDDING_STAYS);
	assert_false(r.shed);
}

static void copying_and_waiting_count_alike(void **state)
{
	struct shedding_rule r = rule_with(BUDGET);

	(void)state;
	assert_int_equal(look(&r, 1, 0, MUCH), SHEDDING_STAYS);
	assert_int_equal(look(&r, 2, 0, MUCH), SHEDDING_BEGINS);
}

static void no_figure_is_neither_good_nor_bad(void **state)
{
	struct shedding_rule r = rule_with(BUDGET);

	(void)state;
	assert_int_equal(look(&r, 1, MUCH, 0), SHEDDING_STAYS);
	assert_int_equal(look(&r, 2, NONE, 0), SHEDDING_STAYS);
	assert_int_equal(look(&r, 3, NONE, NONE), SHEDDING_STAYS);
	assert_int_equal(look(&r, 4, MUCH, NONE), SHEDDING_BEGINS);
	assert_int_equal(look(&r, 4 + r.hold_us, NONE, NONE), SHEDDING_ENDS);
}

static void it_ends_after_the_hold_when_the_cores_are_calm(void **state)
{
	struct shedding_rule r = rule_with(BUDGET);
	uint64_t began;

	(void)state;
	began = overload(&r, SECOND);
	assert_int_equal(r.hold_us, 2 * SECOND);
	assert_int_equal(look(&r, began + r.hold_us - 1, 0, LITTLE), SHEDDING_STAYS);
	assert_int_equal(look(&r, began + r.hold_us, 0, LITTLE + 1), SHEDDING_STAYS);
	assert_int_equal(look(&r, began + r.hold_us, 0, LITTLE), SHEDDING_ENDS);
	assert_false(r.shed);
}

static void holds_double_while_attempts_fail_and_have_a_limit(void **state)
{
	struct shedding_rule r = rule_with(BUDGET);
	uint64_t now = SECOND, last = 0;

	(void)state;
	for (int i = 0; i < 20; i++) {
		now = overload(&r, now);
		assert_true(last == 0 || r.hold_us == 2 * last || r.hold_us == 300 * SECOND);
		last = r.hold_us;
		now += r.hold_us;
		assert_int_equal(look(&r, now, 0, 0), SHEDDING_ENDS);
		now += SECOND;
	}
	assert_int_equal(last, 300 * SECOND);
	now = overload(&r, now + 60 * SECOND);
	assert_int_equal(r.hold_us, 2 * SECOND);
}

static void no_budget_never_sheds_and_ends_what_is(void **state)
{
	struct shedding_rule r = rule_with(0);

	(void)state;
	for (uint64_t i = 1; i < 10; i++)
		assert_int_equal(look(&r, i, INT64_MAX, INT64_MAX), SHEDDING_STAYS);
	r.budget_us = BUDGET;
	overload(&r, 100);
	r.budget_us = 0;
	assert_int_equal(look(&r, 103, INT64_MAX, INT64_MAX), SHEDDING_ENDS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_keeps_to_the_budget_is_never_shed),
		cmocka_unit_test(one_look_over_the_budget_is_not_enough),
		cmocka_unit_test(copying_and_waiting_count_alike),
		cmocka_unit_test(no_figure_is_neither_good_nor_bad),
		cmocka_unit_test(it_ends_after_the_hold_when_the_cores_are_calm),
		cmocka_unit_test(holds_double_while_attempts_fail_and_have_a_limit),
		cmocka_unit_test(no_budget_never_sheds_and_ends_what_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

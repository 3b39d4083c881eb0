#include "compare/evidence.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static uint64_t scramble(uint64_t x)
{
	x += 0x9e3779b97f4a7c15;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb;

	return x ^ (x >> 31);
}

static void buckets_cover_every_value_once_and_in_order(void **state)
{
	(void)state;
	for (unsigned b = 0; b + 1 < HISTOGRAM_BUCKETS; b++) {
		uint64_t upper = histogram_bucket_upper(b);

		assert_int_equal(histogram_bucket(upper), b);
		assert_int_equal(histogram_bucket(upper + 1), b + 1);
	}
	assert_int_equal(histogram_bucket_upper(HISTOGRAM_BUCKETS - 1), UINT32_MAX);
	assert_int_equal(histogram_bucket(UINT64_MAX), HISTOGRAM_BUCKETS - 1);
}

static void a_bucket_is_at_most_an_eighth_wide(void **state)
{
	(void)state;
	for (unsigned b = 8; b < HISTOGRAM_BUCKETS; b++) {
		uint64_t upper = histogram_bucket_upper(b),
			 lower = histogram_bucket_upper(b - 1) + 1;

		assert_true((upper - lower + 1) * 8 <= lower);
	}
}

static void quantiles_come_from_the_right_bucket(void **state)
{
	struct histogram h = {0};

	(void)state;
	assert_int_equal(histogram_quantile(&h, 0.5), 0);
	for (uint64_t us = 1; us <= 1000; us++)
		histogram_add(&h, us);
	assert_int_equal(
		histogram_quantile(&h, 0.5), histogram_bucket_upper(histogram_bucket(500)));
	assert_int_equal(histogram_quantile(&h, 1), histogram_bucket_upper(histogram_bucket(1000)));
	assert_int_equal(histogram_quantile(&h, 0), 1);
	assert_int_equal(h.sum_us, 500500);
}

static void merged_histograms_equal_one_over_everything(void **state)
{
	struct histogram all = {0}, a = {0}, b = {0};

	(void)state;
	for (uint64_t i = 0; i < 1000; i++) {
		uint64_t us = scramble(i) % 100000;

		histogram_add(&all, us);
		histogram_add(i % 3 ? &a : &b, us);
	}
	histogram_merge(&a, &b);
	assert_memory_equal(&a, &all, sizeof a);
}

static void distinct_values_are_estimated_within_four_standard_errors(void **state)
{
	const uint64_t sizes[] = {1, 10, 100, 1000, 100000};

	(void)state;
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		struct hll h = {0};
		double n = (double)sizes[i];

		for (int again = 0; again < 2; again++)
			for (uint64_t k = 0; k < sizes[i]; k++)
				hll_add(&h, scramble(k));
		assert_true(fabs((double)hll_estimate(&h) - n) <= n * 0.065 * 4);
	}
}

static void nothing_seen_is_estimated_as_nothing(void **state)
{
	struct hll h = {0};

	(void)state;
	assert_int_equal(hll_estimate(&h), 0);
	hll_add(&h, 0); /* all rest bits zero: the highest rank */
	assert_int_equal(h.registers[0], 57);
}

static void merged_registers_equal_those_over_everything(void **state)
{
	struct hll all = {0}, a = {0}, b = {0};

	(void)state;
	for (uint64_t k = 0; k < 5000; k++) {
		hll_add(&all, scramble(k));
		hll_add(k % 2 ? &a : &b, scramble(k));
	}
	hll_merge(&a, &b);
	assert_memory_equal(&a, &all, sizeof a);
}

static void near(double is, double should)
{
	if (fabs(is - should) > 1e-6 * should)
		fail_msg("%.9g is not %.9g", is, should);
}

/* Expected values: Clopper-Pearson one-sided, the 0.95 quantile of Beta(k + 1, n - k), from closed
 * forms: k = 0 is 1 - 0.05^(1/n), k = n - 1 is 0.95^(1/n). */
static void the_bound_agrees_with_its_closed_forms(void **state)
{
	(void)state;
	near(upper_bound_95(0, 1), 0.95);
	near(upper_bound_95(0, 10), 1 - pow(0.05, 0.1));
	near(upper_bound_95(9, 10), pow(0.95, 0.1));
	near(upper_bound_95(99, 100), pow(0.95, 0.01));
	near(upper_bound_95(0, 1000000), 2.9957277864e-06);
	assert_true(upper_bound_95(0, 0) == 1);
	assert_true(upper_bound_95(5, 5) == 1);
	assert_true(upper_bound_95(7, 5) == 1);
}

/* The binomial tail, summed directly. */
static double chance_of_at_most(unsigned k, unsigned n, double p)
{
	double term = pow(1 - p, n), sum = term;

	for (unsigned i = 0; i < k; i++) {
		term *= (double)(n - i) / (i + 1) * p / (1 - p);
		sum += term;
	}

	return sum;
}

static void at_the_bound_so_few_events_have_a_chance_of_5_percent(void **state)
{
	const unsigned cases[][2] = {{1, 10}, {3, 50}, {1, 1000}, {20, 1000}, {250, 500}, {7, 9}};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		unsigned k = cases[i][0], n = cases[i][1];

		near(chance_of_at_most(k, n, upper_bound_95(k, n)), 0.05);
	}
}

static void the_bound_falls_with_trials_and_rises_with_events(void **state)
{
	(void)state;
	for (uint64_t n = 10; n < 100000000; n *= 10) {
		assert_true(upper_bound_95(1, n * 10) < upper_bound_95(1, n));
		assert_true(upper_bound_95(2, n) > upper_bound_95(1, n));
		assert_true(upper_bound_95(1, n) > upper_bound_95(0, n));
	}
}

/* ---- is it slower? ---- */

static struct histogram filled(unsigned n, uint64_t us)
{
	struct histogram h = {0};

	for (unsigned i = 0; i < n; i++)
		histogram_add(&h, us);

	return h;
}

static void the_rank_test_agrees_with_a_count_by_hand(void **state)
{
	/* U = 900, mean 450, variance 30*30/12 * (61 - 2*30*899/(60*59)): z = 7.6813 */
	struct histogram a = filled(30, 100), b = filled(30, 1000);

	(void)state;
	assert_true(fabs(histogram_not_slower(&a, &b) / 7.8772e-15 - 1) < 0.01);
	assert_true(histogram_not_slower(&b, &a) > 1 - 1e-12);
	assert_true(histogram_not_slower(&a, &a) >= 1);
	b = filled(29, 1000);
	assert_true(histogram_not_slower(&a, &b) >= 1); /* too few to tell */
}

/* Log-uniform over three decades. */
static uint64_t some_latency(uint64_t seed)
{
	double u = (double)(scramble(seed) >> 11) * 0x1p-53;

	return (uint64_t)(100 * pow(1000, u));
}

static void equal_servers_are_called_slower_as_seldom_as_promised(void **state)
{
	unsigned called = 0, slower = 0;

	(void)state;
	for (uint64_t round = 0; round < 1000; round++) {
		struct histogram a = {0}, b = {0}, c = {0};

		for (uint64_t i = 0; i < 200; i++) {
			histogram_add(&a, some_latency(round * 1000 + i));
			histogram_add(&b, some_latency(round * 1000 + 300 + i));
			histogram_add(&c, 2 * some_latency(round * 1000 + 600 + i));
		}
		called += histogram_not_slower(&a, &b) < 0.05;
		slower += histogram_not_slower(&a, &c) < 0.05;
	}
	/* 5% of 1000, four standard deviations around */
	assert_in_range(called, 50 - 28, 50 + 28);
	assert_true(slower > 900);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(buckets_cover_every_value_once_and_in_order),
		cmocka_unit_test(a_bucket_is_at_most_an_eighth_wide),
		cmocka_unit_test(quantiles_come_from_the_right_bucket),
		cmocka_unit_test(merged_histograms_equal_one_over_everything),
		cmocka_unit_test(distinct_values_are_estimated_within_four_standard_errors),
		cmocka_unit_test(nothing_seen_is_estimated_as_nothing),
		cmocka_unit_test(merged_registers_equal_those_over_everything),
		cmocka_unit_test(the_bound_agrees_with_its_closed_forms),
		cmocka_unit_test(at_the_bound_so_few_events_have_a_chance_of_5_percent),
		cmocka_unit_test(the_rank_test_agrees_with_a_count_by_hand),
		cmocka_unit_test(equal_servers_are_called_slower_as_seldom_as_promised),
		cmocka_unit_test(the_bound_falls_with_trials_and_rises_with_events),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

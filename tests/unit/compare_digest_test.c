#include "compare/digest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define ROW(text) span_of(text, sizeof text - 1)

static struct digest over(size_t n, const struct span *rows)
{
	struct digest d;

	digest_init(&d);
	for (size_t i = 0; i < n; i++)
		digest_row(&d, rows[i]);

	return d;
}

static void every_permutation_has_the_same_multiset_and_its_own_order(void **state)
{
	struct span abc[] = {ROW("a"), ROW("b"), ROW("c")}, cab[] = {ROW("c"), ROW("a"), ROW("b")};
	struct digest x = over(3, abc), y = over(3, cab);

	(void)state;
	assert_true(digest_equal_multiset(&x, &y));
	assert_false(digest_equal_ordered(&x, &y));
	assert_true(digest_equal_ordered(&x, &x));
}

static void pairs_of_equal_rows_do_not_cancel(void **state)
{
	struct span aa[] = {ROW("a"), ROW("a"), ROW("c")}, bb[] = {ROW("b"), ROW("b"), ROW("c")};
	struct digest x = over(3, aa), y = over(3, bb);

	(void)state;
	assert_false(digest_equal_multiset(&x, &y));
}

static void null_and_empty_differ(void **state)
{
	struct span null[] = {ROW("\0\1\xff\xff\xff\xff")}, empty[] = {ROW("\0\1\0\0\0\0")};
	struct digest x = over(1, null), y = over(1, empty);

	(void)state;
	assert_false(digest_equal_multiset(&x, &y));
	assert_false(digest_equal_ordered(&x, &y));
}

static void boundaries_of_rows_and_columns_count(void **state)
{
	struct span two[] = {ROW("ab"), ROW("c")}, other[] = {ROW("a"), ROW("bc")};
	struct span one[] = {ROW("\0\2\0\0\0\1a\0\0\0\2bc")},
		    cut[] = {ROW("\0\2\0\0\0\2ab\0\0\0\1c")};
	struct digest x = over(2, two), y = over(2, other);

	(void)state;
	assert_false(digest_equal_multiset(&x, &y));
	assert_false(digest_equal_ordered(&x, &y));
	x = over(1, one);
	y = over(1, cut);
	assert_false(digest_equal_multiset(&x, &y));
}

static void no_rows_and_a_repeated_row_differ_from_one_row(void **state)
{
	struct span rows[] = {ROW("a"), ROW("a")};
	struct digest none = over(0, rows), one = over(1, rows), two = over(2, rows);

	(void)state;
	assert_false(digest_equal_multiset(&none, &one));
	assert_false(digest_equal_multiset(&one, &two));
	assert_true(digest_equal_ordered(&none, &none));
}

static void the_sum_carries_into_its_high_half(void **state)
{
	struct digest d, start = {.multiset = {UINT64_MAX, 7}};

	(void)state;
	digest_init(&d);
	digest_row(&d, ROW("a"));
	digest_row(&start, ROW("a"));
	assert_int_equal(start.multiset[0], d.multiset[0] - 1);
	assert_int_equal(start.multiset[1], d.multiset[1] + 7 + 1);
}

static void hex_has_32_digits_high_half_first(void **state)
{
	uint64_t half[2] = {0x0123456789abcdef, 0x10};
	char out[33];

	(void)state;
	digest_hex(half, out);
	assert_string_equal(out, "00000000000000100123456789abcdef");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_permutation_has_the_same_multiset_and_its_own_order),
		cmocka_unit_test(pairs_of_equal_rows_do_not_cancel),
		cmocka_unit_test(null_and_empty_differ),
		cmocka_unit_test(boundaries_of_rows_and_columns_count),
		cmocka_unit_test(no_rows_and_a_repeated_row_differ_from_one_row),
		cmocka_unit_test(the_sum_carries_into_its_high_half),
		cmocka_unit_test(hex_has_32_digits_high_half_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

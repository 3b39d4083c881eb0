#include "compare/diff.h"
#include "tests/unit/compare_fixture.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { LIMIT = 1 << 16 };

static struct result p, c;
static struct compare_rules rules;
static struct diff d;

static void both(const char *columns)
{
	fixture_result(&p, columns);
	fixture_result(&c, columns);
	rules = (struct compare_rules){0};
}

static void check(size_t limit, uint64_t missing, uint64_t extra, uint64_t changed)
{
	assert_true(diff_results(&p, &c, &rules, limit, &d));
	assert_int_equal(d.missing, missing);
	assert_int_equal(d.extra, extra);
	assert_int_equal(d.changed, changed);
}

static void done(void)
{
	diff_release(&d);
	result_release(&p);
	result_release(&c);
}

static void values_are_taken_out_of_a_row(void **state)
{
	static const uint8_t row[] = {0, 3, 0, 0, 0, 1, 'x', 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0};

	(void)state;
	assert_true(span_is(diff_value(span_of(row, sizeof row), 0), "x"));
	assert_null(diff_value(span_of(row, sizeof row), 1).data);
	assert_non_null(diff_value(span_of(row, sizeof row), 2).data);
	assert_int_equal(diff_value(span_of(row, sizeof row), 2).len, 0);
	assert_null(diff_value(span_of(row, sizeof row), 3).data);
	for (size_t n = 0; n < 7; n++)
		assert_null(diff_value(span_of(row, n), 0).data);
}

static void rows_are_aligned_by_a_unique_leading_column(void **state)
{
	(void)state;
	both("id:23 t:25");
	for (int i = 0; i < 10; i++) {
		char id[12], text[24];

		snprintf(id, sizeof id, "%d", i);
		snprintf(text, sizeof text, "row %d", i);
		if (i != 3)
			fixture_row(&p, id, text, END);
		if (i != 7)
			fixture_row(&c, id, i == 5 ? "other" : text, END);
	}
	check(LIMIT, 1, 1, 1);
	assert_int_equal(d.nrows, 3);
	assert_int_equal(d.rows[0].kind, DIFF_CHANGED);
	assert_true(span_is(diff_value(d.rows[0].primary, 0), "5"));
	assert_true(span_is(diff_value(d.rows[0].candidate, 0), "5"));
	assert_true(span_is(diff_value(d.rows[0].candidate, 1), "other"));
	assert_int_equal(d.rows[1].kind, DIFF_MISSING);
	assert_true(span_is(diff_value(d.rows[1].primary, 0), "7"));
	assert_null(d.rows[1].candidate.data);
	assert_int_equal(d.rows[2].kind, DIFF_EXTRA);
	assert_true(span_is(diff_value(d.rows[2].candidate, 0), "3"));
	assert_null(d.rows[2].primary.data);
	assert_false(d.truncated);
	done();
}

static void rows_are_aligned_by_two_leading_columns_together(void **state)
{
	(void)state;
	both("invoice:23 line:23 t:25 u:25 v:25");
	for (int i = 0; i < 9; i++) {
		char invoice[12], line[12];

		snprintf(invoice, sizeof invoice, "%d", i / 3);
		snprintf(line, sizeof line, "%d", i % 3);
		/* by likeness the fifth and the eighth would be each other's */
		fixture_row(&p, invoice, line, i == 4 ? "y" : "x", i == 4 ? "y" : "x", "z", END);
		fixture_row(&c, invoice, line, i == 7 ? "y" : "x", i == 7 ? "y" : "x", "z", END);
	}
	check(LIMIT, 0, 0, 2);
	assert_true(span_is(diff_value(d.rows[0].primary, 0), "1"));
	assert_true(span_is(diff_value(d.rows[0].candidate, 0), "1"));
	assert_true(span_is(diff_value(d.rows[1].candidate, 0), "2"));
	assert_true(span_is(diff_value(d.rows[1].candidate, 1), "1"));
	done();
}

static void sort_keys_align_before_leading_columns(void **state)
{
	(void)state;
	both("t:25 id:23 u:25");
	rules.order = (struct order_rule){.ordered = true, .nkeys = 1, .keys = {{.column = 1}}};
	fixture_row(&p, "a", "1", "x", END);
	fixture_row(&p, "b", "2", "y", END);
	fixture_row(&c, "b", "1", "y", END);
	fixture_row(&c, "a", "2", "x", END);
	check(LIMIT, 0, 0, 2);
	assert_true(span_is(diff_value(d.rows[0].primary, 1), "1"));
	assert_true(span_is(diff_value(d.rows[0].candidate, 1), "1"));
	done();
}

static void rows_without_a_key_are_aligned_by_likeness(void **state)
{
	(void)state;
	both("a:25 b:25 c:25");
	fixture_row(&p, "x", "y", "1", END);
	fixture_row(&p, "x", "y", "1", END);
	fixture_row(&p, "q", "r", "s", END);
	fixture_row(&c, "x", "y", "1", END);
	fixture_row(&c, "x", "y", "2", END);
	fixture_row(&c, "k", "l", "m", END);
	check(LIMIT, 1, 1, 1);
	assert_true(span_is(diff_value(d.rows[0].candidate, 2), "2"));
	done();
}

static void single_rows_belong_together_whatever_they_hold(void **state)
{
	(void)state;
	both("n:20 m:20");
	fixture_row(&p, "1", "2", END);
	fixture_row(&c, "3", "4", END);
	check(LIMIT, 0, 0, 1);
	done();
}

static void repeated_rows_are_counted_as_often_as_they_are_missing(void **state)
{
	(void)state;
	both("t:25");
	for (int i = 0; i < 5; i++)
		fixture_row(&p, "x", END);
	fixture_row(&c, "x", END);
	check(LIMIT, 4, 0, 0);
	done();
}

static void the_byte_limit_cuts_the_list_but_not_the_counts(void **state)
{
	size_t carried = 0;

	(void)state;
	both("id:23");
	for (int i = 0; i < 100; i++) {
		char id[12];

		snprintf(id, sizeof id, "%d", i);
		fixture_row(&p, id, END);
	}
	check(500, 100, 0, 0);
	assert_true(d.truncated);
	assert_true(d.nrows > 0 && d.nrows < 100);
	for (size_t i = 0; i < d.nrows; i++)
		carried += sizeof d.rows[i] + d.rows[i].primary.len;
	assert_true(carried <= 500);
	diff_release(&d);
	check(0, 100, 0, 0);
	assert_int_equal(d.nrows, 0);
	assert_true(d.truncated);
	done();
}

static void a_row_longer_than_the_limit_is_listed_alone_to_be_cut(void **state)
{
	char text[1000];

	(void)state;
	memset(text, 'x', sizeof text);
	text[sizeof text - 1] = '\0';
	both("id:23 t:25");
	for (int i = 0; i < 3; i++) {
		char id[12];

		snprintf(id, sizeof id, "%d", i);
		fixture_row(&p, id, text, END);
		fixture_row(&c, id, "short", END);
	}
	check(500, 0, 0, 3);
	assert_int_equal(d.nrows, 1);
	assert_true(d.rows[0].cut);
	assert_true(d.truncated);
	done();
}

static void rows_that_were_not_kept_are_marked(void **state)
{
	(void)state;
	both("id:23");
	fixture_row(&p, "1", END);
	c.kept_all = false;
	check(LIMIT, 1, 0, 0);
	assert_true(d.truncated);
	done();
}

static void many_differing_rows_without_a_key_are_left_unaligned_past_a_bound(void **state)
{
	(void)state;
	both("a:25 b:25");
	for (int i = 0; i < 2000; i++) {
		char b[12];

		snprintf(b, sizeof b, "%d", i / 2);
		fixture_row(&p, "same", b, END);
		fixture_row(&c, "same", "changed", END);
	}
	assert_true(diff_results(&p, &c, &rules, LIMIT, &d));
	assert_true(d.truncated);
	assert_int_equal(d.missing + d.changed, 2000);
	assert_int_equal(d.extra + d.changed, 2000);
	assert_true(d.changed > 0);
	done();
}

static void another_order_names_its_first_places(void **state)
{
	static const char *const left[] = {"1", "2", "3", "4"}, *const right[] = {
									"1", "3", "2", "4"};

	(void)state;
	both("id:23");
	for (size_t i = 0; i < 4; i++) {
		fixture_row(&p, left[i], END);
		fixture_row(&c, right[i], END);
	}
	check(LIMIT, 0, 0, 0);
	assert_int_equal(d.nrows, 0); /* no order is asked for */
	diff_release(&d);
	rules.order.ordered = true;
	check(LIMIT, 0, 0, 0);
	assert_int_equal(d.moved, 2);
	assert_int_equal(d.nrows, 2);
	assert_false(d.truncated);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(d.rows[i].kind, DIFF_MOVED);
		assert_int_equal(d.rows[i].position, i + 2);
		assert_true(span_is(diff_value(d.rows[i].primary, 0), left[i + 1]));
		assert_true(span_is(diff_value(d.rows[i].candidate, 0), right[i + 1]));
	}
	done();
}

static void places_of_another_order_are_bounded_by_number_and_bytes(void **state)
{
	(void)state;
	both("id:23");
	rules.order.ordered = true;
	for (int i = 0; i < 1000; i++) {
		char id[12];

		snprintf(id, sizeof id, "%d", i);
		fixture_row(&p, id, END);
		snprintf(id, sizeof id, "%d", 999 - i);
		fixture_row(&c, id, END);
	}
	check(LIMIT, 0, 0, 0);
	assert_int_equal(d.moved, 1000);
	assert_int_equal(d.nrows, DIFF_MOVES_LISTED);
	assert_true(d.truncated);
	diff_release(&d);
	check(3 * sizeof *d.rows, 0, 0, 0);
	assert_int_equal(d.moved, 1000);
	assert_in_range(d.nrows, 1, 3);
	assert_true(d.truncated);
	diff_release(&d);
	check(0, 0, 0, 0);
	assert_int_equal(d.nrows, 0);
	assert_true(d.truncated);
	done();
}

static void equal_results_have_no_diff(void **state)
{
	(void)state;
	both("a:25");
	fixture_row(&p, "x", END);
	fixture_row(&c, "x", END);
	check(LIMIT, 0, 0, 0);
	assert_int_equal(d.nrows, 0);
	assert_false(d.truncated);
	done();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_are_taken_out_of_a_row),
		cmocka_unit_test(rows_are_aligned_by_a_unique_leading_column),
		cmocka_unit_test(rows_are_aligned_by_two_leading_columns_together),
		cmocka_unit_test(sort_keys_align_before_leading_columns),
		cmocka_unit_test(rows_without_a_key_are_aligned_by_likeness),
		cmocka_unit_test(single_rows_belong_together_whatever_they_hold),
		cmocka_unit_test(repeated_rows_are_counted_as_often_as_they_are_missing),
		cmocka_unit_test(the_byte_limit_cuts_the_list_but_not_the_counts),
		cmocka_unit_test(a_row_longer_than_the_limit_is_listed_alone_to_be_cut),
		cmocka_unit_test(rows_that_were_not_kept_are_marked),
		cmocka_unit_test(many_differing_rows_without_a_key_are_left_unaligned_past_a_bound),
		cmocka_unit_test(equal_results_have_no_diff),
		cmocka_unit_test(another_order_names_its_first_places),
		cmocka_unit_test(places_of_another_order_are_bounded_by_number_and_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

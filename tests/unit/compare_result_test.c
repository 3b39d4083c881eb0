#include "tests/unit/compare_fixture.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void columns_are_taken_from_the_description(void **state)
{
	struct result r;

	(void)state;
	fixture_result(&r, "id:23 price:1700:655366");
	assert_true(r.described);
	assert_int_equal(r.ncolumns, 2);
	assert_string_equal(r.columns[1].name, "price");
	assert_int_equal(r.columns[1].type_oid, OID_NUMERIC);
	assert_int_equal(r.columns[1].typmod, 655366);
	assert_int_equal(r.columns[1].format, 0);
	result_release(&r);
}

static void formats_of_the_bind_override_the_description(void **state)
{
	struct buffer b = fixture_description("a:23 b:25");
	uint16_t one[] = {1}, two[] = {0, 1}, three[] = {1, 1, 1};
	struct result r;

	(void)state;
	fixture_rows(&r);
	assert_true(result_columns(&r, buffer_span(&b), 1, one));
	assert_int_equal(r.columns[0].format, 1);
	assert_int_equal(r.columns[1].format, 1);
	assert_true(result_columns(&r, buffer_span(&b), 2, two));
	assert_int_equal(r.columns[0].format, 0);
	assert_int_equal(r.columns[1].format, 1);
	assert_false(result_columns(&r, buffer_span(&b), 3, three));
	assert_true(r.malformed);
	result_release(&r);
	buffer_release(&b);
}

static void every_truncation_of_a_description_is_malformed(void **state)
{
	struct buffer b = fixture_description("a:23 b:25");

	(void)state;
	for (size_t n = 0; n < b.len; n++) {
		struct result r;

		fixture_rows(&r);
		assert_false(result_columns(&r, span_of(b.data, n), 0, NULL));
		assert_true(r.malformed);
		assert_false(r.described);
		result_release(&r);
	}
	buffer_release(&b);
}

static void long_names_are_cut_as_the_server_does(void **state)
{
	char columns[128];
	struct result r;

	(void)state;
	snprintf(columns, sizeof columns, "%080d:25", 7);
	fixture_result(&r, columns);
	assert_int_equal(strlen(r.columns[0].name), 63);
	result_release(&r);
}

static void kept_rows_come_back_in_order(void **state)
{
	struct span row;
	struct result r;
	size_t at = 0;

	(void)state;
	fixture_result(&r, "a:25");
	fixture_row(&r, "x", END);
	fixture_row(&r, NULL, END);
	assert_int_equal(r.rows, 2);
	assert_int_equal(r.bytes, 7 + 6);
	assert_true(r.kept_all);
	assert_true(result_kept_row(&r, &at, &row));
	assert_int_equal(row.len, 7);
	assert_true(result_kept_row(&r, &at, &row));
	assert_int_equal(row.len, 6);
	assert_false(result_kept_row(&r, &at, &row));
	result_release(&r);
}

static void rows_past_the_limit_are_counted_and_digested_only(void **state)
{
	struct result small, large;
	struct span row;
	size_t at = 0;

	(void)state;
	result_init(&small, 20);
	result_init(&large, 2000);
	for (int i = 0; i < 3; i++) {
		fixture_row(&small, i == 1 ? "long text" : "x", END);
		fixture_row(&large, i == 1 ? "long text" : "x", END);
	}
	assert_false(small.kept_all);
	assert_int_equal(small.rows, 3);
	assert_true(digest_equal_ordered(&small.digest, &large.digest));
	assert_true(result_kept_row(&small, &at, &row));
	assert_false(
		result_kept_row(&small, &at, &row)); /* the third would fit, but not in order */
	result_release(&small);
	result_release(&large);
}

static void a_row_that_lies_about_its_lengths_is_malformed(void **state)
{
	static const uint8_t good[] = {0, 1, 0, 0, 0, 1, 'x'};
	static const uint8_t lies[][7] = {{0, 1, 0, 0, 0, 0, 'x'}, {0, 1, 0, 0, 0, 3, 'x'},
		{0, 1, 0x80, 0, 0, 0, 'x'}, {0, 1, 0xff, 0xff, 0xff, 0xff, 'x'},
		{0, 2, 0, 0, 0, 1, 'x'}, {0, 0, 0, 0, 0, 1, 'x'}};
	struct result r;

	(void)state;
	fixture_rows(&r);
	result_row(&r, span_of(good, sizeof good));
	assert_false(r.malformed);
	result_release(&r);
	for (size_t n = 0; n < sizeof good; n++) {
		fixture_rows(&r);
		result_row(&r, span_of(good, n));
		assert_true(r.malformed);
		result_release(&r);
	}
	for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
		fixture_rows(&r);
		result_row(&r, span_of(lies[i], sizeof lies[i]));
		assert_true(r.malformed);
		result_release(&r);
	}
}

static void a_row_of_other_width_than_described_is_malformed(void **state)
{
	struct result r;

	(void)state;
	fixture_result(&r, "a:25 b:25");
	fixture_row(&r, "x", END);
	assert_true(r.malformed);
	result_release(&r);
}

static void errors_keep_their_code_and_message(void **state)
{
	struct result r;

	(void)state;
	fixture_error(&r, "42P01", "relation \"t\" does not exist");
	assert_int_equal(r.end, RESULT_ERROR);
	assert_string_equal(r.sqlstate, "42P01");
	assert_string_equal(r.message, "relation \"t\" does not exist");
	result_release(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(columns_are_taken_from_the_description),
		cmocka_unit_test(formats_of_the_bind_override_the_description),
		cmocka_unit_test(every_truncation_of_a_description_is_malformed),
		cmocka_unit_test(long_names_are_cut_as_the_server_does),
		cmocka_unit_test(kept_rows_come_back_in_order),
		cmocka_unit_test(rows_past_the_limit_are_counted_and_digested_only),
		cmocka_unit_test(a_row_that_lies_about_its_lengths_is_malformed),
		cmocka_unit_test(a_row_of_other_width_than_described_is_malformed),
		cmocka_unit_test(errors_keep_their_code_and_message),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

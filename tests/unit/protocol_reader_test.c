#include "protocol/reader.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static const uint8_t sample[] = {1, 2, 3, 4, 5, 6, 7, 0xff, 0xff, 0xff, 0xfe, 'a', 'b', 0, 0, 0, 0,
	2, 'c', 'd', 0xff, 0xff, 0xff, 0xff};

static void read_sample(struct reader *r)
{
	read_u8(r);
	read_u16(r);
	read_u32(r);
	read_i32(r);
	read_cstr(r);
	read_value(r);
	read_value(r);
}

static void reads_what_was_written(void **state)
{
	struct reader r = reader_over(span_of(sample, sizeof sample));

	(void)state;
	assert_int_equal(read_u8(&r), 1);
	assert_int_equal(read_u16(&r), 0x0203);
	assert_int_equal(read_u32(&r), 0x04050607);
	assert_int_equal(read_i32(&r), -2);
	assert_true(span_is(read_cstr(&r), "ab"));
	assert_true(span_is(read_value(&r), "cd"));
	assert_int_equal(reader_left(&r), 4);
	assert_false(reader_done(&r));
	assert_null(read_value(&r).data);
	assert_true(reader_done(&r));
}

static void every_truncation_is_noticed(void **state)
{
	(void)state;
	for (size_t n = 0; n < sizeof sample; n++) {
		uint8_t *copy = malloc(n + 1); /* its own block: a read past n is seen by ASan */
		struct reader r;

		assert_non_null(copy);
		copy = realloc(copy, n ? n : 1);
		assert_non_null(copy);
		memcpy(copy, sample, n);
		r = reader_over(span_of(copy, n));
		read_sample(&r);
		assert_true(r.bad);
		assert_false(reader_done(&r));
		assert_int_equal(reader_left(&r), 0);
		free(copy);
	}
}

static void one_byte_too_many_is_noticed(void **state)
{
	uint8_t longer[sizeof sample + 1] = {0};
	struct reader r;

	(void)state;
	memcpy(longer, sample, sizeof sample);
	r = reader_over(span_of(longer, sizeof longer));
	read_sample(&r);
	assert_false(r.bad);
	assert_false(reader_done(&r));
}

static void a_failure_is_for_good(void **state)
{
	struct reader r = reader_over(span_of("abc", 3));

	(void)state;
	assert_int_equal(read_u32(&r), 0);
	assert_int_equal(read_u8(&r), 0);
	assert_null(read_bytes(&r, 0).data);
	assert_null(read_cstr(&r).data);
	assert_null(read_value(&r).data);
	assert_false(reader_done(&r));
}

static void lengths_that_lie_are_refused(void **state)
{
	static const uint8_t lies[][5] = {
		{0xff, 0xff, 0xff, 0xfe, 'a'}, /* -2 */
		{0x80, 0, 0, 0, 'a'},	       /* -2^31 */
		{0x7f, 0xff, 0xff, 0xff, 'a'}, /* 2^31 - 1 */
		{0, 0, 0, 2, 'a'},	       /* one more than there is */
	};

	(void)state;
	for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
		struct reader r = reader_over(span_of(lies[i], 5));

		assert_null(read_value(&r).data);
		assert_true(r.bad);
	}
}

static void empty_and_absent_differ(void **state)
{
	struct reader r = reader_over(span_of("\0\0\0\0\0", 5));
	struct reader absent = reader_over((struct span){0});
	struct span empty_value = read_value(&r);
	struct span empty_text = read_cstr(&r);

	(void)state;
	assert_non_null(empty_value.data);
	assert_int_equal(empty_value.len, 0);
	assert_non_null(empty_text.data);
	assert_int_equal(empty_text.len, 0);
	assert_true(reader_done(&r));
	assert_true(reader_done(&absent));
	assert_int_equal(read_u8(&absent), 0);
	assert_true(absent.bad);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_what_was_written),
		cmocka_unit_test(every_truncation_is_noticed),
		cmocka_unit_test(one_byte_too_many_is_noticed),
		cmocka_unit_test(a_failure_is_for_good),
		cmocka_unit_test(lengths_that_lie_are_refused),
		cmocka_unit_test(empty_and_absent_differ),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

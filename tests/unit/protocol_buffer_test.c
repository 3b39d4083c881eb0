#include "protocol/buffer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void adds_integers_in_network_order(void **state)
{
	static const uint8_t expected[] = {1, 2, 3, 4, 5, 6, 7, 'a', 'b', 0, 'c', 0, 'n', '7'};
	struct buffer b;

	(void)state;
	buffer_init(&b, 100);
	buffer_add_u8(&b, 0x01);
	buffer_add_u16(&b, 0x0203);
	buffer_add_u32(&b, 0x04050607);
	buffer_add_cstr(&b, "ab");
	buffer_add_span_z(&b, span_cstr("c"));
	buffer_add_span(&b, (struct span){0});
	buffer_printf(&b, "n%d", 7);
	assert_false(b.failed);
	assert_int_equal(b.len, sizeof expected);
	assert_memory_equal(b.data, expected, sizeof expected);
	buffer_release(&b);
}

static void a_span_with_nothing_in_it_is_present(void **state)
{
	struct buffer b;

	(void)state;
	buffer_init(&b, 10);
	assert_non_null(buffer_span(&b).data);
	assert_int_equal(buffer_span(&b).len, 0);
	buffer_release(&b);
}

/* Each way of adding, at a limit one byte too small and exactly right. */
static void add_one_of_each(struct buffer *b, int way)
{
	char long_text[301] = {0};

	memset(long_text, 'x', 300);
	switch (way) {
	case 0: buffer_add(b, "abc", 3); break;
	case 1: buffer_add_u8(b, 1); break;
	case 2: buffer_add_u16(b, 1); break;
	case 3: buffer_add_u32(b, 1); break;
	case 4: buffer_add_cstr(b, "abc"); break;
	case 5: buffer_add_span_z(b, span_cstr("abc")); break;
	case 6: buffer_printf(b, "%s", "abc"); break;
	case 7: buffer_printf(b, "%s", long_text); break;
	default: buffer_add_span(b, span_cstr(long_text)); break;
	}
}

static void an_add_is_whole_or_fails_for_good(void **state)
{
	static const size_t sizes[] = {3, 1, 2, 4, 4, 4, 3, 300, 300};
	struct buffer b;

	(void)state;
	for (int way = 0; way < 9; way++) {
		buffer_init(&b, 10 + sizes[way]);
		buffer_add(&b, "0123456789", 10);
		add_one_of_each(&b, way);
		assert_false(b.failed);
		assert_int_equal(b.len, 10 + sizes[way]);
		buffer_release(&b);

		buffer_init(&b, 10 + sizes[way] - 1);
		buffer_add(&b, "0123456789", 10);
		add_one_of_each(&b, way);
		assert_true(b.failed);
		assert_int_equal(b.len, 10);
		buffer_add_u8(&b, 1);
		assert_int_equal(b.len, 10);
		buffer_release(&b);
	}
}

static void clear_forgets_the_failure_and_keeps_the_limit(void **state)
{
	struct buffer b;

	(void)state;
	buffer_init(&b, 2);
	buffer_add(&b, "abc", 3);
	assert_true(b.failed);
	buffer_clear(&b);
	buffer_add(&b, "ab", 2);
	assert_false(b.failed);
	buffer_release(&b);
	assert_null(b.data);
	buffer_add(&b, "abc", 3);
	assert_true(b.failed);
	buffer_release(&b);
}

static void an_enormous_length_does_not_wrap(void **state)
{
	struct buffer b;

	(void)state;
	buffer_init(&b, SIZE_MAX);
	buffer_add(&b, "abc", 3);
	buffer_add_span_z(&b, span_of("x", SIZE_MAX));
	assert_true(b.failed);
	assert_int_equal(b.len, 3);
	buffer_release(&b);
}

static void consume_drops_from_the_front(void **state)
{
	struct buffer b;

	(void)state;
	buffer_init(&b, 10);
	buffer_add(&b, "abcdef", 6);
	buffer_consume(&b, 0);
	buffer_consume(&b, 4);
	assert_true(span_is(buffer_span(&b), "ef"));
	buffer_consume(&b, 2);
	assert_int_equal(b.len, 0);
	buffer_release(&b);
}

static void growth_keeps_what_is_there(void **state)
{
	struct buffer b;

	(void)state;
	buffer_init(&b, 100000);
	for (int i = 0; i < 100000; i++)
		buffer_add_u8(&b, (uint8_t)(i * 7));
	assert_false(b.failed);
	assert_true(b.cap <= b.limit);
	for (int i = 0; i < 100000; i++)
		assert_int_equal(b.data[i], (uint8_t)(i * 7));
	buffer_add_u8(&b, 0);
	assert_true(b.failed);
	buffer_release(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(adds_integers_in_network_order),
		cmocka_unit_test(a_span_with_nothing_in_it_is_present),
		cmocka_unit_test(an_add_is_whole_or_fails_for_good),
		cmocka_unit_test(clear_forgets_the_failure_and_keeps_the_limit),
		cmocka_unit_test(an_enormous_length_does_not_wrap),
		cmocka_unit_test(consume_drops_from_the_front),
		cmocka_unit_test(growth_keeps_what_is_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

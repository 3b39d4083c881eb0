#include "protocol/framer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { LIMIT = 40 };

/* Four messages: without a body, short, over the limit, and the last byte of the input. */
static void build_stream(struct buffer *b)
{
	buffer_init(b, 1000);
	build_simple(b, FRONT_SYNC);
	build_query(b, "select 1");
	build_query(b, "select 'a text that is longer than the limit of the assembler'");
	build_ready(b, 'I');
	assert_false(b->failed);
}

static void describe_run(struct buffer *log, const struct frame_run *run)
{
	if (run->begins)
		buffer_printf(log, "%c%u", run->type, run->length);
	if (run->ends)
		buffer_printf(log, ".");
}

/* Feeds one piece; the runs must cover it exactly (F1). */
static void feed_framer(struct framer *f, struct span piece, struct buffer *log)
{
	const uint8_t *expected = piece.data;
	const uint8_t *end = piece.data + piece.len;
	struct frame_run run;

	while (framer_next(f, &piece, &run)) {
		assert_ptr_equal(run.bytes.data, expected);
		assert_true(run.bytes.len > 0);
		expected += run.bytes.len;
		describe_run(log, &run);
	}
	assert_ptr_equal(expected, end);
	assert_int_equal(piece.len, 0);
}

static void feed_assembler(struct assembler *a, struct span piece, struct buffer *log)
{
	enum assemble_result result;
	struct message m;

	while ((result = assembler_next(a, &piece, &m)) != ASSEMBLE_MORE) {
		buffer_printf(log, "%d:%c%u:", (int)result, m.type ? m.type : '-', m.length);
		buffer_add_span(log, m.body);
		if (result == ASSEMBLE_LOST)
			break;
		assert_true((m.body.data == NULL) == (result == ASSEMBLE_TOO_BIG));
	}
	assert_int_equal(piece.len, 0);
}

static void finds_the_messages_of_an_uncut_stream(void **state)
{
	struct buffer stream, log;
	struct framer f;

	(void)state;
	build_stream(&stream);
	buffer_init(&log, 1000);
	framer_init(&f);
	feed_framer(&f, buffer_span(&stream), &log);
	assert_true(span_is(buffer_span(&log), "S4.Q13.Q67.Z5."));
	assert_false(f.lost);
	buffer_release(&log);
	buffer_release(&stream);
}

static void every_cut_in_two_and_three_gives_the_same_messages(void **state)
{
	struct buffer stream, log;
	struct framer f;

	(void)state;
	build_stream(&stream);
	buffer_init(&log, 1000);
	for (size_t i = 0; i <= stream.len; i++)
		for (size_t j = i; j <= stream.len; j++) {
			buffer_clear(&log);
			framer_init(&f);
			feed_framer(&f, span_of(stream.data, i), &log);
			feed_framer(&f, span_of(stream.data + i, j - i), &log);
			feed_framer(&f, span_of(stream.data + j, stream.len - j), &log);
			assert_true(span_is(buffer_span(&log), "S4.Q13.Q67.Z5."));
		}
	buffer_release(&log);
	buffer_release(&stream);
}

static void a_truncated_message_does_not_end(void **state)
{
	struct buffer stream, log;
	struct framer f;

	(void)state;
	buffer_init(&stream, 100);
	build_query(&stream, "select 1");
	buffer_init(&log, 100);
	for (size_t n = 0; n < stream.len; n++) {
		buffer_clear(&log);
		framer_init(&f);
		feed_framer(&f, span_of(stream.data, n), &log);
		assert_true(span_is(buffer_span(&log), n < 5 ? "" : "Q13"));
	}
	buffer_release(&log);
	buffer_release(&stream);
}

static void one_byte_too_many_begins_the_next_header(void **state)
{
	struct buffer stream, log;
	struct framer f;

	(void)state;
	buffer_init(&stream, 100);
	build_query(&stream, "select 1");
	buffer_add_u8(&stream, 'S');
	buffer_init(&log, 100);
	framer_init(&f);
	feed_framer(&f, buffer_span(&stream), &log);
	assert_true(span_is(buffer_span(&log), "Q13."));
	assert_int_equal(f.have, 1);
	buffer_release(&log);
	buffer_release(&stream);
}

static void lengths_that_lie_lose_the_framer_for_good(void **state)
{
	static const uint32_t lies[] = {0, 3, MESSAGE_LENGTH_MAX + 1, 1u << 31, UINT32_MAX};

	(void)state;
	for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++)
		for (size_t cut = 0; cut <= 13; cut++) {
			struct buffer stream, log;
			struct assembler a;
			struct framer f;

			buffer_init(&stream, 100);
			build_simple(&stream, FRONT_SYNC);
			buffer_add_u8(&stream, 'Q');
			buffer_add_u32(&stream, lies[i]);
			buffer_add(&stream, "Z\0\0", 3);
			buffer_init(&log, 200);
			framer_init(&f);
			feed_framer(&f, span_of(stream.data, cut), &log);
			feed_framer(&f, span_of(stream.data + cut, 13 - cut), &log);
			assert_true(f.lost);
			assert_true(span_is(buffer_span(&log), "S4."));

			buffer_clear(&log);
			assembler_init(&a, LIMIT);
			feed_assembler(&a, span_of(stream.data, cut), &log);
			buffer_clear(&log);
			feed_assembler(&a, span_of(stream.data + cut, 13 - cut), &log);
			feed_assembler(&a, span_of("S\0\0\0\4", 5), &log);
			buffer_add_u8(&log, 0);
			assert_non_null(strstr((char *)log.data, "3:-0:3:-0:"));
			assembler_release(&a);
			buffer_release(&log);
			buffer_release(&stream);
		}
}

static void the_greatest_length_is_accepted(void **state)
{
	struct span input = span_of("d\x3f\xff\xff\xff.....", 10);
	struct framer f;
	struct frame_run run;

	(void)state;
	framer_init(&f);
	assert_true(framer_next(&f, &input, &run));
	assert_true(run.begins && !run.ends);
	assert_int_equal(run.length, MESSAGE_LENGTH_MAX);
	assert_int_equal(f.body_left, MESSAGE_LENGTH_MAX - 4 - 5);
}

static void the_assembler_gives_whole_messages_however_cut(void **state)
{
	static const char expected[] = "1:S4:"
				       "1:Q13:select 1\0"
				       "2:Q67:"
				       "1:Z5:I";
	struct buffer stream, log;
	struct assembler a;

	(void)state;
	build_stream(&stream);
	buffer_init(&log, 1000);
	for (size_t i = 0; i <= stream.len; i++)
		for (size_t j = i; j <= stream.len; j++) {
			buffer_clear(&log);
			assembler_init(&a, LIMIT);
			feed_assembler(&a, span_of(stream.data, i), &log);
			feed_assembler(&a, span_of(stream.data + i, j - i), &log);
			feed_assembler(&a, span_of(stream.data + j, stream.len - j), &log);
			assert_int_equal(log.len, sizeof expected - 1);
			assert_memory_equal(log.data, expected, sizeof expected - 1);
			assembler_release(&a);
		}
	buffer_release(&log);
	buffer_release(&stream);
}

static void a_whole_message_is_borrowed_from_the_input(void **state)
{
	struct buffer stream;
	struct assembler a;
	struct message m;
	struct span input;

	(void)state;
	buffer_init(&stream, 100);
	build_query(&stream, "select 1");
	input = buffer_span(&stream);
	assembler_init(&a, LIMIT);
	assert_int_equal(assembler_next(&a, &input, &m), ASSEMBLE_MESSAGE);
	assert_ptr_equal(m.body.data, stream.data + 5);
	assert_null(a.partial.data);
	assembler_release(&a);
	buffer_release(&stream);
}

static void the_limit_is_that_of_a_body_and_exact(void **state)
{
	struct assembler a;
	struct message m;
	struct span input;

	(void)state;
	assembler_init(&a, 3);
	input = span_of("d\0\0\0\7abc", 8);
	assert_int_equal(assembler_next(&a, &input, &m), ASSEMBLE_MESSAGE);
	assert_true(span_is(m.body, "abc"));
	input = span_of("d\0\0\0\10abcd", 9);
	assert_int_equal(assembler_next(&a, &input, &m), ASSEMBLE_TOO_BIG);
	assert_null(m.body.data);
	assert_int_equal(m.length, 8);
	assembler_release(&a);
}

static void a_reset_forgets_the_partial_message(void **state)
{
	struct assembler a;
	struct message m;
	struct span input = span_of("d\0\0\0\7ab", 7);

	(void)state;
	assembler_init(&a, 10);
	assert_int_equal(assembler_next(&a, &input, &m), ASSEMBLE_MORE);
	assembler_reset(&a);
	input = span_of("S\0\0\0\4", 5);
	assert_int_equal(assembler_next(&a, &input, &m), ASSEMBLE_MESSAGE);
	assert_int_equal(m.type, 'S');
	assert_non_null(m.body.data);
	assert_int_equal(m.body.len, 0);
	assembler_release(&a);
}

static void a_large_buffer_is_not_kept_between_messages(void **state)
{
	struct buffer stream;
	struct assembler a;
	struct message m;
	struct span input;

	(void)state;
	buffer_init(&stream, 200000);
	buffer_add_u8(&stream, 'd');
	buffer_add_u32(&stream, 4 + 100000);
	while (stream.len < 5 + 100000)
		buffer_add_u8(&stream, 'x');
	build_simple(&stream, FRONT_SYNC);
	assembler_init(&a, 150000);
	input = span_of(stream.data, 50000);
	assert_int_equal(assembler_next(&a, &input, &m), ASSEMBLE_MORE);
	input = span_of(stream.data + 50000, stream.len - 50000);
	assert_int_equal(assembler_next(&a, &input, &m), ASSEMBLE_MESSAGE);
	assert_int_equal(m.body.len, 100000);
	assert_true(a.partial.cap >= 100000);
	assert_int_equal(assembler_next(&a, &input, &m), ASSEMBLE_MESSAGE);
	assert_int_equal(m.type, 'S');
	assert_int_equal(a.partial.cap, 0);
	assembler_release(&a);
	buffer_release(&stream);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_the_messages_of_an_uncut_stream),
		cmocka_unit_test(every_cut_in_two_and_three_gives_the_same_messages),
		cmocka_unit_test(a_truncated_message_does_not_end),
		cmocka_unit_test(one_byte_too_many_begins_the_next_header),
		cmocka_unit_test(lengths_that_lie_lose_the_framer_for_good),
		cmocka_unit_test(the_greatest_length_is_accepted),
		cmocka_unit_test(the_assembler_gives_whole_messages_however_cut),
		cmocka_unit_test(a_whole_message_is_borrowed_from_the_input),
		cmocka_unit_test(the_limit_is_that_of_a_body_and_exact),
		cmocka_unit_test(a_reset_forgets_the_partial_message),
		cmocka_unit_test(a_large_buffer_is_not_kept_between_messages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The list of SASL mechanisms: good lists of 1, 2, 3 names, every cut, lists and lengths that lie.
 */
#include "proxy/relay/sasl.h"

#include "protocol/message.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { CHUNK = 65536 };

static void add_message(struct buffer *b, uint8_t type, const void *body, size_t len)
{
	buffer_add_u8(b, type);
	buffer_add_u32(b, (uint32_t)len + 4);
	buffer_add(b, body, len);
}

/* names: each with its NUL, and the last NUL of the literal ends the list */
#define SASL(names) "\0\0\0\012" names, sizeof "\0\0\0\012" names

static void expect_passed(struct span in, struct span wanted, size_t piece)
{
	struct sasl s;
	struct buffer out;

	sasl_init(&s, CHUNK);
	buffer_init(&out, 4 * CHUNK);
	for (size_t at = 0; at < in.len; at += piece)
		assert_true(sasl_pass(&s,
			span_of(in.data + at, in.len - at < piece ? in.len - at : piece), &out));
	assert_int_equal(out.len, wanted.len);
	if (wanted.len > 0)
		assert_memory_equal(out.data, wanted.data, wanted.len);
	sasl_release(&s);
	buffer_release(&out);
}

/* However it is cut. */
static void expect_edited(struct buffer *in, struct buffer *wanted)
{
	assert_false(in->failed || wanted->failed);
	for (size_t piece = 1; piece <= in->len; piece++)
		expect_passed(buffer_span(in), buffer_span(wanted), piece);
	buffer_release(in);
	buffer_release(wanted);
}

static void the_plus_mechanisms_are_taken_off(void **state)
{
	static const struct {
		const char *in, *out;
		size_t in_len, out_len;
	} cases[] = {
#define CASE(a, b) {"\0\0\0\012" a, "\0\0\0\012" b, sizeof "\0\0\0\012" a, sizeof "\0\0\0\012" b}
		CASE("SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0", "SCRAM-SHA-256\0"),
		CASE("SCRAM-SHA-256\0SCRAM-SHA-256-PLUS\0", "SCRAM-SHA-256\0"),
		CASE("SCRAM-SHA-512-PLUS\0SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0", "SCRAM-SHA-256\0"),
		CASE("OAUTHBEARER\0SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0",
			"OAUTHBEARER\0SCRAM-SHA-256\0"),
		/* nothing to take off, or nothing that would remain */
		CASE("SCRAM-SHA-256\0", "SCRAM-SHA-256\0"),
		CASE("SCRAM-SHA-256-PLUS\0", "SCRAM-SHA-256-PLUS\0"),
		CASE("-PLUS\0A-PLUSX\0", "-PLUS\0A-PLUSX\0"),
		CASE("", ""),
#undef CASE
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct buffer in, wanted;

		buffer_init(&in, CHUNK);
		buffer_init(&wanted, CHUNK);
		add_message(&in, 'v', "\0\3\0\0\0\0\0\0", 8);
		add_message(&wanted, 'v', "\0\3\0\0\0\0\0\0", 8);
		add_message(&in, 'R', cases[i].in, cases[i].in_len);
		add_message(&wanted, 'R', cases[i].out, cases[i].out_len);
		/* a second list is none of ours */
		add_message(&in, 'R', SASL("A-PLUS\0B\0"));
		add_message(&wanted, 'R', SASL("A-PLUS\0B\0"));
		expect_edited(&in, &wanted);
	}
}

static void other_messages_and_lists_that_lie_pass_as_they_are(void **state)
{
	static const struct {
		uint8_t type;
		const char *body;
		size_t len;
	} cases[] = {{'R', "\0\0\0\0", 4}, {'R', "\0\0\0\5salt", 8}, {'R', "", 0},
		{'R', "\0\0\0\012", 4}, {'R', "\0\0\0\012A-PLUS\0B\0", 13}, /* no end of the list */
		{'R', "\0\0\0\012A-PLUS\0B", 12},			    /* no end of the name */
		{'R', "\0\0\0\012A-PLUS\0B\0\0more", 18}, /* more behind the list */
		{'E', "SFATAL\0\0", 8}, {'N', "A-PLUS\0B\0\0", 10}};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct buffer in, wanted;

		buffer_init(&in, CHUNK);
		buffer_init(&wanted, CHUNK);
		add_message(&in, cases[i].type, cases[i].body, cases[i].len);
		add_message(&wanted, cases[i].type, cases[i].body, cases[i].len);
		expect_edited(&in, &wanted);
	}
}

static void lengths_that_lie_end_the_editing(void **state)
{
	static const uint32_t lengths[] = {0, 3, SASL_MESSAGE_MAX + 1, 0x80000000, 0xFFFFFFFF};

	(void)state;
	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
		struct buffer in, wanted;

		buffer_init(&in, CHUNK);
		buffer_init(&wanted, CHUNK);
		buffer_add_u8(&in, 'R');
		buffer_add_u32(&in, lengths[i]);
		buffer_add(&in, SASL("A-PLUS\0B\0"));
		buffer_add_span(&wanted, buffer_span(&in));
		expect_edited(&in, &wanted);
	}
}

static void what_has_not_come_whole_is_held_back(void **state)
{
	static const uint8_t all[] = {
		'R', 0, 0, 0, 17, 0, 0, 0, 10, 'A', '-', 'P', 'L', 'U', 'S', 0, 0};

	(void)state;
	for (size_t len = 1; len <= sizeof all; len++)
		expect_passed(span_of(all, len), span_of("", 0), len);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(the_plus_mechanisms_are_taken_off),
		cmocka_unit_test(other_messages_and_lists_that_lie_pass_as_they_are),
		cmocka_unit_test(lengths_that_lie_end_the_editing),
		cmocka_unit_test(what_has_not_come_whole_is_held_back)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

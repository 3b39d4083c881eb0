/* Rows of COPY TO STDOUT taken apart: what the server writes (each line below was taken from one),
 * every truncation, one byte too many, lengths that lie. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka needs the above first */
#include <cmocka.h>

#include "protocol/copy_out.h"
#include "protocol/message.h"
#include <stdio.h>
#include <stdlib.h>

static const uint8_t binary_begin[] = "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0";
enum { BINARY_BEGIN = sizeof binary_begin - 1 };

static struct copy_reader reader_for(const struct copy_format *format, uint16_t columns)
{
	uint8_t body[64] = {format->kind == COPY_BINARY, 0, (uint8_t)columns};
	struct copy_reader r;

	assert_true(copy_begin(&r, format, span_of(body, 3 + 2 * (size_t)columns)));
	return r;
}

/* Values with | between them and NULL as itself; "BAD" if it is not understood. */
static const char *shown(enum copy_row kind, const struct buffer *row)
{
	static char text[512];
	struct reader values;
	size_t n = 0;
	uint16_t count;

	if (kind != COPY_ROW && kind != COPY_NAMES)
		return kind == COPY_BAD ? "BAD" : "NOTHING";
	assert_true(parse_data_row(buffer_span(row), &count, &values));
	text[0] = '\0';
	for (uint16_t i = 0; i < count; i++) {
		struct span v = read_value(&values);

		n += (size_t)snprintf(text + n, sizeof text - n, "%s%.*s", i ? "|" : "",
			v.data ? (int)v.len : 4, v.data ? (const char *)v.data : "NULL");
	}

	return text;
}

static const char *line(const struct copy_format *f, uint16_t columns, const char *text)
{
	static char out[512];
	struct copy_reader r = reader_for(f, columns);
	struct buffer row;

	buffer_init(&row, 4096);
	snprintf(out, sizeof out, "%s", shown(copy_next(&r, span_cstr(text), &row), &row));
	buffer_release(&row);

	return out;
}

static struct copy_format csv(char delimiter, char quote, char escape, const char *null)
{
	struct copy_format f = copy_format_default(COPY_CSV);

	f.delimiter = delimiter;
	f.quote = quote;
	f.escape = escape;
	strcpy(f.null_text, null);

	return f;
}

static struct copy_format text(char delimiter, const char *null)
{
	struct copy_format f = copy_format_default(COPY_TEXT);

	f.delimiter = delimiter;
	strcpy(f.null_text, null);

	return f;
}

static void lines_of_each_form_give_the_values(void **state)
{
	const struct {
		struct copy_format format;
		uint16_t columns;
		const char *line, *values;
	} rows[] = {
		{text('\t', "\\N"), 3, "1\tx\\\\y\\tz\t\\N\n", "1|x\\y\tz|NULL"},
		{text('\t', "\\N"), 1, "\n", ""},
		{text('\t', "\\N"), 2, "\t\n", "|"},
		{text('\t', "\\N"), 1, "\\\\N\n", "\\N"},
		{text('|', ""), 3, "a\\|b||c\n", "a|b|NULL|c"},
		{text('|', "NULL"), 2, "NULL|NULLS\n", "NULL|NULLS"},
		{text('\t', "\\N"), 0, "\n", ""},
		{csv(',', '"', '"', ""), 4, "1,,\"\",\"a,\"\"b\"\"\nc\"\n", "1|NULL||a,\"b\"\nc"},
		{csv(';', '\'', '\\', "-"), 3, "'it\\'s \\\\';-;'-'\n", "it's \\|NULL|-"},
		{csv(',', '"', '"', ""), 2, "\\N,a\"b\n", "\\N|a\"b"},
		{csv(',', '"', '"', ""), 0, "\n", ""},
		/* not of this form */
		{text('\t', "\\N"), 2, "1\n", "BAD"},
		{text('\t', "\\N"), 1, "1\t2\n", "BAD"},
		{text('\t', "\\N"), 1, "1", "BAD"},
		{text('\t', "\\N"), 1, "1\n2\n", "BAD"},
		{text('\t', "\\N"), 1, "1\\", "BAD"},
		{text('\t', "\\N"), 1, "1\\\n", "BAD"},
		{text('\t', "\\N"), 1, "", "BAD"},
		{csv(',', '"', '"', ""), 1, "\"a\n", "BAD"},
		{csv(',', '"', '"', ""), 1, "\"a\"b\n", "BAD"},
		{csv(',', '"', '"', ""), 1, "\"a\"", "BAD"},
		{csv(',', '"', '"', ""), 2, "\"a\"\n", "BAD"},
		{csv(',', '"', '"', ""), 1, "a,b\n", "BAD"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		print_message("%zu: %s", i, rows[i].line);
		assert_true(copy_format_valid(&rows[i].format));
		assert_string_equal(
			line(&rows[i].format, rows[i].columns, rows[i].line), rows[i].values);
	}
}

static void every_truncation_of_a_line_is_bad(void **state)
{
	static const char whole[] = "1,\"a\"\"b\",,x\n";
	struct copy_format f = copy_format_default(COPY_CSV);
	char cut[sizeof whole];

	(void)state;
	for (size_t n = 0; n < strlen(whole); n++) {
		memcpy(cut, whole, n);
		cut[n] = '\0';
		assert_string_equal(line(&f, 4, cut), "BAD");
	}
	assert_string_equal(line(&f, 4, whole), "1|a\"b|NULL|x");
}

static void a_header_is_names_and_no_row(void **state)
{
	struct copy_format f = csv(',', '"', '"', "n");
	struct copy_reader r;
	struct buffer row;

	(void)state;
	f.header = true;
	r = reader_for(&f, 2);
	buffer_init(&row, 100);
	assert_false(copy_done(&r));
	assert_int_equal(copy_next(&r, span_cstr("n,\"b,c\"\n"), &row), COPY_NAMES);
	assert_string_equal(shown(COPY_NAMES, &row), "n|b,c");
	assert_true(copy_done(&r));
	buffer_clear(&row);
	assert_int_equal(copy_next(&r, span_cstr("n,2\n"), &row), COPY_ROW);
	assert_string_equal(shown(COPY_ROW, &row), "NULL|2");
	buffer_release(&row);
}

/* begin: with the stream's header; then `body`. */
static enum copy_row binary(bool begin, const void *body, size_t len, struct buffer *row)
{
	struct copy_format f = copy_format_default(COPY_BINARY);
	struct copy_reader r = reader_for(&f, 2);
	uint8_t *data = malloc(BINARY_BEGIN + len); /* exact, for the sanitizer */
	enum copy_row kind;

	assert_non_null(data);
	memcpy(data, binary_begin, BINARY_BEGIN);
	memcpy(data + (begin ? BINARY_BEGIN : 0), body, len);
	r.started = !begin;
	kind = copy_next(&r, span_of(data, (begin ? BINARY_BEGIN : 0) + len), row);
	free(data);

	return kind;
}

static void a_binary_row_is_a_data_row(void **state)
{
	static const uint8_t tuple[] = {0, 2, 0, 0, 0, 3, 'a', 0, 'b', 0xFF, 0xFF, 0xFF, 0xFF};
	static const uint8_t trailer[] = {0xFF, 0xFF}, liar[] = {0, 2, 0x7F, 0xFF, 0xFF, 0xFF, 0};
	struct buffer row;

	(void)state;
	buffer_init(&row, 100);
	for (int begin = 0; begin < 2; begin++) {
		for (size_t n = 0; n < sizeof tuple; n++) {
			buffer_clear(&row);
			assert_int_equal(
				binary(begin, tuple, n, &row), n == 0 ? COPY_NOTHING : COPY_BAD);
		}
		buffer_clear(&row);
		assert_int_equal(binary(begin, tuple, sizeof tuple, &row), COPY_ROW);
		assert_int_equal(row.len, sizeof tuple);
		assert_memory_equal(row.data, tuple, sizeof tuple);
		assert_int_equal(binary(begin, trailer, 2, &row), COPY_NOTHING);
		assert_int_equal(binary(begin, liar, sizeof liar, &row), COPY_BAD);
		assert_int_equal(binary(begin, "\0\3\0\0\0\0\0\0\0\0\0\0\0\0", 14, &row), COPY_BAD);
	}
	buffer_release(&row);
}

static void a_binary_stream_begins_and_ends(void **state)
{
	struct copy_format f = copy_format_default(COPY_BINARY);
	struct copy_reader r = reader_for(&f, 1);
	uint8_t odd[BINARY_BEGIN];
	struct buffer row;

	(void)state;
	buffer_init(&row, 100);
	for (size_t n = 0; n < BINARY_BEGIN; n++) {
		r = reader_for(&f, 1);
		assert_int_equal(copy_next(&r, span_of(binary_begin, n), &row), COPY_BAD);
	}
	for (size_t i = 0; i < BINARY_BEGIN; i++) { /* another signature, flag or extension */
		memcpy(odd, binary_begin, BINARY_BEGIN);
		odd[i] ^= 0x10;
		r = reader_for(&f, 1);
		assert_int_equal(copy_next(&r, span_of(odd, BINARY_BEGIN), &row), COPY_BAD);
	}
	r = reader_for(&f, 1);
	assert_int_equal(copy_next(&r, span_of(binary_begin, BINARY_BEGIN), &row), COPY_NOTHING);
	assert_false(copy_done(&r));
	assert_int_equal(copy_next(&r, span_cstr("\xFF\xFF"), &row), COPY_NOTHING);
	assert_true(copy_done(&r));
	assert_int_equal(copy_next(&r, span_cstr("\xFF\xFF"), &row), COPY_BAD);
	buffer_release(&row);
}

static void a_copy_begins_in_the_form_that_was_asked_for(void **state)
{
	static const uint8_t body[] = {0, 0, 1, 0, 0, 0};
	struct copy_format lines = copy_format_default(COPY_TEXT),
			   bytes = copy_format_default(COPY_BINARY);
	struct copy_reader r;

	(void)state;
	assert_true(copy_begin(&r, &lines, span_of(body, 5)));
	assert_int_equal(r.columns, 1);
	assert_false(copy_begin(&r, &bytes, span_of(body, 5)));
	for (size_t n = 0; n < 5; n++)
		assert_false(copy_begin(&r, &lines, span_of(body, n)));
	assert_false(copy_begin(&r, &lines, span_of(body, 6)));
	assert_int_equal(copy_next(&r, (struct span){0}, NULL), COPY_BAD);
}

static void what_the_server_refuses_is_not_valid(void **state)
{
	const struct copy_format rows[] = {text('a', ""), text('.', ""), text('\\', ""),
		text('\n', ""), text('|', "a|"), text('|', "a\n"), csv('"', '"', '"', ""),
		csv(',', '\n', '"', ""), csv(',', '"', '\r', ""), csv(',', '"', '"', "\""),
		csv(',', '"', '"', ",")};
	struct copy_format binary_header = copy_format_default(COPY_BINARY);

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		assert_false(copy_format_valid(&rows[i]));
	assert_true(copy_format_valid(&binary_header));
	binary_header.header = true;
	assert_false(copy_format_valid(&binary_header));
}

static void the_value_that_looks_like_null_is_known(void **state)
{
	const struct {
		struct copy_format format;
		const char *value; /* NULL: none */
	} rows[] = {{text('\t', "\\N"), NULL}, {text('\t', ""), ""}, {text('\t', "NULL"), "NULL"},
		{text('\t', "\\n"), "\n"}, {text('\t', "\\\\"), "\\"}, {text('\t', "\\"), NULL},
		{text('\t', "\\x"), NULL}, {csv(',', '"', '"', ""), NULL},
		{copy_format_default(COPY_BINARY), NULL}};
	char value[COPY_NULL_MAX + 1];

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		assert_int_equal(copy_null_value(&rows[i].format, value), rows[i].value != NULL);
		if (rows[i].value)
			assert_string_equal(value, rows[i].value);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_of_each_form_give_the_values),
		cmocka_unit_test(every_truncation_of_a_line_is_bad),
		cmocka_unit_test(a_header_is_names_and_no_row),
		cmocka_unit_test(a_binary_row_is_a_data_row),
		cmocka_unit_test(a_binary_stream_begins_and_ends),
		cmocka_unit_test(a_copy_begins_in_the_form_that_was_asked_for),
		cmocka_unit_test(what_the_server_refuses_is_not_valid),
		cmocka_unit_test(the_value_that_looks_like_null_is_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

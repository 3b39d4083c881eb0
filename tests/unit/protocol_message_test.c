#include "protocol/message.h"

#include "protocol/framer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* Every parser behind one face, so that each gets the same habits: the good body is accepted, every
 * truncation and one byte too many are refused. */
static bool read_parse(struct span body)
{
	struct parse_message m;

	return parse_parse(body, &m);
}

static bool read_bind(struct span body)
{
	struct bind_message m;

	return parse_bind(body, &m);
}

static bool read_execute(struct span body)
{
	struct execute_message m;

	return parse_execute(body, &m);
}

static bool read_target(struct span body)
{
	struct target_message m;

	return parse_target(body, &m);
}

static bool read_query(struct span body)
{
	struct span sql;

	return parse_query(body, &sql);
}

static bool read_row_description(struct span body)
{
	struct reader columns;
	uint16_t n;

	return parse_row_description(body, &n, &columns);
}

static bool read_parameter_description(struct span body)
{
	struct span oids;
	uint16_t n;

	return parse_parameter_description(body, &n, &oids);
}

static bool read_data_row(struct span body)
{
	struct reader values;
	uint16_t n;

	return parse_data_row(body, &n, &values);
}

static bool read_command_complete(struct span body)
{
	struct span tag;

	return parse_command_complete(body, &tag);
}

static bool read_parameter_status(struct span body)
{
	struct span name, value;

	return parse_parameter_status(body, &name, &value);
}

static bool read_error_fields(struct span body)
{
	struct error_fields fields;

	return parse_error_fields(body, &fields);
}

static bool read_startup(struct span body)
{
	struct startup_message m;

	return parse_startup(body, &m);
}

#define BODY(text) span_of(text, sizeof(text) - 1)

static const char PARSE[] = "st\0select $1\0\0\1\0\0\0\27";
static const char BIND[] = "po\0st\0\0\1\0\1\0\3\0\0\0\2ab\xff\xff\xff\xff\0\0\0\0\0\2\0\0\0\1";
static const char COLUMNS[] = "\0\2a\0\0\0\1\2\0\3\0\0\0\27\0\4\xff\xff\xff\xff\0\1"
			      "\0\0\0\0\0\0\0\0\0\0\31\xff\xff\0\0\0\5\0\0";
static const char STARTUP[] = "\0\3\0\0user\0joe\0database\0\0";

static const struct sample {
	const char *name;
	bool (*read)(struct span body);
	struct span body;
} samples[] = {
	{"Parse", read_parse, {(const uint8_t *)PARSE, sizeof PARSE - 1}},
	{"Bind", read_bind, {(const uint8_t *)BIND, sizeof BIND - 1}},
	{"Execute", read_execute, {(const uint8_t *)"po\0\0\0\0\2", 7}},
	{"Describe", read_target, {(const uint8_t *)"Sst", 4}},
	{"Close", read_target, {(const uint8_t *)"P", 2}},
	{"Query", read_query, {(const uint8_t *)"select 1", 9}},
	{"RowDescription", read_row_description, {(const uint8_t *)COLUMNS, sizeof COLUMNS - 1}},
	{"no columns", read_row_description, {(const uint8_t *)"\0", 2}},
	{"ParameterDescription", read_parameter_description,
		{(const uint8_t *)"\0\2\0\0\0\27\0\0\0\31", 10}},
	{"DataRow", read_data_row, {(const uint8_t *)"\0\2\0\0\0\1x\xff\xff\xff\xff", 11}},
	{"empty DataRow", read_data_row, {(const uint8_t *)"\0", 2}},
	{"CommandComplete", read_command_complete, {(const uint8_t *)"SELECT 1", 9}},
	{"ParameterStatus", read_parameter_status, {(const uint8_t *)"TimeZone\0UTC", 13}},
	{"ErrorResponse", read_error_fields,
		{(const uint8_t *)"SFEHLER\0VERROR\0C22012\0Mno\0", 27}},
	{"bare ErrorResponse", read_error_fields, {(const uint8_t *)"", 1}},
	{"StartupMessage", read_startup, {(const uint8_t *)STARTUP, sizeof STARTUP}},
};

enum { SAMPLES = sizeof samples / sizeof samples[0] };

/* A block of exactly n bytes: a read past them is seen by ASan. */
static bool read_copy(const struct sample *sample, const uint8_t *bytes, size_t n)
{
	uint8_t *copy = malloc(n ? n : 1);
	bool good;

	assert_non_null(copy);
	memcpy(copy, bytes, n);
	good = sample->read(span_of(copy, n));
	free(copy);

	return good;
}

static void the_good_message_is_accepted(void **state)
{
	(void)state;
	for (size_t i = 0; i < SAMPLES; i++)
		if (!read_copy(&samples[i], samples[i].body.data, samples[i].body.len))
			fail_msg("%s was refused", samples[i].name);
}

static void every_truncation_is_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < SAMPLES; i++)
		for (size_t n = 0; n < samples[i].body.len; n++)
			if (read_copy(&samples[i], samples[i].body.data, n))
				fail_msg("%s of %zu bytes was accepted", samples[i].name, n);
}

static void one_byte_too_many_is_refused(void **state)
{
	uint8_t longer[200];

	(void)state;
	for (size_t i = 0; i < SAMPLES; i++) {
		memcpy(longer, samples[i].body.data, samples[i].body.len);
		for (int last = 0; last < 2; last++) {
			longer[samples[i].body.len] = (uint8_t)last;
			if (read_copy(&samples[i], longer, samples[i].body.len + 1))
				fail_msg("%s with one byte more was accepted", samples[i].name);
		}
	}
}

static void lengths_and_counts_that_lie_are_refused(void **state)
{
	static const char *const lies[] = {
		"\0\0\0\2", "\x7f\xff\xff\xff", "\x80\0\0\0", "\xff\xff\xff\xfe"};
	uint8_t row[7] = {0, 1, 0, 0, 0, 0, 'x'};

	(void)state;
	for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
		memcpy(row + 2, lies[i], 4);
		assert_false(read_data_row(span_of(row, sizeof row)));
	}
	assert_false(read_data_row(BODY("\xff\xff")));
	assert_false(read_row_description(BODY("\xff\xff")));
	assert_false(read_parameter_description(BODY("\xff\xff\0\0\0\1")));
	assert_false(read_parse(BODY("\0\0\xff\xff")));
	assert_false(read_bind(BODY("\0\0\0\0\xff\xff\0\0")));
	assert_false(read_bind(BODY("\0\0\xff\xff\0\0\0\0")));
}

static void absent_bodies_are_refused(void **state)
{
	uint8_t status;

	(void)state;
	for (size_t i = 0; i < SAMPLES; i++)
		assert_false(samples[i].read((struct span){0}));
	assert_false(parse_ready((struct span){0}, &status));
}

static void bind_gives_its_arrays(void **state)
{
	struct bind_message m;
	struct reader r;

	(void)state;
	assert_true(parse_bind(BODY(BIND), &m));
	assert_true(span_is(m.portal, "po"));
	assert_true(span_is(m.statement, "st"));
	assert_int_equal(m.nparam_formats, 1);
	assert_int_equal(m.param_formats.len, 2);
	assert_int_equal(m.nparams, 3);
	assert_int_equal(m.nresult_formats, 2);
	assert_int_equal(m.result_formats.len, 4);
	r = reader_over(m.params);
	assert_true(span_is(read_value(&r), "ab"));
	assert_null(read_value(&r).data);
	assert_true(span_is(read_value(&r), ""));
	assert_true(reader_done(&r));
}

static void row_description_gives_its_columns(void **state)
{
	struct reader columns;
	struct column column;
	uint16_t n;

	(void)state;
	assert_true(parse_row_description(BODY(COLUMNS), &n, &columns));
	assert_int_equal(n, 2);
	assert_true(read_column(&columns, &column));
	assert_true(span_is(column.name, "a"));
	assert_int_equal(column.table_oid, 0x102);
	assert_int_equal(column.attribute, 3);
	assert_int_equal(column.type_oid, 23);
	assert_int_equal(column.type_length, 4);
	assert_int_equal(column.typmod, -1);
	assert_int_equal(column.format, 1);
	assert_true(read_column(&columns, &column));
	assert_true(span_is(column.name, ""));
	assert_int_equal(column.type_length, -1);
	assert_int_equal(column.typmod, 5);
	assert_false(read_column(&columns, &column));
}

static void error_fields_are_found_in_any_order(void **state)
{
	struct error_fields fields;
	char sqlstate[6];

	(void)state;
	assert_true(parse_error_fields(
		BODY("Hhint\0SFEHLER\0Ddetail\0Xunknown\0C22012\0VERROR\0Mmessage\0\0"), &fields));
	assert_true(span_is(fields.severity, "ERROR"));
	assert_true(span_is(fields.sqlstate, "22012"));
	assert_true(span_is(fields.message, "message"));
	assert_true(span_is(fields.detail, "detail"));
	assert_true(span_is(fields.hint, "hint"));
	assert_true(copy_sqlstate(fields.sqlstate, sqlstate));
	assert_string_equal(sqlstate, "22012");

	assert_true(parse_error_fields(BODY("SFATAL\0\0"), &fields));
	assert_true(span_is(fields.severity, "FATAL"));
	assert_null(fields.sqlstate.data);
	assert_false(copy_sqlstate(fields.sqlstate, sqlstate));
	assert_string_equal(sqlstate, "");
	assert_false(copy_sqlstate(span_cstr("123456"), sqlstate));
	assert_false(copy_sqlstate(span_cstr("1234"), sqlstate));
}

static void ready_may_be_longer(void **state)
{
	uint8_t status;

	(void)state;
	assert_true(parse_ready(BODY("T"), &status));
	assert_int_equal(status, 'T');
	assert_true(parse_ready(BODY("Elsn=0/1"), &status));
	assert_int_equal(status, 'E');
	assert_false(parse_ready(BODY(""), &status));
}

static void describe_of_nothing_known_is_refused(void **state)
{
	(void)state;
	assert_false(read_target(BODY("Xname\0")));
	assert_false(read_target(BODY("\0\0")));
}

static void startup_parameters_are_iterated(void **state)
{
	struct startup_message m;
	struct span name, value, rest;

	(void)state;
	assert_true(parse_startup(span_of(STARTUP, sizeof STARTUP), &m));
	assert_int_equal(m.code, PROTOCOL_3_0);
	rest = m.parameters;
	assert_true(next_parameter(&rest, &name, &value));
	assert_true(span_is(name, "user"));
	assert_true(span_is(value, "joe"));
	assert_true(next_parameter(&rest, &name, &value));
	assert_true(span_is(name, "database"));
	assert_true(span_is(value, ""));
	assert_false(next_parameter(&rest, &name, &value));
	assert_false(next_parameter(&rest, &name, &value));
}

static void other_startup_codes_keep_their_payload_to_themselves(void **state)
{
	struct startup_message m;

	(void)state;
	assert_true(parse_startup(BODY("\x04\xd2\x16\x2f"), &m));
	assert_int_equal(m.code, PROTOCOL_SSL);
	assert_null(m.parameters.data);
	assert_true(parse_startup(BODY("\x04\xd2\x16\x2e\0\0\0\1secret"), &m));
	assert_int_equal(m.code, PROTOCOL_CANCEL);
	assert_true(parse_startup(BODY("\x04\xd2\x16\x30"), &m));
	assert_int_equal(m.code, PROTOCOL_GSSENC);
	assert_true(parse_startup(BODY("\0\2\0\0x"), &m));
	assert_int_equal(m.code >> 16, 2);
	assert_true(parse_startup(BODY("\0\3\0\2\0"), &m));
	assert_int_equal(m.parameters.len, 0);
	assert_non_null(m.parameters.data);
}

/* What the builders write, the framer and the parsers read. */
static void what_is_built_can_be_parsed(void **state)
{
	const struct span params[] = {span_cstr("ab"), {0}, span_cstr("")};
	const uint32_t types[] = {23, 25, 0x12345678};
	const uint16_t formats[] = {0, 1};
	static const char letters[] = "QPBDCESEZ";
	struct assembler a;
	struct bind_message bind;
	struct parse_message parse;
	struct message m;
	struct buffer b;
	struct span input;
	size_t n = 0;

	(void)state;
	buffer_init(&b, 10000);
	build_query(&b, "select 1");
	build_parse(&b, span_cstr("st"), span_cstr("select $1"), 3, types);
	build_bind(&b, span_cstr("po"), span_cstr("st"), 2, formats, 3, params, 1, formats + 1);
	build_describe(&b, 'S', span_cstr("st"));
	build_close(&b, 'P', span_cstr("po"));
	build_execute(&b, span_cstr("po"), 5);
	build_simple(&b, FRONT_SYNC);
	build_error(&b, "FATAL", "57P01", "going down", NULL, "wait");
	build_ready(&b, 'T');
	assert_false(b.failed);

	assembler_init(&a, 1000);
	input = buffer_span(&b);
	while (assembler_next(&a, &input, &m) == ASSEMBLE_MESSAGE) {
		assert_int_equal(m.type, letters[n]);
		switch (n++) {
		case 0: assert_true(read_query(m.body)); break;
		case 1:
			assert_true(parse_parse(m.body, &parse));
			assert_int_equal(parse.nparams, 3);
			assert_memory_equal(
				parse.param_types.data, "\0\0\0\27\0\0\0\31\x12\x34\x56\x78", 12);
			break;
		case 2:
			assert_true(parse_bind(m.body, &bind));
			assert_memory_equal(bind.param_formats.data, "\0\0\0\1", 4);
			assert_memory_equal(bind.params.data, "\0\0\0\2ab\xff\xff\xff\xff\0\0\0\0",
				bind.params.len);
			assert_memory_equal(bind.result_formats.data, "\0\1", 2);
			break;
		case 3:
		case 4: assert_true(read_target(m.body)); break;
		case 5: assert_true(read_execute(m.body)); break;
		case 6: assert_int_equal(m.body.len, 0); break;
		case 7:
			assert_true(span_equal(
				m.body, BODY("SFATAL\0VFATAL\0C57P01\0Mgoing down\0Hwait\0\0")));
			break;
		default: assert_true(span_is(m.body, "T")); break;
		}
	}
	assert_int_equal(n, sizeof letters - 1);
	assembler_release(&a);
	buffer_release(&b);
}

static void a_message_without_room_is_taken_back_whole(void **state)
{
	const struct span params[] = {span_cstr("ab")};
	struct buffer b;

	(void)state;
	for (size_t limit = 5; limit <= 5 + 19; limit++) {
		buffer_init(&b, limit);
		build_simple(&b, FRONT_SYNC);
		build_bind(&b, span_cstr(""), span_cstr(""), 0, NULL, 1, params, 0, NULL);
		assert_int_equal(b.failed, limit < 5 + 19);
		assert_int_equal(b.len, b.failed ? 5 : 5 + 19);
		buffer_release(&b);
	}
	buffer_init(&b, 10);
	build_parse(&b, span_cstr("st"), span_cstr("select $1"), 0, NULL);
	assert_true(b.failed);
	assert_int_equal(b.len, 0);
	buffer_release(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_good_message_is_accepted),
		cmocka_unit_test(every_truncation_is_refused),
		cmocka_unit_test(one_byte_too_many_is_refused),
		cmocka_unit_test(lengths_and_counts_that_lie_are_refused),
		cmocka_unit_test(absent_bodies_are_refused),
		cmocka_unit_test(bind_gives_its_arrays),
		cmocka_unit_test(row_description_gives_its_columns),
		cmocka_unit_test(error_fields_are_found_in_any_order),
		cmocka_unit_test(ready_may_be_longer),
		cmocka_unit_test(describe_of_nothing_known_is_refused),
		cmocka_unit_test(startup_parameters_are_iterated),
		cmocka_unit_test(other_startup_codes_keep_their_payload_to_themselves),
		cmocka_unit_test(what_is_built_can_be_parsed),
		cmocka_unit_test(a_message_without_room_is_taken_back_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

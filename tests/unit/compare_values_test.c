/* Equality by type: V1 to V3 of compare/values.h, each setting by itself, in text and binary. */
#include "tests/unit/compare_fixture.h"

#include "compare/canonical.h"
#include "compare/json_form.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define BYTES(literal) span_of(literal, sizeof(literal) - 1)

enum { DOMAIN = 20001, PRICES = 20002, SPAN = 20003, ITEM = 20004, FAR = 10000 };

static struct value_rules values;
static uint64_t summed;
static struct comparison out;

static const char *type_name(void *self, uint32_t oid)
{
	static const char *const names[] = {"s.price", "s._price", "s.span", "s.item"};
	uint32_t at = oid - DOMAIN - (self ? FAR : 0);

	return at < 4 ? names[at] : NULL;
}

static enum type_build type_build(void *self, uint32_t oid, uint32_t *inner)
{
	uint32_t shift = self ? FAR : 0;

	*inner = 0;
	switch (oid - shift) {
	case DOMAIN: *inner = 1700; return TYPE_DOMAIN;
	case PRICES: *inner = DOMAIN + shift; return TYPE_ARRAY;
	case SPAN: *inner = 1700; return TYPE_RANGE;
	case ITEM: return TYPE_COMPOSITE;
	default: return TYPE_SIMPLE;
	}
}

/* s.item is (s.price, text) */
static uint32_t type_field(void *self, uint32_t oid, unsigned n)
{
	uint32_t shift = self ? FAR : 0;

	if (oid != ITEM + shift)
		return 0;

	return n == 0 ? DOMAIN + shift : n == 1 ? 25 : 0;
}

static void add_row(struct result *r, unsigned n, const struct span *cells)
{
	struct buffer b;

	buffer_init(&b, 1 << 16);
	buffer_add_u16(&b, (uint16_t)n);
	for (unsigned i = 0; i < n; i++) {
		buffer_add_u32(&b, cells[i].data ? (uint32_t)cells[i].len : UINT32_MAX);
		buffer_add_span(&b, cells[i]);
	}
	result_row(r, buffer_span(&b));
	buffer_release(&b);
}

static struct compare_rules rules_now(void)
{
	static int candidate;

	return (struct compare_rules){.values = &values,
		.summed = summed,
		.primary_types = {type_name, NULL, type_build, type_field},
		.candidate_types = {type_name, &candidate, type_build, type_field}};
}

static struct compare_rules mirrored(struct compare_rules rules)
{
	struct type_names names = rules.primary_types;

	rules.primary_types = rules.candidate_types;
	rules.candidate_types = names;

	return rules;
}

/* Compares both ways, and ends both results. */
static void compare_now(struct result *p, struct result *c, struct compare_rules rules)
{
	struct compare_rules back = mirrored(rules);
	struct comparison other;

	result_complete(p, span_cstr("SELECT"));
	result_complete(c, span_cstr("SELECT"));
	compare_results(p, c, &rules, &out);
	compare_results(c, p, &back, &other);
	assert_int_equal(out.equal, other.equal);
	assert_int_equal(out.widened, other.widened);
	assert_int_equal(out.order_ambiguous, other.order_ambiguous);
	result_release(p);
	result_release(c);
}

static void compare_cells(const char *columns, const char *there, struct span a, struct span b)
{
	struct result p, c;

	fixture_result(&p, columns);
	fixture_result(&c, there);
	add_row(&p, 1, &a);
	add_row(&c, 1, &b);
	compare_now(&p, &c, rules_now());
}

/* The two are equal by this widening, and by nothing else. */
static void equal_by(const char *column, struct span a, struct span b, enum widening w)
{
	struct value_rules wide = values;

	compare_cells(column, column, a, b);
	assert_true(out.equal);
	assert_int_equal(out.widened, WIDENING_BIT(w));
	values = (struct value_rules){.float_aggregates = true};
	summed = 0;
	compare_cells(column, column, a, b);
	assert_false(out.equal);
	values = wide;
}

static void text_equal_by(const char *column, const char *a, const char *b, enum widening w)
{
	equal_by(column, span_cstr(a), span_cstr(b), w);
}

static void text_differs(const char *column, const char *a, const char *b)
{
	compare_cells(column, column, span_cstr(a), span_cstr(b));
	assert_false(out.equal);
	assert_int_equal(out.widened, 0);
}

static void binary_differs(const char *column, struct span a, struct span b)
{
	compare_cells(column, column, a, b);
	assert_false(out.equal);
}

static void numerics_may_differ_in_scale(void **state)
{
	(void)state;
	values = (struct value_rules){.numeric_scale = true};
	text_equal_by("n:1700", "1.0", "1.00", WIDENING_NUMERIC_SCALE);
	text_equal_by("n:1700", "100", "100.000", WIDENING_NUMERIC_SCALE);
	text_differs("n:1700", "100", "1");
	text_differs("n:1700", "1.01", "1.1");
	text_differs("n:1700", "NaN", "0");
	equal_by("n:1700:-1:1", BYTES("\0\1\0\0\0\0\0\1\0\1"), BYTES("\0\2\0\0\0\0\0\6\0\1\0\0"),
		WIDENING_NUMERIC_SCALE);
	binary_differs("n:1700:-1:1", BYTES("\0\1\0\0\0\0\0\1\0\1"),
		BYTES("\0\1\0\0\x40\0\0\1\0\1")); /* the sign */
	binary_differs("n:1700:-1:1", BYTES("\0\1\0\0\0\0\0\1\0\1"),
		BYTES("\0\1\0\1\0\0\0\1\0\1")); /* the weight */
	binary_differs("n:1700:-1:1", BYTES("\0\1\0\0\0\0\0\1\0\1"), BYTES("\0\1\0\0"));
	text_equal_by("a:1231", "{1.0,NULL,\"2.50\"}", "{1.00,NULL,2.5}", WIDENING_NUMERIC_SCALE);
	text_differs("a:1231", "{1.0,NULL}", "{NULL,1.0}");
	text_differs("a:1231", "{{1.0},{2}}", "{1.0,2}");
	text_differs("a:1231", "[0:0]={1.0}", "{1.00}");
	text_differs("a:1231", "{1.0", "{1.00");
	text_equal_by("r:3906", "[1.0,)", "[1.00,)", WIDENING_NUMERIC_SCALE);
	text_differs("r:3906", "[1.0,2)", "[1.00,2]");
	text_differs("r:3906", "empty", "[1.0,2]");
	text_equal_by("m:4532", "{[1.0,2),[3,4.50)}", "{[1,2),[3,4.5)}", WIDENING_NUMERIC_SCALE);
	text_differs("t:25", "1.0", "1.00"); /* a text is none */
	compare_cells("n:1700:1310726", "n:1700:1310728", span_cstr("1.00"), span_cstr("1.0000"));
	assert_true(out.equal); /* numeric(20,2) and numeric(20,4) */
	assert_int_equal(out.widened, WIDENING_BIT(WIDENING_NUMERIC_SCALE));
}

static void floats_may_be_near(void **state)
{
	(void)state;
	values = (struct value_rules){.float_tolerance = 1e-6};
	text_equal_by("f:701", "1", "1.0000001", WIDENING_FLOAT_TOLERANCE);
	text_equal_by("f:701", "0", "-0", WIDENING_FLOAT_TOLERANCE);
	text_differs("f:701", "1", "1.00001");
	text_differs("f:701", "1", "-1");
	text_differs("f:701", "NaN", "1");
	text_differs("f:701", "Infinity", "-Infinity");
	text_differs("f:701", "1", "1x");
	text_equal_by("a:1022", "{1,2}", "{1,2.0000001}", WIDENING_FLOAT_TOLERANCE);
	text_differs("n:1700", "1", "1.0000001");
	values = (struct value_rules){.float_ulp = 1};
	equal_by("f:701:-1:1", BYTES("\x3f\xf0\0\0\0\0\0\0"), BYTES("\x3f\xf0\0\0\0\0\0\1"),
		WIDENING_FLOAT_ULP);
	equal_by("f:701:-1:1", BYTES("\x3f\xf0\0\0\0\0\0\0"),
		BYTES("\x3f\xef\xff\xff\xff\xff\xff\xff"), WIDENING_FLOAT_ULP);
	binary_differs("f:701:-1:1", BYTES("\x3f\xf0\0\0\0\0\0\0"), BYTES("\x3f\xf0\0\0\0\0\0\2"));
	equal_by("f:700:-1:1", BYTES("\x3f\x80\0\0"), BYTES("\x3f\x80\0\1"), WIDENING_FLOAT_ULP);
	binary_differs("f:700:-1:1", BYTES("\x3f\x80\0\0"), BYTES("\x3f\x80\0\2"));
	text_equal_by("f:700", "0.1", "0.10000001", WIDENING_FLOAT_ULP);
	text_equal_by(
		"f:701", "0.1", "0.10000000000000001", WIDENING_FLOAT_ULP); /* the same float */
}

static void only_float_aggregates_get_what_summation_explains(void **state)
{
	(void)state;
	values = (struct value_rules){.float_aggregates = true};
	summed = 1;
	text_equal_by("s:701", "1234.5678901234", "1234.5678901235", WIDENING_FLOAT_AGGREGATES);
	summed = 1;
	text_differs("s:701", "1234.5678", "1234.5679");
	summed = 1;
	text_differs("s:1700", "1234.5678901234", "1234.5678901235");
	summed = 2;
	text_differs("s:701", "1234.5678901234", "1234.5678901235");
	summed = 1;
	text_equal_by("s:700", "1234.56", "1234.57", WIDENING_FLOAT_AGGREGATES);
	summed = 0;
}

static void times_may_differ_in_what_does_not_count(void **state)
{
	(void)state;
	values = (struct value_rules){.time_unit_us = 1000};
	text_equal_by("t:1114", "2024-01-01 12:00:00.123456", "2024-01-01 12:00:00.123",
		WIDENING_TIMESTAMP_PRECISION);
	text_equal_by("t:1114", "2023-12-31 23:59:59.9999", "2024-01-01 00:00:00",
		WIDENING_TIMESTAMP_PRECISION);
	text_differs("t:1114", "2024-01-01 12:00:00.123", "2024-01-01 12:00:00.124");
	text_differs("t:1114", "infinity", "2024-01-01 12:00:00.124");
	text_equal_by("t:1184", "2024-01-01 12:00:00.1234+02", "2024-01-01 12:00:00.123+02",
		WIDENING_TIMESTAMP_PRECISION);
	text_differs("t:1184", "2024-01-01 12:00:00.123+02", "2024-01-01 11:00:00.123+01");
	text_equal_by("t:1083", "12:00:00.1234", "12:00:00.123", WIDENING_TIMESTAMP_PRECISION);
	equal_by("t:1184:-1:1", BYTES("\0\0\0\0\0\0\0\1"), BYTES("\0\0\0\0\0\0\0\2"),
		WIDENING_TIMESTAMP_PRECISION);
	binary_differs("t:1184:-1:1", BYTES("\0\0\0\0\0\0\0\0"), BYTES("\0\0\0\0\0\0\3\xe8"));
	values = (struct value_rules){.timestamptz = true};
	text_equal_by("t:1184", "2024-01-01 12:00:00.5+02", "2024-01-01 11:00:00.5+01",
		WIDENING_TIMESTAMPTZ);
	text_equal_by("t:1184", "2024-01-01 12:00:00+05:30", "2024-01-01 06:30:00+00",
		WIDENING_TIMESTAMPTZ);
	text_differs("t:1184", "2024-01-01 12:00:00+02", "2024-01-01 12:00:00+01");
	text_differs("t:1114", "2024-01-01 12:00:00", "2024-01-01 13:00:00");
	text_equal_by("r:3910", "[\"2024-01-01 12:00:00+02\",)", "[\"2024-01-01 11:00:00+01\",)",
		WIDENING_TIMESTAMPTZ);
}

static void intervals_may_be_equal_by_length(void **state)
{
	(void)state;
	values = (struct value_rules){.interval = true};
	text_equal_by("i:1186", "1 mon", "30 days", WIDENING_INTERVAL);
	text_equal_by("i:1186", "1 year 2 mons -3 days -04:05:06.7",
		"1 year 2 mons -3 days -04:05:06.70", WIDENING_INTERVAL);
	text_equal_by("i:1186", "1 day", "24:00:00", WIDENING_INTERVAL);
	text_differs("i:1186", "1 mon", "31 days");
	text_differs("i:1186", "P1M", "30 days");
	text_differs("i:1186", "1 fortnight", "14 days");
	equal_by("i:1186:-1:1", BYTES("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1"),
		BYTES("\0\0\0\0\0\0\0\0\0\0\0\x1e\0\0\0\0"), WIDENING_INTERVAL);
	binary_differs("i:1186:-1:1", BYTES("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1"),
		BYTES("\0\0\0\0\0\0\0\0\0\0\0\x1f\0\0\0\0"));
}

static void json_may_be_equal_by_value(void **state)
{
	(void)state;
	values = (struct value_rules){.json = true};
	text_equal_by("j:114", "{\"a\":1,\"b\":[true,null]}",
		"{ \"b\" : [true, null], \"a\": 1.0 }", WIDENING_JSON);
	text_equal_by("j:114", "\"\\u00e9\\n\"", "\"\xc3\xa9\\n\"", WIDENING_JSON);
	text_equal_by("j:114", "\"\\ud83d\\ude00\"", "\"\xf0\x9f\x98\x80\"", WIDENING_JSON);
	text_equal_by("j:114", "{\"a\":2,\"a\":1}", "{\"a\":1}", WIDENING_JSON);
	text_equal_by("j:114", "[100, 0.5, -0]", "[1e2, 5E-1, 0]", WIDENING_JSON);
	text_equal_by("j:3802", "{\"a\": 1.0}", "{\"a\": 1.00}", WIDENING_JSON);
	equal_by("j:3802:-1:1", BYTES("\1{\"a\": 1.0}"), BYTES("\1{\"a\": 1.00}"), WIDENING_JSON);
	text_differs("j:114", "{\"a\":1}", "{\"a\":2}");
	text_differs("j:114", "{\"a\":1}", "{\"b\":1}");
	text_differs("j:114", "{\"a\":1}", "{\"a\":\"1\"}");
	text_differs("j:114", "[1,2]", "[2,1]");
	text_differs("j:114", "[[1],2]", "[1,[2]]");
	text_differs("j:114", "{}", "[]");
	text_differs("j:114", "10000000000000000000001", "10000000000000000000002");
	text_differs("j:114", "0.1", "0.10000000000000000001");
	text_differs("j:114", "1e5", "1e6");
	text_differs("j:114", "\"\\u0000\"", "\"\\u0000 \"");
	text_differs("j:114", "{\"a\":1", "{\"a\": 1");
	text_differs("j:114", "01", "1");
	text_differs("j:114", "[1] x", "[1]");
	text_differs("t:25", "[1]", "[ 1 ]");
	text_equal_by("a:3807", "{\"{\\\"a\\\": 1.0}\"}", "{\"{\\\"a\\\": 1}\"}", WIDENING_JSON);
}

static void spellings_may_differ(void **state)
{
	(void)state;
	values = (struct value_rules){.bpchar = true};
	text_equal_by("c:1042", "ab  ", "ab", WIDENING_BPCHAR);
	text_differs("c:1042", "ab", "abc");
	text_differs("c:1043", "ab ", "ab");
	values = (struct value_rules){.bytea = true};
	text_equal_by("b:17", "\\x61005c", "a\\000\\\\", WIDENING_BYTEA);
	text_differs("b:17", "\\x6100", "a\\001");
	text_differs("b:17", "\\x6", "\\x60");
	text_differs("b:17", "a\\9", "a\\09");
	values = (struct value_rules){.uuid = true};
	text_equal_by("u:2950", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
		"{A0EEBC999C0B4EF8BB6D6BB9BD380A11}", WIDENING_UUID);
	text_differs("u:2950", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
		"A0EEBC999C0B4EF8BB6D6BB9BD380A12");
	values = (struct value_rules){.inet = true};
	text_equal_by("i:869", "10.0.0.1", "10.0.0.1/32", WIDENING_INET);
	text_equal_by("i:650", "2001:DB8::1/128", "2001:db8::1", WIDENING_INET);
	text_differs("i:869", "10.0.0.1", "10.0.0.1/24");
	text_differs("i:869", "2001:db8::1/32", "2001:db8::1");
}

static void user_types_are_decoded_by_name(void **state)
{
	/* an array of a domain over numeric; a record of it and an int4 */
	static const char here[] = "\0\0\0\1\0\0\0\0\0\0\x4e\x21\0\0\0\1\0\0\0\1"
				   "\0\0\0\x0a\0\1\0\0\0\0\0\1\0\1";
	static const char there[] = "\0\0\0\1\0\0\0\0\0\0\x75\x31\0\0\0\1\0\0\0\1"
				    "\0\0\0\x0a\0\1\0\0\0\0\0\2\0\1";
	static const char item[] = "\0\0\0\2\0\0\x4e\x21\0\0\0\x0a\0\1\0\0\0\0\0\1\0\1"
				   "\0\0\0\x17\0\0\0\4\0\0\0\7";
	static const char other[] = "\0\0\0\2\0\0\x75\x31\0\0\0\x0a\0\1\0\0\0\0\0\2\0\1"
				    "\0\0\0\x17\0\0\0\4\0\0\0\7";
	static const char span[] = "\2\0\0\0\x0a\0\1\0\0\0\0\0\1\0\1\0\0\0\x0a\0\1\0\0\0\0\0\1\0\2";
	static const char wide[] = "\2\0\0\0\x0a\0\1\0\0\0\0\0\2\0\1\0\0\0\x0a\0\1\0\0\0\0\0\1\0\2";

	(void)state;
	values = (struct value_rules){.numeric_scale = true};
	compare_cells("a:20002:-1:1", "a:30002:-1:1", BYTES(here), BYTES(there));
	assert_true(out.equal);
	assert_int_equal(out.widened, WIDENING_BIT(WIDENING_NUMERIC_SCALE));
	compare_cells("r:20004:-1:1", "r:30004:-1:1", BYTES(item), BYTES(other));
	assert_true(out.equal);
	compare_cells("s:20003:-1:1", "s:30003:-1:1", BYTES(span), BYTES(wide));
	assert_true(out.equal);
	compare_cells("a:20002", "a:30002", span_cstr("{1.0}"), span_cstr("{1}"));
	assert_true(out.equal);
	compare_cells("r:20004", "r:30004", span_cstr("(1.0,\"a \"\"b\"\"\")"),
		span_cstr("(1.00,\"a \"\"b\"\"\")"));
	assert_true(out.equal);
	compare_cells("r:20004", "r:30004", span_cstr("(1.0,)"), span_cstr("(1.00,)"));
	assert_true(out.equal);
	compare_cells("r:20004", "r:30004", span_cstr("(1.0,)"), span_cstr("(1.00,\"\")"));
	assert_false(out.equal); /* NULL and the empty text */
	compare_cells("r:20004", "r:30004", span_cstr("(1,1.0)"), span_cstr("(1,1.00)"));
	assert_false(out.equal); /* the second is a text */
	compare_cells("r:20004", "r:30004", span_cstr("(1.0,,)"), span_cstr("(1.00,,)"));
	assert_false(out.equal); /* a field too many: by its bytes */
	compare_cells("r:20004", "r:30004", span_cstr("(1.0)"), span_cstr("(1.00)"));
	assert_false(out.equal);	  /* one too few */
	values = (struct value_rules){0}; /* V1 */
	compare_cells("a:20002:-1:1", "a:30002:-1:1", BYTES(here), BYTES(there));
	assert_false(out.equal);
	compare_cells("r:20004:-1:1", "r:30004:-1:1", BYTES(item), BYTES(other));
	assert_false(out.equal);
	compare_cells("s:20003:-1:1", "s:30003:-1:1", BYTES(span), BYTES(wide));
	assert_false(out.equal);
	compare_cells("s:20003:-1:1", "s:30003:-1:1", BYTES(span), BYTES(span));
	assert_true(out.equal);
}

/* ---- rows ---- */

static void floats_find_their_rows_in_any_order(void **state)
{
	static const char *const p_text[] = {"1.0000001", "1.0", "5", "7"}, *const c_text[] = {
										    "7.0000001",
										    "1.0000002",
										    "5",
										    "1.0000009"};
	struct result p, c;

	(void)state;
	values = (struct value_rules){.float_tolerance = 1e-6};
	fixture_result(&p, "k:25 f:701");
	fixture_result(&c, "k:25 f:701");
	for (int i = 0; i < 4; i++) {
		add_row(&p, 2, (struct span[]){span_cstr("k"), span_cstr(p_text[i])});
		add_row(&c, 2, (struct span[]){span_cstr("k"), span_cstr(c_text[i])});
	}
	compare_now(&p, &c, rules_now());
	assert_true(out.equal);
	assert_int_equal(out.widened, WIDENING_BIT(WIDENING_FLOAT_TOLERANCE));
}

/* Sorted by their first floats, neither of the two rows has its partner at its own place. */
static void rows_of_several_floats_are_matched_in_every_way(void **state)
{
	struct result p, c;

	(void)state;
	values = (struct value_rules){.float_tolerance = 1e-3};
	fixture_result(&p, "f:701 g:701");
	fixture_result(&c, "f:701 g:701");
	add_row(&p, 2, (struct span[]){span_cstr("1.0001"), span_cstr("5")});
	add_row(&p, 2, (struct span[]){span_cstr("1.0002"), span_cstr("9")});
	add_row(&c, 2, (struct span[]){span_cstr("1.0001"), span_cstr("9")});
	add_row(&c, 2, (struct span[]){span_cstr("1.0002"), span_cstr("5")});
	compare_now(&p, &c, rules_now());
	assert_true(out.equal);
}

static void one_defect_among_near_rows_is_found_alone(void **state)
{
	struct compare_rules rules;
	struct result p, c;
	char k[8];

	(void)state;
	values = (struct value_rules){.float_tolerance = 1e-3};
	fixture_result(&p, "k:25 f:701");
	fixture_result(&c, "k:25 f:701");
	for (int i = 0; i < 9; i++) {
		snprintf(k, sizeof k, "%d", i);
		add_row(&p, 2, (struct span[]){span_cstr(k), span_cstr("5")});
		add_row(&c, 2, (struct span[]){span_cstr(k), span_cstr(i == 4 ? "6" : "5.0001")});
	}
	rules = rules_now();
	compare_now(&p, &c, rules);
	assert_false(out.equal);
	assert_int_equal(out.widened, 0);
	assert_string_equal(difference_class_name(out.class), "values");
}

static void a_wider_equality_keeps_the_order(void **state)
{
	struct compare_rules rules = rules_now();

	(void)state;
	values = (struct value_rules){.numeric_scale = true};
	rules.order = (struct order_rule){.ordered = true, .nkeys = 1};
	for (int swapped = 0; swapped < 2; swapped++) {
		struct result p, c;

		fixture_result(&p, "n:1700");
		fixture_result(&c, "n:1700");
		add_row(&p, 1, (struct span[]){span_cstr("1.0")});
		add_row(&p, 1, (struct span[]){span_cstr("2.0")});
		add_row(&c, 1, (struct span[]){span_cstr(swapped ? "2" : "1")});
		add_row(&c, 1, (struct span[]){span_cstr(swapped ? "1" : "2")});
		compare_now(&p, &c, rules);
		assert_int_equal(out.equal, !swapped);
		assert_string_equal(difference_class_name(out.class), swapped ? "order" : "");
	}
}

/* ---- the form of json ---- */

static void json_forms_have_limits(void **state)
{
	char deep[2 * JSON_FORM_DEPTH + 3];
	struct buffer b;

	(void)state;
	buffer_init(&b, 1 << 20);
	memset(deep, '[', JSON_FORM_DEPTH + 1);
	memset(deep + JSON_FORM_DEPTH + 1, ']', JSON_FORM_DEPTH + 1);
	assert_false(json_form(&b, span_of(deep, 2 * JSON_FORM_DEPTH + 2)));
	assert_true(json_form(&b, span_of(deep + 1, 2 * JSON_FORM_DEPTH)));
	buffer_clear(&b);
	for (size_t n = 0; n < 20; n++) /* every truncation, and nothing is left behind */
		assert_false(json_form(&b, span_of("{\"key\":[1,-2.5e1,{}]", n)));
	assert_int_equal(b.len, 0);
	assert_true(json_form(&b, span_cstr("{\"key\":[1,-2.5e1,{}]}")));
	buffer_release(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numerics_may_differ_in_scale),
		cmocka_unit_test(floats_may_be_near),
		cmocka_unit_test(only_float_aggregates_get_what_summation_explains),
		cmocka_unit_test(times_may_differ_in_what_does_not_count),
		cmocka_unit_test(intervals_may_be_equal_by_length),
		cmocka_unit_test(json_may_be_equal_by_value),
		cmocka_unit_test(spellings_may_differ),
		cmocka_unit_test(user_types_are_decoded_by_name),
		cmocka_unit_test(floats_find_their_rows_in_any_order),
		cmocka_unit_test(rows_of_several_floats_are_matched_in_every_way),
		cmocka_unit_test(one_defect_among_near_rows_is_found_alone),
		cmocka_unit_test(a_wider_equality_keeps_the_order),
		cmocka_unit_test(json_forms_have_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What the report makes of waivers, errors, re-checks and latencies. */
#include "compare/report.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct report *r;

static int begin(void **state)
{
	(void)state;
	r = report_new();
	report_begin_input(r, "a.log");

	return r ? 0 : -1;
}

static int end(void **state)
{
	(void)state;
	report_free(r);
	return 0;
}

static void add(const char *line)
{
	struct error error = {""};

	if (!report_add_line(r, span_cstr(line), &error))
		fail_msg("%s", error.text);
}

static json_t *render(void)
{
	struct buffer out;
	json_t *all;

	buffer_init(&out, 1 << 22);
	assert_true(report_json(r, &out));
	all = json_loadb((const char *)out.data, out.len, 0, NULL);
	assert_non_null(all);
	buffer_release(&out);

	return all;
}

static bool gate(const char *expression)
{
	struct error error = {""};
	bool passed;

	if (!report_gate(r, expression, &passed, &error))
		fail_msg("%s", error.text);

	return passed;
}

static const char *text(const json_t *object, const char *name)
{
	return json_string_value(json_object_get(object, name));
}

static json_int_t number(const json_t *object, const char *name)
{
	return json_integer_value(json_object_get(object, name));
}

#define START(ts, waiver)                                                                        \
	"{\"v\":1,\"kind\":\"start\",\"ts\":\"" ts "\",\"run\":\"r1\",\"version\":\"1\","        \
	"\"waivers\":[{\"name\":\"scale\",\"match\":\"*\",\"candidate\":\"\",\"columns\":\"a\"," \
	"\"accept\":\"values\",\"reason\":\"why\",\"owner\":\"ann\",\"expires\":\"" waiver "\"}]}"
#define BOOKS(ts, members)                                                                \
	"{\"v\":1,\"kind\":\"books\",\"ts\":\"" ts "\",\"run\":\"r1\",\"relayed\":0,"     \
	"\"observed\":0,\"frames\":{},\"on_tape\":0,\"candidates\":{\"new\":{\"seen\":4," \
	"\"matched\":3,\"mismatch\":1,\"pending\":0}}," members "}"

static void waivers_add_up_and_expire_with_the_latest_record(void **state)
{
	json_t *all, *waiver;

	(void)state;
	add(START("2026-03-01T00:00:00Z", "2026-03-31"));
	add(BOOKS("2026-03-31T23:59:59Z", "\"waivers\":{\"scale\":{\"hits\":3}}"));
	assert_true(gate("expired_waivers=0"));
	add(BOOKS("2026-04-01T00:00:00Z", "\"waivers\":{\"scale\":{\"hits\":2,\"expired\":5}}"));
	assert_false(gate("expired_waivers=0"));
	all = render();
	waiver = json_array_get(json_object_get(all, "waivers"), 0);
	assert_string_equal(text(waiver, "name"), "scale");
	assert_string_equal(text(waiver, "owner"), "ann");
	assert_int_equal(number(waiver, "hits"), 5);
	assert_int_equal(number(waiver, "expired_hits"), 5);
	assert_true(json_is_true(json_object_get(waiver, "expired")));
	json_decref(all);
}

static void errors_add_up_by_kind_most_frequent_first(void **state)
{
	json_t *all, *errors;

	(void)state;
	add(BOOKS("2026-03-01T00:00:01Z",
		"\"errors\":[{\"candidate\":\"new\",\"outcome\":\"mismatch\",\"primary\":\"\","
		"\"sqlstate\":\"42883\",\"count\":2},{\"candidate\":\"new\","
		"\"outcome\":\"candidate_failed\",\"primary\":\"\",\"sqlstate\":\"\",\"count\":3}"
		"]"));
	add(BOOKS("2026-03-01T00:00:02Z",
		"\"errors\":[{\"candidate\":\"new\",\"outcome\":\"mismatch\",\"primary\":\"\","
		"\"sqlstate\":\"42883\",\"count\":2},{\"candidate\":\"new\","
		"\"outcome\":\"mismatch\",\"primary\":\"42883\",\"sqlstate\":\"\",\"count\":1}]"));
	all = render();
	errors = json_object_get(all, "errors");
	assert_int_equal(json_array_size(errors), 3);
	assert_int_equal(number(json_array_get(errors, 0), "count"), 4);
	assert_string_equal(text(json_array_get(errors, 0), "group"), "missing_object");
	assert_string_equal(text(json_array_get(errors, 1), "group"), "connection");
	assert_string_equal(text(json_array_get(errors, 2), "primary"), "42883");
	json_decref(all);
}

#define SHAPE                                                                             \
	"\"shapes\":[{\"shape\":\"f\",\"normalized\":\"select 1\",\"candidate\":\"new\"," \
	"\"executions\":4,\"outcomes\":{\"matched\":3,\"mismatch\":1}}]"
#define DISCREPANCY(id)                                                                          \
	"{\"v\":1,\"kind\":\"discrepancy\",\"ts\":\"2026-03-01T00:00:00Z\",\"run\":\"r1\","      \
	"\"id\":\"" id "\",\"candidate\":\"new\",\"outcome\":\"mismatch\",\"class\":\"values\"," \
	"\"shape\":\"f\",\"normalized\":\"select 1\"}"
#define RESOLVED(id, ts) "{\"v\":1,\"kind\":\"resolved\",\"ts\":\"" ts "\",\"id\":\"" id "\"}"

static void what_differs_after_its_records_were_closed_is_open(void **state)
{
	(void)state;
	add(START("2026-03-01T00:00:00Z", "2999-01-01"));
	add(DISCREPANCY("one"));
	add(DISCREPANCY("two"));
	add(BOOKS("2026-03-01T00:00:10Z", SHAPE));
	assert_int_equal(report_open_mismatches(r), 2);
	add(RESOLVED("one", "2026-03-01T00:00:15Z"));
	assert_int_equal(report_open_mismatches(r), 1);
	add(RESOLVED("two", "2026-03-01T00:00:16Z"));
	assert_int_equal(report_open_mismatches(r), 0);
	/* what this one tells of may have been before the re-check */
	add(BOOKS("2026-03-01T00:00:20Z", SHAPE));
	assert_int_equal(report_open_mismatches(r), 0);
	/* this one not: it begins at 20 */
	add(BOOKS("2026-03-01T00:00:30Z", SHAPE));
	assert_int_equal(report_open_mismatches(r), 1);
	add(DISCREPANCY("three"));
	assert_int_equal(report_open_mismatches(r), 1);
	add(RESOLVED("three", "2026-03-01T00:00:40Z"));
	assert_int_equal(report_open_mismatches(r), 0);
}

/* Books that know which mismatches have a record. */
#define TOLD(ts, all, unlogged, repeated)                                                        \
	"{\"v\":1,\"kind\":\"books\",\"ts\":\"" ts "\",\"run\":\"r1\",\"candidates\":{\"new\":{" \
	"\"seen\":" all ",\"mismatch\":" all ",\"mismatch_unlogged\":" unlogged                  \
	",\"mismatch_repeated\":{" repeated "},\"pending\":0}},\"shapes\":[{\"shape\":\"f\","    \
	"\"normalized\":\"select 1\",\"candidate\":\"new\",\"executions\":" all                  \
	",\"mismatch_unlogged\":" unlogged ",\"outcomes\":{\"mismatch\":" all "}}]}"
#define AGAIN(id, count, last) "\"" id "\":{\"count\":" count ",\"last\":\"" last "\"}"

static void a_mismatch_without_a_record_stays_open_whatever_is_closed(void **state)
{
	json_t *all;

	(void)state;
	add(START("2026-03-01T00:00:00Z", "2999-01-01"));
	add(DISCREPANCY("one"));
	add(TOLD("2026-03-01T00:00:10Z", "4", "2", AGAIN("one", "1", "2026-03-01T00:00:09Z")));
	assert_int_equal(report_open_mismatches(r), 3); /* the record, and two that have none */
	add(RESOLVED("one", "2026-03-01T00:00:15Z"));
	assert_int_equal(report_open_mismatches(r), 2);
	assert_false(gate("open_mismatches=0"));
	add(TOLD("2026-03-01T00:00:20Z", "1", "1", "")); /* a shadow process later: it adds up */
	assert_int_equal(report_open_mismatches(r), 3);
	all = render();
	assert_int_equal(number(all, "open_mismatches"), 3);
	assert_int_equal(number(all, "unlogged_mismatches"), 3);
	assert_int_equal(
		number(json_array_get(json_object_get(all, "shapes"), 0), "mismatch_unlogged"), 3);
	json_decref(all);
}

static void expect_first_line(const char *start)
{
	struct buffer out;

	buffer_init(&out, 1 << 22);
	assert_true(report_text(r, &out));
	assert_true(out.len > strlen(start));
	assert_memory_equal(out.data, start, strlen(start));
	buffer_release(&out);
}

#define COUNTED(ts, counts)                                                             \
	"{\"v\":1,\"kind\":\"books\",\"ts\":\"" ts "\",\"run\":\"r1\",\"candidates\":{" \
	"\"new\":{\"seen\":9,\"matched\":3," counts "}}}"

static void the_first_line_tells_undecided_differences_from_none(void **state)
{
	json_t *all;

	(void)state;
	add(START("2026-03-01T00:00:00Z", "2999-01-01"));
	add(COUNTED("2026-03-01T00:00:10Z", "\"pending\":0"));
	expect_first_line("NO DIFFERENCE FOUND: 3 executions compared");
	add(COUNTED("2026-03-01T00:00:11Z", "\"pending\":2"));
	expect_first_line("NO MISMATCH, 2 READS PENDING: 6 executions");
	add(COUNTED("2026-03-01T00:00:12Z", "\"unverifiable\":{\"moving\":4},\"pending\":1"));
	expect_first_line("NO MISMATCH, 4 DIFFERENCES UNDECIDED, 1 READ PENDING: 9 executions");
	add(COUNTED("2026-03-01T00:00:13Z", "\"dropped\":{\"shutdown\":3},\"dropped_undecided\":1,"
					    "\"waived\":1,\"pending\":0"));
	expect_first_line("NO MISMATCH, 5 DIFFERENCES UNDECIDED, 1 WAIVED: 13 executions");
	all = render();
	assert_int_equal(number(all, "undecided_differences"), 5);
	json_decref(all);
}

#define CONTINUED(ts)                                                                           \
	"{\"v\":1,\"kind\":\"start\",\"continued\":true,\"ts\":\"" ts "\",\"run\":\"r1\","      \
	"\"version\":\"1\",\"findings\":[\"new: a finding\"],\"waivers\":[{\"name\":\"scale\"," \
	"\"owner\":\"ann\"}]}"

/* The newer part first, as a shell's pattern gives them. */
static void the_parts_of_a_rotated_log_add_up_in_any_order(void **state)
{
	json_t *all, *books;

	(void)state;
	add(CONTINUED("2026-03-01T00:00:15Z"));
	add(COUNTED("2026-03-01T00:00:20Z", "\"dropped\":{\"rate\":6},\"pending\":0"));
	report_begin_input(r, "a.log.1");
	add(START("2026-03-01T00:00:00Z", "2999-01-01"));
	add("{\"v\":1,\"kind\":\"books\",\"ts\":\"2026-03-01T00:00:10Z\",\"run\":\"r1\","
	    "\"candidates\":{\"new\":{\"seen\":5,\"matched\":3,\"skipped\":{\"writes\":2},"
	    "\"pending\":5}}}");
	all = render();
	books = json_object_get(json_object_get(all, "books"), "new");
	assert_int_equal(number(books, "pending"), 0);
	assert_true(json_is_true(json_object_get(books, "balanced")));
	assert_int_equal(json_array_size(json_object_get(all, "runs")), 1);
	assert_int_equal(json_array_size(json_object_get(all, "findings")), 1);
	json_decref(all);
}

static void a_continued_start_closes_nothing_that_is_pending(void **state)
{
	json_t *all, *books;

	(void)state;
	add("{\"v\":1,\"kind\":\"books\",\"ts\":\"2026-03-01T00:00:10Z\",\"run\":\"other\","
	    "\"candidates\":{\"new\":{\"seen\":5,\"pending\":5}}}");
	add(CONTINUED("2026-03-01T00:00:15Z"));
	all = render();
	books = json_object_get(json_object_get(all, "books"), "new");
	assert_int_equal(number(books, "pending"), 5);
	assert_string_equal(
		text(json_array_get(json_object_get(all, "waivers"), 0), "owner"), "ann");
	json_decref(all);
}

static void the_gate_says_what_is_pending(void **state)
{
	struct buffer out;
	json_t *all;

	(void)state;
	add(START("2026-03-01T00:00:00Z", "2999-01-01"));
	add(COUNTED("2026-03-01T00:00:11Z", "\"pending\":2"));
	assert_true(gate("open_mismatches=0"));
	buffer_init(&out, 1 << 22);
	assert_true(report_text(r, &out));
	buffer_add_u8(&out, 0);
	assert_non_null(strstr((const char *)out.data, "gate: passed\n"));
	assert_non_null(strstr((const char *)out.data, "\n  2 reads are pending: "));
	buffer_release(&out);
	all = render();
	assert_int_equal(number(json_object_get(all, "gate"), "pending"), 2);
	json_decref(all);
}

static void a_closed_record_whose_read_differs_later_is_open_again(void **state)
{
	(void)state;
	add(START("2026-03-01T00:00:00Z", "2999-01-01"));
	add(DISCREPANCY("one"));
	add(DISCREPANCY("two"));
	add(TOLD("2026-03-01T00:00:10Z", "3", "0", AGAIN("one", "1", "2026-03-01T00:00:09Z")));
	add(RESOLVED("one", "2026-03-01T00:00:15Z"));
	assert_int_equal(report_open_mismatches(r), 1);
	add(TOLD("2026-03-01T00:00:20Z", "2", "0", AGAIN("one", "2", "2026-03-01T00:00:16Z")));
	assert_int_equal(report_open_mismatches(r), 2);
	add(RESOLVED("two", "2026-03-01T00:00:25Z")); /* closes nothing but itself */
	assert_int_equal(report_open_mismatches(r), 1);
	add(RESOLVED("one", "2026-03-01T00:00:26Z"));
	assert_int_equal(report_open_mismatches(r), 0);
}

static void a_mismatch_whose_record_is_not_in_the_input_is_open(void **state)
{
	(void)state;
	add(START("2026-03-01T00:00:00Z", "2999-01-01"));
	add(TOLD("2026-03-01T00:00:10Z", "3", "0", AGAIN("one", "1", "2026-03-01T00:00:09Z")));
	assert_int_equal(report_open_mismatches(r), 3);
	add(DISCREPANCY("one")); /* stands for itself and for its repetition */
	assert_int_equal(report_open_mismatches(r), 2);
	report_begin_input(r, "b.log");
	add(DISCREPANCY("two"));
	add(RESOLVED("one", "2026-03-01T00:00:15Z"));
	add(RESOLVED("two", "2026-03-01T00:00:15Z"));
	assert_int_equal(report_open_mismatches(r), 0);
}

/* Bucket 40 is 128 us, 41 is 144, ...; eight to an octave. */
#define LATENCY(primary, candidate)                                                           \
	"\"shapes\":[{\"shape\":\"f\",\"normalized\":\"select 1\",\"candidate\":\"new\","     \
	"\"executions\":4,\"outcomes\":{\"matched\":3,\"mismatch\":1},\"latency_us\":{"       \
	"\"primary\":{\"counts\":" primary ",\"sum\":1},\"candidate\":{\"counts\":" candidate \
	",\"sum\":1},\"warmup\":{\"counts\":{\"90\":3},\"sum\":1}}}]"

static bool regressed(void)
{
	json_t *all = render();
	json_t *latency =
		json_object_get(json_array_get(json_object_get(all, "shapes"), 0), "latency_ms");
	bool yes = json_is_true(json_object_get(latency, "regression"));

	assert_int_equal(number(json_object_get(latency, "warmup"), "count"), 3);
	assert_true(gate("regressions=1") == yes);
	json_decref(all);

	return yes;
}

static void a_regression_must_matter_and_be_certain(void **state)
{
	static const struct {
		const char *books;
		bool yes;
	} cases[] = {
		/* 4 ms against 2 ms, a hundred times */
		{BOOKS("2026-03-01T00:00:01Z", LATENCY("{\"72\":100}", "{\"80\":100}")), true},
		/* the same, five times */
		{BOOKS("2026-03-01T00:00:01Z", LATENCY("{\"72\":5}", "{\"80\":5}")), false},
		/* certain, but an eighth slower only */
		{BOOKS("2026-03-01T00:00:01Z", LATENCY("{\"72\":1000}", "{\"73\":1000}")), false},
		/* certain, twice as slow, by 0.1 ms */
		{BOOKS("2026-03-01T00:00:01Z", LATENCY("{\"40\":1000}", "{\"48\":1000}")), false},
		/* faster */
		{BOOKS("2026-03-01T00:00:01Z", LATENCY("{\"80\":100}", "{\"72\":100}")), false},
		/* one in ten is much slower */
		{BOOKS("2026-03-01T00:00:01Z",
			 LATENCY("{\"72\":2000}", "{\"72\":1800,\"100\":200}")),
			true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		report_free(r);
		r = report_new();
		report_begin_input(r, "a.log");
		add(cases[i].books);
		if (regressed() != cases[i].yes)
			fail_msg("case %zu", i);
	}
}

static void executions_whose_shape_died_with_the_shadow_are_counted(void **state)
{
	json_t *all;

	(void)state;
	add(BOOKS("2026-03-01T00:00:01Z", SHAPE));
	add(BOOKS("2026-03-01T00:00:02Z", "\"shapes\":[]"));
	all = render();
	assert_int_equal(number(json_object_get(all, "input"), "without_shape"), 4);
	json_decref(all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			waivers_add_up_and_expire_with_the_latest_record, begin, end),
		cmocka_unit_test_setup_teardown(
			errors_add_up_by_kind_most_frequent_first, begin, end),
		cmocka_unit_test_setup_teardown(
			what_differs_after_its_records_were_closed_is_open, begin, end),
		cmocka_unit_test_setup_teardown(
			a_mismatch_without_a_record_stays_open_whatever_is_closed, begin, end),
		cmocka_unit_test_setup_teardown(
			a_closed_record_whose_read_differs_later_is_open_again, begin, end),
		cmocka_unit_test_setup_teardown(
			the_first_line_tells_undecided_differences_from_none, begin, end),
		cmocka_unit_test_setup_teardown(the_gate_says_what_is_pending, begin, end),
		cmocka_unit_test_setup_teardown(
			the_parts_of_a_rotated_log_add_up_in_any_order, begin, end),
		cmocka_unit_test_setup_teardown(
			a_continued_start_closes_nothing_that_is_pending, begin, end),
		cmocka_unit_test_setup_teardown(
			a_mismatch_whose_record_is_not_in_the_input_is_open, begin, end),
		cmocka_unit_test_setup_teardown(
			a_regression_must_matter_and_be_certain, begin, end),
		cmocka_unit_test_setup_teardown(
			executions_whose_shape_died_with_the_shadow_are_counted, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

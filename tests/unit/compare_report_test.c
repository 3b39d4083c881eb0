#include "compare/report.h"

#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { OUTPUT_LIMIT = 1 << 22 };

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

	buffer_init(&out, OUTPUT_LIMIT);
	assert_true(report_json(r, &out));
	all = json_loadb((const char *)out.data, out.len, 0, NULL);
	assert_non_null(all);
	buffer_release(&out);

	return all;
}

/* A path of members, "books/pg18/matched"; array members by number. */
static json_t *at(json_t *all, const char *path)
{
	char part[64];

	while (*path) {
		size_t n = strcspn(path, "/");

		snprintf(part, sizeof part, "%.*s", (int)n, path);
		all = json_is_array(all) ? json_array_get(all, strtoul(part, NULL, 10))
					 : json_object_get(all, part);
		if (!all)
			fail_msg("no member %s", path);
		path += n + (path[n] == '/');
	}

	return all;
}

static void is_count(json_t *all, const char *path, json_int_t n)
{
	if (json_integer_value(at(all, path)) != n)
		fail_msg("%s is %lld, not %lld", path, (long long)json_integer_value(at(all, path)),
			(long long)n);
}

static void is_number(json_t *all, const char *path, double n)
{
	if (fabs(json_number_value(at(all, path)) - n) > 1e-6)
		fail_msg("%s is %g, not %g", path, json_number_value(at(all, path)), n);
}

static const char start_a[] =
	"{\"v\":1,\"kind\":\"start\",\"ts\":\"2026-01-01T00:00:00.000000Z\",\"run\":\"A\","
	"\"version\":\"0.1.0\",\"restarted\":false}";
static const char start_b[] =
	"{\"v\":1,\"kind\":\"start\",\"ts\":\"2026-01-03T00:00:00.000000Z\",\"run\":\"B\","
	"\"version\":\"0.1.0\"}";
static const char books_a[] =
	"{\"v\":1,\"kind\":\"books\",\"ts\":\"2026-01-02T00:00:00.000000Z\",\"run\":\"A\","
	"\"relayed\":110,\"observed\":100,\"unobserved\":{\"tape_full\":7},\"on_tape\":3,"
	"\"frames\":{\"execution\":95,\"continuation\":2,\"discarded\":1,\"open\":2},"
	"\"candidates\":{\"x\":{\"seen\":100,\"matched\":50,\"matched_after_lag\":5,"
	"\"matched_after_change\":2,\"unverifiable\":{\"moving\":3},\"mismatch\":4,"
	"\"candidate_failed\":{\"timeout\":1},\"skipped\":{\"not_a_read\":20,\"writes\":5,"
	"\"sampled_out\":2},\"dropped\":{\"queue_full\":1},\"pending\":7}},"
	"\"shapes\":[{\"shape\":\"aa\",\"normalized\":\"select $1\",\"candidate\":\"x\","
	"\"executions\":59,\"outcomes\":{\"matched\":55,\"mismatch\":4},"
	"\"first_seen\":\"2026-01-01T01:00:00Z\",\"last_seen\":\"2026-01-01T02:00:00Z\","
	"\"latency_us\":{\"primary\":{\"counts\":{\"5\":10},\"sum\":50}}},"
	"{\"shape\":\"bb\",\"normalized\":\"select f()\",\"candidate\":\"x\",\"executions\":2,"
	"\"outcomes\":{\"skipped\":{\"volatile_function\":2}}},"
	"{\"shape\":\"cc\",\"normalized\":\"insert\",\"candidate\":\"x\",\"executions\":20,"
	"\"outcomes\":{\"skipped\":{\"not_a_read\":20}}}]}";
/* What was pending has ended, and everything has left the tape. */
static const char books_a2[] =
	"{\"v\":1,\"kind\":\"books\",\"ts\":\"2026-01-02T12:00:00.000000Z\",\"run\":\"A\","
	"\"observed\":3,\"frames\":{\"execution\":5},\"candidates\":{\"x\":{\"seen\":3,"
	"\"matched\":10}},\"shapes\":[{\"shape\":\"aa\",\"normalized\":\"select $1\","
	"\"candidate\":\"x\",\"executions\":10,\"outcomes\":{\"matched\":10},"
	"\"first_seen\":\"2026-01-02T01:00:00Z\",\"last_seen\":\"2026-01-02T02:00:00Z\","
	"\"latency_us\":{\"primary\":{\"counts\":{\"6\":10},\"sum\":60}}}]}";

static const char mismatch_1[] =
	"{\"v\":1,\"kind\":\"discrepancy\",\"id\":\"m1\",\"candidate\":\"x\",\"outcome\":"
	"\"mismatch\",\"class\":\"values\",\"hint\":\"numeric_scale\",\"shape\":\"aa\","
	"\"normalized\":\"select $1\",\"diff\":{\"columns\":[\"price\"],\"changed\":1,\"rows\":["
	"{\"kind\":\"changed\",\"primary\":[\"1.5\"],\"candidate\":[\"1.50\"],\"columns\":[0]}]}}";
static const char undecided_1[] =
	"{\"v\":1,\"kind\":\"discrepancy\",\"id\":\"u1\",\"candidate\":\"x\",\"outcome\":"
	"\"unverifiable\",\"reason\":\"moving\",\"class\":\"values\",\"shape\":\"aa\"}";
static const char resolved_1[] = "{\"v\":1,\"kind\":\"resolved\",\"id\":\"m1\"}";

static void books_of_one_record_are_shown_as_they_are(void **state)
{
	json_t *all;

	(void)state;
	add(start_a);
	add(books_a);
	all = render();
	is_count(all, "books/x/matched", 50);
	is_count(all, "books/x/waived", 0);
	is_count(all, "books/x/unverifiable", 3);
	is_count(all, "books/x/unverifiable_reasons/moving", 3);
	is_count(all, "books/x/candidate_failed", 1);
	is_count(all, "books/x/skipped/not_a_read", 20);
	is_count(all, "books/x/dropped/queue_full", 1);
	is_count(all, "books/x/pending", 7);
	is_count(all, "books/x/relayed", 110);
	is_count(all, "books/x/unobserved/tape_full", 7);
	is_count(all, "books/x/on_tape", 3);
	assert_true(json_is_true(at(all, "books/x/balanced")));
	json_decref(all);
}

static void what_a_setting_made_equal_adds_up(void **state)
{
	static const char books[] =
		"{\"v\":1,\"kind\":\"books\",\"run\":\"A\",\"number\":%d,\"candidates\":{\"x\":"
		"{\"seen\":2,\"matched\":2,\"widened\":{\"json\":2,\"other\":9}}},\"shapes\":[{"
		"\"shape\":\"aa\",\"normalized\":\"select "
		"$1\",\"candidate\":\"x\",\"executions\":2,"
		"\"outcomes\":{\"matched\":2},\"widened\":{\"json\":2}}]}";
	char line[sizeof books + 8];
	struct buffer out;
	json_t *all;

	(void)state;
	for (int i = 1; i < 3; i++) {
		snprintf(line, sizeof line, books, i);
		add(line);
	}
	all = render();
	is_count(all, "books/x/widened/json", 4);
	is_count(all, "shapes/0/widened/json", 4);
	json_decref(all);
	buffer_init(&out, OUTPUT_LIMIT);
	assert_true(report_text(r, &out));
	buffer_add_u8(&out, 0);
	assert_non_null(
		strstr((const char *)out.data, "4  equal only by compare.json, of 1 shape:"));
	buffer_release(&out);
}

static void deltas_add_up_and_gauges_are_replaced(void **state)
{
	json_t *all;

	(void)state;
	add(start_a);
	add(books_a);
	add(books_a2);
	all = render();
	is_count(all, "books/x/matched", 60);
	is_count(all, "books/x/seen", 103);
	is_count(all, "books/x/pending", 0);
	is_count(all, "books/x/on_tape", 0);
	assert_true(json_is_true(at(all, "books/x/balanced")));
	is_count(all, "shapes/0/executions", 69);
	is_count(all, "shapes/0/outcomes/matched", 65);
	is_count(all, "shapes/0/latency_ms/primary/count", 20);
	is_number(all, "shapes/0/latency_ms/primary/p50", 0.005);
	is_number(all, "shapes/0/latency_ms/primary/p99", 0.006);
	assert_true(json_is_null(at(all, "shapes/0/latency_ms/candidate/p50")));
	assert_string_equal(
		json_string_value(at(all, "shapes/0/first_seen")), "2026-01-01T01:00:00Z");
	assert_string_equal(
		json_string_value(at(all, "shapes/0/last_seen")), "2026-01-02T02:00:00Z");
	json_decref(all);
}

static void books_that_do_not_balance_are_said_to(void **state)
{
	static const char *const wrong[] = {
		"{\"v\":1,\"kind\":\"books\",\"run\":\"A\",\"candidates\":{\"x\":{\"seen\":1}}}",
		"{\"v\":1,\"kind\":\"books\",\"run\":\"A\",\"candidates\":{\"x\":{\"matched\":1}}}",
		"{\"v\":1,\"kind\":\"books\",\"run\":\"A\",\"relayed\":1,\"candidates\":{\"x\":{}}"
		"}",
		"{\"v\":1,\"kind\":\"books\",\"run\":\"A\",\"relayed\":1,\"observed\":1,"
		"\"candidates\":{\"x\":{}}}",
	};

	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		json_t *all;

		end(state);
		begin(state);
		add(wrong[i]);
		all = render();
		assert_true(json_is_false(at(all, "books/x/balanced")));
		json_decref(all);
	}
}

static void a_later_run_closes_what_was_pending(void **state)
{
	json_t *all;

	(void)state;
	add(start_a);
	add(books_a);
	add(start_b);
	all = render();
	is_count(all, "books/x/pending", 0);
	is_count(all, "books/x/dropped/shadow_restart", 7);
	is_count(all, "books/x/dropped/queue_full", 1);
	assert_true(json_is_true(at(all, "books/x/balanced")));
	json_decref(all);
}

static void what_a_start_says_it_closes_is_closed_once(void **state)
{
	json_t *all;

	(void)state;
	/* in any order of files */
	add("{\"v\":1,\"kind\":\"start\",\"run\":\"B\",\"pending_closed\":{\"x\":7}}");
	report_begin_input(r, "b.log");
	add(start_a);
	add(books_a);
	all = render();
	is_count(all, "books/x/pending", 0);
	is_count(all, "books/x/dropped/shadow_restart", 7);
	assert_true(json_is_true(at(all, "books/x/balanced")));
	json_decref(all);
}

static void closing_a_run_that_is_not_in_the_input_unbalances_nothing(void **state)
{
	json_t *all;

	(void)state;
	add("{\"v\":1,\"kind\":\"start\",\"run\":\"B\",\"pending_closed\":{\"x\":9}}");
	add("{\"v\":1,\"kind\":\"books\",\"run\":\"B\",\"candidates\":{\"x\":{\"seen\":1,"
	    "\"matched\":1}}}");
	all = render();
	assert_true(json_is_true(at(all, "books/x/balanced")));
	json_decref(all);
}

static void a_restart_within_the_run_closes_nothing(void **state)
{
	json_t *all;

	(void)state;
	add(start_a);
	add(books_a);
	add("{\"v\":1,\"kind\":\"start\",\"run\":\"A\",\"restarted\":true}");
	all = render();
	is_count(all, "books/x/pending", 7);
	json_decref(all);
}

static void a_run_that_goes_on_is_open_again(void **state)
{
	json_t *all;

	(void)state;
	add(books_a);
	add(start_b);
	add("{\"v\":1,\"kind\":\"books\",\"run\":\"A\",\"candidates\":{\"x\":{\"matched\":4,"
	    "\"pending\":3}}}");
	all = render();
	is_count(all, "books/x/pending", 3);
	assert_null(json_object_get(at(all, "books/x/dropped"), "shadow_restart"));
	json_decref(all);
}

static void another_input_is_another_proxy_and_closes_nothing(void **state)
{
	json_t *all;

	(void)state;
	add(start_a);
	add(books_a);
	report_begin_input(r, "b.log");
	add(start_b);
	all = render();
	is_count(all, "books/x/pending", 7);
	json_decref(all);
}

static void a_file_given_twice_counts_once(void **state)
{
	json_t *all;

	(void)state;
	for (int i = 0; i < 2; i++) {
		report_begin_input(r, "a.log");
		add(start_a);
		add(books_a);
		add(mismatch_1);
	}
	all = render();
	is_count(all, "books/x/matched", 50);
	is_count(all, "input/repeated_records", 3);
	assert_int_equal(json_array_size(at(all, "discrepancies")), 1);
	json_decref(all);
}

static void open_mismatches_are_listed_as_logged_and_others_apart(void **state)
{
	json_t *all, *logged = json_loads(mismatch_1, 0, NULL);

	(void)state;
	add(mismatch_1);
	add(undecided_1);
	all = render();
	assert_int_equal(json_array_size(at(all, "discrepancies")), 1);
	assert_true(json_equal(at(all, "discrepancies/0"), logged));
	assert_string_equal(json_string_value(at(all, "undecided/0/id")), "u1");
	assert_int_equal(report_open_mismatches(r), 1);
	json_decref(all);
	json_decref(logged);
}

static void a_resolved_mismatch_is_closed_in_any_order(void **state)
{
	json_t *all;

	(void)state;
	add(resolved_1);
	add(books_a);
	add(mismatch_1);
	assert_int_equal(report_open_mismatches(r), 0);
	all = render();
	assert_int_equal(json_array_size(at(all, "discrepancies")), 0);
	is_count(all, "books/x/mismatch", 4);
	json_decref(all);
}

static void mismatches_without_a_record_stay_open(void **state)
{
	(void)state;
	add(books_a);
	assert_int_equal(report_open_mismatches(r), 4);
}

static void shapes_come_most_executed_first_and_say_why_never_compared(void **state)
{
	json_t *all;

	(void)state;
	add(books_a);
	all = render();
	assert_string_equal(json_string_value(at(all, "shapes/0/shape")), "aa");
	assert_string_equal(json_string_value(at(all, "shapes/1/shape")), "cc");
	assert_true(json_is_false(at(all, "shapes/0/never_compared")));
	assert_true(json_is_false(at(all, "shapes/1/never_compared"))); /* no read at all */
	assert_true(json_is_true(at(all, "shapes/2/never_compared")));
	assert_string_equal(
		json_string_value(at(all, "shapes/2/why")), "skipped(volatile_function) 2");
	json_decref(all);
}

static void distinct_parameters_come_from_the_registers(void **state)
{
	char line[2048], hex[513];
	json_t *all;

	(void)state;
	memset(hex, '0', 512);
	hex[512] = '\0';
	hex[1] = '1';
	hex[21] = '3';
	snprintf(line, sizeof line,
		"{\"v\":1,\"kind\":\"books\",\"run\":\"A\",\"shapes\":[{\"shape\":\"aa\","
		"\"normalized\":\"q\",\"candidate\":\"x\",\"executions\":100,\"outcomes\":{"
		"\"matched\":100},\"params_hll\":\"%s\"}]}",
		hex);
	add(line);
	all = render();
	is_count(all, "shapes/0/distinct_params", 2);
	is_number(all, "shapes/0/upper_bound_95", 0.0295130);
	is_number(all, "shapes/0/upper_bound_95_distinct", 0.7763932);
	json_decref(all);
}

static void coverage_counts_what_was_compared_over_what_may_be_a_read(void **state)
{
	json_t *all;

	(void)state;
	add(books_a);
	all = render();
	is_count(all, "coverage/compared", 59); /* 50 + 5 + 4 */
	is_count(all, "coverage/reads", 75);	/* 100 - 20 - 5 */
	is_number(all, "coverage/reads_compared_share", 59.0 / 75);
	is_number(all, "coverage/coverage", 59.0 / 82); /* and 7 unobserved */
	is_count(all, "coverage/by_reason/skipped(sampled_out)", 2);
	is_count(all, "coverage/by_reason/matched_after_change", 2);
	is_count(all, "coverage/by_reason/pending", 7);
	is_count(all, "coverage/by_reason/unobserved(tape_full)", 7);
	assert_null(json_object_get(at(all, "coverage/by_reason"), "matched"));
	json_decref(all);
}

/* ---- the gate ---- */

static void gate(const char *expression, bool passes)
{
	struct error error = {""};
	bool passed;

	if (!report_gate(r, expression, &passed, &error))
		fail_msg("%s: %s", expression, error.text);
	if (passed != passes)
		fail_msg("%s: %s", expression, passed ? "passed" : "failed");
}

static void criteria_are_held_against_the_figures(void **state)
{
	(void)state;
	add(start_a);
	add(books_a);
	add(mismatch_1);
	gate("open_mismatches=1", true);
	gate("open_mismatches!=1", false);
	gate("open_mismatches = 0", false);
	gate("min_compared=1", true); /* = means at least for min_ */
	gate("max_mismatch_rate=1", true);
	gate("min_compared=59 and coverage>=0.7 and coverage<0.72", true);
	gate("min_compared>=1000 and coverage>=0", false);
	gate("coverage>=0 and min_compared>=1000", false);
	gate("days>=1 and days<=1", true);
	gate("days>1", false);
	gate("unverifiable<=3 and unverifiable>2", true);
	gate("candidate_failed<1", false);
	gate("shapes_never_compared=1", true);
	gate("max_mismatch_rate<0.15 and max_mismatch_rate>0.1", true);
	gate(" open_mismatches=1  and\tdays>=0 ", true);
}

static void nothing_compared_passes_no_criterion_of_evidence(void **state)
{
	(void)state;
	gate("open_mismatches=0", false); /* no evidence, no passing */
	gate("min_compared>0", false);
	gate("min_compared=1", false);
	gate("coverage>0", false);
	gate("max_mismatch_rate<1", false);
	gate("days>0", false);
}

static void the_least_of_several_candidates_counts(void **state)
{
	(void)state;
	add("{\"v\":1,\"kind\":\"books\",\"run\":\"A\",\"candidates\":{\"x\":{\"seen\":10,"
	    "\"matched\":10},\"y\":{\"seen\":10,\"matched\":3,\"waived\":1,\"skipped\":{"
	    "\"unparsed\":6}}}}");
	gate("min_compared=4 and coverage=0.4", true);
}

static void parallel_runs_count_their_time_once(void **state)
{
	(void)state;
	add(start_a);
	add(books_a);
	add("{\"v\":1,\"kind\":\"start\",\"ts\":\"2026-01-01T12:00:00Z\",\"run\":\"B\"}");
	add("{\"v\":1,\"kind\":\"stop\",\"ts\":\"2026-01-02T12:00:00Z\",\"run\":\"B\"}");
	add("{\"v\":1,\"kind\":\"start\",\"ts\":\"2026-02-01T00:00:00Z\",\"run\":\"C\"}");
	add("{\"v\":1,\"kind\":\"stop\",\"ts\":\"2026-02-01T12:00:00Z\",\"run\":\"C\"}");
	gate("days=2", true);
}

static void a_wrong_criterion_names_the_word_and_what_is_allowed(void **state)
{
	static const char *const wrong[][3] = {
		{"coverag>=1", "\"coverag\"", "coverage, days"},
		{"coverage 1", "\"1\"", "= != < <= > >="},
		{"coverage>=", "number", "0 or more"},
		{"coverage>=x", "\"x\"", "0 or more"},
		{"coverage>=-1", "\"-1\"", "0 or more"},
		{"coverage>=1x", "\"1x\"", "0 or more"},
		{"coverage>=nan", "number", "0 or more"},
		{"coverage>=1 or days>1", "\"or days>1\"", "and"},
		{"coverage>=1 and", "missing", "and"},
		{"", "missing", "min_compared"},
	};
	bool passed;

	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		struct error error = {""};

		if (report_gate(r, wrong[i][0], &passed, &error))
			fail_msg("%s was taken", wrong[i][0]);
		if (!strstr(error.text, wrong[i][1]) || !strstr(error.text, wrong[i][2]))
			fail_msg("%s: %s", wrong[i][0], error.text);
	}
}

static void the_gate_stands_in_the_json(void **state)
{
	json_t *all = render();

	(void)state;
	assert_true(json_is_null(at(all, "gate")));
	json_decref(all);
	gate("min_compared >= 5 and days>=0", false);
	all = render();
	assert_string_equal(
		json_string_value(at(all, "gate/expression")), "min_compared >= 5 and days>=0");
	assert_true(json_is_false(at(all, "gate/passed")));
	assert_string_equal(
		json_string_value(at(all, "gate/criteria/0/text")), "min_compared >= 5");
	assert_true(json_is_false(at(all, "gate/criteria/0/passed")));
	assert_true(json_is_true(at(all, "gate/criteria/1/passed")));
	json_decref(all);
}

/* ---- lines and pages ---- */

static void broken_lines_are_named_and_counted(void **state)
{
	static const char *const wrong[] = {"", "{", "[]", "1", "{\"kind\":\"books\"}",
		"{\"v\":2,\"kind\":\"books\"}", "{\"v\":1,\"kind\":\"books\"} x"};
	size_t n = sizeof wrong / sizeof *wrong;
	json_t *all;

	(void)state;
	add(start_a);
	for (size_t i = 0; i < n; i++) {
		struct error error = {""};

		assert_false(report_add_line(r, span_cstr(wrong[i]), &error));
		assert_non_null(strstr(error.text, "a.log:"));
	}
	add(books_a);
	all = render();
	is_count(all, "input/broken_lines", (json_int_t)n);
	is_count(all, "books/x/matched", 50);
	assert_non_null(strstr(json_string_value(at(all, "input/broken/0")), "a.log:2: "));
	json_decref(all);
}

static void unknown_kinds_and_members_are_passed_over(void **state)
{
	(void)state;
	add("{\"v\":1,\"kind\":\"tomorrow\",\"x\":1}");
	add("{\"v\":1,\"kind\":\"books\",\"run\":\"A\",\"tomorrow\":7,\"candidates\":{\"x\":{"
	    "\"seen\":1,\"matched\":1,\"tomorrow\":5}}}");
	gate("min_compared=1", true);
}

static void members_of_the_wrong_type_count_as_nothing(void **state)
{
	static const char *const odd[] = {
		"{\"v\":1,\"kind\":5}",
		"{\"v\":1,\"kind\":\"books\",\"run\":5,\"candidates\":[1],\"shapes\":{}}",
		"{\"v\":1,\"kind\":\"books\",\"candidates\":{\"x\":7},\"shapes\":[7,null,\"x\"]}",
		"{\"v\":1,\"kind\":\"books\",\"candidates\":{\"x\":{\"seen\":-1,\"matched\":1.5,"
		"\"skipped\":{\"writes\":-9,\"x\":\"y\"}}}}",
		"{\"v\":1,\"kind\":\"books\",\"shapes\":[{\"outcomes\":5,\"params_hll\":\"zz\","
		"\"latency_us\":{\"primary\":{\"counts\":{\"999\":1,\"x\":1,\"-1\":1}}}}]}",
		"{\"v\":1,\"kind\":\"start\",\"pending_closed\":[1],\"findings\":{\"a\":1}}",
		"{\"v\":1,\"kind\":\"discrepancy\",\"id\":\"o\",\"outcome\":\"mismatch\",\"diff\":{"
		"\"columns\":7,\"rows\":[5,{\"kind\":7,\"primary\":{},\"columns\":[\"x\"]}]}}",
	};
	struct buffer out;

	(void)state;
	for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
		add(odd[i]);
	gate("min_compared=0", false);
	buffer_init(&out, OUTPUT_LIMIT);
	assert_true(report_text(r, &out) && report_html(r, &out) && report_json(r, &out));
	buffer_release(&out);
}

static char *page(bool (*form)(struct report *report, struct buffer *out))
{
	struct buffer out;
	char *text;

	buffer_init(&out, OUTPUT_LIMIT);
	assert_true(form(r, &out));
	text = strndup((const char *)out.data, out.len);
	buffer_release(&out);
	assert_non_null(text);

	return text;
}

static void events_of_sessions_add_up(void **state)
{
	static const char first[] =
		"{\"v\":1,\"kind\":\"books\",\"ts\":\"2026-01-02T00:00:00.000000Z\","
		"\"run\":\"A\",\"observer\":{\"desyncs\":1,\"resumed\":2}}",
			  second[] = "{\"v\":1,\"kind\":\"books\","
				     "\"ts\":\"2026-01-02T00:00:01.000000Z\",\"run\":\"A\","
				     "\"observer\":{\"resumed\":3,\"yet_unknown\":1}}";
	char *text;
	json_t *all;

	(void)state;
	add(first);
	add(second);
	all = render();
	is_count(all, "observer/desyncs", 1);
	is_count(all, "observer/resumed", 5);
	is_count(all, "observer/disagreements", 0);
	is_count(all, "observer/yet_unknown", 1);
	json_decref(all);
	text = page(report_text);
	assert_non_null(strstr(text, "\nsessions: desyncs 1, resumed 5, yet_unknown 1\n"));
	free(text);
}

static void the_text_gives_the_statement_of_an_open_mismatch_whole(void **state)
{
	enum { LONG = 5000 };
	char statement[LONG + 1], line[LONG + 400], *text;

	(void)state;
	for (size_t i = 0; i < LONG; i++)
		statement[i] = (char)(i % 10 == 9 ? ' ' : 'a' + (int)(i % 26));
	statement[LONG - 1] = 'z';
	statement[LONG] = '\0';
	snprintf(line, sizeof line,
		"{\"v\":1,\"kind\":\"discrepancy\",\"id\":\"long\",\"run\":\"A\",\"candidate\":"
		"\"x\","
		"\"outcome\":\"mismatch\",\"class\":\"values\",\"shape\":\"f\",\"normalized\":\"%"
		"s\"}",
		statement);
	add(line);
	text = page(report_text);
	snprintf(line, sizeof line, "\n     %s\n", statement);
	assert_non_null(strstr(text, line));
	free(text);
}

static void the_text_says_the_verdict_first(void **state)
{
	char *text;

	(void)state;
	text = page(report_text);
	assert_ptr_equal(strstr(text, "NO EVIDENCE"), text);
	free(text);
	add("{\"v\":1,\"kind\":\"books\",\"run\":\"A\",\"candidates\":{\"x\":{\"seen\":1,"
	    "\"matched\":1}}}");
	text = page(report_text);
	assert_ptr_equal(strstr(text, "NO DIFFERENCE FOUND: 1 "), text);
	free(text);
	add(mismatch_1);
	text = page(report_text);
	assert_ptr_equal(strstr(text, "DIFFERENT: 1 open mismatch;"), text);
	assert_non_null(strstr(text, "changed  price '1.5' -> '1.50'"));
	assert_non_null(strstr(text, "values, likely numeric_scale"));
	assert_non_null(strstr(text, "pgumbra show LOG m1"));
	free(text);
}

static const char hostile[] =
	"{\"v\":1,\"kind\":\"discrepancy\",\"id\":\"<b>\",\"candidate\":\"x\",\"outcome\":"
	"\"mismatch\",\"class\":\"values\",\"shape\":\"aa\",\"normalized\":"
	"\"select '<script>alert(1)</script>' \\u001b[2J \\u009b2J & \\\"x\\\"\","
	"\"diff\":{\"columns\":[\"<i>\"],\"missing\":1,\"rows\":[{\"kind\":\"missing\","
	"\"primary\":[\"<img src=x onerror=alert(1)>\\u001b]0;x\\u0007\"]}]}}";

static void the_page_escapes_whatever_comes_from_a_log(void **state)
{
	char *text;

	(void)state;
	add(hostile);
	text = page(report_html);
	assert_null(strstr(text, "<script"));
	assert_null(strstr(text, "<img"));
	assert_null(strstr(text, "<b>"));
	assert_null(strstr(text, "<i>"));
	assert_non_null(strstr(text, "&lt;script&gt;"));
	assert_non_null(strstr(text, "&quot;x&quot;"));
	free(text);
}

static void the_text_sends_no_control_characters_to_a_terminal(void **state)
{
	char *text;

	(void)state;
	add(hostile);
	text = page(report_text);
	for (const char *c = text; *c; c++)
		assert_true((unsigned char)*c >= 32 || *c == '\n');
	assert_null(strstr(text, "\xc2\x9b"));
	assert_non_null(strstr(text, "<script>"));
	free(text);
}

static void a_page_past_its_limit_is_refused(void **state)
{
	struct buffer out;

	(void)state;
	add(books_a);
	buffer_init(&out, 100);
	assert_false(report_text(r, &out));
	buffer_clear(&out);
	assert_false(report_json(r, &out));
	buffer_clear(&out);
	assert_false(report_html(r, &out));
	buffer_release(&out);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(books_of_one_record_are_shown_as_they_are),
		TEST(events_of_sessions_add_up),
		TEST(what_a_setting_made_equal_adds_up),
		TEST(deltas_add_up_and_gauges_are_replaced),
		TEST(books_that_do_not_balance_are_said_to),
		TEST(a_later_run_closes_what_was_pending),
		TEST(what_a_start_says_it_closes_is_closed_once),
		TEST(closing_a_run_that_is_not_in_the_input_unbalances_nothing),
		TEST(a_restart_within_the_run_closes_nothing),
		TEST(a_run_that_goes_on_is_open_again),
		TEST(another_input_is_another_proxy_and_closes_nothing),
		TEST(a_file_given_twice_counts_once),
		TEST(open_mismatches_are_listed_as_logged_and_others_apart),
		TEST(a_resolved_mismatch_is_closed_in_any_order),
		TEST(mismatches_without_a_record_stay_open),
		TEST(shapes_come_most_executed_first_and_say_why_never_compared),
		TEST(distinct_parameters_come_from_the_registers),
		TEST(coverage_counts_what_was_compared_over_what_may_be_a_read),
		TEST(criteria_are_held_against_the_figures),
		TEST(nothing_compared_passes_no_criterion_of_evidence),
		TEST(the_least_of_several_candidates_counts),
		TEST(parallel_runs_count_their_time_once),
		TEST(a_wrong_criterion_names_the_word_and_what_is_allowed),
		TEST(the_gate_stands_in_the_json),
		TEST(broken_lines_are_named_and_counted),
		TEST(unknown_kinds_and_members_are_passed_over),
		TEST(members_of_the_wrong_type_count_as_nothing),
		TEST(the_text_gives_the_statement_of_an_open_mismatch_whole),
		TEST(the_text_says_the_verdict_first),
		TEST(the_page_escapes_whatever_comes_from_a_log),
		TEST(the_text_sends_no_control_characters_to_a_terminal),
		TEST(a_page_past_its_limit_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

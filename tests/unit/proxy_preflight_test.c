/* Findings, how they become lines, how several looks are gathered, and how two answers are merged.
 */
#define _GNU_SOURCE 1
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proxy/preflight.h"
#include "proxy/preflight_compare.h"
#include "proxy/preflight_deparsed.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- findings --- */

static const struct preflight_topic warns = {PREFLIGHT_WARNING, "setting", "other texts", "SET x"};
static const struct preflight_topic tells = {PREFLIGHT_INFORMATION, "version", "", ""};

static void only_what_forbids_forbids(void **state)
{
	struct preflight_findings f = {0};

	(void)state;
	preflight_say(&f, &warns, "candidate new", "x is %d", 1);
	preflight_say(&f, &tells, "candidate new", "y");
	assert_false(preflight_forbids(&f));
	preflight_add(&f, PREFLIGHT_FORBIDS, "candidate new", "", "may write");
	assert_true(preflight_forbids(&f));
	assert_int_equal(f.count, 3);
	assert_string_equal(f.list[0].what, "x is 1");
	assert_string_equal(f.list[0].effect, "other texts");
	assert_string_equal(f.list[2].kind, "role");
	preflight_release(&f);
	f.failed = true;
	assert_true(preflight_forbids(&f));
}

static void an_allowed_unsafe_role_warns_and_nothing_is_raised(void **state)
{
	struct preflight_findings f = {.forbids_as_warnings = true};

	(void)state;
	preflight_add(&f, PREFLIGHT_FORBIDS, "a", "", "may write");
	preflight_say(&f, &tells, "a", "y");
	assert_int_equal(f.list[0].level, PREFLIGHT_WARNING);
	assert_int_equal(f.list[1].level, PREFLIGHT_INFORMATION);
	preflight_release(&f);
}

static void lines_come_worst_first_and_end_with_an_empty_one(void **state)
{
	static const char expected[] = "forbids: candidate new: may write; mend: REVOKE\0"
				       "warning: candidate new: x is 1; effect: other texts; mend: "
				       "SET x\0"
				       "information: candidate new: y\0";
	struct preflight_findings f = {0};
	char lines[1000];

	(void)state;
	preflight_lines(&f, lines, sizeof lines);
	assert_string_equal(lines, "");
	preflight_say(&f, &tells, "candidate new", "y");
	preflight_say(&f, &warns, "candidate new", "x is %d", 1);
	preflight_add(&f, PREFLIGHT_FORBIDS, "candidate new", "REVOKE", "may write");
	preflight_lines(&f, lines, sizeof lines);
	assert_memory_equal(lines, expected, sizeof expected);
	preflight_release(&f);
}

static void lines_that_do_not_fit_are_counted_at_every_size(void **state)
{
	struct preflight_findings f = {0};
	char lines[2000];

	(void)state;
	for (int i = 0; i < 20; i++)
		preflight_say(&f, &tells, "candidate new", "number %d", i);
	for (size_t size = 100; size <= sizeof lines; size++) {
		unsigned whole = 0, left_out = 0;
		const char *at = lines;

		memset(lines, 'x', sizeof lines);
		preflight_lines(&f, lines, size);
		for (; *at; at += strlen(at) + 1) {
			if (sscanf(at, "and %u more: `pgumbra check` shows them", &left_out) != 1)
				whole++;
		}
		assert_true(at < lines + size);
		assert_int_equal(whole + left_out, 20);
	}
	preflight_lines(&f, lines, 100);
	assert_string_equal(lines, "and 20 more: `pgumbra check` shows them");
	preflight_release(&f);
}

/* --- looking at several at once --- */

static void look_well(const struct preflight_job *job, struct preflight_findings *f)
{
	preflight_say(f, &warns, job->name, "found by %s", (const char *)job->arg);
	preflight_say(f, &tells, "control", "the same of the control");
}

static void look_forever(const struct preflight_job *job, struct preflight_findings *f)
{
	preflight_say(f, &warns, job->name, "found before");
	for (;;)
		pause();
}

static void look_and_break_down(const struct preflight_job *job, struct preflight_findings *f)
{
	preflight_say(f, &warns, job->name, "found before");
	raise(SIGKILL);
}

static void look_and_find_much(const struct preflight_job *job, struct preflight_findings *f)
{
	for (int i = 0; i < 5000; i++)
		preflight_say(f, &warns, job->name, "number %d", i);
}

static bool has(const struct preflight_findings *f, enum preflight_level level, const char *what)
{
	for (size_t i = 0; i < f->count; i++)
		if (f->list[i].level == level && strstr(f->list[i].what, what))
			return true;

	return false;
}

static void jobs_are_gathered_and_what_two_find_of_the_control_is_told_once(void **state)
{
	const struct preflight_job jobs[] = {
		{"candidate a", look_well, "a"}, {"candidate b", look_well, "b"}};
	struct preflight_findings f = {0};

	(void)state;
	preflight_gather(jobs, 2, 60000, &f);
	assert_int_equal(f.count, 3);
	assert_true(has(&f, PREFLIGHT_WARNING, "found by a"));
	assert_true(has(&f, PREFLIGHT_WARNING, "found by b"));
	assert_true(has(&f, PREFLIGHT_INFORMATION, "the same of the control"));
	assert_string_equal(f.list[0].mend, "SET x");
	assert_string_equal(f.list[0].effect, "other texts");
	preflight_release(&f);
}

static void a_job_that_hangs_is_left_behind_with_what_it_had_found(void **state)
{
	const struct preflight_job jobs[] = {
		{"candidate a", look_forever, NULL}, {"candidate b", look_well, "b"}};
	struct preflight_findings f = {0};

	(void)state;
	preflight_gather(jobs, 2, 4000, &f);
	assert_true(has(&f, PREFLIGHT_WARNING, "found before"));
	assert_true(has(&f, PREFLIGHT_WARNING, "did not answer everything within 4000 ms"));
	assert_true(has(&f, PREFLIGHT_WARNING, "found by b"));
	assert_false(preflight_forbids(&f));
	preflight_release(&f);
}

static void a_job_that_breaks_down_forbids(void **state)
{
	const struct preflight_job jobs[] = {{"candidate a", look_and_break_down, NULL}};
	struct preflight_findings f = {0};

	(void)state;
	preflight_gather(jobs, 1, 60000, &f);
	assert_true(has(&f, PREFLIGHT_WARNING, "found before"));
	assert_true(has(&f, PREFLIGHT_FORBIDS, "could not be looked at"));
	preflight_release(&f);
}

static void many_findings_arrive_whole_and_in_order(void **state)
{
	const struct preflight_job jobs[] = {{"candidate a", look_and_find_much, NULL}};
	struct preflight_findings f = {0};
	char what[40];

	(void)state;
	preflight_gather(jobs, 1, 60000, &f);
	assert_int_equal(f.count, 5000);
	for (int i = 0; i < 5000; i++) {
		snprintf(what, sizeof what, "number %d", i);
		assert_string_equal(f.list[i].what, what);
	}
	preflight_release(&f);
}

/* --- merging --- */

/* Rows as "a|b|c", the first the columns' names. */
static PGresult *rows(const char *const *lines)
{
	PGresult *made = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
	PGresAttDesc columns[8] = {0};
	char line[1000], *rest = line, *word;
	int count = 0;

	snprintf(line, sizeof line, "%s", lines[0]);
	while ((word = strsep(&rest, "|")))
		columns[count++].name = word;
	assert_true(PQsetResultAttrs(made, count, columns));
	for (int row = 0; lines[row + 1]; row++) {
		snprintf(line, sizeof line, "%s", lines[row + 1]);
		rest = line;
		for (int i = 0; (word = strsep(&rest, "|")); i++)
			assert_true(PQsetvalue(made, row, i, word, (int)strlen(word)));
	}

	return made;
}

#define ROWS(...) rows((const char *const[]){__VA_ARGS__, NULL})

static const struct comparison things = {"thing", "thing", SCOPE_SERVER, PREFLIGHT_WARNING,
	PREFLIGHT_INFORMATION, PREFLIGHT_WARNING, "effect", .control_sql = ""};

static void expect(const struct preflight_findings *f, const char *const *expected)
{
	size_t i = 0;

	for (; expected[i]; i++) {
		char line[700];

		assert_true(i < f->count);
		snprintf(line, sizeof line, "%s: %s [%s]", preflight_level_name(f->list[i].level),
			f->list[i].what, f->list[i].mend);
		assert_string_equal(line, expected[i]);
	}
	assert_int_equal(f->count, i);
}

#define EXPECT(f, ...) expect(f, (const char *const[]){__VA_ARGS__, NULL})

static void what_is_missing_surplus_and_different_is_found_in_any_order_of_rows(void **state)
{
	struct preflight_findings f = {0};

	(void)state;
	compare_answers(&things,
		ROWS("key|value|add|set|remove", "d|1|ADD d|SET d|DROP d", "b|1|ADD b|SET b|DROP b",
			"a|1|ADD a|SET a|DROP a"),
		ROWS("key|value|add|set|remove", "a|1|||DROP a", "c|1|||DROP c", "d|2|||DROP d"),
		"candidate new", &f);
	EXPECT(&f, "warning: thing b is missing, on the control 1 [ADD b]",
		"information: thing c is not on the control [DROP c]",
		"warning: thing d is 2, on the control 1 [SET d]");
	preflight_release(&f);
}

static void equal_answers_and_empty_ones_find_nothing(void **state)
{
	struct preflight_findings f = {0};

	(void)state;
	compare_answers(&things, ROWS("key|value", "a|1", "b|2"), ROWS("key|value", "b|2", "a|1"),
		"candidate new", &f);
	compare_answers(&things, ROWS("key|value"), ROWS("key|value"), "candidate new", &f);
	assert_int_equal(f.count, 0);
}

static void what_belongs_to_something_missing_is_not_told(void **state)
{
	struct preflight_findings f = {0};

	(void)state;
	compare_answers(&things, ROWS("key|value|parent", "t|x|t", "t.a|1|t", "u|x|u", "u.a|1|u"),
		ROWS("key|value|parent", "t|x|t", "v|x|v", "v.b|1|v"), "candidate new", &f);
	EXPECT(&f, "warning: thing t.a is missing, on the control 1 []");
	preflight_release(&f);
}

static void a_row_may_have_a_level_and_a_shown_text_of_its_own(void **state)
{
	struct preflight_findings f = {0};

	(void)state;
	compare_answers(&things, ROWS("key|value|shown|level", "a|secret|(not shown)|information"),
		ROWS("key|value|shown|level", "a|other|(not shown)|warning"), "candidate new", &f);
	EXPECT(&f, "information: thing a is (not shown), on the control (not shown) []");
	preflight_release(&f);
}

static void two_defaults_that_differ_are_the_versions(void **state)
{
	struct preflight_findings f = {0};

	(void)state;
	compare_answers(&things, ROWS("key|value|usual", "a|1|t", "b|1|f", "c|1|t", "d|1|t"),
		ROWS("key|value|usual", "a|2|t", "b|2|t", "c|2|f", "d|1|t"), "candidate new", &f);
	EXPECT(&f,
		"information: thing a is 2, on the control 1: both are the defaults of their "
		"versions []",
		"warning: thing b is 2, on the control 1 []",
		"warning: thing c is 2, on the control 1 []");
	preflight_release(&f);
}

static void deparsed_values_are_shown_where_they_part(void **state)
{
	struct comparison views = things;
	struct preflight_findings f = {0};
	char left[400] = "a|", right[400] = "a|";

	(void)state;
	views.same = deparsed_same;
	compare_answers(&views, ROWS("key|value", "a|SELECT t.x", "b|SELECT x"),
		ROWS("key|value", "a|SELECT x", "b|SELECT y"), "candidate new", &f);
	EXPECT(&f, "warning: thing b is SELECT y, on the control SELECT x []");
	preflight_release(&f);
	for (int i = 0; i < 60; i++) {
		strcat(left, "col, ");
		strcat(right, "col, ");
	}
	strcat(left, "one");
	strcat(right, "two");
	compare_answers(
		&views, ROWS("key|value", left), ROWS("key|value", right), "candidate new", &f);
	assert_int_equal(f.count, 1);
	assert_non_null(strstr(f.list[0].what, "thing a is ...col, col,"));
	assert_non_null(strstr(f.list[0].what, "two, on the control ...col, col,"));
	assert_non_null(strstr(f.list[0].what, "one"));
	preflight_release(&f);
}

static void only_a_candidate_that_is_behind_by_more_than_is_allowed_differs(void **state)
{
	struct comparison positions = things;
	struct preflight_findings f = {0};

	(void)state;
	positions.behind = true;
	positions.tolerance = 10;
	compare_answers(&positions, ROWS("key|value", "a|100", "b|100", "c|100"),
		ROWS("key|value", "a|200", "b|90", "c|89"), "candidate new", &f);
	EXPECT(&f, "warning: thing c is 89, on the control 100 []");
	preflight_release(&f);
}

static void of_one_comparison_twenty_are_told_and_the_others_counted(void **state)
{
	struct preflight_findings f = {0};
	const char *lines[32] = {"key|value"};
	char texts[30][16];

	(void)state;
	for (int i = 0; i < 30; i++) {
		snprintf(texts[i], sizeof texts[i], "k%02d|1", i);
		lines[i + 1] = texts[i];
	}
	compare_answers(&things, rows(lines), ROWS("key|value"), "candidate new", &f);
	assert_int_equal(f.count, COMPARE_FINDINGS_MAX + 1);
	assert_string_equal(f.list[19].what, "thing k19 is missing, on the control 1");
	assert_string_equal(f.list[20].what, "and 10 more differences of this kind");
	assert_int_equal(f.list[20].level, PREFLIGHT_WARNING);
	preflight_release(&f);
}

static void a_long_value_is_cut_between_two_characters(void **state)
{
	struct preflight_findings f = {0};
	char line[500];

	(void)state;
	for (int odd = 0; odd < 2; odd++) {
		snprintf(line, sizeof line, "a|%s", odd ? "x" : "");
		for (int i = 0; i < 150; i++)
			strncat(line, "\xc3\xa4", sizeof line - strlen(line) - 1);
		compare_answers(
			&things, ROWS("key|value", line), ROWS("key|value"), "candidate new", &f);
		assert_non_null(strstr(f.list[odd].what, "\xc3\xa4..."));
	}
	preflight_release(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_what_forbids_forbids),
		cmocka_unit_test(an_allowed_unsafe_role_warns_and_nothing_is_raised),
		cmocka_unit_test(lines_come_worst_first_and_end_with_an_empty_one),
		cmocka_unit_test(lines_that_do_not_fit_are_counted_at_every_size),
		cmocka_unit_test(jobs_are_gathered_and_what_two_find_of_the_control_is_told_once),
		cmocka_unit_test(a_job_that_hangs_is_left_behind_with_what_it_had_found),
		cmocka_unit_test(a_job_that_breaks_down_forbids),
		cmocka_unit_test(many_findings_arrive_whole_and_in_order),
		cmocka_unit_test(
			what_is_missing_surplus_and_different_is_found_in_any_order_of_rows),
		cmocka_unit_test(equal_answers_and_empty_ones_find_nothing),
		cmocka_unit_test(what_belongs_to_something_missing_is_not_told),
		cmocka_unit_test(a_row_may_have_a_level_and_a_shown_text_of_its_own),
		cmocka_unit_test(two_defaults_that_differ_are_the_versions),
		cmocka_unit_test(deparsed_values_are_shown_where_they_part),
		cmocka_unit_test(only_a_candidate_that_is_behind_by_more_than_is_allowed_differs),
		cmocka_unit_test(of_one_comparison_twenty_are_told_and_the_others_counted),
		cmocka_unit_test(a_long_value_is_cut_between_two_characters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

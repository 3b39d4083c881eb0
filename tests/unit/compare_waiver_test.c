/* Waivers: W1 to W3 of compare/waiver.h. */
#include "compare/waiver.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "compare_fixture.h"

static const struct compare_rules rules;

static struct waiver waiver(const char *columns, const char *accept)
{
	return (struct waiver){.name = "w",
		.match = "select a, b from t",
		.candidate = "",
		.columns = columns,
		.accept = accept,
		.reason = "",
		.owner = "",
		.expires = ""};
}

/* Releases both. */
static bool accepted(
	const char *columns, const char *accept, struct result *primary, struct result *candidate)
{
	struct waiver w = waiver(columns, accept);
	struct comparison c;
	bool yes;

	compare_results(primary, candidate, &rules, &c);
	assert_false(c.equal);
	yes = waiver_accepts(&w, &c, primary, candidate, &rules);
	result_release(primary);
	result_release(candidate);

	return yes;
}

/* Rows (1, 1.5, x), (2, 2.5, y) on the primary; the candidate's second row as given. */
static bool accepted_row(const char *columns, const char *accept, const char *id,
	const char *amount, const char *name)
{
	struct result p, c;

	fixture_result(&p, "id:23 amount:1700 name:25");
	fixture_row(&p, "1", "1.5", "x", END);
	fixture_row(&p, "2", "2.5", "y", END);
	fixture_result(&c, "id:23 amount:1700 name:25");
	fixture_row(&c, "1", "1.5", "x", END);
	if (id)
		fixture_row(&c, id, amount, name, END);

	return accepted(columns, accept, &p, &c);
}

static void a_hint_must_explain_every_cell_that_differs(void **state)
{
	(void)state;
	assert_true(accepted_row("", "numeric_scale", "2", "2.50", "y"));
	assert_true(accepted_row("amount", "float_ulp, numeric_scale", "2", "2.50", "y"));
	assert_false(accepted_row("", "numeric_scale", "2", "2.51", "y"));
	assert_false(accepted_row("", "numeric_scale", "2", "2.50", "z"));
	assert_true(accepted_row("", "numeric_scale,padding", "2", "2.50", "y "));
	assert_false(accepted_row("", "float_ulp", "2", "2.50", "y"));
}

static void columns_bound_what_may_differ(void **state)
{
	(void)state;
	assert_true(accepted_row("name", "values", "2", "2.5", "z"));
	assert_false(accepted_row("amount", "values", "2", "2.5", "z"));
	assert_false(accepted_row("name", "values", "2", "2.50", "z"));
	assert_true(accepted_row("amount, name", "values", "2", "2.50", "z"));
	assert_false(accepted_row("nam", "values", "2", "2.5", "z"));
	assert_true(accepted_row("", "values", "2", "7", "z"));
	/* a row that is there on one side only differs in every column */
	assert_false(accepted_row("name", "values,missing_rows", NULL, NULL, NULL));
}

static void what_a_setting_makes_equal_needs_no_waiver(void **state)
{
	static const struct value_rules values = {.numeric_scale = true};
	const struct compare_rules wide = {.values = &values};
	struct waiver w = waiver("name", "values");
	struct comparison c;
	struct result p, q;

	(void)state;
	fixture_result(&p, "id:23 amount:1700 name:25");
	fixture_row(&p, "1", "1.5", "x", END);
	fixture_result(&q, "id:23 amount:1700 name:25");
	fixture_row(&q, "1", "1.50", "z", END);
	compare_results(&p, &q, &wide, &c);
	assert_false(c.equal);
	assert_true(waiver_accepts(&w, &c, &p, &q, &wide));
	assert_false(waiver_accepts(&w, &c, &p, &q, &rules));
	result_release(&p);
	result_release(&q);
}

static void a_hint_about_rows_accepts_them(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct result p, c;

		fixture_result(&p, "id:23");
		fixture_row(&p, "1", END);
		fixture_result(&c, "id:23");
		fixture_row(&c, "1", END);
		fixture_row(&c, i ? "2" : "1", END);
		assert_true(accepted("", "duplicate", &p, &c) == (i == 0));
	}
}

static void missing_rows_accept_nothing_else(void **state)
{
	struct result p, c;

	(void)state;
	assert_true(accepted_row("", "missing_rows", NULL, NULL, NULL));
	assert_false(accepted_row("", "extra_rows", NULL, NULL, NULL));
	assert_false(accepted_row("", "values", NULL, NULL, NULL));
	for (int i = 0; i < 2; i++) {
		fixture_result(&p, "id:23 name:25");
		fixture_row(&p, "1", "x", END);
		fixture_row(&p, "2", "y", END);
		fixture_row(&p, "3", "z", END);
		fixture_result(&c, "id:23 name:25");
		fixture_row(&c, "1", "x", END);
		fixture_row(&c, "3", "other", END);
		assert_true(accepted("", i ? "missing_rows,values" : "missing_rows", &p, &c) ==
			    (i == 1));
	}
}

static void errors_are_accepted_by_sqlstate_class_or_group(void **state)
{
	static const struct {
		const char *accept;
		bool yes;
	} cases[] = {{"error", true}, {"42883", true}, {"missing_object", true}, {"42P01", false},
		{"no_error", false}, {"values", false}};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct result p, c;

		fixture_result(&p, "id:23");
		fixture_row(&p, "1", END);
		fixture_error(&c, "42883", "function f() does not exist");
		assert_true(accepted("", cases[i].accept, &p, &c) == cases[i].yes);
	}
}

static void another_type_is_accepted_for_the_named_column(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		struct result p, c;

		fixture_result(&p, "id:23 amount:1700:655366");
		fixture_result(
			&c, i == 2 ? "id:20 amount:1700:655368" : "id:23 amount:1700:655368");
		assert_true(accepted(i == 1 ? "id" : "amount", "columns", &p, &c) == (i == 0));
	}
}

static void what_was_not_kept_is_never_waived(void **state)
{
	struct waiver w = waiver("", "numeric_scale");
	struct comparison c = {.class = CLASS_VALUES, .hint = "numeric_scale"};
	struct result p, q;

	(void)state;
	fixture_result(&p, "amount:1700");
	fixture_row(&p, "1.0", END);
	fixture_result(&q, "amount:1700");
	fixture_row(&q, "1.00", END);
	assert_true(waiver_accepts(&w, &c, &p, &q, &rules));
	q.kept_all = false;
	assert_false(waiver_accepts(&w, &c, &p, &q, &rules));
	q.kept_all = true;
	c.undecidable = true;
	assert_false(waiver_accepts(&w, &c, &p, &q, &rules));
	result_release(&p);
	result_release(&q);
}

static void statement_and_candidate_must_match(void **state)
{
	struct waiver w = waiver("", "values");

	(void)state;
	assert_true(waiver_matches(&w, "pg18", "select a, b from t"));
	assert_true(waiver_matches(&w, "pg18", " select  a,\n\tb from t "));
	assert_false(waiver_matches(&w, "pg18", "select a, bfrom t"));
	assert_false(waiver_matches(&w, "pg18", "select a, b from t2"));
	assert_false(waiver_matches(&w, "pg18", "select a, b from"));
	assert_false(waiver_matches(&w, "pg18", "Select a, b from t"));
	assert_false(waiver_matches(&w, "pg18", ""));
	w.match = "*";
	assert_true(waiver_matches(&w, "pg18", "anything"));
	w.candidate = "pg17";
	assert_false(waiver_matches(&w, "pg18", "anything"));
	assert_true(waiver_matches(&w, "pg17", "anything"));
}

static void a_day_ends_at_midnight_utc(void **state)
{
	static const char *const wrong[] = {"", "2026-02-29", "2026-13-01", "2026-00-10",
		"2026-01-00", "2026-1-1", "26-01-01", "2026/01/01", "2026-01-01 ", "1969-12-31"};
	int64_t us = 0;

	(void)state;
	assert_true(waiver_day_end("1970-01-01", &us));
	assert_true(us == INT64_C(86400000000));
	assert_true(waiver_day_end("2028-02-29", &us));
	assert_true(us == INT64_C(1835481600000000)); /* date -ud 2028-03-01 +%s */
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		assert_false(waiver_day_end(wrong[i], &us));
}

static void words_are_classes_hints_groups_and_sqlstates(void **state)
{
	static const char *const known[] = {"missing_rows", "error_code", "numeric_scale",
		"column_order", "missing_object", "22012", "42P01"};
	static const char *const unknown[] = {
		"", "numeric_scal", "Values", "other", "42p01", "220122", "matched"};

	(void)state;
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		assert_true(waiver_word_known(known[i]));
	for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++)
		assert_false(waiver_word_known(unknown[i]));
	for (size_t i = 0; waiver_word(i); i++)
		assert_true(waiver_word_known(waiver_word(i)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_hint_must_explain_every_cell_that_differs),
		cmocka_unit_test(columns_bound_what_may_differ),
		cmocka_unit_test(what_a_setting_makes_equal_needs_no_waiver),
		cmocka_unit_test(a_hint_about_rows_accepts_them),
		cmocka_unit_test(missing_rows_accept_nothing_else),
		cmocka_unit_test(errors_are_accepted_by_sqlstate_class_or_group),
		cmocka_unit_test(another_type_is_accepted_for_the_named_column),
		cmocka_unit_test(what_was_not_kept_is_never_waived),
		cmocka_unit_test(statement_and_candidate_must_match),
		cmocka_unit_test(a_day_ends_at_midnight_utc),
		cmocka_unit_test(words_are_classes_hints_groups_and_sqlstates),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

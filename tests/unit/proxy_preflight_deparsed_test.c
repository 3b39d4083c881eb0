/* Texts that PostgreSQL deparses: what is the same, what isn't, and where they part. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proxy/preflight_deparsed.h"
#include <stdlib.h>
#include <string.h>

static bool same(const char *control, const char *candidate)
{
	size_t at[2];
	char *a = deparsed_normal(control), *b = deparsed_normal(candidate);
	bool equal, other_way;

	assert_non_null(a);
	assert_non_null(b);
	equal = deparsed_same(a, b, at);
	other_way = deparsed_same(b, a, at);
	assert_int_equal(equal, other_way);
	free(a);
	free(b);

	return equal;
}

static void white_space_counts_for_nothing_outside_of_quotes(void **state)
{
	(void)state;
	assert_true(same(" SELECT  a,\n   b ", "SELECT a, b"));
	assert_true(same("", " \n"));
	assert_false(same("SELECT 'a b'", "SELECT 'a  b'"));
	assert_false(same("SELECT \"a b\"", "SELECT \"a  b\""));
	assert_false(same("SELECT E'a\\' b'", "SELECT E'a\\'  b'"));
	assert_false(same("a b", "ab"));
}

static void a_column_may_be_with_or_without_its_relation(void **state)
{
	(void)state;
	assert_true(same("SELECT items.id, items.name FROM app.items WHERE (items.id > 0)",
		"SELECT id, name FROM app.items WHERE (id > 0)"));
	assert_true(same("SELECT \"my items\".\"the id\"", "SELECT \"the id\""));
	assert_true(same("items.items", "items"));
	assert_false(same("count(items.*)", "count(*)"));
}

static void two_relations_or_columns_are_told_apart(void **state)
{
	(void)state;
	assert_false(same("SELECT a.id", "SELECT b.id"));
	assert_false(same("SELECT a.id", "SELECT a.name"));
	assert_false(same("SELECT a.id", "SELECT name"));
	assert_false(same("SELECT items.id", "SELECT items"));
	assert_false(same("FROM app.items", "FROM other.items"));
	assert_false(same("app.items.id", "id"));
}

static void constants_operators_and_brackets_are_told_apart(void **state)
{
	(void)state;
	assert_false(same("(id > 10)", "(id > 20)"));
	assert_false(same("(id > 1.5)", "(id > 1.6)"));
	assert_false(same("(id > 10)", "(id >= 10)"));
	assert_false(same("((a AND b) OR c)", "(a AND (b OR c))"));
	assert_false(same("'it''s'", "'it'"));
	assert_false(same("a", ""));
	assert_false(same("a, b", "a"));
}

static void a_cast_array_is_one_of_cast_elements(void **state)
{
	(void)state;
	assert_true(same("(ARRAY['a'::character varying, 'b'::character varying])::text[]",
		"ARRAY[('a'::character varying)::text, ('b'::character varying)::text]"));
	assert_true(same("((s)::text = ANY ((ARRAY['a,]'::character varying])::text[]))",
		"((s)::text = ANY (ARRAY[('a,]'::character varying)::text]))"));
	assert_true(same("(ARRAY[f(1, 2), (a)[3]])::numeric(10,2)[]",
		"ARRAY[(f(1, 2))::numeric(10,2), ((a)[3])::numeric(10,2)]"));
	assert_true(same("(ARRAY[(ARRAY[a])::t[]])::u[]", "ARRAY[(ARRAY[(a)::t])::u]"));
	assert_false(same("(ARRAY['a'::character varying])::text[]",
		"ARRAY[('b'::character varying)::text]"));
	assert_false(same("(ARRAY[1])::text[]", "ARRAY[(1)::numeric]"));
}

static void what_only_looks_like_a_cast_array_stays(void **state)
{
	static const char *const texts[] = {"(ARRAY[1, 2])", "(ARRAY[1, 2]", "(ARRAY[1", "(ARRAY[",
		"(ARRAY[1])::", "(ARRAY[1])::text", "(ARRAY[1])::text[", "'(ARRAY[1])::text[]'",
		"(ARRAY[1))::text[]", "(ARRAY[1])::te-xt[]", "(ARRAY['a)::text[]", "((ARRAY[1])::"};

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		char *normal = deparsed_normal(texts[i]);

		assert_string_equal(normal, texts[i]);
		free(normal);
	}
}

static void every_beginning_of_a_text_can_be_read(void **state)
{
	static const char text[] = "SELECT \"a\"\"b\".c, E'x\\'y', 1.5e3 FROM (ARRAY['a'::v, f(x)])"
				   "::\"t y\"[] WHERE ((a.b)[1] = 'it''s')";
	char cut[sizeof text];

	(void)state;
	for (size_t length = 0; length < sizeof text; length++) {
		char *exact = malloc(length + 1);

		assert_non_null(exact);
		memcpy(exact, text, length);
		exact[length] = '\0';
		memcpy(cut, exact, length + 1);
		assert_true(same(exact, cut));
		if (length > 0 && text[length - 1] != ' ')
			assert_false(same(exact, ""));
		free(exact);
	}
}

static void where_they_part_is_told(void **state)
{
	size_t at[2];

	(void)state;
	assert_false(deparsed_same("SELECT t.a, 'x'", "SELECT a,  'y'", at));
	assert_int_equal(at[0], 12);
	assert_int_equal(at[1], 11);
	assert_false(deparsed_same("a", "a b", at));
	assert_int_equal(at[0], 1);
	assert_int_equal(at[1], 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(white_space_counts_for_nothing_outside_of_quotes),
		cmocka_unit_test(a_column_may_be_with_or_without_its_relation),
		cmocka_unit_test(two_relations_or_columns_are_told_apart),
		cmocka_unit_test(constants_operators_and_brackets_are_told_apart),
		cmocka_unit_test(a_cast_array_is_one_of_cast_elements),
		cmocka_unit_test(what_only_looks_like_a_cast_array_stays),
		cmocka_unit_test(every_beginning_of_a_text_can_be_read),
		cmocka_unit_test(where_they_part_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

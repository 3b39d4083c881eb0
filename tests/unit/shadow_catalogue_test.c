/* The catalogue by hand: what lookups say of names, schemas and the worst of several. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "proxy/shadow/catalogue.h"

static int setup(void **state)
{
	*state = catalogue_new();
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	catalogue_free(*state);
	return 0;
}

static void an_empty_catalogue_knows_nothing(void **state)
{
	struct catalogue *c = *state;

	catalogue_seal(c);
	assert_int_equal(catalogue_function(c, NULL, "f"), FUNCTION_UNKNOWN);
	assert_int_equal(catalogue_relation(c, NULL, "t"), RELATION_UNKNOWN);
	assert_false(catalogue_function_only_in(c, "pg_catalog", "f"));
	assert_false(catalogue_operator_volatile(c, "+"));
	assert_false(catalogue_type_volatile(c, "int4"));
	assert_null(catalogue_type_name(c, 16384));
	assert_int_equal(catalogue_type_oid(c, "public.x"), 0);
	assert_int_equal(catalogue_functions(c), 0);
}

static void the_worst_overload_counts(void **state)
{
	struct catalogue *c = *state;

	assert_true(catalogue_add_function(c, "b", "f", FUNCTION_IMMUTABLE));
	assert_true(catalogue_add_function(c, "a", "f", FUNCTION_STABLE));
	assert_true(catalogue_add_function(c, "b", "f", FUNCTION_VOLATILE));
	assert_true(catalogue_add_function(c, "b", "g", FUNCTION_IMMUTABLE));
	catalogue_seal(c);
	assert_int_equal(catalogue_function(c, NULL, "f"), FUNCTION_VOLATILE);
	assert_int_equal(catalogue_function(c, "b", "f"), FUNCTION_VOLATILE);
	assert_int_equal(catalogue_function(c, "a", "f"), FUNCTION_STABLE);
	assert_int_equal(catalogue_function(c, "c", "f"), FUNCTION_UNKNOWN);
	assert_int_equal(catalogue_function(c, NULL, "g"), FUNCTION_IMMUTABLE);
	assert_int_equal(catalogue_function(c, NULL, "F"), FUNCTION_UNKNOWN);
	assert_int_equal(catalogue_functions(c), 4);
}

static void a_function_is_only_in_a_schema_if_nowhere_else(void **state)
{
	struct catalogue *c = *state;

	assert_true(catalogue_add_function(c, "pg_catalog", "lower", FUNCTION_IMMUTABLE));
	assert_true(catalogue_add_function(c, "public", "lower", FUNCTION_IMMUTABLE));
	assert_true(catalogue_add_function(c, "pg_catalog", "upper", FUNCTION_IMMUTABLE));
	assert_true(catalogue_add_function(c, "pg_catalog", "upper", FUNCTION_STABLE));
	catalogue_seal(c);
	assert_false(catalogue_function_only_in(c, "pg_catalog", "lower"));
	assert_true(catalogue_function_only_in(c, "pg_catalog", "upper"));
	assert_false(catalogue_function_only_in(c, "public", "upper"));
}

static void the_gravest_relation_of_a_name_counts(void **state)
{
	static const enum relation_knowledge rising[] = {RELATION_PLAIN, RELATION_USER,
		RELATION_ROW_SECURITY, RELATION_SERVER_SPECIFIC, RELATION_SYSTEM,
		RELATION_ROW_SECURITY_SERVER, RELATION_VOLATILE};
	const int count = sizeof rising / sizeof *rising;
	struct catalogue *c = *state;
	char schema[8];

	for (int name = 0; name < count; name++) {
		char relation[8];

		snprintf(relation, sizeof relation, "r%d", name);
		for (int i = name; i >= 0; i--) {
			snprintf(schema, sizeof schema, "s%d", i);
			assert_true(catalogue_add_relation(c, schema, relation, rising[i]));
		}
	}
	catalogue_seal(c);
	for (int name = 0; name < count; name++) {
		char relation[8];

		snprintf(relation, sizeof relation, "r%d", name);
		assert_int_equal(catalogue_relation(c, NULL, relation), rising[name]);
	}
	assert_int_equal(catalogue_relation(c, "s0", "r3"), RELATION_PLAIN);
	assert_int_equal(catalogue_relation(c, "s9", "r3"), RELATION_UNKNOWN);
}

static void built_types_say_what_they_are_built_from(void **state)
{
	struct catalogue *c = *state;
	uint32_t inner;

	assert_true(catalogue_add_type_build(c, 16400, TYPE_ARRAY, 16399));
	assert_true(catalogue_add_type_build(c, 16390, TYPE_DOMAIN, 23));
	assert_true(catalogue_add_type_build(c, 16395, TYPE_COMPOSITE, 0));
	assert_true(catalogue_add_type_field(c, 16395, 1, 25));
	assert_true(catalogue_add_type_field(c, 16395, 0, 16390));
	assert_true(catalogue_add_type_field(c, 16394, 0, 20));
	catalogue_seal(c);
	assert_int_equal(catalogue_type_build(c, 16400, &inner), TYPE_ARRAY);
	assert_int_equal(inner, 16399);
	assert_int_equal(catalogue_type_build(c, 16390, &inner), TYPE_DOMAIN);
	assert_int_equal(inner, 23);
	assert_int_equal(catalogue_type_build(c, 16395, &inner), TYPE_COMPOSITE);
	assert_int_equal(catalogue_type_field(c, 16395, 0), 16390);
	assert_int_equal(catalogue_type_field(c, 16395, 1), 25);
	assert_int_equal(catalogue_type_field(c, 16395, 2), 0);
	assert_int_equal(catalogue_type_field(c, 16396, 0), 0);
	assert_int_equal(catalogue_type_build(c, 16399, &inner), TYPE_SIMPLE);
	assert_int_equal(inner, 0);
}

static void add_code(struct catalogue *c, const char *name, const char *language, const char *body)
{
	assert_true(catalogue_add_function(c, "public", name, FUNCTION_VOLATILE));
	assert_true(catalogue_add_routine(c, "public", name, language, body));
}

static void what_a_routine_does_is_what_it_may_call(void **state)
{
	struct catalogue *c = *state;

	assert_true(catalogue_add_function(c, "pg_catalog", "set_config", FUNCTION_VOLATILE));
	assert_true(catalogue_add_function(c, "pg_catalog", "nextval", FUNCTION_VOLATILE));
	assert_true(catalogue_add_function(c, "pg_catalog", "query_to_xml", FUNCTION_VOLATILE));
	assert_true(catalogue_add_function(c, "public", "steady", FUNCTION_STABLE));
	assert_true(catalogue_add_function(c, "public", "in_c", FUNCTION_VOLATILE));
	assert_true(catalogue_add_function(c, "public", "summing", FUNCTION_VOLATILE));
	add_code(c, "writes", "sql", "insert into t select steady(nextval('s'))");
	add_code(c, "over", "plpgsql", "begin perform writes(); perform itself(); end");
	add_code(c, "itself", "sql", "select itself(), over()");
	add_code(c, "sets", "sql", "select set_config('a.b', '1', false)");
	add_code(c, "over_sets", "plpgsql", "begin if false then perform deep(); end if; end");
	add_code(c, "deep", "sql", "select sets()");
	add_code(c, "runs_text", "sql", "select query_to_xml('x', true, true, '')");
	add_code(c, "in_python", "plpython3u", NULL);
	add_code(c, "newborn", "sql", "select nobody_knows(1)");
	add_code(c, "over_c", "sql", "select in_c()");
	add_code(c, "by_attribute", "sql", "select t.sets from t");
	add_code(c, "aggregates", "sql", "select summing(a) from t");
	assert_true(catalogue_add_routine(c, "public", "in_c", "c", NULL));
	assert_true(catalogue_add_routine(c, "public", "proc", "sql", "select writes()"));
	assert_true(catalogue_add_routine(c, "public", "bad_proc", "sql", "select sets()"));
	assert_true(catalogue_add_routine(c, "app", "writes", "sql", "reset all"));
	assert_true(catalogue_add_function(c, "app", "writes", FUNCTION_STABLE));
	catalogue_seal(c);
	assert_true(catalogue_function_calm(c, NULL, "nextval"));
	assert_false(catalogue_function_calm(c, NULL, "set_config"));
	assert_false(catalogue_function_calm(c, NULL, "query_to_xml"));
	assert_true(catalogue_function_calm(c, NULL, "steady"));
	assert_true(catalogue_function_calm(c, NULL, "writes"));
	assert_true(catalogue_function_calm(c, NULL, "over"));
	assert_true(catalogue_function_calm(c, "public", "itself"));
	assert_false(catalogue_function_calm(c, "app", "itself"));
	assert_false(catalogue_function_calm(c, NULL, "sets"));
	assert_false(catalogue_function_calm(c, NULL, "deep"));
	assert_false(catalogue_function_calm(c, NULL, "over_sets"));
	assert_false(catalogue_function_calm(c, NULL, "runs_text"));
	assert_false(catalogue_function_calm(c, NULL, "in_python"));
	assert_false(catalogue_function_calm(c, NULL, "newborn"));
	assert_false(catalogue_function_calm(c, NULL, "in_c"));
	assert_false(catalogue_function_calm(c, NULL, "over_c"));
	assert_false(catalogue_function_calm(c, NULL, "by_attribute"));
	assert_false(catalogue_function_calm(c, NULL, "aggregates"));
	assert_false(catalogue_function_calm(c, NULL, "nobody_knows"));
	assert_true(catalogue_procedure_calm(c, NULL, "proc"));
	assert_false(catalogue_procedure_calm(c, NULL, "bad_proc"));
	assert_false(catalogue_procedure_calm(c, "app", "proc"));
	assert_false(catalogue_procedure_calm(c, NULL, "steady"));
	assert_true(catalogue_word_calm(c, "some_column", false));
	assert_false(catalogue_word_calm(c, "some_column", true));
	assert_false(catalogue_word_calm(c, "sets", false));
}

static void of_overloads_the_worst_routine_counts(void **state)
{
	struct catalogue *c = *state;

	add_code(c, "twice", "sql", "select 1");
	add_code(c, "twice", "sql", "reset all");
	add_code(c, "calls", "sql", "select twice()");
	catalogue_seal(c);
	assert_false(catalogue_function_calm(c, NULL, "twice"));
	assert_false(catalogue_function_calm(c, NULL, "calls"));
}

static void views_operators_and_types_lead_to_code(void **state)
{
	struct catalogue *c = *state;

	assert_true(catalogue_add_relation(c, "public", "draws", RELATION_VOLATILE));
	assert_true(catalogue_add_relation(c, "public", "sets", RELATION_VOLATILE));
	assert_true(catalogue_add_relation(c, "public", "t", RELATION_PLAIN));
	assert_true(catalogue_add_code(c, CODE_UNSURE_RELATION, "public", "sets"));
	assert_true(catalogue_add_code(c, CODE_LATE_RELATION, "public", "sets"));
	assert_true(catalogue_add_volatile_operator(c, "@@@"));
	assert_true(catalogue_add_code(c, CODE_UNSURE_OPERATOR, NULL, "@@@"));
	assert_true(catalogue_add_code(c, CODE_LATE_TYPE, NULL, "pair"));
	add_code(c, "reads_view", "sql", "select * from sets");
	add_code(c, "draws_view", "sql", "select a + 1 from draws");
	add_code(c, "operates", "sql", "select a @@@ b from t");
	catalogue_seal(c);
	assert_true(catalogue_relation_calm(c, NULL, "draws"));
	assert_true(catalogue_relation_calm(c, NULL, "t"));
	assert_false(catalogue_relation_calm(c, NULL, "sets"));
	assert_true(catalogue_relation_late(c, "public", "sets"));
	assert_false(catalogue_relation_late(c, "app", "sets"));
	assert_false(catalogue_relation_late(c, NULL, "t"));
	assert_false(catalogue_operator_calm(c, "@@@"));
	assert_false(catalogue_operator_late(c, "@@@"));
	assert_true(catalogue_type_calm(c, "pair"));
	assert_true(catalogue_type_late(c, "pair"));
	assert_false(catalogue_function_calm(c, NULL, "reads_view"));
	assert_true(catalogue_function_calm(c, NULL, "draws_view"));
	assert_false(catalogue_function_calm(c, NULL, "operates"));
}

static void without_their_graph_all_code_counts_as_unsure(void **state)
{
	struct catalogue *c = *state;

	assert_true(catalogue_add_relation(c, "public", "v", RELATION_VOLATILE));
	catalogue_codes_unknown(c);
	catalogue_seal(c);
	assert_false(catalogue_relation_calm(c, NULL, "v"));
	assert_true(catalogue_relation_late(c, NULL, "anything"));
}

static void bodies_kept_as_text_mention_names(void **state)
{
	struct catalogue *c = *state;

	add_code(c, "reads", "sql", "select count(*) from Account -- and ledger");
	add_code(c, "bound", "sql", "BEGIN ATOMIC SELECT a FROM early; END");
	add_code(c, "in_c", "c", NULL);
	catalogue_seal(c);
	assert_true(catalogue_mentions(c, "account"));
	assert_true(catalogue_mentions(c, "Account"));
	assert_true(catalogue_mentions(c, "ledger"));
	assert_true(catalogue_mentions(c, "with space"));
	assert_false(catalogue_mentions(c, "early"));
	assert_false(catalogue_mentions(c, "staging"));
	assert_true(catalogue_function_late(c, NULL, "reads"));
	assert_false(catalogue_function_late(c, "pg_catalog", "lower"));
}

static void a_body_in_another_language_may_mention_any_name(void **state)
{
	struct catalogue *c = *state;

	add_code(c, "other", "plpython3u", "return 1");
	catalogue_seal(c);
	assert_true(catalogue_mentions(c, "staging"));
}

static void types_are_found_by_oid_and_by_name(void **state)
{
	struct catalogue *c = *state;
	char name[16];

	for (uint32_t i = 0; i < 1000; i++) { /* in an order of its own */
		uint32_t oid = 16384 + (i * 7919) % 1000;

		snprintf(name, sizeof name, "s.t%u", oid);
		assert_true(catalogue_add_type(c, oid, name));
	}
	assert_true(catalogue_add_type(c, UINT32_MAX, "s.last"));
	catalogue_seal(c);
	for (uint32_t oid = 16384; oid < 17384; oid++) {
		snprintf(name, sizeof name, "s.t%u", oid);
		assert_string_equal(catalogue_type_name(c, oid), name);
		assert_int_equal(catalogue_type_oid(c, name), oid);
	}
	assert_string_equal(catalogue_type_name(c, UINT32_MAX), "s.last");
	assert_null(catalogue_type_name(c, 16383));
	assert_null(catalogue_type_name(c, 17384));
	assert_int_equal(catalogue_type_oid(c, "s.t"), 0);
}

static void operators_and_casts_are_found_by_name(void **state)
{
	struct catalogue *c = *state;

	assert_true(catalogue_add_volatile_operator(c, "@@"));
	assert_true(catalogue_add_volatile_type(c, "pair"));
	catalogue_seal(c);
	assert_true(catalogue_operator_volatile(c, "@@"));
	assert_false(catalogue_operator_volatile(c, "@"));
	assert_false(catalogue_operator_volatile(c, "@@@"));
	assert_true(catalogue_type_volatile(c, "pair"));
	assert_false(catalogue_type_volatile(c, "pai"));
}

static void a_connection_that_is_none_is_an_error(void **state)
{
	PGconn *connection = PQconnectdb("host=/nonexistent port=1");
	struct error error = {""};

	(void)state;
	assert_null(catalogue_load(connection, &error));
	assert_true(error.text[0] != '\0');
	PQfinish(connection);
}

static void freeing_none_is_fine(void **state)
{
	(void)state;
	catalogue_free(NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(an_empty_catalogue_knows_nothing),
		TEST(the_worst_overload_counts),
		TEST(a_function_is_only_in_a_schema_if_nowhere_else),
		TEST(the_gravest_relation_of_a_name_counts),
		TEST(types_are_found_by_oid_and_by_name),
		TEST(built_types_say_what_they_are_built_from),
		TEST(operators_and_casts_are_found_by_name),
		TEST(what_a_routine_does_is_what_it_may_call),
		TEST(of_overloads_the_worst_routine_counts),
		TEST(views_operators_and_types_lead_to_code),
		TEST(without_their_graph_all_code_counts_as_unsure),
		TEST(bodies_kept_as_text_mention_names),
		TEST(a_body_in_another_language_may_mention_any_name),
		cmocka_unit_test(a_connection_that_is_none_is_an_error),
		cmocka_unit_test(freeing_none_is_fine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

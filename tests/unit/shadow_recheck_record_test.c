/* From a record back to the read: what a value was comes back, and nothing is guessed. */
#include "proxy/shadow/recheck.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct recheck item;

static void from(const char *text)
{
	json_t *record = json_loads(text, JSON_ALLOW_NUL, NULL);

	assert_non_null(record);
	assert_true(recheck_from_record(&item, record));
	json_decref(record);
}

static int release(void **state)
{
	(void)state;
	recheck_release(&item);

	return 0;
}

static void everything_comes_back(void **state)
{
	const struct dark_read *r;

	(void)state;
	from("{\"id\":\"1-2\",\"candidate\":\"new\",\"query\":\"select $1, $2, $3, $4\","
	     "\"normalized\":\"select $1, $2, $3, $4\",\"database\":\"app\",\"user\":\"ann\","
	     "\"role\":\"reader\",\"application_name\":\"shop\","
	     "\"params\":[\"a\\u0000b\",null,{\"hex\":\"00ff10\",\"type\":\"bytea\"},\"\"],"
	     "\"request\":{\"simple\":false,\"named\":true,\"param_types\":[25,0],"
	     "\"value_types\":[25,23,17,25],\"param_formats\":[0,0,1,0],\"result_formats\":[1],"
	     "\"row_limit\":7},\"settings\":{\"app.tenant\":\"5\",\"datestyle\":\"German\"}}");
	assert_int_equal(item.end, RECHECK_OPEN);
	r = item.read;
	assert_string_equal(item.id, "1-2");
	assert_string_equal(item.candidate, "new");
	assert_string_equal(r->sql, "select $1, $2, $3, $4");
	assert_string_equal(r->database, "app");
	assert_string_equal(r->user, "ann");
	assert_string_equal(r->role, "reader");
	assert_true(r->role_changed);
	assert_false(r->simple);
	assert_int_equal(r->row_limit, 7);
	assert_int_equal(r->nparams, 4);
	assert_true(span_equal(r->params[0], span_of("a\0b", 3)));
	assert_null(r->params[1].data);
	assert_true(span_equal(r->params[2], span_of("\x00\xff\x10", 3)));
	assert_non_null(r->params[3].data);
	assert_int_equal(r->params[3].len, 0);
	assert_int_equal(r->nparam_types, 2);
	assert_int_equal(r->param_types[0], 25);
	assert_int_equal(r->nvalue_types, 4);
	assert_int_equal(r->value_types[2], 17);
	assert_int_equal(r->nparam_formats, 4);
	assert_int_equal(r->param_formats[2], 1);
	assert_int_equal(r->nresult_formats, 1);
	assert_int_equal(r->result_formats[0], 1);
	assert_int_equal(r->nsettings, 2);
	assert_string_equal(r->settings[0].name, "app.tenant");
	assert_string_equal(r->settings[0].value, "5");
}

static void what_was_hashed_or_left_out_cannot_be_run(void **state)
{
	static const char *const records[] = {
		/* a placeholder without its value */
		"{\"id\":\"1\",\"normalized\":\"select $1\",\"params\":[]}",
		/* values=none: the settings that are values are not known */
		"{\"id\":\"1\",\"normalized\":\"select a from t\"}",
		"{\"id\":\"1\",\"normalized\":\"select a from t\",\"params\":[{\"hmac\":\"00\"}]}",
		("{\"id\":\"1\",\"normalized\":\"select a from t\",\"params\":[],"
		 "\"settings\":{\"app.tenant\":{\"hmac\":\"00\"}}}"),
		"{\"id\":\"1\",\"query\":\"select $1\",\"params\":[{\"hex\":\"0g\"}]}",
		"{\"id\":\"1\",\"query\":\"select $1\",\"params\":[7]}",
		"{\"id\":\"1\",\"normalized\":\"\"}",
		"{}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof records / sizeof *records; i++) {
		from(records[i]);
		assert_int_equal(item.end, RECHECK_IMPOSSIBLE);
		assert_null(item.read);
		assert_true(item.why[0] != '\0');
	}
}

static void a_statement_without_values_needs_none(void **state)
{
	(void)state;
	from("{\"id\":\"1\",\"normalized\":\"select a from t\",\"user\":\"ann\",\"params\":[],"
	     "\"settings\":{}}");
	assert_int_equal(item.end, RECHECK_OPEN);
	assert_string_equal(item.read->sql, "select a from t");
	assert_string_equal(item.read->role, "ann"); /* records of before have no role */
	assert_false(item.read->role_changed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(everything_comes_back, release),
		cmocka_unit_test_teardown(what_was_hashed_or_left_out_cannot_be_run, release),
		cmocka_unit_test_teardown(a_statement_without_values_needs_none, release),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

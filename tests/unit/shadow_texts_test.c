/* Lists of texts that sessions have alike, and lists of settings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka needs the above first */
#include <cmocka.h>

#include "proxy/shadow/dark_read.h"
#include "proxy/shadow/mirror_session.h"
#include "proxy/shadow/texts.h"

#include <stdlib.h>

static struct texts *get(struct texts_pool *pool, const char *first, const char *second)
{
	struct span texts[] = {span_cstr(first), span_cstr(second)};
	struct texts *t = texts_get(pool, texts, 2);

	assert_non_null(t);
	assert_int_equal(t->count, 2);
	assert_string_equal(t->text[0], first);
	assert_string_equal(t->text[1], second);

	return t;
}

static void equal_lists_exist_once_while_somebody_holds_them(void **state)
{
	struct texts_pool *pool = texts_pool_new(10);
	struct texts *a = get(pool, "app", "shop"), *b = get(pool, "app", "shop");
	struct texts *moved = get(pool, "apps", "hop"), *empty = get(pool, "", "");

	(void)state;
	assert_ptr_equal(a, b);
	assert_ptr_not_equal(a, moved);
	assert_int_equal(texts_pool_count(pool), 3);
	texts_unref(a);
	assert_int_equal(texts_pool_count(pool), 3);
	texts_unref(b);
	assert_int_equal(texts_pool_count(pool), 2); /* T1 */
	texts_unref(moved);
	texts_unref(empty);
	assert_int_equal(texts_pool_count(pool), 0);
	texts_unref(NULL);
	texts_pool_free(pool);
}

static void past_the_limit_lists_are_not_shared(void **state) /* T2 */
{
	struct texts_pool *pool = texts_pool_new(1);
	struct texts *a = get(pool, "a", "1"), *b = get(pool, "b", "1"), *c = get(pool, "b", "1");

	(void)state;
	assert_ptr_not_equal(b, c);
	assert_int_equal(texts_pool_count(pool), 1);
	texts_unref(a);
	texts_unref(b);
	texts_unref(c);
	assert_int_equal(texts_pool_count(pool), 0);
	texts_pool_free(pool);
}

static void a_list_outlives_its_pool(void **state) /* T3 */
{
	struct texts_pool *pool = texts_pool_new(10);
	struct texts *a = get(pool, "a", "1"), *alone = get(NULL, "a", "1");

	(void)state;
	assert_ptr_not_equal(a, alone);
	texts_pool_free(pool);
	assert_string_equal(a->text[0], "a");
	texts_unref(a);
	texts_unref(alone);
}

static void a_list_knows_what_is_applied_and_which_names_are_custom(void **state)
{
	static const struct setting given[] = {{(char *)"datestyle", (char *)"ISO, DMY"},
		{(char *)"app.tenant", (char *)"1"}, {(char *)"role", (char *)"boss"},
		{(char *)"APP.tenant", (char *)"2"}, {(char *)"extra_float_digits", (char *)"3"}};
	struct setting_list *list = setting_list_new(given, 5, 7);

	(void)state;
	assert_non_null(list);
	assert_int_equal(list->count, 5);
	assert_int_equal(list->napplied, 3);
	assert_string_equal(list->setting[list->applied[0].at].name, "datestyle");
	assert_int_equal(list->applied[0].reported, REPORTED_DATESTYLE);
	assert_string_equal(list->setting[list->applied[1].at].value, "2"); /* the last counts */
	assert_int_equal(list->applied[1].reported, -1);
	assert_string_equal(list->setting[list->applied[2].at].name, "extra_float_digits");
	assert_int_equal(list->custom, settings_custom(given + 1, 1));
	assert_int_not_equal(list->custom, 0);
	setting_list_unref(list);
}

static void lists_differ_by_names_values_and_seed(void **state)
{
	static const struct setting one = {(char *)"timezone", (char *)"UTC"},
				    other = {(char *)"timezone", (char *)"GMT"};
	struct setting_list *a = setting_list_new(&one, 1, 1), *b = setting_list_new(&one, 1, 1),
			    *c = setting_list_new(&other, 1, 1), *d = setting_list_new(&one, 1, 2),
			    *none = setting_list_new(NULL, 0, 1);

	(void)state;
	assert_true(a && b && c && d && none);
	assert_int_equal(a->hash, b->hash);
	assert_int_not_equal(a->hash, c->hash);
	assert_int_not_equal(a->hash, d->hash);
	assert_int_equal(none->napplied, 0);
	assert_int_equal(none->custom, 0);
	setting_list_unref(a);
	setting_list_unref(b);
	setting_list_unref(c);
	setting_list_unref(d);
	setting_list_unref(none);
}

static void a_read_shares_names_and_settings_with_its_session(void **state)
{
	static const struct setting one = {(char *)"timezone", (char *)"UTC"};
	struct span names[NAMED] = {
		span_cstr("app"), span_cstr("shop"), span_cstr("web"), span_cstr("boss")};
	struct texts *texts = texts_get(NULL, names, NAMED);
	struct setting_list *list = setting_list_new(&one, 1, 1);
	struct dark_read *read = dark_read_new();

	(void)state;
	assert_true(texts && list && read);
	dark_read_names(read, texts);
	dark_read_list(read, list);
	dark_read_list(read, list);
	texts_unref(texts);
	setting_list_unref(list);
	assert_string_equal(read->user, "app");
	assert_string_equal(read->database, "shop");
	assert_string_equal(read->application_name, "web");
	assert_string_equal(read->role, "boss");
	assert_int_equal(read->nsettings, 1);
	assert_string_equal(read->settings[0].value, "UTC");
	dark_read_unref(read);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(equal_lists_exist_once_while_somebody_holds_them),
		cmocka_unit_test(past_the_limit_lists_are_not_shared),
		cmocka_unit_test(a_list_outlives_its_pool),
		cmocka_unit_test(a_list_knows_what_is_applied_and_which_names_are_custom),
		cmocka_unit_test(lists_differ_by_names_values_and_seed),
		cmocka_unit_test(a_read_shares_names_and_settings_with_its_session),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

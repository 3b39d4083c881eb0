#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka needs the above first */
#include <cmocka.h>

#include "proxy/shadow/session_settings.h"
#include <stdio.h>

static int set_up(void **state)
{
	static struct session_settings s;

	if (!session_settings_init(&s))
		return -1;
	session_settings_base(&s, "TimeZone", span_cstr("Asia/Tokyo"));
	*state = &s;

	return 0;
}

static int tear_down(void **state)
{
	session_settings_release(*state);
	return 0;
}

static void assert_value(const struct session_settings *s, const char *name, const char *expected)
{
	const char *value = session_settings_get(s, name);

	if (expected)
		assert_string_equal(value, expected);
	else
		assert_null(value);
}

static void a_set_lasts_when_its_transaction_commits(void **state)
{
	struct session_settings *s = *state;

	session_settings_begin(s);
	session_settings_set(s, "Extra_Float_Digits", "0", false);
	assert_value(s, "extra_float_digits", "0");
	session_settings_commit(s);
	assert_value(s, "extra_float_digits", "0");
}

static void a_rollback_restores_the_very_state_from_before(void **state)
{
	struct session_settings *s = *state;
	struct settings_state *before = s->current;

	session_settings_begin(s);
	session_settings_set(s, "a.b", "1", false);
	session_settings_set(s, "a.c", "1", true);
	session_settings_doubt(s);
	session_settings_rollback(s);
	assert_ptr_equal(s->current, before);	   /* S1 */
	assert_false(session_settings_unknown(s)); /* S2 */
}

static void set_local_hides_the_session_value_until_the_end(void **state)
{
	struct session_settings *s = *state;

	session_settings_set(s, "app.tenant", "1", false);
	session_settings_begin(s);
	session_settings_set(s, "app.tenant", "2", true);
	assert_value(s, "app.tenant", "2");
	session_settings_commit(s);
	assert_value(s, "app.tenant", "1");
}

static void a_set_replaces_a_set_local(void **state)
{
	struct session_settings *s = *state;

	session_settings_begin(s);
	session_settings_set(s, "app.tenant", "local", true);
	session_settings_set(s, "app.tenant", "session", false);
	assert_value(s, "app.tenant", "session");
	session_settings_commit(s);
	assert_value(s, "app.tenant", "session");
}

static void rollback_to_restores_what_held_at_the_savepoint(void **state)
{
	struct session_settings *s = *state;

	session_settings_begin(s);
	session_settings_set(s, "x", "1", false);
	session_settings_savepoint(s, "a");
	session_settings_set(s, "x", "2", false);
	session_settings_savepoint(s, "b");
	session_settings_set(s, "x", "3", false);
	session_settings_rollback_to(s, "a");
	assert_value(s, "x", "1");
	session_settings_set(s, "x", "4", false);
	session_settings_rollback_to(s, "a"); /* a savepoint outlives a rollback to it */
	assert_value(s, "x", "1");
	session_settings_commit(s);
	assert_value(s, "x", "1");
}

static void releasing_a_savepoint_keeps_what_was_set_since(void **state)
{
	struct session_settings *s = *state;

	session_settings_begin(s);
	session_settings_savepoint(s, "a");
	session_settings_set(s, "x", "1", false);
	session_settings_release_savepoint(s, "a");
	assert_int_equal(s->depth, 0);
	session_settings_commit(s);
	assert_value(s, "x", "1");
}

static void reset_goes_back_to_the_startup_packet(void **state)
{
	struct session_settings *s = *state;

	session_settings_set(s, "timezone", "UTC", false);
	assert_value(s, "TimeZone", "UTC");
	session_settings_reset(s, "TimeZone");
	assert_value(s, "timezone", "Asia/Tokyo");
}

static void reset_all_keeps_the_role_and_clears_doubt(void **state)
{
	struct session_settings *s = *state;

	session_settings_set(s, "role", "admin", false);
	session_settings_set(s, "x", "1", false);
	session_settings_doubt(s);
	session_settings_reset_all(s, false);
	assert_value(s, "role", "admin");
	assert_value(s, "x", NULL);
	assert_false(s->current->unknown);
	assert_true(session_settings_unknown(s)); /* who the session is, RESET ALL does not say */
	session_settings_reset_all(s, true);
	assert_value(s, "role", NULL);
	assert_false(session_settings_unknown(s));
}

static void a_local_default_ends_with_the_transaction(void **state)
{
	struct session_settings *s = *state;

	session_settings_set(s, "TimeZone", "UTC", false);
	session_settings_begin(s);
	session_settings_set(s, "TimeZone", NULL, true);
	assert_value(s, "timezone", "Asia/Tokyo");
	session_settings_commit(s);
	assert_value(s, "timezone", "UTC");
}

static void a_custom_setting_is_never_absent_again(void **state) /* S4 */
{
	struct session_settings *s = *state;

	assert_value(s, "app.tenant", NULL);
	session_settings_begin(s);
	session_settings_set(s, "app.tenant", "a", false);
	session_settings_rollback(s);
	assert_value(s, "app.tenant", "");
	session_settings_reset_all(s, true);
	assert_value(s, "App.Tenant", "");
}

static void temporary_relations_live_as_their_transactions_say(void **state) /* S2 */
{
	struct session_settings *s = *state;

	session_settings_begin(s);
	session_settings_temporary_add(s, "kept", false);
	session_settings_savepoint(s, "a");
	session_settings_temporary_add(s, "undone", false);
	session_settings_temporary_drop(s, "kept");
	assert_false(session_settings_shadowed(s, "kept"));
	session_settings_rollback_to(s, "a");
	session_settings_temporary_add(s, "brief", true);
	session_settings_temporary_add(s, "kept", true); /* is there already: IF NOT EXISTS */
	assert_true(session_settings_shadowed(s, "brief"));
	assert_true(session_settings_shadowed(s, "kept"));
	assert_false(session_settings_shadowed(s, "undone"));
	session_settings_commit(s);
	assert_false(session_settings_shadowed(s, "brief"));
	assert_true(session_settings_shadowed(s, "kept"));
	session_settings_set(s, "a.b", "1", false);
	session_settings_reset_all(s, false);
	assert_true(session_settings_shadowed(s, "kept"));
	assert_false(s->current->temporary);
	session_settings_temporary(s, false);
	assert_false(session_settings_shadowed(s, "kept"));
}

static void what_comes_with_a_temporary_relation_shadows_too(void **state)
{
	struct session_settings *s = *state;

	session_settings_temporary_add(s, "orders", false);
	session_settings_temporary_add(s, "a_name_that_is_longer_than_most_others", false);
	assert_true(session_settings_shadowed(s, "orders_id_seq"));
	assert_true(session_settings_shadowed(s, "orders_pkey1"));
	assert_true(session_settings_shadowed(s, "_orders")); /* its rows' array type */
	assert_true(session_settings_shadowed(s, "a_name_that_is_longer_than_id_seq"));
	assert_false(session_settings_shadowed(s, "orders_old"));
	assert_false(session_settings_shadowed(s, "order"));
	assert_false(session_settings_shadowed(s, "ordersx_seq"));
	assert_false(session_settings_shadowed(s, "Orders"));
}

static void too_many_temporary_relations_are_unknown(void **state)
{
	struct session_settings *s = *state;
	char name[16];

	for (int i = 0; i < 256; i++) {
		snprintf(name, sizeof name, "t%d", i);
		session_settings_temporary_add(s, name, false);
	}
	assert_false(s->current->temporary);
	session_settings_temporary_add(s, "one_more", false);
	assert_true(s->current->temporary);
}

static void temporary_relations_go_with_a_rollback(void **state) /* S2 */
{
	struct session_settings *s = *state;

	session_settings_begin(s);
	session_settings_temporary(s, true);
	assert_true(s->current->temporary);
	session_settings_rollback(s);
	assert_false(s->current->temporary);
}

static void an_unknown_savepoint_is_doubt(void **state)
{
	struct session_settings *s = *state;

	session_settings_begin(s);
	session_settings_rollback_to(s, "never");
	assert_true(session_settings_unknown(s));
}

static void too_many_settings_are_doubt_not_growth(void **state)
{
	struct session_settings *s = *state;
	char name[32];

	for (int i = 0; i < 2000; i++) {
		snprintf(name, sizeof name, "x.n%d", i);
		session_settings_set(s, name, "1", false);
	}
	assert_true(session_settings_unknown(s));
	assert_true(s->current->count <= 1024);
}

static void sessions_that_have_the_same_hold_it_together(void **state)
{
	struct settings_pool *pool = settings_pool_new(10);
	struct session_settings *s = *state, other;

	assert_non_null(pool);
	assert_true(session_settings_init(&other));
	session_settings_base(&other, "timezone", span_cstr("Asia/Tokyo"));
	session_settings_share(s, pool);
	session_settings_share(&other, pool);
	assert_ptr_equal(s->base, other.base);
	assert_ptr_equal(s->current, other.current);
	assert_int_equal(settings_pool_count(pool), 2);

	session_settings_doubt(s); /* what one does to its own is nothing to the other */
	session_settings_doubt_base(&other);
	session_settings_temporary(&other, true);
	assert_false(s->base->unknown);
	assert_false(other.current->unknown);
	assert_false(s->current->temporary);
	assert_int_equal(settings_pool_count(pool), 1); /* nobody holds the empty one any more */

	session_settings_share(s, pool);
	session_settings_share(&other, pool);
	assert_int_equal(settings_pool_count(pool), 4);
	session_settings_release(&other);
	assert_int_equal(settings_pool_count(pool), 2);
	settings_pool_free(pool); /* before what it finds */
}

static void an_open_transaction_shares_nothing(void **state)
{
	struct settings_pool *pool = settings_pool_new(10);
	struct session_settings *s = *state;
	struct settings_state *before;

	session_settings_begin(s);
	before = s->before;
	session_settings_share(s, pool);
	assert_int_equal(settings_pool_count(pool), 0);
	session_settings_rollback(s);
	assert_ptr_equal(s->current, before); /* S1 */
	settings_pool_free(pool);
}

static void past_its_limit_a_pool_shares_no_more(void **state)
{
	struct settings_pool *pool = settings_pool_new(1);
	struct session_settings *s = *state;

	session_settings_share(s, pool);
	assert_int_equal(settings_pool_count(pool), 1);
	assert_null(s->current->pool);
	session_settings_share(s, pool);
	settings_pool_free(pool);
}

static void doubt_about_what_a_rollback_goes_back_to_outlives_it(void **state)
{
	struct session_settings *s = *state;

	session_settings_begin(s);
	session_settings_set(s, "a.b", "1", false);
	session_settings_doubt_before(s);
	assert_false(session_settings_unknown(s));
	session_settings_rollback(s);
	assert_true(session_settings_unknown(s));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(a_set_lasts_when_its_transaction_commits),
		T(a_rollback_restores_the_very_state_from_before),
		T(set_local_hides_the_session_value_until_the_end),
		T(a_set_replaces_a_set_local),
		T(rollback_to_restores_what_held_at_the_savepoint),
		T(releasing_a_savepoint_keeps_what_was_set_since),
		T(reset_goes_back_to_the_startup_packet),
		T(reset_all_keeps_the_role_and_clears_doubt),
		T(a_local_default_ends_with_the_transaction),
		T(a_custom_setting_is_never_absent_again),
		T(temporary_relations_go_with_a_rollback),
		T(temporary_relations_live_as_their_transactions_say),
		T(what_comes_with_a_temporary_relation_shadows_too),
		T(too_many_temporary_relations_are_unknown),
		T(an_unknown_savepoint_is_doubt),
		T(too_many_settings_are_doubt_not_growth),
		T(sessions_that_have_the_same_hold_it_together),
		T(an_open_transaction_shares_nothing),
		T(past_its_limit_a_pool_shares_no_more),
		T(doubt_about_what_a_rollback_goes_back_to_outlives_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

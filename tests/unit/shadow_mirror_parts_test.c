/* The circuit breaker, the heap of delayed reads, and the list of settings never applied. */
#include "proxy/shadow/mirror_breaker.h"
#include "proxy/shadow/mirror_settings.h"
#include "proxy/shadow/mirror_ticket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void failures_in_a_row_open_the_breaker(void **state)
{
	struct breaker b;

	(void)state;
	breaker_init(&b, 3, 1000);
	assert_false(breaker_failed(&b, 1));
	assert_false(breaker_failed(&b, 2));
	breaker_succeeded(&b); /* not in a row */
	assert_false(breaker_failed(&b, 3));
	assert_false(breaker_failed(&b, 4));
	assert_true(breaker_allows(&b, 4));
	assert_true(breaker_failed(&b, 5));
	assert_true(breaker_is_open(&b, 5));
	assert_false(breaker_allows(&b, 1004));
}

static void failures_while_open_do_not_prolong_it(void **state)
{
	struct breaker b;

	(void)state;
	breaker_init(&b, 1, 1000);
	assert_true(breaker_failed(&b, 0));
	assert_false(breaker_failed(&b, 900));
	assert_false(breaker_allows(&b, 999));
	assert_true(breaker_allows(&b, 1000));
}

static void half_open_one_result_decides(void **state)
{
	struct breaker b;

	(void)state;
	breaker_init(&b, 5, 1000);
	breaker_trip(&b, 0);
	assert_true(breaker_allows(&b, 1000));
	assert_int_equal(b.state, BREAKER_HALF_OPEN);
	assert_true(breaker_failed(&b, 1001));
	assert_false(breaker_allows(&b, 2000));
	assert_true(breaker_allows(&b, 2001));
	breaker_succeeded(&b);
	assert_int_equal(b.state, BREAKER_CLOSED);
	for (int i = 0; i < 4; i++)
		assert_false(breaker_failed(&b, 3000));
}

static void a_limit_of_zero_means_one(void **state)
{
	struct breaker b;

	(void)state;
	breaker_init(&b, 0, 10);
	assert_true(breaker_failed(&b, 0));
}

enum { TICKETS = 1000 };

static void delayed_reads_come_out_by_time_then_order(void **state)
{
	struct ticket *tickets = calloc(TICKETS, sizeof *tickets);
	struct delayed d = {0};
	uint32_t random = 12345;
	const struct ticket *before = NULL;

	(void)state;
	assert_non_null(tickets);
	assert_null(delayed_first(&d));
	for (unsigned i = 0; i < TICKETS; i++) {
		random = random * 1103515245 + 12345;
		tickets[i].not_before_us = (random >> 16) % 50;
		tickets[i].order = i;
		assert_true(delayed_add(&d, &tickets[i]));
	}
	for (unsigned i = 0; i < TICKETS; i++) {
		const struct ticket *first = delayed_first(&d);

		assert_ptr_equal(delayed_take(&d), first);
		if (before)
			assert_true(before->not_before_us < first->not_before_us ||
				    (before->not_before_us == first->not_before_us &&
					    before->order < first->order));
		before = first;
	}
	assert_null(delayed_first(&d));
	delayed_release(&d);
	free(tickets);
}

static void settings_that_shape_answers_are_applied_and_others_never(void **state)
{
	static const char *const APPLIED[] = {"search_path", "datestyle", "TimeZone",
		"client_encoding", "extra_float_digits", "bytea_output", "row_security",
		"app.tenant", "plpgsql.variable_conflict", "lc_monetary", "array_nulls"};
	static const char *const NEVER[] = {"role", "Session_Authorization", "work_mem",
		"transaction_read_only", "log_min_messages", "max_parallel_workers_per_gather",
		"auto_explain.log_min_duration", "client_min_messages", "tcp_user_timeout"};

	(void)state;
	for (size_t i = 0; i < sizeof APPLIED / sizeof *APPLIED; i++)
		assert_null(setting_refusal(APPLIED[i]));
	for (size_t i = 0; i < sizeof NEVER / sizeof *NEVER; i++)
		assert_non_null(setting_refusal(NEVER[i]));
	assert_true(setting_is_custom("app.tenant"));
	assert_false(setting_is_custom("search_path"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(failures_in_a_row_open_the_breaker),
		cmocka_unit_test(failures_while_open_do_not_prolong_it),
		cmocka_unit_test(half_open_one_result_decides),
		cmocka_unit_test(a_limit_of_zero_means_one),
		cmocka_unit_test(delayed_reads_come_out_by_time_then_order),
		cmocka_unit_test(settings_that_shape_answers_are_applied_and_others_never),
	};

	return cmocka_run_group_tests_name("mirror_parts", tests, NULL, NULL);
}

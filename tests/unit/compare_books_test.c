/* The books' counters of errors: each kind has one, and what finds no place is still counted. */
#include "compare/books.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct books books;
static struct error_kinds kinds;

static void each_kind_of_error_has_its_counter(void **state)
{
	(void)state;
	memset(&books, 0, sizeof books);
	memset(&kinds, 0, sizeof kinds);
	books_error(&books, &kinds, 0, OUTCOME_MISMATCH, "", "42P01");
	books_error(&books, &kinds, 0, OUTCOME_MISMATCH, "42P01", "");
	books_error(&books, &kinds, 1, OUTCOME_MISMATCH, "", "42P01");
	books_error(&books, &kinds, 0, OUTCOME_WAIVED, "", "42P01");
	books_error(&books, &kinds, 0, OUTCOME_MISMATCH, "", "42P01");
	assert_int_equal(kinds.count, 4);
	assert_int_equal(books.errors[0], 2);
	assert_int_equal(books.errors[1], 1);
	assert_string_equal(kinds.kind[1].primary, "42P01");
	assert_string_equal(kinds.kind[1].answer, "");
	assert_int_equal(kinds.kind[2].candidate, 1);
	assert_int_equal(kinds.kind[3].outcome, OUTCOME_WAIVED);
}

static void what_finds_no_place_is_counted_together(void **state)
{
	uint64_t sum = 0;

	(void)state;
	memset(&books, 0, sizeof books);
	memset(&kinds, 0, sizeof kinds);
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < 2 * BOOKS_MAX_ERRORS; i++) {
			char sqlstate[8];

			snprintf(sqlstate, sizeof sqlstate, "%05u", i);
			books_error(&books, &kinds, 0, OUTCOME_MISMATCH, "", sqlstate);
		}
	}
	for (unsigned i = 0; i < BOOKS_MAX_ERRORS; i++)
		sum += books.errors[i];
	assert_int_equal(sum, 4 * BOOKS_MAX_ERRORS);
	assert_int_equal(kinds.count, BOOKS_MAX_ERRORS - 1);
	assert_int_equal(books.errors[0], 2);
	assert_int_equal(books.errors[BOOKS_MAX_ERRORS - 1], 2 * (BOOKS_MAX_ERRORS + 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_kind_of_error_has_its_counter),
		cmocka_unit_test(what_finds_no_place_is_counted_together),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

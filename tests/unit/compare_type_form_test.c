/* Types as PostgreSQL writes them: the modifiers are those that its format_type() was asked with.
 */
#include "compare/type_form.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void modifiers_are_written_as_postgresql_does(void **state)
{
	static const struct {
		const char *name;
		int32_t typmod;
		const char *written;
	} cases[] = {
		{"numeric", 655366, "numeric(10,2)"},
		{"numeric", 655367, "numeric(10,3)"},
		{"numeric", 329726, "numeric(5,-6)"},
		{"numeric", -1, "numeric"},
		{"numeric[]", 655366, "numeric(10,2)[]"},
		{"varchar", 24, "varchar(20)"},
		{"varchar[]", 24, "varchar(20)[]"},
		{"bpchar", 9, "char(5)"},
		{"bpchar", -1, "bpchar"},
		{"bit", 8, "bit(8)"},
		{"varbit", 8, "varbit(8)"},
		{"timestamp", 3, "timestamp(3)"},
		{"timestamptz", 0, "timestamptz(0)"},
		{"time", 6, "time(6)"},
		{"interval", -1, "interval"},
		{"interval", 0x7fff0003, "interval(3)"},
		{"interval", 0x0004ffff, "interval year"},
		{"interval", 0x1c080003, "interval day to second(3)"},
		{"interval", 0x1c08ffff, "interval day to second"},
		{"int4", -1, "int4"},
		{"16400", 7, "16400 typmod 7"},
		{"", -1, ""},
		{"[]", 3, "[] typmod 3"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char out[60];

		type_form(cases[i].name, cases[i].typmod, out, sizeof out);
		assert_string_equal(out, cases[i].written);
	}
}

static void any_modifier_is_written_and_cut_where_there_is_no_room(void **state)
{
	static const char *const names[] = {"numeric", "varchar", "interval", "bit", "nothing"};
	static const int32_t typmods[] = {INT32_MIN, -2, 0, 3, INT32_MAX};

	(void)state;
	for (size_t i = 0; i < 5; i++) {
		for (size_t k = 0; k < 5; k++) {
			char out[9];

			memset(out, 'x', sizeof out);
			type_form(names[i], typmods[k], out, 8);
			assert_non_null(memchr(out, 0, 8));
			assert_true(out[8] == 'x');
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(modifiers_are_written_as_postgresql_does),
		cmocka_unit_test(any_modifier_is_written_and_cut_where_there_is_no_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Bodies of functions and DO: which leave their session alone, and which names they mention. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/shadow/routine.h"

struct words {
	char text[4096];
};

static void on_word(void *self, const struct routine_word *word)
{
	struct words *w = self;
	size_t n = strlen(w->text);

	snprintf(w->text + n, sizeof w->text - n, "%s%s%s ", word->is_operator ? "~" : "",
		word->text, word->called ? "()" : "");
}

static bool scan(const char *language, const char *body)
{
	struct words w = {""};

	return routine_scan(body, language, on_word, &w);
}

static void ordinary_plpgsql_leaves_the_session_alone(void **state)
{
	static const char *const bodies[] = {"begin end", "begin perform 1; end;",
		"begin return new; end", "begin new.changed := now(); return new; end",
		"begin new.changed = now(); return new; end",
		"declare n int := 0; r record; begin for r in select * from t loop n := n + r.a; "
		"end loop; return n; end",
		"begin update t set a = 1 where b = 2; if not found then insert into t (a) values "
		"(1) "
		"on conflict (a) do update set b = excluded.b; end if; end",
		"begin merge into t using u on t.a = u.a when matched then update set b = 1; end",
		"begin insert into t values (1) on conflict do nothing returning a into x; end",
		"declare x int; begin select a into strict x from t; return x; exception when "
		"no_data_found then raise exception 'no % here', x using errcode = 'P0002'; end",
		"<<outer>> declare a int; begin a[1] := 2; while a < 3 loop a := a + 1; exit "
		"outer; "
		"end loop; end",
		"begin case x when 1 then delete from t; else null; end case; end",
		"begin return query select a, case when b then 1 else 2 end from t; end",
		"begin -- set timezone = 'UTC'\n /* create temp table */ perform 'set x'; end",
		"begin perform pg_notify('a', $q$create temp table x$q$); end",
		"#variable_conflict use_column\nbegin return 1; end",
		"begin get diagnostics n = row_count; assert n > 0; truncate t; lock table t; end",
		"begin return \"set\"; end"};

	(void)state;
	for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++)
		if (!scan("plpgsql", bodies[i]))
			fail_msg("leaves the session alone: %s", bodies[i]);
}

static void what_plpgsql_may_do_to_a_session_is_seen(void **state)
{
	static const char *const bodies[] = {"begin set timezone = 'UTC'; end",
		"begin set local timezone = 'UTC'; end", "begin reset all; end",
		"begin if x then set a.b = 1; end if; end",
		"begin if x then null; else set a.b = 1; end if; end",
		"begin update t set a = 1; set b = 2; end",
		"begin for r in update t set a = 1 returning * loop set a.b = 1; end loop; end",
		"begin for r in select 1 for update loop set local a.b = 1; end loop; end",
		"begin create temp table x (a int); end", "begin create table x as select 1; end",
		"begin execute 'set a.b = 1'; end", "begin return query execute x; end",
		"begin for r in execute x loop end loop; end", "begin open c for execute x; end",
		"begin commit; end", "begin rollback; end", "begin call p(); end",
		"begin do 'begin end'; end", "begin discard all; end",
		"begin alter table t rename to u; end", "begin drop table t; end",
		"begin fetch c into x; end", "begin move c; end", "begin close c; end",
		"begin copy t from program 'x'; end", "begin load 'x'; end",
		"begin prepare x as select 1; end",
		"begin import foreign schema x from server y into z; end",
		"begin insert into pg_temp.x values (1); end",
		"begin insert into \"pg_temp\".x values (1); end", "begin SET a.b = 1; end",
		"begin se\\t a.b = 1; end", "begin select 1 into temp x; end",
		"begin repack t; end", "begin 'open", "begin perform U&\"d\\0061t\"(); end",
		"begin listen x; end"};

	(void)state;
	for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++)
		if (scan("plpgsql", bodies[i]))
			fail_msg("may change the session: %s", bodies[i]);
}

static void sql_bodies_are_their_statements(void **state)
{
	static const char *const calm[] = {"select 1", "select a from t where b = $1; ",
		"insert into t (a) select 1; update t set a = 2; delete from u returning a",
		"with x as (insert into t values (1) returning a) select a from x", "values (1)",
		"begin atomic select 1; insert into t values (2); end", "return $1 + 1",
		"-- nothing", "(select 1) union (select 2)"};
	static const char *const unsure[] = {"set timezone = 'UTC'", "select 1; reset all",
		"select 1 into x", "select 1 as a into temp x from t",
		"create temp table x (a int)", "x := 1", "declare c cursor for select 1",
		"fetch 1 from c", "repack t"};

	(void)state;
	for (size_t i = 0; i < sizeof calm / sizeof *calm; i++)
		if (!scan("sql", calm[i]))
			fail_msg("leaves the session alone: %s", calm[i]);
	for (size_t i = 0; i < sizeof unsure / sizeof *unsure; i++)
		if (scan("sql", unsure[i]))
			fail_msg("may change the session: %s", unsure[i]);
}

static void other_languages_and_long_bodies_are_not_known(void **state)
{
	char *body = malloc(ROUTINE_BODY_MAX + 2);

	(void)state;
	assert_non_null(body);
	assert_false(scan("plpython3u", "return 1"));
	assert_false(scan("c", "select 1"));
	memset(body, ' ', ROUTINE_BODY_MAX + 1);
	memcpy(body, "select 1", 8);
	body[ROUTINE_BODY_MAX + 1] = '\0';
	assert_false(scan("sql", body));
	body[ROUTINE_BODY_MAX] = '\0';
	assert_true(scan("sql", body));
	free(body);
}

static void expect_words(const char *language, const char *body, const char *expected)
{
	struct words w = {""};

	assert_true(routine_scan(body, language, on_word, &w));
	assert_string_equal(w.text, expected);
}

static void every_name_is_reported(void **state)
{
	(void)state;
	expect_words("sql", "select F(x), \"Odd\"(1), y.g from a.t where b @@@ 1 /* h() */",
		"f() x Odd() y g a t b ~@@@ ");
	expect_words(
		"sql", "insert into t (a, b) values (f (1), 'g(1)')", "insert t a b values f() ");
	expect_words("sql", "insert into s.t(a) select h(1)", "insert s t a h() ");
	expect_words("plpgsql", "begin while (x) loop end loop; perform (y); end",
		"begin while x loop loop perform y ");
	expect_words("sql", "select a::kind(3), left(b, 1)", "a kind() left b ");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(ordinary_plpgsql_leaves_the_session_alone),
		cmocka_unit_test(what_plpgsql_may_do_to_a_session_is_seen),
		cmocka_unit_test(sql_bodies_are_their_statements),
		cmocka_unit_test(other_languages_and_long_bodies_are_not_known),
		cmocka_unit_test(every_name_is_reported),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

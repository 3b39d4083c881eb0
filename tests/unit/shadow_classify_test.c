/* What may run in the dark, and what statements do: one long table, then the parts one by one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/shadow/classify.h"

static const struct {
	const char *schema, *name;
	enum function_knowledge knowledge;
} functions[] = {
#define BUILTIN(name, knowledge)                         \
	{                                                \
		"pg_catalog", name, FUNCTION_##knowledge \
	}
	BUILTIN("count", IMMUTABLE),
	BUILTIN("sum", IMMUTABLE),
	BUILTIN("max", IMMUTABLE),
	BUILTIN("min", IMMUTABLE),
	BUILTIN("lower", IMMUTABLE),
	BUILTIN("upper", IMMUTABLE),
	BUILTIN("length", IMMUTABLE),
	BUILTIN("abs", IMMUTABLE),
	BUILTIN("array_agg", IMMUTABLE),
	BUILTIN("string_agg", IMMUTABLE),
	BUILTIN("jsonb_agg", IMMUTABLE),
	BUILTIN("row_number", IMMUTABLE),
	BUILTIN("rank", IMMUTABLE),
	BUILTIN("lag", IMMUTABLE),
	BUILTIN("generate_series", IMMUTABLE),
	BUILTIN("date_trunc", STABLE),
	BUILTIN("to_char", STABLE),
	BUILTIN("extract", IMMUTABLE),
	BUILTIN("timezone", IMMUTABLE),
	BUILTIN("date_part", IMMUTABLE),
	BUILTIN("now", STABLE),
	BUILTIN("age", STABLE),
	BUILTIN("btrim", IMMUTABLE),
	BUILTIN("pg_size_pretty", IMMUTABLE),
	BUILTIN("version", STABLE),
	BUILTIN("current_setting", STABLE),
	BUILTIN("set_config", VOLATILE),
	BUILTIN("random", VOLATILE),
	BUILTIN("clock_timestamp", VOLATILE),
	BUILTIN("pg_sleep", VOLATILE),
	BUILTIN("nextval", VOLATILE),
	BUILTIN("brand_new_volatile", VOLATILE),
	BUILTIN("txid_current", STABLE),
	{"public", "pure", FUNCTION_IMMUTABLE},
	{"public", "acts", FUNCTION_VOLATILE},
	{"app", "acts", FUNCTION_STABLE},
	{"app", "tolerated", FUNCTION_VOLATILE},
	{"public", "plainly_tolerated", FUNCTION_VOLATILE},
	{"public", "sidefx", FUNCTION_VOLATILE},
	{"public", "overloaded", FUNCTION_IMMUTABLE},
	{"public", "overloaded", FUNCTION_VOLATILE},
	{"public", "lower", FUNCTION_IMMUTABLE},
	{"public", "volatile_agg", FUNCTION_VOLATILE},
};

/* Small, as a candidate might answer. Owned by the caller. */
static struct catalogue *fake_catalogue(void)
{
	struct catalogue *c = catalogue_new();

	assert_non_null(c);
	for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++)
		assert_true(catalogue_add_function(
			c, functions[i].schema, functions[i].name, functions[i].knowledge));
	assert_true(catalogue_add_relation(c, "public", "t", RELATION_PLAIN));
	assert_true(catalogue_add_generated(c, "public", "computed"));
	assert_true(catalogue_add_relation(c, "public", "secured", RELATION_ROW_SECURITY));
	assert_true(catalogue_add_relation(c, "public", "acting_view", RELATION_VOLATILE));
	assert_true(catalogue_add_relation(c, "public", "acting_policy", RELATION_VOLATILE));
	assert_true(catalogue_add_relation(c, "public", "acting_columns", RELATION_VOLATILE));
	assert_true(catalogue_add_relation(c, "public", "catalog_view", RELATION_SYSTEM));
	assert_true(catalogue_add_relation(c, "public", "user_view", RELATION_SERVER_SPECIFIC));
	assert_true(catalogue_add_relation(c, "public", "role_view", RELATION_USER));
	assert_true(catalogue_add_relation(
		c, "public", "secured_by_session", RELATION_ROW_SECURITY_SERVER));
	assert_true(catalogue_add_relation(c, "public", "keyed", RELATION_PLAIN));
	assert_true(catalogue_add_unique(c, "public", "keyed\x01id"));
	assert_true(catalogue_add_unique(c, "public",
		"keyed\x01"
		"a\x01"
		"b"));
	assert_true(catalogue_add_relation(c, "public", "other", RELATION_PLAIN));
	assert_true(catalogue_add_unique(c, "public", "other\x01oid2"));
	assert_true(catalogue_add_relation(c, "app", "twice", RELATION_PLAIN));
	assert_true(catalogue_add_relation(c, "public", "twice", RELATION_PLAIN));
	assert_true(catalogue_add_unique(c, "app", "twice\x01id"));
	assert_true(catalogue_add_set_function(c, "pg_catalog", "generate_series"));
	assert_true(catalogue_add_volatile_operator(c, "@@@"));
	assert_true(catalogue_add_volatile_type(c, "acting_type"));
	assert_true(catalogue_add_volatile_type(c, "acting_domain"));
	catalogue_seal(c);

	return c;
}

static struct classifier *classifier_with(const struct catalogue *catalogue)
{
	struct classifier_options options = {.cache_entries = 1000,
		.max_sql_bytes = 65536,
		.allow_functions = "app.tolerated, plainly_tolerated,setval"};
	struct classifier *c = classifier_new(&options);

	assert_non_null(c);
	classifier_set_catalogue(c, catalogue, 1);

	return c;
}

/* ---- the table ---- */

#define ROW(reason, effect, sql)                                \
	{                                                       \
		REASON_##reason, EFFECT_##effect, sql, __LINE__ \
	}

struct row {
	enum reason skip;
	enum statement_effect effect;
	const char *sql;
	int line;
};

static const struct row table[] = {
#include "shadow_classify_rows.h"
};

static void check_row(struct classifier *c, const struct row *row)
{
	struct text_parts parts;
	const struct statement *s;

	assert_true(classify_text(c, span_cstr(row->sql), &parts));
	if (parts.count != 1)
		fail_msg("rows:%d: %zu parts: %s", row->line, parts.count, row->sql);
	s = parts.part[0].statement;
	if (s->skip != row->skip || s->effect != row->effect)
		fail_msg("rows:%d: skip %s (%s), effect %d; expected %s, %d: %s", row->line,
			reason_name(s->skip), s->detail, s->effect, reason_name(row->skip),
			row->effect, row->sql);
	text_parts_release(&parts);
}

static void every_row_of_the_table_is_decided_as_it_says(void **state)
{
	struct catalogue *catalogue = fake_catalogue();
	struct classifier *c = classifier_with(catalogue);

	(void)state;
	assert_true(sizeof table / sizeof table[0] >= 200);
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
		check_row(c, &table[i]);
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
		check_row(c, &table[i]); /* and the same from the cache */
	classifier_free(c);
	catalogue_free(catalogue);
}

/* ---- helpers for single statements ---- */

struct fixture {
	struct catalogue *catalogue;
	struct classifier *classifier;
	struct text_parts parts;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	assert_non_null(f);
	f->catalogue = fake_catalogue();
	f->classifier = classifier_with(f->catalogue);
	*state = f;

	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	text_parts_release(&f->parts);
	classifier_free(f->classifier);
	catalogue_free(f->catalogue);
	free(f);

	return 0;
}

static const struct text_parts *parts_of(struct fixture *f, const char *sql)
{
	text_parts_release(&f->parts);
	assert_true(classify_text(f->classifier, span_cstr(sql), &f->parts));
	return &f->parts;
}

static const struct statement *one(struct fixture *f, const char *sql)
{
	assert_int_equal(parts_of(f, sql)->count, 1);
	return f->parts.part[0].statement;
}

/* ---- splitting ---- */

static void expect_parts(struct fixture *f, const char *sql, const char *const *expected)
{
	const struct text_parts *parts = parts_of(f, sql);
	size_t n = 0;

	for (; expected[n]; n++) {
		assert_true(n < parts->count);
		assert_int_equal(parts->part[n].len, strlen(expected[n]));
		assert_memory_equal(sql + parts->part[n].offset, expected[n], strlen(expected[n]));
	}
	assert_int_equal(parts->count, n);
	assert_false(parts->unparsed);
}

#define PARTS(f, sql, ...) expect_parts(f, sql, (const char *const[]){__VA_ARGS__, NULL})

static void a_text_is_split_where_the_parser_splits_it(void **state)
{
	struct fixture *f = *state;

	PARTS(f, "select 1", "select 1");
	PARTS(f, "  select 1 ;  ", "select 1");
	PARTS(f, "select 1; select 2", "select 1", "select 2");
	PARTS(f, "select 1;;; select 2;", "select 1", "select 2");
	PARTS(f, "select ';' ; select $$;$$;select $x$;$$;$x$", "select ';'", "select $$;$$",
		"select $x$;$$;$x$");
	PARTS(f, "select 1 /* ; */; -- ;\nselect \";\" from t", "select 1 /* ; */",
		"-- ;\nselect \";\" from t");
	PARTS(f, "select E'\\';'; select 2", "select E'\\';'", "select 2");
	PARTS(f, "begin; insert into t values (1); commit", "begin", "insert into t values (1)",
		"commit");
	PARTS(f, "select 'ä;ö'; select 'ü'", "select 'ä;ö'", "select 'ü'");
	PARTS(f, "create rule r as on insert to t do also (select 1; select 2); select 3",
		"create rule r as on insert to t do also (select 1; select 2)", "select 3");
}

static void an_empty_text_has_no_parts(void **state)
{
	struct fixture *f = *state;
	static const char *const texts[] = {"", ";", " ; ; ", "-- nothing", "/* nothing */;"};

	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		assert_int_equal(parts_of(f, texts[i])->count, 0);
		assert_false(f->parts.unparsed);
	}
}

static void each_part_is_decided_for_itself(void **state)
{
	struct fixture *f = *state;
	const struct text_parts *p =
		parts_of(f, "select 1; update t set a = 1; select random(); select a from t");

	assert_int_equal(p->count, 4);
	assert_int_equal(p->part[0].statement->skip, REASON_NONE);
	assert_int_equal(p->part[1].statement->skip, REASON_NOT_A_READ);
	assert_int_equal(p->part[1].statement->effect, EFFECT_TAINT);
	assert_int_equal(p->part[2].statement->skip, REASON_VOLATILE_FUNCTION);
	assert_int_equal(p->part[3].statement->skip, REASON_NONE);
	assert_string_equal(p->part[3].statement->normalized, "select a from t");
}

static void what_cannot_be_parsed_is_one_opaque_part(void **state)
{
	struct fixture *f = *state;
	const struct statement *s = one(f, "select 1; selec 2");

	assert_true(f->parts.unparsed);
	assert_int_equal(f->parts.part[0].offset, 0);
	assert_int_equal(f->parts.part[0].len, 17);
	assert_int_equal(s->skip, REASON_UNPARSED);
	assert_int_equal(s->effect, EFFECT_UNKNOWN_SETTINGS);
	assert_string_equal(s->normalized, "");
	assert_string_equal(s->fingerprint, "");
}

static void a_text_with_a_nul_byte_is_unparsed(void **state)
{
	struct fixture *f = *state;

	assert_true(classify_text(f->classifier, span_of("select 1\0; x", 12), &f->parts));
	assert_int_equal(f->parts.part[0].statement->skip, REASON_UNPARSED);
}

static void a_text_need_not_end_in_a_nul_byte(void **state)
{
	struct fixture *f = *state;

	assert_true(classify_text(f->classifier, span_of("select 1 from", 8), &f->parts));
	assert_int_equal(f->parts.part[0].statement->skip, REASON_NONE);
}

/* ---- limits, cache, poison ---- */

static void a_text_over_the_limit_is_too_long(void **state)
{
	struct fixture *f = *state;
	char *text = malloc(65538);

	assert_non_null(text);
	memset(text, ' ', 65537);
	memcpy(text, "select 1", 8);
	text[65537] = '\0';
	assert_int_equal(one(f, text)->skip, REASON_TOO_LONG);
	text[65536] = '\0';
	assert_int_equal(one(f, text)->skip, REASON_NONE);
	free(text);
}

struct watch {
	int parses, ends;
	uint64_t low, high, poison_low;
};

static void on_parse(void *self, uint64_t low, uint64_t high)
{
	struct watch *w = self;

	if (low == 0 && high == 0) {
		w->ends++;
		return;
	}
	w->parses++;
	w->low = low;
	w->high = high;
}

static bool is_poison(void *self, uint64_t low, uint64_t high)
{
	(void)high;
	return low == ((struct watch *)self)->poison_low;
}

static struct classifier *watched(struct watch *w, size_t entries)
{
	struct classifier_options options = {.cache_entries = entries,
		.max_sql_bytes = 1000,
		.on_parse = on_parse,
		.is_poison = is_poison,
		.self = w};
	struct classifier *c = classifier_new(&options);

	assert_non_null(c);
	return c;
}

static void classify_once(struct classifier *c, const char *sql, enum reason expected)
{
	struct text_parts parts;

	assert_true(classify_text(c, span_cstr(sql), &parts));
	assert_int_equal(parts.count, 1);
	assert_int_equal(parts.part[0].statement->skip, expected);
	text_parts_release(&parts);
}

static void the_same_text_is_parsed_once(void **state)
{
	struct watch w = {0};
	struct classifier *c = watched(&w, 10);

	(void)state;
	classify_once(c, "select 1", REASON_NONE);
	classify_once(c, "select 1", REASON_NONE);
	assert_int_equal(w.parses, 1);
	assert_int_equal(w.ends, 1);
	classify_once(c, "select 1 ", REASON_NONE);
	assert_int_equal(w.parses, 2);
	classifier_free(c);
}

static void the_cache_stays_within_its_limit_and_keeps_what_is_used(void **state)
{
	struct watch w = {0};
	struct classifier *c = watched(&w, 8);
	char text[32];

	(void)state;
	classify_once(c, "select 'kept'", REASON_NONE);
	for (int i = 0; i < 100; i++) {
		snprintf(text, sizeof text, "select 1 as c%d", i);
		classify_once(c, text, REASON_NONE);
		classify_once(c, "select 'kept'", REASON_NONE);
	}
	assert_int_equal(w.parses, 101);
	classify_once(c, "select 1 as c0", REASON_NONE); /* long evicted */
	assert_int_equal(w.parses, 102);
	classifier_free(c);
}

static void a_cache_of_no_entries_parses_each_time(void **state)
{
	struct watch w = {0};
	struct classifier *c = watched(&w, 0);

	(void)state;
	classify_once(c, "select 1", REASON_NONE);
	classify_once(c, "select 1", REASON_NONE);
	assert_int_equal(w.parses, 2);
	classifier_free(c);
}

static void a_new_catalogue_makes_decisions_again(void **state)
{
	struct watch w = {0};
	struct classifier *c = watched(&w, 10);
	struct catalogue *one_of = catalogue_new(), *other = catalogue_new();

	(void)state;
	assert_true(catalogue_add_function(one_of, "public", "f", FUNCTION_STABLE));
	assert_true(catalogue_add_function(other, "public", "f", FUNCTION_VOLATILE));
	catalogue_seal(one_of);
	catalogue_seal(other);
	classify_once(c, "select f()", REASON_VOLATILE_FUNCTION); /* nothing known: no */
	classifier_set_catalogue(c, one_of, 1);
	classify_once(c, "select f()", REASON_NONE);
	classifier_set_catalogue(c, other, 2);
	classify_once(c, "select f()", REASON_VOLATILE_FUNCTION);
	assert_int_equal(w.parses, 3);
	classifier_free(c);
	catalogue_free(one_of);
	catalogue_free(other);
}

static void a_poisoned_text_is_not_parsed(void **state)
{
	struct watch w = {0};
	struct classifier *c = watched(&w, 10);

	(void)state;
	classify_once(c, "select 1", REASON_NONE);
	w.poison_low = w.low;
	classifier_free(c);
	c = watched(&w, 10);
	classify_once(c, "select 1", REASON_POISON);
	assert_int_equal(w.parses, 1);
	classify_once(c, "select 2", REASON_NONE);
	classifier_free(c);
}

static void a_statement_outlives_its_classifier(void **state)
{
	struct watch w = {0};
	struct classifier *c = watched(&w, 1);
	const struct statement *s;
	struct text_parts parts;

	(void)state;
	assert_true(classify_text(c, span_cstr("savepoint held"), &parts));
	s = statement_ref(parts.part[0].statement);
	text_parts_release(&parts);
	classifier_free(c);
	assert_string_equal(s->name, "held");
	statement_unref(s);
}

/* `select 1+1+...` of `terms` terms: a tree as deep as there are terms. */
static enum reason classify_sum(size_t terms)
{
	struct classifier_options options = {.cache_entries = 4, .max_sql_bytes = 65536};
	struct classifier *c = classifier_new(&options);
	char *text = malloc(7 + 2 * terms);
	enum reason reason = REASON_COUNT;
	struct text_parts parts;

	if (!c || !text) /* no assertions outside of the test's own thread */
		abort();
	memcpy(text, "select 1", 8);
	for (size_t i = 8; i < 6 + 2 * terms; i += 2)
		memcpy(text + i, "+1", 2);
	if (classify_text(c, span_of(text, 6 + 2 * terms), &parts) && parts.count == 1)
		reason = parts.part[0].statement->skip;
	text_parts_release(&parts);
	free(text);
	classifier_free(c);

	return reason;
}

static void *classify_deep(void *self)
{
	*(bool *)self = classify_sum(100) == REASON_NONE && classify_sum(9990) == REASON_NONE &&
			classify_sum(10010) == REASON_TOO_LONG &&
			classify_sum(32765) == REASON_TOO_LONG;
	return NULL;
}

enum { STACK_BYTES = 64 << 20 };

static void the_deepest_text_fits_the_stack_of_the_worker(void **state)
{
	pthread_attr_t attributes;
	pthread_t thread;
	bool ok = false;

	(void)state;
	assert_int_equal(pthread_attr_init(&attributes), 0);
	assert_int_equal(pthread_attr_setstacksize(&attributes, STACK_BYTES), 0);
	assert_int_equal(pthread_create(&thread, &attributes, classify_deep, &ok), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	pthread_attr_destroy(&attributes);
	assert_true(ok);
}

/* ---- shapes ---- */

static void alike_texts_have_one_shape(void **state)
{
	struct fixture *f = *state;
	char first[64];
	uint64_t hash;

	snprintf(first, sizeof first, "%s", one(f, "select a from t where b = 1")->fingerprint);
	hash = f->parts.part[0].statement->shape_hash;
	assert_int_equal(strlen(first), 16);
	assert_string_equal(f->parts.part[0].statement->normalized, "select a from t where b = $1");
	assert_string_equal(one(f, "select a from t where b = 2")->fingerprint, first);
	assert_true(f->parts.part[0].statement->shape_hash == hash);
	assert_true(one(f, "select a from t where c = 2")->shape_hash != hash);
}

static void comments_are_no_part_of_a_shape(void **state)
{
	struct fixture *f = *state;

	assert_string_equal(
		one(f, "/* trace=1 */ select a from t -- done")->normalized, "select a from t");
	assert_string_equal(
		one(f, "select '--x', a /* y */ from t")->normalized, "select $1, a  from t");
}

static void no_literal_stays_in_a_normalised_text(void **state)
{
	static const char *const texts[] = {"set app.tenant = 'secret'",
		"create user u password 'secret'", "notify c, 'secret'", "do 'secret'",
		"do $$ secret $$", "select interval 'secret'", "set app.x = 'secret', 'secret'",
		"prepare q as select 'secret'", "execute q('secret')",
		"insert into t values ('secret')", "copy t to 'secret'", "select 'a'\n'secret'",
		"comment on table t is 'secret'", "select E'secret', U&'secret', $$secret$$",
		"select * from t where x = any('{secret}')", "explain select 'secret'",
		"declare c cursor for select 'secret'",
		"select set_config('secret', 'secret', true)", "select 1 as a order by 'secret'",
		"alter role u password 'secret'",
		"select x from xmltable('secret' passing y columns x int path 'secret')"};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		const struct statement *s = one(f, texts[i]);

		assert_false(f->parts.unparsed);
		if (strstr(s->normalized, "secret"))
			fail_msg("%s: %s", texts[i], s->normalized);
	}
}

/* ---- order ---- */

/* Keys as text: "0 1d ?": ascending column 0, descending column 1, one unknown. */
static void expect_order(struct fixture *f, const char *keys, const char *sql)
{
	const struct statement *s = one(f, sql);
	char got[256] = "";

	for (int i = 0; i < s->order.nkeys; i++) {
		char key[16];

		if (s->order.keys[i].column < 0)
			snprintf(key, sizeof key, "?");
		else
			snprintf(key, sizeof key, "%d", s->order.keys[i].column);
		snprintf(got + strlen(got), sizeof got - strlen(got), "%s%s%s", i ? " " : "", key,
			s->order.keys[i].descending ? "d" : "");
	}
	if (strcmp(got, keys) != 0)
		fail_msg("%s: keys '%s', expected '%s'", sql, got, keys);
	assert_int_equal(s->order.ordered, *keys != '\0');
}

static void sort_keys_are_mapped_to_output_columns(void **state)
{
	struct fixture *f = *state;

	expect_order(f, "", "select a from t");
	expect_order(f, "0", "select a from t order by a");
	expect_order(f, "1d 0", "select a, b from t order by b desc, a asc");
	expect_order(f, "1", "select a, b from t order by 2");
	expect_order(f, "2", "select *, b from t order by 3");
	expect_order(f, "?", "select * from t order by a");
	expect_order(f, "0", "select a, * from t order by a");
	expect_order(f, "?", "select *, a from t order by a");
	expect_order(f, "?", "select a from t order by b");
	expect_order(f, "0", "select a as x from t order by x");
	expect_order(f, "1", "select a as b, b as a from t order by a");
	expect_order(f, "0", "select t.a from t order by t.a");
	expect_order(f, "0", "select a from t order by t.a");
	expect_order(f, "0", "select t.a from t order by a");
	expect_order(f, "?", "select a from t, u order by t.a");
	expect_order(f, "1", "select u.a, t.a from t, u order by t.a");
	expect_order(f, "0", "select lower(a) from t order by lower(a)");
	expect_order(f, "?", "select lower(a) from t order by lower(b)");
	expect_order(f, "1", "select a, a + b * 2 from t order by a + b * 2");
	expect_order(f, "?", "select a, a + b * 2 from t order by a + b * 3");
	expect_order(f, "0", "select count(*) from t order by count");
	expect_order(f, "0", "select count(*) from t group by a order by count(*)");
	expect_order(f, "?", "select a from t order by a collate \"C\"");
	expect_order(f, "0d", "select a from t order by a using >");
	expect_order(f, "0", "select a from t order by a using <");
	expect_order(f, "?", "select a from t order by a using ~<~");
	expect_order(f, "0", "select a from t union select b from u order by a");
	expect_order(f, "?", "select a from t union select b from u order by b");
	expect_order(f, "0", "select a from t union select b from u order by 1");
	expect_order(f, "1", "values (1, 2), (3, 4) order by column2");
	expect_order(f, "1", "values (1, 2), (3, 4) order by 2");
	expect_order(f, "?", "table t order by a");
	expect_order(f, "0d", "select a from t order by a desc nulls last limit 3");
	expect_order(f, "", "select * from (select a from t order by a) s");
}

static void more_keys_than_fit_leave_the_last_unknown(void **state)
{
	struct fixture *f = *state;
	const struct statement *s =
		one(f, "select a from t order by 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17");

	assert_int_equal(s->order.nkeys, COMPARE_MAX_KEYS);
	assert_int_equal(s->order.keys[14].column, 14);
	assert_int_equal(s->order.keys[15].column, -1);
}

static void limits_are_noticed(void **state)
{
	struct fixture *f = *state;

	assert_true(one(f, "select a from t limit 1")->order.limited);
	assert_true(one(f, "select a from t offset 1")->order.limited);
	assert_true(one(f, "select a from t limit $1")->has_limit_clause);
	assert_true(one(f, "select a from t fetch first row only")->order.limited);
	assert_true(one(f, "select a from t union select b from t limit 1")->order.limited);
	assert_false(one(f, "select a from t")->order.limited);
	assert_false(one(f, "select a from t limit all")->order.limited);
	assert_false(one(f, "select a from t offset 0")->order.limited);
	assert_false(one(f, "select a from t limit 1")->order.leaks);
	assert_true(one(f, "select a from t order by a offset 1")->order.offset);
	assert_true(one(f, "select a from t limit 2 offset $1")->order.offset);
	assert_true(one(f, "select a from t union select b from t offset 1")->order.offset);
	assert_false(one(f, "select a from t limit 1")->order.offset);
	assert_false(one(f, "select a from (select a from t offset 1) s")->order.offset);
}

static void expect_summed(struct fixture *f, uint64_t columns, const char *sql)
{
	const struct statement *s = one(f, sql);

	if (s->summed != columns)
		fail_msg("%s: summed %llx, expected %llx", sql, (unsigned long long)s->summed,
			(unsigned long long)columns);
}

static void float_aggregates_are_mapped_to_output_columns(void **state)
{
	struct fixture *f = *state;

	expect_summed(f, 0, "select a from t");
	expect_summed(f, 1, "select sum(a) from t");
	expect_summed(f, 2, "select a, 2 * avg(b) + 1 from t group by a");
	expect_summed(f, 0, "select min(a), max(a), count(*) from t");
	expect_summed(f, 2, "select a, sum(b) over (order by a) from t");
	expect_summed(f, 1, "select (select stddev(a) from t)");
	expect_summed(f, 0, "select a from t where a > (select avg(a) from t)");
	expect_summed(f, 2, "select a, s from (select a, sum(b) s from t group by a) q");
	expect_summed(f, 1, "select q.y from (select a, sum(b) from t group by a) q(x, y)");
	expect_summed(f, 0, "select q.x from (select a, sum(b) from t group by a) q(x, y)");
	expect_summed(f, 2, "select * from (select a, sum(b) from t group by a) q");
	expect_summed(f, 1, "with c as (select sum(b) s from t) select s from c");
	expect_summed(f, 1, "with c as (select sum(b) s from t) select d.s + 1 from t, c d");
	expect_summed(f, 0, "with c as (select sum(b) s from t) select t.s from t, c d");
	expect_summed(f, 2, "select a, b from t union all select a, sum(b) from t group by a");
	expect_summed(f, 1,
		"with recursive r as (select sum(b) s from t union all select s from r) "
		"select s from r");
}

static void leaks_of_order_into_values_are_noticed(void **state)
{
	static const char *const leaking[] = {"select array_agg(a) from t",
		"select string_agg(a, ',') from t", "select jsonb_agg(a) from t",
		"select row_number() over () from t",
		"select row_number() over (order by a) from t",
		"select lag(a) over (order by a) from t", "select distinct on (a) a, b from t",
		"select * from (select a from t limit 3) s", "select (select a from t limit 1)",
		"with x as (select a from t offset 2) select * from x",
		"select array(select a from t)",
		"select sum(a) over (order by b rows 2 preceding) from t",
		"(select a from t limit 1) union all select b from t",
		"select 1 where a in (select a from t limit 2)"};
	static const char *const tight[] = {"select a from t", "select count(*) from t",
		"select array_agg(a order by a) from t", "select array_agg(distinct a) from t",
		"select rank() over (order by a) from t",
		"select sum(a) over (partition by b) from t", "select distinct a from t",
		"select a from t limit 3", "select array(select a from t order by a)",
		"select 1 where exists (select 1 from t limit 1)"};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof leaking / sizeof leaking[0]; i++)
		if (!one(f, leaking[i])->order.leaks)
			fail_msg("should leak: %s", leaking[i]);
	for (size_t i = 0; i < sizeof tight / sizeof tight[0]; i++)
		if (one(f, tight[i])->order.leaks)
			fail_msg("should not leak: %s", tight[i]);
}

static void orders_are_total_where_unique_keys_prove_it(void **state)
{
	static const char *const total[] = {"select v from keyed order by id",
		"select id, v from keyed order by v, id desc", "select * from keyed order by id",
		"select v as x, id as y from keyed order by y",
		"select v, id from keyed order by 2", "select v from keyed order by b, v, a",
		"select v from keyed where a = 1 order by b",
		"select v from keyed where id = $1 limit 1",
		"select k.v from keyed k order by k.id",
		"select v from keyed where a = $1 and b = 'x'::text and v > 2",
		"select k.v from keyed k join other o on o.oid2 = k.v order by k.id",
		"select k.v from keyed k left join other o on o.oid2 = k.v order by k.id",
		"select k.v from keyed k, other o where o.oid2 = k.v and k.id = 3",
		"select k.v from keyed k, other o order by k.id, o.oid2",
		"select v, count(*) from keyed group by v order by v",
		"select count(*) from t limit 1",
		"select v + 1, sum(id) from keyed group by 1 order by 1",
		"select v from app.twice order by id",
		"select distinct on (a) a, v from keyed order by a, id", "select 1 limit 1"};
	static const char *const free_[] = {"select v from keyed", "select v from keyed order by v",
		"select v from t order by id", "select v from keyed order by a",
		"select -id as id from keyed order by id",
		"select v from keyed where id > 1 limit 1", "select *, v from keyed order by 2",
		"select v from keyed where id = v limit 1",
		"select v from keyed where id = 1 or id = 2 limit 1",
		"select v from keyed where id = 1.0::float8 limit 1",
		"select k.v from keyed k join other o on o.x = k.v order by k.id",
		"select k.v from keyed k left join other o on o.oid2 = 3 order by o.oid2",
		"select k.v from keyed k full join other o on o.oid2 = k.id order by k.id",
		"select k.v from keyed k left join (select 1) o on true order by k.id",
		"select generate_series(1, v) from keyed order by id",
		"select v from twice order by id",
		"with keyed as (select 1 id union all select 1) select id from keyed order by id",
		"select v from (select * from keyed) keyed order by id",
		"select v from keyed as x(q) order by id",
		"select v from keyed union all select v from keyed order by v",
		"select v, id from keyed group by rollup (v, id) order by id",
		"select distinct on (a) a, v from keyed order by a, v"};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof total / sizeof total[0]; i++)
		if (!one(f, total[i])->order.total)
			fail_msg("should be total: %s", total[i]);
	for (size_t i = 0; i < sizeof free_ / sizeof free_[0]; i++)
		if (one(f, free_[i])->order.total)
			fail_msg("should not be total: %s", free_[i]);
}

static void a_total_order_does_not_leak(void **state)
{
	static const char *const tight[] = {"select row_number() over (order by id) from keyed",
		"select lag(v) over (partition by a order by b) from keyed",
		"select lag(v) over w from keyed window w as (order by id)",
		"select sum(v) over (w rows 1 preceding) from keyed window w as (order by id)",
		"select array_agg(v order by id) from keyed",
		"select array_agg(v) from keyed where id = 1",
		"select a, array_agg(v order by b) from keyed group by a",
		"select (select v from keyed order by id limit 1)",
		"select (select v from keyed k where k.id = o.x limit 1) from other o",
		"select distinct on (a) a, v from keyed order by a, b",
		"select string_agg(v, ',' order by v) from keyed",
		"select array(select v from keyed order by id)"};
	static const char *const leaking[] = {"select row_number() over (order by v) from keyed",
		"select array_agg(v order by a) from keyed",
		"select array_agg(id order by v) from t",
		"select (select v from keyed order by v limit 1)",
		"select array(select v from keyed order by a)",
		"select lag(v) over w from keyed window w as (order by v)",
		"select row_number() over (order by sum(v)) from keyed group by a"};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof leaking / sizeof leaking[0]; i++)
		if (!one(f, leaking[i])->order.leaks)
			fail_msg("should leak: %s", leaking[i]);
	for (size_t i = 0; i < sizeof tight / sizeof tight[0]; i++)
		if (one(f, tight[i])->order.leaks)
			fail_msg("should not leak: %s", tight[i]);
}

#define BY_TEXT(x) "ORDER BY " x "::pg_catalog.text COLLATE pg_catalog.\"C\""

static void free_orders_are_rewritten_away(void **state)
{
	static const struct {
		const char *sql, *inner;
	} forms[] = {
		{"select string_agg(v, ',') from t",
			"SELECT string_agg(v, ',' " BY_TEXT("v") ") FROM t"},
		{"select row_number() over (order by a) from t",
			"SELECT pg_catalog.rank() OVER (ORDER BY a) FROM t"},
		{"select lag(v, 1) over (order by a) from t", "SELECT v FROM t"},
		{"select sum(v) over (order by a rows 1 preceding) from t",
			"SELECT sum(v) OVER (ORDER BY a) FROM t"},
		{"select v from t order by a limit 3", "SELECT a AS pgumbra_key, v FROM t ORDER BY "
						       "1 FETCH FIRST 3 ROWS WITH TIES"},
		{"select * from t order by 2 limit 3",
			"SELECT * FROM t ORDER BY 2 FETCH FIRST 3 ROWS WITH TIES"},
		{"select a from t order by a limit $1 offset 2",
			"SELECT a FROM t ORDER BY a FETCH FIRST ($1::bigint + 2::bigint) ROWS WITH "
			"TIES"},
		{"select b, count(*) from t group by 1 order by max(a)",
			"SELECT max(a) AS pgumbra_key, b, count(*) FROM t GROUP BY 2 ORDER BY 1"},
		{"select v from t limit 7", "SELECT v FROM t LIMIT 1007"},
		{"select distinct on (a) a, v from t order by a, b",
			"SELECT * FROM (SELECT a, v, pg_catalog.rank() OVER (PARTITION BY a ORDER "
			"BY a, b) AS "
			"pgumbra_rank FROM t) pgumbra_rows WHERE pgumbra_rows.pgumbra_rank = 1"},
		{"select array(select v from t)",
			"SELECT ARRAY(SELECT q.v FROM (SELECT v FROM t) q(v) " BY_TEXT("q.v") ")"},
		{"select (select v from t order by a limit 1)",
			"SELECT ARRAY(SELECT q.v FROM (SELECT v FROM t ORDER BY a FETCH FIRST 1 "
			"ROWS WITH TIES) q(v) " BY_TEXT("q.v") ")"},
	};
	static const char *const none[] = {"select v from keyed order by id limit 1",
		"select v from t", "select (select v from t limit 1)",
		"select array_agg(v) over (order by a) from t", "selec 1", "select 1; select 2",
		"insert into t values (1)"};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
		char *inner = classify_inner_rows(f->classifier, span_cstr(forms[i].sql), 7);

		assert_non_null(inner);
		assert_string_equal(inner, forms[i].inner);
		assert_false(one(f, inner)->order.leaks);
		free(inner);
	}
	for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
		assert_null(classify_inner_rows(f->classifier, span_cstr(none[i]), 7));
}

static void the_rows_that_a_limit_lets_through_are_known(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(one(f, "select v from t limit 7")->order.limit_rows, 7);
	assert_int_equal(one(f, "select v from t fetch first 3 rows only")->order.limit_rows, 3);
	assert_int_equal(one(f, "select v from t limit $2")->order.limit_param, 2);
	assert_int_equal(one(f, "select v from t limit 1 + 1")->order.limit_rows, 0);
	assert_true(
		one(f, "select v from t order by v fetch first 3 rows with ties")->order.with_ties);
	assert_false(one(f, "select v from t order by v fetch first 3 rows only")->order.with_ties);
}

/* ---- flags ---- */

static void times_in_filters_are_flagged(void **state)
{
	struct fixture *f = *state;

	assert_true(one(f, "select a from t where b > now()")->time_dependent);
	assert_true(one(f, "select a from t where b > 'now'")->time_dependent);
	assert_true(one(f, "select a from t where b > current_date - 1")->time_dependent);
	assert_true(one(f, "select a from t join u on t.b > now()")->time_dependent);
	assert_true(one(f, "select count(*) filter (where b > now()) from t")->time_dependent);
	assert_false(one(f, "select a from t where b > '2020-01-01'")->time_dependent);
}

static void what_a_statement_names_is_flagged(void **state)
{
	struct fixture *f = *state;

	assert_false(one(f, "select 1")->reads_relations);
	assert_false(one(f, "select 1")->unqualified_names);
	assert_false(one(f, "select count(*) from public.t")->unqualified_names);
	assert_true(one(f, "select count(*) from public.t")->reads_relations);
	assert_true(one(f, "select a from t")->unqualified_names);
	assert_true(one(f, "select pure()")->unqualified_names);
	assert_false(one(f, "select public.pure()")->unqualified_names);
}

static void only_built_in_functions_are_known_harmless(void **state)
{
	struct fixture *f = *state;

	assert_true(one(f, "select count(*), upper(a), abs(b) from t")->harmless_only);
	assert_true(one(f, "select a from t")->harmless_only);
	assert_false(one(f, "select pure()")->harmless_only);
	assert_false(one(f, "select lower(a) from t")->harmless_only); /* public has one too */
	assert_false(one(f, "select not_there()")->harmless_only);
	assert_false(one(f, "select plainly_tolerated()")->harmless_only);
	assert_false(one(f, "select app.tolerated()")->harmless_only);
	assert_false(one(f, "select nextval('s')")->harmless_only);
}

static void temporary_relations_without_a_known_name_are_noticed(void **state)
{
	static const char *const making[] = {"explain analyze create temp table x as select 1",
		"selec", "select pg_temp.f()", "select query_to_xml('select 1', true, true, '')",
		"do language plperl 'x'", "do 'begin create temp table x (a int); end'",
		"execute q (acts())"};
	static const char *const not_making[] = {"create table x (a int)", "select 1 into x",
		"select 1", "insert into t values (1)", "begin", "create view v as select 1",
		"select plainly_tolerated()", "create temp table x (a int)",
		"select * from pg_temp.x", "insert into pg_temp.x values (1)", "select acts()",
		"call p()", "do 'begin perform 1; end'", "set search_path = pg_temp, public",
		"create function pg_temp.f() returns int language sql as 'select 1'"};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof making / sizeof making[0]; i++)
		if (!one(f, making[i])->creates_temporary)
			fail_msg("makes a temporary object: %s", making[i]);
	for (size_t i = 0; i < sizeof not_making / sizeof not_making[0]; i++)
		if (one(f, not_making[i])->creates_temporary)
			fail_msg("makes no temporary object: %s", not_making[i]);
}

static const char *const change_words[] = {"created", "on path", "over", "dropped", "renamed"};

static void expect_changes(struct fixture *f, const char *sql, const char *expected)
{
	const struct statement *s = one(f, sql);
	char got[512] = "";

	for (size_t i = 0; i < s->ntemporaries; i++) {
		const struct temporary_change *c = &s->temporaries[i];
		size_t n = strlen(got);

		snprintf(got + n, sizeof got - n, "%s%s %s%s%s%s%s", n ? ", " : "",
			change_words[c->kind], c->name, c->to ? " to " : "", c->to ? c->to : "",
			c->until_commit ? " until commit" : "", c->in_pg_temp ? " there" : "");
	}
	if (strcmp(got, expected) != 0)
		fail_msg("%s: \"%s\", expected \"%s\"", sql, got, expected);
}

static void temporary_relations_are_known_by_name(void **state)
{
	struct fixture *f = *state;

	expect_changes(f, "create temp table x (a int)", "created x");
	expect_changes(f, "create local temporary table \"X y\" (a int)", "created X y");
	expect_changes(
		f, "create temp table if not exists x (a int) on commit delete rows", "created x");
	expect_changes(f, "create temp table x (a int) on commit drop", "created x until commit");
	expect_changes(
		f, "create temp table x on commit drop as select 1", "created x until commit");
	expect_changes(f, "create temp table x as execute p", "created x");
	expect_changes(f, "create table pg_temp.x (a int)", "created x there");
	expect_changes(f, "select 1 as a into temp x", "created x");
	expect_changes(f, "select 1 as a into x", "on path x");
	expect_changes(f, "create table x as select 1", "on path x");
	expect_changes(f, "create table public.x (a int)", "");
	expect_changes(f, "create temp sequence s", "created s");
	expect_changes(f, "create temp view v as select 1", "created v, over v");
	expect_changes(f, "create view v as select * from t", "on path v, over v");
	expect_changes(f, "create index i on t (a)", "over i");
	expect_changes(f, "create index i on pg_temp.t (a)", "created i");
	expect_changes(f, "create type pg_temp.x as enum ('a')", "created x there");
	expect_changes(f, "create type x as (a int)", "on path x");
	expect_changes(f, "create domain x as int", "on path x");
	expect_changes(f, "drop table x, pg_temp.y, public.z", "dropped x, dropped y there");
	expect_changes(f, "drop view if exists v cascade", "dropped v");
	expect_changes(f, "drop function x()", "");
	expect_changes(f, "alter table x rename to y", "renamed x to y");
	expect_changes(f, "alter table public.x rename to y", "");
	expect_changes(f, "alter table x rename column a to b", "");
	expect_changes(f, "select 1", "");
}

static bool mentions(const struct statement *s, enum mention_kind kind, const char *name)
{
	for (size_t i = 0; i < s->nmentions; i++)
		if (s->mentions[i].kind == kind && strcmp(s->mentions[i].name, name) == 0)
			return true;

	return false;
}

static void what_only_the_primary_can_tell_is_mentioned(void **state)
{
	struct fixture *f = *state;
	const struct statement *s =
		one(f, "with c as (select pure(a) from public.t where b @@@ 1) "
		       "select x.sidefx, a::colour from c join u x on exists (select from v)");

	assert_true(mentions(s, MENTION_FUNCTION, "pure"));
	assert_true(mentions(s, MENTION_FUNCTION, "sidefx")); /* t.fn */
	assert_true(mentions(s, MENTION_OPERATOR, "@@@"));
	assert_true(mentions(s, MENTION_TYPE, "colour"));
	assert_true(mentions(s, MENTION_RELATION, "t"));
	assert_true(mentions(s, MENTION_RELATION, "u"));
	assert_true(mentions(s, MENTION_RELATION, "v"));
	assert_false(mentions(s, MENTION_RELATION, "x"));
	s = one(f, "call public.p(pure(1))");
	assert_true(mentions(s, MENTION_PROCEDURE, "p"));
	assert_true(mentions(s, MENTION_FUNCTION, "pure"));
	s = one(f, "do $$begin insert into t (a) select f(1) @@@ 2; end$$");
	assert_int_equal(s->effect, EFFECT_CALLS);
	assert_true(mentions(s, MENTION_CALLED, "f"));
	assert_true(mentions(s, MENTION_WORD, "t"));
	assert_true(mentions(s, MENTION_OPERATOR, "@@@"));
}

/* ---- settings ---- */

static void expect_set(
	struct fixture *f, const char *sql, const char *name, const char *value, bool local)
{
	const struct statement *s = one(f, sql);

	if (s->effect != EFFECT_SET || !s->name || strcmp(s->name, name) != 0 ||
		!s->value != !value || (value && strcmp(s->value, value) != 0) || s->local != local)
		fail_msg("%s: effect %d, %s = %s", sql, s->effect, s->name ? s->name : "(null)",
			s->value ? s->value : "(null)");
}

static void values_are_as_set_config_takes_them(void **state)
{
	struct fixture *f = *state;

	expect_set(f, "set work_mem = '4MB'", "work_mem", "4MB", false);
	expect_set(f, "set work_mem to 4096", "work_mem", "4096", false);
	expect_set(f, "set local statement_timeout = 50", "statement_timeout", "50", true);
	expect_set(f, "set session enable_seqscan = off", "enable_seqscan", "off", false);
	expect_set(f, "set \"App.Tenant\" = 'a b'", "app.tenant", "a b", false);
	expect_set(f, "set app.tenant = 7", "app.tenant", "7", false);
	expect_set(f, "set seq_page_cost = 1.5", "seq_page_cost", "1.5", false);
	expect_set(f, "set extra_float_digits = -3", "extra_float_digits", "-3", false);
	expect_set(f, "set enable_sort = true", "enable_sort", "true", false);
	expect_set(f, "set DateStyle = iso, dmy", "datestyle", "iso, dmy", false);
	expect_set(f, "set datestyle to 'ISO, DMY'", "datestyle", "ISO, DMY", false);
	expect_set(f, "set search_path = a, public", "search_path", "a, public", false);
	expect_set(f, "set search_path = \"$user\", public", "search_path", "\"$user\", public",
		false);
	expect_set(f, "set search_path = 'a, b'", "search_path", "\"a, b\"", false);
	expect_set(f, "set search_path = ''", "search_path", "\"\"", false);
	expect_set(f, "set search_path = \"A\", \"q\"\"r\", \"user\", \"begin\"", "search_path",
		"\"A\", \"q\"\"r\", \"user\", begin", false);
	expect_set(f, "set schema 'x'", "search_path", "x", false);
	expect_set(f, "set names 'latin1'", "client_encoding", "latin1", false);
	expect_set(f, "set time zone 'Europe/Berlin'", "timezone", "Europe/Berlin", false);
	expect_set(f, "set time zone utc", "timezone", "utc", false);
	expect_set(f, "set time zone -7", "timezone", "-7", false);
	expect_set(f, "set time zone 5.5", "timezone", "5.5", false);
	expect_set(f, "set time zone local", "timezone", NULL, false);
	expect_set(f, "set local time zone default", "timezone", NULL, true);
	expect_set(f, "set time zone interval '-08:00' hour to minute", "timezone",
		"INTERVAL '-08:00'", false);
	expect_set(f, "set work_mem to default", "work_mem", NULL, false);
	expect_set(f, "set role app", "role", "app", false);
	expect_set(f, "set role none", "role", "none", false);
	expect_set(f, "set local role 'x y'", "role", "x y", true);
	expect_set(f, "set session authorization bob", "session_authorization", "bob", false);
	expect_set(f, "set session authorization default", "session_authorization", NULL, false);
	expect_set(f, "set xml option document", "xmloption", "DOCUMENT", false);
	expect_set(f, "select set_config('App.Tenant', '7', true)", "app.tenant", "7", true);
	expect_set(f, "select pg_catalog.set_config('search_path', 'a, b', false)", "search_path",
		"a, b", false);
	expect_set(f, "select set_config('app.x'::text, '', 'f')", "app.x", "", false);
	expect_set(f, "select set_config('app.x', null, false)", "app.x", NULL, false);
	expect_set(f, "set session characteristics as transaction isolation level serializable",
		"default_transaction_isolation", "serializable", false);
}

static void set_config_alone_is_no_read(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(
		one(f, "select set_config('app.x', '1', true)")->skip, REASON_VOLATILE_FUNCTION);
}

static void isolation_levels_are_noticed(void **state)
{
	static const struct {
		const char *sql;
		bool given, snapshot;
		enum statement_effect effect;
	} rows[] = {{"begin", false, false, EFFECT_BEGIN},
		{"begin read only", false, false, EFFECT_BEGIN},
		{"begin isolation level read committed", true, false, EFFECT_BEGIN},
		{"begin isolation level repeatable read, read only", true, true, EFFECT_BEGIN},
		{"start transaction isolation level serializable", true, true, EFFECT_BEGIN},
		{"set transaction isolation level repeatable read", true, true, EFFECT_NONE},
		{"set transaction isolation level read uncommitted", true, false, EFFECT_NONE},
		{"set transaction read only", false, false, EFFECT_NONE},
		{"set transaction snapshot '0-1'", true, true, EFFECT_TAINT},
		{"set transaction_isolation = 'serializable'", true, true, EFFECT_NONE},
		{"select set_config('transaction_isolation', 'repeatable read', true)", true, true,
			EFFECT_NONE},
		{"set transaction_read_only = off", false, false, EFFECT_NONE},
		{"reset transaction isolation level", false, false, EFFECT_UNKNOWN_SETTINGS},
		{"set session characteristics as transaction isolation level repeatable read",
			false, false, EFFECT_SET},
		{"set session characteristics as transaction read only", false, false,
			EFFECT_NONE}};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const struct statement *s = one(f, rows[i].sql);

		if (s->isolation_given != rows[i].given ||
			s->isolation_snapshot != rows[i].snapshot || s->effect != rows[i].effect)
			fail_msg("%s: given %d, snapshot %d, effect %d", rows[i].sql,
				s->isolation_given, s->isolation_snapshot, s->effect);
	}
}

/* ---- names of effects ---- */

static void effects_carry_their_names(void **state)
{
	static const struct {
		const char *sql, *name;
		enum statement_effect effect;
	} rows[] = {{"savepoint \"A b\"", "A b", EFFECT_SAVEPOINT},
		{"release savepoint s", "s", EFFECT_RELEASE}, {"release s", "s", EFFECT_RELEASE},
		{"rollback to s", "s", EFFECT_ROLLBACK_TO},
		{"rollback transaction to savepoint s", "s", EFFECT_ROLLBACK_TO},
		{"reset Work_Mem", "work_mem", EFFECT_RESET}, {"reset role", "role", EFFECT_RESET},
		{"reset session authorization", "session_authorization", EFFECT_RESET},
		{"reset time zone", "timezone", EFFECT_RESET},
		{"reset all", NULL, EFFECT_RESET_ALL}, {"execute q (1)", "q", EFFECT_EXECUTE},
		{"deallocate q", "q", EFFECT_DEALLOCATE},
		{"deallocate prepare all", NULL, EFFECT_DEALLOCATE_ALL},
		{"declare c cursor for select 1", "c", EFFECT_DECLARE},
		{"fetch 5 from c", "c", EFFECT_FETCH}, {"move all in c", "c", EFFECT_FETCH},
		{"close c", "c", EFFECT_CLOSE}, {"close all", NULL, EFFECT_CLOSE}};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const struct statement *s = one(f, rows[i].sql);

		if (s->effect != rows[i].effect)
			fail_msg("%s: effect %d", rows[i].sql, s->effect);
		if (!rows[i].name)
			assert_true(!s->name || !*s->name);
		else
			assert_string_equal(s->name, rows[i].name);
	}
}

static void a_prepared_body_is_the_exact_text(void **state)
{
	static const struct {
		const char *sql, *name, *body;
	} rows[] = {{"prepare q as select 1", "q", "select 1"},
		{"prepare q(int, text) as select $1, $2", "q", "select $1, $2"},
		{"/* as */ prepare \"as\" (numeric(10, 2)) AS -- as\n select 'as' as x ; ", "as",
			"-- as\n select 'as' as x"},
		{"PREPARE q AS INSERT INTO t VALUES ($1)", "q", "INSERT INTO t VALUES ($1)"}};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const struct statement *s = one(f, rows[i].sql);

		assert_int_equal(s->effect, EFFECT_PREPARE);
		assert_string_equal(s->name, rows[i].name);
		assert_string_equal(s->body, rows[i].body);
	}
	parts_of(f, "select 1; prepare q as select 2; select 3");
	assert_string_equal(f->parts.part[1].statement->body, "select 2");
}

static void chains_and_copies_are_flagged(void **state)
{
	struct fixture *f = *state;

	assert_true(one(f, "commit and chain")->chain);
	assert_true(one(f, "rollback and chain")->chain);
	assert_false(one(f, "commit")->chain);
	assert_true(one(f, "copy t to stdout")->copy_out);
	assert_true(one(f, "copy (select a from t) to stdout")->copy_out);
	assert_false(one(f, "copy t from stdin")->copy_out);
	assert_false(one(f, "copy t to '/tmp/x'")->copy_out);
	assert_false(one(f, "copy t to program 'cat'")->copy_out);
	assert_false(one(f, "copy (select nextval('s')) to stdout")->copy_out);
}

static void a_copy_is_read_as_a_query(void **state)
{
	static const struct {
		const char *sql, *body, *why; /* body NULL: none */
	} rows[] = {{"copy (select 1 as \")\" /* ) */) to stdout", "select 1 as \")\" /* ) */", ""},
		{"copy (table t) to stdout csv header", "table t", ""},
		{"copy (select 1) to stdout with (format 'csv', header 1, quote '''')", "select 1",
			""},
		{"copy t (a, \"B\"\"\") to stdout binary",
			"SELECT \"a\", \"B\"\"\" FROM ONLY \"t\"", ""},
		{"copy s.t to stdout", "SELECT * FROM ONLY \"s\".\"t\"", ""},
		{"copy computed to stdout", NULL, "CopyStmt: columns not known"},
		{"copy public.computed to stdout", NULL, "CopyStmt: columns not known"},
		{"copy computed (a) to stdout", "SELECT \"a\" FROM ONLY \"computed\"", ""},
		{"copy (select 1) to stdout (format binary, header)", NULL, "CopyStmt: options"},
		{"copy (select 1) to stdout (format binary, delimiter ',')", NULL,
			"CopyStmt: delimiter"},
		{"copy (select 1) to stdout (format csv, header match)", NULL, "CopyStmt: header"},
		{"copy (select 1) to stdout (format csv, format text)", NULL, "CopyStmt: options"},
		{"copy (select 1) to stdout (format xml)", NULL, "CopyStmt: format"},
		{"copy (select 1) to stdout (quote '''')", NULL, "CopyStmt: quote"},
		{"copy (select 1) to stdout (force_null (a))", NULL, "CopyStmt: force_null"},
		{"copy (select 1) to stdout (freeze)", NULL, "CopyStmt: freeze"},
		{"copy (select 1) to stdout (encoding 'BIG5')", NULL, "CopyStmt: encoding"},
		{"copy (select 1) to stdout (encoding 'utf-8')", "select 1", ""},
		{"copy (select acts(1)) to stdout csv", NULL, ""},
		{"copy (select 1) to program 'cat' csv", NULL, ""},
		{"copy t (a) to '/tmp/x'", NULL, ""}, {"copy t (a) from stdin csv", NULL, ""}};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const struct statement *s = one(f, rows[i].sql);

		print_message("%s\n", rows[i].sql);
		assert_int_equal(s->skip, REASON_NOT_A_READ);
		if (rows[i].body)
			assert_string_equal(s->body, rows[i].body);
		else
			assert_null(s->body);
		assert_string_equal(s->detail, *rows[i].why ? rows[i].why : "CopyStmt");
	}
}

static void the_detail_names_the_cause(void **state)
{
	struct fixture *f = *state;

	assert_string_equal(one(f, "select public.acts()")->detail, "public.acts");
	assert_string_equal(one(f, "select * from public.secured")->detail, "public.secured");
	assert_string_equal(one(f, "vacuum")->detail, "VacuumStmt");
	assert_string_equal(one(f, "select 1")->detail, "");
}

static void what_the_role_decides_is_a_read_where_it_is_reproduced(void **state)
{
	static const struct {
		enum reason without, with;
		const char *sql;
	} rows[] = {
		{REASON_ROW_SECURITY, REASON_NONE, "select * from secured"},
		{REASON_ROW_SECURITY, REASON_ROW_SECURITY, "select * from secured_by_session"},
		{REASON_SERVER_SPECIFIC, REASON_NONE, "select * from role_view"},
		{REASON_SERVER_SPECIFIC, REASON_SERVER_SPECIFIC, "select * from user_view"},
		{REASON_SERVER_SPECIFIC, REASON_NONE, "select current_user, current_role, user"},
		{REASON_SERVER_SPECIFIC, REASON_SERVER_SPECIFIC, "select session_user"},
		{REASON_VOLATILE_FUNCTION, REASON_VOLATILE_FUNCTION,
			"select set_config('role', 'none', true), * from secured"},
		{REASON_VOLATILE_FUNCTION, REASON_VOLATILE_FUNCTION,
			"select public.acts() from secured"},
		{REASON_WRITES, REASON_WRITES, "select * from secured for update"},
	};
	struct fixture *f = *state;

	for (int with = 0; with < 2; with++) {
		struct classifier_options options = {
			.cache_entries = 10, .max_sql_bytes = 1000, .identity_reproduced = with};
		struct classifier *c = classifier_new(&options);

		assert_non_null(c);
		classifier_set_catalogue(c, f->catalogue, 1);
		for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
			classify_once(c, rows[i].sql, with ? rows[i].with : rows[i].without);
		classifier_free(c);
	}
}

/* ---- appendix A of the hazards: every volatile built-in ---- */

static const char *const volatile_builtins[] = {
#include "shadow_classify_volatile.h"
};

static void no_volatile_built_in_is_ever_a_read(void **state)
{
	struct fixture *f = *state;
	char sql[256];

	for (size_t i = 0; i < sizeof volatile_builtins / sizeof volatile_builtins[0]; i++) {
		for (int qualified = 0; qualified < 2; qualified++) {
			enum reason skip;

			snprintf(sql, sizeof sql, "select a from t where %s%s(a)",
				qualified ? "pg_catalog." : "", volatile_builtins[i]);
			skip = one(f, sql)->skip;
			if (skip != REASON_VOLATILE_FUNCTION && skip != REASON_SERVER_SPECIFIC)
				fail_msg("%s: %s", sql, reason_name(skip));
		}
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_row_of_the_table_is_decided_as_it_says),
		TEST(a_text_is_split_where_the_parser_splits_it),
		TEST(an_empty_text_has_no_parts),
		TEST(each_part_is_decided_for_itself),
		TEST(what_cannot_be_parsed_is_one_opaque_part),
		TEST(a_text_with_a_nul_byte_is_unparsed),
		TEST(a_text_need_not_end_in_a_nul_byte),
		TEST(a_text_over_the_limit_is_too_long),
		cmocka_unit_test(the_same_text_is_parsed_once),
		cmocka_unit_test(the_cache_stays_within_its_limit_and_keeps_what_is_used),
		cmocka_unit_test(a_cache_of_no_entries_parses_each_time),
		cmocka_unit_test(a_new_catalogue_makes_decisions_again),
		cmocka_unit_test(a_poisoned_text_is_not_parsed),
		cmocka_unit_test(a_statement_outlives_its_classifier),
		cmocka_unit_test(the_deepest_text_fits_the_stack_of_the_worker),
		TEST(alike_texts_have_one_shape),
		TEST(comments_are_no_part_of_a_shape),
		TEST(no_literal_stays_in_a_normalised_text),
		TEST(sort_keys_are_mapped_to_output_columns),
		TEST(more_keys_than_fit_leave_the_last_unknown),
		TEST(limits_are_noticed),
		TEST(float_aggregates_are_mapped_to_output_columns),
		TEST(leaks_of_order_into_values_are_noticed),
		TEST(orders_are_total_where_unique_keys_prove_it),
		TEST(a_total_order_does_not_leak),
		TEST(free_orders_are_rewritten_away),
		TEST(the_rows_that_a_limit_lets_through_are_known),
		TEST(times_in_filters_are_flagged),
		TEST(what_a_statement_names_is_flagged),
		TEST(only_built_in_functions_are_known_harmless),
		TEST(temporary_relations_without_a_known_name_are_noticed),
		TEST(temporary_relations_are_known_by_name),
		TEST(what_only_the_primary_can_tell_is_mentioned),
		TEST(values_are_as_set_config_takes_them),
		TEST(set_config_alone_is_no_read),
		TEST(isolation_levels_are_noticed),
		TEST(effects_carry_their_names),
		TEST(a_prepared_body_is_the_exact_text),
		TEST(chains_and_copies_are_flagged),
		TEST(a_copy_is_read_as_a_query),
		TEST(the_detail_names_the_cause),
		TEST(what_the_role_decides_is_a_read_where_it_is_reproduced),
		TEST(no_volatile_built_in_is_ever_a_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

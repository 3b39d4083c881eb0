/* Texts that differ in literals alone: what the cache gives for one is what deciding it anew gives.
 * Every text of the table of decisions, and those below, with its literals replaced at random, from
 * a printed seed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka needs the above first */
#include <cmocka.h>

#include "proxy/shadow/classify_parts.h"
#include <pg_query.h>
#include <pg_query/pg_query.pb-c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { VARIANTS = 12, TEXT_SIZE = 4096 };

#define ROW(reason, effect, sql) sql
static const char *const table[] = {
#include "shadow_classify_rows.h"
	/* where a literal could decide */
	"select a + 1, b from t order by a + 1",
	"select 1, a from t order by 1",
	"select a, b from t order by 2 desc, 1",
	"select a, 5 from t group by 1, 2 order by 2",
	"select distinct on (1) a, b from t order by 1",
	"select string_agg(b, ',' order by a + 2) from t",
	"select sum(a) over (order by a + 3 rows 2 preceding) from t",
	"select a from t limit 5",
	"select a from t order by a limit 10 offset 0",
	"select a from t limit 5 + 5",
	"select a from t fetch first 3 rows only",
	"select a from (select a from t limit 7) x where a < 9",
	"select id from keyed where id = 5 order by a",
	"select id from keyed where id = 5 and a = -5 order by b limit 1",
	"select a::numeric(10, 2), b::varchar(5), c::float(24), d::timestamp(3) from t where a = 1",
	"select cast('x' as text), date '2024-01-01', interval '1 day', interval '1' year from t",
	"select '{1,2}'::int[3], array[1, 2][1], (b)[2:3] from t",
	"select a from t where b = 'x' and c = 'it''s' and d > 1.5 and e = -7 and f - 3 > 2",
	"select a from t where d > 'x'::timestamptz and e = date 'y'",
	"select current_setting('app.x'), b from t where c = 5",
	"select set_config('app.x', 'y', true)",
	"select extract(year from d), b from t where b like 'x%' escape '!' and c in (1, 2, 3)",
	"select substring(b from 2 for 3), trim('x' from b), overlay(b placing 'y' from 1) from t",
	"select case a when 1 then 'one' else 'other' end, coalesce(b, 'none') from t",
	"  -- a remark\n select a from t where a = 5 /* and */ ",
	"select a from t where a = 5;",
	" select a from t where a = 5 and b = 'x' ;\n",
	"select a from t where a = 5; -- a remark",
	"select acts(5) from t where b = 'x'",
	"select lag(a, 2) over (order by b), ntile(4) over (order by 1) from t",
	"insert into t values (1, 'x'), (2, 'y')",
	"update t set a = 5, b = 'x' where c = 1.5",
	"delete from t where a in (1, 2) returning a + 1",
	"values (1, 'x'), (2, 'y') order by 1",
	"select a from t union select 5 order by 1 limit 2",
	"with x as (select 1 as a limit 3) select a from x where a = 1",
	"select a from t where b = E'x' and c = U&'y' and d = b'101' and e = x'1f' and f = $$z$$",
	"select a from t where b = 'a' 'b'",
	"select a from t where $1 = 5 and b = $2",
	"select a from t tablesample system (10) repeatable (5)",
};

static const char *const integers[] = {"0", "1", "2", "3", "7", "100", "2147483647"};
static const char *const fractions[] = {"1.5", "0.0", "1e10", "99999999999"};
static const char *const strings[] = {"''", "'x'", "'now'", "'today'", "'app.tenant'", "'a''b'",
	"'role'", "'1'", "'infinity'", "'no'\n'w'", "'tomorrow 12:00'", "'?'"};
#define PICK(list) list[(size_t)rand_r(seed) % (sizeof(list) / sizeof *(list))]

/* The text with other literals; the same text if it can't be scanned. */
static void vary(const char *text, unsigned *seed, char out[TEXT_SIZE])
{
	PgQueryScanResult scan = pg_query_scan(text);
	PgQuery__ScanResult *tokens = NULL;
	size_t at = 0, n = 0;

	if (!scan.error)
		tokens = pg_query__scan_result__unpack(
			NULL, scan.pbuf.len, (const uint8_t *)scan.pbuf.data);
	for (size_t i = 0; tokens && i < tokens->n_tokens; i++) {
		const PgQuery__ScanToken *t = tokens->tokens[i];
		const char *literal = t->token == PG_QUERY__TOKEN__ICONST   ? PICK(integers)
				      : t->token == PG_QUERY__TOKEN__FCONST ? PICK(fractions)
				      : t->token == PG_QUERY__TOKEN__SCONST ? PICK(strings)
									    : NULL;

		if (!literal || rand_r(seed) % 4 == 0)
			continue;
		n += (size_t)snprintf(out + n, TEXT_SIZE - n, "%.*s%s", (int)(t->start - (int)at),
			text + at, literal);
		at = (size_t)t->end;
		assert_true(n < TEXT_SIZE);
	}
	assert_true((size_t)snprintf(out + n, TEXT_SIZE - n, "%s", text + at) < TEXT_SIZE - n);
	if (tokens)
		pg_query__scan_result__free_unpacked(tokens, NULL);
	pg_query_free_scan_result(scan);
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool same_order(const struct order_rule *a, const struct order_rule *b)
{
	for (unsigned i = 0; i < a->nkeys && i < COMPARE_MAX_KEYS; i++)
		if (memcmp(&a->keys[i], &b->keys[i], sizeof a->keys[i]) != 0)
			return false;

	return a->ordered == b->ordered && a->nkeys == b->nkeys && a->limited == b->limited &&
	       a->offset == b->offset && a->total == b->total && a->with_ties == b->with_ties &&
	       a->limit_rows == b->limit_rows && a->limit_param == b->limit_param &&
	       a->leaks == b->leaks;
}

static bool same_mentions(const struct statement *a, const struct statement *b)
{
	if (a->nmentions != b->nmentions || a->more_mentions != b->more_mentions ||
		a->ntemporaries != b->ntemporaries)
		return false;
	for (size_t i = 0; i < a->nmentions; i++)
		if (a->mentions[i].kind != b->mentions[i].kind ||
			!same_text(a->mentions[i].name, b->mentions[i].name) ||
			!same_text(a->mentions[i].schema, b->mentions[i].schema))
			return false;

	return true;
}

/* The first thing that differs, or NULL. */
static const char *difference(const struct statement *a, const struct statement *b)
{
	if (a->effect != b->effect)
		return "effect";
	if (a->skip != b->skip || strcmp(a->detail, b->detail) != 0)
		return "skip";
	if (!same_text(a->normalized, b->normalized) || a->shape_hash != b->shape_hash ||
		strcmp(a->fingerprint, b->fingerprint) != 0)
		return "shape";
	if (!same_order(&a->order, &b->order) || a->summed != b->summed ||
		a->has_limit_clause != b->has_limit_clause)
		return "order";
	if (a->reads_relations != b->reads_relations ||
		a->unqualified_names != b->unqualified_names ||
		a->time_dependent != b->time_dependent ||
		a->creates_temporary != b->creates_temporary ||
		a->harmless_only != b->harmless_only ||
		a->unknown_function != b->unknown_function || a->local != b->local ||
		a->no_snapshot != b->no_snapshot || a->copy_out != b->copy_out ||
		a->may_commit != b->may_commit)
		return "flags";
	if (!same_mentions(a, b))
		return "mentions";
	if (!same_text(a->name, b->name) || !same_text(a->value, b->value) ||
		!same_text(a->body, b->body) || a->nitems != b->nitems || a->nargs != b->nargs)
		return "texts";

	return NULL;
}

static struct catalogue *catalogue_of(void)
{
	static const char *const plain[] = {"count", "sum", "lower", "lag", "ntile", "string_agg",
		"row_number", "date_part", "extract", "btrim", "substring", "overlay", "timezone"};
	struct catalogue *c = catalogue_new();

	assert_non_null(c);
	for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
		assert_true(catalogue_add_function(c, "pg_catalog", plain[i], FUNCTION_IMMUTABLE));
	assert_true(catalogue_add_function(c, "public", "acts", FUNCTION_VOLATILE));
	assert_true(catalogue_add_function(c, "pg_catalog", "current_setting", FUNCTION_STABLE));
	assert_true(catalogue_add_function(c, "pg_catalog", "set_config", FUNCTION_VOLATILE));
	assert_true(catalogue_add_relation(c, "public", "keyed", RELATION_PLAIN));
	assert_true(catalogue_add_unique(c, "public", "keyed\x01id"));
	assert_true(catalogue_add_volatile_type(c, "acting_type"));
	catalogue_seal(c);

	return c;
}

static struct classifier *classifier_of(const struct catalogue *catalogue, size_t entries)
{
	struct classifier_options options = {.cache_entries = entries, .max_sql_bytes = 65536};
	struct classifier *c = classifier_new(&options);

	assert_non_null(c);
	classifier_set_catalogue(c, catalogue, 1);

	return c;
}

/* What `caching` says of the text is what `anew` says. */
static void compare(struct classifier *caching, struct classifier *anew, const char *text,
	const struct statement **last, unsigned *shared)
{
	struct text_parts a, b;

	assert_true(classify_text(caching, span_cstr(text), &a));
	assert_true(classify_text(anew, span_cstr(text), &b));
	assert_int_equal(a.count, b.count);
	assert_int_equal(a.unparsed, b.unparsed);
	for (size_t i = 0; i < a.count; i++) {
		const char *differs = difference(a.part[i].statement, b.part[i].statement);

		if (differs || a.part[i].offset != b.part[i].offset ||
			a.part[i].len != b.part[i].len)
			fail_msg("%s: %s", differs ? differs : "place", text);
	}
	if (a.count == 1) {
		*shared += a.part[0].statement == *last;
		*last = a.part[0].statement; /* only compared */
	}
	text_parts_release(&a);
	text_parts_release(&b);
}

static void no_literal_changes_what_the_cache_says(void **state)
{
	unsigned seed = (unsigned)time(NULL), shared = 0, texts = 0;
	struct catalogue *catalogue = catalogue_of();
	struct classifier *caching = classifier_of(catalogue, 10000),
			  *anew = classifier_of(catalogue, 0);
	char text[TEXT_SIZE];

	(void)state;
	print_message("seed %u\n", seed);
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		const struct statement *last = NULL;

		if (strlen(table[i]) > TEXT_SIZE / 4)
			continue;
		compare(caching, anew, table[i], &last, &shared);
		for (unsigned v = 0; v < VARIANTS; v++, texts++) {
			vary(table[i], &seed, text);
			compare(caching, anew, text, &last, &shared);
		}
	}
	print_message("%u texts, %u decided by another's decision\n", texts, shared);
	assert_true(shared > texts / 20);
	classifier_free(caching);
	classifier_free(anew);
	catalogue_free(catalogue);
}

/* Are two texts decided by one decision? */
static bool share(const char *first, const char *second)
{
	struct catalogue *catalogue = catalogue_of();
	struct classifier *c = classifier_of(catalogue, 100);
	struct text_parts a, b;
	bool same;

	assert_true(classify_text(c, span_cstr(first), &a));
	assert_true(classify_text(c, span_cstr(second), &b));
	same = a.count == 1 && b.count == 1 && a.part[0].statement == b.part[0].statement;
	text_parts_release(&a);
	text_parts_release(&b);
	classifier_free(c);
	catalogue_free(catalogue);

	return same;
}

static void plain_literals_share_a_decision_and_deciding_ones_do_not(void **state)
{
	static const struct {
		const char *first, *second;
		bool share;
	} rows[] = {
		{"select a from t where a = 1 and b = 'x'",
			"select a from t where a = 23 and b = ''", true},
		{"select a from t where a = 1 limit 5", "select a from t where a = 2 limit 5",
			true},
		{"select a from t where a = -1", "select a from t where a = -2", true},
		{"insert into t values (1, 'x')", "insert into t values (2, 'yy')", true},
		{" select a from t where a = 1", "   select a from t where a = 1", false},
		{"select a from t where a = 1", "select a from t where a = 1.5", false},
		{"select a from t where a = 1", "select a from t where a = '1'", false},
		{"select a from t where a = 1", "select a from t where a = $1", false},
		{"select a from t limit 5", "select a from t limit 6", false},
		{"select a, b from t order by 1", "select a, b from t order by 2", false},
		{"select a + 1 from t order by a + 1", "select a + 1 from t order by a + 2", false},
		{"select a from t where b = 'x'", "select a from t where b = 'now'", false},
		{"select a from t where b = 'x'", "select a from t where b = 'no'\n'w'", false},
		{"select a from t where b = 'x'", "select a from t where b = E'now'", false},
		{"select a::numeric(3) from t where a = 1",
			"select a::numeric(4) from t where a = 1", false},
		{"select a::float(1) from t", "select a::float(53) from t", false},
		{"select current_setting('app.x')", "select current_setting('port')", false},
		{"select set_config('app.x', '1', true)", "select set_config('role', '1', true)",
			false},
		{"set work_mem = 1", "set work_mem = 2", false},
		{"select 1; select 2", "select 3; select 4", false},
		{"select a from t where a = 1;", "select a from t where a = 23;", true},
		{"select a from t where a = 1 ; ", "select a from t where a = 23 ; ", true},
		{"select a from t where a = 1;", "select a from t where a = 1", false},
		{"select a from t where a = 1;;", "select a from t where a = 2;;", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (share(rows[i].first, rows[i].second) != rows[i].share)
			fail_msg("%s / %s", rows[i].first, rows[i].second);
}

/* Sets *quick if there was one. */
static void check_quick(const char *text, unsigned *quick)
{
	struct quick_key key;
	struct blanked slow;
	bool given = blank_literals(text, &slow);

	if (quick_blank(span_cstr(text), &key)) {
		++*quick;
		if (!given || slow.len != key.len || slow.count != key.literals ||
			slow.end != key.end || memcmp(slow.key, key.bytes, key.len) != 0)
			fail_msg("another key: %s", text);
	}
	blanked_release(&slow);
}

static void a_quick_key_is_the_key_that_the_scanner_gives(void **state)
{
	static const char *const pieces[] = {"a", "B_1", "limit", "OFFSET", "e", "u&", "n", "5",
		"007", "999999999", "2147483647", "0x1f", "1e5", ".", ",", "(", ")", "'x'", "''",
		"'it''s'", "'now'", "'a\\b'", "'", "\"q\"", "\"q\"\"r\"", "\"", "-", "--", "/",
		"/*", "*", "*/", "=", "<", ">", "!", "%", "|", "+", ":", "::", ";", "$1", "$$", "?",
		"@", " ", " ", " ", "\n", "\t", "\f", "\xc3\xa4", "[", "]", "x'1f'",
		"'caf\xc3\xa9'"};
	unsigned made_up = 200000, seed = (unsigned)time(NULL), quick = 0, varied = 0;
	char text[TEXT_SIZE];

	(void)state;
	print_message("seed %u\n", seed);
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		check_quick(table[i], &varied);
		for (unsigned v = 0; v < VARIANTS && strlen(table[i]) <= TEXT_SIZE / 4; v++) {
			vary(table[i], &seed, text);
			check_quick(text, &varied);
		}
	}
	for (unsigned i = 0; i < made_up; i++) {
		unsigned n = 1 + (unsigned)rand_r(&seed) % 8;
		size_t at = 0;

		for (unsigned j = 0; j < n; j++)
			at += (size_t)snprintf(text + at, sizeof text - at, "%s",
				pieces[(size_t)rand_r(&seed) % (sizeof pieces / sizeof *pieces)]);
		check_quick(text, &quick);
	}
	print_message("%u of texts, %u of %u made up\n", varied, quick, made_up);
	assert_true(varied > 100 && quick > made_up / 100);
}

static void what_applications_send_has_a_quick_key(void **state)
{
	static const char *const plain[] = {
		"SELECT abalance FROM pgbench_accounts WHERE aid = 12345;",
		"select \"t\".\"id\" from \"t\" where \"t\".\"id\" = 5 and b <> 'x' limit 5",
		"insert into t values (1, 'x'), (-2, 'yy') ;\n"};
	unsigned quick = 0;

	(void)state;
	for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
		check_quick(plain[i], &quick);
	assert_int_equal(quick, sizeof plain / sizeof *plain);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_literal_changes_what_the_cache_says),
		cmocka_unit_test(plain_literals_share_a_decision_and_deciding_ones_do_not),
		cmocka_unit_test(a_quick_key_is_the_key_that_the_scanner_gives),
		cmocka_unit_test(what_applications_send_has_a_quick_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Users' types of parameters, translated by name in the list of a Parse and inside binary values
 * (T1 to T3). The primary numbers its types from 16400, the server here from 20000 on. */
#include "proxy/shadow/mirror_types.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { MOOD = 16400, MOODS, PAIR, PAIRS, SMALL, SPAN, SPANS, GONE, OWN_RECURSION };
enum { INT4 = 23, TEXT = 25, THERE = 3600 };

static uint32_t translate(void *self, const char *database, uint32_t oid)
{
	(void)self;
	assert_string_equal(database, "app");

	return oid == GONE ? 0 : oid + THERE;
}

static enum type_build build(void *self, const char *database, uint32_t oid, uint32_t *inner)
{
	static const struct {
		enum type_build build;
		uint32_t inner;
	} types[] = {{TYPE_SIMPLE, 0}, {TYPE_ARRAY, MOOD}, {TYPE_COMPOSITE, 0}, {TYPE_ARRAY, PAIR},
		{TYPE_DOMAIN, MOODS}, {TYPE_RANGE, PAIR}, {TYPE_MULTIRANGE, SPAN}, {TYPE_SIMPLE, 0},
		{TYPE_DOMAIN, OWN_RECURSION}};

	(void)self;
	(void)database;
	assert_in_range(oid, MOOD, OWN_RECURSION);
	*inner = types[oid - MOOD].inner;

	return types[oid - MOOD].build;
}

static const struct type_translation there = {NULL, translate, build};

/* A value in the making; `then` is what it must become. */
struct value {
	uint8_t bytes[256], then[256];
	size_t len;
};

static void put(struct value *v, uint32_t n, uint32_t then)
{
	for (int i = 0; i < 4; i++) {
		v->bytes[v->len] = (uint8_t)(n >> (24 - 8 * i));
		v->then[v->len++] = (uint8_t)(then >> (24 - 8 * i));
	}
}

static void put_number(struct value *v, uint32_t n)
{
	put(v, n, n);
}

static void put_type(struct value *v, uint32_t oid)
{
	put(v, oid, oid + THERE);
}

static void put_text(struct value *v, const char *text)
{
	put_number(v, (uint32_t)strlen(text));
	memcpy(v->bytes + v->len, text, strlen(text));
	memcpy(v->then + v->len, text, strlen(text));
	v->len += strlen(text);
}

static void put_value(struct value *v, const struct value *inner)
{
	put_number(v, (uint32_t)inner->len);
	memcpy(v->bytes + v->len, inner->bytes, inner->len);
	memcpy(v->then + v->len, inner->then, inner->len);
	v->len += inner->len;
}

static void put_array(struct value *v, uint32_t element, uint32_t count)
{
	put_number(v, 1);
	put_number(v, 1);
	if (element < TYPE_FIRST_USER)
		put_number(v, element);
	else
		put_type(v, element);
	put_number(v, count);
	put_number(v, 1);
}

static struct value moods(void)
{
	struct value v = {0};

	put_array(&v, MOOD, 3);
	put_text(&v, "sad");
	put_number(&v, UINT32_MAX); /* NULL */
	put_text(&v, "happy");

	return v;
}

static struct value pair(void)
{
	struct value v = {0}, inner = moods();

	put_number(&v, 3);
	put_number(&v, INT4);
	put_number(&v, 4);
	put_number(&v, MOOD); /* the number of a type as a value: not a type */
	put_type(&v, MOOD);
	put_text(&v, "ok");
	put_type(&v, MOODS);
	put_value(&v, &inner);

	return v;
}

static struct value pairs(void)
{
	struct value v = {0}, inner = pair();

	put_array(&v, PAIR, 2);
	put_value(&v, &inner);
	put_value(&v, &inner);

	return v;
}

static struct value range(void)
{
	struct value v = {0}, bound = pair();

	v.bytes[0] = v.then[0] = 2;
	v.len = 1;
	put_value(&v, &bound);
	put_value(&v, &bound);

	return v;
}

static struct value ranges(void)
{
	struct value v = {0}, one = range();

	put_number(&v, 1);
	put_value(&v, &one);

	return v;
}

/* One parameter of the type, as the primary described it. */
static struct dark_read read_of(uint32_t *type, uint16_t *format, struct span *value)
{
	return (struct dark_read){.database = (char *)"app",
		.nvalue_types = 1,
		.value_types = type,
		.nparam_formats = 1,
		.param_formats = format,
		.nparams = 1,
		.params = value};
}

static void becomes(uint32_t type, struct value v)
{
	struct span value = span_of(v.bytes, v.len);
	uint16_t binary = 1;
	struct dark_read read = read_of(&type, &binary, &value);
	struct typed_parameters p;

	assert_true(v.len <= sizeof v.bytes);
	assert_true(typed_parameters_init(&p, &there, &read));
	assert_int_equal(p.values[0].len, v.len);
	assert_memory_equal(p.values[0].data, v.then, v.len);
	typed_parameters_release(&p);
}

static void numbers_inside_binary_values_are_translated(void **state)
{
	(void)state;
	becomes(MOODS, moods());
	becomes(SMALL, moods()); /* a domain over the array */
	becomes(PAIR, pair());
	becomes(PAIRS, pairs());
	becomes(SPAN, range());
	becomes(SPANS, ranges());
}

static void a_type_that_is_not_there_becomes_zero(void **state)
{
	struct value v = {0};

	(void)state;
	put_number(&v, 1);
	put(&v, GONE, 0);
	put_text(&v, "x");
	becomes(PAIR, v);
}

static void built_in_elements_and_plain_values_stay(void **state)
{
	struct value v = {0}, mood = {0};

	(void)state;
	put_array(&v, INT4, 1);
	put_number(&v, 4);
	put_number(&v, MOOD);
	becomes(MOODS, v);
	put_number(&mood, MOOD);
	becomes(MOOD, mood);
	becomes(INT4, mood);
}

static void text_values_are_not_touched(void **state)
{
	struct value v = moods();
	struct span value = span_of(v.bytes, v.len);
	uint32_t type = MOODS;
	uint16_t text = 0;
	struct dark_read read = read_of(&type, &text, &value);
	struct typed_parameters p;

	(void)state;
	assert_true(typed_parameters_init(&p, &there, &read));
	assert_ptr_equal(p.values, &value);
	typed_parameters_release(&p);
	read.nparam_formats = 0;
	assert_true(typed_parameters_init(&p, &there, &read));
	assert_ptr_equal(p.values, &value);
	typed_parameters_release(&p);
}

/* Sanitizers watch the bounds; what stands before the fault may be translated already. */
static void broken_values_keep_their_length(void **state)
{
	uint32_t types[] = {MOODS, SMALL, PAIR, PAIRS, SPAN, SPANS};
	const struct value whole[] = {moods(), moods(), pair(), pairs(), range(), ranges()};
	uint16_t binary = 1;

	(void)state;
	for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
		for (size_t n = 0; n < whole[t].len; n++) {
			uint8_t *cut = malloc(n ? n : 1);
			struct span value = span_of(cut, n);
			struct dark_read read = read_of(&types[t], &binary, &value);
			struct typed_parameters p;

			assert_non_null(cut);
			memcpy(cut, whole[t].bytes, n);
			assert_true(typed_parameters_init(&p, &there, &read));
			assert_int_equal(p.values[0].len, n);
			assert_memory_equal(cut, whole[t].bytes, n);
			typed_parameters_release(&p);
			free(cut);
		}
	}
}

static void lying_lengths_and_depths_end_it(void **state)
{
	static const uint32_t lies[] = {3, 0x7fffffff, 0x80000000, UINT32_MAX - 1};

	(void)state;
	for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
		struct value v = {0};

		put_array(&v, MOOD, 1);
		put_number(&v, lies[i]);
		put_number(&v, MOOD);
		becomes(MOODS, v);
		v = (struct value){0};
		put_number(&v, lies[i]); /* dimensions, fields, ranges */
		becomes(MOODS, v);
		becomes(PAIR, v);
		becomes(SPANS, v);
	}
	becomes(OWN_RECURSION, (struct value){.bytes = {1}, .then = {1}, .len = 1});
}

static void the_list_of_a_parse_is_translated(void **state)
{
	uint32_t types[] = {INT4, MOOD, GONE, 0, TEXT};
	struct dark_read read = {
		.database = (char *)"app", .nparam_types = 5, .param_types = types};
	struct typed_parameters p;

	(void)state;
	assert_true(typed_parameters_init(&p, &there, &read));
	assert_int_equal(p.types[0], INT4);
	assert_int_equal(p.types[1], MOOD + THERE);
	assert_int_equal(p.types[2], 0);
	assert_int_equal(p.types[3], 0);
	assert_int_equal(p.types[4], TEXT);
	assert_int_equal(types[1], MOOD);
	typed_parameters_release(&p);
}

static void the_clients_types_serve_where_none_were_described(void **state)
{
	struct value v = moods();
	struct span value = span_of(v.bytes, v.len);
	uint32_t type = MOODS;
	uint16_t binary = 1;
	struct dark_read read = read_of(NULL, &binary, &value);
	struct typed_parameters p;

	(void)state;
	read.nvalue_types = 0;
	read.nparam_types = 1;
	read.param_types = &type;
	assert_true(typed_parameters_init(&p, &there, &read));
	assert_memory_equal(p.values[0].data, v.then, v.len);
	typed_parameters_release(&p);
}

static void the_same_server_gets_what_the_client_sent(void **state)
{
	const struct type_translation none = {0};
	struct value v = moods();
	struct span value = span_of(v.bytes, v.len);
	uint32_t type = MOODS;
	uint16_t binary = 1;
	struct dark_read read = read_of(&type, &binary, &value);
	struct typed_parameters p;

	(void)state;
	read.nparam_types = 1;
	read.param_types = &type;
	for (int i = 0; i < 2; i++) {
		assert_true(typed_parameters_init(&p, i ? &none : NULL, &read));
		assert_ptr_equal(p.types, &type);
		assert_ptr_equal(p.values, &value);
		typed_parameters_release(&p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_inside_binary_values_are_translated),
		cmocka_unit_test(a_type_that_is_not_there_becomes_zero),
		cmocka_unit_test(built_in_elements_and_plain_values_stay),
		cmocka_unit_test(text_values_are_not_touched),
		cmocka_unit_test(broken_values_keep_their_length),
		cmocka_unit_test(lying_lengths_and_depths_end_it),
		cmocka_unit_test(the_list_of_a_parse_is_translated),
		cmocka_unit_test(the_clients_types_serve_where_none_were_described),
		cmocka_unit_test(the_same_server_gets_what_the_client_sent),
	};

	return cmocka_run_group_tests_name("mirror_types", tests, NULL, NULL);
}

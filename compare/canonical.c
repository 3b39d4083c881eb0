#include "compare/canonical.h"

#include "compare/cells.h"
#include <stdlib.h>

enum {
	DEPTH_LIMIT = 8,
	DIMENSIONS_LIMIT = 6,
	FIELDS_LIMIT = 1664,
	FORM_LIMIT = 1 << 28,
	NEAR_LIMIT = 1 << 20,
	SUMMED_COLUMNS = 64,
};

/* What each piece of a form begins with, so that no two kinds look alike. */
enum { PIECE_BYTES = 'V', PIECE_NORMAL = 'N', PIECE_NULL = '_', PIECE_NEAR = '~' };

void form_init(struct form *f)
{
	*f = (struct form){0};
	buffer_init(&f->bytes, FORM_LIMIT);
}

void form_release(struct form *f)
{
	buffer_release(&f->bytes);
	free(f->near);
	f->near = NULL;
	f->nnear = f->near_cap = 0;
}

void form_clear(struct form *f)
{
	buffer_clear(&f->bytes);
	f->nnear = 0;
	f->widened = 0;
	f->failed = false;
}

bool form_failed(const struct form *f)
{
	return f->failed || f->bytes.failed;
}

void form_note(struct form *f, struct near_value near)
{
	if (f->nnear == f->near_cap) {
		size_t wanted = f->near_cap ? f->near_cap * 2 : 16;
		struct near_value *grown =
			wanted > NEAR_LIMIT ? NULL : reallocarray(f->near, wanted, sizeof *grown);

		if (!grown) {
			f->failed = true;
			return;
		}
		f->near = grown;
		f->near_cap = wanted;
	}
	f->near[f->nnear++] = near;
	buffer_add_u8(&f->bytes, PIECE_NEAR);
}

/* ---- types ---- */

static const struct built {
	uint32_t type;
	enum type_build build;
	uint32_t inner;
} built_in[] = {
	/* pg_type.dat, pg_range.dat */
	{143, TYPE_ARRAY, 142}, /* xml */
	{1000, TYPE_ARRAY, 16}, /* bool */
	{1002, TYPE_ARRAY, 18}, /* "char" */
	{1003, TYPE_ARRAY, TYPE_NAME},
	{1005, TYPE_ARRAY, 21}, /* int2 */
	{1007, TYPE_ARRAY, 23}, /* int4 */
	{1009, TYPE_ARRAY, TYPE_TEXT},
	{1015, TYPE_ARRAY, TYPE_VARCHAR},
	{1016, TYPE_ARRAY, 20},	  /* int8 */
	{1182, TYPE_ARRAY, 1082}, /* date */
	{1270, TYPE_ARRAY, TYPE_TIMETZ},
	{1561, TYPE_ARRAY, 1560}, /* bit */
	{1563, TYPE_ARRAY, 1562}, /* varbit */
	{3904, TYPE_RANGE, 23},	  /* int4range */
	{3912, TYPE_RANGE, 1082}, /* daterange */
	{3926, TYPE_RANGE, 20},	  /* int8range */
	{4451, TYPE_MULTIRANGE, 3904},
	{4535, TYPE_MULTIRANGE, 3912},
	{4536, TYPE_MULTIRANGE, 3926},
	{199, TYPE_ARRAY, TYPE_JSON},
	{TYPE_CIDR_ARRAY, TYPE_ARRAY, TYPE_CIDR},
	{TYPE_BYTEA_ARRAY, TYPE_ARRAY, TYPE_BYTEA},
	{TYPE_BPCHAR_ARRAY, TYPE_ARRAY, TYPE_BPCHAR},
	{TYPE_FLOAT4_ARRAY, TYPE_ARRAY, TYPE_FLOAT4},
	{TYPE_FLOAT8_ARRAY, TYPE_ARRAY, TYPE_FLOAT8},
	{TYPE_INET_ARRAY, TYPE_ARRAY, TYPE_INET},
	{1115, TYPE_ARRAY, TYPE_TIMESTAMP},
	{1183, TYPE_ARRAY, TYPE_TIME},
	{1185, TYPE_ARRAY, TYPE_TIMESTAMPTZ},
	{TYPE_INTERVAL_ARRAY, TYPE_ARRAY, TYPE_INTERVAL},
	{TYPE_NUMERIC_ARRAY, TYPE_ARRAY, TYPE_NUMERIC},
	{2951, TYPE_ARRAY, TYPE_UUID},
	{3807, TYPE_ARRAY, TYPE_JSONB},
	{TYPE_NUMRANGE, TYPE_RANGE, TYPE_NUMERIC},
	{3907, TYPE_ARRAY, TYPE_NUMRANGE},
	{TYPE_TSRANGE, TYPE_RANGE, TYPE_TIMESTAMP},
	{3909, TYPE_ARRAY, TYPE_TSRANGE},
	{TYPE_TSTZRANGE, TYPE_RANGE, TYPE_TIMESTAMPTZ},
	{3911, TYPE_ARRAY, TYPE_TSTZRANGE},
	{4532, TYPE_MULTIRANGE, TYPE_NUMRANGE},
	{4533, TYPE_MULTIRANGE, TYPE_TSRANGE},
	{4534, TYPE_MULTIRANGE, TYPE_TSTZRANGE},
	{TYPE_RECORD, TYPE_COMPOSITE, 0},
	{TYPE_RECORD_ARRAY, TYPE_ARRAY, TYPE_RECORD},
};

enum type_build type_build_of(uint32_t type, const struct type_names *names, uint32_t *inner)
{
	*inner = 0;
	for (size_t i = 0; i < sizeof built_in / sizeof *built_in; i++)
		if (built_in[i].type == type) {
			*inner = built_in[i].inner;
			return built_in[i].build;
		}
	if (type < TYPE_FIRST_USER || !names->build)
		return TYPE_SIMPLE;

	return names->build(names->self, type, inner);
}

static bool may_carry_oids(uint32_t type)
{
	return type >= TYPE_FIRST_USER || type == TYPE_RECORD || type == TYPE_RECORD_ARRAY ||
	       type == TYPE_ANYARRAY;
}

bool canonical_needed(const struct result *r)
{
	for (unsigned i = 0; i < r->ncolumns; i++)
		if (r->columns[i].format == 1 && may_carry_oids(r->columns[i].type_oid))
			return true;

	return false;
}

/* Values of this type may hold some that a widening is for. Those of a composite are looked into,
 * whatever its fields are. */
static bool type_widened(
	uint32_t type, uint16_t format, const struct form_rules *rules, unsigned depth)
{
	uint32_t inner;

	switch (type_build_of(type, rules->names, &inner)) {
	case TYPE_ENUM:
	case TYPE_SIMPLE: return value_widened(type, rules->values);
	case TYPE_COMPOSITE: return format == 1 || rules->names->field;
	default: return depth < DEPTH_LIMIT && type_widened(inner, format, rules, depth + 1);
	}
}

static bool any_distance(const struct value_rules *v)
{
	return v->float_tolerance > 0 || v->float_ulp > 0 || v->float_aggregates;
}

bool widening_needed(const struct result *r, const struct form_rules *rules)
{
	for (unsigned i = 0; rules->values && i < r->ncolumns; i++) {
		uint32_t type = r->columns[i].type_oid;
		bool is_float = type == TYPE_FLOAT4 || type == TYPE_FLOAT8;
		bool summed = i < SUMMED_COLUMNS && rules->summed >> i & 1;

		if (is_float && !summed && rules->values->float_tolerance <= 0 &&
			rules->values->float_ulp == 0)
			continue;
		if (is_float ? any_distance(rules->values)
			     : type_widened(type, r->columns[i].format, rules, 0))
			return true;
	}

	return false;
}

/* ---- values ---- */

/* One value on its way into a form. */
struct place {
	struct form *form;
	const struct form_rules *rules;
	uint16_t format;
	bool summed;
	unsigned depth;
};

static bool add_value(struct place at, uint32_t type, struct span v);

static struct place deeper(struct place at)
{
	at.depth++;
	return at;
}

static void add_bytes(struct buffer *b, struct span v)
{
	buffer_add_u8(b, PIECE_BYTES);
	buffer_add_u32(b, (uint32_t)v.len);
	buffer_add_span(b, v);
}

/* False: the type has no known name. */
static bool add_type(struct place at, uint32_t oid)
{
	const struct type_names *names = at.rules->names;
	struct buffer *b = &at.form->bytes;
	const char *name;

	if (oid < TYPE_FIRST_USER) {
		buffer_add_u8(b, 'o');
		buffer_add_u32(b, oid);
		return true;
	}
	name = names->name ? names->name(names->self, oid) : NULL;
	if (!name)
		return false;
	buffer_add_u8(b, 'n');
	buffer_add_cstr(b, name);

	return true;
}

/* ---- binary ---- */

/* array_send: dimensions, flags, element type, (length, lower bound) each, elements. */
static bool binary_array(struct place at, struct span v)
{
	struct reader r = reader_over(v);
	struct buffer *b = &at.form->bytes;
	uint32_t dimensions = read_u32(&r), flags = read_u32(&r), type = read_u32(&r);
	uint64_t elements = dimensions > 0;

	if (r.bad || dimensions > DIMENSIONS_LIMIT || flags > 1)
		return false;
	buffer_add_u8(b, 'A');
	buffer_add_u32(b, dimensions);
	if (!add_type(at, type))
		return false;
	for (uint32_t i = 0; i < dimensions; i++) {
		uint32_t length = read_u32(&r);

		buffer_add_u32(b, length);
		buffer_add_u32(b, read_u32(&r));
		if (length > v.len || (elements *= length) > v.len)
			return false;
	}
	for (uint64_t i = 0; i < elements && !r.bad; i++)
		if (!add_value(deeper(at), type, read_value(&r)))
			return false;

	return reader_done(&r);
}

/* record_send: fields, then type and value of each. */
static bool binary_record(struct place at, struct span v)
{
	struct reader r = reader_over(v);
	uint32_t fields = read_u32(&r);

	if (r.bad || fields > FIELDS_LIMIT)
		return false;
	buffer_add_u8(&at.form->bytes, 'R');
	buffer_add_u32(&at.form->bytes, fields);
	for (uint32_t i = 0; i < fields && !r.bad; i++) {
		uint32_t type = read_u32(&r);

		if (!add_type(at, type) || !add_value(deeper(at), type, read_value(&r)))
			return false;
	}

	return reader_done(&r);
}

/* range_send: flags, then the bounds that there are. multirange_send: a count, then ranges. */
static bool binary_bounds(struct place at, uint32_t inner, struct span v, bool multi)
{
	struct reader r = reader_over(v);

	buffer_add_u8(&at.form->bytes, multi ? 'M' : 'G');
	buffer_add_u32(&at.form->bytes, multi ? read_u32(&r) : read_u8(&r));
	while (!r.bad && reader_left(&r) > 0) {
		struct span bound = read_value(&r);

		if (!bound.data || !add_value(deeper(at), inner, bound))
			return false;
	}
	buffer_add_u8(&at.form->bytes, ';');

	return !r.bad;
}

/* Of a user-defined type of which nothing more is known: what its layout says. */
static bool binary_guess(struct place at, uint32_t type, struct span v)
{
	struct form *f = at.form;
	size_t start = f->bytes.len, near = f->nnear;

	if (type < TYPE_FIRST_USER)
		return false;
	if (binary_array(at, v))
		return true;
	f->bytes.len = start;
	f->nnear = near;

	return v.len > 4 && binary_record(at, v);
}

static bool binary_parts(struct place at, uint32_t type, struct span v)
{
	uint32_t inner;

	if (type == TYPE_ANYARRAY)
		return binary_array(at, v);
	switch (type_build_of(type, at.rules->names, &inner)) {
	case TYPE_ENUM: return false;
	case TYPE_SIMPLE: return binary_guess(at, type, v);
	case TYPE_ARRAY: return binary_array(at, v);
	case TYPE_DOMAIN: return add_value(deeper(at), inner, v);
	case TYPE_COMPOSITE: return binary_record(at, v);
	case TYPE_RANGE: return binary_bounds(at, inner, v, false);
	case TYPE_MULTIRANGE: return binary_bounds(at, inner, v, true);
	}

	return false;
}

/* ---- text ---- */

struct text {
	const uint8_t *at, *end;
};

static bool next_is(const struct text *t, char c)
{
	return t->at < t->end && *t->at == (uint8_t)c;
}

static bool take(struct text *t, char c)
{
	if (!next_is(t, c))
		return false;
	t->at++;

	return true;
}

/* Text between double quotes, with backslashes and doubled quotes resolved. */
static bool take_quoted(struct text *t, struct buffer *out)
{
	while (t->at < t->end) {
		uint8_t c = *t->at++;

		if (c == '"') {
			if (!take(t, '"'))
				return true;
		} else if (c == '\\') {
			if (t->at == t->end)
				return false;
			c = *t->at++;
		}
		buffer_add_u8(out, c);
	}

	return false;
}

/* One element or bound, up to one of the characters of `until`. */
static bool text_element(struct place at, uint32_t type, struct text *t, const char *until)
{
	const uint8_t *start = t->at;
	struct buffer own;
	bool ok;

	if (!take(t, '"')) {
		while (t->at < t->end && *t->at && !strchr(until, *t->at))
			t->at++;
		return add_value(deeper(at), type, span_of(start, (size_t)(t->at - start)));
	}
	buffer_init(&own, FORM_LIMIT);
	ok = take_quoted(t, &own) && !own.failed && add_value(deeper(at), type, buffer_span(&own));
	buffer_release(&own);

	return ok;
}

static bool is_null_word(const struct text *t)
{
	return t->end - t->at > 4 && memcmp(t->at, "NULL", 4) == 0 &&
	       (t->at[4] == ',' || t->at[4] == '}');
}

/* array_out: elements of all dimensions stand in braces. */
static bool text_array_part(struct place at, uint32_t type, struct text *t, unsigned dimension)
{
	if (dimension == DIMENSIONS_LIMIT || !take(t, '{'))
		return false;
	buffer_add_u8(&at.form->bytes, '{');
	if (!next_is(t, '}')) {
		do {
			if (next_is(t, '{')) {
				if (!text_array_part(at, type, t, dimension + 1))
					return false;
			} else if (is_null_word(t)) {
				t->at += 4;
				(void)add_value(deeper(at), type, (struct span){0});
			} else if (!text_element(at, type, t, ",}")) {
				return false;
			}
		} while (take(t, ','));
	}
	buffer_add_u8(&at.form->bytes, '}');

	return take(t, '}');
}

static bool text_array(struct place at, uint32_t type, struct span v)
{
	struct text t = {v.data, v.data + v.len};

	if (next_is(&t, '[')) { /* other lower bounds than 1: [0:1]={...} */
		const uint8_t *bounds = t.at;

		while (t.at < t.end && *t.at != '=')
			t.at++;
		if (!take(&t, '='))
			return false;
		add_bytes(&at.form->bytes, span_of(bounds, (size_t)(t.at - bounds)));
	}

	return text_array_part(at, type, &t, 0) && t.at == t.end;
}

/* range_out: empty, or two bounds, either of which may be left out. */
static bool text_range(struct place at, uint32_t type, struct text *t)
{
	struct buffer *b = &at.form->bytes;
	bool empty = (size_t)(t->end - t->at) >= 5 && memcmp(t->at, "empty", 5) == 0;

	if (empty) {
		t->at += 5;
		buffer_add_u8(b, 'e');
		return true;
	}
	if (!next_is(t, '[') && !next_is(t, '('))
		return false;
	buffer_add_u8(b, *t->at++);
	if (!next_is(t, ',') && !text_element(at, type, t, ","))
		return false;
	buffer_add_u8(b, ',');
	if (!take(t, ',') || t->at == t->end)
		return false;
	if (!next_is(t, ']') && !next_is(t, ')') && !text_element(at, type, t, "])"))
		return false;
	if (!next_is(t, ']') && !next_is(t, ')'))
		return false;
	buffer_add_u8(b, *t->at++);

	return true;
}

static bool text_multirange(struct place at, uint32_t range, struct span v)
{
	struct text t = {v.data, v.data + v.len};
	uint32_t inner;

	if (type_build_of(range, at.rules->names, &inner) != TYPE_RANGE || !take(&t, '{'))
		return false;
	buffer_add_u8(&at.form->bytes, 'M');
	if (!next_is(&t, '}')) {
		do {
			if (!text_range(deeper(at), inner, &t))
				return false;
		} while (take(&t, ','));
	}

	return take(&t, '}') && t.at == t.end;
}

static bool text_one_range(struct place at, uint32_t inner, struct span v)
{
	struct text t = {v.data, v.data + v.len};

	buffer_add_u8(&at.form->bytes, 'G');
	return text_range(at, inner, &t) && t.at == t.end;
}

/* record_out: fields in parentheses, NULL is nothing. As many as the type has. */
static bool text_record(struct place at, uint32_t type, struct span v)
{
	const struct type_names *names = at.rules->names;
	struct text t = {v.data, v.data + v.len};
	unsigned n = 0;
	uint32_t field;

	if (!names->field || !take(&t, '('))
		return false;
	buffer_add_u8(&at.form->bytes, 'R');
	do {
		field = names->field(names->self, type, n++);
		if (field == 0)
			return false;
		if (next_is(&t, ',') || next_is(&t, ')'))
			(void)add_value(deeper(at), field, (struct span){0});
		else if (!text_element(at, field, &t, ",)"))
			return false;
	} while (take(&t, ','));

	return names->field(names->self, type, n) == 0 && take(&t, ')') && t.at == t.end;
}

static bool text_parts(struct place at, uint32_t type, struct span v)
{
	uint32_t inner;

	if (!at.rules->values || !type_widened(type, 0, at.rules, 0))
		return false;
	switch (type_build_of(type, at.rules->names, &inner)) {
	case TYPE_ARRAY: return text_array(at, inner, v);
	case TYPE_DOMAIN: return add_value(deeper(at), inner, v);
	case TYPE_RANGE: return text_one_range(at, inner, v);
	case TYPE_MULTIRANGE: return text_multirange(at, inner, v);
	case TYPE_COMPOSITE: return text_record(at, type, v);
	case TYPE_ENUM:
	case TYPE_SIMPLE: break;
	}

	return false;
}

/* ---- all ---- */

static bool built(struct place at, uint32_t type, struct span v)
{
	if (at.depth >= DEPTH_LIMIT)
		return false;
	if (at.format == 0)
		return text_parts(at, type, v);

	return (may_carry_oids(type) || (at.rules->values && type_widened(type, 1, at.rules, 0))) &&
	       binary_parts(at, type, v);
}

/* Appends something whatever happens; false only to undo it at a level where that helps. */
static bool add_value(struct place at, uint32_t type, struct span v)
{
	struct form *f = at.form;
	size_t start = f->bytes.len, near = f->nnear;
	uint32_t widened = f->widened;

	if (!v.data) {
		buffer_add_u8(&f->bytes, PIECE_NULL);
		return true;
	}
	if (built(at, type, v))
		return true;
	if (!f->bytes.failed)
		f->bytes.len = start;
	f->nnear = near;
	f->widened = widened;
	if (at.rules->values && value_form(f, type, at.format, v, at.rules->values, at.summed))
		return true;
	add_bytes(&f->bytes, v);

	return true;
}

void canonical_cell(struct form *f, const struct result *r, uint16_t column, struct span value,
	const struct form_rules *rules)
{
	bool known = column < r->ncolumns;
	struct place at = {.form = f,
		.rules = rules,
		.format = known ? r->columns[column].format : 0,
		.summed = column < SUMMED_COLUMNS && (rules->summed >> column & 1)};

	(void)add_value(at, known ? r->columns[column].type_oid : 0, value);
}

void canonical_row(struct form *f, const struct result *r, struct span data_row,
	const struct form_rules *rules)
{
	struct reader values;
	uint16_t n;

	if (!parse_data_row(data_row, &n, &values)) {
		buffer_add_span(&f->bytes, data_row);
		return;
	}
	buffer_add_u16(&f->bytes, n);
	for (uint16_t i = 0; i < n; i++)
		canonical_cell(f, r, i, read_value(&values), rules);
}

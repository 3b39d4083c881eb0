/* What the values themselves say about why they differ. */
#include "compare/hints.h"

#include "compare/canonical.h"
#include "compare/cells.h"
#include "compare/diff.h"
#include "compare/json_form.h"
#include "compare/scalars.h"
#include <ctype.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>

enum { HINT_ROWS = 32 }; /* changed rows that are looked at */

/* Errors are hinted at with their group's name besides. */
static const char *const hint_names[] = {
	/* values */
	"numeric_scale", "float_ulp", "time_zone", "timestamp_precision", "interval", "json_text",
	"json_key", "bytea", "uuid", "inet", "padding", "whitespace", "case", "truncated",
	"encoding", "null", "null_vs_empty", "array_element", "range_bound", "record_field",
	"enum_label",
	/* rows */
	"empty", "duplicate", "collation",
	/* columns */
	"name", "count", "type", "typmod", "format", "missing_column", "extra_column",
	"column_order"};

const char *hint_name(size_t i)
{
	return i < sizeof hint_names / sizeof *hint_names ? hint_names[i] : NULL;
}

/* ---- numbers ---- */

static bool float_close(uint32_t type, uint16_t format, struct span a, struct span b)
{
	double limit = type == TYPE_FLOAT4 ? 1e-6 : 1e-14, x, y;

	if (!scalar_double(type, format, a, &x) || !scalar_double(type, format, b, &y))
		return false;
	if (!isfinite(x) || !isfinite(y))
		return false;

	return fabs(x - y) <= limit * fmax(fabs(x), fabs(y));
}

/* ---- text ---- */

static struct span white_trimmed(struct span s)
{
	while (s.len > 0 && isspace(s.data[s.len - 1]))
		s.len--;
	while (s.len > 0 && isspace(s.data[0])) {
		s.data++;
		s.len--;
	}

	return s;
}

/* The next character of UTF-8 text of two bytes at most, as its number; -1: it is no such. */
static int latin1_character(struct span *s)
{
	uint8_t c = s->data[0];

	if (c < 0x80) {
		s->data++;
		s->len--;
		return c;
	}
	if ((c != 0xc2 && c != 0xc3) || s->len < 2 || (s->data[1] & 0xc0) != 0x80)
		return -1;
	c = (uint8_t)((c & 3) << 6 | (s->data[1] & 0x3f));
	s->data += 2;
	s->len -= 2;

	return c;
}

/* Is one the other's bytes, taken for LATIN1 and made UTF-8 once more? */
static bool encoded_twice(struct span once, struct span twice)
{
	size_t i = 0;

	if (once.len >= twice.len)
		return false;
	while (i < once.len && twice.len > 0)
		if (latin1_character(&twice) != once.data[i++])
			return false;

	return i == once.len && twice.len == 0;
}

/* The same but for characters beyond ASCII, in whose place stands a question mark. */
static bool question_marks(struct span from, struct span to)
{
	size_t i = 0, k = 0, replaced = 0;

	while (i < from.len && k < to.len) {
		if (from.data[i] < 0x80) {
			if (from.data[i++] != to.data[k++])
				return false;
			continue;
		}
		if (to.data[k++] != '?')
			return false;
		replaced++;
		for (i++; i < from.len && (from.data[i] & 0xc0) == 0x80; i++)
			;
	}

	return replaced > 0 && i == from.len && k == to.len;
}

static const char *text_hint(struct span a, struct span b)
{
	size_t shorter = a.len < b.len ? a.len : b.len;

	if (span_equal(blanks_trimmed(a), blanks_trimmed(b)))
		return "padding";
	if (span_equal(white_trimmed(a), white_trimmed(b)))
		return "whitespace";
	if (same_but_for_case(a, b))
		return "case";
	if (shorter > 0 && a.len != b.len && memcmp(a.data, b.data, shorter) == 0)
		return "truncated";
	if (encoded_twice(a, b) || encoded_twice(b, a) || question_marks(a, b) ||
		question_marks(b, a))
		return "encoding";

	return "";
}

/* ---- time ---- */

/* A whole number of quarter hours, up to 26 hours: the farthest that two time zones lie apart. */
static bool zone_apart(int64_t a, int64_t b)
{
	const int64_t quarter = 15 * 60 * INT64_C(1000000);
	int64_t apart;

	if (__builtin_sub_overflow(a, b, &apart) || apart == INT64_MIN)
		return false;
	apart = apart < 0 ? -apart : apart;

	return apart > 0 && apart % quarter == 0 && apart <= 26 * 4 * quarter;
}

static bool other_time_zone(uint16_t format, struct span a, struct span b)
{
	int64_t local_a, local_b, at_a, at_b;

	if (format == FORMAT_BINARY)
		return scalar_binary_time(a, &at_a) && scalar_binary_time(b, &at_b) &&
		       zone_apart(at_a, at_b);
	if (!scalar_text_time(a, &local_a, &at_a) || !scalar_text_time(b, &local_b, &at_b))
		return false;

	return at_a == at_b || zone_apart(at_a, at_b);
}

/* One is the other with fewer digits of the second, cut or rounded. */
static bool fewer_digits(int64_t a, int64_t b)
{
	int64_t apart;

	if (__builtin_sub_overflow(a, b, &apart))
		return false;
	for (int64_t unit = 10; unit <= 1000000; unit *= 10)
		if (apart != 0 && apart > -unit && apart < unit && (a % unit == 0 || b % unit == 0))
			return true;

	return false;
}

static bool other_precision(uint16_t format, struct span a, struct span b)
{
	int64_t local_a, local_b, at_a, at_b;

	if (format == FORMAT_BINARY)
		return scalar_binary_time(a, &at_a) && scalar_binary_time(b, &at_b) &&
		       fewer_digits(at_a, at_b);

	return scalar_text_time(a, &local_a, &at_a) && scalar_text_time(b, &local_b, &at_b) &&
	       local_a - at_a == local_b - at_b && fewer_digits(at_a, at_b);
}

static const char *time_hint(uint16_t format, struct span a, struct span b)
{
	if (other_time_zone(format, a, b))
		return "time_zone";

	return other_precision(format, a, b) ? "timestamp_precision" : "";
}

/* ---- json ---- */

/* The keys of an object, sorted, one after the other. False: it is none. */
static bool keys_of(json_t *object, struct buffer *out)
{
	const char *key;
	json_t *value, *sorted;
	char *text;

	if (!json_is_object(object) || !(sorted = json_object()))
		return false;
	json_object_foreach (object, key, value)
		json_object_set_new(sorted, key, json_null());
	text = json_dumps(sorted, JSON_SORT_KEYS | JSON_COMPACT);
	if (text)
		buffer_add_cstr(out, text);
	free(text);
	json_decref(sorted);

	return !out->failed;
}

static bool other_keys(struct span a, struct span b)
{
	json_t *x = json_loadb((const char *)a.data, a.len, JSON_DECODE_ANY, NULL);
	json_t *y = json_loadb((const char *)b.data, b.len, JSON_DECODE_ANY, NULL);
	struct buffer left, right;
	bool other;

	buffer_init(&left, 1 << 22);
	buffer_init(&right, 1 << 22);
	other = keys_of(x, &left) && keys_of(y, &right) &&
		!span_equal(buffer_span(&left), buffer_span(&right));
	buffer_release(&left);
	buffer_release(&right);
	json_decref(x);
	json_decref(y);

	return other;
}

static const char *json_hint(uint32_t type, uint16_t format, struct span a, struct span b)
{
	if (same_json(type, format, a, b))
		return "json_text";
	a = json_text(type, format, a);
	b = json_text(type, format, b);
	if (a.len > JSON_FORM_LIMIT || b.len > JSON_FORM_LIMIT)
		return "";

	return other_keys(a, b) ? "json_key" : "";
}

/* ---- other types ---- */

/* The same value by a widening: its name says what differs. */
static const char *spelling_hint(
	uint32_t type, uint16_t format, struct span a, struct span b, const char *hint)
{
	static const struct value_rules values = {
		.interval = true, .bytea = true, .uuid = true, .inet = true};
	struct form x, y;
	bool same;

	form_init(&x);
	form_init(&y);
	same = value_form(&x, type, format, a, &values, false) &&
	       value_form(&y, type, format, b, &values, false) && !form_failed(&x) &&
	       !form_failed(&y) && span_equal(buffer_span(&x.bytes), buffer_span(&y.bytes));
	form_release(&x);
	form_release(&y);

	return same ? hint : "";
}

const char *cell_hint(uint32_t type, uint16_t format, struct span a, struct span b)
{
	if (!a.data || !b.data)
		return a.data == b.data ? "" : a.len == 0 && b.len == 0 ? "null_vs_empty" : "null";
	switch (type) {
	case TYPE_NUMERIC: return numeric_same_value(format, a, b) ? "numeric_scale" : "";
	case TYPE_FLOAT4:
	case TYPE_FLOAT8: return float_close(type, format, a, b) ? "float_ulp" : "";
	case TYPE_TIMESTAMP:
	case TYPE_TIMESTAMPTZ: return time_hint(format, a, b);
	case TYPE_JSON:
	case TYPE_JSONB: return json_hint(type, format, a, b);
	case TYPE_INTERVAL: return spelling_hint(type, format, a, b, "interval");
	case TYPE_BYTEA: return spelling_hint(type, format, a, b, "bytea");
	case TYPE_UUID: return spelling_hint(type, format, a, b, "uuid");
	case TYPE_INET:
	case TYPE_CIDR: return spelling_hint(type, format, a, b, "inet");
	default: break;
	}
	if (cell_type_is_text(type) || type == 0 || type >= TYPE_FIRST_USER)
		return text_hint(a, b);

	return "";
}

/* Which part of a built value differs. */
static const char *built_hint(const struct type_names *names, uint32_t type)
{
	uint32_t inner;

	switch (type_build_of(type, names, &inner)) {
	case TYPE_ARRAY: return "array_element";
	case TYPE_RANGE:
	case TYPE_MULTIRANGE: return "range_bound";
	case TYPE_COMPOSITE: return "record_field";
	case TYPE_ENUM: return "enum_label";
	case TYPE_DOMAIN:
	case TYPE_SIMPLE: break;
	}

	return "";
}

const char *column_hint(
	const struct hint_sides *sides, uint16_t column, struct span a, struct span b)
{
	const struct result *p = sides->primary;
	bool known = column < p->ncolumns;
	uint32_t type = known ? p->columns[column].type_oid : 0;
	const char *hint;

	if (a.data && b.data) {
		hint = built_hint(&sides->rules->primary_types, type);
		if (*hint)
			return hint;
	}

	return cell_hint(type, known ? p->columns[column].format : 0, a, b);
}

/* ---- rows ---- */

const char *changed_rows_hint(const struct hint_sides *sides, const struct row_difference *d)
{
	const char *hint = NULL;
	unsigned looked = 0;

	for (size_t i = 0; i < d->missing.count && looked < HINT_ROWS; i++) {
		size_t partner = d->missing.row[i].partner;
		struct reader left, right;
		uint16_t n, m;

		if (partner == ROW_ALONE || !parse_data_row(d->missing.row[i].body, &n, &left) ||
			!parse_data_row(d->extra.row[partner].body, &m, &right))
			continue;
		looked++;
		for (uint16_t k = 0; k < n && k < m; k++) {
			struct span a = read_value(&left), b = read_value(&right);
			const char *cell;

			if (cells_alike(sides->primary, sides->candidate, sides->rules, k, a, b))
				continue;
			cell = column_hint(sides, k, a, b);
			if (!*cell)
				return "";
			hint = hint ? hint : cell;
		}
	}

	return hint ? hint : "";
}

static int by_hash(const void *left, const void *right)
{
	const struct row *a = left, *b = right;

	return memcmp(a->hash, b->hash, sizeof a->hash);
}

/* Each of the rows stands in the other set as well, only not as often. Sorts the set. */
static bool all_known(const struct row_set *rows, struct row_set *set)
{
	qsort(set->row, set->count, sizeof *set->row, by_hash);
	for (size_t i = 0; i < rows->count; i++)
		if (!bsearch(&rows->row[i], set->row, set->count, sizeof *set->row, by_hash))
			return false;

	return rows->count > 0;
}

const char *row_count_hint(
	const struct row_difference *d, struct row_set *primary, struct row_set *candidate)
{
	if (primary->count == 0 || candidate->count == 0)
		return "empty";
	if (d->missing.count == 0)
		return all_known(&d->extra, primary) ? "duplicate" : "";
	if (d->extra.count == 0)
		return all_known(&d->missing, candidate) ? "duplicate" : "";

	return "";
}

/* ---- columns ---- */

static bool has_name(const struct result *r, const char *name)
{
	for (unsigned i = 0; i < r->ncolumns; i++)
		if (strcmp(r->columns[i].name, name) == 0)
			return true;

	return false;
}

static bool has_all_names(const struct result *r, const struct result *of)
{
	for (unsigned i = 0; i < of->ncolumns; i++)
		if (!has_name(r, of->columns[i].name))
			return false;

	return true;
}

const char *column_names_hint(const struct result *p, const struct result *c)
{
	bool all_p, all_c;

	if (!p->described || !c->described)
		return p->ncolumns == c->ncolumns ? "name" : "count";
	all_p = has_all_names(c, p);
	all_c = has_all_names(p, c);
	if (p->ncolumns == c->ncolumns)
		return all_p && all_c ? "column_order" : "name";
	if (p->ncolumns > c->ncolumns)
		return all_c ? "missing_column" : "count";

	return all_p ? "extra_column" : "count";
}

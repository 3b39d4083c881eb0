#define _GNU_SOURCE /* qsort_r */
#include "compare/json_form.h"

#include "protocol/reader.h"
#include <stdlib.h>

enum { EXPONENT_DIGITS = 9 };

struct parser {
	const uint8_t *at, *end;
	struct buffer *out;
	unsigned depth;
};

/* A member of an object: where its key's and its value's forms stand in `out`. */
struct member {
	size_t key, value, end;
};
struct members {
	struct member *at; /* owned */
	size_t count, cap;
};

static bool value(struct parser *p);

static void skip_blanks(struct parser *p)
{
	while (p->at < p->end &&
		(*p->at == ' ' || *p->at == '\t' || *p->at == '\n' || *p->at == '\r'))
		p->at++;
}

static bool take(struct parser *p, char c)
{
	if (p->at == p->end || *p->at != (uint8_t)c)
		return false;
	p->at++;

	return true;
}

static bool take_word(struct parser *p, const char *word, char form)
{
	size_t n = strlen(word);

	if ((size_t)(p->end - p->at) < n || memcmp(p->at, word, n) != 0)
		return false;
	p->at += n;
	buffer_add_u8(p->out, (uint8_t)form);

	return true;
}

/* ---- strings ---- */

static bool hex4(struct parser *p, uint32_t *out)
{
	*out = 0;
	for (int i = 0; i < 4; i++, p->at++) {
		uint8_t c = p->at < p->end ? *p->at : 0;
		uint8_t low = c | 0x20;

		if (c >= '0' && c <= '9')
			*out = *out << 4 | (uint32_t)(c - '0');
		else if (low >= 'a' && low <= 'f')
			*out = *out << 4 | (uint32_t)(low - 'a' + 10);
		else
			return false;
	}

	return true;
}

static void add_utf8(struct buffer *b, uint32_t c)
{
	if (c < 0x80) {
		buffer_add_u8(b, (uint8_t)c);
	} else if (c < 0x800) {
		buffer_add_u8(b, (uint8_t)(0xc0 | c >> 6));
		buffer_add_u8(b, (uint8_t)(0x80 | (c & 0x3f)));
	} else {
		if (c < 0x10000) {
			buffer_add_u8(b, (uint8_t)(0xe0 | c >> 12));
		} else {
			buffer_add_u8(b, (uint8_t)(0xf0 | c >> 18));
			buffer_add_u8(b, (uint8_t)(0x80 | (c >> 12 & 0x3f)));
		}
		buffer_add_u8(b, (uint8_t)(0x80 | (c >> 6 & 0x3f)));
		buffer_add_u8(b, (uint8_t)(0x80 | (c & 0x3f)));
	}
}

/* Behind \u. A half of a surrogate pair alone is no character. */
static bool unicode_escape(struct parser *p)
{
	uint32_t c, low;

	if (!hex4(p, &c) || (c & 0xfc00) == 0xdc00)
		return false;
	if ((c & 0xfc00) == 0xd800) {
		if (!take(p, '\\') || !take(p, 'u') || !hex4(p, &low) || (low & 0xfc00) != 0xdc00)
			return false;
		c = 0x10000 + ((c & 0x3ff) << 10 | (low & 0x3ff));
	}
	add_utf8(p->out, c);

	return true;
}

static bool escape(struct parser *p)
{
	static const char letters[] = "\"\\/bfnrt", meaning[] = "\"\\/\b\f\n\r\t";
	uint8_t c = p->at < p->end ? *p->at++ : 0;
	const char *letter = c ? strchr(letters, c) : NULL;

	if (c == 'u')
		return unicode_escape(p);
	if (!letter)
		return false;
	buffer_add_u8(p->out, (uint8_t)meaning[letter - letters]);

	return true;
}

/* Its bytes between a mark and a zero; with a zero inside (which jsonb does not take) it has no
 * form. */
static bool string(struct parser *p)
{
	if (!take(p, '"'))
		return false;
	buffer_add_u8(p->out, 's');
	while (p->at < p->end && *p->at != '"') {
		size_t before = p->out->len;
		uint8_t c = *p->at++;

		if (c == '\\') {
			if (!escape(p) || p->out->failed || p->out->data[before] == 0)
				return false;
		} else if (c < 0x20) {
			return false;
		} else {
			buffer_add_u8(p->out, c);
		}
	}
	buffer_add_u8(p->out, 0);

	return take(p, '"');
}

/* ---- numbers ---- */

static bool digits(struct parser *p, struct span *out)
{
	const uint8_t *start = p->at;

	while (p->at < p->end && *p->at >= '0' && *p->at <= '9')
		p->at++;
	*out = span_of(start, (size_t)(p->at - start));

	return out->len > 0;
}

static bool exponent(struct parser *p, int64_t *out)
{
	bool negative;
	struct span d;

	*out = 0;
	if (!take(p, 'e') && !take(p, 'E'))
		return true;
	negative = take(p, '-');
	if (!negative)
		take(p, '+');
	if (!digits(p, &d) || d.len > EXPONENT_DIGITS)
		return false;
	for (size_t i = 0; i < d.len; i++)
		*out = *out * 10 + (d.data[i] - '0');
	*out = negative ? -*out : *out;

	return true;
}

/* 0.digits times ten to an exponent, digits without zeros at either end. */
static void add_decimal(
	struct parser *p, bool negative, struct span whole, struct span fraction, int64_t exp)
{
	size_t start, end;
	struct buffer *b = p->out;

	buffer_add_u8(b, negative ? '-' : '+');
	start = b->len;
	buffer_add_span(b, whole);
	buffer_add_span(b, fraction);
	if (b->failed)
		return;
	for (end = b->len; end > start && b->data[end - 1] == '0'; end--)
		;
	b->len = end;
	for (end = start; end < b->len && b->data[end] == '0'; end++)
		;
	if (end == b->len) { /* zero has no sign */
		b->len = start - 1;
		buffer_add_u8(b, '0');
		return;
	}
	memmove(b->data + start, b->data + end, b->len - end);
	b->len -= end - start;
	buffer_printf(b, "e%lld", (long long)(exp + (int64_t)whole.len - (int64_t)(end - start)));
}

static bool number(struct parser *p)
{
	struct span whole, fraction = {(const uint8_t *)"", 0};
	bool negative = take(p, '-');
	int64_t exp;

	if (!digits(p, &whole) || (whole.len > 1 && whole.data[0] == '0'))
		return false;
	if (take(p, '.') && !digits(p, &fraction))
		return false;
	if (!exponent(p, &exp))
		return false;
	add_decimal(p, negative, whole, fraction, exp);
	buffer_add_u8(p->out, 0);

	return true;
}

/* ---- arrays and objects ---- */

static bool array(struct parser *p)
{
	buffer_add_u8(p->out, '[');
	skip_blanks(p);
	if (!take(p, ']')) {
		do {
			if (!value(p))
				return false;
		} while (take(p, ','));
		if (!take(p, ']'))
			return false;
	}
	buffer_add_u8(p->out, ']');

	return true;
}

static bool add_member(struct members *m, struct member one)
{
	if (m->count == m->cap) {
		size_t wanted = m->cap ? m->cap * 2 : 16;
		struct member *grown = reallocarray(m->at, wanted, sizeof *grown);

		if (!grown)
			return false;
		m->at = grown;
		m->cap = wanted;
	}
	m->at[m->count++] = one;

	return true;
}

static bool read_members(struct parser *p, struct members *m)
{
	skip_blanks(p);
	if (take(p, '}'))
		return true;
	do {
		struct member one = {.key = p->out->len};

		skip_blanks(p);
		if (!string(p))
			return false;
		skip_blanks(p);
		one.value = p->out->len;
		if (!take(p, ':') || !value(p))
			return false;
		one.end = p->out->len;
		if (!add_member(m, one))
			return false;
	} while (take(p, ','));

	return take(p, '}');
}

static int compare_keys(const struct member *a, const struct member *b, const uint8_t *data)
{
	size_t n = a->value - a->key, m = b->value - b->key;
	int order = memcmp(data + a->key, data + b->key, n < m ? n : m);

	return order ? order : (n > m) - (n < m);
}

static int by_key(const void *left, const void *right, void *data)
{
	const struct member *a = left, *b = right;
	int order = compare_keys(a, b, data);

	return order ? order : (a->key > b->key) - (a->key < b->key);
}

/* Puts the members in the order of their keys; of those with the same key only the last stays. */
static bool sort_members(struct buffer *out, size_t start, struct members *m)
{
	size_t bytes = out->len - start, at = start;
	uint8_t *copy;

	if (m->count == 0 || out->failed)
		return !out->failed;
	copy = malloc(bytes);
	if (!copy)
		return false;
	memcpy(copy, out->data + start, bytes);
	qsort_r(m->at, m->count, sizeof *m->at, by_key, out->data);
	for (size_t i = 0; i < m->count; i++) { /* positions from here on are the copy's */
		m->at[i].key -= start;
		m->at[i].value -= start;
		m->at[i].end -= start;
	}
	for (size_t i = 0; i < m->count; i++) {
		const struct member *one = &m->at[i];

		if (i + 1 < m->count && compare_keys(one, one + 1, copy) == 0)
			continue;
		memcpy(out->data + at, copy + one->key, one->end - one->key);
		at += one->end - one->key;
	}
	out->len = at;
	free(copy);

	return true;
}

static bool object(struct parser *p)
{
	struct members m = {0};
	size_t start;
	bool ok;

	buffer_add_u8(p->out, '{');
	start = p->out->len;
	ok = read_members(p, &m) && sort_members(p->out, start, &m);
	free(m.at);
	buffer_add_u8(p->out, '}');

	return ok;
}

static bool nested(struct parser *p, bool (*part)(struct parser *p))
{
	bool ok;

	if (p->depth == JSON_FORM_DEPTH)
		return false;
	p->at++;
	p->depth++;
	ok = part(p);
	p->depth--;

	return ok;
}

static bool scalar(struct parser *p)
{
	switch (*p->at) {
	case '"': return string(p);
	case 't': return take_word(p, "true", 't');
	case 'f': return take_word(p, "false", 'f');
	case 'n': return take_word(p, "null", 'n');
	default: return number(p);
	}
}

/* Blanks on both sides are taken with it. */
static bool value(struct parser *p)
{
	bool ok;

	skip_blanks(p);
	if (p->at == p->end)
		return false;
	if (*p->at == '[')
		ok = nested(p, array);
	else if (*p->at == '{')
		ok = nested(p, object);
	else
		ok = scalar(p);
	skip_blanks(p);

	return ok && !p->out->failed;
}

bool json_form(struct buffer *out, struct span text)
{
	struct parser p = {.at = text.data, .end = text.data + text.len, .out = out};
	size_t start = out->len;

	if (out->failed || !text.data || text.len > JSON_FORM_LIMIT)
		return false;
	if (value(&p) && p.at == p.end)
		return true;
	out->len = start;
	out->failed = false;

	return false;
}

bool json_same_value(struct span a, struct span b)
{
	struct buffer x, y;
	bool same;

	buffer_init(&x, 8 * (size_t)JSON_FORM_LIMIT);
	buffer_init(&y, 8 * (size_t)JSON_FORM_LIMIT);
	same = json_form(&x, a) && json_form(&y, b) && span_equal(buffer_span(&x), buffer_span(&y));
	buffer_release(&x);
	buffer_release(&y);

	return same;
}

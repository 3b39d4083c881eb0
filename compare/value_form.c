/* Normal forms of values of built-in types, as the widenings of values.h ask for them. */
#include "compare/canonical.h"

#include "compare/cells.h"
#include "compare/json_form.h"
#include "compare/scalars.h"
#include <ctype.h>
#include <math.h>
#include <stdio.h>

enum { TIME_LIMIT = 64, UUID_DIGITS = 32 };

static bool floats_near(const struct value_rules *v, bool summed)
{
	return v->float_tolerance > 0 || v->float_ulp > 0 || (summed && v->float_aggregates);
}

bool value_widened(uint32_t type, const struct value_rules *values)
{
	if (!values)
		return false;
	switch (type) {
	case TYPE_FLOAT4:
	case TYPE_FLOAT8: return floats_near(values, true);
	case TYPE_NUMERIC: return values->numeric_scale;
	case TYPE_TIME:
	case TYPE_TIMESTAMP: return values->time_unit_us > 1;
	case TYPE_TIMESTAMPTZ: return values->time_unit_us > 1 || values->timestamptz;
	case TYPE_INTERVAL: return values->interval;
	case TYPE_JSON:
	case TYPE_JSONB: return values->json;
	case TYPE_BPCHAR: return values->bpchar;
	case TYPE_BYTEA: return values->bytea;
	case TYPE_UUID: return values->uuid;
	case TYPE_INET:
	case TYPE_CIDR: return values->inet;
	default: return false;
	}
}

static void add_normal(struct form *f, enum widening w, struct span raw, struct span normal)
{
	buffer_add_u8(&f->bytes, 'N');
	buffer_add_u32(&f->bytes, (uint32_t)normal.len);
	buffer_add_span(&f->bytes, normal);
	if (!span_equal(raw, normal))
		f->widened |= WIDENING_BIT(w);
}

/* ---- numbers ---- */

static bool form_float(struct form *f, uint32_t type, uint16_t format, struct span v,
	const struct value_rules *values, bool summed)
{
	struct near_value near = {.summed = summed};

	near.kind = type == TYPE_FLOAT4 ? NEAR_FLOAT4 : NEAR_FLOAT8;
	if (!floats_near(values, summed) || !scalar_double(type, format, v, &near.real) ||
		!isfinite(near.real))
		return false;
	form_note(f, near);

	return true;
}

/* Text: no zeros at the end of a fraction. Binary: the same without the display scale, and zero
 * without a weight. */
static bool form_numeric(struct form *f, uint16_t format, struct span v)
{
	struct binary_numeric n;

	if (format == FORMAT_TEXT) {
		add_normal(f, WIDENING_NUMERIC_SCALE, v, decimal_trimmed(v));
		return true;
	}
	if (!scalar_numeric(v, &n))
		return false;
	buffer_add_u8(&f->bytes, 'N');
	buffer_add_u16(&f->bytes, n.sign);
	buffer_add_u16(&f->bytes, n.ndigits ? (uint16_t)n.weight : 0);
	buffer_add_u16(&f->bytes, n.ndigits);
	buffer_add_span(&f->bytes, n.digits);
	f->widened |= WIDENING_BIT(WIDENING_NUMERIC_SCALE);

	return true;
}

/* ---- time ---- */

static void add_time(struct form *f, int64_t us, const struct value_rules *values)
{
	if (values->time_unit_us > 1) {
		form_note(f, (struct near_value){.kind = NEAR_TIME, .time_us = us});
		return;
	}
	buffer_add_u8(&f->bytes, 'N');
	buffer_add(&f->bytes, &us, sizeof us);
}

/* The offset as it is written, from its sign on. */
static struct span offset_text(struct span v)
{
	size_t at = v.len;

	while (at > 0 && (isdigit(v.data[at - 1]) || v.data[at - 1] == ':'))
		at--;

	return at > 0 ? span_of(v.data + at - 1, v.len - at + 1) : v;
}

static bool form_timestamp(struct form *f, uint32_t type, uint16_t format, struct span v,
	const struct value_rules *values)
{
	int64_t local, instant;

	if (format ==
		FORMAT_BINARY) { /* an instant already; infinities are the ends of the range */
		if (values->time_unit_us <= 1 || !scalar_binary_time(v, &instant) ||
			instant == INT64_MAX || instant == INT64_MIN)
			return false;
		add_time(f, instant, values);
		return true;
	}
	if (!scalar_text_time(v, &local, &instant))
		return false;
	if (type == TYPE_TIMESTAMPTZ && values->timestamptz) {
		f->widened |= WIDENING_BIT(WIDENING_TIMESTAMPTZ);
		add_time(f, instant, values);
		return true;
	}
	if (values->time_unit_us <= 1)
		return false;
	if (type == TYPE_TIMESTAMPTZ) {
		buffer_add_u8(&f->bytes, 'z');
		buffer_add_span_z(&f->bytes, offset_text(v));
	}
	add_time(f, local, values);

	return true;
}

/* HH:MM:SS and a fraction. */
static bool read_clock(const char **at, int64_t *us)
{
	int hours, minutes, seconds, used = 0;
	int64_t unit = 100000;

	if (sscanf(*at, "%9d:%2d:%2d%n", &hours, &minutes, &seconds, &used) != 3 || hours < 0)
		return false;
	*at += used;
	*us = (((int64_t)hours * 60 + minutes) * 60 + seconds) * 1000000;
	if (**at == '.')
		for (++*at; **at >= '0' && **at <= '9'; ++*at, unit /= 10)
			*us += (**at - '0') * unit;

	return true;
}

static bool copy_text(struct span v, char text[TIME_LIMIT])
{
	if (v.len >= TIME_LIMIT || memchr(v.data, '\0', v.len))
		return false;
	memcpy(text, v.data, v.len);
	text[v.len] = '\0';

	return true;
}

static bool form_time(
	struct form *f, uint16_t format, struct span v, const struct value_rules *values)
{
	char text[TIME_LIMIT];
	const char *at = text;
	int64_t us;

	if (format == FORMAT_BINARY ? !scalar_binary_time(v, &us)
				    : !copy_text(v, text) || !read_clock(&at, &us) || *at)
		return false;
	add_time(f, us, values);

	return true;
}

struct interval {
	int64_t us, days, months;
};

/* IntervalStyle postgres: "1 year 2 mons -3 days +04:05:06.7". */
static bool text_interval(struct span v, struct interval *out)
{
	char text[TIME_LIMIT], unit[8];
	const char *at = text;
	int number, used;

	*out = (struct interval){0};
	if (!copy_text(v, text))
		return false;
	for (;;) {
		used = 0;
		if (sscanf(at, "%9d %7[a-z]%n", &number, unit, &used) != 2 || used == 0)
			break;
		at += used;
		if (strncmp(unit, "year", 4) == 0)
			out->months += (int64_t)number * 12;
		else if (strncmp(unit, "mon", 3) == 0)
			out->months += number;
		else if (strncmp(unit, "day", 3) == 0)
			out->days += number;
		else
			return false;
		if (*at == ' ')
			at++;
		if (*at == '\0')
			return true;
	}
	used = *at == '-' ? -1 : 1;
	if (*at == '-' || *at == '+')
		at++;
	if (!isdigit((unsigned char)*at) || !read_clock(&at, &out->us))
		return false;
	out->us *= used;

	return *at == '\0';
}

/* interval_send: microseconds, days, months. */
static bool binary_interval(struct span v, struct interval *out)
{
	struct reader r = reader_over(v);

	if (!scalar_binary_time(read_bytes(&r, 8), &out->us))
		return false;
	out->days = read_i32(&r);
	out->months = read_i32(&r);

	return reader_done(&r);
}

/* As interval's own equality: months of 30 days of 24 hours (interval_cmp_value). The infinite ones
 * of 17 are the ends of all three ranges, and equal to themselves only. */
static bool form_interval(struct form *f, uint16_t format, struct span v)
{
	struct interval i;
	__int128 us;

	if (format == FORMAT_TEXT ? !text_interval(v, &i) : !binary_interval(v, &i))
		return false;
	us = (__int128)(i.months * 30 + i.days) * 86400000000 + i.us;
	buffer_add_u8(&f->bytes, 'N');
	buffer_add(&f->bytes, &us, sizeof us);
	f->widened |= WIDENING_BIT(WIDENING_INTERVAL);

	return true;
}

/* ---- text ---- */

static bool form_json(struct form *f, uint32_t type, uint16_t format, struct span v)
{
	if (type == TYPE_JSONB && format == FORMAT_BINARY) {
		if (v.len < 1 || v.data[0] != 1) /* jsonb_send: the version, then text */
			return false;
		v = span_of(v.data + 1, v.len - 1);
	}
	if (!json_form(&f->bytes, v))
		return false;
	f->widened |= WIDENING_BIT(WIDENING_JSON);

	return true;
}

static int hex_digit(uint8_t c)
{
	uint8_t low = c | 0x20;

	if (c >= '0' && c <= '9')
		return c - '0';

	return low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
}

static bool bytes_of_hex(struct buffer *out, struct span v)
{
	for (size_t i = 2; i < v.len; i += 2) {
		int high = hex_digit(v.data[i]),
		    low = i + 1 < v.len ? hex_digit(v.data[i + 1]) : -1;

		if (high < 0 || low < 0)
			return false;
		buffer_add_u8(out, (uint8_t)(high << 4 | low));
	}

	return true;
}

static bool is_octal(uint8_t c)
{
	return c >= '0' && c <= '7';
}

static bool bytes_of_escapes(struct buffer *out, struct span v)
{
	for (size_t i = 0; i < v.len; i++) {
		const uint8_t *c = v.data + i;
		size_t left = v.len - i;

		if (*c != '\\') {
			buffer_add_u8(out, *c);
		} else if (left >= 2 && c[1] == '\\') {
			buffer_add_u8(out, '\\');
			i++;
		} else if (left >= 4 && c[1] <= '3' && is_octal(c[1]) && is_octal(c[2]) &&
			   is_octal(c[3])) {
			buffer_add_u8(out,
				(uint8_t)((c[1] - '0') << 6 | (c[2] - '0') << 3 | (c[3] - '0')));
			i += 3;
		} else {
			return false;
		}
	}

	return true;
}

/* Text only: a binary value is its bytes. */
static bool form_bytea(struct form *f, uint16_t format, struct span v)
{
	bool hex = v.len >= 2 && v.data[0] == '\\' && v.data[1] == 'x';
	size_t start = f->bytes.len;

	if (format != FORMAT_TEXT)
		return false;
	buffer_add_u8(&f->bytes, 'N');
	buffer_add_u32(&f->bytes, 0);
	if (!(hex ? bytes_of_hex(&f->bytes, v) : bytes_of_escapes(&f->bytes, v)) ||
		f->bytes.failed) {
		f->bytes.len = f->bytes.failed ? f->bytes.len : start;
		return false;
	}
	for (int i = 0; i < 4; i++) /* how many they are, where the zeros stand */
		f->bytes.data[start + 1 + (size_t)i] =
			(uint8_t)((f->bytes.len - start - 5) >> (24 - 8 * i));
	f->widened |= hex ? 0 : WIDENING_BIT(WIDENING_BYTEA);

	return true;
}

/* Hexadecimal digits, whatever braces, hyphens and capitals there are (uuid_in). */
static bool form_uuid(struct form *f, uint16_t format, struct span v)
{
	char digits[UUID_DIGITS], own[UUID_DIGITS + 5];
	size_t n = 0;

	if (format != FORMAT_TEXT)
		return false;
	for (size_t i = 0; i < v.len; i++) {
		if (v.data[i] == '-' || v.data[i] == '{' || v.data[i] == '}')
			continue;
		if (n == UUID_DIGITS || hex_digit(v.data[i]) < 0)
			return false;
		digits[n++] = (char)tolower(v.data[i]);
	}
	if (n != UUID_DIGITS)
		return false;
	snprintf(own, sizeof own, "%.8s-%.4s-%.4s-%.4s-%.12s", digits, digits + 8, digits + 12,
		digits + 16, digits + 20);
	add_normal(f, WIDENING_UUID, v, span_cstr(own));

	return true;
}

static bool ends_with(struct span v, const char *text)
{
	size_t n = strlen(text);

	return v.len > n && memcmp(v.data + v.len - n, text, n) == 0;
}

/* Without the mask of a single address, in small letters. */
static bool form_inet(struct form *f, uint16_t format, struct span v)
{
	bool six = memchr(v.data, ':', v.len) != NULL;
	struct span address = v;
	char own[TIME_LIMIT];

	if (format != FORMAT_TEXT || v.len >= sizeof own)
		return false;
	if (ends_with(v, six ? "/128" : "/32"))
		address.len -= six ? 4 : 3;
	for (size_t i = 0; i < address.len; i++)
		own[i] = (char)tolower(address.data[i]);
	add_normal(f, WIDENING_INET, v, span_of(own, address.len));

	return true;
}

bool value_form(struct form *f, uint32_t type, uint16_t format, struct span v,
	const struct value_rules *values, bool summed)
{
	if (!value_widened(type, values))
		return false;
	switch (type) {
	case TYPE_FLOAT4:
	case TYPE_FLOAT8: return form_float(f, type, format, v, values, summed);
	case TYPE_NUMERIC: return form_numeric(f, format, v);
	case TYPE_TIME: return form_time(f, format, v, values);
	case TYPE_TIMESTAMP:
	case TYPE_TIMESTAMPTZ: return form_timestamp(f, type, format, v, values);
	case TYPE_INTERVAL: return form_interval(f, format, v);
	case TYPE_JSON:
	case TYPE_JSONB: return form_json(f, type, format, v);
	case TYPE_BPCHAR: add_normal(f, WIDENING_BPCHAR, v, blanks_trimmed(v)); return true;
	case TYPE_BYTEA: return form_bytea(f, format, v);
	case TYPE_UUID: return form_uuid(f, format, v);
	case TYPE_INET:
	case TYPE_CIDR: return form_inet(f, format, v);
	default: return false;
	}
}

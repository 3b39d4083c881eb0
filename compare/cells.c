#include "compare/cells.h"

#include "protocol/reader.h"
#include <ctype.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { FORMAT_TEXT = 0, FORMAT_BINARY = 1, JSON_LIMIT = 1 << 16, NUMBER_LIMIT = 64 };

bool cell_type_is_text(uint32_t type)
{
	return type == TYPE_TEXT || type == TYPE_VARCHAR || type == TYPE_BPCHAR ||
	       type == TYPE_NAME;
}

/* ---- numbers ---- */

/* Leaves what decides a decimal's value: no zeros at the end of a fraction. */
static struct span without_trailing_zeros(struct span s)
{
	if (!memchr(s.data, '.', s.len) || memchr(s.data, 'e', s.len))
		return s;
	while (s.len > 0 && s.data[s.len - 1] == '0')
		s.len--;
	if (s.len > 0 && s.data[s.len - 1] == '.')
		s.len--;

	return s;
}

struct binary_numeric {
	uint16_t ndigits, sign;
	int16_t weight;
	struct span digits;
};

/* numeric_send: ndigits, weight, sign, dscale, base-10000 digits. */
static bool read_numeric(struct span s, struct binary_numeric *out)
{
	struct reader r = reader_over(s);

	out->ndigits = read_u16(&r);
	out->weight = (int16_t)read_u16(&r);
	out->sign = read_u16(&r);
	read_u16(&r);
	out->digits = read_bytes(&r, (size_t)out->ndigits * 2);
	if (!reader_done(&r))
		return false;
	while (out->ndigits > 0 && out->digits.data[out->digits.len - 1] == 0 &&
		out->digits.data[out->digits.len - 2] == 0) {
		out->ndigits--;
		out->digits.len -= 2;
	}

	return true;
}

static bool numeric_same_value(uint16_t format, struct span a, struct span b)
{
	struct binary_numeric m, n;

	if (format == FORMAT_TEXT)
		return span_equal(without_trailing_zeros(a), without_trailing_zeros(b));
	if (!read_numeric(a, &m) || !read_numeric(b, &n))
		return false;
	if (m.sign != n.sign || m.ndigits != n.ndigits)
		return false;

	return m.ndigits == 0 || (m.weight == n.weight && span_equal(m.digits, n.digits));
}

static bool text_double(struct span s, double *out)
{
	char text[NUMBER_LIMIT], *end;

	if (s.len == 0 || s.len >= sizeof text)
		return false;
	memcpy(text, s.data, s.len);
	text[s.len] = '\0';
	*out = strtod(text, &end);

	return *end == '\0' && end != text;
}

static bool cell_double(uint32_t type, uint16_t format, struct span s, double *out)
{
	struct reader r = reader_over(s);
	uint64_t bits;
	uint32_t low;
	float single;

	if (format == FORMAT_TEXT)
		return text_double(s, out);
	bits = read_u32(&r);
	if (type == TYPE_FLOAT4) {
		low = (uint32_t)bits;
		memcpy(&single, &low, sizeof single);
		*out = (double)single;
		return reader_done(&r);
	}
	bits = bits << 32 | read_u32(&r);
	memcpy(out, &bits, sizeof bits);

	return reader_done(&r);
}

static bool float_close(uint32_t type, uint16_t format, struct span a, struct span b)
{
	double limit = type == TYPE_FLOAT4 ? 1e-6 : 1e-14, x, y;

	if (!cell_double(type, format, a, &x) || !cell_double(type, format, b, &y))
		return false;
	if (!isfinite(x) || !isfinite(y))
		return false;

	return fabs(x - y) <= limit * fmax(fabs(x), fabs(y));
}

static bool float_same_value(uint32_t type, uint16_t format, struct span a, struct span b)
{
	double x, y;

	if (!cell_double(type, format, a, &x) || !cell_double(type, format, b, &y))
		return false;

	return !(x < y) && !(x > y) && isnan(x) == isnan(y); /* -0 and 0 are the same */
}

/* ---- text ---- */

static struct span without_trailing_blanks(struct span s)
{
	while (s.len > 0 && s.data[s.len - 1] == ' ')
		s.len--;

	return s;
}

static bool same_but_for_case(struct span a, struct span b)
{
	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++)
		if (tolower(a.data[i]) != tolower(b.data[i]))
			return false;

	return true;
}

static const char *text_hint(struct span a, struct span b)
{
	size_t shorter = a.len < b.len ? a.len : b.len;

	if (span_equal(without_trailing_blanks(a), without_trailing_blanks(b)))
		return "padding";
	if (same_but_for_case(a, b))
		return "case";
	if (shorter > 0 && a.len != b.len && memcmp(a.data, b.data, shorter) == 0)
		return "truncated";

	return "";
}

/* ---- time ---- */

static int64_t days_from_civil(int64_t y, int64_t m, int64_t d)
{
	int64_t era, yoe, doy;

	y -= m <= 2;
	era = (y >= 0 ? y : y - 399) / 400;
	yoe = y - era * 400;
	doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;

	return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

static const char *text_offset(const char *at, int64_t *seconds)
{
	int hours = 0, minutes = 0, used = 0, sign = *at == '-' ? -1 : 1;

	*seconds = 0;
	if (*at != '+' && *at != '-')
		return at;
	at++;
	if (sscanf(at, "%2d%n", &hours, &used) != 1)
		return NULL;
	at += used;
	if (*at == ':' && sscanf(at, ":%2d%n", &minutes, &used) == 1)
		at += used;
	*seconds = sign * (hours * 3600 + minutes * 60);

	return at;
}

/* ISO style only: the local time as written and the instant, both in microseconds. */
static bool text_time(struct span s, int64_t *local, int64_t *instant)
{
	int y, mo, d, h, mi, se, used = 0;
	int64_t offset, unit = 100000, micros = 0;
	char text[NUMBER_LIMIT];
	const char *at;

	if (s.len >= sizeof text || memchr(s.data, '\0', s.len))
		return false;
	memcpy(text, s.data, s.len);
	text[s.len] = '\0';
	if (sscanf(text, "%6d-%2d-%2d %2d:%2d:%2d%n", &y, &mo, &d, &h, &mi, &se, &used) != 6)
		return false;
	at = text + used;
	if (*at == '.')
		for (at++; *at >= '0' && *at <= '9'; at++, unit /= 10)
			micros += (*at - '0') * unit;
	at = text_offset(at, &offset);
	if (!at || *at != '\0')
		return false;
	*local = ((days_from_civil(y, mo, d) * 24 + h) * 60 + mi) * 60 + se;
	*local = *local * 1000000 + micros;
	*instant = *local - offset * 1000000;

	return true;
}

static bool binary_time(struct span s, int64_t *out)
{
	struct reader r = reader_over(s);
	uint64_t high = read_u32(&r);

	*out = (int64_t)(high << 32 | read_u32(&r));
	return reader_done(&r);
}

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
		return binary_time(a, &at_a) && binary_time(b, &at_b) && zone_apart(at_a, at_b);
	if (!text_time(a, &local_a, &at_a) || !text_time(b, &local_b, &at_b))
		return false;

	return at_a == at_b || zone_apart(at_a, at_b);
}

/* ---- json ---- */

static json_t *parse_json(uint32_t type, uint16_t format, struct span s)
{
	if (type == TYPE_JSONB && format == FORMAT_BINARY && s.len > 0)
		s = span_of(s.data + 1, s.len - 1); /* jsonb_send: a version byte first */
	if (s.len > JSON_LIMIT)
		return NULL;

	return json_loadb((const char *)s.data, s.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
}

static bool same_json(uint32_t type, uint16_t format, struct span a, struct span b)
{
	json_t *x = parse_json(type, format, a), *y = parse_json(type, format, b);
	bool same = x && y && json_equal(x, y);

	json_decref(x);
	json_decref(y);

	return same;
}

const char *cell_hint(uint32_t type, uint16_t format, struct span a, struct span b)
{
	if (!a.data || !b.data)
		return (a.data != b.data) && a.len == 0 && b.len == 0 ? "null_vs_empty" : "";
	switch (type) {
	case TYPE_NUMERIC: return numeric_same_value(format, a, b) ? "numeric_scale" : "";
	case TYPE_FLOAT4:
	case TYPE_FLOAT8: return float_close(type, format, a, b) ? "float_ulp" : "";
	case TYPE_TIMESTAMP:
	case TYPE_TIMESTAMPTZ: return other_time_zone(format, a, b) ? "time_zone" : "";
	case TYPE_JSON:
	case TYPE_JSONB: return same_json(type, format, a, b) ? "json_text" : "";
	default: break;
	}
	if (cell_type_is_text(type) || type == 0 || type >= TYPE_FIRST_USER)
		return text_hint(a, b);

	return "";
}

/* Arrays and records in binary begin with a small number, labels and texts never with a zero. */
static bool compound(uint16_t format, struct span s)
{
	return format == FORMAT_BINARY && s.len >= 8 && s.data[0] == 0;
}

enum cell_order cell_compare_key(uint32_t type, uint16_t format, struct span a, struct span b)
{
	bool same = false;

	if (span_equal(a, b))
		return CELL_SAME;
	if (!a.data || !b.data)
		return CELL_OTHER;
	switch (type) {
	case TYPE_NUMERIC: same = numeric_same_value(format, a, b); break;
	case TYPE_FLOAT4:
	case TYPE_FLOAT8: same = float_same_value(type, format, a, b); break;
	case TYPE_BPCHAR:
		same = span_equal(without_trailing_blanks(a), without_trailing_blanks(b));
		break;
	case TYPE_JSONB: same = same_json(type, format, a, b); break;
	case 0:
	case TYPE_INTERVAL:
	case TYPE_TIMETZ:
	case TYPE_RECORD:
	case TYPE_RECORD_ARRAY:
	case TYPE_ANYARRAY:
	case TYPE_NUMRANGE:
	case TYPE_NUMERIC_ARRAY:
	case TYPE_FLOAT4_ARRAY:
	case TYPE_FLOAT8_ARRAY:
	case TYPE_BPCHAR_ARRAY:
	case TYPE_INTERVAL_ARRAY: return CELL_UNSURE;
	default:
		/* citext and its like; enums and other user types are decided by their bytes */
		if (type >= TYPE_FIRST_USER && (same_but_for_case(a, b) || compound(format, a)))
			return CELL_UNSURE;
	}

	return same ? CELL_SAME : CELL_OTHER;
}

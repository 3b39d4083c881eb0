#include "compare/scalars.h"

#include "compare/cells.h"
#include "protocol/reader.h"
#include <stdio.h>
#include <stdlib.h>

enum { NUMBER_LIMIT = 64 };

/* ---- numbers ---- */

struct span decimal_trimmed(struct span s)
{
	if (!memchr(s.data, '.', s.len) || memchr(s.data, 'e', s.len))
		return s;
	while (s.len > 0 && s.data[s.len - 1] == '0')
		s.len--;
	if (s.len > 0 && s.data[s.len - 1] == '.')
		s.len--;

	return s;
}

bool scalar_numeric(struct span s, struct binary_numeric *out)
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

bool scalar_double(uint32_t type, uint16_t format, struct span s, double *out)
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

/* ---- text ---- */

struct span blanks_trimmed(struct span s)
{
	while (s.len > 0 && s.data[s.len - 1] == ' ')
		s.len--;

	return s;
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

bool scalar_text_time(struct span s, int64_t *local, int64_t *instant)
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

bool scalar_binary_time(struct span s, int64_t *out)
{
	struct reader r = reader_over(s);
	uint64_t high = read_u32(&r);

	*out = (int64_t)(high << 32 | read_u32(&r));
	return reader_done(&r);
}

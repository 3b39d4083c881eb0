#define _GNU_SOURCE 1 /* strchrnul, strcasestr */
#include "conf/parse.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct unit {
	const char *name;
	int64_t factor;
};

static const struct unit duration_units[] = {{"d", 86400000000}, {"h", 3600000000},
	{"min", 60000000}, {"s", 1000000}, {"ms", 1000}, {"us", 1}, {NULL, 0}};
static const struct unit size_units[] = {
	{"TB", 1LL << 40}, {"GB", 1 << 30}, {"MB", 1 << 20}, {"kB", 1 << 10}, {"B", 1}, {NULL, 0}};

bool word_allowed(const char *allowed, const char *word, size_t length)
{
	const char *end;

	for (; allowed; allowed = *end ? end + 1 : NULL) {
		end = strchrnul(allowed, '|');
		if ((size_t)(end - allowed) == length && strncmp(allowed, word, length) == 0)
			return true;
	}

	return false;
}

static void format_unit(int64_t value, const struct unit *units, char *out, size_t size)
{
	const struct unit *u = units;

	if (value == 0) {
		snprintf(out, size, "0");
		return;
	}
	while (value % u->factor != 0)
		u++;
	snprintf(out, size, "%lld%s", (long long)(value / u->factor), u->name);
}

void format_duration(int64_t us, char *out, size_t size)
{
	format_unit(us, duration_units, out, size);
}

void format_size(int64_t bytes, char *out, size_t size)
{
	format_unit(bytes, size_units, out, size);
}

static void format_bound(enum setting_type type, double bound, char *out, size_t size)
{
	if (type == SETTING_DURATION)
		format_duration((int64_t)bound, out, size);
	else if (type == SETTING_SIZE)
		format_size((int64_t)bound, out, size);
	else
		snprintf(out, size, "%.15g", bound);
}

void format_range(const struct setting_definition *d, char *out, size_t size)
{
	char low[40], high[40];

	out[0] = '\0';
	if (d->maximum <= d->minimum)
		return;
	format_bound(d->type, d->minimum, low, sizeof low);
	format_bound(d->type, d->maximum, high, sizeof high);
	snprintf(out, size, "%s to %s", low, high);
}

static bool parse_bool(const char *text, struct parsed_value *out, char *why)
{
	static const char *const yes[] = {"on", "true", "yes", "1"};
	static const char *const no[] = {"off", "false", "no", "0"};

	for (size_t i = 0; i < sizeof yes / sizeof *yes; i++) {
		if (strcasecmp(text, yes[i]) == 0 || strcasecmp(text, no[i]) == 0) {
			out->boolean = strcasecmp(text, yes[i]) == 0;
			return true;
		}
	}
	snprintf(why, PARSE_WHY_BYTES, "allowed: on, off");

	return false;
}

/* A decimal number, no hexadecimal, no "inf" and no "nan". *end is behind it. */
static bool parse_number(const char *text, double *out, const char **end)
{
	const char *digits = text + (*text == '-' || *text == '+');
	char *after;

	if (!isdigit((unsigned char)digits[0]) &&
		!(digits[0] == '.' && isdigit((unsigned char)digits[1])))
		return false;
	if (digits[0] == '0' && tolower((unsigned char)digits[1]) == 'x')
		return false;
	errno = 0;
	*out = strtod(text, &after);
	*end = after;

	return errno == 0 && isfinite(*out);
}

static bool in_range(const struct setting_definition *d, double value, char *why)
{
	char range[100];

	format_range(d, range, sizeof range);
	if (!*range || (value >= d->minimum && value <= d->maximum))
		return true;
	snprintf(why, PARSE_WHY_BYTES, "out of range, allowed: %s", range);

	return false;
}

static bool parse_integer(
	const struct setting_definition *d, const char *text, struct parsed_value *out, char *why)
{
	char *end;

	errno = 0;
	out->integer = strtoll(text, &end, 10);
	out->real = (double)out->integer;
	if (end == text || *end || errno) {
		char range[100];

		format_range(d, range, sizeof range);
		snprintf(why, PARSE_WHY_BYTES, "allowed: a whole number%s%s", *range ? ", " : "",
			range);
		return false;
	}

	return in_range(d, out->real, why);
}

static bool parse_real(
	const struct setting_definition *d, const char *text, struct parsed_value *out, char *why)
{
	const char *end;
	char range[100];

	if (parse_number(text, &out->real, &end) && !*end)
		return in_range(d, out->real, why);
	format_range(d, range, sizeof range);
	snprintf(why, PARSE_WHY_BYTES, "allowed: a number%s%s", *range ? ", " : "", range);

	return false;
}

static void explain_units(const struct unit *units, char *why)
{
	size_t used = 0;

	used += (size_t)snprintf(why, PARSE_WHY_BYTES, "allowed: 0, or a number and a unit:");
	for (const struct unit *u = units; u->name; u++)
		used += (size_t)snprintf(why + used, PARSE_WHY_BYTES - used, " %s", u->name);
}

/* Durations and sizes. "1.5s" is fine, "1.5" and "1.5B" are not. */
static bool parse_with_unit(const struct setting_definition *d, const char *text,
	const struct unit *units, struct parsed_value *out, char *why)
{
	const char *end;
	double number, value;

	explain_units(units, why);
	if (!parse_number(text, &number, &end))
		return false;
	while (*end == ' ')
		end++;
	if (!*end && number == 0) {
		out->integer = 0;
		return in_range(d, 0, why);
	}
	while (units->name && strcmp(units->name, end) != 0)
		units++;
	if (!units->name)
		return false;
	value = number * (double)units->factor;
	if (!in_range(d, value, why))
		return false;
	out->integer = (int64_t)(value + 0.5);
	if (fabs(value - (double)out->integer) > 1e-6 * fabs(value)) {
		snprintf(why, PARSE_WHY_BYTES, "finer than its smallest unit");
		return false;
	}

	return true;
}

static bool parse_enum(const struct setting_definition *d, const char *text, char *why)
{
	size_t used;

	if (word_allowed(d->allowed, text, strlen(text)))
		return true;
	used = (size_t)snprintf(why, PARSE_WHY_BYTES, "allowed: ");
	for (const char *p = d->allowed; *p && used + 3 < PARSE_WHY_BYTES; p++) {
		why[used++] = *p == '|' ? ',' : *p;
		if (*p == '|')
			why[used++] = ' ';
	}
	why[used] = '\0';

	return false;
}

bool parse_value(const struct setting_definition *d, const char *text, struct parsed_value *out,
	char why[PARSE_WHY_BYTES])
{
	memset(out, 0, sizeof *out);
	why[0] = '\0';

	switch (d->type) {
	case SETTING_BOOL: return parse_bool(text, out, why);
	case SETTING_INTEGER: return parse_integer(d, text, out, why);
	case SETTING_REAL: return parse_real(d, text, out, why);
	case SETTING_DURATION: return parse_with_unit(d, text, duration_units, out, why);
	case SETTING_SIZE: return parse_with_unit(d, text, size_units, out, why);
	case SETTING_ENUM: return parse_enum(d, text, why);
	case SETTING_STRING:
	case SETTING_LIST:
	case SETTING_CONNINFO: return true;
	}
	assert(!"setting type");

	return false;
}

/* RFC 3629: no overlong forms, no surrogates, nothing over U+10FFFF. */
bool utf8_valid(const char *text)
{
	const unsigned char *p = (const unsigned char *)text;

	while (*p) {
		unsigned length = *p < 0x80   ? 1
				  : *p < 0xc2 ? 0
				  : *p < 0xe0 ? 2
				  : *p < 0xf0 ? 3
				  : *p < 0xf5 ? 4
					      : 0;
		unsigned lead = *p;

		if (length == 0)
			return false;
		for (unsigned i = 1; i < length; i++)
			if ((p[i] & 0xc0) != 0x80)
				return false;
		if ((lead == 0xe0 && p[1] < 0xa0) || (lead == 0xed && p[1] > 0x9f) ||
			(lead == 0xf0 && p[1] < 0x90) || (lead == 0xf4 && p[1] > 0x8f))
			return false;
		p += length;
	}

	return true;
}

unsigned edit_distance(const char *a, const char *b)
{
	unsigned row[64];
	size_t n = strlen(a), m = strlen(b);

	if (n > 63 || m > 63)
		return (unsigned)(n > m ? n : m);
	for (unsigned j = 0; j <= m; j++)
		row[j] = j;
	for (size_t i = 1; i <= n; i++) {
		unsigned diagonal = row[0];

		row[0] = (unsigned)i;
		for (size_t j = 1; j <= m; j++) {
			unsigned change = diagonal + (tolower((unsigned char)a[i - 1]) !=
							     tolower((unsigned char)b[j - 1]));

			diagonal = row[j];
			if (row[j - 1] + 1 < change)
				change = row[j - 1] + 1;
			row[j] = row[j] + 1 < change ? row[j] + 1 : change;
		}
	}

	return row[m];
}

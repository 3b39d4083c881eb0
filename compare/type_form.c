#include "compare/type_form.h"

#include <stdio.h>
#include <string.h>

enum modifier {
	MODIFIER_LENGTH,
	MODIFIER_BITS,
	MODIFIER_NUMERIC,
	MODIFIER_TIME,
	MODIFIER_INTERVAL
};

enum { HEADER_BYTES = 4 }; /* VARHDRSZ, which lengths and numeric's modifier count in */

static const struct {
	const char *name, *written;
	enum modifier modifier;
} types[] = {
	{"numeric", "numeric", MODIFIER_NUMERIC},
	{"varchar", "varchar", MODIFIER_LENGTH},
	{"bpchar", "char", MODIFIER_LENGTH},
	{"bit", "bit", MODIFIER_BITS},
	{"varbit", "varbit", MODIFIER_BITS},
	{"time", "time", MODIFIER_TIME},
	{"timetz", "timetz", MODIFIER_TIME},
	{"timestamp", "timestamp", MODIFIER_TIME},
	{"timestamptz", "timestamptz", MODIFIER_TIME},
	{"interval", "interval", MODIFIER_INTERVAL},
};

/* Upper half of interval's modifier: bits of datetime.h (MONTH 1, YEAR 2, DAY 3, HOUR 10, MINUTE
 * 11, SECOND 12). */
static const struct {
	unsigned fields;
	const char *name;
} intervals[] = {
	{1u << 2, " year"},
	{1u << 1, " month"},
	{1u << 3, " day"},
	{1u << 10, " hour"},
	{1u << 11, " minute"},
	{1u << 12, " second"},
	{1u << 2 | 1u << 1, " year to month"},
	{1u << 3 | 1u << 10, " day to hour"},
	{1u << 3 | 1u << 10 | 1u << 11, " day to minute"},
	{1u << 3 | 1u << 10 | 1u << 11 | 1u << 12, " day to second"},
	{1u << 10 | 1u << 11, " hour to minute"},
	{1u << 10 | 1u << 11 | 1u << 12, " hour to second"},
	{1u << 11 | 1u << 12, " minute to second"},
};

static void write_interval(uint32_t typmod, char *out, size_t size)
{
	const unsigned fields = typmod >> 16 & 0x7fff, digits = typmod & 0xffff;
	const char *name = "";

	for (size_t i = 0; i < sizeof intervals / sizeof *intervals; i++)
		if (intervals[i].fields == fields)
			name = intervals[i].name;
	if (digits == 0xffff)
		snprintf(out, size, "%s", name);
	else
		snprintf(out, size, "%s(%u)", name, digits);
}

static void write_modifier(enum modifier modifier, int32_t typmod, char *out, size_t size)
{
	const int32_t inner = typmod - HEADER_BYTES;

	switch (modifier) {
	case MODIFIER_LENGTH: snprintf(out, size, "(%d)", (int)inner); break;
	case MODIFIER_BITS:
	case MODIFIER_TIME: snprintf(out, size, "(%d)", (int)typmod); break;
	case MODIFIER_NUMERIC: /* the scale has 11 bits and a sign since PostgreSQL 15 */
		snprintf(out, size, "(%d,%d)", (int)(inner >> 16 & 0xffff),
			(int)((inner & 0x7ff) ^ 1024) - 1024);
		break;
	case MODIFIER_INTERVAL: write_interval((uint32_t)typmod, out, size); break;
	}
}

void type_form(const char *name, int32_t typmod, char *out, size_t size)
{
	const size_t length = strlen(name);
	const size_t array = length > 2 && strcmp(name + length - 2, "[]") == 0 ? 2 : 0;
	char modifier[40];

	for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
		if (strlen(types[i].name) != length - array ||
			memcmp(types[i].name, name, length - array) != 0)
			continue;
		if (typmod < 0)
			break;
		write_modifier(types[i].modifier, typmod, modifier, sizeof modifier);
		snprintf(out, size, "%s%s%s", types[i].written, modifier, array ? "[]" : "");
		return;
	}
	if (typmod < 0)
		snprintf(out, size, "%s", name);
	else
		snprintf(out, size, "%s typmod %d", name, (int)typmod);
}

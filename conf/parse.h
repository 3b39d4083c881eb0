/* Texts of single values to typed values and back: booleans, numbers, durations and sizes as in
 * postgresql.conf, with one stricter rule: a duration or size other than 0 needs its unit.
 *
 * Failures fill `why` with what is allowed, for a person. Pure.
 */
#ifndef PGUMBRA_CONF_PARSE_H
#define PGUMBRA_CONF_PARSE_H

#include "conf/settings.h"

enum { PARSE_WHY_BYTES = 320 };

struct parsed_value {
	bool boolean;
	int64_t integer; /* also microseconds and bytes */
	double real;
};

/* Checks the type, range and allowed words of a row, not `reserved`. */
bool parse_value(const struct setting_definition *d, const char *text, struct parsed_value *out,
	char why[PARSE_WHY_BYTES]);

/* "250ms", "64MB": the largest unit that divides it. */
void format_duration(int64_t us, char *out, size_t size);
void format_size(int64_t bytes, char *out, size_t size);
/* "1 to 64", "1ms to 1d", "0 or more"; "" where there is no range. */
void format_range(const struct setting_definition *d, char *out, size_t size);

/* One of the words of "a|b|c"? */
bool word_allowed(const char *allowed, const char *word, size_t length);
bool utf8_valid(const char *text);
/* Levenshtein distance, case ignored; texts over 63 bytes are as far as they are long. */
unsigned edit_distance(const char *a, const char *b);

#endif

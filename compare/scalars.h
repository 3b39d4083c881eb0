/* Values of single built-in types, read from what a server sends. Used inside compare/ only.
 *
 * Every reader is false (or leaves the value as it is) where the bytes are not laid out as the type
 * says. Formats are the protocol's: 0 text, 1 binary.
 */
#ifndef PGUMBRA_COMPARE_SCALARS_H
#define PGUMBRA_COMPARE_SCALARS_H

#include "protocol/span.h"

enum { FORMAT_TEXT = 0, FORMAT_BINARY = 1 };

/* Leaves what decides a decimal's value: no zeros at the end of a fraction. */
struct span decimal_trimmed(struct span s);

struct binary_numeric {
	uint16_t ndigits, sign;
	int16_t weight;
	struct span digits; /* without zeros at the end; borrowed */
};
/* numeric_send: ndigits, weight, sign, dscale, base-10000 digits. */
bool scalar_numeric(struct span s, struct binary_numeric *out);

/* float4 and float8 (TYPE_*); NaN and infinities too. */
bool scalar_double(uint32_t type, uint16_t format, struct span s, double *out);

struct span blanks_trimmed(struct span s); /* of blanks at its end */

/* A timestamp in ISO style: the local time as written and the instant, both in us since 1970. */
bool scalar_text_time(struct span s, int64_t *local, int64_t *instant);
bool scalar_binary_time(struct span s, int64_t *out); /* us since 2000 */

#endif

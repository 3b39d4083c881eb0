/* A normal form of JSON texts (RFC 8259): two texts have the same one when they are equal as values
 * of jsonb. Members by key, of repeated keys the last; numbers as exact decimals, so that neither
 * their scale nor a double's rounding counts. Used inside compare/ only.
 */
#ifndef PGUMBRA_COMPARE_JSON_FORM_H
#define PGUMBRA_COMPARE_JSON_FORM_H

#include "protocol/buffer.h"
#include "protocol/span.h"

enum { JSON_FORM_LIMIT = 1 << 20, JSON_FORM_DEPTH = 64 }; /* bytes, levels */

/* Appends the form. False, with nothing appended: no JSON, over a limit, or no memory. */
bool json_form(struct buffer *out, struct span text);
/* Both have a form, and the same one. */
bool json_same_value(struct span a, struct span b);

#endif

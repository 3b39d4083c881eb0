/* The list of SASL mechanisms in the primary's first authentication request, where the primary's
 * leg has TLS and the client's has none: mechanisms with channel binding (-PLUS) are taken off it.
 * A client without TLS can't bind a channel, and libpq refuses a server that offers it then.
 *
 * One login's bytes from the primary go through sasl_pass() until it is done, which is at the first
 * AuthenticationRequest or ErrorResponse; they come out unchanged but for that list. Message by
 * message: PostgreSQL documentation, "AuthenticationSASL". Bounded: a message over SASL_MESSAGE_MAX
 * comes out as it is.
 */
#ifndef PGUMBRA_PROXY_RELAY_SASL_H
#define PGUMBRA_PROXY_RELAY_SASL_H

#include "protocol/buffer.h"

enum { SASL_MESSAGE_MAX = 8192 };

struct sasl {
	struct buffer held; /* a message that has not come whole yet */
	bool done;	    /* nothing is held, and nothing will be changed any more */
};

/* The most bytes one sasl_pass() may be given. */
void sasl_init(struct sasl *s, size_t chunk_bytes);
void sasl_release(struct sasl *s);
/* Appends to `out` what may go on; false when out of memory. */
bool sasl_pass(struct sasl *s, struct span bytes, struct buffer *out)
	__attribute__((warn_unused_result));

#endif

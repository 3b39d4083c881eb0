/* The PROXY protocol's header, versions 1 (text) and 2 (binary), by which a load balancer announces
 * the client that it connects for (HAProxy, "The PROXY protocol", 2020/03/05, sections 2.1, 2.2).
 *
 * Pure. Bytes that aren't a header as the document says are refused, never guessed at.
 */
#ifndef PGUMBRA_PROTOCOL_PROXY_HEADER_H
#define PGUMBRA_PROTOCOL_PROXY_HEADER_H

#include "protocol/span.h"
#include <stdbool.h>

/* The longest that is accepted: version 2 with 520 bytes of addresses and TLVs, which are passed
 * over. (Version 1 has at most 107.) */
enum { PROXY_HEADER_MAX = 536 };

enum proxy_header_result {
	PROXY_HEADER_MORE, /* a header may still become of it, and all of the bytes are its */
	PROXY_HEADER_OK,
	PROXY_HEADER_BAD,
};

struct proxy_header {
	size_t length;	     /* of the header; what follows it is the client's */
	unsigned version;    /* 4, 6: the address's; 0: none is announced (UNKNOWN, LOCAL, unix) */
	uint8_t address[16]; /* of the client, network order */
	uint16_t port;
};

enum proxy_header_result proxy_header_parse(struct span bytes, struct proxy_header *out);

#endif

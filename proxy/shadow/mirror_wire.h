/* Bytes to and from a server over a plain or a TLS connection that libpq has opened. Never blocks.
 */
#ifndef PGUMBRA_SHADOW_MIRROR_WIRE_H
#define PGUMBRA_SHADOW_MIRROR_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wire {
	int fd;		       /* borrowed from libpq, non-blocking */
	void *ssl;	       /* SSL of libpq, borrowed; NULL: plain */
	bool read_wants_write; /* TLS: reading goes on when the socket can be written */
	bool write_wants_read; /* TLS: writing goes on when there is something to read */
};

enum wire_result { WIRE_OK, WIRE_WAIT, WIRE_LOST };

/* *done gets the number of bytes (more than 0 with WIRE_OK). */
enum wire_result wire_read(struct wire *w, void *into, size_t size, size_t *done);
enum wire_result wire_write(struct wire *w, const void *from, size_t size, size_t *done);

#endif

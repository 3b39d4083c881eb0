/* A growing byte string with a limit and a sticky failure.
 *
 * Owned by the holder of the struct. Every add either appends whole or sets `failed` and appends
 * nothing more; callers build a whole message and check `failed` once. Big-endian integers, as on
 * the wire (PostgreSQL protocol documentation, "Message Data Types").
 */
#ifndef PGUMBRA_PROTOCOL_BUFFER_H
#define PGUMBRA_PROTOCOL_BUFFER_H

#include "protocol/span.h"

struct buffer {
	uint8_t *data; /* owned; NULL while empty */
	size_t len;
	size_t cap;
	size_t limit; /* len never exceeds it */
	bool failed;  /* limit reached or out of memory */
};

void buffer_init(struct buffer *b, size_t limit_bytes);
void buffer_release(struct buffer *b);		 /* back to an empty buffer with the same limit */
void buffer_clear(struct buffer *b);		 /* len = 0, failed = false, keeps the memory */
void buffer_consume(struct buffer *b, size_t n); /* drops the first n bytes (n <= len) */

void buffer_add(struct buffer *b, const void *data, size_t len);
/* Room for `len` bytes, which the caller writes at once; NULL and failed when there is none. */
uint8_t *buffer_extend(struct buffer *b, size_t len);
void buffer_add_span(struct buffer *b, struct span s); /* NULL adds nothing */
void buffer_add_u8(struct buffer *b, uint8_t v);
void buffer_add_u16(struct buffer *b, uint16_t v);
void buffer_add_u32(struct buffer *b, uint32_t v);
void buffer_add_cstr(struct buffer *b, const char *text); /* with its NUL */
void buffer_add_span_z(struct buffer *b, struct span s);  /* the bytes and a NUL */
void buffer_printf(struct buffer *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

static inline struct span buffer_span(const struct buffer *b)
{
	return span_of(b->data ? b->data : (const uint8_t *)"", b->len);
}

#endif

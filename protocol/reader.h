/* A bounded reader over borrowed bytes with a sticky error: reads past the end give zeros or absent
 * spans and set `bad`; reader_done() says whether everything was there and nothing is left.
 */
#ifndef PGUMBRA_PROTOCOL_READER_H
#define PGUMBRA_PROTOCOL_READER_H

#include "protocol/span.h"

struct reader {
	const uint8_t *at;
	const uint8_t *end;
	bool bad;
};

struct reader reader_over(struct span body);
uint8_t read_u8(struct reader *r);
uint16_t read_u16(struct reader *r);
uint32_t read_u32(struct reader *r);
int32_t read_i32(struct reader *r);
struct span read_bytes(struct reader *r, size_t n);
struct span read_cstr(struct reader *r);  /* without its NUL; absent when there is no NUL */
struct span read_value(struct reader *r); /* Int32 length (-1 = NULL) and bytes */
static inline size_t reader_left(const struct reader *r)
{
	return (size_t)(r->end - r->at);
}
bool reader_done(const struct reader *r); /* not bad and nothing left */

#endif

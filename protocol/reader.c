#include "protocol/reader.h"

struct reader reader_over(struct span body)
{
	static const uint8_t nothing[1];
	const uint8_t *at = body.data ? body.data : nothing;

	return (struct reader){.at = at, .end = at + (body.data ? body.len : 0)};
}

/* The only place where the position moves. A failed reader stands at its end, so that loops over
 * what is left always come to one. */
static const uint8_t *take(struct reader *r, size_t n)
{
	const uint8_t *at = r->at;

	if (r->bad || n > reader_left(r)) {
		r->bad = true;
		r->at = r->end;
		return NULL;
	}
	r->at += n;

	return at;
}

uint8_t read_u8(struct reader *r)
{
	const uint8_t *p = take(r, 1);

	return p ? p[0] : 0;
}

uint16_t read_u16(struct reader *r)
{
	const uint8_t *p = take(r, 2);

	return p ? (uint16_t)(p[0] << 8 | p[1]) : 0;
}

uint32_t read_u32(struct reader *r)
{
	const uint8_t *p = take(r, 4);

	return p ? (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3] : 0;
}

int32_t read_i32(struct reader *r)
{
	return (int32_t)read_u32(r);
}

struct span read_bytes(struct reader *r, size_t n)
{
	const uint8_t *p = take(r, n);

	return p ? span_of(p, n) : (struct span){0};
}

struct span read_cstr(struct reader *r)
{
	size_t left = reader_left(r);
	const uint8_t *nul = left && !r->bad ? memchr(r->at, 0, left) : NULL;
	struct span text;

	if (!nul) {
		take(r, left + 1); /* one more than there is: marks the reader bad */
		return (struct span){0};
	}
	text = read_bytes(r, (size_t)(nul - r->at));
	take(r, 1);

	return text;
}

struct span read_value(struct reader *r)
{
	int32_t len = read_i32(r);

	if (r->bad || len == -1)
		return (struct span){0};
	if (len < 0) {
		take(r, reader_left(r) + 1);
		return (struct span){0};
	}

	return read_bytes(r, (size_t)len);
}

bool reader_done(const struct reader *r)
{
	return !r->bad && r->at == r->end;
}

#include "protocol/buffer.h"

#include <assert.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { FIRST_CAPACITY = 256 };

void buffer_init(struct buffer *b, size_t limit_bytes)
{
	*b = (struct buffer){.limit = limit_bytes};
}

void buffer_release(struct buffer *b)
{
	free(b->data);
	buffer_init(b, b->limit);
}

void buffer_clear(struct buffer *b)
{
	b->len = 0;
	b->failed = false;
}

void buffer_consume(struct buffer *b, size_t n)
{
	assert(n <= b->len);

	b->len -= n;
	if (n > 0 && b->len > 0)
		memmove(b->data, b->data + n, b->len);
}

/* The capacity doubles, so that adding is cheap on average, but never passes the limit. */
static bool reserve(struct buffer *b, size_t more)
{
	size_t cap = b->cap ? b->cap : FIRST_CAPACITY;
	uint8_t *data;

	assert(b->len <= b->limit && b->len <= b->cap);
	if (b->failed || more > PTRDIFF_MAX || more > b->limit - b->len) {
		b->failed = true;
		return false;
	}
	if (more <= b->cap - b->len)
		return true;

	while (cap < b->len + more)
		cap = cap > b->limit / 2 ? b->limit : cap * 2;
	if (cap > b->limit)
		cap = b->limit;
	data = realloc(b->data, cap);
	if (!data) {
		b->failed = true;
		return false;
	}
	b->data = data;
	b->cap = cap;

	return true;
}

uint8_t *buffer_extend(struct buffer *b, size_t len)
{
	if (!reserve(b, len))
		return NULL;
	b->len += len;

	return b->data + b->len - len;
}

void buffer_add(struct buffer *b, const void *data, size_t len)
{
	/* the last says to the compiler what reserve() has seen to */
	if (!reserve(b, len) || len == 0 || len > PTRDIFF_MAX)
		return;
	memcpy(b->data + b->len, data, len);
	b->len += len;
}

void buffer_add_span(struct buffer *b, struct span s)
{
	if (s.data)
		buffer_add(b, s.data, s.len);
}

void buffer_add_u8(struct buffer *b, uint8_t v)
{
	buffer_add(b, &v, 1);
}

void buffer_add_u16(struct buffer *b, uint16_t v)
{
	uint8_t bytes[2] = {(uint8_t)(v >> 8), (uint8_t)v};

	buffer_add(b, bytes, sizeof bytes);
}

void buffer_add_u32(struct buffer *b, uint32_t v)
{
	uint8_t bytes[4] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};

	buffer_add(b, bytes, sizeof bytes);
}

void buffer_add_cstr(struct buffer *b, const char *text)
{
	buffer_add(b, text, strlen(text) + 1);
}

void buffer_add_span_z(struct buffer *b, struct span s)
{
	if (!reserve(b, s.len + 1)) /* both or nothing */
		return;
	buffer_add_span(b, s);
	buffer_add_u8(b, 0);
}

void buffer_printf(struct buffer *b, const char *format, ...)
{
	char small[256];
	char *text = small;
	va_list args;
	int need;

	va_start(args, format);
	need = vsnprintf(small, sizeof small, format, args);
	va_end(args);
	if (need >= (int)sizeof small && !b->failed) {
		text = malloc((size_t)need + 1);
		if (text) {
			va_start(args, format);
			vsnprintf(text, (size_t)need + 1, format, args);
			va_end(args);
		}
	}

	if (need < 0 || !text)
		b->failed = true;
	else
		buffer_add(b, text, (size_t)need); /* does nothing when failed before */
	if (text != small)
		free(text);
}

/* A borrowed run of bytes. Purely a view: it never owns and never allocates.
 *
 * data == NULL means "absent" (an SQL NULL, a missing field); a present but empty span has a
 * non-NULL data pointer and len 0. NULL and '' differ everywhere. Not NUL-terminated.
 */
#ifndef PGUMBRA_PROTOCOL_SPAN_H
#define PGUMBRA_PROTOCOL_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
	const uint8_t *data;
	size_t len;
};

static inline struct span span_of(const void *data, size_t len)
{
	return (struct span){.data = data, .len = len};
}

static inline struct span span_cstr(const char *text)
{
	return (struct span){.data = (const uint8_t *)text, .len = text ? strlen(text) : 0};
}

static inline bool span_is(struct span s, const char *text)
{
	size_t n = strlen(text);

	return s.data && s.len == n && memcmp(s.data, text, n) == 0;
}

/* NULL equals only NULL. */
static inline bool span_equal(struct span a, struct span b)
{
	if (!a.data || !b.data)
		return a.data == b.data;
	return a.len == b.len && memcmp(a.data, b.data, a.len) == 0;
}

#endif

/* Answers made by hand, for the tests of compare/. Text cells are C strings, NULL is NULL; a row
 * ends with END.
 */
#ifndef PGUMBRA_TESTS_COMPARE_FIXTURE_H
#define PGUMBRA_TESTS_COMPARE_FIXTURE_H

#include "compare/compare.h"
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define END ((const char *)-1)

enum {
	FIXTURE_KEEP = 1 << 20,
	OID_INT4 = 23,
	OID_TEXT = 25,
	OID_NUMERIC = 1700,
	OID_USER = 16385,
};

static inline void fixture_rows(struct result *r)
{
	result_init(r, FIXTURE_KEEP);
}

/* "name:oid[:typmod[:format]] name:oid ..." */
static inline struct buffer fixture_description(const char *columns)
{
	struct buffer b, body;
	unsigned n = 0;

	buffer_init(&b, 1 << 16);
	buffer_init(&body, 1 << 16);
	while (*columns) {
		int typmod = -1, used = 0, format = 0;
		char name[100];
		unsigned oid;

		assert(sscanf(columns, "%99[^:]:%u%n", name, &oid, &used) == 2);
		columns += used;
		if (*columns == ':' && sscanf(columns, ":%d%n", &typmod, &used) == 1)
			columns += used;
		if (*columns == ':' && sscanf(columns, ":%d%n", &format, &used) == 1)
			columns += used;
		columns += *columns == ' ';
		buffer_add_cstr(&body, name);
		buffer_add_u32(&body, 4711);
		buffer_add_u16(&body, 1);
		buffer_add_u32(&body, oid);
		buffer_add_u16(&body, (uint16_t)-1);
		buffer_add_u32(&body, (uint32_t)typmod);
		buffer_add_u16(&body, (uint16_t)format);
		n++;
	}
	buffer_add_u16(&b, (uint16_t)n);
	buffer_add_span(&b, buffer_span(&body));
	buffer_release(&body);

	return b;
}

static inline void fixture_columns(struct result *r, const char *columns)
{
	struct buffer b = fixture_description(columns);

	assert(result_columns(r, buffer_span(&b), 0, NULL));
	buffer_release(&b);
}

static inline void fixture_result(struct result *r, const char *columns)
{
	fixture_rows(r);
	fixture_columns(r, columns);
	result_complete(r, span_cstr("SELECT"));
}

static inline void fixture_spans(struct result *r, unsigned n, const struct span *cells)
{
	struct buffer b;

	buffer_init(&b, 1 << 20);
	buffer_add_u16(&b, (uint16_t)n);
	for (unsigned i = 0; i < n; i++) {
		buffer_add_u32(&b, cells[i].data ? (uint32_t)cells[i].len : UINT32_MAX);
		buffer_add_span(&b, cells[i]);
	}
	result_row(r, buffer_span(&b));
	buffer_release(&b);
}

static inline void fixture_row(struct result *r, ...)
{
	struct span cells[32];
	const char *cell;
	unsigned n = 0;
	va_list list;

	va_start(list, r);
	while ((cell = va_arg(list, const char *)) != END && n < 32)
		cells[n++] = span_cstr(cell);
	va_end(list);
	fixture_spans(r, n, cells);
}

static inline void fixture_error(struct result *r, const char *sqlstate, const char *message)
{
	struct buffer b;

	result_init(r, FIXTURE_KEEP);
	buffer_init(&b, 1024);
	build_error(&b, "ERROR", sqlstate, message, NULL, NULL);
	result_error(r, span_of(b.data + MESSAGE_HEADER, b.len - MESSAGE_HEADER));
	buffer_release(&b);
}

#endif

/* Rows of a COPY ... TO STDOUT taken apart into the values that a DataRow would hold.
 *
 * Pure; one thread, no ownership: the reader borrows nothing between calls. Formats: PostgreSQL
 * documentation, "COPY", File Formats (text, CSV, binary); protocol documentation, "COPY
 * Operations". The server sends each row in a message of its own; what stands otherwise is
 * COPY_BAD, never a guess.
 *
 * CO1 A value comes out as the query alone would return it: in text, or in binary format where the
 *     COPY is binary.
 * CO2 NULL and '' stay apart wherever the bytes tell them apart. Where they don't (text format
 *     with a null string that a value may be written as), copy_null_value() says which value looks
 *     like NULL.
 */
#ifndef PGUMBRA_PROTOCOL_COPY_OUT_H
#define PGUMBRA_PROTOCOL_COPY_OUT_H

#include "protocol/buffer.h"

enum copy_kind { COPY_TEXT, COPY_CSV, COPY_BINARY };
enum { COPY_NULL_MAX = 63 };

struct copy_format {
	enum copy_kind kind;
	bool header; /* text and CSV: the first line names the columns */
	char delimiter, quote, escape;
	char null_text[COPY_NULL_MAX + 1];
};

/* The server's defaults for a kind. */
struct copy_format copy_format_default(enum copy_kind kind);
/* May the server be given this? What it refuses is no read. */
bool copy_format_valid(const struct copy_format *f);
/* Text format: the value that is written like NULL, into `value` (COPY_NULL_MAX + 1 bytes). False:
 * none is. */
bool copy_null_value(const struct copy_format *f, char *value);

struct copy_reader {
	struct copy_format format;
	uint16_t columns;
	bool started; /* the header has come */
	bool ended;   /* the trailer has come */
};

enum copy_row {
	COPY_ROW,   /* a row was appended */
	COPY_NAMES, /* the columns' names were appended, as a row */
	COPY_NOTHING /* what holds no row: header or trailer of the binary format */,
	COPY_BAD /* not understood */
};

/* From a CopyOutResponse's body. False: malformed, or not of the format expected. */
bool copy_begin(struct copy_reader *r, const struct copy_format *format, struct span body);
/* One CopyData's body; appends a DataRow's body to `row` (which must be empty). */
enum copy_row copy_next(struct copy_reader *r, struct span data, struct buffer *row);
/* Nothing is missing at the end. */
bool copy_done(const struct copy_reader *r);

#endif

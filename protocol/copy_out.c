#include "protocol/copy_out.h"

#include "protocol/reader.h"
#include <arpa/inet.h>

static const uint8_t SIGNATURE[11] = {'P', 'G', 'C', 'O', 'P', 'Y', '\n', 0xFF, '\r', '\n', '\0'};

/* Letters behind a backslash, and what they mean. */
static const char LETTERS[] = "bfnrtv", MEANT[] = "\b\f\n\r\t\v";

struct copy_format copy_format_default(enum copy_kind kind)
{
	struct copy_format f = {.kind = kind, .delimiter = '\t', .quote = '"', .escape = '"'};

	if (kind == COPY_CSV)
		f.delimiter = ',';
	else
		strcpy(f.null_text, "\\N");

	return f;
}

static bool ends_line(char c)
{
	return c == '\n' || c == '\r' || c == '\0';
}

bool copy_format_valid(const struct copy_format *f)
{
	if (f->kind == COPY_BINARY)
		return !f->header;
	if (ends_line(f->delimiter) || strpbrk(f->null_text, "\r\n") ||
		strchr(f->null_text, f->delimiter))
		return false;
	if (f->kind == COPY_TEXT)
		return !strchr("\\.abcdefghijklmnopqrstuvwxyz0123456789", f->delimiter);

	return !ends_line(f->quote) && !ends_line(f->escape) && f->quote != f->delimiter &&
	       !strchr(f->null_text, f->quote);
}

/* ---- text ---- */

/* Up to the delimiter that ends it. */
static size_t text_length(const struct copy_format *f, struct span line)
{
	size_t i = 0;

	while (i < line.len && line.data[i] != (uint8_t)f->delimiter && line.data[i] != '\n')
		i += line.data[i] == '\\' ? 2 : 1;

	return i < line.len ? i : line.len;
}

/* A backslash at the end escapes nothing: such a text no value is written as. */
static bool unescape(struct span text, struct buffer *out)
{
	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.data[i];

		if (c == '\\') {
			const char *letter;

			if (++i == text.len)
				return false;
			c = text.data[i];
			letter = c ? strchr(LETTERS, c) : NULL;
			if (letter)
				c = (uint8_t)MEANT[letter - LETTERS];
		}
		buffer_add_u8(out, c);
	}

	return !out->failed;
}

/* As the server writes a value (CopyAttributeOutText). */
static void escape(const struct copy_format *f, struct span value, struct buffer *out)
{
	for (size_t i = 0; i < value.len; i++) {
		uint8_t c = value.data[i];
		const char *meant = c ? strchr(MEANT, c) : NULL;

		if (c == '\\' || c == (uint8_t)f->delimiter || meant)
			buffer_add_u8(out, '\\');
		buffer_add_u8(out, meant ? (uint8_t)LETTERS[meant - MEANT] : c);
	}
}

bool copy_null_value(const struct copy_format *f, char *value)
{
	struct buffer meaning, written;
	bool same = false;

	if (f->kind != COPY_TEXT)
		return false;
	buffer_init(&meaning, COPY_NULL_MAX);
	buffer_init(&written, 2 * (size_t)COPY_NULL_MAX);
	if (unescape(span_cstr(f->null_text), &meaning)) {
		escape(f, buffer_span(&meaning), &written);
		same = !written.failed &&
		       span_equal(buffer_span(&written), span_cstr(f->null_text));
	}
	if (same) {
		if (meaning.len > 0)
			memcpy(value, meaning.data, meaning.len);
		value[meaning.len] = '\0';
	}
	buffer_release(&meaning);
	buffer_release(&written);

	return same;
}

/* One value up to the delimiter or the line's end: appended to `out` unless it is NULL. */
static bool text_value(
	const struct copy_format *f, struct span *line, struct buffer *out, bool *null)
{
	size_t n = text_length(f, *line);
	struct span raw = span_of(line->data, n);

	*line = span_of(line->data + n, line->len - n);
	*null = span_equal(raw, span_cstr(f->null_text));

	return *null || unescape(raw, out);
}

/* ---- CSV ---- */

/* Behind the opening quote; takes the closing one. */
static bool quoted_value(const struct copy_format *f, struct span *line, struct buffer *out)
{
	uint8_t quote = (uint8_t)f->quote, escapes = (uint8_t)f->escape;

	for (size_t i = 0; i < line->len; i++) {
		uint8_t c = line->data[i], next = i + 1 < line->len ? line->data[i + 1] : '\0';

		if (c == escapes && i + 1 < line->len && (next == quote || next == escapes)) {
			buffer_add_u8(out, next);
			i++;
		} else if (c == quote) {
			*line = span_of(line->data + i + 1, line->len - i - 1);
			return true;
		} else {
			buffer_add_u8(out, c);
		}
	}

	return false;
}

static bool csv_value(
	const struct copy_format *f, struct span *line, struct buffer *out, bool *null)
{
	struct span raw;
	size_t n = 0;

	*null = false;
	if (line->len > 0 && line->data[0] == (uint8_t)f->quote) {
		*line = span_of(line->data + 1, line->len - 1);
		return quoted_value(f, line, out);
	}
	while (n < line->len && line->data[n] != (uint8_t)f->delimiter && line->data[n] != '\n')
		n++;
	raw = span_of(line->data, n);
	*line = span_of(line->data + n, line->len - n);
	*null = span_equal(raw, span_cstr(f->null_text)); /* a value would stand in quotes */
	if (!*null)
		buffer_add_span(out, raw);

	return true;
}

/* ---- lines ---- */

/* A column's name is never NULL, whatever it looks like. */
static bool line_value(
	const struct copy_format *f, bool name, struct span *line, struct buffer *row)
{
	size_t length_at = row->len;
	struct span before = *line;
	bool null, ok;
	uint32_t len;

	buffer_add_u32(row, UINT32_MAX);
	ok = f->kind == COPY_CSV ? csv_value(f, line, row, &null) : text_value(f, line, row, &null);
	if (!ok || row->failed)
		return false;
	if (null && !name)
		return true;
	if (null)
		buffer_add(row, before.data, (size_t)(line->data - before.data));
	if (row->failed)
		return false;
	len = htonl((uint32_t)(row->len - length_at - 4));
	memcpy(row->data + length_at, &len, sizeof len);

	return true;
}

static bool line_values(
	const struct copy_reader *r, bool names, struct span line, struct buffer *row)
{
	buffer_add_u16(row, r->columns);
	for (uint16_t i = 0; i < r->columns; i++) {
		if (i > 0) {
			if (line.len == 0 || line.data[0] != (uint8_t)r->format.delimiter)
				return false;
			line = span_of(line.data + 1, line.len - 1);
		}
		if (!line_value(&r->format, names, &line, row))
			return false;
	}

	return line.len == 1 && line.data[0] == '\n' && !row->failed;
}

/* ---- binary ---- */

static bool take_header(struct span *data)
{
	struct reader r = reader_over(*data);
	struct span signature = read_bytes(&r, sizeof SIGNATURE);
	uint32_t flags = read_u32(&r);

	read_bytes(&r, read_u32(&r));
	if (r.bad || flags != 0 || memcmp(signature.data, SIGNATURE, sizeof SIGNATURE) != 0)
		return false;
	*data = span_of(r.at, reader_left(&r));

	return true;
}

/* A tuple is laid out as a DataRow's body. */
static bool is_tuple(const struct copy_reader *r, struct reader tuple, uint16_t count)
{
	for (uint16_t i = 0; i < count; i++)
		read_value(&tuple);

	return count == r->columns && reader_done(&tuple);
}

static enum copy_row binary_row(struct copy_reader *r, struct span data, struct buffer *row)
{
	struct reader tuple;
	uint16_t count;

	if (!r->started && !take_header(&data))
		return COPY_BAD;
	r->started = true;
	if (data.len == 0)
		return COPY_NOTHING;
	tuple = reader_over(data);
	count = read_u16(&tuple);
	if (count == UINT16_MAX && reader_done(&tuple)) {
		r->ended = true;
		return COPY_NOTHING;
	}
	if (!is_tuple(r, tuple, count))
		return COPY_BAD;
	buffer_add_span(row, data);

	return row->failed ? COPY_BAD : COPY_ROW;
}

/* ---- the stream ---- */

bool copy_begin(struct copy_reader *r, const struct copy_format *format, struct span body)
{
	struct reader reader = reader_over(body);
	uint8_t code = read_u8(&reader);

	*r = (struct copy_reader){.format = *format, .columns = read_u16(&reader)};
	for (uint16_t i = 0; i < r->columns; i++)
		read_u16(&reader);

	return reader_done(&reader) && code == (format->kind == COPY_BINARY ? 1 : 0);
}

enum copy_row copy_next(struct copy_reader *r, struct span data, struct buffer *row)
{
	bool names = r->format.header && !r->started;

	if (!data.data || r->ended)
		return COPY_BAD;
	if (r->format.kind == COPY_BINARY)
		return binary_row(r, data, row);
	r->started = true;
	if (!line_values(r, names, data, row))
		return COPY_BAD;

	return names ? COPY_NAMES : COPY_ROW;
}

bool copy_done(const struct copy_reader *r)
{
	return r->format.kind == COPY_BINARY ? r->ended : r->started || !r->format.header;
}

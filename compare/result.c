#include "compare/result.h"

#include <stdlib.h>

void result_init(struct result *r, size_t keep_limit_bytes)
{
	*r = (struct result){.kept_all = true};
	digest_init(&r->digest);
	buffer_init(&r->kept, keep_limit_bytes);
}

static void forget_columns(struct result *r)
{
	free(r->columns);
	r->columns = NULL;
	r->ncolumns = 0;
}

void result_release(struct result *r)
{
	forget_columns(r);
	buffer_release(&r->kept);
}

static void copy_text(char *to, size_t size, struct span from)
{
	size_t n = from.data ? from.len : 0;

	if (n > size - 1)
		n = size - 1;
	if (n > 0)
		memcpy(to, from.data, n);
	to[n] = '\0';
}

static void take_column(struct result_column *to, const struct column *from)
{
	copy_text(to->name, sizeof to->name, from->name);
	to->type_oid = from->type_oid;
	to->typmod = from->typmod;
	to->type_length = from->type_length;
	to->format = from->format;
}

bool result_columns(
	struct result *r, struct span row_description, uint16_t nformats, const uint16_t *formats)
{
	struct reader columns;
	struct column column;
	uint16_t n;

	forget_columns(r);
	if (!parse_row_description(row_description, &n, &columns))
		goto malformed;
	if (nformats > 1 && nformats != n)
		goto malformed;
	r->columns = calloc(n ? n : 1, sizeof *r->columns);
	if (!r->columns)
		goto malformed;
	for (uint16_t i = 0; i < n; i++) {
		if (!read_column(&columns, &column))
			goto malformed;
		if (nformats > 0)
			column.format = formats[nformats == 1 ? 0 : i];
		take_column(&r->columns[i], &column);
	}
	r->ncolumns = n;
	r->described = true;

	return true;
malformed:
	forget_columns(r);
	r->described = false;
	r->malformed = true;
	return false;
}

bool result_names(struct result *r, struct span names)
{
	struct reader values;
	uint16_t n;

	forget_columns(r);
	r->described = false;
	if (!parse_data_row(names, &n, &values) ||
		!(r->columns = calloc(n ? n : 1, sizeof *r->columns))) {
		r->malformed = true;
		return false;
	}
	for (uint16_t i = 0; i < n; i++)
		copy_text(r->columns[i].name, sizeof r->columns[i].name, read_value(&values));
	r->ncolumns = n;
	r->described = r->names_only = true;

	return true;
}

void result_no_data(struct result *r)
{
	forget_columns(r);
	r->described = true;
}

/* The layout of a DataRow, checked without taking it apart: on the hot path, hence by hand. */
static bool row_is_whole(const struct result *r, struct span row)
{
	const uint8_t *at = row.data, *end = at + row.len;
	unsigned n;

	if (!at || row.len < 2)
		return false;
	n = (unsigned)at[0] << 8 | at[1];
	if (r->described && n != r->ncolumns)
		return false;
	for (at += 2; n > 0; n--) {
		uint32_t length;

		if (end - at < 4)
			return false;
		memcpy(&length, at, 4);
		length = __builtin_bswap32(length);
		at += 4;
		if (length == UINT32_MAX)
			continue;
		if (length > (size_t)(end - at))
			return false;
		at += length;
	}

	return at == end;
}

static void keep_row(struct result *r, struct span row)
{
	uint32_t length = (uint32_t)row.len;
	uint8_t *to;

	if (sizeof length + row.len > r->kept.limit - r->kept.len) {
		r->kept_all = false;
		return;
	}
	to = buffer_extend(&r->kept, sizeof length + row.len);
	if (!to) {
		r->kept_all = false;
		return;
	}
	memcpy(to, &length, sizeof length);
	memcpy(to + sizeof length, row.data, row.len);
}

/* The row with what counts as NULL made NULL, in `out`; a row of values that is whole. */
static struct span without_lookalikes(const struct result *r, struct span row, struct buffer *out)
{
	struct reader values;
	uint16_t n;

	if (!parse_data_row(row, &n, &values))
		return row;
	buffer_add_u16(out, n);
	for (uint16_t i = 0; i < n; i++) {
		struct span value = read_value(&values);

		if (!value.data || span_equal(value, r->null_as)) {
			buffer_add_u32(out, UINT32_MAX);
			continue;
		}
		buffer_add_u32(out, (uint32_t)value.len);
		buffer_add_span(out, value);
	}

	return buffer_span(out);
}

static void take_row(struct result *r, struct span data_row)
{
	digest_row(&r->digest, data_row);
	r->rows++;
	r->bytes += data_row.len;
	if (r->kept_all)
		keep_row(r, data_row);
}

void result_row(struct result *r, struct span data_row)
{
	struct buffer row;

	if (!row_is_whole(r, data_row)) {
		r->malformed = true;
		return;
	}
	if (!r->null_as.data) {
		take_row(r, data_row);
		return;
	}
	buffer_init(&row, data_row.len);
	data_row = without_lookalikes(r, data_row, &row);
	if (row.failed)
		r->malformed = true;
	else
		take_row(r, data_row);
	buffer_release(&row);
}

void result_complete(struct result *r, struct span tag)
{
	r->end = RESULT_COMPLETE;
	copy_text(r->tag, sizeof r->tag, tag);
}

void result_error(struct result *r, struct span error_body)
{
	struct error_fields fields = {0};

	r->end = RESULT_ERROR;
	if (!parse_error_fields(error_body, &fields)) {
		r->malformed = true;
		return;
	}
	copy_sqlstate(fields.sqlstate, r->sqlstate);
	copy_text(r->message, sizeof r->message, fields.message);
}

bool result_kept_row(const struct result *r, size_t *at, struct span *data_row)
{
	struct span kept = buffer_span(&r->kept);
	uint32_t length;

	if (*at > kept.len || kept.len - *at < sizeof length)
		return false;
	memcpy(&length, kept.data + *at, sizeof length);
	if (length > kept.len - *at - sizeof length) /* memory ran out between length and row */
		return false;
	*data_row = span_of(kept.data + *at + sizeof length, length);
	*at += sizeof length + length;

	return true;
}

#include "protocol/message.h"

#include <assert.h>

static struct span read_u16_array(struct reader *r, uint16_t *count)
{
	*count = read_u16(r);

	return read_bytes(r, (size_t)*count * 2);
}

static struct span read_u32_array(struct reader *r, uint16_t *count)
{
	*count = read_u16(r);

	return read_bytes(r, (size_t)*count * 4);
}

static struct span read_values(struct reader *r, uint16_t *count)
{
	const uint8_t *from;

	*count = read_u16(r);
	from = r->at;
	for (uint16_t i = 0; i < *count && !r->bad; i++)
		read_value(r);

	return r->bad ? (struct span){0} : span_of(from, (size_t)(r->at - from));
}

bool parse_parse(struct span body, struct parse_message *out)
{
	struct reader r = reader_over(body);

	out->statement = read_cstr(&r);
	out->sql = read_cstr(&r);
	out->param_types = read_u32_array(&r, &out->nparams);

	return reader_done(&r);
}

bool parse_bind(struct span body, struct bind_message *out)
{
	struct reader r = reader_over(body);

	out->portal = read_cstr(&r);
	out->statement = read_cstr(&r);
	out->param_formats = read_u16_array(&r, &out->nparam_formats);
	out->params = read_values(&r, &out->nparams);
	out->result_formats = read_u16_array(&r, &out->nresult_formats);

	return reader_done(&r);
}

bool parse_execute(struct span body, struct execute_message *out)
{
	struct reader r = reader_over(body);

	out->portal = read_cstr(&r);
	out->max_rows = read_i32(&r);

	return reader_done(&r);
}

bool parse_target(struct span body, struct target_message *out)
{
	struct reader r = reader_over(body);

	out->kind = read_u8(&r);
	out->name = read_cstr(&r);

	return reader_done(&r) && (out->kind == 'S' || out->kind == 'P');
}

bool parse_query(struct span body, struct span *sql)
{
	struct reader r = reader_over(body);

	*sql = read_cstr(&r);

	return reader_done(&r);
}

bool read_column(struct reader *columns, struct column *out)
{
	out->name = read_cstr(columns);
	out->table_oid = read_u32(columns);
	out->attribute = read_u16(columns);
	out->type_oid = read_u32(columns);
	out->type_length = (int16_t)read_u16(columns);
	out->typmod = read_i32(columns);
	out->format = read_u16(columns);

	return !columns->bad;
}

bool parse_row_description(struct span body, uint16_t *ncolumns, struct reader *columns)
{
	struct reader r = reader_over(body);
	struct column column;

	*ncolumns = read_u16(&r);
	*columns = r;
	for (uint16_t i = 0; i < *ncolumns && !r.bad; i++)
		if (!read_column(&r, &column))
			return false;

	return reader_done(&r);
}

bool parse_parameter_description(struct span body, uint16_t *count, struct span *oids)
{
	struct reader r = reader_over(body);

	*oids = read_u32_array(&r, count);

	return reader_done(&r);
}

bool parse_data_row(struct span body, uint16_t *ncolumns, struct reader *values)
{
	struct reader r = reader_over(body);

	*ncolumns = read_u16(&r);
	*values = r;
	for (uint16_t i = 0; i < *ncolumns && !r.bad; i++)
		read_value(&r);

	return reader_done(&r);
}

bool parse_command_complete(struct span body, struct span *tag)
{
	struct reader r = reader_over(body);

	*tag = read_cstr(&r);

	return reader_done(&r);
}

bool tag_is_plain(struct span tag)
{
	static const struct plain {
		const char *text;
		uint8_t len;
		bool whole; /* nothing follows it */
	} plain[] = {{"SELECT ", 7, false}, {"INSERT ", 7, false}, {"UPDATE ", 7, false},
		{"DELETE ", 7, false}, {"MERGE ", 6, false}, {"BEGIN", 5, true},
		{"COMMIT", 6, true}, {"ROLLBACK", 8, true}};

	for (const struct plain *p = plain; p < plain + sizeof plain / sizeof plain[0]; p++)
		if (tag.len >= p->len && memcmp(tag.data, p->text, p->len) == 0 &&
			(!p->whole || tag.len == p->len))
			return true;

	return false;
}

bool parse_parameter_status(struct span body, struct span *name, struct span *value)
{
	struct reader r = reader_over(body);

	*name = read_cstr(&r);
	*value = read_cstr(&r);

	return reader_done(&r);
}

bool parse_error_fields(struct span body, struct error_fields *out)
{
	struct reader r = reader_over(body);
	struct span localized = {0};
	uint8_t field;

	*out = (struct error_fields){0};
	while ((field = read_u8(&r)) != 0) {
		struct span text = read_cstr(&r);

		switch (field) {
		case 'S': localized = text; break;
		case 'V': out->severity = text; break;
		case 'C': out->sqlstate = text; break;
		case 'M': out->message = text; break;
		case 'D': out->detail = text; break;
		case 'H': out->hint = text; break;
		default: break;
		}
	}
	if (!out->severity.data)
		out->severity = localized;

	return reader_done(&r);
}

bool parse_ready(struct span body, uint8_t *status)
{
	struct reader r = reader_over(body);

	*status = read_u8(&r);

	return !r.bad;
}

bool parse_startup(struct span body, struct startup_message *out)
{
	struct reader r = reader_over(body);
	const uint8_t *from;
	struct span name;

	out->code = read_u32(&r);
	out->parameters = (struct span){0};
	if (out->code >> 16 != 3)
		return !r.bad;

	from = r.at;
	while ((name = read_cstr(&r)).len > 0)
		read_cstr(&r);
	if (!reader_done(&r))
		return false;
	out->parameters = span_of(from, (size_t)(r.at - from) - 1);

	return true;
}

bool next_parameter(struct span *rest, struct span *name, struct span *value)
{
	struct reader r = reader_over(*rest);

	*name = read_cstr(&r);
	*value = read_cstr(&r);
	*rest = span_of(r.at, reader_left(&r));

	return !r.bad;
}

bool copy_sqlstate(struct span field, char out[6])
{
	out[0] = '\0';
	if (!field.data || field.len != 5)
		return false;
	memcpy(out, field.data, 5);
	out[5] = '\0';

	return true;
}

/* A builder is begin(), the fields, end(): end() knows the length. A message that did not fit is
 * taken back whole, so that the buffer never holds a torn one. */
static size_t begin(struct buffer *b, char type)
{
	size_t start = b->len;

	buffer_add_u8(b, (uint8_t)type);
	buffer_add_u32(b, 0);

	return start;
}

static void end(struct buffer *b, size_t start)
{
	size_t length;

	assert(start <= b->len);
	length = b->len - start - 1;
	if (b->failed || length > MESSAGE_LENGTH_MAX) {
		b->failed = true;
		b->len = start;
		return;
	}
	for (int i = 0; i < 4; i++)
		b->data[start + 1 + (size_t)i] = (uint8_t)(length >> (24 - 8 * i));
}

static void add_u16_array(struct buffer *b, uint16_t n, const uint16_t *values)
{
	buffer_add_u16(b, n);
	for (uint16_t i = 0; i < n; i++)
		buffer_add_u16(b, values[i]);
}

static void add_value(struct buffer *b, struct span value)
{
	if (value.len > MESSAGE_LENGTH_MAX)
		b->failed = true;
	buffer_add_u32(b, value.data ? (uint32_t)value.len : UINT32_MAX);
	buffer_add_span(b, value);
}

void build_query(struct buffer *b, const char *sql)
{
	size_t start = begin(b, FRONT_QUERY);

	buffer_add_cstr(b, sql);
	end(b, start);
}

void build_parse(struct buffer *b, struct span statement, struct span sql, uint16_t ntypes,
	const uint32_t *types)
{
	size_t start = begin(b, FRONT_PARSE);

	buffer_add_span_z(b, statement);
	buffer_add_span_z(b, sql);
	buffer_add_u16(b, ntypes);
	for (uint16_t i = 0; i < ntypes; i++)
		buffer_add_u32(b, types[i]);
	end(b, start);
}

void build_bind(struct buffer *b, struct span portal, struct span statement,
	uint16_t nparam_formats, const uint16_t *param_formats, uint16_t nparams,
	const struct span *params, uint16_t nresult_formats, const uint16_t *result_formats)
{
	size_t start = begin(b, FRONT_BIND);

	buffer_add_span_z(b, portal);
	buffer_add_span_z(b, statement);
	add_u16_array(b, nparam_formats, param_formats);
	buffer_add_u16(b, nparams);
	for (uint16_t i = 0; i < nparams; i++)
		add_value(b, params[i]);
	add_u16_array(b, nresult_formats, result_formats);
	end(b, start);
}

static void build_target(struct buffer *b, char type, char kind, struct span name)
{
	size_t start = begin(b, type);

	buffer_add_u8(b, (uint8_t)kind);
	buffer_add_span_z(b, name);
	end(b, start);
}

void build_describe(struct buffer *b, char kind, struct span name)
{
	build_target(b, FRONT_DESCRIBE, kind, name);
}

void build_close(struct buffer *b, char kind, struct span name)
{
	build_target(b, FRONT_CLOSE, kind, name);
}

void build_execute(struct buffer *b, struct span portal, uint32_t max_rows)
{
	size_t start = begin(b, FRONT_EXECUTE);

	buffer_add_span_z(b, portal);
	buffer_add_u32(b, max_rows);
	end(b, start);
}

void build_simple(struct buffer *b, char type)
{
	end(b, begin(b, type));
}

static void add_field(struct buffer *b, char field, const char *text)
{
	if (!text)
		return;
	buffer_add_u8(b, (uint8_t)field);
	buffer_add_cstr(b, text);
}

void build_error(struct buffer *b, const char *severity, const char *sqlstate, const char *message,
	const char *detail, const char *hint)
{
	size_t start = begin(b, BACK_ERROR);

	add_field(b, 'S', severity);
	add_field(b, 'V', severity);
	add_field(b, 'C', sqlstate);
	add_field(b, 'M', message);
	add_field(b, 'D', detail);
	add_field(b, 'H', hint);
	buffer_add_u8(b, 0);
	end(b, start);
}

void build_ready(struct buffer *b, char status)
{
	size_t start = begin(b, BACK_READY);

	buffer_add_u8(b, (uint8_t)status);
	end(b, start);
}

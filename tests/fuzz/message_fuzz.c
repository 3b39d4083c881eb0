/* Laws: no parser reads past the end (the body is a block of exactly its size, for ASan), what a
 * parser accepts lies whole inside the body, and a message that is accepted and built again is the
 * same message. The first byte chooses the parser. */
#include "protocol/message.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LIMIT = 16 * 1024 * 1024, PARSERS = 13 };

static void require(bool law)
{
	if (!law)
		abort();
}

static void inside(struct span body, struct span part)
{
	volatile uint8_t touched = 0;

	if (!part.data)
		return;
	require(part.data >= body.data && part.data + part.len <= body.data + body.len);
	for (size_t i = 0; i < part.len; i++)
		touched = (uint8_t)(touched ^ part.data[i]);
}

static void same_again(struct buffer *built, struct span body)
{
	require(!built->failed && built->len == body.len + MESSAGE_HEADER);
	require(body.len == 0 || memcmp(built->data + MESSAGE_HEADER, body.data, body.len) == 0);
}

static uint32_t u32_at(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void try_parse(struct span body, struct buffer *built)
{
	struct parse_message m;
	uint32_t *types;

	if (!parse_parse(body, &m))
		return;
	types = malloc((m.nparams + 1u) * sizeof *types);
	require(types != NULL);
	for (size_t i = 0; i < m.nparams; i++)
		types[i] = u32_at(m.param_types.data + 4 * i);
	build_parse(built, m.statement, m.sql, m.nparams, types);
	free(types);
	same_again(built, body);
}

static uint16_t *formats_of(struct span formats)
{
	uint16_t *out = malloc(formats.len + 1);

	require(out != NULL);
	for (size_t i = 0; i < formats.len / 2; i++)
		out[i] = (uint16_t)(formats.data[2 * i] << 8 | formats.data[2 * i + 1]);

	return out;
}

static void try_bind(struct span body, struct buffer *built)
{
	struct bind_message m;
	struct span *params;
	struct reader r;
	uint16_t *in, *out;

	if (!parse_bind(body, &m))
		return;
	params = malloc((m.nparams + 1u) * sizeof *params);
	require(params != NULL);
	r = reader_over(m.params);
	for (size_t i = 0; i < m.nparams; i++)
		inside(body, params[i] = read_value(&r));
	require(reader_done(&r));
	in = formats_of(m.param_formats);
	out = formats_of(m.result_formats);
	build_bind(built, m.portal, m.statement, m.nparam_formats, in, m.nparams, params,
		m.nresult_formats, out);
	free(in);
	free(out);
	free(params);
	same_again(built, body);
}

static void try_execute(struct span body, struct buffer *built)
{
	struct execute_message m;

	if (!parse_execute(body, &m))
		return;
	build_execute(built, m.portal, (uint32_t)m.max_rows);
	same_again(built, body);
}

static void try_target(struct span body, struct buffer *built)
{
	struct target_message m;

	if (!parse_target(body, &m))
		return;
	build_describe(built, (char)m.kind, m.name);
	same_again(built, body);
}

static void try_query(struct span body, struct buffer *built)
{
	struct span sql;

	if (!parse_query(body, &sql))
		return;
	build_query(built, (const char *)sql.data); /* its NUL stands in the body */
	same_again(built, body);
}

static void try_columns(struct span body)
{
	struct reader columns;
	struct column column;
	uint16_t n;

	if (!parse_row_description(body, &n, &columns))
		return;
	for (uint16_t i = 0; i < n; i++) {
		require(read_column(&columns, &column));
		inside(body, column.name);
	}
	require(reader_done(&columns));
}

static void try_row(struct span body)
{
	struct reader values;
	uint16_t n;

	if (!parse_data_row(body, &n, &values))
		return;
	for (uint16_t i = 0; i < n; i++)
		inside(body, read_value(&values));
	require(reader_done(&values));
}

static void try_error(struct span body)
{
	struct error_fields fields;
	char sqlstate[6];

	/* the fields found so far are good even when the message is torn */
	if (parse_error_fields(body, &fields))
		require(body.data[body.len - 1] == 0);
	inside(body, fields.severity);
	inside(body, fields.sqlstate);
	inside(body, fields.message);
	inside(body, fields.detail);
	inside(body, fields.hint);
	require(copy_sqlstate(fields.sqlstate, sqlstate) == (strlen(sqlstate) == 5) ||
		memchr(sqlstate, 0, 5) != NULL);
}

static void try_startup(struct span body)
{
	struct startup_message m;
	struct span name, value, rest;
	size_t total = 0;

	if (!parse_startup(body, &m))
		return;
	rest = m.parameters;
	while (next_parameter(&rest, &name, &value)) {
		inside(body, name);
		inside(body, value);
		require(name.len > 0);
		total += name.len + value.len + 2;
	}
	require(total == m.parameters.len);
	require(m.code >> 16 != 3 || total + 5 == body.len);
}

static void try_texts(struct span body, int which)
{
	struct span a = {0}, b = {0};
	uint16_t n;
	uint8_t status;

	switch (which) {
	case 0:
		if (parse_command_complete(body, &a))
			require(a.len + 1 == body.len);
		break;
	case 1:
		if (parse_parameter_status(body, &a, &b))
			require(a.len + b.len + 2 == body.len);
		break;
	case 2:
		if (parse_parameter_description(body, &n, &a))
			require(a.len == n * 4u && a.len + 2 == body.len);
		break;
	default: require(parse_ready(body, &status) == (body.len > 0)); break;
	}
	inside(body, a);
	inside(body, b);
}

static void try_one(int parser, struct span body, struct buffer *built)
{
	switch (parser) {
	case 0: try_parse(body, built); break;
	case 1: try_bind(body, built); break;
	case 2: try_execute(body, built); break;
	case 3: try_target(body, built); break;
	case 4: try_query(body, built); break;
	case 5: try_columns(body); break;
	case 6: try_row(body); break;
	case 7: try_error(body); break;
	case 8: try_startup(body); break;
	default: try_texts(body, parser - 9); break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buffer built;
	uint8_t *body;

	if (size == 0)
		return 0;
	body = malloc(size > 1 ? size - 1 : 1);
	require(body != NULL);
	memcpy(body, data + 1, size - 1);
	buffer_init(&built, LIMIT);
	try_one(data[0] % PARSERS, span_of(body, size - 1), &built);
	buffer_release(&built);
	free(body);

	return 0;
}

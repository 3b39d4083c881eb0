#include "proxy/shadow/execution_parts.h"

#include <stdio.h>
#include <stdlib.h>

const struct statement *execution_copied(struct observed *s, const struct statement *statement)
{
	if (!statement || statement->effect != EFFECT_COPY || !statement->copy_out ||
		!statement->body)
		return NULL;

	return observed_classify(s, span_cstr(statement->body));
}

/* The form in which the candidate is to answer, so that values compare like with like. */
static bool take_format(struct dark_read *read, const struct copy_format *format)
{
	char value[COPY_NULL_MAX + 1];

	if (copy_null_value(format, value) && !(read->null_as = strdup(value)))
		return false;
	if (format->kind != COPY_BINARY)
		return true;
	read->result_formats = calloc(1, sizeof *read->result_formats);
	if (!read->result_formats)
		return false;
	read->result_formats[0] = 1;
	read->nresult_formats = 1;

	return true;
}

struct execution *execution_begin_copied(struct observed *s, const struct statement *copy,
	const struct statement *inner, uint64_t time_us)
{
	struct execution *e = execution_new(s, inner);

	statement_unref(inner);
	if (!e)
		return NULL;
	e->copied = copy->copy;
	e->is_copy = true;
	e->began_us = time_us;
	if (e->skip != REASON_NONE ||
		!execution_read_begin(s, e, copy->body, strlen(copy->body), time_us))
		return e;
	e->read->simple = true;
	if (!take_format(e->read, &copy->copy.format) ||
		(copy->copy.encoding[0] &&
			!observed_settings_with(e->read, "client_encoding", copy->copy.encoding)))
		execution_forgo(e, REASON_MEMORY);

	return e;
}

void execution_copy_begin(struct execution *e, struct span body)
{
	if (e->read && (!e->is_copy || !copy_begin(&e->copying, &e->copied.format, body)))
		e->read->primary.malformed = true;
}

void execution_copy_row(struct observed *s, struct execution *e, struct span data)
{
	struct buffer row;

	if (!e->read || e->read->primary.malformed)
		return;
	buffer_init(&row, data.len + 2 + 4 * (size_t)e->copying.columns);
	switch (copy_next(&e->copying, data, &row)) {
	case COPY_ROW: execution_row(s, e, buffer_span(&row)); break;
	case COPY_NAMES: (void)!result_names(&e->read->primary, buffer_span(&row)); break;
	case COPY_NOTHING: break;
	case COPY_BAD: e->read->primary.malformed = true; break;
	}
	buffer_release(&row);
}

struct span execution_copy_complete(struct execution *e, struct span tag, char *text, size_t size)
{
	if (!e->read || !e->is_copy || tag.len <= 5 || memcmp(tag.data, "COPY ", 5) != 0)
		return tag;
	if (!copy_done(&e->copying))
		e->read->primary.malformed = true;
	snprintf(text, size, "SELECT %.*s", (int)(tag.len - 5), (const char *)tag.data + 5);

	return span_cstr(text);
}

bool execution_copy_refused(const struct execution *e, const char *sqlstate)
{
	return e->is_copy && e->copied.may_refuse && strncmp(sqlstate, "42", 2) == 0;
}

#include "proxy/shadow/verifier_parts.h"

#include <stdlib.h>

/* Of a bigint's text or bytes; 0: none, or more than can matter. */
static int64_t limit_from_text(struct span value)
{
	int64_t limit = 0;

	for (size_t i = 0; i < value.len; i++) {
		if (value.data[i] < '0' || value.data[i] > '9' || i > 17)
			return 0;
		limit = limit * 10 + (value.data[i] - '0');
	}

	return limit;
}

static int64_t limit_from_binary(struct span value)
{
	int64_t limit = 0;

	for (size_t i = 0; i < value.len && value.len == 8; i++)
		limit = (int64_t)((uint64_t)limit << 8 | value.data[i]);

	return limit > 0 ? limit : 0;
}

void trial_set_order(struct trial *t, const struct order_rule *order)
{
	const struct dark_read *read = t->read;
	unsigned n = order->limit_param;
	uint16_t format = 0;
	struct span value;

	t->order = *order;
	if (n == 0 || n > read->nparams || !read->params[n - 1].data)
		return;
	value = read->params[n - 1];
	if (read->nparam_formats == 1)
		format = read->param_formats[0];
	else if (n <= read->nparam_formats)
		format = read->param_formats[n - 1];
	t->order.limit_rows = format == 0 ? limit_from_text(value) : limit_from_binary(value);
}

/* --- inner rows ------------------------------------------------------------------------------- */

static const uint64_t inner_horizon_us = 2000000;

/* Decides a text; a reference to the statement if it may run, and no order is free in it. */
static const struct statement *clean(struct classifier *c, const char *sql)
{
	const struct statement *s = NULL;
	struct text_parts parts;

	if (!classify_text(c, span_cstr(sql), &parts))
		return NULL;
	if (parts.count == 1 && parts.part[0].statement->skip == REASON_NONE &&
		!parts.part[0].statement->order.leaks && !parts.part[0].statement->unknown_function)
		s = statement_ref(parts.part[0].statement);
	text_parts_release(&parts);

	return s;
}

/* By the primary's catalogue, and the candidate's must let it pass too (L3). */
static const struct statement *decide_inner(const struct trial *t, const char *sql)
{
	const struct database_candidate *c = &t->database->candidate[t->candidate];
	const struct statement *s = clean(t->database->primary_classifier, sql);
	const struct statement *there = s && c->ready ? clean(c->classifier, sql) : NULL;

	if (!there && s) {
		statement_unref(s);
		s = NULL;
	}
	statement_unref(there);

	return s;
}

static struct dark_read *inner_read(const struct trial *t, const struct statement **statement)
{
	char *sql = classify_inner_rows(
		t->database->primary_classifier, span_cstr(t->read->sql), t->order.limit_rows);
	struct dark_read *read = NULL;

	*statement = sql ? decide_inner(t, sql) : NULL;
	if (*statement)
		read = dark_read_derive(t->read, sql);
	if (*statement && !read) {
		statement_unref(*statement);
		*statement = NULL;
	}
	free(sql);

	return read;
}

bool trial_turn_inner(struct trial *t, uint64_t *not_before_us)
{
	uint64_t now = verifier_clock_us(CLOCK_MONOTONIC);
	const struct statement *statement;

	if (t->inner_tried || t->alone || t->read->row_limit > 0)
		return false;
	t->inner_tried = true;
	*not_before_us = shape_inner_turn(t->shape, now);
	if (*not_before_us > now + inner_horizon_us)
		return false;
	t->inner = inner_read(t, &statement);
	if (!t->inner)
		return false;
	t->order = statement->order;
	t->summed = statement->summed;
	statement_unref(statement);

	return true;
}

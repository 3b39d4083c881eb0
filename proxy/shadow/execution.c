/* One execution from its first answer to its end: which rows belong to it, and the dark read that
 * comes of it. */
#include "proxy/shadow/execution_parts.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

void execution_free(struct observed *s, struct execution *e)
{
	s->observer->memory -= e->charged;
	statement_unref(e->statement);
	dark_read_unref(e->read);
	free(e);
}

void execution_abandon(
	struct observed *s, struct execution *e, enum outcome outcome, enum reason reason)
{
	const struct observer_sink *sink = &s->observer->sink;

	if (e->skip != REASON_NONE)
		sink->on_end(sink->self, e->statement, reason_outcome(e->skip), e->skip);
	else
		sink->on_end(sink->self, e->statement, outcome, reason);
	execution_free(s, e);
}

/* The sink counted the execution already, so out of memory must still end it. */
struct execution *execution_new(struct observed *s, const struct statement *statement)
{
	const struct observer_sink *sink = &s->observer->sink;
	struct execution *e = calloc(1, sizeof *e);

	sink->on_begin(sink->self);
	if (!e) {
		sink->on_end(sink->self, statement, OUTCOME_DROPPED, REASON_MEMORY);
		return NULL;
	}
	e->statement = statement ? statement_ref(statement) : NULL;
	e->skip = observed_decide(s, statement);

	return e;
}

void execution_forgo(struct execution *e, enum reason reason)
{
	dark_read_unref(e->read);
	e->read = NULL;
	if (reason_outcome(reason) == OUTCOME_SKIPPED)
		e->skip = reason;
	else
		e->dropped = reason;
}

void execution_mixed(struct execution *e)
{
	if (e->skip == REASON_NONE)
		execution_forgo(e, REASON_PARTIAL);
}

bool execution_read_begin(
	struct observed *s, struct execution *e, const char *sql, size_t sql_len, uint64_t time_us)
{
	struct dark_read *read = dark_read_new();
	const struct facts *facts = observed_facts(s);

	e->began_us = time_us;
	if (!read) {
		e->dropped = REASON_MEMORY;
		return false;
	}
	e->read = read;
	memcpy(read->session, s->uuid, sizeof read->session);
	read->sql = strndup(sql, sql_len);
	read->statement = statement_ref(e->statement);
	read->wall_us = time_us + s->wall_offset_us;
	result_init(&read->primary, s->observer->options.keep_limit_bytes);
	if (!read->sql || !facts) {
		execution_forgo(e, REASON_MEMORY);
		return false;
	}
	if (!facts->names || !observed_settings(s, read)) {
		execution_forgo(e, REASON_SESSION_UNKNOWN);
		return false;
	}
	dark_read_names(read, facts->names);
	read->role_changed = facts->identity_changed;

	return true;
}

bool execution_copy_types(struct dark_read *read, const struct prepared *p)
{
	read->param_types = calloc(p->ntypes ? p->ntypes : 1, sizeof *read->param_types);
	if (!read->param_types)
		return false;
	read->nparam_types = p->ntypes;
	memcpy(read->param_types, p->types, p->ntypes * sizeof *p->types);
	if (!p->described)
		return true;
	read->value_types = calloc(p->ndescribed ? p->ndescribed : 1, sizeof *read->value_types);
	if (!read->value_types)
		return false;
	read->nvalue_types = p->ndescribed;
	memcpy(read->value_types, p->described, p->ndescribed * sizeof *p->described);

	return true;
}

/* The prepared read that an EXECUTE with literal arguments runs, or NULL. */
static struct prepared *executed(struct observed *s, const struct text_part *part)
{
	const struct statement *st = part ? part->statement : NULL;
	struct prepared *p = NULL;

	if (st && st->effect == EFFECT_EXECUTE && st->literal_args && st->name)
		p = observed_statement(s, st->name, strlen(st->name));

	return p && p->statement && p->statement->skip == REASON_NONE && !p->types_unknown ? p
											   : NULL;
}

/* The literals become parameters in text format. */
static bool copy_arguments(struct dark_read *read, const struct statement *st)
{
	size_t bytes = 1, at = 0;

	for (uint16_t i = 0; i < st->nargs; i++)
		bytes += st->args[i] ? strlen(st->args[i]) : 0;
	read->memory = malloc(bytes);
	read->params = calloc(st->nargs ? st->nargs : 1, sizeof *read->params);
	if (!read->memory || !read->params)
		return false;
	read->nparams = st->nargs;
	for (uint16_t i = 0; i < st->nargs; i++) {
		size_t len = st->args[i] ? strlen(st->args[i]) : 0;

		if (!st->args[i])
			continue; /* absent: NULL */
		memcpy(read->memory + at, st->args[i], len);
		read->params[i] = span_of(read->memory + at, len);
		at += len;
	}

	return true;
}

static void begin_executed(struct observed *s, struct execution *e, const struct request *q,
	const struct text_part *part, const struct prepared *p)
{
	e->executed = true;
	if (e->skip != REASON_NONE ||
		!execution_read_begin(s, e, p->sql, strlen(p->sql), q->time_us))
		return;
	e->read->simple = true;
	if (!execution_copy_types(e->read, p) || !copy_arguments(e->read, part->statement))
		execution_forgo(e, REASON_MEMORY);
}

struct execution *execution_begin_part(
	struct observed *s, struct request *q, const struct text_part *part)
{
	const struct prepared *p = executed(s, part);
	const struct statement *inner = execution_copied(s, part ? part->statement : NULL);
	struct execution *e;

	if (inner)
		return execution_begin_copied(s, part->statement, inner, q->time_us);
	e = execution_new(s, p ? p->statement : part ? part->statement : NULL);
	if (part && !q->too_long)
		execution_collect(s, e, part->statement, NULL, q->time_us);
	if (!e)
		return NULL;
	e->began_us = q->time_us;
	if (p) {
		begin_executed(s, e, q, part, p);
		return e;
	}
	if (!part && !q->unreadable && e->skip == REASON_SESSION_UNKNOWN)
		e->skip = REASON_NOT_A_READ; /* an empty text */
	if (q->too_long)
		e->skip = REASON_TOO_LONG;
	e->began_us = q->time_us;
	if (e->skip == REASON_NONE &&
		execution_read_begin(
			s, e, (const char *)q->body + part->offset, part->len, q->time_us))
		e->read->simple = true;

	return e;
}

uint16_t *execution_formats(struct span codes, uint16_t n)
{
	struct reader r = reader_over(codes);
	uint16_t *formats = calloc(n ? n : 1, sizeof *formats);

	for (uint16_t i = 0; formats && i < n; i++)
		formats[i] = read_u16(&r);

	return formats;
}

bool execution_copy_bind(struct dark_read *read, const struct portal *p)
{
	struct bind_message bind;
	struct reader values;

	read->memory = malloc(p->bind_len ? p->bind_len : 1);
	if (!read->memory)
		return false;
	memcpy(read->memory, p->bind, p->bind_len);
	if (!parse_bind(span_of(read->memory, p->bind_len), &bind))
		return false;
	read->param_formats = execution_formats(bind.param_formats, bind.nparam_formats);
	read->result_formats = execution_formats(bind.result_formats, bind.nresult_formats);
	read->params = calloc(bind.nparams ? bind.nparams : 1, sizeof *read->params);
	if (!read->param_formats || !read->result_formats || !read->params)
		return false;
	read->nparam_formats = bind.nparam_formats;
	read->nresult_formats = bind.nresult_formats;
	read->nparams = bind.nparams;
	values = reader_over(bind.params);
	for (uint16_t i = 0; i < bind.nparams; i++)
		read->params[i] = read_value(&values);

	return !values.bad;
}

/* Columns of the primary's answer: a Describe of the portal, else of the statement with the Bind's
 * formats. */
void execution_describe(struct dark_read *read, const struct portal *p)
{
	if (p->columns)
		(void)!result_columns(&read->primary, span_of(p->columns, p->columns_len), 0, NULL);
	else if (p->prepared->columns)
		(void)!result_columns(&read->primary,
			span_of(p->prepared->columns, p->prepared->columns_len),
			read->nresult_formats, read->result_formats);
	else if (p->no_data || p->prepared->no_data)
		result_no_data(&read->primary);
}

struct execution *execution_begin_portal(
	struct observed *s, struct portal *p, const struct request *request)
{
	struct prepared *prepared = p ? p->prepared : NULL;
	const struct statement *decided = prepared ? observed_decision(s, prepared) : NULL,
			       *inner = execution_copied(s, decided);
	struct execution *e;

	if (inner)
		return execution_begin_copied(s, decided, inner, request->time_us);
	e = execution_new(s, decided);
	if (decided)
		execution_collect(s, e, decided, p, request->time_us);
	if (!e)
		return NULL;
	e->began_us = request->time_us;
	if (p && p->cursor) {
		execution_execute_cursor(s, e, p, request->time_us);
		return e;
	}
	if (prepared && prepared->types_unknown && e->skip == REASON_NONE)
		e->skip = REASON_SESSION_UNKNOWN;
	if (prepared && prepared->sql[0] == '\0')
		e->skip = REASON_NOT_A_READ; /* an empty text */
	if (e->skip != REASON_NONE ||
		!execution_read_begin(s, e, prepared->sql, strlen(prepared->sql), request->time_us))
		return e;
	e->read->named = prepared->name[0] != '\0' && !prepared->from_sql;
	if (!execution_copy_types(e->read, prepared) || !execution_copy_bind(e->read, p)) {
		execution_forgo(e, REASON_MEMORY);
		return e;
	}
	execution_describe(e->read, p);

	return e;
}

void execution_columns(struct execution *e, struct span row_description)
{
	struct dark_read *read = e->read;

	if (e->cursor && e->cursor->fetched)
		read = e->cursor->fetched->read;
	if (read && !(e->cursor && read->primary.described) &&
		!result_columns(&read->primary, row_description, 0, NULL))
		read->primary.malformed = true;
}

void execution_row(struct observed *s, struct execution *e, struct span body)
{
	struct observer *o = s->observer;
	struct result *result;
	size_t before;

	if (e->cursor && e->cursor->fetched)
		e = e->cursor->fetched;
	if (!e->read)
		return;
	result = &e->read->primary;
	if (o->memory >= o->options.memory_limit_bytes)
		result->kept.limit =
			result->kept.len; /* the digest goes on, the rows are not kept */
	before = result->kept.len;
	result_row(result, body);
	e->charged += result->kept.len - before;
	o->memory += result->kept.len - before;
}

static void hand_over(struct observed *s, struct execution *e)
{
	const struct observer_sink *sink = &s->observer->sink;
	struct dark_read *read = e->read;

	if (e->skip == REASON_NONE && e->dropped == REASON_NONE && read && read->primary.malformed)
		e->skip = REASON_LOST_PAIRING;
	if (e->skip != REASON_NONE || e->dropped != REASON_NONE || !read) {
		enum reason reason = e->skip != REASON_NONE ? e->skip : e->dropped;

		sink->on_end(sink->self, e->statement, reason_outcome(reason), reason);
	} else {
		e->read = NULL;
		sink->on_read(sink->self, read);
	}
	execution_free(s, e);
}

/* The relay throws the coin where there are rows; where there were none, here. */
static bool sampled_out(struct observed *s, const struct execution *e)
{
	struct observer *o = s->observer;

	if (!e->read || e->read->primary.rows > 0 || o->options.sample >= 1)
		return false;
	o->random = o->random * 6364136223846793005u + 1442695040888963407u;

	return (double)(o->random >> 11) * 0x1p-53 >= o->options.sample;
}

/* The server's word against the parser's: an INSERT that was taken for a read is none. In the
 * tests' build (see classify.c) that can be turned off too, so that they see what the layers behind
 * hold back. */
static bool is_read_tag(struct span tag)
{
#ifdef PGUMBRA_TEST_HOOKS
	const char *unsafe = getenv("PGUMBRA_UNSAFE_CLASSIFIER");

	if (unsafe && strcmp(unsafe, "2") == 0)
		return true;
#endif
	return tag.len > 7 && memcmp(tag.data, "SELECT ", 7) == 0;
}

void execution_complete(struct observed *s, struct execution *e, struct span tag, uint64_t time_us)
{
	char select[40];

	if (execution_abandons(s, e)) {
		execution_limited(s, e);
		return;
	}
	tag = execution_fetch_complete(s, e, tag, time_us, select, sizeof select);
	tag = execution_copy_complete(e, tag, select, sizeof select);
	if (e->read && !is_read_tag(tag))
		execution_forgo(e, REASON_LOST_PAIRING);
	if (e->dropped == REASON_NONE && sampled_out(s, e))
		execution_forgo(e, REASON_SAMPLED_OUT);
	if (e->read) {
		result_complete(&e->read->primary, tag);
		e->read->primary.elapsed_us = time_us - e->began_us;
	}
	hand_over(s, e);
}

/* Errors that say something about the moment, not about the statement. */
static enum reason error_reason(const char *sqlstate)
{
	static const struct {
		const char *prefix;
		enum reason reason;
	} table[] = {{"25P02", REASON_FAILED_TRANSACTION}, {"57", REASON_CANCELLED},
		{"40", REASON_CANCELLED}, {"53", REASON_CANCELLED}, {"08", REASON_CANCELLED},
		{"55P03", REASON_CANCELLED}};

	for (size_t i = 0; i < sizeof table / sizeof *table; i++)
		if (strncmp(sqlstate, table[i].prefix, strlen(table[i].prefix)) == 0)
			return table[i].reason;

	return REASON_NONE;
}

/* The commit of a Query comes before its last CommandComplete, and what a cursor WITH HOLD still
 * has to compute fails there, in the name of the last statement. */
static bool commit_may_fail(const struct observed *s)
{
	for (const struct portal *p = s->portals; p && !s->in_block; p = p->hh.next)
		if (p->hold && !p->held)
			return true;

	return false;
}

void execution_failed(struct observed *s, struct execution *e, struct span body, uint64_t time_us)
{
	execution_fetch_failed(s, e);
	if (e->read) {
		struct result *primary = &e->read->primary;
		enum reason reason;

		result_error(primary, body);
		primary->elapsed_us = time_us - e->began_us;
		reason = e->executed ? REASON_NOT_A_READ : error_reason(primary->sqlstate);
		if (execution_copy_refused(e, primary->sqlstate))
			reason = REASON_NOT_A_READ;
		if (reason == REASON_NONE && e->read->simple && commit_may_fail(s))
			reason = REASON_LOST_PAIRING;
		if (reason != REASON_NONE)
			execution_forgo(e, reason);
	}
	hand_over(s, e);
}

void execution_limited(struct observed *s, struct execution *e)
{
	if (e->read) {
		if (e->read->primary.rows > UINT32_MAX - 1) {
			execution_forgo(e, REASON_PARTIAL);
		} else {
			e->read->row_limit = (uint32_t)e->read->primary.rows;
			e->read->primary.end = RESULT_SUSPENDED;
		}
	}
	hand_over(s, e);
}

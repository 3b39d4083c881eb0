/* Cursors of SQL: DECLARE, FETCH forwards to the end, or to where the client had enough, as the one
 * read that they are. */
#include "proxy/shadow/execution_parts.h"

#include <stdio.h>
#include <stdlib.h>

/* A cursor may move with nobody seeing it any more: what is fetched is not all. */
void execution_undeclare(struct observed *s, struct portal *p)
{
	if (p->fetched)
		execution_free(s, p->fetched);
	p->fetched = NULL;
	if (p->refused == REASON_NONE)
		p->refused = REASON_PARTIAL;
}

/* Parameters of a DECLARE that came by Parse and Bind; what it returns is in the FETCH's formats.
 */
static bool take_declared(const struct portal *by, struct dark_read *read)
{
	read->simple = !by;
	if (!by)
		return true;
	if (!by->prepared || by->prepared->types_unknown ||
		!execution_copy_types(read, by->prepared) || !execution_copy_bind(read, by))
		return false;
	read->nresult_formats = 0;

	return true;
}

void execution_declare(struct observed *s, struct portal *p, const struct statement *statement)
{
	struct execution *e;

	if (!statement->body)
		return;
	e = calloc(1, sizeof *e);
	if (!e)
		return;
	e->statement = observed_classify(s, span_cstr(statement->body));
	p->fetched = e;
	p->refused = observed_decide(s, e->statement);
	if (p->refused == REASON_NONE &&
		execution_read_begin(s, e, statement->body, strlen(statement->body), 0) &&
		take_declared(s->applying, e->read))
		return;
	if (p->refused == REASON_NONE)
		p->refused = e->skip != REASON_NONE ? e->skip : REASON_SESSION_UNKNOWN;
	execution_undeclare(s, p);
}

/* Values are written as the settings say when they are fetched. */
static bool same_settings(struct observed *s, const struct dark_read *read)
{
	const struct facts *now = observed_facts(s);

	return now && now->list && !session_settings_unknown(&s->settings) &&
	       now->list->hash == read->settings_hash;
}

void execution_continues(struct observed *s, struct execution *e)
{
	if (e->read && !same_settings(s, e->read))
		execution_forgo(e, REASON_PARTIAL);
}

/* The formats that a FETCH's rows come in, owned: as its Bind asks; in a simple Query those of the
 * cursor. NULL: malformed, or out of memory. */
static uint16_t *fetched_formats(const struct portal *cursor, const struct portal *by, uint16_t *n)
{
	struct bind_message bind = {.nresult_formats = 0};
	uint16_t *formats;

	if (by && !parse_bind(span_of(by->bind, by->bind_len), &bind))
		return NULL;
	*n = by ? bind.nresult_formats : cursor->binary ? 1 : 0;
	if (by)
		return execution_formats(bind.result_formats, bind.nresult_formats);
	formats = calloc(1, sizeof *formats);
	if (formats)
		formats[0] = cursor->binary ? 1 : 0;

	return formats;
}

/* The formats that all of its rows come in are those of the first FETCH. */
static bool same_formats(const struct portal *cursor, const struct portal *by)
{
	struct execution *fetched = cursor->fetched;
	struct dark_read *read = fetched->read;
	uint16_t n = 0, *formats = fetched_formats(cursor, by, &n);
	bool same;

	if (!formats)
		return false;
	if (fetched->began_us == 0) { /* the first */
		free(read->result_formats);
		read->result_formats = formats;
		read->nresult_formats = n;
		return true;
	}
	same = read->nresult_formats == n &&
	       memcmp(read->result_formats, formats, n * sizeof *formats) == 0;
	free(formats);

	return same;
}

/* Forwards, the rows are the cursor's next ones; any other way they are no longer all. */
static void collect_fetch(struct observed *s, struct execution *e, const struct statement *st,
	const struct portal *by, uint64_t time_us)
{
	struct portal *p = st->name ? observed_portal(s, st->name, strlen(st->name)) : NULL;
	struct execution *fetched = p ? p->fetched : NULL;

	if (fetched && (!e || st->fetch_rows == 0 || !same_settings(s, fetched->read) ||
			       !same_formats(p, by)))
		execution_undeclare(s, p);
	if (!p || !e)
		return;
	if (p->refused != REASON_NONE && !st->moves)
		e->skip = p->refused;
	if (!p->fetched)
		return;
	e->cursor = p;
	if (fetched->began_us == 0) {
		fetched->began_us = time_us;
		fetched->read->wall_us = time_us + s->wall_offset_us;
	}
	if (by && !fetched->read->primary.described)
		execution_describe(fetched->read, by);
}

/* FETCH in text: Execute returns nothing else, of a BINARY cursor too. */
static bool in_text(const struct dark_read *read)
{
	for (uint16_t i = 0; i < read->nresult_formats; i++)
		if (read->result_formats[i] != 0)
			return false;

	return true;
}

/* Does the statement end this cursor? */
static bool ends(const struct statement *st, const struct portal *p)
{
	switch (st->effect) {
	case EFFECT_CLOSE: return !st->name || strcmp(st->name, p->name) == 0;
	case EFFECT_COMMIT: return !p->hold;
	case EFFECT_ROLLBACK: return !p->held;
	default: return false;
	}
}

/* The first cursor that is ended with rows fetched and more to come: its execution is this one. */
static void collect_end(struct observed *s, struct execution *e, const struct statement *st)
{
	for (struct portal *p = s->portals; p && !e->cursor; p = p->hh.next)
		if (p->fetched && p->fetched->read->primary.rows > 0 && ends(st, p))
			e->cursor = p;
	e->ends_cursor = e->cursor != NULL;
}

void execution_collect(struct observed *s, struct execution *e, const struct statement *st,
	const struct portal *by, uint64_t time_us)
{
	if (st->effect == EFFECT_FETCH)
		collect_fetch(s, e, st, by, time_us);
	else if (e)
		collect_end(s, e, st);
}

/* What was collected is read in the name of this execution. */
static void take_over(struct observed *s, struct execution *e)
{
	struct execution *fetched = e->cursor->fetched;

	e->cursor->fetched = NULL;
	e->cursor = NULL;
	e->read = fetched->read;
	e->began_us = fetched->began_us;
	e->fetched_us = fetched->fetched_us;
	e->charged += fetched->charged;
	e->skip = fetched->skip;
	e->dropped = fetched->dropped;
	statement_unref(e->statement);
	e->statement = fetched->statement;
	fetched->read = NULL;
	fetched->statement = NULL;
	fetched->charged = 0;
	execution_free(s, fetched);
}

static bool fetched_all(const struct execution *e, struct span tag)
{
	char number[24];

	if (!e->cursor || !e->cursor->fetched || tag.len <= 6 || tag.len - 6 >= sizeof number ||
		memcmp(tag.data, "FETCH ", 6) != 0)
		return false;
	memcpy(number, tag.data + 6, tag.len - 6);
	number[tag.len - 6] = '\0';

	return strtoll(number, NULL, 10) < e->statement->fetch_rows;
}

struct span execution_fetch_complete(struct observed *s, struct execution *e, struct span tag,
	uint64_t time_us, char *text, size_t size)
{
	if (e->cursor && e->cursor->fetched)
		e->cursor->fetched->fetched_us = time_us;
	if (!fetched_all(e, tag))
		return tag;
	take_over(s, e);
	snprintf(text, size, "SELECT %llu", (unsigned long long)e->read->primary.rows);

	return span_cstr(text);
}

bool execution_abandons(struct observed *s, struct execution *e)
{
	if (!e->ends_cursor || !e->cursor->fetched)
		return false;
	take_over(s, e);
	e->read->primary.elapsed_us = e->fetched_us - e->began_us;

	return true;
}

/* What the cursor met in mid-way, its query meets too. */
void execution_fetch_failed(struct observed *s, struct execution *e)
{
	struct portal *p = e->cursor;

	if (p && p->fetched && !e->ends_cursor)
		take_over(s, e);
	if (p)
		execution_undeclare(s, p);
	e->cursor = NULL;
}

void execution_execute_cursor(
	struct observed *s, struct execution *e, struct portal *p, uint64_t time_us)
{
	struct execution *fetched = p->fetched;

	if (fetched && (!same_settings(s, fetched->read) ||
			       (fetched->began_us > 0 && !in_text(fetched->read))))
		execution_undeclare(s, p);
	if (!p->fetched) {
		e->skip = p->refused != REASON_NONE ? p->refused : REASON_NOT_A_READ;
		return;
	}
	if (fetched->began_us == 0) {
		fetched->began_us = time_us;
		fetched->read->wall_us = time_us + s->wall_offset_us;
		fetched->read->nresult_formats = 0;
	}
	e->cursor = p;
	take_over(s, e);
	if (!e->read->primary.described && p->columns)
		execution_describe(e->read, p);
}

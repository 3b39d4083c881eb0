/* Prepared statements and portals of a session, as the server keeps them (HAZARDS of the protocol:
 * Close of a statement leaves its portals; a failed unnamed Parse has dropped the old one; names
 * are shared with SQL PREPARE and cursors). */
#include "proxy/shadow/observed.h"

#include <stdlib.h>

void prepared_unref(struct prepared *p)
{
	if (!p || --p->references > 0)
		return;
	if (p->observer)
		p->observer->memory -= p->charged;
	statement_unref(p->statement);
	free(p->name);
	free(p->sql);
	free(p->types);
	free(p->described);
	free(p->columns);
	free(p);
}

struct prepared *observed_statement(struct observed *s, const char *name, size_t len)
{
	struct prepared *p;

	HASH_FIND(hh, s->statements, name, len, p);

	return p;
}

void observed_undefine(struct observed *s, const char *name, size_t len)
{
	struct prepared *p = observed_statement(s, name, len);

	if (p) {
		HASH_DEL(s->statements, p);
		prepared_unref(p);
	}
}

void observed_forget_statements(struct observed *s)
{
	struct prepared *p, *next;

	HASH_ITER (hh, s->statements, p, next) {
		HASH_DEL(s->statements, p);
		prepared_unref(p);
	}
}

const struct statement *observed_classify(struct observed *s, struct span sql)
{
	const struct statement *statement = NULL;
	struct text_parts parts;

	if (!classify_text(s->view->classifier, sql, &parts))
		return NULL;
	if (parts.count == 1)
		statement = statement_ref(parts.part[0].statement);
	text_parts_release(&parts);

	return statement;
}

void observed_define(struct observed *s, struct span name, struct span sql, uint16_t ntypes,
	const uint32_t *types, bool from_sql)
{
	struct prepared *p = NULL;

	observed_undefine(s, (const char *)name.data, name.len);
	if (HASH_COUNT(s->statements) < SESSION_STATEMENTS_MAX &&
		s->observer->memory + sql.len <= s->observer->options.memory_limit_bytes)
		p = calloc(1, sizeof *p);
	if (!p) { /* binding it later is session_unknown */
		s->statements_unknown = s->statements_unproven = true;
		return;
	}
	p->references = 1;
	p->from_sql = from_sql;
	p->name = strndup((const char *)name.data, name.len);
	p->sql = strndup((const char *)sql.data, sql.len);
	p->observer = s->observer;
	p->charged = sql.len;
	p->observer->memory += p->charged;
	p->types = calloc(ntypes ? ntypes : 1, sizeof *p->types);
	if (!p->name || !p->sql || !p->types) {
		s->statements_unknown = s->statements_unproven = true;
		prepared_unref(p);
		return;
	}
	for (p->ntypes = 0; p->ntypes < ntypes; p->ntypes++)
		p->types[p->ntypes] = types[p->ntypes];
	if (!observed_unreadable(s, sql))
		p->statement = observed_classify(s, sql); /* NULL for an empty text: never a read */
	HASH_ADD_KEYPTR(hh, s->statements, p->name, strlen(p->name), p);
}

void observed_prepare(struct observed *s, const struct statement *st)
{
	struct prepared *p;

	observed_define(s, span_cstr(st->name), span_cstr(st->body ? st->body : ""), st->ntypes,
		st->types, true);
	p = observed_statement(s, st->name, strlen(st->name));
	if (p)
		p->types_unknown = !st->types_known;
}

struct portal *observed_portal(struct observed *s, const char *name, size_t len)
{
	struct portal *p;

	HASH_FIND(hh, s->portals, name, len, p);

	return p;
}

void portal_free(struct observed *s, struct portal *p)
{
	if (p->execution)
		execution_limited(s, p->execution);
	execution_undeclare(s, p);
	prepared_unref(p->prepared);
	free(p->name);
	free(p->bind);
	free(p->columns);
	free(p);
}

void observed_close_portal(struct observed *s, const char *name, size_t len)
{
	struct portal *p = observed_portal(s, name, len);

	if (p) {
		HASH_DEL(s->portals, p);
		portal_free(s, p);
	}
}

void observed_close_portals(struct observed *s)
{
	struct portal *p, *next;

	HASH_ITER (hh, s->portals, p, next) {
		if (p == s->applying) /* the server leaves the one that says so */
			continue;
		HASH_DEL(s->portals, p);
		portal_free(s, p);
	}
}

static void close_those(
	struct observed *s, bool (*gone)(const struct portal *p, size_t depth), size_t depth)
{
	struct portal *p, *next;

	HASH_ITER (hh, s->portals, p, next) {
		if (gone(p, depth)) {
			HASH_DEL(s->portals, p);
			portal_free(s, p);
		}
	}
}

static bool is_not_held(const struct portal *p, size_t depth)
{
	(void)depth;
	return !p->held;
}

static bool is_behind(const struct portal *p, size_t depth)
{
	return !p->held && p->depth >= depth;
}

void observed_end_portals(struct observed *s, bool committed)
{
	if (committed)
		for (struct portal *p = s->portals; p; p = p->hh.next)
			p->held |= p->hold;
	close_those(s, is_not_held, 0);
}

void observed_rollback_portals(struct observed *s, size_t depth)
{
	close_those(s, is_behind, depth);
}

void observed_release_portals(struct observed *s, size_t depth)
{
	for (struct portal *p = s->portals; p && depth > 0; p = p->hh.next)
		if (p->depth >= depth)
			p->depth = depth - 1;
}

static struct portal *portal_new(struct observed *s, struct span name)
{
	struct portal *p;

	observed_close_portal(s, (const char *)name.data, name.len);
	if (HASH_COUNT(s->portals) >= SESSION_PORTALS_MAX)
		return NULL;
	p = calloc(1, sizeof *p);
	if (p)
		p->name = strndup((const char *)name.data, name.len);
	if (!p || !p->name) {
		free(p);
		return NULL;
	}
	p->depth = s->settings.depth;
	HASH_ADD_KEYPTR(hh, s->portals, p->name, strlen(p->name), p);

	return p;
}

void observed_bind(struct observed *s, struct span name, struct span statement, struct span body)
{
	struct prepared *prepared =
		observed_statement(s, (const char *)statement.data, statement.len);
	struct portal *p = portal_new(s, name);

	if (p)
		p->nameless = !prepared && s->statements_unknown;
	if (!p || !prepared)
		return; /* executing it is session_unknown */
	p->bind = malloc(body.len ? body.len : 1);
	if (!p->bind)
		return;
	memcpy(p->bind, body.data, body.len);
	p->bind_len = body.len;
	prepared->references++;
	p->prepared = prepared;
}

/* An SQL cursor is a portal that Execute may fetch from too. */
void observed_declare(struct observed *s, const struct statement *statement)
{
	struct portal *p = portal_new(s, span_cstr(statement->name));

	if (!p)
		return;
	p->cursor = true;
	p->hold = statement->hold;
	p->binary = statement->binary;
	execution_declare(s, p, statement);
}

/* The text's decision, made again when it was made with an older catalogue. */
const struct statement *observed_decision(struct observed *s, struct prepared *p)
{
	if (p->statement && p->statement->catalogue_generation != s->view->generation) {
		struct span sql = span_cstr(p->sql);
		const struct statement *statement =
			observed_unreadable(s, sql) ? NULL : observed_classify(s, sql);

		statement_unref(p->statement);
		p->statement = statement;
	}

	return p->statement;
}

/* FETCH or MOVE moves a portal that is also read by Execute: what those fetched is no answer of its
 * own any more. */
void observed_mix_portals(struct observed *s, const char *name)
{
	struct portal *p, *next;

	HASH_ITER (hh, s->portals, p, next) {
		if (p->execution && (!name || strcmp(name, p->name) == 0))
			execution_mixed(p->execution);
	}
}

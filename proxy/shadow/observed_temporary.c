/* Temporary relations of a session, by name as far as that goes; and what code of the primary's
 * users may have done to the session, as its catalogue tells. */
#include "proxy/shadow/observed.h"

/* Is an unqualified CREATE's relation perhaps a temporary one? */
static bool path_names_temporary(const struct observed *s)
{
	const char *path;

	if (session_settings_unknown(&s->settings) ||
		!observed_reported_now(s, "search_path", &path))
		return true;
	if (!path)
		path = session_settings_get(&s->settings, "search_path");

	return path && strstr(path, "pg_temp");
}

/* Does the statement itself mention a temporary relation that is known? */
static bool mentions_temporary(const struct observed *s, const struct statement *st)
{
	if (st->more_mentions)
		return true;
	for (size_t i = 0; i < st->nmentions; i++) {
		const struct mention *m = &st->mentions[i];

		if (m->kind != MENTION_RELATION && m->kind != MENTION_TYPE)
			continue;
		if (m->schema ? strncmp(m->schema, "pg_temp", 7) == 0
			      : session_settings_shadowed(&s->settings, m->name))
			return true;
	}

	return false;
}

static void apply_change(
	struct observed *s, const struct statement *st, const struct temporary_change *c)
{
	bool made = false;

	switch (c->kind) {
	case TEMPORARY_CREATED: made = true; break;
	case TEMPORARY_CREATED_ON_PATH: made = path_names_temporary(s); break;
	case TEMPORARY_CREATED_OVER:
		made = s->settings.current->temporary || mentions_temporary(s, st);
		break;
	case TEMPORARY_DROPPED:
		if (c->in_pg_temp || !path_names_temporary(s)) /* else perhaps another one */
			session_settings_temporary_drop(&s->settings, c->name);
		break;
	case TEMPORARY_RENAMED:
		if (session_settings_has_temporary(&s->settings, c->name)) {
			session_settings_temporary_drop(&s->settings, c->name);
			session_settings_temporary_add(&s->settings, c->to, false);
		} else if (session_settings_shadowed(&s->settings, c->name)) {
			session_settings_temporary_add(&s->settings, c->to, false);
		}
		break;
	}
	if (made)
		session_settings_temporary_add(&s->settings, c->name, c->until_commit);
	if (made && st->defines_unsure)
		session_settings_doubt_base(&s->settings);
}

void observed_apply_temporary(struct observed *s, const struct statement *st)
{
	if (st->creates_temporary)
		session_settings_temporary(&s->settings, true);
	for (size_t i = 0; i < st->ntemporaries; i++)
		apply_change(s, st, &st->temporaries[i]);
}

/* Does reading it run code that takes names late? Without the primary's catalogue a view may. */
static bool runs_late_code(const struct observed *s, const struct mention *m)
{
	const struct catalogue *c = s->view->primary;

	switch (m->kind) {
	case MENTION_RELATION: return !c || catalogue_relation_late(c, m->schema, m->name);
	case MENTION_TYPE: return c && catalogue_type_late(c, m->name);
	case MENTION_OPERATOR: return c && catalogue_operator_late(c, m->name);
	case MENTION_FUNCTION: return !c || catalogue_function_late(c, m->schema, m->name);
	case MENTION_PROCEDURE:
	case MENTION_WORD:
	case MENTION_CALLED: break;
	}

	return true;
}

static bool late_code_may_mean(const struct observed *s)
{
	const struct settings_state *state = s->settings.current;

	if (state->temporary || !s->view->primary)
		return true;
	for (size_t i = 0; i < state->ntemporaries; i++)
		if (catalogue_mentions(s->view->primary, state->temporaries[i].name))
			return true;

	return false;
}

bool observed_names_temporary(const struct observed *s, const struct statement *st)
{
	const struct settings_state *state = s->settings.current;

	if (!state->temporary && state->ntemporaries == 0)
		return false;
	if (mentions_temporary(s, st))
		return true;
	for (size_t i = 0; state->temporary && i < st->nmentions; i++)
		if (st->mentions[i].kind == MENTION_RELATION && !st->mentions[i].schema)
			return true;
	if (!late_code_may_mean(s))
		return false;
	for (size_t i = 0; i < st->nmentions; i++)
		if (runs_late_code(s, &st->mentions[i]))
			return true;

	return false;
}

/* --- code ------------------------------------------------------------------------------------- */

static bool is_calm(const struct catalogue *c, const struct mention *m)
{
	switch (m->kind) {
	case MENTION_RELATION: return catalogue_relation_calm(c, m->schema, m->name);
	case MENTION_TYPE: return catalogue_type_calm(c, m->name);
	case MENTION_OPERATOR: return catalogue_operator_calm(c, m->name);
	case MENTION_FUNCTION: return catalogue_function_calm(c, m->schema, m->name);
	case MENTION_PROCEDURE: return catalogue_procedure_calm(c, m->schema, m->name);
	case MENTION_WORD: return catalogue_word_calm(c, m->name, false);
	case MENTION_CALLED: return catalogue_word_calm(c, m->name, true);
	}

	return false;
}

bool observed_calls_calm(const struct observed *s, const struct statement *st)
{
	if (st->effect != EFFECT_CALLS || !s->view->primary || st->more_mentions)
		return false;
	for (size_t i = 0; i < st->nmentions; i++)
		if (!is_calm(s->view->primary, &st->mentions[i]))
			return false;

	return true;
}

/* --- gaps ------------------------------------------------------------------------------------- */

/* May it change settings or temporary relations under a tag that says SELECT, INSERT and the like?
 */
static bool changes_silently(const struct observed *s, const struct statement *st)
{
	if (!st)
		return true;
	if (st->creates_temporary || st->ntemporaries > 0)
		return true;
	switch (st->effect) {
	case EFFECT_SET:
	case EFFECT_SET_CONFIG:
	case EFFECT_EXECUTE:
	case EFFECT_UNKNOWN_SETTINGS: return true;
	case EFFECT_CALLS: return !observed_calls_calm(s, st);
	default: return false;
	}
}

static bool text_changes_silently(struct observed *s, struct span sql)
{
	struct text_parts parts;
	bool changes = false;

	if (observed_unreadable(s, sql) || !classify_text(s->view->classifier, sql, &parts))
		return true;
	for (size_t i = 0; i < parts.count; i++)
		changes |= changes_silently(s, parts.part[i].statement);
	text_parts_release(&parts);

	return changes;
}

/* A request whose answer the gap hid. */
static bool request_changes_silently(struct observed *s, const struct request *r)
{
	struct parse_message parse;
	struct span sql;

	if (r->type != FRONT_QUERY && r->type != FRONT_PARSE)
		return r->type == FRONT_FUNCTION_CALL;
	if (r->too_long)
		return true;
	if (r->type == FRONT_PARSE)
		return !parse_parse(span_of(r->body, r->len), &parse) ||
		       text_changes_silently(s, parse.sql);

	return !parse_query(span_of(r->body, r->len), &sql) || text_changes_silently(s, sql);
}

/* A Parse or Close of a named statement, whose answer the gap hid. */
static bool request_defines(const struct request *r)
{
	struct parse_message parse;

	if (r->type == FRONT_CLOSE)
		return r->sub != 'P';

	return r->type == FRONT_PARSE &&
	       (r->too_long || !parse_parse(span_of(r->body, r->len), &parse) ||
		       parse.statement.len > 0);
}

bool observed_gap_may_define(struct observed *s, uint32_t flags)
{
	bool defines = flags & (GAP_PARSE | GAP_CLOSE | GAP_OTHER_COMMAND | GAP_UNKNOWN);

	for (uint32_t n = s->first; n != s->next; n++)
		defines |= request_defines(&s->requests[n % s->capacity]);

	return defines;
}

bool observed_gap_may_change(struct observed *s, uint32_t flags)
{
	if (flags & (GAP_PARSE | GAP_QUERY | GAP_OTHER_COMMAND | GAP_UNKNOWN) ||
		s->statements_unknown)
		return true;
	for (struct prepared *p = s->statements; p; p = p->hh.next)
		if (p->sql[0] && changes_silently(s, p->statement))
			return true;
	for (struct portal *p = s->portals; p; p = p->hh.next)
		if (p->prepared && changes_silently(s, p->prepared->statement))
			return true;
	for (uint32_t n = s->first; n != s->next; n++)
		if (request_changes_silently(s, &s->requests[n % s->capacity]))
			return true;

	return false;
}

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

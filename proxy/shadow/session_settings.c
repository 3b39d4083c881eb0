#include "proxy/shadow/session_settings.h"

#include <assert.h>
#include <ctype.h>
#include <stdlib.h>

struct savepoint {
	char *name;
	struct settings_state *state;
	struct savepoint *outer;
};

/* Bounds of one session's model (L4); past them the settings are unknown. */
enum { ENTRIES_MAX = 1024, SAVEPOINTS_MAX = 1024, VALUE_MAX_BYTES = 64 * 1024 };

struct settings_state *settings_state_ref(struct settings_state *state)
{
	state->references++;
	return state;
}

void settings_state_unref(struct settings_state *state)
{
	if (!state || --state->references > 0)
		return;
	for (size_t i = 0; i < state->count; i++) {
		free(state->entries[i].name);
		free(state->entries[i].value);
	}
	free(state->entries);
	free(state);
}

static struct settings_state *state_new(size_t count)
{
	struct settings_state *state = calloc(1, sizeof *state);

	if (!state)
		return NULL;
	state->references = 1;
	state->entries = calloc(count ? count : 1, sizeof *state->entries);
	if (!state->entries) {
		free(state);
		return NULL;
	}

	return state;
}

static char *lower(const char *name)
{
	char *copy = strdup(name);

	for (char *c = copy; c && *c; c++)
		*c = (char)tolower((unsigned char)*c);

	return copy;
}

static bool state_add(struct settings_state *state, const char *name, const char *value, bool local)
{
	struct settings_entry *e = &state->entries[state->count];

	e->name = lower(name);
	e->value = strdup(value);
	e->local = local;
	if (!e->name || !e->value) {
		free(e->name);
		free(e->value);
		return false;
	}
	state->count++;

	return true;
}

/* A changed copy: without the entries of `name` that a SET (or with local: SET LOCAL) replaces;
 * with value, plus the new entry; name NULL drops everything but role and session_authorization, as
 * RESET ALL does. */
static struct settings_state *state_edit(
	const struct settings_state *old, const char *name, const char *value, bool local)
{
	struct settings_state *state = state_new(old->count + 1);

	if (!state)
		return NULL;
	state->unknown = name ? old->unknown : false;
	for (size_t i = 0; i < old->count; i++) {
		const struct settings_entry *e = &old->entries[i];
		bool same = name && strcasecmp(e->name, name) == 0;
		bool drop = name ? same && (!local || e->local)
				 : strcmp(e->name, "role") != 0 &&
					    strcmp(e->name, "session_authorization") != 0;

		if (!drop && !state_add(state, e->name, e->value, e->local))
			goto failed;
	}
	if (value && !state_add(state, name, value, local))
		goto failed;

	return state;
failed:
	settings_state_unref(state);
	return NULL;
}

static void replace(struct settings_state **slot, struct settings_state *state)
{
	settings_state_unref(*slot);
	*slot = state;
}

bool session_settings_init(struct session_settings *s)
{
	*s = (struct session_settings){.base = state_new(0), .current = state_new(0)};
	if (!s->base || !s->current) {
		session_settings_release(s);
		return false;
	}

	return true;
}

static void drop_savepoints(struct session_settings *s)
{
	while (s->savepoints) {
		struct savepoint *p = s->savepoints;

		s->savepoints = p->outer;
		settings_state_unref(p->state);
		free(p->name);
		free(p);
	}
	s->depth = 0;
}

void session_settings_release(struct session_settings *s)
{
	drop_savepoints(s);
	settings_state_unref(s->base);
	settings_state_unref(s->current);
	settings_state_unref(s->before);
	*s = (struct session_settings){0};
}

void session_settings_doubt(struct session_settings *s)
{
	struct settings_state *state;

	if (s->current->unknown)
		return;
	if (s->current->references == 1) {
		s->current->unknown = true;
		return;
	}
	state = state_edit(s->current, "", NULL, false);
	if (state) {
		state->unknown = true;
		replace(&s->current, state);
	} else {
		/* No memory for a copy: the shared state is marked, so that a rollback keeps the
		 * doubt too. */
		s->current->unknown = true;
	}
}

static void edit(struct session_settings *s, const char *name, const char *value, bool local)
{
	struct settings_state *state = NULL;

	if (s->current->count < ENTRIES_MAX && (!value || strlen(value) <= VALUE_MAX_BYTES))
		state = state_edit(s->current, name, value, local);
	if (state)
		replace(&s->current, state);
	else
		session_settings_doubt(s);
}

void session_settings_base(struct session_settings *s, const char *name, struct span value)
{
	char *text = strndup((const char *)value.data, value.len);
	struct settings_state *state = NULL;

	if (text && s->base->count < ENTRIES_MAX)
		state = state_edit(s->base, name, text, false);
	if (state)
		replace(&s->base, state);
	else
		session_settings_doubt(s);
	free(text);
}

void session_settings_begin(struct session_settings *s)
{
	if (!s->before)
		s->before = settings_state_ref(s->current);
}

/* What SET LOCAL set ends with the transaction. */
static void drop_local(struct session_settings *s)
{
	bool any = false;
	struct settings_state *state;

	for (size_t i = 0; i < s->current->count; i++)
		any |= s->current->entries[i].local;
	if (!any)
		return;
	state = state_new(s->current->count);
	for (size_t i = 0; state && i < s->current->count; i++) {
		const struct settings_entry *e = &s->current->entries[i];

		if (!e->local && !state_add(state, e->name, e->value, false)) {
			settings_state_unref(state);
			state = NULL;
		}
	}
	if (!state) {
		session_settings_doubt(s);
		return;
	}
	state->unknown = s->current->unknown;
	replace(&s->current, state);
}

void session_settings_commit(struct session_settings *s)
{
	drop_savepoints(s);
	drop_local(s);
	replace(&s->before, NULL);
}

void session_settings_rollback(struct session_settings *s)
{
	drop_savepoints(s);
	if (s->before) {
		settings_state_unref(s->current);
		s->current = s->before;
		s->before = NULL;
	}
}

void session_settings_savepoint(struct session_settings *s, const char *name)
{
	struct savepoint *p = s->depth < SAVEPOINTS_MAX ? calloc(1, sizeof *p) : NULL;

	if (!p || !(p->name = strdup(name))) {
		free(p);
		session_settings_doubt(s);
		return;
	}
	p->state = settings_state_ref(s->current);
	p->outer = s->savepoints;
	s->savepoints = p;
	s->depth++;
}

static bool has_savepoint(const struct session_settings *s, const char *name)
{
	for (const struct savepoint *p = s->savepoints; p; p = p->outer)
		if (strcmp(p->name, name) == 0)
			return true;

	return false;
}

static void pop_savepoint(struct session_settings *s)
{
	struct savepoint *p = s->savepoints;

	s->savepoints = p->outer;
	s->depth--;
	settings_state_unref(p->state);
	free(p->name);
	free(p);
}

void session_settings_release_savepoint(struct session_settings *s, const char *name)
{
	bool last;

	if (!has_savepoint(s, name)) {
		session_settings_doubt(s);
		return;
	}
	do {
		last = strcmp(s->savepoints->name, name) == 0;
		pop_savepoint(s);
	} while (!last);
}

void session_settings_rollback_to(struct session_settings *s, const char *name)
{
	if (!has_savepoint(s, name)) {
		session_settings_doubt(s);
		return;
	}
	while (strcmp(s->savepoints->name, name) != 0)
		pop_savepoint(s);
	replace(&s->current, settings_state_ref(s->savepoints->state));
}

void session_settings_set(
	struct session_settings *s, const char *name, const char *value, bool local)
{
	edit(s, name, value, local);
}

void session_settings_reset(struct session_settings *s, const char *name)
{
	edit(s, name, NULL, false);
}

void session_settings_reset_all(struct session_settings *s)
{
	edit(s, NULL, NULL, false);
}

const char *settings_state_get(const struct settings_state *state, const char *name)
{
	const char *found = NULL;

	/* A local entry was set after the session's and shadows it. */
	for (size_t i = 0; i < state->count; i++)
		if (strcasecmp(state->entries[i].name, name) == 0 &&
			(!found || state->entries[i].local))
			found = state->entries[i].value;

	return found;
}

const char *session_settings_get(const struct session_settings *s, const char *name)
{
	const char *value = settings_state_get(s->current, name);

	return value ? value : settings_state_get(s->base, name);
}

bool session_settings_unknown(const struct session_settings *s)
{
	return s->current->unknown || s->base->unknown;
}

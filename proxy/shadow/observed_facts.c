/* What follows from a session's settings alone, kept for as long as they stay the same: of the many
 * executions between two changes each asks the same questions. */
#include "proxy/shadow/observed.h"

#include <stdlib.h>
#include <strings.h>
#include <xxhash.h>

void observed_facts_free(struct facts *f)
{
	if (!f)
		return;
	texts_unref(f->reported);
	settings_state_unref(f->base);
	settings_state_unref(f->current);
	settings_state_unref(f->at_ready);
	texts_unref(f->names);
	setting_list_unref(f->list);
	free(f);
}

/* Settings are immutable as long as somebody else holds them, which `f` does. */
static bool still_hold(const struct observed *s, const struct facts *f)
{
	return f->current == s->settings.current && f->reported == s->reported &&
	       f->base == s->settings.base && f->at_ready == s->settings_at_ready &&
	       f->ncustoms == s->settings.ncustoms;
}

static struct settings_state *hold(struct settings_state *state)
{
	return state ? settings_state_ref(state) : NULL;
}

/* --- the settings of dark reads ----------------------------------------------------------------
 */

/* Settings being listed, with room for all. */
struct listing {
	struct setting *setting;
	size_t count;
};

static void add(struct listing *l, const char *name, const char *value)
{
	l->setting[l->count++] =
		(struct setting){.name = (char *)name, .value = (char *)value}; /* read only */
}

static bool is_replayed(const char *name)
{
	const char *replayed;

	for (size_t i = 0; (replayed = observed_replayed(i)) != NULL; i++)
		if (strcasecmp(replayed, name) == 0)
			return true;

	return false;
}

/* What is in force under the names that a state has entries for. */
static void list_state(
	const struct observed *s, const struct settings_state *state, bool base, struct listing *l)
{
	for (size_t i = 0; i < state->count; i++) {
		const struct settings_entry *e = &state->entries[i];
		const char *value = session_settings_get(&s->settings, e->name);

		if (is_replayed(e->name) || settings_state_find(state, e->name) != e || !value)
			continue;
		if (base && settings_state_find(s->settings.current, e->name))
			continue;
		add(l, e->name, value);
	}
}

/* Custom settings that are '' because they were set once. */
static void list_customs(const struct observed *s, struct listing *l)
{
	for (size_t i = 0; i < s->settings.ncustoms; i++) {
		const char *name = s->settings.customs[i];

		if (!settings_state_find(s->settings.base, name) &&
			!settings_state_find(s->settings.current, name))
			add(l, name, "");
	}
}

static bool list_replayed(const struct observed *s, struct listing *l)
{
	const char *name, *value;

	for (size_t i = 0; (name = observed_replayed(i)) != NULL; i++) {
		if (!observed_reported_now(s, name, &value))
			return false;
		if (value)
			add(l, name, value);
	}

	return true;
}

static size_t settings_most(const struct observed *s)
{
	size_t replayed = 0;

	while (observed_replayed(replayed))
		replayed++;

	return replayed + s->settings.base->count + s->settings.current->count +
	       s->settings.ncustoms;
}

/* NULL: they are not known for certain, or out of memory. */
static struct setting_list *list_settings(const struct observed *s)
{
	const char *database = s->who->text[WHO_DATABASE];
	struct listing l = {.setting = calloc(settings_most(s), sizeof *l.setting)};
	struct setting_list *list = NULL;

	if (l.setting && list_replayed(s, &l)) {
		list_state(s, s->settings.base, true, &l);
		list_state(s, s->settings.current, false, &l);
		list_customs(s, &l);
		list = setting_list_new(
			l.setting, l.count, XXH3_64bits(database, strlen(database)));
	}
	free(l.setting);

	return list;
}

/* --- all of them ------------------------------------------------------------------------------ */

/* NULL: the role is not known, or out of memory. */
static struct texts *names_of(const struct observed *s)
{
	const char *role = observed_role(s);
	struct span names[NAMED];

	if (!role)
		return NULL;
	names[NAMED_USER] = span_cstr(s->who->text[WHO_USER]);
	names[NAMED_DATABASE] = span_cstr(s->who->text[WHO_DATABASE]);
	names[NAMED_APPLICATION] = span_cstr(s->who->text[WHO_APPLICATION]);
	names[NAMED_ROLE] = span_cstr(role);

	return texts_get(s->observer->texts, names, NAMED);
}

static struct facts *gather(const struct observed *s)
{
	struct facts *f = calloc(1, sizeof *f);

	if (!f)
		return NULL;
	f->reported = s->reported ? texts_ref(s->reported) : NULL;
	f->base = hold(s->settings.base);
	f->current = hold(s->settings.current);
	f->at_ready = hold(s->settings_at_ready);
	f->ncustoms = s->settings.ncustoms;
	f->encoding_unsafe = observed_encoding_unsafe(s);
	f->strings_unsafe = observed_strings_unsafe(s);
	f->identity_changed = observed_identity_changed(s);
	f->isolated = observed_starts_isolated(s);
	f->names = names_of(s);
	f->list = list_settings(s);

	return f;
}

const struct facts *observed_facts(struct observed *s)
{
	if (s->facts && still_hold(s, s->facts))
		return s->facts;
	observed_facts_free(s->facts);
	s->facts = gather(s);

	return s->facts;
}

bool observed_settings(struct observed *s, struct dark_read *read)
{
	const struct facts *f = observed_facts(s);

	if (!f || !f->list)
		return false;
	dark_read_list(read, f->list);

	return true;
}

bool observed_settings_with(struct dark_read *read, const char *name, const char *value)
{
	struct listing l = {.setting = calloc(read->nsettings + 1, sizeof *l.setting)};
	struct setting_list *list;
	bool found = false;

	for (size_t i = 0; l.setting && i < read->nsettings; i++) {
		bool same = strcasecmp(read->settings[i].name, name) == 0;

		add(&l, read->settings[i].name, same ? value : read->settings[i].value);
		found |= same;
	}
	if (l.setting && !found)
		add(&l, name, value);
	list = l.setting ? setting_list_new(l.setting, l.count,
				   XXH3_64bits(read->database, strlen(read->database)))
			 : NULL;
	free(l.setting);
	if (!list)
		return false;
	dark_read_list(read, list);
	setting_list_unref(list);

	return true;
}

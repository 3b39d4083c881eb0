/* What of a new configuration takes effect without a restart: the column `reload` of the table. */
#include "conf/config.h"

#include <string.h>
#include <strings.h>

static struct config_group *same_group(struct config *c, const struct config_group *g)
{
	for (size_t i = 0; i < c->nnamed; i++) {
		if (strcasecmp(c->named[i].section, g->section) == 0 &&
			strcasecmp(c->named[i].name, g->name) == 0)
			return &c->named[i];
	}

	return NULL;
}

static void name_setting(
	struct conf_messages *m, const struct setting_definition *d, const struct config_group *g)
{
	if (g->name)
		conf_message(m, "%s.%s.%s", d->section, g->name, d->key);
	else
		conf_message(m, "%s.%s", d->section, d->key);
}

static bool is_held(const struct setting_definition *d, const char *held)
{
	const size_t len = strlen(d->section);

	return held && strncmp(held, d->section, len) == 0 && held[len] == '.' &&
	       strcmp(held + len + 1, d->key) == 0;
}

static void take_group(struct config_group *running, struct config_group *now, const char *held,
	struct conf_messages *taken, struct conf_messages *kept)
{
	size_t count;
	const struct setting_definition *t = settings_table(&count);

	for (size_t i = 0; i < count; i++) {
		struct setting_value *old = &running->values[i], *new = &now->values[i];
		const struct setting_value swap = *old;
		bool live;

		if (!old->text || strcmp(old->text, new->text) == 0)
			continue; /* another section's, or as it was */
		live = t[i].reload == RELOAD_LIVE && !is_held(&t[i], held);
		name_setting(live ? taken : kept, &t[i], running);
		if (live) {
			*old = *new;
			*new = swap;
		}
	}
}

static void name_missing(const struct config *in, struct config *from, struct conf_messages *kept)
{
	for (size_t i = 0; i < in->nnamed; i++) {
		const struct config_group *g = &in->named[i];

		if (!same_group(from, g))
			conf_message(kept, "[%s %s]", g->section, g->name);
	}
}

void config_take_live(struct config *running, struct config *now, const char *held,
	struct conf_messages *taken, struct conf_messages *kept)
{
	take_group(&running->base, &now->base, held, taken, kept);
	for (size_t i = 0; i < running->nnamed; i++) {
		struct config_group *g = same_group(now, &running->named[i]);

		if (g)
			take_group(&running->named[i], g, held, taken, kept);
	}
	name_missing(running, now, kept);
	name_missing(now, running, kept);
}

/* The configuration as text: INI, manual, digest. */
#include "conf/config.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char *const type_names[] = {[SETTING_BOOL] = "on or off",
	[SETTING_INTEGER] = "number",
	[SETTING_REAL] = "number",
	[SETTING_DURATION] = "duration",
	[SETTING_SIZE] = "size",
	[SETTING_ENUM] = "word",
	[SETTING_STRING] = "text",
	[SETTING_LIST] = "list",
	[SETTING_CONNINFO] = "connection string"};

/* Prints text folded at 80 characters behind `prefix` on each line. */
static void print_folded(FILE *out, const char *prefix, const char *text)
{
	size_t room = 80, length;

	while (*text) {
		length = strlen(text);
		if (length > room) {
			length = room;
			while (length > 0 && text[length] != ' ')
				length--;
			if (length == 0)
				length = room;
		}
		fprintf(out, "%s%.*s\n", prefix, (int)length, text);
		text += length;
		while (*text == ' ')
			text++;
	}
}

/* "number, 1 to 64 threads; default 4; needs a restart" */
static void describe(FILE *out, const struct setting_definition *d)
{
	char range[100];

	format_range(d, range, sizeof range);
	fprintf(out, "%s", type_names[d->type]);
	if (d->type == SETTING_ENUM)
		fprintf(out, ": %s", d->allowed);
	if (*range)
		fprintf(out, ", %s", range);
	if (*d->unit && strcmp(d->unit, type_names[d->type]) != 0)
		fprintf(out, " (%s)", d->unit);
	fprintf(out, "; default %s", *d->default_text ? d->default_text : "empty");
	fprintf(out, "; %s", d->reload == RELOAD_LIVE ? "SIGHUP is enough" : "needs a restart");
	if (d->reserved)
		fprintf(out, "; NOT IN THIS VERSION");
	if (d->built)
		fprintf(out, "; this version has %s", d->built);
}

static void print_section(FILE *out, const char *section, const char *name)
{
	fprintf(out, "[%s%s%s]\n", section, name ? " " : "", name ? name : "");
}

static bool print_value(
	FILE *out, const struct setting_definition *d, const char *text, bool with_secrets)
{
	char *redacted = NULL;

	if (d->type == SETTING_CONNINFO && !with_secrets && *text) {
		redacted = conninfo_redacted(text);
		if (!redacted)
			return false;
	}
	fprintf(out, "%s = %s\n", d->key, redacted ? redacted : text);
	free(redacted);

	return true;
}

static void print_help(FILE *out, const struct setting_definition *d)
{
	print_folded(out, "# ", d->help);
	fprintf(out, "# ");
	describe(out, d);
	fprintf(out, "\n");
}

/* The rows of one section from one group. Without help only what was given is said; a section
 * without anything given is left out unless it has a name. */
static bool print_group(FILE *out, const char *section, const struct config_group *g,
	bool with_help, bool with_secrets)
{
	bool opened = g->name || with_help, good = true;
	size_t count;
	const struct setting_definition *t = settings_table(&count);

	if (opened)
		print_section(out, section, g->name);
	for (size_t i = 0; i < count; i++) {
		const struct setting_value *v = &g->values[i];

		if (strcmp(t[i].section, section) != 0 || (!with_help && !v->given))
			continue;
		if (!opened)
			print_section(out, section, NULL);
		opened = true;
		if (with_help)
			print_help(out, &t[i]);
		if (with_help && !v->given)
			fprintf(out, "#");
		good &= print_value(out, &t[i], v->text, with_secrets);
		if (with_help)
			fprintf(out, "\n");
	}

	return good;
}

/* A named section of which there is none, as comments. */
static void print_absent(FILE *out, const char *section)
{
	size_t count;
	const struct setting_definition *t = settings_table(&count);

	fprintf(out, "#[%s NAME]\n", section);
	for (size_t i = 0; i < count; i++) {
		if (strcmp(t[i].section, section) != 0)
			continue;
		print_help(out, &t[i]);
		fprintf(out, "#%s = %s\n\n", t[i].key, t[i].default_text);
	}
}

static bool print_sections_named(
	FILE *out, const struct config *c, const char *section, bool with_help, bool with_secrets)
{
	bool any = false, good = true;

	for (size_t i = 0; i < c->nnamed; i++) {
		if (strcmp(c->named[i].section, section) != 0)
			continue;
		good &= print_group(out, section, &c->named[i], with_help, with_secrets);
		any = true;
	}
	if (!any && with_help)
		print_absent(out, section);

	return good;
}

static bool print_all(FILE *out, const struct config *c, bool with_help, bool with_secrets)
{
	const char *section = "";
	bool good = true;
	size_t count;
	const struct setting_definition *t = settings_table(&count);

	for (size_t i = 0; i < count; i++) {
		if (strcmp(t[i].section, section) == 0)
			continue;
		section = t[i].section;
		good &= section_is_named(section)
				? print_sections_named(out, c, section, with_help, with_secrets)
				: print_group(out, section, &c->base, with_help, with_secrets);
	}

	return good;
}

char *config_to_ini(const struct config *c, bool with_help, bool with_secrets)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	bool good;

	if (!out)
		return NULL;
	good = print_all(out, c, with_help, with_secrets);
	if (fclose(out) != 0 || !good) {
		free(text);
		return NULL;
	}

	return text;
}

void config_print_manual(FILE *out)
{
	const char *section = "";
	size_t count;
	const struct setting_definition *t = settings_table(&count);

	for (size_t i = 0; i < count; i++) {
		if (strcmp(t[i].section, section) != 0) {
			section = t[i].section;
			fprintf(out, "%s[%s%s]\n", i > 0 ? "\n" : "", section,
				section_is_named(section) ? " NAME" : "");
		}
		fprintf(out, "  %s\n    ", t[i].key);
		describe(out, &t[i]);
		fprintf(out, "\n");
		print_folded(out, "    ", t[i].help);
	}
}

void config_digest(const struct config *c, char out[17])
{
	char *text = config_to_ini(c, false, false);
	uint64_t hash = 0xcbf29ce484222325;

	for (const char *p = text; p && *p; p++) {
		hash ^= (unsigned char)*p;
		hash *= 0x100000001b3;
	}
	free(text);
	snprintf(out, 17, "%016" PRIx64, hash);
}

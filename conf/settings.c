#include "conf/settings.h"

#include "conf/config.h"
#include <assert.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
	MESSAGES_MAX = 200,
	MESSAGE_BYTES = 1024,
	NAME_MAX_BYTES = 63,
	VALUE_MAX_BYTES = 65536,
	ASSIGNMENTS_MAX = 1000
};

/* --- messages --- */

void conf_message(struct conf_messages *m, const char *format, ...)
{
	char line[MESSAGE_BYTES];
	va_list args;
	char **grown;

	if (m->count >= MESSAGES_MAX)
		return;
	va_start(args, format);
	vsnprintf(line, sizeof line, format, args);
	va_end(args);
	if (m->count + 1 == MESSAGES_MAX)
		snprintf(line, sizeof line, "too many mistakes, the rest is not shown");
	grown = realloc(m->text, (m->count + 1) * sizeof *grown);
	if (!grown)
		return;
	m->text = grown;
	m->text[m->count] = strdup(line);
	m->count += m->text[m->count] != NULL;
}

void conf_messages_release(struct conf_messages *m)
{
	for (size_t i = 0; i < m->count; i++)
		free(m->text[i]);
	free(m->text);
	*m = (struct conf_messages){0};
}

/* --- the table --- */

int settings_row(const char *section, const char *key)
{
	size_t count;
	const struct setting_definition *t = settings_table(&count);

	for (size_t i = 0; i < count; i++)
		if (strcasecmp(t[i].section, section) == 0 && strcasecmp(t[i].key, key) == 0)
			return (int)i;

	return -1;
}

static const char *section_from_table(const char *section)
{
	size_t count;
	const struct setting_definition *t = settings_table(&count);

	for (size_t i = 0; i < count; i++)
		if (strcasecmp(t[i].section, section) == 0)
			return t[i].section;

	return NULL;
}

bool section_exists(const char *section)
{
	return section_from_table(section) != NULL;
}

bool section_is_named(const char *section)
{
	return strcasecmp(section, "candidate") == 0 || strcasecmp(section, "waiver") == 0 ||
	       strcasecmp(section, "rewrite") == 0;
}

static bool key_known_anywhere(const char *key, const char **section)
{
	size_t count;
	const struct setting_definition *t = settings_table(&count);

	for (size_t i = 0; i < count; i++) {
		if (strcasecmp(t[i].key, key) == 0) {
			*section = t[i].section;
			return true;
		}
	}

	return false;
}

/* The key of the section (or the section, when it is NULL) that looks most like the word; NULL when
 * none is near. */
static const char *nearest(const char *section, const char *word)
{
	size_t count;
	const struct setting_definition *t = settings_table(&count);
	const char *best = NULL;
	unsigned best_distance = 2 + (unsigned)strlen(word) / 4;

	for (size_t i = 0; i < count; i++) {
		const char *known = section ? t[i].key : t[i].section;
		unsigned distance = edit_distance(known, word);

		if (section && strcasecmp(t[i].section, section) != 0)
			continue;
		if (distance < best_distance) {
			best = known;
			best_distance = distance;
		}
	}

	return best;
}

/* --- construction --- */

static void group_release(struct config_group *g)
{
	size_t count;

	settings_table(&count);
	for (size_t i = 0; g->values && i < count; i++) {
		free(g->values[i].text);
		free(g->values[i].where);
	}
	free(g->values);
	free(g->name);
}

static bool row_in_group(const struct setting_definition *d, const struct config_group *g)
{
	return g->name ? strcmp(d->section, g->section) == 0 : !section_is_named(d->section);
}

/* Fills the defaults; a default that does not parse is a mistake of the table. */
static bool group_init(struct config_group *g, const char *section, const char *name)
{
	size_t count;
	const struct setting_definition *t = settings_table(&count);

	*g = (struct config_group){.section = section, .values = calloc(count, sizeof *g->values)};
	if (name)
		g->name = strdup(name);
	if (!g->values || (name && !g->name))
		return false;
	for (size_t i = 0; i < count; i++) {
		char why[PARSE_WHY_BYTES];
		bool valid;

		if (!row_in_group(&t[i], g))
			continue;
		valid = parse_value(&t[i], t[i].default_text, &g->values[i].parsed, why);
		assert(valid);
		g->values[i].text = strdup(t[i].default_text);
		if (!g->values[i].text)
			return false;
	}

	return true;
}

struct config *config_new(void)
{
	struct config *c = calloc(1, sizeof *c);

	if (c && !group_init(&c->base, NULL, NULL)) {
		config_free(c);
		return NULL;
	}

	return c;
}

void config_free(struct config *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->nnamed; i++)
		group_release(&c->named[i]);
	for (size_t i = 0; i < c->nassignments; i++)
		free(c->assignments[i]);
	group_release(&c->base);
	free(c->named);
	free(c->assignments);
	free(c);
}

static struct config_group *find_group(
	const struct config *c, const char *section, const char *name)
{
	if (!name)
		return (struct config_group *)&c->base;
	for (size_t i = 0; i < c->nnamed; i++)
		if (strcasecmp(c->named[i].section, section) == 0 &&
			strcasecmp(c->named[i].name, name) == 0)
			return &c->named[i];

	return NULL;
}

size_t config_names(const struct config *c, const char *section, const char **names, size_t max)
{
	size_t count = 0;

	for (size_t i = 0; i < c->nnamed; i++) {
		if (strcmp(c->named[i].section, section) != 0)
			continue;
		if (count < max)
			names[count] = c->named[i].name;
		count++;
	}

	return count < max ? count : max;
}

/* --- giving values --- */

static bool name_valid(const char *name)
{
	size_t length = strlen(name);

	for (size_t i = 0; i < length; i++)
		if (!isalnum((unsigned char)name[i]) && name[i] != '_' && name[i] != '-')
			return false;

	return length > 0 && length <= NAME_MAX_BYTES;
}

static bool check_section(
	const char *where, const char *section, const char *name, struct conf_messages *m)
{
	const char *near;

	if (!section_exists(section)) {
		near = nearest(NULL, section);
		conf_message(m, "%s: there is no section [%.63s]%s%s%s", where, section,
			near ? ", did you mean [" : "; `pgumbra config` lists them",
			near ? near : "", near ? "]?" : "");
		return false;
	}
	if (section_is_named(section) && !name) {
		conf_message(
			m, "%s: section [%s] needs a name: [%s NAME]", where, section, section);
		return false;
	}
	if (!section_is_named(section) && name) {
		conf_message(m, "%s: section [%s] takes no name", where, section);
		return false;
	}

	return true;
}

bool config_open_section(struct config *c, const char *where, const char *section, const char *name,
	struct conf_messages *m)
{
	size_t max = strcasecmp(section, "candidate") == 0 ? CONF_MAX_CANDIDATES : CONF_MAX_NAMED;
	const char *known = section_from_table(section), *names[CONF_MAX_NAMED];
	struct config_group *grown;

	if (!check_section(where, section, name, m)) {
		c->doubtful = true;
		return false;
	}
	if (!name || find_group(c, known, name))
		return true;
	if (!name_valid(name)) {
		conf_message(m,
			"%s: the name of a [%s NAME] section has letters, digits, _ and - only, "
			"at most %d",
			where, known, NAME_MAX_BYTES);
		return false;
	}
	if (config_names(c, known, names, CONF_MAX_NAMED) >= max) {
		conf_message(m, "%s: too many [%s NAME] sections, allowed: %zu", where, known, max);
		return false;
	}
	grown = realloc(c->named, (c->nnamed + 1) * sizeof *grown);
	if (grown)
		c->named = grown;
	if (!grown || !group_init(&c->named[c->nnamed], known, name)) {
		if (grown)
			group_release(&c->named[c->nnamed]);
		conf_message(m, "%s: out of memory", where);
		return false;
	}
	c->nnamed++;

	return true;
}

static void unknown_key(
	const char *where, const char *section, const char *key, struct conf_messages *m)
{
	const char *near = nearest(section, key), *other;

	if (near)
		conf_message(m, "%s: [%s] has no key %.63s, did you mean %s?", where, section, key,
			near);
	else if (key_known_anywhere(key, &other))
		conf_message(m, "%s: [%s] has no key %.63s, it belongs to [%s%s]", where, section,
			key, other, section_is_named(other) ? " NAME" : "");
	else
		conf_message(m, "%s: [%s] has no key %.63s; `pgumbra config` lists them", where,
			section, key);
}

/* Of the section in this group: its values may not be what was meant. */
static void doubt_section(struct config *c, const char *section, const char *name)
{
	size_t count;
	const struct setting_definition *t = settings_table(&count);
	struct config_group *g = find_group(c, section, name);

	for (size_t i = 0; g && i < count; i++)
		if (strcasecmp(t[i].section, section) == 0)
			g->values[i].doubtful = true;
}

static bool text_storable(const char *text, const char **why)
{
	*why = "longer than 64kB";
	if (strlen(text) > VALUE_MAX_BYTES)
		return false;
	*why = "not UTF-8";
	if (!utf8_valid(text))
		return false;
	*why = "holds a line break or another control character";
	for (const char *p = text; *p; p++)
		if (((unsigned char)*p < 0x20 && *p != '\t') || *p == 0x7f)
			return false;

	return true;
}

static char *trimmed(const char *text)
{
	size_t length;

	while (*text == ' ' || *text == '\t')
		text++;
	length = strlen(text);
	while (length > 0 && (text[length - 1] == ' ' || text[length - 1] == '\t'))
		length--;

	return strndup(text, length);
}

/* The range and words of the row, then what this version has of them. Connection strings are never
 * shown in a message. */
static bool check_text(const struct setting_definition *d, const char *text,
	struct parsed_value *parsed, char why[PARSE_WHY_BYTES])
{
	const char *problem;

	if (!text_storable(text, &problem)) {
		snprintf(why, PARSE_WHY_BYTES, "%s", problem);
		return false;
	}
	if (!parse_value(d, text, parsed, why))
		return false;
	if (d->reserved && strcmp(text, d->default_text) != 0) {
		snprintf(why, PARSE_WHY_BYTES, "this version does not have it yet, allowed: %s",
			*d->default_text ? d->default_text : "leave it empty");
		return false;
	}
	if (d->built && !word_allowed(d->built, text, strlen(text))) {
		snprintf(why, PARSE_WHY_BYTES, "this version does not have it yet, it has: %s",
			d->built);
		return false;
	}
	if (d->type == SETTING_CONNINFO)
		return !conninfo_mistake(text, why, PARSE_WHY_BYTES);

	return true;
}

static void refuse_value(const char *where, const char *name, const struct setting_definition *d,
	const char *text, const char *why, struct conf_messages *m)
{
	bool show = d->type != SETTING_CONNINFO && utf8_valid(text) && strlen(text) <= 80 &&
		    !strpbrk(text, "\r\n\033");

	conf_message(m, "%s: [%s%s%s] %s%s%s: %s", where, d->section, name ? " " : "",
		name ? name : "", d->key, show ? " = " : "", show ? text : "", why);
}

bool config_assign(struct config *c, const char *where, const char *section, const char *name,
	const char *key, const char *text, struct conf_messages *m)
{
	size_t count;
	const struct setting_definition *t = settings_table(&count);
	char why[PARSE_WHY_BYTES], *copy;
	struct setting_value *value;
	struct parsed_value parsed;
	char *place;
	int row;

	if (!config_open_section(c, where, section, name, m))
		return false;
	row = settings_row(section, key);
	if (row < 0) {
		unknown_key(where, section_from_table(section), key, m);
		doubt_section(c, section, name);
		return false;
	}
	copy = trimmed(text);
	place = strdup(where);
	if (!copy || !place) {
		conf_message(m, "%s: out of memory", where);
		goto refused;
	}
	if (!check_text(&t[row], copy, &parsed, why)) {
		refuse_value(where, name, &t[row], copy, why, m);
		doubt_section(c, section, name);
		goto refused;
	}
	value = &find_group(c, section, name)->values[row];
	free(value->text);
	free(value->where);
	*value = (struct setting_value){.text = copy,
		.where = place,
		.given = true,
		.order = c->ngiven++,
		.doubtful = value->doubtful,
		.parsed = parsed};

	return true;
refused:
	free(copy);
	free(place);

	return false;
}

static bool remember_assignment(struct config *c, const char *assignment)
{
	char **grown;

	if (c->nassignments >= ASSIGNMENTS_MAX)
		return false;
	grown = realloc(c->assignments, (c->nassignments + 1) * sizeof *grown);
	if (!grown)
		return false;
	c->assignments = grown;
	c->assignments[c->nassignments] = strdup(assignment);
	c->nassignments += c->assignments[c->nassignments] != NULL;

	return c->assignments[c->nassignments - 1] != NULL;
}

/* Splits "section.key", "candidate NAME.key", "candidate.NAME.key" in place. */
static bool split_target(char *target, char **section, char **name, char **key)
{
	char *dot = strrchr(target, '.'), *gap;

	*section = target;
	*name = NULL;
	if (!dot)
		return false;
	*dot = '\0';
	*key = dot + 1;
	gap = strpbrk(target, " .");
	if (gap) {
		*gap = '\0';
		*name = gap + 1;
	}

	return **section && **key;
}

bool config_set(struct config *c, const char *assignment, struct conf_messages *m)
{
	const char *equals = strchr(assignment, '=');
	char *target = equals ? strndup(assignment, (size_t)(equals - assignment)) : NULL;
	char *section, *name, *key, *bare, where[160];
	bool good = false;

	if (!target) {
		conf_message(m, "not SECTION.KEY=VALUE: there is no = in it");
		return false;
	}
	bare = trimmed(target);
	snprintf(where, sizeof where, "--set %.120s", utf8_valid(target) ? target : "(not UTF-8)");
	if (!bare)
		conf_message(m, "%s: out of memory", where);
	else if (!split_target(bare, &section, &name, &key))
		conf_message(m, "%s: not SECTION.KEY=VALUE or candidate.NAME.KEY=VALUE", where);
	else
		good = config_assign(c, where, section, name, key, equals + 1, m);
	free(bare);
	free(target);
	if (good && !remember_assignment(c, assignment)) {
		conf_message(m, "too many assignments, or out of memory");
		good = false;
	}

	return good;
}

struct config *config_reload(const struct config *old, const char *path, struct conf_messages *m)
{
	struct config *c = config_new();
	bool good = c != NULL;

	if (!c)
		conf_message(m, "out of memory");
	if (c && path)
		good = config_read_file(c, path, m);
	for (size_t i = 0; c && i < old->nassignments; i++)
		good &= config_set(c, old->assignments[i], m);
	if (c)
		good &= config_check(c, m);
	if (!good) {
		config_free(c);
		return NULL;
	}

	return c;
}

/* --- access --- */

static const struct setting_value *value_of(const struct config *c, const char *section,
	const char *name, const char *key, const struct setting_definition **d)
{
	size_t count;
	const struct setting_definition *t = settings_table(&count);
	const struct config_group *g = find_group(c, section, name);
	int row = settings_row(section, key);

	assert(row >= 0);
	assert(g && section_is_named(section) == (name != NULL));
	*d = &t[row];

	return &g->values[row];
}

bool config_bool(const struct config *c, const char *section, const char *name, const char *key)
{
	const struct setting_definition *d;
	const struct setting_value *v = value_of(c, section, name, key, &d);

	assert(d->type == SETTING_BOOL);

	return v->parsed.boolean;
}

int64_t config_integer(
	const struct config *c, const char *section, const char *name, const char *key)
{
	const struct setting_definition *d;
	const struct setting_value *v = value_of(c, section, name, key, &d);

	assert(d->type == SETTING_INTEGER || d->type == SETTING_DURATION ||
		d->type == SETTING_SIZE);

	return v->parsed.integer;
}

double config_real(const struct config *c, const char *section, const char *name, const char *key)
{
	const struct setting_definition *d;
	const struct setting_value *v = value_of(c, section, name, key, &d);

	assert(d->type == SETTING_REAL || d->type == SETTING_INTEGER);

	return v->parsed.real;
}

const char *config_text(
	const struct config *c, const char *section, const char *name, const char *key)
{
	const struct setting_definition *d;

	return value_of(c, section, name, key, &d)->text;
}

bool config_is_set(const struct config *c, const char *section, const char *name, const char *key)
{
	const struct setting_definition *d;

	return value_of(c, section, name, key, &d)->given;
}

/* --- mistakes between settings --- */

/* Where the key was given, or else the first one of its section; "" where none was. */
static const char *place_of(
	const struct config *c, const char *section, const char *name, const char *key)
{
	size_t count;
	const struct setting_definition *t = settings_table(&count), *d;
	const struct setting_value *v = value_of(c, section, name, key, &d);
	const struct config_group *g = find_group(c, section, name);
	const struct setting_value *first = NULL;

	if (v->where)
		return v->where;
	for (size_t i = 0; i < count; i++)
		if (strcasecmp(t[i].section, section) == 0 && g->values[i].where &&
			(!first || g->values[i].order < first->order))
			first = &g->values[i];

	return first ? first->where : "";
}

void config_mistake(const struct config *c, const char *section, const char *name, const char *key,
	struct conf_messages *m, const char *format, ...)
{
	const char *where = place_of(c, section, name, key);
	char what[MESSAGE_BYTES];
	va_list args;

	va_start(args, format);
	vsnprintf(what, sizeof what, format, args);
	va_end(args);
	conf_message(m, "%s%s[%s%s%s] %s%s", where, *where ? ": " : "", section, name ? " " : "",
		name ? name : "", key, what);
}

bool config_lacks(const struct config *c, const char *section, const char *name, const char *key)
{
	const struct setting_definition *d;
	const struct setting_value *v = value_of(c, section, name, key, &d);

	return !*v->text && !v->doubtful && !c->doubtful;
}

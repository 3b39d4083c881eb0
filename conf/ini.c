#define _GNU_SOURCE 1 /* strchrnul, strcasestr */
/* INI text to configuration, by libini_config. The library gives up all content on the first
 * malformed line, knows no NUL bytes and takes '.' and '!' in names for something else: so the
 * lines are looked through first, bad ones are named and blanked, and the library gets what is
 * left.
 */
#include "conf/config.h"

#include <ctype.h>
#include <errno.h>
#include <ini_configobj.h>
#include <ini_valueobj.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { FILE_MAX_BYTES = 1 << 20, NAME_BYTES = 200, RETRIES = 50 };

/* --- looking through the lines --- */

static bool names_only(const char *p, const char *end, const char *more)
{
	for (; p < end; p++)
		if (!isalnum((unsigned char)*p) && *p != '_' && (!strchr(more, *p) || !*p))
			return false;

	return true;
}

static const char *section_mistake(const char *p, const char *end)
{
	if (end[-1] != ']')
		return "a section is written [NAME] or [candidate NAME]";
	if (end - p - 2 < 1 || end - p - 2 > NAME_BYTES)
		return "the name of a section has 1 to 200 characters";
	if (!names_only(p + 1, end - 1, " -"))
		return "the name of a section has letters, digits, _, - and a space only";

	return NULL;
}

static const char *key_mistake(const char *p, const char *end)
{
	const char *equals = memchr(p, '=', (size_t)(end - p));

	if (!equals)
		return "neither a [section], a key = value, nor a comment";
	while (equals > p && isblank((unsigned char)equals[-1]))
		equals--;
	if (equals == p)
		return "there is no key before the =";
	if (equals - p > NAME_BYTES || !names_only(p, equals, "-"))
		return "a key has letters, digits and _ only";

	return NULL;
}

static void blank(char *from, char *to)
{
	memset(from, ' ', (size_t)(to - from));
}

enum place { BEFORE_SECTIONS, IN_SECTION, IN_BAD_SECTION };

/* One line that is neither empty nor a comment. *skip: not to be read, and *mistake may be NULL:
 * keys of a malformed section are passed over in silence. */
static const char *line_mistake(const char *p, const char *end, enum place *place, bool *skip)
{
	const char *mistake;

	if (*p == '[') {
		mistake = section_mistake(p, end);
		*place = mistake ? IN_BAD_SECTION : IN_SECTION;
	} else if (*place == BEFORE_SECTIONS) {
		mistake = "a key stands before the first [section]";
	} else {
		mistake = key_mistake(p, end);
	}
	*skip = mistake || *place == IN_BAD_SECTION;

	return mistake;
}

/* Blanks comments too, and the space before a line's first character: the library is told nothing
 * that it could take for something else. False when any line was bad. */
static bool look_through(char *text, const char *name, struct conf_messages *m)
{
	enum place place = BEFORE_SECTIONS;
	bool skip, good = true;
	int line = 0;

	for (char *p = text, *end; *p; p = *end ? end + 1 : end) {
		char *first = p, *last;
		const char *mistake;

		line++;
		end = strchrnul(p, '\n');
		last = end;
		while (first < end && isspace((unsigned char)*first))
			first++;
		while (last > first && isspace((unsigned char)last[-1]))
			last--;
		if (first == last || *first == '#' || *first == ';') {
			blank(p, end);
			continue;
		}
		mistake = line_mistake(first, last, &place, &skip);
		if (mistake) {
			conf_message(m, "%s:%d: %s", name, line, mistake);
			good = false;
		}
		if (skip) {
			blank(p, end);
			continue;
		}
		memmove(p, first, (size_t)(last - first));
		blank(p + (last - first), end);
	}

	return good;
}

/* --- the library --- */

static void blank_line(char *text, unsigned line)
{
	while (line > 1 && (text = strchr(text, '\n'))) {
		text++;
		line--;
	}
	if (text)
		blank(text, strchrnul(text, '\n'));
}

/* Names the library's own complaints and blanks their lines. False when there was no line to blank.
 */
static bool take_complaints(
	struct ini_cfgobj *object, char *text, const char *name, struct conf_messages *m)
{
	char **errors = NULL;
	bool any = false;

	if (ini_config_get_errors(object, &errors) != 0 || !errors)
		return false;
	for (char **e = errors; *e; e++) {
		const char *where = strstr(*e, "on line "), *what;
		unsigned long line = where ? strtoul(where + 8, NULL, 10) : 0;

		what = where ? strstr(where, ": ") : NULL;
		if (line == 0)
			continue;
		conf_message(m, "%s:%lu: %.200s", name, line, what ? what + 2 : "malformed");
		blank_line(text, (unsigned)line);
		any = true;
	}
	ini_config_free_errors(errors);

	return any;
}

static struct ini_cfgobj *parse_once(char *text, int *status)
{
	struct ini_cfgobj *object = NULL;
	struct ini_cfgfile *file = NULL;

	*status = ini_config_create(&object);
	if (*status == 0)
		*status = ini_config_file_from_mem(text, (uint32_t)strlen(text), &file);
	if (*status == 0)
		*status = ini_config_parse(file, INI_STOP_ON_NONE,
			INI_MV1S_ALLOW | INI_MV2S_ALLOW | INI_MS_MERGE,
			INI_PARSE_NOWRAP | INI_PARSE_NO_C_COMMENTS, object);
	ini_config_file_destroy(file);

	return object;
}

/* NULL when nothing can be read. *good becomes false on any complaint. */
static struct ini_cfgobj *parse_text(
	char *text, const char *name, struct conf_messages *m, bool *good)
{
	struct ini_cfgobj *object;
	int status;

	for (int i = 0; i < RETRIES; i++) {
		object = parse_once(text, &status);
		if (status == 0)
			return object;
		*good = false;
		if (!object || !take_complaints(object, text, name, m)) {
			conf_message(m, "%s: cannot be read as INI: %s", name, strerror(status));
			break;
		}
		ini_config_destroy(object);
		object = NULL;
	}
	ini_config_destroy(object);

	return NULL;
}

/* --- its content --- */

struct entry {
	char *section, *key, *value; /* owned */
	unsigned line;
};

struct entries {
	struct entry *at;
	size_t count;
	bool failed; /* out of memory */
};

static void entries_release(struct entries *list)
{
	for (size_t i = 0; i < list->count; i++) {
		free(list->at[i].section);
		free(list->at[i].key);
		free(list->at[i].value);
	}
	free(list->at);
}

static bool entries_have_line(const struct entries *list, unsigned line)
{
	for (size_t i = list->count; i-- > 0;)
		if (list->at[i].line == line)
			return true;

	return false;
}

static void entries_add(
	struct entries *list, const char *section, const char *key, struct value_obj *value)
{
	const char *text = NULL;
	struct entry *grown;
	uint32_t line = 0;

	if (value_get_concatenated(value, &text) != 0 || value_get_line(value, &line) != 0) {
		list->failed = true;
		return;
	}
	if (entries_have_line(list, line)) /* a key given twice is listed twice, each time whole */
		return;
	grown = realloc(list->at, (list->count + 1) * sizeof *grown);
	if (!grown) {
		list->failed = true;
		return;
	}
	list->at = grown;
	grown[list->count++] = (struct entry){.section = strdup(section),
		.key = strdup(key),
		.value = strdup(text ? text : ""),
		.line = line};
	grown = &list->at[list->count - 1];
	list->failed |= !grown->section || !grown->key || !grown->value;
}

static void collect_section(struct ini_cfgobj *object, const char *section, struct entries *list)
{
	char **keys = ini_get_attribute_list(object, section, NULL, NULL);

	for (char **key = keys; key && *key; key++) {
		int mode = INI_GET_FIRST_VALUE;

		for (;;) {
			struct value_obj *value = NULL;

			if (ini_get_config_valueobj(section, *key, object, mode, &value) != 0 ||
				!value)
				break;
			entries_add(list, section, *key, value);
			mode = INI_GET_NEXT_VALUE;
		}
	}
	ini_free_attribute_list(keys);
}

static int by_line(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	return (x->line > y->line) - (x->line < y->line);
}

static bool is_duplicate(
	const struct entries *list, size_t i, const char *name, struct conf_messages *m)
{
	for (size_t j = 0; j < i; j++) {
		if (strcasecmp(list->at[j].section, list->at[i].section) != 0 ||
			strcasecmp(list->at[j].key, list->at[i].key) != 0)
			continue;
		conf_message(m, "%s:%u: [%s] %s was given already on line %u", name,
			list->at[i].line, list->at[i].section, list->at[i].key, list->at[j].line);
		return true;
	}

	return false;
}

/* "candidate a" to "candidate" and "a"; *label is NULL without a second word. */
static void split_section(char *section, char **label)
{
	char *gap = strchr(section, ' ');

	*label = NULL;
	if (!gap)
		return;
	*gap++ = '\0';
	while (*gap == ' ')
		gap++;
	*label = gap;
}

static bool assign_entry(
	struct config *c, const char *name, struct entry *e, struct conf_messages *m)
{
	char where[300], *label;

	snprintf(where, sizeof where, "%.250s:%u", name, e->line);
	split_section(e->section, &label);

	return config_assign(c, where, e->section, label, e->key, e->value, m);
}

/* A section without keys counts too: [candidate a] alone is one that lacks its conninfo. */
static bool open_section(
	struct config *c, const char *name, const char *section, struct conf_messages *m)
{
	char copy[NAME_BYTES + 1], *label;

	snprintf(copy, sizeof copy, "%s", section);
	split_section(copy, &label);

	return config_open_section(c, name, copy, label, m);
}

static bool take_object(
	struct config *c, struct ini_cfgobj *object, const char *name, struct conf_messages *m)
{
	char **sections = ini_get_section_list(object, NULL, NULL);
	struct entries list = {0};
	size_t before = m->count;
	bool good = true;

	for (char **s = sections; s && *s; s++)
		collect_section(object, *s, &list);
	if (list.failed) {
		conf_message(m, "%s: out of memory", name);
		good = false;
		goto done;
	}
	if (list.count > 0)
		qsort(list.at, list.count, sizeof *list.at, by_line);
	for (size_t i = 0; i < list.count; i++)
		good &= !is_duplicate(&list, i, name, m);
	for (size_t i = 0; i < list.count; i++)
		good &= assign_entry(c, name, &list.at[i], m);
	for (char **s = sections; good && s && *s; s++)
		good &= open_section(c, name, *s, m);
done:
	ini_free_section_list(sections);
	entries_release(&list);

	return good && m->count == before;
}

bool config_read_text(struct config *c, const char *name, const char *text, struct conf_messages *m)
{
	struct ini_cfgobj *object;
	bool good = true;
	char *copy;

	if (strlen(text) > FILE_MAX_BYTES || !utf8_valid(text)) {
		conf_message(m, "%s: %s", name,
			strlen(text) > FILE_MAX_BYTES ? "longer than 1MB" : "not UTF-8");
		c->doubtful = true;
		return false;
	}
	copy = strdup(text);
	if (!copy) {
		conf_message(m, "%s: out of memory", name);
		c->doubtful = true;
		return false;
	}
	if (strncmp(copy, "\xef\xbb\xbf", 3) == 0)
		memset(copy, ' ', 3);
	good = look_through(copy, name, m);
	c->doubtful |= !good;
	object = parse_text(copy, name, m, &good);
	c->doubtful |= !object || !good;
	if (object)
		good &= take_object(c, object, name, m);
	ini_config_destroy(object);
	free(copy);

	return good && object != NULL;
}

bool config_read_file(struct config *c, const char *path, struct conf_messages *m)
{
	FILE *file = fopen(path, "re");
	char *text = malloc(FILE_MAX_BYTES + 2);
	bool good = false;
	size_t length;

	if (!file || !text) {
		conf_message(m, "%s: cannot be opened: %s", path, strerror(errno));
		c->doubtful = true;
		goto done;
	}
	length = fread(text, 1, FILE_MAX_BYTES + 1, file);
	text[length] = '\0';
	c->doubtful |= ferror(file) || strlen(text) != length;
	if (ferror(file))
		conf_message(m, "%s: cannot be read: %s", path, strerror(errno));
	else if (strlen(text) != length)
		conf_message(m, "%s: holds a NUL byte", path);
	else
		good = config_read_text(c, path, text, m);
done:
	if (file)
		fclose(file);
	free(text);

	return good;
}

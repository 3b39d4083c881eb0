/* What the primary reports of a session's settings (ParameterStatus): exact at each ReadyForQuery,
 * not known in between; and whether that agrees with what the statements said. */
#include "proxy/shadow/observed.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

/* Reported settings that change what a read returns. */
static const char *const replayed[] = {"client_encoding", "datestyle", "intervalstyle", "timezone",
	"standard_conforming_strings", "search_path"};

enum { REPLAYED = sizeof replayed / sizeof *replayed, REPORTED_STEP = 4 };

const char *observed_replayed(size_t n)
{
	return n < REPLAYED ? replayed[n] : NULL;
}

static struct reported *find(const struct observed *s, const char *name, size_t len)
{
	for (size_t i = 0; i < s->nreported; i++)
		if (strlen(s->reported[i].name) == len &&
			strncasecmp(s->reported[i].name, name, len) == 0)
			return (struct reported *)&s->reported[i];

	return NULL;
}

static struct reported *add(struct observed *s, struct span name)
{
	struct reported *r;

	if (s->nreported == SESSION_REPORTED_MAX)
		return NULL;
	if (s->nreported % REPORTED_STEP == 0) {
		r = realloc(s->reported, (s->nreported + REPORTED_STEP) * sizeof *r);
		if (!r)
			return NULL;
		s->reported = r;
	}
	r = &s->reported[s->nreported];
	*r = (struct reported){.name = strndup((const char *)name.data, name.len)};
	if (!r->name)
		return NULL;
	s->nreported++;

	return r;
}

void observed_report(struct observed *s, struct span name, struct span value)
{
	struct reported *r = find(s, (const char *)name.data, name.len);
	char *copy;

	if (!r)
		r = add(s, name);
	copy = strndup((const char *)value.data, value.len);
	if (!r || !copy) {
		free(copy);
		session_settings_doubt_base(&s->settings);
		return;
	}
	r->changed = !r->value || strcmp(r->value, copy) != 0;
	free(r->value);
	r->value = copy;
}

const char *observed_reported(const struct observed *s, const char *name)
{
	const struct reported *r = find(s, name, strlen(name));

	return r ? r->value : NULL;
}

void observed_first_report(struct observed *s)
{
	for (size_t i = 0; i < REPLAYED; i++) {
		struct reported *r = find(s, replayed[i], strlen(replayed[i]));

		if (!r)
			continue;
		r->from_server = !settings_state_find(s->settings.base, replayed[i]);
		session_settings_base(&s->settings, replayed[i], span_cstr(r->value));
		r->changed = false;
	}
}

/* What a state and what lies below it say of a setting; NULL: nothing. */
static const char *modelled(
	const struct observed *s, const struct settings_state *state, const char *name)
{
	const struct settings_entry *e = state ? settings_state_find(state, name) : NULL;

	if (!e || !e->value)
		e = settings_state_find(s->settings.base, name);

	return e ? e->value : NULL;
}

static bool same(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

bool observed_reported_now(const struct observed *s, const char *name, const char **value)
{
	const char *now = modelled(s, s->settings.current, name);

	*value = observed_reported(s, name);
	if (!*value) {
		*value = now;
		return true;
	}
	if (s->settings.current == s->settings_at_ready ||
		same(now, modelled(s, s->settings_at_ready, name)))
		return true;
	*value = now;

	return now != NULL;
}

/* --- the cross-check -------------------------------------------------------------------------- */

/* Letters and digits in lower case: what encodings are compared by. */
static void letters(const char *text, char *out, size_t size)
{
	size_t n = 0;

	for (; *text && n + 1 < size; text++)
		if (isalnum((unsigned char)*text))
			out[n++] = (char)tolower((unsigned char)*text);
	out[n] = '\0';
}

static bool is_zone_name(const char *text)
{
	return isalpha((unsigned char)*text) && !strchr(text, ' ');
}

/* Different for certain, not only in spelling? */
static bool contradicts(const char *name, const char *said, const char *reported)
{
	char a[64], b[64];

	if (strcmp(name, "timezone") == 0)
		return is_zone_name(said) && is_zone_name(reported) &&
		       strcasecmp(said, reported) != 0;
	if (strcmp(name, "intervalstyle") == 0)
		return strcasecmp(said, reported) != 0;
	if (strcmp(name, "search_path") == 0 || strcmp(name, "datestyle") == 0)
		return strcmp(said, reported) != 0;
	if (strcmp(name, "client_encoding") == 0) {
		letters(said, a, sizeof a);
		letters(reported, b, sizeof b);
		return strcmp(b, "utf8") == 0 && strcmp(a, "utf8") != 0 &&
		       strcmp(a, "unicode") != 0;
	}

	return false;
}

static bool disagrees(struct observed *s, const char *name, struct reported *r)
{
	const char *now = modelled(s, s->settings.current, name);
	const char *then = modelled(s, s->settings_at_ready, name);

	if (r->changed && same(now, then)) {
		if (!r->from_server || settings_state_find(s->settings.current, name))
			return true;
		session_settings_base(&s->settings, name, span_cstr(r->value)); /* a reload */
		return false;
	}

	return now && contradicts(name, now, r->value);
}

static void disagreement(struct observed *s)
{
	s->observer->books->events[EVENT_DISAGREEMENT]++;
	session_settings_doubt(&s->settings);
	if (s->settings.before)
		s->settings.before->unknown = true; /* a rollback does not end this doubt */
}

void observed_cross_check(struct observed *s, uint8_t status)
{
	/* In a failed transaction the server has gone back already, the model has not yet. */
	bool check = status != 'E' && s->settings_at_ready && !s->settings_at_ready->unknown;

	for (size_t i = 0; i < REPLAYED; i++) {
		struct reported *r = find(s, replayed[i], strlen(replayed[i]));

		if (r && check && !session_settings_unknown(&s->settings) &&
			disagrees(s, replayed[i], r))
			disagreement(s);
		if (r)
			r->changed = false;
	}
}

/* --- DateStyle: style and order are set one by one ----------------------------------------------
 */

static const struct datestyle_word {
	const char *word, *style, *order;
} datestyle_words[] = {{"iso", "ISO", NULL}, {"sql", "SQL", NULL}, {"german", "German", "DMY"},
	{"ymd", NULL, "YMD"}, {"dmy", NULL, "DMY"}, {"mdy", NULL, "MDY"}, {"us", NULL, "MDY"},
	{"noneuro", NULL, "MDY"}, {"noneuropean", NULL, "MDY"}, {"euro", NULL, "DMY"},
	{"european", NULL, "DMY"}, {"postgres", "Postgres", NULL}};

static const struct datestyle_word *datestyle_word(const char *text, size_t len)
{
	for (size_t i = 0; i < sizeof datestyle_words / sizeof *datestyle_words; i++)
		if (strlen(datestyle_words[i].word) == len &&
			strncasecmp(datestyle_words[i].word, text, len) == 0)
			return &datestyle_words[i];

	return NULL;
}

static bool datestyle_read(const char *text, const char **style, const char **order)
{
	bool order_given = false;

	while (*text) {
		size_t len = strcspn(text, " ,\"");
		const struct datestyle_word *w = len > 0 ? datestyle_word(text, len) : NULL;

		if (len > 0 && !w)
			return false;
		if (w && w->style)
			*style = w->style;
		if (w && w->order && (!w->style || !order_given))
			*order = w->order;
		order_given |= w && w->order && !w->style;
		text += len;
		text += strspn(text, " ,\"");
	}

	return true;
}

bool datestyle_merge(const char *before, const char *value, char *out, size_t size)
{
	const char *style = NULL, *order = NULL;

	if (!datestyle_read(before, &style, &order) || !datestyle_read(value, &style, &order) ||
		!style || !order)
		return false;
	snprintf(out, size, "%s, %s", style, order);

	return true;
}

/* What the primary reports of a session's settings (ParameterStatus): exact at each ReadyForQuery,
 * not known in between; and whether that agrees with what the statements said. */
#include "proxy/shadow/observed.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

/* Reported settings that change what a read returns. */
static const char *const replayed[] = {"client_encoding", "datestyle", "intervalstyle", "timezone",
	"standard_conforming_strings", "search_path"};

enum { REPLAYED = sizeof replayed / sizeof *replayed };

const char *observed_replayed(size_t n)
{
	return n < REPLAYED ? replayed[n] : NULL;
}

static size_t count_reported(const struct observed *s)
{
	return s->reported ? s->reported->count / 2 : 0;
}

static const char *value_at(const struct observed *s, size_t at)
{
	return s->reported->text[2 * at + 1];
}

/* Its place among those that are reported, or their number. */
static size_t find(const struct observed *s, struct span name)
{
	size_t count = count_reported(s), i = 0;

	while (i < count &&
		(strncasecmp(s->reported->text[2 * i], (const char *)name.data, name.len) != 0 ||
			s->reported->text[2 * i][name.len] != '\0'))
		i++;

	return i;
}

/* What is reported, with another value in one place. While a session starts it reports one after
 * the other: only what comes of it is shared. False: out of memory. */
static bool replace(struct observed *s, size_t at, struct span name, struct span value)
{
	struct texts_pool *pool = s->state == SESSION_STARTING ? NULL : s->observer->texts;
	struct span texts[2 * SESSION_REPORTED_MAX];
	size_t count = 2 * count_reported(s);
	struct texts *now;

	for (size_t i = 0; i < count; i++)
		texts[i] = span_cstr(s->reported->text[i]);
	if (2 * at == count) {
		texts[2 * at] = name;
		count += 2;
	}
	texts[2 * at + 1] = value;
	now = texts_get(pool, texts, count);
	if (!now)
		return false;
	texts_unref(s->reported);
	s->reported = now;

	return true;
}

void observed_report(struct observed *s, struct span name, struct span value)
{
	size_t at = find(s, name);
	bool same = at < count_reported(s) && span_is(value, value_at(s, at));

	s->agreed = false;
	if (at == SESSION_REPORTED_MAX || (!same && !replace(s, at, name, value))) {
		session_settings_doubt_base(&s->settings);
		return;
	}
	if (same)
		s->changed &= ~((uint64_t)1 << at);
	else
		s->changed |= (uint64_t)1 << at;
}

void observed_take_reported(struct observed *s, struct span reported)
{
	struct span name, value;

	while (next_parameter(&reported, &name, &value))
		observed_report(s, name, value);
}

const char *observed_reported(const struct observed *s, const char *name)
{
	size_t at = find(s, span_cstr(name));

	return at < count_reported(s) ? value_at(s, at) : NULL;
}

static void share_reported(struct observed *s)
{
	if (s->reported && !s->reported->pool)
		(void)!replace(s, 0, span_cstr(s->reported->text[0]), span_cstr(value_at(s, 0)));
}

void observed_first_report(struct observed *s)
{
	for (size_t i = 0; i < REPLAYED; i++) {
		size_t at = find(s, span_cstr(replayed[i]));

		if (at == count_reported(s))
			continue;
		if (!settings_state_find(s->settings.base, replayed[i]))
			s->from_server |= (uint64_t)1 << at;
		session_settings_base(&s->settings, replayed[i], span_cstr(value_at(s, at)));
		s->changed &= ~((uint64_t)1 << at);
	}
	share_reported(s);
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

static bool disagrees(struct observed *s, const char *name, size_t at)
{
	const char *now = modelled(s, s->settings.current, name);
	const char *then = modelled(s, s->settings_at_ready, name);

	if ((s->changed >> at & 1) && same(now, then)) {
		if (!(s->from_server >> at & 1) || settings_state_find(s->settings.current, name))
			return true;
		session_settings_base(
			&s->settings, name, span_cstr(value_at(s, at))); /* a reload */
		return false;
	}

	return now && contradicts(name, now, value_at(s, at));
}

static void disagreement(struct observed *s)
{
	if (!s->settings.current->gap) /* else it is what a gap hid that says otherwise */
		s->observer->books->events[EVENT_DISAGREEMENT]++;
	session_settings_doubt(&s->settings);
	session_settings_doubt_before(&s->settings); /* a rollback does not end this doubt */
}

void observed_cross_check(struct observed *s, uint8_t status)
{
	/* In a failed transaction the server has gone back already, the model has not yet. */
	bool check = status != 'E' && s->settings_at_ready && !s->settings_at_ready->unknown &&
		     !session_settings_unknown_but_for_gap(&s->settings);

	if (check && s->agreed && s->settings.current == s->settings_at_ready)
		return; /* as the last time */
	for (size_t i = 0; check && i < REPLAYED; i++) {
		size_t at = find(s, span_cstr(replayed[i]));

		if (at < count_reported(s) && !session_settings_unknown_but_for_gap(&s->settings) &&
			disagrees(s, replayed[i], at))
			disagreement(s);
	}
	s->changed = 0;
	s->agreed = check && !session_settings_unknown_but_for_gap(&s->settings);
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

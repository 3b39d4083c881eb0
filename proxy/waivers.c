#include "proxy/waivers.h"

#include "conf/parse.h"

_Static_assert((int)CONF_MAX_NAMED <= (int)BOOKS_MAX_WAIVERS, "each waiver has its counters");

static const char *need(const struct config *c, const char *name, const char *key, const char *why,
	struct conf_messages *m)
{
	const char *text = config_text(c, "waiver", name, key);

	if (config_lacks(c, "waiver", name, key))
		config_mistake(c, "waiver", name, key, m, " is not set: %s", why);

	return text;
}

static bool names_candidate(const struct config *c, const char *wanted)
{
	const char *names[CONF_MAX_CANDIDATES];
	size_t count = config_names(c, "candidate", names, CONF_MAX_CANDIDATES);

	for (size_t i = 0; i < count; i++)
		if (strcmp(names[i], wanted) == 0)
			return true;

	return false;
}

static const char *nearest(const char *word)
{
	unsigned best_distance = 2 + (unsigned)strlen(word) / 4;
	const char *best = NULL, *known;

	for (size_t i = 0; (known = waiver_word(i)); i++) {
		unsigned distance = edit_distance(known, word);

		if (distance < best_distance) {
			best = known;
			best_distance = distance;
		}
	}

	return best;
}

static void unknown_word(
	const struct config *c, const char *name, const char *word, struct conf_messages *m)
{
	const char *near = nearest(word), *known;
	char allowed[900] = "";
	size_t used = 0;

	for (size_t i = 0; (known = waiver_word(i)) && used < sizeof allowed; i++)
		used += (size_t)snprintf(
			allowed + used, sizeof allowed - used, "%s%s", i > 0 ? ", " : "", known);
	config_mistake(c, "waiver", name, "accept", m,
		" = %.40s%s%s%s: allowed: %s, and SQLSTATEs (22012)", word,
		near ? ", did you mean " : "", near ? near : "", near ? "?" : "", allowed);
}

/* Each word names a class, a hint or a SQLSTATE: a mistyped one would never waive anything. */
static void check_accept(
	const struct config *c, const char *name, const char *list, struct conf_messages *m)
{
	while (*(list += strspn(list, " \t,"))) {
		size_t length = strcspn(list, ",");
		char word[64];
		int shown = length < sizeof word ? (int)length : (int)sizeof word - 1;

		snprintf(word, sizeof word, "%.*s", shown, list);
		for (size_t n = strlen(word); n > 0 && (word[n - 1] == ' ' || word[n - 1] == '\t');)
			word[--n] = '\0';
		if (!waiver_word_known(word))
			unknown_word(c, name, word, m);
		list += length;
	}
}

static void read_one(
	const struct config *c, const char *name, struct waiver *w, struct conf_messages *m)
{
	*w = (struct waiver){.name = name,
		.match = need(c, name, "match", "the statement's normalised text, or *", m),
		.candidate = config_text(c, "waiver", name, "candidate"),
		.columns = config_text(c, "waiver", name, "columns"),
		.accept = need(c, name, "accept",
			"the class, hint or SQLSTATE of the differences, as the report names them",
			m),
		.reason = need(c, name, "reason", "why the difference is accepted", m),
		.owner = need(c, name, "owner", "who answers for it", m),
		.expires = need(c, name, "expires", "the last day, as YYYY-MM-DD", m)};
	if (*w->expires && !waiver_day_end(w->expires, &w->ends_us))
		config_mistake(c, "waiver", name, "expires", m,
			" = %.40s: allowed: a day as YYYY-MM-DD", w->expires);
	if (*w->candidate && !names_candidate(c, w->candidate))
		config_mistake(c, "waiver", name, "candidate", m,
			" = %.63s: there is no [candidate %.63s]", w->candidate, w->candidate);
	check_accept(c, name, w->accept, m);
}

bool waivers_read(const struct config *c, struct waivers *out, struct conf_messages *m)
{
	const char *names[CONF_MAX_NAMED];
	size_t before = m->count;

	out->count = config_names(c, "waiver", names, CONF_MAX_NAMED);
	for (size_t i = 0; i < out->count; i++)
		read_one(c, names[i], &out->list[i], m);

	return m->count == before;
}

int waivers_find(const struct waivers *w, const char *candidate, const char *normalized,
	const struct comparison *c, const struct result *primary, const struct result *answer,
	const struct compare_rules *rules, uint64_t now_us, int *expired)
{
	*expired = -1;
	for (size_t i = 0; i < w->count; i++) {
		const struct waiver *one = &w->list[i];

		if (!waiver_matches(one, candidate, normalized) ||
			!waiver_accepts(one, c, primary, answer, rules))
			continue;
		if ((int64_t)now_us < one->ends_us) {
			*expired = -1;
			return (int)i;
		}
		if (*expired < 0)
			*expired = (int)i;
	}

	return -1;
}

/* What a session begins with: the startup packet, its `options`, and the settings of roles and
 * databases below them. */
#include "proxy/shadow/observed.h"

#include <ctype.h>
#include <strings.h>

/* One word of `options`: backslash escapes, ends at white space (postinit.c, pg_split_opts). */
static bool option_word(struct span *rest, char *word, size_t size)
{
	size_t n = 0, i = 0;

	while (i < rest->len && isspace(rest->data[i]))
		i++;
	if (i == rest->len)
		return false;
	for (; i < rest->len && !isspace(rest->data[i]); i++) {
		if (rest->data[i] == '\\' && i + 1 < rest->len)
			i++;
		if (n + 1 < size)
			word[n++] = (char)rest->data[i];
	}
	word[n] = '\0';
	*rest = span_of(rest->data + i, rest->len - i);

	return true;
}

static void option_setting(struct observed *s, char *assignment)
{
	char *equals = strchr(assignment, '=');

	if (!equals) {
		session_settings_doubt_base(&s->settings);
		return;
	}
	*equals = '\0';
	for (char *c = assignment; *c; c++)
		if (*c == '-')
			*c = '_';
	session_settings_base(&s->settings, assignment, span_cstr(equals + 1));
}

/* -c name=value, -cname=value, --name=value; anything else is a switch that we don't model. */
static void start_options(struct observed *s, struct span options)
{
	char word[4096];

	while (option_word(&options, word, sizeof word)) {
		if (strcmp(word, "-c") == 0) {
			if (option_word(&options, word, sizeof word))
				option_setting(s, word);
		} else if (strncmp(word, "--", 2) == 0) {
			option_setting(s, word + 2);
		} else if (strncmp(word, "-c", 2) == 0) {
			option_setting(s, word + 2);
		} else {
			session_settings_doubt_base(&s->settings);
		}
		if (strlen(word) == sizeof word - 1)
			session_settings_doubt_base(&s->settings); /* perhaps cut */
	}
}

static void start_parameter(struct observed *s, struct span name, struct span value)
{
	char key[NAME_MAX_BYTES + 1];

	if (name.len > NAME_MAX_BYTES || (name.len > 5 && memcmp(name.data, "_pq_.", 5) == 0))
		return;
	memcpy(key, name.data, name.len);
	key[name.len] = '\0';
	if (strcmp(key, "user") != 0 && strcmp(key, "database") != 0 &&
		strcmp(key, "options") != 0 && strcmp(key, "replication") != 0)
		session_settings_base(&s->settings, key, value);
}

static void apply_base(struct observed *s)
{
	for (size_t i = 0; i < s->view->nbase; i++) {
		const struct base_setting *b = &s->view->base[i];

		if (!b->role || strcmp(b->role, s->who->text[WHO_USER]) == 0)
			session_settings_base(&s->settings, b->name, span_cstr(b->value));
	}
}

bool observed_start(
	struct observed *s, const struct tape_open *open, struct span startup, struct span reported)
{
	struct startup_message message;
	struct span rest, name, value, options = span_cstr("");
	struct span who[WHO] = {[WHO_APPLICATION] = span_cstr("")};

	if (!parse_startup(startup, &message))
		return false;
	/* In passes: per-role settings need user and database, and lie below `options`, which
	 * lies below the packet's own. */
	for (rest = message.parameters; next_parameter(&rest, &name, &value);) {
		if (span_is(name, "user"))
			who[WHO_USER] = value;
		if (span_is(name, "database"))
			who[WHO_DATABASE] = value;
		if (span_is(name, "application_name"))
			who[WHO_APPLICATION] = value;
		if (span_is(name, "options"))
			options = value; /* of several the last counts */
	}
	if (!who[WHO_USER].data)
		return false;
	if (who[WHO_DATABASE].len == 0)
		who[WHO_DATABASE] = who[WHO_USER];
	s->who = texts_get(s->observer->texts, who, WHO);
	if (!s->who)
		return false;
	s->view = s->observer->sink.database(s->observer->sink.self, s->who->text[WHO_DATABASE]);
	if (!s->view)
		return false;
	apply_base(s);
	start_options(s, options);
	for (rest = message.parameters; next_parameter(&rest, &name, &value);)
		start_parameter(s, name, value);
	observed_take_reported(s, reported);
	if (open->announced_again) {
		s->state = SESSION_LIVE; /* nothing comes before it is resumed */
		observed_rest(s);
	}

	return true;
}

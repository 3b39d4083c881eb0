/* SELECT set_config(...) with parameters: the values are those of the portal's Bind. */
#include "proxy/shadow/observed.h"

#include <stdlib.h>

enum {
	OID_BOOL = 16,
	OID_INT8 = 20,
	OID_INT2 = 21,
	OID_INT4 = 23,
	OID_TEXT = 25,
	OID_UNKNOWN = 705,
	OID_VARCHAR = 1043
};

struct bound {
	struct span value; /* absent: NULL */
	uint16_t format;
	uint32_t type; /* as the Parse declared it; 0: left to the server */
};

static bool bound_value(const struct portal *p, uint16_t number, struct bound *out)
{
	struct bind_message bind;
	struct reader values, formats;

	if (!p || !p->bind || !p->prepared || !parse_bind(span_of(p->bind, p->bind_len), &bind) ||
		number > bind.nparams)
		return false;
	values = reader_over(bind.params);
	formats = reader_over(bind.param_formats);
	for (uint16_t i = 0; i < number; i++) {
		out->value = read_value(&values);
		if (i < bind.nparam_formats)
			out->format = read_u16(&formats);
		else if (bind.nparam_formats != 1)
			out->format = 0;
	}
	out->type = number <= p->prepared->ntypes ? p->prepared->types[number - 1] : 0;

	return !values.bad && !formats.bad;
}

static bool is_text_type(uint32_t type)
{
	return type == 0 || type == OID_TEXT || type == OID_UNKNOWN || type == OID_VARCHAR;
}

/* Text is the same in both formats; a number only when it came as the server would print it. */
static bool is_plain(const struct bound *b)
{
	const char *digits = "0123456789";

	if (is_text_type(b->type))
		return true;
	if (b->format != 0 || (b->type != OID_INT2 && b->type != OID_INT4 && b->type != OID_INT8) ||
		b->value.len == 0 || (b->value.len > 1 && b->value.data[0] == '0'))
		return false;
	for (size_t i = 0; i < b->value.len; i++)
		if (!strchr(digits, b->value.data[i]))
			return false;

	return true;
}

/* *text is owned by the caller; NULL: SQL NULL. False: not known. */
static bool argument_text(const struct observed *s, const struct config_argument *a, char **text)
{
	struct bound b = {0};

	*text = NULL;
	if (a->param == 0) {
		*text = a->text ? strdup(a->text) : NULL;
		return !a->text || *text;
	}
	if (!bound_value(s->applying, a->param, &b) || (b.value.data && !is_plain(&b)))
		return false;
	if (b.value.data)
		*text = strndup((const char *)b.value.data, b.value.len);

	return !b.value.data || *text;
}

static bool word_truth(struct span word, bool *truth)
{
	static const char *const yes[] = {"t", "true", "on", "yes", "y", "1"};
	static const char *const no[] = {"f", "false", "off", "no", "n", "0"};

	for (size_t i = 0; i < sizeof yes / sizeof *yes; i++) {
		*truth = span_is(word, yes[i]);
		if (*truth || span_is(word, no[i]))
			return true;
	}

	return false;
}

static bool argument_truth(const struct observed *s, const struct config_argument *a, bool *truth)
{
	struct bound b = {0};

	*truth = false; /* NULL is false */
	if (a->param == 0)
		return !a->text || word_truth(span_cstr(a->text), truth);
	if (!bound_value(s->applying, a->param, &b) || (b.type != 0 && b.type != OID_BOOL))
		return false;
	if (!b.value.data)
		return true;
	if (b.format == 0)
		return word_truth(b.value, truth);
	*truth = b.value.len == 1 && b.value.data[0] != 0;

	return b.value.len == 1;
}

static bool set_item(struct observed *s, const struct config_item *item)
{
	char *name = NULL, *value = NULL;
	bool local, known;

	known = argument_text(s, &item->name, &name) && name &&
		argument_text(s, &item->value, &value) && argument_truth(s, &item->local, &local);
	if (known)
		observed_set(s, name, value, local);
	free(name);
	free(value);

	return known;
}

bool observed_set_config(struct observed *s, const struct statement *statement)
{
	for (size_t i = 0; i < statement->nitems; i++)
		if (!set_item(s, &statement->items[i]))
			return false;

	return true;
}

void observed_note_customs(struct observed *s, const struct statement *st)
{
	if (st->effect == EFFECT_SET)
		session_settings_custom(&s->settings, st->name);
	for (size_t i = 0; i < st->nitems; i++)
		if (st->items[i].name.text)
			session_settings_custom(&s->settings, st->items[i].name.text);
}

/* From a record of the discrepancy log back to the dark read that it tells of. */
#include "proxy/shadow/recheck.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static const char *text_of(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? text : "";
}

__attribute__((format(printf, 2, 3))) static void impossible(
	struct recheck *item, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(item->why, sizeof item->why, format, args);
	va_end(args);
	item->end = RECHECK_IMPOSSIBLE;
	dark_read_unref(item->read);
	item->read = NULL;
}

/* ---- values ---- */

static int digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';

	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Bytes of a logged value: a string, or {"hex"}. */
static size_t value_bytes(const json_t *value)
{
	if (json_is_string(value))
		return json_string_length(value);

	return strlen(text_of(value, "hex")) / 2;
}

static bool copy_hex(const char *hex, uint8_t *to)
{
	for (; hex[0] && hex[1]; hex += 2) {
		int high = digit_of(hex[0]), low = digit_of(hex[1]);

		if (high < 0 || low < 0)
			return false;
		*to++ = (uint8_t)(high << 4 | low);
	}

	return !hex[0];
}

/* False: the value is hashed, or something else that no value is. */
static bool copy_value(const json_t *value, uint8_t **at, struct span *out)
{
	size_t len = value_bytes(value);

	*out = (struct span){0};
	if (json_is_null(value))
		return true;
	if (json_is_string(value))
		memcpy(*at, json_string_value(value), len);
	else if (!json_is_string(json_object_get(value, "hex")) ||
		 !copy_hex(text_of(value, "hex"), *at))
		return false;
	*out = span_of(*at, len);
	*at += len;

	return true;
}

enum taken { TAKEN, TAKEN_NOT, TAKEN_NO_MEMORY };

static enum taken take_params(struct dark_read *read, const json_t *params)
{
	size_t count = json_array_size(params), bytes = 1, i;
	json_t *value;
	uint8_t *at;

	if (count > UINT16_MAX)
		return TAKEN_NOT;
	json_array_foreach (params, i, value)
		bytes += value_bytes(value);
	read->memory = at = malloc(bytes);
	read->params = calloc(count + 1, sizeof *read->params);
	if (!read->memory || !read->params)
		return TAKEN_NO_MEMORY;
	json_array_foreach (params, i, value)
		if (!copy_value(value, &at, &read->params[i]))
			return TAKEN_NOT;
	read->nparams = (uint16_t)count;

	return TAKEN;
}

/* ---- lists of numbers ---- */

static uint16_t *read_codes(const json_t *list, uint16_t *count)
{
	size_t n = json_array_size(list);
	uint16_t *codes = calloc(n + 1, sizeof *codes);

	*count = codes && n <= UINT16_MAX ? (uint16_t)n : 0;
	for (uint16_t i = 0; i < *count; i++)
		codes[i] = (uint16_t)json_integer_value(json_array_get(list, i));

	return codes;
}

static uint32_t *read_oids(const json_t *list, uint16_t *count)
{
	size_t n = json_array_size(list);
	uint32_t *oids = calloc(n + 1, sizeof *oids);

	*count = oids && n <= UINT16_MAX ? (uint16_t)n : 0;
	for (uint16_t i = 0; i < *count; i++)
		oids[i] = (uint32_t)json_integer_value(json_array_get(list, i));

	return oids;
}

static bool take_request(struct dark_read *read, const json_t *request)
{
	read->simple = json_is_true(json_object_get(request, "simple"));
	read->row_limit = (uint32_t)json_integer_value(json_object_get(request, "row_limit"));
	read->param_types = read_oids(json_object_get(request, "param_types"), &read->nparam_types);
	read->value_types = read_oids(json_object_get(request, "value_types"), &read->nvalue_types);
	read->param_formats =
		read_codes(json_object_get(request, "param_formats"), &read->nparam_formats);
	read->result_formats =
		read_codes(json_object_get(request, "result_formats"), &read->nresult_formats);

	return read->param_types && read->value_types && read->param_formats &&
	       read->result_formats;
}

/* ---- settings, names ---- */

static enum taken take_settings(struct dark_read *read, json_t *settings)
{
	const char *name;
	json_t *value;

	read->settings = calloc(json_object_size(settings) + 1, sizeof *read->settings);
	if (!read->settings)
		return TAKEN_NO_MEMORY;
	json_object_foreach (settings, name, value) {
		struct setting *s = &read->settings[read->nsettings];

		if (!json_is_string(value))
			return TAKEN_NOT;
		s->name = strdup(name);
		s->value = strdup(json_string_value(value));
		read->nsettings++;
		if (!s->name || !s->value)
			return TAKEN_NO_MEMORY;
	}

	return TAKEN;
}

static bool take_names(struct dark_read *read, const json_t *record)
{
	const char *role = text_of(record, "role"), *user = text_of(record, "user");

	role = *role ? role : user;
	snprintf(read->session, sizeof read->session, "%s", text_of(record, "session"));
	read->database = strdup(text_of(record, "database"));
	read->user = strdup(user);
	read->role = strdup(role);
	read->role_changed = strcmp(role, user) != 0;
	read->application_name = strdup(text_of(record, "application_name"));

	return read->database && read->user && read->role && read->application_name;
}

/* ---- the record ---- */

/* A normalised text without placeholders is the statement itself. With values=none nothing is known
 * of the settings that are values. */
static const char *statement_of(const json_t *record)
{
	const char *query = text_of(record, "query"), *normalized = text_of(record, "normalized");

	if (*query)
		return query;

	return strchr(normalized, '$') || !json_object_get(record, "params") ? "" : normalized;
}

static const char not_full[] = "its values were not logged, only hashes or nothing of them "
			       "(discrepancies.values=full logs them)";

static enum taken take_read(struct dark_read *read, const json_t *record, const char *sql)
{
	enum taken taken;

	read->sql = strdup(sql);
	if (!read->sql || !take_names(read, record) ||
		!take_request(read, json_object_get(record, "request")))
		return TAKEN_NO_MEMORY;
	taken = take_params(read, json_object_get(record, "params"));

	return taken == TAKEN ? take_settings(read, json_object_get(record, "settings")) : taken;
}

bool recheck_from_record(struct recheck *item, const json_t *record)
{
	const char *sql = statement_of(record);

	*item = (struct recheck){.end = RECHECK_OPEN};
	snprintf(item->id, sizeof item->id, "%s", text_of(record, "id"));
	snprintf(item->candidate, sizeof item->candidate, "%s", text_of(record, "candidate"));
	if (!*sql) {
		impossible(item, "%s", not_full);
		return true;
	}
	item->read = dark_read_new();
	if (!item->read)
		return false;
	switch (take_read(item->read, record, sql)) {
	case TAKEN: return true;
	case TAKEN_NOT: impossible(item, "%s", not_full); return true;
	case TAKEN_NO_MEMORY: break;
	}
	recheck_release(item);

	return false;
}

void recheck_release(struct recheck *item)
{
	dark_read_unref(item->read);
	item->read = NULL;
}

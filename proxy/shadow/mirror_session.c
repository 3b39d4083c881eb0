#include "proxy/shadow/mirror_session.h"

#include <stdlib.h>
#include <strings.h>
#include <xxhash.h>

static const char *const REPORTED[REPORTED_COUNT] = {
#define X(NAME, name) name,
	REPORTED_PARAMETERS(X)
#undef X
};

const char *reported_name(enum reported_parameter p)
{
	return REPORTED[p];
}

bool session_init(struct session *s)
{
	*s = (struct session){.next_number = 1};
	s->names = calloc(SESSION_NAMES, sizeof *s->names);

	return s->names != NULL;
}

void session_release(struct session *s)
{
	for (size_t i = 0; i < REPORTED_COUNT; i++)
		free(s->base[i]);
	free(s->names);
	*s = (struct session){0};
}

static int reported_index(struct span name)
{
	for (int i = 0; i < REPORTED_COUNT; i++)
		if (strlen(REPORTED[i]) == name.len &&
			strncasecmp(REPORTED[i], (const char *)name.data, name.len) == 0)
			return i;

	return -1;
}

int session_reported(const char *name)
{
	return reported_index(span_cstr(name));
}

bool session_base(struct session *s, const char *name, const char *value)
{
	int i = reported_index(span_cstr(name));
	char *copy;

	if (i < 0 || strlen(value) > SESSION_VALUE_MAX)
		return true;
	copy = strdup(value);
	if (!copy)
		return false;
	free(s->base[i]);
	s->base[i] = copy;
	s->changed[i] = false;

	return true;
}

void session_report(struct session *s, struct span name, struct span value)
{
	int i = reported_index(name);

	if (i >= 0)
		s->changed[i] = !s->base[i] || !span_is(value, s->base[i]);
}

bool session_is_at_base(const struct session *s)
{
	for (size_t i = 0; i < REPORTED_COUNT; i++)
		if (s->changed[i])
			return false;

	return true;
}

bool session_stands_at(const struct session *s, int reported, const char *value)
{
	return reported >= 0 && value && s->base[reported] && strcmp(s->base[reported], value) == 0;
}

uint64_t custom_names(const struct dark_read *read)
{
	return read->list ? read->list->custom : settings_custom(read->settings, read->nsettings);
}

bool session_fits(const struct session *s, uint64_t custom)
{
	return s->custom == 0 || s->custom == custom;
}

static uint64_t role_hash(const struct session *s, const struct dark_read *read)
{
	return s->impersonate ? XXH3_64bits(read->role, strlen(read->role)) : 0;
}

static void name_key(const struct session *s, const struct dark_read *read, uint64_t key[2])
{
	XXH128_hash_t sql = XXH3_128bits(read->sql, strlen(read->sql));
	XXH128_hash_t types =
		XXH3_128bits(read->param_types, read->nparam_types * sizeof *read->param_types);
	const uint64_t whole[] = {sql.low64, sql.high64, types.low64, types.high64,
		read->nparam_types, read->settings_hash, role_hash(s, read)};
	XXH128_hash_t hash = XXH3_128bits(whole, sizeof whole);

	key[0] = hash.low64;
	key[1] = hash.high64;
}

static struct session_name *least_used(struct session *s)
{
	struct session_name *least = s->names;

	for (size_t i = 1; i < s->nnames; i++)
		if (s->names[i].used < least->used)
			least = &s->names[i];

	return least;
}

struct session_name *session_name_for(
	struct session *s, const struct dark_read *read, uint32_t *evicted)
{
	struct session_name *name;
	uint64_t key[2];

	*evicted = 0;
	name_key(s, read, key);
	for (size_t i = 0; i < s->nnames; i++) {
		name = &s->names[i];
		if (name->key[0] == key[0] && name->key[1] == key[1]) {
			name->used = ++s->clock;
			return name;
		}
	}

	if (s->nnames < SESSION_NAMES) {
		name = &s->names[s->nnames++];
	} else {
		name = least_used(s);
		*evicted = name->number;
	}
	*name = (struct session_name){
		.key = {key[0], key[1]}, .used = ++s->clock, .number = s->next_number++};

	return name;
}

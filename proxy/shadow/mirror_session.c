#include "proxy/shadow/mirror_session.h"

#include "proxy/shadow/mirror_settings.h"
#include <ctype.h>
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

bool session_stands_at(const struct session *s, const char *name, const char *value)
{
	int i = reported_index(span_cstr(name));

	return i >= 0 && value && s->base[i] && strcmp(s->base[i], value) == 0;
}

static uint64_t name_hash(const char *name)
{
	char lower[256];
	size_t n = 0;

	for (; name[n] && n < sizeof lower; n++)
		lower[n] = (char)tolower((unsigned char)name[n]);

	return XXH3_64bits(lower, n) | 1;
}

static bool named_again_later(const struct dark_read *read, size_t at)
{
	for (size_t i = at + 1; i < read->nsettings; i++)
		if (strcasecmp(read->settings[i].name, read->settings[at].name) == 0)
			return true;

	return false;
}

uint64_t custom_names(const struct dark_read *read)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < read->nsettings; i++) {
		const char *name = read->settings[i].name;

		if (setting_is_custom(name) && !setting_refusal(name) &&
			!named_again_later(read, i))
			sum += name_hash(name);
	}

	return sum;
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

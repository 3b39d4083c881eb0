#include "proxy/shadow/setting_list.h"

#include "proxy/shadow/mirror_session.h"
#include "proxy/shadow/mirror_settings.h"
#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <strings.h>
#include <xxhash.h>

static size_t bytes_of(const struct setting *setting, size_t count)
{
	size_t bytes = 0;

	for (size_t i = 0; i < count; i++)
		bytes += strlen(setting[i].name) + strlen(setting[i].value) + 2;

	return bytes;
}

static char *copy(char **at, const char *text)
{
	char *own = *at;
	size_t size = strlen(text) + 1;

	memcpy(own, text, size);
	*at += size;

	return own;
}

static bool set_again_later(const struct setting *setting, size_t count, size_t at)
{
	for (size_t i = at + 1; i < count; i++)
		if (strcasecmp(setting[i].name, setting[at].name) == 0)
			return true;

	return false;
}

bool setting_is_applied(const struct setting *setting, size_t count, size_t at)
{
	return !setting_refusal(setting[at].name) && !set_again_later(setting, count, at);
}

static uint64_t name_hash(const char *name)
{
	char lower[256];
	size_t n = 0;

	for (; name[n] && n < sizeof lower; n++)
		lower[n] = (char)tolower((unsigned char)name[n]);

	return XXH3_64bits(lower, n) | 1;
}

uint64_t settings_custom(const struct setting *setting, size_t count)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < count; i++)
		if (setting_is_custom(setting[i].name) && setting_is_applied(setting, count, i))
			sum += name_hash(setting[i].name);

	return sum;
}

static void look_at(struct setting_list *list, size_t i)
{
	const struct setting *s = &list->setting[i];

	list->hash = XXH3_64bits_withSeed(s->name, strlen(s->name), list->hash);
	list->hash = XXH3_64bits_withSeed(s->value, strlen(s->value), list->hash);
	if (setting_is_applied(list->setting, list->count, i))
		list->applied[list->napplied++] = (struct applied){
			.at = (uint16_t)i, .reported = (int16_t)session_reported(s->name)};
}

struct setting_list *setting_list_new(const struct setting *setting, size_t count, uint64_t seed)
{
	struct setting_list *list;
	size_t bytes;
	char *at;

	if (count > SETTING_LIST_MAX)
		return NULL;
	bytes = bytes_of(setting, count);
	list = malloc(
		sizeof *list + count * (sizeof *list->setting + sizeof *list->applied) + bytes);
	if (!list)
		return NULL;
	*list = (struct setting_list){
		.references = 1, .count = count, .bytes = bytes, .hash = seed};
	list->setting = (struct setting *)(list + 1);
	list->applied = (struct applied *)(list->setting + count);
	at = (char *)(list->applied + count);
	for (size_t i = 0; i < count; i++) {
		list->setting[i].name = copy(&at, setting[i].name);
		list->setting[i].value = copy(&at, setting[i].value);
	}
	for (size_t i = 0; i < count; i++)
		look_at(list, i);
	list->custom = settings_custom(list->setting, count);

	return list;
}

struct setting_list *setting_list_ref(struct setting_list *list)
{
	assert(list->references > 0);
	list->references++;

	return list;
}

void setting_list_unref(struct setting_list *list)
{
	if (!list)
		return;
	assert(list->references > 0);
	if (--list->references == 0)
		free(list);
}

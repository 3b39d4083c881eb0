#include "proxy/shadow/texts.h"

#include <assert.h>
#include <stdlib.h>
#include <xxhash.h>

enum { BUCKETS = 1024 };

struct texts_pool {
	size_t count, limit;
	struct texts *bucket[BUCKETS];
};

struct texts_pool *texts_pool_new(size_t limit)
{
	struct texts_pool *pool = calloc(1, sizeof *pool);

	if (pool)
		pool->limit = limit;

	return pool;
}

void texts_pool_free(struct texts_pool *pool)
{
	if (!pool)
		return;
	for (size_t i = 0; i < BUCKETS; i++)
		for (struct texts *t = pool->bucket[i]; t; t = t->next)
			t->pool = NULL; /* T3 */
	free(pool);
}

size_t texts_pool_count(const struct texts_pool *pool)
{
	return pool->count;
}

static uint64_t hash_of(const struct span *text, size_t count)
{
	uint64_t hash = count;

	for (size_t i = 0; i < count; i++)
		hash = XXH3_64bits_withSeed(text[i].data, text[i].len, hash + text[i].len);

	return hash;
}

static bool equals(const struct texts *t, const struct span *text, size_t count)
{
	if (t->count != count)
		return false;
	for (size_t i = 0; i < count; i++)
		if (strlen(t->text[i]) != text[i].len ||
			memcmp(t->text[i], text[i].data, text[i].len) != 0)
			return false;

	return true;
}

static struct texts *find(
	const struct texts_pool *pool, uint64_t hash, const struct span *text, size_t count)
{
	for (struct texts *t = pool->bucket[hash % BUCKETS]; t; t = t->next)
		if (t->hash == hash && equals(t, text, count))
			return t;

	return NULL;
}

static struct texts *copy(const struct span *text, size_t count)
{
	size_t bytes = 0;
	struct texts *t;
	char *at;

	for (size_t i = 0; i < count; i++)
		bytes += text[i].len + 1;
	t = malloc(sizeof *t + count * sizeof *t->text + bytes);
	if (!t)
		return NULL;
	*t = (struct texts){.references = 1, .count = (uint32_t)count};
	at = (char *)(t->text + count);
	for (size_t i = 0; i < count; i++) {
		t->text[i] = at;
		if (text[i].len > 0)
			memcpy(at, text[i].data, text[i].len);
		at[text[i].len] = '\0';
		at += text[i].len + 1;
	}

	return t;
}

struct texts *texts_get(struct texts_pool *pool, const struct span *text, size_t count)
{
	uint64_t hash = pool ? hash_of(text, count) : 0;
	struct texts *t = pool ? find(pool, hash, text, count) : NULL;

	if (t)
		return texts_ref(t);
	t = copy(text, count);
	if (t && pool && pool->count < pool->limit) { /* T2 */
		t->hash = hash;
		t->pool = pool;
		t->next = pool->bucket[hash % BUCKETS];
		pool->bucket[hash % BUCKETS] = t;
		pool->count++;
	}

	return t;
}

struct texts *texts_ref(struct texts *t)
{
	assert(t->references > 0);
	t->references++;

	return t;
}

static void leave(struct texts *t)
{
	struct texts **at = &t->pool->bucket[t->hash % BUCKETS];

	while (*at != t)
		at = &(*at)->next;
	*at = t->next;
	t->pool->count--;
}

void texts_unref(struct texts *t)
{
	if (!t)
		return;
	assert(t->references > 0);
	if (--t->references > 0)
		return;
	if (t->pool)
		leave(t);
	free(t);
}

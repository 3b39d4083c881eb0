/* Any text: the parts stand in it in order, a repetition decides the same, a decision is complete,
 * and a read has no effect but the taint of a function that is not known. A quick key is the key
 * that the parser's scanner gives. */
#include "proxy/shadow/classify_parts.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct classifier *make(size_t entries)
{
	struct classifier_options options = {.cache_entries = entries, .max_sql_bytes = 8192};
	struct classifier *c = classifier_new(&options);

	assert(c);
	return c;
}

static void check_statement(const struct statement *s)
{
	assert(s->normalized);
	assert(s->order.nkeys <= COMPARE_MAX_KEYS);
	assert(s->order.nkeys == 0 || s->order.ordered);
	for (int i = 0; i < s->order.nkeys; i++)
		assert(s->order.keys[i].column >= -1);
	assert(s->skip != REASON_NONE || s->effect == EFFECT_NONE || s->effect == EFFECT_TAINT);
	assert(s->skip != REASON_WRITES || s->effect == EFFECT_TAINT || s->effect == EFFECT_CALLS ||
		s->effect == EFFECT_UNKNOWN_SETTINGS);
	assert(s->effect != EFFECT_PREPARE || (s->name && s->body));
	assert(!s->isolation_snapshot || s->isolation_given);
	assert((s->effect != EFFECT_SET && s->effect != EFFECT_RESET) || s->name);
}

static void check_places(const struct text_parts *parts, size_t size)
{
	size_t end = 0;

	for (size_t i = 0; i < parts->count; i++) {
		assert(parts->part[i].offset >= end);
		end = parts->part[i].offset + parts->part[i].len;
		assert(end <= size);
		check_statement(parts->part[i].statement);
	}
}

static void check_same(const struct text_parts *a, const struct text_parts *b)
{
	assert(a->count == b->count && a->unparsed == b->unparsed);
	for (size_t i = 0; i < a->count; i++) {
		const struct statement *x = a->part[i].statement, *y = b->part[i].statement;

		assert(a->part[i].offset == b->part[i].offset && a->part[i].len == b->part[i].len);
		assert(x->skip == y->skip && x->effect == y->effect);
		assert(x->shape_hash == y->shape_hash);
	}
}

static void check_key(const uint8_t *data, size_t size)
{
	char *text = strndup((const char *)data, size);
	struct quick_key quick;
	struct blanked slow;

	assert(text);
	if (strlen(text) == size && quick_blank(span_of(data, size), &quick)) {
		assert(blank_literals(text, &slow));
		assert(slow.len == quick.len && memcmp(slow.key, quick.bytes, slow.len) == 0);
		assert(slow.count == quick.literals && slow.end == quick.end);
		blanked_release(&slow);
	}
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct classifier *cached = make(4), *fresh = make(0);
	struct text_parts first, again, other;

	assert(classify_text(cached, span_of(data, size), &first));
	assert(classify_text(cached, span_of(data, size), &again));
	assert(classify_text(fresh, span_of(data, size), &other));
	check_places(&first, size);
	check_same(&first, &again);
	check_same(&first, &other);
	check_key(data, size);
	text_parts_release(&first);
	text_parts_release(&again);
	text_parts_release(&other);
	classifier_free(cached);
	classifier_free(fresh);

	return 0;
}

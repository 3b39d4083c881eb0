#include "proxy/shadow/classify.h"
#include "proxy/shadow/classify_parts.h"

#define HASH_NONFATAL_OOM 1
#define uthash_nonfatal_oom(element) ((element)->homeless = true)
/* Keys are hashes already. */
#define HASH_FUNCTION(key, length, value) ((value) = (unsigned)*(const uint64_t *)(key))
#include <assert.h>
#include <ctype.h>
#include <pg_query.h>
#include <stdlib.h>
#include <uthash.h>
#include <xxhash.h>

/* Together the texts kept may take this much on average; single long ones more (L4). */
enum { CACHE_BYTES_PER_ENTRY = 4096 };

/* One text and what was decided of it. */
struct entry {
	UT_hash_handle hh;
	struct text_key key;
	char *text; /* owned: equal hashes are not equal texts */
	size_t len;
	uint32_t generation;
	bool blanked;  /* the text is one with blanked literals */
	bool used;     /* asked for since the hand last passed */
	bool homeless; /* the table had no memory for it */
	struct text_parts parts;
};

struct classifier {
	struct classifier_options options;
	char *allow; /* owned copy of allow_functions */
	const struct catalogue *catalogue;
	uint32_t generation;
	struct entry *table;
	struct entry *hand; /* next to be looked at for eviction; NULL: the oldest */
	size_t bytes;
	uint64_t learned;
};

/* ---- statements ---- */

static struct statement *statement_new(void)
{
	struct statement *s = calloc(1, sizeof *s);

	if (s)
		s->references = 1;
	return s;
}

const struct statement *statement_ref(const struct statement *s)
{
	struct statement *own = (struct statement *)s; /* only the count changes */

	own->references++;
	return s;
}

void statement_unref(const struct statement *s)
{
	struct statement *own = (struct statement *)s;

	if (!own || --own->references > 0)
		return;
	free(own->normalized);
	free(own->name);
	free(own->value);
	free(own->body);
	for (size_t i = 0; i < own->nitems; i++) {
		free(own->items[i].name.text);
		free(own->items[i].value.text);
		free(own->items[i].local.text);
	}
	free(own->items);
	for (size_t i = 0; i < own->nargs; i++)
		free(own->args[i]);
	free(own->args);
	free(own->types);
	statement_names_release(own);
	free(own);
}

void text_parts_release(struct text_parts *parts)
{
	for (size_t i = 0; i < parts->count; i++)
		statement_unref(parts->part[i].statement);
	free(parts->part);
	*parts = (struct text_parts){0};
}

static bool text_parts_init(struct text_parts *parts, size_t count)
{
	*parts = (struct text_parts){0};
	parts->part = calloc(count ? count : 1, sizeof *parts->part);
	return parts->part != NULL;
}

static bool text_parts_copy(const struct text_parts *from, struct text_parts *to)
{
	if (!text_parts_init(to, from->count))
		return false;
	to->unparsed = from->unparsed;
	for (; to->count < from->count; to->count++) {
		to->part[to->count] = from->part[to->count];
		statement_ref(to->part[to->count].statement);
	}
	return true;
}

/* ---- the unsafe switch of the tests ---- */

#ifdef PGUMBRA_TEST_HOOKS
/* So that tests see what the layers behind the classifier hold back: every statement counts as a
 * clean read. Not in a release. */
static void overrule(struct statement *s)
{
	const char *unsafe = getenv("PGUMBRA_UNSAFE_CLASSIFIER");

	if (!unsafe || (strcmp(unsafe, "1") != 0 && strcmp(unsafe, "2") != 0))
		return;
	s->skip = REASON_NONE;
	s->effect = EFFECT_NONE;
	s->creates_temporary = false;
	statement_names_release(s);
	s->harmless_only = true;
	s->unknown_function = false;
}
#else
static void overrule(struct statement *s)
{
	(void)s;
}
#endif

/* ---- deciding ---- */

/* One part over the whole text, which nothing is known of. */
static bool opaque(
	const struct classifier *c, size_t len, enum reason reason, struct text_parts *out)
{
	struct statement *s = statement_new();

	*out = (struct text_parts){0};
	if (!s || !(s->normalized = strdup("")) || !text_parts_init(out, 1)) {
		statement_unref(s);
		return false;
	}
	s->skip = reason;
	s->effect = EFFECT_UNKNOWN_SETTINGS;
	s->creates_temporary = true;
	s->unqualified_names = true;
	s->catalogue_generation = c->generation;
	out->part[0] = (struct text_part){.len = len, .statement = s};
	out->count = 1;
	out->unparsed = true;

	return true;
}

/* What stands in the text from start to end, without white space around it. */
static struct text_part trimmed(const char *text, size_t start, size_t end)
{
	while (start < end && isspace((unsigned char)text[start]))
		start++;
	while (end > start && isspace((unsigned char)text[end - 1]))
		end--;

	return (struct text_part){.offset = start, .len = end - start};
}

static struct text_part place(const PgQuery__RawStmt *raw, const char *text, size_t len)
{
	size_t start = raw->stmt_location > 0 ? (size_t)raw->stmt_location : 0;
	size_t end = raw->stmt_len > 0 ? start + (size_t)raw->stmt_len : len;

	end = end > len ? len : end;

	return trimmed(text, start > end ? end : start, end);
}

static const struct statement *decide(
	const struct classifier *c, const PgQuery__RawStmt *raw, const char *text)
{
	struct statement *s = statement_new();

	if (!s)
		return NULL;
	s->catalogue_generation = c->generation;
	if (!decide_statement(c->catalogue, &c->options, raw->stmt, text, s) ||
		!shape_of(text, s)) {
		statement_unref(s);
		return NULL;
	}
	if (!c->options.of_control)
		overrule(s);

	return s;
}

static bool decide_all(const struct classifier *c, const PgQuery__ParseResult *tree,
	const char *text, size_t len, struct text_parts *out)
{
	if (!text_parts_init(out, tree->n_stmts))
		return false;
	for (; out->count < tree->n_stmts; out->count++) {
		struct text_part part = place(tree->stmts[out->count], text, len);
		char *own = strndup(text + part.offset, part.len);

		if (own)
			part.statement = decide(c, tree->stmts[out->count], own);
		free(own);
		if (!part.statement) {
			text_parts_release(out);
			return false;
		}
		out->part[out->count] = part;
	}
	return true;
}

/* NULL: it does not parse, or is nested too deep (then *too_deep, which may be NULL). */
static PgQuery__ParseResult *unpack(const char *text, bool *too_deep)
{
	PgQueryProtobufParseResult result = pg_query_parse_protobuf(text);
	struct span packed = span_of(result.parse_tree.data, result.parse_tree.len);
	PgQuery__ParseResult *tree = NULL;

	if (!result.error) {
		if (depth_within(packed, &pg_query__parse_result__descriptor, MAX_TREE_DEPTH))
			tree = pg_query__parse_result__unpack(NULL, packed.len, packed.data);
		else if (too_deep)
			*too_deep = true;
	}
	pg_query_free_protobuf_parse_result(result);

	return tree;
}

/* ---- cache: a clock over the order of arrival ---- */

static void entry_drop(struct classifier *c, struct entry *e)
{
	if (c->hand == e)
		c->hand = e->hh.next;
	HASH_DEL(c->table, e);
	c->bytes -= e->len;
	text_parts_release(&e->parts);
	free(e->text);
	free(e);
}

static void evict_one(struct classifier *c)
{
	for (;;) {
		struct entry *e = c->hand ? c->hand : c->table;

		assert(e);
		c->hand = e->hh.next;
		if (!e->used) {
			entry_drop(c, e);
			return;
		}
		e->used = false;
	}
}

static struct entry *cache_find(
	struct classifier *c, struct span sql, struct text_key key, bool blanked)
{
	struct entry *e;

	HASH_FIND(hh, c->table, &key, sizeof key, e);
	if (!e)
		return NULL;
	if (e->generation == c->generation && e->len == sql.len && e->blanked == blanked &&
		memcmp(e->text, sql.data, sql.len) == 0) {
		e->used = true;
		return e;
	}
	entry_drop(c, e);

	return NULL;
}

/* Failing to keep an entry costs time later, nothing else. */
static void cache_add(struct classifier *c, struct span sql, struct text_key key, bool blanked,
	const struct text_parts *parts)
{
	size_t limit = c->options.cache_entries, bytes = limit * CACHE_BYTES_PER_ENTRY;
	struct entry *e;

	if (limit == 0 || sql.len > bytes)
		return;
	while (c->table && (HASH_COUNT(c->table) >= limit || c->bytes + sql.len > bytes))
		evict_one(c);
	e = calloc(1, sizeof *e);
	if (!e)
		return;
	e->text = malloc(sql.len + 1);
	if (!e->text || !text_parts_copy(parts, &e->parts)) {
		free(e->text);
		free(e);
		return;
	}
	memcpy(e->text, sql.data, sql.len);
	e->len = sql.len;
	e->key = key;
	e->generation = c->generation;
	e->blanked = blanked;
	HASH_ADD(hh, c->table, key, sizeof e->key, e);
	if (e->homeless) {
		text_parts_release(&e->parts);
		free(e->text);
		free(e);
		return;
	}
	c->bytes += e->len;
	c->learned++;
}

/* ---- texts that no cache knows ---- */

/* One statement, which is all of the text, but for a semicolon behind it. */
static bool is_whole(const struct text_parts *parts, const char *text, size_t end)
{
	struct text_part all = trimmed(text, 0, end);

	return parts->count == 1 && parts->part[0].offset == all.offset &&
	       parts->part[0].len == all.len;
}

static bool parse(struct classifier *c, const char *text, struct blanked *b, struct text_parts *out)
{
	bool ok, too_deep = false;
	PgQuery__ParseResult *tree = unpack(text, &too_deep);
	struct span blanked = span_of(b->key, b->len);

	if (!tree)
		return opaque(c, strlen(text), too_deep ? REASON_TOO_LONG : REASON_UNPARSED, out);
	ok = decide_all(c, tree, text, strlen(text), out);
	if (ok && b->key && is_whole(out, text, b->end) && literals_free(b, tree, text, out))
		cache_add(c, blanked, text_key_of(blanked, true), true, out);
	pg_query__parse_result__free_unpacked(tree, NULL);

	return ok;
}

/* The decision on a text of the same key, at the place of this one, whose statement ends before
 * `end`. False: there is none, or no memory. */
static bool find_key(
	struct classifier *c, const char *text, struct span key, size_t end, struct text_parts *out)
{
	struct entry *e = cache_find(c, key, text_key_of(key, true), true);
	const struct statement *statement;

	if (!e || !text_parts_copy(&e->parts, out))
		return false;
	statement = out->part[0].statement;
	out->part[0] = trimmed(text, 0, end);
	out->part[0].statement = statement;

	return true;
}

static bool find_blanked(
	struct classifier *c, const char *text, const struct blanked *b, struct text_parts *out)
{
	return b->key && find_key(c, text, span_of(b->key, b->len), b->end, out);
}

/* The same for plain texts, which then need no entry of their own: they are found as fast again. */
static bool find_quickly(struct classifier *c, struct span sql, struct text_parts *out)
{
	struct quick_key key;

	return quick_blank(sql, &key) &&
	       find_key(c, (const char *)sql.data, span_of(key.bytes, key.len), key.end, out);
}

static bool parse_watched(
	struct classifier *c, struct span sql, struct text_key key, struct text_parts *out)
{
	const struct classifier_options *o = &c->options;
	struct blanked blanked = {0};
	char *text;
	bool ok;

	if (memchr(sql.data, '\0', sql.len))
		return opaque(c, sql.len, REASON_UNPARSED, out);
	text = strndup((const char *)sql.data, sql.len);
	if (!text)
		return false;
	if (o->on_parse)
		o->on_parse(o->self, key.low, key.high);
	(void)blank_literals(text, &blanked);
	ok = find_blanked(c, text, &blanked, out) || parse(c, text, &blanked, out);
	if (o->on_parse)
		o->on_parse(o->self, 0, 0);
	blanked_release(&blanked);
	free(text);

	return ok;
}

/* ---- the classifier ---- */

struct classifier *classifier_new(const struct classifier_options *options)
{
	struct classifier *c = calloc(1, sizeof *c);

	if (!c)
		return NULL;
	c->options = *options;
	c->allow = strdup(options->allow_functions ? options->allow_functions : "");
	if (!c->allow) {
		free(c);
		return NULL;
	}
	c->options.allow_functions = c->allow;
	return c;
}

void classifier_free(struct classifier *c)
{
	if (!c)
		return;
	while (c->table)
		entry_drop(c, c->table);
	free(c->allow);
	free(c);
}

void classifier_set_catalogue(
	struct classifier *c, const struct catalogue *catalogue, uint32_t generation)
{
	c->catalogue = catalogue;
	c->generation = generation;
}

char *classify_inner_rows(struct classifier *c, struct span sql, int64_t limit_rows)
{
	XXH128_hash_t hash = XXH3_128bits(sql.data, sql.len);
	const struct classifier_options *o = &c->options;
	char *text = strndup((const char *)sql.data, sql.len), *inner = NULL;
	PgQuery__ParseResult *tree;

	if (!text)
		return NULL;
	if (o->on_parse)
		o->on_parse(o->self, hash.low64, hash.high64);
	tree = unpack(text, NULL);
	if (tree) {
		inner = inner_rows_of(c->catalogue, o, tree, limit_rows);
		pg_query__parse_result__free_unpacked(tree, NULL);
	}
	if (o->on_parse)
		o->on_parse(o->self, 0, 0);
	free(text);

	return inner;
}

const struct text_parts *classifier_find(struct classifier *c, struct text_key key, bool blanked)
{
	struct entry *e;

	HASH_FIND(hh, c->table, &key, sizeof key, e);

	return e && e->generation == c->generation && e->blanked == blanked ? &e->parts : NULL;
}

uint64_t classifier_learned(const struct classifier *c)
{
	return c->learned;
}

bool classify_text(struct classifier *c, struct span sql, struct text_parts *out)
{
	struct entry *e;
	struct text_key key;

	*out = (struct text_parts){0};
	if (!sql.data)
		sql = span_cstr("");
	if (sql.len > c->options.max_sql_bytes)
		return opaque(c, sql.len, REASON_TOO_LONG, out);
	key = text_key_of(sql, false);
	e = cache_find(c, sql, key, false);
	if (e)
		return text_parts_copy(&e->parts, out);
	if (c->options.is_poison && c->options.is_poison(c->options.self, key.low, key.high))
		return opaque(c, sql.len, REASON_POISON, out);
	if (find_quickly(c, sql, out))
		return true;
	if (!parse_watched(c, sql, key, out))
		return false;
	cache_add(c, sql, key, false, out);

	return true;
}

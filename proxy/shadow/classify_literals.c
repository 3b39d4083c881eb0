/* Texts that differ in the values of their literals alone have one decision, if no literal decides.
 *
 * The key of a text is the text itself with the value of each literal blanked out; of which kind it
 * is stays. Texts of one key are the same tokens but for those values, so their trees are the same
 * but for what the grammar makes of them. That a decision holds for all texts of a key follows
 * from:
 *
 * L1 every blanked literal is an A_Const of the tree, at its place: none has become part of
 * anything else (the precision of a type, an array's bound); L2 none stands where the value of an
 * A_Const is looked at: ORDER BY, GROUP BY, DISTINCT ON and windows, whose keys are positions or
 * are compared with the output; LIMIT and OFFSET, but for plain numbers, which are not blanked;
 * arguments of functions that are known by name (set_config, current_setting, ...); type names; L3
 * no string among them, and none of a text that is looked up, holds a word that means a time; L4
 * nothing of the literals is left in what the statement says: it is one that keeps no text, and its
 * normalised text has no number and no string in it.
 */
#include "proxy/shadow/classify_parts.h"

#include <pg_query.h>
#include <stdlib.h>

enum { LONGEST_KEY = 8192 };

void blanked_release(struct blanked *b)
{
	free(b->key);
	free(b->places);
	*b = (struct blanked){0};
}

/* ---- keys ---- */

static char kind_of(PgQuery__Token token)
{
	switch (token) {
	case PG_QUERY__TOKEN__ICONST: return 'i';
	case PG_QUERY__TOKEN__FCONST: return 'f';
	case PG_QUERY__TOKEN__SCONST: return 's';
	default: return '\0';
	}
}

/* The bytes that mark a blanked literal stand in no other token. */
static bool has_control(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' && !strchr("\t\n\r\f\v", *text))
			return true;

	return false;
}

static bool blank_one(struct blanked *b, const PgQuery__ScanToken *t, bool negated, uint32_t before)
{
	b->key[b->len++] = '\x01';
	b->key[b->len++] = kind_of(t->token);
	b->places[b->count++] = (struct literal_place){
		.start = (uint32_t)t->start, .sign = negated ? before : (uint32_t)t->start};

	return b->count < LITERALS_MAX;
}

/* False: not a text to be blanked. */
static bool blank_tokens(struct blanked *b, const PgQuery__ScanResult *scan, const char *text)
{
	PgQuery__Token last = PG_QUERY__TOKEN__NUL;
	size_t at = 0, len = strlen(text);
	uint32_t last_start = 0;

	b->end = len;
	for (size_t i = 0; i < scan->n_tokens; i++) {
		const PgQuery__ScanToken *t = scan->tokens[i];
		size_t start = (size_t)t->start, end = (size_t)t->end;
		char kind = kind_of(t->token);
		bool cut = last == PG_QUERY__TOKEN__LIMIT || last == PG_QUERY__TOKEN__OFFSET;

		if (t->start < 0 || start < at || end > len || end < start)
			return false;
		if (t->token == PG_QUERY__TOKEN__ASCII_59) {
			if (i + 1 < scan->n_tokens)
				return false;
			b->end = start;
		}
		if (kind == 's' && !literal_is_plain(span_of(text + start, end - start)))
			return false;
		memcpy(b->key + b->len, text + at, start - at);
		b->len += start - at;
		at = end;
		if (kind && !(cut && kind == 'i')) {
			if (!blank_one(b, t, last == PG_QUERY__TOKEN__ASCII_45, last_start))
				return false;
		} else {
			memcpy(b->key + b->len, text + start, end - start);
			b->len += end - start;
		}
		last = t->token;
		last_start = (uint32_t)start;
	}
	memcpy(b->key + b->len, text + at, len - at);
	b->len += len - at;

	return b->count > 0;
}

bool blank_literals(const char *text, struct blanked *out)
{
	PgQueryScanResult scan;
	PgQuery__ScanResult *tokens = NULL;
	size_t len = strlen(text);
	bool ok = false;

	*out = (struct blanked){0};
	if (len > LONGEST_KEY || has_control(text))
		return false;
	scan = pg_query_scan(text);
	if (!scan.error)
		tokens = pg_query__scan_result__unpack(
			NULL, scan.pbuf.len, (const uint8_t *)scan.pbuf.data);
	if (tokens) {
		out->key = malloc(2 * len + 1); /* a literal of one byte becomes two */
		out->places = malloc((LITERALS_MAX + 1) * sizeof *out->places);
		ok = out->key && out->places && blank_tokens(out, tokens, text);
		pg_query__scan_result__free_unpacked(tokens, NULL);
	}
	pg_query_free_scan_result(scan);
	if (!ok)
		blanked_release(out);

	return ok;
}

/* ---- proofs ---- */

/* Where the values of constants may be looked at: L2. field NULL: anywhere below. */
static const struct {
	const ProtobufCMessageDescriptor *type;
	const char *field;
} deciding[] = {
	{&pg_query__select_stmt__descriptor, "sort_clause"},
	{&pg_query__select_stmt__descriptor, "group_clause"},
	{&pg_query__select_stmt__descriptor, "distinct_clause"},
	{&pg_query__select_stmt__descriptor, "window_clause"},
	{&pg_query__select_stmt__descriptor, "limit_count"},
	{&pg_query__select_stmt__descriptor, "limit_offset"},
	{&pg_query__func_call__descriptor, "agg_order"},
	{&pg_query__window_def__descriptor, NULL},
	{&pg_query__type_name__descriptor, NULL},
};

static bool decides(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
	for (size_t i = 0; i < sizeof deciding / sizeof *deciding; i++)
		if (deciding[i].type == m->descriptor &&
			(!deciding[i].field || strcmp(deciding[i].field, f->name) == 0))
			return true;
	if (m->descriptor == &pg_query__func_call__descriptor) {
		const PgQuery__FuncCall *call = (const PgQuery__FuncCall *)m;

		return function_kind(list_name(call->funcname, call->n_funcname, NULL), true) !=
		       NAME_ORDINARY;
	}

	return false;
}

static void find_place(struct blanked *b, const PgQuery__AConst *c)
{
	size_t low = 0, high = b->count;

	while (low < high) { /* their starts ascend, and so do the signs before them */
		size_t middle = low + (high - low) / 2;

		if (b->places[middle].start < (uint32_t)c->location)
			low = middle + 1;
		else
			high = middle;
	}
	if (low < b->count && (b->places[low].start == (uint32_t)c->location ||
				      b->places[low].sign == (uint32_t)c->location))
		b->places[low].found = true;
}

/* L1 and L2: marks the places of constants that decide nothing. */
static void find_free(struct blanked *b, const ProtobufCMessage *m)
{
	void *const *child;
	unsigned first, end;

	if (m->descriptor == &pg_query__a__const__descriptor)
		find_place(b, (const PgQuery__AConst *)m);
	for (field_range(m, &first, &end); first < end; first++) {
		const ProtobufCFieldDescriptor *f = &m->descriptor->fields[first];
		size_t count = field_messages(m, f, &child);

		if (count == 0 || decides(m, f))
			continue;
		for (; count > 0; count--, child++)
			if (*child)
				find_free(b, *child);
	}
}

static bool keeps_no_text(const struct statement *s)
{
	return !s->name && !s->value && !s->body && !s->items && !s->args && !s->types;
}

/* L4 of the normalised text. */
static bool is_clean(const char *normalized, const char *text)
{
	PgQueryScanResult scan = pg_query_scan(normalized);
	PgQuery__ScanResult *tokens = NULL;
	bool clean = !strchr(normalized, '?') || strchr(text, '?');

	if (!scan.error)
		tokens = pg_query__scan_result__unpack(
			NULL, scan.pbuf.len, (const uint8_t *)scan.pbuf.data);
	clean = clean && tokens && *normalized;
	for (size_t i = 0; clean && i < tokens->n_tokens; i++)
		clean = !kind_of(tokens->tokens[i]->token);
	if (tokens)
		pg_query__scan_result__free_unpacked(tokens, NULL);
	pg_query_free_scan_result(scan);

	return clean;
}

static bool is_data(const ProtobufCMessage *m)
{
	return m && (m->descriptor == &pg_query__select_stmt__descriptor ||
			    m->descriptor == &pg_query__insert_stmt__descriptor ||
			    m->descriptor == &pg_query__update_stmt__descriptor ||
			    m->descriptor == &pg_query__delete_stmt__descriptor ||
			    m->descriptor == &pg_query__merge_stmt__descriptor);
}

bool literals_free(struct blanked *b, const PgQuery__ParseResult *tree, const char *text,
	const struct text_parts *parts)
{
	const ProtobufCMessage *m = tree->n_stmts == 1 ? node_message(tree->stmts[0]->stmt) : NULL;

	if (!is_data(m) || parts->count != 1 || !keeps_no_text(parts->part[0].statement) ||
		!is_clean(parts->part[0].statement->normalized, text))
		return false;
	find_free(b, m);
	for (size_t i = 0; i < b->count; i++)
		if (!b->places[i].found)
			return false;

	return true;
}

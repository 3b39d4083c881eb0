/* What users' code does to the session that runs it, as far as its text tells. */
#include "proxy/shadow/catalogue_internal.h"

#include "proxy/shadow/classify_parts.h"
#include "proxy/shadow/routine.h"
#include <ctype.h>
#include <xxhash.h>

/* L4: more words than these in all bodies, and any name may be one of them. */
enum { WORDS_MAX = 4000000 };

void routines_release(struct catalogue *c)
{
	for (size_t i = 0; i < c->nroutines; i++) {
		free(c->routines[i].schema);
		free(c->routines[i].name);
		free(c->routines[i].language);
		free(c->routines[i].body);
		free(c->routines[i].calls);
	}
	free(c->routines);
	free(c->words);
}

/* ---- words: what a body that is kept as text may name ---- */

static bool is_word_byte(unsigned char byte)
{
	return isalnum(byte) || byte == '_' || byte == '$' || byte >= 0x80;
}

static uint64_t word_hash(const char *word, size_t len)
{
	char folded[256];

	if (len > sizeof folded)
		len = sizeof folded;
	for (size_t i = 0; i < len; i++)
		folded[i] = (char)tolower((unsigned char)word[i]);

	return XXH3_64bits(folded, len);
}

static bool add_word(struct catalogue *c, const char *word, size_t len)
{
	if (c->nwords == c->words_cap) {
		size_t cap = c->words_cap ? c->words_cap * 2 : 1024;
		uint64_t *grown = cap <= WORDS_MAX ? realloc(c->words, cap * sizeof *grown) : NULL;

		if (!grown)
			return false;
		c->words = grown;
		c->words_cap = cap;
	}
	c->words[c->nwords++] = word_hash(word, len);

	return true;
}

/* Strings and comments too: a body may run or cast them. Escapes could spell any word. */
static void add_words(struct catalogue *c, const char *body)
{
	while (*body && !c->words_unknown) {
		size_t len = 0;

		while (is_word_byte((unsigned char)body[len]))
			len++;
		c->words_unknown |=
			len == 1 && tolower((unsigned char)*body) == 'u' && body[1] == '&';
		if (len > 0)
			c->words_unknown |= !add_word(c, body, len);
		body += len ? len : 1;
	}
}

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void sort_words(struct catalogue *c)
{
	size_t n = 0;

	if (c->nwords == 0)
		return;
	qsort(c->words, c->nwords, sizeof *c->words, by_number);
	for (size_t i = 0; i < c->nwords; i++)
		if (n == 0 || c->words[n - 1] != c->words[i])
			c->words[n++] = c->words[i];
	c->nwords = n;
}

bool catalogue_mentions(const struct catalogue *c, const char *name)
{
	uint64_t hash = word_hash(name, strlen(name));

	assert(c->sealed);
	if (c->words_unknown)
		return true;
	for (const char *p = name; *p; p++)
		if (!is_word_byte((unsigned char)*p))
			return true; /* it may stand there in pieces */

	return c->nwords > 0 && bsearch(&hash, c->words, c->nwords, sizeof hash, by_number);
}

/* ---- routines ---- */

static bool keeps_text(const char *language)
{
	return strcmp(language, "c") != 0 && strcmp(language, "internal") != 0;
}

static bool is_bound(const char *body)
{
	return strncasecmp(body, "begin atomic", 12) == 0 || strncasecmp(body, "return ", 7) == 0;
}

static void note_words(struct catalogue *c, const char *language, const char *body)
{
	bool sql = strcmp(language, "sql") == 0;

	if (!body || !keeps_text(language) || (sql && is_bound(body)))
		return;
	if (sql || strcmp(language, "plpgsql") == 0)
		add_words(c, body);
	else
		c->words_unknown = true;
}

static bool routines_grow(struct catalogue *c)
{
	size_t cap = c->routines_cap ? c->routines_cap * 2 : 64;
	struct routine *grown;

	if (c->nroutines < c->routines_cap)
		return true;
	if (c->nroutines >= CATALOGUE_LIMIT)
		return false;
	grown = realloc(c->routines, cap * sizeof *grown);
	if (!grown)
		return false;
	c->routines = grown;
	c->routines_cap = cap;

	return true;
}

bool catalogue_add_routine(struct catalogue *c, const char *schema, const char *name,
	const char *language, const char *body)
{
	struct routine *r;

	assert(!c->sealed);
	if (!routines_grow(c))
		return false;
	r = &c->routines[c->nroutines++];
	*r = (struct routine){.schema = strdup(schema),
		.name = strdup(name),
		.language = strdup(language),
		.body = body ? strdup(body) : NULL};
	note_words(c, language, body);

	return r->schema && r->name && r->language && (!body || r->body);
}

static int by_routine(const void *a, const void *b)
{
	const struct routine *x = a, *y = b;
	int order = strcmp(x->name, y->name);

	return order ? order : strcmp(x->schema, y->schema);
}

/* The first routine of this name, nroutines if there is none. */
static size_t first_routine(const struct catalogue *c, const char *name)
{
	size_t low = 0, high = c->nroutines;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(c->routines[middle].name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}

	return low < c->nroutines && strcmp(c->routines[low].name, name) == 0 ? low : c->nroutines;
}

/* Are there routines of this name (and schema), all of them calm? */
bool catalogue_procedure_calm(const struct catalogue *c, const char *schema, const char *name)
{
	bool any = false;

	assert(c->sealed);
	for (size_t i = first_routine(c, name);
		i < c->nroutines && strcmp(c->routines[i].name, name) == 0; i++) {
		if (schema && strcmp(c->routines[i].schema, schema) != 0)
			continue;
		any = true;
		if (!c->routines[i].calm)
			return false;
	}

	return any;
}

static bool builtin_calm(const char *name)
{
	enum name_kind kind = function_kind(name, true);

	return kind != NAME_IS_SETTER && kind != NAME_TEXT;
}

bool catalogue_function_calm(const struct catalogue *c, const char *schema, const char *name)
{
	struct names run = names_find(&c->functions, name);
	bool any = false;

	assert(c->sealed);
	for (size_t i = 0; i < run.count; i++) {
		const struct named *e = &run.item[i];

		if (!named_in_schema(e, schema))
			continue;
		any = true;
		if (e->value != FUNCTION_VOLATILE)
			continue;
		if (e->schema && strcmp(e->schema, "pg_catalog") == 0
				? !builtin_calm(name)
				: !catalogue_procedure_calm(c, e->schema, name))
			return false;
	}

	return any;
}

static bool has_code(
	const struct catalogue *c, enum code_kind kind, const char *schema, const char *name)
{
	struct names run = names_find(&c->codes[kind], name);

	assert(c->sealed);
	if (c->codes_unknown)
		return true;
	for (size_t i = 0; i < run.count; i++)
		if (!run.item[i].schema || named_in_schema(&run.item[i], schema))
			return true;

	return false;
}

bool catalogue_relation_calm(const struct catalogue *c, const char *schema, const char *name)
{
	return catalogue_relation(c, schema, name) != RELATION_VOLATILE ||
	       !has_code(c, CODE_UNSURE_RELATION, schema, name);
}

bool catalogue_operator_calm(const struct catalogue *c, const char *name)
{
	return !catalogue_operator_volatile(c, name) ||
	       !has_code(c, CODE_UNSURE_OPERATOR, NULL, name);
}

bool catalogue_type_calm(const struct catalogue *c, const char *name)
{
	return !catalogue_type_volatile(c, name) || !has_code(c, CODE_UNSURE_TYPE, NULL, name);
}

bool catalogue_function_late(const struct catalogue *c, const char *schema, const char *name)
{
	if (schema && strcmp(schema, "pg_catalog") == 0)
		return false;

	return schema || !catalogue_function_only_in(c, "pg_catalog", name);
}

bool catalogue_relation_late(const struct catalogue *c, const char *schema, const char *name)
{
	return has_code(c, CODE_LATE_RELATION, schema, name);
}

bool catalogue_operator_late(const struct catalogue *c, const char *name)
{
	return has_code(c, CODE_LATE_OPERATOR, NULL, name);
}

bool catalogue_type_late(const struct catalogue *c, const char *name)
{
	return has_code(c, CODE_LATE_TYPE, NULL, name);
}

bool catalogue_word_calm(const struct catalogue *c, const char *word, bool called)
{
	bool function = catalogue_function(c, NULL, word) != FUNCTION_UNKNOWN;

	if (function ? !catalogue_function_calm(c, NULL, word) : called)
		return false;

	return catalogue_relation_calm(c, NULL, word) && catalogue_type_calm(c, word);
}

/* ---- the bodies of all routines, each calm until something speaks against it ---- */

struct settling {
	struct catalogue *catalogue;
	struct routine *routine;
};

static bool add_call(struct routine *r, size_t callee)
{
	size_t *grown;

	for (size_t i = 0; i < r->ncalls; i++)
		if (r->calls[i] == callee)
			return true;
	grown = realloc(r->calls, (r->ncalls + 1) * sizeof *grown);
	if (!grown)
		return false;
	r->calls = grown;
	r->calls[r->ncalls++] = callee;

	return true;
}

/* Called while all routines count as calm: what is not calm now never is. */
static void settle_word(void *self, const struct routine_word *word)
{
	struct settling *s = self;
	size_t callee = first_routine(s->catalogue, word->text);

	if (word->is_operator ? !catalogue_operator_calm(s->catalogue, word->text)
			      : !catalogue_word_calm(s->catalogue, word->text, word->called))
		s->routine->calm = false;
	if (!word->is_operator && callee < s->catalogue->nroutines && !add_call(s->routine, callee))
		s->routine->calm = false;
}

static bool is_calm_in_c(const struct routine *r)
{
	return strcmp(r->language, "c") == 0 && function_kind(r->name, false) == NAME_GENERATOR;
}

static bool calls_unsure(const struct catalogue *c, const struct routine *r)
{
	for (size_t i = 0; i < r->ncalls; i++)
		if (!catalogue_word_calm(c, c->routines[r->calls[i]].name, false))
			return true;

	return false;
}

static bool settle_once(struct catalogue *c)
{
	bool changed = false;

	for (size_t i = 0; i < c->nroutines; i++) {
		struct routine *r = &c->routines[i];

		if (r->calm && calls_unsure(c, r)) {
			r->calm = false;
			changed = true;
		}
	}

	return changed;
}

void routines_settle(struct catalogue *c)
{
	sort_words(c);
	if (c->nroutines == 0)
		return;
	qsort(c->routines, c->nroutines, sizeof *c->routines, by_routine);
	for (size_t i = 0; i < c->nroutines; i++)
		c->routines[i].calm = true;
	for (size_t i = 0; i < c->nroutines; i++) {
		struct routine *r = &c->routines[i];
		struct settling s = {c, r};
		bool known = is_calm_in_c(r) ||
			     (r->body && routine_scan(r->body, r->language, settle_word, &s));

		if (!known)
			r->calm = false;
		free(r->body);
		r->body = NULL;
	}
	while (settle_once(c))
		;
	for (size_t i = 0; i < c->nroutines; i++) {
		free(c->routines[i].calls);
		c->routines[i].calls = NULL;
		c->routines[i].ncalls = 0;
	}
}

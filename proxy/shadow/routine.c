#include "proxy/shadow/routine.h"

#include <ctype.h>
#include <pg_query.h>
#include <pg_query/pg_query.pb-c.h>
#include <stdlib.h>
#include <string.h>

struct scan {
	const char *body;
	const PgQuery__ScanResult *tokens;
	bool plpgsql;
	bool declaring; /* between DECLARE and BEGIN */
	bool updates;	/* UPDATE stood since the last semicolon */
	void (*on_word)(void *self, const struct routine_word *word);
	void *self;
	bool no_memory;
};

static bool listed(const char *const *list, const char *word)
{
	for (; *list; list++)
		if (strcmp(*list, word) == 0)
			return true;

	return false;
}

/* R1: may begin a statement. */
static const char *const sql_leads[] = {"select", "insert", "update", "delete", "merge", "with",
	"values", "table", "truncate", "lock", "notify", "begin", "end", "return", "(", ";", NULL};
static const char *const plpgsql_leads[] = {"select", "insert", "update", "delete", "merge", "with",
	"values", "truncate", "lock", "notify", "begin", "declare", "end", "return", "if", "elsif",
	"elseif", "else", "for", "foreach", "while", "loop", "exit", "continue", "case", "when",
	"raise", "assert", "perform", "null", "get", "exception", "open", "<<", "#", ";", NULL};

/* R1: must not stand anywhere but as a quoted name. */
static const char *const forbidden[] = {"abort", "alter", "analyse", "analyze", "call",
	"checkpoint", "close", "cluster", "comment", "commit", "copy", "create", "deallocate",
	"discard", "drop", "execute", "explain", "fetch", "grant", "import", "listen", "load",
	"move", "prepare", "reassign", "refresh", "reindex", "release", "reset", "revoke",
	"rollback", "savepoint", "security", "show", "start", "temp", "temporary", "unlisten",
	"vacuum", NULL};

/* Words of PL/pgSQL that stand before a parenthesis and call nothing. */
static const char *const before_parenthesis[] = {
	"elsif", "elseif", "while", "perform", "assert", "query", "exit", "slice", NULL};

static bool is_comment(const PgQuery__ScanToken *t)
{
	return t->token == PG_QUERY__TOKEN__SQL_COMMENT || t->token == PG_QUERY__TOKEN__C_COMMENT;
}

/* The token's text in lower case; of a quoted name, the name. Owned by the caller. */
static char *text_of(struct scan *s, const PgQuery__ScanToken *t)
{
	const char *from = s->body + t->start;
	size_t len = (size_t)(t->end - t->start), n = 0;
	bool quoted = len >= 2 && *from == '"';
	char *out = malloc(len + 1);

	s->no_memory |= !out;
	if (!out)
		return NULL;
	for (size_t i = quoted; i < len - quoted; i++) {
		if (quoted && from[i] == '"')
			i++;
		out[n++] = quoted ? from[i] : (char)tolower((unsigned char)from[i]);
	}
	out[n] = '\0';

	return out;
}

/* The index of the token before or behind `at`, comments apart; or SIZE_MAX. */
static size_t neighbour(const struct scan *s, size_t at, int step)
{
	if (at == SIZE_MAX)
		return SIZE_MAX;
	do
		at += (size_t)step;
	while (at < s->tokens->n_tokens && is_comment(s->tokens->tokens[at]));

	return at < s->tokens->n_tokens ? at : SIZE_MAX;
}

static bool is_text(const struct scan *s, size_t at, const char *word)
{
	const PgQuery__ScanToken *t;

	if (at == SIZE_MAX)
		return false;
	t = s->tokens->tokens[at];

	return (size_t)(t->end - t->start) == strlen(word) &&
	       strncasecmp(s->body + t->start, word, strlen(word)) == 0;
}

static bool is_any(const struct scan *s, size_t at, const char *const *words)
{
	for (; *words; words++)
		if (is_text(s, at, *words))
			return true;

	return false;
}

/* Does a statement, and nothing else, begin behind this token? */
static bool ends_statement(const struct scan *s, size_t before)
{
	static const char *const ends[] = {";", "begin", "loop", "declare", "atomic", NULL};

	if (before == SIZE_MAX || is_any(s, before, ends))
		return true;

	return is_text(s, before, ">>") && /* a label */
	       is_text(s, neighbour(s, neighbour(s, before, -1), -1), "<<");
}

static bool may_lead(struct scan *s, size_t at, const char *word)
{
	static const char *const assigns[] = {":=", "=", "[", ".", NULL};

	if (s->plpgsql && strcmp(word, "declare") == 0)
		s->declaring = true;
	else if (strcmp(word, "begin") == 0)
		s->declaring = false;
	if (listed(s->plpgsql ? plpgsql_leads : sql_leads, word) || s->declaring)
		return true;
	if (!s->plpgsql)
		return strcmp(word, "atomic") == 0 && is_text(s, neighbour(s, at, -1), "begin");

	return is_any(s, neighbour(s, at, 1), assigns);
}

/* UPDATE t SET, ON CONFLICT DO UPDATE SET: but no SET of a setting. */
static bool sets_columns(const struct scan *s, size_t at)
{
	static const char *const begins[] = {"loop", "then", "else", NULL};
	size_t before = neighbour(s, at, -1);

	return s->updates && !ends_statement(s, before) && !is_any(s, before, begins);
}

static bool is_allowed(const struct scan *s, size_t at, const char *word)
{
	static const char *const inserts[] = {"insert", "merge", NULL};
	static const char *const conflicts[] = {"update", "nothing", "select", NULL};

	if (listed(forbidden, word))
		return false;
	if (strcmp(word, "set") == 0)
		return sets_columns(s, at);
	if (strcmp(word, "do") == 0)
		return is_any(s, neighbour(s, at, 1), conflicts);
	if (strcmp(word, "into") == 0) /* SELECT INTO makes a table, but in PL/pgSQL */
		return s->plpgsql || is_any(s, neighbour(s, at, -1), inserts);

	return strncmp(word, "pg_temp", 7) != 0;
}

static bool is_operator_text(const char *word)
{
	return *word && strspn(word, "+-*/<>=~!@#%^&|`?") == strlen(word);
}

/* The table of INSERT INTO name (...) is called by nobody. */
static bool is_target(const struct scan *s, size_t at)
{
	size_t before = neighbour(s, at, -1);

	while (is_text(s, before, "."))
		before = neighbour(s, neighbour(s, before, -1), -1);

	return is_text(s, before, "into");
}

static void report(struct scan *s, size_t at, const char *word)
{
	const PgQuery__ScanToken *t = s->tokens->tokens[at];
	bool quoted = s->body[t->start] == '"';
	struct routine_word w = {.text = word};

	if (t->keyword_kind == PG_QUERY__KEYWORD_KIND__RESERVED_KEYWORD && !quoted)
		return;
	w.is_operator = !quoted && is_operator_text(word);
	w.called = !w.is_operator && t->token == PG_QUERY__TOKEN__IDENT &&
		   is_text(s, neighbour(s, at, 1), "(") && !is_target(s, at) &&
		   (quoted || !listed(before_parenthesis, word));
	if (w.is_operator || t->token == PG_QUERY__TOKEN__IDENT ||
		t->keyword_kind != PG_QUERY__KEYWORD_KIND__NO_KEYWORD)
		s->on_word(s->self, &w);
}

static bool scan_token(struct scan *s, size_t at)
{
	const PgQuery__ScanToken *t = s->tokens->tokens[at];
	bool quoted = s->body[t->start] == '"', good = true;
	char *word;

	if (is_comment(t))
		return true;
	if (t->token == PG_QUERY__TOKEN__UIDENT)
		return false;
	word = text_of(s, t);
	if (!word)
		return false;
	if (ends_statement(s, neighbour(s, at, -1)))
		good = may_lead(s, at, quoted ? "" : word);
	good = good && (quoted ? strncmp(word, "pg_temp", 7) != 0 : is_allowed(s, at, word));
	if (!quoted && strcmp(word, ";") == 0)
		s->updates = false;
	s->updates |= !quoted && strcmp(word, "update") == 0;
	if (good)
		report(s, at, word);
	free(word);

	return good;
}

bool routine_scan(const char *body, const char *language,
	void (*on_word)(void *self, const struct routine_word *word), void *self)
{
	struct scan s = {.body = body, .on_word = on_word, .self = self};
	PgQuery__ScanResult *tokens = NULL;
	PgQueryScanResult scan;
	bool good;

	s.plpgsql = strcmp(language, "plpgsql") == 0;
	if ((!s.plpgsql && strcmp(language, "sql") != 0) || strlen(body) > ROUTINE_BODY_MAX)
		return false;
	scan = pg_query_scan(body);
	if (!scan.error)
		tokens = pg_query__scan_result__unpack(
			NULL, scan.pbuf.len, (const uint8_t *)scan.pbuf.data);
	pg_query_free_scan_result(scan);
	good = tokens != NULL;
	s.tokens = tokens;
	for (size_t i = 0; good && i < tokens->n_tokens; i++)
		good = scan_token(&s, i) && !s.no_memory;
	if (tokens)
		pg_query__scan_result__free_unpacked(tokens, NULL);

	return good;
}

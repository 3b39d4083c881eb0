/* COPY ... TO STDOUT as the read that it is: its query, or its table as a query, and the form that
 * its rows come in. */
#include "proxy/shadow/classify_parts.h"

#include "protocol/buffer.h"
#include <ctype.h>
#include <pg_query.h>
#include <stdlib.h>
#include <strings.h>

/* ---- options ---- */

static const char *option_text(const PgQuery__DefElem *option)
{
	return node_string(option->arg);
}

/* As the server's defGetBoolean; -1: neither. */
static int option_truth(const PgQuery__DefElem *option)
{
	const char *text = option_text(option);

	if (!option->arg)
		return 1;
	if (option->arg->node_case == PG_QUERY__NODE__NODE_BOOLEAN)
		return option->arg->boolean->boolval ? 1 : 0;
	if (option->arg->node_case == PG_QUERY__NODE__NODE_INTEGER)
		return option->arg->integer->ival == 0	 ? 0
		       : option->arg->integer->ival == 1 ? 1
							 : -1;
	if (text && (strcasecmp(text, "true") == 0 || strcasecmp(text, "on") == 0))
		return 1;
	if (text && (strcasecmp(text, "false") == 0 || strcasecmp(text, "off") == 0))
		return 0;

	return -1;
}

static const char *take_kind(const char *text, struct copy_format *format)
{
	static const char *const names[] = {
		[COPY_TEXT] = "text", [COPY_CSV] = "csv", [COPY_BINARY] = "binary"};

	for (unsigned i = 0; text && i < sizeof names / sizeof *names; i++) {
		if (strcmp(names[i], text) == 0) {
			*format = copy_format_default((enum copy_kind)i);
			return NULL;
		}
	}

	return "format";
}

static bool take_char(const char *text, char *out)
{
	if (!text || strlen(text) != 1)
		return false;
	*out = text[0];

	return true;
}

static bool take_word(const char *text, size_t size, char *out)
{
	if (!text || strlen(text) >= size)
		return false;
	strcpy(out, text);

	return true;
}

/* What the rows' form depends on. NULL, or what makes it none that we know. */
static const char *take_option(const PgQuery__DefElem *option, struct copy_options *out)
{
	struct copy_format *f = &out->format;
	const char *name = option->defname, *text = option_text(option);
	bool csv = f->kind == COPY_CSV, lines = f->kind != COPY_BINARY;
	int truth;

	if (strcmp(name, "format") == 0)
		return NULL; /* taken before */
	if (strcmp(name, "header") == 0) {
		truth = option_truth(option);
		f->header = truth == 1;
		return truth >= 0 ? NULL : name;
	}
	if (strcmp(name, "delimiter") == 0)
		return lines && take_char(text, &f->delimiter) ? NULL : name;
	if (strcmp(name, "null") == 0)
		return lines && take_word(text, sizeof f->null_text, f->null_text) ? NULL : name;
	if (strcmp(name, "quote") == 0)
		return csv && take_char(text, &f->quote) ? NULL : name;
	if (strcmp(name, "escape") == 0)
		return csv && take_char(text, &f->escape) ? NULL : name;
	if (strcmp(name, "force_quote") == 0) {
		out->may_refuse |=
			option->arg && option->arg->node_case != PG_QUERY__NODE__NODE_A_STAR;
		return csv ? NULL : name;
	}
	if (strcmp(name, "log_verbosity") == 0) { /* from 17 on */
		out->may_refuse = true;
		return NULL;
	}
	if (strcmp(name, "encoding") == 0)
		return take_word(text, sizeof out->encoding, out->encoding) ? NULL : name;

	return name;
}

/* In these every byte below 0x80 is ASCII. The server takes a name whatever its case and marks. */
static bool encoding_safe(const char *name)
{
	static const char *const beginnings[] = {"utf8", "unicode", "sqlascii", "latin", "iso8859",
		"win12", "windows12", "koi8", "euc"};
	char plain[32];
	size_t n = 0;

	for (; *name && n + 1 < sizeof plain; name++)
		if (isalnum((unsigned char)*name))
			plain[n++] = (char)tolower((unsigned char)*name);
	plain[n] = '\0';
	for (size_t i = 0; i < sizeof beginnings / sizeof *beginnings; i++)
		if (strncmp(plain, beginnings[i], strlen(beginnings[i])) == 0)
			return true;

	return false;
}

static bool is_ascii(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text >= 0x80)
			return false;

	return true;
}

/* ENCODING says what the rows are written in, client_encoding what the text is read in: one may
 * stand for the other only for a text that is the same in both. */
static bool encoding_certain(const struct statement *s)
{
	return !s->copy.encoding[0] || (encoding_safe(s->copy.encoding) && is_ascii(s->body));
}

/* ESCAPE is QUOTE where it is not given. */
static void settle_escape(const PgQuery__CopyStmt *c, struct copy_format *f)
{
	for (size_t i = 0; i < c->n_options; i++)
		if (strcmp(c->options[i]->def_elem->defname, "escape") == 0)
			return;
	f->escape = f->quote;
}

static bool given_twice(const PgQuery__CopyStmt *c, size_t at)
{
	for (size_t i = 0; i < at; i++)
		if (strcmp(c->options[i]->def_elem->defname, c->options[at]->def_elem->defname) ==
			0)
			return true;

	return false;
}

static const char *take_options(const PgQuery__CopyStmt *c, struct copy_options *out)
{
	const char *odd = NULL;

	out->format = copy_format_default(COPY_TEXT);
	for (size_t i = 0; i < c->n_options && !odd; i++) {
		const PgQuery__DefElem *option = c->options[i]->def_elem;

		if (c->options[i]->node_case != PG_QUERY__NODE__NODE_DEF_ELEM || given_twice(c, i))
			return "options";
		if (strcmp(option->defname, "format") == 0)
			odd = take_kind(option_text(option), &out->format);
	}
	for (size_t i = 0; i < c->n_options && !odd; i++)
		odd = take_option(c->options[i]->def_elem, out);
	settle_escape(c, &out->format);
	if (!odd && !copy_format_valid(&out->format))
		odd = "options";

	return odd;
}

/* ---- the query ---- */

/* The text between COPY's outer parentheses. */
static char *between_parentheses(const PgQuery__ScanResult *scan, const char *text)
{
	size_t start = 0;
	int depth = 0;

	for (size_t i = 0; i < scan->n_tokens; i++) {
		PgQuery__Token token = scan->tokens[i]->token;

		if (token == PG_QUERY__TOKEN__ASCII_40 && depth++ == 0)
			start = (size_t)scan->tokens[i]->end;
		if (token != PG_QUERY__TOKEN__ASCII_41 || --depth > 0)
			continue;
		return strndup(text + start, (size_t)scan->tokens[i]->start - start);
	}

	return NULL;
}

static char *query_text(const char *text)
{
	PgQueryScanResult scan = pg_query_scan(text);
	PgQuery__ScanResult *tokens = NULL;
	char *out = NULL;

	if (!scan.error)
		tokens = pg_query__scan_result__unpack(
			NULL, scan.pbuf.len, (const uint8_t *)scan.pbuf.data);
	if (tokens) {
		out = between_parentheses(tokens, text);
		pg_query__scan_result__free_unpacked(tokens, NULL);
	}
	pg_query_free_scan_result(scan);

	return out;
}

static void add_name(struct buffer *b, const char *name)
{
	buffer_add_u8(b, '"');
	for (; *name; name++) {
		if (*name == '"')
			buffer_add_u8(b, '"');
		buffer_add_u8(b, (uint8_t)*name);
	}
	buffer_add_u8(b, '"');
}

static void add_columns(struct buffer *b, const PgQuery__CopyStmt *c)
{
	if (c->n_attlist == 0)
		buffer_add_u8(b, '*');
	for (size_t i = 0; i < c->n_attlist; i++) {
		if (i > 0)
			buffer_printf(b, ", ");
		add_name(b, node_string(c->attlist[i]) ? node_string(c->attlist[i]) : "");
	}
}

/* COPY of a table returns what SELECT FROM ONLY it returns; without generated columns. */
static char *table_query(const PgQuery__CopyStmt *c)
{
	const PgQuery__RangeVar *r = c->relation;
	const char *const names[] = {r->catalogname, r->schemaname, r->relname};
	struct buffer b;
	char *out = NULL;

	buffer_init(&b, 1 << 20);
	buffer_printf(&b, "SELECT ");
	add_columns(&b, c);
	buffer_printf(&b, " FROM ONLY ");
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		if (!names[i] || !*names[i])
			continue;
		add_name(&b, names[i]);
		if (i < 2)
			buffer_add_u8(&b, '.');
	}
	if (!b.failed)
		out = strndup((const char *)b.data, b.len);
	buffer_release(&b);

	return out;
}

/* With SELECT *, the candidate would return generated columns too. */
static bool columns_certain(const struct walk *w, const PgQuery__CopyStmt *c)
{
	const PgQuery__RangeVar *r = c->relation;
	const char *schema = r->schemaname && *r->schemaname ? r->schemaname : NULL;

	return c->n_attlist > 0 ||
	       (w->catalogue && !catalogue_relation_generated(w->catalogue, schema, r->relname));
}

static const char *settle_encoding(struct statement *out)
{
	if (!out->body || encoding_certain(out))
		return NULL;
	free(out->body);
	out->body = NULL;

	return "encoding";
}

const char *copy_read(struct walk *w, const PgQuery__CopyStmt *c, const char *text)
{
	struct statement *out = w->out;
	const char *odd = take_options(c, &out->copy);

	if (odd)
		return odd;
	if (c->query) {
		if (c->query->node_case != PG_QUERY__NODE__NODE_SELECT_STMT)
			return "no query";
		out->body = query_text(text);
		return out->body ? settle_encoding(out) : "no query";
	}
	if (!c->relation || !columns_certain(w, c))
		return "columns not known";
	out->copy.may_refuse = true;
	out->body = table_query(c);
	w->no_memory |= !out->body;

	return settle_encoding(out);
}

#include "proxy/shadow/classify_parts.h"

#include <pg_query.h>
#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

/* What to leave out of a normalised text. */
static bool is_comment(PgQuery__Token token)
{
	return token == PG_QUERY__TOKEN__SQL_COMMENT || token == PG_QUERY__TOKEN__C_COMMENT;
}

static bool is_literal(PgQuery__Token token)
{
	switch (token) {
	case PG_QUERY__TOKEN__SCONST:
	case PG_QUERY__TOKEN__USCONST:
	case PG_QUERY__TOKEN__BCONST:
	case PG_QUERY__TOKEN__XCONST: return true;
	default: return false;
	}
}

static bool is_number(PgQuery__Token token)
{
	return token == PG_QUERY__TOKEN__ICONST || token == PG_QUERY__TOKEN__FCONST;
}

/* Copies `text` to `out` (same size suffices) token by token: comments become nothing, literals
 * that normalising left `?` (L6). */
static void clean(const PgQuery__ScanResult *scan, const char *text, bool numbers, char *out)
{
	size_t at = 0, len = strlen(text), n = 0;

	for (size_t i = 0; i < scan->n_tokens; i++) {
		const PgQuery__ScanToken *t = scan->tokens[i];
		size_t start = (size_t)t->start, end = (size_t)t->end;

		if (t->start < 0 || start < at || end > len || end < start)
			break;
		if (is_comment(t->token)) {
			memcpy(out + n, text + at, start - at);
			n += start - at;
			at = end;
			continue;
		}
		memcpy(out + n, text + at, start - at);
		n += start - at;
		if (is_literal(t->token) || (numbers && is_number(t->token))) {
			out[n++] = '?';
		} else {
			memcpy(out + n, text + start, end - start);
			n += end - start;
		}
		at = end;
	}
	while (n > 0 && strchr(" \t\r\n\f\v", out[n - 1]))
		n--;
	out[n] = '\0';
	n = strspn(out, " \t\r\n\f\v");
	memmove(out, out + n, strlen(out + n) + 1);
}

/* Owned text, or NULL: out of memory. A text that cannot be scanned gives "". */
static char *cleaned(const char *text, bool numbers)
{
	PgQueryScanResult scan = pg_query_scan(text);
	PgQuery__ScanResult *tokens = NULL;
	char *out = malloc(strlen(text) + 1);

	if (!scan.error)
		tokens = pg_query__scan_result__unpack(
			NULL, scan.pbuf.len, (const uint8_t *)scan.pbuf.data);
	if (out)
		out[0] = '\0';
	if (out && tokens)
		clean(tokens, text, numbers, out);
	if (tokens)
		pg_query__scan_result__free_unpacked(tokens, NULL);
	pg_query_free_scan_result(scan);

	return out;
}

static bool data_statement(const struct statement *s)
{
	return s->skip != REASON_NOT_A_READ || strcmp(s->detail, "InsertStmt") == 0 ||
	       strcmp(s->detail, "UpdateStmt") == 0 || strcmp(s->detail, "DeleteStmt") == 0 ||
	       strcmp(s->detail, "MergeStmt") == 0;
}

bool shape_of(const char *text, struct statement *out)
{
	PgQueryNormalizeResult normal = pg_query_normalize(text);
	PgQueryFingerprintResult print = pg_query_fingerprint(text);

	out->normalized =
		cleaned(normal.error ? "" : normal.normalized_query, !data_statement(out));
	if (!print.error && print.fingerprint_str)
		snprintf(out->fingerprint, sizeof out->fingerprint, "%s", print.fingerprint_str);
	if (out->normalized)
		out->shape_hash = XXH3_64bits(out->normalized, strlen(out->normalized));
	pg_query_free_normalize_result(normal);
	pg_query_free_fingerprint_result(print);

	return out->normalized != NULL;
}

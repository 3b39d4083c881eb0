#include "proxy/text_key.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>
#include <xxhash.h>

enum { DIGITS_MAX = 9 /* more may not fit an integer, and are another kind of literal */ };

enum char_class {
	OTHER, /* 0: what is not listed is not for us */
	SPACE,
	LETTER,
	DIGIT,
	SIGN, /* a token of its own or part of an operator: copied */
	STRING,
	QUOTED,
	END,
};

static const uint8_t class_of[256] = {
	[' '] = SPACE,
	['\t'] = SPACE,
	['\n'] = SPACE,
	['\r'] = SPACE,
	['A' ... 'Z'] = LETTER,
	['a' ... 'z'] = LETTER,
	['_'] = LETTER,
	['0' ... '9'] = DIGIT,
	['('] = SIGN,
	[')'] = SIGN,
	['['] = SIGN,
	[']'] = SIGN,
	[','] = SIGN,
	['.'] = SIGN,
	[':'] = SIGN,
	['='] = SIGN,
	['<'] = SIGN,
	['>'] = SIGN,
	['!'] = SIGN,
	['+'] = SIGN,
	['-'] = SIGN,
	['*'] = SIGN,
	['/'] = SIGN,
	['%'] = SIGN,
	['|'] = SIGN,
	['\''] = STRING,
	['"'] = QUOTED,
	[';'] = END,
};

/* --- words of time ---------------------------------------------------------------------------- */

bool is_time_word(const char *word, size_t len)
{
	static const char *const words[] = {"now", "today", "tomorrow", "yesterday"};

	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (strlen(words[i]) == len && strncasecmp(words[i], word, len) == 0)
			return true;

	return false;
}

bool has_time_word(struct span text)
{
	for (size_t at = 0, len; at < text.len; at += len ? len : 1) {
		len = 0;
		while (at + len < text.len && isalpha(text.data[at + len]))
			len++;
		if (len > 0 && is_time_word((const char *)text.data + at, len))
			return true;
	}

	return false;
}

bool literal_is_plain(struct span literal)
{
	const uint8_t *text = literal.data;
	const size_t len = literal.len;

	if (len < 2 || len - 2 >= PLAIN_LITERAL_MAX || text[0] != '\'' || text[len - 1] != '\'')
		return false;
	for (size_t i = 1; i + 1 < len; i++)
		if (text[i] == '\'' && (text[++i] != '\'' || i + 1 >= len))
			return false;

	return !has_time_word(span_of(text + 1, len - 2));
}

/* --- keys ------------------------------------------------------------------------------------- */

/* What is left of the text, and the key so far. */
struct quick {
	const char *text;
	size_t len, at;
	struct quick_key *key;
	bool cut; /* LIMIT or OFFSET was the last token: a plain number behind it is no literal */
};

static enum char_class class_at(const struct quick *q, size_t at)
{
	return at < q->len ? (enum char_class)class_of[(uint8_t)q->text[at]] : SPACE;
}

static bool is_printed(char c)
{
	return (uint8_t)c >= ' ' && (uint8_t)c <= '~';
}

/* Is what ended before here a token for sure? */
static bool ends_token(const struct quick *q, size_t at)
{
	enum char_class c = class_at(q, at);

	return c == SPACE || c == SIGN || c == END;
}

static void copy(struct quick *q, size_t end)
{
	memcpy(q->key->bytes + q->key->len, q->text + q->at, end - q->at);
	q->key->len += end - q->at;
	q->at = end;
}

static void blank(struct quick *q, char kind, size_t end)
{
	q->key->bytes[q->key->len++] = '\x01';
	q->key->bytes[q->key->len++] = kind;
	q->key->literals++;
	q->at = end;
}

/* Behind a word no quote may follow, which makes E'', U&"" and the like of it. */
static bool take_word(struct quick *q)
{
	size_t end = q->at;

	while (class_at(q, end) == LETTER || class_at(q, end) == DIGIT)
		end++;
	q->cut = (end - q->at == 5 && strncasecmp(q->text + q->at, "limit", 5) == 0) ||
		 (end - q->at == 6 && strncasecmp(q->text + q->at, "offset", 6) == 0);
	copy(q, end);

	return ends_token(q, end);
}

static bool take_number(struct quick *q)
{
	size_t end = q->at;

	while (class_at(q, end) == DIGIT)
		end++;
	if (end - q->at > DIGITS_MAX || !ends_token(q, end) ||
		(end < q->len && q->text[end] == '.'))
		return false;
	if (q->cut)
		copy(q, end);
	else
		blank(q, 'i', end);
	q->cut = false;

	return true;
}

/* Without quotes and backslashes inside, and with no other string behind it, which might be its
 * continuation. */
static bool take_string(struct quick *q)
{
	const char *close = memchr(q->text + q->at + 1, '\'', q->len - q->at - 1);
	size_t end, behind;

	if (!close)
		return false;
	end = (size_t)(close - q->text) + 1;
	for (size_t i = q->at + 1; i + 1 < end; i++)
		if (!is_printed(q->text[i]) || q->text[i] == '\\')
			return false;
	for (behind = end; behind < q->len && class_at(q, behind) == SPACE;)
		behind++;
	if (class_at(q, end) == LETTER || class_at(q, end) == DIGIT ||
		class_at(q, behind) == STRING ||
		!literal_is_plain(span_of(q->text + q->at, end - q->at)))
		return false;
	blank(q, 's', end);
	q->cut = false;

	return true;
}

static bool take_quoted(struct quick *q)
{
	size_t end = q->at + 1;

	while (end < q->len && is_printed(q->text[end]) && q->text[end] != '"')
		end++;
	if (end == q->at + 1 || end >= q->len || q->text[end] != '"' || !ends_token(q, end + 1))
		return false;
	copy(q, end + 1);
	q->cut = false;

	return true;
}

/* No comment begins here, and no number. */
static bool take_sign(struct quick *q)
{
	char c = q->text[q->at], next = q->at + 1 < q->len ? q->text[q->at + 1] : ' ';

	if ((c == '-' && next == '-') || (c == '/' && next == '*') ||
		(c == '.' && class_at(q, q->at + 1) == DIGIT))
		return false;
	copy(q, q->at + 1);
	q->cut = false;

	return true;
}

/* One semicolon, with nothing but space behind it. */
static bool take_end(struct quick *q)
{
	q->key->end = q->at;
	copy(q, q->at + 1);
	for (size_t i = q->at; i < q->len; i++)
		if (class_at(q, i) != SPACE)
			return false;
	copy(q, q->len);

	return true;
}

static bool take_token(struct quick *q)
{
	switch (class_at(q, q->at)) {
	case SPACE: copy(q, q->at + 1); return true;
	case LETTER: return take_word(q);
	case DIGIT: return take_number(q);
	case SIGN: return take_sign(q);
	case STRING: return take_string(q);
	case QUOTED: return take_quoted(q);
	case END: return take_end(q);
	case OTHER: break;
	}

	return false;
}

bool quick_blank(struct span sql, struct quick_key *out)
{
	struct quick q = {.text = (const char *)sql.data, .len = sql.len, .key = out};

	out->len = out->literals = 0;
	out->end = sql.len;
	if (sql.len > QUICK_TEXT_MAX)
		return false;
	while (q.at < q.len)
		if (!take_token(&q))
			return false;

	return out->literals > 0 && out->literals < LITERALS_MAX;
}

struct text_key text_key_of(struct span text, bool blanked)
{
	XXH128_hash_t hash = XXH3_128bits_withSeed(text.data, text.len, blanked);

	return (struct text_key){.low = hash.low64, .high = hash.high64};
}

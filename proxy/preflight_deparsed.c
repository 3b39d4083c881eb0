#define _GNU_SOURCE 1 /* open_memstream */
#include "proxy/preflight_deparsed.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- words --- */

static bool is_name_byte(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '$' || (unsigned char)c >= 0x80;
}

/* Behind what begins with `quote`; two of them in a row stand for one. */
static const char *skip_quoted(const char *p, char quote, bool backslashes)
{
	for (p++; *p; p++) {
		if (backslashes && *p == '\\' && p[1])
			p++;
		else if (*p == quote && p[1] == quote)
			p++;
		else if (*p == quote)
			return p + 1;
	}

	return p;
}

/* Behind a name, a number, a string or a single other byte; at the end: p. */
static const char *skip_word(const char *p)
{
	if (*p == '"' || *p == '\'')
		return skip_quoted(p, *p, false);
	if ((*p == 'E' || *p == 'e') && p[1] == '\'')
		return skip_quoted(p + 1, '\'', true);
	if (isdigit((unsigned char)*p)) {
		while (is_name_byte(*p) || *p == '.')
			p++;
		return p;
	}
	if (!is_name_byte(*p))
		return *p ? p + 1 : p;
	while (is_name_byte(*p))
		p++;

	return p;
}

static const char *skip_space(const char *p)
{
	while (isspace((unsigned char)*p))
		p++;

	return p;
}

static bool is_name(const char *p)
{
	return *p == '"' || (is_name_byte(*p) && !isdigit((unsigned char)*p) && p[1] != '\'');
}

/* --- comparing --- */

/* One word, or names with dots between them. */
struct unit {
	const char *begin, *end;
	const char *last; /* where the last name begins */
	int names;
};

static struct unit unit_at(const char *p)
{
	struct unit u = {.begin = p, .end = skip_word(p), .last = p, .names = is_name(p)};

	while (u.names > 0 && *u.end == '.' && (is_name(u.end + 1) || u.end[1] == '*')) {
		u.last = u.end + 1;
		u.end = skip_word(u.last);
		u.names++;
	}

	return u;
}

static bool bytes_equal(const char *a, const char *a_end, const char *b, const char *b_end)
{
	return a_end - a == b_end - b && memcmp(a, b, (size_t)(a_end - a)) == 0;
}

static bool units_equal(const struct unit *a, const struct unit *b)
{
	if ((a->names == 1 && b->names == 2) || (a->names == 2 && b->names == 1))
		return bytes_equal(a->last, a->end, b->last, b->end);

	return bytes_equal(a->begin, a->end, b->begin, b->end);
}

bool deparsed_same(const char *control, const char *candidate, size_t at[2])
{
	const char *p = skip_space(control), *q = skip_space(candidate);

	while (*p || *q) {
		const struct unit a = unit_at(p), b = unit_at(q);

		if (!units_equal(&a, &b)) {
			at[0] = (size_t)(p - control);
			at[1] = (size_t)(q - candidate);
			return false;
		}
		p = skip_space(a.end);
		q = skip_space(b.end);
	}

	return true;
}

/* --- (ARRAY[a, b])::t[] --- */

/* The bracket that closes the one at p; NULL: none. */
static const char *closing(const char *p)
{
	int depth = 0;

	for (; *p; p = skip_word(p)) {
		if (strchr("([", *p))
			depth++;
		else if (strchr(")]", *p) && --depth == 0)
			return p;
	}

	return NULL;
}

struct cast_array {
	const char *elements, *elements_end; /* within the brackets */
	const char *type, *type_end;	     /* of one element */
	const char *end;		     /* of the whole */
};

static bool cast_array_at(const char *p, struct cast_array *out)
{
	static const char head[] = "(ARRAY[", middle[] = "])::";
	const char *q;

	if (strncmp(p, head, sizeof head - 1) != 0)
		return false;
	out->elements = p + sizeof head - 1;
	out->elements_end = closing(out->elements - 1);
	if (!out->elements_end || strncmp(out->elements_end, middle, sizeof middle - 1) != 0)
		return false;
	out->type = out->elements_end + sizeof middle - 1;
	for (q = out->type; is_name_byte(*q) || strchr("\" .(),", *q); q = skip_word(q))
		if (!*q)
			return false;
	if (strncmp(q, "[]", 2) != 0)
		return false;
	out->type_end = q;
	out->end = q + 2;

	return true;
}

static void write_normal(const char *p, const char *end, FILE *out);

static void write_element(const struct cast_array *a, const char *begin, const char *end, FILE *out)
{
	fputc('(', out);
	write_normal(skip_space(begin), end, out);
	fprintf(out, ")::%.*s", (int)(a->type_end - a->type), a->type);
}

static void write_cast_array(const struct cast_array *a, FILE *out)
{
	const char *begin = a->elements, *p = begin;

	fputs("ARRAY[", out);
	while (p < a->elements_end) {
		if (*p == ',') {
			write_element(a, begin, p, out);
			fputs(", ", out);
			begin = p + 1;
		}
		p = *p == '(' || *p == '[' ? closing(p) + 1 : skip_word(p);
	}
	if (begin < a->elements_end)
		write_element(a, begin, a->elements_end, out);
	fputc(']', out);
}

static void write_normal(const char *p, const char *end, FILE *out)
{
	while (p < end) {
		struct cast_array a;
		const char *behind;

		if (*p == '(' && cast_array_at(p, &a) && a.end <= end) {
			write_cast_array(&a, out);
			p = a.end;
			continue;
		}
		behind = skip_word(p);
		fwrite(p, 1, (size_t)(behind - p), out);
		p = behind;
	}
}

char *deparsed_normal(const char *text)
{
	char *normal = NULL;
	size_t size;
	FILE *out;

	if (!strstr(text, "(ARRAY["))
		return strdup(text);
	out = open_memstream(&normal, &size);
	if (!out)
		return NULL;
	write_normal(text, text + strlen(text), out);
	if (fclose(out) != 0) {
		free(normal);
		return NULL;
	}

	return normal;
}

#include "compare/waiver.h"

#include "compare/diff.h"
#include "compare/hints.h"
#include <ctype.h>

/* Kept rows of both answers fit in. */
static const size_t diff_limit_bytes = 8 << 20;

/* ---- the day ---- */

static bool two_digits(const char *at, int *out)
{
	if (!isdigit((unsigned char)at[0]) || !isdigit((unsigned char)at[1]))
		return false;
	*out = 10 * (at[0] - '0') + (at[1] - '0');

	return true;
}

static int month_days(int year, int month)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

	return days[month - 1] + (month == 2 && leap);
}

bool waiver_day_end(const char *date, int64_t *us)
{
	int century, years, month, day, year;
	int64_t days = 0;

	if (strlen(date) != 10 || date[4] != '-' || date[7] != '-' || !two_digits(date, &century) ||
		!two_digits(date + 2, &years) || !two_digits(date + 5, &month) ||
		!two_digits(date + 8, &day))
		return false;
	year = 100 * century + years;
	if (year < 1970 || month < 1 || month > 12 || day < 1 || day > month_days(year, month))
		return false;
	for (int y = 1970; y < year; y++)
		days += 337 + month_days(y, 2);
	for (int m = 1; m < month; m++)
		days += month_days(year, m);
	*us = (days + day) * INT64_C(86400000000);

	return true;
}

/* ---- words ---- */

const char *waiver_word(size_t i)
{
	const size_t classes = CLASS_ERROR_CODE - CLASS_NONE;
	const size_t groups = ERROR_CONNECTION - ERROR_OTHER;

	if (i < classes)
		return difference_class_name((enum difference_class)(CLASS_NONE + 1 + i));
	if (i - classes < groups)
		return error_group_name((enum error_group)(ERROR_OTHER + 1 + i - classes));

	return hint_name(i - classes - groups);
}

bool waiver_word_known(const char *word)
{
	const char *known;

	for (size_t i = 0; (known = waiver_word(i)); i++)
		if (strcmp(known, word) == 0)
			return true;

	return strlen(word) == 5 && strspn(word, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == 5;
}

/* ---- lists and texts ---- */

/* Is the word an element of the comma-separated list? */
static bool listed(const char *list, const char *word)
{
	size_t wanted = strlen(word);

	while (wanted > 0 && *list) {
		size_t skipped = strspn(list, " \t,"), n = strcspn(list + skipped, ",");
		const char *item = list + skipped;

		list = item + n;
		while (n > 0 && isblank((unsigned char)item[n - 1]))
			n--;
		if (n == wanted && memcmp(item, word, n) == 0)
			return true;
	}

	return false;
}

/* Equal but for the amount of white space. */
static bool same_text(const char *a, const char *b)
{
	while (isspace((unsigned char)*a))
		a++;
	while (isspace((unsigned char)*b))
		b++;
	for (;;) {
		bool a_blank = isspace((unsigned char)*a), b_blank = isspace((unsigned char)*b);

		while (isspace((unsigned char)*a))
			a++;
		while (isspace((unsigned char)*b))
			b++;
		if (!*a || !*b)
			return !*a && !*b;
		if (a_blank != b_blank || *a != *b)
			return false;
		a++;
		b++;
	}
}

bool waiver_matches(const struct waiver *w, const char *candidate, const char *normalized)
{
	if (*w->candidate && strcmp(w->candidate, candidate) != 0)
		return false;
	if (strcmp(w->match, "*") == 0)
		return true;

	return *normalized && same_text(w->match, normalized);
}

/* ---- the difference ---- */

static bool accepts_class(const struct waiver *w, enum difference_class class)
{
	return listed(w->accept, difference_class_name(class));
}

static bool accepts_column(const struct waiver *w, const struct result *r, unsigned column)
{
	if (!*w->columns)
		return true;

	return r->described && column < r->ncolumns && listed(w->columns, r->columns[column].name);
}

/* What the difference is between, and by which rules. */
struct sides {
	const struct waiver *waiver;
	const struct comparison *comparison;
	struct hint_sides of;
};

static bool accepts_cell(const struct sides *s, uint16_t column, struct span a, struct span b)
{
	return accepts_column(s->waiver, s->of.primary, column) &&
	       (accepts_class(s->waiver, CLASS_VALUES) ||
		       listed(s->waiver->accept, column_hint(&s->of, column, a, b)));
}

static bool accepts_changed_row(const struct sides *s, const struct diff_row *row)
{
	struct reader left, right;
	uint16_t n, m;

	if (!parse_data_row(row->primary, &n, &left) ||
		!parse_data_row(row->candidate, &m, &right) || n != m)
		return false;
	for (uint16_t i = 0; i < n; i++) {
		struct span a = read_value(&left), b = read_value(&right);

		if (!cells_alike(s->of.primary, s->of.candidate, s->of.rules, i, a, b) &&
			!accepts_cell(s, i, a, b))
			return false;
	}

	return true;
}

/* Rows without a partner differ in every column; a hint about them is the whole answer's. */
static bool accepts_lone_row(const struct sides *s, enum difference_class class)
{
	const struct waiver *w = s->waiver;

	return !*w->columns &&
	       (accepts_class(w, class) ||
		       (s->comparison->class == class && listed(w->accept, s->comparison->hint)));
}

static bool accepts_row(const struct sides *s, const struct diff_row *row)
{
	switch (row->kind) {
	case DIFF_MISSING: return accepts_lone_row(s, CLASS_MISSING_ROWS);
	case DIFF_EXTRA: return accepts_lone_row(s, CLASS_EXTRA_ROWS);
	case DIFF_CHANGED: return accepts_changed_row(s, row);
	case DIFF_MOVED: break; /* of the class order, which is accepted whole */
	}

	return false;
}

static bool accepts_rows(const struct sides *s)
{
	struct diff diff;
	bool accepted;

	if (!diff_results(s->of.primary, s->of.candidate, s->of.rules, diff_limit_bytes, &diff))
		return false;
	accepted = !diff.truncated && diff.nrows > 0;
	for (size_t i = 0; accepted && i < diff.nrows; i++)
		accepted = accepts_row(s, &diff.rows[i]);
	diff_release(&diff);

	return accepted;
}

static bool accepts_columns(const struct waiver *w, const struct comparison *c,
	const struct result *primary, const struct result *candidate)
{
	if (!accepts_class(w, CLASS_COLUMNS) && !listed(w->accept, c->hint))
		return false;
	if (!*w->columns)
		return true;
	if (!primary->described || !candidate->described ||
		primary->ncolumns != candidate->ncolumns)
		return false;
	for (unsigned i = 0; i < primary->ncolumns; i++) {
		const struct result_column *a = &primary->columns[i], *b = &candidate->columns[i];
		bool same = strcmp(a->name, b->name) == 0 && a->type_oid == b->type_oid &&
			    a->typmod == b->typmod && a->format == b->format;

		if (!same && !accepts_column(w, primary, i))
			return false;
	}

	return true;
}

static bool accepts_error(const struct waiver *w, const struct comparison *c,
	const struct result *primary, const struct result *candidate)
{
	const char *sqlstate = c->class == CLASS_NO_ERROR ? primary->sqlstate : candidate->sqlstate;

	return !*w->columns && (accepts_class(w, c->class) || listed(w->accept, c->hint) ||
				       listed(w->accept, sqlstate));
}

bool waiver_accepts(const struct waiver *w, const struct comparison *c,
	const struct result *primary, const struct result *candidate,
	const struct compare_rules *rules)
{
	const struct sides sides = {w, c, {primary, candidate, rules}};

	if (c->equal || c->undecidable)
		return false;
	switch (c->class) {
	case CLASS_NONE: return false;
	case CLASS_COLUMNS: return accepts_columns(w, c, primary, candidate);
	case CLASS_ERROR:
	case CLASS_NO_ERROR:
	case CLASS_ERROR_CODE: return accepts_error(w, c, primary, candidate);
	case CLASS_ORDER:
		return !*w->columns &&
		       (accepts_class(w, CLASS_ORDER) || listed(w->accept, c->hint));
	case CLASS_VALUES:
		if (accepts_class(w, CLASS_VALUES) && !*w->columns)
			return true;
		break;
	case CLASS_MISSING_ROWS:
	case CLASS_EXTRA_ROWS: break;
	}

	return accepts_rows(&sides);
}

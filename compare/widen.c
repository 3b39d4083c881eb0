/* Which of the rows that two answers do not have in common are the same by a widening (values.h).
 *
 * Rows get a form in which whatever a distance decides is left out (canonical.h). Rows with the
 * same form are a bundle; within one each row of a side may belong to each of the other whose
 * distances are small enough. Nothing is lost by a clumsy choice: a maximum matching is looked for.
 */
#define _GNU_SOURCE /* qsort_r */
#include "compare/rows.h"

#include "compare/canonical.h"
#include "compare/diff.h"
#include <stdlib.h>

enum { BUNDLE_LIMIT = 64 }; /* rows a side that are matched in every way; above, only in order */

/* A row of one side, with what its form left out. */
struct formed {
	uint64_t hash[2];
	size_t index; /* of its row set */
	size_t near;  /* where its notes begin */
	size_t nnear;
};
struct formed_set {
	struct formed *at; /* owned */
	size_t count;
	struct form form; /* of all rows: the notes stand there one after the other */
};

static const struct near_value *notes(const struct formed_set *s, const struct formed *f)
{
	return s->form.near + f->near;
}

static void formed_release(struct formed_set *s)
{
	free(s->at);
	form_release(&s->form);
}

static bool formed_load(const struct row_set *rows, const struct result *r,
	const struct form_rules *rules, struct formed_set *out)
{
	form_init(&out->form);
	out->at = reallocarray(NULL, rows->count + 1, sizeof *out->at);
	if (!out->at)
		return false;
	for (size_t i = 0; i < rows->count; i++) {
		struct formed *f = &out->at[i];
		struct digest d;

		buffer_clear(&out->form.bytes);
		*f = (struct formed){.index = i, .near = out->form.nnear};
		canonical_row(&out->form, r, rows->row[i].body, rules);
		if (form_failed(&out->form))
			return false;
		digest_init(&d);
		digest_row(&d, buffer_span(&out->form.bytes));
		memcpy(f->hash, d.ordered, sizeof f->hash);
		f->nnear = out->form.nnear - f->near;
		out->count++;
	}

	return true;
}

static int compare_hash(const struct formed *a, const struct formed *b)
{
	for (int i = 0; i < 2; i++)
		if (a->hash[i] != b->hash[i])
			return a->hash[i] < b->hash[i] ? -1 : 1;

	return (a->nnear > b->nnear) - (a->nnear < b->nnear);
}

static int by_form(const void *left, const void *right, void *data)
{
	const struct formed *a = left, *b = right;
	const struct formed_set *s = data;
	int order = compare_hash(a, b);

	for (size_t i = 0; order == 0 && i < a->nnear; i++) {
		const struct near_value *x = &notes(s, a)[i], *y = &notes(s, b)[i];

		order = (x->real > y->real) - (x->real < y->real);
		if (order == 0)
			order = (x->time_us > y->time_us) - (x->time_us < y->time_us);
	}

	return order ? order : (a->index > b->index) - (a->index < b->index);
}

/* Rows of both sides with one form: indexes into the two sorted sets. */
struct bundle {
	const struct formed_set *p, *c;
	size_t p_from, p_count, c_from, c_count;
	const struct value_rules *values;
	size_t partner[BUNDLE_LIMIT]; /* of each row of c: the row of p, or ROW_ALONE */
	bool tried[BUNDLE_LIMIT];
};

static bool close_rows(const struct bundle *b, size_t p, size_t c)
{
	const struct formed *x = &b->p->at[b->p_from + p], *y = &b->c->at[b->c_from + c];
	uint32_t widened;

	for (size_t i = 0; i < x->nnear; i++)
		if (!near_values(&notes(b->p, x)[i], &notes(b->c, y)[i], b->values, &widened))
			return false;

	return true;
}

/* Finds a partner for row p, moving those that have one already (an augmenting path). */
static bool augment(struct bundle *b, size_t p)
{
	for (size_t c = 0; c < b->c_count; c++) {
		if (b->tried[c] || !close_rows(b, p, c))
			continue;
		b->tried[c] = true;
		if (b->partner[c] == ROW_ALONE || augment(b, b->partner[c])) {
			b->partner[c] = p;
			return true;
		}
	}

	return false;
}

static void take(struct bundle *b, struct row_difference *d, size_t p, size_t c)
{
	const struct formed *x = &b->p->at[b->p_from + p], *y = &b->c->at[b->c_from + c];

	d->missing.row[x->index].partner = y->index;
	d->extra.row[y->index].partner = x->index;
}

/* In order, the i-th with the i-th: exact for one distance, and for rows without any. */
static bool match_in_order(struct bundle *b, struct row_difference *d)
{
	if (b->p_count != b->c_count)
		return false;
	for (size_t i = 0; i < b->p_count; i++)
		if (!close_rows(b, i, i))
			return false;
	for (size_t i = 0; i < b->p_count; i++)
		take(b, d, i, i);

	return true;
}

static void match(struct bundle *b, struct row_difference *d)
{
	if (match_in_order(b, d) || b->p_count > BUNDLE_LIMIT || b->c_count > BUNDLE_LIMIT)
		return;
	for (size_t c = 0; c < b->c_count; c++)
		b->partner[c] = ROW_ALONE;
	for (size_t p = 0; p < b->p_count; p++) {
		memset(b->tried, 0, sizeof b->tried);
		(void)augment(b, p);
	}
	for (size_t c = 0; c < b->c_count; c++)
		if (b->partner[c] != ROW_ALONE)
			take(b, d, b->partner[c], c);
}

static size_t bundle_end(const struct formed_set *s, size_t from)
{
	size_t end = from + 1;

	while (end < s->count && compare_hash(&s->at[from], &s->at[end]) == 0)
		end++;

	return end;
}

static void match_all(struct formed_set *p, struct formed_set *c, const struct value_rules *values,
	struct row_difference *d)
{
	size_t i = 0, j = 0;

	qsort_r(p->at, p->count, sizeof *p->at, by_form, p);
	qsort_r(c->at, c->count, sizeof *c->at, by_form, c);
	while (i < p->count && j < c->count) {
		int order = compare_hash(&p->at[i], &c->at[j]);
		size_t i_end = bundle_end(p, i), j_end = bundle_end(c, j);
		struct bundle b = {.p = p, .c = c, .values = values};

		if (order == 0) {
			b.p_from = i;
			b.p_count = i_end - i;
			b.c_from = j;
			b.c_count = j_end - j;
			match(&b, d);
		}
		if (order <= 0)
			i = i_end;
		if (order >= 0)
			j = j_end;
	}
}

/* ---- cells ---- */

/* One side's rules. */
static struct form_rules side(const struct compare_rules *rules, bool candidate)
{
	return (struct form_rules){
		.names = candidate ? &rules->candidate_types : &rules->primary_types,
		.values = rules->values,
		.summed = rules->summed};
}

/* Where two spellings mean the same float: what let the spelling go. */
static uint32_t spelling(const struct value_rules *values)
{
	if (values->float_ulp > 0)
		return WIDENING_BIT(WIDENING_FLOAT_ULP);
	if (values->float_tolerance > 0)
		return WIDENING_BIT(WIDENING_FLOAT_TOLERANCE);

	return WIDENING_BIT(WIDENING_FLOAT_AGGREGATES);
}

static bool same_notes(const struct form *a, const struct form *b, const struct value_rules *values,
	uint32_t *widened)
{
	uint32_t one;

	for (size_t i = 0; i < a->nnear && i < b->nnear; i++) {
		if (!near_values(&a->near[i], &b->near[i], values, &one))
			return false;
		*widened |= one;
	}

	return a->nnear == b->nnear;
}

struct cells {
	const struct result *p, *c;
	struct form_rules p_rules, c_rules, p_strict, c_strict;
	struct form x, y; /* of the two cells at hand */
};

static void cells_init(struct cells *k, const struct result *p, const struct result *c,
	const struct compare_rules *rules)
{
	*k = (struct cells){.p = p,
		.c = c,
		.p_rules = side(rules, false),
		.c_rules = side(rules, true),
		.p_strict.names = &rules->primary_types,
		.c_strict.names = &rules->candidate_types};
	form_init(&k->x);
	form_init(&k->y);
}

static void cells_release(struct cells *k)
{
	form_release(&k->x);
	form_release(&k->y);
}

static bool same_form(struct cells *k, uint16_t column, struct span a, struct span b,
	const struct form_rules *p_rules, const struct form_rules *c_rules)
{
	form_clear(&k->x);
	form_clear(&k->y);
	canonical_cell(&k->x, k->p, column, a, p_rules);
	canonical_cell(&k->y, k->c, column, b, c_rules);

	return !form_failed(&k->x) && !form_failed(&k->y) &&
	       span_equal(buffer_span(&k->x.bytes), buffer_span(&k->y.bytes));
}

/* Adds to *widened what it took. */
static bool same_cell(
	struct cells *k, uint16_t column, struct span a, struct span b, uint32_t *widened)
{
	uint32_t taken = 0;

	if (span_equal(a, b) || same_form(k, column, a, b, &k->p_strict, &k->c_strict))
		return true;
	if (!k->p_rules.values || !a.data || !b.data ||
		!same_form(k, column, a, b, &k->p_rules, &k->c_rules) ||
		!same_notes(&k->x, &k->y, k->p_rules.values, &taken))
		return false;
	taken |= k->x.widened | k->y.widened;
	*widened |= taken ? taken : spelling(k->p_rules.values);

	return true;
}

static bool same_cells(struct cells *k, struct span p_row, struct span c_row, uint32_t *widened)
{
	struct reader left, right;
	uint16_t n, m;

	if (!parse_data_row(p_row, &n, &left) || !parse_data_row(c_row, &m, &right) || n != m)
		return false;
	for (uint16_t i = 0; i < n; i++)
		if (!same_cell(k, i, read_value(&left), read_value(&right), widened))
			return false;

	return true;
}

bool rows_alike(const struct result *primary, const struct result *candidate,
	const struct compare_rules *rules, struct span a, struct span b)
{
	uint32_t widened = 0;
	struct cells k;
	bool alike;

	if (span_equal(a, b))
		return true;
	cells_init(&k, primary, candidate, rules);
	alike = same_cells(&k, a, b, &widened);
	cells_release(&k);

	return alike;
}

bool cells_alike(const struct result *primary, const struct result *candidate,
	const struct compare_rules *rules, uint16_t column, struct span a, struct span b)
{
	uint32_t widened = 0;
	struct cells k;
	bool alike;

	cells_init(&k, primary, candidate, rules);
	alike = same_cell(&k, column, a, b, &widened);
	cells_release(&k);

	return alike;
}

/* ---- rows ---- */

/* Drops the rows with a partner; the others lose nothing but their places. */
static void drop_paired(struct row_set *s)
{
	size_t left = 0;

	for (size_t i = 0; i < s->count; i++)
		if (s->row[i].partner == ROW_ALONE)
			s->row[left++] = s->row[i];
	s->count = left;
}

static uint32_t widened_by(const struct row_difference *d, const struct result *primary,
	const struct result *candidate, const struct compare_rules *rules)
{
	uint32_t widened = 0;
	struct cells k;

	cells_init(&k, primary, candidate, rules);
	for (size_t i = 0; i < d->missing.count; i++) {
		const struct row *row = &d->missing.row[i];

		if (row->partner != ROW_ALONE)
			(void)same_cells(&k, row->body, d->extra.row[row->partner].body, &widened);
	}
	cells_release(&k);

	return widened;
}

bool row_difference_widen(struct row_difference *d, const struct result *primary,
	const struct result *candidate, const struct compare_rules *rules, uint32_t *widened)
{
	struct form_rules p_rules = side(rules, false), c_rules = side(rules, true);
	struct formed_set p = {0}, c = {0};
	bool ok = true;

	*widened = 0;
	if (!rules->values || d->missing.count == 0 || d->extra.count == 0 ||
		(!widening_needed(primary, &p_rules) && !widening_needed(candidate, &c_rules)))
		return true;
	ok = formed_load(&d->missing, primary, &p_rules, &p) &&
	     formed_load(&d->extra, candidate, &c_rules, &c);
	if (ok) {
		match_all(&p, &c, rules->values, d);
		*widened = widened_by(d, primary, candidate, rules);
		drop_paired(&d->missing);
		drop_paired(&d->extra);
	}
	formed_release(&p);
	formed_release(&c);

	return ok;
}

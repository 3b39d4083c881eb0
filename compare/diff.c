#include "compare/diff.h"

#include "compare/canonical.h"
#include "compare/rows.h"
#include <stdlib.h>

struct span diff_value(struct span data_row, uint16_t column)
{
	struct reader r = reader_over(data_row);
	struct span value = {0};
	uint16_t n = read_u16(&r);

	if (column >= n)
		return (struct span){0};
	for (unsigned i = 0; i <= column && !r.bad; i++)
		value = read_value(&r);

	return r.bad ? (struct span){0} : value;
}

bool diff_cells_alike(const struct result *primary, const struct result *candidate,
	const struct compare_rules *rules, uint16_t column, struct span a, struct span b)
{
	return cells_alike(primary, candidate, rules, column, a, b);
}

/* Lists one row, as long as the byte limit allows. */
static void list_row(struct diff *d, size_t *left_bytes, struct diff_row row)
{
	size_t cost = sizeof row + row.primary.len + row.candidate.len;

	if (cost > *left_bytes && *left_bytes > 0 && d->nrows == 0 && !d->truncated) {
		row.cut = true;
		d->rows[d->nrows++] = row;
	}
	if (d->truncated || cost > *left_bytes) {
		d->truncated = true;
		return;
	}
	*left_bytes -= cost;
	d->rows[d->nrows++] = row;
}

static void count_rows(struct diff *out, const struct row_difference *d)
{
	for (size_t i = 0; i < d->missing.count; i++)
		out->changed += d->missing.row[i].partner != ROW_ALONE;
	out->missing = d->missing.count - out->changed;
	out->extra = d->extra.count - out->changed;
}

/* Changed rows first: they say most. */
static bool list_rows(struct diff *out, const struct row_difference *d, size_t limit_bytes)
{
	size_t most = limit_bytes / sizeof *out->rows,
	       all = out->changed + out->missing + out->extra;
	size_t left = limit_bytes;

	out->rows = reallocarray(NULL, (all < most ? all : most) + 1, sizeof *out->rows);
	if (!out->rows)
		return false;
	for (size_t i = 0; i < d->missing.count; i++) {
		const struct row *row = &d->missing.row[i];

		if (row->partner != ROW_ALONE)
			list_row(out, &left,
				(struct diff_row){.kind = DIFF_CHANGED,
					.primary = row->body,
					.candidate = d->extra.row[row->partner].body});
	}
	for (size_t i = 0; i < d->missing.count; i++)
		if (d->missing.row[i].partner == ROW_ALONE)
			list_row(out, &left,
				(struct diff_row){
					.kind = DIFF_MISSING, .primary = d->missing.row[i].body});
	for (size_t i = 0; i < d->extra.count; i++)
		if (d->extra.row[i].partner == ROW_ALONE)
			list_row(out, &left,
				(struct diff_row){
					.kind = DIFF_EXTRA, .candidate = d->extra.row[i].body});

	return true;
}

/* The same rows in another sequence: place by place, as compare_results goes through them. */
static bool list_moves(struct diff *out, const struct result *primary,
	const struct result *candidate, const struct compare_rules *rules, size_t limit_bytes)
{
	size_t p_at = 0, c_at = 0, left = limit_bytes;
	struct diff_row row = {.kind = DIFF_MOVED};

	free(out->rows);
	out->rows = calloc(DIFF_MOVES_LISTED, sizeof *out->rows);
	if (!out->rows)
		return false;
	while (result_kept_row(primary, &p_at, &row.primary) &&
		result_kept_row(candidate, &c_at, &row.candidate)) {
		row.position++;
		if (rows_alike(primary, candidate, rules, row.primary, row.candidate))
			continue;
		out->moved++;
		if (out->nrows < DIFF_MOVES_LISTED)
			list_row(out, &left, row);
	}
	out->truncated |= out->moved > out->nrows;

	return true;
}

bool diff_results(const struct result *primary, const struct result *candidate,
	const struct compare_rules *rules, size_t limit_bytes, struct diff *out)
{
	bool canonical = canonical_needed(primary) || canonical_needed(candidate), cut = false;
	struct row_set p = {0}, c = {0};
	struct row_difference d = {0};
	uint32_t widened;
	bool ok;

	*out = (struct diff){0};
	ok = row_set_load(primary, canonical ? &rules->primary_types : NULL, &p) &&
	     row_set_load(candidate, canonical ? &rules->candidate_types : NULL, &c) &&
	     row_difference_make(&p, &c, &d) &&
	     row_difference_widen(&d, primary, candidate, rules, &widened) &&
	     row_difference_align(&d, &p, &c, primary, &rules->order, &cut);
	if (ok) {
		out->truncated = cut || !primary->kept_all || !candidate->kept_all;
		count_rows(out, &d);
		cut = out->truncated;
		out->truncated = false;
		ok = list_rows(out, &d, limit_bytes);
		if (ok && rules->order.ordered && d.missing.count == 0 && d.extra.count == 0)
			ok = list_moves(out, primary, candidate, rules, limit_bytes);
		out->truncated |= cut;
	}
	if (!ok)
		diff_release(out);
	row_difference_release(&d);
	row_set_release(&p);
	row_set_release(&c);

	return ok;
}

void diff_release(struct diff *d)
{
	free(d->rows);
	*d = (struct diff){0};
}

/* The rows in which two answers differ, aligned by key where one is visible, bounded in bytes.
 * Where the rows are the same and stand in another order, the first places at which they differ.
 * Cells borrow from the two results: they must outlive the diff.
 */
#ifndef PGUMBRA_COMPARE_DIFF_H
#define PGUMBRA_COMPARE_DIFF_H

#include "compare/compare.h"

struct diff_cell {
	uint16_t column;
	struct span primary, candidate;
};
enum { DIFF_MOVES_LISTED = 20 }; /* the first ones say where the order departs */
struct diff_row {
	/* MOVED: both rows stand in both answers, here at one place of them. */
	enum { DIFF_MISSING, DIFF_EXTRA, DIFF_CHANGED, DIFF_MOVED } kind;
	struct span primary, candidate; /* DataRow bodies */
	bool cut; /* longer than the limit by itself: not to be shown whole. The only one then */
	uint64_t position; /* MOVED: the place, from 1 */
};
struct diff {
	uint64_t missing, extra, changed; /* rows, over the whole result */
	uint64_t moved; /* places with another row, where order counts and the rows are the same */
	struct diff_row *rows; /* owned array; the first ones, within the limit */
	size_t nrows;
	bool truncated;
};

/* limit_bytes bounds what the listed rows carry together, but for a single one that is `cut`.
 * False: out of memory (the diff is empty then). */
bool diff_results(const struct result *primary, const struct result *candidate,
	const struct compare_rules *rules, size_t limit_bytes, struct diff *out);
void diff_release(struct diff *d);
/* Do two values of a column count as the same by the rules, though their bytes may differ? */
bool diff_cells_alike(const struct result *primary, const struct result *candidate,
	const struct compare_rules *rules, uint16_t column, struct span a, struct span b);
/* The n-th value of a DataRow body; absent span for NULL or out of range. */
struct span diff_value(struct span data_row, uint16_t column);

#endif

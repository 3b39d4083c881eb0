/* The rows in which two answers differ, aligned by key where one is visible, bounded in bytes.
 * Cells borrow from the two results: they must outlive the diff.
 */
#ifndef PGUMBRA_COMPARE_DIFF_H
#define PGUMBRA_COMPARE_DIFF_H

#include "compare/compare.h"

struct diff_cell {
	uint16_t column;
	struct span primary, candidate;
};
struct diff_row {
	enum { DIFF_MISSING, DIFF_EXTRA, DIFF_CHANGED } kind;
	struct span primary, candidate; /* DataRow bodies */
	bool cut; /* longer than the limit by itself: not to be shown whole. The only one then */
};
struct diff {
	uint64_t missing, extra, changed; /* rows, over the whole result */
	struct diff_row *rows;		  /* owned array; the first ones, within the limit */
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

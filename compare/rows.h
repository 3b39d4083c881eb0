/* The kept rows of two results as arrays: their difference as multisets, and which missing row
 * belongs to which extra one. Used inside compare/ only. Bodies borrow from the results.
 *
 * R1: missing and extra have no row in common; R2: both stand in the order of their results;
 * R3: partners are mutual.
 */
#ifndef PGUMBRA_COMPARE_ROWS_H
#define PGUMBRA_COMPARE_ROWS_H

#include "compare/compare.h"

#define ROW_ALONE SIZE_MAX

struct row {
	struct span body;
	uint64_t hash[2];
	size_t position; /* in its result */
	size_t partner;	 /* index on the other side, or ROW_ALONE */
};
struct row_set {
	struct row *row; /* owned */
	size_t count;
};
struct row_difference {
	struct row_set missing; /* on the primary only */
	struct row_set extra;	/* on the candidate only */
};

/* Takes out what is the same on both sides by a widening (values.h); *widened gets what made it so.
 * False: out of memory, and d is of no use any more. */
bool row_difference_widen(struct row_difference *d, const struct result *primary,
	const struct result *candidate, const struct compare_rules *rules, uint32_t *widened);
/* Are two rows, one of each result, or two values of one column, the same, as strict or as wide as
 * the rules are? */
bool rows_alike(const struct result *primary, const struct result *candidate,
	const struct compare_rules *rules, struct span a, struct span b);
bool cells_alike(const struct result *primary, const struct result *candidate,
	const struct compare_rules *rules, uint16_t column, struct span a, struct span b);

/* False: out of memory, *out is empty then. names, when not NULL, stand for the server's own oids
 * inside binary values (canonical.h). */
bool row_set_load(const struct result *r, const struct type_names *names, struct row_set *out);
void row_set_release(struct row_set *s);
bool row_difference_make(
	const struct row_set *primary, const struct row_set *candidate, struct row_difference *out);
void row_difference_release(struct row_difference *d);

/* Finds partners: by the sort keys, else by a leading column whose values are unique on both sides
 * and mostly common to them, else by two of them together, else by position where the order counts,
 * else by the most equal cells (a bounded number of rows: true in *cut when some were left out).
 * False: out of memory. */
bool row_difference_align(struct row_difference *d, const struct row_set *primary,
	const struct row_set *candidate, const struct result *shape, const struct order_rule *order,
	bool *cut);

#endif

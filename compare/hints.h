/* Likely causes of a difference, from the data itself: the log's `hint`. Used inside compare/ only.
 *
 * A hint is given only where it fits everything that was looked at; "" where nothing does. It never
 * decides anything. The two sides swapped give the mirrored hint.
 */
#ifndef PGUMBRA_COMPARE_HINTS_H
#define PGUMBRA_COMPARE_HINTS_H

#include "compare/rows.h"

struct hint_sides {
	const struct result *primary, *candidate;
	const struct compare_rules *rules;
};

/* All that a difference may be hinted at with, one after the other; NULL at the end. */
const char *hint_name(size_t i);
/* Why two values of one column differ. */
const char *column_hint(
	const struct hint_sides *sides, uint16_t column, struct span a, struct span b);
/* The one cause that all cells have in common that differ in rows with a partner. */
const char *changed_rows_hint(const struct hint_sides *sides, const struct row_difference *d);
/* Why one side has more rows: the other has none (`empty`), or rows it has too stand there more
 * often (`duplicate`). Puts the sets into another order. */
const char *row_count_hint(
	const struct row_difference *d, struct row_set *primary, struct row_set *candidate);
/* Columns that differ in number or names: missing_column, extra_column, column_order, name, count.
 */
const char *column_names_hint(const struct result *primary, const struct result *candidate);

#endif

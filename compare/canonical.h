/* The form of a row or value in which equal ones have equal bytes, whatever the two servers make of
 * it. Binary arrays, records and ranges carry the oids of the types inside them, and user-defined
 * types have other oids on another server: the type's name stands in their place (array_send,
 * record_send, range_send). What a setting widens (values.h) is written in its normal form, or,
 * where a distance decides, left out and noted. Used inside compare/ only.
 *
 * F1 without widenings equal forms mean equal values; F2 the notes of two rows with equal forms
 * stand in the same order.
 */
#ifndef PGUMBRA_COMPARE_CANONICAL_H
#define PGUMBRA_COMPARE_CANONICAL_H

#include "compare/compare.h"

/* How one side's values are to be written; borrowed pointers. */
struct form_rules {
	const struct type_names *names;
	const struct value_rules *values; /* NULL: strict */
	uint64_t summed;		  /* compare_rules.summed */
};

struct form {
	struct buffer bytes;
	struct near_value *near; /* owned: left to their distance, in order */
	size_t nnear, near_cap;
	uint32_t widened; /* what has been written otherwise */
	bool failed;	  /* out of memory, or over a limit: see bytes.failed too */
};
void form_init(struct form *f);
void form_release(struct form *f);
void form_clear(struct form *f); /* keeps the memory */
bool form_failed(const struct form *f);

/* How values of a type are built, those of the system's own types too that hold others. */
enum type_build type_build_of(uint32_t type, const struct type_names *names, uint32_t *inner);
/* Some column is binary and may carry oids that belong to one server. */
bool canonical_needed(const struct result *r);
/* Some column holds values that a widening is for. */
bool widening_needed(const struct result *r, const struct form_rules *rules);
/* Appends the form of a row. A value whose inner type has no known name stays as it is. */
void canonical_row(struct form *f, const struct result *r, struct span data_row,
	const struct form_rules *rules);
/* Appends the form of one value of a column. */
void canonical_cell(struct form *f, const struct result *r, uint16_t column, struct span value,
	const struct form_rules *rules);

/* ---- for canonical.c: values of one built-in type (value_form.c) ---- */

/* A widening is for values of this type. */
bool value_widened(uint32_t type, const struct value_rules *values);
/* Appends the normal form of a value, or a note. False, with nothing appended: it has none. */
bool value_form(struct form *f, uint32_t type, uint16_t format, struct span v,
	const struct value_rules *values, bool summed);
void form_note(struct form *f, struct near_value near);

#endif

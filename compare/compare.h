/* Are two answers the same, and if not, how do they differ? Pure.
 *
 * C1 compare(a,a) is equal (of an answer that ended and is not malformed); C2 compare(a,b) and
 * compare(b,a) agree, with missing and extra swapped; C3 doubt is a difference, never equality.
 */
#ifndef PGUMBRA_COMPARE_COMPARE_H
#define PGUMBRA_COMPARE_COMPARE_H

#include "compare/outcome.h"
#include "compare/result.h"
#include "compare/values.h"

enum { COMPARE_MAX_KEYS = 16 };

/* What the statement says about order; from the parse tree. */
struct sort_key {
	int16_t column; /* 0-based output column, -1 when not in the output */
	bool descending;
};
struct order_rule {
	bool ordered; /* a top-level ORDER BY: order counts */
	uint8_t nkeys;
	struct sort_key keys[COMPARE_MAX_KEYS];
	bool limited; /* LIMIT, OFFSET, FETCH, or a row limit on Execute */
	bool offset;  /* rows are left out at the start: OFFSET, so that ties may fall there too */
	bool total;   /* no two rows share the keys, as unique keys prove: nothing is free */
	bool with_ties;	      /* FETCH ... WITH TIES: the choice of rows is not free */
	int64_t limit_rows;   /* a LIMIT that is written down; 0: none, or not known */
	uint16_t limit_param; /* LIMIT $n; 0: none */
	bool leaks; /* row order may leak into values (string_agg, row_number, LIMIT in a subquery,
		       ...) */
};

/* How values of a type are built from others. */
enum type_build {
	TYPE_SIMPLE,	 /* or not known */
	TYPE_ARRAY,	 /* inner: of its elements */
	TYPE_DOMAIN,	 /* inner: what it is over */
	TYPE_RANGE,	 /* inner: of its bounds */
	TYPE_MULTIRANGE, /* inner: the range */
	TYPE_COMPOSITE,	 /* its values name their fields' types themselves */
	TYPE_ENUM,
};

/* Types of the two servers: names of types beyond the built-in range (oid >= 16384), or NULL, and
 * how they are built (NULL: as the layout of their values suggests). */
struct type_names {
	const char *(*name)(void *self, uint32_t oid);
	void *self;
	enum type_build (*build)(void *self, uint32_t oid, uint32_t *inner);
	/* The type of the n-th field (from 0) of a composite; 0: there is none, or it is not known.
	 * Only text needs it: binary values name their fields' types. May be NULL. */
	uint32_t (*field)(void *self, uint32_t oid, unsigned n);
};

struct compare_rules {
	struct order_rule order;
	struct type_names primary_types, candidate_types;
	const struct value_rules *values; /* borrowed; NULL: strict */
	uint64_t summed; /* bit i: output column i may be computed from a float aggregate */
};

enum difference_class {
	CLASS_NONE,
	CLASS_MISSING_ROWS,
	CLASS_EXTRA_ROWS,
	CLASS_VALUES,
	CLASS_ORDER,
	CLASS_COLUMNS,
	CLASS_ERROR,
	CLASS_NO_ERROR,
	CLASS_ERROR_CODE,
};
const char *difference_class_name(enum difference_class c); /* the log's spelling */

/* What a candidate-only error means. */
enum error_group {
	ERROR_OTHER,
	ERROR_UNSUPPORTED,
	ERROR_PERMISSION,
	ERROR_MISSING_OBJECT,
	ERROR_READ_ONLY,
	ERROR_RETRYABLE,
	ERROR_TIMEOUT,
	ERROR_RESOURCE,
	ERROR_CONNECTION,
};
enum error_group error_group_of(const char *sqlstate);
const char *error_group_name(enum error_group g);
/* The candidate_failed reason for retryable, timeout, resource and connection; REASON_NONE for the
 * rest. */
enum reason error_group_reason(enum error_group g);

struct comparison {
	bool equal;
	bool order_explained; /* not equal as sequences, but the free order of the statement
				 explains it: equal is true */
	bool order_ambiguous; /* differs, and the statement leaves its order or choice of rows free:
				 not to be called a mismatch */
	bool undecidable;     /* what the decision needs is not there: rows that were not kept, an
				 answer     that is malformed or did not end, the name of a user-defined
				 type, memory */
	enum difference_class class;
	char hint[32];	  /* "" or a likely cause: numeric_scale, collation, ... */
	uint32_t widened; /* WIDENING_BITs without which it would not be equal; 0 if it is not */
};

/* Columns first, then rows; the rules stand at the top of compare.c. */
void compare_results(const struct result *primary, const struct result *candidate,
	const struct compare_rules *rules, struct comparison *out);

#endif

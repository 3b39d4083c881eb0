/* Binary values of arrays and records carry the oids of the types inside them, and user-defined
 * types have other oids on another server. The canonical form has the type's name in their place,
 * so that equal values give equal bytes (array_send, record_send). Used inside compare/ only.
 */
#ifndef PGUMBRA_COMPARE_CANONICAL_H
#define PGUMBRA_COMPARE_CANONICAL_H

#include "compare/compare.h"

/* Some column is binary and may carry oids that belong to one server. */
bool canonical_needed(const struct result *r);
/* Appends the canonical form of a row. A value whose inner type has no known name stays as it is.
 */
void canonical_row(struct buffer *b, const struct result *r, struct span data_row,
	const struct type_names *names);

#endif

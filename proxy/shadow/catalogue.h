/* What the candidate's catalogue says about names: volatility of functions, relations with row
 * security, and so on. Read by a blocking libpq connection (connector thread), then immutable;
 * handed to the worker whole.
 */
#ifndef PGUMBRA_SHADOW_CATALOGUE_H
#define PGUMBRA_SHADOW_CATALOGUE_H

#include "protocol/error.h"
#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct catalogue; /* opaque, immutable */

enum function_knowledge {
	FUNCTION_UNKNOWN /* the candidate has none of this name */,
	FUNCTION_VOLATILE /* any overload */,
	FUNCTION_STABLE,
	FUNCTION_IMMUTABLE
};
enum relation_knowledge {
	RELATION_UNKNOWN,
	RELATION_PLAIN,
	RELATION_ROW_SECURITY,
	RELATION_VOLATILE /* a view or policy that calls volatile functions */
};

/* Blocking. Schema-qualified queries with an empty search_path. NULL and *error on failure. */
struct catalogue *catalogue_load(PGconn *connection, struct error *error);
void catalogue_free(struct catalogue *c);
/* schema may be NULL: any schema counts. Names as in the tree (already folded). */
enum function_knowledge catalogue_function(
	const struct catalogue *c, const char *schema, const char *name);
enum relation_knowledge catalogue_relation(
	const struct catalogue *c, const char *schema, const char *name);
/* True if some operator of this name is implemented by a volatile function. */
bool catalogue_operator_volatile(const struct catalogue *c, const char *name);
/* Name of a type beyond the built-in range; NULL if unknown. */
const char *catalogue_type_name(const struct catalogue *c, uint32_t oid);
/* The candidate's oid for a type of this name, 0 if none. */
uint32_t catalogue_type_oid(const struct catalogue *c, const char *qualified_name);
size_t catalogue_functions(const struct catalogue *c);

#endif

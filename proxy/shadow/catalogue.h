/* What the candidate's catalogue says about names: volatility of functions, relations with row
 * security, and so on. Read by a blocking libpq connection (connector thread), then immutable;
 * handed to the worker whole.
 */
#ifndef PGUMBRA_SHADOW_CATALOGUE_H
#define PGUMBRA_SHADOW_CATALOGUE_H

#include "compare/compare.h"
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
	RELATION_VOLATILE,	  /* a view or policy that calls volatile functions */
	RELATION_SYSTEM,	  /* a view over system catalogues */
	RELATION_SERVER_SPECIFIC, /* a view that asks for the server, the connection, the session's
				     user */
	RELATION_USER,		  /* a view that asks for the current user */
	RELATION_ROW_SECURITY_SERVER /* row security that asks for more than the current user */
};

/* Blocking. Schema-qualified queries with an empty search_path. NULL and *error on failure. */
struct catalogue *catalogue_load(PGconn *connection, struct error *error);
void catalogue_free(struct catalogue *c);
/* schema may be NULL: any schema counts. Names as in the tree (already folded). */
enum function_knowledge catalogue_function(
	const struct catalogue *c, const char *schema, const char *name);
enum relation_knowledge catalogue_relation(
	const struct catalogue *c, const char *schema, const char *name);
/* True if functions of this name exist, all of them in `schema`: whatever search_path says, an
 * unqualified call means one of these. */
bool catalogue_function_only_in(const struct catalogue *c, const char *schema, const char *name);
/* True if a type of this name is converted, read or checked (domains) by a volatile function. */
bool catalogue_type_volatile(const struct catalogue *c, const char *name);
/* True if some operator of this name is implemented by a volatile function. */
bool catalogue_operator_volatile(const struct catalogue *c, const char *name);
/* True if some relation of this name has generated columns, or may have. schema may be NULL. */
bool catalogue_relation_generated(const struct catalogue *c, const char *schema, const char *name);
/* What code may do to the session that runs it, beside acting on data: these are calm if it changes
 * no setting, makes no temporary relation, ends no transaction. Of a routine its body tells
 * (routine.h) and those of what it may call, of all overloads the worst; what is not known is not
 * calm. */
bool catalogue_function_calm(const struct catalogue *c, const char *schema, const char *name);
bool catalogue_procedure_calm(const struct catalogue *c, const char *schema, const char *name);
bool catalogue_relation_calm(const struct catalogue *c, const char *schema, const char *name);
bool catalogue_operator_calm(const struct catalogue *c, const char *name);
bool catalogue_type_calm(const struct catalogue *c, const char *name);
/* A word of a body; `called`: before a parenthesis. */
bool catalogue_word_calm(const struct catalogue *c, const char *word, bool called);
/* Code that users' bodies kept as text are part of takes names by the search_path of whoever runs
 * it: a temporary relation may come before what it meant. */
bool catalogue_function_late(const struct catalogue *c, const char *schema, const char *name);
bool catalogue_relation_late(const struct catalogue *c, const char *schema, const char *name);
bool catalogue_operator_late(const struct catalogue *c, const char *name);
bool catalogue_type_late(const struct catalogue *c, const char *name);
/* Could such a body mean a relation of this name? Rarely true of a name that stands in none. */
bool catalogue_mentions(const struct catalogue *c, const char *name);
/* Name of a type beyond the built-in range; NULL if unknown. */
const char *catalogue_type_name(const struct catalogue *c, uint32_t oid);
/* The candidate's oid for a type of this name, 0 if none. */
uint32_t catalogue_type_oid(const struct catalogue *c, const char *qualified_name);
/* How values of a type beyond the built-in range are built from others. */
enum type_build catalogue_type_build(const struct catalogue *c, uint32_t oid, uint32_t *inner);
/* True if functions of this name return rows rather than one value, any overload. */
bool catalogue_function_set(const struct catalogue *c, const char *schema, const char *name);
/* True if, whatever table of this name is meant, the columns for which `has` is true hold all those
 * of one of its unique keys, none of them nullable: at most one row has their values. */
bool catalogue_unique(const struct catalogue *c, const char *schema, const char *relation,
	bool (*has)(const void *self, const char *column), const void *self);
/* The type of the n-th field (from 0) of a composite, or row of a table; 0: none, or not known. */
uint32_t catalogue_type_field(const struct catalogue *c, uint32_t oid, unsigned n);
size_t catalogue_functions(const struct catalogue *c);

/* Building one by hand; catalogue_load does no other. Names are copied. After catalogue_seal it is
 * immutable; before, nothing may be asked of it. False: out of memory, or over CATALOGUE_LIMIT
 * entries of a kind. An entry of the same name and schema counts with the others: the worst wins.
 */
enum { CATALOGUE_LIMIT = 1000000 };
struct catalogue *catalogue_new(void);
bool catalogue_add_function(struct catalogue *c, const char *schema, const char *name,
	enum function_knowledge knowledge);
bool catalogue_add_relation(struct catalogue *c, const char *schema, const char *name,
	enum relation_knowledge knowledge);
bool catalogue_add_set_function(struct catalogue *c, const char *schema, const char *name);
/* A unique key: the relation's name and those of the columns, with CATALOGUE_KEY_SEPARATOR between.
 */
#define CATALOGUE_KEY_SEPARATOR "\x01"
bool catalogue_add_unique(
	struct catalogue *c, const char *schema, const char *relation_and_columns);
bool catalogue_add_volatile_operator(struct catalogue *c, const char *name);
bool catalogue_add_volatile_type(struct catalogue *c, const char *name);
bool catalogue_add_generated(struct catalogue *c, const char *schema, const char *name);
bool catalogue_add_type(struct catalogue *c, uint32_t oid, const char *qualified_name);
bool catalogue_add_type_build(
	struct catalogue *c, uint32_t oid, enum type_build build, uint32_t inner);
/* A function or procedure that is not built in. body NULL: not known. */
bool catalogue_add_routine(struct catalogue *c, const char *schema, const char *name,
	const char *language, const char *body);
/* Relations, operators, types that lead to users' code: which may change its session, or takes
 * names late. */
enum code_kind {
	CODE_UNSURE_RELATION,
	CODE_UNSURE_OPERATOR,
	CODE_UNSURE_TYPE,
	CODE_LATE_RELATION,
	CODE_LATE_OPERATOR,
	CODE_LATE_TYPE,
	CODE_KINDS
};
bool catalogue_add_code(
	struct catalogue *c, enum code_kind kind, const char *schema, const char *name);
/* The server can't tell: all code counts as both. */
void catalogue_codes_unknown(struct catalogue *c);
bool catalogue_add_type_field(struct catalogue *c, uint32_t oid, unsigned n, uint32_t type);
void catalogue_seal(struct catalogue *c);

#endif

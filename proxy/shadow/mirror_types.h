/* Types of parameters that were made by users have other numbers on every server. This turns those
 * of the primary into the candidate's, by name: in the list of a Parse, and inside binary values,
 * where arrays and composites carry the numbers of their elements and fields, which the server
 * checks. Pure.
 *
 * T1 a value keeps its length; T2 built-in numbers (below TYPE_FIRST_USER) stay; T3 a value that is
 * not laid out as its type says is left as it is from there on: the server names the fault.
 */
#ifndef PGUMBRA_SHADOW_MIRROR_TYPES_H
#define PGUMBRA_SHADOW_MIRROR_TYPES_H

#include "protocol/span.h"
#include "proxy/shadow/dark_read.h"

enum { TYPE_FIRST_USER = 16384, TYPE_DEPTH_MAX = 32 };

/* What is known of types. `translate` NULL: numbers are the same on both, nothing is done. */
struct type_translation {
	void *self;
	/* The number there for the primary's; 0: there is none, or it is not known. */
	uint32_t (*translate)(void *self, const char *database, uint32_t oid);
	/* How the primary builds it. */
	enum type_build (*build)(void *self, const char *database, uint32_t oid, uint32_t *inner);
};

/* A read's parameters as the server must get them: those of the read where nothing is to be
 * translated, else copies. */
struct typed_parameters {
	const uint32_t *types;	   /* the read's, or own */
	const struct span *values; /* the read's, or own */
	uint32_t *own_types;	   /* owned */
	struct span *own_values;   /* owned */
	uint8_t *memory;	   /* owned: the bytes of own_values */
};
/* False: out of memory. */
bool typed_parameters_init(struct typed_parameters *p, const struct type_translation *t,
	const struct dark_read *read) __attribute__((warn_unused_result));
void typed_parameters_release(struct typed_parameters *p);

#endif

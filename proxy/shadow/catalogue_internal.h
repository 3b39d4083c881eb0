/* What the parts of the catalogue share; nobody else includes it.
 *
 * catalogue.c          building and looking up
 * catalogue_load.c     the questions to a server
 * catalogue_routines.c what users' code does to its session, and which names it takes late
 */
#ifndef PGUMBRA_SHADOW_CATALOGUE_INTERNAL_H
#define PGUMBRA_SHADOW_CATALOGUE_INTERNAL_H

#include "proxy/shadow/catalogue.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* A name, where it stands, and what is known of it: a kind of entry. */
struct named {
	char *name, *schema; /* owned; schema may be NULL */
	uint32_t value;
};

struct names {
	struct named *item; /* owned; sorted by name, then schema, once sealed */
	size_t count, cap;
};

/* A type built from others. */
struct built {
	uint32_t oid, inner;
	enum type_build build;
};

/* A field of a composite. */
struct field {
	uint32_t oid, n, type;
};

/* A function or procedure of users; its body only until the catalogue is sealed. */
struct routine {
	char *schema, *name, *language, *body; /* owned; body NULL: not known */
	bool calm;
	size_t *calls, ncalls; /* owned: the first routines of the names that it may call */
};

struct catalogue {
	bool sealed;
	struct routine *routines; /* owned; sorted by name, then schema, once sealed */
	size_t nroutines, routines_cap;
	struct names codes[CODE_KINDS];
	bool codes_unknown;
	uint64_t *words; /* owned; hashes, sorted once sealed */
	size_t nwords, words_cap;
	bool words_unknown;
	struct names functions, relations, operators, types_volatile, set_functions, generated;
	struct names uniques;	     /* by relation; its columns stand behind the name's end */
	struct names types;	     /* by qualified name; value: oid */
	struct named **types_by_oid; /* owned array, borrowed entries */
	struct built *built;	     /* owned; sorted by oid once sealed */
	size_t nbuilt, built_cap;
	struct field *field; /* owned array, sorted by type and number */
	size_t nfields, field_cap;
};

void names_release(struct names *n);
bool names_add(struct names *n, const char *schema, const char *name, uint32_t value);
void names_sort(struct names *n);
/* The entries of this name: a run of the sorted array, borrowed. */
struct names names_find(const struct names *n, const char *name);
bool named_in_schema(const struct named *e, const char *schema);
/* With all else sorted: what each routine does. */
void routines_settle(struct catalogue *c);
void routines_release(struct catalogue *c);

#endif

/* What execution.c and execution_copy.c share; nobody else includes it.
 *
 * execution.c       an execution from its first answer to its end
 * execution_copy.c  COPY ... TO STDOUT, read as its query
 */
#ifndef PGUMBRA_SHADOW_EXECUTION_PARTS_H
#define PGUMBRA_SHADOW_EXECUTION_PARTS_H

#include "proxy/shadow/observed.h"

/* Counted as begun; NULL: out of memory, and it has ended. */
struct execution *execution_new(struct observed *s, const struct statement *statement);
/* Starts the dark read. False: there will be none, and the execution says why. */
bool execution_read_begin(
	struct observed *s, struct execution *e, const char *sql, size_t sql_len, uint64_t time_us);
/* Gives up the dark read. */
void execution_forgo(struct execution *e, enum reason reason);

/* COPY (query) TO STDOUT, or of a table, is read as its query: what is known of that (a reference).
 * NULL: it is no such thing. */
const struct statement *execution_copied(struct observed *s, const struct statement *statement);
/* Takes over the reference to `inner`. */
struct execution *execution_begin_copied(struct observed *s, const struct statement *copy,
	const struct statement *inner, uint64_t time_us);
/* CommandComplete of a COPY: says the tag as its query would. */
struct span execution_copy_complete(struct execution *e, struct span tag, char *text, size_t size);
/* Is this error one that only the COPY can have met? */
bool execution_copy_refused(const struct execution *e, const char *sqlstate);

#endif

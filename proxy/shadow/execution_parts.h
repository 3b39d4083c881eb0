/* What execution.c and execution_copy.c share; nobody else includes it.
 *
 * execution.c       an execution from its first answer to its end
 * execution_copy.c  COPY ... TO STDOUT, read as its query
 * execution_cursor.c  DECLARE and FETCH, read as the cursor's query
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
void execution_free(struct observed *s, struct execution *e);
/* Of a Parse, a Bind, a Describe. False: malformed, or out of memory. */
bool execution_copy_types(struct dark_read *read, const struct prepared *p);
bool execution_copy_bind(struct dark_read *read, const struct portal *p);
void execution_describe(struct dark_read *read, const struct portal *p);
/* n format codes, owned; NULL: out of memory. */
uint16_t *execution_formats(struct span codes, uint16_t n);

/* A FETCH, or what ends cursors, begins. `by` is the portal that runs it, NULL in a simple Query; e
 * NULL: out of memory, it moves the cursor all the same. */
void execution_collect(struct observed *s, struct execution *e, const struct statement *st,
	const struct portal *by, uint64_t time_us);
/* The cursor's portal is executed, which goes on where FETCH stood: from here on it is like any
 * other. */
void execution_execute_cursor(
	struct observed *s, struct execution *e, struct portal *p, uint64_t time_us);
/* CommandComplete of a FETCH: at the cursor's end, the tag as its query would say it. */
struct span execution_fetch_complete(struct observed *s, struct execution *e, struct span tag,
	uint64_t time_us, char *text, size_t size);
/* What this execution ended was a cursor in mid-way: it has become that, fetched in part. */
bool execution_abandons(struct observed *s, struct execution *e);
void execution_fetch_failed(struct observed *s, struct execution *e);

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

/* What running the body of a function, a procedure or a DO can do to its session beside reading and
 * writing data: nothing, or what is not known. Decided on the tokens of PostgreSQL's own scanner,
 * for SQL and PL/pgSQL.
 *
 * R1 Fails closed: what begins a statement must be one of the words known to be harmless; words
 * that change settings, make or drop relations, run text, end transactions or move cursors must not
 *    stand anywhere.
 * R2 Every name of the body is reported, so that the caller can look for functions, operators,
 * types and views of that name; what these do is the caller's to find out.
 *
 * Pure but for memory; any thread.
 */
#ifndef PGUMBRA_SHADOW_ROUTINE_H
#define PGUMBRA_SHADOW_ROUTINE_H

#include <stdbool.h>

enum { ROUTINE_BODY_MAX = 256 * 1024 }; /* a longer body is not known (L4) */

struct routine_word {
	const char *text; /* folded as the server does; borrowed, for the call only */
	bool called;	  /* stands before a parenthesis: a function, for all that is known */
	bool is_operator;
};

/* False: it may change settings, make temporary relations or end its transaction, or out of memory.
 * Then not all of its words may have been reported. */
bool routine_scan(const char *body, const char *language,
	void (*on_word)(void *self, const struct routine_word *word), void *self);

#endif

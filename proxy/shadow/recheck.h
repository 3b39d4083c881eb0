/* Runs logged discrepancies again, on the control and on their candidate, by the way of every dark
 * read: the same classification (L3), pools, wrapper, fence and verifier. What the control answers
 * now takes the place of the primary's answer of then. Writes nothing to the log.
 *
 * Blocking, on a thread of its own (the parser needs a deep stack); everything is owned by the
 * caller.
 */
#ifndef PGUMBRA_SHADOW_RECHECK_H
#define PGUMBRA_SHADOW_RECHECK_H

#include "conf/settings.h"
#include "proxy/shadow/dark_read.h"
#include <jansson.h>

enum recheck_end {
	RECHECK_OPEN,
	RECHECK_CLOSED,	    /* both sides agree now */
	RECHECK_DIFFERS,    /* they still differ */
	RECHECK_WAIVED,	    /* they still differ, and a waiver accepts it: it stays open */
	RECHECK_UNDECIDED,  /* it could not be decided, this time */
	RECHECK_IMPOSSIBLE, /* the record does not say enough, or the read may not run */
};

struct recheck {
	char id[40];
	char candidate[64];
	struct dark_read *read; /* owned; NULL: the record does not say enough */
	enum recheck_end end;
	enum outcome outcome; /* where it came to one (not RECHECK_IMPOSSIBLE) */
	enum reason reason;
	char why[200]; /* for a person, "" if the outcome says it all */
};

/* Fills an item from a `discrepancy` record. Where values were not logged in full it is
 * RECHECK_IMPOSSIBLE, unless the statement has none. False: out of memory. */
__attribute__((warn_unused_result)) bool recheck_from_record(
	struct recheck *item, const json_t *record);
void recheck_release(struct recheck *item);
/* Runs those that are RECHECK_OPEN. False: nothing could be run, *error says why. */
__attribute__((warn_unused_result)) bool recheck_run(
	const struct config *config, struct recheck *items, size_t count, struct error *error);

#endif

/* Differences that somebody has accepted for a while: which statements, which columns, what kind.
 * Pure: the clock is the caller's.
 *
 * W1 a difference is waived whole or not at all, by one waiver: whatever of it the waiver does not
 * name keeps it a mismatch; W2 doubt waives nothing (rows that were not kept, a diff that was cut);
 * W3 an expired waiver waives nothing.
 */
#ifndef PGUMBRA_COMPARE_WAIVER_H
#define PGUMBRA_COMPARE_WAIVER_H

#include "compare/compare.h"

/* All texts are borrowed, never NULL. */
struct waiver {
	const char *name;
	const char *match;     /* normalised text, compared without regard to white space; "*" */
	const char *candidate; /* "": all */
	const char *columns;   /* comma-separated names of output columns; "": all */
	const char *accept;    /* comma-separated: classes, hints, SQLSTATEs */
	const char *reason, *owner;
	const char *expires; /* YYYY-MM-DD: the last day */
	int64_t ends_us;     /* us since 1970 (UTC): from here on it is expired */
};

/* The end of a day given as YYYY-MM-DD, in us since 1970; false: there is no such day. */
bool waiver_day_end(const char *date, int64_t *us);
/* The words that `accept` may list besides SQLSTATEs: classes, then hints; NULL at the end. */
const char *waiver_word(size_t i);
/* Is it one of them, or a SQLSTATE? */
bool waiver_word_known(const char *word);
/* Is it for this statement on this candidate? */
bool waiver_matches(const struct waiver *w, const char *candidate, const char *normalized);
/* Does it accept this difference? compare_results() said so of the two results by these rules. */
bool waiver_accepts(const struct waiver *w, const struct comparison *c,
	const struct result *primary, const struct result *candidate,
	const struct compare_rules *rules);

#endif

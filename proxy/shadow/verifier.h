/* From dark reads to verdicts: runs each read on every candidate, compares, and puts every
 * difference to the test before it is called a mismatch. A difference is a suspicion: lag, moving
 * data and free row order have to be ruled out first.
 *
 * With a control, one attempt is P1 on the control, C on the candidate, P2 on the control, each by
 * the same wrapper. C equal to the client's own answer settles the read as matched after lag, C
 * equal to P1 or P2 as matched after the data changed. P1 = P2 and C different counts towards a
 * mismatch, which needs `attempts` of them in a row with the same answers. C equal to neither of
 * two different ones means that the data moved. Without a control the candidate alone is asked
 * again, and the record says "verified": false. Between P1 and C stands the candidate's fence
 * (fence.h): C is asked as soon as the candidate has seen what the primary had then.
 *
 * Executions of one read (text, parameters, settings, role) that differ at the same time share
 * their attempts: one is asked again, and each is judged by its own first answer and by what was
 * asked after it came.
 *
 * A difference that a waiver accepts is waived at once: what may stay needs no test.
 *
 * V1 every read given to verifier_read ends in exactly one outcome per candidate (L5); V2 nothing
 * that was not compared is matched; V3 the control's load is bounded by rate and queue.
 */
#ifndef PGUMBRA_SHADOW_VERIFIER_H
#define PGUMBRA_SHADOW_VERIFIER_H

#include "compare/books.h"
#include "proxy/shadow/databases.h"
#include "proxy/shadow/fence.h"
#include "proxy/shadow/journal.h"
#include "proxy/shadow/mirror.h"
#include "proxy/shadow/shapes.h"

struct verifier_candidate {
	const char *name;
	struct mirror *mirror;
	struct fence *fence; /* NULL: none */
	bool impersonate;    /* its reads run as their role */
};

struct verifier_options {
	unsigned attempts;	/* equal sandwiches that make a mismatch */
	uint64_t backoff_us;	/* before the first; doubles up to 5 s */
	double max_rate;	/* verifications begun per second, 0: no limit */
	size_t queue_reads;	/* verifications at once */
	uint64_t quiet_wait_us; /* how long a read may wait until the data rests */
	size_t quiet_reads;	/* that wait so */
	double noise_sample;	/* share of matched reads that the control is asked too */
	size_t diff_limit_bytes;
	const struct waivers *waivers; /* borrowed; NULL: none */
	struct error_kinds *errors;    /* borrowed: what books->errors counts */
	struct value_rules values;     /* [compare] */
};

struct verifier; /* opaque */
/* All is borrowed; control may be NULL. */
struct verifier *verifier_new(const struct verifier_options *options,
	const struct verifier_candidate *candidates, size_t ncandidates, struct mirror *control,
	struct databases *databases, struct books *books, struct shapes *shapes,
	struct journal *journal);
/* From now on each read's end is told, before the read is released. */
void verifier_watch(struct verifier *v,
	void (*on_end)(void *self, unsigned candidate, const struct dark_read *read,
		enum outcome outcome, enum reason reason),
	void *self);
void verifier_free(struct verifier *v); /* the mirrors must be gone: nothing is open any more */
/* Takes over the reference. The execution has been booked as seen. */
void verifier_read(struct verifier *v, struct dark_read *read);
/* The same on one candidate alone. */
void verifier_read_on(struct verifier *v, unsigned candidate, struct dark_read *read);
size_t verifier_open(const struct verifier *v); /* reads times candidates without a verdict */
/* No new attempts: what is open ends with the answers under way, as dropped(shutdown) where that is
 * not enough. */
void verifier_stop(struct verifier *v);
/* A load of catalogues has come to an end. Reads that call a function which the candidate's
 * catalogue did not have wait for one that began after them: the function may be newer than the
 * catalogue, and volatile (L3). What is still unknown then is run: its absence is a finding. */
void verifier_catalogue_loaded(struct verifier *v);

#endif

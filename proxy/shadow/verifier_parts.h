/* What the parts of the verifier share; nobody else includes it.
 *
 * verifier.c        beginnings: which reads are tried, which wait for a catalogue
 * verifier_trial.c  one read on one candidate, from the first look to its end
 * verifier_end.c    what an end writes down: books, shapes, log; the results that a trial keeps
 * verifier_quiet.c  trials that wait until the data rests
 * verifier_order.c  what a free order explains: the read again in a form that none can change
 * verifier_twins.c  executions of one read that differ at the same time share their re-checks
 */
#ifndef PGUMBRA_SHADOW_VERIFIER_PARTS_H
#define PGUMBRA_SHADOW_VERIFIER_PARTS_H

#include "proxy/shadow/verifier.h"

#include <time.h>
#include <uthash.h>
#include <xxhash.h>

/* The trials of one shape on one candidate that wait for a quiet moment. */
struct quiet_key {
	struct shape *shape;
	uint64_t candidate;
};
struct quiet {
	struct quiet_key key;
	unsigned probers;	    /* those that try on; 0 for no longer than a call */
	struct trial *first, *last; /* the others, by when they came */
	UT_hash_handle hh;
};

/* A read, by all that its answer may depend on (XXH3, 128 bits), on a candidate. */
struct twins_key {
	uint64_t high, low, candidate;
};

struct verifier {
	struct verifier_options options;
	const struct verifier_candidate *candidates;
	struct databases *databases;
	size_t ncandidates;
	struct mirror *control;
	struct books *books;
	struct shapes *shapes;
	struct journal *journal;
	size_t open;	   /* trials */
	size_t kept_bytes; /* of rows in results of trials */
	size_t verifying;  /* of those: past the first look */
	uint64_t next_slot_us;
	uint64_t random;    /* of noise_sample */
	struct trial *held; /* list: wait for a catalogue */
	size_t nheld;
	struct quiet *quiet;   /* table */
	size_t waiting;	       /* trials in it, probers apart */
	struct trial *leaders; /* table */
	struct trial *heirs;   /* list: for a moment, while one ends */
	bool sending_on;
	bool stopping;
	void (*on_end)(void *self, unsigned candidate, const struct dark_read *read,
		enum outcome outcome, enum reason reason);
	void *watcher; /* of on_end */
};

/* One read on one candidate.
 *
 *   (held -->) FIRST --differs--> P1 --> CANDIDATE --> P2 --undecided--> P1 ...
 *                      --equal, in noise_sample--> NOISE (the control, whatever it says: matched)
 *                      (without a control: CANDIDATE --undecided--> CANDIDATE ...)
 *
 * When P1 and P2 differ, and before a mismatch is believed, the control is asked TWICE in one
 * snapshot: an answer that differs from itself there is nondeterministic.
 *
 * When the free order of the statement may be the cause, the steps from P1 on begin anew with its
 * inner rows.
 */
enum step { STEP_FIRST, STEP_P1, STEP_CANDIDATE, STEP_P2, STEP_TWICE, STEP_NOISE };

struct trial {
	struct verifier *verifier;
	unsigned candidate;
	struct dark_read *read;
	struct database *database;
	struct shape *shape;
	struct dark_read *inner; /* asked in the read's place once order may explain the
				    difference; NULL */
	bool inner_tried;
	struct order_rule
		order;	 /* of what is asked, with the catalogue of the control once it is asked */
	uint64_t summed; /* of what is asked: struct statement.summed */
	enum step step;
	bool verifying;
	uint32_t widened;   /* what the comparison took that ended it as equal */
	bool alone;	    /* without a control, or with one that must not be asked this */
	unsigned attempts;  /* finished ones */
	unsigned doublings; /* of the back-off: while the data moves; two attempts that agree begin
			       anew */
	unsigned stable;    /* equal differing sandwiches in a row */
	struct result before, answer, after; /* P1, C, P2 of this attempt */
	struct result last, last_answer;     /* P2 and C of the attempt before */
	bool have_last;
	uint64_t moving_since_us; /* when they first did */
	struct quiet *probing;	  /* it tries for the others of its shape */
	struct trial *next_waiting;
	bool moves;	  /* in this attempt P1 and P2 differ */
	unsigned moved;	  /* attempts in which they did */
	bool asked_twice; /* a difference that survived: the last look */
	bool concluding;  /* that look is under way */
	unsigned fence_timeouts;
	const char *fence; /* what the last attempt's fence was, for the record */
	const char *waiver;
	struct trial *next_held;
	uint32_t until_load; /* held: of the candidate's catalogue */

	struct twins_key twins_key;
	bool leads;	      /* is in the table of leaders */
	struct trial *leader; /* its twin that is asked in its place; NULL: it is asked itself */
	struct trial *followers, *last_follower; /* of a leader, by when they came */
	struct trial *next_follower, *next_heir;
	unsigned round; /* sandwiches begun; of a follower: by its leader when it came */
	UT_hash_handle hh;
};

uint64_t verifier_clock_us(clockid_t clock);
/* The next step: on_answer follows, or the trial has ended. */
void trial_ask(struct trial *t, enum step step, uint64_t not_before_us);
void trial_end(struct trial *t, enum outcome outcome, enum reason reason);
/* Whose answers count for it: its own, or those of the twin that is asked in its place. */
const struct trial *trial_asked(const struct trial *t);
/* How its answers are compared: by the two sides' names of types, or both by one side's. */
void trial_rules(const struct trial *of, struct compare_rules *rules);
void trial_compare_same_server(const struct trial *t, const struct result *a,
	const struct result *b, bool candidate, struct comparison *c);
bool trial_same_server(
	const struct trial *t, const struct result *a, const struct result *b, bool candidate);
/* Verdicts on errors are counted by SQLSTATE; without an error on either side this does nothing. */
void trial_count_error(const struct trial *t, enum outcome outcome, const struct result *primary,
	const struct result *answer);
void trial_log(struct trial *t, enum outcome outcome, enum reason reason,
	const struct comparison *c, const struct result *primary, const struct result *answer);
void trial_log_failure(struct trial *t, const struct mirror_answer *failure);
/* Ends the trial as waived when a waiver accepts the difference. */
bool trial_waived(struct trial *t, const struct comparison *c, const struct result *primary,
	const struct result *answer);
/* A mismatch: would a waiver that has expired have accepted it? */
void trial_note_expired(struct trial *t, const struct comparison *c, const struct result *primary);
/* The results that a trial keeps, with their rows; of the attempt before, the digests and few rows.
 */
void trial_keep_result(struct trial *t, struct result *to, struct result *from);
void trial_keep_digest(struct trial *t, struct result *to, struct result *from);
void trial_drop_result(struct trial *t, struct result *r);
void trial_drop_answers(struct trial *t);
/* The next attempt, after the back-off. */
void trial_attempt(struct trial *t);
/* The data moved once more. TRY: go on, others wait for this one; WAIT: it was put among those;
 * OVER: that took too long; FULL: too many wait. */
enum quiet_turn { QUIET_TRY, QUIET_WAIT, QUIET_OVER, QUIET_FULL };
enum quiet_turn trial_wait_for_quiet(struct trial *t);
/* Do enough others of its shape try on already? Then it need not try itself. */
bool trial_has_probers(const struct trial *t);
void trial_is_calm(struct trial *t);	      /* P1 and P2 were equal: the others may go on */
void trial_leaves_quiet(struct trial *t);     /* it ends: another one tries */
void verifier_quiet_stop(struct verifier *v); /* ends those that wait as dropped(shutdown) */
/* The leader of its twins, or NULL. False: out of memory. */
bool trial_find_twin(struct trial *t, struct trial **leader);
/* That one is asked in its place; NULL: it is asked itself, and leads those that come. */
void trial_follow(struct trial *t, struct trial *leader);
/* Gives `end` each follower that was there when the last so many sandwiches of its leader began; it
 * ends it, or returns false. */
void twins_end(struct trial *leader, unsigned rounds,
	bool (*end)(struct trial *follower, const struct comparison *c),
	const struct comparison *c);
/* The leader ends: a follower takes its place. */
void twins_pass_on(struct trial *t);
/* What the new leader does first. */
void trial_inherits(struct trial *t);
/* An end without a trial. */
void trial_book(struct verifier *v, unsigned candidate, const struct dark_read *read,
	struct shape *shape, enum outcome outcome, enum reason reason);

/* What the statement says about order, with the value of LIMIT $n. */
void trial_set_order(struct trial *t, const struct order_rule *order);
/* A difference that order may explain: from here on the trial asks for its inner rows, whose answer
 * no order can change. When that may begin; false: they can't be asked for, or not soon. */
bool trial_turn_inner(struct trial *t, uint64_t *not_before_us);

#endif

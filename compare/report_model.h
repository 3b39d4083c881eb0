/* What the records of a discrepancy log add up to. Used by the report's files only. */
#ifndef PGUMBRA_COMPARE_REPORT_MODEL_H
#define PGUMBRA_COMPARE_REPORT_MODEL_H

#include "compare/evidence.h"
#include "compare/outcome.h"
#include "compare/report.h"
#include "compare/values.h"
#include <jansson.h>

enum {
	REPORT_MAX_CANDIDATES = 64,
	REPORT_MAX_SHAPES = 20000,
	REPORT_MAX_RUNS = 10000,
	REPORT_MAX_DISCREPANCIES = 100000,
	REPORT_MAX_CRITERIA = 16,
	REPORT_MAX_WAIVERS = 10000,
	REPORT_MAX_ERRORS = 10000,
	REPORT_NAMED_LINES = 10, /* broken lines that are named */
};

/* Outcomes with their reasons: an object of counts for each outcome that has any. */
struct tally {
	uint64_t count[OUTCOME_COUNT];
	json_t *reasons[OUTCOME_COUNT]; /* owned, may be NULL */
};

struct report_candidate {
	char *name;
	uint64_t seen;
	struct tally tally;
	uint64_t closed; /* what later starts closed of this candidate's pending executions */
	uint64_t widened[WIDENING_COUNT]; /* equal only by this setting of [compare] */
	uint64_t mismatch_unlogged;	  /* mismatches that no record stands for, by the books */
	uint64_t mismatch_untold;	  /* of books that don't know which have a record */
	uint64_t dropped_undecided;	  /* differed, and came to no verdict before the end */
};

struct report_shape {
	char *shape, *normalized, *candidate;
	uint64_t executions;
	struct tally tally;
	struct hll params;
	/* owned, NULL until something is known */
	struct histogram *primary, *candidate_us, *warmup;
	uint64_t widened[WIDENING_COUNT];
	uint64_t noise_asked, noise_differed; /* matched reads that the control was asked too */
	char *first_seen, *last_seen;
	uint64_t mismatch_unlogged, mismatch_untold; /* as of the candidate */
	/* The latest books record that counts mismatches of it and doesn't know which have a
	 * record: how many, and what it tells of begins here (0: not known). */
	int64_t mismatches_from_us;
	uint64_t mismatches_latest;
};

struct report_run {
	char *id, *version;
	int64_t first_us, last_us; /* wall time of its first and last record; 0 if none */
	int64_t gauges_us;	   /* of the books that the gauges are of */
	uint64_t pending[REPORT_MAX_CANDIDATES]; /* last gauges, by index of candidate */
	uint64_t on_tape, frames_open;		 /* last gauges */
	/* By index of candidate: mismatches for which, by the books, a record stands in the log. */
	uint64_t logged[REPORT_MAX_CANDIDATES];
	bool closed; /* a later run follows in the same input: what is pending was lost */
	bool stopped;
};

struct criterion {
	char text[96];
	double value;
	bool passed;
};

struct report {
	const char *input;  /* borrowed */
	uint64_t line;	    /* of the input */
	size_t current_run; /* index + 1 of the input's latest run, 0: none */
	struct report_candidate candidate[REPORT_MAX_CANDIDATES];
	size_t ncandidates;
	struct report_shape *shape;
	size_t nshapes, shape_room;
	json_t *shape_index; /* key -> index */
	struct report_run *run;
	size_t nruns, run_room;
	json_t *run_index;
	uint64_t relayed, observed, frames_execution, frames_continuation, frames_discarded;
	struct histogram *copied_ns; /* owned; a measured turn of a relay thread; NULL: none */
	uint64_t sheds;
	uint64_t lost_records, over_limit; /* over_limit: shapes and discrepancies left out */
	json_t *unobserved;		   /* reason -> count */
	json_t *events;			   /* of sessions: name -> count */
	json_t *discrepancies, *ids;	   /* array of records; id -> true */
	json_t *resolved;		   /* id -> when (us) */
	json_t *stands_for; /* id -> further mismatches that it stands for: count, last (us), run,
			     candidate */
	json_t *books_seen; /* digest of books records, so that none counts twice */
	json_t *findings;   /* text -> true */
	json_t *errors;	    /* "candidate/outcome/primary/sqlstate" -> the record, counts added */
	json_t *waivers; /* name -> {match, ... as the latest start says it, hits, expired_hits} */
	uint64_t broken, repeated;
	json_t *broken_names; /* array of "input:line: what" */
	char gate_text[512];
	bool gated, gate_passed;
	struct criterion criterion[REPORT_MAX_CRITERIA];
	size_t ncriteria;
};

/* Figures of one candidate, drawn from the tallies and the runs' last gauges. */
struct candidate_figures {
	struct tally tally;	  /* borrows its reasons except dropped's, which is owned */
	uint64_t pending;	  /* of runs that nothing has closed */
	uint64_t reads, compared; /* as coverage defines them */
	double share, coverage;	  /* 0 to 1; 0 when there were no reads */
	bool balanced;
};

uint64_t add_counts(uint64_t a, uint64_t b); /* saturating */
uint64_t tally_sum(const struct tally *t);
uint64_t tally_reads(const struct tally *t);	/* all but what is known not to be a read */
uint64_t tally_compared(const struct tally *t); /* a verdict was reached on two answers */
uint64_t tally_reason(const struct tally *t, enum outcome outcome, enum reason reason);
/* "skipped(unparsed) 3, dropped(rate) 1": why reads were not compared, most first, at most n. */
void tally_why(const struct tally *t, unsigned n, char *out, size_t size);

void report_candidate_figures(
	const struct report *r, size_t candidate, struct candidate_figures *out);
void candidate_figures_release(struct candidate_figures *f);
uint64_t report_on_tape(const struct report *r);
uint64_t report_frames_open(const struct report *r);
uint64_t report_unobserved(const struct report *r);	  /* all reasons */
uint64_t report_unobserved_reads(const struct report *r); /* but for replication */
bool report_relay_balanced(const struct report *r);	  /* B1 and B3 */
int64_t report_last_us(const struct report *r);		  /* the latest record; 0: none */
bool report_waiver_expired(const struct report *r, const json_t *waiver); /* by then */
double report_days(const struct report *r); /* during which runs wrote; overlaps count once */
bool report_is_open(const struct report *r, const json_t *record);
bool report_is_mismatch(const json_t *record);
/* Mismatches that the books count and no record in the input stands for: nothing can close them. */
uint64_t report_unlogged_mismatches(const struct report *r);
/* Records that a re-check closed and whose reads differed again after that: they are open. */
uint64_t report_reopened(const struct report *r);
/* Mismatches of shapes of which every record has been closed, counted for certain since then, by
 * books that don't know which mismatches have a record. */
uint64_t report_recurred_mismatches(const struct report *r);
/* Differences that were seen and that nothing was decided about. */
uint64_t report_undecided(const struct report *r);
uint64_t report_pending(const struct report *r); /* executions, of runs that nothing has closed */
/* Without open mismatches, what was found all the same: "No difference found", "No mismatch, 2
 * differences undecided, 1 waived". */
void report_findings_line(const struct report *r, char *out, size_t size);
/* Indexes of shapes, most executed first. Caller frees; NULL: out of memory. */
size_t *report_shape_order(const struct report *r);
/* Is it slower on the candidate: so much that it matters, and so clearly that it is no accident
 * among all shapes? */
bool shape_regressed(const struct report *r, const struct report_shape *s);
/* The candidate's quantile over the primary's; 0: not known. */
double shape_ratio(const struct report_shape *s, double q);
bool shape_never_compared(const struct report_shape *s); /* though there were reads */
double shape_upper_bound(const struct report_shape *s, bool distinct);

/* Open discrepancies of one shape, candidate, class and hint. */
struct report_group {
	const json_t *example;	  /* the first with rows to show, else the first; borrowed */
	uint64_t logged, counted; /* records here; mismatches of the shape in the books */
};
/* Mismatches first come. Caller frees; *n groups. NULL with *n = 0 when there are none. */
struct report_group *report_groups(const struct report *r, size_t *n);

/* The kinds of errors, most frequent first; a new array of borrowed records' references. */
json_t *report_errors(const struct report *r);
/* "missing_object", ...: what the candidate's SQLSTATE means, else the primary's. */
const char *report_error_group(const json_t *error);

/* Executions that ended in the books of no shape: the shadow process died before it wrote them. */
uint64_t report_without_shape(const struct report *r);

/* Small helpers for reading records. */
const char *member_text(const json_t *object, const char *name); /* "" if none */
uint64_t member_count(const json_t *object, const char *name);
/* A logged value for people: NULL, 'text', \xhex, #hmac; control characters are made harmless. */
void view_value(struct buffer *b, const json_t *value);
/* Text on one line, control characters harmless, at most `width` characters. */
void view_line(struct buffer *b, const char *text, size_t width);
/* 1234567 -> 1,234,567 */
const char *view_count(uint64_t n, char out[32]);

#endif

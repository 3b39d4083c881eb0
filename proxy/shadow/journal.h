/* Writes the discrepancy log: JSON Lines, "v":1, mode 0600, by a writer thread of its own behind a
 * bounded queue. Knows the form of the records and the privacy rules (values = hashed, full, none);
 * decides nothing.
 *
 * Called from the worker thread only; never blocks it, but for journal_free. While the disk is
 * full, records wait in the queue. An overflowing queue loses discrepancies, counts them, says so
 * in the operator's log and in the next books record ("lost_records"). Books records that find no
 * room are refused, so that their deltas are said later.
 *
 * A file that is there, isn't empty and doesn't begin with a record is somebody else's: it is
 * refused before anything is written or its mode is changed.
 *
 * J1 the file consists of whole lines, whatever happens; J2 with VALUES_HASHED and VALUES_NONE no
 * byte of a value, literal, parameter, custom setting or error text is in it (L6).
 */
#ifndef PGUMBRA_SHADOW_JOURNAL_H
#define PGUMBRA_SHADOW_JOURNAL_H

#include "compare/books.h"
#include "compare/diff.h"
#include "compare/evidence.h"
#include "proxy/shadow/dark_read.h"
#include "proxy/tape.h"
#include "proxy/waivers.h"

enum values_form { VALUES_HASHED, VALUES_FULL, VALUES_NONE };

struct journal_options {
	const char *path;     /* NULL or "": no log. Options are borrowed for journal_new only */
	const char *key_file; /* HMAC key; made at first start (32 random bytes as hex, 0600). "" :
				 path with ".key" appended */
	enum values_form values;
	unsigned examples_per_shape; /* full discrepancy records per shape, candidate, outcome and
					class; further ones only count */
	uint64_t max_bytes; /* of the log file; past it discrepancies only count, books go on. 0: no
			       limit */
	size_t queue_bytes; /* 0: 8 MB. Discrepancies may fill three quarters of it */
};

struct journal; /* opaque */
struct journal *journal_new(
	const struct journal_options *options, const char *run, struct error *error);
void journal_free(struct journal *j); /* writes out the queue first */
/* SIGHUP: nothing more is written before the writer has opened the path again; it says so in the
 * operator's log then. journal_reopen_soon only says that it shall: from any thread, async-signal-
 * safe; the writer may sleep until journal_reopen, or a record, wakes it. */
void journal_reopen_soon(struct journal *j);
void journal_reopen(struct journal *j);
/* True when every record so far is in the file (or no log is kept): what books records have said
 * then survives the death of this process. */
bool journal_settled(struct journal *j);
/* The number of this run's last books record that was in the file when it was opened; 0: none. */
uint64_t journal_last_books(const struct journal *j);
/* Records lost so far: a full queue, or a disk that stayed full to the end. */
uint64_t journal_lost(struct journal *j);

struct journal_start {
	const char *version, *settings_digest, *primary, *const *candidates;
	size_t ncandidates;
	const char *const *findings;
	size_t nfindings;
	const struct waivers *waivers; /* may be NULL */
	bool restarted;		       /* the shadow process was restarted within the same run */
};
/* Also says, as "pending_closed", what an earlier run left pending in this file without a `stop`.
 * Each file that the log is reopened into begins with the same, "continued", and has examples of
 * its own. */
void journal_start(struct journal *j, const struct journal_start *start);

struct journal_discrepancy {
	const char *candidate;
	enum outcome outcome;
	enum reason reason;
	enum difference_class class;
	const char *hint; /* "" if none */
	const struct dark_read *read;
	const struct result *primary; /* the primary's answer to show (O, or the control's latest if
					 O is superseded) */
	const struct result *answer;  /* the candidate's */
	const struct diff *diff;      /* may be NULL */
	const struct compare_rules *rules; /* tell which cells differ; NULL: their bytes do */
	/* Of all that the read's answer may depend on: executions of one read have the same. 0, 0:
	 * not known. */
	uint64_t read_hash[2];
	unsigned attempts;
	const char *fence;  /* "none" */
	const char *waiver; /* its name, with outcome waived; else NULL */
	bool inner_rows;    /* the results are those of the statement's inner rows
			       (classify_inner_rows) */
	bool stable, verified;
};
/* What became of it. A mismatch of a read that has a record in the log already is REPEATED: the
 * record stands for it, and the next books say so ("mismatch_repeated"). How many reads are
 * remembered is bounded; one that isn't is UNLOGGED. */
enum journal_said { JOURNAL_UNLOGGED, JOURNAL_LOGGED, JOURNAL_REPEATED };
/* Writes the record unless examples_per_shape or max_bytes is used up. Its id (UUIDv7) goes to id.
 */
enum journal_said journal_discrepancy(
	struct journal *j, const struct journal_discrepancy *d, char id[37]);

/* Per shape since the last books record. */
struct shape_delta {
	const char *shape, *normalized, *candidate;
	const uint64_t (*count)[REASON_COUNT]; /* [OUTCOME_COUNT][REASON_COUNT] */
	const uint64_t *widened;	       /* [WIDENING_COUNT], or NULL */
	uint64_t noise_asked, noise_differed;  /* matched reads that the control was asked too */
	uint64_t mismatch_unlogged;	       /* mismatches that no record stands for */
	uint64_t executions;
	const struct hll *params; /* registers so far (mergeable) */
	/* deltas; warmup: the candidate's first reads on a new connection, which are not among its
	 * others */
	const struct histogram *primary_us, *candidate_us, *warmup_us;
	uint64_t first_seen_us, last_seen_us; /* wall */
};
struct journal_books {
	const char *const *candidates;
	size_t ncandidates;
	const struct books *delta;	       /* since the last record */
	const uint64_t *pending;	       /* gauge per candidate */
	uint64_t relayed;		       /* delta */
	uint64_t unobserved[UNOBSERVED_COUNT]; /* delta, relay's and shadow's together */
	uint64_t on_tape, frames_open;	       /* gauges */
	const struct waivers *waivers;	       /* whose counters stand in delta; may be NULL */
	const struct error_kinds *errors;      /* what delta->errors counts; may be NULL */
	const struct relay_cost *cost;	       /* delta; NULL: not measured */
	const struct shape_delta *shapes;
	size_t nshapes;
	uint64_t number; /* of the record within its run, from 1 */
	bool final;	 /* written as part of stop */
};
/* False when the queue has no room: nothing was said, give the same deltas again with the next one.
 */
bool journal_books(struct journal *j, const struct journal_books *b);
void journal_stop(struct journal *j, const char *why);

/* Before a run, and for `check`: can the log and its key be opened or made, and is the file that is
 * there a log? Leaves everything as it is. *error says which file and why not, *foreign that it is
 * a file of somebody else. */
__attribute__((warn_unused_result)) bool journal_usable(
	const struct journal_options *options, bool *foreign, struct error *error);
/* Before a run: is the log free? Waits for a run whose relay has gone to write its rest (on_wait is
 * told once), up to 30 s. False: another run writes it. */
__attribute__((warn_unused_result)) bool journal_wait_for_log(
	const char *path, void (*on_wait)(const char *path), struct error *error);
/* Would it be free at once? "": there is none. */
bool journal_log_is_free(const char *path);
/* The relay has gone: what is written from now on is the rest. */
void journal_ending(struct journal *j);

/* Appends a `resolved` record to a log, beside the run that may be writing it: both append whole
 * lines. `run` names the re-check. */
__attribute__((warn_unused_result)) bool journal_append_resolved(const char *path, const char *run,
	const char *id, const char *candidate, enum outcome outcome, struct error *error);

/* UUIDv7 (RFC 9562) text form. */
void uuid_v7(char out[37]);
/* RFC 3339 UTC with microseconds and NUL. */
void rfc3339(uint64_t wall_us, char out[32]);

#endif

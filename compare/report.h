/* Folds discrepancy logs (JSON Lines, "v":1; DESIGN of the log in README/ARCHITECTURE) of one or
 * many runs and proxies into one report. Pure: the caller reads files and writes output. Records
 * may come in any order of files; within a file in order. Unknown kinds and members are ignored; a
 * broken line is counted and named.
 *
 * A books record that comes twice (the same file given twice) counts once. What a run left pending
 * and a later start closed is dropped(shadow_restart); it comes off the earlier run's last gauge.
 *
 * The JSON form is contract: one object with books, shapes, discrepancies (open mismatches, as
 * logged), coverage, gate. Besides: errors (by SQLSTATE of both sides, with counts), undecided
 * (records of other outcomes, as logged), runs, days, open_mismatches, unlogged_mismatches (those
 * of the open ones that no record stands for; each shape has mismatch_unlogged),
 * undecided_differences (unverifiable, or dropped before a verdict), findings, waivers (each with
 * hits, and expired_hits: mismatches that it would have accepted before its end), input (broken and
 * repeated lines, lost records), observer (what happened to sessions: OBSERVER_EVENTS).
 */
#ifndef PGUMBRA_COMPARE_REPORT_H
#define PGUMBRA_COMPARE_REPORT_H

#include "protocol/buffer.h"
#include "protocol/error.h"

struct report; /* opaque */

struct report *report_new(void);
void report_free(struct report *r);
/* A new input begins (name for messages, borrowed until the next call). A `start` record closes
 * what an earlier run of the same input left pending as dropped(shadow_restart). */
void report_begin_input(struct report *r, const char *name);
/* One line without its newline. False: not a record; *error says what and where. Folding may go on.
 */
bool report_add_line(struct report *r, struct span line, struct error *error);
/* Criteria such as "open_mismatches=0 and min_compared=1000 and coverage>=0.99": a name, one of
 * = != < <= > >=, a number; joined by `and`. False with a message that names the word that is wrong
 * and what is allowed. *passed is valid when true; the criteria then stand in the report. Names:
 *
 *   open_mismatches        mismatches with a record that no `resolved` record closed, or whose read
 *                          differed again after that; and those that the books count and no record
 *                          in the input stands for. Of books without `mismatch_unlogged`, which
 * don't say that: those of shapes without any record, or counted after all records of a shape were
 * closed min_compared           compared executions, of the candidate with the fewest; = means at
 * least coverage               0 to 1, of the candidate that has the least; see below days time
 * during which runs wrote books; parallel runs count once unverifiable           executions with
 * that outcome, all candidates candidate_failed       the same waived                 the same
 *   shapes_never_compared  shapes that had reads, of which none was compared
 *   max_mismatch_rate      95% upper bound of mismatch / compared, of the worst candidate
 *   regressions            shapes that are significantly slower on their candidate
 *   expired_waivers        waivers whose last day had passed when the latest record was written
 *
 * Compared is an execution on which there is a verdict: matched, matched_after_lag, waived or
 * mismatch. Reads are all executions but skipped(not_a_read) and skipped(writes): whatever else was
 * not compared, pending or sampled out counts against. Coverage is compared / (reads + unobserved),
 * without unobserved(replication); reads_compared_share is compared / reads. */
bool report_gate(struct report *r, const char *expression, bool *passed, struct error *error);
bool report_text(struct report *r, struct buffer *out);
bool report_json(struct report *r, struct buffer *out);
bool report_html(struct report *r, struct buffer *out);
/* As the criterion open_mismatches counts them, so far. */
uint64_t report_open_mismatches(const struct report *r);

#endif

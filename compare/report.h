/* Folds discrepancy logs (JSON Lines, "v":1; DESIGN of the log in README/ARCHITECTURE) of one or
 * many runs and proxies into one report. Pure: the caller reads files and writes output. Records
 * may come in any order of files; within a file in order. Unknown kinds and members are ignored; a
 * broken line is counted and named.
 *
 * The JSON form is contract: one object with books, shapes, discrepancies, coverage, gate.
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
/* Criteria such as "open_mismatches=0 and min_compared=1000 and coverage>=0.99". False with a
 * message that names the word that is wrong and what is allowed. *passed is valid when true. */
bool report_gate(struct report *r, const char *expression, bool *passed, struct error *error);
bool report_text(struct report *r, struct buffer *out);
bool report_json(struct report *r, struct buffer *out);
bool report_html(struct report *r, struct buffer *out);
/* Open discrepancies (mismatches not closed by a `resolved` record) so far. */
uint64_t report_open_mismatches(const struct report *r);

#endif

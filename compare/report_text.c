#include "compare/report_model.h"
#include "compare/type_form.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	WIDTH = 100,
	SHAPES_LISTED = 20,
	ROWS_LISTED = 4,
	GROUPS_LISTED = 50,
	CELLS_LISTED = 8,
	FINDINGS_SHOWN = 5
};

static const char *const outcome_helps[] = {
#define X(NAME, name, help) help,
	OUTCOMES(X)
#undef X
};

static void heading(struct buffer *b, const char *text)
{
	buffer_printf(b, "\n%s\n", text);
	for (size_t i = 0; i < strlen(text); i++)
		buffer_add_u8(b, '-');
	buffer_printf(b, "\n");
}

static const char *plural(uint64_t n)
{
	return n == 1 ? "" : "s";
}

/* ---- verdict ---- */

static uint64_t compared_everywhere(const struct report *r, double *coverage)
{
	uint64_t sum = 0;

	*coverage = r->ncandidates ? 1 : 0;
	for (size_t i = 0; i < r->ncandidates; i++) {
		struct candidate_figures f;

		report_candidate_figures(r, i, &f);
		sum = add_counts(sum, f.compared);
		*coverage = f.coverage < *coverage ? f.coverage : *coverage;
		candidate_figures_release(&f);
	}

	return sum;
}

static void no_mismatch_text(
	struct buffer *b, const struct report *r, const char *compared, double coverage)
{
	char line[200];

	report_findings_line(r, line, sizeof line);
	for (char *c = line; *c; c++)
		*c = (char)toupper((unsigned char)*c);
	buffer_printf(
		b, "%s: %s executions compared, coverage %.1f%%\n", line, compared, coverage * 100);
}

static void verdict_text(struct buffer *b, const struct report *r)
{
	uint64_t open = report_open_mismatches(r), compared;
	char n[32], m[32];
	double coverage;

	compared = compared_everywhere(r, &coverage);
	view_count(compared, m);
	if (open > 0)
		buffer_printf(b,
			"DIFFERENT: %s open mismatch%s; %s executions compared, coverage %.1f%%\n",
			view_count(open, n), open == 1 ? "" : "es", m, coverage * 100);
	else if (compared == 0)
		buffer_printf(b, "NO EVIDENCE: nothing was compared\n");
	else
		no_mismatch_text(b, r, m, coverage);
}

static void gate_text(struct buffer *b, const struct report *r)
{
	uint64_t pending = report_pending(r);
	char n[32];

	if (!r->gated)
		return;
	buffer_printf(b, "gate: %s\n", r->gate_passed ? "passed" : "FAILED");
	for (size_t i = 0; i < r->ncriteria; i++)
		buffer_printf(b, "  %-6s  %-40s is %.6g\n",
			r->criterion[i].passed ? "passed" : "FAILED", r->criterion[i].text,
			r->criterion[i].value);
	if (pending > 0)
		buffer_printf(b, "  %s read%s pending: not decided yet, or never will be\n",
			view_count(pending, n), pending == 1 ? " is" : "s are");
}

static void notes_text(struct buffer *b, const struct report *r)
{
	uint64_t unlogged = report_unlogged_mismatches(r);
	uint64_t recurred = report_recurred_mismatches(r), reopened = report_reopened(r);
	uint64_t shapeless = report_without_shape(r);
	const char *text;
	json_t *value;
	char n[32];
	size_t i;

	if (unlogged > 0)
		buffer_printf(b,
			"note: %s open mismatch%s without a record in the log: no re-check can "
			"close %s. After mending begin a new log, with more "
			"discrepancies.examples_per_shape\n",
			view_count(unlogged, n), unlogged == 1 ? " is" : "es are",
			unlogged == 1 ? "it" : "them");
	if (recurred > 0)
		buffer_printf(b,
			"note: %s mismatch%s of shapes whose records are all closed: they differ "
			"again\n",
			view_count(recurred, n), recurred == 1 ? "" : "es");
	if (reopened > 0)
		buffer_printf(b,
			"note: %s mismatch%s closed by a re-check, differed again and %s open\n",
			view_count(reopened, n), reopened == 1 ? " was" : "es were",
			reopened == 1 ? "is" : "are");
	if (json_object_size(r->resolved) > 0)
		buffer_printf(b, "note: %s discrepanc%s closed by a re-check\n",
			view_count(json_object_size(r->resolved), n),
			json_object_size(r->resolved) == 1 ? "y was" : "ies were");
	if (shapeless > 0)
		buffer_printf(b,
			"note: %s execution%s counted without the shape: the shadow process died "
			"before it was written\n",
			view_count(shapeless, n), shapeless == 1 ? " is" : "s are");
	if (r->lost_records > 0)
		buffer_printf(b, "note: %s records were lost: the disk was full or too slow\n",
			view_count(r->lost_records, n));
	if (r->over_limit > 0)
		buffer_printf(b,
			"note: %s shapes or records are left out: more than the report keeps\n",
			view_count(r->over_limit, n));
	if (r->repeated > 0)
		buffer_printf(b, "note: %s records came twice and count once\n",
			view_count(r->repeated, n));
	if (r->broken > 0)
		buffer_printf(b, "note: %s line%s could not be read\n", view_count(r->broken, n),
			plural(r->broken));
	json_array_foreach (r->broken_names, i, value) {
		buffer_printf(b, "  ");
		view_line(b, json_string_value(value), WIDTH - 2);
		buffer_printf(b, "\n");
	}
	i = 0;
	json_object_foreach (r->findings, text, value) {
		if (i++ == FINDINGS_SHOWN)
			break;
		buffer_printf(b, "finding: ");
		view_line(b, text, 2 * WIDTH);
		buffer_printf(b, "\n");
	}
	if (json_object_size(r->findings) > FINDINGS_SHOWN)
		buffer_printf(b,
			"findings: %s more; `pgumbra check` and the JSON form list them all\n",
			view_count(json_object_size(r->findings) - FINDINGS_SHOWN, n));
}

/* ---- books ---- */

/* What the account is worth: nothing is said where nothing happened. */
static void events_text(struct buffer *b, const struct report *r)
{
	const char *name, *before = "sessions: ";
	json_t *value;
	char n[32];

	json_object_foreach (r->events, name, value) {
		buffer_printf(b, "%s", before);
		view_line(b, name, 40);
		buffer_printf(b, " %s", view_count((uint64_t)json_integer_value(value), n));
		before = ", ";
	}
	if (json_object_size(r->events) > 0)
		buffer_printf(b, "\n");
}

/* What the relay measured of itself. */
static void cost_text(struct buffer *b, const struct report *r)
{
	const struct histogram *h = r->copied_ns;
	char n[32];

	if (h)
		buffer_printf(b,
			"copying for the shadow took %.1f us of a relay thread's turn in the "
			"median, %.1f us at 99%% (%s turns measured)\n",
			(double)histogram_quantile(h, 0.5) / 1000,
			(double)histogram_quantile(h, 0.99) / 1000, view_count(h->total, n));
	if (r->sheds > 0)
		buffer_printf(b, "shadowing was shed %s time%s to keep to shadow.latency_budget\n",
			view_count(r->sheds, n), plural(r->sheds));
}

static void relay_text(struct buffer *b, const struct report *r)
{
	char relayed[32], observed[32], unobserved[32], tape[32];
	const char *reason;
	json_t *value;

	buffer_printf(b, "relayed %s = observed %s + unobserved %s + on tape %s: %s\n",
		view_count(r->relayed, relayed), view_count(r->observed, observed),
		view_count(report_unobserved(r), unobserved), view_count(report_on_tape(r), tape),
		report_relay_balanced(r) ? "balanced" : "NOT BALANCED");
	json_object_foreach (r->unobserved, reason, value) {
		buffer_printf(b, "  unobserved(");
		view_line(b, reason, 40);
		buffer_printf(
			b, ") %s\n", view_count((uint64_t)json_integer_value(value), relayed));
	}
	events_text(b, r);
}

static void outcome_text(
	struct buffer *b, const struct tally *t, enum outcome outcome, uint64_t seen)
{
	const char *reason;
	json_t *value;
	char n[32];

	buffer_printf(b, "  %-21s %12s  %5.1f%%  %s\n", outcome_name(outcome),
		view_count(t->count[outcome], n),
		seen ? 100 * (double)t->count[outcome] / (double)seen : 0, outcome_helps[outcome]);
	json_object_foreach (t->reasons[outcome], reason, value) {
		buffer_printf(b, "    %12s  ", view_count((uint64_t)json_integer_value(value), n));
		view_line(b, *reason ? reason : "no reason given", 40);
		buffer_printf(b, "\n");
	}
}

/* What a setting of [compare] made equal: not hidden among the matches. */
static void widened_text(struct buffer *b, const struct report *r, const struct report_candidate *c)
{
	char n[32];

	for (unsigned w = 0; w < WIDENING_COUNT; w++) {
		size_t shapes = 0;

		if (c->widened[w] == 0)
			continue;
		for (size_t i = 0; i < r->nshapes; i++)
			shapes += r->shape[i].widened[w] > 0 &&
				  strcmp(r->shape[i].candidate, c->name) == 0;
		buffer_printf(b, "%12s  equal only by compare.%s, of %zu shape%s: %s\n",
			view_count(c->widened[w], n), widening_name((enum widening)w), shapes,
			shapes == 1 ? "" : "s", widening_help((enum widening)w));
	}
}

/* How often the primary itself answers otherwise soon after. */
static void noise_text(struct buffer *b, const struct report *r, const struct report_candidate *c)
{
	uint64_t asked = 0, differed = 0;
	char n[32], m[32];

	for (size_t i = 0; i < r->nshapes; i++) {
		if (strcmp(r->shape[i].candidate, c->name) != 0)
			continue;
		asked += r->shape[i].noise_asked;
		differed += r->shape[i].noise_differed;
	}
	if (asked > 0)
		buffer_printf(b,
			"%12s  of %s matched reads had another answer when the control was asked "
			"too (noise)\n",
			view_count(differed, n), view_count(asked, m));
}

static void books_text(struct buffer *b, const struct report *r)
{
	heading(b, "Books");
	relay_text(b, r);
	cost_text(b, r);
	for (size_t i = 0; i < r->ncandidates; i++) {
		const struct report_candidate *c = &r->candidate[i];
		struct candidate_figures f;
		char n[32], m[32];

		report_candidate_figures(r, i, &f);
		buffer_printf(b, "\ncandidate ");
		view_line(b, c->name, 60);
		buffer_printf(b, ": %s executions, %s pending: %s\n", view_count(c->seen, n),
			view_count(f.pending, m), f.balanced ? "balanced" : "NOT BALANCED");
		for (unsigned o = 0; o < OUTCOME_COUNT; o++)
			if (f.tally.count[o] > 0)
				outcome_text(b, &f.tally, (enum outcome)o, c->seen);
		widened_text(b, r, c);
		noise_text(b, r, c);
		candidate_figures_release(&f);
	}
}

/* ---- discrepancies ---- */

static bool is_changed(const json_t *row, size_t column)
{
	const json_t *columns = json_object_get(row, "columns");
	json_t *value;
	size_t i;

	json_array_foreach (columns, i, value)
		if ((size_t)json_integer_value(value) == column)
			return true;

	return false;
}

static void cell_name(struct buffer *b, const json_t *names, size_t column)
{
	const char *name = json_string_value(json_array_get(names, column));

	if (name)
		view_line(b, name, 30);
	else
		buffer_printf(b, "column %zu", column + 1);
}

/* What did not change tells which row it is: the first such cell. */
static void changed_row_text(struct buffer *b, const json_t *row, const json_t *names)
{
	const json_t *primary = json_object_get(row, "primary");
	const json_t *candidate = json_object_get(row, "candidate");
	size_t n = json_array_size(primary), shown = 0;

	buffer_printf(b, "       changed  ");
	for (size_t i = 0; i < n; i++) {
		if (is_changed(row, i))
			continue;
		cell_name(b, names, i);
		buffer_printf(b, " ");
		view_value(b, json_array_get(primary, i));
		buffer_printf(b, ":  ");
		break;
	}
	for (size_t i = 0; i < n && shown < CELLS_LISTED; i++) {
		if (!is_changed(row, i))
			continue;
		buffer_printf(b, shown++ ? ", " : "");
		cell_name(b, names, i);
		buffer_printf(b, " ");
		view_value(b, json_array_get(primary, i));
		buffer_printf(b, " -> ");
		view_value(b, json_array_get(candidate, i));
	}
	buffer_printf(b, "\n");
}

static void whole_row_text(
	struct buffer *b, const char *kind, const json_t *cells, const json_t *names)
{
	json_t *value;
	size_t i;

	buffer_printf(b, "       %-7s  ", kind);
	json_array_foreach (cells, i, value) {
		if (i == CELLS_LISTED) {
			buffer_printf(b, ", ...");
			break;
		}
		buffer_printf(b, i ? ", " : "");
		cell_name(b, names, i);
		buffer_printf(b, " ");
		view_value(b, value);
	}
	buffer_printf(b, "\n");
}

static void rows_text(struct buffer *b, const json_t *diff)
{
	const json_t *rows = json_object_get(diff, "rows"),
		     *names = json_object_get(diff, "columns");
	json_t *row;
	size_t i;

	json_array_foreach (rows, i, row) {
		const char *kind = member_text(row, "kind");

		if (i == ROWS_LISTED) {
			buffer_printf(b, "       ...\n");
			break;
		}
		if (strcmp(kind, "changed") == 0)
			changed_row_text(b, row, names);
		else if (strcmp(kind, "missing") == 0)
			whole_row_text(b, kind, json_object_get(row, "primary"), names);
		else
			whole_row_text(b, "extra", json_object_get(row, "candidate"), names);
	}
}

static void columns_side_text(struct buffer *b, const char *side, const json_t *columns)
{
	json_t *column;
	char type[60];
	size_t i;

	if (!json_is_array(columns))
		return;
	buffer_printf(b, "       %-9s  ", side);
	json_array_foreach (columns, i, column) {
		if (i == CELLS_LISTED) {
			buffer_printf(b, ", ...");
			break;
		}
		buffer_printf(b, i ? ", " : "");
		view_line(b, member_text(column, "name"), 30);
		buffer_printf(b, " ");
		type_form(member_text(column, "type"),
			(int32_t)json_integer_value(json_object_get(column, "typmod")), type,
			sizeof type);
		view_line(b, type, sizeof type);
	}
	buffer_printf(b, "\n");
}

static void side_text(struct buffer *b, const char *side, const json_t *result)
{
	const json_t *message = json_object_get(result, "message");

	buffer_printf(b, "%s: ", side);
	if (*member_text(result, "sqlstate") || message) {
		buffer_printf(b, "error ");
		view_line(b, member_text(result, "sqlstate"), 5);
		if (message) {
			buffer_printf(b, " ");
			view_value(b, message);
		}
		return;
	}
	buffer_printf(b, "%llu row%s", (unsigned long long)member_count(result, "rows"),
		plural(member_count(result, "rows")));
}

static void example_text(struct buffer *b, const json_t *record)
{
	const json_t *diff = json_object_get(record, "diff");
	const json_t *verify = json_object_get(record, "verify");

	buffer_printf(b, "     ");
	side_text(b, "primary", json_object_get(record, "primary_result"));
	buffer_printf(b, ", ");
	side_text(b, "candidate", json_object_get(record, "candidate_result"));
	if (diff)
		buffer_printf(b, "; %llu missing, %llu extra, %llu changed%s",
			(unsigned long long)member_count(diff, "missing"),
			(unsigned long long)member_count(diff, "extra"),
			(unsigned long long)member_count(diff, "changed"),
			json_is_true(json_object_get(diff, "truncated")) ? " (cut)" : "");
	if (json_is_false(json_object_get(verify, "verified")))
		buffer_printf(b, "; not verified: no control");
	buffer_printf(b, "\n");
	columns_side_text(b, "primary", json_object_get(diff, "primary_columns"));
	columns_side_text(b, "candidate", json_object_get(diff, "candidate_columns"));
	rows_text(b, diff);
	buffer_printf(b, "     look: pgumbra show LOG ");
	view_line(b, member_text(record, "id"), 40);
	buffer_printf(b, "\n");
}

static void group_text(struct buffer *b, size_t number, const struct report_group *g)
{
	const char *hint = member_text(g->example, "hint");
	char n[32];

	buffer_printf(b, "\n%3zu. ", number);
	view_line(b, member_text(g->example, "class"), 20);
	if (*hint) {
		buffer_printf(b, ", likely ");
		view_line(b, hint, 30);
	}
	buffer_printf(b, "; candidate ");
	view_line(b, member_text(g->example, "candidate"), 30);
	if (g->counted > g->logged)
		buffer_printf(b, "; %s mismatches of this shape", view_count(g->counted, n));
	buffer_printf(b, "; %s logged\n     ", view_count(g->logged, n));
	view_line(b, member_text(g->example, "normalized"), SIZE_MAX); /* whole: for a waiver */
	buffer_printf(b, "\n");
	example_text(b, g->example);
}

/* What the list of records can't show: where the mismatches are that have none. */
static void unlogged_text(struct buffer *b, const struct report *r)
{
	size_t listed = 0, all = 0;

	for (size_t i = 0; i < r->nshapes; i++) {
		const struct report_shape *s = &r->shape[i];
		char n[32];

		if (s->mismatch_unlogged == 0 || all++ >= GROUPS_LISTED)
			continue;
		if (listed++ == 0)
			heading(b, "Open mismatches without a record, by shape");
		buffer_printf(b, "%10s  candidate ", view_count(s->mismatch_unlogged, n));
		view_line(b, s->candidate, 30);
		buffer_printf(b, "\n%10s  ", "");
		view_line(b, *s->normalized ? s->normalized : "(not parsed)", SIZE_MAX);
		buffer_printf(b, "\n");
	}
	if (all > listed)
		buffer_printf(b, "%zu more; the json form has all of them\n", all - listed);
}

static bool discrepancies_text(struct buffer *b, const struct report *r)
{
	size_t n;
	struct report_group *groups = report_groups(r, &n);

	if (!groups)
		return false;
	if (n > 0)
		heading(b, "Open mismatches");
	for (size_t i = 0; i < n && i < GROUPS_LISTED; i++)
		group_text(b, i + 1, &groups[i]);
	if (n > GROUPS_LISTED)
		buffer_printf(b, "\n%zu more; the json form has all of them\n", n - GROUPS_LISTED);
	free(groups);
	unlogged_text(b, r);

	return true;
}

/* ---- waivers ---- */

static void waiver_text(
	struct buffer *b, const struct report *r, const char *name, const json_t *waiver)
{
	char n[32];

	buffer_printf(b, "%10s  ", view_count(member_count(waiver, "hits"), n));
	view_line(b, name, 40);
	buffer_printf(b, ": accepts ");
	view_line(b, member_text(waiver, "accept"), 60);
	if (*member_text(waiver, "columns")) {
		buffer_printf(b, " in ");
		view_line(b, member_text(waiver, "columns"), 60);
	}
	buffer_printf(b, "; owner ");
	view_line(b, member_text(waiver, "owner"), 40);
	buffer_printf(b, "; %s ", report_waiver_expired(r, waiver) ? "EXPIRED" : "until");
	view_line(b, member_text(waiver, "expires"), 10);
	if (member_count(waiver, "expired_hits") > 0)
		buffer_printf(b, "; %s mismatches that it no longer waives",
			view_count(member_count(waiver, "expired_hits"), n));
	buffer_printf(b, "\n%10s  because: ", "");
	view_line(b, member_text(waiver, "reason"), WIDTH - 21);
	buffer_printf(b, "\n");
}

static void waivers_text(struct buffer *b, const struct report *r)
{
	const char *name;
	json_t *waiver;

	if (json_object_size(r->waivers) == 0)
		return;
	heading(b, "Waivers: differences accepted, by how many executions");
	json_object_foreach (r->waivers, name, waiver)
		waiver_text(b, r, name, waiver);
}

/* ---- errors ---- */

static void error_text(struct buffer *b, const json_t *error)
{
	char n[32];

	buffer_printf(b, "%10s  primary ", view_count(member_count(error, "count"), n));
	view_line(b, *member_text(error, "primary") ? member_text(error, "primary") : "-", 5);
	buffer_printf(b, ", ");
	view_line(b, member_text(error, "candidate"), 40);
	buffer_printf(b, " ");
	view_line(b, *member_text(error, "sqlstate") ? member_text(error, "sqlstate") : "-", 5);
	buffer_printf(b, "  %s: ", report_error_group(error));
	view_line(b, member_text(error, "outcome"), 30);
	buffer_printf(b, "\n");
}

static void errors_text(struct buffer *b, const struct report *r)
{
	json_t *list = report_errors(r), *error;
	size_t i;

	if (json_array_size(list) > 0)
		heading(b, "Errors by SQLSTATE, of executions");
	json_array_foreach (list, i, error)
		if (i < GROUPS_LISTED)
			error_text(b, error);
	if (json_array_size(list) > GROUPS_LISTED)
		buffer_printf(b, "%zu more; the json form has all of them\n",
			json_array_size(list) - GROUPS_LISTED);
	json_decref(list);
}

/* ---- coverage and shapes ---- */

static void coverage_text(struct buffer *b, const struct report *r)
{
	double days;

	heading(b, "Coverage");
	for (size_t i = 0; i < r->ncandidates; i++) {
		struct candidate_figures f;
		char n[32], m[32], why[512];

		report_candidate_figures(r, i, &f);
		view_line(b, r->candidate[i].name, 40);
		buffer_printf(b,
			": %s of %s reads compared (%.1f%%); with what was not observed: %.1f%%\n",
			view_count(f.compared, n), view_count(f.reads, m), f.share * 100,
			f.coverage * 100);
		tally_why(&f.tally, 3, why, sizeof why);
		if (*why) {
			buffer_printf(b, "  mostly for: ");
			view_line(b, why, WIDTH - 14);
			buffer_printf(b, "\n");
		}
		candidate_figures_release(&f);
	}
	days = report_days(r);
	buffer_printf(b, "watched for %.1f %s in %zu run%s\n", days < 1 ? days * 24 : days,
		days < 1 ? "hours" : "days", r->nruns, plural(r->nruns));
}

static void latency_text(struct buffer *b, const struct histogram *h)
{
	if (h && h->total > 0)
		buffer_printf(b, " %8.1f", (double)histogram_quantile(h, 0.95) / 1000);
	else
		buffer_printf(b, " %8s", "-");
}

static void shape_text(struct buffer *b, const struct report_shape *s)
{
	char n[32], m[32], k[32];

	buffer_printf(b, "%10s %10s %9s", view_count(s->executions, n),
		view_count(tally_compared(&s->tally), m),
		view_count(s->tally.count[OUTCOME_MISMATCH], k));
	if (tally_compared(&s->tally) > 0)
		buffer_printf(b, " %8.3f%%", 100 * shape_upper_bound(s, false));
	else
		buffer_printf(b, " %9s", "-");
	latency_text(b, s->primary);
	latency_text(b, s->candidate_us);
	buffer_printf(b, "  ");
	view_line(b, *s->normalized ? s->normalized : "(not parsed)", WIDTH - 61);
	buffer_printf(b, "\n");
}

static void never_text(struct buffer *b, const struct report *r, const size_t *order)
{
	size_t listed = 0, all = 0;

	for (size_t i = 0; i < r->nshapes; i++) {
		const struct report_shape *s = &r->shape[order[i]];
		char n[32], why[256];

		if (!shape_never_compared(s) || all++ >= SHAPES_LISTED)
			continue;
		if (listed++ == 0)
			heading(b, "Shapes never compared");
		buffer_printf(b, "%10s  ", view_count(s->executions, n));
		view_line(b, *s->normalized ? s->normalized : "(not parsed)", WIDTH - 12);
		tally_why(&s->tally, 3, why, sizeof why);
		buffer_printf(b, "\n%10s  because: ", "");
		view_line(b, *why ? why : "pending", WIDTH - 21);
		buffer_printf(b, "\n");
	}
	if (all > listed)
		buffer_printf(b, "%zu more; the json form has all of them\n", all - listed);
}

static void quantiles_text(struct buffer *b, const struct histogram *h)
{
	buffer_printf(b, "%8.1f %8.1f %8.1f", (double)histogram_quantile(h, 0.5) / 1000,
		(double)histogram_quantile(h, 0.95) / 1000,
		(double)histogram_quantile(h, 0.99) / 1000);
}

static void slower_text(struct buffer *b, const struct report *r, const size_t *order)
{
	size_t listed = 0, all = 0;

	for (size_t i = 0; i < r->nshapes; i++) {
		const struct report_shape *s = &r->shape[order[i]];

		if (!shape_regressed(r, s) || all++ >= SHAPES_LISTED)
			continue;
		if (listed++ == 0) {
			heading(b, "Slower on the candidate, significantly");
			buffer_printf(b, "%26s %27s  ratio of p50, p95\n", "primary p50 p95 p99 ms",
				"candidate p50 p95 p99 ms");
		}
		quantiles_text(b, s->primary);
		buffer_printf(b, "  ");
		quantiles_text(b, s->candidate_us);
		buffer_printf(b, "  %.1f, %.1f  ", shape_ratio(s, 0.5), shape_ratio(s, 0.95));
		view_line(b, *s->normalized ? s->normalized : "(not parsed)", WIDTH - 40);
		buffer_printf(b, "\n");
	}
	if (all > listed)
		buffer_printf(b, "%zu more; the json form has all of them\n", all - listed);
}

static bool shapes_text(struct buffer *b, const struct report *r)
{
	size_t *order = report_shape_order(r), listed = 0, all = 0;

	if (!order)
		return false;
	for (size_t i = 0; i < r->nshapes; i++) {
		const struct report_shape *s = &r->shape[order[i]];

		if (tally_compared(&s->tally) == 0 || all++ >= SHAPES_LISTED)
			continue;
		if (listed++ == 0) {
			heading(b, "Shapes compared, most executed first");
			buffer_printf(b, "%10s %10s %9s %9s %8s %8s\n", "executions", "compared",
				"mismatch", "bound", "p95 ms", "p95 ms");
			buffer_printf(b, "%10s %10s %9s %9s %8s %8s\n", "", "", "", "", "primary",
				"candid.");
		}
		shape_text(b, s);
	}
	if (listed > 0)
		buffer_printf(b, "bound: the rate of mismatches that the evidence does not exclude "
				 "(95%% confidence)\n");
	if (all > listed)
		buffer_printf(b, "%zu more; the json form has all of them\n", all - listed);
	slower_text(b, r, order);
	never_text(b, r, order);
	free(order);

	return true;
}

bool report_text(struct report *r, struct buffer *out)
{
	bool ok;

	verdict_text(out, r);
	gate_text(out, r);
	notes_text(out, r);
	ok = discrepancies_text(out, r);
	waivers_text(out, r);
	errors_text(out, r);
	books_text(out, r);
	coverage_text(out, r);
	ok = shapes_text(out, r) && ok;

	return ok && !out->failed;
}

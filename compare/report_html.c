/* A page that needs nothing else: no script, no other file. Whatever comes from a log is escaped.
 */
#include "compare/report_model.h"
#include "compare/type_form.h"

#include <stdio.h>
#include <stdlib.h>

enum { PAGE_LIMIT = 1 << 26, ROWS_LISTED = 20, SQL_WIDTH = 2000 };

static const char head[] =
	"<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
	"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
	"<title>pgumbra report</title>\n<style>\n"
	"body{font:15px/1.5 system-ui,sans-serif;margin:2em auto;max-width:75em;padding:0 1em;"
	"color:#1c2330;background:#fff}\n"
	"h1{font-size:1.4em}h2{font-size:1.15em;margin-top:2em}\n"
	"table{border-collapse:collapse;margin:.5em 0}\n"
	"th,td{border-bottom:1px solid #d5dae2;padding:.25em .8em .25em 0;text-align:left;"
	"vertical-align:top}\n"
	"td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}\n"
	"code{font:13px/1.4 ui-monospace,monospace;white-space:pre-wrap;overflow-wrap:anywhere}\n"
	".bad{color:#a4161a;font-weight:600}.good{color:#1b6e3c;font-weight:600}\n"
	".note{color:#5a6472}section.d{border-left:3px solid #a4161a;padding-left:1em;"
	"margin:1.5em 0}\n"
	"</style></head><body>\n";

static void escaped(struct buffer *b, struct span s)
{
	for (size_t i = 0; i < s.len; i++) {
		switch (s.data[i]) {
		case '<': buffer_printf(b, "&lt;"); break;
		case '>': buffer_printf(b, "&gt;"); break;
		case '&': buffer_printf(b, "&amp;"); break;
		case '"': buffer_printf(b, "&quot;"); break;
		case '\'': buffer_printf(b, "&#39;"); break;
		default: buffer_add_u8(b, s.data[i]);
		}
	}
}

static void text(struct buffer *b, const char *s)
{
	struct buffer line;

	buffer_init(&line, PAGE_LIMIT);
	view_line(&line, s, SQL_WIDTH);
	escaped(b, buffer_span(&line));
	buffer_release(&line);
}

static void value_cell(struct buffer *b, const json_t *value)
{
	struct buffer line;

	buffer_init(&line, PAGE_LIMIT);
	view_value(&line, value);
	buffer_printf(b, "<code>");
	escaped(b, buffer_span(&line));
	buffer_printf(b, "</code>");
	buffer_release(&line);
}

static void number_cell(struct buffer *b, uint64_t n)
{
	char digits[32];

	buffer_printf(b, "<td class=n>%s</td>", view_count(n, digits));
}

/* ---- verdict ---- */

static void verdict_html(struct buffer *b, const struct report *r)
{
	uint64_t open = report_open_mismatches(r), compared = 0;
	char n[32], line[200];

	report_findings_line(r, line, sizeof line);
	for (size_t i = 0; i < r->ncandidates; i++)
		compared = add_counts(compared, tally_compared(&r->candidate[i].tally));
	buffer_printf(b, "<h1>pgumbra report</h1>\n<p class=%s>",
		open || !compared	  ? "bad"
		: report_undecided(r) > 0 ? "note"
					  : "good");
	if (open > 0)
		buffer_printf(b, "Different: %s open mismatch%s", view_count(open, n),
			open == 1 ? "" : "es");
	else
		buffer_printf(b, "%s", compared ? line : "No evidence: nothing was compared");
	buffer_printf(b, "</p>\n<p>%s executions compared.</p>\n", view_count(compared, n));
}

static void gate_html(struct buffer *b, const struct report *r)
{
	if (!r->gated)
		return;
	buffer_printf(b, "<h2>Gate: <span class=%s>%s</span></h2>\n<table>",
		r->gate_passed ? "good" : "bad", r->gate_passed ? "passed" : "failed");
	for (size_t i = 0; i < r->ncriteria; i++) {
		const struct criterion *c = &r->criterion[i];

		buffer_printf(b, "<tr><td><code>");
		text(b, c->text);
		buffer_printf(b, "</code></td><td class=n>%.6g</td><td class=%s>%s</td></tr>\n",
			c->value, c->passed ? "good" : "bad", c->passed ? "passed" : "failed");
	}
	buffer_printf(b, "</table>\n");
	if (report_pending(r) > 0)
		buffer_printf(b, "<p class=note>%llu reads are pending.</p>\n",
			(unsigned long long)report_pending(r));
}

static void notes_html(struct buffer *b, const struct report *r)
{
	uint64_t unlogged = report_unlogged_mismatches(r);
	const char *finding;
	json_t *value;
	size_t i;

	if (unlogged > 0)
		buffer_printf(b,
			"<p class=bad>%llu open mismatches have no record in the log: no re-check "
			"can close them. After mending begin a new log, with more "
			"discrepancies.examples_per_shape.</p>\n",
			(unsigned long long)unlogged);
	if (r->lost_records > 0)
		buffer_printf(b,
			"<p class=bad>%llu records were lost: the disk was full or too "
			"slow.</p>\n",
			(unsigned long long)r->lost_records);
	if (r->over_limit > 0)
		buffer_printf(b,
			"<p class=bad>%llu shapes or records are left out: more than the "
			"report keeps.</p>\n",
			(unsigned long long)r->over_limit);
	if (r->repeated > 0)
		buffer_printf(b, "<p class=note>%llu records came twice and count once.</p>\n",
			(unsigned long long)r->repeated);
	if (r->broken > 0)
		buffer_printf(b, "<p class=bad>%llu lines could not be read:</p>\n",
			(unsigned long long)r->broken);
	json_array_foreach (r->broken_names, i, value) {
		buffer_printf(b, "<p class=note>");
		text(b, json_string_value(value));
		buffer_printf(b, "</p>\n");
	}
	json_object_foreach (r->findings, finding, value) {
		buffer_printf(b, "<p class=note>Finding: ");
		text(b, finding);
		buffer_printf(b, "</p>\n");
	}
}

/* ---- discrepancies ---- */

static void cells_html(struct buffer *b, const json_t *cells)
{
	json_t *value;
	size_t i;

	json_array_foreach (cells, i, value) {
		buffer_printf(b, "<td>");
		value_cell(b, value);
		buffer_printf(b, "</td>");
	}
}

static void row_html(struct buffer *b, const json_t *row)
{
	const json_t *primary = json_object_get(row, "primary");
	const json_t *candidate = json_object_get(row, "candidate");

	if (primary) {
		buffer_printf(b, "<tr><td>");
		text(b, member_text(row, "kind"));
		buffer_printf(b, "</td><td>primary</td>");
		cells_html(b, primary);
		buffer_printf(b, "</tr>\n");
	}
	if (candidate) {
		buffer_printf(b, "<tr><td>");
		text(b, primary ? "" : member_text(row, "kind"));
		buffer_printf(b, "</td><td>candidate</td>");
		cells_html(b, candidate);
		buffer_printf(b, "</tr>\n");
	}
}

static void rows_html(struct buffer *b, const json_t *diff)
{
	const json_t *rows = json_object_get(diff, "rows");
	json_t *item;
	size_t i;

	if (json_array_size(rows) == 0)
		return;
	buffer_printf(b, "<table><tr><th></th><th></th>");
	json_array_foreach (json_object_get(diff, "columns"), i, item) {
		buffer_printf(b, "<th>");
		text(b, json_is_string(item) ? json_string_value(item) : "");
		buffer_printf(b, "</th>");
	}
	buffer_printf(b, "</tr>\n");
	json_array_foreach (rows, i, item)
		if (i < ROWS_LISTED)
			row_html(b, item);
	buffer_printf(b, "</table>\n");
}

static void columns_html(struct buffer *b, const char *side, const json_t *columns)
{
	json_t *column;
	char type[60];
	size_t i;

	if (!json_is_array(columns))
		return;
	buffer_printf(b, "<p>%s columns: ", side);
	json_array_foreach (columns, i, column) {
		buffer_printf(b, i ? ", <code>" : "<code>");
		text(b, member_text(column, "name"));
		buffer_printf(b, " ");
		type_form(member_text(column, "type"),
			(int32_t)json_integer_value(json_object_get(column, "typmod")), type,
			sizeof type);
		text(b, type);
		buffer_printf(b, "</code>");
	}
	buffer_printf(b, "</p>\n");
}

static void side_html(struct buffer *b, const char *side, const json_t *result)
{
	buffer_printf(b, "%s: ", side);
	if (!*member_text(result, "sqlstate")) {
		buffer_printf(b, "%llu rows ", (unsigned long long)member_count(result, "rows"));
		return;
	}
	buffer_printf(b, "error ");
	text(b, member_text(result, "sqlstate"));
	buffer_printf(b, " ");
	if (json_object_get(result, "message"))
		value_cell(b, json_object_get(result, "message"));
}

static void group_html(struct buffer *b, const struct report_group *g)
{
	const json_t *e = g->example, *diff = json_object_get(e, "diff");

	buffer_printf(b, "<section class=d><h3>");
	text(b, member_text(e, "class"));
	buffer_printf(b, *member_text(e, "hint") ? ", likely " : "");
	text(b, member_text(e, "hint"));
	buffer_printf(b, "</h3>\n<p class=note>candidate ");
	text(b, member_text(e, "candidate"));
	buffer_printf(b, "; %llu mismatches of this shape, %llu logged</p>\n<p><code>",
		(unsigned long long)(g->counted > g->logged ? g->counted : g->logged),
		(unsigned long long)g->logged);
	text(b, member_text(e, "normalized"));
	buffer_printf(b, "</code></p>\n<p>");
	side_html(b, "primary", json_object_get(e, "primary_result"));
	side_html(b, "; candidate", json_object_get(e, "candidate_result"));
	buffer_printf(b, "; %llu missing, %llu extra, %llu changed</p>\n",
		(unsigned long long)member_count(diff, "missing"),
		(unsigned long long)member_count(diff, "extra"),
		(unsigned long long)member_count(diff, "changed"));
	columns_html(b, "primary", json_object_get(diff, "primary_columns"));
	columns_html(b, "candidate", json_object_get(diff, "candidate_columns"));
	rows_html(b, diff);
	buffer_printf(b, "<p class=note><code>pgumbra show LOG ");
	text(b, member_text(e, "id"));
	buffer_printf(b, "</code></p></section>\n");
}

static bool discrepancies_html(struct buffer *b, const struct report *r)
{
	size_t n;
	struct report_group *groups = report_groups(r, &n);

	if (!groups)
		return false;
	if (n > 0)
		buffer_printf(b, "<h2>Open mismatches</h2>\n");
	for (size_t i = 0; i < n; i++)
		group_html(b, &groups[i]);
	free(groups);

	return true;
}

/* ---- waivers ---- */

static void waiver_cell(struct buffer *b, const json_t *waiver, const char *member)
{
	buffer_printf(b, "<td>");
	text(b, member_text(waiver, member));
	buffer_printf(b, "</td>");
}

static void waivers_html(struct buffer *b, const struct report *r)
{
	static const char *const members[] = {
		"accept", "columns", "candidate", "match", "reason", "owner"};
	const char *name;
	json_t *waiver;

	if (json_object_size(r->waivers) == 0)
		return;
	buffer_printf(b,
		"<h2>Waivers</h2>\n<table><tr><th>name</th><th class=n>waived</th><th>accepts</th>"
		"<th>columns</th><th>candidate</th><th>statement</th><th>because</th>"
		"<th>owner</th><th>until</th><th class=n>since then</th></tr>\n");
	json_object_foreach (r->waivers, name, waiver) {
		bool expired = report_waiver_expired(r, waiver);

		buffer_printf(b, "<tr><td>");
		text(b, name);
		buffer_printf(b, "</td>");
		number_cell(b, member_count(waiver, "hits"));
		for (size_t i = 0; i < sizeof members / sizeof *members; i++)
			waiver_cell(b, waiver, members[i]);
		buffer_printf(
			b, "<td%s>%s", expired ? " class=bad" : "", expired ? "expired " : "");
		text(b, member_text(waiver, "expires"));
		buffer_printf(b, "</td>");
		number_cell(b, member_count(waiver, "expired_hits"));
		buffer_printf(b, "</tr>\n");
	}
	buffer_printf(b, "</table>\n");
}

/* ---- books, coverage, shapes ---- */

static void candidate_html(struct buffer *b, const struct report *r, size_t i)
{
	struct candidate_figures f;

	report_candidate_figures(r, i, &f);
	buffer_printf(b, "<h3>Candidate ");
	text(b, r->candidate[i].name);
	buffer_printf(b, ": <span class=%s>%s</span></h3>\n<table>", f.balanced ? "good" : "bad",
		f.balanced ? "balanced" : "not balanced");
	for (unsigned o = 0; o < OUTCOME_COUNT; o++) {
		const char *reason;
		json_t *value;

		buffer_printf(b, "<tr><td>%s</td>", outcome_name((enum outcome)o));
		number_cell(b, f.tally.count[o]);
		buffer_printf(b, "<td></td></tr>\n");
		json_object_foreach (f.tally.reasons[o], reason, value) {
			buffer_printf(b, "<tr><td></td>");
			number_cell(b, (uint64_t)json_integer_value(value));
			buffer_printf(b, "<td>");
			text(b, reason);
			buffer_printf(b, "</td></tr>\n");
		}
	}
	buffer_printf(b, "<tr><td>pending</td>");
	number_cell(b, f.pending);
	buffer_printf(b, "<td></td></tr><tr><td>seen</td>");
	number_cell(b, r->candidate[i].seen);
	buffer_printf(b,
		"<td></td></tr></table>\n<p>%llu of %llu reads compared (%.1f%%); with what "
		"was not observed: coverage %.1f%%.</p>\n",
		(unsigned long long)f.compared, (unsigned long long)f.reads, f.share * 100,
		f.coverage * 100);
	candidate_figures_release(&f);
}

static void books_html(struct buffer *b, const struct report *r)
{
	const char *reason;
	json_t *value;

	buffer_printf(b,
		"<h2>Books</h2>\n<p>relayed %llu = observed %llu + unobserved %llu + on tape "
		"%llu: <span class=%s>%s</span></p>\n",
		(unsigned long long)r->relayed, (unsigned long long)r->observed,
		(unsigned long long)report_unobserved(r), (unsigned long long)report_on_tape(r),
		report_relay_balanced(r) ? "good" : "bad",
		report_relay_balanced(r) ? "balanced" : "not balanced");
	json_object_foreach (r->unobserved, reason, value) {
		buffer_printf(b, "<p class=note>unobserved (");
		text(b, reason);
		buffer_printf(b, "): %llu</p>\n", (unsigned long long)json_integer_value(value));
	}
	for (size_t i = 0; i < r->ncandidates; i++)
		candidate_html(b, r, i);
}

static void latency_cell(struct buffer *b, const struct histogram *h)
{
	if (h && h->total > 0)
		buffer_printf(
			b, "<td class=n>%.1f</td>", (double)histogram_quantile(h, 0.95) / 1000);
	else
		buffer_printf(b, "<td class=n>-</td>");
}

static void shape_html(struct buffer *b, const struct report_shape *s)
{
	char why[256];

	tally_why(&s->tally, 3, why, sizeof why);
	buffer_printf(b, "<tr>");
	number_cell(b, s->executions);
	number_cell(b, tally_compared(&s->tally));
	number_cell(b, s->tally.count[OUTCOME_MISMATCH]);
	number_cell(b, hll_estimate(&s->params));
	if (tally_compared(&s->tally) > 0)
		buffer_printf(b, "<td class=n>%.3f%%</td>", 100 * shape_upper_bound(s, false));
	else
		buffer_printf(b, "<td class=n>-</td>");
	latency_cell(b, s->primary);
	latency_cell(b, s->candidate_us);
	buffer_printf(b, "<td><code>");
	text(b, *s->normalized ? s->normalized : "(not parsed)");
	buffer_printf(b, "</code></td><td%s>", shape_never_compared(s) ? " class=bad" : "");
	text(b, why);
	buffer_printf(b, "</td></tr>\n");
}

static bool shapes_html(struct buffer *b, const struct report *r)
{
	size_t *order = report_shape_order(r);

	if (!order)
		return false;
	buffer_printf(b,
		"<h2>Shapes</h2>\n<p class=note>bound: the rate of mismatches that the "
		"evidence does not exclude (95%% confidence)</p>\n<table><tr><th class=n>"
		"executions</th><th class=n>compared</th><th class=n>mismatch</th><th class=n>"
		"parameters</th><th class=n>bound</th><th class=n>p95 ms primary</th><th class=n>"
		"p95 ms candidate</th><th>statement</th><th>not compared because</th></tr>\n");
	for (size_t i = 0; i < r->nshapes; i++)
		shape_html(b, &r->shape[order[i]]);
	buffer_printf(b, "</table>\n");
	free(order);

	return true;
}

bool report_html(struct report *r, struct buffer *out)
{
	bool ok;

	buffer_add(out, head, sizeof head - 1);
	verdict_html(out, r);
	gate_html(out, r);
	notes_html(out, r);
	ok = discrepancies_html(out, r);
	waivers_html(out, r);
	books_html(out, r);
	ok = shapes_html(out, r) && ok;
	buffer_printf(out, "</body></html>\n");

	return ok && !out->failed;
}

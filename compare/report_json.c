#include "compare/report_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static json_t *count(uint64_t n)
{
	return json_integer((json_int_t)(n < INT64_MAX ? n : INT64_MAX));
}

static json_t *reasons_of(const struct tally *t, enum outcome outcome)
{
	return t->reasons[outcome] ? json_copy(t->reasons[outcome]) : json_object();
}

/* skipped and dropped are objects by reason; unverifiable and candidate_failed are counts, with
 * their reasons beside them. */
static void add_tally(json_t *out, const struct tally *t)
{
	for (unsigned i = 0; i < OUTCOME_COUNT; i++) {
		const char *name = outcome_name((enum outcome)i);
		char reasons[64];

		if (i == OUTCOME_SKIPPED || i == OUTCOME_DROPPED) {
			json_object_set_new(out, name, reasons_of(t, (enum outcome)i));
			continue;
		}
		json_object_set_new(out, name, count(t->count[i]));
		if (i != OUTCOME_UNVERIFIABLE && i != OUTCOME_CANDIDATE_FAILED)
			continue;
		snprintf(reasons, sizeof reasons, "%s_reasons", name);
		json_object_set_new(out, reasons, reasons_of(t, (enum outcome)i));
	}
}

static json_t *frames_json(const struct report *r)
{
	json_t *out = json_object();

	json_object_set_new(out, "execution", count(r->frames_execution));
	json_object_set_new(out, "continuation", count(r->frames_continuation));
	json_object_set_new(out, "discarded", count(r->frames_discarded));
	json_object_set_new(out, "open", count(report_frames_open(r)));

	return out;
}

/* Executions that were equal only by a setting of [compare], by its name. */
static json_t *widened_json(const uint64_t widened[WIDENING_COUNT])
{
	json_t *out = json_object();

	for (unsigned i = 0; i < WIDENING_COUNT; i++)
		if (widened[i] > 0)
			json_object_set_new(
				out, widening_name((enum widening)i), count(widened[i]));

	return out;
}

static json_t *candidate_books(const struct report *r, size_t i)
{
	struct candidate_figures f;
	json_t *out = json_object();

	report_candidate_figures(r, i, &f);
	add_tally(out, &f.tally);
	json_object_set_new(out, "widened", widened_json(r->candidate[i].widened));
	json_object_set_new(out, "pending", count(f.pending));
	json_object_set_new(out, "seen", count(r->candidate[i].seen));
	json_object_set_new(out, "relayed", count(r->relayed));
	json_object_set_new(out, "observed", count(r->observed));
	json_object_set_new(out, "unobserved", json_copy(r->unobserved));
	json_object_set_new(out, "frames", frames_json(r));
	json_object_set_new(out, "on_tape", count(report_on_tape(r)));
	json_object_set_new(out, "balanced", json_boolean(f.balanced));
	candidate_figures_release(&f);

	return out;
}

static json_t *books_json(const struct report *r)
{
	json_t *out = json_object();

	for (size_t i = 0; i < r->ncandidates; i++)
		json_object_set_new(out, r->candidate[i].name, candidate_books(r, i));

	return out;
}

/* ---- shapes ---- */

/* Of microseconds in milliseconds, of nanoseconds in microseconds. */
static json_t *quantile_json(const struct histogram *h, double q)
{
	if (!h || h->total == 0)
		return json_null();

	return json_real((double)histogram_quantile(h, q) / 1000);
}

static json_t *quantiles_json(const struct histogram *h)
{
	json_t *out = json_object();

	json_object_set_new(out, "p50", quantile_json(h, 0.5));
	json_object_set_new(out, "p95", quantile_json(h, 0.95));
	json_object_set_new(out, "p99", quantile_json(h, 0.99));
	json_object_set_new(out, "count", count(h ? h->total : 0));

	return out;
}

static json_t *ratio_json(const struct report_shape *s)
{
	static const struct {
		const char *name;
		double q;
	} quantiles[] = {{"p50", 0.5}, {"p95", 0.95}, {"p99", 0.99}};
	json_t *out = json_object();

	for (size_t i = 0; i < sizeof quantiles / sizeof *quantiles; i++) {
		double ratio = shape_ratio(s, quantiles[i].q);

		json_object_set_new(
			out, quantiles[i].name, ratio > 0 ? json_real(ratio) : json_null());
	}

	return out;
}

static json_t *shape_json(const struct report *r, const struct report_shape *s)
{
	json_t *out = json_object(), *outcomes = json_object(), *latency = json_object();
	bool never = shape_never_compared(s);
	char why[256];

	add_tally(outcomes, &s->tally);
	tally_why(&s->tally, 3, why, sizeof why);
	json_object_set_new(latency, "primary", quantiles_json(s->primary));
	json_object_set_new(latency, "candidate", quantiles_json(s->candidate_us));
	json_object_set_new(latency, "warmup", quantiles_json(s->warmup));
	json_object_set_new(latency, "ratio", ratio_json(s));
	json_object_set_new(latency, "regression", json_boolean(shape_regressed(r, s)));
	json_object_set_new(out, "shape", json_string(s->shape));
	json_object_set_new(out, "normalized", json_string(s->normalized));
	json_object_set_new(out, "candidate", json_string(s->candidate));
	json_object_set_new(out, "outcomes", outcomes);
	json_object_set_new(out, "noise",
		json_pack("{s:o, s:o}", "asked", count(s->noise_asked), "differed",
			count(s->noise_differed)));
	json_object_set_new(out, "widened", widened_json(s->widened));
	json_object_set_new(out, "executions", count(s->executions));
	json_object_set_new(out, "mismatch_unlogged", count(s->mismatch_unlogged));
	json_object_set_new(out, "compared", count(tally_compared(&s->tally)));
	json_object_set_new(out, "distinct_params", count(hll_estimate(&s->params)));
	json_object_set_new(out, "upper_bound_95", json_real(shape_upper_bound(s, false)));
	json_object_set_new(out, "upper_bound_95_distinct", json_real(shape_upper_bound(s, true)));
	json_object_set_new(out, "latency_ms", latency);
	json_object_set_new(out, "first_seen", json_string(s->first_seen ? s->first_seen : ""));
	json_object_set_new(out, "last_seen", json_string(s->last_seen ? s->last_seen : ""));
	json_object_set_new(out, "never_compared", json_boolean(never));
	json_object_set_new(out, "why", json_string(why));

	return out;
}

static json_t *shapes_json(const struct report *r)
{
	size_t *order = report_shape_order(r);
	json_t *out = json_array();

	for (size_t i = 0; order && i < r->nshapes; i++)
		json_array_append_new(out, shape_json(r, &r->shape[order[i]]));
	free(order);

	return out;
}

/* ---- the rest ---- */

/* mismatches, or all the others. */
static json_t *records_json(const struct report *r, bool mismatches)
{
	json_t *out = json_array(), *record;
	size_t i;

	json_array_foreach (r->discrepancies, i, record)
		if (report_is_mismatch(record) == mismatches && report_is_open(r, record))
			json_array_append(out, record);

	return out;
}

static json_t *candidate_coverage(const struct candidate_figures *f)
{
	json_t *out = json_object();

	json_object_set_new(out, "reads", count(f->reads));
	json_object_set_new(out, "compared", count(f->compared));
	json_object_set_new(out, "reads_compared_share", json_real(f->share));
	json_object_set_new(out, "coverage", json_real(f->coverage));

	return out;
}

static void add_reason(json_t *by_reason, const char *outcome, const char *reason, uint64_t n)
{
	char name[128];
	uint64_t sum;

	if (n == 0)
		return;
	snprintf(name, sizeof name, *reason ? "%s(%s)" : "%s%s", outcome, reason);
	sum = add_counts(member_count(by_reason, name), n);
	json_object_set_new(by_reason, name, count(sum));
}

/* Why executions were not compared. */
static void add_reasons(json_t *by_reason, const struct tally *t)
{
	for (unsigned i = 0; i < OUTCOME_COUNT; i++) {
		const char *outcome = outcome_name((enum outcome)i), *reason;
		uint64_t rest = t->count[i];
		json_t *value;

		if (i == OUTCOME_MATCHED || i == OUTCOME_MATCHED_AFTER_LAG || i == OUTCOME_WAIVED ||
			i == OUTCOME_MISMATCH)
			continue;
		json_object_foreach (t->reasons[i], reason, value) {
			uint64_t n = (uint64_t)json_integer_value(value);

			add_reason(by_reason, outcome, reason, n);
			rest -= n < rest ? n : rest;
		}
		add_reason(by_reason, outcome, "", rest);
	}
}

static json_t *coverage_json(const struct report *r)
{
	json_t *out = json_object(), *each = json_object(), *by_reason = json_object(), *value;
	uint64_t reads = 0, compared = 0;
	double share = 1, least = 1;
	const char *reason;

	for (size_t i = 0; i < r->ncandidates; i++) {
		struct candidate_figures f;

		report_candidate_figures(r, i, &f);
		reads = add_counts(reads, f.reads);
		compared = add_counts(compared, f.compared);
		share = f.share < share ? f.share : share;
		least = f.coverage < least ? f.coverage : least;
		json_object_set_new(each, r->candidate[i].name, candidate_coverage(&f));
		add_reasons(by_reason, &f.tally);
		add_reason(by_reason, "pending", "", f.pending);
		candidate_figures_release(&f);
	}
	json_object_foreach (r->unobserved, reason, value)
		add_reason(by_reason, "unobserved", reason, (uint64_t)json_integer_value(value));
	json_object_set_new(out, "relayed", count(r->relayed));
	json_object_set_new(out, "reads", count(reads));
	json_object_set_new(out, "compared", count(compared));
	json_object_set_new(out, "reads_compared_share", json_real(r->ncandidates ? share : 0));
	json_object_set_new(out, "coverage", json_real(r->ncandidates ? least : 0));
	json_object_set_new(out, "candidates", each);
	json_object_set_new(out, "by_reason", by_reason);

	return out;
}

static json_t *gate_json(const struct report *r)
{
	json_t *out, *criteria = json_array();

	for (size_t i = 0; r->gated && i < r->ncriteria; i++) {
		const struct criterion *c = &r->criterion[i];

		json_array_append_new(
			criteria, json_pack("{s:s, s:f, s:b}", "text", c->text, "value", c->value,
					  "passed", (int)c->passed));
	}
	if (!r->gated) {
		json_decref(criteria);
		return json_null();
	}
	out = json_object();
	json_object_set_new(out, "expression", json_string(r->gate_text));
	json_object_set_new(out, "passed", json_boolean(r->gate_passed));
	json_object_set_new(out, "criteria", criteria);
	json_object_set_new(out, "pending", count(report_pending(r)));

	return out;
}

static json_t *time_json(int64_t us)
{
	time_t seconds = (time_t)(us / 1000000);
	struct tm tm;
	char text[64];

	if (us <= 0 || !gmtime_r(&seconds, &tm))
		return json_null();
	strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);

	return json_string(text);
}

static json_t *runs_json(const struct report *r)
{
	json_t *out = json_array();

	for (size_t i = 0; i < r->nruns; i++) {
		const struct report_run *run = &r->run[i];
		json_t *one = json_object();

		json_object_set_new(one, "run", json_string(run->id));
		json_object_set_new(one, "version", json_string(run->version ? run->version : ""));
		json_object_set_new(one, "first", time_json(run->first_us));
		json_object_set_new(one, "last", time_json(run->last_us));
		json_object_set_new(one, "stopped", json_boolean(run->stopped));
		json_array_append_new(out, one);
	}

	return out;
}

static json_t *waivers_json(const struct report *r)
{
	json_t *out = json_array(), *waiver;
	const char *name;

	json_object_foreach (r->waivers, name, waiver) {
		json_t *one = json_copy(waiver);

		json_object_set_new(one, "name", json_string(name));
		json_object_set_new(one, "expired", json_boolean(report_waiver_expired(r, waiver)));
		json_array_append_new(out, one);
	}

	return out;
}

/* Those that never happened too: a reader need not know which there are. */
static json_t *events_json(const struct report *r)
{
	json_t *out = json_object();

	for (unsigned i = 0; i < OBSERVER_EVENT_COUNT; i++)
		json_object_set_new(
			out, observer_event_name((enum observer_event)i), json_integer(0));
	json_object_update(out, r->events);

	return out;
}

static json_t *errors_json(const struct report *r)
{
	json_t *list = report_errors(r), *out = json_array(), *error;
	size_t i;

	json_array_foreach (list, i, error) {
		json_t *one = json_copy(error);

		json_object_set_new(one, "group", json_string(report_error_group(error)));
		json_array_append_new(out, one);
	}
	json_decref(list);

	return out;
}

static json_t *input_json(const struct report *r)
{
	json_t *out = json_object();

	json_object_set_new(out, "broken_lines", count(r->broken));
	json_object_set_new(out, "broken", json_copy(r->broken_names));
	json_object_set_new(out, "repeated_records", count(r->repeated));
	json_object_set_new(out, "lost_records", count(r->lost_records));
	json_object_set_new(out, "over_limit", count(r->over_limit));
	json_object_set_new(out, "without_shape", count(report_without_shape(r)));

	return out;
}

/* What the relay measured of itself: microseconds of a turn of a relay thread. */
static json_t *relay_json(const struct report *r)
{
	json_t *out = json_object();

	json_object_set_new(out, "copy_us", quantiles_json(r->copied_ns));
	json_object_set_new(out, "sheds", count(r->sheds));

	return out;
}

static json_t *findings_json(const struct report *r)
{
	json_t *out = json_array(), *value;
	const char *text;

	json_object_foreach (r->findings, text, value)
		json_array_append_new(out, json_string(text));

	return out;
}

static int take(const char *bytes, size_t n, void *to)
{
	struct buffer *out = to;

	buffer_add(out, bytes, n);

	return out->failed ? -1 : 0;
}

bool report_json(struct report *r, struct buffer *out)
{
	json_t *all = json_object();
	bool ok;

	json_object_set_new(all, "books", books_json(r));
	json_object_set_new(all, "shapes", shapes_json(r));
	json_object_set_new(all, "discrepancies", records_json(r, true));
	json_object_set_new(all, "coverage", coverage_json(r));
	json_object_set_new(all, "gate", gate_json(r));
	json_object_set_new(all, "open_mismatches", count(report_open_mismatches(r)));
	json_object_set_new(all, "unlogged_mismatches", count(report_unlogged_mismatches(r)));
	json_object_set_new(all, "resolved", count(json_object_size(r->resolved)));
	json_object_set_new(all, "undecided", records_json(r, false));
	json_object_set_new(all, "undecided_differences", count(report_undecided(r)));
	json_object_set_new(all, "days", json_real(report_days(r)));
	json_object_set_new(all, "runs", runs_json(r));
	json_object_set_new(all, "findings", findings_json(r));
	json_object_set_new(all, "waivers", waivers_json(r));
	json_object_set_new(all, "errors", errors_json(r));
	json_object_set_new(all, "observer", events_json(r));
	json_object_set_new(all, "input", input_json(r));
	json_object_set_new(all, "relay", relay_json(r));
	ok = json_object_size(all) == 18 &&
	     json_dump_callback(all, take, out, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) == 0;
	json_decref(all);
	buffer_add(out, "\n", 1);

	return ok && !out->failed;
}

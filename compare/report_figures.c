#include "compare/report_model.h"

#include "compare/compare.h"
#include "compare/waiver.h"
#include <stdio.h>
#include <stdlib.h>

uint64_t tally_reason(const struct tally *t, enum outcome outcome, enum reason reason)
{
	return member_count(t->reasons[outcome], reason_name(reason));
}

uint64_t tally_reads(const struct tally *t)
{
	return tally_sum(t) - tally_reason(t, OUTCOME_SKIPPED, REASON_NOT_A_READ) -
	       tally_reason(t, OUTCOME_SKIPPED, REASON_WRITES);
}

/* matched_after_change is not among them: what was compared there is not what the client saw. */
static bool is_verdict(enum outcome outcome)
{
	return outcome == OUTCOME_MATCHED || outcome == OUTCOME_MATCHED_AFTER_LAG ||
	       outcome == OUTCOME_WAIVED || outcome == OUTCOME_MISMATCH;
}

uint64_t tally_compared(const struct tally *t)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < OUTCOME_COUNT; i++)
		if (is_verdict((enum outcome)i))
			sum = add_counts(sum, t->count[i]);

	return sum;
}

static bool is_no_read(enum outcome outcome, const char *reason)
{
	return outcome == OUTCOME_SKIPPED &&
	       (strcmp(reason, reason_name(REASON_NOT_A_READ)) == 0 ||
		       strcmp(reason, reason_name(REASON_WRITES)) == 0);
}

/* The largest reason below (or beside) the one before; n is small. */
struct why {
	char text[96];
	uint64_t count;
};

static void why_insert(struct why *list, unsigned n, struct why item)
{
	for (unsigned i = 0; i < n; i++) {
		if (list[i].count < item.count) {
			struct why moved = list[i];

			list[i] = item;
			item = moved;
		}
	}
}

void tally_why(const struct tally *t, unsigned n, char *out, size_t size)
{
	struct why list[8] = {0}, item;
	size_t used = 0;
	const char *name;
	json_t *value;

	n = n < 8 ? n : 8;
	for (unsigned i = 0; i < OUTCOME_COUNT; i++) {
		uint64_t rest = t->count[i];

		if (is_verdict((enum outcome)i))
			continue;
		json_object_foreach (t->reasons[i], name, value) {
			item.count = (uint64_t)json_integer_value(value);
			rest -= item.count < rest ? item.count : rest;
			snprintf(item.text, sizeof item.text, "%s(%s)",
				outcome_name((enum outcome)i), name);
			if (!is_no_read((enum outcome)i, name))
				why_insert(list, n, item);
		}
		item.count = rest;
		snprintf(item.text, sizeof item.text, "%s", outcome_name((enum outcome)i));
		why_insert(list, n, item);
	}
	out[0] = '\0';
	for (unsigned i = 0; i < n && list[i].count > 0 && used < size; i++)
		used += (size_t)snprintf(out + used, size - used, "%s%s %llu", i ? ", " : "",
			list[i].text, (unsigned long long)list[i].count);
}

/* ---- gauges ---- */

uint64_t report_on_tape(const struct report *r)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < r->nruns; i++)
		sum = add_counts(sum, r->run[i].on_tape);

	return sum;
}

uint64_t report_frames_open(const struct report *r)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < r->nruns; i++)
		sum = add_counts(sum, r->run[i].frames_open);

	return sum;
}

uint64_t report_unobserved(const struct report *r)
{
	uint64_t sum = 0;
	const char *name;
	json_t *value;

	json_object_foreach (r->unobserved, name, value)
		sum = add_counts(sum, (uint64_t)json_integer_value(value));

	return sum;
}

uint64_t report_unobserved_reads(const struct report *r)
{
	const char *replication = unobserved_name(UNOBSERVED_REPLICATION);

	return report_unobserved(r) - member_count(r->unobserved, replication);
}

bool report_relay_balanced(const struct report *r)
{
	uint64_t frames = add_counts(add_counts(r->frames_execution, r->frames_continuation),
		add_counts(r->frames_discarded, report_frames_open(r)));
	uint64_t relayed =
		add_counts(r->observed, add_counts(report_unobserved(r), report_on_tape(r)));

	return frames == r->observed && relayed == r->relayed;
}

/* ---- candidates ---- */

/* What runs left pending that were closed by a later start is dropped(shadow_restart). */
static uint64_t closed_pending(const struct report *r, size_t candidate, uint64_t *pending)
{
	uint64_t open = 0, closed = 0, claimed = r->candidate[candidate].closed;

	for (size_t i = 0; i < r->nruns; i++) {
		uint64_t *sum = r->run[i].closed ? &closed : &open;

		*sum = add_counts(*sum, r->run[i].pending[candidate]);
	}
	if (claimed > open)
		claimed = open;
	*pending = open - claimed;

	return add_counts(closed, claimed);
}

static json_t *with_restart(const json_t *dropped, uint64_t closed)
{
	const char *name = reason_name(REASON_SHADOW_RESTART);
	json_t *copy = dropped ? json_copy((json_t *)dropped) : json_object();
	uint64_t sum = add_counts(member_count(copy, name), closed);

	if (closed > 0 && copy)
		json_object_set_new(
			copy, name, json_integer((json_int_t)(sum < INT64_MAX ? sum : INT64_MAX)));

	return copy;
}

void report_candidate_figures(
	const struct report *r, size_t candidate, struct candidate_figures *out)
{
	const struct report_candidate *c = &r->candidate[candidate];
	uint64_t closed, possible;

	*out = (struct candidate_figures){.tally = c->tally};
	closed = closed_pending(r, candidate, &out->pending);
	out->tally.reasons[OUTCOME_DROPPED] =
		with_restart(c->tally.reasons[OUTCOME_DROPPED], closed);
	out->tally.count[OUTCOME_DROPPED] = add_counts(c->tally.count[OUTCOME_DROPPED], closed);
	out->balanced = c->seen == add_counts(tally_sum(&out->tally), out->pending) &&
			report_relay_balanced(r);
	out->reads = add_counts(tally_reads(&out->tally), out->pending);
	out->compared = tally_compared(&out->tally);
	possible = add_counts(out->reads, report_unobserved_reads(r));
	out->share = out->reads ? (double)out->compared / (double)out->reads : 0;
	out->coverage = possible ? (double)out->compared / (double)possible : 0;
}

void candidate_figures_release(struct candidate_figures *f)
{
	json_decref(f->tally.reasons[OUTCOME_DROPPED]);
}

/* ---- time ---- */

static int by_first(const void *left, const void *right)
{
	const struct report_run *const *a = left, *const *b = right;

	return ((*a)->first_us > (*b)->first_us) - ((*a)->first_us < (*b)->first_us);
}

double report_days(const struct report *r)
{
	const struct report_run **runs = calloc(r->nruns + 1, sizeof *runs);
	int64_t until = 0, total = 0;

	if (!runs)
		return 0;
	for (size_t i = 0; i < r->nruns; i++)
		runs[i] = &r->run[i];
	qsort(runs, r->nruns, sizeof *runs, by_first);
	for (size_t i = 0; i < r->nruns; i++) {
		int64_t from = runs[i]->first_us > until ? runs[i]->first_us : until;

		if (runs[i]->last_us > from) {
			total += runs[i]->last_us - from;
			until = runs[i]->last_us;
		}
	}
	free(runs);

	return (double)total / 86400e6;
}

int64_t report_last_us(const struct report *r)
{
	int64_t last = 0;

	for (size_t i = 0; i < r->nruns; i++)
		last = r->run[i].last_us > last ? r->run[i].last_us : last;

	return last;
}

bool report_waiver_expired(const struct report *r, const json_t *waiver)
{
	int64_t ends_us;

	return waiver_day_end(member_text(waiver, "expires"), &ends_us) &&
	       report_last_us(r) >= ends_us;
}

/* ---- discrepancies ---- */

/* Closed by a re-check, and its read differed again after that. */
static bool is_reopened(const struct report *r, const char *id)
{
	const json_t *closed = json_object_get(r->resolved, id),
		     *last = json_object_get(json_object_get(r->stands_for, id), "last");

	return closed && last && json_integer_value(last) > json_integer_value(closed);
}

bool report_is_open(const struct report *r, const json_t *record)
{
	const char *id = member_text(record, "id");

	return !json_object_get(r->resolved, id) || is_reopened(r, id);
}

uint64_t report_reopened(const struct report *r)
{
	uint64_t reopened = 0;
	json_t *record;
	size_t i;

	json_array_foreach (r->discrepancies, i, record)
		reopened += report_is_mismatch(record) && is_reopened(r, member_text(record, "id"));

	return reopened;
}

bool report_is_mismatch(const json_t *record)
{
	return strcmp(member_text(record, "outcome"), outcome_name(OUTCOME_MISMATCH)) == 0;
}

/* "candidate/shape" of every mismatch that has a record, open or not, and "candidate/". */
static json_t *logged_mismatches(const struct report *r)
{
	json_t *names = json_object(), *record;
	size_t i;

	json_array_foreach (r->discrepancies, i, record) {
		json_t *key = json_sprintf(
			"%s/%s", member_text(record, "candidate"), member_text(record, "shape"));

		if (key && report_is_mismatch(record)) {
			json_object_set_new(names, json_string_value(key), json_true());
			json_object_set_new(names, member_text(record, "candidate"), json_true());
		}
		json_decref(key);
	}

	return names;
}

/* Of books that don't know which mismatches have a record: those of shapes without any. */
static uint64_t untold_mismatches(const struct report *r)
{
	uint64_t shapes = 0, candidates = 0;
	json_t *names = logged_mismatches(r);

	for (size_t i = 0; i < r->nshapes; i++) {
		const struct report_shape *s = &r->shape[i];
		json_t *key = json_sprintf("%s/%s", s->candidate, s->shape);

		if (key && !json_object_get(names, json_string_value(key)))
			shapes = add_counts(shapes, s->mismatch_untold);
		json_decref(key);
	}
	for (size_t i = 0; i < r->ncandidates; i++)
		if (!json_object_get(names, r->candidate[i].name))
			candidates = add_counts(candidates, r->candidate[i].mismatch_untold);
	json_decref(names);

	return shapes > candidates ? shapes : candidates;
}

/* Mismatches for which records of this run stand: the records themselves, and what they are said to
 * stand for besides. Of records that are not in the input, nothing does. */
static void count_found(const struct report *r, uint64_t (*found)[REPORT_MAX_CANDIDATES])
{
	const char *id;
	json_t *value;
	size_t i;

	json_array_foreach (r->discrepancies, i, value) {
		const json_t *run = json_object_get(r->run_index, member_text(value, "run"));
		const char *name = member_text(value, "candidate");
		size_t at = 0;

		while (at < r->ncandidates && strcmp(r->candidate[at].name, name) != 0)
			at++;
		if (run && at < r->ncandidates && report_is_mismatch(value))
			found[json_integer_value(run)][at]++;
	}
	json_object_foreach (r->stands_for, id, value) {
		uint64_t *sum =
			&found[member_count(value, "run")][member_count(value, "candidate")];

		if (json_object_get(r->ids, id))
			*sum = add_counts(*sum, member_count(value, "count"));
	}
}

/* Records that the books speak of and that are not in the input: lost with the shadow process, or
 * in a file that was not given. Without memory to count them, all are. */
static uint64_t missing_records(const struct report *r)
{
	uint64_t(*found)[REPORT_MAX_CANDIDATES] = calloc(r->nruns + 1, sizeof *found);
	uint64_t missing = 0;

	if (found)
		count_found(r, found);
	for (size_t i = 0; i < r->nruns; i++) {
		for (size_t k = 0; k < r->ncandidates; k++) {
			const uint64_t logged = r->run[i].logged[k], have = found ? found[i][k] : 0;

			missing = add_counts(missing, logged > have ? logged - have : 0);
		}
	}
	free(found);

	return missing;
}

/* The examples of the shape were used up, the log was full, or the record was lost: what the books
 * count must not vanish. */
uint64_t report_unlogged_mismatches(const struct report *r)
{
	uint64_t sum = add_counts(untold_mismatches(r), missing_records(r));

	for (size_t i = 0; i < r->ncandidates; i++)
		sum = add_counts(sum, r->candidate[i].mismatch_unlogged);

	return sum;
}

static json_t *shape_key(const char *candidate, const char *shape, const char *normalized)
{
	return json_sprintf("%s/%s/%s", candidate, shape, normalized);
}

/* Shape -> when the last of its mismatches was closed; -1: one is open. */
static json_t *closed_shapes(const struct report *r)
{
	json_t *closed = json_object(), *record;
	size_t i;

	json_array_foreach (r->discrepancies, i, record) {
		const json_t *when = json_object_get(r->resolved, member_text(record, "id"));
		json_t *key = shape_key(member_text(record, "candidate"),
			member_text(record, "shape"), member_text(record, "normalized"));
		const json_t *known = key ? json_object_get(closed, json_string_value(key)) : NULL;
		json_int_t at = when ? json_integer_value(when) : -1;

		if (known && at >= 0)
			at = json_integer_value(known) < 0 || json_integer_value(known) > at
				     ? json_integer_value(known)
				     : at;
		if (key && report_is_mismatch(record))
			json_object_set_new(closed, json_string_value(key), json_integer(at));
		json_decref(key);
	}

	return closed;
}

/* Only the first examples of a shape are logged: after a re-check has closed them the books alone
 * tell that it still differs. */
uint64_t report_recurred_mismatches(const struct report *r)
{
	json_t *closed = closed_shapes(r);
	uint64_t sum = 0;

	for (size_t i = 0; i < r->nshapes; i++) {
		const struct report_shape *s = &r->shape[i];
		json_t *key = shape_key(s->candidate, s->shape, s->normalized);
		const json_t *at = key ? json_object_get(closed, json_string_value(key)) : NULL;

		if (at && json_integer_value(at) > 0 && s->mismatches_from_us > 0 &&
			s->mismatches_from_us >= json_integer_value(at))
			sum = add_counts(sum, s->mismatches_latest);
		json_decref(key);
	}
	json_decref(closed);

	return sum;
}

uint64_t report_open_mismatches(const struct report *r)
{
	uint64_t open = 0;
	json_t *record;
	size_t i;

	json_array_foreach (r->discrepancies, i, record)
		open += report_is_mismatch(record) && report_is_open(r, record);

	open = add_counts(open, report_recurred_mismatches(r));

	return add_counts(open, report_unlogged_mismatches(r));
}

uint64_t report_undecided(const struct report *r)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < r->ncandidates; i++)
		sum = add_counts(sum, add_counts(r->candidate[i].dropped_undecided,
					      r->candidate[i].tally.count[OUTCOME_UNVERIFIABLE]));

	return sum;
}

uint64_t report_pending(const struct report *r)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < r->ncandidates; i++) {
		struct candidate_figures f;

		report_candidate_figures(r, i, &f);
		sum = add_counts(sum, f.pending);
		candidate_figures_release(&f);
	}

	return sum;
}

void report_findings_line(const struct report *r, char *out, size_t size)
{
	uint64_t undecided = report_undecided(r), pending = report_pending(r), waived = 0;
	char n[32], part[3][64] = {"", "", ""};

	for (size_t i = 0; i < r->ncandidates; i++)
		waived = add_counts(waived, r->candidate[i].tally.count[OUTCOME_WAIVED]);
	if (undecided > 0)
		snprintf(part[0], sizeof part[0], ", %s difference%s undecided",
			view_count(undecided, n), undecided == 1 ? "" : "s");
	if (waived > 0)
		snprintf(part[1], sizeof part[1], ", %s%s waived", view_count(waived, n),
			undecided > 0 ? ""
			: waived == 1 ? " difference"
				      : " differences");
	if (pending > 0)
		snprintf(part[2], sizeof part[2], ", %s read%s pending", view_count(pending, n),
			pending == 1 ? "" : "s");
	snprintf(out, size, "%s%s%s%s",
		undecided + waived + pending > 0 ? "No mismatch" : "No difference found", part[0],
		part[1], part[2]);
}

static uint64_t shape_mismatches(const struct report *r, const json_t *record)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < r->nshapes; i++)
		if (strcmp(r->shape[i].normalized, member_text(record, "normalized")) == 0 &&
			strcmp(r->shape[i].shape, member_text(record, "shape")) == 0 &&
			strcmp(r->shape[i].candidate, member_text(record, "candidate")) == 0)
			sum = add_counts(sum, r->shape[i].tally.count[OUTCOME_MISMATCH]);

	return sum;
}

static json_t *group_key(const json_t *record)
{
	return json_sprintf("%s/%s/%s/%s/%s", member_text(record, "candidate"),
		member_text(record, "shape"), member_text(record, "class"),
		member_text(record, "hint"), member_text(record, "normalized"));
}

static bool has_rows(const json_t *record)
{
	return json_array_size(json_object_get(json_object_get(record, "diff"), "rows")) > 0;
}

struct report_group *report_groups(const struct report *r, size_t *n)
{
	size_t room = json_array_size(r->discrepancies), i;
	struct report_group *groups = calloc(room + 1, sizeof *groups);
	json_t *index = json_object(), *record;

	*n = 0;
	json_array_foreach (r->discrepancies, i, record) {
		json_t *key = group_key(record);
		const json_t *at = key ? json_object_get(index, json_string_value(key)) : NULL;
		struct report_group *g;

		if (groups && key && report_is_mismatch(record) && report_is_open(r, record)) {
			g = &groups[at ? (size_t)json_integer_value(at) : *n];
			if (!at) {
				g->counted = shape_mismatches(r, record);
				json_object_set_new(index, json_string_value(key),
					json_integer((json_int_t)(*n)++));
			}
			if (!g->example || (!has_rows(g->example) && has_rows(record)))
				g->example = record;
			g->logged++;
		}
		json_decref(key);
	}
	json_decref(index);

	return groups;
}

/* ---- errors ---- */

static int by_count(const void *left, const void *right)
{
	json_t *const *a = left, *const *b = right;
	uint64_t n = member_count(*a, "count"), m = member_count(*b, "count");

	return (n < m) - (n > m);
}

json_t *report_errors(const struct report *r)
{
	json_t **list = calloc(json_object_size(r->errors) + 1, sizeof *list), *value, *out;
	const char *name;
	size_t n = 0;

	out = json_array();
	json_object_foreach (r->errors, name, value)
		if (list)
			list[n++] = value;
	if (list)
		qsort(list, n, sizeof *list, by_count);
	for (size_t i = 0; i < n; i++)
		json_array_append(out, list[i]);
	free(list);

	return out;
}

const char *report_error_group(const json_t *error)
{
	const char *sqlstate = member_text(error, "sqlstate");

	if (!*sqlstate && strcmp(member_text(error, "outcome"), "candidate_failed") == 0)
		return error_group_name(ERROR_CONNECTION); /* nobody was there to say one */

	return error_group_name(
		error_group_of(*sqlstate ? sqlstate : member_text(error, "primary")));
}

/* ---- shapes ---- */

static const double REGRESSION_RATIO = 1.25;
enum { REGRESSION_LEAST_US = 200 };

uint64_t report_without_shape(const struct report *r)
{
	uint64_t ended = 0, shapes = 0;

	for (size_t i = 0; i < r->ncandidates; i++)
		ended = add_counts(ended, tally_sum(&r->candidate[i].tally));
	for (size_t i = 0; i < r->nshapes; i++)
		shapes = add_counts(shapes, tally_sum(&r->shape[i].tally));

	return ended > shapes ? ended - shapes : 0;
}

struct ranked {
	uint64_t executions;
	size_t index;
};

static int by_executions(const void *left, const void *right)
{
	const struct ranked *a = left, *b = right;

	if (a->executions != b->executions)
		return a->executions < b->executions ? 1 : -1;

	return (a->index > b->index) - (a->index < b->index);
}

size_t *report_shape_order(const struct report *r)
{
	struct ranked *ranked = calloc(r->nshapes + 1, sizeof *ranked);
	size_t *order = calloc(r->nshapes + 1, sizeof *order);

	if (!order || !ranked) {
		free(order);
		free(ranked);
		return NULL;
	}
	for (size_t i = 0; i < r->nshapes; i++)
		ranked[i] = (struct ranked){r->shape[i].executions, i};
	qsort(ranked, r->nshapes, sizeof *ranked, by_executions);
	for (size_t i = 0; i < r->nshapes; i++)
		order[i] = ranked[i].index;
	free(ranked);

	return order;
}

bool shape_never_compared(const struct report_shape *s)
{
	return tally_compared(&s->tally) == 0 && tally_reads(&s->tally) > 0;
}

double shape_ratio(const struct report_shape *s, double q)
{
	if (!s->primary || !s->candidate_us || s->primary->total == 0 ||
		s->candidate_us->total == 0)
		return 0;

	return (double)histogram_quantile(s->candidate_us, q) /
	       (double)(histogram_quantile(s->primary, q) + !histogram_quantile(s->primary, q));
}

static bool matters(const struct report_shape *s, double q)
{
	return shape_ratio(s, q) >= REGRESSION_RATIO &&
	       histogram_quantile(s->candidate_us, q) >=
		       histogram_quantile(s->primary, q) + REGRESSION_LEAST_US;
}

/* One error in a thousand reports, however many shapes are looked at (Bonferroni). */
bool shape_regressed(const struct report *r, const struct report_shape *s)
{
	if (!matters(s, 0.5) && !matters(s, 0.95))
		return false;

	return histogram_not_slower(s->primary, s->candidate_us) <
	       0.001 / (double)(r->nshapes ? r->nshapes : 1);
}

double shape_upper_bound(const struct report_shape *s, bool distinct)
{
	uint64_t trials = tally_compared(&s->tally), events = s->tally.count[OUTCOME_MISMATCH];
	uint64_t params = hll_estimate(&s->params);

	if (distinct && params < trials)
		trials = params;

	return upper_bound_95(events < trials ? events : trials, trials);
}

/* ---- views ---- */

const char *view_count(uint64_t n, char out[32])
{
	char digits[24];
	int len = snprintf(digits, sizeof digits, "%llu", (unsigned long long)n), used = 0;

	for (int i = 0; i < len; i++) {
		if (i > 0 && (len - i) % 3 == 0)
			out[used++] = ',';
		out[used++] = digits[i];
	}
	out[used] = '\0';

	return out;
}

static bool begins_character(char c)
{
	return ((unsigned char)c & 0xC0) != 0x80;
}

void view_line(struct buffer *b, const char *text, size_t width)
{
	size_t characters = 0, at = 0, shown = 0;
	bool blank = false;

	for (const char *c = text; *c; c++)
		characters += begins_character(*c);
	for (; text[at]; at++) {
		bool space = text[at] == ' ' || text[at] == '\n' || text[at] == '\t';

		if (begins_character(text[at]) && !(space && blank)) {
			if (characters > width && shown + 3 >= width)
				break;
			shown++;
		}
		if (space && blank)
			continue;
		blank = space;
		/* C1 controls are two bytes in UTF-8: 0xC2 and 0x80 to 0x9F */
		if ((unsigned char)text[at] == 0xC2 && (unsigned char)text[at + 1] < 0xA0) {
			buffer_add_u8(b, '?');
			at += text[at + 1] != '\0';
			continue;
		}
		buffer_add_u8(b, space ? ' '
				 : (unsigned char)text[at] < 32 || text[at] == 127
					 ? '?'
					 : (uint8_t)text[at]);
	}
	if (text[at])
		buffer_add(b, "...", 3);
}

void view_value(struct buffer *b, const json_t *value)
{
	enum { SHOWN = 40 };

	if (!value || json_is_null(value)) {
		buffer_printf(b, "NULL");
	} else if (json_is_string(value)) {
		buffer_add_u8(b, '\'');
		view_line(b, json_string_value(value), SHOWN);
		buffer_add_u8(b, '\'');
	} else if (*member_text(value, "hex") || json_object_get(value, "hex")) {
		buffer_printf(b, "\\x");
		view_line(b, member_text(value, "hex"), SHOWN);
	} else if (*member_text(value, "hmac")) {
		buffer_add_u8(b, '#');
		view_line(b, member_text(value, "hmac"), 11);
	} else {
		buffer_add_u8(b, '?');
	}
}

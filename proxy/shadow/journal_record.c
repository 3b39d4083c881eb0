#include "protocol/reader.h"
#include "proxy/shadow/journal_internal.h"

#include <time.h>

enum { CUT_BYTES = 512, CUT_BEFORE = 64 }; /* of a long value: shown, of it before what differs */

static uint64_t wall_now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);

	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* The members that every record begins with. */
static json_t *record_new(const char *kind, const char *run)
{
	return json_pack("{s:i, s:s, s:o, s:o}", "v", 1, "kind", kind, "ts",
		journal_time(wall_now_us()), "run", journal_text(run));
}

static void set_count(json_t *object, const char *name, uint64_t count)
{
	if (count > 0)
		json_object_set_new(object, name, json_integer((json_int_t)count));
}

/* An object only when it says something. */
static void set_object(json_t *object, const char *name, json_t *value)
{
	if (json_object_size(value) > 0)
		json_object_set_new(object, name, value);
	else
		json_decref(value);
}

static json_t *texts(const char *const *text, size_t count)
{
	json_t *array = json_array();

	for (size_t i = 0; i < count; i++)
		json_array_append_new(array, journal_text(text[i]));

	return array;
}

static json_t *waivers_record(const struct waivers *w)
{
	json_t *list = json_array();

	for (size_t i = 0; w && i < w->count; i++) {
		const struct waiver *one = &w->list[i];

		json_array_append_new(list,
			json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "name",
				journal_text(one->name), "match", journal_text(one->match),
				"candidate", journal_text(one->candidate), "columns",
				journal_text(one->columns), "accept", journal_text(one->accept),
				"reason", journal_text(one->reason), "owner",
				journal_text(one->owner), "expires", journal_text(one->expires)));
	}

	return list;
}

json_t *journal_record_start(const char *run, const struct journal_start *start, json_t *closed)
{
	json_t *record = record_new("start", run);
	json_t *servers = json_object();

	json_object_set_new(record, "version", journal_text(start->version));
	json_object_set_new(record, "settings_digest", journal_text(start->settings_digest));
	json_object_set_new(record, "restarted", json_boolean(start->restarted));
	json_object_set_new(servers, "primary", journal_text(start->primary));
	json_object_set_new(servers, "candidates", texts(start->candidates, start->ncandidates));
	json_object_set_new(record, "servers", servers);
	json_object_set_new(record, "findings", texts(start->findings, start->nfindings));
	if (start->waivers && start->waivers->count > 0)
		json_object_set_new(record, "waivers", waivers_record(start->waivers));
	if (json_object_size(closed) > 0)
		json_object_set(record, "pending_closed", closed);

	return record;
}

json_t *journal_record_continued(const json_t *start, uint64_t books)
{
	json_t *record = json_deep_copy(start);

	json_object_set_new(record, "ts", journal_time(wall_now_us()));
	json_object_set_new(record, "continued", json_true());
	json_object_del(record, "pending_closed");
	set_count(record, "books", books);

	return record;
}

json_t *journal_record_stop(const char *run, const char *why)
{
	json_t *record = record_new("stop", run);

	json_object_set_new(record, "why", journal_text(why));

	return record;
}

/* --- discrepancy --- */

static json_t *digest_text(const struct journal_privacy *p, const struct result *r, bool ordered)
{
	const uint64_t *half = ordered ? r->digest.ordered : r->digest.multiset;
	char hex[JOURNAL_HMAC_HEX];

	if (p->values == VALUES_FULL)
		digest_hex(half, hex);
	else
		journal_hmac(p->key, half, 2 * sizeof *half, hex);

	return json_string(hex);
}

static json_t *result_record(const struct journal_privacy *p, const struct result *r, bool ordered)
{
	json_t *out;

	if (!r)
		return json_null();
	out = json_object();
	json_object_set_new(out, "rows", json_integer((json_int_t)r->rows));
	json_object_set_new(out, "ms", json_real((double)r->elapsed_us / 1000.0));
	if (r->end == RESULT_ERROR) {
		json_object_set_new(out, "sqlstate", journal_text(r->sqlstate));
		json_object_set_new(out, "message", journal_value(p, span_cstr(r->message), 25, 0));
	} else {
		json_object_set_new(out, "digest", digest_text(p, r, ordered));
	}

	return out;
}

static const struct result_column *column_of(const struct result *r, uint16_t i)
{
	return r && r->described && i < r->ncolumns ? &r->columns[i] : NULL;
}

/* Of a long value what stands around the first byte that differs from the other side's. */
static struct span window(struct span value, struct span other)
{
	size_t at = 0, limit = value.len < other.len ? value.len : other.len;

	if (value.len <= CUT_BYTES)
		return value;
	while (at < limit && value.data[at] == other.data[at])
		at++;
	at = at < CUT_BEFORE ? 0 : at - CUT_BEFORE;
	if (at > value.len - CUT_BYTES)
		at = value.len - CUT_BYTES;
	limit = at + CUT_BYTES;
	while (at > 0 && at < limit && (value.data[at] & 0xc0) == 0x80) /* within a character */
		at++;
	while (limit > at && limit < value.len && (value.data[limit] & 0xc0) == 0x80)
		limit--;

	return span_of(value.data + at, limit - at);
}

/* Indexes of the cells of which only a window is shown. */
static json_t *cut_columns(const struct diff_row *row)
{
	struct reader a = reader_over(row->primary), b = reader_over(row->candidate);
	uint16_t na = read_u16(&a), nb = read_u16(&b);
	json_t *indexes = json_array();

	for (uint16_t i = 0; i < na || i < nb; i++) {
		size_t left = i < na ? read_value(&a).len : 0,
		       right = i < nb ? read_value(&b).len : 0;

		if (left > CUT_BYTES || right > CUT_BYTES)
			json_array_append_new(indexes, json_integer(i));
	}

	return indexes;
}

/* `other`, of a row to be cut, is the other side's: absent, or a row that may have other columns.
 */
static json_t *row_record(const struct journal_privacy *p, const struct result *r, struct span row,
	bool cut, struct span other)
{
	json_t *cells = json_array();
	struct reader at = reader_over(row);
	uint16_t count = read_u16(&at);

	for (uint16_t i = 0; i < count && !at.bad; i++) {
		const struct result_column *c = column_of(r, i);
		struct span value = read_value(&at);

		if (cut && p->values == VALUES_FULL && value.data)
			value = window(value, diff_value(other, i));
		if (!at.bad)
			json_array_append_new(cells,
				journal_value(p, value, c ? c->type_oid : 25, c ? c->format : 0));
	}

	return cells;
}

static bool cell_changed(
	const struct journal_discrepancy *d, uint16_t column, struct span a, struct span b)
{
	if (!d->rules || !d->primary || !d->answer)
		return !span_equal(a, b);

	return !diff_cells_alike(d->primary, d->answer, d->rules, column, a, b);
}

/* Indexes of the cells that differ. */
static json_t *changed_columns(
	const struct journal_discrepancy *d, struct span primary, struct span candidate)
{
	struct reader a = reader_over(primary), b = reader_over(candidate);
	uint16_t na = read_u16(&a), nb = read_u16(&b);
	json_t *indexes = json_array();

	for (uint16_t i = 0; i < na && i < nb; i++) {
		struct span left = read_value(&a), right = read_value(&b);

		if (a.bad || b.bad)
			break;
		if (cell_changed(d, i, left, right))
			json_array_append_new(indexes, json_integer(i));
	}

	return indexes;
}

static json_t *diff_row_record(const struct journal_privacy *p, const struct journal_discrepancy *d,
	const struct diff_row *row)
{
	static const char *const kinds[] = {"missing", "extra", "changed", "moved"};
	json_t *out = json_pack("{s:s}", "kind", kinds[row->kind]);

	if (row->kind == DIFF_MOVED)
		json_object_set_new(out, "position", json_integer((json_int_t)row->position));
	if (row->kind != DIFF_EXTRA)
		json_object_set_new(out, "primary",
			row_record(p, d->primary, row->primary, row->cut, row->candidate));
	if (row->kind != DIFF_MISSING)
		json_object_set_new(out, "candidate",
			row_record(p, d->answer, row->candidate, row->cut, row->primary));
	if (row->kind == DIFF_CHANGED || row->kind == DIFF_MOVED)
		json_object_set_new(
			out, "columns", changed_columns(d, row->primary, row->candidate));
	if (row->cut && p->values == VALUES_FULL)
		json_object_set_new(out, "cut", cut_columns(row));

	return out;
}

static json_t *column_names(const struct result *r)
{
	json_t *names = json_array();

	for (uint16_t i = 0; r && r->described && i < r->ncolumns; i++)
		json_array_append_new(names, journal_text(r->columns[i].name));

	return names;
}

static json_t *column_details(const struct result *r)
{
	json_t *columns = json_array();

	for (uint16_t i = 0; r && r->described && i < r->ncolumns; i++) {
		const struct result_column *c = &r->columns[i];
		char type[32];

		journal_type_name(c->type_oid, type);
		json_array_append_new(columns,
			json_pack("{s:o, s:s, s:i, s:i}", "name", journal_text(c->name), "type",
				type, "typmod", (int)c->typmod, "format", (int)c->format));
	}

	return columns;
}

static json_t *diff_record(const struct journal_privacy *p, const struct journal_discrepancy *d)
{
	static const struct diff none;
	const struct diff *diff = d->diff ? d->diff : &none;
	json_t *out = json_object(), *rows = json_array(), *moved = json_array();
	size_t listed;

	json_object_set_new(out, "columns", column_names(d->primary));
	if (d->class == CLASS_COLUMNS) {
		json_object_set_new(out, "primary_columns", column_details(d->primary));
		json_object_set_new(out, "candidate_columns", column_details(d->answer));
	}
	json_object_set_new(out, "missing", json_integer((json_int_t)diff->missing));
	json_object_set_new(out, "extra", json_integer((json_int_t)diff->extra));
	json_object_set_new(out, "changed", json_integer((json_int_t)diff->changed));
	for (size_t i = 0; p->values != VALUES_NONE && i < diff->nrows; i++)
		json_array_append_new(diff->rows[i].kind == DIFF_MOVED ? moved : rows,
			diff_row_record(p, d, &diff->rows[i]));
	listed = json_array_size(rows) + json_array_size(moved);
	json_object_set_new(out, "rows", rows);
	if (d->class == CLASS_ORDER) {
		json_object_set_new(out, "moved_places", json_integer((json_int_t)diff->moved));
		json_object_set(out, "moved", moved);
	}
	json_decref(moved);
	json_object_set_new(
		out, "truncated", json_boolean(diff->truncated || listed < diff->nrows));

	return out;
}

static uint16_t format_of(const uint16_t *formats, uint16_t count, uint16_t i)
{
	if (count == 1)
		return formats[0];

	return i < count ? formats[i] : 0;
}

static json_t *params_record(const struct journal_privacy *p, const struct dark_read *read)
{
	json_t *params = json_array();

	for (uint16_t i = 0; i < read->nparams; i++) {
		uint32_t type = i < read->nparam_types ? read->param_types[i] : 0;
		uint16_t format = format_of(read->param_formats, read->nparam_formats, i);

		json_array_append_new(params, journal_value(p, read->params[i], type, format));
	}

	return params;
}

/* Names with a dot are the application's own (app.tenant) and count as values. */
static json_t *settings_record(const struct journal_privacy *p, const struct dark_read *read)
{
	json_t *settings = json_object();

	for (size_t i = 0; i < read->nsettings; i++) {
		const struct setting *s = &read->settings[i];
		json_t *value = strchr(s->name, '.') ? journal_value(p, span_cstr(s->value), 25, 0)
						     : journal_text(s->value);

		json_object_set_new(settings, s->name, value); /* NULL adds nothing */
	}

	return settings;
}

/* What a re-check needs besides the text, the parameters and the settings. No values in it. */
static json_t *request_record(const struct dark_read *read)
{
	json_t *types = json_array(), *formats = json_array(), *results = json_array();
	json_t *values = json_array();

	for (uint16_t i = 0; i < read->nparam_types; i++)
		json_array_append_new(types, json_integer(read->param_types[i]));
	for (uint16_t i = 0; i < read->nparam_formats; i++)
		json_array_append_new(formats, json_integer(read->param_formats[i]));
	for (uint16_t i = 0; i < read->nresult_formats; i++)
		json_array_append_new(results, json_integer(read->result_formats[i]));

	for (uint16_t i = 0; i < read->nvalue_types; i++)
		json_array_append_new(values, json_integer(read->value_types[i]));

	return json_pack("{s:b, s:b, s:o, s:o, s:o, s:o, s:I}", "simple", (int)read->simple,
		"named", (int)read->named, "param_types", types, "value_types", values,
		"param_formats", formats, "result_formats", results, "row_limit",
		(json_int_t)read->row_limit);
}

static void add_read(json_t *record, const struct journal_privacy *p, const struct dark_read *read)
{
	const struct statement *s = read->statement;
	bool parsed = s && s->normalized && s->normalized[0] != '\0';

	json_object_set_new(record, "shape", journal_text(s ? s->fingerprint : ""));
	json_object_set_new(record, "normalized", journal_text(parsed ? s->normalized : ""));
	if (p->values == VALUES_FULL && parsed) /* a text that can't be parsed is never logged */
		json_object_set_new(record, "query", journal_value(p, span_cstr(read->sql), 25, 0));
	if (p->values != VALUES_NONE)
		json_object_set_new(record, "params", params_record(p, read));
	json_object_set_new(record, "request", request_record(read));
	json_object_set_new(record, "settings", settings_record(p, read));
	json_object_set_new(record, "database", journal_text(read->database));
	json_object_set_new(record, "user", journal_text(read->user));
	json_object_set_new(record, "role", journal_text(read->role));
	json_object_set_new(record, "application_name", journal_text(read->application_name));
}

json_t *journal_record_discrepancy(const char *run, const struct journal_privacy *p,
	const struct journal_discrepancy *d, const char *id)
{
	bool ordered = d->read->statement && d->read->statement->order.ordered;
	json_t *record = record_new("discrepancy", run);

	json_object_set_new(record, "id", json_string(id));
	json_object_set_new(record, "session", journal_text(d->read->session));
	json_object_set_new(record, "executed", journal_time(d->read->wall_us));
	json_object_set_new(record, "candidate", journal_text(d->candidate));
	json_object_set_new(record, "outcome", json_string(outcome_name(d->outcome)));
	if (d->reason != REASON_NONE)
		json_object_set_new(record, "reason", json_string(reason_name(d->reason)));
	if (d->waiver)
		json_object_set_new(record, "waiver", journal_text(d->waiver));
	json_object_set_new(record, "class", json_string(difference_class_name(d->class)));
	json_object_set_new(record, "hint", journal_text(d->hint ? d->hint : ""));
	add_read(record, p, d->read);
	json_object_set_new(record, "primary_result", result_record(p, d->primary, ordered));
	json_object_set_new(record, "candidate_result", result_record(p, d->answer, ordered));
	if (d->diff || d->class == CLASS_COLUMNS)
		json_object_set_new(record, "diff", diff_record(p, d));
	json_object_set_new(record, "verify",
		json_pack("{s:I, s:o, s:b, s:b}", "attempts", (json_int_t)d->attempts, "fence",
			journal_text(d->fence ? d->fence : "none"), "stable", (int)d->stable,
			"verified", (int)d->verified));
	if (d->inner_rows)
		json_object_set_new(json_object_get(record, "verify"), "inner_rows", json_true());

	return record;
}

json_t *journal_record_resolved(
	const char *run, const char *id, const char *candidate, enum outcome outcome)
{
	json_t *record = record_new("resolved", run);

	json_object_set_new(record, "id", journal_text(id));
	json_object_set_new(record, "candidate", journal_text(candidate));
	json_object_set_new(record, "outcome", json_string(outcome_name(outcome)));
	json_object_set_new(record, "by", json_string("recheck"));

	return record;
}

/* --- books --- */

/* Counts by reason. The reasons' own names: an outcome never has two of the same name. */
static json_t *reasons_record(const uint64_t count[REASON_COUNT])
{
	json_t *reasons = json_object();

	for (unsigned i = 0; i < REASON_COUNT; i++)
		if (i != REASON_NONE)
			set_count(reasons, reason_name((enum reason)i), count[i]);

	return reasons;
}

static bool has_reasons(enum outcome outcome)
{
	for (unsigned i = 0; i < REASON_COUNT; i++)
		if (i != REASON_NONE && reason_outcome((enum reason)i) == outcome)
			return true;

	return false;
}

/* skipped, dropped, unverifiable and candidate_failed are objects by reason, the others numbers. A
 * count without a reason stands there under "". */
static void add_outcomes(json_t *object, const uint64_t (*count)[REASON_COUNT])
{
	for (unsigned i = 0; i < OUTCOME_COUNT; i++) {
		const char *name = outcome_name((enum outcome)i);
		json_t *reasons;

		if (!has_reasons((enum outcome)i)) {
			set_count(object, name, count[i][REASON_NONE]);
			continue;
		}
		reasons = reasons_record(count[i]);
		set_count(reasons, "", count[i][REASON_NONE]);
		set_object(object, name, reasons);
	}
}

/* Executions that were equal by a setting of [compare], by its name. */
static json_t *widened_record(const uint64_t *widened)
{
	json_t *out = json_object();

	for (unsigned i = 0; widened && i < WIDENING_COUNT; i++)
		set_count(out, widening_name((enum widening)i), widened[i]);

	return out;
}

/* That mismatch_unlogged stands there, be it 0, tells the reader that this record knows which
 * mismatches have a record in the log. */
static json_t *candidate_record(const struct books_candidate *c, uint64_t pending, json_t *repeated)
{
	json_t *out = json_object();

	set_count(out, "seen", c->seen);
	add_outcomes(out, c->count);
	set_object(out, "widened", widened_record(c->widened));
	json_object_set_new(
		out, "mismatch_unlogged", json_integer((json_int_t)c->mismatch_unlogged));
	set_count(out, "dropped_undecided", c->dropped_undecided);
	if (json_object_size(repeated) > 0)
		json_object_set(out, "mismatch_repeated", repeated);
	json_object_set_new(out, "pending", json_integer((json_int_t)pending));

	return out;
}

static json_t *histogram_record(const struct histogram *h)
{
	json_t *counts = json_object(), *out = json_object();
	char bucket[16];

	if (!h || h->total == 0) {
		json_decref(counts);
		return out;
	}
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		snprintf(bucket, sizeof bucket, "%u", i);
		set_count(counts, bucket, h->count[i]);
	}
	json_object_set_new(out, "counts", counts);
	json_object_set_new(out, "sum", json_integer((json_int_t)h->sum_us));

	return out;
}

static void add_registers(json_t *object, const struct hll *h)
{
	char hex[2 * HLL_REGISTERS + 1];
	bool any = false;

	for (unsigned i = 0; h && i < HLL_REGISTERS; i++) {
		snprintf(hex + 2 * (size_t)i, 3, "%02x", h->registers[i]);
		any = any || h->registers[i] != 0;
	}
	if (any)
		json_object_set_new(object, "params_hll", json_string(hex));
}

static json_t *noise_record(const struct shape_delta *s)
{
	json_t *out = json_object();

	set_count(out, "asked", s->noise_asked);
	set_count(out, "differed", s->noise_differed);

	return out;
}

static json_t *shape_record(const struct shape_delta *s)
{
	json_t *out = json_object(), *outcomes = json_object(), *latency = json_object();

	json_object_set_new(out, "shape", journal_text(s->shape));
	json_object_set_new(out, "normalized", journal_text(s->normalized));
	json_object_set_new(out, "candidate", journal_text(s->candidate));
	set_count(out, "executions", s->executions);
	add_outcomes(outcomes, s->count);
	set_object(out, "outcomes", outcomes);
	set_object(out, "widened", widened_record(s->widened));
	set_object(out, "noise", noise_record(s));
	set_count(out, "mismatch_unlogged", s->mismatch_unlogged);
	add_registers(out, s->params);
	json_object_set_new(out, "first_seen", journal_time(s->first_seen_us));
	json_object_set_new(out, "last_seen", journal_time(s->last_seen_us));
	set_object(latency, "primary", histogram_record(s->primary_us));
	set_object(latency, "candidate", histogram_record(s->candidate_us));
	set_object(latency, "warmup", histogram_record(s->warmup_us));
	set_object(out, "latency_us", latency);

	return out;
}

static json_t *unobserved_record(const uint64_t count[UNOBSERVED_COUNT])
{
	json_t *out = json_object();

	for (unsigned i = 0; i < UNOBSERVED_COUNT; i++)
		set_count(out, unobserved_name((enum unobserved)i), count[i]);

	return out;
}

/* "copy_ns" has the form of the shapes' histograms, in nanoseconds. */
static json_t *relay_record(const struct relay_cost *cost)
{
	json_t *out = json_object();

	if (!cost)
		return out;
	set_object(out, "copy_ns", histogram_record(&cost->copied_ns));
	set_count(out, "sheds", cost->sheds);

	return out;
}

static json_t *frames_record(const struct journal_books *b)
{
	json_t *out = json_object();

	set_count(out, "execution", b->delta->frames_execution);
	set_count(out, "continuation", b->delta->frames_continuation);
	set_count(out, "discarded", b->delta->frames_discarded);
	json_object_set_new(out, "open", json_integer((json_int_t)b->frames_open));

	return out;
}

static json_t *error_record(const struct journal_books *b, unsigned at)
{
	const struct error_kind *k = &b->errors->kind[at];
	bool named = at < b->errors->count && k->candidate < b->ncandidates;

	return json_pack("{s:o, s:s, s:s, s:s, s:I}", "candidate",
		journal_text(named ? b->candidates[k->candidate] : ""), "outcome",
		named ? outcome_name((enum outcome)k->outcome) : "", "primary",
		named ? k->primary : "", "sqlstate", named ? k->answer : "other", "count",
		(json_int_t)b->delta->errors[at]);
}

static json_t *errors_record(const struct journal_books *b)
{
	json_t *list = json_array();

	for (unsigned i = 0; b->errors && i < BOOKS_MAX_ERRORS; i++)
		if (b->delta->errors[i] > 0)
			json_array_append_new(list, error_record(b, i));

	return list;
}

/* By name: what each accepted, and what it would have accepted but for its end. */
static json_t *waived_record(const struct journal_books *b)
{
	json_t *out = json_object();

	for (size_t i = 0; b->waivers && i < b->waivers->count; i++) {
		json_t *one = json_object();

		set_count(one, "hits", b->delta->waived[i]);
		set_count(one, "expired", b->delta->expired[i]);
		set_object(out, b->waivers->list[i].name, one);
	}

	return out;
}

static json_t *events_record(const uint64_t count[OBSERVER_EVENT_COUNT])
{
	json_t *out = json_object();

	for (unsigned i = 0; i < OBSERVER_EVENT_COUNT; i++)
		set_count(out, observer_event_name((enum observer_event)i), count[i]);

	return out;
}

json_t *journal_record_books(
	const char *run, const struct journal_books *b, json_t *repeated, uint64_t lost)
{
	json_t *record = record_new("books", run);
	json_t *candidates = json_object(), *shapes = json_array(), *errors;

	json_object_set_new(record, "number", json_integer((json_int_t)b->number));
	json_object_set_new(record, "relayed", json_integer((json_int_t)b->relayed));
	json_object_set_new(record, "observed", json_integer((json_int_t)b->delta->observed));
	set_object(record, "unobserved", unobserved_record(b->unobserved));
	json_object_set_new(record, "frames", frames_record(b));
	set_object(record, "observer", events_record(b->delta->events));
	set_object(record, "relay", relay_record(b->cost));
	json_object_set_new(record, "on_tape", json_integer((json_int_t)b->on_tape));
	set_count(record, "lost_records", lost);
	for (size_t i = 0; i < b->ncandidates; i++)
		json_object_set_new(candidates, b->candidates[i],
			candidate_record(&b->delta->candidate[i], b->pending[i],
				json_object_get(repeated, b->candidates[i])));
	json_object_set_new(record, "candidates", candidates);
	set_object(record, "waivers", waived_record(b));
	errors = errors_record(b);
	if (json_array_size(errors) > 0)
		json_object_set(record, "errors", errors);
	json_decref(errors);
	for (size_t i = 0; i < b->nshapes; i++)
		json_array_append_new(shapes, shape_record(&b->shapes[i]));
	json_object_set_new(record, "shapes", shapes);
	if (b->final)
		json_object_set_new(record, "final", json_true());

	return record;
}

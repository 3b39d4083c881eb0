#include "compare/report_model.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

enum { LINE_LIMIT = 1 << 28, LINE_FLAGS = JSON_ALLOW_NUL };

uint64_t add_counts(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

const char *member_text(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? text : "";
}

static uint64_t count_of(const json_t *value)
{
	json_int_t n = json_is_integer(value) ? json_integer_value(value) : 0;

	return n > 0 ? (uint64_t)n : 0;
}

uint64_t member_count(const json_t *object, const char *name)
{
	return count_of(json_object_get(object, name));
}

/* ---- life ---- */

struct report *report_new(void)
{
	struct report *r = calloc(1, sizeof *r);
	json_t **const objects[] = {&r->shape_index, &r->run_index, &r->unobserved, &r->events,
		&r->ids, &r->resolved, &r->stands_for, &r->books_seen, &r->findings, &r->waivers,
		&r->errors};

	if (!r)
		return NULL;
	r->input = "";
	r->discrepancies = json_array();
	r->broken_names = json_array();
	for (size_t i = 0; i < sizeof objects / sizeof *objects; i++)
		if (!(*objects[i] = json_object()))
			goto failed;
	if (r->discrepancies && r->broken_names)
		return r;
failed:
	report_free(r);
	return NULL;
}

static void tally_release(struct tally *t)
{
	for (unsigned i = 0; i < OUTCOME_COUNT; i++)
		json_decref(t->reasons[i]);
}

static void shape_release(struct report_shape *s)
{
	free(s->shape);
	free(s->normalized);
	free(s->candidate);
	free(s->primary);
	free(s->candidate_us);
	free(s->warmup);
	free(s->first_seen);
	free(s->last_seen);
	tally_release(&s->tally);
}

void report_free(struct report *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->ncandidates; i++) {
		free(r->candidate[i].name);
		tally_release(&r->candidate[i].tally);
	}
	for (size_t i = 0; i < r->nshapes; i++)
		shape_release(&r->shape[i]);
	for (size_t i = 0; i < r->nruns; i++) {
		free(r->run[i].id);
		free(r->run[i].version);
	}
	free(r->copied_ns);
	free(r->shape);
	free(r->run);
	json_decref(r->shape_index);
	json_decref(r->run_index);
	json_decref(r->unobserved);
	json_decref(r->events);
	json_decref(r->discrepancies);
	json_decref(r->ids);
	json_decref(r->resolved);
	json_decref(r->stands_for);
	json_decref(r->books_seen);
	json_decref(r->findings);
	json_decref(r->waivers);
	json_decref(r->errors);
	json_decref(r->broken_names);
	free(r);
}

void report_begin_input(struct report *r, const char *name)
{
	r->input = name;
	r->line = 0;
	r->current_run = 0;
}

/* ---- counts ---- */

static bool add_to(json_t *object, const char *name, uint64_t n)
{
	uint64_t sum = add_counts(member_count(object, name), n);

	if (sum > INT64_MAX)
		sum = INT64_MAX;

	return json_object_set_new(object, name, json_integer((json_int_t)sum)) == 0;
}

static bool add_object(json_t *into, const json_t *from)
{
	const char *name;
	json_t *value;

	json_object_foreach ((json_t *)from, name, value)
		if (count_of(value) > 0 && !add_to(into, name, count_of(value)))
			return false;

	return true;
}

/* An outcome's count is a number, or an object of numbers by reason. */
static bool tally_add(struct tally *t, const json_t *from)
{
	for (unsigned i = 0; i < OUTCOME_COUNT; i++) {
		const json_t *value = json_object_get(from, outcome_name((enum outcome)i));
		const char *name;
		json_t *count;

		t->count[i] = add_counts(t->count[i], count_of(value));
		if (!json_is_object(value))
			continue;
		if (!t->reasons[i] && !(t->reasons[i] = json_object()))
			return false;
		json_object_foreach ((json_t *)value, name, count)
			t->count[i] = add_counts(t->count[i], count_of(count));
		if (!add_object(t->reasons[i], value))
			return false;
	}

	return true;
}

static void add_widened(uint64_t widened[WIDENING_COUNT], const json_t *from)
{
	for (unsigned i = 0; i < WIDENING_COUNT; i++)
		widened[i] =
			add_counts(widened[i], member_count(from, widening_name((enum widening)i)));
}

uint64_t tally_sum(const struct tally *t)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < OUTCOME_COUNT; i++)
		sum = add_counts(sum, t->count[i]);

	return sum;
}

/* ---- things found by name ---- */

static bool find_candidate(struct report *r, const char *name, size_t *at)
{
	for (*at = 0; *at < r->ncandidates; ++*at)
		if (strcmp(r->candidate[*at].name, name) == 0)
			return true;
	if (r->ncandidates == REPORT_MAX_CANDIDATES)
		return false;
	r->candidate[*at].name = strdup(name);
	if (!r->candidate[*at].name)
		return false;
	r->ncandidates++;

	return true;
}

static bool make_room(void **array, size_t count, size_t *room, size_t size)
{
	size_t wanted = *room ? *room * 2 : 64;
	void *grown;

	if (count < *room)
		return true;
	grown = reallocarray(*array, wanted, size);
	if (!grown)
		return false;
	*array = grown;
	*room = wanted;

	return true;
}

static struct report_run *find_run(struct report *r, const char *id)
{
	const json_t *at = json_object_get(r->run_index, id);
	struct report_run *run;

	if (at)
		return &r->run[json_integer_value(at)];
	if (r->nruns == REPORT_MAX_RUNS ||
		!make_room((void **)&r->run, r->nruns, &r->run_room, sizeof *run))
		return NULL;
	run = &r->run[r->nruns];
	*run = (struct report_run){.id = strdup(id)};
	if (!run->id ||
		json_object_set_new(r->run_index, id, json_integer((json_int_t)r->nruns)) != 0) {
		free(run->id);
		return NULL;
	}
	r->nruns++;

	return run;
}

static struct report_shape *new_shape(struct report *r, const json_t *from)
{
	struct report_shape *s;

	if (!make_room((void **)&r->shape, r->nshapes, &r->shape_room, sizeof *s))
		return NULL;
	s = &r->shape[r->nshapes];
	*s = (struct report_shape){.shape = strdup(member_text(from, "shape")),
		.normalized = strdup(member_text(from, "normalized")),
		.candidate = strdup(member_text(from, "candidate"))};
	if (!s->shape || !s->normalized || !s->candidate) {
		shape_release(s);
		return NULL;
	}
	r->nshapes++;

	return s;
}

/* A shape is a normalised text on a candidate; fingerprints alone are too coarse. */
static struct report_shape *find_shape(struct report *r, const json_t *from, bool *full)
{
	json_t *key = json_sprintf("%s/%s/%s", member_text(from, "candidate"),
		member_text(from, "shape"), member_text(from, "normalized"));
	const json_t *at = key ? json_object_get(r->shape_index, json_string_value(key)) : NULL;
	struct report_shape *s = NULL;

	*full = !at && r->nshapes == REPORT_MAX_SHAPES;
	if (at)
		s = &r->shape[json_integer_value(at)];
	else if (key && !*full && (s = new_shape(r, from)) != NULL &&
		 json_object_set_new(r->shape_index, json_string_value(key),
			 json_integer((json_int_t)r->nshapes - 1)) != 0)
		s = NULL;
	json_decref(key);

	return s;
}

/* ---- shapes ---- */

static bool keep_text(char **kept, const char *text, bool later)
{
	int order = *kept ? strcmp(text, *kept) : 0;
	char *copy;

	if (!*text || (*kept && (later ? order <= 0 : order >= 0)))
		return true;
	copy = strdup(text);
	if (!copy)
		return false;
	free(*kept);
	*kept = copy;

	return true;
}

static bool add_histogram(struct histogram **into, const json_t *from)
{
	const json_t *counts = json_object_get(from, "counts");
	const char *name;
	json_t *value;

	if (!json_is_object(counts))
		return true;
	if (!*into && !(*into = calloc(1, sizeof **into)))
		return false;
	json_object_foreach ((json_t *)counts, name, value) {
		char *end;
		unsigned long bucket = strtoul(name, &end, 10);

		if (end == name || *end || bucket >= HISTOGRAM_BUCKETS)
			continue;
		(*into)->count[bucket] = add_counts((*into)->count[bucket], count_of(value));
		(*into)->total = add_counts((*into)->total, count_of(value));
	}
	(*into)->sum_us = add_counts((*into)->sum_us, member_count(from, "sum"));

	return true;
}

/* Two hexadecimal digits a register; what is not all of them is passed over. */
static void add_params(struct hll *into, const char *hex)
{
	struct hll from;

	if (strlen(hex) != 2 * HLL_REGISTERS)
		return;
	for (size_t i = 0; i < HLL_REGISTERS; i++) {
		char digits[3] = {hex[2 * i], hex[2 * i + 1], '\0'}, *end;

		from.registers[i] = (uint8_t)strtoul(digits, &end, 16);
		if (*end || from.registers[i] > 57)
			return;
	}
	hll_merge(into, &from);
}

/* since_us: the run's record before this one. told: this record knows which mismatches have a
 * record in the log. */
static bool add_shape(struct report *r, const json_t *from, int64_t since_us, bool told)
{
	const json_t *latency = json_object_get(from, "latency_us");
	const json_t *outcomes = json_object_get(from, "outcomes");
	const json_t *noise = json_object_get(from, "noise");
	uint64_t mismatches = member_count(outcomes, outcome_name(OUTCOME_MISMATCH));
	struct report_shape *s;
	bool full;

	s = find_shape(r, from, &full);
	if (!s) {
		r->over_limit += full;
		return full;
	}
	s->executions = add_counts(s->executions, member_count(from, "executions"));
	add_params(&s->params, member_text(from, "params_hll"));
	s->mismatch_unlogged =
		add_counts(s->mismatch_unlogged, member_count(from, "mismatch_unlogged"));
	if (!told)
		s->mismatch_untold = add_counts(s->mismatch_untold, mismatches);
	if (!told && mismatches > 0 && since_us >= s->mismatches_from_us) {
		s->mismatches_from_us = since_us;
		s->mismatches_latest = mismatches;
	}
	add_widened(s->widened, json_object_get(from, "widened"));
	s->noise_asked = add_counts(s->noise_asked, member_count(noise, "asked"));
	s->noise_differed = add_counts(s->noise_differed, member_count(noise, "differed"));

	return tally_add(&s->tally, outcomes) &&
	       add_histogram(&s->primary, json_object_get(latency, "primary")) &&
	       add_histogram(&s->candidate_us, json_object_get(latency, "candidate")) &&
	       add_histogram(&s->warmup, json_object_get(latency, "warmup")) &&
	       keep_text(&s->first_seen, member_text(from, "first_seen"), false) &&
	       keep_text(&s->last_seen, member_text(from, "last_seen"), true);
}

/* ---- waivers ---- */

/* NULL: out of memory. */
static json_t *find_waiver(struct report *r, const char *name)
{
	json_t *waiver = json_object_get(r->waivers, name);

	if (waiver || json_object_size(r->waivers) == REPORT_MAX_WAIVERS)
		return waiver;
	waiver = json_pack("{s:i, s:i}", "hits", 0, "expired_hits", 0);

	return json_object_set_new(r->waivers, name, waiver) == 0 ? waiver : NULL;
}

/* What a waiver is: the latest word counts. */
static bool add_waivers(struct report *r, const json_t *list)
{
	static const char *const members[] = {
		"candidate", "match", "columns", "accept", "reason", "owner", "expires"};
	json_t *from;
	size_t i;

	json_array_foreach (list, i, from) {
		json_t *waiver = find_waiver(r, member_text(from, "name"));

		if (!waiver)
			return false;
		for (size_t k = 0; k < sizeof members / sizeof *members; k++)
			json_object_set_new(
				waiver, members[k], json_string(member_text(from, members[k])));
	}

	return true;
}

static bool add_waived(struct report *r, const json_t *from)
{
	const char *name;
	json_t *value;

	json_object_foreach ((json_t *)from, name, value) {
		json_t *waiver = find_waiver(r, name);

		if (!waiver || !add_to(waiver, "hits", member_count(value, "hits")) ||
			!add_to(waiver, "expired_hits", member_count(value, "expired")))
			return false;
	}

	return true;
}

/* ---- errors ---- */

static bool add_error(struct report *r, const json_t *from)
{
	json_t *key = json_sprintf("%s/%s/%s/%s", member_text(from, "candidate"),
		member_text(from, "outcome"), member_text(from, "primary"),
		member_text(from, "sqlstate"));
	const char *name = json_string_value(key);
	json_t *known = name ? json_object_get(r->errors, name) : NULL;
	bool ok = name != NULL;

	if (known)
		ok = add_to(known, "count", member_count(from, "count"));
	else if (ok && json_object_size(r->errors) < REPORT_MAX_ERRORS)
		ok = json_object_set_new(r->errors, name, json_copy((json_t *)from)) == 0;
	else if (ok)
		r->over_limit++;
	json_decref(key);

	return ok;
}

static bool add_errors(struct report *r, const json_t *list)
{
	json_t *from;
	size_t i;

	json_array_foreach (list, i, from)
		if (!add_error(r, from))
			return false;

	return true;
}

/* ---- records ---- */

/* The same file given twice must not count twice. */
static bool seen_before(struct report *r, struct span line)
{
	XXH128_hash_t hash = XXH3_128bits(line.data, line.len);
	char key[40];

	snprintf(key, sizeof key, "%016" PRIx64 "%016" PRIx64, (uint64_t)hash.high64,
		(uint64_t)hash.low64);
	if (json_object_get(r->books_seen, key))
		return true;
	json_object_set_new(r->books_seen, key, json_true());

	return false;
}

/* RFC 3339, UTC; 0 when it is something else. */
static int64_t time_us(const char *ts)
{
	int y, mo, d, h, mi, s, used = 0;
	int64_t us = 0, unit = 100000, days;

	if (sscanf(ts, "%4d-%2d-%2dT%2d:%2d:%2d%n", &y, &mo, &d, &h, &mi, &s, &used) != 6 ||
		mo < 1 || mo > 12 || y < 1970)
		return 0;
	if (ts[used] == '.')
		for (const char *at = ts + used + 1; *at >= '0' && *at <= '9'; at++, unit /= 10)
			us += (*at - '0') * unit;
	days = (int64_t)(y - (mo <= 2)) * 365 + (y - (mo <= 2)) / 4 - (y - (mo <= 2)) / 100 +
	       (y - (mo <= 2)) / 400 + (153 * (mo + (mo > 2 ? -3 : 9)) + 2) / 5 + d - 1 - 719468;

	return (((days * 24 + h) * 60 + mi) * 60 + s) * INT64_C(1000000) + us;
}

/* Mismatches of a read that has a record already: which, how many, and when the last one was. */
static bool add_repeated(
	struct report *r, const struct report_run *run, size_t candidate, const json_t *by_id)
{
	const char *id;
	json_t *value;

	json_object_foreach ((json_t *)by_id, id, value) {
		const json_t *known = json_object_get(r->stands_for, id);
		const uint64_t count =
			add_counts(member_count(known, "count"), member_count(value, "count"));
		int64_t last = time_us(member_text(value, "last"));
		json_int_t before = json_integer_value(json_object_get(known, "last"));

		last = last > before ? last : before;
		if (json_object_set_new(r->stands_for, id,
			    json_pack("{s:I, s:I, s:I, s:I}", "count",
				    (json_int_t)(count < INT64_MAX ? count : INT64_MAX), "last",
				    (json_int_t)last, "run", (json_int_t)(run - r->run),
				    "candidate", (json_int_t)candidate)) != 0)
			return false;
	}

	return true;
}

/* Of the mismatches of one candidate in a books record: which have a record, as far as it knows. */
static bool add_mismatches(
	struct report *r, struct report_run *run, size_t candidate, const json_t *from)
{
	struct report_candidate *c = &r->candidate[candidate];
	const uint64_t all = member_count(from, outcome_name(OUTCOME_MISMATCH)),
		       unlogged = member_count(from, "mismatch_unlogged");

	if (!json_object_get(from, "mismatch_unlogged")) {
		c->mismatch_untold = add_counts(c->mismatch_untold, all);
		return true;
	}
	c->mismatch_unlogged = add_counts(c->mismatch_unlogged, unlogged);
	if (all > unlogged)
		run->logged[candidate] = add_counts(run->logged[candidate], all - unlogged);

	return add_repeated(r, run, candidate, json_object_get(from, "mismatch_repeated"));
}

/* latest: of the run, so far; the parts of a log may come in any order. */
static bool add_books_candidates(
	struct report *r, struct report_run *run, const json_t *candidates, bool latest, bool *told)
{
	const char *name;
	json_t *value;
	size_t at;

	*told = false;

	json_object_foreach ((json_t *)candidates, name, value) {
		struct report_candidate *c;

		if (!find_candidate(r, name, &at))
			return false;
		c = &r->candidate[at];
		c->seen = add_counts(c->seen, member_count(value, "seen"));
		if (!tally_add(&c->tally, value))
			return false;
		add_widened(c->widened, json_object_get(value, "widened"));
		if (latest)
			run->pending[at] = member_count(value, "pending");
		c->dropped_undecided =
			add_counts(c->dropped_undecided, member_count(value, "dropped_undecided"));
		*told |= json_object_get(value, "mismatch_unlogged") != NULL;
		if (!add_mismatches(r, run, at, value))
			return false;
	}

	return true;
}

static bool add_books(
	struct report *r, struct report_run *run, const json_t *from, int64_t since_us)
{
	const json_t *frames = json_object_get(from, "frames"),
		     *relay = json_object_get(from, "relay");
	const int64_t at_us = time_us(member_text(from, "ts"));
	const bool latest = at_us == 0 || at_us >= run->gauges_us;
	json_t *shape;
	bool told;
	size_t i;

	r->relayed = add_counts(r->relayed, member_count(from, "relayed"));
	r->observed = add_counts(r->observed, member_count(from, "observed"));
	r->frames_execution = add_counts(r->frames_execution, member_count(frames, "execution"));
	r->frames_continuation =
		add_counts(r->frames_continuation, member_count(frames, "continuation"));
	r->frames_discarded = add_counts(r->frames_discarded, member_count(frames, "discarded"));
	r->lost_records = add_counts(r->lost_records, member_count(from, "lost_records"));
	if (latest) {
		run->gauges_us = at_us;
		run->on_tape = member_count(from, "on_tape");
		run->frames_open = member_count(frames, "open");
		run->closed = false;
	}
	r->sheds = add_counts(r->sheds, member_count(relay, "sheds"));
	if (!add_object(r->unobserved, json_object_get(from, "unobserved")) ||
		!add_object(r->events, json_object_get(from, "observer")) ||
		!add_histogram(&r->copied_ns, json_object_get(relay, "copy_ns")) ||
		!add_waived(r, json_object_get(from, "waivers")) ||
		!add_errors(r, json_object_get(from, "errors")) ||
		!add_books_candidates(r, run, json_object_get(from, "candidates"), latest, &told))
		return false;
	json_array_foreach (json_object_get(from, "shapes"), i, shape)
		if (!add_shape(r, shape, since_us, told))
			return false;

	return true;
}

/* Another run begins: what the one before it in this input left pending is lost, unless this
 * record says itself what it closes. */
static bool add_start(struct report *r, struct report_run *run, const json_t *from)
{
	const json_t *closed = json_object_get(from, "pending_closed"), *findings;
	const bool continued = json_is_true(json_object_get(from, "continued"));
	size_t index = (size_t)(run - r->run) + 1, i, at;
	const char *name;
	json_t *value;

	if (!closed && !continued && r->current_run && r->current_run != index)
		r->run[r->current_run - 1].closed = true;
	json_object_foreach ((json_t *)closed, name, value) {
		if (!find_candidate(r, name, &at))
			return false;
		r->candidate[at].closed = add_counts(r->candidate[at].closed, count_of(value));
	}
	if (!run->version && !(run->version = strdup(member_text(from, "version"))))
		return false;
	findings = json_object_get(from, "findings");
	json_array_foreach (findings, i, value)
		if (json_is_string(value))
			json_object_set_new(r->findings, json_string_value(value), json_true());

	return add_waivers(r, json_object_get(from, "waivers"));
}

static bool add_discrepancy(struct report *r, json_t *record)
{
	const char *id = member_text(record, "id");

	if (!*id || json_object_get(r->ids, id)) {
		r->repeated++;
		return true;
	}
	if (json_array_size(r->discrepancies) == REPORT_MAX_DISCREPANCIES) {
		r->over_limit++;
		return true;
	}

	return json_object_set_new(r->ids, id, json_true()) == 0 &&
	       json_array_append(r->discrepancies, record) == 0;
}

static bool add_resolved(struct report *r, const json_t *record)
{
	const char *id = member_text(record, "id");
	json_int_t at = (json_int_t)time_us(member_text(record, "ts"));
	json_int_t before = json_integer_value(json_object_get(r->resolved, id));

	return !*id ||
	       json_object_set_new(r->resolved, id, json_integer(at > before ? at : before)) == 0;
}

static void note_time(struct report_run *run, const json_t *record)
{
	int64_t at = time_us(member_text(record, "ts"));

	if (at <= 0)
		return;
	if (!run->first_us || at < run->first_us)
		run->first_us = at;
	if (at > run->last_us)
		run->last_us = at;
}

/* False: out of memory, or a limit. */
static bool add_record(struct report *r, json_t *record, struct span line)
{
	const char *kind = member_text(record, "kind");
	bool ok = true, start = strcmp(kind, "start") == 0, books = strcmp(kind, "books") == 0;
	bool stop = strcmp(kind, "stop") == 0;
	struct report_run *run;
	int64_t since_us;

	if (strcmp(kind, "discrepancy") == 0)
		return add_discrepancy(r, record);
	if (strcmp(kind, "resolved") == 0)
		return add_resolved(r, record);
	if (!start && !books && !stop)
		return true;
	if (*member_text(record, "ts") && seen_before(r, line)) {
		r->repeated++;
		return true;
	}
	run = find_run(r, member_text(record, "run"));
	if (!run)
		return false;
	since_us = run->last_us;
	note_time(run, record);
	if (start)
		ok = add_start(r, run, record);
	else if (books)
		ok = add_books(r, run, record, since_us);
	if (!start || !json_is_true(json_object_get(record, "continued")))
		run->stopped = stop || (run->stopped && !start);
	r->current_run = (size_t)(run - r->run) + 1;

	return ok;
}

static bool broken(struct report *r, struct error *error, const char *what)
{
	r->broken++;
	error_set(error, "%s:%" PRIu64 ": %s", r->input, r->line, what);
	if (json_array_size(r->broken_names) < REPORT_NAMED_LINES)
		json_array_append_new(r->broken_names,
			json_sprintf("%s:%" PRIu64 ": %s", r->input, r->line, what));

	return false;
}

bool report_add_line(struct report *r, struct span line, struct error *error)
{
	json_error_t where;
	json_t *record;
	bool ok;

	r->line++;
	if (line.len > LINE_LIMIT)
		return broken(r, error, "the line is too long");
	record = json_loadb((const char *)line.data, line.len, LINE_FLAGS, &where);
	if (!json_is_object(record)) {
		json_decref(record);
		return broken(r, error, "not a record: no JSON object");
	}
	if (member_count(record, "v") != 1) {
		json_decref(record);
		return broken(r, error, "not a record of version 1 (no \"v\":1)");
	}
	ok = add_record(r, record, line);
	json_decref(record);

	return ok ? true : broken(r, error, "out of memory, or too many candidates or runs");
}

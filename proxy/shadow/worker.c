#include "proxy/shadow/worker.h"

#include "proxy/log.h"
#include "proxy/preflight.h"
#include "proxy/shadow/compare_settings.h"
#include "proxy/shadow/connector.h"
#include "proxy/shadow/worker_internal.h"
#include "version.h"
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum {
	SHAPES_MAX = 2000,
	CACHE_ENTRIES = 20000,
	KEEP_LIMIT_BYTES = 1 << 20, /* rows kept of one answer, for order and diff */
	MEMORY_LIMIT_BYTES = 256 << 20,
	DIFF_LIMIT_BYTES = 16 << 10,
	CONTROL_POOL = 2,
	HURRY_SECONDS = 1,     /* the same after SIGTERM */
	FINISH_SECONDS = 20,   /* for open verifications after the relay has gone */
	REFRESH_SECONDS = 300, /* of catalogues */
	RETRY_SECONDS = 5,     /* of catalogues that could not be read */
	REST_SECONDS = 5,      /* between two looks at which sessions stand idle */
	RESTED_TRIM = 200, /* when so many have come to rest, what they gave back is given back */
};

static uint64_t wall_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* --- the observer's sink ------------------------------------------------------------------------
 */

/* A fence asks about the whole server: any database will do, so the first that both sides have. */
static void start_fence(struct worker *w, size_t i, const struct database *db)
{
	const char *control = config_text(w->config, "control", NULL, "conninfo");
	struct fence_options o = {
		.name = w->names[i],
		.slot = config_text(w->config, "candidate", w->names[i], "fence_slot"),
		.table = config_text(w->config, "candidate", w->names[i], "fence_table"),
		.timeout_us = (uint64_t)config_integer(
			w->config, "candidate", w->names[i], "fence_timeout"),
	};
	struct error error;

	if (!control[0] || !db->primary || !db->candidate[i].ready ||
		!fence_kind_from_name(
			config_text(w->config, "candidate", w->names[i], "fence"), &o.kind) ||
		o.kind == FENCE_NONE)
		return;
	w->fence_control[i] =
		conninfo_for_database(control, conninfo_has_database(control) ? NULL : db->name);
	w->fence_candidate[i] = conninfo_for_database(w->places[i].conninfo, db->candidate[i].name);
	o.control_conninfo = w->fence_control[i];
	o.candidate_conninfo = w->fence_candidate[i];
	if (o.control_conninfo && o.candidate_conninfo)
		w->candidates[i].fence = fence_new(w->base, &o, &error);
	if (w->candidates[i].fence)
		return;
	log_warning("candidate %s: no fence: out of memory", w->names[i]);
	free(w->fence_control[i]);
	free(w->fence_candidate[i]);
	w->fence_control[i] = w->fence_candidate[i] = NULL; /* tried again with the next refresh */
}

struct database *worker_database(struct worker *w, const char *name)
{
	return databases_get(w->databases, name);
}

static const struct database_view *on_database(void *self, const char *name)
{
	struct database *db = worker_database(self, name);

	return db ? &db->view : NULL;
}

static void on_begin(void *self)
{
	struct worker *w = self;

	for (unsigned i = 0; i < w->ncandidates; i++)
		books_seen(&w->page->books, i);
}

static void on_end(
	void *self, const struct statement *statement, enum outcome outcome, enum reason reason)
{
	struct worker *w = self;
	struct shape *shape = shapes_find(w->shapes, statement);

	for (unsigned i = 0; i < w->ncandidates; i++) {
		books_end(&w->page->books, i, outcome, reason);
		shape_end(shape, i, outcome, reason, wall_us());
	}
}

/* The way to the primary and back is taken out of its time, as it is out of the candidates'. */
static void on_read(void *self, struct dark_read *read)
{
	struct worker *w = self;
	uint64_t way = databases_round_trip_us(w->databases), *elapsed = &read->primary.elapsed_us;

	*elapsed = *elapsed > way ? *elapsed - way : 1;
	verifier_read(w->verifier, read);
}

/* --- books --------------------------------------------------------------------------------------
 */

static void sum_counters(struct worker *w, struct relay_counters *sum)
{
	*sum = (struct relay_counters){0};
	for (unsigned i = 0; i < w->ntapes; i++) {
		struct relay_counters c;

		tape_reader_counters(w->tapes[i], &c);
		sum->relayed += c.relayed;
		sum->taken += c.taken;
		sum->epoch_taken_base += c.epoch_taken_base;
		sum->sheds += c.sheds;
		for (unsigned r = 0; r < UNOBSERVED_COUNT; r++)
			sum->unobserved[r] += c.unobserved[r];
	}
}

/* Frames read off the tapes by this and earlier shadow processes: each was booked exactly once. */
static uint64_t frames_booked(const struct books *b)
{
	uint64_t sum = b->observed;

	for (unsigned r = 0; r < UNOBSERVED_COUNT; r++)
		sum += b->unobserved[r];

	return sum;
}

/* Frames that were on the tapes when an earlier shadow process died. What they were is known once
 * every producer has begun this epoch; nothing of it has been followed before that. */
static bool settle_tapes(struct worker *w)
{
	struct relay_counters c;
	struct books *b = &w->page->books;

	if (w->tapes_settled)
		return true;
	for (unsigned i = 0; i < w->ntapes; i++)
		if (!tape_reader_attached(w->tapes[i]))
			return false;
	sum_counters(w, &c);
	if (c.epoch_taken_base > frames_booked(b))
		b->unobserved[UNOBSERVED_SHADOW_RESTART] += c.epoch_taken_base - frames_booked(b);
	w->tapes_settled = true;

	return true;
}

static void settle_books(struct worker *w)
{
	if (w->telling && journal_settled(w->journal)) {
		w->page->logged = w->page->told;
		w->telling = false;
	}
}

/* What the relay measured of itself by now, and in *delta since the last record. */
static void take_cost(struct worker *w, uint64_t sheds, struct relay_cost *delta)
{
	const struct relay_cost *before = &w->page->logged.cost;
	struct relay_cost *now = &w->page->told.cost;
	struct histogram of_one;

	*now = (struct relay_cost){.sheds = sheds};
	for (unsigned i = 0; i < w->ntapes; i++) {
		tape_reader_costs(w->tapes[i], &of_one);
		histogram_merge(&now->copied_ns, &of_one);
	}
	delta->sheds = now->sheds - before->sheds;
	delta->copied_ns.total = now->copied_ns.total - before->copied_ns.total;
	delta->copied_ns.sum_us = now->copied_ns.sum_us - before->copied_ns.sum_us;
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		delta->copied_ns.count[i] = now->copied_ns.count[i] - before->copied_ns.count[i];
}

/* The books of now, and in *j what changed since the last record. */
static void take_books(struct worker *w, struct journal_books *j, struct books *delta,
	uint64_t *pending, struct relay_cost *cost)
{
	const struct told_books *logged = &w->page->logged;
	struct told_books *told = &w->page->told;
	struct relay_counters c;

	sum_counters(w, &c);
	told->books = w->page->books;
	told->relayed = c.relayed;
	told->number = logged->number + 1;
	books_delta(&told->books, &logged->books, delta);
	for (unsigned r = 0; r < UNOBSERVED_COUNT; r++) {
		told->unobserved[r] = c.unobserved[r] + told->books.unobserved[r];
		j->unobserved[r] = told->unobserved[r] - logged->unobserved[r];
	}
	for (size_t i = 0; i < w->ncandidates; i++)
		pending[i] = books_pending(&told->books.candidate[i]);
	take_cost(w, c.sheds, cost);
	j->delta = delta;
	j->cost = cost;
	j->pending = pending;
	j->relayed = told->relayed - logged->relayed;
	j->number = told->number;
	j->on_tape = c.taken - frames_booked(&told->books);
	j->frames_open = observer_frames_open(w->observer);
}

static void tell_books(struct worker *w, bool final)
{
	struct journal_books j = {.candidates = w->names,
		.ncandidates = w->ncandidates,
		.waivers = &w->waivers,
		.errors = &w->page->errors,
		.final = final};
	uint64_t pending[BOOKS_MAX_CANDIDATES];
	struct relay_cost cost;
	struct books delta;

	take_books(w, &j, &delta, pending, &cost);
	j.shapes = shapes_deltas(w->shapes, &j.nshapes);
	if (!journal_books(w->journal, &j))
		return; /* said with the next one */
	shapes_settle(w->shapes);
	w->telling = true;
}

/* What is known of the candidates may no longer hold: their catalogues, and what their roles may
 * do, which each new connection is asked (L3). */
static void refresh(struct worker *w)
{
	databases_refresh(w->databases);
	for (size_t i = 0; i < w->ncandidates; i++)
		if (w->candidates[i].mirror)
			mirror_renew(w->candidates[i].mirror);
}

static void on_tick(evutil_socket_t fd, short what, void *self)
{
	struct worker *w = self;

	(void)fd;
	(void)what;
	settle_tapes(w);
	settle_books(w);
	if (!w->telling)
		tell_books(w, false);
}

/* What an earlier shadow process of this run left open: nobody will finish it. */
static void close_earlier(struct worker *w)
{
	struct books *b = &w->page->books;
	uint64_t open;

	/* The last record may have reached the file without the earlier process learning of it. */
	if (w->page->told.number == w->page->logged.number + 1 &&
		journal_last_books(w->journal) == w->page->told.number)
		w->page->logged = w->page->told;
	open = b->observed - b->frames_execution - b->frames_continuation - b->frames_discarded;
	b->frames_execution += open;
	for (unsigned i = 0; i < w->ncandidates; i++) {
		b->candidate[i].seen += open;
		for (uint64_t n = books_pending(&b->candidate[i]); n > 0; n--)
			books_end(b, i, OUTCOME_DROPPED, REASON_SHADOW_RESTART);
	}
}

/* --- the tape -----------------------------------------------------------------------------------
 */

static void on_finish(evutil_socket_t fd, short what, void *self)
{
	struct worker *w = self;

	(void)fd;
	(void)what;
	event_base_loopbreak(w->base);
}

static void begin_ending(struct worker *w)
{
	struct timeval limit = {atomic_load(&w->hurry) ? HURRY_SECONDS : FINISH_SECONDS, 0};

	w->ending = true;
	journal_ending(w->journal);
	observer_end(w->observer);
	event_add(w->finish, &limit);
}

/* Follows the block's records; false when they have to wait for a database that just appeared: its
 * first reads are judged by its catalogue. */
static bool follow_block(struct worker *w)
{
	const struct tape_record *record;
	struct span payload;

	do {
		size_t at = w->block_at;
		char name[256];

		if (!pump_record(w->block, &at, &record, &payload))
			return true;
		/* A session takes its base from what is known of its database when it opens. */
		if (record->kind == TAPE_OPEN && observer_database_of(payload, name, sizeof name))
			on_database(w, name);
		if (databases_loading(w->databases))
			return false;
		w->block_at = at;
		observer_record(w->observer, w->block->tape, record, payload);
	} while (true);
}

static void hurry_up(struct worker *w)
{
	struct timeval limit = {HURRY_SECONDS, 0};

	event_add(w->finish, &limit);
}

static const struct timeval AGAIN = {0, 50000};

static void on_again(evutil_socket_t fd, short what, void *self)
{
	struct worker *w = self;

	(void)fd;
	(void)what;
	event_active(w->wake, EV_READ, 0);
}

static void on_wake(evutil_socket_t fd, short what, void *self)
{
	struct worker *w = self;
	uint64_t count;

	(void)what;
	if (read(fd, &count, sizeof count) < 0)
		count = 0; /* woken by hand */
	if (atomic_exchange(&w->reopen, false)) {
		journal_reopen(w->journal);
		refresh(w);
	}
	if (!w->block && w->pump) {
		w->block = pump_take(w->pump);
		w->block_at = 0;
	}
	if (w->ending && atomic_load(&w->hurry))
		hurry_up(w);
	if (!w->block)
		return;
	if (!settle_tapes(w) || !follow_block(w)) {
		event_add(w->again, &AGAIN);
		return;
	}
	if (w->block->last)
		begin_ending(w);
	pump_recycle(w->pump, w->block);
	w->block = NULL;
	event_active(w->wake, EV_READ, 0);
}

static void on_loaded(void *self, struct database *database)
{
	struct worker *w = self;

	for (size_t i = 0; i < w->ncandidates; i++)
		if (!w->candidates[i].fence)
			start_fence(w, i, database);
	if (w->verifier)
		verifier_catalogue_loaded(w->verifier);
	event_active(w->wake, EV_READ, 0);
}

static void on_refresh(evutil_socket_t fd, short what, void *self)
{
	struct worker *w = self;

	(void)fd;
	(void)what;
	refresh(w);
}

static void on_retry(evutil_socket_t fd, short what, void *self)
{
	struct worker *w = self;

	(void)fd;
	(void)what;
	databases_retry(w->databases);
}

static void on_rest(evutil_socket_t fd, short what, void *self)
{
	struct worker *w = self;

	(void)fd;
	(void)what;
	w->rested += observer_rest(w->observer);
	if (w->rested >= RESTED_TRIM) {
		malloc_trim(0);
		w->rested = 0;
	}
}

/* --- making and ending --------------------------------------------------------------------------
 */

static bool reset_all(PGconn *connection)
{
	PGresult *result = PQexec(connection, "RESET ALL");
	bool ok = PQresultStatus(result) == PGRES_COMMAND_OK;

	PQclear(result);

	return ok;
}

static bool impersonates(const struct config *c, const char *section, const char *name)
{
	return strcmp(config_text(c, section, name, "impersonate"), "set_role") == 0;
}

/* Asked of each new connection to a candidate: what may write there is not used (L3). */
static bool accept_role(void *self, PGconn *connection, char *why, size_t size)
{
	const struct databases_candidate_options *place = self;
	struct preflight_findings findings = {0};
	bool safe;

	preflight_candidate_role_as(connection, "candidate", place->impersonate, &findings);
	safe = !preflight_forbids(&findings);
	for (size_t i = 0; !safe && i < findings.count; i++) {
		if (findings.list[i].level == PREFLIGHT_FORBIDS) {
			snprintf(why, size, "%s", findings.list[i].what);
			break;
		}
	}
	preflight_release(&findings);
	/* The look set a search_path of its own: back to what the connection was opened with. */
	if (safe && !reset_all(connection)) {
		snprintf(why, size, "cannot reset the connection's settings");
		safe = false;
	}

	return safe;
}

static const char *database_there(void *self, const char *name)
{
	const struct candidate_self *s = self;

	return databases_name(s->worker->databases, s->index, name);
}

static uint32_t translate_type(void *self, const char *database, uint32_t oid)
{
	const struct candidate_self *s = self;

	return databases_translate_type(s->worker->databases, s->index, database, oid);
}

static enum type_build type_build(void *self, const char *database, uint32_t oid, uint32_t *inner)
{
	const struct candidate_self *s = self;

	return databases_type_build(s->worker->databases, database, oid, inner);
}

static struct mirror *candidate_mirror(struct worker *w, size_t index)
{
	const struct config *c = w->config;
	const char *name = w->names[index];
	struct mirror_options o = {
		.name = name,
		.conninfo = w->places[index].conninfo,
		.database = database_there,
		.database_self = &w->selves[index],
		.impersonate = w->places[index].impersonate,
		.types = {&w->selves[index], translate_type, type_build},
		.pool_size = (unsigned)config_integer(c, "candidate", name, "pool_size"),
		.statement_timeout_us =
			(uint64_t)config_integer(c, "candidate", name, "statement_timeout"),
		.queue_reads = (size_t)config_integer(c, "candidate", name, "queue_reads"),
		.queue_bytes = (size_t)config_integer(c, "candidate", name, "queue_bytes"),
		.max_rate = (double)config_integer(c, "candidate", name, "max_rate"),
		.breaker_failures =
			(unsigned)config_integer(c, "candidate", name, "breaker_failures"),
		.breaker_open_us =
			(uint64_t)config_integer(c, "candidate", name, "breaker_open_time"),
		.keep_limit_bytes = KEEP_LIMIT_BYTES,
		.retire_promoted = true,
		.accept =
			config_bool(c, "candidate", name, "allow_unsafe_role") ? NULL : accept_role,
		.accept_self = &w->places[index],
	};

	return mirror_new(w->base, w->connector, &o);
}

static struct mirror *control_mirror(struct worker *w)
{
	struct mirror_options o = {
		.name = "control",
		.conninfo = config_text(w->config, "control", NULL, "conninfo"),
		.pool_size = CONTROL_POOL,
		.statement_timeout_us = 30000000,
		.queue_reads = (size_t)config_integer(w->config, "verify", NULL, "queue_reads") * 2,
		.queue_bytes = 64 << 20,
		.breaker_failures = 10,
		.breaker_open_us = 5000000,
		.keep_limit_bytes = KEEP_LIMIT_BYTES,
		.impersonate = impersonates(w->config, "control", NULL),
	};

	return mirror_new(w->base, w->connector, &o);
}

static bool make_candidates(struct worker *w)
{
	w->ncandidates = config_names(w->config, "candidate", w->names, BOOKS_MAX_CANDIDATES);
	for (size_t i = 0; i < w->ncandidates; i++) {
		w->places[i] = (struct databases_candidate_options){
			.conninfo = config_text(w->config, "candidate", w->names[i], "conninfo"),
			.databases = config_text(w->config, "candidate", w->names[i], "databases"),
			.impersonate = impersonates(w->config, "candidate", w->names[i])};
		w->selves[i] = (struct candidate_self){w, i};
		w->candidates[i] = (struct verifier_candidate){.name = w->names[i],
			.impersonate = w->places[i].impersonate,
			.mirror = candidate_mirror(w, i)};
		if (!w->candidates[i].mirror)
			return false;
	}
	if (config_text(w->config, "control", NULL, "conninfo")[0])
		w->control = control_mirror(w);

	return w->control || !config_text(w->config, "control", NULL, "conninfo")[0];
}

static void on_parse(void *self, uint64_t low, uint64_t high)
{
	struct shadow_page *page = self;

	page->parsing_hash[0] = low;
	page->parsing_hash[1] = high;
}

static bool is_poison(void *self, uint64_t low, uint64_t high)
{
	const struct shadow_page *page = self;
	uint32_t count = page->poison_count < 16 ? page->poison_count : 16;

	for (uint32_t i = 0; i < count; i++)
		if (page->poison[i][0] == low && page->poison[i][1] == high)
			return true;

	return false;
}

/* The text that was being parsed when the last shadow process died is not parsed again. */
static void note_poison(struct shadow_page *page)
{
	if (!page->parsing_hash[0] && !page->parsing_hash[1])
		return;
	memcpy(page->poison[page->poison_count % 16], page->parsing_hash,
		sizeof page->parsing_hash);
	page->poison_count++;
	memset(page->parsing_hash, 0, sizeof page->parsing_hash);
	log_warning("a statement was being parsed when the shadow process died: it is skipped from "
		    "now on");
}

static bool make_databases(struct worker *w)
{
	struct databases_options o = {
		.candidates = w->places,
		.ncandidates = w->ncandidates,
		.control_conninfo = config_text(w->config, "control", NULL, "conninfo"),
		.control_impersonate = impersonates(w->config, "control", NULL),
		.classifier = {.cache_entries = CACHE_ENTRIES,
			.max_sql_bytes =
				(size_t)config_integer(w->config, "shadow", NULL, "max_sql_bytes"),
			.allow_functions =
				config_text(w->config, "shadow", NULL, "allow_functions"),
			.on_parse = on_parse,
			.is_poison = is_poison,
			.self = w->page},
		.on_loaded = on_loaded,
		.self = w,
	};

	w->databases = databases_new(&o, w->connector);

	return w->databases != NULL;
}

static bool make_journal(struct worker *w, struct error *error)
{
	const char *values = config_text(w->config, "discrepancies", NULL, "values");
	struct journal_options o = {
		.path = config_text(w->config, "discrepancies", NULL, "path"),
		.key_file = config_text(w->config, "discrepancies", NULL, "key_file"),
		.values = strcmp(values, "full") == 0	? VALUES_FULL
			  : strcmp(values, "none") == 0 ? VALUES_NONE
							: VALUES_HASHED,
		.examples_per_shape = (unsigned)config_integer(
			w->config, "discrepancies", NULL, "examples_per_shape"),
		.max_bytes =
			(uint64_t)config_integer(w->config, "discrepancies", NULL, "max_bytes"),
	};

	w->journal = journal_new(&o, w->page->run, error);

	return w->journal != NULL;
}

/* The relay process has checked them. */
static bool read_waivers(struct worker *w, struct error *error)
{
	struct conf_messages messages = {0};
	bool good = waivers_read(w->config, &w->waivers, &messages);

	if (!good)
		error_set(error, "%s", messages.count ? messages.text[0] : "out of memory");
	conf_messages_release(&messages);

	return good;
}

static bool make_verdicts(struct worker *w)
{
	struct verifier_options v = {
		.attempts = (unsigned)config_integer(w->config, "verify", NULL, "attempts"),
		.backoff_us = (uint64_t)config_integer(w->config, "verify", NULL, "backoff"),
		.max_rate = (double)config_integer(w->config, "verify", NULL, "max_rate"),
		.queue_reads = (size_t)config_integer(w->config, "verify", NULL, "queue_reads"),
		.quiet_wait_us = (uint64_t)config_integer(w->config, "verify", NULL, "quiet_wait"),
		.quiet_reads = (size_t)config_integer(w->config, "verify", NULL, "quiet_reads"),
		.noise_sample = config_real(w->config, "verify", NULL, "noise_sample"),
		.diff_limit_bytes = DIFF_LIMIT_BYTES,
		.waivers = &w->waivers,
		.errors = &w->page->errors,
		.values = compare_settings(w->config),
	};
	struct observer_options o = {
		.max_sessions =
			(size_t)config_integer(w->config, "pgumbra", NULL, "max_sessions") + 1024,
		.max_message_bytes =
			(size_t)config_integer(w->config, "shadow", NULL, "max_message_bytes"),
		.keep_limit_bytes = KEEP_LIMIT_BYTES,
		.memory_limit_bytes = MEMORY_LIMIT_BYTES,
		.sample = config_real(w->config, "shadow", NULL, "sample"),
	};
	struct observer_sink sink = {w, on_database, on_begin, on_end, on_read};

	w->shapes = shapes_new(SHAPES_MAX, w->names, w->ncandidates);
	if (!w->shapes)
		return false;
	w->verifier = verifier_new(&v, w->candidates, w->ncandidates, w->control, w->databases,
		&w->page->books, w->shapes, w->journal);
	w->observer = observer_new(&o, &w->page->books, &sink);

	return w->verifier && w->observer;
}

static bool make_events(struct worker *w, int wake_fd)
{
	int64_t interval = config_integer(w->config, "discrepancies", NULL, "books_interval");
	struct timeval tick = {interval / 1000000, interval % 1000000},
		       refresh = {REFRESH_SECONDS, 0}, retry = {RETRY_SECONDS, 0},
		       rest = {REST_SECONDS, 0};

	w->wake = event_new(w->base, wake_fd, EV_READ | EV_PERSIST, on_wake, w);
	w->tick = event_new(w->base, -1, EV_PERSIST, on_tick, w);
	w->refresh = event_new(w->base, -1, EV_PERSIST, on_refresh, w);
	w->retry = event_new(w->base, -1, EV_PERSIST, on_retry, w);
	w->rest = event_new(w->base, -1, EV_PERSIST, on_rest, w);
	w->again = event_new(w->base, -1, 0, on_again, w);
	w->finish = event_new(w->base, -1, 0, on_finish, w);

	return w->wake && w->tick && w->refresh && w->retry && w->rest && w->again && w->finish &&
	       event_add(w->wake, NULL) == 0 && event_add(w->tick, &tick) == 0 &&
	       event_add(w->refresh, &refresh) == 0 && event_add(w->retry, &retry) == 0 &&
	       event_add(w->rest, &rest) == 0;
}

/* The page's lines; how many. */
static size_t findings_of(const struct shadow_page *page, const char **lines, size_t max)
{
	const char *at = page->findings, *end = at + sizeof page->findings;
	size_t count = 0;

	while (count < max && at < end && *at && memchr(at, 0, (size_t)(end - at))) {
		lines[count++] = at;
		at += strlen(at) + 1;
	}

	return count;
}

static void say_start(struct worker *w)
{
	const char *findings[512];
	char digest[17];
	struct journal_start start = {.version = PGUMBRA_VERSION,
		.settings_digest = digest,
		.primary = config_text(w->config, "primary", NULL, "conninfo"),
		.candidates = w->names,
		.ncandidates = w->ncandidates,
		.findings = findings,
		.nfindings = findings_of(w->page, findings, sizeof findings / sizeof *findings),
		.waivers = &w->waivers,
		.restarted = w->page->starts > 0};

	config_digest(w->config, digest);
	journal_start(w->journal, &start);
}

struct worker *worker_new(const struct config *config, struct shadow_page *page,
	struct tape_reader **tapes, unsigned ntapes, struct pump *pump, int wake_fd,
	struct error *error)
{
	struct worker *w = calloc(1, sizeof *w);

	error_set(error, "out of memory");
	if (!w)
		return NULL;
	w->config = config;
	w->page = page;
	w->tapes = tapes;
	w->ntapes = ntapes;
	w->pump = pump;
	w->wake_fd = wake_fd;
	w->base = event_base_new();
	if (!w->base || !(w->connector = connector_new(w->base, error)) || !make_candidates(w) ||
		!make_databases(w) || !read_waivers(w, error) || !make_journal(w, error) ||
		!make_verdicts(w) || !make_events(w, wake_fd)) {
		worker_free(w);
		return NULL;
	}
	note_poison(page);
	if (page->starts > 0)
		close_earlier(w);
	say_start(w);
	page->starts++;

	return w;
}

void worker_run(struct worker *w)
{
	while (!w->ending)
		if (event_base_loop(w->base, EVLOOP_ONCE) != 0)
			return;
	while (verifier_open(w->verifier) > 0 && !event_base_got_break(w->base))
		if (event_base_loop(w->base, EVLOOP_ONCE) != 0)
			return;
}

static void end_reads(struct worker *w)
{
	if (w->verifier)
		verifier_stop(w->verifier);
	for (size_t i = 0; i < w->ncandidates; i++) {
		fence_free(w->candidates[i].fence);
		mirror_free(w->candidates[i].mirror);
		w->candidates[i].mirror = NULL;
	}
	mirror_free(w->control);
	w->control = NULL;
}

static void last_books(struct worker *w)
{
	for (int tries = 0; tries < 500 && w->telling; tries++) {
		settle_books(w);
		if (w->telling)
			usleep(10000);
	}
	w->telling = false;
	tell_books(w, true);
	journal_stop(w->journal, "the relay ended");
}

void worker_free(struct worker *w)
{
	if (!w)
		return;
	if (w->observer)
		observer_end(w->observer);
	end_reads(w);
	if (w->ending)
		last_books(w);
	if (w->block)
		pump_recycle(w->pump, w->block);
	journal_free(w->journal);
	observer_free(w->observer);
	verifier_free(w->verifier);
	w->verifier = NULL; /* connector_free ends loads */
	shapes_free(w->shapes);
	connector_free(w->connector);
	databases_free(w->databases);
	for (size_t i = 0; i < w->ncandidates; i++) {
		free(w->fence_control[i]);
		free(w->fence_candidate[i]);
	}
	if (w->wake)
		event_free(w->wake);
	if (w->tick)
		event_free(w->tick);
	if (w->refresh)
		event_free(w->refresh);
	if (w->retry)
		event_free(w->retry);
	if (w->rest)
		event_free(w->rest);
	if (w->again)
		event_free(w->again);
	if (w->finish)
		event_free(w->finish);
	if (w->base)
		event_base_free(w->base);
	free(w);
}

void worker_hurry(struct worker *w)
{
	uint64_t one = 1;

	atomic_store(&w->hurry, true);
	if (write(w->wake_fd, &one, sizeof one) < 0)
		return; /* it is awake */
}

void worker_reopen_log(struct worker *w)
{
	uint64_t one = 1;

	journal_reopen_soon(w->journal);
	atomic_store(&w->reopen, true);
	if (write(w->wake_fd, &one, sizeof one) < 0)
		return; /* it is awake */
}

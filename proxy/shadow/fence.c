#include "proxy/shadow/fence.h"

#include "proxy/log.h"
#include <errno.h>
#include <inttypes.h>
#include <libpq-fe.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum { WAITS_MAX = 20000, RECONNECT_US = 1000000, IDLE_US = 60000000 };
static const uint64_t poll_us = 5000, poll_slow_us = 20000; /* between two tests of the candidate */

struct wait {
	struct wait *next;
	void (*on_done)(void *self, enum fence_result result);
	void *self;
	uint64_t deadline_us;
	uint64_t position; /* an LSN, or a beat; 0: not taken yet */
	enum fence_result result;
};

struct fence {
	struct fence_options options;
	struct event *finished;
	int finished_fd;
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	bool stopping;
	struct wait *fresh, *done; /* between the threads, under the mutex */
	size_t waits;		   /* all of them */
	enum fence_kind in_force;

	/* The thread's own. */
	PGconn *control, *candidate;
	struct wait *open;
	uint64_t still_lsn, still_since_us; /* where the primary stands, and since when */
	bool reads_origin;		    /* the candidate lets us see how far its origin is */
	uint64_t origin_lsn, origin_before; /* as last seen, and what it was before it moved */
	char read_beat[300], add_beat[300]; /* add_beat "": the role may not */
	uint64_t retry_us;
	bool complained;
};

static const char *const kind_names[] = {
	"auto", "none", "physical", "logical", "slot", "heartbeat"};

bool fence_kind_from_name(const char *name, enum fence_kind *out)
{
	for (unsigned i = 0; i < sizeof kind_names / sizeof *kind_names; i++) {
		if (strcmp(kind_names[i], name) == 0) {
			*out = (enum fence_kind)i;
			return true;
		}
	}

	return false;
}

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* --- the thread: positions -------------------------------------------------------------------- */

static void disconnect(struct fence *f)
{
	PQfinish(f->control);
	PQfinish(f->candidate);
	f->control = f->candidate = NULL;
	f->reads_origin = false;
	f->origin_lsn = f->origin_before = 0;
}

static void complain(struct fence *f, const char *what, const char *why)
{
	if (!f->complained)
		log_warning("candidate %s: fence: %s: %s", f->options.name, what, why);
	f->complained = true;
	disconnect(f);
	f->retry_us = now_us() + RECONNECT_US;
}

/* The first row's columns as text into out (NULL: SQL NULL or none). False: the query failed. */
static bool ask(struct fence *f, PGconn *connection, const char *sql, const char *parameter,
	char out[][64], int columns)
{
	PGresult *result = PQexecParams(connection, sql, parameter ? 1 : 0, NULL,
		parameter ? &parameter : NULL, NULL, NULL, 0);
	bool ok = PQresultStatus(result) == PGRES_TUPLES_OK;

	for (int i = 0; ok && i < columns; i++) {
		out[i][0] = '\0';
		if (PQntuples(result) > 0 && !PQgetisnull(result, 0, i))
			snprintf(out[i], 64, "%s", PQgetvalue(result, 0, i));
	}
	if (!ok)
		complain(f, "cannot read a position", PQresultErrorMessage(result));
	PQclear(result);

	return ok;
}

/* "16/B374D848"; 0 for anything else. */
static uint64_t parse_lsn(const char *text)
{
	uint32_t high, low;

	if (sscanf(text, "%" SCNx32 "/%" SCNx32, &high, &low) != 2)
		return 0;

	return (uint64_t)high << 32 | low;
}

static PGconn *connect_to(struct fence *f, const char *conninfo)
{
	PGconn *connection = PQconnectdb(conninfo);

	if (PQstatus(connection) != CONNECTION_OK) {
		complain(f, "cannot connect", PQerrorMessage(connection));
		PQfinish(connection);
		return NULL;
	}
	PQclear(PQexec(connection, "SET search_path = ''"));
	PQclear(PQexec(connection, "SET default_transaction_read_only = on"));
	PQclear(PQexec(connection, "SET statement_timeout = '5s'"));

	return connection;
}

static enum fence_kind choose(struct fence *f)
{
	char found[2][64];

	if (f->options.kind != FENCE_AUTO)
		return f->options.kind;
	if (!ask(f, f->candidate,
		    "SELECT pg_catalog.pg_is_in_recovery(),"
		    " EXISTS (SELECT FROM pg_catalog.pg_subscription WHERE subenabled)",
		    NULL, found, 2))
		return FENCE_AUTO;
	if (found[0][0] == 't')
		return FENCE_PHYSICAL;

	return found[1][0] == 't' ? FENCE_LOGICAL : FENCE_NONE;
}

/* "schema"."table", public without a schema. */
static bool quote_table(struct fence *f, char *out, size_t size)
{
	const char *dot = strchr(f->options.table, '.');
	const char *name = dot ? dot + 1 : f->options.table;
	char *schema = dot ? PQescapeIdentifier(
				     f->control, f->options.table, (size_t)(dot - f->options.table))
			   : PQescapeIdentifier(f->control, "public", 6);
	char *table = PQescapeIdentifier(f->control, name, strlen(name));
	int n = schema && table ? snprintf(out, size, "%s.%s", schema, table) : -1;

	PQfreemem(schema);
	PQfreemem(table);

	return n > 0 && (size_t)n < size;
}

static bool prepare_heartbeat(struct fence *f)
{
	char table[200], may[1][64];

	if (!quote_table(f, table, sizeof table)) {
		complain(f, "fence_table", "the name does not fit");
		return false;
	}
	snprintf(f->read_beat, sizeof f->read_beat, "SELECT pg_catalog.max(beat) FROM %s", table);
	f->add_beat[0] = '\0';
	if (!ask(f, f->control,
		    "SELECT pg_catalog.has_table_privilege($1::pg_catalog.text, 'UPDATE')"
		    " AND NOT pg_catalog.pg_is_in_recovery()",
		    table, may, 1))
		return false;
	if (may[0][0] != 't')
		return true;
	snprintf(f->add_beat, sizeof f->add_beat,
		"UPDATE %s SET beat = beat OPERATOR(pg_catalog.+) 1 RETURNING beat", table);
	PQclear(PQexec(f->control, "SET default_transaction_read_only = off"));
	PQclear(PQexec(f->control, "SET lock_timeout = '1s'"));

	return true;
}

/* Replication origins show themselves to superusers, and to whom they are granted. */
static bool prepare_logical(struct fence *f)
{
	char may[1][64];

	if (!ask(f, f->candidate,
		    "SELECT pg_catalog.has_function_privilege("
		    "'pg_catalog.pg_show_replication_origin_status()', 'EXECUTE') AND "
		    "pg_catalog.has_table_privilege("
		    "'pg_catalog.pg_replication_origin_status', 'SELECT')",
		    NULL, may, 1))
		return false;
	f->reads_origin = may[0][0] == 't';

	return true;
}

static bool prepare(struct fence *f, enum fence_kind kind)
{
	switch (kind) {
	case FENCE_HEARTBEAT: return prepare_heartbeat(f);
	case FENCE_LOGICAL: return prepare_logical(f);
	case FENCE_PHYSICAL:
	case FENCE_SLOT:
	case FENCE_NONE: return true;
	case FENCE_AUTO: break;
	}

	return false;
}

static bool ready(struct fence *f)
{
	enum fence_kind kind;

	if (f->control && f->candidate)
		return true;
	if (now_us() < f->retry_us)
		return false;
	disconnect(f);
	f->control = connect_to(f, f->options.control_conninfo);
	if (f->control)
		f->candidate = connect_to(f, f->options.candidate_conninfo);
	kind = f->candidate ? choose(f) : FENCE_AUTO;
	if (!f->candidate || !prepare(f, kind))
		return false;
	pthread_mutex_lock(&f->mutex);
	if (f->in_force != kind)
		log_info("candidate %s: fence: %s%s", f->options.name, kind_names[kind],
			f->reads_origin ? ", by the progress of its origin too" : "");
	f->in_force = kind;
	pthread_mutex_unlock(&f->mutex);
	f->complained = false;

	return true;
}

static bool read_number(struct fence *f, PGconn *connection, const char *sql, uint64_t *number)
{
	char found[1][64];

	if (!ask(f, connection, sql, NULL, found, 1))
		return false;
	if (!found[0][0])
		complain(f, "fence_table", "it has no row");
	*number = strtoull(found[0], NULL, 10);

	return f->control != NULL;
}

/* What the candidate must show: our own beat, or the next one of whoever beats. */
static bool take_beat(struct fence *f, uint64_t *beat)
{
	if (f->add_beat[0])
		return read_number(f, f->control, f->add_beat, beat);
	if (!read_number(f, f->control, f->read_beat, beat))
		return false;
	(*beat)++;

	return true;
}

static bool take_position(struct fence *f, uint64_t *position)
{
	char lsn[1][64];

	if (f->in_force == FENCE_HEARTBEAT)
		return take_beat(f, position);
	if (!ask(f, f->control, "SELECT pg_catalog.pg_current_wal_insert_lsn()", NULL, lsn, 1))
		return false;
	*position = parse_lsn(lsn[0]);

	return *position != 0;
}

static bool awaited(const struct fence *f, uint64_t position)
{
	for (const struct wait *w = f->open; w; w = w->next)
		if (w->position > position)
			return true;

	return false;
}

/* Where the primary stands behind its last flushed record there is no commit, if it is nothing but
 * a page's header (XLogLongPHD), or has stayed so for longer than F3. */
static bool holds_no_commit(struct fence *f, uint64_t inserted, uint64_t flushed, uint64_t delay_ms)
{
	enum { PAGE = 8192, LONG_HEADER = 40, MARGIN_US = 200000 };

	if (f->still_lsn != inserted) {
		f->still_lsn = inserted;
		f->still_since_us = now_us();
	}
	if (inserted <= flushed || (flushed % PAGE == 0 && inserted - flushed <= LONG_HEADER))
		return true;

	return now_us() - f->still_since_us > 3 * delay_ms * 1000 + MARGIN_US;
}

/* All that was flushed is there, and what is not holds no commit: then the position counts as that
 * of the primary. False: the connection is lost. */
static bool skip_what_holds_nothing(struct fence *f, uint64_t *position)
{
	char now[3][64];
	uint64_t inserted, flushed;

	if (!awaited(f, *position))
		return true;
	if (!ask(f, f->control,
		    "SELECT pg_catalog.pg_current_wal_insert_lsn(),"
		    " pg_catalog.pg_current_wal_flush_lsn(), setting FROM pg_catalog.pg_settings"
		    " WHERE name OPERATOR(pg_catalog.=) 'wal_writer_delay'",
		    NULL, now, 3))
		return false;
	inserted = parse_lsn(now[0]);
	flushed = parse_lsn(now[1]);
	if (flushed <= *position &&
		holds_no_commit(f, inserted, flushed, strtoull(now[2], NULL, 10)))
		*position = inserted;

	return true;
}

static bool physical_position(struct fence *f, uint64_t *lsn)
{
	char found[2][64];

	if (!ask(f, f->candidate,
		    "SELECT pg_catalog.pg_is_in_recovery(), pg_catalog.pg_last_wal_replay_lsn()",
		    NULL, found, 2))
		return false;
	if (found[0][0] != 't') {
		complain(f, "the candidate is no standby any more", "promoted");
		return false;
	}
	*lsn = parse_lsn(found[1]);

	return true;
}

static bool slot_position(struct fence *f, const char *slot, uint64_t *lsn)
{
	char found[1][64];

	if (!ask(f, f->control,
		    "SELECT confirmed_flush_lsn FROM pg_catalog.pg_replication_slots WHERE "
		    "slot_name OPERATOR(pg_catalog.=) $1",
		    slot, found, 1))
		return false;
	*lsn = parse_lsn(found[0]);

	return true;
}

/* The apply worker tells its origin of a commit just before the commit can be seen. It applies one
 * after the other: once the origin has moved on, all can be seen up to where it was before. */
static bool origin_position(struct fence *f, uint64_t *lsn)
{
	char found[1][64];
	uint64_t now;

	*lsn = 0;
	if (!f->reads_origin)
		return true;
	if (!ask(f, f->candidate,
		    "SELECT CASE WHEN pg_catalog.count(*) OPERATOR(pg_catalog.=) 1"
		    " THEN pg_catalog.min(o.remote_lsn) END"
		    " FROM pg_catalog.pg_subscription s"
		    " LEFT JOIN pg_catalog.pg_replication_origin_status o ON o.external_id"
		    " OPERATOR(pg_catalog.=) pg_catalog.concat('pg_', s.oid) WHERE s.subenabled",
		    NULL, found, 1))
		return false;
	now = parse_lsn(found[0]);
	if (now != f->origin_lsn) {
		f->origin_before = now > f->origin_lsn ? f->origin_lsn : 0;
		f->origin_lsn = now;
	}
	*lsn = f->origin_before;

	return true;
}

/* The apply workers' last confirmed positions, while no table is still being copied: such a table
 * is behind whatever they say. Where the only one stands still because all has been confirmed, its
 * slot tells. */
static bool logical_position(struct fence *f, uint64_t *lsn)
{
	char found[3][64];
	uint64_t confirmed, applied;

	if (!ask(f, f->candidate,
		    "SELECT CASE WHEN pg_catalog.bool_and(t.latest_end_lsn IS NOT NULL)"
		    " THEN pg_catalog.min(t.latest_end_lsn) END,"
		    " CASE WHEN pg_catalog.count(DISTINCT s.oid) OPERATOR(pg_catalog.=) 1"
		    " THEN pg_catalog.min(s.subslotname::pg_catalog.text) END,"
		    " EXISTS (SELECT FROM pg_catalog.pg_subscription_rel WHERE srsubstate"
		    " OPERATOR(pg_catalog.<>) 'r')"
		    " FROM pg_catalog.pg_subscription s LEFT JOIN pg_catalog.pg_stat_subscription t"
		    " ON t.subid OPERATOR(pg_catalog.=) s.oid AND t.relid IS NULL"
		    " AND t.latest_end_lsn IS NOT NULL WHERE s.subenabled",
		    NULL, found, 3))
		return false;
	*lsn = 0;
	if (found[2][0] == 't')
		return true;
	*lsn = parse_lsn(found[0]);
	if (!origin_position(f, &applied))
		return false;
	if (applied > *lsn)
		*lsn = applied;
	if (awaited(f, *lsn) && found[1][0] && slot_position(f, found[1], &confirmed) &&
		confirmed > *lsn)
		*lsn = confirmed;

	return f->control != NULL;
}

static bool replica_position(struct fence *f, uint64_t *lsn)
{
	switch (f->in_force) {
	case FENCE_PHYSICAL: return physical_position(f, lsn);
	case FENCE_LOGICAL: return logical_position(f, lsn);
	case FENCE_SLOT: return slot_position(f, f->options.slot, lsn);
	case FENCE_HEARTBEAT:
	case FENCE_AUTO:
	case FENCE_NONE: break;
	}

	return false;
}

static bool candidate_position(struct fence *f, uint64_t *position)
{
	if (f->in_force == FENCE_HEARTBEAT)
		return read_number(f, f->candidate, f->read_beat, position);

	return replica_position(f, position) && skip_what_holds_nothing(f, position);
}

/* --- the thread: waits --------------------------------------------------------------------------
 */

static void give_back(struct fence *f, struct wait *w, enum fence_result result)
{
	uint64_t one = 1;

	w->result = result;
	pthread_mutex_lock(&f->mutex);
	w->next = f->done;
	f->done = w;
	pthread_mutex_unlock(&f->mutex);
	if (write(f->finished_fd, &one, sizeof one) < 0 && errno != EAGAIN)
		log_error("fence: cannot wake the worker: %s", strerror(errno));
}

/* Ends each open wait for which `over` gives a result. */
static void settle(struct fence *f, uint64_t position)
{
	struct wait **at = &f->open;
	uint64_t now = now_us();

	while (*at) {
		struct wait *w = *at;
		bool passed = w->position != 0 && position >= w->position;

		if (!passed && now < w->deadline_us) {
			at = &w->next;
			continue;
		}
		*at = w->next;
		give_back(f, w, passed ? FENCE_PASSED : FENCE_TIMEOUT);
	}
}

static void end_all(struct fence *f)
{
	while (f->open) {
		struct wait *w = f->open;

		f->open = w->next;
		give_back(f, w, FENCE_UNKNOWN);
	}
}

static void work(struct fence *f)
{
	uint64_t taken = 0, position = 0;

	if (f->options.kind == FENCE_NONE || !ready(f) || f->in_force == FENCE_NONE) {
		end_all(f);
		return;
	}
	for (struct wait *w = f->open; w; w = w->next) {
		if (w->position == 0 && taken == 0 && !take_position(f, &taken)) {
			end_all(f);
			return;
		}
		if (w->position == 0)
			w->position = taken;
	}
	if (candidate_position(f, &position))
		settle(f, position);
	else
		end_all(f);
}

static void pause_until(struct fence *f, uint64_t us)
{
	uint64_t when = now_us() + us;
	struct timespec t = {(time_t)(when / 1000000), (long)(when % 1000000) * 1000};

	pthread_cond_timedwait(&f->changed, &f->mutex, &t);
}

/* Takes over fresh waits, sleeping while there is nothing to do. False: stop. */
static bool next_round(struct fence *f, uint64_t *wait_us)
{
	bool stopping;

	pthread_mutex_lock(&f->mutex);
	while (!f->stopping && !f->fresh && !f->open) {
		pause_until(f, IDLE_US);
		*wait_us = poll_us;
	}
	if (!f->stopping && !f->fresh)
		pause_until(f, *wait_us);
	while (f->fresh) {
		struct wait *w = f->fresh;

		f->fresh = w->next;
		w->next = f->open;
		f->open = w;
	}
	stopping = f->stopping;
	pthread_mutex_unlock(&f->mutex);
	*wait_us = *wait_us * 2 < poll_slow_us ? *wait_us * 2 : poll_slow_us;

	return !stopping;
}

static void *fence_main(void *self)
{
	struct fence *f = self;
	uint64_t wait_us = poll_us;

	while (next_round(f, &wait_us))
		work(f);
	end_all(f);
	disconnect(f);

	return NULL;
}

/* --- the worker's side --------------------------------------------------------------------------
 */

static void deliver(struct fence *f)
{
	struct wait *list;

	pthread_mutex_lock(&f->mutex);
	list = f->done;
	f->done = NULL;
	pthread_mutex_unlock(&f->mutex);
	while (list) {
		struct wait *w = list;

		list = w->next;
		f->waits--;
		w->on_done(w->self, w->result);
		free(w);
	}
}

static void on_finished(evutil_socket_t fd, short what, void *self)
{
	uint64_t count;

	(void)what;
	if (read(fd, &count, sizeof count) == sizeof count)
		deliver(self);
}

static bool start(struct fence *f, struct event_base *base)
{
	pthread_condattr_t attributes;

	pthread_mutex_init(&f->mutex, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&f->changed, &attributes);
	pthread_condattr_destroy(&attributes);
	f->finished_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	f->finished = f->finished_fd >= 0 ? event_new(base, f->finished_fd, EV_READ | EV_PERSIST,
						    on_finished, f)
					  : NULL;

	return f->finished && event_add(f->finished, NULL) == 0 &&
	       pthread_create(&f->thread, NULL, fence_main, f) == 0;
}

struct fence *fence_new(
	struct event_base *base, const struct fence_options *options, struct error *error)
{
	struct fence *f = calloc(1, sizeof *f);

	if (f) {
		f->options = *options;
		f->in_force = options->kind;
		if (start(f, base))
			return f;
		if (f->finished)
			event_free(f->finished);
		if (f->finished_fd >= 0)
			close(f->finished_fd);
		free(f);
	}
	error_set(error, "cannot start the fence of candidate %s", options->name);

	return NULL;
}

void fence_free(struct fence *f)
{
	if (!f)
		return;
	pthread_mutex_lock(&f->mutex);
	f->stopping = true;
	pthread_cond_signal(&f->changed);
	pthread_mutex_unlock(&f->mutex);
	pthread_join(f->thread, NULL);
	deliver(f);
	event_free(f->finished);
	close(f->finished_fd);
	pthread_cond_destroy(&f->changed);
	pthread_mutex_destroy(&f->mutex);
	free(f);
}

bool fence_wait(struct fence *f, void (*on_done)(void *self, enum fence_result result), void *self)
{
	struct wait *w = f->waits < WAITS_MAX ? malloc(sizeof *w) : NULL;

	if (!w)
		return false;
	*w = (struct wait){
		.on_done = on_done, .self = self, .deadline_us = now_us() + f->options.timeout_us};
	f->waits++;
	pthread_mutex_lock(&f->mutex);
	w->next = f->fresh;
	f->fresh = w;
	pthread_cond_signal(&f->changed);
	pthread_mutex_unlock(&f->mutex);

	return true;
}

const char *fence_in_force(struct fence *f)
{
	enum fence_kind kind;

	pthread_mutex_lock(&f->mutex);
	kind = f->in_force;
	pthread_mutex_unlock(&f->mutex);

	return kind_names[kind];
}

#include "proxy/shadow/journal.h"

#include "proxy/log.h"
#include "proxy/shadow/journal_internal.h"

#include <assert.h>
#include <errno.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <uthash.h>

enum {
	EXAMPLES_MAX = 16384,	  /* remembered (shape, candidate, outcome, class); then all over */
	LOGGED_READS_MAX = 32768, /* remembered reads that have a record; further ones are not */
	RETRY_S = 1,		  /* after a failed write */
	COMPLAIN_EVERY_S = 60,	  /* about the same trouble */
	QUEUE_DEFAULT = 8 << 20,  /* queue_bytes = 0 */
};

/* One record on its way to the file. Owned by the queue. */
struct line {
	struct line *next;
	uint64_t books; /* the number of a books record; 0: another */
	size_t len;
	char *text; /* owned: ends in a newline, no NUL */
};

struct example_key {
	uint64_t shape, candidate;
	uint32_t outcome, class;
};
struct example {
	struct example_key key;
	unsigned written;
	UT_hash_handle hh;
};

/* A read of which a mismatch stands in the log. */
struct logged_read_key {
	uint64_t read[2], candidate;
};
struct logged_read {
	struct logged_read_key key;
	char id[37];	  /* of its latest record */
	uint64_t repeats; /* mismatches of it since the last books, that have no record */
	uint64_t last_us; /* wall time of the last of them */
	UT_hash_handle hh;
};

struct journal {
	/* worker thread only */
	char *path; /* NULL: no log, all calls do nothing */
	char run[37];
	struct journal_options options; /* its texts are not used after journal_new */
	uint8_t key[JOURNAL_KEY_LEN];
	struct journal_privacy privacy;
	json_t *pending_closed;
	uint64_t last_books; /* of this run in the file, when it was opened */
	struct example *examples;
	struct logged_read *reads;
	uint64_t lost_reported;
	time_t complained_s; /* about the full queue */

	/* under the mutex */
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	struct line *head, **tail;
	size_t queued_bytes;
	uint64_t file_size, lost;
	bool stopping;
	bool share;    /* the lock of the file is to be shared */
	bool fresh;    /* the file is a new one, since it was last asked */
	json_t *start; /* owned: what each new file begins with */

	atomic_bool reopen; /* before the next record */

	/* writer thread only, once it runs */
	pthread_t writer;
	bool running;
	struct journal_file file;
	uint64_t books_written;	 /* the number of the last one of this run */
	uint64_t write_failures; /* since the last success */
	time_t failure_complained_s;
};

static time_t monotonic_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);

	return now.tv_sec;
}

/* --- the writer thread --- */

/* Waits for a moment, or until the journal ends or is to be reopened. Mutex held. */
static void wait_before_retry(struct journal *j)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += RETRY_S;
	while (!j->stopping && !atomic_load(&j->reopen))
		if (pthread_cond_timedwait(&j->changed, &j->mutex, &until) == ETIMEDOUT)
			break;
}

static void complain_about_write(struct journal *j, int error)
{
	time_t now = monotonic_s();

	j->write_failures++;
	if (j->write_failures > 1 && now - j->failure_complained_s < COMPLAIN_EVERY_S)
		return;
	j->failure_complained_s = now;
	log_warning("cannot write the discrepancy log %s: %s; records wait in memory "
		    "(%llu tries failed)",
		j->path, strerror(error), (unsigned long long)j->write_failures);
}

static bool write_line(struct journal *j, const struct line *line)
{
	if (!journal_file_append(&j->file, line->text, line->len)) {
		complain_about_write(j, errno);
		return false;
	}
	if (j->write_failures > 0)
		log_info("the discrepancy log %s can be written again", j->path);
	j->write_failures = 0;
	if (line->books > 0)
		j->books_written = line->books;

	return true;
}

/* False: it stays with the file that it has. */
static bool reopen_file(struct journal *j)
{
	struct journal_file fresh;
	struct error error;

	if (!journal_file_open(&fresh, j->path, &error)) {
		log_warning("%s; the old file stays in use", error.text);
		return false;
	}
	if (journal_file_same(&fresh, &j->file)) { /* and locked */
		journal_file_close(&fresh);
		log_info("the discrepancy log %s was reopened: the same file", j->path);
		return false;
	}
	if (!journal_file_lock(&fresh, j->path, &error)) {
		log_warning("%s; the old file stays in use", error.text);
		journal_file_close(&fresh);
		return false;
	}
	journal_file_close(&j->file);
	j->file = fresh;
	log_info("the discrepancy log %s was reopened: a new file", j->path);

	return true;
}

static void line_free(struct line *line)
{
	free(line->text);
	free(line);
}

/* Mutex held. */
static struct line *take_head(struct journal *j)
{
	struct line *line = j->head;

	j->head = line->next;
	if (!j->head)
		j->tail = &j->head;
	j->queued_bytes -= line->len;

	return line;
}

static struct line *line_new(json_t *record);

/* The next record of a new file is the start, said again. Mutex held. */
static void continue_in_new_file(struct journal *j)
{
	json_t *record = j->start ? journal_record_continued(j->start, j->books_written) : NULL;
	struct line *line = record ? line_new(record) : NULL;

	json_decref(record);
	j->fresh = true;
	if (!line) {
		j->lost += j->start != NULL;
		return;
	}
	line->next = j->head;
	if (!j->head)
		j->tail = &line->next;
	j->head = line;
	j->queued_bytes += line->len;
}

/* One turn of the writer with the mutex held on both ends; false when there is nothing left and the
 * journal ends. */
static bool writer_turn(struct journal *j)
{
	bool reopen, last_try, fresh = false, written = false;
	struct line *line;

	while (!j->head && !j->stopping && !atomic_load(&j->reopen) && !j->share)
		pthread_cond_wait(&j->changed, &j->mutex);
	if (j->share) {
		j->share = false;
		journal_file_share(&j->file);
		return true;
	}
	reopen = atomic_exchange(&j->reopen, false);
	last_try = j->stopping; /* a try that began before does not count */
	line = j->head;		/* only this thread takes lines off */
	if (!reopen && !line)
		return false;
	pthread_mutex_unlock(&j->mutex);
	if (reopen)
		fresh = reopen_file(j);
	else
		written = write_line(j, line);
	pthread_mutex_lock(&j->mutex);
	j->file_size = j->file.size;
	if (fresh)
		continue_in_new_file(j);
	if (reopen)
		return true;
	if (written) {
		line_free(take_head(j));
	} else if (last_try) {
		line_free(take_head(j));
		j->lost++;
	} else if (!j->stopping) {
		wait_before_retry(j);
	}

	return true;
}

static void *writer_main(void *self)
{
	struct journal *j = self;

	pthread_mutex_lock(&j->mutex);
	while (writer_turn(j))
		;
	pthread_mutex_unlock(&j->mutex);
	journal_file_sync(&j->file);

	return NULL;
}

/* --- the queue --- */

/* lost = 0: nothing is lost, the caller keeps it. */
static void complain_about_room(struct journal *j, const char *why, uint64_t lost)
{
	time_t now = monotonic_s();

	if (j->complained_s != 0 && now - j->complained_s < COMPLAIN_EVERY_S)
		return;
	j->complained_s = now;
	if (lost == 0)
		log_warning("%s: a books record of the discrepancy log has to wait", why);
	else
		log_warning("%s: a record of the discrepancy log was lost (%llu so far)", why,
			(unsigned long long)lost);
}

/* May a line of this length go into the queue? Books, start and stop may fill the last quarter too,
 * and a books record longer than the whole queue is taken when nothing else is waiting: without it
 * the account of the log would never be whole again. Mutex held. */
static bool queue_has_room(const struct journal *j, size_t len, bool important)
{
	size_t limit = j->options.queue_bytes;

	if (important && !j->head)
		return true;

	return j->queued_bytes + len <= (important ? limit : limit - limit / 4);
}

static struct line *line_new(json_t *record)
{
	struct line *line = calloc(1, sizeof *line);
	char *longer,
		*text = record ? json_dumps(record, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;

	if (!line || !text)
		goto failed;
	line->books = (uint64_t)json_integer_value(json_object_get(record, "number"));
	line->len = strlen(text) + 1;
	longer = realloc(text, line->len + 1);
	if (!longer)
		goto failed;
	longer[line->len - 1] = '\n';
	line->text = longer;

	return line;
failed:
	free(text);
	free(line);
	return NULL;
}

/* Takes over the record (NULL: memory ran out while it was made). False when it did not get in.
 * Losses are counted, but for those of books, which the caller gives again. */
static bool enqueue(struct journal *j, json_t *record, bool important, bool given_again)
{
	struct line *line = line_new(record);
	bool taken = false;
	uint64_t lost;

	json_decref(record);
	pthread_mutex_lock(&j->mutex);
	if (line && queue_has_room(j, line->len, important)) {
		*j->tail = line;
		j->tail = &line->next;
		j->queued_bytes += line->len;
		taken = true;
		pthread_cond_signal(&j->changed);
	} else if (!given_again) {
		j->lost++;
	}
	lost = j->lost;
	pthread_mutex_unlock(&j->mutex);
	if (!taken) {
		complain_about_room(
			j, line ? "the queue is full" : "no memory", given_again ? 0 : lost);
		if (line)
			line_free(line);
	}

	return taken;
}

/* --- life --- */

enum { KEY_PATH_BYTES = 4096 };

static bool key_path(
	const struct journal_options *o, char path[KEY_PATH_BYTES], struct error *error)
{
	const char *given = o->key_file && o->key_file[0] ? o->key_file : NULL;

	return (size_t)snprintf(path, KEY_PATH_BYTES, "%s%s", given ? given : o->path,
		       given ? "" : ".key") < KEY_PATH_BYTES ||
	       error_set(error, "the name of the key file is too long");
}

static bool load_key(struct journal *j, const struct journal_options *o, struct error *error)
{
	char path[KEY_PATH_BYTES];

	j->privacy.values = o->values;
	if (o->values == VALUES_FULL)
		return true;
	j->privacy.key = j->key;

	return key_path(o, path, error) && journal_key_load(path, j->key, error);
}

bool journal_usable(const struct journal_options *o, bool *foreign, struct error *error)
{
	char path[KEY_PATH_BYTES];

	return journal_file_usable(o->path, foreign, error) &&
	       (o->values == VALUES_FULL ||
		       (key_path(o, path, error) && journal_key_usable(path, error)));
}

static void init_queue(struct journal *j)
{
	pthread_condattr_t attributes;

	j->tail = &j->head;
	pthread_mutex_init(&j->mutex, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&j->changed, &attributes);
	pthread_condattr_destroy(&attributes);
}

static bool open_log(struct journal *j, const struct journal_options *o, struct error *error)
{
	int rc;

	j->path = strdup(o->path);
	j->pending_closed = j->path ? journal_tail_pending(j->path, j->run, &j->last_books) : NULL;
	if (!j->pending_closed)
		return error_set(error, "no memory for the discrepancy log");
	if (!journal_file_open(&j->file, j->path, error) ||
		!journal_file_lock(&j->file, j->path, error) || !load_key(j, o, error))
		return false;
	j->file_size = j->file.size;
	j->books_written = j->last_books;
	rc = pthread_create(&j->writer, NULL, writer_main, j);
	if (rc != 0)
		return error_set(
			error, "cannot start the thread of the discrepancy log: %s", strerror(rc));
	j->running = true;

	return true;
}

struct journal *journal_new(
	const struct journal_options *options, const char *run, struct error *error)
{
	struct journal *j = calloc(1, sizeof *j);

	if (!j) {
		error_set(error, "no memory for the discrepancy log");
		return NULL;
	}
	snprintf(j->run, sizeof j->run, "%s", run);
	j->options = *options;
	if (j->options.queue_bytes == 0)
		j->options.queue_bytes = QUEUE_DEFAULT;
	j->file.fd = -1;
	init_queue(j);
	if (options->path && options->path[0] && !open_log(j, options, error)) {
		journal_free(j);
		return NULL;
	}

	return j;
}

static void free_examples(struct journal *j)
{
	struct example *e, *next;

	HASH_ITER (hh, j->examples, e, next) {
		HASH_DEL(j->examples, e);
		free(e);
	}
}

static void free_reads(struct journal *j)
{
	struct logged_read *r, *next;

	HASH_ITER (hh, j->reads, r, next) {
		HASH_DEL(j->reads, r);
		free(r);
	}
}

static void stop_writer(struct journal *j)
{
	pthread_mutex_lock(&j->mutex);
	j->stopping = true;
	pthread_cond_signal(&j->changed);
	pthread_mutex_unlock(&j->mutex);
	pthread_join(j->writer, NULL);
	if (j->lost > j->lost_reported)
		log_warning("%llu records of the discrepancy log were lost",
			(unsigned long long)(j->lost - j->lost_reported));
}

void journal_free(struct journal *j)
{
	if (!j)
		return;
	if (j->running)
		stop_writer(j);
	journal_file_close(&j->file);
	free_examples(j);
	free_reads(j);
	json_decref(j->pending_closed);
	json_decref(j->start);
	pthread_cond_destroy(&j->changed);
	pthread_mutex_destroy(&j->mutex);
	free(j->path);
	free(j);
}

void journal_reopen_soon(struct journal *j)
{
	atomic_store(&j->reopen, true);
}

void journal_reopen(struct journal *j)
{
	if (!j->running)
		return;
	pthread_mutex_lock(&j->mutex);
	atomic_store(&j->reopen, true);
	pthread_cond_signal(&j->changed);
	pthread_mutex_unlock(&j->mutex);
}

void journal_ending(struct journal *j)
{
	if (!j->running)
		return;
	pthread_mutex_lock(&j->mutex);
	j->share = true;
	pthread_cond_signal(&j->changed);
	pthread_mutex_unlock(&j->mutex);
}

bool journal_settled(struct journal *j)
{
	bool settled;

	pthread_mutex_lock(&j->mutex);
	settled = !j->head;
	pthread_mutex_unlock(&j->mutex);

	return settled;
}

uint64_t journal_lost(struct journal *j)
{
	uint64_t lost;

	pthread_mutex_lock(&j->mutex);
	lost = j->lost;
	pthread_mutex_unlock(&j->mutex);

	return lost;
}

/* --- records --- */

void journal_start(struct journal *j, const struct journal_start *start)
{
	json_t *record;

	if (!j->running)
		return;
	record = journal_record_start(j->run, start, j->pending_closed);
	pthread_mutex_lock(&j->mutex);
	json_decref(j->start);
	j->start = record ? json_deep_copy(record) : NULL; /* the writer's, from now on */
	pthread_mutex_unlock(&j->mutex);
	enqueue(j, record, true, false);
}

void journal_stop(struct journal *j, const char *why)
{
	if (j->running)
		enqueue(j, journal_record_stop(j->run, why), true, false);
}

bool journal_append_resolved(const char *path, const char *run, const char *id,
	const char *candidate, enum outcome outcome, struct error *error)
{
	struct line *line;
	struct journal_file file;
	json_t *record = journal_record_resolved(run, id, candidate, outcome);
	bool ok;

	line = line_new(record);
	json_decref(record);
	if (!line)
		return error_set(error, "out of memory");
	ok = journal_file_open(&file, path, error);
	if (ok) {
		ok = journal_file_append(&file, line->text, line->len);
		if (!ok)
			error_set(error, "cannot write %s: %s", path, strerror(errno));
		journal_file_close(&file);
	}
	line_free(line);

	return ok;
}

/* FNV-1a (Fowler, Noll, Vo), 64 bits. */
static uint64_t hash_text(const char *text)
{
	uint64_t h = 14695981039346656037u;

	for (; *text; text++)
		h = (h ^ (uint8_t)*text) * 1099511628211u;

	return h;
}

/* NULL: no memory. */
static struct example *example_of(struct journal *j, const struct journal_discrepancy *d)
{
	struct example_key key;
	struct example *e;

	memset(&key, 0, sizeof key); /* the padding is hashed too */
	key.shape = d->read->statement ? d->read->statement->shape_hash : 0;
	key.candidate = hash_text(d->candidate);
	key.outcome = (uint32_t)d->outcome;
	key.class = (uint32_t)d->class;
	HASH_FIND(hh, j->examples, &key, sizeof key, e);
	if (e)
		return e;
	if (HASH_COUNT(j->examples) >= EXAMPLES_MAX)
		free_examples(j);
	e = calloc(1, sizeof *e);
	if (!e)
		return NULL;
	e->key = key;
	HASH_ADD(hh, j->examples, key, sizeof e->key, e);

	return e;
}

/* --- reads that have a record --- */

static struct logged_read_key read_key(const struct journal_discrepancy *d)
{
	return (struct logged_read_key){
		{d->read_hash[0], d->read_hash[1]}, hash_text(d->candidate)};
}

/* A mismatch of it stands in the log from now on. Without memory it is not remembered: then further
 * ones count as unlogged. */
static void remember_read(struct journal *j, const struct journal_discrepancy *d, const char *id)
{
	const struct logged_read_key key = read_key(d);
	struct logged_read *r;

	if (d->outcome != OUTCOME_MISMATCH || (key.read[0] == 0 && key.read[1] == 0))
		return;
	HASH_FIND(hh, j->reads, &key, sizeof key, r);
	if (!r && HASH_COUNT(j->reads) < LOGGED_READS_MAX && (r = calloc(1, sizeof *r)) != NULL) {
		r->key = key;
		HASH_ADD(hh, j->reads, key, sizeof r->key, r);
	}
	if (r && r->repeats == 0) /* else the books have yet to name the record before */
		snprintf(r->id, sizeof r->id, "%s", id);
}

/* There is no room for it: does a record of the same read stand for it? */
static enum journal_said say_repeated(struct journal *j, const struct journal_discrepancy *d)
{
	const struct logged_read_key key = read_key(d);
	struct timespec now;
	struct logged_read *r = NULL;

	if (d->outcome == OUTCOME_MISMATCH)
		HASH_FIND(hh, j->reads, &key, sizeof key, r);
	if (!r)
		return JOURNAL_UNLOGGED;
	clock_gettime(CLOCK_REALTIME, &now);
	r->repeats++;
	r->last_us = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;

	return JOURNAL_REPEATED;
}

static json_t *repeated_of(const struct journal *j, const char *candidate)
{
	const uint64_t hash = hash_text(candidate);
	json_t *by_id = json_object();

	for (const struct logged_read *r = j->reads; r; r = r->hh.next)
		if (r->repeats > 0 && r->key.candidate == hash)
			json_object_set_new(by_id, r->id,
				json_pack("{s:I, s:o}", "count", (json_int_t)r->repeats, "last",
					journal_time(r->last_us)));

	return by_id;
}

bool journal_books(struct journal *j, const struct journal_books *b)
{
	uint64_t lost;
	json_t *repeated;
	bool taken;

	if (!j->running)
		return true;
	lost = journal_lost(j);
	repeated = json_object();
	for (size_t i = 0; i < b->ncandidates; i++)
		json_object_set_new(repeated, b->candidates[i], repeated_of(j, b->candidates[i]));
	taken = enqueue(
		j, journal_record_books(j->run, b, repeated, lost - j->lost_reported), true, true);
	json_decref(repeated);
	if (!taken)
		return false;
	j->lost_reported = lost;
	for (struct logged_read *r = j->reads; r; r = r->hh.next)
		r->repeats = 0;

	return true;
}

/* A new file has examples of its own, so that it tells the whole by itself. What the books have yet
 * to say of records in the file before is kept. */
static void begin_examples(struct journal *j)
{
	struct logged_read *r, *next;

	free_examples(j);
	HASH_ITER (hh, j->reads, r, next) {
		if (r->repeats > 0)
			continue;
		HASH_DEL(j->reads, r);
		free(r);
	}
}

static bool file_has_room(struct journal *j)
{
	bool room, fresh;

	pthread_mutex_lock(&j->mutex);
	fresh = j->fresh;
	j->fresh = false;
	room = j->options.max_bytes == 0 || j->file_size + j->queued_bytes < j->options.max_bytes;
	pthread_mutex_unlock(&j->mutex);
	if (fresh)
		begin_examples(j);

	return room;
}

enum journal_said journal_discrepancy(
	struct journal *j, const struct journal_discrepancy *d, char id[37])
{
	struct example *e;

	uuid_v7(id);
	if (!j->running)
		return JOURNAL_UNLOGGED;
	e = file_has_room(j) ? example_of(j, d) : NULL;
	if (!e || e->written >= j->options.examples_per_shape ||
		!enqueue(j, journal_record_discrepancy(j->run, &j->privacy, d, id), false, false))
		return say_repeated(j, d);
	e->written++;
	remember_read(j, d, id);

	return JOURNAL_LOGGED;
}

/* --- names and times --- */

void uuid_v7(char out[37])
{
	struct timespec now;
	uint8_t b[16];
	uint64_t ms;
	unsigned fraction;

	clock_gettime(CLOCK_REALTIME, &now);
	ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
	/* RFC 9562 section 6.2, method 3: the 12 bits hold the fraction of the millisecond. */
	fraction = (unsigned)((uint64_t)(now.tv_nsec % 1000000) * 4096 / 1000000);
	if (RAND_bytes(b + 8, 8) != 1)
		for (unsigned i = 8; i < 16; i++)
			b[i] = (uint8_t)((uint64_t)random() >> 8);
	for (unsigned i = 0; i < 6; i++)
		b[i] = (uint8_t)(ms >> (40 - 8 * i));
	b[6] = (uint8_t)(0x70 | fraction >> 8);
	b[7] = (uint8_t)fraction;
	b[8] = (uint8_t)(0x80 | (b[8] & 0x3f));
	snprintf(out, 37, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
		b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12],
		b[13], b[14], b[15]);
}

void rfc3339(uint64_t wall_us, char out[32])
{
	time_t seconds = (time_t)(wall_us / 1000000);
	char date[24] = "1970-01-01T00:00:00";
	struct tm tm;

	if (gmtime_r(&seconds, &tm))
		strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(out, 32, "%.19s.%06uZ", date, (unsigned)(wall_us % 1000000));
}

uint64_t journal_last_books(const struct journal *j)
{
	return j->last_books;
}

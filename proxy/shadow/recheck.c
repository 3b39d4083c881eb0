#include "proxy/shadow/recheck.h"

#include "proxy/shadow/databases.h"
#include "proxy/shadow/worker_internal.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum {
	STACK_BYTES = 256 << 20, /* the parser is recursive; only touched pages cost memory */
	AT_ONCE = 16,
	LOAD_SECONDS = 60, /* for catalogues */
	LOOK_AGAIN_MS = 20,
};

struct recheck_job {
	const struct config *config;
	struct recheck *items;
	size_t count, next, open;
	struct worker *worker;
	struct error *error;
	bool ok;
};

/* One item on its way: what callbacks get. */
struct running {
	struct recheck_job *job;
	struct recheck *item;
	unsigned candidate;
};

static void end_with(struct recheck *item, enum recheck_end end, const char *why)
{
	item->end = end;
	snprintf(item->why, sizeof item->why, "%s", why);
}

/* ---- verdicts ---- */

static enum recheck_end meaning(enum outcome outcome)
{
	switch (outcome) {
	case OUTCOME_MATCHED:
	case OUTCOME_MATCHED_AFTER_LAG:
	case OUTCOME_MATCHED_AFTER_CHANGE: return RECHECK_CLOSED;
	case OUTCOME_WAIVED: return RECHECK_WAIVED;
	case OUTCOME_MISMATCH: return RECHECK_DIFFERS;
	default: return RECHECK_UNDECIDED;
	}
}

static void on_verdict(void *self, unsigned candidate, const struct dark_read *read,
	enum outcome outcome, enum reason reason)
{
	struct recheck_job *job = self;

	(void)candidate;
	for (size_t i = 0; i < job->next; i++) {
		struct recheck *item = &job->items[i];

		if (item->read != read || item->end != RECHECK_OPEN)
			continue;
		item->outcome = outcome;
		item->reason = reason;
		item->end = meaning(outcome);
		job->open--;
		return;
	}
}

/* The control's answer of now is what the candidate's is compared with. */
static void on_control(void *self, struct mirror_answer *answer)
{
	struct running *run = self;
	struct recheck_job *job = run->job;
	struct worker *w = job->worker;
	struct dark_read *read = run->item->read;

	if (answer->status == MIRROR_ANSWERED) {
		result_release(&read->primary);
		read->primary = answer->result;
		result_init(&answer->result, 0);
		books_seen(&w->page->books, run->candidate);
		verifier_read_on(w->verifier, run->candidate, dark_read_ref(read));
	} else {
		run->item->outcome = OUTCOME_UNVERIFIABLE;
		run->item->reason = REASON_CONTROL_FAILED;
		end_with(run->item, RECHECK_UNDECIDED, answer->text);
		job->open--;
	}
	free(run);
}

/* ---- beginnings ---- */

/* May it run, by this catalogue? *out is a reference then. */
static enum reason decide(
	struct classifier *c, const struct dark_read *read, const struct statement **out)
{
	struct text_parts parts;
	enum reason reason = REASON_UNPARSED;

	if (!classify_text(c, span_cstr(read->sql), &parts))
		return REASON_MEMORY;
	if (parts.count == 1) {
		reason = parts.part[0].statement->skip;
		if (reason == REASON_NONE)
			*out = statement_ref(parts.part[0].statement);
	}
	text_parts_release(&parts);

	return reason;
}

/* By the catalogues of both sides; false: it has ended. */
static bool allowed(struct recheck *item, const struct database *db, unsigned candidate)
{
	const struct database_candidate *c = &db->candidate[candidate];
	const struct statement *ours = NULL, *theirs = NULL;
	enum reason reason;
	char why[100];

	if (!c->name || !c->ready || !db->primary) {
		end_with(item, c->name ? RECHECK_UNDECIDED : RECHECK_IMPOSSIBLE,
			!c->name    ? "the candidate has no such database"
			: !c->ready ? "the candidate's catalogue cannot be read"
				    : "the control's catalogue cannot be read");
		item->outcome = OUTCOME_UNVERIFIABLE;
		return false;
	}
	reason = decide(db->primary_classifier, item->read, &ours);
	if (reason == REASON_NONE)
		reason = decide(c->classifier, item->read, &theirs);
	if (ours)
		statement_unref(ours);
	if (reason == REASON_NONE) {
		item->read->statement = theirs;
		return true;
	}
	snprintf(why, sizeof why, "it may not run: %s, %s", reason_name(reason),
		reason_help(reason));
	end_with(item, RECHECK_IMPOSSIBLE, why);

	return false;
}

static bool find_candidate(const struct worker *w, const char *name, unsigned *at)
{
	for (*at = 0; *at < w->ncandidates; ++*at)
		if (strcmp(w->names[*at], name) == 0)
			return true;

	return false;
}

static void begin(struct recheck_job *job, struct recheck *item)
{
	struct worker *w = job->worker;
	const struct database *db = databases_find(w->databases, item->read->database);
	struct running *run;
	enum reason reason;
	unsigned candidate;
	char why[120];

	if (!find_candidate(w, item->candidate, &candidate)) {
		snprintf(why, sizeof why, "the configuration has no [candidate %.63s]",
			item->candidate);
		end_with(item, RECHECK_IMPOSSIBLE, why);
		return;
	}
	if (!db)
		end_with(item, RECHECK_UNDECIDED, "out of memory");
	if (!db || !allowed(item, db, candidate))
		return;
	run = malloc(sizeof *run);
	item->outcome = OUTCOME_UNVERIFIABLE;
	if (!run) {
		end_with(item, RECHECK_UNDECIDED, "out of memory");
		return;
	}
	*run = (struct running){job, item, candidate};
	job->open++;
	if (mirror_submit(w->control, item->read, 0, on_control, run, &reason))
		return;
	job->open--;
	free(run);
	end_with(item, RECHECK_UNDECIDED, reason_help(reason));
}

/* ---- the loop ---- */

static uint64_t monotonic_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);

	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void on_look_again(evutil_socket_t fd, short what, void *self)
{
	(void)fd;
	(void)what;
	(void)self;
}

static bool loading(const struct recheck_job *job)
{
	for (size_t i = 0; i < job->count; i++) {
		const struct dark_read *read = job->items[i].read;
		const struct database *db =
			read ? databases_find(job->worker->databases, read->database) : NULL;

		if (db && !db->tried)
			return true;
	}

	return false;
}

static void load(struct recheck_job *job)
{
	uint64_t until = monotonic_ms() + LOAD_SECONDS * 1000;

	for (size_t i = 0; i < job->count; i++)
		if (job->items[i].end == RECHECK_OPEN)
			(void)worker_database(job->worker, job->items[i].read->database);
	while (loading(job) && monotonic_ms() < until)
		if (event_base_loop(job->worker->base, EVLOOP_ONCE) != 0)
			return;
}

static void run_items(struct recheck_job *job)
{
	struct timeval again = {0, LOOK_AGAIN_MS * 1000};
	struct event *look = event_new(job->worker->base, -1, EV_PERSIST, on_look_again, NULL);

	if (!look || event_add(look, &again) != 0) {
		error_set(job->error, "out of memory");
		goto done;
	}
	load(job);
	while (job->next < job->count || job->open > 0) {
		while (job->next < job->count && job->open < AT_ONCE) {
			struct recheck *item = &job->items[job->next++];

			if (item->end == RECHECK_OPEN)
				begin(job, item);
		}
		if (job->open > 0 && event_base_loop(job->worker->base, EVLOOP_ONCE) != 0) {
			error_set(job->error, "the event loop failed");
			goto done;
		}
	}
	job->ok = true;
done:
	if (look)
		event_free(look);
}

static void *job_main(void *self)
{
	struct recheck_job *job = self;
	struct shadow_page *page = calloc(1, sizeof *page);
	int wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

	if (!page || wake_fd < 0)
		error_set(job->error, "out of memory");
	else
		job->worker = worker_new(job->config, page, NULL, 0, NULL, wake_fd, job->error);
	if (job->worker && !job->worker->control)
		error_set(job->error, "both sides are asked again: [control] is needed");
	else if (job->worker) {
		verifier_watch(job->worker->verifier, on_verdict, job);
		run_items(job);
	}
	worker_free(job->worker);
	if (wake_fd >= 0)
		close(wake_fd);
	free(page);

	return NULL;
}

bool recheck_run(
	const struct config *config, struct recheck *items, size_t count, struct error *error)
{
	struct recheck_job job = {.config = config, .items = items, .count = count, .error = error};
	pthread_attr_t attributes;
	pthread_t thread;
	int failed;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK_BYTES);
	failed = pthread_create(&thread, &attributes, job_main, &job);
	pthread_attr_destroy(&attributes);
	if (failed)
		return error_set(error, "cannot start a thread");
	pthread_join(thread, NULL);

	return job.ok;
}

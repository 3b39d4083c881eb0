#define _GNU_SOURCE
#include "proxy/shadow/connector.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <unistd.h>

enum {
	RUN_TIMEOUT_US = 60 * 1000 * 1000, /* statement_timeout of connector_run's connections */
	MAX_PARAMETERS = 128,
};

enum job_kind { JOB_OPEN, JOB_FINISH, JOB_RUN };

struct job {
	TAILQ_ENTRY(job) link;
	enum job_kind kind;
	char *conninfo, *database; /* owned, may be NULL */
	struct connector_target target;
	struct connector_opened opened;
	PGconn *connection; /* JOB_FINISH */
	void (*on_opened)(void *self, struct connector_opened *opened);
	void *(*run)(void *self, PGconn *connection, const char *connect_error);
	void (*on_run)(void *self, void *result);
	void *self, *result;
};
TAILQ_HEAD(jobs, job);

struct connector {
	pthread_t thread;
	pthread_mutex_t mutex; /* guards what follows up to `stopping` */
	pthread_cond_t wake;
	struct jobs waiting, finished;
	unsigned nwaiting;
	bool stopping;
	int notify_fd; /* eventfd: something is in `finished` */
	struct event *notified;
};

/* --- connecting (connector's thread) --- */

struct parameters {
	const char *names[MAX_PARAMETERS + 1], *values[MAX_PARAMETERS + 1];
	size_t n;
};

/* The last value given for a name counts; an empty slot at the end stays NULL. */
static void set_parameter(struct parameters *p, const char *name, const char *value)
{
	size_t i = 0;

	while (i < p->n && strcmp(p->names[i], name) != 0)
		i++;
	if (i == MAX_PARAMETERS)
		return;
	p->names[i] = name;
	p->values[i] = value;
	if (i == p->n)
		p->n++;
}

static const char *get_parameter(const struct parameters *p, const char *name)
{
	for (size_t i = 0; i < p->n; i++)
		if (strcmp(p->names[i], name) == 0)
			return p->values[i];

	return NULL;
}

static char *server_options(const struct parameters *given, uint64_t statement_timeout_us)
{
	const char *before = get_parameter(given, "options");
	unsigned long long ms = statement_timeout_us / 1000 ? statement_timeout_us / 1000 : 1;
	char *text;

	if (asprintf(&text,
		    "%s%s-c default_transaction_read_only=on -c statement_timeout=%llu"
		    " -c lock_timeout=%llu -c idle_in_transaction_session_timeout=%llu",
		    before ? before : "", before ? " " : "", ms, ms / 2 + 1, ms + 5000) < 0)
		return NULL;

	return text;
}

static PGconn *connect_with(
	PQconninfoOption *given, const struct connector_target *target, char *why, size_t size)
{
	struct parameters p = {0};
	PGconn *connection;
	char *options;

	for (PQconninfoOption *o = given; o->keyword; o++)
		if (o->val)
			set_parameter(&p, o->keyword, o->val);
	if (!get_parameter(&p, "connect_timeout"))
		set_parameter(&p, "connect_timeout", "5");
	if (target->database)
		set_parameter(&p, "dbname", target->database);
	options = server_options(&p, target->statement_timeout_us);
	if (!options) {
		snprintf(why, size, "out of memory");
		return NULL;
	}
	set_parameter(&p, "options", options);
	set_parameter(&p, "gssencmode", "disable");
	set_parameter(&p, "application_name", "pgumbra");

	connection = PQconnectdbParams(p.names, p.values, 0);
	free(options);

	return connection;
}

/* libpq's messages end in a newline and may have several lines. */
static void copy_line(char *into, size_t size, const char *text)
{
	size_t n = strcspn(text, "\n");

	snprintf(into, size, "%.*s", (int)(n < size ? n : size - 1), text);
}

static PGconn *open_connection(const struct connector_target *target, char *why, size_t size)
{
	PQconninfoOption *given;
	PGconn *connection;
	char *message = NULL;

	given = PQconninfoParse(target->conninfo, &message);
	if (!given) {
		copy_line(why, size, message ? message : "out of memory");
		PQfreemem(message);
		return NULL;
	}
	connection = connect_with(given, target, why, size);
	PQconninfoFree(given);
	if (connection && PQstatus(connection) != CONNECTION_OK) {
		copy_line(why, size, PQerrorMessage(connection));
		PQfinish(connection);
		connection = NULL;
	}

	return connection;
}

bool conninfo_has_database(const char *conninfo)
{
	PQconninfoOption *given = PQconninfoParse(conninfo, NULL);
	bool has = false;

	if (!given)
		return false;
	for (PQconninfoOption *o = given; o->keyword; o++)
		if (strcmp(o->keyword, "dbname") == 0)
			has = o->val != NULL;
	PQconninfoFree(given);

	return has;
}

/* --- jobs (connector's thread) --- */

static void ignore_notice(void *self, const PGresult *notice)
{
	(void)self;
	(void)notice;
}

static void do_open(struct job *job)
{
	struct connector_opened *o = &job->opened;

	o->connection = open_connection(&job->target, o->text, sizeof o->text);
	if (!o->connection)
		return;
	PQsetNoticeReceiver(o->connection, ignore_notice, NULL);
	if (job->target.accept && !job->target.accept(job->target.accept_self, o->connection,
					  o->text, sizeof o->text))
		o->refused = true;
	else if (PQisBusy(o->connection) || PQtransactionStatus(o->connection) != PQTRANS_IDLE)
		snprintf(o->text, sizeof o->text, "the server is not idle after login");
	else
		return;
	PQfinish(o->connection);
	o->connection = NULL;
}

static void do_run(struct job *job)
{
	char why[256] = "out of memory";
	PGconn *connection = open_connection(&job->target, why, sizeof why);

	if (connection)
		PQsetNoticeReceiver(connection, ignore_notice, NULL);
	job->result = job->run(job->self, connection, connection ? NULL : why);
	PQfinish(connection);
}

static void do_job(struct job *job)
{
	switch (job->kind) {
	case JOB_OPEN: do_open(job); break;
	case JOB_RUN: do_run(job); break;
	case JOB_FINISH: PQfinish(job->connection); break;
	}
}

static void notify(struct connector *c)
{
	const uint64_t one = 1;

	/* It can only fail when the counter is at its maximum: then the loop is woken anyhow. */
	if (write(c->notify_fd, &one, sizeof one) < 0)
		assert(errno == EAGAIN);
}

static void *connector_main(void *self)
{
	struct connector *c = self;
	struct job *job;

	pthread_mutex_lock(&c->mutex);
	for (;;) {
		while (!c->stopping && TAILQ_EMPTY(&c->waiting))
			pthread_cond_wait(&c->wake, &c->mutex);
		if (c->stopping)
			break;
		job = TAILQ_FIRST(&c->waiting);
		TAILQ_REMOVE(&c->waiting, job, link);
		c->nwaiting--;
		pthread_mutex_unlock(&c->mutex);

		do_job(job);

		pthread_mutex_lock(&c->mutex);
		TAILQ_INSERT_TAIL(&c->finished, job, link);
		notify(c);
	}
	pthread_mutex_unlock(&c->mutex);

	return NULL;
}

/* --- worker's side --- */

static void job_free(struct job *job)
{
	if (!job)
		return;
	free(job->conninfo);
	free(job->database);
	free(job);
}

static struct job *job_new(enum job_kind kind, const struct connector_target *target)
{
	struct job *job = calloc(1, sizeof *job);

	if (!job || !target) {
		if (job)
			job->kind = kind;
		return job;
	}
	job->kind = kind;
	job->conninfo = strdup(target->conninfo);
	job->database = target->database ? strdup(target->database) : NULL;
	if (!job->conninfo || (target->database && !job->database)) {
		job_free(job);
		return NULL;
	}
	job->target = *target;
	job->target.conninfo = job->conninfo;
	job->target.database = job->database;

	return job;
}

/* `forced` jobs pass the limit: their number is bounded by the connections that exist. */
static bool push(struct connector *c, struct job *job, bool forced)
{
	bool taken;

	pthread_mutex_lock(&c->mutex);
	taken = forced || c->nwaiting < CONNECTOR_QUEUE;
	if (taken) {
		TAILQ_INSERT_TAIL(&c->waiting, job, link);
		c->nwaiting++;
		pthread_cond_signal(&c->wake);
	}
	pthread_mutex_unlock(&c->mutex);

	return taken;
}

bool connector_open(struct connector *c, const struct connector_target *target,
	void (*done)(void *self, struct connector_opened *opened), void *self)
{
	struct job *job = job_new(JOB_OPEN, target);

	if (!job)
		return false;
	job->on_opened = done;
	job->self = self;
	snprintf(job->opened.text, sizeof job->opened.text, "not tried: shutting down");
	if (!push(c, job, false)) {
		job_free(job);
		return false;
	}

	return true;
}

void connector_finish(struct connector *c, PGconn *connection)
{
	struct job *job = job_new(JOB_FINISH, NULL);

	if (!job) {
		PQfinish(connection);
		return;
	}
	job->connection = connection;
	(void)push(c, job, true);
}

/* Takes a job that could not be queued through `finished`, so that its done still comes. */
static void finish_unrun(struct connector *c, struct job *job)
{
	pthread_mutex_lock(&c->mutex);
	TAILQ_INSERT_TAIL(&c->finished, job, link);
	notify(c);
	pthread_mutex_unlock(&c->mutex);
}

void connector_run(struct connector *c, const char *conninfo,
	void *(*job_function)(void *self, PGconn *connection, const char *connect_error),
	void (*done)(void *self, void *result), void *self)
{
	const struct connector_target target = {
		.conninfo = conninfo, .statement_timeout_us = RUN_TIMEOUT_US};
	struct job *job = job_new(JOB_RUN, &target);

	if (!job) {
		done(self, NULL);
		return;
	}
	job->run = job_function;
	job->on_run = done;
	job->self = self;
	if (!push(c, job, false))
		finish_unrun(c, job);
}

static void deliver(struct job *job)
{
	switch (job->kind) {
	case JOB_OPEN: job->on_opened(job->self, &job->opened); break;
	case JOB_RUN: job->on_run(job->self, job->result); break;
	case JOB_FINISH: break;
	}
	job_free(job);
}

static void deliver_finished(struct connector *c)
{
	struct jobs jobs = TAILQ_HEAD_INITIALIZER(jobs);
	struct job *job;

	pthread_mutex_lock(&c->mutex);
	TAILQ_CONCAT(&jobs, &c->finished, link);
	pthread_mutex_unlock(&c->mutex);
	while ((job = TAILQ_FIRST(&jobs))) {
		TAILQ_REMOVE(&jobs, job, link);
		deliver(job);
	}
}

static void on_notified(evutil_socket_t fd, short what, void *self)
{
	uint64_t count;

	(void)what;
	if (read(fd, &count, sizeof count) == sizeof count)
		deliver_finished(self);
}

static bool start(struct connector *c, struct event_base *base, struct error *error)
{
	int failure;

	c->notify_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (c->notify_fd < 0)
		return error_set(error, "eventfd: %s", strerror(errno));
	c->notified = event_new(base, c->notify_fd, EV_READ | EV_PERSIST, on_notified, c);
	if (!c->notified || event_add(c->notified, NULL) < 0)
		return error_set(error, "out of memory");
	failure = pthread_create(&c->thread, NULL, connector_main, c);
	if (failure)
		return error_set(error, "cannot start a thread: %s", strerror(failure));

	return true;
}

static void release(struct connector *c)
{
	if (c->notified)
		event_free(c->notified);
	if (c->notify_fd >= 0)
		close(c->notify_fd);
	pthread_cond_destroy(&c->wake);
	pthread_mutex_destroy(&c->mutex);
	free(c);
}

struct connector *connector_new(struct event_base *base, struct error *error)
{
	struct connector *c = calloc(1, sizeof *c);

	if (!c) {
		error_set(error, "out of memory");
		return NULL;
	}
	c->notify_fd = -1;
	TAILQ_INIT(&c->waiting);
	TAILQ_INIT(&c->finished);
	pthread_mutex_init(&c->mutex, NULL);
	pthread_cond_init(&c->wake, NULL);
	if (!start(c, base, error)) {
		release(c);
		return NULL;
	}

	return c;
}

/* What the thread left undone: connections are closed here, the rest is told that nothing came. */
static void deliver_waiting(struct connector *c)
{
	struct job *job;

	while ((job = TAILQ_FIRST(&c->waiting))) {
		TAILQ_REMOVE(&c->waiting, job, link);
		if (job->kind == JOB_FINISH)
			PQfinish(job->connection);
		deliver(job);
	}
}

void connector_free(struct connector *c)
{
	if (!c)
		return;
	pthread_mutex_lock(&c->mutex);
	c->stopping = true;
	pthread_cond_signal(&c->wake);
	pthread_mutex_unlock(&c->mutex);
	pthread_join(c->thread, NULL);

	deliver_finished(c);
	deliver_waiting(c);
	release(c);
}

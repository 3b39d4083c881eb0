/* The connector's side that the mirror uses: opening connections for a pool and closing them, both
 * on the connector's thread, because libpq may block in name resolution and in PQfinish.
 *
 * Every job's `done` is called exactly once on the thread that owns the event base: on the loop, or
 * inside connector_free for what was still under way. So what `self` points to must outlive the
 * connector.
 */
#ifndef PGUMBRA_SHADOW_CONNECTOR_H
#define PGUMBRA_SHADOW_CONNECTOR_H

#include "proxy/shadow/mirror.h"

enum { CONNECTOR_QUEUE = 1024 }; /* jobs that may wait */

struct connector_target {
	const char *conninfo;
	const char *database; /* goes over conninfo's dbname; NULL: what conninfo says */
	uint64_t statement_timeout_us;
	bool (*accept)(void *self, PGconn *connection, char *why, size_t size); /* may be NULL */
	void *accept_self;
};

struct connector_opened {
	PGconn *connection; /* handed over to `done`; NULL: failed or refused */
	bool refused;	    /* by accept */
	char text[256];	    /* why there is none */
};

/* Opens a connection; the texts are copied. False: out of memory or too many jobs wait. */
bool connector_open(struct connector *c, const struct connector_target *target,
	void (*done)(void *self, struct connector_opened *opened), void *self)
	__attribute__((warn_unused_result));
/* Closes a connection, on this thread if it cannot be queued. */
void connector_finish(struct connector *c, PGconn *connection);
/* Does the connection string name a database? False too when it can't be parsed. */
bool conninfo_has_database(const char *conninfo);

#endif

/* Looking a role's SCRAM secret up by a query at the primary: a thread with one libpq connection,
 * which may wait, so that no relay thread does.
 *
 * The query gets the role's name as $1 and gives the secret in its only column, or in its second
 * (PgBouncer's form: role, secret); no row, NULL and what is no SCRAM secret mean that there is
 * none. It is run as a role of its own, with an empty search_path: whatever it names must be
 * schema-qualified, and nothing of a client's startup packet reaches that session.
 *
 * Bounded: at most `limit` questions wait; one that nobody waits for any more is not asked. An
 * answer is copied out and wiped where libpq held it as a value.
 */
#ifndef PGUMBRA_PROXY_RELAY_AUTH_QUERY_H
#define PGUMBRA_PROXY_RELAY_AUTH_QUERY_H

#include "protocol/error.h"
#include "proxy/relay/auth_file.h"
#include "proxy/tape.h"

enum auth_found { AUTH_KNOWN, AUTH_UNKNOWN, AUTH_FAILED };

/* Borrowed; the password comes from a passfile, as libpq looks for it. */
struct auth_query_settings {
	const char *conninfo; /* of the primary */
	const char *user, *dbname, *query;
};

/* One question, and its answer. Owned by who holds it: the session that makes it, then the queue,
 * then whom on_done hands it to. */
struct auth_lookup {
	struct auth_lookup *next;
	void *asker;		/* for on_done */
	struct tape_session id; /* the same */
	uint64_t deadline_us;	/* CLOCK_MONOTONIC */
	char role[AUTH_ROLE_BYTES_MAX + 1];
	enum auth_found found;
	struct scram_secret secret;
};

struct auth_lookup *auth_lookup_new(struct span role); /* NULL when out of memory */
void auth_lookup_free(struct auth_lookup *l);	       /* wipes */
/* The usual list between threads: one exchanges it for NULL, others push. */
void auth_lookup_push(_Atomic(struct auth_lookup *) *list, struct auth_lookup *l);

struct auth_query;

/* Starts the thread; texts are copied. on_done is called there. */
struct auth_query *auth_query_new(const struct auth_query_settings *settings, unsigned limit,
	void (*on_done)(struct auth_lookup *), struct error *error);
/* Ends the thread; questions that wait are dropped. */
void auth_query_free(struct auth_query *q);
/* Any thread. False: too many wait; the lookup stays the caller's. */
bool auth_query_ask(struct auth_query *q, struct auth_lookup *l);

/* One question in this thread, with a connection for it alone: for `check`. */
enum auth_found auth_query_once(
	const struct auth_query_settings *settings, const char *role, struct error *error);

#endif

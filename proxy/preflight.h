/* Is the role that pgumbra uses on a candidate harmless (L3), and do two servers agree on what
 * shapes results? Asked before anything is mirrored, by `run` and `check`, through libpq, blocking.
 *
 * What counts is what the session user can reach: its own grants, those of PUBLIC, and those of
 * every role that it is a member of, inherited or by SET ROLE. Ownership and grants are read from
 * the catalogues with an empty search_path in a read-only session, a question for each kind; a
 * question that fails is itself a finding that forbids, because doubt means no.
 */
#ifndef PGUMBRA_PROXY_PREFLIGHT_H
#define PGUMBRA_PROXY_PREFLIGHT_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>

enum preflight_level { PREFLIGHT_WARNING, PREFLIGHT_FORBIDS };

struct preflight_finding {
	enum preflight_level level;
	char *where; /* "candidate new, database shop" */
	char *what;
	char *mend; /* a statement or an advice; "" if there is none */
};

struct preflight_findings {
	struct preflight_finding *list; /* owned */
	size_t count;
	bool failed; /* out of memory: the list is not whole, which forbids too */
};

void preflight_release(struct preflight_findings *f);
bool preflight_forbids(const struct preflight_findings *f);
void preflight_add(struct preflight_findings *f, enum preflight_level level, const char *where,
	const char *mend, const char *format, ...) __attribute__((format(printf, 5, 6)));

/* The role's attributes and memberships, then what it owns and may write in this database. */
void preflight_candidate_role(PGconn *conn, const char *where, struct preflight_findings *f);
/* The two halves: the first is the same in every database of a server. False: a superuser, for whom
 * the second says nothing more. */
bool preflight_role(PGconn *conn, const char *where, struct preflight_findings *f);
void preflight_database(PGconn *conn, const char *where, struct preflight_findings *f);

/* Connects as the mirror will. dbname NULL: the string's own. NULL with *why filled when there is
 * no connection. The caller closes it with PQfinish. */
PGconn *preflight_connect(const char *conninfo, const char *dbname, char *why, size_t size);
bool conninfo_has_dbname(const char *conninfo);

/* The whole of one server: connects, then looks at the role and at every database that dark reads
 * can go to (the one of the connection string, or all that the role may connect to). False: it
 * can't be reached, which is a warning in f. */
bool preflight_server(const char *conninfo, const char *where, struct preflight_findings *f);

/* Warnings for settings of server and database that make equal data look different. */
void preflight_compare_settings(
	PGconn *control, PGconn *candidate, const char *where, struct preflight_findings *f);

#endif

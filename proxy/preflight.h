/* Is the role that pgumbra uses on a candidate harmless (L3), and do two servers agree on what
 * shapes results? Asked before anything is mirrored, by `run` and `check`, through libpq, blocking.
 *
 * What counts is what the session user can reach: its own grants, those of PUBLIC, and those of
 * every role that it is a member of, inherited or by SET ROLE. Ownership and grants are read from
 * the catalogues with an empty search_path in a read-only session, a question for each kind; a
 * question that fails is itself a finding that forbids, because doubt means no. What two servers
 * differ in never forbids; that they are one does: then nothing would be compared with anything.
 */
#ifndef PGUMBRA_PROXY_PREFLIGHT_H
#define PGUMBRA_PROXY_PREFLIGHT_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>

enum preflight_level { PREFLIGHT_INFORMATION, PREFLIGHT_WARNING, PREFLIGHT_FORBIDS };

/* "information", "warning", "forbids". */
const char *preflight_level_name(enum preflight_level level);

/* All texts owned. */
struct preflight_finding {
	enum preflight_level level;
	char *kind;  /* one word: "role", "setting", "collation" */
	char *where; /* "candidate new, database shop" */
	char *what;
	char *effect; /* on results; "" where `what` says it already */
	char *mend;   /* a statement or an advice; "" if there is none */
};

struct preflight_findings {
	struct preflight_finding *list; /* owned */
	size_t count;
	bool impersonates;	  /* see preflight_candidate_role_as; for what looks at roles */
	bool of_primary;	  /* the control: applications may need what a candidate doesn't.
				     No mend takes anything from a role other than pgumbra's, there
				     from PUBLIC neither */
	bool renames;		  /* the candidate's databases have other names than the clients' */
	bool failed;		  /* out of memory: the list is not whole, which forbids too */
	bool forbids_as_warnings; /* lowers what is added from now on */
	/* Called with each finding when it is added; may be NULL. */
	void (*on_finding)(void *arg, const struct preflight_finding *finding);
	void *arg;
};

void preflight_release(struct preflight_findings *f);
bool preflight_forbids(const struct preflight_findings *f);

/* What the findings of one kind have in common. */
struct preflight_topic {
	enum preflight_level level;
	const char *kind, *effect, *mend;
};

void preflight_say(struct preflight_findings *f, const struct preflight_topic *topic,
	const char *where, const char *format, ...) __attribute__((format(printf, 4, 5)));
/* The same for the kind "role", without an effect. */
void preflight_add(struct preflight_findings *f, enum preflight_level level, const char *where,
	const char *mend, const char *format, ...) __attribute__((format(printf, 5, 6)));

/* The findings as lines for the log, worst first, each with its NUL, an empty line at the end. What
 * doesn't fit is counted in the last line. size >= 100. */
void preflight_lines(const struct preflight_findings *f, char *out, size_t size);

/* --- looking at several servers at once, in bounded time --- */

struct preflight_job {
	const char *name; /* borrowed; "candidate new" */
	void (*look)(const struct preflight_job *job, struct preflight_findings *f);
	const void *arg; /* borrowed */
};

/* Does each job in a process of its own, so that one that hangs (in a name's resolution, too) can
 * be left behind; what it had found by then counts. A job that isn't done within the limit is a
 * warning, one that breaks down forbids. Call while the process has one thread. */
void preflight_gather(
	const struct preflight_job *jobs, size_t count, int limit_ms, struct preflight_findings *f);

/* The role's attributes and memberships, then what it owns and may write in this database. */
void preflight_candidate_role(PGconn *conn, const char *where, struct preflight_findings *f);
/* The same for a role that takes on the applications' roles (impersonate = set_role): it must be
 * their member without inheriting from them. What it reaches by SET ROLE alone is a warning then,
 * as far as READ ONLY holds it. */
void preflight_candidate_role_as(
	PGconn *conn, const char *where, bool impersonates, struct preflight_findings *f);
/* The two halves: the first is the same in every database of a server. False: a superuser, for whom
 * the second says nothing more. */
bool preflight_role(PGconn *conn, const char *where, struct preflight_findings *f);
void preflight_database(PGconn *conn, const char *where, struct preflight_findings *f);

/* The whole of one server: connects, then looks at the role and at every database that dark reads
 * can go to (the one of the connection string, or all that the role may connect to). False: it
 * can't be reached, which is a warning in f. */
bool preflight_server(const char *conninfo, const char *where, struct preflight_findings *f);

/* What the candidate alone says that makes its reads fail or differ, where there is no control to
 * compare it with: what the role may not read, replication that stands, invalid indexes. */
void preflight_observe(const char *candidate, const char *where, struct preflight_findings *f);

/* Is the control what stands behind primary.conninfo, and is that a primary? Asked of the primary
 * as the control's role, unless both name the same address. */
void preflight_beside_primary(
	const char *primary, const char *control, const char *where, struct preflight_findings *f);

/* Is a candidate at the primary's own address? control: "" where there is none. Kind "same_server",
 * as what preflight_compare says of a candidate that is the control itself. */
void preflight_apart(const char *primary, const char *control, const char *candidate,
	const char *where, struct preflight_findings *f);

/* What differs between the control and a candidate and may change results (see
 * preflight_compare.h), connecting to both: once for the servers, then for each database that dark
 * reads can go to. */
void preflight_compare(const char *control, const char *candidate, const char *where,
	struct preflight_findings *f);

#endif

/* Comparing what two servers say about themselves: a table of comparisons, one query for each side,
 * rows merged by key as they arrive. For the files of preflight only.
 *
 * A query gives these columns, found by name: `key` and `value`; and, where it can, `shown` (what
 * people read in place of the value), `level` ("warning", "information": overrides the
 * comparison's), `add`, `set` and `remove` (statements that make the row be there, have this
 * value, or go; for a missing or differing row the control's are shown, for a surplus one the
 * candidate's), `parent`: the key of the row that this one belongs to. A row that is its own parent
 * is a mark, of which nothing is said; where the other side lacks the mark nothing is said of what
 * belongs to it. `usual`: true where the value is the server's own default: two defaults that
 * differ are the versions' and only information. $1 and $2 are the names of pgumbra's role on the
 * control and on the candidate, which are told apart from the application's.
 */
#ifndef PGUMBRA_PROXY_PREFLIGHT_COMPARE_H
#define PGUMBRA_PROXY_PREFLIGHT_COMPARE_H

#include "proxy/preflight.h"
#include <stdint.h>

enum {
	COMPARE_SILENT = -1,	   /* in place of a level: not worth saying */
	COMPARE_FINDINGS_MAX = 20, /* of one comparison; the others are counted */
};

enum comparison_scope {
	SCOPE_SERVER,	 /* once */
	SCOPE_DATABASES, /* once, when dark reads can go to any database */
	SCOPE_DATABASE,	 /* in each database */
};

struct comparison {
	const char *kind, *thing; /* "extension", "extension"; thing "": the key says it */
	enum comparison_scope scope;
	int missing, surplus, differs; /* enum preflight_level or COMPARE_SILENT */
	const char *effect;
	const char *control_sql, *candidate_sql; /* the latter NULL: the same */
	int min_version;			 /* of both servers, 0: any */
	int below_version;			 /* at least one of them is, 0: any */
	bool has_parents;			 /* there is a column `parent` */
	bool behind;	   /* values are numbers; only a candidate that is behind differs */
	int64_t tolerance; /* how far it may be behind */
	/* For values that PostgreSQL deparses (preflight_deparsed.h); NULL: equal bytes. */
	bool (*same)(const char *control, const char *candidate, size_t at[2]);
};

extern const struct comparison comparisons[], role_comparisons[], table_comparisons[],
	object_comparisons[], replication_comparisons[];
extern const size_t comparison_count, role_comparison_count, table_comparison_count,
	object_comparison_count, replication_comparison_count;

/* A look at one server. Each row of the query (`what`, `mend`) is a finding. */
struct observation {
	const char *kind;
	int level; /* enum preflight_level */
	const char *effect, *sql;
	int min_version;
	bool of_control;    /* also asked of the control */
	bool needs_control; /* says nothing of a candidate alone */
};

extern const struct observation observations[];
extern const size_t observation_count;

/* Merges two answers by key; they are taken and cleared. */
void compare_answers(const struct comparison *c, PGresult *control, PGresult *candidate,
	const char *where, struct preflight_findings *f);

/* Inside questions_begin() on both. */
void compare_one(const struct comparison *c, PGconn *control, PGconn *candidate, const char *where,
	struct preflight_findings *f);
void observe_one(
	const struct observation *o, PGconn *conn, const char *where, struct preflight_findings *f);

/* Every observation of a candidate alone, transaction included. */
void observe_alone(PGconn *candidate, const char *where, struct preflight_findings *f);

/* Everything of a scope, transactions included. */
void compare_scope(enum comparison_scope scope, PGconn *control, PGconn *candidate,
	const char *where, struct preflight_findings *f);

#endif

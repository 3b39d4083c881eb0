#define _GNU_SOURCE 1 /* asprintf */
#include "proxy/preflight.h"

#include "proxy/preflight_questions.h"
#include "proxy/preflight_rights.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- asking --- */

/* NULL when the question failed: then that is a finding. */
static PGresult *ask(PGconn *conn, const char *sql, const char *subject, const char *where,
	struct preflight_findings *f)
{
	PGresult *answer = PQexec(conn, sql);
	char why[300];

	if (PQresultStatus(answer) == PGRES_TUPLES_OK)
		return answer;
	questions_error(conn, why, sizeof why);
	preflight_add(f, PREFLIGHT_FORBIDS, where,
		"make sure by hand that the role can only read, then --allow-unsafe-role",
		"%s could not be checked: %s", subject, why);
	PQclear(answer);
	questions_end(conn);
	if (!questions_begin(conn))
		questions_end(conn); /* the next question says so */

	return NULL;
}

static void cannot_begin(PGconn *conn, const char *where, struct preflight_findings *f)
{
	char why[300];

	questions_error(conn, why, sizeof why);
	preflight_add(f, PREFLIGHT_FORBIDS, where, "",
		"the role could not be checked: no read-only transaction to be had: %s", why);
	questions_end(conn);
}

static bool is_true(const PGresult *answer, int row, int column)
{
	return PQgetvalue(answer, row, column)[0] == 't';
}

/* --- the role itself --- */

static const struct attribute {
	const char *name; /* of ALTER ROLE, with NO in front to mend it */
	enum preflight_level level;
	const char *what;
} attributes[] = {
	{"SUPERUSER", PREFLIGHT_FORBIDS, "is a superuser: not even READ ONLY holds it"},
	{"CREATEROLE", PREFLIGHT_FORBIDS, "may create and alter roles"},
	{"CREATEDB", PREFLIGHT_FORBIDS, "may create databases"},
	{"REPLICATION", PREFLIGHT_FORBIDS, "may create replication slots"},
	{"BYPASSRLS", PREFLIGHT_WARNING, "passes by row security: it sees rows that clients don't"},
};

static const char attributes_sql[] =
	"SELECT pg_catalog.quote_ident(rolname), rolname = session_user, rolsuper, rolcreaterole, "
	"rolcreatedb, rolreplication, rolbypassrls, "
	"pg_catalog.quote_ident(session_user) "
	"FROM pg_catalog.pg_roles "
	"WHERE CASE WHEN (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = session_user) "
	"THEN rolname = session_user ELSE pg_catalog.pg_has_role(session_user, oid, 'MEMBER') END "
	"ORDER BY rolname <> session_user, rolname";

/* What READ ONLY and ROLLBACK hold may be there for taking on (impersonate). */
static enum preflight_level level_by_set_role(
	const struct preflight_findings *f, bool held, enum preflight_level level)
{
	return f->impersonates && held && level == PREFLIGHT_FORBIDS ? PREFLIGHT_WARNING : level;
}

static void add_attribute(const PGresult *answer, int row, const struct attribute *a,
	const char *where, struct preflight_findings *f)
{
	const char *role = PQgetvalue(answer, row, 0), *user = PQgetvalue(answer, row, 7);
	char mend[300];

	if (is_true(answer, row, 1)) {
		if (strcmp(a->name, "SUPERUSER") == 0)
			snprintf(mend, sizeof mend,
				"use a role of its own that can only read, not %s", role);
		else
			snprintf(mend, sizeof mend, "%sALTER ROLE %s NO%s",
				f->of_primary ? "a role that only pgumbra uses; if this is one: "
					      : "",
				role, a->name);
		preflight_add(f, a->level, where, mend, "role %s %s", role, a->what);
		return;
	}
	snprintf(mend, sizeof mend, "REVOKE %s FROM %s", role, user);
	preflight_add(f, level_by_set_role(f, strncmp(a->name, "CREATE", 6) == 0, a->level), where,
		mend, "role %s is a member of %s, which %s", user, role, a->what);
}

/* False: a superuser, or unknown. */
static bool check_attributes(PGconn *conn, const char *where, struct preflight_findings *f)
{
	PGresult *answer = ask(conn, attributes_sql, "the role", where, f);
	bool ordinary = answer != NULL;

	for (int row = 0; row < PQntuples(answer); row++) {
		for (size_t i = 0; i < sizeof attributes / sizeof *attributes; i++) {
			if (!is_true(answer, row, 2 + (int)i))
				continue;
			add_attribute(answer, row, &attributes[i], where, f);
			if (i == 0 && is_true(answer, row, 1)) {
				ordinary = false;
				break; /* it has all the others too */
			}
		}
	}
	PQclear(answer);

	return ordinary;
}

static const char memberships_sql[] =
	"SELECT r.rolname, pg_catalog.quote_ident(session_user), "
	"r.rolname IN ('pg_checkpoint', 'pg_signal_autovacuum_worker'), "
	"r.rolname = 'pg_write_all_data' AND NOT "
	"pg_catalog.pg_has_role(session_user, r.oid, 'USAGE') "
	"FROM pg_catalog.pg_roles r "
	"WHERE pg_catalog.pg_has_role(session_user, r.oid, 'MEMBER') AND r.rolname IN ("
	"'pg_write_all_data', 'pg_execute_server_program', 'pg_read_server_files', "
	"'pg_write_server_files', 'pg_signal_backend', 'pg_checkpoint', 'pg_maintain', "
	"'pg_create_subscription', 'pg_signal_autovacuum_worker') ORDER BY r.rolname";

static void check_memberships(PGconn *conn, const char *where, struct preflight_findings *f)
{
	PGresult *answer = ask(conn, memberships_sql, "memberships", where, f);

	for (int row = 0; row < PQntuples(answer); row++) {
		const char *group = PQgetvalue(answer, row, 0), *user = PQgetvalue(answer, row, 1);
		char mend[300];

		snprintf(mend, sizeof mend, "REVOKE %s FROM %s", group, user);
		preflight_add(f,
			is_true(answer, row, 2)
				? PREFLIGHT_WARNING
				: level_by_set_role(f, is_true(answer, row, 3), PREFLIGHT_FORBIDS),
			where, mend, "role %s is a member of %s", user, group);
	}
	PQclear(answer);
}

bool preflight_role(PGconn *conn, const char *where, struct preflight_findings *f)
{
	bool ordinary;

	if (!questions_begin(conn)) {
		cannot_begin(conn, where, f);
		return false;
	}
	ordinary = check_attributes(conn, where, f);
	if (ordinary)
		check_memberships(conn, where, f);
	questions_end(conn);

	return ordinary;
}

/* --- what it owns and may write --- */

static const char object_frame[] =
	"WITH reach AS (SELECT oid, pg_catalog.quote_ident(rolname) AS role, "
	"pg_catalog.pg_has_role(session_user, oid, 'USAGE') AS inherited "
	"FROM pg_catalog.pg_roles WHERE pg_catalog.pg_has_role(session_user, oid, 'MEMBER')), "
	"items (holder, name, privilege) AS (%s) "
	"SELECT holder, pg_catalog.string_agg(DISTINCT privilege, ', '), "
	"pg_catalog.count(DISTINCT name), pg_catalog.array_to_string("
	"(pg_catalog.array_agg(DISTINCT name))[1:5], ', '), "
	"pg_catalog.quote_ident(session_user), "
	"holder IN (SELECT role FROM reach WHERE NOT inherited), pg_catalog.array_to_string("
	"(pg_catalog.array_agg(DISTINCT name))[1:100], %s) "
	"FROM items GROUP BY holder ORDER BY holder";

enum { HOLDER, PRIVILEGES, COUNT, SHOWN, USER, BY_SET_ROLE, NAMES, NAMES_MAX = 100 };

/* Fills {names} and its like. Caller frees; NULL when out of memory. */
static char *fill_in(const char *template, const PGresult *answer, int row)
{
	static const struct {
		const char *word;
		int column;
	} words[] = {{"{names}", NAMES}, {"{privileges}", PRIVILEGES}, {"{holder}", HOLDER},
		{"{user}", USER}};
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	while (*template) {
		size_t i = 0;

		while (i < 4 && strncmp(template, words[i].word, strlen(words[i].word)) != 0)
			i++;
		if (i < 4) {
			fputs(PQgetvalue(answer, row, words[i].column), out);
			template += strlen(words[i].word);
		} else {
			fputc(*template ++, out);
		}
	}
	if (fclose(out) != 0) {
		free(text);
		return NULL;
	}

	return text;
}

/* Who has a right, and what may be said of it. */
struct holding {
	const char *holder, *user; /* borrowed from the answer */
	bool public, self;
	bool taken_on;	/* by SET ROLE alone, which is what it is for */
	bool tolerated; /* taken on, and READ ONLY and ROLLBACK hold it */
};

static struct holding holding_of(const struct object_check *check, const PGresult *answer, int row,
	const struct preflight_findings *f)
{
	struct holding h = {
		.holder = PQgetvalue(answer, row, HOLDER), .user = PQgetvalue(answer, row, USER)};

	h.public = strcmp(h.holder, "PUBLIC") == 0;
	h.self = strcmp(h.holder, h.user) == 0;
	h.taken_on = f->impersonates && is_true(answer, row, BY_SET_ROLE);
	h.tolerated = h.taken_on && !check->beyond_read_only;

	return h;
}

/* What takes the right from pgumbra's role. From no other one: applications live on what those may,
 * and on the primary on what PUBLIC may, too. Caller frees; NULL when out of memory. */
static char *advice_on(const struct object_check *check, const struct holding *h,
	const char *statement, const char *more, const struct preflight_findings *f)
{
	char *text;
	int length;

	if (h->tolerated || (h->public && f->of_primary))
		return strdup("");
	if (!h->public && !h->self && f->impersonates && !h->taken_on)
		length = asprintf(&text,
			"GRANT %s TO %s WITH INHERIT FALSE, SET TRUE; before PostgreSQL 16 ALTER "
			"ROLE %s NOINHERIT",
			h->holder, h->user, h->user);
	else if (!h->public && !h->self)
		length = asprintf(&text, "REVOKE %s FROM %s", h->holder, h->user);
	else if (f->of_primary && strncmp(check->mend, "REVOKE", 6) == 0)
		length = asprintf(&text, "a role that only pgumbra uses; if %s is one: %s%s",
			h->user, statement, more);
	else if (f->of_primary)
		length = asprintf(&text, "a role that only pgumbra uses, and that owns nothing");
	else
		length = asprintf(&text, "%s%s", statement, more);

	return length < 0 ? NULL : text;
}

static void add_objects(const struct object_check *check, const PGresult *answer, int row,
	const char *where, struct preflight_findings *f)
{
	const struct holding h = holding_of(check, answer, row, f);
	long count = strtol(PQgetvalue(answer, row, COUNT), NULL, 10);
	char *what = fill_in(check->what, answer, row), *mend = fill_in(check->mend, answer, row);
	struct preflight_topic topic = {level_by_set_role(f, h.tolerated, check->level), "role",
		h.public && f->of_primary
			? "left as it is: every role there may, those of the applications too"
			: "",
		""};
	char more[64] = "", *advice = NULL;

	if (count > 5)
		snprintf(more, sizeof more, " and %ld more", count - 5);
	if (mend)
		advice = advice_on(check, &h, mend, count > NAMES_MAX ? ", ..." : "", f);
	if (what && advice) {
		topic.mend = advice;
		preflight_say(f, &topic, where, "%s%s%s %s: %s%s", h.public ? "" : "role ",
			h.holder, h.taken_on ? ", which dark reads take on," : "", what,
			PQgetvalue(answer, row, SHOWN), more);
	} else {
		f->failed = true;
	}
	free(what);
	free(mend);
	free(advice);
}

static void check_objects(PGconn *conn, const struct object_check *check, const char *where,
	struct preflight_findings *f)
{
	PGresult *answer;
	char sql[4000];

	snprintf(sql, sizeof sql, object_frame, check->items,
		check->between ? check->between : "', '");
	answer = ask(conn, sql, check->subject, where, f);
	for (int row = 0; row < PQntuples(answer); row++)
		add_objects(check, answer, row, where, f);
	PQclear(answer);
}

void preflight_database(PGconn *conn, const char *where, struct preflight_findings *f)
{
	if (!questions_begin(conn)) {
		cannot_begin(conn, where, f);
		return;
	}
	for (size_t i = 0; i < object_check_count; i++)
		if (!(f->of_primary && object_checks[i].candidate_only) &&
			PQserverVersion(conn) >= object_checks[i].min_version)
			check_objects(conn, &object_checks[i], where, f);
	questions_end(conn);
}

void preflight_candidate_role(PGconn *conn, const char *where, struct preflight_findings *f)
{
	preflight_candidate_role_as(conn, where, false, f);
}

void preflight_candidate_role_as(
	PGconn *conn, const char *where, bool impersonates, struct preflight_findings *f)
{
	bool before = f->impersonates;

	f->impersonates = impersonates;
	if (preflight_role(conn, where, f))
		preflight_database(conn, where, f);
	f->impersonates = before;
}

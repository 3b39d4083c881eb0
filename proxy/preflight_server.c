#define _GNU_SOURCE 1 /* asprintf */
#include "proxy/preflight.h"

#include "proxy/preflight_compare.h"
#include "proxy/preflight_connect.h"
#include "proxy/preflight_identity.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DATABASES_MAX = 100, COMPARED_MAX = 20 };

static void cannot_connect(
	const char *where, const char *who, const struct refusal *no, struct preflight_findings *f)
{
	const struct preflight_topic topic = {PREFLIGHT_WARNING, "connection",
		"nothing there was looked at; its reads are dropped or not verified", no->mend};

	preflight_say(f, &topic, where, "%scannot be connected to: %s", who, no->why);
}

/* --- every database --- */

static void check_other_database(
	const char *conninfo, const char *dbname, const char *where, struct preflight_findings *f)
{
	struct refusal no;
	char *place = NULL;
	PGconn *conn;

	if (asprintf(&place, "%s, database %s", where, dbname) < 0) {
		f->failed = true;
		return;
	}
	conn = preflight_connect(conninfo, dbname, &no);
	if (conn)
		preflight_database(conn, place, f);
	else
		cannot_connect(place, "", &no, f);
	PQfinish(conn);
	free(place);
}

static void check_all_databases(
	PGconn *conn, const char *conninfo, const char *where, struct preflight_findings *f)
{
	PGresult *answer = PQexec(conn, "SELECT datname FROM pg_catalog.pg_database WHERE "
					"datallowconn AND NOT datistemplate "
					"AND pg_catalog.has_database_privilege(session_user, oid, "
					"'CONNECT') ORDER BY datname");

	if (PQresultStatus(answer) != PGRES_TUPLES_OK)
		preflight_add(f, PREFLIGHT_FORBIDS, where, "give conninfo a dbname",
			"its databases could not be listed");
	for (int i = 0; i < PQntuples(answer) && i < DATABASES_MAX; i++)
		check_other_database(conninfo, PQgetvalue(answer, i, 0), where, f);
	if (PQntuples(answer) > DATABASES_MAX)
		preflight_add(f, PREFLIGHT_FORBIDS, where,
			f->of_primary ? "give conninfo a dbname"
				      : "give conninfo a dbname, or revoke CONNECT on the others",
			"the role may connect to %d databases, %d were checked", PQntuples(answer),
			DATABASES_MAX);
	PQclear(answer);
}

bool preflight_server(const char *conninfo, const char *where, struct preflight_findings *f)
{
	struct refusal no;
	PGconn *conn = preflight_connect_first(conninfo, &no);

	if (!conn) {
		cannot_connect(where, "", &no, f);
		return false;
	}
	if (preflight_role(conn, where, f)) {
		if (conninfo_has_dbname(conninfo))
			preflight_database(conn, where, f);
		else
			check_all_databases(conn, conninfo, where, f);
	}
	PQfinish(conn);

	return true;
}

/* --- against the control --- */

static const struct preflight_topic not_compared = {
	PREFLIGHT_WARNING, "connection", "what differs there is not known", ""};

/* dbname NULL: the string's own. NULL: said why. */
static PGconn *connect_or_say(const char *conninfo, const char *dbname, const char *who,
	const char *where, struct preflight_findings *f)
{
	struct refusal no;
	PGconn *conn = preflight_connect(conninfo, dbname, &no);

	if (!conn)
		cannot_connect(where, who, &no, f);

	return conn;
}

static void compare_database(const char *control, const char *candidate, const char *dbname,
	const char *where, struct preflight_findings *f)
{
	PGconn *a, *b = NULL;
	char *place = NULL;

	if (asprintf(&place, "%s, database %s", where, dbname) < 0) {
		f->failed = true;
		return;
	}
	a = connect_or_say(control, dbname, "the control ", place, f);
	if (a)
		b = connect_or_say(candidate, dbname, "the candidate ", place, f);
	if (a && b)
		compare_scope(SCOPE_DATABASE, a, b, place, f);
	PQfinish(a);
	PQfinish(b);
	free(place);
}

static bool has_row(const PGresult *answer, const char *name)
{
	for (int i = 0; i < PQntuples(answer); i++)
		if (strcmp(PQgetvalue(answer, i, 0), name) == 0)
			return true;

	return false;
}

static const char connectable_sql[] =
	"SELECT datname FROM pg_catalog.pg_database WHERE datallowconn AND NOT datistemplate AND "
	"pg_catalog.has_database_privilege(session_user, oid, 'CONNECT') ORDER BY datname";

/* Those that both sides have; a missing one is a finding of its own. */
static void compare_databases(PGconn *a, PGconn *b, const char *control, const char *candidate,
	const char *where, struct preflight_findings *f)
{
	PGresult *ours = PQexec(a, connectable_sql), *theirs = PQexec(b, connectable_sql);
	int compared = 0, unseen = 0;

	if (PQresultStatus(ours) != PGRES_TUPLES_OK || PQresultStatus(theirs) != PGRES_TUPLES_OK)
		preflight_say(f, &not_compared, where, "databases could not be listed");
	for (int i = 0; i < PQntuples(ours); i++) {
		const char *dbname = PQgetvalue(ours, i, 0);

		if (!has_row(theirs, dbname))
			continue;
		if (compared == COMPARED_MAX) {
			unseen++;
			continue;
		}
		compare_database(control, candidate, dbname, where, f);
		compared++;
	}
	if (unseen > 0)
		preflight_say(
			f, &not_compared, where, "%d databases more were not compared", unseen);
	PQclear(ours);
	PQclear(theirs);
}

void preflight_compare(
	const char *control, const char *candidate, const char *where, struct preflight_findings *f)
{
	bool one = conninfo_has_dbname(candidate), ours = conninfo_has_dbname(control);
	struct refusal no;
	PGconn *b = preflight_connect_first(candidate, &no), *a = NULL;

	if (!b) {
		cannot_connect(where, "", &no, f);
		return;
	}
	a = connect_or_say(control, ours ? NULL : PQdb(b), "the control ", where, f);
	if (a) {
		identity_tell_same_server(a, b, where, f);
		compare_scope(SCOPE_SERVER, a, b, where, f);
		if (one) {
			compare_scope(SCOPE_DATABASE, a, b, where, f);
		} else {
			compare_scope(SCOPE_DATABASES, a, b, where, f);
			compare_databases(a, b, control, candidate, where, f);
		}
	}
	PQfinish(a);
	PQfinish(b);
}

/* --- the candidate alone --- */

static void observe_databases(
	PGconn *conn, const char *candidate, const char *where, struct preflight_findings *f)
{
	PGresult *list = PQexec(conn, connectable_sql);

	if (PQresultStatus(list) != PGRES_TUPLES_OK)
		preflight_say(f, &not_compared, where, "databases could not be listed");
	for (int i = 0; i < PQntuples(list) && i < COMPARED_MAX; i++) {
		const char *dbname = PQgetvalue(list, i, 0);
		char *place = NULL;
		PGconn *other = NULL;

		if (asprintf(&place, "%s, database %s", where, dbname) < 0) {
			f->failed = true;
			break;
		}
		other = connect_or_say(candidate, dbname, "", place, f);
		if (other)
			observe_alone(other, place, f);
		PQfinish(other);
		free(place);
	}
	if (PQntuples(list) > COMPARED_MAX)
		preflight_say(f, &not_compared, where, "%d databases more were not looked at",
			PQntuples(list) - COMPARED_MAX);
	PQclear(list);
}

void preflight_observe(const char *candidate, const char *where, struct preflight_findings *f)
{
	struct refusal no;
	PGconn *conn = preflight_connect_first(candidate, &no);

	if (!conn)
		cannot_connect(where, "", &no, f);
	else if (conninfo_has_dbname(candidate))
		observe_alone(conn, where, f);
	else
		observe_databases(conn, candidate, where, f);
	PQfinish(conn);
}

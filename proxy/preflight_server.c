#define _GNU_SOURCE 1 /* asprintf */
#include "proxy/preflight.h"

#include "proxy/preflight_compare.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEYWORDS_MAX = 100, DATABASES_MAX = 100, COMPARED_MAX = 20 };

/* --- connecting --- */

static const char *own_value(const PQconninfoOption *options, const char *keyword)
{
	for (; options->keyword; options++)
		if (strcmp(options->keyword, keyword) == 0)
			return options->val;

	return NULL;
}

bool conninfo_has_dbname(const char *conninfo)
{
	PQconninfoOption *options = PQconninfoParse(conninfo, NULL);
	const char *dbname = options ? own_value(options, "dbname") : NULL;
	bool has = dbname && *dbname;

	PQconninfoFree(options);

	return has;
}

static void first_line(const char *message, char *out, size_t size)
{
	snprintf(out, size, "%s", message);
	out[strcspn(out, "\n")] = '\0';
}

/* The string's own options, then ours: later ones win in libpq. */
PGconn *preflight_connect(const char *conninfo, const char *dbname, char *why, size_t size)
{
	const char *keywords[KEYWORDS_MAX + 5], *values[KEYWORDS_MAX + 5];
	PQconninfoOption *options = PQconninfoParse(conninfo, NULL);
	PGconn *conn;
	size_t n = 0;

	if (!options) {
		snprintf(why, size, "not a connection string");
		return NULL;
	}
	for (PQconninfoOption *o = options; o->keyword && n < KEYWORDS_MAX; o++) {
		if (!o->val || (dbname && strcmp(o->keyword, "dbname") == 0))
			continue;
		keywords[n] = o->keyword;
		values[n++] = o->val;
	}
	if (!own_value(options, "connect_timeout")) {
		keywords[n] = "connect_timeout";
		values[n++] = "4";
	}
	if (dbname) {
		keywords[n] = "dbname";
		values[n++] = dbname;
	}
	keywords[n] = "application_name";
	values[n++] = "pgumbra";
	keywords[n] = "gssencmode";
	values[n++] = "disable";
	keywords[n] = values[n] = NULL;
	conn = PQconnectdbParams(keywords, values, 0);
	PQconninfoFree(options);
	if (PQstatus(conn) == CONNECTION_OK)
		return conn;
	first_line(conn ? PQerrorMessage(conn) : "out of memory", why, size);
	PQfinish(conn);

	return NULL;
}

/* A string without dbname stands for every database; one to start from is found. A server that does
 * not answer is asked once only, as it may take a whole connect_timeout. */
static PGconn *connect_first(const char *conninfo, char *why, size_t size)
{
	static const char *const usual[] = {"postgres", "template1"};
	PGconn *conn;

	if (conninfo_has_dbname(conninfo))
		return preflight_connect(conninfo, NULL, why, size);
	for (size_t i = 0; i < sizeof usual / sizeof *usual; i++) {
		conn = preflight_connect(conninfo, usual[i], why, size);
		if (conn || !strstr(why, "FATAL"))
			return conn;
	}

	return preflight_connect(conninfo, NULL, why, size);
}

/* --- every database --- */

static void check_other_database(
	const char *conninfo, const char *dbname, const char *where, struct preflight_findings *f)
{
	char why[300], *place = NULL;
	PGconn *conn;

	if (asprintf(&place, "%s, database %s", where, dbname) < 0) {
		f->failed = true;
		return;
	}
	conn = preflight_connect(conninfo, dbname, why, sizeof why);
	if (conn)
		preflight_database(conn, place, f);
	else
		preflight_add(f, PREFLIGHT_WARNING, place, "", "cannot be connected to: %s", why);
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
			"give conninfo a dbname, or revoke CONNECT on the others",
			"the role may connect to %d databases, %d were checked", PQntuples(answer),
			DATABASES_MAX);
	PQclear(answer);
}

bool preflight_server(const char *conninfo, const char *where, struct preflight_findings *f)
{
	char why[300];
	PGconn *conn = connect_first(conninfo, why, sizeof why);

	if (!conn) {
		preflight_add(f, PREFLIGHT_WARNING, where, "", "cannot be connected to: %s", why);
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
	char why[300];
	PGconn *conn = preflight_connect(conninfo, dbname, why, sizeof why);

	if (!conn)
		preflight_say(f, &not_compared, where, "%s cannot be connected to: %s", who, why);

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
	a = connect_or_say(control, dbname, "the control", place, f);
	if (a)
		b = connect_or_say(candidate, dbname, "the candidate", place, f);
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

/* Nothing is learnt from comparing a database with itself. */
static void tell_same_server(PGconn *a, PGconn *b, const char *where, struct preflight_findings *f)
{
	static const struct preflight_topic same = {PREFLIGHT_WARNING, "connection",
		"every read matches; nothing is learnt", "mend conninfo of one of them"};
	static const char identity[] =
		"SELECT pg_catalog.concat_ws(' ', system_identifier, "
		"pg_catalog.pg_postmaster_start_time(), pg_catalog.current_database()) "
		"FROM pg_catalog.pg_control_system()";
	PGresult *ours = PQexec(a, identity), *theirs = PQexec(b, identity);

	if (PQntuples(ours) == 1 && PQntuples(theirs) == 1 &&
		strcmp(PQgetvalue(ours, 0, 0), PQgetvalue(theirs, 0, 0)) == 0)
		preflight_say(f, &same, where, "is the same server and database as the control");
	PQclear(ours);
	PQclear(theirs);
}

void preflight_compare(
	const char *control, const char *candidate, const char *where, struct preflight_findings *f)
{
	bool one = conninfo_has_dbname(candidate), ours = conninfo_has_dbname(control);
	char why[300];
	PGconn *b = connect_first(candidate, why, sizeof why), *a = NULL;

	if (!b) {
		preflight_say(f, &not_compared, where, "cannot be connected to: %s", why);
		return;
	}
	a = connect_or_say(control, ours ? NULL : PQdb(b), "the control", where, f);
	if (a) {
		tell_same_server(a, b, where, f);
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

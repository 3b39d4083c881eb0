#define _GNU_SOURCE 1 /* asprintf */
#include "proxy/preflight.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEYWORDS_MAX = 100, DATABASES_MAX = 100 };

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
		values[n++] = "5";
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

/* --- settings of two servers --- */

static const char settings_sql[] =
	"SELECT name, setting, false FROM pg_catalog.pg_settings WHERE name IN ('server_encoding', "
	"'TimeZone', 'DateStyle', 'IntervalStyle', 'extra_float_digits', 'bytea_output', "
	"'lc_monetary', 'lc_numeric', 'lc_time', 'standard_conforming_strings', "
	"'default_text_search_config', 'xmlbinary', 'xmloption', 'array_nulls', "
	"'transform_null_equals', 'timezone_abbreviations', 'integer_datetimes', 'search_path') "
	"UNION ALL SELECT p.key, p.value, true FROM pg_catalog.pg_database d "
	"CROSS JOIN LATERAL pg_catalog.jsonb_each_text(pg_catalog.to_jsonb(d)) p "
	"WHERE d.datname = pg_catalog.current_database() "
	"AND p.key IN ('datcollate', 'datctype', 'datcollversion', 'datlocprovider') ORDER BY 1";

static void compare_setting(const PGresult *a, int row, const PGresult *b, const char *where,
	struct preflight_findings *f)
{
	const char *name = PQgetvalue(a, row, 0), *value = PQgetvalue(a, row, 1);
	bool of_database = PQgetvalue(a, row, 2)[0] == 't';
	char mend[300];

	for (int i = 0; i < PQntuples(b); i++) {
		if (strcmp(PQgetvalue(b, i, 0), name) != 0 ||
			strcmp(PQgetvalue(b, i, 1), value) == 0)
			continue;
		if (of_database)
			snprintf(mend, sizeof mend,
				"expect other orders and comparisons of text, or make the "
				"candidate's database with the same");
		else
			snprintf(mend, sizeof mend, "ALTER SYSTEM SET %s = '%s' on the candidate",
				name, value);
		preflight_add(f, PREFLIGHT_WARNING, where, mend, "%s is %s, on the control %s",
			name, PQgetvalue(b, i, 1), value);
	}
}

void preflight_compare_settings(
	PGconn *control, PGconn *candidate, const char *where, struct preflight_findings *f)
{
	PGresult *a = PQexec(control, settings_sql), *b = PQexec(candidate, settings_sql);

	if (PQresultStatus(a) != PGRES_TUPLES_OK || PQresultStatus(b) != PGRES_TUPLES_OK)
		preflight_add(f, PREFLIGHT_WARNING, where, "",
			"settings could not be compared with the control's");
	else
		for (int row = 0; row < PQntuples(a); row++)
			compare_setting(a, row, b, where, f);
	PQclear(a);
	PQclear(b);
}

#include "proxy/preflight_identity.h"

#include "proxy/preflight_connect.h"
#include <stdio.h>
#include <string.h>

/* A server is its cluster's identifier and its start: standbys have the identifier of their
 * primary.
 */
struct identity {
	char cluster[32], started[48], database[256];
	bool in_recovery;
};

static void copy(char *out, size_t size, const PGresult *answer, int column)
{
	snprintf(out, size, "%s", PQgetvalue(answer, 0, column));
}

static bool identity_of(PGconn *conn, struct identity *out)
{
	static const char sql[] =
		"SELECT system_identifier, pg_catalog.pg_postmaster_start_time(), "
		"pg_catalog.current_database(), pg_catalog.pg_is_in_recovery() "
		"FROM pg_catalog.pg_control_system()";
	PGresult *answer = PQexec(conn, sql);
	bool known = PQntuples(answer) == 1;

	if (known) {
		copy(out->cluster, sizeof out->cluster, answer, 0);
		copy(out->started, sizeof out->started, answer, 1);
		copy(out->database, sizeof out->database, answer, 2);
		out->in_recovery = PQgetvalue(answer, 0, 3)[0] == 't';
	}
	PQclear(answer);

	return known;
}

static const struct preflight_topic other_databases = {PREFLIGHT_INFORMATION, "same_server",
	"dark reads load the server that they are to spare",
	"a server of its own for the candidate"};

void identity_tell_same_server(
	PGconn *control, PGconn *candidate, const char *where, struct preflight_findings *f)
{
	static const struct preflight_topic same = {PREFLIGHT_FORBIDS, "same_server",
		"every read matches; nothing is learnt",
		"mend conninfo of one of them; or databases, where the candidate's have other "
		"names"};
	struct identity a, b;

	if (!identity_of(control, &a) || !identity_of(candidate, &b) ||
		strcmp(a.cluster, b.cluster) != 0 || strcmp(a.started, b.started) != 0)
		return;
	if (strcmp(a.database, b.database) == 0 && !f->renames)
		preflight_say(f, &same, where, "is the same server and database as the control");
	else
		preflight_say(
			f, &other_databases, where, "is another database of the control's server");
}

static void tell_recovery(const struct identity *primary, struct preflight_findings *f)
{
	static const struct preflight_topic topic = {PREFLIGHT_WARNING, "connection",
		"clients' writes fail (25006), no fence can be taken there",
		"primary.conninfo of the primary; or several hosts and "
		"target_session_attrs=primary; "
		"or SELECT pg_promote() there"};

	if (primary->in_recovery)
		preflight_say(f, &topic, "primary", "is in recovery: a standby");
}

static void tell_other_cluster(const struct identity *primary, const struct identity *control,
	const char *where, struct preflight_findings *f)
{
	static const struct preflight_topic other = {PREFLIGHT_WARNING, "connection",
		"differences are judged by another database's rows: no verdict is worth anything",
		"mend control.conninfo or primary.conninfo: one cluster, the control may be a "
		"standby "
		"of it"};

	if (strcmp(primary->cluster, control->cluster) != 0)
		preflight_say(f, &other, where,
			"is another cluster than the primary: system identifier %s, the primary's "
			"%s",
			control->cluster, primary->cluster);
}

void preflight_beside_primary(
	const char *primary, const char *control, const char *where, struct preflight_findings *f)
{
	const bool itself = conninfo_same_address(primary, control);
	struct preflight_topic unknown = {PREFLIGHT_INFORMATION, "connection",
		"it is not known whether the control and the primary are one cluster", ""};
	struct refusal no = {.why = ""};
	PGconn *a = preflight_connect_first(control, &no);
	PGconn *b = a && !itself ? preflight_connect_as(control, primary, &no) : NULL;
	struct identity ours, theirs;

	if (a && !itself && !b) {
		unknown.mend = no.mend;
		preflight_say(
			f, &unknown, where, "its role cannot connect to the primary: %s", no.why);
	}
	if (a && identity_of(a, &ours)) {
		if (b && identity_of(b, &theirs))
			tell_other_cluster(&theirs, &ours, where, f);
		if (b || itself)
			tell_recovery(b ? &theirs : &ours, f);
	}
	PQfinish(a);
	PQfinish(b);
}

void preflight_apart(const char *primary, const char *control, const char *candidate,
	const char *where, struct preflight_findings *f)
{
	static const struct preflight_topic same = {PREFLIGHT_FORBIDS, "same_server",
		"every read runs twice on the primary and matches; nothing is learnt",
		"the other server's host and port in its conninfo; or databases, where they have "
		"other names there"};

	/* Otherwise told by what the control and the candidate say of themselves. */
	if (!conninfo_same_address(primary, candidate) || conninfo_same_address(control, candidate))
		return;
	if (f->renames)
		preflight_say(f, &other_databases, where,
			"is at the primary's own address, in other databases");
	else
		preflight_say(f, &same, where, "is at the primary's own address");
}

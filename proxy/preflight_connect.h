/* Connections of preflight: made as the mirror makes them, and what to do when there is none. For
 * the files of preflight only.
 */
#ifndef PGUMBRA_PROXY_PREFLIGHT_CONNECT_H
#define PGUMBRA_PROXY_PREFLIGHT_CONNECT_H

#include <libpq-fe.h>
#include <stdbool.h>

/* Why there is no connection, in libpq's words, and what mends that. */
struct refusal {
	char why[300];
	char mend[400]; /* "" where the words say nothing that is known */
};

/* dbname NULL: the string's own. NULL with *no filled when there is no connection. The caller
 * closes it with PQfinish. */
PGconn *preflight_connect(const char *conninfo, const char *dbname, struct refusal *no);
/* As the role of `who`, with its password and database, to the servers of `there`. */
PGconn *preflight_connect_as(const char *who, const char *there, struct refusal *no);
/* A string without dbname stands for every database; one to start from is found. */
PGconn *preflight_connect_first(const char *conninfo, struct refusal *no);

bool conninfo_has_dbname(const char *conninfo);
/* Do both name the same address and port, or the same socket? */
bool conninfo_same_address(const char *a, const char *b);

#endif

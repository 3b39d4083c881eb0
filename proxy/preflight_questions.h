/* Questions of preflight to one server: a read-only transaction in which only pg_catalog is
 * searched. Nothing of it outlasts questions_end(): the connection may be meant for dark reads.
 * For the files of preflight only.
 */
#ifndef PGUMBRA_PROXY_PREFLIGHT_QUESTIONS_H
#define PGUMBRA_PROXY_PREFLIGHT_QUESTIONS_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>

bool questions_begin(PGconn *conn) __attribute__((warn_unused_result));
void questions_end(PGconn *conn);
/* The connection's last error in one line. */
void questions_error(PGconn *conn, char *why, size_t size);

#endif

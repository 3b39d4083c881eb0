/* Why something of the world (memory, connection, disk) failed, in one line for a person. Filled by
 * fallible functions that return false or NULL; lower case, cause first, never a value or secret.
 */
#ifndef PGUMBRA_PROTOCOL_ERROR_H
#define PGUMBRA_PROTOCOL_ERROR_H

#include <stdbool.h>

struct error {
	char text[512];
};

/* Formats into *error (NULL is allowed) and returns false, so that `return error_set(...)` reads
 * well. */
bool error_set(struct error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif

/* The SCRAM secrets of roles from a file in PgBouncer's format: lines of
 *
 *     "role" "SCRAM-SHA-256$4096:...$...:..."
 *
 * where a double quote inside is doubled, further text on the line is passed over, and lines that
 * begin with ; are comments. Passwords and md5 hashes may stand there (PgBouncer takes them), but
 * are of no use here: their lines are counted and named. The last line of a role counts.
 *
 * Immutable after loading; any thread may look. Holds keys, which are wiped when it is freed.
 */
#ifndef PGUMBRA_PROXY_RELAY_AUTH_FILE_H
#define PGUMBRA_PROXY_RELAY_AUTH_FILE_H

#include "protocol/error.h"
#include "proxy/relay/scram.h"

enum { AUTH_FILE_BYTES_MAX = 64 * 1024 * 1024, AUTH_ROLE_BYTES_MAX = 63 };

struct auth_file;

struct auth_file_account {
	size_t roles;		/* with a secret */
	size_t useless;		/* lines without one */
	unsigned first_useless; /* number of the first such line */
};

/* NULL with the reason, which names the file and the line, never what stands there. The file must
 * not be readable by others. */
struct auth_file *auth_file_load(
	const char *path, struct auth_file_account *account, struct error *error);
/* For text that is at hand; `name` is for messages. */
struct auth_file *auth_file_parse(
	const char *name, struct span text, struct auth_file_account *account, struct error *error);
void auth_file_free(struct auth_file *f);

/* False: the role has no secret here. A role's name is cut at 63 bytes, as the server does. */
bool auth_file_find(const struct auth_file *f, struct span role, struct scram_secret *out);

#endif

/* What a role may own or do on a candidate that dark reads have no use for: a table of questions, a
 * row for each kind of object. For the files of preflight only.
 *
 * `items` gives (holder, name, privilege) of what is reachable, with `reach` (oid, role, inherited)
 * known: the roles that the session user is or can be. In `what` and `mend` {names}, {privileges},
 * {holder} and {user} are filled in.
 */
#ifndef PGUMBRA_PROXY_PREFLIGHT_RIGHTS_H
#define PGUMBRA_PROXY_PREFLIGHT_RIGHTS_H

#include "proxy/preflight.h"

struct object_check {
	const char *subject;
	enum preflight_level level;
	const char *what; /* "PUBLIC may ..." or "role x may ..." */
	const char *mend;
	const char *items;
	const char *between; /* SQL, of what stands between two of {names}; NULL: a comma */
	int min_version;
	bool beyond_read_only; /* READ ONLY and ROLLBACK don't hold it: forbids by SET ROLE, too */
	bool candidate_only;   /* on the primary the applications may need it */
};

extern const struct object_check object_checks[];
extern const size_t object_check_count;

#endif

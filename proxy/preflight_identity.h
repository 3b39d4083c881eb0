/* Which server is which: is the control the primary, is the candidate another server? For the files
 * of preflight only.
 */
#ifndef PGUMBRA_PROXY_PREFLIGHT_IDENTITY_H
#define PGUMBRA_PROXY_PREFLIGHT_IDENTITY_H

#include "proxy/preflight.h"

/* Nothing is learnt from comparing a server with itself. */
void identity_tell_same_server(
	PGconn *control, PGconn *candidate, const char *where, struct preflight_findings *f);

#endif

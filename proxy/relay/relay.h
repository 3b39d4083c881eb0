/* The relay process: listeners, N relay threads, the supervisor of the shadow process. */
#ifndef PGUMBRA_PROXY_RELAY_RELAY_H
#define PGUMBRA_PROXY_RELAY_RELAY_H

#include "conf/settings.h"

enum { RELAY_FINDINGS_BYTES = 16384 };

/* What was found before the start, for the log's `start` record: lines, each with its NUL, an empty
 * one at the end, all within RELAY_FINDINGS_BYTES. Copied. Call before relay_run. */
void relay_set_findings(const char *lines);

/* Where the listening sockets come from, beside pgumbra.listen. */
struct relay_origin {
	const int *fds; /* a service manager's; owned by relay_run from then on */
	size_t count;
	/* May the shadow process start now? Asked before each start, now and then until it may.
	 * NULL: always. */
	bool (*may_shadow)(const struct config *c);
	bool take_over; /* from the process that offers them in pgumbra.runtime_dir, if there is one
			 */
};

/* Runs until SIGTERM (drain) or SIGINT (now), or until its sessions have ended after a hand-over.
 * Exit code: 0 good, 2 configuration, 3 runtime failure. The configuration is borrowed; settings
 * that change live are changed in it. config_path may be NULL (no file to reload). */
int relay_run(struct config *config, const char *config_path, const struct relay_origin *origin);

#endif

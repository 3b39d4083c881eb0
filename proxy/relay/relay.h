/* The relay process: listeners, N relay threads, the supervisor of the shadow process. */
#ifndef PGUMBRA_PROXY_RELAY_RELAY_H
#define PGUMBRA_PROXY_RELAY_RELAY_H

#include "conf/settings.h"

enum { RELAY_FINDINGS_BYTES = 16384 };

/* What was found before the start, for the log's `start` record: lines, each with its NUL, an empty
 * one at the end, all within RELAY_FINDINGS_BYTES. Copied. Call before relay_run. */
void relay_set_findings(const char *lines);

/* Runs until SIGTERM (drain) or SIGINT (now). Exit code: 0 good, 2 configuration, 3 runtime
 * failure. The configuration is borrowed. config_path may be NULL (no file to reload). */
int relay_run(struct config *config, const char *config_path);

#endif

/* The shadow's worker: one thread with one event loop on which sessions are followed, dark reads
 * run, answers compared and the books kept. Everything in it belongs to that thread, but for the
 * pump's blocks.
 */
#ifndef PGUMBRA_SHADOW_WORKER_H
#define PGUMBRA_SHADOW_WORKER_H

#include "conf/settings.h"
#include "proxy/handover.h"
#include "proxy/shadow/pump.h"

struct worker; /* opaque */
/* config, page, tapes and pump are borrowed. Without tapes and with pump NULL nothing is followed:
 * recheck.c gives it reads of its own. */
struct worker *worker_new(const struct config *config, struct shadow_page *page,
	struct tape_reader **tapes, unsigned ntapes, struct pump *pump, int wake_fd,
	struct error *error);
void worker_run(struct worker *w); /* until the pump said its last */
void worker_free(struct worker *w);
/* Once the relay is gone, open verifications get a second instead of twenty. Async-signal-safe. */
void worker_hurry(struct worker *w);
/* And reads all catalogues again: SIGHUP. Nothing more goes to the old file. Async-signal-safe. */
void worker_reopen_log(struct worker *w);

#endif

/* Keeps what shadowing costs the clients within `shadow.latency_budget`, by itself.
 *
 * Two things are watched, a few times a second, by the main thread: how long a relay thread copies
 * in one turn of its loop (measured in every sixteenth turn, tape_count_cost), and how long it
 * waits for a core when it could run (the kernel's schedstat of the thread). When the 99th
 * percentile of the first or the mean of the second passes the budget, all relay threads stop
 * copying: frames are booked as unobserved(shed), the candidates get no further reads, and sessions
 * are followed again as after a gap. Copying begins again when the cores are calm; the time until
 * the next attempt doubles as long as attempts fail.
 *
 * A wait for a core is shed for whoever takes it: the shadow and the candidate are only two of
 * those who may, but what they take is what pgumbra can give back.
 */
#ifndef PGUMBRA_PROXY_RELAY_SHEDDING_H
#define PGUMBRA_PROXY_RELAY_SHEDDING_H

#include "proxy/relay/thread.h"
#include <event2/event.h>

/* --- the rule, without clock or kernel --- */

struct shedding_rule {
	uint64_t budget_us;	       /* 0: never sheds */
	unsigned copy_over, wait_over; /* figures in a row that were too much */
	bool shed;
	uint64_t hold_us;      /* this time, or the next */
	uint64_t since_us;     /* of the present state */
	uint64_t recovered_us; /* last time; 0: never shed */
};

enum shedding_change { SHEDDING_STAYS, SHEDDING_BEGINS, SHEDDING_ENDS };

/* Of the worst relay thread since its figure before: microseconds of copying a turn (99th
 * percentile) and of waiting for a core (mean). A thread that did too little for a figure has none.
 */
struct shedding_figures {
	bool has_copy, has_wait;
	uint64_t copy_us, wait_us;
};
enum shedding_change shedding_look(
	struct shedding_rule *rule, uint64_t now_us, const struct shedding_figures *figures);

/* --- the watch --- */

struct shedding; /* opaque; the main thread's */
/* threads are borrowed and outlive it. on_change is told when copying is to stop or to begin. NULL
 * when out of memory. */
struct shedding *shedding_new(struct event_base *base, const struct relay_thread *threads,
	unsigned count, uint64_t budget_us, void (*on_change)(bool shed, void *arg), void *arg);
/* A new budget from the next look on. */
void shedding_set_budget(struct shedding *s, uint64_t budget_us);
void shedding_free(struct shedding *s);

#endif

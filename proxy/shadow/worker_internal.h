/* The worker's inside, for worker*.c and recheck.c alone: what stands around the verifier. */
#ifndef PGUMBRA_SHADOW_WORKER_INTERNAL_H
#define PGUMBRA_SHADOW_WORKER_INTERNAL_H

#include "proxy/shadow/observer.h"
#include "proxy/shadow/verifier.h"
#include "proxy/shadow/worker.h"
#include <stdatomic.h>

struct worker {
	const struct config *config;
	struct shadow_page *page;
	struct tape_reader **tapes;
	unsigned ntapes;
	struct pump *pump;
	struct event_base *base;
	struct event *wake, *tick, *refresh, *retry, *rest, *again, *finish;
	atomic_bool reopen, hurry;
	int wake_fd;

	const char *names[BOOKS_MAX_CANDIDATES];
	char *fence_control[BOOKS_MAX_CANDIDATES], *fence_candidate[BOOKS_MAX_CANDIDATES];
	struct databases_candidate_options places[BOOKS_MAX_CANDIDATES];
	/* What callbacks about one candidate get. */
	struct candidate_self {
		struct worker *worker;
		size_t index;
	} selves[BOOKS_MAX_CANDIDATES];
	struct verifier_candidate candidates[BOOKS_MAX_CANDIDATES];
	size_t ncandidates;
	struct waivers waivers;
	struct mirror *control;
	struct connector *connector;
	struct databases *databases;
	struct shapes *shapes;
	struct journal *journal;
	struct observer *observer;
	struct verifier *verifier;

	/* The block being followed and how far: it waits while a database is read for the first
	 * time. */
	struct pump_block *block;
	size_t block_at;
	size_t rested; /* sessions, since memory was last given back to the system */
	bool tapes_settled;
	bool ending;
	bool telling; /* page->told is on its way to the log's file */
};

/* Begins to load a database that was not known, and its fences. NULL: out of memory. */
struct database *worker_database(struct worker *w, const char *name);

#endif

/* Lists of texts that many sessions have alike: who a client is, what its server reports. A list is
 * one piece of memory, immutable and counted; a pool finds those that are in use, so that equal
 * ones exist once.
 *
 * Worker thread only. T1 a list is in at most one pool, and only while somebody holds it; T2 a pool
 * never finds more than its limit: further lists are simply not shared (L4); T3 a list outlives its
 * pool.
 */
#ifndef PGUMBRA_SHADOW_TEXTS_H
#define PGUMBRA_SHADOW_TEXTS_H

#include "protocol/span.h"

struct texts {
	unsigned references;
	uint32_t count;
	uint64_t hash;
	struct texts_pool *pool; /* borrowed: the one that finds it; NULL: none */
	struct texts *next;	 /* of the same bucket */
	const char *text[];	 /* count of them, NUL-terminated; their bytes stand behind */
};

struct texts_pool; /* opaque */
struct texts_pool *texts_pool_new(size_t limit);
void texts_pool_free(struct texts_pool *pool);
size_t texts_pool_count(const struct texts_pool *pool);

/* A reference to a list of these texts, copied if there is none yet. pool NULL: one that is not
 * shared. NULL: out of memory. */
struct texts *texts_get(struct texts_pool *pool, const struct span *text, size_t count);
struct texts *texts_ref(struct texts *t);
void texts_unref(struct texts *t);

#endif

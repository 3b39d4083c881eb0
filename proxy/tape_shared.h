/* What the two sides of a tape share: the control page at the head of the ring, and the tail page.
 * Used by tape.c (producer) and tape_reader.c (consumer) only.
 */
#ifndef PGUMBRA_PROXY_TAPE_SHARED_H
#define PGUMBRA_PROXY_TAPE_SHARED_H

#include "proxy/tape.h"
#include <stdatomic.h>

enum {
	TAPE_PAGE = 4096,
	TAPE_ALIGN = 8,
	COUNTER_WORDS = sizeof(struct relay_counters) / sizeof(uint64_t),
};

_Static_assert(sizeof(struct relay_counters) % sizeof(uint64_t) == 0, "counters are words");
_Static_assert(sizeof(struct tape_record) % TAPE_ALIGN == 0, "payloads start aligned");

/* First page of the ring; written by the producer, mapped read-only in the consumer. */
struct tape_control {
	_Atomic uint64_t head;	/* bytes ever put and committed */
	_Atomic uint64_t start; /* where the current epoch begins */
	_Atomic uint32_t epoch; /* 0: detached; stored after start */
	/* Seqlock over the counters: odd while they are being written. */
	_Alignas(64) _Atomic uint64_t sequence;
	_Atomic uint64_t counters[COUNTER_WORDS];
	/* Each is right by itself; together they need not be of one moment. */
	_Alignas(64) _Atomic uint64_t cost[HISTOGRAM_BUCKETS], cost_sum_ns;
};

void tape_read_costs(const struct tape_control *c, struct histogram *out);

/* Written by the consumer. */
struct tape_tail_page {
	_Atomic uint64_t tail;	   /* bytes read; meaningful once attached is the epoch */
	_Atomic uint32_t attached; /* epoch of the consumer that stored tail */
};

_Static_assert(sizeof(struct tape_control) <= TAPE_PAGE, "the control page is one page");

/* Maps the control page and behind it `size` bytes of data twice in a row, so that a record never
 * wraps. NULL (and errno) when it fails. */
void *tape_map(int fd, size_t size, int protection);
void tape_unmap(void *base, size_t size);

#endif

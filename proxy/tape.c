#define _GNU_SOURCE /* memfd_create, seals */
#include "proxy/tape.h"

#include "proxy/tape_shared.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct tape {
	struct tape_control *control; /* base of the whole mapping */
	uint8_t *data;
	struct tape_tail_page *tail_page;
	size_t size;	    /* of the data, a power of two */
	uint64_t head;	    /* with what is put but not committed */
	uint64_t committed; /* head as the consumer knows it */
	uint64_t start;	    /* of the epoch */
	uint64_t tail;	    /* last one that made sense */
	uint32_t epoch;
	int ring_fd, tail_fd; /* owned */
};

void *tape_map(int fd, size_t size, int protection)
{
	const int flags = MAP_SHARED | MAP_FIXED | MAP_POPULATE;
	uint8_t *base =
		mmap(NULL, TAPE_PAGE + 2 * size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (base == MAP_FAILED)
		return NULL;
	if (mmap(base, TAPE_PAGE + size, protection, flags, fd, 0) == MAP_FAILED ||
		mmap(base + TAPE_PAGE + size, size, protection, flags, fd, TAPE_PAGE) ==
			MAP_FAILED) {
		tape_unmap(base, size);
		return NULL;
	}

	return base;
}

void tape_unmap(void *base, size_t size)
{
	if (base)
		munmap(base, TAPE_PAGE + 2 * size);
}

static int shared_memory(const char *name, size_t size)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd >= 0 && ftruncate(fd, (off_t)size) < 0) {
		close(fd);
		fd = -1;
	}

	return fd;
}

/* The consumer may map the ring for reading only, and neither side may cut it under the other. */
static bool seal_ring(int fd)
{
	const int size_seals = F_SEAL_SHRINK | F_SEAL_GROW;

	return fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE | size_seals | F_SEAL_SEAL) == 0;
}

static bool tape_make(struct tape *t)
{
	void *page;

	t->ring_fd = shared_memory("pgumbra-tape", TAPE_PAGE + t->size);
	t->tail_fd = shared_memory("pgumbra-tail", TAPE_PAGE);
	if (t->ring_fd < 0 || t->tail_fd < 0)
		return false;
	t->control = tape_map(t->ring_fd, t->size, PROT_READ | PROT_WRITE);
	page = mmap(
		NULL, TAPE_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, t->tail_fd, 0);
	t->tail_page = page == MAP_FAILED ? NULL : page;
	if (!t->control || !t->tail_page)
		return false;
	t->data = (uint8_t *)t->control + TAPE_PAGE;

	return fcntl(t->tail_fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0 &&
	       seal_ring(t->ring_fd);
}

struct tape *tape_new(size_t size_bytes, struct error *error)
{
	struct tape *t = calloc(1, sizeof *t);
	size_t size = TAPE_PAGE;

	if (!t) {
		error_set(error, "out of memory for a tape");
		return NULL;
	}
	while (size < size_bytes && size <= SIZE_MAX / 8)
		size *= 2;
	t->size = size;
	t->ring_fd = t->tail_fd = -1;
	if (!tape_make(t)) {
		error_set(error, "%s: could not make a tape of %zu bytes", strerror(errno), size);
		tape_free(t);
		return NULL;
	}

	return t;
}

void tape_free(struct tape *t)
{
	if (!t)
		return;
	tape_unmap(t->control, t->size);
	if (t->tail_page)
		munmap(t->tail_page, TAPE_PAGE);
	if (t->ring_fd >= 0)
		close(t->ring_fd);
	if (t->tail_fd >= 0)
		close(t->tail_fd);
	free(t);
}

int tape_ring_fd(const struct tape *t)
{
	return t->ring_fd;
}

int tape_tail_fd(const struct tape *t)
{
	return t->tail_fd;
}

void tape_begin_epoch(struct tape *t, uint32_t epoch)
{
	assert(t->head == t->committed); /* commit what belongs to the epoch before */
	t->start = t->tail = t->head;
	t->epoch = epoch;
	atomic_store_explicit(&t->control->start, t->start, memory_order_relaxed);
	atomic_store_explicit(&t->control->epoch, epoch, memory_order_release);
}

/* T4: a tail that goes back or past the head says nothing; the last good one stays. */
static uint64_t current_tail(const struct tape *t)
{
	uint64_t tail;

	if (atomic_load_explicit(&t->tail_page->attached, memory_order_acquire) != t->epoch)
		return t->tail;
	tail = atomic_load_explicit(&t->tail_page->tail, memory_order_acquire);

	return tail >= t->tail && tail <= t->committed ? tail : t->tail;
}

bool tape_put(struct tape *t, enum tape_kind kind, struct tape_session session, uint64_t time_us,
	struct span a, struct span b)
{
	const size_t payload = a.len + b.len;
	const size_t size =
		(sizeof(struct tape_record) + payload + TAPE_ALIGN - 1) & ~(size_t)(TAPE_ALIGN - 1);
	uint8_t *at =
		t->data + (t->head & (t->size - 1)); /* T1: aligned, and mapped in one piece */

	if (t->epoch == 0 || a.len > t->size || b.len > t->size || size > t->size)
		return false;
	if (t->head + size - t->tail > t->size)
		t->tail = current_tail(t);
	if (t->head + size - t->tail > t->size)
		return false; /* T3 */
	*(struct tape_record *)(void *)at = (struct tape_record){.size = (uint32_t)size,
		.kind = (uint16_t)kind,
		.payload_len = (uint32_t)payload,
		.session = session,
		.time_us = time_us};
	at += sizeof(struct tape_record);
	if (a.len)
		memcpy(at, a.data, a.len);
	if (b.len)
		memcpy(at + a.len, b.data, b.len);
	t->head += size;
	assert(t->head % TAPE_ALIGN == 0 && t->head - t->tail <= t->size);

	return true;
}

/* Release stores throughout: no counter can be seen before the odd sequence number, and the even
 * one not before the counters. */
static void publish_counters(struct tape_control *c, const struct relay_counters *counters)
{
	const uint64_t *words = (const uint64_t *)counters; /* it is made of nothing else */
	uint64_t sequence = atomic_load_explicit(&c->sequence, memory_order_relaxed);

	atomic_store_explicit(&c->sequence, sequence + 1, memory_order_relaxed);
	for (unsigned i = 0; i < COUNTER_WORDS; i++)
		atomic_store_explicit(&c->counters[i], words[i], memory_order_release);
	atomic_store_explicit(&c->sequence, sequence + 2, memory_order_release);
}

void tape_commit(struct tape *t, const struct relay_counters *counters)
{
	publish_counters(t->control, counters);
	t->committed = t->head;
	atomic_store_explicit(&t->control->head, t->head, memory_order_release);
}

/* One writer: what it reads back is its own. */
static void add(_Atomic uint64_t *to, uint64_t n)
{
	atomic_store_explicit(
		to, atomic_load_explicit(to, memory_order_relaxed) + n, memory_order_relaxed);
}

void tape_count_cost(struct tape *t, uint64_t ns)
{
	add(&t->control->cost[histogram_bucket(ns)], 1);
	add(&t->control->cost_sum_ns, ns);
}

void tape_read_costs(const struct tape_control *c, struct histogram *out)
{
	*out = (struct histogram){
		.sum_us = atomic_load_explicit(&c->cost_sum_ns, memory_order_relaxed)};
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		out->count[i] = atomic_load_explicit(&c->cost[i], memory_order_relaxed);
		out->total += out->count[i];
	}
}

void tape_costs(const struct tape *t, struct histogram *out)
{
	tape_read_costs(t->control, out);
}

void tape_follow(struct tape *t)
{
	t->tail = current_tail(t);
}

size_t tape_used(const struct tape *t)
{
	return (size_t)(t->head - tape_tail(t));
}

size_t tape_size(const struct tape *t)
{
	return t->size;
}

uint64_t tape_head(const struct tape *t)
{
	return t->head;
}

uint64_t tape_tail(const struct tape *t)
{
	return t->tail;
}

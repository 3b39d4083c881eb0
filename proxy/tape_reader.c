#include "proxy/tape.h"

#include "proxy/tape_shared.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { COUNTER_TRIES = 1000 };

struct tape_reader {
	const struct tape_control *control;
	const uint8_t *data;
	struct tape_tail_page *tail_page;
	size_t size;
	uint64_t at; /* next record */
	uint32_t epoch;
	bool attached, broken;
	struct relay_counters counters; /* last consistent set */
};

static bool reader_map(struct tape_reader *r, int ring_fd, int tail_fd)
{
	struct stat ring, tail;
	void *page;

	if (fstat(ring_fd, &ring) < 0 || fstat(tail_fd, &tail) < 0)
		return false;
	r->size = (size_t)ring.st_size - TAPE_PAGE;
	if (ring.st_size < 2 * TAPE_PAGE || (r->size & (r->size - 1)) != 0 ||
		tail.st_size < TAPE_PAGE) {
		errno = EINVAL;
		return false;
	}
	r->control = tape_map(ring_fd, r->size, PROT_READ);
	page = mmap(NULL, TAPE_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, tail_fd, 0);
	r->tail_page = page == MAP_FAILED ? NULL : page;
	if (!r->control || !r->tail_page)
		return false;
	r->data = (const uint8_t *)r->control + TAPE_PAGE;

	return true;
}

struct tape_reader *tape_reader_open(int ring_fd, int tail_fd, uint32_t epoch, struct error *error)
{
	struct tape_reader *r = calloc(1, sizeof *r);

	if (r) {
		r->epoch = epoch;
		errno = 0;
	}
	if (!r || !reader_map(r, ring_fd, tail_fd)) {
		error_set(error, "%s: could not map the tape", strerror(errno ? errno : ENOMEM));
		tape_reader_free(r);
		r = NULL;
	}
	close(ring_fd);
	close(tail_fd);

	return r;
}

void tape_reader_free(struct tape_reader *r)
{
	if (!r)
		return;
	tape_unmap((void *)(uintptr_t)r->control, r->size);
	if (r->tail_page)
		munmap(r->tail_page, TAPE_PAGE);
	free(r);
}

/* The producer begins the epoch in its own time; until then there is nothing to read. */
static bool attach(struct tape_reader *r)
{
	if (atomic_load_explicit(&r->control->epoch, memory_order_acquire) != r->epoch)
		return false;
	r->at = atomic_load_explicit(&r->control->start, memory_order_relaxed);
	atomic_store_explicit(&r->tail_page->tail, r->at, memory_order_relaxed);
	atomic_store_explicit(&r->tail_page->attached, r->epoch, memory_order_release);
	r->attached = true;

	return true;
}

bool tape_reader_next(struct tape_reader *r, const struct tape_record **record,
	struct span *payload, bool *broken)
{
	const struct tape_record *found;
	uint64_t left;

	*broken = r->broken;
	if (r->broken || (!r->attached && !attach(r)))
		return false;
	left = atomic_load_explicit(&r->control->head, memory_order_acquire) - r->at;
	if (left == 0)
		return false;
	found = (const struct tape_record *)(r->data + (r->at & (r->size - 1)));
	if (left > r->size || left < sizeof *found || found->size > left ||
		found->size < sizeof *found || found->size % TAPE_ALIGN != 0 ||
		found->payload_len > found->size - sizeof *found) {
		*broken = r->broken = true;
		return false;
	}
	*record = found;
	*payload = span_of(found + 1, found->payload_len);
	r->at += found->size;

	return true;
}

bool tape_reader_attached(struct tape_reader *r)
{
	return atomic_load_explicit(&r->control->epoch, memory_order_acquire) == r->epoch;
}

void tape_reader_release(struct tape_reader *r)
{
	if (r->attached)
		atomic_store_explicit(&r->tail_page->tail, r->at, memory_order_release);
}

static bool copy_counters(const struct tape_control *c, struct relay_counters *out)
{
	uint64_t words[COUNTER_WORDS];
	uint64_t before = atomic_load_explicit(&c->sequence, memory_order_acquire);

	for (unsigned i = 0; i < COUNTER_WORDS; i++)
		words[i] = atomic_load_explicit(&c->counters[i], memory_order_acquire);
	if (before % 2 != 0 || atomic_load_explicit(&c->sequence, memory_order_relaxed) != before)
		return false;
	memcpy(out, words, sizeof *out);

	return true;
}

/* A producer that died in the middle of writing must not hold its reader for ever: then the last
 * good set stands. */
void tape_reader_counters(struct tape_reader *r, struct relay_counters *out)
{
	for (int i = 0; i < COUNTER_TRIES; i++) {
		if (copy_counters(r->control, &r->counters))
			break;
	}
	*out = r->counters;
}

void tape_reader_costs(const struct tape_reader *r, struct histogram *out)
{
	tape_read_costs(r->control, out);
}

size_t tape_reader_backlog(const struct tape_reader *r)
{
	if (!r->attached)
		return 0;
	return (size_t)(atomic_load_explicit(&r->control->head, memory_order_acquire) - r->at);
}

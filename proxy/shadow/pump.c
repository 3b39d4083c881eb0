#include "proxy/shadow/pump.h"

#include "proxy/log.h"
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	BLOCK_BYTES = 256 * 1024,
	SPARE_MAX = 16,
	POLL_MS = 8,
	IDLE_POLL_MS = 10,
	IDLE_POLLS = 1000,
	FASTEST_BYTES_PER_MS = 1000 * 1000, /* more than one relay thread copies */
};

struct pump {
	struct tape_reader **tapes;
	bool *broken;
	unsigned ntapes;
	size_t limit_bytes;
	int poll_ms;
	int wake_fd;
	pthread_mutex_t mutex;
	struct pump_block *first, **tail; /* filled */
	struct pump_block *spare;
	unsigned nspare;
	size_t waiting;
	struct pump_block *open; /* being filled; the pump's thread alone */
};

/* So often that a thread which fills its tape as fast as it can does not get an eighth of it full
 * between two looks. */
static int poll_ms(size_t tape_bytes)
{
	size_t ms = tape_bytes / 8 / FASTEST_BYTES_PER_MS;

	return ms < 1 ? 1 : ms > POLL_MS ? POLL_MS : (int)ms;
}

struct pump *pump_new(struct tape_reader **tapes, unsigned ntapes, size_t tape_bytes, int wake_fd)
{
	struct pump *p = calloc(1, sizeof *p);

	if (!p || !(p->broken = calloc(ntapes, sizeof *p->broken))) {
		free(p);
		return NULL;
	}
	p->tapes = tapes;
	p->ntapes = ntapes;
	p->limit_bytes = tape_bytes;
	p->poll_ms = poll_ms(tape_bytes);
	p->wake_fd = wake_fd;
	p->tail = &p->first;
	pthread_mutex_init(&p->mutex, NULL);

	return p;
}

static void free_list(struct pump_block *b)
{
	while (b) {
		struct pump_block *next = b->next;

		free(b);
		b = next;
	}
}

void pump_free(struct pump *p)
{
	if (!p)
		return;
	free_list(p->first);
	free_list(p->spare);
	free(p->open);
	pthread_mutex_destroy(&p->mutex);
	free(p->broken);
	free(p);
}

static struct pump_block *block_new(struct pump *p, size_t needed)
{
	struct pump_block *b = NULL;
	size_t size = needed > BLOCK_BYTES ? needed : BLOCK_BYTES;

	if (size == BLOCK_BYTES) {
		pthread_mutex_lock(&p->mutex);
		b = p->spare;
		if (b) {
			p->spare = b->next;
			p->nspare--;
		}
		pthread_mutex_unlock(&p->mutex);
	}
	if (!b)
		b = malloc(sizeof *b + size);
	if (b)
		*b = (struct pump_block){.size = size};

	return b;
}

static void hand_over(struct pump *p)
{
	struct pump_block *b = p->open;
	uint64_t one = 1;

	if (!b || (b->len == 0 && !b->last))
		return;
	p->open = NULL;
	pthread_mutex_lock(&p->mutex);
	*p->tail = b;
	p->tail = &b->next;
	p->waiting += b->len;
	pthread_mutex_unlock(&p->mutex);
	if (write(p->wake_fd, &one, sizeof one) < 0)
		log_debug("the worker has been woken already");
}

/* The record has been taken off the tape: without memory the pump waits, and the tape fills by the
 * relay's rules. */
static void keep(struct pump *p, unsigned tape, const struct tape_record *record)
{
	struct pump_block *b = p->open;

	if (b && (b->tape != tape || b->size - b->len < record->size)) {
		hand_over(p);
		b = p->open;
	}
	if (!b) {
		while (!(b = p->open = block_new(p, record->size)))
			poll(NULL, 0, 10);
		b->tape = tape;
	}
	memcpy(b->data + b->len, record, record->size);
	b->len += record->size;
}

/* Moves what is there, up to the limit; true if anything was moved. */
static bool drain(struct pump *p, unsigned tape)
{
	const struct tape_record *record;
	struct span payload;
	size_t moved = 0;
	size_t room = pump_waiting(p);

	room = room < p->limit_bytes ? p->limit_bytes - room : 0;
	while (moved < room && !p->broken[tape] &&
		tape_reader_next(p->tapes[tape], &record, &payload, &p->broken[tape])) {
		keep(p, tape, record);
		moved += record->size;
	}
	if (p->broken[tape])
		log_error(
			"tape %u: a record makes no sense: its sessions are not observed any more",
			tape);
	if (moved > 0)
		tape_reader_release(p->tapes[tape]);
	hand_over(p);

	return moved > 0;
}

static bool drain_all(struct pump *p)
{
	bool any = false;

	for (unsigned i = 0; i < p->ntapes; i++)
		any |= drain(p, i);

	return any;
}

static bool empty(struct pump *p)
{
	for (unsigned i = 0; i < p->ntapes; i++)
		if (!p->broken[i] && tape_reader_backlog(p->tapes[i]) > 0)
			return false;

	return true;
}

static void say_last(struct pump *p)
{
	while (!p->open && !(p->open = block_new(p, 0)))
		poll(NULL, 0, 10);
	p->open->last = true;
	hand_over(p);
}

void pump_run(struct pump *p, int lifeline_fd)
{
	struct pollfd lifeline = {.fd = lifeline_fd, .events = POLLIN};
	unsigned idle = 0;
	bool gone = false;

	while (!gone || !empty(p)) {
		int wait_ms = idle < IDLE_POLLS ? p->poll_ms : IDLE_POLL_MS;

		idle = drain_all(p) ? 0 : idle + 1;
		if (gone)
			poll(NULL, 0, 1);
		else if (poll(&lifeline, 1, wait_ms) > 0)
			gone = true; /* end of file: what is on the tapes now is all there will be
				      */
	}
	say_last(p);
}

struct pump_block *pump_take(struct pump *p)
{
	struct pump_block *b;

	pthread_mutex_lock(&p->mutex);
	b = p->first;
	if (b) {
		p->first = b->next;
		if (!p->first)
			p->tail = &p->first;
		p->waiting -= b->len;
	}
	pthread_mutex_unlock(&p->mutex);

	return b;
}

void pump_recycle(struct pump *p, struct pump_block *b)
{
	pthread_mutex_lock(&p->mutex);
	if (b->size == BLOCK_BYTES && p->nspare < SPARE_MAX) {
		b->next = p->spare;
		p->spare = b;
		p->nspare++;
		b = NULL;
	}
	pthread_mutex_unlock(&p->mutex);
	free(b);
}

bool pump_record(const struct pump_block *b, size_t *at, const struct tape_record **record,
	struct span *payload)
{
	if (*at >= b->len)
		return false;
	*record = (const struct tape_record *)(const void *)(b->data + *at);
	*payload = span_of(b->data + *at + sizeof **record, (*record)->payload_len);
	*at += (*record)->size;

	return true;
}

size_t pump_waiting(struct pump *p)
{
	size_t waiting;

	pthread_mutex_lock(&p->mutex);
	waiting = p->waiting;
	pthread_mutex_unlock(&p->mutex);

	return waiting;
}

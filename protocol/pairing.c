#include "protocol/pairing.h"

#include "protocol/message.h"

#include <assert.h>
#include <stdlib.h>

enum {
	HYPOTHESES_MAX = 16,
	FIRST_CAPACITY = 8,
	KEEP_CAPACITY = 256, /* a larger ring is given back when it runs empty */
};

/* A request that waits for its answer. */
struct entry {
	uint32_t request;
	uint8_t type;
	uint8_t sub;	/* of Describe and Close */
	bool swallowed; /* read by a COPY FROM STDIN; reported when it comes to the head */
};

/* One account of what the server has read and answered.
 *
 *   entries: [head = being answered] [...] [newest]     first + i, modulo the capacity
 *
 * When no call is in progress the head is never swallowed, and never a c or f unless a copy runs:
 * such messages are reported and dropped as soon as everything before them is answered. */
struct hypothesis {
	struct entry *ring; /* owned; capacity is a power of two, or 0 */
	size_t capacity, first, count;
	struct pairing_event *held; /* owned; what is told if this hypothesis is the true one */
	size_t nheld, held_capacity;
	bool skipping;	/* the server discards until Sync, and none is queued */
	bool copying;	/* the head is in COPY FROM STDIN */
	bool described; /* head Describe S: ParameterDescription has come */
	bool answered;	/* head Q or F: a result ended; nothing but more results or Z may follow */
	bool failed;	/* head Q, S or F: an ErrorResponse came, only Z may follow */
};

struct pairing {
	void (*on_event)(void *self, const struct pairing_event *event);
	void *self;
	struct hypothesis *hypotheses[HYPOTHESES_MAX]; /* owned */
	size_t count;
	size_t used, limit;	   /* entries and held events, over all hypotheses */
	bool forked;		   /* events are held back */
	bool exhausted;		   /* a limit was met inside this call */
	enum pairing_result state; /* what every call returns from now on, unless OK */
	uint32_t last_request;
};

/* The ring. */

static struct entry *entry_at(const struct hypothesis *h, size_t i)
{
	return &h->ring[(h->first + i) & (h->capacity - 1)];
}

static bool grow_ring(struct hypothesis *h)
{
	size_t capacity = h->capacity ? h->capacity * 2 : FIRST_CAPACITY;
	struct entry *ring = malloc(capacity * sizeof *ring);

	if (!ring)
		return false;
	for (size_t i = 0; i < h->count; i++)
		ring[i] = *entry_at(h, i);
	free(h->ring);
	h->ring = ring;
	h->capacity = capacity;
	h->first = 0;

	return true;
}

static void release_ring(struct hypothesis *h)
{
	free(h->ring);
	h->ring = NULL;
	h->capacity = 0;
	h->first = 0;
}

static void push(struct pairing *p, struct hypothesis *h, struct entry entry)
{
	if (p->used >= p->limit || (h->count == h->capacity && !grow_ring(h))) {
		p->exhausted = true;
		return;
	}
	h->count++;
	p->used++;
	*entry_at(h, h->count - 1) = entry;
}

static struct entry pop(struct pairing *p, struct hypothesis *h)
{
	struct entry entry;

	assert(h->count > 0 && p->used > 0);
	entry = *entry_at(h, 0);
	h->first = (h->first + 1) & (h->capacity - 1);
	h->count--;
	p->used--;
	h->described = false;
	h->answered = false;
	h->failed = false;
	if (h->count == 0 && h->capacity > KEEP_CAPACITY)
		release_ring(h);

	return entry;
}

/* Hypotheses. */

static void free_hypothesis(struct pairing *p, struct hypothesis *h)
{
	if (!h)
		return;
	p->used -= h->count + h->nheld;
	free(h->ring);
	free(h->held);
	free(h);
}

static bool copy_entries(struct hypothesis *copy, const struct hypothesis *h)
{
	size_t capacity = FIRST_CAPACITY;

	while (capacity < h->count)
		capacity *= 2;
	copy->ring = malloc(capacity * sizeof *copy->ring);
	copy->held = malloc((h->nheld + 1) * sizeof *copy->held);
	if (!copy->ring || !copy->held)
		return false;
	for (size_t i = 0; i < h->count; i++)
		copy->ring[i] = *entry_at(h, i);
	if (h->nheld)
		memcpy(copy->held, h->held, h->nheld * sizeof *copy->held);
	copy->first = 0;
	copy->capacity = capacity;
	copy->held_capacity = h->nheld + 1;

	return true;
}

/* The copy shares nothing with the original. NULL when memory or the limit is short. */
static struct hypothesis *copy_hypothesis(struct pairing *p, const struct hypothesis *h)
{
	struct hypothesis *copy;

	if (h->count + h->nheld > p->limit - p->used)
		return NULL;
	copy = malloc(sizeof *copy);
	if (!copy)
		return NULL;
	*copy = *h;
	p->used += h->count + h->nheld;
	if (!copy_entries(copy, h)) {
		free_hypothesis(p, copy);
		return NULL;
	}

	return copy;
}

static bool same_event(const struct pairing_event *a, const struct pairing_event *b)
{
	return a->kind == b->kind && a->request == b->request && a->type == b->type;
}

static bool same_past(const struct hypothesis *a, const struct hypothesis *b)
{
	if (a->nheld != b->nheld)
		return false;
	for (size_t i = 0; i < a->nheld; i++)
		if (!same_event(&a->held[i], &b->held[i]))
			return false;

	return true;
}

/* Two hypotheses with the same future: no later message can tell them apart. */
static bool same_future(const struct hypothesis *a, const struct hypothesis *b)
{
	if (a->count != b->count || a->skipping != b->skipping || a->copying != b->copying ||
		a->described != b->described || a->answered != b->answered ||
		a->failed != b->failed)
		return false;
	for (size_t i = 0; i < a->count; i++) {
		const struct entry *x = entry_at(a, i);
		const struct entry *y = entry_at(b, i);

		if (x->request != y->request || x->swallowed != y->swallowed)
			return false;
	}

	return true;
}

/* Events. */

static void hold(struct pairing *p, struct hypothesis *h, const struct pairing_event *event)
{
	size_t capacity = h->held_capacity ? h->held_capacity * 2 : FIRST_CAPACITY;
	struct pairing_event *held = h->held;

	if (p->used < p->limit && h->nheld == h->held_capacity) {
		held = realloc(h->held, capacity * sizeof *held);
		if (held) {
			h->held = held;
			h->held_capacity = capacity;
		}
	}
	if (p->used >= p->limit || !held) {
		p->exhausted = true;
		return;
	}
	h->held[h->nheld++] = *event;
	p->used++;
}

static void emit(struct pairing *p, struct hypothesis *h, enum pairing_event_kind kind,
	const struct entry *entry)
{
	struct pairing_event event = {kind, entry->request, entry->type};

	if (p->forked)
		hold(p, h, &event);
	else
		p->on_event(p->self, &event);
}

static bool is_copy_end(uint8_t type)
{
	return type == FRONT_COPY_DONE || type == FRONT_COPY_FAIL;
}

/* What stands at the head without being waited for: swallowed messages, and c or f that the server
 * ignores because no copy runs. */
static bool is_stray(const struct hypothesis *h, const struct entry *entry)
{
	return entry->swallowed || (!h->copying && is_copy_end(entry->type));
}

static void drop_strays(struct pairing *p, struct hypothesis *h)
{
	while (h->count > 0 && is_stray(h, entry_at(h, 0))) {
		struct entry stray = pop(p, h);

		emit(p, h, stray.swallowed ? PAIR_SWALLOWED : PAIR_SKIPPED, &stray);
	}
}

/* The head's final event. True, so that a step can end with it. */
static bool finish(struct pairing *p, struct hypothesis *h, enum pairing_event_kind kind)
{
	struct entry head = pop(p, h);

	emit(p, h, kind, &head);
	drop_strays(p, h);

	return true;
}

/* After an error in an extended message the server discards everything before the next Sync. */
static void skip_to_sync(struct pairing *p, struct hypothesis *h)
{
	while (h->count > 0) {
		struct entry *head = entry_at(h, 0);
		struct entry skipped;

		if (!head->swallowed && (head->type == FRONT_SYNC || head->type == FRONT_TERMINATE))
			return;
		skipped = pop(p, h);
		emit(p, h, skipped.swallowed ? PAIR_SWALLOWED : PAIR_SKIPPED, &skipped);
	}
	h->skipping = true;
}

/* COPY FROM STDIN. */

/* Where the entries begin that a running copy has not swallowed yet. */
static size_t first_unswallowed(const struct hypothesis *h, size_t from)
{
	while (from < h->count && entry_at(h, from)->swallowed)
		from++;

	return from;
}

static size_t count_syncs(const struct hypothesis *h, size_t from)
{
	size_t n = 0;

	while (from + n < h->count && entry_at(h, from + n)->type == FRONT_SYNC)
		n++;

	return n;
}

/* The copy succeeded, so it read everything up to the CopyDone, and nothing but Syncs and Flushes
 * stood before it. */
static bool end_copy(struct hypothesis *h)
{
	size_t from = first_unswallowed(h, 1);
	size_t done = from + count_syncs(h, from);

	if (done >= h->count || entry_at(h, done)->type != FRONT_COPY_DONE)
		return false;
	for (size_t i = from; i <= done; i++)
		entry_at(h, i)->swallowed = true;
	h->copying = false;

	return true;
}

/* The copy failed after reading `swallowed` of the `syncs` that stand at `from`. With all of them
 * it may have read its end too. */
static void end_failed_copy(struct pairing *p, struct hypothesis *h, size_t from, size_t swallowed,
	size_t syncs, bool extended)
{
	if (swallowed == syncs && from + syncs < h->count &&
		is_copy_end(entry_at(h, from + syncs)->type))
		swallowed++;
	for (size_t i = 0; i < swallowed; i++)
		entry_at(h, from + i)->swallowed = true;
	if (extended)
		skip_to_sync(p, h);
}

/* The one ambiguous case: how many of the Syncs sent behind the copy had the server read when it
 * failed? One hypothesis for each number; the next messages decide. */
static bool fail_copy(struct pairing *p, struct hypothesis *h, bool extended)
{
	size_t from = extended ? 0 : first_unswallowed(h, 1);
	size_t syncs = count_syncs(h, from);
	struct hypothesis *fork;

	h->copying = false;
	if (syncs > 0) {
		p->forked = true;
		if (syncs > HYPOTHESES_MAX - p->count)
			p->exhausted = true;
	}
	for (size_t n = 1; n <= syncs && !p->exhausted; n++) {
		fork = copy_hypothesis(p, h);
		if (!fork) {
			p->exhausted = true;
			break;
		}
		p->hypotheses[p->count++] = fork;
		end_failed_copy(p, fork, from, n, syncs, extended);
	}
	end_failed_copy(p, h, from, 0, syncs, extended);

	return true;
}

/* Steps: true when the message fits the hypothesis. */

static bool step_error(struct pairing *p, struct hypothesis *h)
{
	struct entry head = *entry_at(h, 0);
	bool copying = h->copying;

	switch (head.type) {
	case FRONT_QUERY:
	case FRONT_FUNCTION_CALL:
	case FRONT_SYNC:
		if (!h->failed)
			emit(p, h, PAIR_FAILED, &head);
		h->failed = true;
		return copying ? fail_copy(p, h, false) : true;
	case FRONT_PARSE:
	case FRONT_BIND:
	case FRONT_DESCRIBE:
	case FRONT_EXECUTE:
	case FRONT_CLOSE:
		pop(p, h);
		emit(p, h, PAIR_FAILED, &head);
		if (copying)
			return fail_copy(p, h, true);
		skip_to_sync(p, h);
		return true;
	default: return false;
	}
}

static bool step_ready(struct pairing *p, struct hypothesis *h)
{
	switch (entry_at(h, 0)->type) {
	case FRONT_QUERY:
	case FRONT_FUNCTION_CALL:
		if (h->copying || !(h->answered || h->failed))
			return false;
		return finish(p, h, PAIR_DONE);
	case FRONT_SYNC: return finish(p, h, PAIR_DONE);
	default: return false;
	}
}

/* t, then T or n, for a statement; T or n for a portal. */
static bool step_description(struct pairing *p, struct hypothesis *h, uint8_t type)
{
	const struct entry *head = entry_at(h, 0);
	bool statement = head->sub == 'S';

	if (head->type == FRONT_QUERY && type == BACK_ROW_DESCRIPTION) {
		h->answered = false;
		return !h->copying && !h->failed;
	}
	if (head->type != FRONT_DESCRIBE)
		return false;
	if (type != BACK_PARAMETER_DESCRIPTION)
		return statement == h->described ? finish(p, h, PAIR_DONE) : false;
	if (!statement || h->described)
		return false;
	h->described = true;

	return true;
}

/* Results of Execute and Query. An Execute ends with its C, s or I; a Query goes on until its Z. */
static bool step_result(struct pairing *p, struct hypothesis *h, uint8_t type)
{
	bool query = entry_at(h, 0)->type == FRONT_QUERY;

	if ((!query && entry_at(h, 0)->type != FRONT_EXECUTE) || h->failed)
		return false;
	if (h->copying && (type != BACK_COMMAND_COMPLETE || !end_copy(h)))
		return false;

	switch (type) {
	case BACK_COMMAND_COMPLETE:
	case BACK_EMPTY_QUERY: h->answered = true; return query ? true : finish(p, h, PAIR_DONE);
	case BACK_PORTAL_SUSPENDED: return query ? false : finish(p, h, PAIR_SUSPENDED);
	case BACK_COPY_IN: h->copying = true; break;
	default: break; /* D, and H d c of a copy to the client */
	}
	h->answered = false;

	return true;
}

static bool step(struct pairing *p, struct hypothesis *h, uint8_t type)
{
	uint8_t head;

	if (h->count == 0)
		return false;
	head = entry_at(h, 0)->type;

	switch (type) {
	case BACK_PARSE_COMPLETE: return head == FRONT_PARSE && finish(p, h, PAIR_DONE);
	case BACK_BIND_COMPLETE: return head == FRONT_BIND && finish(p, h, PAIR_DONE);
	case BACK_CLOSE_COMPLETE: return head == FRONT_CLOSE && finish(p, h, PAIR_DONE);
	case BACK_PARAMETER_DESCRIPTION:
	case BACK_ROW_DESCRIPTION:
	case BACK_NO_DATA: return step_description(p, h, type);
	case BACK_DATA_ROW:
	case BACK_COMMAND_COMPLETE:
	case BACK_EMPTY_QUERY:
	case BACK_PORTAL_SUSPENDED:
	case BACK_COPY_IN:
	case BACK_COPY_OUT:
	case BACK_COPY_DATA:
	case BACK_COPY_DONE: return step_result(p, h, type);
	case BACK_FUNCTION_RESULT:
		h->answered = true;
		return head == FRONT_FUNCTION_CALL && !h->failed;
	case BACK_READY: return step_ready(p, h);
	case BACK_ERROR: return step_error(p, h);
	default: return false; /* CopyBoth, authentication, and what nobody knows */
	}
}

/* After a step of several hypotheses. */

static void remove_hypothesis(struct pairing *p, size_t i)
{
	free_hypothesis(p, p->hypotheses[i]);
	p->count--;
	memmove(&p->hypotheses[i], &p->hypotheses[i + 1], (p->count - i) * sizeof p->hypotheses[0]);
}

/* Equal hypotheses become one. If they differ in what has happened, nothing can ever tell which of
 * them is true: false. */
static bool merge_equal(struct pairing *p)
{
	for (size_t i = 0; i < p->count; i++)
		for (size_t k = p->count - 1; k > i; k--) {
			if (!same_future(p->hypotheses[i], p->hypotheses[k]))
				continue;
			if (!same_past(p->hypotheses[i], p->hypotheses[k]))
				return false;
			remove_hypothesis(p, k);
		}

	return true;
}

static void deliver_held(struct pairing *p)
{
	struct hypothesis *h = p->hypotheses[0];

	p->forked = false;
	for (size_t i = 0; i < h->nheld; i++)
		p->on_event(p->self, &h->held[i]);
	p->used -= h->nheld;
	free(h->held);
	h->held = NULL;
	h->nheld = 0;
	h->held_capacity = 0;
}

static enum pairing_result lose(struct pairing *p)
{
	p->state = PAIRING_LOST;

	return p->state;
}

/* After a step: back to one hypothesis if the message decided it. */
static enum pairing_result settle(struct pairing *p)
{
	if (p->exhausted || !merge_equal(p))
		return lose(p);
	if (p->count == 1)
		deliver_held(p);

	return PAIRING_OK;
}

static enum pairing_result step_all(struct pairing *p, uint8_t type)
{
	size_t n = p->count; /* a step may add forks behind; those have had the message */

	for (size_t i = 0; i < n;) {
		if (step(p, p->hypotheses[i], type)) {
			i++;
			continue;
		}
		if (p->count == 1)
			return lose(p);
		remove_hypothesis(p, i);
		n--;
	}

	return settle(p);
}

static bool is_fatal(struct span body)
{
	struct error_fields fields;

	if (!body.data)
		return false;
	/* A torn message still says what it says in front. */
	(void)parse_error_fields(body, &fields);

	return span_is(fields.severity, "FATAL") || span_is(fields.severity, "PANIC");
}

static bool is_status(struct span body)
{
	uint8_t status;

	if (!body.data)
		return true; /* the caller does not have it */

	return parse_ready(body, &status) && (status == 'I' || status == 'T' || status == 'E');
}

enum pairing_result pairing_back(struct pairing *p, uint8_t type, struct span body)
{
	if (p->state != PAIRING_OK || type == BACK_NOTICE || type == BACK_NOTIFICATION ||
		type == BACK_PARAMETER_STATUS)
		return p->state;
	if (type == BACK_ERROR && is_fatal(body)) {
		p->state = PAIRING_CLOSED;
		return p->state;
	}
	if (type == BACK_READY && !is_status(body))
		return lose(p);

	if (p->count > 1)
		return step_all(p, type);
	if (!step(p, p->hypotheses[0], type))
		return lose(p);

	return p->forked ? settle(p) : PAIRING_OK;
}

static void front_one(struct pairing *p, struct hypothesis *h, struct entry entry)
{
	/* Terminate is read too; what is sent behind it waits for ever. */
	if (entry.type == FRONT_SYNC || entry.type == FRONT_TERMINATE)
		h->skipping = false;
	if (h->skipping) {
		emit(p, h, PAIR_SKIPPED, &entry);
		return;
	}
	push(p, h, entry);
	if (is_copy_end(entry.type))
		drop_strays(p, h);
}

enum pairing_result pairing_front(struct pairing *p, uint8_t type, uint8_t sub, uint32_t *request)
{
	struct entry entry = {.type = type, .sub = sub};

	*request = 0;
	if (p->state != PAIRING_OK || type == FRONT_FLUSH || type == FRONT_COPY_DATA)
		return p->state;
	if (++p->last_request == 0)
		p->last_request = 1;
	entry.request = p->last_request;
	*request = entry.request;
	for (size_t i = 0; i < p->count; i++)
		front_one(p, p->hypotheses[i], entry);

	return p->exhausted ? lose(p) : PAIRING_OK;
}

uint32_t pairing_head(struct pairing *p, uint8_t *type)
{
	const struct hypothesis *h = p->hypotheses[0];

	*type = 0;
	if (p->state != PAIRING_OK || p->forked)
		return 0;
	for (size_t i = 0; i < h->count; i++) {
		const struct entry *entry = entry_at(h, i);

		if (is_stray(h, entry))
			continue;
		*type = entry->type;
		return entry->request;
	}

	return 0;
}

size_t pairing_hypotheses(const struct pairing *p)
{
	return p->count;
}

size_t pairing_outstanding(const struct pairing *p)
{
	return p->hypotheses[0]->count;
}

bool pairing_idle(const struct pairing *p)
{
	const struct hypothesis *h = p->hypotheses[0];

	return p->state == PAIRING_OK && p->count == 1 && h->count == 0 && !h->skipping &&
	       !h->copying;
}

struct pairing *pairing_new(
	size_t limit, void (*on_event)(void *self, const struct pairing_event *event), void *self)
{
	struct pairing *p = calloc(1, sizeof *p);
	struct hypothesis *h = calloc(1, sizeof *h);

	assert(on_event);
	if (!p || !h) {
		free(p);
		free(h);
		return NULL;
	}
	p->on_event = on_event;
	p->self = self;
	p->limit = limit;
	p->hypotheses[0] = h;
	p->count = 1;

	return p;
}

void pairing_free(struct pairing *p)
{
	if (!p)
		return;
	while (p->count > 0)
		free_hypothesis(p, p->hypotheses[--p->count]);
	assert(p->used == 0);
	free(p);
}

void pairing_reset(struct pairing *p)
{
	struct hypothesis *h = p->hypotheses[0];

	while (p->count > 1)
		free_hypothesis(p, p->hypotheses[--p->count]);
	release_ring(h);
	free(h->held);
	*h = (struct hypothesis){0};
	p->used = 0;
	p->forked = false;
	p->exhausted = false;
	p->state = PAIRING_OK;
}

#include "proxy/shadow/observer.h"

#include "proxy/shadow/observed.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum { SLOTS_MAX = 1 << 20, ALIKE_MAX = 1 << 14 /* kinds of sessions that are told apart */ };

struct observer *observer_new(const struct observer_options *options, struct books *books,
	const struct observer_sink *sink)
{
	struct observer *o = calloc(1, sizeof *o);

	if (!o)
		return NULL;
	o->texts = texts_pool_new(ALIKE_MAX);
	o->settings = settings_pool_new(ALIKE_MAX);
	if (!o->texts || !o->settings) {
		observer_free(o);
		return NULL;
	}
	o->options = *options;
	o->books = books;
	o->sink = *sink;
	o->random = 0x9E3779B97F4A7C15u;

	return o;
}

void observer_end(struct observer *o)
{
	for (size_t t = 0; t < sizeof o->tables / sizeof *o->tables; t++) {
		for (size_t i = 0; i < o->tables[t].count; i++) {
			observed_free(o->tables[t].slot[i]);
			o->tables[t].slot[i] = NULL;
		}
	}
	o->sessions = 0;
}

void observer_free(struct observer *o)
{
	if (!o)
		return;
	observer_end(o);
	for (size_t t = 0; t < sizeof o->tables / sizeof *o->tables; t++)
		free(o->tables[t].slot);
	texts_pool_free(o->texts);
	settings_pool_free(o->settings);
	free(o);
}

static struct observed **slot_of(struct session_table *t, uint32_t slot, bool grow)
{
	if (slot >= t->count && grow && slot < SLOTS_MAX) {
		size_t count = t->count ? t->count * 2 : 64;
		struct observed **slots;

		while (count <= slot)
			count *= 2;
		slots = realloc(t->slot, count * sizeof *slots);
		if (!slots)
			return NULL;
		memset(slots + t->count, 0, (count - t->count) * sizeof *slots);
		t->slot = slots;
		t->count = count;
	}

	return slot < t->count ? &t->slot[slot] : NULL;
}

static void session_over(struct observer *o, struct observed **slot)
{
	if (*slot) {
		observed_free(*slot);
		*slot = NULL;
		o->sessions--;
	}
}

bool observer_database_of(struct span payload, char *name, size_t size)
{
	struct startup_message message;
	struct span rest, key, value, found = {0};
	struct tape_open open;

	if (payload.len < sizeof open)
		return false;
	memcpy(&open, payload.data, sizeof open);
	if (open.startup_len > payload.len - sizeof open ||
		!parse_startup(span_of(payload.data + sizeof open, open.startup_len), &message))
		return false;
	for (rest = message.parameters; next_parameter(&rest, &key, &value);)
		if ((span_is(key, "user") && !found.len) ||
			(span_is(key, "database") && value.len > 0))
			found = value;

	return found.data && (size_t)snprintf(name, size, "%.*s", (int)found.len,
				     (const char *)found.data) < size;
}

/* True: it gave something back. */
static bool rest(struct observed *s)
{
	bool active = s->pairing != NULL;

	if (s->stirred) {
		s->stirred = false;
		return false;
	}
	observed_rest(s);
	if (s->front.framer.have == 0 && s->front.partial.len == 0)
		buffer_release(&s->front.partial);
	if (s->back.framer.have == 0 && s->back.partial.len == 0)
		buffer_release(&s->back.partial);

	return active && !s->pairing;
}

size_t observer_rest(struct observer *o)
{
	size_t rested = 0;

	for (size_t t = 0; t < sizeof o->tables / sizeof *o->tables; t++)
		for (size_t i = 0; i < o->tables[t].count; i++)
			if (o->tables[t].slot[i])
				rested += rest(o->tables[t].slot[i]);

	return rested;
}

static struct observed *follow(struct observer *o, struct tape_session id, struct span payload)
{
	struct tape_open open;
	struct observed *s;

	if (payload.len < sizeof open)
		return NULL;
	memcpy(&open, payload.data, sizeof open);
	payload = span_of(payload.data + sizeof open, payload.len - sizeof open);
	if (open.startup_len > payload.len || open.reported_len > payload.len - open.startup_len)
		return NULL;
	s = observed_new(o, id);
	if (s && !observed_start(s, &open, span_of(payload.data, open.startup_len),
			 span_of(payload.data + open.startup_len, open.reported_len))) {
		observed_free(s);
		s = NULL;
	}

	return s;
}

static void open_session(struct observer *o, struct session_table *t,
	const struct tape_record *record, struct span payload)
{
	struct observed **slot = slot_of(t, record->session.slot, true);

	if (!slot)
		return;
	session_over(o, slot);
	if (o->sessions >= o->options.max_sessions) {
		*slot = observed_new_unfollowed(o, record->session, UNOBSERVED_SESSION_LIMIT);
	} else {
		*slot = follow(o, record->session, payload);
		if (!*slot)
			*slot = observed_new_unfollowed(
				o, record->session, UNOBSERVED_SESSION_UNKNOWN);
	}
	if (*slot)
		o->sessions++;
	if (*slot && (*slot)->state == SESSION_LOST)
		o->books->events[EVENT_UNFOLLOWED]++;
}

/* Bytes of a session whose start was not seen: whole frames are counted, that is all. */
static void count_unfollowed(struct observer *o, struct span bytes)
{
	struct framer framer;
	struct frame_run run;

	framer_init(&framer);
	while (framer_next(&framer, &bytes, &run)) {
		if (run.begins && (run.type == FRONT_QUERY || run.type == FRONT_EXECUTE ||
					  run.type == FRONT_FUNCTION_CALL)) {
			o->frames_read++;
			o->books->unobserved[UNOBSERVED_SESSION_UNKNOWN]++;
		}
	}
}

static void stream(struct observed *s, const struct tape_record *record, struct span bytes)
{
	bool front = record->kind == TAPE_FRONT;
	struct assembler *a = front ? &s->front : &s->back;
	struct message m;

	for (;;) {
		switch (assembler_next(a, &bytes, &m)) {
		case ASSEMBLE_MORE: return;
		case ASSEMBLE_LOST: observed_lose(s); return;
		case ASSEMBLE_TOO_BIG:
			m.body = (struct span){0};
			/* fall through */
		case ASSEMBLE_MESSAGE:
			if (front)
				observed_front(s, &m, record->time_us);
			else
				observed_back(s, &m, record->time_us);
			break;
		}
	}
}

static void stub(struct observed *s, const struct tape_record *record, struct span payload)
{
	struct tape_stub t;
	struct message m = {0};

	if (payload.len < sizeof t)
		return;
	memcpy(&t, payload.data, sizeof t);
	m.type = t.type;
	m.length = t.length;
	if (t.from_server)
		observed_back(s, &m, record->time_us);
	else
		observed_front(s, &m, record->time_us);
}

static void resume(struct observed *s, struct span payload)
{
	struct tape_resume r;
	struct gap gap = {0};
	size_t keys;

	if (payload.len < sizeof r)
		return;
	memcpy(&r, payload.data, sizeof r);
	payload = span_of(payload.data + sizeof r, payload.len - sizeof r);
	keys = (size_t)r.texts * sizeof *gap.texts;
	if (s->state == SESSION_LOST) {
		assembler_reset(&s->front);
		assembler_reset(&s->back);
	} else if (r.texts <= UNSEEN_TEXTS_MAX && keys + r.reported_len <= payload.len) {
		gap.flags = r.flags;
		gap.ntexts = r.texts;
		memcpy(gap.texts, payload.data, keys);
		observed_resume(s, &gap, span_of(payload.data + keys, r.reported_len));
	}
}

static void rows(struct observed *s, struct span payload)
{
	struct tape_rows r;

	if (payload.len < sizeof r)
		return;
	memcpy(&r, payload.data, sizeof r);
	observed_rows_missing(s, &r);
}

void observer_record(
	struct observer *o, unsigned tape, const struct tape_record *record, struct span payload)
{
	struct session_table *t = &o->tables[tape];
	struct observed **slot;

	assert(tape < sizeof o->tables / sizeof *o->tables);
	if (record->kind == TAPE_OPEN) {
		open_session(o, t, record, payload);
		return;
	}
	slot = slot_of(t, record->session.slot, false);
	if (!slot || !*slot || (*slot)->id.generation != record->session.generation) {
		if (record->kind == TAPE_FRONT)
			count_unfollowed(o, payload);
		return;
	}
	(*slot)->stirred = true;
	switch (record->kind) {
	case TAPE_FRONT:
	case TAPE_BACK: stream(*slot, record, payload); break;
	case TAPE_STUB: stub(*slot, record, payload); break;
	case TAPE_ROWS: rows(*slot, payload); break;
	case TAPE_RESUME: resume(*slot, payload); break;
	case TAPE_CLOSE: session_over(o, slot); break;
	default: break;
	}
}

uint64_t observer_frames_read(const struct observer *o)
{
	return o->frames_read;
}

uint64_t observer_frames_open(const struct observer *o)
{
	return o->frames_open;
}

size_t observer_sessions(const struct observer *o)
{
	return o->sessions;
}

uint64_t observer_desyncs(const struct observer *o)
{
	return o->books->events[EVENT_DESYNC];
}

uint64_t observer_disagreements(const struct observer *o)
{
	return o->books->events[EVENT_DISAGREEMENT];
}

#include "proxy/relay/recorder_internal.h"
#include <assert.h>
#ifdef PGUMBRA_TEST_HOOKS
#include <stdlib.h>
#include <unistd.h>
#endif

/* Bytes of the session in the ring, at most: what was put before the mark counts until all of it
 * was read. */
static size_t share_held(struct recorder *r)
{
	if (r->share_old + r->share_new > 0 && tape_tail(r->recording->tape) >= r->share_mark) {
		r->share_old = r->share_new;
		r->share_new = 0;
		r->share_mark = tape_head(r->recording->tape);
	}

	return (size_t)r->share_old + r->share_new;
}

#ifdef PGUMBRA_TEST_HOOKS
/* Copying that takes so many microseconds more. */
static void copy_slowly(void)
{
	const char *text = getenv("PGUMBRA_TEST_SLOW_COPY_US");

	if (text)
		usleep((useconds_t)atoi(text));
}
#else
static void copy_slowly(void)
{
}
#endif

bool recorder_put(struct recorder *r, enum tape_kind kind, struct span a, struct span b)
{
	struct recording *to = r->recording;
	const size_t size = sizeof(struct tape_record) + a.len + b.len + 8;

	copy_slowly();
	if (share_held(r) + size > tape_size(to->tape) / 8 ||
		!tape_put(to->tape, kind, r->id, to->now_us, a, b))
		return false;
	r->share_new += (uint32_t)size;

	return true;
}

void recorder_enter_gap(struct recorder *r, enum unobserved why, uint32_t flags)
{
	r->taking = false;
	r->why = why;
	r->gap |= flags;
	r->front.taken = r->back.taken = false;
	r->missed = (struct tape_rows){0};
}

void recorder_put_segment(struct recorder *r, struct way *w)
{
	const enum tape_kind kind = w->from_server ? TAPE_BACK : TAPE_FRONT;
	struct segment *s = &r->recording->segment;
	const struct span bytes = s->bytes;

	if (bytes.len == 0)
		return;
	s->bytes.len = 0;
	if (recorder_put(r, kind, span_of(s->prefix, s->prefix_len), bytes))
		count_frames(r, s->frames, true);
	else {
		recorder_enter_gap(r, UNOBSERVED_TAPE_FULL, 0);
		recorder_pass_unseen(r, bytes, s->flags, !s->from_start);
		count_frames(r, s->frames, false);
	}
}

void recorder_put_missed_rows(struct recorder *r)
{
	if (!r->taking || r->missed.rows == 0)
		return;
	if (!recorder_put(r, TAPE_ROWS, span_of(&r->missed, sizeof r->missed), span_of(NULL, 0)))
		recorder_enter_gap(r, UNOBSERVED_TAPE_FULL, 0);
	r->missed = (struct tape_rows){0};
}

bool recorder_put_open(struct recorder *r, bool again)
{
	struct tape_open open = {.announced_again = again,
		.startup_len = r->startup_len,
		.reported_len = again ? r->reported_len : 0,
		.peer_us = r->peer_us};
	uint8_t head[sizeof open + STARTUP_LENGTH_MAX];

	assert(r->startup_len <= STARTUP_LENGTH_MAX);
	memcpy(head, &open, sizeof open);
	memcpy(head + sizeof open, r->startup, r->startup_len);
	r->announced = recorder_put(r, TAPE_OPEN, span_of(head, sizeof open + r->startup_len),
		span_of(r->reported, open.reported_len));

	return r->announced;
}

bool recorder_quiet(const struct recorder *r)
{
	return r->authenticated && r->status == 'I' && r->outstanding == 0 && !r->extended &&
	       !r->front.middle && !r->back.middle;
}

static bool put_resume(struct recorder *r)
{
	const uint32_t texts = r->unseen ? r->unseen->count : 0;
	const struct tape_resume resume = {
		.flags = r->gap, .texts = texts, .reported_len = r->reported_len};
	uint8_t head[sizeof resume + UNSEEN_TEXTS_MAX * sizeof(struct tape_text)];
	const size_t keys = texts * sizeof(struct tape_text);

	memcpy(head, &resume, sizeof resume);
	if (keys > 0)
		memcpy(head + sizeof resume, r->unseen->text, keys);

	return recorder_put(r, TAPE_RESUME, span_of(head, sizeof resume + keys),
		span_of(r->reported, r->reported_len));
}

void recorder_try_resume(struct recorder *r)
{
	struct recording *from = r->recording;

	if (r->never || !is_recording(from) || !recorder_quiet(r) ||
		tape_used(from->tape) >= tape_size(from->tape) / 2)
		return;
	if (!r->announced && !recorder_put_open(r, true))
		return;
	if (!put_resume(r))
		return;
	r->taking = true;
	recorder_forget_unseen(r);
	from->used_at_start = tape_used(from->tape);
	end_result(r);
}

/* --- rows --- */

static bool coin_says_yes(struct recording *to)
{
	to->random ^= to->random << 13; /* Marsaglia, "Xorshift RNGs", 2003 */
	to->random ^= to->random >> 7;
	to->random ^= to->random << 17;

	return (to->random >> 32) < to->sample;
}

/* A session stops at three quarters of its eighth, so that the end of the result still fits. */
static size_t share_room(struct recorder *r)
{
	const size_t most = tape_size(r->recording->tape) / 32 * 3, held = share_held(r);

	return held < most ? most - held : 0;
}

static size_t ring_room(const struct recording *to)
{
	const size_t most = tape_size(to->tape) / 2;

	return to->used_at_start < most ? most - to->used_at_start : 0;
}

size_t recorder_row_room(struct recorder *r)
{
	const size_t ring = ring_room(r->recording), share = share_room(r);

	return ring < share ? ring : share;
}

/* 0 when the row may be taken. */
static uint32_t refuse_row(struct recorder *r, size_t bytes)
{
	const struct recording *to = r->recording;
	const size_t waiting = to->segment.bytes.len;

	if (bytes > to->max_message_bytes || r->result_bytes + bytes > to->max_result_bytes)
		return ROWS_RESULT_LIMIT;
	if (waiting + bytes > ring_room(to))
		return ROWS_HALF_FULL;
	if (waiting + bytes > share_room(r))
		return ROWS_SESSION_SHARE;

	return 0;
}

void recorder_decide_rows(struct recorder *r)
{
	if (r->rows != ROWS_UNDECIDED)
		return;
	r->rows = coin_says_yes(r->recording) ? ROWS_TAKEN : ROWS_REFUSED;
	r->refusal = ROWS_SAMPLED_OUT;
}

bool recorder_take_row(struct recorder *r, size_t bytes)
{
	recorder_decide_rows(r);
	if (r->rows == ROWS_TAKEN) {
		r->refusal = (uint8_t)refuse_row(r, bytes);
		if (r->refusal)
			r->rows = ROWS_REFUSED;
	}
	r->result_bytes += bytes;
	if (r->rows == ROWS_TAKEN)
		return true;
	r->missed.reason = r->refusal;
	r->missed.rows++;
	r->missed.bytes += bytes;

	return false;
}

#include "proxy/relay/recorder.h"

#include "protocol/message.h"
#include <assert.h>
#include <stdlib.h>
#include <strings.h>

enum { SMALL_MESSAGE_MAX = 16 * 1024, REPORTED_MAX = 16 * 1024 };

/* --- the account --- */

static void count_frames(struct recorder *r, uint32_t frames, bool taken)
{
	struct relay_counters *c = &r->recording->counters;

	c->relayed += frames;
	if (taken)
		c->taken += frames;
	else
		c->unobserved[r->why] += frames;
}

static bool is_counted(const struct way *w, uint8_t type)
{
	return !w->from_server &&
	       (type == FRONT_QUERY || type == FRONT_EXECUTE || type == FRONT_FUNCTION_CALL);
}

/* --- the tape --- */

/* Bytes of the session in the ring, at most: what was put before the mark counts until all of it
 * was read. */
static size_t share_held(struct recorder *r)
{
	if (r->share_old + r->share_new > 0 && tape_tail(r->recording->tape) >= r->share_mark) {
		r->share_old = r->share_new;
		r->share_new = 0;
		r->share_mark = tape_head(r->recording->tape);
	}

	return r->share_old + r->share_new;
}

/* R3. False when it does not fit. */
static bool put(struct recorder *r, enum tape_kind kind, struct span a, struct span b)
{
	struct recording *to = r->recording;
	const size_t size = sizeof(struct tape_record) + a.len + b.len + 8;

	if (share_held(r) + size > tape_size(to->tape) / 8 ||
		!tape_put(to->tape, kind, r->id, to->now_us, a, b))
		return false;
	r->share_new += size;

	return true;
}

/* What was to be taken did not fit: from here on the session is not taken. */
static void enter_gap(struct recorder *r, enum unobserved why, uint32_t flags)
{
	r->taking = false;
	r->why = why;
	r->gap |= flags;
	r->front.taken = r->back.taken = false;
	r->missed = (struct tape_rows){0};
}

static void put_segment(struct recorder *r, struct way *w)
{
	const enum tape_kind kind = w->from_server ? TAPE_BACK : TAPE_FRONT;
	const struct segment s = w->segment;

	w->segment = (struct segment){0};
	if (s.bytes.len == 0)
		return;
	if (put(r, kind, span_of(s.prefix, s.prefix_len), s.bytes))
		count_frames(r, s.frames, true);
	else {
		enter_gap(r, UNOBSERVED_TAPE_FULL, s.flags);
		count_frames(r, s.frames, false);
	}
}

/* Rows that were not taken are told before the next byte that is. */
static void put_missed_rows(struct recorder *r)
{
	if (!r->taking || r->missed.rows == 0)
		return;
	if (!put(r, TAPE_ROWS, span_of(&r->missed, sizeof r->missed), span_of(NULL, 0)))
		enter_gap(r, UNOBSERVED_TAPE_FULL, 0);
	r->missed = (struct tape_rows){0};
}

static bool put_open(struct recorder *r, bool again)
{
	struct tape_open open = {.announced_again = again,
		.flags = again ? r->gap : 0,
		.startup_len = (uint32_t)r->startup_len,
		.reported_len = again ? (uint32_t)r->reported_len : 0,
		.peer_us = r->peer_us};
	uint8_t head[sizeof open + STARTUP_LENGTH_MAX];

	assert(r->startup_len <= STARTUP_LENGTH_MAX);
	memcpy(head, &open, sizeof open);
	memcpy(head + sizeof open, r->startup, r->startup_len);
	r->announced = put(r, TAPE_OPEN, span_of(head, sizeof open + r->startup_len),
		span_of(r->reported, open.reported_len));

	return r->announced;
}

bool recorder_quiet(const struct recorder *r)
{
	return r->authenticated && r->status == 'I' && r->outstanding == 0 && !r->extended &&
	       !r->front.middle && !r->back.middle;
}

static void try_resume(struct recorder *r)
{
	const struct recording *from = r->recording;
	struct tape_resume resume = {.flags = r->gap, .reported_len = (uint32_t)r->reported_len};

	if (r->taking || r->never || from->epoch == 0 || from->switched_off || !recorder_quiet(r) ||
		tape_used(from->tape) >= tape_size(from->tape) / 2)
		return;
	if (!r->announced && !put_open(r, true))
		return;
	if (!put(r, TAPE_RESUME, span_of(&resume, sizeof resume),
		    span_of(r->reported, r->reported_len)))
		return;
	r->taking = true;
	r->gap = 0;
	r->used_at_start = tape_used(from->tape);
	r->rows = ROWS_UNDECIDED;
	r->result_bytes = 0;
}

/* --- rows --- */

static bool coin_says_yes(struct recording *to)
{
	to->random ^= to->random << 13; /* Marsaglia, "Xorshift RNGs", 2003 */
	to->random ^= to->random >> 7;
	to->random ^= to->random << 17;

	return (to->random >> 32) < to->sample;
}

/* 0 when the row may be taken. A session stops at three quarters of its eighth, so that the end of
 * the result still fits. */
static uint32_t refuse_row(struct recorder *r, size_t bytes)
{
	const struct recording *to = r->recording;
	const size_t size = tape_size(to->tape), waiting = r->back.segment.bytes.len;

	if (bytes > to->max_message_bytes || r->result_bytes + bytes > to->max_result_bytes)
		return ROWS_RESULT_LIMIT;
	if (r->used_at_start + waiting + bytes > size / 2)
		return ROWS_HALF_FULL;
	if (share_held(r) + waiting + bytes > size / 32 * 3)
		return ROWS_SESSION_SHARE;

	return 0;
}

static bool take_row(struct recorder *r, size_t bytes)
{
	if (r->rows == ROWS_UNDECIDED) {
		r->rows = coin_says_yes(r->recording) ? ROWS_TAKEN : ROWS_REFUSED;
		r->refusal = ROWS_SAMPLED_OUT;
	}
	if (r->rows == ROWS_TAKEN) {
		r->refusal = refuse_row(r, bytes);
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

static void end_result(struct recorder *r)
{
	r->rows = ROWS_UNDECIDED;
	r->result_bytes = 0;
}

/* --- one message --- */

static void put_stub(struct recorder *r, struct way *w, const struct frame_run *run)
{
	struct tape_stub stub = {
		.type = run->type, .from_server = w->from_server, .length = run->length};

	put_segment(r, w);
	if (!r->taking)
		return;
	w->stubbed = put(r, TAPE_STUB, span_of(&stub, sizeof stub), span_of(NULL, 0));
	if (!w->stubbed)
		enter_gap(r, UNOBSERVED_TAPE_FULL, 0);
	else if (is_counted(w, run->type))
		count_frames(r, 1, true);
}

/* Decides at the header. */
static void begin_message(struct recorder *r, struct way *w, const struct frame_run *run)
{
	const size_t bytes = (size_t)run->length + 1;

	w->stubbed = false;
	w->taken = r->taking;
	if (!w->taken)
		return;
	if (w->from_server) {
		if (run->type == BACK_DATA_ROW || run->type == BACK_COPY_DATA)
			w->taken = take_row(r, bytes);
		else if (run->type == BACK_KEY_DATA)
			w->taken = false; /* L6 */
		if (!w->taken)
			return;
		if (r->missed.rows > 0) {
			put_segment(r, w);
			put_missed_rows(r);
		}
	} else if (run->type == FRONT_COPY_DATA || run->type == FRONT_PASSWORD) {
		w->taken = false;
		return;
	}
	if (w->taken && bytes > r->recording->max_message_bytes) {
		put_stub(r, w, run);
		w->taken = false;
	}
	w->taken = w->taken && r->taking;
}

static bool plain_tag(struct span tag)
{
	static const char *const plain[] = {"SELECT ", "INSERT ", "UPDATE ", "DELETE ", "MERGE ",
		"BEGIN", "COMMIT", "ROLLBACK"};

	for (unsigned i = 0; i < sizeof plain / sizeof plain[0]; i++) {
		size_t n = strlen(plain[i]);
		bool whole = plain[i][n - 1] != ' ';

		if (tag.len >= n && memcmp(tag.data, plain[i], n) == 0 && (!whole || tag.len == n))
			return true;
	}

	return false;
}

/* What it would mean for the session if this part of a message were not seen. */
static uint32_t gap_flags(const struct way *w, const struct frame_run *run)
{
	struct span tag;

	if (!w->from_server) {
		switch (run->type) {
		case FRONT_PARSE: return GAP_PARSE;
		case FRONT_CLOSE: return GAP_CLOSE;
		case FRONT_QUERY: return GAP_QUERY;
		default: return 0;
		}
	}
	if (run->type != BACK_COMMAND_COMPLETE)
		return 0;
	if (run->bytes.len != (size_t)run->length + 1 ||
		!parse_command_complete(
			span_of(run->bytes.data + MESSAGE_HEADER, run->length - 4), &tag) ||
		!plain_tag(tag))
		return GAP_OTHER_COMMAND;

	return 0;
}

static void carry(struct recorder *r, struct way *w, const struct frame_run *run)
{
	const bool counted = run->ends && is_counted(w, run->type);
	const uint32_t flags = gap_flags(w, run);
	struct segment *s = &w->segment;

	r->ever |= flags;
	if (!w->taken) {
		put_segment(r, w);
		if (!r->taking)
			r->gap |= flags;
		if (counted && !w->stubbed)
			count_frames(r, 1, false);
		return;
	}
	if (s->bytes.len == 0) {
		s->bytes.data = run->bytes.data;
		s->prefix_len = run->begins ? w->cut : 0;
		memcpy(s->prefix, w->framer.header, s->prefix_len);
	}
	assert(s->bytes.data + s->bytes.len == run->bytes.data);
	s->bytes.len += run->bytes.len;
	s->frames += counted;
	s->flags |= flags;
}

/* --- what the session is at --- */

static void after_front(struct recorder *r, uint8_t type)
{
	if (!r->authenticated && type != FRONT_PASSWORD)
		r->early = true;
	switch (type) {
	case FRONT_QUERY:
	case FRONT_FUNCTION_CALL: r->outstanding++; break;
	case FRONT_SYNC:
		r->outstanding++;
		r->extended = false;
		if (!r->copy_in || !r->copy_ended)
			r->copy_syncs++;
		break;
	case FRONT_EXECUTE:
		r->extended = true;
		if (!r->copy_in)
			r->copy_syncs = 0;
		break;
	case FRONT_PARSE:
	case FRONT_BIND:
	case FRONT_DESCRIBE:
	case FRONT_CLOSE:
	case FRONT_FLUSH: r->extended = true; break;
	case FRONT_COPY_DONE:
	case FRONT_COPY_FAIL: r->copy_ended = true; break;
	default: break;
	}
}

/* A COPY FROM STDIN that went well ignored the Syncs sent between its Execute and CopyDone
 * (HAZARDS 3.3). After one that failed it is not known how many were: they stay owed, and the
 * session is not taken again after a gap. */
static void end_copy(struct recorder *r, bool well)
{
	if (r->copy_in && well)
		r->outstanding -= r->copy_syncs < r->outstanding ? r->copy_syncs : r->outstanding;
	r->copy_in = false;
	r->copy_syncs = 0;
}

static bool keep_reported(struct recorder *r, struct span name, struct span value)
{
	const size_t pair = name.len + value.len + 2;
	size_t rest = 0, len = 0;
	uint8_t *fresh;

	for (size_t at = 0; at < r->reported_len; at += len) {
		struct span old = span_cstr((char *)r->reported + at);

		len = old.len + 1;
		len += strlen((char *)r->reported + at + len) + 1;
		if (span_equal(old, name)) {
			rest = r->reported_len - at - len;
			memmove(r->reported + at, r->reported + at + len, rest);
			r->reported_len -= len;
			break;
		}
	}
	if (r->reported_len + pair > REPORTED_MAX)
		return false;
	fresh = realloc(r->reported, r->reported_len + pair);
	if (!fresh)
		return false;
	r->reported = fresh;
	memcpy(fresh + r->reported_len, name.data, name.len);
	fresh[r->reported_len + name.len] = 0;
	memcpy(fresh + r->reported_len + name.len + 1, value.data, value.len);
	fresh[r->reported_len + pair - 1] = 0;
	r->reported_len += pair;

	return true;
}

static void authenticated(struct recorder *r)
{
	r->authenticated = true;
	if (r->never || r->recording->epoch == 0 || r->recording->switched_off)
		return;
	if (r->early || r->front.middle)
		return; /* taken from the first quiet moment on */
	if (put_open(r, false)) {
		r->taking = true;
		r->gap = 0;
	} else {
		r->why = UNOBSERVED_TAPE_FULL;
	}
}

static void after_ready(struct recorder *r, struct span body)
{
	uint8_t status;

	if (!parse_ready(body, &status))
		return;
	r->status = status;
	if (r->outstanding > 0)
		r->outstanding--;
	if (status == 'I')
		end_result(r);
	try_resume(r);
}

static void after_small_message(struct recorder *r, uint8_t type, struct span body)
{
	struct reader reader = reader_over(body);
	struct span name, value;

	switch (type) {
	case BACK_AUTHENTICATION:
		if (!r->authenticated && read_u32(&reader) == 0 && !reader.bad)
			authenticated(r);
		break;
	case BACK_PARAMETER_STATUS:
		if (parse_parameter_status(body, &name, &value) && !keep_reported(r, name, value) &&
			!r->never) {
			r->never = true; /* what it reports can't be told any more */
			if (r->taking)
				enter_gap(r, UNOBSERVED_SESSION_UNKNOWN, GAP_UNKNOWN);
		}
		break;
	case BACK_READY: after_ready(r, body); break;
	default: break;
	}
}

/* Small messages whose content matters are looked at whole, however they were cut. */
static void look_into(struct recorder *r, const struct way *w, const struct frame_run *run)
{
	size_t header = run->begins ? (size_t)MESSAGE_HEADER - w->cut : 0;
	struct span body = span_of(run->bytes.data + header, run->bytes.len - header);

	if (run->begins && run->ends) {
		after_small_message(r, run->type, body);
		return;
	}
	if (run->begins)
		buffer_clear(&r->partial);
	buffer_add_span(&r->partial, body);
	if (run->ends) {
		if (!r->partial.failed)
			after_small_message(r, run->type, buffer_span(&r->partial));
		buffer_release(&r->partial);
	}
}

static void after_back(struct recorder *r, const struct way *w, const struct frame_run *run)
{
	switch (run->type) {
	case BACK_AUTHENTICATION:
	case BACK_PARAMETER_STATUS:
	case BACK_READY: look_into(r, w, run); return;
	case BACK_COPY_IN:
		if (run->ends) {
			r->copy_in = true;
			r->copy_ended = false;
		}
		return;
	case BACK_COMMAND_COMPLETE:
	case BACK_ERROR:
		if (run->ends) {
			end_copy(r, run->type == BACK_COMMAND_COMPLETE);
			end_result(r);
		}
		return;
	case BACK_EMPTY_QUERY:
		if (run->ends)
			end_result(r);
		return;
	default: return;
	}
}

/* The stream makes no sense; the server will end it. */
static void lose(struct recorder *r)
{
	if (r->never)
		return;
	r->never = true;
	r->why = UNOBSERVED_DESYNC;
	if (r->taking)
		enter_gap(r, UNOBSERVED_DESYNC, GAP_UNKNOWN);
}

static void walk(struct recorder *r, struct way *w, struct span chunk)
{
	struct frame_run run;

	w->segment = (struct segment){0};
	r->used_at_start = r->taking ? tape_used(r->recording->tape) : 0;
	while (framer_next(&w->framer, &chunk, &run)) {
		if (w->framer.lost) {
			put_segment(r, w);
			lose(r);
			continue;
		}
		w->middle = !run.ends;
		if (run.length == 0) { /* a part of a header */
			w->cut += (uint8_t)run.bytes.len;
			continue;
		}
		if (run.begins)
			begin_message(r, w, &run);
		carry(r, w, &run);
		if (w->from_server)
			after_back(r, w, &run);
		else if (run.ends)
			after_front(r, run.type);
		w->cut = 0;
	}
	put_segment(r, w);
}

/* --- outside --- */

bool recorder_init(struct recorder *r, struct recording *recording, struct tape_session id,
	struct span startup, uint64_t peer_us)
{
	*r = (struct recorder){.recording = recording, .id = id, .peer_us = peer_us};
	framer_init(&r->front.framer);
	framer_init(&r->back.framer);
	buffer_init(&r->partial, SMALL_MESSAGE_MAX);
	r->back.from_server = true;
	r->outstanding = 1; /* the one after the startup */
	r->why = UNOBSERVED_SESSION_UNKNOWN;
	r->never = startup_wants_replication(startup) || startup_is_own(startup);
	if (r->never)
		r->why = startup_is_own(startup) ? UNOBSERVED_OWN_READS : UNOBSERVED_REPLICATION;
	else if (!recording->tape || recording->switched_off)
		r->why = UNOBSERVED_SHADOW_OFF;
	else if (recording->epoch == 0)
		r->why = UNOBSERVED_SHADOW_DOWN;
	r->startup = malloc(startup.len ? startup.len : 1);
	if (!r->startup)
		return false;
	memcpy(r->startup, startup.data, startup.len);
	r->startup_len = startup.len;

	return true;
}

void recorder_release(struct recorder *r)
{
	buffer_release(&r->partial);
	free(r->startup);
	free(r->reported);
	r->startup = r->reported = NULL;
}

void recorder_close(struct recorder *r)
{
	const struct span nothing = span_of(NULL, 0);

	/* If it does not fit, the next generation of the slot says it. */
	if (r->announced && r->recording->epoch != 0 &&
		tape_put(r->recording->tape, TAPE_CLOSE, r->id, r->recording->now_us, nothing,
			nothing))
		r->announced = false;
	r->taking = false;
	r->never = true;
}

void recorder_front(struct recorder *r, struct span chunk)
{
	try_resume(r);
	walk(r, &r->front, chunk);
}

void recorder_back(struct recorder *r, struct span chunk)
{
	walk(r, &r->back, chunk);
}

void recorder_stop(struct recorder *r)
{
	const bool off = !r->recording->tape || r->recording->switched_off;

	if (r->recording->epoch == 0)
		r->announced = false;
	if (r->never)
		return;
	enter_gap(r, off ? UNOBSERVED_SHADOW_OFF : UNOBSERVED_SHADOW_DOWN, 0);
}

void recorder_announce(struct recorder *r)
{
	r->announced = false;
	r->share_old = r->share_new = 0;
	r->share_mark = tape_head(r->recording->tape);
	if (r->never || !r->authenticated)
		return;
	r->gap |= r->ever; /* a new shadow process has seen nothing of the session */
	if (put_open(r, true))
		try_resume(r);
}

/* As the server's parse_bool: what is surely false asks for an ordinary session. */
static bool surely_false(struct span value)
{
	static const char *const words[] = {"false", "no", "off"};

	if (span_is(value, "0"))
		return true;
	for (unsigned i = 0; i < 3; i++) {
		size_t least = i == 2 ? 2 : 1; /* "o" might be on */

		if (value.len >= least && value.len <= strlen(words[i]) &&
			strncasecmp((const char *)value.data, words[i], value.len) == 0)
			return true;
	}

	return false;
}

static bool some_parameter(struct span startup, bool (*fits)(struct span name, struct span value))
{
	struct startup_message message;
	struct span rest, name, value;

	if (!parse_startup(startup, &message))
		return false;
	rest = message.parameters;
	while (next_parameter(&rest, &name, &value))
		if (fits(name, value))
			return true;

	return false;
}

static bool asks_for_replication(struct span name, struct span value)
{
	return span_is(name, "replication") && !surely_false(value);
}

bool startup_wants_replication(struct span startup)
{
	return some_parameter(startup, asks_for_replication);
}

static bool is_own_name(struct span name, struct span value)
{
	return span_is(name, "application_name") && span_is(value, "pgumbra");
}

bool startup_is_own(struct span startup)
{
	return some_parameter(startup, is_own_name);
}

#include "proxy/relay/recorder_internal.h"

#include "protocol/message.h"
#include <assert.h>
#include <stdlib.h>

enum { SMALL_MESSAGE_MAX = 16 * 1024, REPORTED_MAX = 16 * 1024 };

/* What a message of the client is to the account, to a gap and to what is owed. */
enum front_traits {
	GAP_TRAITS = GAP_PARSE | GAP_CLOSE | GAP_QUERY, /* what it means if it passes unseen */
	OWED = 8,					/* a ReadyForQuery answers it */
	SYNC = 16,
	EXTENDED = 32, /* it opens or continues what a Sync ends */
	COUNTED = 64,
	WHOLE = 128, /* may go the short way when it lies whole in a chunk */
};
static const uint8_t front_traits[UINT8_MAX + 1] = {
	[FRONT_BIND] = WHOLE | EXTENDED,
	[FRONT_CLOSE] = WHOLE | EXTENDED | GAP_CLOSE,
	[FRONT_DESCRIBE] = WHOLE | EXTENDED,
	[FRONT_EXECUTE] = WHOLE | EXTENDED | COUNTED,
	[FRONT_FLUSH] = WHOLE | EXTENDED,
	[FRONT_FUNCTION_CALL] = WHOLE | COUNTED | OWED | GAP_QUERY,
	[FRONT_PARSE] = WHOLE | EXTENDED | GAP_PARSE,
	[FRONT_QUERY] = WHOLE | COUNTED | OWED | GAP_QUERY,
	[FRONT_SYNC] = WHOLE | OWED | SYNC,
};

/* Messages of the server that change nothing that the recorder knows of a session. */
static const bool back_says_nothing[UINT8_MAX + 1] = {
	[BACK_BIND_COMPLETE] = true,
	[BACK_CLOSE_COMPLETE] = true,
	[BACK_NO_DATA] = true,
	[BACK_PARAMETER_DESCRIPTION] = true,
	[BACK_PARSE_COMPLETE] = true,
	[BACK_PORTAL_SUSPENDED] = true,
	[BACK_ROW_DESCRIPTION] = true,
};

static bool is_counted(const struct way *w, uint8_t type)
{
	return !w->from_server && front_traits[type] & COUNTED;
}

/* --- one message --- */

static void put_stub(struct recorder *r, struct way *w, const struct frame_run *run)
{
	struct tape_stub stub = {
		.type = run->type, .from_server = w->from_server, .length = run->length};

	recorder_put_segment(r, w);
	if (!r->taking)
		return;
	w->stubbed = recorder_put(r, TAPE_STUB, span_of(&stub, sizeof stub), span_of(NULL, 0));
	if (!w->stubbed)
		recorder_enter_gap(r, UNOBSERVED_TAPE_FULL, 0);
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
			w->taken = recorder_take_row(r, bytes);
		else if (run->type == BACK_KEY_DATA)
			w->taken = false; /* L6 */
		if (!w->taken)
			return;
		if (r->missed.rows > 0) {
			recorder_put_segment(r, w);
			recorder_put_missed_rows(r);
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

/* What it would mean for the session if this part of a message were not seen. */
static uint32_t gap_flags(const struct way *w, const struct frame_run *run)
{
	struct span tag;

	if (!w->from_server)
		return front_traits[run->type] & GAP_TRAITS;
	if (run->type != BACK_COMMAND_COMPLETE)
		return 0;
	if (run->bytes.len != (size_t)run->length + 1 ||
		!parse_command_complete(
			span_of(run->bytes.data + MESSAGE_HEADER, run->length - 4), &tag) ||
		!tag_is_plain(tag))
		return GAP_OTHER_COMMAND;

	return 0;
}

static void carry(struct recorder *r, struct way *w, const struct frame_run *run)
{
	const bool counted = run->ends && is_counted(w, run->type);
	const uint32_t flags = gap_flags(w, run);
	struct segment *s = &r->recording->segment;

	r->ever |= flags;
	if (!w->taken) {
		recorder_put_segment(r, w);
		if (!r->taking && flags)
			recorder_pass_unseen(
				r, run->bytes, flags, !run->begins || !run->ends || w->cut > 0);
		if (counted && !w->stubbed)
			count_frames(r, 1, false);
		return;
	}
	if (s->bytes.len == 0) {
		*s = (struct segment){.bytes = span_of(run->bytes.data, 0),
			.from_start = run->begins && w->cut == 0};
		s->prefix_len = run->begins ? w->cut : 0;
		memcpy(s->prefix, w->framer.header, s->prefix_len);
	}
	assert(s->bytes.data + s->bytes.len == run->bytes.data);
	s->bytes.len += run->bytes.len;
	s->frames += counted;
	s->flags |= flags;
}

/* --- what the session is at --- */

static inline void after_request(struct recorder *r, uint8_t traits)
{
	r->outstanding += (traits & OWED) != 0;
	if (traits & EXTENDED) {
		r->extended = true;
		if (traits & COUNTED && !r->copy_in)
			r->copy_syncs = 0;
	} else if (traits & SYNC) {
		r->extended = false;
		if (!r->copy_in || !r->copy_ended)
			r->copy_syncs++;
	}
}

static void after_front(struct recorder *r, uint8_t type)
{
	if (!r->authenticated && type != FRONT_PASSWORD)
		r->early = true;
	if (type == FRONT_COPY_DONE || type == FRONT_COPY_FAIL)
		r->copy_ended = true;
	after_request(r, front_traits[type]);
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
			r->reported_len -= (uint16_t)len;
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
	r->reported_len += (uint16_t)pair;

	return true;
}

static void authenticated(struct recorder *r)
{
	r->authenticated = true;
	if (r->never || !is_recording(r->recording))
		return;
	if (r->early || r->front.middle)
		return; /* taken from the first quiet moment on */
	if (recorder_put_open(r, false)) {
		r->taking = true;
		recorder_forget_unseen(r);
	} else {
		r->why = UNOBSERVED_TAPE_FULL;
	}
}

static inline void after_ready(struct recorder *r, uint8_t status)
{
	r->status = status;
	r->outstanding -= r->outstanding > 0;
	if (status == 'I')
		end_result(r);
	if (!r->taking && is_recording(r->recording))
		recorder_try_resume(r);
}

static void after_small_message(struct recorder *r, uint8_t type, struct span body)
{
	struct reader reader = reader_over(body);
	struct span name, value;
	uint8_t status;

	switch (type) {
	case BACK_AUTHENTICATION:
		if (!r->authenticated && read_u32(&reader) == 0 && !reader.bad)
			authenticated(r);
		break;
	case BACK_PARAMETER_STATUS:
		if (r->recording->tape && parse_parameter_status(body, &name, &value) &&
			!keep_reported(r, name, value) && !r->never) {
			r->never = true; /* what it reports can't be told any more */
			if (r->taking)
				recorder_enter_gap(r, UNOBSERVED_SESSION_UNKNOWN, GAP_UNKNOWN);
		}
		break;
	case BACK_READY:
		if (parse_ready(body, &status))
			after_ready(r, status);
		break;
	case BACK_KEY_DATA:
		/* where cancels go; the secret behind it is not looked at */
		if (r->backend_pid == 0)
			r->backend_pid = read_u32(&reader);
		break;
	default: break;
	}
}

static void forget_partial(struct recorder *r)
{
	if (r->partial)
		buffer_release(r->partial);
	free(r->partial);
	r->partial = NULL;
}

/* Out of memory, or too long: it passes unread. */
static void keep_partial(struct recorder *r, struct span part)
{
	if (r->partial)
		buffer_add_span(r->partial, part);
}

static void begin_partial(struct recorder *r)
{
	forget_partial(r);
	r->partial = malloc(sizeof *r->partial);
	if (r->partial)
		buffer_init(r->partial, SMALL_MESSAGE_MAX);
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
		begin_partial(r);
	keep_partial(r, body);
	if (run->ends) {
		if (r->partial && !r->partial->failed)
			after_small_message(r, run->type, buffer_span(r->partial));
		forget_partial(r);
	}
}

static void after_back(struct recorder *r, const struct way *w, const struct frame_run *run)
{
	switch (run->type) {
	case BACK_AUTHENTICATION:
	case BACK_PARAMETER_STATUS:
	case BACK_KEY_DATA:
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
		recorder_enter_gap(r, UNOBSERVED_DESYNC, GAP_UNKNOWN);
}

static void pass(struct recorder *r, struct way *w, const struct frame_run *run)
{
	if (w->framer.lost) {
		recorder_put_segment(r, w);
		lose(r);
		return;
	}
	w->middle = !run->ends;
	if (run->length == 0) { /* a part of a header */
		w->cut += (uint8_t)run->bytes.len;
		return;
	}
	if (run->begins)
		begin_message(r, w, run);
	carry(r, w, run);
	if (w->from_server)
		after_back(r, w, run);
	else if (run->ends)
		after_front(r, run->type);
	w->cut = 0;
}

/* --- whole messages --- */

/* The short way for messages that lie whole in the chunk, which leaves what pass() would leave;
 * what it does not know it leaves to pass(). Every message of every session comes by: what they
 * have in common is done once for all of them. */

/* What goes on the short way from the start of the chunk. */
static inline void take_whole(struct recorder *r, struct span chunk, struct span rest)
{
	struct segment *s = &r->recording->segment;
	if (s->bytes.len == 0)
		*s = (struct segment){.bytes = span_of(chunk.data, 0), .from_start = true};
	assert(s->bytes.data + s->bytes.len == chunk.data);
	s->bytes.len += chunk.len - rest.len;
}

static struct span pass_front(struct recorder *r, struct span chunk)
{
	struct span rest = chunk;
	uint32_t frames = 0, seen = 0;
	size_t size;

	while ((size = whole_size(rest)) > 0) {
		const uint8_t traits = front_traits[rest.data[0]];

		if (!(traits & WHOLE))
			break;
		seen |= traits;
		frames += (traits & COUNTED) != 0;
		after_request(r, traits);
		rest = skip(rest, size);
	}
	seen &= GAP_TRAITS;
	r->ever |= seen;
	if (!r->taking) {
		if (seen)
			recorder_pass_unseen(
				r, span_of(chunk.data, chunk.len - rest.len), seen, false);
		count_frames(r, frames, false);
	} else if (rest.len < chunk.len) {
		take_whole(r, chunk, rest);
		r->recording->segment.frames += frames;
		r->recording->segment.flags |= seen;
	}

	return rest;
}

/* SELECT and a number, as a server writes it. */
static inline bool is_select_tag(const uint8_t *message, size_t size)
{
	static const char select[] = "SELECT ";
	const uint8_t *p = message + MESSAGE_HEADER, *last = message + size - 1;

	if (size <= MESSAGE_HEADER + sizeof select - 1 || memcmp(p, select, sizeof select - 1) != 0)
		return false;
	for (p += sizeof select - 1; p < last && *p >= '0' && *p <= '9'; p++)
		;

	return p == last && *p == 0;
}

/* Rows that fit on the tape, or need not. What does not fit goes the long way. */
static inline bool pass_row(struct recorder *r, size_t size, size_t end_in_segment, size_t room)
{
	if (!r->taking)
		return true;
	if (r->rows == ROWS_UNDECIDED)
		recorder_decide_rows(r);
	if (r->rows != ROWS_TAKEN || end_in_segment > room ||
		r->result_bytes + size > r->recording->max_result_bytes)
		return false;
	r->result_bytes += size;

	return true;
}

/* Of other messages than rows. False: it goes the long way. */
static inline bool pass_back_message(struct recorder *r, const uint8_t *message, size_t size)
{
	if (back_says_nothing[message[0]])
		return true;
	switch (message[0]) {
	case BACK_COMMAND_COMPLETE:
		if (!is_select_tag(message, size))
			return false;
		end_copy(r, true);
		end_result(r);
		return true;
	case BACK_READY:
		if (size != MESSAGE_HEADER + 1)
			return false;
		after_ready(r, message[MESSAGE_HEADER]);
		return true;
	default: return false;
	}
}

static struct span pass_back(struct recorder *r, struct span chunk)
{
	const bool taking = r->taking;
	const size_t waiting = r->recording->segment.bytes.len,
		     room = taking ? recorder_row_room(r) : 0;
	struct span rest = chunk;
	size_t size;

	while (r->taking == taking && (size = whole_size(rest)) > 0) {
		const size_t end = waiting + (chunk.len - rest.len) + size;

		if (rest.data[0] == BACK_DATA_ROW ? !pass_row(r, size, end, room)
						  : !pass_back_message(r, rest.data, size))
			break;
		rest = skip(rest, size);
	}
	/* taken again: only what comes after this ReadyForQuery */
	if (taking && rest.len < chunk.len)
		take_whole(r, chunk, rest);

	return rest;
}

/* The chunk stands between two messages, nothing in it is too long, and nothing waits that must be
 * told first. */
static inline bool may_pass_whole(const struct recorder *r, const struct way *w, struct span chunk)
{
	const struct recording *to = r->recording;

	return r->authenticated && w->framer.have == 0 && r->missed.rows == 0 &&
	       (r->taking ? chunk.len <= to->max_message_bytes : to->segment.bytes.len == 0);
}

/* What the short way left of a chunk. */
__attribute__((noinline)) static void walk_on(struct recorder *r, struct way *w, struct span chunk)
{
	struct frame_run run;

	while (framer_next(&w->framer, &chunk, &run)) {
		pass(r, w, &run);
		if (may_pass_whole(r, w, chunk))
			chunk = w->from_server ? pass_back(r, chunk) : pass_front(r, chunk);
	}
}

static inline void begin_walk(struct recorder *r)
{
	assert(r->recording->segment.bytes.len == 0);
	if (r->taking)
		r->recording->used_at_start = tape_used(r->recording->tape);
}

static inline void end_walk(struct recorder *r, struct way *w, struct span rest)
{
	if (rest.len > 0)
		walk_on(r, w, rest);
	if (r->recording->segment.bytes.len > 0)
		recorder_put_segment(r, w);
}

/* --- outside --- */

static enum unobserved why_not(const struct recording *r)
{
	if (!r->tape || r->switched_off)
		return UNOBSERVED_SHADOW_OFF;

	return r->epoch == 0 ? UNOBSERVED_SHADOW_DOWN : UNOBSERVED_SHED;
}

bool recorder_init(struct recorder *r, struct recording *recording, struct tape_session id,
	struct span startup, uint64_t peer_us)
{
	*r = (struct recorder){.recording = recording, .id = id, .peer_us = peer_us};
	framer_init(&r->front.framer);
	framer_init(&r->back.framer);
	r->back.from_server = true;
	r->outstanding = 1; /* the one after the startup */
	r->why = UNOBSERVED_SESSION_UNKNOWN;
	r->never = startup_wants_replication(startup) || startup_is_own(startup);
	if (r->never)
		r->why = startup_is_own(startup) ? UNOBSERVED_OWN_READS : UNOBSERVED_REPLICATION;
	else if (!recording->tape || !is_recording(recording))
		r->why = why_not(recording);
	if (!recording->tape) /* nobody will be told */
		return true;
	r->startup = malloc(startup.len ? startup.len : 1);
	if (!r->startup)
		return false;
	memcpy(r->startup, startup.data, startup.len);
	r->startup_len = (uint16_t)startup.len;

	return true;
}

void recorder_release(struct recorder *r)
{
	forget_partial(r);
	free(r->unseen);
	free(r->startup);
	free(r->reported);
	r->startup = r->reported = NULL;
	r->unseen = NULL;
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
	if (!r->taking && is_recording(r->recording))
		recorder_try_resume(r);
	begin_walk(r);
	if (may_pass_whole(r, &r->front, chunk))
		chunk = pass_front(r, chunk);
	end_walk(r, &r->front, chunk);
}

void recorder_back(struct recorder *r, struct span chunk)
{
	begin_walk(r);
	if (may_pass_whole(r, &r->back, chunk))
		chunk = pass_back(r, chunk);
	end_walk(r, &r->back, chunk);
}

void recorder_stop(struct recorder *r)
{
	if (r->recording->epoch == 0)
		r->announced = false;
	if (r->never)
		return;
	recorder_enter_gap(r, why_not(r->recording), 0);
}

void recorder_announce(struct recorder *r)
{
	r->announced = false;
	r->share_old = r->share_new = 0;
	r->share_mark = tape_head(r->recording->tape);
	if (r->never || !r->authenticated)
		return;
	r->gap |= r->ever; /* a new shadow process has seen nothing of the session */
	if (r->ever & GAP_TEXTS)
		recorder_lose_unseen(r);
	if (recorder_put_open(r, true) && !r->taking)
		recorder_try_resume(r);
}

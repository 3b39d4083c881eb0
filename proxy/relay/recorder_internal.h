/* What the files of the recorder share: recorder.c (the walk over messages, and what the session is
 * at), recorder_tape.c (what is put on the tape, gaps, rows), recorder_startup.c (which sessions
 * are never taken), recorder_unseen.c (texts that pass in a gap).
 */
#ifndef PGUMBRA_PROXY_RELAY_RECORDER_INTERNAL_H
#define PGUMBRA_PROXY_RELAY_RECORDER_INTERNAL_H

#include "protocol/message.h"
#include "proxy/relay/recorder.h"

static inline void count_frames(struct recorder *r, uint32_t frames, bool taken)
{
	struct relay_counters *c = &r->recording->counters;

	c->relayed += frames;
	if (taken)
		c->taken += frames;
	else
		c->unobserved[r->why] += frames;
}

/* May sessions be taken now? */
static inline bool is_recording(const struct recording *r)
{
	return r->epoch != 0 && !r->switched_off && !r->shed;
}

/* A result has ended: the next one throws the sample's coin again. */
static inline void end_result(struct recorder *r)
{
	r->rows = ROWS_UNDECIDED;
	r->result_bytes = 0;
}

/* Of the message that the chunk begins with; 0 when it isn't whole or makes no sense. */
static inline size_t whole_size(struct span chunk)
{
	uint32_t length;

	if (chunk.len < MESSAGE_HEADER)
		return 0;
	length = message_length(chunk.data);

	return length - 4 < chunk.len - 4 ? (size_t)length + 1 : 0; /* below 4 is far above */
}

static inline struct span skip(struct span chunk, size_t n)
{
	return span_of(chunk.data + n, chunk.len - n);
}

/* --- recorder_unseen.c --- */
enum { GAP_TEXTS = GAP_PARSE | GAP_QUERY }; /* what carries a text */
/* Messages that pass in a gap, and what gap_flags say of them. They begin with the first byte of a
 * message, or `cut`. */
void recorder_pass_unseen(struct recorder *r, struct span messages, uint32_t flags, bool cut);
/* The texts so far are not known, or there was more to it. */
void recorder_lose_unseen(struct recorder *r);
/* The gap is over. */
void recorder_forget_unseen(struct recorder *r);

/* --- recorder_tape.c --- */
/* R3. False when it does not fit. */
bool recorder_put(struct recorder *r, enum tape_kind kind, struct span a, struct span b);
bool recorder_put_open(struct recorder *r, bool again);
/* The segment at hand, if there is one. */
void recorder_put_segment(struct recorder *r, struct way *w);
/* Rows that were not taken are told before the next byte that is. */
void recorder_put_missed_rows(struct recorder *r);
/* What was to be taken did not fit: from here on the session is not taken. */
void recorder_enter_gap(struct recorder *r, enum unobserved why, uint32_t flags);
/* Of a session that is not taken: takes it again if all is quiet. */
void recorder_try_resume(struct recorder *r);
/* Bytes that a segment may have with another row in it, as far as the ring is concerned. */
size_t recorder_row_room(struct recorder *r);
/* Throws the sample's coin for the rows of a result: once. */
void recorder_decide_rows(struct recorder *r);
/* Books the row as taken or as missed. */
bool recorder_take_row(struct recorder *r, size_t bytes);

#endif

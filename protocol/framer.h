/* Finds message boundaries in one direction of a session however the bytes are cut. Holds at most a
 * 5-byte header; bodies pass by. Both the relay (which never buffers messages) and the shadow
 * (which assembles them with framer_assemble) use it.
 *
 * Invariants: F1 the runs given out cover the input exactly once and in order; F2 cutting the
 * input anywhere gives the same messages; F3 a length below 4 or above MESSAGE_LENGTH_MAX sets
 * `lost` for good, after which everything is given out as one opaque run.
 */
#ifndef PGUMBRA_PROTOCOL_FRAMER_H
#define PGUMBRA_PROTOCOL_FRAMER_H

#include "protocol/buffer.h"
#include "protocol/message.h"
#include "protocol/span.h"

struct framer {
	uint8_t header[5];
	uint8_t have; /* header bytes collected, 0 to 5 */
	bool lost;
	uint32_t body_left; /* bytes of the current body still to come */
};

struct frame_run {
	uint8_t type;	 /* message type; 0 while the header is incomplete or the framer is lost */
	bool begins;	 /* the header was completed in this run: count the message now */
	bool ends;	 /* the message's last byte is in this run */
	uint32_t length; /* of the length word; valid when type is */
	struct span bytes; /* this run's part of the input, header bytes included */
};

void framer_init(struct framer *f);
/* The length word behind a type byte. */
static inline uint32_t message_length(const uint8_t header[static MESSAGE_HEADER])
{
	return (uint32_t)header[1] << 24 | (uint32_t)header[2] << 16 | (uint32_t)header[3] << 8 |
	       header[4];
}
/* What framer_next does with a message that does not lie whole in the input. */
bool framer_next_cut(struct framer *f, struct span *input, struct frame_run *run);

/* Takes the next run from *input (which it advances). A run never spans two messages. False when
 * the input is used up. Inline, because the relay calls it for every message that passes. */
static inline bool framer_next(struct framer *f, struct span *input, struct frame_run *run)
{
	const uint8_t *p = input->data;
	uint32_t length;

	if (f->have != 0 || input->len < MESSAGE_HEADER) /* a lost framer has its header */
		return framer_next_cut(f, input, run);
	length = message_length(p);
	if (length < 4 || length > MESSAGE_LENGTH_MAX || length >= input->len)
		return framer_next_cut(f, input, run);

	run->type = p[0];
	run->begins = true;
	run->ends = true;
	run->length = length;
	run->bytes = span_of(p, (size_t)length + 1);
	input->data += run->bytes.len;
	input->len -= run->bytes.len;

	return true;
}

/* Whole messages from a stream. Messages that lie whole in the input are borrowed from it; a cut
 * one is collected in a buffer. limit_bytes is that of a body, and holds for messages that lie
 * whole in the input too: the cut decides nothing. A message that memory could not be had for
 * counts as too big. A type byte of 0 is not told from others: it makes a message of type 0. */
struct assembler {
	struct framer framer;
	struct buffer partial;
	uint32_t over; /* length of a message that went past the limit, 0 else */
};
enum assemble_result { ASSEMBLE_MORE, ASSEMBLE_MESSAGE, ASSEMBLE_TOO_BIG, ASSEMBLE_LOST };
struct message {
	uint8_t type;
	struct span body; /* borrowed until the next call */
	uint32_t length;
};

void assembler_init(struct assembler *a, size_t limit_bytes);
void assembler_release(struct assembler *a);
void assembler_reset(struct assembler *a); /* forget a partial message: the stream was cut */
/* ASSEMBLE_TOO_BIG gives type and length with an absent body, once the message has passed. */
enum assemble_result assembler_next(struct assembler *a, struct span *input, struct message *out);

#endif

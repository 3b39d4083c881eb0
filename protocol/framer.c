#include "protocol/framer.h"

#include <assert.h>

enum { KEEP_BYTES = 16 * 1024 }; /* an assembler's buffer above this is not kept between messages */

void framer_init(struct framer *f)
{
	*f = (struct framer){0};
}

static struct span take(struct span *input, size_t n)
{
	struct span taken = span_of(input->data, n);

	input->data += n;
	input->len -= n;

	return taken;
}

/* Adds to the header what the input has of it. */
static size_t collect_header(struct framer *f, struct span input)
{
	size_t n = MESSAGE_HEADER - f->have;

	if (n > input.len)
		n = input.len;
	memcpy(f->header + f->have, input.data, n);
	f->have += (uint8_t)n;

	return n;
}

bool framer_next_cut(struct framer *f, struct span *input, struct frame_run *run)
{
	size_t n = 0;
	size_t body;

	*run = (struct frame_run){0};
	if (input->len == 0)
		return false;

	if (!f->lost && f->have < MESSAGE_HEADER) {
		n = collect_header(f, *input);
		if (f->have < MESSAGE_HEADER) {
			run->bytes = take(input, n);
			return true;
		}
		if (message_length(f->header) < 4 ||
			message_length(f->header) > MESSAGE_LENGTH_MAX) {
			f->lost = true;
		} else {
			f->body_left = message_length(f->header) - 4;
			run->begins = true;
		}
	}
	if (f->lost) {
		run->bytes = take(input, input->len);
		return true;
	}

	assert(f->have == MESSAGE_HEADER);
	body = input->len - n < f->body_left ? input->len - n : f->body_left;
	f->body_left -= (uint32_t)body;
	run->type = f->header[0];
	run->length = message_length(f->header);
	run->bytes = take(input, n + body);
	run->ends = f->body_left == 0;
	if (run->ends)
		f->have = 0;

	return true;
}

void assembler_init(struct assembler *a, size_t limit_bytes)
{
	framer_init(&a->framer);
	buffer_init(&a->partial, limit_bytes);
	a->over = 0;
}

void assembler_release(struct assembler *a)
{
	buffer_release(&a->partial);
}

static void forget_message(struct assembler *a)
{
	if (a->partial.cap > KEEP_BYTES)
		buffer_release(&a->partial);
	else
		buffer_clear(&a->partial);
	a->over = 0;
}

void assembler_reset(struct assembler *a)
{
	framer_init(&a->framer);
	forget_message(a);
}

/* The run's part of the body: a run that begins a message has header bytes in front. */
static struct span run_body(const struct framer *f, const struct frame_run *run)
{
	size_t body = run->begins ? (size_t)run->length - 4 - f->body_left : run->bytes.len;

	assert(body <= run->bytes.len);

	return span_of(run->bytes.data + run->bytes.len - body, body);
}

static void collect_body(struct assembler *a, const struct frame_run *run, struct span part)
{
	if (a->over)
		return;
	buffer_add_span(&a->partial, part);
	if (a->partial.failed) {
		a->over = run->length;
		buffer_release(&a->partial);
	}
}

/* True when the run completes a message. */
static bool add_run(struct assembler *a, const struct frame_run *run, struct message *out)
{
	struct span part = run_body(&a->framer, run);

	if (run->begins && (size_t)run->length - 4 > a->partial.limit)
		a->over = run->length;
	if (run->begins && run->ends && !a->over) {
		*out = (struct message){run->type, part, run->length};
		return true;
	}

	collect_body(a, run, part);
	if (run->ends)
		*out = (struct message){run->type,
			a->over ? (struct span){0} : buffer_span(&a->partial), run->length};

	return run->ends;
}

enum assemble_result assembler_next(struct assembler *a, struct span *input, struct message *out)
{
	struct frame_run run;

	*out = (struct message){0};
	if (a->framer.have == 0 && (a->partial.len > 0 || a->over))
		forget_message(a); /* the one that the last call gave out */
	while (framer_next(&a->framer, input, &run)) {
		if (a->framer.lost)
			return ASSEMBLE_LOST;
		if (run.length != 0 && add_run(a, &run, out))
			return a->over ? ASSEMBLE_TOO_BIG : ASSEMBLE_MESSAGE;
	}

	return a->framer.lost ? ASSEMBLE_LOST : ASSEMBLE_MORE;
}

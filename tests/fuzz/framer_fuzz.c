/* Laws: however a stream is cut, the framer's runs cover it once and in order (F1) and give the
 * same messages (F2), and so does the assembler. The input is a seed byte for the cuts, a byte for
 * the assembler's limit, and the stream. */
#include "protocol/framer.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool law)
{
	if (!law)
		abort();
}

static void note_framer(struct span stream, uint32_t seed, struct buffer *log)
{
	struct framer f;
	struct frame_run run;

	framer_init(&f);
	while (stream.len > 0) {
		size_t n = seed ? 1 + (seed = seed * 1103515245u + 12345u) / 65536 % 9 : stream.len;
		struct span piece = span_of(stream.data, n < stream.len ? n : stream.len);
		const uint8_t *at = piece.data;

		stream = span_of(stream.data + piece.len, stream.len - piece.len);
		while (framer_next(&f, &piece, &run)) {
			require(run.bytes.data == at && run.bytes.len > 0);
			at += run.bytes.len;
			if (run.begins)
				buffer_printf(log, "%u,%u", run.type, run.length);
			if (run.ends)
				buffer_add_u8(log, '.');
			require(!f.lost || (run.type == 0 && !run.begins && !run.ends));
		}
		require(at == stream.data);
	}
	buffer_printf(log, f.lost ? "lost" : "%u left", f.body_left);
}

static void note_assembler(struct span stream, size_t limit, uint32_t seed, struct buffer *log)
{
	enum assemble_result result = ASSEMBLE_MORE;
	struct assembler a;
	struct message m;

	assembler_init(&a, limit);
	while (stream.len > 0 && result != ASSEMBLE_LOST) {
		size_t n = seed ? 1 + (seed = seed * 1103515245u + 12345u) / 65536 % 9 : stream.len;
		struct span piece = span_of(stream.data, n < stream.len ? n : stream.len);

		stream = span_of(stream.data + piece.len, stream.len - piece.len);
		while ((result = assembler_next(&a, &piece, &m)) != ASSEMBLE_MORE) {
			require(a.partial.len <= limit);
			buffer_printf(log, "%d,%u,%u:", (int)result, m.type, m.length);
			buffer_add_span(log, m.body);
			if (result == ASSEMBLE_LOST)
				break;
			require((result == ASSEMBLE_MESSAGE) == (m.length - 4 <= limit));
			require((m.body.data != NULL) == (result == ASSEMBLE_MESSAGE));
			require(!m.body.data || m.body.len == m.length - 4);
		}
	}
	assembler_release(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buffer whole, cut;
	struct span stream;

	if (size < 2)
		return 0;
	stream = span_of(data + 2, size - 2);
	buffer_init(&whole, 64 * 1024 * 1024);
	buffer_init(&cut, 64 * 1024 * 1024);
	note_framer(stream, 0, &whole);
	note_framer(stream, data[0] + 1u, &cut);
	note_assembler(stream, data[1], 0, &whole);
	note_assembler(stream, data[1], data[0] + 1u, &cut);
	require(!whole.failed && !cut.failed);
	require(span_equal(buffer_span(&whole), buffer_span(&cut)));
	buffer_release(&whole);
	buffer_release(&cut);

	return 0;
}

/* A server's answer to one dark read, from arbitrary bytes. The first byte chooses the read and
 * where the rest is cut. Laws: E3 cut anywhere, the outcome is the same; an exchange that is done
 * has taken every step; nothing malformed becomes an answer. */
#include "proxy/shadow/mirror_exchange.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome_seen {
	enum exchange_progress progress;
	enum mirror_status status;
	enum reason reason;
	enum result_end end;
	uint64_t rows;
	struct digest digest;
};

static enum exchange_progress feed(struct exchange *x, struct session *session, struct span bytes,
	size_t cut, struct assembler *a)
{
	const struct span parts[2] = {
		span_of(bytes.data, cut), span_of(bytes.data + cut, bytes.len - cut)};
	enum exchange_progress progress = EXCHANGE_GOES_ON;
	struct message m;

	for (int i = 0; i < 2; i++) {
		struct span input = parts[i];

		while (progress == EXCHANGE_GOES_ON &&
			assembler_next(a, &input, &m) == ASSEMBLE_MESSAGE)
			progress = exchange_message(x, session, &m, 1);
	}

	return progress;
}

static void run(uint8_t kind, struct span bytes, size_t cut, struct outcome_seen *seen)
{
	struct setting setting = {(char *)"search_path", (char *)"shop"};
	struct dark_read read = {.sql = (char *)"select a from t",
		.named = kind & 1,
		.row_limit = kind & 2 ? 5 : 0,
		.settings = &setting,
		.nsettings = kind & 4 ? 1 : 0};
	struct mirror_answer answer = {0};
	struct session session;
	struct exchange x;
	struct buffer sent;
	struct assembler a;

	if (!session_init(&session))
		abort();
	exchange_init(&x, 4096);
	buffer_init(&sent, 1 << 16);
	assembler_init(&a, 1 << 16);
	assert(exchange_read(&x, &sent, &session, &read));
	assert(!sent.failed);

	seen->progress = feed(&x, &session, bytes, cut, &a);
	if (seen->progress == EXCHANGE_LOST)
		assert(x.trouble);
	if (seen->progress == EXCHANGE_DONE) {
		assert(x.at == x.nsteps);
		result_init(&answer.result, 0);
		exchange_answer(&x, &answer);
		if (answer.status == MIRROR_ANSWERED) {
			assert(!answer.result.malformed);
			assert(answer.result.end != RESULT_OPEN);
		} else {
			assert(answer.reason != REASON_NONE);
		}
		seen->status = answer.status;
		seen->reason = answer.reason;
		seen->end = answer.result.end;
		seen->rows = answer.result.rows;
		seen->digest = answer.result.digest;
		result_release(&answer.result);
	}

	assembler_release(&a);
	buffer_release(&sent);
	exchange_release(&x);
	session_release(&session);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct outcome_seen whole, cut;
	struct span bytes;

	if (size < 2)
		return 0;
	bytes = span_of(data + 2, size - 2);
	memset(&whole, 0, sizeof whole);
	memset(&cut, 0, sizeof cut);
	run(data[0], bytes, bytes.len, &whole);
	run(data[0], bytes, bytes.len ? data[1] % bytes.len : 0, &cut);
	assert(memcmp(&whole, &cut, sizeof whole) == 0);

	return 0;
}

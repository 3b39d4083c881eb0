/* The relay process with a stub for a shadow process, to test the relay by itself.
 *
 *   relay_only SECTION.KEY=VALUE...   runs the relay
 *   relay_only shadow ...             is what the relay then starts: reads the tapes, cuts the
 *                                     sessions into messages, counts, and at the end says on stderr
 *                                     what it saw and whether the account balances (L5)
 *
 * It ends with code 1 when the tape told something that can't be: bytes of a session that is not
 * open or in a gap, a message that never may be there (R4), a stream that can't be cut.
 */
#include "proxy/handover.h"
#include "proxy/log.h"
#include "proxy/relay/relay.h"
#include "proxy/tape.h"

#include "protocol/framer.h"
#include "protocol/message.h"
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { SLOTS = 4096, MESSAGE_MAX = 1 << 20 };

struct watched {
	uint32_t generation;
	bool open, taken;
	struct assembler front, back;
};

struct stub {
	struct tape_reader *reader[HANDOVER_MAX_THREADS];
	struct watched (*session)[SLOTS];
	struct shadow_page *page;
	unsigned threads;
	uint64_t frames, opens, again, resumes, closes, rows_markers, stubs, messages, wrong;
};

static void complain(struct stub *s, const char *what)
{
	if (s->wrong++ < 10)
		fprintf(stderr, "stub: %s\n", what);
}

static void open_session(
	struct stub *s, struct watched *w, const struct tape_record *record, struct span payload)
{
	struct tape_open open;

	memcpy(&open, payload.data, sizeof open);
	if (payload.len != sizeof open + open.startup_len + open.reported_len)
		complain(s, "an announcement of a wrong size");
	assembler_release(&w->front);
	assembler_release(&w->back);
	assembler_init(&w->front, MESSAGE_MAX);
	assembler_init(&w->back, MESSAGE_MAX);
	w->generation = record->session.generation;
	w->open = true;
	w->taken = !open.announced_again;
	s->opens++;
	s->again += open.announced_again != 0;
}

static bool is_frame(bool back, uint8_t type)
{
	return !back &&
	       (type == FRONT_QUERY || type == FRONT_EXECUTE || type == FRONT_FUNCTION_CALL);
}

static void take_bytes(struct stub *s, struct watched *w, bool back, struct span bytes)
{
	struct assembler *a = back ? &w->back : &w->front;
	struct message m;
	enum assemble_result result;

	if (!w->open || !w->taken)
		complain(s, "bytes of a session that is not taken");
	while ((result = assembler_next(a, &bytes, &m)) == ASSEMBLE_MESSAGE) {
		s->messages++;
		s->frames += is_frame(back, m.type);
		if (back ? m.type == BACK_KEY_DATA || m.type == BACK_AUTHENTICATION
			 : m.type == FRONT_PASSWORD || m.type == FRONT_COPY_DATA)
			complain(s, "a message that is never taken");
	}
	if (result != ASSEMBLE_MORE)
		complain(s, "a stream that can't be cut into messages");
}

static void take_record(
	struct stub *s, unsigned thread, const struct tape_record *record, struct span payload)
{
	struct watched *w = &s->session[thread][record->session.slot % SLOTS];
	const struct tape_stub *stub = (const struct tape_stub *)payload.data;

	if (record->kind != TAPE_OPEN && record->session.generation != w->generation)
		complain(s, "a record of a session that was never announced");
	switch (record->kind) {
	case TAPE_OPEN: open_session(s, w, record, payload); break;
	case TAPE_FRONT:
	case TAPE_BACK: take_bytes(s, w, record->kind == TAPE_BACK, payload); break;
	case TAPE_STUB:
		s->stubs++;
		s->frames += is_frame(stub->from_server, stub->type);
		break;
	case TAPE_ROWS: s->rows_markers++; break;
	case TAPE_RESUME:
		s->resumes++;
		w->taken = true;
		assembler_reset(&w->front);
		assembler_reset(&w->back);
		break;
	case TAPE_CLOSE:
		s->closes++;
		w->open = w->taken = false;
		break;
	default: complain(s, "a record of an unknown kind");
	}
}

static bool read_all(struct stub *s)
{
	const struct tape_record *record;
	struct span payload;
	bool any = false, broken = false;

	for (unsigned i = 0; i < s->threads; i++) {
		const uint64_t before = s->frames;

		while (tape_reader_next(s->reader[i], &record, &payload, &broken)) {
			any = true;
			take_record(s, i, record, payload);
		}
		if (broken)
			complain(s, "a broken tape");
		s->page->books.observed += s->frames - before;
		tape_reader_release(s->reader[i]);
	}

	return any;
}

static void tell(struct stub *s, uint64_t lost)
{
	struct relay_counters c;
	uint64_t relayed = 0, taken = 0, unobserved = 0, reason[UNOBSERVED_COUNT] = {0};

	for (unsigned i = 0; i < s->threads; i++) {
		tape_reader_counters(s->reader[i], &c);
		relayed += c.relayed;
		taken += c.taken;
		for (unsigned k = 0; k < UNOBSERVED_COUNT; k++) {
			unobserved += c.unobserved[k];
			reason[k] += c.unobserved[k];
		}
	}
	fprintf(stderr,
		"stub: relayed=%llu taken=%llu read=%llu lost=%llu unobserved=%llu opens=%llu "
		"again=%llu resumes=%llu closes=%llu rows=%llu stubs=%llu messages=%llu "
		"wrong=%llu balanced=%s\n",
		(unsigned long long)relayed, (unsigned long long)taken,
		(unsigned long long)s->page->books.observed, (unsigned long long)lost,
		(unsigned long long)unobserved, (unsigned long long)s->opens,
		(unsigned long long)s->again, (unsigned long long)s->resumes,
		(unsigned long long)s->closes, (unsigned long long)s->rows_markers,
		(unsigned long long)s->stubs, (unsigned long long)s->messages,
		(unsigned long long)s->wrong,
		relayed == s->page->books.observed + lost + unobserved &&
				taken == s->page->books.observed + lost
			? "yes"
			: "no");
	for (unsigned k = 0; k < UNOBSERVED_COUNT; k++) {
		if (reason[k] > 0)
			fprintf(stderr, "stub: unobserved(%s)=%llu\n",
				unobserved_name((enum unobserved)k), (unsigned long long)reason[k]);
	}
}

/* Frames that were on the tapes when earlier shadow processes died. Known once every tape is at
 * this epoch. */
static uint64_t lost_before(struct stub *s, uint64_t read_before)
{
	struct relay_counters c;
	uint64_t base = 0;

	for (unsigned i = 0; i < s->threads; i++) {
		tape_reader_counters(s->reader[i], &c);
		base += c.epoch_taken_base;
	}

	return base - read_before;
}

int shadow_main(unsigned threads, uint32_t epoch)
{
	struct pollfd lifeline = {.fd = HANDOVER_LIFELINE, .events = POLLIN};
	struct stub s = {.threads = threads};
	struct error error;
	uint64_t read_before;

	s.page = mmap(NULL, sizeof *s.page, PROT_READ | PROT_WRITE, MAP_SHARED, HANDOVER_BOOKS, 0);
	s.session = calloc(threads, sizeof *s.session);
	if (s.page == MAP_FAILED || !s.session)
		return 3;
	for (unsigned i = 0; i < threads; i++) {
		s.reader[i] = tape_reader_open(HANDOVER_TAPES + 2 * (int)i,
			HANDOVER_TAPES + 2 * (int)i + 1, epoch, &error);
		if (!s.reader[i]) {
			fprintf(stderr, "stub: %s\n", error.text);
			return 3;
		}
	}
	read_before = s.page->books.observed;
	/* the end of the file is looked for first: what was put before it is read after it */
	while (poll(&lifeline, 1, 1) == 0)
		read_all(&s);
	while (read_all(&s))
		;
	tell(&s, lost_before(&s, read_before));
	for (unsigned i = 0; i < threads; i++) {
		for (unsigned k = 0; k < SLOTS; k++) {
			assembler_release(&s.session[i][k].front);
			assembler_release(&s.session[i][k].back);
		}
		tape_reader_free(s.reader[i]);
	}
	free(s.session);

	return s.wrong ? 1 : 0;
}

int main(int argc, char **argv)
{
	struct conf_messages messages = {0};
	struct config *config;
	enum log_level level;
	int code;

	if (argc == 6 && strcmp(argv[1], "shadow") == 0)
		return shadow_main(
			(unsigned)strtoul(argv[3], NULL, 10), (uint32_t)strtoul(argv[5], NULL, 10));
	config = config_new();
	for (int i = 1; config && i < argc; i++) {
		if (!config_set(config, argv[i], &messages)) {
			fprintf(stderr, "%s\n", messages.text[0]);
			return 2;
		}
	}
	if (!config ||
		!log_level_from_name(config_text(config, "pgumbra", NULL, "log_level"), &level))
		return 2;
	log_init("relay", level);
	code = relay_run(config, NULL, &(struct relay_origin){0});
	config_free(config);
	conf_messages_release(&messages);

	return code;
}

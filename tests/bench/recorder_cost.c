/* Feeds a recorder with the bytes of pgbench's prepared point read, eight transactions per turn of
 * the loop as under load, for callgrind: what does the relay do in user space for a transaction
 * beside libevent and the sockets? Usage: recorder_cost on|off TRANSACTIONS; collect in `turn`. */
#include "protocol/message.h"
#include "proxy/relay/recorder.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PER_TURN = 8, RING = 16 << 20 };

static void add(struct buffer *b, char type, const char *body, size_t len)
{
	buffer_add_u8(b, (uint8_t)type);
	buffer_add_u32(b, (uint32_t)len + 4);
	buffer_add(b, body, len);
}

#define ADD(b, type, body) add(b, type, body, sizeof(body) - 1)

static void log_in(struct recorder *r, struct buffer *b)
{
	ADD(b, BACK_AUTHENTICATION, "\0\0\0\0");
	ADD(b, BACK_PARAMETER_STATUS, "client_encoding\0UTF8\0");
	ADD(b, BACK_READY, "I");
	recorder_back(r, buffer_span(b));
	buffer_clear(b);
}

__attribute__((noinline)) static void turn(
	struct recorder *r, struct tape *tape, struct span front, struct span back)
{
	r->recording->now_us++;
	if (tape)
		tape_follow(tape);
	for (int i = 0; i < PER_TURN; i++) {
		recorder_front(r, front);
		recorder_back(r, back);
	}
	if (tape)
		tape_commit(tape, &r->recording->counters);
}

static void read_all(struct tape_reader *reader)
{
	const struct tape_record *record;
	struct span payload;
	bool broken;

	while (tape_reader_next(reader, &record, &payload, &broken))
		;
	tape_reader_release(reader);
}

int main(int argc, char **argv)
{
	const bool on = argc > 1 && strcmp(argv[1], "on") == 0;
	const long count = argc > 2 ? strtol(argv[2], NULL, 10) : 0;
	struct tape *tape = tape_new(RING, NULL);
	struct tape_reader *reader =
		tape_reader_open(dup(tape_ring_fd(tape)), dup(tape_tail_fd(tape)), 1, NULL);
	struct recording recording = {.tape = tape,
		.random = 1,
		.sample = (uint64_t)1 << 32,
		.epoch = on,
		.switched_off = !on,
		.max_message_bytes = 1 << 20,
		.max_result_bytes = 1 << 20};
	static const char startup[] = "\0\3\0\0user\0bench\0";
	struct recorder recorder;
	struct buffer front, back;

	if (!tape || !reader || count < PER_TURN ||
		!recorder_init(&recorder, &recording, (struct tape_session){1, 1},
			span_of(startup, sizeof startup), 1))
		return 2;
	if (on)
		tape_begin_epoch(tape, 1);
	buffer_init(&front, 4096);
	buffer_init(&back, 4096);
	log_in(&recorder, &back);
	ADD(&front, FRONT_BIND,
		"\0P_0\0\0\0\0\1\0\0\0\5"
		"12345\0\1\0\0");
	ADD(&front, FRONT_DESCRIBE, "P\0");
	ADD(&front, FRONT_EXECUTE, "\0\0\0\0\0");
	ADD(&front, FRONT_SYNC, "");
	ADD(&back, BACK_BIND_COMPLETE, "");
	ADD(&back, BACK_ROW_DESCRIPTION,
		"\0\1abalance\0\0\0\100\1\0\3\0\0\0\27\0\4\377\377\377\377\0\0");
	ADD(&back, BACK_DATA_ROW,
		"\0\1\0\0\0\1"
		"0");
	ADD(&back, BACK_COMMAND_COMPLETE, "SELECT 1\0");
	ADD(&back, BACK_READY, "I");
	for (long i = 0; i < count; i += PER_TURN) {
		turn(&recorder, on ? tape : NULL, buffer_span(&front), buffer_span(&back));
		if (on)
			read_all(reader);
	}
	printf("relayed %llu, taken %llu\n", (unsigned long long)recording.counters.relayed,
		(unsigned long long)recording.counters.taken);

	return (recording.counters.relayed == recording.counters.taken) == on ? 0 : 1;
}

/* What goes to the tape and what does not, the account of frames, gaps and how they heal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocol/message.h"
#include "proxy/relay/recorder.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { RING = 256 * 1024, ALWAYS = 1 };

/* A session on a tape, and what a shadow process reads of it. */
struct fixture {
	struct tape *tape;
	struct tape_reader *reader;
	struct recording recording;
	struct recorder recorder;
	struct buffer seen; /* records as text: "open front(..) rows(1,2) ..." */
	struct assembler front, back;
	uint64_t frames_read;
	bool taken;
	uint32_t blurred; /* flags of gaps that are not looked at */
	uint32_t ntexts;  /* of the last gap */
	struct tape_text texts[UNSEEN_TEXTS_MAX];
};

static struct span startup_of(const char *text, size_t len, struct buffer *b)
{
	buffer_init(b, 4096);
	buffer_add_u32(b, PROTOCOL_3_0);
	buffer_add(b, text, len);

	return buffer_span(b);
}

#define STARTUP(text) startup_of(text, sizeof(text), &packet)

static void fixture_init(struct fixture *f, size_t ring)
{
	struct buffer packet;

	*f = (struct fixture){.tape = tape_new(ring, NULL)};
	assert_non_null(f->tape);
	f->reader =
		tape_reader_open(dup(tape_ring_fd(f->tape)), dup(tape_tail_fd(f->tape)), 1, NULL);
	f->recording = (struct recording){.tape = f->tape,
		.random = 88172645463325252u,
		.sample = (uint64_t)ALWAYS << 32,
		.epoch = 1,
		.max_message_bytes = 4096,
		.max_result_bytes = 64 * 1024};
	tape_begin_epoch(f->tape, 1);
	buffer_init(&f->seen, 1 << 20);
	assembler_init(&f->front, 1 << 20);
	assembler_init(&f->back, 1 << 20);
	assert_true(recorder_init(&f->recorder, &f->recording,
		(struct tape_session){.slot = 1, .generation = 1}, STARTUP("user\0me\0"), 5));
	buffer_release(&packet);
}

static void fixture_release(struct fixture *f)
{
	recorder_release(&f->recorder);
	tape_reader_free(f->reader);
	tape_free(f->tape);
	buffer_release(&f->seen);
	assembler_release(&f->front);
	assembler_release(&f->back);
}

static void r1_holds(const struct fixture *f)
{
	const struct relay_counters *c = &f->recording.counters;
	uint64_t sum = c->taken;

	for (unsigned i = 0; i < UNOBSERVED_COUNT; i++)
		sum += c->unobserved[i];
	assert_true(c->relayed == sum);
}

static void see_bytes(struct fixture *f, bool back, struct span bytes)
{
	struct message m;

	assert_true(f->taken);
	while (assembler_next(back ? &f->back : &f->front, &bytes, &m) == ASSEMBLE_MESSAGE) {
		buffer_printf(&f->seen, "%s%c ", back ? "<" : ">", m.type);
		f->frames_read += !back && (m.type == 'Q' || m.type == 'E' || m.type == 'F');
	}
	assert_false(f->front.framer.lost || f->back.framer.lost);
}

static void see(struct fixture *f, const struct tape_record *record, struct span payload)
{
	struct tape_open open;
	struct tape_rows rows;
	struct tape_stub stub;
	struct tape_resume resume;
	size_t keys;

	switch (record->kind) {
	case TAPE_OPEN:
		memcpy(&open, payload.data, sizeof open);
		assert_int_equal(payload.len, sizeof open + open.startup_len + open.reported_len);
		buffer_printf(&f->seen, "%s ", open.announced_again ? "again" : "open");
		f->taken = !open.announced_again;
		break;
	case TAPE_FRONT: see_bytes(f, false, payload); break;
	case TAPE_BACK: see_bytes(f, true, payload); break;
	case TAPE_STUB:
		memcpy(&stub, payload.data, sizeof stub);
		buffer_printf(&f->seen, "stub(%c) ", stub.type);
		f->frames_read += !stub.from_server &&
				  (stub.type == 'Q' || stub.type == 'E' || stub.type == 'F');
		break;
	case TAPE_ROWS:
		memcpy(&rows, payload.data, sizeof rows);
		buffer_printf(&f->seen, "rows(%u,%u) ", rows.reason, (unsigned)rows.rows);
		break;
	case TAPE_RESUME:
		memcpy(&resume, payload.data, sizeof resume);
		keys = resume.texts * sizeof(struct tape_text);
		assert_int_equal(payload.len, sizeof resume + keys + resume.reported_len);
		buffer_printf(&f->seen, "resume(%u,%.*s) ", resume.flags | f->blurred,
			(int)resume.reported_len,
			(const char *)payload.data + sizeof resume + keys);
		f->ntexts = resume.texts;
		memcpy(f->texts, payload.data + sizeof resume, keys);
		assembler_reset(&f->front);
		assembler_reset(&f->back);
		f->taken = true;
		break;
	default: buffer_printf(&f->seen, "close "); break;
	}
}

static void read_tape(struct fixture *f)
{
	const struct tape_record *record;
	struct span payload;
	bool broken = false;

	tape_commit(f->tape, &f->recording.counters);
	while (tape_reader_next(f->reader, &record, &payload, &broken))
		see(f, record, payload);
	assert_false(broken);
	tape_reader_release(f->reader);
	tape_follow(f->tape); /* as the next turn of the loop does */
}

/* What was read since the last time. */
static void saw(struct fixture *f, const char *expected)
{
	read_tape(f);
	buffer_add_u8(&f->seen, 0);
	assert_string_equal((const char *)f->seen.data, expected);
	buffer_clear(&f->seen);
	r1_holds(f);
}

static void add(struct buffer *b, char type, const char *body, size_t len)
{
	buffer_add_u8(b, (uint8_t)type);
	buffer_add_u32(b, (uint32_t)len + 4);
	buffer_add(b, body, len);
}

static void say(struct fixture *f, bool back, char type, const char *body, size_t len)
{
	struct buffer b;

	buffer_init(&b, 1 << 20);
	add(&b, type, body, len);
	assert_false(b.failed);
	if (back)
		recorder_back(&f->recorder, buffer_span(&b));
	else
		recorder_front(&f->recorder, buffer_span(&b));
	buffer_release(&b);
	r1_holds(f);
}

#define FRONT(type, body) say(f, false, type, body, sizeof(body) - 1)
#define BACK(type, body) say(f, true, type, body, sizeof(body) - 1)

static void log_in(struct fixture *f)
{
	BACK('R', "\0\0\0\0");
	BACK('S', "TimeZone\0UTC\0");
	BACK('K', "12345678");
	BACK('Z', "I");
}

/* A row, or anything, of so many bytes. */
static void say_long(struct fixture *f, bool back, char type, size_t len)
{
	char *body = calloc(1, len);

	memset(body, 'x', len - 1); /* a text ends with a zero byte */
	say(f, back, type, body, len);
	free(body);
}

/* Fills the ring behind the session's back. */
static void fill(struct fixture *f, size_t leave)
{
	static const uint8_t bytes[1024];
	const struct tape_session other = {.slot = 2, .generation = 1};

	while (tape_size(f->tape) - tape_used(f->tape) >= leave + 1200) {
		assert_true(tape_put(f->tape, TAPE_CLOSE, other, 0, span_of(bytes, sizeof bytes),
			span_of(NULL, 0)));
	}
}

/* No record fits any more. */
static void fill_up(struct fixture *f)
{
	const struct tape_session other = {.slot = 2, .generation = 1};

	fill(f, 0);
	while (tape_put(f->tape, TAPE_CLOSE, other, 0, span_of(NULL, 0), span_of(NULL, 0)))
		;
}

static void drain(struct fixture *f)
{
	read_tape(f);
	buffer_clear(&f->seen);
}

static void r4_authentication_and_cancel_keys_are_never_taken(void **state)
{
	struct fixture fixture, *f = &fixture;

	(void)state;
	fixture_init(f, RING);
	BACK('R', "\0\0\0\5salt");
	FRONT('p', "md5secret\0");
	saw(f, "");
	log_in(f);
	FRONT('p', "late\0");
	FRONT('d', "copied in");
	saw(f, "open <S <Z ");
	FRONT('X', "");
	recorder_close(&f->recorder);
	saw(f, ">X close ");
	fixture_release(f);
}

static void statements_and_their_answers_are_taken_and_counted(void **state)
{
	struct fixture fixture, *f = &fixture;

	(void)state;
	fixture_init(f, RING);
	log_in(f);
	FRONT('Q', "select 1\0");
	BACK('T', "\0\0");
	BACK('D', "\0\0");
	BACK('C', "SELECT 1\0");
	BACK('Z', "I");
	FRONT('P', "\0select 2\0\0\0");
	FRONT('E', "\0\0\0\0\0");
	FRONT('F', "....");
	saw(f, "open <S <Z >Q <T <D <C <Z >P >E >F ");
	assert_int_equal(f->recording.counters.relayed, 3);
	assert_int_equal(f->recording.counters.taken, 3);
	assert_int_equal(f->frames_read, 3);
	fixture_release(f);
}

static void every_split_gives_the_same_messages(void **state)
{
	struct buffer in, out;

	(void)state;
	buffer_init(&in, 4096);
	buffer_init(&out, 4096);
	add(&out, 'R', "\0\0\0\0", 4);
	add(&out, 'S', "a\0b\0", 4);
	add(&out, 'K', "12345678", 8);
	add(&out, 'Z', "I", 1);
	add(&in, 'p', "x", 1);
	add(&in, 'Q', "select 1", 9);
	add(&in, 'd', "copy", 4);
	add(&in, 'S', "", 0);
	for (size_t cut = 0; cut <= out.len; cut++) {
		struct fixture f;
		size_t in_cut = cut < in.len ? cut : in.len;

		fixture_init(&f, RING);
		recorder_back(&f.recorder, span_of(out.data, cut));
		recorder_back(&f.recorder, span_of(out.data + cut, out.len - cut));
		recorder_front(&f.recorder, span_of(in.data, in_cut));
		recorder_front(&f.recorder, span_of(in.data + in_cut, in.len - in_cut));
		saw(&f, "open <S <Z >Q >S ");
		assert_int_equal(f.recorder.outstanding, 2);
		assert_int_equal(f.recorder.reported_len, 4);
		assert_int_equal(f.recording.counters.taken, 1);
		fixture_release(&f);
	}
	buffer_release(&in);
	buffer_release(&out);
}

static void a_message_over_the_limit_is_a_stub(void **state)
{
	struct fixture fixture, *f = &fixture;

	(void)state;
	fixture_init(f, RING);
	log_in(f);
	say_long(f, false, 'Q', 5000);
	say_long(f, true, 'N', 5000);
	BACK('Z', "I");
	saw(f, "open <S <Z stub(Q) stub(N) <Z ");
	assert_int_equal(f->recording.counters.taken, 1);
	assert_int_equal(f->frames_read, 1);
	fixture_release(f);
}

static void rows_sampled_out_are_told_before_the_next_byte(void **state)
{
	struct fixture fixture, *f = &fixture;

	(void)state;
	fixture_init(f, RING);
	f->recording.sample = 0;
	log_in(f);
	FRONT('Q', "select\0");
	BACK('T', "\0\0");
	BACK('D', "\0\0");
	BACK('D', "\0\0");
	saw(f, "open <S <Z >Q <T ");
	BACK('s', "");
	f->recording.sample = (uint64_t)ALWAYS << 32;
	BACK('D', "\0\0"); /* the coin is kept over PortalSuspended */
	BACK('C', "SELECT 3\0");
	BACK('T', "\0\0");
	BACK('D', "\0\0"); /* a result of its own */
	BACK('C', "SELECT 1\0");
	BACK('Z', "I");
	saw(f, "rows(1,2) <s rows(1,1) <C <T <D <C <Z ");
	fixture_release(f);
}

static void a_result_past_its_limit_keeps_its_end(void **state)
{
	struct fixture fixture, *f = &fixture;

	(void)state;
	fixture_init(f, RING);
	f->recording.max_result_bytes = 7000;
	log_in(f);
	FRONT('Q', "select\0");
	say_long(f, true, 'D', 3000);
	say_long(f, true, 'D', 3000);
	say_long(f, true, 'D', 3000);
	say_long(f, true, 'D', 10);
	BACK('C', "SELECT 4\0");
	BACK('H', "\0\0\0");
	say_long(f, true, 'd', 5000); /* one row over max_message_bytes */
	BACK('c', "");
	BACK('C', "COPY 1\0");
	saw(f, "open <S <Z >Q <D <D rows(3,2) <C <H rows(3,1) <c <C ");
	fixture_release(f);
}

static void over_half_full_takes_no_rows(void **state)
{
	struct fixture fixture, *f = &fixture;

	(void)state;
	fixture_init(f, RING);
	log_in(f);
	drain(f);
	fill(f, RING / 2 - 4096);
	FRONT('Q', "select\0");
	BACK('D', "\0\0");
	BACK('C', "SELECT 1\0");
	BACK('Z', "I");
	read_tape(f);
	buffer_add_u8(&f->seen, 0);
	assert_non_null(strstr((char *)f->seen.data, ">Q rows(2,1) <C <Z "));
	fixture_release(f);
}

static void r3_one_session_holds_no_more_than_an_eighth(void **state)
{
	struct fixture fixture, *f = &fixture;

	(void)state;
	fixture_init(f, RING);
	log_in(f);
	drain(f);
	FRONT('Q', "select\0");
	for (int i = 0; i < 60; i++)
		say_long(f, true, 'D', 1000);
	BACK('C', "SELECT 60\0");
	BACK('Z', "I");
	assert_true(tape_used(f->tape) <= RING / 8);
	read_tape(f);
	buffer_add_u8(&f->seen, 0);
	assert_non_null(strstr((char *)f->seen.data, "<D rows(4,"));
	assert_non_null(strstr((char *)f->seen.data, ") <C <Z "));
	assert_true(f->recorder.taking);
	fixture_release(f);
}

static void a_full_ring_makes_a_gap_that_heals_at_a_quiet_moment(void **state)
{
	struct fixture fixture, *f = &fixture;

	(void)state;
	fixture_init(f, RING);
	log_in(f);
	drain(f);
	fill(f, 0);
	say_long(f, false, 'Q', 2000);
	BACK('C', "SET\0");
	FRONT('P', "s\0select\0\0\0");
	FRONT('E', "\0\0\0\0\0");
	assert_int_equal(f->recording.counters.unobserved[UNOBSERVED_TAPE_FULL], 2);
	drain(f);
	BACK('S', "TimeZone\0CET\0");
	BACK('Z', "I"); /* the Parse has had no Sync */
	saw(f, "");
	FRONT('S', "");
	BACK('Z', "T");
	saw(f, "");
	FRONT('Q', "rollback\0");
	BACK('C', "ROLLBACK\0");
	BACK('Z', "I");
	saw(f, "resume(13,TimeZone) "); /* GAP_PARSE | GAP_QUERY | GAP_OTHER_COMMAND */
	assert_memory_equal(f->recorder.reported, "TimeZone\0CET", 13);
	FRONT('Q', "select\0");
	BACK('C', "SELECT 1\0");
	BACK('Z', "I");
	saw(f, ">Q <C <Z ");
	assert_int_equal(f->recording.counters.relayed, 4);
	assert_int_equal(f->recording.counters.unobserved[UNOBSERVED_TAPE_FULL], 3);
	fixture_release(f);
}

static void plain_commands_in_a_gap_leave_no_flag(void **state)
{
	static const struct {
		const char *tag;
		uint32_t flags;
	} cases[] = {{"SELECT 1", 0}, {"INSERT 0 1", 0}, {"UPDATE 3", 0}, {"DELETE 0", 0},
		{"MERGE 2", 0}, {"BEGIN", 0}, {"COMMIT", 0}, {"ROLLBACK", 0},
		{"ROLLBACK PREPARED", GAP_OTHER_COMMAND}, {"SET", GAP_OTHER_COMMAND},
		{"SELECTED", GAP_OTHER_COMMAND}, {"DISCARD ALL", GAP_OTHER_COMMAND}};

	(void)state;
	for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct fixture fixture, *f = &fixture;
		char expected[64];

		fixture_init(f, RING);
		log_in(f);
		drain(f);
		fill(f, 0);
		say_long(f, false, 'Q', 2000);
		say(f, true, 'C', cases[i].tag, strlen(cases[i].tag) + 1);
		drain(f);
		BACK('Z', "I");
		snprintf(expected, sizeof expected, "resume(%u,TimeZone) ",
			cases[i].flags | GAP_QUERY);
		saw(f, expected);
		fixture_release(f);
	}
}

/* --- texts of a gap --- */

static void query(struct fixture *f, const char *sql)
{
	say(f, false, 'Q', sql, strlen(sql) + 1);
	BACK('C', "SELECT 1\0");
	BACK('Z', "I");
}

static struct text_key key_of(const char *text)
{
	return text_key_of(span_cstr(text), false);
}

static void assert_key(struct text_key got, struct text_key expected)
{
	assert_true(got.low == expected.low && got.high == expected.high);
}

static void texts_in_a_gap_are_told_by_their_keys(void **state)
{
	static const char blanked[] = "select a from t where b = \1i";
	const struct text_key none = {0, 0};
	struct fixture fixture, *f = &fixture;

	(void)state;
	fixture_init(f, RING);
	log_in(f);
	drain(f);
	fill_up(f);
	query(f, "select a from t where b = 1");
	query(f, "select a from t where b = 2");
	query(f, "select a from t");
	query(f, "select a from t");
	query(f, "select a from t where c = 1.5");
	drain(f);
	FRONT('S', "");
	assert_int_equal(f->ntexts, 0);
	saw(f, "resume(4,TimeZone) >S ");
	assert_int_equal(f->ntexts, 3);
	assert_key(f->texts[0].exact, none); /* two of a kind */
	assert_key(f->texts[0].blanked, text_key_of(span_cstr(blanked), true));
	assert_key(f->texts[1].exact, key_of("select a from t"));
	assert_key(f->texts[1].blanked, none); /* nothing to be blanked */
	assert_key(f->texts[2].exact, key_of("select a from t where c = 1.5"));
	assert_null(f->recorder.unseen);
	fixture_release(f);
}

static void while_it_is_shed_texts_are_told_too(void **state)
{
	struct fixture fixture, *f = &fixture;

	(void)state;
	fixture_init(f, RING);
	log_in(f);
	drain(f);
	f->recording.shed = true;
	recorder_stop(&f->recorder);
	query(f, "select a from t");
	f->recording.shed = false;
	query(f, "select b from t");
	saw(f, "resume(4,TimeZone) >Q <C <Z ");
	assert_int_equal(f->ntexts, 1);
	assert_key(f->texts[0].exact, key_of("select a from t"));
	fixture_release(f);
}

static void more_texts_than_can_be_told_are_none(void **state)
{
	struct fixture fixture, *f = &fixture;
	char sql[32];

	(void)state;
	for (int more = 0; more < 2; more++) {
		fixture_init(f, RING);
		log_in(f);
		drain(f);
		fill_up(f);
		for (int i = 0; i < UNSEEN_TEXTS_MAX + more; i++) {
			snprintf(sql, sizeof sql, "select a%d from t", i);
			query(f, sql);
		}
		drain(f);
		FRONT('S', "");
		saw(f, more ? "resume(68,TimeZone) >S " : "resume(4,TimeZone) >S ");
		assert_int_equal(f->ntexts, more ? 0 : UNSEEN_TEXTS_MAX);
		fixture_release(f);
	}
}

static void a_gap_tells_names_from_none(void **state)
{
	static const struct {
		char type;
		const char *body;
		size_t len;
		uint32_t flags, texts;
	} cases[] = {{'P', "\0select\0\0", 10, GAP_UNNAMED, 1},
		{'P', "s\0select\0\0", 11, GAP_PARSE, 1},
		{'P', "s\0select", 8, GAP_PARSE | GAP_TEXT, 0}, {'C', "Sname", 6, GAP_CLOSE, 0},
		{'C', "Pname", 6, 0, 0}, {'C', "", 0, GAP_CLOSE, 0}, {'B', "", 1, 0, 0},
		{'F', "....", 4, GAP_QUERY | GAP_TEXT, 0}};

	(void)state;
	for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct fixture fixture, *f = &fixture;
		char expected[64];

		fixture_init(f, RING);
		log_in(f);
		drain(f);
		f->recording.shed = true;
		recorder_stop(&f->recorder);
		say(f, false, cases[i].type, cases[i].body, cases[i].len);
		if (cases[i].type != 'F')
			FRONT('S', "");
		f->recording.shed = false;
		BACK('Z', "I");
		snprintf(expected, sizeof expected, "resume(%u,TimeZone) ", cases[i].flags);
		saw(f, expected);
		assert_int_equal(f->ntexts, cases[i].texts);
		fixture_release(f);
	}
}

static void a_message_cut_by_a_gap_is_not_counted_as_taken(void **state)
{
	struct fixture fixture, *f = &fixture;
	struct buffer b;

	(void)state;
	fixture_init(f, RING);
	log_in(f);
	drain(f);
	buffer_init(&b, 4096);
	add(&b, 'Q', "select 1, 2, 3", 15);
	recorder_front(&f->recorder, span_of(b.data, 10));
	assert_int_equal(f->recording.counters.relayed, 0); /* R2 */
	fill_up(f);
	recorder_front(&f->recorder, span_of(b.data + 10, b.len - 10));
	assert_int_equal(f->recording.counters.taken, 0);
	assert_int_equal(f->recording.counters.unobserved[UNOBSERVED_TAPE_FULL], 1);
	drain(f);
	assert_int_equal(f->frames_read, 0);
	BACK('Z', "I");
	FRONT('Q', "select\0");
	saw(f, "resume(68,TimeZone) >Q "); /* GAP_QUERY | GAP_TEXT: nobody knows its text */
	buffer_release(&b);
	fixture_release(f);
}

static void a_session_idle_at_a_restart_resumes_at_once(void **state)
{
	struct fixture fixture, *f = &fixture;

	(void)state;
	fixture_init(f, RING);
	log_in(f);
	drain(f);
	recorder_stop(&f->recorder);
	recorder_announce(&f->recorder);
	saw(f, "again resume(0,TimeZone) ");
	fixture_release(f);
}

static void a_session_busy_at_a_restart_resumes_when_it_is_quiet(void **state)
{
	struct fixture fixture, *f = &fixture;

	(void)state;
	fixture_init(f, RING);
	log_in(f);
	FRONT('Q', "select\0");
	drain(f);
	f->recording.epoch = 0;
	recorder_stop(&f->recorder);
	FRONT('Q', "select 2\0");
	f->recording.epoch = 1;
	recorder_announce(&f->recorder);
	saw(f, "again ");
	BACK('Z', "I");
	saw(f, "");
	BACK('Z', "I");
	FRONT('Q', "select 3\0");
	saw(f, "resume(68,TimeZone) >Q "); /* the new shadow has seen no text */
	assert_int_equal(f->recording.counters.unobserved[UNOBSERVED_SHADOW_DOWN], 1);
	fixture_release(f);
}

static void a_switch_off_and_on_counts_and_resumes(void **state)
{
	struct fixture fixture, *f = &fixture;

	(void)state;
	fixture_init(f, RING);
	log_in(f);
	drain(f);
	f->recording.switched_off = true;
	recorder_stop(&f->recorder);
	FRONT('Q', "select\0");
	BACK('Z', "I");
	f->recording.switched_off = false;
	FRONT('Q', "select\0");
	saw(f, "resume(68,TimeZone) >Q "); /* switched off, nothing is looked at */
	assert_int_equal(f->recording.counters.unobserved[UNOBSERVED_SHADOW_OFF], 1);
	fixture_release(f);
}

static void messages_sent_before_authentication_delay_the_session(void **state)
{
	struct fixture fixture, *f = &fixture;

	(void)state;
	fixture_init(f, RING);
	FRONT('Q', "select\0");
	BACK('R', "\0\0\0\0");
	BACK('Z', "I");
	BACK('C', "SELECT 1\0");
	saw(f, "");
	BACK('Z', "I");
	FRONT('Q', "select\0");
	saw(f, "again resume(68,) >Q "); /* R4: not a word of it, not even as a key */
	assert_int_equal(f->recording.counters.unobserved[UNOBSERVED_SESSION_UNKNOWN], 1);
	fixture_release(f);
}

static void a_sync_that_copy_swallows_is_not_owed(void **state)
{
	struct fixture fixture, *f = &fixture;

	(void)state;
	fixture_init(f, RING);
	log_in(f);
	FRONT('P', "\0copy t from stdin\0\0\0");
	FRONT('B', "\0\0\0\0\0\0\0\0");
	FRONT('E', "\0\0\0\0\0");
	FRONT('S', ""); /* swallowed */
	BACK('G', "\0\0\0");
	FRONT('d', "1\n");
	FRONT('c', "");
	FRONT('S', "");
	BACK('C', "COPY 1\0");
	BACK('Z', "I");
	assert_int_equal(f->recorder.outstanding, 0);
	assert_true(recorder_quiet(&f->recorder));
	fixture_release(f);
}

/* A session that its startup packet keeps off the tape for good. */
static void is_counted_and_never_taken(const char *startup, size_t len, enum unobserved why)
{
	struct fixture fixture, *f = &fixture;
	struct buffer packet;

	fixture_init(f, RING);
	recorder_release(&f->recorder);
	assert_true(recorder_init(&f->recorder, &f->recording,
		(struct tape_session){.slot = 3, .generation = 1},
		startup_of(startup, len, &packet), 5));
	log_in(f);
	FRONT('Q', "IDENTIFY_SYSTEM\0");
	recorder_announce(&f->recorder);
	recorder_close(&f->recorder);
	saw(f, "");
	assert_int_equal(f->recording.counters.unobserved[why], 1);
	buffer_release(&packet);
	fixture_release(f);
}

static void replication_sessions_are_counted_and_never_taken(void **state)
{
	static const char startup[] = "user\0me\0replication\0database\0";

	(void)state;
	is_counted_and_never_taken(startup, sizeof startup, UNOBSERVED_REPLICATION);
}

static void our_own_connections_are_counted_and_never_taken(void **state)
{
	static const char startup[] = "user\0me\0application_name\0pgumbra\0";

	(void)state;
	is_counted_and_never_taken(startup, sizeof startup, UNOBSERVED_OWN_READS);
}

static void replication_is_asked_for_as_the_server_reads_it(void **state)
{
	static const struct {
		const char *value;
		bool wants;
	} cases[] = {{"true", true}, {"t", true}, {"ON", true}, {"yes", true}, {"1", true},
		{"database", true}, {"o", true}, {"false", false}, {"F", false}, {"no", false},
		{"off", false}, {"of", false}, {"0", false}, {"offs", true}, {"falsey", true}};

	(void)state;
	for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct buffer b;

		buffer_init(&b, 256);
		buffer_add_u32(&b, PROTOCOL_3_0);
		buffer_add_cstr(&b, "replication");
		buffer_add_cstr(&b, cases[i].value);
		buffer_add_u8(&b, 0);
		assert_int_equal(startup_wants_replication(buffer_span(&b)), cases[i].wants);
		buffer_release(&b);
	}
}

static void a_stream_that_makes_no_sense_ends_the_observation(void **state)
{
	static const uint32_t lies[] = {0, 3, 0x80000000u, 0xffffffffu};

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct fixture fixture, *f = &fixture;
		struct buffer b;

		fixture_init(f, RING);
		log_in(f);
		buffer_init(&b, 64);
		buffer_add_u8(&b, 'Q');
		buffer_add_u32(&b, lies[i]);
		buffer_add(&b, "rest", 5);
		recorder_front(&f->recorder, buffer_span(&b));
		BACK('Z', "I");
		saw(f, "open <S <Z ");
		assert_false(f->recorder.taking);
		buffer_release(&b);
		fixture_release(f);
	}
}

static uint32_t random_state = 2463534242u;

static uint32_t draw(uint32_t below)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 17;
	random_state ^= random_state << 5;

	return random_state % below;
}

/* One exchange of a random kind as bytes of both directions. */
static void add_exchange(struct buffer *front, struct buffer *back)
{
	static char body[3000];
	uint32_t rows = draw(30);

	memset(body, 'y', sizeof body);
	if (draw(3) == 0) {
		add(front, 'P', "\0\0\0\0", 4);
		add(front, 'B', "\0\0\0\0\0\0\0\0", 8);
		add(front, 'E', "\0\0\0\0\0", 5);
		add(front, 'S', "", 0);
		add(back, '1', "", 0);
		add(back, '2', "", 0);
	} else {
		add(front, 'Q', body, 1 + draw(1500));
	}
	for (uint32_t i = 0; i < rows; i++)
		add(back, 'D', body, draw(sizeof body));
	add(back, 'C', draw(2) ? "SELECT 1" : "SET\0....", draw(2) ? 9 : 4);
	add(back, 'Z', "I", 1);
}

static void feed(struct fixture *f, bool back, struct span bytes, size_t at_a_time)
{
	for (size_t at = 0; at < bytes.len; at += at_a_time) {
		const size_t left = bytes.len - at;
		const struct span part =
			span_of(bytes.data + at, left < at_a_time ? left : at_a_time);

		if (back)
			recorder_back(&f->recorder, part);
		else
			recorder_front(&f->recorder, part);
	}
	r1_holds(f);
}

static void add_any(struct buffer *b, const char *types)
{
	static const char body[] = "SELECT 1\0I\0\0\0\0";

	for (uint32_t n = 1 + draw(8); n > 0; n--)
		add(b, types[draw((uint32_t)strlen(types))], body, draw(sizeof body));
}

/* A tag that is cut is taken for one of a command that matters, a text that is cut is not known. */
enum { CUT = GAP_OTHER_COMMAND | GAP_TEXT };

/* b's messages were cut. */
static void same_state(const struct recorder *a, const struct recorder *b)
{
	const uint32_t cut = CUT;

	assert_int_equal(a->gap & ~b->gap, 0);

	assert_memory_equal(
		&a->recording->counters, &b->recording->counters, sizeof a->recording->counters);
	assert_int_equal(a->taking, b->taking);
	assert_int_equal(a->ever | cut, b->ever | cut);
	assert_int_equal(a->gap | cut, b->gap | cut);
	assert_int_equal(a->outstanding, b->outstanding);
	assert_int_equal(a->copy_syncs, b->copy_syncs);
	assert_int_equal(a->extended, b->extended);
	assert_int_equal(recorder_quiet(a), recorder_quiet(b));
}

/* Every type of message, in any order, with bodies that often make no sense: a message that lies
 * whole in its chunk goes the short way, byte by byte none does. */
static void whole_messages_leave_what_single_bytes_leave(void **state)
{
	static const char front_types[] = "PBEBESSDHCQFdcfX",
			  back_types[] = "123CDDDEGHINnSstTVZZWcdA";
	struct fixture whole, cut;
	struct buffer b;

	(void)state;
	for (int run = 0; run < 300; run++) {
		fixture_init(&whole, RING);
		fixture_init(&cut, RING);
		whole.blurred = cut.blurred = CUT;
		log_in(&whole);
		log_in(&cut);
		for (int i = 0; i < 60; i++) {
			const bool back = draw(2) == 0;

			buffer_init(&b, 1 << 20);
			add_any(&b, back ? back_types : front_types);
			feed(&whole, back, buffer_span(&b), b.len);
			feed(&cut, back, buffer_span(&b), 1);
			buffer_release(&b);
			same_state(&whole.recorder, &cut.recorder);
			if (draw(12) == 0) {
				recorder_stop(&whole.recorder);
				recorder_stop(&cut.recorder);
			}
			read_tape(&whole);
			read_tape(&cut);
			assert_int_equal(whole.seen.len, cut.seen.len);
			assert_memory_equal(whole.seen.data, cut.seen.data, whole.seen.len);
		}
		fixture_release(&whole);
		fixture_release(&cut);
	}
}

static void feed_cut(struct fixture *f, bool back, struct span bytes)
{
	while (bytes.len > 0) {
		size_t n = 1 + draw(draw(4) ? 4000 : 8);

		if (n > bytes.len)
			n = bytes.len;
		if (back)
			recorder_back(&f->recorder, span_of(bytes.data, n));
		else
			recorder_front(&f->recorder, span_of(bytes.data, n));
		bytes = span_of(bytes.data + n, bytes.len - n);
		r1_holds(f);
		assert_true(tape_used(f->tape) <= tape_size(f->tape) / 8); /* R3 */
	}
}

static void random_traffic_against_a_lazy_reader_keeps_the_account(void **state)
{
	struct fixture f;
	struct buffer front, back;

	(void)state;
	fixture_init(&f, RING);
	log_in(&f);
	for (int i = 0; i < 3000; i++) {
		buffer_init(&front, 1 << 20);
		buffer_init(&back, 1 << 20);
		add_exchange(&front, &back);
		feed_cut(&f, false, buffer_span(&front));
		feed_cut(&f, true, buffer_span(&back));
		buffer_release(&front);
		buffer_release(&back);
		if (draw(4) == 0)
			drain(&f);
	}
	drain(&f);
	assert_true(f.frames_read == f.recording.counters.taken);
	assert_true(f.recording.counters.unobserved[UNOBSERVED_TAPE_FULL] > 0);
	assert_true(f.recording.counters.taken > 500);
	assert_int_equal(f.recording.counters.relayed, 3000);
	fixture_release(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(r4_authentication_and_cancel_keys_are_never_taken),
		cmocka_unit_test(statements_and_their_answers_are_taken_and_counted),
		cmocka_unit_test(every_split_gives_the_same_messages),
		cmocka_unit_test(a_message_over_the_limit_is_a_stub),
		cmocka_unit_test(rows_sampled_out_are_told_before_the_next_byte),
		cmocka_unit_test(a_result_past_its_limit_keeps_its_end),
		cmocka_unit_test(over_half_full_takes_no_rows),
		cmocka_unit_test(r3_one_session_holds_no_more_than_an_eighth),
		cmocka_unit_test(a_full_ring_makes_a_gap_that_heals_at_a_quiet_moment),
		cmocka_unit_test(plain_commands_in_a_gap_leave_no_flag),
		cmocka_unit_test(texts_in_a_gap_are_told_by_their_keys),
		cmocka_unit_test(while_it_is_shed_texts_are_told_too),
		cmocka_unit_test(more_texts_than_can_be_told_are_none),
		cmocka_unit_test(a_gap_tells_names_from_none),
		cmocka_unit_test(a_message_cut_by_a_gap_is_not_counted_as_taken),
		cmocka_unit_test(a_session_idle_at_a_restart_resumes_at_once),
		cmocka_unit_test(a_session_busy_at_a_restart_resumes_when_it_is_quiet),
		cmocka_unit_test(a_switch_off_and_on_counts_and_resumes),
		cmocka_unit_test(messages_sent_before_authentication_delay_the_session),
		cmocka_unit_test(a_sync_that_copy_swallows_is_not_owed),
		cmocka_unit_test(replication_sessions_are_counted_and_never_taken),
		cmocka_unit_test(our_own_connections_are_counted_and_never_taken),
		cmocka_unit_test(replication_is_asked_for_as_the_server_reads_it),
		cmocka_unit_test(a_stream_that_makes_no_sense_ends_the_observation),
		cmocka_unit_test(random_traffic_against_a_lazy_reader_keeps_the_account),
		cmocka_unit_test(whole_messages_leave_what_single_bytes_leave),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

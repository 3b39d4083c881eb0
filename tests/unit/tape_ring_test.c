/* The tape: T1 to T4, epochs, counters, and a race between producer and consumer. */
#define _GNU_SOURCE /* memfd_create */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proxy/tape.h"
#include "proxy/tape_shared.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static const struct tape_session someone = {.slot = 7, .generation = 3};
static const struct relay_counters no_counters;
static const char filler[] = "some text that fills the ring";

struct pair {
	struct tape *tape;
	struct tape_reader *reader;
	struct tape_tail_page *lies; /* the tail page, to lie in it */
};

static struct tape_reader *reader_of(const struct tape *t, uint32_t epoch)
{
	return tape_reader_open(dup(tape_ring_fd(t)), dup(tape_tail_fd(t)), epoch, NULL);
}

static struct pair pair_new(size_t size)
{
	struct pair p = {.tape = tape_new(size, NULL)};

	assert_non_null(p.tape);
	p.lies = mmap(NULL, TAPE_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, tape_tail_fd(p.tape), 0);
	assert_true(p.lies != MAP_FAILED);
	p.reader = reader_of(p.tape, 1);
	assert_non_null(p.reader);

	return p;
}

static void pair_free(struct pair *p)
{
	munmap(p->lies, TAPE_PAGE);
	tape_reader_free(p->reader);
	tape_free(p->tape);
}

static bool put_text(struct tape *t, const char *a, const char *b)
{
	return tape_put(t, TAPE_FRONT, someone, 42, span_cstr(a), span_cstr(b));
}

static bool next_is(struct tape_reader *r, const char *text)
{
	const struct tape_record *record;
	struct span payload;
	bool broken;

	return tape_reader_next(r, &record, &payload, &broken) && span_is(payload, text) &&
	       record->kind == TAPE_FRONT && record->session.slot == someone.slot &&
	       record->session.generation == someone.generation && record->time_us == 42;
}

static bool nothing_next(struct tape_reader *r)
{
	const struct tape_record *record;
	struct span payload;
	bool broken;

	return !tape_reader_next(r, &record, &payload, &broken) && !broken;
}

static void a_record_of_two_parts_arrives_as_one(void **state)
{
	struct pair p = pair_new(4096);

	(void)state;
	tape_begin_epoch(p.tape, 1);
	assert_true(put_text(p.tape, "Q", "select"));
	assert_true(put_text(p.tape, "", ""));
	assert_true(nothing_next(p.reader)); /* not before the commit */
	tape_commit(p.tape, &no_counters);
	assert_true(next_is(p.reader, "Qselect"));
	assert_true(next_is(p.reader, ""));
	assert_true(nothing_next(p.reader));
	pair_free(&p);
}

static void nothing_can_be_put_while_detached(void **state)
{
	struct pair p = pair_new(4096);

	(void)state;
	assert_false(put_text(p.tape, "a", ""));
	tape_begin_epoch(p.tape, 1);
	assert_true(put_text(p.tape, "a", ""));
	tape_commit(p.tape, &no_counters);
	tape_begin_epoch(p.tape, 0);
	assert_false(put_text(p.tape, "b", ""));
	assert_int_equal(tape_used(p.tape), 0);
	pair_free(&p);
}

static void t3_a_full_ring_refuses_and_keeps_what_is_unread(void **state)
{
	struct pair p = pair_new(4096);
	char text[200] = {0};
	unsigned count = 0;

	(void)state;
	memset(text, 'x', sizeof text - 1);
	tape_begin_epoch(p.tape, 1);
	while (put_text(p.tape, text, "")) {
		count++;
		tape_commit(p.tape, &no_counters);
	}
	assert_int_equal(count, 4096 / (sizeof(struct tape_record) + 200));
	assert_true(tape_used(p.tape) + sizeof(struct tape_record) + 200 > tape_size(p.tape));
	for (unsigned i = 0; i < count; i++)
		assert_true(next_is(p.reader, text));
	assert_false(put_text(p.tape, text, "")); /* read, but not released */
	tape_reader_release(p.reader);
	assert_true(put_text(p.tape, text, "")); /* a put that finds no room looks again */
	assert_int_equal(tape_used(p.tape), sizeof(struct tape_record) + 200);
	pair_free(&p);
}

static void a_record_as_large_as_the_ring_fits_and_one_larger_never(void **state)
{
	struct pair p = pair_new(4096);
	const size_t most = 4096 - sizeof(struct tape_record);
	uint8_t *bytes = calloc(1, most + 1);

	(void)state;
	tape_begin_epoch(p.tape, 1);
	assert_false(
		tape_put(p.tape, TAPE_BACK, someone, 0, span_of(bytes, most), span_of(bytes, 1)));
	assert_true(
		tape_put(p.tape, TAPE_BACK, someone, 0, span_of(bytes, most), span_of(NULL, 0)));
	assert_int_equal(tape_used(p.tape), tape_size(p.tape));
	free(bytes);
	pair_free(&p);
}

static void t1_records_run_on_over_the_wrap(void **state)
{
	struct pair p = pair_new(4096);
	char text[64];

	(void)state;
	tape_begin_epoch(p.tape, 1);
	for (int i = 0; i < 1000; i++) {
		snprintf(text, sizeof text, "record %d%.*s", i, i % 30,
			"..............................");
		assert_true(put_text(p.tape, text, ""));
		assert_int_equal(tape_head(p.tape) % 8, 0);
		tape_commit(p.tape, &no_counters);
		assert_true(next_is(p.reader, text));
		tape_reader_release(p.reader);
	}
	assert_true(tape_head(p.tape) > 10 * tape_size(p.tape));
	pair_free(&p);
}

static void t4_a_lying_tail_counts_as_nothing_read(void **state)
{
	struct pair p = pair_new(4096);
	uint64_t lies[3];

	(void)state;
	tape_begin_epoch(p.tape, 1);
	while (put_text(p.tape, filler, ""))
		;
	tape_commit(p.tape, &no_counters);
	assert_true(next_is(p.reader, filler));
	lies[0] = tape_head(p.tape) + 8;
	lies[1] = UINT64_MAX;
	lies[2] = tape_head(p.tape) - tape_size(p.tape) - 8;
	for (unsigned i = 0; i < 3; i++) {
		atomic_store(&p.lies->tail, lies[i]);
		tape_follow(p.tape);
		assert_true(tape_tail(p.tape) == 0);
		assert_false(put_text(p.tape, filler, ""));
	}
	tape_reader_release(p.reader);
	tape_follow(p.tape);
	assert_true(tape_tail(p.tape) > 0);
	assert_true(put_text(p.tape, filler, ""));
	pair_free(&p);
}

static void t4_a_tail_that_goes_back_is_not_believed(void **state)
{
	struct pair p = pair_new(4096);
	uint64_t good;

	(void)state;
	tape_begin_epoch(p.tape, 1);
	assert_true(put_text(p.tape, "a", ""));
	tape_commit(p.tape, &no_counters);
	assert_true(next_is(p.reader, "a"));
	tape_reader_release(p.reader);
	tape_follow(p.tape);
	good = tape_tail(p.tape);
	atomic_store(&p.lies->tail, 0);
	tape_follow(p.tape);
	assert_true(tape_tail(p.tape) == good && good > 0);
	pair_free(&p);
}

static void a_new_epoch_leaves_the_old_records_and_the_old_tail(void **state)
{
	struct pair p = pair_new(4096);
	struct tape_reader *second = reader_of(p.tape, 2);

	(void)state;
	tape_begin_epoch(p.tape, 1);
	assert_true(put_text(p.tape, "old", ""));
	tape_commit(p.tape, &no_counters);
	assert_true(nothing_next(second)); /* not its epoch */
	assert_true(next_is(p.reader, "old"));
	tape_begin_epoch(p.tape, 2);
	assert_int_equal(tape_used(p.tape), 0);
	assert_true(put_text(p.tape, "new", ""));
	tape_commit(p.tape, &no_counters);
	tape_reader_release(p.reader); /* the first consumer still moves: it is not believed */
	tape_follow(p.tape);
	assert_true(tape_used(p.tape) > 0);
	assert_true(next_is(second, "new"));
	tape_reader_release(second);
	tape_follow(p.tape);
	assert_int_equal(tape_used(p.tape), 0);
	tape_reader_free(second);
	pair_free(&p);
}

static void the_consumer_cannot_write_or_cut_the_ring(void **state)
{
	struct pair p = pair_new(4096);
	int ring = tape_ring_fd(p.tape);

	(void)state;
	assert_true(
		mmap(NULL, TAPE_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, ring, 0) == MAP_FAILED);
	assert_true(ftruncate(ring, 0) < 0);
	assert_true(ftruncate(tape_tail_fd(p.tape), 0) < 0);
	pair_free(&p);
}

/* A ring as tape_new makes it, but written by hand, with one record of a given size. */
static struct tape_reader *reader_of_forged(uint32_t size, uint32_t payload_len)
{
	int ring = memfd_create("forged ring", 0), tail = memfd_create("forged tail", 0);
	struct tape_control control = {0};
	struct tape_record record = {.size = size, .kind = TAPE_BACK, .payload_len = payload_len};

	atomic_store(&control.epoch, 1);
	atomic_store(&control.head, 80);
	assert_int_equal(ftruncate(ring, 2 * TAPE_PAGE) + ftruncate(tail, TAPE_PAGE), 0);
	assert_int_equal(pwrite(ring, &control, sizeof control, 0), sizeof control);
	assert_int_equal(pwrite(ring, &record, sizeof record, TAPE_PAGE), sizeof record);

	return tape_reader_open(ring, tail, 1, NULL);
}

static bool breaks(uint32_t size, uint32_t payload_len)
{
	struct tape_reader *r = reader_of_forged(size, payload_len);
	const struct tape_record *record;
	struct span payload;
	bool broken, first, second;

	first = !tape_reader_next(r, &record, &payload, &broken) && broken;
	second = !tape_reader_next(r, &record, &payload, &broken) && broken; /* for good */
	tape_reader_free(r);

	return first && second;
}

static void a_record_that_makes_no_sense_breaks_the_reader(void **state)
{
	const uint32_t header = sizeof(struct tape_record);

	(void)state;
	assert_false(breaks(80, 80 - header));
	assert_true(breaks(0, 0));
	assert_true(breaks(header - 8, 0));
	assert_true(breaks(header + 1, 0));
	assert_true(breaks(88, 0));		  /* past the head */
	assert_true(breaks(80, 80 - header + 1)); /* payload past the record */
	assert_true(breaks(80, UINT32_MAX));
	assert_true(breaks(UINT32_MAX - 7, 0));
}

static void counters_are_published_by_the_commit_alone(void **state)
{
	struct pair p = pair_new(4096);
	struct relay_counters in = {.relayed = 5, .taken = 3, .epoch_taken_base = 9}, out;

	(void)state;
	in.unobserved[UNOBSERVED_TAPE_FULL] = 2;
	tape_reader_counters(p.reader, &out);
	assert_memory_equal(&out, &no_counters, sizeof out);
	tape_commit(p.tape, &in);
	tape_reader_counters(p.reader, &out);
	assert_memory_equal(&out, &in, sizeof out);
	pair_free(&p);
}

enum { RACE_RECORDS = 100000 };

/* Every record is filled with its number; the counters all say one number. */
static void *produce(void *arg)
{
	struct tape *t = arg;
	struct relay_counters counters;
	uint64_t fill[32], words[COUNTER_WORDS];

	tape_begin_epoch(t, 1);
	for (uint64_t i = 1; i <= RACE_RECORDS;) {
		for (unsigned k = 0; k < 32; k++)
			fill[k] = i;
		for (unsigned k = 0; k < COUNTER_WORDS; k++)
			words[k] = i;
		if (tape_put(t, TAPE_BACK, someone, i, span_of(fill, 8 * (i % 31)),
			    span_of(fill, 8)))
			i++;
		memcpy(&counters, words, sizeof counters);
		tape_commit(t, &counters);
	}

	return NULL;
}

static void check_counters(struct tape_reader *r)
{
	struct relay_counters counters;
	uint64_t words[COUNTER_WORDS];

	tape_reader_counters(r, &counters);
	memcpy(words, &counters, sizeof words);
	for (unsigned i = 1; i < COUNTER_WORDS; i++)
		assert_true(words[i] == words[0]);
}

static void check_record(const struct tape_record *record, struct span payload, uint64_t expected)
{
	const uint64_t *words = (const uint64_t *)payload.data;

	assert_true(record->time_us == expected);
	assert_int_equal(payload.len, 8 * (expected % 31) + 8);
	for (size_t k = 0; k < payload.len / 8; k++)
		assert_true(words[k] == expected);
}

static void t2_producer_and_consumer_race_without_a_torn_record(void **state)
{
	struct pair p = pair_new(16384);
	const struct tape_record *record;
	struct span payload;
	pthread_t producer;
	uint64_t expected = 1;
	bool broken = false;

	(void)state;
	assert_int_equal(pthread_create(&producer, NULL, produce, p.tape), 0);
	while (expected <= RACE_RECORDS && !broken) {
		while (tape_reader_next(p.reader, &record, &payload, &broken))
			check_record(record, payload, expected++);
		tape_reader_release(p.reader);
		check_counters(p.reader);
	}
	assert_false(broken);
	pthread_join(producer, NULL);
	pair_free(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_record_of_two_parts_arrives_as_one),
		cmocka_unit_test(nothing_can_be_put_while_detached),
		cmocka_unit_test(t3_a_full_ring_refuses_and_keeps_what_is_unread),
		cmocka_unit_test(a_record_as_large_as_the_ring_fits_and_one_larger_never),
		cmocka_unit_test(t1_records_run_on_over_the_wrap),
		cmocka_unit_test(t4_a_lying_tail_counts_as_nothing_read),
		cmocka_unit_test(t4_a_tail_that_goes_back_is_not_believed),
		cmocka_unit_test(a_new_epoch_leaves_the_old_records_and_the_old_tail),
		cmocka_unit_test(the_consumer_cannot_write_or_cut_the_ring),
		cmocka_unit_test(a_record_that_makes_no_sense_breaks_the_reader),
		cmocka_unit_test(counters_are_published_by_the_commit_alone),
		cmocka_unit_test(t2_producer_and_consumer_race_without_a_torn_record),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

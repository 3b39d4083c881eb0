/* What sessions keep while they stand idle, and that they go on from there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka needs the above first */
#include <cmocka.h>

#include "proxy/shadow/observed.h"
#include <stdlib.h>

enum { SESSIONS = 3 };

struct field {
	struct observer *observer;
	struct books books;
	struct classifier *classifier;
	struct database_view view;
	unsigned begun, ended, reads;
};

static const struct database_view *on_database(void *self, const char *name)
{
	struct field *f = self;

	assert_string_equal(name, "shop");
	return &f->view;
}

static void on_begin(void *self)
{
	((struct field *)self)->begun++;
}

static void on_end(
	void *self, const struct statement *statement, enum outcome outcome, enum reason reason)
{
	(void)statement;
	(void)outcome;
	(void)reason;
	((struct field *)self)->ended++;
}

static void on_read(void *self, struct dark_read *read)
{
	((struct field *)self)->reads++;
	assert_string_equal(read->user, "app");
	assert_string_equal(read->role, "app");
	assert_string_equal(read->application_name, "test");
	assert_string_equal(read->settings[1].name, "timezone");
	assert_string_equal(read->settings[1].value, "UTC");
	dark_read_unref(read);
}

static void put(struct field *f, uint32_t slot, enum tape_kind kind, const void *data, size_t len)
{
	struct tape_record record = {.kind = (uint16_t)kind,
		.payload_len = (uint32_t)len,
		.session = {slot, 1},
		.time_us = 1};

	observer_record(f->observer, 0, &record, span_of(data, len));
}
#define PUT(f, slot, kind, bytes) put(f, slot, kind, bytes, sizeof bytes - 1)

static void open_session(struct field *f, uint32_t slot)
{
	static const char startup[] = "\0\3\0\0user\0app\0database\0shop\0application_name\0test\0";
	struct tape_open open = {.startup_len = sizeof startup};
	uint8_t payload[sizeof open + sizeof startup];

	memcpy(payload, &open, sizeof open);
	memcpy(payload + sizeof open, startup, sizeof startup);
	put(f, slot, TAPE_OPEN, payload, sizeof payload);
	PUT(f, slot, TAPE_BACK,
		"S\0\0\0\x19"
		"client_encoding\0UTF8\0");
	PUT(f, slot, TAPE_BACK, "S\0\0\0\x11TimeZone\0UTC\0");
	PUT(f, slot, TAPE_BACK, "Z\0\0\0\5I");
}

static void ask(struct field *f, uint32_t slot)
{
	PUT(f, slot, TAPE_FRONT, "Q\0\0\0\x0dselect 1\0");
}

static void answer(struct field *f, uint32_t slot)
{
	PUT(f, slot, TAPE_BACK, "T\0\0\0\x1a\0\1a\0\0\0\0\0\0\0\0\0\0\x17\0\4\xff\xff\xff\xff\0\0");
	PUT(f, slot, TAPE_BACK,
		"D\0\0\0\x0b\0\1\0\0\0\1"
		"1");
	PUT(f, slot, TAPE_BACK, "C\0\0\0\x0dSELECT 1\0");
	PUT(f, slot, TAPE_BACK, "Z\0\0\0\5I");
}

static int set_up(void **state)
{
	static struct field f;
	struct observer_options options = {.max_sessions = 10,
		.max_message_bytes = 1 << 20,
		.keep_limit_bytes = 1 << 20,
		.memory_limit_bytes = 64 << 20,
		.sample = 1};
	struct observer_sink sink = {&f, on_database, on_begin, on_end, on_read};
	struct classifier_options classifier = {
		.cache_entries = 100, .max_sql_bytes = 65536, .allow_functions = ""};

	f = (struct field){.classifier = classifier_new(&classifier)};
	f.view = (struct database_view){.classifier = f.classifier};
	f.observer = observer_new(&options, &f.books, &sink);
	if (!f.observer || !f.classifier)
		return -1;
	for (uint32_t slot = 0; slot < SESSIONS; slot++)
		open_session(&f, slot);
	*state = &f;

	return 0;
}

static int tear_down(void **state)
{
	struct field *f = *state;

	observer_free(f->observer);
	classifier_free(f->classifier);

	return 0;
}

static struct observed *session(struct field *f, uint32_t slot)
{
	return f->observer->tables[0].slot[slot];
}

static void sessions_that_begin_alike_share_what_they_begin_with(void **state)
{
	struct field *f = *state;
	struct observed *a = session(f, 0), *b = session(f, 1);

	assert_ptr_equal(a->who, b->who);
	assert_ptr_equal(a->reported, b->reported);
	assert_ptr_equal(a->settings.base, b->settings.base);
	assert_ptr_equal(a->settings.current, b->settings.current);
	assert_null(a->pairing); /* nothing was asked yet */
	assert_null(a->requests);
	PUT(f, 0, TAPE_BACK, "S\0\0\0\x11TimeZone\0CET\0");
	assert_ptr_not_equal(a->reported, b->reported);
	PUT(f, 0, TAPE_BACK, "S\0\0\0\x11TimeZone\0UTC\0");
	assert_ptr_equal(a->reported, b->reported);
}

static void a_session_that_stands_idle_keeps_little_and_goes_on(void **state)
{
	struct field *f = *state;
	struct observed *s = session(f, 0);

	for (unsigned round = 1; round <= 3; round++) {
		ask(f, 0);
		answer(f, 0);
		assert_int_equal(f->reads, round);
		assert_non_null(s->pairing);
		assert_int_equal(observer_rest(f->observer), 0); /* it was active just now */
		assert_int_equal(observer_rest(f->observer), 1);
		assert_int_equal(observer_rest(f->observer), 0);
		assert_null(s->pairing);
		assert_null(s->requests);
		assert_null(s->facts);
	}
	assert_int_equal(f->begun, 3);
	assert_int_equal(f->ended, 0);
	assert_int_equal(observer_desyncs(f->observer), 0);
}

static void a_session_that_waits_for_an_answer_keeps_what_it_needs(void **state)
{
	struct field *f = *state;

	ask(f, 0);
	(void)observer_rest(f->observer);
	assert_int_equal(observer_rest(f->observer), 0);
	assert_non_null(session(f, 0)->pairing);
	answer(f, 0);
	assert_int_equal(f->reads, 1);
}

static void half_a_message_is_kept(void **state)
{
	struct field *f = *state;

	PUT(f, 0, TAPE_FRONT, "Q\0\0\0\x0dsel");
	(void)observer_rest(f->observer);
	(void)observer_rest(f->observer);
	PUT(f, 0, TAPE_FRONT, "ect 1\0");
	answer(f, 0);
	assert_int_equal(f->reads, 1);
	assert_int_equal(observer_desyncs(f->observer), 0);
}

static void an_answer_that_nobody_asked_for_ends_a_resting_session_too(void **state)
{
	struct field *f = *state;

	PUT(f, 0, TAPE_BACK, "C\0\0\0\x0dSELECT 1\0");
	assert_int_equal(observer_desyncs(f->observer), 1);
	(void)observer_rest(f->observer);
	(void)observer_rest(f->observer);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(sessions_that_begin_alike_share_what_they_begin_with),
		T(a_session_that_stands_idle_keeps_little_and_goes_on),
		T(a_session_that_waits_for_an_answer_keeps_what_it_needs),
		T(half_a_message_is_kept),
		T(an_answer_that_nobody_asked_for_ends_a_resting_session_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

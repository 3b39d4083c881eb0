/* One send and its answer (E1 to E4), the session behind it (S1 to S3), with a scripted server. */
#define _GNU_SOURCE
#include "proxy/shadow/mirror_exchange.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct state {
	struct session session;
	struct exchange exchange;
	struct buffer sent, answer;
	struct dark_read read;
	struct setting settings[300];
	char sql[64];
};

static int set_up(void **state)
{
	struct state *s = calloc(1, sizeof *s);

	assert_non_null(s);
	assert_true(session_init(&s->session));
	assert_true(session_base(&s->session, "DateStyle", "ISO, MDY"));
	assert_true(session_base(&s->session, "TimeZone", "UTC"));
	exchange_init(&s->exchange, 1 << 20);
	buffer_init(&s->sent, 1 << 24);
	buffer_init(&s->answer, 1 << 24);
	snprintf(s->sql, sizeof s->sql, "select a, b from t");
	s->read.sql = s->sql;
	s->read.settings = s->settings;
	*state = s;

	return 0;
}

static int tear_down(void **state)
{
	struct state *s = *state;

	exchange_release(&s->exchange);
	session_release(&s->session);
	buffer_release(&s->sent);
	buffer_release(&s->answer);
	free(s);

	return 0;
}

static void restart(struct state *s)
{
	exchange_release(&s->exchange);
	exchange_init(&s->exchange, 1 << 20);
	buffer_clear(&s->sent);
	buffer_clear(&s->answer);
}

static void add_setting(struct state *s, const char *name, const char *value)
{
	s->settings[s->read.nsettings++] = (struct setting){(char *)name, (char *)value};
}

static void send_read(struct state *s)
{
	assert_true(exchange_read(&s->exchange, &s->sent, &s->session, &s->read));
	assert_false(s->sent.failed);
}

/* Types of the messages sent, in order. */
static const char *sent_types(const struct state *s, char *types, size_t size)
{
	struct span input = buffer_span(&s->sent);
	struct assembler a;
	struct message m;
	size_t n = 0;

	assembler_init(&a, 1 << 20);
	while (assembler_next(&a, &input, &m) == ASSEMBLE_MESSAGE && n + 1 < size)
		types[n++] = (char)m.type;
	types[n] = '\0';
	assembler_release(&a);

	return types;
}

static void assert_sent(const struct state *s, const char *expected)
{
	char types[64];

	assert_string_equal(sent_types(s, types, sizeof types), expected);
}

static bool sent_text(const struct state *s, const char *text)
{
	return memmem(s->sent.data, s->sent.len, text, strlen(text)) != NULL;
}

/* --- the server's messages --- */

static void say(struct state *s, uint8_t type, const void *body, size_t len)
{
	buffer_add_u8(&s->answer, type);
	buffer_add_u32(&s->answer, (uint32_t)len + 4);
	buffer_add(&s->answer, body, len);
}

static void say_tag(struct state *s, const char *tag)
{
	say(s, BACK_COMMAND_COMPLETE, tag, strlen(tag) + 1);
}

static void say_ready(struct state *s, char status)
{
	say(s, BACK_READY, &status, 1);
}

static void say_error(struct state *s, const char *severity, const char *sqlstate)
{
	build_error(&s->answer, severity, sqlstate, "it failed", NULL, NULL);
}

static void say_columns(struct state *s)
{
	static const uint8_t body[] = "\0\1a\0\0\0\0\0\0\0\0\0\0\x17\0\4\xff\xff\xff\xff\0";

	say(s, BACK_ROW_DESCRIPTION, body, sizeof body);
}

static void say_row(struct state *s, char digit)
{
	const uint8_t body[] = {0, 1, 0, 0, 0, 1, (uint8_t)digit};

	say(s, BACK_DATA_ROW, body, sizeof body);
}

static void say_wrapper(struct state *s)
{
	static const uint8_t row[] = "\0\1\0\0\0\1"
				     "1";

	say(s, BACK_BIND_COMPLETE, NULL, 0);
	say_tag(s, "BEGIN");
	say(s, BACK_BIND_COMPLETE, NULL, 0);
	say(s, BACK_DATA_ROW, row, sizeof row - 1);
	say_tag(s, "SELECT 1");
}

static void say_rollback(struct state *s)
{
	say(s, BACK_BIND_COMPLETE, NULL, 0);
	say_tag(s, "ROLLBACK");
	say_ready(s, 'I');
}

/* Answer to an unnamed read without settings: two rows. */
static void say_good(struct state *s)
{
	say_wrapper(s);
	say(s, BACK_PARSE_COMPLETE, NULL, 0);
	say(s, BACK_BIND_COMPLETE, NULL, 0);
	say_columns(s);
	say_row(s, '7');
	say_row(s, '8');
	say_tag(s, "SELECT 2");
	say_ready(s, 'T');
	say_rollback(s);
}

/* Feeds the answer in pieces cut at `cut`; the clock ticks once a message. */
static enum exchange_progress hear_cut(struct state *s, size_t cut, size_t end)
{
	enum exchange_progress progress = EXCHANGE_GOES_ON;
	struct assembler a;
	uint64_t clock = 100;

	assembler_init(&a, 1 << 20);
	for (size_t at = 0; at < end && progress != EXCHANGE_LOST;) {
		size_t to = at < cut && cut < end ? cut : end;
		struct span input = span_of(s->answer.data + at, to - at);
		struct message m;

		while (progress != EXCHANGE_LOST &&
			assembler_next(&a, &input, &m) == ASSEMBLE_MESSAGE)
			progress = exchange_message(&s->exchange, &s->session, &m, clock++);
		at = to;
	}
	assembler_release(&a);

	return progress;
}

static enum exchange_progress hear(struct state *s)
{
	return hear_cut(s, 0, s->answer.len);
}

static void assert_failed(struct state *s, enum reason reason)
{
	struct mirror_answer answer = {0};

	result_init(&answer.result, 0);
	exchange_answer(&s->exchange, &answer);
	assert_int_equal(answer.status, MIRROR_FAILED);
	assert_int_equal(answer.reason, reason);
	assert_true(answer.text[0] != '\0');
	assert_null(strstr(answer.text, "it failed"));
	result_release(&answer.result);
}

static void assert_answered(struct state *s, enum result_end end, uint64_t rows)
{
	struct mirror_answer answer = {0};

	result_init(&answer.result, 0);
	exchange_answer(&s->exchange, &answer);
	assert_int_equal(answer.status, MIRROR_ANSWERED);
	assert_int_equal(answer.result.end, end);
	assert_int_equal(answer.result.rows, rows);
	result_release(&answer.result);
}

/* --- building --- */

static void an_unnamed_read_is_wrapped_in_one_send(void **state)
{
	struct state *s = *state;

	send_read(s);
	assert_sent(s, "BEBEHPBDESBES");
	assert_true(sent_text(s, "select a, b from t"));
}

static void a_read_that_runs_twice_does_so_in_one_snapshot(void **state)
{
	struct state *s = *state;
	struct mirror_answer answer = {0};

	s->read.twice = true;
	send_read(s);
	assert_sent(s, "PBEBEHPBDEBDESBES");
	assert_true(sent_text(s, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY NOT DEFERRABLE"));
	say(s, BACK_PARSE_COMPLETE, NULL, 0);
	say_wrapper(s);
	say(s, BACK_PARSE_COMPLETE, NULL, 0);
	for (char digit = '7'; digit <= '8'; digit++) {
		say(s, BACK_BIND_COMPLETE, NULL, 0);
		say_columns(s);
		say_row(s, digit);
		say_tag(s, "SELECT 1");
	}
	say_ready(s, 'T');
	say_rollback(s);
	assert_int_equal(hear(s), EXCHANGE_DONE);
	assert_true(exchange_is_clean(&s->exchange));
	exchange_answer(&s->exchange, &answer);
	assert_int_equal(answer.first.rows, 1);
	assert_int_equal(answer.result.rows, 1);
	assert_int_equal(answer.first.end, RESULT_COMPLETE);
	assert_true(answer.first.kept_all && answer.result.kept_all);
	assert_memory_not_equal(
		answer.first.kept.data, answer.result.kept.data, answer.first.kept.len);
	result_release(&answer.first);
	result_release(&answer.result);
}

static void our_own_statements_are_prepared_once(void **state)
{
	struct state *s = *state;

	exchange_prepare(&s->exchange, &s->sent);
	assert_sent(s, "PPPS");
	assert_true(sent_text(s, "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY NOT DEFERRABLE"));
}

static void only_settings_that_differ_are_applied(void **state)
{
	struct state *s = *state;

	add_setting(s, "datestyle", "ISO, MDY");
	add_setting(s, "timezone", "UTC");
	send_read(s);
	assert_sent(s, "BEBEHPBDESBES");

	restart(s);
	add_setting(s, "timezone", "Europe/Rome");
	add_setting(s, "search_path", "shop");
	send_read(s);
	assert_sent(s, "BEPBEHPBDESBES");
	assert_true(sent_text(s, "SELECT pg_catalog.set_config($1,$2,true), "
				 "pg_catalog.set_config($3,$4,true)"));
	assert_true(sent_text(s, "Europe/Rome"));
	assert_true(sent_text(s, "shop"));
	assert_false(sent_text(s, "ISO, MDY"));
}

static void of_two_values_the_later_one_counts(void **state)
{
	struct state *s = *state;

	add_setting(s, "search_path", "first");
	add_setting(s, "Search_Path", "second");
	add_setting(s, "timezone", "Europe/Rome");
	add_setting(s, "TimeZone", "UTC");
	send_read(s);
	assert_false(sent_text(s, "first"));
	assert_true(sent_text(s, "second"));
	assert_false(sent_text(s, "Europe/Rome"));
}

static void settings_that_would_free_the_candidate_are_never_sent(void **state)
{
	static const char *const NAMES[] = {"transaction_read_only",
		"DEFAULT_TRANSACTION_READ_ONLY", "default_transaction_isolation",
		"statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout",
		"idle_session_timeout", "transaction_timeout", "session_authorization", "role",
		"session_replication_role", "application_name", "log_statement", "enable_seqscan",
		"local_preload_libraries", "work_mem"};
	struct state *s = *state;

	for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++)
		add_setting(s, NAMES[i], "zebra");
	send_read(s);
	assert_sent(s, "BEBEHPBDESBES");
	assert_false(sent_text(s, "zebra"));
}

static void a_set_statement_is_parsed_once_per_number_of_settings(void **state)
{
	struct state *s = *state;

	add_setting(s, "search_path", "one");
	send_read(s);
	assert_sent(s, "BEPBEHPBDESBES");
	say(s, BACK_BIND_COMPLETE, NULL, 0);
	say_tag(s, "BEGIN");
	say(s, BACK_PARSE_COMPLETE, NULL, 0);
	assert_int_equal(hear(s), EXCHANGE_GOES_ON);

	restart(s);
	send_read(s);
	assert_sent(s, "BEBEHPBDESBES");
	restart(s);
	add_setting(s, "bytea_output", "escape");
	send_read(s);
	assert_sent(s, "BEPBEHPBDESBES");
}

static void a_set_statement_that_was_refused_is_parsed_again(void **state)
{
	struct state *s = *state;

	add_setting(s, "search_path", "one");
	send_read(s);
	say(s, BACK_BIND_COMPLETE, NULL, 0);
	say_tag(s, "BEGIN");
	say_error(s, "ERROR", "42883");
	assert_int_equal(hear(s), EXCHANGE_GOES_ON);

	restart(s);
	send_read(s);
	assert_sent(s, "BEPBEHPBDESBES");
}

static void more_settings_than_the_limit_are_refused_without_a_trace(void **state)
{
	struct state *s = *state;

	for (int i = 0; i < EXCHANGE_MAX_SETTINGS + 1; i++)
		add_setting(s, "app.x", "1");
	s->read.named = true;
	assert_false(exchange_read(&s->exchange, &s->sent, &s->session, &s->read));
	assert_int_equal(s->sent.len, 0);
	assert_int_equal(s->session.nnames, 0);
}

/* --- identity --- */

static void the_role_is_taken_on_last(void **state)
{
	struct state *s = *state;

	s->session.impersonate = true;
	s->read.role = (char *)"alice";
	add_setting(s, "role", "mallory"); /* the session's own word for it is never replayed */
	add_setting(s, "search_path", "shop");
	send_read(s);
	assert_sent(s, "BEPBEHPBDESBES");
	assert_true(sent_text(s, "SELECT pg_catalog.set_config($1,$2,true), "
				 "pg_catalog.set_config($3,$4,true)"));
	assert_true(memmem(
		s->sent.data, s->sent.len, "search_path\0\0\0\4shop\0\0\0\4role\0\0\0\5alice", 34));
	assert_false(sent_text(s, "mallory"));

	restart(s);
	s->read.nsettings = 0;
	send_read(s); /* without any setting too */
	assert_true(sent_text(s, "alice"));
	restart(s);
	s->session.impersonate = false;
	send_read(s);
	assert_false(sent_text(s, "alice"));
}

static void the_role_fits_beside_as_many_settings_as_are_allowed(void **state)
{
	static char names[EXCHANGE_MAX_SETTINGS][16];
	struct state *s = *state;

	s->session.impersonate = true;
	s->read.role = (char *)"alice";
	for (int i = 0; i < EXCHANGE_MAX_SETTINGS; i++) {
		snprintf(names[i], sizeof names[i], "app.x%d", i);
		add_setting(s, names[i], "1");
	}
	send_read(s);
	assert_true(sent_text(s, "set_config($513,$514,true)"));
}

static void a_statement_is_parsed_again_under_another_role(void **state)
{
	struct state *s = *state;
	uint32_t evicted;

	s->read.role = (char *)"alice";
	s->session.impersonate = true;
	assert_int_equal(session_name_for(&s->session, &s->read, &evicted)->number, 1);
	s->read.role = (char *)"bob";
	assert_int_equal(session_name_for(&s->session, &s->read, &evicted)->number, 2);
	s->read.role = (char *)"alice";
	assert_int_equal(session_name_for(&s->session, &s->read, &evicted)->number, 1);
}

static void say_role_error(struct state *s, const char *sqlstate, const char *message)
{
	say(s, BACK_BIND_COMPLETE, NULL, 0);
	say_tag(s, "BEGIN");
	say(s, BACK_PARSE_COMPLETE, NULL, 0);
	say(s, BACK_BIND_COMPLETE, NULL, 0);
	build_error(&s->answer, "ERROR", sqlstate, message, NULL, NULL);
	say_ready(s, 'E');
	say_rollback(s);
}

static void a_role_that_cannot_be_taken_on_is_named(void **state)
{
	static const struct {
		const char *sqlstate, *message, *text;
	} rows[] = {
		{"22023", "role \"alice\" does not exist",
			"role \"alice\" cannot be taken on: it does not exist there"},
		{"42501", "permission denied to set role \"alice\"",
			"role \"alice\" may not be taken on: the connection's role is not a member "
			"of "
			"it"},
	};
	struct state *s = *state;

	s->session.impersonate = true;
	s->read.role = (char *)"alice";
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct mirror_answer answer = {0};

		restart(s);
		s->session.sets = 0;
		send_read(s);
		say_role_error(s, rows[i].sqlstate, rows[i].message);
		assert_int_equal(hear(s), EXCHANGE_DONE);
		assert_true(exchange_is_clean(&s->exchange));
		result_init(&answer.result, 0);
		exchange_answer(&s->exchange, &answer);
		assert_int_equal(answer.status, MIRROR_FAILED);
		assert_int_equal(answer.reason, REASON_WRAPPER);
		assert_true(answer.role_refused);
		assert_string_equal(answer.text, rows[i].text);
		result_release(&answer.result);
	}
	restart(s); /* another setting's fault is not the role's */
	s->session.sets = 0;
	send_read(s);
	say_role_error(s, "22023", "invalid value for parameter \"TimeZone\": \"x\"");
	assert_int_equal(hear(s), EXCHANGE_DONE);
	assert_failed(s, REASON_WRAPPER);
}

/* --- names --- */

static void hear_named(struct state *s, bool parsed)
{
	say_wrapper(s);
	if (parsed)
		say(s, BACK_PARSE_COMPLETE, NULL, 0);
	say(s, BACK_BIND_COMPLETE, NULL, 0);
	say_columns(s);
	say_tag(s, "SELECT 0");
	say_ready(s, 'T');
	say_rollback(s);
	assert_int_equal(hear(s), EXCHANGE_DONE);
}

static void a_named_read_is_parsed_once_and_again_under_other_settings(void **state)
{
	struct state *s = *state;
	uint32_t type = 23;

	s->read.named = true;
	send_read(s);
	assert_sent(s, "BEBEHPBDESBES");
	assert_true(sent_text(s, "pgu_1"));
	hear_named(s, true);

	restart(s);
	send_read(s);
	assert_sent(s, "BEBEHBDESBES");
	hear_named(s, false);

	restart(s);
	s->read.settings_hash = 1;
	send_read(s);
	assert_sent(s, "BEBEHPBDESBES");
	hear_named(s, true);

	restart(s);
	s->read.nparam_types = 1;
	s->read.param_types = &type;
	send_read(s);
	assert_sent(s, "BEBEHPBDESBES");
}

static void a_name_that_was_not_parsed_is_parsed_again(void **state)
{
	struct state *s = *state;

	s->read.named = true;
	send_read(s);
	say_wrapper(s);
	say_error(s, "ERROR", "42P01");
	say_ready(s, 'E');
	say_rollback(s);
	assert_int_equal(hear(s), EXCHANGE_DONE);

	restart(s);
	send_read(s);
	assert_sent(s, "BEBEHPBDESBES");
}

static void the_least_used_name_is_closed_when_there_are_too_many(void **state)
{
	struct state *s = *state;

	s->read.named = true;
	for (unsigned i = 0; i < SESSION_NAMES; i++) {
		restart(s);
		s->read.settings_hash = i;
		send_read(s);
		hear_named(s, true);
	}
	restart(s);
	s->read.settings_hash = 0; /* used again: now the second is the least used */
	send_read(s);
	hear_named(s, false);

	restart(s);
	s->read.settings_hash = SESSION_NAMES;
	send_read(s);
	assert_sent(s, "CBEBEHPBDESBES");
	assert_memory_equal(s->sent.data + MESSAGE_HEADER, "Spgu_2", 7);
	assert_int_equal(s->session.nnames, SESSION_NAMES);
}

static void a_statement_whose_tables_changed_is_parsed_anew(void **state)
{
	struct state *s = *state;

	s->read.named = true;
	send_read(s);
	hear_named(s, true);
	assert_false(exchange_stale_plan(&s->exchange));

	restart(s);
	send_read(s);
	say_wrapper(s);
	say_error(s, "ERROR", "0A000");
	say_ready(s, 'E');
	say_rollback(s);
	assert_int_equal(hear(s), EXCHANGE_DONE);
	assert_true(exchange_stale_plan(&s->exchange));

	restart(s);
	send_read(s);
	assert_sent(s, "CBEBEHPBDESBES");
	say(s, BACK_CLOSE_COMPLETE, NULL, 0);
	say_wrapper(s);
	say_error(s, "ERROR", "0A000");
	say_ready(s, 'E');
	say_rollback(s);
	assert_int_equal(hear(s), EXCHANGE_DONE);
	assert_false(exchange_stale_plan(&s->exchange)); /* freshly parsed: it is the answer */
}

static void a_connection_with_custom_settings_serves_only_the_same_names(void **state)
{
	struct state *s = *state;
	struct dark_read none = {0};
	uint64_t one, both;

	add_setting(s, "app.tenant", "7");
	one = custom_names(&s->read);
	add_setting(s, "app.user", "x");
	both = custom_names(&s->read);
	assert_true(session_fits(&s->session, 0));
	assert_true(session_fits(&s->session, both));

	send_read(s);
	assert_true(session_fits(&s->session, both));
	assert_false(session_fits(&s->session, one));
	assert_false(session_fits(&s->session, custom_names(&none)));

	s->settings[0] = (struct setting){(char *)"APP.USER", (char *)"other"};
	s->settings[1] = (struct setting){(char *)"app.tenant", (char *)"8"};
	assert_true(session_fits(&s->session, custom_names(&s->read)));
}

/* --- answers --- */

static void a_good_answer_is_the_same_however_it_is_cut(void **state)
{
	struct state *s = *state;

	say_good(s);
	for (size_t cut = 0; cut <= s->answer.len; cut++) {
		exchange_release(&s->exchange);
		exchange_init(&s->exchange, 1 << 20);
		buffer_clear(&s->sent);
		send_read(s);
		assert_int_equal(hear_cut(s, cut, s->answer.len), EXCHANGE_DONE);
		assert_true(exchange_is_clean(&s->exchange));
		assert_int_equal(s->exchange.started_us, 104);
		assert_int_equal(s->exchange.ended_us, 111);
		assert_answered(s, RESULT_COMPLETE, 2);
	}
}

static void no_truncation_is_an_answer(void **state)
{
	struct state *s = *state;

	say_good(s);
	for (size_t end = 0; end < s->answer.len; end++) {
		exchange_release(&s->exchange);
		exchange_init(&s->exchange, 1 << 20);
		buffer_clear(&s->sent);
		send_read(s);
		assert_int_equal(hear_cut(s, 0, end), EXCHANGE_GOES_ON);
		assert_false(exchange_is_clean(&s->exchange));
	}
}

/* Every message type in the place of every message: only what may stand there is accepted. */
static void a_message_out_of_place_loses_the_exchange(void **state)
{
	static const char TYPES[] = "123CDEGHIKRSTVWZcdnstv\0x";
	struct state *s = *state;
	struct span at, input;
	struct assembler a;
	struct message m, other;
	struct buffer good;
	unsigned lost = 0, tried = 0;

	say_good(s);
	buffer_init(&good, 1 << 20);
	buffer_add_span(&good, buffer_span(&s->answer));
	assembler_init(&a, 1 << 20);
	at = buffer_span(&good);
	for (size_t place = 0; assembler_next(&a, &at, &m) == ASSEMBLE_MESSAGE; place++) {
		for (size_t t = 0; t < sizeof TYPES - 1; t++) {
			enum exchange_progress progress = EXCHANGE_GOES_ON;
			struct assembler again;

			if ((uint8_t)TYPES[t] == m.type)
				continue;
			restart(s);
			send_read(s);
			assembler_init(&again, 1 << 20);
			input = buffer_span(&good);
			for (size_t i = 0; i <= place; i++)
				if (assembler_next(&again, &input, &other) == ASSEMBLE_MESSAGE &&
					i < place)
					progress = exchange_message(
						&s->exchange, &s->session, &other, 1);
			assert_int_equal(progress, EXCHANGE_GOES_ON);
			other = (struct message){.type = (uint8_t)TYPES[t], .body = m.body};
			progress = exchange_message(&s->exchange, &s->session, &other, 1);
			assembler_release(&again);
			tried++;
			lost += progress == EXCHANGE_LOST;
			assert_int_not_equal(progress, EXCHANGE_DONE);
		}
	}
	/* What may stand elsewhere: rows instead of the end and the other way round, no row
	 * description, an empty result; suspension was not asked for. */
	assert_true(tried > 300);
	assert_in_range(tried - lost, 1, 8);
	assembler_release(&a);
	buffer_release(&good);
}

static void hear_lost(struct state *s)
{
	assert_int_equal(hear(s), EXCHANGE_LOST);
	assert_non_null(s->exchange.trouble);
	restart(s);
	send_read(s);
}

static void bodies_that_lie_lose_the_exchange(void **state)
{
	static const uint8_t short_columns[] = {0, 5, 'a', 0};
	static const uint8_t negative_row[] = {0, 1, 0xff, 0xff, 0xff, 0xfe};
	static const uint8_t long_row[] = {0, 1, 0x7f, 0xff, 0xff, 0xff, 'x'};
	struct state *s = *state;

	send_read(s);
	say_wrapper(s);
	say(s, BACK_PARSE_COMPLETE, NULL, 0);
	say(s, BACK_BIND_COMPLETE, NULL, 0);
	say(s, BACK_ROW_DESCRIPTION, short_columns, sizeof short_columns);
	hear_lost(s);

	say_wrapper(s);
	say(s, BACK_PARSE_COMPLETE, NULL, 0);
	say(s, BACK_BIND_COMPLETE, NULL, 0);
	say(s, BACK_NO_DATA, NULL, 0);
	say_row(s, '1'); /* a row of no columns known */
	hear_lost(s);

	say_wrapper(s);
	say(s, BACK_PARSE_COMPLETE, NULL, 0);
	say(s, BACK_BIND_COMPLETE, NULL, 0);
	say_columns(s);
	say(s, BACK_COMMAND_COMPLETE, "SELECT 1", 8); /* no NUL */
	hear_lost(s);

	for (int i = 0; i < 2; i++) {
		say_wrapper(s);
		say(s, BACK_PARSE_COMPLETE, NULL, 0);
		say(s, BACK_BIND_COMPLETE, NULL, 0);
		say_columns(s);
		if (i == 0)
			say(s, BACK_DATA_ROW, negative_row, sizeof negative_row);
		else
			say(s, BACK_DATA_ROW, long_row, sizeof long_row);
		say_tag(s, "SELECT 1");
		say_ready(s, 'T');
		say_rollback(s);
		hear_lost(s);
	}
}

static void an_error_of_the_read_is_an_answer_and_the_connection_lives(void **state)
{
	struct state *s = *state;
	unsigned before = 0;

	/* at Parse, at Bind, at Describe, among the rows, at Sync */
	for (before = 0; before <= 4; before++) {
		restart(s);
		send_read(s);
		say_wrapper(s);
		if (before > 0)
			say(s, BACK_PARSE_COMPLETE, NULL, 0);
		if (before > 1)
			say(s, BACK_BIND_COMPLETE, NULL, 0);
		if (before > 2) {
			say_columns(s);
			say_row(s, '1');
		}
		if (before > 3)
			say_tag(s, "SELECT 1");
		say_error(s, "ERROR", "22012");
		say_ready(s, 'E');
		say_rollback(s);
		assert_int_equal(hear(s), EXCHANGE_DONE);
		assert_true(exchange_is_clean(&s->exchange));
		assert_string_equal(s->exchange.result.sqlstate, "22012");
		assert_answered(s, RESULT_ERROR, before > 2 ? 1 : 0);
	}
}

static void errors_without_evidence_are_failures(void **state)
{
	static const struct {
		const char *sqlstate;
		enum reason reason;
	} CASES[] = {{"57014", REASON_TIMEOUT}, {"40001", REASON_RETRYABLE},
		{"40P01", REASON_RETRYABLE}, {"53200", REASON_RESOURCE}, {"53100", REASON_RESOURCE},
		{"08006", REASON_CONNECTION}};
	struct state *s = *state;

	for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
		restart(s);
		send_read(s);
		say_wrapper(s);
		say_error(s, "ERROR", CASES[i].sqlstate);
		say_ready(s, 'E');
		say_rollback(s);
		assert_int_equal(hear(s), EXCHANGE_DONE);
		assert_failed(s, CASES[i].reason);
	}
}

static void an_error_of_the_wrapper_is_a_failure(void **state)
{
	struct state *s = *state;

	send_read(s);
	say_error(s, "ERROR", "42501"); /* BEGIN refused: no transaction, ROLLBACK only warns */
	say_ready(s, 'I');
	say_rollback(s);
	assert_int_equal(hear(s), EXCHANGE_DONE);
	assert_true(exchange_is_clean(&s->exchange));
	assert_failed(s, REASON_WRAPPER);

	restart(s);
	send_read(s);
	say(s, BACK_BIND_COMPLETE, NULL, 0);
	say_tag(s, "BEGIN");
	say_error(s, "ERROR", "22023");
	say_ready(s, 'E');
	say_rollback(s);
	assert_int_equal(hear(s), EXCHANGE_DONE);
	assert_failed(s, REASON_WRAPPER);
}

static void a_read_outside_a_transaction_is_no_answer(void **state)
{
	struct state *s = *state;

	send_read(s);
	say_wrapper(s);
	say(s, BACK_PARSE_COMPLETE, NULL, 0);
	say(s, BACK_BIND_COMPLETE, NULL, 0);
	say_columns(s);
	say_tag(s, "SELECT 0");
	say_ready(s, 'I');
	assert_int_equal(hear(s), EXCHANGE_LOST);
}

static void only_an_idle_end_is_clean(void **state)
{
	struct state *s = *state;

	send_read(s);
	say_wrapper(s);
	say(s, BACK_PARSE_COMPLETE, NULL, 0);
	say(s, BACK_BIND_COMPLETE, NULL, 0);
	say_columns(s);
	say_tag(s, "SELECT 0");
	say_ready(s, 'T');
	say_error(s, "ERROR", "XX000");
	say_ready(s, 'E');
	assert_int_equal(hear(s), EXCHANGE_DONE);
	assert_false(exchange_is_clean(&s->exchange));
	assert_answered(s, RESULT_COMPLETE, 0);
}

static void a_fatal_error_ends_it_at_any_place(void **state)
{
	struct state *s = *state;

	for (size_t messages = 0; messages < 15; messages++) {
		struct span input;
		struct assembler a;
		struct message m;

		restart(s);
		send_read(s);
		say_good(s);
		assembler_init(&a, 1 << 20);
		input = buffer_span(&s->answer);
		for (size_t i = 0; i < messages; i++)
			assert_int_equal(assembler_next(&a, &input, &m), ASSEMBLE_MESSAGE);
		s->answer.len -= input.len;
		say_error(s, "FATAL", "57P01");
		assert_int_equal(hear(s), EXCHANGE_LOST);
		assert_true(s->exchange.fatal);
		assert_string_equal(s->exchange.sqlstate, "57P01");
		assembler_release(&a);
	}
}

static void nothing_may_come_when_nothing_was_asked(void **state)
{
	struct state *s = *state;

	send_read(s);
	say_good(s);
	say_ready(s, 'I');
	assert_int_equal(hear(s), EXCHANGE_LOST);

	restart(s);
	send_read(s);
	say_good(s);
	say_error(s, "ERROR", "42000");
	assert_int_equal(hear(s), EXCHANGE_LOST);
}

static void a_limited_read_may_be_suspended(void **state)
{
	struct state *s = *state;

	s->read.row_limit = 1;
	send_read(s);
	say_wrapper(s);
	say(s, BACK_PARSE_COMPLETE, NULL, 0);
	say(s, BACK_BIND_COMPLETE, NULL, 0);
	say_columns(s);
	say_row(s, '1');
	say(s, BACK_PORTAL_SUSPENDED, NULL, 0);
	say_ready(s, 'T');
	say_rollback(s);
	assert_int_equal(hear(s), EXCHANGE_DONE);
	assert_answered(s, RESULT_SUSPENDED, 1);
}

static void a_flood_of_rows_is_digested_but_not_kept(void **state)
{
	struct state *s = *state;

	exchange_release(&s->exchange);
	exchange_init(&s->exchange, 1000);
	send_read(s);
	say_wrapper(s);
	say(s, BACK_PARSE_COMPLETE, NULL, 0);
	say(s, BACK_BIND_COMPLETE, NULL, 0);
	say_columns(s);
	for (int i = 0; i < 10000; i++)
		say_row(s, '1');
	say_tag(s, "SELECT 10000");
	say_ready(s, 'T');
	say_rollback(s);
	assert_int_equal(hear(s), EXCHANGE_DONE);
	assert_false(s->exchange.result.kept_all);
	assert_true(s->exchange.result.kept.len <= 1000);
	assert_answered(s, RESULT_COMPLETE, 10000);
}

static void the_hand_over_takes_nothing_but_an_idle_end(void **state)
{
	struct state *s = *state;

	exchange_sync(&s->exchange, &s->sent);
	assert_sent(s, "S");
	say_ready(s, 'I');
	assert_int_equal(hear(s), EXCHANGE_DONE);
	assert_true(exchange_is_clean(&s->exchange));

	restart(s);
	exchange_sync(&s->exchange, &s->sent);
	say_ready(s, 'T');
	assert_int_equal(hear(s), EXCHANGE_DONE);
	assert_false(exchange_is_clean(&s->exchange));

	restart(s);
	exchange_sync(&s->exchange, &s->sent);
	say_tag(s, "SELECT 1");
	assert_int_equal(hear(s), EXCHANGE_LOST);
}

static void a_reported_change_is_noticed_until_it_is_taken_back(void **state)
{
	struct state *s = *state;

	assert_true(session_is_at_base(&s->session));
	session_report(&s->session, span_cstr("TimeZone"), span_cstr("Europe/Rome"));
	assert_false(session_is_at_base(&s->session));
	session_report(&s->session, span_cstr("TimeZone"), span_cstr("UTC"));
	assert_true(session_is_at_base(&s->session));
	session_report(&s->session, span_cstr("something_else"), span_cstr("1"));
	assert_true(session_is_at_base(&s->session));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_unnamed_read_is_wrapped_in_one_send),
		TEST(a_read_that_runs_twice_does_so_in_one_snapshot),
		TEST(our_own_statements_are_prepared_once),
		TEST(only_settings_that_differ_are_applied),
		TEST(of_two_values_the_later_one_counts),
		TEST(settings_that_would_free_the_candidate_are_never_sent),
		TEST(a_set_statement_is_parsed_once_per_number_of_settings),
		TEST(a_set_statement_that_was_refused_is_parsed_again),
		TEST(more_settings_than_the_limit_are_refused_without_a_trace),
		TEST(the_role_is_taken_on_last),
		TEST(the_role_fits_beside_as_many_settings_as_are_allowed),
		TEST(a_statement_is_parsed_again_under_another_role),
		TEST(a_role_that_cannot_be_taken_on_is_named),
		TEST(a_named_read_is_parsed_once_and_again_under_other_settings),
		TEST(a_name_that_was_not_parsed_is_parsed_again),
		TEST(the_least_used_name_is_closed_when_there_are_too_many),
		TEST(a_statement_whose_tables_changed_is_parsed_anew),
		TEST(a_connection_with_custom_settings_serves_only_the_same_names),
		TEST(a_good_answer_is_the_same_however_it_is_cut),
		TEST(no_truncation_is_an_answer),
		TEST(a_message_out_of_place_loses_the_exchange),
		TEST(bodies_that_lie_lose_the_exchange),
		TEST(an_error_of_the_read_is_an_answer_and_the_connection_lives),
		TEST(errors_without_evidence_are_failures),
		TEST(an_error_of_the_wrapper_is_a_failure),
		TEST(a_read_outside_a_transaction_is_no_answer),
		TEST(only_an_idle_end_is_clean),
		TEST(a_fatal_error_ends_it_at_any_place),
		TEST(nothing_may_come_when_nothing_was_asked),
		TEST(a_limited_read_may_be_suspended),
		TEST(a_flood_of_rows_is_digested_but_not_kept),
		TEST(the_hand_over_takes_nothing_but_an_idle_end),
		TEST(a_reported_change_is_noticed_until_it_is_taken_back),
	};

	return cmocka_run_group_tests_name("mirror_exchange", tests, NULL, NULL);
}

/* Conversations in a shorthand, and what becomes of each request.
 *
 * A script is "F..." (frontend letters) and "B..." (backend letters), for example "FPBES B12CZ". In
 * F, o is Describe and O is Close of a portal (D and C are of a statement). In B, ! is a FATAL
 * error. Events are written as letter, number and one of + done, ~ suspended, x failed, - skipped,
 * * swallowed. Test names carry the number of the case in the list of protocol hazards. */
#include "protocol/pairing.h"

#include "protocol/buffer.h"
#include "protocol/message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { LIMIT = 1000 };

struct story {
	struct pairing *pairing;
	struct buffer log;
	enum pairing_result result;
	struct buffer error, fatal;
	bool front;
};

static void on_event(void *self, const struct pairing_event *event)
{
	static const char marks[] = {[PAIR_DONE] = '+',
		[PAIR_SUSPENDED] = '~',
		[PAIR_FAILED] = 'x',
		[PAIR_SKIPPED] = '-',
		[PAIR_SWALLOWED] = '*'};
	struct story *story = self;

	buffer_printf(&story->log, "%c%u%c ", event->type, event->request, marks[event->kind]);
}

static void story_begin(struct story *story, size_t limit)
{
	*story = (struct story){0};
	story->pairing = pairing_new(limit, on_event, story);
	assert_non_null(story->pairing);
	buffer_init(&story->log, 1000000);
	buffer_init(&story->error, 1000);
	buffer_init(&story->fatal, 1000);
	build_error(&story->error, "ERROR", "22012", "division by zero", NULL, NULL);
	build_error(&story->fatal, "FATAL", "57P01", "terminating connection", NULL, NULL);
}

static void story_end(struct story *story)
{
	pairing_free(story->pairing);
	buffer_release(&story->log);
	buffer_release(&story->error);
	buffer_release(&story->fatal);
}

static struct span body_of(const struct buffer *message)
{
	return span_of(message->data + MESSAGE_HEADER, message->len - MESSAGE_HEADER);
}

static enum pairing_result tell_front(struct story *story, char letter)
{
	uint32_t request;

	switch (letter) {
	case 'o': return pairing_front(story->pairing, FRONT_DESCRIBE, 'P', &request);
	case 'O': return pairing_front(story->pairing, FRONT_CLOSE, 'P', &request);
	case 'D':
	case 'C': return pairing_front(story->pairing, (uint8_t)letter, 'S', &request);
	default: return pairing_front(story->pairing, (uint8_t)letter, 0, &request);
	}
}

static enum pairing_result tell_back(struct story *story, char letter)
{
	switch (letter) {
	case '!': return pairing_back(story->pairing, BACK_ERROR, body_of(&story->fatal));
	case 'E': return pairing_back(story->pairing, BACK_ERROR, body_of(&story->error));
	case 'Z': return pairing_back(story->pairing, BACK_READY, span_cstr("I"));
	default: return pairing_back(story->pairing, (uint8_t)letter, span_cstr(""));
	}
}

static void tell(struct story *story, const char *script)
{
	for (const char *at = script; *at; at++) {
		if (at == script || at[-1] == ' ')
			story->front = *at == 'F';
		else if (*at != ' ')
			story->result =
				story->front ? tell_front(story, *at) : tell_back(story, *at);
	}
}

static void expect_log(struct story *story, const char *script, const char *events)
{
	if (!span_is(buffer_span(&story->log), events))
		fail_msg("%s: expected %s, got %.*s", script, events, (int)story->log.len,
			(const char *)story->log.data);
}

/* The whole script pairs as expected and leaves nothing behind; then a query pairs. */
static void pairs(const char *script, const char *events)
{
	struct story story;
	uint8_t type;

	story_begin(&story, LIMIT);
	tell(&story, script);
	if (story.result != PAIRING_OK || !pairing_idle(story.pairing))
		fail_msg("%s: not idle", script);
	expect_log(&story, script, events);
	assert_int_equal(pairing_hypotheses(story.pairing), 1);
	assert_int_equal(pairing_outstanding(story.pairing), 0);
	assert_int_equal(pairing_head(story.pairing, &type), 0);
	tell(&story, "FQ BTDCZ");
	assert_int_equal(story.result, PAIRING_OK);
	assert_true(pairing_idle(story.pairing));
	story_end(&story);
}

static void ends_with(const char *script, enum pairing_result result, const char *events)
{
	struct story story;
	uint8_t type;

	story_begin(&story, LIMIT);
	tell(&story, script);
	if (story.result != result)
		fail_msg("%s: expected result %d, got %d", script, (int)result, (int)story.result);
	expect_log(&story, script, events);
	assert_false(pairing_idle(story.pairing));
	tell(&story, "FQS BZZ"); /* nothing changes any more (P2) */
	assert_int_equal(story.result, result);
	expect_log(&story, script, events);
	assert_int_equal(pairing_head(story.pairing, &type), 0);
	story_end(&story);
}

static void loses(const char *script)
{
	struct story story;

	story_begin(&story, LIMIT);
	tell(&story, script);
	if (story.result != PAIRING_LOST)
		fail_msg("%s: was not lost", script);
	story_end(&story);
}

static void ordinary_cycles_pair(void **state)
{
	(void)state;
	pairs("FQ BTDDCZ", "Q1+ ");
	pairs("FPBoES B12TDCZ", "P1+ B2+ D3+ E4+ S5+ ");
	pairs("FPDS B1tTZ FBES B2DCZ", "P1+ D2+ S3+ B4+ E5+ S6+ ");
	pairs("FPDH B1tn FBES B2CZ", "P1+ D2+ B3+ E4+ S5+ ");
	pairs("FPBEBEBES B12C2C2CZ", "P1+ B2+ E3+ B4+ E5+ B6+ E7+ S8+ ");
	pairs("FCOS B33Z", "C1+ C2+ S3+ ");
	pairs("FQQQ BCZTDCZIZ", "Q1+ Q2+ Q3+ ");
	pairs("FF BVZ", "F1+ ");
	pairs("FF BEZ", "F1x F1+ ");
	pairs("FF BVEZ", "F1x F1+ ");
}

static void the_head_is_the_request_being_answered(void **state)
{
	struct story story;
	uint8_t type;

	(void)state;
	story_begin(&story, LIMIT);
	assert_int_equal(pairing_head(story.pairing, &type), 0);
	tell(&story, "FPcBES");
	assert_int_equal(pairing_head(story.pairing, &type), 1);
	assert_int_equal(type, 'P');
	tell(&story, "B1");
	assert_int_equal(pairing_head(story.pairing, &type), 3);
	assert_int_equal(type, 'B');
	tell(&story, "B2DD");
	assert_int_equal(pairing_head(story.pairing, &type), 4);
	assert_int_equal(type, 'E');
	assert_int_equal(pairing_outstanding(story.pairing), 2);
	tell(&story, "BCZ");
	assert_int_equal(pairing_head(story.pairing, &type), 0);
	assert_int_equal(type, 0);
	story_end(&story);
}

static void requests_are_numbered_without_flush_and_copy_data(void **state)
{
	struct story story;
	uint32_t request = 7;

	(void)state;
	story_begin(&story, LIMIT);
	assert_int_equal(pairing_front(story.pairing, 'H', 0, &request), PAIRING_OK);
	assert_int_equal(request, 0);
	assert_int_equal(pairing_front(story.pairing, 'P', 0, &request), PAIRING_OK);
	assert_int_equal(request, 1);
	tell(&story, "BE");
	assert_int_equal(pairing_front(story.pairing, 'B', 0, &request), PAIRING_OK);
	assert_int_equal(request, 2);
	expect_log(&story, "skipped inside the call", "P1x B2- ");
	assert_int_equal(pairing_front(story.pairing, 'd', 0, &request), PAIRING_OK);
	assert_int_equal(request, 0);
	pairing_reset(story.pairing);
	assert_true(pairing_idle(story.pairing));
	assert_int_equal(pairing_front(story.pairing, 'Q', 0, &request), PAIRING_OK);
	assert_int_equal(request, 3);
	story_end(&story);
}

static void case_34_a_query_behind_an_error_is_discarded(void **state)
{
	(void)state;
	pairs("FPBEQFS BEZ", "P1x B2- E3- Q4- F5- S6+ ");
	pairs("FP BE FBEQF FS BZ", "P1x B2- E3- Q4- F5- S6+ ");
	pairs("FPBQ B12 FS BTDCZZ", "P1+ B2+ Q3+ S4+ ");
}

static void case_35_bind_execute_query_without_sync(void **state)
{
	(void)state;
	pairs("FPS B1Z FBEQ B2DCTDCZ", "P1+ S2+ B3+ E4+ Q5+ ");
	pairs("FPS B1Z FBEQ B2E FQ FS BZ", "P1+ S2+ B3+ E4x Q5- Q6- S7+ ");
}

static void case_36_a_sync_is_swallowed_by_copy(void **state)
{
	(void)state;
	pairs("FPBESddcS B12GCZ", "P1+ B2+ E3+ S4* c5* S6+ ");
	pairs("FPBES B12G FddcS BCZ", "P1+ B2+ E3+ S4* c5* S6+ ");
	pairs("FPBE B12G FdHdc BC FS BZ", "P1+ B2+ E3+ c4* S5+ ");
	pairs("FPBESSSdcS B12GCZ", "P1+ B2+ E3+ S4* S5* S6* c7* S8+ ");
}

static void case_37_a_copy_that_fails_gets_one_or_two_ready_messages(void **state)
{
	(void)state;
	/* before G: the first Sync is answered */
	pairs("FPBESdcS B12EZZ", "P1+ B2+ E3x S4+ c5- S6+ ");
	/* after G, before the Sync was read */
	pairs("FPBESdcS B12GEZZ", "P1+ B2+ E3x S4+ c5- S6+ ");
	/* after the Sync was read: only the next request tells */
	pairs("FPBESdcS B12GEZ FQ BTDCZ", "P1+ B2+ E3x S4* c5* S6+ Q7+ ");
	pairs("FPBESdcS B12GE FQ BZZCZ", "P1+ B2+ E3x S4+ c5- S6+ Q7+ ");
	/* the same without an early Sync is not ambiguous */
	pairs("FPBEdcS B12GEZ", "P1+ B2+ E3x c4* S5+ ");
	pairs("FPBE B12GE FdcQS BZ", "P1+ B2+ E3x c4- Q5- S6+ ");
}

static void while_a_fork_lives_events_are_held_back(void **state)
{
	struct story story;
	uint8_t type;

	(void)state;
	story_begin(&story, LIMIT);
	tell(&story, "FPBESdcS B12GE");
	assert_int_equal(pairing_hypotheses(story.pairing), 2);
	assert_int_equal(pairing_head(story.pairing, &type), 0);
	assert_false(pairing_idle(story.pairing));
	expect_log(&story, "the common past is told", "P1+ B2+ E3x ");
	tell(&story, "BZ FPBES");
	assert_int_equal(pairing_hypotheses(story.pairing), 2);
	expect_log(&story, "the rest is held", "P1+ B2+ E3x ");
	tell(&story, "B1");
	assert_int_equal(pairing_hypotheses(story.pairing), 1);
	expect_log(&story, "settled", "P1+ B2+ E3x S4* c5* S6+ P7+ ");
	assert_int_equal(pairing_head(story.pairing, &type), 8);
	story_end(&story);
}

static void a_fork_inside_a_fork_is_settled(void **state)
{
	(void)state;
	pairs("FESdcS BGE FESdcS BZZGEZZ FQ BCZ", "E1x S2+ c3- S4+ E5x S6+ c7- S8+ Q9+ ");
	pairs("FESdcSESdcS BGEZGEZ FQ BCZ", "E1x S2* c3* S4+ E5x S6* c7* S8+ Q9+ ");
	pairs("FESSdcS BGEZZ FQ BCZ", "E1x S2* S3+ c4- S5+ Q6+ ");
}

static void too_many_hypotheses_lose_the_session(void **state)
{
	(void)state;
	pairs("FESSSSSSSSSSSSSSSdcS BGEZ FQ BCZ",
		"E1x S2* S3* S4* S5* S6* S7* S8* S9* S10* S11* S12* S13* S14* S15* S16* c17* S18+ "
		"Q19+ ");
	loses("FESSSSSSSSSSSSSSSSdcS BGE");
}

static void case_38_copy_fail_stray_copy_messages_and_a_query_inside_copy(void **state)
{
	(void)state;
	pairs("FPBEfS B12GEZ", "P1+ B2+ E3x f4* S5+ ");
	pairs("FQ BG FdfH BEZ", "Q1x Q1+ f2* ");
	pairs("FQdc BGCZ", "Q1+ c2* ");
	pairs("Fc", "c1- ");
	pairs("FcfdQ BCZ", "c1- f2- Q3+ ");
	pairs("FQcQ BCZCZ", "Q1+ c2- Q3+ ");
	pairs("FPcBfES B12CZ", "P1+ c2- B3+ f4- E5+ S6+ ");
	pairs("FP BE FcdfS BZ", "P1x c2- f3- S4+ ");
	ends_with("FQ BG FQ BE!", PAIRING_CLOSED, "Q1x ");
	ends_with("FPBEQ B12GE!", PAIRING_CLOSED, "P1+ B2+ E3x Q4- ");
}

static void case_38_syncs_behind_a_copy_by_query_that_fails(void **state)
{
	(void)state;
	pairs("FQSdc BGEZZ", "Q1x Q1+ S2+ c3- ");
	pairs("FQSdc BGEZ FQ BCZ", "Q1x Q1+ S2* c3* Q4+ ");
	pairs("FQSdcS BGCZZ", "Q1+ S2* c3* S4+ ");
}

static void case_39_several_copies_in_one_query(void **state)
{
	(void)state;
	pairs("FQ BTDCG Fdc BCTDCZ", "Q1+ c2* ");
	pairs("FQdcdc BGCGCZ", "Q1+ c2* c3* ");
	pairs("FQ BG Fdc BCG Fdc BCZ", "Q1+ c2* c3* ");
	pairs("FQ BG FSdc BCG FSdf BE FS BZZZ", "Q1x Q1+ S2* c3* S4+ f5- S6+ ");
	pairs("FQ BHddcCZ", "Q1+ ");
	pairs("FQ BHdEZ", "Q1x Q1+ ");
	pairs("FES BHddcCZ", "E1+ S2+ ");
}

static void case_40_a_commit_that_fails_fails_the_sync(void **state)
{
	(void)state;
	pairs("FPBES B12CEZ", "P1+ B2+ E3+ S4x S4+ ");
	pairs("FQ BCEZ", "Q1x Q1+ ");
}

static void case_41_portals_are_suspended(void **state)
{
	(void)state;
	pairs("FPBEEES B12DDsDDsDCZ", "P1+ B2+ E3~ E4~ E5+ S6+ ");
	pairs("FPBEH B12DDs FEH BC FS BZ", "P1+ B2+ E3~ E4+ S5+ ");
}

static void case_42_portals_described_and_closed_by_name(void **state)
{
	(void)state;
	pairs("FoEEOS BTDDsDC3Z", "D1+ E2~ E3+ C4+ S5+ ");
	pairs("FoS BEZ", "D1x S2+ ");
}

static void case_44_a_query_may_have_rows_and_an_insert_tag(void **state)
{
	(void)state;
	pairs("FQ BTDDCZ", "Q1+ ");
	pairs("FQ BTEZ", "Q1x Q1+ ");
}

static void case_45_asynchronous_messages_pass_anywhere(void **state)
{
	(void)state;
	pairs("BNAS FPBES BN1N2ADNDCSSSAZ BA", "P1+ B2+ E3+ S4+ ");
	pairs("FPBESdcS B12GENSAZN FQ BNTDCZ", "P1+ B2+ E3x S4* c5* S6+ Q7+ ");
	pairs("FP BE FBS BNZ", "P1x B2- S3+ ");
}

static void case_46_several_syncs_and_empty_statements(void **state)
{
	(void)state;
	pairs("FSSS BZZZ", "S1+ S2+ S3+ ");
	pairs("FPSS BEZZ", "P1x S2+ S3+ ");
	pairs("FQ BIZ", "Q1+ ");
	pairs("FPBDES B12tnIZ", "P1+ B2+ D3+ E4+ S5+ ");
	pairs("FQ BTDCCTDCZ", "Q1+ ");
}

static void case_48_odd_errors_do_no_harm(void **state)
{
	struct buffer many;
	struct story story;

	(void)state;
	story_begin(&story, LIMIT);
	buffer_init(&many, 1000);
	for (int i = 0; i < 70; i++)
		buffer_printf(&many, "%c%s%c", 'a' + i % 20, "x", 0);
	tell(&story, "FQ");
	assert_int_equal(pairing_back(story.pairing, 'E', buffer_span(&many)), PAIRING_OK);
	assert_int_equal(pairing_back(story.pairing, 'E', span_cstr("")), PAIRING_OK);
	assert_int_equal(pairing_back(story.pairing, 'E', (struct span){0}), PAIRING_OK);
	assert_int_equal(pairing_back(story.pairing, 'E', span_cstr("torn")), PAIRING_OK);
	expect_log(&story, "failed once", "Q1x ");
	assert_int_equal(pairing_back(story.pairing, 'E', span_of("SPANIC\0", 8)), PAIRING_CLOSED);
	buffer_release(&many);
	story_end(&story);
}

static void fatal_ends_the_session_whatever_its_language(void **state)
{
	struct story story;

	(void)state;
	ends_with("B!", PAIRING_CLOSED, "");
	ends_with("FPBES B1!", PAIRING_CLOSED, "P1+ ");
	story_begin(&story, LIMIT);
	assert_int_equal(pairing_back(story.pairing, 'E', span_of("SFATAL\0VERROR\0", 15)),
		PAIRING_LOST); /* V decides: an error for nobody */
	pairing_reset(story.pairing);
	assert_int_equal(pairing_back(story.pairing, 'E', span_of("SFATALNO\0VFATAL\0", 17)),
		PAIRING_CLOSED);
	story_end(&story);
}

static void nothing_ends_behind_terminate(void **state)
{
	struct story story;

	(void)state;
	story_begin(&story, LIMIT);
	tell(&story, "FPB BE FXBS");
	expect_log(&story, "X in the skip window", "P1x B2- ");
	assert_int_equal(pairing_outstanding(story.pairing), 3);
	story_end(&story);
	ends_with("FQX BCZ!", PAIRING_CLOSED, "Q1+ ");
}

static void case_49_a_message_that_is_missing_is_noticed(void **state)
{
	(void)state;
	loses("FPBES B2");
	loses("FPBES B12Z");
	loses("FPBES B1C");
	loses("FQ BZ");
	loses("FQ BTDZ");
	loses("FQQ BCC FQ BZZZ");
	loses("FF BZ");
	loses("FD BT");
	loses("FD Btt");
	loses("Fo Bt");
	loses("FQ BGZ");
	loses("FQ BGD");
	loses("FES BGCZ");
	loses("FEfS BGC");
	loses("FEPcS BGC");
	loses("FQ BEC");
	loses("FS BC");
	loses("FQ Bs");
}

static void what_fits_no_request_is_lost(void **state)
{
	static const char everything[] = "123CDEGHITVWZcdnstRKvX";

	(void)state;
	for (const char *at = everything; *at; at++) {
		char script[] = "B?";

		script[1] = *at;
		ends_with(script, PAIRING_LOST, "");
	}
	ends_with("FQ BW", PAIRING_LOST, "");
	ends_with("FX BZ", PAIRING_LOST, "");
	ends_with("FS BR", PAIRING_LOST, "");
}

static void ready_for_query_may_grow_but_not_lie(void **state)
{
	struct story story;

	(void)state;
	story_begin(&story, LIMIT);
	tell(&story, "FSSSSS");
	assert_int_equal(pairing_back(story.pairing, 'Z', span_cstr("I")), PAIRING_OK);
	assert_int_equal(pairing_back(story.pairing, 'Z', span_cstr("Tlsn=0/1")), PAIRING_OK);
	assert_int_equal(pairing_back(story.pairing, 'Z', (struct span){0}), PAIRING_OK);
	assert_int_equal(pairing_back(story.pairing, 'Z', span_cstr("?")), PAIRING_LOST);
	expect_log(&story, "Z", "S1+ S2+ S3+ ");
	pairing_reset(story.pairing);
	tell(&story, "FS");
	assert_int_equal(pairing_back(story.pairing, 'Z', span_cstr("")), PAIRING_LOST);
	story_end(&story);
}

static void the_limit_holds(void **state)
{
	struct story story;

	(void)state;
	story_begin(&story, 10);
	tell(&story, "FSSSSSSSSSS");
	assert_int_equal(story.result, PAIRING_OK);
	tell(&story, "BZ FS");
	assert_int_equal(story.result, PAIRING_OK);
	tell(&story, "FS");
	assert_int_equal(story.result, PAIRING_LOST);
	pairing_reset(story.pairing);
	tell(&story, "FESdcS BGE"); /* forks hold 3 + 1, and the event that the copy swallowed */
	assert_int_equal(story.result, PAIRING_OK);
	tell(&story, "FSSSSSSS");
	assert_int_equal(story.result, PAIRING_LOST);
	pairing_reset(story.pairing);
	tell(&story, "FQ BCZ");
	assert_int_equal(story.result, PAIRING_OK);
	story_end(&story);
}

static void a_fork_without_room_is_lost(void **state)
{
	(void)state;
	for (size_t limit = 4; limit < 9; limit++) {
		struct story story;

		story_begin(&story, limit);
		tell(&story, "FESdcS");
		assert_int_equal(story.result, PAIRING_OK);
		tell(&story, "BGE");
		assert_int_equal(story.result, limit < 6 ? PAIRING_LOST : PAIRING_OK);
		story_end(&story);
	}
}

static void the_queue_grows_wherever_its_head_stands(void **state)
{
	(void)state;
	pairs("FPBDES B1 FPBDE B2 FCS BtTCZ12tnC3Z",
		"P1+ B2+ D3+ E4+ S5+ P6+ B7+ D8+ E9+ C10+ S11+ ");
}

static void a_long_pipeline_pairs(void **state)
{
	struct story story;

	(void)state;
	story_begin(&story, 300000);
	for (int i = 0; i < 50000; i++)
		tell(&story, "FBES");
	assert_int_equal(pairing_outstanding(story.pairing), 150000);
	for (int i = 0; i < 50000; i++) {
		tell(&story, "B2CZ");
		buffer_clear(&story.log);
	}
	assert_int_equal(story.result, PAIRING_OK);
	assert_true(pairing_idle(story.pairing));
	story_end(&story);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ordinary_cycles_pair),
		cmocka_unit_test(the_head_is_the_request_being_answered),
		cmocka_unit_test(requests_are_numbered_without_flush_and_copy_data),
		cmocka_unit_test(case_34_a_query_behind_an_error_is_discarded),
		cmocka_unit_test(case_35_bind_execute_query_without_sync),
		cmocka_unit_test(case_36_a_sync_is_swallowed_by_copy),
		cmocka_unit_test(case_37_a_copy_that_fails_gets_one_or_two_ready_messages),
		cmocka_unit_test(while_a_fork_lives_events_are_held_back),
		cmocka_unit_test(a_fork_inside_a_fork_is_settled),
		cmocka_unit_test(too_many_hypotheses_lose_the_session),
		cmocka_unit_test(case_38_copy_fail_stray_copy_messages_and_a_query_inside_copy),
		cmocka_unit_test(case_38_syncs_behind_a_copy_by_query_that_fails),
		cmocka_unit_test(case_39_several_copies_in_one_query),
		cmocka_unit_test(case_40_a_commit_that_fails_fails_the_sync),
		cmocka_unit_test(case_41_portals_are_suspended),
		cmocka_unit_test(case_42_portals_described_and_closed_by_name),
		cmocka_unit_test(case_44_a_query_may_have_rows_and_an_insert_tag),
		cmocka_unit_test(case_45_asynchronous_messages_pass_anywhere),
		cmocka_unit_test(case_46_several_syncs_and_empty_statements),
		cmocka_unit_test(case_48_odd_errors_do_no_harm),
		cmocka_unit_test(fatal_ends_the_session_whatever_its_language),
		cmocka_unit_test(nothing_ends_behind_terminate),
		cmocka_unit_test(case_49_a_message_that_is_missing_is_noticed),
		cmocka_unit_test(what_fits_no_request_is_lost),
		cmocka_unit_test(ready_for_query_may_grow_but_not_lie),
		cmocka_unit_test(the_limit_holds),
		cmocka_unit_test(a_fork_without_room_is_lost),
		cmocka_unit_test(the_queue_grows_wherever_its_head_stands),
		cmocka_unit_test(a_long_pipeline_pairs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

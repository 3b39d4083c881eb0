/* What a gap on the tape leaves unknown of a session. The relay tells the kinds of messages that
 * passed and, while they are few, the keys of their texts; what is known of a text of the same key
 * tells whether it may have changed the session. A text that nobody knows yet leaves a doubt that
 * ends when it is seen again, in whatever session.
 *
 * What ran in a gap is: the texts that passed; the statements and portals that were known before;
 * requests whose answers the gap hid; names that an earlier gap made (observed_unproven). */
#include "proxy/shadow/observed.h"

#include <stdlib.h>
#include <string.h>

bool observed_unproven(const struct observed *s)
{
	return s->statements_unproven || (s->statements_unknown && s->unsettled);
}

/* --- statements ------------------------------------------------------------------------------- */

/* May it change settings or temporary relations under a tag that says SELECT, INSERT and the like?
 */
static bool changes_silently(const struct observed *s, const struct statement *st)
{
	if (!st)
		return true;
	if (st->creates_temporary || st->ntemporaries > 0)
		return true;
	switch (st->effect) {
	case EFFECT_SET:
	case EFFECT_SET_CONFIG:
	case EFFECT_EXECUTE:
	case EFFECT_UNKNOWN_SETTINGS: return true;
	case EFFECT_CALLS: return !observed_calls_calm(s, st);
	default: return false;
	}
}

/* After SET LOCAL too: a custom setting is '' ever after, and how texts are to be read may be
 * another one for those that follow. */
static bool outlives_local(const char *name)
{
	return strchr(name, '.') || strcmp(name, "client_encoding") == 0 ||
	       strcmp(name, "standard_conforming_strings") == 0;
}

/* May it change anything of the session that outlives its transaction, whatever its tag says? */
static bool changes(const struct observed *s, const struct statement *st)
{
	if (!st || st->creates_temporary || st->ntemporaries > 0)
		return true;
	switch (st->effect) {
	case EFFECT_NONE:
	case EFFECT_TAINT:
	case EFFECT_BEGIN:
	case EFFECT_COMMIT:
	case EFFECT_ROLLBACK:
	case EFFECT_SAVEPOINT:
	case EFFECT_RELEASE:
	case EFFECT_ROLLBACK_TO:
	case EFFECT_COPY: return false;
	case EFFECT_SET: return !st->local || outlives_local(st->name);
	case EFFECT_CALLS: return !observed_calls_calm(s, st);
	default: return true;
	}
}

/* other: tags told of more than reads, writes and transactions. */
static bool may_change(const struct observed *s, const struct statement *st, bool other)
{
	return other ? changes(s, st) : changes_silently(s, st);
}

static bool text_may_change(struct observed *s, struct span sql, bool other)
{
	struct text_parts parts;
	bool found = false;

	if (observed_unreadable(s, sql) || !classify_text(s->view->classifier, sql, &parts))
		return true;
	for (size_t i = 0; i < parts.count; i++)
		found |= may_change(s, parts.part[i].statement, other);
	text_parts_release(&parts);

	return found;
}

/* A request whose answer the gap hid. */
static bool request_may_change(struct observed *s, const struct request *r, bool other)
{
	struct parse_message parse;
	struct span sql;

	if (r->type != FRONT_QUERY && r->type != FRONT_PARSE)
		return r->type == FRONT_FUNCTION_CALL;
	if (r->too_long)
		return true;
	if (r->type == FRONT_PARSE)
		return !parse_parse(span_of(r->body, r->len), &parse) ||
		       text_may_change(s, parse.sql, other);

	return !parse_query(span_of(r->body, r->len), &sql) || text_may_change(s, sql, other);
}

static bool requests_may_change(struct observed *s, bool other)
{
	for (uint32_t n = s->first; n != s->next; n++)
		if (request_may_change(s, &s->requests[n % s->capacity], other))
			return true;

	return false;
}

static bool known_may_change(struct observed *s, bool other)
{
	for (struct prepared *p = s->statements; p; p = p->hh.next)
		if (p->sql[0] && may_change(s, observed_decision(s, p), other))
			return true;
	for (struct portal *p = s->portals; p; p = p->hh.next)
		if (p->prepared && may_change(s, observed_decision(s, p->prepared), other))
			return true;

	return requests_may_change(s, other);
}

/* --- texts ------------------------------------------------------------------------------------ */

enum gap_outcome {
	GAP_LEFT_ALL,	/* settings and temporary relations are as before */
	GAP_LEFT_DOUBT, /* ... unless a text of s->unsettled says otherwise */
	GAP_MAY_CHANGE,
};

static bool is_key(struct text_key k)
{
	return k.low != 0 || k.high != 0;
}

static const struct text_parts *find(const struct observed *s, const struct tape_text *t)
{
	struct classifier *c = s->view->classifier;
	const struct text_parts *parts = NULL;

	if (is_key(t->blanked))
		parts = classifier_find(c, t->blanked, true);
	if (!parts && is_key(t->exact))
		parts = classifier_find(c, t->exact, false);

	return parts;
}

static enum gap_outcome judge_text(struct observed *s, const struct tape_text *t)
{
	const struct text_parts *parts = find(s, t);
	enum gap_outcome outcome = GAP_LEFT_ALL;

	if (!parts)
		return GAP_LEFT_DOUBT;
	for (size_t i = 0; i < parts->count; i++) {
		observed_note_customs(s, parts->part[i].statement);
		if (changes(s, parts->part[i].statement))
			outcome = GAP_MAY_CHANGE;
	}

	return outcome;
}

static bool keep(struct observed *s, const struct tape_text *t)
{
	if (!s->unsettled)
		s->unsettled = calloc(1, sizeof *s->unsettled);
	if (!s->unsettled || s->unsettled->count == UNSEEN_TEXTS_MAX)
		return false;
	s->unsettled->texts[s->unsettled->count++] = *t;

	return true;
}

/* Nothing will settle it: what is in doubt now stays so until the session resets it. */
static void give_up(struct observed *s)
{
	if (!s->unsettled)
		return;
	s->statements_unproven |= s->statements_unknown;
	free(s->unsettled);
	s->unsettled = NULL;
	session_settings_settle_gap(&s->settings, false);
}

static enum gap_outcome judge_texts(struct observed *s, const struct gap *gap)
{
	enum gap_outcome worst = GAP_LEFT_ALL;

	for (uint32_t i = 0; i < gap->ntexts; i++) {
		enum gap_outcome one = judge_text(s, &gap->texts[i]);

		if (one == GAP_LEFT_DOUBT && !keep(s, &gap->texts[i]))
			one = GAP_MAY_CHANGE;
		worst = one > worst ? one : worst;
	}

	return worst;
}

/* Bytes or quotes that the parser would mistake: a key says nothing of what such a text does. */
static bool is_misread(struct observed *s)
{
	const struct facts *f = observed_facts(s);

	return !f || f->encoding_unsafe || f->strings_unsafe;
}

static enum gap_outcome judge(struct observed *s, const struct gap *gap)
{
	const bool texts = gap->flags & (GAP_QUERY | GAP_PARSE | GAP_UNNAMED);
	const bool misread = gap->ntexts > 0 && is_misread(s);
	enum gap_outcome outcome = misread ? GAP_MAY_CHANGE : judge_texts(s, gap);

	if (gap->flags & (GAP_UNKNOWN | GAP_TEXT) || s->statements_unproven ||
		(texts && gap->ntexts == 0) || known_may_change(s, gap->flags & GAP_OTHER_COMMAND))
		outcome = GAP_MAY_CHANGE;
	if (outcome == GAP_LEFT_ALL && observed_unproven(s))
		outcome = GAP_LEFT_DOUBT;
	if (outcome == GAP_MAY_CHANGE)
		give_up(s);

	return outcome;
}

void observed_settle(struct observed *s)
{
	const uint64_t learned = classifier_learned(s->view->classifier);
	struct unsettled *u = s->unsettled;
	uint32_t left = 0;

	if (!u || u->learned == learned)
		return;
	u->learned = learned;
	for (uint32_t i = 0; i < u->count; i++) {
		enum gap_outcome outcome = judge_text(s, &u->texts[i]);

		if (outcome == GAP_MAY_CHANGE) {
			give_up(s);
			return;
		}
		if (outcome == GAP_LEFT_DOUBT)
			u->texts[left++] = u->texts[i];
	}
	u->count = left;
	if (left > 0)
		return;
	free(s->unsettled);
	s->unsettled = NULL;
	session_settings_settle_gap(&s->settings, true);
}

/* --- names ------------------------------------------------------------------------------------ */

/* Parse of a name that is there already fails: it makes names, it replaces none. */
static bool may_define(struct observed *s, const struct gap *gap, enum gap_outcome outcome)
{
	struct parse_message parse;
	bool defines = gap->flags & (GAP_PARSE | GAP_UNKNOWN);

	/* the unnamed one may be executed in another gap */
	defines |= gap->flags & GAP_UNNAMED && outcome != GAP_LEFT_ALL;
	for (uint32_t n = s->first; n != s->next && !defines; n++) {
		const struct request *r = &s->requests[n % s->capacity];

		defines = r->type == FRONT_PARSE &&
			  (r->too_long || !parse_parse(span_of(r->body, r->len), &parse) ||
				  parse.statement.len > 0);
	}

	return defines;
}

static bool may_replace(struct observed *s, const struct gap *gap, enum gap_outcome outcome)
{
	bool replaces = gap->flags & (GAP_CLOSE | GAP_UNKNOWN);

	/* PREPARE, DEALLOCATE and DISCARD have tags of their own */
	replaces |= gap->flags & GAP_OTHER_COMMAND && outcome != GAP_LEFT_ALL;
	for (uint32_t n = s->first; n != s->next; n++) {
		const struct request *r = &s->requests[n % s->capacity];

		replaces |= r->type == FRONT_CLOSE && r->sub != 'P';
	}

	return replaces;
}

static void resume_names(struct observed *s, const struct gap *gap, enum gap_outcome outcome)
{
	const bool replaced = may_replace(s, gap, outcome), defined = may_define(s, gap, outcome);

	/* What becomes unknown here may be executed in a later gap. */
	if (replaced)
		s->statements_unproven |= known_may_change(s, true);
	if (defined)
		s->statements_unproven |= requests_may_change(s, true);
	s->statements_unknown |= replaced || defined;
	s->statements_unproven |= s->statements_unknown && outcome == GAP_MAY_CHANGE;
	if (replaced)
		observed_forget_statements(s);
	else
		observed_undefine(s, "", 0);
}

/* --- the session again ------------------------------------------------------------------------ */

void observed_resume(struct observed *s, const struct gap *gap, struct span reported)
{
	const enum gap_outcome outcome = judge(s, gap);

	resume_names(s, gap, outcome);
	observed_abandon(s, OUTCOME_DROPPED, REASON_TAPE_GAP);
	assembler_reset(&s->front);
	assembler_reset(&s->back);
	if (s->pairing)
		pairing_reset(s->pairing);
	/* How an open transaction ended is not known. */
	if (session_settings_end_somehow(&s->settings) || outcome == GAP_MAY_CHANGE) {
		session_settings_doubt(&s->settings);
		session_settings_temporary(&s->settings, true);
	} else if (outcome == GAP_LEFT_DOUBT) {
		session_settings_doubt_gap(&s->settings);
	}
	observed_take_reported(s, reported);
	s->observer->books->events[EVENT_RESUMED]++;
	s->cycle_failed = false;
	observed_ready(s, 'I');
	s->state = SESSION_LIVE;
}

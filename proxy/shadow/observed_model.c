/* What statements do to a session: transaction, taint, settings, temporary relations; and whether a
 * read may run in the dark in the state that results. */
#define _GNU_SOURCE /* strcasestr */
#include "proxy/shadow/observed.h"

#include <stdlib.h>
#include <strings.h>

/* Encodings whose trailing bytes may look like ASCII: the parser reads bytes and would mistake
 * them. */
static const char *const unsafe_encodings[] = {
	"SJIS", "SHIFT_JIS_2004", "BIG5", "GBK", "UHC", "GB18030", "JOHAB"};

bool observed_encoding_unsafe(const struct observed *s)
{
	const char *encoding;

	if (!observed_reported_now(s, "client_encoding", &encoding))
		return true;
	for (size_t i = 0; encoding && i < sizeof unsafe_encodings / sizeof *unsafe_encodings; i++)
		if (strcasecmp(encoding, unsafe_encodings[i]) == 0)
			return true;

	return false;
}

/* Off, a backslash in a string escapes the quote behind it, which our parser takes for the end. */
bool observed_strings_unsafe(const struct observed *s)
{
	const char *value;

	return !observed_reported_now(s, "standard_conforming_strings", &value) ||
	       (value && strcasecmp(value, "on") != 0 && strcasecmp(value, "true") != 0 &&
		       strcmp(value, "1") != 0);
}

static void transaction_over(struct observed *s, bool committed)
{
	s->in_block = false;
	s->tainted = false;
	s->snapshot = false;
	s->took_snapshot = false;
	s->touched = false;
	s->failed = false;
	observed_end_portals(s, committed);
}

static bool means_snapshot(const char *isolation)
{
	return isolation &&
	       (strcasestr(isolation, "repeatable") || strcasestr(isolation, "serializable"));
}

bool observed_starts_isolated(const struct observed *s)
{
	return means_snapshot(session_settings_get(&s->settings, "default_transaction_isolation"));
}

static void begin_block(struct observed *s, const struct statement *st)
{
	if (st->isolation_given)
		s->snapshot = st->isolation_snapshot;
	else if (!s->in_block) /* else a warning is all that comes of it */
		s->snapshot = observed_starts_isolated(s);
	s->in_block = true;
}

static void end_block(struct observed *s, const struct statement *st, bool committed)
{
	bool snapshot = s->snapshot;

	if (committed)
		session_settings_commit(&s->settings);
	else
		session_settings_rollback(&s->settings);
	transaction_over(s, committed);
	if (st->chain) { /* with the characteristics of the one before */
		session_settings_begin(&s->settings);
		s->in_block = true;
		s->snapshot = snapshot;
	}
}

/* SET SESSION AUTHORIZATION DEFAULT takes back what was set of either; but for a role of the
 * startup all is known then. */
static void identity_reset(struct observed *s)
{
	if (!settings_state_find(s->settings.base, "role"))
		session_settings_identity_known(&s->settings);
}

void observed_set(struct observed *s, const char *name, const char *value, bool local)
{
	const char *before;
	char merged[64];

	if (strcasecmp(name, "transaction_isolation") == 0) {
		s->snapshot = !value || means_snapshot(value);
		return;
	}
	if (value && strcasecmp(name, "datestyle") == 0) {
		if (observed_reported_now(s, name, &before) && before &&
			datestyle_merge(before, value, merged, sizeof merged))
			value = merged;
		else
			session_settings_doubt(&s->settings);
	}
	session_settings_set(&s->settings, name, value, local);
	if (strcasecmp(name, "session_authorization") == 0) {
		session_settings_set(&s->settings, "role", NULL, local);
		if (!value && !local)
			identity_reset(s);
	}
}

static void reset(struct observed *s, const struct statement *st)
{
	session_settings_reset(&s->settings, st->name);
	if (strcmp(st->name, "session_authorization") == 0) {
		session_settings_reset(&s->settings, "role");
		identity_reset(s);
	}
}

static void discard_all(struct observed *s)
{
	session_settings_reset_all(&s->settings, true);
	session_settings_temporary(&s->settings, false);
	observed_close_portals(s);
	observed_forget_statements(s);
	s->statements_unknown = s->statements_unproven = false;
	free(s->unsettled);
	s->unsettled = NULL;
	session_settings_commit(&s->settings); /* at once, also in a pipeline */
}

static bool is_not_understood(const struct statement *st)
{
	return st->skip == REASON_UNPARSED || st->skip == REASON_TOO_LONG ||
	       st->skip == REASON_POISON;
}

static void doubt(struct observed *s, const struct statement *st)
{
	s->tainted = true;
	session_settings_doubt(&s->settings);
	if (!st || st->effect == EFFECT_CALLS || st->creates_temporary || is_not_understood(st)) {
		session_settings_temporary(&s->settings, true);
		s->statements_unknown = s->statements_unproven = true; /* it may PREPARE */
	}
	if (st && is_not_understood(st)) /* it may hold a COMMIT: no rollback ends the doubt */
		s->doubt_at_end = true;
}

static bool ends_transaction(const struct statement *st)
{
	return st->effect == EFFECT_COMMIT || st->effect == EFFECT_ROLLBACK;
}

/* SQL EXECUTE does what the prepared statement does; but the transaction that it ends goes on until
 * the next Sync, and takes along what comes in between. */
static void execute(struct observed *s, const struct statement *st)
{
	struct prepared *p = st->name ? observed_statement(s, st->name, strlen(st->name)) : NULL;
	const struct statement *inner = p ? p->statement : NULL;

	if (!inner || inner->effect == EFFECT_EXECUTE) {
		doubt(s, inner);
		return;
	}
	s->doubt_at_end |= ends_transaction(inner);
	statement_ref(inner); /* it may undefine itself */
	observed_apply(s, inner, span_cstr(""), true);
	statement_unref(inner);
}

/* A name that a gap made, of a text that leaves the session as it was; but it may be a SAVEPOINT.
 */
static bool is_proven(const struct observed *s, struct span tag)
{
	return s->applying && s->applying->nameless && !observed_unproven(s) && tag_is_plain(tag);
}

/* A statement whose text is not known (parsed before a gap): its tag says what kind it was. */
static void apply_tag(struct observed *s, struct span tag)
{
	if (span_is(tag, "BEGIN") || span_is(tag, "START TRANSACTION")) {
		s->in_block = true;
		s->snapshot =
			true; /* the isolation level is not known: only the first read is certain */
	} else if (span_is(tag, "COMMIT")) {
		session_settings_commit(&s->settings);
		transaction_over(s, true);
	} else if (span_is(tag, "ROLLBACK")) {
		/* perhaps only to a savepoint: the next ReadyForQuery tells */
		session_settings_doubt(&s->settings);
		session_settings_temporary(&s->settings, true);
		s->tainted = true;
		s->cycle_failed = true;
	} else if (!is_proven(s, tag)) {
		doubt(s, NULL);
	}
}

bool observed_takes_snapshot(const struct statement *st)
{
	switch (st->effect) {
	case EFFECT_BEGIN:
	case EFFECT_COMMIT:
	case EFFECT_ROLLBACK:
	case EFFECT_SAVEPOINT:
	case EFFECT_RELEASE:
	case EFFECT_ROLLBACK_TO:
	case EFFECT_FETCH: return false; /* the DECLARE did */
	default: return !st->no_snapshot;
	}
}

static void apply_savepoint(struct observed *s, const struct statement *st)
{
	size_t depth = session_settings_savepoint_depth(&s->settings, st->name);

	if (st->effect == EFFECT_SAVEPOINT) {
		session_settings_savepoint(&s->settings, st->name);
	} else if (st->effect == EFFECT_RELEASE) {
		session_settings_release_savepoint(&s->settings, st->name);
		observed_release_portals(s, depth);
	} else {
		session_settings_rollback_to(&s->settings, st->name);
		observed_rollback_portals(s, depth);
		s->failed = false;
	}
}

static void apply_cursor(struct observed *s, const struct statement *st)
{
	if (st->effect == EFFECT_DECLARE && st->name)
		observed_declare(s, st);
	else if (st->effect == EFFECT_CLOSE && st->name)
		observed_close_portal(s, st->name, strlen(st->name));
	else if (st->effect == EFFECT_CLOSE)
		observed_close_portals(s);
}

static void apply_success(struct observed *s, const struct statement *st, struct span tag)
{
	observed_apply_temporary(s, st);
	switch (st->effect) {
	case EFFECT_BEGIN: begin_block(s, st); break;
	case EFFECT_COMMIT: end_block(s, st, !span_is(tag, "ROLLBACK")); break;
	case EFFECT_ROLLBACK: end_block(s, st, false); break;
	case EFFECT_SAVEPOINT:
	case EFFECT_RELEASE:
	case EFFECT_ROLLBACK_TO: apply_savepoint(s, st); break;
	case EFFECT_SET: observed_set(s, st->name, st->value, st->local); break;
	case EFFECT_SET_CONFIG:
		if (!observed_set_config(s, st))
			doubt(s, st);
		break;
	case EFFECT_RESET: reset(s, st); break;
	case EFFECT_RESET_ALL: session_settings_reset_all(&s->settings, false); break;
	case EFFECT_DISCARD_ALL: discard_all(s); break;
	case EFFECT_DISCARD_TEMP: session_settings_temporary(&s->settings, false); break;
	case EFFECT_PREPARE: observed_prepare(s, st); break;
	case EFFECT_DEALLOCATE: observed_undefine(s, st->name, strlen(st->name)); break;
	case EFFECT_DEALLOCATE_ALL:
		observed_forget_statements(s);
		s->statements_unknown = s->statements_unproven = false;
		break;
	case EFFECT_EXECUTE: execute(s, st); break;
	case EFFECT_DECLARE:
	case EFFECT_CLOSE: apply_cursor(s, st); break;
	case EFFECT_UNKNOWN_SETTINGS: doubt(s, st); break;
	case EFFECT_CALLS:
		if (!observed_calls_calm(s, st))
			doubt(s, st);
		break;
	case EFFECT_FETCH: observed_mix_portals(s, st->name); break;
	case EFFECT_NONE:
	case EFFECT_TAINT:
	case EFFECT_COPY:
	case EFFECT_DISCARD_OTHER: break;
	}
}

/* The last of several statements in a text is said to fail where it was their commit that did: what
 * it did to prepared statements stays then, and that a custom setting was set. */
static void apply_failure(struct observed *s, const struct statement *st)
{
	bool commits = s->parts_valid && s->parts.count > 1 && s->part + 1 == s->parts.count;

	if (!commits || s->in_block)
		return;
	observed_note_customs(s, st);
	if (st->effect == EFFECT_PREPARE && !observed_statement(s, st->name, strlen(st->name)))
		s->statements_unknown = s->statements_unproven = true;
	if (st->effect == EFFECT_DEALLOCATE && observed_statement(s, st->name, strlen(st->name))) {
		observed_undefine(s, st->name, strlen(st->name));
		s->statements_unknown = s->statements_unproven = true;
	}
	if (st->effect == EFFECT_DEALLOCATE_ALL) {
		observed_forget_statements(s);
		s->statements_unknown = s->statements_unproven = true;
	}
}

/* Only what succeeded changes the session, but what failed may have locked or written before. */
void observed_apply(struct observed *s, const struct statement *st, struct span tag, bool succeeded)
{
	session_settings_begin(&s->settings);
	if (!st) {
		s->tainted = true;
		if (succeeded &&
			(observed_encoding_unsafe(s) ||
				observed_strings_unsafe(s))) /* perhaps not read for that */
			doubt(s, NULL);
		if (succeeded)
			apply_tag(s, tag);
		return;
	}
	if (st->isolation_given && st->effect != EFFECT_BEGIN && st->effect != EFFECT_SET)
		s->snapshot = st->isolation_snapshot;
	if (st->effect == EFFECT_TAINT || st->effect == EFFECT_CALLS ||
		st->effect == EFFECT_UNKNOWN_SETTINGS ||
		(st->effect == EFFECT_COPY && !st->copy_out))
		s->tainted = true;
	s->doubt_at_end |= st->may_commit && !s->in_block && !observed_calls_calm(s, st);
	if (succeeded)
		apply_success(s, st, tag);
	else
		apply_failure(s, st);
	s->took_snapshot |=
		observed_takes_snapshot(st); /* a DECLARE asks whether it is the first */
}

void observed_ready(struct observed *s, uint8_t status)
{
	if (status == 'I') {
		if (s->cycle_failed)
			session_settings_rollback(&s->settings);
		else
			session_settings_commit(&s->settings);
		transaction_over(s, !s->cycle_failed);
		if (s->doubt_at_end) {
			session_settings_doubt(&s->settings);
			session_settings_temporary(&s->settings, true);
		}
		s->doubt_at_end = false;
	} else {
		s->took_snapshot |= s->touched;
	}
	s->failed = status == 'E';
	s->cycle_failed = false;
	observed_cross_check(s, status);
	settings_state_unref(s->settings_at_ready);
	s->settings_at_ready = settings_state_ref(s->settings.current);
}

bool observed_unreadable(struct observed *s, struct span sql)
{
	const struct facts *f = observed_facts(s);
	bool bytes = !f || f->encoding_unsafe, strings = !f || f->strings_unsafe;

	for (size_t i = 0; (bytes || strings) && i < sql.len; i++)
		if ((bytes && sql.data[i] >= 0x80) || (strings && sql.data[i] == '\\'))
			return true;

	return false;
}

bool observed_identity_changed(const struct observed *s)
{
	const char *role = session_settings_get(&s->settings, "role");
	const char *user = observed_reported(s, "session_authorization");

	return (role && strcmp(role, "none") != 0) ||
	       session_settings_get(&s->settings, "session_authorization") != NULL ||
	       (user && strcmp(user, s->who->text[WHO_USER]) != 0);
}

/* SET SESSION AUTHORIZATION took back a role set before; whether it took back one of the startup is
 * not modelled. The server's report counts except where the statements have changed it since. */
const char *observed_role(const struct observed *s)
{
	const struct settings_entry *base = settings_state_find(s->settings.base, "role");
	const char *role = session_settings_get(&s->settings, "role");
	const char *session = session_settings_get(&s->settings, "session_authorization");
	const char *reported = observed_reported(s, "session_authorization");

	if (role && strcmp(role, "none") != 0)
		return session && base && role == base->value ? NULL : role;
	if (session)
		return session;
	if (s->settings_at_ready &&
		settings_state_find(s->settings_at_ready, "session_authorization"))
		reported = NULL; /* of before it was reset */

	return reported ? reported : s->who->text[WHO_USER];
}

enum reason observed_decide(struct observed *s, const struct statement *st)
{
	const struct facts *f = observed_facts(s);

	if (!st)
		return REASON_SESSION_UNKNOWN;
	if (st->skip != REASON_NONE)
		return st->skip;
	if (s->unsettled) {
		observed_settle(s);
		f = observed_facts(s);
	}
	if (s->failed)
		return REASON_FAILED_TRANSACTION;
	if (s->tainted)
		return REASON_TRANSACTION_TAINTED;
	if (!f)
		return REASON_SESSION_UNKNOWN;
	if (s->took_snapshot && (s->in_block ? s->snapshot : f->isolated))
		return REASON_OLD_SNAPSHOT;
	if (observed_names_temporary(s, st))
		return REASON_TEMPORARY_RELATION;
	if (session_settings_unknown(&s->settings) || f->encoding_unsafe || f->strings_unsafe)
		return REASON_SESSION_UNKNOWN;
	if (s->view->identity_reproduced ? !f->names : f->identity_changed)
		return REASON_SESSION_UNKNOWN;

	return REASON_NONE;
}

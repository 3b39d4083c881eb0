/* What statements do to a session: transaction, taint, settings, temporary relations; and whether a
 * read may run in the dark in the state that results. */
#define _GNU_SOURCE /* strcasestr */
#include "proxy/shadow/observed.h"

#include <stdlib.h>
#include <strings.h>
#include <xxhash.h>

/* Reported settings that change what a read returns; the primary's word for them is exact at each
 * ReadyForQuery. */
static const char *const replayed_reported[] = {"client_encoding", "datestyle", "intervalstyle",
	"timezone", "standard_conforming_strings", "search_path"};

enum { REPLAYED_REPORTED = sizeof replayed_reported / sizeof *replayed_reported };

/* Encodings whose trailing bytes may look like ASCII: the parser reads bytes and would mistake
 * them. */
static const char *const unsafe_encodings[] = {
	"SJIS", "SHIFT_JIS_2004", "BIG5", "GBK", "UHC", "GB18030", "JOHAB"};

void observed_report(struct observed *s, struct span name, struct span value)
{
	char *copy;
	size_t i;

	for (i = 0; i < s->nreported; i++)
		if (strlen(s->reported[i].name) == name.len &&
			strncasecmp(s->reported[i].name, (const char *)name.data, name.len) == 0)
			break;
	if (i == SESSION_REPORTED_MAX)
		return;
	copy = strndup((const char *)value.data, value.len);
	if (i == s->nreported && copy) {
		s->reported[i].name = strndup((const char *)name.data, name.len);
		s->reported[i].value = NULL;
		if (s->reported[i].name)
			s->nreported++;
	}
	if (!copy || i == s->nreported) {
		free(copy);
		session_settings_doubt(&s->settings);
		return;
	}
	free(s->reported[i].value);
	s->reported[i].value = copy;
}

const char *observed_reported(const struct observed *s, const char *name)
{
	for (size_t i = 0; i < s->nreported; i++)
		if (strcasecmp(s->reported[i].name, name) == 0)
			return s->reported[i].value;

	return NULL;
}

static void transaction_over(struct observed *s)
{
	s->in_block = false;
	s->tainted = false;
	s->snapshot = false;
	s->took_snapshot = false;
	s->failed = false;
	observed_close_portals(s);
}

static bool means_snapshot(const char *isolation)
{
	return isolation &&
	       (strcasestr(isolation, "repeatable") || strcasestr(isolation, "serializable"));
}

static void begin_block(struct observed *s, const struct statement *st)
{
	s->in_block = true;
	if (st->isolation_given)
		s->snapshot = st->isolation_snapshot;
	else
		s->snapshot = means_snapshot(
			session_settings_get(&s->settings, "default_transaction_isolation"));
}

static void end_block(struct observed *s, const struct statement *st, bool committed)
{
	if (committed)
		session_settings_commit(&s->settings);
	else
		session_settings_rollback(&s->settings);
	transaction_over(s);
	if (st->chain) {
		session_settings_begin(&s->settings);
		s->in_block = true;
		s->snapshot = true; /* the chained transaction keeps its characteristics: not known
				       here */
		s->took_snapshot = true;
	}
}

static void set(struct observed *s, const struct statement *st)
{
	if (strcmp(st->name, "transaction_isolation") == 0) {
		s->snapshot = !st->value || means_snapshot(st->value);
		return;
	}
	if (st->value)
		session_settings_set(&s->settings, st->name, st->value, st->local);
	else
		session_settings_reset(&s->settings, st->name);
}

static void discard_all(struct observed *s)
{
	session_settings_reset_all(&s->settings);
	session_settings_reset(&s->settings, "role");
	session_settings_reset(&s->settings, "session_authorization");
	observed_close_portals(s);
	observed_forget_statements(s);
	s->statements_unknown = false;
	s->has_temporary = false;
}

static void doubt(struct observed *s, const struct statement *st)
{
	s->tainted = true;
	session_settings_doubt(&s->settings);
	if (!st || st->creates_temporary || st->skip == REASON_UNPARSED ||
		st->skip == REASON_TOO_LONG || st->skip == REASON_POISON)
		s->has_temporary = true;
}

/* SQL EXECUTE does what the prepared statement does. */
static void execute(struct observed *s, const struct statement *st)
{
	struct prepared *p = st->name ? observed_statement(s, st->name, strlen(st->name)) : NULL;
	const struct statement *inner = p ? p->statement : NULL;

	if (!inner || inner->effect == EFFECT_EXECUTE)
		doubt(s, inner);
	else
		observed_apply(s, inner, span_cstr(""), true);
}

static bool tag_begins(struct span tag, const char *word)
{
	return tag.len >= strlen(word) && memcmp(tag.data, word, strlen(word)) == 0;
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
		transaction_over(s);
	} else if (span_is(tag, "ROLLBACK")) {
		s->tainted = true; /* perhaps only to a savepoint: the next ReadyForQuery tells */
		s->cycle_failed = true;
	} else if (tag_begins(tag, "SELECT") || tag_begins(tag, "INSERT") ||
		   tag_begins(tag, "UPDATE") || tag_begins(tag, "DELETE") ||
		   tag_begins(tag, "MERGE")) {
		s->tainted = true;
	} else {
		doubt(s, NULL);
	}
}

/* Only what succeeded changes the session, but what failed may have locked or written before. */
void observed_apply(struct observed *s, const struct statement *st, struct span tag, bool succeeded)
{
	session_settings_begin(&s->settings);
	if (!st) {
		s->tainted = true;
		if (succeeded)
			apply_tag(s, tag);
		return;
	}
	if (st->isolation_given && st->effect != EFFECT_BEGIN && st->effect != EFFECT_SET)
		s->snapshot = st->isolation_snapshot;
	if (st->creates_temporary)
		s->has_temporary = true;
	/* A text that failed to parse here and failed there has changed nothing; a failed CALL may
	 * have committed before. */
	if (st->effect == EFFECT_UNKNOWN_SETTINGS && (succeeded || st->skip != REASON_UNPARSED))
		doubt(s, st);
	if (st->effect == EFFECT_TAINT || st->effect == EFFECT_COPY)
		s->tainted = true;
	if (st->effect == EFFECT_NONE || st->effect == EFFECT_TAINT || st->effect == EFFECT_DECLARE)
		s->took_snapshot = true;
	if (!succeeded)
		return;

	switch (st->effect) {
	case EFFECT_BEGIN: begin_block(s, st); break;
	case EFFECT_COMMIT: end_block(s, st, !span_is(tag, "ROLLBACK")); break;
	case EFFECT_ROLLBACK: end_block(s, st, false); break;
	case EFFECT_SAVEPOINT: session_settings_savepoint(&s->settings, st->name); break;
	case EFFECT_RELEASE: session_settings_release_savepoint(&s->settings, st->name); break;
	case EFFECT_ROLLBACK_TO:
		session_settings_rollback_to(&s->settings, st->name);
		observed_close_portals(s);
		s->failed = false;
		break;
	case EFFECT_SET: set(s, st); break;
	case EFFECT_RESET: session_settings_reset(&s->settings, st->name); break;
	case EFFECT_RESET_ALL: session_settings_reset_all(&s->settings); break;
	case EFFECT_DISCARD_ALL: discard_all(s); break;
	case EFFECT_DISCARD_TEMP: s->has_temporary = false; break;
	case EFFECT_PREPARE:
		observed_define(
			s, span_cstr(st->name), span_cstr(st->body ? st->body : ""), 0, NULL, true);
		break;
	case EFFECT_DEALLOCATE: observed_undefine(s, st->name, strlen(st->name)); break;
	case EFFECT_DEALLOCATE_ALL:
		observed_forget_statements(s);
		s->statements_unknown = false;
		break;
	case EFFECT_EXECUTE: execute(s, st); break;
	case EFFECT_DECLARE:
		if (st->name)
			observed_declare(s, st->name);
		break;
	case EFFECT_CLOSE:
		if (st->name)
			observed_close_portal(s, st->name, strlen(st->name));
		else
			observed_close_portals(s);
		break;
	case EFFECT_NONE:
	case EFFECT_TAINT:
	case EFFECT_COPY:
	case EFFECT_FETCH:
	case EFFECT_DISCARD_OTHER:
	case EFFECT_UNKNOWN_SETTINGS: break;
	}
}

void observed_ready(struct observed *s, uint8_t status)
{
	if (status == 'I') {
		if (s->cycle_failed)
			session_settings_rollback(&s->settings);
		else
			session_settings_commit(&s->settings);
		transaction_over(s);
	}
	s->failed = status == 'E';
	s->cycle_failed = false;
	settings_state_unref(s->settings_at_ready);
	s->settings_at_ready = settings_state_ref(s->settings.current);
}

static bool encoding_unsafe(const struct observed *s)
{
	const char *encoding = observed_reported(s, "client_encoding");

	for (size_t i = 0; encoding && i < sizeof unsafe_encodings / sizeof *unsafe_encodings; i++)
		if (strcasecmp(encoding, unsafe_encodings[i]) == 0)
			return true;

	return false;
}

static bool identity_changed(const struct observed *s)
{
	const char *role = session_settings_get(&s->settings, "role");

	return (role && strcmp(role, "none") != 0) ||
	       session_settings_get(&s->settings, "session_authorization") != NULL;
}

enum reason observed_decide(struct observed *s, const struct statement *st)
{
	bool isolated = s->in_block ? s->snapshot
				    : means_snapshot(session_settings_get(
					      &s->settings, "default_transaction_isolation"));

	if (!st)
		return REASON_SESSION_UNKNOWN;
	if (st->skip != REASON_NONE)
		return st->skip;
	if (s->failed)
		return REASON_FAILED_TRANSACTION;
	if (s->tainted)
		return REASON_TRANSACTION_TAINTED;
	if (isolated && s->took_snapshot)
		return REASON_OLD_SNAPSHOT;
	if (s->has_temporary && st->reads_relations)
		return REASON_TEMPORARY_RELATION;
	if (session_settings_unknown(&s->settings) || identity_changed(s) || encoding_unsafe(s))
		return REASON_SESSION_UNKNOWN;

	return REASON_NONE;
}

static bool is_replayed_reported(const char *name)
{
	for (size_t i = 0; i < REPLAYED_REPORTED; i++)
		if (strcasecmp(replayed_reported[i], name) == 0)
			return true;

	return false;
}

/* The value of a reported setting now: the primary's word, unless a statement since the last
 * ReadyForQuery changed it. */
static bool reported_now(const struct observed *s, const char *name, const char **value)
{
	const char *now = settings_state_get(s->settings.current, name);
	const char *then =
		s->settings_at_ready ? settings_state_get(s->settings_at_ready, name) : NULL;

	*value = observed_reported(s, name);
	if (!*value) {
		*value = now ? now : settings_state_get(s->settings.base, name);
		return true;
	}
	if (s->settings.current == s->settings_at_ready || now == then ||
		(now && then && strcmp(now, then) == 0))
		return true;
	*value = now;

	return now != NULL; /* reset since then: the value is not known before the next report */
}

static bool list_add(struct dark_read *read, const char *name, const char *value)
{
	struct setting *setting = &read->settings[read->nsettings];

	setting->name = strdup(name);
	setting->value = strdup(value);
	read->nsettings++;

	return setting->name && setting->value;
}

/* Entries of a state in force: a local one hides the session's. */
static bool list_state(
	struct observed *s, const struct settings_state *state, bool base, struct dark_read *read)
{
	for (size_t i = 0; i < state->count; i++) {
		const struct settings_entry *e = &state->entries[i];

		if (is_replayed_reported(e->name) || settings_state_get(state, e->name) != e->value)
			continue;
		if (base && settings_state_get(s->settings.current, e->name))
			continue;
		if (!list_add(read, e->name, e->value))
			return false;
	}

	return true;
}

static void hash_settings(struct dark_read *read)
{
	XXH64_hash_t h = XXH3_64bits(read->database, strlen(read->database));

	for (size_t i = 0; i < read->nsettings; i++) {
		h = XXH3_64bits_withSeed(read->settings[i].name, strlen(read->settings[i].name), h);
		h = XXH3_64bits_withSeed(
			read->settings[i].value, strlen(read->settings[i].value), h);
	}
	read->settings_hash = h;
}

bool observed_settings(struct observed *s, struct dark_read *read)
{
	size_t most = REPLAYED_REPORTED + s->settings.base->count + s->settings.current->count;

	read->settings = calloc(most, sizeof *read->settings);
	if (!read->settings)
		return false;
	for (size_t i = 0; i < REPLAYED_REPORTED; i++) {
		const char *value;

		if (!reported_now(s, replayed_reported[i], &value))
			return false;
		if (value && !list_add(read, replayed_reported[i], value))
			return false;
	}
	if (!list_state(s, s->settings.base, true, read) ||
		!list_state(s, s->settings.current, false, read))
		return false;
	hash_settings(read);

	return true;
}

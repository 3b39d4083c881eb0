#include "proxy/shadow/session_settings.h"

#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <xxhash.h>

struct savepoint {
	char *name;
	struct settings_state *state;
	struct savepoint *outer;
};

/* Bounds of one session's model (L4); past them the settings are unknown. */
enum {
	ENTRIES_MAX = 1024,
	SAVEPOINTS_MAX = 1024,
	VALUE_MAX_BYTES = 64 * 1024,
	TEMPORARIES_MAX = 256
};

enum { POOL_BUCKETS = 1024 };

struct settings_pool {
	size_t count, limit;
	struct settings_state *bucket[POOL_BUCKETS];
};

struct settings_state *settings_state_ref(struct settings_state *state)
{
	state->references++;
	return state;
}

static void pool_leave(struct settings_state *state)
{
	struct settings_state **at = &state->pool->bucket[state->hash % POOL_BUCKETS];

	while (*at != state)
		at = &(*at)->next;
	*at = state->next;
	state->pool->count--;
	state->pool = NULL;
}

void settings_state_unref(struct settings_state *state)
{
	if (!state || --state->references > 0)
		return;
	if (state->pool)
		pool_leave(state);
	for (size_t i = 0; i < state->count; i++) {
		free(state->entries[i].name);
		free(state->entries[i].value);
	}
	for (size_t i = 0; i < state->ntemporaries; i++)
		free(state->temporaries[i].name);
	free(state->temporaries);
	free(state->entries);
	free(state);
}

static struct settings_state *state_new(size_t count)
{
	struct settings_state *state = calloc(1, sizeof *state);

	if (!state)
		return NULL;
	state->references = 1;
	state->entries = calloc(count ? count : 1, sizeof *state->entries);
	if (!state->entries) {
		free(state);
		return NULL;
	}

	return state;
}

static char *lower(const char *name)
{
	char *copy = strdup(name);

	for (char *c = copy; c && *c; c++)
		*c = (char)tolower((unsigned char)*c);

	return copy;
}

static bool state_add(struct settings_state *state, const char *name, const char *value, bool local)
{
	struct settings_entry *e = &state->entries[state->count];

	e->name = lower(name);
	e->value = value ? strdup(value) : NULL;
	e->local = local;
	if (!e->name || (value && !e->value)) {
		free(e->name);
		free(e->value);
		return false;
	}
	state->count++;

	return true;
}

static bool is_identity(const char *name)
{
	return strcmp(name, "role") == 0 || strcmp(name, "session_authorization") == 0;
}

static bool add_temporary(struct settings_state *state, const char *name, bool until_commit)
{
	struct temporary *grown =
		realloc(state->temporaries, (state->ntemporaries + 1) * sizeof *state->temporaries);
	char *copy = grown ? strdup(name) : NULL;

	if (grown)
		state->temporaries = grown;
	if (!copy)
		return false;
	grown[state->ntemporaries++] =
		(struct temporary){.name = copy, .until_commit = until_commit};

	return true;
}

static bool copy_temporaries(
	struct settings_state *state, const struct settings_state *old, bool committed)
{
	state->temporary = old->temporary;
	for (size_t i = 0; i < old->ntemporaries; i++) {
		const struct temporary *t = &old->temporaries[i];

		if (!(committed && t->until_commit) &&
			!add_temporary(state, t->name, t->until_commit))
			return false;
	}

	return true;
}

static bool copy_rest(struct settings_state *state, const struct settings_state *old)
{
	state->unknown = old->unknown;
	state->identity_unknown = old->identity_unknown;
	state->gap = old->gap;

	return copy_temporaries(state, old, false);
}

/* A changed copy: without the entries of `name` that a SET (or with local: SET LOCAL) replaces;
 * with value, or local alone, plus the new entry. */
static struct settings_state *state_edit(
	const struct settings_state *old, const char *name, const char *value, bool local)
{
	struct settings_state *state = state_new(old->count + 1);

	if (!state)
		return NULL;
	if (!copy_rest(state, old))
		goto failed;
	for (size_t i = 0; i < old->count; i++) {
		const struct settings_entry *e = &old->entries[i];
		bool drop = strcasecmp(e->name, name) == 0 && (!local || e->local);

		if (!drop && !state_add(state, e->name, e->value, e->local))
			goto failed;
	}
	if ((value || local) && !state_add(state, name, value, local))
		goto failed;

	return state;
failed:
	settings_state_unref(state);
	return NULL;
}

static void replace(struct settings_state **slot, struct settings_state *state)
{
	settings_state_unref(*slot);
	*slot = state;
}

bool session_settings_init(struct session_settings *s)
{
	*s = (struct session_settings){.base = state_new(0), .current = state_new(0)};
	if (!s->base || !s->current) {
		session_settings_release(s);
		return false;
	}

	return true;
}

static void drop_savepoints(struct session_settings *s)
{
	while (s->savepoints) {
		struct savepoint *p = s->savepoints;

		s->savepoints = p->outer;
		settings_state_unref(p->state);
		free(p->name);
		free(p);
	}
	s->depth = 0;
}

void session_settings_release(struct session_settings *s)
{
	drop_savepoints(s);
	settings_state_unref(s->base);
	settings_state_unref(s->current);
	settings_state_unref(s->before);
	for (size_t i = 0; i < s->ncustoms; i++)
		free(s->customs[i]);
	free(s->customs);
	*s = (struct session_settings){0};
}

/* A state of its own to change flags in: nobody else holds it, and nobody finds it. NULL: out of
 * memory. */
static struct settings_state *own(struct settings_state **slot)
{
	struct settings_state *state;

	if ((*slot)->references == 1 && !(*slot)->pool)
		return *slot;
	state = state_edit(*slot, "", NULL, false);
	if (state)
		replace(slot, state);

	return state;
}

static struct settings_state *own_state(struct session_settings *s)
{
	return own(&s->current);
}

void session_settings_doubt(struct session_settings *s)
{
	struct settings_state *state;

	if (s->current->unknown && s->current->identity_unknown)
		return;
	state = own_state(s);
	if (!state) {
		s->lost = true;
		return;
	}
	state->unknown = true;
	state->identity_unknown = true;
}

void session_settings_doubt_before(struct session_settings *s)
{
	struct settings_state *state;

	if (!s->before || s->before->unknown)
		return;
	state = own(&s->before);
	if (state)
		state->unknown = true;
	else
		s->lost = true;
}

void session_settings_doubt_gap(struct session_settings *s)
{
	struct settings_state *state = own_state(s);

	if (state)
		state->gap = true;
	else
		s->lost = true;
}

static void settle(struct session_settings *s, struct settings_state **slot, bool unchanged)
{
	struct settings_state *state;

	if (!*slot || !(*slot)->gap)
		return;
	state = own(slot);
	if (!state) {
		s->lost |= !unchanged;
		return;
	}
	state->gap = false;
	if (!unchanged)
		state->unknown = state->identity_unknown = state->temporary = true;
}

void session_settings_settle_gap(struct session_settings *s, bool unchanged)
{
	settle(s, &s->current, unchanged);
	settle(s, &s->before, unchanged);
	for (struct savepoint *p = s->savepoints; p; p = p->outer)
		settle(s, &p->state, unchanged);
}

void session_settings_identity_known(struct session_settings *s)
{
	struct settings_state *state = s->current->identity_unknown ? own_state(s) : NULL;

	if (state)
		state->identity_unknown = false;
}

void session_settings_doubt_base(struct session_settings *s)
{
	struct settings_state *state = s->base->unknown ? s->base : own(&s->base);

	if (state)
		state->unknown = true;
	else
		s->lost = true;
}

void session_settings_temporary(struct session_settings *s, bool temporary)
{
	struct settings_state *state;

	if (s->current->temporary == temporary && (temporary || s->current->ntemporaries == 0))
		return;
	state = own_state(s);
	if (state)
		state->temporary = temporary;
	else if (temporary)
		s->lost = true;
	for (; state && !temporary && state->ntemporaries > 0; state->ntemporaries--)
		free(state->temporaries[state->ntemporaries - 1].name);
}

static struct temporary *find_temporary(const struct settings_state *state, const char *name)
{
	for (size_t i = 0; i < state->ntemporaries; i++)
		if (strcmp(state->temporaries[i].name, name) == 0)
			return &state->temporaries[i];

	return NULL;
}

bool session_settings_has_temporary(const struct session_settings *s, const char *name)
{
	return find_temporary(s->current, name) != NULL;
}

void session_settings_temporary_add(struct session_settings *s, const char *name, bool until_commit)
{
	struct settings_state *state = own_state(s);
	struct temporary *t = state ? find_temporary(state, name) : NULL;

	if (t)
		t->until_commit &= until_commit;
	else if (!state || state->ntemporaries == TEMPORARIES_MAX ||
		 !add_temporary(state, name, until_commit))
		session_settings_temporary(s, true);
}

void session_settings_temporary_drop(struct session_settings *s, const char *name)
{
	struct settings_state *state;
	struct temporary *t;

	if (!find_temporary(s->current, name))
		return;
	state = own_state(s);
	t = state ? find_temporary(state, name) : NULL;
	if (!t)
		return; /* no memory: it stays */
	free(t->name);
	*t = state->temporaries[--state->ntemporaries];
}

/* Of what the server names itself (indexes, serial columns' sequences) only the beginning is
 * certain: long names are cut. */
static bool is_named_after(const char *name, const char *table)
{
	static const char *const ends[] = {"_seq", "_key", "_pkey", "_idx", "_excl"};
	size_t len = strlen(name), of_table = strlen(table);

	while (len > 0 && name[len - 1] >= '0' && name[len - 1] <= '9')
		len--;
	if (of_table >= 24 ? strncmp(name, table, 24) != 0
			   : strncmp(name, table, of_table) != 0 || name[of_table] != '_')
		return false;
	for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
		if (len > strlen(ends[i]) &&
			strncmp(name + len - strlen(ends[i]), ends[i], strlen(ends[i])) == 0)
			return true;

	return false;
}

bool session_settings_shadowed(const struct session_settings *s, const char *name)
{
	const char *element = name + strspn(name, "_"); /* _t is the type of arrays of t */

	for (size_t i = 0; i < s->current->ntemporaries; i++) {
		const char *temporary = s->current->temporaries[i].name;

		if (strcmp(temporary, name) == 0 || is_named_after(name, temporary) ||
			strcmp(temporary + strspn(temporary, "_"), element) == 0)
			return true;
	}

	return false;
}

static bool knows_custom(const struct session_settings *s, const char *name)
{
	for (size_t i = 0; i < s->ncustoms; i++)
		if (strcasecmp(s->customs[i], name) == 0)
			return true;

	return false;
}

/* S4. False: no room. */
static bool keep_custom(struct session_settings *s, const char *name)
{
	char **customs;

	if (!strchr(name, '.') || knows_custom(s, name))
		return true;
	if (s->ncustoms == ENTRIES_MAX)
		return false;
	customs = realloc(s->customs, (s->ncustoms + 1) * sizeof *customs);
	if (!customs)
		return false;
	s->customs = customs;
	customs[s->ncustoms] = lower(name);

	return customs[s->ncustoms] && ++s->ncustoms;
}

void session_settings_custom(struct session_settings *s, const char *name)
{
	(void)!keep_custom(s, name);
}

static void edit(struct session_settings *s, const char *name, const char *value, bool local)
{
	struct settings_state *state = NULL;

	if (keep_custom(s, name) && s->current->count < ENTRIES_MAX &&
		(!value || strlen(value) <= VALUE_MAX_BYTES))
		state = state_edit(s->current, name, value, local);
	if (state)
		replace(&s->current, state);
	else
		session_settings_doubt(s);
}

void session_settings_base(struct session_settings *s, const char *name, struct span value)
{
	char *text = strndup((const char *)value.data, value.len);
	struct settings_state *state = NULL;

	if (text && s->base->count < ENTRIES_MAX)
		state = state_edit(s->base, name, text, false);
	if (state)
		replace(&s->base, state);
	else
		session_settings_doubt_base(s);
	free(text);
}

void session_settings_begin(struct session_settings *s)
{
	if (!s->before)
		s->before = settings_state_ref(s->current);
}

/* What SET LOCAL set ends with the transaction, and temporary relations that are to be dropped. */
static void drop_local(struct session_settings *s)
{
	bool any = false;
	struct settings_state *state;

	for (size_t i = 0; i < s->current->count; i++)
		any |= s->current->entries[i].local;
	for (size_t i = 0; i < s->current->ntemporaries; i++)
		any |= s->current->temporaries[i].until_commit;
	if (!any)
		return;
	state = state_new(s->current->count);
	for (size_t i = 0; state && i < s->current->count; i++) {
		const struct settings_entry *e = &s->current->entries[i];

		if (!e->local && !state_add(state, e->name, e->value, false)) {
			settings_state_unref(state);
			state = NULL;
		}
	}
	if (state && !copy_temporaries(state, s->current, true)) {
		settings_state_unref(state);
		state = NULL;
	}
	if (!state) {
		session_settings_doubt(s);
		return;
	}
	state->unknown = s->current->unknown;
	state->identity_unknown = s->current->identity_unknown;
	state->gap = s->current->gap;
	replace(&s->current, state);
}

void session_settings_commit(struct session_settings *s)
{
	drop_savepoints(s);
	drop_local(s);
	replace(&s->before, NULL);
}

void session_settings_rollback(struct session_settings *s)
{
	drop_savepoints(s);
	if (s->before) {
		settings_state_unref(s->current);
		s->current = s->before;
		s->before = NULL;
	}
}

void session_settings_savepoint(struct session_settings *s, const char *name)
{
	struct savepoint *p = s->depth < SAVEPOINTS_MAX ? calloc(1, sizeof *p) : NULL;

	if (!p || !(p->name = strdup(name))) {
		free(p);
		session_settings_doubt(s);
		return;
	}
	p->state = settings_state_ref(s->current);
	p->outer = s->savepoints;
	s->savepoints = p;
	s->depth++;
}

size_t session_settings_savepoint_depth(const struct session_settings *s, const char *name)
{
	size_t depth = s->depth;

	for (const struct savepoint *p = s->savepoints; p; p = p->outer, depth--)
		if (strcmp(p->name, name) == 0)
			return depth;

	return 0;
}

static bool has_savepoint(const struct session_settings *s, const char *name)
{
	return session_settings_savepoint_depth(s, name) > 0;
}

static void pop_savepoint(struct session_settings *s)
{
	struct savepoint *p = s->savepoints;

	s->savepoints = p->outer;
	s->depth--;
	settings_state_unref(p->state);
	free(p->name);
	free(p);
}

void session_settings_release_savepoint(struct session_settings *s, const char *name)
{
	bool last;

	if (!has_savepoint(s, name)) {
		session_settings_doubt(s);
		return;
	}
	do {
		last = strcmp(s->savepoints->name, name) == 0;
		pop_savepoint(s);
	} while (!last);
}

void session_settings_rollback_to(struct session_settings *s, const char *name)
{
	if (!has_savepoint(s, name)) {
		session_settings_doubt(s);
		return;
	}
	while (strcmp(s->savepoints->name, name) != 0)
		pop_savepoint(s);
	replace(&s->current, settings_state_ref(s->savepoints->state));
}

void session_settings_set(
	struct session_settings *s, const char *name, const char *value, bool local)
{
	edit(s, name, value, local);
}

void session_settings_reset(struct session_settings *s, const char *name)
{
	edit(s, name, NULL, false);
}

void session_settings_reset_all(struct session_settings *s, bool identity)
{
	struct settings_state *state = state_new(s->current->count);

	if (!state) {
		session_settings_doubt(s);
		return;
	}
	for (size_t i = 0; i < s->current->count && !identity; i++) {
		const struct settings_entry *e = &s->current->entries[i];

		if (is_identity(e->name) && !state_add(state, e->name, e->value, e->local))
			state->unknown = true;
	}
	if (!copy_temporaries(state, s->current, false))
		state->temporary = true;
	state->temporary |= s->current->gap;
	state->identity_unknown = !identity && (s->current->identity_unknown || s->current->gap);
	replace(&s->current, state);
}

const struct settings_entry *settings_state_find(
	const struct settings_state *state, const char *name)
{
	const struct settings_entry *found = NULL;

	for (size_t i = 0; i < state->count; i++)
		if (strcasecmp(state->entries[i].name, name) == 0 &&
			(!found || state->entries[i].local))
			found = &state->entries[i];

	return found;
}

const char *session_settings_get(const struct session_settings *s, const char *name)
{
	const struct settings_entry *e = settings_state_find(s->current, name);

	if (!e || !e->value)
		e = settings_state_find(s->base, name);
	if (e)
		return e->value;

	return knows_custom(s, name) ? "" : NULL;
}

bool session_settings_unknown_but_for_gap(const struct session_settings *s)
{
	return s->lost || s->current->unknown || s->current->identity_unknown || s->base->unknown;
}

bool session_settings_unknown(const struct session_settings *s)
{
	return s->current->gap || session_settings_unknown_but_for_gap(s);
}

/* --- states that sessions have alike ---------------------------------------------------------- */

struct settings_pool *settings_pool_new(size_t limit)
{
	struct settings_pool *pool = calloc(1, sizeof *pool);

	if (pool)
		pool->limit = limit;

	return pool;
}

void settings_pool_free(struct settings_pool *pool)
{
	if (!pool)
		return;
	for (size_t i = 0; i < POOL_BUCKETS; i++)
		for (struct settings_state *state = pool->bucket[i]; state; state = state->next)
			state->pool = NULL;
	free(pool);
}

size_t settings_pool_count(const struct settings_pool *pool)
{
	return pool->count;
}

static uint64_t hash_text(const char *text, uint64_t hash)
{
	return text ? XXH3_64bits_withSeed(text, strlen(text), hash) : hash + 1;
}

static uint64_t hash_state(const struct settings_state *state)
{
	uint64_t hash = state->count;

	for (size_t i = 0; i < state->count; i++) {
		hash = hash_text(state->entries[i].name, hash);
		hash = hash_text(state->entries[i].value, hash);
	}

	return hash;
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool same_state(const struct settings_state *a, const struct settings_state *b)
{
	if (a->count != b->count || a->unknown != b->unknown || a->gap != b->gap ||
		a->identity_unknown != b->identity_unknown || a->temporary != b->temporary)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (!same_text(a->entries[i].name, b->entries[i].name) ||
			!same_text(a->entries[i].value, b->entries[i].value) ||
			a->entries[i].local != b->entries[i].local)
			return false;

	return true;
}

/* What names temporary relations is a session's own. */
static void share(struct settings_state **slot, struct settings_pool *pool)
{
	struct settings_state *state = *slot, *other;

	if (state->pool || state->ntemporaries > 0)
		return;
	state->hash = hash_state(state);
	other = pool->bucket[state->hash % POOL_BUCKETS];
	while (other && (other->hash != state->hash || !same_state(other, state)))
		other = other->next;
	if (other) {
		replace(slot, settings_state_ref(other));
	} else if (pool->count < pool->limit) {
		state->pool = pool;
		state->next = pool->bucket[state->hash % POOL_BUCKETS];
		pool->bucket[state->hash % POOL_BUCKETS] = state;
		pool->count++;
	}
}

void session_settings_share(struct session_settings *s, struct settings_pool *pool)
{
	if (s->before)
		return;
	share(&s->base, pool);
	share(&s->current, pool);
}

/* Would the transaction that began with `before` leave it as it was, ended in `state`? A local
 * setting ends with it. */
static bool leaves_it(const struct settings_state *state, const struct settings_state *before)
{
	size_t kept = 0;

	if (state == before)
		return true;
	if (state->ntemporaries > 0 || before->ntemporaries > 0 ||
		state->temporary != before->temporary || state->gap != before->gap ||
		state->unknown != before->unknown ||
		state->identity_unknown != before->identity_unknown)
		return false;
	for (size_t i = 0; i < state->count; i++) {
		const struct settings_entry *e = &state->entries[i], *was;

		if (e->local)
			continue;
		kept++;
		was = settings_state_find(before, e->name);
		if (!was || !same_text(was->value, e->value))
			return false;
	}

	return kept == before->count;
}

bool session_settings_end_somehow(struct session_settings *s)
{
	bool matters = false;

	if (s->before) {
		matters = !leaves_it(s->current, s->before);
		for (struct savepoint *p = s->savepoints; p; p = p->outer)
			matters |= !leaves_it(p->state, s->before);
	}
	session_settings_commit(s);

	return matters;
}

/* What a session has set, through transactions and savepoints, as PostgreSQL's guc.c keeps it: SET
 * lasts from its transaction's commit, SET LOCAL to its end, ROLLBACK TO restores what held at the
 * savepoint, RESET goes back to the startup packet's value. States are immutable and shared (copy
 * on write), so that opening a transaction or a savepoint costs a reference.
 *
 * Worker thread only. Out of memory makes the state `unknown`, never wrong.
 *
 * S1 after a rollback the state is the very one from before; S2 what is unknown and whether there
 * are temporary relations (and which) is part of the state: a rolled back DO leaves no doubt
 * behind; S3 names are kept in lower case, values as set_config would take them; S4 a custom
 * setting (with a dot in its name) that was ever set is '' where nothing sets it, through rollbacks
 * and RESET, never absent again. (One that only a rolled back DO or CALL has set, or a text that
 * nobody saw, is taken for absent.)
 */
#ifndef PGUMBRA_SHADOW_SESSION_SETTINGS_H
#define PGUMBRA_SHADOW_SESSION_SETTINGS_H

#include "protocol/span.h"

#include <strings.h>

struct settings_entry {
	char *name;
	char *value; /* NULL (only if local): the value that RESET gives */
	bool local;  /* SET LOCAL: shadows the session's entry until the transaction ends */
};

struct settings_state {
	unsigned references;
	struct settings_pool *pool; /* borrowed: the one that finds it; NULL: none */
	struct settings_state *next;
	uint64_t hash;
	bool unknown;	       /* something not modelled may have changed settings */
	bool identity_unknown; /* ... role or session authorization, which RESET ALL leaves alone */
	bool gap; /* ... or made a temporary relation, in a gap: until it turns out that nothing did
		   */
	bool temporary; /* there may be temporary relations that are not named below */
	struct temporary {
		char *name;
		bool until_commit; /* ON COMMIT DROP */
	} * temporaries;
	size_t ntemporaries;
	size_t count;
	struct settings_entry *entries;
};

struct session_settings {
	struct settings_state
		*base; /* startup packet and what lies below it: RESET goes back to these */
	struct settings_state *current; /* on top of base */
	struct settings_state *before;	/* when the open transaction began; NULL outside */
	struct savepoint *savepoints;	/* innermost first */
	size_t depth;
	char **customs; /* S4 */
	size_t ncustoms;
	bool lost; /* memory was short where a doubt had to be noted: unknown for good */
};

/* Finds the states that sessions hold, so that equal ones exist once: most sessions of an
 * application start alike. Never finds more than its limit (L4); states outlive it. */
struct settings_pool; /* opaque */
struct settings_pool *settings_pool_new(size_t limit);
void settings_pool_free(struct settings_pool *pool);
size_t settings_pool_count(const struct settings_pool *pool);
/* The open transaction ends, nobody knows how. True: that makes a difference, and what is in force
 * now is what a commit would have left. */
bool session_settings_end_somehow(struct session_settings *s);
/* Outside a transaction: what is in force is held together with all sessions that have the same. */
void session_settings_share(struct session_settings *s, struct settings_pool *pool);

bool session_settings_init(struct session_settings *s);
void session_settings_release(struct session_settings *s);
/* A startup parameter, or a per-role or per-database setting of the primary (those first). */
void session_settings_base(struct session_settings *s, const char *name, struct span value);

void session_settings_begin(
	struct session_settings *s); /* a transaction, explicit or implicit; no-op inside one */
void session_settings_commit(struct session_settings *s);
void session_settings_rollback(struct session_settings *s);
void session_settings_savepoint(struct session_settings *s, const char *name);
void session_settings_release_savepoint(struct session_settings *s, const char *name);
void session_settings_rollback_to(struct session_settings *s, const char *name);
/* How many savepoints there are down to the one called `name`, itself included; 0: none. */
size_t session_settings_savepoint_depth(const struct session_settings *s, const char *name);

/* value NULL: TO DEFAULT. */
void session_settings_set(
	struct session_settings *s, const char *name, const char *value, bool local);
void session_settings_reset(struct session_settings *s, const char *name);
/* RESET ALL, which also clears `unknown`; with `identity`, as DISCARD ALL does, role and session
 * authorization and the doubt about them too. */
void session_settings_reset_all(struct session_settings *s, bool identity);
void session_settings_doubt(struct session_settings *s);
/* ... also in what a rollback of the open transaction would go back to. */
void session_settings_doubt_before(struct session_settings *s);
/* It was set, if it is a custom one, to what is not known (S4). */
void session_settings_custom(struct session_settings *s, const char *name);
/* What a gap hid may have changed settings or made temporary relations; and: it has not, or nobody
 * will ever know. */
void session_settings_doubt_gap(struct session_settings *s);
void session_settings_settle_gap(struct session_settings *s, bool unchanged);
void session_settings_identity_known(struct session_settings *s);
void session_settings_doubt_base(struct session_settings *s); /* for the session's life */
/* There may be temporary relations under unknown names; or, with false, there is none at all. */
void session_settings_temporary(struct session_settings *s, bool temporary);
/* One by name. Of one that is there already `until_commit` can't be made true. */
void session_settings_temporary_add(
	struct session_settings *s, const char *name, bool until_commit);
void session_settings_temporary_drop(struct session_settings *s, const char *name);
bool session_settings_has_temporary(const struct session_settings *s, const char *name);
/* Could an unqualified name mean a temporary relation whose name is known, or what came with one:
 * its row type, a sequence or an index of its own? */
bool session_settings_shadowed(const struct session_settings *s, const char *name);

/* The value in force as far as the session set it; NULL when it never did. */
const char *session_settings_get(const struct session_settings *s, const char *name);
/* The entry in force: a local one hides the session's. NULL: none. */
const struct settings_entry *settings_state_find(
	const struct settings_state *state, const char *name);
bool session_settings_unknown(const struct session_settings *s);
bool session_settings_unknown_but_for_gap(const struct session_settings *s);
struct settings_state *settings_state_ref(struct settings_state *state);
void settings_state_unref(struct settings_state *state);

#endif

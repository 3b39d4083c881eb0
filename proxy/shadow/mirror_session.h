/* What is known of the server's side of one connection: the values it reported at the start, the
 * prepared statements that stand there, and whether custom settings have ever been set. Pure.
 *
 * S1: a name stands on the server exactly while its entry is `ready`; S2: never more than
 * SESSION_NAMES entries; S3: the base values don't change in a connection's life: a connection
 * whose report differs from them after a rollback is closed by its owner.
 */
#ifndef PGUMBRA_SHADOW_MIRROR_SESSION_H
#define PGUMBRA_SHADOW_MIRROR_SESSION_H

#include "protocol/span.h"
#include "proxy/shadow/dark_read.h"
#include "proxy/shadow/mirror_types.h"

enum {
	SESSION_NAMES = 256,	     /* prepared statements kept on a connection */
	SESSION_SET_STATEMENTS = 64, /* set_config statements for 1 to 63 settings stay prepared */
	SESSION_VALUE_MAX = 1024,    /* bytes of a reported value that are kept */
};

#define REPORTED_PARAMETERS(X)                                            \
	X(CLIENT_ENCODING, "client_encoding")                             \
	X(DATESTYLE, "DateStyle")                                         \
	X(TIMEZONE, "TimeZone")                                           \
	X(INTERVALSTYLE, "IntervalStyle")                                 \
	X(STANDARD_CONFORMING_STRINGS, "standard_conforming_strings")     \
	X(SEARCH_PATH, "search_path")                                     \
	X(DEFAULT_TRANSACTION_READ_ONLY, "default_transaction_read_only") \
	X(IN_HOT_STANDBY, "in_hot_standby")                               \
	X(SERVER_VERSION, "server_version")                               \
	X(SERVER_ENCODING, "server_encoding")                             \
	X(INTEGER_DATETIMES, "integer_datetimes")                         \
	X(IS_SUPERUSER, "is_superuser")                                   \
	X(SESSION_AUTHORIZATION, "session_authorization")

enum reported_parameter {
#define X(NAME, name) REPORTED_##NAME,
	REPORTED_PARAMETERS(X)
#undef X
		REPORTED_COUNT
};
const char *reported_name(enum reported_parameter p);
/* The reported parameter of that name, in any case; -1: none. */
int session_reported(const char *name);

struct session_name {
	uint64_t key[2];
	uint64_t used;
	uint32_t number; /* the statement is called pgu_<number> */
	bool ready;	 /* ParseComplete was seen */
	bool stale;	 /* to be closed and parsed again: its plan no longer fits the tables */
};

struct session {
	char *base[REPORTED_COUNT];   /* owned; NULL: not reported */
	bool changed[REPORTED_COUNT]; /* the last report differs from the base */
	struct session_name *names;   /* owned, SESSION_NAMES of them */
	size_t nnames;
	uint64_t clock;
	uint32_t next_number;
	uint64_t sets;	  /* bit n: pgu_set_<n> is prepared */
	uint64_t custom;  /* custom_names() of the reads so far; 0: none had any */
	bool impersonate; /* reads run as their roles */
	const struct type_translation *types; /* borrowed; NULL: none */
};

bool session_init(struct session *s) __attribute__((warn_unused_result));
void session_release(struct session *s);
/* Takes a base value. False: out of memory. Unknown names and too long values count as unreported.
 */
bool session_base(struct session *s, const char *name, const char *value)
	__attribute__((warn_unused_result));
/* A ParameterStatus later on. */
void session_report(struct session *s, struct span name, struct span value);
/* Is every reported value the base value again? */
bool session_is_at_base(const struct session *s);
/* Does the reported parameter (-1: none) stand at this value before any read? */
bool session_stands_at(const struct session *s, int reported, const char *value);

/* Key of a set of custom settings' names, 0 for none; the same for any order and repetition. */
uint64_t custom_names(const struct dark_read *read);
/* May this connection run the read? Custom settings stay '' instead of NULL once they were set. */
bool session_fits(const struct session *s, uint64_t custom);

/* The entry for the read's text, types and settings; a new one that is not ready if there is none.
 * *evicted gets the number of a statement to close first, 0 for none. */
struct session_name *session_name_for(
	struct session *s, const struct dark_read *read, uint32_t *evicted);

#endif

/* A dark read: the self-contained copy of one execution. It can run on any connection, at any time,
 * on any candidate or the control. Built by the observer, immutable afterwards, reference-counted
 * within the worker thread.
 */
#ifndef PGUMBRA_SHADOW_DARK_READ_H
#define PGUMBRA_SHADOW_DARK_READ_H

#include "compare/result.h"
#include "proxy/shadow/classify.h"
#include "proxy/shadow/setting_list.h"
#include "proxy/shadow/texts.h"

struct dark_read {
	unsigned references;
	char session[37]; /* UUIDv7 of the session */
	/* Owned, or borrowed from `names`; never NULL. */
	char *database, *user, *application_name;
	char *role;			   /* what it ran as on the primary */
	struct texts *names;		   /* owned reference, or NULL */
	bool role_changed;		   /* by SET ROLE or SET SESSION AUTHORIZATION */
	uint64_t wall_us;		   /* when the client sent it, us since 1970 */
	const struct statement *statement; /* owned reference (statement_unref) */
	char *sql;			   /* owned: the one statement, NUL-terminated */
	bool simple;			   /* came as a simple Query */
	bool named; /* came from a named prepared statement: parse it named on the candidate too */
	uint16_t nparam_types;
	uint32_t *param_types; /* as the client gave them: the primary's numbers, 0: inferred */
	uint16_t nvalue_types;
	uint32_t *value_types; /* of all parameters, as the primary described them; none: unknown */
	uint16_t nparam_formats;
	uint16_t *param_formats;
	uint16_t nparams;
	struct span *params; /* the values borrow from `memory` */
	uint16_t nresult_formats;
	uint16_t *result_formats;
	uint32_t row_limit; /* 0: all */
	char *null_as;	    /* owned: a value that the client cannot tell from NULL, or NULL */
	/* What the session has set, in application order; names lower case. Owned, or borrowed from
	 * `list`. */
	size_t nsettings;
	struct setting *settings;
	struct setting_list *list; /* owned reference, or NULL */
	struct result primary;	   /* the primary's own answer (O) */
	uint8_t *memory;	   /* owned: the bytes of the parameters */
	bool twice;
	struct dark_read *of; /* owned reference: a derived read borrows all but its text from it */
	uint64_t settings_hash; /* of settings, database: part of prepared statement names */
};

struct dark_read *dark_read_new(void);
/* The same read with another text: with its settings and parameters, all columns as text. NULL: out
 * of memory. */
struct dark_read *dark_read_derive(struct dark_read *of, const char *sql);
/* The same read, to run twice in one snapshot. NULL: out of memory. */
struct dark_read *dark_read_twice(struct dark_read *of);
struct dark_read *dark_read_ref(struct dark_read *read);
void dark_read_unref(struct dark_read *read);
/* Takes the settings of a list, in place of those of another, which is shared with its holder. */
void dark_read_list(struct dark_read *read, struct setting_list *list);
/* The same with the names of user, database, application and role, in that order. */
void dark_read_names(struct dark_read *read, struct texts *names);
enum { NAMED_USER, NAMED_DATABASE, NAMED_APPLICATION, NAMED_ROLE, NAMED };

#endif

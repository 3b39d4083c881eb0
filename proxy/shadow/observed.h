/* One observed session: private to the observer's files.
 *
 *   STARTING --first ReadyForQuery--> LIVE --desync--> LOST
 *      LIVE --FATAL--> ENDING
 *      LIVE --gap on the tape, RESUME--> LIVE (with what the gap left unknown)
 */
#ifndef PGUMBRA_SHADOW_OBSERVED_H
#define PGUMBRA_SHADOW_OBSERVED_H

#include "protocol/framer.h"
#include "protocol/pairing.h"
#include "proxy/shadow/observer.h"
#include "proxy/shadow/session_settings.h"
#include <uthash.h>

/* Bounds of one session (L4). */
enum {
	SESSION_STATEMENTS_MAX = 20000,
	SESSION_PORTALS_MAX = 2000,
	SESSION_REPORTED_MAX = 64,
	SESSION_REQUESTS_MAX = 1 << 20,
	NAME_MAX_BYTES = 63, /* the server's NAMEDATALEN - 1; longer protocol names are allowed, so
				keys are whole */
};

/* A statement known by name: from Parse, or SQL PREPARE. */
struct prepared {
	unsigned references; /* the table's and the portals' */
	char *name;
	char *sql;
	bool from_sql;	    /* SQL PREPARE */
	bool types_unknown; /* ... which declares types that we don't know by name */
	uint16_t ntypes;
	uint32_t *types;
	uint16_t ndescribed;
	uint32_t *described; /* types of all parameters by the server, NULL until a Describe */
	const struct statement *statement;
	uint8_t *columns; /* RowDescription body of a Describe, NULL until one was seen */
	size_t columns_len;
	bool no_data;
	struct observer *observer; /* borrowed: whose memory `charged` counts against */
	size_t charged;
	UT_hash_handle hh;
};

/* One execution in the making. */
struct execution {
	const struct statement *statement; /* reference; NULL when the text is not known */
	enum reason skip;		   /* not to be read */
	enum reason dropped;	/* rows or memory were lost: DROPPED or SKIPPED(sampled_out) */
	struct dark_read *read; /* NULL when skip */
	uint64_t began_us;
	struct portal *cursor; /* FETCH: whose rows these are; NULL: not to be collected */
	bool ends_cursor;      /* CLOSE, COMMIT, ROLLBACK: `cursor` had more to come */
	uint64_t fetched_us;   /* of a cursor: when its last rows had come */
	bool is_copy;	       /* COPY TO STDOUT, read as its query: its lines become rows */
	struct copy_options copied;
	struct copy_reader copying;
	bool executed;	/* by SQL EXECUTE: what is wrong with its arguments fails otherwise */
	size_t charged; /* bytes counted against the observer's memory */
};

struct portal {
	char *name;
	struct prepared *prepared; /* reference; NULL for an SQL cursor */
	uint8_t *bind;		   /* body of the Bind */
	size_t bind_len;
	uint8_t *columns; /* RowDescription of a Describe of this portal */
	size_t columns_len;
	bool no_data;
	struct execution *execution; /* suspended: fetched in part */
	bool cursor;		     /* declared by SQL */
	struct execution *fetched;   /* ... with its rows so far; it is counted nowhere: the FETCH
					that comes to the end takes it over */
	enum reason refused;	     /* ... why it is not read; REASON_NONE: it is, or was */
	bool binary;		     /* ... BINARY */
	bool hold;		     /* ... WITH HOLD */
	bool held;		     /* ... in a transaction that has committed */
	size_t depth;		     /* savepoints that were open when it was made */
	bool nameless;		     /* of a statement whose name is not known */
	bool finished;
	bool applied; /* suspended once: what the statement does to the session it has done */
	UT_hash_handle hh;
};

struct request {
	uint8_t type, sub;
	bool counted;	 /* a Query, Execute or FunctionCall frame whose fate is not booked yet */
	bool begun;	 /* the first answer to it came */
	bool too_long;	 /* its body was not taken */
	bool unreadable; /* its encoding would mislead the parser */
	uint8_t *body;
	size_t len;
	uint64_t time_us;
};

enum session_state {
	SESSION_STARTING,
	SESSION_LIVE,
	SESSION_LOST,	/* desync: its frames are unobserved from here on */
	SESSION_ENDING, /* the server said FATAL: what the client still sends stays unanswered */
};

/* What a gap hid. */
struct gap {
	uint32_t flags; /* enum tape_gap_flags */
	uint32_t ntexts;
	struct tape_text texts[UNSEEN_TEXTS_MAX];
};

/* Texts of gaps that nothing is known of yet: when each turns out to leave the session as it was,
 * the doubt ends. */
struct unsettled {
	uint64_t learned; /* by the classifier, when they were last looked for */
	uint32_t count;
	struct tape_text texts[UNSEEN_TEXTS_MAX];
};

/* Of settings that are no others since (observed_facts.c). */
struct facts {
	/* References: what they follow from. */
	struct texts *reported;
	struct settings_state *base, *current, *at_ready;
	size_t ncustoms;

	bool encoding_unsafe, strings_unsafe;
	bool identity_changed;
	bool isolated;		   /* outside a block, transactions are */
	struct texts *names;	   /* reference, of dark reads; NULL: the role is not known */
	struct setting_list *list; /* reference, of dark reads; NULL: not known */
};

enum { WHO_USER, WHO_DATABASE, WHO_APPLICATION, WHO };

struct observed {
	struct observer *observer;
	struct tape_session id;
	enum session_state state;
	enum unobserved why; /* SESSION_LOST: what its frames count as */
	char uuid[37];
	bool stirred;			  /* something came since observer_rest() last looked */
	struct texts *who;		  /* reference: user, database, application_name */
	const struct database_view *view; /* borrowed from the sink, for good */
	uint64_t wall_offset_us;	  /* wall clock minus monotonic */

	struct assembler front, back;
	struct pairing *pairing;

	/* Requests as a ring: number n lives at requests[n % capacity] for first <= n < next. */
	struct request *requests;
	uint32_t capacity, first, next;

	struct prepared *statements; /* by name; "" is the unnamed one */
	struct portal *portals;
	bool statements_unknown;     /* a gap: names may exist that we do not know */
	bool statements_unproven;    /* ... and they may stand for anything; see `unsettled` too */
	struct unsettled *unsettled; /* owned; NULL: nothing that time could settle */

	struct session_settings settings;
	struct settings_state
		*settings_at_ready; /* reference: what held at the last ReadyForQuery */
	struct facts *facts;	    /* owned; what follows from these and from what is reported */
	/* Reference: names and values by turns, of at most SESSION_REPORTED_MAX; NULL: none. And of
	 * the n-th, as bits: */
	struct texts *reported;
	uint64_t changed;     /* since the last ReadyForQuery */
	uint64_t from_server; /* neither packet nor role sets it: a reload may change it */
	bool agreed;	      /* the last cross-check said so, and nothing was reported since */

	/* Transaction. */
	bool in_block; /* explicit BEGIN */
	bool tainted;
	bool snapshot; /* REPEATABLE READ or SERIALIZABLE */
	bool took_snapshot;
	bool failed;	   /* ReadyForQuery said E */
	bool cycle_failed; /* an ErrorResponse since the last ReadyForQuery */
	bool touched;	   /* a Parse or Bind since then: it takes the transaction's snapshot too */
	bool doubt_at_end; /* a failed CALL may have committed before: no rollback undoes that */

	/* The simple Query that is being answered. */
	struct text_parts parts;
	size_t part;
	bool parts_valid;
	struct execution *current; /* of the head Query's part, or of the Execute being answered */
	struct portal *current_portal;
	const struct portal *applying; /* whose statement takes effect; NULL: no parameters known */
	bool current_continues;	       /* an Execute on a finished portal: no execution */
};

/* observed.c */
struct observed *observed_new(struct observer *o, struct tape_session id);
/* A session that is only counted. */
struct observed *observed_new_unfollowed(
	struct observer *o, struct tape_session id, enum unobserved why);
void observed_free(struct observed *s); /* ends what is open: skipped(unanswered) */
void observed_front(struct observed *s, const struct message *m, uint64_t time_us);
void observed_back(struct observed *s, const struct message *m, uint64_t time_us);
void observed_rows_missing(struct observed *s, const struct tape_rows *rows);
void observed_lose(struct observed *s);
/* Gives back what a session of which nothing is awaited can do without until it stirs again. */
void observed_rest(struct observed *s);
/* Ends all open executions and uncounted frames. */
void observed_abandon(struct observed *s, enum outcome outcome, enum reason reason);

/* observed_start.c */
bool observed_start(struct observed *s, const struct tape_open *open, struct span startup,
	struct span reported);

/* observed_statements.c */
struct prepared *observed_statement(struct observed *s, const char *name, size_t len);
void observed_define(struct observed *s, struct span name, struct span sql, uint16_t ntypes,
	const uint32_t *types, bool from_sql);
/* SQL PREPARE */
void observed_prepare(struct observed *s, const struct statement *statement);
/* What is known of a text that is one statement (a reference), or NULL. */
const struct statement *observed_classify(struct observed *s, struct span sql);
void observed_undefine(struct observed *s, const char *name, size_t len);
void observed_forget_statements(struct observed *s);
void prepared_unref(struct prepared *p);
const struct statement *observed_decision(struct observed *s, struct prepared *p);
/* NULL: any portal. */
void observed_mix_portals(struct observed *s, const char *name);
struct portal *observed_portal(struct observed *s, const char *name, size_t len);
void observed_bind(struct observed *s, struct span name, struct span statement, struct span body);
void observed_declare(struct observed *s, const struct statement *statement);
void observed_close_portal(struct observed *s, const char *name, size_t len);
void observed_close_portals(struct observed *s);
/* The transaction ends: only cursors WITH HOLD of committed transactions stay. */
void observed_end_portals(struct observed *s, bool committed);
/* Those made behind the savepoint that is number `depth` go; or become the one's before it. */
void observed_rollback_portals(struct observed *s, size_t depth);
void observed_release_portals(struct observed *s, size_t depth);
void portal_free(struct observed *s, struct portal *p);

/* observed_model.c */
void observed_apply(
	struct observed *s, const struct statement *statement, struct span tag, bool succeeded);
void observed_set(struct observed *s, const char *name, const char *value, bool local);
void observed_ready(struct observed *s, uint8_t status);
/* Bytes of this text may look like ASCII and be none. */
bool observed_unreadable(struct observed *s, struct span sql);
/* Ask observed_facts() instead, unless the settings are just changing. */
bool observed_encoding_unsafe(const struct observed *s);
bool observed_strings_unsafe(const struct observed *s);
bool observed_starts_isolated(const struct observed *s);
/* Does it fix what a REPEATABLE READ transaction sees? */
bool observed_takes_snapshot(const struct statement *statement);
enum reason observed_decide(struct observed *s, const struct statement *statement);
/* Has the session set its role or user? */
bool observed_identity_changed(const struct observed *s);
/* The role that statements run as now. NULL: not known. */
const char *observed_role(const struct observed *s);

/* observed_facts.c */
/* Until something changes. NULL: out of memory. */
const struct facts *observed_facts(struct observed *s);
void observed_facts_free(struct facts *f);
/* Settings of a dark read. False: they are not known for certain, or out of memory. */
bool observed_settings(struct observed *s, struct dark_read *read);
/* One of those that are replayed is another than the session's. False: out of memory. */
bool observed_settings_with(struct dark_read *read, const char *name, const char *value);

/* observed_temporary.c */
/* A statement that succeeded: which temporary relations there are now. */
void observed_apply_temporary(struct observed *s, const struct statement *statement);
/* Could it, or code that it runs, mean one of them? */
bool observed_names_temporary(const struct observed *s, const struct statement *statement);
/* EFFECT_CALLS: does the primary's catalogue say that what it runs leaves the session alone? */
bool observed_calls_calm(const struct observed *s, const struct statement *statement);

/* observed_gap.c */
/* A gap on the tape is over: what it may have changed is unknown. */
void observed_resume(struct observed *s, const struct gap *gap, struct span reported);
/* Texts that were not known may be known by now. */
void observed_settle(struct observed *s);
/* Names that are not known may stand for statements that change the session. */
bool observed_unproven(const struct observed *s);

/* observed_config.c */
/* SELECT set_config() takes effect. False: an argument is not known. */
bool observed_set_config(struct observed *s, const struct statement *statement);
/* It was executed, perhaps in vain, or unseen: custom settings that it names are '' at least (S4).
 */
void observed_note_customs(struct observed *s, const struct statement *statement);

/* observed_reported.c */
void observed_report(struct observed *s, struct span name, struct span value);
void observed_take_reported(struct observed *s, struct span reported); /* name\0value\0... */
const char *observed_reported(const struct observed *s, const char *name);
/* The first ReadyForQuery: what is reported now is what RESET goes back to. */
void observed_first_report(struct observed *s);
/* A ReadyForQuery: a value that the statements do not explain makes the settings unknown. */
void observed_cross_check(struct observed *s, uint8_t status);
/* The value of a reported setting that changes what reads return; false: not known. *value is NULL
 * if it is not reported and not set. The n-th name, or NULL. */
const char *observed_replayed(size_t n);
bool observed_reported_now(const struct observed *s, const char *name, const char **value);
/* What SET datestyle makes of the value before it; false: not understood. */
bool datestyle_merge(const char *before, const char *value, char *out, size_t size);

/* execution.c */
struct execution *execution_begin_part(
	struct observed *s, struct request *q, const struct text_part *part);
struct execution *execution_begin_portal(
	struct observed *s, struct portal *p, const struct request *e);
/* More rows of a suspended portal are fetched. */
void execution_continues(struct observed *s, struct execution *e);
/* A cursor was declared: collects its rows, if it may be read. */
void execution_declare(struct observed *s, struct portal *p, const struct statement *statement);
/* Its rows will not be complete. */
void execution_undeclare(struct observed *s, struct portal *p);
void execution_columns(struct execution *e, struct span row_description);
/* CopyOutResponse and CopyData of a COPY TO STDOUT. */
void execution_copy_begin(struct execution *e, struct span body);
void execution_copy_row(struct observed *s, struct execution *e, struct span line);
void execution_row(struct observed *s, struct execution *e, struct span body);
void execution_complete(struct observed *s, struct execution *e, struct span tag, uint64_t time_us);
void execution_failed(struct observed *s, struct execution *e, struct span body, uint64_t time_us);
void execution_abandon(
	struct observed *s, struct execution *e, enum outcome outcome, enum reason reason);
void execution_mixed(struct execution *e);
/* Ends a suspended portal's execution: it fetched `rows` rows and no more. */
void execution_limited(struct observed *s, struct execution *e);

struct observer {
	struct observer_options options;
	struct books *books;
	struct observer_sink sink;
	struct session_table {
		struct observed **slot;
		size_t count;
	} tables[64]; /* per tape, by slot */
	size_t sessions;
	struct texts_pool *texts; /* owned: what sessions have alike */
	struct settings_pool *settings;
	uint64_t frames_read, frames_open;
	size_t memory; /* charged now */
	uint64_t random;
};

#endif

/* What is this statement, may it run in the dark, and what does it do to the session? Decided on
 * libpg_query's tree, cached by exact text and, where it is proven that no literal decides, by the
 * text without its literals' values (classify_literals.c); bounded. Worker thread only: parsing
 * needs a large stack (64 MB thread for texts up to 64 KB; trees nested deeper than that allows are
 * too_long).
 *
 * Fails closed: what the walker does not know is not a read (L3).
 */
#ifndef PGUMBRA_SHADOW_CLASSIFY_H
#define PGUMBRA_SHADOW_CLASSIFY_H

#include "compare/compare.h"
#include "protocol/copy_out.h"
#include "protocol/span.h"
#include "proxy/shadow/catalogue.h"
#include "proxy/text_key.h"

/* What the session model must know. */
enum statement_effect {
	EFFECT_NONE,  /* reads, SHOW, EXPLAIN without ANALYZE: change nothing and taint nothing */
	EFFECT_TAINT, /* writes, locks, or anything not known to be harmless: taints the transaction
		       */
	EFFECT_BEGIN,
	EFFECT_COMMIT,
	EFFECT_ROLLBACK,
	EFFECT_SAVEPOINT,
	EFFECT_RELEASE,
	EFFECT_ROLLBACK_TO, /* name: the savepoint */
	EFFECT_SET, /* SET [LOCAL] name = value; also SELECT set_config(literal, literal, literal)
		       alone (then it is no read) */
	EFFECT_RESET,
	EFFECT_RESET_ALL,
	EFFECT_DISCARD_ALL,
	EFFECT_DISCARD_TEMP,
	EFFECT_DISCARD_OTHER,
	EFFECT_PREPARE, /* SQL PREPARE name AS body */
	EFFECT_DEALLOCATE,
	EFFECT_DEALLOCATE_ALL,
	EFFECT_EXECUTE, /* SQL EXECUTE name */
	EFFECT_DECLARE,
	EFFECT_FETCH,
	EFFECT_CLOSE,
	EFFECT_COPY,  /* taints unless copy_out */
	EFFECT_CALLS, /* runs code of the database's users (CALL, DO, volatile functions):
			 taints; whether more is in doubt, the mentions tell with the primary's
			 catalogue */
	EFFECT_UNKNOWN_SETTINGS, /* may have changed settings in a way not modelled (set_config with
				    computed arguments, unparsed): taints too */
	EFFECT_SET_CONFIG,	 /* SELECT of nothing but set_config() calls, several or with
				    parameters: items */
};

/* One argument of set_config(): a literal, or the number of a parameter (from 1). */
struct config_argument {
	char *text; /* owned; NULL: SQL NULL, if param is 0 */
	uint16_t param;
};
struct config_item {
	struct config_argument name, value, local;
};

/* A name in a statement whose meaning the catalogue or the session decides. */
enum mention_kind {
	MENTION_RELATION,
	MENTION_TYPE,
	MENTION_OPERATOR,
	MENTION_FUNCTION,  /* a column after a dot that is called like one, too */
	MENTION_PROCEDURE, /* of CALL */
	MENTION_WORD,	   /* in the body of a DO: any of these, or none */
	MENTION_CALLED	   /* ... before a parenthesis: a function, for all that is known */
};
struct mention {
	enum mention_kind kind;
	char *schema; /* owned; NULL: the search_path decides */
	char *name;   /* owned */
};

/* What a statement does to the session's temporary relations. */
enum temporary_change_kind {
	TEMPORARY_CREATED,
	TEMPORARY_CREATED_ON_PATH, /* if search_path names pg_temp; else it is a permanent one */
	TEMPORARY_CREATED_OVER,	   /* if the statement mentions a temporary one: a view over it, an
				      index */
	TEMPORARY_DROPPED,
	TEMPORARY_RENAMED /* if it is one */
};
struct temporary_change {
	enum temporary_change_kind kind;
	bool until_commit; /* created ON COMMIT DROP */
	bool in_pg_temp;   /* the name carries that schema */
	char *name;	   /* owned */
	char *to;	   /* TEMPORARY_RENAMED; owned */
};

/* How the rows of a COPY ... TO STDOUT are written. */
struct copy_options {
	struct copy_format format;
	char encoding[32]; /* "": client_encoding */
	bool may_refuse; /* the server may refuse it where it would not refuse the query: a list of
			    columns, the kind of table */
};

/* Immutable, reference-counted within the worker thread. */
struct statement {
	unsigned references;
	enum statement_effect effect;
	enum reason skip; /* REASON_NONE: may become a dark read */
	char detail[64]; /* names the function or relation behind `skip`, for the log; never a value
			  */
	char *normalized;     /* pg_query's normalised text; "" if unparsed. Owned */
	char fingerprint[17]; /* 16 hex digits; "" if unparsed */
	uint64_t shape_hash;  /* XXH3-64 of the normalised text */
	struct order_rule order;
	uint64_t summed; /* compare_rules.summed */
	bool has_limit_clause;
	bool reads_relations;	/* false: SELECT 1 and the like */
	bool unqualified_names; /* some relation or function name carries no schema: search_path
				   matters */
	bool time_dependent;	/* now() and friends or time literals in WHERE, ON, HAVING */
	bool creates_temporary; /* perhaps, under names that are not known */
	bool defines_unsure;	/* a view whose query may do more than read: so may a read of it, if
				   it is a temporary one, of which no catalogue knows */
	size_t ntemporaries;
	struct temporary_change *temporaries; /* owned */
	size_t nmentions;
	struct mention *mentions; /* owned; each once, system schemas and plain columns apart */
	bool more_mentions;	  /* than fit */
	char *name;  /* savepoint, setting (lower case), prepared statement or cursor; owned, may be
			NULL */
	char *value; /* EFFECT_SET: the value as set_config would take it; NULL: SET name TO DEFAULT
		      */
	bool local;  /* SET LOCAL */
	bool isolation_snapshot; /* BEGIN or SET TRANSACTION with REPEATABLE READ or SERIALIZABLE */
	bool isolation_given;	 /* ... with any isolation level */
	bool chain;		 /* COMMIT/ROLLBACK AND CHAIN */
	bool no_snapshot;   /* SET, SHOW, LISTEN and the like: may stand before the first read of a
			       REPEATABLE READ transaction without fixing what it sees */
	bool may_commit;    /* CALL, DO: outside a block it may commit, and fail thereafter */
	bool hold;	    /* EFFECT_DECLARE: WITH HOLD */
	bool binary;	    /* EFFECT_DECLARE: BINARY */
	bool harmless_only; /* calls only known harmless built-in functions: the candidate
			       connection may be reused */
	bool unknown_function;	   /* calls what the catalogue has not: newer than it, or missing */
	bool copy_out;		   /* EFFECT_COPY: to stdout, of a table or a clean query */
	size_t nitems;		   /* EFFECT_SET_CONFIG */
	struct config_item *items; /* owned */
	int64_t fetch_rows; /* EFFECT_FETCH: rows asked for, forwards; 0: it moves otherwise */
	bool moves;	    /* ... MOVE: returns none */
	bool literal_args;  /* EFFECT_EXECUTE: args are all there is to its parameters */
	uint16_t nargs;
	char **args;	  /* ... as text, NULL: SQL NULL; owned */
	bool types_known; /* EFFECT_PREPARE: types are those it declares */
	uint16_t ntypes;
	uint32_t *types; /* owned */
	char *body;	 /* EFFECT_PREPARE: text of the prepared statement; EFFECT_DECLARE: the
			  * query; EFFECT_COPY: the query that
			  * goes to stdout, or NULL; owned */
	struct copy_options copy;      /* EFFECT_COPY with a body */
	uint32_t catalogue_generation; /* decided with this catalogue */
};

const struct statement *statement_ref(const struct statement *s);
void statement_unref(const struct statement *s);

/* One piece of a text. */
struct text_part {
	size_t offset, len;
	const struct statement *statement;
};
struct text_parts {
	struct text_part *part;
	size_t count;
	bool unparsed;
};

struct classifier; /* opaque */
struct classifier_options {
	size_t cache_entries; /* limit of the cache */
	size_t max_sql_bytes;
	const char *allow_functions; /* comma-separated names that count as harmless */
	bool identity_reproduced;    /* reads run as the client's role: row security and the current
					user's name are the same there */
	bool of_control; /* decides what the control may be asked: a test's switch never overrules
			    it */
	/* Called around each parse with the text's 128-bit hash, then with zeros: a crash of the
	 * parser is remembered. May be NULL. */
	void (*on_parse)(void *self, uint64_t low, uint64_t high);
	bool (*is_poison)(void *self, uint64_t low, uint64_t high);
	void *self;
};
struct classifier *classifier_new(const struct classifier_options *options);
void classifier_free(struct classifier *c);
/* The functions of the candidate; decisions made with an older catalogue are made again. Borrowed.
 */
void classifier_set_catalogue(
	struct classifier *c, const struct catalogue *catalogue, uint32_t generation);
/* Splits a simple Query's text (any number of statements) or a Parse's (one) and decides each. The
 * text need not be NUL-terminated. An unparsed, too long or poisoned text gives one part over the
 * whole text. The caller unrefs via text_parts_release. False: out of memory. */
bool classify_text(struct classifier *c, struct span sql, struct text_parts *out);
/* What was decided of a text of which only the key is known, or (blanked) of one that is alike but
 * for its literals. NULL: nothing that still holds. Borrowed until the next text is classified. */
const struct text_parts *classifier_find(struct classifier *c, struct text_key key, bool blanked);
/* Grows with each text for which that may have changed. */
uint64_t classifier_learned(const struct classifier *c);
/* A text that reads the rows which the statement's free order chooses from, or puts together, in a
 * form that no order can change; NULL: there is none. It may still leak: classify it. Worker
 * thread. limit_rows: the value of the statement's LIMIT, 0: not known. malloc'd. */
char *classify_inner_rows(struct classifier *c, struct span sql, int64_t limit_rows);
void text_parts_release(struct text_parts *parts);

#endif

/* What the parts of the classifier share; nobody else includes it.
 *
 * classify.c        cache, splitting, lifetime of statements
 * classify_tables.c names and what is known of them
 * classify_tree.c   messages of a tree: their children, equality, search
 * classify_walk.c   the walk over a tree: may it run in the dark, and what does it do
 * classify_effect.c top-level statements and their effects
 * classify_copy.c   COPY TO STDOUT: its query and the form of its rows
 * classify_define.c definitions: which temporary relations there are
 * classify_order.c  ORDER BY mapped to output columns
 * classify_inner.c  a statement rewritten so that no order is free
 * classify_total.c  orders that leave nothing free: proofs by unique keys
 * classify_sums.c   float aggregates mapped to output columns
 * classify_names.c  names that the catalogue or the session gives a meaning
 * classify_literals.c  texts that differ in literals alone: when they have one decision
 * classify_shape.c  normalised text, fingerprint
 * classify_depth.c  how deep a packed tree is, before anything recurses into it
 *
 * K1 Every node of a statement's tree is visited, whatever its place: the walk follows protobuf-c's
 *    descriptors, not a list of fields.
 * K2 A node type that the walk does not know makes the statement no read.
 * K3 A graver reason or effect is never replaced by a milder one.
 */
#ifndef PGUMBRA_SHADOW_CLASSIFY_PARTS_H
#define PGUMBRA_SHADOW_CLASSIFY_PARTS_H

#include "proxy/shadow/classify.h"
#include "proxy/text_key.h"

#include <pg_query/pg_query.pb-c.h>

enum { FRAME_ROWS = 0x4 }; /* FRAMEOPTION_ROWS of nodes/parsenodes.h */
enum { WALK_CTES_MAX = 32 };

/* One walk over one statement. All pointers are borrowed for its duration. */
struct walk {
	const struct catalogue *catalogue; /* may be NULL: not loaded yet */
	const struct classifier_options *options;
	struct statement *out;
	const PgQuery__SelectStmt *top;	   /* its own LIMIT is no leak */
	const PgQuery__SelectStmt *select; /* the one that is being walked; NULL outside of any */
	const PgQuery__SelectStmt *exists; /* subquery of EXISTS: LIMIT cannot leak */
	const PgQuery__AConst *label;	   /* a bare constant of a target list */
	const char *cte[WALK_CTES_MAX];	   /* names of CTEs met so far */
	size_t nctes;			   /* may go past what fits */
	bool no_memory;
};

void walk_init(struct walk *w, const struct catalogue *catalogue,
	const struct classifier_options *options, struct statement *out);
/* Visits `message` and all below it. */
void walk_message(struct walk *w, const ProtobufCMessage *message);
/* K3 */
void walk_refuse(struct walk *w, enum reason reason, const char *detail);
void walk_raise(struct walk *w, enum statement_effect effect);
/* The only or repeated messages of a field: how many, *out the first; 0 if it is of another type or
 * absent. */
size_t field_messages(
	const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f, void *const **out);
/* The fields to look at: of a Node, with its 250 alternatives, only the one that is set. */
void field_range(const ProtobufCMessage *m, unsigned *first, unsigned *end);
/* Is it, or anything below, what `is` looks for? */
bool tree_any(const ProtobufCMessage *m, bool (*is)(const void *self, const ProtobufCMessage *m),
	const void *self);
/* Out of memory sets no_memory. */
void walk_mention(struct walk *w, enum mention_kind kind, const char *schema, const char *name);
struct temporary_change *walk_temporary(struct walk *w, enum temporary_change_kind kind,
	const char *schema, const char *name, bool until_commit);
/* A relation comes to be: temporary by its own word, by its schema, or by the search_path. */
void walk_created(
	struct walk *w, const PgQuery__RangeVar *relation, PgQuery__OnCommitAction action);
/* A statement that defines, drops or renames. False: it is none of these. */
bool walk_definition(struct walk *w, const ProtobufCMessage *message);
void statement_names_release(struct statement *s);
/* True if anything below makes or names a temporary object. */
bool tree_temporary(const ProtobufCMessage *message);
/* Same tree, locations apart. NULL equals only NULL. */
bool tree_equal(const ProtobufCMessage *a, const ProtobufCMessage *b);
/* The message inside a Node, or NULL. */
const ProtobufCMessage *node_message(const PgQuery__Node *node);
/* The text of a String node, or NULL. */
const char *node_string(const PgQuery__Node *node);
/* Last name of a possibly qualified name list ("" if none); *schema gets the one before or NULL. */
const char *list_name(PgQuery__Node *const *names, size_t count, const char **schema);

/* Decides one parsed statement into *out. False: out of memory. */
bool decide_statement(const struct catalogue *catalogue, const struct classifier_options *options,
	const PgQuery__Node *stmt, const char *text, struct statement *out);
/* What a COPY ... TO STDOUT reads: fills body and copy of w->out. NULL, or what it is about it that
 * makes it none that we know. */
const char *copy_read(struct walk *w, const PgQuery__CopyStmt *c, const char *text);
/* Output columns that come from a float aggregate, as compare_rules.summed (classify_sums.c). */
uint64_t summed_columns(const PgQuery__SelectStmt *select);
void order_rule_of(const PgQuery__SelectStmt *select, struct order_rule *rule);
/* The output column that a key of ORDER BY names, or -1. */
int order_key_column(const PgQuery__SelectStmt *output, const PgQuery__Node *key);
bool select_distinct_on(const PgQuery__SelectStmt *s);
bool select_limits(const PgQuery__SelectStmt *s); /* by LIMIT, OFFSET or FETCH */

/* Proofs that an order leaves nothing free (classify_total.c). What order: ORDER BY's, with names
 * and numbers of output columns; PARTITION BY's and ORDER BY's of a window; an aggregate's, within
 * its group. */
struct order_keys {
	PgQuery__Node *const *list[2];
	size_t count[2];
	enum { KEYS_OF_OUTPUT, KEYS_OF_WINDOW, KEYS_OF_AGGREGATE } of;
};
/* No two rows of the SELECT tie in these keys, as unique keys of its tables prove. */
bool select_is_total(
	const struct walk *w, const PgQuery__SelectStmt *s, const struct order_keys *keys);
bool sort_is_total(const struct walk *w, const PgQuery__SelectStmt *s); /* its ORDER BY */
/* The expression that a key of ORDER BY stands for: an output column's where it names one. NULL:
 * nobody knows which. */
const PgQuery__Node *sort_key_expression(const PgQuery__SelectStmt *s, const PgQuery__Node *key);
/* Rows that tie in ORDER BY are alike. */
bool sort_covers_output(const PgQuery__SelectStmt *s);
bool aggregate_is_total(const struct walk *w, const PgQuery__FuncCall *call);
bool window_is_total(const struct walk *w, const PgQuery__WindowDef *window);
void walk_note_ctes(struct walk *w, const PgQuery__WithClause *with);
bool walk_names_cte(const struct walk *w, const char *name); /* or may */
/* Fills normalized, fingerprint and shape_hash. False: out of memory. */
bool shape_of(const char *text, struct statement *out);

/* A text with its literals' values blanked out, and where they stand in it. */
struct literal_place {
	uint32_t start, sign; /* sign: the minus before it, or start */
	bool found;
};
struct blanked {
	char *key; /* owned; not NUL-terminated */
	size_t len, count;
	size_t end; /* where the text's statement ends: a last semicolon, or len */
	struct literal_place *places; /* owned */
};
/* False: not a text whose literals may be left aside (then *out is empty). */
bool blank_literals(const char *text, struct blanked *out);
void blanked_release(struct blanked *b);
/* Does the decision on `text`, one of them, hold for all texts of its key? */
bool literals_free(struct blanked *b, const PgQuery__ParseResult *tree, const char *text,
	const struct text_parts *parts);
/* Two messages per nested expression. A deeper tree would take more stack than the worker has:
 * about 1 KB a level to unpack. A server of default settings (max_stack_depth) refuses far flatter
 * ones. */
enum { MAX_TREE_DEPTH = 20000 };
/* False: deeper than `limit` messages, malformed, or no memory to tell. */
bool depth_within(struct span packed, const ProtobufCMessageDescriptor *type, size_t limit);

/* The statement as a text that leaves no order free (classify_inner.c); the tree is spoilt.
 * limit_rows: the value of its LIMIT, 0: not known. NULL: there is none, or no memory. malloc'd. */
char *inner_rows_of(const struct catalogue *catalogue, const struct classifier_options *options,
	PgQuery__ParseResult *tree, int64_t limit_rows);

/* Names (classify_tables.c) */
enum name_kind {
	NAME_ORDINARY,
	NAME_ACTS,	/* changes something; never exempt */
	NAME_TEXT,	/* runs SQL given as text */
	NAME_GENERATOR, /* NAME_VOLATILE, of an extension */
	NAME_VOLATILE,	/* from here on only if built in; another value each time, no trace left */
	NAME_SESSION,	/* state of a session that no other session has */
	NAME_SERVER,	/* belongs to one server */
	NAME_TIME,	/* stable, but the time */
	NAME_IS_SETTER, /* set_config */
	NAME_IS_GETTER, /* current_setting */
	NAME_IS_AGE	/* time with one argument */
};
/* What is known of a function by its name alone. `builtin`: it is, or may be, the one of
 * pg_catalog. */
enum name_kind function_kind(const char *name, bool builtin);
bool function_well_known(const char *name); /* harmless built-in, for want of a catalogue */
bool aggregate_leaks(const char *name);	    /* its value depends on the order of its input */
bool window_leaks(const char *name);
bool function_aggregates(const char *name); /* one of the common built-in aggregates */
bool column_is_system(const char *name);
bool schema_is_system(const char *name);
bool schema_is_temporary(const char *name);
bool type_is_reg(const char *name);
bool type_is_time(const char *name);
bool text_is_time_word(const char *text); /* exactly now, today, ... */
bool name_allowed(const char *list, const char *schema, const char *name);

#endif

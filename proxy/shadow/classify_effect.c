#include "proxy/shadow/classify_parts.h"
#include "proxy/shadow/routine.h"

#include <ctype.h>
#include <pg_query.h>
#include <stdio.h>
#include <stdlib.h>

/* One statement being decided. */
struct decision {
	struct walk walk;
	const char *text;
	struct statement *out;
	const char *why; /* more about why it is no read; NULL: its kind says it */
};

static void keep(struct decision *d, char **field, const char *text)
{
	free(*field);
	*field = strdup(text);
	d->walk.no_memory |= !*field;
}

/* Names of settings fold to lower case whatever their quoting. */
static void keep_setting(struct decision *d, const char *name)
{
	keep(d, &d->out->name, name);
	for (char *p = d->out->name; p && *p; p++)
		*p = (char)tolower((unsigned char)*p);
}

static bool is_setting(const struct decision *d, const char *name)
{
	return d->out->name && strcmp(d->out->name, name) == 0;
}

/* The text of a constant; numbers go to `number`. NULL: it is none. */
static const char *constant(const PgQuery__Node *node, char *number, size_t size)
{
	const PgQuery__AConst *c;

	if (!node || node->node_case != PG_QUERY__NODE__NODE_A_CONST)
		return NULL;
	c = node->a_const;
	switch (c->val_case) {
	case PG_QUERY__A__CONST__VAL_SVAL: return c->sval->sval;
	case PG_QUERY__A__CONST__VAL_FVAL: return c->fval->fval;
	case PG_QUERY__A__CONST__VAL_IVAL:
		snprintf(number, size, "%d", c->ival->ival);
		return number;
	case PG_QUERY__A__CONST__VAL_BOOLVAL: return c->boolval->boolval ? "true" : "false";
	default: return NULL;
	}
}

static const PgQuery__Node *below_casts(const PgQuery__Node *node)
{
	while (node && node->node_case == PG_QUERY__NODE__NODE_TYPE_CAST)
		node = node->type_cast->arg;
	return node;
}

/* ---- transactions ---- */

static void note_isolation(struct decision *d, const char *level)
{
	d->out->isolation_given = true;
	d->out->isolation_snapshot =
		strcmp(level, "repeatable read") == 0 || strcmp(level, "serializable") == 0;
}

/* The isolation level among the options, or NULL. */
static const char *isolation_of(PgQuery__Node *const *options, size_t count)
{
	const char *level = NULL;

	for (size_t i = 0; i < count; i++) {
		const PgQuery__DefElem *e = options[i]->def_elem;

		if (options[i]->node_case == PG_QUERY__NODE__NODE_DEF_ELEM &&
			strcmp(e->defname, "transaction_isolation") == 0)
			level = constant(e->arg, NULL, 0);
	}
	return level;
}

static enum statement_effect transaction_effect(PgQuery__TransactionStmtKind kind)
{
	switch (kind) {
	case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_BEGIN:
	case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_START: return EFFECT_BEGIN;
	case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_COMMIT:
	case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_PREPARE: return EFFECT_COMMIT;
	case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_ROLLBACK: return EFFECT_ROLLBACK;
	case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_SAVEPOINT: return EFFECT_SAVEPOINT;
	case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_RELEASE: return EFFECT_RELEASE;
	case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_ROLLBACK_TO: return EFFECT_ROLLBACK_TO;
	default: return EFFECT_TAINT;
	}
}

static void decide_transaction(struct decision *d, const ProtobufCMessage *m)
{
	const PgQuery__TransactionStmt *t = (const PgQuery__TransactionStmt *)m;
	const char *level = isolation_of(t->options, t->n_options);

	d->out->effect = transaction_effect(t->kind);
	d->out->chain = t->chain;
	if (level)
		note_isolation(d, level);
	if (t->savepoint_name && *t->savepoint_name)
		keep(d, &d->out->name, t->savepoint_name);
}

/* ---- settings ---- */

/* Lists whose items the server quotes (GUC_LIST_QUOTE). */
static bool quotes_items(const char *setting)
{
	static const char *const names[] = {"search_path", "temp_tablespaces",
		"session_preload_libraries", "shared_preload_libraries", "local_preload_libraries",
		"oauth_validator_libraries"};

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (strcmp(names[i], setting) == 0)
			return true;
	return false;
}

static bool is_keyword(const char *word)
{
	PgQueryScanResult scan = pg_query_scan(word);
	PgQuery__ScanResult *tokens = NULL;
	bool keyword = true; /* quoting too much does no harm */

	if (!scan.error)
		tokens = pg_query__scan_result__unpack(
			NULL, scan.pbuf.len, (const uint8_t *)scan.pbuf.data);
	if (tokens && tokens->n_tokens == 1)
		keyword = tokens->tokens[0]->keyword_kind != PG_QUERY__KEYWORD_KIND__NO_KEYWORD &&
			  tokens->tokens[0]->keyword_kind !=
				  PG_QUERY__KEYWORD_KIND__UNRESERVED_KEYWORD;
	if (tokens)
		pg_query__scan_result__free_unpacked(tokens, NULL);
	pg_query_free_scan_result(scan);

	return keyword;
}

/* As the server's quote_identifier. */
static bool needs_quotes(const char *name)
{
	if (!(islower((unsigned char)*name) || *name == '_'))
		return true;
	for (const char *p = name; *p; p++)
		if (!(islower((unsigned char)*p) || isdigit((unsigned char)*p) || *p == '_'))
			return true;
	return is_keyword(name);
}

/* Appends an item to *value; false: out of memory. */
static bool add_item(char **value, const char *item, bool quote)
{
	size_t used = *value ? strlen(*value) : 0, n;
	char *grown = realloc(*value, used + 2 * strlen(item) + 5);

	if (!grown)
		return false;
	*value = grown;
	n = used;
	if (used > 0) {
		grown[n++] = ',';
		grown[n++] = ' ';
	}
	if (quote)
		grown[n++] = '"';
	for (; *item; item++) {
		if (quote && *item == '"')
			grown[n++] = '"';
		grown[n++] = *item;
	}
	if (quote)
		grown[n++] = '"';
	grown[n] = '\0';

	return true;
}

/* SET TIME ZONE INTERVAL '...' in the form that set_config takes, which has no typmod: only where
 * the text says hours and minutes by itself. */
static bool zone_interval(struct decision *d, const PgQuery__TypeCast *cast)
{
	const char *text = constant(cast->arg, NULL, 0);
	char value[64];

	if (!text || !cast->type_name || strlen(text) > 32 ||
		strspn(text, "+-0123456789:") != strlen(text) || !strchr(text, ':'))
		return false;
	snprintf(value, sizeof value, "INTERVAL '%s'", text);
	keep(d, &d->out->value, value);

	return true;
}

/* False: the value cannot be represented. */
static bool take_value(struct decision *d, const PgQuery__VariableSetStmt *s)
{
	bool quotes = quotes_items(d->out->name ? d->out->name : "");

	if (s->n_args == 0)
		return false;
	if (s->n_args == 1 && s->args[0]->node_case == PG_QUERY__NODE__NODE_TYPE_CAST)
		return is_setting(d, "timezone") && zone_interval(d, s->args[0]->type_cast);
	for (size_t i = 0; i < s->n_args; i++) {
		char number[16];
		const char *item = constant(s->args[i], number, sizeof number);

		if (!item)
			return false;
		if (!add_item(&d->out->value, item, quotes && needs_quotes(item)))
			d->walk.no_memory = true;
	}

	return true;
}

/* The settings of the transaction itself are never replayed: what counts is the level. */
static void settle_transaction_setting(struct decision *d)
{
	if (is_setting(d, "transaction_isolation")) {
		if (d->out->effect == EFFECT_SET && d->out->value) {
			note_isolation(d, d->out->value);
			d->out->effect = EFFECT_NONE;
		} else {
			d->out->effect = EFFECT_UNKNOWN_SETTINGS;
		}
	} else if (is_setting(d, "transaction_read_only") ||
		   is_setting(d, "transaction_deferrable")) {
		d->out->effect = EFFECT_NONE;
	}
}

static void decide_set_multi(struct decision *d, const PgQuery__VariableSetStmt *s)
{
	const char *level = isolation_of(s->args, s->n_args);

	d->out->effect = EFFECT_NONE;
	if (strcmp(s->name, "TRANSACTION SNAPSHOT") == 0) {
		note_isolation(d, "repeatable read");
		d->out->effect = EFFECT_TAINT; /* even the first read is of an old snapshot */
	} else if (strcmp(s->name, "SESSION CHARACTERISTICS") == 0) {
		if (!level)
			return;
		d->out->effect = EFFECT_SET;
		keep(d, &d->out->name, "default_transaction_isolation");
		keep(d, &d->out->value, level);
	} else if (strcmp(s->name, "TRANSACTION") == 0) {
		if (level)
			note_isolation(d, level);
	} else {
		d->out->effect = EFFECT_UNKNOWN_SETTINGS;
	}
}

static void decide_set(struct decision *d, const ProtobufCMessage *m)
{
	const PgQuery__VariableSetStmt *s = (const PgQuery__VariableSetStmt *)m;

	d->out->local = s->is_local;
	d->out->no_snapshot = true;
	if (s->kind == PG_QUERY__VARIABLE_SET_KIND__VAR_SET_MULTI) {
		decide_set_multi(d, s);
		return;
	}
	keep_setting(d, s->name ? s->name : "");
	switch (s->kind) {
	case PG_QUERY__VARIABLE_SET_KIND__VAR_SET_VALUE:
		d->out->effect = take_value(d, s) ? EFFECT_SET : EFFECT_UNKNOWN_SETTINGS;
		break;
	case PG_QUERY__VARIABLE_SET_KIND__VAR_SET_DEFAULT: d->out->effect = EFFECT_SET; break;
	case PG_QUERY__VARIABLE_SET_KIND__VAR_RESET: d->out->effect = EFFECT_RESET; break;
	case PG_QUERY__VARIABLE_SET_KIND__VAR_RESET_ALL: d->out->effect = EFFECT_RESET_ALL; break;
	default: d->out->effect = EFFECT_UNKNOWN_SETTINGS; break;
	}
	settle_transaction_setting(d);
}

static void decide_discard(struct decision *d, const ProtobufCMessage *m)
{
	switch (((const PgQuery__DiscardStmt *)m)->target) {
	case PG_QUERY__DISCARD_MODE__DISCARD_ALL: d->out->effect = EFFECT_DISCARD_ALL; break;
	case PG_QUERY__DISCARD_MODE__DISCARD_TEMP: d->out->effect = EFFECT_DISCARD_TEMP; break;
	default: d->out->effect = EFFECT_DISCARD_OTHER; break;
	}
}

/* ---- reads ---- */

static bool only_targets(const PgQuery__SelectStmt *s)
{
	return s->n_target_list > 0 && !s->into_clause && s->n_distinct_clause == 0 &&
	       s->n_from_clause == 0 && !s->where_clause && s->n_group_clause == 0 &&
	       !s->having_clause && s->n_window_clause == 0 && s->n_values_lists == 0 &&
	       s->n_sort_clause == 0 && !s->limit_offset && !s->limit_count && !s->with_clause &&
	       !s->larg && s->n_locking_clause == 0;
}

/* The call of set_config(name, value, is_local) that a target is, or NULL. */
static const PgQuery__FuncCall *set_config_call(const PgQuery__Node *target)
{
	const PgQuery__FuncCall *f;
	const char *name, *schema;

	if (target->node_case != PG_QUERY__NODE__NODE_RES_TARGET || !target->res_target->val ||
		target->res_target->val->node_case != PG_QUERY__NODE__NODE_FUNC_CALL)
		return NULL;
	f = target->res_target->val->func_call;
	name = list_name(f->funcname, f->n_funcname, &schema);
	if (strcmp(name, "set_config") != 0 || f->n_args != 3 ||
		(schema && strcmp(schema, "pg_catalog") != 0))
		return NULL;
	for (int i = 0; i < 3; i++)
		if (f->args[i]->node_case == PG_QUERY__NODE__NODE_NAMED_ARG_EXPR)
			return NULL;
	return f;
}

static bool is_null(const PgQuery__Node *node)
{
	return node && node->node_case == PG_QUERY__NODE__NODE_A_CONST && node->a_const->isnull;
}

/* -1: not a constant that we can read. */
static int truth(const PgQuery__Node *node)
{
	char number[16];
	const char *text = constant(node, number, sizeof number);

	if (!text)
		return -1;
	if (strcmp(text, "true") == 0 || strcmp(text, "t") == 0 || strcmp(text, "on") == 0)
		return 1;
	if (strcmp(text, "false") == 0 || strcmp(text, "f") == 0 || strcmp(text, "off") == 0)
		return 0;
	return -1;
}

static const char *string_constant(const PgQuery__Node *node)
{
	if (!node || node->node_case != PG_QUERY__NODE__NODE_A_CONST ||
		node->a_const->val_case != PG_QUERY__A__CONST__VAL_SVAL)
		return NULL;
	return node->a_const->sval->sval;
}

static bool casts_to_text(const PgQuery__Node *node)
{
	while (node && node->node_case == PG_QUERY__NODE__NODE_TYPE_CAST) {
		const PgQuery__TypeName *type = node->type_cast->type_name;
		const char *schema, *name = list_name(type->names, type->n_names, &schema);

		if ((strcmp(name, "text") != 0 && strcmp(name, "varchar") != 0) ||
			type->n_typmods > 0)
			return false;
		node = node->type_cast->arg;
	}
	return true;
}

/* False: neither a literal nor a parameter. */
static bool config_argument(
	struct decision *d, const PgQuery__Node *node, struct config_argument *out)
{
	const PgQuery__Node *below = below_casts(node);
	char number[16];
	const char *text;

	if (!below)
		return false;
	if (below->node_case == PG_QUERY__NODE__NODE_PARAM_REF) {
		out->param = (uint16_t)below->param_ref->number;
		return below->param_ref->number > 0 && below->param_ref->number <= UINT16_MAX &&
		       casts_to_text(node);
	}
	text = constant(below, number, sizeof number);
	if (text)
		keep(d, &out->text, text);
	return text || is_null(below);
}

/* SELECT set_config(...), set_config(...) of literals and parameters: what is set is known when it
 * runs. */
static void settle_set_configs(struct decision *d, const PgQuery__SelectStmt *s)
{
	struct statement *out = d->out;

	if (!set_config_call(s->target_list[0]))
		return;
	out->items = calloc(s->n_target_list, sizeof *out->items);
	if (!out->items) {
		d->walk.no_memory = true;
		return;
	}
	for (size_t i = 0; i < s->n_target_list; i++) {
		const PgQuery__FuncCall *f = set_config_call(s->target_list[i]);
		struct config_item *item = &out->items[i];

		out->nitems++;
		if (!f || !config_argument(d, f->args[0], &item->name) ||
			!config_argument(d, f->args[1], &item->value) ||
			!config_argument(d, f->args[2], &item->local))
			return;
	}
	out->effect = EFFECT_SET_CONFIG;
}

/* SELECT set_config(literal, literal, literal) alone is a SET. */
static void settle_set_config(struct decision *d, const PgQuery__SelectStmt *s)
{
	const PgQuery__FuncCall *f;
	const char *name, *value;
	int local;

	if (!only_targets(s))
		return;
	settle_set_configs(d, s);
	f = s->n_target_list == 1 ? set_config_call(s->target_list[0]) : NULL;
	if (!f)
		return;
	name = string_constant(below_casts(f->args[0]));
	value = string_constant(below_casts(f->args[1]));
	local = truth(below_casts(f->args[2]));
	if (!name || local < 0 || (!value && !is_null(below_casts(f->args[1]))))
		return;
	keep_setting(d, name);
	if (value)
		keep(d, &d->out->value, value);
	d->out->local = local == 1;
	d->out->effect = EFFECT_SET;
	settle_transaction_setting(d);
}

static void decide_select(struct decision *d, const ProtobufCMessage *m)
{
	const PgQuery__SelectStmt *s = (const PgQuery__SelectStmt *)m;

	d->walk.top = s;
	order_rule_of(s, &d->out->order);
	d->out->summed = summed_columns(s);
	d->out->has_limit_clause = d->out->order.limited;
	walk_message(&d->walk, m);
	if (s->into_clause && s->into_clause->rel)
		walk_created(&d->walk, s->into_clause->rel, s->into_clause->on_commit);
	settle_set_config(d, s);
}

/* ---- statements around a query ---- */

/* Effect of running `query` as part of another statement; a clean read has none. */
static void walk_query(struct decision *d, const PgQuery__Node *query)
{
	const ProtobufCMessage *m = node_message(query);

	if (!m)
		return;
	if (m->descriptor == &pg_query__create_table_as_stmt__descriptor ||
		m->descriptor == &pg_query__execute_stmt__descriptor)
		walk_raise(&d->walk, EFFECT_TAINT);
	walk_message(&d->walk, m);
}

static void decide_write(struct decision *d, const ProtobufCMessage *m)
{
	walk_raise(&d->walk, EFFECT_TAINT);
	walk_message(&d->walk, m);
}

static void decide_create_as(struct decision *d, const ProtobufCMessage *m)
{
	const PgQuery__CreateTableAsStmt *c = (const PgQuery__CreateTableAsStmt *)m;

	walk_raise(&d->walk, EFFECT_TAINT);
	walk_query(d, c->query);
	if (c->into && c->into->rel)
		walk_created(&d->walk, c->into->rel, c->into->on_commit);
}

/* An effect of their own unless what they run has a graver one. */
static void settle_effect(struct decision *d, enum statement_effect own)
{
	if (d->out->effect == EFFECT_NONE)
		d->out->effect = own;
}

/* A literal whose text means the same to a parameter of any type that takes it. Numbers with a
 * fraction do not: they are rounded on their way to an integer. */
static bool take_argument(struct decision *d, const PgQuery__Node *node)
{
	char number[16], **slot = &d->out->args[d->out->nargs];
	const char *text = constant(node, number, sizeof number);

	if (!text && !is_null(node))
		return false;
	if (text && node->a_const->val_case == PG_QUERY__A__CONST__VAL_FVAL &&
		(strlen(text) > 18 || strspn(text, "-0123456789") != strlen(text)))
		return false;
	if (text)
		keep(d, slot, text);
	d->out->nargs++;

	return true;
}

static bool take_arguments(struct decision *d, const PgQuery__ExecuteStmt *e)
{
	if (e->n_params > UINT16_MAX)
		return false;
	d->out->args = calloc(e->n_params ? e->n_params : 1, sizeof *d->out->args);
	if (!d->out->args) {
		d->walk.no_memory = true;
		return false;
	}
	for (size_t i = 0; i < e->n_params; i++)
		if (!take_argument(d, e->params[i]))
			return false;

	return true;
}

static void decide_execute(struct decision *d, const ProtobufCMessage *m)
{
	const PgQuery__ExecuteStmt *e = (const PgQuery__ExecuteStmt *)m;

	d->out->literal_args = take_arguments(d, e);
	for (size_t i = 0; i < e->n_params; i++)
		walk_message(&d->walk, &e->params[i]->base);
	keep(d, &d->out->name, e->name);
	if (d->out->effect == EFFECT_CALLS) { /* and what the prepared statement does */
		d->out->effect = EFFECT_UNKNOWN_SETTINGS;
		d->out->creates_temporary = true;
	}
	settle_effect(d, EFFECT_EXECUTE);
}

enum { CURSOR_OPT_BINARY = 0x01, CURSOR_OPT_HOLD = 0x20 }; /* parsenodes.h */

/* DECLARE name CURSOR ... FOR query: the text behind the first FOR. */
static void keep_declared(struct decision *d)
{
	PgQueryScanResult scan = pg_query_scan(d->text);
	PgQuery__ScanResult *tokens = NULL;

	if (!scan.error)
		tokens = pg_query__scan_result__unpack(
			NULL, scan.pbuf.len, (const uint8_t *)scan.pbuf.data);
	for (size_t i = 0; tokens && i < tokens->n_tokens; i++) {
		const char *text = d->text + tokens->tokens[i]->end;

		if (tokens->tokens[i]->token != PG_QUERY__TOKEN__FOR)
			continue;
		keep(d, &d->out->body, text + strspn(text, " \t\r\n\f\v"));
		break;
	}
	if (tokens)
		pg_query__scan_result__free_unpacked(tokens, NULL);
	pg_query_free_scan_result(scan);
}

static void decide_declare(struct decision *d, const ProtobufCMessage *m)
{
	const PgQuery__DeclareCursorStmt *c = (const PgQuery__DeclareCursorStmt *)m;

	walk_query(d, c->query);
	keep(d, &d->out->name, c->portalname);
	d->out->hold = (c->options & CURSOR_OPT_HOLD) != 0;
	d->out->binary = (c->options & CURSOR_OPT_BINARY) != 0;
	settle_effect(d, EFFECT_DECLARE);
	if (d->out->effect == EFFECT_DECLARE)
		keep_declared(d);
}

static void decide_fetch(struct decision *d, const ProtobufCMessage *m)
{
	const PgQuery__FetchStmt *f = (const PgQuery__FetchStmt *)m;

	keep(d, &d->out->name, f->portalname);
	d->out->effect = EFFECT_FETCH;
	d->out->moves = f->ismove;
	if (!f->ismove && f->direction == PG_QUERY__FETCH_DIRECTION__FETCH_FORWARD &&
		f->how_many > 0)
		d->out->fetch_rows = f->how_many; /* FETCH ALL: the largest number */
}

static void decide_close(struct decision *d, const ProtobufCMessage *m)
{
	const char *name = ((const PgQuery__ClosePortalStmt *)m)->portalname;

	if (name && *name)
		keep(d, &d->out->name, name);
	d->out->effect = EFFECT_CLOSE;
}

static void decide_deallocate(struct decision *d, const ProtobufCMessage *m)
{
	const char *name = ((const PgQuery__DeallocateStmt *)m)->name;

	d->out->effect = name && *name ? EFFECT_DEALLOCATE : EFFECT_DEALLOCATE_ALL;
	if (name && *name)
		keep(d, &d->out->name, name);
}

/* COPY ... TO STDOUT of a table or a clean query does nothing; all else writes or reads files. */
static void decide_copy(struct decision *d, const ProtobufCMessage *m)
{
	const PgQuery__CopyStmt *c = (const PgQuery__CopyStmt *)m;
	bool out = !c->is_from && !c->is_program && !(c->filename && *c->filename);

	walk_query(d, c->query);
	if (c->where_clause)
		walk_message(&d->walk, &c->where_clause->base);
	if (c->relation)
		walk_message(&d->walk, &c->relation->base);
	d->out->copy_out = out && d->out->effect == EFFECT_NONE;
	if (d->out->copy_out)
		d->why = copy_read(&d->walk, c, d->text);
	settle_effect(d, EFFECT_COPY);
}

static bool explain_runs(const PgQuery__ExplainStmt *e)
{
	bool runs = false;

	for (size_t i = 0; i < e->n_options; i++) {
		const PgQuery__DefElem *option = e->options[i]->def_elem;
		char number[16];
		const char *value;

		if (e->options[i]->node_case != PG_QUERY__NODE__NODE_DEF_ELEM ||
			strcmp(option->defname, "analyze") != 0)
			continue;
		value = node_string(option->arg);
		if (!value)
			value = constant(option->arg, number, sizeof number);
		if (!value && option->arg && option->arg->node_case == PG_QUERY__NODE__NODE_INTEGER)
			value = option->arg->integer->ival ? "1" : "0";
		runs = !(value && (strcmp(value, "false") == 0 || strcmp(value, "off") == 0 ||
					  strcmp(value, "0") == 0));
	}
	return runs;
}

static void decide_explain(struct decision *d, const ProtobufCMessage *m)
{
	const PgQuery__ExplainStmt *e = (const PgQuery__ExplainStmt *)m;

	if (!explain_runs(e))
		return;
	walk_query(d, e->query);
	if (d->out->skip != REASON_NONE)
		walk_raise(&d->walk, EFFECT_TAINT);
	d->out->creates_temporary |= tree_temporary(m);
}

/* The text after AS, to the statement's end. NULL: not found. */
static const char *prepared_body(const PgQuery__ScanResult *scan, const char *text)
{
	int depth = 0;

	for (size_t i = 0; i + 1 < scan->n_tokens; i++) { /* PREPARE name [(types)] AS body */
		PgQuery__Token token = scan->tokens[i]->token;

		if (token == PG_QUERY__TOKEN__ASCII_40)
			depth++;
		if (token == PG_QUERY__TOKEN__ASCII_41)
			depth--;
		if (depth == 0 && token == PG_QUERY__TOKEN__AS)
			return text + scan->tokens[i]->end;
	}
	return NULL;
}

/* Built-in types by the names that the grammar and people give them; 0: some other. */
static uint32_t type_number(const PgQuery__TypeName *type)
{
	static const struct {
		const char *name;
		uint32_t oid;
	} types[] = {{"bool", 16}, {"bytea", 17}, {"int8", 20}, {"int2", 21}, {"int4", 23},
		{"text", 25}, {"json", 114}, {"float4", 700}, {"float8", 701}, {"bpchar", 1042},
		{"varchar", 1043}, {"date", 1082}, {"time", 1083}, {"timestamp", 1114},
		{"timestamptz", 1184}, {"interval", 1186}, {"numeric", 1700}, {"uuid", 2950},
		{"jsonb", 3802}};
	const char *schema, *name = list_name(type->names, type->n_names, &schema);

	if (type->n_array_bounds > 0 || (schema && strcmp(schema, "pg_catalog") != 0))
		return 0;
	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
		if (strcmp(types[i].name, name) == 0)
			return types[i].oid;

	return 0;
}

static void take_types(struct decision *d, const PgQuery__PrepareStmt *p)
{
	struct statement *out = d->out;

	out->types = calloc(p->n_argtypes ? p->n_argtypes : 1, sizeof *out->types);
	if (!out->types) {
		d->walk.no_memory = true;
		return;
	}
	out->types_known = p->n_argtypes <= UINT16_MAX;
	for (size_t i = 0; i < p->n_argtypes && out->types_known; i++) {
		if (p->argtypes[i]->node_case == PG_QUERY__NODE__NODE_TYPE_NAME)
			out->types[i] = type_number(p->argtypes[i]->type_name);
		out->types_known = out->types[i] != 0;
		out->ntypes++;
	}
}

static void decide_prepare(struct decision *d, const ProtobufCMessage *m)
{
	PgQueryScanResult scan = pg_query_scan(d->text);
	PgQuery__ScanResult *tokens = NULL;
	const char *body = NULL;

	if (!scan.error)
		tokens = pg_query__scan_result__unpack(
			NULL, scan.pbuf.len, (const uint8_t *)scan.pbuf.data);
	if (tokens)
		body = prepared_body(tokens, d->text);
	keep(d, &d->out->name, ((const PgQuery__PrepareStmt *)m)->name);
	take_types(d, (const PgQuery__PrepareStmt *)m);
	d->out->effect = EFFECT_PREPARE;
	if (body)
		keep(d, &d->out->body, body + strspn(body, " \t\r\n\f\v"));
	else
		d->out->effect = EFFECT_UNKNOWN_SETTINGS;
	if (tokens)
		pg_query__scan_result__free_unpacked(tokens, NULL);
	pg_query_free_scan_result(scan);
}

static void decide_nothing(struct decision *d, const ProtobufCMessage *m)
{
	(void)m;
	d->out->effect = EFFECT_NONE;
	d->out->no_snapshot = true;
}

static void doubt_all(struct decision *d)
{
	d->out->effect = EFFECT_UNKNOWN_SETTINGS;
	d->out->creates_temporary = true;
}

static void decide_call(struct decision *d, const ProtobufCMessage *m)
{
	const PgQuery__FuncCall *f = ((const PgQuery__CallStmt *)m)->funccall;
	const char *schema, *name;

	d->out->may_commit = true;
	if (!f) {
		doubt_all(d);
		return;
	}
	name = list_name(f->funcname, f->n_funcname, &schema);
	walk_raise(&d->walk, EFFECT_CALLS);
	walk_mention(&d->walk, MENTION_PROCEDURE, schema, name);
	for (size_t i = 0; i < f->n_args; i++)
		walk_message(&d->walk, &f->args[i]->base);
}

static void mention_word(void *self, const struct routine_word *word)
{
	struct decision *d = self;

	walk_mention(&d->walk,
		word->is_operator ? MENTION_OPERATOR
		: word->called	  ? MENTION_CALLED
				  : MENTION_WORD,
		NULL, word->text);
}

static void decide_do(struct decision *d, const ProtobufCMessage *m)
{
	const PgQuery__DoStmt *s = (const PgQuery__DoStmt *)m;
	const char *body = NULL, *language = "plpgsql";

	d->out->may_commit = true;
	d->out->effect = EFFECT_CALLS;
	for (size_t i = 0; i < s->n_args; i++) {
		const PgQuery__DefElem *e = s->args[i]->def_elem;

		if (s->args[i]->node_case != PG_QUERY__NODE__NODE_DEF_ELEM)
			continue;
		if (strcmp(e->defname, "as") == 0)
			body = node_string(e->arg);
		else if (strcmp(e->defname, "language") == 0)
			language = node_string(e->arg);
	}
	if (!body || !language || !routine_scan(body, language, mention_word, d))
		doubt_all(d);
}

static void decide_other(struct decision *d, const ProtobufCMessage *m)
{
	d->out->effect = EFFECT_TAINT;
	if (!walk_definition(&d->walk, m))
		d->out->creates_temporary |= tree_temporary(m);
}

/* ---- the table ---- */

static const struct handler {
	const ProtobufCMessageDescriptor *type;
	void (*decide)(struct decision *d, const ProtobufCMessage *m);
} handlers[] = {
	{&pg_query__insert_stmt__descriptor, decide_write},
	{&pg_query__update_stmt__descriptor, decide_write},
	{&pg_query__delete_stmt__descriptor, decide_write},
	{&pg_query__merge_stmt__descriptor, decide_write},
	{&pg_query__transaction_stmt__descriptor, decide_transaction},
	{&pg_query__variable_set_stmt__descriptor, decide_set},
	{&pg_query__variable_show_stmt__descriptor, decide_nothing},
	{&pg_query__discard_stmt__descriptor, decide_discard},
	{&pg_query__prepare_stmt__descriptor, decide_prepare},
	{&pg_query__execute_stmt__descriptor, decide_execute},
	{&pg_query__deallocate_stmt__descriptor, decide_deallocate},
	{&pg_query__declare_cursor_stmt__descriptor, decide_declare},
	{&pg_query__fetch_stmt__descriptor, decide_fetch},
	{&pg_query__close_portal_stmt__descriptor, decide_close},
	{&pg_query__copy_stmt__descriptor, decide_copy},
	{&pg_query__explain_stmt__descriptor, decide_explain},
	{&pg_query__create_table_as_stmt__descriptor, decide_create_as},
	{&pg_query__constraints_set_stmt__descriptor, decide_nothing},
	{&pg_query__listen_stmt__descriptor, decide_nothing},
	{&pg_query__unlisten_stmt__descriptor, decide_nothing},
	{&pg_query__notify_stmt__descriptor, decide_nothing},
	{&pg_query__call_stmt__descriptor, decide_call},
	{&pg_query__do_stmt__descriptor, decide_do},
};

static void decide_any(struct decision *d, const ProtobufCMessage *m)
{
	void (*decide)(struct decision *, const ProtobufCMessage *) = decide_other;

	for (size_t i = 0; i < sizeof handlers / sizeof handlers[0]; i++)
		if (handlers[i].type == m->descriptor)
			decide = handlers[i].decide;
	decide(d, m);
	d->out->skip = REASON_NOT_A_READ;
	snprintf(d->out->detail, sizeof d->out->detail, "%s%s%s", m->descriptor->short_name,
		d->why ? ": " : "", d->why ? d->why : "");
}

bool decide_statement(const struct catalogue *catalogue, const struct classifier_options *options,
	const PgQuery__Node *stmt, const char *text, struct statement *out)
{
	struct decision d = {.text = text, .out = out};
	const ProtobufCMessage *m = node_message(stmt);

	walk_init(&d.walk, catalogue, options, out);
	if (!m) {
		out->skip = REASON_NOT_A_READ;
		out->effect = EFFECT_TAINT;
	} else if (m->descriptor == &pg_query__select_stmt__descriptor) {
		decide_select(&d, m);
	} else {
		decide_any(&d, m);
	}
	return !d.walk.no_memory;
}

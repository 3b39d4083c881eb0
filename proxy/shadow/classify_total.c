#include "proxy/shadow/classify_parts.h"

#include <stdio.h>

/* Which rows of a SELECT can share their sort keys? None, where the keys hold those of a unique key
 * of each table, directly or by way of equalities: two rows that agree in the keys agree in all
 * columns then, and are one row. What is not known counts as not held. */
enum { SOURCES_MAX = 16, COLUMNS_MAX = 64, EQUALITIES_MAX = 64 };

struct source { /* one table of FROM */
	const PgQuery__RangeVar *table;
	bool held; /* all its columns are */
};

struct held_column {
	uint8_t source;
	const char *name;
};

/* Two columns, or a column and a constant, that are equal in each row. Of an outer join: once the
 * rows of its left side are held, whose sources are [first, end). */
struct equality {
	struct held_column a, b; /* b.name NULL: a constant */
	bool outer;
	uint8_t first, end;
};

struct proof {
	const struct walk *w;
	const PgQuery__SelectStmt *select;
	struct source source[SOURCES_MAX];
	struct held_column column[COLUMNS_MAX];
	struct equality equality[EQUALITIES_MAX];
	uint8_t nsources, ncolumns, nequalities;
	bool lost; /* something in FROM is not understood */
};

static const char *source_name(const struct source *s)
{
	return s->table->alias ? s->table->alias->aliasname : s->table->relname;
}

/* ---- columns ---- */

static bool locate(const struct proof *p, const PgQuery__Node *node, struct held_column *out)
{
	const PgQuery__ColumnRef *c = node && node->node_case == PG_QUERY__NODE__NODE_COLUMN_REF
					      ? node->column_ref
					      : NULL;
	const char *table = c && c->n_fields == 2 ? node_string(c->fields[0]) : NULL;

	if (!c || c->n_fields > 2 || c->n_fields == 0 || (c->n_fields == 2 && !table) ||
		(c->n_fields == 1 && p->nsources != 1))
		return false;
	out->name = node_string(c->fields[c->n_fields - 1]);
	for (uint8_t i = 0; out->name && i < p->nsources; i++) {
		out->source = i;
		if (!table || strcmp(source_name(&p->source[i]), table) == 0)
			return true;
	}

	return false;
}

static bool is_held(const struct proof *p, const struct held_column *c)
{
	if (p->source[c->source].held)
		return true;
	for (uint8_t i = 0; i < p->ncolumns; i++)
		if (p->column[i].source == c->source && strcmp(p->column[i].name, c->name) == 0)
			return true;

	return false;
}

/* True: it was not held before. */
static bool hold_column(struct proof *p, const struct held_column *c)
{
	if (is_held(p, c) || p->ncolumns == COLUMNS_MAX)
		return false;
	p->column[p->ncolumns++] = *c;

	return true;
}

/* A column of a query around this one: one value for each time that this one runs. */
static bool is_outer_column(const struct proof *p, const PgQuery__Node *node)
{
	const PgQuery__ColumnRef *c =
		node->node_case == PG_QUERY__NODE__NODE_COLUMN_REF ? node->column_ref : NULL;
	const char *table = c && c->n_fields == 2 ? node_string(c->fields[0]) : NULL;

	if (!table || p->lost || !node_string(c->fields[1]))
		return false;
	for (uint8_t i = 0; i < p->nsources; i++)
		if (strcmp(source_name(&p->source[i]), table) == 0)
			return false;

	return true;
}

/* Something that has one value for all rows. A cast to a type in whose equality several values of
 * another type are one doesn't count. */
static bool is_constant(const struct proof *p, const PgQuery__Node *node)
{
	while (node && node->node_case == PG_QUERY__NODE__NODE_TYPE_CAST) {
		const PgQuery__TypeName *t = node->type_cast->type_name;
		const char *type = t ? list_name(t->names, t->n_names, NULL) : "";

		if (strcmp(type, "float4") == 0 || strcmp(type, "float8") == 0 ||
			strcmp(type, "bpchar") == 0)
			return false;
		node = node->type_cast->arg;
	}

	return node && (node->node_case == PG_QUERY__NODE__NODE_A_CONST ||
			       node->node_case == PG_QUERY__NODE__NODE_PARAM_REF ||
			       is_outer_column(p, node));
}

/* ---- conditions ---- */

static void add_equality(struct proof *p, const PgQuery__Node *left, const PgQuery__Node *right,
	const struct equality *kind)
{
	struct equality e = *kind;

	if (!locate(p, left, &e.a)) {
		const PgQuery__Node *other = left;

		left = right;
		right = other;
		if (!locate(p, left, &e.a))
			return;
	}
	if (!locate(p, right, &e.b)) {
		if (!is_constant(p, right))
			return;
		e.b.name = NULL;
	}
	if (p->nequalities < EQUALITIES_MAX)
		p->equality[p->nequalities++] = e;
}

static void add_conditions(struct proof *p, const PgQuery__Node *node, const struct equality *kind)
{
	if (!node)
		return;
	if (node->node_case == PG_QUERY__NODE__NODE_BOOL_EXPR &&
		node->bool_expr->boolop == PG_QUERY__BOOL_EXPR_TYPE__AND_EXPR) {
		for (size_t i = 0; i < node->bool_expr->n_args; i++)
			add_conditions(p, node->bool_expr->args[i], kind);
	} else if (node->node_case == PG_QUERY__NODE__NODE_A_EXPR &&
		   node->a_expr->kind == PG_QUERY__A__EXPR__KIND__AEXPR_OP &&
		   strcmp(list_name(node->a_expr->name, node->a_expr->n_name, NULL), "=") == 0) {
		add_equality(p, node->a_expr->lexpr, node->a_expr->rexpr, kind);
	}
}

/* ---- FROM ---- */

static void add_from(struct proof *p, const PgQuery__Node *node);

static void add_table(struct proof *p, const PgQuery__RangeVar *table)
{
	bool renamed = table->alias && table->alias->n_colnames > 0;
	bool cte = !*table->schemaname && walk_names_cte(p->w, table->relname);

	if (renamed || cte || p->nsources == SOURCES_MAX)
		p->lost = true;
	else
		p->source[p->nsources++].table = table;
}

/* Conditions are gathered once all names are known. */
static void add_join(struct proof *p, const PgQuery__JoinExpr *j)
{
	bool inner = j->jointype == PG_QUERY__JOIN_TYPE__JOIN_INNER;
	bool left = j->jointype == PG_QUERY__JOIN_TYPE__JOIN_LEFT && j->rarg &&
		    j->rarg->node_case == PG_QUERY__NODE__NODE_RANGE_VAR;

	if (j->alias || j->is_natural || j->n_using_clause > 0 || (!inner && !left)) {
		p->lost = true;
		return;
	}
	add_from(p, j->larg);
	add_from(p, j->rarg);
}

static void add_from(struct proof *p, const PgQuery__Node *node)
{
	if (node && node->node_case == PG_QUERY__NODE__NODE_RANGE_VAR)
		add_table(p, node->range_var);
	else if (node && node->node_case == PG_QUERY__NODE__NODE_JOIN_EXPR)
		add_join(p, node->join_expr);
	else
		p->lost = true;
}

/* Walks the joins again in the same order: `at` counts the tables passed. */
static void add_join_conditions(struct proof *p, const PgQuery__Node *node, uint8_t *at)
{
	struct equality kind = {.first = *at};
	const PgQuery__JoinExpr *j;

	if (node->node_case != PG_QUERY__NODE__NODE_JOIN_EXPR) {
		(*at)++;
		return;
	}
	j = node->join_expr;
	add_join_conditions(p, j->larg, at);
	kind.end = *at;
	kind.outer = j->jointype == PG_QUERY__JOIN_TYPE__JOIN_LEFT;
	add_join_conditions(p, j->rarg, at);
	add_conditions(p, j->quals, &kind);
}

static bool names_clash(const struct proof *p)
{
	for (uint8_t i = 0; i < p->nsources; i++)
		for (uint8_t k = (uint8_t)(i + 1); k < p->nsources; k++)
			if (strcmp(source_name(&p->source[i]), source_name(&p->source[k])) == 0)
				return true;

	return false;
}

/* ---- what follows ---- */

struct held_of {
	const struct proof *p;
	uint8_t source;
};

static bool holds_column(const void *self, const char *column)
{
	const struct held_of *h = self;
	struct held_column c = {h->source, column};

	return is_held(h->p, &c);
}

static bool left_held(const struct proof *p, const struct equality *e)
{
	for (uint8_t i = e->first; i < e->end; i++)
		if (!p->source[i].held)
			return false;

	return true;
}

static bool apply(struct proof *p, const struct equality *e)
{
	if (e->outer && !left_held(p, e))
		return false;
	if (!e->b.name || is_held(p, &e->b))
		return hold_column(p, &e->a);

	return is_held(p, &e->a) && hold_column(p, &e->b);
}

static void conclude(struct proof *p)
{
	bool more = true;

	while (more) {
		more = false;
		for (uint8_t i = 0; i < p->nequalities; i++)
			more |= apply(p, &p->equality[i]);
		for (uint8_t i = 0; i < p->nsources; i++) {
			const PgQuery__RangeVar *t = p->source[i].table;
			struct held_of h = {p, i};

			if (p->source[i].held || !catalogue_unique(p->w->catalogue,
							 *t->schemaname ? t->schemaname : NULL,
							 t->relname, holds_column, &h))
				continue;
			p->source[i].held = true;
			more = true;
		}
	}
}

static bool all_held(const struct proof *p)
{
	for (uint8_t i = 0; i < p->nsources; i++)
		if (!p->source[i].held)
			return false;

	return !p->lost;
}

/* ---- keys ---- */

static const PgQuery__ResTarget *target_at(const PgQuery__SelectStmt *s, int at)
{
	if (at < 0 || (size_t)at >= s->n_target_list ||
		s->target_list[at]->node_case != PG_QUERY__NODE__NODE_RES_TARGET)
		return NULL;

	return s->target_list[at]->res_target;
}

static bool is_star(const void *self, const ProtobufCMessage *m)
{
	(void)self;

	return m->descriptor == &pg_query__a__star__descriptor;
}

/* Behind a star nobody knows which column a number means. */
const PgQuery__Node *sort_key_expression(const PgQuery__SelectStmt *s, const PgQuery__Node *key)
{
	const PgQuery__ResTarget *t = target_at(s, order_key_column(s, key));

	if (key && key->node_case == PG_QUERY__NODE__NODE_A_CONST)
		for (size_t i = 0; i < s->n_target_list; i++)
			if (tree_any(&s->target_list[i]->base, is_star, NULL))
				return NULL;

	return t ? t->val : key;
}

static const PgQuery__Node *key_at(
	const PgQuery__SelectStmt *s, const struct order_keys *keys, unsigned list, size_t i)
{
	const PgQuery__Node *key = keys->list[list][i];

	if (key->node_case == PG_QUERY__NODE__NODE_SORT_BY)
		key = key->sort_by->n_use_op > 0 ? NULL : key->sort_by->node;

	return keys->of == KEYS_OF_OUTPUT ? sort_key_expression(s, key) : key;
}

static void hold_keys(struct proof *p, const struct order_keys *keys)
{
	struct held_column c;

	for (unsigned list = 0; list < 2; list++)
		for (size_t i = 0; i < keys->count[list]; i++)
			if (locate(p, key_at(p->select, keys, list, i), &c))
				hold_column(p, &c);
	if (keys->of != KEYS_OF_AGGREGATE)
		return;
	for (size_t i = 0; i < p->select->n_group_clause; i++) /* one value within a group */
		if (locate(p, p->select->group_clause[i], &c))
			hold_column(p, &c);
}

/* What x::text COLLATE "C" sorts: values that tie there are written alike. */
static const PgQuery__Node *below_text(const PgQuery__Node *key)
{
	const PgQuery__Node *arg = key->node_case == PG_QUERY__NODE__NODE_COLLATE_CLAUSE
					   ? key->collate_clause->arg
					   : NULL;
	const PgQuery__TypeName *type;

	if (!arg || arg->node_case != PG_QUERY__NODE__NODE_TYPE_CAST)
		return key;
	type = arg->type_cast->type_name;
	if (!type || strcmp(list_name(type->names, type->n_names, NULL), "text") != 0)
		return key;
	if (strcmp(list_name(key->collate_clause->collname, key->collate_clause->n_collname, NULL),
		    "C") != 0)
		return key;

	return arg->type_cast->arg;
}

static bool among(
	const PgQuery__SelectStmt *s, const struct order_keys *keys, const PgQuery__Node *node)
{
	for (unsigned list = 0; list < 2; list++) {
		for (size_t i = 0; i < keys->count[list]; i++) {
			const PgQuery__Node *key = key_at(s, keys, list, i);

			if (key && (tree_equal(node_message(key), node_message(node)) ||
					   tree_equal(node_message(below_text(key)),
						   node_message(node))))
				return true;
		}
	}

	return false;
}

/* ---- the SELECT around it ---- */

static bool is_set_call(const void *self, const ProtobufCMessage *m)
{
	const struct walk *w = self;
	const PgQuery__FuncCall *call = (const PgQuery__FuncCall *)m;
	const char *schema, *name;

	if (m->descriptor != &pg_query__func_call__descriptor)
		return false;
	name = list_name(call->funcname, call->n_funcname, &schema);

	return catalogue_function_set(w->catalogue, schema, name);
}

static bool multiplies(const struct proof *p)
{
	for (size_t i = 0; i < p->select->n_target_list; i++)
		if (tree_any(&p->select->target_list[i]->base, is_set_call, p->w))
			return true;

	return false;
}

/* One aggregate that certainly is one: then there is one row for each group. */
static bool aggregates(const PgQuery__SelectStmt *s)
{
	for (size_t i = 0; i < s->n_target_list; i++) {
		const PgQuery__ResTarget *t = target_at(s, (int)i);
		const PgQuery__FuncCall *call =
			t && t->val && t->val->node_case == PG_QUERY__NODE__NODE_FUNC_CALL
				? t->val->func_call
				: NULL;

		if (call && !call->over &&
			function_aggregates(list_name(call->funcname, call->n_funcname, NULL)))
			return true;
	}

	return false;
}

static bool group_held(
	const struct proof *p, const struct order_keys *keys, const PgQuery__Node *node)
{
	const PgQuery__ResTarget *t;
	struct held_column c;

	t = node->node_case == PG_QUERY__NODE__NODE_A_CONST
		    ? target_at(p->select, order_key_column(p->select, node))
		    : NULL;
	if (t)
		node = t->val;
	if (is_constant(p, node) || among(p->select, keys, node))
		return true;

	return locate(p, node, &c) && is_held(p, &c);
}

static bool groups_held(const struct proof *p, const struct order_keys *keys)
{
	for (size_t i = 0; i < p->select->n_group_clause; i++)
		if (!group_held(p, keys, p->select->group_clause[i]))
			return false;

	return true;
}

static bool has_grouping_sets(const PgQuery__SelectStmt *s)
{
	for (size_t i = 0; i < s->n_group_clause; i++)
		if (s->group_clause[i]->node_case == PG_QUERY__NODE__NODE_GROUPING_SET)
			return true;

	return false;
}

static bool prove(struct proof *p, const struct order_keys *keys)
{
	static const struct equality plain = {.outer = false};
	const PgQuery__SelectStmt *s = p->select;
	uint8_t at = 0;

	for (size_t i = 0; i < s->n_from_clause; i++)
		add_from(p, s->from_clause[i]);
	if (names_clash(p))
		p->lost = true;
	if (p->lost)
		p->nsources = 0; /* names may mean what was not understood */
	for (size_t i = 0; !p->lost && i < s->n_from_clause; i++)
		add_join_conditions(p, s->from_clause[i], &at);
	add_conditions(p, s->where_clause, &plain);
	hold_keys(p, keys);
	conclude(p);

	return all_held(p);
}

bool select_is_total(
	const struct walk *w, const PgQuery__SelectStmt *s, const struct order_keys *keys)
{
	struct proof p = {.w = w, .select = s};
	bool held;

	if (!w->catalogue || !s || s->op != PG_QUERY__SET_OPERATION__SETOP_NONE ||
		s->n_values_lists > 0 || s->group_distinct)
		return false;
	held = prove(&p, keys);
	if (keys->of == KEYS_OF_AGGREGATE)
		return held;
	if (has_grouping_sets(s) || (keys->of == KEYS_OF_OUTPUT && multiplies(&p)))
		return false;
	if (s->n_group_clause > 0)
		return held || groups_held(&p, keys);

	return held || aggregates(s);
}

bool sort_is_total(const struct walk *w, const PgQuery__SelectStmt *s)
{
	const struct order_keys keys = {
		.list = {s->sort_clause}, .count = {s->n_sort_clause}, .of = KEYS_OF_OUTPUT};

	return select_is_total(w, s, &keys);
}

bool sort_covers_output(const PgQuery__SelectStmt *s)
{
	const struct order_keys keys = {
		.list = {s->sort_clause}, .count = {s->n_sort_clause}, .of = KEYS_OF_OUTPUT};

	for (size_t i = 0; i < s->n_target_list; i++)
		if (!target_at(s, (int)i) || !among(s, &keys, target_at(s, (int)i)->val))
			return false;

	return s->n_target_list > 0;
}

bool aggregate_is_total(const struct walk *w, const PgQuery__FuncCall *call)
{
	const struct order_keys keys = {
		.list = {call->agg_order}, .count = {call->n_agg_order}, .of = KEYS_OF_AGGREGATE};
	bool covered = call->n_agg_order > 0;

	for (size_t i = 0; i < call->n_args; i++)
		covered &= call->args[i]->node_case == PG_QUERY__NODE__NODE_A_CONST ||
			   among(w->select, &keys, call->args[i]);

	return covered || select_is_total(w, w->select, &keys);
}

static const PgQuery__WindowDef *named_window(const PgQuery__SelectStmt *s, const char *name)
{
	for (size_t i = 0; s && i < s->n_window_clause; i++) {
		const PgQuery__Node *node = s->window_clause[i];

		if (node->node_case == PG_QUERY__NODE__NODE_WINDOW_DEF &&
			strcmp(node->window_def->name, name) == 0)
			return node->window_def;
	}

	return NULL;
}

bool window_is_total(const struct walk *w, const PgQuery__WindowDef *window)
{
	const PgQuery__WindowDef *base = NULL;
	struct order_keys keys = {.of = KEYS_OF_WINDOW};

	if (*window->name && window->n_order_clause + window->n_partition_clause == 0 &&
		!*window->refname) /* OVER name */
		window = named_window(w->select, window->name);
	if (window && *window->refname) { /* OVER (name ORDER BY ...) */
		base = named_window(w->select, window->refname);
		if (!base || *base->refname)
			return false;
	}
	if (!window)
		return false;
	if (!base || window->n_order_clause > 0) {
		keys.list[1] = window->order_clause;
		keys.count[1] = window->n_order_clause;
	} else {
		keys.list[1] = base->order_clause;
		keys.count[1] = base->n_order_clause;
	}
	keys.list[0] = base ? base->partition_clause : window->partition_clause;
	keys.count[0] = base ? base->n_partition_clause : window->n_partition_clause;

	return select_is_total(w, w->select, &keys);
}

#include "proxy/shadow/classify_parts.h"

/* Which output columns come from an aggregate whose value depends, in floating point, on the order
 * in which rows are taken? Followed through subqueries, CTEs and set operations; what stands in a
 * view is not seen. A column too many does no harm: only floats are compared by it. */

enum { DEPTH_MAX = 16, COLUMNS = 64 };

/* A SELECT and those around it, whose CTEs it may use. */
struct scope {
	const PgQuery__SelectStmt *select;
	const struct scope *outer;
	unsigned depth;
};

static uint64_t outputs(const struct scope *s);

static bool is_summing(const char *name)
{
	static const char *const names[] = {"sum", "avg", "stddev", "stddev_pop", "stddev_samp",
		"variance", "var_pop", "var_samp", "corr", "covar_pop", "covar_samp", "regr_avgx",
		"regr_avgy", "regr_intercept", "regr_r2", "regr_slope", "regr_sxx", "regr_sxy",
		"regr_syy", "percentile_cont", NULL};

	for (const char *const *n = names; *n; n++)
		if (strcmp(name, *n) == 0)
			return true;

	return false;
}

static uint64_t select_outputs(const PgQuery__Node *query, const struct scope *s)
{
	struct scope inner = {.outer = s, .depth = s->depth + 1};

	if (!query || query->node_case != PG_QUERY__NODE__NODE_SELECT_STMT ||
		inner.depth > DEPTH_MAX)
		return 0;
	inner.select = query->select_stmt;

	return outputs(&inner);
}

/* ---- names ---- */

static const char *target_name(const PgQuery__ResTarget *t)
{
	if (t->name && *t->name)
		return t->name;
	if (t->val && t->val->node_case == PG_QUERY__NODE__NODE_COLUMN_REF &&
		t->val->column_ref->n_fields > 0)
		return node_string(t->val->column_ref->fields[t->val->column_ref->n_fields - 1]);
	if (t->val && t->val->node_case == PG_QUERY__NODE__NODE_FUNC_CALL)
		return list_name(t->val->func_call->funcname, t->val->func_call->n_funcname, NULL);

	return NULL;
}

static const PgQuery__CommonTableExpr *find_cte(const struct scope *s, const char *name)
{
	for (; s; s = s->outer) {
		const PgQuery__WithClause *with = s->select->with_clause;

		for (size_t i = 0; with && i < with->n_ctes; i++)
			if (strcmp(with->ctes[i]->common_table_expr->ctename, name) == 0)
				return with->ctes[i]->common_table_expr;
	}

	return NULL;
}

/* A query in FROM: what it is called, its query, the names that it gives its columns. */
struct derived {
	const char *name;
	const PgQuery__Node *query;
	PgQuery__Node *const *column;
	size_t ncolumns;
};

static bool derived_of(const PgQuery__Node *from, const struct scope *s, struct derived *out)
{
	const PgQuery__Alias *alias = NULL;

	*out = (struct derived){0};
	if (from->node_case == PG_QUERY__NODE__NODE_RANGE_SUBSELECT) {
		out->query = from->range_subselect->subquery;
		alias = from->range_subselect->alias;
	} else if (from->node_case == PG_QUERY__NODE__NODE_RANGE_VAR &&
		   !*from->range_var->schemaname) {
		const PgQuery__CommonTableExpr *cte = find_cte(s, from->range_var->relname);

		if (!cte)
			return false;
		out->name = cte->ctename;
		out->query = cte->ctequery;
		out->column = cte->aliascolnames;
		out->ncolumns = cte->n_aliascolnames;
		alias = from->range_var->alias;
	}
	if (alias) {
		out->name = alias->aliasname;
		if (alias->n_colnames > 0) {
			out->column = alias->colnames;
			out->ncolumns = alias->n_colnames;
		}
	}

	return out->query != NULL;
}

static bool names_column(
	const struct derived *d, const PgQuery__SelectStmt *leftmost, size_t i, const char *name)
{
	const PgQuery__Node *target = leftmost->target_list[i];
	const char *own;

	if (i < d->ncolumns)
		own = node_string(d->column[i]);
	else
		own = target->node_case == PG_QUERY__NODE__NODE_RES_TARGET
			      ? target_name(target->res_target)
			      : NULL;

	return !own || strcmp(own, name) == 0; /* a star may hold any name */
}

static bool derived_column_sums(const struct derived *d, const struct scope *s, const char *name)
{
	uint64_t bits = select_outputs(d->query, s);
	const PgQuery__SelectStmt *leftmost;

	if (bits == 0)
		return false;
	leftmost = d->query->select_stmt;
	while (leftmost->larg)
		leftmost = leftmost->larg;
	for (size_t i = 0; i < leftmost->n_target_list && i < COLUMNS; i++)
		if (names_column(d, leftmost, i, name) && bits >> i & 1)
			return true;

	return false;
}

static bool from_column_sums(
	const PgQuery__Node *from, const struct scope *s, const char *table, const char *name)
{
	struct derived d;

	if (!from)
		return false;
	if (from->node_case == PG_QUERY__NODE__NODE_JOIN_EXPR)
		return from_column_sums(from->join_expr->larg, s, table, name) ||
		       from_column_sums(from->join_expr->rarg, s, table, name);
	if (!derived_of(from, s, &d) || (table && (!d.name || strcmp(d.name, table) != 0)))
		return false;

	return derived_column_sums(&d, s, name);
}

static bool column_sums(const struct scope *s, const PgQuery__ColumnRef *c)
{
	const char *name = c->n_fields > 0 ? node_string(c->fields[c->n_fields - 1]) : NULL;
	const char *table = c->n_fields > 1 ? node_string(c->fields[c->n_fields - 2]) : NULL;

	for (size_t i = 0; name && i < s->select->n_from_clause; i++)
		if (from_column_sums(s->select->from_clause[i], s, table, name))
			return true;

	return false;
}

/* ---- outputs ---- */

static bool sums(const void *self, const ProtobufCMessage *m)
{
	if (m->descriptor == &pg_query__func_call__descriptor) {
		const PgQuery__FuncCall *call = (const PgQuery__FuncCall *)m;

		return is_summing(list_name(call->funcname, call->n_funcname, NULL));
	}

	return m->descriptor == &pg_query__column_ref__descriptor &&
	       column_sums(self, (const PgQuery__ColumnRef *)m);
}

static bool is_star(const PgQuery__Node *node)
{
	const PgQuery__ColumnRef *c =
		node->node_case == PG_QUERY__NODE__NODE_COLUMN_REF ? node->column_ref : NULL;

	return c && c->n_fields > 0 &&
	       c->fields[c->n_fields - 1]->node_case == PG_QUERY__NODE__NODE_A_STAR;
}

/* Of the only query in FROM; what comes behind a star stands where nobody knows. */
static uint64_t star_outputs(const struct scope *s)
{
	struct derived d;

	if (s->select->n_from_clause != 1 || !derived_of(s->select->from_clause[0], s, &d))
		return 0;

	return select_outputs(d.query, s);
}

static uint64_t outputs(const struct scope *s)
{
	uint64_t bits = 0;

	if (s->select->larg && s->select->rarg && s->depth < DEPTH_MAX) {
		struct scope left = {s->select->larg, s, s->depth + 1},
			     right = {s->select->rarg, s, s->depth + 1};

		return outputs(&left) | outputs(&right);
	}
	for (size_t i = 0; i < s->select->n_target_list && i < COLUMNS; i++) {
		const PgQuery__Node *t = s->select->target_list[i];

		if (t->node_case != PG_QUERY__NODE__NODE_RES_TARGET || !t->res_target->val)
			return bits;
		if (is_star(t->res_target->val))
			return bits | star_outputs(s) << i;
		if (tree_any(&t->res_target->val->base, sums, s))
			bits |= UINT64_C(1) << i;
	}

	return bits;
}

uint64_t summed_columns(const PgQuery__SelectStmt *select)
{
	const struct scope s = {.select = select};

	return outputs(&s);
}

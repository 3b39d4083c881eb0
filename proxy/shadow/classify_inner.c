#include "proxy/shadow/classify_parts.h"

#include <pg_query.h>
#include <stdlib.h>

/* Rewrites a statement so that nothing in its answer depends on an order that it leaves free, and
 *all that it chooses from can be seen:
 *
 *	string_agg(x, ',')              string_agg(x, ',' order by x::text collate "C")
 *	row_number() over w             rank() over w
 *	lag(x) over w                   x
 *	rows between ...                range, its default
 *	order by k limit 3              order by k fetch first 3 rows with ties
 *	limit 3                         limit 1003 (at the top): all, where they are fewer
 *	distinct on (a) ... order by b  where rank() over (partition by a order by b) = 1
 *	array(select x ...)             array(select x ... order by x::text collate "C")
 *	order by hidden                 hidden, ... order by 1
 *
 * Two servers with the same rows then give the same answer. What has no such form stays, and the
 * caller sees by classifying the new text that it still leaks. */
enum { TOP_ROWS_MORE = 1000, FRAME_DEFAULT = 0x422 /* RANGE UNBOUNDED PRECEDING */ };

struct rewriting {
	struct walk w; /* the catalogue, the CTEs met, the SELECT that is being walked */
	PgQuery__SelectStmt *top;
	const PgQuery__SelectStmt *derived; /* the SELECT that FROM or WITH gives a name */
	const PgQuery__Node *output;	    /* an expression of the top's output */
	int64_t limit_rows;		    /* value of the top's LIMIT, 0: not known */
	bool failed, changed;
};

static void rewrite(struct rewriting *r, ProtobufCMessage *m);
static void rewrite_below(struct rewriting *r, ProtobufCMessage *m);

/* ---- pieces of trees; all owned by the tree that they end in ---- */

static PgQuery__ParseResult *parse_piece(const char *sql)
{
	PgQueryProtobufParseResult result = pg_query_parse_protobuf(sql);
	PgQuery__ParseResult *tree = NULL;

	if (!result.error)
		tree = pg_query__parse_result__unpack(
			NULL, result.parse_tree.len, (const uint8_t *)result.parse_tree.data);
	pg_query_free_protobuf_parse_result(result);

	return tree;
}

static void free_node(PgQuery__Node *node)
{
	if (node)
		pg_query__node__free_unpacked(node, NULL);
}

/* The first output column of "SELECT ...", or its expression alone. NULL: no memory. */
static PgQuery__Node *piece(struct rewriting *r, const char *sql, bool expression)
{
	PgQuery__ParseResult *tree = parse_piece(sql);
	PgQuery__Node *node = NULL, **from;

	if (tree) {
		from = &tree->stmts[0]->stmt->select_stmt->target_list[0];
		if (expression)
			from = &(*from)->res_target->val;
		node = *from;
		*from = NULL;
		if (!expression) /* a list of one holds nothing now */
			tree->stmts[0]->stmt->select_stmt->n_target_list = 0;
		pg_query__parse_result__free_unpacked(tree, NULL);
	}
	r->failed |= !node;

	return node;
}

static PgQuery__Node *copy(struct rewriting *r, const PgQuery__Node *node)
{
	size_t len = pg_query__node__get_packed_size(node);
	uint8_t *packed = malloc(len ? len : 1);
	PgQuery__Node *other = NULL;

	if (packed) {
		pg_query__node__pack(node, packed);
		other = pg_query__node__unpack(NULL, len, packed);
	}
	free(packed);
	r->failed |= !other;

	return other;
}

/* `to` takes over what `from` is; what `to` was must have been taken away. */
static void become(PgQuery__Node *to, PgQuery__Node *from)
{
	*to = *from;
	free(from);
}

static void put(PgQuery__Node **slot, PgQuery__Node *node)
{
	free_node(*slot);
	*slot = node;
}

static bool append(struct rewriting *r, PgQuery__Node ***list, size_t *count, PgQuery__Node *node)
{
	PgQuery__Node **grown = node ? realloc(*list, (*count + 1) * sizeof *grown) : NULL;

	if (!grown) {
		free_node(node);
		r->failed = true;
		return false;
	}
	*list = grown;
	grown[(*count)++] = node;
	r->changed = true;

	return true;
}

static void clear(PgQuery__Node ***list, size_t *count)
{
	for (size_t i = 0; i < *count; i++)
		free_node((*list)[i]);
	free(*list);
	*list = NULL;
	*count = 0;
}

static PgQuery__Node *number(struct rewriting *r, int32_t value)
{
	PgQuery__Node *node = piece(r, "SELECT 1", true);

	if (node)
		node->a_const->ival->ival = value;

	return node;
}

/* ---- calls ---- */

/* A key that puts any values in one order: a SortBy. */
static PgQuery__Node *text_key(struct rewriting *r, const PgQuery__Node *of)
{
	PgQuery__ParseResult *tree =
		parse_piece("SELECT ORDER BY x::pg_catalog.text COLLATE pg_catalog.\"C\"");
	PgQuery__Node *argument = copy(r, of), *key = NULL;

	if (tree && argument) {
		PgQuery__SelectStmt *s = tree->stmts[0]->stmt->select_stmt;

		key = s->sort_clause[0];
		s->n_sort_clause = 0;
		put(&key->sort_by->node->collate_clause->arg->type_cast->arg, argument);
		argument = NULL;
	}
	if (tree)
		pg_query__parse_result__free_unpacked(tree, NULL);
	free_node(argument);
	r->failed |= !key;

	return key;
}

static void sort_input(struct rewriting *r, PgQuery__FuncCall *call)
{
	for (size_t i = 0; i < call->n_args && !r->failed; i++)
		if (call->args[i]->node_case != PG_QUERY__NODE__NODE_A_CONST)
			(void)append(r, &call->agg_order, &call->n_agg_order,
				text_key(r, call->args[i]));
}

/* Its rank in place of its number. */
static void number_by_rank(struct rewriting *r, PgQuery__Node *node, bool small)
{
	PgQuery__Node *rank = piece(r,
		small ? "SELECT pg_catalog.rank()::pg_catalog.int4" : "SELECT pg_catalog.rank()",
		true);
	PgQuery__FuncCall *call, *old = node->func_call;

	if (!rank)
		return;
	call = small ? rank->type_cast->arg->func_call : rank->func_call;
	call->over = old->over;
	old->over = NULL;
	pg_query__func_call__free_unpacked(old, NULL);
	become(node, rank);
	r->changed = true;
}

/* The value itself in place of that of another row. */
static void value_itself(struct rewriting *r, PgQuery__Node *node)
{
	PgQuery__FuncCall *call = node->func_call;
	PgQuery__Node *value = call->args[0];

	call->args[0] = number(r, 0);
	pg_query__func_call__free_unpacked(call, NULL);
	become(node, value);
	r->changed = true;
}

static void rewrite_call(struct rewriting *r, PgQuery__Node *node)
{
	PgQuery__FuncCall *call = node->func_call;
	const char *name = list_name(call->funcname, call->n_funcname, NULL);
	bool total =
		call->over ? window_is_total(&r->w, call->over) : aggregate_is_total(&r->w, call);
	bool ntile = strcmp(name, "ntile") == 0, row_number = strcmp(name, "row_number") == 0;
	bool window = call->over && window_leaks(name);
	bool aggregate = !call->over && aggregate_leaks(name) && !call->agg_distinct;

	rewrite_below(r, &call->base);
	if (total || r->failed)
		return;
	if (aggregate && !call->agg_within_group)
		sort_input(r, call);
	else if (window && (ntile || row_number))
		number_by_rank(r, node, ntile);
	else if (window && call->n_args > 0 && call->n_args <= 3)
		value_itself(r, node);
}

static void rewrite_window(struct rewriting *r, PgQuery__WindowDef *window)
{
	bool rows = (window->frame_options & FRAME_ROWS) && !window_is_total(&r->w, window);

	rewrite_below(r, &window->base);
	if (!rows)
		return;
	window->frame_options = FRAME_DEFAULT;
	put(&window->start_offset, NULL);
	put(&window->end_offset, NULL);
	r->changed = true;
}

/* ---- subqueries as values ---- */

/* The rows of a subquery of one column as an array, in one order. */
static void as_sorted_array(struct rewriting *r, PgQuery__Node *node)
{
	PgQuery__Node *array = piece(r,
		"SELECT ARRAY(SELECT q.v FROM (SELECT 1) AS q(v)"
		" ORDER BY q.v::pg_catalog.text COLLATE pg_catalog.\"C\")",
		true);
	PgQuery__SubLink *old = node->sub_link;
	PgQuery__SelectStmt *s;

	if (!array)
		return;
	s = array->sub_link->subselect->select_stmt;
	put(&s->from_clause[0]->range_subselect->subquery, old->subselect);
	old->subselect = NULL;
	pg_query__sub_link__free_unpacked(old, NULL);
	become(node, array);
	r->changed = true;
}

static void rewrite_sublink(struct rewriting *r, PgQuery__Node *node)
{
	PgQuery__SubLink *l = node->sub_link;
	const PgQuery__SelectStmt *s =
		l->subselect && l->subselect->node_case == PG_QUERY__NODE__NODE_SELECT_STMT
			? l->subselect->select_stmt
			: NULL;
	bool unsorted = false;

	if (s && l->sub_link_type == PG_QUERY__SUB_LINK_TYPE__ARRAY_SUBLINK)
		unsorted = !sort_covers_output(s) && !sort_is_total(&r->w, s);
	if (s && l->sub_link_type == PG_QUERY__SUB_LINK_TYPE__EXPR_SUBLINK && r->output == node)
		unsorted = select_limits(s) && s->n_sort_clause > 0 && !sort_is_total(&r->w, s);
	rewrite_below(r, &l->base);
	if (unsorted && !r->failed)
		as_sorted_array(r, node);
}

/* ---- the choice of rows ---- */

/* count + offset */
static void add_offset(struct rewriting *r, PgQuery__SelectStmt *s)
{
	PgQuery__Node *sum = piece(r, "SELECT (1::pg_catalog.int8 + 1::pg_catalog.int8)", true);

	if (!sum)
		return;
	put(&sum->a_expr->lexpr->type_cast->arg, s->limit_count);
	put(&sum->a_expr->rexpr->type_cast->arg, s->limit_offset);
	s->limit_count = sum;
	s->limit_offset = NULL;
}

static void widen_limit(struct rewriting *r, PgQuery__SelectStmt *s)
{
	if (s->n_sort_clause > 0) {
		if (s->limit_count && s->limit_offset)
			add_offset(r, s);
		else
			put(&s->limit_offset, NULL);
		if (s->limit_count)
			s->limit_option = PG_QUERY__LIMIT_OPTION__LIMIT_OPTION_WITH_TIES;
		r->changed = true;
	} else if (s == r->top && !s->limit_offset && r->limit_rows > 0 &&
		   r->limit_rows < INT32_MAX - TOP_ROWS_MORE) {
		put(&s->limit_count, number(r, (int32_t)r->limit_rows + TOP_ROWS_MORE));
		r->changed = true;
	}
}

/* Copies of the expressions that ORDER BY or DISTINCT ON stand for. */
static bool copy_keys(struct rewriting *r, const PgQuery__SelectStmt *s, PgQuery__Node **keys,
	size_t n, PgQuery__Node ***list, size_t *count)
{
	for (size_t i = 0; i < n; i++) {
		bool sort = keys[i]->node_case == PG_QUERY__NODE__NODE_SORT_BY;
		const PgQuery__Node *expression =
			sort_key_expression(s, sort ? keys[i]->sort_by->node : keys[i]);
		PgQuery__Node *own = expression ? copy(r, sort ? keys[i] : expression) : NULL;

		r->failed |= !expression;
		if (own && sort)
			put(&own->sort_by->node, copy(r, expression));
		if (!append(r, list, count, own))
			return false;
	}

	return !r->failed;
}

/* All rows among which DISTINCT ON chooses: those that come first in their group. */
static void rank_rows(struct rewriting *r, PgQuery__SelectStmt *s)
{
	PgQuery__Node *rank = piece(r, "SELECT pg_catalog.rank() OVER () AS pgumbra_rank", false);
	PgQuery__ParseResult *tree = parse_piece(
		"SELECT * FROM (SELECT 1) AS pgumbra_rows WHERE pgumbra_rows.pgumbra_rank = 1");
	PgQuery__SelectStmt *around = tree ? tree->stmts[0]->stmt->select_stmt : NULL, swap;
	PgQuery__WindowDef *over = rank ? rank->res_target->val->func_call->over : NULL;
	PgQuery__SelectStmt **inner;

	if (!over || !around ||
		!copy_keys(r, s, s->distinct_clause, s->n_distinct_clause, &over->partition_clause,
			&over->n_partition_clause) ||
		!copy_keys(r, s, s->sort_clause, s->n_sort_clause, &over->order_clause,
			&over->n_order_clause)) {
		free_node(rank);
		r->failed = true;
	} else if (append(r, &s->target_list, &s->n_target_list, rank)) {
		clear(&s->distinct_clause, &s->n_distinct_clause);
		clear(&s->sort_clause, &s->n_sort_clause);
		inner = &around->from_clause[0]->range_subselect->subquery->select_stmt;
		swap = *s;
		*s = *around;
		*around = swap;
		/* `around` is the inner one now, and the "SELECT 1" goes with the tree. */
		tree->stmts[0]->stmt->select_stmt = *inner;
		*inner = around;
	}
	if (tree)
		pg_query__parse_result__free_unpacked(tree, NULL);
}

/* ---- hidden keys ---- */

static bool hides_keys(const PgQuery__SelectStmt *s)
{
	struct order_rule rule = {.ordered = false};

	order_rule_of(s, &rule);
	if (s->n_sort_clause >= COMPARE_MAX_KEYS)
		return false;
	for (unsigned i = 0; i < rule.nkeys; i++)
		if (rule.keys[i].column < 0)
			return true;

	return false;
}

/* Numbers of output columns in GROUP BY move behind the keys. */
static void shift_groups(PgQuery__SelectStmt *s, size_t by)
{
	for (size_t i = 0; i < s->n_group_clause; i++)
		if (s->group_clause[i]->node_case == PG_QUERY__NODE__NODE_A_CONST &&
			s->group_clause[i]->a_const->val_case == PG_QUERY__A__CONST__VAL_IVAL)
			s->group_clause[i]->a_const->ival->ival += (int32_t)by;
}

/* The keys become the first output columns. */
static void show_keys(struct rewriting *r, PgQuery__SelectStmt *s)
{
	PgQuery__Node **keys = NULL, **targets = NULL;
	size_t n = s->n_sort_clause, count = 0, ntargets = 0;

	if (!copy_keys(r, s, s->sort_clause, n, &keys, &count)) {
		clear(&keys, &count);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		PgQuery__Node *target = piece(r, "SELECT 1 AS pgumbra_key", false);

		if (!append(r, &targets, &ntargets, target))
			break;
		put(&target->res_target->val, keys[i]->sort_by->node);
		keys[i]->sort_by->node = NULL;
		put(&s->sort_clause[i]->sort_by->node, number(r, (int32_t)i + 1));
	}
	clear(&keys, &count);
	for (size_t i = 0; i < s->n_target_list; i++)
		(void)append(r, &targets, &ntargets, s->target_list[i]); /* or freed */
	free(s->target_list);
	s->target_list = targets;
	s->n_target_list = ntargets;
	shift_groups(s, n);
}

/* ---- the walk ---- */

static void rewrite_select(struct rewriting *r, PgQuery__SelectStmt *s)
{
	const PgQuery__SelectStmt *outer = r->w.select;
	bool total, nameable = s == r->top || s == r->derived;

	r->w.select = s;
	walk_note_ctes(&r->w, s->with_clause);
	total = sort_is_total(&r->w, s);
	rewrite_below(r, &s->base);
	if (!total && !r->failed) {
		if (!select_distinct_on(s)) {
			if (select_limits(s) &&
				s->limit_option != PG_QUERY__LIMIT_OPTION__LIMIT_OPTION_WITH_TIES)
				widen_limit(r, s);
			if (s == r->top && hides_keys(s) && s->n_values_lists == 0 &&
				s->op == PG_QUERY__SET_OPERATION__SETOP_NONE)
				show_keys(r, s);
		} else if (nameable && !select_limits(s)) {
			rank_rows(r, s);
		}
	}
	r->w.select = outer;
}

static const PgQuery__SelectStmt *select_in(const PgQuery__Node *node)
{
	return node && node->node_case == PG_QUERY__NODE__NODE_SELECT_STMT ? node->select_stmt
									   : NULL;
}

static void rewrite_node(struct rewriting *r, PgQuery__Node *node)
{
	switch (node->node_case) {
	case PG_QUERY__NODE__NODE_FUNC_CALL: rewrite_call(r, node); return;
	case PG_QUERY__NODE__NODE_SUB_LINK: rewrite_sublink(r, node); return;
	case PG_QUERY__NODE__NODE_RANGE_SUBSELECT:
		r->derived = select_in(node->range_subselect->subquery);
		break;
	case PG_QUERY__NODE__NODE_COMMON_TABLE_EXPR:
		r->derived = select_in(node->common_table_expr->ctequery);
		break;
	case PG_QUERY__NODE__NODE_RES_TARGET:
		if (r->w.select == r->top)
			r->output = node->res_target->val;
		break;
	default: break;
	}
	rewrite_below(r, &node->base);
}

static void rewrite_below(struct rewriting *r, ProtobufCMessage *m)
{
	void *const *child;
	unsigned first, end;

	for (field_range(m, &first, &end); first < end; first++)
		for (size_t n = field_messages(m, &m->descriptor->fields[first], &child);
			n > 0 && !r->failed; n--, child++)
			if (*child)
				rewrite(r, *child);
}

static void rewrite(struct rewriting *r, ProtobufCMessage *m)
{
	if (m->descriptor == &pg_query__node__descriptor)
		rewrite_node(r, (PgQuery__Node *)m);
	else if (m->descriptor == &pg_query__select_stmt__descriptor)
		rewrite_select(r, (PgQuery__SelectStmt *)m);
	else if (m->descriptor == &pg_query__window_def__descriptor)
		rewrite_window(r, (PgQuery__WindowDef *)m);
	else
		rewrite_below(r, m);
}

static char *deparse(const PgQuery__ParseResult *tree)
{
	size_t len = pg_query__parse_result__get_packed_size(tree);
	uint8_t *packed = malloc(len ? len : 1);
	PgQueryDeparseResult result;
	char *text;

	if (!packed)
		return NULL;
	pg_query__parse_result__pack(tree, packed);
	result = pg_query_deparse_protobuf((PgQueryProtobuf){len, (char *)packed});
	text = result.error ? NULL : strdup(result.query);
	pg_query_free_deparse_result(result);
	free(packed);

	return text;
}

char *inner_rows_of(const struct catalogue *catalogue, const struct classifier_options *options,
	PgQuery__ParseResult *tree, int64_t limit_rows)
{
	struct statement scratch = {.references = 1};
	struct rewriting r = {.limit_rows = limit_rows};
	PgQuery__Node *stmt = tree->n_stmts == 1 ? tree->stmts[0]->stmt : NULL;

	if (!catalogue || !select_in(stmt))
		return NULL;
	walk_init(&r.w, catalogue, options, &scratch);
	r.top = stmt->select_stmt;
	rewrite_select(&r, r.top);

	return r.failed || !r.changed ? NULL : deparse(tree);
}

#include "proxy/shadow/classify_parts.h"

#include <stdio.h>
#include <stdlib.h>

/* The SELECT whose target list names the output columns: of a set operation the leftmost. */
static const PgQuery__SelectStmt *output_select(const PgQuery__SelectStmt *s)
{
	while (s->larg)
		s = s->larg;
	return s;
}

static const PgQuery__ColumnRef *column_ref(const PgQuery__Node *node)
{
	return node && node->node_case == PG_QUERY__NODE__NODE_COLUMN_REF ? node->column_ref : NULL;
}

/* Last name of a column reference; NULL for a star. */
static const char *column_name(const PgQuery__ColumnRef *c)
{
	return c->n_fields > 0 ? node_string(c->fields[c->n_fields - 1]) : NULL;
}

static bool is_star(const PgQuery__Node *node)
{
	const PgQuery__ColumnRef *c = column_ref(node);

	if (c)
		return !column_name(c);
	if (node && node->node_case == PG_QUERY__NODE__NODE_A_INDIRECTION) { /* (f()).* */
		const PgQuery__AIndirection *i = node->a_indirection;

		return i->n_indirection > 0 && i->indirection[i->n_indirection - 1]->node_case ==
						       PG_QUERY__NODE__NODE_A_STAR;
	}
	return false;
}

/* Name of an output column, as far as ORDER BY commonly refers to it; NULL if it has none that we
 * know. */
static const char *output_name(const PgQuery__ResTarget *t)
{
	if (t->name && *t->name)
		return t->name;
	if (column_ref(t->val))
		return column_name(column_ref(t->val));
	if (t->val && t->val->node_case == PG_QUERY__NODE__NODE_FUNC_CALL)
		return list_name(t->val->func_call->funcname, t->val->func_call->n_funcname, NULL);
	return NULL;
}

/* One plain relation and no join: an unqualified column can only be its own. */
static bool single_relation(const PgQuery__SelectStmt *s)
{
	return s->n_from_clause == 1 &&
	       s->from_clause[0]->node_case == PG_QUERY__NODE__NODE_RANGE_VAR;
}

static bool same_column(
	const PgQuery__SelectStmt *s, const PgQuery__Node *target, const PgQuery__Node *key)
{
	const PgQuery__ColumnRef *a = column_ref(target), *b = column_ref(key);

	if (!a || !b || !single_relation(s) || !column_name(a) || !column_name(b))
		return false;
	return (a->n_fields == 1 || b->n_fields == 1) &&
	       strcmp(column_name(a), column_name(b)) == 0;
}

static bool target_matches(
	const PgQuery__SelectStmt *s, const PgQuery__ResTarget *t, const PgQuery__Node *key)
{
	const PgQuery__ColumnRef *c = column_ref(key);

	if (c && c->n_fields == 1) { /* a bare name is an output name first */
		const char *name = output_name(t);

		if (name && column_name(c) && strcmp(name, column_name(c)) == 0)
			return true;
	}
	return tree_equal(node_message(t->val), node_message(key)) || same_column(s, t->val, key);
}

static bool names_output(const PgQuery__ResTarget *t, const char *name)
{
	const char *own = output_name(t);

	return own && strcmp(own, name) == 0;
}

/* An alias that hides the column of the same name wins over structure: look for names first. */
static int target_index(const PgQuery__SelectStmt *s, const PgQuery__Node *key)
{
	const PgQuery__ColumnRef *c = column_ref(key);
	const char *name = c && c->n_fields == 1 ? column_name(c) : NULL;

	for (int pass = name ? 0 : 1; pass < 2; pass++) {
		for (size_t i = 0; i < s->n_target_list; i++) {
			const PgQuery__ResTarget *t;

			if (s->target_list[i]->node_case != PG_QUERY__NODE__NODE_RES_TARGET)
				return -1;
			t = s->target_list[i]->res_target;
			if (is_star(t->val))
				return -1; /* positions from here on are unknown */
			if (pass == 0 ? names_output(t, name) : target_matches(s, t, key))
				return (int)i;
		}
	}
	return -1;
}

/* VALUES names its columns column1, column2, ... */
static int values_index(const PgQuery__Node *key)
{
	const PgQuery__ColumnRef *c = column_ref(key);
	const char *name = c ? column_name(c) : NULL;
	long n;

	if (!name || strncmp(name, "column", 6) != 0)
		return -1;
	n = strtol(name + 6, NULL, 10);

	return n > 0 && n <= INT16_MAX ? (int)n - 1 : -1;
}

int order_key_column(const PgQuery__SelectStmt *output, const PgQuery__Node *key)
{
	if (!key)
		return -1;
	if (key->node_case == PG_QUERY__NODE__NODE_A_CONST &&
		key->a_const->val_case == PG_QUERY__A__CONST__VAL_IVAL) {
		int32_t ordinal = key->a_const->ival->ival;

		return ordinal > 0 && ordinal <= INT16_MAX ? ordinal - 1 : -1;
	}
	if (output->n_values_lists > 0)
		return values_index(key);

	return target_index(output, key);
}

static struct sort_key key_of(const PgQuery__SelectStmt *output, const PgQuery__SortBy *s)
{
	struct sort_key key = {.column = (int16_t)order_key_column(output, s->node)};

	if (s->sortby_dir == PG_QUERY__SORT_BY_DIR__SORTBY_DESC)
		key.descending = true;
	if (s->sortby_dir == PG_QUERY__SORT_BY_DIR__SORTBY_USING) {
		const char *op = list_name(s->use_op, s->n_use_op, NULL);

		key.descending = strcmp(op, ">") == 0;
		if (!key.descending && strcmp(op, "<") != 0)
			key.column = -1;
	}
	return key;
}

static const PgQuery__AConst *constant(const PgQuery__Node *node)
{
	return node && node->node_case == PG_QUERY__NODE__NODE_A_CONST ? node->a_const : NULL;
}

bool select_limits(const PgQuery__SelectStmt *s)
{
	const PgQuery__AConst *count = constant(s->limit_count),
			      *offset = constant(s->limit_offset);

	if (s->limit_count && !(count && count->isnull)) /* LIMIT ALL is none */
		return true;
	if (offset && offset->val_case == PG_QUERY__A__CONST__VAL_IVAL && offset->ival->ival == 0)
		return false;

	return s->limit_offset != NULL;
}

/* How many rows the limit lets through, where that is written down or a parameter. */
static void note_limit(const PgQuery__SelectStmt *s, struct order_rule *rule)
{
	const PgQuery__AConst *count = constant(s->limit_count);

	if (s->limit_option == PG_QUERY__LIMIT_OPTION__LIMIT_OPTION_WITH_TIES)
		rule->with_ties = true;
	else if (count && count->val_case == PG_QUERY__A__CONST__VAL_IVAL && count->ival->ival > 0)
		rule->limit_rows = count->ival->ival;
	else if (s->limit_count && s->limit_count->node_case == PG_QUERY__NODE__NODE_PARAM_REF &&
		 s->limit_count->param_ref->number <= UINT16_MAX)
		rule->limit_param = (uint16_t)s->limit_count->param_ref->number;
}

void order_rule_of(const PgQuery__SelectStmt *s, struct order_rule *rule)
{
	const PgQuery__SelectStmt *output = output_select(s);

	rule->ordered = s->n_sort_clause > 0;
	rule->limited = select_limits(s);
	rule->offset = s->limit_offset != NULL;
	note_limit(s, rule);
	for (size_t i = 0; i < s->n_sort_clause; i++) {
		if (s->sort_clause[i]->node_case != PG_QUERY__NODE__NODE_SORT_BY)
			continue;
		if (rule->nkeys == COMPARE_MAX_KEYS) { /* more than fit: the last is not known */
			rule->keys[COMPARE_MAX_KEYS - 1].column = -1;
			return;
		}
		rule->keys[rule->nkeys++] = key_of(output, s->sort_clause[i]->sort_by);
	}
}

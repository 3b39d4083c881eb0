#include "proxy/shadow/classify_parts.h"

#include <assert.h>
#include <stdio.h>

/* Where in a SELECT we are: a time in the output or the order makes the answer differ each time, in
 * a filter it differs only at the border. */
enum region { REGION_OUTPUT, REGION_FILTER };

void walk_init(struct walk *w, const struct catalogue *catalogue,
	const struct classifier_options *options, struct statement *out)
{
	*w = (struct walk){.catalogue = catalogue, .options = options, .out = out};
	out->harmless_only = true;
}

/* Graver means: says more about why it must not run. */
static int gravity(enum reason reason)
{
	static const enum reason order[] = {REASON_NONE, REASON_TIME_FUNCTION,
		REASON_SERVER_SPECIFIC, REASON_ROW_SECURITY, REASON_SYSTEM_RELATION,
		REASON_TEMPORARY_RELATION, REASON_VOLATILE_FUNCTION, REASON_WRITES,
		REASON_NOT_A_READ};

	for (int i = 0; i < (int)(sizeof order / sizeof order[0]); i++)
		if (order[i] == reason)
			return i;
	return (int)(sizeof order / sizeof order[0]);
}

void walk_refuse(struct walk *w, enum reason reason, const char *detail)
{
	if (gravity(reason) <= gravity(w->out->skip))
		return;
	w->out->skip = reason;
	snprintf(w->out->detail, sizeof w->out->detail, "%s", detail ? detail : "");
}

static int weight(enum statement_effect effect)
{
	switch (effect) {
	case EFFECT_UNKNOWN_SETTINGS: return 3;
	case EFFECT_CALLS: return 2;
	case EFFECT_TAINT: return 1;
	default: return 0;
	}
}

void walk_raise(struct walk *w, enum statement_effect effect)
{
	if (weight(effect) > weight(w->out->effect))
		w->out->effect = effect;
}

static void refuse_named(struct walk *w, enum reason reason, const char *schema, const char *name)
{
	char detail[sizeof w->out->detail];

	snprintf(detail, sizeof detail, "%s%s%s", schema ? schema : "", schema ? "." : "", name);
	walk_refuse(w, reason, detail);
}

static void note_time(struct walk *w, enum region region, const char *name)
{
	if (region == REGION_FILTER)
		w->out->time_dependent = true;
	else
		walk_refuse(w, REASON_TIME_FUNCTION, name);
}

/* ---- functions ---- */

struct call {
	const char *schema, *name;
	bool builtin; /* is, as far as known, the one of pg_catalog */
	bool maybe_builtin;
	bool allowed;
	enum function_knowledge known;
	const PgQuery__FuncCall *node;
};

static struct call call_of(const struct walk *w, const PgQuery__FuncCall *node)
{
	struct call c = {.node = node};

	c.name = list_name(node->funcname, node->n_funcname, &c.schema);
	c.allowed = name_allowed(w->options->allow_functions, c.schema, c.name);
	c.builtin = c.schema && strcmp(c.schema, "pg_catalog") == 0;
	if (!w->catalogue) {
		c.maybe_builtin = !c.schema || c.builtin;
		c.builtin = c.builtin || (!c.schema && function_well_known(c.name));
		return c;
	}
	c.known = catalogue_function(w->catalogue, c.schema, c.name);
	if (!c.schema) {
		c.builtin = catalogue_function_only_in(w->catalogue, "pg_catalog", c.name);
		c.maybe_builtin =
			c.known == FUNCTION_UNKNOWN ||
			catalogue_function(w->catalogue, "pg_catalog", c.name) != FUNCTION_UNKNOWN;
	} else {
		c.maybe_builtin = c.builtin;
	}

	return c;
}

static void refuse_call(
	struct walk *w, const struct call *c, enum reason reason, enum statement_effect effect)
{
	refuse_named(w, reason, c->schema, c->name);
	walk_raise(w, effect);
	if (reason == REASON_VOLATILE_FUNCTION)
		w->out->harmless_only = false;
}

static const char *constant_text(const PgQuery__Node *node)
{
	while (node && node->node_case == PG_QUERY__NODE__NODE_TYPE_CAST)
		node = node->type_cast->arg;
	if (!node || node->node_case != PG_QUERY__NODE__NODE_A_CONST ||
		node->a_const->val_case != PG_QUERY__A__CONST__VAL_SVAL)
		return NULL;

	return node->a_const->sval->sval;
}

/* current_setting of an application's own setting is data (row security reads it); of any other it
 * compares configurations. */
static bool reads_custom_setting(const PgQuery__FuncCall *node)
{
	const char *setting = node->n_args > 0 ? constant_text(node->args[0]) : NULL;

	return setting && strchr(setting, '.');
}

static void unlisted_call(struct walk *w, const struct call *c)
{
	if (!c->builtin) {
		w->out->harmless_only = false;
		w->out->unqualified_names |= !c->schema;
	}
	if (c->allowed)
		return;
	if (!w->catalogue) {
		if (!c->builtin)
			refuse_call(w, c, REASON_VOLATILE_FUNCTION, EFFECT_CALLS);
		return;
	}
	if (c->known == FUNCTION_UNKNOWN) { /* runs: its absence is a finding */
		w->out->harmless_only = false;
		if (!function_well_known(c->name)) {
			w->out->unknown_function = true;
			walk_raise(w, EFFECT_CALLS);
		}
	} else if (c->known == FUNCTION_VOLATILE) {
		refuse_call(
			w, c, REASON_VOLATILE_FUNCTION, c->builtin ? EFFECT_TAINT : EFFECT_CALLS);
	}
}

static void listed_call(
	struct walk *w, const struct call *c, enum name_kind kind, enum region region)
{
	switch (kind) {
	case NAME_ACTS: refuse_call(w, c, REASON_VOLATILE_FUNCTION, EFFECT_TAINT); break;
	case NAME_TEXT:
		refuse_call(w, c, REASON_VOLATILE_FUNCTION, EFFECT_UNKNOWN_SETTINGS);
		w->out->creates_temporary = true;
		break;
	case NAME_GENERATOR:
	case NAME_VOLATILE:
	case NAME_SESSION: refuse_call(w, c, REASON_VOLATILE_FUNCTION, EFFECT_NONE); break;
	case NAME_IS_SETTER:
		refuse_call(w, c, REASON_VOLATILE_FUNCTION, EFFECT_UNKNOWN_SETTINGS);
		break;
	case NAME_SERVER: refuse_call(w, c, REASON_SERVER_SPECIFIC, EFFECT_NONE); break;
	case NAME_IS_GETTER:
		if (!reads_custom_setting(c->node))
			refuse_call(w, c, REASON_SERVER_SPECIFIC, EFFECT_NONE);
		break;
	case NAME_TIME: note_time(w, region, c->name); break;
	case NAME_IS_AGE:
		if (c->node->n_args == 1)
			note_time(w, region, c->name);
		unlisted_call(w, c);
		break;
	case NAME_ORDINARY: unlisted_call(w, c); break;
	}
}

static void note_leak(struct walk *w, const PgQuery__FuncCall *node, const char *name)
{
	if (node->over && (window_leaks(name) || aggregate_leaks(name)))
		w->out->order.leaks |= !window_is_total(w, node->over);
	else if (aggregate_leaks(name) && !node->agg_distinct)
		w->out->order.leaks |= !aggregate_is_total(w, node);
}

static void visit_call(struct walk *w, const ProtobufCMessage *m, enum region region)
{
	struct call c = call_of(w, (const PgQuery__FuncCall *)m);
	enum name_kind kind = function_kind(c.name, c.maybe_builtin);

	note_leak(w, c.node, c.name);
	if (!c.schema || strcmp(c.schema, "pg_catalog") != 0)
		walk_mention(w, MENTION_FUNCTION, c.schema, c.name);
	if (c.schema && schema_is_temporary(c.schema)) {
		refuse_call(w, &c, REASON_VOLATILE_FUNCTION, EFFECT_UNKNOWN_SETTINGS);
		w->out->creates_temporary = true;
	} else if (c.schema && strcmp(c.schema, "information_schema") == 0) {
		refuse_call(w, &c, REASON_SERVER_SPECIFIC, EFFECT_NONE);
	} else if (c.allowed && kind != NAME_ACTS) {
		unlisted_call(w, &c);
	} else {
		listed_call(w, &c, kind, region);
	}
}

static void visit_value_function(struct walk *w, const ProtobufCMessage *m, enum region region)
{
	const PgQuery__SQLValueFunction *f = (const PgQuery__SQLValueFunction *)m;

	switch (f->op) {
	case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_ROLE:
	case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_USER:
	case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_USER:
		if (!w->options->identity_reproduced)
			walk_refuse(w, REASON_SERVER_SPECIFIC, "current_user");
		break;
	case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_SESSION_USER:
		walk_refuse(w, REASON_SERVER_SPECIFIC, "session_user");
		break;
	case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_CATALOG:
		walk_refuse(w, REASON_SERVER_SPECIFIC, "current_catalog");
		break;
	case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_SCHEMA:
		w->out->unqualified_names = true;
		break;
	default: note_time(w, region, "current_timestamp"); break;
	}
}

/* ---- operators, columns, types, constants ---- */

static void check_operator(struct walk *w, const char *name)
{
	if (name)
		walk_mention(w, MENTION_OPERATOR, NULL, name);
	if (name && w->catalogue && catalogue_operator_volatile(w->catalogue, name)) {
		walk_refuse(w, REASON_VOLATILE_FUNCTION, name);
		walk_raise(w, EFFECT_CALLS);
		w->out->harmless_only = false;
	}
}

static void visit_expression(struct walk *w, const ProtobufCMessage *m, enum region region)
{
	const PgQuery__AExpr *e = (const PgQuery__AExpr *)m;

	(void)region;
	check_operator(w, list_name(e->name, e->n_name, NULL));
	switch (e->kind) {
	case PG_QUERY__A__EXPR__KIND__AEXPR_BETWEEN:
	case PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN:
	case PG_QUERY__A__EXPR__KIND__AEXPR_BETWEEN_SYM:
	case PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN_SYM:
		check_operator(w, "<=");
		check_operator(w, ">=");
		check_operator(w, "<");
		check_operator(w, ">");
		break;
	default: break;
	}
}

/* The equality that CASE x WHEN, USING and NATURAL imply. */
static void visit_equality(struct walk *w, const ProtobufCMessage *m, enum region region)
{
	(void)m;
	(void)region;
	check_operator(w, "=");
}

/* `t.f` may be the call f(t): HAZARDS 5.2. Built-in functions take no table's row. */
static void check_attribute(struct walk *w, const char *name, bool qualified)
{
	if (!name)
		return;
	if (column_is_system(name))
		walk_refuse(w, REASON_SYSTEM_RELATION, name);
	if (!qualified || !w->catalogue ||
		catalogue_function(w->catalogue, NULL, name) == FUNCTION_UNKNOWN ||
		catalogue_function_only_in(w->catalogue, "pg_catalog", name))
		return;
	walk_mention(w, MENTION_FUNCTION, NULL, name);
	if (name_allowed(w->options->allow_functions, NULL, name) ||
		catalogue_function(w->catalogue, NULL, name) != FUNCTION_VOLATILE)
		return;
	walk_refuse(w, REASON_VOLATILE_FUNCTION, name);
	walk_raise(w, EFFECT_CALLS);
	w->out->harmless_only = false;
}

static void visit_column(struct walk *w, const ProtobufCMessage *m, enum region region)
{
	const PgQuery__ColumnRef *c = (const PgQuery__ColumnRef *)m;

	(void)region;
	for (size_t i = 0; i < c->n_fields; i++)
		check_attribute(w, node_string(c->fields[i]), i > 0);
}

static void visit_indirection(struct walk *w, const ProtobufCMessage *m, enum region region)
{
	const PgQuery__AIndirection *c = (const PgQuery__AIndirection *)m;

	(void)region;
	for (size_t i = 0; i < c->n_indirection; i++)
		check_attribute(w, node_string(c->indirection[i]), true);
}

static void visit_cast(struct walk *w, const ProtobufCMessage *m, enum region region)
{
	const PgQuery__TypeCast *cast = (const PgQuery__TypeCast *)m;
	const char *type, *text;

	if (!cast->type_name)
		return;
	type = list_name(cast->type_name->names, cast->type_name->n_names, NULL);
	text = constant_text(cast->arg);
	if (type_is_time(type) && text && has_time_word(span_cstr(text)))
		note_time(w, region, type);
}

static void visit_type(struct walk *w, const ProtobufCMessage *m, enum region region)
{
	const PgQuery__TypeName *t = (const PgQuery__TypeName *)m;
	const char *schema, *type = list_name(t->names, t->n_names, &schema);

	(void)region;
	if (type_is_reg(type))
		walk_refuse(w, REASON_SERVER_SPECIFIC, type);
	if (!schema || strcmp(schema, "pg_catalog") != 0)
		walk_mention(w, MENTION_TYPE, schema, type);
	if (schema && schema_is_temporary(schema))
		walk_refuse(w, REASON_TEMPORARY_RELATION, type);
	if (w->catalogue && catalogue_type_volatile(w->catalogue, type)) {
		walk_refuse(w, REASON_VOLATILE_FUNCTION, type);
		walk_raise(w, EFFECT_CALLS);
		w->out->harmless_only = false;
	}
}

/* A bare 'now' takes its type from where it stands, which the tree does not say. */
static void visit_constant(struct walk *w, const ProtobufCMessage *m, enum region region)
{
	const PgQuery__AConst *c = (const PgQuery__AConst *)m;

	if (c->val_case != PG_QUERY__A__CONST__VAL_SVAL || c == w->label)
		return;
	if (text_is_time_word(c->sval->sval))
		note_time(w, region, "time literal");
}

static void visit_target(struct walk *w, const ProtobufCMessage *m, enum region region)
{
	const PgQuery__ResTarget *t = (const PgQuery__ResTarget *)m;

	(void)region;
	if (t->val && t->val->node_case == PG_QUERY__NODE__NODE_A_CONST)
		w->label = t->val->a_const;
}

/* ---- relations and clauses ---- */

static void refuse_relation(struct walk *w, const PgQuery__RangeVar *r, const char *schema)
{
	switch (catalogue_relation(w->catalogue, schema, r->relname)) {
	case RELATION_VOLATILE:
		refuse_named(w, REASON_VOLATILE_FUNCTION, schema, r->relname);
		walk_raise(w, EFFECT_CALLS);
		w->out->harmless_only = false;
		break;
	case RELATION_ROW_SECURITY:
		if (w->options->identity_reproduced)
			break;
		/* fall through */
	case RELATION_ROW_SECURITY_SERVER:
		refuse_named(w, REASON_ROW_SECURITY, schema, r->relname);
		break;
	case RELATION_SYSTEM: refuse_named(w, REASON_SYSTEM_RELATION, schema, r->relname); break;
	case RELATION_USER:
		if (w->options->identity_reproduced)
			break;
		/* fall through */
	case RELATION_SERVER_SPECIFIC:
		refuse_named(w, REASON_SERVER_SPECIFIC, schema, r->relname);
		break;
	case RELATION_UNKNOWN:
	case RELATION_PLAIN: break;
	}
}

static void visit_relation(struct walk *w, const ProtobufCMessage *m, enum region region)
{
	const PgQuery__RangeVar *r = (const PgQuery__RangeVar *)m;
	const char *schema = r->schemaname && *r->schemaname ? r->schemaname : NULL;

	(void)region;
	w->out->reads_relations = true;
	w->out->unqualified_names |= !schema;
	if (!schema || !schema_is_system(schema))
		walk_mention(w, MENTION_RELATION, schema, r->relname);
	if (schema ? schema_is_system(schema) : strncmp(r->relname, "pg_", 3) == 0)
		refuse_named(w, REASON_SYSTEM_RELATION, schema, r->relname);
	if ((schema && schema_is_temporary(schema)) || strcmp(r->relpersistence, "t") == 0)
		refuse_named(w, REASON_TEMPORARY_RELATION, schema, r->relname);
	if (w->catalogue)
		refuse_relation(w, r, schema);
}

bool select_distinct_on(const PgQuery__SelectStmt *s)
{
	for (size_t i = 0; i < s->n_distinct_clause; i++)
		if (node_message(s->distinct_clause[i]))
			return true;
	return false;
}

/* WITH TIES chooses nothing. */
static bool limits_freely(const PgQuery__SelectStmt *s)
{
	bool ties = s->limit_option == PG_QUERY__LIMIT_OPTION__LIMIT_OPTION_WITH_TIES;

	return select_limits(s) && (!ties || s->limit_offset);
}

void walk_note_ctes(struct walk *w, const PgQuery__WithClause *with)
{
	for (size_t i = 0; with && i < with->n_ctes; i++) {
		if (w->nctes < WALK_CTES_MAX &&
			with->ctes[i]->node_case == PG_QUERY__NODE__NODE_COMMON_TABLE_EXPR)
			w->cte[w->nctes] = with->ctes[i]->common_table_expr->ctename;
		w->nctes++;
	}
}

bool walk_names_cte(const struct walk *w, const char *name)
{
	for (size_t i = 0; i < w->nctes && i < WALK_CTES_MAX; i++)
		if (w->cte[i] && strcmp(w->cte[i], name) == 0)
			return true;

	return w->nctes > WALK_CTES_MAX;
}

static void visit_select(struct walk *w, const ProtobufCMessage *m, enum region region)
{
	const PgQuery__SelectStmt *s = (const PgQuery__SelectStmt *)m;

	(void)region;
	if (s->into_clause) {
		walk_refuse(w, REASON_WRITES, "into");
		walk_raise(w, EFFECT_TAINT);
	}
	if (s->n_locking_clause > 0) {
		walk_refuse(w, REASON_WRITES, "locking clause");
		walk_raise(w, EFFECT_TAINT);
	}
	walk_note_ctes(w, s->with_clause);
	if (s == w->top)
		w->out->order.total = sort_is_total(w, s);
	if (select_distinct_on(s))
		w->out->order.leaks |= !sort_is_total(w, s);
	if (s != w->top && (s->limit_offset || s != w->exists) && limits_freely(s))
		w->out->order.leaks |= !sort_is_total(w, s);
}

static void visit_write(struct walk *w, const ProtobufCMessage *m, enum region region)
{
	(void)region;
	walk_refuse(w, REASON_WRITES, m->descriptor->short_name);
	walk_raise(w, EFFECT_TAINT);
}

static void visit_subquery(struct walk *w, const ProtobufCMessage *m, enum region region)
{
	const PgQuery__SubLink *l = (const PgQuery__SubLink *)m;
	const PgQuery__SelectStmt *s;

	(void)region;
	if (l->n_oper_name > 0)
		check_operator(w, list_name(l->oper_name, l->n_oper_name, NULL));
	else if (l->testexpr)
		check_operator(w, "=");
	if (!l->subselect || l->subselect->node_case != PG_QUERY__NODE__NODE_SELECT_STMT)
		return;
	s = l->subselect->select_stmt;
	if (l->sub_link_type == PG_QUERY__SUB_LINK_TYPE__EXISTS_SUBLINK)
		w->exists = s;
	if (l->sub_link_type == PG_QUERY__SUB_LINK_TYPE__ARRAY_SUBLINK)
		w->out->order.leaks |= !sort_covers_output(s) && !sort_is_total(w, s);
}

static void visit_sample(struct walk *w, const ProtobufCMessage *m, enum region region)
{
	(void)m;
	(void)region;
	walk_refuse(w, REASON_VOLATILE_FUNCTION, "tablesample");
}

static void visit_window(struct walk *w, const ProtobufCMessage *m, enum region region)
{
	const PgQuery__WindowDef *window = (const PgQuery__WindowDef *)m;

	(void)region;
	if (window->frame_options & FRAME_ROWS)
		w->out->order.leaks |= !window_is_total(w, window);
}

static void visit_sort(struct walk *w, const ProtobufCMessage *m, enum region region)
{
	const PgQuery__SortBy *s = (const PgQuery__SortBy *)m;

	(void)region;
	if (s->n_use_op > 0)
		check_operator(w, list_name(s->use_op, s->n_use_op, NULL));
}

/* ---- the walk ---- */

/* K2: all that may stand in a read. Without a visitor: nothing to check but what is below. */
static const struct known {
	const ProtobufCMessageDescriptor *type;
	void (*visit)(struct walk *w, const ProtobufCMessage *m, enum region region);
} known[] = {
	{&pg_query__node__descriptor, NULL},
	{&pg_query__column_ref__descriptor, visit_column},
	{&pg_query__string__descriptor, NULL},
	{&pg_query__a__const__descriptor, visit_constant},
	{&pg_query__integer__descriptor, NULL},
	{&pg_query__float__descriptor, NULL},
	{&pg_query__boolean__descriptor, NULL},
	{&pg_query__bit_string__descriptor, NULL},
	{&pg_query__param_ref__descriptor, NULL},
	{&pg_query__a__expr__descriptor, visit_expression},
	{&pg_query__bool_expr__descriptor, NULL},
	{&pg_query__func_call__descriptor, visit_call},
	{&pg_query__res_target__descriptor, visit_target},
	{&pg_query__range_var__descriptor, visit_relation},
	{&pg_query__alias__descriptor, NULL},
	{&pg_query__select_stmt__descriptor, visit_select},
	{&pg_query__join_expr__descriptor, visit_equality},
	{&pg_query__type_cast__descriptor, visit_cast},
	{&pg_query__type_name__descriptor, visit_type},
	{&pg_query__sort_by__descriptor, visit_sort},
	{&pg_query__sub_link__descriptor, visit_subquery},
	{&pg_query__list__descriptor, NULL},
	{&pg_query__null_test__descriptor, NULL},
	{&pg_query__boolean_test__descriptor, NULL},
	{&pg_query__case_expr__descriptor, visit_equality},
	{&pg_query__case_when__descriptor, NULL},
	{&pg_query__coalesce_expr__descriptor, NULL},
	{&pg_query__min_max_expr__descriptor, NULL},
	{&pg_query__sqlvalue_function__descriptor, visit_value_function},
	{&pg_query__a__star__descriptor, NULL},
	{&pg_query__a__indices__descriptor, NULL},
	{&pg_query__a__indirection__descriptor, visit_indirection},
	{&pg_query__a__array_expr__descriptor, NULL},
	{&pg_query__row_expr__descriptor, NULL},
	{&pg_query__named_arg_expr__descriptor, NULL},
	{&pg_query__collate_clause__descriptor, NULL},
	{&pg_query__window_def__descriptor, visit_window},
	{&pg_query__with_clause__descriptor, NULL},
	{&pg_query__common_table_expr__descriptor, NULL},
	{&pg_query__ctesearch_clause__descriptor, NULL},
	{&pg_query__ctecycle_clause__descriptor, visit_equality},
	{&pg_query__range_subselect__descriptor, NULL},
	{&pg_query__range_function__descriptor, NULL},
	{&pg_query__range_table_sample__descriptor, visit_sample},
	{&pg_query__range_table_func__descriptor, NULL},
	{&pg_query__range_table_func_col__descriptor, NULL},
	{&pg_query__grouping_set__descriptor, NULL},
	{&pg_query__grouping_func__descriptor, NULL},
	{&pg_query__xml_expr__descriptor, NULL},
	{&pg_query__xml_serialize__descriptor, NULL},
	{&pg_query__column_def__descriptor, NULL},
	{&pg_query__set_to_default__descriptor, NULL},
	{&pg_query__locking_clause__descriptor, NULL},
	{&pg_query__into_clause__descriptor, NULL},
	{&pg_query__insert_stmt__descriptor, visit_write},
	{&pg_query__update_stmt__descriptor, visit_write},
	{&pg_query__delete_stmt__descriptor, visit_write},
	{&pg_query__merge_stmt__descriptor, visit_write},
	{&pg_query__merge_when_clause__descriptor, NULL},
	{&pg_query__on_conflict_clause__descriptor, NULL},
	{&pg_query__infer_clause__descriptor, NULL},
	{&pg_query__index_elem__descriptor, NULL},
	{&pg_query__multi_assign_ref__descriptor, NULL},
	{&pg_query__current_of_expr__descriptor, NULL},
};

static void visit(struct walk *w, const ProtobufCMessage *m, enum region region)
{
	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
		if (known[i].type != m->descriptor)
			continue;
		if (known[i].visit)
			known[i].visit(w, m, region);
		return;
	}
	walk_refuse(w, REASON_NOT_A_READ, m->descriptor->short_name);
	walk_raise(w, EFFECT_TAINT);
}

/* The region of what is below field `f` of `m`. */
static enum region region_below(
	const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f, enum region region)
{
	static const struct {
		const ProtobufCMessageDescriptor *type;
		const char *field;
	} filters[] = {
		{&pg_query__select_stmt__descriptor, "where_clause"},
		{&pg_query__select_stmt__descriptor, "having_clause"},
		{&pg_query__join_expr__descriptor, "quals"},
		{&pg_query__func_call__descriptor, "agg_filter"},
	};

	for (size_t i = 0; i < sizeof filters / sizeof filters[0]; i++)
		if (filters[i].type == m->descriptor && strcmp(filters[i].field, f->name) == 0)
			return REGION_FILTER;
	return region;
}

/* Recursive: as deep as the tree, which the limit on texts bounds; keep its frame small. */
static void descend(struct walk *w, const ProtobufCMessage *m, enum region region)
{
	const PgQuery__SelectStmt *outer = w->select;
	void *const *child;
	unsigned first, end;
	size_t count;

	if (m->descriptor == &pg_query__select_stmt__descriptor)
		w->select = (const PgQuery__SelectStmt *)m;
	visit(w, m, region);
	for (field_range(m, &first, &end); first < end; first++) {
		const ProtobufCFieldDescriptor *f = &m->descriptor->fields[first];

		count = field_messages(m, f, &child);
		for (; count > 0; count--, child++)
			if (*child)
				descend(w, *child, region_below(m, f, region));
	}
	w->select = outer;
}

void walk_message(struct walk *w, const ProtobufCMessage *message)
{
	descend(w, message, REGION_OUTPUT);
}

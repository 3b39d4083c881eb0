/* Statements that define, drop and rename what reads name: which temporary relations there are. */
#include "proxy/shadow/classify_parts.h"

static void decide_create(struct walk *w, const ProtobufCMessage *m)
{
	const PgQuery__CreateStmt *c = (const PgQuery__CreateStmt *)m;

	if (c->relation)
		walk_created(w, c->relation, c->oncommit);
	else
		w->out->creates_temporary = true;
}

/* A view over a temporary relation is temporary, whatever the statement says. */
static void decide_view(struct walk *w, const ProtobufCMessage *m)
{
	const PgQuery__ViewStmt *v = (const PgQuery__ViewStmt *)m;
	const char *schema = v->view && *v->view->schemaname ? v->view->schemaname : NULL;

	if (v->query)
		walk_message(w, &v->query->base);
	w->out->defines_unsure =
		w->out->effect == EFFECT_CALLS || w->out->effect == EFFECT_UNKNOWN_SETTINGS;
	w->out->effect = EFFECT_TAINT; /* its query does not run yet */
	if (!v->view)
		return;
	walk_created(w, v->view, PG_QUERY__ON_COMMIT_ACTION__ON_COMMIT_ACTION_UNDEFINED);
	(void)walk_temporary(w, TEMPORARY_CREATED_OVER, schema, v->view->relname, false);
}

static void decide_sequence(struct walk *w, const ProtobufCMessage *m)
{
	walk_created(w, ((const PgQuery__CreateSeqStmt *)m)->sequence,
		PG_QUERY__ON_COMMIT_ACTION__ON_COMMIT_ACTION_UNDEFINED);
}

static void decide_index(struct walk *w, const ProtobufCMessage *m)
{
	const PgQuery__IndexStmt *i = (const PgQuery__IndexStmt *)m;

	if (!i->relation || !*i->idxname)
		return;
	walk_message(w, &i->relation->base);
	(void)walk_temporary(w,
		*i->relation->schemaname && schema_is_temporary(i->relation->schemaname)
			? TEMPORARY_CREATED
			: TEMPORARY_CREATED_OVER,
		NULL, i->idxname, false);
}

/* A type shadows another of its name as a relation does. */
static void created_by_list(struct walk *w, PgQuery__Node *const *names, size_t count)
{
	const char *schema, *name = list_name(names, count, &schema);

	if (schema && schema_is_temporary(schema))
		(void)walk_temporary(w, TEMPORARY_CREATED, schema, name, false);
	else if (!schema)
		(void)walk_temporary(w, TEMPORARY_CREATED_ON_PATH, NULL, name, false);
}

static void decide_composite(struct walk *w, const ProtobufCMessage *m)
{
	walk_created(w, ((const PgQuery__CompositeTypeStmt *)m)->typevar,
		PG_QUERY__ON_COMMIT_ACTION__ON_COMMIT_ACTION_UNDEFINED);
}

static void decide_enum(struct walk *w, const ProtobufCMessage *m)
{
	const PgQuery__CreateEnumStmt *c = (const PgQuery__CreateEnumStmt *)m;

	created_by_list(w, c->type_name, c->n_type_name);
}

static void decide_range(struct walk *w, const ProtobufCMessage *m)
{
	const PgQuery__CreateRangeStmt *c = (const PgQuery__CreateRangeStmt *)m;

	created_by_list(w, c->type_name, c->n_type_name);
}

static void decide_domain(struct walk *w, const ProtobufCMessage *m)
{
	const PgQuery__CreateDomainStmt *c = (const PgQuery__CreateDomainStmt *)m;

	created_by_list(w, c->domainname, c->n_domainname);
}

/* CREATE TYPE of its own functions; also of what no read names: aggregates, operators. */
static void decide_define(struct walk *w, const ProtobufCMessage *m)
{
	const PgQuery__DefineStmt *c = (const PgQuery__DefineStmt *)m;

	created_by_list(w, c->defnames, c->n_defnames);
}

/* Functions of pg_temp are found under that name only, and such calls are no reads. */
static void decide_function(struct walk *w, const ProtobufCMessage *m)
{
	(void)w;
	(void)m;
}

/* The names of a list of objects to drop or rename: a List, a TypeName or a String. */
static const char *object_name(const PgQuery__Node *object, const char **schema)
{
	*schema = NULL;
	if (!object)
		return "";
	if (object->node_case == PG_QUERY__NODE__NODE_LIST)
		return list_name(object->list->items, object->list->n_items, schema);
	if (object->node_case == PG_QUERY__NODE__NODE_TYPE_NAME)
		return list_name(object->type_name->names, object->type_name->n_names, schema);

	return "";
}

static bool holds_data(PgQuery__ObjectType type)
{
	switch (type) {
	case PG_QUERY__OBJECT_TYPE__OBJECT_TABLE:
	case PG_QUERY__OBJECT_TYPE__OBJECT_VIEW:
	case PG_QUERY__OBJECT_TYPE__OBJECT_SEQUENCE:
	case PG_QUERY__OBJECT_TYPE__OBJECT_INDEX:
	case PG_QUERY__OBJECT_TYPE__OBJECT_TYPE:
	case PG_QUERY__OBJECT_TYPE__OBJECT_DOMAIN: return true;
	default: return false;
	}
}

static void decide_drop(struct walk *w, const ProtobufCMessage *m)
{
	const PgQuery__DropStmt *s = (const PgQuery__DropStmt *)m;

	for (size_t i = 0; i < s->n_objects && holds_data(s->remove_type); i++) {
		const char *schema, *name = object_name(s->objects[i], &schema);

		if (*name && (!schema || schema_is_temporary(schema)))
			(void)walk_temporary(w, TEMPORARY_DROPPED, schema, name, false);
	}
}

static void decide_rename(struct walk *w, const ProtobufCMessage *m)
{
	const PgQuery__RenameStmt *s = (const PgQuery__RenameStmt *)m;
	const char *schema, *name = object_name(s->object, &schema);
	struct temporary_change *c;

	if (!holds_data(s->rename_type))
		return;
	if (s->relation) {
		name = s->relation->relname;
		schema = *s->relation->schemaname ? s->relation->schemaname : NULL;
	}
	if (!*name || (schema && !schema_is_temporary(schema)))
		return;
	c = walk_temporary(w, TEMPORARY_RENAMED, schema, name, false);
	if (c)
		c->to = strdup(s->newname);
	w->no_memory |= !c || !c->to;
}

static const struct definition {
	const ProtobufCMessageDescriptor *type;
	void (*decide)(struct walk *w, const ProtobufCMessage *m);
} definitions[] = {
	{&pg_query__create_stmt__descriptor, decide_create},
	{&pg_query__view_stmt__descriptor, decide_view},
	{&pg_query__create_seq_stmt__descriptor, decide_sequence},
	{&pg_query__index_stmt__descriptor, decide_index},
	{&pg_query__composite_type_stmt__descriptor, decide_composite},
	{&pg_query__create_enum_stmt__descriptor, decide_enum},
	{&pg_query__create_range_stmt__descriptor, decide_range},
	{&pg_query__create_domain_stmt__descriptor, decide_domain},
	{&pg_query__define_stmt__descriptor, decide_define},
	{&pg_query__create_function_stmt__descriptor, decide_function},
	{&pg_query__drop_stmt__descriptor, decide_drop},
	{&pg_query__rename_stmt__descriptor, decide_rename},
};

bool walk_definition(struct walk *w, const ProtobufCMessage *m)
{
	for (size_t i = 0; i < sizeof definitions / sizeof definitions[0]; i++) {
		if (definitions[i].type == m->descriptor) {
			definitions[i].decide(w, m);
			return true;
		}
	}

	return false;
}

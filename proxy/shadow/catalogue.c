#include "proxy/shadow/catalogue.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A name, where it stands, and what is known of it: a kind of entry. */
struct named {
	char *name, *schema; /* owned; schema may be NULL */
	uint32_t value;
};

struct names {
	struct named *item; /* owned; sorted by name, then schema, once sealed */
	size_t count, cap;
};

/* A type built from others. */
struct built {
	uint32_t oid, inner;
	enum type_build build;
};

struct catalogue {
	bool sealed;
	struct names functions, relations, operators, types_volatile, set_functions, generated;
	struct names uniques;	     /* by relation; its columns stand behind the name's end */
	struct names types;	     /* by qualified name; value: oid */
	struct named **types_by_oid; /* owned array, borrowed entries */
	struct built *built;	     /* owned; sorted by oid once sealed */
	size_t nbuilt, built_cap;
};

struct catalogue *catalogue_new(void)
{
	return calloc(1, sizeof(struct catalogue));
}

static void names_release(struct names *n)
{
	for (size_t i = 0; i < n->count; i++) {
		free(n->item[i].name);
		free(n->item[i].schema);
	}
	free(n->item);
}

void catalogue_free(struct catalogue *c)
{
	if (!c)
		return;
	names_release(&c->functions);
	names_release(&c->relations);
	names_release(&c->operators);
	names_release(&c->types_volatile);
	names_release(&c->set_functions);
	names_release(&c->uniques);
	names_release(&c->generated);
	names_release(&c->types);
	free(c->types_by_oid);
	free(c->built);
	free(c);
}

static bool names_grow(struct names *n)
{
	size_t cap = n->cap ? n->cap * 2 : 64;
	struct named *grown;

	if (n->count < n->cap)
		return true;
	if (n->count >= CATALOGUE_LIMIT)
		return false;
	grown = realloc(n->item, cap * sizeof *grown);
	if (!grown)
		return false;
	n->item = grown;
	n->cap = cap;

	return true;
}

static bool names_add(struct names *n, const char *schema, const char *name, uint32_t value)
{
	struct named e = {.value = value};

	if (!names_grow(n))
		return false;
	e.name = strdup(name);
	e.schema = schema ? strdup(schema) : NULL;
	if (!e.name || (schema && !e.schema)) {
		free(e.name);
		free(e.schema);
		return false;
	}
	n->item[n->count++] = e;

	return true;
}

bool catalogue_add_function(struct catalogue *c, const char *schema, const char *name,
	enum function_knowledge knowledge)
{
	assert(!c->sealed);
	return names_add(&c->functions, schema, name, knowledge);
}

bool catalogue_add_relation(struct catalogue *c, const char *schema, const char *name,
	enum relation_knowledge knowledge)
{
	assert(!c->sealed);
	return names_add(&c->relations, schema, name, knowledge);
}

bool catalogue_add_set_function(struct catalogue *c, const char *schema, const char *name)
{
	assert(!c->sealed);
	return names_add(&c->set_functions, schema, name, 0);
}

/* The relation's name ends in place; the columns stay behind it. */
bool catalogue_add_unique(struct catalogue *c, const char *schema, const char *relation_and_columns)
{
	char *columns;

	assert(!c->sealed);
	if (!strchr(relation_and_columns, CATALOGUE_KEY_SEPARATOR[0]))
		return true; /* a key without columns says nothing */
	if (!names_add(&c->uniques, schema, relation_and_columns, 0))
		return false;
	columns = strchr(c->uniques.item[c->uniques.count - 1].name, CATALOGUE_KEY_SEPARATOR[0]);
	*columns = '\0';

	return true;
}

bool catalogue_add_volatile_operator(struct catalogue *c, const char *name)
{
	assert(!c->sealed);
	return names_add(&c->operators, NULL, name, 0);
}

bool catalogue_add_volatile_type(struct catalogue *c, const char *name)
{
	assert(!c->sealed);
	return names_add(&c->types_volatile, NULL, name, 0);
}

bool catalogue_add_generated(struct catalogue *c, const char *schema, const char *name)
{
	assert(!c->sealed);
	return names_add(&c->generated, schema, name, 0);
}

bool catalogue_add_type(struct catalogue *c, uint32_t oid, const char *qualified_name)
{
	struct named **grown;

	assert(!c->sealed);
	grown = realloc(c->types_by_oid, (c->types.count + 1) * sizeof *grown);
	if (!grown)
		return false;
	c->types_by_oid = grown;

	return names_add(&c->types, NULL, qualified_name, oid);
}

bool catalogue_add_type_build(
	struct catalogue *c, uint32_t oid, enum type_build build, uint32_t inner)
{
	assert(!c->sealed);
	if (c->nbuilt == c->built_cap) {
		size_t cap = c->built_cap ? c->built_cap * 2 : 64;
		struct built *grown =
			cap <= CATALOGUE_LIMIT ? realloc(c->built, cap * sizeof *grown) : NULL;

		if (!grown)
			return false;
		c->built = grown;
		c->built_cap = cap;
	}
	c->built[c->nbuilt++] = (struct built){.oid = oid, .inner = inner, .build = build};

	return true;
}

static int by_name(const void *a, const void *b)
{
	const struct named *x = a, *y = b;
	int order = strcmp(x->name, y->name);

	return order ? order : strcmp(x->schema ? x->schema : "", y->schema ? y->schema : "");
}

static int by_oid(const void *a, const void *b)
{
	const struct named *x = *(struct named *const *)a, *y = *(struct named *const *)b;

	return (x->value > y->value) - (x->value < y->value);
}

static int by_built_oid(const void *a, const void *b)
{
	const struct built *x = a, *y = b;

	return (x->oid > y->oid) - (x->oid < y->oid);
}

static void names_sort(struct names *n)
{
	if (n->count > 0)
		qsort(n->item, n->count, sizeof *n->item, by_name);
}

void catalogue_seal(struct catalogue *c)
{
	names_sort(&c->functions);
	names_sort(&c->relations);
	names_sort(&c->operators);
	names_sort(&c->types_volatile);
	names_sort(&c->set_functions);
	names_sort(&c->uniques);
	names_sort(&c->generated);
	names_sort(&c->types);
	for (size_t i = 0; i < c->types.count; i++)
		c->types_by_oid[i] = &c->types.item[i];
	if (c->types.count > 0)
		qsort(c->types_by_oid, c->types.count, sizeof *c->types_by_oid, by_oid);
	if (c->nbuilt > 0)
		qsort(c->built, c->nbuilt, sizeof *c->built, by_built_oid);
	c->sealed = true;
}

/* The entries of this name: a run of the sorted array. */
static struct names names_find(const struct names *n, const char *name)
{
	size_t low = 0, high = n->count;
	struct names run = {0};

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(n->item[middle].name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (low < n->count)
		run.item = &n->item[low];
	while (low + run.count < n->count && strcmp(n->item[low + run.count].name, name) == 0)
		run.count++;

	return run;
}

static bool in_schema(const struct named *e, const char *schema)
{
	return !schema || (e->schema && strcmp(e->schema, schema) == 0);
}

enum function_knowledge catalogue_function(
	const struct catalogue *c, const char *schema, const char *name)
{
	struct names run = names_find(&c->functions, name);
	enum function_knowledge worst = FUNCTION_UNKNOWN;

	assert(c->sealed);
	for (size_t i = 0; i < run.count; i++) /* the enum runs from worst to best */
		if (in_schema(&run.item[i], schema) &&
			(worst == FUNCTION_UNKNOWN || run.item[i].value < worst))
			worst = run.item[i].value;
	return worst;
}

bool catalogue_function_only_in(const struct catalogue *c, const char *schema, const char *name)
{
	struct names run = names_find(&c->functions, name);

	assert(c->sealed);
	for (size_t i = 0; i < run.count; i++)
		if (!in_schema(&run.item[i], schema))
			return false;
	return run.count > 0;
}

enum relation_knowledge catalogue_relation(
	const struct catalogue *c, const char *schema, const char *name)
{
	static const int gravity[] = {[RELATION_UNKNOWN] = 0,
		[RELATION_PLAIN] = 1,
		[RELATION_USER] = 2,
		[RELATION_ROW_SECURITY] = 3,
		[RELATION_SERVER_SPECIFIC] = 4,
		[RELATION_SYSTEM] = 5,
		[RELATION_ROW_SECURITY_SERVER] = 6,
		[RELATION_VOLATILE] = 7};
	struct names run = names_find(&c->relations, name);
	enum relation_knowledge worst = RELATION_UNKNOWN;

	assert(c->sealed);
	for (size_t i = 0; i < run.count; i++)
		if (in_schema(&run.item[i], schema) && gravity[run.item[i].value] > gravity[worst])
			worst = run.item[i].value;
	return worst;
}

bool catalogue_function_set(const struct catalogue *c, const char *schema, const char *name)
{
	struct names run = names_find(&c->set_functions, name);

	assert(c->sealed);
	for (size_t i = 0; i < run.count; i++)
		if (in_schema(&run.item[i], schema))
			return true;
	return false;
}

/* Are all columns of this key there? */
static bool key_held(const struct named *key, bool (*has)(const void *self, const char *column),
	const void *self)
{
	const char *column = key->name + strlen(key->name) + 1;

	while (true) {
		size_t len = strcspn(column, CATALOGUE_KEY_SEPARATOR);
		char name[256];

		if (len >= sizeof name)
			return false;
		memcpy(name, column, len);
		name[len] = '\0';
		if (!has(self, name))
			return false;
		if (column[len] == '\0')
			return true;
		column += len + 1;
	}
}

bool catalogue_unique(const struct catalogue *c, const char *schema, const char *relation,
	bool (*has)(const void *self, const char *column), const void *self)
{
	struct names tables = names_find(&c->relations, relation);
	struct names keys = names_find(&c->uniques, relation);
	bool any = false;

	assert(c->sealed);
	for (size_t i = 0; i < tables.count; i++) {
		bool held = false;

		if (!in_schema(&tables.item[i], schema))
			continue;
		for (size_t k = 0; k < keys.count && !held; k++)
			held = in_schema(&keys.item[k], tables.item[i].schema) &&
			       key_held(&keys.item[k], has, self);
		if (!held)
			return false;
		any = true;
	}

	return any;
}

bool catalogue_operator_volatile(const struct catalogue *c, const char *name)
{
	assert(c->sealed);
	return names_find(&c->operators, name).count > 0;
}

bool catalogue_type_volatile(const struct catalogue *c, const char *name)
{
	assert(c->sealed);
	return names_find(&c->types_volatile, name).count > 0;
}

bool catalogue_relation_generated(const struct catalogue *c, const char *schema, const char *name)
{
	struct names run = names_find(&c->generated, name);

	assert(c->sealed);
	for (size_t i = 0; i < run.count; i++)
		if (in_schema(&run.item[i], schema))
			return true;
	return false;
}

const char *catalogue_type_name(const struct catalogue *c, uint32_t oid)
{
	size_t low = 0, high = c->types.count;

	assert(c->sealed);
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (c->types_by_oid[middle]->value == oid)
			return c->types_by_oid[middle]->name;
		if (c->types_by_oid[middle]->value < oid)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

uint32_t catalogue_type_oid(const struct catalogue *c, const char *qualified_name)
{
	struct names run = names_find(&c->types, qualified_name);

	assert(c->sealed);
	return run.count > 0 ? run.item[0].value : 0;
}

enum type_build catalogue_type_build(const struct catalogue *c, uint32_t oid, uint32_t *inner)
{
	const struct built key = {.oid = oid}, *found;

	assert(c->sealed);
	found = c->nbuilt ? bsearch(&key, c->built, c->nbuilt, sizeof key, by_built_oid) : NULL;
	*inner = found ? found->inner : 0;

	return found ? found->build : TYPE_SIMPLE;
}

size_t catalogue_functions(const struct catalogue *c)
{
	return c->functions.count;
}

/* ---- loading ---- */

/* What acts, whatever it is called: functions ('f'), relations ('r') and types ('t') that lead to a
 * volatile function. A label may lie: a function that is called stable may call a volatile one, and
 * does it with all its consequences. Dependencies on built-in functions are not in pg_depend, and
 * those of functions' bodies nowhere, so the stored trees are searched for the oids that they call,
 * read and coerce to, and bodies kept as text for words: a name before "(" may be a call, any name
 * a relation or a type, and EXECUTE may run anything. */
#define GRAPH                                                                                      \
	"WITH RECURSIVE tree(kind, id, body) AS MATERIALIZED ("                                    \
	" SELECT 'r', r.ev_class, r.ev_action::text FROM pg_catalog.pg_rewrite r"                  \
	" JOIN pg_catalog.pg_class v ON v.oid = r.ev_class"                                        \
	" WHERE v.relkind = 'v' AND r.ev_type = '1' AND v.oid >= 16384"                            \
	" UNION ALL SELECT 'r', polrelid, coalesce(polqual::text, '') || ' ' ||"                   \
	" coalesce(polwithcheck::text, '') FROM pg_catalog.pg_policy"                              \
	" UNION ALL SELECT 't', contypid, conbin::text FROM pg_catalog.pg_constraint"              \
	" WHERE contypid <> 0"                                                                     \
	" UNION ALL SELECT 'f', p.oid, to_jsonb(p)->>'prosqlbody' FROM pg_catalog.pg_proc p"       \
	" WHERE p.oid >= 16384 AND p.provolatile <> 'v'),"                                         \
	" word(id, word, called) AS MATERIALIZED (SELECT DISTINCT p.oid, m[1], m[2] = '('"         \
	" FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_language l ON l.oid = p.prolang,"           \
	" regexp_matches(lower(p.prosrc), '([[:alpha:]_][[:alnum:]_$]*)\"?\\s*(\\(?)', 'g') m"     \
	" WHERE p.oid >= 16384 AND p.provolatile <> 'v' AND l.lanname NOT IN ('c', 'internal')),"  \
	" edge(kind, id, to_kind, to_id) AS MATERIALIZED ("                                        \
	" SELECT t.kind, t.id, 'f', m[1]::oid FROM tree t, regexp_matches(t.body,"                 \
	" ':(?:funcid|opfuncid|aggfnoid|winfnoid|hashfuncid|negfuncid) ([0-9]+)', 'g') m"          \
	" UNION SELECT t.kind, t.id, 'f', o.oprcode::oid FROM tree t, regexp_matches(t.body,"      \
	" ':opno ([0-9]+)', 'g') m JOIN pg_catalog.pg_operator o ON o.oid = m[1]::oid"             \
	" UNION SELECT t.kind, t.id, 'r', m[1]::oid FROM tree t,"                                  \
	" regexp_matches(t.body, ':relid ([0-9]+)', 'g') m"                                        \
	" UNION SELECT t.kind, t.id, 't', m[1]::oid FROM tree t,"                                  \
	" regexp_matches(t.body, ':resulttype ([0-9]+)', 'g') m"                                   \
	" UNION SELECT 'f', w.id, 'f', p.oid FROM word w"                                          \
	" JOIN pg_catalog.pg_proc p ON p.proname = w.word WHERE w.called"                          \
	" UNION SELECT 'f', w.id, 'r', c.oid FROM word w"                                          \
	" JOIN pg_catalog.pg_class c ON c.relname = w.word AND c.oid >= 16384"                     \
	" UNION SELECT 'f', w.id, 't', t.oid FROM word w"                                          \
	" JOIN pg_catalog.pg_type t ON t.typname = w.word AND t.oid >= 16384"                      \
	" UNION SELECT 'f', p.oid, 't', a FROM pg_catalog.pg_proc p,"                              \
	" unnest(p.proargtypes::oid[] || p.prorettype) a WHERE p.oid >= 16384"                     \
	" UNION SELECT 'f', g.aggfnoid, 'f', s.oid FROM pg_catalog.pg_aggregate g"                 \
	" JOIN pg_catalog.pg_proc s ON s.oid IN (g.aggtransfn, g.aggfinalfn, g.aggcombinefn,"      \
	" g.aggserialfn, g.aggdeserialfn, g.aggmtransfn, g.aggminvtransfn, g.aggmfinalfn)"         \
	" UNION SELECT 't', t.oid, 't', e FROM pg_catalog.pg_type t,"                              \
	" unnest(array[t.typbasetype, t.typelem]) e WHERE e <> 0"                                  \
	" UNION SELECT 't', t.oid, 't', a.atttypid FROM pg_catalog.pg_type t"                      \
	" JOIN pg_catalog.pg_attribute a ON a.attrelid = t.typrelid"                               \
	" WHERE t.oid >= 16384 AND a.attnum > 0 AND NOT a.attisdropped"                            \
	" UNION SELECT 't', t.oid, 'f', p.oid FROM pg_catalog.pg_type t JOIN pg_catalog.pg_proc p" \
	" ON p.oid IN (t.typinput, t.typoutput, t.typsend, t.typreceive) WHERE t.oid >= 16384"     \
	" UNION SELECT 't', c.casttarget, 'f', c.castfunc FROM pg_catalog.pg_cast c"               \
	" WHERE c.castfunc <> 0 AND c.castcontext = 'i'"                                           \
	" UNION SELECT 'r', i.inhparent, 'r', i.inhrelid FROM pg_catalog.pg_inherits i"            \
	" JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid WHERE c.relkind IN ('f', 'p')),"        \
	" act(kind, id) AS ("                                                                      \
	" SELECT 'f', p.oid FROM pg_catalog.pg_proc p WHERE p.provolatile = 'v'"                   \
	" OR p.proname IN ('txid_current', 'pg_current_xact_id') OR p.proname LIKE 'dblink%'"      \
	" UNION SELECT 'f', w.id FROM word w WHERE w.word = 'execute'"                             \
	" UNION SELECT 'f', e.id FROM edge e JOIN pg_catalog.pg_class c ON c.oid = e.to_id"        \
	" WHERE e.kind = 'f' AND e.to_kind = 'r' AND c.relkind = 'f'"                              \
	" UNION SELECT e.kind, e.id FROM act a JOIN edge e ON e.to_kind = a.kind"                  \
	" AND e.to_id = a.id)"

static const char functions_sql[] =
	GRAPH " SELECT n.nspname, p.proname, CASE WHEN bool_or(a.id IS NOT NULL) THEN 1"
	      " WHEN bool_or(p.provolatile = 's') THEN 2 ELSE 3 END"
	      " FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace"
	      " LEFT JOIN act a ON a.kind = 'f' AND a.id = p.oid"
	      " WHERE p.prokind <> 'p' GROUP BY 1, 2";

/* For servers without the columns above. */
static const char functions_plain_sql[] =
	"SELECT n.nspname, p.proname, CASE WHEN max(CASE p.provolatile WHEN 'v' THEN 1 ELSE 0 END)"
	" = 1 THEN 1 WHEN max(CASE p.provolatile WHEN 's' THEN 1 ELSE 0 END) = 1 THEN 2 ELSE 3 END"
	" FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace"
	" GROUP BY 1, 2";

/* Relations: plain, with row security, acting (views and policies), or views that read the system's
 * own tables or ask for what belongs to one server, directly or through other views; foreign tables
 * too, whose server no READ ONLY reaches. */
static const char relations_sql[] = GRAPH
	", bad(rel, kind) AS (SELECT a.id, 3 FROM act a WHERE a.kind = 'r'"
	" UNION SELECT c.oid, 2 FROM pg_catalog.pg_class c WHERE c.relrowsecurity"
	" UNION SELECT c.oid, 5 FROM pg_catalog.pg_class c WHERE c.relkind = 'f'"
	" UNION SELECT u.id, 4 FROM edge u JOIN pg_catalog.pg_class c ON c.oid = u.to_id"
	" JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
	" WHERE u.kind = 'r' AND u.to_kind = 'r'"
	" AND n.nspname IN ('pg_catalog', 'information_schema', 'pg_toast')"
	" UNION SELECT u.id, 5 FROM edge u JOIN pg_catalog.pg_proc p ON p.oid = u.to_id"
	" JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace"
	" WHERE u.kind = 'r' AND u.to_kind = 'f' AND n.nspname = 'pg_catalog'"
	" AND p.proname ~ "
	"'^(pg_(?!size_|client_encoding|has_role$)|txid_|inet_(client|server)_|version$"
	"|has_.*_privilege$|current_(database|query|schemas)$|row_security_active$|getpgusername$"
	"|to_reg)'"
	" UNION SELECT u.id, 6 FROM edge u JOIN pg_catalog.pg_proc p ON p.oid = u.to_id"
	" WHERE u.kind = 'r' AND u.to_kind = 'f'"
	" AND p.proname = 'pg_has_role'"    /* of the current user, or of a role that is named */
	" UNION SELECT t.id, 6 FROM tree t" /* CURRENT_ROLE, CURRENT_USER, USER of primnodes.h */
	" WHERE t.kind = 'r' AND t.body ~ '[{]SQLVALUEFUNCTION :op (9|10|11) '"
	" UNION SELECT t.id, 5 FROM tree t" /* SESSION_USER, CURRENT_CATALOG */
	" WHERE t.kind = 'r' AND t.body ~ '[{]SQLVALUEFUNCTION :op (12|13) '"
	" UNION SELECT u.id, b.kind FROM edge u JOIN bad b ON b.rel = u.to_id"
	" WHERE u.kind = 'r' AND u.to_kind = 'r' AND u.id <> u.to_id)"
	" SELECT n.nspname, c.relname, coalesce(CASE WHEN bool_or(b.kind = 3) THEN 3"
	" WHEN bool_or(b.kind = 2) AND bool_or(b.kind IN (4, 5)) THEN 7"
	" WHEN bool_or(b.kind = 2) THEN 2 WHEN bool_or(b.kind = 4) THEN 4"
	" WHEN bool_or(b.kind = 5) THEN 5 WHEN bool_or(b.kind = 6) THEN 6 END, 1)"
	" FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
	" LEFT JOIN bad b ON b.rel = c.oid WHERE c.relkind IN ('r', 'v', 'm', 'f', 'p')"
	" AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') GROUP BY 1, 2, "
	"c.oid";

/* For servers without stored trees: doubt counts every view as volatile. */
static const char relations_plain_sql[] =
	"SELECT n.nspname, c.relname, CASE WHEN c.relkind = 'v' THEN 3 WHEN c.relkind = 'f' THEN 5 "
	"ELSE 1 END"
	" FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
	" WHERE c.relkind IN ('r', 'v', 'm', 'f', 'p')"
	" AND n.nspname NOT IN ('pg_catalog', 'information_schema')";

static const char generated_sql[] =
	"SELECT n.nspname, c.relname, 0 FROM pg_catalog.pg_class c"
	" JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'm')"
	" AND EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid"
	" AND a.attgenerated <> '' AND NOT a.attisdropped)";

/* For servers that don't say: doubt counts every relation. */
static const char generated_plain_sql[] =
	"SELECT n.nspname, c.relname, 0 FROM pg_catalog.pg_class c"
	" JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace";

static const char operators_sql[] =
	GRAPH " SELECT DISTINCT NULL, o.oprname, 0 FROM pg_catalog.pg_operator o"
	      " JOIN act a ON a.kind = 'f' AND a.id = o.oprcode";

static const char operators_plain_sql[] =
	"SELECT DISTINCT NULL, o.oprname, 0 FROM pg_catalog.pg_operator o"
	" JOIN pg_catalog.pg_proc p ON p.oid = o.oprcode WHERE p.provolatile = 'v'";

/* Casts, input and output functions, checks of domains. */
static const char volatile_types_sql[] =
	GRAPH " SELECT NULL, t.typname, 0 FROM pg_catalog.pg_type t"
	      " JOIN act a ON a.kind = 't' AND a.id = t.oid"
	      " UNION SELECT NULL, t.typname, 0 FROM pg_catalog.pg_cast c"
	      " JOIN act a ON a.kind = 'f' AND a.id = c.castfunc"
	      " JOIN pg_catalog.pg_type t ON t.oid = c.casttarget";

/* For servers without them: doubt counts every domain. */
static const char volatile_types_plain_sql[] =
	"SELECT NULL, t.typname, 0 FROM pg_catalog.pg_type t WHERE t.typtype = 'd'";

static const char types_sql[] =
	"SELECT NULL, n.nspname || '.' || t.typname, t.oid FROM pg_catalog.pg_type t"
	" JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace WHERE t.oid >= 16384";

static const char set_functions_sql[] =
	"SELECT n.nspname, p.proname, 1 FROM pg_catalog.pg_proc p"
	" JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace WHERE p.proretset";

/* Keys that hold at any moment for all rows that a read of the table sees: of tables without
 * children, or of partitioned ones. The columns stand behind the table's name. */
static const char uniques_sql[] =
	"SELECT n.nspname, c.relname || E'\\x01' || pg_catalog.array_to_string("
	"pg_catalog.array_agg(a.attname::text ORDER BY k.place), E'\\x01'), 1"
	" FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indrelid"
	" JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace,"
	" pg_catalog.unnest(i.indkey::int2[]) WITH ORDINALITY AS k(number, place),"
	" pg_catalog.pg_attribute a"
	" WHERE a.attrelid = c.oid AND a.attnum = k.number AND k.place <= i.indnkeyatts"
	" AND i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL"
	" AND i.indexprs IS NULL AND (c.relkind = 'p' OR c.relkind = 'r' AND NOT c.relhassubclass)"
	" AND c.relname !~ E'\\x01'"
	" AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')"
	" GROUP BY n.nspname, c.relname, i.indexrelid"
	" HAVING bool_and(a.attnotnull AND a.attname !~ E'\\x01')";

/* For servers without these columns: no order is proven total. */
static const char uniques_plain_sql[] = "SELECT '', '', 1 WHERE false";

/* The letter stands in the schema's place, the inner type in the name's. */
static const char built_types_sql[] =
	"SELECT 'a', e.oid::text, e.typarray FROM pg_catalog.pg_type e WHERE e.typarray >= 16384"
	" UNION ALL SELECT t.typtype::text, t.typbasetype::text, t.oid FROM pg_catalog.pg_type t"
	" WHERE t.typtype IN ('c', 'd') AND t.oid >= 16384"
	" UNION ALL SELECT 'r', r.rngsubtype::text, r.rngtypid FROM pg_catalog.pg_range r"
	" WHERE r.rngtypid >= 16384 UNION ALL SELECT 'm', r.rngtypid::text, r.rngmultitypid"
	" FROM pg_catalog.pg_range r WHERE r.rngmultitypid >= 16384";

/* For servers without them: such values go as they came. */
static const char built_types_plain_sql[] = "SELECT 'a', '0', 0 WHERE false";

static bool add_function(struct catalogue *c, const char *schema, const char *name, uint32_t v)
{
	return catalogue_add_function(c, schema, name, v);
}

static bool add_relation(struct catalogue *c, const char *schema, const char *name, uint32_t v)
{
	return catalogue_add_relation(c, schema, name, v);
}

static bool add_operator(struct catalogue *c, const char *schema, const char *name, uint32_t v)
{
	(void)schema;
	(void)v;
	return catalogue_add_volatile_operator(c, name);
}

static bool add_volatile_type(struct catalogue *c, const char *schema, const char *name, uint32_t v)
{
	(void)schema;
	(void)v;
	return catalogue_add_volatile_type(c, name);
}

static bool add_set_function(struct catalogue *c, const char *schema, const char *name, uint32_t v)
{
	(void)v;
	return catalogue_add_set_function(c, schema, name);
}

static bool add_unique(struct catalogue *c, const char *schema, const char *name, uint32_t v)
{
	(void)v;
	return catalogue_add_unique(c, schema, name);
}

static bool add_generated(struct catalogue *c, const char *schema, const char *name, uint32_t v)
{
	(void)v;
	return catalogue_add_generated(c, schema, name);
}

static bool add_type(struct catalogue *c, const char *schema, const char *name, uint32_t v)
{
	(void)schema;
	return catalogue_add_type(c, v, name);
}

static bool add_type_build(struct catalogue *c, const char *schema, const char *name, uint32_t v)
{
	static const struct {
		char letter;
		enum type_build build;
	} table[] = {{'a', TYPE_ARRAY}, {'d', TYPE_DOMAIN}, {'r', TYPE_RANGE},
		{'m', TYPE_MULTIRANGE}, {'c', TYPE_COMPOSITE}};

	for (size_t i = 0; schema && i < sizeof table / sizeof *table; i++)
		if (schema[0] == table[i].letter)
			return catalogue_add_type_build(
				c, v, table[i].build, (uint32_t)strtoul(name, NULL, 10));

	return true;
}

/* Each asks for schema, name, number. The second text serves where the first fails; a kind without
 * either answer may stay empty only where that is the cautious side. */
static const struct question {
	const char *what, *sql, *otherwise;
	bool (*add)(struct catalogue *c, const char *schema, const char *name, uint32_t value);
	uint32_t limit; /* of the number; 0: any */
} questions[] = {
	{"functions", functions_sql, functions_plain_sql, add_function, FUNCTION_IMMUTABLE},
	{"relations", relations_sql, relations_plain_sql, add_relation,
		RELATION_ROW_SECURITY_SERVER},
	{"generated columns", generated_sql, generated_plain_sql, add_generated, 0},
	{"operators", operators_sql, operators_plain_sql, add_operator, 0},
	{"casts", volatile_types_sql, volatile_types_plain_sql, add_volatile_type, 0},
	{"types", types_sql, NULL, add_type, 0},
	{"set-returning functions", set_functions_sql, NULL, add_set_function, 0},
	{"unique keys", uniques_sql, uniques_plain_sql, add_unique, 0},
	{"types' parts", built_types_sql, built_types_plain_sql, add_type_build, 0},
};

static bool take_row(struct catalogue *c, const struct question *q, const PGresult *r, int row)
{
	const char *schema = PQgetisnull(r, row, 0) ? NULL : PQgetvalue(r, row, 0);
	unsigned long value = strtoul(PQgetvalue(r, row, 2), NULL, 10);

	if (q->limit && (value == 0 || value > q->limit))
		return false;
	return q->add(c, schema, PQgetvalue(r, row, 1), (uint32_t)value);
}

/* True if the command succeeded; its result is not wanted. */
static bool run(PGconn *connection, const char *sql)
{
	PGresult *r = PQexec(connection, sql);
	bool ok = PQresultStatus(r) == PGRES_COMMAND_OK;

	PQclear(r);
	return ok;
}

/* Rows in a read-only transaction of its own; NULL after an error, with the text in *error. */
static PGresult *ask(PGconn *connection, const char *what, const char *sql, struct error *error)
{
	PGresult *r = NULL;

	if (run(connection, "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY") &&
		run(connection, "SET LOCAL search_path = ''"))
		r = PQexec(connection, sql);
	if (PQresultStatus(r) != PGRES_TUPLES_OK || PQnfields(r) != 3) {
		char text[256];

		snprintf(text, sizeof text, "%s", PQerrorMessage(connection));
		text[strcspn(text, "\n")] = '\0';
		error_set(error, "cannot read the catalogue's %s: %s", what, text);
		PQclear(r);
		r = NULL;
	}
	if (!run(connection, "ROLLBACK")) {
		error_set(error, "connection lost while reading the catalogue's %s", what);
		PQclear(r);
		r = NULL;
	}
	return r;
}

static bool take_answer(
	struct catalogue *c, const struct question *q, PGconn *connection, struct error *error)
{
	PGresult *r = ask(connection, q->what, q->sql, error);
	bool ok = true;

	if (!r && q->otherwise && PQstatus(connection) == CONNECTION_OK)
		r = ask(connection, q->what, q->otherwise, error);
	if (!r)
		return false;
	for (int row = 0; ok && row < PQntuples(r); row++)
		ok = take_row(c, q, r, row);
	if (!ok)
		error_set(error, "the catalogue's %s do not fit: over %d, or out of memory",
			q->what, CATALOGUE_LIMIT);
	PQclear(r);

	return ok;
}

struct catalogue *catalogue_load(PGconn *connection, struct error *error)
{
	struct catalogue *c = catalogue_new();

	if (!c) {
		error_set(error, "out of memory");
		return NULL;
	}
	for (size_t i = 0; i < sizeof questions / sizeof questions[0]; i++) {
		if (!take_answer(c, &questions[i], connection, error)) {
			catalogue_free(c);
			return NULL;
		}
	}
	catalogue_seal(c);

	return c;
}

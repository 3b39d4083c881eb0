#include "proxy/shadow/catalogue_internal.h"

struct catalogue *catalogue_new(void)
{
	return calloc(1, sizeof(struct catalogue));
}

void names_release(struct names *n)
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
	for (size_t i = 0; i < CODE_KINDS; i++)
		names_release(&c->codes[i]);
	routines_release(c);
	free(c->types_by_oid);
	free(c->built);
	free(c->field);
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

bool names_add(struct names *n, const char *schema, const char *name, uint32_t value)
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

bool catalogue_add_code(
	struct catalogue *c, enum code_kind kind, const char *schema, const char *name)
{
	assert(!c->sealed && kind < CODE_KINDS);
	return names_add(&c->codes[kind], schema, name, 0);
}

void catalogue_codes_unknown(struct catalogue *c)
{
	c->codes_unknown = true;
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

bool catalogue_add_type_field(struct catalogue *c, uint32_t oid, unsigned n, uint32_t type)
{
	assert(!c->sealed);
	if (c->nfields == c->field_cap) {
		size_t cap = c->field_cap ? c->field_cap * 2 : 64;
		struct field *grown =
			cap <= CATALOGUE_LIMIT ? realloc(c->field, cap * sizeof *grown) : NULL;

		if (!grown)
			return false;
		c->field = grown;
		c->field_cap = cap;
	}
	c->field[c->nfields++] = (struct field){.oid = oid, .n = n, .type = type};

	return true;
}

static int by_field(const void *a, const void *b)
{
	const struct field *x = a, *y = b;

	if (x->oid != y->oid)
		return x->oid < y->oid ? -1 : 1;

	return (x->n > y->n) - (x->n < y->n);
}

static int by_built_oid(const void *a, const void *b)
{
	const struct built *x = a, *y = b;

	return (x->oid > y->oid) - (x->oid < y->oid);
}

void names_sort(struct names *n)
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
	if (c->nfields > 0)
		qsort(c->field, c->nfields, sizeof *c->field, by_field);
	for (size_t i = 0; i < CODE_KINDS; i++)
		names_sort(&c->codes[i]);
	c->sealed = true;
	routines_settle(c);
}

struct names names_find(const struct names *n, const char *name)
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

bool named_in_schema(const struct named *e, const char *schema)
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
		if (named_in_schema(&run.item[i], schema) &&
			(worst == FUNCTION_UNKNOWN || run.item[i].value < worst))
			worst = run.item[i].value;
	return worst;
}

bool catalogue_function_only_in(const struct catalogue *c, const char *schema, const char *name)
{
	struct names run = names_find(&c->functions, name);

	assert(c->sealed);
	for (size_t i = 0; i < run.count; i++)
		if (!named_in_schema(&run.item[i], schema))
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
		if (named_in_schema(&run.item[i], schema) &&
			gravity[run.item[i].value] > gravity[worst])
			worst = run.item[i].value;
	return worst;
}

bool catalogue_function_set(const struct catalogue *c, const char *schema, const char *name)
{
	struct names run = names_find(&c->set_functions, name);

	assert(c->sealed);
	for (size_t i = 0; i < run.count; i++)
		if (named_in_schema(&run.item[i], schema))
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

		if (!named_in_schema(&tables.item[i], schema))
			continue;
		for (size_t k = 0; k < keys.count && !held; k++)
			held = named_in_schema(&keys.item[k], tables.item[i].schema) &&
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
		if (named_in_schema(&run.item[i], schema))
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

uint32_t catalogue_type_field(const struct catalogue *c, uint32_t oid, unsigned n)
{
	const struct field key = {.oid = oid, .n = n}, *found;

	assert(c->sealed);
	found = c->nfields ? bsearch(&key, c->field, c->nfields, sizeof key, by_field) : NULL;

	return found ? found->type : 0;
}

size_t catalogue_functions(const struct catalogue *c)
{
	return c->functions.count;
}

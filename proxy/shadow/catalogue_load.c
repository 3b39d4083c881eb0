/* The questions that a server answers about its catalogue. */
#include "proxy/shadow/catalogue_internal.h"

#include <stdio.h>

/* What acts, whatever it is called: functions ('f'), relations ('r') and types ('t') that lead to a
 * volatile function. A label may lie: a function that is called stable may call a volatile one, and
 * does it with all its consequences. Dependencies on built-in functions are not in pg_depend, and
 * those of functions' bodies nowhere, so the stored trees are searched for the oids that they call,
 * read and coerce to, and bodies kept as text for words: a name before "(" may be a call, any name
 * a relation or a type, and EXECUTE may run anything. What runs where no text says so is reached
 * from the columns: a value ('v') is written out, cast implicitly, sorted and hashed by functions
 * of its type. Implicit casts between built-in types that somebody made may stand anywhere. */
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
	" WHERE p.oid >= 16384 AND p.provolatile <> 'v'"                                           \
	" UNION ALL SELECT 'f', p.oid, p.proargdefaults::text FROM pg_catalog.pg_proc p"           \
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
	" JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid WHERE c.relkind IN ('f', 'p')"          \
	" UNION SELECT 'r', a.attrelid, 'v', a.atttypid FROM pg_catalog.pg_attribute a"            \
	" WHERE a.attnum > 0 AND a.atttypid >= 16384"                                              \
	" UNION SELECT 't', t.oid, 'v', t.oid FROM pg_catalog.pg_type t WHERE t.oid >= 16384"      \
	" UNION SELECT 'v', t.oid, 'v', e FROM pg_catalog.pg_type t"                               \
	" LEFT JOIN pg_catalog.pg_range g ON g.rngtypid = t.oid,"                                  \
	" unnest(array[t.typbasetype, t.typelem, g.rngsubtype]) e WHERE e >= 16384"                \
	" UNION SELECT 'v', t.oid, 'v', a.atttypid FROM pg_catalog.pg_type t"                      \
	" JOIN pg_catalog.pg_attribute a ON a.attrelid = t.typrelid"                               \
	" WHERE a.attnum > 0 AND a.atttypid >= 16384"                                              \
	" UNION SELECT 'v', t.oid, 'f', f FROM pg_catalog.pg_type t,"                              \
	" unnest(array[t.typoutput, t.typsend]::oid[]) f WHERE t.oid >= 16384"                     \
	" UNION SELECT 'v', c.castsource, 'f', c.castfunc FROM pg_catalog.pg_cast c"               \
	" WHERE c.castfunc <> 0 AND c.castcontext = 'i'"                                           \
	" UNION SELECT 'v', m.amproclefttype, 'f', m.amproc::oid FROM pg_catalog.pg_amproc m"      \
	" UNION SELECT 'v', m.amoplefttype, 'f', o.oprcode::oid FROM pg_catalog.pg_amop m"         \
	" JOIN pg_catalog.pg_operator o ON o.oid = m.amopopr"                                      \
	" UNION SELECT 'r', c.oid, 'f', k.castfunc FROM pg_catalog.pg_class c, "                   \
	"pg_catalog.pg_cast k"                                                                     \
	" WHERE k.castcontext = 'i' AND k.castfunc >= 16384 AND k.castsource < 16384"              \
	" AND k.casttarget < 16384 AND c.oid >= 16384),"                                           \
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
	" WHERE t.typtype IN ('c', 'd', 'e') AND t.oid >= 16384"
	" UNION ALL SELECT 'r', r.rngsubtype::text, r.rngtypid FROM pg_catalog.pg_range r"
	" WHERE r.rngtypid >= 16384 UNION ALL SELECT 'm', r.rngtypid::text, r.rngmultitypid"
	" FROM pg_catalog.pg_range r WHERE r.rngmultitypid >= 16384";

/* The composite stands in the schema's place, the field's number in the name's. */
static const char type_fields_sql[] =
	"SELECT t.oid::text, (row_number() OVER (PARTITION BY t.oid ORDER BY a.attnum) - 1)::text,"
	" a.atttypid FROM pg_catalog.pg_type t JOIN pg_catalog.pg_attribute a"
	" ON a.attrelid = t.typrelid WHERE t.typtype = 'c' AND t.oid >= 16384 AND a.attnum > 0"
	" AND NOT a.attisdropped";
static const char type_fields_plain_sql[] = "SELECT '0', '0', 0 WHERE false";

/* For servers without them: such values go as they came. */
static const char built_types_plain_sql[] = "SELECT 'a', '0', 0 WHERE false";

/* Code that is not built in: what reaches a volatile function of users, or a built-in one that sets
 * or runs text, may change its session (1 to 3); what reaches a body kept as text takes names late,
 * by the caller's search_path (4 to 6). */
#define CODE_KIND " + CASE r.kind WHEN 'r' THEN 0 WHEN 'o' THEN 1 ELSE 2 END"
#define CODE_LETTERS                                                                          \
	" root(kind, id, schema, name, to_kind, to_id) AS ("                                  \
	" SELECT 'r', c.oid, n.nspname, c.relname, 'r', c.oid FROM pg_catalog.pg_class c"     \
	" JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid >= 16384"      \
	" UNION ALL SELECT 'o', o.oid, NULL, o.oprname, 'f', o.oprcode::oid"                  \
	" FROM pg_catalog.pg_operator o"                                                      \
	" UNION ALL SELECT 't', t.oid, NULL, t.typname, 't', t.oid FROM pg_catalog.pg_type t" \
	" UNION ALL SELECT 't', t.oid, NULL, t.typname, 'f', c.castfunc"                      \
	" FROM pg_catalog.pg_cast c JOIN pg_catalog.pg_type t ON t.oid = c.casttarget)"

static const char codes_sql[] =
	GRAPH ", unsure(kind, id) AS (SELECT 'f', p.oid FROM pg_catalog.pg_proc p"
	      " WHERE (p.provolatile = 'v' AND p.oid >= 16384) OR p.proname = 'set_config'"
	      " OR p.proname ~ '_to_xml|^ts_(stat|rewrite)$'"
	      " UNION SELECT 'f', w.id FROM word w WHERE w.word = 'execute'"
	      " UNION SELECT e.kind, e.id FROM unsure a JOIN edge e ON e.to_kind = a.kind"
	      " AND e.to_id = a.id),"
	      " late(kind, id) AS (SELECT 'f', p.oid FROM pg_catalog.pg_proc p"
	      " JOIN pg_catalog.pg_language l ON l.oid = p.prolang"
	      " WHERE p.oid >= 16384 AND l.lanname NOT IN ('c', 'internal')"
	      " UNION SELECT e.kind, e.id FROM late a JOIN edge e ON e.to_kind = a.kind"
	      " AND e.to_id = a.id)," CODE_LETTERS " SELECT DISTINCT r.schema, r.name, 1" CODE_KIND
	      " FROM root r"
	      " JOIN unsure a ON a.kind = r.to_kind AND a.id = r.to_id"
	      " UNION SELECT r.schema, r.name, 4" CODE_KIND " FROM root r"
	      " JOIN late a ON a.kind = r.to_kind AND a.id = r.to_id";

static const char codes_plain_sql[] = "SELECT NULL, '', 7";

/* Bodies of users' functions and procedures. Of those in C nothing is known but their label, and so
 * of volatile ones in other languages; a body bound to oids when it was made takes no name late. */
#define ROUTINES(body)                                                                          \
	"SELECT n.nspname, p.proname, l.lanname, CASE WHEN l.lanname IN ('c', 'internal') OR"   \
	" (p.provolatile = 'v' AND l.lanname NOT IN ('sql', 'plpgsql')) THEN NULL ELSE "        \
	"pg_catalog.left(" body ", 262145) END FROM pg_catalog.pg_proc p"                       \
	" JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace"                             \
	" JOIN pg_catalog.pg_language l ON l.oid = p.prolang"                                   \
	" WHERE p.oid >= 16384 AND (p.provolatile = 'v' OR p.prokind = 'p' OR l.lanname NOT IN" \
	" ('c', 'internal'))"

static const char routines_sql[] =
	ROUTINES("coalesce(pg_catalog.pg_get_function_sqlbody(p.oid), p.prosrc)");
static const char routines_plain_sql[] = ROUTINES("p.prosrc");

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

static bool add_code(struct catalogue *c, const char *schema, const char *name, uint32_t v)
{
	if (v <= CODE_KINDS)
		return catalogue_add_code(c, (enum code_kind)(v - 1), schema, name);
	catalogue_codes_unknown(c);

	return true;
}

static bool add_type(struct catalogue *c, const char *schema, const char *name, uint32_t v)
{
	(void)schema;
	return catalogue_add_type(c, v, name);
}

/* Too many to be kept are not known: such values are compared by their bytes. */
static bool add_type_field(struct catalogue *c, const char *schema, const char *name, uint32_t v)
{
	if (schema)
		(void)catalogue_add_type_field(c, (uint32_t)strtoul(schema, NULL, 10),
			(unsigned)strtoul(name, NULL, 10), v);

	return true;
}

static bool add_type_build(struct catalogue *c, const char *schema, const char *name, uint32_t v)
{
	static const struct {
		char letter;
		enum type_build build;
	} table[] = {{'a', TYPE_ARRAY}, {'d', TYPE_DOMAIN}, {'r', TYPE_RANGE},
		{'m', TYPE_MULTIRANGE}, {'c', TYPE_COMPOSITE}, {'e', TYPE_ENUM}};

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
	{"code", codes_sql, codes_plain_sql, add_code, CODE_KINDS + 1},
	{"types", types_sql, NULL, add_type, 0},
	{"set-returning functions", set_functions_sql, NULL, add_set_function, 0},
	{"unique keys", uniques_sql, uniques_plain_sql, add_unique, 0},
	{"types' parts", built_types_sql, built_types_plain_sql, add_type_build, 0},
	{"types' fields", type_fields_sql, type_fields_plain_sql, add_type_field, 0},
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
static PGresult *ask(
	PGconn *connection, const char *what, const char *sql, int columns, struct error *error)
{
	PGresult *r = NULL;

	if (run(connection, "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY") &&
		run(connection, "SET LOCAL search_path = ''"))
		r = PQexec(connection, sql);
	if (PQresultStatus(r) != PGRES_TUPLES_OK || PQnfields(r) != columns) {
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
	PGresult *r = ask(connection, q->what, q->sql, 3, error);
	bool ok = true;

	if (!r && q->otherwise && PQstatus(connection) == CONNECTION_OK)
		r = ask(connection, q->what, q->otherwise, 3, error);
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

static const char *text_or_null(const PGresult *r, int row, int column)
{
	return PQgetisnull(r, row, column) ? NULL : PQgetvalue(r, row, column);
}

static bool take_routines(struct catalogue *c, PGconn *connection, struct error *error)
{
	PGresult *r = ask(connection, "routines", routines_sql, 4, error);
	bool ok = true;

	if (!r && PQstatus(connection) == CONNECTION_OK)
		r = ask(connection, "routines", routines_plain_sql, 4, error);
	if (!r && PQstatus(connection) == CONNECTION_OK)
		return true; /* none is known: calls leave doubt */
	for (int row = 0; r && ok && row < PQntuples(r); row++)
		ok = catalogue_add_routine(c, PQgetvalue(r, row, 0), PQgetvalue(r, row, 1),
			PQgetvalue(r, row, 2), text_or_null(r, row, 3));
	if (!ok)
		error_set(error, "the catalogue's routines do not fit");
	ok = ok && r;
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
	if (!take_routines(c, connection, error)) {
		catalogue_free(c);
		return NULL;
	}
	catalogue_seal(c);

	return c;
}

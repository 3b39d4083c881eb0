/* What belongs to schemas beside tables: types, functions, operators, casts, text search, foreign
 * data. */
#include "proxy/preflight_compare.h"

#include "proxy/preflight_deparsed.h"
#include "proxy/preflight_sql.h"

/* clang-format off */

#define COLLATION_OF(collation, type) \
	"coalesce((SELECT format(' COLLATE %I.%I', cn.nspname, l.collname) " \
	"FROM pg_catalog.pg_collation l JOIN pg_catalog.pg_namespace cn ON cn.oid = " \
	"l.collnamespace WHERE l.oid = " collation " AND l.oid <> (SELECT b.typcollation " \
	"FROM pg_catalog.pg_type b WHERE b.oid = " type ")), '')"

static const char types_sql[] =
	"SELECT " SCHEMA " AS parent, format('%I.%I', n.nspname, t.typname) AS key, CASE "
	"t.typtype WHEN 'm' THEN 'multirange' WHEN 'e' THEN 'enum (' || coalesce((SELECT "
	"string_agg(quote_literal(l.enumlabel), ', ' ORDER BY l.enumsortorder) "
	"FROM pg_catalog.pg_enum l WHERE l.enumtypid = t.oid), '') || ')' WHEN 'd' THEN 'domain "
	"over ' || format_type(t.typbasetype, t.typtypmod) || "
	COLLATION_OF("t.typcollation", "t.typbasetype") " || CASE WHEN t.typnotnull THEN ' not "
	"null' ELSE '' END || coalesce(' default ' || t.typdefault, '') WHEN 'c' THEN 'composite "
	"(' || coalesce((SELECT string_agg(quote_ident(a.attname) || ' ' || "
	"format_type(a.atttypid, a.atttypmod) || " COLLATION_OF("a.attcollation", "a.atttypid")
	", ', ' ORDER BY a.attnum) FROM pg_catalog.pg_attribute a WHERE a.attrelid = t.typrelid "
	"AND a.attnum > 0 AND NOT a.attisdropped), '') || ')' WHEN 'r' THEN (SELECT 'range of ' "
	"|| format_type(r.rngsubtype, NULL) || " COLLATION_OF("r.rngcollation", "r.rngsubtype") " "
	"|| ' by ' || o.opcname || CASE WHEN r.rngcanonical <> 0 THEN ', canonical ' || "
	"r.rngcanonical::text ELSE '' END || CASE WHEN r.rngsubdiff <> 0 THEN ', difference ' || "
	"r.rngsubdiff::text ELSE '' END FROM pg_catalog.pg_range r JOIN pg_catalog.pg_opclass o "
	"ON o.oid = r.rngsubopc WHERE r.rngtypid = t.oid) ELSE 'base type' END AS value, 'CREATE "
	"TYPE or CREATE DOMAIN as on the primary' AS add, CASE t.typtype WHEN 'e' THEN "
	"format('ALTER TYPE %I.%I ADD VALUE ..., or made anew with the primary''s labels in their "
	"order', n.nspname, t.typname) ELSE 'made anew as on the primary' END AS set, "
	"format('DROP TYPE %I.%I', n.nspname, t.typname) AS remove FROM pg_catalog.pg_type t "
	"JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace LEFT "
	"JOIN pg_catalog.pg_class k ON k.oid = t.typrelid WHERE (t.typtype IN ('e', 'd', 'r', "
	"'m') OR (t.typtype = 'c' AND k.relkind = 'c') OR (t.typtype = 'b' "
	"AND t.typelem = 0)) AND t.typisdefined AND " OF_USERS " AND "
	OF_NO_EXTENSION("pg_type", "t.oid") SCHEMA_MARKS;

static const char domain_constraints_sql[] =
	"SELECT format('%I.%I', n.nspname, t.typname) AS parent, format('%I of domain %I.%I', "
	"k.conname, n.nspname, t.typname) AS key, def AS value, NULL AS shown_, format('ALTER "
	"DOMAIN %I.%I ADD CONSTRAINT %I %s', n.nspname, t.typname, k.conname, def) AS add, "
	"format('ALTER DOMAIN %I.%I VALIDATE CONSTRAINT %I where that is all; or DROP CONSTRAINT "
	"and ADD CONSTRAINT %I %s', n.nspname, t.typname, k.conname, k.conname, def) AS set, "
	"format('ALTER DOMAIN %I.%I DROP CONSTRAINT %I', n.nspname, t.typname, k.conname) AS "
	"remove FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_type t ON t.oid = k.contypid "
	"JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace, LATERAL "
	"pg_get_constraintdef(k.oid) AS def WHERE k.contype = 'c' AND " OF_USERS " "
	"AND " OF_NO_EXTENSION("pg_type", "t.oid") " UNION ALL SELECT format('%I.%I', n.nspname, "
	"t.typname), format('%I.%I', n.nspname, t.typname), '', '', '', '', '' "
	"FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace "
	"WHERE t.typtype = 'd' AND " OF_USERS;

/* A body in standard SQL has no source text, only a tree: pg_get_function_sqlbody is of 14. */
#define FUNCTIONS(body) \
	"SELECT " SCHEMA " AS parent, format('%I.%I(%s)', n.nspname, p.proname, " \
	"pg_get_function_identity_arguments(p.oid)) AS key, concat_ws(', ', CASE p.prokind WHEN " \
	"'p' THEN 'procedure' WHEN 'w' THEN 'window function' END, CASE p.provolatile WHEN 'i' " \
	"THEN 'immutable' WHEN 's' THEN 'stable' ELSE 'volatile' END, l.lanname, CASE WHEN " \
	"p.proisstrict THEN 'strict' END, CASE WHEN p.prosecdef THEN 'security definer' END, " \
	"CASE WHEN p.proleakproof THEN 'leakproof' END, CASE p.proparallel WHEN 's' THEN " \
	"'parallel safe' WHEN 'r' THEN 'parallel restricted' ELSE 'parallel unsafe' END, " \
	"'returns ' || pg_get_function_result(p.oid), (SELECT 'set ' || string_agg(s, ' ' ORDER " \
	"BY s) FROM unnest(p.proconfig) AS s WHERE s NOT LIKE '%.%'), (SELECT 'set by md5 ' || " \
	"left(md5(string_agg(s, ' ' ORDER BY s)), 8) FROM unnest(p.proconfig) AS s " \
	"WHERE s LIKE '%.%'), 'body ' || coalesce(" body ", 'md5 ' || left(md5(p.prosrc), 8)), " \
	"nullif('arguments ' || pg_get_function_arguments(p.oid), 'arguments ' || " \
	"pg_get_function_identity_arguments(p.oid))) AS value, " \
	STATEMENT("pg_get_functiondef(p.oid)") " AS add, " STATEMENT("pg_get_functiondef(p.oid)") \
	" AS set, format('DROP ROUTINE %I.%I(%s)', n.nspname, p.proname, " \
	"pg_get_function_identity_arguments(p.oid)) AS remove FROM pg_catalog.pg_proc p " \
	"JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace JOIN pg_catalog.pg_language l " \
	"ON l.oid = p.prolang WHERE p.prokind <> 'a' AND " OF_USERS " AND " \
	OF_NOTHING_ELSE("pg_proc", "p.oid") SCHEMA_MARKS

static const char functions_sql[] =
	FUNCTIONS("pg_get_function_sqlbody(p.oid)");
static const char old_functions_sql[] =
	FUNCTIONS("NULL");

static const char aggregates_sql[] =
	"SELECT " SCHEMA " AS parent, format('%I.%I(%s)', n.nspname, p.proname, "
	"pg_get_function_identity_arguments(p.oid)) AS key, concat_ws(', ', 'step ' || "
	"g.aggtransfn::oid::regprocedure::text, 'state ' || format_type(g.aggtranstype, NULL), "
	"'final ' || nullif(g.aggfinalfn::oid::regprocedure::text, '-'), 'combine ' || "
	"nullif(g.aggcombinefn::oid::regprocedure::text, '-'), 'starts at ' || "
	"quote_literal(g.agginitval), 'moving ' || nullif(g.aggmtransfn::oid::regprocedure::text, "
	"'-'), 'moving inverse ' || nullif(g.aggminvtransfn::oid::regprocedure::text, '-'), "
	"'moving final ' || nullif(g.aggmfinalfn::oid::regprocedure::text, '-'), 'moves from ' || "
	"quote_literal(g.aggminitval), 'kind ' || g.aggkind::text, 'sorted by ' || "
	"nullif(g.aggsortop::regoperator::text, '0'), CASE p.proparallel WHEN 's' THEN 'parallel "
	"safe' WHEN 'r' THEN 'parallel restricted' ELSE 'parallel unsafe' END) AS value, 'CREATE "
	"AGGREGATE as pg_dump --schema-only of the primary writes it' AS add, 'CREATE OR REPLACE "
	"AGGREGATE as pg_dump --schema-only of the primary writes it' AS set, format('DROP "
	"ROUTINE %I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)) AS "
	"remove FROM pg_catalog.pg_aggregate g JOIN pg_catalog.pg_proc p ON p.oid = g.aggfnoid "
	"JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace WHERE " OF_USERS " "
	"AND " OF_NOTHING_ELSE("pg_proc", "p.oid") SCHEMA_MARKS;

static const char operators_sql[] =
	"SELECT " SCHEMA " AS parent, o.oid::regoperator::text AS key, concat_ws(', ', "
	"o.oprcode::oid::regprocedure::text, 'gives ' || format_type(o.oprresult, NULL), "
	"'commutator ' || nullif(o.oprcom::regoperator::text, '0'), 'negator ' || "
	"nullif(o.oprnegate::regoperator::text, '0'), CASE WHEN o.oprcanmerge THEN 'merges' END, "
	"CASE WHEN o.oprcanhash THEN 'hashes' END) AS value, 'CREATE OPERATOR as pg_dump "
	"--schema-only of the primary writes it' AS add, 'the operator made anew as on the "
	"primary' AS set, format('DROP OPERATOR %s', o.oid::regoperator) AS remove "
	"FROM pg_catalog.pg_operator o JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace "
	"WHERE o.oprcode <> 0 AND " OF_USERS " AND " OF_NO_EXTENSION("pg_operator", "o.oid")
	SCHEMA_MARKS;

static const char operator_classes_sql[] =
	"SELECT " SCHEMA " AS parent, format('%I.%I for %I', n.nspname, o.opcname, m.amname) AS "
	"key, concat_ws(', ', format_type(o.opcintype, NULL), CASE WHEN o.opcdefault THEN 'the "
	"default' END, (SELECT string_agg(format('%s %s', a.amopstrategy, "
	"a.amopopr::regoperator), ', ' ORDER BY a.amopstrategy, a.amopopr::regoperator::text) "
	"FROM pg_catalog.pg_amop a WHERE a.amopfamily = o.opcfamily), (SELECT "
	"string_agg(format('function %s %s', a.amprocnum, a.amproc::regprocedure), ', ' ORDER BY "
	"a.amprocnum, a.amproc::regprocedure::text) FROM pg_catalog.pg_amproc a "
	"WHERE a.amprocfamily = o.opcfamily)) AS value, 'CREATE OPERATOR CLASS as pg_dump "
	"--schema-only of the primary writes it' AS add, 'the operator class made anew as on the "
	"primary' AS set, format('DROP OPERATOR CLASS %I.%I USING %I', n.nspname, o.opcname, "
	"m.amname) AS remove FROM pg_catalog.pg_opclass o JOIN pg_catalog.pg_namespace n ON n.oid "
	"= o.opcnamespace JOIN pg_catalog.pg_am m ON m.oid = o.opcmethod "
	"WHERE " OF_USERS " AND " OF_NO_EXTENSION("pg_opclass", "o.oid") SCHEMA_MARKS;

/* 16384: the first oid that isn't initdb's. */
static const char casts_sql[] =
	"SELECT format('%s as %s', format_type(k.castsource, NULL), format_type(k.casttarget, "
	"NULL)) AS key, concat_ws(', ', CASE k.castmethod WHEN 'i' THEN 'by text' WHEN 'b' THEN "
	"'the same bytes' ELSE k.castfunc::regprocedure::text END, CASE k.castcontext WHEN 'i' "
	"THEN 'implicit' WHEN 'a' THEN 'on assignment' ELSE 'explicit' END) AS value, 'CREATE "
	"CAST as pg_dump --schema-only of the primary writes it' AS add, 'DROP CAST, then CREATE "
	"CAST as on the primary' AS set, format('DROP CAST (%s AS %s)', format_type(k.castsource, "
	"NULL), format_type(k.casttarget, NULL)) AS remove FROM pg_catalog.pg_cast k "
	"WHERE k.oid >= 16384 AND " OF_NOTHING_ELSE("pg_cast", "k.oid");

static const char text_search_sql[] =
	"SELECT format('configuration %I.%I', n.nspname, g.cfgname) AS key, concat_ws(', ', "
	"'parser ' || (SELECT q.prsname FROM pg_catalog.pg_ts_parser q "
	"WHERE q.oid = g.cfgparser), (SELECT string_agg(format('%s: %s', t, dictionaries), ', ' "
	"ORDER BY t) FROM (SELECT m.maptokentype AS t, string_agg(m.mapdict::regdictionary::text, "
	"' then ' ORDER BY m.mapseqno) AS dictionaries FROM pg_catalog.pg_ts_config_map m "
	"WHERE m.mapcfg = g.oid GROUP BY m.maptokentype) AS x)) AS value, 'CREATE TEXT SEARCH "
	"CONFIGURATION as pg_dump --schema-only of the primary writes it' AS add, format('ALTER "
	"TEXT SEARCH CONFIGURATION %I.%I ALTER MAPPING ... as on the primary', n.nspname, "
	"g.cfgname) AS set, format('DROP TEXT SEARCH CONFIGURATION %I.%I', n.nspname, g.cfgname) "
	"AS remove FROM pg_catalog.pg_ts_config g JOIN pg_catalog.pg_namespace n ON n.oid = "
	"g.cfgnamespace WHERE " OF_USERS " AND " OF_NO_EXTENSION("pg_ts_config", "g.oid") " "
	"UNION ALL SELECT format('dictionary %I.%I', n.nspname, d.dictname), concat_ws(', ', "
	"'template ' || (SELECT q.tmplname FROM pg_catalog.pg_ts_template q "
	"WHERE q.oid = d.dicttemplate), d.dictinitoption), format('CREATE TEXT SEARCH DICTIONARY "
	"%I.%I (TEMPLATE = %s, %s)', n.nspname, d.dictname, (SELECT q.tmplname "
	"FROM pg_catalog.pg_ts_template q WHERE q.oid = d.dicttemplate), d.dictinitoption), "
	"format('ALTER TEXT SEARCH DICTIONARY %I.%I (%s)', n.nspname, d.dictname, "
	"d.dictinitoption), format('DROP TEXT SEARCH DICTIONARY %I.%I', n.nspname, d.dictname) "
	"FROM pg_catalog.pg_ts_dict d JOIN pg_catalog.pg_namespace n ON n.oid = d.dictnamespace "
	"WHERE " OF_USERS " AND " OF_NO_EXTENSION("pg_ts_dict", "d.oid");

/* What a built-in dictionary makes of some words: the stemmers and stop words come with the server.
 */
static const char stemmers_sql[] =
	"SELECT format('%I on %L', d.dictname, w) AS key, "
	"array_to_string(ts_lexize(d.oid::regdictionary, w), ' ') AS value, 'reads of text search "
	"differ between the versions: rebuild tsvectors after the cut-over' AS set "
	"FROM pg_catalog.pg_ts_dict d JOIN pg_catalog.pg_namespace n ON n.oid = d.dictnamespace, "
	"unnest(string_to_array('skies,dying,generally,herring,andes,international,boxes,relational', "
	"',')) AS w WHERE n.nspname = 'pg_catalog' AND d.dictname IN ('english_stem', 'simple')";

/* Options may hold secrets, whatever their names. */
static const char foreign_sql[] =
	"SELECT format('foreign data wrapper %I', w.fdwname) AS key, concat_ws(', ', 'handler ' "
	"|| nullif(w.fdwhandler::regprocedure::text, '-'), 'options md5 ' || left(md5((SELECT "
	"string_agg(o, ' ' ORDER BY o) FROM unnest(w.fdwoptions) AS o)), 8)) AS value, 'CREATE "
	"FOREIGN DATA WRAPPER as on the primary' AS add, format('ALTER FOREIGN DATA WRAPPER %I', "
	"w.fdwname) AS set, format('DROP FOREIGN DATA WRAPPER %I', w.fdwname) AS remove "
	"FROM pg_catalog.pg_foreign_data_wrapper w WHERE "
	OF_NO_EXTENSION("pg_foreign_data_wrapper", "w.oid") " UNION ALL SELECT format('foreign "
	"server %I', s.srvname), concat_ws(', ', 'by ' || w.fdwname, s.srvtype, 'version ' || "
	"s.srvversion, 'options md5 ' || left(md5((SELECT string_agg(o, ' ' ORDER BY o) "
	"FROM unnest(s.srvoptions) AS o)), 8)), 'CREATE SERVER as on the primary', format('ALTER "
	"SERVER %I OPTIONS (SET ...) as on the primary, if it is to reach the same', s.srvname), "
	"format('DROP SERVER %I', s.srvname) FROM pg_catalog.pg_foreign_server s "
	"JOIN pg_catalog.pg_foreign_data_wrapper w ON w.oid = s.srvfdw "
	"WHERE " OF_NO_EXTENSION("pg_foreign_server", "s.oid") " UNION ALL SELECT format('user "
	"mapping of %s for %I', CASE WHEN u.umuser = 0 THEN 'PUBLIC' ELSE quote_ident(u.usename) "
	"END, u.srvname), '', format('CREATE USER MAPPING FOR %s SERVER %I OPTIONS (...)', CASE "
	"WHEN u.umuser = 0 THEN 'PUBLIC' ELSE quote_ident(u.usename) END, u.srvname), '', "
	"format('DROP USER MAPPING FOR %s SERVER %I', CASE WHEN u.umuser = 0 THEN 'PUBLIC' ELSE "
	"quote_ident(u.usename) END, u.srvname) FROM pg_catalog.pg_user_mappings u";

static const char foreign_tables_sql[] =
	"SELECT " CLASS_NAME " AS key, concat_ws(', ', 'of ' || s.srvname, 'options md5 ' || "
	"left(md5(concat_ws(' ', (SELECT string_agg(o, ' ' ORDER BY o) "
	"FROM unnest(f.ftoptions) AS o), (SELECT string_agg(a.attname || o, ' ' ORDER BY "
	"a.attname, o) FROM pg_catalog.pg_attribute a, unnest(a.attfdwoptions) AS o "
	"WHERE a.attrelid = c.oid))), 8)) AS value, format('ALTER FOREIGN TABLE %I.%I OPTIONS "
	"(SET ...) as on the primary', n.nspname, c.relname) AS set FROM "
	"pg_catalog.pg_foreign_table f JOIN " CLASSES " ON c.oid = f.ftrelid "
	"JOIN pg_catalog.pg_foreign_server s ON s.oid = f.ftserver WHERE " USERS_CLASSES;

static const char languages_sql[] =
	"SELECT quote_ident(l.lanname) AS key, CASE WHEN l.lanpltrusted THEN 'trusted' ELSE 'not "
	"trusted' END AS value, format('CREATE LANGUAGE %I', l.lanname) AS add, format('CREATE OR "
	"REPLACE LANGUAGE %I as on the primary', l.lanname) AS set, format('DROP LANGUAGE %I', "
	"l.lanname) AS remove FROM pg_catalog.pg_language l WHERE l.oid >= 16384 "
	"AND " OF_NO_EXTENSION("pg_language", "l.oid");

static const char event_triggers_sql[] =
	"SELECT quote_ident(t.evtname) AS key, concat_ws(', ', t.evtevent, "
	"t.evtfoid::regprocedure::text, array_to_string(t.evttags, ' '), CASE t.evtenabled WHEN "
	"'D' THEN 'disabled' WHEN 'A' THEN 'always' WHEN 'R' THEN 'for replication' END) AS "
	"value, format('CREATE EVENT TRIGGER %I ON %s EXECUTE FUNCTION %s', t.evtname, "
	"t.evtevent, t.evtfoid::regprocedure) AS add, 'the event trigger made anew as on the "
	"primary' AS set, format('DROP EVENT TRIGGER %I', t.evtname) AS remove "
	"FROM pg_catalog.pg_event_trigger t WHERE " OF_NO_EXTENSION("pg_event_trigger", "t.oid");

/* clang-format on */

enum { I = PREFLIGHT_INFORMATION, W = PREFLIGHT_WARNING, NO = COMPARE_SILENT };

static const char function_effect[] = "its results may differ, or reads fail";

const struct comparison object_comparisons[] = {
	{"type", "type", SCOPE_DATABASE, W, I, W,
		"values may be refused, shown or ordered differently", .control_sql = types_sql,
		.has_parents = true},
	{"domain", "constraint", SCOPE_DATABASE, W, I, W,
		"casts to the domain take or refuse other values",
		.control_sql = domain_constraints_sql, .has_parents = true, .same = deparsed_same},
	{"language", "language", SCOPE_DATABASE, W, I, W, "functions in it are missing",
		.control_sql = languages_sql},
	{"function", "function", SCOPE_DATABASE, W, I, W, function_effect,
		.control_sql = functions_sql, .has_parents = true, .min_version = 140000,
		.same = deparsed_same},
	{"function", "function", SCOPE_DATABASE, W, I, W, function_effect,
		.control_sql = old_functions_sql, .has_parents = true, .min_version = 110000,
		.below_version = 140000, .same = deparsed_same},
	{"aggregate", "aggregate", SCOPE_DATABASE, W, I, W, function_effect,
		.control_sql = aggregates_sql, .has_parents = true, .min_version = 110000},
	{"operator", "operator", SCOPE_DATABASE, W, I, W, "reads that use it fail or differ",
		.control_sql = operators_sql, .has_parents = true},
	{"operator_class", "operator class", SCOPE_DATABASE, W, I, W,
		"ORDER BY, DISTINCT and indexes by it differ or fail",
		.control_sql = operator_classes_sql, .has_parents = true},
	{"cast", "cast of", SCOPE_DATABASE, W, W, W,
		"reads convert differently, fail, or find two ways where there was one",
		.control_sql = casts_sql},
	{"text_search", "text search", SCOPE_DATABASE, W, I, W,
		"reads by @@, to_tsvector and ts_rank find other rows",
		.control_sql = text_search_sql},
	{"text_search", "built-in dictionary", SCOPE_DATABASE, NO, NO, I,
		"reads by @@ and to_tsvector may find other rows", .control_sql = stemmers_sql},
	{"foreign", "", SCOPE_DATABASE, W, I, W, "reads of foreign tables fail or go elsewhere",
		.control_sql = foreign_sql},
	{"foreign", "foreign table", SCOPE_DATABASE, NO, NO, W, "reads of it fail or go elsewhere",
		.control_sql = foreign_tables_sql},
	{"event_trigger", "event trigger", SCOPE_DATABASE, I, I, I,
		"after the cut-over changes of the schema do something else",
		.control_sql = event_triggers_sql},
};

const size_t object_comparison_count = sizeof object_comparisons / sizeof *object_comparisons;

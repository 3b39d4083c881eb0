#include "proxy/shadow/databases.h"

#include "proxy/log.h"
#include "proxy/shadow/connector.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { DATABASES_MAX = 256, PATIENCE_US = 5000000 };

struct databases {
	struct databases_options options;
	struct connector *connector;
	struct database *first;
	size_t count;
	uint64_t round_trip_us; /* to the control; 0: not known */
};

/* What one connection brought home. */
struct load {
	struct database *database;
	int candidate; /* -1: the control */
	char *conninfo;
	struct catalogue *catalogue;
	struct base_setting *roles, *server;
	size_t nroles, nserver;
	uint64_t round_trip_us; /* of the control */
	struct error error;
};

enum { ROUND_TRIPS = 5 };

static uint64_t monotonic_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

struct databases *databases_new(
	const struct databases_options *options, struct connector *connector)
{
	struct databases *d = calloc(1, sizeof *d);

	if (d) {
		d->options = *options;
		d->connector = connector;
	}

	return d;
}

static void base_free(struct base_setting *base, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(base[i].role);
		free(base[i].name);
		free(base[i].value);
	}
	free(base);
}

static void database_free(struct database *db)
{
	for (size_t i = 0; i < BOOKS_MAX_CANDIDATES; i++) {
		classifier_free(db->candidate[i].classifier);
		catalogue_free(db->candidate[i].catalogue);
		base_free(db->candidate[i].server, db->candidate[i].nserver);
		free(db->candidate[i].name);
	}
	classifier_free(db->primary_classifier);
	classifier_free(db->judge);
	catalogue_free(db->primary);
	free((struct base_setting *)db->view.base);
	base_free(db->server, db->nserver);
	base_free(db->roles, db->nroles);
	free(db->name);
	free(db);
}

void databases_free(struct databases *d)
{
	if (!d)
		return;
	while (d->first) {
		struct database *db = d->first;

		d->first = db->next;
		database_free(db);
	}
	free(d);
}

struct database *databases_find(struct databases *d, const char *name)
{
	for (struct database *db = d->first; db; db = db->next)
		if (strcmp(db->name, name) == 0)
			return db;

	return NULL;
}

uint64_t databases_round_trip_us(const struct databases *d)
{
	return d->round_trip_us;
}

bool databases_loading(const struct databases *d)
{
	for (const struct database *db = d->first; db; db = db->next)
		if (db->loading > 0 && !db->tried && monotonic_us() - db->since_us < PATIENCE_US)
			return true;

	return false;
}

/* --- loading, on the connector's thread ---------------------------------------------------------
 */

/* Role and database settings, lowest precedence first (guc.h: GUC_S_DATABASE < _USER <
 * _DATABASE_USER); of the server's own settings only what changes how values read. */
static const char base_query[] =
	"SELECT r.rolname, pg_catalog.split_part(c, '=', 1),"
	" pg_catalog.substr(c, pg_catalog.strpos(c, '=') + 1)"
	" FROM pg_catalog.pg_db_role_setting s"
	" LEFT JOIN pg_catalog.pg_roles r ON r.oid OPERATOR(pg_catalog.=) s.setrole"
	" LEFT JOIN pg_catalog.pg_database d ON d.oid OPERATOR(pg_catalog.=) s.setdatabase,"
	" pg_catalog.unnest(s.setconfig) AS c"
	" WHERE d.datname IS NULL OR d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()"
	" ORDER BY (s.setrole OPERATOR(pg_catalog.<>) 0)::int OPERATOR(pg_catalog.*) 2"
	" OPERATOR(pg_catalog.+) (s.setdatabase OPERATOR(pg_catalog.<>) 0)::int";

static char *result_text(PGresult *result, int row, int column)
{
	return PQgetisnull(result, row, column) ? NULL : strdup(PQgetvalue(result, row, column));
}

/* Settings that change what a read returns and that no server reports before 18. On the control
 * what a role or database brings is left out: it comes with base_query, for each role its own. lc_*
 * are left to the preflight: another server may not have such a locale, and then no read would run
 * at all. */
#define SERVER_SETTINGS                                                                       \
	"SELECT NULL, name, setting FROM pg_catalog.pg_settings WHERE name IN "               \
	"('extra_float_digits',"                                                              \
	" 'bytea_output', 'xmlbinary', 'xmloption', 'quote_all_identifiers', 'search_path', " \
	"'row_security',"                                                                     \
	" 'backslash_quote', 'array_nulls', 'transform_null_equals', "                        \
	"'default_text_search_config',"                                                       \
	" 'default_transaction_isolation')"

static const char primary_settings_query[] =
	SERVER_SETTINGS " AND source NOT IN ('database', 'user', 'database user')";
static const char candidate_settings_query[] = SERVER_SETTINGS;

static bool load_settings(PGconn *connection, const char *query, struct base_setting **list,
	size_t *count, struct error *error)
{
	PGresult *result = PQexec(connection, query);
	int rows = PQntuples(result);

	if (PQresultStatus(result) != PGRES_TUPLES_OK) {
		error_set(error, "cannot read settings: %s", PQresultErrorMessage(result));
		PQclear(result);
		return false;
	}
	*list = calloc(rows > 0 ? (size_t)rows : 1, sizeof **list);
	for (int i = 0; *list && i < rows; i++) {
		struct base_setting *b = &(*list)[*count];

		b->role = result_text(result, i, 0);
		b->name = result_text(result, i, 1);
		b->value = result_text(result, i, 2);
		if (b->name && b->value)
			(*count)++;
	}
	PQclear(result);

	return *list != NULL;
}

/* catalogue_load leaves an empty search_path behind; what the session starts with is asked for. */
static bool load_all_settings(PGconn *connection, struct load *load)
{
	PQclear(PQexec(connection, "RESET ALL"));
	if (load->candidate >= 0)
		return load_settings(connection, candidate_settings_query, &load->server,
			&load->nserver, &load->error);

	return load_settings(connection, primary_settings_query, &load->server, &load->nserver,
		       &load->error) &&
	       load_settings(connection, base_query, &load->roles, &load->nroles, &load->error);
}

/* An empty query there and back, the shortest of some. */
static uint64_t measure_round_trip(PGconn *connection)
{
	uint64_t least = UINT64_MAX;

	for (int i = 0; i < ROUND_TRIPS; i++) {
		uint64_t begun = monotonic_us(), us;

		PQclear(PQexec(connection, ""));
		us = monotonic_us() - begun;
		least = us < least ? us : least;
	}

	return least;
}

static void *run_load(void *self, PGconn *connection, const char *connect_error)
{
	struct load *load = self;

	if (!connection) {
		error_set(&load->error, "%s", connect_error ? connect_error : "no connection");
		return load;
	}
	load->catalogue = catalogue_load(connection, &load->error);
	if (load->catalogue && !load_all_settings(connection, load)) {
		catalogue_free(load->catalogue);
		load->catalogue = NULL;
	}
	if (load->candidate < 0)
		load->round_trip_us = measure_round_trip(connection);

	return load;
}

/* --- on the worker's loop -----------------------------------------------------------------------
 */

static const char *type_name(void *self, uint32_t oid)
{
	return catalogue_type_name(self, oid);
}

static enum type_build type_build(void *self, uint32_t oid, uint32_t *inner)
{
	return catalogue_type_build(self, oid, inner);
}

static uint32_t type_field(void *self, uint32_t oid, unsigned n)
{
	return catalogue_type_field(self, oid, n);
}

/* The first one that has the database: sessions are followed with its catalogue. */
static size_t leading_candidate(const struct database *db)
{
	for (size_t i = 0; i < db->owner->options.ncandidates; i++)
		if (db->candidate[i].name)
			return i;

	return 0;
}

static const char *value_of(const struct base_setting *list, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(list[i].name, name) == 0)
			return list[i].value;

	return NULL;
}

/* A server setting is replayed only where some candidate starts with another value; the isolation
 * level the model needs in any case. */
static bool matters(const struct database *db, const struct base_setting *s)
{
	if (strcmp(s->name, "default_transaction_isolation") == 0)
		return true;
	for (size_t i = 0; i < BOOKS_MAX_CANDIDATES; i++) {
		const struct database_candidate *c = &db->candidate[i];
		const char *there = value_of(c->server, c->nserver, s->name);

		if (there && strcmp(there, s->value) != 0)
			return true;
	}

	return false;
}

/* The view's base borrows from the lists: server settings first, which roles and databases
 * override. */
static void rebuild_base(struct database *db)
{
	struct base_setting *base = calloc(db->nserver + db->nroles + 1, sizeof *base);
	size_t n = 0;

	free((struct base_setting *)db->view.base); /* its strings may be gone */
	db->view.base = NULL;
	db->view.nbase = 0;
	if (!base)
		return;
	for (size_t i = 0; i < db->nserver; i++)
		if (matters(db, &db->server[i]))
			base[n++] = db->server[i];
	for (size_t i = 0; i < db->nroles; i++)
		base[n++] = db->roles[i];
	db->view.base = base;
	db->view.nbase = n;
}

static void settle_candidate(struct database *db, struct load *load)
{
	struct database_candidate *c = &db->candidate[load->candidate];
	struct catalogue *old = c->catalogue;

	c->catalogue = load->catalogue;
	c->types = (struct type_names){type_name, c->catalogue, type_build, type_field};
	c->generation = ++db->generation;
	classifier_set_catalogue(c->classifier, c->catalogue, c->generation);
	if (load->candidate == (int)leading_candidate(db)) {
		db->view.generation = c->generation;
		if (db->judge)
			classifier_set_catalogue(db->judge, c->catalogue, c->generation);
	}
	log_line(c->ready ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO,
		"candidate %d: database \"%s\": catalogue read, %zu functions", load->candidate + 1,
		db->name, catalogue_functions(c->catalogue));
	c->ready = true;
	c->complained = false;
	base_free(c->server, c->nserver);
	c->server = load->server;
	c->nserver = load->nserver;
	rebuild_base(db);
	catalogue_free(old);
}

static void settle_control(struct database *db, struct load *load)
{
	struct catalogue *old = db->primary;

	if (db->owner->round_trip_us == 0 || load->round_trip_us < db->owner->round_trip_us)
		db->owner->round_trip_us = load->round_trip_us;
	db->primary = load->catalogue;
	db->view.primary = db->primary;
	db->control_complained = false;
	classifier_set_catalogue(db->primary_classifier, db->primary, ++db->generation);
	db->primary_types = (struct type_names){type_name, db->primary, type_build, type_field};
	catalogue_free(old);
	base_free(db->server, db->nserver);
	base_free(db->roles, db->nroles);
	db->server = load->server;
	db->nserver = load->nserver;
	db->roles = load->roles;
	db->nroles = load->nroles;
	rebuild_base(db);
}

static void complain(const struct load *load)
{
	struct database *db = load->database;
	bool *complained = load->candidate < 0 ? &db->control_complained
					       : &db->candidate[load->candidate].complained;

	log_line(*complained ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARNING,
		"%s: database \"%s\": cannot read its catalogue: %s",
		load->candidate < 0 ? "control" : "candidate", db->name, load->error.text);
	*complained = true;
}

static void on_load(void *self, void *result)
{
	struct load *load = self;
	struct database *db = load->database;
	struct databases *d = db->owner;

	(void)result;
	if (load->candidate >= 0) {
		db->candidate[load->candidate].loads_ended++;
		db->candidate[load->candidate].load_failed = !load->catalogue;
	}
	if (!load->catalogue) {
		complain(load);
		base_free(load->server, load->nserver);
		base_free(load->roles, load->nroles);
	} else if (load->candidate < 0)
		settle_control(db, load);
	else
		settle_candidate(db, load);
	free(load->conninfo);
	free(load);
	if (--db->loading == 0) {
		db->tried = true;
		d->options.on_loaded(d->options.self, db);
	}
}

char *conninfo_for_database(const char *conninfo, const char *database)
{
	PQconninfoOption *options = PQconninfoParse(conninfo, NULL);
	char *text = NULL;
	size_t size = 0;
	FILE *out = options ? open_memstream(&text, &size) : NULL;

	for (PQconninfoOption *o = options; out && o->keyword; o++) {
		if (!o->val || strcmp(o->keyword, "gssencmode") == 0 ||
			strcmp(o->keyword, "application_name") == 0 ||
			(database && strcmp(o->keyword, "dbname") == 0))
			continue;
		fprintf(out, "%s='", o->keyword);
		for (const char *c = o->val; *c; c++)
			fprintf(out, *c == '\'' || *c == '\\' ? "\\%c" : "%c", *c);
		fputs("' ", out);
	}
	if (out && database) {
		fputs("dbname='", out);
		for (const char *c = database; *c; c++)
			fprintf(out, *c == '\'' || *c == '\\' ? "\\%c" : "%c", *c);
		fputs("' ", out);
	}
	if (out) {
		fputs("gssencmode=disable application_name=pgumbra", out);
		fclose(out);
	}
	PQconninfoFree(options);

	return text;
}

static void begin_load(
	struct database *db, int candidate, const char *conninfo, const char *database)
{
	struct load *load = calloc(1, sizeof *load);

	if (load)
		load->conninfo = conninfo_for_database(conninfo, database);
	if (!load || !load->conninfo) {
		free(load);
		return;
	}
	load->database = db;
	load->candidate = candidate;
	if (candidate >= 0) {
		db->candidate[candidate].loads_begun++;
		db->candidate[candidate].wanted = false;
	}
	error_set(&load->error, "too many jobs wait for a connection");
	db->loading++;
	connector_run(db->owner->connector, load->conninfo, run_load, on_load, load);
}

static void load_control(struct database *db)
{
	const char *conninfo = db->owner->options.control_conninfo;

	if (conninfo[0])
		begin_load(db, -1, conninfo, conninfo_has_database(conninfo) ? NULL : db->name);
}

static void load_database(struct database *db)
{
	const struct databases_options *o = &db->owner->options;

	if (db->loading > 0)
		return;
	load_control(db);
	for (size_t i = 0; i < o->ncandidates; i++)
		if (db->candidate[i].name)
			begin_load(db, (int)i, o->candidates[i].conninfo, db->candidate[i].name);
}

/* --- names --------------------------------------------------------------------------------------
 */

static char *dbname_of(const char *conninfo)
{
	PQconninfoOption *options = PQconninfoParse(conninfo, NULL);
	char *name = NULL;

	for (PQconninfoOption *o = options; o && o->keyword; o++)
		if (strcmp(o->keyword, "dbname") == 0 && o->val && *o->val)
			name = strdup(o->val);
	PQconninfoFree(options);

	return name;
}

static struct span trimmed(const char *from, const char *to)
{
	while (from < to && isspace((unsigned char)*from))
		from++;
	while (to > from && isspace((unsigned char)to[-1]))
		to--;

	return span_of((const uint8_t *)from, (size_t)(to - from));
}

static char *mapped(const char *list, const char *name)
{
	while (*list) {
		const char *end = list + strcspn(list, ",");
		const char *equals = memchr(list, '=', (size_t)(end - list));

		if (equals && span_is(trimmed(list, equals), name)) {
			struct span there = trimmed(equals + 1, end);

			return strndup((const char *)there.data, there.len);
		}
		list = *end ? end + 1 : end;
	}

	return NULL;
}

char *databases_target(const struct databases_candidate_options *candidate, const char *name)
{
	char *only;

	if (candidate->databases && candidate->databases[0])
		return mapped(candidate->databases, name);
	only = dbname_of(candidate->conninfo);
	if (only && strcmp(only, name) != 0) {
		free(only);
		return NULL;
	}

	return only ? only : strdup(name);
}

const char *databases_name(struct databases *d, size_t candidate, const char *name)
{
	const struct database *db = databases_find(d, name);

	return db ? db->candidate[candidate].name : NULL;
}

uint32_t databases_translate_type(
	struct databases *d, size_t candidate, const char *name, uint32_t oid)
{
	const struct database *db = databases_find(d, name);
	const char *type = db && db->primary ? catalogue_type_name(db->primary, oid) : NULL;

	if (!type || !db->candidate[candidate].catalogue)
		return 0;

	return catalogue_type_oid(db->candidate[candidate].catalogue, type);
}

enum type_build databases_type_build(
	struct databases *d, const char *name, uint32_t oid, uint32_t *inner)
{
	const struct database *db = databases_find(d, name);

	if (db && db->primary)
		return catalogue_type_build(db->primary, oid, inner);
	*inner = 0;

	return TYPE_SIMPLE;
}

/* --- making -------------------------------------------------------------------------------------
 */

/* Sessions are followed by one classifier: that of the first candidate that has the database, or
 * one that lets through what any candidate may run. Each candidate then decides by its own. */
static bool make_classifiers(struct database *db)
{
	const struct databases_options *o = &db->owner->options;
	struct classifier_options classifier = o->classifier;
	bool any = false, all = true;

	for (size_t i = 0; i < o->ncandidates; i++) {
		classifier.identity_reproduced = o->candidates[i].impersonate;
		db->candidate[i].classifier = classifier_new(&classifier);
		if (!db->candidate[i].classifier)
			return false;
		any |= o->candidates[i].impersonate;
		all &= o->candidates[i].impersonate;
	}
	classifier.identity_reproduced = o->control_impersonate;
	classifier.of_control = true;
	db->primary_classifier = classifier_new(&classifier);
	classifier.of_control = false;
	if (!db->primary_classifier)
		return false;
	db->view.identity_reproduced = any;
	db->view.classifier = db->candidate[leading_candidate(db)].classifier;
	if (any == all)
		return true;
	classifier.identity_reproduced = true;
	db->view.classifier = db->judge = classifier_new(&classifier);

	return db->judge != NULL;
}

struct database *databases_get(struct databases *d, const char *name)
{
	struct database *db = databases_find(d, name);

	if (db || d->count >= DATABASES_MAX)
		return db;
	db = calloc(1, sizeof *db);
	if (!db || !(db->name = strdup(name))) {
		free(db);
		return NULL;
	}
	db->owner = d;
	db->since_us = monotonic_us();
	for (size_t i = 0; i < d->options.ncandidates; i++)
		db->candidate[i].name = databases_target(&d->options.candidates[i], name);
	if (!make_classifiers(db)) {
		database_free(db);
		return NULL;
	}
	db->next = d->first;
	d->first = db;
	d->count++;
	load_database(db);

	return db;
}

void databases_refresh(struct databases *d)
{
	for (struct database *db = d->first; db; db = db->next)
		load_database(db);
}

void databases_retry(struct databases *d)
{
	for (struct database *db = d->first; db; db = db->next) {
		if (db->loading > 0)
			continue;
		if (!db->primary)
			load_control(db);
		for (size_t i = 0; i < d->options.ncandidates; i++)
			if (db->candidate[i].name &&
				(!db->candidate[i].ready || db->candidate[i].wanted))
				begin_load(db, (int)i, d->options.candidates[i].conninfo,
					db->candidate[i].name);
	}
}

uint32_t databases_want(struct database *db, unsigned candidate)
{
	db->candidate[candidate].wanted = true;
	return db->candidate[candidate].loads_begun + 1;
}

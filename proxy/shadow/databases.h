/* What is known of each database that clients use: the catalogues of every candidate and of the
 * control, a classifier per candidate that decides with its catalogue, and the settings that the
 * primary gives to roles. Loaded over the connector when the first session of a database appears,
 * and again on a timer. Worker thread only.
 *
 * Until a candidate's catalogue has been loaded nothing may run on it (L3): its functions'
 * volatility is not known.
 */
#ifndef PGUMBRA_SHADOW_DATABASES_H
#define PGUMBRA_SHADOW_DATABASES_H

#include "compare/books.h"
#include "proxy/shadow/mirror.h"
#include "proxy/shadow/observer.h"

struct database_candidate {
	char *name;		     /* what this database is called there; NULL: it has none */
	struct catalogue *catalogue; /* NULL until loaded */
	struct classifier *classifier;
	struct type_names types;
	bool ready;
	bool complained;     /* that it can't be read: once, until it can */
	uint32_t generation; /* of the catalogue: statement.catalogue_generation */
	bool wanted;	     /* to be loaded again with the next databases_retry */
	uint32_t loads_begun, loads_ended;
	bool load_failed;	     /* the last one that ended */
	struct base_setting *server; /* owned: what our sessions there start with */
	size_t nserver;
};

struct database {
	char *name;
	struct database_view view;
	struct database_candidate candidate[BOOKS_MAX_CANDIDATES];
	bool control_complained;
	struct classifier *judge;  /* of the view, where candidates need different ones; or NULL */
	struct catalogue *primary; /* read on the control; NULL without one */
	struct classifier
		*primary_classifier; /* decides with it: what may be asked of the control */
	struct type_names primary_types;
	/* What view.base is made of, owned: the primary's own settings, and those of roles and this
	 * database. */
	struct base_setting *server, *roles;
	size_t nserver, nroles;
	unsigned loading;  /* loads under way */
	uint64_t since_us; /* monotonic: when its first loads began */
	bool tried;	   /* the first loads have come to an end, well or not */
	uint32_t generation;
	struct databases *owner;
	struct database *next;
};

struct databases_candidate_options {
	const char *conninfo;  /* borrowed */
	const char *databases; /* borrowed: "client=candidate, ..." or "" */
	bool impersonate;      /* reads run there as their role */
};

struct databases_options {
	const struct databases_candidate_options *candidates; /* borrowed */
	size_t ncandidates;
	const char *control_conninfo; /* "" : none. Borrowed */
	bool control_impersonate;     /* reads run there as their role too */
	struct classifier_options classifier;
	void (*on_loaded)(
		void *self, struct database *database); /* no load is under way any more */
	void *self;
};

struct databases; /* opaque */
struct databases *databases_new(
	const struct databases_options *options, struct connector *connector);
void databases_free(struct databases *d); /* after the connector */
/* Begins to load a database that was not known. NULL: out of memory. */
struct database *databases_get(struct databases *d, const char *name);
/* conninfo with this database in place of its own (NULL: its own), and our own application_name.
 * malloc'd; NULL: out of memory. */
char *conninfo_for_database(const char *conninfo, const char *database);
struct database *databases_find(struct databases *d, const char *name);
void databases_refresh(struct databases *d); /* loads each again */
void databases_retry(struct databases *d);   /* loads what could not be read so far, or is wanted */
/* Wants a candidate's catalogue read anew; the number that loads_ended has when that was done.
 * Loads that are under way don't count: they may have read too early. */
uint32_t databases_want(struct database *db, unsigned candidate);
/* What a candidate calls a client's database: as its `databases` maps it; without that the dbname
 * of conninfo serves the clients' database of the same name, and without a dbname every database
 * has its own name. NULL: it has none, or out of memory. The caller frees. */
char *databases_target(const struct databases_candidate_options *candidate, const char *name);
/* For mirrors. The candidate's name, borrowed for the life of d; NULL: none, or not known yet. */
const char *databases_name(struct databases *d, size_t candidate, const char *name);
/* A type of the primary there, by its name; 0: none, or not known. */
uint32_t databases_translate_type(
	struct databases *d, size_t candidate, const char *name, uint32_t oid);
/* How the primary builds a type; TYPE_SIMPLE without a control. */
enum type_build databases_type_build(
	struct databases *d, const char *name, uint32_t oid, uint32_t *inner);
/* To the control and back, the shortest seen; 0: not known. The control is the primary or beside
 * it: the same is taken out of the primary's times. */
uint64_t databases_round_trip_us(const struct databases *d);
/* Is a database being read for the first time? Its sessions wait for that, but for two seconds at
 * most: a candidate that does not answer must not stop the observation of all. */
bool databases_loading(const struct databases *d);

#endif

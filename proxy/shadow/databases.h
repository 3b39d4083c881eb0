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
	struct catalogue *catalogue; /* NULL until loaded */
	struct classifier *classifier;
	struct type_names types;
	bool ready;
	bool complained; /* that it can't be read: once, until it can */
	uint32_t generation; /* of the catalogue: statement.catalogue_generation */
};

struct database {
	char *name;
	struct database_view view;
	struct database_candidate candidate[BOOKS_MAX_CANDIDATES];
	bool control_complained;
	struct catalogue *primary; /* read on the control; NULL without one */
	struct classifier
		*primary_classifier; /* decides with it: what may be asked of the control */
	struct type_names primary_types;
	unsigned loading;  /* loads under way */
	uint64_t since_us; /* monotonic: when its first loads began */
	bool tried;	   /* the first loads have come to an end, well or not */
	uint32_t generation;
	struct databases *owner;
	struct database *next;
};

struct databases_options {
	const char *const *candidate_conninfo; /* borrowed */
	size_t ncandidates;
	const char *control_conninfo; /* "" : none. Borrowed */
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
/* conninfo with this database unless it names one, and our own application_name. malloc'd; NULL:
 * out of memory. */
char *conninfo_for_database(const char *conninfo, const char *database);
struct database *databases_find(struct databases *d, const char *name);
void databases_refresh(struct databases *d); /* loads each again */
void databases_retry(struct databases *d);   /* loads what could not be read so far */
/* Is a database being read for the first time? Its sessions wait for that, but for two seconds at
 * most: a candidate that does not answer must not stop the observation of all. */
bool databases_loading(const struct databases *d);

#endif

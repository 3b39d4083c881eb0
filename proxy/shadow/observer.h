/* From the tape to executions: follows each session's protocol, statements, portals, settings and
 * transaction, and gives out each execution either as a dark read (with the primary's answer) or as
 * skipped or dropped with a reason.
 *
 * Worker thread only. Does no I/O and runs no query. What it does not know for certain is a skip,
 * never a guess; a session whose messages fit no hypothesis is not observed any more (its frames
 * count unobserved(desync)).
 *
 * O1 every Query, Execute and FunctionCall frame read off the tape is counted once: observed or
 * unobserved; O2 every observed frame ends in exactly one of execution, continuation, discarded
 * (L5); O3 on_begin is followed by exactly one of on_read and on_end for that execution.
 */
#ifndef PGUMBRA_SHADOW_OBSERVER_H
#define PGUMBRA_SHADOW_OBSERVER_H

#include "compare/books.h"
#include "proxy/shadow/classify.h"
#include "proxy/shadow/dark_read.h"
#include "proxy/tape.h"

/* A setting below the startup packet: what the primary's catalogue gives a role (NULL: every role)
 * in this database. */
struct base_setting {
	char *role, *name, *value;
};

/* What the observer must know of a database. Lives as long as the observer; may be brought up to
 * date between records. */
struct database_view {
	struct classifier *classifier;
	const struct base_setting *base; /* in order of precedence, lowest first */
	size_t nbase;
	uint32_t generation; /* of the catalogue that the classifier decides with */
	const struct catalogue
		*primary;	  /* the primary's own: what its code does; NULL: not known */
	bool identity_reproduced; /* somewhere reads run as the client's role: a changed one is no
				     reason to skip */
};

struct observer_sink {
	void *self;
	/* The view of a database that a client connected to; NULL: out of memory, the session is
	 * not followed. */
	const struct database_view *(*database)(void *self, const char *name);
	/* An execution came to be: it is seen, and pending from now on. */
	void (*on_begin)(void *self);
	/* ... and ended without a dark read. statement may be NULL (unknown text). */
	void (*on_end)(void *self, const struct statement *statement, enum outcome outcome,
		enum reason reason);
	/* ... and is to be read in the dark. The receiver takes over the reference. */
	void (*on_read)(void *self, struct dark_read *read);
};

struct observer_options {
	size_t max_sessions; /* further ones are unobserved(session_limit) */
	size_t max_message_bytes;
	size_t keep_limit_bytes;   /* rows of one answer of the primary that are kept */
	size_t memory_limit_bytes; /* of kept rows and waiting requests over all sessions */
	double sample; /* for answers without rows: the relay throws the coin for those with rows */
};

struct observer; /* opaque */
/* books is borrowed. */
struct observer *observer_new(const struct observer_options *options, struct books *books,
	const struct observer_sink *sink);
void observer_free(struct observer *o); /* ends every open execution as unanswered */

/* The database that a TAPE_OPEN record's session asks for, so that it can be read first. False: the
 * packet makes no sense. */
bool observer_database_of(struct span payload, char *name, size_t size);
/* One record of tape number `tape`. */
void observer_record(
	struct observer *o, unsigned tape, const struct tape_record *record, struct span payload);
/* Sessions that did nothing since the last time keep only what tells them from others. Between
 * records, every few seconds. How many gave something back. */
size_t observer_rest(struct observer *o);
/* The relay is gone: nothing more will come. */
void observer_end(struct observer *o);
uint64_t observer_frames_read(
	const struct observer *o); /* Query, Execute, FunctionCall frames read off the tape */
uint64_t observer_frames_open(
	const struct observer *o); /* observed, not yet execution, continuation or discarded */
size_t observer_sessions(const struct observer *o);
/* As counted in the books, which may be older than this observer. */
uint64_t observer_desyncs(const struct observer *o);
/* ParameterStatus said other than the statements: something that we don't model sets settings. */
uint64_t observer_disagreements(const struct observer *o);

#endif

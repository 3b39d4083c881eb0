/* Inside of struct config, shared by the files of this folder only. */
#ifndef PGUMBRA_CONF_CONFIG_H
#define PGUMBRA_CONF_CONFIG_H

#include "conf/parse.h"

struct setting_value {
	char *text;  /* owned; as given, or a copy of the default */
	char *where; /* owned; "pgumbra.conf:12", NULL for a default */
	bool given;
	size_t order;  /* the how manieth value that was given */
	bool doubtful; /* something of its section was refused, perhaps this */
	struct parsed_value parsed;
};

/* The values of one section: values[row of the table]; rows of other sections are unused. */
struct config_group {
	const char *section; /* borrowed from the table */
	char *name;	     /* owned; NULL in the base group, which holds all unnamed sections */
	struct setting_value *values;
};

struct config {
	struct config_group base;
	struct config_group *named; /* owned, in the order given */
	size_t nnamed;
	char **assignments; /* owned; what config_set() was given, for config_reload() */
	size_t nassignments;
	size_t ngiven;
	bool doubtful; /* lines or sections were refused: what is missing may stand there */
};

/* Row of the table, or -1. section_exists is about any key. */
int settings_row(const char *section, const char *key);
bool section_exists(const char *section);
bool section_is_named(const char *section);

/* Gives one value. `where` opens each message: "pgumbra.conf:12". name is NULL in unnamed sections;
 * a new name makes the section. */
bool config_assign(struct config *c, const char *where, const char *section, const char *name,
	const char *key, const char *text, struct conf_messages *m);
/* Makes a named section if it isn't there; only checks an unnamed one (name NULL). */
bool config_open_section(struct config *c, const char *where, const char *section, const char *name,
	struct conf_messages *m);

/* The connection string without its passwords, as keyword='value' pairs; "***" when it can't be
 * parsed. Caller frees. */
char *conninfo_redacted(const char *conninfo);
/* What PQconninfoParse says about it, without anything that could be part of a password. False: it
 * is fine. */
bool conninfo_mistake(const char *conninfo, char *why, size_t size);

#endif

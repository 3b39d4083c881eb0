/* What may be configured: one table of settings (settings.c) drives parsing, defaults, checks, the
 * manual (`pgumbra config`), SHOW CONFIG and the INI form. Includes nothing of ours.
 *
 * A configuration is filled from defaults, then an INI file, then command-line flags and --set;
 * later ones win. Values are kept typed and as the text given. Immutable after settings_check();
 * may then be read by any thread.
 */
#ifndef PGUMBRA_CONF_SETTINGS_H
#define PGUMBRA_CONF_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { CONF_MAX_CANDIDATES = 8, CONF_MAX_NAMED = 64 };

enum setting_type {
	SETTING_BOOL,
	SETTING_INTEGER,
	SETTING_REAL,
	SETTING_DURATION, /* stored in microseconds */
	SETTING_SIZE,	  /* stored in bytes */
	SETTING_ENUM,
	SETTING_STRING,
	SETTING_LIST,	  /* list: comma-separated strings, stored as one string */
	SETTING_CONNINFO, /* libpq connection string; checked with PQconninfoParse */
};

enum reload_class { RELOAD_LIVE, RELOAD_RESTART };

/* One row of the table. */
struct setting_definition {
	const char *section; /* "pgumbra"; "candidate", "waiver", "rewrite" are named sections:
				[candidate NAME] */
	const char *key;
	enum setting_type type;
	const char *default_text;
	double minimum, maximum; /* numbers, microseconds, bytes */
	const char *allowed;	 /* enum: "a|b|c" */
	enum reload_class reload;
	bool reserved; /* part of the contract, not built yet: only the default is accepted, any
			  other value is refused by name */
	const char *unit, *help;
	const char *built; /* enum: those of `allowed` that this version has; NULL: all of them */
};

const struct setting_definition *settings_table(size_t *count);

struct config; /* opaque */

struct config *config_new(void); /* defaults; NULL when out of memory */
void config_free(struct config *c);
/* For SIGHUP: a new configuration from defaults, the file at path (NULL: none) and the same
 * config_set() assignments as `old`, in their order, checked. NULL with messages if anything is
 * wrong; `old` stays as it is. */
struct conf_messages;
struct config *config_reload(const struct config *old, const char *path, struct conf_messages *m);
/* Takes over from `now` (a config_reload of `running`) what may change live; only the owner of
 * `running` may then be reading it. The names of settings that differ are appended: `taken`, and
 * `kept`, which need a restart; so does `held` ("section.key"; NULL: none) this time. */
void config_take_live(struct config *running, struct config *now, const char *held,
	struct conf_messages *taken, struct conf_messages *kept);

/* Messages about a configuration: each one line for a person, naming file, line, key, what is
 * allowed, and the nearest known key for an unknown one. Collected, so that all mistakes of a file
 * are shown at once: also those that config_check finds after a file was refused. */
struct conf_messages {
	char **text;
	size_t count;
};
void conf_messages_release(struct conf_messages *m);

/* A message of another module's, for the same list. */
void conf_message(struct conf_messages *m, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* The same about one setting: "pgumbra.conf:12: [section name] key", then the text. The line is
 * the key's, or another one's of its section where the key is not given. */
void config_mistake(const struct config *c, const char *section, const char *name, const char *key,
	struct conf_messages *m, const char *format, ...) __attribute__((format(printf, 6, 7)));
/* Is the key not set, for certain? Not where something was refused that may have set it: that was
 * said already. */
bool config_lacks(const struct config *c, const char *section, const char *name, const char *key);

/* These return false when they added any message. A key that was given wrongly keeps its former
 * value. m starts as {0}. */
bool config_read_file(struct config *c, const char *path, struct conf_messages *m);
bool config_read_text(
	struct config *c, const char *name, const char *text, struct conf_messages *m);
/* "section.key=value", or "candidate NAME.key=value" (also "candidate.NAME.key=value"). */
bool config_set(struct config *c, const char *assignment, struct conf_messages *m);
/* Everything that can be checked without connecting: primary.conninfo present, keys of it allowed
 * (any other is refused by name), candidates' conninfo, ranges between settings. */
bool config_check(const struct config *c, struct conf_messages *m);

/* Typed access; section "candidate" takes the name, others NULL. Asserts that the setting (and a
 * candidate of that name) exists and has that type; config_text takes any type, config_real
 * integers too. The text is borrowed from the configuration. */
bool config_bool(const struct config *c, const char *section, const char *name, const char *key);
int64_t config_integer(const struct config *c, const char *section, const char *name,
	const char *key); /* also durations (us) and sizes (bytes) */
double config_real(const struct config *c, const char *section, const char *name, const char *key);
const char *config_text(const struct config *c, const char *section, const char *name,
	const char *key); /* never NULL; "" when unset */
bool config_is_set(const struct config *c, const char *section, const char *name,
	const char *key); /* given, not default */
/* Names of [candidate NAME] (or waiver, rewrite) sections in the order given. */
size_t config_names(const struct config *c, const char *section, const char **names, size_t max);

/* The whole configuration as INI text that config_read_text reads back to the same configuration
 * (used to hand it to the shadow process and by `pgumbra config`). with_help adds default, range,
 * unit, reload class and help as comments; with_secrets = false replaces passwords in connection
 * strings by ***. Caller frees. */
char *config_to_ini(const struct config *c, bool with_help, bool with_secrets);
/* The manual: every setting as a table for a person. */
void config_print_manual(FILE *out);
/* SHA-256 free digest is not needed: a stable 64-bit FNV-1a of the INI text without secrets, as 16
 * hex digits. */
void config_digest(const struct config *c, char out[17]);

#endif

/* The parts of the journal: the file, the tail of an earlier run, the key, the form of the records.
 * For journal*.c alone; everybody else includes journal.h.
 */
#ifndef PGUMBRA_SHADOW_JOURNAL_INTERNAL_H
#define PGUMBRA_SHADOW_JOURNAL_INTERNAL_H

#include "proxy/shadow/journal.h"
#include <jansson.h>
#include <sys/types.h>

/* --- the file (journal_file.c): writer thread, but for journal_file_open --- */

/* J1: whatever happens, the file consists of whole lines: a line that could not be written to its
 * end is taken back, or closed by a newline before the next one. */
struct journal_file {
	int fd;
	bool regular; /* else a pipe or device: nothing can be taken back */
	bool torn;    /* the file's last byte is not a newline */
	uint64_t size;
};

__attribute__((warn_unused_result)) bool journal_file_open(
	struct journal_file *f, const char *path, struct error *error);
/* Could it be, without leaving anything behind? */
__attribute__((warn_unused_result)) bool journal_file_usable(
	const char *path, bool *foreign, struct error *error);
/* Could a file be made there? */
__attribute__((warn_unused_result)) bool journal_file_creatable(
	const char *path, struct error *error);
/* One run writes a log: its books count on it. The lock (flock, of this open file) is exclusive
 * while the run lives and shared once its relay has gone and only the rest is written: a successor
 * may wait for that. False: another run has it. */
__attribute__((warn_unused_result)) bool journal_file_lock(
	struct journal_file *f, const char *path, struct error *error);
void journal_file_share(struct journal_file *f);
bool journal_file_same(const struct journal_file *a, const struct journal_file *b);
/* Whole or not at all; false with errno. line ends in a newline. */
__attribute__((warn_unused_result)) bool journal_file_append(
	struct journal_file *f, const char *line, size_t len);
void journal_file_sync(struct journal_file *f);
void journal_file_close(struct journal_file *f);

/* --- what an earlier run left pending (journal_tail.c) --- */

/* An object of counts by candidate name; empty when the log does not exist, or its last run is
 * `run` or left nothing pending. *own_books: the number of `run`'s last books record in it, 0:
 * none. The caller decrefs. NULL: out of memory. */
__attribute__((warn_unused_result)) json_t *journal_tail_pending(
	const char *path, const char *run, uint64_t *own_books);

/* --- the key (journal_key.c) --- */

enum { JOURNAL_KEY_LEN = 32, JOURNAL_HMAC_HEX = 33 };
/* Reads the key file; makes it when it does not exist. */
__attribute__((warn_unused_result)) bool journal_key_load(
	const char *path, uint8_t key[JOURNAL_KEY_LEN], struct error *error);
/* Could it, without leaving anything behind? */
__attribute__((warn_unused_result)) bool journal_key_usable(const char *path, struct error *error);
/* The first 16 bytes of HMAC-SHA256 as hex and NUL. */
void journal_hmac(const uint8_t key[JOURNAL_KEY_LEN], const void *data, size_t len,
	char hex[JOURNAL_HMAC_HEX]);

/* --- records (journal_record.c, journal_value.c): json_t trees that the caller decrefs; NULL when
 * out of memory --- */

struct journal_privacy {
	enum values_form values;
	const uint8_t *key; /* JOURNAL_KEY_LEN bytes; NULL with VALUES_FULL */
};

/* A text that is not a value; bytes that are not UTF-8 become '?'. NULL gives null. */
json_t *journal_text(const char *text);
json_t *journal_time(uint64_t wall_us);
/* A value as the privacy allows it: null; a string, {"hex","type"}, {"hmac"}. With VALUES_NONE:
 * NULL, the member is to be left out. format is 0 (text) or 1 (binary). */
json_t *journal_value(
	const struct journal_privacy *p, struct span value, uint32_t type_oid, uint16_t format);
/* The name of a built-in type, or the number of the oid. */
void journal_type_name(uint32_t oid, char out[32]);

json_t *journal_record_start(const char *run, const struct journal_start *start, json_t *closed);
/* The same start for a new file of the same run: "continued", closes nothing; books: the number of
 * the last books record before it. */
json_t *journal_record_continued(const json_t *start, uint64_t books);
json_t *journal_record_discrepancy(const char *run, const struct journal_privacy *p,
	const struct journal_discrepancy *d, const char *id);
/* repeated: by candidate, by id of the record: {"count", "last"}; borrowed. */
json_t *journal_record_books(
	const char *run, const struct journal_books *b, json_t *repeated, uint64_t lost);
json_t *journal_record_resolved(
	const char *run, const char *id, const char *candidate, enum outcome outcome);
json_t *journal_record_stop(const char *run, const char *why);

#endif

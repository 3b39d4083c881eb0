/* journal.h: the forms of the records, privacy (L6, J2), whole lines (J1), limits (L4). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proxy/shadow/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define RUN "01890000-0000-7000-8000-000000000001"
#define EARLIER "01890000-0000-7000-8000-000000000000"
#define SECRET "s3cret-value"

static char directory[] = "/tmp/pgumbra-journal-XXXXXX";
static char path[64], key_path[64];

static int make_directory(void **state)
{
	(void)state;
	if (!mkdtemp(directory))
		return -1;
	snprintf(path, sizeof path, "%s/log", directory);
	snprintf(key_path, sizeof key_path, "%s/log.key", directory);

	return 0;
}

static int clean_files(void **state)
{
	(void)state;
	unlink(path);
	unlink(key_path);

	return 0;
}

static int remove_directory(void **state)
{
	clean_files(state);

	return rmdir(directory);
}

/* --- helpers --- */

static struct journal_options options_of(enum values_form values)
{
	return (struct journal_options){.path = path,
		.key_file = "",
		.values = values,
		.examples_per_shape = 10,
		.max_bytes = 1 << 20,
		.queue_bytes = 1 << 20};
}

static struct journal *journal_open(const struct journal_options *options)
{
	struct error error = {""};
	struct journal *j = journal_new(options, RUN, &error);

	if (!j)
		fail_msg("%s", error.text);

	return j;
}

static char *read_file(const char *name, size_t *len)
{
	static char text[4 << 20];
	FILE *file = fopen(name, "r");

	assert_non_null(file);
	*len = fread(text, 1, sizeof text - 1, file);
	fclose(file);
	text[*len] = '\0';

	return text;
}

/* Every line of the file as a record; fails when one is not whole JSON. The caller decrefs. */
static json_t *read_records(void)
{
	size_t len;
	char *at = read_file(path, &len);
	json_t *records = json_array();

	assert_true(len == 0 || at[len - 1] == '\n');
	for (char *end; (end = strchr(at, '\n')); at = end + 1) {
		json_t *record = json_loadb(at, (size_t)(end - at), 0, NULL);

		if (!record)
			fail_msg("not JSON: %.*s", (int)(end - at), at);
		json_array_append_new(records, record);
	}

	return records;
}

static json_t *of_kind(json_t *records, const char *kind, size_t n)
{
	json_t *record;
	size_t i;

	json_array_foreach (records, i, record)
		if (strcmp(json_string_value(json_object_get(record, "kind")), kind) == 0 &&
			n-- == 0)
			return record;
	fail_msg("no record of kind %s", kind);

	return NULL;
}

static size_t count_kind(json_t *records, const char *kind)
{
	json_t *record;
	size_t i, n = 0;

	json_array_foreach (records, i, record)
		n += strcmp(json_string_value(json_object_get(record, "kind")), kind) == 0;

	return n;
}

/* A member by its path: "a.b.c" */
static json_t *at(json_t *object, const char *dotted)
{
	char name[256], *save = NULL;

	snprintf(name, sizeof name, "%s", dotted);
	for (char *part = strtok_r(name, ".", &save); part; part = strtok_r(NULL, ".", &save))
		object = json_is_array(object)
				 ? json_array_get(object, (size_t)strtoul(part, NULL, 10))
				 : json_object_get(object, part);

	return object;
}

static void assert_text(json_t *object, const char *dotted, const char *expected)
{
	const char *text = json_string_value(at(object, dotted));

	if (!text)
		fail_msg("%s is not a text", dotted);
	assert_string_equal(text, expected);
}

static void assert_number(json_t *object, const char *dotted, json_int_t expected)
{
	if (!json_is_integer(at(object, dotted)))
		fail_msg("%s is not a number", dotted);
	assert_int_equal(json_integer_value(at(object, dotted)), expected);
}

static void put_file(const char *name, const char *text, mode_t mode)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, mode);

	assert_true(fd >= 0);
	assert_int_equal(fchmod(fd, mode), 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static mode_t mode_of(const char *name)
{
	struct stat st;

	assert_int_equal(stat(name, &st), 0);

	return st.st_mode & 0777;
}

/* A dark read and two answers that differ in one cell, one row more on the primary. */
struct sample {
	struct statement statement;
	struct dark_read read;
	struct span params[3];
	uint32_t param_types[3];
	uint16_t param_formats[3];
	struct setting settings[2];
	struct result primary, answer;
	struct result_column columns[2];
	struct diff_row rows[2];
	struct diff diff;
	struct journal_discrepancy d;
};

static const uint8_t row_missing[] = "\0\2\0\0\0\0017\377\377\377\377";
static const uint8_t row_primary[] = "\0\2\0\0\0\0018\0\0\0\014" SECRET;
static const uint8_t row_candidate[] = "\0\2\0\0\0\0018\0\0\0\0";

static void sample_fill(struct sample *s)
{
	memset(s, 0, sizeof *s);
	s->statement.normalized = (char *)"SELECT id, name FROM t WHERE name = $1";
	snprintf(s->statement.fingerprint, sizeof s->statement.fingerprint, "50fde20626009aba");
	s->statement.shape_hash = 4711;
	snprintf(s->read.session, sizeof s->read.session, RUN);
	s->read.database = (char *)"shop";
	s->read.user = (char *)"app";
	s->read.application_name = (char *)"caf\xc3\xa9";
	s->read.wall_us = 1700000000123456;
	s->read.statement = &s->statement;
	s->read.sql = (char *)"SELECT id, name FROM t WHERE name = '" SECRET "'";
	s->params[0] = span_cstr(SECRET);
	s->params[1] = span_of(NULL, 0);
	s->params[2] = span_of("\0\0\0\7", 4);
	s->param_types[0] = 25;
	s->param_types[1] = 25;
	s->param_types[2] = 23;
	s->param_formats[2] = 1;
	s->read.nparams = s->read.nparam_types = s->read.nparam_formats = 3;
	s->read.params = s->params;
	s->read.param_types = s->param_types;
	s->read.param_formats = s->param_formats;
	s->settings[0] = (struct setting){(char *)"datestyle", (char *)"ISO, DMY"};
	s->settings[1] = (struct setting){(char *)"app.tenant", (char *)SECRET};
	s->read.nsettings = 2;
	s->read.settings = s->settings;
	s->columns[0] = (struct result_column){.name = "id", .type_oid = 23, .typmod = -1};
	s->columns[1] = (struct result_column){.name = "name", .type_oid = 25, .typmod = -1};
	s->primary = (struct result){.described = true,
		.ncolumns = 2,
		.columns = s->columns,
		.rows = 2,
		.end = RESULT_COMPLETE,
		.elapsed_us = 1500};
	s->answer = s->primary;
	s->answer.rows = 1;
	s->rows[0].kind = DIFF_MISSING;
	s->rows[0].primary = span_of(row_missing, sizeof row_missing - 1);
	s->rows[1].kind = DIFF_CHANGED;
	s->rows[1].primary = span_of(row_primary, sizeof row_primary - 1);
	s->rows[1].candidate = span_of(row_candidate, sizeof row_candidate - 1);
	s->diff = (struct diff){.missing = 1, .changed = 1, .rows = s->rows, .nrows = 2};
	s->d = (struct journal_discrepancy){.candidate = "new",
		.outcome = OUTCOME_MISMATCH,
		.class = CLASS_VALUES,
		.hint = "null_vs_empty",
		.read = &s->read,
		.primary = &s->primary,
		.answer = &s->answer,
		.diff = &s->diff,
		.attempts = 3,
		.fence = "none",
		.stable = true,
		.verified = true};
}

/* Writes one discrepancy and gives back its record. The caller decrefs *records. */
static json_t *write_one(
	enum values_form values, const struct journal_discrepancy *d, json_t **records)
{
	struct journal_options options = options_of(values);
	struct journal *j = journal_open(&options);
	char id[37];

	assert_true(journal_discrepancy(j, d, id));
	journal_free(j);
	*records = read_records();
	assert_text(of_kind(*records, "discrepancy", 0), "id", id);

	return of_kind(*records, "discrepancy", 0);
}

static bool file_contains(const char *text)
{
	size_t len;

	return strstr(read_file(path, &len), text) != NULL;
}

/* --- discrepancies --- */

static void a_discrepancy_has_the_fields_of_the_contract(void **state)
{
	struct sample s;
	json_t *records, *r;

	(void)state;
	sample_fill(&s);
	r = write_one(VALUES_FULL, &s.d, &records);
	assert_number(r, "v", 1);
	assert_text(r, "run", RUN);
	assert_text(r, "session", RUN);
	assert_int_equal(
		strlen(json_string_value(at(r, "ts"))), strlen("2026-01-01T00:00:00.000000Z"));
	assert_text(r, "executed", "2023-11-14T22:13:20.123456Z");
	assert_text(r, "candidate", "new");
	assert_text(r, "outcome", "mismatch");
	assert_text(r, "class", "values");
	assert_text(r, "hint", "null_vs_empty");
	assert_text(r, "shape", "50fde20626009aba");
	assert_text(r, "normalized", "SELECT id, name FROM t WHERE name = $1");
	assert_text(r, "query", s.read.sql);
	assert_text(r, "database", "shop");
	assert_text(r, "user", "app");
	assert_text(r, "application_name", "caf\xc3\xa9");
	assert_number(r, "primary_result.rows", 2);
	assert_number(r, "candidate_result.rows", 1);
	assert_true(json_real_value(at(r, "primary_result.ms")) == 1.5);
	assert_int_equal(strlen(json_string_value(at(r, "primary_result.digest"))), 32);
	assert_number(r, "verify.attempts", 3);
	assert_text(r, "verify.fence", "none");
	assert_true(json_is_true(at(r, "verify.stable")));
	assert_true(json_is_true(at(r, "verify.verified")));
	json_decref(records);
}

static void values_full_shows_null_text_and_hex(void **state)
{
	struct sample s;
	json_t *records, *r;

	(void)state;
	sample_fill(&s);
	r = write_one(VALUES_FULL, &s.d, &records);
	assert_text(r, "params.0", SECRET);
	assert_true(json_is_null(at(r, "params.1")));
	assert_text(r, "params.2.hex", "00000007");
	assert_text(r, "params.2.type", "int4");
	assert_text(json_object_get(r, "settings"), "datestyle", "ISO, DMY");
	assert_string_equal(
		json_string_value(json_object_get(at(r, "settings"), "app.tenant")), SECRET);
	assert_text(r, "diff.columns.1", "name");
	assert_number(r, "diff.missing", 1);
	assert_number(r, "diff.extra", 0);
	assert_number(r, "diff.changed", 1);
	assert_text(r, "diff.rows.0.kind", "missing");
	assert_text(r, "diff.rows.0.primary.0", "7");
	assert_true(json_is_null(at(r, "diff.rows.0.primary.1")));
	assert_null(at(r, "diff.rows.0.candidate"));
	assert_text(r, "diff.rows.1.kind", "changed");
	assert_text(r, "diff.rows.1.primary.1", SECRET);
	assert_text(r, "diff.rows.1.candidate.1", "");
	assert_int_equal(json_array_size(at(r, "diff.rows.1.columns")), 1);
	assert_number(r, "diff.rows.1.columns.0", 1);
	assert_true(json_is_false(at(r, "diff.truncated")));
	json_decref(records);
}

static void bytes_that_are_not_utf8_become_hex_or_question_marks(void **state)
{
	struct sample s;
	json_t *records, *r;

	(void)state;
	sample_fill(&s);
	s.params[0] = span_of("\xff\xfe", 2);
	s.read.application_name = (char *)"caf\xe9";
	r = write_one(VALUES_FULL, &s.d, &records);
	assert_text(r, "params.0.hex", "fffe");
	assert_text(r, "params.0.type", "text");
	assert_text(r, "application_name", "caf?");
	json_decref(records);
}

static void values_hashed_lets_no_value_through(void **state)
{
	struct sample s;
	json_t *records, *r;

	(void)state;
	sample_fill(&s);
	s.answer.end = RESULT_ERROR;
	snprintf(s.answer.sqlstate, sizeof s.answer.sqlstate, "22P02");
	snprintf(s.answer.message, sizeof s.answer.message, "invalid input: " SECRET);
	r = write_one(VALUES_HASHED, &s.d, &records);
	assert_null(at(r, "query"));
	assert_int_equal(strlen(json_string_value(at(r, "params.0.hmac"))), 32);
	assert_true(json_is_null(at(r, "params.1")));
	/* equal values are seen to be equal */
	assert_text(r, "diff.rows.1.primary.1.hmac", json_string_value(at(r, "params.0.hmac")));
	assert_non_null(json_object_get(json_object_get(at(r, "settings"), "app.tenant"), "hmac"));
	assert_text(r, "settings.datestyle", "ISO, DMY");
	assert_text(r, "candidate_result.sqlstate", "22P02");
	assert_non_null(at(r, "candidate_result.message.hmac"));
	assert_false(file_contains(SECRET));
	assert_false(file_contains("00000007"));
	json_decref(records);
}

static void values_none_leaves_them_out(void **state)
{
	struct sample s;
	json_t *records, *r;

	(void)state;
	sample_fill(&s);
	r = write_one(VALUES_NONE, &s.d, &records);
	assert_null(at(r, "query"));
	assert_null(at(r, "params"));
	assert_int_equal(json_array_size(at(r, "diff.rows")), 0);
	assert_true(json_is_true(at(r, "diff.truncated")));
	assert_null(json_object_get(at(r, "settings"), "app.tenant"));
	assert_text(r, "settings.datestyle", "ISO, DMY");
	assert_false(file_contains(SECRET));
	assert_false(file_contains("hmac"));
	json_decref(records);
}

static void digests_are_keyed_unless_values_are_full(void **state)
{
	struct sample s;
	json_t *records;
	char plain[33], keyed[33];

	(void)state;
	sample_fill(&s);
	snprintf(plain, sizeof plain, "%s",
		json_string_value(
			at(write_one(VALUES_FULL, &s.d, &records), "primary_result.digest")));
	json_decref(records);
	unlink(path);
	snprintf(keyed, sizeof keyed, "%s",
		json_string_value(
			at(write_one(VALUES_HASHED, &s.d, &records), "primary_result.digest")));
	json_decref(records);
	assert_string_not_equal(plain, keyed);
	unlink(path);
	unlink(key_path); /* another key, another digest */
	assert_string_not_equal(keyed,
		json_string_value(
			at(write_one(VALUES_HASHED, &s.d, &records), "primary_result.digest")));
	json_decref(records);
}

static void a_text_that_was_not_parsed_is_never_logged(void **state)
{
	struct sample s;
	json_t *records, *r;

	(void)state;
	sample_fill(&s);
	s.statement.normalized = (char *)"";
	r = write_one(VALUES_FULL, &s.d, &records);
	assert_text(r, "normalized", "");
	assert_null(at(r, "query"));
	json_decref(records);
}

static void differing_columns_are_named_with_their_types(void **state)
{
	struct sample s;
	struct result_column other[2];
	json_t *records, *r;

	(void)state;
	sample_fill(&s);
	memcpy(other, s.columns, sizeof other);
	other[1].type_oid = 1700;
	other[1].typmod = 655366;
	s.answer.columns = other;
	s.d.class = CLASS_COLUMNS;
	s.d.diff = NULL;
	r = write_one(VALUES_HASHED, &s.d, &records);
	assert_text(r, "class", "columns");
	assert_text(r, "diff.primary_columns.1.type", "text");
	assert_text(r, "diff.candidate_columns.1.type", "numeric");
	assert_number(r, "diff.candidate_columns.1.typmod", 655366);
	json_decref(records);
}

static void rows_in_another_order_are_logged_as_the_privacy_allows(void **state)
{
	static const enum values_form values[] = {VALUES_FULL, VALUES_HASHED, VALUES_NONE};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct sample s;
		json_t *records, *r, *moved;

		sample_fill(&s);
		s.d.class = CLASS_ORDER;
		s.rows[1].kind = DIFF_MOVED;
		s.rows[1].position = 17;
		s.diff = (struct diff){.moved = 3, .rows = &s.rows[1], .nrows = 1};
		r = write_one(values[i], &s.d, &records);
		assert_number(r, "diff.moved_places", 3);
		assert_int_equal(json_array_size(at(r, "diff.rows")), 0);
		moved = at(r, "diff.moved");
		assert_int_equal(json_array_size(moved), values[i] == VALUES_NONE ? 0 : 1);
		assert_true(json_is_true(at(r, "diff.truncated")) == (values[i] == VALUES_NONE));
		if (values[i] != VALUES_NONE) {
			assert_number(r, "diff.moved.0.position", 17);
			assert_int_equal(json_array_size(at(r, "diff.moved.0.candidate")), 2);
		}
		assert_true(file_contains(SECRET) == (values[i] == VALUES_FULL));
		json_decref(records);
		unlink(path);
	}
}

static void a_row_that_lies_about_its_cells_is_cut(void **state)
{
	struct sample s;
	json_t *records, *r;

	(void)state;
	sample_fill(&s);
	s.rows[0].primary = span_of("\0\3\0\0\0\0017\177\377\377\377", 11);
	r = write_one(VALUES_FULL, &s.d, &records);
	assert_int_equal(json_array_size(at(r, "diff.rows.0.primary")), 1);
	json_decref(records);
}

/* --- limits --- */

static void examples_per_shape_bounds_records_of_one_kind(void **state)
{
	struct journal_options options = options_of(VALUES_FULL);
	struct journal *j;
	struct sample s;
	json_t *records;
	char id[37];

	(void)state;
	sample_fill(&s);
	options.examples_per_shape = 2;
	j = journal_open(&options);
	assert_true(journal_discrepancy(j, &s.d, id));
	assert_true(journal_discrepancy(j, &s.d, id));
	assert_false(journal_discrepancy(j, &s.d, id));
	assert_int_equal(strlen(id), 36); /* an id all the same */
	s.d.class = CLASS_ORDER;
	assert_true(journal_discrepancy(j, &s.d, id));
	s.d.outcome = OUTCOME_UNVERIFIABLE;
	assert_true(journal_discrepancy(j, &s.d, id));
	s.d.candidate = "other";
	assert_true(journal_discrepancy(j, &s.d, id));
	s.statement.shape_hash++;
	assert_true(journal_discrepancy(j, &s.d, id));
	journal_free(j);
	records = read_records();
	assert_int_equal(json_array_size(records), 6);
	json_decref(records);
}

static void a_further_mismatch_of_a_logged_read_is_a_repetition_that_the_books_tell(void **state)
{
	const char *names[] = {"new", "other"};
	struct journal_options options = options_of(VALUES_FULL);
	uint64_t pending[2] = {0};
	struct books delta = {.candidate = {{.mismatch_unlogged = 7}}};
	struct journal_books books = {
		.candidates = names, .ncandidates = 2, .delta = &delta, .pending = pending};
	json_t *records, *first, *second;
	struct journal *j;
	struct sample s;
	char id[37], ignored[37];

	(void)state;
	sample_fill(&s);
	options.examples_per_shape = 1;
	j = journal_open(&options);
	s.d.outcome = OUTCOME_MISMATCH;
	s.d.read_hash[0] = 1;
	assert_int_equal(journal_discrepancy(j, &s.d, id), JOURNAL_LOGGED);
	assert_int_equal(journal_discrepancy(j, &s.d, ignored), JOURNAL_REPEATED);
	assert_int_equal(journal_discrepancy(j, &s.d, ignored), JOURNAL_REPEATED);
	s.d.read_hash[0] = 2; /* other parameters */
	assert_int_equal(journal_discrepancy(j, &s.d, ignored), JOURNAL_UNLOGGED);
	s.d.read_hash[0] = 0; /* not known */
	assert_int_equal(journal_discrepancy(j, &s.d, ignored), JOURNAL_UNLOGGED);
	assert_true(journal_books(j, &books));
	delta.candidate[0].mismatch_unlogged = 0;
	assert_true(journal_books(j, &books));
	journal_free(j);
	records = read_records();
	first = of_kind(records, "books", 0);
	second = of_kind(records, "books", 1);
	assert_number(first, "candidates.new.mismatch_unlogged", 7);
	assert_int_equal(json_object_size(at(first, "candidates.new.mismatch_repeated")), 1);
	first = json_object_get(at(first, "candidates.new.mismatch_repeated"), id);
	assert_number(first, "count", 2);
	assert_non_null(at(first, "last"));
	assert_null(at(of_kind(records, "books", 0), "candidates.other.mismatch_repeated"));
	assert_number(second, "candidates.new.mismatch_unlogged", 0);
	assert_null(at(second, "candidates.new.mismatch_repeated"));
	json_decref(records);
}

/* DataRow of a number and a long text that ends as told. */
static void long_row(struct buffer *b, const char *end)
{
	buffer_init(b, 1 << 16);
	buffer_add_u16(b, 2);
	buffer_add_u32(b, 1);
	buffer_add_u8(b, '7');
	buffer_add_u32(b, (uint32_t)(2 * 5000 + strlen(end)));
	for (int i = 0; i < 5000; i++)
		buffer_add(b, "\xc3\xa9", 2);
	buffer_add(b, end, strlen(end));
}

static void a_row_to_be_cut_shows_what_stands_around_the_difference(void **state)
{
	json_t *records, *r;
	struct buffer one, other;
	struct sample s;
	size_t length;

	(void)state;
	sample_fill(&s);
	long_row(&one, "one");
	long_row(&other, "other");
	s.rows[0] =
		(struct diff_row){DIFF_CHANGED, buffer_span(&one), buffer_span(&other), true, 0};
	s.diff.nrows = 1;
	r = write_one(VALUES_FULL, &s.d, &records);
	length = json_string_length(at(r, "diff.rows.0.primary.1"));
	assert_true(length > 100 && length <= 512);
	assert_string_equal(
		json_string_value(at(r, "diff.rows.0.primary.1")) + length - 5, "\xc3\xa9one");
	length = json_string_length(at(r, "diff.rows.0.candidate.1"));
	assert_string_equal(
		json_string_value(at(r, "diff.rows.0.candidate.1")) + length - 7, "\xc3\xa9other");
	assert_text(r, "diff.rows.0.primary.0", "7");
	assert_int_equal(json_array_size(at(r, "diff.rows.0.cut")), 1);
	assert_number(r, "diff.rows.0.cut.0", 1);
	json_decref(records);
	buffer_release(&one);
	buffer_release(&other);
}

static void a_row_to_be_cut_is_hashed_whole(void **state)
{
	json_t *records, *r;
	struct buffer one, other;
	struct sample s;

	(void)state;
	sample_fill(&s);
	long_row(&one, "one");
	long_row(&other, "other");
	s.rows[0] =
		(struct diff_row){DIFF_CHANGED, buffer_span(&one), buffer_span(&other), true, 0};
	s.rows[1] = (struct diff_row){DIFF_MISSING, buffer_span(&one), {0}, true, 0};
	r = write_one(VALUES_HASHED, &s.d, &records);
	assert_null(at(r, "diff.rows.0.cut"));
	/* a window would stand elsewhere without the other side */
	assert_true(json_equal(at(r, "diff.rows.0.primary.1"), at(r, "diff.rows.1.primary.1")));
	assert_non_null(at(r, "diff.rows.0.primary.1"));
	json_decref(records);
	buffer_release(&one);
	buffer_release(&other);
}

static uint32_t mood_type;

static const char *mood_name(void *self, uint32_t oid)
{
	(void)self;
	return oid == mood_type || oid == mood_type + 10000 ? "shop.mood" : NULL;
}

/* {mood} in binary: the type's number is that of the server. */
static void mood_row(struct buffer *b, uint32_t type, const char *text)
{
	buffer_init(b, 1 << 16);
	buffer_add_u16(b, 2);
	buffer_add_u32(b, 27);
	buffer_add_u32(b, 1);
	buffer_add_u32(b, 0);
	buffer_add_u32(b, type);
	buffer_add_u32(b, 1);
	buffer_add_u32(b, 1);
	buffer_add_u32(b, 3);
	buffer_add(b, "sad", 3);
	buffer_add_u32(b, (uint32_t)strlen(text));
	buffer_add(b, text, strlen(text));
}

static void cells_that_are_equal_by_name_of_type_are_not_called_changed(void **state)
{
	struct compare_rules rules = {
		.primary_types.name = mood_name, .candidate_types.name = mood_name};
	json_t *records, *r;
	struct buffer one, other;
	struct sample s;

	(void)state;
	mood_type = 20001;
	sample_fill(&s);
	s.columns[0].type_oid = 20000;
	s.columns[0].format = 1;
	mood_row(&one, 20001, "a");
	mood_row(&other, 30001, "b");
	s.rows[0] =
		(struct diff_row){DIFF_CHANGED, buffer_span(&one), buffer_span(&other), false, 0};
	s.diff.nrows = 1;
	s.d.rules = &rules;
	r = write_one(VALUES_FULL, &s.d, &records);
	assert_int_equal(json_array_size(at(r, "diff.rows.0.columns")), 1);
	assert_number(r, "diff.rows.0.columns.0", 1);
	json_decref(records);
	buffer_release(&one);
	buffer_release(&other);
}

static void past_max_bytes_only_books_are_written(void **state)
{
	static const struct books none;
	const char *candidates[] = {"new"};
	uint64_t pending[] = {0};
	struct journal_books books = {
		.candidates = candidates, .ncandidates = 1, .delta = &none, .pending = pending};
	struct journal_options options = options_of(VALUES_FULL);
	struct journal *j;
	struct sample s;
	json_t *records;
	char id[37];

	(void)state;
	sample_fill(&s);
	options.max_bytes = 1;
	put_file(path, "{\"v\":1}\n", 0600);
	j = journal_open(&options);
	assert_false(journal_discrepancy(j, &s.d, id));
	assert_true(journal_books(j, &books));
	journal_free(j);
	unlink(path);
	j = journal_open(&options);
	assert_true(journal_discrepancy(j, &s.d, id)); /* the file was empty */
	assert_false(journal_discrepancy(j, &s.d, id));
	journal_free(j);
	records = read_records();
	assert_int_equal(json_array_size(records), 1);
	json_decref(records);
}

static void without_a_path_nothing_is_written(void **state)
{
	struct journal_options options = options_of(VALUES_HASHED);
	struct journal_start start = {.version = "1", .settings_digest = "0"};
	struct journal *j;
	struct sample s;
	char id[37];

	(void)state;
	sample_fill(&s);
	options.path = "";
	j = journal_open(&options);
	journal_start(j, &start);
	assert_false(journal_discrepancy(j, &s.d, id));
	journal_reopen(j);
	journal_stop(j, "test");
	assert_true(journal_settled(j));
	journal_free(j);
	assert_int_equal(access(path, F_OK), -1);
	journal_free(NULL);
}

/* A disk that takes no more bytes: RLIMIT_FSIZE cuts a write short, then fails it with EFBIG. The
 * queue keeps what fits, the rest is counted, the file keeps whole lines (J1). */
static void a_full_disk_keeps_whole_lines_and_counts_what_is_lost(void **state)
{
	struct rlimit before, tight;
	struct journal_options options = options_of(VALUES_FULL);
	const char *names[] = {"new"};
	static const struct books none;
	uint64_t pending[] = {0};
	struct journal_books books = {
		.candidates = names, .ncandidates = 1, .delta = &none, .pending = pending};
	struct journal *j;
	struct sample s;
	json_t *records;
	unsigned taken = 0;
	char id[37];

	(void)state;
	sample_fill(&s);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	tight = before;
	tight.rlim_cur = 3000; /* two records and a piece */
	options.examples_per_shape = 100;
	options.queue_bytes = 16000;
	j = journal_open(&options);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
	for (unsigned i = 0; i < 50; i++)
		taken += journal_discrepancy(j, &s.d, id);
	assert_true(taken < 50 && taken > 5);
	assert_int_equal(journal_lost(j), 50 - taken);
	assert_true(journal_books(j, &books)); /* its quarter is free */
	assert_false(journal_settled(j));
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0); /* space again */
	journal_free(j);
	records = read_records();
	assert_int_equal(count_kind(records, "discrepancy"), taken);
	assert_number(of_kind(records, "books", 0), "lost_records", 50 - taken);
	json_decref(records);
}

static void a_disk_full_to_the_end_leaves_whole_lines(void **state)
{
	struct rlimit before, tight;
	struct journal_options options = options_of(VALUES_FULL);
	struct journal *j;
	struct sample s;
	json_t *records;
	char id[37];

	(void)state;
	sample_fill(&s);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	tight = before;
	tight.rlim_cur = 3000;
	j = journal_open(&options);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
	for (unsigned i = 0; i < 5; i++)
		assert_true(journal_discrepancy(j, &s.d, id));
	journal_free(j);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	records = read_records();
	assert_in_range(json_array_size(records), 1, 4);
	json_decref(records);
}

static void a_full_queue_refuses_books_and_takes_them_later(void **state)
{
	struct rlimit before, tight;
	struct journal_options options = options_of(VALUES_FULL);
	const char *names[] = {"new"};
	struct books delta = {.observed = 7};
	uint64_t pending[] = {0};
	struct journal_books books = {
		.candidates = names, .ncandidates = 1, .delta = &delta, .pending = pending};
	unsigned taken = 0;
	struct journal *j;
	json_t *records;

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	tight = before;
	tight.rlim_cur = 10;
	options.queue_bytes = 2000;
	j = journal_open(&options);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
	while (journal_books(j, &books) && taken < 1000)
		taken++;
	assert_in_range(taken, 1, 20);
	assert_int_equal(journal_lost(j), 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	journal_free(j);
	records = read_records();
	assert_int_equal(count_kind(records, "books"), taken);
	json_decref(records);
}

/* --- the file --- */

static void a_line_that_an_earlier_process_left_open_is_closed(void **state)
{
	struct journal_options options = options_of(VALUES_FULL);
	struct journal *j;
	size_t len;
	const char *text;

	(void)state;
	put_file(path, "{\"v\":1,\"kind\":\"boo", 0600);
	j = journal_open(&options);
	journal_stop(j, "test");
	journal_free(j);
	text = read_file(path, &len);
	assert_non_null(strstr(text, "\"boo\n{\"v\":1,\"kind\":\"stop\""));
}

static void log_and_key_are_for_their_owner_alone(void **state)
{
	struct journal_options options = options_of(VALUES_HASHED);
	mode_t before = umask(0);
	size_t len;

	(void)state;
	journal_free(journal_open(&options));
	umask(before);
	assert_int_equal(mode_of(path), 0600);
	assert_int_equal(mode_of(key_path), 0600);
	read_file(key_path, &len);
	assert_int_equal(len, 65);
	assert_int_equal(chmod(path, 0644), 0);
	journal_free(journal_open(&options));
	assert_int_equal(mode_of(path), 0600);
}

static void a_key_file_that_others_can_read_is_refused(void **state)
{
	struct journal_options options = options_of(VALUES_HASHED);
	struct error error = {""};

	(void)state;
	journal_free(journal_open(&options));
	assert_int_equal(chmod(key_path, 0640), 0);
	assert_null(journal_new(&options, RUN, &error));
	assert_non_null(strstr(error.text, key_path));
	assert_non_null(strstr(error.text, "0600"));
}

static void a_broken_key_file_is_refused(void **state)
{
	static const char *const broken[] = {"", "abc\n",
		"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1g\n",
		"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f0\n"};
	struct journal_options options = options_of(VALUES_NONE);
	struct error error;

	(void)state;
	for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
		put_file(key_path, broken[i], 0600);
		error.text[0] = '\0';
		assert_null(journal_new(&options, RUN, &error));
		assert_non_null(strstr(error.text, "hex digits"));
	}
}

static void a_log_that_cannot_be_opened_is_an_error(void **state)
{
	struct journal_options options = options_of(VALUES_FULL);
	struct error error = {""};

	(void)state;
	options.path = "/proc/no/such/log";
	assert_null(journal_new(&options, RUN, &error));
	assert_non_null(strstr(error.text, "/proc/no/such/log"));
}

static void a_file_that_is_no_log_is_refused_and_left_as_it_is(void **state)
{
	static const char *const texts[] = {
		"root:x:0:0:\n", "{\"a\":1}\n", "x", "{", "\n", "{\"v\""};
	struct journal_options options = options_of(VALUES_HASHED);
	struct error error;
	bool foreign;
	size_t len;

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		put_file(path, texts[i], 0644);
		assert_false(journal_usable(&options, &foreign, &error));
		assert_true(foreign);
		assert_null(journal_new(&options, RUN, &error));
		assert_non_null(strstr(error.text, path));
		assert_non_null(strstr(error.text, "is not a discrepancy log: it begins with"));
		assert_false(
			journal_append_resolved(path, RUN, "id", "new", OUTCOME_MATCHED, &error));
		assert_string_equal(read_file(path, &len), texts[i]);
		assert_int_equal(mode_of(path), 0644);
		assert_int_equal(access(key_path, F_OK), -1);
	}
	put_file(path, "{ \"v\" : 1 }\n", 0600); /* laid out by another program */
	assert_true(journal_usable(&options, &foreign, &error));
}

static void whether_a_log_is_usable_is_seen_without_a_trace(void **state)
{
	struct journal_options options = options_of(VALUES_HASHED);
	struct error error;
	bool foreign;

	(void)state;
	assert_true(journal_usable(&options, &foreign, &error));
	assert_int_equal(access(path, F_OK), -1);
	options.path = directory;
	assert_false(journal_usable(&options, &foreign, &error));
	assert_non_null(strstr(error.text, "cannot be written: Is a directory"));
	options.path = "/proc/log.jsonl";
	assert_false(journal_usable(&options, &foreign, &error));
	assert_non_null(strstr(error.text, "path /proc/log.jsonl cannot be written"));
	assert_false(foreign);
	options.path = path;
	put_file(key_path, "short", 0600);
	assert_false(journal_usable(&options, &foreign, &error));
	assert_non_null(strstr(error.text, key_path));
	options.values = VALUES_FULL;
	assert_true(journal_usable(&options, &foreign, &error));
	/* the directory is removed in the end: nothing else was left in it */
}

static void wait_until_settled(struct journal *j)
{
	while (!journal_settled(j))
		sched_yield();
}

/* Something stands in it: the writer has come to it. */
static void wait_for_file(const char *name)
{
	struct stat st;

	while (stat(name, &st) != 0 || st.st_size == 0)
		sched_yield();
}

static void reopening_follows_a_rotated_file(void **state)
{
	struct journal_options options = options_of(VALUES_FULL);
	struct journal *j = journal_open(&options);
	char rotated[80];
	json_t *records;

	(void)state;
	snprintf(rotated, sizeof rotated, "%s.1", path);
	journal_stop(j, "before");
	assert_int_equal(rename(path, rotated), 0);
	journal_reopen(j);
	journal_stop(j, "after");
	journal_free(j);
	records = read_records();
	/* "before" is in one of the files, by when the thread came to it; "after" in the new one */
	assert_text(of_kind(records, "stop", json_array_size(records) - 1), "why", "after");
	json_decref(records);
	assert_int_equal(mode_of(path), 0600);
	unlink(rotated);
}

static void a_new_file_begins_with_the_start_and_has_examples_of_its_own(void **state)
{
	const char *candidates[] = {"host=new"}, *findings[] = {"new: a finding"};
	struct journal_start start = {.version = "0.1.0",
		.settings_digest = "0123456789abcdef",
		.primary = "host=old",
		.candidates = candidates,
		.ncandidates = 1,
		.findings = findings,
		.nfindings = 1};
	struct journal_options options = options_of(VALUES_FULL);
	struct journal *j;
	json_t *records, *first;
	struct sample s;
	char rotated[80], id[37];

	(void)state;
	sample_fill(&s);
	s.d.read_hash[0] = 1;
	s.d.outcome = OUTCOME_MISMATCH;
	options.examples_per_shape = 1;
	j = journal_open(&options);
	journal_start(j, &start);
	assert_int_equal(journal_discrepancy(j, &s.d, id), JOURNAL_LOGGED);
	wait_until_settled(j);
	snprintf(rotated, sizeof rotated, "%s.1", path);
	assert_int_equal(rename(path, rotated), 0);
	journal_reopen(j);
	wait_for_file(path);
	assert_int_equal(journal_discrepancy(j, &s.d, id), JOURNAL_LOGGED);
	journal_stop(j, "after");
	journal_free(j);
	records = read_records();
	assert_int_equal(json_array_size(records), 3);
	first = json_array_get(records, 0);
	assert_text(first, "kind", "start");
	assert_text(first, "run", RUN);
	assert_true(json_is_true(at(first, "continued")));
	assert_text(first, "findings.0", "new: a finding");
	json_decref(records);
	unlink(rotated);
}

static void nothing_goes_to_the_old_file_once_the_log_is_to_be_reopened(void **state)
{
	struct journal_options options = options_of(VALUES_FULL);
	struct journal *j = journal_open(&options);
	char rotated[80];
	struct stat st;

	(void)state;
	snprintf(rotated, sizeof rotated, "%s.1", path);
	assert_int_equal(rename(path, rotated), 0);
	journal_reopen_soon(j); /* wakes nobody: the record does */
	journal_stop(j, "after");
	journal_free(j);
	assert_int_equal(stat(rotated, &st), 0);
	assert_int_equal(st.st_size, 0);
	assert_int_equal(stat(path, &st), 0);
	assert_true(st.st_size > 0);
	unlink(rotated);
}

/* --- start, stop, books --- */

static void start_says_what_runs(void **state)
{
	const char *candidates[] = {"host=new"}, *findings[] = {"new: a finding"};
	struct journal_start start = {.version = "0.1.0",
		.settings_digest = "0123456789abcdef",
		.primary = "host=old",
		.candidates = candidates,
		.ncandidates = 1,
		.findings = findings,
		.nfindings = 1};
	struct journal_options options = options_of(VALUES_FULL);
	struct journal *j = journal_open(&options);
	json_t *records, *r;

	(void)state;
	journal_start(j, &start);
	journal_stop(j, "terminated");
	journal_free(j);
	records = read_records();
	r = of_kind(records, "start", 0);
	assert_number(r, "v", 1);
	assert_text(r, "run", RUN);
	assert_text(r, "version", "0.1.0");
	assert_text(r, "settings_digest", "0123456789abcdef");
	assert_text(r, "servers.primary", "host=old");
	assert_text(r, "servers.candidates.0", "host=new");
	assert_text(r, "findings.0", "new: a finding");
	assert_true(json_is_false(at(r, "restarted")));
	assert_null(at(r, "pending_closed"));
	assert_text(of_kind(records, "stop", 0), "why", "terminated");
	json_decref(records);
}

/* What `start` says to close after the file held this text. NULL: nothing. The caller decrefs. */
static json_t *closed_after(const char *text)
{
	struct journal_start start = {.version = "1", .settings_digest = "0"};
	struct journal_options options = options_of(VALUES_FULL);
	struct journal *j;
	json_t *record, *closed;
	size_t len;

	put_file(path, text, 0600);
	j = journal_open(&options);
	journal_start(j, &start);
	journal_free(j);
	text = read_file(path, &len) + strlen(text);
	record = json_loads(text, 0, NULL);
	assert_text(record, "kind", "start");
	closed = json_incref(at(record, "pending_closed"));
	json_decref(record);

	return closed;
}

#define BOOKS(run, pending)                                                                    \
	"{\"v\":1,\"kind\":\"books\",\"run\":\"" run "\",\"candidates\":{\"new\":{\"seen\":9," \
	"\"pending\":" #pending "},\"idle\":{\"pending\":0}}}\n"
#define DISCREPANCY "{\"v\":1,\"kind\":\"discrepancy\",\"run\":\"" EARLIER "\"}\n"

static void start_closes_what_an_earlier_run_left_pending(void **state)
{
	json_t *closed = closed_after(BOOKS(EARLIER, 3) BOOKS(EARLIER, 5) DISCREPANCY);

	(void)state;
	assert_int_equal(json_object_size(closed), 1);
	assert_number(closed, "new", 5);
	json_decref(closed);
}

static void start_closes_nothing_that_is_closed_or_its_own(void **state)
{
	(void)state;
	assert_null(closed_after(""));
	assert_null(closed_after(BOOKS(EARLIER, 0)));
	assert_null(closed_after(
		BOOKS(EARLIER, 5) "{\"v\":1,\"kind\":\"stop\",\"run\":\"" EARLIER "\"}\n"));
	assert_null(closed_after(BOOKS(EARLIER, 5) BOOKS(RUN, 2)));
	assert_null(
		closed_after(BOOKS(EARLIER, 5) "{\"v\":1,\"kind\":\"start\",\"run\":\"other\"}\n"));
	assert_null(closed_after("{\"v\":1}\nnot json\n[]\n7\n{\"kind\":7,\"run\":[]}\n\n"));
	assert_null(closed_after("{\"v\":1,\"kind\":\"books\",\"run\":\"" EARLIER
				 "\",\"candidates\":[{\"pending\":1}]}\n"));
}

static void start_sees_past_a_restart_of_the_shadow_and_many_discrepancies(void **state)
{
	const char *restart =
		"{\"v\":1,\"kind\":\"start\",\"restarted\":true,\"run\":\"" EARLIER "\"}\n";
	size_t room = 3 << 20, len;
	char *text = malloc(room);
	json_t *closed;

	(void)state;
	assert_non_null(text);
	len = (size_t)snprintf(text, room, "%s%s", BOOKS(EARLIER, 5), restart);
	while (len < (2 << 20)) /* past the first window */
		len += (size_t)snprintf(text + len, room - len, "%s", DISCREPANCY);
	closed = closed_after(text);
	free(text);
	assert_number(closed, "new", 5);
	json_decref(closed);
}

#define CONTINUED(run, books)                                                                     \
	"{\"v\":1,\"kind\":\"start\",\"continued\":true,\"books\":" books ",\"run\":\"" run "\"}" \
	"\n"

static void a_continued_start_ends_no_run_and_tells_which_books_came_before(void **state)
{
	struct journal_options options = options_of(VALUES_FULL);
	struct journal *j;
	json_t *closed = closed_after(BOOKS(EARLIER, 5) CONTINUED(EARLIER, "7"));

	(void)state;
	assert_number(closed, "new", 5);
	json_decref(closed);
	put_file(path, CONTINUED(RUN, "7"), 0600);
	j = journal_open(&options);
	assert_int_equal(journal_last_books(j), 7);
	journal_free(j);
}

static void expect_totals(json_t *r)
{
	assert_number(r, "relayed", 10);
	assert_number(r, "observed", 9);
	assert_number(r, "unobserved.tape_full", 1);
	assert_int_equal(json_object_size(at(r, "unobserved")), 1);
	assert_number(r, "observer.disagreements", 2);
	assert_int_equal(json_object_size(at(r, "observer")), 1);
	assert_number(r, "frames.execution", 7);
	assert_number(r, "frames.continuation", 1);
	assert_number(r, "frames.discarded", 1);
	assert_number(r, "frames.open", 0);
	assert_number(r, "relay.copy_ns.counts.9", 4);
	assert_number(r, "relay.copy_ns.sum", 40);
	assert_number(r, "relay.sheds", 2);
	assert_number(r, "on_tape", 0);
	assert_null(at(r, "lost_records"));
	assert_number(r, "candidates.new.seen", 8);
	assert_number(r, "candidates.new.matched", 3);
	assert_number(r, "candidates.new.skipped.writes", 1);
	assert_number(r, "candidates.new.dropped.rate", 1);
	assert_number(r, "candidates.new.unverifiable.rate", 1);
	assert_null(at(r, "candidates.new.mismatch"));
	assert_number(r, "candidates.new.pending", 2);
}

static void expect_shape(json_t *r)
{
	assert_text(r, "shape", "50fde20626009aba");
	assert_text(r, "candidate", "new");
	assert_number(r, "executions", 4);
	assert_number(r, "outcomes.matched", 3);
	assert_number(r, "outcomes.skipped.writes", 1);
	assert_int_equal(strlen(json_string_value(at(r, "params_hll"))), 512);
	assert_memory_equal(json_string_value(at(r, "params_hll")), "0100", 4);
	assert_memory_equal(json_string_value(at(r, "params_hll")) + 508, "002a", 4);
	assert_text(r, "first_seen", "2023-11-14T22:13:20.000000Z");
	assert_number(r, "latency_us.primary.counts.17", 3);
	assert_number(r, "latency_us.primary.sum", 99);
	assert_null(at(r, "latency_us.candidate"));
}

static void books_are_the_form_agreed_with_the_report(void **state)
{
	const char *names[] = {"new"};
	static uint64_t shape_count[OUTCOME_COUNT][REASON_COUNT];
	static struct histogram primary_us, candidate_us;
	struct books delta = {.observed = 9,
		.frames_execution = 7,
		.frames_continuation = 1,
		.frames_discarded = 1};
	static struct relay_cost cost = {.copied_ns = {.total = 4, .sum_us = 40}, .sheds = 2};
	struct hll params = {{0}};
	struct shape_delta shape = {.shape = "50fde20626009aba",
		.normalized = "SELECT $1",
		.candidate = "new",
		.count = (const uint64_t(*)[REASON_COUNT])shape_count,
		.executions = 4,
		.params = &params,
		.primary_us = &primary_us,
		.candidate_us = &candidate_us,
		.first_seen_us = 1700000000000000,
		.last_seen_us = 1700000001000000};
	uint64_t pending[] = {2};
	struct journal_books books = {.candidates = names,
		.ncandidates = 1,
		.delta = &delta,
		.pending = pending,
		.relayed = 10,
		.on_tape = 0,
		.frames_open = 0,
		.cost = &cost,
		.shapes = &shape,
		.nshapes = 1,
		.final = true};
	struct journal_options options = options_of(VALUES_HASHED);
	struct journal *j = journal_open(&options);
	json_t *records, *r;

	(void)state;
	books.unobserved[UNOBSERVED_TAPE_FULL] = 1;
	delta.events[EVENT_DISAGREEMENT] = 2;
	delta.candidate[0].seen = 8;
	delta.candidate[0].count[OUTCOME_MATCHED][REASON_NONE] = 3;
	delta.candidate[0].count[OUTCOME_SKIPPED][REASON_WRITES] = 1;
	delta.candidate[0].count[OUTCOME_DROPPED][REASON_RATE] = 1;
	delta.candidate[0].count[OUTCOME_UNVERIFIABLE][REASON_VERIFY_RATE] = 1;
	shape_count[OUTCOME_MATCHED][REASON_NONE] = 3;
	shape_count[OUTCOME_SKIPPED][REASON_WRITES] = 1;
	params.registers[0] = 1;
	params.registers[255] = 0x2a;
	cost.copied_ns.count[9] = 4;
	primary_us.count[17] = 3;
	primary_us.total = 3;
	primary_us.sum_us = 99;
	assert_true(journal_books(j, &books));
	journal_free(j);
	records = read_records();
	r = of_kind(records, "books", 0);
	expect_totals(r);
	expect_shape(at(r, "shapes.0"));
	json_decref(records);
}

/* --- names and times --- */

static void a_uuid_has_version_variant_and_time(void **state)
{
	char a[37], b[37];

	(void)state;
	uuid_v7(a);
	uuid_v7(b);
	assert_int_equal(strlen(a), 36);
	assert_int_equal(a[14], '7');
	assert_non_null(strchr("89ab", a[19]));
	assert_string_not_equal(a, b);
	assert_true(memcmp(a, b, 13) <= 0); /* sorts by its milliseconds */
}

static void times_are_utc_with_microseconds(void **state)
{
	char text[32];

	(void)state;
	rfc3339(0, text);
	assert_string_equal(text, "1970-01-01T00:00:00.000000Z");
	rfc3339(1709210096000007, text);
	assert_string_equal(text, "2024-02-29T12:34:56.000007Z");
}

#define TEST(name) cmocka_unit_test_teardown(name, clean_files)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_discrepancy_has_the_fields_of_the_contract),
		TEST(values_full_shows_null_text_and_hex),
		TEST(bytes_that_are_not_utf8_become_hex_or_question_marks),
		TEST(values_hashed_lets_no_value_through),
		TEST(values_none_leaves_them_out),
		TEST(digests_are_keyed_unless_values_are_full),
		TEST(a_text_that_was_not_parsed_is_never_logged),
		TEST(differing_columns_are_named_with_their_types),
		TEST(rows_in_another_order_are_logged_as_the_privacy_allows),
		TEST(a_row_that_lies_about_its_cells_is_cut),
		TEST(examples_per_shape_bounds_records_of_one_kind),
		TEST(a_further_mismatch_of_a_logged_read_is_a_repetition_that_the_books_tell),
		TEST(a_row_to_be_cut_shows_what_stands_around_the_difference),
		TEST(a_row_to_be_cut_is_hashed_whole),
		TEST(cells_that_are_equal_by_name_of_type_are_not_called_changed),
		TEST(past_max_bytes_only_books_are_written),
		TEST(without_a_path_nothing_is_written),
		TEST(a_full_disk_keeps_whole_lines_and_counts_what_is_lost),
		TEST(a_disk_full_to_the_end_leaves_whole_lines),
		TEST(a_full_queue_refuses_books_and_takes_them_later),
		TEST(a_line_that_an_earlier_process_left_open_is_closed),
		TEST(log_and_key_are_for_their_owner_alone),
		TEST(a_key_file_that_others_can_read_is_refused),
		TEST(a_broken_key_file_is_refused),
		TEST(a_log_that_cannot_be_opened_is_an_error),
		TEST(a_file_that_is_no_log_is_refused_and_left_as_it_is),
		TEST(whether_a_log_is_usable_is_seen_without_a_trace),
		TEST(reopening_follows_a_rotated_file),
		TEST(a_new_file_begins_with_the_start_and_has_examples_of_its_own),
		TEST(nothing_goes_to_the_old_file_once_the_log_is_to_be_reopened),
		TEST(start_says_what_runs),
		TEST(start_closes_what_an_earlier_run_left_pending),
		TEST(start_closes_nothing_that_is_closed_or_its_own),
		TEST(start_sees_past_a_restart_of_the_shadow_and_many_discrepancies),
		TEST(a_continued_start_ends_no_run_and_tells_which_books_came_before),
		TEST(books_are_the_form_agreed_with_the_report),
		TEST(a_uuid_has_version_variant_and_time),
		TEST(times_are_utc_with_microseconds),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}

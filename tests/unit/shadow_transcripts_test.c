/* Conversations in tests/transcripts/ turned into bytes and followed by the observer, three times
 * over: message by message, byte by byte, and cut at random from a printed seed. Each time the same
 * executions, outcomes and books must come out.
 *
 * A transcript's lines:
 *   # comment
 *   F Q SQL | F P NAME|SQL|OID,OID | F B PORTAL|STATEMENT|FORMATS|VALUE,VALUE | F D S NAME | F D P
 * NAME F E PORTAL|MAX | F C S NAME | F C P NAME | F S | F H | F X | F d DATA | F c | F f TEXT | F F
 *   B T NAME:OID,NAME:OID | B D VALUE,VALUE | B C TAG | B E SEVERITY SQLSTATE | B Z STATUS | B S
 * NAME=VALUE | B 1 2 3 n s I t G H c ! gap FLAGS      the tape was full and the session resumes
 * (bits of enum tape_gap_flags) ! rows REASON    rows were not taken ! close          the session
 * ends = read "SQL" rows N END [limit N] [SETTINGS...]      a dark read, in order = skipped REASON
 * | = dropped REASON = books observed N execution N continuation N discarded N open N = lost the
 * session is not observed any more = disagreements N A line "% settings" makes reads show the
 * settings that the session chose itself.
 *   @ function NAME KNOWLEDGE LANGUAGE BODY | @ procedure NAME LANGUAGE BODY | @ builtin NAME
 * KNOWLEDGE
 *   @ late view NAME        what the primary's catalogue says, before all else; KNOWLEDGE is
 *                           volatile, stable or immutable */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka needs the above first */
#include <cmocka.h>

#include "proxy/shadow/observer.h"
#include "proxy/text_key.h"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum cut { CUT_MESSAGES, CUT_BYTES, CUT_RANDOM, CUT_COUNT };

struct run {
	const char *path;
	unsigned line;
	enum cut cut;
	unsigned seed;
	bool show_settings;
	struct observer *observer;
	struct books books;
	struct classifier *classifier;
	struct catalogue *primary;
	struct database_view view;
	struct tape_session id;
	char events[64][512];
	size_t first, count;
};

static void fail_run(struct run *r, const char *what, const char *got)
{
	fail_msg("%s:%u (cut %d, seed %u): %s: %s", r->path, r->line, r->cut, r->seed, what, got);
}

static char *next_event(struct run *r)
{
	assert_true(r->count - r->first < 64);
	return r->events[r->count++ % 64];
}

static const struct database_view *on_database(void *self, const char *name)
{
	struct run *r = self;

	(void)name;
	return &r->view;
}

static void on_begin(void *self)
{
	books_seen(&((struct run *)self)->books, 0);
}

static void on_end(
	void *self, const struct statement *statement, enum outcome outcome, enum reason reason)
{
	struct run *r = self;

	(void)statement;
	books_end(&r->books, 0, outcome, reason);
	snprintf(next_event(r), 512, "%s %s", outcome_name(outcome), reason_name(reason));
}

static bool is_protocol_setting(const char *name)
{
	static const char *const names[] = {"client_encoding", "datestyle", "intervalstyle",
		"timezone", "standard_conforming_strings", "search_path", "application_name"};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (strcmp(names[i], name) == 0)
			return true;

	return false;
}

static void on_read(void *self, struct dark_read *read)
{
	static const char *const ends[] = {"open", "complete", "suspended", "empty", "error"};
	struct run *r = self;
	char *event = next_event(r);
	int n = snprintf(event, 512, "read \"%s\" rows %u %s", read->sql,
		(unsigned)read->primary.rows, ends[read->primary.end]);

	if (read->primary.end == RESULT_ERROR)
		n += snprintf(event + n, 512 - (size_t)n, " %s", read->primary.sqlstate);
	if (read->row_limit)
		n += snprintf(event + n, 512 - (size_t)n, " limit %u", read->row_limit);
	if (read->nresult_formats == 1 && read->result_formats[0] == 1)
		n += snprintf(event + n, 512 - (size_t)n, " binary");
	if (read->null_as)
		n += snprintf(event + n, 512 - (size_t)n, " null '%s'", read->null_as);
	for (unsigned i = 0; read->primary.names_only && i < read->primary.ncolumns; i++)
		n += snprintf(event + n, 512 - (size_t)n, "%s%s", i ? "," : " names ",
			read->primary.columns[i].name);
	for (size_t i = 0; i < read->nsettings; i++)
		if (strcmp(read->settings[i].name, "client_encoding") == 0 &&
			strcmp(read->settings[i].value, "UTF8") != 0)
			n += snprintf(
				event + n, 512 - (size_t)n, " in %s", read->settings[i].value);
	for (size_t i = 0; r->show_settings && i < read->nsettings; i++)
		if (!is_protocol_setting(read->settings[i].name) ||
			strcmp(read->settings[i].name, "timezone") == 0)
			n += snprintf(event + n, 512 - (size_t)n, " %s=%s", read->settings[i].name,
				read->settings[i].value);
	books_end(&r->books, 0, OUTCOME_MATCHED, REASON_NONE);
	dark_read_unref(read);
}

/* --- bytes ------------------------------------------------------------------------------------ */

static void put_record(struct run *r, enum tape_kind kind, const void *data, size_t len)
{
	struct tape_record record = {.kind = (uint16_t)kind,
		.payload_len = (uint32_t)len,
		.session = r->id,
		.time_us = 1};

	observer_record(r->observer, 0, &record, span_of(data, len));
	if (r->cut != CUT_MESSAGES && rand_r(&r->seed) % 4 == 0) { /* as if it had stood idle */
		observer_rest(r->observer);
		observer_rest(r->observer);
	}
}

static void put_bytes(struct run *r, bool front, const struct buffer *b)
{
	size_t at = 0;

	assert_false(b->failed);
	while (at < b->len) {
		size_t n = b->len - at;

		if (r->cut == CUT_BYTES)
			n = 1;
		else if (r->cut == CUT_RANDOM)
			n = 1 + (size_t)rand_r(&r->seed) % (n < 9 ? n : 9);
		put_record(r, front ? TAPE_FRONT : TAPE_BACK, b->data + at, n);
		at += n;
	}
}

/* The next field of a line, ended by `separator`; "" when there is none. */
static char *field(char **rest, char separator)
{
	char *start = *rest, *end = strchr(start, separator);

	if (end) {
		*end = '\0';
		*rest = end + 1;
	} else {
		*rest = start + strlen(start);
	}

	return start;
}

static void build_simple_body(struct buffer *b, char type, const char *text)
{
	buffer_add_u8(b, (uint8_t)type);
	buffer_add_u32(b, (uint32_t)(4 + strlen(text) + 1));
	buffer_add_cstr(b, text);
}

static void front_parse(struct buffer *b, char *rest)
{
	char *name = field(&rest, '|'), *sql = field(&rest, '|');
	uint32_t types[16];
	uint16_t n = 0;

	while (*rest)
		types[n++] = (uint32_t)strtoul(field(&rest, ','), NULL, 10);
	build_parse(b, span_cstr(name), span_cstr(sql), n, types);
}

static void front_bind(struct buffer *b, char *rest)
{
	char *portal = field(&rest, '|'), *statement = field(&rest, '|'),
	     *formats = field(&rest, '|');
	uint16_t codes[16], n = 0, nparams = 0;
	struct span params[16];

	while (*formats)
		codes[n++] = (uint16_t)strtoul(field(&formats, ','), NULL, 10);
	while (*rest)
		params[nparams++] = span_cstr(field(&rest, ','));
	build_bind(b, span_cstr(portal), span_cstr(statement), 0, NULL, nparams, params, n, codes);
}

static void front(struct run *r, char *line)
{
	struct buffer b;
	char type = line[0];
	char *rest = line[1] == ' ' ? line + 2 : line + 1;

	buffer_init(&b, 2 << 20);
	switch (type) {
	case 'Q':
	case 'f': build_simple_body(&b, type, rest); break;
	case 'P': front_parse(&b, rest); break;
	case 'B': front_bind(&b, rest); break;
	case 'D': build_describe(&b, rest[0], span_cstr(rest[1] ? rest + 2 : "")); break;
	case 'C': build_close(&b, rest[0], span_cstr(rest[1] ? rest + 2 : "")); break;
	case 'E': {
		char *portal = field(&rest, '|');

		build_execute(&b, span_cstr(portal), (uint32_t)strtoul(rest, NULL, 10));
		break;
	}
	case 'F':
		buffer_add_u8(&b, 'F');
		buffer_add_u32(&b, 4 + 4 + 2 + 2 + 2);
		buffer_add_u32(&b, 89);
		buffer_add_u16(&b, 0);
		buffer_add_u16(&b, 0);
		buffer_add_u16(&b, 0);
		break;
	case 'd':
		buffer_add_u8(&b, 'd');
		buffer_add_u32(&b, (uint32_t)(4 + strlen(rest)));
		buffer_add(&b, rest, strlen(rest));
		break;
	default: build_simple(&b, type); break;
	}
	put_bytes(r, true, &b);
	buffer_release(&b);
}

static void patch_length(struct buffer *b)
{
	uint32_t n = (uint32_t)(b->len - 1);

	b->data[1] = (uint8_t)(n >> 24);
	b->data[2] = (uint8_t)(n >> 16);
	b->data[3] = (uint8_t)(n >> 8);
	b->data[4] = (uint8_t)n;
}

static void back_columns(struct buffer *b, char *rest)
{
	uint16_t n = *rest ? 1 : 0;

	for (const char *c = rest; *c; c++)
		n = (uint16_t)(n + (*c == ','));
	buffer_add_u16(b, n);
	while (*rest) {
		char *column = field(&rest, ','), *name = field(&column, ':'),
		     *type = field(&column, ':');

		buffer_add_cstr(b, name);
		buffer_add_u32(b, 0);
		buffer_add_u16(b, 0);
		buffer_add_u32(b, (uint32_t)strtoul(type, NULL, 10));
		buffer_add_u16(b, 4);
		buffer_add_u32(b, UINT32_MAX);
		buffer_add_u16(b, (uint16_t)strtoul(column, NULL, 10));
	}
}

static void back_row(struct buffer *b, char *rest)
{
	uint16_t n = *rest ? 1 : 0;

	for (const char *c = rest; *c; c++)
		n = (uint16_t)(n + (*c == ','));
	buffer_add_u16(b, n);
	while (*rest) {
		char *value = field(&rest, ',');

		buffer_add_u32(b, (uint32_t)strlen(value));
		buffer_add(b, value, strlen(value));
	}
}

/* SEVERITY SQLSTATE [FIELDS LENGTH]: so many more fields, and a message that long. */
static void back_error(struct buffer *b, char *rest)
{
	char *severity = field(&rest, ' '), *sqlstate = field(&rest, ' ');
	unsigned fields = (unsigned)strtoul(field(&rest, ' '), NULL, 10),
		 length = (unsigned)strtoul(rest, NULL, 10);

	buffer_printf(b, "S%s", severity);
	buffer_add_u8(b, 0);
	buffer_printf(b, "V%s", severity);
	buffer_add_u8(b, 0);
	if (*sqlstate) {
		buffer_printf(b, "C%s", sqlstate);
		buffer_add_u8(b, 0);
	}
	for (unsigned i = 0; i < fields; i++)
		buffer_add(b, "Wsomewhere", sizeof "Wsomewhere");
	buffer_printf(b, "Mmessage");
	for (unsigned i = 0; i < length; i++)
		buffer_add_u8(b, 'm');
	buffer_add_u8(b, 0);
	buffer_add_u8(b, 0);
}

/* The number of columns; "binary". */
static void back_copy(struct buffer *b, const char *rest)
{
	uint16_t n = (uint16_t)strtoul(rest, NULL, 10);
	bool binary = strstr(rest, "binary") != NULL;

	buffer_add_u8(b, binary);
	buffer_add_u16(b, n);
	for (; n > 0; n--)
		buffer_add_u16(b, binary);
}

/* \t, \n, \\ and \xHH as in C; \P: what a binary COPY begins with. */
static void back_copy_data(struct buffer *b, const char *rest)
{
	static const char begin[] = "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0";
	unsigned code = '\\';

	for (; *rest; rest++) {
		if (*rest != '\\' || !rest[1]) {
			buffer_add_u8(b, (uint8_t)*rest);
			continue;
		}
		switch (*++rest) {
		case 't': buffer_add_u8(b, '\t'); break;
		case 'n': buffer_add_u8(b, '\n'); break;
		case 'P': buffer_add(b, begin, sizeof begin); break;
		case 'x':
			assert_int_equal(sscanf(rest + 1, "%2x", &code), 1);
			buffer_add_u8(b, (uint8_t)code);
			rest += 2;
			break;
		default: buffer_add_u8(b, '\\'); break;
		}
	}
}

static void back(struct run *r, char *line)
{
	struct buffer b;
	char type = line[0];
	char *rest = line[1] == ' ' ? line + 2 : line + 1;

	buffer_init(&b, 2 << 20);
	buffer_add_u8(&b, (uint8_t)type);
	buffer_add_u32(&b, 0);
	switch (type) {
	case 'T': back_columns(&b, rest); break;
	case 'D': back_row(&b, rest); break;
	case 'C': buffer_add_cstr(&b, rest); break;
	case 'E':
	case 'N': back_error(&b, rest); break;
	case 'Z': buffer_add_u8(&b, (uint8_t)rest[0]); break;
	case 'S':
		buffer_add_cstr(&b, field(&rest, '='));
		buffer_add_cstr(&b, rest);
		break;
	case 't': buffer_add_u16(&b, 0); break;
	case 'G':
	case 'H': back_copy(&b, rest); break;
	case 'V': buffer_add_u32(&b, UINT32_MAX); break;
	case 'd': back_copy_data(&b, rest); break;
	default: break;
	}
	patch_length(&b);
	put_bytes(r, false, &b);
	buffer_release(&b);
}

/* FLAGS, and the texts that passed unseen: FLAGS text | text ... */
static void resume(struct run *r, char *line)
{
	struct tape_resume resume = {.flags = (uint32_t)strtoul(field(&line, ' '), NULL, 10)};
	uint8_t payload[sizeof resume + UNSEEN_TEXTS_MAX * sizeof(struct tape_text)];
	static struct quick_key quick;

	while (*line) {
		const struct span sql = span_cstr(field(&line, '|'));
		struct tape_text text = {.exact = text_key_of(sql, false)};

		if (quick_blank(sql, &quick))
			text.blanked = text_key_of(span_of(quick.bytes, quick.len), true);
		memcpy(payload + sizeof resume + resume.texts++ * sizeof text, &text, sizeof text);
	}
	memcpy(payload, &resume, sizeof resume);
	put_record(
		r, TAPE_RESUME, payload, sizeof resume + resume.texts * sizeof(struct tape_text));
}

static void happen(struct run *r, char *line)
{
	char *what = field(&line, ' ');

	if (strcmp(what, "gap") == 0) {
		resume(r, line);
	} else if (strcmp(what, "rows") == 0) {
		struct tape_rows rows = {
			.reason = (uint32_t)strtoul(line, NULL, 10), .rows = 1, .bytes = 1};

		put_record(r, TAPE_ROWS, &rows, sizeof rows);
	} else if (strcmp(what, "close") == 0) {
		put_record(r, TAPE_CLOSE, NULL, 0);
	} else {
		fail_run(r, "unknown event", what);
	}
}

static void expect(struct run *r, const char *line)
{
	char got[512];

	if (strncmp(line, "books ", 6) == 0) {
		snprintf(got, sizeof got,
			"books observed %u execution %u continuation %u discarded %u open %u",
			(unsigned)r->books.observed, (unsigned)r->books.frames_execution,
			(unsigned)r->books.frames_continuation, (unsigned)r->books.frames_discarded,
			(unsigned)observer_frames_open(r->observer));
		if (r->first != r->count)
			fail_run(r, "not expected", r->events[r->first % 64]);
	} else if (strncmp(line, "disagreements ", 14) == 0) {
		snprintf(got, sizeof got, "disagreements %u",
			(unsigned)observer_disagreements(r->observer));
	} else if (strcmp(line, "lost") == 0) {
		snprintf(got, sizeof got, "%s",
			observer_desyncs(r->observer) > 0 ? "lost" : "still observed");
	} else if (r->first == r->count) {
		fail_run(r, "nothing came instead of", line);
		return;
	} else {
		snprintf(got, sizeof got, "%s", r->events[r->first++ % 64]);
	}
	if (strcmp(got, line) != 0)
		fail_run(r, "got", got);
}

/* --- runs ------------------------------------------------------------------------------------- */

static void open_session(struct run *r)
{
	static const char startup[] = "\0\3\0\0user\0app\0database\0shop\0application_name\0test\0";
	struct tape_open open = {.startup_len = sizeof startup};
	uint8_t payload[sizeof open + sizeof startup];

	memcpy(payload, &open, sizeof open);
	memcpy(payload + sizeof open, startup, sizeof startup);
	put_record(r, TAPE_OPEN, payload, sizeof payload);
	back(r, (char[]){"S client_encoding=UTF8"});
	back(r, (char[]){"S TimeZone=UTC"});
	back(r, (char[]){"Z I"});
}

static enum function_knowledge knowledge(const char *word)
{
	return strcmp(word, "volatile") == 0 ? FUNCTION_VOLATILE
	       : strcmp(word, "stable") == 0 ? FUNCTION_STABLE
					     : FUNCTION_IMMUTABLE;
}

static void know(struct run *r, char *rest)
{
	char *kind = field(&rest, ' '), *name = field(&rest, ' ');

	if (!r->primary)
		r->primary = catalogue_new();
	assert_non_null(r->primary);
	if (strcmp(kind, "function") == 0) {
		enum function_knowledge known = knowledge(field(&rest, ' '));
		char *language = field(&rest, ' ');

		assert_true(catalogue_add_function(r->primary, "public", name, known));
		assert_true(catalogue_add_routine(r->primary, "public", name, language, rest));
	} else if (strcmp(kind, "procedure") == 0) {
		char *language = field(&rest, ' ');

		assert_true(catalogue_add_routine(r->primary, "public", name, language, rest));
	} else if (strcmp(kind, "builtin") == 0) {
		assert_true(
			catalogue_add_function(r->primary, "pg_catalog", name, knowledge(rest)));
	} else {
		assert_string_equal(kind, "late");
		assert_true(catalogue_add_code(r->primary, CODE_LATE_RELATION, "public", rest));
	}
}

static void run_line(struct run *r, char *line)
{
	line[strcspn(line, "\n")] = '\0';
	if (line[0] == '@') {
		know(r, line + 2);
		return;
	}
	if (r->primary && !r->view.primary) {
		catalogue_seal(r->primary);
		r->view.primary = r->primary;
	}
	switch (line[0]) {
	case 'F': front(r, line + 2); break;
	case 'B': back(r, line + 2); break;
	case '!': happen(r, line + 2); break;
	case '=': expect(r, line + 2); break;
	case '%': r->show_settings = true; break;
	default: break;
	}
}

static void begin(struct run *r)
{
	struct observer_options options = {.max_sessions = 10,
		.max_message_bytes = 1 << 20,
		.keep_limit_bytes = 1 << 20,
		.memory_limit_bytes = 64 << 20,
		.sample = 1};
	struct observer_sink sink = {r, on_database, on_begin, on_end, on_read};
	struct classifier_options classifier = {
		.cache_entries = 100, .max_sql_bytes = 65536, .allow_functions = ""};

	r->classifier = classifier_new(&classifier);
	r->view = (struct database_view){.classifier = r->classifier};
	r->observer = observer_new(&options, &r->books, &sink);
	assert_non_null(r->classifier);
	assert_non_null(r->observer);
	r->id = (struct tape_session){3, 1};
	open_session(r);
}

static void balance(struct run *r)
{
	observer_end(r->observer);
	if (r->first != r->count)
		fail_run(r, "left over at the end", r->events[r->first % 64]);
	assert_int_equal(books_pending(&r->books.candidate[0]), 0);
	assert_int_equal(r->books.observed, r->books.frames_execution +
						    r->books.frames_continuation +
						    r->books.frames_discarded);
	assert_int_equal(observer_frames_open(r->observer), 0);
	observer_free(r->observer);
	classifier_free(r->classifier);
	catalogue_free(r->primary);
}

static void run_transcript(const char *path, enum cut cut, unsigned seed)
{
	struct run *r = calloc(1, sizeof *r);
	FILE *file = fopen(path, "r");
	char line[4096];

	assert_non_null(r);
	assert_non_null(file);
	r->path = path;
	r->cut = cut;
	r->seed = seed;
	begin(r);
	while (fgets(line, sizeof line, file)) {
		r->line++;
		run_line(r, line);
	}
	fclose(file);
	balance(r);
	free(r);
}

static void every_transcript_gives_its_executions_however_the_bytes_are_cut(void **state)
{
	const char *directory = TESTS_DIR "/transcripts";
	DIR *d = opendir(directory);
	struct dirent *entry;
	unsigned files = 0;

	(void)state;
	assert_non_null(d);
	while ((entry = readdir(d))) {
		char path[4096];

		if (!strstr(entry->d_name, ".txt"))
			continue;
		snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
		for (unsigned cut = 0; cut < CUT_COUNT; cut++)
			run_transcript(path, (enum cut)cut, 20261122);
		files++;
	}
	closedir(d);
	print_message("%u transcripts, each cut in %d ways\n", files, CUT_COUNT);
	assert_true(files > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_transcript_gives_its_executions_however_the_bytes_are_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "proxy/shadow/journal_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Searching grows from the first window to the last: between two books records lies seldom more
 * than a megabyte, and past 64 MB the report closes the run by itself. */
enum { WINDOW_FIRST = 1 << 20, WINDOW_LAST = 64 << 20 };

enum found { FOUND_NOTHING, FOUND_END };

static void add_pending(json_t *closed, json_t *books)
{
	json_t *candidate;
	const char *name;

	json_object_foreach (json_object_get(books, "candidates"), name, candidate) {
		json_int_t pending = json_integer_value(json_object_get(candidate, "pending"));

		if (pending > 0)
			json_object_set_new(closed, name, json_integer(pending));
	}
}

/* Of our own run only the number of the last books record that reached the file matters. */
static enum found own_record(json_t *record, const char *kind, uint64_t *own_books)
{
	if (strcmp(kind, "books") == 0) {
		*own_books = (uint64_t)json_integer_value(json_object_get(record, "number"));
		return FOUND_END;
	}

	if (strcmp(kind, "start") != 0)
		return FOUND_NOTHING;
	if (json_is_true(json_object_get(
		    record, "continued"))) { /* the last one is in the file before */
		*own_books = (uint64_t)json_integer_value(json_object_get(record, "books"));
		return FOUND_END;
	}

	return json_is_true(json_object_get(record, "restarted")) ? FOUND_NOTHING : FOUND_END;
}

/* One record, from the last one backwards: does it say how the last run ended? */
static enum found judge_record(json_t *record, const char *run, json_t *closed, uint64_t *own_books)
{
	const char *kind = json_string_value(json_object_get(record, "kind"));
	const char *of = json_string_value(json_object_get(record, "run"));

	if (!kind || !of)
		return FOUND_NOTHING;
	if (strcmp(of, run) == 0)
		return own_record(
			record, kind, own_books); /* our own run goes on: its books survived */
	if (strcmp(kind, "stop") == 0)
		return FOUND_END;
	if (strcmp(kind, "start") == 0)
		return json_is_true(json_object_get(record, "restarted")) ||
				       json_is_true(json_object_get(record, "continued"))
			       ? FOUND_NOTHING
			       : FOUND_END;
	if (strcmp(kind, "books") == 0) {
		add_pending(closed, record);
		return FOUND_END;
	}

	return FOUND_NOTHING;
}

static enum found judge_lines(const char *text, size_t len, bool whole, const char *run,
	json_t *closed, uint64_t *own_books)
{
	size_t end = len;

	while (end > 0) {
		size_t begin = end;
		enum found found = FOUND_NOTHING;
		json_t *record;

		while (begin > 0 && text[begin - 1] != '\n')
			begin--;
		if (begin == 0 && !whole)
			return FOUND_NOTHING; /* the line may begin before the window */
		record = json_loadb(text + begin, end - begin, 0, NULL);
		if (record)
			found = judge_record(record, run, closed, own_books);
		json_decref(record);
		if (found != FOUND_NOTHING)
			return found;
		end = begin > 0 ? begin - 1 : 0;
	}

	return FOUND_NOTHING;
}

static ssize_t read_window(int fd, off_t from, char *into, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = pread(fd, into + done, len - done, from + (off_t)done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		done += (size_t)n;
	}

	return (ssize_t)done;
}

static void search(int fd, off_t size, const char *run, json_t *closed, uint64_t *own_books)
{
	for (off_t window = WINDOW_FIRST; window <= WINDOW_LAST; window *= 4) {
		off_t from = size > window ? size - window : 0;
		char *text = malloc((size_t)(size - from) + 1);
		enum found found = FOUND_END; /* out of memory: give up */

		if (text) {
			ssize_t n = read_window(fd, from, text, (size_t)(size - from));

			found = judge_lines(text, (size_t)n, from == 0, run, closed, own_books);
		}
		free(text);
		if (found != FOUND_NOTHING || from == 0)
			return;
	}
}

json_t *journal_tail_pending(const char *path, const char *run, uint64_t *own_books)
{
	json_t *closed = json_object();
	struct stat st;
	int fd;

	*own_books = 0;
	if (!closed)
		return NULL;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return closed;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		search(fd, st.st_size, run, closed, own_books);
	close(fd);

	return closed;
}

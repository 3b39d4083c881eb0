#include "proxy/cli_lines.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool lines_open(struct lines *l, const char *path, struct error *error)
{
	*l = (struct lines){.file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re")};
	if (!l->file)
		return error_set(error, "%s: cannot be opened: %s", path, strerror(errno));

	return true;
}

void lines_close(struct lines *l)
{
	if (l->file && l->file != stdin)
		fclose(l->file);
	free(l->line);
	*l = (struct lines){0};
}

static bool grow(struct lines *l, struct error *error)
{
	size_t cap = l->cap ? 2 * l->cap : 65536;
	char *grown = realloc(l->line, cap);

	if (!grown)
		return error_set(error, "out of memory");
	l->line = grown;
	l->cap = cap;

	return true;
}

enum lines_result lines_next(struct lines *l, struct span *out, struct error *error)
{
	bool too_long = false;
	size_t used = 0;
	int byte;

	l->number++;
	while ((byte = getc_unlocked(l->file)) != EOF && byte != '\n') {
		if (used == LINES_MAX_BYTES)
			too_long = true;
		if (too_long)
			continue;
		if (used == l->cap && !grow(l, error))
			return LINES_FAILED;
		l->line[used++] = (char)byte;
	}
	if (ferror(l->file)) {
		error_set(error, "cannot be read: %s", strerror(errno));
		return LINES_FAILED;
	}
	if (byte == EOF && used == 0)
		return LINES_END;
	*out = span_of(l->line ? l->line : "", used);

	return too_long ? LINES_TOO_LONG : LINES_ONE;
}

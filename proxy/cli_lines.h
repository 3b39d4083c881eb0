/* Lines of a discrepancy log, one at a time, each bounded. */
#ifndef PGUMBRA_PROXY_CLI_LINES_H
#define PGUMBRA_PROXY_CLI_LINES_H

#include "protocol/error.h"
#include "protocol/span.h"
#include <stdio.h>

enum { LINES_MAX_BYTES = 64 << 20 };

struct lines {
	FILE *file; /* owned unless stdin */
	char *line; /* owned */
	size_t cap;
	unsigned long number; /* of the line just read, from 1 */
};

/* "-" is standard input. */
bool lines_open(struct lines *l, const char *path, struct error *error);
void lines_close(struct lines *l);

enum lines_result { LINES_ONE, LINES_END, LINES_TOO_LONG, LINES_FAILED };
/* The next line without its newline, borrowed until the next call. LINES_TOO_LONG: passed over. */
enum lines_result lines_next(struct lines *l, struct span *out, struct error *error);

#endif

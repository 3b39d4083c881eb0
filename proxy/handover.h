/* What the relay process hands to the shadow process (same binary, posix_spawn, every other
 * descriptor CLOEXEC).
 *
 * argv: pgumbra shadow --threads N --epoch E
 * Descriptors: HANDOVER_CONFIG: memfd with the configuration as INI text (with secrets).
 * HANDOVER_BOOKS: memfd, one struct shadow_page, mapped read-write by the shadow only; it survives
 * the shadow's death. HANDOVER_LIFELINE: read end of a pipe that the relay process holds open: end
 * of file means that the relay is gone (drain, write `stop`, exit). HANDOVER_TAPES + 2*i and
 * + 2*i + 1: ring and tail of relay thread i.
 */
#ifndef PGUMBRA_PROXY_HANDOVER_H
#define PGUMBRA_PROXY_HANDOVER_H

#include "compare/books.h"

enum {
	HANDOVER_CONFIG = 3,
	HANDOVER_BOOKS = 4,
	HANDOVER_LIFELINE = 5,
	HANDOVER_TAPES = 6,
	HANDOVER_MAX_THREADS = 64
};

struct shadow_page {
	struct books books;	 /* totals of all shadow processes of this relay process */
	struct books logged;	 /* what the log's books records have already said */
	uint64_t logged_relayed; /* likewise for the relay's counters */
	uint64_t logged_unobserved[UNOBSERVED_COUNT];
	uint64_t frames_read;	  /* taken frames read off the tapes, over all epochs */
	uint64_t starts;	  /* shadow processes so far */
	char run[37];		  /* UUIDv7 of this relay process's run */
	uint64_t parsing_hash[2]; /* hash of the text being parsed now, 0 else: a text that killed
				     the parser is poison */
	uint64_t poison[16][2];	  /* such texts, filled by the next start */
	uint32_t poison_count;
};

/* Entry of the shadow process; returns the exit code. */
int shadow_main(unsigned threads, uint32_t epoch);

#endif

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
#include "proxy/tape.h"
#include <stdatomic.h>

enum {
	HANDOVER_CONFIG = 3,
	HANDOVER_BOOKS = 4,
	HANDOVER_LIFELINE = 5,
	HANDOVER_TAPES = 6,
	HANDOVER_MAX_THREADS = 64
};

struct shadow_page {
	struct books books; /* totals of all shadow processes of this relay process */
	/* What the log's books records said, and what the last one told it says: the latter holds
	 * once it is known to be in the file (its number is there), also when the shadow died in
	 * between. */
	struct told_books {
		struct books books;
		uint64_t relayed;
		uint64_t unobserved[UNOBSERVED_COUNT]; /* relay's and shadow's together */
		uint64_t number;		       /* of the record */
		struct relay_cost cost;
	} logged, told;
	struct error_kinds errors; /* what books.errors counts */
	uint64_t starts;	   /* shadow processes so far */
	char run[37];		   /* UUIDv7 of this relay process's run */
	uint64_t parsing_hash[2];  /* hash of the text being parsed now, 0 else: a text that killed
				      the parser is poison */
	uint64_t poison[16][2];	   /* such texts, filled by the next start */
	uint32_t poison_count;
	atomic_uint log_level; /* enum log_level; the shadow looks at it on SIGHUP */
	char findings[16384];  /* preflight's: lines, each with its NUL, an empty one at the end */
};

/* Entry of the shadow process; returns the exit code. */
int shadow_main(unsigned threads, uint32_t epoch);

#endif

/* What a statement's text is known by: a hash of it, and of what is left without the values of its
 * literals.
 *
 * The blanked key is made here without the parser's scanner: of the plain texts that applications
 * send, and of nothing else. Whatever could be read in more than one way has none. The classifier's
 * blank_literals() decides what a key is: where there is one here, it is the same.
 *
 * The relay tells the shadow by these keys what passed unseen; the shadow finds by them what it has
 * decided before. Two texts of one hash (128 bits, XXH3) are taken for one where nothing but the
 * key is there to be compared. No state, no memory.
 */
#ifndef PGUMBRA_PROXY_TEXT_KEY_H
#define PGUMBRA_PROXY_TEXT_KEY_H

#include "protocol/span.h"

#include <stdbool.h>

enum {
	QUICK_TEXT_MAX = 2048, /* bytes of a text that has a quick key */
	LITERALS_MAX = 1000,   /* in one text */
	PLAIN_LITERAL_MAX = 256,
};

struct text_key {
	uint64_t low, high;
};
struct text_key text_key_of(struct span text, bool blanked);

struct quick_key {
	size_t len, literals;
	size_t end; /* where the text's statement ends: a last semicolon, or len */
	char bytes[2 * QUICK_TEXT_MAX];
};
/* The text with its literals' values blanked out. False: it has no such key. */
bool quick_blank(struct span sql, struct quick_key *out);

/* '...' with nothing but doubled quotes inside, no word of time, and no escapes. */
bool literal_is_plain(struct span literal);
bool is_time_word(const char *word, size_t len); /* now, today, ... */
bool has_time_word(struct span text);		 /* anywhere */

#endif

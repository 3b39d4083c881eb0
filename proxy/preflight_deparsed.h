/* Texts that PostgreSQL writes from its trees (views, conditions, defaults, index definitions),
 * compared by what they say rather than by how a version writes it. For the files of preflight
 * only.
 *
 * What is the same:
 *  1. any white space between two words;
 *  2. a column with or without its relation in front: before 16 a view of a single relation names
 *     it, since then it doesn't (ruleutils.c, varprefix). Two different relations in front differ;
 *  3. `(ARRAY[a, b])::t[]` and `ARRAY[(a)::t, (b)::t]`: a server that reads the first one (in a
 *     dump) writes the second one from then on.
 */
#ifndef PGUMBRA_PROXY_PREFLIGHT_DEPARSED_H
#define PGUMBRA_PROXY_PREFLIGHT_DEPARSED_H

#include <stdbool.h>
#include <stddef.h>

/* Rule 3 applied everywhere. Owned by the caller (free); NULL: out of memory. */
char *deparsed_normal(const char *text);

/* By rules 1 and 2. Of texts that differ at[] gets where, as bytes of each; texts without a
 * difference leave it alone. */
bool deparsed_same(const char *control, const char *candidate, size_t at[2]);

#endif

/* The [waiver NAME] sections of a configuration, checked, and the question which of them accepts a
 * difference. Texts are borrowed from the configuration.
 */
#ifndef PGUMBRA_PROXY_WAIVERS_H
#define PGUMBRA_PROXY_WAIVERS_H

#include "compare/books.h"
#include "compare/waiver.h"
#include "conf/settings.h"

struct waivers {
	struct waiver list[BOOKS_MAX_WAIVERS]; /* in the configuration's order */
	size_t count;
};

/* False when a section is incomplete or wrong; each mistake is a message. */
bool waivers_read(const struct config *c, struct waivers *out, struct conf_messages *m);
/* The first that accepts the difference: its place in the list, or -1. *expired, when none does:
 * one that would have, but has expired, or -1. */
int waivers_find(const struct waivers *w, const char *candidate, const char *normalized,
	const struct comparison *c, const struct result *primary, const struct result *answer,
	const struct compare_rules *rules, uint64_t now_us, int *expired);

#endif

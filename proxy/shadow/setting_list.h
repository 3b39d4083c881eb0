/* The settings that a session's reads run with, listed once for as long as they stay the same and
 * shared by its dark reads; with what the mirror asks of each read made once too.
 *
 * Immutable and counted, worker thread only. */
#ifndef PGUMBRA_SHADOW_SETTING_LIST_H
#define PGUMBRA_SHADOW_SETTING_LIST_H

#include "protocol/span.h"

struct setting {
	char *name, *value;
};

struct setting_list {
	unsigned references;
	size_t count, bytes;
	struct setting *setting; /* in application order, names in lower case */
	uint64_t hash;		 /* of names and values, and of the seed */
	uint64_t custom;	 /* key of the custom settings' names; 0: there are none */
	size_t napplied;
	struct applied {
		uint16_t at;	  /* place in `setting` */
		int16_t reported; /* enum reported_parameter, or -1 */
	} * applied;		  /* those that setting_is_applied() */
};

enum { SETTING_LIST_MAX = UINT16_MAX };

/* The settings are copied. NULL: out of memory, or more than SETTING_LIST_MAX. */
struct setting_list *setting_list_new(const struct setting *setting, size_t count, uint64_t seed);
struct setting_list *setting_list_ref(struct setting_list *list);
void setting_list_unref(struct setting_list *list);

/* Is it applied on a server? Not what is refused, and of several of one name the last. */
bool setting_is_applied(const struct setting *setting, size_t count, size_t at);
/* Key of the custom settings' names among those, 0 for none; the same for any order. */
uint64_t settings_custom(const struct setting *setting, size_t count);

#endif

/* Which settings of a client's session may be applied before a dark read, and which never. */
#ifndef PGUMBRA_SHADOW_MIRROR_SETTINGS_H
#define PGUMBRA_SHADOW_MIRROR_SETTINGS_H

#include <stdbool.h>

/* Why this setting is never applied on a candidate; NULL: it is applied. Names in any case. */
const char *setting_refusal(const char *name);
/* A setting of the application's or an extension's own: its name has a dot. */
bool setting_is_custom(const char *name);

#endif

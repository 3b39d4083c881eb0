/* [compare] of the configuration as the rules that compare/ goes by. */
#ifndef PGUMBRA_SHADOW_COMPARE_SETTINGS_H
#define PGUMBRA_SHADOW_COMPARE_SETTINGS_H

#include "compare/values.h"
#include "conf/settings.h"

struct value_rules compare_settings(const struct config *config);

#endif

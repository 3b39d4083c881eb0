#include "proxy/shadow/compare_settings.h"

#include <string.h>

static bool is(const struct config *config, const char *key, const char *value)
{
	return strcmp(config_text(config, "compare", NULL, key), value) == 0;
}

struct value_rules compare_settings(const struct config *c)
{
	int64_t digits = config_integer(c, "compare", NULL, "timestamp_precision");

	return (struct value_rules){
		.float_tolerance = config_real(c, "compare", NULL, "float_tolerance"),
		.float_ulp = (uint32_t)config_integer(c, "compare", NULL, "float_ulp"),
		.float_aggregates = is(c, "float_aggregates", "summation"),
		.time_unit_us = time_unit_of_digits((unsigned)digits),
		.numeric_scale = is(c, "numeric_scale", "ignore_trailing_zeros"),
		.timestamptz = is(c, "timestamptz", "instant"),
		.interval = is(c, "interval", "value"),
		.json = is(c, "json", "value"),
		.bpchar = is(c, "bpchar", "ignore_padding"),
		.bytea = is(c, "bytea", "value"),
		.uuid = is(c, "uuid", "value"),
		.inet = is(c, "inet", "value"),
	};
}

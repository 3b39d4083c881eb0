#include "protocol/message.h"
#include "proxy/relay/recorder.h"
#include <strings.h>

/* As the server's parse_bool: what is surely false asks for an ordinary session. */
static bool surely_false(struct span value)
{
	static const char *const words[] = {"false", "no", "off"};

	if (span_is(value, "0"))
		return true;
	for (unsigned i = 0; i < 3; i++) {
		size_t least = i == 2 ? 2 : 1; /* "o" might be on */

		if (value.len >= least && value.len <= strlen(words[i]) &&
			strncasecmp((const char *)value.data, words[i], value.len) == 0)
			return true;
	}

	return false;
}

static bool some_parameter(struct span startup, bool (*fits)(struct span name, struct span value))
{
	struct startup_message message;
	struct span rest, name, value;

	if (!parse_startup(startup, &message))
		return false;
	rest = message.parameters;
	while (next_parameter(&rest, &name, &value))
		if (fits(name, value))
			return true;

	return false;
}

static bool asks_for_replication(struct span name, struct span value)
{
	return span_is(name, "replication") && !surely_false(value);
}

bool startup_wants_replication(struct span startup)
{
	return some_parameter(startup, asks_for_replication);
}

static bool is_own_name(struct span name, struct span value)
{
	return span_is(name, "application_name") && span_is(value, "pgumbra");
}

bool startup_is_own(struct span startup)
{
	return some_parameter(startup, is_own_name);
}

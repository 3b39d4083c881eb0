#include "compare/outcome.h"

#include <assert.h>
#include <string.h>

static const char *const outcome_names[] = {
#define X(NAME, name, help) name,
	OUTCOMES(X)
#undef X
};

static const struct {
	const char *name;
	enum outcome outcome;
} reasons[] = {
#define X(NAME, name, outcome, help) {name, OUTCOME_##outcome},
	REASONS(X)
#undef X
};

static const char *const unobserved_names[] = {
#define X(NAME, name, help) name,
	UNOBSERVED_REASONS(X)
#undef X
};

const char *outcome_name(enum outcome outcome)
{
	assert(outcome < OUTCOME_COUNT);
	return outcome_names[outcome];
}

const char *reason_name(enum reason reason)
{
	assert(reason < REASON_COUNT);
	return reasons[reason].name;
}

enum outcome reason_outcome(enum reason reason)
{
	assert(reason < REASON_COUNT);
	return reasons[reason].outcome;
}

const char *unobserved_name(enum unobserved reason)
{
	assert(reason < UNOBSERVED_COUNT);
	return unobserved_names[reason];
}

bool outcome_from_name(const char *name, enum outcome *out)
{
	for (unsigned i = 0; i < OUTCOME_COUNT; i++) {
		if (strcmp(outcome_names[i], name) == 0) {
			*out = (enum outcome)i;
			return true;
		}
	}

	return false;
}

const char *outcome_help(enum outcome outcome)
{
	static const char *const helps[] = {
#define X(NAME, name, help) help,
		OUTCOMES(X)
#undef X
	};

	assert(outcome < OUTCOME_COUNT);
	return helps[outcome];
}

const char *reason_help(enum reason reason)
{
	static const char *const helps[] = {
#define X(NAME, name, outcome, help) help,
		REASONS(X)
#undef X
	};

	assert(reason < REASON_COUNT);
	return helps[reason];
}

const char *unobserved_help(enum unobserved reason)
{
	static const char *const helps[] = {
#define X(NAME, name, help) help,
		UNOBSERVED_REASONS(X)
#undef X
	};

	assert(reason < UNOBSERVED_COUNT);
	return helps[reason];
}

const char *observer_event_name(enum observer_event event)
{
	static const char *const names[] = {
#define X(NAME, name, help) name,
		OBSERVER_EVENTS(X)
#undef X
	};

	assert(event < OBSERVER_EVENT_COUNT);
	return names[event];
}

const char *observer_event_help(enum observer_event event)
{
	static const char *const helps[] = {
#define X(NAME, name, help) help,
		OBSERVER_EVENTS(X)
#undef X
	};

	assert(event < OBSERVER_EVENT_COUNT);
	return helps[event];
}

/* What may count as the same value though its bytes differ. Everything is strict until a setting of
 * [compare] widens it; each widening has that setting's name, and is counted wherever it made two
 * answers equal. Pure.
 *
 * V1 a zeroed struct value_rules widens nothing.
 * V2 widenings by form (numeric_scale, json, ...) are equivalences: they compare normal forms.
 *    Those by distance (the floats', timestamp_precision) are reflexive and symmetric only.
 * V3 a value that is not laid out as its type says is compared by its bytes.
 */
#ifndef PGUMBRA_COMPARE_VALUES_H
#define PGUMBRA_COMPARE_VALUES_H

#include <stdbool.h>
#include <stdint.h>

/* X(NAME, "name", "help") */
#define WIDENINGS(X)                                                                             \
	X(FLOAT_TOLERANCE, "float_tolerance", "floats within the relative tolerance")            \
	X(FLOAT_ULP, "float_ulp", "floats within so many units in the last place")               \
	X(FLOAT_AGGREGATES, "float_aggregates",                                                  \
		"float aggregates as near as the order of summation explains")                   \
	X(NUMERIC_SCALE, "numeric_scale", "numerics that differ in zeros at the end only")       \
	X(TIMESTAMP_PRECISION, "timestamp_precision", "times that differ in uncounted digits")   \
	X(TIMESTAMPTZ, "timestamptz", "the same instant, written in another zone")               \
	X(INTERVAL, "interval", "intervals of the same length: 24 hours a day, 30 days a month") \
	X(JSON, "json", "the same json value, written otherwise")                                \
	X(BPCHAR, "bpchar", "char(n) with other padding")                                        \
	X(BYTEA, "bytea", "the same bytes, as hex and as escapes")                               \
	X(UUID, "uuid", "the same uuid, written otherwise")                                      \
	X(INET, "inet", "the same address, written otherwise")

enum widening {
#define X(NAME, name, help) WIDENING_##NAME,
	WIDENINGS(X)
#undef X
		WIDENING_COUNT
};
#define WIDENING_BIT(w) (UINT32_C(1) << (w))
const char *widening_name(enum widening w);
const char *widening_help(enum widening w);

struct value_rules {
	double float_tolerance; /* relative; 0: none */
	uint32_t float_ulp;	/* units in the last place; 0: none */
	bool float_aggregates;	/* columns of compare_rules.summed as near as summation explains */
	int64_t time_unit_us;	/* times less than this apart are equal; 0 and 1: none */
	bool numeric_scale, timestamptz, interval, json, bpchar, bytea, uuid, inet;
};

/* The unit behind so many digits of a second, 0 to 6. */
int64_t time_unit_of_digits(unsigned digits);

/* Two values of which the distance decides. */
enum near_kind { NEAR_FLOAT4, NEAR_FLOAT8, NEAR_TIME };
struct near_value {
	enum near_kind kind;
	bool summed; /* comes from a float aggregate */
	double real; /* finite */
	int64_t time_us;
};
/* The widening that makes them equal, in *widened (none needed: 0). False: they are not. */
bool near_values(const struct near_value *a, const struct near_value *b,
	const struct value_rules *rules, uint32_t *widened);

#endif

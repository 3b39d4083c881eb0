#include "compare/values.h"

#include <math.h>
#include <string.h>

/* Adding n floats in another order moves the sum by up to (n - 1) units of rounding of the largest
 * partial sum, mostly by about the root of n (Higham, Accuracy and Stability of Numerical
 * Algorithms, 4.2). Neither n nor the parts are known here: a float8 may be off by 2^20 units,
 * which leaves ten digits that count, and a float4, which sum(real) adds up in single precision, by
 * 2^8. */
static const double summed_float8 = 0x1p-33, summed_float4 = 0x1p-16;

static const struct {
	const char *name, *help;
} table[] = {
#define X(NAME, name, help) [WIDENING_##NAME] = {name, help},
	WIDENINGS(X)
#undef X
};

const char *widening_name(enum widening w)
{
	return table[w].name;
}

const char *widening_help(enum widening w)
{
	return table[w].help;
}

int64_t time_unit_of_digits(unsigned digits)
{
	int64_t unit = 1;

	for (; digits < 6; digits++)
		unit *= 10;

	return unit;
}

/* Numbers floats so that neighbours have neighbouring numbers, and both zeros the same one. */
static int64_t rank_float8(double v)
{
	int64_t bits;

	memcpy(&bits, &v, sizeof bits);

	return bits < 0 ? INT64_MIN - bits : bits;
}

static int64_t rank_float4(double v)
{
	float single = (float)v;
	int32_t bits;

	memcpy(&bits, &single, sizeof bits);

	return bits < 0 ? (int64_t)INT32_MIN - bits : bits;
}

static uint64_t ulps_apart(const struct near_value *a, const struct near_value *b)
{
	bool single = a->kind == NEAR_FLOAT4;
	int64_t x = single ? rank_float4(a->real) : rank_float8(a->real);
	int64_t y = single ? rank_float4(b->real) : rank_float8(b->real);

	return x < y ? (uint64_t)y - (uint64_t)x : (uint64_t)x - (uint64_t)y;
}

static bool within(double x, double y, double relative)
{
	return fabs(x - y) <= relative * fmax(fabs(x), fabs(y));
}

static bool same_bits(double x, double y)
{
	return memcmp(&x, &y, sizeof x) == 0;
}

static bool near_floats(const struct near_value *a, const struct near_value *b,
	const struct value_rules *rules, uint32_t *widened)
{
	double summed = a->kind == NEAR_FLOAT4 ? summed_float4 : summed_float8;

	if (same_bits(a->real, b->real))
		return true;
	if (rules->float_ulp > 0 && ulps_apart(a, b) <= rules->float_ulp)
		*widened = WIDENING_BIT(WIDENING_FLOAT_ULP);
	else if (rules->float_tolerance > 0 && within(a->real, b->real, rules->float_tolerance))
		*widened = WIDENING_BIT(WIDENING_FLOAT_TOLERANCE);
	else if (rules->float_aggregates && a->summed && b->summed &&
		 within(a->real, b->real, summed))
		*widened = WIDENING_BIT(WIDENING_FLOAT_AGGREGATES);

	return *widened != 0;
}

bool near_values(const struct near_value *a, const struct near_value *b,
	const struct value_rules *rules, uint32_t *widened)
{
	int64_t apart;

	*widened = 0;
	if (a->kind != b->kind)
		return false;
	if (a->kind != NEAR_TIME)
		return near_floats(a, b, rules, widened);
	if (__builtin_sub_overflow(a->time_us, b->time_us, &apart) || apart == INT64_MIN)
		return false;
	if (apart != 0)
		*widened = WIDENING_BIT(WIDENING_TIMESTAMP_PRECISION);

	return apart == 0 || (apart < 0 ? -apart : apart) < rules->time_unit_us;
}

#include "compare/evidence.h"

#include <math.h>

unsigned histogram_bucket(uint64_t us)
{
	unsigned octave;

	if (us < 8)
		return (unsigned)us;
	if (us > UINT32_MAX)
		us = UINT32_MAX;
	octave = 63u - (unsigned)__builtin_clzll(us);

	return 8 * (octave - 2) + (unsigned)((us >> (octave - 3)) & 7);
}

uint64_t histogram_bucket_upper(unsigned bucket)
{
	unsigned octave = bucket / 8 + 2, step = bucket % 8;

	if (bucket < 8)
		return bucket;

	return ((uint64_t)(8 + step + 1) << (octave - 3)) - 1;
}

void histogram_add(struct histogram *h, uint64_t us)
{
	h->count[histogram_bucket(us)]++;
	h->total++;
	h->sum_us += us;
}

void histogram_merge(struct histogram *into, const struct histogram *from)
{
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		into->count[i] += from->count[i];
	into->total += from->total;
	into->sum_us += from->sum_us;
}

uint64_t histogram_quantile(const struct histogram *h, double q)
{
	double wanted = ceil(q * (double)h->total);
	uint64_t seen = 0;
	unsigned last = 0;

	if (wanted < 1)
		wanted = 1;
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		if (h->count[i] == 0)
			continue;
		seen += h->count[i];
		last = i;
		if ((double)seen >= wanted)
			break;
	}

	return histogram_bucket_upper(last);
}

double histogram_not_slower(const struct histogram *a, const struct histogram *b)
{
	double n = (double)a->total, m = (double)b->total, all = n + m;
	double below = 0, u = 0, ties = 0, variance;

	if (a->total < HISTOGRAM_LEAST || b->total < HISTOGRAM_LEAST)
		return 1;
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		double x = (double)a->count[i], y = (double)b->count[i], t = x + y;

		u += y * (below + x / 2);
		below += x;
		ties += t * (t * t - 1);
	}
	variance = n * m / 12 * (all + 1 - ties / (all * (all - 1)));
	if (!(variance > 0))
		return 1; /* all in one bucket */

	return erfc((u - n * m / 2) / sqrt(variance) / sqrt(2)) / 2;
}

void hll_add(struct hll *h, uint64_t hash)
{
	unsigned index = (unsigned)(hash >> 56);
	uint64_t rest = hash << 8;
	uint8_t rank = rest ? (uint8_t)(__builtin_clzll(rest) + 1) : 57;

	if (h->registers[index] < rank)
		h->registers[index] = rank;
}

void hll_merge(struct hll *into, const struct hll *from)
{
	for (unsigned i = 0; i < HLL_REGISTERS; i++)
		if (into->registers[i] < from->registers[i])
			into->registers[i] = from->registers[i];
}

/* With linear counting for small numbers (the paper's section 4); 64-bit hashes need no correction
 * for large ones. */
uint64_t hll_estimate(const struct hll *h)
{
	const double m = HLL_REGISTERS, alpha = 0.7213 / (1 + 1.079 / m);
	double sum = 0, estimate;
	unsigned zeros = 0;

	for (unsigned i = 0; i < HLL_REGISTERS; i++) {
		sum += ldexp(1, -h->registers[i]);
		zeros += h->registers[i] == 0;
	}
	estimate = alpha * m * m / sum;
	if (estimate <= 2.5 * m && zeros > 0)
		estimate = m * log(m / zeros);

	return (uint64_t)llround(estimate);
}

/* Continued fraction of the incomplete beta function, modified Lentz's method (DLMF 8.17.22). */
static double beta_fraction(double a, double b, double x)
{
	const double tiny = 1e-300;
	double c = 1, d = 1 - (a + b) * x / (a + 1), f;

	d = 1 / (fabs(d) < tiny ? tiny : d);
	f = d;
	for (int i = 1; i < 100000; i++) {
		double m = i;
		double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
		double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
		double step;

		d = 1 + even * d;
		c = 1 + even / c;
		d = 1 / (fabs(d) < tiny ? tiny : d);
		c = fabs(c) < tiny ? tiny : c;
		f *= d * c;
		d = 1 + odd * d;
		c = 1 + odd / c;
		d = 1 / (fabs(d) < tiny ? tiny : d);
		c = fabs(c) < tiny ? tiny : c;
		step = d * c;
		f *= step;
		if (fabs(step - 1) < 1e-13)
			break;
	}

	return f;
}

/* I_x(a, b), the regularised incomplete beta function. */
static double beta_regularised(double a, double b, double x)
{
	int sign;
	double front;

	if (x <= 0)
		return 0;
	if (x >= 1)
		return 1;
	front = exp(lgamma_r(a + b, &sign) - lgamma_r(a, &sign) - lgamma_r(b, &sign) + a * log(x) +
		    b * log1p(-x));
	if (x < (a + 1) / (a + b + 2))
		return front * beta_fraction(a, b, x) / a;

	return 1 - front * beta_fraction(b, a, 1 - x) / b;
}

/* The p at which seeing `events` or fewer has a chance of 5%: I_p(events + 1, trials - events) =
 * 0.95. */
double upper_bound_95(uint64_t events, uint64_t trials)
{
	double k = (double)events, n = (double)trials, low = 0, high = 1;

	if (trials == 0 || events >= trials)
		return 1;
	if (events == 0)
		return -expm1(log(0.05) / n);
	for (int i = 0; i < 100; i++) {
		double p = (low + high) / 2;

		if (beta_regularised(k + 1, n - k, p) < 0.95)
			low = p;
		else
			high = p;
	}

	return high;
}

/* What is known about one shape: counts, latency histograms, distinct parameters, bound. Pure. */
#ifndef PGUMBRA_COMPARE_EVIDENCE_H
#define PGUMBRA_COMPARE_EVIDENCE_H

#include "compare/outcome.h"
#include <stdint.h>

/* Mergeable log-linear latency histogram in microseconds: 8 sub-buckets an octave, 1 us to 2^32 us.
 * Two histograms add by adding counts, so logs of several runs and proxies add up exactly. */
enum { HISTOGRAM_BUCKETS = 8 * 30 };
struct histogram {
	uint64_t count[HISTOGRAM_BUCKETS];
	uint64_t total, sum_us;
};
void histogram_add(struct histogram *h, uint64_t us);
void histogram_merge(struct histogram *into, const struct histogram *from);
uint64_t histogram_quantile(
	const struct histogram *h, double q); /* upper edge of the bucket, us; 0 when empty */
unsigned histogram_bucket(uint64_t us);
uint64_t histogram_bucket_upper(unsigned bucket);

/* How likely is it that `b` is not slower than `a`, all the same, given these samples? One-sided
 * rank-sum test (Mann and Whitney 1947, normal approximation with ties); 1 when either has fewer
 * than HISTOGRAM_LEAST. */
enum { HISTOGRAM_LEAST = 30 };
double histogram_not_slower(const struct histogram *a, const struct histogram *b);

/* HyperLogLog (Flajolet et al. 2007), 256 registers (standard error 6.5%), of 64-bit hashes. */
enum { HLL_REGISTERS = 256 };
struct hll {
	uint8_t registers[HLL_REGISTERS];
};
void hll_add(struct hll *h, uint64_t hash);
void hll_merge(struct hll *into, const struct hll *from);
uint64_t hll_estimate(const struct hll *h);

/* 95% upper bound of a rate after k events in n trials (one-sided Clopper-Pearson; 0 of n is about
 * 3/n). n = 0 gives 1. */
double upper_bound_95(uint64_t events, uint64_t trials);

#endif

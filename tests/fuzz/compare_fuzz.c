/* Answers out of bytes. Laws: C1 compare(a,a) is equal; C2 compare(b,a) mirrors compare(a,b); C3
 * equal answers hold the same rows; the diff's counts are those of the two multisets. Digests as
 * multisets, and the verdict where no order counts, are the same for every permutation. What is
 * equal stays so by any widening (V1); those by form are an equivalence (V2).
 *
 * Input: flags, keys, number of columns, with FLAG_WIDE two bytes of widenings, one byte a column,
 * then rows: a byte says to which answers, and each cell is a length byte (15: NULL; from 192: one
 * of the samples) and bytes. What is left over ends the answers.
 */
#include "compare/diff.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { KEEP = 1 << 16, MAX_COLUMNS = 4, MAX_ROWS = 64 };
enum {
	FLAG_ORDERED = 1,
	FLAG_LIMITED = 2,
	FLAG_LEAKS = 4,
	FLAG_OFFSET = 8,
	FLAG_SMALL = 16,
	FLAG_WIDE = 32,
};

struct pair {
	struct result a, b, c;
	struct value_rules values;
	bool by_distance;
	uint32_t seed;
	struct compare_rules rules;
	unsigned ncolumns;
	bool compound; /* binary values with inner types: equal without equal bytes */
};

static const char *type_name(void *self, uint32_t oid)
{
	(void)self;
	return oid == 20000 ? "s.t" : oid == 30000 ? "s.t" : oid < 30000 ? "s.u" : NULL;
}

static enum type_build type_build(void *self, uint32_t oid, uint32_t *inner)
{
	(void)self;
	*inner = oid == 20003 ? 1700 : oid == 20004 ? 20003 : 3906;

	return oid == 20003   ? TYPE_DOMAIN
	       : oid == 20004 ? TYPE_ARRAY
	       : oid == 20005 ? TYPE_COMPOSITE
			      : TYPE_SIMPLE;
}

static uint32_t type_field(void *self, uint32_t oid, unsigned n)
{
	(void)self;
	return oid != 20005 ? 0 : n == 0 ? 1700 : n == 1 ? 20004 : 0;
}

static const uint32_t types[] = {
	23, 25, 114, 700, 701, 1042, 1114, 1184, 1186, 1700, 2249, 2277, 3802, 20000, 0, 40000};
static const uint32_t more_types[] = {17, 869, 650, 1083, 2950, 1231, 1022, 3906, 3910, 3807, 4532,
	20003, 20004, 20005, 199, 2287};

static const char *const samples[] = {"1.0", "1.00", "1", "-0", "0", "0.1", "0.10000000000000001",
	"0.1000001", "NaN", "Infinity", "{\"a\":1}", "{ \"a\": 1.0 }", "{\"a\":2,\"a\":1}",
	"[1,{}]", "[ 1e0, {} ]", "\"\\u00e9\"", "\"\xc3\xa9\"", "1 mon", "30 days",
	"1 year 2 mons -3 days -04:05:06.7", "720:00:00", "2024-01-01 12:00:00.123456",
	"2024-01-01 12:00:00.123", "2024-01-01 12:00:00+02", "2024-01-01 11:00:00+01", "infinity",
	"12:00:00.0001", "12:00:00", "{1.0,NULL}", "{1.00,NULL}", "{\"1.0\",{2}}", "[0:0]={1.0}",
	"[1.0,2)", "[1,2.0)", "empty", "{[1.0,2),[3,)}", "{[1,2.0),[3,)}", "ab", "ab  ", "\\x6162",
	"a\\142", "10.0.0.1", "10.0.0.1/32", "2001:DB8::1", "2001:db8::1/128",
	"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "A0EEBC999C0B4EF8BB6D6BB9BD380A11",
	"[\"2024-01-01 12:00:00+02\",)", "{\"{\\\"a\\\": 1.0}\"}", "(1.0,\"{\"\"[1.0,2)\"\"}\")",
	"(1.00,\"{\"\"[1,2)\"\"}\")", "(1.0,)"};
enum { NSAMPLES = sizeof samples / sizeof *samples, FIRST_SAMPLE = 192 };

static void describe(struct pair *p, struct reader *in)
{
	struct buffer b;

	buffer_init(&b, 4096);
	buffer_add_u16(&b, (uint16_t)p->ncolumns);
	for (unsigned i = 0; i < p->ncolumns; i++) {
		uint8_t kind = read_u8(in);
		uint32_t type = kind & 32 ? more_types[kind & 15] : types[kind & 15];

		p->compound |= kind & 16 && (type >= 16384 || type == 2249 || type == 2277);
		buffer_add_cstr(&b, "c");
		buffer_add_u32(&b, 0);
		buffer_add_u16(&b, 0);
		buffer_add_u32(&b, type);
		buffer_add_u16(&b, 0);
		buffer_add_u32(&b, UINT32_MAX);
		buffer_add_u16(&b, kind & 16 ? 1 : 0);
	}
	if (!result_columns(&p->a, buffer_span(&b), 0, NULL) ||
		!result_columns(&p->b, buffer_span(&b), 0, NULL) ||
		!result_columns(&p->c, buffer_span(&b), 0, NULL))
		abort();
	buffer_release(&b);
}

static void rows(struct pair *p, struct reader *in)
{
	struct buffer b;

	buffer_init(&b, 4096);
	for (unsigned n = 0; n < MAX_ROWS && reader_left(in) > 0; n++) {
		uint8_t side = read_u8(in);

		buffer_clear(&b);
		buffer_add_u16(&b, (uint16_t)p->ncolumns);
		for (unsigned i = 0; i < p->ncolumns; i++) {
			uint8_t length = read_u8(in);

			if (length >= FIRST_SAMPLE) {
				struct span s = span_cstr(samples[length % NSAMPLES]);

				buffer_add_u32(&b, (uint32_t)s.len);
				buffer_add_span(&b, s);
				continue;
			}
			length &= 63;
			if (length != 15 && length > reader_left(in))
				length = (uint8_t)reader_left(in);
			buffer_add_u32(&b, length == 15 ? UINT32_MAX : length);
			if (length != 15)
				buffer_add_span(&b, read_bytes(in, length));
		}
		if (side & 4)
			b.len -= b.len > 0; /* a lie: too short */
		if (!(side & 1))
			result_row(&p->a, buffer_span(&b));
		if (!(side & 2))
			result_row(&p->b, buffer_span(&b));
		if (!(side & 8))
			result_row(&p->c, buffer_span(&b));
		p->seed = p->seed * 31 + side;
	}
	buffer_release(&b);
}

static void widen(struct pair *p, struct reader *in)
{
	uint16_t bits = read_u16(in);

	p->values = (struct value_rules){
		.float_tolerance = bits & 1 ? 1e-6 : 0,
		.float_ulp = bits & 2 ? 4 : 0,
		.float_aggregates = bits & 4,
		.time_unit_us = bits & 8 ? 1000 : 0,
		.numeric_scale = bits & 16,
		.timestamptz = bits & 32,
		.interval = bits & 64,
		.json = bits & 128,
		.bpchar = bits & 256,
		.bytea = bits & 512,
		.uuid = bits & 1024,
		.inet = bits & 2048,
	};
	p->by_distance = bits & 15;
	p->rules.values = &p->values;
	p->rules.summed = bits >> 12;
}

static void make(struct pair *p, struct reader *in)
{
	uint8_t flags = read_u8(in), keys = read_u8(in);
	size_t keep = flags & FLAG_SMALL ? 64 : KEEP;

	*p = (struct pair){.rules = {.primary_types = {type_name, NULL, type_build, type_field},
				   .candidate_types = {type_name, NULL, type_build, type_field}}};
	p->ncolumns = read_u8(in) % (MAX_COLUMNS + 1);
	p->rules.order = (struct order_rule){.ordered = flags & FLAG_ORDERED,
		.limited = flags & FLAG_LIMITED,
		.leaks = flags & FLAG_LEAKS,
		.offset = flags & FLAG_OFFSET,
		.nkeys = keys & 3};
	for (unsigned i = 0; i < 3; i++)
		p->rules.order.keys[i].column = (int16_t)((keys >> (2 + 2 * i) & 3) - (i > 0));
	if (flags & FLAG_WIDE)
		widen(p, in);
	result_init(&p->c, keep);
	result_init(&p->a, keep);
	result_init(&p->b, keep);
	describe(p, in);
	rows(p, in);
	result_complete(&p->a, span_cstr("SELECT"));
	result_complete(&p->b, span_cstr("SELECT"));
	result_complete(&p->c, span_cstr("SELECT"));
}

static unsigned times(const struct result *r, struct span row)
{
	struct span other;
	unsigned n = 0;
	size_t at = 0;

	while (result_kept_row(r, &at, &other))
		n += span_equal(row, other);

	return n;
}

/* Rows of a that b does not have, as often as it does not: counted the slow way. */
static uint64_t surplus(const struct result *a, const struct result *b)
{
	uint64_t sum = 0;
	struct span row;
	size_t at = 0;

	while (result_kept_row(a, &at, &row)) {
		struct span before;
		unsigned earlier = 0;

		for (size_t i = 0, here = at - 4 - row.len; i < here;)
			if (result_kept_row(a, &i, &before))
				earlier += span_equal(before, row);
		sum += earlier >= times(b, row);
	}

	return sum;
}

static void check_compare(const struct pair *p)
{
	static const enum difference_class mirror[] = {[CLASS_MISSING_ROWS] = CLASS_EXTRA_ROWS,
		[CLASS_EXTRA_ROWS] = CLASS_MISSING_ROWS,
		[CLASS_VALUES] = CLASS_VALUES,
		[CLASS_ORDER] = CLASS_ORDER,
		[CLASS_COLUMNS] = CLASS_COLUMNS};
	struct compare_rules rules = p->rules;
	struct comparison ab, ba, aa;
	bool named = true;

	for (unsigned i = 0; i < p->ncolumns; i++)
		named = named && p->a.columns[i].type_oid != 40000;
	compare_results(&p->a, &p->b, &rules, &ab);
	compare_results(&p->b, &p->a, &rules, &ba);
	compare_results(&p->a, &p->a, &rules, &aa);
	if (aa.equal != (named && !p->a.malformed)) /* C1 */
		abort();
	if (ab.widened != ba.widened || (!ab.equal && ab.widened) || aa.widened)
		abort();
	if (ab.equal != ba.equal || ab.order_ambiguous != ba.order_ambiguous || /* C2 */
		ab.order_explained != ba.order_explained || ab.undecidable != ba.undecidable ||
		ba.class != mirror[ab.class])
		abort();
	if (ab.equal != (ab.class == CLASS_NONE))
		abort();
	if (ab.equal && !p->compound && !rules.values && p->a.kept_all && p->b.kept_all &&
		(p->a.rows != p->b.rows || surplus(&p->a, &p->b) != 0))
		abort(); /* C3 */
	if (ab.equal && p->a.malformed)
		abort();
}

static void check_diff(const struct pair *p, size_t limit)
{
	size_t carried = 0;
	struct diff d;

	if (!diff_results(&p->a, &p->b, &p->rules, limit, &d))
		abort();
	if (!p->compound && !p->rules.values &&
		(d.missing + d.changed != surplus(&p->a, &p->b) ||
			d.extra + d.changed != surplus(&p->b, &p->a)))
		abort();
	for (size_t i = 0; i < d.nrows; i++)
		carried += sizeof d.rows[i] + d.rows[i].primary.len + d.rows[i].candidate.len;
	if (carried > limit && (d.nrows != 1 || !d.rows[0].cut || !d.truncated))
		abort();
	if (!d.truncated && d.nrows != d.missing + d.extra + d.changed + d.moved)
		abort();
	diff_release(&d);
}

/* V1, V2: a widening makes nothing different; equality by form is transitive. */
static void check_widenings(const struct pair *p)
{
	struct compare_rules rules = p->rules, strict = p->rules;
	struct comparison ab, bc, ac, tight;

	strict.values = NULL;
	compare_results(&p->a, &p->b, &rules, &ab);
	compare_results(&p->a, &p->b, &strict, &tight);
	if (tight.equal && (!ab.equal || ab.widened))
		abort();
	if (ab.widened && tight.equal)
		abort();
	if (p->by_distance || rules.order.ordered)
		return;
	compare_results(&p->b, &p->c, &rules, &bc);
	compare_results(&p->a, &p->c, &rules, &ac);
	if (ab.equal && bc.equal && !ac.equal && !ac.undecidable)
		abort();
}

/* The rows of b in another order. */
static void shuffle(const struct pair *p, struct result *out)
{
	struct span row[MAX_ROWS];
	size_t n = 0, at = 0;

	while (n < MAX_ROWS && result_kept_row(&p->b, &at, &row[n]))
		n++;
	for (uint32_t i = (uint32_t)n, seed = p->seed | 1; i > 1; i--) {
		struct span swapped = row[i - 1];

		seed = seed * 1664525 + 1013904223;
		row[i - 1] = row[(seed >> 8) % i];
		row[(seed >> 8) % i] = swapped;
	}
	result_init(out, KEEP);
	out->ncolumns = p->b.ncolumns;
	out->columns = p->b.columns; /* lent */
	out->described = p->b.described;
	for (size_t i = 0; i < n; i++)
		result_row(out, row[i]);
	result_complete(out, span_cstr("SELECT"));
}

static void check_permutation(const struct pair *p)
{
	struct compare_rules rules = p->rules;
	struct comparison as_it_is, shuffled;
	struct result other;

	if (!p->b.kept_all || p->b.malformed)
		return;
	shuffle(p, &other);
	if (!digest_equal_multiset(&p->b.digest, &other.digest))
		abort();
	rules.order.ordered = false;
	compare_results(&p->a, &p->b, &rules, &as_it_is);
	compare_results(&p->a, &other, &rules, &shuffled);
	if (as_it_is.equal != shuffled.equal || as_it_is.class != shuffled.class ||
		as_it_is.widened != shuffled.widened)
		abort();
	other.columns = NULL;
	result_release(&other);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reader in = reader_over(span_of(data, size));
	struct pair p;

	make(&p, &in);
	check_compare(&p);
	check_widenings(&p);
	check_permutation(&p);
	check_diff(&p, 1 << 20);
	check_diff(&p, 200);
	result_release(&p.a);
	result_release(&p.b);
	result_release(&p.c);

	return 0;
}

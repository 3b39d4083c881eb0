/* Two answers out of bytes. Laws: C1 compare(a,a) is equal; C2 compare(b,a) mirrors compare(a,b);
 * C3 equal answers hold the same rows; the diff's counts are those of the two multisets.
 *
 * Input: flags, keys, number of columns, one byte a column, then rows: a byte says to which side
 * and each cell is a length byte (15: NULL) and bytes. What is left over ends both answers.
 */
#include "compare/diff.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { KEEP = 1 << 16, MAX_COLUMNS = 4, MAX_ROWS = 64 };
enum { FLAG_ORDERED = 1, FLAG_LIMITED = 2, FLAG_LEAKS = 4, FLAG_OFFSET = 8, FLAG_SMALL = 16 };

struct pair {
	struct result a, b;
	struct compare_rules rules;
	unsigned ncolumns;
	bool compound; /* binary values with inner types: equal without equal bytes */
};

static const char *type_name(void *self, uint32_t oid)
{
	(void)self;
	return oid == 20000 ? "s.t" : oid == 30000 ? "s.t" : oid < 30000 ? "s.u" : NULL;
}

static const uint32_t types[] = {
	23, 25, 114, 700, 701, 1042, 1114, 1184, 1186, 1700, 2249, 2277, 3802, 20000, 0, 40000};

static void describe(struct pair *p, struct reader *in)
{
	struct buffer b;

	buffer_init(&b, 4096);
	buffer_add_u16(&b, (uint16_t)p->ncolumns);
	for (unsigned i = 0; i < p->ncolumns; i++) {
		uint8_t kind = read_u8(in);
		uint32_t type = types[kind & 15];

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
		!result_columns(&p->b, buffer_span(&b), 0, NULL))
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
			uint8_t length = read_u8(in) & 63;

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
	}
	buffer_release(&b);
}

static void make(struct pair *p, struct reader *in)
{
	uint8_t flags = read_u8(in), keys = read_u8(in);
	size_t keep = flags & FLAG_SMALL ? 64 : KEEP;

	*p = (struct pair){
		.rules = {.primary_types.name = type_name, .candidate_types.name = type_name}};
	p->ncolumns = read_u8(in) % (MAX_COLUMNS + 1);
	p->rules.order = (struct order_rule){.ordered = flags & FLAG_ORDERED,
		.limited = flags & FLAG_LIMITED,
		.leaks = flags & FLAG_LEAKS,
		.offset = flags & FLAG_OFFSET,
		.nkeys = keys & 3};
	for (unsigned i = 0; i < 3; i++)
		p->rules.order.keys[i].column = (int16_t)((keys >> (2 + 2 * i) & 3) - (i > 0));
	result_init(&p->a, keep);
	result_init(&p->b, keep);
	describe(p, in);
	rows(p, in);
	result_complete(&p->a, span_cstr("SELECT"));
	result_complete(&p->b, span_cstr("SELECT"));
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
	if (ab.equal != ba.equal || ab.order_ambiguous != ba.order_ambiguous || /* C2 */
		ab.order_explained != ba.order_explained || ab.undecidable != ba.undecidable ||
		ba.class != mirror[ab.class])
		abort();
	if (ab.equal != (ab.class == CLASS_NONE))
		abort();
	if (ab.equal && !p->compound && p->a.kept_all && p->b.kept_all &&
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
	if (!p->compound && (d.missing + d.changed != surplus(&p->a, &p->b) ||
				    d.extra + d.changed != surplus(&p->b, &p->a)))
		abort();
	for (size_t i = 0; i < d.nrows; i++)
		carried += sizeof d.rows[i] + d.rows[i].primary.len + d.rows[i].candidate.len;
	if (carried > limit)
		abort();
	if (!d.truncated && d.nrows != d.missing + d.extra + d.changed)
		abort();
	diff_release(&d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reader in = reader_over(span_of(data, size));
	struct pair p;

	make(&p, &in);
	check_compare(&p);
	check_diff(&p, 1 << 20);
	check_diff(&p, 200);
	result_release(&p.a);
	result_release(&p.b);

	return 0;
}

#include "compare/rows.h"

#include "compare/canonical.h"
#include <stdlib.h>

static bool add_row(struct row_set *s, size_t *cap, struct row row)
{
	if (s->count == *cap) {
		size_t wanted = *cap ? *cap * 2 : 64;
		struct row *grown = reallocarray(s->row, wanted, sizeof *grown);

		if (!grown)
			return false;
		s->row = grown;
		*cap = wanted;
	}
	s->row[s->count++] = row;

	return true;
}

static bool hash_row(const struct result *r, struct span body, const struct type_names *names,
	struct form *scratch, uint64_t hash[2])
{
	struct digest d;

	digest_init(&d);
	if (names) {
		const struct form_rules rules = {.names = names};

		form_clear(scratch);
		canonical_row(scratch, r, body, &rules);
		if (form_failed(scratch))
			return false;
		body = buffer_span(&scratch->bytes);
	}
	digest_row(&d, body);
	hash[0] = d.multiset[0]; /* of one row: the hash of the row */
	hash[1] = d.multiset[1];

	return true;
}

bool row_set_load(const struct result *r, const struct type_names *names, struct row_set *out)
{
	struct form scratch;
	size_t at = 0, cap = 0;
	struct span body;
	bool ok = true;

	*out = (struct row_set){0};
	form_init(&scratch);
	while (ok && result_kept_row(r, &at, &body)) {
		struct row row = {.body = body, .position = out->count, .partner = ROW_ALONE};

		ok = hash_row(r, body, names, &scratch, row.hash) && add_row(out, &cap, row);
	}
	form_release(&scratch);
	if (!ok)
		row_set_release(out);

	return ok;
}

void row_set_release(struct row_set *s)
{
	free(s->row);
	*s = (struct row_set){0};
}

void row_difference_release(struct row_difference *d)
{
	row_set_release(&d->missing);
	row_set_release(&d->extra);
}

static int compare_hashes(const struct row *a, const struct row *b)
{
	for (int i = 0; i < 2; i++)
		if (a->hash[i] != b->hash[i])
			return a->hash[i] < b->hash[i] ? -1 : 1;

	return 0;
}

static int by_hash(const void *left, const void *right)
{
	const struct row *a = left, *b = right;
	int order = compare_hashes(a, b);

	return order ? order : (a->position > b->position) - (a->position < b->position);
}

static int by_position(const void *left, const void *right)
{
	const struct row *a = left, *b = right;

	return (a->position > b->position) - (a->position < b->position);
}

static bool copy_sorted(const struct row_set *from, struct row_set *to)
{
	to->row = reallocarray(NULL, from->count + 1, sizeof *to->row);
	if (!to->row)
		return false;
	if (from->count > 0)
		memcpy(to->row, from->row, from->count * sizeof *to->row);
	to->count = from->count;
	qsort(to->row, to->count, sizeof *to->row, by_hash);

	return true;
}

/* Both sorted by hash: strikes out what stands in both, as often as it does. */
static void strike_common(struct row_set *a, struct row_set *b)
{
	size_t i = 0, j = 0, left_a = 0, left_b = 0;

	while (i < a->count || j < b->count) {
		int order = i == a->count   ? 1
			    : j == b->count ? -1
					    : compare_hashes(&a->row[i], &b->row[j]);

		if (order < 0)
			a->row[left_a++] = a->row[i++];
		else if (order > 0)
			b->row[left_b++] = b->row[j++];
		else
			i++, j++;
	}
	a->count = left_a;
	b->count = left_b;
}

bool row_difference_make(
	const struct row_set *primary, const struct row_set *candidate, struct row_difference *out)
{
	*out = (struct row_difference){0};
	if (!copy_sorted(primary, &out->missing) || !copy_sorted(candidate, &out->extra)) {
		row_difference_release(out);
		return false;
	}
	strike_common(&out->missing, &out->extra);
	qsort(out->missing.row, out->missing.count, sizeof *out->missing.row, by_position);
	qsort(out->extra.row, out->extra.count, sizeof *out->extra.row, by_position);

	return true;
}

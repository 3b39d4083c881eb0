#include "compare/rows.h"

#include "compare/cells.h"
#include "compare/diff.h"
#include <stdlib.h>

enum {
	LEADING_COLUMNS = 4, /* tried as keys, alone and two together */
	SIMILAR_LIMIT = 250, /* rows a side that are compared with each other, cell by cell */
	HINTED_LIMIT = 32,   /* rows a side for which alike cells count too */
	CELLS_LIMIT = 64,    /* leading columns looked at */
};

/* Some columns, taken as a key. */
struct key {
	uint8_t n;
	uint16_t column[COMPARE_MAX_KEYS];
};
struct keyed {
	uint64_t hash[2];
	size_t index;
};

struct keyed_set {
	struct keyed *at; /* owned, sorted by hash */
	size_t count;
};

static void key_hash(const struct key *key, struct span row, uint64_t hash[2])
{
	struct digest d;

	digest_init(&d);
	for (unsigned i = 0; i < key->n; i++) {
		struct span v = diff_value(row, key->column[i]);

		digest_row(&d, v.data ? v : span_of("null", 0));
		digest_row(&d, span_of(v.data ? "v" : "n", 1));
	}
	memcpy(hash, d.ordered, sizeof d.ordered);
}

static int by_key(const void *left, const void *right)
{
	const struct keyed *a = left, *b = right;

	for (int i = 0; i < 2; i++)
		if (a->hash[i] != b->hash[i])
			return a->hash[i] < b->hash[i] ? -1 : 1;

	return 0;
}

static bool keyed_load(const struct row_set *rows, const struct key *key, struct keyed_set *out)
{
	out->count = rows->count;
	out->at = reallocarray(NULL, rows->count + 1, sizeof *out->at);
	if (!out->at)
		return false;
	for (size_t i = 0; i < rows->count; i++) {
		out->at[i].index = i;
		key_hash(key, rows->row[i].body, out->at[i].hash);
	}
	qsort(out->at, out->count, sizeof *out->at, by_key);

	return true;
}

static bool unique(const struct keyed_set *s)
{
	for (size_t i = 1; i < s->count; i++)
		if (by_key(&s->at[i - 1], &s->at[i]) == 0)
			return false;

	return true;
}

/* Walks over keys that stand on both sides; pairs them when asked to. Returns how many. */
static size_t meet(const struct keyed_set *a, const struct keyed_set *b, struct row_difference *d)
{
	size_t i = 0, j = 0, met = 0;

	while (i < a->count && j < b->count) {
		int order = by_key(&a->at[i], &b->at[j]);

		if (order == 0) {
			met++;
			if (d) {
				d->missing.row[a->at[i].index].partner = b->at[j].index;
				d->extra.row[b->at[j].index].partner = a->at[i].index;
			}
		}
		i += order <= 0;
		j += order >= 0;
	}

	return met;
}

enum key_use { KEY_UNFIT, KEY_FIT, KEY_NO_MEMORY };

/* A key tells every row of both results from its fellows, and most rows have it in common (else it
 * may itself be what differs). */
static enum key_use judge_key(
	const struct key *key, const struct row_set *primary, const struct row_set *candidate)
{
	struct keyed_set a = {0}, b = {0};
	enum key_use use = KEY_NO_MEMORY;

	if (keyed_load(primary, key, &a) && keyed_load(candidate, key, &b)) {
		size_t fewer = a.count < b.count ? a.count : b.count;
		bool fit = unique(&a) && unique(&b) && meet(&a, &b, NULL) * 2 >= fewer;

		use = fit ? KEY_FIT : KEY_UNFIT;
	}
	free(a.at);
	free(b.at);

	return use;
}

static bool pair_by_key(struct row_difference *d, const struct key *key)
{
	struct keyed_set a = {0}, b = {0};
	bool ok = keyed_load(&d->missing, key, &a) && keyed_load(&d->extra, key, &b);

	if (ok)
		meet(&a, &b, d);
	free(a.at);
	free(b.at);

	return ok;
}

static enum key_use find_key(const struct row_set *primary, const struct row_set *candidate,
	unsigned ncolumns, const struct order_rule *order, struct key *key)
{
	enum key_use use = KEY_UNFIT;

	key->n = 0;
	for (unsigned i = 0; order->ordered && i < order->nkeys; i++)
		if (order->keys[i].column >= 0 && order->keys[i].column < (int)ncolumns)
			key->column[key->n++] = (uint16_t)order->keys[i].column;
	if (key->n > 0)
		use = judge_key(key, primary, candidate);
	for (uint16_t i = 0; use == KEY_UNFIT && i < ncolumns && i < LEADING_COLUMNS; i++) {
		*key = (struct key){.n = 1, .column = {i}};
		use = judge_key(key, primary, candidate);
	}

	return use;
}

/* Do as many of the differing rows meet as can? */
static bool pairs_all(const struct row_difference *d, const struct key *key)
{
	size_t fewer = d->missing.count < d->extra.count ? d->missing.count : d->extra.count;
	struct keyed_set a = {0}, b = {0};
	bool all = keyed_load(&d->missing, key, &a) && keyed_load(&d->extra, key, &b) &&
		   meet(&a, &b, NULL) == fewer;

	free(a.at);
	free(b.at);

	return all;
}

/* Two leading columns may be a key together (an order and its line). They are unique by chance
 * more easily than one, so they must explain every differing row. */
static enum key_use find_pair(const struct row_set *primary, const struct row_set *candidate,
	const struct row_difference *d, unsigned ncolumns, struct key *key)
{
	uint16_t n = ncolumns < LEADING_COLUMNS ? (uint16_t)ncolumns : LEADING_COLUMNS;
	enum key_use use = KEY_UNFIT;

	for (uint16_t i = 0; i < n && use != KEY_NO_MEMORY; i++) {
		for (uint16_t k = i + 1; k < n; k++) {
			*key = (struct key){.n = 2, .column = {i, k}};
			if (!pairs_all(d, key))
				continue;
			use = judge_key(key, primary, candidate);
			if (use != KEY_UNFIT)
				return use;
		}
	}

	return use;
}

static void make_pair(struct row_difference *d, size_t missing, size_t extra)
{
	d->missing.row[missing].partner = extra;
	d->extra.row[extra].partner = missing;
}

/* Where order counts and nothing is missing, rows at the same place belong together. */
static void pair_by_position(struct row_difference *d)
{
	size_t j = 0;

	for (size_t i = 0; i < d->missing.count; i++) {
		while (j < d->extra.count && d->extra.row[j].position < d->missing.row[i].position)
			j++;
		if (j < d->extra.count && d->extra.row[j].position == d->missing.row[i].position)
			make_pair(d, i, j);
	}
}

/* Equal cells count most, cells that are alike a little. */
static unsigned likeness(struct span a, struct span b, const struct result *shape, bool hinted)
{
	struct reader left, right;
	uint16_t n, m;
	unsigned score = 0;

	if (!parse_data_row(a, &n, &left) || !parse_data_row(b, &m, &right) || n != m)
		return 0;
	for (uint16_t i = 0; i < n && i < CELLS_LIMIT; i++) {
		struct span x = read_value(&left), y = read_value(&right);
		bool known = i < shape->ncolumns;

		if (span_equal(x, y))
			score += 4;
		else if (hinted && *cell_hint(known ? shape->columns[i].type_oid : 0,
					   known ? shape->columns[i].format : 0, x, y))
			score++;
	}

	return score;
}

static bool pair_by_likeness(struct row_difference *d, const struct result *shape)
{
	size_t n = d->missing.count < SIMILAR_LIMIT ? d->missing.count : SIMILAR_LIMIT;
	size_t m = d->extra.count < SIMILAR_LIMIT ? d->extra.count : SIMILAR_LIMIT;
	bool hinted = n <= HINTED_LIMIT && m <= HINTED_LIMIT;

	for (size_t i = 0; i < n; i++) {
		unsigned best = 0;
		size_t at = 0;

		if (d->missing.row[i].partner != ROW_ALONE)
			continue;
		for (size_t j = 0; j < m; j++) {
			unsigned score;

			if (d->extra.row[j].partner != ROW_ALONE)
				continue;
			score = likeness(
				d->missing.row[i].body, d->extra.row[j].body, shape, hinted);
			if (score > best) {
				best = score;
				at = j;
			}
		}
		if (best > 0)
			make_pair(d, i, at);
	}

	return n < d->missing.count && m < d->extra.count;
}

bool row_difference_align(struct row_difference *d, const struct row_set *primary,
	const struct row_set *candidate, const struct result *shape, const struct order_rule *order,
	bool *cut)
{
	struct span first = {0};
	struct reader values;
	uint16_t ncolumns = 0;
	enum key_use use;
	struct key key;

	*cut = false;
	if (d->missing.count == 0 || d->extra.count == 0)
		return true;
	if (primary->count == 1 && candidate->count == 1) {
		make_pair(d, 0, 0);
		return true;
	}
	first = d->missing.row[0].body;
	if (!parse_data_row(first, &ncolumns, &values))
		return true;
	use = find_key(primary, candidate, ncolumns, order, &key);
	if (use == KEY_UNFIT)
		use = find_pair(primary, candidate, d, ncolumns, &key);
	switch (use) {
	case KEY_NO_MEMORY: return false;
	case KEY_FIT: return pair_by_key(d, &key);
	case KEY_UNFIT: break;
	}
	if (order->ordered && primary->count == candidate->count)
		pair_by_position(d);
	*cut = pair_by_likeness(d, shape);

	return true;
}

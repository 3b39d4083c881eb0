/* The rules, in the order in which they are asked:
 *
 *  1. Errors: both with the same SQLSTATE are the same answer; else error_code, error or no_error.
 *  2. Columns: number, then of each name, type, typmod, format. Where a side gave no description
 *     the rows alone are compared, if they have the same number of columns, and its values are
 *     taken for what the other side says of its own: the same formats were asked for.
 *  3. Rows in the same sequence are equal. How the answer ended (complete, or cut by a row limit)
 *     and its tag add nothing to that.
 *  4. The same rows in another sequence are equal where the statement has no order, and where it
 * has one as long as only rows with equal sort keys changed places.
 *  5. Rows that a setting lets be the same (values.h) count as such, and `widened` says why. What
 *     is left after that:
 *  6. Other rows: missing_rows or extra_rows when one side has all of the other's, else values, or
 *     by their number. A free choice of rows (LIMIT without a total order, order that leaks into
 *     values) makes the difference ambiguous; the number of rows is never free to LIMIT alone.
 */
#include "compare/compare.h"

#include "compare/canonical.h"
#include "compare/cells.h"
#include "compare/diff.h"
#include "compare/hints.h"
#include "compare/rows.h"
#include <stdio.h>
#include <string.h>

static const char *const class_names[] = {
	[CLASS_NONE] = "",
	[CLASS_MISSING_ROWS] = "missing_rows",
	[CLASS_EXTRA_ROWS] = "extra_rows",
	[CLASS_VALUES] = "values",
	[CLASS_ORDER] = "order",
	[CLASS_COLUMNS] = "columns",
	[CLASS_ERROR] = "error",
	[CLASS_NO_ERROR] = "no_error",
	[CLASS_ERROR_CODE] = "error_code",
};

const char *difference_class_name(enum difference_class c)
{
	return class_names[c];
}

/* ---- errors ---- */

static const struct {
	const char *prefix; /* of the SQLSTATE; the first that fits decides */
	enum error_group group;
} error_groups[] = {
	{"08P01", ERROR_OTHER}, /* protocol violation: an answer to what was sent */
	{"08", ERROR_CONNECTION},
	{"0A", ERROR_UNSUPPORTED},
	{"25006", ERROR_READ_ONLY},
	{"25P03", ERROR_TIMEOUT},
	{"25P04", ERROR_TIMEOUT},
	{"28", ERROR_PERMISSION},
	{"3D000", ERROR_MISSING_OBJECT},
	{"3F000", ERROR_MISSING_OBJECT},
	{"40", ERROR_RETRYABLE},
	{"42501", ERROR_PERMISSION},
	{"42601", ERROR_UNSUPPORTED},
	{"42704", ERROR_MISSING_OBJECT},
	{"42883", ERROR_MISSING_OBJECT},
	{"42P01", ERROR_MISSING_OBJECT},
	{"42703", ERROR_MISSING_OBJECT},
	{"53", ERROR_RESOURCE},
	{"54001", ERROR_RESOURCE},
	{"55P03", ERROR_TIMEOUT},
	{"57014", ERROR_TIMEOUT},
	{"57P05", ERROR_TIMEOUT},
	{"57P", ERROR_CONNECTION},
	{"58030", ERROR_RESOURCE},
};

static const struct {
	const char *name;
	enum reason reason;
} group_table[] = {
	[ERROR_OTHER] = {"other", REASON_NONE},
	[ERROR_UNSUPPORTED] = {"unsupported", REASON_NONE},
	[ERROR_PERMISSION] = {"permission", REASON_NONE},
	[ERROR_MISSING_OBJECT] = {"missing_object", REASON_NONE},
	[ERROR_READ_ONLY] = {"read_only", REASON_NONE},
	[ERROR_RETRYABLE] = {"retryable", REASON_RETRYABLE},
	[ERROR_TIMEOUT] = {"timeout", REASON_TIMEOUT},
	[ERROR_RESOURCE] = {"resource", REASON_RESOURCE},
	[ERROR_CONNECTION] = {"connection", REASON_CONNECTION},
};

enum error_group error_group_of(const char *sqlstate)
{
	for (size_t i = 0; i < sizeof error_groups / sizeof *error_groups; i++)
		if (strncmp(sqlstate, error_groups[i].prefix, strlen(error_groups[i].prefix)) == 0)
			return error_groups[i].group;

	return ERROR_OTHER;
}

const char *error_group_name(enum error_group g)
{
	return group_table[g].name;
}

enum reason error_group_reason(enum error_group g)
{
	return group_table[g].reason;
}

static void set_hint(struct comparison *out, const char *hint)
{
	snprintf(out->hint, sizeof out->hint, "%s", hint);
}

static bool differs(struct comparison *out, enum difference_class class, const char *hint)
{
	out->equal = false;
	out->widened = 0;
	out->class = class;
	set_hint(out, hint);

	return false;
}

static bool same_error(const struct result *p, const struct result *c)
{
	if (*p->sqlstate || *c->sqlstate)
		return strcmp(p->sqlstate, c->sqlstate) == 0;

	return strcmp(p->message, c->message) == 0;
}

/* True: rows may be compared. */
static bool compare_ends(const struct result *p, const struct result *c, struct comparison *out)
{
	bool p_error = p->end == RESULT_ERROR, c_error = c->end == RESULT_ERROR;

	if (p->malformed || c->malformed || p->end == RESULT_OPEN || c->end == RESULT_OPEN) {
		out->undecidable = true;
		return differs(out, CLASS_VALUES, "");
	}
	if (p_error && c_error) {
		out->equal = same_error(p, c);
		return out->equal ? false : differs(out, CLASS_ERROR_CODE, "");
	}
	if (c_error) {
		enum error_group group = error_group_of(c->sqlstate);

		return differs(
			out, CLASS_ERROR, group == ERROR_OTHER ? "" : error_group_name(group));
	}
	if (p_error)
		return differs(out, CLASS_NO_ERROR, "");
	if ((p->end == RESULT_EMPTY) != (c->end == RESULT_EMPTY))
		return differs(out, CLASS_COLUMNS, "count");

	return true;
}

/* ---- columns ---- */

enum type_verdict { TYPES_SAME, TYPES_OTHER, TYPES_UNKNOWN };

static enum type_verdict compare_types(uint32_t p, uint32_t c, const struct compare_rules *rules)
{
	const struct type_names *pn = &rules->primary_types, *cn = &rules->candidate_types;
	const char *p_name, *c_name;

	if (p < TYPE_FIRST_USER && c < TYPE_FIRST_USER)
		return p == c ? TYPES_SAME : TYPES_OTHER;
	if (p < TYPE_FIRST_USER || c < TYPE_FIRST_USER)
		return TYPES_OTHER;
	p_name = pn->name ? pn->name(pn->self, p) : NULL;
	c_name = cn->name ? cn->name(cn->self, c) : NULL;
	if (!p_name || !c_name)
		return TYPES_UNKNOWN;

	return strcmp(p_name, c_name) == 0 ? TYPES_SAME : TYPES_OTHER;
}

static const char *name_difference(const struct result_column *p, const struct result_column *c)
{
	return strcmp(p->name, c->name) != 0 ? "name" : NULL;
}

static int64_t typmod_time_unit(int32_t typmod)
{
	return time_unit_of_digits(typmod < 0 || typmod > 6 ? 6 : (unsigned)typmod);
}

/* Type modifiers that a widening makes the same; 0: none does. */
static uint32_t typmod_widening(
	const struct result_column *p, const struct result_column *c, const struct value_rules *v)
{
	if (!v)
		return 0;
	switch (p->type_oid) {
	case TYPE_NUMERIC:
	case TYPE_NUMERIC_ARRAY: return v->numeric_scale ? WIDENING_BIT(WIDENING_NUMERIC_SCALE) : 0;
	case TYPE_BPCHAR:
	case TYPE_BPCHAR_ARRAY: return v->bpchar ? WIDENING_BIT(WIDENING_BPCHAR) : 0;
	case TYPE_TIME:
	case TYPE_TIMESTAMP:
	case TYPE_TIMESTAMPTZ: /* both hold the digits that count */
		return v->time_unit_us > 1 && typmod_time_unit(p->typmod) <= v->time_unit_us &&
				       typmod_time_unit(c->typmod) <= v->time_unit_us
			       ? WIDENING_BIT(WIDENING_TIMESTAMP_PRECISION)
			       : 0;
	default: return 0;
	}
}

/* What differs, or NULL. */
static const char *column_difference(const struct result_column *p, const struct result_column *c,
	const struct compare_rules *rules, bool *unknown, uint32_t *widened)
{
	bool numeric = p->type_oid == TYPE_NUMERIC || p->type_oid == TYPE_NUMERIC_ARRAY;

	if (name_difference(p, c))
		return "name";
	switch (compare_types(p->type_oid, c->type_oid, rules)) {
	case TYPES_SAME: break;
	case TYPES_OTHER: return "type";
	case TYPES_UNKNOWN: *unknown = true; break;
	}
	if (p->typmod != c->typmod) {
		uint32_t widening = typmod_widening(p, c, rules->values);

		if (!widening)
			return numeric ? "numeric_scale" : "typmod";
		*widened |= widening;
	}

	return p->format != c->format ? "format" : NULL;
}

/* How many columns, as far as anything tells: -1 when nothing does. */
static int column_count(const struct result *r)
{
	struct reader values;
	struct span row;
	size_t at = 0;
	uint16_t n;

	if (r->described)
		return r->ncolumns;
	if (result_kept_row(r, &at, &row) && parse_data_row(row, &n, &values))
		return n;

	return -1;
}

static bool compare_columns(const struct result *p, const struct result *c,
	const struct compare_rules *rules, struct comparison *out)
{
	int p_count = column_count(p), c_count = column_count(c);
	bool unknown = false;

	if (p_count >= 0 && c_count >= 0 && p_count != c_count)
		return differs(out, CLASS_COLUMNS, column_names_hint(p, c));
	if (!p->described || !c->described)
		return true;
	for (unsigned i = 0; i < p->ncolumns; i++) {
		const char *hint = p->names_only || c->names_only
					   ? name_difference(&p->columns[i], &c->columns[i])
					   : column_difference(&p->columns[i], &c->columns[i],
						     rules, &unknown, &out->widened);

		if (hint && strcmp(hint, "name") == 0)
			hint = column_names_hint(p, c);
		if (hint)
			return differs(out, CLASS_COLUMNS, hint);
	}
	out->undecidable = unknown;

	return unknown ? differs(out, CLASS_COLUMNS, "type_unknown") : true;
}

/* ---- order ---- */

static const struct result_column *column_of(const struct result *r, unsigned column)
{
	static const struct result_column unknown = {.type_oid = 0};

	return column < r->ncolumns ? &r->columns[column] : &unknown;
}

/* The sort keys that stand in the output, up to the first that does not; what comes behind a hidden
 * key is in no order that can be seen. */
static unsigned visible_keys(const struct order_rule *order)
{
	unsigned n = 0;

	while (n < order->nkeys && order->keys[n].column >= 0)
		n++;

	return n;
}

/* Nothing is hidden: every sort key is in the output, and the table of keys was long enough. */
static bool keys_complete(const struct order_rule *order)
{
	return order->nkeys > 0 && order->nkeys < COMPARE_MAX_KEYS &&
	       visible_keys(order) == order->nkeys;
}

/* Compares the visible key tuples of two rows; *column is the first that differs. */
static enum cell_order compare_keys(const struct order_rule *order, const struct result *shape,
	struct span a, struct span b, unsigned *column)
{
	unsigned n = visible_keys(order);

	for (unsigned i = 0; i < n; i++) {
		unsigned at = (unsigned)order->keys[i].column;
		const struct result_column *type = column_of(shape, at);
		enum cell_order cells = cell_compare_key(type->type_oid, type->format,
			diff_value(a, (uint16_t)at), diff_value(b, (uint16_t)at));

		*column = at;
		if (cells != CELL_SAME)
			return cells;
	}

	return CELL_SAME;
}

/* The keys may differ by a widening. */
static enum cell_order widened_keys(const struct result *p, const struct result *c,
	const struct compare_rules *rules, struct span a, struct span b, unsigned *column)
{
	const struct order_rule *order = &rules->order;
	enum cell_order keys = compare_keys(order, p, a, b, column);

	if (keys != CELL_OTHER || !rules->values)
		return keys;
	for (unsigned i = 0; i < visible_keys(order); i++) {
		uint16_t at = (uint16_t)order->keys[i].column;

		*column = at;
		if (!cells_alike(p, c, rules, at, diff_value(a, at), diff_value(b, at)))
			return CELL_OTHER;
	}

	return CELL_SAME;
}

/* The same rows in another sequence, under an ORDER BY. */
static void compare_sequences(const struct result *p, const struct result *c,
	const struct compare_rules *rules, struct comparison *out)
{
	const struct order_rule *order = &rules->order;
	bool unsure = !keys_complete(order);
	size_t p_at = 0, c_at = 0;
	struct span p_row, c_row;

	if (!p->kept_all || !c->kept_all) {
		out->undecidable = !order->total;
		differs(out, CLASS_ORDER, "");
		return;
	}
	while (result_kept_row(p, &p_at, &p_row) && result_kept_row(c, &c_at, &c_row)) {
		unsigned column = 0;
		enum cell_order keys;

		if (rows_alike(p, c, rules, p_row, c_row))
			continue;
		out->order_explained = true;
		keys = widened_keys(p, c, rules, p_row, c_row, &column);
		if (keys == CELL_OTHER) {
			bool text = cell_type_is_text(column_of(p, column)->type_oid);

			out->order_explained = false;
			differs(out, CLASS_ORDER, text ? "collation" : "");
			return;
		}
		unsure |= keys == CELL_UNSURE;
	}
	if (out->order_explained && (unsure || order->total)) {
		out->order_explained = false;
		differs(out, CLASS_ORDER, "");
		out->order_ambiguous = !order->total;
	}
}

/* ---- other rows ---- */

static enum difference_class class_by_count(const struct result *p, const struct result *c)
{
	if (p->rows == c->rows)
		return CLASS_VALUES;

	return p->rows > c->rows ? CLASS_MISSING_ROWS : CLASS_EXTRA_ROWS;
}

static bool all_share_key(const struct order_rule *order, const struct result *shape,
	const struct row_set *rows, struct span key_row)
{
	unsigned column;

	for (size_t i = 0; i < rows->count; i++)
		if (compare_keys(order, shape, rows->row[i].body, key_row, &column) == CELL_OTHER)
			return false;

	return true;
}

static bool share_key_of(const struct order_rule *order, const struct result *shape,
	const struct row_difference *d, struct span p_row, struct span c_row)
{
	unsigned column;

	return compare_keys(order, shape, p_row, c_row, &column) != CELL_OTHER &&
	       all_share_key(order, shape, &d->missing, p_row) &&
	       all_share_key(order, shape, &d->extra, c_row);
}

/* LIMIT with ORDER BY leaves the choice free only among rows that tie with the last one (with
 * OFFSET, or with the first). */
static bool tie_at_the_cut(const struct order_rule *order, const struct result *shape,
	const struct row_difference *d, const struct row_set *p, const struct row_set *c)
{
	if (p->count == 0 || p->count != c->count)
		return false;
	if (share_key_of(order, shape, d, p->row[p->count - 1].body, c->row[c->count - 1].body))
		return true;

	return order->offset && share_key_of(order, shape, d, p->row[0].body, c->row[0].body);
}

/* May another choice of rows be as right? Not where no rows tie, nor where fewer came than the
 * limit lets through: then they are all. */
static bool cut_is_free(const struct order_rule *order, const struct result *p)
{
	if (!order->limited || order->total || (order->with_ties && !order->offset))
		return false;

	return order->offset || order->limit_rows == 0 || p->rows >= (uint64_t)order->limit_rows;
}

/* Without all rows: what the counts alone say. */
static void judge_by_count(const struct result *p, const struct result *c,
	const struct order_rule *order, struct comparison *out)
{
	differs(out, class_by_count(p, c), "");
	out->order_ambiguous =
		order->leaks || (cut_is_free(order, p) && !order->ordered && p->rows == c->rows);
	out->undecidable = !out->order_ambiguous && cut_is_free(order, p) && p->rows == c->rows;
}

/* Puts the sets into another order where one has more rows. */
static void judge_rows(const struct hint_sides *sides, struct row_difference *d,
	struct row_set *p_rows, struct row_set *c_rows, struct comparison *out)
{
	const struct result *p = sides->primary, *c = sides->candidate;
	const struct order_rule *order = &sides->rules->order;
	enum difference_class class = class_by_count(p, c);
	bool cut;

	differs(out, class, "");
	out->order_ambiguous = order->leaks;
	if (cut_is_free(order, p) && !order->ordered && p->rows == c->rows)
		out->order_ambiguous = true;
	if (cut_is_free(order, p) && order->ordered && tie_at_the_cut(order, p, d, p_rows, c_rows))
		out->order_ambiguous = true;
	if (class != CLASS_VALUES)
		set_hint(out, row_count_hint(d, p_rows, c_rows));
	else if (row_difference_align(d, p_rows, c_rows, p, order, &cut))
		set_hint(out, changed_rows_hint(sides, d));
}

static bool may_widen(const struct result *r, const struct compare_rules *rules)
{
	const struct form_rules side = {
		.names = &rules->primary_types, .values = rules->values, .summed = rules->summed};

	return widening_needed(r, &side);
}

static void compare_other_rows(const struct result *p, const struct result *c,
	const struct compare_rules *rules, bool canonical, struct comparison *out)
{
	struct row_set p_rows = {0}, c_rows = {0};
	const struct hint_sides sides = {p, c, rules};
	struct row_difference d = {0};
	uint32_t widened;

	if (!p->kept_all || !c->kept_all) {
		judge_by_count(p, c, &rules->order, out);
		/* the bytes differ, the values may not */
		out->undecidable |= canonical || (p->rows == c->rows && may_widen(p, rules));
		return;
	}
	if (row_set_load(p, canonical ? &rules->primary_types : NULL, &p_rows) &&
		row_set_load(c, canonical ? &rules->candidate_types : NULL, &c_rows) &&
		row_difference_make(&p_rows, &c_rows, &d) &&
		row_difference_widen(&d, p, c, rules, &widened)) {
		if (d.missing.count == 0 && d.extra.count == 0)
			out->widened |= widened;
		else
			judge_rows(&sides, &d, &p_rows, &c_rows, out);
	} else {
		judge_by_count(p, c, &rules->order, out);
		out->undecidable = true;
	}
	if (out->equal && rules->order.ordered)
		compare_sequences(p, c, rules, out);
	row_difference_release(&d);
	row_set_release(&p_rows);
	row_set_release(&c_rows);
}

/* ---- rows ---- */

/* The digest over the canonical form of all kept rows. */
static bool canonical_digest(
	const struct result *r, const struct type_names *names, struct digest *out)
{
	struct row_set rows;

	if (!r->kept_all || !row_set_load(r, names, &rows))
		return false;
	digest_init(out);
	for (size_t i = 0; i < rows.count; i++)
		digest_row(out, span_of(rows.row[i].hash, sizeof rows.row[i].hash));
	row_set_release(&rows);

	return true;
}

static void compare_rows(const struct result *p, const struct result *c,
	const struct compare_rules *rules, struct comparison *out)
{
	bool canonical = p->rows == c->rows && (canonical_needed(p) || canonical_needed(c));
	struct digest p_digest = p->digest, c_digest = c->digest;

	if (digest_equal_ordered(&p_digest, &c_digest))
		return;
	if (canonical && (!canonical_digest(p, &rules->primary_types, &p_digest) ||
				 !canonical_digest(c, &rules->candidate_types, &c_digest))) {
		p_digest = p->digest;
		c_digest = c->digest;
	}
	if (digest_equal_ordered(&p_digest, &c_digest))
		return;
	if (!digest_equal_multiset(&p_digest, &c_digest))
		compare_other_rows(p, c, rules, canonical, out);
	else if (rules->order.ordered)
		compare_sequences(p, c, rules, out);
	else
		out->order_explained = true;
}

static bool has_types(const struct result *r)
{
	return r->described && !r->names_only;
}

/* Types of the candidate's catalogue inside binary values say nothing of the primary's. */
static bool types_portable(const struct result *r)
{
	for (unsigned i = 0; i < r->ncolumns; i++)
		if (r->columns[i].format == 1 && r->columns[i].type_oid >= TYPE_FIRST_USER)
			return false;

	return true;
}

/* `r` with the columns of `from` where it has no types of its own: borrowed from both. */
static struct result with_types(const struct result *r, const struct result *from)
{
	struct result out = *r;

	if (!has_types(r) && has_types(from) && types_portable(from)) {
		out.columns = from->columns;
		out.ncolumns = from->ncolumns;
	}

	return out;
}

void compare_results(const struct result *primary, const struct result *candidate,
	const struct compare_rules *rules, struct comparison *out)
{
	*out = (struct comparison){.equal = true};
	if (compare_ends(primary, candidate, out) &&
		compare_columns(primary, candidate, rules, out)) {
		struct result p = with_types(primary, candidate),
			      c = with_types(candidate, primary);

		compare_rows(&p, &c, rules, out);
	}
}

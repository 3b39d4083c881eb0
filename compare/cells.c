#include "compare/cells.h"

#include "compare/json_form.h"
#include "compare/scalars.h"
#include <ctype.h>
#include <math.h>

bool cell_type_is_text(uint32_t type)
{
	return type == TYPE_TEXT || type == TYPE_VARCHAR || type == TYPE_BPCHAR ||
	       type == TYPE_NAME;
}

/* ---- numbers ---- */

bool numeric_same_value(uint16_t format, struct span a, struct span b)
{
	struct binary_numeric m, n;

	if (format == FORMAT_TEXT)
		return span_equal(decimal_trimmed(a), decimal_trimmed(b));
	if (!scalar_numeric(a, &m) || !scalar_numeric(b, &n))
		return false;
	if (m.sign != n.sign || m.ndigits != n.ndigits)
		return false;

	return m.ndigits == 0 || (m.weight == n.weight && span_equal(m.digits, n.digits));
}

static bool float_same_value(uint32_t type, uint16_t format, struct span a, struct span b)
{
	double x, y;

	if (!scalar_double(type, format, a, &x) || !scalar_double(type, format, b, &y))
		return false;

	return !(x < y) && !(x > y) && isnan(x) == isnan(y); /* -0 and 0 are the same */
}

/* ---- text ---- */

bool same_but_for_case(struct span a, struct span b)
{
	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++)
		if (tolower(a.data[i]) != tolower(b.data[i]))
			return false;

	return true;
}

/* ---- json ---- */

struct span json_text(uint32_t type, uint16_t format, struct span s)
{
	/* jsonb_send: a version byte first */
	return type == TYPE_JSONB && format == FORMAT_BINARY && s.len > 0
		       ? span_of(s.data + 1, s.len - 1)
		       : s;
}

bool same_json(uint32_t type, uint16_t format, struct span a, struct span b)
{
	return json_same_value(json_text(type, format, a), json_text(type, format, b));
}

/* Arrays and records in binary begin with a small number, labels and texts never with a zero. */
static bool compound(uint16_t format, struct span s)
{
	return format == FORMAT_BINARY && s.len >= 8 && s.data[0] == 0;
}

enum cell_order cell_compare_key(uint32_t type, uint16_t format, struct span a, struct span b)
{
	bool same = false;

	if (span_equal(a, b))
		return CELL_SAME;
	if (!a.data || !b.data)
		return CELL_OTHER;
	switch (type) {
	case TYPE_NUMERIC: same = numeric_same_value(format, a, b); break;
	case TYPE_FLOAT4:
	case TYPE_FLOAT8: same = float_same_value(type, format, a, b); break;
	case TYPE_BPCHAR: same = span_equal(blanks_trimmed(a), blanks_trimmed(b)); break;
	case TYPE_JSONB: same = same_json(type, format, a, b); break;
	case 0:
	case TYPE_INTERVAL:
	case TYPE_TIMETZ:
	case TYPE_RECORD:
	case TYPE_RECORD_ARRAY:
	case TYPE_ANYARRAY:
	case TYPE_NUMRANGE:
	case TYPE_NUMERIC_ARRAY:
	case TYPE_FLOAT4_ARRAY:
	case TYPE_FLOAT8_ARRAY:
	case TYPE_BPCHAR_ARRAY:
	case TYPE_INTERVAL_ARRAY: return CELL_UNSURE;
	default:
		/* citext and its like; enums and other user types are decided by their bytes */
		if (type >= TYPE_FIRST_USER &&
			(same_but_for_case(a, b) || compound(format, a) || compound(format, b)))
			return CELL_UNSURE;
	}

	return same ? CELL_SAME : CELL_OTHER;
}

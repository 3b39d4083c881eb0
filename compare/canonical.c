#include "compare/canonical.h"

#include "compare/cells.h"

enum { DEPTH_LIMIT = 8, DIMENSIONS_LIMIT = 6, FIELDS_LIMIT = 1664 };

static bool may_carry_oids(uint32_t type)
{
	return type >= TYPE_FIRST_USER || type == TYPE_RECORD || type == TYPE_RECORD_ARRAY ||
	       type == TYPE_ANYARRAY;
}

bool canonical_needed(const struct result *r)
{
	for (unsigned i = 0; i < r->ncolumns; i++)
		if (r->columns[i].format == 1 && may_carry_oids(r->columns[i].type_oid))
			return true;

	return false;
}

static void canonical_value(
	struct buffer *b, struct span v, const struct type_names *names, unsigned depth);

/* False: the type has no known name. */
static bool add_type(struct buffer *b, uint32_t oid, const struct type_names *names)
{
	const char *name;

	if (oid < TYPE_FIRST_USER) {
		buffer_add_u8(b, 'o');
		buffer_add_u32(b, oid);
		return true;
	}
	name = names->name ? names->name(names->self, oid) : NULL;
	if (!name)
		return false;
	buffer_add_u8(b, 'n');
	buffer_add_cstr(b, name);

	return true;
}

static void add_inner(struct buffer *b, uint32_t type, struct span v,
	const struct type_names *names, unsigned depth)
{
	if (v.data && may_carry_oids(type)) {
		canonical_value(b, v, names, depth + 1);
		return;
	}
	buffer_add_u32(b, v.data ? (uint32_t)v.len : UINT32_MAX);
	buffer_add_span(b, v);
}

/* array_send: dimensions, flags, element type, (length, lower bound) each, elements. */
static bool canonical_array(
	struct buffer *b, struct span v, const struct type_names *names, unsigned depth)
{
	struct reader r = reader_over(v);
	uint32_t dimensions = read_u32(&r), flags = read_u32(&r), type = read_u32(&r);
	uint64_t elements = dimensions > 0;

	if (r.bad || dimensions > DIMENSIONS_LIMIT || flags > 1 || !may_carry_oids(type))
		return false;
	buffer_add_u8(b, 'A');
	buffer_add_u32(b, dimensions);
	if (!add_type(b, type, names))
		return false;
	for (uint32_t i = 0; i < dimensions; i++) {
		uint32_t length = read_u32(&r);

		buffer_add_u32(b, length);
		buffer_add_u32(b, read_u32(&r));
		if (length > v.len || (elements *= length) > v.len)
			return false;
	}
	for (uint64_t i = 0; i < elements && !r.bad; i++)
		add_inner(b, type, read_value(&r), names, depth);

	return reader_done(&r);
}

/* record_send: fields, then type and value of each. */
static bool canonical_record(
	struct buffer *b, struct span v, const struct type_names *names, unsigned depth)
{
	struct reader r = reader_over(v);
	uint32_t fields = read_u32(&r);

	if (r.bad || fields == 0 || fields > FIELDS_LIMIT)
		return false;
	buffer_add_u8(b, 'R');
	buffer_add_u32(b, fields);
	for (uint32_t i = 0; i < fields && !r.bad; i++) {
		uint32_t type = read_u32(&r);

		if (!add_type(b, type, names))
			return false;
		add_inner(b, type, read_value(&r), names, depth);
	}

	return reader_done(&r);
}

static void canonical_value(
	struct buffer *b, struct span v, const struct type_names *names, unsigned depth)
{
	size_t start = b->len;

	if (depth < DEPTH_LIMIT) {
		if (canonical_array(b, v, names, depth))
			return;
		b->len = start;
		if (canonical_record(b, v, names, depth))
			return;
		b->len = start;
	}
	buffer_add_u8(b, 'V');
	buffer_add_u32(b, (uint32_t)v.len);
	buffer_add_span(b, v);
}

void canonical_row(struct buffer *b, const struct result *r, struct span data_row,
	const struct type_names *names)
{
	struct reader values;
	uint16_t n;

	if (!parse_data_row(data_row, &n, &values)) {
		buffer_add_span(b, data_row);
		return;
	}
	buffer_add_u16(b, n);
	for (uint16_t i = 0; i < n; i++) {
		struct span v = read_value(&values);
		bool binary = i < r->ncolumns && r->columns[i].format == 1;

		add_inner(b, binary ? r->columns[i].type_oid : 0, v, names, 0);
	}
}

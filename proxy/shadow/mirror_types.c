#include "proxy/shadow/mirror_types.h"

#include "protocol/reader.h"
#include <stdlib.h>

struct walk {
	const struct type_translation *translation;
	const char *database;
};

/* What is left of a value, to be written into. */
struct bytes {
	uint8_t *at;
	size_t left;
};

static uint32_t translate(const struct walk *w, uint32_t oid)
{
	if (oid < TYPE_FIRST_USER)
		return oid;

	return w->translation->translate(w->translation->self, w->database, oid);
}

/* --- values --- */

static bool skip(struct bytes *b, size_t n)
{
	if (b->left < n)
		return false;
	b->at += n;
	b->left -= n;

	return true;
}

static bool take_u32(struct bytes *b, uint32_t *value)
{
	const uint8_t *p = b->at;

	if (!skip(b, 4))
		return false;
	*value = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];

	return true;
}

static bool take_type(const struct walk *w, struct bytes *b, uint32_t *type)
{
	uint8_t *place = b->at;
	uint32_t there;

	if (!take_u32(b, type))
		return false;
	there = translate(w, *type);
	for (int i = 0; i < 4; i++)
		place[i] = (uint8_t)(there >> (24 - 8 * i));

	return true;
}

static bool value_of(const struct walk *w, struct bytes b, uint32_t type, int depth);

/* Length and bytes; NULL is the length -1. */
static bool take_value(const struct walk *w, struct bytes *b, uint32_t type, int depth)
{
	struct bytes inner = {0};
	uint32_t length;

	if (!take_u32(b, &length))
		return false;
	if (length == UINT32_MAX)
		return true;
	inner = (struct bytes){b->at, length};

	return skip(b, length) && value_of(w, inner, type, depth);
}

/* array_send: dimensions, a flag, the elements' type, each dimension's length and lower bound. */
static bool array_of(const struct walk *w, struct bytes b, int depth)
{
	uint32_t dimensions, flags, type;

	if (!take_u32(&b, &dimensions) || !take_u32(&b, &flags) || !take_type(w, &b, &type) ||
		dimensions > 6 || !skip(&b, (size_t)dimensions * 8))
		return false;
	if (type < TYPE_FIRST_USER)
		return true;
	while (b.left > 0)
		if (!take_value(w, &b, type, depth))
			return false;

	return true;
}

/* record_send: the number of fields, of each its type and value. */
static bool composite_of(const struct walk *w, struct bytes b, int depth)
{
	uint32_t fields, type;

	if (!take_u32(&b, &fields))
		return false;
	for (; fields > 0; fields--)
		if (!take_type(w, &b, &type) || !take_value(w, &b, type, depth))
			return false;

	return true;
}

/* range_send: flags, then the bounds that there are; multirange_send: a count, then the ranges. */
static bool bounds_of(
	const struct walk *w, struct bytes b, size_t header, uint32_t inner, int depth)
{
	if (!skip(&b, header))
		return false;
	while (b.left > 0)
		if (!take_value(w, &b, inner, depth))
			return false;

	return true;
}

static bool value_of(const struct walk *w, struct bytes b, uint32_t type, int depth)
{
	const struct type_translation *t = w->translation;
	uint32_t inner = 0;

	if (type < TYPE_FIRST_USER)
		return true;
	if (depth == TYPE_DEPTH_MAX)
		return false;
	switch (t->build(t->self, w->database, type, &inner)) {
	case TYPE_ENUM:
	case TYPE_SIMPLE: return true;
	case TYPE_DOMAIN: return value_of(w, b, inner, depth + 1);
	case TYPE_ARRAY: return array_of(w, b, depth + 1);
	case TYPE_COMPOSITE: return composite_of(w, b, depth + 1);
	case TYPE_RANGE: return bounds_of(w, b, 1, inner, depth + 1);
	case TYPE_MULTIRANGE: return bounds_of(w, b, 4, inner, depth + 1);
	}

	return false;
}

/* --- parameters --- */

/* What the primary says of the parameter, else what the client said. */
static uint32_t value_type(const struct dark_read *read, uint16_t i)
{
	if (i < read->nvalue_types)
		return read->value_types[i];

	return i < read->nparam_types ? read->param_types[i] : 0;
}

static bool is_binary(const struct dark_read *read, uint16_t i)
{
	uint16_t at = read->nparam_formats == 1 ? 0 : i;

	return at < read->nparam_formats && read->param_formats[at] == 1;
}

/* May the value hold numbers of types? */
static bool is_built(const struct walk *w, const struct dark_read *read, uint16_t i)
{
	const struct type_translation *t = w->translation;
	uint32_t type = value_type(read, i), inner;

	return type >= TYPE_FIRST_USER && read->params[i].data && is_binary(read, i) &&
	       t->build(t->self, w->database, type, &inner) != TYPE_SIMPLE &&
	       t->build(t->self, w->database, type, &inner) != TYPE_ENUM;
}

static bool copy_types(
	struct typed_parameters *p, const struct walk *w, const struct dark_read *read)
{
	bool foreign = false;

	for (uint16_t i = 0; i < read->nparam_types; i++)
		foreign |= read->param_types[i] >= TYPE_FIRST_USER;
	if (!foreign)
		return true;
	p->own_types = calloc(read->nparam_types, sizeof *p->own_types);
	if (!p->own_types)
		return false;
	for (uint16_t i = 0; i < read->nparam_types; i++)
		p->own_types[i] = translate(w, read->param_types[i]);
	p->types = p->own_types;

	return true;
}

static bool copy_values(
	struct typed_parameters *p, const struct walk *w, const struct dark_read *read)
{
	size_t bytes = 0;
	uint8_t *at;

	for (uint16_t i = 0; i < read->nparams; i++)
		bytes += is_built(w, read, i) ? read->params[i].len : 0;
	if (bytes == 0)
		return true;
	p->own_values = calloc(read->nparams, sizeof *p->own_values);
	at = p->memory = malloc(bytes);
	if (!p->own_values || !p->memory)
		return false;
	for (uint16_t i = 0; i < read->nparams; i++) {
		p->own_values[i] = read->params[i];
		if (!is_built(w, read, i))
			continue;
		memcpy(at, read->params[i].data, read->params[i].len);
		(void)value_of(w, (struct bytes){at, read->params[i].len}, value_type(read, i), 0);
		p->own_values[i] = span_of(at, read->params[i].len);
		at += read->params[i].len;
	}
	p->values = p->own_values;

	return true;
}

bool typed_parameters_init(
	struct typed_parameters *p, const struct type_translation *t, const struct dark_read *read)
{
	const struct walk w = {.translation = t, .database = read->database};

	*p = (struct typed_parameters){.types = read->param_types, .values = read->params};
	if (!t || !t->translate || (copy_types(p, &w, read) && copy_values(p, &w, read)))
		return true;
	typed_parameters_release(p);
	p->types = read->param_types;
	p->values = read->params;

	return false;
}

void typed_parameters_release(struct typed_parameters *p)
{
	free(p->own_types);
	free(p->own_values);
	free(p->memory);
	*p = (struct typed_parameters){0};
}

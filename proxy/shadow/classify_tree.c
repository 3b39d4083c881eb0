#include "proxy/shadow/classify_parts.h"

static void *const *array_of(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
	return *(void *const *const *)((const char *)m + f->offset);
}

static size_t count_of(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
	return *(const size_t *)((const char *)m + f->quantifier_offset);
}

/* The only or repeated messages of a field; 0 if it is of another type or absent. */
size_t field_messages(
	const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f, void *const **out)
{
	if (f->type != PROTOBUF_C_TYPE_MESSAGE)
		return 0;
	if (f->label == PROTOBUF_C_LABEL_REPEATED) {
		*out = array_of(m, f);
		return count_of(m, f);
	}
	if ((f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) &&
		*(const uint32_t *)((const char *)m + f->quantifier_offset) != f->id)
		return 0;
	*out = (void *const *)((const char *)m + f->offset);

	return **out ? 1 : 0;
}

/* The fields to look at: of a Node, with its 250 alternatives, only the one that is set. */
void field_range(const ProtobufCMessage *m, unsigned *first, unsigned *end)
{
	const ProtobufCFieldDescriptor *f;

	*first = 0;
	*end = m->descriptor->n_fields;
	if (m->descriptor != &pg_query__node__descriptor)
		return;
	f = protobuf_c_message_descriptor_get_field(
		m->descriptor, (unsigned)((const PgQuery__Node *)m)->node_case);
	*first = f ? (unsigned)(f - m->descriptor->fields) : 0;
	*end = f ? *first + 1 : 0;
}

const ProtobufCMessage *node_message(const PgQuery__Node *node)
{
	void *const *child;
	unsigned first, end;

	if (!node)
		return NULL;
	field_range(&node->base, &first, &end);
	if (first == end ||
		field_messages(&node->base, &node->base.descriptor->fields[first], &child) == 0)
		return NULL;

	return *child;
}

const char *node_string(const PgQuery__Node *node)
{
	return node && node->node_case == PG_QUERY__NODE__NODE_STRING ? node->string->sval : NULL;
}

const char *list_name(PgQuery__Node *const *names, size_t count, const char **schema)
{
	const char *name = count > 0 ? node_string(names[count - 1]) : NULL;

	if (schema)
		*schema = count > 1 ? node_string(names[count - 2]) : NULL;

	return name ? name : "";
}

bool tree_temporary(const ProtobufCMessage *m)
{
	void *const *child;
	unsigned first, end;

	if (m->descriptor == &pg_query__range_var__descriptor &&
		strcmp(((const PgQuery__RangeVar *)m)->relpersistence, "t") == 0)
		return true;
	for (field_range(m, &first, &end); first < end; first++) {
		const ProtobufCFieldDescriptor *f = &m->descriptor->fields[first];

		if (f->type == PROTOBUF_C_TYPE_STRING && f->label != PROTOBUF_C_LABEL_REPEATED &&
			!(f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) &&
			schema_is_temporary(*(char *const *)((const char *)m + f->offset)))
			return true;
		for (size_t n = field_messages(m, f, &child); n > 0; n--, child++)
			if (*child && tree_temporary(*child))
				return true;
	}
	return false;
}

static bool scalar_equal(
	const ProtobufCMessage *a, const ProtobufCMessage *b, const ProtobufCFieldDescriptor *f)
{
	const char *x = (const char *)a + f->offset, *y = (const char *)b + f->offset;
	size_t size = 4;

	switch (f->type) {
	case PROTOBUF_C_TYPE_STRING: return strcmp(*(char *const *)x, *(char *const *)y) == 0;
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_DOUBLE: size = 8; break;
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_ENUM:
	case PROTOBUF_C_TYPE_BOOL: break;
	default: return false; /* doubt is a difference */
	}
	return memcmp(x, y, size) == 0;
}

static bool field_equal(
	const ProtobufCMessage *a, const ProtobufCMessage *b, const ProtobufCFieldDescriptor *f)
{
	void *const *x, *const *y;
	size_t n;

	if (strcmp(f->name, "location") == 0)
		return true;
	if (f->type != PROTOBUF_C_TYPE_MESSAGE)
		return f->label != PROTOBUF_C_LABEL_REPEATED && scalar_equal(a, b, f);
	n = field_messages(a, f, &x);
	if (field_messages(b, f, &y) != n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!tree_equal(x[i], y[i]))
			return false;
	return true;
}

bool tree_equal(const ProtobufCMessage *a, const ProtobufCMessage *b)
{
	unsigned first, end, first_b, end_b;

	if (!a || !b)
		return a == b;
	if (a->descriptor != b->descriptor)
		return false;
	field_range(a, &first, &end);
	field_range(b, &first_b, &end_b);
	if (first != first_b || end != end_b)
		return false;
	for (; first < end; first++)
		if (!field_equal(a, b, &a->descriptor->fields[first]))
			return false;
	return true;
}

bool tree_any(const ProtobufCMessage *m, bool (*is)(const void *self, const ProtobufCMessage *m),
	const void *self)
{
	void *const *child;
	unsigned first, end;

	if (is(self, m))
		return true;
	for (field_range(m, &first, &end); first < end; first++)
		for (size_t n = field_messages(m, &m->descriptor->fields[first], &child); n > 0;
			n--, child++)
			if (*child && tree_any(*child, is, self))
				return true;

	return false;
}

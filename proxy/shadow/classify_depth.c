#include "proxy/shadow/classify_parts.h"

#include <stdlib.h>

/* Wire types of the protocol buffers encoding. */
enum { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

struct level {
	size_t end;
	const ProtobufCMessageDescriptor *type;
};

/* The levels are a stack on the heap: what is measured here bounds recursion elsewhere. */
struct depth {
	const uint8_t *data;
	size_t at;
	struct level *level;
	size_t levels, limit;
};

static bool read_varint(struct depth *d, size_t end, uint64_t *value)
{
	*value = 0;
	for (int shift = 0; shift < 64 && d->at < end; shift += 7) {
		uint8_t byte = d->data[d->at++];

		*value |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return true;
	}
	return false;
}

static bool skip(struct depth *d, size_t end, uint64_t count)
{
	if (count > end - d->at)
		return false;
	d->at += (size_t)count;

	return true;
}

static bool enter(struct depth *d, size_t end, const ProtobufCMessageDescriptor *type)
{
	if (d->levels == d->limit)
		return false;
	d->level[d->levels++] = (struct level){.end = end, .type = type};

	return true;
}

/* Passes one field of the innermost message, or enters it. */
static bool step(struct depth *d)
{
	struct level top = d->level[d->levels - 1];
	const ProtobufCFieldDescriptor *field;
	uint64_t tag, value;

	if (!read_varint(d, top.end, &tag))
		return false;
	switch (tag & 7) {
	case WIRE_VARINT: return read_varint(d, top.end, &value);
	case WIRE_FIXED64: return skip(d, top.end, 8);
	case WIRE_FIXED32: return skip(d, top.end, 4);
	case WIRE_BYTES: break;
	default: return false;
	}
	if (!read_varint(d, top.end, &value) || value > top.end - d->at)
		return false;
	field = protobuf_c_message_descriptor_get_field(top.type, (unsigned)(tag >> 3));
	if (field && field->type == PROTOBUF_C_TYPE_MESSAGE)
		return enter(d, d->at + (size_t)value, field->descriptor);

	return skip(d, top.end, value);
}

bool depth_within(struct span packed, const ProtobufCMessageDescriptor *type, size_t limit)
{
	struct depth d = {.data = packed.data, .limit = limit};
	bool ok;

	d.level = malloc(limit * sizeof *d.level);
	ok = d.level && enter(&d, packed.len, type);
	while (ok && d.levels > 0) {
		if (d.at == d.level[d.levels - 1].end)
			d.levels--;
		else
			ok = step(&d);
	}
	free(d.level);

	return ok;
}

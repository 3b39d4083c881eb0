#include "proxy/relay/sasl.h"

#include "protocol/message.h"

enum { AUTHENTICATION_SASL = 10 };

void sasl_init(struct sasl *s, size_t chunk_bytes)
{
	*s = (struct sasl){0};
	buffer_init(&s->held, chunk_bytes + SASL_MESSAGE_MAX + MESSAGE_HEADER);
}

void sasl_release(struct sasl *s)
{
	buffer_release(&s->held);
}

static bool binds_channel(struct span name)
{
	static const char ending[] = "-PLUS";
	const size_t len = sizeof ending - 1;

	return name.len > len && memcmp(name.data + name.len - len, ending, len) == 0;
}

/* The names that remain, as a list of the wire; false when the body is no such list, nothing is to
 * be taken off it, or nothing would remain. */
static bool plain_mechanisms(struct span body, struct buffer *names)
{
	struct reader r = reader_over(body);
	unsigned kept = 0, taken_off = 0;

	if (read_u32(&r) != AUTHENTICATION_SASL)
		return false;
	for (;;) {
		struct span name = read_cstr(&r);

		if (r.bad || name.len == 0)
			break;
		if (binds_channel(name)) {
			taken_off++;
			continue;
		}
		kept++;
		buffer_add_span_z(names, name);
	}
	buffer_add_u8(names, 0);

	return reader_done(&r) && kept > 0 && taken_off > 0;
}

static void add_request(struct span message, struct buffer *out)
{
	struct buffer names;

	buffer_init(&names, SASL_MESSAGE_MAX);
	if (plain_mechanisms(
		    span_of(message.data + MESSAGE_HEADER, message.len - MESSAGE_HEADER), &names) &&
		!names.failed) {
		buffer_add_u8(out, BACK_AUTHENTICATION);
		buffer_add_u32(out, (uint32_t)(8 + names.len));
		buffer_add_u32(out, AUTHENTICATION_SASL);
		buffer_add_span(out, buffer_span(&names));
	} else {
		out->failed |= names.failed;
		buffer_add_span(out, message);
	}
	buffer_release(&names);
}

/* One message of what is held; false when it has not come whole. */
static bool pass_message(struct sasl *s, struct buffer *out)
{
	const uint8_t *p = s->held.data;
	uint32_t length;

	if (s->held.len < MESSAGE_HEADER)
		return false;
	length = (uint32_t)p[1] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 8 | p[4];
	if (length < 4 || length > SASL_MESSAGE_MAX) {
		s->done = true; /* no server says that before a login: it goes on as it is */
		return false;
	}
	if (s->held.len < (size_t)length + 1)
		return false;
	if (p[0] == BACK_AUTHENTICATION)
		add_request(span_of(p, (size_t)length + 1), out);
	else
		buffer_add(out, p, (size_t)length + 1);
	s->done = p[0] == BACK_AUTHENTICATION || p[0] == BACK_ERROR;
	buffer_consume(&s->held, (size_t)length + 1);

	return !s->done;
}

bool sasl_pass(struct sasl *s, struct span bytes, struct buffer *out)
{
	if (s->done) {
		buffer_add_span(out, bytes);
		return !out->failed;
	}
	buffer_add_span(&s->held, bytes);
	if (s->held.failed)
		return false;
	while (pass_message(s, out))
		;
	if (s->done) {
		buffer_add_span(out, buffer_span(&s->held));
		buffer_release(&s->held);
	}

	return !out->failed;
}

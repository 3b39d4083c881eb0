#include "protocol/proxy_header.h"

#include "protocol/reader.h"
#include <arpa/inet.h>
#include <string.h>

enum { V1_MAX = 107, V2_FIXED = 16, V2_VERSION = 2, V2_LOCAL = 0, V2_PROXY = 1, SIGNATURE = 12 };

static const char v1_start[] = "PROXY ";
static const char v2_signature[] = "\r\n\r\n\0\r\nQUIT\n";

/* Are the bytes the begin of `whole`, or it the begin of them? */
static bool agrees(struct span bytes, const char *whole, size_t len)
{
	return memcmp(bytes.data, whole, bytes.len < len ? bytes.len : len) == 0;
}

/* --- version 1: PROXY TCP4|TCP6 source destination port port CRLF, PROXY UNKNOWN ... CRLF --- */

/* The next word; single spaces stand between them, none at the end. */
static bool take_word(char **at, char **word)
{
	*word = *at;
	if (!*word)
		return false;
	*at = strchr(*word, ' ');
	if (*at)
		*(*at)++ = '\0';

	return **word != '\0';
}

/* Decimal without leading zeros. */
static bool parse_port(const char *text, uint16_t *out)
{
	unsigned long value = 0;

	if (strlen(text) > 5 || (text[0] == '0' && text[1]))
		return false;
	for (const char *p = text; *p; p++) {
		if (*p < '0' || *p > '9')
			return false;
		value = value * 10 + (unsigned long)(*p - '0');
	}
	*out = (uint16_t)value;

	return *text && value <= UINT16_MAX;
}

static bool parse_line(char *line, struct proxy_header *out)
{
	char *at = line, *protocol, *source, *destination, *source_port, *destination_port;
	uint8_t other[16];
	uint16_t other_port;
	int family;

	if (!take_word(&at, &protocol))
		return false;
	if (strcmp(protocol, "UNKNOWN") == 0)
		return true; /* whatever follows */
	if (strcmp(protocol, "TCP4") == 0)
		out->version = 4;
	else if (strcmp(protocol, "TCP6") == 0)
		out->version = 6;
	else
		return false;
	family = out->version == 4 ? AF_INET : AF_INET6;

	return take_word(&at, &source) && take_word(&at, &destination) &&
	       take_word(&at, &source_port) && take_word(&at, &destination_port) && !at &&
	       inet_pton(family, source, out->address) == 1 &&
	       inet_pton(family, destination, other) == 1 && parse_port(source_port, &out->port) &&
	       parse_port(destination_port, &other_port);
}

static enum proxy_header_result parse_v1(struct span bytes, struct proxy_header *out)
{
	const size_t start = sizeof v1_start - 1;
	const size_t looked = bytes.len < V1_MAX ? bytes.len : V1_MAX;
	const uint8_t *end = memchr(bytes.data, '\n', looked);
	char line[V1_MAX + 1];
	size_t len;

	if (!end)
		return bytes.len < V1_MAX ? PROXY_HEADER_MORE : PROXY_HEADER_BAD;
	out->length = (size_t)(end - bytes.data) + 1;
	if (out->length < start + 2 || end[-1] != '\r')
		return PROXY_HEADER_BAD;
	len = out->length - start - 2;
	memcpy(line, bytes.data + start, len);
	line[len] = '\0';
	if (strlen(line) != len || strchr(line, '\r'))
		return PROXY_HEADER_BAD;

	return parse_line(line, out) ? PROXY_HEADER_OK : PROXY_HEADER_BAD;
}

/* --- version 2 --- */

/* 0x11, 0x21: over TCP; other transports and families announce nobody that we could name. */
static bool read_addresses(struct reader *r, unsigned family, struct proxy_header *out)
{
	const size_t size = family == 0x11 ? 4 : 16;
	struct span source;

	if (family != 0x11 && family != 0x21)
		return family == 0x00 || family == 0x12 || family == 0x22 || family == 0x31 ||
		       family == 0x32;
	source = read_bytes(r, size);
	(void)read_bytes(r, size); /* the destination */
	out->port = read_u16(r);
	(void)read_u16(r);
	if (r->bad)
		return false;
	memcpy(out->address, source.data, size);
	out->version = family == 0x11 ? 4 : 6;

	return true;
}

static enum proxy_header_result parse_v2(struct span bytes, struct proxy_header *out)
{
	struct reader r;
	unsigned command, family, version;

	if (bytes.len < V2_FIXED)
		return PROXY_HEADER_MORE;
	r = reader_over(span_of(bytes.data + SIGNATURE, bytes.len - SIGNATURE));
	command = read_u8(&r);
	family = read_u8(&r);
	version = command >> 4;
	command &= 15;
	out->length = V2_FIXED + (size_t)read_u16(&r);
	if (version != V2_VERSION || command > V2_PROXY || out->length > PROXY_HEADER_MAX)
		return PROXY_HEADER_BAD;
	if (bytes.len < out->length)
		return PROXY_HEADER_MORE;
	if (command == V2_LOCAL)
		return PROXY_HEADER_OK; /* the balancer's own connection, a health check */
	r = reader_over(span_of(bytes.data + V2_FIXED, out->length - V2_FIXED));

	return read_addresses(&r, family, out) ? PROXY_HEADER_OK : PROXY_HEADER_BAD;
}

enum proxy_header_result proxy_header_parse(struct span bytes, struct proxy_header *out)
{
	*out = (struct proxy_header){0};
	if (bytes.len == 0)
		return PROXY_HEADER_MORE;
	if (agrees(bytes, v2_signature, SIGNATURE))
		return parse_v2(bytes, out);
	if (!agrees(bytes, v1_start, sizeof v1_start - 1))
		return PROXY_HEADER_BAD;

	return parse_v1(bytes, out);
}

/* PROXY headers: good ones, every truncation, bytes behind them, and what is none. */
#include "protocol/proxy_header.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define TEXT(literal) literal, sizeof literal - 1

static const struct good {
	const char *bytes;
	size_t len;
	unsigned version;
	uint8_t address[16];
	uint16_t port;
} good[] = {
	{TEXT("PROXY TCP4 192.0.2.7 198.51.100.1 56324 6432\r\n"), 4, {192, 0, 2, 7}, 56324},
	{TEXT("PROXY TCP4 255.255.255.255 255.255.255.255 65535 0\r\n"), 4, {255, 255, 255, 255},
		65535},
	{TEXT("PROXY TCP6 2001:db8::7 ::1 1 2\r\n"), 6, {0x20, 0x01, 0x0d, 0xb8, [15] = 7}, 1},
	{TEXT("PROXY UNKNOWN\r\n"), 0, {0}, 0},
	{TEXT("PROXY UNKNOWN whatever it is 1 2 3\r\n"), 0, {0}, 0},
	{TEXT(SIGNATURE "\x21\x11\0\x0c\xc0\0\x02\x07\xc6\x33\x64\x01\xdc\x04\x19\x20"), 4,
		{192, 0, 2, 7}, 56324},
	{TEXT(SIGNATURE "\x21\x11\0\x10\xc0\0\x02\x07\xc6\x33\x64\x01\xdc\x04\x19\x20TLV!"), 4,
		{192, 0, 2, 7}, 56324},
	{TEXT(SIGNATURE "\x21\x21\0\x24\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07"
			"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\x01\0\x02"),
		6, {0x20, 0x01, 0x0d, 0xb8, [15] = 7}, 1},
	{TEXT(SIGNATURE "\x20\0\0\0"), 0, {0}, 0},	 /* LOCAL */
	{TEXT(SIGNATURE "\x20\x11\0\x02zz"), 0, {0}, 0}, /* LOCAL: addresses don't count */
	{TEXT(SIGNATURE "\x21\0\0\x03zzz"), 0, {0}, 0},	 /* UNSPEC */
};

static const struct {
	const char *bytes;
	size_t len;
} bad[] = {
	{TEXT("\0\0\0\x08\x04\xd2\x16\x2f")}, /* a client's SSLRequest */
	{TEXT("\x16\x03\x01")},		      /* TLS */
	{TEXT("proxy TCP4 192.0.2.7 198.51.100.1 1 2\r\n")},
	{TEXT("PROXY  TCP4 192.0.2.7 198.51.100.1 1 2\r\n")},
	{TEXT("PROXY TCP4 192.0.2.7 198.51.100.1 1 2\n")},
	{TEXT("PROXY TCP4 192.0.2.7 198.51.100.1 1 2\rx\r\n")},
	{TEXT("PROXY TCP4 192.0.2.7 198.51.100.1 1 2 \r\n")},
	{TEXT("PROXY TCP4 192.0.2.7 198.51.100.1 1 2 3\r\n")},
	{TEXT("PROXY TCP4 192.0.2.7 198.51.100.1 1\r\n")},
	{TEXT("PROXY TCP4 192.0.2.7\0 198.51.100.1 1 2\r\n")},
	{TEXT("PROXY TCP4 192.0.2 198.51.100.1 1 2\r\n")},
	{TEXT("PROXY TCP4 ::1 ::1 1 2\r\n")},
	{TEXT("PROXY TCP6 192.0.2.7 198.51.100.1 1 2\r\n")},
	{TEXT("PROXY TCP4 192.0.2.7 198.51.100.1 65536 2\r\n")},
	{TEXT("PROXY TCP4 192.0.2.7 198.51.100.1 01 2\r\n")},
	{TEXT("PROXY TCP4 192.0.2.7 198.51.100.1 -1 2\r\n")},
	{TEXT("PROXY TCP5 192.0.2.7 198.51.100.1 1 2\r\n")},
	{TEXT("PROXY \r\n")},
	{TEXT(SIGNATURE "\x11\x11\0\x0c\xc0\0\x02\x07\xc6\x33\x64\x01\xdc\x04\x19\x20")},
	{TEXT(SIGNATURE "\x22\x11\0\x0c\xc0\0\x02\x07\xc6\x33\x64\x01\xdc\x04\x19\x20")},
	{TEXT(SIGNATURE "\x21\x11\0\x0b\xc0\0\x02\x07\xc6\x33\x64\x01\xdc\x04\x19")},
	{TEXT(SIGNATURE "\x21\x21\0\x0c\xc0\0\x02\x07\xc6\x33\x64\x01\xdc\x04\x19\x20")},
	{TEXT(SIGNATURE "\x21\x41\0\0")},
	{TEXT(SIGNATURE "\x21\x11\x02\x09")}, /* longer than accepted: refused at its length */
	{TEXT(SIGNATURE "\x21\x11\xff\xff")},
};

/* In memory of its own size, so that a sanitizer sees each byte too many that is read. */
static enum proxy_header_result parse(const char *bytes, size_t len, struct proxy_header *out)
{
	uint8_t *copy = malloc(len + (len == 0));
	enum proxy_header_result result;

	memcpy(copy, bytes, len);
	result = proxy_header_parse(span_of(copy, len), out);
	free(copy);

	return result;
}

static void good_headers_say_who_the_client_is(void **state)
{
	struct proxy_header h;
	char more[200];

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		const struct good *g = &good[i];

		memcpy(more, g->bytes, g->len);
		memcpy(more + g->len, "\0\0\0\x08\n", 5); /* the client's first bytes */
		for (size_t extra = 0; extra <= 5; extra++) {
			assert_int_equal(parse(more, g->len + extra, &h), PROXY_HEADER_OK);
			assert_int_equal(h.length, g->len);
			assert_int_equal(h.version, g->version);
			assert_int_equal(h.port, g->port);
			assert_memory_equal(h.address, g->address, sizeof h.address);
		}
	}
}

static void every_truncation_asks_for_more(void **state)
{
	struct proxy_header h;

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		for (size_t len = 0; len < good[i].len; len++)
			assert_int_equal(parse(good[i].bytes, len, &h), PROXY_HEADER_MORE);
	}
}

static void what_is_no_header_is_refused(void **state)
{
	struct proxy_header h;
	char long_line[200];

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(parse(bad[i].bytes, bad[i].len, &h), PROXY_HEADER_BAD);
	memset(long_line, 'x', sizeof long_line);
	memcpy(long_line, TEXT("PROXY UNKNOWN "));
	assert_int_equal(parse(long_line, 106, &h), PROXY_HEADER_MORE);
	assert_int_equal(parse(long_line, 107, &h), PROXY_HEADER_BAD);
	memcpy(long_line + 105, TEXT("\r\n"));
	assert_int_equal(parse(long_line, 150, &h), PROXY_HEADER_OK);
	assert_int_equal(h.length, 107);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_headers_say_who_the_client_is),
		cmocka_unit_test(every_truncation_asks_for_more),
		cmocka_unit_test(what_is_no_header_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* A header that is accepted is whole: each of its beginnings asks for more, nothing behind it
 * matters, and it is no longer than allowed. */
#include "protocol/proxy_header.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct proxy_header whole, part;

	if (proxy_header_parse(span_of(data, size), &whole) != PROXY_HEADER_OK)
		return 0;
	assert(whole.length <= size && whole.length <= PROXY_HEADER_MAX);
	for (size_t len = 0; len < whole.length; len++)
		assert(proxy_header_parse(span_of(data, len), &part) == PROXY_HEADER_MORE);
	assert(proxy_header_parse(span_of(data, whole.length), &part) == PROXY_HEADER_OK);
	assert(memcmp(&part.address, &whole.address, sizeof part.address) == 0);

	return 0;
}

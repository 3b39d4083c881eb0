#include "conf/network.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <string.h>

static bool parse_bits(const char *text, unsigned most, unsigned *out)
{
	*out = 0;
	if (!*text || strlen(text) > 3)
		return false;
	for (; *text; text++) {
		if (!isdigit((unsigned char)*text))
			return false;
		*out = *out * 10 + (unsigned)(*text - '0');
	}

	return *out <= most;
}

static bool parse_network(char *text, struct network *out)
{
	char *slash = strchr(text, '/');
	unsigned most;

	*out = (struct network){0};
	if (strcmp(text, "unix") == 0) {
		out->family = AF_UNIX;
		return true;
	}
	if (slash)
		*slash = '\0';
	if (inet_pton(AF_INET, text, out->address) == 1)
		out->family = AF_INET;
	else if (inet_pton(AF_INET6, text, out->address) == 1)
		out->family = AF_INET6;
	else
		return false;
	most = out->family == AF_INET ? 32 : 128;
	out->bits = most;

	return !slash || parse_bits(slash + 1, most, &out->bits);
}

bool networks_parse(const char *list, struct networks *out, size_t *entry)
{
	char text[64];

	out->count = 0;
	*entry = 0;
	while (*list) {
		const char *start = list + strspn(list, " \t");
		size_t len = strcspn(start, ",");

		list = start[len] ? start + len + 1 : start + len;
		while (len > 0 && isspace((unsigned char)start[len - 1]))
			len--;
		++*entry;
		if (len == 0 || len >= sizeof text || out->count == NETWORKS_MAX)
			return false;
		memcpy(text, start, len);
		text[len] = '\0';
		if (!parse_network(text, &out->network[out->count]))
			return false;
		out->count++;
	}

	return true;
}

static bool same_bits(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	const unsigned whole = bits / 8, rest = bits % 8;

	return memcmp(a, b, whole) == 0 && (rest == 0 || (a[whole] ^ b[whole]) >> (8 - rest) == 0);
}

bool networks_have(const struct networks *n, const struct sockaddr *peer)
{
	int family = peer->sa_family;
	uint8_t address[16] = {0};
	struct in6_addr six;

	if (family == AF_INET) {
		memcpy(address, &((const struct sockaddr_in *)peer)->sin_addr, 4);
	} else if (family == AF_INET6) {
		six = ((const struct sockaddr_in6 *)peer)->sin6_addr;
		if (IN6_IS_ADDR_V4MAPPED(&six)) {
			family = AF_INET;
			memcpy(address, six.s6_addr + 12, 4);
		} else {
			memcpy(address, six.s6_addr, 16);
		}
	}
	for (size_t i = 0; i < n->count; i++) {
		if (n->network[i].family == family &&
			same_bits(n->network[i].address, address, n->network[i].bits))
			return true;
	}

	return false;
}

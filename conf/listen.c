#define _GNU_SOURCE 1 /* strchrnul, strcasestr */
#include "conf/listen.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static bool parse_port(const char *text, const char *end, uint16_t *out)
{
	unsigned value = 0;

	if (text == end || end - text > 5)
		return false;
	for (; text < end; text++) {
		if (!isdigit((unsigned char)*text))
			return false;
		value = value * 10 + (unsigned)(*text - '0');
	}
	*out = (uint16_t)value;

	return value <= 65535;
}

static bool host_is_local(const char *host)
{
	struct in_addr four;
	struct in6_addr six;

	if (inet_pton(AF_INET, host, &four) == 1)
		return ntohl(four.s_addr) >> 24 == 127;
	if (inet_pton(AF_INET6, host, &six) == 1)
		return IN6_IS_ADDR_LOOPBACK(&six);

	return strcmp(host, "localhost") == 0;
}

static bool every_interface(struct listen_address *out)
{
	out->host[0] = '*';
	out->host[1] = '\0';

	return true;
}

static bool parse_entry(
	const char *p, const char *end, struct listen_address *out, const char **why)
{
	const char *colon = end, *host = p, *host_end;
	struct in6_addr six;

	*why = "allowed: host:port, [v6]:port, /dir:port";
	while (colon > p && *colon != ':')
		colon--;
	if (*colon != ':' || !parse_port(colon + 1, end, &out->port))
		return false;
	host_end = colon;
	if (*host == '[') {
		if (host_end[-1] != ']')
			return false;
		host++;
		host_end--;
	}
	if ((host_end <= host && *p == '[') || (size_t)(host_end - host) >= sizeof out->host)
		return false;
	if (host_end == host) /* :port is every interface, as *:port */
		return every_interface(out);
	memcpy(out->host, host, (size_t)(host_end - host));
	out->host[host_end - host] = '\0';
	out->is_unix = *host == '/';
	out->is_local = out->is_unix || host_is_local(out->host);
	if (*p == '[')
		return inet_pton(AF_INET6, out->host, &six) == 1;
	*why = "an IPv6 address stands in brackets: [v6]:port";

	return out->is_unix || !strchr(out->host, ':');
}

bool listen_next(const char **list, struct listen_address *out, const char **why)
{
	const char *start = *list, *end = strchrnul(start, ',');

	*list = *end ? end + 1 : end;
	while (start < end && isspace((unsigned char)*start))
		start++;
	while (end > start && isspace((unsigned char)end[-1]))
		end--;
	memset(out, 0, sizeof *out);

	return parse_entry(start, end, out, why);
}

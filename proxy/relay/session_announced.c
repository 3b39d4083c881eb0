/* The PROXY header that listed peers must begin with: who the client is. */
#include "proxy/relay/session_internal.h"

#include "proxy/log.h"
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

void announced_init(struct session *s)
{
	const struct networks *from = &s->thread->shared->proxy_protocol_from;
	struct sockaddr_storage a;
	socklen_t len = sizeof a;

	s->header_due = from->count > 0 &&
			getpeername(s->client.fd, (struct sockaddr *)&a, &len) == 0 &&
			networks_have(from, (const struct sockaddr *)&a);
}

void announced_release(struct session *s)
{
	free(s->header);
	s->header = NULL;
	s->header_have = 0;
}

static void refuse(struct session *s)
{
	char peer[ADDRESS_TEXT_MAX];

	session_peer_name(s, peer, sizeof peer);
	relay_thread_tell_header(s->thread, peer);
	session_end(s); /* without a word: who it is isn't known */
}

static void take(struct session *s, const struct proxy_header *h)
{
	char peer[ADDRESS_TEXT_MAX], client[ADDRESS_TEXT_MAX];

	session_peer_name(s, peer, sizeof peer);
	if (h->version != 0) {
		s->announced = malloc(sizeof *s->announced);
		if (!s->announced) {
			session_end(s);
			return;
		}
		*s->announced = *h;
	}
	s->header_due = false;
	announced_release(s);
	session_peer_name(s, client, sizeof client);
	log_debug("%s announces %s", peer, h->version != 0 ? client : "itself");
}

/* Takes n bytes, which are there, out of the socket; the header's first part is kept. */
static bool consume(struct session *s, uint8_t *bytes, size_t n)
{
	if (recv(s->client.fd, bytes, n, 0) != (ssize_t)n)
		return false;
	if (!s->header)
		s->header = malloc(PROXY_HEADER_MAX);
	if (!s->header)
		return false;
	memcpy(s->header + s->header_have, bytes, n);
	s->header_have += (uint16_t)n;

	return true;
}

bool announced_continue(struct session *s)
{
	uint8_t bytes[PROXY_HEADER_MAX];
	const size_t have = s->header_have;
	struct proxy_header h;
	enum proxy_header_result result;
	ssize_t n;

	if (have > 0)
		memcpy(bytes, s->header, have);
	n = recv(s->client.fd, bytes + have, sizeof bytes - have, MSG_PEEK);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
		return false;
	if (n <= 0) {
		session_end(s); /* health checks do that */
		return false;
	}
	result = proxy_header_parse(span_of(bytes, have + (size_t)n), &h);
	if (result == PROXY_HEADER_BAD ||
		!consume(s, bytes + have, result == PROXY_HEADER_OK ? h.length - have : (size_t)n))
		refuse(s);
	else if (result == PROXY_HEADER_OK)
		take(s, &h);

	return result == PROXY_HEADER_OK && s->state == SESSION_STARTUP;
}

/* Hand-over to a new process, of this or another version: the one that runs offers its listening
 * sockets at a unix socket in runtime_dir; the new one asks for them (SCM_RIGHTS), starts to accept
 * from them, and says so; then the old one stops accepting. The sockets are the same all the time,
 * so no client that waits in a queue is lost.
 *
 * Only the same user (or root) is served. Main thread; sending to the asker may take up to a
 * second, asking up to ASK_MS.
 */
#ifndef PGUMBRA_PROXY_RELAY_TAKEOVER_H
#define PGUMBRA_PROXY_RELAY_TAKEOVER_H

#include "proxy/relay/listener.h"
#include <event2/event.h>
#include <sys/types.h>
#include <sys/un.h>

/* --- the one that has the sockets --- */

struct takeover {
	struct sockaddr_un path;
	int fd, asker_fd;		   /* owned; -1 */
	struct event *asked, *answered;	   /* owned */
	const struct listeners *listeners; /* borrowed */
	pid_t asker;
	void (*on_taken)(pid_t by, void *arg);
	void *arg;
};

/* An offer of a process before us at the same place is replaced at once. runtime_dir "": none is
 * made. */
bool takeover_offer(struct takeover *t, struct event_base *base, const char *runtime_dir,
	const struct listeners *l, void (*on_taken)(pid_t by, void *arg), void *arg,
	struct error *error) __attribute__((warn_unused_result));
/* remove: also the socket's file; not when somebody else has made his own in its place. */
void takeover_release(struct takeover *t, bool remove);

/* --- the one that wants them --- */

struct takeover_gift {
	int fd[LISTEN_SOCKETS_MAX]; /* owned by whoever gets the gift */
	size_t count;
	bool keep_files; /* of unix sockets: a service manager's */
	int giver_fd;	 /* owned; -1: nobody is there */
};

/* True with count 0 when nobody offers anything. */
bool takeover_ask(const char *runtime_dir, struct takeover_gift *g, struct error *error)
	__attribute__((warn_unused_result));
/* We accept clients now. */
void takeover_confirm(struct takeover_gift *g);

#endif

/* What the files of the session share: session.c (its life, relaying, events), session_startup.c
 * (the client's first bytes), session_connect.c (the way to the primary).
 */
#ifndef PGUMBRA_PROXY_RELAY_SESSION_INTERNAL_H
#define PGUMBRA_PROXY_RELAY_SESSION_INTERNAL_H

#include "proxy/relay/session.h"

enum { OWN_MESSAGE_MAX = 1024, LENGTH_WORD = 4 };

/* --- session.c --- */
/* The client's address; the announced one, if there is one. */
void session_peer_name(const struct session *s, char *text, size_t size);
void session_start_timer(struct session *s, uint64_t ms);
uint64_t session_login_ms_left(const struct session *s);
/* Our own FATAL, when the client stands between two messages; then the end. */
void session_tell_fatal(struct session *s, const char *sqlstate, const char *message);
/* Everything for the client is sent: waits until it closes, within a deadline. */
void session_linger(struct session *s);
/* The primary has the startup packet and can be relayed. */
void session_begin_relaying(struct session *s);
void session_open_end(struct session *s, struct end *e, int fd);
/* Writing to the end failed, or reading from it with an error. */
void session_lost(struct end *lost);
/* The startup packet behind its length word. */
struct span session_packet(const struct session *s);
/* These bytes of one end went on to the other: for the account and the tape. */
void session_record(struct session *s, const struct end *from, struct span bytes);

/* --- session_announced.c --- */
/* Must the client begin with a PROXY header? */
void announced_init(struct session *s);
/* Something may be read of it. True: it is through. False: wait, or the session is over. */
bool announced_continue(struct session *s);
void announced_release(struct session *s);

/* --- session_startup.c --- */
/* Something may be read from the client, or its handshake can go on. */
void startup_continue(struct session *s);
/* The startup packet's last `user`; absent without one. */
struct span session_user(const struct session *s);

/* --- session_connect.c --- */
/* Begins with the addresses; the session is CONNECTING or CANCELLING. */
void connect_begin(struct session *s);
/* An event on the primary's socket while s->step is not CONNECT_DONE. */
void connect_continue(struct session *s);
void connect_timed_out(struct session *s);
/* The primary closed a cancel request's connection. */
void connect_cancel_done(struct session *s);
/* The primary told the session its key for cancelling (once). */
void connect_note_key(struct session *s);
/* The session has left its address. */
void connect_leave(struct session *s);

#endif

/* One send to the server and the answer to it, message by message: which messages must come back,
 * in which order, and what they mean. Pure: no sockets, no clock of its own.
 *
 * E1: a message that is not the next expected one (or an error, or row data where rows are due)
 * loses the exchange; E2: after an error only the next ReadyForQuery is expected; E3: the outcome
 * does not depend on how the bytes were cut; E4: an exchange is an answer only if the transaction
 * was really open at the first ReadyForQuery.
 */
#ifndef PGUMBRA_SHADOW_MIRROR_EXCHANGE_H
#define PGUMBRA_SHADOW_MIRROR_EXCHANGE_H

#include "protocol/framer.h"
#include "proxy/shadow/mirror.h"
#include "proxy/shadow/mirror_session.h"

enum { EXCHANGE_MAX_STEPS = 20, EXCHANGE_MAX_SETTINGS = 256 };

/* What is expected next. X(NAME, message type) */
#define EXCHANGE_STEPS(X)                                                                     \
	X(PREPARED, BACK_PARSE_COMPLETE)     /* one of our own statements */                  \
	X(CLOSED, BACK_CLOSE_COMPLETE)	     /* an evicted statement */                       \
	X(BEGIN_PARSED, BACK_PARSE_COMPLETE) /* of a read that runs twice */                  \
	X(BEGIN_BOUND, BACK_BIND_COMPLETE)                                                    \
	X(BEGIN_DONE, BACK_COMMAND_COMPLETE)                                                  \
	X(SET_PARSED, BACK_PARSE_COMPLETE)                                                    \
	X(SET_BOUND, BACK_BIND_COMPLETE)                                                      \
	X(SET_ROW, BACK_DATA_ROW)                                                             \
	X(SET_DONE, BACK_COMMAND_COMPLETE)                                                    \
	X(READ_PARSED, BACK_PARSE_COMPLETE)                                                   \
	X(READ_BOUND, BACK_BIND_COMPLETE)                                                     \
	X(READ_DESCRIBED, BACK_ROW_DESCRIPTION) /* or NoData */                               \
	X(FIRST_ROWS, BACK_DATA_ROW)		/* as READ_ROWS, of a read that runs twice */ \
	X(READ_ROWS, BACK_DATA_ROW)		/* any number, then the end of the result */  \
	X(READ_READY, BACK_READY)                                                             \
	X(ROLLBACK_BOUND, BACK_BIND_COMPLETE)                                                 \
	X(ROLLBACK_DONE, BACK_COMMAND_COMPLETE)                                               \
	X(END, BACK_READY)

enum exchange_step {
#define X(NAME, type) STEP_##NAME,
	EXCHANGE_STEPS(X)
#undef X
};

enum exchange_progress { EXCHANGE_GOES_ON, EXCHANGE_DONE, EXCHANGE_LOST };

struct exchange {
	uint8_t steps[EXCHANGE_MAX_STEPS]; /* enum exchange_step */
	uint8_t nsteps, at;
	uint64_t set_bit;	   /* session.sets bit that SET_PARSED earns, 0 if unnamed */
	struct session_name *name; /* borrowed from the session: what READ_PARSED earns, or NULL */
	bool reused_name;	   /* the read ran on a statement parsed earlier */
	bool limited;		   /* PortalSuspended is possible */
	bool has_rows;		   /* RowDescription was seen, not NoData */
	bool failed;		   /* an ErrorResponse in a step other than the read's */
	char sqlstate[6], message[128]; /* of that error */
	bool fatal;
	const char *role;    /* borrowed from the read until its answer: taken on, or NULL */
	uint8_t last_status; /* of the last ReadyForQuery */
	uint64_t started_us, ended_us;
	struct result result; /* of the read */
	struct result first;  /* of a read that runs twice: its first answer */
	const char *trouble;  /* EXCHANGE_LOST: what was wrong */
};

void exchange_init(struct exchange *x, size_t keep_limit_bytes);
void exchange_release(struct exchange *x);

/* The three kinds of send. Each appends its messages to `out` and fills the steps. */
void exchange_sync(struct exchange *x, struct buffer *out);    /* the hand-over's bare Sync */
void exchange_prepare(struct exchange *x, struct buffer *out); /* BEGIN, SELECT 1, ROLLBACK */
/* The wrapper with the read. Takes names from the session. False: too many settings. */
bool exchange_read(struct exchange *x, struct buffer *out, struct session *session,
	const struct dark_read *read) __attribute__((warn_unused_result));

/* Takes one message, not a notice, notification or ParameterStatus. */
enum exchange_progress exchange_message(struct exchange *x, struct session *session,
	const struct message *m, uint64_t now_us) __attribute__((warn_unused_result));
/* Is everything at its end (EXCHANGE_DONE) and the connection outside a transaction? */
bool exchange_is_clean(const struct exchange *x);
/* The statement parsed earlier no longer fits the tables (0A000) or is gone (26000): marks it to be
 * parsed anew and says true when the read should run again. */
bool exchange_stale_plan(struct exchange *x);
/* What a finished exchange_read means; the result moves out. */
void exchange_answer(struct exchange *x, struct mirror_answer *answer);

#endif

/* Every way an execution can end, and every reason, each in one table: enum, wire name and help
 * come from it. The names are contract (log, report, metrics): add, never rename.
 *
 * L5: per candidate, seen = sum of all outcomes + pending.
 */
#ifndef PGUMBRA_COMPARE_OUTCOME_H
#define PGUMBRA_COMPARE_OUTCOME_H

#include <stdbool.h>

#define OUTCOMES(X)                                                                               \
	X(MATCHED, "matched", "same answer at the first look")                                    \
	X(MATCHED_AFTER_LAG, "matched_after_lag", "same answer once the candidate had caught up") \
	X(MATCHED_AFTER_CHANGE, "matched_after_change",                                           \
		"both sides agree now, on data that changed since")                               \
	X(WAIVED, "waived", "a difference that a waiver accepts")                                 \
	X(NONDETERMINISTIC, "nondeterministic",                                                   \
		"the primary itself answers differently each time")                               \
	X(AMBIGUOUS_ORDER, "ambiguous_order",                                                     \
		"explained by an order that the statement leaves free")                           \
	X(UNVERIFIABLE, "unverifiable", "a difference that could not be decided")                 \
	X(MISMATCH, "mismatch", "a difference that survived verification")                        \
	X(CANDIDATE_FAILED, "candidate_failed", "the candidate gave no answer to compare")        \
	X(SKIPPED, "skipped", "not run on the candidate, on purpose")                             \
	X(DROPPED, "dropped", "not run or not compared: no capacity, or the end came first")

/* X(NAME, "name", OUTCOME it belongs to, "help") */
#define REASONS(X)                                                                                 \
	X(NONE, "", MATCHED, "")                                                                   \
	X(UNPARSED, "unparsed", SKIPPED, "the parser does not know this syntax")                   \
	X(NOT_A_READ, "not_a_read", SKIPPED, "not a SELECT, VALUES or TABLE")                      \
	X(WRITES, "writes", SKIPPED, "INTO, a locking clause or a data-modifying CTE")             \
	X(VOLATILE_FUNCTION, "volatile_function", SKIPPED,                                         \
		"calls a function that the candidate calls volatile")                              \
	X(SERVER_SPECIFIC, "server_specific", SKIPPED,                                             \
		"calls a function whose answer belongs to one server")                             \
	X(TIME_FUNCTION, "time_function", SKIPPED, "puts the current time in its output or order") \
	X(SYSTEM_RELATION, "system_relation", SKIPPED,                                             \
		"reads system catalogues or system columns")                                       \
	X(TEMPORARY_RELATION, "temporary_relation", SKIPPED,                                       \
		"the read could mean a temporary relation of its session")                         \
	X(ROW_SECURITY, "row_security", SKIPPED,                                                   \
		"a relation has row security and the identity is not reproduced")                  \
	X(TRANSACTION_TAINTED, "transaction_tainted", SKIPPED,                                     \
		"the transaction may have written or locked before")                               \
	X(OLD_SNAPSHOT, "old_snapshot", SKIPPED,                                                   \
		"a later read of a REPEATABLE READ or SERIALIZABLE transaction")                   \
	X(SESSION_UNKNOWN, "session_unknown", SKIPPED,                                             \
		"a setting, statement or identity of the session is not known")                    \
	X(TOO_LONG, "too_long", SKIPPED, "the text or a message passes a size limit")              \
	X(POISON, "poison", SKIPPED,                                                               \
		"this text was being parsed when the shadow process last died")                    \
	X(OTHER_DATABASE, "other_database", SKIPPED, "the candidate maps no such database")        \
	X(SAMPLED_OUT, "sampled_out", SKIPPED, "not in the sample")                                \
	X(EXCLUDED, "excluded", SKIPPED, "not included, or excluded, by configuration")            \
	X(CANCELLED, "cancelled", SKIPPED, "cancelled or timed out on the primary")                \
	X(FAILED_TRANSACTION, "failed_transaction", SKIPPED, "the transaction had already failed") \
	X(UNANSWERED, "unanswered", SKIPPED, "the session ended before the answer")                \
	X(LOST_PAIRING, "lost_pairing", SKIPPED,                                                   \
		"request and answer could not be paired for certain")                              \
	X(PARTIAL, "partial", SKIPPED,                                                             \
		"a portal was mixed with something that cannot be run again alone")                \
	X(TAPE_ROWS, "tape_rows", DROPPED,                                                         \
		"rows were not taken: tape over half full, or the result too large")               \
	X(TAPE_GAP, "tape_gap", DROPPED, "the tape was full before the answer ended")              \
	X(QUEUE_FULL, "queue_full", DROPPED, "the candidate's queue was full")                     \
	X(MEMORY, "memory", DROPPED, "a memory limit was reached")                                 \
	X(RATE, "rate", DROPPED, "over max_rate or shape_rate")                                    \
	X(BREAKER, "breaker", DROPPED, "the candidate's circuit breaker is open")                  \
	X(SHADOW_RESTART, "shadow_restart", DROPPED, "pending when the shadow process ended")      \
	X(SHUTDOWN, "shutdown", DROPPED, "pending at the end of the run")                          \
	X(TIMEOUT, "timeout", CANDIDATE_FAILED, "deadline or statement_timeout on the candidate")  \
	X(RETRYABLE, "retryable", CANDIDATE_FAILED,                                                \
		"serialization failure, deadlock or recovery conflict")                            \
	X(RESOURCE, "resource", CANDIDATE_FAILED, "out of memory, disk or connections")            \
	X(CONNECTION, "connection", CANDIDATE_FAILED, "connection lost or not to be had")          \
	X(WRAPPER, "wrapper", CANDIDATE_FAILED,                                                    \
		"settings or role could not be applied on the candidate")                          \
	X(RESULT_TOO_LARGE, "result_too_large", UNVERIFIABLE,                                      \
		"the rows needed for a decision were not kept")                                    \
	X(TYPE_UNKNOWN, "type_unknown", UNVERIFIABLE,                                              \
		"the name of a user-defined type is not known on one side")                        \
	X(UNDECIDABLE, "undecidable", UNVERIFIABLE,                                                \
		"an answer could not be read, or memory was short")                                \
	X(MOVING, "moving", UNVERIFIABLE, "the data kept changing")                                \
	X(QUIET_QUEUE, "quiet_queue", UNVERIFIABLE,                                                \
		"the data kept changing, and too many waited for it to rest")                      \
	X(FENCE_TIMEOUT, "fence_timeout", UNVERIFIABLE, "the candidate did not catch up in time")  \
	X(VERIFY_RATE, "rate", UNVERIFIABLE, "over the verifier's own limits")                     \
	X(NOT_REPRODUCED, "not_reproduced", UNVERIFIABLE,                                          \
		"the control does not reproduce the primary's answers")                            \
	X(CONTROL_FAILED, "control_failed", UNVERIFIABLE, "the control gave no answer")

/* Why the relay's frames were not observed. X(NAME, "name", "help") */
#define UNOBSERVED_REASONS(X)                                                                     \
	X(SHADOW_OFF, "shadow_off", "shadowing was switched off")                                 \
	X(SHADOW_DOWN, "shadow_down", "the shadow process was not running")                       \
	X(SHADOW_RESTART, "shadow_restart", "on the tape when the shadow process died")           \
	X(TAPE_FULL, "tape_full", "the tape was full, or the session had not resumed after that") \
	X(REPLICATION, "replication", "a replication session")                                    \
	X(SESSION_UNKNOWN, "session_unknown", "the session's start was not seen")                 \
	X(DESYNC, "desync", "the session's messages could not be paired")                         \
	X(OWN_READS, "own_reads", "a connection of pgumbra itself came back to it")               \
	X(SESSION_LIMIT, "session_limit", "more sessions than the shadow keeps")                  \
	X(SHED, "shed", "shadowing was shed to keep to shadow.latency_budget")

/* What happened to sessions while they were observed: no part of the account, but what it is worth.
 * X(NAME, "name", "help") */
#define OBSERVER_EVENTS(X)                                                                         \
	X(DESYNC, "desyncs", "sessions lost: a message fitted no request")                         \
	X(DISAGREEMENT, "disagreements",                                                           \
		"settings that the server reported and no statement explains: unknown from there " \
		"on")                                                                              \
	X(RESUMED, "resumed", "sessions taken up again behind a gap, or by a shadow started anew") \
	X(UNFOLLOWED, "unfollowed",                                                                \
		"sessions never followed: more than are kept, or a start that makes no sense")

enum outcome {
#define X(NAME, name, help) OUTCOME_##NAME,
	OUTCOMES(X)
#undef X
		OUTCOME_COUNT
};

enum reason {
#define X(NAME, name, outcome, help) REASON_##NAME,
	REASONS(X)
#undef X
		REASON_COUNT
};

enum unobserved {
#define X(NAME, name, help) UNOBSERVED_##NAME,
	UNOBSERVED_REASONS(X)
#undef X
		UNOBSERVED_COUNT
};

enum observer_event {
#define X(NAME, name, help) EVENT_##NAME,
	OBSERVER_EVENTS(X)
#undef X
		OBSERVER_EVENT_COUNT
};

const char *outcome_name(enum outcome outcome);
/* One line for a person. */
const char *outcome_help(enum outcome outcome);
const char *reason_help(enum reason reason);
const char *unobserved_help(enum unobserved reason);
const char *observer_event_help(enum observer_event event);
const char *reason_name(enum reason reason);	 /* "" for REASON_NONE */
enum outcome reason_outcome(enum reason reason); /* the outcome a reason belongs to */
const char *unobserved_name(enum unobserved reason);
const char *observer_event_name(enum observer_event event);
bool outcome_from_name(const char *name, enum outcome *out);

#endif

/* The messages of protocol 3.x: names, bounded parsers and builders. Source: PostgreSQL
 * documentation, "Frontend/Backend Protocol", sections "Message Formats" and "Error and Notice
 * Message Fields".
 *
 * Parsers take a message's body (behind type byte and length word), borrow from it, and return
 * false when anything is missing or left over. Builders append one whole message to a buffer and
 * leave failure in buffer.failed.
 */
#ifndef PGUMBRA_PROTOCOL_MESSAGE_H
#define PGUMBRA_PROTOCOL_MESSAGE_H

#include "protocol/buffer.h"
#include "protocol/reader.h"
#include "protocol/span.h"

enum {
	MESSAGE_HEADER = 5,		 /* type byte and length word */
	MESSAGE_LENGTH_MAX = 0x3FFFFFFF, /* 1 GB: what PostgreSQL accepts of a length word */
	STARTUP_LENGTH_MAX = 10004,	 /* with its length word (HAZARDS: 4 <= len-4 <= 10000) */
	PROTOCOL_CANCEL = 80877102,
	PROTOCOL_SSL = 80877103,
	PROTOCOL_GSSENC = 80877104,
	PROTOCOL_3_0 = 196608,
};

/* Frontend types. Some letters mean other things from the backend: direction decides. */
enum frontend_type {
	FRONT_BIND = 'B',
	FRONT_CLOSE = 'C',
	FRONT_COPY_DATA = 'd',
	FRONT_COPY_DONE = 'c',
	FRONT_COPY_FAIL = 'f',
	FRONT_DESCRIBE = 'D',
	FRONT_EXECUTE = 'E',
	FRONT_FLUSH = 'H',
	FRONT_FUNCTION_CALL = 'F',
	FRONT_PARSE = 'P',
	FRONT_PASSWORD = 'p',
	FRONT_QUERY = 'Q',
	FRONT_SYNC = 'S',
	FRONT_TERMINATE = 'X',
};

enum backend_type {
	BACK_AUTHENTICATION = 'R',
	BACK_KEY_DATA = 'K',
	BACK_BIND_COMPLETE = '2',
	BACK_CLOSE_COMPLETE = '3',
	BACK_COMMAND_COMPLETE = 'C',
	BACK_COPY_DATA = 'd',
	BACK_COPY_DONE = 'c',
	BACK_COPY_IN = 'G',
	BACK_COPY_OUT = 'H',
	BACK_COPY_BOTH = 'W',
	BACK_DATA_ROW = 'D',
	BACK_EMPTY_QUERY = 'I',
	BACK_ERROR = 'E',
	BACK_FUNCTION_RESULT = 'V',
	BACK_NEGOTIATE = 'v',
	BACK_NO_DATA = 'n',
	BACK_NOTICE = 'N',
	BACK_NOTIFICATION = 'A',
	BACK_PARAMETER_DESCRIPTION = 't',
	BACK_PARAMETER_STATUS = 'S',
	BACK_PARSE_COMPLETE = '1',
	BACK_PORTAL_SUSPENDED = 's',
	BACK_READY = 'Z',
	BACK_ROW_DESCRIPTION = 'T',
};

/* Array members below are read on demand through readers, so that parsing never allocates. */
struct parse_message {
	struct span statement, sql;
	uint16_t nparams;
	struct span param_types; /* 4 bytes each */
};
struct bind_message {
	struct span portal, statement;
	uint16_t nparam_formats;
	struct span param_formats; /* 2 bytes each */
	uint16_t nparams;
	struct span params; /* nparams times Int32 length and bytes */
	uint16_t nresult_formats;
	struct span result_formats; /* 2 bytes each */
};
struct execute_message {
	struct span portal;
	int32_t max_rows; /* <= 0: all */
};
struct target_message {
	uint8_t kind; /* 'S' or 'P' */
	struct span name;
}; /* Describe and Close */
struct column {
	struct span name;
	uint32_t table_oid;
	uint16_t attribute;
	uint32_t type_oid;
	int16_t type_length;
	int32_t typmod;
	uint16_t format;
};
/* Fields of ErrorResponse and NoticeResponse; each absent unless sent. severity is V, else S. */
struct error_fields {
	struct span severity, sqlstate, message, detail, hint;
};
struct startup_message {
	uint32_t code;
	struct span parameters; /* name\0value\0 ... without the last \0 */
};

bool parse_parse(struct span body, struct parse_message *out);
bool parse_bind(struct span body, struct bind_message *out);
bool parse_execute(struct span body, struct execute_message *out);
bool parse_target(struct span body, struct target_message *out);
bool parse_query(struct span body, struct span *sql); /* without its NUL */
bool parse_row_description(struct span body, uint16_t *ncolumns, struct reader *columns);
bool read_column(struct reader *columns, struct column *out); /* once per column */
bool parse_parameter_description(struct span body, uint16_t *count, struct span *oids);
bool parse_data_row(
	struct span body, uint16_t *ncolumns, struct reader *values); /* then read_value() */
bool parse_command_complete(struct span body, struct span *tag);
/* Does it tell of no more than reading, writing, or a transaction's begin and end? */
bool tag_is_plain(struct span tag);
bool parse_parameter_status(struct span body, struct span *name, struct span *value);
bool parse_error_fields(
	struct span body, struct error_fields *out); /* unknown fields are passed over */
bool parse_ready(struct span body, uint8_t *status); /* longer bodies are accepted */
/* The packet behind its length word. Checks the layout as the server does: pairs of strings, one
 * final NUL. For codes other than 3.x only `code` is filled. */
bool parse_startup(struct span body, struct startup_message *out);
/* Iterates over startup parameters: false at the end. */
bool next_parameter(struct span *rest, struct span *name, struct span *value);

/* Text form of a SQLSTATE is always 5 bytes; false and "" when absent or of another length. */
bool copy_sqlstate(struct span field, char out[6]);

void build_query(struct buffer *b, const char *sql);
void build_parse(struct buffer *b, struct span statement, struct span sql, uint16_t ntypes,
	const uint32_t *types);
/* formats: NULL with n = 0 for "all text". values: data NULL is SQL NULL. */
void build_bind(struct buffer *b, struct span portal, struct span statement,
	uint16_t nparam_formats, const uint16_t *param_formats, uint16_t nparams,
	const struct span *params, uint16_t nresult_formats, const uint16_t *result_formats);
void build_describe(struct buffer *b, char kind, struct span name);
void build_close(struct buffer *b, char kind, struct span name);
void build_execute(struct buffer *b, struct span portal, uint32_t max_rows);
void build_simple(struct buffer *b, char type); /* Sync, Flush, Terminate, CopyDone: no body */
/* severity, SQLSTATE, message, and detail/hint when not NULL. */
void build_error(struct buffer *b, const char *severity, const char *sqlstate, const char *message,
	const char *detail, const char *hint);
void build_ready(struct buffer *b, char status);

#endif

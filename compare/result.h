/* One answer of one server to one execution: columns, rows as digest and (up to a limit) as bytes,
 * end. Filled message by message in stream order. Owned by its holder; result_release frees. Not
 * shared between threads.
 */
#ifndef PGUMBRA_COMPARE_RESULT_H
#define PGUMBRA_COMPARE_RESULT_H

#include "compare/digest.h"
#include "protocol/buffer.h"
#include "protocol/message.h"

struct result_column {
	char name[64]; /* NAMEDATALEN; cut as the server does */
	uint32_t type_oid;
	int32_t typmod;
	int16_t type_length;
	uint16_t format; /* 0 text, 1 binary: the format of the values as sent */
};

enum result_end {
	RESULT_OPEN,
	RESULT_COMPLETE,  /* CommandComplete */
	RESULT_SUSPENDED, /* PortalSuspended: the row limit was reached */
	RESULT_EMPTY,	  /* EmptyQueryResponse */
	RESULT_ERROR,
};

struct result {
	bool described;	 /* columns are known (RowDescription or NoData seen, here or at an earlier
			    Describe) */
	bool names_only; /* ... by name and number alone: the header of a COPY */
	uint16_t ncolumns;
	struct result_column *columns; /* owned */
	uint64_t rows;
	uint64_t bytes; /* of DataRow bodies */
	struct digest digest;
	struct buffer kept; /* u32 (host order) length and DataRow body, row after row */
	bool kept_all;	    /* false once a row did not fit */
	bool malformed; /* a message could not be parsed: nothing of this result may be trusted */
	enum result_end end;
	char tag[64];
	char sqlstate[6];  /* RESULT_ERROR; "" if the server sent none */
	char message[256]; /* RESULT_ERROR: primary message, cut */
	uint64_t elapsed_us;
	struct span null_as; /* borrowed: a value that counts as NULL, because the client cannot
				tell them apart; absent: none */
};

void result_init(struct result *r, size_t keep_limit_bytes);
void result_release(struct result *r);
/* From a RowDescription body. formats (nformats 0, 1 or ncolumns) override the format codes, as the
 * Bind asked for them: Describe of a statement always says 0. False: malformed or out of memory. */
bool result_columns(
	struct result *r, struct span row_description, uint16_t nformats, const uint16_t *formats);
/* From a row of names. False: malformed or out of memory. */
bool result_names(struct result *r, struct span names);
void result_no_data(struct result *r);
void result_row(struct result *r, struct span data_row);
void result_complete(struct result *r, struct span tag);
void result_error(struct result *r, struct span error_body);
/* Iterates over kept rows: start with *at = 0; false at the end. */
bool result_kept_row(const struct result *r, size_t *at, struct span *data_row);

#endif

/* Two cells of one column whose bytes differ: what do they have in common, as values of their type?
 * Never makes anything equal by itself. Used inside compare/ only.
 */
#ifndef PGUMBRA_COMPARE_CELLS_H
#define PGUMBRA_COMPARE_CELLS_H

#include "protocol/span.h"

/* Oids of built-in types whose values are looked into (pg_type.dat). */
enum {
	TYPE_BYTEA = 17,
	TYPE_NAME = 19,
	TYPE_TEXT = 25,
	TYPE_JSON = 114,
	TYPE_CIDR = 650,
	TYPE_CIDR_ARRAY = 651,
	TYPE_FLOAT4 = 700,
	TYPE_FLOAT8 = 701,
	TYPE_INET = 869,
	TYPE_BYTEA_ARRAY = 1001,
	TYPE_FLOAT4_ARRAY = 1021,
	TYPE_FLOAT8_ARRAY = 1022,
	TYPE_BPCHAR_ARRAY = 1014,
	TYPE_INET_ARRAY = 1041,
	TYPE_BPCHAR = 1042,
	TYPE_VARCHAR = 1043,
	TYPE_TIME = 1083,
	TYPE_TIMESTAMP = 1114,
	TYPE_TIMESTAMPTZ = 1184,
	TYPE_INTERVAL = 1186,
	TYPE_INTERVAL_ARRAY = 1187,
	TYPE_NUMERIC_ARRAY = 1231,
	TYPE_TIMETZ = 1266,
	TYPE_NUMERIC = 1700,
	TYPE_RECORD = 2249,
	TYPE_ANYARRAY = 2277,
	TYPE_RECORD_ARRAY = 2287,
	TYPE_UUID = 2950,
	TYPE_JSONB = 3802,
	TYPE_NUMRANGE = 3906,
	TYPE_TSRANGE = 3908,
	TYPE_TSTZRANGE = 3910,
	TYPE_FIRST_USER = 16384, /* FirstNormalObjectId: assigned per cluster from here on */
};

/* A likely cause of the difference, or "". The strings are those of the log's `hint`. (hints.c) */
const char *cell_hint(uint32_t type, uint16_t format, struct span a, struct span b);

bool numeric_same_value(uint16_t format, struct span a, struct span b);
bool same_but_for_case(struct span a, struct span b);
bool same_json(uint32_t type, uint16_t format, struct span a, struct span b);
struct span json_text(uint32_t type, uint16_t format, struct span s);

/* Do they sort as equals? UNSURE where the type's equality is not known here. */
enum cell_order { CELL_SAME, CELL_OTHER, CELL_UNSURE };
enum cell_order cell_compare_key(uint32_t type, uint16_t format, struct span a, struct span b);
bool cell_type_is_text(uint32_t type); /* sorts by a collation */

#endif

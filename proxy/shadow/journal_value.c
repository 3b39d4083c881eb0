#include "proxy/shadow/journal_internal.h"

#include <stdio.h>
#include <stdlib.h>

/* Built-in types by name: pg_type.dat of PostgreSQL 15. Only for the reader's eye. */
static const struct {
	uint32_t oid;
	bool text; /* the binary form is the text itself */
	const char *name;
} types[] = {
	{16, false, "bool"},
	{17, false, "bytea"},
	{18, false, "char"},
	{19, true, "name"},
	{20, false, "int8"},
	{21, false, "int2"},
	{23, false, "int4"},
	{25, true, "text"},
	{26, false, "oid"},
	{114, true, "json"},
	{142, true, "xml"},
	{700, false, "float4"},
	{701, false, "float8"},
	{705, true, "unknown"},
	{790, false, "money"},
	{869, false, "inet"},
	{1000, false, "bool[]"},
	{1005, false, "int2[]"},
	{1007, false, "int4[]"},
	{1009, false, "text[]"},
	{1014, false, "bpchar[]"},
	{1015, false, "varchar[]"},
	{1016, false, "int8[]"},
	{1022, false, "float8[]"},
	{1042, true, "bpchar"},
	{1043, true, "varchar"},
	{1082, false, "date"},
	{1083, false, "time"},
	{1114, false, "timestamp"},
	{1115, false, "timestamp[]"},
	{1184, false, "timestamptz"},
	{1185, false, "timestamptz[]"},
	{1186, false, "interval"},
	{1187, false, "interval[]"},
	{1231, false, "numeric[]"},
	{1266, false, "timetz"},
	{1560, false, "bit"},
	{1562, false, "varbit"},
	{1700, false, "numeric"},
	{2249, false, "record"},
	{2950, false, "uuid"},
	{2951, false, "uuid[]"},
	{3802, false, "jsonb"},
};

void journal_type_name(uint32_t oid, char out[32])
{
	for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
		if (types[i].oid == oid) {
			snprintf(out, 32, "%s", types[i].name);
			return;
		}
	}
	snprintf(out, 32, "%u", oid);
}

static bool binary_is_text(uint32_t oid)
{
	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		if (types[i].oid == oid)
			return types[i].text;

	return false;
}

static json_t *hex_value(struct span value, uint32_t type_oid)
{
	static const char digits[] = "0123456789abcdef";
	char type[32], *hex = malloc(2 * value.len + 1);
	json_t *out = NULL;

	journal_type_name(type_oid, type);
	if (hex) {
		for (size_t i = 0; i < value.len; i++) {
			hex[2 * i] = digits[value.data[i] >> 4];
			hex[2 * i + 1] = digits[value.data[i] & 15];
		}
		hex[2 * value.len] = '\0';
		out = json_pack("{s:s, s:s}", "hex", hex, "type", type);
	}
	free(hex);

	return out;
}

json_t *journal_value(
	const struct journal_privacy *p, struct span value, uint32_t type_oid, uint16_t format)
{
	char hex[JOURNAL_HMAC_HEX];
	json_t *text = NULL;

	if (p->values == VALUES_NONE)
		return NULL;
	if (!value.data)
		return json_null();
	if (p->values == VALUES_HASHED) {
		journal_hmac(p->key, value.data, value.len, hex);
		return json_pack("{s:s}", "hmac", hex);
	}
	if (format == 0 || binary_is_text(type_oid)) /* NULL unless it is UTF-8 */
		text = json_stringn((const char *)value.data, value.len);

	return text ? text : hex_value(value, type_oid);
}

json_t *journal_text(const char *text)
{
	json_t *out = text ? json_string(text) : json_null();
	char *ascii;

	if (out)
		return out;
	ascii = strdup(text);
	if (!ascii)
		return NULL;
	for (char *c = ascii; *c; c++)
		if ((unsigned char)*c >= 0x80)
			*c = '?';
	out = json_string(ascii);
	free(ascii);

	return out;
}

json_t *journal_time(uint64_t wall_us)
{
	char text[32];

	rfc3339(wall_us, text);

	return json_string(text);
}

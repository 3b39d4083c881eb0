/* Rows of a COPY TO STDOUT from any bytes. The first byte says the form, the second the number of
 * columns, the third the null string's length. A row that is understood is a whole DataRow, and
 * what is not understood appends nothing that anybody uses; the value that looks like NULL is
 * written like it. */
#include "protocol/copy_out.h"
#include "protocol/message.h"
#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct copy_format format_of(const uint8_t *data, size_t size)
{
	struct copy_format f = copy_format_default(data[0] % 3);
	size_t n = data[2] % (COPY_NULL_MAX + 1);

	if (f.kind == COPY_BINARY)
		return f;
	f.header = data[0] & 4;
	if (data[0] & 8)
		f.delimiter = (char)data[3];
	if (data[0] & 16)
		f.escape = (char)data[4];
	if (data[0] & 32) {
		n = n < size - 5 ? n : size - 5;
		memcpy(f.null_text, data + 5, n);
		f.null_text[n] = '\0';
	}

	return f;
}

static void check_row(const struct copy_reader *r, struct span body)
{
	struct reader values;
	uint16_t count;

	assert(parse_data_row(body, &count, &values) && count == r->columns);
	for (uint16_t i = 0; i < count; i++)
		read_value(&values);
	assert(reader_done(&values));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct copy_format f;
	struct copy_reader r;
	struct buffer row;
	char value[COPY_NULL_MAX + 1];
	uint8_t *body;

	if (size < 5)
		return 0;
	f = format_of(data, size);
	if (!copy_format_valid(&f))
		return 0;
	if (copy_null_value(&f, value))
		assert(f.kind == COPY_TEXT && strlen(value) <= COPY_NULL_MAX);
	r = (struct copy_reader){.format = f, .columns = data[1] % 8, .started = data[0] & 64};
	body = malloc(size > 5 ? size - 5 : 1); /* exact, for the sanitizer */
	if (!body)
		return 0;
	memcpy(body, data + 5, size - 5);
	buffer_init(&row, 2 * size + 64);
	switch (copy_next(&r, span_of(body, size - 5), &row)) {
	case COPY_ROW:
	case COPY_NAMES: check_row(&r, buffer_span(&row)); break;
	case COPY_NOTHING: assert(f.kind == COPY_BINARY && row.len == 0); break;
	case COPY_BAD: break;
	}
	(void)copy_done(&r);
	buffer_release(&row);
	free(body);

	return 0;
}

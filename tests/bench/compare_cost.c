/* How fast is one equal pair of wide answers digested and compared? 10,000 rows of 115 bytes in
 * four columns on both sides, fed message by message as the shadow does, the rows kept up to the
 * shadow's limit. Usage: compare_cost PAIRS. Prints bytes of both sides per second of CPU. */
#include "compare/compare.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { ROWS = 10000, COLUMNS = 4, KEEP_BYTES = 1 << 20, ROW_MAX = 256 };

static double cpu_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);

	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void add_column(struct buffer *b, const char *name, uint32_t type)
{
	buffer_add(b, name, strlen(name) + 1);
	buffer_add_u32(b, 0);
	buffer_add_u16(b, 0);
	buffer_add_u32(b, type);
	buffer_add_u16(b, (uint16_t)-1);
	buffer_add_u32(b, (uint32_t)-1);
	buffer_add_u16(b, 0);
}

static void add_value(struct buffer *b, const char *text)
{
	buffer_add_u32(b, (uint32_t)strlen(text));
	buffer_add(b, text, strlen(text));
}

/* 115 bytes with the header of the message, as the wire has it. */
static void make_row(struct buffer *b, unsigned n)
{
	char text[ROW_MAX];

	buffer_clear(b);
	buffer_add_u16(b, COLUMNS);
	snprintf(text, sizeof text, "%05u", n);
	add_value(b, text);
	snprintf(text, sizeof text, "%012u", n * 7919u);
	add_value(b, text);
	snprintf(text, sizeof text, "2024-01-01 %02u:%02u:%02u+00", n % 24, n % 60, n / 60 % 60);
	add_value(b, text);
	snprintf(text, sizeof text, "%08x%08x%08x%08x%08x%06x", n, ~n, n * 3, n * 5, n * 7,
		n & 0xffffff);
	text[115 - MESSAGE_HEADER - 2 - 4 * COLUMNS - 5 - 12 - 22] = '\0';
	add_value(b, text);
}

static void answer(struct result *r, struct span columns, const struct buffer *rows)
{
	result_init(r, KEEP_BYTES);
	if (!result_columns(r, columns, 0, NULL))
		abort();
	for (unsigned i = 0; i < ROWS; i++)
		result_row(r, buffer_span(&rows[i]));
	result_complete(r, span_cstr("SELECT 10000"));
}

int main(int argc, char **argv)
{
	const long pairs = argc > 1 ? strtol(argv[1], NULL, 10) : 200;
	static struct buffer rows[ROWS];
	const struct compare_rules rules = {.values = NULL};
	struct buffer columns;
	double began, seconds, bytes = 0;

	buffer_init(&columns, 4096);
	buffer_add_u16(&columns, COLUMNS);
	add_column(&columns, "id", 23);
	add_column(&columns, "amount", 1700);
	add_column(&columns, "made", 1184);
	add_column(&columns, "note", 25);
	for (unsigned i = 0; i < ROWS; i++) {
		buffer_init(&rows[i], ROW_MAX);
		make_row(&rows[i], i);
	}
	began = cpu_seconds();
	for (long i = 0; i < pairs; i++) {
		struct result a, b;
		struct comparison c;

		answer(&a, buffer_span(&columns), rows);
		answer(&b, buffer_span(&columns), rows);
		compare_results(&a, &b, &rules, &c);
		if (!c.equal)
			abort();
		bytes += 2.0 * (double)(a.bytes + (uint64_t)MESSAGE_HEADER * ROWS);
		result_release(&a);
		result_release(&b);
	}
	seconds = cpu_seconds() - began;
	printf("%.0f bytes a second\n", bytes / seconds);

	return 0;
}

/* What deciding a statement's text costs, in microseconds of CPU time, by the text's size: seen
 * before; seen before but for the values of its literals; never seen. One line for each text:
 * bytes, the three figures, how it begins.
 *
 *   classify_cost [ROUNDS]
 */
#include "proxy/shadow/classify.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { TEXT_MAX = 65536, LIST_ROUNDS = 200 };

/* The first number names a column, so that the text is another one; the second is a value. */
static const char *const texts[] = {
	"SELECT abalance AS c%06u FROM pgbench_accounts WHERE aid = %u",
	"SELECT o.id AS c%06u, o.total, c.name FROM orders o JOIN customer c ON c.id = "
	"o.customer_id WHERE o.customer_id = %u AND o.state IN ('open', 'paid') ORDER BY o.made "
	"DESC LIMIT 20",
	"SELECT p.id AS c%06u, p.title, count(*) FILTER (WHERE r.stars >= 4) AS good, "
	"avg(r.stars) FROM product p LEFT JOIN review r ON r.product_id = p.id WHERE "
	"p.category_id = %u AND p.price BETWEEN 10 AND 200 AND lower(p.title) LIKE '%%lamp%%' "
	"GROUP BY p.id, p.title HAVING count(*) > 2 ORDER BY good DESC, p.id LIMIT 50 OFFSET 100",
};
static const char listed[] = "SELECT abalance AS c%06u FROM pgbench_accounts WHERE aid IN (%u";
static const size_t list_bytes[] = {1000, 4000, 16000, 60000};

static struct classifier *classifier;
static char sql[TEXT_MAX];

static double now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);

	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
static size_t write_text(const char *text, size_t bytes, unsigned name, unsigned value)
{
	size_t len = (size_t)snprintf(sql, sizeof sql, text, name, value);

	for (unsigned i = 0; len + 1 < bytes; i++)
		len += (size_t)snprintf(
			sql + len, sizeof sql - len, ",%06u", (i + value) % 1000000);
	if (bytes > 0)
		len += (size_t)snprintf(sql + len, sizeof sql - len, ")");

	return len;
}
#pragma GCC diagnostic pop

static void decide(void)
{
	struct text_parts parts;

	if (!classify_text(classifier, span_cstr(sql), &parts))
		exit(1);
	text_parts_release(&parts);
}

/* Of one decision; the texts are written before the clock is read. */
static double cost(const char *text, size_t bytes, unsigned rounds, bool names, bool values)
{
	static unsigned fresh = 1;
	double sum = 0;

	write_text(text, bytes, 0, 0);
	decide();
	for (unsigned i = 0; i < rounds; i++, fresh++) {
		double began;

		write_text(text, bytes, names ? fresh : 0, values ? fresh : 0);
		began = now_us();
		decide();
		sum += now_us() - began;
	}

	return sum / rounds;
}

static void print(const char *text, size_t bytes, unsigned rounds)
{
	const size_t len = write_text(text, bytes, 0, 0);
	const double seen = cost(text, bytes, rounds, false, false);
	const double values = cost(text, bytes, rounds, false, true);

	printf("%6zu %10.2f %10.2f %10.2f  %.30s\n", len, seen, values,
		cost(text, bytes, rounds, true, true), text);
}

int main(int argc, char **argv)
{
	const unsigned rounds = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 5000;
	const struct classifier_options options = {.cache_entries = 64, .max_sql_bytes = TEXT_MAX};

	classifier = classifier_new(&options);
	if (!classifier)
		return 1;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		print(texts[i], 0, rounds);
	for (size_t i = 0; i < sizeof list_bytes / sizeof *list_bytes; i++)
		print(listed, list_bytes[i], rounds < LIST_ROUNDS ? rounds : LIST_ROUNDS);
	classifier_free(classifier);

	return 0;
}

/* What a decision costs, in microseconds of CPU: found by its exact text, and made anew, with the
 * parts that making it has. A cache by normalised text could save what lies behind normalising.
 *
 *   classify_cost [ROUNDS]
 */
#include "proxy/shadow/classify.h"

#include <pg_query.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static const char *const texts[] = {
	"SELECT abalance FROM pgbench_accounts WHERE aid = %u",
	"SELECT o.id, o.total, c.name FROM orders o JOIN customer c ON c.id = o.customer_id WHERE "
	"o.customer_id = %u AND o.state IN ('open', 'paid') ORDER BY o.made DESC LIMIT 20",
	"SELECT p.id, p.title, count(*) FILTER (WHERE r.stars >= 4) AS good, avg(r.stars) FROM "
	"product p LEFT JOIN review r ON r.product_id = p.id WHERE p.category_id = %u AND p.price "
	"BETWEEN 10 AND 200 AND lower(p.title) LIKE '%%lamp%%' GROUP BY p.id, p.title HAVING "
	"count(*) > 2 ORDER BY good DESC, p.id LIMIT 50 OFFSET 100",
};

static double now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);

	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void parse(const char *sql)
{
	pg_query_free_protobuf_parse_result(pg_query_parse_protobuf(sql));
}

static void normalize(const char *sql)
{
	pg_query_free_normalize_result(pg_query_normalize(sql));
}

static void fingerprint(const char *sql)
{
	pg_query_free_fingerprint_result(pg_query_fingerprint(sql));
}

static void scan(const char *sql)
{
	pg_query_free_scan_result(pg_query_scan(sql));
}

static struct classifier *classifier;

static void decide(const char *sql)
{
	struct text_parts parts;

	if (!classify_text(classifier, span_cstr(sql), &parts))
		exit(1);
	text_parts_release(&parts);
}

static double cost(const char *text, unsigned rounds, bool fresh, void (*step)(const char *sql))
{
	char sql[1024];
	double began;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(sql, sizeof sql, text, 1u);
	step(sql);
	began = now_us();
	for (unsigned i = 0; i < rounds; i++) {
		if (fresh)
			snprintf(sql, sizeof sql, text, i + 100000u);
		step(sql);
	}
#pragma GCC diagnostic pop

	return (now_us() - began) / rounds;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		bool fresh;
		void (*step)(const char *sql);
	} steps[] = {{"known", false, decide}, {"new", true, decide}, {"parse", true, parse},
		{"normalize", true, normalize}, {"fingerprint", true, fingerprint},
		{"scan", true, scan}};
	unsigned rounds = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 5000;
	struct classifier_options options = {.cache_entries = 64, .max_sql_bytes = 65536};

	classifier = classifier_new(&options);
	if (!classifier)
		return 1;
	for (size_t s = 0; s < sizeof steps / sizeof *steps; s++)
		printf("%12s", steps[s].name);
	printf("   us each\n");
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		for (size_t s = 0; s < sizeof steps / sizeof *steps; s++)
			printf("%12.2f", cost(texts[i], rounds, steps[s].fresh, steps[s].step));
		printf("   %.40s...\n", texts[i]);
	}
	classifier_free(classifier);

	return 0;
}

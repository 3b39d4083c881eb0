/* A log out of bytes, line by line. Laws: every form renders; the JSON form is JSON and its books'
 * `balanced` is what its numbers say; the text form has no control characters; the page opens no
 * element that is not its own.
 */
#include "compare/outcome.h"
#include "compare/report.h"

#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { OUTPUT_LIMIT = 1 << 26 };

static void fold(struct report *r, struct span log)
{
	size_t from = 0;

	report_begin_input(r, "fuzz.log");
	for (size_t i = 0; i <= log.len; i++) {
		struct error error;

		if (i < log.len && log.data[i] != '\n')
			continue;
		if (!report_add_line(r, span_of(log.data + from, i - from), &error) &&
			!strstr(error.text, "fuzz.log:"))
			abort();
		from = i + 1;
	}
}

static double sum_of(json_t *value)
{
	double sum = json_number_value(value);
	const char *name;
	json_t *member;

	json_object_foreach (value, name, member)
		sum += json_number_value(member);

	return sum;
}

/* In floating point, with a little room: counts in a log may be as large as a JSON integer. */
static void check_books(json_t *books)
{
	double sum = sum_of(json_object_get(books, "pending"));
	double seen = json_number_value(json_object_get(books, "seen"));

	for (unsigned i = 0; i < OUTCOME_COUNT; i++)
		sum += sum_of(json_object_get(books, outcome_name((enum outcome)i)));
	if (json_is_true(json_object_get(books, "balanced")) && seen < 1e15 &&
		(sum > seen || sum < seen))
		abort();
}

static void check_json(struct report *r, struct buffer *out)
{
	json_t *all, *books;
	const char *name;

	buffer_clear(out);
	if (!report_json(r, out))
		abort();
	all = json_loadb((const char *)out->data, out->len, JSON_ALLOW_NUL, NULL);
	if (!all)
		abort();
	json_object_foreach (json_object_get(all, "books"), name, books)
		check_books(books);
	json_decref(all);
}

static void check_text(struct report *r, struct buffer *out)
{
	buffer_clear(out);
	if (!report_text(r, out))
		abort();
	for (size_t i = 0; i < out->len; i++)
		if ((out->data[i] < 32 && out->data[i] != '\n') || out->data[i] == 127)
			abort();
}

static void check_html(struct report *r, struct buffer *out)
{
	static const char *const own[] = {"!DOCTYPE", "html", "head", "/head", "meta", "title",
		"/title", "style", "/style", "body", "/body", "/html", "h1", "/h1", "h2", "/h2",
		"h3", "/h3", "p", "/p", "table", "/table", "tr", "/tr", "td", "/td", "th", "/th",
		"code", "/code", "span", "/span", "section", "/section"};

	buffer_clear(out);
	if (!report_html(r, out))
		abort();
	for (size_t i = 0; i < out->len; i++) {
		bool known = out->data[i] != '<';

		for (size_t k = 0; !known && k < sizeof own / sizeof *own; k++) {
			size_t n = strlen(own[k]);

			known = out->len - i > n + 1 && memcmp(out->data + i + 1, own[k], n) == 0 &&
				(out->data[i + 1 + n] == ' ' || out->data[i + 1 + n] == '>');
		}
		if (!known)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct report *r = report_new();
	struct buffer out;
	struct error error;
	bool passed;

	if (!r)
		abort();
	buffer_init(&out, OUTPUT_LIMIT);
	fold(r, span_of(size ? data : (const uint8_t *)"", size));
	if (!report_gate(r, "open_mismatches=0 and coverage>=0.5 and days>=1", &passed, &error))
		abort();
	if (passed && report_open_mismatches(r) > 0)
		abort();
	check_json(r, &out);
	check_text(r, &out);
	check_html(r, &out);
	buffer_release(&out);
	report_free(r);

	return 0;
}

#include "proxy/cli.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHECK_LIMIT_MS = 300000 };

static size_t count_of(
	const struct preflight_findings *f, const char *kind, enum preflight_level level)
{
	size_t count = 0;

	for (size_t i = 0; i < f->count; i++)
		count += f->list[i].level == level && (!kind || strcmp(f->list[i].kind, kind) == 0);

	return count;
}

/* --- for people --- */

/* A statement may have several lines: each under the others. */
static void print_part(const char *name, const char *text)
{
	if (!*text)
		return;
	printf("             %s: ", name);
	for (const char *p = text; *p; p++) {
		putchar(*p);
		if (*p == '\n')
			printf("             ");
	}
	putchar('\n');
}

static void print_finding(const struct preflight_finding *p)
{
	printf("%-11s  %s: %s\n", preflight_level_name(p->level), p->where, p->what);
	print_part("effect", p->effect);
	print_part("mend", p->mend);
}

static bool seen_before(const struct preflight_findings *f, size_t at)
{
	for (size_t i = 0; i < at; i++)
		if (strcmp(f->list[i].kind, f->list[at].kind) == 0)
			return true;

	return false;
}

/* How many of each kind and level: the whole at a glance. */
static void print_table(const struct preflight_findings *f)
{
	if (f->count == 0)
		return;
	printf("\n%-20s %8s %8s %12s\n", "kind", "forbids", "warning", "information");
	for (size_t i = 0; i < f->count; i++) {
		const char *kind = f->list[i].kind;

		if (!seen_before(f, i))
			printf("%-20s %8zu %8zu %12zu\n", kind,
				count_of(f, kind, PREFLIGHT_FORBIDS),
				count_of(f, kind, PREFLIGHT_WARNING),
				count_of(f, kind, PREFLIGHT_INFORMATION));
	}
	printf("\n");
}

static void print_text(const struct preflight_findings *f)
{
	for (int level = PREFLIGHT_FORBIDS; level >= PREFLIGHT_INFORMATION; level--)
		for (size_t i = 0; i < f->count; i++)
			if ((int)f->list[i].level == level)
				print_finding(&f->list[i]);
	print_table(f);
	printf("%zu that forbid running, %zu warnings, %zu for information\n",
		count_of(f, NULL, PREFLIGHT_FORBIDS), count_of(f, NULL, PREFLIGHT_WARNING),
		count_of(f, NULL, PREFLIGHT_INFORMATION));
}

/* --- for programs --- */

/* Names from a server need not be UTF-8. */
static json_t *text(const char *bytes)
{
	json_t *string = json_string(bytes);

	return string ? string : json_string("(not UTF-8)");
}

static bool print_json(const struct preflight_findings *f)
{
	json_t *list = json_array(), *all;
	bool good;

	for (size_t i = 0; i < f->count; i++) {
		const struct preflight_finding *p = &f->list[i];

		json_array_append_new(
			list, json_pack("{s:s, s:s, s:o, s:o, s:o, s:o}", "level",
				      preflight_level_name(p->level), "kind", p->kind, "where",
				      text(p->where), "what", text(p->what), "effect",
				      text(p->effect), "mend", text(p->mend)));
	}
	all = json_pack("{s:b, s:I, s:I, s:I, s:o}", "runs", !preflight_forbids(f), "forbids",
		(json_int_t)count_of(f, NULL, PREFLIGHT_FORBIDS), "warnings",
		(json_int_t)count_of(f, NULL, PREFLIGHT_WARNING), "informations",
		(json_int_t)count_of(f, NULL, PREFLIGHT_INFORMATION), "findings", list);
	good = all && json_array_size(list) == f->count &&
	       json_dumpf(all, stdout, JSON_INDENT(2)) == 0 && putchar('\n') != EOF;
	json_decref(all);

	return good;
}

int cli_check(int argc, char **argv)
{
	struct preflight_findings findings = {0};
	struct cli_settings settings;
	int code;

	if (cli_settings_read(argc, argv, true, &settings, &code)) {
		cli_find(settings.config, true, CHECK_LIMIT_MS, &findings);
		code = preflight_forbids(&findings) ? EXIT_FINDING : EXIT_GOOD;
		if (!settings.json)
			print_text(&findings);
		else if (!print_json(&findings))
			code = EXIT_RUNTIME;
	}
	preflight_release(&findings);
	cli_settings_release(&settings);

	return code;
}

/* Loads the catalogue of a server and answers questions from standard input, one a line:
 *
 *	function [SCHEMA.]NAME	what catalogue_function says
 *	relation [SCHEMA.]NAME	what catalogue_relation says
 *	only SCHEMA.NAME	whether all functions of the name are in the schema
 *	operator NAME		volatile or not
 *	cast NAME		volatile or not, of a type
 *	type SCHEMA.NAME	whether name and oid lead to one another
 *	calm [SCHEMA.]NAME	whether a function leaves its session alone
 *	calmproc, calmview, calmoperator, calmtype: the same of others
 *	late [SCHEMA.]NAME	whether a relation leads to code that takes names late
 *	mentions NAME		whether such code may mean the name
 *	sql TEXT		the skip reason with this catalogue, or "read"
 *	order TEXT		total if unique keys prove it, else free
 *
 * usage: catalogue_probe CONNINFO
 */
#include "proxy/shadow/catalogue.h"
#include "proxy/shadow/classify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct probe {
	struct catalogue *catalogue;
	struct classifier *classifier;
};

static const char *const function_words[] = {"unknown", "volatile", "stable", "immutable"};
static const char *const relation_words[] = {"unknown", "plain", "row_security", "volatile",
	"system", "server_specific", "user", "row_security_server"};

static const char *const calm_words[] = {"unsure", "calm"};

/* Cuts "schema.name" in two; *schema is NULL without a dot. */
static char *cut(char *text, char **schema)
{
	char *dot = strchr(text, '.');

	*schema = dot ? text : NULL;
	if (!dot)
		return text;
	*dot = '\0';

	return dot + 1;
}

static const char *word_of(const struct statement *s, bool order)
{
	if (order)
		return s->order.total ? "total" : "free";

	return s->skip == REASON_NONE ? "read" : reason_name(s->skip);
}

static const char *decided(struct probe *p, const char *sql, bool order)
{
	struct text_parts parts;
	const char *word = "nothing";

	if (!classify_text(p->classifier, span_cstr(sql), &parts))
		return "no memory";
	if (parts.count == 1)
		word = word_of(parts.part[0].statement, order);
	text_parts_release(&parts);

	return word;
}

static const char *answer_type(const struct catalogue *c, const char *name)
{
	uint32_t oid = catalogue_type_oid(c, name);
	const char *back = oid ? catalogue_type_name(c, oid) : NULL;

	return back && strcmp(back, name) == 0 ? "known" : "unknown";
}

static const char *answer(struct probe *p, const char *kind, char *rest)
{
	char *schema, *name;

	if (strcmp(kind, "sql") == 0 || strcmp(kind, "order") == 0)
		return decided(p, rest, kind[0] == 'o');
	if (strcmp(kind, "operator") == 0)
		return catalogue_operator_volatile(p->catalogue, rest) ? "volatile" : "plain";
	if (strcmp(kind, "cast") == 0)
		return catalogue_type_volatile(p->catalogue, rest) ? "volatile" : "plain";
	if (strcmp(kind, "type") == 0)
		return answer_type(p->catalogue, rest);
	if (strcmp(kind, "calmoperator") == 0)
		return calm_words[catalogue_operator_calm(p->catalogue, rest)];
	if (strcmp(kind, "calmtype") == 0)
		return calm_words[catalogue_type_calm(p->catalogue, rest)];
	if (strcmp(kind, "mentions") == 0)
		return catalogue_mentions(p->catalogue, rest) ? "yes" : "no";
	name = cut(rest, &schema);
	if (strcmp(kind, "calm") == 0)
		return calm_words[catalogue_function_calm(p->catalogue, schema, name)];
	if (strcmp(kind, "calmproc") == 0)
		return calm_words[catalogue_procedure_calm(p->catalogue, schema, name)];
	if (strcmp(kind, "calmview") == 0)
		return calm_words[catalogue_relation_calm(p->catalogue, schema, name)];
	if (strcmp(kind, "late") == 0)
		return catalogue_relation_late(p->catalogue, schema, name) ? "yes" : "no";
	if (strcmp(kind, "function") == 0)
		return function_words[catalogue_function(p->catalogue, schema, name)];
	if (strcmp(kind, "relation") == 0)
		return relation_words[catalogue_relation(p->catalogue, schema, name)];
	if (strcmp(kind, "only") == 0 && schema)
		return catalogue_function_only_in(p->catalogue, schema, name) ? "yes" : "no";
	return "what?";
}

static void answer_all(struct probe *p)
{
	char line[4096];

	while (fgets(line, sizeof line, stdin)) {
		char *space;

		line[strcspn(line, "\n")] = '\0';
		space = strchr(line, ' ');
		if (!space)
			continue;
		*space = '\0';
		puts(answer(p, line, space + 1));
	}
}

int main(int argc, char **argv)
{
	struct classifier_options options = {.cache_entries = 100, .max_sql_bytes = 65536};
	struct error error = {""};
	struct probe p = {0};
	PGconn *connection;
	int code = 3;

	if (argc != 2) {
		fprintf(stderr, "usage: %s CONNINFO\n", argv[0]);
		return 2;
	}
	connection = PQconnectdb(argv[1]);
	if (PQstatus(connection) == CONNECTION_OK)
		p.catalogue = catalogue_load(connection, &error);
	else
		error_set(&error, "%s", PQerrorMessage(connection));
	p.classifier = classifier_new(&options);
	if (p.catalogue && p.classifier) {
		classifier_set_catalogue(p.classifier, p.catalogue, 1);
		answer_all(&p);
		code = 0;
	} else {
		fprintf(stderr, "%s\n", error.text);
	}
	classifier_free(p.classifier);
	catalogue_free(p.catalogue);
	PQfinish(connection);

	return code;
}

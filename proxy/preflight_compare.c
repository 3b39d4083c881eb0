#define _GNU_SOURCE 1 /* qsort_r */
#include "proxy/preflight_compare.h"

#include "proxy/preflight_deparsed.h"
#include "proxy/preflight_questions.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SHOWN_BYTES = 200, BEFORE_DIFFERENCE = 60 };

/* --- one side --- */

/* Rows in order: by parent, marks first, by key. One at a time from a connection, so that any
 * number of them takes the memory of one; or all from an answer. */
struct side {
	PGconn *conn;	  /* borrowed; NULL: from the answer */
	PGresult *answer; /* owned; the row, or all */
	int *order;	  /* owned; of an answer's rows */
	int at;		  /* -1: before the first one */
	bool at_end, failed;
	char *mark; /* owned; the last one passed, NULL: none */
	int key, value, shown, level, add, set, remove, parent, usual; /* columns; -1: not given */
};

static const char *row_cell(const struct side *s, int row, int column)
{
	return column < 0 ? "" : PQgetvalue(s->answer, row, column);
}

static const char *cell(const struct side *s, int column)
{
	return row_cell(s, s->conn ? 0 : s->order[s->at], column);
}

static int order_of(
	const char *parent, const char *key, const char *other_parent, const char *other_key)
{
	int order = strcmp(parent, other_parent);
	bool mark = *parent && strcmp(parent, key) == 0;
	bool other_mark = *other_parent && strcmp(other_parent, other_key) == 0;

	if (order == 0)
		order = (int)other_mark - (int)mark;

	return order != 0 ? order : strcmp(key, other_key);
}

static int by_order(const void *a, const void *b, void *arg)
{
	const struct side *s = arg;
	const int i = *(const int *)a, j = *(const int *)b;

	return order_of(row_cell(s, i, s->parent), row_cell(s, i, s->key),
		row_cell(s, j, s->parent), row_cell(s, j, s->key));
}

static bool is_mark(const struct side *s)
{
	return *cell(s, s->parent) && strcmp(cell(s, s->parent), cell(s, s->key)) == 0;
}

static void side_release(struct side *s)
{
	PQclear(s->answer);
	free(s->order);
	free(s->mark);
}

static void side_columns(struct side *s)
{
	s->key = PQfnumber(s->answer, "key");
	s->value = PQfnumber(s->answer, "value");
	s->shown = PQfnumber(s->answer, "shown");
	s->level = PQfnumber(s->answer, "level");
	s->add = PQfnumber(s->answer, "add");
	s->set = PQfnumber(s->answer, "set");
	s->remove = PQfnumber(s->answer, "remove");
	s->parent = PQfnumber(s->answer, "parent");
	s->usual = PQfnumber(s->answer, "usual");
	if (s->shown < 0)
		s->shown = s->value;
}

static void next_from_connection(struct side *s)
{
	PQclear(s->answer);
	s->answer = PQgetResult(s->conn);
	s->at_end = PQresultStatus(s->answer) != PGRES_SINGLE_TUPLE;
	if (s->at_end)
		s->failed = PQresultStatus(s->answer) != PGRES_TUPLES_OK;
	else if (s->at < 0)
		side_columns(s);
	s->at = 0;
}

/* On to the next row, or to the end. */
static void side_next(struct side *s)
{
	if (s->at >= 0 && is_mark(s)) {
		free(s->mark);
		s->mark = strdup(cell(s, s->key));
		s->failed |= !s->mark;
	}
	if (s->conn)
		next_from_connection(s);
	else
		s->at_end = ++s->at >= PQntuples(s->answer);
	s->at_end |= s->failed;
}

/* Both in UTF-8, whatever the database is in: the order that strcmp has. */
static bool side_ask(struct side *s, PGconn *conn, const struct comparison *c, const char *sql,
	const char *const names[2])
{
	const Oid texts[2] = {25, 25};
	char *ordered = NULL;
	size_t size;
	bool sent = false;
	FILE *out = open_memstream(&ordered, &size);

	*s = (struct side){.conn = conn, .at = -1};
	if (!out)
		return false;
	fprintf(out, "SELECT * FROM (%s) AS q ORDER BY %sconvert_to(key::text, 'UTF8')", sql,
		c->has_parents ? "convert_to(parent, 'UTF8'), key <> parent, " : "");
	if (fclose(out) == 0)
		sent = PQsendQueryParams(conn, ordered, 2, texts, names, NULL, NULL, 0) &&
		       PQsetSingleRowMode(conn);
	free(ordered);

	return sent;
}

/* Both sides in one encoding and with names written alike, so that keys and values can be compared.
 */
static bool transaction_begin(PGconn *conn)
{
	PGresult *answer;
	bool good;

	if (!questions_begin(conn))
		return false;
	answer = PQexec(
		conn, "SET LOCAL client_encoding = 'UTF8'; SET LOCAL quote_all_identifiers = off");
	good = PQresultStatus(answer) == PGRES_COMMAND_OK;
	PQclear(answer);

	return good;
}

/* What a constant's text depends on. Not while settings are compared. */
static bool settings_begin(PGconn *conn)
{
	PGresult *answer = PQexec(conn,
		"SET LOCAL DateStyle = 'ISO, MDY'; SET LOCAL IntervalStyle = 'postgres'; "
		"SET LOCAL TimeZone = 'UTC'; SET LOCAL extra_float_digits = 3; "
		"SET LOCAL bytea_output = 'hex'");
	bool good = PQresultStatus(answer) == PGRES_COMMAND_OK;

	PQclear(answer);

	return good;
}

static void ask_failed(PGconn *conn, const char *kind, const char *subject, const char *where,
	struct preflight_findings *f)
{
	const struct preflight_topic topic = {
		PREFLIGHT_WARNING, kind, "what differs there is not known", ""};
	char why[300];

	questions_error(conn, why, sizeof why);
	preflight_say(f, &topic, where, "%s could not be read: %s", subject, why);
	questions_end(conn);
	if (!transaction_begin(conn) || !settings_begin(conn))
		questions_end(conn); /* the next question says so */
}

/* --- what is said --- */

struct comparing {
	const struct comparison *c;
	struct side control, candidate;
	const char *where;
	struct preflight_findings *f;
	size_t said, unsaid;
	enum preflight_level worst_unsaid;
};

static bool inside_character(const char *p)
{
	return ((unsigned char)*p & 0xc0) == 0x80;
}

/* In one line, the part around `at` when it is long, cut between two characters of UTF-8. */
static const char *cut(const char *text, size_t at, char out[SHOWN_BYTES + 8])
{
	const char *begin = at > BEFORE_DIFFERENCE ? text + at - BEFORE_DIFFERENCE : text, *end;
	size_t used = 0;

	if (strlen(text) <= SHOWN_BYTES)
		begin = text;
	while (begin > text && inside_character(begin))
		begin--;
	end = begin + strnlen(begin, SHOWN_BYTES);
	while (*end && end > begin && inside_character(end))
		end--;
	if (begin > text)
		used = (size_t)snprintf(out, SHOWN_BYTES + 8, "...");
	for (const char *p = begin; p < end; p++)
		out[used++] = *p;
	for (size_t i = 0; i < used; i++)
		if (out[i] == '\n' || out[i] == '\t')
			out[i] = ' ';
	snprintf(out + used, 4, "%s", *end ? "..." : "");

	return out;
}

static void say(struct comparing *g, int level, const char *override, const char *mend,
	const char *key, const char *is, const char *on_control)
{
	struct preflight_topic topic = {PREFLIGHT_INFORMATION, g->c->kind, g->c->effect, mend};
	const char *thing = g->c->thing;

	if (level == COMPARE_SILENT)
		return;
	topic.level = (enum preflight_level)level;
	if (*override)
		topic.level = strcmp(override, "warning") == 0 ? PREFLIGHT_WARNING
							       : PREFLIGHT_INFORMATION;
	if (g->said == COMPARE_FINDINGS_MAX) {
		g->unsaid++;
		if (topic.level > g->worst_unsaid)
			g->worst_unsaid = topic.level;
		return;
	}
	g->said++;
	preflight_say(g->f, &topic, g->where, "%s%s%s %s%s%s", thing, *thing && *key ? " " : "",
		key, is, *on_control ? ", on the control " : "", on_control);
}

/* Nothing is said of marks, nor of what belongs to something that the other side lacks as a whole.
 */
static bool worth_saying(const struct side *s, const struct side *other)
{
	const char *parent = cell(s, s->parent);

	if (!*parent)
		return true;

	return !is_mark(s) && other->mark && strcmp(other->mark, parent) == 0;
}

static void say_missing(struct comparing *g)
{
	const struct side *s = &g->control;
	char shown[SHOWN_BYTES + 8];

	if (worth_saying(s, &g->candidate))
		say(g, g->c->missing, cell(s, s->level), cell(s, s->add), cell(s, s->key),
			"is missing", cut(cell(s, s->shown), 0, shown));
}

static void say_surplus(struct comparing *g)
{
	const struct side *s = &g->candidate;

	if (worth_saying(s, &g->control))
		say(g, g->c->surplus, cell(s, s->level), cell(s, s->remove), cell(s, s->key),
			"is not on the control", "");
}

static void say_both(
	struct comparing *g, const char *on_control, const char *on_candidate, const size_t at[2])
{
	const struct side *a = &g->control, *b = &g->candidate;
	const bool defaults = *cell(a, a->usual) == 't' && *cell(b, b->usual) == 't';
	char is[SHOWN_BYTES + 16], was[SHOWN_BYTES + 64];
	char left[SHOWN_BYTES + 8], right[SHOWN_BYTES + 8];

	snprintf(is, sizeof is, "is %s", *on_candidate ? cut(on_candidate, at[1], right) : "''");
	snprintf(was, sizeof was, "%s%s", *on_control ? cut(on_control, at[0], left) : "''",
		defaults ? ": both are the defaults of their versions" : "");
	say(g, g->c->differs, defaults ? "information" : cell(a, a->level), cell(a, a->set),
		cell(a, a->key), is, was);
}

static void compare_deparsed(struct comparing *g, const char *left, const char *right)
{
	char *a = deparsed_normal(left), *b = deparsed_normal(right);
	size_t at[2] = {0, 0};

	if (!a || !b)
		g->f->failed = true;
	else if (!g->c->same(a, b, at))
		say_both(g, a, b, at);
	free(a);
	free(b);
}

static bool is_behind(const struct comparison *c, const char *control, const char *candidate)
{
	return strtoll(control, NULL, 10) - strtoll(candidate, NULL, 10) > c->tolerance;
}

static void say_differs(struct comparing *g)
{
	static const size_t beginning[2] = {0, 0};
	const struct side *a = &g->control, *b = &g->candidate;
	const char *left = cell(a, a->value), *right = cell(b, b->value);

	if (strcmp(left, right) == 0 || (g->c->behind && !is_behind(g->c, left, right)))
		return;
	if (g->c->same)
		compare_deparsed(g, left, right);
	else
		say_both(g, cell(a, a->shown), cell(b, b->shown), beginning);
}

static void merge(struct comparing *g)
{
	struct side *a = &g->control, *b = &g->candidate;

	side_next(a);
	side_next(b);
	while (!(a->at_end && b->at_end) && !a->failed && !b->failed) {
		int order = a->at_end	? 1
			    : b->at_end ? -1
					: order_of(cell(a, a->parent), cell(a, a->key),
						  cell(b, b->parent), cell(b, b->key));

		if (order < 0)
			say_missing(g);
		else if (order > 0)
			say_surplus(g);
		else
			say_differs(g);
		if (order <= 0)
			side_next(a);
		if (order >= 0)
			side_next(b);
	}
	if (g->unsaid > 0)
		preflight_say(g->f,
			&(struct preflight_topic){g->worst_unsaid, g->c->kind, g->c->effect, ""},
			g->where, "and %zu more differences of this kind", g->unsaid);
}

static bool sort_answer(struct side *s, PGresult *answer)
{
	*s = (struct side){.answer = answer, .at = -1};
	side_columns(s);
	s->order = malloc((size_t)(PQntuples(answer) + 1) * sizeof *s->order);
	if (!s->order)
		return false;
	for (int i = 0; i < PQntuples(answer); i++)
		s->order[i] = i;
	qsort_r(s->order, (size_t)PQntuples(answer), sizeof *s->order, by_order, s);

	return true;
}

void compare_answers(const struct comparison *c, PGresult *control, PGresult *candidate,
	const char *where, struct preflight_findings *f)
{
	struct comparing g = {.c = c, .where = where, .f = f};
	bool good = sort_answer(&g.control, control);

	if (sort_answer(&g.candidate, candidate) && good)
		merge(&g);
	f->failed |= !good || g.control.failed || g.candidate.failed;
	side_release(&g.control);
	side_release(&g.candidate);
}

static bool applies(const struct comparison *c, PGconn *control, PGconn *candidate)
{
	int a = PQserverVersion(control), b = PQserverVersion(candidate);

	return a >= c->min_version && b >= c->min_version &&
	       (c->below_version == 0 || a < c->below_version || b < c->below_version);
}

/* What is left of the answer is read away; a failure is said. */
static void side_finish(struct side *s, PGconn *conn, bool sent, const struct comparison *c,
	const char *where, struct preflight_findings *f)
{
	PGresult *rest;

	while ((rest = PQgetResult(conn)))
		PQclear(rest);
	if (!sent || s->failed)
		ask_failed(conn, c->kind, c->kind, where, f);
	side_release(s);
}

void compare_one(const struct comparison *c, PGconn *control, PGconn *candidate, const char *where,
	struct preflight_findings *f)
{
	const char *names[2] = {PQuser(control), PQuser(candidate)};
	const char *sql = c->candidate_sql ? c->candidate_sql : c->control_sql;
	struct comparing g = {.c = c, .where = where, .f = f};
	bool asked, candidate_asked;

	if (!applies(c, control, candidate))
		return;
	asked = side_ask(&g.control, control, c, c->control_sql, names);
	candidate_asked = side_ask(&g.candidate, candidate, c, sql, names);
	if (asked && candidate_asked)
		merge(&g);
	side_finish(&g.control, control, asked, c, "control", f);
	side_finish(&g.candidate, candidate, candidate_asked, c, where, f);
}

void observe_one(
	const struct observation *o, PGconn *conn, const char *where, struct preflight_findings *f)
{
	PGresult *answer;

	if (PQserverVersion(conn) < o->min_version)
		return;
	answer = PQexec(conn, o->sql);
	if (PQresultStatus(answer) != PGRES_TUPLES_OK)
		ask_failed(conn, o->kind, o->kind, where, f);
	for (int i = 0; i < PQntuples(answer); i++) {
		const struct preflight_topic topic = {(enum preflight_level)o->level, o->kind,
			o->effect, PQgetvalue(answer, i, 1)};
		const struct preflight_topic others = {
			(enum preflight_level)o->level, o->kind, o->effect, ""};

		if (i == COMPARE_FINDINGS_MAX) {
			preflight_say(f, &others, where, "and %d more of this kind",
				PQntuples(answer) - i);
			break;
		}
		preflight_say(f, &topic, where, "%s", PQgetvalue(answer, i, 0));
	}
	PQclear(answer);
}

/* --- everything --- */

static bool begin(
	PGconn *conn, enum comparison_scope scope, const char *where, struct preflight_findings *f)
{
	const struct preflight_topic topic = {
		PREFLIGHT_WARNING, "connection", "what differs is not known", ""};
	char why[300];

	if (transaction_begin(conn) && (scope == SCOPE_SERVER || settings_begin(conn)))
		return true;
	questions_error(conn, why, sizeof why);
	preflight_say(f, &topic, where, "nothing could be compared: %s", why);
	questions_end(conn);

	return false;
}

static const struct {
	const struct comparison *list;
	const size_t *count;
} tables[] = {{comparisons, &comparison_count}, {role_comparisons, &role_comparison_count},
	{table_comparisons, &table_comparison_count},
	{object_comparisons, &object_comparison_count},
	{replication_comparisons, &replication_comparison_count}};

static void compare_tables(enum comparison_scope scope, PGconn *control, PGconn *candidate,
	const char *where, struct preflight_findings *f)
{
	for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
		for (size_t j = 0; j < *tables[i].count; j++)
			if (tables[i].list[j].scope == scope)
				compare_one(&tables[i].list[j], control, candidate, where, f);
}

void observe_alone(PGconn *candidate, const char *where, struct preflight_findings *f)
{
	if (!begin(candidate, SCOPE_DATABASE, where, f))
		return;
	for (size_t i = 0; i < observation_count; i++)
		if (!observations[i].needs_control)
			observe_one(&observations[i], candidate, where, f);
	questions_end(candidate);
}

void compare_scope(enum comparison_scope scope, PGconn *control, PGconn *candidate,
	const char *where, struct preflight_findings *f)
{
	if (!begin(control, scope, "control", f))
		return;
	if (begin(candidate, scope, where, f)) {
		compare_tables(scope, control, candidate, where, f);
		for (size_t i = 0; scope == SCOPE_DATABASE && i < observation_count; i++) {
			observe_one(&observations[i], candidate, where, f);
			if (observations[i].of_control)
				observe_one(&observations[i], control, "control", f);
		}
		questions_end(candidate);
	}
	questions_end(control);
}

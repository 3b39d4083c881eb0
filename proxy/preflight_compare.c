#define _GNU_SOURCE 1 /* qsort_r */
#include "proxy/preflight_compare.h"

#include "proxy/preflight_questions.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SHOWN_BYTES = 200 };

/* --- one side --- */

struct side {
	PGresult *answer; /* owned */
	int *order;	  /* owned; rows by key */
	int count;
	int key, value, shown, level, add, set, remove, parent; /* columns; -1: not given */
};

static const char *cell(const struct side *s, int at, int column)
{
	return column < 0 ? "" : PQgetvalue(s->answer, s->order[at], column);
}

static int by_key(const void *a, const void *b, void *arg)
{
	const struct side *s = arg;

	return strcmp(PQgetvalue(s->answer, *(const int *)a, s->key),
		PQgetvalue(s->answer, *(const int *)b, s->key));
}

static void side_release(struct side *s)
{
	PQclear(s->answer);
	free(s->order);
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
	if (s->shown < 0)
		s->shown = s->value;
}

/* One row more than may be, so that too many are noticed. */
static PGresult *ask(PGconn *conn, const char *sql, const char *const names[2])
{
	const Oid texts[2] = {25, 25};
	char *bounded = NULL;
	PGresult *answer;
	size_t size;
	FILE *out = open_memstream(&bounded, &size);

	if (!out)
		return NULL;
	fprintf(out, "SELECT * FROM (%s) AS q LIMIT %d", sql, COMPARE_ROWS_MAX + 1);
	if (fclose(out) != 0) {
		free(bounded);
		return NULL;
	}
	answer = PQexecParams(conn, bounded, 2, texts, names, NULL, NULL, 0);
	free(bounded);

	return answer;
}

/* Both sides in one encoding, so that keys and values can be compared. */
static bool transaction_begin(PGconn *conn)
{
	PGresult *answer;
	bool good;

	if (!questions_begin(conn))
		return false;
	answer = PQexec(conn, "SET LOCAL client_encoding = 'UTF8'");
	good = PQresultStatus(answer) == PGRES_COMMAND_OK;
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
	if (!transaction_begin(conn))
		questions_end(conn); /* the next question says so */
}

/* Takes the answer, which may be NULL. False: it can't be compared; said why. */
static bool side_take(struct side *s, PGresult *answer, const struct comparison *c,
	const char *where, struct preflight_findings *f)
{
	const struct preflight_topic topic = {
		PREFLIGHT_WARNING, c->kind, "what differs there is not known", ""};

	s->answer = answer;
	s->count = PQntuples(s->answer);
	if (s->count > COMPARE_ROWS_MAX) {
		preflight_say(f, &topic, where, "more than %d entries: %s not compared",
			COMPARE_ROWS_MAX, c->kind);
		return false;
	}
	side_columns(s);
	s->order = malloc((size_t)(s->count + 1) * sizeof *s->order);
	if (!s->order) {
		f->failed = true;
		return false;
	}
	for (int i = 0; i < s->count; i++)
		s->order[i] = i;
	qsort_r(s->order, (size_t)s->count, sizeof *s->order, by_key, s);

	return true;
}

static bool side_has(const struct side *s, const char *key)
{
	int low = 0, high = s->count;

	while (low < high) {
		int middle = low + (high - low) / 2;
		int order = strcmp(cell(s, middle, s->key), key);

		if (order == 0)
			return true;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}

	return false;
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

/* Cut between two characters of UTF-8. */
static const char *cut(const char *text, char out[SHOWN_BYTES + 4])
{
	size_t length = strlen(text);

	if (length <= SHOWN_BYTES)
		return text;
	length = SHOWN_BYTES;
	while (length > 0 && ((unsigned char)text[length] & 0xc0) == 0x80)
		length--;
	memcpy(out, text, length);
	memcpy(out + length, "...", 4);

	return out;
}

static void say(struct comparing *g, int level, const char *override, const char *mend,
	const char *key, const char *is, const char *on_control)
{
	struct preflight_topic topic = {PREFLIGHT_INFORMATION, g->c->kind, g->c->effect, mend};
	char is_cut[SHOWN_BYTES + 4], control_cut[SHOWN_BYTES + 4];
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
		key, cut(is, is_cut), *on_control ? ", on the control " : "",
		cut(on_control, control_cut));
}

/* Nothing is said of marks, nor of what belongs to something that the other side lacks as a whole.
 */
static bool worth_saying(const struct side *s, int at, const struct side *other)
{
	const char *parent = cell(s, at, s->parent);

	if (!*parent)
		return true;

	return strcmp(parent, cell(s, at, s->key)) != 0 && side_has(other, parent);
}

static void say_missing(struct comparing *g, int at)
{
	const struct side *s = &g->control;

	if (worth_saying(s, at, &g->candidate))
		say(g, g->c->missing, cell(s, at, s->level), cell(s, at, s->add),
			cell(s, at, s->key), "is missing", cell(s, at, s->shown));
}

static void say_surplus(struct comparing *g, int at)
{
	const struct side *s = &g->candidate;

	if (worth_saying(s, at, &g->control))
		say(g, g->c->surplus, cell(s, at, s->level), cell(s, at, s->remove),
			cell(s, at, s->key), "is not on the control", "");
}

static bool is_behind(const struct comparison *c, const char *control, const char *candidate)
{
	return strtoll(control, NULL, 10) - strtoll(candidate, NULL, 10) > c->tolerance;
}

static void say_differs(struct comparing *g, int at, int candidate_at)
{
	const struct side *a = &g->control, *b = &g->candidate;
	const char *left = cell(a, at, a->value), *right = cell(b, candidate_at, b->value);
	char is[SHOWN_BYTES + 8], shown[SHOWN_BYTES + 4];

	if (strcmp(left, right) == 0 || (g->c->behind && !is_behind(g->c, left, right)))
		return;
	right = cell(b, candidate_at, b->shown);
	snprintf(is, sizeof is, "is %s", *right ? cut(right, shown) : "''");
	left = cell(a, at, a->shown);
	say(g, g->c->differs, cell(a, at, a->level), cell(a, at, a->set), cell(a, at, a->key), is,
		*left ? left : "''");
}

static void merge(struct comparing *g)
{
	const struct side *a = &g->control, *b = &g->candidate;
	int i = 0, j = 0;

	while (i < a->count || j < b->count) {
		int order = i == a->count   ? 1
			    : j == b->count ? -1
					    : strcmp(cell(a, i, a->key), cell(b, j, b->key));

		if (order < 0)
			say_missing(g, i++);
		else if (order > 0)
			say_surplus(g, j++);
		else
			say_differs(g, i++, j++);
	}
	if (g->unsaid > 0)
		preflight_say(g->f,
			&(struct preflight_topic){g->worst_unsaid, g->c->kind, g->c->effect, ""},
			g->where, "and %zu more differences of this kind", g->unsaid);
}

static bool applies(const struct comparison *c, PGconn *control, PGconn *candidate)
{
	int a = PQserverVersion(control), b = PQserverVersion(candidate);

	return a >= c->min_version && b >= c->min_version &&
	       (!c->same_major || a / 10000 == b / 10000);
}

void compare_answers(const struct comparison *c, PGresult *control, PGresult *candidate,
	const char *where, struct preflight_findings *f)
{
	struct comparing g = {.c = c, .where = where, .f = f};
	bool good = side_take(&g.control, control, c, "control", f);

	if (side_take(&g.candidate, candidate, c, where, f) && good)
		merge(&g);
	side_release(&g.control);
	side_release(&g.candidate);
}

/* NULL: said why. */
static PGresult *ask_or_say(PGconn *conn, const struct comparison *c, const char *sql,
	const char *const names[2], const char *where, struct preflight_findings *f)
{
	PGresult *answer = ask(conn, sql, names);

	if (PQresultStatus(answer) == PGRES_TUPLES_OK)
		return answer;
	PQclear(answer);
	ask_failed(conn, c->kind, *c->thing ? c->thing : c->kind, where, f);

	return NULL;
}

void compare_one(const struct comparison *c, PGconn *control, PGconn *candidate, const char *where,
	struct preflight_findings *f)
{
	const char *names[2] = {PQuser(control), PQuser(candidate)};
	const char *sql = c->candidate_sql ? c->candidate_sql : c->control_sql;
	PGresult *a, *b = NULL;

	if (!applies(c, control, candidate))
		return;
	a = ask_or_say(control, c, c->control_sql, names, "control", f);
	if (a)
		b = ask_or_say(candidate, c, sql, names, where, f);
	if (b)
		compare_answers(c, a, b, where, f);
	else
		PQclear(a);
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

static bool begin(PGconn *conn, const char *where, struct preflight_findings *f)
{
	const struct preflight_topic topic = {
		PREFLIGHT_WARNING, "connection", "what differs is not known", ""};
	char why[300];

	if (transaction_begin(conn))
		return true;
	questions_error(conn, why, sizeof why);
	preflight_say(f, &topic, where, "nothing could be compared: %s", why);
	questions_end(conn);

	return false;
}

static void compare_table(const struct comparison *table, size_t count, enum comparison_scope scope,
	PGconn *control, PGconn *candidate, const char *where, struct preflight_findings *f)
{
	for (size_t i = 0; i < count; i++)
		if (table[i].scope == scope)
			compare_one(&table[i], control, candidate, where, f);
}

void compare_scope(enum comparison_scope scope, PGconn *control, PGconn *candidate,
	const char *where, struct preflight_findings *f)
{
	if (!begin(control, "control", f))
		return;
	if (begin(candidate, where, f)) {
		compare_table(comparisons, comparison_count, scope, control, candidate, where, f);
		compare_table(replication_comparisons, replication_comparison_count, scope, control,
			candidate, where, f);
		for (size_t i = 0; scope == SCOPE_DATABASE && i < observation_count; i++) {
			observe_one(&observations[i], candidate, where, f);
			if (observations[i].of_control)
				observe_one(&observations[i], control, "control", f);
		}
		questions_end(candidate);
	}
	questions_end(control);
}

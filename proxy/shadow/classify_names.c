/* The names in a statement that only the primary's catalogue or the session can give a meaning, and
 * what it does to temporary relations by name. */
#include "proxy/shadow/classify_parts.h"

#include <stdlib.h>

enum { MENTIONS_MAX = 256, TEMPORARIES_MAX = 64 }; /* of one statement (L4) */

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static bool mentioned(
	const struct statement *s, enum mention_kind kind, const char *schema, const char *name)
{
	for (size_t i = 0; i < s->nmentions; i++)
		if (s->mentions[i].kind == kind && strcmp(s->mentions[i].name, name) == 0 &&
			same_text(s->mentions[i].schema, schema))
			return true;

	return false;
}

void walk_mention(struct walk *w, enum mention_kind kind, const char *schema, const char *name)
{
	struct statement *s = w->out;
	struct mention *grown, *m;

	if (s->more_mentions || mentioned(s, kind, schema, name))
		return;
	if (s->nmentions == MENTIONS_MAX) {
		s->more_mentions = true;
		return;
	}
	grown = realloc(s->mentions, (s->nmentions + 1) * sizeof *grown);
	if (!grown) {
		w->no_memory = true;
		return;
	}
	s->mentions = grown;
	m = &grown[s->nmentions++];
	*m = (struct mention){.kind = kind, .name = strdup(name)};
	m->schema = schema ? strdup(schema) : NULL;
	w->no_memory |= !m->name || (schema && !m->schema);
}

struct temporary_change *walk_temporary(struct walk *w, enum temporary_change_kind kind,
	const char *schema, const char *name, bool until_commit)
{
	struct statement *s = w->out;
	struct temporary_change *grown, *c;

	if (s->ntemporaries == TEMPORARIES_MAX) { /* too many are dropped at once: they stay */
		s->creates_temporary |= kind != TEMPORARY_DROPPED;
		return NULL;
	}
	grown = realloc(s->temporaries, (s->ntemporaries + 1) * sizeof *grown);
	if (!grown) {
		w->no_memory = true;
		return NULL;
	}
	s->temporaries = grown;
	c = &grown[s->ntemporaries++];
	*c = (struct temporary_change){
		.kind = kind, .until_commit = until_commit, .name = strdup(name)};
	c->in_pg_temp = schema && schema_is_temporary(schema);
	w->no_memory |= !c->name;

	return c;
}

void walk_created(struct walk *w, const PgQuery__RangeVar *r, PgQuery__OnCommitAction action)
{
	const char *schema = r->schemaname && *r->schemaname ? r->schemaname : NULL;
	bool until_commit = action == PG_QUERY__ON_COMMIT_ACTION__ONCOMMIT_DROP;

	if (strcmp(r->relpersistence, "t") == 0 || (schema && schema_is_temporary(schema)))
		(void)walk_temporary(w, TEMPORARY_CREATED, schema, r->relname, until_commit);
	else if (!schema)
		(void)walk_temporary(w, TEMPORARY_CREATED_ON_PATH, NULL, r->relname, until_commit);
}

void statement_names_release(struct statement *s)
{
	for (size_t i = 0; i < s->nmentions; i++) {
		free(s->mentions[i].schema);
		free(s->mentions[i].name);
	}
	free(s->mentions);
	for (size_t i = 0; i < s->ntemporaries; i++) {
		free(s->temporaries[i].name);
		free(s->temporaries[i].to);
	}
	free(s->temporaries);
	s->mentions = NULL;
	s->temporaries = NULL;
	s->nmentions = s->ntemporaries = 0;
}

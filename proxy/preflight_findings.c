#define _GNU_SOURCE 1 /* vasprintf */
#include "proxy/preflight.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const level_names[] = {
	[PREFLIGHT_INFORMATION] = "information",
	[PREFLIGHT_WARNING] = "warning",
	[PREFLIGHT_FORBIDS] = "forbids",
};

const char *preflight_level_name(enum preflight_level level)
{
	return level_names[level];
}

static void release_finding(struct preflight_finding *p)
{
	free(p->kind);
	free(p->where);
	free(p->what);
	free(p->effect);
	free(p->mend);
}

void preflight_release(struct preflight_findings *f)
{
	for (size_t i = 0; i < f->count; i++)
		release_finding(&f->list[i]);
	free(f->list);
	*f = (struct preflight_findings){0};
}

bool preflight_forbids(const struct preflight_findings *f)
{
	for (size_t i = 0; i < f->count; i++)
		if (f->list[i].level == PREFLIGHT_FORBIDS)
			return true;

	return f->failed;
}

__attribute__((format(printf, 4, 0))) static void add(struct preflight_findings *f,
	const struct preflight_topic *topic, const char *where, const char *format, va_list args)
{
	struct preflight_finding *grown = realloc(f->list, (f->count + 1) * sizeof *grown);
	struct preflight_finding new = {.level = topic->level,
		.kind = strdup(topic->kind),
		.where = strdup(where),
		.effect = strdup(topic->effect),
		.mend = strdup(topic->mend)};

	if (grown)
		f->list = grown;
	if (vasprintf(&new.what, format, args) < 0)
		new.what = NULL;
	if (!grown || !new.kind || !new.where || !new.effect || !new.mend || !new.what) {
		release_finding(&new);
		f->failed = true;
		return;
	}
	if (f->forbids_as_warnings && new.level == PREFLIGHT_FORBIDS)
		new.level = PREFLIGHT_WARNING;
	f->list[f->count++] = new;
	if (f->on_finding)
		f->on_finding(f->arg, &f->list[f->count - 1]);
}

void preflight_say(struct preflight_findings *f, const struct preflight_topic *topic,
	const char *where, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	add(f, topic, where, format, args);
	va_end(args);
}

void preflight_add(struct preflight_findings *f, enum preflight_level level, const char *where,
	const char *mend, const char *format, ...)
{
	const struct preflight_topic topic = {level, "role", "", mend};
	va_list args;

	va_start(args, format);
	add(f, &topic, where, format, args);
	va_end(args);
}

/* --- as lines --- */

/* The line's length without its NUL; only written if it is less than size. */
static size_t put_line(const struct preflight_finding *p, char *out, size_t size)
{
	int length = snprintf(out, size, "%s: %s: %s%s%s%s%s", level_names[p->level], p->where,
		p->what, *p->effect ? "; effect: " : "", p->effect, *p->mend ? "; mend: " : "",
		p->mend);

	return length < 0 ? size : (size_t)length;
}

void preflight_lines(const struct preflight_findings *f, char *out, size_t size)
{
	enum { LAST_LINE = 80 }; /* room for "and N more" and the empty line */
	size_t used = 0, left_out = 0;

	assert(size > LAST_LINE);
	for (int level = PREFLIGHT_FORBIDS; level >= PREFLIGHT_INFORMATION; level--) {
		for (size_t i = 0; i < f->count; i++) {
			size_t room = size - LAST_LINE - used, length;

			if ((int)f->list[i].level != level)
				continue;
			length = left_out > 0 ? room : put_line(&f->list[i], out + used, room);
			if (length >= room)
				left_out++;
			else
				used += length + 1;
		}
	}
	if (left_out > 0)
		used += 1 + (size_t)snprintf(out + used, size - used,
				    "and %zu more: `pgumbra check` shows them", left_out);
	out[used] = '\0';
}

#include "proxy/shadow/mirror_ticket.h"

#include <assert.h>
#include <stdlib.h>

size_t dark_read_bytes(const struct dark_read *read)
{
	size_t bytes = sizeof *read + strlen(read->sql) + read->primary.kept.cap;

	for (size_t i = 0; i < read->nparams; i++)
		bytes += sizeof *read->params + read->params[i].len;
	if (read->list)
		return bytes + read->list->bytes + read->nsettings * sizeof *read->settings;
	for (size_t i = 0; i < read->nsettings; i++)
		bytes += sizeof *read->settings + strlen(read->settings[i].name) +
			 (read->settings[i].value ? strlen(read->settings[i].value) : 0);

	return bytes;
}

void delayed_release(struct delayed *d)
{
	free(d->heap);
	*d = (struct delayed){0};
}

static bool earlier(const struct ticket *a, const struct ticket *b)
{
	if (a->not_before_us != b->not_before_us)
		return a->not_before_us < b->not_before_us;
	return a->order < b->order;
}

static void swap(struct delayed *d, size_t i, size_t j)
{
	struct ticket *t = d->heap[i];

	d->heap[i] = d->heap[j];
	d->heap[j] = t;
}

static bool grow(struct delayed *d)
{
	size_t capacity = d->capacity ? 2 * d->capacity : 64;
	struct ticket **heap = realloc(d->heap, capacity * sizeof(struct ticket *));

	if (!heap)
		return false;
	d->heap = heap;
	d->capacity = capacity;

	return true;
}

bool delayed_add(struct delayed *d, struct ticket *t)
{
	size_t i = d->n;

	if (d->n == d->capacity && !grow(d))
		return false;
	d->heap[d->n++] = t;
	while (i > 0 && earlier(d->heap[i], d->heap[(i - 1) / 2])) {
		swap(d, i, (i - 1) / 2);
		i = (i - 1) / 2;
	}

	return true;
}

struct ticket *delayed_first(const struct delayed *d)
{
	return d->n ? d->heap[0] : NULL;
}

struct ticket *delayed_take(struct delayed *d)
{
	struct ticket *first;
	size_t i = 0;

	assert(d->n > 0);
	first = d->heap[0];
	d->heap[0] = d->heap[--d->n];
	for (;;) {
		size_t least = i;

		for (size_t child = 2 * i + 1; child <= 2 * i + 2 && child < d->n; child++)
			if (earlier(d->heap[child], d->heap[least]))
				least = child;
		if (least == i)
			return first;
		swap(d, i, least);
		i = least;
	}
}

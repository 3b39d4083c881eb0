#include "proxy/relay/routes.h"

#include <assert.h>
#include <stdlib.h>

static uint32_t *chain_of(struct routes *r, uint32_t pid)
{
	return &r->chain[(pid * UINT32_C(2654435761)) % r->chains];
}

bool routes_init(struct routes *r, uint32_t capacity)
{
	*r = (struct routes){.chains = capacity};
	pthread_mutex_init(&r->lock, NULL);
	r->route = calloc((size_t)capacity + 1, sizeof *r->route);
	r->chain = calloc(capacity, sizeof *r->chain);
	if (!r->route || !r->chain)
		return false;
	for (uint32_t i = capacity; i > 0; i--) {
		r->route[i].next = r->free;
		r->free = i;
	}

	return true;
}

void routes_release(struct routes *r)
{
	free(r->route);
	free(r->chain);
	pthread_mutex_destroy(&r->lock);
}

uint32_t routes_add(struct routes *r, uint32_t pid, struct endpoint *e)
{
	uint32_t number, *chain = chain_of(r, pid);

	pthread_mutex_lock(&r->lock);
	number = r->free;
	if (number != NO_ROUTE) {
		r->free = r->route[number].next;
		r->route[number] =
			(struct route){.pid = pid, .next = *chain, .endpoint = endpoint_hold(e)};
		*chain = number;
	}
	pthread_mutex_unlock(&r->lock);

	return number;
}

void routes_remove(struct routes *r, uint32_t number)
{
	struct route *gone = &r->route[number];
	uint32_t *link = chain_of(r, gone->pid);
	struct endpoint *e = gone->endpoint;

	assert(number != NO_ROUTE && e);
	pthread_mutex_lock(&r->lock);
	while (*link != number)
		link = &r->route[*link].next;
	*link = gone->next;
	*gone = (struct route){.next = r->free};
	r->free = number;
	pthread_mutex_unlock(&r->lock);
	endpoint_drop(e);
}

static bool lists(const struct endpoint_list *l, const struct endpoint *e)
{
	for (size_t i = 0; i < l->count; i++) {
		if (address_equal(&l->endpoint[i]->address, &e->address))
			return true;
	}

	return false;
}

struct endpoint_list *routes_find(struct routes *r, uint32_t pid)
{
	struct endpoint_list *found = calloc(1, sizeof *found);

	if (!found)
		return NULL;
	pthread_mutex_lock(&r->lock);
	for (uint32_t i = *chain_of(r, pid); i != NO_ROUTE; i = r->route[i].next) {
		const struct route *at = &r->route[i];

		if (at->pid == pid && found->count < ENDPOINTS_MAX && !lists(found, at->endpoint))
			endpoint_list_add(found, at->endpoint);
	}
	pthread_mutex_unlock(&r->lock);
	if (found->count > 0)
		return found;
	endpoint_list_free(found);

	return NULL;
}

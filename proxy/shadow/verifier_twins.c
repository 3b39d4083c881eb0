#include "proxy/shadow/verifier_parts.h"

#include <stdlib.h>
#include <string.h>

/* Twins are executions of one and the same read (text, parameters, settings, role) that differ at
 * the same time. One of them, the leader, is asked again; what its sandwiches say is said of each
 * follower, with the follower's own first answer, by those sandwiches alone that began after the
 * follower came. So a read that is run a thousand times while its row changes costs the servers one
 * re-check and not a thousand, and all are decided once the data rests. */

static void add(XXH3_state_t *state, const void *bytes, size_t len)
{
	(void)XXH3_128bits_update(state, &len, sizeof len);
	if (len > 0)
		(void)XXH3_128bits_update(state, bytes, len);
}

static void add_text(XXH3_state_t *state, const char *text)
{
	add(state, text, text ? strlen(text) + 1 : 0);
}

static void add_parameters(XXH3_state_t *state, const struct dark_read *read)
{
	add(state, read->param_types, read->nparam_types * sizeof *read->param_types);
	add(state, read->param_formats, read->nparam_formats * sizeof *read->param_formats);
	for (uint16_t i = 0; i < read->nparams; i++) {
		const uint8_t absent = read->params[i].data == NULL;

		add(state, &absent, sizeof absent);
		add(state, read->params[i].data, read->params[i].len);
	}
}

/* All that the answer may depend on. False: out of memory. */
static bool make_key(const struct trial *t, struct twins_key *key)
{
	const struct dark_read *read = t->read;
	XXH3_state_t *state = XXH3_createState();
	XXH128_hash_t hash;

	if (!state)
		return false;
	(void)XXH3_128bits_reset(state);
	add_text(state, read->database);
	add_text(state, read->role);
	add_text(state, read->sql);
	add_text(state, read->null_as);
	add_parameters(state, read);
	add(state, read->result_formats, read->nresult_formats * sizeof *read->result_formats);
	add(state, &read->row_limit, sizeof read->row_limit);
	for (size_t i = 0; i < read->nsettings; i++) {
		add_text(state, read->settings[i].name);
		add_text(state, read->settings[i].value);
	}
	hash = XXH3_128bits_digest(state);
	(void)XXH3_freeState(state);
	*key = (struct twins_key){
		.high = hash.high64, .low = hash.low64, .candidate = t->candidate};

	return true;
}

static void lead(struct trial *t)
{
	HASH_ADD(hh, t->verifier->leaders, twins_key, sizeof t->twins_key, t);
	t->leads = true;
}

static void append(struct trial *leader, struct trial *t)
{
	t->leader = leader;
	t->round = leader->round;
	if (leader->last_follower)
		leader->last_follower->next_follower = t;
	else
		leader->followers = t;
	leader->last_follower = t;
}

bool trial_find_twin(struct trial *t, struct trial **leader)
{
	if (!make_key(t, &t->twins_key))
		return false;
	HASH_FIND(hh, t->verifier->leaders, &t->twins_key, sizeof t->twins_key, *leader);

	return true;
}

void trial_follow(struct trial *t, struct trial *leader)
{
	if (leader)
		append(leader, t);
	else
		lead(t);
}

void twins_end(struct trial *leader, unsigned rounds,
	bool (*end)(struct trial *follower, const struct comparison *c), const struct comparison *c)
{
	struct trial **at = &leader->followers;

	/* they stand in the order in which they came */
	while (*at && leader->round - (*at)->round >= rounds) {
		struct trial *f = *at;

		*at = f->next_follower;
		if (end(f, c))
			continue;
		*at = f;
		at = &f->next_follower;
	}
	leader->last_follower = leader->followers;
	while (leader->last_follower && leader->last_follower->next_follower)
		leader->last_follower = leader->last_follower->next_follower;
}

/* The first follower becomes the leader of the others, and goes on where the old one stood. */
static struct trial *succeed(struct trial *t)
{
	struct trial *heir = t->followers;

	t->followers = t->last_follower = NULL;
	heir->leader = NULL;
	heir->followers = heir->next_follower;
	heir->next_follower = NULL;
	for (struct trial *f = heir->followers; f; f = f->next_follower) {
		f->leader = heir;
		heir->last_follower = f;
	}
	heir->round = t->round;
	heir->doublings = t->doublings;
	if (heir->moved < t->moved)
		heir->moved = t->moved;

	return heir;
}

/* An heir may end at once, and have heirs of its own: one after the other, not one in the other. */
static void send_on(struct verifier *v, struct trial *heir)
{
	heir->next_heir = v->heirs;
	v->heirs = heir;
	if (v->sending_on)
		return;
	v->sending_on = true;
	while ((heir = v->heirs)) {
		v->heirs = heir->next_heir;
		heir->next_heir = NULL;
		trial_inherits(heir);
	}
	v->sending_on = false;
}

void twins_pass_on(struct trial *t)
{
	struct trial *heir;

	if (!t->leads)
		return;
	HASH_DEL(t->verifier->leaders, t);
	t->leads = false;
	if (!t->followers)
		return;
	heir = succeed(t);
	lead(heir);
	send_on(t->verifier, heir);
}

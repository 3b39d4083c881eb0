/* What a session says while it is not taken: the keys of its statements' texts, so that the shadow
 * can tell later whether one of them may have changed the session. A hash each, no copy. */
#include "proxy/relay/recorder_internal.h"

#include <stdlib.h>

void recorder_forget_unseen(struct recorder *r)
{
	r->gap = 0;
	free(r->unseen);
	r->unseen = NULL;
}

void recorder_lose_unseen(struct recorder *r)
{
	r->gap |= GAP_TEXT;
	free(r->unseen);
	r->unseen = NULL;
}

/* Is it of no use to look at texts: nobody will be told, or all is in doubt already? And nothing of
 * a login may be told (R4). */
static bool is_useless(const struct recorder *r)
{
	const struct recording *to = r->recording;

	return r->never || !r->authenticated || to->epoch == 0 || to->switched_off ||
	       (r->gap & (GAP_TEXT | GAP_UNKNOWN)) != 0;
}

static bool is_key(struct text_key a, struct text_key b)
{
	return a.low == b.low && a.high == b.high;
}

static struct tape_text *find(struct unseen *u, struct text_key exact, struct text_key blanked)
{
	const struct text_key none = {0, 0};

	for (uint32_t i = 0; i < u->count; i++) {
		struct tape_text *t = &u->text[i];

		if (is_key(t->exact, exact) ||
			(!is_key(blanked, none) && is_key(t->blanked, blanked)))
			return t;
	}

	return NULL;
}

static void add_text(struct recorder *r, struct span sql)
{
	struct tape_text text = {0}, *like;
	struct quick_key quick;

	if (is_useless(r)) {
		recorder_lose_unseen(r);
		return;
	}
	text.exact = text_key_of(sql, false);
	if (!r->unseen)
		r->unseen = calloc(1, sizeof *r->unseen);
	if (!r->unseen) {
		recorder_lose_unseen(r);
		return;
	}
	if (find(r->unseen, text.exact, text.blanked))
		return;
	if (quick_blank(sql, &quick))
		text.blanked = text_key_of(span_of(quick.bytes, quick.len), true);
	like = find(r->unseen, text.exact, text.blanked);
	if (like)
		like->exact = (struct text_key){0, 0};
	else if (r->unseen->count < UNSEEN_TEXTS_MAX)
		r->unseen->text[r->unseen->count++] = text;
	else
		recorder_lose_unseen(r);
}

static void pass_parse(struct recorder *r, struct span body)
{
	struct parse_message parse;

	if (!parse_parse(body, &parse)) {
		r->gap |= GAP_PARSE;
		recorder_lose_unseen(r);
		return;
	}
	r->gap |= parse.statement.len > 0 ? GAP_PARSE : GAP_UNNAMED;
	add_text(r, parse.sql);
}

static void pass_close(struct recorder *r, struct span body)
{
	struct target_message target;

	if (!parse_target(body, &target) || target.kind != 'P')
		r->gap |= GAP_CLOSE;
}

static void pass_one(struct recorder *r, uint8_t type, struct span body)
{
	struct span sql;

	if (type == FRONT_PARSE)
		pass_parse(r, body);
	else if (type == FRONT_CLOSE)
		pass_close(r, body);
	else if (type == FRONT_QUERY && parse_query(body, &sql))
		add_text(r, sql);
	else if (type == FRONT_QUERY || type == FRONT_FUNCTION_CALL)
		recorder_lose_unseen(r);
}

void recorder_pass_unseen(struct recorder *r, struct span messages, uint32_t flags, bool cut)
{
	const uint32_t looked_into = GAP_PARSE | GAP_CLOSE;
	size_t size;

	if (!(flags & (GAP_TEXTS | looked_into))) {
		r->gap |= flags;
		return;
	}
	r->gap |= flags & ~looked_into;
	while (!cut && (size = whole_size(messages)) > 0) {
		pass_one(r, messages.data[0],
			span_of(messages.data + MESSAGE_HEADER, size - MESSAGE_HEADER));
		messages = skip(messages, size);
	}
	if (!cut && messages.len == 0)
		return;
	r->gap |= flags;
	if (flags & GAP_TEXTS)
		recorder_lose_unseen(r);
}

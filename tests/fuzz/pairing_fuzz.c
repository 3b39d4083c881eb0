/* Laws: whatever the two sides say, the pairing does not crash, keeps its limits (P3), tells each
 * request's end at most once (P1) and in request order (P4), and tells nothing after it is lost
 * (P2). When it is idle, every request has ended.
 *
 * The input is letters: frontend messages as they are, backend messages with the high bit set; o
 * and O are Describe and Close of a portal; ! with the high bit is a FATAL error. */
#include "protocol/pairing.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LIMIT = 200, HYPOTHESES_MAX = 16 };

struct witness {
	struct pairing *pairing;
	uint32_t relayed; /* number of the last request */
	uint32_t ended;	  /* number of the last that ended; all before it have */
	uint32_t failed;  /* Q S or F that failed and is still to end */
	bool over;	  /* lost or closed */
};

static void require(bool law)
{
	if (!law)
		abort();
}

static bool fails_before_it_ends(const struct pairing_event *event)
{
	return event->kind == PAIR_FAILED &&
	       (event->type == 'Q' || event->type == 'S' || event->type == 'F');
}

static void on_event(void *self, const struct pairing_event *event)
{
	struct witness *w = self;
	uint8_t type;

	require(!w->over);
	require(event->request == w->ended + 1 && event->request <= w->relayed + 1);
	if (fails_before_it_ends(event)) {
		require(w->failed != event->request);
		w->failed = event->request;
		return;
	}
	require(w->failed != event->request || event->kind == PAIR_DONE);
	w->ended = event->request;
	pairing_head(w->pairing, &type);
}

static enum pairing_result tell_front(struct witness *w, uint8_t letter)
{
	uint8_t type = letter == 'o' ? 'D' : letter == 'O' ? 'C' : letter;
	uint8_t sub = type != 'D' && type != 'C' ? 0 : type == letter ? 'S' : 'P';
	enum pairing_result result;
	uint32_t request;

	result = pairing_front(w->pairing, type, sub, &request);
	if (w->over || type == 'H' || type == 'd') {
		require(request == 0);
		return result;
	}
	require(request == w->relayed + 1);
	w->relayed = request;

	return result;
}

static enum pairing_result tell_back(struct witness *w, uint8_t letter)
{
	switch (letter) {
	case '!': return pairing_back(w->pairing, 'E', span_of("VFATAL\0", 8));
	case 'E': return pairing_back(w->pairing, 'E', span_of("VERROR\0", 8));
	case 'Z': return pairing_back(w->pairing, 'Z', span_cstr("T"));
	default: return pairing_back(w->pairing, letter, span_cstr(""));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum pairing_result result, before = PAIRING_OK;
	struct witness w = {0};

	w.pairing = pairing_new(LIMIT, on_event, &w);
	require(w.pairing != NULL);
	for (size_t i = 0; i < size; i++) {
		result = data[i] & 0x80 ? tell_back(&w, data[i] & 0x7f) : tell_front(&w, data[i]);
		require(!w.over || result == before);
		before = result;
		w.over = result != PAIRING_OK;
		require(pairing_hypotheses(w.pairing) >= 1);
		require(pairing_hypotheses(w.pairing) <= HYPOTHESES_MAX);
		require(pairing_outstanding(w.pairing) <= LIMIT);
		if (pairing_idle(w.pairing))
			require(!w.over && w.ended == w.relayed);
	}
	pairing_free(w.pairing);

	return 0;
}

/* The protocol side of an observed session: requests and answers, paired. */
#include "proxy/shadow/observed.h"

#include "proxy/shadow/journal.h"
#include <assert.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>

static void on_event(void *self, const struct pairing_event *event);

static bool is_execution_frame(uint8_t type)
{
	return type == FRONT_QUERY || type == FRONT_EXECUTE || type == FRONT_FUNCTION_CALL;
}

struct observed *observed_new_unfollowed(
	struct observer *o, struct tape_session id, enum unobserved why)
{
	struct observed *s = calloc(1, sizeof *s);

	if (!s)
		return NULL;
	s->observer = o;
	s->id = id;
	s->state = SESSION_LOST;
	s->why = why;
	assembler_init(&s->front, o->options.max_message_bytes + MESSAGE_HEADER);
	assembler_init(&s->back, o->options.max_message_bytes + MESSAGE_HEADER);

	return s;
}

struct observed *observed_new(struct observer *o, struct tape_session id)
{
	struct observed *s = calloc(1, sizeof *s);
	struct timespec wall, mono;

	if (!s)
		return NULL;
	s->observer = o;
	s->id = id;
	s->why = UNOBSERVED_DESYNC;
	s->first = s->next = 1;
	assembler_init(&s->front, o->options.max_message_bytes + MESSAGE_HEADER);
	assembler_init(&s->back, o->options.max_message_bytes + MESSAGE_HEADER);
	if (!session_settings_init(&s->settings)) {
		observed_free(s);
		return NULL;
	}
	s->settings_at_ready = settings_state_ref(s->settings.current);
	clock_gettime(CLOCK_REALTIME, &wall);
	clock_gettime(CLOCK_MONOTONIC, &mono);
	s->wall_offset_us = (uint64_t)(wall.tv_sec - mono.tv_sec) * 1000000 +
			    (uint64_t)(wall.tv_nsec / 1000) - (uint64_t)(mono.tv_nsec / 1000);
	uuid_v7(s->uuid);

	return s;
}

static void drop_body(struct observed *s, struct request *r)
{
	s->observer->memory -= r->len;
	free(r->body);
	r->body = NULL;
	r->len = 0;
}

static struct request *request_at(struct observed *s, uint32_t number)
{
	if (number - s->first >= s->next - s->first)
		return NULL;
	return &s->requests[number % s->capacity];
}

/* Makes room; capacity stays a power of two so that numbers wrap cleanly. */
static bool requests_grow(struct observed *s)
{
	uint32_t capacity = s->capacity ? s->capacity * 2 : 8;
	struct request *requests;

	if (capacity > 2 * SESSION_REQUESTS_MAX)
		return false;
	requests = calloc(capacity, sizeof *requests);
	if (!requests)
		return false;
	for (uint32_t n = s->first; n != s->next; n++)
		requests[n % capacity] = s->requests[n % s->capacity];
	free(s->requests);
	s->requests = requests;
	s->capacity = capacity;

	return true;
}

/* Its numbers begin with the requests'. False: out of memory. */
static bool pairing_begin(struct observed *s)
{
	if (s->pairing)
		return true;
	assert(s->first == s->next);
	s->first = s->next = 1;
	s->pairing = pairing_new(SESSION_REQUESTS_MAX, on_event, s);

	return s->pairing != NULL;
}

/* What is only there to be quick, of a session of which nothing is awaited. */
void observed_rest(struct observed *s)
{
	if (s->state != SESSION_LIVE || s->first != s->next ||
		(s->pairing && !pairing_idle(s->pairing)))
		return;
	pairing_free(s->pairing);
	s->pairing = NULL;
	free(s->requests);
	s->requests = NULL;
	s->capacity = 0;
	observed_facts_free(s->facts);
	s->facts = NULL;
	if (s->settings_at_ready != s->settings.current)
		return;
	session_settings_share(&s->settings, s->observer->settings);
	settings_state_unref(s->settings_at_ready);
	s->settings_at_ready = settings_state_ref(s->settings.current);
}

static void frame_ended(struct observed *s, struct request *r, uint64_t *counter)
{
	if (!r->counted)
		return;
	r->counted = false;
	s->observer->frames_open--;
	(*counter)++;
}

static void current_clear(struct observed *s)
{
	s->current = NULL;
	s->current_portal = NULL;
	s->current_continues = false;
}

static void parts_clear(struct observed *s)
{
	if (s->parts_valid)
		text_parts_release(&s->parts);
	s->parts_valid = false;
	s->part = 0;
}

/* A frame whose answer nobody will see is one execution of its own. */
static void end_unbegun(
	struct observed *s, struct request *r, enum outcome outcome, enum reason reason)
{
	const struct observer_sink *sink = &s->observer->sink;

	if (!r->counted)
		return;
	frame_ended(s, r, &s->observer->books->frames_execution);
	sink->on_begin(sink->self);
	sink->on_end(sink->self, NULL, outcome, reason);
}

void observed_abandon(struct observed *s, enum outcome outcome, enum reason reason)
{
	struct portal *p, *next;

	if (s->current && !(s->current_portal && s->current_portal->execution == s->current))
		execution_abandon(s, s->current, outcome, reason);
	current_clear(s);
	parts_clear(s);
	HASH_ITER (hh, s->portals, p, next) {
		if (p->execution)
			execution_abandon(s, p->execution, outcome, reason);
		p->execution = NULL;
	}
	observed_close_portals(s);
	for (; s->first != s->next; s->first++) {
		struct request *r = request_at(s, s->first);

		end_unbegun(s, r, outcome, reason);
		drop_body(s, r);
	}
}

void observed_free(struct observed *s)
{
	if (!s)
		return;
	observed_abandon(s, OUTCOME_SKIPPED, REASON_UNANSWERED);
	observed_forget_statements(s);
	session_settings_release(&s->settings);
	settings_state_unref(s->settings_at_ready);
	observed_facts_free(s->facts);
	texts_unref(s->reported);
	texts_unref(s->who);
	assembler_release(&s->front);
	assembler_release(&s->back);
	pairing_free(s->pairing);
	free(s->requests);
	free(s->unsettled);
	free(s);
}

void observed_lose(struct observed *s)
{
	if (s->state == SESSION_LOST || s->state == SESSION_ENDING)
		return;
	observed_abandon(s, OUTCOME_SKIPPED, REASON_LOST_PAIRING);
	s->state = SESSION_LOST;
	s->observer->books->events[EVENT_DESYNC]++;
}

/* A frame that needs no request: counted and ended at once. */
static void frame_without_answer(struct observed *s, enum outcome outcome, enum reason reason)
{
	const struct observer_sink *sink = &s->observer->sink;

	s->observer->books->observed++;
	s->observer->books->frames_execution++;
	sink->on_begin(sink->self);
	sink->on_end(sink->self, NULL, outcome, reason);
}

/* --- requests --------------------------------------------------------------------------------- */

static void request_store(
	struct observed *s, struct request *r, const struct message *m, uint64_t time_us)
{
	struct observer *o = s->observer;

	*r = (struct request){.type = m->type, .time_us = time_us};
	if ((m->type == FRONT_DESCRIBE || m->type == FRONT_CLOSE) && m->body.len > 0)
		r->sub = m->body.data[0];
	r->too_long = !m->body.data;
	if (r->too_long || m->type == FRONT_SYNC)
		return;
	if (o->memory + m->body.len <= o->options.memory_limit_bytes)
		r->body = malloc(m->body.len ? m->body.len : 1);
	if (!r->body) {
		r->too_long = true;
		return;
	}
	memcpy(r->body, m->body.data, m->body.len);
	r->len = m->body.len;
	o->memory += r->len;
}

/* Makes room for one more. False: out of memory. */
static bool request_begin(struct observed *s)
{
	return pairing_begin(s) && (s->next - s->first < s->capacity || requests_grow(s));
}

void observed_front(struct observed *s, const struct message *m, uint64_t time_us)
{
	struct observer *o = s->observer;
	struct request *r;
	uint32_t number;
	enum pairing_result result;

	bool counts = is_execution_frame(m->type);

	if (s->state != SESSION_LOST && s->state != SESSION_ENDING && !request_begin(s))
		observed_lose(s);
	if (counts)
		o->frames_read++;
	if (counts && s->state == SESSION_LOST)
		o->books->unobserved[s->why]++;
	if (counts && s->state == SESSION_ENDING)
		frame_without_answer(s, OUTCOME_SKIPPED, REASON_UNANSWERED);
	if (s->state == SESSION_LOST || s->state == SESSION_ENDING || m->type == FRONT_FLUSH ||
		m->type == FRONT_COPY_DATA)
		return;
	r = &s->requests[s->next % s->capacity];
	request_store(s, r, m, time_us);
	if (counts) {
		r->counted = true;
		o->books->observed++;
		o->frames_open++;
	}
	s->next++;
	result = pairing_front(s->pairing, m->type, r->sub, &number);
	if (result != PAIRING_OK || number != s->next - 1) /* numbers are consecutive */
		observed_lose(s);
}

/* --- answers ---------------------------------------------------------------------------------- */

static void query_parts(struct observed *s, struct request *q)
{
	struct span sql;

	if (s->parts_valid)
		return;
	s->part = 0;
	s->parts = (struct text_parts){0};
	if (q->too_long || !parse_query(span_of(q->body, q->len), &sql))
		return;
	q->unreadable = observed_unreadable(s, sql);
	s->parts_valid = !q->unreadable && classify_text(s->view->classifier, sql, &s->parts);
}

static const struct text_part *current_part(const struct observed *s)
{
	if (!s->parts_valid || s->parts.count == 0)
		return NULL;
	/* A text that the parser does not know is one part, whatever the server makes of it. */
	return s->part < s->parts.count ? &s->parts.part[s->part] : NULL;
}

static void begin_query(struct observed *s, struct request *q)
{
	bool more = q->begun;

	q->begun = true;
	if (s->current || (more && s->parts_valid && s->parts.unparsed))
		return;
	query_parts(s, q);
	frame_ended(s, q, &s->observer->books->frames_execution);
	s->current = execution_begin_part(s, q, current_part(s));
}

static void begin_execute(struct observed *s, struct request *r)
{
	struct execute_message m;
	struct portal *p = NULL;

	if (r->begun)
		return;
	r->begun = true;
	current_clear(s);
	if (!r->too_long && parse_execute(span_of(r->body, r->len), &m))
		p = observed_portal(s, (const char *)m.portal.data, m.portal.len);
	s->current_portal = p;
	if (p && (p->execution || p->finished)) {
		frame_ended(s, r, &s->observer->books->frames_continuation);
		s->current = p->execution;
		if (s->current)
			execution_continues(s, s->current);
		s->current_continues = true;
		return;
	}
	frame_ended(s, r, &s->observer->books->frames_execution);
	s->current = execution_begin_portal(s, p, r);
	if (p)
		p->execution = s->current;
}

static void begin_answer(struct observed *s, uint32_t number)
{
	struct request *r = request_at(s, number);

	if (r && r->type == FRONT_QUERY)
		begin_query(s, r);
	else if (r && r->type == FRONT_EXECUTE)
		begin_execute(s, r);
}

/* The statement behind the current execution, for its effect on the session. */
static const struct statement *current_statement(struct observed *s, const struct request *r)
{
	if (r->type == FRONT_QUERY) {
		const struct text_part *part = current_part(s);

		return part ? part->statement : NULL;
	}
	return s->current_portal && s->current_portal->prepared
		       ? s->current_portal->prepared->statement
		       : NULL;
}

/* An SQL cursor's Execute changes nothing; an Execute of an empty text neither. */
static bool without_effect(const struct observed *s, const struct request *r)
{
	const struct portal *p = s->current_portal;

	if (r->type == FRONT_QUERY)
		return s->parts_valid && s->parts.count == 0;
	if (!p)
		return s->current_continues;

	return s->current_continues || p->applied || p->cursor ||
	       (p->prepared && !p->prepared->statement && p->prepared->sql[0] == '\0');
}

/* Ends the current execution, then lets the statement act on the session (which may close the
 * portal). */
static void end_current(struct observed *s, uint32_t number, struct span tag,
	const struct message *error, uint64_t time_us)
{
	struct request *r = request_at(s, number);
	const struct statement *statement = current_statement(s, r);
	bool quiet = without_effect(s, r);

	if (statement)
		statement_ref(statement);
	if (s->current_portal) {
		s->current_portal->execution = NULL;
		s->current_portal->finished = true;
	}
	if (s->current && error)
		execution_failed(s, s->current, error->body, time_us);
	else if (s->current)
		execution_complete(s, s->current, tag, time_us);
	s->applying = s->current_portal;
	current_clear(s);
	if (!quiet)
		observed_apply(s, statement, tag, !error);
	s->applying = NULL;
	if (statement)
		statement_unref(statement);
	if (r->type == FRONT_QUERY && !error)
		s->part++;
}

/* The first rows have come, so what the statement does to the session is done: select set_config()
 * fetched with a limit of one row never completes. */
static void suspended(struct observed *s, uint32_t number)
{
	struct request *r = request_at(s, number);
	const struct statement *statement = current_statement(s, r);

	if (s->current && s->current->cursor) { /* moved further than its rows have come */
		execution_undeclare(s, s->current->cursor);
		s->current->cursor = NULL;
	}
	if (s->current && !s->current_portal)
		execution_limited(s, s->current); /* not known: nothing continues it */
	s->applying = s->current_portal;
	if (!without_effect(s, r))
		observed_apply(s, statement, span_cstr("SELECT"), true);
	s->applying = NULL;
	if (s->current_portal)
		s->current_portal->applied = true;
	current_clear(s);
}

static void store_columns(uint8_t **slot, size_t *len, struct span body)
{
	uint8_t *copy = malloc(body.len ? body.len : 1);

	if (!copy)
		return;
	memcpy(copy, body.data, body.len);
	free(*slot);
	*slot = copy;
	*len = body.len;
}

/* t for a Describe of a statement. */
static void described_parameters(
	struct observed *s, const struct request *r, const struct message *m)
{
	struct target_message target;
	struct prepared *p;
	struct reader oids;
	struct span packed;
	uint32_t *types;
	uint16_t count;

	if (r->too_long || !parse_target(span_of(r->body, r->len), &target) ||
		!parse_parameter_description(m->body, &count, &packed))
		return;
	p = observed_statement(s, (const char *)target.name.data, target.name.len);
	types = p ? calloc(count ? count : 1, sizeof *types) : NULL;
	if (!types)
		return;
	oids = reader_over(packed);
	for (uint16_t i = 0; i < count; i++)
		types[i] = read_u32(&oids);
	free(p->described);
	p->described = types;
	p->ndescribed = count;
}

/* T or n for a Describe. */
static void described(struct observed *s, const struct request *r, const struct message *m)
{
	struct target_message target;

	if (r->too_long || !parse_target(span_of(r->body, r->len), &target))
		return;
	if (target.kind == 'S') {
		struct prepared *p =
			observed_statement(s, (const char *)target.name.data, target.name.len);

		if (p && m->type == BACK_ROW_DESCRIPTION)
			store_columns(&p->columns, &p->columns_len, m->body);
		if (p)
			p->no_data = m->type == BACK_NO_DATA;
	} else {
		struct portal *p =
			observed_portal(s, (const char *)target.name.data, target.name.len);

		if (p && m->type == BACK_ROW_DESCRIPTION)
			store_columns(&p->columns, &p->columns_len, m->body);
		if (p)
			p->no_data = m->type == BACK_NO_DATA;
	}
}

static void query_columns(struct observed *s, const struct message *m)
{
	if (s->current)
		execution_columns(s->current, m->body);
}

/* An error behind the last statement of a Query: its commit failed. It belongs to no statement. */
static bool failed_behind_statements(struct observed *s, uint32_t head, const struct message *m)
{
	const struct request *r = request_at(s, head);

	return m->type == BACK_ERROR && r && r->type == FRONT_QUERY && r->begun && !s->current &&
	       s->parts_valid && !s->parts.unparsed && s->part >= s->parts.count;
}

/* What a server message means for the request that it answers; the pairing then moves on. */
static void answer(struct observed *s, uint32_t head, uint8_t head_type, const struct message *m,
	uint64_t time_us)
{
	struct span tag;

	if (head_type != FRONT_QUERY && head_type != FRONT_EXECUTE) {
		if (head_type == FRONT_DESCRIBE &&
			(m->type == BACK_ROW_DESCRIPTION || m->type == BACK_NO_DATA))
			described(s, request_at(s, head), m);
		if (head_type == FRONT_DESCRIBE && m->type == BACK_PARAMETER_DESCRIPTION)
			described_parameters(s, request_at(s, head), m);
		return;
	}
	if (m->type == BACK_READY || failed_behind_statements(s, head, m))
		return;
	begin_answer(s, head);
	switch (m->type) {
	case BACK_ROW_DESCRIPTION: query_columns(s, m); break;
	case BACK_DATA_ROW:
		if (s->current)
			execution_row(s, s->current, m->body);
		break;
	case BACK_COPY_OUT:
		if (s->current)
			execution_copy_begin(s->current, m->body);
		break;
	case BACK_COPY_DATA:
		if (s->current)
			execution_copy_row(s, s->current, m->body);
		break;
	case BACK_COMMAND_COMPLETE:
		if (!parse_command_complete(m->body, &tag))
			tag = span_cstr("");
		end_current(s, head, tag, NULL, time_us);
		break;
	case BACK_EMPTY_QUERY: end_current(s, head, span_cstr(""), NULL, time_us); break;
	case BACK_ERROR: end_current(s, head, span_cstr(""), m, time_us); break;
	case BACK_PORTAL_SUSPENDED: suspended(s, head); break;
	default: break;
	}
}

void observed_rows_missing(struct observed *s, const struct tape_rows *rows)
{
	uint8_t type;
	uint32_t head =
		s->state == SESSION_LIVE && s->pairing ? pairing_head(s->pairing, &type) : 0;

	if (head == 0)
		return;
	begin_answer(s, head);
	if (s->current && s->current->cursor)
		execution_undeclare(s, s->current->cursor);
	if (s->current && s->current->skip == REASON_NONE) {
		dark_read_unref(s->current->read);
		s->current->read = NULL;
		if (rows->reason == ROWS_SAMPLED_OUT)
			s->current->skip = REASON_SAMPLED_OUT;
		else
			s->current->dropped = REASON_TAPE_ROWS;
	}
}

static bool is_fatal(struct span body)
{
	struct error_fields fields;

	return parse_error_fields(body, &fields) &&
	       (span_is(fields.severity, "FATAL") || span_is(fields.severity, "PANIC"));
}

static void parameter_status(struct observed *s, const struct message *m)
{
	struct span name, value;

	if (parse_parameter_status(m->body, &name, &value))
		observed_report(s, name, value);
}

void observed_back(struct observed *s, const struct message *m, uint64_t time_us)
{
	uint8_t head_type = 0, status;
	uint32_t head;

	if (s->state == SESSION_LOST || s->state == SESSION_ENDING)
		return;
	if (m->type == BACK_PARAMETER_STATUS) {
		parameter_status(s, m);
		return;
	}
	if (m->type == BACK_NOTICE || m->type == BACK_NOTIFICATION)
		return;
	if (s->state == SESSION_STARTING) {
		if (m->type == BACK_READY) {
			s->state = SESSION_LIVE;
			observed_first_report(s);
			observed_ready(s, 'I');
			observed_rest(s);
		}
		return;
	}
	if (m->type == BACK_ERROR && is_fatal(m->body)) {
		observed_abandon(s, OUTCOME_SKIPPED, REASON_UNANSWERED);
		s->state = SESSION_ENDING;
		return;
	}
	if (!pairing_begin(s)) {
		observed_lose(s);
		return;
	}
	head = pairing_head(s->pairing, &head_type);
	if (m->type == BACK_ERROR)
		s->cycle_failed = true;
	if (head != 0)
		answer(s, head, head_type, m, time_us);
	if (pairing_back(s->pairing, m->type, m->body) != PAIRING_OK) {
		observed_lose(s);
		return;
	}
	if (m->type == BACK_READY && parse_ready(m->body, &status))
		observed_ready(s, status);
}

/* --- what became of requests ------------------------------------------------------------------ */

/* Parse and Bind of a read take its transaction's snapshot, those of BEGIN or SET none. */
static bool is_touched_by(struct observed *s, struct span name)
{
	struct prepared *p = observed_statement(s, (const char *)name.data, name.len);

	return !p || !p->statement || observed_takes_snapshot(p->statement);
}

static void parse_ended(struct observed *s, const struct request *r, bool ok)
{
	bool touched = s->touched;
	struct parse_message m;
	uint32_t *types;
	struct reader reader;

	s->touched = true;
	if (r->too_long || !parse_parse(span_of(r->body, r->len), &m)) {
		observed_undefine(s, "", 0);
		s->statements_unknown = s->statements_unproven = true;
		return;
	}
	if (!ok) {
		if (m.statement.len == 0)
			observed_undefine(
				s, "", 0); /* a failed unnamed Parse has dropped the old one */
		return;
	}
	types = calloc(m.nparams ? m.nparams : 1, sizeof *types);
	if (!types) {
		observed_undefine(s, (const char *)m.statement.data, m.statement.len);
		s->statements_unknown = s->statements_unproven = true;
		return;
	}
	reader = reader_over(m.param_types);
	for (uint16_t i = 0; i < m.nparams; i++)
		types[i] = read_u32(&reader);
	observed_define(s, m.statement, m.sql, m.nparams, types, false);
	free(types);
	s->touched = touched || is_touched_by(s, m.statement);
}

static void bind_ended(struct observed *s, const struct request *r, bool ok)
{
	bool touched = s->touched;
	struct bind_message m;

	s->touched = true;
	if (r->too_long || !parse_bind(span_of(r->body, r->len), &m)) {
		observed_close_portal(s, "", 0);
		return;
	}
	if (ok) {
		observed_bind(s, m.portal, m.statement, span_of(r->body, r->len));
		s->touched = touched || is_touched_by(s, m.statement);
	} else if (m.portal.len == 0) {
		observed_close_portal(s, "", 0);
	}
}

static void close_ended(struct observed *s, const struct request *r)
{
	struct target_message m;

	if (r->too_long || !parse_target(span_of(r->body, r->len), &m))
		return;
	if (m.kind == 'S')
		observed_undefine(s, (const char *)m.name.data, m.name.len);
	else
		observed_close_portal(s, (const char *)m.name.data, m.name.len);
}

/* A Query's ReadyForQuery: the unnamed statement and portal are gone. */
static void query_ended(struct observed *s, struct request *r)
{
	if (s->current) {
		execution_abandon(s, s->current, OUTCOME_SKIPPED, REASON_LOST_PAIRING);
		current_clear(s);
	}
	if (!r->begun) { /* answered while it was not certain which request was meant */
		end_unbegun(s, r, OUTCOME_SKIPPED, REASON_LOST_PAIRING);
		observed_apply(s, NULL, span_cstr(""), true);
	}
	parts_clear(s);
	observed_undefine(s, "", 0);
	observed_close_portal(s, "", 0);
}

static void execute_ended(struct observed *s, struct request *r)
{
	if (r->begun)
		return;
	end_unbegun(s, r, OUTCOME_SKIPPED, REASON_LOST_PAIRING);
	observed_apply(s, NULL, span_cstr(""), true);
}

/* The large-object functions, which drivers call this way: they act on data only. */
static bool is_large_object_call(const struct request *r)
{
	static const uint32_t oids[] = {
		715, 952, 953, 954, 955, 956, 957, 958, 964, 1004, 3170, 3171, 3172};
	struct reader reader = reader_over(span_of(r->body, r->len));
	uint32_t oid = r->too_long ? 0 : read_u32(&reader);

	for (size_t i = 0; i < sizeof oids / sizeof *oids; i++)
		if (oids[i] == oid)
			return true;

	return false;
}

static void function_ended(struct observed *s, struct request *r)
{
	end_unbegun(s, r, OUTCOME_SKIPPED, REASON_NOT_A_READ);
	if (is_large_object_call(r)) {
		session_settings_begin(&s->settings);
		s->tainted = true;
	} else {
		observed_apply(s, NULL, span_cstr(""), true);
	}
}

static void request_done(struct observed *s, struct request *r, bool ok)
{
	switch (r->type) {
	case FRONT_PARSE: parse_ended(s, r, ok); break;
	case FRONT_BIND: bind_ended(s, r, ok); break;
	case FRONT_CLOSE: close_ended(s, r); break;
	case FRONT_EXECUTE: execute_ended(s, r); break;
	case FRONT_QUERY: query_ended(s, r); break;
	case FRONT_FUNCTION_CALL: function_ended(s, r); break;
	default: break;
	}
}

static void on_event(void *self, const struct pairing_event *event)
{
	struct observed *s = self;
	struct request *r = request_at(s, event->request);

	if (!r)
		return;
	if (event->kind == PAIR_FAILED &&
		(r->type == FRONT_QUERY || r->type == FRONT_SYNC || r->type == FRONT_FUNCTION_CALL))
		return; /* their ReadyForQuery follows */
	switch (event->kind) {
	case PAIR_DONE:
	case PAIR_SUSPENDED: request_done(s, r, true); break;
	case PAIR_FAILED: request_done(s, r, false); break;
	case PAIR_SKIPPED: frame_ended(s, r, &s->observer->books->frames_discarded); break;
	case PAIR_SWALLOWED: break;
	}
	r->counted = false;
	r->type = 0; /* settled */
	drop_body(s, r);
	while (s->first != s->next && request_at(s, s->first)->type == 0)
		s->first++;
}

#include "proxy/shadow/mirror_exchange.h"

#include <assert.h>
#include <stdio.h>

static const char BEGIN_NAME[] = "pgu_begin";
static const char BEGIN_SQL[] = "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY NOT DEFERRABLE";
static const char BEGIN_TWICE_SQL[] =
	"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY NOT DEFERRABLE";
static const char ONE_NAME[] = "pgu_one";
static const char ONE_SQL[] = "SELECT 1";
static const char ROLLBACK_NAME[] = "pgu_rollback";
static const char ROLLBACK_SQL[] = "ROLLBACK";

static const uint8_t STEP_TYPE[] = {
#define X(NAME, type) [STEP_##NAME] = type,
	EXCHANGE_STEPS(X)
#undef X
};

void exchange_init(struct exchange *x, size_t keep_limit_bytes)
{
	*x = (struct exchange){0};
	result_init(&x->result, keep_limit_bytes);
	result_init(&x->first, 0);
}

void exchange_release(struct exchange *x)
{
	result_release(&x->result);
	result_release(&x->first);
}

/* --- building --- */

static void expect(struct exchange *x, enum exchange_step step)
{
	assert(x->nsteps < EXCHANGE_MAX_STEPS);
	x->steps[x->nsteps++] = (uint8_t)step;
}

static void bind_and_execute(struct buffer *out, const char *name)
{
	build_bind(out, span_cstr(""), span_cstr(name), 0, NULL, 0, NULL, 0, NULL);
	build_execute(out, span_cstr(""), 0);
}

void exchange_sync(struct exchange *x, struct buffer *out)
{
	build_simple(out, FRONT_SYNC);
	expect(x, STEP_END);
}

void exchange_prepare(struct exchange *x, struct buffer *out)
{
	build_parse(out, span_cstr(BEGIN_NAME), span_cstr(BEGIN_SQL), 0, NULL);
	build_parse(out, span_cstr(ONE_NAME), span_cstr(ONE_SQL), 0, NULL);
	build_parse(out, span_cstr(ROLLBACK_NAME), span_cstr(ROLLBACK_SQL), 0, NULL);
	build_simple(out, FRONT_SYNC);
	expect(x, STEP_PREPARED);
	expect(x, STEP_PREPARED);
	expect(x, STEP_PREPARED);
	expect(x, STEP_END);
}

static unsigned add_setting(struct span *values, unsigned count, const struct setting *s)
{
	values[2 * count] = span_cstr(s->name);
	values[2 * count + 1] = span_cstr(s->value);

	return count + 1;
}

/* Of a read whose settings were not listed beforehand. */
static unsigned collect_unlisted(
	const struct session *session, const struct dark_read *read, struct span *values)
{
	unsigned count = 0;

	for (size_t i = 0; i < read->nsettings; i++) {
		const struct setting *s = &read->settings[i];

		if (setting_is_applied(read->settings, read->nsettings, i) &&
			!session_stands_at(session, session_reported(s->name), s->value))
			count = add_setting(values, count, s);
	}

	return count;
}

static unsigned collect_listed(
	const struct session *session, const struct setting_list *list, struct span *values)
{
	unsigned count = 0;

	for (size_t i = 0; i < list->napplied; i++) {
		const struct setting *s = &list->setting[list->applied[i].at];

		if (!session_stands_at(session, list->applied[i].reported, s->value))
			count = add_setting(values, count, s);
	}

	return count;
}

/* Names and values to set, alternating; how many pairs. */
static unsigned collect_settings(
	const struct session *session, const struct dark_read *read, struct span *values)
{
	unsigned count = read->list ? collect_listed(session, read->list, values)
				    : collect_unlisted(session, read, values);

	/* Last: the settings before it may need the connection's own rights. */
	if (session->impersonate) {
		values[2 * count] = span_cstr("role");
		values[2 * count + 1] = span_cstr(read->role);
		count++;
	}

	return count;
}

static void parse_set_config(struct buffer *out, const char *name, unsigned count)
{
	struct buffer sql;

	buffer_init(&sql, 64 * (size_t)count + 64);
	buffer_printf(&sql, "SELECT ");
	for (unsigned i = 0; i < count; i++)
		buffer_printf(&sql, "%spg_catalog.set_config($%u,$%u,true)", i ? ", " : "",
			2 * i + 1, 2 * i + 2);
	if (sql.failed)
		out->failed = true;
	else
		build_parse(out, span_cstr(name), buffer_span(&sql), 0, NULL);
	buffer_release(&sql);
}

/* Settings of the read, or a statement that only takes the snapshot. */
static void build_settings(struct exchange *x, struct buffer *out, struct session *session,
	const struct dark_read *read)
{
	struct span values[2 * (EXCHANGE_MAX_SETTINGS + 1)];
	char name[24] = "";
	unsigned count = collect_settings(session, read, values);

	if (count == 0) {
		bind_and_execute(out, ONE_NAME);
	} else {
		bool kept = count < SESSION_SET_STATEMENTS;
		uint64_t bit = kept ? (uint64_t)1 << count : 0;

		if (kept)
			snprintf(name, sizeof name, "pgu_set_%u", count);
		if (!(session->sets & bit)) {
			parse_set_config(out, name, count);
			expect(x, STEP_SET_PARSED);
			x->set_bit = bit;
		}
		build_bind(out, span_cstr(""), span_cstr(name), 0, NULL, (uint16_t)(2 * count),
			values, 0, NULL);
		build_execute(out, span_cstr(""), 0);
	}
	expect(x, STEP_SET_BOUND);
	expect(x, STEP_SET_ROW);
	expect(x, STEP_SET_DONE);
}

/* A name for the read, and the Close of what must make room for it. */
static void name_read(struct exchange *x, struct buffer *out, struct session *session,
	const struct dark_read *read, char text[24])
{
	uint32_t close;

	text[0] = '\0';
	if (!read->named)
		return;
	x->name = session_name_for(session, read, &close);
	if (x->name->stale)
		close = x->name->number;
	if (close) {
		snprintf(text, 24, "pgu_%u", (unsigned)close);
		build_close(out, 'S', span_cstr(text));
		expect(x, STEP_CLOSED);
	}
	if (x->name->stale)
		x->name->ready = x->name->stale = false;
	x->reused_name = x->name->ready;
	snprintf(text, 24, "pgu_%u", (unsigned)x->name->number);
}

static void build_execution(struct exchange *x, struct buffer *out, const struct dark_read *read,
	const struct typed_parameters *p, const char *name, enum exchange_step rows)
{
	build_bind(out, span_cstr(""), span_cstr(name), read->nparam_formats, read->param_formats,
		read->nparams, p->values, read->nresult_formats, read->result_formats);
	build_describe(out, 'P', span_cstr(""));
	build_execute(out, span_cstr(""), read->row_limit);
	expect(x, STEP_READ_BOUND);
	expect(x, STEP_READ_DESCRIBED);
	expect(x, rows);
}

static void build_read(struct exchange *x, struct buffer *out, const struct session *session,
	const struct dark_read *read, const char *name)
{
	struct typed_parameters p;

	if (!typed_parameters_init(&p, session->types, read))
		out->failed = true;
	if (!x->reused_name) {
		build_parse(
			out, span_cstr(name), span_cstr(read->sql), read->nparam_types, p.types);
		expect(x, STEP_READ_PARSED);
	}
	if (read->twice)
		build_execution(x, out, read, &p, name, STEP_FIRST_ROWS);
	build_execution(x, out, read, &p, name, STEP_READ_ROWS);
	typed_parameters_release(&p);
	build_simple(out, FRONT_SYNC);
	x->limited = read->row_limit > 0;
	x->result.null_as = span_cstr(read->null_as);
	expect(x, STEP_READ_READY);
}

bool exchange_read(struct exchange *x, struct buffer *out, struct session *session,
	const struct dark_read *read)
{
	uint64_t custom = custom_names(read);
	char name[24];

	assert(session_fits(session, custom));
	if (read->nsettings > EXCHANGE_MAX_SETTINGS)
		return false;
	name_read(x, out, session, read, name);

	if (read->twice) {
		build_parse(out, span_cstr(""), span_cstr(BEGIN_TWICE_SQL), 0, NULL);
		expect(x, STEP_BEGIN_PARSED);
	}
	bind_and_execute(out, read->twice ? "" : BEGIN_NAME);
	expect(x, STEP_BEGIN_BOUND);
	expect(x, STEP_BEGIN_DONE);
	build_settings(x, out, session, read);
	build_simple(out, FRONT_FLUSH);

	build_read(x, out, session, read, name);

	bind_and_execute(out, ROLLBACK_NAME);
	build_simple(out, FRONT_SYNC);
	expect(x, STEP_ROLLBACK_BOUND);
	expect(x, STEP_ROLLBACK_DONE);
	expect(x, STEP_END);
	if (custom)
		session->custom = custom;
	x->role = session->impersonate ? read->role : NULL;

	return true;
}

/* --- reading --- */

static enum exchange_progress lose(struct exchange *x, const char *why)
{
	x->trouble = why;

	return EXCHANGE_LOST;
}

static bool in_read(enum exchange_step step)
{
	return step >= STEP_READ_PARSED && step <= STEP_READ_READY;
}

static void keep_error(struct exchange *x, const struct error_fields *fields)
{
	size_t n = fields->message.len;

	x->failed = true;
	if (!copy_sqlstate(fields->sqlstate, x->sqlstate))
		x->sqlstate[0] = '\0';
	if (n >= sizeof x->message)
		n = sizeof x->message - 1;
	if (n)
		memcpy(x->message, fields->message.data, n);
	x->message[n] = '\0';
}

/* Everything up to the next Sync is skipped by the server. */
static enum exchange_progress on_error(struct exchange *x, const struct message *m)
{
	struct error_fields fields;
	enum exchange_step step;

	if (!parse_error_fields(m->body, &fields))
		return lose(x, "malformed error message");
	if (span_is(fields.severity, "FATAL") || span_is(fields.severity, "PANIC")) {
		keep_error(x, &fields);
		x->fatal = true;
		return lose(x, "the server ended the connection");
	}
	if (x->at >= x->nsteps)
		return lose(x, "an error that nothing asked for");
	step = x->steps[x->at];
	if (in_read(step))
		result_error(&x->result, m->body);
	else if (!x->failed)
		keep_error(x, &fields);
	while (STEP_TYPE[x->steps[x->at]] != BACK_READY)
		x->at++;

	return EXCHANGE_GOES_ON;
}

static enum exchange_progress on_described(struct exchange *x, const struct message *m)
{
	if (m->type == BACK_NO_DATA) {
		result_no_data(&x->result);
	} else if (m->type == BACK_ROW_DESCRIPTION) {
		if (!result_columns(&x->result, m->body, 0, NULL))
			return lose(x, "malformed row description");
		x->has_rows = true;
	} else {
		return lose(x, "no row description where one was due");
	}
	x->at++;

	return EXCHANGE_GOES_ON;
}

static enum exchange_progress on_rows(struct exchange *x, const struct message *m)
{
	struct span tag;

	switch (m->type) {
	case BACK_DATA_ROW:
		if (!x->has_rows)
			return lose(x, "a row without a row description");
		result_row(&x->result, m->body);
		return x->result.malformed ? lose(x, "malformed row") : EXCHANGE_GOES_ON;
	case BACK_COMMAND_COMPLETE:
		if (!parse_command_complete(m->body, &tag))
			return lose(x, "malformed command tag");
		result_complete(&x->result, tag);
		break;
	case BACK_PORTAL_SUSPENDED:
		if (!x->limited)
			return lose(x, "a portal was suspended without a row limit");
		x->result.end = RESULT_SUSPENDED;
		break;
	case BACK_EMPTY_QUERY: x->result.end = RESULT_EMPTY; break;
	default: return lose(x, "unexpected message among the rows");
	}
	if (x->steps[x->at] == STEP_FIRST_ROWS) {
		x->first = x->result;
		result_init(&x->result, x->first.kept.limit);
		x->result.null_as = x->first.null_as;
		x->has_rows = false;
	}
	x->at++;

	return EXCHANGE_GOES_ON;
}

static enum exchange_progress on_ready(struct exchange *x, const struct message *m, uint64_t now_us)
{
	enum exchange_step step = x->steps[x->at];

	if (m->type != BACK_READY || !parse_ready(m->body, &x->last_status))
		return lose(x, "no ReadyForQuery where one was due");
	if (step == STEP_READ_READY) {
		x->ended_us = now_us;
		if (!x->failed && x->last_status != 'T' && x->last_status != 'E')
			return lose(x, "the read did not run inside our transaction");
	}
	x->at++;

	return x->at == x->nsteps ? EXCHANGE_DONE : EXCHANGE_GOES_ON;
}

enum exchange_progress exchange_message(
	struct exchange *x, struct session *session, const struct message *m, uint64_t now_us)
{
	enum exchange_step step;

	if (m->type == BACK_ERROR)
		return on_error(x, m);
	if (x->at >= x->nsteps)
		return lose(x, "a message that nothing asked for");
	step = x->steps[x->at];
	if (STEP_TYPE[step] == BACK_READY)
		return on_ready(x, m, now_us);
	if (step == STEP_READ_DESCRIBED)
		return on_described(x, m);
	if (step == STEP_READ_ROWS || step == STEP_FIRST_ROWS)
		return on_rows(x, m);
	if (m->type != STEP_TYPE[step])
		return lose(x, "unexpected message");

	if (step == STEP_SET_PARSED)
		session->sets |= x->set_bit;
	if (step == STEP_SET_DONE)
		x->started_us = now_us;
	if (step == STEP_READ_PARSED && x->name)
		x->name->ready = true;
	x->at++;

	return EXCHANGE_GOES_ON;
}

bool exchange_is_clean(const struct exchange *x)
{
	return x->at == x->nsteps && x->last_status == 'I';
}

bool exchange_stale_plan(struct exchange *x)
{
	const char *state = x->result.sqlstate;

	if (!x->reused_name || x->failed || x->result.end != RESULT_ERROR ||
		(strcmp(state, "0A000") != 0 && strcmp(state, "26000") != 0))
		return false;
	x->name->stale = true;

	return true;
}

/* Did taking on the role fail? The server's message names the role, whatever its language. */
static bool role_refused(const struct exchange *x)
{
	return x->role && strstr(x->message, x->role) &&
	       (strcmp(x->sqlstate, "22023") == 0 || strcmp(x->sqlstate, "42704") == 0 ||
		       strcmp(x->sqlstate, "42501") == 0);
}

static void fail_role(const struct exchange *x, struct mirror_answer *answer)
{
	answer->status = MIRROR_FAILED;
	answer->reason = REASON_WRAPPER;
	answer->role_refused = true;
	if (strcmp(x->sqlstate, "42501") == 0)
		snprintf(answer->text, sizeof answer->text,
			"role \"%s\" may not be taken on: the connection's role is not a member of "
			"it",
			x->role);
	else
		snprintf(answer->text, sizeof answer->text,
			"role \"%s\" cannot be taken on: it does not exist there", x->role);
}

/* Messages of errors may carry values (L6): only the one about unknown names is shown. */
static void fail_answer(
	struct mirror_answer *answer, enum reason reason, const char *sqlstate, const char *message)
{
	bool shown = message && strcmp(sqlstate, "42704") == 0;

	answer->status = MIRROR_FAILED;
	answer->reason = reason;
	snprintf(answer->sqlstate, sizeof answer->sqlstate, "%s", sqlstate);
	snprintf(answer->text, sizeof answer->text, "the server reported SQLSTATE %s%s%s",
		sqlstate[0] ? sqlstate : "(none)", shown ? ": " : "", shown ? message : "");
}

void exchange_answer(struct exchange *x, struct mirror_answer *answer)
{
	const bool before_read = x->failed && x->result.end == RESULT_OPEN;
	const char *sqlstate = before_read ? x->sqlstate : x->result.sqlstate;
	enum reason reason = REASON_NONE;

	if (before_read && role_refused(x)) {
		fail_role(x, answer);
		return;
	}
	/* A failed ROLLBACK comes after a complete answer: it costs the connection only. */
	if (before_read || x->result.end == RESULT_ERROR)
		reason = error_group_reason(error_group_of(sqlstate));
	if (before_read && reason == REASON_NONE)
		reason = REASON_WRAPPER;
	if (reason != REASON_NONE) {
		fail_answer(answer, reason, sqlstate, before_read ? x->message : NULL);
		return;
	}
	answer->status = MIRROR_ANSWERED;
	answer->reason = REASON_NONE;
	x->result.elapsed_us = x->ended_us - x->started_us;
	result_release(&answer->result);
	answer->result = x->result;
	result_init(&x->result, 0);
	result_release(&answer->first);
	answer->first = x->first;
	result_init(&x->first, 0);
}

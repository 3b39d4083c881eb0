#include "compare/report_model.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- figures that a criterion may name ---- */

static double open_mismatches(const struct report *r)
{
	return (double)report_open_mismatches(r);
}

/* The least over all candidates of one figure; 0 without candidates. */
static double least(const struct report *r, double (*figure)(const struct candidate_figures *f))
{
	double lowest = 0;

	for (size_t i = 0; i < r->ncandidates; i++) {
		struct candidate_figures f;
		double value;

		report_candidate_figures(r, i, &f);
		value = figure(&f);
		candidate_figures_release(&f);
		if (i == 0 || value < lowest)
			lowest = value;
	}

	return lowest;
}

static double compared_of(const struct candidate_figures *f)
{
	return (double)f->compared;
}

static double coverage_of(const struct candidate_figures *f)
{
	return f->coverage;
}

static double certainty_of(const struct candidate_figures *f)
{
	return 1 - upper_bound_95(f->tally.count[OUTCOME_MISMATCH], f->compared);
}

static double min_compared(const struct report *r)
{
	return least(r, compared_of);
}

static double coverage(const struct report *r)
{
	return least(r, coverage_of);
}

static double max_mismatch_rate(const struct report *r)
{
	return 1 - least(r, certainty_of);
}

static double sum_of(const struct report *r, enum outcome outcome)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < r->ncandidates; i++)
		sum = add_counts(sum, r->candidate[i].tally.count[outcome]);

	return (double)sum;
}

static double unverifiable(const struct report *r)
{
	return sum_of(r, OUTCOME_UNVERIFIABLE);
}

static double candidate_failed(const struct report *r)
{
	return sum_of(r, OUTCOME_CANDIDATE_FAILED);
}

static double waived(const struct report *r)
{
	return sum_of(r, OUTCOME_WAIVED);
}

static double expired_waivers(const struct report *r)
{
	double count = 0;
	const char *name;
	json_t *waiver;

	json_object_foreach (r->waivers, name, waiver)
		count += report_waiver_expired(r, waiver);

	return count;
}

static double regressions(const struct report *r)
{
	double count = 0;

	for (size_t i = 0; i < r->nshapes; i++)
		count += shape_regressed(r, &r->shape[i]);

	return count;
}

static double shapes_never_compared(const struct report *r)
{
	double count = 0;

	for (size_t i = 0; i < r->nshapes; i++)
		count += shape_never_compared(&r->shape[i]);

	return count;
}

static const struct {
	const char *name;
	double (*value)(const struct report *r);
} figures[] = {
	{"open_mismatches", open_mismatches},
	{"min_compared", min_compared},
	{"coverage", coverage},
	{"days", report_days},
	{"unverifiable", unverifiable},
	{"candidate_failed", candidate_failed},
	{"shapes_never_compared", shapes_never_compared},
	{"max_mismatch_rate", max_mismatch_rate},
	{"regressions", regressions},
	{"waived", waived},
	{"expired_waivers", expired_waivers},
};

/* ---- the expression ---- */

enum operator{ EQUAL, NOT_EQUAL, LESS, LESS_EQUAL, MORE, MORE_EQUAL, NO_OPERATOR };

static const char *const operators[] = {"=", "!=", "<", "<=", ">", ">="};

/* "min_compared=1000" and "max_mismatch_rate=0.01" mean at least and at most. */
static enum operator meant(const char *name, enum operator op)
{
	if (op == EQUAL && strncmp(name, "min_", 4) == 0)
		return MORE_EQUAL;
	if (op == EQUAL && strncmp(name, "max_", 4) == 0)
		return LESS_EQUAL;

	return op;
}

static bool holds(double value, enum operator op, double limit)
{
	switch (op) {
	case EQUAL: return !(value < limit) && !(value > limit);
	case NOT_EQUAL: return value < limit || value > limit;
	case LESS: return value < limit;
	case LESS_EQUAL: return value <= limit;
	case MORE: return value > limit;
	case MORE_EQUAL: return value >= limit;
	case NO_OPERATOR: break;
	}

	return false;
}

static const char *skip_blanks(const char *at)
{
	while (isspace((unsigned char)*at))
		at++;

	return at;
}

static size_t word_length(const char *at)
{
	size_t n = 0;

	while (isalnum((unsigned char)at[n]) || at[n] == '_')
		n++;

	return n;
}

static bool unknown_name(const char *at, size_t n, struct error *error)
{
	char known[400] = "";
	size_t used = 0;

	for (size_t i = 0; i < sizeof figures / sizeof *figures; i++)
		used += (size_t)snprintf(
			known + used, sizeof known - used, "%s%s", i ? ", " : "", figures[i].name);
	if (n == 0)
		return error_set(
			error, "a criterion is missing at \"%.40s\"; known are %s", at, known);

	return error_set(error, "unknown criterion \"%.*s\"; known are %s", (int)(n < 40 ? n : 40),
		at, known);
}

static bool read_figure(const char **at, size_t *figure, struct error *error)
{
	size_t n = word_length(*at);

	for (*figure = 0; *figure < sizeof figures / sizeof *figures; ++*figure) {
		const char *name = figures[*figure].name;

		if (strlen(name) == n && strncmp(name, *at, n) == 0) {
			*at = skip_blanks(*at + n);
			return true;
		}
	}

	return unknown_name(*at, n, error);
}

static bool read_operator(const char **at, enum operator* op, struct error *error)
{
	size_t longest = 0;

	*op = NO_OPERATOR;
	for (unsigned i = 0; i < NO_OPERATOR; i++) {
		size_t n = strlen(operators[i]);

		if (n > longest && strncmp(*at, operators[i], n) == 0) {
			longest = n;
			*op = (enum operator)i;
		}
	}
	if (*op == NO_OPERATOR)
		return error_set(error,
			"an operator is missing at \"%.40s\"; known are = != < <= > >=", *at);
	*at = skip_blanks(*at + longest);

	return true;
}

static bool read_number(const char **at, double *limit, struct error *error)
{
	char *end;

	*limit = strtod(*at, &end);
	if (end == *at || !(*limit >= 0) || *limit > 1e18 || isalnum((unsigned char)*end))
		return error_set(
			error, "a number is missing at \"%.40s\"; allowed is 0 or more", *at);
	*at = end;

	return true;
}

static bool read_and(const char **at, struct error *error)
{
	*at = skip_blanks(*at);
	if (!**at)
		return true;
	if (word_length(*at) != 3 || strncmp(*at, "and", 3) != 0)
		return error_set(
			error, "unexpected \"%.40s\"; criteria are joined by \"and\"", *at);
	*at = skip_blanks(*at + 3);
	if (!**at)
		return error_set(error, "a criterion is missing behind \"and\"");

	return true;
}

/* No criterion holds of nothing: a log without a comparison passes no gate. */
static void require_evidence(struct report *r, bool *passed)
{
	struct criterion *c;

	if (min_compared(r) > 0 || r->ncriteria == REPORT_MAX_CRITERIA)
		return;
	c = &r->criterion[r->ncriteria++];
	snprintf(c->text, sizeof c->text, "something was compared");
	c->value = 0;
	c->passed = *passed = false;
}

bool report_gate(struct report *r, const char *expression, bool *passed, struct error *error)
{
	const char *at = skip_blanks(expression);

	r->gated = false;
	r->ncriteria = 0;
	*passed = true;
	do {
		struct criterion *c = &r->criterion[r->ncriteria];
		const char *start = at;
		enum operator op;
		size_t figure;
		double limit;

		if (r->ncriteria == REPORT_MAX_CRITERIA)
			return error_set(error, "more than %d criteria", REPORT_MAX_CRITERIA);
		if (!read_figure(&at, &figure, error) || !read_operator(&at, &op, error) ||
			!read_number(&at, &limit, error))
			return false;
		snprintf(c->text, sizeof c->text, "%.*s", (int)(at - start < 95 ? at - start : 95),
			start);
		c->value = figures[figure].value(r);
		c->passed = holds(c->value, meant(figures[figure].name, op), limit);
		*passed = *passed && c->passed;
		r->ncriteria++;
		if (!read_and(&at, error))
			return false;
	} while (*at);
	require_evidence(r, passed);
	snprintf(r->gate_text, sizeof r->gate_text, "%s", expression);
	r->gated = true;
	r->gate_passed = *passed;

	return true;
}

/*
 * policy.c - one version of the policy of a country: checked, compiled, immutable.
 */
#include <stdlib.h>
#include <string.h>

#include "policy/policy_internal.h"

/* ---- parameters ---------------------------------------------------------------------------------------------------- */

/* MCCs of "255,259" into p->home. */
static bool read_home(struct policy *p, const char *text)
{
	struct str rest = str_of(text), head;
	while (str_cut(&rest, ',', &head)) {
		uint64_t mcc;
		head = str_trim(head);
		if (head.n != 3 || str_u64(head, 999, &mcc) != CEIR_OK)
			return false;
		p->home[mcc / 64] |= UINT64_C(1) << mcc % 64;
	}
	return *text && text[strlen(text) - 1] != ',';
}

static bool good_notices(const struct policy_params *q)
{
	for (size_t i = 0; i < CEIR_COUNT(q->notice_days); i++) {
		if (q->notice_days[i] > POLICY_GRACE_MAX)
			return false;
		if (i && q->notice_days[i] && q->notice_days[i] >= q->notice_days[i - 1])
			return false;
	}
	return true;
}

static bool good_country_code(const char code[4])
{
	size_t n = strnlen(code, 4);
	uint64_t value;
	return n && n < 4 && code[0] != '0' && str_u64((struct str){code, n}, 999, &value) == CEIR_OK;
}

static bool good_amnesty(const struct policy_params *q)
{
	if (!q->amnesty_from && !q->amnesty_until)
		return true;
	return q->amnesty_from > 0 && q->amnesty_from <= q->amnesty_until && q->amnesty_until < 1000000;
}

static enum ceir_err check_params(struct policy *p, char *why, size_t why_size)
{
	const struct policy_params *q = &p->params;
	const struct {
		const char *name;
		uint32_t value, min, max;
	} numbers[] = {
		{"grace_days", q->grace_days, 0, POLICY_GRACE_MAX},
		{"lookback_days", q->lookback_days, 1, POLICY_GRACE_MAX},
		{"gap_days", q->gap_days, 1, POLICY_GRACE_MAX},
		{"keep_episode_days", q->keep_episode_days, 0, 36500},
		{"roamer_days", q->roamer_days, 0, 365},
		{"guard_share", q->guard_share, 0, 1000},
		{"gate_empty", q->gate_empty, 0, 1000},
		{"gate_unclean", q->gate_unclean, 0, 1000},
		{"gate_foreign", q->gate_foreign, 0, 1000},
		{"gate_size", q->gate_size, 0, 1000},
		{"gate_zeros", q->gate_zeros, 0, 1000},
	};
	for (size_t i = 0; i < CEIR_COUNT(numbers); i++) {
		if (numbers[i].value < numbers[i].min || numbers[i].value > numbers[i].max) {
			snprintf(why, why_size, "%s: expected %u to %u", numbers[i].name, numbers[i].min, numbers[i].max);
			return CEIR_EINVAL;
		}
	}
	const char *wrong = NULL;
	if (!good_notices(q))
		wrong = "notice_days: expected days in descending order, 0 behind the last";
	else if (!good_amnesty(q))
		wrong = "amnesty: expected a first day and a last day not before it, or neither";
	else if (!memchr(q->home_mcc, '\0', sizeof(q->home_mcc)) || !read_home(p, q->home_mcc))
		wrong = "home_mcc: expected country codes of three digits, separated by commas";
	else if (!good_country_code(q->country_code))
		wrong = "country_code: expected 1 to 3 digits";
	if (wrong)
		snprintf(why, why_size, "%s", wrong);
	return wrong ? CEIR_EINVAL : CEIR_OK;
}

/* ---- conditions ---------------------------------------------------------------------------------------------------- */

/* English for what is wrong with the name, NULL when it is good. */
static const char *name_fault(const struct policy *p, size_t i)
{
	struct str name = p->conditions[i].name;
	if (name.n > POLICY_NAME_MAX)
		return "a name of at most 32 characters";
	for (size_t c = 0; c < name.n; c++)
		if (!((name.p[c] >= 'a' && name.p[c] <= 'z') || (name.p[c] >= '0' && name.p[c] <= '9') || name.p[c] == '-'))
			return "a name of a to z, 0 to 9 and -";
	for (size_t other = 0; other < i; other++)
		if (str_eq(p->conditions[other].name, name))
			return "a name that no other condition has";
	return NULL;
}

static enum ceir_err compile_condition(struct policy *p, size_t i, char *why, size_t why_size)
{
	const struct policy_condition_text *c = &p->conditions[i];
	const char *fault = name_fault(p, i);
	if (!fault && c->grace_days > POLICY_GRACE_MAX)
		fault = "at most 3650 days of grace";
	if (fault) {
		snprintf(why, why_size, "condition %zu: expected %s", i + 1, fault);
		return CEIR_EINVAL;
	}
	char expected[160] = "";
	size_t column = 0;
	enum policy_about about;
	if (policy_compile(p, c->rule, &p->programs[i], &about, &column, expected, sizeof(expected)) != CEIR_OK) {
		snprintf(why, why_size, "condition %.*s, column %zu: %s", (int)c->name.n, c->name.p, column, expected);
		return CEIR_EINVAL;
	}
	uint32_t bit = UINT32_C(1) << i;
	p->used |= bit;
	p->blocking |= c->blocking ? bit : 0;
	p->sticky |= c->sticky ? bit : 0;
	p->about[about] |= bit;
	return CEIR_OK;
}

/* Names and rules into one block of the policy's own. */
static enum ceir_err copy_texts(struct policy *p, const struct policy_condition_text *conditions)
{
	size_t size = 1;
	for (size_t i = 0; i < p->n; i++)
		if (!size_add(size, conditions[i].name.n, &size) || !size_add(size, conditions[i].rule.n, &size))
			return CEIR_ENOMEM;
	p->texts = malloc(size);
	if (!p->texts)
		return CEIR_ENOMEM;
	char *to = p->texts;
	for (size_t i = 0; i < p->n; i++) {
		struct policy_condition_text *c = &p->conditions[i];
		*c = conditions[i];
		if (c->name.n)
			memcpy(to, c->name.p, c->name.n);
		c->name.p = to;
		to += c->name.n;
		if (c->rule.n)
			memcpy(to, c->rule.p, c->rule.n);
		c->rule.p = to;
		to += c->rule.n;
	}
	return CEIR_OK;
}

/* ---- what is worth asking ------------------------------------------------------------------------------------------ */

/* Can the fact hold of an IMEI that was seen with so few IMSIs? */
static bool possible_with(const struct policy_fact *f, uint32_t imsis)
{
	switch ((enum policy_fact_kind)f->kind) {
	case FACT_CLONE_THRESHOLD:
	case FACT_SIM_BOX:
		return f->count <= imsis;
	case FACT_CLONE_DAILY:
		return f->count <= imsis * 1000;
	case FACT_CLONE_SIMULTANEOUS:
		return imsis >= 2;
	default:
		return true;
	}
}

static bool accepts(const struct policy_program *program, uint64_t can_yes, uint64_t can_no)
{
	uint32_t reached = 1;
	for (unsigned i = 0; i < program->n; i++) {
		const struct policy_step *s = &program->steps[i];
		if (!(reached >> i & 1))
			continue;
		bool yes = can_yes >> s->fact & 1, no = can_no >> s->fact & 1;
		if ((yes && s->yes == POLICY_ACCEPT) || (no && s->no == POLICY_ACCEPT))
			return true;
		if (yes && s->yes >= 0)
			reached |= UINT32_C(1) << s->yes;
		if (no && s->no >= 0)
			reached |= UINT32_C(1) << s->no;
	}
	return false;
}

static uint32_t accepted(const struct policy *p, uint32_t which, uint64_t can_yes, uint64_t can_no)
{
	uint32_t mask = 0;
	for (size_t i = 0; i < p->n; i++)
		if (which >> i & 1 && accepts(&p->programs[i], can_yes, can_no))
			mask |= UINT32_C(1) << i;
	return mask;
}

uint32_t policy_possible(const struct policy *p, uint32_t which, const struct policy_static *s)
{
	uint64_t can_yes = 0, can_no = 0;
	for (unsigned i = 0; i < p->n_facts; i++) {
		enum policy_answer a = policy_static_answer(&p->facts[i], s);
		can_yes |= a == ANSWER_NO ? 0 : UINT64_C(1) << i;
		can_no |= a == ANSWER_YES ? 0 : UINT64_C(1) << i;
	}
	return accepted(p, which, can_yes, can_no);
}

static void prepare(struct policy *p)
{
	for (unsigned i = 0; i < p->n_facts; i++) {
		uint8_t kind = p->facts[i].kind;
		p->needs_days |= kind == FACT_CLONE_DAILY || kind == FACT_CLONE_SIMULTANEOUS;
		p->needs_year |= kind == FACT_ROAMER;
		p->needs_own |= kind == FACT_SUBSCRIBER && p->facts[i].count == SUBSCRIBER_OWN;
		p->needs_subscriber |= kind == FACT_ROAMER || kind == FACT_SUBSCRIBER;
	}
	for (uint32_t few = 0; few <= POLICY_FEW; few++) {
		uint64_t can_yes = 0;
		for (unsigned i = 0; i < p->n_facts; i++)
			can_yes |= possible_with(&p->facts[i], few) ? UINT64_C(1) << i : 0;
		p->few[few] = accepted(p, p->used, can_yes, UINT64_MAX);
	}
}

/* ---- the object ---------------------------------------------------------------------------------------------------- */

enum ceir_err policy_new(int64_t version, const struct policy_params *params, const struct policy_condition_text *conditions,
	size_t n, char *why, size_t why_size, struct policy **out)
{
	if (version < 1 || n > POLICY_CONDITIONS) {
		snprintf(why, why_size, "%s", version < 1 ? "version: expected a number from 1" : "expected at most 24 conditions");
		return CEIR_EINVAL;
	}
	struct policy *p = calloc(1, sizeof(*p));
	if (!p)
		return CEIR_ENOMEM;
	p->version = version;
	p->params = *params;
	p->n = n;
	enum ceir_err err = copy_texts(p, conditions);
	if (err == CEIR_OK)
		err = check_params(p, why, why_size);
	for (size_t i = 0; err == CEIR_OK && i < n; i++)
		if (p->conditions[i].name.n)
			err = compile_condition(p, i, why, why_size);
	if (err != CEIR_OK) {
		policy_free(p);
		return err;
	}
	prepare(p);
	*out = p;
	return CEIR_OK;
}

void policy_free(struct policy *p)
{
	if (!p)
		return;
	free(p->texts);
	free(p);
}

const struct policy_params *policy_params(const struct policy *p)
{
	return &p->params;
}

int64_t policy_version(const struct policy *p)
{
	return p->version;
}

size_t policy_condition_count(const struct policy *p)
{
	return p->n;
}

const struct policy_condition_text *policy_condition(const struct policy *p, size_t i)
{
	return i < p->n ? &p->conditions[i] : NULL;
}

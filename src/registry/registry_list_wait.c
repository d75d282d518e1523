/*
 * registry_list_wait.c - until there is something new in a list.
 *
 * Whether a delta would have a row is found out by making it as far as its first row, once at the beginning and then each time the
 * thread of the outboxes has made a file of this list. What an earlier look has found empty is not looked through again.
 */
#include <errno.h>
#include <string.h>

#include "registry/registry_list.h"

#define ASK_US INT64_C(500000)    /* enough() is asked at least so often */

/* What is waited for. False: nothing that could come. */
static bool job_of(const struct reg_session *s, const struct reg_command *c, struct reg_list_job *job)
{
	struct reg_node *named = c->key ? reg_node_find(c->key, "operator") : NULL;
	bool own = s->who.role == REG_ROLE_OPERATOR;
	struct str code = own ? str_of(s->who.operator) : named ? named->text : STR("");
	unsigned kind = 0;

	if (c->refused || c->verb != REG_INFO || !c->list || !c->list->delta || c->list->since < 0 || !c->key || !c->object ||
		!(c->object->may[REG_INFO] & REG_BIT(s->who.role)) || (own && named && !str_eq(named->text, code)) || !code.n ||
		code.n >= sizeof job->code)
		return false;
	while (kind < REG_LISTS && !str_eq_c(c->key->text, reg_list_name(kind)))
		kind++;
	*job = (struct reg_list_job){.r = s->r, .op = reg_list_operator(s->r, code), .kind = kind, .from = c->list->since};
	memcpy(job->code, code.p, code.n);
	return kind < REG_LISTS && job->op;
}

/* Up to the newest change. CEIR_ERANGE: the number is still to come. */
static enum ceir_err look(struct reg_list_job *job, bool *any)
{
	int64_t seq;
	enum ceir_err err = reg_list_settled(job->r, &seq);

	*any = false;
	if (err)
		return err;
	if (job->from > seq)
		return CEIR_ERANGE;
	job->to = seq;
	job->now_us = clock_real_us();
	if (job->from == seq || job->behind == seq)
		return CEIR_OK;
	err = reg_list_file_any(job, any);
	job->behind = seq;
	return err;
}

static struct timespec in_us(int64_t us)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += us / 1000000;
	t.tv_nsec += (long)(us % 1000000) * 1000;
	if (t.tv_nsec >= 1000000000L) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000L;
	}
	return t;
}

/* Until more files of the list were made than *made, which then says how many. */
static enum ceir_err wait_for_a_file(const struct reg_list_job *job, uint64_t *made, int64_t until_us, bool (*enough)(void *face), void *face)
{
	struct reg_lists *l = job->r->lists;
	const uint64_t *now = &l->made[job->op][job->kind];
	enum ceir_err err = CEIR_OK;

	pthread_mutex_lock(&l->lock);
	while (!err && *now == *made) {
		int64_t left = until_us - clock_mono_us();

		if (enough(face)) {
			err = CEIR_ECLOSED;
		} else if (left <= 0) {
			err = CEIR_ETIMEOUT;
		} else {
			struct timespec until = in_us(left < ASK_US ? left : ASK_US);

			pthread_cond_timedwait(&l->news, &l->lock, &until);
		}
	}
	*made = *now;
	pthread_mutex_unlock(&l->lock);
	return err;
}

enum ceir_err reg_list_wait(struct reg_session *s, const struct reg_command *c, int64_t wait_us, bool (*enough)(void *face), void *face)
{
	int64_t until_us = clock_mono_us() + wait_us;
	struct reg_list_job job;
	uint64_t made;
	bool any = false;

	if (!job_of(s, c, &job))
		return CEIR_EINVAL;
	/* Counted before the look: a file that is made while it lasts is not missed. */
	pthread_mutex_lock(&s->r->lists->lock);
	made = s->r->lists->made[job.op][job.kind];
	pthread_mutex_unlock(&s->r->lists->lock);
	for (;;) {
		enum ceir_err err = look(&job, &any);

		if (err || any)
			return err;
		err = wait_for_a_file(&job, &made, until_us, enough, face);
		if (err)
			return err;
	}
}

void reg_list_wake(struct registry *r)
{
	pthread_mutex_lock(&r->lists->lock);
	pthread_cond_broadcast(&r->lists->news);
	pthread_mutex_unlock(&r->lists->lock);
}

/*
 * bench_application.c - an importer enters a million devices: an application is created, its IMEIs sent in commands of some
 * thousands, submitted, and asked after every 50 ms until it is done.
 *
 * Two times count. Upload: from the first byte of create to the last answer, which includes writing the rows durably.
 * Processing: from sending `submitted` until info says done, when every verdict is durable; so it is up to 50 ms too long.
 */
#include "bench.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NS "urn:ceir:params:xml:ns:application-1.0"
#define WINDOW 2u /* commands under way: one is being answered while the next is rendered and sent */
#define POLL_US 50000
#define GIVE_UP_US 600000000ll
#define WAIT_MS 120000u

struct upload {
	const struct bench_options *o;
	struct bench_session *session;
	struct bench_result *r;
	struct bench_hist hist;
	char id[80];    /* of the application */
	uint64_t first; /* its first device */
	uint64_t commands, sent, done;
	int64_t begun_us[WINDOW];
};

static enum ceir_err upload_create(struct upload *u)
{
	struct str answer, id;
	enum ceir_err err = bench_session_ask(u->session,
		"<create><create xmlns=\"" NS "\"><permit>" BENCH_PERMIT "</permit><position>1</position></create></create>", 1000,
		&answer);

	if (err != CEIR_OK)
		return err;
	if (!bench_element(answer, "id", &id) || id.n >= sizeof u->id) {
		fprintf(stderr, "bench_epp: no application id in %.*s\n", (int)answer.n, answer.p);
		return CEIR_EINVAL;
	}
	memcpy(u->id, id.p, id.n);
	u->id[id.n] = '\0';
	return CEIR_OK;
}

static enum ceir_err upload_send(struct upload *u, struct bench_frame *f)
{
	char name[IMEI_DIGITS + 1];

	bench_cltrid(f->bytes.p + f->cltrid, u->o->start_s, 0, u->first / u->o->per_command + u->sent);
	for (size_t i = 0; i < f->names; i++) {
		imei_print(bench_device(u->first + u->sent * u->o->per_command + i), name);
		memcpy(f->bytes.p + f->name + i * f->stride, name, IMEI_DIGITS);
	}
	u->begun_us[u->sent++ % WINDOW] = clock_mono_us();
	u->r->bytes_sent += f->bytes.n;
	return bench_session_send(u->session, buf_view(&f->bytes));
}

static enum ceir_err upload_receive(struct upload *u)
{
	struct str xml;
	enum ceir_err err = bench_session_receive(u->session, &xml, WAIT_MS);

	if (err != CEIR_OK)
		return err;
	bench_hist_add(&u->hist, (uint64_t)(clock_mono_us() - u->begun_us[u->done++ % WINDOW]));
	u->r->bytes_received += xml.n;
	if (bench_answer_is(xml, 1000))
		return CEIR_OK;
	fprintf(stderr, "bench_epp: unexpected answer: %.*s\n", (int)(xml.n < 4096 ? xml.n : 4096), xml.p);
	return CEIR_EINVAL;
}

static enum ceir_err upload_rows(struct upload *u)
{
	struct bench_frame f;
	enum ceir_err err = bench_frame_rows(&f, str_of(u->id), u->o->per_command);

	if (err != CEIR_OK)
		return err;
	u->commands = u->o->rows / u->o->per_command;
	while (err == CEIR_OK && u->done < u->commands)
		err = u->sent < u->commands && u->sent - u->done < WINDOW ? upload_send(u, &f) : upload_receive(u);
	bench_frame_free(&f);
	return err;
}

/* Until the application is done. *accepted: as the server counts them. */
static enum ceir_err upload_wait(struct upload *u, uint64_t *accepted)
{
	char inner[512];
	struct str answer, text;
	int64_t give_up_us = clock_mono_us() + GIVE_UP_US;
	enum ceir_err err;

	snprintf(inner, sizeof inner, "<info><info xmlns=\"" NS "\"><id>%s</id></info></info>", u->id);
	for (;;) {
		if ((err = bench_session_ask(u->session, inner, 1000, &answer)) != CEIR_OK)
			return err;
		if (bench_element(answer, "status", &text) && str_eq(text, STR("done")))
			break;
		if (clock_mono_us() > give_up_us)
			return CEIR_ETIMEOUT;
		nanosleep(&(struct timespec){.tv_nsec = POLL_US * 1000}, NULL);
	}
	return bench_element(answer, "accepted", &text) ? str_u64(text, UINT64_MAX, accepted) : CEIR_EINVAL;
}

/* submitted is answered 1001 (action pending) or, had it been quick, 1000. */
static enum ceir_err upload_submit(struct upload *u)
{
	char inner[512];
	struct str answer;

	snprintf(inner, sizeof inner,
		"<update><update xmlns=\"" NS "\"><id>%s</id><chg><status>submitted</status></chg></update></update>", u->id);
	return bench_session_ask(u->session, inner, 1001, &answer);
}

static enum ceir_err look(const struct bench_options *o, struct bench_usage *server, struct bench_usage *self)
{
	enum ceir_err err = bench_usage_read(o->server, server);

	return err ? err : bench_usage_read(getpid(), self);
}

static void application_report(struct upload *u, int64_t begun_us, int64_t submitted_us, int64_t done_us, uint64_t accepted)
{
	struct bench_result *r = u->r;

	bench_param(r, "rows", u->o->rows);
	bench_param(r, "per_command", u->o->per_command);
	bench_param(r, "first", u->first);
	bench_param(r, "accepted", accepted);
	bench_param_real(r, "upload_s", (double)(submitted_us - begun_us) / 1e6);
	bench_param_real(r, "first_byte_to_done_s", (double)(done_us - begun_us) / 1e6);
	r->name = "application";
	r->unit = "imeis";
	r->operations = u->o->rows;
	r->seconds = (double)(done_us - submitted_us) / 1e6;
	r->refused = u->o->rows - accepted;
	r->latency = &u->hist;
	bench_result_print(r);
}

static enum ceir_err application_run(const struct bench_options *o, struct bench_session *session, uint64_t first)
{
	struct bench_result r = {.params = BUF_INIT(0)};
	struct upload *u = calloc(1, sizeof *u);
	int64_t begun_us, submitted_us = 0, done_us = 0;
	uint64_t accepted = 0;
	enum ceir_err err;

	if (!u)
		return CEIR_ENOMEM;
	*u = (struct upload){.o = o, .session = session, .r = &r, .first = first};
	if ((err = look(o, &r.server_before, &r.self_before)) != CEIR_OK)
		goto out;
	begun_us = clock_mono_us();
	if ((err = upload_create(u)) != CEIR_OK || (err = upload_rows(u)) != CEIR_OK)
		goto out;
	submitted_us = clock_mono_us();
	if ((err = upload_submit(u)) != CEIR_OK || (err = upload_wait(u, &accepted)) != CEIR_OK)
		goto out;
	done_us = clock_mono_us();
	if ((err = look(o, &r.server_after, &r.self_after)) != CEIR_OK)
		goto out;
	application_report(u, begun_us, submitted_us, done_us, accepted);
	err = accepted == o->rows ? CEIR_OK : CEIR_EINVAL;
out:
	buf_free(&r.params);
	free(u);
	return err;
}

enum ceir_err bench_application(const struct bench_options *o)
{
	struct bench_session *session = NULL;
	enum ceir_err err = bench_session_open(o, "bench-importer", &session);

	for (unsigned i = 0; err == CEIR_OK && i < o->applications; i++)
		err = application_run(o, session, o->first + i * o->rows);
	bench_session_close(session);
	return err;
}

/*
 * ctl_application.c - `application submit`: a CSV file of any length to an application.
 *
 * The application is made empty ("staged") when the first good row is there, filled by updates of some thousand IMEIs each,
 * several of them under way at once, and submitted at the end. Rows are never kept longer than one batch.
 */
#include "ctl/ctl_application.h"

#include <string.h>
#include <unistd.h>

#include "ctl/ctl_answer.h"
#include "ctl/ctl_csv.h"
#include "ctl/ctl_internal.h"
#include "ctl/ctl_request.h"
#include "ctl/ctl_xml.h"

#define BATCH_IMEIS 5000u   /* in one update; the server takes 10,000 unless configured otherwise */
#define BATCH_BYTES 524288u /* the server takes frames of 1 MiB unless configured otherwise */
#define BATCHES_AHEAD 4u    /* sent before the answer to the first must have come; answers are small */
#define WAIT_FIRST_MS 100u
#define WAIT_MOST_MS 2000u

struct submit {
	struct ctl *c;
	const struct reg_object *o;
	struct ctl_csv csv;
	struct ctl_columns columns;
	struct buf batch; /* the update being filled, behind its first `head` bytes */
	size_t head;
	unsigned batch_imeis;
	unsigned ahead; /* updates without answer */
	char id[65];    /* of the application, "" while it is not made */
	uint64_t imeis, devices;
	struct ctl_progress progress;
};

/* ---- documents ----------------------------------------------------------------------------------------------------------- */

static void batch_begin(struct submit *s)
{
	buf_clear(&s->batch);
	ctl_frame_begin(&s->batch);
	buf_printf(&s->batch, "<update><update xmlns=\"%s\">", s->o->uri);
	ctl_xml_element(&s->batch, NULL, "id", str_of(s->id));
	buf_c(&s->batch, "<add>");
	s->head = s->batch.n;
	s->batch_imeis = 0;
}

static void batch_end(struct submit *s)
{
	buf_c(&s->batch, "</add></update></update>");
	ctl_frame_end(&s->batch);
}

static enum ceir_err create_document(struct submit *s, struct buf *xml)
{
	static const char *const fields[] = {"kind", "permit", "position", "reference"};

	ctl_frame_begin(xml);
	ctl_verb_begin(xml, "create", "", s->o->name, s->o->uri);
	for (size_t i = 0; i < CEIR_COUNT(fields); i++) {
		const char *value = ctl_args_value(&s->c->args, fields[i]);
		if (value && !str_is_utf8(str_of(value)))
			return CEIR_EINVAL;
		if (value)
			ctl_xml_element(xml, s->o->name, fields[i], str_of(value));
	}
	ctl_xml_element(xml, s->o->name, "status", STR("staged"));
	ctl_verb_end(xml, "create", s->o->name);
	ctl_frame_end(xml);
	return CEIR_OK;
}

static void submit_document(struct submit *s, struct buf *xml)
{
	ctl_frame_begin(xml);
	ctl_verb_begin(xml, "update", "", s->o->name, s->o->uri);
	ctl_xml_element(xml, s->o->name, "id", str_of(s->id));
	ctl_xml_open(xml, s->o->name, "chg");
	ctl_xml_element(xml, s->o->name, "status", STR("submitted"));
	ctl_xml_close(xml, s->o->name, "chg");
	ctl_verb_end(xml, "update", s->o->name);
	ctl_frame_end(xml);
}

/* ---- sending ------------------------------------------------------------------------------------------------------------- */

/* Sends one document and waits; *answer (the caller's) is set when there is one, good or not. */
static enum ctl_exit ask(struct submit *s, const struct buf *xml, json_t **answer)
{
	enum ctl_exit result = ctl_send(&s->c->session, xml);

	if (result == CTL_OK)
		result = ctl_receive(&s->c->session, answer);
	if (result == CTL_OK && !ctl_answer_good(*answer))
		result = ctl_show(&s->c->session, *answer);
	return result;
}

static enum ctl_exit application_make(struct submit *s)
{
	struct buf xml = BUF_INIT(0);
	json_t *answer = NULL;
	enum ctl_exit result = create_document(s, &xml) ? CTL_USAGE : ctl_open(s->c);

	if (result == CTL_OK)
		result = ask(s, &xml, &answer);
	if (result == CTL_OK) {
		const char *id = json_string_value(json_object_get(json_object_get(answer, "create"), "id"));
		if (id && strlen(id) < sizeof(s->id))
			snprintf(s->id, sizeof(s->id), "%s", id);
		else
			ctl_complain("the server did not name the new application");
		result = s->id[0] ? CTL_OK : CTL_CONNECTION;
	}
	json_decref(answer);
	buf_free(&xml);
	return result;
}

static enum ctl_exit answer_take(struct submit *s)
{
	json_t *answer = NULL;
	enum ctl_exit result = ctl_receive(&s->c->session, &answer);

	s->ahead--;
	if (result == CTL_OK && !ctl_answer_good(answer))
		result = ctl_show(&s->c->session, answer);
	json_decref(answer);
	return result;
}

static enum ctl_exit answers_take(struct submit *s, unsigned leave)
{
	enum ctl_exit result = CTL_OK;

	while (result == CTL_OK && s->ahead > leave)
		result = answer_take(s);
	return result;
}

static enum ctl_exit batch_send(struct submit *s)
{
	enum ctl_exit result = answers_take(s, BATCHES_AHEAD - 1);

	if (result != CTL_OK)
		return result;
	batch_end(s);
	result = ctl_send(&s->c->session, &s->batch);
	s->ahead += result == CTL_OK;
	batch_begin(s);
	return result;
}

/* ---- rows ---------------------------------------------------------------------------------------------------------------- */

static enum ctl_exit row_take(struct submit *s, const struct csv_row *row)
{
	struct str imeis[CTL_DEVICE_IMEIS];
	unsigned n;
	enum ctl_exit result = CTL_OK;
	const char *fault = ctl_row_device(&s->columns, row, imeis, &n);

	if (fault) {
		ctl_csv_reject(&s->csv, row, fault);
		return CTL_OK;
	}
	if (!s->id[0]) {
		result = application_make(s);
		if (result != CTL_OK)
			return result;
		batch_begin(s);
	}
	ctl_device_put(&s->batch, imeis, n);
	s->batch_imeis += n;
	s->imeis += n;
	s->devices++;
	if (s->batch_imeis + CTL_DEVICE_IMEIS > BATCH_IMEIS || s->batch.n > BATCH_BYTES) {
		result = batch_send(s);
		ctl_progress_show(&s->progress, s->csv.bytes, s->imeis);
	}
	return result;
}

static enum ctl_exit rows_take(struct submit *s)
{
	struct csv_row row;
	enum ctl_exit result = CTL_OK;
	bool first = true;

	while (result == CTL_OK && ctl_csv_next(&s->csv, &row)) {
		if (first)
			ctl_columns_find(&row, &s->columns);
		if (!first || !s->columns.headed)
			result = row_take(s, &row);
		first = false;
	}
	if (result == CTL_OK && s->csv.broken)
		result = CTL_USAGE;
	if (result == CTL_OK && s->batch_imeis > 0)
		result = batch_send(s);
	if (result == CTL_OK)
		result = answers_take(s, 0);
	return result;
}

/* ---- the end ------------------------------------------------------------------------------------------------------------- */

/* Asks until the application is decided, slower and slower. *answer: the last one. */
static enum ctl_exit wait_done(struct submit *s, json_t **answer)
{
	struct ctl_progress progress;
	unsigned pause_ms = WAIT_FIRST_MS;
	enum ctl_exit result;
	struct buf xml = BUF_INIT(0);

	ctl_progress_begin(&progress, s->c, "deciding", s->imeis);
	for (;;) {
		json_decref(*answer);
		*answer = NULL;
		buf_clear(&xml);
		ctl_request_rows(&xml, s->o, s->id, 0, 0);
		result = ask(s, &xml, answer);
		const json_t *info = json_object_get(*answer, "info");
		const char *status = json_string_value(json_object_get(info, "status"));
		/* A personal import waits for a person; nobody should wait for that. */
		if (result != CTL_OK || !status || strcmp(status, "submitted") != 0)
			break;
		uint64_t decided = (uint64_t)(json_integer_value(json_object_get(info, "accepted")) +
					      json_integer_value(json_object_get(info, "refused")));
		ctl_progress_show(&progress, decided, decided);
		usleep(pause_ms * 1000);
		pause_ms = pause_ms * 2 > WAIT_MOST_MS ? WAIT_MOST_MS : pause_ms * 2;
	}
	ctl_progress_end(&progress);
	buf_free(&xml);
	return result;
}

static enum ctl_exit application_submit(struct submit *s, bool wait)
{
	struct buf xml = BUF_INIT(0);
	json_t *answer = NULL;
	enum ctl_exit result;

	submit_document(s, &xml);
	result = ask(s, &xml, &answer);
	if (result == CTL_OK && wait)
		result = wait_done(s, &answer);
	if (result == CTL_OK && s->c->args.json) {
		json_object_set_new(answer, "application", json_string(s->id));
		json_object_set_new(answer, "sent", json_integer((json_int_t)s->imeis));
		json_object_set_new(answer, "leftOut", json_integer((json_int_t)s->csv.bad));
		ctl_print_json(answer);
	} else if (result == CTL_OK && wait) {
		ctl_print_fields(stdout, json_object_get(answer, "info"));
	} else if (result == CTL_OK) {
		printf("application: %s\nimeis: %llu\ndevices: %llu\n", s->id, (unsigned long long)s->imeis,
			(unsigned long long)s->devices);
	}
	json_decref(answer);
	buf_free(&xml);
	return result;
}

enum ctl_exit ctl_command_submit(struct ctl *c, const struct reg_object *o)
{
	struct submit s = {.c = c, .o = o};
	bool wait = ctl_args_flag(&c->args, "wait");
	const char *rejects = ctl_args_value(&c->args, "rejects");
	static const char *const taken[] = {"kind", "permit", "position", "reference"};
	enum ctl_exit result;

	for (size_t i = 0; i < CEIR_COUNT(taken); i++)
		(void)ctl_args_value(&c->args, taken[i]);
	if (c->args.n_words != 3) {
		ctl_complain("application submit wants one FILE.csv, or - for standard input");
		return CTL_USAGE;
	}
	result = ctl_options_end(c);
	if (result != CTL_OK || ctl_csv_open(&s.csv, c->args.words[2], rejects))
		return CTL_USAGE;
	ctl_progress_begin(&s.progress, c, "sending", s.csv.size);
	result = rows_take(&s);
	ctl_progress_end(&s.progress);
	if (result == CTL_OK && !s.id[0]) {
		ctl_complain("%s has no row that can be sent", s.csv.name);
		result = CTL_USAGE;
	} else if (result == CTL_OK) {
		result = application_submit(&s, wait);
	}
	if (result != CTL_OK && s.id[0])
		ctl_complain("application %s is not submitted; what arrived of it is staged", s.id);
	if (s.csv.bad > 0)
		ctl_complain("%llu lines of %s were left out", (unsigned long long)s.csv.bad, s.csv.name);
	if (result == CTL_OK && s.csv.bad > 0)
		result = CTL_REFUSED;
	ctl_csv_close(&s.csv);
	if (c->session.epp)
		ctl_session_close(&c->session);
	buf_free(&s.batch);
	return result;
}

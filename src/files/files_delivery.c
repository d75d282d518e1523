/*
 * files_delivery.c - an operator's triplets: full-* and delta-*, CSV as a delivery has it, plain or packed with gzip or zstd; also as a ZIP
 * archive or a spreadsheet, whose rows are handed on as CSV. The same file again changes nothing, so a crash only makes it be read twice.
 */
#include "files/files_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "exchange/exchange.h"

#define STEP_BYTES (1u << 20)

struct taken {
	char id[65];
	int report;                    /* -1: none */
};

/* ---- bytes ---- */

static enum ceir_err feed_bytes(struct files_job *j, struct reg_delivery *d)
{
	char *step = malloc(STEP_BYTES);
	enum ceir_err err = step ? CEIR_OK : CEIR_ENOMEM;
	off_t at = 0;
	ssize_t got = 1;

	while (!err && got) {
		got = pread(j->fd, step, STEP_BYTES, at);
		if (got < 0 && errno == EINTR)
			continue;
		at += got > 0 ? got : 0;
		err = got < 0 ? ceir_err_of_errno(errno) : reg_delivery_feed(d, (struct str){step, (size_t)got});
		if (!err && files_stopping(j))
			err = CEIR_ECLOSED;
	}
	free(step);
	return err;
}

static enum ceir_err feed_row(struct buf *out, struct reg_delivery *d, const struct str *cells, size_t n)
{
	csv_put_row(out, cells, n, ',', CSV_VERBATIM);
	if (out->failed || out->n < STEP_BYTES)
		return out->failed ? CEIR_ENOMEM : CEIR_OK;
	enum ceir_err err = reg_delivery_feed(d, buf_view(out));
	buf_clear(out);
	return err;
}

/* *broken: the table cannot be read to its end. */
static enum ceir_err feed_table(struct files_job *j, struct reg_delivery *d, bool *broken)
{
	struct str cells[TABLE_COLUMNS_MAX];
	const struct str *names;
	size_t n = table_columns(j->table, &names);
	struct buf out = BUF_INIT(0);
	struct table_row row;
	enum ceir_err err = feed_row(&out, d, names, n), end = CEIR_OK;

	while (!err && !(end = table_next(j->table, &row))) {
		for (size_t i = 0; i < row.n; i++)
			cells[i] = row.cells[i].text;
		err = files_stopping(j) ? CEIR_ECLOSED : feed_row(&out, d, cells, row.n);
	}
	if (!err && out.n)
		err = reg_delivery_feed(d, buf_view(&out));
	buf_free(&out);
	*broken = !err && (end == CEIR_EINVAL || end == CEIR_ELIMIT);
	return err || end == CEIR_ENOENT ? err : end;
}

/* Archives and workbooks begin as ZIP does, or as an OLE compound file. */
static bool is_table(const struct files_job *j)
{
	static const unsigned char zip[] = {'P', 'K', 3, 4}, ole[] = {0xd0, 0xcf, 0x11, 0xe0};
	unsigned char head[4];

	return pread(j->fd, head, sizeof head, 0) == sizeof head && (memcmp(head, zip, sizeof zip) == 0 || memcmp(head, ole, sizeof ole) == 0);
}

static enum ceir_err open_table(struct files_job *j)
{
	struct table_limits limits = {.helper = j->f->s.helper, .scratch_fd = j->queue};
	enum ceir_err err = table_open(j->fd, &limits, &j->table);

	if (err != CEIR_EINVAL && err != CEIR_ELIMIT)
		return err;
	err = files_refuse(j, REG_SYNTAX, table_why(j->table), STR(""));
	return err ? err : CEIR_EINVAL;
}

/* ---- the answer ---- */

static void take(void *ctx, const struct reg_reply *reply)
{
	struct taken *t = ctx;

	for (const struct reg_node *n = reply->fields; n; n = n->next)
		if (strcmp(n->field->name, "id") == 0)
			snprintf(t->id, sizeof t->id, "%.*s", (int)n->text.n, n->text.p);
	if (t->report < 0 && reply->file)
		t->report = reply->file->fd;
	else if (reply->file)
		close(reply->file->fd);
}

static enum ceir_err copy_report(struct files_job *j, int from)
{
	char temporary[64];
	ssize_t n;
	int fd = files_temporary(j, "rejects", temporary);

	if (fd < 0)
		return ceir_err_of_errno(errno);
	do
		n = sendfile(fd, from, NULL, 1u << 30);
	while (n > 0 || (n < 0 && errno == EINTR));
	if (n == 0)
		return files_show(j, fd, temporary, "rejects", "csv");
	enum ceir_err err = ceir_err_of_errno(errno);
	close(fd);
	unlinkat(j->out, temporary, 0);
	return err;
}

/* Lines that were not taken as they came. */
static enum ceir_err answer_rejects(struct files_job *j, struct files_session *s, struct taken *t)
{
	struct reg_node key = {.field = reg_object_by_name(STR("delivery"))->fields, .text = str_of(t->id)};
	struct reg_command c = {.verb = REG_INFO, .object = reg_object_by_name(STR("delivery")), .key = &key, .want_file = true};
	struct buf text = BUF_INIT(4096);
	unsigned code = s->code;
	char svtrid[REG_SVTRID_MAX], one;

	memcpy(svtrid, s->svtrid, sizeof svtrid);
	buf_str(&text, buf_view(&s->text));
	enum ceir_err err = files_execute(s, &c);
	/* A report of the head line only says that there is nothing to say. */
	if (!err && t->report >= 0 && lseek(t->report, 0, SEEK_END) > 0 && pread(t->report, &one, 1, 0) == 1) {
		lseek(t->report, 0, SEEK_SET);
		err = copy_report(j, t->report);
	}
	s->code = code;
	memcpy(s->svtrid, svtrid, sizeof svtrid);
	buf_clear(&s->text);
	buf_str(&s->text, buf_view(&text));
	buf_free(&text);
	return err;
}

static enum ceir_err write_answer(struct files_job *j, const struct files_session *s, const struct taken *t)
{
	static const char *const names[] = {"file", "delivery", "code", "message", "svTRID"};
	char code[16];

	snprintf(code, sizeof code, "%u", s->code);
	const struct str cells[] = {str_of(j->shown), str_of(t->id), str_of(code), buf_view(&s->text), str_of(s->svtrid)};
	return files_answer_line(j, "delivery", names, cells, CEIR_COUNT(names));
}

/* ---- delivering ---- */

static enum ceir_err receive(struct files_job *j, struct files_session *s, bool full, struct reg_delivery **out)
{
	struct reg_delivery_start start = {.full = full, .name = str_of(j->shown)};
	bool broken = false;
	enum ceir_err err = reg_delivery_begin(s->s, &start, out);

	/* Whoever may not is refused, and audited, by the command. */
	if (err)
		return err == CEIR_EPERM ? CEIR_OK : err == CEIR_EINVAL ? CEIR_EIO : CEIR_ESTATE;
	err = j->table ? feed_table(j, *out, &broken) : feed_bytes(j, *out);
	if ((err == CEIR_EINVAL || err == CEIR_ELIMIT) && !broken)
		return CEIR_OK; /* said by the command, whose delivery this is */
	if (err) {
		reg_delivery_drop(*out);
		*out = NULL;
	}
	if (!broken)
		return err;
	/* Half a base must not pass for a whole one: whoever stands in the other half would have gone. */
	err = files_refuse(j, REG_SYNTAX, table_why(j->table), STR(""));
	return err ? err : CEIR_EINVAL;
}

static enum ceir_err deliver(struct files_job *j, struct files_session *s, struct taken *t)
{
	struct reg_command c = {.verb = REG_CREATE, .object = reg_object_by_name(STR("delivery"))};
	char trid[FILES_TRID + 4];
	bool done, full = strcmp(j->type->name, "full") == 0;
	struct str name = STR("");

	snprintf(trid, sizeof trid, "%s-d", j->trid);
	c.cltrid = str_of(trid);
	enum ceir_err err = files_done_before(s, j, trid, &done, &name);
	if (err)
		return err;
	if (done) {
		snprintf(t->id, sizeof t->id, "%.*s", (int)name.n, name.n ? name.p : "");
	} else {
		err = receive(j, s, full, &c.delivery);
		c.request = arena_printf(s->arena, "deliver %s %s %lld bytes", j->type->name, j->shown, (long long)j->st.st_size);
		if (err)
			return err;
		s->take = take;
		s->ctx = t;
		err = files_execute(s, &c);
	}
	s->take = take;
	s->ctx = t;
	if (!err && t->id[0])
		err = answer_rejects(j, s, t);
	s->take = NULL;
	return err ? err : write_answer(j, s, t);
}

enum ceir_err files_do_delivery(struct files_job *j)
{
	struct files_session s;
	struct taken t = {.report = -1};
	enum ceir_err err = is_table(j) ? open_table(j) : CEIR_OK;

	if (err)
		return err;
	err = files_session_open(j->f, j->a, &s);
	if (!err)
		err = deliver(j, &s, &t);
	if (t.report >= 0)
		close(t.report);
	files_session_close(&s);
	return err;
}

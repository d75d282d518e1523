/*
 * files_answer.c - what goes back: NAME.answer.FORM with every row, NAME.rejects.FORM with those that were refused, in the columns of the
 * upload, so that they can be corrected and sent again. Both are written hidden, synced, and shown by a rename: the rejects first, so
 * that whoever sees the answer sees them too.
 */
#include "files/files_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MORE_MAX 4

struct out_file {
	int fd;                        /* -1: none */
	char temporary[64];
	struct table_writer *w;
};

struct files_answer {
	struct files_job *job;
	enum table_form form;
	struct out_file answer, rejects;
	char *texts;                   /* names of the columns, NUL-terminated */
	const char *names[TABLE_COLUMNS_MAX + MORE_MAX + 3], *reject_names[TABLE_COLUMNS_MAX + 2];
	size_t map[TABLE_COLUMNS_MAX]; /* column of the upload */
	size_t n, n_more;              /* the upload's without ours; further ones */
};

/* ---- files in out/ ---- */

int files_temporary(const struct files_job *j, const char *what, char name[64])
{
	snprintf(name, 64, ".%.16s.%s", j->seq, what);
	if (unlinkat(j->out, name, 0) && errno != ENOENT)
		return -1;
	/* The folder's group reads it: that of the FTPS server's sessions, where there is one. Whatever the umask. */
	int fd = openat(j->out, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd >= 0 && fchmod(fd, 0640)) {
		(void)close(fd);
		return -1;
	}
	return fd;
}

enum ceir_err files_show(const struct files_job *j, int fd, const char *temporary, const char *what, const char *ending)
{
	char name[FILES_NAME + 32];
	enum ceir_err err = fsync(fd) ? ceir_err_of_errno(errno) : CEIR_OK;

	if (close(fd) && !err)
		err = ceir_err_of_errno(errno);
	snprintf(name, sizeof name, "%s.%s.%s", j->shown, what, ending);
	/* A folder of that name is the account's own doing, and must not be in the way for ever. */
	if (!err && renameat(j->out, temporary, j->out, name)) {
		snprintf(name, sizeof name, "%s.%.16s.%s.%s", j->shown, j->seq, what, ending);
		if (errno != EISDIR || renameat(j->out, temporary, j->out, name))
			err = ceir_err_of_errno(errno);
	}
	if (err)
		unlinkat(j->out, temporary, 0);
	else if (fsync(j->out))
		err = ceir_err_of_errno(errno);
	return err;
}

static void hide(struct files_answer *a, struct out_file *o)
{
	table_writer_drop(o->w);
	o->w = NULL;
	if (o->fd < 0)
		return;
	close(o->fd);
	o->fd = -1;
	unlinkat(a->job->out, o->temporary, 0);
}

/* ---- columns ---- */

static enum ceir_err copy_names(struct files_answer *a, const char *const *more, size_t n_more)
{
	const struct str *names;
	size_t n = table_columns(a->job->table, &names), bytes = 0;

	for (size_t i = 0; i < n; i++)
		bytes += names[i].n + 1;
	char *p = a->texts = malloc(bytes ? bytes : 1);
	if (!p)
		return CEIR_ENOMEM;
	for (size_t i = 0; i < n; i++) {
		if (files_column_is_ours(names[i]) && a->job->plan.targets[i].kind == FILES_IGNORED)
			continue;
		memcpy(p, names[i].p, names[i].n);
		p[names[i].n] = '\0';
		a->map[a->n] = i;
		a->names[a->n] = a->reject_names[a->n] = p;
		a->n++;
		p += names[i].n + 1;
	}
	size_t at = a->n;
	for (size_t i = 0; i < n_more; i++)
		a->names[at++] = more[i];
	a->n_more = n_more;
	a->names[at++] = "code";
	a->names[at++] = "message";
	a->names[at] = "svTRID";
	a->reject_names[a->n] = "rejectCode";
	a->reject_names[a->n + 1] = "rejectReason";
	return CEIR_OK;
}

static enum ceir_err begin(struct files_answer *a, struct out_file *o, const char *what, const char *const *names, size_t n)
{
	o->fd = files_temporary(a->job, what, o->temporary);
	if (o->fd < 0)
		return ceir_err_of_errno(errno);
	return table_writer_new(o->fd, a->form, a->job->type->name, names, n, false, a->job->queue, &o->w);
}

enum ceir_err files_answer_new(struct files_job *j, const char *const *more, size_t n_more, struct files_answer **out)
{
	struct files_answer *a = calloc(1, sizeof *a);

	if (!a)
		return CEIR_ENOMEM;
	CEIR_ASSERT(n_more <= MORE_MAX);
	a->job = j;
	a->answer.fd = a->rejects.fd = -1;
	a->form = table_form_of(j->table) == TABLE_XLS ? TABLE_XLSX : table_form_of(j->table);
	enum ceir_err err = copy_names(a, more, n_more);
	if (!err)
		err = begin(a, &a->answer, "answer", a->names, a->n + n_more + 3);
	if (err)
		files_answer_drop(a);
	else
		*out = a;
	return err;
}

/* ---- rows ---- */

static void upload_cells(const struct files_answer *a, const struct table_row *row, struct str *cells)
{
	for (size_t i = 0; i < a->n; i++)
		cells[i] = row && a->map[i] < row->n ? row->cells[a->map[i]].text : STR("");
}

static enum ceir_err reject_row(struct files_answer *a, struct str *cells, struct str code, struct str text)
{
	enum ceir_err err = CEIR_OK;

	if (!a->rejects.w)
		err = begin(a, &a->rejects, "rejects", a->reject_names, a->n + 2);
	cells[a->n] = code;
	cells[a->n + 1] = text;
	return err ? err : table_writer_row(a->rejects.w, cells);
}

enum ceir_err files_answer_row(struct files_answer *a, const struct table_row *row, const struct str *more, unsigned code, struct str text,
	struct str svtrid, const char *reject)
{
	struct str cells[TABLE_COLUMNS_MAX + MORE_MAX + 3];
	char number[16];
	size_t at = a->n;

	upload_cells(a, row, cells);
	for (size_t i = 0; i < a->n_more; i++)
		cells[at++] = more ? more[i] : STR("");
	snprintf(number, sizeof number, "%u", code);
	cells[at++] = str_of(number);
	cells[at++] = text;
	cells[at] = svtrid;
	enum ceir_err err = table_writer_row(a->answer.w, cells);
	if (err || !reject || !row)
		return err;
	upload_cells(a, row, cells);
	return reject_row(a, cells, str_of(reject[0] ? reject : number), text);
}

enum ceir_err files_answer_broken(struct files_answer *a, const char *why)
{
	struct buf text = BUF_INIT(4096);
	size_t lang = a->job->lang;

	i18n_format(&text, lang, N_("The file cannot be read from here on: {0}"), &(struct str){i18n_text(lang, why), strlen(i18n_text(lang, why))}, 1);
	enum ceir_err err = files_answer_row(a, NULL, NULL, REG_SYNTAX, buf_view(&text), STR(""), NULL);
	buf_free(&text);
	return err;
}

/* ---- the end ---- */

static enum ceir_err finish(struct files_answer *a, struct out_file *o, const char *what)
{
	struct table_writer *w = o->w;
	int fd = o->fd;

	o->w = NULL;
	enum ceir_err err = table_writer_finish(w);
	if (err)
		return err;
	o->fd = -1;
	return files_show(a->job, fd, o->temporary, what, table_form_name(a->form));
}

/* Of an earlier file of this name. */
static void remove_old_rejects(const struct files_answer *a)
{
	char name[FILES_NAME + 32];

	snprintf(name, sizeof name, "%s.rejects.%s", a->job->shown, table_form_name(a->form));
	if (unlinkat(a->job->out, name, 0) && errno != ENOENT)
		log_warn(FILES_ROOM, "%s: old rejects cannot be removed: %s", a->job->a->clid, strerror(errno));
}

/* Whoever put it into in/ may still have it open. */
static bool is_changed(const struct files_job *j)
{
	struct stat st;

	return j->changed || fstat(j->fd, &st) || st.st_size != j->st.st_size || st.st_mtim.tv_sec != j->st.st_mtim.tv_sec
		|| st.st_mtim.tv_nsec != j->st.st_mtim.tv_nsec;
}

enum ceir_err files_answer_finish(struct files_answer *a)
{
	enum ceir_err err = CEIR_OK;

	if (is_changed(a->job)) {
		const char *text = i18n_text(a->job->lang, N_("The file was changed while it was being done; rows may be answered that are not those that were done"));

		err = files_answer_row(a, NULL, NULL, REG_STATUS, str_of(text), STR(""), NULL);
	}
	if (!err && a->rejects.w)
		err = finish(a, &a->rejects, "rejects");
	else if (!err)
		remove_old_rejects(a);
	if (!err)
		err = finish(a, &a->answer, "answer");
	files_answer_drop(a);
	return err;
}

void files_answer_drop(struct files_answer *a)
{
	if (!a)
		return;
	hide(a, &a->answer);
	hide(a, &a->rejects);
	free(a->texts);
	free(a);
}

/*
 * files_do.c - one file: opened, told what it is, done, answered, removed from the queue; in this order, so that a crash at any moment leaves
 * it in the queue, where it is taken up again. What has been done of it by then is found by its clTRIDs (files_rows.c says how).
 */
#include "files/files_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STEP_BYTES (1u << 18)
#define DIGEST_BYTES 16

bool files_stopping(const struct files_job *j)
{
	return j->f->stopping;
}

/* ---- names ---- */

/* As part of a name in out/: at most FILES_SHOWN bytes of text, without control characters. */
static void make_shown(struct files_job *j)
{
	struct str s = str_of(j->name);
	size_t n = 0;

	while (s.n && n < FILES_SHOWN) {
		size_t length = str_utf8_len(s);

		if (length && n + length > FILES_SHOWN)
			break;
		if (!length || (unsigned char)s.p[0] < 0x20 || s.p[0] == 0x7f) {
			j->shown[n++] = '_';
			length = 1;
		} else {
			memcpy(j->shown + n, s.p, length);
			n += length;
		}
		s.p += length;
		s.n -= length;
	}
	j->shown[n] = '\0';
	if (!n)
		snprintf(j->shown, sizeof j->shown, "file-%.16s", j->seq);
}

/* The bytes' digest is in the clTRIDs: whoever has the file and the time of its coming finds its rows in the audit log. */
static enum ceir_err make_trid(struct files_job *j)
{
	crypto_generichash_state state;
	uint8_t hash[DIGEST_BYTES];
	char hex[2 * DIGEST_BYTES + 1], *step = malloc(STEP_BYTES);
	ssize_t got = step ? 1 : -1;
	off_t at = 0;

	crypto_generichash_init(&state, NULL, 0, sizeof hash);
	crypto_generichash_update(&state, (const uint8_t *)j->seq, strlen(j->seq));
	crypto_generichash_update(&state, (const uint8_t *)j->name, strlen(j->name) + 1);
	while (got > 0 && !files_stopping(j)) {
		got = pread(j->fd, step, STEP_BYTES, at);
		if (got < 0 && errno == EINTR)
			got = 1;
		else if (got > 0) {
			crypto_generichash_update(&state, (const uint8_t *)step, (size_t)got);
			at += got;
		}
	}
	crypto_generichash_final(&state, hash, sizeof hash);
	free(step);
	hex_print(hash, sizeof hash, hex);
	snprintf(j->trid, sizeof j->trid, "F-%s", hex);
	return got < 0 ? CEIR_EIO : files_stopping(j) ? CEIR_ECLOSED : CEIR_OK;
}

/* ---- refusing a file as a whole ---- */

enum ceir_err files_answer_line(struct files_job *j, const char *record, const char *const *names, const struct str *cells, size_t n)
{
	struct table_writer *w = NULL;
	char temporary[64];
	int fd = files_temporary(j, "answer", temporary);

	if (fd < 0)
		return ceir_err_of_errno(errno);
	enum ceir_err err = table_writer_new(fd, TABLE_CSV, record, names, n, false, j->queue, &w);
	if (!err)
		err = table_writer_row(w, cells);
	if (!err)
		err = table_writer_finish(w);
	else
		table_writer_drop(w);
	if (!err)
		return files_show(j, fd, temporary, "answer", "csv");
	close(fd);
	unlinkat(j->out, temporary, 0);
	return err;
}

static enum ceir_err write_refusal(struct files_job *j, unsigned code, struct str text)
{
	static const char *const names[] = {"file", "code", "message"};
	char number[16];

	snprintf(number, sizeof number, "%u", code);
	return files_answer_line(j, "file", names, (struct str[]){str_of(j->shown), str_of(number), text}, CEIR_COUNT(names));
}

enum ceir_err files_refuse(struct files_job *j, unsigned code, const char *english, struct str what)
{
	struct buf raw = BUF_INIT(4096), line = BUF_INIT(4096);

	i18n_format(&raw, j->lang, english, &what, 1);
	files_put_line(&line, buf_view(&raw));
	log_warn(FILES_ROOM, "%s: %s is refused: %s", j->a->clid, j->shown, english);
	enum ceir_err err = write_refusal(j, code, buf_view(&line));
	buf_free(&raw);
	buf_free(&line);
	return err;
}

/* ---- the table ---- */

enum ceir_err files_table_open(struct files_job *j)
{
	struct table_limits limits = {.helper = j->f->s.helper, .scratch_fd = j->queue};
	const struct str *names;
	const char *why = NULL;
	struct str what = STR("");

	table_close(j->table);
	j->table = NULL;
	enum ceir_err err = table_open(j->fd, &limits, &j->table);
	if (err == CEIR_EINVAL || err == CEIR_ELIMIT) {
		err = files_refuse(j, REG_SYNTAX, table_why(j->table), STR(""));
		return err ? err : CEIR_EINVAL;
	}
	if (err)
		return err;
	size_t n = table_columns(j->table, &names);
	if (n > TABLE_COLUMNS_MAX)
		n = TABLE_COLUMNS_MAX;
	if (!files_plan_make(j->type, names, n, &j->plan, &why, &what))
		return CEIR_OK;
	err = files_refuse(j, REG_SYNTAX, why, what);
	return err ? err : CEIR_EINVAL;
}

/* ---- doing ---- */

static enum ceir_err do_it(struct files_job *j)
{
	static enum ceir_err (*const ways[])(struct files_job *) = {[FILES_ROWS] = files_do_rows, [FILES_CHECK] = files_do_check,
		[FILES_APPLICATION] = files_do_application, [FILES_DELIVERY] = files_do_delivery, [FILES_EPP] = files_do_epp};

	if (!j->type)
		return files_refuse(j, REG_SYNTAX, N_("The name does not say what it is: expected TYPE, then - or _ or ., as in permit-2026-11.xlsx"), STR(""));
	enum ceir_err err = make_trid(j);
	if (err)
		return err;
	err = ways[j->type->way](j);
	/* Refused as a whole, and answered. */
	return err == CEIR_EINVAL ? CEIR_OK : err;
}

static enum ceir_err open_job(struct files_job *j)
{
	char entry[32];

	j->queue = files_open_folder(j->f, j->a, "queue");
	if (j->queue < 0)
		return ceir_err_of_errno(errno);
	enum ceir_err err = files_queue_first(j->queue, j->seq);
	if (err)
		return err;
	j->out = files_open_folder(j->f, j->a, "ftp/out");
	snprintf(entry, sizeof entry, "%.16s.data", j->seq);
	if (j->out >= 0)
		j->fd = openat(j->queue, entry, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (j->fd < 0 || fstat(j->fd, &j->st))
		return ceir_err_of_errno(errno);
	files_queue_name(j->queue, j->seq, j->name);
	make_shown(j);
	j->type = files_type_of(str_of(j->name));
	return S_ISREG(j->st.st_mode) ? CEIR_OK : CEIR_EIO;
}

static void close_job(struct files_job *j)
{
	int *fds[] = {&j->fd, &j->out, &j->queue};

	table_close(j->table);
	for (size_t i = 0; i < CEIR_COUNT(fds); i++)
		if (*fds[i] >= 0)
			close(*fds[i]);
}

enum ceir_err files_do(struct files *f, struct files_account *a)
{
	struct files_job j = {.f = f, .a = a, .queue = -1, .out = -1, .fd = -1};
	int64_t began = clock_mono_us();
	enum ceir_err err = open_job(&j);

	j.lang = reg_account_lang(f->r, str_of(a->clid), f->s.lang);

	if (!err)
		err = do_it(&j);
	if (!err)
		err = files_queue_done(j.queue, j.seq);
	/* A folder that somebody took away is not a queue that is empty. */
	if (err == CEIR_ENOENT && j.seq[0])
		err = CEIR_EIO;
	if (!err)
		log_info(FILES_ROOM, "%s: %s is done and answered, in %" PRId64 " ms", a->clid, j.shown, (clock_mono_us() - began) / 1000);
	else if (err != CEIR_ENOENT && !f->stopping)
		log_warn(FILES_ROOM, "%s: %s cannot be done now: %s; it is tried again", a->clid, j.shown, ceir_err_text(err));
	close_job(&j);
	return err;
}

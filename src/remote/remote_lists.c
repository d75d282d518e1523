/*
 * remote_lists.c - the next file of a list, asked of the door as a session of the remote's account, into DIR/remote/ID/out.
 *
 * Three files, each durable before the next: NAME (a link to the file that the door made), NAME.sig (as in an outbox), NAME.mark (remote_text.h). What
 * has no NAME.mark was never begun, and is removed at the start.
 */
#include "remote/remote_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ARENA_BYTES ((size_t)4 << 20)
#define COPY_STEP 65536

/* ---- the door ---- */

struct ask {
	struct remote_worker *w;
	struct reg_session *s;
	struct arena *arena;
	unsigned code;
	struct reg_file file;           /* fd -1: none */
	char text[256];                 /* what was wrong */
};

static void render(void *face, const struct reg_command *c, const struct reg_reply *reply, struct buf *out)
{
	struct ask *a = face;
	const char *text = reg_code_text(reply->code);

	(void)c;
	a->code = reply->code;
	snprintf(a->text, sizeof a->text, "%s%s%s", text ? text : "?", reply->details ? ": " : "", reply->details ? reply->details->reason : "");
	if (a->file.fd >= 0)
		close(a->file.fd);
	a->file.fd = -1;
	if (reply->file)
		a->file = *reply->file;
	/* What the audit row digests. */
	buf_printf(out, "%u %s\n", (unsigned)reply->code, reply->svtrid);
	if (reply->file)
		buf_printf(out, "%s %s\n", reply->file->name, reply->file->digest);
}

static bool enough(void *worker)
{
	return remote_stopping(worker);
}

/* Executed and settled: what was answered stands in the audit log. */
static enum ceir_err execute(struct ask *a, const struct reg_command *c)
{
	struct buf out = BUF_INIT(4096);

	reg_execute(a->s, c, a->arena, render, a, &out);
	enum ceir_err err = reg_settle(a->s);
	buf_free(&out);
	if (err)
		return remote_fail(a->w, err, "the register cannot answer: %s", ceir_err_text(err));
	return a->code == REG_DONE ? CEIR_OK : remote_fail(a->w, CEIR_ESTATE, "the register answers %u: %s", a->code, a->text);
}

/* list:info with a file: since -1, the whole list. */
static enum ceir_err ask_file(struct ask *a, enum reg_list_kind list, int64_t since)
{
	const struct remote_worker *w = a->w;
	const struct reg_object *object = reg_object_by_name(STR("list"));
	struct reg_list_request q = {.delta = since >= 0, .since = since < 0 ? 0 : since, .format = w->c.format, .packing = w->c.packing};
	struct reg_node id = {.field = reg_field_find(object->fields, STR("id")), .text = str_of(reg_list_name(list))};
	struct reg_command c = {.verb = REG_INFO, .object = object, .key = &id, .list = &q};

	/* The same question has the same name, however often it is asked. */
	c.cltrid = arena_printf(a->arena, "remote-%" PRId64 "-%s-%" PRId64, w->c.id, reg_list_name(list), since);
	c.request = arena_printf(a->arena, "info list\nid=%s\nsince=%" PRId64 "\nformat=%d\npacking=%d\n", reg_list_name(list), since, (int)q.format,
		(int)q.packing);
	if (!c.cltrid.p || !c.request.p)
		return CEIR_ENOMEM;
	/* Not audited, and cheap when nothing was changed: only what has a row is asked for. Other errors are for the command to say. */
	if (q.delta) {
		enum ceir_err err = reg_list_wait(a->s, &c, 0, enough, a->w);

		if (err == CEIR_ETIMEOUT || err == CEIR_ECLOSED)
			return err;
	}
	return execute(a, &c);
}

/* ---- into out/ ---- */

static enum ceir_err copy(struct remote_worker *w, int from, const char *name)
{
	char step[COPY_STEP];
	int to = openat(w->out, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	enum ceir_err err = to < 0 ? ceir_err_of_errno(errno) : CEIR_OK;
	off_t at = 0;

	while (!err) {
		ssize_t got = pread(from, step, sizeof step, at);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			err = got < 0 || fsync(to) ? ceir_err_of_errno(errno) : CEIR_OK;
			break;
		}
		err = fd_write_all(to, step, (size_t)got);
		at += got;
	}
	if (to >= 0 && close(to) && !err)
		err = ceir_err_of_errno(errno);
	return err;
}

/* The door's file is synced, and is never written again; only when it has lost its name meanwhile it must be copied. */
static enum ceir_err link_or_copy(struct remote_worker *w, const struct reg_file *f)
{
	char path[40];

	if (unlinkat(w->out, f->name, 0) && errno != ENOENT)
		return ceir_err_of_errno(errno);
	snprintf(path, sizeof path, "/proc/self/fd/%d", f->fd);
	enum ceir_err err = linkat(AT_FDCWD, path, w->out, f->name, AT_SYMLINK_FOLLOW) ? copy(w, f->fd, f->name) : CEIR_OK;
	return err ? err : fsync(w->out) ? ceir_err_of_errno(errno) : CEIR_OK;
}

static enum ceir_err write_beside(struct remote_worker *w, const char *name, const char *ending, struct buf *text)
{
	char path[PATH_MAX + REMOTE_NAME + 16];

	if ((size_t)snprintf(path, sizeof path, "%s/out/%s%s", w->dir, name, ending) >= PATH_MAX)
		return CEIR_ERANGE;
	return text->failed ? CEIR_ENOMEM : file_write(path, buf_view(text), 0600);
}

static enum ceir_err spool(struct remote_worker *w, enum reg_list_kind list, int64_t since, const struct reg_file *f)
{
	struct remote_mark mark = {.list = list, .from = since, .to = f->to, .op = w->c.op};
	struct buf text = BUF_INIT(4096);

	if (hex_parse(str_of(f->digest), mark.sha256, sizeof mark.sha256) || !remote_name_good(str_of(f->name)))
		return CEIR_EINVAL;
	enum ceir_err err = link_or_copy(w, f);
	reg_list_signature_print(&text, w->c.op, list, f);
	if (!err)
		err = write_beside(w, f->name, ".sig", &text);
	buf_clear(&text);
	remote_mark_print(&text, &mark);
	if (!err)
		err = write_beside(w, f->name, ".mark", &text);
	buf_free(&text);
	return err;
}

/* ---- all of it ---- */

static enum ceir_err open_session(struct ask *a)
{
	struct reg_client client = {.has_certificate = false};
	char code[40];

	remote_line(a->w->c.code, code, sizeof code);
	snprintf(client.address, sizeof client.address, "remote/%s", code);
	enum ceir_err err = reg_session_of(a->w->m->r, a->w->c.account, &client, 0, &a->s);
	if (err)
		return remote_fail(a->w, err, "no session of the account: %s", ceir_err_text(err));
	a->arena = arena_new(ARENA_BYTES);
	return a->arena ? CEIR_OK : CEIR_ENOMEM;
}

enum ceir_err remote_list_make(struct remote_worker *w, enum reg_list_kind list, char name[REMOTE_NAME])
{
	struct ask a = {.w = w, .file = {.fd = -1}};
	int64_t since;
	enum ceir_err err = reg_remote_has(w->m->r, w->c.id, list, &since);

	name[0] = '\0';
	if (!err)
		err = open_session(&a);
	if (!err)
		err = remote_stopping(w) ? CEIR_ECLOSED : ask_file(&a, list, since);
	/* A delta without a row says nothing, and the next one begins where it would have; an empty list is a list. */
	if (!err && a.file.fd >= 0 && (a.file.rows || since < 0)) {
		err = spool(w, list, since, &a.file);
		if (err)
			(void)remote_fail(w, err, "%s cannot be kept in %s/out: %s", a.file.name, w->dir, ceir_err_text(err));
		else
			snprintf(name, REMOTE_NAME, "%s", a.file.name);
	}
	if (a.file.fd >= 0)
		close(a.file.fd);
	if (a.s)
		reg_session_free(a.s);
	arena_free(a.arena);
	return err == CEIR_ETIMEOUT ? CEIR_OK : err;
}

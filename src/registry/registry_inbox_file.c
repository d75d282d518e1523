/* registry_inbox_file.c - one file of the inbox: delivered through the door, answered beside where it goes. */
#include "registry/registry_inbox.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <unistd.h>

#define ROOM "inbox"
#define STEP_BYTES (1u << 20)
#define ARENA_BYTES ((size_t)16 << 20)
#define ANSWER_BYTES (1u << 20)
#define NAME_SHOWN 200         /* of the name in an answer's file name: room for what is added */

/* A file under way. */
struct work {
	const struct inbox_box *b;
	const char *name;
	const struct stat *st;
	int fd;
	struct reg_session *s;
	struct arena *arena;
	struct buf answer;
	unsigned code;                  /* of the last answer */
	char object[REG_SVTRID_MAX];    /* id of the delivery, empty: none */
};

/* ---- names ---- */

static bool ends_with(const char *name, size_t n, const char *end)
{
	size_t m = strlen(end);

	return n >= m && strncasecmp(name + n - m, end, m) == 0;
}

/* full-*.csv, delta-*.csv, packed or not. False: it does not say what it is. */
static bool kind_of(const char *name, bool *full)
{
	size_t n = strlen(name);

	n -= ends_with(name, n, ".gz") ? 3 : ends_with(name, n, ".zst") ? 4 : 0;
	*full = strncasecmp(name, "full-", 5) == 0;
	return (*full || strncasecmp(name, "delta-", 6) == 0) && ends_with(name, n, ".csv");
}

/* ---- the answer ---- */

static void put_text(struct buf *out, const char *key, struct str value)
{
	buf_char(out, ',');
	buf_json(out, str_of(key));
	buf_char(out, ':');
	buf_json(out, value);
}

/* What may repeat is an array, numbers are numbers. Siblings of one name stand together. */
static void put_fields(struct buf *out, const struct reg_node *n)
{
	while (n) {
		const struct reg_field *f = n->field;
		bool many = f->flags & REG_MANY;

		buf_char(out, ',');
		buf_json(out, str_of(f->name));
		buf_c(out, many ? ":[" : ":");
		for (bool first = true; n && n->field == f; n = n->next, first = false) {
			if (!first)
				buf_char(out, ',');
			if (f->type == REG_UINT)
				buf_str(out, n->text);
			else
				buf_json(out, n->text);
			if (!many) {
				n = n->next;
				break;
			}
		}
		if (many)
			buf_char(out, ']');
	}
}

static void put_errors(struct buf *out, size_t lang, const struct reg_detail *d)
{
	if (!d)
		return;
	buf_c(out, ",\"errors\":[");
	for (const struct reg_detail *first = d; d; d = d->next) {
		buf_c(out, d == first ? "{\"element\":" : ",{\"element\":");
		buf_json(out, str_of(d->element));
		put_text(out, "value", d->value);
		put_text(out, "reason", str_of(i18n_text(lang, d->reason)));
		buf_char(out, '}');
	}
	buf_char(out, ']');
}

static void begin_answer(struct work *w, unsigned code)
{
	buf_clear(&w->answer);
	w->code = code;
	w->object[0] = '\0';
	buf_printf(&w->answer, "{\"code\":%u", code);
	put_text(&w->answer, "message", str_of(i18n_text(w->s->lang, reg_code_text(code))));
	put_text(&w->answer, "file", str_of(w->name));
}

/* reg_render: the answer file is what this face sends. */
static void render(void *face, const struct reg_command *c, const struct reg_reply *reply, struct buf *out)
{
	struct work *w = face;

	begin_answer(w, reply->code);
	put_text(&w->answer, "clTRID", c->cltrid);
	put_text(&w->answer, "svTRID", str_of(reply->svtrid));
	put_fields(&w->answer, reply->fields);
	put_errors(&w->answer, w->s->lang, reply->details);
	buf_c(&w->answer, "}\n");
	if (reply->fields)
		snprintf(w->object, sizeof w->object, "%.*s", (int)reply->fields->text.n, reply->fields->text.p);
	/* What the audit row digests. */
	buf_str(out, buf_view(&w->answer));
}

/* ---- files beside it ---- */

static enum ceir_err write_at(int folder, const char *name, struct str bytes)
{
	static const char temporary[] = ".answer.tmp";

	if (unlinkat(folder, temporary, 0) && errno != ENOENT)
		return ceir_err_of_errno(errno);
	int fd = openat(folder, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return ceir_err_of_errno(errno);
	enum ceir_err err = fd_write_all(fd, bytes.p, bytes.n);
	if (!err && fsync(fd))
		err = ceir_err_of_errno(errno);
	if (close(fd) && !err)
		err = ceir_err_of_errno(errno);
	return !err && renameat(folder, temporary, folder, name) ? ceir_err_of_errno(errno) : err;
}

/* The report has at most some hundred megabytes: copied by the kernel. */
static enum ceir_err copy_at(int folder, const char *name, int from)
{
	static const char temporary[] = ".rejects.tmp";

	if (unlinkat(folder, temporary, 0) && errno != ENOENT)
		return ceir_err_of_errno(errno);
	int fd = openat(folder, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return ceir_err_of_errno(errno);
	ssize_t n;
	do
		n = sendfile(fd, from, NULL, 1u << 30);
	while (n > 0 || (n < 0 && errno == EINTR));
	enum ceir_err err = n < 0 || fsync(fd) ? ceir_err_of_errno(errno) : CEIR_OK;
	if (close(fd) && !err)
		err = ceir_err_of_errno(errno);
	return !err && renameat(folder, temporary, folder, name) ? ceir_err_of_errno(errno) : err;
}

static enum ceir_err write_rejects(struct work *w, int folder)
{
	char name[NAME_SHOWN + 32];
	int fd;
	enum ceir_err err = w->object[0] ? delivery_report_open(w->b->r, str_of(w->object), 0, &fd) : CEIR_ENOENT;

	if (err)
		return err == CEIR_ENOENT ? CEIR_OK : err;
	snprintf(name, sizeof name, "%.*s.rejects.csv", NAME_SHOWN, w->name);
	err = copy_at(folder, name, fd);
	close(fd);
	return err;
}

/* Answer first, then the file goes: a crash between makes it be delivered again, which changes nothing. */
static enum inbox_outcome put_away(struct work *w)
{
	int folder = w->code < 2000 ? w->b->done : w->b->refused;
	char name[NAME_SHOWN + 32];

	snprintf(name, sizeof name, "%.*s.answer.json", NAME_SHOWN, w->name);
	enum ceir_err err = w->answer.failed ? CEIR_ENOMEM : write_rejects(w, folder);
	if (!err)
		err = write_at(folder, name, buf_view(&w->answer));
	if (!err && renameat(w->b->fd, w->name, folder, w->name))
		err = ceir_err_of_errno(errno);
	if (err)
		log_error(ROOM, "%s/%s cannot be answered: %s", w->b->operator_code, w->name, ceir_err_text(err));
	return err ? INBOX_LATER : INBOX_TAKEN;
}

static enum inbox_outcome refuse(struct work *w, unsigned code, const char *reason)
{
	struct reg_detail d = {.element = "file", .value = str_of(w->name), .reason = reason};

	begin_answer(w, code);
	put_errors(&w->answer, w->s->lang, &d);
	buf_c(&w->answer, "}\n");
	log_warn(ROOM, "%s/%s is refused: %s", w->b->operator_code, w->name, reason);
	return put_away(w);
}

/* ---- delivering ---- */

static bool unchanged(const struct work *w)
{
	struct stat st;

	return fstat(w->fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_ino == w->st->st_ino && st.st_size == w->st->st_size
		&& st.st_mtim.tv_sec == w->st->st_mtim.tv_sec && st.st_mtim.tv_nsec == w->st->st_mtim.tv_nsec;
}

/* CEIR_ECLOSED: the registry is closing. What is wrong with the body is said by the command. */
static enum ceir_err feed_all(struct work *w, struct reg_delivery *d)
{
	char *step = malloc(STEP_BYTES);
	enum ceir_err err = step ? CEIR_OK : CEIR_ENOMEM;
	ssize_t got = 0;

	while (!err && (got = read(w->fd, step, STEP_BYTES)) != 0) {
		if (got < 0 && errno == EINTR)
			continue;
		err = got < 0 ? ceir_err_of_errno(errno) : reg_delivery_feed(d, (struct str){step, (size_t)got});
		if (!err && !intake_wait(w->b->r->intake, 0, false))
			err = CEIR_ECLOSED;
	}
	free(step);
	return err == CEIR_EINVAL ? CEIR_OK : err;
}

/* The same file gives the same id, so that the audit log shows what came of it. */
static struct str cltrid(struct work *w)
{
	struct str what = arena_printf(w->arena, "%s/%s %lld %lld.%09ld", w->b->operator_code, w->name, (long long)w->st->st_size,
		(long long)w->st->st_mtim.tv_sec, w->st->st_mtim.tv_nsec);
	uint8_t hash[16];
	char hex[2 * sizeof hash + 1];

	crypto_generichash(hash, sizeof hash, (const uint8_t *)what.p, what.n, NULL, 0);
	hex_print(hash, sizeof hash, hex);
	return arena_printf(w->arena, "inbox-%s", hex);
}

static enum inbox_outcome execute(struct work *w, struct reg_delivery *d, bool full)
{
	struct reg_command c = {.verb = REG_CREATE, .object = reg_object_by_name(STR("delivery")), .delivery = d, .cltrid = cltrid(w)};
	struct buf out = BUF_INIT(ANSWER_BYTES);

	c.request = arena_printf(w->arena, "deliver %s %s/%s %lld bytes", full ? "full" : "delta", w->b->operator_code, w->name,
		(long long)w->st->st_size);
	reg_execute(w->s, &c, w->arena, render, w, &out);
	buf_free(&out);
	/* 2400: no fault of the file. */
	if (reg_settle(w->s) || w->code == REG_FAILED)
		return INBOX_LATER;
	return put_away(w);
}

static enum inbox_outcome deliver(struct work *w)
{
	struct reg_delivery_start start = {.name = str_of(w->name)};
	struct reg_delivery *d;

	if (!kind_of(w->name, &start.full))
		return refuse(w, REG_VALUE, N_("The name does not say what it is: expected full-*.csv or delta-*.csv, also .gz and .zst"));
	if (!unchanged(w))
		return INBOX_GROWS;
	enum ceir_err err = reg_delivery_begin(w->s, &start, &d);
	if (err == CEIR_EINVAL)
		return refuse(w, REG_VALUE, N_("The name of the file is not printable text"));
	if (err)
		return INBOX_LATER;
	err = feed_all(w, d);
	bool whole = unchanged(w);
	if (err || !whole) {
		reg_delivery_drop(d);
		if (err && err != CEIR_ECLOSED)
			log_error(ROOM, "%s/%s cannot be taken now: %s", w->b->operator_code, w->name, ceir_err_text(err));
		return err ? INBOX_LATER : INBOX_GROWS;
	}
	return execute(w, d, start.full);
}

/* Not a login: whoever may write into the folder is the operator. In the audit log: account "inbox", the folder as address. */
static struct reg_session *open_session(const struct inbox_box *b)
{
	struct reg_client client = {.has_certificate = false};
	char folder[REG_FOLDER_NAME];

	reg_folder_name(str_of(b->operator_code), folder);
	snprintf(client.address, sizeof client.address, "inbox/%.50s", folder);
	struct reg_session *s = reg_session_new(b->r, &client);
	if (!s)
		return NULL;
	s->who = (struct reg_who){.account = 0, .clid = "inbox", .role = REG_ROLE_OPERATOR};
	memcpy(s->who.operator, b->operator_code, sizeof s->who.operator);
	s->lang = reg_operator_lang(b->r, b->operator_code);
	return s;
}

enum inbox_outcome inbox_file(const struct inbox_box *b, const char *name, const struct stat *st)
{
	struct work w = {.b = b, .name = name, .st = st, .answer = BUF_INIT(ANSWER_BYTES)};
	enum inbox_outcome outcome = INBOX_LATER;

	w.fd = openat(b->fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	w.s = open_session(b);
	w.arena = arena_new(ARENA_BYTES);
	if (w.fd >= 0 && w.s && w.arena)
		outcome = deliver(&w);
	arena_free(w.arena);
	reg_session_free(w.s);
	if (w.fd >= 0)
		close(w.fd);
	buf_free(&w.answer);
	return outcome;
}

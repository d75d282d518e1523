/*
 * files_epp.c - a file of EPP commands: documents one behind the other, each as if it had come over the wire, the answers one behind the
 * other in NAME.answer.xml. Nobody logs in or out here: the folder says who it is.
 *
 * SEQ.journal is the answer as it grows. After a crash its whole documents are counted and so many commands passed over. Behind them at most
 * SYNC_EVERY can have been done: whichever of these has a clTRID under which the account has succeeded since the file came is answered with
 * that outcome. A command without a clTRID may be done again, as after any lost connection.
 */
#include "files/files_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "epp/epp.h"

#define STEP_BYTES (1u << 16)
#define DOCUMENT_MAX (1u << 20)
#define DEPTH_MAX 32
#define NAMES_MAX 10000
#define SYNC_EVERY 64u
#define HEADER_BYTES 4u

/* ---- documents of a stream ---- */

struct documents {
	int fd;
	off_t at;                      /* of what is read next */
	struct buf b;
	size_t from;                   /* in b: the document not yet given */
	size_t scanned;                /* in b: no end before it */
	bool end;
	off_t given;                   /* in the file: behind the last document given */
};

static bool is_name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.' || c == ':';
}

/* Behind "</epp>" or "</prefix:epp >" that begins at p; 0: it is no such. */
static size_t end_tag(struct str s, size_t p)
{
	size_t n = p + 2, name = n;

	while (n < s.n && is_name_char(s.p[n]))
		n++;
	bool epp = n - name >= 3 && memcmp(s.p + n - 3, "epp", 3) == 0 && (n - name == 3 || s.p[n - 4] == ':');
	while (n < s.n && strchr(" \t\r\n", s.p[n]) && s.p[n])
		n++;
	return epp && n < s.n && s.p[n] == '>' ? n + 1 : 0;
}

/* Where the document ends that begins at d->from; 0: not yet. */
static size_t find_end(struct documents *d)
{
	struct str s = buf_view(&d->b);

	for (size_t i = d->scanned; i + 1 < s.n; i++) {
		size_t end = s.p[i] == '<' && s.p[i + 1] == '/' ? end_tag(s, i) : 0;

		if (end)
			return end;
	}
	/* A tag may be cut off at the end of what is here. */
	d->scanned = s.n > d->from + 256 ? s.n - 256 : d->from;
	return 0;
}

static enum ceir_err read_more(struct documents *d)
{
	if (d->from) {
		memmove(d->b.p, d->b.p + d->from, d->b.n - d->from);
		d->b.n -= d->from;
		d->scanned -= d->from;
		d->from = 0;
	}
	if (d->b.n > DOCUMENT_MAX)
		return CEIR_ELIMIT;
	char *p = buf_reserve(&d->b, STEP_BYTES);
	ssize_t n = -1;
	do
		n = p ? pread(d->fd, p, STEP_BYTES, d->at) : -1;
	while (n < 0 && p && errno == EINTR);
	if (n < 0)
		return p ? ceir_err_of_errno(errno) : CEIR_ENOMEM;
	d->at += n;
	d->b.n += (size_t)n;
	d->end = n == 0;
	return CEIR_OK;
}

/* The next document; what follows the last and is only white space is none. CEIR_ENOENT: the end. CEIR_ELIMIT: a document above 1 MiB. */
static enum ceir_err next_document(struct documents *d, struct str *out)
{
	size_t end;

	while (!(end = find_end(d))) {
		if (d->end) {
			*out = str_trim((struct str){d->b.p + d->from, d->b.n - d->from});
			d->from = d->scanned = d->b.n;
			return out->n ? CEIR_OK : CEIR_ENOENT;
		}
		enum ceir_err err = read_more(d);
		if (err)
			return err;
	}
	*out = str_trim((struct str){d->b.p + d->from, end - d->from});
	d->given += (off_t)(end - d->from);
	d->from = d->scanned = end;
	return CEIR_OK;
}

/* ---- one command ---- */

struct epp_file {
	struct files_job *job;
	struct files_session session;
	struct epp_parser *parser;
	struct epp_services services;
	const struct reg_command *command;
	struct buf answer;             /* a frame */
	int journal;
	bool begun_before;
	uint64_t done;                 /* documents that the journal answers */
	uint64_t looked_up, unsynced;
};

static void render(void *ctx, const struct reg_reply *reply)
{
	struct epp_file *e = ctx;

	buf_clear(&e->answer);
	epp_render("ceir", e->session.lang, e->command, reply, &e->answer);
	if (reply->file)
		close(reply->file->fd);
}

/* Login, logout and greeting are of a connection. */
static void refuse_session_verbs(struct reg_command *c)
{
	static const struct reg_detail why = {.element = "command", .value = {"", 0}, .reason = N_("A file has no session: its folder says whose it is")};

	if (c->refused || (c->verb != REG_LOGIN && c->verb != REG_LOGOUT && c->verb != REG_HELLO))
		return;
	c->refused = REG_USE;
	c->refused_details = &why;
}

static enum ceir_err answer_again(struct epp_file *e, struct reg_command *c, bool *done)
{
	char trid[260];

	*done = false;
	if (!e->begun_before || e->looked_up++ >= SYNC_EVERY || c->refused || !c->cltrid.n || c->cltrid.n >= sizeof trid)
		return CEIR_OK;
	snprintf(trid, sizeof trid, "%.*s", (int)c->cltrid.n, c->cltrid.p);
	enum ceir_err err = files_done_before(&e->session, e->job, trid, done, NULL);
	if (err || !*done)
		return err;
	struct reg_reply reply = {.code = (enum reg_code)e->session.code};
	memcpy(reply.svtrid, e->session.svtrid, sizeof reply.svtrid);
	render(e, &reply);
	return CEIR_OK;
}

static enum ceir_err do_document(struct epp_file *e, struct str xml)
{
	struct reg_command *c;
	bool done = false;

	arena_reset(e->session.arena);
	c = arena_alloc(e->session.arena, sizeof *c);
	enum ceir_err err = c ? epp_parse(e->parser, xml, &e->services, e->session.arena, c, NULL) : CEIR_ENOMEM;
	if (err)
		return err;
	c->request = xml;
	refuse_session_verbs(c);
	e->command = c;
	err = answer_again(e, c, &done);
	if (err || done)
		return err;
	e->session.take = render;
	e->session.ctx = e;
	err = files_execute(&e->session, c);
	e->session.take = NULL;
	return err;
}

/* ---- the journal ---- */

static enum ceir_err keep(struct epp_file *e)
{
	enum ceir_err err = e->answer.failed || e->answer.n < HEADER_BYTES ? CEIR_ENOMEM
		: fd_write_all(e->journal, e->answer.p + HEADER_BYTES, e->answer.n - HEADER_BYTES);

	if (!err)
		err = fd_write_all(e->journal, "\n", 1);
	if (!err && ++e->unsynced == SYNC_EVERY) {
		e->unsynced = 0;
		err = fdatasync(e->journal) ? ceir_err_of_errno(errno) : CEIR_OK;
	}
	return err;
}

static enum ceir_err count_done(struct epp_file *e)
{
	struct documents d = {.fd = e->journal, .b = BUF_INIT(0)};
	off_t whole = 0;
	struct str xml;
	enum ceir_err err;

	while (!(err = next_document(&d, &xml)) && d.given > whole) {
		whole = d.given;
		e->done++;
	}
	buf_free(&d.b);
	if (err && err != CEIR_ENOENT)
		return err;
	if (ftruncate(e->journal, whole) || lseek(e->journal, whole, SEEK_SET) < 0)
		return ceir_err_of_errno(errno);
	return whole ? fd_write_all(e->journal, "\n", 1) : CEIR_OK;
}

static enum ceir_err open_journal(struct epp_file *e)
{
	char entry[32];

	snprintf(entry, sizeof entry, "%.16s.journal", e->job->seq);
	e->journal = openat(e->job->queue, entry, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (e->journal >= 0)
		return fsync(e->job->queue) ? ceir_err_of_errno(errno) : CEIR_OK;
	if (errno != EEXIST)
		return ceir_err_of_errno(errno);
	e->begun_before = true;
	e->journal = openat(e->job->queue, entry, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	return e->journal < 0 ? ceir_err_of_errno(errno) : count_done(e);
}

/* ---- the file ---- */

static enum ceir_err do_all(struct epp_file *e)
{
	struct documents d = {.fd = e->job->fd, .b = BUF_INIT(0)};
	uint64_t n = 0;
	struct str xml;
	enum ceir_err err = CEIR_OK, end = CEIR_OK;

	while (!err && !(end = next_document(&d, &xml))) {
		if (files_stopping(e->job))
			err = CEIR_ECLOSED;
		else if (++n > e->done)
			err = do_document(e, xml);
		if (!err && n > e->done)
			err = keep(e);
	}
	/* Above the limit nothing tells where the next one begins: the rest is refused as one document that is none. */
	if (!err && end == CEIR_ELIMIT && n + 1 > e->done) {
		err = do_document(e, STR("<epp"));
		if (!err)
			err = keep(e);
	}
	buf_free(&d.b);
	return err || end == CEIR_ENOENT || end == CEIR_ELIMIT ? err : end;
}

static enum ceir_err answer(struct epp_file *e)
{
	char temporary[64], *step = malloc(STEP_BYTES);
	int fd = step ? files_temporary(e->job, "answer", temporary) : -1;
	enum ceir_err err = step && fd >= 0 ? CEIR_OK : step ? ceir_err_of_errno(errno) : CEIR_ENOMEM;
	off_t at = 0;
	ssize_t n = 1;

	while (!err && n) {
		n = pread(e->journal, step, STEP_BYTES, at);
		err = n < 0 ? ceir_err_of_errno(errno) : fd_write_all(fd, step, (size_t)n);
		at += n;
	}
	free(step);
	if (!err)
		return files_show(e->job, fd, temporary, "answer", "xml");
	if (fd >= 0) {
		close(fd);
		unlinkat(e->job->out, temporary, 0);
	}
	return err;
}

enum ceir_err files_do_epp(struct files_job *j)
{
	struct epp_file e = {.job = j, .services = {UINT32_MAX, UINT32_MAX}, .journal = -1, .answer = BUF_INIT(256 << 20)};
	enum ceir_err err = files_session_open(j->f, j->a, &e.session);

	e.parser = epp_parser_new(DEPTH_MAX, NAMES_MAX);
	if (!err && !e.parser)
		err = CEIR_ENOMEM;
	if (!err)
		err = open_journal(&e);
	if (!err)
		err = do_all(&e);
	if (!err)
		err = answer(&e);
	if (e.journal >= 0)
		close(e.journal);
	epp_parser_free(e.parser);
	files_session_close(&e.session);
	buf_free(&e.answer);
	return err;
}

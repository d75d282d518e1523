/*
 * registry_inbox.c - DIR/inbox/OPERATOR/: deliveries as files, for operators whose systems copy files. A face of the door, inside it:
 * what is found is delivered by a session of its own, account "inbox" of that operator, so that rights, gate, audit and idempotency are
 * the same as over HTTPS.
 *
 * A file is taken when it is complete: its name does not begin with a point nor end in .part or .tmp, its size and time have not changed
 * for two seconds, and nobody has it open for writing; whoever can should write under such a name, close and rename. full-*.csv and
 * delta-*.csv (any case, .gz and .zst too) say what they are; others are not guessed at. The file goes to done/ or refused/, beside
 * NAME.answer.json and, when lines were not taken as they came, NAME.rejects.csv. Files there are removed after KEEP_DAYS.
 *
 * Only regular files are opened, never through a link. Folders are named by the operator's id; what a file system might read
 * otherwise (a slash, a point in front) is written as %XX.
 */
#include "registry/registry_inbox.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROOM "inbox"
#define SCAN_MS 1000
#define STILL_US (2 * SECOND_US)
#define LATER_US (30 * SECOND_US)
#define PRUNE_US (3600 * SECOND_US)
#define KEEP_DAYS 7
#define SEEN_MAX 4096          /* files that wait in all folders together; the others are looked at when these are done */

void reg_folder_name(struct str id, char out[REG_FOLDER_NAME])
{
	size_t n = 0;

	for (size_t i = 0; i < id.n && n + 4 < REG_FOLDER_NAME; i++) {
		uint8_t c = (uint8_t)id.p[i];
		bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || (c == '.' && i);

		if (plain)
			out[n++] = (char)c;
		else
			n += (size_t)snprintf(out + n, 4, "%%%02X", c);
	}
	out[n] = '\0';
}

struct look {
	struct reg_intake *in;
	struct still *still;
	int64_t pruned_us;              /* when old files were last looked for */
};

/* ---- one folder ---- */

static bool is_candidate(const char *name)
{
	return !file_name_unfinished(name) && strcmp(name, "done") != 0 && strcmp(name, "refused") != 0;
}

static void look_at_file(struct look *l, const struct inbox_box *b, const char *name)
{
	struct stat st;

	if (!is_candidate(name) || fstatat(b->fd, name, &st, AT_SYMLINK_NOFOLLOW) || !S_ISREG(st.st_mode))
		return;
	if (!still_look(l->still, &st, STILL_US, clock_mono_us()) || file_has_writer(b->fd, name))
		return;
	switch (inbox_file(b, name, &st)) {
	case INBOX_TAKEN:
		break;
	case INBOX_GROWS:
		still_again(l->still, &st);
		break;
	case INBOX_LATER:
		still_put_off(l->still, &st, clock_mono_us() + LATER_US);
		break;
	}
}

/* What stands in done/ or refused/ for longer than KEEP_DAYS. By the time of its coming there, which a rename sets. */
static void prune(int folder)
{
	int fd = dup(folder);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;
	struct stat st;
	int64_t before_s = clock_real_us() / SECOND_US - KEEP_DAYS * 86400LL;

	if (!d) {
		if (fd >= 0)
			close(fd);
		return;
	}
	rewinddir(d);
	while ((e = readdir(d)))
		if (!fstatat(folder, e->d_name, &st, AT_SYMLINK_NOFOLLOW) && S_ISREG(st.st_mode) && st.st_ctim.tv_sec < before_s
			&& unlinkat(folder, e->d_name, 0))
			log_warn(ROOM, "%s cannot be removed: %s", e->d_name, strerror(errno));
	closedir(d);
}

static int open_folder(int at, const char *name)
{
	if (mkdirat(at, name, 0700) && errno != EEXIST)
		return -1;
	return openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static void close_box(struct inbox_box *b)
{
	int *fds[] = {&b->fd, &b->done, &b->refused};

	for (size_t i = 0; i < CEIR_COUNT(fds); i++)
		if (*fds[i] >= 0)
			close(*fds[i]);
}

static enum ceir_err open_box(struct registry *r, struct str code, struct inbox_box *b)
{
	char path[DELIVERY_PATH], name[REG_FOLDER_NAME];
	int n = snprintf(path, sizeof path, "%s/inbox", r->settings.dir), root;

	*b = (struct inbox_box){.r = r, .fd = -1, .done = -1, .refused = -1};
	if (n < 0 || n >= (int)sizeof path || code.n >= sizeof b->operator_code)
		return CEIR_ERANGE;
	memcpy(b->operator_code, code.p, code.n);
	reg_folder_name(code, name);
	root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	b->fd = root < 0 ? -1 : open_folder(root, name);
	b->done = b->fd < 0 ? -1 : open_folder(b->fd, "done");
	b->refused = b->done < 0 ? -1 : open_folder(b->fd, "refused");
	enum ceir_err err = b->refused < 0 ? ceir_err_of_errno(errno) : CEIR_OK;
	if (root >= 0)
		close(root);
	if (err)
		close_box(b);
	return err;
}

static void scan_box(struct look *l, const struct inbox_box *b, bool old_too)
{
	int fd = dup(b->fd);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;

	if (!d) {
		if (fd >= 0)
			close(fd);
		return;
	}
	rewinddir(d);
	while ((e = readdir(d)) && intake_wait(l->in, 0, false))
		look_at_file(l, b, e->d_name);
	closedir(d);
	if (old_too) {
		prune(b->done);
		prune(b->refused);
	}
}

/* ---- all folders ---- */

struct codes {
	char (*list)[33];
	size_t n;
};

static enum ceir_err note_code(void *ctx, const struct store_val *row)
{
	struct codes *c = ctx;
	struct str code = row[OPERATOR_CODE].s;

	if (reg_val_is(row[OPERATOR_STATUS], "active") && c->n < DELIVERY_OPERATORS && code.n < sizeof c->list[0]) {
		memcpy(c->list[c->n], code.p, code.n);
		c->list[c->n++][code.n] = '\0';
	}
	return CEIR_OK;
}

static enum ceir_err active_operators(struct registry *r, struct codes *c)
{
	struct store_query q = {.table = &STORE_OPERATOR};
	struct store_conn *db = store_reader(r->store);
	enum ceir_err err = db ? store_select(db, &q, note_code, c) : CEIR_ESTORE;

	store_reader_done(r->store, db);
	return err;
}

/* look NULL: only makes the folders. */
static enum ceir_err each_box(struct registry *r, struct look *l, bool old_too)
{
	struct codes c = {.list = calloc(DELIVERY_OPERATORS, sizeof *c.list)};
	struct inbox_box b;
	enum ceir_err first = c.list ? active_operators(r, &c) : CEIR_ENOMEM;

	for (size_t i = 0; i < c.n; i++) {
		enum ceir_err err = open_box(r, str_of(c.list[i]), &b);

		first = first ? first : err;
		if (err)
			continue;
		if (l)
			scan_box(l, &b, old_too);
		close_box(&b);
	}
	free(c.list);
	return first;
}

void inbox_open(struct reg_intake *in)
{
	enum ceir_err err = each_box(in->r, NULL, false);

	if (err)
		log_error(ROOM, "a folder of %s/inbox cannot be made: %s", in->r->settings.dir, ceir_err_text(err));
}

void *inbox_thread(void *arg)
{
	struct reg_intake *in = arg;
	struct look l = {.in = in, .still = still_new(SEEN_MAX)};
	enum ceir_err last = CEIR_OK;

	if (!l.still) {
		log_error(ROOM, "not looked at: %s", ceir_err_text(CEIR_ENOMEM));
		return NULL;
	}
	while (intake_wait(in, SCAN_MS, false)) {
		int64_t now = clock_mono_us();
		bool old_too = now - l.pruned_us > PRUNE_US;
		enum ceir_err err = each_box(in->r, &l, old_too);

		if (err && err != last)
			log_error(ROOM, "a folder of %s/inbox cannot be read: %s", in->r->settings.dir, ceir_err_text(err));
		last = err;
		if (old_too)
			l.pruned_us = now;
		still_end(l.still);
	}
	still_free(l.still);
	return NULL;
}

/*
 * ctl_dirbs.c - `lists --layout dirbs`: the lists of operators as DIRBS-Core 16 puts them out, for whoever has importers of its files.
 *
 *   OUT/listgen__YYYYMMDD_hhmmss__classid_RUN/   one for each call; RUN is the sequence number of the black list
 *     DATE_blacklist.zip              DATE_blacklist.csv and DATE_blacklist_delta_BASE_RUN_CHANGE.csv: blocked, unblocked, changed
 *     DATE_notifications_NAME.zip     the grey list of an operator: new, resolved, blacklisted, no_longer_seen, changed
 *     DATE_exceptions_NAME.zip        added, removed
 *   OUT/.ceir/last/    the whole lists of the last call, from which the next one makes its deltas, and in `run` its number; -1: there was none
 *   OUT/.ceir/new/, OUT/.ceir/set/   being made
 *
 * A set appears when it is whole. Killed between that and keeping its lists, the next call tells again what this one has told: its files say so in
 * their names (BASE).
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <zip.h>

#include "ctl/ctl_answer.h"
#include "ctl/ctl_dirbs.h"
#include "ctl/ctl_download.h"

#define OPERATORS_MAX 255
#define NAME_MAX_BYTES 64
#define CHANGES_MAX 5
#define FILE_NAME 192

struct operator {
	char code[NAME_MAX_BYTES + 1]; /* in the register */
	char name[NAME_MAX_BYTES + 1]; /* in the names of files */
};

struct run {
	struct ctl *c;
	struct ctl_http http;
	const char *out;
	struct operator operators[OPERATORS_MAX];
	size_t n_operators;
	char date[32];
	int64_t base, number;              /* of the last run, of this one */
	struct dirbs_list black_now;       /* of this run; what a grey IMEI may have become */
	uint64_t rows, changes;
	int lock;
};

/* A list of the set. */
struct dirbs_kind {
	const char *list, *prefix;         /* ours; of DIRBS' file names */
	unsigned keys;
	const char *changes[CHANGES_MAX + 1];
};

enum { BLOCKED, UNBLOCKED, BLACK_CHANGED };
enum { NEW, RESOLVED, BLACKLISTED, NO_LONGER_SEEN, CHANGED };
enum { ADDED, REMOVED };
static const struct dirbs_kind black = {"black", "blacklist", 1, {"blocked", "unblocked", "changed", NULL}};
static const struct dirbs_kind notifications = {"grey", "notifications", 3, {"new", "resolved", "blacklisted", "no_longer_seen", "changed", NULL}};
static const struct dirbs_kind exceptions = {"exceptions", "exceptions", 3, {"added", "removed", NULL}};

/* ---- paths ---------------------------------------------------------------------------------------------------------------------- */

/* OUT/.ceir/FOLDER/NAME; name may be empty. False: too long, and that was said. */
static bool path_of(const struct run *r, const char *folder, const char *name, char out[PATH_MAX])
{
	if (snprintf(out, PATH_MAX, "%s/.ceir/%s%s%s", r->out, folder, name[0] ? "/" : "", name) < PATH_MAX)
		return true;
	ctl_complain("%s: the name is too long", r->out);
	return false;
}

static enum ctl_exit failed(const char *path, enum ceir_err err)
{
	ctl_complain("%s: %s", path, err == CEIR_EIO ? strerror(errno) : ceir_err_text(err));
	return CTL_USAGE;
}

static void whole_name(const struct dirbs_kind *k, const struct operator *of, char out[FILE_NAME])
{
	snprintf(out, FILE_NAME, "%s%s%s.csv", k->prefix, of ? "_" : "", of ? of->name : "");
}

/* A flat folder of ours and what is in it. */
static void folder_remove(const char *path)
{
	DIR *d = opendir(path);
	const struct dirent *e;

	while (d && (e = readdir(d)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			unlinkat(dirfd(d), e->d_name, 0);
	if (d)
		closedir(d);
	rmdir(path);
}

static enum ctl_exit folder_make(const char *path)
{
	return mkdir(path, 0700) && errno != EEXIST ? failed(path, CEIR_EIO) : CTL_OK;
}

/* ---- the last run ----------------------------------------------------------------------------------------------------------------- */

/* What a kill left half done is taken back; `old` is the last run when it was about to be replaced. */
static enum ctl_exit begin(struct run *r)
{
	char path[PATH_MAX], old[PATH_MAX];
	struct buf text = BUF_INIT(64);
	uint64_t number;

	if (!path_of(r, "", "", path) || folder_make(path) != CTL_OK || !path_of(r, "lock", "", path))
		return CTL_USAGE;
	r->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (r->lock < 0 || flock(r->lock, LOCK_EX | LOCK_NB)) {
		ctl_complain("%s: %s", path, r->lock >= 0 && errno == EWOULDBLOCK ? "another ceirctl makes lists here" : strerror(errno));
		return CTL_USAGE;
	}
	if (!path_of(r, "last", "", path) || !path_of(r, "old", "", old))
		return CTL_USAGE;
	if (access(path, F_OK) != 0)
		(void)!rename(old, path);
	folder_remove(old);
	for (size_t i = 0; i < 2; i++) {
		if (!path_of(r, i ? "new" : "set", "", path))
			return CTL_USAGE;
		folder_remove(path);
		if (folder_make(path) != CTL_OK)
			return CTL_USAGE;
	}
	if (!path_of(r, "last", "run", path))
		return CTL_USAGE;
	r->base = -1;
	enum ceir_err err = file_read(path, 64, &text);
	if (!err && !str_u64(str_trim(buf_view(&text)), INT64_MAX, &number))
		r->base = (int64_t)number;
	buf_free(&text);
	return err == CEIR_OK || err == CEIR_ENOENT ? CTL_OK : failed(path, err);
}

/* The set appears under its name; then its lists are those of the last run. */
static enum ctl_exit end(struct run *r)
{
	char new[PATH_MAX], last[PATH_MAX], old[PATH_MAX], set[PATH_MAX], shown[PATH_MAX], number[32];

	if (!path_of(r, "new", "run", new) || !path_of(r, "last", "", last) || !path_of(r, "old", "", old) || !path_of(r, "set", "", set)
		|| snprintf(shown, sizeof(shown), "%s/listgen__%s__classid_%" PRId64, r->out, r->date, r->number) >= (int)sizeof(shown))
		return CTL_USAGE;
	snprintf(number, sizeof(number), "%" PRId64 "\n", r->number);
	enum ceir_err err = file_write(new, str_of(number), 0600);
	if (err)
		return failed(new, err);
	err = file_sync_dir(set);
	if (err || rename(set, shown) || (err = file_sync_dir(r->out)))
		return failed(shown, err ? err : CEIR_EIO);
	if (!path_of(r, "new", "", new))
		return CTL_USAGE;
	if ((rename(last, old) && errno != ENOENT) || rename(new, last))
		return failed(last, CEIR_EIO);
	folder_remove(old);
	if (!r->c->args.quiet && !r->c->args.json)
		fprintf(stderr, "%s: %" PRIu64 " rows, %" PRIu64 " changes since %" PRId64 "\n", shown, r->rows, r->changes, r->base);
	if (r->c->args.json) {
		json_t *about = json_pack("{s:s, s:I, s:I, s:I, s:I}", "folder", shown, "base", (json_int_t)r->base, "run", (json_int_t)r->number, "rows",
			(json_int_t)r->rows, "changes", (json_int_t)r->changes);
		ctl_print_json(about);
		json_decref(about);
	}
	return CTL_OK;
}

/* ---- what changed ----------------------------------------------------------------------------------------------------------------- */

/* The delta files of one list. */
struct deltas {
	struct run *r;
	const struct dirbs_kind *k;
	FILE *files[CHANGES_MAX];
	char names[CHANGES_MAX][FILE_NAME];
	const struct dirbs_list *now, *paired; /* of notifications: those of this run, and the operator's exceptions */
};

/* Why somebody is no longer told: he may use the phone; it is blocked; it is as it was, but he no longer uses it; or all is well. */
static unsigned why_removed(const struct deltas *d, struct str row)
{
	struct str imei = dirbs_columns(row, 1);

	if (d->k == &black)
		return UNBLOCKED;
	if (d->k == &exceptions)
		return REMOVED;
	if (dirbs_list_has(d->paired, dirbs_columns(row, 2)))
		return RESOLVED;
	if (dirbs_list_has(&d->r->black_now, imei))
		return BLACKLISTED;
	return dirbs_list_has(d->now, imei) ? NO_LONGER_SEEN : RESOLVED;
}

static enum ceir_err put_difference(void *ctx, enum dirbs_change change, struct str row)
{
	struct deltas *d = ctx;
	/* Blocked, new, added come first. An exception is its key: it cannot change. */
	unsigned i = change == DIRBS_ADDED ? 0 : change == DIRBS_CHANGED ? (d->k == &black ? (unsigned)BLACK_CHANGED : (unsigned)CHANGED) : why_removed(d, row);

	d->r->changes++;
	if (d->k == &exceptions && change == DIRBS_CHANGED)
		return CEIR_OK;
	return fwrite(row.p, 1, row.n, d->files[i]) == row.n ? CEIR_OK : ceir_err_of_errno(errno);
}

static enum ctl_exit deltas_open(struct deltas *d, const struct operator *of, const struct dirbs_list *now)
{
	char path[PATH_MAX];

	for (size_t i = 0; d->k->changes[i]; i++) {
		snprintf(d->names[i], FILE_NAME, "%s_%s%s%s_delta_%" PRId64 "_%" PRId64 "_%s.csv", d->r->date, d->k->prefix, of ? "_" : "",
			of ? of->name : "", d->r->base, d->r->number, d->k->changes[i]);
		if (!path_of(d->r, "new", d->names[i], path))
			return CTL_USAGE;
		d->files[i] = fopen(path, "we");
		if (!d->files[i] || fwrite(now->map, 1, now->head, d->files[i]) != now->head)
			return failed(path, CEIR_EIO);
	}
	return CTL_OK;
}

static enum ctl_exit deltas_close(struct deltas *d, enum ctl_exit result)
{
	for (size_t i = 0; i < CHANGES_MAX; i++)
		if (d->files[i] && fclose(d->files[i]) && result == CTL_OK)
			result = failed(d->names[i], CEIR_EIO);
	return result;
}

/* ---- the archive ------------------------------------------------------------------------------------------------------------------ */

static bool zip_put(zip_t *z, const char *path, const char *name)
{
	zip_source_t *s = zip_source_file(z, path, 0, 0);

	if (s && zip_file_add(z, name, s, ZIP_FL_ENC_UTF_8) >= 0)
		return true;
	zip_source_free(s);
	return false;
}

static bool sync_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool good = fd >= 0 && fsync(fd) == 0;

	if (fd >= 0)
		close(fd);
	return good;
}

/* The whole list and its deltas, which then are only in there. */
static enum ctl_exit pack(const struct deltas *d, const struct operator *of)
{
	char name[FILE_NAME], whole[FILE_NAME], inside[FILE_NAME + 32], archive[PATH_MAX], path[PATH_MAX];
	int code = 0;

	whole_name(d->k, of, whole);
	snprintf(inside, sizeof(inside), "%s_%s", d->r->date, whole);
	snprintf(name, sizeof(name), "%.*s.zip", (int)strlen(inside) - 4, inside);
	if (!path_of(d->r, "set", name, archive) || !path_of(d->r, "new", whole, path))
		return CTL_USAGE;
	zip_t *z = zip_open(archive, ZIP_CREATE | ZIP_EXCL, &code);
	bool good = z && zip_put(z, path, inside);
	for (size_t i = 0; good && d->k->changes[i]; i++)
		good = path_of(d->r, "new", d->names[i], path) && zip_put(z, path, d->names[i]);
	if (!good || zip_close(z) != 0 || !sync_file(archive)) {
		ctl_complain("%s: %s", archive, z ? zip_strerror(z) : strerror(errno));
		if (z)
			zip_discard(z);
		return CTL_USAGE;
	}
	for (size_t i = 0; d->k->changes[i]; i++)
		if (path_of(d->r, "new", d->names[i], path))
			unlink(path);
	return CTL_OK;
}

/* ---- one list --------------------------------------------------------------------------------------------------------------------- */

/* Into OUT/.ceir/new/. */
static enum ctl_exit fetch(struct run *r, const struct dirbs_kind *k, const struct operator *whose, const char *file, int64_t *to)
{
	struct buf target = BUF_INIT(1024);
	uint64_t number;
	enum ctl_exit result = CTL_USAGE;

	buf_printf(&target, "/v1/lists/%s?layout=dirbs&operator=", k->list);
	ctl_http_encode(&target, str_of(whose->code));
	buf_char(&target, '\0');
	if (!target.failed)
		result = ctl_http_ask(&r->http, "GET", target.p, "Accept-Encoding: identity\r\n");
	buf_free(&target);
	bool numbered = result == CTL_OK && !str_u64(ctl_http_header(&r->http.head, "Ceir-Sequence-To"), INT64_MAX, &number);
	*to = numbered ? (int64_t)number : 0;
	return result == CTL_OK ? ctl_download(&r->http, r->c, k->list, file) : result;
}

static enum ctl_exit compare(struct run *r, const struct dirbs_kind *k, const struct operator *of, const struct dirbs_list *was, const struct dirbs_list *now,
	const struct dirbs_list *paired)
{
	struct deltas d = {.r = r, .k = k, .now = now, .paired = paired};
	enum ctl_exit result = deltas_open(&d, of, now);
	enum ceir_err err = result == CTL_OK ? dirbs_compare(was, now, put_difference, &d) : CEIR_OK;

	if (err)
		result = failed(d.names[0], err);
	result = deltas_close(&d, result);
	return result == CTL_OK ? pack(&d, of) : result;
}

/* of NULL: the list is everybody's. now: stays open for the caller. */
static enum ctl_exit make(struct run *r, const struct dirbs_kind *k, const struct operator *of, const struct dirbs_list *paired, struct dirbs_list *now)
{
	char file[FILE_NAME], path[PATH_MAX], before[PATH_MAX];
	struct dirbs_list was = {.map = NULL};
	int64_t to;

	whole_name(k, of, file);
	if (!path_of(r, "new", file, path) || !path_of(r, "last", file, before))
		return CTL_USAGE;
	enum ctl_exit result = fetch(r, k, of ? of : &r->operators[0], path, &to);
	if (result != CTL_OK)
		return result;
	if (!of)
		r->number = to;
	enum ceir_err err = dirbs_list_open(path, k->keys, now);
	if (err)
		return failed(path, err);
	if ((err = dirbs_list_open(before, k->keys, &was)))
		return failed(before, err);
	r->rows += now->n;
	result = compare(r, k, of, &was, now, paired);
	dirbs_list_close(&was);
	return result;
}

static enum ctl_exit make_operator(struct run *r, const struct operator *of)
{
	struct dirbs_list paired = {.map = NULL}, grey = {.map = NULL};
	enum ctl_exit result = make(r, &exceptions, of, NULL, &paired);

	if (result == CTL_OK)
		result = make(r, &notifications, of, &paired, &grey);
	dirbs_list_close(&paired);
	dirbs_list_close(&grey);
	return result;
}

/* ---- the command ------------------------------------------------------------------------------------------------------------------ */

static bool good_name(const char *name)
{
	size_t n = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");

	return n && n <= NAME_MAX_BYTES && !name[n] && name[0] != '.';
}

static bool take_operators(struct run *r)
{
	const char *value;
	size_t at = 0;

	while ((value = ctl_args_next(&r->c->args, "operator", &at))) {
		const char *name = strchr(value, '=');
		size_t n = name ? (size_t)(name - value) : strlen(value);
		struct operator *o = &r->operators[r->n_operators];

		name = name ? name + 1 : value;
		if (r->n_operators == OPERATORS_MAX || !n || n > NAME_MAX_BYTES || !good_name(name)) {
			ctl_complain("--operator %s: expected CODE or CODE=NAME; NAME becomes part of the names of files: letters, digits, . _ -", value);
			return false;
		}
		snprintf(o->code, sizeof(o->code), "%.*s", (int)n, value);
		snprintf(o->name, sizeof(o->name), "%s", name);
		for (size_t i = 0; i < r->n_operators; i++)
			if (strcmp(r->operators[i].name, o->name) == 0) {
				ctl_complain("--operator names %s twice", o->name);
				return false;
			}
		r->n_operators++;
	}
	return r->n_operators > 0;
}

static bool is_taken(const struct run *r)
{
	char begins[64];
	DIR *d = opendir(r->out);
	const struct dirent *e;
	bool taken = false;

	snprintf(begins, sizeof(begins), "listgen__%s_", r->date);
	while (d && !taken && (e = readdir(d)))
		taken = str_starts(str_of(e->d_name), str_of(begins));
	if (d)
		closedir(d);
	return taken;
}

/* A set is named by its second, of local time. Nobody else makes one here: begin() has the lock. */
static bool choose_date(struct run *r)
{
	for (;;) {
		time_t now = time(NULL);
		struct tm local;

		if (!localtime_r(&now, &local))
			return false;
		strftime(r->date, sizeof(r->date), "%Y%m%d_%H%M%S", &local);
		if (!is_taken(r))
			return true;
		nanosleep(&(struct timespec){0, 50000000}, NULL);
	}
}

static enum ctl_exit run(struct run *r)
{
	enum ctl_exit result = begin(r);

	if (result == CTL_OK)
		result = choose_date(r) ? ctl_http_open(&r->http, r->c) : CTL_USAGE;
	if (result != CTL_OK)
		return result;
	result = make(r, &black, NULL, NULL, &r->black_now);
	for (size_t i = 0; i < r->n_operators && result == CTL_OK; i++)
		result = make_operator(r, &r->operators[i]);
	ctl_http_close(&r->http);
	return result == CTL_OK ? end(r) : result;
}

enum ctl_exit ctl_command_lists(struct ctl *c)
{
	static struct run r; /* too large for some stacks; the program runs one command */
	const char *layout = ctl_args_value(&c->args, "layout"), *out = ctl_args_value(&c->args, "out");

	r = (struct run){.c = c, .out = out, .lock = -1};
	if (c->args.n_words != 1 || !layout || strcmp(layout, "dirbs") != 0 || !out || !take_operators(&r)) {
		ctl_complain("lists --layout dirbs --out DIR --operator CODE[=NAME]...");
		return CTL_USAGE;
	}
	enum ctl_exit result = ctl_options_end(c);
	if (result == CTL_OK)
		result = run(&r);
	dirbs_list_close(&r.black_now);
	if (r.lock >= 0)
		close(r.lock);
	return result;
}

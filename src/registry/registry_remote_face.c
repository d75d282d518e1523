/*
 * registry_remote_face.c - what src/remote asks and notes while it exchanges files with remotes. A row of remote_file remembers one file that was
 * fetched, or an answer that was pushed, for as long as it lies where it came from; of a list how far the remote has it.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "registry/registry_remote.h"

#define ROOM "remote"
#define FAILURES_TOLD 5           /* in a row */
#define NAME_BYTES 255            /* of a text that people read in a table or an answer */
#define ARENA (1u << 20)

static const char *way_name(enum reg_remote_way way)
{
	static const char *const names[] = {[REG_REMOTE_LIST] = REMOTE_WAY_LIST, [REG_REMOTE_ANSWER] = "answer", [REG_REMOTE_FETCH] = "fetch"};

	return names[way];
}

/* ---- remote_file ---- */

static enum ceir_err take_file(void *ctx, const struct store_val *row)
{
	*(struct reg_remote_file *)ctx = (struct reg_remote_file){row[REMOTE_FILE_ID].i, row[REMOTE_FILE_SIZE].i, row[REMOTE_FILE_MTIME].i};
	return CEIR_OK;
}

enum ceir_err reg_remote_file_find(struct store_conn *db, int64_t remote, const char *way, struct str name, struct reg_remote_file *out)
{
	struct store_filter f[] = {{REMOTE_FILE_REMOTE, STORE_EQ, store_int(remote)}, {REMOTE_FILE_WAY, STORE_EQ, store_text(str_of(way))},
		{REMOTE_FILE_NAME, STORE_EQ, store_text(name.p ? name : STR(""))}};
	struct store_query q = {.table = &STORE_REMOTE_FILE, .filters = f, .n_filters = CEIR_COUNT(f), .limit = 1, .keep = true};

	*out = (struct reg_remote_file){0};
	return store_select(db, &q, take_file, out);
}

static enum ceir_err put_file(struct exec *x, int64_t remote, const char *way, struct str name, int64_t size, int64_t mtime_s)
{
	struct store_val row[REMOTE_FILE_N] = {[REMOTE_FILE_ID] = store_null(), [REMOTE_FILE_REMOTE] = store_int(remote),
		[REMOTE_FILE_WAY] = store_text(str_of(way)), [REMOTE_FILE_NAME] = store_text(name.p ? name : STR("")),
		[REMOTE_FILE_SIZE] = store_int(size), [REMOTE_FILE_MTIME] = store_int(mtime_s), [REMOTE_FILE_AT] = store_int(x->now_us)};
	struct reg_remote_file file;
	enum ceir_err err = reg_remote_file_find(x->db, remote, way, name, &file);

	if (!err && file.id)
		return store_update(x->db, &STORE_REMOTE_FILE, file.id,
			1u << REMOTE_FILE_SIZE | 1u << REMOTE_FILE_MTIME | 1u << REMOTE_FILE_AT, row);
	return err ? err : store_insert(x->db, &STORE_REMOTE_FILE, row, NULL);
}

/* No file is so large; what a stranger says of his need not be true. */
static int64_t size_of(uint64_t bytes)
{
	return bytes > INT64_MAX ? INT64_MAX : (int64_t)bytes;
}

/* ---- a note ---- */

struct note {
	int64_t remote;
	const struct reg_remote_event *e;
	bool gone;                    /* out */
};

/* A stranger's text as one line of well-formed text, at most so many bytes. */
static struct str shown(struct exec *x, struct str s, size_t max)
{
	char *out = arena_alloc(x->arena, max);
	size_t n = 0;

	for (size_t i = 0, k = 1; out && i < s.n; i += k) {
		struct str rest = {s.p + i, s.n - i};
		size_t len = str_utf8_len(rest);
		bool plain = len && ((uint8_t)s.p[i] >= 0x20 && s.p[i] != 0x7f);

		k = len ? len : 1;
		if (n + (plain ? len : 1) > max)
			break;
		if (plain)
			memcpy(out + n, s.p + i, len);
		else
			out[n] = '?';
		n += plain ? len : 1;
	}
	return out ? (struct str){out, n} : (struct str){NULL, 0};
}

/* What was done with what: "ID push NAME 1234 bytes sha256 0123456789abcdef", "ID fetch NAME: why not". */
static struct str audit_name(struct exec *x, struct str code, const struct reg_remote_event *e)
{
	const char *way = e->way == REG_REMOTE_FETCH ? "fetch" : "push";
	struct str file = shown(x, e->file, NAME_BYTES - 60 - code.n), error = e->error ? shown(x, str_of(e->error), NAME_BYTES) : STR("");
	char hex[2 * sizeof e->sha256 + 1];

	if (!file.p || !error.p)
		return (struct str){NULL, 0};
	hex_print(e->sha256, sizeof e->sha256, hex);
	if (!e->error)
		return arena_printf(x->arena, "%.*s %s %.*s %" PRIu64 " bytes sha256 %.16s", (int)code.n, code.p, way, (int)file.n, file.p, e->bytes, hex);
	struct str name = arena_printf(x->arena, "%.*s %s%s%.*s: %.*s", (int)code.n, code.p, way, file.n ? " " : "", (int)file.n, file.p,
		(int)error.n, error.p);
	return name.p ? shown(x, name, NAME_BYTES) : name;
}

static enum ceir_err put_audit(struct exec *x, const struct store_val *row, const struct reg_remote_event *e)
{
	struct str name = audit_name(x, row[REMOTE_CODE].s, e);
	struct store_audit a = {.at_us = reg_trid_us(x->r), .account = row[REMOTE_ACCOUNT].s, .verb = STR("transfer"), .object = STR("remote"),
		.name = name, .address = STR("ceird"), .code = e->error ? REG_FAILED : REG_DONE};

	if (!name.p)
		return CEIR_ENOMEM;
	crypto_generichash(a.request, sizeof a.request, (const uint8_t *)name.p, name.n, NULL, 0);
	if (e->error)
		crypto_generichash(a.response, sizeof a.response, (const uint8_t *)e->error, strlen(e->error), NULL, 0);
	else
		memcpy(a.response, e->sha256, sizeof a.response);
	return store_audit_append(x->db, &a);
}

static enum ceir_err tell_admins(struct exec *x, const struct store_val *row, enum reg_message_kind kind, int64_t failures, struct str error)
{
	struct str args[] = {row[REMOTE_CODE].s, row[REMOTE_ACCOUNT].s, reg_print_u64(x, (uint64_t)failures), error};

	if (!args[2].p)
		return CEIR_ENOMEM;
	return reg_message_to_role(x, REG_ROLE_ADMIN, kind, args, kind == REG_MESSAGE_REMOTE_FAILS ? 4 : 3);
}

static enum ceir_err note_failure(struct exec *x, struct store_val *row, const struct reg_remote_event *e)
{
	struct str error = shown(x, str_of(e->error), NAME_BYTES);
	uint32_t mask = 1u << REMOTE_FAILURES | 1u << REMOTE_ERROR | 1u << REMOTE_FAILED_AT;

	if (!error.p)
		return CEIR_ENOMEM;
	row[REMOTE_FAILURES].i++;
	row[REMOTE_ERROR] = store_text(error);
	row[REMOTE_FAILED_AT] = store_int(x->now_us);
	enum ceir_err err = store_update(x->db, &STORE_REMOTE, row[REMOTE_ID].i, mask, row);
	return err || row[REMOTE_FAILURES].i != FAILURES_TOLD ? err
		: tell_admins(x, row, REG_MESSAGE_REMOTE_FAILS, FAILURES_TOLD, error);
}

static enum ceir_err note_success(struct exec *x, struct store_val *row, const struct reg_remote_event *e)
{
	int64_t remote = row[REMOTE_ID].i, failures = row[REMOTE_FAILURES].i;
	uint32_t mask = 1u << REMOTE_FAILURES | 1u << REMOTE_ERROR | 1u << REMOTE_DONE_AT;
	enum ceir_err err;

	row[REMOTE_FAILURES] = store_int(0);
	row[REMOTE_ERROR] = store_null();
	row[REMOTE_DONE_AT] = store_int(x->now_us);
	err = store_update(x->db, &STORE_REMOTE, remote, mask, row);
	if (!err && e->way == REG_REMOTE_LIST)
		err = put_file(x, remote, REMOTE_WAY_LIST, str_of(reg_list_name(e->list)), e->to, 0);
	else if (!err)
		err = put_file(x, remote, way_name(e->way), e->file, size_of(e->bytes), e->mtime_s);
	return err || failures < FAILURES_TOLD ? err : tell_admins(x, row, REG_MESSAGE_REMOTE_WORKS, failures, STR(""));
}

static enum ceir_err put_note(struct exec *x)
{
	struct note *n = x->arg;
	struct store_val row[REMOTE_N];
	enum ceir_err err = store_get(x->db, &STORE_REMOTE, REMOTE_ID, store_int(n->remote), x->arena, row);

	n->gone = err == CEIR_ENOENT;
	if (err)
		return n->gone ? CEIR_OK : err;
	err = put_audit(x, row, n->e);
	if (err)
		return err;
	return n->e->error ? note_failure(x, row, n->e) : note_success(x, row, n->e);
}

enum ceir_err reg_remote_note(struct registry *r, int64_t remote, const struct reg_remote_event *e)
{
	struct note n = {.remote = remote, .e = e};
	struct arena *arena = arena_new(ARENA);
	enum ceir_err err = arena ? reg_write(r, arena, put_note, &n, false) : CEIR_ENOMEM;

	arena_free(arena);
	return err ? err : n.gone ? CEIR_ENOENT : CEIR_OK;
}

/* ---- questions ---- */

enum ceir_err reg_remote_has(struct registry *r, int64_t remote, enum reg_list_kind list, int64_t *seq)
{
	struct reg_remote_file file;
	struct store_conn *db = store_reader(r->store);
	enum ceir_err err = db ? reg_remote_file_find(db, remote, REMOTE_WAY_LIST, str_of(reg_list_name(list)), &file) : CEIR_ESTORE;

	store_reader_done(r->store, db);
	if (!err)
		*seq = file.id ? file.size : -1;
	return err;
}

enum ceir_err reg_remote_known(struct registry *r, int64_t remote, enum reg_remote_way way, struct str name, uint64_t size, int64_t mtime_s, bool *known)
{
	struct reg_remote_file file;
	struct store_conn *db = store_reader(r->store);
	enum ceir_err err = db ? reg_remote_file_find(db, remote, way_name(way), name, &file) : CEIR_ESTORE;

	store_reader_done(r->store, db);
	if (!err)
		*known = file.id && file.size == size_of(size) && file.mtime_s == mtime_s;
	return err;
}

/* ---- forgetting ---- */

#define FORGET_STEP 1024          /* rows that are deleted at once */

struct forget {
	int64_t remote;
	enum reg_remote_way way;
	const struct str *names;      /* in order */
	size_t n;
	int64_t ids[FORGET_STEP];     /* out: rows of other names */
	size_t found;
};

static int by_name(const void *a, const void *b)
{
	return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static enum ceir_err unless_named(void *ctx, const struct store_val *row)
{
	struct forget *f = ctx;

	if (f->found < FORGET_STEP && !bsearch(&row[REMOTE_FILE_NAME].s, f->names, f->n, sizeof *f->names, by_name))
		f->ids[f->found++] = row[REMOTE_FILE_ID].i;
	return CEIR_OK;
}

static enum ceir_err find_forgotten(struct store_conn *db, struct forget *f)
{
	struct store_filter is[] = {{REMOTE_FILE_REMOTE, STORE_EQ, store_int(f->remote)},
		{REMOTE_FILE_WAY, STORE_EQ, store_text(str_of(way_name(f->way)))}};
	struct store_query q = {.table = &STORE_REMOTE_FILE, .filters = is, .n_filters = CEIR_COUNT(is)};

	f->found = 0;
	return store_select(db, &q, unless_named, f);
}

static enum ceir_err delete_forgotten(struct exec *x)
{
	struct forget *f = x->arg;
	enum ceir_err err = find_forgotten(x->db, f);

	for (size_t i = 0; i < f->found && !err; i++)
		err = store_delete(x->db, &STORE_REMOTE_FILE, f->ids[i]);
	return err;
}

/* The writer is troubled only when there is something to forget, which mostly there is not. */
static enum ceir_err forget_all(struct registry *r, struct arena *arena, struct forget *f)
{
	enum ceir_err err;

	do {
		struct store_conn *db = store_reader(r->store);

		err = db ? find_forgotten(db, f) : CEIR_ESTORE;
		store_reader_done(r->store, db);
		if (!err && f->found)
			err = reg_write(r, arena, delete_forgotten, f, false);
	} while (!err && f->found == FORGET_STEP);
	return err;
}

enum ceir_err reg_remote_forget(struct registry *r, int64_t remote, enum reg_remote_way way, const struct str *names, size_t n)
{
	struct forget *f = calloc(1, sizeof *f);
	struct str *sorted = calloc(n + 1, sizeof *sorted);
	struct arena *arena = arena_new(ARENA);
	enum ceir_err err = f && sorted && arena ? CEIR_OK : CEIR_ENOMEM;

	if (!err) {
		if (n)
			memcpy(sorted, names, n * sizeof *sorted);
		qsort(sorted, n, sizeof *sorted, by_name);
		*f = (struct forget){.remote = remote, .way = way, .names = sorted, .n = n};
		err = forget_all(r, arena, f);
	}
	arena_free(arena);
	free(sorted);
	free(f);
	return err;
}

/* ---- all that are active ---- */

struct each_remote {
	struct registry *r;
	struct store_conn *db;
	struct arena *arena;
	reg_remote_row row;
	void *ctx;
};

/* Once: who exchanges files asks every few seconds. */
static void log_sealed(struct registry *r, const struct store_val *row)
{
	uint64_t bit = UINT64_C(1) << (row[REMOTE_ID].i & 63);

	if (!(atomic_fetch_or(&r->sealed_told, bit) & bit))
		log_error(ROOM, "the password of remote %.*s cannot be opened: keys/audit.key is not the one it was sealed with; set it anew",
			(int)row[REMOTE_CODE].s.n, row[REMOTE_CODE].s.p);
}

static bool copy(struct arena *a, struct store_val v, struct str *out)
{
	*out = arena_str(a, v.null ? STR("") : v.s);
	return out->p != NULL;
}

static bool copy_texts(struct arena *a, const struct store_val *row, struct reg_remote *out)
{
	return copy(a, row[REMOTE_CODE], &out->code) && copy(a, row[REMOTE_ACCOUNT], &out->account) && copy(a, row[REMOTE_HOST], &out->host)
		&& copy(a, row[REMOTE_USER], &out->user) && copy(a, row[REMOTE_CA], &out->ca) && copy(a, row[REMOTE_LISTS_TO], &out->lists_to)
		&& copy(a, row[REMOTE_ANSWERS_TO], &out->answers_to) && copy(a, row[REMOTE_FETCH_FROM], &out->fetch_from);
}

static enum ceir_err show_remote(struct each_remote *e, const struct store_val *row, struct store_val operator)
{
	struct store_val changed = row[REMOTE_UP_AT].null ? row[REMOTE_CR_AT] : row[REMOTE_UP_AT];
	struct reg_remote out = {.id = row[REMOTE_ID].i, .port = (uint16_t)row[REMOTE_PORT].i, .implicit = reg_val_is(row[REMOTE_TLS], "implicit"),
		.format = reg_val_is(row[REMOTE_FORMAT], "xml") ? REG_LIST_XML : REG_LIST_CSV,
		.packing = reg_val_is(row[REMOTE_PACKING], "none") ? REG_PLAIN : reg_val_is(row[REMOTE_PACKING], "gzip") ? REG_GZIP : REG_ZSTD,
		.keep = reg_val_is(row[REMOTE_KEEP], "yes"), .interval_s = (unsigned)row[REMOTE_INTERVAL].i, .changed_us = changed.i};
	enum ceir_err err = reg_remote_unseal(e->r, row[REMOTE_CODE].s, row[REMOTE_PW].s, e->arena, &out.password);

	if (err == CEIR_ECORRUPT) {
		log_sealed(e->r, row);
		return CEIR_OK;
	}
	out.lists = row[REMOTE_LISTS_TO].null ? 0 : reg_remote_lists(row[REMOTE_LISTS]);
	if (!err && (!copy_texts(e->arena, row, &out) || !copy(e->arena, operator, &out.op)))
		err = CEIR_ENOMEM;
	if (!err)
		e->row(e->ctx, &out);
	else if (out.password.p)
		sodium_memzero((char *)(uintptr_t)out.password.p, out.password.n);
	return err;
}

static enum ceir_err each_remote(void *ctx, const struct store_val *row)
{
	struct each_remote *e = ctx;
	struct store_val account[ACCOUNT_N];
	enum ceir_err err = store_get(e->db, &STORE_ACCOUNT, ACCOUNT_CODE, row[REMOTE_ACCOUNT], e->arena, account);

	if (err)
		return err == CEIR_ENOENT ? CEIR_OK : err;
	return reg_val_is(account[ACCOUNT_STATUS], "active") ? show_remote(e, row, account[ACCOUNT_OPERATOR]) : CEIR_OK;
}

enum ceir_err reg_remotes_active(struct registry *r, struct arena *arena, reg_remote_row row, void *ctx)
{
	struct store_filter active = {REMOTE_STATUS, STORE_EQ, store_text(STR("active"))};
	struct store_query q = {.table = &STORE_REMOTE, .filters = &active, .n_filters = 1};
	struct store_conn *db = store_reader(r->store);
	struct each_remote e = {.r = r, .db = db, .arena = arena, .row = row, .ctx = ctx};
	enum ceir_err err = db ? store_select(db, &q, each_remote, &e) : CEIR_ESTORE;

	store_reader_done(r->store, db);
	return err;
}

/* registry_world.c - see registry_world.h. */
#include "registry_world.h"

#include "test_folder.h"

#include <ftw.h>
#include <time.h>
#include <unistd.h>

/* ---- the register ---- */

void world_fingerprint(const char *account, uint8_t fp[32])
{
	memset(fp, 0x5a, 32);
	memcpy(fp, account, strlen(account));
}

void world_start(struct world *w)
{
	assert_int_equal(registry_open(&w->settings, &w->r), CEIR_OK);
}

void world_stop(struct world *w)
{
	registry_close(w->r);
	w->r = NULL;
}

void world_open(struct world *w)
{
	uint8_t fp[32];

	*w = (struct world){.r = NULL};
	assert_true(test_folder(w->dir, sizeof w->dir, "ceir-registry"));
	/* Argon2 as cheap as libsodium allows: what is tested here is not its cost. */
	w->settings = (struct reg_settings){.dir = w->dir, .svtrid_prefix = "UKR", .require_cltrid = true, .max_failed_logins = 3,
		.lock_s = 60, .max_sessions_account = 4, .argon2_memory_kib = 8, .max_application_rows = 100000, .cache_bytes = 4 << 20,
		.triplets_memory = 64 << 20, .threads = 2, .max_sightings = 1000, .max_deliveries_operator = 2};
	world_fingerprint("admin", fp);
	log_setup(stderr, false, LOG_WARN_);
	assert_int_equal(registry_create(&w->settings, "admin", STR(PASSWORD), fp), CEIR_OK);
	world_start(w);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void world_close(struct world *w)
{
	world_stop(w);
	assert_int_equal(nftw(w->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

int64_t world_sql(const struct world *w, const char *sql)
{
	char path[128];
	sqlite3 *db;
	sqlite3_stmt *s;
	int64_t n = 0;

	snprintf(path, sizeof path, "%s/ceir.db", w->dir);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	sqlite3_busy_timeout(db, 10000);
	for (const char *rest = sql; *rest; sqlite3_finalize(s)) {
		if (sqlite3_prepare_v2(db, rest, -1, &s, &rest) != SQLITE_OK)
			fail_msg("%s: %s", sql, sqlite3_errmsg(db));
		int rc = sqlite3_step(s);
		if (rc == SQLITE_ROW)
			n = sqlite3_column_int64(s, 0);
		else if (rc != SQLITE_DONE)
			fail_msg("%s: %s", sql, sqlite3_errmsg(db));
	}
	sqlite3_close(db);
	return n;
}

struct lines {
	unsigned n;
	bool loud;
};

static void count_line(void *ctx, const char *line)
{
	struct lines *l = ctx;

	l->n++;
	if (l->loud)
		print_message("verify: %s\n", line);
}

unsigned world_verify(const struct world *w, struct str head, bool loud)
{
	struct lines l = {0, loud};
	enum ceir_err err = registry_verify(&w->settings, head, count_line, &l);

	assert_int_equal(err, l.n ? CEIR_ECORRUPT : CEIR_OK);
	return l.n;
}

/* ---- the face ---- */

struct face *face_new(struct world *w, const char *account)
{
	struct face *f = calloc(1, sizeof *f);
	struct reg_client client = {.address = "127.0.0.1:4711", .has_certificate = account != NULL};

	assert_non_null(f);
	if (account)
		world_fingerprint(account, client.certificate_sha256);
	f->w = w;
	f->s = reg_session_new(w->r, &client);
	f->arena = arena_new(64 << 20);
	assert_true(f->s && f->arena);
	return f;
}

void face_free(struct face *f)
{
	if (!f)
		return;
	reg_session_free(f->s);
	arena_free(f->arena);
	buf_free(&f->out);
	free(f);
}

void faces_login(struct world *w, const struct login_of *of, size_t n)
{
	for (size_t i = 0; i < n; i++)
		*of[i].f = face_login(w, of[i].account);
}

void faces_free(const struct login_of *of, size_t n)
{
	for (size_t i = 0; i < n; i++)
		face_free(*of[i].f);
}

struct face *face_login(struct world *w, const char *account)
{
	struct face *f = face_new(w, account);

	assert_int_equal(login(f, account, PASSWORD, NULL), REG_DONE);
	return f;
}

static void render(void *ctx, const struct reg_command *c, const struct reg_reply *reply, struct buf *out)
{
	struct face *f = ctx;

	(void)c;
	f->reply = *reply;
	f->rendered++;
	buf_printf(out, "%u %s\n", (unsigned)reply->code, reply->svtrid);
}

unsigned face_do(struct face *f, struct reg_command *c)
{
	static _Atomic unsigned counter;

	if (!f->no_cltrid && !c->cltrid.n) {
		snprintf(f->cltrid, sizeof f->cltrid, "TEST-%08u", counter++);
		c->cltrid = str_of(f->cltrid);
	}
	if (!c->request.n)
		c->request = STR("<epp/>");
	buf_clear(&f->out);
	f->rendered = 0;
	reg_execute(f->s, c, f->arena, render, f, &f->out);
	assert_true(f->rendered > 0);
	assert_int_equal(reg_settle(f->s), CEIR_OK);
	return f->reply.code;
}

/* ---- fields as text ---- */

static struct str part_until(const char **p, const char *stops)
{
	struct str s = {*p, strcspn(*p, stops)};

	*p += s.n;
	return str_trim(s);
}

static struct reg_node *nodes(struct face *f, const struct reg_field *fields, const char **p)
{
	static const struct reg_field cur_ex = {.name = "curExDate", .type = REG_DATE, .column = -1};
	struct reg_node *list = NULL, **end = &list;

	while (**p && **p != '}') {
		struct str name = part_until(p, "={;}");
		const struct reg_field *field = str_eq_c(name, "curExDate") ? &cur_ex : reg_field_find(fields, name);

		if (!name.n) {
			*p += **p == ';';
			continue;
		}
		if (!field)
			fail_msg("no field %.*s", (int)name.n, name.p);
		struct reg_node *n = *end = arena_alloc(f->arena, sizeof *n);
		n->field = field;
		end = &n->next;
		if (*(*p)++ == '{') {
			n->child = nodes(f, field->fields, p);
			++*p;
		} else {
			n->text = arena_str(f->arena, part_until(p, ";}"));
		}
	}
	return list;
}

static struct reg_node *fields_of(struct face *f, const struct reg_object *o, const char *text)
{
	return text ? nodes(f, o->fields, &text) : NULL;
}

static const struct reg_object *object_of(const char *name)
{
	const struct reg_object *o = reg_object_by_name(str_of(name));

	assert_non_null(o);
	return o;
}

/* ---- commands ---- */

static struct reg_command begin(struct face *f, enum reg_verb verb, const char *object, const char *key)
{
	struct reg_command c = {.verb = verb, .object = object ? object_of(object) : NULL};

	arena_reset(f->arena);
	if (key) {
		c.key = arena_alloc(f->arena, sizeof *c.key);
		c.key->field = c.object->fields;
		c.key->text = arena_str(f->arena, str_of(key));
	}
	return c;
}

unsigned login(struct face *f, const char *clid, const char *pw, const char *newpw)
{
	struct reg_command c = begin(f, REG_LOGIN, NULL, NULL);
	struct reg_login l = {.clid = str_of(clid), .pw = str_of(pw), .newpw = str_of(newpw)};

	c.login = &l;
	c.secret = true;
	return face_do(f, &c);
}

unsigned create(struct face *f, const char *object, const char *set)
{
	struct reg_command c = begin(f, REG_CREATE, object, NULL);

	c.set = fields_of(f, c.object, set);
	return face_do(f, &c);
}

unsigned info(struct face *f, const char *object, const char *key)
{
	struct reg_command c = begin(f, REG_INFO, object, key);

	return face_do(f, &c);
}

unsigned results(struct face *f, const char *key, uint64_t after, uint32_t rows)
{
	struct reg_command c = begin(f, REG_INFO, "application", key);

	c.after = after;
	c.rows = rows;
	return face_do(f, &c);
}

unsigned update(struct face *f, const char *object, const char *key, const char *set, const char *add, const char *rem)
{
	struct reg_command c = begin(f, REG_UPDATE, object, key);

	c.set = fields_of(f, c.object, set);
	c.add = fields_of(f, c.object, add);
	c.rem = fields_of(f, c.object, rem);
	return face_do(f, &c);
}

unsigned remove_(struct face *f, const char *object, const char *key, const char *set)
{
	struct reg_command c = begin(f, REG_DELETE, object, key);

	c.set = fields_of(f, c.object, set);
	return face_do(f, &c);
}

unsigned renew(struct face *f, const char *object, const char *key, const char *set)
{
	struct reg_command c = begin(f, REG_RENEW, object, key);

	c.set = fields_of(f, c.object, set);
	return face_do(f, &c);
}

unsigned transfer(struct face *f, enum reg_transfer_op op, const char *imei)
{
	struct reg_command c = begin(f, REG_TRANSFER, "imei", imei);

	c.op = op;
	return face_do(f, &c);
}

unsigned check(struct face *f, const char *object, const char *name)
{
	struct reg_command c = begin(f, REG_CHECK, object, NULL);
	struct str names[] = {arena_str(f->arena, str_of(name))};

	c.names = names;
	c.n_names = 1;
	return face_do(f, &c);
}

unsigned query(struct face *f, const char *object, const struct reg_query *q)
{
	struct reg_command c = begin(f, REG_QUERY, object, NULL);

	c.query = q;
	return face_do(f, &c);
}

unsigned poll(struct face *f, const char *ack)
{
	struct reg_command c = begin(f, REG_POLL, NULL, NULL);

	if (ack) {
		c.poll_ack = true;
		c.msgid = arena_str(f->arena, str_of(ack));
	}
	return face_do(f, &c);
}

#define DEVICES_MAX 4096

unsigned apply(struct face *f, const char *key, const char *set, const char *rows)
{
	struct reg_command c = begin(f, key ? REG_UPDATE : REG_CREATE, "application", key);
	struct reg_device *devices = arena_array(f->arena, DEVICES_MAX, sizeof *devices);
	struct str rest = str_of(rows), device, text;

	c.set = fields_of(f, c.object, set);
	c.devices = devices;
	while (rest.n && str_cut(&rest, ',', &device)) {
		struct str *imeis = arena_array(f->arena, 8, sizeof *imeis);
		struct reg_device *d = &devices[c.n_devices++];

		assert_true(c.n_devices < DEVICES_MAX);
		for (device = str_trim(device); str_cut(&device, ' ', &text);)
			imeis[d->n++] = arena_str(f->arena, text);
		d->imeis = imeis;
	}
	return face_do(f, &c);
}

/* ---- replies ---- */

const char *value_of(const struct reg_node *list, const char *path)
{
	size_t n = strcspn(path, ".");

	for (; list; list = list->next)
		if (strlen(list->field->name) == n && strncmp(list->field->name, path, n) == 0)
			return path[n] ? value_of(list->child, path + n + 1) : list->text.p;
	return NULL;
}

const char *value(const struct face *f, const char *path)
{
	return value_of(f->reply.fields, path);
}

static void nap(void)
{
	nanosleep(&(struct timespec){0, 5000000}, NULL);
}

void wait_done(struct face *f, const char *application)
{
	char code[64];

	snprintf(code, sizeof code, "%s", application);
	for (int i = 0; i < 4000; i++) {
		assert_int_equal(info(f, "application", code), REG_DONE);
		if (strcmp(value(f, "status"), "done") == 0)
			return;
		nap();
	}
	fail_msg("application %s is not done", code);
}

static bool verdict_is(struct face *f, const char *imei, const char *colour, const char *reason)
{
	assert_int_equal(check(f, "imei", imei), REG_DONE);
	const struct reg_check_item *item = f->reply.checks;

	return item->has_verdict && strcmp(verdict_colour_name(item->verdict.colour), colour) == 0
		&& strcmp(verdict_reason_name(item->verdict.reason), reason) == 0;
}

void wait_verdict(struct face *f, const char *imei, const char *colour, const char *reason)
{
	for (int i = 0; i < 2000 && !verdict_is(f, imei, colour, reason); i++)
		nap();
	assert_verdict(f, imei, colour, reason);
}

void assert_verdict(struct face *f, const char *imei, const char *colour, const char *reason)
{
	if (!verdict_is(f, imei, colour, reason))
		fail_msg("%s is %s/%s, not %s/%s", imei, verdict_colour_name(f->reply.checks->verdict.colour),
			verdict_reason_name(f->reply.checks->verdict.reason), colour, reason);
}

const char *imei_text(const char *tac, uint32_t serial)
{
	static _Thread_local char texts[16][IMEI_DIGITS + 1];
	static _Thread_local unsigned next;
	struct tac t;
	char *out = texts[next++ % 16];

	assert_int_equal(tac_parse(str_of(tac), &t), CEIR_OK);
	imei_print(imei_make(t, serial), out);
	return out;
}

/* ---- the country ---- */

static void account(struct face *admin, const char *id, const char *role, const char *party)
{
	char set[512], hex[65];
	uint8_t fp[32];

	world_fingerprint(id, fp);
	hex_print(fp, sizeof fp, hex);
	snprintf(set, sizeof set, "id=%s; role=%s; pw=" PASSWORD "; certificate=%s; %s", id, role, hex, party);
	assert_int_equal(create(admin, "account", set), REG_DONE);
}

static void papers(struct face *customs, struct face *nra)
{
	assert_int_equal(create(nra, "tac", "id=" TAC "; manufacturer=Samsung; model=GT-P3100"), REG_DONE);
	assert_int_equal(create(nra, "tac", "id=35210699; manufacturer=Samsung; model=GT-P3100"), REG_DONE);
	assert_int_equal(create(nra, "tac", "id=01124500; manufacturer=Apple; model=iPhone"), REG_DONE);
	assert_int_equal(create(nra, "certificate", "id=" CERTIFICATE "; issued=2015-12-09; exDate=2035-12-08; manufacturer=Samsung;"
		"model=GT-P3100; tac=" TAC), REG_DONE);
	assert_int_equal(create(customs, "permit", "id=" PERMIT "; importer=" IMPORTER "; issued=2015-12-12; exDate=2035-12-11;"
		"position{number=1; certificate=" CERTIFICATE "; manufacturer=Samsung; model=GT-P3100; country=KR; quantity=1000;"
		"price=4800.00; currency=UAH}"), REG_DONE);
	assert_int_equal(create(customs, "permit", "id=P2; importer=" IMPORTER2 "; issued=2015-12-12; exDate=2035-12-11;"
		"position{number=1; certificate=" CERTIFICATE "; manufacturer=Samsung; model=GT-P3100; country=KR; quantity=1000;"
		"price=77.00; currency=USD}"), REG_DONE);
}

void world_settle(struct world *w)
{
	static const char *const offices[] = {"customs", "lea", "tax", "nra", "pos"};
	struct face *admin = face_login(w, "admin");

	for (size_t i = 0; i < CEIR_COUNT(offices); i++)
		account(admin, offices[i], offices[i], "");
	assert_int_equal(create(admin, "operator", "id=25501; name=Mobile; plmn=25501"), REG_DONE);
	account(admin, "operator", "operator", "operator=25501");
	struct face *customs = face_login(w, "customs"), *nra = face_login(w, "nra");
	assert_int_equal(create(customs, "importer", "id=" IMPORTER "; name=Company-Importer-of-mobile-devices"), REG_DONE);
	assert_int_equal(create(customs, "importer", "id=" IMPORTER2 "; name=Another"), REG_DONE);
	account(admin, "importer1", "importer", "importer=" IMPORTER);
	account(admin, "importer2", "importer", "importer=" IMPORTER2);
	papers(customs, nra);
	face_free(nra);
	face_free(customs);
	face_free(admin);
}

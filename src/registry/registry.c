/* registry.c - opening and closing the register: keys, database, verdict table, workers. */
#include "registry/registry.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "registry/registry_class.h"

#define PATH_MAX_ 4096

static enum ceir_err path_of(const struct reg_settings *s, const char *name, char out[PATH_MAX_])
{
	int n = snprintf(out, PATH_MAX_, "%s/%s", s->dir, name);

	return n < 0 || n >= PATH_MAX_ ? CEIR_ERANGE : CEIR_OK;
}

/* ---- keys: 64 hexadecimal digits (audit.key), 128 (audit-sign.key), 64 (audit-sign.pub), each with a newline ---- */

static enum ceir_err write_key(const struct reg_settings *s, const char *name, const uint8_t *key, size_t n, unsigned mode)
{
	char path[PATH_MAX_], hex[2 * crypto_sign_SECRETKEYBYTES + 2];
	enum ceir_err err = path_of(s, name, path);

	CEIR_ASSERT(n <= crypto_sign_SECRETKEYBYTES);
	sodium_bin2hex(hex, sizeof hex, key, n);
	hex[2 * n] = '\n';
	if (!err)
		err = file_write(path, (struct str){hex, 2 * n + 1}, mode);
	sodium_memzero(hex, sizeof hex);
	return err;
}

enum ceir_err reg_key_read(const struct reg_settings *s, const char *name, uint8_t *key, size_t n)
{
	char path[PATH_MAX_];
	struct buf b = BUF_INIT(1024);
	size_t got = 0;
	enum ceir_err err = path_of(s, name, path);

	if (!err)
		err = file_read(path, 1024, &b);
	if (!err) {
		struct str text = str_trim(buf_view(&b));

		if (sodium_hex2bin(key, n, text.p, text.n, NULL, &got, NULL) || got != n)
			err = CEIR_ECORRUPT;
	}
	if (err)
		log_error("registry", "%s: %s", path, ceir_err_text(err));
	if (b.p)
		sodium_memzero(b.p, b.n);
	buf_free(&b);
	return err;
}

static enum ceir_err create_keys(const struct reg_settings *s)
{
	uint8_t key[DIGEST], pub[crypto_sign_PUBLICKEYBYTES], sign[crypto_sign_SECRETKEYBYTES];
	char keys[PATH_MAX_];
	enum ceir_err err = path_of(s, "keys", keys);

	randombytes_buf(key, sizeof key);
	crypto_sign_keypair(pub, sign);
	/* init has made the folder for the certificates already. */
	if (!err && mkdir(keys, 0700) && access(keys, F_OK))
		err = CEIR_EIO;
	if (!err)
		err = write_key(s, "keys/audit.key", key, sizeof key, 0600);
	if (!err)
		err = write_key(s, "keys/audit-sign.key", sign, sizeof sign, 0600);
	if (!err)
		err = write_key(s, "keys/audit-sign.pub", pub, sizeof pub, 0644);
	sodium_memzero(sign, sizeof sign);
	sodium_memzero(key, sizeof key);
	return err;
}

/* ---- create ---- */

struct first_account {
	const char *clid, *hash;
	const uint8_t *fp;
};

static enum ceir_err put_first_account(struct store_conn *c, void *arg)
{
	const struct first_account *f = arg;
	struct store_val row[ACCOUNT_N], cert[ACCOUNT_CERT_N] = {store_null(), store_blob(f->fp, DIGEST), store_null()};
	int64_t now = clock_real_us();
	struct store_audit a = {.at_us = now, .verb = STR("create"), .object = STR("account"), .name = str_of(f->clid), .address = STR("init"),
		.code = REG_DONE};

	for (int i = 0; i < ACCOUNT_N; i++)
		row[i] = store_null();
	row[ACCOUNT_CODE] = store_text(str_of(f->clid));
	row[ACCOUNT_ROLE] = store_text(STR("admin"));
	row[ACCOUNT_PW] = store_text(str_of(f->hash));
	row[ACCOUNT_STATUS] = store_text(STR("active"));
	row[ACCOUNT_FAILS] = store_int(0);
	row[ACCOUNT_CR_ID] = store_text(STR("init"));
	row[ACCOUNT_CR_AT] = store_int(now);
	enum ceir_err err = store_insert(c, &STORE_ACCOUNT, row, &cert[ACCOUNT_CERT_ACCOUNT].i);
	cert[ACCOUNT_CERT_ACCOUNT].null = false;
	if (!err)
		err = store_insert(c, &STORE_ACCOUNT_CERT, cert, NULL);
	if (!err)
		err = reg_policy_first(c, now);
	return err ? err : store_audit_append(c, &a);
}

enum ceir_err registry_create(const struct reg_settings *s, const char *clid, struct str password, const uint8_t fp[32])
{
	char path[PATH_MAX_], hash[crypto_pwhash_STRBYTES];
	struct first_account first = {clid, hash, fp};
	struct store_job job = {.run = put_first_account, .arg = &first};
	struct store *store;
	enum ceir_err err = sodium_init() < 0 ? CEIR_ESTATE : path_of(s, "ceir.db", path);

	if (err)
		return err;
	if (access(path, F_OK) == 0)
		return CEIR_EEXIST;
	if (crypto_pwhash_str(hash, password.p, password.n, 2, (size_t)s->argon2_memory_kib * 1024))
		return CEIR_ENOMEM;
	err = create_keys(s);
	if (!err)
		err = store_create(path);
	if (!err)
		err = store_open(path, 1 << 20, &store);
	if (err)
		return err;
	err = store_run(store, &job);
	store_close(store);
	return err ? err : file_sync_dir(s->dir);
}

/* ---- the verdict table at start ---- */

struct load {
	struct verdicts *verdicts;
	struct store *store;
	struct imei from, to;
	pthread_t thread;
	enum ceir_err err;
};

static enum ceir_err load_row(void *ctx, struct imei imei, uint16_t verdict)
{
	struct load *l = ctx;

	struct verdict v = verdict_unpack(verdict);

	v.row = true;
	return verdicts_load(l->verdicts, imei, v);
}

static void *load_thread(void *arg)
{
	struct load *l = arg;
	struct store_conn *db = store_reader(l->store);

	l->err = db ? store_imei_verdicts(db, l->from, l->to, load_row, l) : CEIR_ESTORE;
	store_reader_done(l->store, db);
	return NULL;
}

#define LOADERS 2

/* Two threads, each a half of the keys; the border is a TAC's, because a TAC must not be loaded by two at once. */
static enum ceir_err load_imeis(struct registry *r)
{
	struct load loads[LOADERS];
	struct imei low, high;
	struct store_conn *db = store_reader(r->store);
	enum ceir_err err = db ? store_imei_bounds(db, &low, &high) : CEIR_ESTORE;

	store_reader_done(r->store, db);
	if (err)
		return err == CEIR_ENOENT ? CEIR_OK : err;
	struct imei middle = imei_make(imei_tac((struct imei){low.n + (high.n - low.n) / 2}), 0);
	loads[0] = (struct load){r->verdicts, r->store, low, {middle.n ? middle.n - 1 : 0}, 0, CEIR_OK};
	loads[1] = (struct load){r->verdicts, r->store, middle, high, 0, CEIR_OK};
	unsigned started = 0;
	while (started < LOADERS && pthread_create(&loads[started].thread, NULL, load_thread, &loads[started]) == 0)
		started++;
	for (unsigned i = 0; i < started; i++) {
		pthread_join(loads[i].thread, NULL);
		err = err ? err : loads[i].err;
	}
	return started < LOADERS ? CEIR_ENOMEM : err;
}

static enum ceir_err load_tac(void *ctx, const struct store_val *l)
{
	struct registry *r = ctx;
	unsigned reason;

	if (l[LISTING_TAC].null || !l[LISTING_PAIR].null || !reg_val_is(l[LISTING_COLOUR], "black"))
		return CEIR_OK;
	if (policy_listing_reason_find(l[LISTING_REASON].s, &reason))
		return CEIR_ECORRUPT;
	return verdicts_set_tac(r->verdicts, (struct tac){(uint32_t)l[LISTING_TAC].i}, policy_tac_verdict((uint8_t)reason));
}

static enum ceir_err load_tacs(struct registry *r)
{
	struct store_filter f[] = {{LISTING_TAC, STORE_GE, store_int(0)}, {LISTING_STATUS, STORE_EQ, store_text(STR("inForce"))}};
	struct store_query q = {.table = &STORE_LISTING, .filters = f, .n_filters = 2};
	struct store_conn *db = store_reader(r->store);
	enum ceir_err err = db ? store_select(db, &q, load_tac, r) : CEIR_ESTORE;

	store_reader_done(r->store, db);
	return err;
}

static enum ceir_err keep_time(void *ctx, const struct store_val *row)
{
	*(int64_t *)ctx = row[AUDIT_AT].i;
	return CEIR_OK;
}

static enum ceir_err load_last_trid(struct registry *r)
{
	/* By time, not by number: a login that waited for its hash is written behind commands that came later. */
	struct store_query q = {.table = &STORE_AUDIT, .sort = AUDIT_AT, .descending = true, .limit = 1};
	struct store_conn *db = store_reader(r->store);
	int64_t at = 0;
	enum ceir_err err = db ? store_select(db, &q, keep_time, &at) : CEIR_ESTORE;

	store_reader_done(r->store, db);
	/* A second more: commands that failed with the disk full have an id too, and no row. */
	atomic_store(&r->last_trid_us, at + SECOND_US);
	return err;
}

static enum ceir_err load_all(struct registry *r)
{
	int64_t begin = clock_mono_us();
	uint64_t entries, bytes;
	enum ceir_err err = load_imeis(r);

	if (!err)
		err = load_tacs(r);
	if (!err)
		err = load_last_trid(r);
	verdicts_stat(r->verdicts, &entries, &bytes);
	if (!err)
		log_info("registry", "%" PRIu64 " verdicts loaded in %" PRId64 " ms, %" PRIu64 " bytes", entries, (clock_mono_us() - begin) / 1000,
			bytes);
	return err;
}

/* ---- open, close ---- */

/* Backwards, whatever was opened: who gives work stops before who does it. */
static void close_parts(struct registry *r)
{
	reg_intake_close(r);
	reg_class_stop(r);
	if (r->working)
		reg_work_stop(r);
	reg_lists_close(r);
	reg_class_close(r);
	triplets_close(r->triplets);
	store_close(r->store);
}

static void free_registry(struct registry *r)
{
	close_parts(r);
	verdicts_free(r->verdicts);
	pthread_mutex_destroy(&r->sessions_lock);
	pthread_mutex_destroy(&r->hash_lock);
	pthread_mutex_destroy(&r->work_lock);
	pthread_cond_destroy(&r->hash_free);
	pthread_cond_destroy(&r->work);
	sodium_memzero(r->digest_key, sizeof r->digest_key);
	free((char *)(uintptr_t)r->settings.dir);
	free((char *)(uintptr_t)r->settings.svtrid_prefix);
	free(r);
}

static enum ceir_err first_policy(struct store_conn *c, void *arg)
{
	(void)arg;
	return reg_policy_first(c, clock_real_us());
}

static enum ceir_err open_parts(struct registry *r)
{
	char path[PATH_MAX_];
	/* A register of an older version has no policy yet. */
	struct store_job policy = {.run = first_policy};
	enum ceir_err err = path_of(&r->settings, "ceir.db", path);

	if (!err)
		err = reg_key_read(&r->settings, "keys/audit.key", r->digest_key, sizeof r->digest_key);
	if (!err)
		reg_golden_key(r);
	if (!err)
		err = store_open(path, r->settings.cache_bytes, &r->store);
	if (!err)
		err = store_run(r->store, &policy);
	if (!err)
		err = load_all(r);
	if (!err)
		err = reg_triplets_open(r);
	if (!err)
		err = reg_class_open(r);
	return err;
}

/* What works by itself: first who is given work, then who gives it. */
static enum ceir_err start_parts(struct registry *r)
{
	enum ceir_err err = reg_lists_open(r);

	if (!err) {
		err = reg_work_start(r);
		r->working = !err;
	}
	if (!err)
		err = reg_class_start(r);
	return err ? err : reg_intake_open(r);
}

enum ceir_err registry_open(const struct reg_settings *s, struct registry **out)
{
	struct registry *r = sodium_init() < 0 ? NULL : calloc(1, sizeof *r);

	if (!r)
		return CEIR_ENOMEM;
	r->settings = *s;
	r->settings.dir = strdup(s->dir);
	r->settings.svtrid_prefix = strdup(s->svtrid_prefix);
	r->verdicts = verdicts_new();
	pthread_mutex_init(&r->sessions_lock, NULL);
	pthread_mutex_init(&r->hash_lock, NULL);
	pthread_mutex_init(&r->work_lock, NULL);
	pthread_cond_init(&r->hash_free, NULL);
	thread_cond_init(&r->work);
	enum ceir_err err = r->settings.dir && r->settings.svtrid_prefix && r->verdicts ? open_parts(r) : CEIR_ENOMEM;
	if (!err)
		err = start_parts(r);
	if (err)
		free_registry(r);
	else
		*out = r;
	return err;
}

void registry_close(struct registry *r)
{
	if (!r)
		return;
	CEIR_ASSERT(r->sessions == NULL);
	free_registry(r);
}

void registry_stats(const struct registry *r, struct reg_stats *out)
{
	struct store_conn *db = store_reader(r->store);
	uint8_t hash[STORE_HASH];
	struct store_stats st;
	int64_t at, seq;

	*out = (struct reg_stats){.commands = atomic_load(&r->commands), .refused = atomic_load(&r->refused),
		.transforms = atomic_load(&r->transforms)};
	store_stats(r->store, &st);
	out->commits = st.commits;
	verdicts_stat(r->verdicts, &out->verdicts, &out->verdict_bytes);
	/* As of the last commit; zero when the database cannot be read, which the log says. */
	if (db && !store_audit_head(db, &seq, &at, hash))
		out->audit_seq = (uint64_t)seq;
	if (db && !store_change_last(db, &seq))
		out->change_seq = (uint64_t)seq;
	store_reader_done(r->store, db);
	out->classified_us = atomic_load(&r->class->classified_us);
	reg_intake_stats(r, out);
}

/* ---- the signed head of the audit chain ---- */

/* What is signed: the JSON object up to, not including, the signature member. */
static void print_head(struct buf *b, int64_t seq, const char *time, const char *hash)
{
	buf_printf(b, "{\"seq\":%" PRId64 ",\"time\":\"%s\",\"hash\":\"%s\"", seq, time, hash);
}

enum ceir_err registry_audit_head(const struct reg_settings *s, struct buf *out)
{
	char path[PATH_MAX_], time[TIME_RFC3339_MAX], hex[2 * DIGEST + 1], sig_hex[2 * crypto_sign_BYTES + 1];
	uint8_t hash[DIGEST], sign[crypto_sign_SECRETKEYBYTES], sig[crypto_sign_BYTES];
	struct store_conn *db = NULL;
	int64_t seq, at;
	size_t from = out->n;
	enum ceir_err err = sodium_init() < 0 ? CEIR_ESTATE : path_of(s, "ceir.db", path);

	if (!err)
		err = reg_key_read(s, "keys/audit-sign.key", sign, sizeof sign);
	if (!err)
		err = store_open_readonly(path, &db);
	if (!err)
		err = store_audit_head(db, &seq, &at, hash);
	store_close_readonly(db);
	if (err)
		return err;
	time_rfc3339(at, time);
	sodium_bin2hex(hex, sizeof hex, hash, sizeof hash);
	print_head(out, seq, time, hex);
	if (out->failed)
		return CEIR_ENOMEM;
	crypto_sign_detached(sig, NULL, (const uint8_t *)out->p + from, out->n - from, sign);
	sodium_memzero(sign, sizeof sign);
	sodium_bin2hex(sig_hex, sizeof sig_hex, sig, sizeof sig);
	buf_printf(out, ",\"signature\":\"%s\"}\n", sig_hex);
	return out->failed ? CEIR_ENOMEM : CEIR_OK;
}

/*
 * registry_login.c - logging in and staying logged in.
 *
 * What a stranger can learn is the same for a wrong name, password or certificate: one code, one text, one Argon2 computation.
 * Failures count against an account only when they come with its certificate (or it needs none), so a stranger cannot lock it.
 */
#include <string.h>

#include "registry/registry_internal.h"

#define HASHES_AT_ONCE 2 /* 64 MiB each at the default */
#define ARGON2_PASSES 2
#define PASSWORD_MIN 6
#define PASSWORD_MAX 128

static size_t memory(const struct registry *r)
{
	return (size_t)r->settings.argon2_memory_kib * 1024;
}

static void hash_turn(struct registry *r)
{
	pthread_mutex_lock(&r->hash_lock);
	while (r->hashing == HASHES_AT_ONCE)
		pthread_cond_wait(&r->hash_free, &r->hash_lock);
	r->hashing++;
	pthread_mutex_unlock(&r->hash_lock);
}

static void hash_done(struct registry *r)
{
	pthread_mutex_lock(&r->hash_lock);
	r->hashing--;
	pthread_cond_signal(&r->hash_free);
	pthread_mutex_unlock(&r->hash_lock);
}

enum ceir_err reg_password_hash(struct registry *r, struct str password, char *out)
{
	hash_turn(r);
	int rc = crypto_pwhash_str(out, password.p, password.n, ARGON2_PASSES, memory(r));
	hash_done(r);
	return rc ? CEIR_ENOMEM : CEIR_OK;
}

/* hash NULL: there is no such account; the same work is done and the answer is no. */
static bool password_matches(struct registry *r, struct str password, const struct store_val *hash)
{
	char stored[crypto_pwhash_STRBYTES] = {0}, unused[crypto_pwhash_STRBYTES];
	bool ok = false;

	hash_turn(r);
	if (hash && hash->s.n < sizeof stored) {
		memcpy(stored, hash->s.p, hash->s.n);
		ok = crypto_pwhash_str_verify(stored, password.p, password.n) == 0;
	} else if (crypto_pwhash_str(unused, password.p, password.n, ARGON2_PASSES, memory(r))) {
		ok = false;
	}
	hash_done(r);
	return ok;
}

static enum ceir_err any(void *ctx, const struct store_val *row)
{
	(void)row;
	*(bool *)ctx = true;
	return CEIR_OK;
}

/* How a session came in, as far as it decides what the account must show beside its password. */
struct way {
	bool http, ftps;
};

/*
 * The connection's certificate is one of the account's; the public's own role needs none, and over HTTP neither does an operator's
 * account that has none at all. Over FTPS no certificate is asked for: the account itself says whether it may come that way.
 */
static enum ceir_err certificate_matches(struct store_conn *db, const struct reg_client *client, struct way way, const struct store_val *account,
	bool *ok)
{
	struct store_filter f[] = {{ACCOUNT_CERT_ACCOUNT, STORE_EQ, account[ACCOUNT_ID]},
		{ACCOUNT_CERT_SHA256, STORE_EQ, store_blob(client->certificate_sha256, DIGEST)}};
	struct store_query q = {.table = &STORE_ACCOUNT_CERT, .filters = f, .n_filters = 2, .limit = 1};

	*ok = way.ftps && reg_val_is(account[ACCOUNT_FTPS], "yes");
	if (way.ftps)
		return CEIR_OK;
	if (client->has_certificate) {
		enum ceir_err err = store_select(db, &q, any, ok);

		if (err)
			return err;
	}
	if (reg_val_is(account[ACCOUNT_ROLE], "pos") && !client->has_certificate)
		*ok = true;
	if (way.http && reg_val_is(account[ACCOUNT_ROLE], "operator") && !client->has_certificate) {
		bool has = false;

		q.n_filters = 1;
		enum ceir_err err = store_select(db, &q, any, &has);
		*ok = !err && !has;
		return err;
	}
	return CEIR_OK;
}

static enum reg_role role_of(struct str name)
{
	for (unsigned i = REG_ROLE_NONE + 1; i < REG_ROLES; i++)
		if (str_eq_c(name, reg_role_name(i)))
			return (enum reg_role)i;
	return REG_ROLE_NONE;
}

static void copy_text(char *out, size_t size, struct store_val v)
{
	size_t n = v.null ? 0 : v.s.n < size - 1 ? v.s.n : size - 1;

	if (n)
		memcpy(out, v.s.p, n);
	out[n] = '\0';
}

/* A catalogue may be gone since the account was given its language. */
static size_t lang_of(const struct store_val *account)
{
	size_t lang;

	return account[ACCOUNT_LANG].null || i18n_find(account[ACCOUNT_LANG].s, &lang) ? REG_LANG_OF_ACCOUNT : lang;
}

static void become(struct reg_who *who, const struct store_val *account)
{
	who->account = account[ACCOUNT_ID].i;
	who->role = role_of(account[ACCOUNT_ROLE].s);
	copy_text(who->clid, sizeof who->clid, account[ACCOUNT_CODE]);
	copy_text(who->importer, sizeof who->importer, account[ACCOUNT_IMPORTER]);
	copy_text(who->operator, sizeof who->operator, account[ACCOUNT_OPERATOR]);
	who->lang = lang_of(account);
}

/* ---- the sessions of an account ---- */

static bool enter(struct reg_session *s)
{
	struct registry *r = s->r;
	unsigned n = 0;

	pthread_mutex_lock(&r->sessions_lock);
	for (const struct reg_session *o = r->sessions; o; o = o->next)
		n += o->who.account == s->who.account;
	bool room = n < r->settings.max_sessions_account;
	if (room) {
		s->next = r->sessions;
		r->sessions = s;
	}
	pthread_mutex_unlock(&r->sessions_lock);
	return room;
}

void reg_session_leave(struct reg_session *s)
{
	struct registry *r = s->r;

	pthread_mutex_lock(&r->sessions_lock);
	for (struct reg_session **p = &r->sessions; *p; p = &(*p)->next)
		if (*p == s) {
			*p = s->next;
			break;
		}
	pthread_mutex_unlock(&r->sessions_lock);
}

/* ---- login ---- */

struct owners {
	int64_t ids[8];                 /* accounts of one certificate; more are not looked at */
	size_t n;
};

static enum ceir_err note_owner(void *ctx, const struct store_val *row)
{
	struct owners *o = ctx;

	o->ids[o->n++] = row[ACCOUNT_CERT_ACCOUNT].i;
	return CEIR_OK;
}

/* The one active account that the connection's certificate belongs to; none when there are two, because nobody said which. */
static enum ceir_err find_by_certificate(struct exec *x, struct reg_attempt *a, bool *found)
{
	struct owners o = {.n = 0};
	struct store_filter f = {ACCOUNT_CERT_SHA256, STORE_EQ, store_blob(x->s->client.certificate_sha256, DIGEST)};
	struct store_query q = {.table = &STORE_ACCOUNT_CERT, .filters = &f, .n_filters = 1, .limit = CEIR_COUNT(o.ids)};
	struct store_val row[ACCOUNT_N];
	unsigned active = 0;
	enum ceir_err err = x->s->client.has_certificate ? store_select(x->db, &q, note_owner, &o) : CEIR_OK;

	for (size_t i = 0; i < o.n && !err; i++) {
		err = store_get(x->db, &STORE_ACCOUNT, ACCOUNT_ID, store_int(o.ids[i]), x->arena, row);
		if (!err && reg_val_is(row[ACCOUNT_STATUS], "active")) {
			memcpy(a->account, row, sizeof row);
			active++;
		}
	}
	*found = active == 1;
	return err;
}

/* Reads the account. The reader goes back before the hashing: strangers who wait for Argon2 must not keep others from reading. */
static enum ceir_err read_account(struct exec *x, struct reg_attempt *a, bool *found, bool *certificate)
{
	const struct reg_login *login = x->c->login;
	enum ceir_err err = CEIR_OK;

	*found = *certificate = false;
	x->db = store_reader(x->r->store);
	if (!x->db)
		return CEIR_ESTORE;
	if (login->by_certificate)
		err = find_by_certificate(x, a, found);
	else
		*found = reg_find(x, &STORE_ACCOUNT, login->clid, a->account, &err);
	if (!err && *found)
		err = certificate_matches(x->db, &x->s->client, (struct way){login->http, login->ftps}, a->account, certificate);
	store_reader_done(x->r->store, x->db);
	x->db = NULL;
	return err;
}

static enum ceir_err look(struct exec *x, struct reg_attempt *a)
{
	const struct reg_login *login = x->c->login;
	bool found, certificate;

	a->err = read_account(x, a, &found, &certificate);
	if (a->err)
		return a->err;
	/* A certificate alone: whoever holds its key is known already, and there is nothing to guess. */
	bool matches = login->by_certificate ? found : password_matches(x->r, login->pw, found ? &a->account[ACCOUNT_PW] : NULL);
	bool locked = found && !a->account[ACCOUNT_LOCKED_UNTIL].null && a->account[ACCOUNT_LOCKED_UNTIL].i > x->now_us;
	a->read_hash = found ? a->account[ACCOUNT_PW].s : STR("");
	a->known = found && certificate;
	a->ok = a->known && matches && !locked && reg_val_is(a->account[ACCOUNT_STATUS], "active");
	if (a->ok && login->newpw.p)
		a->err = reg_password_hash(x->r, login->newpw, a->new_hash);
	return a->err;
}

/*
 * Before the writer: everything that takes time. RFC 5730 2.9.1.1; the outcome is written, and takes effect, as a job.
 */
enum ceir_err reg_login_prepare(struct exec *x)
{
	struct reg_attempt *a = arena_alloc(x->arena, sizeof *a);

	if (!a)
		return CEIR_ENOMEM;
	/* What an admin may not set, its owner may not either. */
	struct str pw = x->c->login->newpw;
	if (pw.p && (pw.n < PASSWORD_MIN || pw.n > PASSWORD_MAX || !str_is_utf8(pw)))
		return reg_refuse(x, REG_RANGE, "newPW", STR(""), N_("Expected a password of 6 to 128 characters"));
	x->attempt = a;
	a->accounts_version = atomic_load(&x->r->accounts_version);
	return look(x, a);
}

/* Nothing that speaks against the login has happened since the account was read: another password, a lock, a suspension. */
static enum ceir_err still_good(struct exec *x, const struct reg_attempt *a, bool *good)
{
	struct store_val row[ACCOUNT_N];
	enum ceir_err err = store_get(x->db, &STORE_ACCOUNT, ACCOUNT_ID, a->account[ACCOUNT_ID], x->arena, row);

	*good = !err && reg_val_is(row[ACCOUNT_STATUS], "active") && str_eq(row[ACCOUNT_PW].s, a->read_hash)
		&& (row[ACCOUNT_LOCKED_UNTIL].null || row[ACCOUNT_LOCKED_UNTIL].i <= x->now_us);
	return err;
}

static enum ceir_err write_failure(struct exec *x, const struct reg_attempt *a)
{
	struct store_val row[ACCOUNT_N];
	uint32_t mask = 1u << ACCOUNT_FAILS;
	enum ceir_err err = store_get(x->db, &STORE_ACCOUNT, ACCOUNT_ID, a->account[ACCOUNT_ID], x->arena, row);

	if (err)
		return err;
	row[ACCOUNT_FAILS].i++;
	if (row[ACCOUNT_FAILS].i > x->r->settings.max_failed_logins) {
		row[ACCOUNT_FAILS] = store_int(0);
		row[ACCOUNT_LOCKED_UNTIL] = store_int(x->now_us + x->r->settings.lock_s * SECOND_US);
		mask |= 1u << ACCOUNT_LOCKED_UNTIL;
	}
	return store_update(x->db, &STORE_ACCOUNT, row[ACCOUNT_ID].i, mask, row);
}

static enum ceir_err write_success(struct exec *x, struct reg_attempt *a)
{
	uint32_t mask = 1u << ACCOUNT_FAILS | 1u << ACCOUNT_LAST_LOGIN | 1u << ACCOUNT_LOCKED_UNTIL;

	a->account[ACCOUNT_FAILS] = store_int(0);
	a->account[ACCOUNT_LOCKED_UNTIL] = store_null();
	a->account[ACCOUNT_LAST_LOGIN] = store_int(x->now_us);
	if (x->c->login->newpw.p) {
		a->account[ACCOUNT_PW] = store_text(str_of(a->new_hash));
		mask |= 1u << ACCOUNT_PW;
	}
	return store_update(x->db, &STORE_ACCOUNT, a->account[ACCOUNT_ID].i, mask, a->account);
}

/* As a job: the counters, the time, the new password. What the session becomes is decided when it is on disk. */
enum ceir_err reg_login_write(struct exec *x)
{
	struct reg_attempt *a = x->attempt;
	unsigned failures = x->s->failed_logins + 1;
	bool good = a->ok;
	enum ceir_err err = CEIR_OK;

	if (a->full) {
		x->reply->code = REG_LIMIT_CLOSING;
		return CEIR_OK;
	}
	if (x->c->login->by_certificate && a->known)
		x->audit_name = a->account[ACCOUNT_CODE].s;
	if (good)
		err = still_good(x, a, &good);
	if (err || good)
		return err ? err : write_success(x, a);
	x->reply->code = failures > x->r->settings.max_failed_logins ? REG_AUTH_CLOSING : REG_AUTHENTICATION;
	return a->known ? write_failure(x, a) : CEIR_OK;
}

/* Takes the session's place before the job, because a reply cannot be taken back after it. */
void reg_login_claim(struct exec *x)
{
	struct reg_attempt *a = x->attempt;

	if (!a->ok)
		return;
	/* As of before the account was read, so that a change in between is seen at the next command. */
	x->s->accounts_version = a->accounts_version;
	become(&x->s->who, a->account);
	a->full = !enter(x->s);
	if (a->full)
		x->s->who = (struct reg_who){0};
}

void reg_login_finish(struct exec *x, bool written)
{
	struct reg_attempt *a = x->attempt;

	if (a->ok && !a->full && written && !reg_refused(x)) {
		reg_session_speak(x->s, x->c->login->lang);
		x->s->http = x->c->login->http;
		x->s->ftps = x->c->login->ftps;
		x->s->failed_logins = 0;
		return;
	}
	if (a->ok && !a->full)
		reg_session_leave(x->s);
	x->s->who = (struct reg_who){0};
	x->s->failed_logins += written && !a->full;
	x->s->ended = x->reply->code == REG_AUTH_CLOSING || x->reply->code == REG_LIMIT_CLOSING;
}

/* ---- without a login ---- */

static enum ceir_err read_active(struct registry *r, struct str clid, struct arena *arena, struct store_val *row)
{
	struct store_conn *db = store_reader(r->store);
	enum ceir_err err = db ? store_get(db, &STORE_ACCOUNT, ACCOUNT_CODE, store_text(clid), arena, row) : CEIR_ESTORE;

	store_reader_done(r->store, db);
	if (err == CEIR_ENOENT || (!err && !reg_val_is(row[ACCOUNT_STATUS], "active")))
		return CEIR_EPERM;
	return err;
}

enum ceir_err reg_session_of(struct registry *r, struct str clid, const struct reg_client *client, size_t lang, struct reg_session **out)
{
	struct store_val row[ACCOUNT_N];
	struct arena *arena = arena_new(1 << 16);
	struct reg_session *s = reg_session_new(r, client);
	enum ceir_err err = arena && s ? CEIR_OK : CEIR_ENOMEM;

	if (!err) {
		/* As of before the account is read, so that a change in between is seen at the next command. */
		s->accounts_version = atomic_load(&r->accounts_version);
		err = read_active(r, clid, arena, row);
	}
	if (!err) {
		become(&s->who, row);
		s->lang = s->who.lang == REG_LANG_OF_ACCOUNT ? lang : s->who.lang;
		s->of_folder = true;
		if (!enter(s)) {
			s->who = (struct reg_who){0};
			err = CEIR_ELIMIT;
		}
	}
	arena_free(arena);
	if (err)
		reg_session_free(s);
	else
		*out = s;
	return err;
}

size_t reg_account_lang(struct registry *r, struct str clid, size_t otherwise)
{
	struct store_val row[ACCOUNT_N];
	struct arena *arena = arena_new(1 << 16);
	enum ceir_err err = arena ? read_active(r, clid, arena, row) : CEIR_ENOMEM;
	size_t lang = err ? REG_LANG_OF_ACCOUNT : lang_of(row);

	arena_free(arena);
	return lang == REG_LANG_OF_ACCOUNT ? otherwise : lang;
}

static enum ceir_err note_lang(void *ctx, const struct store_val *row)
{
	size_t *lang = ctx, of = lang_of(row);

	if (reg_val_is(row[ACCOUNT_STATUS], "active") && of != REG_LANG_OF_ACCOUNT)
		*lang = *lang == REG_LANG_OF_ACCOUNT || *lang == of ? of : 0;
	return CEIR_OK;
}

size_t reg_operator_lang(struct registry *r, const char *code)
{
	struct store_filter f = {ACCOUNT_OPERATOR, STORE_EQ, store_text(str_of(code))};
	struct store_query q = {.table = &STORE_ACCOUNT, .filters = &f, .n_filters = 1};
	struct store_conn *db = store_reader(r->store);
	size_t lang = REG_LANG_OF_ACCOUNT;
	enum ceir_err err = db ? store_select(db, &q, note_lang, &lang) : CEIR_ESTORE;

	store_reader_done(r->store, db);
	return err || lang == REG_LANG_OF_ACCOUNT ? 0 : lang;
}

struct each_account {
	reg_account_row row;
	void *ctx;
};

static enum ceir_err show_account(void *ctx, const struct store_val *row)
{
	const struct each_account *e = ctx;

	if (reg_val_is(row[ACCOUNT_STATUS], "active"))
		e->row(e->ctx, row[ACCOUNT_CODE].s, row[ACCOUNT_OPERATOR].null ? STR("") : row[ACCOUNT_OPERATOR].s);
	return CEIR_OK;
}

enum ceir_err reg_accounts_active(struct registry *r, reg_account_row row, void *ctx)
{
	struct store_query q = {.table = &STORE_ACCOUNT};
	struct each_account e = {row, ctx};
	struct store_conn *db = store_reader(r->store);
	enum ceir_err err = db ? store_select(db, &q, show_account, &e) : CEIR_ESTORE;

	store_reader_done(r->store, db);
	return err;
}

/* ---- staying logged in ---- */

bool reg_session_valid(struct reg_session *s, struct arena *arena)
{
	uint64_t version = atomic_load(&s->r->accounts_version);
	struct store_val row[ACCOUNT_N];
	bool certificate = false;

	if (version == s->accounts_version || !s->who.account)
		return true;
	struct store_conn *db = store_reader(s->r->store);
	if (!db)
		return false;
	enum ceir_err err = store_get(db, &STORE_ACCOUNT, ACCOUNT_ID, store_int(s->who.account), arena, row);
	if (!err && s->of_folder)
		certificate = true;
	else if (!err)
		err = certificate_matches(db, &s->client, (struct way){s->http, s->ftps}, row, &certificate);
	store_reader_done(s->r->store, db);
	if (err || !certificate || !reg_val_is(row[ACCOUNT_STATUS], "active"))
		return false;
	s->accounts_version = version;
	s->who.lang = lang_of(row);
	return true;
}

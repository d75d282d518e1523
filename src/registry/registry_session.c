/*
 * registry_session.c - the way of a command through the door: state, rights, handler, reply, audit.
 *
 * Commands that only read run in the session's thread; their audit rows go to the writer and are waited for by reg_settle().
 * Commands that change something run on the writer's thread, each behind a savepoint: handler, reply, audit row, one
 * transaction. The reply is rendered inside it because its digest stands in the audit row.
 */
#include <stdlib.h>
#include <string.h>

#include "registry/registry_internal.h"

/* ---- sessions ---- */

struct reg_session *reg_session_new(struct registry *r, const struct reg_client *client)
{
	struct reg_session *s = calloc(1, sizeof *s);

	if (!s)
		return NULL;
	s->r = r;
	s->client = *client;
	s->reader = verdicts_reader_new(r->verdicts);
	s->waiter = store_waiter_new();
	if (!s->reader || !s->waiter) {
		verdicts_reader_free(s->reader);
		store_waiter_free(s->waiter);
		free(s);
		return NULL;
	}
	return s;
}

void reg_session_free(struct reg_session *s)
{
	if (!s)
		return;
	/* The writer may still hold rows of this session. Whether the answers may be sent no longer matters to anybody. */
	if (store_wait(s->waiter))
		log_warn("registry", "commands of %s could not be recorded; their answers were not sent", s->client.address);
	reg_session_leave(s);
	store_waiter_free(s->waiter);
	verdicts_reader_free(s->reader);
	free(s);
}

size_t reg_session_lang(const struct reg_session *s)
{
	return s->lang;
}

void reg_session_speak(struct reg_session *s, size_t lang)
{
	s->lang = lang != REG_LANG_OF_ACCOUNT ? lang : s->who.lang != REG_LANG_OF_ACCOUNT ? s->who.lang : 0;
}

enum reg_role reg_session_role(const struct reg_session *s)
{
	return s->who.role;
}

bool reg_session_ended(const struct reg_session *s)
{
	return s->ended;
}

enum ceir_err reg_settle(struct reg_session *s)
{
	return store_wait(s->waiter);
}

/* ---- server transaction ids ---- */

/* A microsecond that no transaction of this register ever had or will have. */
int64_t reg_trid_us(struct registry *r)
{
	int64_t now = clock_real_us(), last = atomic_load_explicit(&r->last_trid_us, memory_order_relaxed), mine;

	do
		mine = now > last ? now : last + 1;
	while (!atomic_compare_exchange_weak_explicit(&r->last_trid_us, &last, mine, memory_order_relaxed, memory_order_relaxed));
	return mine;
}

/* PREFIX-YYYYMMDDhhmmssuuuuuu */
void reg_svtrid(const struct registry *r, int64_t us, char out[REG_SVTRID_MAX])
{
	char t[TIME_RFC3339_MAX];

	time_rfc3339(us, t);
	snprintf(out, REG_SVTRID_MAX, "%.40s-%.4s%.2s%.2s%.2s%.2s%.2s%.6s", r->settings.svtrid_prefix, t, t + 5, t + 8, t + 11, t + 14, t + 17,
		t + 20);
}

/* ---- which handler ---- */

struct route {
	const char *object;
	reg_handler verbs[REG_VERBS];
};

static const struct route routes[] = {
	{"imei", {[REG_CHECK] = reg_imei_check, [REG_INFO] = reg_imei_info, [REG_CREATE] = reg_imei_create, [REG_UPDATE] = reg_imei_update,
		[REG_DELETE] = reg_imei_delete, [REG_TRANSFER] = reg_imei_transfer, [REG_QUERY] = reg_query_run}},
	{"importer", {[REG_CHECK] = reg_check_paper, [REG_INFO] = reg_info_paper, [REG_CREATE] = reg_importer_create,
		[REG_UPDATE] = reg_importer_update, [REG_DELETE] = reg_importer_delete, [REG_QUERY] = reg_query_run}},
	{"permit", {[REG_CHECK] = reg_check_paper, [REG_INFO] = reg_info_paper, [REG_CREATE] = reg_permit_create,
		[REG_UPDATE] = reg_permit_update, [REG_DELETE] = reg_permit_delete, [REG_RENEW] = reg_paper_renew, [REG_QUERY] = reg_query_run}},
	{"certificate", {[REG_CHECK] = reg_check_paper, [REG_INFO] = reg_info_paper, [REG_CREATE] = reg_certificate_create,
		[REG_UPDATE] = reg_certificate_update, [REG_DELETE] = reg_certificate_delete, [REG_RENEW] = reg_paper_renew,
		[REG_QUERY] = reg_query_run}},
	{"tac", {[REG_CHECK] = reg_check_paper, [REG_INFO] = reg_info_paper, [REG_CREATE] = reg_tac_create, [REG_UPDATE] = reg_tac_update,
		[REG_DELETE] = reg_tac_delete, [REG_QUERY] = reg_query_run}},
	{"application", {[REG_INFO] = reg_application_info, [REG_CREATE] = reg_application_create, [REG_UPDATE] = reg_application_update,
		[REG_DELETE] = reg_application_delete, [REG_QUERY] = reg_query_run}},
	{"listing", {[REG_INFO] = reg_info_paper, [REG_CREATE] = reg_listing_create, [REG_UPDATE] = reg_listing_update,
		[REG_DELETE] = reg_listing_end, [REG_QUERY] = reg_query_run}},
	{"account", {[REG_CHECK] = reg_check_paper, [REG_INFO] = reg_info_paper, [REG_CREATE] = reg_account_create,
		[REG_UPDATE] = reg_account_update, [REG_DELETE] = reg_account_delete, [REG_QUERY] = reg_query_run}},
	{"transaction", {[REG_INFO] = reg_info_paper, [REG_QUERY] = reg_query_run}},
	{"operator", {[REG_CHECK] = reg_check_paper, [REG_INFO] = reg_info_paper, [REG_CREATE] = reg_operator_create,
		[REG_UPDATE] = reg_operator_update, [REG_QUERY] = reg_query_run}},
	{"portability", {[REG_INFO] = reg_info_paper, [REG_CREATE] = reg_portability_create, [REG_DELETE] = reg_portability_delete,
		[REG_QUERY] = reg_query_run}},
	{"delivery", {[REG_INFO] = reg_delivery_info, [REG_CREATE] = reg_delivery_create, [REG_UPDATE] = reg_delivery_update,
		[REG_QUERY] = reg_query_run}},
	{"triplet", {[REG_CREATE] = reg_triplet_create, [REG_QUERY] = reg_triplet_query}},
	{"policy", {[REG_INFO] = reg_info_paper, [REG_CREATE] = reg_policy_create, [REG_UPDATE] = reg_policy_update,
		[REG_DELETE] = reg_policy_delete, [REG_QUERY] = reg_query_run}},
	{"golden", {[REG_CHECK] = reg_golden_check, [REG_CREATE] = reg_golden_create, [REG_DELETE] = reg_golden_delete}},
	{"watch", {[REG_INFO] = reg_info_paper, [REG_CREATE] = reg_watch_create, [REG_UPDATE] = reg_watch_update,
		[REG_DELETE] = reg_watch_delete, [REG_QUERY] = reg_query_run}},
	{"list", {[REG_INFO] = reg_list_info, [REG_UPDATE] = reg_list_update, [REG_QUERY] = reg_list_query}},
	{"remote", {[REG_CHECK] = reg_check_paper, [REG_INFO] = reg_info_paper, [REG_CREATE] = reg_remote_create,
		[REG_UPDATE] = reg_remote_update, [REG_DELETE] = reg_remote_delete, [REG_QUERY] = reg_query_run}},
	{"verdict", {[REG_INFO] = reg_verdict_info}},
};

static reg_handler route(const struct reg_command *c)
{
	if (c->verb == REG_POLL)
		return reg_poll;
	for (size_t i = 0; c->object && i < CEIR_COUNT(routes); i++)
		if (strcmp(routes[i].object, c->object->name) == 0)
			return routes[i].verbs[c->verb];
	return NULL;
}

static bool is_transform(const struct reg_command *c)
{
	return (c->verb >= REG_CREATE && c->verb <= REG_RENEW) || (c->verb == REG_TRANSFER && c->op != REG_OP_QUERY);
}

/* Sightings come by the ten thousand and go to the triplet store, not through the writer. */
static bool is_sightings(const struct reg_command *c)
{
	return c->verb == REG_CREATE && c->object && strcmp(c->object->name, "triplet") == 0;
}

static bool is_delivery(const struct reg_command *c)
{
	return c->verb == REG_CREATE && c->object && strcmp(c->object->name, "delivery") == 0;
}

/* Does it write anything but its audit row? */
static bool writes(const struct reg_command *c)
{
	return !c->refused && ((is_transform(c) && !is_sightings(c)) || c->verb == REG_LOGIN || (c->verb == REG_POLL && c->poll_ack));
}

/* ---- before the handler ---- */

static enum ceir_err authorize(struct exec *x)
{
	const struct reg_command *c = x->c;
	enum reg_role role = x->s->who.role;

	if (c->verb == REG_HELLO)
		return CEIR_OK;
	if (c->verb == REG_LOGIN ? role != REG_ROLE_NONE : role == REG_ROLE_NONE)
		return reg_refuse(x, REG_USE, NULL, STR(""), NULL);
	if (!c->object)
		return CEIR_OK;
	if (!c->object->may[c->verb])
		return reg_refuse(x, REG_UNIMPL_COMMAND, c->object->name, STR(""), N_("This object does not have the command"));
	if (!(c->object->may[c->verb] & REG_BIT(role)))
		return reg_refuse(x, REG_AUTHORIZATION, NULL, STR(""), NULL);
	if (is_transform(c) && !is_sightings(c) && x->r->settings.require_cltrid && !c->cltrid.n)
		return reg_refuse(x, REG_MISSING, "clTRID", STR(""), N_("A command that changes the register needs a client transaction id"));
	return CEIR_OK;
}

static enum ceir_err session_verb(struct exec *x)
{
	if (x->c->verb == REG_LOGOUT) {
		x->reply->code = REG_BYE;
		x->s->ended = true;
	}
	return CEIR_OK;
}

/* State and rights; then what takes long and needs no writer. */
static enum ceir_err prepare(struct exec *x)
{
	const struct reg_command *c = x->c;
	enum ceir_err err;

	if (c->refused) {
		x->reply->code = c->refused;
		x->reply->details = c->refused_details;
		return CEIR_OK;
	}
	if (x->s->who.role != REG_ROLE_NONE && !reg_session_valid(x->s, x->arena)) {
		x->s->ended = true;
		return reg_refuse(x, REG_AUTH_CLOSING, NULL, STR(""), NULL);
	}
	err = authorize(x);
	if (err || reg_refused(x))
		return err;
	if (is_delivery(c))
		return reg_delivery_prepare(x);
	struct reg_node *pw = c->object && strcmp(c->object->name, "account") == 0 ? reg_node_find(c->set, "pw") : NULL;
	if (pw && pw->text.n >= 6 && pw->text.n <= 128) {
		x->password_hash = arena_alloc(x->arena, crypto_pwhash_STRBYTES);
		err = x->password_hash ? reg_password_hash(x->r, pw->text, x->password_hash) : CEIR_ENOMEM;
	}
	return err;
}

/* ---- after the handler ---- */

static void digest(const struct registry *r, struct str bytes, bool secret, uint8_t out[DIGEST])
{
	crypto_generichash(out, DIGEST, (const uint8_t *)bytes.p, bytes.n, secret ? r->digest_key : NULL, secret ? DIGEST : 0);
}

/* Whoever reads the audit log or guesses at its digests must not learn which IMEIs are never blocked. */
static bool is_golden(const struct reg_command *c)
{
	return c->object && strcmp(c->object->name, "golden") == 0;
}

/* The face says so too; that no digest lets anybody try passwords is the door's own promise. */
static bool holds_secret(const struct reg_command *c)
{
	return c->secret || ((c->verb == REG_CREATE || c->verb == REG_UPDATE) && c->object && reg_object_has_secret(c->object));
}

static struct str object_name(const struct exec *x)
{
	const struct reg_command *c = x->c;

	if (is_golden(c))
		return STR("golden");
	if (x->audit_name.p)
		return x->audit_name;
	if (c->key)
		return c->key->text;
	if (c->verb == REG_LOGIN && c->login)
		return c->login->clid;
	if (c->verb == REG_POLL && c->poll_ack)
		return c->msgid;
	return c->verb == REG_CHECK && c->n_names == 1 ? c->names[0] : (struct str){NULL, 0};
}

/* At most 64 characters can be asked for; always text. */
static struct str audit_text(struct str s)
{
	if (s.n > 64 * 4)
		s.n = 64 * 4;
	while (s.n && !str_is_utf8(s))
		s.n--;
	return s;
}

static void fill_audit(const struct exec *x, struct str response, struct store_audit *a)
{
	const struct reg_command *c = x->c;
	const struct reg_who *who = &x->s->who;

	a->account = who->role ? str_of(who->clid) : (struct str){NULL, 0};
	a->role = who->role ? str_of(reg_role_name(who->role)) : (struct str){NULL, 0};
	a->address = str_of(x->s->client.address);
	a->cltrid = c->cltrid.n ? audit_text(c->cltrid) : (struct str){NULL, 0};
	a->verb = str_of(reg_verb_name(c->verb));
	a->object = c->object ? str_of(c->object->name) : (struct str){NULL, 0};
	a->name = audit_text(object_name(x));
	a->certificate = x->s->client.has_certificate ? x->s->client.certificate_sha256 : NULL;
	a->code = x->reply->code;
	digest(x->r, c->request, holds_secret(c) || is_golden(c), a->request);
	digest(x->r, response, is_golden(c), a->response);
}

/* ---- commands that only read: the audit row alone goes to the writer ---- */

struct record {
	struct store_job job;
	struct store_audit audit;
	uint8_t certificate[DIGEST];
	char texts[];
};

static enum ceir_err write_record(struct store_conn *c, void *arg)
{
	return store_audit_append(c, &((struct record *)arg)->audit);
}

static void free_record(void *arg, enum ceir_err result)
{
	(void)result;
	free(arg);
}

static char *keep(char *p, struct str *s)
{
	if (!s->p)
		return p;
	memcpy(p, s->p, s->n);
	s->p = p;
	return p + s->n;
}

/* The command's arena is gone before the writer comes to it: the row carries its texts. */
static enum ceir_err submit_record(struct reg_session *s, const struct store_audit *a, struct store_waiter *waiter, bool relaxed)
{
	size_t n = a->account.n + a->role.n + a->address.n + a->cltrid.n + a->verb.n + a->object.n + a->name.n;
	struct record *r = malloc(sizeof *r + n);

	if (!r)
		return CEIR_ENOMEM;
	memset(r, 0, sizeof *r);
	r->audit = *a;
	char *p = keep(r->texts, &r->audit.account);
	p = keep(p, &r->audit.role);
	p = keep(p, &r->audit.address);
	p = keep(p, &r->audit.cltrid);
	p = keep(p, &r->audit.verb);
	p = keep(p, &r->audit.object);
	keep(p, &r->audit.name);
	if (a->certificate) {
		memcpy(r->certificate, a->certificate, DIGEST);
		r->audit.certificate = r->certificate;
	}
	r->job = (struct store_job){.run = write_record, .settled = free_record, .arg = r, .waiter = waiter,
		.relaxed = relaxed};
	store_submit(s->r->store, &r->job);
	return CEIR_OK;
}

static struct str since(const struct buf *out, size_t from)
{
	return (struct str){out->p + from, out->n - from};
}

/* The last resort: nothing else can be said any more, and the command has no effect. */
static void fail(struct exec *x)
{
	x->reply->code = REG_FAILED;
	x->reply->data = REG_DATA_NONE;
	x->reply->message = NULL;
	x->reply->page = NULL;
	x->reply->file = NULL;
	x->reply->details = NULL;
}

static enum ceir_err run_reader(struct exec *x)
{
	reg_handler handler = route(x->c);

	if (!handler)
		return session_verb(x);
	/* imei:check asks the verdict table only; sightings need no snapshot and wait for the triplet store's journal. */
	bool database = handler != reg_imei_check && handler != reg_triplet_create;
	enum ceir_err err = database ? reg_reader_take(x) : CEIR_OK;

	if (!err)
		err = handler(x);
	if (database)
		reg_reader_give(x);
	return err;
}

void reg_reader_give(struct exec *x)
{
	if (x->db)
		store_snapshot_end(x->db);
	store_reader_done(x->r->store, x->db);
	x->db = NULL;
}

enum ceir_err reg_reader_take(struct exec *x)
{
	x->db = store_reader(x->r->store);
	return x->db ? store_snapshot_begin(x->db) : CEIR_ESTORE;
}

/* An answer that does not fit (out->max) is replaced by a failure; those before it in the buffer stay. */
static void render_or_fail(struct exec *x, reg_render render, void *face, struct buf *out, size_t from)
{
	bool failed_before = out->failed;

	render(face, x->c, x->reply, out);
	if (!out->failed || failed_before)
		return;
	log_error("registry", "%s of %s: the answer is too large", reg_verb_name(x->c->verb), x->s->who.clid);
	out->failed = false;
	out->n = from;
	fail(x);
	render(face, x->c, x->reply, out);
}

static void execute_read(struct exec *x, reg_render render, void *face, struct buf *out)
{
	struct store_audit a = {.at_us = x->now_us};
	size_t from = out->n;
	enum ceir_err err = CEIR_OK;

	if (!reg_refused(x))
		err = run_reader(x);
	if (err) {
		log_error("registry", "%s of %s: %s", reg_verb_name(x->c->verb), x->s->who.clid, ceir_err_text(err));
		fail(x);
	}
	render_or_fail(x, render, face, out, from);
	fill_audit(x, since(out, from), &a);
	/*
	 * Checks and greetings say nothing of a person and come by the ten thousand: their rows are in the file, safe from a kill,
	 * before the answer goes out, but the answer does not wait for the disk.
	 */
	bool relaxed = x->c->verb == REG_CHECK || x->c->verb == REG_HELLO || is_sightings(x->c);
	if (submit_record(x->s, &a, x->s->waiter, relaxed)) {
		/* No memory for the audit row: the answer must not go out either. */
		out->n = from;
		fail(x);
		render(face, x->c, x->reply, out);
	}
}

/* ---- commands that write ---- */

struct transform {
	struct exec *x;
	reg_render render;
	void *face;
	struct buf *out;
	size_t from;
	bool failed_before;     /* the buffer was full already */
	struct reg_reply first; /* as it was before the handler */
};

static enum ceir_err run_handler(struct exec *x)
{
	reg_handler handler = x->c->verb == REG_LOGIN ? reg_login_write : route(x->c);
	enum ceir_err err = store_mark(x->db);

	if (err)
		return err;
	err = handler ? handler(x) : CEIR_ESTATE;
	if (err)
		return err; /* the whole job is taken back */
	/* A refused login still counts its failure. */
	bool keep_it = !reg_refused(x) || x->c->verb == REG_LOGIN;
	if (!keep_it)
		x->publications = NULL;
	return store_unmark(x->db, keep_it);
}

static enum ceir_err run_transform(struct store_conn *c, void *arg)
{
	struct transform *t = arg;
	struct exec *x = t->x;
	struct store_audit a = {.at_us = x->now_us};

	/* May run a second time. */
	*x->reply = t->first;
	x->publications = NULL;
	x->audit_name = (struct str){NULL, 0};
	x->accounts_changed = x->wake_worker = x->wake_intake = x->tables_changed = false;
	x->policy_version = 0;
	t->out->n = t->from;
	t->out->failed = t->failed_before;
	x->db = c;
	x->transaction = store_audit_next(c);
	enum ceir_err err = run_handler(x);
	if (err)
		return err;
	t->render(t->face, x->c, x->reply, t->out);
	fill_audit(x, since(t->out, t->from), &a);
	return t->out->failed ? CEIR_ENOMEM : store_audit_append(c, &a);
}

static void publish_transform(void *arg)
{
	struct exec *x = ((struct transform *)arg)->x;

	reg_publish(x->r, x->publications);
	if (reg_refused(x))
		return;
	if (x->accounts_changed)
		atomic_fetch_add(&x->r->accounts_version, 1);
	if (x->tables_changed)
		reg_class_tables_changed(x->r);
	if (x->policy_version)
		reg_class_policy(x->r, x->policy_version, x->policy_dry, x->policy_force);
}

/*
 * The command has no effect, but that it failed shall stand in the log if the database takes it. Nobody waits for that row: it
 * must not turn answers before it into failures when the disk is full.
 */
static void fail_write(struct exec *x, const struct transform *t)
{
	struct store_audit a = {.at_us = x->now_us};

	t->out->n = t->from;
	t->out->failed = t->failed_before;
	fail(x);
	t->render(t->face, x->c, x->reply, t->out);
	fill_audit(x, since(t->out, t->from), &a);
	if (submit_record(x->s, &a, NULL, false))
		log_error("registry", "a failed command of %s is not in the audit log: memory is out", x->s->who.clid);
}

static void execute_write(struct exec *x, reg_render render, void *face, struct buf *out)
{
	struct transform t = {.x = x, .render = render, .face = face, .out = out, .from = out->n,
		.failed_before = out->failed, .first = *x->reply};
	/* Registering a device asks the verdict table, which must hold every commit before. */
	bool alone = x->c->verb == REG_CREATE && x->c->object && strcmp(x->c->object->name, "imei") == 0;
	struct store_job job = {.run = run_transform, .done = publish_transform, .arg = &t, .bulk = alone};

	if (x->c->verb == REG_LOGIN)
		reg_login_claim(x);
	enum ceir_err err = store_run(x->r->store, &job);
	if (err) {
		log_error("registry", "%s %s of %s failed: %s", reg_verb_name(x->c->verb), x->c->object ? x->c->object->name : "",
			x->s->who.clid, ceir_err_text(err));
		fail_write(x, &t);
	}
	if (x->c->verb == REG_LOGIN)
		reg_login_finish(x, !err);
	if (!err && x->wake_worker && !reg_refused(x))
		reg_work_wake(x->r);
	if (!err && x->wake_intake && !reg_refused(x))
		reg_intake_wake(x->r);
}

/* ---- the door ---- */

static void count(struct registry *r, const struct reg_command *c, const struct reg_reply *reply)
{
	atomic_fetch_add_explicit(&r->commands, 1, memory_order_relaxed);
	if (reply->code >= 2000)
		atomic_fetch_add_explicit(&r->refused, 1, memory_order_relaxed);
	else if (is_transform(c))
		atomic_fetch_add_explicit(&r->transforms, 1, memory_order_relaxed);
}

void reg_execute(struct reg_session *s, const struct reg_command *c, struct arena *arena, reg_render render, void *face, struct buf *out)
{
	struct reg_reply reply = {.code = REG_DONE};
	struct exec x = {.r = s->r, .s = s, .c = c, .arena = arena, .reply = &reply, .now_us = reg_trid_us(s->r)};

	reg_svtrid(s->r, x.now_us, reply.svtrid);
	enum ceir_err err = prepare(&x);
	if (!err && writes(c) && !reg_refused(&x) && c->verb == REG_LOGIN)
		err = reg_login_prepare(&x);
	if (err) {
		log_error("registry", "%s: %s", reg_verb_name(c->verb), ceir_err_text(err));
		fail(&x);
	}
	if (writes(c) && !reg_refused(&x))
		execute_write(&x, render, face, out);
	else
		execute_read(&x, render, face, out);
	reg_delivery_finish(&x);
	count(s->r, c, &reply);
}

/* ---- background work ---- */

struct background {
	struct exec x;
	reg_handler fn;
	void (*done)(void *); /* NULL: nothing more */
	struct reg_reply reply;
};

static enum ceir_err run_background(struct store_conn *c, void *arg)
{
	struct background *b = arg;

	b->x.db = c;
	b->x.publications = NULL;
	b->x.tables_changed = false;
	b->x.transaction = store_audit_next(c) - 1;
	return b->fn(&b->x);
}

static void publish_background(void *arg)
{
	struct background *b = arg;

	reg_publish(b->x.r, b->x.publications);
	if (b->x.tables_changed)
		reg_class_tables_changed(b->x.r);
	if (b->done)
		b->done(b->x.arg);
}

static enum ceir_err write_background(struct registry *r, struct arena *arena, struct background *b, void *arg, bool bulk)
{
	struct store_job job = {.run = run_background, .done = publish_background, .arg = b, .bulk = bulk};

	/* Never behind the commands that caused the work: their times run ahead of a clock that was set back. */
	int64_t now = clock_real_us(), last = atomic_load_explicit(&r->last_trid_us, memory_order_relaxed);

	b->reply.code = REG_DONE;
	b->x = (struct exec){.r = r, .arena = arena, .reply = &b->reply, .now_us = now > last ? now : last, .arg = arg};
	return store_run(r->store, &job);
}

enum ceir_err reg_write(struct registry *r, struct arena *arena, reg_handler fn, void *arg, bool bulk)
{
	struct background b = {.fn = fn};

	return write_background(r, arena, &b, arg, bulk);
}

enum ceir_err reg_write_done(struct registry *r, struct arena *arena, reg_handler fn, void (*done)(void *), void *arg)
{
	struct background b = {.fn = fn, .done = done};

	return write_background(r, arena, &b, arg, true);
}

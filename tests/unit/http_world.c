/*
 * http_world.c - see http_world.h.
 */
#include "http_world.h"

#include <arpa/inet.h>
#include <ftw.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

char dir[] = "/tmp/ceir-http-XXXXXX";
struct tls_client *with_certificate, *without_certificate;

/* ---- a door made for the tests ------------------------------------------------------------------------------------ */

struct reg_session {
	struct reg_client client;
	char clid[17];
	bool logged_in, ended;
	unsigned failed;
	size_t lang;
};

struct reg_delivery {
	bool broken;
};

atomic_bool settle_fails, answers_twice, holds, ends, news;
atomic_bool list_is_empty;
atomic_int waited_ms;
atomic_uint sessions_open, sessions_made, logins, executed, waiting, dropped, deliveries, list_waits, list_waiting;
atomic_int begin_err;
static pthread_mutex_t seen_lock = PTHREAD_MUTEX_INITIALIZER;
static struct http_seen last; /* seen_lock */

const struct http_seen *seen(void)
{
	static struct http_seen copy;

	pthread_mutex_lock(&seen_lock);
	copy = last;
	pthread_mutex_unlock(&seen_lock);
	return &copy;
}

struct reg_session *reg_session_new(struct registry *r, const struct reg_client *client)
{
	struct reg_session *s = calloc(1, sizeof *s);

	(void)r;
	s->client = *client;
	atomic_fetch_add(&sessions_open, 1);
	atomic_fetch_add(&sessions_made, 1);
	return s;
}

void reg_session_free(struct reg_session *s)
{
	if (!s)
		return;
	atomic_fetch_sub(&sessions_open, 1);
	free(s);
}

void reg_session_speak(struct reg_session *s, size_t lang)
{
	s->lang = lang == REG_LANG_OF_ACCOUNT ? 0 : lang;
}

size_t reg_session_lang(const struct reg_session *s)
{
	return s->lang;
}

bool reg_session_ended(const struct reg_session *s)
{
	return s->ended;
}

enum ceir_err reg_settle(struct reg_session *s)
{
	return s->logged_in && atomic_load(&settle_fails) ? CEIR_ENOSPC : CEIR_OK;
}

enum ceir_err reg_delivery_begin(struct reg_session *s, const struct reg_delivery_start *start, struct reg_delivery **out)
{
	enum ceir_err err = atomic_load(&begin_err);

	assert_true(s->logged_in);
	if (err)
		return err;
	pthread_mutex_lock(&seen_lock);
	last.full = start->full;
	last.bytes = last.sum = 0;
	snprintf(last.name, sizeof last.name, "%.*s", (int)start->name.n, start->name.p ? start->name.p : "");
	snprintf(last.id, sizeof last.id, "%.*s", (int)start->id.n, start->id.p ? start->id.p : "");
	pthread_mutex_unlock(&seen_lock);
	*out = calloc(1, sizeof **out);
	atomic_fetch_add(&deliveries, 1);
	return CEIR_OK;
}

enum ceir_err reg_delivery_feed(struct reg_delivery *d, struct str bytes)
{
	uint64_t sum = 0;

	assert_false(d->broken);
	for (size_t i = 0; i < bytes.n; i++)
		sum += (unsigned char)bytes.p[i];
	pthread_mutex_lock(&seen_lock);
	last.bytes += bytes.n;
	last.sum += sum;
	pthread_mutex_unlock(&seen_lock);
	d->broken = bytes.n && bytes.p[0] == '!';
	return d->broken ? CEIR_EINVAL : bytes.n && bytes.p[0] == '?' ? CEIR_EIO : CEIR_OK;
}

void reg_delivery_drop(struct reg_delivery *d)
{
	if (!d)
		return;
	atomic_fetch_add(&dropped, 1);
	free(d);
}

enum ceir_err reg_list_wait(struct reg_session *s, const struct reg_command *c, int64_t wait_us, bool (*enough)(void *face), void *face)
{
	int64_t until = clock_mono_us() + wait_us;
	enum ceir_err err = CEIR_OK;

	assert_true(s->logged_in && c->list->delta && !c->refused);
	atomic_store(&waited_ms, (int)(wait_us / 1000));
	atomic_fetch_add(&list_waits, 1);
	atomic_fetch_add(&list_waiting, 1);
	while (!err && !atomic_load(&news)) {
		usleep(1000);
		err = enough(face) ? CEIR_ECLOSED : clock_mono_us() > until ? CEIR_ETIMEOUT : CEIR_OK;
	}
	atomic_fetch_sub(&list_waiting, 1);
	return err;
}

void reg_list_wake(struct registry *r)
{
	(void)r;
}

static void login(struct reg_session *s, const struct reg_login *l, struct reg_reply *reply)
{
	assert_false(s->logged_in);
	assert_true(l->http);
	atomic_fetch_add(&logins, 1);
	if (l->by_certificate)
		snprintf(s->clid, sizeof s->clid, "certificate");
	else
		snprintf(s->clid, sizeof s->clid, "%.*s", (int)l->clid.n, l->clid.p);
	s->logged_in = l->by_certificate ? s->client.has_certificate : str_eq_c(l->pw, "good");
	if (s->logged_in)
		return;
	s->ended = ++s->failed == 3;
	reply->code = s->ended ? REG_AUTH_CLOSING : REG_AUTHENTICATION;
}

static void print_nodes(const struct reg_node *n, char *out, size_t size)
{
	size_t at = 0;

	out[0] = '\0';
	for (; n; n = n->next)
		at += (size_t)snprintf(out + at, size - at, "%s=%.*s;", n->field->name, (int)n->text.n, n->text.p);
}

static void remember(const struct reg_session *s, const struct reg_command *c)
{
	pthread_mutex_lock(&seen_lock);
	snprintf(last.request, sizeof last.request, "%.*s", (int)c->request.n, c->request.p);
	snprintf(last.cltrid, sizeof last.cltrid, "%.*s", (int)c->cltrid.n, c->cltrid.p);
	snprintf(last.who, sizeof last.who, "%s", s->clid);
	snprintf(last.object, sizeof last.object, "%s", c->object ? c->object->name : "");
	last.verb = c->verb;
	print_nodes(c->key, last.key, sizeof last.key);
	print_nodes(c->set, last.set, sizeof last.set);
	snprintf(last.body, sizeof last.body, "%.*s", (int)c->body.n, c->body.p ? c->body.p : "");
	last.want_file = c->want_file;
	last.has_list = c->list != NULL;
	if (c->list)
		last.list = *c->list;
	last.limit = c->query ? c->query->limit : 0;
	pthread_mutex_unlock(&seen_lock);
}

static struct reg_file *file_new(struct arena *arena, const char *text)
{
	struct reg_file *f = arena_alloc(arena, sizeof *f);

	f->fd = memfd_create("list", MFD_CLOEXEC);
	f->bytes = strlen(text);
	f->rows = list_is_empty ? 0 : 2;
	f->from = 5;
	f->to = 9;
	assert_int_equal(write(f->fd, text, f->bytes), (ssize_t)f->bytes);
	lseek(f->fd, 0, SEEK_SET);
	snprintf(f->media_type, sizeof f->media_type, "text/csv; charset=utf-8");
	snprintf(f->digest, sizeof f->digest, "%s", DIGEST);
	snprintf(f->signature, sizeof f->signature, "0123abcd");
	snprintf(f->name, sizeof f->name, "bl\"ack.csv");
	return f;
}

static void execute(struct reg_session *s, const struct reg_command *c, struct arena *arena, struct reg_reply *reply)
{
	struct reg_node *id = arena_alloc(arena, sizeof *id);
	struct reg_check_item *item = arena_alloc(arena, sizeof *item);

	if (c->verb == REG_CHECK) {
		atomic_fetch_add(&waiting, 1);
		while (atomic_load(&holds))
			usleep(1000);
		*item = (struct reg_check_item){.name = c->names[0], .has_verdict = c->names[0].n == 15, .verdict = {.colour = VERDICT_GREY}};
		reply->checks = item;
		reply->n_checks = 1;
		reply->data = REG_DATA_CHECK;
	} else if (c->verb == REG_CREATE && strcmp(c->object->name, "delivery") == 0) {
		reply->code = atomic_load(&begin_err) == CEIR_EPERM ? REG_AUTHORIZATION : c->delivery->broken ? REG_SYNTAX : REG_PENDING;
		id->field = c->object->fields;
		id->text = STR("DEL-1");
		reply->fields = id;
		reply->data = REG_DATA_CREATE;
		free(c->delivery);
	} else if (c->list || c->want_file) {
		reply->file = c->key && str_eq_c(c->key->text, "NONE") ? NULL : file_new(arena, "imei\n1\n2\n");
		reply->data = REG_DATA_INFO;
	} else if (c->verb == REG_QUERY) {
		struct reg_page *page = arena_alloc(arena, sizeof *page);

		reply->page = page;
		reply->data = REG_DATA_QUERY;
	}
	s->ended = s->ended || atomic_load(&ends);
}

void reg_execute(
	struct reg_session *s, const struct reg_command *c, struct arena *arena, reg_render render, void *face, struct buf *out)
{
	struct reg_reply reply = {.code = c->refused ? c->refused : REG_DONE, .details = c->refused_details, .object = c->object};
	size_t from = out->n;

	snprintf(reply.svtrid, sizeof reply.svtrid, "TEST-%u", atomic_fetch_add(&executed, 1));
	assert_true(c->cltrid.n >= 3);
	if (c->verb == REG_LOGIN) {
		assert_int_equal(c->secret, !c->login->by_certificate);
		login(s, c->login, &reply);
	} else {
		assert_true(s->logged_in);
		remember(s, c);
		if (!c->refused)
			execute(s, c, arena, &reply);
	}
	render(face, c, &reply, out);
	if (atomic_load(&answers_twice)) {
		out->n = from;
		render(face, c, &reply, out);
	}
}

/* ---- the tests' world --------------------------------------------------------------------------------------------- */

int remove_one(const char *name, const struct stat *st, int type, struct FTW *where)
{
	(void)st;
	(void)type;
	(void)where;
	return remove(name);
}

const char *path(const char *name)
{
	static char paths[8][128];
	static unsigned turn;
	char *p = paths[turn++ % 8];

	snprintf(p, sizeof paths[0], "%s/%s", dir, name);
	return p;
}

int make_world(void **state)
{
	static const char *const names[] = {"localhost", "127.0.0.1", "::1"};

	(void)state;
	log_setup(stderr, false, LOG_ERROR_);
	signal(SIGPIPE, SIG_IGN);
	if (!mkdtemp(dir) || tls_ca_create(dir, "ceir test") || tls_ca_issue(dir, "server", TLS_USE_SERVER, names, 3, 1, NULL) ||
		tls_ca_issue(dir, "client", TLS_USE_CLIENT, NULL, 0, 1, NULL))
		return -1;
	if (tls_client_new(path("ca.crt"), path("client.crt"), path("client.key"), &with_certificate))
		return -1;
	return tls_client_new(path("ca.crt"), NULL, NULL, &without_certificate) ? -1 : 0;
}

int remove_world(void **state)
{
	(void)state;
	tls_client_free(with_certificate);
	tls_client_free(without_certificate);
	return nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

struct http_settings settings;

struct http_server *server_new(void)
{
	struct http_server *server;

	atomic_store(&settle_fails, false);
	atomic_store(&answers_twice, false);
	atomic_store(&holds, false);
	atomic_store(&ends, false);
	atomic_store(&news, false);
	atomic_store(&list_waits, 0);
	atomic_store(&list_waiting, 0);
	atomic_store(&begin_err, CEIR_OK);
	atomic_store(&waiting, 0);
	atomic_store(&logins, 0);
	atomic_store(&executed, 0);
	atomic_store(&sessions_made, 0);
	atomic_store(&dropped, 0);
	atomic_store(&deliveries, 0);
	assert_int_equal(http_server_new(&settings, NULL, &server), CEIR_OK);
	return server;
}

int usual_settings(void **state)
{
	static char cert[128], key[128], ca[128];

	(void)state;
	snprintf(cert, sizeof cert, "%s/server.crt", dir);
	snprintf(key, sizeof key, "%s/server.key", dir);
	snprintf(ca, sizeof ca, "%s/ca.crt", dir);
	settings = (struct http_settings){.listen = "127.0.0.1:0",
		.cert = cert,
		.key = key,
		.ca = ca,
		.max_connections = 20,
		.max_connections_address = 20,
		.idle_timeout_s = 30,
		.max_body_bytes = 4096,
		.basic = true};
	return 0;
}

void server_end(struct http_server *server)
{
	http_server_stop(server);
	assert_int_equal(atomic_load(&sessions_open), 0);
	http_server_free(server);
}

int plain_connect(const struct http_server *server)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
		.sin_port = htons((uint16_t)atoi(strrchr(http_server_address(server), ':') + 1)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
	return fd;
}

struct tls *client_new(const struct http_server *server, struct tls_client *as)
{
	char why[200] = "";
	struct tls *t;

	if (tls_connect(as, plain_connect(server), "127.0.0.1", TIMEOUT_MS, &t, why, sizeof why) != CEIR_OK)
		fail_msg("%s: %s", http_server_address(server), why);
	return t;
}

/* Value of a header, "" when it is not there. */
const char *header(const struct answer *a, const char *name)
{
	static char value[512];
	size_t n = strlen(name);

	value[0] = '\0';
	for (const char *line = strstr(a->head, "\r\n"); line; line = strstr(line, "\r\n")) {
		line += 2;
		if (strncasecmp(line, name, n) == 0 && line[n] == ':')
			snprintf(value, sizeof value, "%.*s", (int)strcspn(line + n + 2, "\r"), line + n + 2);
	}
	return value;
}

void send_text(struct tls *t, const char *text)
{
	assert_int_equal(tls_write(t, text, strlen(text), TIMEOUT_MS), CEIR_OK);
}

/* The next response; bodies by Content-Length. */
struct answer *receive(struct tls *t, bool head_only)
{
	static struct answer a;
	size_t n = 0, got;
	char *end;

	memset(&a, 0, sizeof a);
	while (!(end = strstr(a.head, "\r\n\r\n"))) {
		assert_true(n < sizeof a.head - 1);
		if (tls_read(t, a.head + n, sizeof a.head - 1 - n, &got, TIMEOUT_MS) != CEIR_OK)
			return &a;
		n += got;
	}
	a.n_body = n - (size_t)(end + 4 - a.head);
	memcpy(a.body, end + 4, a.n_body);
	end[2] = '\0';
	a.status = atoi(a.head + 9);
	size_t length = head_only || a.status == 304 || a.status == 204 ? 0 : (size_t)atoi(header(&a, "Content-Length"));
	while (a.n_body < length) {
		assert_int_equal(tls_read(t, a.body + a.n_body, length - a.n_body, &got, TIMEOUT_MS), CEIR_OK);
		a.n_body += got;
	}
	assert_int_equal(a.n_body, length);
	return &a;
}

struct answer *ask(struct tls *t, const char *line, const char *headers, const char *body)
{
	char text[8192];

	snprintf(text, sizeof text, "%s HTTP/1.1\r\nHost: localhost\r\n%s\r\n%s", line, headers, body);
	send_text(t, text);
	return receive(t, strncmp(line, "HEAD", 4) == 0);
}

void expect(const struct answer *a, int status, const char *part)
{
	if (a->status != status || !strstr(a->body, part))
		fail_msg("%d and \"%s\" wanted, not %s\n%s", status, part, a->head, a->body);
}

void expect_closed(struct tls *t)
{
	assert_int_equal(receive(t, false)->status, 0);
	tls_close(t);
}

void wait_until(atomic_uint *value, unsigned want)
{
	for (unsigned i = 0; i < TIMEOUT_MS && atomic_load(value) != want; i++)
		usleep(1000);
	assert_int_equal(atomic_load(value), want);
}

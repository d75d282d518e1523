/*
 * ftps_login.c - who comes in: pure-ftpd's questions, each on a connection of its own, become logins at the door.
 *
 * One thread accepts, a few look. What waits is bounded and so is how long: a flood of wrong passwords costs its senders their turn (pure-ftpd
 * makes each wait longer after each failure) and nobody else more than that of the Argon2 turns he would wait for over EPP.
 */
#include "ftps/ftps_internal.h"

#include <errno.h>
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define QUESTION_MS 5000                /* to ask in */
#define STALE_US (20 * 1000000LL)       /* who waited so long is refused without a look */
#define ARENA_BYTES ((size_t)1 << 20)
#define ANSWER_BYTES ((size_t)16384)

/* ---- one question ---- */

struct outcome {
	unsigned code;
	char svtrid[REG_SVTRID_MAX];
};

/* The digest in the audit log is that of these bytes. */
static void outcome_render(void *face, const struct reg_command *c, const struct reg_reply *reply, struct buf *out)
{
	struct outcome *o = face;

	(void)c;
	o->code = reply->code;
	memcpy(o->svtrid, reply->svtrid, sizeof o->svtrid);
	buf_printf(out, "%u %s\n", (unsigned)reply->code, reply->svtrid);
}

/* The session at the door is over with the login: what comes later are files, and those have a session of their own. */
static enum ceir_err ask_door(struct ftps_server *s, const struct ftps_request *q, struct str text, struct outcome *o)
{
	struct reg_client client = {.has_certificate = false};
	struct reg_login login = {.clid = q->account, .pw = q->password, .ftps = true};
	struct reg_command command = {.verb = REG_LOGIN, .request = text, .secret = true, .login = &login};
	struct arena *arena = arena_new(ARENA_BYTES);
	struct buf out = BUF_INIT(ANSWER_BYTES);
	struct outcome end;
	struct reg_session *session;
	enum ceir_err err = CEIR_ENOMEM;

	snprintf(client.address, sizeof client.address, "%.*s", (int)(q->peer.n < 63 ? q->peer.n : 63), q->peer.p);
	session = arena ? reg_session_new(s->registry, &client) : NULL;
	if (session) {
		reg_execute(session, &command, arena, outcome_render, o, &out);
		err = reg_settle(session);
		if (!err && o->code < 2000) {
			struct reg_command logout = {.verb = REG_LOGOUT, .request = STR("logout")};

			reg_execute(session, &logout, arena, outcome_render, &end, &out);
			err = reg_settle(session);
		}
		reg_session_free(session);
	}
	if (!err && out.failed)
		err = CEIR_ENOMEM;
	buf_free(&out);
	arena_free(arena);
	return err;
}

struct left_over {
	struct ftps_server *s;
	struct str account;
	unsigned failed;
};

static void take_left_over(void *ctx, const char *name)
{
	struct left_over *l = ctx;

	l->failed += ftps_take_file(l->s, l->account, name) != CEIR_OK;
}

/* The folder as the session wants it; what was complete before a crash is taken before the client can look for it. */
static enum ceir_err prepare_home(struct ftps_server *s, struct str account, char home[PATH_MAX])
{
	struct left_over l = {.s = s, .account = account};
	enum ceir_err err = ftps_take_home(s, account, home);

	if (!err)
		err = ftps_home_complete(home, take_left_over, &l);
	if (l.failed) /* the next login tries again */
		log_warn(FTPS_ROOM, "%.*s: %u complete files are still in in/", (int)account.n, account.p, l.failed);
	if (!err)
		err = ftps_home_prepare(home, &s->owner);
	if (err)
		log_error(FTPS_ROOM, "%.*s: the folder cannot be made ready: %s", (int)account.n, account.p, ceir_err_text(err));
	return err;
}

static void answer_question(struct ftps_server *s, struct str text, struct buf *out)
{
	struct ftps_request q;
	struct outcome o = {.code = 0};
	char home[PATH_MAX];
	enum ceir_err err = ftps_request_parse(text, &q);

	if (err) {
		log_warn(FTPS_ROOM, "a question of pure-ftpd is not understood");
	} else if (!q.encrypted) {
		/* pure-ftpd does not let it come to this; a password that went through the open is not even looked at. */
		log_warn(FTPS_ROOM, "%.*s: a login without TLS is refused", (int)q.peer.n, q.peer.p);
		err = CEIR_EPERM;
	} else if ((err = ask_door(s, &q, text, &o)) != CEIR_OK) {
		log_error(FTPS_ROOM, "%.*s: a login is not answered: %s", (int)q.peer.n, q.peer.p, ceir_err_text(err));
	} else if (o.code >= 2000) {
		log_info(FTPS_ROOM, "%.*s: login refused, %u %s", (int)q.peer.n, q.peer.p, o.code, o.svtrid);
		err = CEIR_EPERM;
	} else {
		err = prepare_home(s, q.account, home);
	}
	struct ftps_welcome w = {.uid = s->owner.uid, .gid = s->owner.gid, .dir = home, .quota_files = s->settings.quota_files,
		.quota_mib = s->settings.quota_mib};
	ftps_answer_print(out, err ? NULL : &w);
}

/* false: it did not come whole in time. */
static bool read_question(int fd, char text[FTPS_REQUEST_MAX], size_t *n)
{
	int64_t until = clock_mono_us() + QUESTION_MS * 1000;

	*n = 0;
	while (!ftps_request_complete((struct str){text, *n})) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		int64_t left = (until - clock_mono_us()) / 1000;
		ssize_t got;

		if (left <= 0 || *n == FTPS_REQUEST_MAX || (poll(&p, 1, (int)left) < 0 && errno != EINTR))
			return false;
		got = recv(fd, text + *n, FTPS_REQUEST_MAX - *n, MSG_DONTWAIT);
		if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
			return false;
		*n += got > 0 ? (size_t)got : 0;
	}
	return true;
}

static void serve_question(struct ftps_server *s, const struct ftps_waiting *w)
{
	struct buf out = BUF_INIT(ANSWER_BYTES);
	char text[FTPS_REQUEST_MAX];
	size_t n;

	if (clock_mono_us() - w->since_us > STALE_US) {
		log_warn(FTPS_ROOM, "too many logins: one that waited %d s is refused", (int)(STALE_US / 1000000));
		ftps_answer_print(&out, NULL);
	} else if (read_question(w->fd, text, &n)) {
		answer_question(s, (struct str){text, n}, &out);
	}
	sodium_memzero(text, sizeof text);
	/* pure-ftpd reads once; a few hundred bytes go in one piece. */
	if (!out.failed && out.n > 0 && send(w->fd, out.p, out.n, MSG_NOSIGNAL) != (ssize_t)out.n)
		log_debug(FTPS_ROOM, "a login's session is gone");
	buf_free(&out);
	close(w->fd);
}

/* ---- the queue ---- */

static void *worker_run(void *arg)
{
	struct ftps_server *s = arg;

	pthread_mutex_lock(&s->login_lock);
	for (;;) {
		while (s->n_waiting == 0 && !atomic_load(&s->stopping))
			pthread_cond_wait(&s->login_came, &s->login_lock);
		if (atomic_load(&s->stopping))
			break;
		struct ftps_waiting w = s->waiting[s->first_waiting];

		s->first_waiting = (s->first_waiting + 1) % FTPS_WAITING;
		s->n_waiting--;
		pthread_mutex_unlock(&s->login_lock);
		serve_question(s, &w);
		pthread_mutex_lock(&s->login_lock);
	}
	pthread_mutex_unlock(&s->login_lock);
	return NULL;
}

static void queue_put(struct ftps_server *s, int fd)
{
	bool full;

	pthread_mutex_lock(&s->login_lock);
	full = s->n_waiting == FTPS_WAITING;
	if (!full) {
		s->waiting[(s->first_waiting + s->n_waiting) % FTPS_WAITING] = (struct ftps_waiting){fd, clock_mono_us()};
		s->n_waiting++;
		pthread_cond_signal(&s->login_came);
	}
	pthread_mutex_unlock(&s->login_lock);
	if (full) {
		log_warn(FTPS_ROOM, "too many logins wait: one is refused");
		close(fd);
	}
}

static void *acceptor_run(void *arg)
{
	struct ftps_server *s = arg;

	while (!atomic_load(&s->stopping)) {
		struct pollfd p[] = {{.fd = s->wake, .events = POLLIN}, {.fd = s->login_fd, .events = POLLIN}};
		int fd;

		if (poll(p, CEIR_COUNT(p), -1) < 0 || !p[1].revents)
			continue;
		fd = accept4(s->login_fd, NULL, NULL, SOCK_CLOEXEC);
		if (fd >= 0)
			queue_put(s, fd);
		else if (errno != EAGAIN && errno != EINTR)
			poll(p, 1, 100); /* no descriptors: later */
	}
	return NULL;
}

enum ceir_err ftps_login_start(struct ftps_server *s)
{
	enum ceir_err err = ftps_socket_listen(s->login_path, &s->login_fd);

	while (!err && s->n_workers < FTPS_WORKERS) {
		err = thread_start("ftps-login", worker_run, s, &s->login_workers[s->n_workers]);
		s->n_workers += !err;
	}
	if (!err)
		err = thread_start("ftps-accept", acceptor_run, s, &s->login_acceptor);
	s->login_accepting = !err;
	return err;
}

/* s->stopping is set and s->wake is readable. */
void ftps_login_stop(struct ftps_server *s)
{
	if (s->login_accepting)
		pthread_join(s->login_acceptor, NULL);
	pthread_mutex_lock(&s->login_lock);
	pthread_cond_broadcast(&s->login_came);
	pthread_mutex_unlock(&s->login_lock);
	for (unsigned i = 0; i < s->n_workers; i++)
		pthread_join(s->login_workers[i], NULL);
	for (; s->n_waiting > 0; s->n_waiting--) {
		close(s->waiting[s->first_waiting].fd);
		s->first_waiting = (s->first_waiting + 1) % FTPS_WAITING;
	}
	s->login_accepting = false;
	s->n_workers = 0;
}

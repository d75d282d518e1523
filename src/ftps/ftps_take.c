/*
 * ftps_take.c - what is complete: each session has a connection to us (ftps_preload.c), says a line on it for every complete upload and waits
 * for one byte. 'k': the file is in the queue and on the disk. One thread: the disk is one, and a session that waits is a client that waits.
 */
#include "ftps/ftps_internal.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct talk {
	int fd;
	struct buf line;                 /* what has come of it */
};

struct talks {
	struct talk *of;                 /* n in use, room for FTPS_CONNECTIONS */
	struct pollfd *polls;            /* wake, the listener, then one for each */
	size_t n;
};

enum ceir_err ftps_take_file(struct ftps_server *s, struct str account, const char *name)
{
	enum ceir_err err = files_uploaded(s->files, account, name);

	if (err)
		log_error(FTPS_ROOM, "%.*s: in/%s is complete and cannot be taken: %s", (int)account.n, account.p, name, ceir_err_text(err));
	else
		log_info(FTPS_ROOM, "%.*s: in/%s is taken", (int)account.n, account.p, name);
	return err;
}

enum ceir_err ftps_take_home(struct ftps_server *s, struct str account, char home[PATH_MAX])
{
	char path[PATH_MAX];
	enum ceir_err err = files_home(s->files, account, path);

	return err ? err : realpath(path, home) ? CEIR_OK : ceir_err_of_errno(errno);
}

static enum ceir_err take_line(struct ftps_server *s, struct str line)
{
	char path[PATH_MAX], home[PATH_MAX];
	struct str account;
	const char *name = NULL;
	enum ceir_err err = ftps_upload_parse(line, &account, path);

	if (!err)
		err = ftps_take_home(s, account, home);
	if (!err && !(name = ftps_upload_name(path, home)))
		err = CEIR_EINVAL;
	if (err) {
		log_error(FTPS_ROOM, "an upload cannot be told from \"%.*s\": %s", (int)(line.n < 300 ? line.n : 300), line.p, ceir_err_text(err));
		return err;
	}
	err = ftps_take_file(s, account, name);
	if (!err && (err = ftps_home_count(home, &s->owner)) != CEIR_OK) {
		/* It is taken all the same; the count is made again at the next login. */
		log_warn(FTPS_ROOM, "%.*s: the quota's count is not written: %s", (int)account.n, account.p, ceir_err_text(err));
		err = CEIR_OK;
	}
	return err;
}

/* false: the connection is of no more use. A line at a time: the session waits for its answer. */
static bool talk_serve(struct ftps_server *s, struct talk *t)
{
	char *room = buf_reserve(&t->line, 4096), answer;
	ssize_t got = room ? recv(t->fd, room, 4096, MSG_DONTWAIT) : 0;

	if (got <= 0)
		return got < 0 && (errno == EAGAIN || errno == EINTR);
	t->line.n += (size_t)got;
	if (t->line.p[t->line.n - 1] != '\n')
		return true;
	answer = take_line(s, (struct str){t->line.p, t->line.n - 1}) ? 'n' : 'k';
	buf_clear(&t->line);
	return send(t->fd, &answer, 1, MSG_NOSIGNAL | MSG_DONTWAIT) == 1;
}

static void talk_end(struct talks *all, size_t i)
{
	close(all->of[i].fd);
	buf_free(&all->of[i].line);
	all->of[i] = all->of[--all->n];
}

static void talk_begin(struct ftps_server *s, struct talks *all)
{
	int fd = accept4(s->notice_fd, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return;
	atomic_store(&s->heard, true);
	if (all->n == FTPS_CONNECTIONS) {
		close(fd);
		return;
	}
	all->of[all->n++] = (struct talk){.fd = fd, .line = BUF_INIT(FTPS_LINE_MAX)};
}

/* From the last to the first, because one that ends gives its place to the last. */
static void talks_serve(struct ftps_server *s, struct talks *all)
{
	for (size_t i = all->n; i-- > 0;)
		if (all->polls[2 + i].revents && !talk_serve(s, &all->of[i]))
			talk_end(all, i);
	if (all->polls[1].revents)
		talk_begin(s, all);
}

static void *taker_run(void *arg)
{
	struct ftps_server *s = arg;
	struct talks all = {.of = calloc(FTPS_CONNECTIONS, sizeof *all.of), .polls = calloc(FTPS_CONNECTIONS + 2, sizeof *all.polls)};

	if (!all.of || !all.polls)
		log_error(FTPS_ROOM, "memory is out: no upload can be taken");
	while (all.of && all.polls && !atomic_load(&s->stopping)) {
		all.polls[0] = (struct pollfd){.fd = s->wake, .events = POLLIN};
		all.polls[1] = (struct pollfd){.fd = s->notice_fd, .events = POLLIN};
		for (size_t i = 0; i < all.n; i++)
			all.polls[2 + i] = (struct pollfd){.fd = all.of[i].fd, .events = POLLIN};
		if (poll(all.polls, (nfds_t)(all.n + 2), -1) > 0)
			talks_serve(s, &all);
	}
	while (all.n > 0)
		talk_end(&all, all.n - 1);
	free(all.of);
	free(all.polls);
	return NULL;
}

enum ceir_err ftps_take_start(struct ftps_server *s)
{
	enum ceir_err err = ftps_socket_listen(s->notice_path, &s->notice_fd);

	if (!err)
		err = thread_start("ftps-take", taker_run, s, &s->taker);
	s->taking = !err;
	return err;
}

void ftps_take_stop(struct ftps_server *s)
{
	if (s->taking)
		pthread_join(s->taker, NULL);
	s->taking = false;
}

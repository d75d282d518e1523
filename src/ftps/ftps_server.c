/*
 * ftps_server.c - the FTPS face set up and taken down: paths, users, the certificate as pure-ftpd wants it.
 *
 *   DIR/ftps/server.pem    key and certificates in one file, 0600; made new at each start and reload
 *   DIR/ftps/login.sock    pure-ftpd asks who may come in
 *   DIR/ftps/done.sock     sessions say what is complete
 *   DIR/ftps/pid           pure-ftpd's own
 */
#include "ftps/ftps_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#define PEM_MAX ((size_t)1 << 20)
#define PRELOAD "ceir-ftps.so"

/* ---- what it needs ---- */

static enum ceir_err path_join(char out[PATH_MAX], const char *dir, const char *name)
{
	int n = snprintf(out, PATH_MAX, "%s/%s", dir, name);

	return n < 0 || n >= PATH_MAX ? CEIR_ERANGE : CEIR_OK;
}

static enum ceir_err make_paths(struct ftps_server *s)
{
	char base[PATH_MAX];
	enum ceir_err err;

	if (!realpath(s->settings.dir, base))
		return ceir_err_of_errno(errno);
	if ((err = path_join(s->dir, base, "ftps")) != CEIR_OK)
		return err;
	if (mkdir(s->dir, 0700) != 0 && errno != EEXIST) {
		log_error(FTPS_ROOM, "%s: %s", s->dir, strerror(errno));
		return ceir_err_of_errno(errno);
	}
	if ((err = path_join(s->login_path, s->dir, "login.sock")) != CEIR_OK || (err = path_join(s->notice_path, s->dir, "done.sock")) != CEIR_OK ||
		(err = path_join(s->pem_path, s->dir, "server.pem")) != CEIR_OK)
		return err;
	return path_join(s->pid_path, s->dir, "pid");
}

/* Beside the program in a build tree, else where it was installed; as the translations are looked for. */
static enum ceir_err find_preload(struct ftps_server *s)
{
	ssize_t n = readlink("/proc/self/exe", s->preload, PATH_MAX - sizeof "/" PRELOAD);
	char *slash;

	if (s->settings.preload[0]) {
		if (!realpath(s->settings.preload, s->preload))
			s->preload[0] = '\0';
	} else {
		s->preload[n > 0 ? n : 0] = '\0';
		if ((slash = strrchr(s->preload, '/')))
			memcpy(slash, "/" PRELOAD, sizeof "/" PRELOAD);
		if (access(s->preload, R_OK) != 0)
			snprintf(s->preload, sizeof s->preload, "%s", CEIR_LIBDIR "/" PRELOAD);
	}
	/* The loader takes a space or a colon for the end of a name. */
	if (s->preload[0] == '\0' || access(s->preload, R_OK) != 0 || strpbrk(s->preload, " :")) {
		log_error(FTPS_ROOM, "%s is not there, or its path has a space or a colon (ftps.preload)", s->preload[0] ? s->preload : s->settings.preload);
		return CEIR_ENOENT;
	}
	return CEIR_OK;
}

/* As root nobody's files shall be root's. */
static enum ceir_err find_owner(struct ftps_server *s)
{
	struct passwd entry, *found = NULL;
	char text[4096];

	s->owner = (struct ftps_owner){.uid = getuid(), .gid = getgid(), .root = getuid() == 0};
	if (!s->owner.root)
		return CEIR_OK;
	if (getpwnam_r(s->settings.user, &entry, text, sizeof text, &found) != 0 || !found || entry.pw_uid == 0 || entry.pw_gid == 0) {
		log_error(FTPS_ROOM, "ftps.user: there is no user \"%s\", or it is root", s->settings.user);
		return CEIR_ENOENT;
	}
	s->owner.uid = entry.pw_uid;
	s->owner.gid = entry.pw_gid;
	return CEIR_OK;
}

static enum ceir_err check_settings(struct ftps_server *s)
{
	const struct ftps_settings *set = &s->settings;

	if (ftps_ports_parse(str_of(set->passive_ports), &s->first_port, &s->last_port) != CEIR_OK) {
		log_error(FTPS_ROOM, "ftps.passive_ports: expected two ports as 40110-40409, 1024 or above, not \"%s\"", set->passive_ports);
		return CEIR_EINVAL;
	}
	/* pure-ftpd itself allows half as many sessions as there are ports, and says so to nobody. */
	if ((s->last_port - s->first_port + 1) / 2 < set->max_clients) {
		log_error(FTPS_ROOM, "ftps.passive_ports: %s is too few for ftps.max_clients = %u; each session needs two", set->passive_ports,
			set->max_clients);
		return CEIR_ERANGE;
	}
	if (access(set->daemon, X_OK) != 0) {
		log_error(FTPS_ROOM, "%s is not there (ftps.daemon); install pure-ftpd, or leave ftps.listen empty", set->daemon);
		return CEIR_ENOENT;
	}
	return CEIR_OK;
}

/* The privileged ports belong to a right that a user name space does not give. */
static enum ceir_err check_port(const struct ftps_server *s)
{
	FILE *f;
	unsigned least = 1024;

	if (s->owner.root)
		return CEIR_OK;
	f = fopen("/proc/sys/net/ipv4/ip_unprivileged_port_start", "re");
	if (f) {
		if (fscanf(f, "%u", &least) != 1)
			least = 1024;
		fclose(f);
	}
	if (s->port >= least)
		return CEIR_OK;
	log_error(FTPS_ROOM, "ftps.listen: not as root the port must be %u or above (net.ipv4.ip_unprivileged_port_start)", least);
	return CEIR_EPERM;
}

/* ---- the certificate ---- */

/* *changed: it is not what the file held before. */
static enum ceir_err make_pem(struct ftps_server *s, bool *changed)
{
	struct buf pem = BUF_INIT(2 * PEM_MAX), old = BUF_INIT(2 * PEM_MAX + 1);
	enum ceir_err err = file_read(s->settings.key, PEM_MAX, &pem);

	buf_char(&pem, '\n');
	if (!err)
		err = file_read(s->settings.cert, PEM_MAX, &pem);
	if (!err && pem.failed)
		err = CEIR_ENOMEM;
	*changed = !err && (file_read(s->pem_path, 2 * PEM_MAX, &old) != CEIR_OK || !str_eq_secret(buf_view(&old), buf_view(&pem)));
	if (*changed)
		err = file_write(s->pem_path, buf_view(&pem), 0600);
	if (pem.p)
		sodium_memzero(pem.p, pem.cap);
	if (old.p)
		sodium_memzero(old.p, old.cap);
	buf_free(&pem);
	buf_free(&old);
	if (err)
		log_error(FTPS_ROOM, "%s cannot be made of tls.key and tls.cert: %s", s->pem_path, ceir_err_text(err));
	return err;
}

/* ---- life ---- */

static enum ceir_err prepare(struct ftps_server *s)
{
	enum ceir_err err;
	bool changed;

	if ((err = check_settings(s)) != CEIR_OK || (err = make_paths(s)) != CEIR_OK || (err = find_preload(s)) != CEIR_OK ||
		(err = find_owner(s)) != CEIR_OK || (err = ftps_socket_resolve(s->settings.listen, s->host, &s->port)) != CEIR_OK ||
		(err = check_port(s)) != CEIR_OK || (err = make_pem(s, &changed)) != CEIR_OK)
		return err;
	snprintf(s->address, sizeof s->address, strchr(s->host, ':') ? "[%s]:%u" : "%s:%u", s->host, s->port);
	s->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return s->wake < 0 ? ceir_err_of_errno(errno) : CEIR_OK;
}

enum ceir_err ftps_server_new(const struct ftps_settings *settings, struct registry *r, struct files *f, struct ftps_server **out)
{
	struct ftps_server *s = calloc(1, sizeof *s);
	enum ceir_err err;

	if (!s)
		return CEIR_ENOMEM;
	s->settings = *settings;
	s->registry = r;
	s->files = f;
	s->wake = s->login_fd = s->notice_fd = s->log_read = s->log_write = s->lifeline = -1;
	pthread_mutex_init(&s->login_lock, NULL);
	pthread_cond_init(&s->login_came, NULL);
	pthread_mutex_init(&s->guard_lock, NULL);
	thread_cond_init(&s->guard_changed);
	if ((err = prepare(s)) == CEIR_OK && (err = ftps_take_start(s)) == CEIR_OK && (err = ftps_login_start(s)) == CEIR_OK)
		err = ftps_daemon_start(s);
	if (err) {
		ftps_server_stop(s);
		ftps_server_free(s);
		return err;
	}
	*out = s;
	return CEIR_OK;
}

const char *ftps_server_address(const struct ftps_server *s)
{
	return s->address;
}

enum ceir_err ftps_server_reload(struct ftps_server *s)
{
	bool changed;
	enum ceir_err err = make_pem(s, &changed);

	if (!err && changed)
		ftps_daemon_reload(s);
	return err;
}

/* The daemon first: whoever still uploads then does not get an answer, and comes again. */
void ftps_server_stop(struct ftps_server *s)
{
	const uint64_t one = 1;

	atomic_store(&s->stopping, true);
	if (s->wake >= 0 && write(s->wake, &one, sizeof one) < 0)
		log_debug(FTPS_ROOM, "wake: %s", strerror(errno)); /* it is awake */
	ftps_daemon_stop(s);
	ftps_login_stop(s);
	ftps_take_stop(s);
}

void ftps_server_free(struct ftps_server *s)
{
	if (!s)
		return;
	for (int *fds[] = {&s->wake, &s->login_fd, &s->notice_fd, &s->log_read, &s->log_write, NULL}, **p = fds; *p; p++)
		if (**p >= 0)
			close(**p);
	pthread_mutex_destroy(&s->login_lock);
	pthread_cond_destroy(&s->login_came);
	pthread_mutex_destroy(&s->guard_lock);
	pthread_cond_destroy(&s->guard_changed);
	free(s);
}

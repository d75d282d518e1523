/*
 * ceird_run.c - the server's life: lock, settings, certificates, register, EPP, HTTP, files, remotes, FTPS, then signals until one says stop.
 *
 * The main thread does nothing but wait for signals; they are blocked before the first other thread begins, so that no
 * thread is ever interrupted. Everything else happens in the threads of the rooms.
 */
#include "ceird.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "tls/tls.h"

#define ROOM "ceird"

struct run {
	const struct ceird_args *args;
	struct ceird_settings s;
	int lock;                /* the locked file; -1: none */
	struct registry *registry;
	struct tls_server *tls;
	struct epp_server *epp;
	struct http_server *http; /* NULL: none */
	struct files *files;      /* NULL: none */
	struct ftps_server *ftps; /* NULL: none */
	struct remotes *remotes;  /* NULL: none */
	struct reg_stats last;   /* as of the last line of counters */
	int64_t stats_at_us;
};

/* One ceird per data folder. The kernel drops the lock with the process, so a crash leaves nothing to clean. */
static enum ceir_err run_lock(struct run *r)
{
	char path[PATH_MAX], pid[24] = "";
	int n;

	if (ceird_path(path, r->args->dir, "ceird.lock") != CEIR_OK)
		return CEIR_ERANGE;
	r->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (r->lock < 0) {
		log_error(ROOM, "cannot open %s: %s", path, strerror(errno));
		return CEIR_EIO;
	}
	if (flock(r->lock, LOCK_EX | LOCK_NB) != 0) {
		ssize_t got = read(r->lock, pid, sizeof pid - 1);

		pid[got > 0 ? got : 0] = '\0';
		pid[strcspn(pid, "\n")] = '\0';
		log_error(ROOM, "%s is served by another ceird (process %s); stop that one first", r->args->dir, pid);
		return CEIR_EEXIST;
	}
	n = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
	if (ftruncate(r->lock, 0) != 0)
		return CEIR_EIO;
	return fd_write_all(r->lock, pid, (size_t)n);
}

/* SIGPIPE is never wanted: a peer that went away is an error of write(). The others wait for run_wait(). */
static void run_block_signals(sigset_t *set)
{
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(set);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, set, NULL);
}

/* Every session holds a descriptor, and so does every reader of the database. */
static void run_raise_limits(const struct run *r)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_max < r->s.epp.max_sessions + 2 * r->s.http.max_connections + 64)
		log_warn(ROOM,
			"%llu file descriptors are too few for epp.max_sessions = %u and http.max_connections = %u; raise the hard limit "
			"(LimitNOFILE=)",
			(unsigned long long)limit.rlim_max, r->s.epp.max_sessions, r->s.http.max_connections);
}

static void run_warn_readable(const char *path)
{
	struct stat st;

	if (stat(path, &st) == 0 && (st.st_mode & 077))
		log_warn(ROOM, "%s can be read by others; chmod 600 it", path);
}

/* The folder of translations: what is set; else po/ beside the program (a build tree); else where it was installed. */
static enum ceir_err run_load_locale(const struct run *r)
{
	char path[PATH_MAX];
	ssize_t n;
	char *slash;

	if (r->s.locale[0] != '\0')
		return i18n_load(r->s.locale);
	n = readlink("/proc/self/exe", path, sizeof path - sizeof "/po");
	if (n > 0 && n < (ssize_t)(sizeof path - sizeof "/po")) {
		path[n] = '\0';
		if ((slash = strrchr(path, '/'))) {
			memcpy(slash, "/po", sizeof "/po");
			if (access(path, X_OK) == 0)
				return i18n_load(path);
		}
	}
	return i18n_load(CEIR_LOCALEDIR);
}

/* Without its usual folder the server still speaks English; a folder somebody has named must be there. */
static enum ceir_err run_load_texts(const struct run *r)
{
	enum ceir_err err = run_load_locale(r);

	if (err == CEIR_OK)
		return CEIR_OK;
	if (r->s.locale[0] == '\0') {
		log_warn(ROOM, "no translations, English only: %s; see paths.locale in ceir.conf", ceir_err_text(err));
		return CEIR_OK;
	}
	log_error(ROOM, "cannot load the translations from %s (paths.locale): %s", r->s.locale, ceir_err_text(err));
	return err;
}

static enum ceir_err run_start_files(struct run *r)
{
	struct ceird_settings *s = &r->s;
	enum ceir_err err;

	if (!s->files_enabled)
		return CEIR_OK;
	if (i18n_find(str_of(s->files_lang), &s->files.lang) != CEIR_OK) {
		log_warn(ROOM, "files.lang: there are no translations into \"%s\"; files are answered in English", s->files_lang);
		s->files.lang = 0;
	}
	if ((err = files_new(&s->files, r->registry, &r->files)) != CEIR_OK)
		log_error(ROOM, "cannot look after %s/files: %s; files.enabled = false does without", r->args->dir, ceir_err_text(err));
	return err;
}

static enum ceir_err run_start_ftps(struct run *r)
{
	enum ceir_err err;

	if (r->s.ftps.listen[0] == '\0')
		return CEIR_OK;
	if ((err = ftps_server_new(&r->s.ftps, r->registry, r->files, &r->ftps)) != CEIR_OK)
		log_error(ROOM, "cannot serve FTPS on %s (ftps.listen): %s", r->s.ftps.listen, ceir_err_text(err));
	return err;
}

static enum ceir_err run_start_remotes(struct run *r)
{
	enum ceir_err err = remotes_new(&r->s.remote, r->registry, r->files, &r->remotes);

	if (err != CEIR_OK)
		log_error(ROOM, "cannot look after %s/remote: %s", r->args->dir, ceir_err_text(err));
	return err;
}

/* Everything up to the listening socket. What was begun is taken down by run_stop() whether this succeeds or not. */
static enum ceir_err run_start(struct run *r)
{
	struct ceird_settings *s = &r->s;
	enum ceir_err err;

	run_raise_limits(r);
	if ((err = run_load_texts(r)) != CEIR_OK)
		return err;
	run_warn_readable(s->key);
	if ((err = tls_server_new(s->cert, s->key, s->ca, &r->tls)) != CEIR_OK) {
		log_error(ROOM, "cannot use the certificates %s, %s and %s: %s", s->cert, s->key, s->ca, ceir_err_text(err));
		return err;
	}
	if ((err = registry_open(&s->reg, &r->registry)) != CEIR_OK) {
		log_error(ROOM, "cannot open the register in %s: %s; `ceird verify %s` says more", r->args->dir, ceir_err_text(err),
			r->args->dir);
		return err;
	}
	if ((err = epp_server_new(&s->epp, r->registry, r->tls, &r->epp)) != CEIR_OK) {
		log_error(ROOM, "cannot listen on %s (epp.listen): %s", s->epp.listen, ceir_err_text(err));
		return err;
	}
	if ((err = epp_server_start(r->epp)) != CEIR_OK) {
		log_error(ROOM, "cannot begin to serve: %s", ceir_err_text(err));
		return err;
	}
	if (s->http.listen[0] != '\0' && (err = http_server_new(&s->http, r->registry, &r->http)) != CEIR_OK)
		log_error(ROOM, "cannot listen on %s (http.listen): %s", s->http.listen, ceir_err_text(err));
	if (err == CEIR_OK)
		err = run_start_files(r);
	if (err == CEIR_OK)
		err = run_start_remotes(r);
	return err != CEIR_OK ? err : run_start_ftps(r);
}

static void run_stop(struct run *r)
{
	if (r->ftps) {
		ftps_server_stop(r->ftps);
		ftps_server_free(r->ftps);
	}
	if (r->remotes) {
		remotes_stop(r->remotes);
		remotes_free(r->remotes);
	}
	if (r->files) {
		files_stop(r->files);
		files_free(r->files);
	}
	if (r->http) {
		http_server_stop(r->http);
		http_server_free(r->http);
	}
	if (r->epp) {
		epp_server_stop(r->epp);
		epp_server_free(r->epp);
	}
	if (r->registry)
		registry_close(r->registry);
	if (r->tls)
		tls_server_free(r->tls);
	if (r->lock >= 0)
		close(r->lock);
}

/* SIGHUP: certificates, and of ceir.conf the log level. A file that cannot be used changes nothing. */
static void run_reload(struct run *r)
{
	struct ceird_settings fresh;
	enum ceir_err err = tls_server_reload(r->tls);

	if (err == CEIR_OK && r->http)
		err = http_server_reload(r->http);
	if (err == CEIR_OK && r->ftps)
		err = ftps_server_reload(r->ftps);
	if (err != CEIR_OK)
		log_error(ROOM, "reload: the certificates cannot be used, the old ones stay: %s", ceir_err_text(err));
	else
		log_info(ROOM, "reload: certificates read again");
	if (ceird_settings_load(&fresh, r->args, true) != CEIRD_DONE) {
		log_error(ROOM, "reload: ceir.conf cannot be used, the log level stays");
		return;
	}
	log_set_level(fresh.log_level);
	ceird_settings_free(&fresh);
}

/* systemd wants the monotonic time of a reload with the notice, to tell it from an older one (sd_notify(3)). */
static void run_notify_reloading(void)
{
	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%lld", (long long)clock_mono_us());
}

/* Counters for whoever watches the log; rates are over the time since the last such line. */
static void run_log_stats(struct run *r)
{
	struct reg_stats now;
	int64_t us = clock_mono_us();
	double s = (double)(us - r->stats_at_us) / 1e6;

	registry_stats(r->registry, &now);
	log_info(ROOM,
		"stats commands=%llu refused=%llu transforms=%llu commits=%llu verdicts=%llu verdict_bytes=%llu audit_seq=%llu "
		"change_seq=%llu commands_s=%.1f transforms_s=%.1f",
		(unsigned long long)now.commands, (unsigned long long)now.refused, (unsigned long long)now.transforms,
		(unsigned long long)now.commits, (unsigned long long)now.verdicts, (unsigned long long)now.verdict_bytes,
		(unsigned long long)now.audit_seq, (unsigned long long)now.change_seq,
		(double)(now.commands - r->last.commands) / s, (double)(now.transforms - r->last.transforms) / s);
	sd_notifyf(0, "STATUS=%llu commands, %llu refused", (unsigned long long)now.commands, (unsigned long long)now.refused);
	r->last = now;
	r->stats_at_us = us;
}

/* Returns the signal that ends the server. */
static int run_wait(struct run *r, const sigset_t *set)
{
	r->stats_at_us = clock_mono_us();
	for (;;) {
		struct timespec period = {.tv_sec = r->s.stats_s ? r->s.stats_s : 3600};
		int sig = sigtimedwait(set, NULL, &period);

		if (sig == SIGHUP) {
			run_notify_reloading();
			run_reload(r);
			sd_notify(0, "READY=1");
		} else if (sig > 0) {
			return sig;
		} else if (errno == EAGAIN && r->s.stats_s) {
			run_log_stats(r);
		}
	}
}

static enum ceir_err run_serve(struct run *r, const sigset_t *set)
{
	const char *http = r->http ? http_server_address(r->http) : "", *ftps = r->ftps ? ftps_server_address(r->ftps) : "";
	int sig;

	printf("ready epp=%s%s%s%s%s\n", epp_server_address(r->epp), http[0] ? " http=" : "", http, ftps[0] ? " ftps=" : "", ftps);
	if (fflush(stdout) != 0)
		log_warn(ROOM, "standard output cannot be written: %s", strerror(errno));
	log_info(ROOM, "ceird %s serves %s, epp=%s http=%s ftps=%s", CEIR_VERSION, r->args->dir, epp_server_address(r->epp),
		http[0] ? http : "none", ftps[0] ? ftps : "none");
	sd_notifyf(0, "READY=1\nSTATUS=Serving EPP on %s", epp_server_address(r->epp));
	sig = run_wait(r, set);
	log_info(ROOM, "%s: finishing what runs, then stopping", sig == SIGINT ? "interrupted" : "terminated");
	sd_notify(0, "STOPPING=1");
	return CEIR_OK;
}

enum ceird_exit ceird_run(const struct ceird_args *args)
{
	struct run r = {.args = args, .lock = -1};
	enum ceird_exit result = ceird_settings_load(&r.s, args, true);
	sigset_t set;
	enum ceir_err err;

	if (result != CEIRD_DONE)
		return result;
	umask(077);
	log_setup(stderr, r.s.log_json, r.s.log_level);
	run_block_signals(&set);
	if ((err = run_lock(&r)) == CEIR_OK && (err = run_start(&r)) == CEIR_OK)
		err = run_serve(&r, &set);
	run_stop(&r);
	if (err == CEIR_OK)
		log_info(ROOM, "stopped");
	ceird_settings_free(&r.s);
	return err == CEIR_OK ? CEIRD_DONE : CEIRD_FAILED;
}

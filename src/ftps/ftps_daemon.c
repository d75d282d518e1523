/*
 * ftps_daemon.c - pure-ftpd's command line, its log, and one thread that starts it again when it ends.
 */
#include "ftps/ftps_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FIRST_PAUSE_MS 100u
#define LONGEST_PAUSE_MS 30000u
#define STEADY_US (60 * 1000000LL) /* who ran so long begins again with the first pause */
#define START_MS 15000u            /* in which it must answer */
#define HEARD_TRIES 50u            /* of 20 ms */
#define ARGS 48u
#define LOG_LINE 2048u

/* ---- the command line ---- */

struct command_line {
	char texts[ARGS][PATH_MAX + 32];
	char *argv[ARGS + 1];
	char *envp[4];
	char preload[PATH_MAX + 16], notice[PATH_MAX + 24];
	size_t n;
};

__attribute__((format(printf, 2, 3))) static void add(struct command_line *c, const char *format, ...)
{
	va_list ap;

	CEIR_ASSERT(c->n < ARGS);
	va_start(ap, format);
	int n = vsnprintf(c->texts[c->n], sizeof c->texts[0], format, ap);
	va_end(ap);
	CEIR_ASSERT(n >= 0 && (size_t)n < sizeof c->texts[0]);
	c->argv[c->n] = c->texts[c->n];
	c->argv[++c->n] = NULL;
}

/* pure-ftpd(8) says what each letter means; nothing of its configuration files is read. */
static void command_line_make(const struct ftps_server *s, struct command_line *c)
{
	const struct ftps_settings *set = &s->settings;

	c->n = 0;
	add(c, "%s", set->daemon);
	add(c, "-S%s,%u", s->host, s->port);
	add(c, "-lextauth:%s", s->login_path);
	add(c, "-Oclf:%s", s->notice_path); /* ftps_preload.c makes it a connection to us */
	add(c, "-Y3");                      /* TLS on both channels, or nothing */
	add(c, "-2%s", s->pem_path);
	add(c, "-g%s", s->pid_path);
	add(c, "-p%u:%u", s->first_port, s->last_port);
	if (set->passive_address[0])
		add(c, "-P%s", set->passive_address);
	add(c, "-c%u", set->max_clients);
	add(c, "-C%u", set->max_clients_address);
	add(c, "-I%u", (set->idle_timeout_s + 59) / 60); /* minutes */
	add(c, "-n%u:%u", set->quota_files, set->quota_mib);
	add(c, "-k98"); /* no uploads when the disk is that full, in per cent */
	add(c, "-L10000:3");
	add(c, "-U177:077");
	add(c, "-u1");
	add(c, "-A"); /* everybody in his folder */
	add(c, "-E"); /* nobody anonymous */
	add(c, "-R"); /* no chmod */
	add(c, "-G"); /* no rename: it would not be told to us */
	add(c, "-x"); /* no files with a point first, neither written ... */
	add(c, "-X"); /* ... nor read */
	add(c, "-H"); /* no questions to the DNS */
	snprintf(c->preload, sizeof c->preload, "LD_PRELOAD=%s", s->preload);
	snprintf(c->notice, sizeof c->notice, "CEIR_FTPS_NOTICE=%s", s->notice_path);
	c->envp[0] = c->preload;
	c->envp[1] = c->notice;
	c->envp[2] = NULL;
}

/* ---- its log in ours ---- */

static void log_line(struct str line)
{
	enum log_level level = ftps_log_level(&line);

	if (line.n > 0)
		log_msg(level, FTPS_ROOM, "pure-ftpd: %.*s", (int)line.n, line.p);
}

static void *logger_run(void *arg)
{
	struct ftps_server *s = arg;
	char text[LOG_LINE];
	size_t n = 0;
	ssize_t got;

	while ((got = read(s->log_read, text + n, sizeof text - n)) > 0 || (got < 0 && errno == EINTR)) {
		struct str rest = {text, n += got > 0 ? (size_t)got : 0}, line;
		const char *feed;

		while ((feed = rest.n ? memchr(rest.p, '\n', rest.n) : NULL)) {
			line = (struct str){rest.p, (size_t)(feed - rest.p)};
			rest = (struct str){feed + 1, rest.n - line.n - 1};
			log_line(line);
		}
		if (rest.n == sizeof text) { /* no line is so long: away with it */
			log_line(rest);
			rest.n = 0;
		}
		memmove(text, rest.p, rest.n);
		n = rest.n;
	}
	return NULL;
}

/* ---- start, and start again ---- */

/* One life of pure-ftpd; the exit status of its guard. */
static int run_once(struct ftps_server *s)
{
	struct command_line c;
	struct ftps_plan plan = {.program = s->settings.daemon, .argv = c.argv, .envp = c.envp, .log = s->log_write};
	int status = 0, lifeline;
	pid_t guard;
	enum ceir_err err;

	command_line_make(s, &c);
	pthread_mutex_lock(&s->guard_lock);
	err = atomic_load(&s->stopping) ? CEIR_ECLOSED : ftps_guard_start(&plan, &guard, &lifeline);
	if (!err) {
		s->guard = guard;
		s->lifeline = lifeline;
	}
	pthread_mutex_unlock(&s->guard_lock);
	if (err) {
		if (err != CEIR_ECLOSED)
			log_error(FTPS_ROOM, "pure-ftpd cannot be started: %s", ceir_err_text(err));
		return -1;
	}
	while (waitpid(guard, &status, 0) < 0 && errno == EINTR)
		;
	pthread_mutex_lock(&s->guard_lock);
	s->guard = 0;
	if (s->lifeline >= 0)
		close(s->lifeline);
	s->lifeline = -1;
	pthread_mutex_unlock(&s->guard_lock);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static void pause_for(struct ftps_server *s, unsigned ms)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += (long)(ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&s->guard_lock);
	while (!atomic_load(&s->stopping) && pthread_cond_timedwait(&s->guard_changed, &s->guard_lock, &until) == 0)
		;
	pthread_mutex_unlock(&s->guard_lock);
}

static void *supervisor_run(void *arg)
{
	struct ftps_server *s = arg;
	unsigned pause = FIRST_PAUSE_MS;

	while (!atomic_load(&s->stopping)) {
		int64_t began = clock_mono_us();
		int status = run_once(s);

		if (atomic_load(&s->stopping))
			break;
		if (clock_mono_us() - began > STEADY_US)
			pause = FIRST_PAUSE_MS;
		if (status == 2) {
			atomic_store(&s->hopeless, true);
			log_error(FTPS_ROOM, "%s cannot be started%s", s->settings.daemon,
				s->owner.root ? "" : "; not as root it needs user name spaces (docs/ftps.md)");
		} else {
			log_warn(FTPS_ROOM, "pure-ftpd has ended; it is started again in %u ms", pause);
		}
		pause_for(s, pause);
		pause = pause * 2 > LONGEST_PAUSE_MS ? LONGEST_PAUSE_MS : pause * 2;
	}
	return NULL;
}

/* Only once it answers ceird is ready. */
static enum ceir_err wait_for_answer(const struct ftps_server *s)
{
	int64_t until = clock_mono_us() + START_MS * 1000LL;

	while (!ftps_socket_answers(s->host, s->port)) {
		if (atomic_load(&s->hopeless))
			return CEIR_EPERM;
		if (clock_mono_us() > until) {
			log_error(FTPS_ROOM, "pure-ftpd does not answer on %s after %u s", s->address, START_MS / 1000);
			return CEIR_ETIMEOUT;
		}
		(void)poll(NULL, 0, 20);
	}
	/* A session comes to us before it greets. One that does not would answer 226 and nobody would take the file. */
	for (unsigned i = 0; !atomic_load(&s->heard); i++) {
		if (i == HEARD_TRIES) {
			log_error(FTPS_ROOM, "pure-ftpd runs without %s (ftps.preload); see the lines before", s->preload);
			return CEIR_ESTATE;
		}
		(void)poll(NULL, 0, 20);
	}
	return CEIR_OK;
}

enum ceir_err ftps_daemon_start(struct ftps_server *s)
{
	int ends[2];
	enum ceir_err err;

	if (pipe2(ends, O_CLOEXEC) != 0)
		return ceir_err_of_errno(errno);
	s->log_read = ends[0];
	s->log_write = ends[1];
	err = thread_start("ftps-log", logger_run, s, &s->logger);
	s->logging = !err;
	if (!err) {
		err = thread_start("ftps-daemon", supervisor_run, s, &s->supervisor);
		s->supervising = !err;
	}
	return err ? err : wait_for_answer(s);
}

void ftps_daemon_reload(struct ftps_server *s)
{
	pthread_mutex_lock(&s->guard_lock);
	if (s->lifeline >= 0 && write(s->lifeline, "r", 1) != 1)
		log_warn(FTPS_ROOM, "reload: pure-ftpd is just ending"); /* the next one has the new certificate anyhow */
	pthread_mutex_unlock(&s->guard_lock);
}

/* s->stopping is set. The logger ends when the last one who could write has ended. */
void ftps_daemon_stop(struct ftps_server *s)
{
	pthread_mutex_lock(&s->guard_lock);
	if (s->lifeline >= 0)
		close(s->lifeline);
	s->lifeline = -1;
	pthread_cond_broadcast(&s->guard_changed);
	pthread_mutex_unlock(&s->guard_lock);
	if (s->supervising)
		pthread_join(s->supervisor, NULL);
	if (s->log_write >= 0)
		close(s->log_write);
	s->log_write = -1;
	if (s->logging)
		pthread_join(s->logger, NULL);
	s->supervising = s->logging = false;
}

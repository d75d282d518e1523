/*
 * ceird_settings.c - every setting of the server, in one table: ceir.conf, -o, `ceird config` and docs/operations.md come
 * from it.
 */
#include "ceird.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>

#define DAY_S 86400LL
#define THREADS_MAX 16 /* of struct triplets_settings */

const struct setting CEIRD_SETTINGS[] = {
	{"epp.listen", SETTING_TEXT, "127.0.0.1:7700", 0, 0,
		"Address and port of the EPP service; IPv6 as [::1]:7700; port 0 takes a free one. RFC 5734 gives EPP port 700."},
	{"epp.server_id", SETTING_TEXT, "ceir", 0, 0, "Name of the server in its greeting (svID), 3 to 64 characters."},
	{"epp.max_frame_bytes", SETTING_INT, "1048576", 1024, 64 << 20,
		"Largest frame taken, header included. A longer one closes the connection."},
	{"epp.max_sessions", SETTING_INT, "256", 1, 65536, "Connections at once; each has a thread."},
	{"epp.max_sessions_address", SETTING_INT, "64", 1, 65536, "Connections at once from one address."},
	{"epp.idle_timeout_s", SETTING_INT, "600", 1, DAY_S, "Seconds without a command after which a session is closed."},
	{"epp.frame_timeout_s", SETTING_INT, "30", 1, 3600,
		"Seconds in which a TLS handshake, a frame that has begun, or the sending of an answer must be complete."},
	{"epp.session_lifetime_s", SETTING_INT, "86400", 10, 30 * DAY_S, "Seconds after which a session is closed even when busy."},
	{"epp.max_depth", SETTING_INT, "32", 8, 256, "Deepest nesting of XML elements taken."},
	{"epp.max_names", SETTING_INT, "10000", 1, 100000, "Names in one check; rows in one application command."},
	{"epp.require_cltrid", SETTING_TEXT, "transforms", 0, 0,
		"Which commands must bring a clTRID: none, or transforms (those that change something)."},
	{"http.listen", SETTING_TEXT, "127.0.0.1:7743", 0, 0,
		"Address and port of the HTTP service (HTTPS: deliveries, sightings, lists); port 0 takes a free one; empty: none."},
	{"http.max_connections", SETTING_INT, "256", 1, 65536, "Connections at once; each has a thread."},
	{"http.max_connections_address", SETTING_INT, "64", 1, 65536, "Connections at once from one address."},
	{"http.max_waiting", SETTING_INT, "0", 0, 65536,
		"Requests that wait for a list (wait=SECONDS) at once; more are answered without waiting; 0: half of http.max_connections."},
	{"http.idle_timeout_s", SETTING_INT, "60", 1, DAY_S,
		"Seconds without a request after which a connection is closed; also in which the head of a request, and a small body, must be "
		"complete, and between two pieces of a delivery."},
	{"http.basic", SETTING_BOOL, "true", 0, 0,
		"Whether a name and a password (HTTP Basic, RFC 7617, over TLS) do in place of a client certificate, for accounts of operators "
		"that have none."},
	{"http.max_body_bytes", SETTING_INT, "4194304", 1024, 256 << 20, "Largest body taken of sightings and acknowledgements. Deliveries have no limit."},
	{"ftps.listen", SETTING_TEXT, "", 0, 0,
		"Address and port of the FTPS service, as 0.0.0.0:2121; port 0 takes a free one; empty: none. It needs pure-ftpd."},
	{"ftps.user", SETTING_TEXT, "nobody", 0, 0,
		"User that sessions are and that uploads belong to until they are taken, when ceird is root. Else it is ceird's own."},
	{"ftps.passive_ports", SETTING_TEXT, "40110-40409", 0, 0, "Ports for data channels; two for each of ftps.max_clients."},
	{"ftps.passive_address", SETTING_TEXT, "", 0, 0,
		"IPv4 address that clients are told for data channels, behind address translation; empty: the one they connected to."},
	{"ftps.max_clients", SETTING_INT, "128", 1, 4000, "Sessions at once; each has two processes."},
	{"ftps.max_clients_address", SETTING_INT, "64", 1, 4000, "Sessions at once from one address."},
	{"ftps.quota_files", SETTING_INT, "1000", 1, 1000000, "Files of one account that may lie in its folder in/, not yet taken."},
	{"ftps.quota_mib", SETTING_INT, "10240", 1, 1 << 30, "Their size together, in MiB."},
	{"ftps.idle_timeout_s", SETTING_INT, "600", 60, DAY_S, "Seconds without a command or data after which a session is closed; whole minutes."},
	{"ftps.daemon", SETTING_TEXT, "/usr/sbin/pure-ftpd", 0, 0, "The program pure-ftpd."},
	{"ftps.preload", SETTING_TEXT, "", 0, 0,
		"The library ceir-ftps.so. Empty: beside the program when it is there, else where it was installed."},
	{"registry.svtrid_prefix", SETTING_TEXT, "UKR", 0, 0,
		"Start of every server transaction id: 1 to 16 capital letters or digits."},
	{"registry.max_application_rows", SETTING_INT, "10000000", 1, 100000000,
		"IMEIs in one application, over all its commands."},
	{"registry.cache_bytes", SETTING_INT, "268435456", 1 << 20, 1LL << 40, "Page cache of the database's writer."},
	{"triplets.memory_bytes", SETTING_INT, "536870912", 64 << 20, 1LL << 40,
		"Memory for sorting deliveries and for sightings that are not yet in segments."},
	{"triplets.threads", SETTING_INT, "0", 0, 16, "Threads that apply deliveries and classify; 0: as many as there are processors, at most 16."},
	{"triplets.max_sightings", SETTING_INT, "10000", 1, 1000000, "Sightings in one request."},
	{"triplets.max_deliveries", SETTING_INT, "4", 1, 1024, "Deliveries of one operator that may be received at once."},
	{"lists.interval_s", SETTING_INT, "10", 0, DAY_S,
		"Seconds between two makings of changed lists and notices, at least; 0: lists are made on request only."},
	{"lists.outbox_keep", SETTING_INT, "20", 1, 100000, "Files of each kind that are kept in an operator's outbox."},
	{"files.enabled", SETTING_BOOL, "true", 0, 0,
		"Whether files that accounts put into files/ACCOUNT/ftp/in/ are done and answered in out/ beside it (docs/files.md)."},
	{"files.still_s", SETTING_INT, "2", 0, 3600,
		"Seconds for which a file in in/ must not have changed to be taken; 0: as soon as it is seen, when everybody writes under a name in .part and renames."},
	{"files.threads", SETTING_INT, "2", 0, 64, "Files done at once, of different accounts; 0: files are taken and wait."},
	{"files.keep_days", SETTING_INT, "30", 1, 3650, "Days after which answers in out/ are removed."},
	{"files.max_bytes", SETTING_INT, "17179869184", 1024, 1LL << 50, "Bytes of one account's files that may wait to be done; what would pass it stays in in/."},
	{"files.max_files", SETTING_INT, "1000", 1, 1000000, "Files of one account that may wait to be done."},
	{"files.ends_percent", SETTING_INT, "10", 1, 100, "Percent of what is listed that a file with a whole list may end, unless its name says force (docs/files.md)."},
	{"files.lang", SETTING_TEXT, "en", 0, 0, "Language of the answers to files of accounts that have none of their own: en, uk."},
	{"remote.ca", SETTING_TEXT, "", 0, 0,
		"Certificates (PEM) of who may have signed those of FTPS servers with which files are exchanged, where a remote names none of its own; empty: "
		"/etc/ssl/certs/ca-certificates.crt."},
	{"remote.max", SETTING_INT, "64", 1, 4096, "FTPS servers served at once; each has a thread. Those above it are in the log, and wait."},
	{"remote.timeout_s", SETTING_INT, "60", 1, 3600, "Seconds without a byte or an answer after which a transfer with an FTPS server is given up."},
	{"remote.retry_s", SETTING_INT, "5", 1, 900, "Seconds after which what failed is tried again; twice as long after each failure more, up to 900."},
	{"auth.max_failed_logins", SETTING_INT, "3", 1, 100,
		"Failed logins after which a connection is closed, and after which an account is locked."},
	{"auth.lock_s", SETTING_INT, "300", 0, 30 * DAY_S, "Seconds an account stays locked."},
	{"auth.max_sessions_account", SETTING_INT, "64", 1, 65536, "Sessions of one account at once."},
	{"auth.argon2_memory_kib", SETTING_INT, "65536", 8, 4 << 20,
		"Memory, in KiB, that checking one password takes (Argon2id). More makes guessing dearer, and logins slower."},
	{"tls.cert", SETTING_TEXT, "keys/server.crt", 0, 0,
		"The server's certificate chain (PEM). Paths that are not absolute begin at the data folder."},
	{"tls.key", SETTING_TEXT, "keys/server.key", 0, 0, "Its private key (PEM), readable by the server's user only."},
	{"tls.ca", SETTING_TEXT, "keys/ca.crt", 0, 0, "Certificates of who may sign clients' certificates (PEM)."},
	{"log.format", SETTING_TEXT, "text", 0, 0, "text, or json (one object a line). The log goes to standard error."},
	{"log.level", SETTING_TEXT, "info", 0, 0, "error, warn, info or debug. Read again on SIGHUP."},
	{"log.stats_s", SETTING_INT, "300", 0, DAY_S, "Seconds between lines with counters in the log; 0: none."},
	{"paths.locale", SETTING_TEXT, "", 0, 0,
		"Folder of the translations. Empty: po beside the program when there is one, else where it was installed."},
	{.key = NULL},
};

void ceird_complain(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	fputs("ceird: ", stderr);
	vfprintf(stderr, format, ap);
	fputc('\n', stderr);
	va_end(ap);
}

enum ceir_err ceird_path(char out[PATH_MAX], const char *dir, const char *name)
{
	int n = name[0] == '/' ? snprintf(out, PATH_MAX, "%s", name) : snprintf(out, PATH_MAX, "%s/%s", dir, name);

	return n < 0 || n >= PATH_MAX ? CEIR_ERANGE : CEIR_OK;
}

/* Which of two words a setting holds: the first (0) or the second (1). */
static enum ceir_err settings_word(const struct config *c, const char *key, const char *first, const char *second, bool *is_second)
{
	const char *text = config_text(c, key);

	if (strcmp(text, first) != 0 && strcmp(text, second) != 0) {
		ceird_complain("%s: expected %s or %s, not \"%s\"", key, first, second, text);
		return CEIR_EINVAL;
	}
	*is_second = strcmp(text, second) == 0;
	return CEIR_OK;
}

static enum ceir_err settings_prefix(const char *prefix)
{
	size_t n = strspn(prefix, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789");

	if (n == 0 || n > 16 || prefix[n] != '\0') {
		ceird_complain("registry.svtrid_prefix: expected 1 to 16 capital letters or digits, not \"%s\"", prefix);
		return CEIR_EINVAL;
	}
	return CEIR_OK;
}

static enum ceir_err settings_log(struct ceird_settings *s)
{
	const char *level = config_text(s->config, "log.level");

	if (log_level_parse(str_of(level), &s->log_level) != CEIR_OK) {
		ceird_complain("log.level: expected error, warn, info or debug, not \"%s\"", level);
		return CEIR_EINVAL;
	}
	s->stats_s = (unsigned)config_int(s->config, "log.stats_s");
	return settings_word(s->config, "log.format", "text", "json", &s->log_json);
}

static enum ceir_err settings_tls(struct ceird_settings *s, const char *dir)
{
	if (ceird_path(s->cert, dir, config_text(s->config, "tls.cert")) != CEIR_OK ||
		ceird_path(s->key, dir, config_text(s->config, "tls.key")) != CEIR_OK ||
		ceird_path(s->ca, dir, config_text(s->config, "tls.ca")) != CEIR_OK) {
		ceird_complain("tls.cert, tls.key, tls.ca: a path is too long");
		return CEIR_ERANGE;
	}
	return CEIR_OK;
}

static void settings_epp(struct ceird_settings *s)
{
	const struct config *c = s->config;

	s->epp = (struct epp_settings){
		.listen = config_text(c, "epp.listen"),
		.server_id = config_text(c, "epp.server_id"),
		.max_frame_bytes = (uint32_t)config_int(c, "epp.max_frame_bytes"),
		.max_sessions = (unsigned)config_int(c, "epp.max_sessions"),
		.max_sessions_address = (unsigned)config_int(c, "epp.max_sessions_address"),
		.idle_timeout_s = (unsigned)config_int(c, "epp.idle_timeout_s"),
		.frame_timeout_s = (unsigned)config_int(c, "epp.frame_timeout_s"),
		.session_lifetime_s = (unsigned)config_int(c, "epp.session_lifetime_s"),
		.max_depth = (unsigned)config_int(c, "epp.max_depth"),
		.max_names = (unsigned)config_int(c, "epp.max_names"),
	};
}

static void settings_http(struct ceird_settings *s)
{
	const struct config *c = s->config;

	s->http = (struct http_settings){
		.listen = config_text(c, "http.listen"),
		.cert = s->cert,
		.key = s->key,
		.ca = s->ca,
		.max_connections = (unsigned)config_int(c, "http.max_connections"),
		.max_connections_address = (unsigned)config_int(c, "http.max_connections_address"),
		.max_waiting = (unsigned)config_int(c, "http.max_waiting"),
		.idle_timeout_s = (unsigned)config_int(c, "http.idle_timeout_s"),
		.max_body_bytes = (uint64_t)config_int(c, "http.max_body_bytes"),
		.basic = config_bool(c, "http.basic"),
	};
}

static void settings_files(struct ceird_settings *s, const char *dir)
{
	const struct config *c = s->config;

	s->files_enabled = config_bool(c, "files.enabled");
	s->files_lang = config_text(c, "files.lang");
	s->files = (struct files_settings){
		.dir = dir,
		.threads = (unsigned)config_int(c, "files.threads"),
		.keep_days = (unsigned)config_int(c, "files.keep_days"),
		.scan_in = config_text(c, "ftps.listen")[0] == '\0', /* else the FTPS server says what is complete */
		.still_s = (unsigned)config_int(c, "files.still_s"),
		.max_bytes = (uint64_t)config_int(c, "files.max_bytes"),
		.max_files = (unsigned)config_int(c, "files.max_files"),
		.ends_percent = (unsigned)config_int(c, "files.ends_percent"),
	};
}

static void settings_ftps(struct ceird_settings *s, const char *dir)
{
	const struct config *c = s->config;

	s->ftps = (struct ftps_settings){
		.dir = dir,
		.listen = config_text(c, "ftps.listen"),
		.cert = s->cert,
		.key = s->key,
		.user = config_text(c, "ftps.user"),
		.passive_ports = config_text(c, "ftps.passive_ports"),
		.passive_address = config_text(c, "ftps.passive_address"),
		.daemon = config_text(c, "ftps.daemon"),
		.preload = config_text(c, "ftps.preload"),
		.max_clients = (unsigned)config_int(c, "ftps.max_clients"),
		.max_clients_address = (unsigned)config_int(c, "ftps.max_clients_address"),
		.quota_files = (unsigned)config_int(c, "ftps.quota_files"),
		.quota_mib = (unsigned)config_int(c, "ftps.quota_mib"),
		.idle_timeout_s = (unsigned)config_int(c, "ftps.idle_timeout_s"),
	};
}

static void settings_remote(struct ceird_settings *s, const char *dir)
{
	const struct config *c = s->config;

	s->remote = (struct remote_settings){
		.dir = dir,
		.ca = config_text(c, "remote.ca"),
		.max = (unsigned)config_int(c, "remote.max"),
		.timeout_s = (unsigned)config_int(c, "remote.timeout_s"),
		.retry_s = (unsigned)config_int(c, "remote.retry_s"),
		.lists_s = (unsigned)config_int(c, "lists.interval_s"),
		.max_bytes = (uint64_t)config_int(c, "files.max_bytes"),
	};
}

/* As many threads as the settings say, or as the processors that we may use. */
static unsigned settings_threads(const struct config *c)
{
	int64_t n = config_int(c, "triplets.threads");
	cpu_set_t cpus;

	if (n == 0 && sched_getaffinity(0, sizeof cpus, &cpus) == 0)
		n = CPU_COUNT(&cpus);
	return n < 1 ? 1 : n > THREADS_MAX ? THREADS_MAX : (unsigned)n;
}

static enum ceir_err settings_registry(struct ceird_settings *s, const char *dir)
{
	const struct config *c = s->config;
	enum ceir_err err;

	s->reg = (struct reg_settings){
		.dir = dir,
		.svtrid_prefix = config_text(c, "registry.svtrid_prefix"),
		.max_failed_logins = (unsigned)config_int(c, "auth.max_failed_logins"),
		.lock_s = (unsigned)config_int(c, "auth.lock_s"),
		.max_sessions_account = (unsigned)config_int(c, "auth.max_sessions_account"),
		.argon2_memory_kib = (unsigned)config_int(c, "auth.argon2_memory_kib"),
		.max_application_rows = (uint64_t)config_int(c, "registry.max_application_rows"),
		.cache_bytes = config_int(c, "registry.cache_bytes"),
		.triplets_memory = (uint64_t)config_int(c, "triplets.memory_bytes"),
		.threads = settings_threads(c),
		.max_sightings = (unsigned)config_int(c, "triplets.max_sightings"),
		.max_deliveries_operator = (unsigned)config_int(c, "triplets.max_deliveries"),
		.lists_s = (unsigned)config_int(c, "lists.interval_s"),
		.outbox_keep = (unsigned)config_int(c, "lists.outbox_keep"),
	};
	if ((err = settings_prefix(s->reg.svtrid_prefix)) != CEIR_OK)
		return err;
	return settings_word(c, "epp.require_cltrid", "none", "transforms", &s->reg.require_cltrid);
}

static enum ceir_err settings_map(struct ceird_settings *s, const char *dir)
{
	size_t id = strlen(config_text(s->config, "epp.server_id"));
	enum ceir_err err;

	if (id < 3 || id > 64) { /* RFC 5730: sIDType is 3 to 64 characters */
		ceird_complain("epp.server_id: expected 3 to 64 characters");
		return CEIR_ERANGE;
	}
	settings_epp(s);
	settings_http(s);
	settings_files(s, dir);
	settings_ftps(s, dir);
	settings_remote(s, dir);
	if (s->ftps.listen[0] != '\0' && !s->files_enabled) {
		ceird_complain("ftps.listen: what is uploaded is done by the file face, and files.enabled is false");
		return CEIR_EINVAL;
	}
	s->locale = config_text(s->config, "paths.locale");
	if ((err = settings_registry(s, dir)) != CEIR_OK || (err = settings_log(s)) != CEIR_OK)
		return err;
	return settings_tls(s, dir);
}

static enum ceir_err settings_file(struct config *c, const char *dir, char *why, size_t why_size)
{
	char path[PATH_MAX];

	if (ceird_path(path, dir, "ceir.conf") != CEIR_OK) {
		snprintf(why, why_size, "the path of the data folder is too long");
		return CEIR_ERANGE;
	}
	return config_load(c, path, why, why_size);
}

enum ceird_exit ceird_settings_load(struct ceird_settings *s, const struct ceird_args *args, bool from_file)
{
	char why[512];
	enum ceird_exit result = CEIRD_FAILED;

	*s = (struct ceird_settings){.config = config_new(CEIRD_SETTINGS)};
	if (!s->config) {
		ceird_complain("%s", ceir_err_text(CEIR_ENOMEM));
		return CEIRD_FAILED;
	}
	if (from_file && settings_file(s->config, args->dir, why, sizeof why) != CEIR_OK) {
		ceird_complain("%s", why);
		ceird_complain("is %s a data folder made by `ceird init`?", args->dir);
		goto out;
	}
	for (size_t i = 0; i < args->n_set; i++) {
		if (config_set(s->config, str_of(args->set[i]), why, sizeof why) != CEIR_OK) {
			ceird_complain("-o %s: %s", args->set[i], why);
			result = CEIRD_USAGE;
			goto out;
		}
	}
	if (settings_map(s, args->dir) == CEIR_OK)
		return CEIRD_DONE;
out:
	ceird_settings_free(s);
	return result;
}

void ceird_settings_free(struct ceird_settings *s)
{
	config_free(s->config);
	s->config = NULL;
}

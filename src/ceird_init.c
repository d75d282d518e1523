/*
 * ceird_init.c - makes a data folder, and certificates from its private certificate authority.
 *
 *   DIR/ceir.conf            settings, each with its default and what it means
 *   DIR/ceir.db              the register (src/store), and the SQLite files beside it
 *   DIR/ceird.lock           held by the one ceird that serves DIR; its process number is inside
 *   DIR/keys/ca.*            the private certificate authority
 *   DIR/keys/server.*        the server's certificate and key
 *   DIR/keys/admin.*         certificate, key and password of the first account
 *   DIR/keys/audit-*         keys of the audit log (src/registry)
 *
 * Everything is readable by its owner only. Either all of it is there in the end, or nothing.
 */
#include "ceird.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tls/tls.h"

/* A private CA's certificates live as long as public ones once could: two years and a quarter to renew them in. */
#define INIT_CERT_DAYS 825

static int init_remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st;
	(void)type;
	/* Not the folder itself: the caller knows whether it was there before. */
	return where->level > 0 ? remove(path) : 0;
}

/* Takes back a half-made data folder. It was new or empty, so all that is in it is ours. */
static void init_undo(const char *dir, bool made)
{
	nftw(dir, init_remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
	if (made)
		rmdir(dir);
}

/* CEIR_EEXIST when there is something in dir. */
static enum ceir_err init_check_empty(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *entry;
	enum ceir_err err = CEIR_OK;

	if (!d)
		return CEIR_EIO;
	while (err == CEIR_OK && (entry = readdir(d)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			err = CEIR_EEXIST;
	closedir(d);
	return err;
}

/* *made: whether dir did not exist before. */
static enum ceir_err init_make_dir(const char *dir, bool *made)
{
	enum ceir_err err;

	*made = mkdir(dir, 0700) == 0;
	if (*made)
		return CEIR_OK;
	if (errno != EEXIST) {
		ceird_complain("cannot make %s: %s", dir, strerror(errno));
		return CEIR_EIO;
	}
	err = init_check_empty(dir);
	if (err == CEIR_EEXIST)
		ceird_complain("%s is not empty; `ceird init` only makes new data folders", dir);
	else if (err != CEIR_OK || chmod(dir, 0700) != 0)
		ceird_complain("cannot use %s: %s", dir, strerror(errno));
	else
		return CEIR_OK;
	return err != CEIR_OK ? err : CEIR_EIO;
}

/* 16 of 62 characters, 95 bits: the longest password the base schema of EPP takes (RFC 5730, pwType). */
static void init_password(char out[17])
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

	for (size_t i = 0; i < 16; i++)
		out[i] = alphabet[randombytes_uniform(sizeof alphabet - 1)];
	out[16] = '\0';
}

/* keys/: the CA, the server's certificate, the first account's certificate. */
static enum ceir_err init_keys(const struct ceird_args *args, const char *keys, uint8_t admin_sha256[32])
{
	char host[256] = "";
	const char *names[4 + CEIR_COUNT(args->hosts)] = {"localhost", "127.0.0.1", "::1"};
	size_t n = 3;
	enum ceir_err err;

	if (gethostname(host, sizeof host - 1) == 0 && host[0] != '\0' && strcmp(host, "localhost") != 0)
		names[n++] = host;
	for (size_t i = 0; i < args->n_hosts; i++)
		names[n++] = args->hosts[i];
	if (mkdir(keys, 0700) != 0)
		return CEIR_EIO;
	if ((err = tls_ca_create(keys, "ceir private CA")) != CEIR_OK)
		return err;
	if ((err = tls_ca_issue(keys, "server", TLS_USE_SERVER, names, n, INIT_CERT_DAYS, NULL)) != CEIR_OK)
		return err;
	return tls_ca_issue(keys, "admin", TLS_USE_CLIENT, NULL, 0, INIT_CERT_DAYS, admin_sha256);
}

static enum ceir_err init_conf(const char *dir)
{
	struct buf text = BUF_INIT(1 << 20);
	char path[PATH_MAX];
	enum ceir_err err;

	config_print(CEIRD_SETTINGS, &text);
	if (text.failed)
		err = CEIR_ENOMEM;
	else if ((err = ceird_path(path, dir, "ceir.conf")) == CEIR_OK)
		err = file_write(path, buf_view(&text), 0600);
	buf_free(&text);
	return err;
}

/* What is in dir: keys, settings, and last the database with its first account. *what: what was being made. */
static enum ceir_err init_fill(const struct ceird_settings *s, const struct ceird_args *args, const char **what)
{
	const char *dir = args->dir;
	char keys[PATH_MAX], path[PATH_MAX], line[18];
	uint8_t sha256[32];
	enum ceir_err err;

	*what = "the keys";
	if ((err = ceird_path(keys, dir, "keys")) != CEIR_OK || (err = init_keys(args, keys, sha256)) != CEIR_OK)
		return err;
	*what = "ceir.conf";
	if ((err = init_conf(dir)) != CEIR_OK)
		return err;
	*what = "the database";
	init_password(line);
	if ((err = registry_create(&s->reg, "admin", (struct str){line, 16}, sha256)) != CEIR_OK)
		goto out;
	*what = "keys/admin.password";
	line[16] = '\n';
	if ((err = ceird_path(path, keys, "admin.password")) != CEIR_OK)
		goto out;
	if ((err = file_write(path, (struct str){line, 17}, 0600)) != CEIR_OK)
		goto out;
	err = file_sync_dir(dir);
out:
	sodium_memzero(line, sizeof line);
	return err;
}

enum ceird_exit ceird_init(const struct ceird_args *args)
{
	struct ceird_settings s;
	enum ceird_exit result = ceird_settings_load(&s, args, false);
	const char *what = "";
	enum ceir_err err;
	bool made;

	if (result != CEIRD_DONE)
		return result;
	umask(077);
	log_setup(stderr, false, LOG_WARN_);
	err = init_make_dir(args->dir, &made);
	if (err == CEIR_OK && (err = init_fill(&s, args, &what)) != CEIR_OK) {
		ceird_complain("cannot make %s in %s: %s", what, args->dir, ceir_err_text(err));
		init_undo(args->dir, made);
	}
	ceird_settings_free(&s);
	if (err != CEIR_OK)
		return CEIRD_FAILED;
	printf("%s is ready: settings in ceir.conf, account \"admin\" in keys/ (admin.crt, admin.key, admin.password).\n",
		args->dir);
	printf("Serve it with: ceird run %s\n", args->dir);
	return CEIRD_DONE;
}

/* A name becomes a file's name: nothing that leaves the folder, hides, or reads as an option. */
static bool cert_name_ok(const char *name)
{
	size_t n = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");

	return n > 0 && n <= 64 && name[n] == '\0' && name[0] != '.' && name[0] != '-';
}

enum ceird_exit ceird_cert(const struct ceird_args *args)
{
	char keys[PATH_MAX];
	uint8_t sha256[32];
	enum ceir_err err;

	if (!cert_name_ok(args->name)) {
		ceird_complain("a certificate's name is 1 to 64 letters, digits, dots, dashes, underscores; no dot or dash first");
		return CEIRD_USAGE;
	}
	if (args->server && args->n_hosts == 0) {
		ceird_complain("--server needs at least one --host: the name or address clients connect to");
		return CEIRD_USAGE;
	}
	if (!args->server && args->n_hosts > 0) {
		ceird_complain("--host goes with --server");
		return CEIRD_USAGE;
	}
	umask(077);
	log_setup(stderr, false, LOG_WARN_);
	if ((err = ceird_path(keys, args->dir, "keys")) == CEIR_OK)
		err = tls_ca_issue(keys, args->name, args->server ? TLS_USE_SERVER : TLS_USE_CLIENT, args->hosts, args->n_hosts,
			args->days ? args->days : INIT_CERT_DAYS, sha256);
	if (err == CEIR_EEXIST) {
		ceird_complain("%s/%s.crt or .key exists; choose another name (for a roll-over: %s-2)", keys, args->name,
			args->name);
		return CEIRD_FAILED;
	}
	if (err != CEIR_OK) {
		ceird_complain("cannot issue %s from the authority in %s: %s", args->name, keys, ceir_err_text(err));
		return CEIRD_FAILED;
	}
	/* The fingerprint alone on standard output, for scripts: account create --certificate $(ceird cert DIR NAME). */
	for (size_t i = 0; i < sizeof sha256; i++)
		printf("%02x", sha256[i]);
	printf("\n");
	fprintf(stderr, "%s/%s.crt and %s.key are made; give the fingerprint to the account that shall use them.\n", keys,
		args->name, args->name);
	return CEIRD_DONE;
}

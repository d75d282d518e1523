/*
 * ctl_target.c - whom to reach and who we are: options first, then the data folder.
 */
#include "ctl/ctl_session.h"

#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#define CONF_MAX (1u << 20)
#define SECRET_MAX 4096u

/* The value of "key = value" in [section], empty when it is not there. The server checks the file, we only look. */
static struct str conf_find(struct str text, const char *section, const char *key)
{
	struct str line, name, found = {"", 0};
	bool inside = false;

	while (str_cut(&text, '\n', &line)) {
		line = str_trim(line);
		if (line.n > 2 && line.p[0] == '[' && line.p[line.n - 1] == ']')
			inside = str_eq_c((struct str){line.p + 1, line.n - 2}, section);
		else if (inside && line.n && line.p[0] != '#' && line.p[0] != ';' && str_cut(&line, '=', &name) &&
			 str_eq_c(str_trim(name), key))
			found = str_trim(line);
	}
	return found;
}

enum ceir_err ctl_address_split(struct str text, char *host, size_t host_size, char *port, size_t port_size)
{
	const char *colon = NULL;
	struct str h, p;

	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] == ':')
			colon = text.p + i;
	if (!colon)
		return CEIR_EINVAL;
	h = (struct str){text.p, (size_t)(colon - text.p)};
	p = (struct str){colon + 1, text.n - h.n - 1};
	if (h.n > 2 && h.p[0] == '[' && h.p[h.n - 1] == ']')
		h = (struct str){h.p + 1, h.n - 2};
	if (str_eq_c(h, "0.0.0.0") || h.n == 0)
		h = STR("127.0.0.1");
	else if (str_eq_c(h, "::"))
		h = STR("::1");
	if (p.n == 0 || h.n >= host_size || p.n >= port_size)
		return CEIR_EINVAL;
	snprintf(host, host_size, "%.*s", (int)h.n, h.p);
	snprintf(port, port_size, "%.*s", (int)p.n, p.p);
	return CEIR_OK;
}

/* A service of the server: its section in ceir.conf, where that listens unless it says so, and its port. */
struct service {
	const char *section, *listen, *port;
};
static const struct service epp_service = {"epp", "127.0.0.1:7700", "700"}; /* RFC 5734: EPP's own port */
static const struct service http_service = {"http", "127.0.0.1:7743", "7743"};

static enum ceir_err address_of_dir(const char *dir, const struct service *of, struct ctl_target *t, char *why, size_t why_size)
{
	struct buf conf = BUF_INIT(CONF_MAX);
	char path[4096];
	enum ceir_err err = CEIR_ERANGE;

	if (snprintf(path, sizeof(path), "%s/ceir.conf", dir) < (int)sizeof(path))
		err = file_read(path, CONF_MAX, &conf);
	if (err) {
		snprintf(why, why_size, "%s/ceir.conf: %s", dir, ceir_err_text(err));
	} else {
		struct str listen = conf_find(buf_view(&conf), of->section, "listen");
		err = ctl_address_split(
			listen.n ? listen : str_of(of->listen), t->host, sizeof(t->host), t->port, sizeof(t->port));
		if (err)
			snprintf(why, why_size, "%s/ceir.conf: %s.listen is not HOST:PORT", dir, of->section);
	}
	buf_free(&conf);
	return err;
}

/* DIR/keys/NAME.SUFFIX when it is there and nothing else was asked for. */
static void key_of_dir(const char *dir, const char *name, const char *suffix, char *out, size_t out_size)
{
	struct stat st;

	if (out[0])
		return;
	if (snprintf(out, out_size, "%s/keys/%s.%s", dir, name, suffix) >= (int)out_size || stat(out, &st) != 0)
		out[0] = '\0';
}

static void copy_option(char *out, size_t size, const char *value)
{
	if (value)
		snprintf(out, size, "%s", value);
}

static enum ceir_err target_find(
	const struct ctl_args *a, const struct service *of, struct ctl_target *t, char *why, size_t why_size)
{
	enum ceir_err err = CEIR_OK;

	memset(t, 0, sizeof(*t));
	snprintf(t->port, sizeof(t->port), "%s", of->port);
	copy_option(t->user, sizeof(t->user), a->user);
	copy_option(t->ca, sizeof(t->ca), a->ca);
	copy_option(t->cert, sizeof(t->cert), a->cert);
	copy_option(t->key, sizeof(t->key), a->key);
	copy_option(t->password_file, sizeof(t->password_file), a->password_file);
	if (a->dir) {
		err = address_of_dir(a->dir, of, t, why, why_size);
		if (err)
			return err;
		if (!a->user)
			snprintf(t->user, sizeof(t->user), "admin");
		key_of_dir(a->dir, "ca", "crt", t->ca, sizeof(t->ca));
		key_of_dir(a->dir, t->user, "crt", t->cert, sizeof(t->cert));
		key_of_dir(a->dir, t->user, "key", t->key, sizeof(t->key));
		key_of_dir(a->dir, t->user, "password", t->password_file, sizeof(t->password_file));
	}
	copy_option(t->host, sizeof(t->host), a->host);
	copy_option(t->port, sizeof(t->port), a->port);
	t->may_login = t->user[0] && !a->no_login;
	if (!t->host[0] || !t->ca[0] || !t->cert[0] != !t->key[0]) {
		snprintf(why, why_size,
			!t->host[0] ? "no server: give --dir DIR or --host HOST"
			: !t->ca[0] ? "no --ca FILE: whose certificate may the server have?"
				    : "--cert and --key go together");
		return CEIR_EINVAL;
	}
	return CEIR_OK;
}

enum ceir_err ctl_target_find(const struct ctl_args *a, struct ctl_target *t, char *why, size_t why_size)
{
	return target_find(a, &epp_service, t, why, why_size);
}

enum ceir_err ctl_target_find_http(const struct ctl_args *a, struct ctl_target *t, char *why, size_t why_size)
{
	return target_find(a, &http_service, t, why, why_size);
}

/* One line from a terminal without showing it. */
static enum ceir_err secret_type(const char *prompt, struct buf *out)
{
	struct termios old, quiet;
	char c;
	ssize_t n;

	if (tcgetattr(STDIN_FILENO, &old) != 0)
		return CEIR_EIO;
	quiet = old;
	quiet.c_lflag &= ~(tcflag_t)ECHO;
	fprintf(stderr, "%s: ", prompt);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
	while ((n = read(STDIN_FILENO, &c, 1)) == 1 && c != '\n')
		buf_char(out, c);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &old);
	fputc('\n', stderr);
	return n < 0 ? CEIR_EIO : CEIR_OK;
}

/* Byte by byte: what follows the line on standard input belongs to the command. */
static enum ceir_err secret_read_line(struct buf *out)
{
	char c;
	ssize_t n;

	while ((n = read(STDIN_FILENO, &c, 1)) == 1 && c != '\n')
		buf_char(out, c);
	return n < 0 ? CEIR_EIO : CEIR_OK;
}

enum ceir_err ctl_secret_read(const char *file, const char *prompt, struct buf *out)
{
	struct str line, rest;
	enum ceir_err err;

	out->max = SECRET_MAX;
	if (strcmp(file, "-") == 0)
		err = isatty(STDIN_FILENO) ? secret_type(prompt, out) : secret_read_line(out);
	else
		err = file_read(file, SECRET_MAX, out);
	rest = buf_view(out);
	if (err || !str_cut(&rest, '\n', &line))
		return err ? err : CEIR_EINVAL; /* an empty password is none */
	out->n = line.n && line.p[line.n - 1] == '\r' ? line.n - 1 : line.n;
	return out->failed ? CEIR_ELIMIT : CEIR_OK;
}

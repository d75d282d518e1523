/* ftps_text.c - questions, answers, lines of the log. Every byte of it came through the hands of strangers. */
#include "ftps/ftps_text.h"

#include <string.h>

bool ftps_request_complete(struct str text)
{
	static const char end[] = "\nend\n";
	const size_t n = sizeof end - 1;

	return text.n >= n && memcmp(text.p + text.n - n, end, n) == 0;
}

enum ceir_err ftps_request_parse(struct str text, struct ftps_request *out)
{
	struct str line, encrypted = {NULL, 0};
	struct ftps_request r = {.encrypted = false};
	struct {
		struct str name, *value;
	} known[] = {{STR("account:"), &r.account}, {STR("password:"), &r.password}, {STR("peer:"), &r.peer}, {STR("encrypted:"), &encrypted}};

	if (!ftps_request_complete(text))
		return CEIR_EINVAL;
	while (str_cut(&text, '\n', &line) && !str_eq_c(line, "end")) {
		/* A name that is not known is of our own side, of the client's SNI, or of a later version. */
		if (!line.n || !memchr(line.p, ':', line.n))
			return CEIR_EINVAL;
		for (size_t i = 0; i < CEIR_COUNT(known); i++) {
			if (!str_starts(line, known[i].name))
				continue;
			if (known[i].value->p)
				return CEIR_EINVAL;
			*known[i].value = (struct str){line.p + known[i].name.n, line.n - known[i].name.n};
		}
	}
	if (text.n > 0 || !r.account.p || !r.password.p || !r.peer.p)
		return CEIR_EINVAL;
	r.encrypted = str_eq_c(encrypted, "1");
	*out = r;
	return CEIR_OK;
}

void ftps_answer_print(struct buf *out, const struct ftps_welcome *w)
{
	if (w)
		buf_printf(out, "auth_ok:1\nuid:%u\ngid:%u\ndir:%s\nslow_tilde_expansion:1\nuser_quota_files:%u\nuser_quota_size:%llu\nend\n",
			(unsigned)w->uid, (unsigned)w->gid, w->dir, w->quota_files, (unsigned long long)w->quota_mib << 20);
	else
		buf_c(out, "auth_ok:-1\nend\n"); /* -1: known and wrong; 0 would ask the next method */
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* %XX back to bytes. No NUL may come of it. */
static enum ceir_err path_decode(struct str s, char out[PATH_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		int c = (unsigned char)s.p[i];

		if (c == '%') {
			int high = s.n - i > 2 ? hex_digit(s.p[i + 1]) : -1, low = s.n - i > 2 ? hex_digit(s.p[i + 2]) : -1;

			if (high < 0 || low < 0)
				return CEIR_EINVAL;
			c = high * 16 + low;
			i += 2;
		}
		if (c == 0)
			return CEIR_EINVAL;
		if (n + 1 >= PATH_MAX)
			return CEIR_ERANGE;
		out[n++] = (char)c;
	}
	out[n] = '\0';
	return CEIR_OK;
}

enum ceir_err ftps_upload_parse(struct str line, struct str *account, char path[PATH_MAX])
{
	static const char dash[] = " - ", put[] = "] \"PUT ", end[] = "\" 200 ";
	const char *p = line.n ? memmem(line.p, line.n, dash, sizeof dash - 1) : NULL;
	struct str rest, date, target;

	if (!p)
		return CEIR_EINVAL;
	rest = (struct str){p + sizeof dash - 1, line.n - (size_t)(p - line.p) - (sizeof dash - 1)};
	p = memmem(rest.p, rest.n, put, sizeof put - 1);
	if (!p)
		return CEIR_EINVAL;
	/* The date has no bracket of its own, so the last one before it ends the account. */
	date = (struct str){rest.p, (size_t)(p - rest.p)};
	target = (struct str){p + sizeof put - 1, rest.n - date.n - (sizeof put - 1)};
	p = memrchr(date.p, '[', date.n);
	if (!p || p - date.p < 2 || p[-1] != ' ')
		return CEIR_EINVAL;
	*account = (struct str){date.p, (size_t)(p - date.p) - 1};
	p = memmem(target.p, target.n, end, sizeof end - 1);
	if (!p || target.n == 0 || target.p[0] != '/')
		return CEIR_EINVAL;
	return path_decode((struct str){target.p, (size_t)(p - target.p)}, path);
}

const char *ftps_upload_name(const char *path, const char *home)
{
	size_t n = strlen(home);

	if (strncmp(path, home, n) != 0 || path[n] != '/')
		return NULL;
	path += n;
	while (*path == '/') /* pure-ftpd joins its root and the file with one more */
		path++;
	if (strncmp(path, "in/", 3) != 0)
		return NULL;
	path += 3;
	return *path == '\0' || *path == '.' || strchr(path, '/') ? NULL : path;
}

enum ceir_err ftps_ports_parse(struct str text, unsigned *first, unsigned *last)
{
	struct str low;
	uint64_t a, b;

	if (!text.n || !memchr(text.p, '-', text.n) || !str_cut(&text, '-', &low) || str_u64(low, 65535, &a) != CEIR_OK || str_u64(text, 65535, &b) != CEIR_OK)
		return CEIR_EINVAL;
	if (a < 1024 || b <= a)
		return CEIR_ERANGE;
	*first = (unsigned)a;
	*last = (unsigned)b;
	return CEIR_OK;
}

/*
 * syslog's numbers (RFC 5424 6.2.1). What clients do wrong is an error to pure-ftpd, and no operator's business: it stands in the audit log or in
 * the client's own answer. Only what says that the service fails is a warning.
 */
enum log_level ftps_log_level(struct str *line)
{
	if (line->n < 3 || line->p[0] != '<' || line->p[1] < '0' || line->p[1] > '7' || line->p[2] != '>')
		return LOG_WARN_;
	int number = line->p[1] - '0';
	*line = (struct str){line->p + 3, line->n - 3};
	return number <= 2 ? LOG_WARN_ : number <= 4 ? LOG_INFO_ : LOG_DEBUG_;
}

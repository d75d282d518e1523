/* Remotes: the verbs of admin, what is refused, how the password lies on the disk, and what the exchange of files asks and notes. */
#include "registry_world.h"

#include <sodium.h>
#include <unistd.h>

#include "registry/registry_remote.h"

/* Two authorities of a hundred years; their keys are gone. */
#define PEM_ONE \
	"-----BEGIN CERTIFICATE-----\n" \
	"MIIBeTCCAR+gAwIBAgIUJoznQiAFCk+97TctQ85SfgieDCMwCgYIKoZIzj0EAwIw\n" \
	"ETEPMA0GA1UEAwwGY2Egb25lMCAXDTI2MTEyNTEzMDMyMVoYDzIxMjYxMTAxMTMw\n" \
	"MzIxWjARMQ8wDQYDVQQDDAZjYSBvbmUwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC\n" \
	"AATck3s7Yg7Vt28PkF2ZPq1XDWcsW0RggkArzapEmvZxyAOP9kFTu5RD8pCE2v67\n" \
	"WsPrAuU3SKZ6lAW4ecPyb6bDo1MwUTAdBgNVHQ4EFgQUaU+dBt0BlQI5FVs6vnMt\n" \
	"cLqSpmcwHwYDVR0jBBgwFoAUaU+dBt0BlQI5FVs6vnMtcLqSpmcwDwYDVR0TAQH/\n" \
	"BAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiEA/QOayJawPoK0fxsgwW9EYTYAaoVc\n" \
	"wQdbxBZ1LL+f+TYCIDgAYNXdaGUb1Ibum+X6fP4M1ay2XS/bKvLxANbZR0MJ\n" \
	"-----END CERTIFICATE-----\n"
#define PEM_TWO \
	"-----BEGIN CERTIFICATE-----\n" \
	"MIIBeTCCAR+gAwIBAgIUP/T+hCRwSXEdHthg7wrhsQcSw9swCgYIKoZIzj0EAwIw\n" \
	"ETEPMA0GA1UEAwwGY2EgdHdvMCAXDTI2MTEyNTEzMDMyMVoYDzIxMjYxMTAxMTMw\n" \
	"MzIxWjARMQ8wDQYDVQQDDAZjYSB0d28wWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC\n" \
	"AARKzngVDRVkgISndQ4Ah4RPEsAst/7Dj4y5eEpekBobtIUv18PE72M1XSAIiBSe\n" \
	"ENBFM/IbBNlcGnQrTBEnXLJYo1MwUTAdBgNVHQ4EFgQUpLNQEBsxEe+CNc8slEqu\n" \
	"F6D/4wUwHwYDVR0jBBgwFoAUpLNQEBsxEe+CNc8slEquF6D/4wUwDwYDVR0TAQH/\n" \
	"BAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiEAmo1XbT4eArr2NEUuLKOUkKkvxV1l\n" \
	"HSD1aTWw97lZploCIDv3f4PGAm4UnVaU5Uks4ZgaHRLU3qBWuYIuKQDiiQ47\n" \
	"-----END CERTIFICATE-----\n"
#define KEY_PEM "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQ==\n-----END PRIVATE KEY-----\n"
#define PW "over-there 7"
#define GOOD "account=operator; host=ftp.example.org; user=ceir; pw=" PW "; listsTo=/lists; fetchFrom=out"

static struct world w;
static struct face *admin, *operator;

static int make(void **state)
{
	(void)state;
	world_open(&w);
	world_settle(&w);
	admin = face_login(&w, "admin");
	operator = face_login(&w, "operator");
	return 0;
}

static int destroy(void **state)
{
	(void)state;
	face_free(admin);
	face_free(operator);
	assert_int_equal(world_verify(&w, STR(""), true), 0);
	world_close(&w);
	return 0;
}

static void detail_is(const struct face *f, const char *element)
{
	assert_non_null(f->reply.details);
	assert_string_equal(f->reply.details->element, element);
}

/* A remote that was not there, of which the rest is given. */
static void make_remote(const char *id, const char *rest)
{
	char set[4096];

	snprintf(set, sizeof set, "id=%s; %s", id, rest);
	if (create(admin, "remote", set) != REG_DONE)
		fail_msg("%s: %u %s", set, (unsigned)admin->reply.code, admin->reply.details ? admin->reply.details->reason : "");
}

static void drop_remote(const char *id)
{
	assert_int_equal(remove_(admin, "remote", id, NULL), REG_DONE);
}

/* The values of a field that repeats, joined by spaces. */
static const char *all(const struct face *f, const char *name)
{
	static char text[256];

	text[0] = '\0';
	for (const struct reg_node *n = f->reply.fields; n; n = n->next)
		if (strcmp(n->field->name, name) == 0)
			snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", text[0] ? " " : "", n->text.p);
	return text;
}

/* ---- what src/remote sees ---- */

struct seen {
	struct reg_remote list[8];
	size_t n;
};

static void keep_remote(void *ctx, const struct reg_remote *remote)
{
	struct seen *s = ctx;

	assert_in_range(s->n, 0, CEIR_COUNT(s->list) - 1);
	s->list[s->n++] = *remote;
}

/* All active remotes; texts are good until the next call. */
static const struct seen *active(void)
{
	static struct seen s;
	static struct arena *arena;

	arena_free(arena);
	arena = arena_new(1 << 20);
	s.n = 0;
	assert_int_equal(reg_remotes_active(w.r, arena, keep_remote, &s), CEIR_OK);
	return &s;
}

static const struct reg_remote *active_one(const char *code)
{
	const struct seen *s = active();

	for (size_t i = 0; i < s->n; i++)
		if (str_eq_c(s->list[i].code, code))
			return &s->list[i];
	return NULL;
}

/* ---- life ---- */

static void life(void **state)
{
	(void)state;
	assert_int_equal(check(admin, "remote", "mno"), REG_DONE);
	assert_true(admin->reply.checks[0].avail);
	make_remote("mno", GOOD);
	assert_string_equal(value(admin, "id"), "mno");
	assert_int_equal(check(admin, "remote", "mno"), REG_DONE);
	assert_false(admin->reply.checks[0].avail);
	assert_int_equal(info(operator, "remote", "mno"), REG_DONE);
	static const char *const expected[][2] = {{"account", "operator"}, {"host", "ftp.example.org"}, {"port", "21"}, {"tls", "explicit"},
		{"user", "ceir"}, {"listsTo", "/lists"}, {"fetchFrom", "out"}, {"format", "csv"}, {"packing", "zstd"}, {"keep", "no"},
		{"interval", "60"}, {"status", "active"}, {"failures", "0"}, {"crID", "admin"}};
	for (size_t i = 0; i < CEIR_COUNT(expected); i++)
		assert_string_equal(value(operator, expected[i][0]), expected[i][1]);
	static const char *const absent[] = {"pw", "ca", "answersTo", "error", "failed", "done", "pushed", "upID"};
	for (size_t i = 0; i < CEIR_COUNT(absent); i++)
		assert_null(value(operator, absent[i]));
	assert_string_equal(all(operator, "list"), "black grey exceptions");
	assert_int_equal(update(admin, "remote", "mno", "user=other; answersTo=in; keep=yes; packing=gzip; format=xml; interval=10", "list=white", "list=grey"),
		REG_DONE);
	assert_int_equal(info(admin, "remote", "mno"), REG_DONE);
	assert_string_equal(all(admin, "list"), "black exceptions white");
	assert_string_equal(value(admin, "user"), "other");
	assert_string_equal(value(admin, "answersTo"), "in");
	assert_string_equal(value(admin, "upID"), "admin");
	/* No lists any more; when there are some again, the usual ones. */
	assert_int_equal(update(admin, "remote", "mno", "listsTo=", NULL, NULL), REG_DONE);
	assert_int_equal(info(admin, "remote", "mno"), REG_DONE);
	assert_null(value(admin, "listsTo"));
	assert_string_equal(all(admin, "list"), "");
	assert_int_equal(update(admin, "remote", "mno", "listsTo=new", NULL, NULL), REG_DONE);
	assert_int_equal(info(admin, "remote", "mno"), REG_DONE);
	assert_string_equal(all(admin, "list"), "black grey exceptions");
	struct reg_query q = {.count = true};
	assert_int_equal(query(operator, "remote", &q), REG_DONE);
	assert_int_equal(operator->reply.page->n_items, 1);
	drop_remote("mno");
	assert_int_equal(info(admin, "remote", "mno"), REG_NOT_FOUND);
	assert_int_equal(remove_(admin, "remote", "mno", NULL), REG_NOT_FOUND);
	assert_int_equal(update(admin, "remote", "mno", "user=x", NULL, NULL), REG_NOT_FOUND);
}

static void tls_and_port(void **state)
{
	(void)state;
	make_remote("port", GOOD "; tls=implicit");
	assert_int_equal(active_one("port")->port, 990);
	assert_true(active_one("port")->implicit);
	assert_int_equal(update(admin, "remote", "port", "tls=explicit", NULL, NULL), REG_DONE);
	assert_int_equal(active_one("port")->port, 21);
	/* One that was chosen stays. */
	assert_int_equal(update(admin, "remote", "port", "port=2121", NULL, NULL), REG_DONE);
	assert_int_equal(update(admin, "remote", "port", "tls=implicit", NULL, NULL), REG_DONE);
	assert_int_equal(active_one("port")->port, 2121);
	assert_int_equal(update(admin, "remote", "port", "tls=explicit; port=65535", NULL, NULL), REG_DONE);
	assert_int_equal(active_one("port")->port, 65535);
	drop_remote("port");
}

/* ---- refusals ---- */

#define BASE "account=operator; user=ceir; pw=" PW "; fetchFrom=out; host="

static void create_refused(void **state)
{
	static const struct {
		const char *set, *element;
		unsigned code;
	} cases[] = {{"account=operator; host=h; user=u; pw=" PW "; fetchFrom=o", "id", REG_MISSING},
		{"id=r; host=h; user=u; pw=" PW "; fetchFrom=o", "account", REG_MISSING},
		{"id=r; account=operator; user=u; pw=" PW "; fetchFrom=o", "host", REG_MISSING},
		{"id=r; account=operator; host=h; pw=" PW "; fetchFrom=o", "user", REG_MISSING},
		{"id=r; account=operator; host=h; user=u; fetchFrom=o", "pw", REG_MISSING},
		{"id=r; account=operator; host=h; user=u; pw=" PW, "listsTo", REG_MISSING},
		{"id=r; account=operator; host=h; user=u; pw=" PW "; fetchFrom=; listsTo=", "listsTo", REG_MISSING},
		{"id=r; account=nobody1; host=h; user=u; pw=" PW "; fetchFrom=o", "account", REG_NOT_FOUND},
		{"id=r; account=importer1; host=h; user=u; pw=" PW "; listsTo=o", "listsTo", REG_POLICY},
		{"id=r; account=gone; host=h; user=u; pw=" PW "; fetchFrom=o", "account", REG_STATUS},
		{"id=123456789012345678901234567890123; " BASE "h", "id", REG_RANGE},
		{"id=r; " BASE "h; port=0", "port", REG_RANGE}, {"id=r; " BASE "h; port=65536", "port", REG_RANGE},
		{"id=r; " BASE "h; port=ftp", "port", REG_VALUE}, {"id=r; " BASE "h; tls=none", "tls", REG_RANGE},
		{"id=r; " BASE "h; interval=9", "interval", REG_RANGE}, {"id=r; " BASE "h; interval=86401", "interval", REG_RANGE},
		{"id=r; " BASE "h; answersTo=a/../../b", "answersTo", REG_VALUE}, {"id=r; " BASE "h; answersTo=..", "answersTo", REG_VALUE},
		{"id=r; " BASE "h; answersTo=a\\..\\b", "answersTo", REG_VALUE}, {"id=r; " BASE "h; answersTo=a\nDELE b", "answersTo", REG_VALUE},
		{"id=r; " BASE "h; answersTo=./out/", "fetchFrom", REG_POLICY}, {"id=r; " BASE "h; listsTo=out", "fetchFrom", REG_POLICY},
		{"id=r; " BASE "h; list=black", "listsTo", REG_MISSING}, {"id=r; " BASE "h; listsTo=l; list=red", "list", REG_RANGE},
		{"id=r; " BASE "h; listsTo=l; list=grey; list=grey", "list", REG_EXISTS}, {"id=r; " BASE "h; format=pdf", "format", REG_RANGE},
		{"id=r; " BASE "h; packing=zip", "packing", REG_RANGE}, {"id=r; " BASE "h; keep=perhaps", "keep", REG_RANGE},
		{"id=r; " BASE "h; status=closed", "status", REG_RANGE}, {"id=r; " BASE "h; failures=0", "failures", REG_POLICY},
		{"id=r; " BASE "h; error=x", "error", REG_POLICY}, {"id=r; " BASE "h; ca=x", "ca", REG_VALUE},
		{"id=r; " BASE "h; ca=" KEY_PEM, "ca", REG_VALUE}, {"id=r; " BASE "h; ca=" PEM_ONE KEY_PEM, "ca", REG_VALUE},
		{"id=r; account=operator; host=h; user=a\nb; pw=" PW "; fetchFrom=o", "user", REG_VALUE},
		{"id=r; account=operator; host=h; user=a\177; pw=" PW "; fetchFrom=o", "user", REG_VALUE},
		{"id=r; account=operator; host=h; user=u; pw=abc\r\ndef; fetchFrom=o", "pw", REG_VALUE},
		{"id=r; account=operator; host=h; user=u; pw=short; fetchFrom=o", "pw", REG_RANGE}};

	(void)state;
	assert_int_equal(create(admin, "account", "id=gone; role=pos; pw=secret-99"), REG_DONE);
	assert_int_equal(remove_(admin, "account", "gone", NULL), REG_DONE);
	for (size_t i = 0; i < CEIR_COUNT(cases); i++) {
		unsigned code = create(admin, "remote", cases[i].set);

		if (code != cases[i].code)
			fail_msg("%s: %u", cases[i].set, code);
		detail_is(admin, cases[i].element);
		/* What may be a secret is not told back. */
		if (strcmp(cases[i].element, "pw") == 0 || strcmp(cases[i].element, "ca") == 0)
			assert_int_equal(admin->reply.details->value.n, 0);
	}
	assert_int_equal(world_sql(&w, "SELECT count(*) FROM remote"), 0);
	make_remote("r", BASE "h");
	assert_int_equal(create(admin, "remote", "id=r; " BASE "h"), REG_EXISTS);
	drop_remote("r");
}

static void hosts(void **state)
{
	static const char *const good[] = {"h", "ftp.example.org", "FTP-2.Example.org", "xn--80ak6aa92e.com", "127.0.0.1", "::1", "2001:db8::7", "1a.b2c"};
	static const char *const bad[] = {"a b", "a..b", ".a", "a.", "-a", "a-", "a_b", "a/b", "a:21", "a@b", "[::1]", "::1%eth0", "1.2.3", "1.2.3.4.5", "256.1.1.1",
		"127.1", "0x7f.1", "127.0.0.0x1", "2130706433", "1:2", ":", "1234567890123456789012345678901234567890123456789012345678901234",
		"h\nPASS x", "h\r", "\xd1\x84.example", "::ffff:1.2.3.4.5.6.7.8.9.0.1.2.3.4.5.6.7.8.9.0.1.2"};
	char set[400];

	(void)state;
	for (size_t i = 0; i < CEIR_COUNT(good); i++) {
		snprintf(set, sizeof set, BASE "%s", good[i]);
		make_remote("host", set);
		assert_int_equal(info(admin, "remote", "host"), REG_DONE);
		assert_string_equal(value(admin, "host"), good[i]);
		drop_remote("host");
	}
	for (size_t i = 0; i < CEIR_COUNT(bad); i++) {
		assert_false(reg_remote_host_good(str_of(bad[i])));
		/* The test's own way of writing commands trims what stands at the ends. */
		snprintf(set, sizeof set, "id=host; " BASE "%s", bad[i]);
		if (str_trim(str_of(bad[i])).n == strlen(bad[i])) {
			assert_int_equal(create(admin, "remote", set), REG_VALUE);
			detail_is(admin, "host");
		}
	}
	assert_false(reg_remote_host_good(STR("")));
	assert_false(reg_remote_host_good(STR("a\0b")));
	memset(set, 'a', 253);
	for (size_t i = 60; i < 253; i += 61)
		set[i] = '.';
	assert_true(reg_remote_host_good((struct str){set, 253}));
	set[253] = 'a';
	assert_false(reg_remote_host_good((struct str){set, 254}));
}

static void update_refused(void **state)
{
	static const struct {
		const char *set, *add, *rem, *element;
		unsigned code;
	} cases[] = {{"id=x", NULL, NULL, "id", REG_POLICY}, {"account=importer1", NULL, NULL, "account", REG_POLICY},
		{"listsTo=; fetchFrom=", NULL, NULL, "listsTo", REG_MISSING}, {NULL, "list=grey", NULL, "list", REG_EXISTS},
		{NULL, NULL, "list=white", "list", REG_NOT_FOUND}, {NULL, NULL, "list=black; list=grey; list=exceptions", "list", REG_POLICY},
		{"listsTo=", "list=white", NULL, "listsTo", REG_MISSING}, {"fetchFrom=/lists/", NULL, NULL, "fetchFrom", REG_POLICY},
		{"user=", NULL, NULL, "user", REG_RANGE}, {"pw=12345", NULL, NULL, "pw", REG_RANGE}, {"port=0", NULL, NULL, "port", REG_RANGE},
		{"host=bad_host; pw=" PW, NULL, NULL, "host", REG_VALUE}, {"host=other", NULL, NULL, "pw", REG_MISSING},
		{"ca=" PEM_ONE, NULL, NULL, "pw", REG_MISSING}, {"failures=0", NULL, NULL, "failures", REG_POLICY}};

	(void)state;
	make_remote("upd", GOOD);
	for (size_t i = 0; i < CEIR_COUNT(cases); i++) {
		unsigned code = update(admin, "remote", "upd", cases[i].set, cases[i].add, cases[i].rem);

		if (code != cases[i].code)
			fail_msg("%s: %u", cases[i].set ? cases[i].set : "", code);
		detail_is(admin, cases[i].element);
	}
	assert_int_equal(info(admin, "remote", "upd"), REG_DONE);
	assert_null(value(admin, "upID"));
	assert_string_equal(value(admin, "host"), "ftp.example.org");
	drop_remote("upd");
}

/* Who may change a remote does not learn its password by sending it elsewhere; who knows the password may. */
static void the_password_does_not_travel(void **state)
{
	(void)state;
	make_remote("pw", GOOD);
	assert_int_equal(update(admin, "remote", "pw", "host=evil.example.org", NULL, NULL), REG_MISSING);
	assert_int_equal(update(admin, "remote", "pw", "host=evil.example.org; tls=implicit; user=x", NULL, NULL), REG_MISSING);
	assert_int_equal(update(admin, "remote", "pw", "host=ftp.example.org; user=y", NULL, NULL), REG_DONE);
	assert_int_equal(update(admin, "remote", "pw", "host=ftp2.example.org; pw=another 9", NULL, NULL), REG_DONE);
	assert_true(str_eq_c(active_one("pw")->host, "ftp2.example.org"));
	assert_true(str_eq_c(active_one("pw")->password, "another 9"));
	/* The same certificates, as XML hands them on, are no change; others are. */
	assert_int_equal(update(admin, "remote", "pw", "pw=another 9; ca=" PEM_ONE, NULL, NULL), REG_DONE);
	char set[2048] = "ca=" PEM_ONE;
	for (char *p = set; *p; p++)
		*p = *p == '\n' ? ' ' : *p;
	assert_int_equal(update(admin, "remote", "pw", set, NULL, NULL), REG_DONE);
	assert_int_equal(update(admin, "remote", "pw", "ca=" PEM_TWO, NULL, NULL), REG_MISSING);
	assert_int_equal(update(admin, "remote", "pw", "ca=", NULL, NULL), REG_MISSING);
	assert_int_equal(update(admin, "remote", "pw", "ca=; pw=another 9", NULL, NULL), REG_DONE);
	assert_int_equal(active_one("pw")->ca.n, 0);
	drop_remote("pw");
}

/* ---- certificates ---- */

static bool pem_is(const char *text, const char *expected)
{
	struct arena *arena = arena_new(1 << 20);
	struct str pem = STR("");
	enum ceir_err err = reg_remote_pem(arena, str_of(text), 16384, &pem);
	bool same = expected ? !err && str_eq_c(pem, expected) : err == CEIR_EINVAL;

	arena_free(arena);
	return same;
}

static void certificates(void **state)
{
	char text[4096] = PEM_ONE PEM_TWO;
	struct str pem;

	(void)state;
	assert_true(pem_is(PEM_ONE, PEM_ONE));
	assert_true(pem_is(PEM_ONE PEM_TWO, PEM_ONE PEM_TWO));
	for (char *p = text; *p; p++)
		*p = *p == '\n' ? ' ' : *p;
	assert_true(pem_is(text, PEM_ONE PEM_TWO));
	assert_true(pem_is("subject=CN = ca one\r\n" PEM_ONE "\n\nthe other:\n" PEM_TWO "end\n", PEM_ONE PEM_TWO));
	assert_true(pem_is("", NULL));
	assert_true(pem_is("-----BEGIN CERTIFICATE-----", NULL));
	assert_true(pem_is("-----BEGIN CERTIFICATE----- -----END CERTIFICATE-----", NULL));
	assert_true(pem_is("-----BEGIN CERTIFICATE-----\nTm8gY2VydGlmaWNhdGU=\n-----END CERTIFICATE-----\n", NULL));
	assert_true(pem_is("-----BEGIN CERTIFICATE-----\nMIIB,\n-----END CERTIFICATE-----\n", NULL));
	assert_true(pem_is(PEM_ONE "-----BEGIN CERTIFICATE-----\nMIIB", NULL));
	assert_true(pem_is(PEM_ONE KEY_PEM, NULL));
	assert_true(pem_is(KEY_PEM PEM_ONE, NULL));
	struct arena *arena = arena_new(1 << 20);
	assert_int_equal(reg_remote_pem(arena, STR(PEM_ONE), sizeof PEM_ONE - 1, &pem), CEIR_OK);
	assert_int_equal(reg_remote_pem(arena, STR(PEM_ONE), sizeof PEM_ONE - 2, &pem), CEIR_ERANGE);
	arena_free(arena);
	make_remote("ca", GOOD "; ca=" PEM_TWO);
	assert_true(str_eq_c(active_one("ca")->ca, PEM_TWO));
	assert_int_equal(info(operator, "remote", "ca"), REG_DONE);
	assert_string_equal(value(operator, "ca"), PEM_TWO);
	drop_remote("ca");
}

/* ---- the password at rest ---- */

static void sealed(void **state)
{
	char sql[200];

	(void)state;
	make_remote("one", GOOD);
	make_remote("two", GOOD);
	assert_true(str_eq_c(active_one("one")->password, PW));
	assert_int_equal(world_sql(&w, "SELECT count(*) FROM remote WHERE instr(pw, CAST('" PW "' AS BLOB)) > 0"), 0);
	snprintf(sql, sizeof sql, "SELECT count(DISTINCT pw) FROM remote WHERE length(pw) = %zu", sizeof PW - 1 + 24 + 16);
	assert_int_equal(world_sql(&w, sql), 2); /* the same password, sealed twice, looks like two */
	/* Under another remote's name it does not open, and that one alone is left out. */
	world_sql(&w, "UPDATE remote SET pw = (SELECT pw FROM remote WHERE code = 'one') WHERE code = 'two'");
	assert_null(active_one("two"));
	assert_non_null(active_one("one"));
	assert_int_equal(update(admin, "remote", "two", "pw=" PW, NULL, NULL), REG_DONE);
	assert_non_null(active_one("two"));
	world_sql(&w, "UPDATE remote SET pw = x'00' WHERE code = 'two'");
	assert_null(active_one("two"));
	drop_remote("two");
	drop_remote("one");
}

static void sealed_under_the_key(void **state)
{
	struct registry *r = calloc(1, sizeof *r);
	struct arena *arena = arena_new(1 << 16);
	struct str blob, out;

	(void)state;
	memset(r->digest_key, 7, sizeof r->digest_key);
	assert_int_equal(reg_remote_seal(r, STR("mno"), STR(PW), arena, &blob), CEIR_OK);
	assert_int_equal(reg_remote_unseal(r, STR("mno"), blob, arena, &out), CEIR_OK);
	assert_true(str_eq_c(out, PW));
	assert_int_equal(reg_remote_unseal(r, STR("mnp"), blob, arena, &out), CEIR_ECORRUPT);
	for (size_t n = 0; n < blob.n; n++)
		assert_int_equal(reg_remote_unseal(r, STR("mno"), (struct str){blob.p, n}, arena, &out), CEIR_ECORRUPT);
	((char *)(uintptr_t)blob.p)[blob.n - 1] ^= 1;
	assert_int_equal(reg_remote_unseal(r, STR("mno"), blob, arena, &out), CEIR_ECORRUPT);
	((char *)(uintptr_t)blob.p)[blob.n - 1] ^= 1;
	r->digest_key[0] ^= 1;
	assert_int_equal(reg_remote_unseal(r, STR("mno"), blob, arena, &out), CEIR_ECORRUPT);
	arena_free(arena);
	free(r);
}

/* Even from a face that forgets to say that a request is secret: else everybody who reads the log could try passwords. */
static void the_digest_is_keyed(void **state)
{
	uint8_t hash[32];
	char hex[65], sql[200];

	(void)state;
	make_remote("dig", GOOD);
	crypto_generichash(hash, 32, (const uint8_t *)"<epp/>", 6, NULL, 0);
	hex_print(hash, 32, hex);
	snprintf(sql, sizeof sql, "SELECT count(*) FROM audit WHERE object = 'remote' AND verb IN ('create', 'update') AND request = x'%s'", hex);
	assert_int_equal(world_sql(&w, sql), 0);
	assert_int_equal(info(admin, "remote", "dig"), REG_DONE);
	snprintf(sql, sizeof sql, "SELECT count(*) FROM audit WHERE object = 'remote' AND verb = 'info' AND request = x'%s'", hex);
	assert_true(world_sql(&w, sql) > 0);
	drop_remote("dig");
}

/* ---- active ---- */

static void active_ones(void **state)
{
	(void)state;
	make_remote("act", GOOD "; tls=implicit; port=2990; list=white; list=black; format=xml; packing=none; keep=yes; interval=77; answersTo=ans");
	const struct reg_remote *a = active_one("act");
	assert_true(str_eq_c(a->account, "operator") && str_eq_c(a->op, "25501") && str_eq_c(a->host, "ftp.example.org"));
	assert_true(str_eq_c(a->user, "ceir") && str_eq_c(a->password, PW));
	assert_true(str_eq_c(a->lists_to, "/lists") && str_eq_c(a->answers_to, "ans") && str_eq_c(a->fetch_from, "out"));
	assert_int_equal(a->lists, REG_BIT(REG_LIST_WHITE) | REG_BIT(REG_LIST_BLACK));
	assert_true(a->implicit && a->keep && a->port == 2990 && a->interval_s == 77 && a->format == REG_LIST_XML && a->packing == REG_PLAIN);
	int64_t id = a->id, changed = a->changed_us;
	assert_int_equal(changed, world_sql(&w, "SELECT cr_at FROM remote WHERE code = 'act'"));
	assert_int_equal(update(admin, "remote", "act", "packing=gzip; listsTo=", NULL, NULL), REG_DONE);
	a = active_one("act");
	assert_true(a->changed_us > changed && a->id == id && a->packing == REG_GZIP && a->lists == 0 && a->lists_to.n == 0);
	assert_int_equal(update(admin, "remote", "act", "status=suspended", NULL, NULL), REG_DONE);
	assert_null(active_one("act"));
	assert_int_equal(update(admin, "remote", "act", "status=active", NULL, NULL), REG_DONE);
	assert_non_null(active_one("act"));
	assert_int_equal(update(admin, "account", "operator", "status=suspended", NULL, NULL), REG_DONE);
	assert_null(active_one("act"));
	assert_int_equal(update(admin, "account", "operator", "status=active", NULL, NULL), REG_DONE);
	face_free(operator);
	operator = face_login(&w, "operator");
	/* Of an account that is no operator's: files come and answers go. */
	make_remote("imp", "account=importer1; host=::1; user=u; pw=" PW "; fetchFrom=o; answersTo=a");
	assert_int_equal(active_one("imp")->op.n, 0);
	assert_int_equal(active_one("imp")->lists, 0);
	drop_remote("imp");
	/* The same name again is another remote. */
	drop_remote("act");
	make_remote("act", GOOD);
	assert_true(active_one("act")->id > id);
	drop_remote("act");
}

static void own_only(void **state)
{
	struct reg_query q = {.limit = 0};

	(void)state;
	make_remote("own", GOOD);
	make_remote("foreign", "account=importer1; host=::1; user=u; pw=" PW "; fetchFrom=o");
	assert_int_equal(info(operator, "remote", "own"), REG_DONE);
	assert_int_equal(info(operator, "remote", "foreign"), REG_AUTHORIZATION);
	assert_int_equal(query(operator, "remote", &q), REG_DONE);
	assert_int_equal(operator->reply.page->n_items, 1);
	assert_string_equal(value_of(operator->reply.page->items[0], "id"), "own");
	struct reg_filter f = {STR("account"), REG_EQ, STR("importer1")};
	q = (struct reg_query){.filters = &f, .n_filters = 1};
	assert_int_equal(query(operator, "remote", &q), REG_DONE);
	assert_int_equal(operator->reply.page->n_items, 0);
	assert_int_equal(query(admin, "remote", &q), REG_DONE);
	assert_int_equal(admin->reply.page->n_items, 1);
	assert_int_equal(update(operator, "remote", "own", "status=suspended", NULL, NULL), REG_AUTHORIZATION);
	drop_remote("own");
	drop_remote("foreign");
}

/* ---- notes ---- */

static struct reg_remote_event event(enum reg_remote_way way, const char *file, const char *error)
{
	struct reg_remote_event e = {.way = way, .file = str_of(file), .bytes = 1234, .mtime_s = 1700000000, .error = error};

	for (size_t i = 0; i < sizeof e.sha256; i++)
		e.sha256[i] = (uint8_t)(i * 0x11);
	return e;
}

static void note(int64_t id, enum reg_remote_way way, const char *file, const char *error)
{
	struct reg_remote_event e = event(way, file, error);

	assert_int_equal(reg_remote_note(w.r, id, &e), CEIR_OK);
}

static bool known(int64_t id, enum reg_remote_way way, const char *file, uint64_t size, int64_t mtime_s)
{
	bool yes = false;

	assert_int_equal(reg_remote_known(w.r, id, way, str_of(file), size, mtime_s, &yes), CEIR_OK);
	return yes;
}

static int64_t has(int64_t id, enum reg_list_kind list)
{
	int64_t seq = 0;

	assert_int_equal(reg_remote_has(w.r, id, list, &seq), CEIR_OK);
	return seq;
}

static void last_audit_is(const char *name, unsigned code)
{
	char sql[600];

	snprintf(sql, sizeof sql, "SELECT count(*) FROM audit WHERE seq = (SELECT max(seq) FROM audit WHERE object = 'remote' AND verb = 'transfer')"
		" AND name = '%s' AND code = %u AND account = 'operator' AND role IS NULL AND address = 'ceird' AND length(request) = 32",
		name, code);
	if (world_sql(&w, sql) != 1)
		fail_msg("the last note is not \"%s\" %u", name, code);
}

static void notes(void **state)
{
	(void)state;
	make_remote("note", GOOD);
	int64_t id = active_one("note")->id, changed = active_one("note")->changed_us;
	assert_int_equal(has(id, REG_LIST_BLACK), -1);
	struct reg_remote_event e = event(REG_REMOTE_LIST, "black-full-7.csv.zst", NULL);
	e.list = REG_LIST_BLACK;
	e.to = 7;
	assert_int_equal(reg_remote_note(w.r, id, &e), CEIR_OK);
	last_audit_is("note push black-full-7.csv.zst 1234 bytes sha256 0011223344556677", REG_DONE);
	assert_int_equal(world_sql(&w, "SELECT count(*) FROM audit WHERE verb = 'transfer' AND hex(response) LIKE '00112233445566778899AABB%'"), 1);
	e.to = 9;
	assert_int_equal(reg_remote_note(w.r, id, &e), CEIR_OK);
	e.list = REG_LIST_WHITE;
	e.to = 0;
	assert_int_equal(reg_remote_note(w.r, id, &e), CEIR_OK);
	assert_int_equal(has(id, REG_LIST_BLACK), 9);
	assert_int_equal(has(id, REG_LIST_WHITE), 0);
	assert_int_equal(has(id, REG_LIST_GREY), -1);
	/* A list that did not arrive is not there. */
	e = event(REG_REMOTE_LIST, "grey-full-9.csv.zst", "the disk is full");
	e.list = REG_LIST_GREY;
	e.to = 9;
	assert_int_equal(reg_remote_note(w.r, id, &e), CEIR_OK);
	last_audit_is("note push grey-full-9.csv.zst: the disk is full", REG_FAILED);
	assert_int_equal(has(id, REG_LIST_GREY), -1);
	assert_int_equal(info(operator, "remote", "note"), REG_DONE);
	assert_string_equal(value(operator, "pushed.list"), "black");
	assert_string_equal(value(operator, "pushed.seq"), "9");
	assert_string_equal(value(operator, "failures"), "1");
	assert_string_equal(value(operator, "error"), "the disk is full");
	assert_non_null(value(operator, "failed"));
	assert_non_null(value(operator, "done"));
	/* Files: known by name, size and time, of their way. */
	assert_false(known(id, REG_REMOTE_FETCH, "a.csv", 1234, 1700000000));
	note(id, REG_REMOTE_FETCH, "a.csv", NULL);
	last_audit_is("note fetch a.csv 1234 bytes sha256 0011223344556677", REG_DONE);
	assert_true(known(id, REG_REMOTE_FETCH, "a.csv", 1234, 1700000000));
	assert_false(known(id, REG_REMOTE_FETCH, "a.csv", 1235, 1700000000));
	assert_false(known(id, REG_REMOTE_FETCH, "a.csv", 1234, 1700000001));
	assert_false(known(id, REG_REMOTE_FETCH, "A.csv", 1234, 1700000000));
	assert_false(known(id, REG_REMOTE_ANSWER, "a.csv", 1234, 1700000000));
	assert_false(known(id + 1, REG_REMOTE_FETCH, "a.csv", 1234, 1700000000));
	note(id, REG_REMOTE_FETCH, "b.csv", "gone");
	assert_false(known(id, REG_REMOTE_FETCH, "b.csv", 1234, 1700000000));
	/* A later one of the same name takes its place. */
	e = event(REG_REMOTE_FETCH, "a.csv", NULL);
	e.bytes = UINT64_MAX;
	assert_int_equal(reg_remote_note(w.r, id, &e), CEIR_OK);
	assert_false(known(id, REG_REMOTE_FETCH, "a.csv", 1234, 1700000000));
	assert_true(known(id, REG_REMOTE_FETCH, "a.csv", UINT64_MAX, 1700000000));
	assert_int_equal(info(operator, "remote", "note"), REG_DONE);
	assert_string_equal(value(operator, "failures"), "0");
	assert_null(value(operator, "error"));
	assert_int_equal(active_one("note")->changed_us, changed);
	assert_int_equal(world_verify(&w, STR(""), true), 0);
	/* With the remote all of it goes, and what comes too late is nobody's. */
	drop_remote("note");
	assert_int_equal(world_sql(&w, "SELECT count(*) FROM remote_file"), 0);
	int64_t rows = world_sql(&w, "SELECT count(*) FROM audit");
	assert_int_equal(reg_remote_note(w.r, id, &e), CEIR_ENOENT);
	assert_int_equal(world_sql(&w, "SELECT count(*) FROM audit"), rows);
	assert_int_equal(has(id, REG_LIST_BLACK), -1);
}

/* Names and errors of a stranger's server go into a log and into answers, which are text. */
static void notes_of_strange_texts(void **state)
{
	char name[300], error[600];

	(void)state;
	make_remote("odd", GOOD);
	int64_t id = active_one("odd")->id;
	note(id, REG_REMOTE_FETCH, "a\nb\xff\xd1\x84.csv", NULL);
	last_audit_is("odd fetch a?b?\xd1\x84.csv 1234 bytes sha256 0011223344556677", REG_DONE);
	assert_true(known(id, REG_REMOTE_FETCH, "a\nb\xff\xd1\x84.csv", 1234, 1700000000));
	note(id, REG_REMOTE_ANSWER, "", "530 \x01no");
	last_audit_is("odd push: 530 ?no", REG_FAILED);
	memset(name, 'n', sizeof name);
	name[sizeof name - 1] = '\0';
	for (size_t i = 0; i + 1 < sizeof error; i += 2)
		memcpy(error + i, "\xd1\x84", 2);
	error[sizeof error - 2] = '\0';
	note(id, REG_REMOTE_FETCH, name, NULL);
	assert_true(known(id, REG_REMOTE_FETCH, name, 1234, 1700000000));
	assert_int_equal(world_sql(&w, "SELECT count(*) FROM audit WHERE name LIKE 'odd fetch nnn% 1234 bytes sha256 0011223344556677'"
		" AND length(CAST(name AS BLOB)) <= 255"), 1);
	note(id, REG_REMOTE_FETCH, name, error);
	assert_int_equal(world_sql(&w, "SELECT max(length(CAST(name AS BLOB))) <= 255 FROM audit"), 1);
	assert_int_equal(info(admin, "remote", "odd"), REG_DONE);
	assert_true(str_is_utf8(str_of(value(admin, "error"))));
	assert_in_range(strlen(value(admin, "error")), 250, 255);
	struct reg_query q = {.limit = 0};
	assert_int_equal(query(operator, "transaction", &q), REG_DONE);
	for (size_t i = 0; i < operator->reply.page->n_items; i++)
		if (value_of(operator->reply.page->items[i], "name"))
			assert_true(str_is_utf8(str_of(value_of(operator->reply.page->items[i], "name"))));
	drop_remote("odd");
}

static void forgetting(void **state)
{
	struct str here[] = {STR("c"), STR("a"), STR("x")};

	(void)state;
	make_remote("forget", GOOD);
	int64_t id = active_one("forget")->id;
	for (const char *name = "abcd"; *name; name++) {
		char file[] = {*name, '\0'};

		note(id, REG_REMOTE_FETCH, file, NULL);
		note(id, REG_REMOTE_ANSWER, file, NULL);
	}
	assert_int_equal(reg_remote_forget(w.r, id, REG_REMOTE_FETCH, here, CEIR_COUNT(here)), CEIR_OK);
	assert_true(known(id, REG_REMOTE_FETCH, "a", 1234, 1700000000) && known(id, REG_REMOTE_FETCH, "c", 1234, 1700000000));
	assert_false(known(id, REG_REMOTE_FETCH, "b", 1234, 1700000000) || known(id, REG_REMOTE_FETCH, "d", 1234, 1700000000));
	assert_true(known(id, REG_REMOTE_ANSWER, "b", 1234, 1700000000));
	assert_int_equal(reg_remote_forget(w.r, id + 1, REG_REMOTE_FETCH, NULL, 0), CEIR_OK);
	assert_true(known(id, REG_REMOTE_FETCH, "a", 1234, 1700000000));
	assert_int_equal(reg_remote_forget(w.r, id, REG_REMOTE_FETCH, NULL, 0), CEIR_OK);
	assert_false(known(id, REG_REMOTE_FETCH, "a", 1234, 1700000000));
	assert_int_equal(world_sql(&w, "SELECT count(*) FROM remote_file"), 4);
	/* More than are forgotten at once. */
	world_sql(&w, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2500) INSERT INTO remote_file(remote, way, name, size, mtime, at)"
		" SELECT (SELECT id FROM remote WHERE code = 'forget'), 'fetch', 'f' || i, 1, 1, 1 FROM n");
	assert_int_equal(reg_remote_forget(w.r, id, REG_REMOTE_FETCH, (struct str[]){STR("f2400")}, 1), CEIR_OK);
	assert_int_equal(world_sql(&w, "SELECT count(*) FROM remote_file"), 5);
	assert_true(known(id, REG_REMOTE_FETCH, "f2400", 1, 1));
	drop_remote("forget");
}

/* ---- who is told ---- */

/* The message at the head of admin's queue, taken off; NULL: there is none. */
static const char *take_message(struct str args[4])
{
	static char english[256];
	char id[32];

	if (poll(admin, NULL) != REG_MESSAGE)
		return NULL;
	snprintf(english, sizeof english, "%s", admin->reply.message->english);
	for (size_t i = 0; i < 4; i++)
		snprintf((char *)(uintptr_t)args[i].p, 100, "%.*s", (int)admin->reply.message->args[i].n, admin->reply.message->args[i].p);
	snprintf(id, sizeof id, "%.*s", (int)admin->reply.message->id.n, admin->reply.message->id.p);
	assert_true(poll(admin, id) < 2000);
	return english;
}

static void the_fifth_failure_is_told(void **state)
{
	static char texts[4][100];
	struct str args[] = {{texts[0], 100}, {texts[1], 100}, {texts[2], 100}, {texts[3], 100}};

	(void)state;
	while (take_message(args))
		;
	make_remote("fail", GOOD);
	int64_t id = active_one("fail")->id;
	for (int i = 0; i < 4; i++)
		note(id, REG_REMOTE_FETCH, "", "no route");
	note(id, REG_REMOTE_FETCH, "f", NULL); /* in a row */
	for (int i = 0; i < 4; i++)
		note(id, REG_REMOTE_FETCH, "", "no route");
	assert_null(take_message(args));
	note(id, REG_REMOTE_FETCH, "", "still no route");
	assert_string_equal(take_message(args), "Remote {0} of account {1} has failed {2} times in a row: {3}");
	assert_string_equal(texts[0], "fail");
	assert_string_equal(texts[1], "operator");
	assert_string_equal(texts[2], "5");
	assert_string_equal(texts[3], "still no route");
	/* Once, not with each that follows. */
	note(id, REG_REMOTE_FETCH, "", "still no route");
	assert_null(take_message(args));
	note(id, REG_REMOTE_FETCH, "f", NULL);
	assert_string_equal(take_message(args), "Remote {0} of account {1} works again after {2} failures");
	assert_string_equal(texts[2], "6");
	note(id, REG_REMOTE_FETCH, "f", NULL);
	assert_null(take_message(args));
	/* New settings begin anew. */
	for (int i = 0; i < 4; i++)
		note(id, REG_REMOTE_FETCH, "", "no route");
	assert_int_equal(update(admin, "remote", "fail", "pw=another 9", NULL, NULL), REG_DONE);
	assert_int_equal(info(admin, "remote", "fail"), REG_DONE);
	assert_string_equal(value(admin, "failures"), "0");
	assert_null(value(admin, "error"));
	note(id, REG_REMOTE_FETCH, "", "no route");
	assert_null(take_message(args));
	drop_remote("fail");
}

/* ---- after a restart; what verify says ---- */

static void a_restart_keeps_it(void **state)
{
	(void)state;
	make_remote("stay", GOOD);
	int64_t id = active_one("stay")->id;
	note(id, REG_REMOTE_FETCH, "f", NULL);
	face_free(admin);
	face_free(operator);
	world_stop(&w);
	world_start(&w);
	admin = face_login(&w, "admin");
	operator = face_login(&w, "operator");
	assert_true(str_eq_c(active_one("stay")->password, PW));
	assert_true(known(id, REG_REMOTE_FETCH, "f", 1234, 1700000000));
	world_sql(&w, "INSERT INTO remote_file(remote, way, name, size, mtime, at) VALUES (999999, 'fetch', 'x', 1, 1, 1)");
	assert_int_equal(world_verify(&w, STR(""), false), 1);
	world_sql(&w, "DELETE FROM remote_file WHERE remote = 999999; UPDATE remote SET account = 'nobody1'");
	assert_int_equal(world_verify(&w, STR(""), false), 1);
	assert_null(active_one("stay"));
	world_sql(&w, "UPDATE remote SET account = 'operator'");
	drop_remote("stay");
}

/* ---- signatures ---- */

static void signatures_are_printed(void **state)
{
	struct reg_file f = {.bytes = 10, .rows = 2, .from = 3, .to = 7, .digest = "ab", .signature = "cd"};
	struct buf b = BUF_INIT(1000);

	(void)state;
	reg_list_signature_print(&b, STR("MNO \"1\""), REG_LIST_GREY, &f);
	assert_true(str_eq_c(buf_view(&b), "{\"operator\":\"MNO \\\"1\\\"\",\"list\":\"grey\",\"from\":3,\"to\":7,\"rows\":2,\"bytes\":10,\"sha256\":\"ab\","
		"\"signature\":\"cd\"}\n"));
	buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(life), cmocka_unit_test(tls_and_port), cmocka_unit_test(create_refused), cmocka_unit_test(hosts),
		cmocka_unit_test(update_refused), cmocka_unit_test(the_password_does_not_travel), cmocka_unit_test(certificates), cmocka_unit_test(sealed),
		cmocka_unit_test(sealed_under_the_key), cmocka_unit_test(the_digest_is_keyed), cmocka_unit_test(active_ones), cmocka_unit_test(own_only),
		cmocka_unit_test(notes), cmocka_unit_test(notes_of_strange_texts), cmocka_unit_test(forgetting),
		cmocka_unit_test(the_fifth_failure_is_told), cmocka_unit_test(a_restart_keeps_it), cmocka_unit_test(signatures_are_printed)};

	return cmocka_run_group_tests(tests, make, destroy);
}

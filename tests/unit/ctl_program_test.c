/*
 * ctl_program_test.c - ceirctl as a whole against a server that is only played: it knows frames and looks for words in them.
 * What is tested is the client: connecting, logging in, pipelining, files in and out, what is printed, the exit status.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/ctl.h"
#include "tls/tls.h"

#define TIMEOUT_MS 10000u
#define EPP(body) "<epp xmlns=\"urn:ietf:params:xml:ns:epp-1.0\">" body "</epp>"
#define ANSWER(code, data)                                                                                                         \
	EPP("<response><result code=\"" code "\"><msg lang=\"en\">text " code "</msg></result>" data                               \
	    "<trID><svTRID>S</svTRID></trID></response>")
#define APPLICATION(element, fields)                                                                                               \
	"<resData><a:" element " xmlns:a=\"urn:ceir:params:xml:ns:application-1.0\"><a:id>APP-1</a:id>" fields "</a:" element      \
	"></resData>"

static char dir[] = "/tmp/ceir-ctl-XXXXXX";
static struct tls_server *credentials;
static int listener;
static char port[16];
static pthread_t player;

/* What the played server has seen, under the lock while ceirctl runs; read by tests when the connection is over. */
static pthread_mutex_t seen_lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
	unsigned sessions, logins, logouts, updates, imeis, creates;
	size_t longest;
	char last[65536];
} seen;

/* ---- the played server ----------------------------------------------------------------------------------------------------- */

static const char *play(const char *xml)
{
	static const char greeting[] = EPP(
		"<greeting><svID>played</svID><svDate>2026-11-25T00:00:00Z</svDate><svcMenu><version>1.0</version><lang>en</lang>"
		"<objURI>urn:ietf:params:xml:ns:imei-1.0</objURI><objURI>urn:ceir:params:xml:ns:tac-1.0</objURI><svcExtension>"
		"<extURI>urn:ceir:params:xml:ns:query-1.0</extURI><extURI>urn:ietf:params:xml:ns:epp:loginSec-1.0</extURI></"
		"svcExtension></svcMenu></greeting>");

	if (!xml || strstr(xml, "<hello/>"))
		return greeting;
	if (strstr(xml, "<login>")) {
		seen.logins++;
		return strstr(xml, ">secret-1<") ? ANSWER("1000", "") : ANSWER("2200", "");
	}
	if (strstr(xml, "<logout/>")) {
		seen.logouts++;
		return ANSWER("1500", "");
	}
	if (strstr(xml, "REFUSE"))
		return ANSWER("2303", "");
	if (strstr(xml, "<check>"))
		return ANSWER("1000", "<resData><i:chkData xmlns:i=\"urn:ietf:params:xml:ns:imei-1.0\"><i:cd><i:name "
				      "avail=\"0\">352106050544203</i:name>"
				      "<i:reason>Object exists</i:reason><i:state "
				      "reason=\"registered\">white</i:state></i:cd></i:chkData></resData>");
	if (strstr(xml, "<query:query")) {
		if (strstr(xml, "<query:cursor>two"))
			return ANSWER("1000", "<resData><q:queData xmlns:q=\"urn:ceir:params:xml:ns:query-1.0\"><q:item><t:infData "
					      "xmlns:t=\"urn:ceir:params:xml:ns:tac-1.0\"><t:id>22222222</t:id></t:infData></"
					      "q:item></q:queData></resData>");
		return ANSWER("1000", "<resData><q:queData xmlns:q=\"urn:ceir:params:xml:ns:query-1.0\"><q:item><t:infData "
				      "xmlns:t=\"urn:ceir:params:xml:ns:tac-1.0\"><t:id>11111111</t:id></t:infData></"
				      "q:item><q:next>two</q:next></q:queData></resData>");
	}
	if (strstr(xml, "<application:status>staged"))
		return ANSWER("1000", APPLICATION("creData", ""));
	if (strstr(xml, "<application:status>submitted"))
		return ANSWER("1001", "");
	if (strstr(xml, "rows=\"5000\"")) /* behind line 2 nothing follows */
		return strstr(xml, "after=\"0\"")
			       ? ANSWER("1000",
					 APPLICATION("infData",
						 "<a:row line=\"1\" result=\"accepted\"><a:imei>352106050544203</a:imei></a:row>"
						 "<a:row line=\"2\" result=\"refused\" "
						 "code=\"luhn\"><a:imei>=1+1</a:imei><a:reason>Wrong, \"check\" "
						 "digit</a:reason></a:row>"))
			       : ANSWER("1000", APPLICATION("infData", ""));
	if (strstr(xml, "rows=\"0\""))
		return ANSWER("1000",
			APPLICATION("infData", "<a:status>done</a:status><a:accepted>3</a:accepted><a:refused>1</a:refused>"));
	if (strstr(xml, "<update xmlns=")) {
		seen.updates++;
		for (const char *p = xml; (p = strstr(p, "<imei>")); p++)
			seen.imeis++;
	}
	seen.creates += strstr(xml, "<create>") != NULL;
	return ANSWER("1000", "");
}

static bool play_send(struct tls *t, const char *xml)
{
	uint32_t n = htonl((uint32_t)strlen(xml) + 4);

	return !tls_write(t, &n, 4, TIMEOUT_MS) && !tls_write(t, xml, strlen(xml), TIMEOUT_MS);
}

static bool play_receive(struct tls *t, void *to, size_t n)
{
	size_t got;

	for (; n > 0; n -= got, to = (char *)to + got)
		if (tls_read(t, to, n, &got, TIMEOUT_MS))
			return false;
	return true;
}

static void play_session(struct tls *t)
{
	uint32_t n;
	bool on = play_send(t, play(NULL));

	pthread_mutex_lock(&seen_lock);
	seen.sessions++;
	pthread_mutex_unlock(&seen_lock);
	while (on && play_receive(t, &n, 4)) {
		size_t length = ntohl(n) - 4;
		char *xml = calloc(1, length + 1);
		on = xml && play_receive(t, xml, length);
		if (on) {
			pthread_mutex_lock(&seen_lock);
			seen.longest = length > seen.longest ? length : seen.longest;
			snprintf(seen.last, sizeof(seen.last), "%s", xml);
			const char *answer = play(xml);
			pthread_mutex_unlock(&seen_lock);
			on = play_send(t, answer) && !strstr(answer, "\"1500\"");
		}
		free(xml);
	}
	tls_close(t);
}

static void *play_run(void *arg)
{
	int fd;

	while ((fd = accept(listener, NULL, NULL)) >= 0) {
		struct tls *t;
		if (!tls_accept(credentials, fd, TIMEOUT_MS, &t, NULL, 0))
			play_session(t);
	}
	return arg;
}

/* ---- the world -------------------------------------------------------------------------------------------------------------- */

static const char *path(const char *name)
{
	static char paths[8][128];
	static unsigned turn;
	char *p = paths[turn++ % 8];

	snprintf(p, sizeof(paths[0]), "%s/%s", dir, name);
	return p;
}

static int remove_one(const char *name, const struct stat *st, int type, struct FTW *where)
{
	(void)st;
	(void)type;
	(void)where;
	return remove(name);
}

static int make_world(void **state)
{
	static const char *const names[] = {"127.0.0.1"};
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(a);

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(mkdir(path("keys"), 0700), 0);
	assert_int_equal(tls_ca_create(path("keys"), "ceir test"), CEIR_OK);
	assert_int_equal(tls_ca_issue(path("keys"), "server", TLS_USE_SERVER, names, 1, 1, NULL), CEIR_OK);
	assert_int_equal(tls_ca_issue(path("keys"), "admin", TLS_USE_CLIENT, NULL, 0, 1, NULL), CEIR_OK);
	assert_int_equal(file_write(path("keys/admin.password"), STR("secret-1\n"), 0600), CEIR_OK);
	assert_int_equal(file_write(path("wrong"), STR("secret-2\n"), 0600), CEIR_OK);
	assert_int_equal(
		tls_server_new(path("keys/server.crt"), path("keys/server.key"), path("keys/ca.crt"), &credentials), CEIR_OK);
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(listener, 8), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&a, &size), 0);
	snprintf(port, sizeof(port), "%u", ntohs(a.sin_port));
	assert_int_equal(file_write(path("ceir.conf"), STR("[epp]\nlisten = 127.0.0.1:1\n"), 0600), CEIR_OK);
	return pthread_create(&player, NULL, play_run, NULL);
}

static int remove_world(void **state)
{
	(void)state;
	shutdown(listener, SHUT_RDWR);
	pthread_join(player, NULL);
	close(listener);
	tls_server_free(credentials);
	return nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* Standard streams to files and back. */
static int redirect(int fd, const char *to, int flags)
{
	int saved = dup(fd), file = open(to, flags | O_CLOEXEC, 0600);

	assert_true(saved >= 0 && file >= 0);
	assert_int_equal(dup2(file, fd), fd);
	close(file);
	return saved;
}

static void restore(int fd, int saved)
{
	assert_int_equal(dup2(saved, fd), fd);
	close(saved);
}

static char out[65536], err[65536];

static void read_back(const char *name, char *to, size_t size)
{
	struct buf b = BUF_INIT(0);

	assert_int_equal(file_read(path(name), size - 1, &b), CEIR_OK);
	if (b.n)
		memcpy(to, b.p, b.n);
	to[b.n] = '\0';
	buf_free(&b);
}

/* ceirctl --dir DIR --port PORT and the given words, ending with NULL. */
static int ceirctl(const char *input, const char *first, ...)
{
	static char *argv[32];
	int argc = 0;
	va_list ap;

	pthread_mutex_lock(&seen_lock);
	memset(&seen, 0, sizeof(seen));
	pthread_mutex_unlock(&seen_lock);
	const char *const head[] = {"ceirctl", "--dir", dir, "--port", port};
	for (size_t i = 0; i < CEIR_COUNT(head); i++)
		argv[argc++] = (char *)(uintptr_t)head[i];
	va_start(ap, first);
	for (const char *w = first; w; w = va_arg(ap, const char *))
		argv[argc++] = (char *)(uintptr_t)w;
	va_end(ap);
	assert_int_equal(file_write(path("in"), str_of(input), 0600), CEIR_OK);
	fflush(NULL);
	int in0 = redirect(0, path("in"), O_RDONLY), out1 = redirect(1, path("out"), O_WRONLY | O_CREAT | O_TRUNC),
	    err2 = redirect(2, path("err"), O_WRONLY | O_CREAT | O_TRUNC);
	int status = ctl_main(argc, argv);
	pthread_mutex_lock(&seen_lock); /* all that the session did is visible here */
	pthread_mutex_unlock(&seen_lock);
	fflush(NULL);
	restore(0, in0);
	restore(1, out1);
	restore(2, err2);
	clearerr(stdin);
	read_back("out", out, sizeof(out));
	read_back("err", err, sizeof(err));
	return status;
}

#define ASSERT_HOLDS(text, part) assert_non_null(strstr(text, part))

/* ---- tests --------------------------------------------------------------------------------------------------------------------
 */

static void a_check_is_a_table(void **state)
{
	(void)state;
	assert_int_equal(ceirctl("", "imei", "check", "352106050544203", NULL), CTL_OK);
	assert_string_equal(out, "name             avail  reason         state.colour  state.reason\n"
				 "352106050544203  no     Object exists  white         registered\n");
	assert_string_equal(err, "");
	assert_int_equal(seen.logins, 1);
	assert_int_equal(seen.logouts, 1);
}

static void json_is_one_line(void **state)
{
	(void)state;
	assert_int_equal(ceirctl("", "--json", "imei", "check", "352106050544203", NULL), CTL_OK);
	assert_ptr_equal(strchr(out, '\n'), out + strlen(out) - 1);
	ASSERT_HOLDS(out, "\"avail\":false");
	assert_int_equal(ceirctl("", "permit", "info", "REFUSE", "--json", NULL), CTL_REFUSED);
	ASSERT_HOLDS(out, "\"code\":2303");
}

static void a_refusal_is_told_on_stderr(void **state)
{
	(void)state;
	assert_int_equal(ceirctl("", "permit", "info", "REFUSE", NULL), CTL_REFUSED);
	assert_string_equal(out, "");
	ASSERT_HOLDS(err, "2303 text 2303");
}

static void a_wrong_password_is_a_refusal(void **state)
{
	(void)state;
	assert_int_equal(ceirctl("", "--password-file", path("wrong"), "imei", "check", "1", NULL), CTL_REFUSED);
	ASSERT_HOLDS(err, "2200");
}

static void long_passwords_go_through_the_extension(void **state)
{
	(void)state;
	assert_int_equal(file_write(path("long"), STR("a password of more than sixteen\n"), 0600), CEIR_OK);
	assert_int_equal(ceirctl("", "--password-file", path("long"), "imei", "check", "1", NULL), CTL_REFUSED);
	ASSERT_HOLDS(seen.last, "<pw>[LOGIN-SECURITY]</pw>");
	ASSERT_HOLDS(
		seen.last, "<loginSec:pw>a password of more than sixteen</loginSec:pw></loginSec:loginSec></extension><clTRID>");
}

static void without_a_server_it_is_3(void **state)
{
	(void)state;
	assert_int_equal(ceirctl("", "--port", "1", "imei", "check", "1", NULL), CTL_CONNECTION);
	ASSERT_HOLDS(err, "refused");
	assert_int_equal(ceirctl("", "--host", "localhost", "imei", "check", "1", NULL), CTL_CONNECTION); /* not its name */
}

static void wrong_usage_is_2_and_nothing_is_sent(void **state)
{
	static const char *const wrong[][3] = {{"nonsense"}, {"imei"}, {"imei", "nonsense"}, {"imei", "check"}, {"permit", "info"},
		{"listing", "check", "1"}, {"permit", "update", "P"}, {"application", "submit"},
		{"application", "submit", "/nonexistent.csv"}};

	(void)state;
	for (size_t i = 0; i < CEIR_COUNT(wrong); i++)
		assert_int_equal(ceirctl("", wrong[i][0], wrong[i][1], wrong[i][2], NULL), CTL_USAGE);
	assert_int_equal(ceirctl("", "listing", "create", "--nonsense", "1", NULL), CTL_USAGE);
	assert_int_equal(seen.sessions, 0);
}

static void names_come_from_standard_input(void **state)
{
	(void)state;
	assert_int_equal(ceirctl("1\n\n 2 \r\n0123456789012345678901234567890123456789012345678901234567890123456789\n", "imei",
				 "check", "-", NULL),
		CTL_REFUSED);
	ASSERT_HOLDS(err, "line 4");
	ASSERT_HOLDS(out, "352106050544203");
}

static void a_query_follows_the_cursor(void **state)
{
	(void)state;
	assert_int_equal(ceirctl("", "tac", "query", NULL), CTL_OK);
	assert_string_equal(out, "id\n11111111\n");
	ASSERT_HOLDS(err, "--cursor 'two'");
	assert_int_equal(ceirctl("", "tac", "query", "--all", NULL), CTL_OK);
	assert_string_equal(out, "id\n11111111\n22222222\n");
}

static void raw_documents_pass_unchanged(void **state)
{
	static const char two[] = "<?xml version=\"1.0\"?>\n" EPP("<hello/>") "\n" EPP("<command><info>REFUSE</info></command>");

	(void)state;
	assert_int_equal(ceirctl(two, "epp", NULL), CTL_REFUSED);
	ASSERT_HOLDS(out, "<svID>played</svID>");
	ASSERT_HOLDS(out, ANSWER("2303", "") "\n");
	assert_int_equal(seen.logins, 1);
	assert_int_equal(ceirctl(two, "epp", "--no-login", NULL), CTL_REFUSED);
	assert_int_equal(seen.logins, 0);
	assert_string_equal(seen.last, EPP("<command><info>REFUSE</info></command>"));
	assert_int_equal(ceirctl("", "epp", NULL), CTL_OK);
}

static void an_application_of_many_rows(void **state)
{
	struct buf csv = BUF_INIT(0);

	(void)state;
	buf_c(&csv, "imei1;imei2\r\n");
	for (unsigned i = 0; i < 12000; i++)
		buf_printf(&csv, "%015u;%s\r\n", i, i % 3 ? "" : "2");
	buf_c(&csv, ";\r\n\"open\r\n");
	assert_int_equal(file_write(path("big.csv"), buf_view(&csv), 0600), CEIR_OK);
	buf_free(&csv);
	assert_int_equal(ceirctl("", "application", "submit", path("big.csv"), "--permit", "P", "--position", "1", "--wait",
				 "--rejects", path("rejects.csv"), NULL),
		CTL_REFUSED); /* two lines were left out, and that is said */
	assert_int_equal(seen.imeis, 16000);
	assert_in_range(seen.updates, 4, 5);
	assert_true(seen.longest < 1u << 20);
	ASSERT_HOLDS(out, "status:    done\n");
	ASSERT_HOLDS(out, "accepted:  3\n");
	ASSERT_HOLDS(err, "line 12002: no IMEI");
	ASSERT_HOLDS(err, "2 lines of");
	read_back("rejects.csv", out, sizeof(out));
	ASSERT_HOLDS(out, "line,reason,text\r\n12002,no IMEI in this row,");
}

static void a_file_without_a_usable_row_makes_no_application(void **state)
{
	(void)state;
	assert_int_equal(ceirctl("imei\n", "application", "submit", "-", NULL), CTL_USAGE);
	assert_int_equal(seen.sessions, 0);
}

static void results_as_csv(void **state)
{
	(void)state;
	assert_int_equal(ceirctl("", "application", "result", "APP-1", "--csv", "-", NULL), CTL_OK);
	assert_string_equal(out, "line,imei,first,result,code,reason\r\n1,352106050544203,1,accepted,,\r\n"
				 "2,'=1+1,1,refused,luhn,\"Wrong, \"\"check\"\" digit\"\r\n");
	assert_int_equal(ceirctl("", "application", "result", "APP-1", "--refused", NULL), CTL_OK);
	assert_null(strstr(out, "accepted"));
	ASSERT_HOLDS(out, "luhn");
}

static void an_import_makes_an_object_of_each_row(void **state)
{
	(void)state;
	assert_int_equal(ceirctl("id,manufacturer,model\n35210605,Samsung,\"GT, P3100\"\n35148820,Nokia,REFUSE\n,x,y\n", "tac",
				 "import", "-", NULL),
		CTL_REFUSED);
	assert_int_equal(seen.creates, 1);
	ASSERT_HOLDS(err, "line 3, tac 35148820");
	ASSERT_HOLDS(err, "tac: 1 made, 1 refused, 1 lines left out");
	assert_int_equal(ceirctl("id,colour\n1,2\n", "tac", "import", "-", NULL), CTL_USAGE);
}

static void rows_of_one_permit_become_its_positions(void **state)
{
	(void)state;
	assert_int_equal(ceirctl("id,importer,number,model\nP,1,1,\"a \"\"b\"\"\"\nP,1,2,c\n", "permit", "import", "-", "--issued",
				 "2026-01-01", NULL),
		CTL_OK);
	assert_int_equal(seen.creates, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_check_is_a_table),
		cmocka_unit_test(json_is_one_line),
		cmocka_unit_test(a_refusal_is_told_on_stderr),
		cmocka_unit_test(a_wrong_password_is_a_refusal),
		cmocka_unit_test(long_passwords_go_through_the_extension),
		cmocka_unit_test(without_a_server_it_is_3),
		cmocka_unit_test(wrong_usage_is_2_and_nothing_is_sent),
		cmocka_unit_test(names_come_from_standard_input),
		cmocka_unit_test(a_query_follows_the_cursor),
		cmocka_unit_test(raw_documents_pass_unchanged),
		cmocka_unit_test(an_application_of_many_rows),
		cmocka_unit_test(a_file_without_a_usable_row_makes_no_application),
		cmocka_unit_test(results_as_csv),
		cmocka_unit_test(an_import_makes_an_object_of_each_row),
		cmocka_unit_test(rows_of_one_permit_become_its_positions),
	};
	return cmocka_run_group_tests(tests, make_world, remove_world);
}

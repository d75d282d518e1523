/*
 * files_face_test.c - folders, queue and answers with a register behind them. The linker leads files_queue_done() here, so that a file can stay in
 * the queue as after a crash between its answer and its end.
 */
#include "registry_world.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "files/files.h"
#include "files/files_internal.h"

static struct world w;
static struct files *f;
static struct files_settings settings;
static _Atomic bool crash;
static _Atomic unsigned crashes;

enum ceir_err __real_files_queue_done(int queue, const char *seq);
enum ceir_err __wrap_files_queue_done(int queue, const char *seq);
enum ceir_err __wrap_files_queue_done(int queue, const char *seq)
{
	if (!crash)
		return __real_files_queue_done(queue, seq);
	crashes++;
	return CEIR_EIO;
}

static void start(void)
{
	settings.dir = w.dir;
	assert_int_equal(files_new(&settings, w.r, &f), CEIR_OK);
}

static void stop(void)
{
	files_stop(f);
	files_free(f);
	f = NULL;
}

static int begin(void **state)
{
	(void)state;
	world_open(&w);
	world_settle(&w);
	settings = (struct files_settings){.threads = 2};
	start();
	return 0;
}

static int end(void **state)
{
	(void)state;
	stop();
	assert_int_equal(world_verify(&w, STR(""), true), 0);
	world_close(&w);
	return 0;
}

/* ---- files ---- */

static const char *path(const char *account, const char *rest)
{
	static char paths[4][512];
	static unsigned next;
	char *out = paths[next++ % 4];

	snprintf(out, sizeof paths[0], "%s/files/%s/%s", w.dir, account, rest);
	return out;
}

static void write_file(const char *to, const char *text)
{
	FILE *file = fopen(to, "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static void put_in(const char *account, const char *name, const char *text)
{
	char home[PATH_MAX], to[PATH_MAX + 300];

	assert_int_equal(files_home(f, str_of(account), home), CEIR_OK);
	snprintf(to, sizeof to, "%s/in/%s", home, name);
	write_file(to, text);
}

static bool exists(const char *p)
{
	struct stat st;

	return lstat(p, &st) == 0;
}

static void wait_for(const char *p, bool there)
{
	for (int i = 0; i < 4000 && exists(p) != there; i++)
		nanosleep(&(struct timespec){0, 5000000}, NULL);
	if (exists(p) != there)
		fail_msg("%s is %sthere", p, there ? "not " : "");
}

/* How many entries of the folder end so; the name of the last in `name`. */
static unsigned count(const char *folder, const char *ending, char *name)
{
	DIR *d = opendir(folder);
	const struct dirent *e;
	unsigned n = 0;

	assert_non_null(d);
	while ((e = readdir(d))) {
		size_t length = strlen(e->d_name), m = strlen(ending);

		if (length >= m && strcmp(e->d_name + length - m, ending) == 0 && strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) {
			n++;
			if (name)
				snprintf(name, FILES_NAME, "%s", e->d_name);
		}
	}
	closedir(d);
	return n;
}

static char *read_text(const char *p)
{
	static struct buf texts[2];
	static unsigned next;
	struct buf *b = &texts[next++ % 2];

	buf_clear(b);
	assert_int_equal(file_read(p, 1 << 24, b), CEIR_OK);
	buf_char(b, '\0');
	return b->p;
}

static const char *answered(const char *account, const char *name)
{
	char rest[400];

	snprintf(rest, sizeof rest, "ftp/out/%s", name);
	wait_for(path(account, rest), true);
	return read_text(path(account, rest));
}

static void settle_queue(const char *account)
{
	for (int i = 0; i < 4000 && count(path(account, "queue"), "", NULL); i++)
		nanosleep(&(struct timespec){0, 5000000}, NULL);
	assert_int_equal(count(path(account, "queue"), "", NULL), 0);
}

static unsigned lines(const char *text)
{
	unsigned n = 0;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

/* ---- the door ---- */

static void test_session_of(void **state)
{
	struct reg_client client = {.address = "files/lea"};
	struct reg_session *s[6];
	struct face *admin = face_login(&w, "admin");

	(void)state;
	assert_int_equal(reg_session_of(w.r, STR("nobody"), &client, 0, &s[0]), CEIR_EPERM);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(reg_session_of(w.r, STR("tax"), &client, 0, &s[i]), CEIR_OK);
	assert_int_equal(reg_session_of(w.r, STR("tax"), &client, 0, &s[4]), CEIR_ELIMIT);
	assert_int_equal(reg_session_role(s[0]), REG_ROLE_TAX);
	for (unsigned i = 1; i < 4; i++)
		reg_session_free(s[i]);

	/* It ends with the account. */
	struct face face = {.w = &w, .s = s[0], .arena = arena_new(1 << 20)};
	assert_int_equal(info(&face, "permit", PERMIT), REG_DONE);
	assert_int_equal(update(admin, "account", "tax", "status=suspended", NULL, NULL), REG_DONE);
	assert_int_equal(info(&face, "permit", PERMIT), REG_AUTH_CLOSING);
	assert_true(reg_session_ended(s[0]));
	assert_int_equal(reg_session_of(w.r, STR("tax"), &client, 0, &s[1]), CEIR_EPERM);
	arena_free(face.arena);
	buf_free(&face.out);
	reg_session_free(s[0]);
	face_free(admin);
}

/* ---- taking ---- */

static void test_hostile_names(void **state)
{
	char longest[256], rest[300];

	(void)state;
	put_in("pos", "x", "imei\n");
	static const char *const bad[] = {"", ".", "..", ".hidden", "../in/x", "a/b", "not-there.csv"};
	for (size_t i = 0; i < CEIR_COUNT(bad); i++)
		assert_int_equal(files_uploaded(f, STR("pos"), bad[i]), i < 6 ? CEIR_EINVAL : CEIR_ENOENT);
	assert_int_equal(symlink("/etc/passwd", path("pos", "ftp/in/check-link.csv")), 0);
	assert_int_equal(mkfifo(path("pos", "ftp/in/check-fifo.csv"), 0600), 0);
	assert_int_equal(mkdir(path("pos", "ftp/in/check-folder.csv"), 0700), 0);
	assert_int_equal(link(path("pos", "ftp/in/x"), path("pos", "ftp/in/check-hard.csv")), 0);
	static const char *const kinds[] = {"check-link.csv", "check-fifo.csv", "check-folder.csv", "check-hard.csv"};
	for (size_t i = 0; i < CEIR_COUNT(kinds); i++) {
		assert_int_equal(files_uploaded(f, STR("pos"), kinds[i]), CEIR_EINVAL);
		snprintf(rest, sizeof rest, "ftp/in/%s", kinds[i]);
		assert_true(exists(path("pos", rest)));
	}
	settle_queue("pos");
	assert_int_equal(count(path("pos", "ftp/out"), ".answer.csv", NULL), 0);

	/* Names that a person may have typed: taken, and answered under a name that harms nobody. */
	memset(longest, 'x', 255);
	memcpy(longest, "check-", 6);
	longest[255] = '\0';
	static const char *const odd[] = {"check-a\nb.csv", "check-\xff.csv", "check--rf.csv", "check-..csv", "check-\xd1\x84.csv"};
	static const char *const shown[] = {"check-a_b.csv", "check-_.csv", "check--rf.csv", "check-..csv", "check-\xd1\x84.csv"};
	for (size_t i = 0; i < CEIR_COUNT(odd); i++) {
		put_in("pos", odd[i], "imei\n" SCREEN_IMEI "\n");
		assert_int_equal(files_uploaded(f, STR("pos"), odd[i]), CEIR_OK);
		snprintf(rest, sizeof rest, "%s.answer.csv", shown[i]);
		assert_int_equal(lines(answered("pos", rest)), 2);
	}
	put_in("pos", longest, "imei\n" SCREEN_IMEI "\n");
	assert_int_equal(files_uploaded(f, STR("pos"), longest), CEIR_OK);
	snprintf(rest, sizeof rest, "%.200s.answer.csv", longest);
	assert_int_equal(lines(answered("pos", rest)), 2);
	settle_queue("pos");
}

static void test_quota(void **state)
{
	char name[32];

	(void)state;
	stop();
	settings.max_files = 3;
	settings.max_bytes = 1000;
	crash = true; /* so that nothing leaves the queue */
	start();
	for (unsigned i = 0; i < 4; i++) {
		snprintf(name, sizeof name, "check-q%u.csv", i);
		put_in("customs", name, "imei\n");
		assert_int_equal(files_uploaded(f, STR("customs"), name), i < 3 ? CEIR_OK : CEIR_ELIMIT);
	}
	assert_true(exists(path("customs", "ftp/in/check-q3.csv")));
	assert_int_equal(count(path("customs", "queue"), ".name", NULL), 3);
	stop();
	crash = false;
	settings.max_files = 0;
	settings.max_bytes = 0;
	start();
	settle_queue("customs");
	assert_int_equal(files_uploaded(f, STR("customs"), "check-q3.csv"), CEIR_OK);
	settle_queue("customs");
}

/* What was fetched lies elsewhere, under a name of its own; it is gone from there when it is taken, and only then. */
static void test_put(void **state)
{
	char from[512], link_to[512];

	(void)state;
	snprintf(from, sizeof from, "%s/fetched", w.dir);
	snprintf(link_to, sizeof link_to, "%s/fetched-link", w.dir);
	write_file(from, "imei\n" SCREEN_IMEI "\n");
	static const char *const bad[] = {"", ".", "..", ".hidden", "a/b", "../x"};
	for (size_t i = 0; i < CEIR_COUNT(bad); i++)
		assert_int_equal(files_put(f, STR("pos"), bad[i], from), CEIR_EINVAL);
	assert_int_equal(files_put(f, STR("pos"), "check-put.csv", "fetched"), CEIR_EINVAL);
	assert_int_equal(files_put(f, STR("pos"), "check-put.csv", "/nowhere/fetched"), CEIR_ENOENT);
	assert_int_equal(files_put(f, STR("pos"), "check-put.csv", path("pos", "ftp/in/not-there")), CEIR_ENOENT);
	assert_int_equal(symlink(from, link_to), 0);
	assert_int_equal(files_put(f, STR("pos"), "check-put.csv", link_to), CEIR_EINVAL);
	assert_int_equal(unlink(link_to), 0);
	assert_true(exists(from));

	assert_int_equal(files_put(f, STR("pos"), "check-put.csv", from), CEIR_OK);
	assert_false(exists(from));
	assert_int_equal(lines(answered("pos", "check-put.csv.answer.csv")), 2);
	settle_queue("pos");

	stop();
	settings.max_bytes = 5;
	start();
	write_file(from, "imei\n" SCREEN_IMEI "\n");
	assert_int_equal(files_put(f, STR("pos"), "check-put.csv", from), CEIR_ELIMIT);
	assert_true(exists(from));
	assert_int_equal(unlink(from), 0);
	stop();
	settings.max_bytes = 0;
	start();
}

/* A start removes what a crash before the rename left, and does what a crash after it left. */
static void test_left_over(void **state)
{
	(void)state;
	stop();
	write_file(path("pos", "queue/0000000000000001.name"), "check-never.csv");
	write_file(path("pos", "queue/0000000000000002.journal"), "x");
	write_file(path("pos", "queue/0000000000000003.name"), "check-came.csv");
	write_file(path("pos", "queue/0000000000000003.data"), "imei\n" SCREEN_IMEI "\n");
	start();
	assert_int_equal(lines(answered("pos", "check-came.csv.answer.csv")), 2);
	settle_queue("pos");
	assert_false(exists(path("pos", "ftp/out/check-never.csv.answer.csv")));
}

/* ---- doing ---- */

static void test_each_row_once_after_a_crash(void **state)
{
	struct buf file = BUF_INIT(0), want = BUF_INIT(0);
	char journal[FILES_NAME], rest[FILES_NAME + 16];
	const unsigned n = 300;

	(void)state;
	buf_c(&file, "imei\n");
	for (unsigned i = 0; i < n; i++)
		buf_printf(&file, "%s\n", i == 250 ? "12" : imei_text("01124500", i));
	buf_char(&file, '\0');
	crash = true;
	crashes = 0;
	put_in("lea", "stolen_list-a.csv", file.p);
	assert_int_equal(files_uploaded(f, STR("lea"), "stolen_list-a.csv"), CEIR_OK);
	buf_c(&want, answered("lea", "stolen_list-a.csv.answer.csv"));
	buf_char(&want, '\0');
	for (int i = 0; i < 2000 && !crashes; i++)
		nanosleep(&(struct timespec){0, 5000000}, NULL);
	stop();
	assert_int_equal(world_sql(&w, "SELECT count(*) FROM listing"), n - 1);
	int64_t transforms = world_sql(&w, "SELECT count(*) FROM audit WHERE verb = 'create' AND code = 1000");

	/* The journal as it was after some rows, its last line torn; all rows done. */
	assert_int_equal(count(path("lea", "queue"), ".journal", journal), 1);
	snprintf(rest, sizeof rest, "queue/%s", journal);
	struct stat st;
	assert_int_equal(stat(path("lea", rest), &st), 0);
	assert_int_equal(truncate(path("lea", rest), st.st_size / 3), 0);
	assert_int_equal(unlink(path("lea", "ftp/out/stolen_list-a.csv.answer.csv")), 0);
	assert_int_equal(unlink(path("lea", "ftp/out/stolen_list-a.csv.rejects.csv")), 0);
	crash = false;
	start();
	const char *have = answered("lea", "stolen_list-a.csv.answer.csv");
	/* What was done is answered as it was, transaction for transaction; only what was refused is done, and refused, again. */
	const char *a = want.p, *b = have;
	unsigned different = 0;
	while (*a && *b) {
		size_t an = strcspn(a, "\n"), bn = strcspn(b, "\n");

		different += an != bn || memcmp(a, b, an) != 0;
		a += an + (a[an] != 0);
		b += bn + (b[bn] != 0);
	}
	assert_true(!*a && !*b);
	assert_true(different <= 1);
	settle_queue("lea");
	assert_int_equal(world_sql(&w, "SELECT count(*) FROM listing"), n - 1);
	assert_int_equal(world_sql(&w, "SELECT count(*) FROM audit WHERE verb = 'create' AND code = 1000"), transforms);
	assert_int_equal(lines(answered("lea", "stolen_list-a.csv.rejects.csv")), 2);
	buf_free(&file);
	buf_free(&want);
}

static void test_application_once_after_a_crash(void **state)
{
	static const char text[] = "imei,permit,position\n352106050544203," PERMIT ",1\n352106050544211," PERMIT ",1\n,,\n";

	(void)state;
	crash = true;
	crashes = 0;
	put_in("importer1", "application-1.csv", text);
	assert_int_equal(files_uploaded(f, STR("importer1"), "application-1.csv"), CEIR_OK);
	const char *first = answered("importer1", "application-1.csv.answer.csv");
	assert_non_null(strstr(first, SCREEN_IMEI "," PERMIT ",1,1000,"));
	for (int i = 0; i < 2000 && !crashes; i++)
		nanosleep(&(struct timespec){0, 5000000}, NULL);
	stop();
	assert_int_equal(unlink(path("importer1", "ftp/out/application-1.csv.answer.csv")), 0);
	crash = false;
	start();
	assert_string_equal(answered("importer1", "application-1.csv.answer.csv"), first);
	settle_queue("importer1");
	assert_int_equal(world_sql(&w, "SELECT count(*) FROM application"), 1);
}

/* A command with a clTRID of its own is not done again, and is answered with its transaction. */
static void test_epp_once_after_a_crash(void **state)
{
	struct buf file = BUF_INIT(0);
	char journal[FILES_NAME], rest[FILES_NAME + 16];
	struct stat st;

	(void)state;
	for (unsigned i = 0; i < 20; i++)
		buf_printf(&file, "<?xml version=\"1.0\"?>\n<e:epp xmlns:e=\"urn:ietf:params:xml:ns:epp-1.0\"><e:command><e:create>"
			"<w:create xmlns:w=\"urn:ceir:params:xml:ns:watch-1.0\"><w:imei>" SCREEN_IMEI "</w:imei><w:ground>x</w:ground></w:create>"
			"</e:create><e:clTRID>EPP-%u</e:clTRID></e:command></e:epp >\r\n", i);
	buf_char(&file, '\0');
	crash = true;
	crashes = 0;
	put_in("lea", "epp-1.xml", file.p);
	assert_int_equal(files_uploaded(f, STR("lea"), "epp-1.xml"), CEIR_OK);
	(void)answered("lea", "epp-1.xml.answer.xml");
	for (int i = 0; i < 2000 && !crashes; i++)
		nanosleep(&(struct timespec){0, 5000000}, NULL);
	stop();
	assert_int_equal(world_sql(&w, "SELECT count(*) FROM watch"), 20);
	assert_int_equal(count(path("lea", "queue"), ".journal", journal), 1);
	snprintf(rest, sizeof rest, "queue/%s", journal);
	assert_int_equal(stat(path("lea", rest), &st), 0);
	assert_int_equal(truncate(path("lea", rest), st.st_size / 2), 0);
	assert_int_equal(unlink(path("lea", "ftp/out/epp-1.xml.answer.xml")), 0);
	crash = false;
	start();
	const char *text = answered("lea", "epp-1.xml.answer.xml");
	unsigned n = 0, good = 0;
	for (const char *p = text; (p = strstr(p, "</epp>")); p++)
		n++;
	for (const char *p = text; (p = strstr(p, "result code=\"1000\"")); p++)
		good++;
	assert_int_equal(n, 20);
	assert_int_equal(good, 20);
	assert_int_equal(world_sql(&w, "SELECT count(*) FROM watch"), 20);
	settle_queue("lea");
	buf_free(&file);
}

/* A permit of too many positions is refused as a whole: not the part of it that was read, nor the rest. */
static void test_too_large(void **state)
{
	struct buf file = BUF_INIT(0);

	(void)state;
	buf_c(&file, "id,importer,issued,exDate,number,certificate,manufacturer,model,country,quantity,price,currency\n");
	for (unsigned i = 1; i <= 4000; i++)
		buf_printf(&file, "P-HUGE," IMPORTER ",2026-01-01,2030-01-01,%u," CERTIFICATE ",Samsung,GT-P3100,KR,1,1,UAH\n", i);
	buf_c(&file, "P-SMALL," IMPORTER ",2026-01-01,2030-01-01,1," CERTIFICATE ",Samsung,GT-P3100,KR,1,1,UAH\n");
	buf_char(&file, '\0');
	put_in("customs", "permit-huge.csv", file.p);
	assert_int_equal(files_uploaded(f, STR("customs"), "permit-huge.csv"), CEIR_OK);
	assert_int_equal(lines(answered("customs", "permit-huge.csv.answer.csv")), 4002);
	assert_int_equal(lines(answered("customs", "permit-huge.csv.rejects.csv")), 4001);
	assert_int_equal(world_sql(&w, "SELECT count(*) FROM permit WHERE code = 'P-HUGE'"), 0);
	assert_int_equal(world_sql(&w, "SELECT count(*) FROM permit WHERE code = 'P-SMALL'"), 1);
	settle_queue("customs");
	buf_free(&file);
}

/* Whoever has the file open still can change it: the answer says so. */
static void test_changed_file(void **state)
{
	char entry[FILES_NAME], rest[FILES_NAME + 16];

	(void)state;
	crash = true;
	crashes = 0;
	put_in("nra", "tac-1.csv", "id,manufacturer,model\n11111111,A,B\n22222222,A,B\n");
	assert_int_equal(files_uploaded(f, STR("nra"), "tac-1.csv"), CEIR_OK);
	(void)answered("nra", "tac-1.csv.answer.csv");
	for (int i = 0; i < 2000 && !crashes; i++)
		nanosleep(&(struct timespec){0, 5000000}, NULL);
	stop();
	assert_int_equal(count(path("nra", "queue"), ".data", entry), 1);
	snprintf(rest, sizeof rest, "queue/%s", entry);
	write_file(path("nra", rest), "id,manufacturer,model\n11111111,A,B\n33333333,A,B\n44444444,A,B\n");
	assert_int_equal(unlink(path("nra", "ftp/out/tac-1.csv.answer.csv")), 0);
	crash = false;
	start();
	const char *text = answered("nra", "tac-1.csv.answer.csv");
	assert_non_null(strstr(text, "44444444,A,B,1000,"));
	assert_non_null(strstr(text, "The file was changed"));
	assert_int_equal(world_sql(&w, "SELECT count(*) FROM tac WHERE code = 33333333"), 0);
	settle_queue("nra");
}

/* Records of one subject are done in the order of the file, whichever worker does them. */
static void test_order(void **state)
{
	struct buf file = BUF_INIT(0);

	(void)state;
	buf_c(&file, "id,manufacturer,model,action\n");
	for (unsigned i = 0; i < 40; i++) {
		buf_printf(&file, "555000%02u,A,B,create\n", i);
		for (unsigned k = 0; k < 5; k++)
			buf_printf(&file, "555000%02u,A,M%u,update\n", i, k);
	}
	buf_char(&file, '\0');
	put_in("nra", "tac-order.csv", file.p);
	assert_int_equal(files_uploaded(f, STR("nra"), "tac-order.csv"), CEIR_OK);
	assert_int_equal(lines(answered("nra", "tac-order.csv.answer.csv")), 241);
	assert_false(exists(path("nra", "ftp/out/tac-order.csv.rejects.csv")));
	assert_int_equal(world_sql(&w, "SELECT count(*) FROM tac WHERE model = 'M4' AND manufacturer = 'A'"), 40);
	settle_queue("nra");
	buf_free(&file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_session_of),
		cmocka_unit_test(test_hostile_names),
		cmocka_unit_test(test_quota),
		cmocka_unit_test(test_put),
		cmocka_unit_test(test_left_over),
		cmocka_unit_test(test_each_row_once_after_a_crash),
		cmocka_unit_test(test_application_once_after_a_crash),
		cmocka_unit_test(test_epp_once_after_a_crash),
		cmocka_unit_test(test_too_large),
		cmocka_unit_test(test_changed_file),
		cmocka_unit_test(test_order),
	};

	return cmocka_run_group_tests(tests, begin, end);
}

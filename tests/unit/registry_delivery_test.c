/*
 * Deliveries through the door: taken once, judged, held and decided on, applied whatever happens between the steps. The calls to the
 * triplet store are wrapped by the linker, so that the process can end or the disk can be full at each of them.
 */
#include <dirent.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "exchange/exchange.h"
#include "registry/registry_internal.h"
#include "registry_world.h"
#include "test_amount.h"

static struct world w;

/* ---- faults ---- */

enum fault { NO_FAULT, DIE_STAGED, DIE_NAMING, DIE_BEFORE_APPLY, DIE_APPLIED, DIE_RECORDED, DIE_DISCARDING };
#define DIED 7
static _Atomic int fault;
static _Atomic int full_disk; /* so many times */

enum ceir_err __real_triplets_apply_many(struct triplets *t, struct triplets_item *items, size_t n, triplets_touched touched, void *ctx);
enum ceir_err __wrap_triplets_apply_many(struct triplets *t, struct triplets_item *items, size_t n, triplets_touched touched, void *ctx);
enum ceir_err __real_triplets_intake_stage(struct triplets_intake *in, uint64_t *id);
enum ceir_err __wrap_triplets_intake_stage(struct triplets_intake *in, uint64_t *id);
enum ceir_err __real_triplets_forget(struct triplets *t, uint64_t id);
enum ceir_err __wrap_triplets_forget(struct triplets *t, uint64_t id);
enum ceir_err __real_triplets_discard(struct triplets *t, uint64_t id);
enum ceir_err __wrap_triplets_discard(struct triplets *t, uint64_t id);
void __real_delivery_report_name(void *report, struct str code);
void __wrap_delivery_report_name(void *report, struct str code);

static void die_at(enum fault f)
{
	if (fault == (int)f)
		_exit(DIED);
}

enum ceir_err __wrap_triplets_apply_many(struct triplets *t, struct triplets_item *items, size_t n, triplets_touched touched, void *ctx)
{
	die_at(DIE_BEFORE_APPLY);
	if (full_disk > 0) {
		full_disk--;
		return CEIR_ENOSPC;
	}
	enum ceir_err err = __real_triplets_apply_many(t, items, n, touched, ctx);
	die_at(DIE_APPLIED);
	return err;
}

enum ceir_err __wrap_triplets_intake_stage(struct triplets_intake *in, uint64_t *id)
{
	enum ceir_err err = __real_triplets_intake_stage(in, id);

	die_at(DIE_STAGED);
	return err;
}

enum ceir_err __wrap_triplets_forget(struct triplets *t, uint64_t id)
{
	die_at(DIE_RECORDED);
	return __real_triplets_forget(t, id);
}

enum ceir_err __wrap_triplets_discard(struct triplets *t, uint64_t id)
{
	die_at(DIE_DISCARDING);
	return __real_triplets_discard(t, id);
}

void __wrap_delivery_report_name(void *report, struct str code)
{
	die_at(DIE_NAMING);
	__real_delivery_report_name(report, code);
}

/* ---- bodies ---- */

static char body[1 << 20];

static void put_line(size_t *n, uint32_t subscriber)
{
	*n += (size_t)snprintf(body + *n, sizeof body - *n, "%s,25501%010u,38050%07u\n", imei_text(TAC, subscriber), subscriber, subscriber);
}

/* Subscribers from..to-1, each with the phone of its number. */
static const char *lines(uint32_t from, uint32_t to)
{
	size_t n = (size_t)snprintf(body, sizeof body, "imei,imsi,msisdn\n");

	for (uint32_t i = from; i < to; i++)
		put_line(&n, i);
	return body;
}

static const char *more(const char *text)
{
	strcat(body, text);
	return body;
}

/* ---- delivering ---- */

static struct reg_delivery *receive(struct face *f, bool full, const char *id, const char *text)
{
	struct reg_delivery_start start = {.full = full, .id = str_of(id), .name = STR("base.csv")};
	struct reg_delivery *d;
	struct str rest = str_of(text);

	assert_int_equal(reg_delivery_begin(f->s, &start, &d), CEIR_OK);
	/* In pieces of all sizes. */
	for (size_t step = 1; rest.n; step = step % 1000 + 7) {
		size_t n = step < rest.n ? step : rest.n;
		enum ceir_err err = reg_delivery_feed(d, (struct str){rest.p, n});

		assert_true(err == CEIR_OK || err == CEIR_EINVAL);
		if (err)
			break;
		rest = (struct str){rest.p + n, rest.n - n};
	}
	return d;
}

static char code[64]; /* of the last delivery */

static unsigned finish_quietly(struct face *f, struct reg_delivery *d)
{
	struct reg_command c = {.verb = REG_CREATE, .object = reg_object_by_name(STR("delivery")), .delivery = d};

	arena_reset(f->arena);
	return face_do(f, &c);
}

static unsigned finish(struct face *f, struct reg_delivery *d)
{
	unsigned result = finish_quietly(f, d);

	snprintf(code, sizeof code, "%s", result < 2000 ? value(f, "id") : "");
	return result;
}

static unsigned deliver(struct face *f, bool full, const char *id, const char *text)
{
	return finish(f, receive(f, full, id, text));
}

static void nap(void)
{
	nanosleep(&(struct timespec){0, 5000000}, NULL);
}

static void wait_status(struct face *f, const char *delivery, const char *status)
{
	char name[64];

	snprintf(name, sizeof name, "%s", delivery);
	for (int i = 0; i < 4000; i++) {
		assert_int_equal(info(f, "delivery", name), REG_DONE);
		if (strcmp(value(f, "status"), status) == 0)
			return;
		nap();
	}
	fail_msg("delivery %s is %s, not %s", name, value(f, "status"), status);
}

static void assert_field(struct face *f, const char *name, const char *expected)
{
	if (!expected)
		assert_null(value(f, name));
	else if (!value(f, name) || strcmp(value(f, name), expected) != 0)
		fail_msg("%s is %s, not %s", name, value(f, name) ? value(f, name) : "(none)", expected);
}

static unsigned files_of(const char *folder, const char *begin)
{
	char path[256];
	unsigned n = 0;
	const struct dirent *e;

	snprintf(path, sizeof path, "%s/%s", w.dir, folder);
	DIR *d = opendir(path);
	assert_non_null(d);
	while ((e = readdir(d)))
		n += strncmp(e->d_name, begin, strlen(begin)) == 0 && strcmp(e->d_name, ".") && strcmp(e->d_name, "..");
	closedir(d);
	return n;
}

static uint64_t staged(void)
{
	return triplets_staged(w.r->triplets, NULL, 0);
}

static void wait_unstaged(void)
{
	for (int i = 0; i < 2000 && staged(); i++)
		nap();
	assert_int_equal(staged(), 0);
}

/* ---- taking ---- */

static void a_delivery_is_applied_with_its_counts(void **state)
{
	struct face *f = face_login(&w, "operator");
	struct reg_stats st;

	(void)state;
	assert_int_equal(deliver(f, false, "first", lines(0, 100)), REG_PENDING);
	assert_field(f, "status", "received");
	assert_field(f, "kind", "delta");
	assert_field(f, "operator", "25501");
	assert_field(f, "clientID", "first");
	assert_field(f, "fileName", "base.csv");
	assert_field(f, "lines", "100");
	assert_field(f, "taken", "100");
	assert_field(f, "new", NULL);
	wait_status(f, code, "applied");
	assert_field(f, "new", "100");
	assert_field(f, "again", "0");
	assert_field(f, "gone", "0");
	assert_non_null(value(f, "applied"));
	assert_int_equal(deliver(f, false, "second", lines(50, 150)), REG_PENDING);
	wait_status(f, code, "applied");
	assert_field(f, "new", "50");
	assert_field(f, "again", "50");
	registry_stats(w.r, &st);
	assert_int_equal(st.deliveries_waiting, 0);
	assert_true(st.triplets >= 150 && st.sightings >= 200);
	face_free(f);
}

static void a_full_delivery_says_who_has_gone(void **state)
{
	struct face *f = face_login(&w, "operator");

	(void)state;
	assert_int_equal(deliver(f, true, "", lines(1000, 1100)), REG_PENDING);
	wait_status(f, code, "applied");
	assert_int_equal(deliver(f, true, "", lines(1010, 1105)), REG_PENDING);
	wait_status(f, code, "applied");
	assert_field(f, "new", "5");
	assert_field(f, "gone", "10");
	assert_int_equal(world_sql(&w, "SELECT usual FROM operator WHERE code = '25501'"), 95);
	face_free(f);
}

static void the_same_delivery_twice_changes_nothing(void **state)
{
	struct face *f = face_login(&w, "operator");
	char first[64];

	(void)state;
	assert_int_equal(deliver(f, false, "twice", lines(2000, 2010)), REG_PENDING);
	strcpy(first, code);
	/* By its id, while it waits and when it is applied. */
	assert_int_equal(deliver(f, false, "twice", lines(2000, 2010)), REG_DONE);
	assert_string_equal(code, first);
	wait_status(f, first, "applied");
	assert_int_equal(deliver(f, false, "twice", lines(2000, 2010)), REG_DONE);
	assert_string_equal(code, first);
	assert_field(f, "status", "applied");
	/* By its digest, under another id or none. */
	assert_int_equal(deliver(f, false, "", lines(2000, 2010)), REG_DONE);
	assert_string_equal(code, first);
	assert_int_equal(deliver(f, false, "other-id", lines(2000, 2010)), REG_DONE);
	assert_string_equal(code, first);
	/* The id with something else. */
	assert_int_equal(deliver(f, false, "twice", lines(2000, 2011)), REG_EXISTS);
	assert_string_equal(f->reply.details->element, "clientID");
	assert_int_equal(deliver(f, true, "twice", lines(2000, 2010)), REG_EXISTS);
	assert_int_equal(staged(), 0);
	/* The digest of so long ago says nothing. */
	world_sql(&w, "UPDATE delivery SET cr_at = cr_at - 31 * 86400 * 1000000 WHERE client_id = 'twice'");
	assert_int_equal(deliver(f, false, "", lines(2000, 2010)), REG_PENDING);
	wait_status(f, code, "applied");
	assert_field(f, "new", "0");
	face_free(f);
}

static void a_base_that_went_back_is_a_new_delivery(void **state)
{
	struct face *f = face_login(&w, "operator");
	char first[64];

	(void)state;
	assert_int_equal(deliver(f, true, "", lines(3000, 3100)), REG_PENDING);
	strcpy(first, code);
	assert_int_equal(deliver(f, true, "", lines(3000, 3100)), REG_DONE);
	assert_string_equal(code, first);
	assert_int_equal(deliver(f, true, "", lines(3000, 3099)), REG_PENDING);
	assert_int_equal(deliver(f, true, "", lines(3000, 3100)), REG_PENDING);
	assert_string_not_equal(code, first);
	wait_status(f, code, "applied");
	face_free(f);
}

static void two_at_once_become_one(void **state)
{
	struct face *f = face_login(&w, "operator"), *g = face_login(&w, "operator");
	struct reg_delivery *a = receive(f, false, "race", lines(3500, 3510)), *b = receive(g, false, "race", lines(3500, 3510)), *c;
	struct reg_delivery_start start = {.full = false};
	char first[64];

	(void)state;
	/* The world's limit. */
	assert_int_equal(reg_delivery_begin(f->s, &start, &c), CEIR_ELIMIT);
	assert_int_equal(finish(f, a), REG_PENDING);
	strcpy(first, code);
	assert_int_equal(finish(g, b), REG_DONE);
	assert_string_equal(code, first);
	assert_int_equal(reg_delivery_begin(f->s, &start, &c), CEIR_OK);
	reg_delivery_drop(c);
	face_free(f);
	face_free(g);
}

/* ---- what is not taken ---- */

static void slurp(struct face *f, char *out, size_t size)
{
	const struct reg_file *file = f->reply.file;
	ssize_t n;

	assert_non_null(file);
	n = read(file->fd, out, size - 1);
	assert_true(n >= 0 && (uint64_t)n == file->bytes);
	out[n] = '\0';
	close(file->fd);
}

static unsigned ask_report(struct face *f, const char *delivery)
{
	struct reg_node key = {.field = reg_object_by_name(STR("delivery"))->fields, .text = str_of(delivery)};
	struct reg_command c = {.verb = REG_INFO, .object = reg_object_by_name(STR("delivery")), .key = &key, .want_file = true};

	arena_reset(f->arena);
	return face_do(f, &c);
}

static void bad_lines_stand_in_the_report(void **state)
{
	struct face *f = face_login(&w, "operator");
	char text[4096];

	(void)state;
	lines(4000, 4003);
	assert_int_equal(deliver(f, false, "", more(",255010000000001,380501234567\n123,255010000000002,380501234567\n"
		"352106050544203,2550,380501234567\n")), REG_PENDING);
	assert_field(f, "lines", "6");
	assert_field(f, "taken", "4");
	assert_field(f, "refused", "2");
	assert_field(f, "malformed", "1");
	assert_int_equal(ask_report(f, code), REG_DONE);
	assert_int_equal(f->reply.file->rows, 3);
	assert_string_equal(f->reply.file->media_type, "text/csv; charset=utf-8");
	assert_int_equal(strlen(f->reply.file->digest), 64);
	slurp(f, text, sizeof text);
	assert_non_null(strstr(text, "5,imei,imei-empty,"));
	assert_non_null(strstr(text, "6,imei,imei-malformed,"));
	assert_non_null(strstr(text, "7,imsi,imsi-bad,"));
	assert_non_null(strstr(text, "352106050544203,2550,380501234567"));
	/* Of one that was taken as it came: the header. */
	assert_int_equal(deliver(f, false, "", lines(4100, 4103)), REG_PENDING);
	assert_int_equal(ask_report(f, code), REG_DONE);
	assert_int_equal(f->reply.file->rows, 0);
	slurp(f, text, sizeof text);
	assert_non_null(strstr(text, "line,field,code,reason,original"));
	assert_int_equal(files_of("deliveries", "tmp-"), 0);
	face_free(f);
}

static void what_is_no_delivery_is_refused_and_leaves_nothing(void **state)
{
	static const struct {
		const char *text;
		const char *why;
	} bodies[] = {
		{"", "The delivery has no lines"},
		{"imei,imsi,msisdn\n", "The delivery has no lines"},
		{"imei,imsi,msisdn\n,,\n1,2,3\n", "No line of the delivery could be taken"},
		{"name,price\nx,1\n", NULL},
		{"\x1f\x8b\x08rubbish", "The body is damaged: it cannot be unpacked"},
	};
	struct face *f = face_login(&w, "operator");
	unsigned before = files_of("deliveries", "D");
	int64_t rows = world_sql(&w, "SELECT count(*) FROM delivery");

	(void)state;
	wait_unstaged();
	for (size_t i = 0; i < CEIR_COUNT(bodies); i++) {
		assert_int_equal(deliver(f, false, "", bodies[i].text), REG_VALUE);
		assert_string_equal(f->reply.details->element, "delivery");
		if (bodies[i].why)
			assert_string_equal(f->reply.details->reason, bodies[i].why);
		assert_non_null(f->reply.details->reason);
	}
	/* The lines themselves are named when nothing could be taken. */
	assert_int_equal(deliver(f, false, "", bodies[2].text), REG_VALUE);
	assert_string_equal(f->reply.details->next->element, "line");
	/* The client went away. */
	lines(4200, 4210);
	reg_delivery_drop(receive(f, false, "", more("1,2,3\n")));
	reg_delivery_drop(NULL);
	assert_int_equal(staged(), 0);
	assert_int_equal(files_of("deliveries", "tmp-"), 0);
	assert_int_equal(files_of("deliveries", "D"), before);
	assert_int_equal(world_sql(&w, "SELECT count(*) FROM delivery"), rows);
	face_free(f);
}

/* ---- the gate ---- */

static void hold(struct face *f, uint32_t from)
{
	assert_int_equal(deliver(f, true, "", lines(from, from + 3000)), REG_PENDING);
	wait_status(f, code, "applied");
	assert_int_equal(deliver(f, true, "", lines(from, from + 1500)), REG_PENDING);
	assert_field(f, "status", "held");
	assert_field(f, "hold", "The delivery is much smaller than the full deliveries before it");
}

static void drain(struct face *f)
{
	char id[64];

	while (poll(f, NULL) == REG_MESSAGE) {
		snprintf(id, sizeof id, "%.*s", (int)f->reply.message->id.n, f->reply.message->id.p);
		poll(f, id);
	}
}

static void a_suspicious_delivery_waits_and_is_released(void **state)
{
	struct face *f = face_login(&w, "operator"), *admin = face_login(&w, "admin");
	char held[64];

	struct reg_stats st;

	(void)state;
	drain(admin);
	drain(f);
	hold(f, 10000);
	strcpy(held, code);
	registry_stats(w.r, &st);
	assert_int_equal(st.deliveries_waiting, 1);
	assert_int_equal(poll(admin, NULL), REG_MESSAGE);
	assert_true(str_eq_c(f->reply.message ? STR("") : admin->reply.message->args[0], held));
	assert_true(str_eq_c(admin->reply.message->args[2], "size"));
	/* Only admin decides, with a ground, and once. */
	assert_int_equal(update(f, "delivery", held, "status=released; ground=ok", NULL, NULL), REG_AUTHORIZATION);
	assert_int_equal(update(admin, "delivery", held, "status=released", NULL, NULL), REG_MISSING);
	assert_int_equal(update(admin, "delivery", held, "status=applied; ground=ok", NULL, NULL), REG_RANGE);
	assert_int_equal(update(admin, "delivery", held, "status=released; ground=two regions were sold", NULL, NULL), REG_DONE);
	wait_status(f, held, "applied");
	assert_true(atoi(value(f, "gone")) >= 1500);
	assert_field(f, "ground", "two regions were sold");
	assert_int_equal(update(admin, "delivery", held, "status=refused; ground=no", NULL, NULL), REG_STATUS);
	assert_int_equal(poll(f, NULL), REG_MESSAGE);
	assert_true(str_eq_c(f->reply.message->args[0], held));
	assert_true(str_starts(f->reply.message->args[1], STR("released")));
	face_free(f);
	face_free(admin);
}

static void a_refused_delivery_is_thrown_away(void **state)
{
	struct face *f = face_login(&w, "operator"), *admin = face_login(&w, "admin");
	char held[64];

	(void)state;
	hold(f, 20000);
	strcpy(held, code);
	assert_int_equal(staged(), 1);
	/* While it waits the same one is the same one. */
	assert_int_equal(deliver(f, true, "", lines(20000, 21500)), REG_DONE);
	assert_string_equal(code, held);
	assert_int_equal(update(admin, "delivery", held, "status=refused; ground=half of it is missing", NULL, NULL), REG_DONE);
	wait_unstaged();
	wait_status(f, held, "refused");
	assert_field(f, "ground", "half of it is missing");
	/* Once it was refused it can be delivered again. */
	assert_int_equal(deliver(f, true, "", lines(20000, 21500)), REG_PENDING);
	assert_string_not_equal(code, held);
	assert_int_equal(update(admin, "delivery", code, "status=refused; ground=again", NULL, NULL), REG_DONE);
	wait_unstaged();
	face_free(f);
	face_free(admin);
}

/* ---- who ---- */

static void only_operators_deliver_and_see_their_own(void **state)
{
	struct face *admin = face_login(&w, "admin"), *f = face_login(&w, "operator"), *lea = face_login(&w, "lea"), *other;
	struct reg_delivery_start start = {.full = false};
	struct reg_query q = {.limit = 1000};
	struct reg_delivery *d;
	char hex[65], set[512];
	uint8_t fp[32];

	(void)state;
	world_fingerprint("operator9", fp);
	hex_print(fp, sizeof fp, hex);
	assert_int_equal(create(admin, "operator", "id=25509; name=Other; plmn=25509"), REG_DONE);
	snprintf(set, sizeof set, "id=operator9; role=operator; operator=25509; pw=" PASSWORD "; certificate=%s", hex);
	assert_int_equal(create(admin, "account", set), REG_DONE);
	other = face_login(&w, "operator9");
	assert_int_equal(deliver(f, false, "", lines(5000, 5003)), REG_PENDING);
	assert_int_equal(info(other, "delivery", code), REG_AUTHORIZATION);
	assert_int_equal(info(lea, "delivery", code), REG_AUTHORIZATION);
	assert_int_equal(info(admin, "delivery", code), REG_DONE);
	assert_int_equal(query(other, "delivery", &q), REG_DONE);
	assert_int_equal(other->reply.page->n_items, 0);
	assert_int_equal(query(f, "delivery", &q), REG_DONE);
	assert_true(f->reply.page->n_items > 0);
	/* The same bytes of another operator are another delivery. */
	assert_int_equal(deliver(other, false, "", lines(5000, 5003)), REG_PENDING);
	assert_int_equal(reg_delivery_begin(admin->s, &start, &d), CEIR_EPERM);
	assert_int_equal(reg_delivery_begin(lea->s, &start, &d), CEIR_EPERM);
	assert_int_equal(finish(admin, NULL), REG_AUTHORIZATION);
	assert_int_equal(finish(f, NULL), REG_MISSING);
	start.id = STR("a\tb");
	assert_int_equal(reg_delivery_begin(f->s, &start, &d), CEIR_EINVAL);
	start.id = STR("");
	/* Suspended between the first byte and the last. */
	assert_int_equal(reg_delivery_begin(other->s, &start, &d), CEIR_OK);
	lines(5100, 5103);
	assert_int_equal(reg_delivery_feed(d, str_of(body)), CEIR_OK);
	assert_int_equal(update(admin, "operator", "25509", "status=suspended", NULL, NULL), REG_DONE);
	assert_int_equal(finish(other, d), REG_AUTHORIZATION);
	assert_int_equal(reg_delivery_begin(other->s, &start, &d), CEIR_EPERM);
	assert_int_equal(finish(other, NULL), REG_AUTHORIZATION);
	wait_unstaged();
	face_free(other);
	face_free(lea);
	face_free(f);
	face_free(admin);
}

/* ---- crashes ---- */

/* Runs in a process of its own that ends where the fault says. */
static void crash(enum fault at, void (*act)(void))
{
	int status;

	world_stop(&w);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		world_start(&w);
		fault = at;
		act();
		_exit(1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), DIED);
	world_start(&w);
}

static uint32_t crash_from;

static void act_deliver(void)
{
	struct face *f = face_login(&w, "operator");

	lines(crash_from, crash_from + 10);
	deliver(f, false, "crash", more("1,2,3\n"));
	for (int i = 0; i < 2000; i++)
		nap();
}

/* What was answered is there, once; what was not answered left nothing. */
static void crash_while_delivering(enum fault at, uint32_t from, bool answered)
{
	struct face *f;
	char text[64];

	crash_from = from;
	world_sql(&w, "UPDATE delivery SET client_id = NULL WHERE client_id = 'crash'");
	int64_t before = world_sql(&w, "SELECT count(*) FROM delivery");
	crash(at, act_deliver);
	f = face_login(&w, "operator");
	wait_unstaged();
	assert_int_equal(files_of("deliveries", "tmp-"), 0);
	assert_int_equal(world_sql(&w, "SELECT count(*) FROM delivery"), before + answered);
	/* The client repeats what it was not sure of. */
	lines(from, from + 10);
	assert_int_equal(deliver(f, false, "crash", more("1,2,3\n")), answered ? REG_DONE : REG_PENDING);
	wait_status(f, code, "applied");
	assert_field(f, "new", "10");
	assert_field(f, "again", "0");
	assert_int_equal(ask_report(f, code), REG_DONE);
	assert_int_equal(f->reply.file->rows, 1);
	close(f->reply.file->fd);
	/* And the classification gets to know of it. */
	snprintf(text, sizeof text, "%s", code);
	for (int i = 0; i < 2000 && !value(f, "classified"); i++) {
		nap();
		assert_int_equal(info(f, "delivery", text), REG_DONE);
	}
	assert_non_null(value(f, "classified"));
	face_free(f);
}

static void a_crash_loses_nothing_and_doubles_nothing(void **state)
{
	(void)state;
	crash_while_delivering(DIE_STAGED, 30000, false);
	crash_while_delivering(DIE_NAMING, 30100, true);
	crash_while_delivering(DIE_BEFORE_APPLY, 30200, true);
	crash_while_delivering(DIE_APPLIED, 30300, true);
	crash_while_delivering(DIE_RECORDED, 30400, true);
}

static char refused[64];

static void act_refuse(void)
{
	struct face *admin = face_login(&w, "admin");

	update(admin, "delivery", refused, "status=refused; ground=crash", NULL, NULL);
	for (int i = 0; i < 2000; i++)
		nap();
}

static void a_refusal_outlives_a_crash(void **state)
{
	struct face *f = face_login(&w, "operator");

	(void)state;
	hold(f, 40000);
	strcpy(refused, code);
	face_free(f);
	crash(DIE_DISCARDING, act_refuse);
	f = face_login(&w, "operator");
	wait_unstaged();
	wait_status(f, refused, "refused");
	face_free(f);
}

static void a_full_disk_delays_and_does_not_lose(void **state)
{
	struct face *f = face_login(&w, "operator");
	char first[64];

	(void)state;
	full_disk = 1;
	assert_int_equal(deliver(f, false, "", lines(50000, 50010)), REG_PENDING);
	strcpy(first, code);
	/* One that comes meanwhile is not held up by it. */
	assert_int_equal(deliver(f, false, "", lines(50100, 50110)), REG_PENDING);
	wait_status(f, code, "applied");
	wait_status(f, first, "applied");
	assert_field(f, "new", "10");
	assert_int_equal(full_disk, 0);
	face_free(f);
}

/* ---- the inbox ---- */

static void put_file(const char *name, const char *text)
{
	char path[512];

	snprintf(path, sizeof path, "%s/inbox/25501/%s", w.dir, name);
	assert_int_equal(file_write(path, str_of(text), 0600), CEIR_OK);
}

static bool file_is(const char *name)
{
	char path[512];
	struct stat st;

	snprintf(path, sizeof path, "%s/inbox/25501/%s", w.dir, name);
	return lstat(path, &st) == 0;
}

static void wait_file(const char *name)
{
	for (int i = 0; i < 3000 && !file_is(name); i++)
		nap();
	if (!file_is(name))
		fail_msg("%s did not come", name);
}

static void answer_of(const char *name, struct buf *out)
{
	char path[512];

	wait_file(name);
	snprintf(path, sizeof path, "%s/inbox/25501/%s", w.dir, name);
	buf_clear(out);
	assert_int_equal(file_read(path, 1 << 20, out), CEIR_OK);
	buf_char(out, '\0');
}

/* A name that says complete, of a file that somebody goes on writing. */
static FILE *hold_file(const char *name, const char *text)
{
	char path[512];

	put_file(name, text);
	snprintf(path, sizeof path, "%s/inbox/25501/%s", w.dir, name);
	FILE *f = fopen(path, "ae");
	assert_non_null(f);
	return f;
}

static void files_of_the_inbox_are_delivered(void **state)
{
	struct face *f = face_login(&w, "operator");
	struct buf b = BUF_INIT(0);
	char path[512];

	(void)state;
	FILE *held = hold_file("delta-held.csv", lines(60200, 60205));
	lines(60000, 60010);
	put_file("Full-2026-11-25.csv", more("1,2,3\n"));
	put_file("delta-1.csv.part", lines(60100, 60110));
	put_file(".delta-2.csv", body);
	put_file("report.txt", "hello");
	put_file("delta-\x01\"\xff.csv", body);
	snprintf(path, sizeof path, "%s/inbox/25501/delta-link.csv", w.dir);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	snprintf(path, sizeof path, "%s/inbox/25501/delta-fifo.csv", w.dir);
	assert_int_equal(mkfifo(path, 0600), 0);
	answer_of("done/Full-2026-11-25.csv.answer.json", &b);
	assert_non_null(strstr(b.p, "{\"code\":1001,"));
	assert_non_null(strstr(b.p, "\"kind\":\"full\""));
	assert_non_null(strstr(b.p, "\"taken\":10"));
	assert_non_null(strstr(b.p, "\"svTRID\":\"UKR-"));
	answer_of("done/Full-2026-11-25.csv.rejects.csv", &b);
	assert_non_null(strstr(b.p, "imsi-bad"));
	wait_file("done/Full-2026-11-25.csv");
	answer_of("refused/report.txt.answer.json", &b);
	assert_non_null(strstr(b.p, "\"code\":2005"));
	wait_file("refused/delta-\x01\"\xff.csv.answer.json");
	fputs(strchr(lines(60205, 60210), '\n') + 1, held);
	assert_int_equal(fclose(held), 0);
	assert_true(file_is("delta-1.csv.part"));
	assert_true(file_is(".delta-2.csv"));
	assert_true(file_is("delta-link.csv"));
	assert_true(file_is("delta-fifo.csv"));
	assert_false(file_is("Full-2026-11-25.csv"));
	/* Who delivered stands in the audit log, with the folder. */
	assert_int_equal(world_sql(&w, "SELECT count(*) FROM audit WHERE account = 'inbox' AND role = 'operator' AND address = 'inbox/25501'"
		" AND object = 'delivery' AND verb = 'create'"), 1);
	/* The same file again is the same delivery. */
	lines(60000, 60010);
	put_file("full-again.csv", more("1,2,3\n"));
	answer_of("done/full-again.csv.answer.json", &b);
	assert_non_null(strstr(b.p, "{\"code\":1000,"));
	/* What cannot be read at all is refused. */
	put_file("delta-bad.csv", "name,price\n1,2\n");
	answer_of("refused/delta-bad.csv.answer.json", &b);
	assert_non_null(strstr(b.p, "\"errors\":[{"));
	/* As it was when its writer closed it. */
	answer_of("done/delta-held.csv.answer.json", &b);
	assert_non_null(strstr(b.p, "\"taken\":10"));
	buf_free(&b);
	face_free(f);
}

/* ---- all at once ---- */

#define AT_ONCE TEST_AMOUNT(30, 10)

static void *deliver_at_once(void *arg)
{
	struct face *f = face_login(&w, "operator");
	char text[4096];

	for (uint32_t i = 0; i < AT_ONCE; i++) {
		size_t n = 0;

		for (uint32_t k = 0; k < 20; k++)
			n += (size_t)snprintf(text + n, sizeof text - n, "%s,25501%010u,38050%07u\n", imei_text(TAC, 70000 + 20 * i + k), i, k);
		assert_int_equal(finish_quietly(f, receive(f, false, "", text)), REG_PENDING);
	}
	face_free(f);
	return arg;
}

static void *sight_at_once(void *arg)
{
	struct face *f = face_login(&w, "operator");
	char json[256];

	for (uint32_t i = 0; i < 5 * AT_ONCE; i++) {
		struct reg_command c = {.verb = REG_CREATE, .object = reg_object_by_name(STR("triplet"))};

		arena_reset(f->arena);
		snprintf(json, sizeof json, "[{\"imei\":\"%s\",\"imsi\":\"255018%09u\",\"msisdn\":\"380501234567\"}]", imei_text(TAC, 80000), i);
		c.body = str_of(json);
		assert_int_equal(face_do(f, &c), REG_DONE);
	}
	face_free(f);
	return arg;
}

static void *ask_at_once(void *arg)
{
	struct face *f = face_login(&w, "lea");
	struct reg_filter filters[] = {{STR("msisdn"), REG_EQ, STR("380501234567")}, {STR("case"), REG_EQ, STR("case 1")},
		{STR("of"), REG_EQ, STR("imei")}};
	struct reg_query q = {.filters = filters, .n_filters = CEIR_COUNT(filters), .limit = 1000};
	size_t last = 0;

	for (int i = 0; i < 2 * AT_ONCE; i++) {
		assert_int_equal(query(f, "triplet", &q), REG_DONE);
		assert_true(f->reply.page->n_items >= last);
		last = f->reply.page->n_items;
	}
	face_free(f);
	return arg;
}

static void everything_at_once(void **state)
{
	static void *(*const work[])(void *) = {deliver_at_once, sight_at_once, ask_at_once};
	pthread_t threads[CEIR_COUNT(work)];

	(void)state;
	for (size_t i = 0; i < CEIR_COUNT(work); i++)
		assert_int_equal(thread_start("test", work[i], NULL, &threads[i]), CEIR_OK);
	for (size_t i = 0; i < CEIR_COUNT(work); i++)
		pthread_join(threads[i], NULL);
	/* One of the inbox is held. */
	for (int i = 0; i < 2000 && world_sql(&w, "SELECT count(*) FROM delivery WHERE status = 'received'"); i++)
		nap();
	assert_int_equal(world_sql(&w, "SELECT sum(fresh) FROM delivery WHERE id > (SELECT max(id) FROM delivery) - 1000 AND status = 'applied'"
		" AND lines = 20 AND taken = 20"), 20 * AT_ONCE);
}

static void operators_are_folders_whatever_their_name(void **state)
{
	static const struct {
		const char *id, *folder;
	} names[] = {{"25501", "25501"}, {"Kyiv-Star_2.net", "Kyiv-Star_2.net"}, {"../x", "%2E.%2Fx"}, {".", "%2E"}, {"a b%", "a%20b%25"}};
	char out[REG_FOLDER_NAME];

	(void)state;
	for (size_t i = 0; i < CEIR_COUNT(names); i++) {
		reg_folder_name(str_of(names[i].id), out);
		assert_string_equal(out, names[i].folder);
	}
}

static int setup(void **state)
{
	(void)state;
	world_open(&w);
	world_settle(&w);
	/* For the inbox: folders are made at start. */
	world_stop(&w);
	world_start(&w);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	assert_int_equal(world_verify(&w, STR(""), true), 0);
	world_close(&w);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_full_delivery_says_who_has_gone),
		cmocka_unit_test(a_delivery_is_applied_with_its_counts),
		cmocka_unit_test(the_same_delivery_twice_changes_nothing),
		cmocka_unit_test(a_base_that_went_back_is_a_new_delivery),
		cmocka_unit_test(two_at_once_become_one),
		cmocka_unit_test(bad_lines_stand_in_the_report),
		cmocka_unit_test(what_is_no_delivery_is_refused_and_leaves_nothing),
		cmocka_unit_test(a_suspicious_delivery_waits_and_is_released),
		cmocka_unit_test(a_refused_delivery_is_thrown_away),
		cmocka_unit_test(only_operators_deliver_and_see_their_own),
		cmocka_unit_test(a_crash_loses_nothing_and_doubles_nothing),
		cmocka_unit_test(a_refusal_outlives_a_crash),
		cmocka_unit_test(a_full_disk_delays_and_does_not_lose),
		cmocka_unit_test(files_of_the_inbox_are_delivered),
		cmocka_unit_test(everything_at_once),
		cmocka_unit_test(operators_are_folders_whatever_their_name),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}

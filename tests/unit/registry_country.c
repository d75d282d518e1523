/* registry_country.c - see registry_country.h. */
#include "registry_country.h"

#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

/* ---- time ---- */

static _Atomic int64_t ahead_us;
int64_t __real_clock_real_us(void);
int64_t __wrap_clock_real_us(void);

int64_t __wrap_clock_real_us(void)
{
	return __real_clock_real_us() + atomic_load(&ahead_us);
}

static void nap(void)
{
	nanosleep(&(struct timespec){0, 2000000}, NULL);
}

void country_settle(struct country *c)
{
	for (int i = 0; i < 15000; i++) {
		if (reg_class_idle(c->w.r))
			return;
		nap();
	}
	fail_msg("the classification does not come to rest");
}

void country_run(struct country *c)
{
	struct reg_class *class = c->w.r->class;

	pthread_mutex_lock(&class->lock);
	class->run_due = true;
	pthread_cond_signal(&class->wake);
	pthread_mutex_unlock(&class->lock);
	country_settle(c);
}

void country_days(struct country *c, int days)
{
	country_settle(c);
	/* The thread may see the new day by itself, and then runs once more. */
	atomic_fetch_add(&ahead_us, days * 86400LL * SECOND_US);
	country_run(c);
}

/* ---- the register ---- */

void country_login(struct country *c)
{
	c->admin = face_login(&c->w, "admin");
	c->lea = face_login(&c->w, "lea");
	c->nra = face_login(&c->w, "nra");
	c->a = face_login(&c->w, "operator");
	c->b = face_login(&c->w, "operator3");
}

void country_logout(struct country *c)
{
	face_free(c->admin);
	face_free(c->lea);
	face_free(c->nra);
	face_free(c->a);
	face_free(c->b);
}

void country_open(struct country *c)
{
	char set[256], hex[65];
	uint8_t fp[32];

	world_open(&c->w);
	c->w.settings.outbox_keep = 1000;
	world_stop(&c->w);
	world_start(&c->w);
	world_settle(&c->w);
	c->admin = face_login(&c->w, "admin");
	assert_int_equal(create(c->admin, "operator", "id=" OPERATOR_B "; name=Other; plmn=25503"), REG_DONE);
	world_fingerprint("operator3", fp);
	hex_print(fp, sizeof fp, hex);
	snprintf(set, sizeof set, "id=operator3; role=operator; pw=" PASSWORD "; certificate=%s; operator=" OPERATOR_B, hex);
	assert_int_equal(create(c->admin, "account", set), REG_DONE);
	face_free(c->admin);
	country_login(c);
	country_settle(c);
}

void country_restart(struct country *c)
{
	country_logout(c);
	world_stop(&c->w);
	world_start(&c->w);
	country_login(c);
	country_settle(c);
}

void country_close(struct country *c)
{
	country_logout(c);
	assert_int_equal(world_verify(&c->w, STR(""), true), 0);
	world_close(&c->w);
	atomic_store(&ahead_us, 0);
}

/* ---- networks ---- */

unsigned see_at(struct face *f, const char *imei, const char *imsi, const char *msisdn, int64_t at_s)
{
	char json[512];
	struct reg_command c = {.verb = REG_CREATE, .object = reg_object_by_name(STR("triplet"))};

	snprintf(json, sizeof json, "[{\"imei\":\"%s\",\"imsi\":\"%s\",\"msisdn\":\"%s\",\"time\":%lld}]", imei, imsi, msisdn, (long long)at_s);
	arena_reset(f->arena);
	c.body = str_of(json);
	return face_do(f, &c);
}

void see(struct face *f, const char *imei, const char *imsi, const char *msisdn)
{
	assert_int_equal(see_at(f, imei, imsi, msisdn, clock_real_us() / SECOND_US), REG_DONE);
}

void deliver(struct country *c, struct face *f, bool full, const char *csv)
{
	struct reg_delivery_start start = {.full = full};
	struct reg_delivery *d;
	struct reg_command create = {.verb = REG_CREATE, .object = reg_object_by_name(STR("delivery"))};
	char code[64];

	assert_int_equal(reg_delivery_begin(f->s, &start, &d), CEIR_OK);
	assert_int_equal(reg_delivery_feed(d, str_of(csv)), CEIR_OK);
	create.delivery = d;
	arena_reset(f->arena);
	assert_int_equal(face_do(f, &create), REG_PENDING);
	snprintf(code, sizeof code, "%s", value(f, "id"));
	for (int i = 0; i < 5000; i++) {
		assert_int_equal(info(f, "delivery", code), REG_DONE);
		if (value(f, "classified"))
			return country_settle(c);
		nap();
	}
	fail_msg("delivery %s is %s and not classified", code, value(f, "status"));
}

/* ---- policy ---- */

const char *draft(struct country *c, const char *set)
{
	static char id[32];

	if (create(c->admin, "policy", set) != REG_DONE)
		fail_msg("%s: %u %s %s", set, c->admin->reply.code, c->admin->reply.details ? c->admin->reply.details->element : "",
			c->admin->reply.details ? c->admin->reply.details->reason : "");
	snprintf(id, sizeof id, "%s", value(c->admin, "id"));
	country_settle(c); /* it is tried by itself */
	return id;
}

void activate(struct country *c, const char *id)
{
	unsigned code = update(c->admin, "policy", id, "status=active; force=yes", NULL, NULL);

	assert_true(code == REG_DONE || code == REG_PENDING);
	country_settle(c);
	assert_int_equal(info(c->admin, "policy", id), REG_DONE);
	assert_string_equal(value(c->admin, "status"), "active");
}

/* ---- lists ---- */

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void sort(struct list *l)
{
	if (l->n)
		qsort(l->rows, l->n, sizeof *l->rows, by_text);
}

struct list *list_parse(const char *text)
{
	struct list *l = calloc(1, sizeof *l);
	size_t lines = 1;

	assert_non_null(l);
	l->text = strdup(text);
	for (const char *p = text; *p; p++)
		lines += *p == '\n';
	l->rows = calloc(lines, sizeof *l->rows);
	assert_true(l->text && l->rows);
	char *save, *line = strtok_r(l->text, "\n", &save);
	for (line = line ? strtok_r(NULL, "\n", &save) : NULL; line; line = strtok_r(NULL, "\n", &save))
		l->rows[l->n++] = line;
	sort(l);
	return l;
}

void list_free(struct list *l)
{
	if (!l)
		return;
	free(l->text);
	free(l->rows);
	free(l);
}

unsigned list_ask(struct face *f, const char *name, const struct reg_list_request *q)
{
	struct reg_node key = {.field = reg_object_by_name(STR("list"))->fields, .text = str_of(name)};
	struct reg_command c = {.verb = REG_INFO, .object = reg_object_by_name(STR("list")), .key = &key, .list = q};

	arena_reset(f->arena);
	return face_do(f, &c);
}

struct list *list_get(struct face *f, const char *name, int64_t since)
{
	struct reg_list_request q = {.delta = since >= 0, .since = since};

	return list_get_as(f, name, &q);
}

struct list *list_get_as(struct face *f, const char *name, const struct reg_list_request *q)
{
	assert_int_equal(list_ask(f, name, q), REG_DONE);
	const struct reg_file *file = f->reply.file;
	assert_non_null(file);
	char *text = calloc(1, file->bytes + 1);
	assert_non_null(text);
	assert_int_equal(read(file->fd, text, file->bytes), (ssize_t)file->bytes);
	close(file->fd);
	struct list *l = list_parse(text);
	free(text);
	l->from = file->from;
	l->to = file->to;
	l->bytes = file->bytes;
	assert_int_equal(l->n, file->rows);
	memcpy(l->digest, file->digest, sizeof l->digest);
	memcpy(l->signature, file->signature, sizeof l->signature);
	memcpy(l->name, file->name, sizeof l->name);
	return l;
}

const char *list_row(const struct list *l, const char *begin)
{
	for (size_t i = 0; i < l->n; i++)
		if (strncmp(l->rows[i], begin, strlen(begin)) == 0)
			return l->rows[i];
	return NULL;
}

const char *key14(const char *imei)
{
	static char keys[8][16];
	static unsigned next;
	char *out = keys[next++ % 8];

	snprintf(out, 16, "%.14s", imei);
	return out;
}

/* Bytes of the key, with its last comma or the end. */
static size_t key_length(const char *row, const char *name)
{
	unsigned columns = strcmp(name, "grey") == 0 || strcmp(name, "exceptions") == 0 ? 3 : 1;
	const char *p = row;

	for (unsigned i = 0; i < columns && *p; i++) {
		p += strcspn(p, ",");
		p += *p == ',' && i + 1 < columns;
	}
	return (size_t)(p - row);
}

static bool same_key(const char *a, const char *b, const char *name)
{
	size_t n = key_length(a, name);

	return n == key_length(b, name) && memcmp(a, b, n) == 0;
}

static void take_out(struct list *l, const char *row, const char *name)
{
	size_t kept = 0;

	for (size_t i = 0; i < l->n; i++)
		if (!same_key(l->rows[i], row, name))
			l->rows[kept++] = l->rows[i];
	l->n = kept;
}

/* All rows in one text of its own. */
static char *join(const struct list *a, const struct list *b)
{
	size_t bytes = 8;

	for (size_t i = 0; i < a->n + b->n; i++)
		bytes += strlen(i < a->n ? a->rows[i] : b->rows[i - a->n]) + 1;
	char *all = calloc(1, bytes), *end = all;
	assert_non_null(all);
	for (size_t i = 0; i < a->n + b->n; i++)
		end += sprintf(end, "%s\n", i < a->n ? a->rows[i] : b->rows[i - a->n]);
	return all;
}

struct list *list_apply(const struct list *from, const struct list *delta, const char *name)
{
	struct list *l = calloc(1, sizeof *l);
	char *save, *line;

	assert_non_null(l);
	l->text = join(from, delta);
	l->rows = calloc(from->n + delta->n + 1, sizeof *l->rows);
	assert_non_null(l->rows);
	line = strtok_r(l->text, "\n", &save);
	for (size_t i = 0; i < from->n; i++, line = strtok_r(NULL, "\n", &save))
		l->rows[l->n++] = line;
	for (; line; line = strtok_r(NULL, "\n", &save)) {
		char *row = strchr(line, ',') + 1;

		if (strncmp(line, "notice,", 7) == 0)
			continue;
		take_out(l, row, name);
		if (strncmp(line, "removed,", 8) != 0)
			l->rows[l->n++] = row;
	}
	sort(l);
	return l;
}

void assert_same_list(const struct list *expected, const struct list *got, const char *what)
{
	size_t i = 0, k = 0;
	unsigned shown = 0;

	while (i < expected->n || k < got->n) {
		int d = i == expected->n ? 1 : k == got->n ? -1 : strcmp(expected->rows[i], got->rows[k]);

		if (d && shown++ < 20)
			print_message("%s: %s %s\n", what, d < 0 ? "missing" : "too much", d < 0 ? expected->rows[i] : got->rows[k]);
		i += d <= 0;
		k += d >= 0;
	}
	if (shown)
		fail_msg("%s: %u rows differ", what, shown);
}

/* ---- for tests ---- */

int country_make(void **state)
{
	country_open(*state);
	return 0;
}

int country_destroy(void **state)
{
	country_close(*state);
	return 0;
}

int64_t country_last(struct country *c)
{
	struct list *l = list_get(c->a, "black", -1);
	int64_t to = l->to;

	list_free(l);
	return to;
}

void assert_list_rows(struct face *f, const char *name, int64_t since, size_t n, const char *row)
{
	struct list *l = list_get(f, name, since);

	if (l->n != n || (row && !list_row(l, row))) {
		for (size_t i = 0; i < l->n; i++)
			print_message("%s\n", l->rows[i]);
		fail_msg("%s since %lld has %zu rows, not %zu with %s", name, (long long)since, l->n, n, row ? row : "");
	}
	list_free(l);
}

void new_listing(struct face *f, const char *set, char id[64])
{
	if (create(f, "listing", set) != REG_DONE)
		fail_msg("%s: %u", set, f->reply.code);
	snprintf(id, 64, "%s", value(f, "id"));
}

/*
 * bench_triplets_planted.c - planted: what the conditions found, against what the population planted.
 *
 * Clones: every IMEI that stands in some operator's grey list with the reason "clone". The modems of SIM boxes have a hundred IMSIs
 * each and so are clones as well by that condition: they are counted apart, and are no error. SIM boxes: `sim-box` only informs and
 * so is in no list; all modems, and a sample of clones and of ordinary phones, are asked for over EPP (verdict info).
 */
#include "bench_triplets_http.h"

#include <stdlib.h>
#include <string.h>

#define SAMPLE 2000u

/* ---- sets of IMEIs ---------------------------------------------------------------------------------------------------------- */

struct set {
	uint64_t *v;
	size_t n, cap;
};

static enum ceir_err set_add(struct set *s, uint64_t imei)
{
	if (s->n == s->cap) {
		size_t cap = s->cap ? 2 * s->cap : 1024;
		uint64_t *v = realloc(s->v, cap * sizeof *v);
		if (!v)
			return CEIR_ENOMEM;
		s->v = v;
		s->cap = cap;
	}
	s->v[s->n++] = imei;
	return CEIR_OK;
}

static int imei_order(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void set_finish(struct set *s)
{
	size_t kept = 0;

	if (s->n)
		qsort(s->v, s->n, sizeof *s->v, imei_order);
	for (size_t i = 0; i < s->n; i++)
		if (kept == 0 || s->v[kept - 1] != s->v[i])
			s->v[kept++] = s->v[i];
	s->n = kept;
}

static bool set_has(const struct set *s, uint64_t imei)
{
	return s->n && bsearch(&imei, s->v, s->n, sizeof *s->v, imei_order) != NULL;
}

static size_t set_common(const struct set *a, const struct set *b)
{
	size_t n = 0;

	for (size_t i = 0; i < a->n; i++)
		n += set_has(b, a->v[i]);
	return n;
}

/* ---- what was planted, what was found ------------------------------------------------------------------------------------------
 */

struct planted {
	const struct bt_options *o;
	const struct population *p;
	struct population_layout layout;
	struct set clones, modems;
	struct set found; /* clones by the lists */
	uint64_t grey_rows, grey_bytes;
};

static enum ceir_err plant(struct planted *x)
{
	enum ceir_err err = CEIR_OK;
	unsigned imsis;

	for (uint64_t c = 0; c < x->layout.clones && !err; c++)
		err = set_add(&x->clones, population_clone(x->p, c, &imsis).n);
	for (uint64_t b = 0; b < x->layout.boxes; b++) {
		struct imei imeis[TRIPLET_BOX_IMEIS];
		struct msisdn first;
		uint8_t op;
		population_box(x->p, b, imeis, &op, &first);
		for (unsigned i = 0; i < TRIPLET_BOX_IMEIS && !err; i++)
			err = set_add(&x->modems, imeis[i].n);
	}
	set_finish(&x->clones);
	set_finish(&x->modems);
	return err;
}

/* Lines of a list: IMEI first, reasons last. What is no IMEI is passed over. */
static enum ceir_err take_list(struct planted *x, struct str body)
{
	enum ceir_err err = CEIR_OK;
	struct str row, imei;

	x->grey_bytes += body.n;
	while (!err && str_cut(&body, '\n', &row)) {
		struct str rest = row, field, last = row;
		uint64_t n;
		if (!str_cut(&rest, ',', &imei) || imei.n != 14 || str_u64(imei, IMEI_MAX, &n) != CEIR_OK)
			continue;
		x->grey_rows++;
		while (str_cut(&rest, ',', &field))
			last = field;
		if (bench_has(last, "clone"))
			err = set_add(&x->found, n);
	}
	return err;
}

static enum ceir_err ask_lists(struct planted *x)
{
	enum ceir_err err = CEIR_OK;

	for (unsigned op = 1; op <= x->o->operators && !err; op++) {
		struct bt_http *h = NULL;
		char account[BT_ACCOUNT_MAX];
		struct bt_answer a;

		bt_account(op, account);
		err = bt_http_open(x->o, account, &h);
		if (!err)
			err = bt_http_get(h, "/v1/lists/grey?format=csv", &a);
		if (!err)
			err = bt_http_expect(&a, 200, "the grey list");
		if (!err)
			err = take_list(x, a.body);
		bt_http_close(h);
	}
	set_finish(&x->found);
	return err;
}

/* The modem or phone that was sampled: does sim-box hold for it? */
static enum ceir_err is_box(struct bench_session *s, uint64_t imei, bool *yes)
{
	char digits[IMEI_DIGITS + 1], inner[256];
	struct str xml;

	imei_print((struct imei){imei}, digits);
	snprintf(inner, sizeof inner, "<info><info xmlns=\"urn:ceir:params:xml:ns:verdict-1.0\"><id>%s</id></info></info>", digits);
	enum ceir_err err = bench_session_ask(s, inner, 1000, &xml);
	*yes = !err && bench_has(xml, ">sim-box<");
	return err;
}

struct boxes {
	uint64_t modems, modems_found, clones, clones_found, phones, phones_found;
};

static enum ceir_err ask_some(struct bench_session *s, const struct set *from, uint64_t *asked, uint64_t *found)
{
	size_t step = from->n / SAMPLE + 1;
	enum ceir_err err = CEIR_OK;
	bool yes;

	for (size_t i = 0; i < from->n && !err; i += step) {
		err = is_box(s, from->v[i], &yes);
		*found += !err && yes;
		++*asked;
	}
	return err;
}

static enum ceir_err ask_boxes(struct planted *x, struct boxes *b)
{
	struct bench_options o = {.dir = x->o->dir, .host = x->o->host, .port = x->o->epp_port};
	struct bench_session *s = NULL;
	struct set phones = {0};
	uint64_t random = 17;
	enum ceir_err err = bench_session_open(&o, "bench-lea", &s);

	for (unsigned i = 0; i < SAMPLE && !err; i++) {
		struct population_triplet t;
		bt_random_taken(x->p, x->o, 0, &random, &t);
		if (t.kind == POPULATION_PLAIN || t.kind == POPULATION_SECOND)
			err = set_add(&phones, t.imei.n);
	}
	set_finish(&phones);
	if (!err)
		err = ask_some(s, &x->modems, &b->modems, &b->modems_found);
	if (!err)
		err = ask_some(s, &x->clones, &b->clones, &b->clones_found);
	if (!err)
		err = ask_some(s, &phones, &b->phones, &b->phones_found);
	free(phones.v);
	bench_session_close(s);
	return err;
}

/* ---- the lines ----------------------------------------------------------------------------------------------------------------
 */

static double share(uint64_t a, uint64_t b)
{
	return b ? (double)a / (double)b : 1;
}

static void report_clones(const struct planted *x, struct bench_result *r)
{
	uint64_t good = set_common(&x->found, &x->clones), modems = set_common(&x->found, &x->modems);
	/* Lines without an IMEI worth the name: 0 and 99... have thousands of IMSIs. */
	uint64_t odd = set_has(&x->found, 0) + set_has(&x->found, IMEI_MAX), wrong = x->found.n - good - modems - odd;

	bt_param_country(r, x->o);
	bt_param_text(r, "condition", "clone");
	bench_param(r, "planted", x->clones.n);
	bench_param(r, "found", x->found.n);
	bench_param(r, "found_planted", good);
	bench_param(r, "found_modems_of_sim_boxes", modems);
	bench_param(r, "found_malformed", odd);
	bench_param(r, "found_others", wrong);
	bench_param_real(r, "recall", share(good, x->clones.n));
	bench_param_real(r, "precision", share(good, good + wrong));
	bench_param(r, "grey_rows", x->grey_rows);
	r->name = "planted";
	r->unit = "imeis";
	r->operations = x->clones.n;
	r->bytes_received = x->grey_bytes;
	r->verified = x->clones.n;
	bench_result_print(r);
}

static void report_boxes(const struct planted *x, const struct boxes *b, struct bench_result *r)
{
	bt_param_country(r, x->o);
	bt_param_text(r, "condition", "sim-box");
	bench_param(r, "planted", x->modems.n);
	bench_param(r, "asked_modems", b->modems);
	bench_param(r, "found_modems", b->modems_found);
	bench_param(r, "asked_clones", b->clones);
	bench_param(r, "found_clones", b->clones_found);
	bench_param(r, "asked_phones", b->phones);
	bench_param(r, "found_phones", b->phones_found);
	bench_param_real(r, "recall", share(b->modems_found, b->modems));
	bench_param_real(r, "precision_of_sample", share(b->modems_found, b->modems_found + b->clones_found + b->phones_found));
	r->name = "planted";
	r->unit = "imeis";
	r->operations = b->modems + b->clones + b->phones;
	r->verified = r->operations;
	bench_result_print(r);
}

/* Runs one of the two questions between two looks at the processes. */
static enum ceir_err timed(
	struct planted *x, enum ceir_err (*ask)(struct planted *, struct boxes *), struct boxes *b, struct bench_result *r)
{
	enum ceir_err err = bt_usage_begin(x->o, r);
	int64_t begun_us = clock_mono_us();

	if (!err)
		err = ask(x, b);
	r->seconds = (double)(clock_mono_us() - begun_us) / 1e6;
	return err ? err : bt_usage_end(x->o, r);
}

static enum ceir_err ask_clones(struct planted *x, struct boxes *b)
{
	(void)b;
	return ask_lists(x);
}

enum ceir_err bt_planted(const struct bt_options *o)
{
	struct bench_result clones = {.params = BUF_INIT(0)}, boxes = {.params = BUF_INIT(0)};
	struct population *p = NULL;
	struct planted x = {.o = o};
	struct boxes b = {0};
	enum ceir_err err = bt_country(o, o->change > 0, &p);

	x.p = p;
	if (!err) {
		population_get_layout(p, &x.layout);
		err = plant(&x);
	}
	if (!err)
		err = timed(&x, ask_clones, NULL, &clones);
	if (!err)
		report_clones(&x, &clones);
	if (!err && o->epp_port)
		err = timed(&x, ask_boxes, &b, &boxes);
	if (!err && o->epp_port)
		report_boxes(&x, &b, &boxes);
	buf_free(&clones.params);
	buf_free(&boxes.params);
	free(x.clones.v);
	free(x.modems.v);
	free(x.found.v);
	population_free(p);
	return bt_failed("planted", err);
}

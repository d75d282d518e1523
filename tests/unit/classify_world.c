#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "classify_world.h"

#include "test_folder.h"

/* ---- making it ------------------------------------------------------------------------------------------------------- */

uint32_t world_random(struct world *w, uint32_t below)
{
	w->random ^= w->random << 13;
	w->random ^= w->random >> 7;
	w->random ^= w->random << 17;
	return (uint32_t)((w->random >> 32) * below >> 32);
}

#define TEXT(literal) {(literal), sizeof(literal) - 1}
static const struct policy_condition_text first_policy[] = {
	{TEXT("malformed"), TEXT("malformed"), 3, true, false},
	{TEXT("tac-unknown"), TEXT("tac-unknown"), 6, true, false},
	{TEXT("not-registered"), TEXT("not-registered(exempt=modem)"), 12, true, false},
	{TEXT("clone"), TEXT("clone-threshold(imsis=3 days=20)"), 5, true, false},
	{TEXT("stolen"), TEXT("stolen"), 0, false, true},
	{TEXT("barred"), TEXT("barred"), 0, false, false},
	{TEXT("watched"), TEXT("watched"), 0, false, false},
	{TEXT("rotation"), TEXT("rotation(imeis=4 days=20)"), 0, false, false},
	{TEXT("sim-swap"), TEXT("sim-swap(hours=48)"), 0, false, false},
};
/* Another idea of what blocks, and of days. */
static const struct policy_condition_text second_policy[] = {
	{TEXT("malformed"), TEXT("malformed"), 1, true, false},
	{TEXT("tac-unknown"), TEXT("tac-unknown"), 6, false, false},
	{TEXT("not-registered"), TEXT("not-registered"), 4, true, false},
	{TEXT("clone"), TEXT("clone-threshold(imsis=4 days=20)"), 2, true, false},
	{TEXT("stolen"), TEXT("stolen"), 8, true, true},
	{TEXT("barred"), TEXT("barred"), 0, true, false},
};

static struct policy *make_policy(int64_t version, const struct policy_condition_text *conditions, size_t n)
{
	struct policy_params params;
	struct policy *p = NULL;
	char why[200] = "";
	policy_defaults(&params);
	if (policy_new(version, &params, conditions, n, why, sizeof why, &p))
		fail_msg("policy: %s", why);
	return p;
}

static const uint32_t tacs[] = {1024003, 35210605, 35210606, 86000000, 99999998};
static struct policy_tac tac_table[] = {{.tac = 1024003, .allocated = true}, {.tac = 35210605, .allocated = true},
	{.tac = 86000000, .allocated = true}, {.tac = 99999998, .allocated = true}};
#define BARRED_TAC 86000000u

static int by_key(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return (x > y) - (x < y);
}

static void make_devices(struct world *w)
{
	for (uint32_t i = 0; i < WORLD_DEVICES; i++) {
		uint32_t tac = tacs[world_random(w, CEIR_COUNT(tacs))];
		w->device[i].imei = imei_make((struct tac){tac}, i * 331 + world_random(w, 300)).n;
		if (i % 30 == 0) {
			char text[20];
			int n = snprintf(text, sizeof text, i % 60 ? "%u" : "A%u", i);
			w->device[i].imei = triplet_malformed_key((struct str){text, (size_t)n});
		}
	}
	qsort(w->device, WORLD_DEVICES, sizeof w->device[0], by_key);
}

void world_new(struct world *w, uint64_t seed)
{
	memset(w, 0, sizeof *w);
	w->random = seed * 0x9e3779b97f4a7c15u + 1;
	w->day = WORLD_DAY;
	assert_true(test_folder(w->dir, sizeof w->dir, "classify-test"));
	snprintf(w->records, sizeof w->records, "%s/records", w->dir);
	char path[80];
	snprintf(path, sizeof path, "%s/triplets", w->dir);
	const struct triplets_settings settings = {.dir = path, .gap_days = 5, .memory_bytes = 64u << 20, .threads = 1};
	assert_int_equal(triplets_open(&settings, &w->store), CEIR_OK);
	w->verdicts = verdicts_new();
	assert_non_null(w->verdicts);
	assert_int_equal(verdicts_set_tac(w->verdicts, (struct tac){BARRED_TAC}, policy_tac_verdict(POLICY_REASON_BARRED)), CEIR_OK);
	tac_table[0].type = policy_tac_type(STR("modem"));
	w->tables = (struct policy_tables){.tacs = tac_table, .n_tacs = CEIR_COUNT(tac_table)};
	w->policies[0] = make_policy(1, first_policy, CEIR_COUNT(first_policy));
	w->policies[1] = make_policy(2, second_policy, CEIR_COUNT(second_policy));
	make_devices(w);
	assert_int_equal(classify_open(w->records, "", &w->c), CEIR_OK);
}

void world_free(struct world *w)
{
	char command[100];
	classify_close(w->c);
	triplets_close(w->store);
	verdicts_free(w->verdicts);
	policy_free(w->policies[0]);
	policy_free(w->policies[1]);
	free(w->log);
	snprintf(command, sizeof command, "rm -rf '%s'", w->dir);
	assert_int_equal(system(command), 0);
}

struct world_device *world_find(struct world *w, uint64_t imei)
{
	return bsearch(&imei, w->device, WORLD_DEVICES, sizeof w->device[0], by_key);
}

bool world_watched(void *ctx, uint64_t imei)
{
	(void)ctx;
	return imei % 41 == 0;
}

/* ---- what happens in it ---------------------------------------------------------------------------------------------- */

size_t world_see(struct world *w, size_t n, uint64_t *imeis)
{
	struct sighting rows[500];
	assert_true(n <= CEIR_COUNT(rows));
	for (size_t i = 0; i < n; i++) {
		uint32_t device = world_random(w, WORLD_DEVICES);
		/* Mostly its own SIM; the first devices are copied, and some SIMs wander. */
		uint32_t sim = world_random(w, 5) ? device : world_random(w, device < 100 ? 20 : 2) * WORLD_DEVICES + device;
		if (world_random(w, 20) == 0)
			sim = 5000000 + world_random(w, 30);
		rows[i] = (struct sighting){
			.imei = w->device[device].imei,
			.imsi = triplet_imsi_key((struct imsi){255010000000000 + sim, 15}),
			.msisdn = world_random(w, 10) ? triplet_msisdn_key((struct msisdn){380500000000 + sim / 2, 12}) : 0,
			.at_s = (uint32_t)w->day * 86400u + world_random(w, 86400),
		};
		imeis[i] = rows[i].imei;
	}
	assert_int_equal(triplets_sight(w->store, (uint8_t)(1 + world_random(w, 3)), 0, rows, NULL, n, NULL, NULL), CEIR_OK);
	qsort(imeis, n, sizeof *imeis, by_key);
	size_t distinct = 0;
	for (size_t i = 0; i < n; i++)
		if (distinct == 0 || imeis[i] != imeis[distinct - 1])
			imeis[distinct++] = imeis[i];
	return distinct;
}

static void set_entry(struct world *w, struct world_device *d, struct verdict v)
{
	d->entry = v;
	assert_int_equal(verdicts_set(w->verdicts, (struct imei){d->imei}, v), CEIR_OK);
}

/* As the door derives a row: all facts. */
static void derive(struct world *w, const struct policy *p, struct world_device *d)
{
	struct policy_facts facts = {.black_reason = d->black_reason};
	facts.registration = d->registered ? POLICY_REGISTERED : POLICY_NOT_REGISTERED;
	if (d->has_record)
		policy_class_facts(p, &d->record, w->day, &facts);
	struct verdict v = policy_verdict(&facts);
	v.row = true;
	set_entry(w, d, v);
}

void world_register(struct world *w, struct world_device *d)
{
	if (triplet_is_malformed(d->imei))
		return;
	if (world_random(w, 4))
		d->registered = true;
	else
		d->black_reason = (uint8_t)(POLICY_REASON_STOLEN + world_random(w, 3));
	derive(w, w->policies[0], d);
}

void world_env_new(struct world *w, const struct policy *p, bool prepared, struct world_env *out)
{
	memset(out, 0, sizeof *out);
	out->own = triplets_view_new(w->store);
	out->others = triplets_view_new(w->store);
	assert_true(out->own && out->others);
	out->over = classify_over_new(out->others, prepared);
	assert_non_null(out->over);
	out->tables = w->tables;
	classify_tables_over(out->over, &out->tables);
	out->gather = policy_gather_new(p, &out->tables);
	assert_non_null(out->gather);
	out->env = (struct classify_env){.policy = p, .tables = &out->tables, .verdicts = w->verdicts, .view = out->own,
		.now_s = (int64_t)w->day * 86400 + 80000, .watched = world_watched};
}

void world_env_free(struct world_env *e)
{
	assert_int_equal(classify_over_error(e->over), CEIR_OK);
	classify_over_free(e->over);
	policy_gather_free(e->gather);
	triplets_view_free(e->own);
	triplets_view_free(e->others);
}

/* ---- the naive classification ----------------------------------------------------------------------------------------- */

struct gathering {
	struct policy_gather *g;
	unsigned rows;
};

static enum ceir_err gather_row(void *ctx, const struct triplet *row)
{
	struct gathering *g = ctx;
	g->rows++;
	policy_gather_add(g->g, row, 1);
	return CEIR_OK;
}

static uint16_t alone(const struct policy *p, const struct policy_class *record, int32_t day)
{
	struct policy_facts facts = {0};
	policy_class_facts(p, record, day, &facts);
	return verdict_pack(policy_verdict(&facts));
}

static struct policy_known known_of(const struct world_device *d)
{
	struct policy_known known = {.registered = d->registered, .watched = world_watched(NULL, d->imei)};
	known.black_reason = d->black_reason;
	if (!known.black_reason && d->imei / IMEI_SERIALS == BARRED_TAC)
		known.black_reason = POLICY_REASON_BARRED;
	return known;
}

bool world_expect(struct world *w, struct world_env *e, const struct world_device *d, bool run, struct classify_change *out)
{
	const struct policy *p = e->env.policy;
	const struct policy_known known = known_of(d);
	struct policy_matched m;
	struct gathering g = {.g = e->gather};
	policy_gather_begin(g.g, d->imei, &known, e->env.now_s);
	assert_int_equal(triplets_by_imei(e->own, d->imei, NULL, 0, gather_row, &g), CEIR_OK);
	policy_gather_end(g.g, &m);
	*out = (struct classify_change){.imei = d->imei, .record = d->record, .derive = d->entry.row};
	bool differs = false;
	if (g.rows)
		differs = policy_classify(p, d->has_record ? &d->record : NULL, &m, w->day, &out->record);
	else if (!run || !d->has_record)
		return false;
	if (!differs)
		out->record = d->record;
	out->before = out->after = verdict_pack(d->entry);
	int32_t since = w->file_policy ? w->file_day : INT32_MIN;
	if (d->entry.row) {
		bool came = run && d->record.block_day && d->record.block_day > since && d->record.block_day <= w->day;
		return differs || (d->has_record && (came || (run && w->file_policy && w->file_policy != policy_version(p))));
	}
	if (triplet_is_malformed(d->imei))
		out->before = d->has_record ? alone(p, &d->record, run ? since : w->day) : 0;
	out->after = differs || d->has_record ? alone(p, &out->record, w->day) : 0;
	return differs || out->before != out->after;
}

void world_apply(struct world *w, const struct policy *p, const struct classify_change *change, bool note)
{
	struct world_device *d = world_find(w, change->imei);
	assert_non_null(d);
	d->record = change->record;
	d->has_record = true;
	if (d->entry.row)
		derive(w, p, d);
	else if (!triplet_is_malformed(d->imei))
		set_entry(w, d, verdict_unpack(change->after));
	if (note)
		assert_int_equal(classify_note(w->c, change->imei, &change->record), CEIR_OK);
	w->log = realloc(w->log, (w->n_log + 1) * sizeof *w->log);
	assert_non_null(w->log);
	w->log[w->n_log++] = *change;
}

void world_restart(struct world *w)
{
	classify_close(w->c);
	assert_int_equal(classify_open(w->records, w->name, &w->c), CEIR_OK);
	for (size_t i = 0; i < w->n_log; i++)
		assert_int_equal(classify_note(w->c, w->log[i].imei, &w->log[i].record), CEIR_OK);
}

/* ---- comparing --------------------------------------------------------------------------------------------------------- */

bool world_same_record(const struct policy_class *a, const struct policy_class *b)
{
	return a->mask == b->mask && a->was_mask == b->was_mask && a->since_day == b->since_day && a->block_day == b->block_day &&
		a->resolved_day == b->resolved_day && a->genuine_imsi == b->genuine_imsi && a->genuine_msisdn == b->genuine_msisdn;
}

struct scanning {
	struct world *w;
	size_t at;
};

static enum ceir_err scan_record(void *ctx, uint64_t imei, const struct policy_class *record)
{
	struct scanning *s = ctx;
	while (s->at < WORLD_DEVICES && !s->w->device[s->at].has_record)
		s->at++;
	assert_true(s->at < WORLD_DEVICES);
	assert_int_equal(imei, s->w->device[s->at].imei);
	assert_true(world_same_record(record, &s->w->device[s->at].record));
	s->at++;
	return CEIR_OK;
}

void world_check(struct world *w)
{
	struct policy_class record;
	for (uint32_t i = 0; i < WORLD_DEVICES; i++) {
		assert_int_equal(classify_get(w->c, w->device[i].imei, &record), w->device[i].has_record);
		if (w->device[i].has_record)
			assert_true(world_same_record(&record, &w->device[i].record));
	}
	struct scanning s = {.w = w};
	assert_int_equal(classify_scan(w->c, 0, scan_record, &s), CEIR_OK);
	for (; s.at < WORLD_DEVICES; s.at++)
		assert_false(w->device[s.at].has_record);
	s.at = world_random(w, WORLD_DEVICES);
	assert_int_equal(classify_scan(w->c, w->device[s.at].imei, scan_record, &s), CEIR_OK);
}

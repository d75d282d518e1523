/*
 * bench_load.c - check and listing under load: a thread a session, each with up to `depth` commands under way.
 *
 * Without a rate the loop is closed: a command goes out when an answer comes in, and latency is depth / rate by Little's law.
 * With a rate commands have a timetable, and latency counts from the scheduled moment, so that a server that stalls is
 * charged for the commands that would have come meanwhile.
 */
#include "bench.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define WARM_UP_US 1000000
#define DRAIN_MS 60000u
#define FULL_CHECKS 1000u /* one in so many names is checked fully */

struct load;

/* A command under way. */
struct slot {
	int64_t begun_us;
	uint64_t number, random; /* random: state before its names were drawn */
};

struct worker {
	struct load *load;
	pthread_t thread;
	unsigned id;
	struct bench_session *session;
	struct bench_frame frame;
	struct buf out;
	struct slot *slots; /* ring of depth; oldest at done % depth */
	uint64_t sent, done;
	uint64_t random;
	int64_t due_us, period_us; /* timetable; period 0: none */
	enum ceir_err err;

	/* Of the measured time. */
	struct bench_hist hist;
	uint64_t bytes_sent, bytes_received, refused, verified;
};

/* What a kind of load is: how its frame looks, how one is filled, what its answer must say. */
struct load_kind {
	const char *name, *unit, *account;
	enum ceir_err (*frame)(struct bench_frame *f, size_t names);
	void (*fill)(struct worker *w, char *frame, struct slot *slot);
	bool (*verify)(const struct worker *w, const struct slot *slot, struct str xml);
};

/* Shared; written before the workers begin. */
struct load {
	const struct bench_options *o;
	const struct load_kind *kind;
	int64_t begin_us, end_us; /* measured time */
};

/* ---- check ------------------------------------------------------------------------------------------------------------ */

static void check_fill(struct worker *w, char *frame, struct slot *slot)
{
	slot->random = w->random;
	for (size_t i = 0; i < w->frame.names; i++)
		bench_name(&w->random, w->load->o->devices, frame + w->frame.name + i * w->frame.stride);
}

/* Every name is answered, in order, with what the population says about it. */
static bool check_verify(const struct worker *w, const struct slot *slot, struct str xml)
{
	static const char attribute[] = "avail=\"";
	const char *at = xml.p, *end = xml.p + xml.n;
	uint64_t random = slot->random;

	for (size_t i = 0; i < w->frame.names; i++) {
		char name[IMEI_DIGITS];
		enum bench_kind kind = bench_name(&random, w->load->o->devices, name);
		const char *avail = memmem(at, (size_t)(end - at), attribute, sizeof attribute - 1);
		if (!avail || end - avail < 64)
			return false;
		avail += sizeof attribute - 1;
		const char *text = memchr(avail, '>', 64);
		if (!text || end - text < IMEI_DIGITS + 1 || memcmp(text + 1, name, IMEI_DIGITS) != 0)
			return false;
		if (*avail != (kind == BENCH_REGISTERED ? '0' : '1'))
			return false;
		at = text;
	}
	return true;
}

static const struct load_kind check_kind = {"check", "names", "bench-lea", bench_frame_check, check_fill, check_verify};

/* ---- listing ------------------------------------------------------------------------------------------------------------ */

static enum ceir_err listing_frame(struct bench_frame *f, size_t names)
{
	(void)names;
	return bench_frame_listing(f);
}

/* Every IMEI once: registered devices and strangers of odd number take turns; checks ask for even ones. */
static void listing_fill(struct worker *w, char *frame, struct slot *slot)
{
	const struct bench_options *o = w->load->o;
	uint64_t k = o->first + slot->number * o->sessions + w->id;
	char name[IMEI_DIGITS + 1];

	imei_print(k % 2 && k / 2 < o->devices ? bench_device(k / 2) : bench_stranger(2 * k + 1), name);
	memcpy(frame + w->frame.name, name, IMEI_DIGITS);
}

static bool listing_verify(const struct worker *w, const struct slot *slot, struct str xml)
{
	struct str id;

	(void)w;
	(void)slot;
	return bench_element(xml, "id", &id) && id.n > 0;
}

static const struct load_kind listing_kind = {"listing", "commands", "bench-lea", listing_frame, listing_fill, listing_verify};

/* ---- a worker ------------------------------------------------------------------------------------------------------------ */

static bool measured(const struct worker *w, int64_t us)
{
	return us >= w->load->begin_us && us < w->load->end_us;
}

/* Renders what may be sent now and sends it in one write. */
static enum ceir_err worker_send(struct worker *w, int64_t now_us)
{
	const struct bench_options *o = w->load->o;
	size_t n = w->frame.bytes.n;

	buf_clear(&w->out);
	while (w->sent - w->done < o->depth && now_us < w->load->end_us && (w->period_us == 0 || w->due_us <= now_us)) {
		struct slot *slot = &w->slots[w->sent % o->depth];
		char *frame = buf_reserve(&w->out, n);
		if (!frame)
			return CEIR_ENOMEM;
		*slot = (struct slot){.begun_us = w->period_us ? w->due_us : now_us, .number = w->sent};
		memcpy(frame, w->frame.bytes.p, n);
		bench_cltrid(frame + w->frame.cltrid, o->start_s, w->id, w->sent);
		w->load->kind->fill(w, frame, slot);
		w->out.n += n;
		w->sent++;
		w->due_us += w->period_us;
	}
	if (measured(w, now_us))
		w->bytes_sent += w->out.n;
	return w->out.n ? bench_session_send(w->session, buf_view(&w->out)) : CEIR_OK;
}

/* An answer carries its clTRID: answers come in the order of the commands (EPP over one connection, RFC 5734 3). */
static bool answers_in_order(const struct worker *w, const struct slot *slot, struct str xml)
{
	char id[BENCH_CLTRID + 1];

	bench_cltrid(id, w->load->o->start_s, w->id, slot->number);
	id[BENCH_CLTRID] = '\0';
	return bench_has(xml, id);
}

/* One answer. What is wrong is counted, and the first one shown. */
static void worker_take(struct worker *w, struct str xml, int64_t now_us)
{
	const struct slot *slot = &w->slots[w->done % w->load->o->depth];
	size_t every = FULL_CHECKS / w->frame.names + 1;
	bool good = bench_answer_is(xml, 1000);

	if (good && w->done % every == 0) {
		good = answers_in_order(w, slot, xml) && w->load->kind->verify(w, slot, xml);
		w->verified++;
	}
	if (!good && w->refused++ == 0)
		fprintf(stderr, "bench_epp: unexpected answer: %.*s\n", (int)(xml.n < 2048 ? xml.n : 2048), xml.p);
	if (measured(w, now_us)) {
		bench_hist_add(&w->hist, (uint64_t)(now_us - slot->begun_us));
		w->bytes_received += xml.n;
	}
	w->done++;
}

/* With a timetable nothing may be under way; then there is nothing to wait for but the clock. */
static void worker_idle(const struct worker *w)
{
	int64_t left_us = w->due_us - clock_mono_us();
	struct timespec t = {.tv_sec = left_us / 1000000, .tv_nsec = left_us % 1000000 * 1000};

	if (left_us > 0)
		nanosleep(&t, NULL);
}

/* Waits for one answer, then takes all that came with it. A timetable is looked at every millisecond. */
static enum ceir_err worker_receive(struct worker *w, unsigned timeout_ms)
{
	struct str xml;
	enum ceir_err err = bench_session_receive(w->session, &xml, timeout_ms);

	if (err == CEIR_ETIMEOUT && w->period_us)
		return CEIR_OK;
	while (err == CEIR_OK) {
		worker_take(w, xml, clock_mono_us());
		if (w->done == w->sent || !bench_session_ready(w->session))
			return CEIR_OK;
		err = bench_session_receive(w->session, &xml, timeout_ms);
	}
	return err;
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	enum ceir_err err = CEIR_OK;
	int64_t now_us;

	while (err == CEIR_OK && (now_us = clock_mono_us()) < w->load->end_us) {
		if ((err = worker_send(w, now_us)) != CEIR_OK)
			break;
		if (w->done == w->sent)
			worker_idle(w);
		else
			err = worker_receive(w, w->period_us ? 1 : DRAIN_MS);
	}
	w->period_us = 0; /* from here on only what is under way */
	while (err == CEIR_OK && w->done < w->sent)
		err = worker_receive(w, DRAIN_MS);
	if (err != CEIR_OK)
		fprintf(stderr, "bench_epp: session %u: %s\n", w->id, ceir_err_text(err));
	w->err = err;
	return NULL;
}

static enum ceir_err worker_open(struct worker *w, struct load *load, unsigned id)
{
	const struct bench_options *o = load->o;
	enum ceir_err err;

	w->load = load;
	w->id = id;
	w->out = (struct buf)BUF_INIT(0);
	w->random = o->seed * 0x9e3779b97f4a7c15ull + id;
	w->period_us = o->rate ? (int64_t)(1000000ull * o->sessions / o->rate) : 0;
	w->slots = calloc(o->depth, sizeof *w->slots);
	if (!w->slots)
		return CEIR_ENOMEM;
	if ((err = load->kind->frame(&w->frame, o->names)) != CEIR_OK)
		return err;
	return bench_session_open(o, load->kind->account, &w->session);
}

static void worker_close(struct worker *w)
{
	bench_session_close(w->session);
	bench_frame_free(&w->frame);
	buf_free(&w->out);
	free(w->slots);
}

/* ---- all of them ----------------------------------------------------------------------------------------------------------- */

static void sleep_until(int64_t us)
{
	for (int64_t left; (left = us - clock_mono_us()) > 0;)
		nanosleep(&(struct timespec){.tv_sec = left / 1000000, .tv_nsec = left % 1000000 * 1000}, NULL);
}

/* Starts the threads, looks at both processes when the measured time begins and ends, joins. */
static enum ceir_err load_measure(struct load *load, struct worker *workers, struct bench_result *r)
{
	const struct bench_options *o = load->o;
	enum ceir_err err = CEIR_OK, look = CEIR_OK;
	unsigned started;

	load->begin_us = clock_mono_us() + WARM_UP_US;
	load->end_us = load->begin_us + (int64_t)o->seconds * 1000000;
	for (started = 0; started < o->sessions; started++) {
		/* The sessions' timetables are spread evenly. */
		workers[started].due_us = load->begin_us - WARM_UP_US + workers[started].period_us * started / o->sessions;
		if (pthread_create(&workers[started].thread, NULL, worker_main, &workers[started]) != 0) {
			err = CEIR_ENOMEM;
			break;
		}
	}
	if (err == CEIR_OK) {
		sleep_until(load->begin_us);
		look = bench_usage_read(o->server, &r->server_before);
		look = look ? look : bench_usage_read(getpid(), &r->self_before);
		sleep_until(load->end_us);
		look = look ? look : bench_usage_read(o->server, &r->server_after);
		look = look ? look : bench_usage_read(getpid(), &r->self_after);
	}
	for (unsigned i = 0; i < started; i++) {
		pthread_join(workers[i].thread, NULL);
		err = err ? err : workers[i].err;
	}
	return err ? err : look;
}

static void load_report(const struct load *load, const struct worker *workers, struct bench_result *r)
{
	const struct bench_options *o = load->o;
	struct bench_hist *sum = calloc(1, sizeof *sum);

	if (!sum)
		return;
	for (unsigned i = 0; i < o->sessions; i++) {
		bench_hist_merge(sum, &workers[i].hist);
		r->bytes_sent += workers[i].bytes_sent;
		r->bytes_received += workers[i].bytes_received;
		r->refused += workers[i].refused;
		r->verified += workers[i].verified;
	}
	bench_param(r, "sessions", o->sessions);
	bench_param(r, "depth", o->depth);
	bench_param(r, "names", workers[0].frame.names);
	bench_param(r, "devices", o->devices);
	bench_param(r, "seed", o->seed);
	if (o->rate)
		bench_param(r, "offered_rate", o->rate);
	r->name = load->kind->name;
	r->unit = load->kind->unit;
	r->operations = sum->n * workers[0].frame.names;
	r->seconds = (double)(load->end_us - load->begin_us) / 1e6;
	r->latency = sum;
	bench_result_print(r);
	free(sum);
}

static enum ceir_err load_run(const struct bench_options *o, const struct load_kind *kind)
{
	struct load load = {.o = o, .kind = kind};
	struct bench_result r = {.params = BUF_INIT(0)};
	struct worker *workers = calloc(o->sessions, sizeof *workers);
	enum ceir_err err = workers ? CEIR_OK : CEIR_ENOMEM;

	for (unsigned i = 0; err == CEIR_OK && i < o->sessions; i++)
		err = worker_open(&workers[i], &load, i);
	if (err == CEIR_OK && (err = load_measure(&load, workers, &r)) == CEIR_OK) {
		load_report(&load, workers, &r);
		err = r.refused ? CEIR_EINVAL : CEIR_OK;
	}
	for (unsigned i = 0; workers && i < o->sessions; i++)
		worker_close(&workers[i]);
	free(workers);
	return err;
}

enum ceir_err bench_check(const struct bench_options *o)
{
	return load_run(o, &check_kind);
}

enum ceir_err bench_listing(const struct bench_options *o)
{
	return load_run(o, &listing_kind);
}

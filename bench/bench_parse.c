/*
 * bench_parse.c - what comes before the triplet store, each by itself: reading deliveries, unpacking them, sorting what they hold.
 *
 *   bench_parse [LINES]      default 2,000,000; a JSON line for each figure
 *
 * The deliveries are those of gen-triplets (triplet_population.h), made in memory first. Everything runs in one thread, but for the
 * sort that says otherwise. Figures of parsing are the limit of any load: nothing can be stored faster than it is read.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zlib.h>
#include <zstd.h>

#include "exchange/exchange.h"
#include "segment/segment.h"
#include "triplet_line.h"

#define PIECE_BYTES ((size_t)64 << 10) /* as they come from the network */
#define ROUNDS 3                       /* the best one counts: the others warmed up, or were disturbed */

static double seconds_since(int64_t start_us)
{
	return (double)(clock_mono_us() - start_us) / 1e6;
}

/* Of the processor, by this process: what a rate is to be taken from when others are at work on the machine. */
static double cpu_s(void)
{
	return (double)clock() / CLOCKS_PER_SEC;
}

/* ---- deliveries -------------------------------------------------------------------------------------------------------- */

enum shape {
	SHAPE_PLAIN,  /* 14 digits, no noise: what most lines of a delivery are */
	SHAPE_DATE,   /* the same with a date, one for all */
	SHAPE_NOISE,  /* clones, SIM boxes, roamers, bad lines */
	SHAPE_FORMS,  /* each operator its own form of an IMEI, mixed */
	SHAPE_QUOTED, /* every field in quotes */
	SHAPE_TIMES,  /* another time in each line */
	SHAPES
};
static const char *const shape_names[SHAPES] = {"plain", "date", "noise", "forms", "quoted", "times"};

static void put_shaped(struct buf *out, enum shape shape, const char *line, size_t n, uint64_t i)
{
	if (shape == SHAPE_TIMES) {
		char time[TIME_RFC3339_MAX];

		time_rfc3339((INT64_C(1795478400) + (int64_t)(i * 7919 % 86400)) * 1000000, time);
		buf_put(out, line, n - 1);
		buf_printf(out, ",%.19sZ\n", time);
		return;
	}
	if (shape != SHAPE_QUOTED) {
		buf_put(out, line, n);
		return;
	}
	buf_char(out, '"');
	for (size_t k = 0; k + 1 < n; k++)
		if (line[k] == ',')
			buf_c(out, "\",\"");
		else
			buf_char(out, line[k]);
	buf_c(out, "\"\n");
}

static enum ceir_err delivery_make(enum shape shape, uint64_t lines, struct buf *out)
{
	struct population_settings s = {
		.triplets = lines, .seed = 1, .operators = TRIPLET_OPERATORS, .noise = shape == SHAPE_NOISE};
	struct triplet_style style = {.forms = shape == SHAPE_FORMS};
	struct population *p = population_new(&s);

	if (p == NULL)
		return CEIR_ENOMEM;
	if (shape == SHAPE_DATE)
		date_print(date_of_us(INT64_C(1795478400) * 1000000), style.date);
	buf_clear(out);
	buf_c(out, shape == SHAPE_TIMES ? "imei,imsi,msisdn,time\n" : triplet_header(&style));
	for (uint64_t position = 0; position < lines; position++) {
		struct population_triplet t;
		char line[TRIPLET_LINE_BYTES];

		population_get(p, population_index(p, position), &t);
		put_shaped(out, shape, line, triplet_line(&t, &style, line), position);
	}
	population_free(p);
	return out->failed ? CEIR_ENOMEM : CEIR_OK;
}

/* ---- reading ----------------------------------------------------------------------------------------------------------- */

/* Looks at every row, as little as can be. */
static enum ceir_err take_rows(void *ctx, const struct sighting *rows, const struct str *cells, size_t n)
{
	uint64_t *sum = ctx;

	(void)cells;
	for (size_t i = 0; i < n; i++)
		*sum += rows[i].imei ^ rows[i].imsi ^ rows[i].msisdn;
	return CEIR_OK;
}

static enum ceir_err take_reject(void *ctx, const struct delivery_reject *reject)
{
	uint64_t *sum = ctx;

	*sum += reject->line;
	return CEIR_OK;
}

static enum ceir_err read_once(struct str file, struct delivery_counts *counts)
{
	const struct delivery_format f = {
		.now_s = INT64_C(1795564800), .default_s = 1795564800, .home_mcc = "255", .country_code = "380"};
	uint64_t sum = 0;
	const struct delivery_sink sink = {.ctx = &sum, .rows = take_rows, .reject = take_reject};
	struct delivery_reader *r = delivery_reader_new(&f, &sink);
	enum ceir_err err = CEIR_OK;

	if (r == NULL)
		return CEIR_ENOMEM;
	for (size_t at = 0; at < file.n && err == CEIR_OK; at += PIECE_BYTES)
		err = delivery_reader_feed(r, (struct str){file.p + at, file.n - at < PIECE_BYTES ? file.n - at : PIECE_BYTES});
	if (err == CEIR_OK)
		err = delivery_reader_finish(r);
	delivery_reader_counts(r, counts);
	delivery_reader_free(r);
	return err;
}

static enum ceir_err bench_reading(enum shape shape, struct str file)
{
	struct delivery_counts counts;
	double best = 1e9, best_cpu = 1e9;

	for (int round = 0; round < ROUNDS; round++) {
		int64_t start = clock_mono_us();
		double cpu_start = cpu_s();
		enum ceir_err err = read_once(file, &counts);
		double s = seconds_since(start), cpu = cpu_s() - cpu_start;

		if (err != CEIR_OK)
			return err;
		best = s < best ? s : best;
		best_cpu = cpu < best_cpu ? cpu : best_cpu;
	}
	printf("{\"bench\":\"parse\",\"shape\":\"%s\",\"lines\":%llu,\"refused\":%llu,\"malformed\":%llu,\"bytes\":%zu,\"lines_per_"
	       "s\":%.0f,"
	       "\"lines_per_cpu_s\":%.0f,\"bytes_per_s\":%.0f}\n",
		shape_names[shape], (unsigned long long)counts.lines, (unsigned long long)counts.refused,
		(unsigned long long)counts.malformed, file.n, (double)counts.lines / best, (double)counts.lines / best_cpu,
		(double)file.n / best);
	return CEIR_OK;
}

/* ---- unpacking --------------------------------------------------------------------------------------------------------- */

static enum ceir_err drop(void *ctx, struct str bytes)
{
	*(uint64_t *)ctx += bytes.n;
	return CEIR_OK;
}

static enum ceir_err gzip(struct str s, struct buf *out)
{
	z_stream z = {0};
	char *at = buf_reserve(out, s.n + 1000);
	int result;

	if (at == NULL || deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		return CEIR_ENOMEM;
	z.next_in = (Bytef *)(uintptr_t)s.p;
	z.avail_in = (uInt)s.n;
	z.next_out = (Bytef *)at;
	z.avail_out = (uInt)(s.n + 1000);
	result = deflate(&z, Z_FINISH);
	out->n += z.total_out;
	deflateEnd(&z);
	return result == Z_STREAM_END ? CEIR_OK : CEIR_ENOMEM;
}

static enum ceir_err zstd(struct str s, struct buf *out)
{
	size_t room = ZSTD_compressBound(s.n);
	char *at = buf_reserve(out, room);
	size_t n = at == NULL ? 0 : ZSTD_compress(at, room, s.p, s.n, 3);

	if (at == NULL || ZSTD_isError(n))
		return CEIR_ENOMEM;
	out->n += n;
	return CEIR_OK;
}

static enum ceir_err unpack_once(struct str packed, uint64_t *bytes)
{
	struct unpack *u = unpack_new(1000);
	enum ceir_err err = CEIR_OK;

	*bytes = 0;
	if (u == NULL)
		return CEIR_ENOMEM;
	for (size_t at = 0; at < packed.n && err == CEIR_OK; at += PIECE_BYTES)
		err = unpack_feed(
			u, (struct str){packed.p + at, packed.n - at < PIECE_BYTES ? packed.n - at : PIECE_BYTES}, drop, bytes);
	if (err == CEIR_OK)
		err = unpack_finish(u, drop, bytes);
	unpack_free(u);
	return err;
}

static enum ceir_err bench_unpacking(const char *name, struct str packed, struct str text)
{
	double best = 1e9, best_cpu = 1e9;
	uint64_t bytes;

	for (int round = 0; round < ROUNDS; round++) {
		int64_t start = clock_mono_us();
		double cpu_start = cpu_s();
		enum ceir_err err = unpack_once(packed, &bytes);
		double s = seconds_since(start), cpu = cpu_s() - cpu_start;

		if (err != CEIR_OK || bytes != text.n)
			return err != CEIR_OK ? err : CEIR_ECORRUPT;
		best = s < best ? s : best;
		best_cpu = cpu < best_cpu ? cpu : best_cpu;
	}
	printf("{\"bench\":\"unpack\",\"packing\":\"%s\",\"packed_bytes\":%zu,\"bytes\":%zu,\"bytes_per_s\":%.0f,"
	       "\"bytes_per_cpu_s\":%.0f}\n",
		name, packed.n, text.n, (double)text.n / best, (double)text.n / best_cpu);
	return CEIR_OK;
}

/* Half a million lines at most: packing takes far longer than unpacking. */
static enum ceir_err bench_packings(struct str file)
{
	struct buf packed = BUF_INIT(0);
	struct str text = {file.p, file.n < 22000000 ? file.n : 22000000};
	enum ceir_err err = gzip(text, &packed);

	if (err == CEIR_OK)
		err = bench_unpacking("gzip", buf_view(&packed), text);
	buf_clear(&packed);
	if (err == CEIR_OK)
		err = zstd(text, &packed);
	if (err == CEIR_OK)
		err = bench_unpacking("zstd", buf_view(&packed), text);
	buf_free(&packed);
	return err;
}

/* ---- sorting ----------------------------------------------------------------------------------------------------------- */

/* Records of 24 bytes are the three keys; those of 32 have time and the rest behind them, as sightings. */
static void records_fill(const struct population *p, char *records, uint64_t n, size_t size)
{
	for (uint64_t position = 0; position < n; position++) {
		struct population_triplet t;
		struct sighting s;

		population_get(p, population_index(p, position), &t);
		(void)triplet_sighting(&t, 0, &s); /* there are no refused ones without noise */
		memcpy(records + position * size, &s, size);
	}
}

static bool records_sorted(const char *records, uint64_t n, size_t size)
{
	uint64_t a[3], b[3];

	for (uint64_t i = 1; i < n; i++) {
		memcpy(a, records + (i - 1) * size, sizeof(a));
		memcpy(b, records + i * size, sizeof(b));
		if (a[0] > b[0] || (a[0] == b[0] && (a[1] > b[1] || (a[1] == b[1] && a[2] > b[2]))))
			return false;
	}
	return true;
}

static enum ceir_err bench_sort(const struct population *p, uint64_t n, size_t size, unsigned threads)
{
	static const unsigned words[] = {0, 1, 2};
	char *records = calloc(n, size), *scratch = calloc(n, size);
	enum ceir_err err = CEIR_ENOMEM;
	double s = 0, cpu = 0;

	if (records != NULL && scratch != NULL) {
		int64_t start;

		records_fill(p, records, n, size);
		memset(scratch, 1, n * size); /* its pages are there */
		start = clock_mono_us();
		cpu = cpu_s();
		err = sort_records(records, scratch, n, size, words, CEIR_COUNT(words), threads);
		s = seconds_since(start);
		cpu = cpu_s() - cpu;
		if (err == CEIR_OK && !records_sorted(records, n, size))
			err = CEIR_ECORRUPT;
	}
	if (err == CEIR_OK)
		printf("{\"bench\":\"sort\",\"record_bytes\":%zu,\"threads\":%u,\"records\":%llu,\"records_per_s\":%.0f,"
		       "\"records_per_cpu_s\":%.0f}\n",
			size, threads, (unsigned long long)n, (double)n / s, (double)n / cpu);
	free(records);
	free(scratch);
	return err;
}

static enum ceir_err bench_sorts(uint64_t lines)
{
	struct population_settings s = {.triplets = lines, .seed = 1, .operators = TRIPLET_OPERATORS};
	struct population *p = population_new(&s);
	enum ceir_err err = CEIR_OK;

	if (p == NULL)
		return CEIR_ENOMEM;
	for (size_t size = 24; size <= sizeof(struct sighting) && err == CEIR_OK; size += 8)
		for (unsigned threads = 1; threads <= 2 && err == CEIR_OK; threads++)
			err = bench_sort(p, lines, size, threads);
	population_free(p);
	return err;
}

int main(int argc, char **argv)
{
	uint64_t lines = 2000000;
	struct buf file = BUF_INIT(0);
	enum ceir_err err = CEIR_OK;

	if (argc > 2 || (argc == 2 && (str_u64(str_of(argv[1]), 100000000, &lines) != CEIR_OK || lines == 0))) {
		fprintf(stderr, "usage: bench_parse [LINES]\n");
		return 2;
	}
	for (unsigned shape = 0; shape < SHAPES && err == CEIR_OK; shape++) {
		err = delivery_make((enum shape)shape, lines, &file);
		if (err == CEIR_OK)
			err = bench_reading((enum shape)shape, buf_view(&file));
		if (err == CEIR_OK && shape == SHAPE_PLAIN)
			err = bench_packings(buf_view(&file));
		fflush(stdout);
	}
	buf_free(&file);
	if (err == CEIR_OK)
		err = bench_sorts(lines);
	if (err != CEIR_OK)
		fprintf(stderr, "bench_parse: %s\n", ceir_err_text(err));
	return err == CEIR_OK ? 0 : 1;
}

/*
 * gen_triplets.c - gen-triplets: deliveries of a country that exists only here, and the truth about them.
 *
 *   gen-triplets --triplets N [--seed S] [--operators 4] [--change 0.005] [--no-noise]     which country (triplet_population.h)
 *                [--operator K] [--day 2026-11-24] [--forms] [--format csv|binary] [--planted FILE] [--tacs FILE]
 *   gen-triplets --triplets N ... --imeis [--registered 0.9]
 *
 * Writes the delivery of all operators, or of operator K, to standard output: CSV with a header, lines in no order; with --day a
 * fourth column `date`. --format binary: the sightings that a reader makes of these lines (struct sighting of triplets.h, 32 bytes
 * each, this machine's byte order, time of --day or 0), refused lines left out. The same options always give the same bytes. With
 * --change a second delivery of the same seed repeats all triplets but that share, exactly; the rest has gone and as many new ones
 * have come.
 *
 * --planted FILE gets the truth, a JSON object a line: each clone and SIM box of the whole country, then the totals of the lines
 * written. What conditions find can be compared with it. --tacs FILE gets the TACs that are allocated, as CSV for `ceirctl tac
 * import`. --imeis writes IMEIs instead, 15 digits a line: the share of all phones that is registered, model by model, for
 * applications.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "triplet_line.h"

#define OUT_BYTES ((size_t)1 << 20)

struct options {
	struct population_settings country;
	struct triplet_style style;
	uint32_t at_s;
	unsigned only; /* operator; 0: all */
	bool binary, imeis;
	double registered;
	const char *planted, *tacs;
};

/* What was written. */
struct totals {
	uint64_t lines, refused, malformed, changed;
	uint64_t kinds[POPULATION_KINDS];
};

static const char usage[] =
	"usage: gen-triplets --triplets N [OPTION...] >FILE\n"
	"\n"
	"Writes a delivery of triplets of an invented country: the same options, the same bytes.\n"
	"\n"
	"  --triplets N       lines of all operators together, 1..1000000000\n"
	"  --seed S           another country [1]\n"
	"  --operators N      1..4 [4]\n"
	"  --change SHARE     0..0.5: so many triplets have gone and as many have come; the others repeat [0]\n"
	"  --no-noise         phones with their SIMs only: no clones, SIM boxes, roamers, odd TACs, bad lines\n"
	"  --operator K       only the lines of operator K\n"
	"  --day YYYY-MM-DD   a fourth column `date`\n"
	"  --forms            each operator writes IMEIs its own way: 14 digits, 15 with check digit, 16, 15 with a 0\n"
	"  --format binary    records as the triplet store takes them (struct sighting) instead of CSV\n"
	"  --planted FILE     the truth about clones, SIM boxes and bad lines, JSON lines\n"
	"  --tacs FILE        the TACs that are allocated: id,manufacturer,model, as `ceirctl tac import` reads them\n"
	"  --imeis            instead of triplets: IMEIs of registered phones, 15 digits a line\n"
	"  --registered SHARE of the phones that are registered [0.9]\n";

/* ---- output ------------------------------------------------------------------------------------------------------------ */

static char out[OUT_BYTES + TRIPLET_LINE_BYTES];
static size_t out_n;

static enum ceir_err out_flush(void)
{
	enum ceir_err err = fd_write_all(STDOUT_FILENO, out, out_n);

	out_n = 0;
	return err;
}

/* ---- triplets ---------------------------------------------------------------------------------------------------------- */

static void count(struct totals *totals, const struct population_triplet *t)
{
	totals->lines++;
	totals->kinds[t->kind]++;
	totals->changed += t->changed;
	if (t->kind == POPULATION_BAD) {
		totals->refused += population_bad_refused(t->bad);
		totals->malformed += !population_bad_refused(t->bad);
	}
}

static enum ceir_err write_triplets(const struct population *p, const struct options *o, struct totals *totals)
{
	enum ceir_err err = CEIR_OK;

	if (!o->binary)
		out_n = (size_t)snprintf(out, sizeof(out), "%s", triplet_header(&o->style));
	for (uint64_t position = 0; position < o->country.triplets && err == CEIR_OK; position++) {
		uint64_t i = population_index(p, position);
		struct population_triplet t;

		if (o->only != 0 && population_operator(p, i) != o->only)
			continue;
		population_get(p, i, &t);
		count(totals, &t);
		if (!o->binary) {
			out_n += triplet_line(&t, &o->style, out + out_n);
		} else {
			struct sighting s;

			if (triplet_sighting(&t, o->at_s, &s)) {
				memcpy(out + out_n, &s, sizeof(s));
				out_n += sizeof(s);
			}
		}
		if (out_n >= OUT_BYTES)
			err = out_flush();
	}
	return err == CEIR_OK ? out_flush() : err;
}

static enum ceir_err write_imeis(const struct population *p, const struct options *o)
{
	struct population_layout layout;
	enum ceir_err err = CEIR_OK;

	population_get_layout(p, &layout);
	/* Devices in the order of their positions are models one after the other. */
	for (uint64_t position = 0; position < layout.devices && err == CEIR_OK; position++) {
		uint64_t device = population_device_at(p, position);

		if (!population_is_registered(p, device, o->registered))
			continue;
		imei_print(population_device(p, device), out + out_n);
		out_n += IMEI_DIGITS;
		out[out_n++] = '\n';
		if (out_n >= OUT_BYTES)
			err = out_flush();
	}
	return err == CEIR_OK ? out_flush() : err;
}

/* ---- the truth --------------------------------------------------------------------------------------------------------- */

static enum ceir_err file_end(FILE *f)
{
	bool failed = ferror(f) != 0;

	return fclose(f) != 0 || failed ? CEIR_EIO : CEIR_OK;
}

static void planted_clones(FILE *f, const struct population *p, uint64_t clones)
{
	for (uint64_t c = 0; c < clones; c++) {
		unsigned imsis;
		struct imei imei = population_clone(p, c, &imsis);

		fprintf(f, "{\"kind\":\"clone\",\"imei\":\"%014llu\",\"imsis\":%u}\n", (unsigned long long)imei.n, imsis);
	}
}

static void planted_boxes(FILE *f, const struct population *p, uint64_t boxes)
{
	for (uint64_t b = 0; b < boxes; b++) {
		struct imei imeis[TRIPLET_BOX_IMEIS];
		struct msisdn first;
		uint8_t op;

		population_box(p, b, imeis, &op, &first);
		fprintf(f, "{\"kind\":\"simbox\",\"operator\":%u,\"imsis\":%u,\"first_msisdn\":\"%llu\",\"imeis\":[", op,
			TRIPLET_BOX_IMSIS, (unsigned long long)first.n);
		for (unsigned i = 0; i < TRIPLET_BOX_IMEIS; i++)
			fprintf(f, "%s\"%014llu\"", i == 0 ? "" : ",", (unsigned long long)imeis[i].n);
		fprintf(f, "]}\n");
	}
}

static enum ceir_err write_planted(const struct population *p, const struct options *o, const struct totals *t)
{
	struct population_layout layout;
	FILE *f = fopen(o->planted, "w");

	if (f == NULL)
		return ceir_err_of_errno(errno);
	population_get_layout(p, &layout);
	planted_clones(f, p, layout.clones);
	planted_boxes(f, p, layout.boxes);
	fprintf(f,
		"{\"kind\":\"totals\",\"triplets\":%llu,\"seed\":%llu,\"operator\":%u,\"lines\":%llu,\"refused\":%llu,\"distinct\":"
		"%llu,"
		"\"malformed\":%llu,\"plain\":%llu,\"second\":%llu,\"clone\":%llu,\"simbox\":%llu,\"foreign\":%llu,\"unallocated\":"
		"%llu,\"test\":%llu,"
		"\"changed\":%llu,\"clones\":%llu,\"simboxes\":%llu,\"devices\":%llu}\n",
		(unsigned long long)o->country.triplets, (unsigned long long)o->country.seed, o->only, (unsigned long long)t->lines,
		(unsigned long long)t->refused, (unsigned long long)(t->lines - t->refused), (unsigned long long)t->malformed,
		(unsigned long long)t->kinds[POPULATION_PLAIN], (unsigned long long)t->kinds[POPULATION_SECOND],
		(unsigned long long)t->kinds[POPULATION_CLONE], (unsigned long long)t->kinds[POPULATION_SIMBOX],
		(unsigned long long)t->kinds[POPULATION_FOREIGN], (unsigned long long)t->kinds[POPULATION_UNALLOCATED],
		(unsigned long long)t->kinds[POPULATION_TEST], (unsigned long long)t->changed, (unsigned long long)layout.clones,
		(unsigned long long)layout.boxes, (unsigned long long)layout.devices);
	return file_end(f);
}

static enum ceir_err write_tacs(const struct population *p, const char *path)
{
	static const char *const makers[] = {"Samsung", "Apple", "Xiaomi", "Motorola", "Nokia", "Realme", "Honor", "Tecno"};
	FILE *f = fopen(path, "w");

	if (f == NULL)
		return ceir_err_of_errno(errno);
	fprintf(f, "id,manufacturer,model\n");
	for (uint32_t t = 0; t < TRIPLET_TACS + TRIPLET_MODEM_TACS; t++) {
		char tac[TAC_DIGITS + 1];

		tac_print(population_tac(p, t), tac);
		if (t < TRIPLET_TACS)
			fprintf(f, "%s,%s,%.2s-%u\n", tac, makers[t % CEIR_COUNT(makers)], makers[t % CEIR_COUNT(makers)],
				1000 + t);
		else
			fprintf(f, "%s,Quectel,Modem EC%u\n", tac, 20 + t - TRIPLET_TACS);
	}
	return file_end(f);
}

/* ---- command line ------------------------------------------------------------------------------------------------------ */

static bool number(const char *text, uint64_t least, uint64_t most, uint64_t *value)
{
	return str_u64(str_of(text), most, value) == CEIR_OK && *value >= least;
}

static bool share(const char *text, double most, double *value)
{
	char *end;

	*value = strtod(text, &end);
	return end != text && *end == '\0' && *value >= 0 && *value <= most;
}

static bool day(const char *text, struct options *o)
{
	int32_t days;

	if (date_parse(str_of(text), &days) != CEIR_OK || days < 0 || days > 49000)
		return false;
	o->at_s = (uint32_t)days * 86400u;
	date_print(days, o->style.date);
	return true;
}

enum {
	OPT_TRIPLETS = 1,
	OPT_SEED,
	OPT_OPERATORS,
	OPT_CHANGE,
	OPT_NO_NOISE,
	OPT_OPERATOR,
	OPT_DAY,
	OPT_FORMS,
	OPT_FORMAT,
	OPT_PLANTED,
	OPT_TACS,
	OPT_IMEIS,
	OPT_REGISTERED,
	OPT_HELP
};

static const struct option long_options[] = {
	{"triplets", required_argument, NULL, OPT_TRIPLETS},
	{"seed", required_argument, NULL, OPT_SEED},
	{"operators", required_argument, NULL, OPT_OPERATORS},
	{"change", required_argument, NULL, OPT_CHANGE},
	{"no-noise", no_argument, NULL, OPT_NO_NOISE},
	{"operator", required_argument, NULL, OPT_OPERATOR},
	{"day", required_argument, NULL, OPT_DAY},
	{"forms", no_argument, NULL, OPT_FORMS},
	{"format", required_argument, NULL, OPT_FORMAT},
	{"planted", required_argument, NULL, OPT_PLANTED},
	{"tacs", required_argument, NULL, OPT_TACS},
	{"imeis", no_argument, NULL, OPT_IMEIS},
	{"registered", required_argument, NULL, OPT_REGISTERED},
	{"help", no_argument, NULL, OPT_HELP},
	{NULL, 0, NULL, 0},
};

static bool format(const char *text, struct options *o)
{
	o->binary = strcmp(text, "binary") == 0;
	return o->binary || strcmp(text, "csv") == 0;
}

static bool option_take(int option, const char *arg, struct options *o)
{
	uint64_t n = 0;
	bool good = true;

	switch (option) {
	case OPT_TRIPLETS:
		return number(arg, 1, 1000000000, &o->country.triplets);
	case OPT_SEED:
		return number(arg, 0, UINT64_MAX, &o->country.seed);
	case OPT_OPERATORS:
		good = number(arg, 1, TRIPLET_OPERATORS, &n);
		o->country.operators = (unsigned)n;
		return good;
	case OPT_OPERATOR:
		good = number(arg, 1, TRIPLET_OPERATORS, &n);
		o->only = (unsigned)n;
		return good;
	case OPT_CHANGE:
		return share(arg, 0.5, &o->country.change);
	case OPT_NO_NOISE:
		o->country.noise = false;
		return true;
	case OPT_DAY:
		return day(arg, o);
	case OPT_FORMS:
		o->style.forms = true;
		return true;
	case OPT_FORMAT:
		return format(arg, o);
	case OPT_PLANTED:
		o->planted = arg;
		return true;
	case OPT_TACS:
		o->tacs = arg;
		return true;
	case OPT_IMEIS:
		o->imeis = true;
		return true;
	case OPT_REGISTERED:
		return share(arg, 1, &o->registered);
	default:
		return false;
	}
}

static enum ceir_err run(const struct options *o)
{
	struct population *p = population_new(&o->country);
	struct totals totals = {0};
	enum ceir_err err = CEIR_OK;

	if (p == NULL)
		return CEIR_ENOMEM;
	if (o->tacs != NULL)
		err = write_tacs(p, o->tacs);
	if (err == CEIR_OK)
		err = o->imeis ? write_imeis(p, o) : write_triplets(p, o, &totals);
	if (err == CEIR_OK && o->planted != NULL)
		err = write_planted(p, o, &totals);
	population_free(p);
	return err;
}

int main(int argc, char **argv)
{
	struct options o = {.country = {.seed = 1, .operators = TRIPLET_OPERATORS, .noise = true}, .registered = 0.9};
	enum ceir_err err;
	int option;

	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		if (option == OPT_HELP) {
			fputs(usage, stdout);
			return 0;
		}
		if (!option_take(option, optarg, &o)) {
			fputs(usage, stderr);
			return 2;
		}
	}
	if (optind != argc || o.country.triplets == 0 || o.only > o.country.operators) {
		fputs(usage, stderr);
		return 2;
	}
	err = run(&o);
	if (err != CEIR_OK)
		fprintf(stderr, "gen-triplets: %s\n", ceir_err_text(err));
	return err == CEIR_OK ? 0 : 1;
}

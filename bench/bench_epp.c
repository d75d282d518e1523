/*
 * bench_epp.c - the load generator's command line.
 */
#include "bench.h"

#include <getopt.h>
#include <string.h>

static const char usage_text[] =
	"Usage: bench_epp MODE --dir DIR --port PORT [OPTION]...\n"
	"\n"
	"Modes\n"
	"  setup        enter accounts, papers and TACs into the fresh register of a running ceird\n"
	"  check        imei:check under load\n"
	"  listing      listing:create under load\n"
	"  application  import devices\n"
	"\n"
	"  --dir DIR           the server's data folder: its keys/ hold the certificates\n"
	"  --host HOST         127.0.0.1\n"
	"  --port PORT\n"
	"  --pid PID           of the server: its processor time and memory are measured\n"
	"  --seed N            of the random numbers (1)\n"
	"  --sessions N        1 to 999 (8)\n"
	"  --depth N           commands under way in each session (16)\n"
	"  --names N           names in one check (1)\n"
	"  --seconds N         measured, after one second of warming up (5)\n"
	"  --rate N            commands a second in all, by a timetable; 0: as fast as answers come (0)\n"
	"  --devices N         devices registered: 0 to N-1 (0)\n"
	"  --first N           listing: number of the first IMEI; application: its first device (0)\n"
	"  --rows N            IMEIs in one application (1000000)\n"
	"  --per-command N     of them in one command; must divide rows (10000)\n"
	"  --applications N    one after the other (1)\n"
	"  --tacs N            setup: TACs, each with 200000 devices (5)\n"
	"\n"
	"One JSON object a line on standard output. Exit status: 0 all answered as expected, 1 not, 2 wrong usage.\n";

/* Every option has a value: a text, or a number in its range. */
struct option_row {
	const char *name;
	const char **text;
	unsigned *small;
	uint64_t *large;
	uint64_t min, max;
};

static bool option_take(const struct option_row *row, const char *value)
{
	uint64_t n;

	if (row->text) {
		*row->text = value;
		return true;
	}
	if (str_u64(str_of(value), row->max, &n) != CEIR_OK || n < row->min) {
		fprintf(stderr, "bench_epp: --%s: expected a number from %llu to %llu, not \"%s\"\n", row->name,
			(unsigned long long)row->min, (unsigned long long)row->max, value);
		return false;
	}
	if (row->small)
		*row->small = (unsigned)n;
	else
		*row->large = n;
	return true;
}

#define ROWS 16
#define DEVICES_MAX 800000000u /* what TACs of the population's form have room for */

/* false: wrong, and said so. argv[optind] is then the mode. */
static bool options_parse(struct bench_options *o, int argc, char **argv, bool *help)
{
	uint64_t server = 0;
	const struct option_row rows[ROWS] = {
		{"dir", .text = &o->dir},
		{"host", .text = &o->host},
		{"port", .text = &o->port},
		{"pid", .large = &server, .min = 1, .max = INT32_MAX},
		{"seed", .large = &o->seed, .max = UINT64_MAX},
		{"sessions", .small = &o->sessions, .min = 1, .max = 999},
		{"depth", .small = &o->depth, .min = 1, .max = 100000},
		{"names", .small = &o->names, .min = 1, .max = 100000},
		{"seconds", .small = &o->seconds, .min = 1, .max = 86400},
		{"rate", .large = &o->rate, .max = 1000000},
		{"devices", .large = &o->devices, .max = DEVICES_MAX},
		{"first", .large = &o->first, .max = DEVICES_MAX},
		{"rows", .large = &o->rows, .min = 1, .max = 100000000},
		{"per-command", .small = &o->per_command, .min = 1, .max = 100000},
		{"applications", .small = &o->applications, .min = 1, .max = 100000},
		{"tacs", .small = &o->tacs, .min = 1, .max = 4000},
	};
	struct option options[ROWS + 2] = {{"help", no_argument, NULL, ROWS}};
	int code;

	for (int i = 0; i < ROWS; i++)
		options[i + 1] = (struct option){rows[i].name, required_argument, NULL, i};
	while ((code = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (code == ROWS)
			*help = true;
		else if (code >= ROWS || !option_take(&rows[code], optarg))
			return false;
	}
	o->server = (pid_t)server;
	return true;
}

static const struct {
	const char *name;
	enum ceir_err (*run)(const struct bench_options *o);
} modes[] = {{"setup", bench_setup}, {"check", bench_check}, {"listing", bench_listing}, {"application", bench_application}};

int main(int argc, char **argv)
{
	struct bench_options o = {.host = "127.0.0.1",
		.seed = 1,
		.sessions = 8,
		.depth = 16,
		.names = 1,
		.seconds = 5,
		.rows = 1000000,
		.per_command = 10000,
		.applications = 1,
		.tacs = 5};
	bool help = false;

	o.start_s = (uint64_t)clock_real_us() / 1000000;
	if (!options_parse(&o, argc, argv, &help))
		return 2;
	if (help) {
		fputs(usage_text, stdout);
		return 0;
	}
	if (optind + 1 != argc || !o.dir || !o.port || o.rows % o.per_command != 0) {
		fputs(usage_text, stderr);
		return 2;
	}
	for (size_t i = 0; i < CEIR_COUNT(modes); i++)
		if (strcmp(modes[i].name, argv[optind]) == 0)
			return modes[i].run(&o) == CEIR_OK ? 0 : 1;
	fprintf(stderr, "bench_epp: unknown mode \"%s\"\n", argv[optind]);
	return 2;
}

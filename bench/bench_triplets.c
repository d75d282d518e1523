/* bench_triplets.c - command line of the load generator for triplets. */
#include "bench_triplets.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

static const char usage_text[] =
	"Usage: bench_triplets MODE --dir DIR --triplets N [OPTION]...\n"
	"\n"
	"Modes without a server; --dir is the folder of a triplet store\n"
	"  engine-load    two whole deliveries into a new store: rate, bytes a triplet\n"
	"  engine-lookup  look-ups by IMEI, IMSI, MSISDN, of what is there and of what is not\n"
	"  engine-scan    the ordered scan, with 1 .. callers threads, and the scans of pairs\n"
	"  engine-sight   sightings in real time\n"
	"\n"
	"Modes with a running ceird; --dir is its data folder. The accounts bench-op1 .. of the operators OP1 .. and bench-lea "
	"must be there\n"
	"  deliver        full deliveries of all operators over HTTPS, until their lists are made\n"
	"  stream         sightings over HTTPS\n"
	"  planted        clones and SIM boxes that the conditions found, against those planted\n"
	"\n"
	"  --triplets N        lines of one delivery, as of gen-triplets\n"
	"  --operators N       1 to 4 (4)\n"
	"  --seed N            (1)\n"
	"  --change SHARE      of triplets that are new in the second delivery; 0: there is none (0.005)\n"
	"  --day YYYY-MM-DD    of the first delivery; the second comes a day later (a week ago)\n"
	"  --no-noise          as of gen-triplets\n"
	"  --memory-mib N      engine: memory of the store (512)\n"
	"  --threads N         engine: threads of the store (2)\n"
	"  --callers N         engine: threads that call it; deliver: connections that send at once (1)\n"
	"  --compact           engine-load: everything into one segment a tree at the end\n"
	"  --seconds N         each measurement lasts (5)\n"
	"  --batch N           sightings in one call or request (1000)\n"
	"  --known PERCENT     of sightings whose triplet is known (90)\n"
	"  --first N           number of the first new triplet of sightings (0)\n"
	"  --host HOST         (127.0.0.1)\n"
	"  --port PORT         of HTTPS\n"
	"  --epp-port PORT     planted: without it SIM boxes are not asked for\n"
	"  --pid PID           of the server: its processor time and memory are measured\n"
	"  --delivery N        deliver: the first or the second (1)\n"
	"  --connections N     stream (4)\n"
	"  --csv               stream: bodies are CSV; else JSON\n"
	"  --rate N            stream: sightings a second, by a timetable; 0: as fast as answers come (0)\n"
	"\n"
	"One JSON object a line on standard output. Exit status: 0 all as expected, 1 not, 2 wrong usage.\n";

/* An option: a text, a number in its range, a share, a day, or a switch. */
struct option_row {
	const char *name;
	const char **text;
	unsigned *small;
	uint64_t *large;
	double *share;
	int32_t *day;
	bool *set, value; /* of a switch */
	uint64_t min, max;
};

static bool option_take(const struct option_row *row, const char *value)
{
	char *end = NULL;
	uint64_t n;

	if (row->set)
		*row->set = row->value;
	else if (row->text)
		*row->text = value;
	if (row->set || row->text)
		return true;
	if (row->day && date_parse(str_of(value), row->day) == CEIR_OK && *row->day > 0 && *row->day < 49000)
		return true;
	if (row->share && (*row->share = strtod(value, &end), end != value && *end == '\0' && *row->share >= 0 && *row->share <= 1))
		return true;
	if (!row->day && !row->share && str_u64(str_of(value), row->max, &n) == CEIR_OK && n >= row->min) {
		if (row->small)
			*row->small = (unsigned)n;
		else
			*row->large = n;
		return true;
	}
	fprintf(stderr, "bench_triplets: --%s: \"%s\" is not in range\n", row->name, value);
	return false;
}

#define ROWS 24

/* false: wrong, and said so. argv[optind] is then the mode. */
static bool options_parse(struct bt_options *o, int argc, char **argv, bool *help)
{
	uint64_t memory_mib = o->memory_bytes >> 20, server = 0;
	const struct option_row rows[ROWS] = {
		{"dir", .text = &o->dir},
		{"triplets", .large = &o->triplets, .min = 1000, .max = 1000000000},
		{"operators", .small = &o->operators, .min = 1, .max = TRIPLET_OPERATORS},
		{"seed", .large = &o->seed, .max = UINT64_MAX},
		{"change", .share = &o->change},
		{"day", .day = &o->day},
		{"no-noise", .set = &o->noise, .value = false},
		{"memory-mib", .large = &memory_mib, .min = 64, .max = 1 << 20},
		{"threads", .small = &o->threads, .min = 1, .max = 16},
		{"callers", .small = &o->callers, .min = 1, .max = 16},
		{"compact", .set = &o->compact, .value = true},
		{"seconds", .small = &o->seconds, .min = 1, .max = 86400},
		{"batch", .small = &o->batch, .min = 1, .max = 1000000},
		{"known", .small = &o->known, .max = 100},
		{"first", .large = &o->first, .max = UINT64_C(1000000000)},
		{"host", .text = &o->host},
		{"port", .text = &o->port},
		{"epp-port", .text = &o->epp_port},
		{"pid", .large = &server, .min = 1, .max = INT32_MAX},
		{"delivery", .small = &o->delivery, .min = 1, .max = 2},
		{"connections", .small = &o->connections, .min = 1, .max = 64},
		{"csv", .set = &o->csv, .value = true},
		{"rate", .large = &o->rate, .max = 100000000},
	};
	struct option options[ROWS + 2] = {{"help", no_argument, NULL, ROWS}};
	int code;

	for (int i = 0; i < ROWS && rows[i].name; i++)
		options[i + 1] = (struct option){rows[i].name, rows[i].set ? no_argument : required_argument, NULL, i};
	while ((code = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (code == ROWS)
			*help = true;
		else if (code > ROWS || !option_take(&rows[code], optarg))
			return false;
	}
	o->memory_bytes = memory_mib << 20;
	o->server = (pid_t)server;
	return true;
}

static const struct {
	const char *name;
	bool server;
	enum ceir_err (*run)(const struct bt_options *o);
} modes[] = {{"engine-load", false, bt_engine_load}, {"engine-lookup", false, bt_engine_lookup},
	{"engine-scan", false, bt_engine_scan}, {"engine-sight", false, bt_engine_sight}, {"deliver", true, bt_deliver},
	{"stream", true, bt_stream}, {"planted", true, bt_planted}};

int main(int argc, char **argv)
{
	struct bt_options o = {.host = "127.0.0.1",
		.seed = 1,
		.operators = TRIPLET_OPERATORS,
		.noise = true,
		.change = 0.005,
		.day = date_of_us(clock_real_us()) - 7,
		.delivery = 1,
		.memory_bytes = UINT64_C(512) << 20,
		.threads = 2,
		.callers = 1,
		.seconds = 5,
		.batch = 1000,
		.known = 90,
		.connections = 4};
	bool help = false;

	if (!options_parse(&o, argc, argv, &help))
		return 2;
	if (help) {
		fputs(usage_text, stdout);
		return 0;
	}
	if (optind + 1 != argc || !o.dir || !o.triplets || o.change > 0.5) {
		fputs(usage_text, stderr);
		return 2;
	}
	log_setup(stderr, false, LOG_WARN_);
	for (size_t i = 0; i < CEIR_COUNT(modes); i++) {
		if (strcmp(modes[i].name, argv[optind]) != 0)
			continue;
		if (!modes[i].server || o.port)
			return modes[i].run(&o) == CEIR_OK ? 0 : 1;
		fprintf(stderr, "bench_triplets: %s needs --port\n", argv[optind]);
		return 2;
	}
	fprintf(stderr, "bench_triplets: unknown mode \"%s\"\n", argv[optind]);
	return 2;
}

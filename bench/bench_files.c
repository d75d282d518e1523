/* bench_files.c - tables by themselves, and files put into an account's folder: the command line. */
#include "bench_files.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#define SHEET_ROWS 1048575u /* of a workbook, below the names */

static const char usage_text[] =
	"Usage: bench_files MODE [OPTION]...\n"
	"\n"
	"  tables   tables of every form, written and read: a line for each. --dir, --rows, --helper\n"
	"  make     an application's file. --out, --rows, --first, --cells\n"
	"  drop     puts a file into the folder of an account and waits for its answer. --file, --name, --home, --rows, --pid\n"
	"\n"
	"  --dir DIR        a folder for scratch files\n"
	"  --rows N         (1000000); tables: at most 1048575\n"
	"  --helper PATH    ceir-table\n"
	"  --out FILE       .csv, .xml, .xlsx or .xls\n"
	"  --first K        number of the first device (0)\n"
	"  --cells KIND     of a workbook: shared, inline, numbers (shared)\n"
	"  --file FILE      what is put\n"
	"  --name NAME      its name in in/\n"
	"  --home DIR       DIR/files/ACCOUNT/ftp\n"
	"  --pid PID        of the server: its processor time and memory are measured\n"
	"\n"
	"One JSON object a line on standard output. Exit status: 0 all as expected, 1 not, 2 wrong usage.\n";

struct options {
	const char *dir, *helper, *out, *file, *name, *home;
	uint64_t rows, first, server;
	enum bf_cells cells;
};

static bool cells_parse(const char *name, enum bf_cells *cells)
{
	static const char *const names[] = {[BF_SHARED] = "shared", [BF_INLINE] = "inline", [BF_NUMBERS] = "numbers"};

	for (size_t i = 0; i < CEIR_COUNT(names); i++)
		if (strcmp(name, names[i]) == 0) {
			*cells = (enum bf_cells)i;
			return true;
		}
	return false;
}

static bool number(const char *text, uint64_t max, uint64_t *value)
{
	return str_u64(str_of(text), max, value) == CEIR_OK;
}

static bool options_parse(struct options *o, int argc, char **argv)
{
	static const struct option options[] = {{"dir", 1, NULL, 'd'}, {"rows", 1, NULL, 'r'}, {"helper", 1, NULL, 'h'}, {"out", 1, NULL, 'o'},
		{"first", 1, NULL, 'k'}, {"cells", 1, NULL, 'c'}, {"file", 1, NULL, 'f'}, {"name", 1, NULL, 'n'}, {"home", 1, NULL, 'H'},
		{"pid", 1, NULL, 'p'}, {0}};
	bool good = true;
	int code;

	while (good && (code = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (code) {
		case 'd': o->dir = optarg; break;
		case 'h': o->helper = optarg; break;
		case 'o': o->out = optarg; break;
		case 'f': o->file = optarg; break;
		case 'n': o->name = optarg; break;
		case 'H': o->home = optarg; break;
		case 'r': good = number(optarg, 100000000, &o->rows) && o->rows; break;
		case 'k': good = number(optarg, 100000000, &o->first); break;
		case 'p': good = number(optarg, INT32_MAX, &o->server); break;
		case 'c': good = cells_parse(optarg, &o->cells); break;
		default: good = false;
		}
	}
	return good && optind + 1 == argc;
}

int main(int argc, char **argv)
{
	struct options o = {.rows = 1000000};
	enum ceir_err err;

	if (argc > 1 && strcmp(argv[1], "--help") == 0) {
		fputs(usage_text, stdout);
		return 0;
	}
	if (!options_parse(&o, argc, argv)) {
		fputs(usage_text, stderr);
		return 2;
	}
	log_setup(stderr, false, LOG_WARN_);
	const char *mode = argv[optind];
	if (strcmp(mode, "tables") == 0 && o.dir && o.helper && o.rows <= SHEET_ROWS) {
		err = bf_tables(o.dir, o.helper, o.rows);
	} else if (strcmp(mode, "make") == 0 && o.out) {
		err = bf_make(o.out, o.cells, o.first, o.rows);
	} else if (strcmp(mode, "drop") == 0 && o.file && o.name && o.home) {
		const struct bf_drop d = {.file = o.file, .name = o.name, .home = o.home, .way = "folder", .rows = o.rows, .server = (pid_t)o.server,
			.put = bf_put_folder};

		err = bf_drop(&d);
	} else {
		fputs(usage_text, stderr);
		return 2;
	}
	if (err != CEIR_OK)
		fprintf(stderr, "bench_files: %s: %s\n", mode, ceir_err_text(err));
	return err == CEIR_OK ? 0 : 1;
}

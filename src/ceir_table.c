/*
 * ceir_table.c - ceir-table: reads the spreadsheet or archive that is its standard input, writes its rows as frames (exchange_table_frames.h) to its
 * standard output. Started by the reader of tables, never by people.
 *
 *   ceir-table PARENT MEMORY_MIB CPU_S UNPACKED_BYTES RATIO
 *
 * Whatever a file makes of libzip, libxml2 or FreeXL, it finds itself in a process that can do next to nothing: it has two files, cannot open, make or
 * find another one, cannot reach a network or another process, cannot start a program, has little memory and time, and dies with its parent. For that:
 * limits of the system, no new privileges, Landlock where the kernel has it, and a seccomp filter that ends the process at any call not named below.
 * What libraries load lazily is loaded before. FreeXL insists on opening by path: fopen() is this program's own and gives it the standard input.
 */
#include <fcntl.h>
#include <iconv.h>
#include <libxml/parser.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "exchange/exchange_table_sheet.h"

#define ARGUMENTS 6
#define FILES_MAX 16
#define HEAP_ALIGN ((uint64_t)1 << 20)

struct settings {
	uint64_t parent, memory_mib, cpu_s;
	struct table_sheet_limits sheet;
};

/* The one file there is, whatever the path; not declared as fopen, which a header may have bent to fopen64. */
FILE *ceir_table_fopen(const char *path, const char *mode) __asm__("fopen");
FILE *ceir_table_fopen(const char *path, const char *mode)
{
	int fd = dup(STDIN_FILENO);

	(void)path, (void)mode;
	return fd < 0 || lseek(fd, 0, SEEK_SET) != 0 ? NULL : fdopen(fd, "rb");
}

static bool settings_read(int argc, char **argv, struct settings *s)
{
	uint64_t ratio;

	if (argc != ARGUMENTS || str_u64(str_of(argv[1]), INT32_MAX, &s->parent) || str_u64(str_of(argv[2]), 1u << 20, &s->memory_mib) ||
		str_u64(str_of(argv[3]), INT32_MAX, &s->cpu_s) || str_u64(str_of(argv[4]), INT64_MAX, &s->sheet.unpacked_bytes) ||
		str_u64(str_of(argv[5]), UINT32_MAX, &ratio) || ratio == 0)
		return false;
	s->sheet.ratio = (unsigned)ratio;
	s->sheet.text_bytes = (size_t)(s->memory_mib * HEAP_ALIGN / 2);
	return true;
}

static bool limit(int resource, uint64_t soft, uint64_t hard)
{
	const struct rlimit l = {(rlim_t)soft, (rlim_t)hard};

	return setrlimit((__rlimit_resource_t)resource, &l) == 0;
}

/* Does not outlive the parent, nor its share of the machine. */
static bool bound(const struct settings *s)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || (uint64_t)getppid() != s->parent)
		return false;
	/* The sanitizers' own memory and calls would not pass. */
	return (CEIR_SANITIZED || limit(RLIMIT_AS, s->memory_mib * HEAP_ALIGN, s->memory_mib * HEAP_ALIGN)) && limit(RLIMIT_CPU, s->cpu_s, s->cpu_s + 1) &&
	       limit(RLIMIT_FSIZE, 0, 0) && limit(RLIMIT_CORE, 0, 0) && limit(RLIMIT_NOFILE, FILES_MAX, FILES_MAX);
}

/*
 * Character sets of XLS: UTF-16 of today's, code pages of old ones; never closed: they stay loaded. libzip makes local times of those in an archive, for
 * which the C library reads a file, unless it is told that there is none.
 */
static void load_lazy(void)
{
	static const char *const charsets[] = {"UTF-16LE", "CP1252", "CP1251", "CP1250", "CP866"};

	xmlInitParser();
	setenv("TZ", "", 1);
	tzset();
	for (size_t i = 0; i < CEIR_COUNT(charsets); i++)
		(void)iconv_open("UTF-8", charsets[i]);
}

/* A rule set without rules: nothing in the file system. An older kernel has none; the filter below keeps files away by itself. */
static void landlock(void)
{
	const struct landlock_ruleset_attr all = {.handled_access_fs = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_FILE |
		LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR |
		LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |
		LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM};
	long rules = syscall(SYS_landlock_create_ruleset, &all, sizeof(all), 0);

	if (rules < 0)
		return;
	(void)syscall(SYS_landlock_restrict_self, (int)rules, 0);
	close((int)rules);
}

/* Memory without a way to run it; files by the descriptors that are there. qsort(3) asks sysinfo how much memory there is. */
static bool filter_rules(scmp_filter_ctx f)
{
	static const int free_calls[] = {SCMP_SYS(read), SCMP_SYS(pread64), SCMP_SYS(lseek), SCMP_SYS(fstat), SCMP_SYS(close), SCMP_SYS(dup), SCMP_SYS(brk),
		SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(futex), SCMP_SYS(getrandom), SCMP_SYS(clock_gettime), SCMP_SYS(gettimeofday),
		SCMP_SYS(time), SCMP_SYS(sysinfo), SCMP_SYS(rt_sigreturn), SCMP_SYS(restart_syscall), SCMP_SYS(exit), SCMP_SYS(exit_group)};
	int e = 0;

	for (size_t i = 0; i < CEIR_COUNT(free_calls); i++)
		e |= seccomp_rule_add(f, SCMP_ACT_ALLOW, free_calls[i], 0);
	e |= seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(write), 1, SCMP_A0(SCMP_CMP_EQ, STDOUT_FILENO, 0));
	e |= seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(newfstatat), 1, SCMP_A3(SCMP_CMP_EQ, AT_EMPTY_PATH, 0)); /* fstat(3) */
	e |= seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1, SCMP_A1(SCMP_CMP_EQ, F_GETFL, 0));              /* fdopen(3) */
	e |= seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	e |= seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 2, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0),
		SCMP_A3(SCMP_CMP_MASKED_EQ, MAP_ANONYMOUS, MAP_ANONYMOUS));
	return e == 0;
}

static bool filter_load(void)
{
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_KILL_PROCESS);
	bool done = f != NULL && filter_rules(f) && seccomp_load(f) == 0;

	seccomp_release(f);
	return done;
}

static enum ceir_err frames_out(void *ctx, struct str frames)
{
	(void)ctx;
	return fd_write_all(STDOUT_FILENO, frames.p, frames.n);
}

int main(int argc, char **argv)
{
	struct settings s;

	if (!settings_read(argc, argv, &s)) {
		fputs("ceir-table is started by ceird to read spreadsheets; it does nothing else\n", stderr);
		return 2;
	}
	if (!bound(&s))
		return TABLE_EXIT_UNFIT;
	load_lazy();
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return TABLE_EXIT_UNFIT;
	landlock();
	if (!CEIR_SANITIZED && !filter_load())
		return TABLE_EXIT_UNFIT;
	_exit(table_sheet_run(STDIN_FILENO, &s.sheet, frames_out, NULL) == CEIR_OK ? 0 : 1); /* nothing of the libraries runs after it */
}

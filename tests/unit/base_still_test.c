/* Files that others put into a folder: when they lie still, and who has them open. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "test_folder.h"

#define SECOND 1000000LL

static const struct stat A = {.st_dev = 1, .st_ino = 10, .st_size = 100, .st_mtim = {.tv_sec = 5, .tv_nsec = 6}};

static void a_file_is_still_when_nothing_changes(void **state)
{
	struct still *s = still_new(10);
	struct stat st = A, other = A;

	(void)state;
	assert_non_null(s);
	assert_true(still_look(s, &st, 0, SECOND));
	assert_false(still_look(s, &st, 2 * SECOND, SECOND));
	assert_false(still_look(s, &st, 2 * SECOND, 3 * SECOND - 1));
	assert_true(still_look(s, &st, 2 * SECOND, 3 * SECOND));
	/* Another disk, another file. */
	other.st_dev = 2;
	assert_false(still_look(s, &other, 2 * SECOND, 3 * SECOND));
	/* Each of them counts. */
	st.st_size++;
	assert_false(still_look(s, &st, 2 * SECOND, 4 * SECOND));
	st.st_mtim.tv_sec++;
	assert_false(still_look(s, &st, 2 * SECOND, 5 * SECOND));
	st.st_mtim.tv_nsec++;
	assert_false(still_look(s, &st, 2 * SECOND, 6 * SECOND));
	assert_false(still_look(s, &st, 2 * SECOND, 7 * SECOND));
	assert_true(still_look(s, &st, 2 * SECOND, 8 * SECOND));
	assert_true(still_look(s, &other, 2 * SECOND, 8 * SECOND));
	still_free(s);
	still_free(NULL);
}

static void a_file_can_be_put_off(void **state)
{
	struct still *s = still_new(10);
	struct stat st = A, other = A;

	(void)state;
	other.st_ino++;
	assert_true(still_look(s, &st, 0, SECOND));
	still_put_off(s, &st, 30 * SECOND);
	still_put_off(s, &other, 30 * SECOND);
	assert_false(still_look(s, &st, 0, 30 * SECOND - 1));
	assert_true(still_look(s, &st, 0, 30 * SECOND));
	/* What was seen to change while it was read has its time from the next look on. */
	still_again(s, &st);
	still_again(s, &other);
	assert_false(still_look(s, &st, SECOND, 31 * SECOND));
	assert_true(still_look(s, &st, SECOND, 32 * SECOND));
	assert_true(still_look(s, &other, 0, 32 * SECOND));
	still_free(s);
}

static void what_is_gone_is_forgotten_and_makes_room(void **state)
{
	struct still *s = still_new(40);
	struct stat st = A;

	(void)state;
	for (unsigned i = 0; i < 40; i++) {
		st.st_ino = 100 + i;
		assert_true(still_look(s, &st, 0, SECOND));
	}
	st.st_ino = 200;
	assert_false(still_look(s, &st, 0, SECOND));
	still_end(s);
	/* Only the odd ones are there. */
	for (unsigned i = 1; i < 40; i += 2) {
		st.st_ino = 100 + i;
		assert_true(still_look(s, &st, SECOND, 2 * SECOND));
	}
	still_end(s);
	st.st_ino = 100;
	assert_false(still_look(s, &st, SECOND, 3 * SECOND));
	st.st_ino = 101;
	assert_true(still_look(s, &st, 2 * SECOND, 3 * SECOND));
	still_free(s);
}

static void names_say_that_somebody_is_writing(void **state)
{
	static const char *const yes[] = {".", ".x", "a.part", "A.PART", "a.csv.tmp", ".tmp", "a.Tmp"};
	static const char *const no[] = {"", "a", "part", "a.part.csv", "atmp", "tmp.", "a.par"};

	(void)state;
	for (size_t i = 0; i < CEIR_COUNT(yes); i++)
		assert_true(file_name_unfinished(yes[i]));
	for (size_t i = 0; i < CEIR_COUNT(no); i++)
		assert_false(file_name_unfinished(no[i]));
}

/* ---- writers ---- */

struct place {
	char path[256];
	int dir;
};

static int make_place(void **state)
{
	static struct place p;

	*state = &p;
	if (!test_folder(p.path, sizeof p.path, "ceir-still"))
		return -1;
	p.dir = open(p.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return p.dir < 0 ? -1 : 0;
}

static int remove_place(void **state)
{
	struct place *p = *state;

	(void)unlinkat(p->dir, "f", 0);
	(void)unlinkat(p->dir, "g", 0);
	(void)unlinkat(p->dir, "link", 0);
	close(p->dir);
	return rmdir(p->path);
}

static int open_file(const struct place *p, int flags)
{
	int fd = openat(p->dir, "f", flags | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	return fd;
}

/* Not every file system of a machine that builds this can tell. */
static bool can_tell(const struct place *p)
{
	int fd = open_file(p, O_RDONLY), failed = fcntl(fd, F_SETLEASE, F_RDLCK);

	close(fd);
	return !failed;
}

static void a_writer_is_seen_until_it_closes(void **state)
{
	const struct place *p = *state;
	int fd = open_file(p, O_WRONLY | O_CREAT), other;

	if (write(fd, "0123456789", 10) != 10)
		fail();
	close(fd);
	if (!can_tell(p))
		skip();
	assert_false(file_has_writer(p->dir, "f"));
	/* Readers do not count, under whatever name it is being written. */
	other = open_file(p, O_RDONLY);
	assert_false(file_has_writer(p->dir, "f"));
	fd = open_file(p, O_RDWR | O_APPEND);
	assert_true(file_has_writer(p->dir, "f"));
	assert_int_equal(renameat(p->dir, "f", p->dir, "g"), 0);
	assert_true(file_has_writer(p->dir, "g"));
	/* Who has it mapped goes on writing when it is closed. */
	char *map = mmap(NULL, 10, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(map, MAP_FAILED);
	close(fd);
	assert_true(file_has_writer(p->dir, "g"));
	assert_int_equal(munmap(map, 10), 0);
	assert_false(file_has_writer(p->dir, "g"));
	close(other);
	/* Nobody is held up by us. */
	fd = openat(p->dir, "g", O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	assert_true(fd >= 0);
	/* Never through a link; and what is not there has no writer. */
	assert_int_equal(symlinkat("g", p->dir, "link"), 0);
	assert_true(file_has_writer(p->dir, "g"));
	assert_false(file_has_writer(p->dir, "link"));
	assert_false(file_has_writer(p->dir, "nothing"));
	close(fd);
}

/* Somebody who was given a lease, as a file server takes one, is asked for it, and is not passed over. */
static void a_lease_of_somebody_else_is_a_writer(void **state)
{
	const struct place *p = *state;
	int fd = open_file(p, O_RDWR | O_CREAT);

	if (!can_tell(p)) {
		/* It can: this is the only descriptor. */
		if (fcntl(fd, F_SETSIG, SIGURG) || fcntl(fd, F_SETLEASE, F_WRLCK))
			skip();
		assert_true(file_has_writer(p->dir, "f"));
	}
	close(fd);
}

struct race {
	const struct place *p;
	_Atomic bool end;
};

static void *open_and_close(void *arg)
{
	struct race *r = arg;

	while (!r->end)
		close(open_file(r->p, O_WRONLY | O_CREAT));
	return NULL;
}

/* The kernel asks whoever has a lease to give it back with a signal, whose default is to end the process. */
static void who_opens_it_meanwhile_does_not_end_us(void **state)
{
	struct race r = {.p = *state};
	pthread_t t;
	unsigned without = 0;

	close(open_file(r.p, O_WRONLY | O_CREAT));
	assert_int_equal(thread_start("opener", open_and_close, &r, &t), CEIR_OK);
	for (unsigned i = 0; i < 20000; i++)
		without += !file_has_writer(r.p->dir, "f");
	r.end = true;
	pthread_join(t, NULL);
	assert_true(without > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_is_still_when_nothing_changes),
		cmocka_unit_test(a_file_can_be_put_off),
		cmocka_unit_test(what_is_gone_is_forgotten_and_makes_room),
		cmocka_unit_test(names_say_that_somebody_is_writing),
		cmocka_unit_test_setup_teardown(a_writer_is_seen_until_it_closes, make_place, remove_place),
		cmocka_unit_test_setup_teardown(a_lease_of_somebody_else_is_a_writer, make_place, remove_place),
		cmocka_unit_test_setup_teardown(who_opens_it_meanwhile_does_not_end_us, make_place, remove_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

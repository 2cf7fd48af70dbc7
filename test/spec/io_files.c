/*
 * Files by name, and the bound on what they cost: <weft/file.h>.
 */
#define _GNU_SOURCE
#include <weft.h>

#include "child.h"
#include "test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MS INT64_C(1000000)
#define SEC INT64_C(1000000000)
#define FOREVER WEFT_FOREVER

/* A directory of its own on a disk (/tmp may be memory), gone when the test has gone well. */
static char dir[64];

static const char *
in_dir(const char *name)
{
	static char path[8][128];
	static int next;
	char *p = path[next++ % 8];

	if (dir[0] == '\0') {
		strcpy(dir, "/var/tmp/weft-files-XXXXXX");
		EXPECT(mkdtemp(dir) != NULL);
	}
	snprintf(p, sizeof(path[0]), "%s/%s", dir, name);
	return p;
}

/* The whole life of a file and of a directory. */
TEST(files_live_and_die)
{
	const char *a = in_dir("a"), *b = in_dir("b"), *d = in_dir("d");
	struct dirent **names;
	struct stat st;
	char buf[8];
	int fd, n;

	fd = weft_open(a, O_RDWR | O_CREAT | O_EXCL, 0600, FOREVER);
	EXPECT(fd >= 0);
	EXPECT(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	EXPECT_EQ(weft_write(fd, "hello", 5, FOREVER), 5);
	EXPECT_EQ(weft_fsync(fd, FOREVER), 0);
	EXPECT_EQ(weft_fdatasync(fd, FOREVER), 0);
	EXPECT_EQ(weft_fstat(fd, &st, FOREVER), 0);
	EXPECT_EQ(st.st_size, 5);
	EXPECT_EQ(weft_pread(fd, buf, sizeof(buf), 1, FOREVER), 4);
	EXPECT_EQ(memcmp(buf, "ello", 4), 0);
	EXPECT_EQ(weft_read(fd, buf, sizeof(buf), FOREVER), 0);
	EXPECT_EQ(weft_ftruncate(fd, 2, FOREVER), 0);
	EXPECT_EQ(weft_close(fd), 0);
	EXPECT_EQ(weft_rename(a, b, FOREVER), 0);
	EXPECT_EQ(weft_stat(b, &st, FOREVER), 0);
	EXPECT_EQ(st.st_size, 2);
	EXPECT_EQ(symlink(b, a), 0);
	EXPECT_EQ(weft_lstat(a, &st, FOREVER), 0);
	EXPECT(S_ISLNK(st.st_mode));
	EXPECT_EQ(weft_mkdir(d, 0700, FOREVER), 0);
	n = weft_scandir(dir, &names, FOREVER);
	EXPECT_EQ(n, 5);
	for (int i = 0; i < n; i++) {
		static const char *const expected[] = {".", "..", "a", "b", "d"};

		EXPECT_STR(names[i]->d_name, expected[i]);
		free(names[i]);
	}
	free(names);
	EXPECT_EQ(weft_rmdir(d, FOREVER), 0);
	EXPECT_EQ(weft_unlink(a, FOREVER), 0);
	EXPECT_EQ(weft_unlink(b, FOREVER), 0);
	EXPECT_EQ(weft_rmdir(dir, FOREVER), 0);
}

/* What the system refuses is passed on as it is. */
TEST(errors_are_the_systems)
{
	const char *no = in_dir("no/such");
	static char buf[4096];
	struct dirent **names;
	struct stat st;
	int fd;

	EXPECT_EQ(weft_open(no, O_RDONLY, 0, FOREVER), -ENOENT);
	EXPECT_EQ(weft_stat(no, &st, FOREVER), -ENOENT);
	EXPECT_EQ(weft_lstat(no, &st, FOREVER), -ENOENT);
	EXPECT_EQ(weft_rename(no, dir, FOREVER), -ENOENT);
	EXPECT_EQ(weft_unlink(dir, FOREVER), -EISDIR);
	EXPECT_EQ(weft_mkdir(dir, 0700, FOREVER), -EEXIST);
	EXPECT_EQ(weft_rmdir("/proc/self", FOREVER), -ENOTDIR);
	EXPECT_EQ(weft_scandir(no, &names, FOREVER), -ENOENT);
	EXPECT_EQ(weft_fsync(-1, FOREVER), -EBADF);
	EXPECT_EQ(weft_fsync(100000, FOREVER), -EBADF);
	EXPECT_EQ(weft_fstat(100000, &st, FOREVER), -EBADF);
	fd = weft_open(dir, O_RDONLY | O_DIRECTORY, 0, FOREVER);
	EXPECT(fd >= 0);
	EXPECT_EQ(weft_read(fd, buf, sizeof(buf), FOREVER), -EISDIR);
	EXPECT_EQ(weft_fsync(fd, FOREVER), 0);
	EXPECT_EQ(weft_close(fd), 0);
	fd = weft_open(in_dir("f"), O_RDWR | O_CREAT, 0600, FOREVER);
	EXPECT_EQ(weft_pread(fd, buf, 1, -1, FOREVER), -EINVAL);
	EXPECT_EQ(weft_pwrite(fd, buf, 1, -1, FOREVER), -EINVAL);
	EXPECT_EQ(weft_close(fd), 0);
	fd = weft_open(in_dir("f"), O_RDWR | O_DIRECT, 0, FOREVER);
	if (fd >= 0) {	/* not every file system has it */
		EXPECT_EQ(weft_pwrite(fd, buf + 1, 1, 0, FOREVER), -EINVAL);
		EXPECT_EQ(weft_close(fd), 0);
	}
	EXPECT_EQ(weft_unlink(in_dir("f"), FOREVER), 0);
	EXPECT_EQ(weft_rmdir(dir, FOREVER), 0);
}

/*
 * A file that is in memory in parts only is read whole: a short count would be taken for its end.
 * With WEFT_NOW there may be less, but not something else.
 */
TEST(a_file_half_in_memory_is_read_whole)
{
	enum { BYTES = 4 << 20, HOLE = 1 << 16 };
	static unsigned char out[BYTES], in[BYTES];
	struct iovec v[3] = {{in, 5}, {in + 5, BYTES - 10}, {in + BYTES - 5, 5}};
	uint64_t rand = test_seed();
	ssize_t r;
	int fd;

	for (size_t i = 0; i < BYTES; i++)
		out[i] = (unsigned char)test_rand(&rand);
	fd = weft_open(in_dir("f"), O_RDWR | O_CREAT, 0600, FOREVER);
	EXPECT_EQ(weft_pwrite(fd, out, BYTES, 0, FOREVER), BYTES);
	EXPECT_EQ(weft_fsync(fd, FOREVER), 0);
	for (int round = 0; round < 8; round++) {
		memset(in, 0, BYTES);
		for (off_t at = 0; at < BYTES; at += 2 * HOLE)
			EXPECT_EQ(posix_fadvise(fd, at, HOLE, POSIX_FADV_DONTNEED), 0);
		if (round % 2 == 0) {
			r = weft_pread(fd, in, BYTES, 0, WEFT_NOW);
			EXPECT(r == -ETIMEDOUT || (r > 0 && memcmp(in, out, (size_t)r) == 0));
			EXPECT_EQ(weft_pread(fd, in, BYTES, 0, FOREVER), BYTES);
		} else {
			EXPECT_EQ(lseek(fd, 0, SEEK_SET), 0);
			EXPECT_EQ(weft_readv(fd, v, 3, FOREVER), BYTES);
		}
		EXPECT_EQ(memcmp(in, out, BYTES), 0);
	}
	EXPECT_EQ(weft_pread(fd, in, BYTES, BYTES - 3, FOREVER), 3);
	EXPECT_EQ(weft_close(fd), 0);
	EXPECT_EQ(weft_unlink(in_dir("f"), FOREVER), 0);
	EXPECT_EQ(weft_rmdir(dir, FOREVER), 0);
}

static int
threads(void)
{
	char line[128];
	FILE *f = fopen("/proc/self/status", "r");
	int n = -1;

	EXPECT(f != NULL);
	while (n < 0 && fgets(line, sizeof(line), f) != NULL)
		(void)sscanf(line, "Threads: %d", &n);
	fclose(f);
	return n;
}

static int
identity(void *arg)
{
	return *(int *)arg;
}

static const char *fifo;
static _Atomic int nopened;
static weft_waitgroup opened;

static void
open_fifo(void *arg)
{
	int fd = weft_open(fifo, O_RDONLY, 0, FOREVER);

	(void)arg;
	EXPECT(fd >= 0);
	nopened++;
	EXPECT_EQ(weft_close(fd), 0);
}

static int
be_cancelled(void *arg)
{
	(void)arg;
	return weft_unlink("/no/such", FOREVER);
}

/*
 * 20,000 goroutines in a call that blocks: open(2) of a FIFO that nobody writes to. They must cost
 * 4 threads, not 20,000; sockets, timers and what the page cache holds are served meanwhile; those
 * in line leave it by deadline and by cancellation.
 */
static void
blocked_by_the_thousand(void *unused)
{
	int n = 20000 / test_scale(), one = 1, fd, file;
	int64_t start;
	weft_scope *s;
	char c;

	(void)unused;
	fifo = in_dir("fifo");
	EXPECT_EQ(mkfifo(fifo, 0600), 0);
	file = weft_open("/proc/self/exe", O_RDONLY, 0, FOREVER);
	EXPECT_EQ(weft_pread(file, &c, 1, 0, FOREVER), 1);
	for (int i = 0; i < n; i++)
		EXPECT_EQ(weft_waitgroup_go(&opened, open_fifo, NULL), 0);
	EXPECT_EQ(weft_sleep(300 * MS), 0);
	EXPECT_EQ(nopened, 0);
	EXPECT(threads() < 30);

	EXPECT_EQ(weft_pread(file, &c, 1, 0, FOREVER), 1);
	start = weft_now();
	EXPECT_EQ(weft_blocking(identity, &one, weft_in(20 * MS)), -ETIMEDOUT);
	EXPECT(weft_now() - start >= 20 * MS);
	EXPECT_EQ(weft_blocking(identity, &one, WEFT_NOW), -ETIMEDOUT);
	s = weft_scope_new(NULL, FOREVER);
	EXPECT_EQ(weft_scope_go(s, be_cancelled, NULL), 0);
	EXPECT_EQ(weft_sleep(5 * MS), 0);
	weft_scope_cancel(s, -EINTR);
	EXPECT_EQ(weft_scope_wait(s, weft_in(10 * SEC)), -ECANCELED);
	weft_scope_free(s);

	/* By a plain call: there is no slot to be had. Then all of them go, in their order. */
	fd = open(fifo, O_RDWR);
	EXPECT(fd >= 0);
	EXPECT_EQ(weft_waitgroup_wait(&opened, weft_in(50 * SEC)), 0);
	EXPECT_EQ(nopened, n);
	EXPECT(threads() < 30);
	EXPECT_EQ(weft_blocking(identity, &one, WEFT_NOW), 1);
	EXPECT_EQ(unlink(fifo), 0);
	EXPECT_EQ(rmdir(dir), 0);
}

TEST(thousands_of_blocked_calls_cost_a_few_threads)
{
	static const char *const env[] = {"WEFT_FILE_THREADS=4", NULL};
	struct child_options o = {.env = env, .limit_ms = 55000 * test_scale()};
	struct child_result r = child_run_with(&o, blocked_by_the_thousand, NULL);

	EXPECT_STR(r.err, "");
	EXPECT_EQ(r.status, 0);
	child_result_free(&r);
}

static void
sync_then_deadlock(void *unused)
{
	int fd = weft_open(in_dir("f"), O_RDWR | O_CREAT, 0600, FOREVER);

	(void)unused;
	EXPECT_EQ(weft_pwrite(fd, "x", 1, 0, FOREVER), 1);
	EXPECT_EQ(weft_fsync(fd, FOREVER), 0);
	EXPECT_EQ(unlink(in_dir("f")), 0);
	EXPECT_EQ(rmdir(dir), 0);
	weft_chan_recv(NULL, NULL, FOREVER);
}

/* The kernel's workers, which linger after a request, do not hide a deadlock. */
TEST(a_deadlock_after_a_sync_is_reported)
{
	struct child_result r = child_run(sync_then_deadlock, NULL);

	EXPECT_EQ(r.status, 2);
	EXPECT_CONTAINS(r.err, "all goroutines are asleep - deadlock!");
	child_result_free(&r);
}

static void
name_nonsense(void *unused)
{
	(void)unused;
	(void)weft_numgoroutine();
}

/* Misspelt settings are named, not ignored in silence. */
TEST(settings_that_mean_nothing_are_named)
{
	static const char *const env[] = {"WEFT_POLLER=iouring", "WEFT_FILE_THREADS=lots", NULL};
	struct child_options o = {.env = env};
	struct child_result r = child_run_with(&o, name_nonsense, NULL);

	EXPECT_EQ(r.status, 0);
	EXPECT_CONTAINS(r.err, "WEFT_POLLER: can't make sense of \"iouring\"");
	EXPECT_CONTAINS(r.err, "WEFT_FILE_THREADS: can't make sense of \"lots\"");
	child_result_free(&r);
}

static void
sync_twice(void *unused)
{
	(void)unused;
	for (int i = 0; i < 2; i++) {
		int fd = weft_open(".", O_RDONLY | O_DIRECTORY, 0, FOREVER);

		EXPECT(weft_fsync(fd, FOREVER) <= 0);	/* not every file system can */
		EXPECT_EQ(weft_close(fd), 0);
	}
}

/* Catalogue 89. Which poller it is, or why not, is said once; without being asked, not at all. */
TEST(the_choice_of_the_poller_is_said_once)
{
	static const char *const silent[] = {"WEFT_DEBUG", NULL};
	static const char *const aloud[] = {"WEFT_DEBUG=poller=1", NULL};
	struct child_options o = {.env = aloud};
	struct child_result r = child_run_with(&o, sync_twice, NULL);
	const char *said = strstr(r.err, "weft: poller: ");

	EXPECT_EQ(r.status, 0);
	EXPECT(said != NULL);
	EXPECT(strstr(said, "io_uring for ") != NULL || strstr(said, "no io_uring: ") != NULL);
	EXPECT(strstr(said + 1, "weft: poller: ") == NULL);
	child_result_free(&r);
	o.env = silent;
	r = child_run_with(&o, sync_twice, NULL);
	EXPECT_STR(r.err, "");
	child_result_free(&r);
}

static int
panic_in_call(void *unused)
{
	(void)unused;
	weft_panic("in the call");
}

static int
exit_in_call(void *unused)
{
	(void)unused;
	weft_goexit();
}

static void
call_and_panic(void *unused)
{
	(void)weft_blocking(panic_in_call, unused, FOREVER);
}

static void
call_and_exit(void *unused)
{
	(void)weft_blocking(exit_in_call, unused, FOREVER);
}

static void
cut_calls_short(void *unused)
{
	static weft_waitgroup gone;
	int one = 1;
	char why[64];

	(void)unused;
	for (int i = 0; i < 3; i++) {
		EXPECT_EQ(weft_try(call_and_panic, NULL, why, sizeof(why)), 1);
		EXPECT_STR(why, "in the call");
		EXPECT_EQ(weft_waitgroup_go(&gone, call_and_exit, NULL), 0);
		EXPECT_EQ(weft_waitgroup_wait(&gone, weft_in(10 * SEC)), 0);
	}
	EXPECT_EQ(weft_blocking(identity, &one, WEFT_NOW), 1);
}

/* A call that does not return gives its slot back all the same. */
TEST(a_blocking_call_that_panics_or_exits_keeps_no_slot)
{
	static const char *const env[] = {"WEFT_FILE_THREADS=2", NULL};
	struct child_options o = {.env = env};
	struct child_result r = child_run_with(&o, cut_calls_short, NULL);

	EXPECT_STR(r.err, "");
	EXPECT_EQ(r.status, 0);
	child_result_free(&r);
}

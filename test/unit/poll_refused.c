/*
 * io_uring that is not to be had, or not any more. Catalogue 89: by a filter for system calls, as
 * containers and programs that lock themselves in have it, at the start or later.
 */
#define _GNU_SOURCE
#include <weft.h>

#include "child.h"
#include "refuse.h"
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SEC INT64_C(1000000000)
#define SETUP 425
#define ENTER 426
#define REGISTER 427

static int64_t
soon(void)
{
	return weft_in(60 * SEC);
}

/* A file that is really written, and a pipe that is really waited for. */
struct late {
	int fd;
	ssize_t r;
};

static void
read_one(void *arg)
{
	struct late *l = arg;
	char c;

	l->r = weft_read(l->fd, &c, 1, soon());
}

static void
use_files_and_pipes(void)
{
	char path[] = "/tmp/weft_refused_XXXXXX", back[4] = "";
	weft_waitgroup wg = {0};
	struct late l = {.r = -1};
	int fd = mkstemp(path), ends[2];

	EXPECT(fd >= 0);
	EXPECT_EQ(unlink(path), 0);
	EXPECT_EQ(weft_pwrite(fd, "abc", 3, 0, soon()), 3);
	EXPECT_EQ(weft_fsync(fd, soon()), 0);
	EXPECT_EQ(weft_pread(fd, back, 3, 0, soon()), 3);
	EXPECT_STR(back, "abc");
	EXPECT_EQ(weft_close(fd), 0);
	EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
	l.fd = ends[0];
	EXPECT_EQ(weft_waitgroup_go(&wg, read_one, &l), 0);
	for (int i = 0; i < 10; i++)
		weft_yield();
	EXPECT_EQ(weft_write(ends[1], "x", 1, soon()), 1);
	EXPECT_EQ(weft_waitgroup_wait(&wg, soon()), 0);
	EXPECT_EQ(l.r, 1);
	EXPECT_EQ(weft_close(ends[0]), 0);
	EXPECT_EQ(weft_close(ends[1]), 0);
}

static const struct {
	unsigned call;
	int error;
	const char *said;
} reasons[] = {
    {SETUP, EPERM, "no io_uring: Operation not permitted\n"},	/* Docker; io_uring_disabled=2 */
    {SETUP, ENOSYS, "no io_uring: Function not implemented\n"},	/* gVisor; Linux before 5.1 */
    {SETUP, EACCES, "no io_uring: Permission denied\n"},
    {ENTER, EPERM, "no io_uring: Operation not permitted\n"},	/* made, and not to be used */
    {REGISTER, EINVAL, "no io_uring: Operation not supported\n"},	/* what can it do? */
};

static void
refused_at_the_start(void *reason)
{
	uintptr_t i = (uintptr_t)reason;

	refuse(reasons[i].call, reasons[i].error, false);
	use_files_and_pipes();
	use_files_and_pipes();
}

static void
expect_said_once(const char *poller, uintptr_t reason)
{
	const char *const env[] = {"WEFT_DEBUG=poller=1", poller, NULL};
	const struct child_options o = {.env = env};
	struct child_result r =
	    child_run_with(&o, refused_at_the_start, (void *)reason);
	const char *said = strstr(r.err, "weft: poller: ");

	if (r.status != 0)
		FAIL("%s, reason %d: status %d: %s", poller, (int)reason, r.status, r.err);
	EXPECT(said != NULL);
	EXPECT_CONTAINS(said, reasons[reason].said);
	EXPECT(strstr(said + 1, "weft: poller: ") == NULL);
	child_result_free(&r);
}

TEST(every_refusal_at_the_start_falls_back_and_is_said_once)
{
	need_filters();
	for (uintptr_t i = 0; i < sizeof(reasons) / sizeof(*reasons); i++) {
		expect_said_once("WEFT_POLLER", i);
		expect_said_once("WEFT_POLLER=uring", i);
	}
}

static void
not_to_be_had_for_now(void *unused)
{
	(void)unused;
	refuse(SETUP, EMFILE, false);
	use_files_and_pipes();
	use_files_and_pipes();
}

/* What is only missing now is asked for again, and is no verdict: nothing is said. */
TEST(a_ring_that_is_only_missing_now_is_asked_for_again)
{
	static const char *const env[] = {"WEFT_DEBUG=poller=1", "WEFT_POLLER", NULL};
	const struct child_options o = {.env = env};
	struct child_result r;

	need_filters();
	r = child_run_with(&o, not_to_be_had_for_now, NULL);
	EXPECT_EQ(r.status, 0);
	EXPECT_STR(r.err, "");
	child_result_free(&r);
}

static void
refused_later(void *unused)
{
	int ends[2];
	char c;

	(void)unused;
	use_files_and_pipes();
	refuse(ENTER, EPERM, true);
	use_files_and_pipes();
	/* And what surely waits, in vain, unless the time is over before it has begun. */
	EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
	for (int i = 0; i < 50; i++)
		EXPECT_EQ(weft_read(ends[0], &c, 1, weft_in(SEC / 100)), -ETIMEDOUT);
}

/*
 * A program that locks itself in when it has started: files go on without the ring. With
 * WEFT_POLLER=uring nothing could wait any more: it says so and ends, and neither hangs nor spins.
 */
TEST(a_ring_refused_later_is_done_without)
{
	static const char *const files[] = {"WEFT_DEBUG", "WEFT_POLLER", NULL};
	static const char *const all[] = {"WEFT_DEBUG=poller=1", "WEFT_POLLER=uring", NULL};
	struct child_options o = {.env = files};
	struct child_result r;

	need_filters();
	r = child_run_with(&o, refused_later, NULL);
	EXPECT_STR(r.err, "");
	EXPECT_EQ(r.status, 0);
	child_result_free(&r);
	o.env = all;
	r = child_run_with(&o, refused_later, NULL);
	if (strstr(r.err, "io_uring for sockets") != NULL) {
		EXPECT_CONTAINS(r.err, "is refused now (Operation not permitted)");
		EXPECT_EQ(r.status, 2);
	} else {
		EXPECT_EQ(r.status, 0);	/* it has not been there at all */
	}
	child_result_free(&r);
}

/* Only submits, in this thread only: it can take completions, and wait. */
static void *
read_while_busy(void *arg)
{
	struct sock_filter code[] = {
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ENTER, 0, 3),
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EBUSY),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = {.len = sizeof(code) / sizeof(*code), .filter = code};
	int dir = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	EXPECT_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	EXPECT_EQ(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog), 0);
	EXPECT_EQ(weft_fsync(dir, soon()), 0);
	EXPECT_EQ(close(dir), 0);
	read_one(arg);
	return NULL;
}

static void
be_busy(void *unused)
{
	struct late l = {.r = -1};
	pthread_t t;
	int ends[2];

	(void)unused;
	use_files_and_pipes();
	EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
	l.fd = ends[0];
	EXPECT_EQ(pthread_create(&t, NULL, read_while_busy, &l), 0);
	EXPECT_EQ(weft_sleep(SEC / 50), 0);	/* it may have tried by then */
	EXPECT_EQ(weft_write(ends[1], "x", 1, soon()), 1);
	EXPECT_EQ(pthread_join(t, NULL), 0);
	EXPECT_EQ(l.r, 1);
}

/* Linux before 5.19 takes no request while completions do not fit (EBUSY). The user must never
 * see that: the wait asks again a little later, the file goes without the ring. */
TEST(a_kernel_that_is_busy_is_asked_again)
{
	static const char *const env[] = {"WEFT_POLLER=uring", NULL};
	const struct child_options o = {.env = env};
	struct child_result r;

	need_filters();
	r = child_run_with(&o, be_busy, NULL);
	EXPECT_STR(r.err, "");
	EXPECT_EQ(r.status, 0);
	child_result_free(&r);
}

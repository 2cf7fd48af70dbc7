/*
 * The ring: src/poll/README.md, "The ring", U1-U7. Requests that wait as long as a test likes are
 * reads of empty pipes. Each program run makes its ring anew, so a test may choose its size.
 */
#include "poll/ring.h"

#include <weft.h>

#include "child.h"
#include "hold.h"
#include "poll/backend.h"
#include "sched/self.h"
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define MS INT64_C(1000000)
#define SEC INT64_C(1000000000)

static void
need_ring(void)
{
	bool has;

	(void)weft_numgoroutine();
	(void)wf_enter();
	has = wf_poll_has_ring();
	wf_leave();
	if (!has)
		SKIP("no io_uring here");
}

static int32_t
ring_read(int fd, char *c, int64_t deadline)
{
	struct iovec v = {c, 1};
	struct io_uring_sqe sqe = {.opcode = IORING_OP_READV,
	    .fd = fd,
	    .addr = (uintptr_t)&v,
	    .len = 1,
	    .off = UINT64_MAX};
	int32_t res = 0;
	int r;

	(void)wf_enter();
	r = wf_ring_run(&sqe, deadline, &res);
	wf_leave();
	return r < 0 ? r : res;
}

static int32_t
ring_nop(void)
{
	struct io_uring_sqe sqe = {.opcode = IORING_OP_NOP, .fd = -1};
	int32_t res = -1;
	int r;

	(void)wf_enter();
	r = wf_ring_run(&sqe, WEFT_FOREVER, &res);
	wf_leave();
	return r < 0 ? r : res;
}

struct reader {
	int fd;
	char c;
	int32_t r;
	int64_t deadline;
};

static void
read_it(void *arg)
{
	struct reader *rd = arg;

	rd->r = ring_read(rd->fd, &rd->c, rd->deadline);
}

static void
many_nops(void *arg)
{
	for (int i = 0; i < 10; i++)
		EXPECT_EQ(ring_nop(), 0);
	(void)arg;
}

/*
 * Catalogue 80, 81. Rings far too small: one entry for requests, four for completions. What does
 * not fit must wait, not be lost: 1,000 goroutines with 10,000 requests all get their answers.
 */
TEST(tiny_rings_lose_nothing)
{
	weft_waitgroup wg = {0};

	wf_ring_sq_entries = 1;
	wf_ring_cq_entries = 4;
	need_ring();
	for (int i = 0; i < 1000; i++)
		EXPECT_EQ(weft_waitgroup_go(&wg, many_nops, NULL), 0);
	EXPECT_EQ(weft_waitgroup_wait(&wg, weft_in(50 * SEC)), 0);
}

/* The same with requests that all wait, and all end in one moment. */
TEST(a_burst_of_completions_beyond_the_ring_arrives)
{
	enum { N = 200 };
	static struct reader rd[N];
	static int fd[N][2];
	weft_waitgroup wg = {0};

	wf_ring_sq_entries = 1;
	wf_ring_cq_entries = 4;
	need_ring();
	for (int i = 0; i < N; i++) {
		EXPECT_EQ(pipe(fd[i]), 0);
		rd[i] = (struct reader){.fd = fd[i][0], .deadline = WEFT_FOREVER};
		EXPECT_EQ(weft_waitgroup_go(&wg, read_it, &rd[i]), 0);
	}
	EXPECT_EQ(weft_sleep(20 * MS), 0);
	for (int i = 0; i < N; i++)
		EXPECT_EQ(write(fd[i][1], "x", 1), 1);
	EXPECT_EQ(weft_waitgroup_wait(&wg, weft_in(50 * SEC)), 0);
	for (int i = 0; i < N; i++)
		EXPECT_EQ(rd[i].r, 1);
}

/*
 * Catalogue 82. The deadline and the byte come at the same time. Either the byte has been read and
 * is reported, or it is still in the pipe: never lost, never both. Catalogue 77: nothing is
 * written to the buffer after the call has returned.
 */
TEST(a_deadline_and_a_completion_never_both_happen)
{
	uint64_t rand = test_seed();
	int rounds = 2000 / test_scale(), late = 0;
	int fd[2];

	need_ring();
	EXPECT_EQ(pipe(fd), 0);
	for (int i = 0; i < rounds; i++) {
		struct reader rd = {.fd = fd[0], .c = '?'};
		weft_waitgroup wg = {0};
		char left;

		rd.deadline = weft_in((int64_t)(test_rand(&rand) % 200000));
		EXPECT_EQ(weft_waitgroup_go(&wg, read_it, &rd), 0);
		EXPECT_EQ(weft_sleep((int64_t)(test_rand(&rand) % 200000)), 0);
		EXPECT_EQ(write(fd[1], "x", 1), 1);
		EXPECT_EQ(weft_waitgroup_wait(&wg, WEFT_FOREVER), 0);
		EXPECT(rd.r == 1 || rd.r == -ETIMEDOUT);
		EXPECT_EQ(rd.c, rd.r == 1 ? 'x' : '?');
		if (rd.r == 1)
			continue;
		late++;
		EXPECT_EQ(read(fd[0], &left, 1), 1);
		EXPECT_EQ(rd.c, '?');
	}
	EXPECT(late > 0);
}

static int
read_in_scope(void *arg)
{
	read_it(arg);
	return 0;
}

/* U5, held open: the request completes after its scope was cancelled, before the kernel is told. */
TEST(a_completion_before_the_cancel_wins)
{
	struct reader rd = {.deadline = WEFT_FOREVER};
	weft_scope *s;
	int fd[2], unread = 1;

	need_ring();
	EXPECT_EQ(pipe(fd), 0);
	rd.fd = fd[0];
	s = weft_scope_new(NULL, WEFT_FOREVER);
	(void)weft_gomaxprocs(4);	/* who is held keeps its own */
	hold_at("ring.submitted");
	hold_at("ring.cancel");
	EXPECT_EQ(weft_scope_go(s, read_in_scope, &rd), 0);
	hold_await("ring.submitted");
	weft_scope_cancel(s, -EINTR);
	hold_release("ring.submitted");
	hold_await("ring.cancel");
	EXPECT_EQ(write(fd[1], "x", 1), 1);
	/* The kernel completes it when it gets to it. */
	for (int i = 0; i < 30000 && unread != 0; i++) {
		EXPECT_EQ(weft_sleep(1 * MS), 0);
		EXPECT_EQ(ioctl(fd[0], FIONREAD, &unread), 0);
	}
	EXPECT_EQ(unread, 0);
	hold_release("ring.cancel");
	(void)weft_scope_wait(s, WEFT_FOREVER);
	EXPECT_EQ(rd.r, 1);
	EXPECT_EQ(rd.c, 'x');
	weft_scope_free(s);
}

/* And when nothing came, the cancel does what it should. */
TEST(a_cancelled_request_ends)
{
	struct reader rd = {.deadline = WEFT_FOREVER};
	weft_scope *s;
	int fd[2];

	need_ring();
	EXPECT_EQ(pipe(fd), 0);
	rd.fd = fd[0];
	s = weft_scope_new(NULL, WEFT_FOREVER);
	EXPECT_EQ(weft_scope_go(s, read_in_scope, &rd), 0);
	EXPECT_EQ(weft_sleep(5 * MS), 0);
	weft_scope_cancel(s, -EINTR);
	(void)weft_scope_wait(s, WEFT_FOREVER);
	EXPECT_EQ(rd.r, -ECANCELED);
	weft_scope_free(s);
}

static void
end_with_the_thread(void *arg)
{
	(void)arg;
	weft_lock_thread();	/* and never unlocks: its thread ends with it */
}

/*
 * U6; catalogue 85. Threads come and go, and the kernel drops what an ended one has submitted.
 * Whoever waits for it must not notice.
 */
TEST(requests_outlive_the_thread_that_submitted_them)
{
	(void)weft_gomaxprocs(1);
	need_ring();
	hold_at("ring.dropped");
	hold_release("ring.dropped");	/* it is only to be counted */
	for (int i = 0; i < 20 || (hold_count("ring.dropped") == 0 && i < 500); i++) {
		struct reader rd = {.deadline = WEFT_FOREVER};
		weft_waitgroup wg = {0};
		int fd[2];

		EXPECT_EQ(pipe(fd), 0);
		rd.fd = fd[0];
		EXPECT_EQ(weft_waitgroup_go(&wg, read_it, &rd), 0);
		EXPECT_EQ(weft_sleep(MS), 0);
		EXPECT_EQ(weft_go(end_with_the_thread, NULL), 0);
		EXPECT_EQ(weft_sleep(2 * MS), 0);
		EXPECT_EQ(write(fd[1], "x", 1), 1);
		EXPECT_EQ(weft_waitgroup_wait(&wg, weft_in(20 * SEC)), 0);
		EXPECT_EQ(rd.r, 1);
		EXPECT_EQ(rd.c, 'x');
		EXPECT_EQ(close(fd[0]) + close(fd[1]), 0);
	}
	EXPECT(hold_count("ring.dropped") > 0);
}

/* Is a ring's memory mapped here? No more than a child of fork(2) may do. */
static bool
has_ring_memory(void)
{
	static const char what[] = "io_uring";
	int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	size_t at = 0;
	char c;

	while (at < sizeof(what) - 1 && read(fd, &c, 1) == 1)
		at = c == what[at] ? at + 1 : c == what[0];
	close(fd);
	return at == sizeof(what) - 1;
}

/*
 * Catalogue 88. A child made by fork(2) in the middle leaves the parent's requests alone: it has
 * not even the memory that it would take them from.
 */
TEST(a_fork_leaves_the_ring_to_the_parent)
{
	struct reader rd = {.deadline = WEFT_FOREVER};
	weft_waitgroup wg = {0};
	int fd[2], status;
	pid_t pid;

	need_ring();
	EXPECT_EQ(pipe(fd), 0);
	rd.fd = fd[0];
	EXPECT_EQ(weft_waitgroup_go(&wg, read_it, &rd), 0);
	EXPECT_EQ(weft_sleep(2 * MS), 0);
	EXPECT(has_ring_memory());
	pid = fork();
	if (pid == 0)
		_exit(write(fd[1], "x", 1) != 1 ? 1 : has_ring_memory() ? 2 : 0);
	EXPECT(pid > 0);
	EXPECT_EQ(weft_waitgroup_wait(&wg, weft_in(20 * SEC)), 0);
	EXPECT_EQ(rd.r, 1);
	EXPECT_EQ(waitpid(pid, &status, 0), pid);
	EXPECT_EQ(status, 0);
	EXPECT_EQ(ring_nop(), 0);
}

static void
leave_in_the_middle(void *by)
{
	static struct reader rd[100];
	int fd[2];

	need_ring();
	EXPECT_EQ(pipe(fd), 0);
	for (int i = 0; i < 100; i++) {
		rd[i] = (struct reader){.fd = fd[0], .deadline = WEFT_FOREVER};
		EXPECT_EQ(weft_go(read_it, &rd[i]), 0);
	}
	EXPECT_EQ(weft_sleep(5 * MS), 0);
	if (by == NULL)
		_exit(0);
	(void)execl("/bin/true", "true", (char *)NULL);
	_exit(1);
}

/* Catalogue 86. The end of the process, and exec, with requests under way: neither hangs. */
TEST(exit_and_exec_with_requests_under_way_do_not_hang)
{
	for (uintptr_t by = 0; by <= 1; by++) {
		struct child_result r = child_run(leave_in_the_middle, (void *)by);

		EXPECT(!r.timed_out);
		EXPECT(r.status == 0 || r.status == 77);
		child_result_free(&r);
	}
}

static int reports[2];		/* a pipe: children write, and hold open, reports[1] */

static void
work_without_end(void *arg)
{
	char path[] = "/tmp/weft_kill_XXXXXX", c = 0;
	int fd = mkstemp(path), ends[2];

	EXPECT(fd >= 0);
	EXPECT_EQ(unlink(path), 0);
	EXPECT_EQ(pipe(ends), 0);
	EXPECT_EQ(weft_go(read_it, &(struct reader){.fd = ends[0], .deadline = WEFT_FOREVER}), 0);
	for (;;) {
		EXPECT_EQ(ring_nop(), 0);
		EXPECT_EQ(weft_pwrite(fd, &c, 1, 0, WEFT_FOREVER), 1);
		EXPECT_EQ(weft_fdatasync(fd, WEFT_FOREVER), 0);
		if (arg != NULL) {	/* one of them says so, once */
			EXPECT_EQ(write(reports[1], "w", 1), 1);
			arg = NULL;
		}
	}
}

/*
 * Catalogue 86. Killed while requests are under way, again and again: each process is gone, and
 * nothing that it had open is kept open by a ring that lives on. WEFT_KILLS=1000 for more.
 */
TEST(processes_killed_while_the_ring_works_leave_nothing)
{
	const char *more = getenv("WEFT_KILLS");
	int rounds = more != NULL ? atoi(more) : 20 / test_scale();
	uint64_t rand = test_seed();
	char c;

	EXPECT_EQ(pipe(reports), 0);
	for (int i = 0; i < rounds; i++) {
		pid_t pid = fork();	/* weft has not been called in this process */
		int status;

		EXPECT(pid >= 0);
		if (pid == 0) {
			need_ring();
			for (int k = 0; k < 4; k++)
				EXPECT_EQ(weft_go(work_without_end, k == 0 ? &c : NULL), 0);
			(void)weft_sleep(1000 * SEC);
			_exit(1);
		}
		/* It works, or there is no ring and it has ended; then some way on. */
		while (waitpid(pid, &status, WNOHANG) == 0 &&
		    poll(&(struct pollfd){.fd = reports[0], .events = POLLIN}, 1, 10) == 0)
			continue;
		if (poll(&(struct pollfd){.fd = reports[0], .events = POLLIN}, 1, 0) == 0) {
			EXPECT_EQ(WEXITSTATUS(status), 77);
			SKIP("no io_uring here");
		}
		EXPECT_EQ(read(reports[0], &c, 1), 1);
		usleep((useconds_t)(test_rand(&rand) % 1000));
		EXPECT_EQ(kill(pid, SIGKILL), 0);
		EXPECT_EQ(waitpid(pid, &status, 0), pid);
		EXPECT(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	}
	/* The end of the pipe comes when the last of them has let go. */
	EXPECT_EQ(close(reports[1]), 0);
	EXPECT_EQ(read(reports[0], &c, 1), 0);
}

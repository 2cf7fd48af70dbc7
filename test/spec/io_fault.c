/*
 * I/O in bad company: signals, broken pipes, slow and greedy peers, busy processors, threads
 * that weft did not start.
 */
#include "io_util.h"

#include "child.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>

static _Atomic int signals;

static void
count_signal(int sig)
{
	(void)sig;
	signals++;
}

/*
 * SCENARIOS 247; catalogue 71. A peer that is gone must be an error of the call, not the death of
 * the process; and a program that handles SIGPIPE itself must not see one of ours.
 */
static void
write_to_nobody(bool handled)
{
	for (int kind = 0; kind < STREAM_KINDS; kind++) {
		struct iovec v[2] = {{(char[]){"ab"}, 2}, {(char[]){"cd"}, 2}};
		int fd[2];
		ssize_t r;
		off_t off = 0;
		int file = open("/proc/self/exe", O_RDONLY);

		stream_pair(kind, fd);
		EXPECT_EQ(weft_close(fd[0]), 0);
		/* TCP learns of it from the answer to the first. */
		for (int i = 0; (r = weft_write(fd[1], "x", 1, soon())) == 1; i++) {
			EXPECT(kind == TCP && i < 1000);
			weft_sleep(1 * MS);
		}
		EXPECT(r == -EPIPE || (kind == TCP && r == -ECONNRESET));
		EXPECT_EQ(weft_write(fd[1], "x", 1, soon()), -EPIPE);
		EXPECT_EQ(weft_writev(fd[1], v, 2, soon()), -EPIPE);
		EXPECT_EQ(weft_sendfile(fd[1], file, &off, 100, soon()), -EPIPE);
		if (kind < PIPE) {
			EXPECT_EQ(weft_send(fd[1], "x", 1, 0, soon()), -EPIPE);
			EXPECT_EQ(weft_sendmsg(fd[1],
				      &(struct msghdr){.msg_iov = v, .msg_iovlen = 1}, 0, soon()),
			    -EPIPE);
		}
		EXPECT_EQ(weft_close(fd[1]), 0);
		EXPECT_EQ(weft_close(file), 0);
	}
	if (handled)
		EXPECT_EQ(signals, 0);
}

TEST(a_broken_stream_is_an_error_and_no_signal)
{
	sigset_t before, after, pending;
	struct sigaction now;

	EXPECT_EQ(pthread_sigmask(SIG_BLOCK, NULL, &before), 0);
	signal(SIGPIPE, SIG_DFL); /* deadly */
	write_to_nobody(false);
	EXPECT_EQ(sigaction(SIGPIPE, NULL, &now), 0);
	EXPECT(now.sa_handler == SIG_DFL);
	signal(SIGPIPE, count_signal);
	write_to_nobody(true);
	signal(SIGPIPE, SIG_IGN);
	write_to_nobody(true);
	EXPECT_EQ(pthread_sigmask(SIG_BLOCK, NULL, &after), 0);
	EXPECT_EQ(sigismember(&after, SIGPIPE), sigismember(&before, SIGPIPE));
	EXPECT_EQ(sigpending(&pending), 0);
	EXPECT_EQ(sigismember(&pending, SIGPIPE), 0);
}

/*
 * The same and plain traffic on kernels that lack what we like to use: a write without signal
 * (Linux 6.18), reads and writes that do not wait (4.14, later for pipes), short sleeps in the
 * poller (5.11). A filter makes this kernel one of them.
 */
static void
fill_slowly(void *arg)
{
	int fd = *(int *)arg;
	unsigned char buf[3000];

	for (uint64_t i = 0; i < 100; i++) {
		fill_pattern(buf, sizeof(buf), 5, i * sizeof(buf));
		EXPECT_EQ(weft_write(fd, buf, sizeof(buf), soon()), sizeof(buf));
		if (i % 30 == 0)
			EXPECT_EQ(weft_sleep(500000), 0);
	}
}

static void
on_an_old_kernel(void *unused)
{
	struct sock_filter code[] = {
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_preadv2, 3, 0),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_pwritev2, 2, 0),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_epoll_pwait2, 2, 0),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EOPNOTSUPP),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
	};
	struct sock_fprog prog = {.len = sizeof(code) / sizeof(*code), .filter = code};

	(void)unused;
	EXPECT_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	EXPECT_EQ(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog), 0);
	signal(SIGPIPE, SIG_DFL);
	write_to_nobody(false);
	signal(SIGPIPE, count_signal);
	write_to_nobody(true);
	for (int kind = 0; kind < STREAM_KINDS; kind++) {
		weft_waitgroup wg = {0};
		int64_t end = weft_in(3 * MS);
		unsigned char buf[1000];
		int fd[2];

		stream_pair(kind, fd);
		EXPECT_EQ(weft_read(fd[0], buf, 1, end), -ETIMEDOUT);
		EXPECT(weft_now() >= end);
		EXPECT_EQ(weft_waitgroup_go(&wg, fill_slowly, &fd[1]), 0);
		for (uint64_t i = 0; i < 300; i++) {
			read_all(fd[0], buf, sizeof(buf));
			expect_pattern(buf, sizeof(buf), 5, i * sizeof(buf));
		}
		EXPECT_EQ(weft_waitgroup_wait(&wg, soon()), 0);
		close_pair(fd);
	}
}

TEST(old_kernels_do_as_well)
{
	struct child_result r = child_run(on_an_old_kernel, NULL);

	if (r.status != 0)
		FAIL("status %d, signal %d: %s", r.status, r.signal, r.err);
	child_result_free(&r);
}

/*
 * Catalogue 72. A profiler's timer interrupts every system call a thousand times a second,
 * without SA_RESTART. No call may show it.
 */
struct bulk {
	int fd;
	size_t n;
};

static void
write_slowly(void *arg)
{
	struct bulk *b = arg;
	static char zeros[10000];

	for (size_t done = 0; done < b->n; done += sizeof(zeros)) {
		EXPECT_EQ(weft_write(b->fd, zeros, sizeof(zeros), soon()), sizeof(zeros));
		if (done % 200000 == 0)
			EXPECT_EQ(weft_sleep(1 * MS), 0);
	}
}

/* Opening a FIFO waits for the other side, in the kernel. */
static void
open_to_write(void *path)
{
	int fd;

	EXPECT_EQ(weft_sleep(20 * MS), 0);
	fd = weft_open(path, O_WRONLY, 0, soon());
	EXPECT(fd >= 0);
	EXPECT_EQ(weft_close(fd), 0);
}

static void
open_fifo(void)
{
	char path[] = "/tmp/weft-fifo-XXXXXX";
	weft_waitgroup wg = {0};
	int fd = mkstemp(path);

	EXPECT(fd >= 0);
	EXPECT_EQ(close(fd) + unlink(path) + mkfifo(path, 0600), 0);
	EXPECT_EQ(weft_waitgroup_go(&wg, open_to_write, path), 0);
	fd = weft_open(path, O_RDONLY, 0, soon());
	EXPECT_EQ(unlink(path), 0);
	EXPECT(fd >= 0);
	EXPECT_EQ(weft_close(fd), 0);
	EXPECT_EQ(weft_waitgroup_wait(&wg, soon()), 0);
}

TEST(signals_without_restart_do_not_show)
{
	struct itimerval every_ms = {.it_interval.tv_usec = 500, .it_value.tv_usec = 500},
			 off = {0};
	struct sigaction sa = {.sa_handler = count_signal};
	int64_t end = weft_in(SEC);
	int rounds = 0;

	EXPECT_EQ(sigaction(SIGALRM, &sa, NULL), 0);
	EXPECT_EQ(setitimer(ITIMER_REAL, &every_ms, NULL), 0);
	open_fifo();
	while (weft_now() < end || signals <= 100) {
		int kind = rounds++ % STREAM_KINDS;
		weft_waitgroup wg = {0};
		char buf[4096], address[32];
		ssize_t r;
		int fd[2], listener, client, served;

		stream_pair(kind, fd);
		struct bulk b = {fd[1], 1000000};

		EXPECT_EQ(weft_waitgroup_go(&wg, write_slowly, &b), 0);
		for (size_t got = 0; got < b.n; got += (size_t)r) {
			r = weft_read(fd[0], buf, sizeof(buf), soon());
			if (r <= 0)
				FAIL("%s: %zd", stream_names[kind], r);
		}
		EXPECT_EQ(weft_waitgroup_wait(&wg, soon()), 0);
		EXPECT_EQ(weft_read(fd[0], buf, 1, weft_in(3 * MS)), -ETIMEDOUT);
		listener = listen_local(address);
		EXPECT_EQ(weft_accept(listener, NULL, NULL, weft_in(3 * MS)), -ETIMEDOUT);
		client = weft_dial("tcp", address, soon());
		served = weft_accept(listener, NULL, NULL, soon());
		EXPECT(client >= 0 && served >= 0);
		EXPECT_EQ(weft_close(client), 0);
		EXPECT_EQ(weft_close(served), 0);
		EXPECT_EQ(weft_close(listener), 0);
		close_pair(fd);
	}
	EXPECT_EQ(setitimer(ITIMER_REAL, &off, NULL), 0);
	EXPECT(signals > 100);
}

/* Catalogue 73. One byte at a time must not buy more time: the deadline is for the whole call. */
static void
drip(void *arg)
{
	int fd = *(int *)arg;

	while (weft_write(fd, "x", 1, soon()) == 1)
		weft_sleep(10 * MS);
}

static void
sip(void *arg)
{
	int fd = *(int *)arg;
	char buf[1000];

	while (weft_read(fd, buf, sizeof(buf), soon()) > 0)
		weft_sleep(5 * MS);
}

TEST(slow_peers_do_not_extend_the_deadline)
{
	weft_waitgroup wg = {0};
	static char big[1 << 23];
	int64_t end;
	char buf[1000];
	ssize_t r;
	int fd[2];

	stream_pair(UNIX_SOCKET, fd);
	EXPECT_EQ(weft_waitgroup_go(&wg, drip, &fd[1]), 0);
	end = weft_in(200 * MS);
	r = weft_recv(fd[0], buf, sizeof(buf), MSG_WAITALL, end);
	EXPECT(r > 0 && r < (ssize_t)sizeof(buf));
	EXPECT(weft_now() >= end && weft_now() < end + 10 * SEC * test_scale());
	EXPECT_EQ(weft_close(fd[0]), 0);
	EXPECT_EQ(weft_waitgroup_wait(&wg, soon()), 0);
	EXPECT_EQ(weft_close(fd[1]), 0);

	stream_pair(UNIX_SOCKET, fd);
	EXPECT_EQ(weft_waitgroup_go(&wg, sip, &fd[1]), 0);
	end = weft_in(200 * MS);
	r = weft_write(fd[0], big, sizeof(big), end);
	EXPECT(r > 0 && r < (ssize_t)sizeof(big));
	EXPECT(weft_now() >= end && weft_now() < end + 10 * SEC * test_scale());
	EXPECT_EQ(weft_close(fd[0]), 0);
	EXPECT_EQ(weft_waitgroup_wait(&wg, soon()), 0);
	EXPECT_EQ(weft_close(fd[1]), 0);
}

/*
 * Catalogue 57, 64. One connection that always has data, and goroutines that only compute, must
 * not keep the others waiting.
 */
static _Atomic bool stop;

static void
flood(void *arg)
{
	static char zeros[65536];

	while (!stop && weft_write(*(int *)arg, zeros, sizeof(zeros), soon()) > 0)
		continue;
	EXPECT_EQ(shutdown(*(int *)arg, SHUT_WR), 0);
}

static void
swallow(void *arg)
{
	static char buf[65536];

	while (weft_read(*(int *)arg, buf, sizeof(buf), soon()) > 0)
		continue;
}

static void
answer_bytes(void *arg)
{
	char c;

	while (weft_read(*(int *)arg, &c, 1, soon()) == 1)
		EXPECT_EQ(weft_write(*(int *)arg, &c, 1, soon()), 1);
}

static int
by_value(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

TEST(a_greedy_connection_does_not_starve_the_others)
{
	enum { SLOW = 50, ASKS = 10 };
	static int64_t late[SLOW * ASKS];
	int firehose[2], fd[SLOW][2], n = 0;
	weft_waitgroup wg = {0};

	stream_pair(UNIX_SOCKET, firehose);
	EXPECT_EQ(weft_waitgroup_go(&wg, flood, &firehose[1]), 0);
	EXPECT_EQ(weft_waitgroup_go(&wg, swallow, &firehose[0]), 0);
	for (int i = 0; i < SLOW; i++) {
		stream_pair(TCP, fd[i]);
		EXPECT_EQ(weft_waitgroup_go(&wg, answer_bytes, &fd[i][0]), 0);
	}
	for (int k = 0; k < ASKS; k++) {
		for (int i = 0; i < SLOW; i++) {
			int64_t start = weft_now();
			char c;

			EXPECT_EQ(weft_write(fd[i][1], "?", 1, soon()), 1);
			EXPECT_EQ(weft_read(fd[i][1], &c, 1, soon()), 1);
			late[n++] = weft_now() - start;
		}
	}
	stop = true;
	for (int i = 0; i < SLOW; i++)
		EXPECT_EQ(weft_close(fd[i][1]), 0);
	EXPECT_EQ(weft_waitgroup_wait(&wg, soon()), 0);
	qsort(late, (size_t)n, sizeof(*late), by_value);
	printf("p50 %.3f ms, p99 %.3f ms\n", (double)late[n / 2] / 1e6,
	    (double)late[n * 99 / 100] / 1e6);
	EXPECT(late[n / 2] < 100 * MS * test_scale());
	EXPECT(late[n * 99 / 100] < 2 * SEC * test_scale());
	for (int i = 0; i < SLOW; i++)
		EXPECT_EQ(weft_close(fd[i][0]), 0);
	close_pair(firehose);
}

/* Catalogue 55. The first use of all, from many threads and goroutines at once, in fresh processes.
 */
static void *
foreign_read(void *arg)
{
	char c;

	EXPECT_EQ(weft_read(*(int *)arg, &c, 1, soon()), 1);
	return NULL;
}

static void
first_use(void *unused)
{
	pthread_t t[32];
	int fd[32][2];

	(void)unused;
	for (int i = 0; i < 32; i++) {
		stream_pair(i % STREAM_KINDS == TCP ? UNIX_SOCKET : i % STREAM_KINDS, fd[i]);
		EXPECT_EQ(pthread_create(&t[i], NULL, foreign_read, &fd[i][0]), 0);
	}
	for (int i = 0; i < 32; i++)
		EXPECT_EQ(write(fd[i][1], "x", 1), 1);
	for (int i = 0; i < 32; i++)
		EXPECT_EQ(pthread_join(t[i], NULL), 0);
}

/* SCENARIOS 307. */
TEST(the_first_use_of_all_may_be_from_many_threads)
{
	for (int i = 0; i < 20; i++) {
		struct child_result r = child_run(first_use, NULL);

		if (r.status != 0)
			FAIL("status %d, signal %d: %s", r.status, r.signal, r.err);
		child_result_free(&r);
	}
}

/*
 * A thread of the program's own waits for a descriptor while main() sleeps in a plain call and
 * no goroutine exists: somebody must be asking the poller for it.
 */
TEST(a_foreign_threads_read_is_woken_when_nothing_else_runs)
{
	for (int i = 0; i < 5; i++) {
		pthread_t t;
		int fd[2];

		stream_pair(UNIX_SOCKET, fd);
		(void)weft_numgoroutine();
		EXPECT_EQ(pthread_create(&t, NULL, foreign_read, &fd[0]), 0);
		usleep(i % 2 == 0 ? 100000 : 1000);
		EXPECT_EQ(write(fd[1], "x", 1), 1);
		EXPECT_EQ(pthread_join(t, NULL), 0);
		close_pair(fd);
	}
}

/* The same, found closed by another foreign thread. */
static void *
foreign_close(void *arg)
{
	EXPECT_EQ(weft_close(*(int *)arg), 0);
	return NULL;
}

static void *
foreign_read_until_closed(void *arg)
{
	char c;

	EXPECT_EQ(weft_read(*(int *)arg, &c, 1, soon()), -EBADF);
	return NULL;
}

TEST(foreign_threads_may_close_what_others_wait_for)
{
	for (int i = 0; i < 50; i++) {
		pthread_t a, b;
		int fd[2];

		stream_pair(i % 2 == 0 ? UNIX_SOCKET : PIPE, fd);
		EXPECT_EQ(pthread_create(&a, NULL, foreign_read_until_closed, &fd[0]), 0);
		/* A byte would be read; so wait until it waits, or nearly. */
		weft_sleep(2 * MS);
		EXPECT_EQ(pthread_create(&b, NULL, foreign_close, &fd[0]), 0);
		EXPECT_EQ(pthread_join(a, NULL), 0);
		EXPECT_EQ(pthread_join(b, NULL), 0);
		EXPECT_EQ(weft_close(fd[1]), 0);
	}
}

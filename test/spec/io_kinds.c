/*
 * Any descriptor will do: blocking ones, terminals, eventfds, timerfds, files; and descriptors
 * that were closed, duplicated or opened again behind weft's back.
 */
#include "io_util.h"
#include "metric_util.h"

#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>

struct call {
	int fd;
	char buf[64];
	ssize_t r;
	int64_t deadline;
};

static void
read_call(void *arg)
{
	struct call *c = arg;

	c->r = weft_read(c->fd, c->buf, sizeof(c->buf), c->deadline);
}

/* Starts a read that must wait, lets it, then does what it waits for. */
static void
expect_read_waits_for(int fd, int writer, const char *text)
{
	size_t len = strlen(text);
	struct call c = {.fd = fd, .deadline = soon()};
	weft_waitgroup wg = {0};

	EXPECT_EQ(weft_waitgroup_go(&wg, read_call, &c), 0);
	let_run();
	EXPECT_EQ(weft_write(writer, text, len, soon()), len);
	EXPECT_EQ(weft_waitgroup_wait(&wg, soon()), 0);
	EXPECT_EQ(c.r, len);
	EXPECT_EQ(memcmp(c.buf, text, len), 0);
}

/*
 * Standard input, a pipe from popen(3), a socket from another library: they are blocking, and
 * shared with others who expect them to stay so. Waiting on them must not cost a thread each.
 */
TEST(blocking_descriptors_wait_and_stay_blocking)
{
	for (int kind = 0; kind < STREAM_KINDS; kind++) {
		int fd[2], flags[2];

		stream_pair(kind, fd);
		flags[0] = fcntl(fd[0], F_GETFL);
		flags[1] = fcntl(fd[1], F_GETFL);
		expect_read_waits_for(fd[0], fd[1], "over the wire");
		fill_up(fd[1]);
		EXPECT_EQ(fcntl(fd[0], F_GETFL), flags[0]);
		EXPECT_EQ(fcntl(fd[1], F_GETFL), flags[1]);
		close_pair(fd);
	}
}

static int
threads(void)
{
	FILE *f = fopen("/proc/self/status", "r");
	char line[256];
	int n = -1;

	EXPECT(f != NULL);
	while (fgets(line, sizeof(line), f) != NULL)
		sscanf(line, "Threads: %d", &n);
	fclose(f);
	return n;
}

TEST(a_hundred_readers_of_blocking_pipes_need_no_thread_each)
{
	struct call c[100];
	weft_waitgroup wg = {0};
	int fd[100][2];

	for (int i = 0; i < 100; i++) {
		stream_pair(PIPE_BLOCKING, fd[i]);
		c[i] = (struct call){.fd = fd[i][0], .deadline = soon()};
		EXPECT_EQ(weft_waitgroup_go(&wg, read_call, &c[i]), 0);
	}
	weft_sleep(50 * MS);
	EXPECT(threads() < 20);
	for (int i = 0; i < 100; i++)
		EXPECT_EQ(weft_write(fd[i][1], "x", 1, soon()), 1);
	EXPECT_EQ(weft_waitgroup_wait(&wg, soon()), 0);
	for (int i = 0; i < 100; i++) {
		EXPECT_EQ(c[i].r, 1);
		close_pair(fd[i]);
	}
}

/* A shell written on weft reads its terminal while other goroutines run. Both modes of it. */
TEST(terminals_wait_blocking_or_not)
{
	for (int nonblock = 0; nonblock < 2; nonblock++) {
		int64_t end;
		char buf[16];
		int master, slave;

		EXPECT_EQ(openpty(&master, &slave, NULL, NULL, NULL), 0);
		if (nonblock)
			EXPECT_EQ(fcntl(slave, F_SETFL, O_RDWR | O_NONBLOCK), 0);
		end = weft_in(20 * MS);
		EXPECT_EQ(weft_read(slave, buf, sizeof(buf), end), -ETIMEDOUT);
		EXPECT(weft_now() >= end);
		expect_read_waits_for(slave, master, "a line\n");
		EXPECT_EQ(weft_write(slave, "answer", 6, soon()), 6);
		/* The echo of the line comes before it. */
		for (ssize_t got = 0; got < 14;) {
			ssize_t r = weft_read(master, buf, sizeof(buf), soon());

			EXPECT(r > 0);
			got += r;
		}
		EXPECT_EQ(weft_close(slave), 0);
		EXPECT_EQ(weft_read(master, buf, sizeof(buf), soon()), -EIO); /* as read(2) */
		EXPECT_EQ(weft_close(master), 0);
	}
}

/* A terminal that nobody reads fills up. The writer must wait, and go on. */
static void
write_terminal(void *arg)
{
	struct call *c = arg;
	char *buf = malloc(100000);

	memset(buf, 'x', 100000);
	c->r = weft_write(c->fd, buf, 100000, c->deadline);
	free(buf);
}

TEST(a_write_to_a_full_terminal_waits_for_its_reader)
{
	weft_waitgroup wg = {0};
	int master, slave;
	char buf[4096];
	size_t got = 0;

	EXPECT_EQ(openpty(&master, &slave, NULL, NULL, NULL), 0);
	struct call c = {.fd = slave, .deadline = soon()};

	EXPECT_EQ(weft_waitgroup_go(&wg, write_terminal, &c), 0);
	let_run();
	while (got < 100000) {
		ssize_t r = weft_read(master, buf, sizeof(buf), soon());

		EXPECT(r > 0);
		got += (size_t)r;
	}
	EXPECT_EQ(weft_waitgroup_wait(&wg, soon()), 0);
	EXPECT_EQ(c.r, 100000);
	EXPECT_EQ(weft_close(slave), 0);
	EXPECT_EQ(weft_close(master), 0);
}

/* Catalogue 66: an eventfd near its end blocks its writer, and wakes it when it is read. */
static void
add_to_eventfd(void *arg)
{
	struct call *c = arg;
	uint64_t two = 2;

	c->r = weft_write(c->fd, &two, sizeof(two), c->deadline);
}

TEST(eventfds_wait_for_values_and_for_room)
{
	for (int flags = 0; flags <= EFD_NONBLOCK; flags += EFD_NONBLOCK) {
		uint64_t n = UINT64_MAX - 2, got;
		weft_waitgroup wg = {0};
		int fd = eventfd(0, flags);
		struct call c = {.fd = fd, .deadline = soon()};

		EXPECT(fd >= 0);
		EXPECT_EQ(weft_read(fd, &got, sizeof(got), weft_in(5 * MS)), -ETIMEDOUT);
		EXPECT_EQ(weft_write(fd, &n, sizeof(n), soon()), sizeof(n));
		EXPECT_EQ(weft_waitgroup_go(&wg, add_to_eventfd, &c), 0);
		let_run();
		EXPECT_EQ(weft_read(fd, &got, sizeof(got), soon()), sizeof(got));
		EXPECT(got == UINT64_MAX - 2);
		EXPECT_EQ(weft_waitgroup_wait(&wg, soon()), 0);
		EXPECT_EQ(c.r, 8);
		EXPECT_EQ(weft_read(fd, &got, sizeof(got), soon()), sizeof(got));
		EXPECT_EQ(got, 2);
		EXPECT_EQ(weft_close(fd), 0);
	}
}

TEST(a_timerfd_is_waited_for)
{
	struct itimerspec in_20_ms = {.it_value.tv_nsec = 20 * MS};
	int fd = timerfd_create(CLOCK_MONOTONIC, 0);
	int64_t start = weft_now();
	uint64_t ticks;

	EXPECT_EQ(timerfd_settime(fd, 0, &in_20_ms, NULL), 0);
	EXPECT_EQ(weft_read(fd, &ticks, sizeof(ticks), soon()), sizeof(ticks));
	EXPECT(weft_now() - start >= 20 * MS);
	EXPECT_EQ(ticks, 1);
	EXPECT_EQ(weft_close(fd), 0);
}

/* A signalfd is read, a pidfd becomes readable: neither is a stream of bytes. */
TEST(signalfds_and_pidfds_are_waited_for)
{
	struct signalfd_siginfo info;
	sigset_t usr1, old;
	pid_t child;
	int fd, gate[2];

	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	EXPECT_EQ(sigprocmask(SIG_BLOCK, &usr1, &old), 0); /* before weft starts its threads */
	fd = signalfd(-1, &usr1, SFD_CLOEXEC);
	EXPECT_EQ(weft_read(fd, &info, sizeof(info), weft_in(5 * MS)), -ETIMEDOUT);
	EXPECT_EQ(kill(getpid(), SIGUSR1), 0);
	EXPECT_EQ(weft_read(fd, &info, sizeof(info), soon()), sizeof(info));
	EXPECT_EQ(info.ssi_signo, SIGUSR1);
	EXPECT_EQ(weft_close(fd), 0);

	EXPECT_EQ(pipe2(gate, O_CLOEXEC), 0);
	child = fork();
	if (child == 0) {
		char c;

		close(gate[1]);
		_exit(read(gate[0], &c, 1) < 0);
	}
	fd = (int)syscall(SYS_pidfd_open, child, 0);
	EXPECT(fd >= 0);
	EXPECT_EQ(weft_poll(fd, POLLIN, weft_in(5 * MS)), -ETIMEDOUT);
	EXPECT_EQ(close(gate[1]), 0);
	EXPECT(weft_poll(fd, POLLIN, soon()) & POLLIN);
	EXPECT_EQ(waitpid(child, NULL, WNOHANG), child);
	EXPECT_EQ(weft_close(fd), 0);
	EXPECT_EQ(close(gate[0]), 0);
}

/*
 * SCENARIOS 244. Files and devices never make one wait: the same calls must work on them, deadline
 * or not. (Go refuses deadlines there; here what can go at once goes.)
 */
TEST(files_and_devices_are_read_and_written_at_once)
{
	char path[] = "/tmp/weft_io_kinds_XXXXXX", buf[32];
	int fd = mkstemp(path), null = open("/dev/null", O_RDWR),
	    zero = open("/dev/zero", O_RDONLY);

	EXPECT(fd >= 0 && null >= 0 && zero >= 0);
	EXPECT_EQ(unlink(path), 0);
	EXPECT_EQ(weft_write(fd, "hello", 5, WEFT_NOW), 5);
	EXPECT_EQ(weft_read(fd, buf, 5, WEFT_NOW), 0);
	EXPECT_EQ(lseek(fd, 0, SEEK_SET), 0);
	EXPECT_EQ(weft_read(fd, buf, sizeof(buf), WEFT_FOREVER), 5);
	EXPECT_EQ(memcmp(buf, "hello", 5), 0);
	EXPECT_EQ(weft_poll(fd, POLLIN | POLLOUT, WEFT_FOREVER), POLLIN | POLLOUT);
	EXPECT_EQ(weft_read(null, buf, 5, WEFT_FOREVER), 0);
	EXPECT_EQ(weft_write(null, buf, 5, WEFT_FOREVER), 5);
	EXPECT_EQ(weft_read(zero, buf, 5, WEFT_FOREVER), 5);
	EXPECT_EQ(weft_close(fd), 0);
	EXPECT_EQ(weft_close(null), 0);
	EXPECT_EQ(weft_close(zero), 0);
	fd = open("/", O_RDONLY | O_DIRECTORY);
	EXPECT_EQ(weft_read(fd, buf, 5, WEFT_FOREVER), -EISDIR);
	EXPECT_EQ(weft_write(fd, buf, 5, WEFT_FOREVER), -EBADF); /* open, but not for that */
	EXPECT_EQ(weft_close(fd), 0);
}

/*
 * Catalogue 68. A number that weft has registered is closed by plain close(2), by some library,
 * and given out again. Whatever it means now, a read of it must end when there is data.
 */
TEST(a_number_reopened_behind_our_back_still_wakes_its_reader)
{
	for (int before = TCP; before <= PIPE; before += PIPE - TCP) {
		for (int after = 0; after < STREAM_KINDS; after++) {
			char c;
			int old[2], new[2];

			stream_pair(before, old);
			EXPECT_EQ(weft_read(old[0], &c, 1, weft_in(1 * MS)), -ETIMEDOUT);
			fill_up(old[1]);
			EXPECT_EQ(weft_write(old[1], "x", 1, weft_in(1 * MS)), -ETIMEDOUT);
			stream_pair(after, new);
			/* The new pair gets the old numbers: exactly what close and open would do.
			 */
			EXPECT_EQ(dup2(new[0], old[0]), old[0]);
			EXPECT_EQ(dup2(new[1], old[1]), old[1]);
			EXPECT_EQ(close(new[0]), 0);
			EXPECT_EQ(close(new[1]), 0);
			expect_read_waits_for(old[0], old[1], "new");
			close_pair(old);
		}
	}
}

static bool
is_on_uring(void)
{
	const char *poller = getenv("WEFT_POLLER");

	return poller != NULL && strcmp(poller, "uring") == 0;
}

/*
 * The same while somebody waits, and the next owner of the number is a socket of weft's own: it
 * knows at once that the old one is gone, and the reader must not get what is the new one's.
 */
TEST(a_reader_left_behind_does_not_read_the_next_sockets_data)
{
	struct call c = {.deadline = soon()};
	weft_waitgroup wg = {0};
	char address[32], x;
	int fd[2], listener = listen_local(address), client, served;

	stream_pair(UNIX_SOCKET, fd);
	c.fd = fd[0];
	EXPECT_EQ(weft_waitgroup_go(&wg, read_call, &c), 0);
	/* One that comes later reads what the number means by then, rightly. */
	while (metric("/sched/goroutines/waiting:goroutines") < 1)
		weft_yield();
	/* Not close(3): ThreadSanitizer would object to just what this is about. */
	EXPECT_EQ(syscall(SYS_close, fd[0]), 0);
	client = weft_dial("tcp", address, soon());
	EXPECT_EQ(client, fd[0]);
	served = weft_accept(listener, NULL, NULL, soon());
	EXPECT_EQ(weft_write(served, "x", 1, soon()), 1);
	EXPECT_EQ(weft_read(client, &x, 1, soon()), 1);
	EXPECT_EQ(weft_waitgroup_wait(&wg, soon()), 0);
	/* -ENOTCONN: over io_uring, between socket(2) and H6 (src/poll/README.md). */
	if (c.r != -EBADF && !(is_on_uring() && c.r == -ENOTCONN))
		FAIL("%zd", c.r);
	EXPECT_EQ(weft_close(client), 0);
	EXPECT_EQ(weft_close(served), 0);
	EXPECT_EQ(weft_close(listener), 0);
	EXPECT_EQ(weft_close(fd[1]), 0);
}

/* A file in place of a socket, and a socket in place of a file. */
TEST(a_number_that_was_a_file_may_become_a_socket_and_back)
{
	int fd[2], file = open("/proc/self/exe", O_RDONLY);
	char buf[4];

	stream_pair(UNIX_BLOCKING, fd);
	EXPECT_EQ(weft_read(file, buf, 4, WEFT_NOW), 4);
	EXPECT_EQ(dup2(fd[0], file), file);
	EXPECT_EQ(weft_read(file, buf, 4, weft_in(5 * MS)), -ETIMEDOUT);
	expect_read_waits_for(file, fd[1], "socket");
	EXPECT_EQ(close(file), 0);
	EXPECT_EQ(open("/proc/self/exe", O_RDONLY), file);
	EXPECT_EQ(weft_read(file, buf, 4, WEFT_NOW), 4);
	EXPECT_EQ(memcmp(buf, "\177ELF", 4), 0);
	EXPECT_EQ(weft_close(file), 0);
	close_pair(fd);
}

static int64_t
cpu_ns(void)
{
	struct rusage u;

	EXPECT_EQ(getrusage(RUSAGE_SELF, &u), 0);
	return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * SEC +
	       (u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1000;
}

/*
 * Catalogue 58. The original is closed, a duplicate lives on and has data that nobody reads:
 * libuv once spun for ever on the events of a record that was gone.
 */
TEST(a_duplicate_that_outlives_its_original_costs_nothing)
{
	for (int by_weft = 0; by_weft < 2; by_weft++) {
		struct call c = {.deadline = weft_in(300 * MS)};
		weft_waitgroup wg = {0};
		int64_t cpu;
		char x;
		int fd[2], copy, other[2];

		stream_pair(UNIX_SOCKET, fd);
		EXPECT_EQ(weft_read(fd[0], &x, 1, weft_in(1 * MS)), -ETIMEDOUT);
		copy = dup(fd[0]);
		EXPECT_EQ(by_weft ? weft_close(fd[0]) : close(fd[0]), 0);
		/* Somebody waits, so that the poller is asked all the time. The number is the old
		 * one. */
		stream_pair(UNIX_SOCKET, other);
		EXPECT(other[0] == fd[0] || other[1] == fd[0]);
		c.fd = fd[0];
		EXPECT_EQ(weft_waitgroup_go(&wg, read_call, &c), 0);
		cpu = cpu_ns();
		for (int i = 0; i < 20; i++) {
			EXPECT_EQ(write(fd[1], "data", 4), 4);
			weft_sleep(10 * MS);
		}
		EXPECT_EQ(weft_waitgroup_wait(&wg, soon()), 0);
		EXPECT_EQ(c.r, -ETIMEDOUT);
		EXPECT(cpu_ns() - cpu < 60 * MS * test_scale()); /* of 300 */
		/* The copy works like any descriptor. */
		read_all(copy, c.buf, 4);
		EXPECT_EQ(memcmp(c.buf, "data", 4), 0);
		EXPECT_EQ(weft_close(copy), 0);
		EXPECT_EQ(weft_close(fd[1]), 0);
		close_pair(other);
	}
}

/* poll(2)'s own words. */
TEST(poll_waits_and_tells_what_happened)
{
	for (int kind = TCP; kind <= UNIX_BLOCKING; kind++) {
		int64_t end = weft_in(10 * MS);
		char c;
		int fd[2];

		stream_pair(kind, fd);
		EXPECT_EQ(weft_poll(fd[0], POLLIN, WEFT_NOW), -ETIMEDOUT);
		EXPECT_EQ(weft_poll(fd[0], POLLIN, end), -ETIMEDOUT);
		EXPECT(weft_now() >= end);
		EXPECT_EQ(weft_poll(fd[0], POLLIN | POLLOUT, WEFT_NOW), POLLOUT);
		EXPECT_EQ(weft_write(fd[1], "x", 1, soon()), 1);
		EXPECT_EQ(weft_poll(fd[0], POLLIN, soon()), POLLIN);
		EXPECT_EQ(weft_poll(fd[0], POLLIN, soon()), POLLIN); /* it takes nothing away */
		EXPECT_EQ(weft_read(fd[0], &c, 1, soon()), 1);
		EXPECT_EQ(weft_poll(fd[0], POLLIN, weft_in(1 * MS)), -ETIMEDOUT);
		EXPECT_EQ(weft_close(fd[1]), 0);
		EXPECT(weft_poll(fd[0], POLLIN | POLLRDHUP, soon()) & POLLRDHUP);
		EXPECT_EQ(weft_close(fd[0]), 0);
	}
}

/* Asked for both, a poll is woken by either. */
static void
poll_both(void *arg)
{
	struct call *c = arg;

	c->r = weft_poll(c->fd, POLLIN | POLLOUT, c->deadline);
}

TEST(a_poll_for_both_directions_is_woken_by_either)
{
	for (int i = 0; i < 2; i++) {
		static char buf[1 << 20];
		struct call c = {.deadline = soon()};
		weft_waitgroup wg = {0};
		size_t n;
		int fd[2];

		stream_pair(UNIX_SOCKET, fd);
		c.fd = fd[1];
		n = fill_up(fd[1]);
		EXPECT_EQ(weft_waitgroup_go(&wg, poll_both, &c), 0);
		let_run();
		if (i == 0)
			EXPECT_EQ(weft_write(fd[0], "x", 1, soon()), 1);
		for (ssize_t r; i == 1 && n > 0; n -= (size_t)r) {
			r = weft_read(fd[0], buf, sizeof(buf), soon());
			EXPECT(r > 0);
		}
		EXPECT_EQ(weft_waitgroup_wait(&wg, soon()), 0);
		EXPECT_EQ(c.r, i == 0 ? POLLIN : POLLOUT);
		close_pair(fd);
	}
}

/* Polls wait beside a reader, not in line with it, and are woken by the same data. */
static void
poll_in(void *arg)
{
	struct call *c = arg;

	c->r = weft_poll(c->fd, POLLIN, c->deadline);
}

TEST(polls_and_a_reader_wait_for_the_same_data)
{
	for (int i = 0; i < 50; i++) {
		struct call c[4];
		weft_waitgroup wg = {0};
		int fd[2];

		stream_pair(i % 2 == 0 ? TCP : PIPE, fd);
		for (int k = 0; k < 4; k++)
			c[k] = (struct call){.fd = fd[0], .deadline = soon()};
		EXPECT_EQ(weft_waitgroup_go(&wg, poll_in, &c[0]), 0);
		EXPECT_EQ(weft_waitgroup_go(&wg, poll_in, &c[1]), 0);
		EXPECT_EQ(weft_waitgroup_go(&wg, poll_in, &c[2]), 0);
		if (i % 4 < 2)
			let_run();
		EXPECT_EQ(weft_write(fd[1], "xyz", 3, soon()), 3);
		EXPECT_EQ(weft_waitgroup_wait(&wg, soon()), 0);
		EXPECT_EQ(c[0].r, POLLIN);
		EXPECT_EQ(c[1].r, POLLIN);
		EXPECT_EQ(c[2].r, POLLIN);
		read_call(&c[3]);
		EXPECT_EQ(c[3].r, 3);
		close_pair(fd);
	}
}

/*
 * Out of descriptors before the first wait: the poller itself cannot be made. That must be an
 * error of that call and not of the next, when there are descriptors again. (Catalogue 55)
 */
TEST(the_poller_is_made_later_if_it_cannot_be_made_now)
{
	struct rlimit old, none;
	char c;
	int fd[2];

	EXPECT_EQ(pipe2(fd, 0), 0);
	EXPECT_EQ(getrlimit(RLIMIT_NOFILE, &old), 0);
	none = old;
	none.rlim_cur = (rlim_t)fd[1] + 1;
	(void)weft_numgoroutine();
	EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
	EXPECT_EQ(weft_read(fd[0], &c, 1, soon()), -EMFILE);
	EXPECT_EQ(weft_sleep(1 * MS), 0);
	EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &old), 0);
	EXPECT_EQ(weft_read(fd[0], &c, 1, weft_in(10 * MS)), -ETIMEDOUT);
	expect_read_waits_for(fd[0], fd[1], "later");
	close_pair(fd);
}

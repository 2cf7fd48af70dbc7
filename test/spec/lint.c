/*
 * WEFT_DEBUG=lint=1: what is likely to be a mistake is reported where it happens, once, and nothing
 * else is. A lint that misses it helps nobody; one that cries without need is switched off. (Who
 * computes or blocks: lint_watch.c. Held pthread mutexes need a program of their own:
 * test/command/lint.sh.)
 */
#define _GNU_SOURCE
#include "lint_util.h"

#include <alloca.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *const not_linted[] = { "WEFT_DEBUG", "WEFT_MAXPROCS=2", NULL };
static const struct child_options without = { .env = not_linted, .limit_ms = 120000 };

/* The end of a child that has done all: what the compiler runs at exit(3) is not to be judged. */
static void
leave(void)
{
	_exit(0);
}

/* ---- stacks ---- */

/* Touches so many bytes of the stack, each page. */
__attribute__((noinline, no_sanitize_address)) static void
go_deep(size_t bytes)
{
	volatile char *p = alloca(bytes);

	for (size_t i = bytes; i >= 1024; i -= 1024)
		p[i - 1] = 1;
}

static void
deep_then_waits(void *arg)
{
	(void)arg;
	go_deep(170 << 10);
	(void)weft_sleep(MS);
	KEEP_FRAME();
}

static void
deep_then_ends(void *arg)
{
	(void)arg;
	go_deep(170 << 10);
}

static void
deep_then_exits(void *arg)
{
	(void)arg;
	go_deep(100 << 10);
	weft_goexit();
}

static void
shallow(void *c)
{
	go_deep(100 << 10);
	weft_chan_recv(c, NULL, WEFT_FOREVER);
	KEEP_FRAME();
}

static void
use_stacks(void *arg)
{
	weft_chan *c = weft_chan_new(0, 0);

	(void)arg;
	for (int i = 0; i < 3; i++) {
		go_named("ends", deep_then_ends, NULL);
		go_named("exits", deep_then_exits, NULL);
		while (weft_numgoroutine() > 1)
			(void)weft_sleep(MS);
	}
	for (int i = 0; i < 20; i++)
		go_named("shallow", shallow, c);
	go_named("waits", deep_then_waits, NULL);
	go_named("waits", deep_then_waits, NULL);
	for (int i = 0; i < 20; i++)
		EXPECT_EQ(weft_chan_send(c, NULL, WEFT_FOREVER), 0);
	while (weft_numgoroutine() > 1)
		(void)weft_sleep(MS);
	leave();
}

TEST(a_stack_that_is_nearly_full_is_told)
{
	struct child_result r = child_run_with(&with_lints, use_stacks, NULL);

	EXPECT_EQ(r.status, 0);
	EXPECT_CONTAINS(r.err, " [running, has ended, \"ends\"]:\ndeep_then_ends(...)");
	EXPECT_CONTAINS(r.err, " [running, \"waits\"]:\nweft_sleep(...)");
	EXPECT_CONTAINS(r.err, "\ndeep_then_waits(...)\n");
	EXPECT_CONTAINS(r.err, " of the 196608 bytes of its stack, more than 75 %\n[");
	EXPECT_CONTAINS(r.err, "WEFT_STACK");
	expect_lints(r.err, 2);
	child_result_free(&r);
}

static atomic_int spins, may_wait;

static void
spin_then_wait(void *arg)
{
	(void)arg;
	spins = 1;
	while (!may_wait)
		continue;
	(void)weft_sleep(MS);
}

static void
wait_for_nobody(void *arg)
{
	(void)weft_chan_recv(arg, NULL, WEFT_FOREVER);
}

static void
search_beside(void *arg)
{
	int fd = open("/dev/null", O_WRONLY);

	(void)arg;
	go_named("leaked", wait_for_nobody, NULL);
	go_named("spins", spin_then_wait, NULL);
	while (!spins || weft_dump_blocked(-1, 0) < 1)
		weft_yield();
	EXPECT_EQ(weft_profile_leak(fd, INT64_MAX), 0);
	may_wait = 1;
	while (weft_numgoroutine() > 2)
		(void)weft_sleep(MS);
	leave();
}

/* The pages that a search for references reads were not used for that. */
TEST(a_stack_that_was_searched_is_not_told)
{
	struct child_result r = child_run_with(&with_lints, search_beside, NULL);

	EXPECT_EQ(r.status, 0);
	EXPECT(strstr(r.err, "more than 75 %") == NULL);
	child_result_free(&r);
}

/* ---- nobody reads ---- */

static void
come_again(int sig)
{
	(void)sig;
}

/* From now on, to whichever thread: system calls that wait begin anew each time. */
static void
have_signals(void)
{
	struct sigaction sa = {.sa_handler = come_again, .sa_flags = SA_RESTART | SA_ONSTACK};
	struct sigevent tell = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
	struct itimerspec often = {{0, 20 * MS}, {0, 20 * MS}};
	timer_t timer;		/* not alarm(2)'s, which ends a child that hangs */

	EXPECT_EQ(sigaction(SIGUSR1, &sa, NULL), 0);
	EXPECT_EQ(timer_create(CLOCK_MONOTONIC, &tell, &timer), 0);
	EXPECT_EQ(timer_settime(timer, 0, &often, NULL), 0);
}

/*
 * Standard error is a pipe that is full, and whoever reads it wants the only processor, which the
 * first report keeps. It is given up; the second one comes, and tells of it.
 */
static void
fill_and_wait(void *arg)
{
	static char buf[65536];
	int fds[2];
	ssize_t n;

	(void)arg;
	have_signals();
	EXPECT_EQ(pipe(fds), 0);
	EXPECT_EQ(fcntl(fds[1], F_SETFL, O_NONBLOCK), 0);
	memset(buf, '.', sizeof(buf));
	for (size_t part = sizeof(buf); part > 0; part = n > 0 ? part : part / 2)
		n = write(fds[1], buf, part);
	EXPECT_EQ(fcntl(fds[1], F_SETFL, 0), 0);
	EXPECT_EQ(dup2(fds[1], 2), 2);
	go_named("waits", deep_then_waits, NULL);
	while (weft_numgoroutine() > 1)
		(void)weft_sleep(MS);
	EXPECT(read(fds[0], buf, sizeof(buf)) > 0);
	go_named("ends", deep_then_ends, NULL);
	while (weft_numgoroutine() > 1)
		(void)weft_sleep(MS);
	EXPECT_EQ(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
	while ((n = read(fds[0], buf, sizeof(buf))) > 0)
		EXPECT_EQ(fwrite(buf, 1, (size_t)n, stdout), n);
	fflush(stdout);
	leave();
}

TEST(a_report_that_nobody_reads_is_lost_and_stops_nobody)
{
	static const char *const one[] = { "WEFT_DEBUG=lint=1", "WEFT_MAXPROCS=1", NULL };
	struct child_options o = { .env = one, .limit_ms = 120000 };
	struct child_result r = child_run_with(&o, fill_and_wait, NULL);

	EXPECT_EQ(r.status, 0);
	EXPECT_CONTAINS(r.out, "weft: lint: reports lost, because nobody read them: 1\n" LINT);
	EXPECT_CONTAINS(r.out, "\"ends\"]:\ndeep_then_ends(...)");
	EXPECT(strstr(r.out, "deep_then_waits") == NULL);
	child_result_free(&r);
}

/* ---- processors ---- */

static void
ask_for_many(void *arg)
{
	volatile int n = 3;	/* one place: no call of its own for each turn */

	(void)arg;
	for (int i = 0; i < n; i++)
		weft_gomaxprocs(210 - i);
	leave();
}

TEST(more_processors_than_there_are_is_told)
{
	static const char *const many[] = { "WEFT_DEBUG=lint=1", "WEFT_MAXPROCS=200", NULL };
	static const char *const one[] = { "WEFT_DEBUG=lint=1", "WEFT_MAXPROCS=1", NULL };
	struct child_options o = { .env = many, .limit_ms = 120000 };
	struct child_result r;

	if (weft_numcpu() >= 200)
		SKIP("as many processors as this test takes for too many");
	r = child_run_with(&o, ask_for_many, NULL);
	EXPECT_EQ(r.status, 0);
	EXPECT_CONTAINS(r.err, LINT "200 processors, but this process may use only ");
	EXPECT_CONTAINS(r.err, "WEFT_MAXPROCS");
	expect_lints(r.err, 2);
	child_result_free(&r);

	o.env = one;
	r = child_run_with(&o, ask_for_many, NULL);
	EXPECT_CONTAINS(r.err, LINT "210 processors, ");
	EXPECT_CONTAINS(r.err, "\nweft_gomaxprocs(...)\n");
	EXPECT_CONTAINS(r.err, "\nask_for_many(...)\n");
	expect_lints(r.err, 1);
	child_result_free(&r);
}

/* ---- and nothing else ---- */

static int
sleep_in_libc(void *arg)
{
	(void)arg;
	return usleep(30000);
}

static void
mark_and_sleep(void *arg)
{
	(void)arg;
	weft_syscall_enter();
	usleep(30000);
	weft_syscall_exit();
}

/* Two of these stacks share a page: what is of one is not the other's. */
static void
wait_on_a_small_stack(void *c)
{
	int mine = 0;

	for (int i = 0; i < 3; i++) {
		mine += i;
		(void)weft_sleep(MS);
	}
	EXPECT_EQ(mine, 3);
	(void)c;
}

static void
echo(void *c)
{
	while (weft_chan_recv(c, NULL, WEFT_FOREVER) > 0)
		weft_yield();
}

/* Waits of all kinds, blocking calls as they are to be made, and stacks that are used well. */
static void
do_no_harm(void *arg)
{
	weft_chan *c = weft_chan_new(0, 0);

	(void)arg;
	weft_go(echo, c);
	weft_go(mark_and_sleep, NULL);
	for (int i = 0; i < 10; i++) {
		weft_go_options o = { .size = sizeof(o), .stack_size = WEFT_STACK_SMALL };

		EXPECT_EQ(weft_go_with(&o, wait_on_a_small_stack, NULL), 0);
	}
	for (int i = 0; i < 30; i++) {
		EXPECT_EQ(weft_chan_send(c, NULL, WEFT_FOREVER), 0);
		(void)weft_sleep(MS);
	}
	EXPECT_EQ(weft_blocking(sleep_in_libc, NULL, WEFT_FOREVER), 0);
	weft_chan_close(c);
	while (weft_numgoroutine() > 1)
		(void)weft_sleep(MS);
	leave();
}

TEST(a_good_program_is_told_nothing)
{
	bool is_silent = false;

	/* See expect_lints(): once shows that nothing it does is taken for computing. */
	for (int i = 0; i < 10 && !is_silent; i++) {
		struct child_result r = child_run_with(&with_lints, do_no_harm, NULL);

		expect_lints(r.err, 0);
		EXPECT_EQ(r.status, 0);
		is_silent = r.err_len == 0;
		child_result_free(&r);
	}
	EXPECT(is_silent);
}

TEST(without_lints_nothing_is_told)
{
	struct child_result r = child_run_with(&without, use_stacks, NULL);

	expect_lints(r.err, 0);
	EXPECT_STR(r.err, "");
	EXPECT_EQ(r.status, 0);
	child_result_free(&r);
}

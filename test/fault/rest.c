/*
 * Threads, stacks, signals and child processes, while each call of the system fails once. If one of
 * these fails, a moment's shortage ends a program, or it waits for ever.
 *
 * ctest: timeout=300
 */
#define _GNU_SOURCE
#include <weft.h>

#include "inject.h"
#include "insist.h"
#include "threads.h"
#include "test.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* ---- Goroutines that block their threads, and that wait ---- */

TEST(goroutines_go_on_after_any_failure)
{
	(void)weft_gomaxprocs(2);	/* so that who blocks is in the way, and looked for */
	refuse_each(threads, "futex_wait malloc thread_cpu thread_state membarrier|futex_wait");
}

/* ---- One that computes, beside one that could run if it did not ---- */

static _Atomic bool is_over;

static void
end_it(void *arg)
{
	(void)arg;
	atomic_store(&is_over, true);
}

/* Calls nothing of weft's meanwhile: its thread is detached, and slowed down. */
static void
compute(void *arg)
{
	struct timespec t;
	time_t end;
	int r;

	INSIST(r, weft_waitgroup_go(arg, end_it, NULL), r == 0);
	clock_gettime(CLOCK_MONOTONIC, &t);
	for (end = t.tv_sec + 60; t.tv_sec < end; clock_gettime(CLOCK_MONOTONIC, &t))
		if (atomic_load(&is_over) && inject_made("thread_nice") != 0)
			return;
}

static void
hogs(void)
{
	weft_waitgroup all = {0};
	int r;

	atomic_store(&is_over, false);
	INSIST(r, weft_waitgroup_go(&all, compute, &all), r == 0);
	EXPECT_EQ(weft_waitgroup_wait(&all, soon()), 0);
	EXPECT(atomic_load(&is_over));
}

TEST(who_computes_keeps_nobody_out_after_any_failure)
{
	(void)weft_gomaxprocs(1);
	weft_lock_thread();	/* the first thread is never slowed down: it is ours */
	refuse_these(hogs, "thread_nice");
	weft_unlock_thread();
}

/* ---- Memory of a call ---- */

/* More cases than a goroutine's stack has room for: UBSan sees an address made of no memory. */
static void
many_cases(void)
{
	static weft_case cases[65];
	weft_chan *c;
	int r;

	do
		c = weft_chan_new(0, 1);
	while (c == NULL);
	INSIST(r, weft_chan_send(c, NULL, soon()), r == 0);
	for (int i = 0; i < 65; i++)
		cases[i] = WEFT_RECV(c, NULL);
	INSIST(r, weft_select(cases, 65, soon()), r >= 0);
	EXPECT_EQ(cases[r].res, 1);
	weft_chan_unref(c);
}

TEST(a_select_of_many_goes_after_any_failure)
{
	refuse_each(many_cases, "calloc");
}

/* ---- Signals ---- */

static void
signals(void)
{
	weft_chan *c;
	int r, got;

	do
		c = weft_chan_new(sizeof(int), 1);
	while (c == NULL);
	INSIST(r, weft_signal_notify(c, SIGUSR1), r == 0);
	EXPECT_EQ(kill(getpid(), SIGUSR1), 0);
	INSIST(r, weft_chan_recv(c, &got, soon()), r == 1);
	EXPECT_EQ(got, SIGUSR1);
	INSIST(r, weft_signal_ignore(SIGUSR1), r == 0);
	EXPECT(weft_signal_ignored(SIGUSR1));
	EXPECT_EQ(kill(getpid(), SIGUSR1), 0);
	weft_signal_stop(c);
	INSIST(r, weft_signal_reset(SIGUSR1), r == 0);
	weft_chan_unref(c);
}

TEST(a_signal_arrives_after_any_failure)
{
	refuse_each(signals, "malloc");
}

/* ---- Processes ---- */

static void
processes(void)
{
	static const char *const cat[] = {"cat", NULL};
	weft_spawn_options o = {.size = sizeof(o), .out = WEFT_STDIO_PIPE, .err = WEFT_STDIO_PIPE,
	    .input = "hello", .input_size = 5};
	weft_output out;
	int r;

	r = weft_run(cat, &o, &out, soon());
	if (r < 0 && r == injected()) {
		weft_output_free(&out);
		r = weft_run(cat, &o, &out, soon());
	}
	if (r != 0)
		FAIL("weft_run: %d", r);
	EXPECT_EQ(out.exit.code, 0);
	EXPECT_EQ(out.out_size, 5);
	EXPECT_STR(out.out, "hello");
	EXPECT_EQ(out.err_size, 0);
	weft_output_free(&out);
}

TEST(a_program_runs_after_any_failure)
{
	refuse_each(processes, "spawn pipe malloc open_null readv_nowait writev_nowait "
	    "epoll_ctl|uring_wait");
}

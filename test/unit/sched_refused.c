/*
 * Threads that the system refuses: a small limit of processes, as containers have it. Who needs one
 * and finds that another has gone idle meanwhile takes that; and nobody gives a P away any more
 * for which a thread would have to be started (src/sched/README.md, D7).
 */
#define _GNU_SOURCE
#include <weft.h>
#include "sched/sched.h"

#include "child.h"
#include "hold.h"
#include "refuse.h"
#include "window.h"

#include <errno.h>
#include <pthread.h>
#include <unistd.h>

static atomic_int ran;
static int pipes[2][2];

static void
block_as_marked(void *arg)
{
	const int *ends = arg;
	char byte;

	weft_syscall_enter();
	EXPECT_EQ(read(ends[0], &byte, 1), 1);
	weft_syscall_exit();
	atomic_fetch_add(&ran, 1);
}

static uint32_t
idle_threads(void)
{
	uint32_t n;

	(void)wf_enter();
	wf_lock(&wf_sched.lock);
	n = wf_sched.n_idle_m;
	wf_unlock(&wf_sched.lock);
	wf_leave();
	return n;
}

/* A thread has been refused: another one comes back from its call, and finds no P. */
static void *
bring_one_back(void *arg)
{
	EXPECT_EQ(idle_threads(), 0);
	atomic_fetch_add((atomic_int *)arg, 1);
	hold_await("m.refused");
	EXPECT_EQ(write(pipes[0][1], "", 1), 1);
	while (idle_threads() == 0)
		pause_ms(1);
	hold_release("m.refused");
	return NULL;
}

/* Gives its P away, and blocks until somebody writes; who counts runs on the thread that has it. */
static void
give_away(int i, int n)
{
	wf_store_relaxed(&wf_sched.gifts_left, 1);
	EXPECT_EQ(weft_go(count_one, &ran), 0);
	EXPECT_EQ(weft_go(block_as_marked, pipes[i]), 0);	/* the newest runs next */
	while (atomic_load(&ran) < n)
		weft_yield();
	EXPECT_EQ(wf_load_relaxed(&wf_sched.gifts_left), 0);
}

static void
find_one_that_is_idle(void *arg)
{
	atomic_int is_there = 0;
	pthread_t t;

	(void)arg;
	weft_gomaxprocs(1);
	for (int i = 0; i < 2; i++)
		EXPECT_EQ(pipe(pipes[i]), 0);
	hold_at("monitor.round");
	hold_await("monitor.round");
	give_away(0, 1);
	hold_at("m.refused");
	EXPECT_EQ(pthread_create(&t, NULL, bring_one_back, &is_there), 0);
	await_at_least(&is_there, 1);
	refuse(SYS_clone3, EAGAIN, /* all_threads */ true);
	refuse(SYS_clone, EAGAIN, /* all_threads */ true);
	give_away(1, 3);
	pthread_join(t, NULL);
	EXPECT(wf_load_relaxed(&wf_sched.was_refused));
	hold_release("monitor.round");
	EXPECT_EQ(write(pipes[1][1], "", 1), 1);
	while (atomic_load(&ran) < 4)
		weft_yield();
}

TEST(who_is_refused_a_thread_takes_one_that_goes_idle)
{
	static const struct child_options o = {.limit_ms = 60000};
	struct child_result r;

	hold_needed();
	need_filters();
	r = child_run_with(&o, find_one_that_is_idle, NULL);
	if (r.status != 0)
		FAIL("status %d: %s", r.status, r.err);
	child_result_free(&r);
}

TEST(who_was_refused_a_thread_gives_nothing_away)
{
	weft_gomaxprocs(1);
	hold_at("monitor.round");
	hold_await("monitor.round");
	wf_store_relaxed(&wf_sched.was_refused, 1);
	wf_store_relaxed(&wf_sched.gifts_left, 1);
	EXPECT_EQ(weft_go(count_one, &ran), 0);
	weft_syscall_enter();
	weft_syscall_exit();
	EXPECT_EQ(wf_load_relaxed(&wf_sched.gifts_left), 1);
	EXPECT_EQ(wf_load_relaxed(&wf_sched.n_detached), 0);
	EXPECT_EQ(atomic_load(&ran), 0);
	hold_release("monitor.round");
	while (atomic_load(&ran) == 0)
		weft_yield();
}

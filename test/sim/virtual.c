/*
 * What Go's testing/synctest promises, in a run of the simulator: time goes on when nobody can, and
 * only then; what can never go on is said, also beside a timer that ticks for ever.
 */
#include <weft.h>

#include "sim_util.h"

#include <errno.h>

#define SECOND ((int64_t)1000000000)
#define HOUR (3600 * SECOND)

enum { SEEDS = 50, SLEEPERS = 10 };

/* A stalled thread is late by 50 ms, and there are some of those. */
#define LATE_MAX (60 * SECOND)

/* ---- Waits ---- */

static weft_waitgroup awake;

static void
sleep_then_start_another(void *arg)
{
	intptr_t left = (intptr_t)arg;

	EXPECT_EQ(weft_sleep(HOUR), 0);
	if (left > 1)
		EXPECT_EQ(weft_go(sleep_then_start_another, (void *)(left - 1)), 0);
	weft_waitgroup_done(&awake);
}

static void
chain_of_sleepers(void *arg)
{
	int64_t from = weft_now(), took;

	(void)arg;
	weft_waitgroup_add(&awake, SLEEPERS);
	EXPECT_EQ(weft_go(sleep_then_start_another, (void *)(intptr_t)SLEEPERS), 0);
	EXPECT_EQ(weft_waitgroup_wait(&awake, WEFT_FOREVER), 0);
	took = weft_now() - from;
	EXPECT(took >= SLEEPERS * HOUR);
	EXPECT(took < SLEEPERS * HOUR + LATE_MAX);
}

/* SCENARIOS 274. If this fails, a test of what takes hours takes hours, or time goes by itself. */
TEST(a_chain_of_sleepers_takes_its_own_time)
{
	run_seeds(NULL, chain_of_sleepers, SEEDS);
}

static int n_at_work;

static void
work_and_wait(void *arg)
{
	n_at_work++;
	EXPECT_EQ(weft_chan_recv(arg, NULL, WEFT_FOREVER), 0);
	n_at_work--;
}

static void
all_blocked(void *arg)
{
	weft_chan *c = weft_chan_new(1, 0);

	(void)arg;
	for (int i = 0; i < SLEEPERS; i++)
		EXPECT_EQ(weft_go(work_and_wait, c), 0);
	/* There is no synctest.Wait: any sleep ends when nobody else can go on. */
	weft_sleep(SECOND);
	EXPECT_EQ(n_at_work, SLEEPERS);
	weft_chan_close(c);
	weft_sleep(SECOND);
	EXPECT_EQ(n_at_work, 0);
	weft_chan_unref(c);
}

/* SCENARIOS 274. If this fails, a test cannot wait until all it has started is done or waits. */
TEST(a_sleep_ends_when_all_others_wait)
{
	weft_sim_options o = {.size = sizeof(o), .no_faults = true};

	run_seeds(&o, all_blocked, SEEDS);
}

/* ---- Timers ---- */

static int n_fired;

static void
count_fired(void *arg)
{
	(void)arg;
	n_fired++;
}

static void
timers(void *arg)
{
	int64_t due = weft_in(HOUR), told = 0, from;
	weft_timer *t = weft_timer_new(due, 0, NULL, NULL);
	weft_chan *c = weft_timer_chan(t);

	(void)arg;
	/* Read before it is due, and after. */
	EXPECT_EQ(weft_chan_recv(c, &told, WEFT_NOW), -ETIMEDOUT);
	EXPECT_EQ(weft_chan_recv(c, &told, WEFT_FOREVER), 1);
	EXPECT_EQ(told, due);
	EXPECT(weft_now() >= due && weft_now() < due + LATE_MAX);
	due = weft_in(HOUR);
	EXPECT(!weft_timer_reset(t, due, 0));
	weft_sleep(2 * HOUR);
	EXPECT_EQ(weft_chan_recv(c, &told, WEFT_NOW), 1);
	EXPECT_EQ(told, due);
	/* Reset while it is pending: the first time is forgotten. */
	EXPECT(!weft_timer_reset(t, weft_in(HOUR), 0));
	EXPECT(weft_timer_reset(t, weft_in(3 * HOUR), 0));
	from = weft_now();
	EXPECT_EQ(weft_chan_recv(c, &told, WEFT_FOREVER), 1);
	EXPECT(weft_now() - from > 2 * HOUR);
	weft_timer_free(t);
	/* Due at once, with a function. */
	t = weft_timer_new(weft_now(), 0, count_fired, NULL);
	weft_sleep(LATE_MAX);
	EXPECT_EQ(n_fired, 1);
	EXPECT(weft_timer_reset(t, WEFT_NOW, 0) == false);
	weft_sleep(LATE_MAX);
	EXPECT_EQ(n_fired, 2);
	weft_timer_free(t);
}

/* ---- How late ---- */

enum { CROWD = 500, APART = 10000 };

static int64_t woke_at[CROWD], worst_late;
static int n_woken;

static void
sleep_in_a_crowd(void *arg)
{
	int64_t due = weft_in((int64_t)(intptr_t)arg * APART), now;

	EXPECT_EQ(weft_sleep(due - weft_now()), 0);
	now = weft_now();
	worst_late = now - due > worst_late ? now - due : worst_late;
	woke_at[n_woken++] = now;
	weft_waitgroup_done(&awake);
}

static void
crowd(void *arg)
{
	int64_t from, late;
	int n_pauses = 0;

	(void)arg;
	weft_waitgroup_add(&awake, CROWD);
	for (intptr_t i = 1; i <= CROWD; i++)
		EXPECT_EQ(weft_go(sleep_in_a_crowd, (void *)(CROWD + i)), 0);
	EXPECT_EQ(weft_waitgroup_wait(&awake, WEFT_FOREVER), 0);
	for (int i = 1; i < CROWD; i++)
		n_pauses += woke_at[i] - woke_at[i - 1] > 5 * APART;
	EXPECT(n_pauses >= 10);
	EXPECT(worst_late < 400000);
	/* Nobody is near these: they are punctual, the first too. */
	for (int i = 0; i < 10; i++) {
		from = weft_now();
		EXPECT_EQ(weft_sleep(100000), 0);
		late = weft_now() - from - 100000;
		EXPECT(late < 100000);
	}
}

/* If this fails, dense timers wake a thread each, or one that is alone is late for company. */
TEST(many_timers_share_a_wake_and_a_lone_one_is_punctual)
{
	weft_sim_options o = {.size = sizeof(o), .procs = 1, .no_faults = true};

	run_seeds(&o, crowd, SEEDS);
}

/* SCENARIOS 275. If this fails, timers in a simulated test are not those of the program. */
TEST(timers_keep_to_the_simulated_clock)
{
	run_seeds(NULL, timers, SEEDS);
}

/* ---- What can never go on ---- */

static weft_chan *nobodys;

static void
wait_for_nobody(void *arg)
{
	(void)arg;
	weft_chan_recv(nobodys, NULL, WEFT_FOREVER);
}

static void
all_wait_for_nobody(void *arg)
{
	nobodys = weft_chan_new(1, 0);
	EXPECT_EQ(weft_go(wait_for_nobody, NULL), 0);
	wait_for_nobody(arg);
}

static void
leave_waiting(void *arg)
{
	(void)arg;
	nobodys = weft_chan_new(1, 0);
	EXPECT_EQ(weft_go(wait_for_nobody, NULL), 0);
}

static void
leave_waiting_beside_a_ticker(void *arg)
{
	EXPECT(weft_timer_new(weft_in(SECOND), SECOND, NULL, NULL) != NULL);
	leave_waiting(arg);
}

static void
expect_said(void (*fn)(void *), const char *what)
{
	weft_sim_options o = {.size = sizeof(o), .no_faults = true, .max_steps = 100000000};
	weft_sim_result r;

	EXPECT_EQ(weft_sim_run_with(&o, 1, fn, NULL, &r), 1);
	EXPECT_CONTAINS(r.what, what);
}

/* SCENARIOS 278. The one that asks waits itself; it has returned; something ticks meanwhile. */
TEST(who_can_never_go_on_is_told_of)
{
	expect_said(all_wait_for_nobody, "status 2");	/* the runtime's own report of a deadlock */
	expect_said(leave_waiting, "1 goroutines are left");
	expect_said(leave_waiting_beside_a_ticker, "1 goroutines are left");
}

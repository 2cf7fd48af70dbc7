/*
 * Many that were started: the newest run first, few live at a time, and nobody starves
 * (src/sched/README.md, "Newest first"). The monitor stands still where the order is looked at: it
 * neither takes a processor from a test that was slow, nor tells that a slice is over.
 *
 * ctest: timeout=120
 */
#include <weft.h>
#include "sched/go.h"
#include "sched/sched.h"

#include "hold.h"
#include "test.h"
#include "window.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { MANY = 400, FEW = RUNQ_CROWD };

static int order[MANY];
static atomic_int ran;
static atomic_bool stop;
static weft_waitgroup all;

static void
one_processor(void)
{
	EXPECT_EQ(setenv("WEFT_MAXPROCS", "1", 1), 0);
	EXPECT_EQ(weft_gomaxprocs(0), 1);
}

/* It stays with whoever has it, and no slice ends. */
static void
without_monitor(void)
{
	hold_at("monitor.round");
	hold_await("monitor.round");
}

static void
note(void *number)
{
	order[atomic_fetch_add(&ran, 1)] = (int)(intptr_t)number;
	weft_waitgroup_done(&all);
}

/* Starts n that note when they run. */
static void
start(int n)
{
	atomic_store(&ran, 0);
	weft_waitgroup_add(&all, n);
	for (int i = 0; i < n; i++)
		EXPECT_EQ(weft_go(note, (void *)(intptr_t)i), 0);
}

/* The last that was started, and then the first to the last but one, as in Go. */
TEST(few_run_in_the_order_of_their_start)
{
	one_processor();
	without_monitor();
	start(FEW);
	weft_waitgroup_wait(&all, WEFT_FOREVER);
	EXPECT_EQ(order[0], FEW - 1);
	for (int i = 1; i < FEW; i++)
		EXPECT_EQ(order[i], i - 1);
	hold_release("monitor.round");
}

/* E2, E5: the newest, until no more are left than a thief would take at a time. */
TEST(of_many_the_newest_run_first)
{
	one_processor();
	without_monitor();
	start(MANY);
	weft_waitgroup_wait(&all, WEFT_FOREVER);
	for (int i = 0; i < MANY - (int)RUNQ_BATCH; i++)
		EXPECT_EQ(order[i], MANY - 1 - i);
	for (int i = 0; i < (int)RUNQ_BATCH; i++)
		EXPECT_EQ(order[MANY - (int)RUNQ_BATCH + i], i);
	hold_release("monitor.round");
}

/* E1 comes again: what is left of the crowd before is not in the way. */
TEST(a_second_crowd_is_one_too)
{
	one_processor();
	without_monitor();
	for (int round = 0; round < 3; round++) {
		start(MANY);
		weft_waitgroup_wait(&all, WEFT_FOREVER);
		EXPECT_EQ(order[1], MANY - 2);
		EXPECT_EQ(order[MANY - 1], (int)RUNQ_BATCH - 1);
	}
	hold_release("monitor.round");
}

static void
yield_among_many(void *arg)
{
	(void)arg;
	weft_yield();
	EXPECT_EQ(atomic_load(&ran), MANY);
	weft_waitgroup_done(&all);
}

/* E3. */
TEST(who_yields_comes_behind_all_that_wait)
{
	one_processor();
	without_monitor();
	start(MANY);
	weft_waitgroup_add(&all, 1);
	EXPECT_EQ(weft_go(yield_among_many, NULL), 0);
	weft_waitgroup_wait(&all, WEFT_FOREVER);
	for (int i = 0; i < MANY; i++)
		EXPECT_EQ(order[i], i);
	hold_release("monitor.round");
}

static void
end(void *arg)
{
	(void)arg;
	weft_waitgroup_done(&all);
}

/* Who starts more than there is room for gives way, and nobody is sent to the global queue. */
TEST(a_full_ring_does_not_overflow)
{
	int n = 10 * (int)RUNQ_CAP;

	one_processor();
	without_monitor();
	weft_waitgroup_add(&all, n);
	for (int i = 0; i < n; i++) {
		EXPECT_EQ(weft_go(end, NULL), 0);
		EXPECT_EQ(wf_load_relaxed(&wf_sched.runq_len), 0);
	}
	weft_waitgroup_wait(&all, WEFT_FOREVER);
	hold_release("monitor.round");
}

static void
end_it(void *arg)
{
	(void)arg;
	atomic_store(&stop, true);
	weft_waitgroup_done(&all);
}

static void
nothing(void *arg)
{
	(void)arg;
}

/* Starts its like, and one more so that this one does not run next at once; for ever. */
static void
go_on(void *arg)
{
	if (!atomic_load(&stop)) {
		EXPECT_EQ(weft_go(go_on, arg), 0);
		EXPECT_EQ(weft_go(nothing, NULL), 0);
	}
}

/* E4: hundreds start others without end, and one waits that would end it, older than all. */
TEST(the_oldest_has_its_turn)
{
	one_processor();
	weft_waitgroup_add(&all, 1);
	EXPECT_EQ(weft_go(end_it, NULL), 0);
	for (int i = 0; i < MANY; i++)
		EXPECT_EQ(weft_go(go_on, NULL), 0);
	weft_waitgroup_wait(&all, WEFT_FOREVER);
}

/* With the monitor asleep, so that only this one tells that slices are over. */
static int n_slices;

static void
go_on_for_slices(void *arg)
{
	static int n;

	if (atomic_load(&ran) == (int)RUNQ_BATCH || n_slices == 50)
		return;
	EXPECT_EQ(weft_go(go_on_for_slices, arg), 0);
	EXPECT_EQ(weft_go(nothing, NULL), 0);
	if (++n % 1000 != 0)
		return;
	n_slices++;
	wf_store_relaxed(&wf_sched.now_coarse, wf_load_relaxed(&wf_sched.now_coarse) + SLICE_NS);
}

/* E3: after ten turns of one, a round of all, although others are started without end. */
TEST(all_have_their_turn_after_ten_slices)
{
	one_processor();
	without_monitor();
	start(RUNQ_BATCH);
	for (int i = 0; i < MANY - (int)RUNQ_BATCH; i++)
		EXPECT_EQ(weft_go(go_on_for_slices, NULL), 0);
	weft_waitgroup_wait(&all, WEFT_FOREVER);
	if (n_slices > 2 * (int)NEWEST_SLICES)
		FAIL("after %d slices", n_slices);
	hold_release("monitor.round");
}

static atomic_int most_turns;

/* Until all have begun. */
static void
sleep_again_and_again(void *arg)
{
	int turns = 0;

	(void)arg;
	atomic_fetch_add(&ran, 1);
	while (atomic_load(&ran) < MANY && ++turns < 10000)
		EXPECT_EQ(weft_sleep(10000), 0);
	if (turns > atomic_load(&most_turns))
		atomic_store(&most_turns, turns);
	weft_waitgroup_done(&all);
}

/* E3: whom timers wake comes behind all that wait. */
TEST(who_sleeps_again_and_again_keeps_nobody_out)
{
	one_processor();
	without_monitor();
	weft_waitgroup_add(&all, MANY);
	for (int i = 0; i < MANY; i++)
		EXPECT_EQ(weft_go(sleep_again_and_again, NULL), 0);
	weft_waitgroup_wait(&all, WEFT_FOREVER);
	if (atomic_load(&most_turns) > 100)
		FAIL("some ran %d times before others had begun", atomic_load(&most_turns));
	hold_release("monitor.round");
}

/* ---- A tree ---- */

static atomic_int most;

static void
tree(void *depth)
{
	intptr_t d = (intptr_t)depth;
	weft_waitgroup below = { 0 };
	int n = weft_numgoroutine();

	if (n > atomic_load(&most))
		atomic_store(&most, n);
	for (int i = 0; d > 0 && i < 2; i++)
		EXPECT_EQ(weft_waitgroup_go(&below, tree, (void *)(d - 1)), 0);
	weft_waitgroup_wait(&below, WEFT_FOREVER);
}

/* Of 32,767 some 650 live at a time, where in the order of their start 7,000 do. */
TEST(of_a_tree_few_live_at_a_time)
{
	one_processor();
	tree((void *)(intptr_t)14);
	if (atomic_load(&most) > 2000)
		FAIL("%d lived at a time", atomic_load(&most));
}

/* ---- Beside a thief ---- */

static void
hog(void *started)
{
	atomic_store((atomic_int *)started, 1);
	while (!atomic_load(&stop))
		continue;
}

static void *
let_the_other_steal(void *arg)
{
	hold_await("ring.newest");
	/* All but the one that nobody sees, for its owner is about to take it. */
	atomic_store(&stop, true);
	await_at_least(&ran, MANY - 1);
	hold_release("ring.newest");
	return arg;
}

/*
 * Q10: the owner has lowered the tail, and before it looks how far thieves have come all others are
 * stolen.
 */
TEST(all_are_stolen_while_the_owner_takes_the_newest)
{
	atomic_int started = 0;
	pthread_t t;

	/* Else the ring may be its holder's own, and needs no look. */
	EXPECT_EQ(setenv("WEFT_DEBUG", "nomembarrier=1", 1), 0);
	weft_gomaxprocs(2);
	without_monitor();
	EXPECT_EQ(weft_go(hog, &started), 0);
	await_at_least(&started, 1);
	hold_at("ring.newest");
	EXPECT_EQ(pthread_create(&t, NULL, let_the_other_steal, NULL), 0);
	start(MANY);
	weft_waitgroup_wait(&all, WEFT_FOREVER);
	EXPECT_EQ(atomic_load(&ran), MANY);
	EXPECT_EQ(pthread_join(t, NULL), 0);
	hold_release("monitor.round");
}

/*
 * The first P, while it is the only one (src/sched/README.md, "A P alone"): its ring is not shared,
 * and becomes so when another is added, whatever its goroutine does at that moment.
 */
#include <weft.h>
#include "sched/sched.h"

#include "test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

static atomic_bool has_run, may_end, may_add;

static void
one_processor(void)
{
	EXPECT_EQ(setenv("WEFT_MAXPROCS", "1", 1), 0);
	EXPECT_EQ(weft_gomaxprocs(0), 1);
	EXPECT(runq_is_alone(&wf_sched.all_p[0]->runq));
}

static void
run(void *arg)
{
	(void)arg;
	atomic_store(&has_run, true);
}

/* A plain thread, which holds no P. */
static void *
add_a_p(void *arg)
{
	while (!atomic_load(&may_add))
		continue;
	EXPECT_EQ(weft_gomaxprocs(2), 1);
	return arg;
}

/* X2. Who adds the P holds the first one: what waits there can be had at once. */
TEST(a_p_that_adds_another_shares_its_ring)
{
	one_processor();
	EXPECT_EQ(weft_go(run, NULL), 0);
	EXPECT_EQ(weft_gomaxprocs(2), 1);
	EXPECT(!runq_is_alone(&wf_sched.all_p[0]->runq));
	while (!atomic_load(&has_run))	/* no call of weft: the other P has it */
		continue;
}

/* X3. The P is added behind the back of a goroutine that computes without end. */
TEST(work_behind_a_computing_goroutine_goes_to_a_new_p)
{
	pthread_t t;

	one_processor();
	EXPECT_EQ(pthread_create(&t, NULL, add_a_p, NULL), 0);
	EXPECT_EQ(weft_go(run, NULL), 0);
	atomic_store(&may_add, true);
	while (!atomic_load(&has_run))
		continue;
	EXPECT_EQ(pthread_join(t, NULL), 0);
}

/* The same, and it goes on calling weft, without ever giving way. */
TEST(work_behind_a_calling_goroutine_goes_to_a_new_p)
{
	pthread_t t;

	one_processor();
	EXPECT_EQ(pthread_create(&t, NULL, add_a_p, NULL), 0);
	EXPECT_EQ(weft_go(run, NULL), 0);
	atomic_store(&may_add, true);
	while (!atomic_load(&has_run))
		(void)weft_goid();
	EXPECT_EQ(pthread_join(t, NULL), 0);
}

static void
spin_until_told(void *arg)
{
	(void)arg;
	while (!atomic_load(&may_end))
		continue;
}

/* Both Ps share from the start when there are two. */
TEST(two_from_the_start_are_not_alone)
{
	EXPECT_EQ(setenv("WEFT_MAXPROCS", "2", 1), 0);
	EXPECT_EQ(weft_gomaxprocs(0), 2);
	EXPECT(!runq_is_alone(&wf_sched.all_p[0]->runq));
	EXPECT(!runq_is_alone(&wf_sched.all_p[1]->runq));
	EXPECT_EQ(weft_go(spin_until_told, NULL), 0);
	atomic_store(&may_end, true);
}

/* One that is never the only P again stays shared: fewer Ps do not make it alone. */
TEST(back_to_one_stays_shared)
{
	one_processor();
	EXPECT_EQ(weft_gomaxprocs(2), 1);
	EXPECT_EQ(weft_gomaxprocs(1), 2);
	for (int i = 0; i < 100; i++) {
		atomic_store(&has_run, false);
		EXPECT_EQ(weft_go(run, NULL), 0);
		while (!atomic_load(&has_run))
			weft_yield();
	}
	EXPECT(!runq_is_alone(&wf_sched.all_p[0]->runq));
}

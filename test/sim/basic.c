/*
 * The simulator keeps its word: a seed is a run, time is free, and what goes wrong is said.
 */
#include <weft.h>
#include <weft/sim.h>

#include "child.h"
#include "test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { SEEDS = 30 };

/* ---- A seed is a run ---- */

static void
add(void *arg)
{
	weft_chan *c = arg;

	for (int i = 0; i < 20; i++) {
		weft_sleep((int64_t)(weft_sim_random() % 1000000));
		weft_chan_send(c, &i, WEFT_FOREVER);
	}
}

static void
fan_in(void *arg)
{
	weft_chan *c = weft_chan_new(sizeof(int), 2);
	int sum = 0, v;

	(void)arg;
	for (int i = 0; i < 5; i++)
		EXPECT_EQ(weft_go(add, c), 0);
	for (int i = 0; i < 100; i++) {
		EXPECT_EQ(weft_chan_recv(c, &v, WEFT_FOREVER), 1);
		sum += v;
	}
	EXPECT_EQ(sum, 5 * 190);
	weft_chan_unref(c);
}

/* If this fails, a failure that was found can't be looked at a second time. */
TEST(the_same_seed_is_the_same_run)
{
	weft_sim_result a, b;

	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		EXPECT_EQ(weft_sim_run_with(NULL, seed, fan_in, NULL, &a), 0);
		EXPECT_EQ(weft_sim_run_with(NULL, seed, fan_in, NULL, &b), 0);
		EXPECT_EQ(a.hash, b.hash);
		EXPECT_EQ(a.steps, b.steps);
		EXPECT_EQ(a.elapsed_ns, b.elapsed_ns);
	}
}

/* If this fails, a thousand seeds are one test run a thousand times. */
TEST(another_seed_is_another_run)
{
	weft_sim_result r[SEEDS];

	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		EXPECT_EQ(weft_sim_run_with(NULL, seed, fan_in, NULL, &r[seed]), 0);
		for (uint64_t i = 0; i < seed; i++)
			EXPECT(r[i].hash != r[seed].hash);
	}
}

/* ---- Time ---- */

#define SECOND ((int64_t)1000000000)
#define HOUR (3600 * SECOND)

static void
sleep_a_year(void *arg)
{
	int64_t from = weft_now(), took;

	(void)arg;
	for (int day = 0; day < 365; day++)
		EXPECT_EQ(weft_sleep(24 * HOUR), 0);
	took = weft_now() - from;
	EXPECT(took >= 365 * 24 * HOUR);
	EXPECT(took < 365 * 24 * HOUR + HOUR);
}

/* If this fails, what waits for minutes can only be tested by waiting for minutes. */
TEST(a_year_takes_no_time)
{
	weft_sim_result r;

	EXPECT_EQ(weft_sim_run_with(NULL, 1, sleep_a_year, NULL, &r), 0);
	EXPECT(r.elapsed_ns >= 365 * 24 * HOUR);
}

static void
hog(void *arg)
{
	weft_event *done = arg;

	weft_sim_compute(SECOND);
	weft_event_set(done);
}

static void
tick_beside_a_hog(void *arg)
{
	weft_event done = {0};
	int64_t worst = 0;

	(void)arg;
	EXPECT_EQ(weft_go(hog, &done), 0);
	for (int i = 0; i < 100; i++) {
		int64_t due = weft_in(1000000), late;

		EXPECT_EQ(weft_event_wait(&done, due), -ETIMEDOUT);
		late = weft_now() - due;
		worst = late > worst ? late : worst;
	}
	/* The contract says about 10 ms; the first tick may meet a monitor that slept, too. */
	EXPECT(worst < 50000000);
	EXPECT_EQ(weft_event_wait(&done, WEFT_FOREVER), 0);
}

/* A loop that never calls weft stalls nobody, on one processor and on several. */
TEST(a_computing_goroutine_stalls_nobody)
{
	weft_sim_options o = {.size = sizeof(o), .no_faults = true};

	for (uint64_t seed = 0; seed < SEEDS; seed++)
		EXPECT_EQ(weft_sim_run_with(&o, seed, tick_beside_a_hog, NULL, NULL), 0);
}

static void
sleep_in_the_kernel(void *arg)
{
	weft_sim_block(SECOND);
	weft_waitgroup_done(arg);
}

static void
blocked_calls(void *arg)
{
	weft_waitgroup all = {0};
	int64_t from = weft_now();

	(void)arg;
	weft_waitgroup_add(&all, 20);
	for (int i = 0; i < 20; i++)
		EXPECT_EQ(weft_go(sleep_in_the_kernel, &all), 0);
	EXPECT_EQ(weft_waitgroup_wait(&all, WEFT_FOREVER), 0);
	EXPECT(weft_now() - from < 2 * SECOND);	/* all at once, not one after the other */
}

TEST(blocking_calls_run_beside_each_other)
{
	for (uint64_t seed = 0; seed < SEEDS; seed++)
		EXPECT_EQ(weft_sim_run(seed, blocked_calls, NULL), 0);
}

/* ---- What goes wrong is said ---- */

static void
wait_for_nothing(void *arg)
{
	weft_chan *c = weft_chan_new(1, 0);

	(void)arg;
	weft_chan_recv(c, NULL, WEFT_FOREVER);
}

static void
leave_one_behind(void *arg)
{
	(void)arg;
	EXPECT_EQ(weft_go(wait_for_nothing, NULL), 0);
}

static void
crash(void *arg)
{
	(void)arg;
	weft_sleep(1);
	abort();
}

static void
leave_early(void *arg)
{
	(void)arg;
	weft_sleep(1);
	_exit(0);
}

static void
spin_for_ever(void *arg)
{
	(void)arg;
	for (;;)
		weft_yield();
}

static void
expect_failure(void (*fn)(void *), const char *what)
{
	weft_sim_options o = {.size = sizeof(o), .max_steps = 1000000};
	weft_sim_result r;

	EXPECT_EQ(weft_sim_run_with(&o, 7, fn, NULL, &r), 1);
	EXPECT_CONTAINS(r.what, what);
}

TEST(a_deadlock_fails)
{
	expect_failure(wait_for_nothing, "status 2");	/* the runtime says the rest itself */
}

TEST(a_goroutine_that_is_left_fails)
{
	expect_failure(leave_one_behind, "1 goroutines are left");
}

TEST(a_crash_fails)
{
	expect_failure(crash, "signal 6");
}

TEST(an_early_exit_fails)
{
	expect_failure(leave_early, "status 0");
}

TEST(a_livelock_fails)
{
	expect_failure(spin_for_ever, "no end after");
}

static void
said_with_its_seed(void *arg)
{
	(void)arg;
	weft_sim_run(4711, leave_one_behind, NULL);
}

/* If this fails, nobody can replay what a night of tests has found. */
TEST(a_failure_names_its_seed)
{
	struct child_result r = child_run(said_with_its_seed, NULL);

	EXPECT_CONTAINS(r.err, "weft_sim: seed 4711: 1 goroutines are left");
	EXPECT_CONTAINS(r.err, "[chan receive");
	child_result_free(&r);
}

static void
say_run(void *arg)
{
	(void)arg;
	EXPECT_EQ(write(1, "run ", 4), 4);
}

static void
fail_when_run(void *arg)
{
	say_run(arg);
	abort();
}

static void
again(void *arg)
{
	weft_sim_result r = {.failed = 1};

	EXPECT_EQ(setenv("WEFT_SIM_SEED", "4", 1), 0);
	for (uint64_t seed = 1; seed <= 3; seed++)
		EXPECT_EQ(weft_sim_run_with(NULL, seed, fail_when_run, arg, &r), 0);
	EXPECT_EQ(r.failed, 0);
	EXPECT_EQ(weft_sim_run(4, fail_when_run, arg), 1);
	EXPECT_EQ(weft_sim_run(5, fail_when_run, arg), 0);
}

/* If this fails, who has a loop over a thousand seeds must change it to see the one that failed. */
TEST(a_failure_says_how_to_see_it_again)
{
	struct child_result r = child_run(again, NULL);

	EXPECT_EQ(r.status, 0);
	EXPECT(strcmp(r.out, "run ") == 0);
	EXPECT_CONTAINS(r.err, "weft_sim: seed 4: the run died of signal 6");
	EXPECT_CONTAINS(r.err, "weft_sim: again: WEFT_SIM_SEED=4 /");
	child_result_free(&r);
}

/* ---- Outside of a run ---- */

static void
run_within(void *arg)
{
	(void)arg;
	EXPECT_EQ(weft_sim_run(1, fan_in, NULL), -EBUSY);
}

TEST(there_is_no_run_within_a_run)
{
	EXPECT_EQ(weft_sim_run(1, run_within, NULL), 0);
}

/* The library is a whole weft, which a test may use as such; but then no run can begin. */
TEST(without_a_run_it_is_weft)
{
	int64_t from = weft_now();

	EXPECT_EQ(weft_sim_random(), 0);
	EXPECT_EQ(weft_sim_thread(crash, NULL), -ENOSYS);
	weft_sim_compute(HOUR);
	weft_sim_block(HOUR);
	EXPECT_EQ(weft_sleep(1000000), 0);
	EXPECT(weft_now() - from >= 1000000);
	EXPECT_EQ(weft_sim_run(1, fan_in, NULL), -EBUSY);
}

/* ---- Threads of others ---- */

static void
foreign(void *arg)
{
	weft_chan *c = arg;
	int v = 42;

	EXPECT_EQ(weft_chan_send(c, &v, WEFT_FOREVER), 0);
	EXPECT_EQ(weft_sleep(HOUR), 0);
	EXPECT_EQ(weft_chan_send(c, &v, WEFT_FOREVER), 0);
}

static void
listen_to_threads(void *arg)
{
	weft_chan *c = weft_chan_new(sizeof(int), 0);
	int v;

	(void)arg;
	for (int i = 0; i < 3; i++)
		EXPECT_EQ(weft_sim_thread(foreign, c), 0);
	for (int i = 0; i < 6; i++) {
		EXPECT_EQ(weft_chan_recv(c, &v, WEFT_FOREVER), 1);
		EXPECT_EQ(v, 42);
	}
}

TEST(foreign_threads_are_simulated_too)
{
	for (uint64_t seed = 0; seed < SEEDS; seed++)
		EXPECT_EQ(weft_sim_run(seed, listen_to_threads, NULL), 0);
}

/* What a run writes to shared memory its caller sees. */
static void
write_shared(void *arg)
{
	int *p = arg;

	*p = 5;
}

TEST(shared_memory_gets_results_out)
{
	int *p = mmap(NULL, sizeof(*p), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	EXPECT(p != MAP_FAILED);
	EXPECT_EQ(weft_sim_run(1, write_shared, p), 0);
	EXPECT_EQ(*p, 5);
}

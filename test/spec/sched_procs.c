/*
 * Ps: that many goroutines really run side by side, and Ps come and go under load without losing
 * anybody, and without stopping anybody.
 *
 * ctest: timeout=120
 */
#define _GNU_SOURCE
#include "sched_util.h"

#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * SCENARIOS 51: P goroutines pass a turn round by spinning, P > processors. If one P is not really
 * running, the turn never comes round.
 */
struct turn {
	atomic_int next;
	int procs;
	weft_waitgroup done;
};

struct turn_arg {
	struct turn *t;
	int id;
};

static void
take_turns(void *p)
{
	struct turn_arg *a = p;
	struct turn *t = a->t;

	for (int i = 0; i < 3; i++) {
		while (atomic_load(&t->next) != t->procs * i + a->id)
			;
		atomic_fetch_add(&t->next, 1);
	}
	weft_waitgroup_done(&t->done);
}

static void
parallelism(int procs)
{
	struct turn t = { .procs = procs };
	struct turn_arg args[16];

	weft_waitgroup_add(&t.done, procs);
	for (int i = 0; i < procs; i++) {
		args[i] = (struct turn_arg){ &t, i };
		EXPECT_EQ(weft_go(take_turns, &args[i]), 0);
	}
	EXPECT_EQ(weft_waitgroup_wait(&t.done, weft_in(20 * S)), 0);
}

TEST(spinning_goroutines_run_in_parallel)
{
	weft_gomaxprocs(4);
	for (int i = 0; i < 10; i++)
		parallelism(4);
}

/*
 * SCENARIOS 52: the same when they are made two levels deep, after a burst of load and beside a
 * listener that nobody calls: a P that is idle must always be found.
 */
static void
count_up(void *arg)
{
	(void)arg;
	atomic_fetch_add(&count, 1);
}

static void
two_levels_deep(void *p)
{
	struct turn_arg *args = p;

	for (int i = 0; i < args->t->procs; i++)
		EXPECT_EQ(weft_go(take_turns, &args[i]), 0);
}

static void
parallelism_below(int procs)
{
	struct turn t = { .procs = procs };
	struct turn_arg args[16];

	for (int i = 0; i < procs; i++)
		args[i] = (struct turn_arg){ &t, i };
	weft_waitgroup_add(&t.done, procs);
	EXPECT_EQ(weft_go(two_levels_deep, args), 0);
	EXPECT_EQ(weft_waitgroup_wait(&t.done, weft_in(20 * S)), 0);
}

static void
wait_in_accept(void *fd)
{
	EXPECT_EQ(weft_accept(*(int *)fd, NULL, NULL, WEFT_FOREVER), -EBADF);
	atomic_fetch_add(&count, 1);
}

TEST(spinning_goroutines_run_in_parallel_beside_a_poller)
{
	int fd = weft_listen("tcp", "127.0.0.1:0", 0);

	EXPECT(fd >= 0);
	weft_go(wait_in_accept, &fd);
	weft_gomaxprocs(4);
	for (int round = 0; round < 10; round++) {
		atomic_store(&count, 0);
		for (int i = 0; i < 1000; i++)
			weft_go(count_up, NULL);
		wait_for(1000);
		parallelism(4);
		parallelism_below(4);
	}
	atomic_store(&count, 0);
	weft_close(fd);
	wait_for(1);
}

/*
 * SCENARIOS 61, 62: two goroutines change the number of Ps, as fast as they can, while others run
 * for ever, with and without ever calling weft, and others meet at barriers. In Go each change
 * stops the world; here nothing may stop, and nothing hang.
 */
static void
run_for_ever(void *calls)
{
	volatile long sink = 0;

	while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
		sink++;
		if (calls != NULL)
			weft_yield();
	}
	atomic_fetch_add(&count, 1);
}

static atomic_long n_changes;

static void
change_procs(void *seed)
{
	uint64_t s = *(uint64_t *)seed;

	for (int i = 0; i < 1000 / test_scale(); i++) {
		int old = weft_gomaxprocs(1 + (int)(test_rand(&s) % 8));

		EXPECT(old >= 1 && old <= 8);
		atomic_fetch_add(&n_changes, 1);
		if (i % 16 == 0)
			weft_yield();
	}
	atomic_fetch_add(&count, 1);
}

/* Four goroutines wait for each other again and again. */
static weft_mutex barrier_mutex;
static weft_cond barrier_cond;
static int n_arrived, generation;

static void
meet_at_barriers(void *arg)
{
	(void)arg;
	while (!atomic_load(&stop)) {
		int mine;

		weft_mutex_lock(&barrier_mutex);
		mine = generation;
		if (++n_arrived == 4) {
			n_arrived = 0;
			generation++;
			weft_cond_broadcast(&barrier_cond);
		}
		while (mine == generation && !atomic_load(&stop))
			(void)weft_cond_wait(&barrier_cond, &barrier_mutex, weft_in(50 * MS));
		weft_mutex_unlock(&barrier_mutex);
	}
	atomic_fetch_add(&count, 1);
}

TEST(ps_change_beside_goroutines_that_run_for_ever)
{
	uint64_t seed = test_seed(), seeds[2] = { seed, ~seed };

	weft_gomaxprocs(4);
	for (int i = 0; i < 5; i++)
		weft_go(run_for_ever, i < 3 ? NULL : &stop);
	for (int i = 0; i < 4; i++)
		weft_go(meet_at_barriers, NULL);
	weft_go(change_procs, &seeds[0]);
	weft_go(change_procs, &seeds[1]);
	wait_for(2);
	EXPECT(atomic_load(&n_changes) >= 2 * (1000 / test_scale()));
	for (int met = 0; met == 0; weft_sleep(MS)) {	/* or the test has no end */
		weft_mutex_lock(&barrier_mutex);
		met = generation;
		weft_mutex_unlock(&barrier_mutex);
	}
	atomic_store(&stop, true);
	wait_for(2 + 5 + 4);
}

/* SCENARIOS 61: all goroutines can be looked at while as many as there are Ps spin. */
TEST(a_dump_needs_nobody_to_stop)
{
	int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

	EXPECT(fd >= 0);
	weft_gomaxprocs(4);
	for (int i = 0; i < 5; i++)
		weft_go(run_for_ever, NULL);
	for (int i = 0; i < 10; i++) {
		weft_dump(fd);
		weft_sleep(MS);
	}
	atomic_store(&stop, true);
	wait_for(5);
	close(fd);
}

/*
 * SCENARIOS 81: a change of the number of Ps does not throw those that run off their threads: a
 * goroutine that computes, and looks in now and then, is still on its thread after most changes.
 */
static atomic_long n_moves;

static void
compute_and_look_in(void *arg)
{
	long before = syscall(SYS_gettid), now;

	(void)arg;
	while (!atomic_load(&stop)) {
		for (volatile int i = 0; i < 2000; i++)
			;
		(void)weft_goid();
		now = syscall(SYS_gettid);
		if (now != before)
			atomic_fetch_add(&n_moves, 1);
		before = now;
	}
	atomic_fetch_add(&count, 1);
}

TEST(who_runs_keeps_its_thread_when_ps_change)
{
	int n_changed = 0;

	weft_gomaxprocs(4);
	weft_go(compute_and_look_in, NULL);
	weft_go(compute_and_look_in, NULL);
	weft_sleep(5 * MS);
	for (int i = 0; i < 50; i++) {
		long before = atomic_load(&n_moves);

		weft_gomaxprocs(i % 2 == 0 ? 6 : 5);
		weft_sleep(MS);
		n_changed += atomic_load(&n_moves) != before;
	}
	atomic_store(&stop, true);
	wait_for(2);
	if (n_changed > 25)
		FAIL("after %d of 50 changes a goroutine was on another thread", n_changed);
}

/*
 * SCENARIOS 62, 82: Ps come and go under load. A goroutine or a timer lost with a P would hang
 * this for ever.
 */
static void
sleep_and_count(void *arg)
{
	for (int i = 0; i < 20; i++) {
		weft_sleep(100000 + (int64_t)(uintptr_t)arg % 7 * 50000);
		weft_yield();
	}
	atomic_fetch_add(&count, 1);
}

TEST(changing_gomaxprocs_loses_nothing)
{
	uint64_t seed = test_seed();
	int n = 500;

	for (int i = 0; i < n; i++)
		weft_go(sleep_and_count, (void *)(uintptr_t)i);
	while (atomic_load(&count) < n) {
		weft_gomaxprocs(1 + (int)(test_rand(&seed) % 16));
		weft_sleep(200000);
	}
	weft_gomaxprocs(2);
	EXPECT_EQ(weft_gomaxprocs(0), 2);
	EXPECT_EQ(weft_gomaxprocs(100000), 2);
	EXPECT_EQ(weft_gomaxprocs(1), 1024);
}

/* The same from 1 to 1024 and back, the most there are: growing and shrinking find everybody. */
TEST(all_1024_ps_come_and_go_under_load)
{
	int n = 2000;

	for (int i = 0; i < n; i++)
		weft_go(sleep_and_count, (void *)(uintptr_t)i);
	for (int i = 0; atomic_load(&count) < n; i++) {
		static const int sizes[] = { 1024, 1, 700, 3, 1024, 64 };
		int want = sizes[i % 6];

		weft_gomaxprocs(want);
		EXPECT_EQ(weft_gomaxprocs(0), want);
		weft_sleep(2 * MS);
	}
	weft_gomaxprocs(1);
	while (weft_numgoroutine() > 1)
		weft_sleep(MS);
}

/* WEFT_MAXPROCS comes before GOMAXPROCS, that before the machine's; too many are cut. */
static void
print_procs(void *arg)
{
	(void)arg;
	printf("%d", weft_gomaxprocs(0));
	fflush(stdout);
}

TEST(the_environment_sets_the_number)
{
	static const struct {
		const char *weft, *go, *want;
	} t[] = {
		{ "WEFT_MAXPROCS=3", "GOMAXPROCS=5", "3" },
		{ "WEFT_MAXPROCS", "GOMAXPROCS=5", "5" },
		{ "WEFT_MAXPROCS=", "GOMAXPROCS=5", "5" },
		{ "WEFT_MAXPROCS=9999", "GOMAXPROCS=5", "1024" },
		{ "WEFT_MAXPROCS", "GOMAXPROCS", NULL },
	};

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		const char *env[] = { t[i].weft, t[i].go, NULL };
		struct child_options o = { .env = env };
		struct child_result r = child_run_with(&o, print_procs, NULL);
		char ours[16];

		snprintf(ours, sizeof(ours), "%d", weft_numcpu());
		EXPECT_STR(r.out, t[i].want != NULL ? t[i].want : ours);
		child_result_free(&r);
	}
}

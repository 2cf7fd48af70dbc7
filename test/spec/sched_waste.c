/*
 * Work that nobody asked for: threads that look for goroutines where there are none, wake each
 * other, or take from each other what the owner was about to run. It costs no correctness, and
 * half of a machine. What is counted is events per event, never time.
 */
#define _GNU_SOURCE
#include <weft.h>

#include "child.h"
#include "metric_util.h"

#include <sched.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define MS ((int64_t)1000000)
#define S (1000 * MS)

static int64_t
clock_ns(clockid_t clock)
{
	struct timespec ts;

	EXPECT_EQ(clock_gettime(clock, &ts), 0);
	return (int64_t)ts.tv_sec * S + ts.tv_nsec;
}

static void
nothing(void *arg)
{
	(void)arg;
}

/*
 * Catalogue 9, 16. One processor of the machine, 64 Ps, all of which have had work; then nothing
 * but a timer now and then. A thread that spins until another shows up, or steals at each timer
 * from all, takes the processor whole.
 */
static void
tick_on_one_cpu(void *arg)
{
	weft_waitgroup group = { 0 };
	cpu_set_t all, one;
	weft_timer *t;
	int64_t cpu, wall, due;
	int i = 0;

	(void)arg;
	EXPECT_EQ(sched_getaffinity(0, sizeof(all), &all), 0);
	while (!CPU_ISSET(i, &all))
		i++;
	CPU_ZERO(&one);
	CPU_SET(i, &one);
	EXPECT_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
	weft_gomaxprocs(64);
	for (int k = 0; k < 1000; k++)
		weft_waitgroup_go(&group, nothing, NULL);
	weft_waitgroup_wait(&group, WEFT_FOREVER);
	t = weft_timer_new(weft_in(20 * MS), 20 * MS, NULL, NULL);
	wall = clock_ns(CLOCK_MONOTONIC);
	cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	for (int k = 0; k < 30; k++)
		EXPECT_EQ(weft_chan_recv(weft_timer_chan(t), &due, WEFT_FOREVER), 1);
	cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	wall = clock_ns(CLOCK_MONOTONIC) - wall;
	if (cpu > wall / 5)
		FAIL("idle, and %lld us of %lld us were computed", (long long)(cpu / 1000),
		    (long long)(wall / 1000));
	weft_timer_free(t);
}

TEST(one_timer_and_64_ps_leave_a_processor_idle)
{
	struct child_options o = { .limit_ms = 60000 };
	struct child_result r = child_run_with(&o, tick_on_one_cpu, NULL);

	if (r.status != 0)
		FAIL("%s", r.err);
	child_result_free(&r);
}

/*
 * Catalogue 17, 30. Two that hand over to each other, beside Ps that have nothing: each handover
 * is known to be taken up at once by the one that hands over. Who wakes another thread for it
 * wakes it for nothing, and who steals it tears the two apart.
 */
struct pair {
	weft_chan *to, *back;
	int rounds, moves;
};

static void
answer(void *arg)
{
	struct pair *p = arg;
	long thread = 0, before;

	for (int i = 0; i < p->rounds; i++) {
		EXPECT_EQ(weft_chan_recv(p->to, NULL, WEFT_FOREVER), 1);
		before = thread;
		thread = syscall(SYS_gettid);
		p->moves += thread != before;
		EXPECT_EQ(weft_chan_send(p->back, NULL, WEFT_FOREVER), 0);
	}
}

TEST(a_handover_wakes_nobody_and_is_not_stolen)
{
	struct pair p = { weft_chan_new(0, 0), weft_chan_new(0, 0), 20000 / test_scale(), 0 };
	uint64_t steals, futile;

	weft_gomaxprocs(4);
	steals = metric("/weft/sched/steals:batches");
	futile = metric("/weft/sched/futile-wakes:wakes");
	EXPECT_EQ(weft_go(answer, &p), 0);
	for (int i = 0; i < p.rounds; i++) {
		EXPECT_EQ(weft_chan_send(p.to, NULL, WEFT_FOREVER), 0);
		EXPECT_EQ(weft_chan_recv(p.back, NULL, WEFT_FOREVER), 1);
	}
	steals = metric("/weft/sched/steals:batches") - steals;
	futile = metric("/weft/sched/futile-wakes:wakes") - futile;
	/* Under a sanitizer a round takes as long as a look round. */
	if (test_scale() > 1)
		futile = 0;
	if (steals > (uint64_t)p.rounds / 10 || p.moves > p.rounds / 10 ||
	    futile > (uint64_t)p.rounds / 3)
		FAIL("%d rounds: %llu steals, on another thread %d times, %llu wakes for nothing",
		    p.rounds, (unsigned long long)steals, p.moves, (unsigned long long)futile);
	weft_chan_unref(p.to);
	weft_chan_unref(p.back);
}

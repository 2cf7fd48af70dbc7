/*
 * Fairness and promptness: timers beside floods, new work beside sleeping threads, locked and
 * ordinary goroutines together, signals, and a deadlock detector that keeps quiet. Numbers are
 * those of SCENARIOS. Bounds are wide: they tell starvation from a busy machine, no more.
 *
 * ctest: timeout=180
 */
#define _GNU_SOURCE
#include "sched_util.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* SCENARIOS 57, 58: two goroutines flood a channel; the receiver's timer fires all the same. */
static weft_chan *flood;

static void
flooder(void *arg)
{
	char c = 0;

	while (weft_chan_send(flood, &c, WEFT_FOREVER) == 0)
		if (arg != NULL)
			(void)getppid();
	atomic_fetch_add(&count, 1);
}

static void
timer_beside_flood(void *syscalls)
{
	int64_t begin = weft_now(), due;
	weft_timer *t = weft_timer_new(begin + 20 * MS, 0, NULL, NULL);
	char c;
	weft_case cases[] = { WEFT_RECV(flood, &c), WEFT_RECV(weft_timer_chan(t), &due) };

	atomic_store(&count, 0);
	weft_go(flooder, syscalls);
	weft_go(flooder, syscalls);
	while (weft_select(cases, 2, WEFT_FOREVER) == 0)
		EXPECT(weft_now() - begin < 5 * S);
	EXPECT(weft_now() - begin >= 20 * MS);
	weft_chan_close(flood);
	wait_for(2);
	weft_timer_free(t);
}

TEST(a_timer_fires_beside_a_flood)
{
	for (int procs = 1; procs <= 2; procs++) {
		weft_gomaxprocs(procs);
		for (int k = 0; k < 2; k++) {
			flood = weft_chan_new(1, 0);
			timer_beside_flood(k == 0 ? NULL : &flood);
			weft_chan_unref(flood);
		}
	}
}

/*
 * SCENARIOS 54: goroutines that yield get on beside one that is locked to its thread, and it
 * beside them.
 */
static void
yielder(void *arg)
{
	if (arg != NULL)
		weft_lock_thread();
	for (int i = 0; i < 200; i++)
		weft_yield();
	atomic_fetch_add(&count, 1);
}

TEST(yielding_gets_on_beside_a_locked_thread)
{
	for (int procs = 1; procs <= 4; procs *= 2) {
		weft_gomaxprocs(procs);
		atomic_store(&count, 0);
		for (int i = 0; i < 4; i++)
			weft_go(yielder, i % 2 ? &count : NULL);
		wait_for(4);
	}
}

/* SCENARIOS 87: many first locks at once, while threads are being made. */
static void
lock_and_block(void *arg)
{
	(void)arg;
	weft_lock_thread();
	usleep(1000);
	weft_sleep(MS);
	weft_unlock_thread();
	atomic_fetch_add(&count, 1);
}

TEST(many_goroutines_lock_threads_at_once)
{
	for (int round = 0; round < 100 / test_scale(); round++) {
		atomic_store(&count, 0);
		for (int i = 0; i < 20; i++)
			weft_go(lock_and_block, NULL);
		wait_for(20);
	}
}

/* SCENARIOS 88: goroutines end locked, taking their threads along, while Ps come and go. */
static void
end_locked(void *arg)
{
	(void)arg;
	weft_lock_thread();
	weft_yield();
	atomic_fetch_add(&count, 1);
}

TEST(threads_end_while_ps_come_and_go)
{
	uint64_t seed = test_seed();

	for (int i = 0; i < 300 / test_scale(); i++) {
		weft_go(end_locked, NULL);
		weft_gomaxprocs(1 + (int)(test_rand(&seed) % 8));
		if (i % 8 == 0)
			weft_sleep(MS / 4);
	}
	wait_for(300 / test_scale());
}

/* SCENARIOS 74: a storm of signals does not end a sleep early, nor hang it. */
static void
on_signal(int sig)
{
	(void)sig;
}

static void *
shoot(void *arg)
{
	struct timespec ts = { 0, 100000 };

	while (!atomic_load(&stop)) {
		kill(getpid(), SIGUSR1);
		nanosleep(&ts, NULL);
	}
	return arg;
}

static void
sleep_exactly(void *arg)
{
	(void)arg;
	for (int i = 0; i < 30; i++) {
		int64_t begin = weft_now();

		EXPECT_EQ(weft_sleep(3 * MS), 0);
		EXPECT(weft_now() - begin >= 3 * MS);
	}
	atomic_fetch_add(&count, 1);
}

TEST(signals_neither_shorten_nor_hang_sleeps)
{
	struct sigaction sa = { .sa_handler = on_signal, .sa_flags = SA_ONSTACK };
	pthread_t t;

	sigaction(SIGUSR1, &sa, NULL);
	pthread_create(&t, NULL, shoot, NULL);
	for (int i = 0; i < 10; i++)
		weft_go(sleep_exactly, NULL);
	wait_for(10);
	atomic_store(&stop, true);
	pthread_join(t, NULL);
}

/* SCENARIOS 72, 78: work that comes while all threads sleep is started, at once as a rule. */
static atomic_llong started_at;

static void
note_start(void *arg)
{
	(void)arg;
	atomic_store(&started_at, weft_now());
}

static void *
submit_when_idle(void *arg)
{
	int64_t *worst = arg, late[50];
	struct timespec pause = { 0, 2000000 };

	for (int i = 0; i < 50; i++) {
		int64_t begin;

		nanosleep(&pause, NULL);
		atomic_store(&started_at, 0);
		begin = weft_now();
		weft_go(note_start, NULL);
		while (atomic_load(&started_at) == 0)
			nanosleep(&(struct timespec){ 0, 10000 }, NULL);
		late[i] = atomic_load(&started_at) - begin;
	}
	/* The median: single ones may meet a busy machine. */
	for (int i = 0; i < 50; i++)
		for (int k = i + 1; k < 50; k++)
			if (late[k] < late[i]) {
				int64_t swap = late[i];

				late[i] = late[k];
				late[k] = swap;
			}
	*worst = late[25];
	atomic_store(&count, 1);
	return NULL;
}

TEST(an_idle_program_starts_new_work_at_once)
{
	int64_t median = 0;
	pthread_t t;

	pthread_create(&t, NULL, submit_when_idle, &median);
	/* One timer, far off: the thread in the poller must be broken out of its wait each time. */
	while (atomic_load(&count) == 0)
		(void)weft_sleep(200 * MS);
	pthread_join(t, NULL);
	if (median > 20 * MS * test_scale())
		FAIL("started %lld us late at the median", (long long)(median / 1000));
}

/*
 * SCENARIOS 80: who is woken by an unbuffered send runs next, before those that waited longer
 * to run.
 */
static weft_chan *handoff;
static int n_bystanders_first;

static void
bystander(void *arg)
{
	while (!atomic_load(&stop)) {
		(*(int *)arg)++;
		weft_yield();
	}
	atomic_fetch_add(&count, 1);
}

static void
receiver(void *arg)
{
	int before;

	(void)arg;
	while (weft_chan_recv(handoff, &before, WEFT_FOREVER) == 1)
		n_bystanders_first += *(int *)arg - before;
	atomic_fetch_add(&count, 1);
}

TEST(who_is_woken_runs_next)
{
	int turns = 0;

	weft_gomaxprocs(1);
	handoff = weft_chan_new(sizeof(int), 0);
	weft_go(receiver, &turns);
	weft_go(bystander, &turns);
	weft_sleep(MS);
	for (int i = 0; i < 100; i++) {
		int now = turns;

		weft_chan_send(handoff, &now, WEFT_FOREVER);
		weft_yield();
	}
	weft_chan_close(handoff);
	atomic_store(&stop, true);
	wait_for(2);
	/* Now and then the slice is over, or the global queue has its turn. */
	if (n_bystanders_first > 20)
		FAIL("others ran first %d times of 100", n_bystanders_first);
	weft_chan_unref(handoff);
}

/* SCENARIOS 310: yields with an idle P beside do not make threads wake each other all the time. */
static void
yield_much(void *arg)
{
	(void)arg;
	for (int i = 0; i < 20000 / test_scale(); i++)
		weft_yield();
	atomic_fetch_add(&count, 1);
}

static long
context_switches(void)
{
	struct rusage ru;

	getrusage(RUSAGE_SELF, &ru);
	return ru.ru_nvcsw;
}

TEST(yielding_beside_an_idle_p_wakes_nobody)
{
	long before, n;

	weft_gomaxprocs(4);
	weft_sleep(5 * MS);
	before = context_switches();
	weft_go(yield_much, NULL);
	wait_for(1);
	n = context_switches() - before;
	if (n > 20000 / test_scale() / 4)
		FAIL("%ld context switches in %d yields", n, 20000 / test_scale());
}

/* SCENARIOS 308: thousands of timers reset all the time do not starve a ticker. */
static void
reset_timers(void *arg)
{
	weft_timer *t = weft_timer_new(weft_in(S), 0, NULL, NULL);

	(void)arg;
	while (!atomic_load(&stop)) {
		weft_timer_reset(t, weft_in(MS / 10), 0);
		weft_sleep(MS / 10);
	}
	weft_timer_free(t);
	atomic_fetch_add(&count, 1);
}

TEST(resets_do_not_starve_a_ticker)
{
	int n = 4000 / test_scale() / test_scale();
	weft_timer *tick;
	int64_t v;

	for (int i = 0; i < n; i++)
		weft_go(reset_timers, NULL);
	tick = weft_timer_new(weft_in(MS), MS, NULL, NULL);
	for (int i = 0; i < 50; i++)
		EXPECT_EQ(weft_chan_recv(weft_timer_chan(tick), &v, weft_in(10 * S)), 1);
	atomic_store(&stop, true);
	wait_for(n);
	weft_timer_free(tick);
}

/*
 * SCENARIOS 98, 302; catalogue 23: a million random waits of every kind, timers and poller among
 * them, with as few goroutines as possible, so that the program is nearly dead all the time. The
 * deadlock detector must keep quiet.
 */
struct steps {
	uint64_t seed;
	int fd;
	weft_chan *c;
	weft_mutex *mutex;
};

static void
yield_once(void *arg)
{
	(void)arg;
	weft_yield();
}

static void
random_wait(struct steps *s)
{
	char c;

	switch (test_rand(&s->seed) % 5) {
	case 0:
		weft_sleep((int64_t)(test_rand(&s->seed) % 20000));
		break;
	case 1:
		(void)weft_read(s->fd, &c, 1, weft_in((int64_t)(test_rand(&s->seed) % 20000)));
		break;
	case 2:
		(void)weft_write(s->fd, "x", 1, weft_in(MS));
		break;
	case 3:
		(void)weft_chan_recv(s->c, &c, weft_in((int64_t)(test_rand(&s->seed) % 20000)));
		break;
	default:
		(void)weft_chan_send(s->c, "y", WEFT_NOW);
		weft_yield();
		break;
	}
}

static void
random_steps(void *arg)
{
	struct steps *s = arg;
	weft_waitgroup some = { 0 };

	for (long i = 0; i < 250000 / test_scale() / test_scale(); i++)
		switch (test_rand(&s->seed) % 64) {
		case 60:
			weft_lock_thread();
			weft_sleep((int64_t)(test_rand(&s->seed) % 20000));
			weft_unlock_thread();
			break;
		case 61:
			(void)weft_waitgroup_go(&some, yield_once, NULL);
			EXPECT_EQ(weft_waitgroup_wait(&some, WEFT_FOREVER), 0);
			break;
		case 62:
			weft_mutex_lock(s->mutex);
			weft_yield();
			weft_mutex_unlock(s->mutex);
			break;
		case 63:
			usleep((useconds_t)(test_rand(&s->seed) % 100));
			break;
		default:
			random_wait(s);
			break;
		}
	atomic_fetch_add(&count, 1);
}

TEST(the_deadlock_detector_keeps_quiet)
{
	uint64_t seed = test_seed();
	weft_chan *c = weft_chan_new(1, 1);
	weft_mutex mutex = { 0 };
	struct steps a, b;
	int fds[2];

	EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	a = (struct steps){ test_rand(&seed), fds[0], c, &mutex };
	b = (struct steps){ test_rand(&seed), fds[1], c, &mutex };
	for (int procs = 1; procs <= 2; procs++) {
		weft_waitgroup done = { 0 };

		weft_gomaxprocs(procs);
		atomic_store(&count, 0);
		weft_waitgroup_go(&done, random_steps, &a);
		weft_waitgroup_go(&done, random_steps, &b);
		/* Main waits without a deadline: the detector may look at any moment. */
		EXPECT_EQ(weft_waitgroup_wait(&done, WEFT_FOREVER), 0);
	}
	weft_close(fds[0]);
	weft_close(fds[1]);
	weft_chan_unref(c);
}

/*
 * The detach protocol (src/sched/README.md, "Detach"): the monitor is stopped inside it while the
 * thread it looks at comes back into the runtime. If both believed that the P is theirs, two
 * threads would put on one ring, and goroutines would run twice or never.
 *
 * ctest: nomembarrier
 */
#include <weft.h>
#include "os/os.h"
#include "sched/sched.h"

#include "hold.h"
#include "test.h"
#include "window.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

static atomic_int ran, calls;
static atomic_bool stop;

/* Computes until told, then calls weft a few times. */
static void
compute_then_call(void *arg)
{
	(void)arg;
	while (!atomic_load(&stop))
		;
	for (int i = 0; i < 10; i++) {
		EXPECT(weft_goid() > 1);
		atomic_fetch_add(&calls, 1);
		weft_yield();
	}
}

/*
 * The monitor is held at `point`, having made up its mind to take the P. The goroutine comes back
 * just then: it waits for the verdict, or has already lost the P.
 */
static void *
come_back_at(void *point)
{
	hold_await(point);
	atomic_store(&stop, true);
	hold_await_nap();
	hold_release(point);
	return NULL;
}

static void
return_during(const char *point)
{
	weft_gomaxprocs(1);
	for (int i = 0; i < 10; i++) {
		pthread_t t;

		atomic_store(&stop, false);
		atomic_store(&ran, 0);
		atomic_store(&calls, 0);
		hold_at(point);
		pthread_create(&t, NULL, come_back_at, (void *)(uintptr_t)point);
		weft_go(compute_then_call, NULL);
		weft_go(count_one, &ran);
		weft_go(count_one, &ran);
		while (atomic_load(&ran) < 2 || atomic_load(&calls) < 10)
			weft_sleep(1000000);
		pthread_join(t, NULL);
		EXPECT_EQ(atomic_load(&ran), 2);
		EXPECT_EQ(atomic_load(&calls), 10);
	}
}

TEST(coming_back_while_the_monitor_decides)
{
	return_during("detach.announced");
}

TEST(coming_back_when_the_p_is_taken)
{
	return_during("detach.taken");
}

/* Computes until told, in a slice that the monitor has marked as over. */
static void
compute_on_borrowed_time(void *arg)
{
	struct m *m = wf_enter();

	(void)arg;
	wf_store_relaxed(&m->p->preempt, 1);
	wf_leave();
	atomic_fetch_add(&calls, 1);
	while (!atomic_load(&stop))
		;
	atomic_fetch_add(&ran, 1);
}

/*
 * The mark that ends a slice ends with it. It once outlived the P's change of hands and fell on the
 * goroutine whose timer the next thread found due: that one came after all that computed. A machine
 * that stands still may let another in before it, so: in one round of many.
 */
TEST(a_taken_p_begins_a_slice_without_the_old_one_s_mark)
{
	int64_t limit = weft_in(60 * (int64_t)1000000000);
	bool is_first = false;

	weft_gomaxprocs(1);
	while (!is_first && weft_now() < limit) {
		atomic_store(&stop, false);
		atomic_store(&ran, 0);
		atomic_store(&calls, 0);
		for (int i = 0; i < 3; i++)
			EXPECT_EQ(weft_go(compute_on_borrowed_time, NULL), 0);
		EXPECT_EQ(weft_sleep(10000), 0);
		is_first = atomic_load(&calls) == 1;
		atomic_store(&stop, true);
		while (atomic_load(&ran) < 3)
			weft_sleep(100000);
	}
	EXPECT(is_first);
}

/* After a detach the counts are as before: no P is lost, none is there twice. */
static void
expect_all_ps_idle(uint32_t n)
{
	uint32_t idle = 0;

	(void)wf_enter();
	for (int i = 0; i < 1000 && idle != n - 1; i++) {
		wf_leave();
		pause_ms(1);
		(void)wf_enter();
		wf_lock(&wf_sched.lock);
		idle = 0;
		for (struct p *p = wf_sched.idle_p; p != NULL; p = p->idle_next)
			idle++;
		EXPECT_EQ(idle, wf_load_relaxed(&wf_sched.n_idle_p));
		wf_unlock(&wf_sched.lock);
	}
	wf_leave();
	/* Main holds one. */
	EXPECT_EQ(idle, n - 1);
}

static void
block_and_count(void *arg)
{
	usleep((useconds_t)(uintptr_t)arg);
	atomic_fetch_add(&ran, 1);
}

TEST(no_p_is_lost_in_a_storm_of_blocking_calls)
{
	uint64_t seed = test_seed();
	int n = 400 / test_scale() + 40;

	weft_gomaxprocs(4);
	for (int i = 0; i < n; i++) {
		weft_go(block_and_count, (void *)(uintptr_t)(test_rand(&seed) % 3000));
		if (i % 10 == 0)
			weft_sleep(300000);
	}
	while (atomic_load(&ran) < n)
		weft_sleep(1000000);
	/* The last have counted before they came back. */
	for (int i = 0; wf_load_relaxed(&wf_sched.n_detached) != 0; i++) {
		if (i > 60000)
			FAIL("%u are away", wf_load_relaxed(&wf_sched.n_detached));
		weft_sleep(1000000);
	}
	expect_all_ps_idle(4);
}

/*
 * A mark belongs to the goroutine that set it, not to its thread: left behind by one that parked
 * before it took the mark away, it made the monitor take the P from the next one at a glance.
 */
static void
expect_no_mark(void *arg)
{
	struct m *m = wf_enter();

	(void)arg;
	EXPECT_EQ(wf_load_relaxed(&m->gate.in_syscall), 0);
	wf_leave();
	atomic_fetch_add(&ran, 1);
}

TEST(a_mark_does_not_outlast_a_park)
{
	weft_gomaxprocs(1);
	for (int i = 0; i < 20; i++) {
		EXPECT_EQ(weft_go(expect_no_mark, NULL), 0);
		weft_syscall_enter();
		if (i % 2 == 0)
			weft_yield();
		else
			weft_sleep(100000);
		weft_syscall_exit();
		while (atomic_load(&ran) <= i)
			weft_yield();
	}
}

static int empty_pipe[2];
static _Atomic(struct m *) marked;
static long looks;

static void
block_as_marked(void *arg)
{
	struct m *m = wf_enter();
	char byte;

	(void)arg;
	wf_leave();
	weft_syscall_enter();
	atomic_store(&marked, m);
	EXPECT_EQ(read(empty_pipe[0], &byte, 1), 1);
	weft_syscall_exit();
	atomic_fetch_add(&ran, 1);
}

/* The monitor stands at the beginning of a round. Lets it go when the call is one that sleeps. */
static void *
let_it_look(void *arg)
{
	struct m *m;

	while ((m = atomic_load(&marked)) == NULL || wf_os_thread_state(m->tid) != 'S')
		pause_ms(1);
	hold_at("detach.taken");
	hold_release("monitor.round");
	hold_await("detach.taken");
	looks = hold_count("monitor.round");
	hold_release("detach.taken");
	EXPECT_EQ(write(empty_pipe[1], "", 1), 1);
	return arg;
}

/*
 * A thread that is asleep in a marked call is known to be blocked: a thousand such calls took 0.2 s
 * while each was looked at twice. A process that is stopped and goes on is not asleep for a moment,
 * so: in one round of many.
 */
TEST(one_look_is_enough_for_a_marked_call_that_sleeps)
{
	int64_t limit = weft_in(60 * (int64_t)1000000000);

	weft_gomaxprocs(1);
	EXPECT_EQ(pipe(empty_pipe), 0);
	while (looks != 1 && weft_now() < limit) {
		pthread_t t;

		atomic_store(&ran, 0);
		atomic_store(&marked, NULL);
		hold_at("monitor.round");
		hold_await("monitor.round");
		pthread_create(&t, NULL, let_it_look, NULL);
		EXPECT_EQ(weft_go(block_as_marked, NULL), 0);
		EXPECT_EQ(weft_go(count_one, &ran), 0);
		while (atomic_load(&ran) < 2)
			weft_sleep(100000);
		pthread_join(t, NULL);
	}
	EXPECT_EQ(looks, 1);
}

/*
 * With work waiting, a marked call gives its P away once such calls have been seen to sleep. The
 * monitor stands still: nobody else takes it.
 */
TEST(a_call_that_is_likely_to_block_gives_its_p_away)
{
	weft_gomaxprocs(1);
	EXPECT_EQ(pipe(empty_pipe), 0);
	hold_at("monitor.round");
	hold_await("monitor.round");
	atomic_store(&ran, 0);
	wf_store_relaxed(&wf_sched.gifts_left, 1);
	EXPECT_EQ(weft_go(count_one, &ran), 0);
	EXPECT_EQ(weft_go(block_as_marked, NULL), 0);	/* the newest runs next */
	while (atomic_load(&ran) == 0)
		weft_yield();
	EXPECT_EQ(wf_load_relaxed(&wf_sched.gifts_left), 0);
	EXPECT_EQ(wf_load_relaxed(&wf_sched.n_detached), 1);
	hold_release("monitor.round");
	EXPECT_EQ(write(empty_pipe[1], "", 1), 1);
	while (atomic_load(&ran) < 2)
		weft_sleep(100000);
	EXPECT_EQ(wf_load_relaxed(&wf_sched.n_detached), 0);
}

static void
yield_until_told(void *arg)
{
	(void)arg;
	while (!atomic_load(&stop))
		weft_yield();
	atomic_fetch_add(&ran, 1);
}

/* Who is back at once has given its P away for nothing, and nobody does so any more. */
TEST(a_short_call_ends_the_giving)
{
	int64_t limit = weft_in(60 * (int64_t)1000000000);

	weft_gomaxprocs(1);
	hold_at("monitor.round");
	hold_await("monitor.round");
	atomic_store(&ran, 0);
	atomic_store(&stop, false);
	wf_store_relaxed(&wf_sched.gifts_left, UINT32_MAX);
	EXPECT_EQ(weft_go(yield_until_told, NULL), 0);
	while (wf_load_relaxed(&wf_sched.gifts_left) != 0 && weft_now() < limit) {
		weft_syscall_enter();
		weft_syscall_exit();
	}
	EXPECT_EQ(wf_load_relaxed(&wf_sched.gifts_left), 0);
	hold_release("monitor.round");
	atomic_store(&stop, true);
	while (atomic_load(&ran) == 0)
		weft_sleep(100000);
}

static _Atomic(struct m *) successor;

static void
compute_as_successor(void *arg)
{
	(void)arg;
	atomic_store(&successor, wf_enter());
	wf_leave();
	while (!atomic_load(&stop))
		;
	atomic_fetch_add(&ran, 1);
}

/* The monitor has judged who computes, and stands still: the P goes to somebody else meanwhile. */
static void *
let_it_take_whom_it_judged(void *arg)
{
	hold_await("detach.judged");
	atomic_store(&calls, 1);
	while (atomic_load(&successor) == NULL)
		pause_ms(1);
	hold_at("monitor.round");
	hold_release("detach.judged");
	hold_await("monitor.round");
	EXPECT(wf_load_acquire(&wf_load_acquire(&wf_sched.all_p[0])->m) == atomic_load(&successor));
	EXPECT_EQ(wf_load_relaxed(&wf_sched.n_detached), 1);
	hold_release("monitor.round");
	atomic_store(&stop, true);
	EXPECT_EQ(write(empty_pipe[1], "", 1), 1);
	return arg;
}

/* It once took the P from whoever held it by then. */
TEST(a_p_is_taken_from_who_was_judged_and_nobody_else)
{
	pthread_t t;

	weft_gomaxprocs(1);
	EXPECT_EQ(pipe(empty_pipe), 0);
	wf_store_relaxed(&wf_sched.gifts_left, 1);
	hold_at("detach.judged");	/* before there is work for which main could be taken */
	EXPECT_EQ(weft_go(compute_as_successor, NULL), 0);
	pthread_create(&t, NULL, let_it_take_whom_it_judged, NULL);
	while (atomic_load(&calls) == 0)
		;
	block_as_marked(NULL);
	pthread_join(t, NULL);
	while (atomic_load(&ran) < 2)
		weft_sleep(100000);
}

/*
 * The thread that waits in the poller (src/sched/README.md, "Timers and the poller"): it is broken
 * out of its wait by what comes earlier, it goes there when somebody waits for it, and what it
 * brings is counted until it can run. A timer or a descriptor missed here is a program that hangs.
 */
#include <weft.h>
#include "os/os.h"
#include "sched/sched.h"

#include "child.h"
#include "hold.h"
#include "test.h"
#include "window.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define MS ((int64_t)1000000)
#define S (1000 * MS)

static atomic_int ran;
static int fds[2];

/* SCENARIOS 72: a wait of 10 s is broken out of, woken twice each time, ten times in a row. */
static void *
wake_twice(void *arg)
{
	atomic_bool *is_over = arg;

	while (!atomic_load(is_over)) {
		wf_poll_wake();
		wf_poll_wake();
		pause_ms(5);
	}
	return NULL;
}

TEST(a_wait_in_the_poller_is_broken_out_of)
{
	static atomic_bool is_over;
	struct gqueue q = { 0 };
	int64_t begin = wf_os_now();
	pthread_t t;

	/* The only P is held here, inside the runtime: nobody else goes to the poller. */
	weft_gomaxprocs(1);
	(void)wf_enter();
	(void)wf_xchg_seqcst(&wf_sched.last_poll, 0);
	pthread_create(&t, NULL, wake_twice, &is_over);
	for (int i = 0; i < 10; i++)
		wf_poll_wait(10 * S, &q);
	EXPECT(wf_os_now() - begin < 5 * S);
	EXPECT_EQ(q.n, 0);
	atomic_store(&is_over, true);
	pthread_join(t, NULL);
	wf_store_seqcst(&wf_sched.last_poll, wf_os_now());
	wf_leave();
}

/* ---- windows ---- */

struct script {
	void (*fn)(const char *point);
	const char *point;
	weft_chan *done;
};

static void *
play(void *arg)
{
	const struct script *s = arg;

	s->fn(s->point);
	weft_chan_close(s->done);
	return NULL;
}

/*
 * Leaves a few threads idle: the monitor, which starts threads for those that weft does not know,
 * will be held.
 */
static void
block_and_count(void *arg)
{
	(void)arg;
	usleep(10000);
	atomic_fetch_add(&ran, 1);
}

static int
idle_threads(void)
{
	int n;

	(void)wf_enter();
	wf_lock(&wf_sched.lock);
	n = (int)wf_sched.n_idle_m;
	wf_unlock(&wf_sched.lock);
	wf_leave();
	return n;
}

/* On a busy machine one thread may have run them all: until there are enough. */
static void
make_threads(void)
{
	do {
		atomic_store(&ran, 0);
		for (int i = 0; i < 6; i++)
			EXPECT_EQ(weft_go(block_and_count, NULL), 0);
		while (atomic_load(&ran) < 6)
			weft_sleep(MS);
	} while (idle_threads() < 3);
}

/* Plays fn on a plain thread while the program has nothing to do, n times. */
static void
from_outside(int n, void (*fn)(const char *point), const char *point)
{
	for (int procs = 1; procs <= 2; procs++)
		for (int i = 0; i < n; i++) {
			struct script s = { fn, point, weft_chan_new(0, 0) };
			pthread_t t;

			weft_gomaxprocs(procs);
			make_threads();
			atomic_store(&ran, 0);
			pthread_create(&t, NULL, play, &s);
			EXPECT_EQ(weft_chan_recv(s.done, NULL, WEFT_FOREVER), 0);
			pthread_join(t, NULL);
			weft_chan_unref(s.done);
		}
}

/*
 * T1-T4: a thread goes to the poller because of a timer that is far off, and is held on its way.
 * An earlier timer is set just then: it must fire at its time, not with the other.
 */
static void
set_an_earlier_timer(const char *point)
{
	weft_timer *far, *near;

	hold_at(point);
	hold_at("monitor.round");
	far = weft_timer_new(weft_in(60 * S), 0, count_one, &ran);
	/* Something must run for a thread to go there. */
	EXPECT_EQ(weft_go(count_one, &ran), 0);
	hold_await(point);
	near = weft_timer_new(weft_in(10 * MS), 0, count_one, &ran);
	pause_ms(2);
	hold_release(point);
	await_at_least(&ran, 2);
	hold_release("monitor.round");
	weft_timer_free(near);
	weft_timer_free(far);
}

TEST(an_earlier_timer_comes_before_the_thread_says_that_it_waits)
{
	from_outside(10, set_an_earlier_timer, "poll.going");
}

TEST(an_earlier_timer_comes_just_before_the_wait)
{
	from_outside(10, set_an_earlier_timer, "poll.waits");
}

/* The last thread has seen that there is nothing to wait for in the poller: now there is. */
static void
set_a_timer_while_a_thread_turns_away(const char *point)
{
	weft_timer *near;

	hold_at(point);
	hold_at("monitor.round");
	EXPECT_EQ(weft_go(count_one, &ran), 0);
	hold_await(point);
	near = weft_timer_new(weft_in(5 * MS), 0, count_one, &ran);
	await_at_least(&ran, 2);	/* fired by another */
	hold_release(point);
	hold_release("monitor.round");
	weft_timer_free(near);
}

TEST(a_timer_is_set_while_the_last_thread_turns_away)
{
	from_outside(10, set_a_timer_while_a_thread_turns_away, "poll.unwanted");
}

/* T1, T2: the timer is in the heap, but who set it has not looked yet whether somebody waits. */
struct near {
	weft_timer *t;
	atomic_int fired;
	atomic_int early;	/* times that it was due when it was made, and was not armed */
};

static void *
arm_near(void *arg)
{
	struct near *n = arg;

	for (int64_t ns = 20 * MS;; ns *= 2) {
		n->t = weft_timer_new(weft_in(ns), 0, count_one, &n->fired);
		if (hold_count("timer.armed") > 0)
			return NULL;
		atomic_fetch_add(&n->early, 1);
		weft_timer_free(n->t);
	}
}

static void
go_to_the_poller_while_a_timer_is_set(const char *point)
{
	weft_timer *far = weft_timer_new(weft_in(60 * S), 0, count_one, &ran);
	struct near near = { 0 };
	pthread_t t;

	hold_at(point);
	hold_at("monitor.round");
	pthread_create(&t, NULL, arm_near, &near);
	hold_await(point);
	/* A thread goes round once more, and to the poller: it sees the timer, or is told. */
	EXPECT_EQ(weft_go(count_one, &ran), 0);
	pause_ms(5);
	hold_release(point);
	await_at_least(&ran, 1);
	await_at_least(&near.fired, atomic_load(&near.early) + 1);
	hold_release("monitor.round");
	pthread_join(t, NULL);
	weft_timer_free(near.t);
	weft_timer_free(far);
}

TEST(the_thread_goes_to_wait_while_a_timer_is_set)
{
	from_outside(10, go_to_the_poller_while_a_timer_is_set, "timer.armed");
}

/*
 * V1-V3: a plain thread waits for a descriptor while the last thread of the runtime has seen that
 * nobody does, or just before it is told. Somebody must go to the poller.
 */
static void *
read_one(void *arg)
{
	char c;

	(void)arg;
	EXPECT_EQ(weft_read(fds[0], &c, 1, WEFT_FOREVER), 1);
	atomic_fetch_add(&ran, 1);
	return NULL;
}

static void
begin_to_read_while_a_thread_turns_away(const char *point)
{
	pthread_t t;

	hold_at(point);
	hold_at("monitor.round");
	EXPECT_EQ(weft_go(count_one, &ran), 0);
	hold_await(point);
	pthread_create(&t, NULL, read_one, NULL);
	pause_ms(5);
	hold_release(point);
	pause_ms(2);
	EXPECT_EQ(write(fds[1], "x", 1), 1);
	await_at_least(&ran, 2);
	hold_release("monitor.round");
	pthread_join(t, NULL);
}

TEST(a_plain_thread_reads_while_the_last_thread_turns_away)
{
	EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	from_outside(10, begin_to_read_while_a_thread_turns_away, "poll.unwanted");
}

static void
turn_away_while_a_thread_begins_to_read(const char *point)
{
	pthread_t t;

	hold_at(point);
	hold_at("monitor.round");
	pthread_create(&t, NULL, read_one, NULL);
	hold_await(point);
	EXPECT_EQ(weft_go(count_one, &ran), 0);
	await_at_least(&ran, 1);
	pause_ms(5);
	hold_release(point);
	EXPECT_EQ(write(fds[1], "x", 1), 1);
	await_at_least(&ran, 2);
	hold_release("monitor.round");
	pthread_join(t, NULL);
}

TEST(the_last_thread_turns_away_while_a_plain_one_begins_to_read)
{
	EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	from_outside(10, turn_away_while_a_thread_begins_to_read, "poll.counted");
}

/*
 * SCENARIOS 302: a goroutine that the poller has given up, and that is not runnable yet, still
 * counts as one that waits there: all others are asleep, and nobody may call the program dead.
 */
static void
read_in_goroutine(void *arg)
{
	(void)read_one(arg);
}

/* A goroutine reads, and the thread that waits in the poller is told so, and held. */
static void
hold_one_on_its_way(const char *point)
{
	int before;

	hold_at(point);
	do {
		before = atomic_load(&ran);
		EXPECT_EQ(weft_go(read_in_goroutine, NULL), 0);
		for (int i = 0;
		     wf_poll_nwaiters() == 0 || wf_load_seqcst(&wf_sched.last_poll) != 0; i++) {
			EXPECT(i < 30000);
			pause_ms(1);
		}
		EXPECT_EQ(write(fds[1], "x", 1), 1);
		while (hold_count(point) == 0 && atomic_load(&ran) == before)
			pause_ms(1);
		/* Once in a while somebody who only looks there has it: again. */
	} while (hold_count(point) == 0);
	hold_await(point);
}

static void
sleep_while_one_is_on_its_way(const char *point)
{
	int before;

	hold_one_on_its_way(point);
	before = atomic_load(&ran);
	/* The others wake up and go to sleep again, looking for a dead program each time. */
	for (int i = 1; i <= 5; i++) {
		EXPECT_EQ(weft_go(count_one, &ran), 0);
		await_at_least(&ran, before + i);
	}
	EXPECT(wf_poll_nwaiters() > 0);
	hold_release(point);
	await_at_least(&ran, before + 6);
}

TEST(who_comes_out_of_the_poller_still_counts_until_it_can_run)
{
	EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	from_outside(5, sleep_while_one_is_on_its_way, "poll.brings");
	EXPECT_EQ(wf_poll_nwaiters(), 0);
}

/* SCENARIOS 100: after reads, writes, deadlines and cancellations nobody is counted any more. */
static int
reads_and_writes(void *arg)
{
	uint64_t seed = (uint64_t)(uintptr_t)arg;
	char c = 0;

	for (int i = 0; i < 500 / test_scale(); i++) {
		int64_t until = weft_in((int64_t)(test_rand(&seed) % 200000));

		switch (test_rand(&seed) % 3) {
		case 0:
			(void)weft_read(fds[test_rand(&seed) % 2], &c, 1, until);
			break;
		case 1:
			(void)weft_write(fds[test_rand(&seed) % 2], &c, 1, until);
			break;
		default:
			(void)weft_poll(fds[test_rand(&seed) % 2], 1, until);
			break;
		}
	}
	return 0;
}

TEST(nobody_is_counted_when_all_have_left)
{
	uint64_t seed = test_seed();

	EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	weft_gomaxprocs(2);
	for (int round = 0; round < 4; round++) {
		weft_scope *s = weft_scope_new(NULL, WEFT_FOREVER);

		for (int i = 0; i < 16; i++)
			(void)weft_scope_go(s, reads_and_writes,
			    (void *)(uintptr_t)(test_rand(&seed) | 1));
		if (round % 2 == 1) {
			weft_sleep(5 * MS);
			weft_scope_cancel(s, -ECANCELED);
		}
		(void)weft_scope_wait(s, WEFT_FOREVER);
		weft_scope_free(s);
		/* Whoever brought the last ones may be about to count them off. */
		while (wf_poll_nwaiters() != 0)
			weft_yield();
	}
}

/* Lets the thread at the point go on when all others sleep. */
static void *
go_on_alone(void *arg)
{
	bool alone;

	do {
		pause_ms(1);
		wf_lock(&wf_sched.lock);
		alone = wf_sched.n_idle_m + wf_sched.n_locked_idle + 1 == wf_sched.n_m;
		wf_unlock(&wf_sched.lock);
	} while (!alone);
	hold_release("poll.going");
	return arg;
}

static void
stop_the_timer_of_one_on_its_way(void *arg)
{
	weft_timer *t;
	pthread_t thread;

	weft_gomaxprocs(2);
	hold_at("poll.going");
	t = weft_timer_new(weft_in(3600 * S), 0, NULL, NULL);
	hold_await("poll.going");
	EXPECT(weft_timer_stop(t));
	EXPECT_EQ(pthread_create(&thread, NULL, go_on_alone, arg), 0);
	pthread_detach(thread);
	(void)weft_chan_recv(NULL, NULL, WEFT_FOREVER);
}

/*
 * A thread is on its way to the poller, for a timer in an hour. The timer is stopped, and all
 * others go to sleep; who of them looks whether the program is dead finds that one awake. So it has
 * to find out: else a dead program sits there for an hour.
 */
TEST(who_goes_to_the_poller_does_not_wait_for_a_timer_that_was_stopped)
{
	struct child_result r;

	hold_needed();
	if (getenv("WEFT_TEST_EMULATOR") != NULL)
		SKIP("the emulator has a thread of its own, which might wake somebody");
	r = child_run(stop_the_timer_of_one_on_its_way, NULL);
	EXPECT_EQ(r.status, 2);
	EXPECT_CONTAINS(r.err, "all goroutines are asleep - deadlock!");
	child_result_free(&r);
}

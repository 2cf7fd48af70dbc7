/*
 * The idle protocol (src/sched/README.md, "Going idle, and being woken"): we do not hope to hit its
 * windows, we stop a thread inside each and bring work just then. A wake-up lost there shows in
 * programs as a hang, or as one core doing the work of two.
 *
 * ctest: timeout=240
 */
#include <weft.h>
#include "sched/pick.h"

#include "os/os.h"

#include "hold.h"
#include "test.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

static atomic_int ran;

static void
run(void *arg)
{
	(void)arg;
	atomic_fetch_add(&ran, 1);
}

/* Waits without weft, as the threads of the runtime are what is being held. */
static bool
wait_for(int n)
{
	struct timespec ms = { 0, 1000000 };

	for (int i = 0; i < 30000 * test_scale(); i++) {
		if (atomic_load(&ran) >= n)
			return true;
		nanosleep(&ms, NULL);
	}
	return false;
}

struct script {
	const char *point;
	int procs;
};

/*
 * A plain thread: weft sees it as a stranger, whose work goes through the global queue. Main sleeps
 * meanwhile, so its thread goes idle and comes by the point.
 */
static void *
bring_work_at(void *arg)
{
	const struct script *s = arg;

	hold_await(s->point);
	EXPECT_EQ(weft_go(run, NULL), 0);
	hold_release(s->point);
	EXPECT(wait_for(1));
	return NULL;
}

static void
stranger_brings_work(const char *point, int procs)
{
	struct script s = { point, procs };
	pthread_t t;

	weft_gomaxprocs(procs);
	for (int i = 0; i < 20; i++) {
		atomic_store(&ran, 0);
		hold_at(point);
		pthread_create(&t, NULL, bring_work_at, &s);
		/* Going idle is how main gets there. */
		while (atomic_load(&ran) == 0)
			weft_sleep(2000000);
		pthread_join(t, NULL);
	}
}

/*
 * The only spinner has searched everywhere and found nothing; before it says so, work comes that
 * relies on it. S4 promises that it looks once more.
 */
TEST(work_that_comes_after_the_last_search_is_found)
{
	stranger_brings_work("idle.searched", 1);
}

TEST(work_that_comes_after_the_last_search_is_found_with_more_ps)
{
	stranger_brings_work("idle.searched", 3);
}

/* The P is on the idle list, nobody spins any more, but the last look is still to come. */
TEST(work_that_comes_after_the_announcement_is_found)
{
	stranger_brings_work("idle.announced", 1);
}

TEST(work_that_comes_after_the_announcement_is_found_with_more_ps)
{
	stranger_brings_work("idle.announced", 3);
}

/* ---- K1-K5: who looks, and finds only hand-overs, naps ---- */

static void
echo(void *arg)
{
	weft_chan **c = arg;

	while (weft_chan_recv(c[0], NULL, WEFT_FOREVER) == 1)
		weft_chan_send(c[1], NULL, WEFT_FOREVER);
}

struct pair {
	weft_chan *c[2];
	weft_waitgroup other;
};

/*
 * Hands over to another goroutine and back until a thread stands where it is about to nap. How fast
 * that is depends on the machine, so the time since the last look is made negative: always fast
 * enough.
 */
static void
hand_over_until_one_naps(struct pair *pair)
{
	*pair = (struct pair){ .c = { weft_chan_new(0, 0), weft_chan_new(0, 0) } };
	hold_at("idle.naps");
	EXPECT_EQ(weft_waitgroup_go(&pair->other, echo, pair->c), 0);
	while (hold_count("idle.naps") == 0) {
		wf_store_relaxed(&wf_sched.seen_at, INT64_MAX / 2);
		EXPECT_EQ(weft_chan_send(pair->c[0], NULL, WEFT_FOREVER), 0);
		EXPECT_EQ(weft_chan_recv(pair->c[1], NULL, WEFT_FOREVER), 1);
	}
	hold_await("idle.naps");
}

static void
end_pair(struct pair *pair)
{
	weft_chan_close(pair->c[0]);
	EXPECT_EQ(weft_waitgroup_wait(&pair->other, WEFT_FOREVER), 0);
	weft_chan_unref(pair->c[0]);
	weft_chan_unref(pair->c[1]);
}

/* Between K2 and K3. K5 takes the word back, so the thread does not fall asleep. */
TEST(work_for_the_ring_ends_a_nap_that_has_not_begun)
{
	weft_gomaxprocs(2);
	for (int i = 0; i < 20; i++) {
		struct pair pair;

		atomic_store(&ran, 0);
		hand_over_until_one_naps(&pair);
		/* The first is to run next; the second drives it out of there. */
		EXPECT_EQ(weft_go(run, NULL), 0);
		EXPECT_EQ(weft_go(run, NULL), 0);
		EXPECT_EQ(wf_load_seqcst(&wf_sched.nap), 0);
		hold_release("idle.naps");
		EXPECT(wait_for(2));
		end_pair(&pair);
	}
}

/* What is to run next wakes nobody then, but the thread looks again by itself (K4). */
TEST(who_naps_takes_what_is_not_run_next_after_all)
{
	weft_gomaxprocs(2);
	for (int i = 0; i < 20; i++) {
		struct pair pair;

		atomic_store(&ran, 0);
		hand_over_until_one_naps(&pair);
		EXPECT_EQ(weft_go(run, NULL), 0);
		hold_release("idle.naps");
		EXPECT(wait_for(1));
		end_pair(&pair);
	}
}

/* A submitter has seen an idle P and stops there; meanwhile another one takes that P. */
static void *
submit(void *arg)
{
	(void)arg;
	EXPECT_EQ(weft_go(run, NULL), 0);
	return NULL;
}

/* Until n Ps are idle, or all when main lost its own, and nobody looks for work. */
static void
settle(uint32_t n)
{
	struct timespec ms = { 0, 1000000 };

	for (int i = 0; i < 30000; i++) {
		if (wf_load_seqcst(&wf_sched.n_idle_p) >= n &&
		    wf_load_seqcst(&wf_sched.n_spinning) == 0)
			return;
		nanosleep(&ms, NULL);
	}
	FAIL("the scheduler does not settle");
}

TEST(two_submitters_and_one_idle_p_lose_nothing)
{
	weft_gomaxprocs(2);
	for (int i = 0; i < 20; i++) {
		pthread_t a, b;

		atomic_store(&ran, 0);
		settle(1);
		hold_at("wake.saw_idle");
		pthread_create(&a, NULL, submit, NULL);
		hold_await("wake.saw_idle");
		pthread_create(&b, NULL, submit, NULL);
		pthread_join(b, NULL);
		hold_release("wake.saw_idle");
		pthread_join(a, NULL);
		while (atomic_load(&ran) < 2)
			weft_sleep(500000);
	}
}

/*
 * SCENARIOS 301: one goroutine at a time, from outside, to a system that is about to sleep each
 * time; a million times in all.
 */
static void *
storm(void *arg)
{
	int n = *(int *)arg;

	for (int i = 0; i < n; i++) {
		int before = atomic_load(&ran);

		EXPECT_EQ(weft_go(run, NULL), 0);
		for (int k = 0; atomic_load(&ran) == before; k++) {
			sched_yield();
			if (k > 10000) {
				EXPECT(wait_for(before + 1));
				break;
			}
		}
	}
	return NULL;
}

TEST(a_storm_of_single_submissions_loses_no_wake)
{
	int n = 250000 / test_scale() / test_scale();

	for (int procs = 1; procs <= 4; procs++) {
		pthread_t t;
		struct timespec ms = { 0, 1000000 };

		weft_gomaxprocs(procs);
		atomic_store(&ran, 0);
		pthread_create(&t, NULL, storm, &n);
		while (atomic_load(&ran) < n)
			weft_sleep(20000000), nanosleep(&ms, NULL);
		pthread_join(t, NULL);
	}
}

static atomic_bool stop[2];
static int fds[2];

static void
yield_until(void *arg)
{
	while (!atomic_load((atomic_bool *)arg))
		weft_yield();
	atomic_fetch_add(&ran, 1);
}

static void
read_two(void *arg)
{
	char c;

	(void)arg;
	EXPECT_EQ(weft_read(fds[0], &c, 1, WEFT_FOREVER), 1);
	EXPECT_EQ(weft_read(fds[0], &c, 1, WEFT_FOREVER), 1);
	atomic_fetch_add(&ran, 1);
}

/* A thread has asked the poller, and another goes to wait there before the first has said so. */
static void *
wait_while_another_asks(void *done)
{
	struct timespec ms = { 0, 1000000 };

	/* Who waits in the poller now comes out, finds both Ps busy, and does not go back. */
	EXPECT_EQ(write(fds[1], "x", 1), 1);
	hold_await("poll.asked");
	/* The one that is held keeps its P; the other thread runs out of work. */
	atomic_store(&stop[0], true);
	atomic_store(&stop[1], true);
	for (int i = 0; wf_load_seqcst(&wf_sched.last_poll) != 0; i++) {
		if (i > 30000 * test_scale())
			FAIL("nobody waits in the poller");
		nanosleep(&ms, NULL);
	}
	hold_at("poll.told");
	hold_release("poll.asked");
	hold_await("poll.told");
	EXPECT_EQ(wf_load_seqcst(&wf_sched.last_poll), 0);
	hold_release("poll.told");
	EXPECT(wait_for(2));
	EXPECT_EQ(write(fds[1], "x", 1), 1);
	EXPECT(wait_for(3));
	weft_chan_close(done);
	return NULL;
}

/*
 * That a thread waits in the poller is not forgotten because another just asked there: two would
 * wait, earlier timers would wake the wrong one, and a dead program would not be seen to be dead.
 */
TEST(who_asks_the_poller_does_not_hide_who_waits_there)
{
	weft_chan *done = weft_chan_new(0, 0);
	pthread_t t;

	weft_gomaxprocs(2);
	EXPECT_EQ(pipe(fds), 0);
	weft_go(read_two, NULL);
	weft_go(yield_until, &stop[0]);
	weft_go(yield_until, &stop[1]);
	weft_sleep(1000000);
	hold_at("poll.asked");
	pthread_create(&t, NULL, wait_while_another_asks, done);
	EXPECT_EQ(weft_chan_recv(done, NULL, WEFT_FOREVER), 0);
	pthread_join(t, NULL);
	weft_chan_unref(done);
}

static void *
take_a_p_away(void *done)
{
	hold_await("idle.searched");
	EXPECT_EQ(weft_gomaxprocs(1), 2);
	hold_release("idle.searched");
	weft_chan_close(done);
	return NULL;
}

/* Its P looks as if it had stolen very many, which have all ended at once. */
static void
have_stolen_tiny_ones(void *arg)
{
	struct p *p;

	run(arg);
	p = wf_enter()->p;
	p->stolen = RUNQ_BATCH;
	p->stolen_at = wf_os_now() + INT64_C(3600000000000);
	wf_leave();
}

/* Who rests does not count as one who looks: what comes meanwhile is run by others. */
TEST(a_thief_of_tiny_ones_rests_while_others_work)
{
	weft_gomaxprocs(2);
	for (int i = 0; i < 10; i++) {
		atomic_store(&ran, 0);
		hold_at("steal.rests");
		EXPECT_EQ(weft_go(have_stolen_tiny_ones, NULL), 0);
		hold_await("steal.rests");
		EXPECT_EQ(atomic_load(&ran), 1);
		EXPECT_EQ(weft_go(run, NULL), 0);
		EXPECT(wait_for(2));
		hold_release("steal.rests");
		EXPECT_EQ(weft_go(run, NULL), 0);
		EXPECT(wait_for(3));
	}
}

/* No P beyond gomaxprocs is on the list of idle ones. */
static void
expect_no_surplus_idle(void)
{
	uint32_t surplus = 0;

	(void)wf_enter();
	wf_lock(&wf_sched.lock);
	for (struct p *p = wf_sched.idle_p; p != NULL; p = p->idle_next)
		surplus += wf_p_must_retire(p);
	wf_unlock(&wf_sched.lock);
	wf_leave();
	EXPECT_EQ(surplus, 0);
}

/*
 * A P that is taken away between a thread's last look and its going idle must not get on the
 * list of idle ones: the monitor would take the program for idle while it runs, and sleep.
 */
TEST(a_p_taken_away_while_it_goes_idle_is_not_idle)
{
	for (int i = 0; i < 20; i++) {
		weft_chan *done = weft_chan_new(0, 0);
		pthread_t t;

		weft_gomaxprocs(2);
		hold_at("idle.searched");
		pthread_create(&t, NULL, take_a_p_away, done);
		EXPECT_EQ(weft_chan_recv(done, NULL, WEFT_FOREVER), 0);
		nanosleep(&(struct timespec){ 0, 2000000 }, NULL);
		expect_no_surplus_idle();
		pthread_join(t, NULL);
		weft_chan_unref(done);
	}
}

/*
 * Bugs that programs have, planted: the simulator must find each within some hundred seeds. If one
 * of these fails, the simulator no longer tries the orders in which such bugs show.
 */
#include <weft.h>
#include <weft/sim.h>

#include "child.h"
#include "test.h"

#include <stdlib.h>
#include <string.h>

/*
 * Found within so many seeds. Each of these programs fails under one seed of four or more, so that
 * whatever a change of the scheduler does to a seed, it does not do it to a hundred in a row.
 */
enum { SEEDS = 500 };

static void
expect_found(void (*fn)(void *))
{
	for (int seed = 1; seed <= SEEDS; seed++)
		if (weft_sim_run((uint64_t)seed, fn, NULL) == 1)
			return;
	FAIL("not found in %d seeds", SEEDS);
}

/* As a program does between two calls: the longer, the wider is the window that it leaves open. */
static void
work(void)
{
	weft_sim_compute(1 + (int64_t)(weft_sim_random() % 20000));
}

static weft_waitgroup all;
static int counter;

/* Reads, is elsewhere for a moment, writes: an update of another gets lost. */
static void
add_badly(void *arg)
{
	int seen = counter;

	(void)arg;
	weft_yield();
	counter = seen + 1;
	weft_waitgroup_done(&all);
}

static void
lost_update(void *arg)
{
	(void)arg;
	weft_waitgroup_add(&all, 3);
	for (int i = 0; i < 3; i++)
		EXPECT_EQ(weft_go(add_badly, NULL), 0);
	weft_waitgroup_wait(&all, WEFT_FOREVER);
	if (counter != 3)
		abort();
}

TEST(an_update_that_gets_lost)
{
	expect_found(lost_update);
}

/* Two locks in two orders. */
static weft_mutex first, second;

static void
lock_second_first(void *arg)
{
	(void)arg;
	weft_mutex_lock(&second);
	work();
	weft_mutex_lock(&first);
	weft_mutex_unlock(&first);
	weft_mutex_unlock(&second);
}

static void
embrace(void *arg)
{
	(void)arg;
	EXPECT_EQ(weft_go(lock_second_first, NULL), 0);
	weft_mutex_lock(&first);
	work();
	weft_mutex_lock(&second);
	weft_mutex_unlock(&second);
	weft_mutex_unlock(&first);
}

TEST(locks_in_two_orders)
{
	expect_found(embrace);
}

/* A signal that comes before the wait is lost, for the condition is not asked under the lock. */
static weft_mutex lock;
static weft_cond changed;
static bool is_ready;

static void
make_ready(void *arg)
{
	(void)arg;
	is_ready = true;
	weft_cond_signal(&changed);
}

static void
wait_badly(void *arg)
{
	(void)arg;
	EXPECT_EQ(weft_go(make_ready, NULL), 0);
	if (!is_ready) {
		work();
		weft_mutex_lock(&lock);
		weft_cond_wait(&changed, &lock, WEFT_FOREVER);
		weft_mutex_unlock(&lock);
	}
}

TEST(a_signal_before_the_wait)
{
	expect_found(wait_badly);
}

/* The answer goes to a channel without room, and who asked has stopped waiting. */
static void
answer_late(void *arg)
{
	int v = 1;

	weft_sleep(1000000 + (int64_t)(weft_sim_random() % 2000000));
	weft_chan_send(arg, &v, WEFT_FOREVER);
}

static void
leak_on_timeout(void *arg)
{
	weft_chan *c = weft_chan_new(sizeof(int), 0);

	(void)arg;
	EXPECT_EQ(weft_go(answer_late, c), 0);
	(void)weft_chan_recv(c, NULL, weft_in(2000000));
}

TEST(a_goroutine_that_nobody_hears)
{
	expect_found(leak_on_timeout);
}

static void
find_leak(void *arg)
{
	(void)arg;
	expect_found(leak_on_timeout);
}

/* How long it has waited is by the clock of the run: an hour or two, not as long as the machine. */
TEST(the_report_has_the_time_of_the_run)
{
	static const struct child_options patient = { .limit_ms = 120000 };
	struct child_result r = child_run_with(&patient, find_leak, NULL);
	const char *at = strstr(r.err, " [chan send, ");
	int minutes = at != NULL ? atoi(at + strlen(" [chan send, ")) : -1;

	EXPECT_EQ(r.status, 0);
	EXPECT(minutes >= 60 && minutes < 180);
	child_result_free(&r);
}

/* Closed by the one who counts to two, which both may do. */
static void
close_after_two(void *arg)
{
	static int n;
	int seen = n + 1;

	weft_yield();
	n = seen;
	if (n == 1)
		weft_chan_close(arg);
}

static void
close_twice(void *arg)
{
	weft_chan *c = weft_chan_new(1, 0);

	(void)arg;
	EXPECT_EQ(weft_go(close_after_two, c), 0);
	EXPECT_EQ(weft_go(close_after_two, c), 0);
	weft_chan_recv(c, NULL, WEFT_FOREVER);
}

TEST(a_channel_closed_twice)
{
	expect_found(close_twice);
}

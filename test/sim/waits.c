/*
 * Who waits is served, and what is handed over arrives: waits that are given up or cancelled while
 * somebody hands over, queues that are never empty. The simulator itself fails a run in which the
 * first of a queue is left there (starvation). Replay: WEFT_SIM_SEED=n.
 */
#include <weft.h>

#include "sim_util.h"

#include <errno.h>

enum { SEEDS = 100, SENDERS = 3, EACH = 20, YIELDERS = 3 };

/* ---- Elements ---- */

static weft_chan *way;
static weft_waitgroup senders;
static int seen[SENDERS * EACH];

static void
send_each(void *arg)
{
	int first = (int)(intptr_t)arg * EACH;

	for (int v = first; v < first + EACH; v++)
		EXPECT_EQ(weft_chan_send(way, &v, WEFT_FOREVER), 0);
	weft_waitgroup_done(&senders);
}

/* Each wait ends by an element, by its deadline, or because somebody has cancelled the scope. */
static int
receive_in_a_hurry(void *arg)
{
	int v = -1, r;

	(void)arg;
	do {
		r = weft_chan_recv(way, &v, weft_in((int64_t)(weft_sim_random() % 5000)));
		if (r == 1)
			seen[v]++;
	} while (r == 1 || r == -ETIMEDOUT);
	EXPECT(r == -ECANCELED || r == 0);
	return 0;
}

static void
cancelled_receivers(size_t cap)
{
	way = weft_chan_new(sizeof(int), cap);
	weft_waitgroup_add(&senders, SENDERS);
	for (int i = 0; i < SENDERS; i++)
		EXPECT_EQ(weft_go(send_each, (void *)(intptr_t)i), 0);
	do {
		weft_scope *s = weft_scope_new(NULL, WEFT_FOREVER);

		EXPECT_EQ(weft_scope_go(s, receive_in_a_hurry, NULL), 0);
		EXPECT_EQ(weft_scope_go(s, receive_in_a_hurry, NULL), 0);
		weft_sleep((int64_t)(weft_sim_random() % 20000));
		weft_scope_cancel(s, -ECANCELED);
		weft_scope_free(s);
	} while (weft_waitgroup_wait(&senders, WEFT_NOW) != 0 || weft_chan_len(way) != 0);
	for (int i = 0; i < SENDERS * EACH; i++)
		EXPECT_EQ(seen[i], 1);
	weft_chan_unref(way);
}

static void
cancelled_unbuffered(void *arg)
{
	(void)arg;
	cancelled_receivers(0);
}

static void
cancelled_buffered(void *arg)
{
	(void)arg;
	cancelled_receivers(2);
}

/* If this fails, an element is gone because its receiver was cancelled when it came. */
TEST(who_is_cancelled_takes_nothing_along)
{
	run_seeds(NULL, cancelled_unbuffered, SEEDS);
	run_seeds(NULL, cancelled_buffered, SEEDS);
}

/* ---- Turns ---- */

static weft_event brought;

static void
yield_until_brought(void *arg)
{
	(void)arg;
	while (weft_event_wait(&brought, WEFT_NOW) != 0)
		weft_yield();
}

static void
set_brought(void *arg)
{
	(void)arg;
	weft_event_set(&brought);
}

static void
bring(void *arg)
{
	(void)arg;
	EXPECT_EQ(weft_go(set_brought, NULL), 0);
}

static void
busy_queues(void *arg)
{
	(void)arg;
	for (int i = 0; i < YIELDERS; i++)
		EXPECT_EQ(weft_go(yield_until_brought, NULL), 0);
	weft_sleep(1000000);
	EXPECT_EQ(weft_sim_thread(bring, NULL), 0);	/* by the global queue */
	EXPECT_EQ(weft_event_wait(&brought, WEFT_FOREVER), 0);
}

/* If this fails, goroutines that keep each other busy keep all others out. */
TEST(the_global_queue_has_its_turn)
{
	weft_sim_options o = {.size = sizeof(o), .procs = 1};

	run_seeds(&o, busy_queues, SEEDS);
}

/* ---- Locks ---- */

static weft_mutex lock;
static weft_waitgroup all;

static void
lock_often(void *arg)
{
	(void)arg;
	for (int i = 0; i < EACH; i++) {
		weft_mutex_lock(&lock);
		if (weft_sim_random() % 4 == 0)
			weft_yield();
		weft_mutex_unlock(&lock);
	}
	weft_waitgroup_done(&all);
}

static void
contended(void *arg)
{
	(void)arg;
	weft_waitgroup_add(&all, SENDERS);
	for (int i = 0; i < SENDERS; i++)
		EXPECT_EQ(weft_go(lock_often, NULL), 0);
	EXPECT_EQ(weft_waitgroup_wait(&all, WEFT_FOREVER), 0);
}

/* If this fails, a mutex is free and somebody waits for it: the program stops there. */
TEST(no_lock_is_left_to_nobody)
{
	run_seeds(NULL, contended, SEEDS);
}

/* ---- Ends ---- */

static weft_cond changed;
static bool is_over;

static void
wait_for_the_end(void *arg)
{
	weft_mutex_lock(&lock);
	while (!is_over)
		(void)weft_cond_wait(&changed, &lock, arg != NULL ? WEFT_FOREVER
		    : weft_in(1 + (int64_t)(weft_sim_random() % 20000)));
	weft_mutex_unlock(&lock);
}

static void
told_and_left(void *arg)
{
	(void)arg;
	for (intptr_t i = 0; i < 6; i++)
		EXPECT_EQ(weft_go(wait_for_the_end, (void *)(i % 2)), 0);
	weft_sleep((int64_t)(weft_sim_random() % 20000));
	weft_mutex_lock(&lock);
	is_over = true;
	weft_cond_broadcast(&changed);
	weft_mutex_unlock(&lock);
}

/* If this fails, a goroutine waits on that nobody knows of any more. */
TEST(a_broadcast_leaves_no_goroutine)
{
	run_seeds(NULL, told_and_left, SEEDS);
}

/*
 * The windows of time/README.md, held open: a firing that has delivered but is not over (between
 * T3 and T5), and a goroutine that gives up its wait on a timer's channel.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <weft.h>

#include "chan/chan.h"
#include "hold.h"
#include "test.h"
#include "window.h"

#define MS ((int64_t)1000000)

struct op {
	weft_timer *t;
	_Atomic int started;
	_Atomic int ended;
	_Atomic int result;
};

static void *
stop_it(void *arg)
{
	struct op *o = arg;

	atomic_store(&o->started, 1);
	atomic_store(&o->result, weft_timer_stop(o->t));
	atomic_store(&o->ended, 1);
	return NULL;
}

static void *
reset_it(void *arg)
{
	struct op *o = arg;

	atomic_store(&o->started, 1);
	atomic_store(&o->result, weft_timer_reset(o->t, WEFT_FOREVER, 0));
	atomic_store(&o->ended, 1);
	return NULL;
}

static void *
free_it(void *arg)
{
	struct op *o = arg;

	atomic_store(&o->started, 1);
	weft_timer_free(o->t);
	atomic_store(&o->ended, 1);
	return NULL;
}

/* A goroutine that keeps a thread in the scheduler, where it finds the timer and fires it. */
static int
sleep_on(void *arg)
{
	(void)arg;
	while (weft_sleep(1 * MS) == 0)
		;
	return 0;
}

static bool
has_delivered(weft_timer *t)
{
	weft_chan *c = weft_timer_chan(t);
	bool has;

	wf_enter();
	/* With the lock: a delivery that comes after this look finds the hold armed. */
	wf_lock(&c->lock);
	has = wf_chan_count_racy(c) > 0;
	wf_unlock(&c->lock);
	wf_leave();
	return has;
}

/*
 * A timer that will fire in the scheduler and stop there after its delivery. One that is due before
 * it is in a heap fires in the call that makes it, on the thread that is to release it. So the hold
 * is armed afterwards; and if the timer has delivered by then, perhaps too early for the hold,
 * another one gets more time.
 */
static weft_timer *
timer_to_be_held(int64_t period)
{
	for (int64_t delay = 2 * MS;; delay *= 2) {
		weft_timer *t = weft_timer_new(weft_in(delay), period, NULL, NULL);

		EXPECT(t != NULL);
		hold_at("timer.delivered");
		if (!has_delivered(t))
			return t;
		hold_release("timer.delivered");
		weft_timer_free(t);
	}
}

/* Stops the firing of a periodic or single timer after its delivery, and starts op against it. */
static void
against_firing(struct op *o, int64_t period, void *(*op)(void *))
{
	weft_scope *s = weft_scope_new(NULL, WEFT_FOREVER);
	pthread_t thread;

	EXPECT(s != NULL);
	/* The firing thread stands still with its processor; others go on. */
	weft_gomaxprocs(4);
	for (int i = 0; i < 4; i++)
		EXPECT_EQ(weft_scope_go(s, sleep_on, NULL), 0);
	o->t = timer_to_be_held(period);

	EXPECT_EQ(pthread_create(&thread, NULL, op, o), 0);
	EXPECT_EQ(pthread_join(thread, NULL), 0);
	weft_scope_free(s);
}

/*
 * The firing has put the value into the channel but is not over. A stop that returned now would
 * either leave the value to be received, or let a periodic timer arm itself again behind its back.
 */
static void *
stop_while_held(void *arg)
{
	struct op *o = arg;
	pthread_t thread;

	hold_await("timer.delivered");
	EXPECT_EQ(pthread_create(&thread, NULL, stop_it, o), 0);
	while (!atomic_load(&o->started))
		pause_ms(1);
	pause_ms(20);
	EXPECT_EQ(atomic_load(&o->ended), 0);
	hold_release("timer.delivered");
	EXPECT_EQ(pthread_join(thread, NULL), 0);
	EXPECT_EQ(atomic_load(&o->result), 1);
	EXPECT_EQ(weft_chan_recv(weft_timer_chan(o->t), NULL, weft_in(5 * MS)), -ETIMEDOUT);
	EXPECT(!weft_timer_stop(o->t));
	weft_timer_free(o->t);
	return NULL;
}

TEST(stop_waits_for_a_firing_and_takes_its_value_back)
{
	struct op o = { 0 };

	against_firing(&o, 0, stop_while_held);
}

TEST(stop_waits_for_a_periodic_firing)
{
	struct op o = { 0 };

	against_firing(&o, 1 * MS, stop_while_held);
}

static void *
reset_while_held(void *arg)
{
	struct op *o = arg;
	pthread_t thread;

	hold_await("timer.delivered");
	EXPECT_EQ(pthread_create(&thread, NULL, reset_it, o), 0);
	while (!atomic_load(&o->started))
		pause_ms(1);
	pause_ms(20);
	EXPECT_EQ(atomic_load(&o->ended), 0);
	hold_release("timer.delivered");
	EXPECT_EQ(pthread_join(thread, NULL), 0);
	EXPECT_EQ(atomic_load(&o->result), 1);
	EXPECT_EQ(weft_chan_recv(weft_timer_chan(o->t), NULL, weft_in(5 * MS)), -ETIMEDOUT);
	weft_timer_free(o->t);
	return NULL;
}

TEST(reset_waits_for_a_periodic_firing)
{
	struct op o = { 0 };

	against_firing(&o, 1 * MS, reset_while_held);
}

static void *
free_while_held(void *arg)
{
	struct op *o = arg;
	weft_chan *c = weft_chan_ref(weft_timer_chan(o->t));
	pthread_t thread;

	hold_await("timer.delivered");
	EXPECT_EQ(pthread_create(&thread, NULL, free_it, o), 0);
	while (!atomic_load(&o->started))
		pause_ms(1);
	pause_ms(20);
	EXPECT_EQ(atomic_load(&o->ended), 0);
	hold_release("timer.delivered");
	EXPECT_EQ(pthread_join(thread, NULL), 0);
	/* The value was taken back, the channel closed. */
	EXPECT_EQ(weft_chan_recv(c, NULL, WEFT_NOW), 0);
	weft_chan_unref(c);
	return NULL;
}

/* Freed earlier, the firing would go on in memory that is somebody else's. */
TEST(free_waits_for_a_firing)
{
	struct op o = { 0 };

	against_firing(&o, 1 * MS, free_while_held);
}

/* Gives up a wait. A deadline that passes before it waits is not one: then with more time. */
static int
recv_until(void *arg)
{
	struct op *o = arg;
	weft_chan *c = weft_chan_ref(weft_timer_chan(o->t));
	int r = 0;

	for (int64_t ns = 3 * MS; hold_count("chan.gave_up") == 0; ns *= 2)
		r = weft_chan_recv(c, NULL, weft_in(ns));
	weft_chan_unref(c);
	atomic_store(&o->result, r);
	return 0;
}

/*
 * A receiver has given up but still stands in the channel's queue when the timer fires. The value
 * must not go to it: it is not listening any more. Then the timer is freed before it has left.
 */
TEST(a_receiver_that_gave_up_gets_no_value)
{
	struct op o = { 0 };
	weft_scope *s = weft_scope_new(NULL, WEFT_FOREVER);

	weft_gomaxprocs(4);
	o.t = weft_timer_new(WEFT_FOREVER, 0, NULL, NULL);
	EXPECT(s != NULL && o.t != NULL);
	hold_at("chan.gave_up");
	EXPECT_EQ(weft_scope_go(s, recv_until, &o), 0);
	hold_await("chan.gave_up");
	weft_timer_reset(o.t, WEFT_NOW, 0);
	EXPECT(weft_timer_stop(o.t));
	weft_timer_free(o.t);
	hold_release("chan.gave_up");
	EXPECT_EQ(weft_scope_wait(s, WEFT_FOREVER), 0);
	/* It looks once more before it says so, and finds the channel closed. */
	EXPECT_EQ(atomic_load(&o.result), 0);
	weft_scope_free(s);
}

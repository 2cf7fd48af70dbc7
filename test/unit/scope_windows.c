/*
 * The windows of scope/README.md, held open: the middle of K1-K3, a walk between batches and on its
 * way down, and the way into G4.
 */
#include "scope/scope.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <weft.h>

#include "hold.h"
#include "test.h"
#include "window.h"

static weft_scope *
scope_make(weft_scope *parent)
{
	weft_scope *s = weft_scope_new(parent, WEFT_FOREVER);

	EXPECT(s != NULL);
	return s;
}

struct look {
	weft_scope *s;
	_Atomic int started;
	_Atomic int err;
	_Atomic int cause;
	_Atomic int ended;
};

static void *
ask_err(void *arg)
{
	struct look *l = arg;

	atomic_store(&l->started, 1);
	atomic_store(&l->err, weft_scope_err(l->s));
	atomic_store(&l->cause, weft_scope_cause(l->s));
	atomic_store(&l->ended, 1);
	return NULL;
}

static void *
cancel_it(void *arg)
{
	struct look *l = arg;

	weft_scope_cancel(l->s, -EIO);
	return NULL;
}

static void *
cancel_second(void *arg)
{
	struct look *l = arg;

	atomic_store(&l->started, 1);
	weft_scope_cancel(l->s, -EPIPE);
	atomic_store(&l->ended, 1);
	return NULL;
}

/* Starts fn, and gives it the time to go wrong: it must not end before the window closes. */
static pthread_t
start_and_expect_stuck(void *(*fn)(void *), struct look *l)
{
	pthread_t thread;

	EXPECT_EQ(pthread_create(&thread, NULL, fn, l), 0);
	while (!atomic_load(&l->started))
		pause_ms(1);
	pause_ms(20);
	EXPECT_EQ(atomic_load(&l->ended), 0);
	return thread;
}

/*
 * Between the mark and the closing of done, err is neither 0 (a wait has ended with -ECANCELED
 * already, so that would be a lie) nor set (done is still open): who asks then has to wait.
 */
TEST(err_waits_for_a_cancellation_in_progress)
{
	struct look l = { .s = scope_make(NULL) };
	weft_chan *done = weft_scope_done(l.s);
	pthread_t canceller, asker;

	hold_at("scope.cancelling");
	EXPECT_EQ(pthread_create(&canceller, NULL, cancel_it, &l), 0);
	hold_await("scope.cancelling");
	EXPECT(wf_scope_is_cancelled(l.s));
	EXPECT_EQ(weft_chan_recv(done, NULL, WEFT_NOW), -ETIMEDOUT);
	asker = start_and_expect_stuck(ask_err, &l);
	hold_release("scope.cancelling");
	EXPECT_EQ(pthread_join(canceller, NULL), 0);
	EXPECT_EQ(pthread_join(asker, NULL), 0);
	EXPECT_EQ(atomic_load(&l.err), -ECANCELED);
	EXPECT_EQ(atomic_load(&l.cause), -EIO);
	EXPECT_EQ(weft_chan_recv(done, NULL, WEFT_NOW), 0);
	weft_scope_free(l.s);
}

/*
 * A canceller who comes second must not return while the first is still on its way down: its
 * caller believes that everything below is cancelled.
 */
TEST(a_second_cancel_waits_for_the_first_to_finish_below)
{
	struct look top = { .s = scope_make(NULL) };
	struct look late = { .s = top.s };
	weft_scope *child = scope_make(top.s);
	pthread_t canceller, second;

	hold_at("scope.cancelling");
	EXPECT_EQ(pthread_create(&canceller, NULL, cancel_it, &top), 0);
	hold_await("scope.cancelling");
	EXPECT_EQ(weft_scope_err(child), 0);
	second = start_and_expect_stuck(cancel_second, &late);
	hold_release("scope.cancelling");
	EXPECT_EQ(pthread_join(second, NULL), 0);
	EXPECT_EQ(weft_scope_err(child), -ECANCELED);
	EXPECT_EQ(weft_scope_cause(child), -EIO);
	EXPECT_EQ(pthread_join(canceller, NULL), 0);
	EXPECT_EQ(weft_scope_cause(top.s), -EIO);
	weft_scope_free(child);
	weft_scope_free(top.s);
}

static void *
new_child(void *arg)
{
	struct look *l = arg;
	weft_scope *child;

	atomic_store(&l->started, 1);
	child = scope_make(l->s);
	atomic_store(&l->err, weft_scope_err(child));
	atomic_store(&l->ended, 1);
	weft_scope_free(child);
	return NULL;
}

/* Neither met by the walk nor born cancelled: such a child would live for ever. */
TEST(a_child_made_during_a_cancellation_is_cancelled)
{
	struct look l = { .s = scope_make(NULL) };
	pthread_t canceller, maker;

	hold_at("scope.cancelling");
	EXPECT_EQ(pthread_create(&canceller, NULL, cancel_it, &l), 0);
	hold_await("scope.cancelling");
	maker = start_and_expect_stuck(new_child, &l);
	hold_release("scope.cancelling");
	EXPECT_EQ(pthread_join(canceller, NULL), 0);
	EXPECT_EQ(pthread_join(maker, NULL), 0);
	EXPECT_EQ(atomic_load(&l.err), -ECANCELED);
	weft_scope_free(l.s);
}

static int
return_at_once(void *arg)
{
	(void)arg;
	return 0;
}

static void *
free_it(void *arg)
{
	struct look *l = arg;

	atomic_store(&l->started, 1);
	weft_scope_free(l->s);
	atomic_store(&l->ended, 1);
	return NULL;
}

/*
 * A goroutine whose function has returned is still about to take the scope's lock: until it has
 * left, the scope must not be freed.
 */
TEST(free_waits_for_a_goroutine_on_its_way_out)
{
	struct look l = { .s = scope_make(NULL) };
	pthread_t thread;

	/* The one that is held keeps a processor: the others need one, too. */
	weft_gomaxprocs(4);
	hold_at("scope.leaving");
	EXPECT_EQ(weft_scope_go(l.s, return_at_once, NULL), 0);
	hold_await("scope.leaving");
	EXPECT_EQ(weft_scope_wait(l.s, WEFT_NOW), -ETIMEDOUT);
	thread = start_and_expect_stuck(free_it, &l);
	hold_release("scope.leaving");
	EXPECT_EQ(pthread_join(thread, NULL), 0);
	EXPECT_EQ(atomic_load(&l.ended), 1);
}

/* ---- Between two batches of a walk (K4, K8) ---- */

enum { CROWD = 2500 };		/* more than two batches */

static _Atomic int crowd_waits, crowd_ended;

static int
wait_in_crowd(void *arg)
{
	(void)arg;
	atomic_fetch_add(&crowd_waits, 1);
	EXPECT_EQ(weft_chan_recv(NULL, NULL, WEFT_FOREVER), -ECANCELED);
	atomic_fetch_add(&crowd_ended, 1);
	return 0;
}

/*
 * A canceller that has done a part of a crowd and stands still there, preempted say, keeps nobody
 * from the scope; and a second one finishes what it has left, or its promise would be broken.
 */
TEST(a_canceller_between_batches_keeps_nobody_out)
{
	struct look l = { .s = scope_make(NULL) };
	weft_scope *below = scope_make(l.s);
	pthread_t canceller;

	weft_gomaxprocs(4);
	for (int i = 0; i < CROWD; i++)
		EXPECT_EQ(weft_scope_go(i % 2 != 0 ? l.s : below, wait_in_crowd, NULL), 0);
	while (atomic_load(&crowd_waits) < CROWD)
		weft_yield();
	hold_at("scope.batch");
	EXPECT_EQ(pthread_create(&canceller, NULL, cancel_it, &l), 0);
	hold_await("scope.batch");
	EXPECT_EQ(weft_scope_err(l.s), -ECANCELED);
	EXPECT_EQ(weft_scope_err(below), 0);
	EXPECT_EQ(weft_scope_set(l.s, &l, NULL), 0);
	EXPECT_EQ(weft_scope_go(l.s, return_at_once, NULL), -ECANCELED);
	/* Those of the first batch run; those of the next ones still wait. */
	while (atomic_load(&crowd_ended) < 1000)
		weft_yield();
	pause_ms(5);
	EXPECT_EQ(atomic_load(&crowd_ended), 1000);
	weft_scope_cancel(l.s, -EPIPE);
	EXPECT_EQ(weft_scope_err(below), -ECANCELED);
	EXPECT_EQ(weft_scope_cause(below), -EIO);
	EXPECT_EQ(weft_scope_wait(below, WEFT_FOREVER), 0);
	EXPECT_EQ(weft_scope_wait(l.s, WEFT_FOREVER), 0);
	EXPECT_EQ(atomic_load(&crowd_ended), CROWD);
	hold_release("scope.batch");
	EXPECT_EQ(pthread_join(canceller, NULL), 0);
	weft_scope_free(below);
	weft_scope_free(l.s);
}

/* ---- On the way down (K5) ---- */

/* A child that is freed when a canceller has just set out for it: the walk must not meet freed
 * memory, and must find its way back. */
TEST(a_child_is_freed_while_a_canceller_is_on_its_way_there)
{
	struct look l = { .s = scope_make(NULL) };
	weft_scope *child = scope_make(l.s), *grandchild = scope_make(child);
	weft_scope *other = scope_make(l.s);
	pthread_t canceller;

	hold_at("scope.descending");
	EXPECT_EQ(pthread_create(&canceller, NULL, cancel_it, &l), 0);
	hold_await("scope.descending");
	weft_scope_free(other);
	weft_scope_free(grandchild);
	weft_scope_free(child);
	hold_release("scope.descending");
	EXPECT_EQ(pthread_join(canceller, NULL), 0);
	weft_scope_free(l.s);
}

/*
 * One goroutine cancels, another sees that and frees: the first must not meet freed memory when it
 * goes on. AddressSanitizer and ThreadSanitizer say so.
 */
TEST(a_scope_is_freed_while_its_canceller_is_on_its_way)
{
	weft_scope *with_timer = weft_scope_new(NULL, weft_in(INT64_C(3600000000000)));
	weft_scope *with_child = scope_make(NULL), *child = scope_make(with_child);
	struct look looks[] = { { .s = with_timer }, { .s = with_child } };

	for (size_t i = 0; i < sizeof(looks) / sizeof(looks[0]); i++) {
		pthread_t canceller;

		hold_at("scope.marked");
		EXPECT_EQ(pthread_create(&canceller, NULL, cancel_it, &looks[i]), 0);
		hold_await("scope.marked");
		EXPECT_EQ(weft_scope_err(looks[i].s), -ECANCELED);
		if (looks[i].s == with_child)
			weft_scope_free(child);
		weft_scope_free(looks[i].s);
		hold_release("scope.marked");
		EXPECT_EQ(pthread_join(canceller, NULL), 0);
	}
}

/* The timer of a scope below goes with the cancellation: a server with long deadlines and short
 * requests would else keep a heap full of dead ones. (K7) */
TEST(a_cancellation_takes_the_timers_below_back)
{
	weft_scope *s = scope_make(NULL);
	weft_scope *below = weft_scope_new(s, weft_in(INT64_C(3600000000000)));

	EXPECT(wf_load_relaxed(&below->timer.home) != NULL);
	weft_scope_cancel(s, -EIO);
	EXPECT(wf_load_relaxed(&below->timer.home) == NULL);
	weft_scope_free(below);
	weft_scope_free(s);
}

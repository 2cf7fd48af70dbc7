/*
 * The windows of scope/README.md, held open: the middle of K1-K4, and the way into G4.
 */
#include "scope/scope.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <weft.h>

#include "hold.h"
#include "test.h"

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

static void
pause_ms(int ms)
{
	struct timespec t = { 0, ms * 1000000L };

	nanosleep(&t, NULL);
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

/*
 * Scopes as groups of goroutines: starting, results, waiting, freeing. Cancelling a tree is in
 * scope_cancel.c, deadlines in scope_deadline.c.
 */
#include "scope_util.h"
#include "child.h"

#include <pthread.h>
#include <unistd.h>

static int
count_up(void *arg)
{
	weft_yield();
	atomic_fetch_add((_Atomic int *)arg, 1);
	return 0;
}

/* Waits until it is cancelled, and says so in its result. */
static int
wait_for_ever(void *arg)
{
	_Atomic int *ended = arg;
	int r = weft_chan_recv(NULL, NULL, WEFT_FOREVER);

	if (ended != NULL)
		atomic_fetch_add(ended, 1);
	return r;
}

/* If wait returned early, its caller would free what the goroutines still use. */
static void
wait_returns_after_all(void)
{
	_Atomic int n = 0;
	weft_scope *s = scope_make(NULL);
	int many = scaled(10000);

	for (int i = 0; i < many; i++)
		scope_go(s, count_up, &n);
	EXPECT_EQ(weft_scope_wait(s, WEFT_FOREVER), 0);
	EXPECT_EQ(atomic_load(&n), many);
	EXPECT_EQ(weft_scope_err(s), 0);
	EXPECT_EQ(weft_scope_cause(s), 0);

	/* It can be used, and waited for, again. */
	scope_go(s, count_up, &n);
	EXPECT_EQ(weft_scope_wait(s, WEFT_FOREVER), 0);
	EXPECT_EQ(atomic_load(&n), many + 1);
	weft_scope_free(s);
}

TEST(wait_returns_after_all_goroutines)
{
	on_1_2_4_procs(wait_returns_after_all);
}

struct outcome {
	weft_chan *gate;
	int result;
};

static int
return_result(void *arg)
{
	struct outcome *o = arg;

	weft_chan_recv(o->gate, NULL, WEFT_FOREVER);
	return o->result;
}

/* The first failure ends the others' work, and is what the waiter is told: not their -ECANCELED. */
static void
failure_cancels(int result)
{
	struct outcome o = { chan_signal(0), result };
	_Atomic int ended = 0;
	weft_scope *s = scope_make(NULL);

	for (int i = 0; i < 10; i++)
		scope_go(s, wait_for_ever, &ended);
	scope_go(s, return_result, &o);
	EXPECT_EQ(weft_scope_wait(s, WEFT_NOW), -ETIMEDOUT);
	EXPECT_EQ(atomic_load(&ended), 0);
	weft_chan_close(o.gate);
	EXPECT_EQ(weft_scope_wait(s, WEFT_FOREVER), result);
	EXPECT_EQ(atomic_load(&ended), 10);
	EXPECT_EQ(weft_scope_err(s), -ECANCELED);
	EXPECT_EQ(weft_scope_cause(s), result);
	EXPECT_EQ(weft_scope_wait(s, WEFT_FOREVER), result);
	weft_scope_free(s);
	weft_chan_unref(o.gate);
}

static void
failures_cancel(void)
{
	failure_cancels(-EIO);
	failure_cancels(7);
	failure_cancels(INT32_MIN);
}

TEST(the_first_failure_cancels_the_rest)
{
	on_1_2_4_procs(failures_cancel);
}

static int
never_called(void *arg)
{
	(void)arg;
	FAIL("a goroutine was started in a cancelled scope");
}

/* Work started after the cancellation would never be told of it. */
TEST(a_cancelled_scope_starts_nothing)
{
	weft_scope *s = scope_make(NULL);
	weft_scope *child;

	weft_scope_cancel(s, -EPIPE);
	EXPECT_EQ(weft_scope_go(s, never_called, NULL), -ECANCELED);
	child = scope_make(s);
	EXPECT_EQ(weft_scope_err(child), -ECANCELED);
	EXPECT_EQ(weft_scope_cause(child), -EPIPE);
	EXPECT_EQ(weft_scope_go(child, never_called, NULL), -ECANCELED);
	EXPECT_EQ(weft_chan_recv(weft_scope_done(child), NULL, WEFT_NOW), 0);
	weft_scope_free(child);
	EXPECT_EQ(weft_scope_wait(s, WEFT_NOW), 0);
	weft_scope_free(s);
}

/* A wait that can go at once goes; one that can't keeps its deadline, and the goroutines run on. */
TEST(wait_keeps_its_deadline)
{
	weft_chan *gate = chan_signal(0);
	weft_scope *s = scope_make(NULL);
	int64_t deadline;

	EXPECT_EQ(weft_scope_wait(s, WEFT_NOW), 0);
	scope_go(s, wait_for_close, gate);
	EXPECT_EQ(weft_scope_wait(s, WEFT_NOW), -ETIMEDOUT);
	EXPECT_EQ(weft_scope_wait(s, -1), -ETIMEDOUT);
	deadline = weft_in(5 * MS);
	EXPECT_EQ(weft_scope_wait(s, deadline), -ETIMEDOUT);
	EXPECT(weft_now() >= deadline);
	EXPECT_EQ(weft_scope_err(s), 0);
	weft_chan_close(gate);
	EXPECT_EQ(weft_scope_wait(s, WEFT_FOREVER), 0);
	weft_scope_free(s);
	weft_chan_unref(gate);
}

static int
wait_for_scope(void *arg)
{
	return weft_scope_wait(arg, WEFT_FOREVER);
}

/* A waiter in another scope must not outstay its own cancellation, nor cancel the other. */
static void
wait_ends_with_own_scope(void)
{
	weft_chan *gate = chan_signal(0);
	weft_scope *inner = scope_make(NULL);
	weft_scope *outer = scope_make(NULL);

	scope_go(inner, wait_for_close, gate);
	scope_go(outer, wait_for_scope, inner);
	weft_yield();
	weft_scope_cancel(outer, -ECANCELED);
	EXPECT_EQ(weft_scope_wait(outer, WEFT_FOREVER), -ECANCELED);
	EXPECT_EQ(weft_scope_err(inner), 0);
	weft_chan_close(gate);
	EXPECT_EQ(weft_scope_wait(inner, WEFT_FOREVER), 0);
	weft_scope_free(outer);
	weft_scope_free(inner);
	weft_chan_unref(gate);
}

TEST(a_wait_ends_when_the_waiters_scope_is_cancelled)
{
	on_1_2_4_procs(wait_ends_with_own_scope);
}

static void *
thread_waits(void *arg)
{
	return (void *)(intptr_t)weft_scope_wait(arg, WEFT_FOREVER);
}

/* All who wait are told, threads that weft did not start too. */
TEST(several_waiters_get_the_same_result)
{
	struct outcome o = { chan_signal(0), -EIO };
	weft_scope *s = scope_make(NULL);
	weft_scope *waiters = scope_make(NULL);
	pthread_t thread[2];
	void *r;

	scope_go(s, return_result, &o);
	for (int i = 0; i < 2; i++)
		EXPECT_EQ(pthread_create(&thread[i], NULL, thread_waits, s), 0);
	for (int i = 0; i < 4; i++)
		scope_go(waiters, wait_for_scope, s);
	weft_chan_close(o.gate);
	for (int i = 0; i < 2; i++) {
		EXPECT_EQ(pthread_join(thread[i], &r), 0);
		EXPECT_EQ((intptr_t)r, -EIO);
	}
	EXPECT_EQ(weft_scope_wait(waiters, WEFT_FOREVER), -EIO);
	weft_scope_free(waiters);
	weft_scope_free(s);
	weft_chan_unref(o.gate);
}

struct family {
	weft_scope *s;
	weft_scope *child;
	weft_chan *done;
};

static void
expect_root(void *arg)
{
	struct family *f = arg;

	EXPECT(weft_scope_current() == NULL);
	signal_one(f->done);
}

static int
make_child(void *arg)
{
	struct family *f = arg;

	EXPECT(weft_scope_current() == f->s);
	f->child = scope_make(NULL);
	go(expect_root, f);
	await(f->done, 1);
	EXPECT(weft_scope_current() == f->s);
	return 0;
}

/*
 * The caller's scope is the parent of what it makes; without that, cancelling a request would miss
 * the scopes that a library below made on its behalf.
 */
TEST(the_callers_scope_is_the_default_parent)
{
	struct family f = { .s = scope_make(NULL), .done = chan_signal(0) };

	EXPECT(weft_scope_current() == NULL);
	scope_go(f.s, make_child, &f);
	EXPECT_EQ(weft_scope_wait(f.s, WEFT_FOREVER), 0);
	EXPECT_EQ(weft_scope_err(f.child), 0);
	weft_scope_cancel(f.s, -EINTR);
	EXPECT_EQ(weft_scope_err(f.child), -ECANCELED);
	EXPECT_EQ(weft_scope_cause(f.child), -EINTR);
	weft_scope_free(f.child);
	weft_scope_free(f.s);
	weft_chan_unref(f.done);
}

struct ending {
	weft_chan *gate;
	_Atomic int deferred;
	int wait_result;
};

static void
deferred_wait(void *arg)
{
	struct ending *e = arg;

	e->wait_result = weft_chan_recv(e->gate, NULL, WEFT_FOREVER);
	atomic_fetch_add(&e->deferred, 1);
}

static int
defer_and_goexit(void *arg)
{
	weft_defer(deferred_wait, arg);
	weft_goexit();
}

static int
defer_and_return(void *arg)
{
	weft_defer(deferred_wait, arg);
	return 0;
}

/*
 * A goroutine has ended when its last deferred call has; weft_goexit() is an end like any other.
 * Were it not counted, the waiter would hang; were it counted early, the deferred call would wait
 * for ever in a scope that nobody can cancel any more.
 */
static void
ends_after_deferred_calls(void)
{
	int (*const fns[])(void *) = { defer_and_goexit, defer_and_return };

	for (int i = 0; i < 2; i++) {
		struct ending e = { .gate = chan_signal(0) };
		weft_scope *s = scope_make(NULL);

		/* The deferred call's wait holds the scope, and goes on when it can. */
		scope_go(s, fns[i], &e);
		EXPECT_EQ(weft_scope_wait(s, weft_in(1 * MS)), -ETIMEDOUT);
		EXPECT_EQ(atomic_load(&e.deferred), 0);
		signal_one(e.gate);
		EXPECT_EQ(weft_scope_wait(s, WEFT_FOREVER), 0);
		EXPECT_EQ(atomic_load(&e.deferred), 1);
		EXPECT_EQ(e.wait_result, 1);

		/* And it is cancelled like any other wait of the goroutine. */
		scope_go(s, fns[i], &e);
		EXPECT_EQ(weft_scope_wait(s, weft_in(1 * MS)), -ETIMEDOUT);
		weft_scope_cancel(s, -ECANCELED);
		EXPECT_EQ(weft_scope_wait(s, WEFT_FOREVER), 0);
		EXPECT_EQ(atomic_load(&e.deferred), 2);
		EXPECT_EQ(e.wait_result, -ECANCELED);
		weft_scope_free(s);
		weft_chan_unref(e.gate);
	}
}

TEST(a_goroutine_ends_after_its_deferred_calls)
{
	on_1_2_4_procs(ends_after_deferred_calls);
}

/* Free is the closing brace of a scope: nothing started in it runs after it. */
static void
free_cancels_and_waits(void)
{
	_Atomic int ended = 0;
	weft_scope *s = scope_make(NULL);

	weft_scope_free(NULL);
	for (int i = 0; i < 5; i++)
		scope_go(s, wait_for_ever, &ended);
	weft_scope_free(s);
	EXPECT_EQ(atomic_load(&ended), 5);
}

TEST(free_cancels_and_waits_for_the_goroutines)
{
	on_1_2_4_procs(free_cancels_and_waits);
}

/*
 * The last goroutine to end wakes the waiter, who frees the scope at once: the goroutine must not
 * touch it any more.
 */
static void
free_follows_the_last_end(void)
{
	_Atomic int n = 0;
	int rounds = scaled(3000);

	for (int i = 0; i < rounds; i++) {
		weft_scope *s = scope_make(NULL);

		scope_go(s, count_up, &n);
		scope_go(s, count_up, &n);
		if (i % 2 == 0)
			EXPECT_EQ(weft_scope_wait(s, WEFT_FOREVER), 0);
		weft_scope_free(s);
		EXPECT_EQ(atomic_load(&n), 2 * (i + 1));
	}
}

TEST(a_scope_may_be_freed_as_soon_as_its_last_goroutine_ended)
{
	on_1_2_4_procs(free_follows_the_last_end);
}

/* Not promised, but a program that frees in the wrong order must not corrupt memory. */
TEST(freeing_the_parent_first_is_harmless)
{
	weft_scope *parent = scope_make(NULL);
	weft_scope *child = scope_make(parent);
	weft_scope *grandchild = scope_make(child);
	int key, value;

	EXPECT_EQ(weft_scope_set(parent, &key, &value), 0);
	weft_scope_free(parent);
	EXPECT_EQ(weft_scope_err(grandchild), -ECANCELED);
	weft_scope_free(child);
	EXPECT(weft_scope_get(grandchild, &key) == &value);
	weft_scope_free(grandchild);
}

static void
cancel_nil(void *arg)
{
	(void)arg;
	weft_scope_cancel(NULL, -ECANCELED);
}

static void
go_nil(void *arg)
{
	(void)arg;
	weft_scope_go(NULL, never_called, NULL);
}

static void
wait_nil(void *arg)
{
	(void)arg;
	weft_scope_wait(NULL, WEFT_FOREVER);
}

/* The root has no goroutines to wait for and can't be cancelled: to try is a mistake. */
TEST(the_root_is_not_a_scope_to_act_on)
{
	char msg[100];

	EXPECT_EQ(weft_try(cancel_nil, NULL, msg, sizeof(msg)), 1);
	EXPECT_STR(msg, "weft_scope_cancel: nil scope");
	EXPECT_EQ(weft_try(go_nil, NULL, msg, sizeof(msg)), 1);
	EXPECT_STR(msg, "weft_scope_go: nil scope");
	EXPECT_EQ(weft_try(wait_nil, NULL, msg, sizeof(msg)), 1);
	EXPECT_STR(msg, "weft_scope_wait: nil scope");
	EXPECT_EQ(weft_scope_err(NULL), 0);
	EXPECT_EQ(weft_scope_cause(NULL), 0);
	EXPECT(weft_scope_done(NULL) == NULL);
}

static void
free_scope(void *arg)
{
	weft_scope_free(arg);
}

static int
free_own_scope(void *arg)
{
	char msg[200];

	EXPECT_EQ(weft_try(free_scope, arg, msg, sizeof(msg)), 1);
	EXPECT_CONTAINS(msg, "called in a goroutine of the scope");
	return 0;
}

/* It would wait for itself for ever. */
TEST(a_goroutine_can_not_free_its_own_scope)
{
	weft_scope *s = scope_make(NULL);

	scope_go(s, free_own_scope, s);
	EXPECT_EQ(weft_scope_wait(s, WEFT_FOREVER), 0);
	EXPECT_EQ(weft_scope_err(s), 0);
	weft_scope_free(s);
}

static void
go_nil_function(void *arg)
{
	(void)arg;
	weft_scope_go(scope_make(NULL), NULL, NULL);
}

/* As weft_go(NULL): not to be recovered. */
TEST(a_nil_function_is_fatal)
{
	struct child_result r = child_run(go_nil_function, NULL);

	EXPECT_EQ(r.status, 2);
	EXPECT_CONTAINS(r.err, "fatal error: go of nil func value");
	child_result_free(&r);
}

static int
panic_in_scope(void *arg)
{
	(void)arg;
	weft_panic("boom %d", 42);
}

static void
run_panicking_scope(void *arg)
{
	weft_scope *s = scope_make(NULL);

	(void)arg;
	scope_go(s, panic_in_scope, NULL);
	weft_scope_wait(s, WEFT_FOREVER);
	_exit(0);
}

/* A scope is no weft_try: a panic that nobody recovers ends the process, as anywhere. */
TEST(a_panic_in_a_scope_ends_the_process)
{
	struct child_result r = child_run(run_panicking_scope, NULL);

	EXPECT_EQ(r.status, 2);
	EXPECT_CONTAINS(r.err, "panic: boom 42");
	child_result_free(&r);
}

/*
 * weft_once: one call, complete for all before any returns; panics and goexit in it. SCENARIOS 142
 * (OnceFunc, OnceValue) has no case: they are closures around this.
 */
#include "sync_util.h"

struct setup {
	weft_once once;
	_Atomic int calls;
	int value;		/* plain: seen complete or not at all */
};

static void
set_up(void *p)
{
	struct setup *s = p;

	atomic_fetch_add(&s->calls, 1);
	weft_yield();
	weft_sleep(20 * US);
	s->value = 42;
}

static void
use(void *p)
{
	struct setup *s = p;

	weft_once_do(&s->once, set_up, s);
	EXPECT_EQ(s->value, 42);
	EXPECT_EQ(atomic_load(&s->calls), 1);
}

static void
ten_use_it(void)
{
	int rounds = scaled(40);

	for (int i = 0; i < rounds; i++) {
		struct setup s = { .calls = 0 };

		crew_run(use, &s, 10, i % 8 == 0 ? 5 : 0);
		EXPECT_EQ(s.calls, 1);
	}
}

/* Twice, and what it made is leaked or torn down; incomplete, and it is used half made.
 * SCENARIOS 140. */
TEST(one_call_complete_for_all)
{
	on_1_2_4_procs(ten_use_it);
}

/* ---- Panic ---- */

struct failing {
	weft_once once;
	_Atomic int calls, panics, returns;
	_Atomic int about_to_call;
	bool exits;
};

static void
fail_setup(void *p)
{
	struct failing *f = p;

	atomic_fetch_add(&f->calls, 1);
	await_count(&f->about_to_call, 5);
	weft_sleep(50 * US);
	if (f->exits)
		weft_goexit();
	weft_panic("setup %d failed", 7);
}

static void
do_failing(void *p)
{
	struct failing *f = p;

	weft_once_do(&f->once, fail_setup, f);
	atomic_fetch_add(&f->returns, 1);
}

static void
try_failing(void *p)
{
	struct failing *f = p;
	char msg[64];

	atomic_fetch_add(&f->about_to_call, 1);
	if (weft_try(do_failing, f, msg, sizeof(msg)) == 1) {
		EXPECT_STR(msg, "setup 7 failed");
		atomic_fetch_add(&f->panics, 1);
	}
}

static void
do_nothing(void *called)
{
	*(bool *)called = true;
}

static void
five_call_a_failing_one(void)
{
	for (int n_threads = 0; n_threads <= 5; n_threads += 5) {
		struct failing f = { .calls = 0 };
		bool called = false;

		crew_run(try_failing, &f, 5, n_threads);
		EXPECT_EQ(f.calls, 1);
		EXPECT_EQ(f.panics, 1);
		EXPECT_EQ(f.returns, 4);
		weft_once_do(&f.once, do_nothing, &called);
		EXPECT(!called);
	}
}

/* The panic is its caller's. The others must neither hang nor call again. SCENARIOS 141. */
TEST(a_panic_counts_as_done)
{
	on_1_2_4_procs(five_call_a_failing_one);
}

static void
exit_in_setup(void)
{
	struct failing f = { .exits = true };
	bool called = false;

	for (int i = 0; i < 5; i++)
		go(try_failing, &f);
	await_count(&f.returns, 4);
	EXPECT_EQ(f.calls, 1);
	EXPECT_EQ(f.panics, 0);
	weft_once_do(&f.once, do_nothing, &called);
	EXPECT(!called);
}

/* The goroutine that made the call is gone; those that wait for it must still go on. */
TEST(goexit_counts_as_done)
{
	on_1_2_4_procs(exit_in_setup);
}

static void
die_in_setup(void *unused)
{
	static struct failing f = { .about_to_call = 5 };

	(void)unused;
	weft_once_do(&f.once, fail_setup, &f);
}

TEST(an_unrecovered_panic_is_reported_as_such)
{
	struct child_result r = child_run(die_in_setup, NULL);

	EXPECT_CONTAINS(r.err, "panic: setup 7 failed\n");
	/* Where it happened is on the stack that is shown. */
	EXPECT_CONTAINS(r.err, "fail_setup");
	EXPECT_EQ(r.status, 2);
	child_result_free(&r);
}

/* ---- Deferred calls inside ---- */

static _Atomic int deferred;

static void
count_deferred(void *unused)
{
	(void)unused;
	atomic_fetch_add(&deferred, 1);
}

static void
defer_in_setup(void *unused)
{
	weft_defer(count_deferred, unused);
}

static void
do_many(void *unused)
{
	(void)unused;
	for (int i = 0; i < 100; i++) {
		weft_once once = { 0 };

		weft_once_do(&once, defer_in_setup, NULL);
		memset(&once, 0x5a, sizeof(once));
	}
	EXPECT_EQ(atomic_load(&deferred), 0);
}

/* A call deferred inside belongs to the enclosing weft_try(). What once itself defers must be gone
 * with it: here it would write to a frame that is no more. */
TEST(deferred_calls_of_the_function_stay)
{
	EXPECT_EQ(weft_try(do_many, NULL, NULL, 0), 0);
	EXPECT_EQ(atomic_load(&deferred), 100);
}

/* ---- Misuse ---- */

static weft_once again;

static void
do_again(void *unused)
{
	weft_once_do(&again, do_again, unused);
}

/* As in Go: it waits for itself, and when all wait the report says so. */
TEST(calling_it_inside_itself_is_a_deadlock)
{
	expect_death(do_again, "fatal error: all goroutines are asleep - deadlock!\n");
}

static void
do_null(void *once)
{
	weft_once_do(once, NULL, NULL);
}

TEST(a_null_function_panics)
{
	weft_once once = { 0 };
	bool called = false;

	expect_panic(do_null, &once, "weft_once_do of nil func value");
	weft_once_do(&once, do_nothing, &called);
	EXPECT(called);
	weft_once_do(&once, NULL, NULL);
}

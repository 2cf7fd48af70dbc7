/*
 * Recovery: what a server does so that one bad request does not end it. If a panic landed in the
 * wrong weft_try, skipped a deferred unlock or ran it twice, the server would go on with a lock
 * held for ever or a file closed under another's feet.
 */
#include <weft.h>

#include "test.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

/* What ran, in order: a letter each. */
static char trail[256];
static size_t trail_n;

static void
mark(void *letter)
{
	trail[trail_n++] = *(const char *)letter;
	trail[trail_n] = '\0';
}

static void
clear(void)
{
	trail_n = 0;
	trail[0] = '\0';
}

static char A[] = "A", B[] = "B", C[] = "C", D[] = "D";

static void
nothing(void *arg)
{
	(void)arg;
}

static void
panic_with(void *text)
{
	weft_panic("%s", (const char *)text);
}

TEST(returns_zero_when_nothing_happened)
{
	char msg[8] = "before";

	EXPECT_EQ(weft_try(nothing, NULL, msg, sizeof(msg)), 0);
	EXPECT_STR(msg, "before");
}

TEST(returns_one_and_the_message)
{
	char msg[32], text[] = "no such page";

	EXPECT_EQ(weft_try(panic_with, text, msg, sizeof(msg)), 1);
	EXPECT_STR(msg, "no such page");
	EXPECT_EQ(weft_try(panic_with, text, NULL, 0), 1);
	EXPECT_EQ(weft_try(panic_with, text, msg, 0), 1);
	EXPECT_STR(msg, "no such page");
	EXPECT_EQ(weft_try(panic_with, text, msg, 3), 1);
	EXPECT_STR(msg, "no");
	EXPECT_EQ(weft_try(panic_with, text, msg, 1), 1);
	EXPECT_STR(msg, "");
}

TEST(a_long_message_is_cut)
{
	static char text[5000], msg[5000];

	memset(text, 'x', sizeof(text) - 1);
	EXPECT_EQ(weft_try(panic_with, text, msg, sizeof(msg)), 1);
	EXPECT_EQ(strlen(msg), 1023);
}

static void
three_defers(void *panics)
{
	weft_defer(mark, A);
	weft_defer(mark, B);
	weft_defer(mark, C);
	if (panics != NULL)
		weft_panic("late");
}

TEST(deferred_calls_run_last_first_on_return_and_on_panic)
{
	EXPECT_EQ(weft_try(three_defers, NULL, NULL, 0), 0);
	EXPECT_STR(trail, "CBA");
	clear();
	EXPECT_EQ(weft_try(three_defers, A, NULL, 0), 1);
	EXPECT_STR(trail, "CBA");
}

static void
outer_body(void *arg)
{
	char msg[32], text[] = "inner";

	(void)arg;
	weft_defer(mark, A);
	EXPECT_EQ(weft_try(panic_with, text, msg, sizeof(msg)), 1);
	EXPECT_STR(msg, "inner");
	EXPECT_STR(trail, "");		/* A belongs to the outer one */
	EXPECT_EQ(weft_try(three_defers, NULL, NULL, 0), 0);
	EXPECT_STR(trail, "CBA");
	weft_defer(mark, D);
	weft_panic("outer");
}

TEST(the_innermost_recovers)
{
	char msg[32];

	EXPECT_EQ(weft_try(outer_body, NULL, msg, sizeof(msg)), 1);
	EXPECT_STR(msg, "outer");
	EXPECT_STR(trail, "CBADA");
}

static void
panic_in_defer(void *arg)
{
	(void)arg;
	weft_defer(mark, A);
	weft_defer(panic_with, B);
	weft_defer(mark, C);
	weft_panic("first");
}

/* SCENARIOS 107: the second takes the place of the first; nothing deferred is lost. */
TEST(a_panic_in_a_deferred_call_replaces_the_first)
{
	char msg[32];

	EXPECT_EQ(weft_try(panic_in_defer, NULL, msg, sizeof(msg)), 1);
	EXPECT_STR(msg, "B");
	EXPECT_STR(trail, "CA");
}

static void
defer_a_panic_and_return(void *arg)
{
	(void)arg;
	weft_defer(mark, A);
	weft_defer(panic_with, B);
}

TEST(a_panic_in_a_call_deferred_by_a_good_function_is_recovered_too)
{
	char msg[32];

	EXPECT_EQ(weft_try(defer_a_panic_and_return, NULL, msg, sizeof(msg)), 1);
	EXPECT_STR(msg, "B");
	EXPECT_STR(trail, "A");
}

static void
try_something(void *arg)
{
	char msg[32];

	EXPECT_EQ(weft_try(panic_with, arg, msg, sizeof(msg)), 1);
	EXPECT_STR(msg, "C");
	mark(arg);
}

static void
tries_in_defer(void *arg)
{
	(void)arg;
	weft_defer(mark, A);
	weft_defer(try_something, C);
	weft_panic("still me");
}

/* A clean-up that itself recovers something must not end the panic it runs for. */
TEST(a_try_in_a_deferred_call_leaves_the_panic_alone)
{
	char msg[32];

	EXPECT_EQ(weft_try(tries_in_defer, NULL, msg, sizeof(msg)), 1);
	EXPECT_STR(msg, "still me");
	EXPECT_STR(trail, "CA");
}

static void
panic_again(void *arg)
{
	char msg[64];

	if (weft_try(panic_with, arg, msg, sizeof(msg)) != 0)
		weft_panic("again: %s", msg);
}

TEST(what_was_recovered_may_be_panicked_again)
{
	char msg[64], text[] = "bad";

	EXPECT_EQ(weft_try(panic_again, text, msg, sizeof(msg)), 1);
	EXPECT_STR(msg, "again: bad");
}

static void
defer_deep(void *left)
{
	int n = (*(int *)left)--;

	weft_defer(mark, n == 0 ? A : B);
	if (n == 0)
		weft_panic("deep");
	if (n > 0)
		defer_deep(left);
}

TEST(deferred_calls_of_many_frames_run)
{
	int left = 20;

	EXPECT_EQ(weft_try(defer_deep, &left, NULL, 0), 1);
	EXPECT_STR(trail, "ABBBBBBBBBBBBBBBBBBBB");
}

static void
count(void *n)
{
	++*(int *)n;
}

static void
many_defers(void *n)
{
	for (int i = 0; i < 100000; i++)
		weft_defer(count, n);
}

TEST(a_hundred_thousand_deferred_calls)
{
	int n = 0;

	EXPECT_EQ(weft_try(many_defers, &n, NULL, 0), 0);
	EXPECT_EQ(n, 100000);
}

static void
defer_nil(void *arg)
{
	weft_defer(NULL, arg);
}

static void
try_nil(void *arg)
{
	weft_try(NULL, arg, NULL, 0);
}

TEST(nil_functions_panic)
{
	char msg[64];

	EXPECT_EQ(weft_try(defer_nil, NULL, msg, sizeof(msg)), 1);
	EXPECT_CONTAINS(msg, "nil func");
	EXPECT_EQ(weft_try(try_nil, NULL, msg, sizeof(msg)), 1);
	EXPECT_CONTAINS(msg, "nil func");
}

static void
close_twice(void *chan)
{
	weft_chan_close(chan);
	weft_chan_close(chan);
}

/* A panic of weft's own comes from inside the runtime: the gate must be as before. */
TEST(the_runtimes_own_panics_are_recovered)
{
	weft_chan *c = weft_chan_new(1, 1);
	char msg[64], byte = 1;

	EXPECT_EQ(weft_try(close_twice, c, msg, sizeof(msg)), 1);
	EXPECT_STR(msg, "close of closed channel");
	EXPECT_EQ(weft_chan_recv(c, &byte, WEFT_NOW), 0);
	weft_yield();
	weft_chan_unref(c);
}

#define WORKERS 200
#define ROUNDS 20

static weft_waitgroup all;
static volatile int recovered[WORKERS];

static void
wander_and_panic(void *arg)
{
	int hops = *(int *)arg % 7;

	for (int i = 0; i < hops; i++)
		weft_yield();
	if (hops % 2 == 0)
		weft_sleep(1000);
	weft_panic("%d", *(int *)arg);
}

static void
worker(void *arg)
{
	int id = (int)(intptr_t)arg;

	for (int i = 0; i < ROUNDS; i++) {
		int value = id * ROUNDS + i;
		char msg[16], want[16];

		EXPECT_EQ(weft_try(wander_and_panic, &value, msg, sizeof(msg)), 1);
		snprintf(want, sizeof(want), "%d", value);
		EXPECT_STR(msg, want);
		recovered[id]++;
	}
	weft_waitgroup_done(&all);
}

/* The panic comes up on another thread than the weft_try was called on. */
TEST(goroutines_that_move_between_threads_recover_their_own)
{
	weft_gomaxprocs(4);
	weft_waitgroup_add(&all, WORKERS);
	for (int i = 0; i < WORKERS; i++)
		EXPECT_EQ(weft_go(worker, (void *)(intptr_t)i), 0);
	EXPECT_EQ(weft_waitgroup_wait(&all, WEFT_FOREVER), 0);
	for (int i = 0; i < WORKERS; i++)
		EXPECT_EQ(recovered[i], ROUNDS);
}

static void *
foreign(void *arg)
{
	char msg[32];

	(void)arg;
	EXPECT_EQ(weft_try(panic_in_defer, NULL, msg, sizeof(msg)), 1);
	EXPECT_STR(msg, "B");
	EXPECT_STR(trail, "CA");
	return NULL;
}

TEST(a_thread_that_weft_did_not_start_recovers)
{
	pthread_t t;

	EXPECT_EQ(pthread_create(&t, NULL, foreign, NULL), 0);
	EXPECT_EQ(pthread_join(t, NULL), 0);
}

/* Registers that a caller keeps across the call are as they were. */
static __attribute__((noinline)) long
sum_around(long a, long b, long c, long d, long e, long f)
{
	char text[] = "x";
	int r = weft_try(panic_with, text, NULL, 0);

	return a + 2 * b + 3 * c + 4 * d + 5 * e + 6 * f + r;
}

TEST(locals_of_the_caller_survive)
{
	volatile long one = 1;

	EXPECT_EQ(sum_around(one, one + 1, one + 2, one + 3, one + 4, one + 5), 92);
}

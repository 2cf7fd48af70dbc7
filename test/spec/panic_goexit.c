/*
 * weft_goexit(): a goroutine that gives up in the middle. If it left deferred calls out, or a
 * weft_try on the way could stop it, the goroutine would leak what it held, or go on after the
 * library that ended it believed it gone.
 */
#include <weft.h>

#include "child.h"
#include "test.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

static char trail[256];
static size_t trail_n;
static weft_waitgroup done;

static void
mark(void *letter)
{
	trail[trail_n++] = *(const char *)letter;
	trail[trail_n] = '\0';
}

static char A[] = "A", B[] = "B", C[] = "C", E[] = "E";

static void
finished(void *arg)
{
	(void)arg;
	weft_waitgroup_done(&done);
}

/* Runs fn in a goroutine and waits for its deferred calls. */
static void
run(void (*fn)(void *))
{
	weft_waitgroup_add(&done, 1);
	EXPECT_EQ(weft_go(fn, NULL), 0);
	EXPECT_EQ(weft_waitgroup_wait(&done, WEFT_FOREVER), 0);
}

static void
leave(void *arg)
{
	(void)arg;
	weft_defer(mark, B);
	weft_goexit();
}

static void
leave_through_a_try(void *arg)
{
	char msg[16] = "untouched";

	(void)arg;
	weft_defer(finished, NULL);
	weft_defer(mark, A);
	weft_try(leave, NULL, msg, sizeof(msg));
	mark(E);
}

/* SCENARIOS 105 */
TEST(goexit_runs_all_deferred_calls_and_no_try_stops_it)
{
	run(leave_through_a_try);
	EXPECT_STR(trail, "BA");
}

static void
look_for_a_panic(void *letter)
{
	char msg[16] = "none";

	/* Go: recover() in a call deferred by Goexit returns nil. */
	EXPECT_EQ(weft_try(mark, letter, msg, sizeof(msg)), 0);
	EXPECT_STR(msg, "none");
}

static void
leave_with_a_try_in_a_defer(void *arg)
{
	(void)arg;
	weft_defer(finished, NULL);
	weft_defer(look_for_a_panic, A);
	weft_goexit();
}

/* SCENARIOS 105: recover in a deferred call returns nothing. */
TEST(a_deferred_call_of_goexit_finds_no_panic)
{
	run(leave_with_a_try_in_a_defer);
	EXPECT_STR(trail, "A");
}

static void
goexit_now(void *arg)
{
	(void)arg;
	weft_goexit();
}

static void
panic_then_goexit(void *arg)
{
	(void)arg;
	weft_defer(finished, NULL);
	weft_defer(mark, A);
	weft_defer(goexit_now, NULL);
	weft_panic("forgotten");
}

/* Go issue 8774: Goexit in a call that a panic deferred ends the goroutine, not the process. */
TEST(goexit_in_a_deferred_call_ends_the_panic)
{
	run(panic_then_goexit);
	EXPECT_STR(trail, "A");
}

static void
panic_b(void *arg)
{
	(void)arg;
	mark(B);
	weft_panic("B");
}

static void
goexit_with_a_panic_in_a_defer(void *arg)
{
	(void)arg;
	weft_defer(panic_b, NULL);
	weft_goexit();
}

static void
goexit_survives(void *arg)
{
	char msg[16];

	(void)arg;
	weft_defer(finished, NULL);
	weft_defer(mark, A);
	weft_try(goexit_with_a_panic_in_a_defer, NULL, msg, sizeof(msg));
	mark(E);
}

/* Go 1.14: the panic is recovered by the function around, and Goexit goes on nevertheless. */
TEST(a_panic_during_goexit_that_is_recovered_does_not_stop_it)
{
	run(goexit_survives);
	EXPECT_STR(trail, "BA");
}

static void
unrecovered_during_goexit(void *arg)
{
	(void)arg;
	weft_go(goexit_with_a_panic_in_a_defer, NULL);
	weft_sleep(WEFT_FOREVER);
}

TEST(a_panic_during_goexit_that_nobody_recovers_ends_the_process)
{
	struct child_result r = child_run(unrecovered_during_goexit, NULL);

	EXPECT_EQ(r.status, 2);
	EXPECT_CONTAINS(r.err, "panic: B\n");
	EXPECT_CONTAINS(r.err, "panic_b(...)");
	child_result_free(&r);
}

static void
end_normally(void *arg)
{
	(void)arg;
	weft_defer(finished, NULL);
	weft_defer(mark, A);
	weft_defer(mark, C);
	mark(B);
}

TEST(deferred_calls_run_when_the_function_returns)
{
	run(end_normally);
	EXPECT_STR(trail, "BCA");
}

static int rounds;

static void
leave_inside_a_try(void *arg)
{
	(void)arg;
	rounds++;
	weft_waitgroup_done(&done);
	weft_goexit();
}

static void
try_to_leave(void *arg)
{
	weft_try(leave_inside_a_try, arg, NULL, 0);
}

static void
try_to_panic(void *arg)
{
	char msg[16];

	EXPECT_EQ(weft_try(panic_b, arg, msg, sizeof(msg)), 1);
	trail_n = 0;
	weft_waitgroup_done(&done);
}

/* A goroutine that has left from inside a try leaves nothing to the next that has its memory. */
TEST(a_goroutine_that_left_is_used_again)
{
	for (int i = 0; i < 1000; i++) {
		weft_waitgroup_add(&done, 2);
		weft_go(try_to_leave, NULL);
		weft_go(try_to_panic, NULL);
		weft_waitgroup_wait(&done, WEFT_FOREVER);
	}
	EXPECT_EQ(rounds, 1000);
}

static void *
foreign(void *arg)
{
	(void)arg;
	weft_defer(finished, NULL);
	weft_defer(mark, A);
	weft_try(leave, NULL, NULL, 0);
	mark(E);
	return NULL;
}

TEST(goexit_ends_a_thread_that_weft_did_not_start)
{
	pthread_t t;

	weft_waitgroup_add(&done, 1);
	EXPECT_EQ(pthread_create(&t, NULL, foreign, NULL), 0);
	EXPECT_EQ(pthread_join(t, NULL), 0);
	EXPECT_STR(trail, "BA");
}

/*
 * The hold points of test/lib themselves, and children: if these fail, tests that stand on them
 * prove nothing.
 */
#include "test.h"

#include "base/assert.h"
#include "child.h"
#include "hold.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *
walk(void *arg)
{
	int *step = arg;

	__atomic_store_n(step, 1, __ATOMIC_SEQ_CST);
	WF_POINT("lib_hold.middle");
	__atomic_store_n(step, 2, __ATOMIC_SEQ_CST);
	return NULL;
}

/* A race test that did not really stop the thread would pass without having tried the race. */
TEST(a_thread_stops_at_its_point_and_the_next_one_passes)
{
	int first = 0, second = 0;
	pthread_t a, b;

	hold_at("lib_hold.middle");
	EXPECT_EQ(pthread_create(&a, NULL, walk, &first), 0);
	hold_await("lib_hold.middle");
	EXPECT_EQ(__atomic_load_n(&first, __ATOMIC_SEQ_CST), 1);
	EXPECT_EQ(pthread_create(&b, NULL, walk, &second), 0);
	EXPECT_EQ(pthread_join(b, NULL), 0);
	EXPECT_EQ(second, 2);
	EXPECT_EQ(first, 1);
	hold_release("lib_hold.middle");
	EXPECT_EQ(pthread_join(a, NULL), 0);
	EXPECT_EQ(first, 2);
	EXPECT_EQ(hold_count("lib_hold.middle"), 2);
}

static atomic_bool go_on;

static void *
walk_when_told(void *arg)
{
	while (!atomic_load(&go_on))
		;
	return walk(arg);
}

/*
 * Who was let go has not yet woken up when the next one stands at the same point: it must not
 * stand there with that one. (It did, and kept what the next one needed.)
 */
TEST(who_was_let_go_is_not_held_again_with_the_next)
{
	for (int i = 0; i < 50; i++) {
		int first = 0, second = 0;
		pthread_t a, b;

		atomic_store(&go_on, false);
		EXPECT_EQ(pthread_create(&b, NULL, walk_when_told, &second), 0);
		hold_at("lib_hold.middle");
		EXPECT_EQ(pthread_create(&a, NULL, walk, &first), 0);
		hold_await("lib_hold.middle");
		hold_release("lib_hold.middle");
		hold_at("lib_hold.middle");
		atomic_store(&go_on, true);
		hold_await("lib_hold.middle");
		EXPECT_EQ(pthread_join(a, NULL), 0);
		hold_release("lib_hold.middle");
		EXPECT_EQ(pthread_join(b, NULL), 0);
		EXPECT_EQ(first + second, 4);
	}
}

static void
speak_and_exit(void *arg)
{
	printf("%s %s\n", (const char *)arg, getenv("LIB_HOLD"));
	fprintf(stderr, "on stderr\n");
	exit(3);
}

/* What a child says and how it ends must arrive, or no test of a panic means anything. */
TEST(a_child_reports_output_environment_and_status)
{
	const char *env[] = {"LIB_HOLD=set", NULL};
	const struct child_options o = {.env = env};
	struct child_result r = child_run_with(&o, speak_and_exit, (void *)(uintptr_t)"hello");

	EXPECT_EQ(r.status, 3);
	EXPECT_EQ(r.signal, 0);
	EXPECT_STR(r.out, "hello set\n");
	EXPECT_STR(r.err, "on stderr\n");
	child_result_free(&r);
}

static void
hang(void *arg)
{
	(void)arg;
	for (;;)
		pause();
}

TEST(a_child_that_hangs_is_killed_at_its_limit)
{
	const struct child_options o = {.limit_ms = 300};
	struct child_result r = child_run_with(&o, hang, NULL);

	EXPECT(r.timed_out);
	EXPECT_EQ(r.signal, SIGKILL);
	child_result_free(&r);
}

static void
say_much(void *arg)
{
	for (uintptr_t i = 0; i < (uintptr_t)arg; i++)
		printf("0123456789\n");
}

/* A child that prints without end must neither block nor fill the memory of the test. */
TEST(output_beyond_the_limit_is_dropped)
{
	struct child_result r = child_run(say_much, (void *)300000);

	EXPECT_EQ(r.status, 0);
	EXPECT_EQ(r.out_len, CHILD_OUTPUT_MAX);
	EXPECT_EQ(strncmp(r.out, "0123456789\n01234", 16), 0);
	child_result_free(&r);
}

static void
expect_the_wrong(void *arg)
{
	(void)arg;
	EXPECT_EQ(2 + 2, 5);
}

static void
expect_the_wrong_text(void *arg)
{
	(void)arg;
	EXPECT_STR("a", "b");
}

/* The canary: a check that fails must fail the test. */
TEST(a_failing_check_fails)
{
	struct child_result r = child_run(expect_the_wrong, NULL);

	EXPECT_EQ(r.status, 1);
	EXPECT_CONTAINS(r.err, "lib_hold.c");
	EXPECT_CONTAINS(r.err, "got 4 and 5");
	child_result_free(&r);
	r = child_run(expect_the_wrong_text, NULL);
	EXPECT_EQ(r.status, 1);
	child_result_free(&r);
}

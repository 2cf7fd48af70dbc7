/*
 * WEFT_DEBUG=lint=1: what only somebody else can find is reported too, once for each place: a
 * goroutine that computes for long, or blocks its thread in a call that weft was not told of. What
 * goroutines find out about themselves: lint.c.
 */
#define _GNU_SOURCE
#include "lint_util.h"

#include <stdlib.h>
#include <unistd.h>

/* Ends c, which goes on for ever, and returns what it has said. */
static struct child_result
stop(struct child *c)
{
	child_kill(c, 9);
	return child_wait(c);
}

/*
 * Under an emulator the kernel speaks of other registers than the program's; and a sanitizer's
 * function around the call may keep its place in one that the kernel says nothing of.
 */
static bool
can_walk_blocked(void)
{
	const char *sanitizer = getenv("WEFT_SANITIZE");

	return getenv("WEFT_TEST_EMULATOR") == NULL && (sanitizer == NULL || *sanitizer == '\0');
}

/* ---- computing ---- */

/* ThreadSanitizer delivers signals where the program calls what it knows. */
static size_t (*volatile known)(const char *) = strlen;
#define LET_TSAN_SEE() \
	do { \
		if (TEST_HAS_TSAN && known("") != 0) \
			return; \
	} while (0)

static void
burn_here(void *arg)
{
	volatile unsigned counter = 0;

	(void)arg;
	for (;;) {
		counter++;
		LET_TSAN_SEE();
	}
}

static void
burn_there(void *arg)
{
	volatile unsigned counter = 0;

	(void)arg;
	for (;;) {
		counter--;
		LET_TSAN_SEE();
	}
}

/* Where most of the time goes for who calls it: a place for each of them. */
__attribute__((noinline)) static void
burn_a_while(void)
{
	for (volatile unsigned i = 0; i < 1000000; i++)
		continue;
}

static void
have_it_burnt(void *arg)
{
	(void)arg;
	for (;;)
		burn_a_while();
}

static void
have_it_burnt_too(void *arg)
{
	(void)arg;
	for (;;)
		burn_a_while();
}

/* Two at the same place, others at places of their own. Main looks on, and computes nothing. */
static void
compute(void *arg)
{
	(void)arg;
	if (!TEST_HAS_TSAN) {
		go_named("fourth", have_it_burnt, NULL);
		go_named("fifth", have_it_burnt_too, NULL);
	}
	go_named("first", burn_here, NULL);
	go_named("second", burn_here, NULL);
	go_named("third", burn_there, NULL);
	(void)weft_sleep(3600000 * MS);
}

TEST(who_computes_for_long_is_told_once_for_each_place)
{
	struct child *c = child_start(&with_lints, compute, NULL);
	struct child_result r;

	child_await(c, "burn_here(...)");
	child_await(c, "burn_there(...)");
	if (!TEST_HAS_TSAN) {
		child_await(c, "have_it_burnt(...)");
		child_await(c, "have_it_burnt_too(...)");
	}
	r = stop(c);
	EXPECT_CONTAINS(r.err, COMPUTES "[");
	EXPECT_CONTAINS(r.err, "call weft_yield()");
	if (!TEST_HAS_TSAN) {	/* its own functions are places, too */
		EXPECT_EQ(occurrences(r.err, "\nburn_here(...)"), 1);
		EXPECT_EQ(occurrences(r.err, "\nburn_there(...)"), 1);
	}
	expect_lints(r.err, 0);
	child_result_free(&r);
}

/* ---- blocking ---- */

static int pipe_fds[2];

__attribute__((noinline)) static void
read_raw(void)
{
	char c;

	EXPECT_EQ(read(pipe_fds[0], &c, 1), 1);
	KEEP_FRAME();
}

static void
block(void *arg)
{
	(void)arg;
	read_raw();
	KEEP_FRAME();
}

static void
block_all(void *arg)
{
	(void)arg;
	EXPECT_EQ(pipe(pipe_fds), 0);
	for (int i = 0; i < 3; i++)
		go_named("reader", block, NULL);
	(void)weft_sleep(3600000 * MS);
}

TEST(who_blocks_a_thread_is_told_once_for_each_place)
{
	struct child *c = child_start(&with_lints, block_all, NULL);
	struct child_result r;

	child_await(c, ", and weft was not told\n[");
	child_await(c, " in goroutine 1\n");
	r = stop(c);
	/* Under an emulator the kernel speaks of the emulator's call. */
	if (getenv("WEFT_TEST_EMULATOR") == NULL)
		EXPECT_CONTAINS(r.err, " has been blocked for 10 ms in read(), and weft was not");
	if (can_walk_blocked())
		EXPECT_CONTAINS(r.err, "\nread_raw(...)\n");
	expect_lints(r.err, 1);
	child_result_free(&r);
}

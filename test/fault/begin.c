/*
 * The start, in a process of its own each time, while each call of the system fails once. If this
 * fails, a program does not begin, or dies without a word, where it could do without something.
 *
 * ctest: timeout=300
 */
#define _GNU_SOURCE
#include "children.h"
#include "threads.h"

#include <errno.h>
#include <pthread.h>

static void
begin(void *arg)
{
	inject_in_child(arg);
	threads();
	child_is_done();
}

/*
 * What the start cannot do without. Else there is no runtime that could say so to somebody: the
 * program ends, and says why.
 */
static bool
may_end(const char *function, const char *said)
{
	return inject_is_one_of(function,
	    "map malloc aligned_alloc calloc eventfd epoll_create epoll_ctl") &&
	    strstr(said, "fatal error: ") != NULL;
}

TEST(a_program_begins_after_any_failure)
{
	struct child_faults f = {.fn = begin, .may_end = may_end};

	EXPECT(refuse_in_children(&f) > 20);
}

/* As begin(), and somebody waits for a descriptor: only then is the poller there. */
static void
begin_polling(void *arg)
{
	int ends[2];
	char c;

	inject_in_child(arg);
	EXPECT_EQ(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	/* Who comes late does not wait. Not four times. */
	for (int64_t wait = 1000000; wait <= 64000000; wait *= 4)
		EXPECT_EQ(weft_read(ends[0], &c, 1, weft_in(wait)), -ETIMEDOUT);
	EXPECT_EQ(close(ends[0]), 0);
	EXPECT_EQ(close(ends[1]), 0);
	threads();
	child_is_done();
}

/* io_uring, asked for and not to be had: epoll does as well. */
TEST(a_program_that_asks_for_io_uring_begins_without)
{
	static const char *const env[] = {"WEFT_POLLER=uring", NULL};
	struct child_faults f = {.fn = begin_polling, .env = env,
	    .functions = "uring_open uring_knows"};

	EXPECT(refuse_in_children(&f) >= 4);
}

/* ---- A thread of the program's own that calls weft ---- */

static weft_chan *given;

static void *
give(void *arg)
{
	int v = 3;

	(void)arg;
	EXPECT_EQ(weft_chan_send(given, &v, soon()), 0);
	return NULL;
}

static void
meet_stranger(void *arg)
{
	pthread_t thread;
	int v = 0;

	inject_in_child(arg);
	given = weft_chan_new(sizeof(int), 0);
	EXPECT(given != NULL);
	EXPECT_EQ(pthread_create(&thread, NULL, give, NULL), 0);
	EXPECT_EQ(weft_chan_recv(given, &v, soon()), 1);
	EXPECT_EQ(v, 3);
	EXPECT_EQ(pthread_join(thread, NULL), 0);
	child_is_done();
}

static bool
says_for_a_thread(const char *function, const char *said)
{
	return inject_is_one_of(function, "at_thread_exit") &&
	    strstr(said, "out of memory for a thread that calls weft") != NULL;
}

TEST(a_thread_of_others_comes_in_after_any_failure)
{
	struct child_faults f = {.fn = meet_stranger, .may_end = says_for_a_thread,
	    .functions = "at_thread_exit thread_stack sigaltstack_new"};

	EXPECT(refuse_in_children(&f) >= 5);
}

/* ---- The detector, which asks how many threads there are ---- */

static void
wait_for_nobody(void *arg)
{
	inject_arm("thread_count", 0, (int)(uintptr_t)arg);
	(void)weft_chan_recv(NULL, NULL, WEFT_FOREVER);
}

TEST(a_deadlock_is_found_after_any_failure)
{
	for (uintptr_t k = 1; k <= 3; k++) {
		struct child_options o = {.limit_ms = 60000 * test_scale()};
		struct child_result r = child_run_with(&o, wait_for_nobody, (void *)k);

		EXPECT_EQ(r.status, 2);
		EXPECT_CONTAINS(r.err, "all goroutines are asleep - deadlock!");
		child_result_free(&r);
	}
}

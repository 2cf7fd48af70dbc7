/*
 * A crash in the report of a crash. Memory is broken, so it happens; the process must still end,
 * soon and with a status that says so, instead of faulting in a circle until somebody kills it.
 */
#include "debug/crash.h"

#include <weft.h>
#include "base/assert.h"
#include "sched/panic.h"
#include "sched/self.h"

#include "child.h"
#include "test.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static void
throw_something(void *arg)
{
	(void)arg;
	weft_yield();
	WF_CHECK(1 + 1 == 3);
}

/* The runtime's own fault: where, and everybody's stack, our frames too. */
TEST(a_fault_of_the_runtime)
{
	struct child_result r = child_run(throw_something, NULL);

	EXPECT_EQ(r.status, 2);
	EXPECT(strncmp(r.err, "fatal error: weft: 1 + 1 == 3 (", 31) == 0);
	EXPECT_CONTAINS(r.err, "debug_crash.c:");
	EXPECT_CONTAINS(r.err, "\n\ngoroutine 1 [running]:\n");
	EXPECT_CONTAINS(r.err, "\nthrow_something(...)\n");
	child_result_free(&r);
}

static void
panic_in_the_report(void *arg)
{
	(void)arg;
	weft_yield();
	(void)wf_crash_begin();
	weft_panic("again");
}

static void
fault_in_the_report(void *arg)
{
	weft_yield();
	(void)wf_crash_begin();
	*(volatile char *)arg = 1;
}

static void
overflow_in_the_report(void *arg)
{
	volatile char room[4096];

	room[0] = (char)(intptr_t)arg;
	weft_yield();
	(void)wf_crash_begin();
	for (volatile char *p = room;; p -= 4096)
		*p = 0;
}

/* SCENARIOS 107: TestPanicWhilePanicking. */
TEST(a_second_crash_ends_with_3)
{
	static void (*const cases[])(void *) = {
	    panic_in_the_report, fault_in_the_report, overflow_in_the_report};
	static const char *const env[] = {"ASAN_OPTIONS=handle_segv=0:detect_leaks=0",
	    "TSAN_OPTIONS=handle_segv=0", NULL};
	struct child_options o = {.env = env};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct child_result r = child_run_with(&o, cases[i], (void *)16);

		EXPECT_EQ(r.status, 3);
		EXPECT_CONTAINS(r.err, "panic during panic\n");
		child_result_free(&r);
	}
}

static void
third(void *arg)
{
	int fds[2];

	weft_yield();
	(void)wf_crash_begin();
	/* The second report is stuck in write(2), and is hit again there. */
	EXPECT_EQ(pipe(fds), 0);
	dup2(fds[1], 2);
	while (write(2, "full", 4) == 4 && ++*(volatile int *)arg < 16384)
		continue;
	alarm(1);
	weft_panic("second");
}

static int written;

static void
hit(int sig)
{
	(void)sig;
	close(2);
	(void)wf_crash_begin();
	_exit(9);
}

static void
third_with_handler(void *arg)
{
	struct sigaction sa = {.sa_handler = hit, .sa_flags = SA_ONSTACK};

	sigaction(SIGALRM, &sa, NULL);
	third(arg);
}

TEST(a_third_crash_ends_with_4)
{
	struct child_result r;

#ifdef WF_TSAN
	SKIP("ThreadSanitizer holds a signal back until the thread makes a call it knows");
#endif
	r = child_run(third_with_handler, &written);
	EXPECT_EQ(r.status, 4);
	child_result_free(&r);
}

static void *
crash_too(void *arg)
{
	weft_panic("the other one");
	return arg;
}

static void
two_at_once(void *arg)
{
	struct dump *d;
	pthread_t t;

	weft_yield();
	d = wf_crash_begin();
	pthread_create(&t, NULL, crash_too, arg);
	usleep(100000);
	wf_out_str(&d->out, "the first one\n");
	wf_crash_end(d, 0);
}

TEST(the_first_to_crash_reports_alone)
{
	struct child_result r = child_run(two_at_once, NULL);

	EXPECT_EQ(r.status, 2);
	EXPECT_STR(r.err, "the first one\n");
	child_result_free(&r);
}

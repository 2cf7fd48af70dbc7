/*
 * A panic that nobody recovers must end the process, with a text that says what and where, from
 * whatever the other goroutines are doing. A program that lingers half dead behind a load
 * balancer is worse than one that is gone, and one that is gone without a word is worse than both.
 */
#define _GNU_SOURCE
#include <weft.h>

#include "child.h"
#include "test.h"

#include <fcntl.h>
#include <pthread.h>
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

__attribute__((noinline)) static void
fail_deep_inside(int n)
{
	if (n == 0)
		weft_panic("disk %s is gone, %d left", "sda", 3);
	if (n > 0)
		fail_deep_inside(n - 1);
	__asm__ volatile("");
}

static void
panic_in_main(void *arg)
{
	(void)arg;
	fail_deep_inside(2);
	__asm__ volatile("");
}

static void
expect_panic(const struct child_result *r, const char *text)
{
	EXPECT_EQ(r->status, 2);
	EXPECT(strncmp(r->err, text, strlen(text)) == 0);
}

/* SCENARIOS 102 */
TEST(text_goroutine_stack_status)
{
	struct child_result r = child_run(panic_in_main, NULL);

	expect_panic(&r, "panic: disk sda is gone, 3 left\n\ngoroutine 1 [running]:\n"
			 "fail_deep_inside(...)\n\t/");
	EXPECT_CONTAINS(r.err, "panic_in_main(...)\n");
	EXPECT_CONTAINS(r.err, "\nmain(...)\n");
	child_result_free(&r);
}

static void
panics(void *arg)
{
	fail_deep_inside((int)(intptr_t)arg);
}

static void
spin(void *arg)
{
	volatile unsigned x = 0;

	(void)arg;
	weft_gomaxprocs(2);
	weft_go(panics, NULL);
	for (;;)
		x++;
}

static void
block_in_the_kernel(void *arg)
{
	(void)arg;
	weft_gomaxprocs(2);
	weft_go(panics, NULL);
	for (;;)
		pause();
}

static void
spin_on_one_proc(void *arg)
{
	weft_gomaxprocs(1);
	spin(arg);
}

/* SCENARIOS 101: TestPanicDeadlockGosched, TestPanicDeadlockSyscall. */
TEST(main_spins_or_is_in_the_kernel)
{
	static void (*const mains[])(void *) = {spin, block_in_the_kernel, spin_on_one_proc};

	for (size_t i = 0; i < sizeof(mains) / sizeof(mains[0]); i++) {
		struct child_result r = child_run(mains[i], NULL);

		expect_panic(&r, "panic: disk sda is gone");
		EXPECT_CONTAINS(r.err, "created by ");
		child_result_free(&r);
	}
}

static void
say(void *text)
{
	(void)!write(1, text, strlen(text));
}

static void
panic_second(void *arg)
{
	(void)arg;
	weft_panic("second\nline");
}

static void
panic_third(void *arg)
{
	(void)arg;
	weft_panic("third");
}

static void
nested(void *arg)
{
	(void)arg;
	weft_defer(say, (void *)(uintptr_t) "last;");
	weft_defer(panic_third, NULL);
	weft_defer(panic_second, NULL);
	weft_defer(say, (void *)(uintptr_t) "first;");
	weft_panic("one");
}

/* SCENARIOS 107: TestDoublePanic; and deferred calls have run before anything is printed. */
TEST(nested_panics_are_chained)
{
	struct child_result r = child_run(nested, NULL);

	expect_panic(&r, "panic: one\n\tpanic: second\n\tline\n\tpanic: third\n\n"
			 "goroutine 1 [running]:\npanic_third(...)\n");
	EXPECT_STR(r.out, "first;last;");
	child_result_free(&r);
}

static void
recover_then_panic(void *arg)
{
	weft_try(panic_second, arg, NULL, 0);
	weft_panic("alone");
}

TEST(a_recovered_panic_is_not_in_the_chain)
{
	struct child_result r = child_run(recover_then_panic, NULL);

	expect_panic(&r, "panic: alone\n\ngoroutine 1");
	child_result_free(&r);
}

static void
main_returns_meanwhile(void *arg)
{
	(void)arg;
	weft_gomaxprocs(2);
	for (int i = 0; i < 50; i++)
		weft_go(panics, (void *)(intptr_t)40);
	for (int i = 0; i < 20; i++)
		weft_yield();
}

/* SCENARIOS 110: if the panic has begun to speak, it is heard to its end. */
TEST(main_returns_while_a_goroutine_panics)
{
	for (int i = 0; i < 20; i++) {
		struct child_result r = child_run(main_returns_meanwhile, NULL);

		if (r.err_len != 0) {
			expect_panic(&r, "panic: disk sda is gone");
			EXPECT_CONTAINS(r.err, "\ncreated by main_returns_meanwhile");
			/* One report only. */
			EXPECT(strstr(r.err + 1, "\npanic: ") == NULL);
		} else {
			EXPECT_EQ(r.status, 0);
		}
		child_result_free(&r);
	}
}

/* The copy of the report goes to a pipe with room for its beginning, until main() has returned. */
static int narrow[2];
static atomic_bool has_begun;

static int
bytes_in_pipe(void)
{
	int n = -1;

	EXPECT_EQ(ioctl(narrow[0], FIONREAD, &n), 0);
	return n;
}

static void *
empty_the_pipe(void *arg)
{
	char bytes[4096];

	while (!atomic_load(&has_begun))
		usleep(1000);
	usleep(200000);		/* for main() to have returned for long */
	while (read(narrow[0], bytes, sizeof(bytes)) > 0)
		continue;
	return arg;
}

/* A page is free, and the report is longer: it begins, and does not end before somebody reads. */
static void
main_returns_beside_a_full_pipe(void *arg)
{
	static const char bytes[4096];
	size_t room = (size_t)sysconf(_SC_PAGESIZE);
	pthread_t t;
	int before;

	(void)arg;
	EXPECT_EQ(pipe2(narrow, O_NONBLOCK | O_CLOEXEC), 0);
	while (write(narrow[1], bytes, sizeof(bytes)) > 0)
		continue;
	for (char into[4096]; room >= sizeof(into); room -= sizeof(into))
		EXPECT_EQ(read(narrow[0], into, sizeof(into)), sizeof(into));
	EXPECT_EQ(fcntl(narrow[0], F_SETFL, 0) + fcntl(narrow[1], F_SETFL, 0), 0);
	before = bytes_in_pipe();
	EXPECT_EQ(weft_set_crash_output(narrow[1]), 0);
	EXPECT_EQ(pthread_create(&t, NULL, empty_the_pipe, NULL), 0);
	weft_gomaxprocs(2);
	weft_go(panics, (void *)(intptr_t)90);
	while (bytes_in_pipe() == before)
		weft_yield();
	atomic_store(&has_begun, true);
}

/* Catalogue 118. The process does not end under a report that another thread writes. */
TEST(main_returns_while_a_report_stands_still)
{
	struct child_result r = child_run(main_returns_beside_a_full_pipe, NULL);

	EXPECT(r.err_len > 4096);
	expect_panic(&r, "panic: disk sda is gone");
	EXPECT_CONTAINS(r.err, "\ncreated by main_returns_beside_a_full_pipe");
	child_result_free(&r);
}

static void
panic_everywhere(void *arg)
{
	(void)arg;
	weft_gomaxprocs(8);
	for (int i = 0; i < 200; i++)
		weft_go(panics, NULL);
	weft_sleep(WEFT_FOREVER);
}

TEST(many_panics_at_once_give_one_report)
{
	for (int i = 0; i < 10; i++) {
		struct child_result r = child_run(panic_everywhere, NULL);

		expect_panic(&r, "panic: disk sda is gone");
		EXPECT(strstr(r.err + 1, "panic: ") == NULL);
		child_result_free(&r);
	}
}

static void *
foreign(void *arg)
{
	fail_deep_inside(1);
	return arg;
}

static void
panic_on_a_foreign_thread(void *arg)
{
	pthread_t t;

	weft_yield();
	pthread_create(&t, NULL, foreign, arg);
	pthread_join(t, NULL);
}

TEST(a_thread_that_weft_did_not_start)
{
	struct child_result r = child_run(panic_on_a_foreign_thread, NULL);

	expect_panic(&r, "panic: disk sda is gone");
	EXPECT_CONTAINS(r.err, "fail_deep_inside(...)");
	EXPECT_CONTAINS(r.err, "foreign(...)");
	child_result_free(&r);
}

static void
named(void *arg)
{
	weft_go_options o = {.size = sizeof(o), .name = "the \"mill\"\n, [1]"};

	weft_go_with(&o, panics, arg);
	weft_sleep(WEFT_FOREVER);
}

/* Header as scripts expect it, whatever the name holds. SCENARIOS 114, 115. */
TEST(name_and_parent)
{
	struct child_result r = child_run(named, NULL);
	char *head = strstr(r.err, "\ngoroutine ");

	EXPECT_EQ(r.status, 2);
	EXPECT(head != NULL);
	EXPECT(strstr(head, " [running, \"the ?mill??; [1?\"]:\n") != NULL);
	EXPECT_CONTAINS(r.err, "\ncreated by named in goroutine 1\n\t/");
	child_result_free(&r);
}

/* SCENARIOS 117: a supervisor gets the report by a pipe of its own, whatever became of stderr. */
static void
panic_with_a_copy(void *arg)
{
	int fds[2];

	(void)arg;
	EXPECT_EQ(weft_set_crash_output(99999), -EBADF);
	EXPECT_EQ(pipe(fds), 0);
	EXPECT_EQ(weft_set_crash_output(fds[1]), 0);	/* replaced by the next */
	EXPECT_EQ(weft_set_crash_output(1), 0);
	close(fds[1]);
	EXPECT_EQ(read(fds[0], fds, 1), 0);		/* and its duplicate is closed */
	weft_panic("heard twice");
}

static void
panic_without_a_copy(void *arg)
{
	(void)arg;
	EXPECT_EQ(weft_set_crash_output(1), 0);
	EXPECT_EQ(weft_set_crash_output(-1), 0);
	weft_panic("heard once");
}

TEST(the_report_goes_to_a_descriptor_too)
{
	struct child_result r = child_run(panic_with_a_copy, NULL);

	EXPECT_EQ(r.status, 2);
	EXPECT_CONTAINS(r.out, "panic: heard twice\n\ngoroutine 1 [running]:");
	EXPECT_CONTAINS(r.out, "panic_with_a_copy(...)");
	EXPECT_STR(r.out, r.err);
	child_result_free(&r);
	r = child_run(panic_without_a_copy, NULL);
	EXPECT_CONTAINS(r.err, "panic: heard once");
	EXPECT_STR(r.out, "");
	child_result_free(&r);
}

static void
core_wanted(void *arg)
{
	(void)arg;
	weft_panic("with a core");
}

TEST(crash_switch_dies_of_a_signal)
{
	static const char *const env[] = {"WEFT_DEBUG=crash=1", NULL};
	struct child_options o = {.env = env};
	struct child_result r = child_run_with(&o, core_wanted, NULL);

	EXPECT_EQ(r.signal, SIGABRT);
	EXPECT_CONTAINS(r.err, "panic: with a core\n");
	child_result_free(&r);
}

/*
 * Not closed: the monitor may then open a file of /proc under that number for a moment, and TSan
 * calls the report's write to it a race.
 */
static void
deaf_stderr(void *arg)
{
	int fd = open("/dev/null", O_RDONLY);

	dup2(fd, 2);
	panics(arg);
}

TEST(nobody_reads)
{
	struct child_result r = child_run(deaf_stderr, NULL);

	EXPECT_EQ(r.status, 2);
	child_result_free(&r);
}

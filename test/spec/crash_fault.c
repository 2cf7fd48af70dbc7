/*
 * Signals that end a program. At three in the morning the text on stderr is all there is: which
 * signal, where, what stack. And a library must not take away handlers that are not its own.
 */
#include <weft.h>

#include "child.h"
#include "test.h"

#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static volatile int zero;

__attribute__((noinline)) static void
write_to_nowhere(void *where)
{
	*(volatile char *)where = 1;
}

__attribute__((noinline, no_sanitize("undefined"))) static void
divide_by_zero(void *arg)
{
#if defined(__x86_64__)
	zero = (int)(intptr_t)arg / zero;
#else
	(void)arg;
	raise(SIGFPE);
#endif
}

__attribute__((noinline)) static void
illegal(void *arg)
{
	(void)arg;
#if defined(__aarch64__)
	__asm__ volatile(".inst 0");	/* what the compiler has for it here raises SIGTRAP */
#else
	__builtin_trap();
#endif
}

__attribute__((noinline)) static void
beyond_the_end_of_a_file(void *arg)
{
	FILE *f = tmpfile();
	char *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fileno(f), 0);

	(void)arg;
	write_to_nowhere(p);
	KEEP_FRAME();
}

__attribute__((noinline)) static void
call_nowhere(void *arg)
{
	((void (*)(void))arg)();
	zero = 0;
}

static void
give_up(void *arg)
{
	(void)arg;
	abort();
	KEEP_FRAME();
}

__attribute__((noinline)) static void
in_a_goroutine(void (*fn)(void *), void *arg)
{
	weft_go_options o = {.size = sizeof(o), .name = "victim"};

	weft_go_with(&o, fn, arg);
	weft_sleep(WEFT_FOREVER);
}

static void
segv(void *arg)
{
	in_a_goroutine(write_to_nowhere, arg);
}

static void
fpe(void *arg)
{
	in_a_goroutine(divide_by_zero, arg);
}

static void
ill(void *arg)
{
	in_a_goroutine(illegal, arg);
}

static void
bus(void *arg)
{
	in_a_goroutine(beyond_the_end_of_a_file, arg);
}

static void
bad_call(void *arg)
{
	in_a_goroutine(call_nowhere, arg);
}

static void
abort_it(void *arg)
{
	in_a_goroutine(give_up, arg);
}

/* Sanitizers have handlers of their own, which would be called: without them, please. */
#define NO_HANDLERS "handle_segv=0:handle_sigbus=0:handle_sigfpe=0:handle_sigill=0:detect_leaks=0"
static const char *const plain[] = {"ASAN_OPTIONS=" NO_HANDLERS, "TSAN_OPTIONS=" NO_HANDLERS,
    "UBSAN_OPTIONS=" NO_HANDLERS, NULL};
static const struct child_options without_sanitizer = {.env = plain};

static void
expect_fault(void (*fn)(void *), void *arg, const char *words, const char *function)
{
	struct child_result r = child_run_with(&without_sanitizer, fn, arg);

	EXPECT_EQ(r.status, 2);
	EXPECT_CONTAINS(r.err, "fatal error: unexpected signal\n[signal SIG");
	EXPECT_CONTAINS(r.err, words);
	EXPECT_CONTAINS(r.err, " pc=0x");
	EXPECT_CONTAINS(r.err, " [running, \"victim\"]:\n");
	EXPECT_CONTAINS(r.err, function);
	EXPECT_CONTAINS(r.err, "created by in_a_goroutine in goroutine 1\n");
	child_result_free(&r);
}

TEST(faults_are_reported_in_gos_words)
{
	expect_fault(segv, (void *)16,
	    "[signal SIGSEGV: segmentation violation code=0x1 addr=0x10 pc=",
	    "\nwrite_to_nowhere(...)\n");
	expect_fault(fpe, (void *)1, "[signal SIGFPE: floating-point exception code=",
	    "\ndivide_by_zero(");
	expect_fault(ill, NULL, "[signal SIGILL: illegal instruction code=", "\nillegal(...)\n");
	expect_fault(
	    bus, NULL, "[signal SIGBUS: bus error code=", "\nbeyond_the_end_of_a_file(...)\n");
}

/* A call through a bad pointer has no function to name: the caller must be. */
TEST(a_bad_function_pointer_shows_its_caller)
{
	expect_fault(bad_call, (void *)0x1230, "addr=0x1230 pc=0x1230]", "\ncall_nowhere(...)\n");
}

TEST(abort_shows_the_stack_and_dies_of_its_signal)
{
	struct child_result r = child_run(abort_it, NULL);

	EXPECT_EQ(r.signal, SIGABRT);
	EXPECT_CONTAINS(r.err, "SIGABRT: abort\nPC=0x");
	EXPECT_CONTAINS(r.err, " [running, \"victim\"]:\n");
	EXPECT_CONTAINS(r.err, "\ngive_up(...)\n");
	child_result_free(&r);
}

TEST(crash_switch_dies_of_the_signal)
{
	static const char *const env[] = {"WEFT_DEBUG=crash=1", "ASAN_OPTIONS=" NO_HANDLERS,
	    "TSAN_OPTIONS=" NO_HANDLERS, NULL};
	struct child_options o = {.env = env};
	struct child_result r = child_run_with(&o, segv, (void *)16);

	EXPECT_EQ(r.signal, SIGSEGV);
	EXPECT_CONTAINS(r.err, "\nwrite_to_nowhere(...)\n");
	child_result_free(&r);
}

static void
say_and_leave(const char *text)
{
	(void)!write(1, text, strlen(text));
	_exit(7);
}

static void
own_info(int sig, siginfo_t *info, void *context)
{
	char text[64];

	(void)context;
	snprintf(text, sizeof(text), "own %d at %lx", sig, (unsigned long)info->si_addr);
	say_and_leave(text);
}

static void
own_plain(int sig)
{
	char text[64];

	snprintf(text, sizeof(text), "own %d", sig);
	say_and_leave(text);
}

static void
own_segv_before(void *arg)
{
	struct sigaction sa = {.sa_sigaction = own_info, .sa_flags = SA_SIGINFO | SA_ONSTACK};

	sigaction(SIGSEGV, &sa, NULL);
	segv(arg);
}

static void
own_plain_segv_before(void *arg)
{
	signal(SIGSEGV, own_plain);
	segv(arg);
}

static void
own_segv_after(void *arg)
{
	weft_yield();
	signal(SIGSEGV, own_plain);
	segv(arg);
}

static void
own_abort_before(void *arg)
{
	signal(SIGABRT, own_plain);
	abort_it(arg);
}

static void
own_quit_before(void *arg)
{
	(void)arg;
	signal(SIGQUIT, own_plain);
	weft_yield();
	raise(SIGQUIT);
}

/* Catalogue 125, golang/go#22930: a program's own handlers keep working. */
TEST(own_handlers_are_called)
{
	static const struct {
		void (*fn)(void *);
		const char *text;
	} cases[] = {
	    {own_segv_before, "own 11 at 10"},
	    {own_plain_segv_before, "own 11"},
	    {own_segv_after, "own 11"},
	    {own_abort_before, "own 6"},
	    {own_quit_before, "own 3"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct child_result r = child_run(cases[i].fn, (void *)16);

		EXPECT_STR(r.out, cases[i].text);
		EXPECT_STR(r.err, "");
		EXPECT_EQ(r.status, 7);
		child_result_free(&r);
	}
}

static void
ignored_quit(void *arg)
{
	(void)arg;
	signal(SIGQUIT, SIG_IGN);
	weft_yield();
	raise(SIGQUIT);
	say_and_leave("alive");
}

/* A script starts a server with &, its shell ignores SIGQUIT for it, and nobody gets a dump. */
TEST(an_ignored_sigquit_dumps_all_the_same)
{
	struct child_result r = child_run(ignored_quit, NULL);

	EXPECT_EQ(r.status, 2);
	EXPECT_CONTAINS(r.err, "SIGQUIT: quit");
	EXPECT_CONTAINS(r.err, "goroutine 1 ");
	child_result_free(&r);
}

static void
look_at_term(void *arg)
{
	struct sigaction sa;

	(void)arg;
	weft_yield();
	for (int sig = 1; sig < 32; sig++) {
		if (sig == SIGSEGV || sig == SIGBUS || sig == SIGFPE || sig == SIGILL ||
		    sig == SIGABRT || sig == SIGQUIT || sigaction(sig, NULL, &sa) != 0)
			continue;
		if (test_scale() == 1 && (sa.sa_flags & SA_SIGINFO || sa.sa_handler != SIG_DFL) &&
		    sig != SIGPIPE)
			FAIL("signal %d has a handler", sig);
	}
	raise(SIGTERM);
}

/* SCENARIOS 112: TestSignalExitStatus. */
TEST(sigterm_kills_by_signal)
{
	struct child_result r = child_run(look_at_term, NULL);

	EXPECT_EQ(r.signal, SIGTERM);
	EXPECT_STR(r.err, "");
	child_result_free(&r);
}

static weft_chan *never;

static void
parked(void *arg)
{
	(void)arg;
	weft_chan_recv(never, NULL, WEFT_FOREVER);
	KEEP_FRAME();
}

static void
computing(void *arg)
{
	volatile unsigned x = 0;

	(void)arg;
	for (;;)
		x++;
}

static void
wait_to_be_asked(void *arg)
{
	weft_go_options o = {.size = sizeof(o), .name = "hog"};

	(void)arg;
	never = weft_chan_new(0, 0);
	weft_gomaxprocs(2);
	for (int i = 0; i < 3; i++)
		weft_go(parked, NULL);
	weft_go_with(&o, computing, NULL);
	weft_sleep(20 * 1000000);
	(void)!write(1, "ready", 5);
	weft_sleep(WEFT_FOREVER);
}

static size_t
occurrences(const char *text, const char *part)
{
	size_t n = 0;

	for (; (text = strstr(text, part)) != NULL; text += strlen(part))
		n++;
	return n;
}

/* SCENARIOS 111: TestCrashDumpsAllThreads, as far as threads need not be stopped. */
TEST(sigquit_dumps_all_and_exits_with_2)
{
	struct child *c;
	struct child_result r;

	if (TEST_HAS_TSAN)
		SKIP("ThreadSanitizer holds a signal back until the thread makes a call it knows");
	c = child_start(NULL, wait_to_be_asked, NULL);
	child_await(c, "ready");
	child_kill(c, SIGQUIT);
	r = child_wait(c);
	EXPECT_EQ(r.status, 2);
	EXPECT(strncmp(r.err, "SIGQUIT: quit\nPC=0x", 19) == 0);
	EXPECT_CONTAINS(r.err, " sigcode=0\n\ngoroutine ");
	EXPECT_EQ(occurrences(r.err, " [chan receive]:\nweft_chan_recv(...)\n\t"), 3);
	EXPECT_EQ(occurrences(r.err, "\nparked(...)\n"), 3);
	EXPECT_CONTAINS(r.err, "goroutine 1 [sleep]:\nweft_sleep(...)\n");
	EXPECT_CONTAINS(r.err, " [running, \"hog\"]:\n");
#if defined(__x86_64__)
	EXPECT_CONTAINS(r.err, "\nrax    0x");
	EXPECT_CONTAINS(r.err, "\nrip    0x");
#endif
	child_result_free(&r);
}

static void *
fault_on_a_foreign_thread(void *arg)
{
	weft_yield();
	write_to_nowhere(arg);
	KEEP_FRAME();
	return NULL;
}

static void
foreign(void *arg)
{
	pthread_t t;

	weft_yield();
	pthread_create(&t, NULL, fault_on_a_foreign_thread, arg);
	pthread_join(t, NULL);
}

static void *
fault_on_an_unknown_thread(void *arg)
{
	write_to_nowhere(arg);
	KEEP_FRAME();
	return NULL;
}

static void
unknown(void *arg)
{
	pthread_t t;

	weft_yield();
	pthread_create(&t, NULL, fault_on_an_unknown_thread, arg);
	pthread_join(t, NULL);
}

TEST(threads_that_weft_did_not_start)
{
	struct child_result r;

	r = child_run_with(&without_sanitizer, foreign, (void *)16);
	EXPECT_EQ(r.status, 2);
	EXPECT_CONTAINS(r.err, "addr=0x10");
	EXPECT_CONTAINS(r.err, "\nfault_on_a_foreign_thread(...)\n");
	child_result_free(&r);
	/* It never called weft: there is no goroutine, but there is a stack. */
	r = child_run_with(&without_sanitizer, unknown, (void *)16);
	EXPECT_EQ(r.status, 2);
	EXPECT_CONTAINS(r.err, "\nruntime stack:\nwrite_to_nowhere(...)\n");
	EXPECT_CONTAINS(r.err, "\nfault_on_an_unknown_thread(...)\n");
	child_result_free(&r);
}

static void
on_the_alternate_stack(int sig)
{
	uintptr_t here = (uintptr_t)__builtin_frame_address(0);
	stack_t ss;

	(void)sig;
	sigaltstack(NULL, &ss);
	say_and_leave(here >= (uintptr_t)ss.ss_sp && here < (uintptr_t)ss.ss_sp + ss.ss_size
		? "alternate"
		: "goroutine's");
}

static void
raise_usr1(void *arg)
{
	(void)arg;
	raise(SIGUSR1);
}

static void
own_handler_with_onstack(void *arg)
{
	struct sigaction sa = {.sa_handler = on_the_alternate_stack, .sa_flags = SA_ONSTACK};

	(void)arg;
	sigaction(SIGUSR1, &sa, NULL);
	in_a_goroutine(raise_usr1, NULL);
}

/* Catalogue 125: every thread that runs goroutines has an alternate stack. */
TEST(goroutines_have_an_alternate_signal_stack)
{
	struct child_result r = child_run(own_handler_with_onstack, NULL);

	EXPECT_STR(r.out, "alternate");
	child_result_free(&r);
}

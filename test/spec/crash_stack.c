/*
 * Stack overflow. C programs overflow silently: the next object in memory is overwritten, and
 * the program fails an hour later somewhere else. Here it must be caught at once, whatever the size
 * of the frame that steps over the edge, and the text must say whose stack it was and what to do.
 * ctest: timeout=120
 */
#include <weft.h>

#include "child.h"
#include "test.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* gcc can turn probing off for a function; the guard alone must do. clang keeps it on. */
#if defined(__GNUC__) && !defined(__clang__)
#define NO_PROBES __attribute__((noinline, optimize("no-stack-clash-protection")))
#define PROBES __attribute__((noinline, optimize("stack-clash-protection")))
#else
#define NO_PROBES __attribute__((noinline))
#define PROBES __attribute__((noinline))
#endif

/*
 * Touches its frame at the far end only: a page or 60 KB below the last touch. The asm makes
 * the compiler believe that the rest is used too.
 */
#define RECURSE(name, bytes, attributes) \
	attributes static int name(int n) \
	{ \
		volatile char frame[bytes]; \
		__asm__ volatile("" : : "r"(frame) : "memory"); \
		frame[0] = (char)n; \
		return n < 0 ? 0 : name(n + 1) + frame[0]; \
	}

RECURSE(frames_of_1k, 1 << 10, NO_PROBES)
RECURSE(frames_of_5k, 5 << 10, NO_PROBES)
RECURSE(frames_of_20k, 20 << 10, NO_PROBES)
RECURSE(frames_of_60k, 60 << 10, NO_PROBES)
RECURSE(probed_1k, 1 << 10, PROBES)
RECURSE(probed_60k, 60 << 10, PROBES)
RECURSE(probed_1m, 1 << 20, PROBES)

static volatile int sink;

/* Not instrumented by name: the first frame of the goroutine. */
#define STARTER(name) \
	static void start_##name(void *arg) \
	{ \
		sink = name((int)(intptr_t)arg); \
	}

STARTER(frames_of_1k)
STARTER(frames_of_5k)
STARTER(frames_of_20k)
STARTER(frames_of_60k)
STARTER(probed_1k)
STARTER(probed_60k)
STARTER(probed_1m)

static const struct {
	void (*fn)(void *);
	const char *name;
} starters[] = {
    {start_frames_of_1k, "frames_of_1k"},
    {start_frames_of_5k, "frames_of_5k"},
    {start_frames_of_20k, "frames_of_20k"},
    {start_frames_of_60k, "frames_of_60k"},
    {start_probed_1k, "probed_1k"},
    {start_probed_60k, "probed_60k"},
    {start_probed_1m, "probed_1m"},
};

static void
overflow(void *which)
{
	weft_go_options o = {.size = sizeof(o), .name = "digger"};

	weft_go_with(&o, starters[(size_t)(uintptr_t)which].fn, (void *)1);
	weft_sleep(WEFT_FOREVER);
}

static void
expect_overflow(const struct child_result *r, const char *function)
{
	char text[64];

	EXPECT_EQ(r->status, 2);
	EXPECT(strncmp(r->err, "runtime: goroutine stack exceeds ", 33) == 0);
	EXPECT_CONTAINS(r->err, "-byte limit\nruntime: sp=0x");
	EXPECT_CONTAINS(r->err, "\nfatal error: stack overflow\n");
	snprintf(text, sizeof(text), "\n%s(...)\n", function);
	EXPECT_CONTAINS(r->err, text);
}

static void
every_size(const char *setting)
{
	const char *env[] = {setting, NULL};
	struct child_options o = {.env = setting != NULL ? env : NULL};

	for (size_t i = 0; i < sizeof(starters) / sizeof(starters[0]); i++) {
		struct child_result r = child_run_with(&o, overflow, (void *)i);
		char text[64];

		expect_overflow(&r, starters[i].name);
		EXPECT_CONTAINS(r.err, " [running, \"digger\"]:\n");
		EXPECT_CONTAINS(r.err, "WEFT_STACK=");
		EXPECT_CONTAINS(r.err, "stack_size = ");
		/* The other end of the stack. SCENARIOS 108. */
		snprintf(text, sizeof(text), "\nstart_%s(...)\n", starters[i].name);
		EXPECT_CONTAINS(r.err, text);
		EXPECT_CONTAINS(r.err, "\ncreated by overflow in goroutine 1\n");
		child_result_free(&r);
	}
}

/* SCENARIOS 108, catalogue 121. */
TEST(frames_of_every_size)
{
	every_size(NULL);
}

TEST(frames_of_every_size_with_guards_by_mprotect)
{
	every_size("WEFT_DEBUG=guard=mprotect");
}

TEST(frames_of_every_size_on_a_small_stack)
{
	every_size("WEFT_STACK=64K");
}

/* SCENARIOS 108: both ends are shown. */
TEST(deep_stacks_are_elided_in_the_middle)
{
	static const char *const env[] = {"WEFT_STACK=4M", NULL};
	struct child_options o = {.env = env};
	struct child_result r = child_run_with(&o, overflow, (void *)0);
	char *elided = strstr(r.err, "\n...");
	size_t n = 0;

	expect_overflow(&r, "frames_of_1k");
	EXPECT_CONTAINS(r.err, "exceeds 4194304-byte limit");
	EXPECT_CONTAINS(r.err, "WEFT_STACK=8M");
	EXPECT(elided != NULL);
	EXPECT_CONTAINS(r.err, " frames elided...\n");
	/* 50 above and 50 below, of which the last is the goroutine's function. */
	for (char *p = r.err; (p = strstr(p, "\nframes_of_1k(...)\n")) != NULL; p++)
		n++;
	EXPECT_EQ(n, 99);
	child_result_free(&r);
}

static void
own_size(void *arg)
{
	weft_go_options o = {.size = sizeof(o), .stack_size = 1 << 20};

	(void)arg;
	weft_go_with(&o, start_frames_of_5k, (void *)1);
	weft_sleep(WEFT_FOREVER);
}

TEST(the_size_of_this_goroutine_is_named)
{
	struct child_result r = child_run(own_size, NULL);

	expect_overflow(&r, "frames_of_5k");
	EXPECT_CONTAINS(r.err, "exceeds 1048576-byte limit");
	EXPECT_CONTAINS(r.err, "stack_size = 2097152");
	child_result_free(&r);
}

static void
main_overflows(void *arg)
{
	weft_yield();
	start_frames_of_5k(arg);
}

TEST(goroutine_1_overflows_the_main_stack)
{
	struct child_result r = child_run(main_overflows, (void *)1);

	expect_overflow(&r, "frames_of_5k");
	EXPECT_CONTAINS(r.err, "goroutine 1 [running]:\n");
	EXPECT_CONTAINS(r.err, "ulimit -s");
	child_result_free(&r);
}

static void *
foreign(void *arg)
{
	weft_yield();
	start_frames_of_5k(arg);
	return NULL;
}

static void
foreign_overflows(void *arg)
{
	pthread_t t;

	weft_yield();
	pthread_create(&t, NULL, foreign, arg);
	pthread_join(t, NULL);
}

/* Its own guard is a page: smaller frames find it. weft gave the thread its signal stack. */
TEST(a_thread_that_weft_did_not_start)
{
	struct child_result r = child_run(foreign_overflows, (void *)1);

	expect_overflow(&r, "frames_of_5k");
	EXPECT_CONTAINS(r.err, "pthread_attr_setstacksize");
	child_result_free(&r);
}

/* Inside libc's own frames: printf on the last bytes of the stack. */
__attribute__((noinline)) static int
print_on_the_edge(int n)
{
	volatile char frame[64];
	char text[32];

	frame[0] = (char)snprintf(text, sizeof(text), "%d %f", n, (double)n);
	return n < 0 ? 0 : print_on_the_edge(n + 1) + frame[0];
}

static void
start_print(void *arg)
{
	sink = print_on_the_edge((int)(intptr_t)arg);
}

static void
overflow_in_libc(void *arg)
{
	weft_go(start_print, arg);
	weft_sleep(WEFT_FOREVER);
}

TEST(the_edge_is_met_inside_libc)
{
	struct child_result r = child_run(overflow_in_libc, (void *)1);

	expect_overflow(&r, "print_on_the_edge");
	EXPECT_CONTAINS(r.err, "\nstart_print(...)\n");
	child_result_free(&r);
}

static void
own_handler(int sig)
{
	(void)sig;
	_Exit(7);
}

static void
own_handler_before(void *arg)
{
	signal(SIGSEGV, own_handler);
	overflow(arg);
}

/* A handler of the program's own must not turn an overflow into something else. */
TEST(an_overflow_is_named_even_if_the_program_handles_sigsegv)
{
	struct child_result r = child_run(own_handler_before, (void *)1);

	expect_overflow(&r, "frames_of_5k");
	child_result_free(&r);
}

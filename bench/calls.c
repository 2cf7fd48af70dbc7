/*
 * Calls that a program may make in its inner loop: who am I, what time is it, the marks around a
 * system call that does not block, a panic that is recovered, channels made and freed.
 */
#include <weft.h>

#include "lib/harness.h"

#include <sys/syscall.h>
#include <unistd.h>

static volatile uint64_t sink;

static void
goid(long arg)
{
	(void)arg;
	BENCH_MEASURE(20000000, sink = weft_goid());
}

static void
now(long arg)
{
	(void)arg;
	BENCH_MEASURE(10000000, sink = (uint64_t)weft_now());
}

static void
marks(long arg)
{
	(void)arg;
	weft_goid();
	BENCH_MEASURE(20000000, weft_syscall_enter(); weft_syscall_exit());
}

/* A real system call, bare and between the marks. */
static void
call(long is_marked)
{
	weft_goid();
	if (is_marked)
		BENCH_MEASURE(5000000,
		    weft_syscall_enter(); syscall(SYS_getppid); weft_syscall_exit());
	else
		BENCH_MEASURE(5000000, syscall(SYS_getppid));
}

static void
nothing(void *arg)
{
	(void)arg;
}

static void
panic(void *arg)
{
	(void)arg;
	weft_panic("bench");
}

static void
try(long panics)
{
	if (panics)
		BENCH_MEASURE(1000000, BENCH_CHECK(weft_try(panic, NULL, NULL, 0) == 1));
	else
		BENCH_MEASURE(10000000, BENCH_CHECK(weft_try(nothing, NULL, NULL, 0) == 0));
}

static void
chan(long cap)
{
	BENCH_MEASURE(3000000, weft_chan_unref(weft_chan_new(8, (size_t)cap)));
}

static const struct bench_case cases[] = {
    {.name = "call_goid", .run = goid, .procs = 1},
    {.name = "call_now", .run = now, .procs = 1},
    {.name = "call_syscall_enter_exit", .run = marks, .procs = 1},
    {.name = "call_getppid_bare", .run = call, .arg = 0, .procs = 1},
    {.name = "call_getppid_marked", .run = call, .arg = 1, .procs = 1},
    {.name = "call_try", .run = try, .arg = 0, .procs = 1},
    {.name = "call_try_panic", .run = try, .arg = 1, .procs = 1},
    {.name = "call_chan_new_unref", .run = chan, .arg = 0, .procs = 1},
    {.name = "call_chan_new_unref_128", .run = chan, .arg = 128, .procs = 1},
};

int
main(int argc, char **argv)
{
	return bench_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}

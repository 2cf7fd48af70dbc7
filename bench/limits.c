/*
 * What the hardware and the kernel charge for the primitives that all of the rest is made of. No
 * scheduler and no runtime: the least that anything can cost on this machine. And how large
 * things are.
 */
#define _GNU_SOURCE
#include "lib/harness.h"

#include <weft.h>
#include "arch/arch.h"
#include "base/atomic.h"
#include "chan/chan.h"
#include "sched/g.h"

#include <pthread.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096, RING = 128 };

static struct wf_ctx here, there;
static char stack[65536] __attribute__((aligned(64)));

static void
back_for_ever(void *carry)
{
	for (;;)
		carry = wf_ctx_switch(&there, &here, carry);
}

/* A round is there and back: two switches. */
static void
switches(long arg)
{
	long n = bench_n(50000000);
	int64_t start;

	(void)arg;
	wf_ctx_init(&there, back_for_ever, (uintptr_t)(stack + sizeof(stack)));
	start = bench_now();
	for (long i = 0; i < n; i++)
		wf_ctx_switch(&here, &there, NULL);
	bench_value(NULL, "ns", (double)(bench_now() - start) / (double)n / 2);
}

static _Atomic(uint64_t) word;

static void
rmw(long arg)
{
	(void)arg;
	BENCH_MEASURE(50000000, wf_add_acqrel(&word, 1));
}

static void *
add_for_ever(void *arg)
{
	for (;;)
		wf_add_acqrel(&word, 1);
	return arg;
}

/* The other CPU does the same to the same word. */
static void
rmw_contended(long arg)
{
	pthread_t t;

	(void)arg;
	BENCH_CHECK(pthread_create(&t, NULL, add_for_ever, NULL) == 0);
	while (wf_load_relaxed(&word) == 0)
		;
	BENCH_MEASURE(20000000, wf_add_acqrel(&word, 1));
}

/* Ours is the even, the other CPU's the odd. */
static void *
answer_for_ever(void *arg)
{
	for (;;) {
		uint64_t v = wf_load_acquire(&word);

		if ((v & 1) != 0)
			wf_store_release(&word, v + 1);
	}
	return arg;
}

static void
line_there_and_back(long arg)
{
	pthread_t t;

	(void)arg;
	BENCH_CHECK(pthread_create(&t, NULL, answer_for_ever, NULL) == 0);
	BENCH_MEASURE(5000000,
	    uint64_t v = wf_load_relaxed(&word);
	    wf_store_release(&word, v + 1);
	    while (wf_load_acquire(&word) != v + 2)
		    ;
	);
}

static volatile uint64_t ring[RING], sink;

/* An element into a ring and out of it, in batches of its size, by one thread. */
static void
ring_element(long arg)
{
	long n = bench_n(50000000) / RING;
	int64_t start = bench_now();

	(void)arg;
	for (long i = 0; i < n; i++) {
		for (int k = 0; k < RING; k++)
			ring[k] = (uint64_t)i;
		for (int k = 0; k < RING; k++)
			sink = ring[k];
	}
	bench_value(NULL, "ns", (double)(bench_now() - start) / (double)(n * RING));
}

/* The first touch of a page of fresh memory. */
static void
page(long arg)
{
	long n = bench_n(100000);
	char *p = mmap(NULL, (size_t)n * PAGE, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	int64_t start = bench_now();

	(void)arg;
	BENCH_CHECK(p != MAP_FAILED);
	for (long i = 0; i < n; i++)
		p[i * PAGE] = 1;
	bench_value(NULL, "ns", (double)(bench_now() - start) / (double)n);
}

static void
clock_read(long arg)
{
	(void)arg;
	BENCH_MEASURE(20000000, sink = (uint64_t)bench_now());
}

static void
system_call(long arg)
{
	(void)arg;
	BENCH_MEASURE(5000000, syscall(SYS_getppid));
}

/* How late a thread wakes that asked the kernel for no slack. */
static void
sleep_lateness(long ns)
{
	struct bench_lat late = {0};
	long n = bench_n(2000000000) / (ns + 100000);

	prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
	for (long i = 0; i < n; i++) {
		struct timespec t = {0, ns};
		int64_t start = bench_now();

		nanosleep(&t, NULL);
		bench_lat_add(&late, bench_now() - start - ns);
	}
	bench_lat_report(&late, "late");
}

static void
sizes(long arg)
{
	(void)arg;
	bench_value("goroutine", "B", sizeof(struct g));
	bench_value("channel", "B", sizeof(struct weft_chan));
	bench_value("mutex", "B", sizeof(weft_mutex));
	bench_value("rwmutex", "B", sizeof(weft_rwmutex));
	bench_value("waitgroup", "B", sizeof(weft_waitgroup));
}

static const struct bench_case cases[] = {
    {.name = "limit_switch", .by = "limit", .run = switches, .procs = 1},
    {.name = "limit_rmw", .by = "limit", .run = rmw, .procs = 1},
    {.name = "limit_rmw_2cpu", .by = "limit", .run = rmw_contended, .procs = 2},
    {.name = "limit_line", .by = "limit", .run = line_there_and_back, .procs = 2},
    {.name = "limit_ring", .by = "limit", .run = ring_element, .procs = 1},
    {.name = "limit_page", .by = "limit", .run = page, .procs = 1},
    {.name = "limit_clock", .by = "limit", .run = clock_read, .procs = 1},
    {.name = "limit_syscall", .by = "limit", .run = system_call, .procs = 1},
    {.name = "sizes", .run = sizes, .procs = 1},
    {.name = "limit_sleep", .by = "limit", .run = sleep_lateness, .arg = 1000000, .procs = 2},
};

int
main(int argc, char **argv)
{
	return bench_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}

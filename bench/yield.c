/*
 * What it costs to switch: two goroutines, or two threads, that yield to each other on one CPU.
 */
#include <weft.h>

#include "lib/harness.h"

#include <pthread.h>
#include <sched.h>

static long rounds;

static void
yielder(void *arg)
{
	(void)arg;
	for (long i = 0; i < rounds; i++)
		weft_yield();
}

/* ns per switch of n goroutines. */
static void
yields(long n)
{
	weft_waitgroup w = {0};
	int64_t start;

	rounds = bench_n(5000000) / n;
	for (long i = 0; i < n; i++)
		BENCH_CHECK(weft_waitgroup_go(&w, yielder, NULL) == 0);
	start = bench_now();
	weft_waitgroup_wait(&w, WEFT_FOREVER);
	bench_value(NULL, "ns", (double)(bench_now() - start) / (double)(rounds * n));
}

static void *
thread(void *arg)
{
	(void)arg;
	for (long i = 0; i < rounds; i++)
		sched_yield();
	return NULL;
}

static void
pthread_yields(long n)
{
	pthread_t t[2];
	int64_t start = bench_now();

	rounds = bench_n(1000000) / n;
	for (long i = 0; i < n; i++)
		BENCH_CHECK(pthread_create(&t[i], NULL, thread, NULL) == 0);
	for (long i = 0; i < n; i++)
		pthread_join(t[i], NULL);
	bench_value(NULL, "ns", (double)(bench_now() - start) / (double)(rounds * n));
}

static const struct bench_case cases[] = {
    {.name = "yield_1p", .run = yields, .arg = 2, .procs = 1},
    {.name = "yield_1000_1p", .run = yields, .arg = 1000, .procs = 1},
    {.name = "yield_2p", .run = yields, .arg = 4, .procs = 2},
    {.name = "yield_1p", .by = "pthread", .run = pthread_yields, .arg = 2, .procs = 1},
};

int
main(int argc, char **argv)
{
	return bench_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}

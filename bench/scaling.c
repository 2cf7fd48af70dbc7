/*
 * The same work with 1 to 64 processors on the same two CPUs: it must stay correct, and cost about
 * the same. With more processors than CPUs what shows is what they cost each other.
 */
#include <weft.h>

#include "lib/harness.h"

enum { PAIRS = 32, LOCKERS = 64 };

static long each;

struct pair {
	weft_chan *there, *back;
	long sum;
};

static struct pair pairs[PAIRS];
static weft_waitgroup all;

static void
answer(void *arg)
{
	struct pair *p = arg;
	long v;

	while (weft_chan_recv(p->there, &v, WEFT_FOREVER) == 1) {
		v++;
		weft_chan_send(p->back, &v, WEFT_FOREVER);
	}
	weft_waitgroup_done(&all);
}

static void
ask(void *arg)
{
	struct pair *p = arg;

	for (long i = 0; i < each; i++) {
		long v = i;

		weft_chan_send(p->there, &v, WEFT_FOREVER);
		weft_chan_recv(p->back, &v, WEFT_FOREVER);
		p->sum += v;
	}
	weft_chan_close(p->there);
	weft_waitgroup_done(&all);
}

/* ns per round trip of 32 pairs at once. */
static void
round_trips(long procs)
{
	int64_t start;

	weft_gomaxprocs((int)procs);
	each = bench_n(2000000) / PAIRS;
	weft_waitgroup_add(&all, 2 * PAIRS);
	start = bench_now();
	for (int i = 0; i < PAIRS; i++) {
		pairs[i].there = weft_chan_new(sizeof(long), 0);
		pairs[i].back = weft_chan_new(sizeof(long), 0);
		BENCH_CHECK(weft_go(answer, &pairs[i]) == 0 && weft_go(ask, &pairs[i]) == 0);
	}
	weft_waitgroup_wait(&all, WEFT_FOREVER);
	bench_value(NULL, "ns", (double)(bench_now() - start) / (double)(each * PAIRS));
	for (int i = 0; i < PAIRS; i++)
		BENCH_CHECK(pairs[i].sum == each * (each + 1) / 2);
}

static void
leaf(void *arg)
{
	(void)arg;
}

static void
spawn_ten(void *arg)
{
	(void)arg;
	for (int i = 0; i < 10; i++)
		BENCH_CHECK(weft_waitgroup_go(&all, leaf, NULL) == 0);
}

/* ns per goroutine: a thousand at a time start ten each. */
static void
spawns(long procs)
{
	long n = bench_n(2000000) / 11000;
	int64_t start;

	weft_gomaxprocs((int)procs);
	start = bench_now();
	for (long i = 0; i < n; i++) {
		for (int k = 0; k < 1000; k++)
			BENCH_CHECK(weft_waitgroup_go(&all, spawn_ten, NULL) == 0);
		weft_waitgroup_wait(&all, WEFT_FOREVER);
	}
	bench_value(NULL, "ns", (double)(bench_now() - start) / (double)(n * 11000));
}

static weft_mutex mutex;
static volatile long counter;

static void
count(void *arg)
{
	(void)arg;
	for (long i = 0; i < each; i++) {
		weft_mutex_lock(&mutex);
		counter = counter + 1;
		weft_mutex_unlock(&mutex);
	}
}

/* ns per lock and unlock of 64 goroutines. */
static void
locks(long procs)
{
	int64_t start;

	weft_gomaxprocs((int)procs);
	each = bench_n(8000000) / LOCKERS;
	start = bench_now();
	for (int i = 0; i < LOCKERS; i++)
		BENCH_CHECK(weft_waitgroup_go(&all, count, NULL) == 0);
	weft_waitgroup_wait(&all, WEFT_FOREVER);
	bench_value(NULL, "ns", (double)(bench_now() - start) / (double)(each * LOCKERS));
	BENCH_CHECK(counter == each * LOCKERS);
}

#define WITH(n) \
    {.name = "scaling_round_trip_" #n "p", .run = round_trips, .arg = n, .procs = 2}, \
    {.name = "scaling_spawn_" #n "p", .run = spawns, .arg = n, .procs = 2}, \
    {.name = "scaling_mutex_" #n "p", .run = locks, .arg = n, .procs = 2}

static const struct bench_case cases[] = {
    WITH(1), WITH(2), WITH(4), WITH(16), WITH(64),
};

int
main(int argc, char **argv)
{
	return bench_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}

/*
 * Starting and ending goroutines: one at a time; very many that run to completion; very many that
 * park first.
 */
#include <weft.h>

#include "lib/harness.h"

#include <pthread.h>

static void
nothing(void *arg)
{
	(void)arg;
}

/* Start one, wait for it, again. ns for each. */
static void
join_one(long n)
{
	weft_waitgroup w = {0};
	int64_t start;

	n = bench_n(n);
	weft_waitgroup_go(&w, nothing, NULL);
	weft_waitgroup_wait(&w, WEFT_FOREVER);
	start = bench_now();
	for (long i = 0; i < n; i++) {
		BENCH_CHECK(weft_waitgroup_go(&w, nothing, NULL) == 0);
		weft_waitgroup_wait(&w, WEFT_FOREVER);
	}
	bench_value(NULL, "ns", (double)(bench_now() - start) / (double)n);
}

static void
done(void *w)
{
	weft_waitgroup_done(w);
}

/* Start n that only run to their end, then wait for all. ns for each. */
static void
batch(long n)
{
	weft_waitgroup w = {0};
	int64_t start;

	/* The first batch makes the records; programs start goroutines more than once. */
	for (int round = 0; round < 3; round++) {
		start = bench_now();
		weft_waitgroup_add(&w, (int)n);
		for (long i = 0; i < n; i++)
			BENCH_CHECK(weft_go(done, &w) == 0);
		weft_waitgroup_wait(&w, WEFT_FOREVER);
		if (round == 0)
			bench_value("first", "ns", (double)(bench_now() - start) / (double)n);
	}
	bench_value("again", "ns", (double)(bench_now() - start) / (double)n);
}

struct gate {
	weft_chan *open;
	weft_waitgroup at_gate, done;
};

static void
pass_gate(void *arg)
{
	struct gate *g = arg;

	weft_waitgroup_done(&g->at_gate);
	weft_chan_recv(g->open, NULL, WEFT_FOREVER);
	weft_waitgroup_done(&g->done);
}

/* Start n that all wait on one channel, then let them end. ns for each, start to end. */
static void
park_and_end(long n, size_t stack_size)
{
	weft_go_options o = {sizeof(o), .stack_size = stack_size};
	int64_t start;

	for (int round = 0; round < 2; round++) {
		struct gate g = {.open = weft_chan_new(0, 0)};

		start = bench_now();
		weft_waitgroup_add(&g.at_gate, (int)n);
		weft_waitgroup_add(&g.done, (int)n);
		for (long i = 0; i < n; i++)
			BENCH_CHECK(weft_go_with(&o, pass_gate, &g) == 0);
		weft_waitgroup_wait(&g.at_gate, WEFT_FOREVER);
		weft_chan_close(g.open);
		weft_waitgroup_wait(&g.done, WEFT_FOREVER);
		if (round == 0)
			bench_value("first", "ns", (double)(bench_now() - start) / (double)n);
		weft_chan_unref(g.open);
	}
	bench_value("again", "ns", (double)(bench_now() - start) / (double)n);
}

static void
batch_parked(long n)
{
	park_and_end(n, 0);
}

static void
batch_parked_small(long n)
{
	park_and_end(n, WEFT_STACK_SMALL);
}

static void *
thread(void *arg)
{
	return arg;
}

static void
pthread_join_one(long n)
{
	int64_t start = bench_now();

	n = bench_n(n);
	for (long i = 0; i < n; i++) {
		pthread_t t;

		BENCH_CHECK(pthread_create(&t, NULL, thread, NULL) == 0);
		pthread_join(t, NULL);
	}
	bench_value(NULL, "ns", (double)(bench_now() - start) / (double)n);
}

static const struct bench_case cases[] = {
    {.name = "spawn_join_1p", .run = join_one, .arg = 1000000, .procs = 1},
    {.name = "spawn_join_2p", .run = join_one, .arg = 1000000, .procs = 2},
    {.name = "spawn_join_1p", .by = "pthread", .run = pthread_join_one, .arg = 20000, .procs = 1},
    {.name = "spawn_100k_1p", .run = batch, .arg = 100000, .procs = 1},
    {.name = "spawn_100k_2p", .run = batch, .arg = 100000, .procs = 2},
    {.name = "spawn_100k_parked_1p", .run = batch_parked, .arg = 100000, .procs = 1},
    {.name = "spawn_100k_parked_2p", .run = batch_parked, .arg = 100000, .procs = 2},
    {.name = "spawn_100k_parked_small_1p", .run = batch_parked_small, .arg = 100000, .procs = 1},
};

int
main(int argc, char **argv)
{
	return bench_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}

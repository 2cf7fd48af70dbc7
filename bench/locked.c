/*
 * What it costs to resume a goroutine that is locked to its thread: a round trip over two channels
 * between it and an ordinary one, beside a round trip over two futexes between two threads (both
 * take two wakes of a thread). In turns, in one process: the ratio is what counts. Go: W7, 10x.
 */
#define _GNU_SOURCE
#include <weft.h>

#include "lib/harness.h"

#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ROUNDS 20

static _Atomic uint32_t words[2];	/* one for each side: 1 = its turn */
static weft_chan *there, *back;
static long n;

static void
pass(int to)
{
	atomic_store(&words[to], 1);
	syscall(SYS_futex, &words[to], FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void
await_turn(int side)
{
	while (atomic_load(&words[side]) == 0)
		syscall(SYS_futex, &words[side], FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
	atomic_store(&words[side], 0);
}

static void *
futex_answer(void *arg)
{
	for (long i = 0; i < n; i++) {
		await_turn(1);
		pass(0);
	}
	return arg;
}

/* Both sides are plain threads: weft's own wait meanwhile. */
static void *
futex_ask(void *ret_ns)
{
	pthread_t t;
	int64_t start;

	BENCH_CHECK(pthread_create(&t, NULL, futex_answer, NULL) == 0);
	start = bench_now();
	for (long i = 0; i < n; i++) {
		pass(1);
		await_turn(0);
	}
	*(double *)ret_ns = (double)(bench_now() - start) / (double)n;
	pthread_join(t, NULL);
	return NULL;
}

static void
chan_answer(void *arg)
{
	(void)arg;
	weft_lock_thread();
	while (weft_chan_recv(there, NULL, WEFT_FOREVER) == 1)
		BENCH_CHECK(weft_chan_send(back, NULL, WEFT_FOREVER) == 0);
	weft_unlock_thread();
	weft_chan_close(back);
}

static double
locked_round_trip(void)
{
	int64_t start = bench_now();

	for (long i = 0; i < n; i++) {
		BENCH_CHECK(weft_chan_send(there, NULL, WEFT_FOREVER) == 0);
		BENCH_CHECK(weft_chan_recv(back, NULL, WEFT_FOREVER) == 1);
	}
	return (double)(bench_now() - start) / (double)n;
}

static int
by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double
median(double *v)
{
	qsort(v, ROUNDS, sizeof(v[0]), by_value);
	return (v[ROUNDS / 2 - 1] + v[ROUNDS / 2]) / 2;
}

static void
resume(long arg)
{
	double futex[ROUNDS], locked[ROUNDS], ratio[ROUNDS];
	pthread_t t;

	(void)arg;
	n = bench_n(2000);
	there = weft_chan_new(0, 0);
	back = weft_chan_new(0, 0);
	BENCH_CHECK(weft_go(chan_answer, NULL) == 0);
	(void)locked_round_trip();
	for (int i = 0; i < ROUNDS; i++) {
		BENCH_CHECK(pthread_create(&t, NULL, futex_ask, &futex[i]) == 0);
		pthread_join(t, NULL);
		locked[i] = locked_round_trip();
		ratio[i] = locked[i] / futex[i];
	}
	bench_value("futex_round_trip", "ns", median(futex));
	bench_value("locked_round_trip", "ns", median(locked));
	bench_value("ratio", "", median(ratio));
	weft_chan_close(there);
	BENCH_CHECK(weft_chan_recv(back, NULL, WEFT_FOREVER) == 0);
}

static const struct bench_case cases[] = {
    {.name = "locked_1p", .run = resume, .procs = 1},
    {.name = "locked_2p", .run = resume, .procs = 2},
};

int
main(int argc, char **argv)
{
	return bench_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}

/*
 * A round trip between two goroutines over two unbuffered channels; between two threads over a
 * mutex and a condition variable.
 */
#include <weft.h>

#include "lib/harness.h"

#include <pthread.h>

static weft_chan *there, *back;
static long rounds;

static void
echo(void *arg)
{
	long v;

	(void)arg;
	while (weft_chan_recv(there, &v, WEFT_FOREVER) == 1)
		weft_chan_send(back, &v, WEFT_FOREVER);
}

static void
pingpong(long n)
{
	int64_t start;
	long got;

	n = bench_n(n);
	there = weft_chan_new(sizeof(long), 0);
	back = weft_chan_new(sizeof(long), 0);
	BENCH_CHECK(weft_go(echo, NULL) == 0);
	start = bench_now();
	for (long i = 0; i < n; i++) {
		weft_chan_send(there, &i, WEFT_FOREVER);
		weft_chan_recv(back, &got, WEFT_FOREVER);
		BENCH_CHECK(got == i);
	}
	bench_value(NULL, "ns", (double)(bench_now() - start) / (double)n);
}

static void *
foreign_echo(void *arg)
{
	echo(arg);
	return NULL;
}

/* The other side is a thread that weft did not start: each message wakes a sleeping thread. */
static void
pingpong_foreign(long n)
{
	int64_t start;
	pthread_t t;
	long got;

	n = bench_n(n);
	there = weft_chan_new(sizeof(long), 0);
	back = weft_chan_new(sizeof(long), 0);
	BENCH_CHECK(pthread_create(&t, NULL, foreign_echo, NULL) == 0);
	start = bench_now();
	for (long i = 0; i < n; i++) {
		weft_chan_send(there, &i, WEFT_FOREVER);
		weft_chan_recv(back, &got, WEFT_FOREVER);
		BENCH_CHECK(got == i);
	}
	bench_value(NULL, "ns", (double)(bench_now() - start) / (double)n);
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turned = PTHREAD_COND_INITIALIZER;
static int turn;

static void
take_turns(int me)
{
	for (long i = 0; i < rounds; i++) {
		pthread_mutex_lock(&lock);
		while (turn != me)
			pthread_cond_wait(&turned, &lock);
		turn = !me;
		pthread_cond_signal(&turned);
		pthread_mutex_unlock(&lock);
	}
}

static void *
thread(void *arg)
{
	take_turns(1);
	return arg;
}

static void
pthread_pingpong(long n)
{
	int64_t start = bench_now();
	pthread_t t;

	rounds = bench_n(n);
	BENCH_CHECK(pthread_create(&t, NULL, thread, NULL) == 0);
	take_turns(0);
	pthread_join(t, NULL);
	bench_value(NULL, "ns", (double)(bench_now() - start) / (double)rounds);
}

static const struct bench_case cases[] = {
    {.name = "pingpong_1p", .run = pingpong, .arg = 2000000, .procs = 1},
    {.name = "pingpong_2p", .run = pingpong, .arg = 2000000, .procs = 2},
    {.name = "pingpong_foreign_2p", .run = pingpong_foreign, .arg = 100000, .procs = 2},
    {.name = "pingpong_1p", .by = "pthread", .run = pthread_pingpong, .arg = 200000, .procs = 1},
    {.name = "pingpong_2p", .by = "pthread", .run = pthread_pingpong, .arg = 20000, .procs = 2},
};

int
main(int argc, char **argv)
{
	return bench_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}

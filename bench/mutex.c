/*
 * A mutex that nobody else wants, and one that eight goroutines (threads) want at once.
 */
#include <weft.h>

#include "lib/harness.h"

#include <pthread.h>

static weft_mutex mutex;
static pthread_mutex_t plain = PTHREAD_MUTEX_INITIALIZER;
static volatile long counter;
static long each;

static void
count(void *w)
{
	for (long i = 0; i < each; i++) {
		weft_mutex_lock(&mutex);
		counter = counter + 1;
		weft_mutex_unlock(&mutex);
	}
	weft_waitgroup_done(w);
}

static void
locks(long k)
{
	weft_waitgroup w = {0};
	long n = bench_n(16000000);
	int64_t start = bench_now();

	each = n / k;
	weft_waitgroup_add(&w, (int)k);
	for (long i = 0; i < k; i++)
		BENCH_CHECK(weft_go(count, &w) == 0);
	weft_waitgroup_wait(&w, WEFT_FOREVER);
	bench_value(NULL, "ns", (double)(bench_now() - start) / (double)n);
	BENCH_CHECK(counter == each * k);
}

static void *
plain_count(void *arg)
{
	for (long i = 0; i < each; i++) {
		pthread_mutex_lock(&plain);
		counter = counter + 1;
		pthread_mutex_unlock(&plain);
	}
	return arg;
}

static void
plain_locks(long k)
{
	pthread_t t[8];
	long n = bench_n(16000000);
	int64_t start = bench_now();

	each = n / k;
	for (long i = 0; i < k; i++)
		BENCH_CHECK(pthread_create(&t[i], NULL, plain_count, NULL) == 0);
	for (long i = 0; i < k; i++)
		pthread_join(t[i], NULL);
	bench_value(NULL, "ns", (double)(bench_now() - start) / (double)n);
	BENCH_CHECK(counter == each * k);
}

static const struct bench_case cases[] = {
    {.name = "mutex_uncontended_1p", .run = locks, .arg = 1, .procs = 1},
    {.name = "mutex_8_2p", .run = locks, .arg = 8, .procs = 2},
    {.name = "mutex_uncontended_1p", .by = "pthread", .run = plain_locks, .arg = 1, .procs = 1},
    {.name = "mutex_8_2p", .by = "pthread", .run = plain_locks, .arg = 8, .procs = 2},
};

int
main(int argc, char **argv)
{
	return bench_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}

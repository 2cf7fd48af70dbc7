/*
 * How long until a goroutine runs that another one, which goes on computing, has made runnable: its
 * processor is idle, so a thread must be woken. And the same between two plain threads.
 */
#include <weft.h>

#include "lib/harness.h"

#include <pthread.h>
#include <stdatomic.h>

#define US ((int64_t)1000)
#define REST_NS (300 * US)	/* before each wake: the other thread has gone to sleep */

static _Atomic int64_t ran_at;
static weft_chan *bell;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t rung = PTHREAD_COND_INITIALIZER;
static bool is_rung;

static void
note_time(void)
{
	atomic_store(&ran_at, bench_now());
}

static void
compute_for(int64_t ns)
{
	for (int64_t until = bench_now() + ns; bench_now() < until;)
		;
}

/* What comes between ring() and the other side's look at the clock, n times. */
static void
measure(long n, void (*ring)(void))
{
	struct bench_lat late = {0};

	for (long i = 0; i < n; i++) {
		int64_t start, at;

		compute_for(REST_NS);
		start = bench_now();
		ring();
		while ((at = atomic_load(&ran_at)) < start)
			;
		bench_lat_add(&late, at - start);
	}
	bench_lat_report(&late, "until_it_runs");
}

static void
listen_to_bell(void *arg)
{
	int x;

	(void)arg;
	while (weft_chan_recv(bell, &x, WEFT_FOREVER) == 1)
		note_time();
}

static void
ring_bell(void)
{
	int x = 0;

	weft_chan_send(bell, &x, WEFT_FOREVER);
}

static void
wake(long n)
{
	bell = weft_chan_new(sizeof(int), 1);
	BENCH_CHECK(weft_go(listen_to_bell, NULL) == 0);
	weft_sleep(10 * 1000 * US);
	measure(bench_n(n), ring_bell);
}

static void *
thread(void *arg)
{
	for (;;) {
		pthread_mutex_lock(&lock);
		while (!is_rung)
			pthread_cond_wait(&rung, &lock);
		is_rung = false;
		note_time();
		pthread_mutex_unlock(&lock);
	}
	return arg;
}

static void
signal_thread(void)
{
	pthread_mutex_lock(&lock);
	is_rung = true;
	pthread_cond_signal(&rung);
	pthread_mutex_unlock(&lock);
}

static void
pthread_wake(long n)
{
	pthread_t t;

	BENCH_CHECK(pthread_create(&t, NULL, thread, NULL) == 0);
	measure(bench_n(n), signal_thread);
}

static const struct bench_case cases[] = {
    {.name = "wake_2p", .run = wake, .arg = 5000, .procs = 2},
    {.name = "wake_2p", .by = "pthread", .run = pthread_wake, .arg = 5000, .procs = 2},
};

int
main(int argc, char **argv)
{
	return bench_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}

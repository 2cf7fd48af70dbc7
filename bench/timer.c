/*
 * Timers: made and stopped before they fire, as most are; how late they fire in an idle process;
 * many sleepers at once.
 */
#include <weft.h>

#include "lib/harness.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#define MS ((int64_t)1000000)
#define SECOND (1000 * MS)

static void
never(void *arg)
{
	(void)arg;
	bench_fail("a stopped timer fired");
}

/* ns to make, stop and free a timer, with live others pending. */
static void
create_stop(long live)
{
	long n = bench_n(1000000);
	int64_t start;

	for (long i = 0; i < live; i++) {
		int64_t due = weft_in(100 * SECOND + i * 1000);

		BENCH_CHECK(weft_timer_new(due, 0, never, NULL) != NULL);
	}
	start = bench_now();
	for (long i = 0; i < n; i++) {
		int64_t due = weft_in(10 * SECOND + i % 1000 * MS);
		weft_timer *t = weft_timer_new(due, 0, never, NULL);

		BENCH_CHECK(t != NULL && weft_timer_stop(t));
		weft_timer_free(t);
	}
	bench_value(NULL, "ns", (double)(bench_now() - start) / (double)n);
}

/* ns to put off a timer that has not fired. */
static void
reset(long unused)
{
	long n = bench_n(2000000);
	weft_timer *t = weft_timer_new(weft_in(10 * SECOND), 0, never, NULL);
	int64_t start = bench_now();

	BENCH_CHECK(t != NULL);
	for (long i = 0; i < n; i++)
		BENCH_CHECK(weft_timer_reset(t, weft_in(10 * SECOND + i % 1000 * MS), 0));
	bench_value(NULL, "ns", (double)(bench_now() - start) / (double)n);
	BENCH_CHECK(weft_timer_stop(t));
	weft_timer_free(t);
	(void)unused;
}

/* How late a sleep of ns nanoseconds ends when nothing else goes on. */
static void
lateness(long ns)
{
	struct bench_lat late = {0};
	long n = bench_n(SECOND) / (ns + 100000);

	for (long i = 0; i < n; i++) {
		int64_t start = bench_now();

		weft_sleep(ns);
		bench_lat_add(&late, bench_now() - start - ns);
	}
	bench_lat_report(&late, "late");
}

static void
pthread_lateness(long ns)
{
	struct bench_lat late = {0};
	long n = bench_n(SECOND) / (ns + 100000);

	for (long i = 0; i < n; i++) {
		struct timespec t = {0, ns};
		int64_t start = bench_now();

		clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
		bench_lat_add(&late, bench_now() - start - ns);
	}
	bench_lat_report(&late, "late");
}

struct sleeper {
	weft_waitgroup *all;
	int64_t ns;
};

static void
sleep_once(void *arg)
{
	struct sleeper *s = arg;

	weft_sleep(s->ns);
	weft_waitgroup_done(s->all);
}

/* n goroutines that sleep between 0 and 1 s: wall and CPU seconds for all. */
static void
sleep_all(long n, size_t stack_size)
{
	weft_go_options o = {sizeof(o), .stack_size = stack_size};
	weft_waitgroup all = {0};
	int64_t start, cpu;
	uint64_t x = 88172645463325252u;
	struct sleeper *s;

	n = bench_n(n);
	s = malloc((size_t)n * sizeof(*s));
	BENCH_CHECK(s != NULL);
	start = bench_now();
	cpu = bench_cpu();
	weft_waitgroup_add(&all, (int)n);
	for (long i = 0; i < n; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		s[i] = (struct sleeper){&all, (int64_t)(x % (uint64_t)SECOND)};
		BENCH_CHECK(weft_go_with(&o, sleep_once, &s[i]) == 0);
	}
	weft_waitgroup_wait(&all, WEFT_FOREVER);
	bench_value("wall", "s", (double)(bench_now() - start) / 1e9);
	bench_value("cpu", "s", (double)(bench_cpu() - cpu) / 1e9);
}

static void
sleepers(long n)
{
	sleep_all(n, 0);
}

static void
sleepers_small(long n)
{
	sleep_all(n, WEFT_STACK_SMALL);
}

static const struct bench_case cases[] = {
    {.name = "timer_create_stop_1p", .run = create_stop, .arg = 0, .procs = 1},
    {.name = "timer_create_stop_100k_1p", .run = create_stop, .arg = 100000, .procs = 1},
    {.name = "timer_reset_1p", .run = reset, .procs = 1},
    {.name = "timer_sleep_1ms_2p", .run = lateness, .arg = 1000000, .procs = 2},
    {.name = "timer_sleep_50us_2p", .run = lateness, .arg = 50000, .procs = 2},
    {.name = "timer_sleep_1ms_2p", .by = "pthread", .run = pthread_lateness, .arg = 1000000,
        .procs = 2},
    {.name = "timer_sleep_50us_2p", .by = "pthread", .run = pthread_lateness, .arg = 50000,
        .procs = 2},
    {.name = "timer_1M_sleepers_1p", .run = sleepers, .arg = 1000000, .procs = 1},
    {.name = "timer_1M_sleepers_small_1p", .run = sleepers_small, .arg = 1000000, .procs = 1},
};

int
main(int argc, char **argv)
{
	return bench_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}

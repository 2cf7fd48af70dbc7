/*
 * Goroutines that block in the kernel by calls that weft does not know: a thousand raw sleeps, then
 * a pipe, a file lock and a pthread mutex held elsewhere. A 1 ms ticker beside them tells whether
 * they stop anybody.
 */
#include <weft.h>

#include "lib/harness.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#define MS ((int64_t)1000000)

enum { RAW, MARKED };

static weft_waitgroup all;
static volatile int is_over;

static void
raw_sleep(void)
{
	struct timespec t = {0, 100 * MS};

	nanosleep(&t, NULL);
}

static void
sleep_unmarked(void *arg)
{
	(void)arg;
	raw_sleep();
	weft_waitgroup_done(&all);
}

static void
sleep_marked(void *arg)
{
	(void)arg;
	weft_syscall_enter();
	raw_sleep();
	weft_syscall_exit();
	weft_waitgroup_done(&all);
}

/* Ticks until is_over, in a goroutine of its own. */
static struct bench_lat late;
static weft_chan *ticker_ended;
static long most_threads;

static void
tick(void *arg)
{
	(void)arg;
	for (int i = 0; !is_over; i++) {
		int64_t start = bench_now();

		weft_sleep(MS);
		bench_lat_add(&late, bench_now() - start - MS);
		if (i % 10 == 9) {
			long n = bench_status("Threads");

			most_threads = n > most_threads ? n : most_threads;
		}
	}
	weft_chan_close(ticker_ended);
}

static void
start_ticker(void)
{
	ticker_ended = weft_chan_new(0, 0);
	BENCH_CHECK(weft_go(tick, NULL) == 0);
	weft_sleep(5 * MS);
}

static void
report_ticker(void)
{
	is_over = 1;
	weft_chan_recv(ticker_ended, NULL, WEFT_FOREVER);
	bench_lat_report(&late, "tick_late");
}

static void
sleeps(long how)
{
	long n = bench_n(1000);
	int64_t start;

	start_ticker();
	start = bench_now();
	weft_waitgroup_add(&all, (int)n);
	for (long i = 0; i < n; i++)
		BENCH_CHECK(weft_go(how == MARKED ? sleep_marked : sleep_unmarked, NULL) == 0);
	weft_waitgroup_wait(&all, WEFT_FOREVER);
	bench_value("wall", "ms", (double)(bench_now() - start) / 1e6);
	report_ticker();
	bench_value("threads", "", (double)most_threads);
}

static void *
thread_sleep(void *arg)
{
	raw_sleep();
	return arg;
}

static void
pthread_sleeps(long n)
{
	int64_t start = bench_now();
	pthread_t *t;

	n = bench_n(n);
	t = malloc((size_t)n * sizeof(*t));
	BENCH_CHECK(t != NULL);
	for (long i = 0; i < n; i++)
		BENCH_CHECK(pthread_create(&t[i], NULL, thread_sleep, NULL) == 0);
	for (long i = 0; i < n; i++)
		pthread_join(t[i], NULL);
	bench_value("wall", "ms", (double)(bench_now() - start) / 1e6);
}

/* Three things that are held elsewhere. Each blocks until stuck_release(). */
enum { PIPE, FLOCK, MUTEX };
static struct {
	int kind;
	int pipe[2];
	char path[32];
	int lock_fd;
	pthread_mutex_t mutex;
} stuck = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static void
stuck_hold(int kind)
{
	stuck.kind = kind;
	if (kind == PIPE) {
		BENCH_CHECK(pipe(stuck.pipe) == 0);
	} else if (kind == FLOCK) {
		snprintf(stuck.path, sizeof(stuck.path), "/tmp/weft-bench-XXXXXX");
		stuck.lock_fd = mkstemp(stuck.path);
		BENCH_CHECK(stuck.lock_fd >= 0 && flock(stuck.lock_fd, LOCK_EX) == 0);
	} else {
		pthread_mutex_lock(&stuck.mutex);
	}
}

static void
stuck_release(int n)
{
	char bytes[64] = {0};

	if (stuck.kind == PIPE) {
		BENCH_CHECK(write(stuck.pipe[1], bytes, (size_t)n) == n);
	} else if (stuck.kind == FLOCK) {
		close(stuck.lock_fd);
		unlink(stuck.path);
	} else {
		pthread_mutex_unlock(&stuck.mutex);
	}
}

static void
get_stuck(void *arg)
{
	char byte;
	int fd;

	(void)arg;
	if (stuck.kind == PIPE) {
		BENCH_CHECK(read(stuck.pipe[0], &byte, 1) == 1);
	} else if (stuck.kind == FLOCK) {
		fd = open(stuck.path, O_RDWR | O_CLOEXEC);
		BENCH_CHECK(fd >= 0 && flock(fd, LOCK_EX) == 0);
		close(fd);
	} else {
		pthread_mutex_lock(&stuck.mutex);
		pthread_mutex_unlock(&stuck.mutex);
	}
	weft_waitgroup_done(&all);
}

/* More goroutines get stuck than there are processors; ticks and channel messages go on. */
static void
stuck_calls(long kind)
{
	enum { N = 8 };
	int64_t end;
	long messages = 0;

	/* The holder must not move to another thread, for the mutex is this thread's. */
	weft_lock_thread();
	stuck_hold((int)kind);
	start_ticker();
	weft_waitgroup_add(&all, N);
	for (int i = 0; i < N; i++)
		BENCH_CHECK(weft_go(get_stuck, NULL) == 0);
	end = bench_now() + (bench_quick() ? 200 : 1000) * MS;
	while (bench_now() < end) {
		weft_sleep(MS);
		messages++;
	}
	BENCH_CHECK(messages > 10);
	BENCH_CHECK(weft_waitgroup_wait(&all, WEFT_NOW) != 0);	/* they really are stuck */
	report_ticker();
	stuck_release(N);
	BENCH_CHECK(weft_waitgroup_wait(&all, weft_in(5000 * MS)) == 0);
}

static const struct bench_case cases[] = {
    {.name = "blocking_1000_raw", .run = sleeps, .arg = RAW, .procs = 2},
    {.name = "blocking_1000_marked", .run = sleeps, .arg = MARKED, .procs = 2},
    {.name = "blocking_1000_raw", .by = "pthread", .run = pthread_sleeps, .arg = 1000, .procs = 2},
    {.name = "blocking_8_in_pipe", .run = stuck_calls, .arg = PIPE, .procs = 2},
    {.name = "blocking_8_in_flock", .run = stuck_calls, .arg = FLOCK, .procs = 2},
    {.name = "blocking_8_in_pthread_mutex", .run = stuck_calls, .arg = MUTEX, .procs = 2},
};

int
main(int argc, char **argv)
{
	return bench_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}

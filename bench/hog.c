/*
 * Four goroutines that compute for ever and never call weft, on two CPUs with two processors: how
 * late is a 1 ms ticker beside them, and how long does a TCP echo server take to answer?
 */
#include <weft.h>

#include "lib/harness.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MS ((int64_t)1000000)

enum { N_HOGS = 4, MESSAGE = 64 };

static int64_t end_at;

/* How long the hogs are watched. */
static int64_t
span_ms(void)
{
	return bench_quick() ? 500 : 2500;
}

/* One counter for each hog, on a line of its own. */
static struct { _Alignas(64) volatile unsigned long x; } counters[N_HOGS];

static void
hog(void *arg)
{
	volatile unsigned long *x = arg;

	for (;;)
		*x = *x + 1;
}

static void
start_hogs(void)
{
	for (int i = 0; i < N_HOGS; i++)
		BENCH_CHECK(weft_go(hog, (void *)(uintptr_t)&counters[i].x) == 0);
	end_at = bench_now() + span_ms() * MS;
}

/* What the hogs still get done: all of it, in millions of rounds a second. */
static void
report_hogs(void)
{
	double sum = 0;

	for (int i = 0; i < N_HOGS; i++)
		sum += (double)counters[i].x;
	bench_value("hog_rounds", "M/s", sum / (double)span_ms() / 1e3);
}

/* Sleeps 1 ms again and again; each sleep's lateness. */
static void
tick_until_end(const char *name)
{
	struct bench_lat late = {0};

	while (bench_now() < end_at) {
		int64_t start = bench_now();

		weft_sleep(MS);
		bench_lat_add(&late, bench_now() - start - MS);
	}
	bench_value("ticks", "", (double)late.n);
	bench_lat_report(&late, name);
}

static void
tick(long arg)
{
	(void)arg;
	start_hogs();
	tick_until_end("late");
	report_hogs();
}

/* A periodic timer, whose channel gives the time that the tick was due. */
static void
ticker(long arg)
{
	struct bench_lat late = {0};
	weft_timer *t;
	int64_t due;

	(void)arg;
	start_hogs();
	t = weft_timer_new(weft_in(MS), MS, NULL, NULL);
	BENCH_CHECK(t != NULL);
	while (bench_now() < end_at && weft_chan_recv(weft_timer_chan(t), &due, WEFT_FOREVER) == 1)
		bench_lat_add(&late, bench_now() - due);
	bench_value("ticks", "", (double)late.n);
	bench_lat_report(&late, "late");
}

static void
serve_one(void *arg)
{
	char buf[MESSAGE];
	int fd = *(int *)arg;
	ssize_t n;

	while ((n = weft_read(fd, buf, sizeof(buf), WEFT_FOREVER)) > 0)
		weft_write(fd, buf, (size_t)n, WEFT_FOREVER);
	weft_close(fd);
}

static void
serve(void *arg)
{
	int listener = *(int *)arg, fd;

	while ((fd = weft_accept(listener, NULL, NULL, WEFT_FOREVER)) >= 0) {
		weft_go_options o = {sizeof(o), .copy = &fd, .copy_size = sizeof(fd)};

		BENCH_CHECK(weft_go_with(&o, serve_one, NULL) == 0);
	}
}

struct client {
	struct sockaddr_in to;
	struct bench_lat rtt;
};

/* A plain thread with plain calls: connects once, asks again and again. */
static void *
ask(void *arg)
{
	struct client *c = arg;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char buf[MESSAGE] = {0};

	BENCH_CHECK(connect(fd, (struct sockaddr *)&c->to, sizeof(c->to)) == 0);
	while (bench_now() < end_at) {
		int64_t start = bench_now();
		struct timespec pause = {0, MS / 2};
		size_t got = 0;

		BENCH_CHECK(write(fd, buf, sizeof(buf)) == sizeof(buf));
		while (got < sizeof(buf)) {
			ssize_t n = read(fd, buf + got, sizeof(buf) - got);

			BENCH_CHECK(n > 0);
			got += (size_t)n;
		}
		bench_lat_add(&c->rtt, bench_now() - start);
		nanosleep(&pause, NULL);
	}
	close(fd);
	return NULL;
}

static void
echo(long has_hogs)
{
	static struct client c;
	static int listener;
	socklen_t len = sizeof(c.to);
	pthread_t t;

	listener = weft_listen("tcp", "127.0.0.1:0", 0);
	BENCH_CHECK(listener >= 0);
	BENCH_CHECK(getsockname(listener, (struct sockaddr *)&c.to, &len) == 0);
	BENCH_CHECK(weft_go(serve, &listener) == 0);
	if (has_hogs)
		start_hogs();
	else
		end_at = bench_now() + span_ms() * MS;
	BENCH_CHECK(pthread_create(&t, NULL, ask, &c) == 0);
	tick_until_end("late");
	pthread_join(t, NULL);
	bench_value("requests", "", (double)c.rtt.n);
	bench_lat_report(&c.rtt, "echo");
}

static void *
pthread_hog(void *arg)
{
	hog(arg);
	return NULL;
}

static void
pthread_tick(long arg)
{
	struct bench_lat late = {0};
	pthread_t t;

	(void)arg;
	for (int i = 0; i < N_HOGS; i++)
		BENCH_CHECK(pthread_create(&t, NULL, pthread_hog,
		    (void *)(uintptr_t)&counters[i].x) == 0);
	end_at = bench_now() + span_ms() * MS;
	while (bench_now() < end_at) {
		struct timespec pause = {0, MS};
		int64_t start = bench_now();

		nanosleep(&pause, NULL);
		bench_lat_add(&late, bench_now() - start - MS);
	}
	bench_value("ticks", "", (double)late.n);
	bench_lat_report(&late, "late");
	report_hogs();
}

static const struct bench_case cases[] = {
    {.name = "hog_4_sleep_1ms", .run = tick, .procs = 2},
    {.name = "hog_4_ticker_1ms", .run = ticker, .procs = 2, .max_reps = 3},
    {.name = "hog_4_echo", .run = echo, .arg = 1, .procs = 2, .max_reps = 3},
    {.name = "hog_0_echo", .run = echo, .arg = 0, .procs = 2, .max_reps = 3},
    {.name = "hog_4_sleep_1ms", .by = "pthread", .run = pthread_tick, .procs = 2},
};

int
main(int argc, char **argv)
{
	return bench_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}

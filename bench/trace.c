/*
 * What an execution trace costs: the same work with nobody listening, and written to /dev/null.
 * An element through a channel of 128, a round trip over two channels, a yield.
 */
#include <weft.h>

#include "lib/harness.h"

#include <fcntl.h>

enum { QUIET, TRACED };

static weft_chan *there, *back;
static weft_waitgroup wg;
static long n;

static void
sender(void *arg)
{
	(void)arg;
	for (long i = 0; i < n; i++)
		weft_chan_send(there, &i, WEFT_FOREVER);
	weft_waitgroup_done(&wg);
}

static void
receiver(void *arg)
{
	long v;

	(void)arg;
	for (long i = 0; i < n; i++)
		weft_chan_recv(there, &v, WEFT_FOREVER);
	weft_waitgroup_done(&wg);
}

static void
asker(void *arg)
{
	(void)arg;
	for (long i = 0; i < n; i++) {
		weft_chan_send(there, &i, WEFT_FOREVER);
		weft_chan_recv(back, &i, WEFT_FOREVER);
	}
	weft_waitgroup_done(&wg);
}

static void
answerer(void *arg)
{
	long v;

	(void)arg;
	for (long i = 0; i < n; i++) {
		weft_chan_recv(there, &v, WEFT_FOREVER);
		weft_chan_send(back, &v, WEFT_FOREVER);
	}
	weft_waitgroup_done(&wg);
}

static void
measure(long kind, size_t cap, void (*a)(void *), void (*b)(void *), long rounds)
{
	int64_t start;

	n = rounds;
	if (kind == TRACED) {
		int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

		BENCH_CHECK(fd >= 0 && weft_trace_start(fd) == 0);
	}
	there = weft_chan_new(sizeof(long), cap);
	back = weft_chan_new(sizeof(long), cap);
	weft_waitgroup_add(&wg, 2);
	start = bench_now();
	BENCH_CHECK(weft_go(a, NULL) == 0 && weft_go(b, NULL) == 0);
	weft_waitgroup_wait(&wg, WEFT_FOREVER);
	bench_value(NULL, "ns", (double)(bench_now() - start) / (double)n);
	if (kind == TRACED)
		BENCH_CHECK(weft_trace_stop() == 0);
}

static void
buffered(long kind)
{
	measure(kind, 128, sender, receiver, bench_n(8000000));
}

static void
pingpong(long kind)
{
	measure(kind, 0, asker, answerer, bench_n(400000));
}

static const struct bench_case cases[] = {
	{ .name = "trace_buffered_1p", .run = buffered, .arg = QUIET, .procs = 1 },
	{ .name = "trace_buffered_1p", .by = "traced", .run = buffered, .arg = TRACED, .procs = 1 },
	{ .name = "trace_buffered_2p", .run = buffered, .arg = QUIET, .procs = 2 },
	{ .name = "trace_buffered_2p", .by = "traced", .run = buffered, .arg = TRACED, .procs = 2 },
	{ .name = "trace_pingpong_1p", .run = pingpong, .arg = QUIET, .procs = 1 },
	{ .name = "trace_pingpong_1p", .by = "traced", .run = pingpong, .arg = TRACED, .procs = 1 },
};

int
main(int argc, char **argv)
{
	return bench_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}

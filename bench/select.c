/*
 * Select over two channels: one is ready (the cost includes the send that makes it so); none is,
 * and another goroutine sends; the default case.
 */
#include <weft.h>

#include "lib/harness.h"

static weft_chan *a, *b;

static void
ready(long n)
{
	long v = 0;
	int64_t start;

	n = bench_n(n);
	a = weft_chan_new(sizeof(long), 1);
	b = weft_chan_new(sizeof(long), 1);
	start = bench_now();
	for (long i = 0; i < n; i++) {
		weft_case c[] = {WEFT_RECV(a, &v), WEFT_RECV(b, &v)};

		weft_chan_send(i & 1 ? a : b, &i, WEFT_FOREVER);
		BENCH_CHECK(weft_select(c, 2, WEFT_FOREVER) == !(i & 1));
	}
	bench_value(NULL, "ns", (double)(bench_now() - start) / (double)n);
}

static void
feed(void *arg)
{
	long n = *(long *)arg;

	for (long i = 0; i < n; i++)
		weft_chan_send(i & 1 ? a : b, &i, WEFT_FOREVER);
	weft_chan_close(a);
}

/* ns per element; the selecting goroutine waits each time. */
static void
blocking(long n)
{
	long v = 0, got = 0;
	int64_t start;

	n = bench_n(n);
	a = weft_chan_new(sizeof(long), 0);
	b = weft_chan_new(sizeof(long), 0);
	BENCH_CHECK(weft_go(feed, &n) == 0);
	start = bench_now();
	for (;;) {
		weft_case c[] = {WEFT_RECV(a, &v), WEFT_RECV(b, &v)};
		int i = weft_select(c, 2, WEFT_FOREVER);

		if (c[i].res == 0)
			break;
		got++;
	}
	bench_value(NULL, "ns", (double)(bench_now() - start) / (double)n);
	BENCH_CHECK(got == n);
}

static void
not_ready(long n)
{
	int64_t start;

	n = bench_n(n);
	a = weft_chan_new(0, 0);
	b = weft_chan_new(0, 0);
	start = bench_now();
	for (long i = 0; i < n; i++) {
		weft_case c[] = {WEFT_RECV(a, NULL), WEFT_SEND(b, NULL)};

		BENCH_CHECK(weft_select(c, 2, WEFT_NOW) < 0);
	}
	bench_value(NULL, "ns", (double)(bench_now() - start) / (double)n);
}

static const struct bench_case cases[] = {
    {.name = "select_ready_1p", .run = ready, .arg = 3000000, .procs = 1},
    {.name = "select_blocking_1p", .run = blocking, .arg = 2000000, .procs = 1},
    {.name = "select_blocking_2p", .run = blocking, .arg = 2000000, .procs = 2},
    {.name = "select_default_1p", .run = not_ready, .arg = 5000000, .procs = 1},
};

int
main(int argc, char **argv)
{
	return bench_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}

/*
 * A tree of goroutines, ten children each, a million leaves; each leaf sends its number up through
 * its parent's channel, each parent the sum.
 */
#include <weft.h>

#include "lib/harness.h"

struct node {
	weft_chan *up;
	long number, size;
};

static void
skynet(void *arg)
{
	struct node n = *(struct node *)arg;
	long sum = 0;

	if (n.size == 1) {
		weft_chan_send(n.up, &n.number, WEFT_FOREVER);
		return;
	}
	weft_chan *below = weft_chan_new(sizeof(long), 0);
	BENCH_CHECK(below != NULL);
	for (int i = 0; i < 10; i++) {
		struct node child = {below, n.number + i * (n.size / 10), n.size / 10};
		weft_go_options o = {sizeof(o), .copy = &child, .copy_size = sizeof(child)};

		BENCH_CHECK(weft_go_with(&o, skynet, NULL) == 0);
	}
	for (int i = 0; i < 10; i++) {
		long v;

		weft_chan_recv(below, &v, WEFT_FOREVER);
		sum += v;
	}
	weft_chan_unref(below);
	weft_chan_send(n.up, &sum, WEFT_FOREVER);
}

static void
run(long leaves)
{
	weft_chan *result = weft_chan_new(sizeof(long), 0);
	struct node root = {result, 0, bench_n(leaves)};
	int64_t start = bench_now();
	long sum;

	BENCH_CHECK(weft_go(skynet, &root) == 0);
	weft_chan_recv(result, &sum, WEFT_FOREVER);
	bench_value(NULL, "ms", (double)(bench_now() - start) / 1e6);
	bench_value("peak_rss", "MiB", (double)bench_status("VmHWM") / 1024);
	BENCH_CHECK(sum == root.size * (root.size - 1) / 2);
}

static const struct bench_case cases[] = {
    {.name = "skynet_1p", .run = run, .arg = 1000000, .procs = 1},
    {.name = "skynet_2p", .run = run, .arg = 1000000, .procs = 2},
};

int
main(int argc, char **argv)
{
	return bench_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}

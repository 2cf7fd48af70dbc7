/*
 * Memory of goroutines that wait on a channel, and how much of it comes back when they have ended.
 */
#include <weft.h>

#include "lib/harness.h"

#include <stdio.h>

#define MS ((int64_t)1000000)

struct crowd {
	weft_chan *gate;
	weft_waitgroup parked, ended;
};

static void
wait_at_gate(void *arg)
{
	struct crowd *c = arg;

	weft_waitgroup_done(&c->parked);
	weft_chan_recv(c->gate, NULL, WEFT_FOREVER);
	weft_waitgroup_done(&c->ended);
}

/* KiB of memory and page tables. */
static long
memory(void)
{
	return bench_status("VmRSS") + bench_status("VmPTE");
}

static long
mappings(void)
{
	FILE *f = fopen("/proc/self/maps", "re");
	long n = 0;
	int c;

	if (f == NULL)
		return -1;
	while ((c = getc(f)) != EOF)
		n += c == '\n';
	fclose(f);
	return n;
}

/*
 * Waits until memory has not shrunk by 1 MiB for 3 s (QUICK: 0.5 s). Returns when it was
 * last seen to shrink.
 */
static int64_t
until_flat(void)
{
	int64_t flat = (bench_quick() ? 500 : 2000) * MS;
	int64_t shrank = bench_now();
	long low = memory();

	while (bench_now() - shrank < flat) {
		long now;

		weft_sleep(50 * MS);
		now = memory();
		if (now < low - 1024) {
			low = now;
			shrank = bench_now();
		}
	}
	return shrank;
}

static void
park(long n, size_t stack_size)
{
	weft_go_options o = {sizeof(o), .stack_size = stack_size};
	struct crowd c = {.gate = weft_chan_new(0, 0)};
	int64_t start, ended;
	long before, maps;

	n = bench_n(n);
	/* The runtime is up, and has run a goroutine, before we look for the first time. */
	weft_sleep(MS);
	before = memory();
	maps = mappings();

	start = bench_now();
	weft_waitgroup_add(&c.parked, (int)n);
	weft_waitgroup_add(&c.ended, (int)n);
	for (long i = 0; i < n; i++)
		BENCH_CHECK(weft_go_with(&o, wait_at_gate, &c) == 0);
	weft_waitgroup_wait(&c.parked, WEFT_FOREVER);
	bench_value("start_and_park", "ns", (double)(bench_now() - start) / (double)n);
	weft_sleep(20 * MS);		/* the last ones reach the channel */
	bench_value("bytes_each", "B", (double)(memory() - before) * 1024 / (double)n);
	bench_value("page_tables_each", "B", (double)bench_status("VmPTE") * 1024 / (double)n);
	bench_value("total", "MiB", (double)memory() / 1024);
	bench_value("mappings", "", (double)(mappings() - maps));

	start = bench_now();
	weft_chan_close(c.gate);
	weft_waitgroup_wait(&c.ended, WEFT_FOREVER);
	ended = bench_now();
	bench_value("wake_and_end", "ns", (double)(ended - start) / (double)n);
	bench_value("given_back_after", "ms", (double)(until_flat() - ended) / 1e6);
	bench_value("left", "MiB", (double)(memory() - before) / 1024);
	bench_value("left_page_tables", "MiB", (double)bench_status("VmPTE") / 1024);
}

static void
parked(long n)
{
	park(n, 0);
}

/* Those that ask for as little as there is. */
static void
parked_small(long n)
{
	park(n, WEFT_STACK_SMALL);
}

static const struct bench_case cases[] = {
    {.name = "parked_100k", .run = parked, .arg = 100000, .procs = 2},
    {.name = "parked_1M", .run = parked, .arg = 1000000, .procs = 2, .limit_s = 300},
    {.name = "parked_small_100k", .run = parked_small, .arg = 100000, .procs = 2},
    {.name = "parked_small_1M", .run = parked_small, .arg = 1000000, .procs = 2, .limit_s = 300},
};

int
main(int argc, char **argv)
{
	return bench_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}

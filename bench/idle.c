/*
 * What a process costs that waits: 10,000 goroutines parked on a channel, and nothing to do.
 */
#include <weft.h>

#include "lib/harness.h"

#include <sys/resource.h>
#include <time.h>

static weft_chan *gate;

static void
wait_at_gate(void *arg)
{
	(void)arg;
	weft_chan_recv(gate, NULL, WEFT_FOREVER);
}

static struct rusage
usage(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return u;
}

static long
switches(const struct rusage *u)
{
	return u->ru_nvcsw + u->ru_nivcsw;
}

static void
idle(long n)
{
	int64_t span = (bench_quick() ? 1 : 10) * (int64_t)1000000000, cpu;
	struct rusage before, after;

	gate = weft_chan_new(0, 0);
	for (long i = 0; i < n; i++)
		BENCH_CHECK(weft_go(wait_at_gate, NULL) == 0);
	/* Past the time after which idle threads end and memory is given back. */
	weft_sleep((bench_quick() ? 1 : 6) * (int64_t)1000000000);
	cpu = bench_cpu();
	before = usage();
	weft_sleep(span);
	after = usage();
	bench_value("cpu_per_10s", "ms", (double)(bench_cpu() - cpu) / 1e6 * 1e10 / (double)span);
	bench_value("switches_per_10s", "",
	    (double)(switches(&after) - switches(&before)) * 1e10 / (double)span);
	bench_value("faults_per_10s", "",
	    (double)(after.ru_minflt - before.ru_minflt) * 1e10 / (double)span);
	bench_value("threads", "", (double)bench_status("Threads"));
}

static const struct bench_case cases[] = {
    {.name = "idle_10k_parked", .run = idle, .arg = 10000, .procs = 2},
};

int
main(int argc, char **argv)
{
	return bench_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}

/*
 * fib(n) with a goroutine for one half of each call: fork and join without any other work.
 */
#include <weft.h>

#include "lib/harness.h"

struct call {
	weft_waitgroup done;
	int n;
	long result;
};

static long fib(int n);

static void
fib_go(void *arg)
{
	struct call *c = arg;

	c->result = fib(c->n);
	weft_waitgroup_done(&c->done);
}

static long
fib(int n)
{
	struct call c = {.n = n - 1};
	long other;

	if (n < 2)
		return n;
	weft_waitgroup_add(&c.done, 1);
	BENCH_CHECK(weft_go(fib_go, &c) == 0);
	other = fib(n - 2);
	weft_waitgroup_wait(&c.done, WEFT_FOREVER);
	return c.result + other;
}

/* Goroutines that fib(n) starts: one less than fib(n + 1). */
static long
tasks(int n)
{
	long a = 0, b = 1;

	for (int i = 0; i < n; i++) {
		long next = a + b;

		a = b;
		b = next;
	}
	return b - 1;
}

/* ns per goroutine. */
static void
run(long arg)
{
	int n = bench_quick() ? (int)arg - 6 : (int)arg;
	int64_t start = bench_now();
	long f = fib(n);

	bench_value(NULL, "ns", (double)(bench_now() - start) / (double)tasks(n));
	BENCH_CHECK(f == tasks(n - 1) + 1);
}

static const struct bench_case cases[] = {
    {.name = "fib_1p", .run = run, .arg = 30, .procs = 1},
    {.name = "fib_2p", .run = run, .arg = 30, .procs = 2},
};

int
main(int argc, char **argv)
{
	return bench_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}

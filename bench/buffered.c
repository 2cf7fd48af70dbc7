/*
 * Elements through a channel of 128: one sender to one receiver, four to four.
 */
#include <weft.h>

#include "lib/harness.h"

static weft_chan *chan;
static long each;

struct total {
	weft_waitgroup senders, receivers;
	weft_mutex lock;
	long sum, count;		/* under lock */
};

static void
sender(void *arg)
{
	struct total *t = arg;

	for (long i = 1; i <= each; i++)
		weft_chan_send(chan, &i, WEFT_FOREVER);
	weft_waitgroup_done(&t->senders);
}

static void
receiver(void *arg)
{
	struct total *t = arg;
	long v, sum = 0, count = 0;

	while (weft_chan_recv(chan, &v, WEFT_FOREVER) == 1) {
		sum += v;
		count++;
	}
	weft_mutex_lock(&t->lock);
	t->sum += sum;
	t->count += count;
	weft_mutex_unlock(&t->lock);
	weft_waitgroup_done(&t->receivers);
}

/* ns per element, k senders and k receivers. */
static void
buffered(long k)
{
	struct total t = {0};
	long n = bench_n(8000000);
	int64_t start;

	each = n / k;
	chan = weft_chan_new(sizeof(long), 128);
	weft_waitgroup_add(&t.senders, (int)k);
	weft_waitgroup_add(&t.receivers, (int)k);
	start = bench_now();
	for (long i = 0; i < k; i++)
		BENCH_CHECK(weft_go(receiver, &t) == 0 && weft_go(sender, &t) == 0);
	weft_waitgroup_wait(&t.senders, WEFT_FOREVER);
	weft_chan_close(chan);
	weft_waitgroup_wait(&t.receivers, WEFT_FOREVER);
	bench_value(NULL, "ns", (double)(bench_now() - start) / (double)n);
	BENCH_CHECK(t.count == each * k && t.sum == k * (each * (each + 1) / 2));
}

static const struct bench_case cases[] = {
    {.name = "buffered_1to1_1p", .run = buffered, .arg = 1, .procs = 1},
    {.name = "buffered_1to1_2p", .run = buffered, .arg = 1, .procs = 2},
    {.name = "buffered_4to4_1p", .run = buffered, .arg = 4, .procs = 1},
    {.name = "buffered_4to4_2p", .run = buffered, .arg = 4, .procs = 2},
};

int
main(int argc, char **argv)
{
	return bench_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}

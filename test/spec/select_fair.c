/*
 * Select's choice is even. A program that selects between "work" and "stop" must come to see
 * "stop"; one that merges streams must not starve one of them. SCENARIOS 34, 35.
 */
#include "chan_util.h"

/*
 * How far a count of n trials of chance 1/k may be from n/k: 10 standard deviations. A fair select
 * fails that once in 10^23; one that always takes the first fails it at once.
 */
static void
expect_even(const int *count, int k, int n, const char *what)
{
	double mean = (double)n / k;
	double variance = mean * (1.0 - 1.0 / k);

	for (int i = 0; i < k; i++) {
		double off = count[i] - mean;

		if (off * off > 100.0 * variance)
			FAIL("%s: case %d of %d went %d times of %d", what, i, k, count[i], n);
	}
}

struct endless {
	weft_chan *c, *done;
};

static void
send_endlessly(void *arg)
{
	struct endless *e = arg;

	while (weft_chan_send(e->c, NULL, WEFT_FOREVER) == 0)
		;
	signal_one(e->done);
}

/* SCENARIOS 34: two streams that are always ready, among cases that never are. */
static void
two_streams(void)
{
	int n = scaled(10000), count[2] = {0, 0};
	weft_chan *done = chan_signal(0);
	struct endless a = {chan_signal(100), done}, b = {chan_signal(100), done};
	weft_chan *never = chan_int(0);
	int v = 0;

	go(send_endlessly, &a);
	go(send_endlessly, &b);
	for (int i = 0; i < n;) {
		weft_case cases[] = {WEFT_RECV(a.c, NULL), WEFT_SEND(never, &v),
		    WEFT_RECV(b.c, NULL), WEFT_RECV(never, &v)};
		int went;

		/* Only rounds in which both are ready say something; the streams can be late. */
		if (weft_chan_len(a.c) == 0 || weft_chan_len(b.c) == 0) {
			weft_yield();
			continue;
		}
		went = weft_select(cases, 4, WEFT_FOREVER);
		EXPECT(went == 0 || went == 2);
		count[went / 2]++;
		i++;
	}
	weft_chan_close(a.c);
	weft_chan_close(b.c);
	await(done, 2);
	expect_even(count, 2, n, "two streams");
	weft_chan_unref(a.c);
	weft_chan_unref(b.c);
	weft_chan_unref(never);
	weft_chan_unref(done);
}

TEST(two_ready_streams_are_served_evenly)
{
	on_1_2_4_procs(two_streams);
}

#define MANY 100

static void
ready_cases(int k, bool send, bool same)
{
	int n = 300 * k, count[MANY] = {0}, v = 0;
	weft_case cases[MANY];
	weft_chan *one = send ? chan_int((size_t)n) : chan_int(1);

	if (!send)
		weft_chan_close(one);
	for (int i = 0; i < k; i++) {
		weft_chan *c = one;

		if (!same) {
			c = send ? chan_int((size_t)n) : chan_int(1);
			if (!send)
				weft_chan_close(c);
		}
		cases[i] = send ? WEFT_SEND(c, &v) : WEFT_RECV(c, &v);
	}
	for (int i = 0; i < n; i++)
		count[weft_select(cases, (size_t)k, i % 2 ? WEFT_NOW : WEFT_FOREVER)]++;
	expect_even(count, k, n, send ? "sends" : "receives");
	for (int i = 0; i < k && !same; i++)
		weft_chan_unref(cases[i].chan);
	weft_chan_unref(one);
}

/* From two cases to more than fit on the stack; each its own channel, or all the same. */
TEST(ready_cases_are_picked_evenly)
{
	static const int ks[] = {2, 3, 5, 8, 9, 20, 64, 65, 100};

	for (size_t i = 0; i < sizeof(ks) / sizeof(ks[0]); i++) {
		ready_cases(ks[i], false, false);
		ready_cases(ks[i], false, true);
		ready_cases(ks[i], true, false);
		ready_cases(ks[i], true, true);
	}
}

struct chooser {
	weft_chan *c, *other, *done;
	int n, k; /* rounds, cases */
};

/* Sends i by its i-th case: what arrives tells which case went. */
static void
choose_to_send(void *arg)
{
	struct chooser *x = arg;

	for (int round = 0; round < x->n; round++) {
		int v[MANY];
		weft_case cases[MANY];
		int went;

		for (int i = 0; i < x->k; i++) {
			v[i] = i;
			cases[i] = WEFT_SEND(x->c, &v[i]);
		}
		went = weft_select(cases, (size_t)x->k, WEFT_FOREVER);
		EXPECT(went >= 0 && went < x->k);
		EXPECT_EQ(cases[went].res, 0);
	}
	signal_one(x->done);
}

/*
 * SCENARIOS 35: several sends on one channel. With no buffer the sender mostly waits, and the
 * receiver takes the waiter that was queued first: that order must be random too.
 */
static void
sends_on_one_channel(void)
{
	static const int ks[] = {2, 3, 9, 30, 70};

	for (size_t i = 0; i < sizeof(ks) / sizeof(ks[0]); i++) {
		for (size_t cap = 0; cap <= 100; cap += 100) {
			int k = ks[i], count[MANY] = {0};
			struct chooser x = {.n = 100 * k, .k = k};

			if (test_scale() > 1 && k > 9)
				continue;
			x.c = chan_int(cap);
			x.done = chan_signal(0);
			go(choose_to_send, &x);
			for (int round = 0; round < x.n; round++)
				count[recv_int(x.c)]++;
			await(x.done, 1);
			expect_even(count, k, x.n, "sends on one channel");
			weft_chan_unref(x.c);
			weft_chan_unref(x.done);
		}
	}
}

TEST(sends_of_different_values_on_one_channel)
{
	on_1_2_4_procs(sends_on_one_channel);
}

static void
choose_to_recv(void *arg)
{
	struct chooser *x = arg;
	int count[MANY] = {0};

	for (int round = 0; round < x->n; round++) {
		weft_case cases[MANY];
		int went;

		for (int i = 0; i < x->k; i++)
			cases[i] = WEFT_RECV(x->c, NULL);
		went = weft_select(cases, (size_t)x->k, WEFT_FOREVER);
		EXPECT(went >= 0 && went < x->k);
		EXPECT_EQ(cases[went].res, 1);
		count[went]++;
	}
	expect_even(count, x->k, x->n, "receives on one channel");
	signal_one(x->done);
}

static void
recvs_on_one_channel(void)
{
	for (int k = 2; k < 20; k += 8) {
		struct chooser x = {chan_int(0), NULL, chan_signal(0), 300 * k, k};

		go(choose_to_recv, &x);
		for (int round = 0; round < x.n; round++)
			send_int(x.c, round);
		await(x.done, 1);
		weft_chan_unref(x.c);
		weft_chan_unref(x.done);
	}
}

TEST(receives_on_one_channel)
{
	on_1_2_4_procs(recvs_on_one_channel);
}

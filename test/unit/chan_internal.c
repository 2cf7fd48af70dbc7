/*
 * What chan/chan.h offers the layers above (timers, scopes), and the pieces that only a look inside
 * can test: the order of locks, the count of references. SCENARIOS 28, RELIABILITY 109.
 */
#include "../spec/chan_util.h"
#include "chan/chan.h"
#include "chan/ops.h"
#include "sched/self.h"

static int
trysend(struct weft_chan *c, int v, struct gqueue *q)
{
	int r;

	wf_enter();
	r = wf_chan_trysend_collect(c, &v, q);
	wf_leave();
	return r;
}

static size_t
drain(struct weft_chan *c)
{
	size_t n;

	wf_enter();
	n = wf_chan_drain(c);
	wf_leave();
	return n;
}

static void
ready_all(struct gqueue *q)
{
	wf_enter();
	wf_ready_all(q);
	wf_leave();
}

/* SCENARIOS 28: who looks at len to see whether the timer fired would be racing with it. */
TEST(a_timer_channel_tells_no_length)
{
	weft_chan *c = wf_chan_new(sizeof(int), 1, WF_CHAN_TIMER);
	struct gqueue q = {NULL, NULL, 0};

	EXPECT_EQ(weft_chan_len(c), 0);
	EXPECT_EQ(weft_chan_cap(c), 0);
	EXPECT_EQ(trysend(c, 1, &q), 0);
	EXPECT_EQ(weft_chan_len(c), 0);
	EXPECT_EQ(weft_chan_cap(c), 0);
	EXPECT_EQ(wf_chan_count_racy(c), 1);
	EXPECT_EQ(trysend(c, 2, &q), -ETIMEDOUT);
	EXPECT_EQ(q.n, 0);
	EXPECT_EQ(recv_int(c), 1);
	EXPECT_EQ(weft_chan_recv(c, NULL, WEFT_NOW), -ETIMEDOUT);
	weft_chan_unref(c);
}

/* A timer that is stopped must leave no value of before, and must know whether it did. */
TEST(drain_empties_the_ring)
{
	weft_chan *c = chan_int(3);
	struct gqueue q = {NULL, NULL, 0};

	EXPECT_EQ(drain(c), 0);
	for (int lap = 0; lap < 4; lap++) {
		for (int i = 0; i <= lap % 3; i++)
			EXPECT_EQ(trysend(c, i, &q), 0);
		EXPECT_EQ(drain(c), 1 + lap % 3);
		EXPECT_EQ(weft_chan_len(c), 0);
		EXPECT_EQ(weft_chan_recv(c, NULL, WEFT_NOW), -ETIMEDOUT);
		send_int(c, 50);
		send_int(c, 51);
		EXPECT_EQ(recv_int(c), 50);
		EXPECT_EQ(recv_int(c), 51);
	}
	weft_chan_close(c);
	EXPECT_EQ(drain(c), 0);
	EXPECT_EQ(trysend(c, 1, &q), -EPIPE);
	weft_chan_unref(c);
}

struct peer {
	weft_chan *c, *done;
	int value, result;
	_Atomic int ended;
};

static void
recv_value(void *arg)
{
	struct peer *p = arg;

	p->result = weft_chan_recv(p->c, &p->value, WEFT_FOREVER);
	atomic_store(&p->ended, 1);
	signal_one(p->done);
}

static void
send_value(void *arg)
{
	struct peer *p = arg;

	p->result = weft_chan_send(p->c, &p->value, WEFT_FOREVER);
	atomic_store(&p->ended, 1);
	signal_one(p->done);
}

static void
select_value(void *arg)
{
	struct peer *p = arg;
	weft_case cases[] = {
	    WEFT_RECV(NULL, NULL), WEFT_RECV(p->done, NULL), WEFT_RECV(p->c, &p->value)};

	EXPECT_EQ(weft_select(cases, 3, WEFT_FOREVER), 2);
	p->result = cases[2].res;
	atomic_store(&p->ended, 1);
	signal_one(p->done);
}

static void
await_flag(_Atomic bool *flag)
{
	while (!atomic_load(flag))
		weft_yield();
}

/* A timer fires under its heap's lock: who gets the value must wait until that is dropped. */
static void
collects_one(void)
{
	for (int how = 0; how < 2; how++) {
		struct peer p = {chan_int(1), chan_signal(0), -1, -1, 0};
		struct gqueue q = {NULL, NULL, 0};

		go(how ? select_value : recv_value, &p);
		await_flag(&p.c->has_receiver);
		EXPECT_EQ(trysend(p.c, 33, &q), 0);
		EXPECT_EQ(q.n, 1);
		for (int i = 0; i < 10; i++)
			weft_yield();
		EXPECT_EQ(atomic_load(&p.ended), 0);
		ready_all(&q);
		await(p.done, 1);
		EXPECT_EQ(p.result, 1);
		EXPECT_EQ(p.value, 33);
		weft_chan_unref(p.c);
		weft_chan_unref(p.done);
	}
}

TEST(trysend_collects_whom_to_wake)
{
	on_1_2_4_procs(collects_one);
}

/* A scope is cancelled under its own lock: the same, for all who wait for its done channel. */
static void
collects_all(void)
{
	struct peer r[3], s = {chan_int(0), chan_signal(0), 4, 1, 0};
	weft_chan *c = chan_int(0);
	struct gqueue q = {NULL, NULL, 0};
	struct waitq receivers = {0}, senders = {0};
	bool by_us;

	for (int i = 0; i < 3; i++) {
		r[i] = (struct peer){c, s.done, -1, -1, 0};
		go(i == 1 ? select_value : recv_value, &r[i]);
	}
	go(send_value, &s);
	await_flag(&s.c->has_sender);
	for (bool all = false; !all;) {
		int n = 0;

		wf_enter();
		(void)wf_kept_lock(&c->lock, 0);
		for (struct waiter *w = c->recvq.head; w != NULL; w = w->next)
			n++;
		all = n == 3;
		wf_kept_unlock(&c->lock, 0);
		wf_leave();
		weft_yield();
	}
	wf_enter();
	by_us = wf_chan_close_take(c, &receivers, &senders);
	EXPECT(wf_chan_close_take(s.c, &receivers, &senders));
	wf_taken_release(&receivers, sizeof(int), 2, &q);
	EXPECT_EQ(q.n, 2);
	wf_taken_release(&receivers, sizeof(int), 10, &q);
	EXPECT_EQ(q.n, 3);
	wf_taken_release(&senders, 0, 10, &q);
	wf_leave();
	EXPECT(by_us);
	EXPECT_EQ(q.n, 4);
	for (int i = 0; i < 10; i++)
		weft_yield();
	for (int i = 0; i < 3; i++)
		EXPECT_EQ(atomic_load(&r[i].ended), 0);
	EXPECT_EQ(atomic_load(&s.ended), 0);
	ready_all(&q);
	await(s.done, 4);
	for (int i = 0; i < 3; i++) {
		EXPECT_EQ(r[i].result, 0);
		EXPECT_EQ(r[i].value, 0);
	}
	EXPECT_EQ(s.result, -EPIPE);

	/* Quiet: no panic the second time, and no wake. */
	wf_enter();
	EXPECT(!wf_chan_close_take(c, &receivers, &senders));
	EXPECT(!wf_chan_close_quiet(c));
	wf_leave();
	EXPECT(receivers.head == NULL && senders.head == NULL);
	weft_chan_unref(c);
	weft_chan_unref(s.c);
	weft_chan_unref(s.done);
}

TEST(close_takes_whom_to_wake)
{
	on_1_2_4_procs(collects_all);
}

static void
close_quietly(void)
{
	struct peer p = {chan_int(0), chan_signal(0), 7, -1, 0};
	bool by_us;

	go(recv_value, &p);
	await_flag(&p.c->has_receiver);
	wf_enter();
	by_us = wf_chan_close_quiet(p.c);
	wf_leave();
	EXPECT(by_us);
	await(p.done, 1);
	EXPECT_EQ(p.result, 0);
	EXPECT_EQ(p.value, 0);
	weft_chan_unref(p.c);
	weft_chan_unref(p.done);
}

TEST(close_quiet_wakes)
{
	on_1_2_4_procs(close_quietly);
}

/* A sender that waits while the ring is drained is served by the next receives, in turn. */
static void
drain_under_a_sender(void)
{
	struct peer p = {chan_int(1), chan_signal(0), 12, -1, 0};

	send_int(p.c, 11);
	go(send_value, &p);
	await_flag(&p.c->has_sender);
	EXPECT_EQ(drain(p.c), 1);
	EXPECT_EQ(weft_chan_recv(p.c, &p.value, WEFT_NOW), 1);
	await(p.done, 1);
	EXPECT_EQ(p.value, 12);
	EXPECT_EQ(p.result, 0);
	EXPECT_EQ(weft_chan_recv(p.c, NULL, WEFT_NOW), -ETIMEDOUT);
	weft_chan_unref(p.c);
	weft_chan_unref(p.done);
}

TEST(a_drained_channel_serves_its_senders)
{
	on_1_2_4_procs(drain_under_a_sender);
}

/* RELIABILITY 109: near the end of the count it sticks: leaked, but never freed too early. */
TEST(a_count_of_references_that_overflows_sticks)
{
	weft_chan *c = chan_int(1);

	atomic_store(&c->refs, 0x7ffffff0u);
	for (int i = 0; i < 100; i++)
		weft_chan_ref(c);
	/* Far from wrapping, not only past the middle. */
	EXPECT(atomic_load(&c->refs) >= 0xc0000000u);
	EXPECT(atomic_load(&c->refs) < 0xc0000010u);
	for (int i = 0; i < 1000; i++)
		weft_chan_unref(c);
	EXPECT(atomic_load(&c->refs) >= 0x80000000u);
	send_int(c, 1);
	EXPECT_EQ(recv_int(c), 1);

	/* Give it back, so that the leak checkers stay quiet. */
	atomic_store(&c->refs, 1);
	weft_chan_unref(c);
}

/* ---- The order in which select locks ---- */

/* Channels that are addresses only: nothing looks at what is there. */
static weft_chan *
fake(uint64_t i)
{
	return (weft_chan *)(uintptr_t)(0x10000 + 16 * i);
}

static void
expect_sorted(const uint32_t *order, uint32_t n, const weft_case *cases)
{
	static bool seen[2000];

	memset(seen, 0, sizeof(seen));
	for (uint32_t k = 0; k < n; k++) {
		EXPECT(order[k] < n);
		EXPECT(!seen[order[k]]);
		seen[order[k]] = true;
		if (k > 0)
			EXPECT(
			    (uintptr_t)cases[order[k - 1]].chan <= (uintptr_t)cases[order[k]].chan);
	}
}

/* Two selects that lock the same two channels in different orders stop for ever. */
TEST(select_sorts_by_address)
{
	static weft_case cases[2000];
	static uint32_t order[2000];
	uint64_t seed = test_seed();

	for (uint32_t n = 0; n <= 2000; n += n < 40 ? 1 : n / 3) {
		for (int shape = 0; shape < 5; shape++) {
			for (uint32_t i = 0; i < n; i++) {
				uint64_t r = test_rand(&seed);

				cases[i].chan = fake(shape == 0   ? i
						     : shape == 1 ? n - i
						     : shape == 2 ? 5
						     : shape == 3 ? r % 4
								  : r % (4 * n));
				order[i] = i;
			}
			for (uint32_t i = n; i > 1; i--) {
				uint32_t k = (uint32_t)(test_rand(&seed) % i);
				uint32_t t = order[i - 1];

				order[i - 1] = order[k];
				order[k] = t;
			}
			wf_select_sort(order, n, cases);
			expect_sorted(order, n, cases);
		}
	}
}

/*
 * Cases on one channel must come out in random order when they go in so (README.md, "Uniform"): the
 * one that is queued first is the one that goes.
 */
TEST(equal_channels_stay_shuffled)
{
	enum { N = 12, ROUNDS = 12000 };
	weft_case cases[N];
	int first[N] = {0}, equals = 0;
	uint64_t seed = test_seed();

	/* Every third case is on the one channel, the rest above and below it. */
	for (int i = 0; i < N; i++) {
		cases[i].chan = fake(i % 3 == 0   ? 100
				     : i % 3 == 1 ? (uint64_t)i
						  : 200 + (uint64_t)i);
		equals += i % 3 == 0;
	}
	for (int round = 0; round < ROUNDS; round++) {
		uint32_t order[N];

		for (uint32_t i = 0; i < N; i++) {
			uint32_t k = (uint32_t)(test_rand(&seed) % (i + 1));

			order[i] = order[k];
			order[k] = i;
		}
		wf_select_sort(order, N, cases);
		for (int k = 0; k < N; k++) {
			if (cases[order[k]].chan == fake(100)) {
				first[order[k]]++;
				break;
			}
		}
	}
	for (int i = 0; i < N; i += 3) {
		double mean = (double)ROUNDS / equals, off = first[i] - mean;

		if (off * off > 100.0 * mean)
			FAIL("case %d came first %d times of %d", i, first[i], ROUNDS);
	}
}

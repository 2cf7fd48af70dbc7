/*
 * Selects against each other, against plain operations, deadlines and closes: each value goes to
 * one taker, each waiter is woken once, nobody is left behind. SCENARIOS 37, 38, 42, 47, 50;
 * RELIABILITY 90, 93, 94, 96, 98.
 */
#include "chan_util.h"
#include <pthread.h>

/* ---- SCENARIOS 37 ---- */

struct dup {
	weft_chan *c, *d, *e;
	_Atomic int entered;
};

static void
dup_select(void *arg)
{
	struct dup *x = arg;
	weft_case cases[] = {WEFT_RECV(x->c, NULL), WEFT_RECV(x->c, NULL), WEFT_RECV(x->d, NULL)};

	atomic_fetch_add(&x->entered, 1);
	EXPECT_EQ(weft_select(cases, 3, WEFT_FOREVER), 2);
	signal_one(x->e);
}

static void
dup_recv(void *arg)
{
	struct dup *x = arg;

	atomic_fetch_add(&x->entered, 1);
	EXPECT_EQ(recv_int(x->c), 8);
	signal_one(x->e);
}

/*
 * A select waits on c twice and on d; behind it on c somebody else waits. d releases the select. If
 * it leaves the queue of c with one of its two waiters in the wrong place, the other is never found
 * again.
 */
static void
duplicates(void)
{
	int rounds = scaled(100);

	for (int i = 0; i < rounds; i++) {
		struct dup x = {.c = chan_int(0), .d = chan_int(0), .e = chan_signal(0)};

		go(dup_select, &x);
		await_count(&x.entered, 1);
		for (int k = 0; k < 3; k++)
			weft_yield();
		go(dup_recv, &x);
		await_count(&x.entered, 2);
		send_int(x.d, 7);
		await(x.e, 1);
		send_int(x.c, 8);
		await(x.e, 1);
		weft_chan_unref(x.c);
		weft_chan_unref(x.d);
		weft_chan_unref(x.e);
	}
}

TEST(a_channel_twice_in_a_select_keeps_its_queue)
{
	on_1_2_4_procs(duplicates);
}

/* ---- SCENARIOS 38 ---- */

#define STRESS 4

struct stress {
	weft_chan *c[STRESS], *done;
	_Atomic int next;
	int n;
};

static void
stress_send(void *arg)
{
	struct stress *s = arg;
	int k = atomic_fetch_add(&s->next, 1) % STRESS;

	for (int i = 0; i < s->n; i++)
		send_int(s->c[k], k);
	signal_one(s->done);
}

static void
stress_recv(void *arg)
{
	struct stress *s = arg;
	int k = atomic_fetch_add(&s->next, 1) % STRESS;

	for (int i = 0; i < s->n; i++)
		EXPECT_EQ(recv_int(s->c[k]), k);
	signal_one(s->done);
}

static void
stress_select(struct stress *s, bool sends)
{
	int v[STRESS], left[STRESS];
	weft_case cases[STRESS];
	int live = STRESS;

	for (int k = 0; k < STRESS; k++) {
		v[k] = k;
		left[k] = s->n;
		cases[k] = sends ? WEFT_SEND(s->c[k], &v[k]) : WEFT_RECV(s->c[k], &v[k]);
	}
	while (live > 0) {
		int k = weft_select(cases, STRESS, WEFT_FOREVER);

		EXPECT(k >= 0 && k < STRESS);
		EXPECT_EQ(cases[k].res, sends ? 0 : 1);
		EXPECT_EQ(v[k], k);
		if (--left[k] == 0) {
			cases[k].chan = NULL;
			live--;
		}
	}
	signal_one(s->done);
}

static void
stress_select_send(void *arg)
{
	stress_select(arg, true);
}

static void
stress_select_recv(void *arg)
{
	stress_select(arg, false);
}

/* Everything at once, with exact totals: one lost wake-up and it never ends. */
static void
stress(int n)
{
	struct stress s = {.done = chan_signal(0), .n = n};

	for (int k = 0; k < STRESS; k++)
		s.c[k] = chan_int(k < 2 ? 0 : 2);
	for (int k = 0; k < STRESS; k++)
		go(stress_send, &s);
	while (atomic_load(&s.next) < STRESS)
		weft_yield();
	for (int k = 0; k < STRESS; k++)
		go(stress_recv, &s);
	go(stress_select_send, &s);
	go(stress_select_recv, &s);
	await(s.done, 2 * STRESS + 2);
	for (int k = 0; k < STRESS; k++) {
		EXPECT_EQ(weft_chan_len(s.c[k]), 0);
		weft_chan_unref(s.c[k]);
	}
	weft_chan_unref(s.done);
}

static void
stress_short(void)
{
	stress(scaled(15000));
}

/* SCENARIOS 38. */
TEST(selects_and_plain_operations_at_full_speed)
{
	on_1_2_4_procs(stress_short);
}

/* SCENARIOS 38, as long as it is in Go. */
TEST(selects_and_plain_operations_at_length)
{
	weft_gomaxprocs(4);
	stress(scaled(100000));
}

/* ---- SCENARIOS 42, RELIABILITY 90 ---- */

struct opposed {
	weft_chan *a, *b, *done;
	int n;
	_Atomic int sent, received;
};

/* Send or receive on both channels, in this order or the other. */
static void
opposed_run(struct opposed *o, bool turned)
{
	for (int i = 0; i < o->n; i++) {
		weft_chan *first = turned ? o->b : o->a;
		weft_chan *second = turned ? o->a : o->b;
		int v = i;
		weft_case cases[] = {WEFT_SEND(first, &i), WEFT_RECV(second, &v),
		    WEFT_SEND(second, &i), WEFT_RECV(first, &v)};
		int went = weft_select(cases, 4, WEFT_FOREVER);

		EXPECT(went >= 0 && went < 4);
		EXPECT_EQ(cases[went].res, went % 2);
		atomic_fetch_add(went % 2 ? &o->received : &o->sent, 1);
	}
	signal_one(o->done);
}

static void
opposed_forwards(void *arg)
{
	opposed_run(arg, false);
}

static void
opposed_backwards(void *arg)
{
	opposed_run(arg, true);
}

/* Serves whoever is there, without waiting, until the others are done. */
static void
opposed_third(void *arg)
{
	struct opposed *o = arg;
	int v = 0;

	while (weft_chan_len(o->done) < 2) {
		weft_case cases[] = {WEFT_RECV(o->b, &v), WEFT_SEND(o->a, &v), WEFT_RECV(o->a, &v),
		    WEFT_SEND(o->b, &v)};
		int went = weft_select(cases, 4, WEFT_NOW);

		if (went >= 0)
			atomic_fetch_add(went % 2 ? &o->sent : &o->received, 1);
		else
			EXPECT_EQ(went, -ETIMEDOUT);
		weft_yield();
	}
	signal_one(o->done);
}

/*
 * Two that lock the same channels from opposite ends stop for ever; two that each offer both to
 * send and to receive must pair off, one each way, and not with themselves. A third one that comes
 * between them takes what it gets, and what is sent is received.
 */
static void
opposed(bool third)
{
	struct opposed o = {
	    .a = chan_int(0), .b = chan_int(0), .done = chan_signal(3), .n = scaled(20000)};

	go(opposed_forwards, &o);
	go(opposed_backwards, &o);
	if (third)
		go(opposed_third, &o);
	while (weft_chan_len(o.done) < (third ? 3 : 2))
		weft_sleep(100 * US);
	/* Received, not only counted: who sent may not have let go of the channel yet. */
	await(o.done, third ? 3 : 2);
	EXPECT_EQ(atomic_load(&o.sent), atomic_load(&o.received));
	if (third)
		EXPECT(atomic_load(&o.sent) >= o.n);
	else
		EXPECT_EQ(atomic_load(&o.sent), o.n);
	weft_chan_unref(o.a);
	weft_chan_unref(o.b);
	weft_chan_unref(o.done);
}

static void
opposite_orders(void)
{
	opposed(/* third */ false);
	opposed(/* third */ true);
}

TEST(selects_in_opposite_orders)
{
	on_1_2_4_procs(opposite_orders);
}

/* ---- RELIABILITY 93 ---- */

struct shared_b {
	weft_chan *a, *b, *done_s, *done_r, *done;
	int went;
};

static void
b_select(void *arg)
{
	struct shared_b *x = arg;
	weft_case cases[] = {WEFT_RECV(x->a, NULL), WEFT_RECV(x->b, NULL)};

	x->went = weft_select(cases, 2, WEFT_FOREVER);
	signal_one(x->done_s);
}

static void
b_recv(void *arg)
{
	struct shared_b *x = arg;

	recv_int(x->b);
	signal_one(x->done_r);
}

static void
a_send(void *arg)
{
	struct shared_b *x = arg;

	send_int(x->a, 1);
	signal_one(x->done);
}

static void
b_send(void *arg)
{
	struct shared_b *x = arg;

	send_int(x->b, 2);
	signal_one(x->done);
}

/*
 * A select waits on A and B, a receiver on B; one value comes for each. If the select takes A, the
 * value for B must reach the receiver, although the select stood before it in the queue of B.
 */
static void
shared_queue(void)
{
	int rounds = scaled(3000);

	for (int i = 0; i < rounds; i++) {
		struct shared_b x = {
		    chan_int(0), chan_int(0), chan_signal(1), chan_signal(1), chan_signal(2), 0};

		go(b_select, &x);
		go(b_recv, &x);
		go(i % 2 ? a_send : b_send, &x);
		go(i % 2 ? b_send : a_send, &x);
		if (i % 3 == 0)
			weft_yield();
		await(x.done_s, 1);
		if (x.went == 0) {
			await(x.done_r, 1);
		} else {
			/* It took B, so A's sender and B's receiver still wait. */
			EXPECT_EQ(x.went, 1);
			EXPECT_EQ(recv_int(x.a), 1);
			send_int(x.b, 3);
			await(x.done_r, 1);
		}
		await(x.done, 2);
		weft_chan_unref(x.a);
		weft_chan_unref(x.b);
		weft_chan_unref(x.done_s);
		weft_chan_unref(x.done_r);
		weft_chan_unref(x.done);
	}
}

TEST(a_select_does_not_use_up_a_wake_it_does_not_take)
{
	on_1_2_4_procs(shared_queue);
}

/* ---- RELIABILITY 94, 96; SCENARIOS 47 ---- */

struct contest {
	weft_chan *a, *b, *done;
	_Atomic int went_a, went_b, closed_b, sent_a, sent_b, refused_b;
};

static void
contest_select(void *arg)
{
	struct contest *x = arg;
	int va = -1, vb = -1;
	weft_case cases[] = {WEFT_RECV(x->a, &va), WEFT_RECV(x->b, &vb)};
	int went = weft_select(cases, 2, WEFT_FOREVER);

	if (went == 0) {
		EXPECT_EQ(cases[0].res, 1);
		EXPECT_EQ(va, 5);
		EXPECT_EQ(vb, -1);
		atomic_fetch_add(&x->went_a, 1);
	} else {
		EXPECT_EQ(went, 1);
		EXPECT_EQ(va, -1);
		EXPECT_EQ(vb, cases[1].res == 1 ? 6 : 0);
		atomic_fetch_add(cases[1].res == 1 ? &x->went_b : &x->closed_b, 1);
	}
	signal_one(x->done);
}

static void
contest_send_a(void *arg)
{
	struct contest *x = arg;
	int v = 5;

	if (weft_chan_send(x->a, &v, WEFT_NOW) == 0)
		atomic_fetch_add(&x->sent_a, 1);
	signal_one(x->done);
}

static void
contest_send_b(void *arg)
{
	struct contest *x = arg;
	int v = 6;
	int r = weft_chan_send(x->b, &v, WEFT_NOW);

	if (r == 0)
		atomic_fetch_add(&x->sent_b, 1);
	if (r == -EPIPE)
		atomic_fetch_add(&x->refused_b, 1);
	signal_one(x->done);
}

static void
contest_close_b(void *arg)
{
	struct contest *x = arg;

	weft_chan_close(x->b);
	signal_one(x->done);
}

/*
 * One select on A and B, and at the same moment a send to each that does not wait, and a close of
 * B. The select is one receiver: one of them serves it, the others hear that nobody is there. Its
 * frame is gone soon after, and nobody may write to it then.
 */
static void
contests(void)
{
	int rounds = scaled(3000);

	for (int i = 0; i < rounds; i++) {
		struct contest x = {.a = chan_int(0), .b = chan_int(0), .done = chan_signal(4)};

		go(contest_select, &x);
		for (int k = 0; k < i % 3; k++)
			weft_yield();
		go(contest_send_a, &x);
		go(contest_send_b, &x);
		go(contest_close_b, &x);
		await(x.done, 4);
		EXPECT_EQ(x.went_a + x.went_b + x.closed_b, 1);
		EXPECT_EQ(x.sent_a, x.went_a);
		EXPECT_EQ(x.sent_b, x.went_b);
		weft_chan_unref(x.a);
		weft_chan_unref(x.b);
		weft_chan_unref(x.done);
	}
}

TEST(a_select_is_served_once)
{
	on_1_2_4_procs(contests);
}

struct rivals {
	weft_chan *c, *other, *done;
	_Atomic int entered;
	_Atomic int got;
	_Atomic int ended;
};

static void
rival_select(void *arg)
{
	struct rivals *x = arg;
	weft_case cases[] = {WEFT_RECV(x->c, NULL), WEFT_RECV(x->other, NULL)};
	int went;

	atomic_fetch_add(&x->entered, 1);
	went = weft_select(cases, 2, WEFT_FOREVER);
	EXPECT_EQ(went, 0);
	atomic_fetch_add(cases[0].res ? &x->got : &x->ended, 1);
	signal_one(x->done);
}

static void
rival_recv(void *arg)
{
	struct rivals *x = arg;
	int r;

	atomic_fetch_add(&x->entered, 1);
	r = weft_chan_recv(x->c, NULL, WEFT_FOREVER);
	EXPECT(r >= 0);
	atomic_fetch_add(r ? &x->got : &x->ended, 1);
	signal_one(x->done);
}

/* SCENARIOS 47: selects and plain receivers wait side by side; each is served once. */
static void
rivalry(void)
{
	int rounds = scaled(500);

	for (int i = 0; i < rounds; i++) {
		struct rivals x = {.c = chan_int(0), .other = chan_int(0), .done = chan_signal(8)};
		int sends = i % 7;

		for (int k = 0; k < 4; k++) {
			go(rival_select, &x);
			go(rival_recv, &x);
		}
		if (i % 2)
			await_count(&x.entered, 8);
		for (int k = 0; k < sends; k++)
			send_int(x.c, k);
		weft_chan_close(x.c);
		await(x.done, 8);
		EXPECT_EQ(atomic_load(&x.got), sends);
		EXPECT_EQ(atomic_load(&x.ended), 8 - sends);
		weft_chan_unref(x.c);
		weft_chan_unref(x.other);
		weft_chan_unref(x.done);
	}
}

TEST(selects_and_receivers_are_served_side_by_side)
{
	on_1_2_4_procs(rivalry);
}

/* ---- Deadlines and timers ---- */

struct hasty {
	weft_chan *a, *b, *done;
	_Atomic long long sum;
	_Atomic int sent, received;
	_Atomic unsigned seed;
	int n;
};

static void
hasty_run(struct hasty *h, bool sends)
{
	unsigned state = atomic_fetch_add(&h->seed, 104729);

	for (int i = 1; i <= h->n; i++) {
		int va = sends ? i : -1, vb = sends ? 2 * i : -1;
		weft_case ca = sends ? WEFT_SEND(h->a, &va) : WEFT_RECV(h->a, &va);
		weft_case cb = sends ? WEFT_SEND(h->b, &vb) : WEFT_RECV(h->b, &vb);
		weft_case cases[] = {ca, cb};
		unsigned r = small_rand(&state, 10);
		int went = weft_select(
		    cases, 2, r == 0 ? WEFT_NOW : weft_in((int64_t)small_rand(&state, 50) * US));

		if (went < 0) {
			EXPECT_EQ(went, -ETIMEDOUT);
			EXPECT_EQ(va, sends ? i : -1);
			EXPECT_EQ(vb, sends ? 2 * i : -1);
			continue;
		}
		EXPECT_EQ(cases[went].res, sends ? 0 : 1);
		atomic_fetch_add(sends ? &h->sent : &h->received, 1);
		atomic_fetch_add(&h->sum, (sends ? 1 : -1) * (went == 0 ? va : vb));
	}
	signal_one(h->done);
}

static void
hasty_send(void *arg)
{
	hasty_run(arg, true);
}

static void
hasty_recv(void *arg)
{
	hasty_run(arg, false);
}

static void *
hasty_thread(void *arg)
{
	hasty_run(arg, true);
	return NULL;
}

/* RELIABILITY 98, 108: a select's deadline, its peers, and their deadlines, together. */
static void
hasty_selects(void)
{
	struct hasty h = {.a = chan_int(0),
	    .b = chan_int(1),
	    .done = chan_signal(8),
	    .n = scaled(2000),
	    .seed = (unsigned)test_seed()};
	pthread_t t;
	int v, left = 0;

	for (int i = 0; i < 3; i++) {
		go(hasty_send, &h);
		go(hasty_recv, &h);
	}
	EXPECT_EQ(pthread_create(&t, NULL, hasty_thread, &h), 0);
	await(h.done, 7);
	EXPECT_EQ(pthread_join(t, NULL), 0);
	while (weft_chan_recv(h.b, &v, WEFT_NOW) == 1) {
		left++;
		atomic_fetch_sub(&h.sum, v);
	}
	EXPECT_EQ(atomic_load(&h.sent), atomic_load(&h.received) + left);
	EXPECT_EQ(atomic_load(&h.sum), 0);
	EXPECT_EQ(try_send_int(h.a, 0), -ETIMEDOUT);
	EXPECT_EQ(weft_chan_recv(h.a, NULL, WEFT_NOW), -ETIMEDOUT);
	weft_chan_unref(h.a);
	weft_chan_unref(h.b);
	weft_chan_unref(h.done);
}

TEST(selects_with_deadlines_lose_no_value)
{
	on_1_2_4_procs(hasty_selects);
}

/* SCENARIOS 50: a timer among the cases; whoever comes first, the other leaves nothing. */
static void
with_timers(void)
{
	int rounds = scaled(500), values = 0, timeouts = 0;
	weft_chan *c = chan_int(1);

	for (int i = 0; i < rounds; i++) {
		weft_timer *t =
		    weft_timer_new(weft_in(i % 2 ? 100 * US : 100 * SECOND), 0, NULL, NULL);
		int64_t due = 0;
		int v = -1, went;
		weft_case cases[] = {WEFT_RECV(c, &v), WEFT_RECV(weft_timer_chan(t), &due)};

		EXPECT(t != NULL);
		if (i % 2 == 0)
			send_int(c, i);
		went = weft_select(cases, 2, WEFT_FOREVER);
		EXPECT_EQ(went, i % 2);
		EXPECT_EQ(cases[went].res, 1);
		if (went == 0) {
			EXPECT_EQ(v, i);
			values++;
		} else {
			EXPECT(due <= weft_now());
			timeouts++;
		}
		EXPECT_EQ(weft_timer_stop(t), went == 0);
		EXPECT_EQ(weft_chan_recv(weft_timer_chan(t), NULL, WEFT_NOW), -ETIMEDOUT);
		EXPECT_EQ(weft_chan_recv(c, NULL, WEFT_NOW), -ETIMEDOUT);
		weft_timer_free(t);
	}
	EXPECT_EQ(values + timeouts, rounds);
	weft_chan_unref(c);
}

TEST(a_timer_among_the_cases)
{
	on_1_2_4_procs(with_timers);
}

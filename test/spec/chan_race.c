/*
 * One channel under contention: races between sending, receiving, closing and giving up, and
 * what one goroutine may believe of another's memory. SCENARIOS 8, 21, 25, 32; RELIABILITY 98, 101.
 */
#include "chan_util.h"

#include <time.h>

struct round {
	weft_chan *c, *done;
	_Atomic int started;
	int result;
};

static void
recv_now(void *arg)
{
	struct round *r = arg;
	int v;

	atomic_store(&r->started, 1);
	r->result = weft_chan_recv(r->c, &v, WEFT_NOW);
	signal_one(r->done);
}

/*
 * SCENARIOS 8. The channel has a value, then it is closed, then the value is taken: it is ready all
 * the time. A receiver that hears "not now" would go and do something else, for ever perhaps.
 */
static void
never_not_ready(void)
{
	int rounds = scaled(10000);

	for (int i = 0; i < rounds; i++) {
		struct round r = {.c = chan_int(1), .done = chan_signal(0)};

		send_int(r.c, i);
		go(recv_now, &r);
		if (i % 2 != 0)
			await_count(&r.started, 1);
		weft_chan_close(r.c);
		weft_chan_recv(r.c, NULL, WEFT_FOREVER);
		await(r.done, 1);
		if (r.result < 0)
			FAIL("round %d: a channel that was always ready said %d", i, r.result);
		weft_chan_unref(r.c);
		weft_chan_unref(r.done);
	}
}

TEST(a_receive_that_does_not_wait_sees_the_value_or_the_close)
{
	on_1_2_4_procs(never_not_ready);
}

static void
send_now_to_close(void *arg)
{
	struct round *r = arg;
	int v = 1;

	atomic_store(&r->started, 1);
	r->result = weft_chan_send(r->c, &v, WEFT_NOW);
	signal_one(r->done);
}

static void
recv_forever(void *arg)
{
	struct round *r = arg;

	atomic_store(&r->started, 1);
	r->result = weft_chan_recv(r->c, NULL, WEFT_FOREVER);
	signal_one(r->done);
}

/* The same for a send: a receiver waits, then it is closed. Sent or closed, not "later". */
static void
send_never_not_ready(void)
{
	int rounds = scaled(3000);

	for (int i = 0; i < rounds; i++) {
		struct round r = {.c = chan_int(0), .done = chan_signal(0)};
		struct round w = {.c = r.c, .done = r.done};
		int v = 2;

		go(recv_forever, &w);
		/* Once a send went over it was waiting; let it wait again. */
		while (weft_chan_send(r.c, &v, WEFT_NOW) == -ETIMEDOUT)
			weft_yield();
		await(r.done, 1);
		EXPECT_EQ(w.result, 1);

		go(send_now_to_close, &r);
		weft_chan_close(r.c);
		await(r.done, 1);
		/* Nobody waits now, so before the close it was not ready: both are right. */
		EXPECT(r.result == -EPIPE || r.result == -ETIMEDOUT);
		weft_chan_unref(r.c);
		weft_chan_unref(r.done);
	}
}

TEST(a_send_that_does_not_wait_meets_a_close)
{
	on_1_2_4_procs(send_never_not_ready);
}

/* ---- Many consumers ---- */

#define WORKERS 23

struct pipeline {
	weft_chan *q, *r, *done;
	int n;
	long long sum; /* of what was sent; written before q is closed */
};

static void
forward(void *arg)
{
	struct pipeline *p = arg;
	int v, turn = 0;

	while (weft_chan_recv(p->q, &v, WEFT_FOREVER) == 1) {
		if (turn++ % 7 == v % 7)
			weft_yield();
		send_int(p->r, v);
	}
	signal_one(p->done);
}

static void
feed(void *arg)
{
	static const int primes[] = {2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31};
	struct pipeline *p = arg;

	for (int i = 0; i < p->n; i++) {
		int v = primes[i % 11];

		p->sum += v;
		send_int(p->q, v);
	}
	weft_chan_close(p->q);
	await(p->done, WORKERS);
	weft_chan_close(p->r);
}

/* SCENARIOS 21: an item lost or doubled between a queue and its workers. */
static void
many_consumers(int n)
{
	struct pipeline p = {chan_int(WORKERS * 3), chan_int(WORKERS * 3), chan_signal(0), n, 0};
	long long sum = 0;
	int count = 0, v;

	for (int i = 0; i < WORKERS; i++)
		go(forward, &p);
	go(feed, &p);
	while (weft_chan_recv(p.r, &v, WEFT_FOREVER) == 1) {
		count++;
		sum += v;
	}
	EXPECT_EQ(count, n);
	EXPECT_EQ(sum, p.sum);
	weft_chan_unref(p.q);
	weft_chan_unref(p.r);
	weft_chan_unref(p.done);
}

static void
many_consumers_short(void)
{
	many_consumers(scaled(27182));
}

TEST(many_consumers_lose_nothing)
{
	on_1_2_4_procs(many_consumers_short);
}

/* SCENARIOS 21, as long as it is in Go. */
TEST(many_consumers_lose_nothing_at_length)
{
	weft_gomaxprocs(2);
	many_consumers(scaled(271828));
}

/* ---- Memory ---- */

struct litmus {
	weft_chan *ping, *done;
	int to_receiver, to_sender; /* plain: the channel alone orders them */
	int n;
};

static void
litmus_receiver(void *arg)
{
	struct litmus *l = arg;
	int n = l->n; /* after the last signal, *l is gone */

	for (int i = 1; i <= n; i++) {
		l->to_sender = i;
		EXPECT_EQ(weft_chan_recv(l->ping, NULL, WEFT_FOREVER), 1);
		EXPECT_EQ(l->to_receiver, i);
		/* The sender may write again only when it has heard from us. */
		signal_one(l->done);
	}
}

/*
 * SCENARIOS 32: a value sent says "what I wrote is there"; a send that returns says the same of the
 * receiver. Without either, programs read half of what was written. (TSan sees it at once.)
 */
static void
memory_is_visible(void)
{
	struct litmus l = {chan_signal(0), chan_signal(0), 0, 0, scaled(20000)};

	go(litmus_receiver, &l);
	for (int i = 1; i <= l.n; i++) {
		l.to_receiver = i;
		signal_one(l.ping);
		EXPECT_EQ(l.to_sender, i);
		await(l.done, 1);
	}
	weft_chan_unref(l.ping);
	weft_chan_unref(l.done);
}

TEST(memory_is_visible_over_a_channel)
{
	on_1_2_4_procs(memory_is_visible);
}

#define LIMIT 3

struct slots {
	weft_chan *tokens, *done;
	int *cell; /* cell[k] is written before the k-th receive; plain */
	int n;
};

static void
slot_receiver(void *arg)
{
	struct slots *s = arg;

	for (int k = 0; k < s->n; k++) {
		s->cell[k] = k + 1;
		EXPECT_EQ(weft_chan_recv(s->tokens, NULL, WEFT_FOREVER), 1);
	}
	signal_one(s->done);
}

/*
 * SCENARIOS 32: the k-th receive happens before the (k + cap)-th send returns: a channel as a
 * semaphore.
 */
static void
buffer_orders(void)
{
	struct slots s = {chan_signal(LIMIT), chan_signal(0), NULL, scaled(20000)};

	s.cell = calloc((size_t)s.n, sizeof(int));
	go(slot_receiver, &s);
	for (int i = 0; i < s.n; i++) {
		signal_one(s.tokens);
		if (i >= LIMIT)
			EXPECT_EQ(s.cell[i - LIMIT], i - LIMIT + 1);
	}
	await(s.done, 1);
	free(s.cell);
	weft_chan_unref(s.tokens);
	weft_chan_unref(s.done);
}

TEST(a_full_buffer_orders_memory)
{
	on_1_2_4_procs(buffer_orders);
}

/* ---- Giving up ---- */

struct fickle {
	weft_chan *c, *done;
	_Atomic int sent, received;
	_Atomic long long sum; /* of sent less received */
	_Atomic unsigned seed;
	int n;
};

/* A time from now to 60 us ahead: before the peer comes, after it, often with it. */
static int64_t
soon(unsigned *state)
{
	unsigned r = small_rand(state, 8);

	return r == 0 ? WEFT_NOW : weft_in((int64_t)small_rand(state, 60) * US);
}

static void
fickle_sender(void *arg)
{
	struct fickle *f = arg;
	unsigned state = atomic_fetch_add(&f->seed, 7919);

	for (int i = 1; i <= f->n; i++) {
		int r = weft_chan_send(f->c, &i, soon(&state));

		EXPECT(r == 0 || r == -ETIMEDOUT);
		if (r == 0) {
			atomic_fetch_add(&f->sent, 1);
			atomic_fetch_add(&f->sum, i);
		}
	}
	signal_one(f->done);
}

static void
fickle_receiver(void *arg)
{
	struct fickle *f = arg;
	unsigned state = atomic_fetch_add(&f->seed, 7919);

	for (int i = 0; i < f->n; i++) {
		int v = -1;
		int r = weft_chan_recv(f->c, &v, soon(&state));

		if (r == 1) {
			atomic_fetch_add(&f->received, 1);
			atomic_fetch_sub(&f->sum, v);
		} else {
			EXPECT_EQ(r, -ETIMEDOUT);
			EXPECT_EQ(v, -1); /* untouched */
		}
	}
	signal_one(f->done);
}

/*
 * A deadline and a peer come at the same moment. If both believe that they won, a value is lost
 * (sent, and received by nobody) or doubled.
 */
static void
deadlines_lose_nothing(void)
{
	for (size_t cap = 0; cap < 3; cap += 2) {
		struct fickle f = {.c = chan_int(cap),
		    .done = chan_signal(0),
		    .n = scaled(3000),
		    .seed = (unsigned)test_seed()};
		int v, left = 0;

		for (int i = 0; i < 3; i++) {
			go(fickle_sender, &f);
			go(fickle_receiver, &f);
		}
		await(f.done, 6);
		while (weft_chan_recv(f.c, &v, WEFT_NOW) == 1) {
			left++;
			atomic_fetch_sub(&f.sum, v);
		}
		EXPECT_EQ(atomic_load(&f.sent), atomic_load(&f.received) + left);
		EXPECT_EQ(atomic_load(&f.sum), 0);

		/* And nobody is left on a queue. */
		EXPECT_EQ(weft_chan_recv(f.c, NULL, WEFT_NOW), -ETIMEDOUT);
		for (size_t i = 0; i < cap; i++)
			EXPECT_EQ(try_send_int(f.c, 0), 0);
		EXPECT_EQ(try_send_int(f.c, 0), -ETIMEDOUT);
		weft_chan_unref(f.c);
		weft_chan_unref(f.done);
	}
}

TEST(deadlines_lose_no_value)
{
	on_1_2_4_procs(deadlines_lose_nothing);
}

/* A deadline that fires early wakes the program for nothing; one in the past must still try. */
TEST(a_deadline_is_not_early_and_tries_once)
{
	weft_chan *c = chan_int(1);
	int v = 5;

	for (int i = 0; i < 20; i++) {
		int64_t until = weft_in(i * 100 * US);

		EXPECT_EQ(weft_chan_recv(c, &v, until), -ETIMEDOUT);
		EXPECT(weft_now() >= until);
	}
	EXPECT_EQ(v, 5);
	EXPECT_EQ(weft_chan_send(c, &v, weft_now() - SECOND), 0);
	EXPECT_EQ(weft_chan_send(c, &v, weft_now() - SECOND), -ETIMEDOUT);
	EXPECT_EQ(weft_chan_recv(c, &v, INT64_MIN), 1);
	EXPECT_EQ(weft_chan_recv(c, &v, INT64_MIN), -ETIMEDOUT);
	for (int i = 0; i < 20; i++) {
		int64_t until;

		EXPECT_EQ(weft_chan_send(c, &v, weft_in(100 * US)), 0);
		until = weft_in(i * 100 * US);
		EXPECT_EQ(weft_chan_send(c, &v, until), -ETIMEDOUT);
		EXPECT(weft_now() >= until);
		EXPECT_EQ(weft_chan_recv(c, &v, until), 1);
	}
	weft_chan_unref(c);
}

/* ---- Close against everybody ---- */

struct crowd {
	weft_chan *c, *other, *done;
	_Atomic int entered, received, sent, refused;
};

static void
crowd_recv(void *arg)
{
	struct crowd *x = arg;

	atomic_fetch_add(&x->entered, 1);
	while (weft_chan_recv(x->c, NULL, WEFT_FOREVER) == 1) {
		atomic_fetch_add(&x->received, 1);
		weft_yield();
	}
	signal_one(x->done);
}

static void
crowd_send(void *arg)
{
	struct crowd *x = arg;
	int r, v = 3;

	atomic_fetch_add(&x->entered, 1);
	while ((r = weft_chan_send(x->c, &v, WEFT_FOREVER)) == 0) {
		atomic_fetch_add(&x->sent, 1);
		weft_yield();
	}
	EXPECT_EQ(r, -EPIPE);
	atomic_fetch_add(&x->refused, 1);
	signal_one(x->done);
}

static void
crowd_recv_until(void *arg)
{
	struct crowd *x = arg;
	int r;

	atomic_fetch_add(&x->entered, 1);
	while ((r = weft_chan_recv(x->c, NULL, weft_in(50 * US))) != 0) {
		if (r == 1)
			atomic_fetch_add(&x->received, 1);
		weft_yield();
	}
	signal_one(x->done);
}

static void
crowd_select(void *arg)
{
	struct crowd *x = arg;
	int v = 0;

	atomic_fetch_add(&x->entered, 1);
	for (;;) {
		weft_case cases[] = {
		    WEFT_RECV(x->c, NULL), WEFT_RECV(x->other, NULL), WEFT_SEND(x->c, &v)};
		int i = weft_select(cases, 3, WEFT_FOREVER);

		if (i == 0 && cases[0].res == 1) {
			atomic_fetch_add(&x->received, 1);
		} else if (i == 2 && cases[2].res == 0) {
			atomic_fetch_add(&x->sent, 1);
		} else {
			EXPECT(i == 0 || i == 2);
			EXPECT_EQ(cases[i].res, i == 0 ? 0 : -EPIPE);
			break;
		}
		weft_yield(); /* with a buffer it would go on for a whole time slice, alone */
	}
	signal_one(x->done);
}

/* RELIABILITY 98, 101: every kind of waiter hears of a close, whatever it was doing. */
static void
close_wakes_all(void)
{
	int rounds = scaled(200);

	for (int i = 0; i < rounds; i++) {
		struct crowd x = {
		    .c = chan_int((size_t)(i % 3)), .other = chan_int(0), .done = chan_signal(0)};
		int left = 0;

		for (int k = 0; k < 3; k++) {
			go(crowd_recv, &x);
			go(crowd_send, &x);
			go(crowd_recv_until, &x);
			go(crowd_select, &x);
		}
		if (i % 2 == 0)
			await_count(&x.entered, 12);
		for (int k = 0; k < i % 5; k++)
			weft_yield();
		weft_chan_close(x.c);
		await(x.done, 12);
		while (weft_chan_recv(x.c, NULL, WEFT_NOW) == 1)
			left++;
		EXPECT_EQ(atomic_load(&x.refused), 3);
		EXPECT_EQ(atomic_load(&x.sent), atomic_load(&x.received) + left);
		weft_chan_unref(x.c);
		weft_chan_unref(x.other);
		weft_chan_unref(x.done);
	}
}

TEST(close_wakes_every_kind_of_waiter)
{
	on_1_2_4_procs(close_wakes_all);
}

/*
 * RELIABILITY 101: the same where nobody else could wake them. Beside receivers a sender that the
 * close forgot is still received from.
 */
static void
close_wakes_one_kind(void)
{
	static void (*const kinds[])(void *) = {
	    crowd_recv, crowd_send, crowd_recv_until, crowd_select};

	for (int i = 0; i < 4 * 3 * 4; i++) {
		struct crowd x = {
		    .c = chan_int((size_t)(i % 3)), .other = chan_int(0), .done = chan_signal(0)};

		for (int k = 0; k < 3; k++)
			go(kinds[i % 4], &x);
		await_count(&x.entered, 3);
		for (int k = 0; k < i / 12 * 3; k++)
			weft_yield();
		weft_chan_close(x.c);
		await(x.done, 3);
		weft_chan_unref(x.c);
		weft_chan_unref(x.other);
		weft_chan_unref(x.done);
	}
}

TEST(close_wakes_each_kind_where_it_is_alone)
{
	on_1_2_4_procs(close_wakes_one_kind);
}

/* ---- Cost ---- */

struct herd {
	weft_chan *c, *other, *done;
	_Atomic int entered;
	bool selects;
};

static void
herd_member(void *arg)
{
	struct herd *h = arg;

	atomic_fetch_add(&h->entered, 1);
	if (h->selects) {
		weft_case cases[] = {WEFT_RECV(h->c, NULL), WEFT_RECV(h->other, NULL)};

		EXPECT_EQ(weft_select(cases, 2, WEFT_FOREVER), 0);
	} else {
		EXPECT_EQ(weft_chan_recv(h->c, NULL, WEFT_FOREVER), 1);
	}
	signal_one(h->done);
}

/* In processor time: what else the machine does is not ours. */
static int64_t
cpu_time(void)
{
	struct timespec t;

	EXPECT_EQ(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t), 0);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static int64_t
herd_time(int n, bool selects)
{
	struct herd h = {.c = chan_int(0),
	    .other = chan_int(0),
	    .done = chan_signal((size_t)n),
	    .selects = selects};
	int64_t start = cpu_time();

	for (int i = 0; i < n; i++)
		go(herd_member, &h);
	await_count(&h.entered, n);
	for (int i = 0; i < n; i++)
		send_int(h.c, i);
	await(h.done, n);
	weft_chan_unref(h.c);
	weft_chan_unref(h.other);
	weft_chan_unref(h.done);
	return cpu_time() - start;
}

/*
 * SCENARIOS 25. A queue that is searched costs the square of its length. 8 times the goroutines
 * should cost 8 times as much, and would cost 64 times: the bound is in between. The best of
 * many tries counts: a processor that is shared is slower at times, though it is not ours then.
 */
static void
expect_linear(bool selects)
{
	int n = scaled(2000);
	int64_t few = INT64_MAX, many = INT64_MAX;

	weft_gomaxprocs(1);
	for (int i = 0; i < 30; i++) {
		int64_t a = herd_time(n, selects);
		int64_t b = herd_time(8 * n, selects);

		few = a < few ? a : few;
		many = b < many ? b : many;
		if (many < 24 * few)
			return;
	}
	FAIL(
	    "%d goroutines: %lld ns; 8 times as many: %lld ns", n, (long long)few, (long long)many);
}

TEST(many_waiters_cost_linear_time)
{
	expect_linear(false);
}

/* SCENARIOS 25: a select stands in more than one queue. */
TEST(many_selects_cost_linear_time)
{
	expect_linear(true);
}

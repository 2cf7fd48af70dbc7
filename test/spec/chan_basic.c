/*
 * What one channel promises: who blocks, who goes on, in which order, and what closing does.
 * SCENARIOS 1, 2, 4, 5, 7, 10-12, 14, 15, 18, 20. (27 has no counterpart: a weft_chan has no
 * direction in its type. A send on a closed channel is -EPIPE here, not a panic.)
 */
#include "chan_util.h"
#include "child.h"

struct peer {
	weft_chan *c;
	weft_chan *done;
	_Atomic int entered;
	_Atomic int returned;
	int result;
	int value;
};

static void
recv_one(void *arg)
{
	struct peer *p = arg;
	int v = -1, r;

	atomic_fetch_add(&p->entered, 1);
	r = weft_chan_recv(p->c, &v, WEFT_FOREVER);
	atomic_fetch_add(&p->returned, 1);
	p->result = r;
	p->value = v;
	signal_one(p->done);
}

static void
send_one(void *arg)
{
	struct peer *p = arg;
	int v = p->value;
	int r;

	atomic_fetch_add(&p->entered, 1);
	r = weft_chan_send(p->c, &v, WEFT_FOREVER);
	atomic_fetch_add(&p->returned, 1);
	p->result = r;
	signal_one(p->done);
}

static int
try_select_recv(weft_chan *c)
{
	int v;
	weft_case cases[] = {WEFT_RECV(NULL, NULL), WEFT_RECV(c, &v)};

	return weft_select(cases, 2, WEFT_NOW);
}

static int
try_select_send(weft_chan *c)
{
	int v = 0;
	weft_case cases[] = {WEFT_SEND(c, &v), WEFT_RECV(NULL, NULL)};

	return weft_select(cases, 2, WEFT_NOW);
}

/* SCENARIOS 1, 15: a receiver that returns from an empty channel has read what nobody sent. */
static void
receivers_wait(void)
{
	for (size_t cap = 0; cap < 200; cap++) {
		struct peer a = {.c = chan_int(cap), .done = chan_signal(0)};
		struct peer b = {.c = a.c, .done = a.done};

		go(recv_one, &a);
		go(recv_one, &b);
		await_count(&a.entered, 1);
		await_count(&b.entered, 1);
		weft_sleep(1 * MS);
		EXPECT_EQ(atomic_load(&a.returned) + atomic_load(&b.returned), 0);
		EXPECT_EQ(weft_chan_recv(a.c, NULL, WEFT_NOW), -ETIMEDOUT);
		EXPECT_EQ(try_select_recv(a.c), -ETIMEDOUT);

		send_int(a.c, 1);
		send_int(a.c, 2);
		await(a.done, 2);
		EXPECT_EQ(a.result, 1);
		EXPECT_EQ(b.result, 1);
		EXPECT_EQ(a.value + b.value, 3);
		weft_chan_unref(a.c);
		weft_chan_unref(a.done);
	}
}

TEST(a_receiver_waits_for_a_value)
{
	on_1_2_4_procs(receivers_wait);
}

/* SCENARIOS 2, 15: a sender that returns from a full channel has thrown a value away. */
static void
senders_wait(void)
{
	for (size_t cap = 0; cap < 200; cap++) {
		struct peer p = {.c = chan_int(cap), .done = chan_signal(0), .value = (int)cap};

		for (int i = 0; i < (int)cap; i++)
			send_int(p.c, i);
		go(send_one, &p);
		await_count(&p.entered, 1);
		weft_sleep(1 * MS);
		EXPECT_EQ(atomic_load(&p.returned), 0);
		EXPECT_EQ(try_send_int(p.c, -1), -ETIMEDOUT);
		EXPECT_EQ(try_select_send(p.c), -ETIMEDOUT);

		EXPECT_EQ(recv_int(p.c), 0);
		await(p.done, 1);
		EXPECT_EQ(p.result, 0);
		for (int i = 1; i <= (int)cap; i++)
			EXPECT_EQ(recv_int(p.c), i);
		EXPECT_EQ(weft_chan_recv(p.c, NULL, WEFT_NOW), -ETIMEDOUT);
		weft_chan_unref(p.c);
		weft_chan_unref(p.done);
	}
}

TEST(a_sender_waits_for_room)
{
	on_1_2_4_procs(senders_wait);
}

/* SCENARIOS 4: who is not woken by close waits for ever; who is not told has a made-up value. */
static void
close_frees_receiver(void)
{
	for (size_t cap = 0; cap < 3; cap++) {
		struct peer p = {.c = chan_int(cap), .done = chan_signal(0)};

		go(recv_one, &p);
		await_count(&p.entered, 1);
		weft_chan_close(p.c);
		await(p.done, 1);
		EXPECT_EQ(p.result, 0);
		EXPECT_EQ(p.value, 0);
		weft_chan_unref(p.c);
		weft_chan_unref(p.done);
	}
}

TEST(close_wakes_a_receiver_with_zero)
{
	on_1_2_4_procs(close_frees_receiver);
}

/* SCENARIOS 12: a sender left behind by close waits for a receiver that never comes. */
static void
close_frees_sender(void)
{
	for (int cap = 0; cap < 3; cap++) {
		struct peer p = {.c = chan_int((size_t)cap), .done = chan_signal(0), .value = 7};

		for (int i = 0; i < cap; i++)
			send_int(p.c, i);
		go(send_one, &p);
		await_count(&p.entered, 1);
		weft_sleep(1 * MS);
		weft_chan_close(p.c);
		await(p.done, 1);
		EXPECT_EQ(p.result, -EPIPE);
		/* What was in the buffer is still there; what the sender had is not. */
		for (int i = 0; i < cap; i++)
			EXPECT_EQ(recv_int(p.c), i);
		EXPECT_EQ(weft_chan_recv(p.c, NULL, WEFT_FOREVER), 0);
		weft_chan_unref(p.c);
		weft_chan_unref(p.done);
	}
}

TEST(close_wakes_a_sender_with_epipe)
{
	on_1_2_4_procs(close_frees_sender);
}

struct stream {
	weft_chan *c;
	weft_chan *done;
	int n;
};

static void
send_stream(void *arg)
{
	struct stream *s = arg;

	for (int i = 0; i < s->n; i++)
		send_int(s->c, i);
	signal_one(s->done);
}

/* SCENARIOS 5: values that overtake each other make every protocol over a channel wrong. */
static void
order_is_kept(void)
{
	for (size_t cap = 0; cap < 200; cap++) {
		struct stream s = {chan_int(cap), chan_signal(0), 100};

		go(send_stream, &s);
		for (int i = 0; i < s.n; i++)
			EXPECT_EQ(recv_int(s.c), i);
		await(s.done, 1);
		weft_chan_unref(s.c);
		weft_chan_unref(s.done);
	}
}

TEST(values_arrive_in_order)
{
	on_1_2_4_procs(order_is_kept);
}

/* SCENARIOS 7 */
TEST(len_and_cap)
{
	for (size_t cap = 0; cap < 50; cap++) {
		weft_chan *c = chan_int(cap);

		EXPECT_EQ(weft_chan_cap(c), cap);
		for (size_t i = 0; i < cap; i++) {
			EXPECT_EQ(weft_chan_len(c), i);
			send_int(c, 0);
		}
		EXPECT_EQ(weft_chan_len(c), cap);
		EXPECT_EQ(weft_chan_cap(c), cap);
		if (cap > 0) {
			recv_int(c);
			EXPECT_EQ(weft_chan_len(c), cap - 1);
			weft_chan_close(c);
			EXPECT_EQ(weft_chan_len(c), cap - 1);
		}
		weft_chan_unref(c);
	}
	EXPECT_EQ(weft_chan_len(NULL), 0);
	EXPECT_EQ(weft_chan_cap(NULL), 0);
}

/* SCENARIOS 10: the values sent before the close are not lost by it, and none comes after. */
TEST(a_closed_channel_drains_then_ends)
{
	weft_chan *c = chan_int(3);
	int v;

	send_int(c, 1);
	send_int(c, 2);
	weft_chan_close(c);

	v = 9;
	EXPECT_EQ(weft_chan_send(c, &v, WEFT_FOREVER), -EPIPE);
	EXPECT_EQ(weft_chan_send(c, &v, WEFT_NOW), -EPIPE);
	EXPECT_EQ(weft_chan_send(c, &v, weft_in(SECOND)), -EPIPE);
	EXPECT_EQ(recv_int(c), 1);
	EXPECT_EQ(weft_chan_recv(c, &v, WEFT_NOW), 1);
	EXPECT_EQ(v, 2);
	for (int i = 0; i < 3; i++) {
		v = 9;
		EXPECT_EQ(weft_chan_recv(c, &v, i == 0 ? WEFT_NOW : WEFT_FOREVER), 0);
		EXPECT_EQ(v, 0);
	}
	EXPECT_EQ(weft_chan_recv(c, NULL, WEFT_FOREVER), 0);
	EXPECT_EQ(weft_chan_send(c, &v, WEFT_FOREVER), -EPIPE);
	weft_chan_unref(c);
}

static void
close_it(void *c)
{
	weft_chan_close(c);
}

/* SCENARIOS 11: two owners of one channel is a bug in the program that must not pass. */
TEST(closing_twice_or_nil_panics)
{
	weft_chan *c = chan_int(1);
	char msg[64] = "";

	send_int(c, 5);
	EXPECT_EQ(weft_try(close_it, c, msg, sizeof(msg)), 0);
	EXPECT_EQ(weft_try(close_it, c, msg, sizeof(msg)), 1);
	EXPECT_STR(msg, "close of closed channel");
	EXPECT_EQ(weft_try(close_it, NULL, msg, sizeof(msg)), 1);
	EXPECT_STR(msg, "close of nil channel");

	/* Nothing is broken by it: the lock is free, the value is there. */
	EXPECT_EQ(recv_int(c), 5);
	EXPECT_EQ(weft_chan_recv(c, NULL, WEFT_FOREVER), 0);
	weft_chan_unref(c);
}

static void
close_twice(void *unused)
{
	weft_chan *c = weft_chan_new(0, 0);

	(void)unused;
	weft_chan_close(c);
	weft_chan_close(c);
}

/* SCENARIOS 11: and what the user of such a program sees. */
TEST(closing_twice_unrecovered_ends_the_process)
{
	struct child_result r = child_run(close_twice, NULL);

	EXPECT_EQ(r.status, 2);
	EXPECT_CONTAINS(r.err, "panic: close of closed channel");
	child_result_free(&r);
	r = child_run(close_it, NULL);
	EXPECT_EQ(r.status, 2);
	EXPECT_CONTAINS(r.err, "panic: close of nil channel");
	child_result_free(&r);
}

/* SCENARIOS 14: a nil channel switches a case off; it must never be ready, nor spin. */
TEST(a_null_channel_is_never_ready)
{
	struct peer r = {.c = NULL, .done = NULL};
	struct peer s = {.c = NULL, .done = NULL};
	int64_t until;
	int v = 3;

	EXPECT_EQ(weft_chan_recv(NULL, &v, WEFT_NOW), -ETIMEDOUT);
	EXPECT_EQ(weft_chan_send(NULL, &v, WEFT_NOW), -ETIMEDOUT);
	EXPECT_EQ(weft_chan_recv(NULL, &v, -5), -ETIMEDOUT);
	EXPECT_EQ(try_select_recv(NULL), -ETIMEDOUT);
	EXPECT_EQ(try_select_send(NULL), -ETIMEDOUT);

	until = weft_in(2 * MS);
	EXPECT_EQ(weft_chan_recv(NULL, &v, until), -ETIMEDOUT);
	EXPECT(weft_now() >= until);
	until = weft_in(2 * MS);
	EXPECT_EQ(weft_chan_send(NULL, &v, until), -ETIMEDOUT);
	EXPECT(weft_now() >= until);
	EXPECT_EQ(v, 3);

	go(recv_one, &r);
	go(send_one, &s);
	await_count(&r.entered, 1);
	await_count(&s.entered, 1);
	weft_sleep(2 * MS);
	EXPECT_EQ(atomic_load(&r.returned), 0);
	EXPECT_EQ(atomic_load(&s.returned), 0);
}

/* SCENARIOS 20: a size that wraps gives a buffer that the first sends run past. */
TEST(a_size_that_overflows_is_refused)
{
	EXPECT(weft_chan_new(SIZE_MAX, 2) == NULL);
	EXPECT(weft_chan_new(2, SIZE_MAX) == NULL);
	EXPECT(weft_chan_new(SIZE_MAX, SIZE_MAX) == NULL);
	EXPECT(weft_chan_new((size_t)1 << 33, (size_t)1 << 33) == NULL);
	EXPECT(weft_chan_new(1, SIZE_MAX - 8) == NULL);
	EXPECT(weft_chan_new(1, PTRDIFF_MAX) == NULL);
	/* But an element that needs no room may be counted to any number. */
	weft_chan *c = chan_make(0, SIZE_MAX);

	EXPECT_EQ(weft_chan_send(c, NULL, WEFT_NOW), 0);
	EXPECT_EQ(weft_chan_len(c), 1);
	EXPECT_EQ(weft_chan_recv(c, NULL, WEFT_NOW), 1);
	EXPECT_EQ(weft_chan_recv(c, NULL, WEFT_NOW), -ETIMEDOUT);
	weft_chan_unref(c);
}

/* ---- Element sizes ---- */

static const size_t elem_sizes[] = {
    1, 2, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 24, 32, 100, 4096, 100000};

/* A pattern that depends on place and seed, so that a short or shifted copy shows. */
static void
fill(unsigned char *p, size_t n, unsigned seed)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (unsigned char)(i * 7 + (i >> 8) + seed);
}

static void
expect_filled(const unsigned char *p, size_t n, unsigned seed)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] != (unsigned char)(i * 7 + (i >> 8) + seed))
			FAIL("size %zu: byte %zu is %d", n, i, p[i]);
}

struct sized {
	weft_chan *c, *done;
	size_t size;
};

static void
recv_sized(void *arg)
{
	struct sized *s = arg;
	unsigned char *buf = malloc(s->size + 2);

	for (unsigned i = 0; i < 2; i++) {
		memset(buf, 0xee, s->size + 2);
		EXPECT_EQ(weft_chan_recv(s->c, buf + 1, WEFT_FOREVER), 1);
		EXPECT_EQ(buf[0], 0xee);
		EXPECT_EQ(buf[s->size + 1], 0xee);
		expect_filled(buf + 1, s->size, i);
	}
	free(buf);
	signal_one(s->done);
}

static void
send_sized(void *arg)
{
	struct sized *s = arg;
	unsigned char *buf = malloc(s->size);

	for (unsigned i = 0; i < 2; i++) {
		fill(buf, s->size, i);
		EXPECT_EQ(weft_chan_send(s->c, buf, WEFT_FOREVER), 0);
		memset(buf, 0xdd, s->size); /* it is the receiver's now, a copy */
	}
	free(buf);
	signal_one(s->done);
}

/* Not waiting, again and again, until the peer is there. Others run in between. */
static void
retry(int (*op)(struct sized *, unsigned char *), struct sized *s, unsigned char *buf, int want)
{
	int r;

	while ((r = op(s, buf)) == -ETIMEDOUT)
		weft_yield();
	EXPECT_EQ(r, want);
}

static int
op_send(struct sized *s, unsigned char *buf)
{
	return weft_chan_send(s->c, buf, WEFT_NOW);
}

static int
op_recv(struct sized *s, unsigned char *buf)
{
	return weft_chan_recv(s->c, buf, WEFT_NOW);
}

/* SCENARIOS 18: each size takes its own way through the copy; all must copy all, and no more. */
static void
sizes_not_waiting(void)
{
	unsigned char *buf = malloc(100000);

	for (size_t i = 0; i < sizeof(elem_sizes) / sizeof(elem_sizes[0]); i++) {
		struct sized s = {NULL, chan_signal(0), elem_sizes[i]};

		/* Straight into the peer's frame, and out of it. */
		s.c = chan_make(s.size, 0);
		EXPECT_EQ(op_send(&s, buf), -ETIMEDOUT);
		EXPECT_EQ(op_recv(&s, buf), -ETIMEDOUT);
		go(recv_sized, &s);
		for (unsigned n = 0; n < 2; n++) {
			fill(buf, s.size, n);
			retry(op_send, &s, buf, 0);
		}
		await(s.done, 1);
		go(send_sized, &s);
		for (unsigned n = 0; n < 2; n++) {
			retry(op_recv, &s, buf, 1);
			expect_filled(buf, s.size, n);
		}
		await(s.done, 1);
		weft_chan_unref(s.c);

		/* Through a buffer of one. */
		s.c = chan_make(s.size, 1);
		EXPECT_EQ(op_recv(&s, buf), -ETIMEDOUT);
		fill(buf, s.size, 40);
		EXPECT_EQ(op_send(&s, buf), 0);
		EXPECT_EQ(op_send(&s, buf), -ETIMEDOUT);
		memset(buf, 0, s.size);
		EXPECT_EQ(op_recv(&s, buf), 1);
		expect_filled(buf, s.size, 40);
		EXPECT_EQ(op_recv(&s, buf), -ETIMEDOUT);
		go(send_sized, &s);
		for (unsigned n = 0; n < 2; n++) {
			retry(op_recv, &s, buf, 1);
			expect_filled(buf, s.size, n);
		}
		await(s.done, 1);

		/* The zeroes of a closed one, and nothing beyond them. */
		weft_chan_close(s.c);
		memset(buf, 0xee, s.size + (s.size < 100000));
		EXPECT_EQ(op_recv(&s, buf), 0);
		for (size_t k = 0; k < s.size; k++)
			EXPECT_EQ(buf[k], 0);
		if (s.size < 100000)
			EXPECT_EQ(buf[s.size], 0xee);
		weft_chan_unref(s.c);
		weft_chan_unref(s.done);
	}
	free(buf);
}

TEST(elements_of_all_sizes)
{
	on_1_2_4_procs(sizes_not_waiting);
}

/* A receiver may drop the element, in every way it can come. */
static void
drop_elements(void)
{
	struct stream s = {chan_int(0), chan_signal(0), 10};
	weft_chan *buffered = chan_int(2);

	go(send_stream, &s);
	for (int i = 0; i < s.n; i++)
		EXPECT_EQ(weft_chan_recv(s.c, NULL, WEFT_FOREVER), 1);
	await(s.done, 1);

	send_int(buffered, 1);
	send_int(buffered, 2);
	EXPECT_EQ(weft_chan_recv(buffered, NULL, WEFT_FOREVER), 1);
	EXPECT_EQ(recv_int(buffered), 2);
	weft_chan_unref(s.c);
	weft_chan_unref(s.done);
	weft_chan_unref(buffered);
}

TEST(an_element_may_be_dropped)
{
	on_1_2_4_procs(drop_elements);
}

/* ---- References ---- */

/* RELIABILITY 109: a count that wraps frees a channel that is in use. */
TEST(a_million_references)
{
	weft_chan *c = chan_int(1);

	for (int i = 0; i < 1000000; i++)
		EXPECT(weft_chan_ref(c) == c);
	for (int i = 0; i < 1000000; i++)
		weft_chan_unref(c);
	send_int(c, 4);
	EXPECT_EQ(recv_int(c), 4);
	weft_chan_unref(c);
	weft_chan_unref(NULL);
	EXPECT(weft_chan_ref(NULL) == NULL);
}

static void
hold_and_drop(void *arg)
{
	struct stream *s = arg;
	weft_chan *c = s->c, *done = s->done;

	for (int i = 0; i < s->n; i++) {
		weft_chan_ref(c);
		weft_chan_unref(c);
	}
	weft_chan_send(done, NULL, WEFT_FOREVER);
	weft_chan_unref(c);
}

static void
last_unref_frees(void)
{
	struct stream s = {chan_int(4), chan_signal(8), scaled(20000)};

	send_int(s.c, 1);
	for (int i = 0; i < 8; i++) {
		weft_chan_ref(s.c);
		go(hold_and_drop, &s);
	}
	weft_chan_unref(s.c); /* one of the eight frees it */
	await(s.done, 8);
	weft_chan_unref(s.done);
}

TEST(the_last_reference_frees_from_any_goroutine)
{
	on_1_2_4_procs(last_unref_frees);
}

static void
drop_under_a_receiver(void *unused)
{
	static struct peer p;

	(void)unused;
	p.c = weft_chan_new(sizeof(int), 0);
	p.done = weft_chan_new(0, 0);
	go(recv_one, &p);
	await_count(&p.entered, 1);
	weft_sleep(20 * MS);
	weft_chan_unref(p.c);
}

/* The receiver's frame is on a queue in memory that would be given back: say so, loudly. */
TEST(freeing_a_channel_that_is_waited_on_is_fatal)
{
	struct child_result r = child_run(drop_under_a_receiver, NULL);

	EXPECT_EQ(r.status, 2);
	EXPECT_CONTAINS(r.err, "fatal error: chan: last reference dropped while goroutines wait");
	child_result_free(&r);
}

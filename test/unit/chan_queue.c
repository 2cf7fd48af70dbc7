/*
 * Who stands on a channel's queues, in which order, and that nobody stays there. Looks inside,
 * because from outside "it waits now" can't be told from "it will wait". SCENARIOS 30, RELIABILITY
 * 92; src/chan/README.md, "What holds while nobody has the lock".
 */
#include "../spec/chan_util.h"
#include "chan/chan.h"
#include "sched/self.h"

static int
queue_len(struct weft_chan *c, struct waitq *q)
{
	int n = 0;

	wf_enter();
	(void)wf_kept_lock(&c->lock, 0);
	for (struct waiter *w = q->head; w != NULL; w = w->next) {
		EXPECT(w->queued);
		EXPECT(w->next == NULL ? q->tail == w : w->next->prev == w);
		n++;
	}
	EXPECT_EQ(q->head == NULL, q->tail == NULL);
	EXPECT_EQ(wf_load_relaxed(&c->has_sender), c->sendq.head != NULL);
	EXPECT_EQ(wf_load_relaxed(&c->has_receiver), c->recvq.head != NULL);
	wf_kept_unlock(&c->lock, 0);
	wf_leave();
	return n;
}

static void
await_receivers(struct weft_chan *c, int n)
{
	while (queue_len(c, &c->recvq) != n)
		weft_yield();
}

static void
await_senders(struct weft_chan *c, int n)
{
	while (queue_len(c, &c->sendq) != n)
		weft_yield();
}

static void
expect_nobody(struct weft_chan *c)
{
	EXPECT_EQ(queue_len(c, &c->recvq), 0);
	EXPECT_EQ(queue_len(c, &c->sendq), 0);
}

#define PEERS 10

struct peer {
	weft_chan *c, *done;
	int value, result;
};

static void
send_value(void *arg)
{
	struct peer *p = arg;

	p->result = weft_chan_send(p->c, &p->value, WEFT_FOREVER);
	signal_one(p->done);
}

static void
recv_value(void *arg)
{
	struct peer *p = arg;

	p->result = weft_chan_recv(p->c, &p->value, WEFT_FOREVER);
	signal_one(p->done);
}

/* SCENARIOS 30: each receive from a full buffer lets the oldest sender in, behind all others. */
static void
senders_in_order(void)
{
	for (int cap = 0; cap < 4; cap++) {
		struct peer p[PEERS];
		weft_chan *c = chan_int((size_t)cap), *done = chan_signal(PEERS);

		for (int i = 0; i < cap; i++)
			send_int(c, i);
		for (int i = 0; i < PEERS; i++) {
			p[i] = (struct peer){c, done, cap + i, -1};
			go(send_value, &p[i]);
			await_senders(c, i + 1);
		}
		for (int i = 0; i < cap + PEERS; i++) {
			EXPECT_EQ(weft_chan_len(c), i < PEERS ? cap : cap + PEERS - i);
			EXPECT_EQ(recv_int(c), i);
			EXPECT_EQ(queue_len(c, &c->sendq), i < PEERS ? PEERS - i - 1 : 0);
		}
		await(done, PEERS);
		for (int i = 0; i < PEERS; i++)
			EXPECT_EQ(p[i].result, 0);
		expect_nobody(c);
		weft_chan_unref(c);
		weft_chan_unref(done);
	}
}

TEST(blocked_senders_are_served_in_order)
{
	on_1_2_4_procs(senders_in_order);
}

static void
receivers_in_order(void)
{
	for (size_t cap = 0; cap < 3; cap++) {
		struct peer p[PEERS];
		weft_chan *c = chan_int(cap), *done = chan_signal(PEERS);

		for (int i = 0; i < PEERS; i++) {
			p[i] = (struct peer){c, done, -1, -1};
			go(recv_value, &p[i]);
			await_receivers(c, i + 1);
		}
		for (int i = 0; i < PEERS; i++) {
			send_int(c, i);
			/* Handed over, not put into the buffer for anybody to take. */
			EXPECT_EQ(weft_chan_len(c), 0);
		}
		await(done, PEERS);
		for (int i = 0; i < PEERS; i++) {
			EXPECT_EQ(p[i].value, i);
			EXPECT_EQ(p[i].result, 1);
		}
		expect_nobody(c);
		weft_chan_unref(c);
		weft_chan_unref(done);
	}
}

TEST(blocked_receivers_are_served_in_order)
{
	on_1_2_4_procs(receivers_in_order);
}

static int
send_in_scope(void *arg)
{
	send_value(arg);
	return 0;
}

/* Those who give up leave the middle of the queue; the others keep their order. */
static void
some_give_up(void)
{
	struct peer p[PEERS];
	weft_chan *c = chan_int(0), *done = chan_signal(PEERS);
	weft_scope *scope = weft_scope_new(NULL, WEFT_FOREVER);

	for (int i = 0; i < PEERS; i++) {
		p[i] = (struct peer){c, done, i, -1};
		if (i % 3 == 1)
			EXPECT_EQ(weft_scope_go(scope, send_in_scope, &p[i]), 0);
		else
			go(send_value, &p[i]);
		await_senders(c, i + 1);
	}
	weft_scope_cancel(scope, -ECANCELED);
	await(done, 3); /* 1, 4, 7 */
	EXPECT_EQ(queue_len(c, &c->sendq), PEERS - 3);
	for (int i = 0; i < PEERS; i++) {
		if (i % 3 == 1)
			EXPECT_EQ(p[i].result, -ECANCELED);
		else
			EXPECT_EQ(recv_int(c), i);
	}
	await(done, PEERS - 3);
	expect_nobody(c);
	weft_scope_free(scope);
	weft_chan_unref(c);
	weft_chan_unref(done);
}

TEST(who_gives_up_leaves_the_others_in_order)
{
	on_1_2_4_procs(some_give_up);
}

static int
recv_in_scope(void *arg)
{
	recv_value(arg);
	return 0;
}

static int
select_in_scope(void *arg)
{
	struct peer *p = arg;
	weft_case cases[] = {WEFT_SEND(p->c, &p->value), WEFT_RECV(p->c, NULL)};

	p->result = weft_select(cases, 2, WEFT_FOREVER);
	signal_one(p->done);
	return 0;
}

/* When the only one gives up, those who look without the lock must see an empty queue again. */
static void
the_only_one_gives_up(void)
{
	static int (*const waits[])(void *) = {send_in_scope, recv_in_scope, select_in_scope};

	for (size_t i = 0; i < 3; i++) {
		struct peer p = {chan_int(0), chan_signal(1), 1, -1};
		weft_scope *scope = weft_scope_new(NULL, WEFT_FOREVER);

		EXPECT_EQ(weft_scope_go(scope, waits[i], &p), 0);
		if (i != 1)
			await_senders(p.c, 1);
		if (i != 0)
			await_receivers(p.c, 1);
		weft_scope_cancel(scope, -ECANCELED);
		await(p.done, 1);
		EXPECT_EQ(p.result, -ECANCELED);
		expect_nobody(p.c);
		weft_scope_free(scope);
		weft_chan_unref(p.c);
		weft_chan_unref(p.done);
	}
}

TEST(the_only_waiter_leaves_an_empty_queue)
{
	on_1_2_4_procs(the_only_one_gives_up);
}

/* ---- Selects on the queues ---- */

struct selector {
	weft_chan *a, *b, *done;
	int went, res;
};

static void
select_three(void *arg)
{
	struct selector *s = arg;
	int v = 9;
	weft_case cases[] = {WEFT_RECV(s->a, NULL), WEFT_RECV(s->b, NULL), WEFT_SEND(s->b, &v),
	    WEFT_RECV(s->a, NULL)};

	s->went = weft_select(cases, 4, WEFT_FOREVER);
	s->res = cases[s->went].res;
	signal_one(s->done);
}

/* A select waits in each of its queues once per case; when one has gone, in none. */
static void
selects_queue(void)
{
	for (int how = 0; how < 4; how++) {
		struct selector s = {chan_int(0), chan_int(0), chan_signal(0), -1, -1};

		go(select_three, &s);
		await_receivers(s.a, 2);
		await_receivers(s.b, 1);
		await_senders(s.b, 1);
		EXPECT_EQ(queue_len(s.a, &s.a->sendq), 0);
		switch (how) {
		case 0:
			send_int(s.a, 1);
			break;
		case 1:
			send_int(s.b, 1);
			break;
		case 2:
			EXPECT_EQ(recv_int(s.b), 9);
			break;
		default:
			weft_chan_close(s.a);
			break;
		}
		await(s.done, 1);
		if (how == 1 || how == 2)
			EXPECT_EQ(s.went, how);
		else
			EXPECT(s.went == 0 || s.went == 3);
		EXPECT_EQ(s.res, how < 2);
		expect_nobody(s.a);
		expect_nobody(s.b);
		weft_chan_unref(s.a);
		weft_chan_unref(s.b);
		weft_chan_unref(s.done);
	}
}

TEST(a_select_stands_on_each_queue_and_leaves_all)
{
	on_1_2_4_procs(selects_queue);
}

/* RELIABILITY 92: whatever the outcome, thousands of times, no waiter stays behind on a queue. */
static void
nobody_stays(void)
{
	weft_chan *a = chan_int(0), *b = chan_int(2);
	int rounds = scaled(500);

	for (int i = 0; i < rounds; i++) {
		struct selector s = {a, b, chan_signal(0), -1, -1};
		int v = 0;
		weft_case cases[] = {WEFT_SEND(a, &v), WEFT_RECV(b, &v), WEFT_RECV(a, &v)};

		go(select_three, &s);
		while (weft_select(cases, 3, weft_in(20 * US)) < 0)
			;
		while (weft_select(cases + 1, 1, WEFT_NOW) >= 0)
			;
		/* b has room, so the other select always finds something in the end. */
		await(s.done, 1);
		expect_nobody(a);
		expect_nobody(b);
		while (weft_chan_recv(b, NULL, WEFT_NOW) == 1)
			;
		weft_chan_unref(s.done);
	}
	weft_chan_unref(a);
	weft_chan_unref(b);
}

TEST(nobody_stays_on_a_queue)
{
	on_1_2_4_procs(nobody_stays);
}

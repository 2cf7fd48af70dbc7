/*
 * The windows between two steps of a channel's protocols, held open (src/chan/README.md: "After the
 * wait", S6 against S7, L1 to L3). What a race would hit once in a million, these hit each time.
 * RELIABILITY 91, 93, 94.
 */
#include "../spec/chan_util.h"
#include "chan/chan.h"
#include "hold.h"

struct op {
	weft_chan *a, *b, *done;
	weft_chan *many[6];
	int value, result, went;
	_Atomic int ended;
	int64_t deadline;
	void (*fn)(void *);
	weft_scope *scope;
};

static struct op
op_new(size_t cap)
{
	weft_gomaxprocs(4);
	return (struct op){.a = chan_int(cap),
	    .b = chan_int(cap),
	    .done = chan_signal(4),
	    .value = -1,
	    .deadline = WEFT_FOREVER};
}

static void
op_free(struct op *o)
{
	weft_chan_unref(o->a);
	weft_chan_unref(o->b);
	weft_chan_unref(o->done);
}

static void
op_end(struct op *o, int result)
{
	o->result = result;
	atomic_store(&o->ended, 1);
	signal_one(o->done);
}

static void
recv_a(void *arg)
{
	struct op *o = arg;

	op_end(o, weft_chan_recv(o->a, &o->value, o->deadline));
}

static void
recv_b(void *arg)
{
	struct op *o = arg;

	op_end(o, weft_chan_recv(o->b, &o->value, o->deadline));
}

static void
send_a(void *arg)
{
	struct op *o = arg;

	op_end(o, weft_chan_send(o->a, &o->value, o->deadline));
}

static void
select_ab(void *arg)
{
	struct op *o = arg;
	weft_case cases[] = {WEFT_RECV(o->a, &o->value), WEFT_RECV(o->b, NULL)};

	o->went = weft_select(cases, 2, o->deadline);
	op_end(o, o->went < 0 ? o->went : cases[o->went].res);
}

static int
run_in_scope(void *arg)
{
	struct op *o = arg;

	o->fn(o);
	return 0;
}

/*
 * Starts fn, which is to wait for o->a, and ends its wait once it does: by cancelling its scope,
 * because a deadline could pass before it waits. Both take the same way.
 */
static void
start_and_give_up(struct op *o, void (*fn)(void *), _Atomic bool *waits)
{
	o->fn = fn;
	o->scope = weft_scope_new(NULL, WEFT_FOREVER);
	EXPECT(o->scope != NULL);
	EXPECT_EQ(weft_scope_go(o->scope, run_in_scope, o), 0);
	while (!atomic_load(waits))
		weft_yield();
	weft_scope_cancel(o->scope, -ECANCELED);
}

static void
await_flag(_Atomic bool *flag)
{
	while (!atomic_load(flag))
		weft_yield();
}

/* L3: it looked empty, then a value came, then the close. "Closed" would lose the value. */
TEST(a_value_between_the_look_and_the_close)
{
	struct op o = op_new(1);

	o.deadline = WEFT_NOW;
	hold_at("chan.looked");
	go(recv_a, &o);
	hold_await("chan.looked");
	send_int(o.a, 5);
	weft_chan_close(o.a);
	hold_release("chan.looked");
	await(o.done, 1);
	EXPECT_EQ(o.result, 1);
	EXPECT_EQ(o.value, 5);
	op_free(&o);
}

/* L2: it looked empty, and was closed before it could say "not now": then it says closed. */
TEST(a_close_after_the_look)
{
	struct op o = op_new(0), s = op_new(0);

	o.deadline = s.deadline = WEFT_NOW;
	hold_at("chan.looked");
	go(recv_a, &o);
	hold_await("chan.looked");
	weft_chan_close(o.a);
	hold_release("chan.looked");
	await(o.done, 1);
	EXPECT_EQ(o.result, 0);
	EXPECT_EQ(o.value, 0);

	hold_at("chan.looked");
	go(send_a, &s);
	hold_await("chan.looked");
	weft_chan_close(s.a);
	hold_release("chan.looked");
	await(s.done, 1);
	EXPECT_EQ(s.result, -EPIPE);
	op_free(&o);
	op_free(&s);
}

/*
 * The scope (or a deadline) has claimed a receiver, which has not removed itself yet. A send must
 * not count it as one, and must find the one behind it.
 */
TEST(a_receiver_that_gave_up_is_passed_over)
{
	struct op late = op_new(0), next = late;
	int v = 6;

	hold_at("chan.gave_up");
	start_and_give_up(&late, recv_a, &late.a->has_receiver);
	hold_await("chan.gave_up");
	EXPECT(atomic_load(&late.a->has_receiver));

	EXPECT_EQ(weft_chan_send(late.a, &v, WEFT_NOW), -ETIMEDOUT);
	EXPECT(!atomic_load(&late.a->has_receiver));
	go(recv_a, &next);
	await_flag(&late.a->has_receiver);
	EXPECT_EQ(weft_chan_send(late.a, &v, WEFT_NOW), 0);
	await(late.done, 1);
	EXPECT_EQ(next.result, 1);
	EXPECT_EQ(next.value, 6);

	hold_release("chan.gave_up");
	await(late.done, 1);
	EXPECT_EQ(late.result, -ECANCELED);
	weft_scope_free(late.scope);
	EXPECT_EQ(late.value, -1);
	op_free(&late);
}

/* The same for a sender: what it had must not be received once it is to say that nobody did. */
TEST(a_sender_that_gave_up_is_passed_over)
{
	struct op late = op_new(0), next = late;
	int v = -1;

	late.value = 7;
	hold_at("chan.gave_up");
	start_and_give_up(&late, send_a, &late.a->has_sender);
	hold_await("chan.gave_up");

	next.value = 8;
	go(send_a, &next);
	EXPECT_EQ(weft_chan_recv(late.a, &v, WEFT_FOREVER), 1);
	EXPECT_EQ(v, 8);
	await(late.done, 1);
	EXPECT_EQ(next.result, 0);
	EXPECT_EQ(weft_chan_recv(late.a, &v, WEFT_NOW), -ETIMEDOUT);

	hold_release("chan.gave_up");
	await(late.done, 1);
	EXPECT_EQ(late.result, -ECANCELED);
	weft_scope_free(late.scope);
	EXPECT(!atomic_load(&late.a->has_sender));
	op_free(&late);
}

/* Nor by a close, which would tell it -EPIPE after the scope has spoken. */
TEST(a_close_leaves_a_receiver_that_gave_up_alone)
{
	struct op late = op_new(0);

	hold_at("chan.gave_up");
	start_and_give_up(&late, recv_a, &late.a->has_receiver);
	hold_await("chan.gave_up");
	weft_chan_close(late.a);
	EXPECT(!atomic_load(&late.a->has_receiver));
	hold_release("chan.gave_up");
	await(late.done, 1);
	EXPECT_EQ(late.result, -ECANCELED);
	weft_scope_free(late.scope);
	EXPECT_EQ(late.value, -1);
	op_free(&late);
}

static void
close_a(void *arg)
{
	weft_chan_close(arg);
}

/*
 * A closer has a waiter on its list and has not come to it (Y1, Y2) when the waiter's scope ends
 * its wait. It must stay until it has been passed, in a plain operation and in a select: the
 * closer will read its frame.
 */
static void
give_up_on_the_closers_list(void (*fn)(void *), bool sends)
{
	struct op o = op_new(0);

	o.scope = weft_scope_new(NULL, WEFT_FOREVER);
	o.fn = fn;
	EXPECT_EQ(weft_scope_go(o.scope, run_in_scope, &o), 0);
	await_flag(sends ? &o.a->has_sender : &o.a->has_receiver);
	hold_at("chan.closed");
	go(close_a, o.a);
	hold_await("chan.closed");
	weft_scope_cancel(o.scope, -ECANCELED);
	weft_sleep(5 * MS);
	EXPECT_EQ(atomic_load(&o.ended), 0);
	hold_release("chan.closed");
	await(o.done, 1);
	EXPECT_EQ(o.result, -ECANCELED);
	EXPECT_EQ(o.value, -1);
	weft_scope_free(o.scope);
	op_free(&o);
}

TEST(a_waiter_on_a_closers_list_waits_until_it_is_passed)
{
	give_up_on_the_closers_list(recv_a, false);
	give_up_on_the_closers_list(send_a, true);
	give_up_on_the_closers_list(select_ab, false);
}

/* RELIABILITY 93: a has won the select; b's value must go to the receiver behind it on b. */
TEST(a_select_that_has_gone_is_passed_over)
{
	struct op s = op_new(0), r = s;
	int v = 9;

	hold_at("select.woken");
	go(select_ab, &s);
	await_flag(&s.b->has_receiver);
	send_int(s.a, 3);
	hold_await("select.woken");

	EXPECT(atomic_load(&s.b->has_receiver));
	EXPECT_EQ(weft_chan_send(s.b, &v, WEFT_NOW), -ETIMEDOUT);
	go(recv_b, &r);
	send_int(s.b, 10);
	await(s.done, 1);
	EXPECT_EQ(r.result, 1);
	EXPECT_EQ(r.value, 10);
	weft_chan_close(s.b);

	hold_release("select.woken");
	await(s.done, 1);
	EXPECT_EQ(s.went, 0);
	EXPECT_EQ(s.result, 1);
	EXPECT_EQ(s.value, 3);
	op_free(&s);
}

/* The same when the scope has won. */
TEST(a_select_that_gave_up_is_passed_over)
{
	struct op s = op_new(0);
	int v = 9;

	hold_at("select.woken");
	start_and_give_up(&s, select_ab, &s.b->has_receiver);
	hold_await("select.woken");
	EXPECT_EQ(weft_chan_send(s.a, &v, WEFT_NOW), -ETIMEDOUT);
	weft_chan_close(s.b);
	hold_release("select.woken");
	await(s.done, 1);
	EXPECT_EQ(s.went, -ECANCELED);
	weft_scope_free(s.scope);
	EXPECT_EQ(s.value, -1);
	EXPECT(!atomic_load(&s.a->has_receiver));
	EXPECT(!atomic_load(&s.b->has_receiver));
	op_free(&s);
}

#define MANY 6

static void
select_many(void *arg)
{
	struct op *o = arg;
	int v[MANY];
	weft_case cases[MANY];

	for (int i = 0; i < MANY; i++) {
		v[i] = -1;
		cases[i] = WEFT_RECV(o->many[i], &v[i]);
	}
	o->went = weft_select(cases, MANY, WEFT_FOREVER);
	o->value = v[o->went];
	op_end(o, cases[o->went].res);
}

/*
 * RELIABILITY 91, 94; S6 against S7. A select is parked and unlocks its channels, the highest
 * address first. Through that one it is claimed and readied at once, while the rest are still
 * locked. If it went on, its frame with the list of what to unlock would be gone.
 */
TEST(a_select_woken_before_it_has_unlocked_all)
{
	struct op s = op_new(0);
	int highest = 0;

	for (int i = 0; i < MANY; i++) {
		s.many[i] = chan_int(0);
		if ((uintptr_t)s.many[i] > (uintptr_t)s.many[highest])
			highest = i;
	}
	hold_at("select.unlocked_one");
	go(select_many, &s);
	hold_await("select.unlocked_one");

	send_int(s.many[highest], 44);
	for (int i = 0; i < 100; i++)
		weft_yield();
	weft_sleep(2 * MS);
	EXPECT_EQ(atomic_load(&s.ended), 0);

	hold_release("select.unlocked_one");
	await(s.done, 1);
	EXPECT_EQ(s.went, highest);
	EXPECT_EQ(s.result, 1);
	EXPECT_EQ(s.value, 44);
	for (int i = 0; i < MANY; i++) {
		EXPECT(!atomic_load(&s.many[i]->has_receiver));
		weft_chan_unref(s.many[i]);
	}
	op_free(&s);
}

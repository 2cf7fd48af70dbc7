/*
 * Selects of two channels that a processor keeps (src/chan/README.md, "Two that are kept"): each
 * way in which such a wait ends, and the window between its two unlocks.
 *
 * ctest: nomembarrier
 */
#include "elsewhere.h"
#include "hold.h"
#include "test.h"

#include <errno.h>
#include <pthread.h>
#include <weft.h>
#include "chan/chan.h"

#define ROUNDS 1000

/* a is at the lower address: of both ways to wait, each unlocks b first. */
struct pair {
	weft_chan *a, *b;
	weft_waitgroup all;
	_Atomic bool is_over;
	int64_t deadline;
	int op;
	int value, went, result;
};

static struct pair
pair_new(int procs)
{
	weft_chan *c = weft_chan_new(sizeof(int), 0), *d = weft_chan_new(sizeof(int), 0);
	bool swap = (uintptr_t)c > (uintptr_t)d;

	weft_gomaxprocs(procs);
	return (struct pair){.a = swap ? d : c,
	    .b = swap ? c : d,
	    .deadline = WEFT_FOREVER,
	    .op = WEFT_OP_RECV,
	    .value = -1};
}

static void
pair_free(struct pair *p)
{
	EXPECT(p->a->recvq.head == NULL && p->a->sendq.head == NULL);
	EXPECT(p->b->recvq.head == NULL && p->b->sendq.head == NULL);
	EXPECT(!wf_load_acquire(&p->a->has_receiver) && !wf_load_acquire(&p->a->has_sender));
	EXPECT(!wf_load_acquire(&p->b->has_receiver) && !wf_load_acquire(&p->b->has_sender));
	weft_chan_unref(p->a);
	weft_chan_unref(p->b);
}

static void
start(void (*fn)(void *), struct pair *p)
{
	weft_waitgroup_add(&p->all, 1);
	EXPECT_EQ(weft_go(fn, p), 0);
}

static void
await_all(struct pair *p)
{
	EXPECT_EQ(weft_waitgroup_wait(&p->all, WEFT_FOREVER), 0);
}

/* The caller's P keeps both, which nobody else uses now. */
static void
keep(struct pair *p)
{
	wf_enter();
	if (wf_has_membarrier() && wf_p_number() != 0) {
		wf_store_release(&p->a->lock.word, WF_KEPT + wf_p_number());
		wf_store_release(&p->b->lock.word, WF_KEPT + wf_p_number());
	}
	wf_leave();
}

static void
select_once(void *arg)
{
	struct pair *p = arg;
	weft_case cases[] = {{.chan = p->a, .op = p->op, .elem = &p->value},
	    {.chan = p->b, .op = WEFT_OP_RECV, .elem = &p->value}};

	keep(p);
	p->went = weft_select(cases, 2, p->deadline);
	p->result = p->went >= 0 ? cases[p->went].res : 0;
	wf_store_release(&p->is_over, true);
	weft_waitgroup_done(&p->all);
}

/* Starts it, and returns when it waits. */
static void
start_and_await_wait(struct pair *p)
{
	start(select_once, p);
	while (!wf_load_acquire(&p->b->has_receiver))
		weft_yield();
}

/* Each channel in turn: who is still queued on the other when that is sent to is passed over. */
static void
feed(void *arg)
{
	struct pair *p = arg;

	for (int i = 0; i < ROUNDS; i++)
		EXPECT_EQ(weft_chan_send((i & 1) != 0 ? p->a : p->b, &i, WEFT_FOREVER), 0);
	weft_chan_close(p->a);
	weft_waitgroup_done(&p->all);
}

TEST(each_element_comes_once_and_in_order)
{
	struct pair p = pair_new(1);
	int got = 0, v = -1;

	keep(&p);
	start(feed, &p);
	for (;;) {
		weft_case cases[] = {{.chan = p.a, .op = WEFT_OP_RECV, .elem = &v},
		    {.chan = p.b, .op = WEFT_OP_RECV, .elem = &v}};
		int i = weft_select(cases, 2, WEFT_FOREVER);

		EXPECT(i == 0 || i == 1);
		if (cases[i].res == 0)
			break;
		EXPECT_EQ(v, got);
		EXPECT_EQ(i, (v & 1) == 0);
		got++;
	}
	EXPECT_EQ(got, ROUNDS);
	await_all(&p);
	pair_free(&p);
}

TEST(a_deadline_takes_it_off_both)
{
	struct pair p = pair_new(2);

	p.deadline = weft_now() + 1000000;
	start(select_once, &p);
	await_all(&p);
	EXPECT_EQ(p.went, -ETIMEDOUT);
	p.deadline = WEFT_NOW;
	start(select_once, &p);
	await_all(&p);
	EXPECT_EQ(p.went, -ETIMEDOUT);
	pair_free(&p);
}

TEST(a_close_tells_its_case)
{
	struct pair p = pair_new(2);

	start_and_await_wait(&p);
	weft_chan_close(p.b);
	await_all(&p);
	EXPECT_EQ(p.went, 1);
	EXPECT_EQ(p.result, 0);
	pair_free(&p);

	p = pair_new(2);
	p.op = WEFT_OP_SEND;
	start_and_await_wait(&p);
	weft_chan_close(p.a);
	await_all(&p);
	EXPECT_EQ(p.went, 0);
	EXPECT_EQ(p.result, -EPIPE);
	pair_free(&p);
}

TEST(what_is_sent_is_received_from_its_case)
{
	struct pair p = pair_new(2);
	int v = 0;

	p.op = WEFT_OP_SEND;
	p.value = 17;
	start_and_await_wait(&p);
	EXPECT_EQ(weft_chan_recv(p.a, &v, WEFT_FOREVER), 1);
	EXPECT_EQ(v, 17);
	await_all(&p);
	EXPECT_EQ(p.went, 0);
	EXPECT_EQ(p.result, 0);
	pair_free(&p);
}

/* It has gone by a, and may not have left b: nothing goes to it there. */
TEST(who_is_stale_gets_nothing)
{
	struct pair p = pair_new(1);
	int v = 1;

	start_and_await_wait(&p);
	EXPECT_EQ(weft_chan_send(p.a, &v, WEFT_FOREVER), 0);
	v = 2;
	EXPECT_EQ(weft_chan_send(p.b, &v, WEFT_NOW), -ETIMEDOUT);
	EXPECT(!wf_load_acquire(&p.b->has_receiver));
	await_all(&p);
	EXPECT_EQ(p.went, 0);
	EXPECT_EQ(p.value, 1);
	pair_free(&p);
}

static void *
send_to_b(void *arg)
{
	struct pair *p = arg;
	int v = 44;

	EXPECT_EQ(weft_chan_send(p->b, &v, WEFT_FOREVER), 0);
	return NULL;
}

/* S6 against S7: claimed by the one that is unlocked, it waits for the other before it goes on. */
TEST(one_woken_before_it_has_unlocked_both)
{
	struct pair p = pair_new(4);

	hold_at("select.unlocked_one");
	start(select_once, &p);
	hold_await("select.unlocked_one");
	elsewhere(send_to_b, &p);
	for (int i = 0; i < 1000; i++)	/* for it to go on, if it can */
		weft_yield();
	EXPECT(!wf_load_acquire(&p.is_over));
	hold_release("select.unlocked_one");
	await_all(&p);
	EXPECT_EQ(p.went, 1);
	EXPECT_EQ(p.result, 1);
	EXPECT_EQ(p.value, 44);
	pair_free(&p);
}

/*
 * Channels whose lock a processor keeps (src/sched/README.md, "Locks that a P keeps"): when that
 * begins, how each call on the channel ends it, and threads stopped between its steps. What every
 * order of every step may do is test/model/scenario/kept.c's.
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

struct stage {
	weft_chan *c, *other;
	weft_waitgroup all;
	_Atomic bool is_kept;
	_Atomic int n_over;
	int result;
};

static bool
is_kept(weft_chan *c)
{
	return wf_load_acquire(&c->lock.word) > WF_KEPT;
}

static void
start(void (*fn)(void *), struct stage *s)
{
	weft_waitgroup_add(&s->all, 1);
	EXPECT_EQ(weft_go(fn, s), 0);
}

static void
await_all(struct stage *s)
{
	EXPECT_EQ(weft_waitgroup_wait(&s->all, WEFT_FOREVER), 0);
}

/* The caller's P keeps c, which nobody else uses now. */
static void
keep(weft_chan *c)
{
	wf_enter();
	if (wf_p_number() != 0)
		wf_store_release(&c->lock.word, WF_KEPT + wf_p_number());
	wf_leave();
}

/* So many locks that it must be kept by then, unless the P is lost each time before. */
static void
use_until_kept(weft_chan *c)
{
	int v = 7;

	for (int i = 0; i < 1000000 && !is_kept(c); i++) {
		EXPECT_EQ(weft_chan_send(c, &v, WEFT_NOW), 0);
		EXPECT_EQ(weft_chan_recv(c, &v, WEFT_NOW), 1);
		if (!wf_has_membarrier() && i == 10000)
			break;
	}
	EXPECT_EQ(is_kept(c), wf_has_membarrier());
}

static void
use_until_kept_in_goroutine(void *p)
{
	struct stage *s = p;

	use_until_kept(s->c);
	weft_waitgroup_done(&s->all);
}

static void *
send_and_receive(void *p)
{
	struct stage *s = p;
	int v = 8;

	EXPECT_EQ(weft_chan_send(s->c, &v, WEFT_FOREVER), 0);
	EXPECT(!is_kept(s->c));
	v = 0;
	EXPECT_EQ(weft_chan_recv(s->c, &v, WEFT_FOREVER), 1);
	EXPECT_EQ(v, 8);
	return NULL;
}

/* Goroutines that have a channel to themselves keep it; others use it all the same. Again. */
TEST(who_uses_it_alone_keeps_it)
{
	struct stage s = {.c = weft_chan_new(sizeof(int), 1)};

	weft_gomaxprocs(4);
	for (int round = 0; round < 3; round++) {
		start(use_until_kept_in_goroutine, &s);
		await_all(&s);
		elsewhere(send_and_receive, &s);
	}
	weft_chan_unref(s.c);
}

static void *
use_much(void *p)
{
	struct stage *s = p;
	int v = 0;

	for (int i = 0; i < 10000; i++) {
		EXPECT_EQ(weft_chan_send(s->c, &v, WEFT_NOW), 0);
		EXPECT_EQ(weft_chan_recv(s->c, &v, WEFT_NOW), 1);
	}
	return NULL;
}

TEST(a_plain_thread_keeps_nothing)
{
	struct stage s = {.c = weft_chan_new(sizeof(int), 1)};

	EXPECT_EQ(weft_goid(), 1);
	elsewhere(use_much, &s);
	EXPECT(!is_kept(s.c));
	weft_chan_unref(s.c);
}

/* Each end of it makes the next one rarer. */
TEST(a_channel_that_others_want_is_kept_more_rarely)
{
	struct stage s = {.c = weft_chan_new(sizeof(int), 1)};

	EXPECT_EQ(weft_goid(), 1);
	if (wf_has_membarrier()) {
		unsigned before = s.c->patience;

		for (int i = 0; i < 10; i++) {
			keep(s.c);
			elsewhere(send_and_receive, &s);
		}
		EXPECT(s.c->patience > before);
		EXPECT(s.c->patience <= 4096);
	}
	weft_chan_unref(s.c);
}

/* Some other P's, say: nobody with that number is inside. */
static void
keep_elsewhere(weft_chan *c)
{
	wf_store_release(&c->lock.word, WF_KEPT + WF_SLOTS_OF_PS);
}

static void *
use_in_each_way(void *p)
{
	struct stage *s = p;
	int v = 3, w = 4;
	weft_case both[] = {{.chan = s->c, .op = WEFT_OP_RECV, .elem = &v},
	    {.chan = s->other, .op = WEFT_OP_RECV, .elem = &v}};
	weft_case many[9];

	keep_elsewhere(s->c);
	EXPECT_EQ(weft_chan_send(s->c, &v, WEFT_NOW), 0);
	keep_elsewhere(s->c);
	EXPECT_EQ(weft_chan_recv(s->c, &w, WEFT_NOW), 1);
	EXPECT_EQ(w, 3);
	/* A deadline that passes while it waits, in a receive and in selects. */
	keep_elsewhere(s->c);
	EXPECT_EQ(weft_chan_recv(s->c, &w, weft_now() + 1000), -ETIMEDOUT);
	keep_elsewhere(s->c);
	keep_elsewhere(s->other);
	EXPECT_EQ(weft_select(both, 2, weft_now() + 1000), -ETIMEDOUT);
	for (int i = 0; i < 9; i++)
		many[i] = both[i % 2];
	keep_elsewhere(s->c);
	keep_elsewhere(s->other);
	EXPECT_EQ(weft_select(many, 9, weft_now() + 1000), -ETIMEDOUT);
	keep_elsewhere(s->c);
	EXPECT_EQ(weft_chan_send(s->c, &v, WEFT_NOW), 0);
	keep_elsewhere(s->c);
	keep_elsewhere(s->other);
	EXPECT_EQ(weft_select(both, 2, WEFT_NOW), 0);
	keep_elsewhere(s->c);
	weft_chan_close(s->c);
	EXPECT(!is_kept(s->c));
	/* The last reference, of one that is closed. */
	keep_elsewhere(s->c);
	weft_chan_unref(s->c);
	return NULL;
}

TEST(each_call_ends_it)
{
	struct stage s = {.c = weft_chan_new(sizeof(int), 1),
	    .other = weft_chan_new(sizeof(int), 1)};

	EXPECT_EQ(weft_goid(), 1);
	if (!wf_has_membarrier()) {
		weft_chan_unref(s.c);
		weft_chan_unref(s.other);
		return;
	}
	elsewhere(use_in_each_way, &s);
	s.c = weft_chan_new(sizeof(int), 1);
	use_in_each_way(&s);
	weft_chan_unref(s.other);
}

/* ---- Windows ---- */

/* Again until it stood inside: its P may be taken away between the two calls. */
static void
send_kept(void *p)
{
	struct stage *s = p;
	int v = 5;

	do {
		keep(s->c);
		EXPECT_EQ(weft_chan_send(s->c, &v, WEFT_FOREVER), 0);
	} while (hold_count("kept.locked") == 0);
	weft_waitgroup_done(&s->all);
}

static void *
receive_one(void *p)
{
	struct stage *s = p;
	int v = 0;

	EXPECT_EQ(weft_chan_recv(s->c, &v, WEFT_FOREVER), 1);
	wf_store_release(&s->n_over, 1);
	EXPECT_EQ(v, 5);
	return NULL;
}

/* A keeper stands inside (Z2); another wants the channel, and waits for it (Z5). */
TEST(others_wait_for_a_keeper_that_is_inside)
{
	struct stage s = {.c = weft_chan_new(sizeof(int), 4096)};
	pthread_t t;

	weft_gomaxprocs(4);
	if (!wf_has_membarrier()) {
		weft_chan_unref(s.c);
		return;
	}
	hold_at("kept.locked");
	start(send_kept, &s);
	hold_await("kept.locked");
	hold_at("kept.fenced");
	EXPECT_EQ(pthread_create(&t, NULL, receive_one, &s), 0);
	hold_await("kept.fenced");
	hold_release("kept.fenced");
	for (int i = 0; i < 1000; i++)	/* for it to get in, if it can */
		weft_yield();
	hold_await_nap();
	EXPECT_EQ(wf_load_acquire(&s.n_over), 0);
	hold_release("kept.locked");
	EXPECT_EQ(pthread_join(t, NULL), 0);
	await_all(&s);
	weft_chan_unref(s.c);
}

static void *
send_one(void *p)
{
	struct stage *s = p;
	int v = 6;

	EXPECT_EQ(weft_chan_send(s->c, &v, WEFT_FOREVER), 0);
	return NULL;
}

static void
use_one(void *p)
{
	struct stage *s = p;
	int v = 0;

	EXPECT_EQ(weft_chan_recv(s->c, &v, WEFT_FOREVER), 1);
	wf_store_release(&s->n_over, 1);
	EXPECT_EQ(v, 6);
	weft_waitgroup_done(&s->all);
}

/* Another comes while somebody ends the keeping, with the membarrier over. */
TEST(who_comes_while_it_ends_waits)
{
	struct stage s = {.c = weft_chan_new(sizeof(int), 1)};
	pthread_t t;

	weft_gomaxprocs(4);
	if (!wf_has_membarrier()) {
		weft_chan_unref(s.c);
		return;
	}
	keep_elsewhere(s.c);
	hold_at("kept.fenced");
	EXPECT_EQ(pthread_create(&t, NULL, send_one, &s), 0);
	hold_await("kept.fenced");
	start(use_one, &s);
	for (int i = 0; i < 1000; i++)
		weft_yield();
	EXPECT_EQ(wf_load_acquire(&s.n_over), 0);
	hold_release("kept.fenced");
	EXPECT_EQ(pthread_join(t, NULL), 0);
	await_all(&s);
	weft_chan_unref(s.c);
}

/* ---- Many ---- */

#define USERS 6
#define BURSTS 20
#define BURST 500

static void
use_in_bursts(void *p)
{
	struct stage *s = p;
	long v;

	for (int i = 0; i < BURSTS; i++) {
		for (int j = 0; j < BURST; j++) {
			EXPECT_EQ(weft_chan_recv(s->c, &v, WEFT_FOREVER), 1);
			v++;
			if (j % 100 == 0)
				weft_yield();	/* it may wake up on another P */
			EXPECT_EQ(weft_chan_send(s->c, &v, WEFT_FOREVER), 0);
		}
		weft_yield();
	}
	weft_waitgroup_done(&s->all);
}

/* One element, which each takes, adds to, and puts back. */
TEST(bursts_on_all_processors)
{
	struct stage s = {.c = weft_chan_new(sizeof(long), 1)};
	long v = 0;

	weft_gomaxprocs(3);
	EXPECT_EQ(weft_chan_send(s.c, &v, WEFT_FOREVER), 0);
	for (int i = 0; i < USERS; i++)
		start(use_in_bursts, &s);
	await_all(&s);
	EXPECT_EQ(weft_chan_recv(s.c, &v, WEFT_FOREVER), 1);
	EXPECT_EQ(v, (long)USERS * BURSTS * BURST);
	weft_chan_unref(s.c);
}

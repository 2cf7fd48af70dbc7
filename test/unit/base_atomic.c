/*
 * The operations of src/base/atomic.h: what they do, what they return, and that none is torn or
 * lost between threads. What order they impose is told apart by test/model; here is what each order
 * is used for, with plain data beside it, so that TSan sees a missing edge.
 */
#include "base/atomic.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "test.h"

enum { THREADS = 4, ROUNDS = 200000 };

/* Runs fn(arg) on four threads that begin together. */
struct team {
	void (*fn)(int me);
	_Atomic int ready;
};

struct member {
	struct team *team;
	int me;
	pthread_t thread;
};

static void *
run_member(void *arg)
{
	struct member *m = arg;

	(void)wf_add_acqrel(&m->team->ready, 1);
	while (wf_load_acquire(&m->team->ready) < THREADS)
		sched_yield();
	m->team->fn(m->me);
	return NULL;
}

static void
on_four_threads(void (*fn)(int me))
{
	struct team team = { .fn = fn };
	struct member m[THREADS];

	for (int i = 0; i < THREADS; i++) {
		m[i].team = &team;
		m[i].me = i;
		EXPECT_EQ(pthread_create(&m[i].thread, NULL, run_member, &m[i]), 0);
	}
	for (int i = 0; i < THREADS; i++)
		EXPECT_EQ(pthread_join(m[i].thread, NULL), 0);
}

static int
rounds(void)
{
	return ROUNDS / test_scale();
}

/* ---- Counting ---- */

/* 64-bit counters count by this: a carry that is lost, or a half that is old, shows. */
#define STEP (((uint64_t)1 << 32) + 1)

static _Atomic uint32_t n32;
static _Atomic uint64_t n64;

static void
add_in_every_way(int me)
{
	(void)me;
	for (int i = 0; i < rounds(); i += 5) {
		(void)wf_add_relaxed(&n32, 1u);
		(void)wf_add_acquire(&n32, 1u);
		(void)wf_add_release(&n32, 1u);
		(void)wf_add_acqrel(&n32, 1u);
		(void)wf_add_seqcst(&n32, 1u);
		(void)wf_add_relaxed(&n64, STEP);
		(void)wf_add_acquire(&n64, STEP);
		(void)wf_add_release(&n64, STEP);
		(void)wf_add_acqrel(&n64, STEP);
		(void)wf_add_seqcst(&n64, STEP);
	}
}

static void
subtract_in_every_way(int me)
{
	(void)me;
	for (int i = 0; i < rounds(); i += 4) {
		(void)wf_sub_relaxed(&n32, 1u);
		(void)wf_sub_release(&n32, 1u);
		(void)wf_sub_acqrel(&n32, 1u);
		(void)wf_sub_seqcst(&n32, 1u);
		(void)wf_sub_relaxed(&n64, STEP);
		(void)wf_sub_release(&n64, STEP);
		(void)wf_sub_acqrel(&n64, STEP);
		(void)wf_sub_seqcst(&n64, STEP);
	}
}

/* SCENARIOS 148: every count of references, waiters and sleepers rests on this. */
TEST(additions_of_four_threads_are_exact)
{
	uint32_t all = (uint32_t)(THREADS * rounds());

	wf_store_relaxed(&n32, UINT32_MAX - 10);	/* and they wrap */
	wf_store_relaxed(&n64, 0);
	on_four_threads(add_in_every_way);
	EXPECT_EQ(wf_load_relaxed(&n32), (uint32_t)(all - 11));
	EXPECT(wf_load_relaxed(&n64) == all * STEP);
	on_four_threads(subtract_in_every_way);
	EXPECT_EQ(wf_load_relaxed(&n32), UINT32_MAX - 10);
	EXPECT(wf_load_relaxed(&n64) == 0);
}

/* cas(p, &old, new) in every order, one after the other. */
#define CAS_IN_TURN(turn, p, p_old, v) \
	((turn) % 5 == 0       ? wf_cas_relaxed(p, p_old, v) \
	    : (turn) % 5 == 1  ? wf_cas_acquire(p, p_old, v) \
	    : (turn) % 5 == 2  ? wf_cas_release(p, p_old, v) \
	    : (turn) % 5 == 3  ? wf_cas_acqrel(p, p_old, v) \
	                       : wf_cas_seqcst(p, p_old, v))

static void
count_by_cas(int me)
{
	for (int i = 0; i < rounds(); i++) {
		uint32_t old32 = wf_load_relaxed(&n32);
		uint64_t old64 = wf_load_relaxed(&n64);

		/* What was found instead is what the next try expects: no load in between. */
		while (!CAS_IN_TURN(i + me, &n32, &old32, old32 + 1))
			continue;
		while (!CAS_IN_TURN(i + me, &n64, &old64, old64 + STEP))
			continue;
	}
}

/* SCENARIOS 148. */
TEST(compare_and_swap_of_four_threads_is_exact)
{
	uint32_t all = (uint32_t)(THREADS * rounds());

	wf_store_relaxed(&n32, 0);
	wf_store_relaxed(&n64, 0);
	on_four_threads(count_by_cas);
	EXPECT_EQ(wf_load_relaxed(&n32), all);
	EXPECT(wf_load_relaxed(&n64) == all * STEP);
}

/* A strong one fails only when it should; then the word is left alone, and old tells what it is. */
TEST(compare_and_swap_tells_what_it_found)
{
	for (int turn = 0; turn < 5; turn++) {
		_Atomic uint64_t word = 7;
		uint64_t old = 6;

		EXPECT(!CAS_IN_TURN(turn, &word, &old, 9));
		EXPECT_EQ(old, 7);
		EXPECT_EQ(wf_load_relaxed(&word), 7);
		for (uint64_t i = 0; i < 1000; i++) {
			EXPECT(CAS_IN_TURN(turn, &word, &old, i));
			old = i;
		}
		EXPECT_EQ(wf_load_relaxed(&word), 999);
	}
}

static _Atomic uint64_t hot;		/* the token that is nobody's just now */
static uint64_t mine[THREADS];		/* what each has when it is done */

static void
swap_tokens(int me)
{
	uint64_t token = (uint64_t)me + 1;

	for (int i = 0; i < rounds(); i++) {
		uint64_t got;

		switch (i % 5) {
		case 0: got = wf_xchg_relaxed(&hot, token); break;
		case 1: got = wf_xchg_acquire(&hot, token); break;
		case 2: got = wf_xchg_release(&hot, token); break;
		case 3: got = wf_xchg_acqrel(&hot, token); break;
		default: got = wf_xchg_seqcst(&hot, token); break;
		}
		EXPECT(got <= THREADS);
		token = got;
	}
	mine[me] = token;
}

/* SCENARIOS 148: five tokens go round between four hands and a table; none is lost or doubled. */
TEST(swaps_of_four_threads_lose_nothing)
{
	int count[THREADS + 1] = { 0 };

	wf_store_relaxed(&hot, 0);
	on_four_threads(swap_tokens);
	count[wf_load_relaxed(&hot)]++;
	for (int i = 0; i < THREADS; i++)
		count[mine[i]]++;
	for (int i = 0; i <= THREADS; i++)
		EXPECT_EQ(count[i], 1);
}

/* ---- What they return ---- */

/* SCENARIOS 151: the old value, all of them: the caller of the last unref goes by it. */
TEST(each_returns_the_old_value)
{
	_Atomic uint32_t w = 0xf0;
	_Atomic uint64_t d = (uint64_t)5 << 40;
	_Atomic(void *) p = &w;

	EXPECT_EQ(wf_or_acqrel(&w, 0x0fu), 0xf0);
	EXPECT_EQ(wf_or_acqrel(&w, 0xffu), 0xff);
	EXPECT_EQ(wf_and_acqrel(&w, 0x3cu), 0xff);
	EXPECT_EQ(wf_and_acqrel(&w, 0u), 0x3c);
	EXPECT_EQ(wf_load_relaxed(&w), 0);
	EXPECT_EQ(wf_add_seqcst(&w, 3u), 0);
	EXPECT_EQ(wf_sub_seqcst(&w, 4u), 3);
	EXPECT_EQ(wf_load_seqcst(&w), UINT32_MAX);
	EXPECT(wf_add_relaxed(&d, 1u) == (uint64_t)5 << 40);
	EXPECT(wf_xchg_relaxed(&d, 2u) == ((uint64_t)5 << 40) + 1);
	EXPECT(wf_xchg_acqrel(&p, &d) == &w);
	EXPECT(wf_load_acquire(&p) == &d);
}

static _Atomic uint32_t bits;

static void
claim_bits(int me)
{
	uint32_t bit = 1u << me;

	for (int i = 0; i < rounds(); i++) {
		EXPECT((wf_or_acqrel(&bits, bit) & bit) == 0);
		EXPECT((wf_and_acqrel(&bits, ~bit) & bit) != 0);
	}
}

/* SCENARIOS 151: each has a bit of one word; nobody's change undoes another's. */
TEST(bits_of_one_word_do_not_meet)
{
	wf_store_relaxed(&bits, 0);
	on_four_threads(claim_bits);
	EXPECT_EQ(wf_load_relaxed(&bits), 0);
}

/* ---- Message passing ---- */

static long box[64];		/* plain */
static _Atomic uint32_t flag32;
static _Atomic uint64_t flag64;

/* Thread 0 writes the box and raises a flag, thread 1 sees it, reads, and lowers it again. */
static void
pass_messages_32(int me)
{
	for (uint32_t i = 1; me < 2 && i <= (uint32_t)rounds() / 4; i++) {
		while (wf_load_acquire(&flag32) != (me == 0 ? 2 * i - 2 : 2 * i - 1))
			sched_yield();
		for (int k = 0; k < 64; k += 9) {
			if (me == 0)
				box[k] = (long)i + k;
			else
				EXPECT_EQ(box[k], (long)i + k);
		}
		wf_store_release(&flag32, me == 0 ? 2 * i - 1 : 2 * i);
	}
}

static void
pass_messages_64(int me)
{
	for (uint64_t i = 1; me < 2 && i <= (uint64_t)rounds() / 4; i++) {
		uint64_t wanted = (me == 0 ? 2 * i - 2 : 2 * i - 1) * STEP;

		while (wf_load_seqcst(&flag64) != wanted)
			sched_yield();
		for (int k = 0; k < 64; k += 9) {
			if (me == 0)
				box[k] = (long)i - k;
			else
				EXPECT_EQ(box[k], (long)i - k);
		}
		wf_store_seqcst(&flag64, wanted + STEP);
	}
}

/* SCENARIOS 150: who sees the flag sees the data, with release and acquire, and with seq-cst. */
TEST(who_sees_the_flag_sees_the_data)
{
	wf_store_relaxed(&flag32, 0);
	wf_store_relaxed(&flag64, 0);
	on_four_threads(pass_messages_32);
	on_four_threads(pass_messages_64);
}

/* ---- Store, then load ---- */

static _Atomic uint32_t x, y, both_missed;
static _Atomic uint32_t turn, left;

/* Of two that each announce and then look, one must see the other: no sleeper is missed. */
static void
announce_and_look(int me)
{
	for (uint32_t i = 1; me < 2 && i <= (uint32_t)rounds() / 10; i++) {
		uint32_t saw;

		wf_store_relaxed(me == 0 ? &x : &y, 1u);
		wf_fence_seqcst();
		saw = wf_load_relaxed(me == 0 ? &y : &x);
		(void)wf_add_acqrel(&both_missed, saw == 0);
		if (wf_add_acqrel(&left, 1u) == 2 * i - 1) {
			/* The second of the two clears up for both. */
			EXPECT(wf_load_relaxed(&both_missed) < 2);
			wf_store_relaxed(&both_missed, 0u);
			wf_store_relaxed(&x, 0u);
			wf_store_relaxed(&y, 0u);
			wf_store_release(&turn, i);
		}
		while (wf_load_acquire(&turn) != i)
			sched_yield();
	}
}

/* SCENARIOS 150, the other shape: Go's parking rests on it as ours does. */
TEST(of_two_that_announce_and_look_one_sees_the_other)
{
	on_four_threads(announce_and_look);
}

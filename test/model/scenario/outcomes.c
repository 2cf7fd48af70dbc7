/*
 * The explorer's own tests: small programs whose outcomes under C11 (RC11) are known, all of them.
 * Each strategy alone must come upon every outcome of the list, and none upon another one. Names
 * as in the literature. An outcome is what was read, in the order of the results a, b, c, d; at the
 * end stand the last values, where they are looked at.
 */
#include "explore.h"

#include "base/atomic.h"

#include <string.h>

const char *const mc_subjects[] = { NULL };

static _Atomic int x, y, z;
static int a, b, c, d;		/* results: each written by one thread */

static void
reset(void)
{
	wf_store_relaxed(&x, 0);
	wf_store_relaxed(&y, 0);
	wf_store_relaxed(&z, 0);
	a = b = c = d = 0;
}

static void
say_a(void)
{
	mc_outcome("%d", a);
}

static void
say_ab(void)
{
	mc_outcome("%d%d", a, b);
}

static void
say_abc(void)
{
	mc_outcome("%d%d%d", a, b, c);
}

static void
say_abcd(void)
{
	mc_outcome("%d%d%d%d", a, b, c, d);
}

static void
say_xy(void)
{
	mc_outcome("%d%d", wf_load_relaxed(&x), wf_load_relaxed(&y));
}

static void
say_a_x(void)
{
	mc_outcome("%d%d", a, wf_load_relaxed(&x));
}

static void
say_a_y(void)
{
	mc_outcome("%d%d", a, wf_load_relaxed(&y));
}

static void
say_ab_x(void)
{
	mc_outcome("%d%d%d", a, b, wf_load_relaxed(&x));
}

#define EITHER "0 1"
#define ALL_2 "00 01 10 11"
#define ALL_3 "000 001 010 011 100 101 110 111"
#define ALL_4 "0000 0001 0010 0011 0100 0101 0110 0111 1000 1001 1011 1100 1101 1110 1111 1010"

/* What two threads do. */
#define PAIR(id, left, right) \
	static void id##_1(void) { left; } \
	static void id##_2(void) { right; }
#define OF(id, say, words) \
	.threads = { id##_1, id##_2 }, .setup = reset, .check = say, .outcomes = words

/* ---- SB: store, then look at what the other stores ---- */

#define SB(id, store, between, load) \
	PAIR(id, store(&x, 1); between; a = load(&y), store(&y, 1); between; b = load(&x))

SB(sb_relaxed, wf_store_relaxed, (void)0, wf_load_relaxed)
SB(sb_release, wf_store_release, (void)0, wf_load_acquire)
SB(sb_half, wf_store_seqcst, (void)0, wf_load_acquire)
SB(sb_other_half, wf_store_release, (void)0, wf_load_seqcst)
SB(sb_seqcst, wf_store_seqcst, (void)0, wf_load_seqcst)
SB(sb_fence, wf_store_relaxed, wf_fence_seqcst(), wf_load_relaxed)
SB(sb_weak_fence, wf_store_relaxed, wf_fence_acqrel(), wf_load_relaxed)
SB(sb_xchg, (void)wf_xchg_acqrel, (void)0, wf_load_acquire)
SB(sb_xchg_seqcst, (void)wf_xchg_seqcst, (void)0, wf_load_seqcst)
/* Two that change the same location come one after the other, and are an edge. */
SB(sb_meeting, wf_store_relaxed, (void)wf_add_acqrel(&z, 1), wf_load_relaxed)
SB(sb_meeting_acquire, wf_store_relaxed, (void)wf_add_acquire(&z, 1), wf_load_relaxed)

SCENARIO(sb_relaxed, OF(sb_relaxed, say_ab, ALL_2))
SCENARIO(sb_release, OF(sb_release, say_ab, ALL_2))
SCENARIO(sb_half, OF(sb_half, say_ab, ALL_2))
SCENARIO(sb_other_half, OF(sb_other_half, say_ab, ALL_2))
SCENARIO(sb_seqcst, OF(sb_seqcst, say_ab, "01 10 11"))
SCENARIO(sb_fence, OF(sb_fence, say_ab, "01 10 11"))
SCENARIO(sb_weak_fence, OF(sb_weak_fence, say_ab, ALL_2))
SCENARIO(sb_xchg, OF(sb_xchg, say_ab, ALL_2))
SCENARIO(sb_xchg_seqcst, OF(sb_xchg_seqcst, say_ab, "01 10 11"))
SCENARIO(sb_meeting, OF(sb_meeting, say_ab, "01 10 11"))
SCENARIO(sb_meeting_acquire, OF(sb_meeting_acquire, say_ab, ALL_2))

/* ---- MP: a message, then the flag ---- */

#define MP(id, before, store, load, behind) \
	PAIR(id, wf_store_relaxed(&x, 1); before; store(&y, 1), \
	    a = load(&y); behind; b = wf_load_relaxed(&x))

MP(mp_relaxed, (void)0, wf_store_relaxed, wf_load_relaxed, (void)0)
MP(mp_release, (void)0, wf_store_release, wf_load_relaxed, (void)0)
MP(mp_acquire, (void)0, wf_store_relaxed, wf_load_acquire, (void)0)
MP(mp, (void)0, wf_store_release, wf_load_acquire, (void)0)
MP(mp_seqcst, (void)0, wf_store_seqcst, wf_load_seqcst, (void)0)
MP(mp_fences, wf_fence_acqrel(), wf_store_relaxed, wf_load_relaxed, wf_fence_acqrel())
MP(mp_fence_before, wf_fence_acqrel(), wf_store_relaxed, wf_load_relaxed, (void)0)
MP(mp_fence_behind, (void)0, wf_store_relaxed, wf_load_relaxed, wf_fence_acqrel())
MP(mp_xchg, (void)0, (void)wf_xchg_acqrel, wf_load_acquire, (void)0)
MP(mp_xchg_release, (void)0, (void)wf_xchg_release, wf_load_acquire, (void)0)
MP(mp_xchg_acquire, (void)0, (void)wf_xchg_acquire, wf_load_acquire, (void)0)

SCENARIO(mp_relaxed, OF(mp_relaxed, say_ab, ALL_2))
SCENARIO(mp_release, OF(mp_release, say_ab, ALL_2))
SCENARIO(mp_acquire, OF(mp_acquire, say_ab, ALL_2))
SCENARIO(mp, OF(mp, say_ab, "00 01 11"))
SCENARIO(mp_seqcst, OF(mp_seqcst, say_ab, "00 01 11"))
SCENARIO(mp_fences, OF(mp_fences, say_ab, "00 01 11"))
SCENARIO(mp_fence_before, OF(mp_fence_before, say_ab, ALL_2))
SCENARIO(mp_fence_behind, OF(mp_fence_behind, say_ab, ALL_2))
SCENARIO(mp_xchg, OF(mp_xchg, say_ab, "00 01 11"))
SCENARIO(mp_xchg_release, OF(mp_xchg_release, say_ab, "00 01 11"))
SCENARIO(mp_xchg_acquire, OF(mp_xchg_acquire, say_ab, ALL_2))

/* The flag is changed from `from`; or only looked at, where it was never that. */
#define MP_CAS(id, cas, from) \
	PAIR(id, wf_store_relaxed(&x, 1); wf_store_release(&y, 1), \
	    a = from; (void)cas(&y, &a, 7); b = wf_load_relaxed(&x))

MP_CAS(mp_cas, wf_cas_acquire, 1)
MP_CAS(mp_cas_release, wf_cas_release, 1)
MP_CAS(mp_cas_fails, wf_cas_acqrel, 5)
MP_CAS(mp_cas_fails_seqcst, wf_cas_seqcst, 5)
MP_CAS(mp_cas_fails_release, wf_cas_release, 5)

SCENARIO(mp_cas, OF(mp_cas, say_ab, "00 01 11"))
SCENARIO(mp_cas_release, OF(mp_cas_release, say_ab, ALL_2))
SCENARIO(mp_cas_fails, OF(mp_cas_fails, say_ab, "00 01 11"))
SCENARIO(mp_cas_fails_seqcst, OF(mp_cas_fails_seqcst, say_ab, "00 01 11"))
SCENARIO(mp_cas_fails_release, OF(mp_cas_fails_release, say_ab, ALL_2))

/* What comes behind a release, or a fence, is not released by it. */
PAIR(mp_too_late, wf_store_release(&y, 1); wf_store_relaxed(&x, 1),
    a = wf_load_acquire(&y); b = wf_load_relaxed(&x))
PAIR(mp_fence_too_late, wf_fence_acqrel(); wf_store_relaxed(&x, 1); wf_store_relaxed(&y, 1),
    a = wf_load_acquire(&y); b = wf_load_relaxed(&x))
/* Nor is what was read before the fence that comes too early acquired by it. */
PAIR(mp_fence_too_early, wf_store_relaxed(&x, 1); wf_store_release(&y, 1),
    wf_fence_acqrel(); a = wf_load_relaxed(&y); b = wf_load_relaxed(&x))

SCENARIO(mp_too_late, OF(mp_too_late, say_ab, ALL_2))
SCENARIO(mp_fence_too_late, OF(mp_fence_too_late, say_ab, ALL_2))
SCENARIO(mp_fence_too_early, OF(mp_fence_too_early, say_ab, ALL_2))

/* ---- Release sequences ---- */

/* What T1 releases goes on through an RMW of another, whatever its order, and not by a store. */
#define SEQUENCE(id, change) \
	static void id##_1(void) \
	{ \
		wf_store_relaxed(&x, 1); \
		wf_store_release(&y, 1); \
	} \
	static void id##_2(void) \
	{ \
		wf_store_relaxed(&z, 1); \
		change; \
	} \
	static void id##_3(void) \
	{ \
		a = wf_load_acquire(&y); \
		b = wf_load_relaxed(&x); \
		c = wf_load_relaxed(&z); \
	}
#define IN_SEQUENCE(id, words) \
	.threads = { id##_1, id##_2, id##_3 }, .setup = reset, .check = say_abc, .outcomes = words

SEQUENCE(sequence, (void)wf_add_relaxed(&y, 2))
SEQUENCE(sequence_release, (void)wf_add_release(&y, 2))
SEQUENCE(sequence_ends, if (wf_load_relaxed(&y) == 1) wf_store_relaxed(&y, 3))
SEQUENCE(sequence_is_new, if (wf_load_relaxed(&y) == 1) wf_store_release(&y, 3))

#define OF_Y_0_1_2 "000 001 010 011 110 111 200 201 210 211 "
SCENARIO(sequence, IN_SEQUENCE(sequence, OF_Y_0_1_2 "310 311"))
SCENARIO(sequence_release,
    IN_SEQUENCE(sequence_release, "000 001 010 011 110 111 201 211 311"))
SCENARIO(sequence_ends, IN_SEQUENCE(sequence_ends,
    "000 001 010 011 110 111 300 301 310 311"))
SCENARIO(sequence_is_new, IN_SEQUENCE(sequence_is_new, "000 001 010 011 110 111 301 311"))

/* ---- LB: C11 allows 11; no machine that we run on does it, nor do we ---- */

PAIR(lb, a = wf_load_relaxed(&x); wf_store_relaxed(&y, 1),
    b = wf_load_relaxed(&y); wf_store_relaxed(&x, 1))
SCENARIO(lb, OF(lb, say_ab, "00 01 10"))
/* A list with one too many, and one with one too few. */
SCENARIO(lb_is_left_out, OF(lb, say_ab, ALL_2), .finds = "outcome: 11 is never seen")
SCENARIO(sb_misjudged, OF(sb_relaxed, say_ab, "01 10 11"),
    .finds = "outcome: 00 is none of 01 10 11")

/* ---- Coherence: of one location, everybody sees one order ---- */

PAIR(corr, wf_store_relaxed(&x, 1); wf_store_relaxed(&x, 2),
    a = wf_load_relaxed(&x); b = wf_load_relaxed(&x))
PAIR(corr_seqcst, wf_store_seqcst(&x, 1); wf_store_seqcst(&x, 2),
    a = wf_load_seqcst(&x); b = wf_load_relaxed(&x))
PAIR(coww, wf_store_relaxed(&x, 1); wf_store_relaxed(&x, 2), wf_store_relaxed(&y, 1))
PAIR(cowr, wf_store_relaxed(&x, 1); a = wf_load_relaxed(&x), wf_store_relaxed(&x, 2))
PAIR(corw, a = wf_load_relaxed(&x); wf_store_relaxed(&x, 1), wf_store_relaxed(&x, 2))

SCENARIO(corr, OF(corr, say_ab, "00 01 02 11 12 22"))
SCENARIO(corr_seqcst, OF(corr_seqcst, say_ab, "00 01 02 11 12 22"))
SCENARIO(coww, OF(coww, say_xy, "21"))
SCENARIO(cowr, OF(cowr, say_a_x, "11 12 22"))
SCENARIO(corw, OF(corw, say_a_x, "01 02 21"))

static void
store_x_1(void)
{
	wf_store_relaxed(&x, 1);
}

static void
store_x_2(void)
{
	wf_store_relaxed(&x, 2);
}

static void
load_x_twice(void)
{
	a = wf_load_relaxed(&x);
	b = wf_load_relaxed(&x);
}

SCENARIO(corr_of_two_writers, .threads = { store_x_1, store_x_2, load_x_twice }, .setup = reset,
    .check = say_ab_x,
    .outcomes = "001 002 011 012 021 022 111 112 122 211 221 222")

/* ---- 2+2W, S, R: what comes last ---- */

#define W22(id, store, between) \
	PAIR(id, store(&x, 1); between; store(&y, 2), store(&y, 1); between; store(&x, 2))

W22(w22_relaxed, wf_store_relaxed, (void)0)
W22(w22_release, wf_store_release, (void)0)
W22(w22_seqcst, wf_store_seqcst, (void)0)
W22(w22_fences, wf_store_relaxed, wf_fence_seqcst())

SCENARIO(w22_relaxed, OF(w22_relaxed, say_xy, "11 12 21 22"))
SCENARIO(w22_release, OF(w22_release, say_xy, "11 12 21 22"))
SCENARIO(w22_seqcst, OF(w22_seqcst, say_xy, "12 21 22"))
SCENARIO(w22_fences, OF(w22_fences, say_xy, "12 21 22"))

#define S(id, store, load) \
	PAIR(id, wf_store_relaxed(&x, 2); store(&y, 1), a = load(&y); wf_store_relaxed(&x, 1))

S(s_relaxed, wf_store_relaxed, wf_load_relaxed)
S(s, wf_store_release, wf_load_acquire)

SCENARIO(s_relaxed, OF(s_relaxed, say_a_x, "01 02 11 12"))
SCENARIO(s, OF(s, say_a_x, "01 02 11"))

#define R(id, store, load) \
	PAIR(id, store(&x, 1); store(&y, 1), store(&y, 2); a = load(&x))

R(r_release, wf_store_release, wf_load_acquire)
R(r_seqcst, wf_store_seqcst, wf_load_seqcst)

SCENARIO(r_release, OF(r_release, say_a_y, "01 02 11 12"))
SCENARIO(r_seqcst, OF(r_seqcst, say_a_y, "01 11 12"))

/* ---- IRIW, WRC, RWC: more than two threads ---- */

#define IRIW(id, store, load, between) \
	static void id##_1(void) { store(&x, 1); } \
	static void id##_2(void) { store(&y, 1); } \
	static void id##_3(void) { a = load(&x); between; b = load(&y); } \
	static void id##_4(void) { c = load(&y); between; d = load(&x); }
#define OF_4(id, words) \
	.threads = { id##_1, id##_2, id##_3, id##_4 }, .setup = reset, .check = say_abcd, \
	.outcomes = words

IRIW(iriw_relaxed, wf_store_relaxed, wf_load_relaxed, (void)0)
IRIW(iriw_acquire, wf_store_release, wf_load_acquire, (void)0)
IRIW(iriw_seqcst, wf_store_seqcst, wf_load_seqcst, (void)0)
IRIW(iriw_fences, wf_store_relaxed, wf_load_relaxed, wf_fence_seqcst())
IRIW(iriw_relaxed_stores, wf_store_relaxed, wf_load_seqcst, (void)0)

#define ALL_BUT_1010 \
	"0000 0001 0010 0011 0100 0101 0110 0111 1000 1001 1011 1100 1101 1110 1111"
SCENARIO(iriw_relaxed, OF_4(iriw_relaxed, ALL_4))
SCENARIO(iriw_acquire, OF_4(iriw_acquire, ALL_4))
SCENARIO(iriw_seqcst, OF_4(iriw_seqcst, ALL_BUT_1010))
SCENARIO(iriw_fences, OF_4(iriw_fences, ALL_BUT_1010))
/* RC11 orders SC operations among themselves, not what relaxed stores they read. */
SCENARIO(iriw_relaxed_stores, OF_4(iriw_relaxed_stores, ALL_4))

#define OF_3(id, words) \
	.threads = { id##_1, id##_2, id##_3 }, .setup = reset, .check = say_abc, .outcomes = words

#define WRC(id, store, load) \
	static void id##_1(void) { wf_store_relaxed(&x, 1); } \
	static void id##_2(void) { a = wf_load_relaxed(&x); store(&y, 1); } \
	static void id##_3(void) { b = load(&y); c = wf_load_relaxed(&x); }

WRC(wrc_relaxed, wf_store_relaxed, wf_load_relaxed)
WRC(wrc, wf_store_release, wf_load_acquire)

SCENARIO(wrc_relaxed, OF_3(wrc_relaxed, ALL_3))
SCENARIO(wrc, OF_3(wrc, "000 001 010 011 100 101 111"))

#define RWC(id, fence) \
	static void id##_1(void) { wf_store_relaxed(&x, 1); } \
	static void id##_2(void) { a = wf_load_relaxed(&x); fence; b = wf_load_relaxed(&y); } \
	static void id##_3(void) { wf_store_relaxed(&y, 1); fence; c = wf_load_relaxed(&x); }

RWC(rwc, wf_fence_seqcst())
RWC(rwc_weak, wf_fence_acqrel())

SCENARIO(rwc, OF_3(rwc, "000 001 010 011 101 110 111"))
SCENARIO(rwc_weak, OF_3(rwc_weak, ALL_3))

/* ---- RMW: nothing comes between what it reads and what it writes ---- */

PAIR(add_add, a = wf_add_relaxed(&x, 1), b = wf_add_relaxed(&x, 1))
PAIR(xchg_xchg, a = wf_xchg_relaxed(&x, 1), b = wf_xchg_relaxed(&x, 2))
PAIR(add_store, a = wf_add_relaxed(&x, 2), wf_store_relaxed(&x, 1))
PAIR(sub_or, a = wf_sub_relaxed(&x, 1), b = wf_or_acqrel(&x, 4))
PAIR(and_store, a = wf_and_acqrel(&x, 1), wf_store_relaxed(&x, 3))

SCENARIO(add_add, OF(add_add, say_ab_x, "012 102"))
SCENARIO(xchg_xchg, OF(xchg_xchg, say_ab_x, "012 201"))
SCENARIO(add_store, OF(add_store, say_a_x, "01 13"))
SCENARIO(sub_or, OF(sub_or, say_ab_x, "0-1-1 403"))
SCENARIO(and_store, OF(and_store, say_a_x, "03 31"))

static bool
changes(int from, int to)
{
	return wf_cas_relaxed(&x, &from, to);
}

PAIR(cas_cas, a = changes(0, 1), b = changes(0, 2))
PAIR(cas_store, a = changes(0, 2), wf_store_relaxed(&x, 1))
PAIR(cas_add, a = changes(1, 5), b = wf_add_relaxed(&x, 1))

SCENARIO(cas_cas, OF(cas_cas, say_ab_x, "101 012"))
SCENARIO(cas_store, OF(cas_store, say_a_x, "11 01"))
SCENARIO(cas_add, OF(cas_add, say_a_x, "01 15"))

/* A CAS that fails may have read what another RMW has replaced. */
PAIR(cas_fails_behind, (void)wf_add_relaxed(&y, 1); a = wf_xchg_relaxed(&x, 1),
    (void)wf_xchg_relaxed(&x, 2); b = 5; (void)wf_cas_relaxed(&y, &b, 7))
SCENARIO(cas_fails_behind, OF(cas_fails_behind, say_ab, "00 01 20 21"))

/* ---- A plain write makes a location anew: nothing older is read ---- */

static void
hand_over_anew(void)
{
	wf_store_relaxed(&x, 1);
	memset(&x, 2, 1);
	wf_store_release(&y, 1);
}

static void
take_anew(void)
{
	if (wf_load_acquire(&y) == 1)
		a = wf_load_relaxed(&x);
}

SCENARIO(made_anew, .threads = { hand_over_anew, take_anew }, .setup = reset, .check = say_a,
    .outcomes = "0 2")

/* ---- The search itself ---- */

/* 10 takes the second thread's fence before the first one's, and its loads behind the stores. */
PAIR(fence_order, wf_store_relaxed(&x, 1); wf_store_relaxed(&y, 1); wf_fence_seqcst(),
    wf_fence_seqcst(); a = wf_load_relaxed(&y); b = wf_load_relaxed(&x))
SCENARIO(fence_order, OF(fence_order, say_ab, ALL_2))

/* The second thread's turns among five: 1 and 3 take three preemptions. */
static void
three_turns(void)
{
	for (int i = 0; i < 3; i++)
		(void)wf_add_relaxed(&x, 1);
}

static void
two_turns(void)
{
	a = wf_add_relaxed(&x, 1);
	b = wf_add_relaxed(&x, 1);
}

SCENARIO(turns, .threads = { three_turns, two_turns }, .setup = reset, .check = say_ab,
    .outcomes = "01 02 03 04 12 13 14 23 24 34", .far = "13")

static void
choose(void)
{
	a = (int)mc_choose(3);
	b = (int)mc_choose(2);
}

SCENARIO(chosen, .threads = { choose }, .setup = reset, .check = say_ab,
    .outcomes = "00 01 10 11 20 21")

/* What waits for a store goes on when there is one, and has read that; or another may be first. */
static void
await_x(void)
{
	while (wf_load_acquire(&x) == 0)
		wf_cpu_relax();
	a = wf_load_relaxed(&y);
}

static void
store_y_then_x(void)
{
	wf_store_relaxed(&y, 1);
	wf_store_relaxed(&x, 1);
}

SCENARIO(awaited, .threads = { await_x, store_y_then_x }, .setup = reset, .check = say_a,
    .outcomes = EITHER)

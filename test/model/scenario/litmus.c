/*
 * The explorer's own tests: what C11 allows must be seen (a planted bug that asserts it away is
 * found), and what it forbids must not. Names as in the literature.
 */
#include "explore.h"

#include "base/atomic.h"

const char *const mc_subjects[] = { NULL };

static _Atomic int x, y;
static int a, b, c, d;		/* results: each written by one thread */
static int plain;

static void
reset(void)
{
	wf_store_relaxed(&x, 0);
	wf_store_relaxed(&y, 0);
	a = b = c = d = -1;
	plain = 0;
}

/* ---- Store buffering ---- */

#define SB(id, store, fence, load) \
	static void id##_1(void) { store(&x, 1); fence; a = load(&y); } \
	static void id##_2(void) { store(&y, 1); fence; b = load(&x); }

static void
sb_check(void)
{
	MC_ASSERT(a == 1 || b == 1);
}

SB(sb_relaxed, wf_store_relaxed, (void)0, wf_load_relaxed)
SB(sb_release, wf_store_release, (void)0, wf_load_acquire)
SB(sb_seqcst, wf_store_seqcst, (void)0, wf_load_seqcst)
SB(sb_fence, wf_store_relaxed, wf_fence_seqcst(), wf_load_relaxed)
SB(sb_weak_fence, wf_store_relaxed, wf_fence_acqrel(), wf_load_relaxed)
SB(sb_half, wf_store_seqcst, (void)0, wf_load_acquire)

SCENARIO(sb_relaxed, .threads = { sb_relaxed_1, sb_relaxed_2 }, .setup = reset,
    .check = sb_check, .finds = "a == 1 || b == 1")
SCENARIO(sb_release, .threads = { sb_release_1, sb_release_2 }, .setup = reset,
    .check = sb_check, .finds = "a == 1 || b == 1")
SCENARIO(sb_weak_fence, .threads = { sb_weak_fence_1, sb_weak_fence_2 }, .setup = reset,
    .check = sb_check, .finds = "a == 1 || b == 1")
SCENARIO(sb_half, .threads = { sb_half_1, sb_half_2 }, .setup = reset,
    .check = sb_check, .finds = "a == 1 || b == 1")
SCENARIO(sb_seqcst, .threads = { sb_seqcst_1, sb_seqcst_2 }, .setup = reset, .check = sb_check)
SCENARIO(sb_fence, .threads = { sb_fence_1, sb_fence_2 }, .setup = reset, .check = sb_check)
/* A thread with accesses, one with a fence. */
SCENARIO(sb_mixed, .threads = { sb_seqcst_1, sb_fence_2 }, .setup = reset, .check = sb_check)

/* The asymmetric one: no fence on the left, a barrier of all threads on the right. */
static void
sb_barrier_2(void)
{
	wf_store_relaxed(&y, 1);
	mc_membarrier();
	b = wf_load_relaxed(&x);
}

SCENARIO(sb_membarrier, .threads = { sb_relaxed_1, sb_barrier_2 }, .setup = reset,
    .check = sb_check)
SCENARIO(sb_membarrier_gone, .threads = { sb_relaxed_1, sb_fence_2 }, .setup = reset,
    .check = sb_check, .finds = "a == 1 || b == 1")

/* ---- Message passing ---- */

#define MP(id, store, load) \
	static void id##_1(void) { plain = 1; store(&x, 1); } \
	static void id##_2(void) { if (load(&x) == 1) a = plain; }

MP(mp, wf_store_release, wf_load_acquire)
MP(mp_relaxed_store, wf_store_relaxed, wf_load_acquire)
MP(mp_relaxed_load, wf_store_release, wf_load_relaxed)

static void
mp_fence_2(void)
{
	if (wf_load_relaxed(&x) == 1) {
		wf_fence_acqrel();
		a = plain;
	}
}

static void
mp_fence_1(void)
{
	plain = 1;
	wf_fence_acqrel();
	wf_store_relaxed(&x, 1);
}

SCENARIO(mp, .threads = { mp_1, mp_2 }, .setup = reset)
SCENARIO(mp_fence, .threads = { mp_fence_1, mp_fence_2 }, .setup = reset)
SCENARIO(mp_relaxed_store, .threads = { mp_relaxed_store_1, mp_relaxed_store_2 },
    .setup = reset, .finds = "data race")
SCENARIO(mp_relaxed_load, .threads = { mp_relaxed_load_1, mp_relaxed_load_2 },
    .setup = reset, .finds = "data race")

/* A release sequence goes on through RMWs of others, and through nothing else. */
static void
chain(void)
{
	int one = 1;

	(void)wf_cas_relaxed(&x, &one, 2);
}

static void
break_chain(void)
{
	if (wf_load_relaxed(&x) == 1)
		wf_store_relaxed(&x, 2);
}

static void
mp_chain_2(void)
{
	if (wf_load_acquire(&x) == 2)
		a = plain;
}

SCENARIO(mp_chain, .threads = { mp_1, chain, mp_chain_2 }, .setup = reset)
SCENARIO(mp_broken_chain, .threads = { mp_1, break_chain, mp_chain_2 }, .setup = reset,
    .finds = "data race")

/* ---- Load buffering: C11 allows it, no machine that we run on does it, nor do we ---- */

static void
lb_1(void)
{
	a = wf_load_relaxed(&x);
	wf_store_relaxed(&y, 1);
}

static void
lb_2(void)
{
	b = wf_load_relaxed(&y);
	wf_store_relaxed(&x, 1);
}

static void
lb_check(void)
{
	MC_ASSERT(a == 0 || b == 0);
}

SCENARIO(lb_is_not_explored, .threads = { lb_1, lb_2 }, .setup = reset, .check = lb_check)

/* ---- Independent reads of independent writes ---- */

static void
write_x(void)
{
	wf_store_seqcst(&x, 1);
}

static void
write_y(void)
{
	wf_store_seqcst(&y, 1);
}

#define IRIW(id, load) \
	static void id##_1(void) { a = load(&x); b = load(&y); } \
	static void id##_2(void) { c = load(&y); d = load(&x); }

IRIW(iriw_seqcst, wf_load_seqcst)
IRIW(iriw_acquire, wf_load_acquire)

static void
iriw_check(void)
{
	MC_ASSERT(!(a == 1 && b == 0 && c == 1 && d == 0));
}

SCENARIO(iriw_seqcst, .threads = { write_x, write_y, iriw_seqcst_1, iriw_seqcst_2 },
    .setup = reset, .check = iriw_check)
SCENARIO(iriw_acquire, .threads = { write_x, write_y, iriw_acquire_1, iriw_acquire_2 },
    .setup = reset, .check = iriw_check, .finds = "a == 1 && b == 0")

/* ---- Coherence, and the order of writes ---- */

static void
write_two(void)
{
	wf_store_relaxed(&x, 1);
	wf_store_relaxed(&x, 2);
}

static void
read_two(void)
{
	a = wf_load_relaxed(&x);
	b = wf_load_relaxed(&x);
}

static void
corr_check(void)
{
	MC_ASSERT(b >= a);
}

SCENARIO(corr, .threads = { write_two, read_two }, .setup = reset, .check = corr_check)

static void
w22_1(void)
{
	wf_store_relaxed(&x, 1);
	wf_store_relaxed(&y, 2);
}

static void
w22_2(void)
{
	wf_store_relaxed(&y, 1);
	wf_store_relaxed(&x, 2);
}

static void
w22_check(void)
{
	a = wf_load_relaxed(&x);
	b = wf_load_relaxed(&y);
	MC_ASSERT(!(a == 1 && b == 1));
}

/* Both first stores come last: only if modification order is not the order of execution. */
SCENARIO(two_plus_two_writes, .threads = { w22_1, w22_2 }, .setup = reset, .check = w22_check,
    .finds = "a == 1 && b == 1")

/* ---- RMW ---- */

static void
add_one(void)
{
	(void)wf_add_relaxed(&x, 1);
}

static void
add_badly(void)
{
	wf_store_relaxed(&x, wf_load_relaxed(&x) + 1);
}

static void
sum_check(void)
{
	a = wf_load_relaxed(&x);
	MC_ASSERT(a == 3);
}

SCENARIO(rmw_is_atomic, .threads = { add_one, add_one, add_one }, .setup = reset,
    .check = sum_check)
SCENARIO(rmw_by_hand, .threads = { add_one, add_badly, add_one }, .setup = reset,
    .check = sum_check, .finds = "a == 3")

/* ---- Sleeping ---- */

static _Atomic uint32_t note;

static void
note_reset(void)
{
	reset();
	wf_store_relaxed(&note, 0);
}

static void
note_wait(void)
{
	while (wf_load_acquire(&note) == 0)
		(void)mc_futex_wait(&note, 0, INT64_MAX);
	a = plain;
}

static void
note_set(void)
{
	plain = 1;
	wf_store_release(&note, 1);
	(void)mc_futex_wake(&note, 1);
}

static void
note_forget(void)
{
	plain = 1;
	wf_store_release(&note, 1);
}

static void
note_wake_first(void)
{
	plain = 1;
	(void)mc_futex_wake(&note, 1);
	wf_store_release(&note, 1);
}

SCENARIO(futex, .threads = { note_wait, note_set }, .setup = note_reset, .wakes = 2)
SCENARIO(futex_no_wake, .threads = { note_wait, note_forget }, .setup = note_reset,
    .finds = "sleeps for ever")
SCENARIO(futex_wakes_first, .threads = { note_wait, note_wake_first }, .setup = note_reset,
    .finds = "sleeps for ever")

static void
spin_wait(void)
{
	while (wf_load_acquire(&note) == 0)
		wf_cpu_relax();
	a = plain;
}

SCENARIO(spinning_ends, .threads = { spin_wait, note_forget }, .setup = note_reset)

/* A store that nobody may ever see is seen by who waits for it; one that never comes is not. */
static void
spin_for_nothing(void)
{
	while (wf_load_acquire(&note) != 2)
		wf_cpu_relax();
}

SCENARIO(spinning_for_nothing, .threads = { spin_for_nothing, note_forget },
    .setup = note_reset, .finds = "livelock", .steps = 100)

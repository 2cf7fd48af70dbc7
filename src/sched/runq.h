/*
 * The run queue of one P: a ring of 512 with one producer and many consumers, and a slot for
 * the goroutine that runs next. All inline; no system, no locks.
 *
 * Only the M that owns the P puts, and sets runnext to a goroutine; the owner and any thief
 * may take, and set runnext to NULL. All take the oldest; the owner of a ring that holds more than
 * a thief takes at a time may take the newest, too. head and tail are compared only through their
 * difference, so wrapping at 2^32 is harmless. Slot i is slot[i % RUNQ_CAP] and holds a goroutine
 * exactly while head <= i < tail.
 *
 *   Q1  tail: release in runq_put -> acquire in runq_take, runq_grab
 *       Whoever sees the new tail sees the slot, and all that was written to the goroutine
 *       before it was queued.
 *   Q2  head: release CAS in runq_take, runq_grab -> acquire in runq_put
 *       A producer that sees head move on knows that the slot has been read and may reuse it.
 *   Q3  head: release CAS in runq_take -> acquire in runq_take, runq_grab
 *       A thief that sees head == h also sees the tail that let h be reached. Without it, it could
 *       read a tail behind its head, find the two unequal, and take a slot not yet filled.
 *   Q4  runnext: seq_cst exchange in runq_put_next -> acquire exchange or CAS in takers
 *       As Q1. seq_cst, because it is also the "publish" of the idle protocol (README.md, A1): the
 *       look at the idle counts that follows must not be ordered before it.
 *   Q5  runnext: release exchange or CAS in takers -> acquire in runq_is_empty
 *       The owner kicks one goroutine into the ring, then takes the other from runnext. Whoever
 *       sees runnext empty after that sees the new tail, too: else both would seem to be gone.
 *
 *   Q6  is_alone: release in runq_share -> acquire in runq_may_steal
 *       While there is one P only nobody steals: what its owner does to head and runnext is plain.
 *       A thief that sees the end of this sees all that was done before it.
 *
 *   Q7  own: release in H4, O5 -> seq_cst in S3
 *   Q8  busy: release in O3 -> acquire in H4
 *   Q9  stealing: release in runq_unlock -> acquire in runq_trylock
 *       A ring that is its holder's own: README.md, "A ring of one's own".
 *
 *   Q10 tail: store, fence, load of head in runq_take_newest -> load of head, fence, load of tail
 *       in runq_grab. Either the owner sees how far thieves have come, or they see that it has
 *       taken the newest. README.md, "Newest first".
 *
 * The slots are relaxed atomics, not plain pointers: a thief that has fallen a lap behind may
 * read a slot while the owner overwrites it. What it reads is then junk, and its CAS on head is
 * certain to fail.
 *
 * Go: the same structure (runqput, runqget, runqgrab).
 */
#ifndef WEFT_SCHED_RUNQ_H
#define WEFT_SCHED_RUNQ_H

#include "base/assert.h"
#include "sched/g.h"

#ifndef RUNQ_CAP
#define RUNQ_CAP 512u
#define RUNQ_CROWD 256u		/* with as many the newest come first: E1 */
#define RUNQ_BATCH 128u		/* most that are taken at a time */
#else				/* a model has set it */
#define RUNQ_CROWD (RUNQ_CAP - 1)
#define RUNQ_BATCH (RUNQ_CAP / 2)
#endif

_Static_assert((RUNQ_CAP & (RUNQ_CAP - 1)) == 0, "slot index relies on wrap-around");

enum runq_own {
	RUNQ_SHARED,		/* everybody takes by CAS and exchange */
	RUNQ_OWN,		/* the owner by plain stores, thieves not at all */
	RUNQ_ENDING,		/* the owner as when shared; thieves once it is not busy */
};

/* In goroutines that the owner picks: it is worth while from OWN_PAYS on. */
#define OWN_WAIT_MIN 64u
#define OWN_WAIT_MAX 65536u
#define OWN_PAYS 4096u

struct runq {
	_Alignas(WF_CACHELINE) _Atomic uint32_t head;	/* CAS by consumers */
	_Atomic(struct g *) runnext;			/* exchange by all; set by the owner */
	_Atomic uint8_t is_alone;			/* cleared once, by the owner; Q6 */
	_Atomic uint8_t own;				/* enum runq_own; Q7 */
	_Atomic uint8_t busy;				/* the owner between O1 and O3; Q8 */
	_Atomic uint32_t stealing;			/* 1: a thief is here, or own changes */
	_Atomic uint32_t own_from;			/* pick since which it is own, or may be */
	uint32_t own_wait;				/* under stealing: picks until the next */
	_Alignas(WF_CACHELINE) _Atomic uint32_t tail;	/* stored by the owner only */
	_Atomic(struct g *) slot[RUNQ_CAP];
};

/* Owner only: is it known that nobody else takes anything? */
static inline bool
runq_is_alone(const struct runq *q)
{
	return wf_load_relaxed(&((struct runq *)(uintptr_t)q)->is_alone) != 0;
}

/* From here on others take, too. Owner only; the look of the idle protocol comes after (A2). */
static inline void
runq_share(struct runq *q)
{
	wf_store_release(&q->is_alone, 0);				/* Q6 */
}

/* Anybody: may the caller take anything though q is not its own? */
static inline bool
runq_may_steal(struct runq *q)
{
	return wf_load_acquire(&q->is_alone) == 0;			/* Q6 */
}

/* ---- A ring of one's own ---- */

/* May the owner go by plain stores until runq_leave_own()? Owner only. */
static WF_ALWAYS_INLINE bool
runq_enter_own(struct runq *q)
{
	wf_store_relaxed(&q->busy, 1);					/* O1 */
	wf_compiler_barrier();	/* the membarrier of H3 orders O1 before O2 */
	if (wf_load_relaxed(&q->own) == RUNQ_OWN)			/* O2: our own word */
		return true;
	wf_store_release(&q->busy, 0);					/* O3 */
	return false;
}

static WF_ALWAYS_INLINE void
runq_leave_own(struct runq *q)
{
	wf_store_release(&q->busy, 0);					/* O3, Q8 */
}

/* The lock on own. Tried only: whoever has it may be interrupted for long. */
static inline bool
runq_trylock(struct runq *q)
{
	uint32_t nobody = 0;

	return wf_load_relaxed(&q->stealing) == 0 && wf_cas_acquire(&q->stealing, &nobody, 1u);
}

static inline void
runq_unlock(struct runq *q)
{
	wf_store_release(&q->stealing, 0);				/* H6, Q9 */
}

/* The owner, outside of O1 to O3, has it to itself from this pick on, or with false no more. */
static inline void
runq_own(struct runq *q, bool is_own, uint32_t picks)
{
	if (!runq_trylock(q))
		return;		/* a thief is here, and will end it */
	wf_store_relaxed(&q->own_from, picks);
	wf_store_release(&q->own, is_own ? RUNQ_OWN : RUNQ_SHARED);	/* O4, O5, Q7 */
	wf_fence_seqcst();	/* before any A3 that it makes plain */
	runq_unlock(q);
}

/* Appends g. Returns false if the ring is full; g is then still the caller's. Owner only. */
static inline bool
runq_put(struct runq *q, struct g *g)
{
	uint32_t h = wf_load_acquire(&q->head);				/* Q2 */
	uint32_t t = wf_load_relaxed(&q->tail);				/* our own store */

	if (t - h >= RUNQ_CAP)
		return false;
	wf_store_relaxed(&q->slot[t % RUNQ_CAP], g);
	wf_store_release(&q->tail, t + 1);				/* Q1 */
	return true;
}

/* Makes g the next to run. Returns the goroutine that was, or NULL. Owner only. */
static inline struct g *
runq_put_next(struct runq *q, struct g *g)
{
	if (runq_is_alone(q)) {
		struct g *old = wf_load_relaxed(&q->runnext);

		wf_store_relaxed(&q->runnext, g);
		return old;
	}
	if (runq_enter_own(q)) {
		struct g *old = wf_load_relaxed(&q->runnext);

		wf_store_relaxed(&q->runnext, g);	/* thieves come by Q8 and Q9 */
		runq_leave_own(q);
		return old;
	}
	return wf_xchg_seqcst(&q->runnext, g);				/* Q4 */
}

/* Takes the goroutine that is to run next, or NULL. Owner only; a thief has a CAS of its own. */
static inline struct g *
runq_take_next(struct runq *q)
{
	struct g *g = wf_load_relaxed(&q->runnext);	/* a hint: the exchange decides */

	if (g == NULL)
		return NULL;
	if (runq_is_alone(q)) {
		wf_store_relaxed(&q->runnext, NULL);
		return g;
	}
	if (runq_enter_own(q)) {
		g = wf_load_relaxed(&q->runnext);
		wf_store_relaxed(&q->runnext, NULL);	/* who looks here has passed S3 */
		runq_leave_own(q);
		return g;
	}
	return wf_xchg_acqrel(&q->runnext, NULL);			/* Q4, Q5 */
}

/*
 * Takes the oldest goroutine of the ring, or NULL. Owner only: thieves grab, with the fence of Q10.
 */
static inline struct g *
runq_take(struct runq *q)
{
	uint32_t h = wf_load_acquire(&q->head);				/* Q3 */

	if (runq_is_alone(q)) {
		if (h == wf_load_relaxed(&q->tail))
			return NULL;
		wf_store_relaxed(&q->head, h + 1);
		return wf_load_relaxed(&q->slot[h % RUNQ_CAP]);
	}

	for (;;) {
		uint32_t t = wf_load_acquire(&q->tail);			/* Q1 */
		struct g *g;

		if (t == h)
			return NULL;
		g = wf_load_relaxed(&q->slot[h % RUNQ_CAP]);
		/* acq_rel: a failed CAS reloads h and must do so with acquire (Q3). */
		if (wf_cas_acqrel(&q->head, &h, h + 1))			/* Q2, Q3 */
			return g;
	}
}

/* The same for the owner, whose own the ring may be. */
static inline struct g *
runq_take_own(struct runq *q)
{
	if (!runq_is_alone(q) && runq_enter_own(q)) {
		uint32_t h = wf_load_relaxed(&q->head);
		struct g *g = NULL;

		if (h != wf_load_relaxed(&q->tail)) {
			g = wf_load_relaxed(&q->slot[h % RUNQ_CAP]);
			wf_store_relaxed(&q->head, h + 1);	/* as above: Q8 and Q9 */
		}
		runq_leave_own(q);
		return g;
	}
	return runq_take(q);
}

/* Takes the newest goroutine of a ring that holds more than RUNQ_BATCH, or NULL. Owner only. */
static inline struct g *
runq_take_newest(struct runq *q)
{
	uint32_t t = wf_load_relaxed(&q->tail) - 1;			/* our own store */

	if ((int32_t)(t - wf_load_relaxed(&q->head)) < (int32_t)RUNQ_BATCH)
		return NULL;
	if (runq_is_alone(q)) {
		wf_store_relaxed(&q->tail, t);
	} else if (runq_enter_own(q)) {
		wf_store_relaxed(&q->tail, t);	/* thieves come by Q8 and Q9 */
		runq_leave_own(q);
	} else {
		wf_store_release(&q->tail, t);				/* Q1, Q10 */
		WF_POINT("ring.newest");
		wf_fence_seqcst();					/* Q10 */
		if ((int32_t)(t - wf_load_relaxed(&q->head)) < (int32_t)RUNQ_BATCH) {
			wf_store_relaxed(&q->tail, t + 1);	/* Q1: behind the fence */
			return NULL;
		}
	}
	return wf_load_relaxed(&q->slot[t % RUNQ_CAP]);
}

/*
 * Takes half of the ring, at least one if there is one, oldest first, into out[]. Returns how
 * many, <= RUNQ_BATCH. Any thread.
 */
static inline uint32_t
runq_grab(struct runq *q, struct g **out)
{
	uint32_t h = wf_load_acquire(&q->head);				/* Q3 */

	for (;;) {
		uint32_t t, n;

		wf_fence_seqcst();					/* Q10 */
		t = wf_load_acquire(&q->tail);				/* Q1 */
		n = t - h;
		if ((int32_t)n <= 0)
			return 0;	/* -1: its owner looks whether it may take the last */
		n = wf_min(n - n / 2, RUNQ_BATCH);
		for (uint32_t i = 0; i < n; i++)
			out[i] = wf_load_relaxed(&q->slot[(h + i) % RUNQ_CAP]);
		if (wf_cas_acqrel(&q->head, &h, h + n))			/* Q2, Q3 */
			return n;
	}
}

/* Goroutines in the ring. May be stale. */
static inline uint32_t
runq_len_racy(const struct runq *q)
{
	uint32_t h = wf_load_relaxed(&((struct runq *)(uintptr_t)q)->head);
	uint32_t t = wf_load_relaxed(&((struct runq *)(uintptr_t)q)->tail);

	return t - h <= RUNQ_CAP ? t - h : 0;
}

/*
 * Is there nothing here? Decides only on a tail that did not move meanwhile: a goroutine
 * kicked from runnext into the ring between two reads must not be missed. The seq_cst loads are
 * steps S4 of the idle protocol. One that its owner is about to take need not be seen.
 */
static inline bool
runq_is_empty(struct runq *q)
{
	for (;;) {
		uint32_t h = wf_load_seqcst(&q->head);
		uint32_t t = wf_load_seqcst(&q->tail);
		struct g *next = wf_load_seqcst(&q->runnext);

		if (t == wf_load_seqcst(&q->tail))
			return (int32_t)(t - h) <= 0 && next == NULL;
	}
}

#endif /* WEFT_SCHED_RUNQ_H */

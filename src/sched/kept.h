/*
 * Locks that a processor keeps: while goroutines of one P are all who use it, a struct wf_lock is
 * taken and given back by plain stores. Protocol: README.md, "Locks that a P keeps", whose steps
 * are cited here.
 *
 * A lock is either always taken by wf_lock(), or always by wf_kept_lock(). Between wf_enter() and
 * wf_leave().
 */
#ifndef WEFT_SCHED_KEPT_H
#define WEFT_SCHED_KEPT_H

#include "base/assert.h"
#include "sched/lock.h"
#include "sched/self.h"
#include "sched/slot.h"

/* lock.word of a free one that is kept: this, and 1 + the id of the P. */
#define WF_KEPT 0x80000000u

/*
 * Where a P notes what it holds: who takes several locks takes each at a place of its own. Locks
 * taken at a place from KEPT_PLACES on are taken as by anybody. The last is for the timer heap,
 * under whose lock others are taken.
 */
#define KEPT_PLACES 4u
#define KEPT_PLACE_TIMERS KEPT_PLACES

/* Of one P. */
struct kept_slot {
	/* Written by the owner of the P only; edge J1 */
	_Alignas(WF_CACHELINE) _Atomic(struct wf_lock *) held[KEPT_PLACES + 1];
	/*
	 * What ends of keeping that was begun by Z8 have cost, in ns, and what the owner, who alone
	 * writes that, has paid, modulo 2^32.
	 */
	_Atomic uint32_t cost;
	uint32_t paid;
};

/* By 1 + the id of the P. The first stands for threads without one: it holds nothing, ever. */
extern struct kept_slot wf_kept[WF_SLOTS_OF_PS + 1];

/* 1 + the id of the caller's P; 0: it has none. */
static WF_ALWAYS_INLINE uint32_t
wf_p_number(void)
{
	return wf_load_relaxed(&wf_gate(wf_self())->p_number);	/* our own */
}

/* Z3-Z5. True: somebody else kept it. */
bool wf_kept_take(struct wf_lock *l) WF_TAKES(l);

/* As wf_kept_try_by(), for who thinks that the P keeps it. */
static WF_ALWAYS_INLINE _Atomic(struct wf_lock *) *
wf_kept_mark(struct wf_lock *l, uint32_t place, uint32_t number)
{
	_Atomic(struct wf_lock *) *at = &wf_kept[number].held[place];

	WF_ASSERT(wf_load_relaxed(at) == NULL);
	wf_store_release(at, l);					/* Z1; J1 */
	wf_compiler_barrier();	/* the membarrier of Z4 orders Z1 before Z2 */
	/* Z2. Relaxed: our own P wrote what is looked for. */
	if (wf_likely(wf_load_relaxed(&l->word) == WF_KEPT + number)) {
		WF_POINT("kept.locked");
		return at;
	}
	wf_store_release(at, NULL);					/* Z2; J1 */
	return NULL;
}

/*
 * Z1, Z2. Where it is noted that the caller's P, which has that number, holds l now; NULL: it does
 * not keep it.
 */
static WF_ALWAYS_INLINE _Atomic(struct wf_lock *) *
wf_kept_try_by(struct wf_lock *l, uint32_t place, uint32_t number)
{
	/* Relaxed: whether it is worth a try. No lock's word is WF_KEPT + 0. */
	if (wf_load_relaxed(&l->word) != WF_KEPT + number)
		return NULL;
	return wf_kept_mark(l, place, number);
}

static WF_ALWAYS_INLINE _Atomic(struct wf_lock *) *
wf_kept_try(struct wf_lock *l, uint32_t place)
{
	return wf_kept_try_by(l, place, wf_p_number());
}

/* Takes l. True: another P kept it until now, and waiting for that took a microsecond. */
static inline bool
wf_kept_lock(struct wf_lock *l, uint32_t place)
    WF_TAKES(l) WF_HANDS_OVER("this is the lock")
{
	if (place < KEPT_PLACES && wf_kept_try(l, place) != NULL)
		return false;
	return wf_kept_take(l);
}

/* Is l held at that place by Z1 and Z2? The caller holds it. */
static inline bool
wf_kept_is_held_at(struct wf_lock *l, uint32_t place)
{
	return place < KEPT_PLACES
	    && wf_load_relaxed(&wf_kept[wf_p_number()].held[place]) == l;	/* our own */
}

/* Gives l back, which wf_kept_lock() took at that place. The last touch of l. */
static WF_ALWAYS_INLINE void
wf_kept_unlock(struct wf_lock *l, uint32_t place)
    WF_GIVES_BACK(l) WF_HANDS_OVER("this is the lock")
{
	if (wf_kept_is_held_at(l, place))
		wf_store_release(&wf_kept[wf_p_number()].held[place], NULL);	/* Z6; J1 */
	else
		wf_unlock(l);
}

/* wf_kept_unlock() of what was taken at place 0, for wf_park(). */
void wf_kept_give_back(void *lock);

/* The same for what was not held at a place: from now on the caller's P keeps it, if it has one. */
void wf_kept_begin(struct wf_lock *l) WF_GIVES_BACK(l);

/*
 * Z8. Where it is noted that the caller's P holds l now, at place 0, and keeps it from now on;
 * NULL: it does not, because l is not free, or another's, or for want of a membarrier, or because
 * the P still owes for such that others wanted. Of that this pays so many ns.
 */
_Atomic(struct wf_lock *) *wf_kept_claim(struct wf_lock *l, uint32_t ns);

/* As wf_kept_take(), of one that was begun by Z8: waiting for another P is what that P owes. */
void wf_kept_take_at_cost(struct wf_lock *l) WF_TAKES(l);

/* Is nobody inside? Stale at once, unless nobody else may come. */
static inline bool
wf_kept_is_free(const struct wf_lock *l)
{
	uint32_t word = wf_load_acquire(&l->word);			/* L1 */

	return word == 0 || word == WF_KEPT + wf_p_number();
}

/* membarrier(2), which has worked before: an answer there will be, or the process ends. */
void wf_membarrier(void);

#endif /* WEFT_SCHED_KEPT_H */

/*
 * The runtime's own lock: short critical sections. Nobody sleeps with one: a goroutine that parks
 * has its object's lock held for it until it has left its stack, and the commit, first thing on
 * the next one, gives it back (switch.c). Not fair: who has just come may overtake who sleeps. No
 * sleep is longer than half a millisecond, but one that finds the lock held again begins anew:
 * with 100,000 goroutines at one object a thread has been seen to wait for 31 ms.
 *
 * Taking it is one locked instruction, giving it back a plain store. That leaves nobody to say
 * whether others sleep: those who wait spin, and when that takes long - the holder has lost
 * its CPU - sleep for a moment and look again (lock.c). A lock that wakes its sleepers must
 * exchange the word when it is given back, and that second locked instruction was a third of
 * the cost of a value through a buffered channel (bench/buffered, one P: 37 ns with it, 24 ns
 * without).
 *
 *   L1  word: release in wf_unlock -> acquire in wf_lock
 *       What the holder wrote is seen by the next holder.
 */
#ifndef WEFT_SCHED_LOCK_H
#define WEFT_SCHED_LOCK_H

#include "base/atomic.h"
#include "base/guard.h"

struct WF_IS_A_LOCK wf_lock {
	_Atomic uint32_t word;	/* 0 free, 1 held; else free, and a P keeps it: kept.h */
};

/* Waits for it. Returns what the word was when it was taken. */
uint32_t wf_lock_slow(struct wf_lock *l) WF_TAKES(l);

static inline bool
wf_trylock(struct wf_lock *l)
    WF_TAKES_IF_TRUE(l) WF_HANDS_OVER("this is the lock")
{
	return wf_xchg_acquire(&l->word, 1u) == 0;		/* L1 */
}

static inline void
wf_lock(struct wf_lock *l)
    WF_TAKES(l) WF_HANDS_OVER("this is the lock")
{
	if (wf_unlikely(!wf_trylock(l)))
		(void)wf_lock_slow(l);
}

/* The store is the last access: the lock's owner may free it as soon as it has the lock. */
static inline void
wf_unlock(struct wf_lock *l)
    WF_GIVES_BACK(l) WF_HANDS_OVER("this is the lock")
{
	wf_store_release(&l->word, 0u);				/* L1 */
}

#endif /* WEFT_SCHED_LOCK_H */

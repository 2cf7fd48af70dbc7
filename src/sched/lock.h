/*
 * The runtime's own lock: short critical sections, never held across a park.
 *
 * A futex mutex of three values (Drepper, "Futexes are tricky", mutex 3): free, held,
 * held with sleepers. It spins a little first, because holders are short.
 *
 *   L1  word: release in wf_unlock -> acquire in wf_lock
 *       What the holder wrote is seen by the next holder.
 */
#ifndef WEFT_SCHED_LOCK_H
#define WEFT_SCHED_LOCK_H

#include "base/atomic.h"

struct wf_lock {
	_Atomic uint32_t word;	/* 0 free, 1 held, 2 held and somebody may sleep */
};

void wf_lock_slow(struct wf_lock *l);
void wf_unlock_slow(struct wf_lock *l);

static inline bool
wf_trylock(struct wf_lock *l)
{
	uint32_t free = 0;

	return wf_cas_acquire(&l->word, &free, 1u);		/* L1 */
}

static inline void
wf_lock(struct wf_lock *l)
{
	if (wf_unlikely(!wf_trylock(l)))
		wf_lock_slow(l);
}

/* After the exchange the lock's memory is only named to the kernel, never read: its
 * owner may free it as soon as it has the lock. */
static inline void
wf_unlock(struct wf_lock *l)
{
	if (wf_unlikely(wf_xchg_release(&l->word, 0u) == 2))	/* L1 */
		wf_unlock_slow(l);
}

#endif /* WEFT_SCHED_LOCK_H */

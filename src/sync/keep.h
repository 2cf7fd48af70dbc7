/*
 * A mutex that one processor uses is kept by it: its goroutines lock and unlock it by plain stores.
 * Protocol: README.md, "Kept by a processor", whose steps are cited here.
 */
#ifndef WEFT_SYNC_KEEP_H
#define WEFT_SYNC_KEEP_H

#include "base/assert.h"
#include "sched/self.h"
#include "sync/bias.h"
#include "sync/mutex.h"

_Static_assert(MUTEX_KEEPERS / MUTEX_KEEPER >= WF_SLOTS_OF_PS, "the state has room for the number");

/* Locks by M1 after which the owner asks whether its P should keep the mutex. A power of two. */
#ifndef KEEP_EVERY
#define KEEP_EVERY 256u
#endif

static inline uint32_t
mutex_keeper(uint32_t state)
{
	return (state & MUTEX_KEEPERS) / MUTEX_KEEPER;
}

/* 1 + the id of the caller's P; 0: it has none. Inside the runtime. */
static inline uint32_t
keeper_number(void)
{
	return wf_load_relaxed(&wf_gate(wf_self())->p_number);	/* our own */
}

/*
 * K1-K4: the state's LOCKED goes from `from` to `to`. False: it is not so, or the caller's P is not
 * its keeper, or will soon be it no more. The last touch of m is the store. Inside the runtime.
 */
static WF_ALWAYS_INLINE bool
mutex_change_kept(struct mutex *m, uint32_t from, uint32_t to)
{
	uint32_t number = keeper_number(), keeper = number * MUTEX_KEEPER;
	struct bias_slot *s;
	bool is_ours;

	if (wf_unlikely(number == 0))
		return false;
	s = &wf_biases.slots[number - 1];
	wf_store_relaxed(&s->busy, 1u);						/* K1 */
	wf_compiler_barrier();	/* the membarrier of K6 orders K1 before K2 */
	is_ours = wf_load_acquire(&m->lock.word) == 0				/* K2; L1 */
	    && wf_load_acquire(&m->state) == (keeper | from);			/* K2; A1 */
	if (wf_likely(is_ours)) {
		WF_POINT("mutex.keeper_looked");
		wf_store_release(&m->state, keeper | to);			/* K3; A1 */
	}
	wf_store_release(&s->busy, 0u);						/* K4; V2 */
	return is_ours;
}

/* K5. The caller owns m, by M1. */
void wf_mutex_keep(struct mutex *m);

/* K6, K7: m is kept by nobody. Inside the runtime, under m's lock. */
void wf_mutex_unkeep_locked(struct mutex *m) WF_HOLDS(m->lock);

/* The same, without the lock. */
void wf_mutex_unkeep(struct mutex *m);

/* A lock that met nobody: counted, and from time to time asked about. Not inside the runtime. */
static WF_ALWAYS_INLINE void
mutex_count_lock(struct mutex *m)
{
	struct m *self = wf_self();
	uint32_t n;

	if (wf_unlikely(self == NULL))
		return;
	/* Relaxed: a sample. The thread may change in between, and one lock is not counted. */
	n = wf_load_relaxed(&wf_gate(self)->n_locks) + 1;
	wf_store_relaxed(&wf_gate(self)->n_locks, n);
	if (wf_unlikely(n % KEEP_EVERY == 0))
		wf_mutex_keep(m);
}

/* M1, or K1-K4. False: not at once, or not that way. Not inside the runtime. */
static WF_ALWAYS_INLINE bool
mutex_lock_at_once(struct mutex *m)
{
	uint32_t state = wf_load_relaxed(&m->state);	/* what is done with it looks again */
	bool is_locked;

	if (mutex_keeper(state) == 0) {
		is_locked = mutex_lock_fast(m);
		if (wf_likely(is_locked))
			mutex_count_lock(m);
		return is_locked;
	}
	wf_enter();
	is_locked = mutex_change_kept(m, 0, MUTEX_LOCKED);
	wf_leave();
	return is_locked;
}

/* M5, or K1-K4: the last touch, if it works. Not inside the runtime. */
static WF_ALWAYS_INLINE bool
mutex_unlock_at_once(struct mutex *m)
{
	uint32_t state = wf_load_relaxed(&m->state);	/* what is done with it looks again */
	bool is_unlocked;

	if (mutex_keeper(state) == 0)
		return mutex_unlock_fast(m);
	wf_enter();
	is_unlocked = mutex_change_kept(m, MUTEX_LOCKED, 0);
	wf_leave();
	return is_unlocked;
}

/* Never waits. False: it is locked, or about to be handed to a waiter. Not inside the runtime. */
bool wf_mutex_trylock(struct mutex *m);

#endif /* WEFT_SYNC_KEEP_H */

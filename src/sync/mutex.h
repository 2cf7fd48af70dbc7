/*
 * The mutex as cond and rwmutex use it, inside the runtime. How it works: README.md, "Mutex".
 */
#ifndef WEFT_SYNC_MUTEX_H
#define WEFT_SYNC_MUTEX_H

#include <weft/sync.h>
#include "sync/waitlist.h"

/* Bits of mutex.state. */
#define MUTEX_LOCKED	0x1u	/* somebody owns it */
#define MUTEX_WAITERS	0x2u	/* waiters is not empty; changed under lock only */
#define MUTEX_WOKEN	0x4u	/* one who runs is trying: unlock need wake nobody */
#define MUTEX_STARVING	0x8u	/* goes from owner to first waiter; changed under lock only */
#define MUTEX_KEEPER	0x10u	/* one of the keeper's number; keep.h. Changed under lock only */
#define MUTEX_KEEPERS	(0xfffu * MUTEX_KEEPER)

/*
 * Life: the user's, all zero at first. Who may free it when: README.md, "The rule of the last
 * touch".
 *
 *   l  under lock
 *   x  atomic; M1-M8, K2-K7
 */
struct mutex {
	_Atomic uint32_t state;		/* x */
	struct wf_lock lock;
	struct waitlist waiters;	/* l  oldest first; one that competed and lost, first */
};

_Static_assert(sizeof(struct mutex) <= sizeof(weft_mutex), "weft_priv is too small");
_Static_assert(sizeof(weft_mutex) <= 16, "promised by the contract");
_Static_assert(offsetof(struct mutex, state) == 0 && MUTEX_LOCKED == 1, "weft/sync.h looks at it");

/*
 * Takes the lock at once or waits for it: 0, or -ETIMEDOUT. reason is what dumps show. Between
 * wf_enter() and wf_leave().
 */
WF_PARKS int wf_mutex_lock_slow(struct mutex *m, int64_t deadline, enum wf_wait_reason reason);

/*
 * Unlocks; fatal if it is not locked. True: it was handed to a starving waiter, which the
 * caller should let run by wf_yield(). Does not park. Between wf_enter() and wf_leave().
 */
bool wf_mutex_unlock_slow(struct mutex *m);

/* M1. The first look spares one that is kept a locked instruction in vain. */
static WF_ALWAYS_INLINE bool
mutex_lock_fast(struct mutex *m)
{
	uint32_t old = wf_load_relaxed(&m->state);

	return old == 0 && wf_cas_acquire(&m->state, &old, MUTEX_LOCKED);		/* A1 */
}

/* M5. The last touch, if it works. */
static WF_ALWAYS_INLINE bool
mutex_unlock_fast(struct mutex *m)
{
	uint32_t old = wf_load_relaxed(&m->state);	/* as in mutex_lock_fast() */

	return old == MUTEX_LOCKED && wf_cas_release(&m->state, &old, 0u);	/* A1 */
}

#endif /* WEFT_SYNC_MUTEX_H */

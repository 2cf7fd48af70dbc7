/*
 * What a wait group is made of. Protocol: README.md, "WaitGroup", whose steps and edges are cited
 * here.
 */
#ifndef WEFT_SYNC_WAITGROUP_H
#define WEFT_SYNC_WAITGROUP_H

#include <weft/sync.h>
#include "base/assert.h"
#include "sync/waitlist.h"

/* Bits of waitgroup.state: who waits, or is just being released. */
#define WAITERS 1	/* those in the list */
#define ALONE 2		/* one that can't give up: what head is, or is about to be */
#define KEPT_BY 3	/* both: a P keeps it; head says who is counted there */
#define ONE 4		/* of the counter */
#define DEBT_MAX (1u << 26)	/* as far below 0 as the counter is known to be, after a panic */
#define COUNTER_MAX (UINT32_MAX / ONE - DEBT_MAX)

/* Bits of waitgroup.head. Without KEPT it is a waiter or NULL. */
#define KEPT 1		/* a P counts here: times ONE, unless */
#define FOR_ONE 2	/* who waits is here, and its n is the counter */

/*
 * Life: the user's, all zero at first. Who may free it when: README.md, "The rule of the last
 * touch".
 *
 *   x  atomic; G1-G8. head also under lock: written by who has it, while not ALONE
 */
struct waitgroup {
	_Atomic uint32_t state;		/* x  counter * ONE + those bits */
	struct wf_lock lock;		/* sched/kept.h */
	union {
		_Atomic uintptr_t head;		/* x  the list, or what KEPT says; G9-G12 */
		_Atomic(struct waiter *) alone;	/* x  while ALONE */
	};
};

_Static_assert(sizeof(struct waitgroup) <= sizeof(weft_waitgroup), "weft_priv is too small");
_Static_assert(sizeof(weft_waitgroup) <= 16, "promised by the contract");
_Static_assert(offsetof(struct waitgroup, state) == 0
    && offsetof(struct waitgroup, lock.word) == 4, "weft/sync.h looks at them");

static inline struct waitgroup *
waitgroup_of(weft_waitgroup *wg)
{
	return (struct waitgroup *)(void *)wg;
}

/* The list, under lock; what is done to it must be put back. */
static inline struct waitlist
waitgroup_list(struct waitgroup *wg)
    WF_HOLDS(wg->lock)
{
	return (struct waitlist){ (struct waiter *)wf_load_relaxed(&wg->head) };
}

static inline void
waitgroup_set_list(struct waitgroup *wg, struct waitlist l)
    WF_HOLDS(wg->lock)
{
	/* Relaxed: others than who has the lock look at KEPT only, which was off before. */
	wf_store_relaxed(&wg->head, (uintptr_t)l.head);
}

#endif /* WEFT_SYNC_WAITGROUP_H */

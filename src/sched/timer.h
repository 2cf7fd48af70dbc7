/*
 * Timers of the scheduler: a 4-ary heap per P, each with a lock.
 *
 * A wf_timer is its owner's memory. It is in at most one heap. fire() runs under that
 * heap's lock, so when wf_timer_disarm() has returned it is not running and will not.
 * Lock order: a heap's lock may be held while an object's lock is taken (fire does), so no
 * timer is armed or disarmed with an object's lock held.
 */
#ifndef WEFT_SCHED_TIMER_H
#define WEFT_SCHED_TIMER_H

#include "base/atomic.h"
#include "sched/g.h"
#include "sched/lock.h"

struct timers;

struct wf_timer {
	int64_t when;			/* under home's lock while armed */
	_Atomic(struct timers *) home;	/* the heap it is in, or NULL; written under its lock */
	uint32_t index;			/* under home's lock: where in the heap */
	/*
	 * Called at or after when, under the heap's lock, on any thread: must be short, must not
	 * park or arm. Goroutines to wake go on ready. Returns when to fire again, or
	 * INT64_MAX: then the timer leaves the heap as soon as fire has returned.
	 */
	int64_t (*fire)(struct wf_timer *t, int64_t now, struct gqueue *ready);
};

/* Starts t, which is not armed. INT64_MAX never fires, and is not even put in a heap. */
void wf_timer_arm(struct wf_timer *t, int64_t when);
/* Stops t. True if it was armed. Afterwards fire is not running. */
bool wf_timer_disarm(struct wf_timer *t);

/*
 * Takes the lock of the heap that t is in: fire is not running, and what fire owns is the caller's
 * until one of the next two gives the lock back. NULL: t is not armed.
 */
struct timers *wf_timer_hold(struct wf_timer *t);
/* The same, but NULL also if t is not where wf_timer_arm() would put it now. */
struct timers *wf_timer_hold_here(struct wf_timer *t);
/* Stops t, which is held. */
void wf_timer_disarm_held(struct timers *held, struct wf_timer *t);
/* t, which is held, is to fire at when instead, which is not INT64_MAX. */
void wf_timer_put_off(struct timers *held, struct wf_timer *t, int64_t when);

/*
 * Fires what is due now, on all Ps: for who asks for a timer's effect without waiting. Else it
 * would be seen only when some P next passes through the scheduler. No lock may be held.
 */
void wf_timers_check(void);

#endif /* WEFT_SCHED_TIMER_H */

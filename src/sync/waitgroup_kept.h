/*
 * A wait group that one processor uses is kept by it: its goroutines count and wait by plain
 * stores. Protocol: README.md, "Kept by a processor" of "WaitGroup", whose steps and edges are
 * cited here.
 */
#ifndef WEFT_SYNC_WAITGROUP_KEPT_H
#define WEFT_SYNC_WAITGROUP_KEPT_H

#include "sched/kept.h"
#include "sync/waitgroup.h"

/* What a wait that is kept comes to, but for 0 and errors. */
#define WAIT_ELSEWHERE 1

/* G12: takes the lock, and nobody keeps wg any more. Inside the runtime. */
void wf_waitgroup_unkeep_lock(struct waitgroup *wg) WF_TAKES(wg->lock);

/* The same, without the lock. */
void wf_waitgroup_unkeep(struct waitgroup *wg);

/*
 * G11. 0, -ETIMEDOUT, -ECANCELED; or WAIT_ELSEWHERE: wg is not kept by the caller's P, or not for
 * such a wait. Inside the runtime.
 */
WF_PARKS int wf_waitgroup_wait_kept(struct waitgroup *wg, int64_t deadline);

/* Is wg kept, as far as those know who are counted in it? They see it if it is. */
static WF_ALWAYS_INLINE bool
waitgroup_is_kept(struct waitgroup *wg)
{
	return (wf_load_acquire(&wg->head) & KEPT) != 0;		/* D6 */
}

/* 1 + the id of the P of m, which is the caller's; 0: it has none. Inside the runtime. */
static WF_ALWAYS_INLINE uint32_t
number_of(struct m *m)
{
	return wf_load_relaxed(&wf_gate(m)->p_number);	/* our own */
}

/*
 * How often in a row a thread begins one group before its P keeps it. Often: a group of its own for
 * each call of a function, always at one address, is tried in vain, which costs a microsecond.
 */
#ifndef KEEP_BEGUN
#define KEEP_BEGUN 1024u
#endif

/* G9. False: nothing has happened. Inside the runtime. */
bool wf_waitgroup_keep(struct waitgroup *wg, int delta);

/*
 * Is wg, whose counter was 0, one that should be kept? Relaxed: a sample; and the thread may
 * change in between. Needs not be inside the runtime.
 */
static WF_ALWAYS_INLINE bool
waitgroup_is_begun_again(struct waitgroup *wg)
{
	struct m *self = wf_self();
	struct m_gate *gate = wf_gate(self);
	uint32_t n = 0;

	if (wf_unlikely(self == NULL))
		return false;
	if (wf_load_relaxed(&gate->group) == (uintptr_t)wg)
		n = wf_load_relaxed(&gate->n_begun) + 1;
	else
		wf_store_relaxed(&gate->group, (uintptr_t)wg);
	wf_store_relaxed(&gate->n_begun, n);
	return n >= KEEP_BEGUN;
}

/* G10, beside one who waits. The counter is 0 now: it was that one's, and *ret_wake is it. */
static WF_ALWAYS_INLINE bool
count_for_one(struct waitgroup *wg, struct waiter *w, int delta, struct g **ret_wake)
{
	int64_t counter = (int64_t)w->n + delta;

	if (wf_likely(counter == 0)) {
		wf_claim_solo(w, 0);
		*ret_wake = w->g;
		wf_store_release(&wg->head, (uintptr_t)KEPT);		/* D6 */
		return true;
	}
	if (counter < 0 || counter > COUNTER_MAX)
		return false;
	w->n = (uint64_t)counter;
	return true;
}

/*
 * G10. Who waited and is to be readied goes to *ret_wake. False: nothing has happened. The last
 * touch of wg is the store to its head. Inside the runtime, on m.
 */
static WF_ALWAYS_INLINE bool
waitgroup_count_kept(struct m *m, struct waitgroup *wg, int delta, struct g **ret_wake)
{
	_Atomic(struct wf_lock *) *at = wf_kept_try_by(&wg->lock, 0, number_of(m));	/* Z1, Z2 */
	bool is_counted = true;
	uintptr_t head;

	if (wf_unlikely(at == NULL))
		return false;
	head = wf_load_relaxed(&wg->head);	/* we hold the lock */
	WF_POINT("waitgroup.counting");
	if ((head & (FOR_ONE | KEPT)) == KEPT) {
		int64_t counter = (int64_t)(head / ONE) + delta;

		is_counted = counter >= 0 && counter <= COUNTER_MAX;
		if (wf_likely(is_counted))
			wf_store_release(&wg->head, (uintptr_t)counter * ONE + KEPT);	/* D6 */
	} else {
		is_counted = (head & KEPT) != 0
		    && count_for_one(wg, (struct waiter *)(head - FOR_ONE - KEPT), delta, ret_wake);
	}
	wf_store_release(at, NULL);					/* Z6; J1 */
	return is_counted;
}

#endif /* WEFT_SYNC_WAITGROUP_KEPT_H */

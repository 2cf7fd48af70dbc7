/*
 * The slow side of waitgroup_kept.h: who waits for a kept wait group, and how keeping ends.
 * README.md, "Kept by a processor" of "WaitGroup", whose steps and edges are cited here.
 */
#define WEFT_NO_INLINE
#include "sync/waitgroup_kept.h"

#include "sched/panic.h"

WF_COLD bool
wf_waitgroup_keep(struct waitgroup *wg, int delta)
{
	_Atomic(struct wf_lock *) *at;
	uint32_t state = 0;
	bool is_kept;

	wf_store_relaxed(&wf_gate(wf_self())->n_begun, 0);	/* a sample */
	if ((uint32_t)delta > COUNTER_MAX)
		return false;
	at = wf_kept_claim(&wg->lock, KEEP_BEGUN);			/* Z8 */
	if (at == NULL)
		return false;
	WF_POINT("waitgroup.claimed");
	is_kept = wf_cas_acquire(&wg->state, &state, KEPT_BY);		/* G9; D3, D5 */
	if (is_kept)
		wf_store_release(&wg->head, (uintptr_t)delta * ONE + KEPT);	/* D6 */
	wf_store_release(at, NULL);					/* Z6; J1 */
	return is_kept;
}

/* G12, under lock: what was counted and who waited go where everybody counts and waits. */
static void
fold_locked(struct waitgroup *wg)
    WF_HOLDS(wg->lock)
{
	uintptr_t head = wf_load_acquire(&wg->head);			/* D6 */
	struct waitlist waiters = { NULL };
	uint32_t counted = (uint32_t)(head / ONE) * ONE;

	if ((head & KEPT) == 0)
		return;
	if (head & FOR_ONE) {
		struct waiter *w = (struct waiter *)(head - FOR_ONE - KEPT);

		counted = (uint32_t)w->n * ONE + WAITERS;
		waitlist_put(&waiters, w);
	}
	(void)wf_add_release(&wg->state, counted - KEPT_BY);		/* D1 */
	WF_POINT("waitgroup.folding");
	wf_store_release(&wg->head, (uintptr_t)waiters.head);		/* D6 */
}

void
wf_waitgroup_unkeep_lock(struct waitgroup *wg)
    WF_HANDS_OVER("wf_kept_take_at_cost() takes it")
{
	wf_kept_take_at_cost(&wg->lock);				/* Z3-Z5 */
	fold_locked(wg);
}

WF_COLD void
wf_waitgroup_unkeep(struct waitgroup *wg)
{
	wf_waitgroup_unkeep_lock(wg);
	wf_unlock(&wg->lock);
}

/* Is it a wait for a counter above 0 that G11 has no place for? Else 0, or why it can't wait. */
static int
may_wait(struct waitgroup *wg, uintptr_t head, int64_t deadline)
{
	int r;

	if ((head & (KEPT | FOR_ONE)) != KEPT
	    || wf_load_acquire(&wg->state) != KEPT_BY)			/* D1 */
		return WAIT_ELSEWHERE;
	if (head == KEPT || (deadline == WEFT_FOREVER && !wf_can_cancel(wf_g(), true)))
		return 0;
	r = wf_park_check(deadline, /* cancellable */ true);
	return r < 0 ? r : WAIT_ELSEWHERE;
}

WF_PARKS int
wf_waitgroup_wait_kept(struct waitgroup *wg, int64_t deadline)
{
	_Atomic(struct wf_lock *) *at = wf_kept_try(&wg->lock, 0);	/* Z1, Z2 */
	struct waiter w;
	uintptr_t head;
	int r;

	if (at == NULL)
		return WAIT_ELSEWHERE;
	head = wf_load_relaxed(&wg->head);	/* we hold the lock */
	r = may_wait(wg, head, deadline);
	if (r != 0 || head == KEPT) {
		wf_store_release(at, NULL);				/* Z6; J1 */
		return r;
	}
	wf_waiter_init(&w, WEFT_FOREVER, /* cancellable */ true);
	w.n = head / ONE;
	wf_store_release(&wg->head, (uintptr_t)&w + FOR_ONE + KEPT);	/* D6 */
	WF_POINT("waitgroup.kept_wait");
	return wf_park(wf_kept_give_back, &wg->lock, WAIT_WAITGROUP, WEFT_FOREVER,
	    /* cancellable */ true);
}

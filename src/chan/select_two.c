/*
 * The everyday select that must wait: two operations on two channels, both kept by the caller's P.
 * README.md, "Select", S3-S7 and "Two that are kept". What is not that is for select_locked.c.
 */
#include "chan/select.h"

static WF_ALWAYS_INLINE void
unlock_both(struct kept_slot *slot)
    WF_HANDS_OVER("of both cases")
{
	wf_store_release(&slot->held[1], NULL);				/* Z6; J1 */
	WF_POINT("select.unlocked_one");
	wf_store_release(&slot->held[0], NULL);				/* Z6; J1 */
}

/* S6. Reads nothing of the goroutine, which may run already. */
static void
unlock_parked(void *unused)
{
	(void)unused;
	unlock_both(&wf_kept[wf_p_number()]);
}

/* S3. A lock that is only tried needs no order. */
static WF_ALWAYS_INLINE bool
lock_both(const weft_case *cases, uint32_t number)
    WF_HANDS_OVER("of both cases, if true")
{
	chan_hold first = wf_kept_try_by(lock_of(&cases[0]), 0, number);

	if (first == NULL)
		return false;
	if (wf_kept_try_by(lock_of(&cases[1]), 1, number) != NULL)
		return true;
	wf_store_release(first, NULL);					/* Z6; J1 */
	return false;
}

/* S7 for one that was not claimed. */
static WF_PARKS void
leave(const weft_case *wc, struct waiter *w)
{
	struct weft_chan *c = wc->chan;
	chan_hold at = chan_lock(c);
	bool taken;

	if (wc->op == WEFT_OP_RECV) {
		taken = chan_remove_locked(c, &c->recvq, w);
		recvq_taken(c);
	} else {
		taken = chan_remove_locked(c, &c->sendq, w);
		sendq_taken(c);
	}
	chan_unlock(c, at);
	if (wf_unlikely(taken))
		wf_taken_await_pass(w);
}

WF_PARKS int
wf_select_two_kept(weft_case *cases, int64_t deadline)
    WF_HANDS_OVER("they stand at two places of the P")
{
	struct waiter w[2];
	uint32_t number = wf_p_number();
	int r;

	/* An event is kept by nobody; its lock says so to lock_both(). */
	if (cases[0].chan == cases[1].chan || !lock_both(cases, number))	/* S3 */
		return CHAN_RARE;
	r = chan_may_wait(deadline);
	/* S4: under their locks those that do not look ready are not. */
	if (case_looks_ready(&cases[0]) || case_looks_ready(&cases[1]))
		r = CHAN_RARE;
	if (r < 0) {
		unlock_both(&wf_kept[number]);
		return r;
	}
	case_queue(&cases[0], &w[0], 0, deadline);			/* S5 */
	case_queue(&cases[1], &w[1], 1, deadline);
	r = wf_park(unlock_parked, NULL, WAIT_SELECT, deadline, true);	/* S6 */
	WF_POINT("select.woken");
	if (r != 0)							/* S7 */
		leave(&cases[0], &w[0]);
	if (r != 1)
		leave(&cases[1], &w[1]);
	if (r >= 0)
		case_won(&cases[r], &w[r]);
	return wf_returns_from(WAIT_SELECT, r);
}

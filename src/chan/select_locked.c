/*
 * Select under the locks of all its cases, and its wait: README.md, "Select", S3-S7.
 */
#include "chan/select.h"

static inline weft_case *
case_at(const struct select *s, uint32_t k)
{
	return &s->cases[s->order[k]];
}

/* S4. The same under all locks; whom to ready afterwards goes to *ret_wake. */
static int
try_locked(struct select *s, struct g **ret_wake)
    WF_HOLDS_UNNAMED("of all cases")
{
	for (uint32_t k = 0; k < s->n; k++) {
		weft_case *wc = &s->cases[s->poll[k]];
		int r = case_try_locked(wc, ret_wake);

		if (r != CHAN_BLOCKS) {
			wc->res = r;
			return (int)s->poll[k];
		}
	}
	return -1;
}

/* ---- Locks and queues ---- */

/* S3. */
static void
lock_all(struct select *s)
    WF_HANDS_OVER("locks of all cases")
{
	struct wf_lock *last = NULL;

	for (uint32_t k = 0; k < s->n; k++) {
		struct wf_lock *l = lock_of(case_at(s, k));

		if (l != last)
			case_lock(case_at(s, k), k);
		last = l;
	}
}

/*
 * S6. Runs when the goroutine, whose frame *arg is in, may already have been claimed: what comes
 * next is read before what comes before is unlocked, and nothing after the last unlock.
 */
static void
unlock_all(void *arg)
    WF_HANDS_OVER("those that lock_all() took")
{
	const struct select *s = arg;
	uint32_t k = s->n - 1;
	struct wf_lock *l = lock_of(case_at(s, k));

	while (k-- > 0) {
		struct wf_lock *next = lock_of(case_at(s, k));

		if (next != l) {
			wf_kept_unlock(l, k + 1);
			WF_POINT("select.unlocked_one");
		}
		l = next;
	}
	wf_kept_unlock(l, 0);
}

/* S5. */
static void
queue_all(struct select *s, int64_t deadline)
{
	for (uint32_t k = 0; k < s->n; k++)
		case_queue(case_at(s, k), &s->waiter[k], k, deadline);
}

/* S7 for the waiters first..last-1, all on one channel. */
static WF_PARKS void
leave_chan(struct select *s, uint32_t first, uint32_t last, int won)
{
	struct weft_chan *c = case_at(s, first)->chan;
	bool taken = false;
	chan_hold at = chan_lock(c);

	for (uint32_t k = first; k < last; k++) {
		bool sends = case_at(s, k)->op == WEFT_OP_SEND;

		if ((int)k != won && chan_remove_locked(c, sends ? &c->sendq : &c->recvq,
		    &s->waiter[k]))
			taken = true;
	}
	sendq_taken(c);
	recvq_taken(c);
	chan_unlock(c, at);
	for (uint32_t k = first; taken && k < last; k++)
		if ((int)k != won && s->waiter[k].queued)
			wf_taken_await_pass(&s->waiter[k]);
}

/* The same, all on one event. */
static WF_PARKS void
leave_event(struct select *s, uint32_t first, uint32_t last, int won)
{
	for (uint32_t k = first; k < last; k++)
		if ((int)k != won)
			wf_event_leave(event_of(case_at(s, k)), &s->waiter[k]);
}

/*
 * S7. won is the position of the claimed waiter, or negative. Its channel is left alone if no other
 * case has it: its claimer took it off, and may have freed the channel since.
 */
static WF_PARKS void
leave_all(struct select *s, int won)
{
	uint32_t first, last;

	WF_POINT("select.woken");
	for (first = 0; first < s->n; first = last) {
		const weft_case *wc = case_at(s, first);

		for (last = first + 1; last < s->n && case_at(s, last)->chan == wc->chan; last++)
			;
		if (wc->op == WEFT_OP_WAIT)
			leave_event(s, first, last, won);
		else if (last - first > 1 || (int)first != won)
			leave_chan(s, first, last, won);
	}
}

/* ---- The wait ---- */

/* S5-S7, with all locks held, which are dropped. */
static int
select_wait(struct select *s, int64_t deadline)
{
	int won;

	queue_all(s, deadline);						/* S5 */
	won = wf_park(unlock_all, s, WAIT_SELECT, deadline, true);	/* S6 */
	leave_all(s, won);						/* S7 */
	if (won < 0)
		return wf_returns_from(WAIT_SELECT, won);

	case_won(case_at(s, (uint32_t)won), &s->waiter[won]);
	return wf_returns_from(WAIT_SELECT, (int)s->order[won]);
}

/* The channels of poll's cases by address; two are one comparison. */
static void
sort(struct select *s)
{
	bool swap;

	if (s->n != 2) {
		memcpy(s->order, s->poll, s->n * sizeof(*s->order));
		wf_select_sort(s->order, s->n, s->cases);
		return;
	}
	swap = (uintptr_t)s->cases[s->poll[0]].chan > (uintptr_t)s->cases[s->poll[1]].chan;
	s->order[0] = s->poll[swap];
	s->order[1] = s->poll[!swap];
}

WF_PARKS int
wf_select_with_locks(struct select *s, int64_t deadline)
{
	struct g *wake = NULL;
	int r;

	sort(s);
	lock_all(s);							/* S3 */
	r = try_locked(s, &wake);					/* S4 */
	if (r < 0) {
		r = chan_may_wait(deadline);
		if (r == 0)
			return select_wait(s, deadline);
	}
	unlock_all(s);
	if (wake != NULL)
		wf_ready(wake);
	return r;
}

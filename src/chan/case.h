/*
 * One case of a select: looking at it, trying it, its lock. README.md, "Select", whose steps are
 * cited here. Knows nothing of the other cases.
 */
#ifndef WEFT_CHAN_CASE_H
#define WEFT_CHAN_CASE_H

#include "chan/event.h"
#include "chan/ops.h"

/* A case stands for a channel or an event by its address; both begin with their lock. */
_Static_assert(offsetof(struct weft_chan, lock) == 0, "lock_of() casts");
_Static_assert(offsetof(struct event, lock) == 0, "lock_of() casts");

static inline struct wf_lock *
lock_of(const weft_case *wc)
{
	return (struct wf_lock *)(void *)wc->chan;
}

static inline struct event *
event_of(const weft_case *wc)
{
	return (struct event *)(void *)wc->chan;
}

/* An event's is one that nobody keeps: wf_lock() elsewhere and this are the same for it. */
static inline void
case_lock(weft_case *wc, uint32_t place)
    WF_TAKES(lock_of(wc)) WF_HANDS_OVER("lock_of() is the lock, by another name")
{
	if (wc->op == WEFT_OP_WAIT)
		wf_lock(lock_of(wc));
	else if (wf_kept_lock(lock_of(wc), place))
		chan_was_kept(wc->chan);
}

/* Its result, or CHAN_BLOCKS. */
static inline int
case_try_locked(weft_case *wc, struct g **ret_wake)
    WF_HANDS_OVER("lock_of() is the lock, by another name")
{
	if (wc->op == WEFT_OP_SEND)
		return chan_send_locked(wc->chan, wc->elem, ret_wake, wf_race_told());
	if (wc->op == WEFT_OP_RECV)
		return chan_recv_locked(wc->chan, wc->elem, ret_wake, wf_race_told());
	return event_has_happened(event_of(wc)) ? 0 : CHAN_BLOCKS;
}

/*
 * A look without the lock: the result of a closed channel or of an event, or CHAN_BLOCKS.
 * *ret_hopeful: it may be worth the lock.
 */
static inline int
case_look(weft_case *wc, bool *ret_hopeful)
{
	int r;

	if (wc->op == WEFT_OP_WAIT) {
		*ret_hopeful = event_has_happened(event_of(wc));
		return event_look(event_of(wc)) ? 0 : CHAN_BLOCKS;
	}
	if (wc->op == WEFT_OP_SEND)
		r = chan_look_send(wc->chan, WEFT_NOW);
	else
		r = chan_look_recv(wc->chan, wc->elem, WEFT_NOW);
	*ret_hopeful = r == CHAN_BLOCKS;
	return r == -ETIMEDOUT ? CHAN_BLOCKS : r;
}

/* Its result, or CHAN_BLOCKS, with its lock alone. */
static inline int
case_try_alone(weft_case *wc, struct g **ret_wake)
{
	chan_hold at;
	int r;

	if (wf_unlikely(wc->op == WEFT_OP_WAIT)) {
		wf_lock(&event_of(wc)->lock);
		r = case_try_locked(wc, ret_wake);
		wf_unlock(&event_of(wc)->lock);
		return r;
	}
	at = chan_lock(wc->chan);
	r = case_try_locked(wc, ret_wake);
	chan_unlock(wc->chan, at);
	return r;
}

/* S2 for one case. Did it go? */
static WF_ALWAYS_INLINE bool
case_goes(weft_case *wc)
{
	struct g *wake = NULL;
	bool hopeful;
	int r = case_look(wc, &hopeful);

	if (hopeful && r == CHAN_BLOCKS)
		r = case_try_alone(wc, &wake);
	if (r == CHAN_BLOCKS)
		return false;
	wc->res = r;
	if (wake != NULL)
		wf_ready(wake);
	return true;
}

#endif /* WEFT_CHAN_CASE_H */

/*
 * One case of a select: looking at it, trying it, its lock. README.md, "Select", whose steps are
 * cited here. Knows nothing of the other cases.
 */
#ifndef WEFT_CHAN_CASE_H
#define WEFT_CHAN_CASE_H

#include "chan/event.h"
#include "chan/quick.h"

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

/* S2 for an event. */
static WF_NOINLINE bool
case_event_goes(weft_case *wc)
{
	struct g *wake = NULL;

	if (!event_look(event_of(wc)) && (!event_has_happened(event_of(wc)) ||
	    case_try_alone(wc, &wake) == CHAN_BLOCKS))
		return false;
	wc->res = 0;
	return true;
}

/* S2 for one case. Did it go? */
static WF_ALWAYS_INLINE bool
case_goes(weft_case *wc)
    WF_HANDS_OVER("wf_kept_try() takes the lock, which lock_of() is by another name")
{
	struct weft_chan *c = wc->chan;
	bool sends = wc->op == WEFT_OP_SEND;
	struct g *wake = NULL;
	chan_hold at;
	int r;

	if (wf_unlikely(wc->op == WEFT_OP_WAIT))
		return case_event_goes(wc);
	r = sends ? chan_look_send(c, WEFT_NOW) : chan_look_recv(c, wc->elem, WEFT_NOW);
	if (r == -ETIMEDOUT)
		return false;
	if (r == CHAN_BLOCKS && (at = wf_kept_try(&c->lock, 0)) == NULL) {
		r = case_try_alone(wc, &wake);
	} else if (r == CHAN_BLOCKS) {
		r = wf_race_told() ? CHAN_RARE : sends ? quick_send(c, wc->elem, &wake)
		    : quick_recv(c, wc->elem, &wake);
		if (wf_unlikely(r == CHAN_RARE))
			r = case_try_locked(wc, &wake);
		wf_store_release(at, NULL);				/* Z6; J1 */
	}
	if (r == CHAN_BLOCKS)
		return false;
	wc->res = r;
	if (wake != NULL)
		wf_ready(wake);
	return true;
}

#endif /* WEFT_CHAN_CASE_H */

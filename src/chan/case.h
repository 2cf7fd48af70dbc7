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

/* S2: may it go? A hint, which costs the channel one look. */
static WF_ALWAYS_INLINE bool
case_looks_ready(const weft_case *wc)
{
	struct weft_chan *c = wc->chan;
	unsigned ready;

	if (wf_unlikely(wc->op == WEFT_OP_WAIT))
		return event_has_happened(event_of(wc));
	/* Relaxed: whoever takes it asks again. No jumps: which of them it is, nobody foretells. */
	ready = wf_load_relaxed(&c->closed);
	if (wc->op == WEFT_OP_RECV) {
		ready |= wf_load_relaxed(&c->has_sender);
		ready |= wf_load_relaxed(&c->count) != 0;
	} else {
		ready |= wf_load_relaxed(&c->has_receiver);
		ready |= wf_load_relaxed(&c->count) != c->cap;
	}
	return ready != 0;
}

/* S2 for one that looks ready and whose lock this P does not keep: its result, or CHAN_BLOCKS. */
static WF_NOINLINE int
case_take_alone(weft_case *wc, struct g **ret_wake)
{
	struct weft_chan *c = wc->chan;
	int r = wc->op == WEFT_OP_SEND ? chan_look_send(c, WEFT_NOW)
	    : chan_look_recv(c, wc->elem, WEFT_NOW);

	if (r == CHAN_BLOCKS)
		return case_try_alone(wc, ret_wake);
	return r == -ETIMEDOUT ? CHAN_BLOCKS : r;
}

/* S2 for one case that looks ready. Did it go? */
static WF_ALWAYS_INLINE bool
case_goes(weft_case *wc)
    WF_HANDS_OVER("wf_kept_try() takes the lock, which lock_of() is by another name")
{
	struct weft_chan *c = wc->chan;
	struct g *wake = NULL;
	chan_hold at;
	int r;

	if (wf_unlikely(wc->op == WEFT_OP_WAIT))
		return case_event_goes(wc);
	at = wf_kept_try(&c->lock, 0);
	if (wf_likely(at != NULL)) {
		r = wf_race_told() ? CHAN_RARE
		    : wc->op == WEFT_OP_SEND ? quick_send(c, wc->elem, &wake)
		    : quick_recv(c, wc->elem, &wake);
		if (wf_unlikely(r == CHAN_RARE))
			r = case_try_locked(wc, &wake);
		wf_store_release(at, NULL);				/* Z6; J1 */
	} else {
		r = case_take_alone(wc, &wake);
	}
	if (r == CHAN_BLOCKS)
		return false;
	wc->res = r;
	if (wake != NULL)
		wf_ready(wake);
	return true;
}

/* ---- Waiting ---- */

/* S5 for one, under its lock. */
static inline void
case_queue(weft_case *wc, struct waiter *w, uint32_t k, int64_t deadline)
{
	wf_waiter_init(w, deadline, true);
	w->solo = false;	/* any of them may be claimed */
	w->elem = wc->elem;
	w->index = k;
	if (wc->op == WEFT_OP_SEND)
		sendq_put(wc->chan, w);
	else if (wc->op == WEFT_OP_RECV)
		recvq_put(wc->chan, w);
	else
		event_queue(event_of(wc), w);
}

/* After the wait that ended with w, which stood for it, claimed. */
static inline void
case_won(weft_case *wc, const struct waiter *w)
{
	if (wc->op == WEFT_OP_SEND)
		wc->res = w->n != 0 ? 0 : -EPIPE;
	else if (wc->op == WEFT_OP_RECV)
		wc->res = w->n != 0;
	else
		wc->res = 0;
}

#endif /* WEFT_CHAN_CASE_H */

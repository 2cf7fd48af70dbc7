/*
 * The event as event.c and select.c share it. How it works, and why it may: README.md, "Events",
 * whose steps and edges are cited here. Knows nothing of channels.
 */
#ifndef WEFT_CHAN_EVENT_H
#define WEFT_CHAN_EVENT_H

#include <weft/event.h>
#include "chan/taken.h"

/*
 * Life: the user's, all zero at first. May be freed when every wait for it has returned.
 *
 *   l  under lock
 *   e  written under lock, read by anyone: edge H1
 */
struct event {
	struct wf_lock lock;		/* first, as in a channel: select takes both alike */
	_Atomic uint32_t turns;		/* e  sets and resets so far: odd, it has happened */
	struct waitq waiters;		/* l  oldest first; none while turns is odd */
};

_Static_assert(sizeof(struct event) <= sizeof(weft_event), "weft_priv is too small");

static inline bool
event_has_happened(struct event *e)
{
	return (wf_load_acquire(&e->turns) & 1) != 0;			/* H1 */
}

/* V5: it has, and whoever set it is done with e. False: nothing is proven. */
static inline bool
event_look(struct event *e)
{
	return event_has_happened(e) && wf_load_acquire(&e->lock.word) == 0;	/* H2 */
}

/* V6, under lock. */
static inline void
event_queue(struct event *e, struct waiter *w)
{
	w->n = wf_load_relaxed(&e->turns);	/* we hold the lock */
	waitq_put(&e->waiters, w);
}

/* V7: takes w, whose wait has ended otherwise, out of the hands of others. */
WF_PARKS void wf_event_leave(struct event *e, struct waiter *w);

/* Inside the runtime: 0, -ETIMEDOUT, -ECANCELED. */
WF_PARKS int wf_event_wait(struct event *e, int64_t deadline);

#endif /* WEFT_CHAN_EVENT_H */

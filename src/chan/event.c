/*
 * weft_event: a broadcast that any number can wait for. Protocol: README.md, "Events", whose steps
 * and edges are cited here.
 */
#include "chan/event.h"

#include "base/assert.h"

static inline struct event *
event_of(weft_event *e)
{
	return (struct event *)(void *)e;
}

/* ---- Set ---- */

WF_API_PARKS bool
weft_event_set(weft_event *pub)
{
	struct event *e = event_of(pub);
	struct waitq released = {0};
	uint32_t turns;

	if (event_has_happened(e))
		return false;
	wf_race_release(e);
	wf_enter();
	wf_lock(&e->lock);
	turns = wf_load_relaxed(&e->turns);	/* we hold the lock */
	if ((turns & 1) != 0) {
		wf_unlock(&e->lock);
		wf_leave();
		return false;
	}
	waitq_append(&released, &e->waiters);				/* V1 */
	wf_store_release(&e->turns, turns + 1);				/* H1 */
	WF_POINT("event.set");
	wf_unlock(&e->lock);		/* V2. The last touch. */
	WF_POINT("event.taken");
	wf_taken_release_all(&released, 0);				/* V3 */
	wf_leave();
	return true;
}

WF_API_PARKS bool
weft_event_reset(weft_event *pub)
{
	struct event *e = event_of(pub);
	uint32_t turns;
	bool had_happened;

	wf_enter();
	wf_lock(&e->lock);
	turns = wf_load_relaxed(&e->turns);	/* we hold the lock */
	had_happened = (turns & 1) != 0;
	if (had_happened)
		wf_store_release(&e->turns, turns + 1);			/* H1 */
	wf_unlock(&e->lock);
	wf_leave();
	return had_happened;
}

/* ---- Wait ---- */

WF_PARKS void
wf_event_leave(struct event *e, struct waiter *w)
{
	bool taken;

	WF_POINT("event.gave_up");
	wf_lock(&e->lock);
	taken = wf_load_relaxed(&e->turns) != (uint32_t)w->n;	/* we hold the lock */
	if (!taken)
		waitq_remove(&e->waiters, w);
	wf_unlock(&e->lock);
	if (taken)
		wf_taken_await_pass(w);
}

WF_PARKS int
wf_event_wait(struct event *e, int64_t deadline)
{
	struct waiter w;
	int r;

	wf_lock(&e->lock);
	r = event_has_happened(e) ? 0 : wf_park_check(deadline, /* cancellable */ true);
	if (r < 0 || event_has_happened(e)) {
		wf_unlock(&e->lock);
		return r;
	}
	wf_waiter_init(&w, deadline, /* cancellable */ true);
	event_queue(e, &w);						/* V6 */
	r = wf_park_unlock(&e->lock, WAIT_EVENT, deadline, /* cancellable */ true);
	if (r < 0)
		wf_event_leave(e, &w);					/* V7 */
	return r;
}

WF_API_PARKS int
weft_event_wait(weft_event *pub, int64_t deadline)
{
	struct event *e = event_of(pub);
	int r;

	if (event_look(e)) {						/* V5 */
		wf_race_acquire(e);
		return 0;
	}
	wf_enter();
	r = wf_event_wait(e, deadline);
	wf_leave();
	if (r == 0)
		wf_race_acquire(e);
	return r;
}

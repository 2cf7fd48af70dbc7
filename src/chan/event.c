/*
 * weft_event: a broadcast that any number can wait for. Protocol: README.md, "Events", whose steps
 * and edges are cited here.
 */
#include "chan/event.h"

#include "base/assert.h"

/* How many are claimed before they are readied, and before the monitor may have the P: 256 take
 * about 20 us, and the first of 100,000 need not wait for the last. */
#define BATCH 256u

static inline struct event *
event_of(weft_event *e)
{
	return (struct event *)(void *)e;
}

/* ---- Set ---- */

/* V3, V4. The list is ours alone, the event is not touched: it may be gone. */
static void
release(struct waitq *released)
{
	struct gqueue ready = {0};
	struct waiter *w, *next;

	for (w = released->head; w != NULL; w = next) {
		next = w->next;		/* first: w is its goroutine's again after either step */
		if (wf_claim(w, (int)w->index))
			gqueue_put(&ready, w->g);
		else
			wf_store_release(&w->passed, true);		/* H3 */
		if (ready.n == BATCH) {
			wf_ready_all(&ready);
			ready = (struct gqueue){0};
			wf_leave();
			wf_enter();
		}
	}
	if (ready.n != 0)
		wf_ready_all(&ready);						/* V4 */
}

WF_API_PARKS bool
weft_event_set(weft_event *pub)
{
	struct event *e = event_of(pub);
	struct waitq released;
	uint32_t turns;

	if (event_has_happened(e))
		return false;
	wf_enter();
	wf_lock(&e->lock);
	turns = wf_load_relaxed(&e->turns);	/* we hold the lock */
	if ((turns & 1) != 0) {
		wf_unlock(&e->lock);
		wf_leave();
		return false;
	}
	released = e->waiters;						/* V1 */
	e->waiters = (struct waitq){0};
	wf_store_release(&e->turns, turns + 1);				/* H1 */
	WF_POINT("event.set");
	wf_unlock(&e->lock);		/* V2. The last touch. */
	WF_POINT("event.taken");
	release(&released);
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
	/* A setter has it on its list, and will come by: it runs, or will soon. */
	for (unsigned i = 0; taken && !wf_load_acquire(&w->passed); i++) {	/* H3 */
		if (i < 100)
			wf_cpu_relax();
		else
			wf_yield();
	}
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

	if (event_look(e))						/* V5 */
		return 0;
	wf_enter();
	r = wf_event_wait(e, deadline);
	wf_leave();
	return r;
}

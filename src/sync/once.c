/*
 * weft_once. Protocol: README.md, "Once", whose steps and edge are cited here.
 */
#define WEFT_NO_INLINE
#include <weft/sync.h>

#include "sched/panic.h"
#include "sync/waitlist.h"

enum {
	NEW,			/* zero: a fresh one */
	RUNNING,
	DONE = WEFT_ONCE_DONE,
};

/*
 * Life: the user's, all zero at first.
 *
 *   l  under lock
 *   x  atomic; O1-O4
 */
struct once {
	_Atomic uint32_t state;		/* x  NEW, RUNNING, DONE; to DONE under lock */
	struct wf_lock lock;
	struct waitlist waiters;	/* l */
};

_Static_assert(sizeof(struct once) <= sizeof(weft_once), "weft_priv is too small");
_Static_assert(offsetof(struct once, state) == 0, "weft/sync.h looks at it");

/* O3. Inside the runtime. */
static void
finish(struct once *o)
{
	struct gqueue ready = {0};
	struct waiter *w;

	wf_race_release(o);
	wf_lock(&o->lock);
	wf_store_release(&o->state, DONE);				/* E1 */
	while ((w = waitlist_take(&o->waiters)) != NULL)
		if (wf_claim(w, 0))
			gqueue_put(&ready, w->g);
	wf_unlock(&o->lock);
	wf_ready_all(&ready);
}

/* O3 as a deferred call: fn panics or ends the goroutine. */
static void
cut_short(void *o)
{
	wf_enter();
	finish(o);
	wf_leave();
}

/* O4. */
static WF_PARKS void
wait_done(struct once *o)
{
	struct waiter w;

	wf_lock(&o->lock);
	if (wf_load_relaxed(&o->state) == DONE) {	/* relaxed: DONE is stored under lock */
		wf_unlock(&o->lock);
		return;
	}
	wf_waiter_init(&w, WEFT_FOREVER, /* cancellable */ false);
	waitlist_put(&o->waiters, &w);
	(void)wf_park_unlock(&o->lock, WAIT_ONCE, WEFT_FOREVER, /* cancellable */ false);
}

WF_API_PARKS void
weft_once_do(weft_once *pub, void (*fn)(void *), void *arg)
{
	struct once *o = (struct once *)(void *)pub;
	struct wf_defer defer;
	uint32_t old = NEW;

	if (wf_likely(wf_load_acquire(&o->state) == DONE)) {		/* O1; E1 */
		wf_race_acquire(o);
		return;
	}
	wf_enter();
	if (fn == NULL)
		wf_panic("weft_once_do of nil func value");
	/* Relaxed: it passes nothing on; if it is DONE by now, wait_done() sees so under lock. */
	if (!wf_cas_relaxed(&o->state, &old, RUNNING)) {		/* O2 */
		wait_done(o);						/* O4 */
		wf_leave();
		wf_race_acquire(o);
		return;
	}
	wf_defer_push(&defer, cut_short, o);
	wf_leave();

	fn(arg);

	wf_enter();
	wf_defer_remove(&defer);
	finish(o);
	wf_leave();
}

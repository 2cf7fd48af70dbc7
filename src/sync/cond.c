/*
 * weft_cond: a strict queue of waiters. Protocol: README.md, "Cond", whose steps are cited here.
 */
#include "sync/mutex.h"

#include "base/assert.h"
#include "sched/panic.h"

/* waiter.index: how far a waiter has got. */
enum {
	QUEUED,			/* C1: a signal takes it off, and that is all */
	PARKED,			/* C3: a signal must claim it */
};

/*
 * Life: the user's, all zero at first.
 *
 *   l  under lock
 *   w  written under lock, read by anyone
 *   x  rules at the field
 */
struct cond {
	struct wf_lock lock;
	_Atomic uint32_t n;		/* w  length of waiters */
	_Atomic(struct cond *) self;	/* x  NULL, then its address, by the first to use it */
	struct waitlist waiters;	/* l  oldest first */
};

_Static_assert(sizeof(struct cond) <= sizeof(weft_cond), "weft_priv is too small");

static inline struct cond *
cond_of(weft_cond *c)
{
	return (struct cond *)(void *)c;
}

static inline void
check_not_copied(struct cond *c)
{
	/* Relaxed, here and below: it guards nothing, and everybody writes the same. */
	struct cond *self = wf_load_relaxed(&c->self);

	if (wf_likely(self == c) || (self == NULL && wf_cas_relaxed(&c->self, &self, c))
	    || self == c)
		return;
	wf_enter();
	wf_panic_help("sync.Cond is copied",
	    "cond %p was used at %p before: do not copy or move it, or set it to zero", (void *)c,
	    (void *)self);
}

/*
 * Under lock, which is dropped if it panics. All that wait have one mutex; else one could change
 * what another waits for under the wrong one, and its signal would come too early.
 */
static inline void
check_mutex_locked(struct cond *c, const struct mutex *m)
    WF_HOLDS(c->lock)
{
	const struct waiter *first = c->waiters.head;
	unsigned long long id;

	if (wf_likely(first == NULL || first->elem == m))
		return;
	id = (unsigned long long)wf_load_relaxed(&first->g->id);
	wf_unlock(&c->lock);
	wf_panic("sync.Cond is waited for with two mutexes at once: goroutine %llu has another; "
		 "use one for all that wait", id);
}

/* ---- The queue, under lock ---- */

static void
put_locked(struct cond *c, struct waiter *w)
    WF_HOLDS(c->lock)
{
	waitlist_put(&c->waiters, w);
	wf_store_relaxed(&c->n, wf_load_relaxed(&c->n) + 1);	/* README.md: the mutex orders it */
}

static void
removed_locked(struct cond *c)
    WF_HOLDS(c->lock)
{
	wf_store_relaxed(&c->n, wf_load_relaxed(&c->n) - 1);	/* a stale one costs a look */
}

/* C5. Spends one signal; false: nobody is there. A goroutine to be readied goes on ready. */
static bool
signal_locked(struct cond *c, struct gqueue *ready)
    WF_HOLDS(c->lock)
{
	struct waiter *w;

	while ((w = waitlist_take(&c->waiters)) != NULL) {
		removed_locked(c);
		if (w->index == QUEUED)
			return true;
		if (wf_claim(w, 0)) {
			gqueue_put(ready, w->g);
			return true;
		}
	}
	return false;
}

/* ---- Wait ---- */

/* C3. */
static int
park(struct cond *c, struct waiter *w, int64_t deadline)
{
	int r;

	wf_lock(&c->lock);
	if (!w->queued) {
		wf_unlock(&c->lock);
		return 0;
	}
	r = wf_park_check(deadline, /* cancellable */ true);
	if (r == 0) {
		w->index = PARKED;
		WF_POINT("cond.parking");
		r = wf_park_unlock(&c->lock, WAIT_COND, deadline, /* cancellable */ true);
		if (r >= 0)
			return 0;
		WF_POINT("cond.gave_up");
		wf_lock(&c->lock);
	}
	if (waitlist_remove(&c->waiters, w))
		removed_locked(c);
	wf_unlock(&c->lock);
	return r;
}

WF_API_PARKS int
weft_cond_wait(weft_cond *pub, weft_mutex *pub_m, int64_t deadline)
{
	struct cond *c = cond_of(pub);
	struct mutex *m = (struct mutex *)(void *)pub_m;
	struct waiter w;
	int r;

	check_not_copied(c);
	wf_enter();
	/* Its ticket stays right until we park: nothing in between is a wait. */
	wf_waiter_init(&w, deadline, /* cancellable */ true);
	w.index = QUEUED;
	w.elem = m;
	wf_lock(&c->lock);
	check_mutex_locked(c, m);
	put_locked(c, &w);						/* C1 */
	wf_unlock(&c->lock);

	wf_race_release(m);
	if (!mutex_unlock_fast(m))					/* C2 */
		(void)wf_mutex_unlock_slow(m);	/* who got it runs next: we are about to park */
	WF_POINT("cond.unlocked");
	r = park(c, &w, deadline);					/* C3 */

	if (!mutex_lock_fast(m))					/* C4 */
		(void)wf_mutex_lock_slow(m, WEFT_FOREVER, WAIT_MUTEX);
	wf_leave();
	wf_race_acquire(m);
	if (r == 0)
		wf_race_acquire(c);
	return r;
}

/* ---- Signal ---- */

WF_API_PARKS void
weft_cond_signal(weft_cond *pub)
{
	struct cond *c = cond_of(pub);
	struct gqueue ready = {0};

	check_not_copied(c);
	wf_race_release(c);
	if (wf_load_relaxed(&c->n) == 0)	/* the mutex orders it, as at put_locked() */
		return;
	wf_enter();
	wf_lock(&c->lock);
	(void)signal_locked(c, &ready);
	wf_unlock(&c->lock);		/* The last touch. */
	wf_ready_all(&ready);						/* C6 */
	wf_leave();
}

WF_API_PARKS void
weft_cond_broadcast(weft_cond *pub)
{
	struct cond *c = cond_of(pub);
	struct gqueue ready = {0};

	check_not_copied(c);
	wf_race_release(c);
	if (wf_load_relaxed(&c->n) == 0)	/* the mutex orders it, as at put_locked() */
		return;
	wf_enter();
	wf_lock(&c->lock);
	while (signal_locked(c, &ready))
		continue;
	wf_unlock(&c->lock);		/* The last touch. */
	wf_ready_all(&ready);						/* C6 */
	wf_leave();
}

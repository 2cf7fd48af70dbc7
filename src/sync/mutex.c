/*
 * weft_mutex: Go's mutex, with normal and starving mode, and its waiters inside it. Protocol:
 * README.md, "Mutex", whose steps and edges are cited here.
 */
#define WEFT_NO_INLINE
#include "sync/mutex.h"

#include "sync/keep.h"

#include "base/assert.h"
#include "os/os.h"
#include "sched/panic.h"

/* The explorer sets these. */
#ifndef STARVE_NS
#define STARVE_NS 1000000	/* as Go: waits longer than that end in a hand-over */
#endif
/* As Go. 30 pauses are 0.3 us to 1.2 us, by processor; to wake another thread takes 5 us. */
#ifndef SPIN_PAUSES
#define SPIN_ROUNDS 4
#define SPIN_PAUSES 30
#endif

/* What a waiter is told in waiter.index before it is readied. */
enum {
	TOLD_TRY,
	TOLD_OWNER,
};

/* One goroutine on its way through wf_mutex_lock_slow(). */
struct contender {
	int64_t since;		/* when it queued first; 0 = not yet */
	unsigned spins;
	bool has_woken;		/* the WOKEN bit is ours to clear */
};

static inline struct mutex *
mutex_of(weft_mutex *m)
{
	return (struct mutex *)(void *)m;
}

/* ---- Lock ---- */

static inline bool
spin_pays(const struct contender *c, uint32_t state)
{
	return (state & MUTEX_STARVING) == 0 && c->spins < SPIN_ROUNDS && wf_can_spin();
}

static void
spin(struct mutex *m, struct contender *c, uint32_t old)
{
	if (!c->has_woken && (old & (MUTEX_WOKEN | MUTEX_WAITERS)) == MUTEX_WAITERS)
		/* Relaxed: a hint to unlock, which guards nothing. */
		c->has_woken = wf_cas_relaxed(&m->state, &old, old | MUTEX_WOKEN);
	for (unsigned i = 0; i < SPIN_PAUSES; i++)
		wf_cpu_relax();
	c->spins++;
}

/* M2. True: it is ours. Else *old tells why not. */
static bool
take(struct mutex *m, struct contender *c, uint32_t *old)
{
	while ((*old & (MUTEX_LOCKED | MUTEX_KEEPERS)) == 0) {
		uint32_t state = *old | MUTEX_LOCKED;

		if (c->has_woken)
			state &= ~MUTEX_WOKEN;
		if (wf_cas_acquire(&m->state, old, state))		/* A1 */
			return true;
	}
	return false;
}

/*
 * M3 up to the park, under lock: announces the waiter, or gives up. 1: it is ours after all;
 * 0: announced; -ETIMEDOUT.
 */
static int
announce_locked(struct mutex *m, struct contender *c, int64_t deadline)
    WF_HOLDS(m->lock)
{
	uint32_t old;
	int may_wait = wf_park_check(deadline, /* cancellable */ false);
	bool starves = c->since != 0 && wf_os_now() - c->since > STARVE_NS;

	wf_mutex_unkeep_locked(m);
	old = wf_load_relaxed(&m->state);	/* a first guess for the CAS */
	for (;;) {
		uint32_t state;

		if (take(m, c, &old))
			return 1;
		state = c->has_woken ? old & ~MUTEX_WOKEN : old;
		if (may_wait == 0)
			state |= MUTEX_WAITERS;
		if (may_wait == 0 && starves)
			state |= MUTEX_STARVING;
		/* Relaxed: what is passed on is in state itself and under lock. */
		if (wf_cas_relaxed(&m->state, &old, state))
			return may_wait;
	}
}

/* It gave up, or was taken off by an unlock that could not claim it. */
static WF_COLD void
leave_queue(struct mutex *m, struct waiter *w)
{
	WF_POINT("mutex.gave_up");
	wf_lock(&m->lock);
	/* Relaxed would do: nothing is passed on. */
	if (waitlist_remove(&m->waiters, w) && m->waiters.head == NULL)
		wf_and_acqrel(&m->state, ~(MUTEX_WAITERS | MUTEX_STARVING));
	wf_unlock(&m->lock);
}

/* M3 and M4. 1: it is ours; 0: try again; -ETIMEDOUT. */
static int
wait_turn(struct mutex *m, struct contender *c, int64_t deadline, enum wf_wait_reason reason)
{
	bool was_queued = c->since != 0;
	struct waiter w;
	int r;

	WF_POINT("mutex.queueing");
	wf_lock(&m->lock);
	r = announce_locked(m, c, deadline);
	if (r != 0) {
		wf_unlock(&m->lock);
		return r;
	}
	c->has_woken = false;
	if (!was_queued)
		c->since = wf_os_now();
	wf_waiter_init(&w, deadline, /* cancellable */ false);
	w.n = (uint64_t)c->since;
	if (was_queued)
		waitlist_put_first(&m->waiters, &w);
	else
		waitlist_put(&m->waiters, &w);
	r = wf_park_for_lock(&m->lock, reason, deadline);
	if (r < 0) {
		leave_queue(m, &w);
		return r;
	}
	WF_POINT("mutex.woken");
	if (w.index == TOLD_OWNER)					/* A2 */
		return 1;
	c->has_woken = true;
	c->spins = 0;
	return 0;
}

WF_PARKS int
wf_mutex_lock_slow(struct mutex *m, int64_t deadline, enum wf_wait_reason reason)
{
	struct contender c = {0};

	for (;;) {
		uint32_t old = wf_load_relaxed(&m->state);	/* a first guess for the CAS */
		int r;

		if (mutex_keeper(old) != 0) {
			if (mutex_change_kept(m, 0, MUTEX_LOCKED))
				return 0;
			wf_mutex_unkeep(m);
			continue;
		}
		if (take(m, &c, &old))
			return 0;
		if (spin_pays(&c, old)) {
			spin(m, &c, old);
			continue;
		}
		r = wait_turn(m, &c, deadline, reason);
		if (r != 0)
			return r < 0 ? r : 0;
	}
}

WF_API_PARKS void
weft_mutex_lock(weft_mutex *pub)
{
	struct mutex *m = mutex_of(pub);

	if (wf_likely(mutex_lock_at_once(m))) {
		wf_race_acquire(m);
		return;
	}
	wf_enter();
	wf_mutex_lock_slow(m, WEFT_FOREVER, WAIT_MUTEX);
	wf_leave();
	wf_race_acquire(m);
}

WF_API_PARKS bool
weft_mutex_trylock(weft_mutex *pub)
{
	if (!wf_mutex_trylock(mutex_of(pub)))
		return false;
	wf_race_acquire(pub);
	return true;
}

WF_API_PARKS int
weft_mutex_lock_until(weft_mutex *pub, int64_t deadline)
{
	struct mutex *m = mutex_of(pub);
	int r;

	if (wf_likely(mutex_lock_at_once(m))) {
		wf_race_acquire(m);
		return 0;
	}
	wf_enter();
	r = wf_mutex_lock_slow(m, deadline, WAIT_MUTEX);
	wf_leave();
	if (r == 0)
		wf_race_acquire(m);
	return r;
}

/* ---- Unlock ---- */

/*
 * M7. The first waiter that can still be claimed, or NULL. The caller owns m. Sets *hands_over
 * if it is to be the next owner.
 */
static struct waiter *
claim_first(struct mutex *m, bool *hands_over)
{
	struct waiter *w;
	uint32_t old, set = 0, clear = 0;

	wf_lock(&m->lock);
	do
		w = waitlist_take(&m->waiters);
	while (w != NULL && !wf_claim(w, 0));

	/* Only an owner or the holder of lock changes STARVING, so it stands still here. */
	old = wf_load_relaxed(&m->state);
	if (w != NULL && (old & MUTEX_STARVING) == 0)
		set = MUTEX_WOKEN;
	else if (w != NULL && wf_os_now() - (int64_t)w->n < STARVE_NS)
		clear = MUTEX_STARVING;
	if (m->waiters.head == NULL)
		clear |= MUTEX_WAITERS | MUTEX_STARVING;
	/* Relaxed: LOCKED stays ours, so nothing is passed on yet. */
	while (!wf_cas_relaxed(&m->state, &old, (old & ~clear) | set))
		continue;
	wf_unlock(&m->lock);

	*hands_over = w != NULL && (old & MUTEX_STARVING) != 0;
	return w;
}

/* M6. Would clearing LOCKED in this state leave waiters without anybody to wake them? */
static inline bool
needs_wake(uint32_t state)
{
	return (state & MUTEX_WAITERS) != 0
	    && (state & (MUTEX_WOKEN | MUTEX_STARVING)) != MUTEX_WOKEN;
}

bool
wf_mutex_unlock_slow(struct mutex *m)
{
	uint32_t old = wf_load_relaxed(&m->state);	/* our own store, but for the other bits */
	bool hands_over = false;
	struct waiter *w;

	for (;;) {
		if (wf_unlikely((old & MUTEX_LOCKED) == 0))
			wf_fatal_help("sync: unlock of unlocked mutex",
			    "mutex %p: unlock it once for each lock; "
			    "weft_cond_wait() unlocks it, too", (void *)m);
		if (mutex_keeper(old) != 0) {
			if (mutex_change_kept(m, MUTEX_LOCKED, 0))
				return false;
			wf_mutex_unkeep(m);
			old = wf_load_relaxed(&m->state);	/* our own store */
			continue;
		}
		if (!needs_wake(old)) {
			if (wf_cas_release(&m->state, &old, old & ~MUTEX_LOCKED))	/* A1 */
				return false;
			continue;
		}
		w = claim_first(m, &hands_over);
		WF_POINT("mutex.claimed");
		if (w != NULL)
			break;
		old = wf_load_relaxed(&m->state);
	}
	if (!hands_over)
		wf_and_acqrel(&m->state, ~MUTEX_LOCKED);		/* M8; A1 */

	/* m may be gone. The waiter's frame is not, until it is readied. */
	w->index = hands_over ? TOLD_OWNER : TOLD_TRY;
	wf_ready(w->g);							/* M9; A2 */
	return hands_over;
}

WF_API_PARKS void
weft_mutex_unlock(weft_mutex *pub)
{
	struct mutex *m = mutex_of(pub);

	wf_race_release(m);
	if (wf_likely(mutex_unlock_at_once(m)))
		return;
	wf_enter();
	if (wf_mutex_unlock_slow(m))
		wf_yield();
	wf_leave();
}
